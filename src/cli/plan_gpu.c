#include "cli/plan_gpu.h"

#include "cli/json.h"
#include "cli/text.h"
#include "salmap/plan.h"

#include <inttypes.h>
#include <stdio.h>

enum { NAME_WIDTH = 32, TEXT = 4 * NAME_WIDTH + 1 };

/* "12.3 us", "4.56 ms"; returns text. */
static const char *text_seconds(char *text, size_t size, double seconds)
{
    if (seconds < 1e-3)
        snprintf(text, size, "%.3g us", seconds * 1e6);
    else if (seconds < 1)
        snprintf(text, size, "%.3g ms", seconds * 1e3);
    else
        snprintf(text, size, "%.3g s", seconds);
    return text;
}

static void print_memory(const sal_gpu_plan_info *p)
{
    char t[TEXT];
    printf("  batch    %" PRId64 " pictures; about %" PRId64 " fit ", p->batch, p->largest_batch);
    printf("%s\n", text_bytes(t, sizeof t, p->memory_bytes));
    printf("  arena    %s, allocated once:\n", text_bytes(t, sizeof t, p->arena_bytes));
    printf("    kept     %s from the forward to the backward pass\n", text_bytes(t, sizeof t, p->kept_bytes));
    printf("    scratch  %s\n", text_bytes(t, sizeof t, p->scratch_bytes));
    printf("  weights  %s\n", text_bytes(t, sizeof t, p->weight_bytes));
}

static void print_time(const sal_gpu_plan_info *p)
{
    char t[TEXT];
    printf("  work     %sFLOP per picture, ", text_count(t, sizeof t, p->flops));
    printf("%s to and from memory\n", text_bytes(t, sizeof t, p->bytes));
    printf("  time     at least %s per picture, ", text_seconds(t, sizeof t, p->seconds));
    printf("%.0f %% of it bound by memory (roofline, not measured)\n", 100 * p->memory_seconds / p->seconds);
    printf("  feeding  to keep up, the host decodes %.0f pictures/s and sends %.3g GB/s\n", p->pictures_per_second,
           p->pictures_per_second * (double)p->upload_bytes / 1e9);
}

static void print_summary(const char *path, const sal_gpu_plan_info *p)
{
    text_print(stdout, "%s\n", path);
    text_print(stdout, "  device   %s%s\n", p->device, p->native ? "" : " (which it has not: float32 is computed)");
    print_memory(p);
    printf(
        "  convs    %zu: %zu fused by cuDNN, %zu with a kernel of salmap's after cuDNN's, %zu by kernels of salmap's\n",
        p->convolutions, p->fused, p->unfused, p->own_kernels);
    print_time(p);
    printf("  steps    %zu\n", p->steps);
}

static int print_steps(const cli_command *command, const sal_gpu_plan *plan, size_t steps)
{
    char name[TEXT], workspace[TEXT], flops[TEXT], bytes[TEXT], time[TEXT], engine[TEXT];
    printf("\n%4s  %-*s  %-22s  %-24s %6s %10s %8s %10s %9s  %s\n", "", NAME_WIDTH, "step of", "kind", "algorithm",
           "engine", "workspace", "FLOP", "bytes", "time", "bound by");
    for (size_t i = 0; i < steps; i++) {
        sal_gpu_step_info s = SAL_GPU_STEP_INFO_INIT;
        if (sal_gpu_plan_get_step(&s, plan, i) != SAL_OK)
            return cli_fail_library(command);
        snprintf(engine, sizeof engine, "%" PRId64, s.engine);
        text_print(stdout, "%4zu  %s  %-22s  %-24s %6s %10s %8s %10s %9s  %s\n", i,
                   text_fit(name, sizeof name, s.name, NAME_WIDTH), s.kind, s.algorithm ? s.algorithm : "",
                   s.engine >= 0 ? engine : "",
                   s.workspace_bytes ? text_bytes(workspace, sizeof workspace, s.workspace_bytes) : "",
                   s.flops ? text_count(flops, sizeof flops, s.flops) : "", text_bytes(bytes, sizeof bytes, s.bytes),
                   text_seconds(time, sizeof time, s.seconds), s.bound);
    }
    return CLI_OK;
}

static void json_summary(cli_json *j, const plan_gpu_request *r, const sal_gpu_plan_info *p)
{
    cli_json_text(j, "model", r->path);
    cli_json_text(j, "gpu", r->gpu);
    cli_json_text(j, "device", p->device);
    cli_json_integer(j, "batch", p->batch);
    cli_json_integer(j, "largest_batch", p->largest_batch);
    cli_json_count(j, "memory_bytes", p->memory_bytes);
    cli_json_count(j, "arena_bytes", p->arena_bytes);
    cli_json_count(j, "kept_bytes", p->kept_bytes);
    cli_json_count(j, "scratch_bytes", p->scratch_bytes);
    cli_json_count(j, "weight_bytes", p->weight_bytes);
    cli_json_count(j, "flops", p->flops);
    cli_json_count(j, "bytes", p->bytes);
    cli_json_count(j, "upload_bytes", p->upload_bytes);
    cli_json_real(j, "seconds", p->seconds);
    cli_json_real(j, "memory_seconds", p->memory_seconds);
    cli_json_real(j, "pictures_per_second", p->pictures_per_second);
    cli_json_count(j, "convolutions", p->convolutions);
    cli_json_count(j, "fused", p->fused);
    cli_json_count(j, "unfused", p->unfused);
    cli_json_count(j, "own_kernels", p->own_kernels);
}

static void json_step(cli_json *j, const sal_gpu_step_info *s)
{
    cli_json_begin(j, NULL, '{');
    cli_json_text(j, "name", s->name);
    cli_json_text(j, "kind", s->kind);
    cli_json_text(j, "algorithm", s->algorithm);
    cli_json_integer(j, "engine", s->engine);
    cli_json_count(j, "workspace_bytes", s->workspace_bytes);
    cli_json_count(j, "flops", s->flops);
    cli_json_count(j, "bytes", s->bytes);
    cli_json_real(j, "seconds", s->seconds);
    cli_json_text(j, "bound", s->bound);
    cli_json_end(j);
}

static int print_json(const cli_command *command, const plan_gpu_request *r, const sal_gpu_plan *plan,
                      const sal_gpu_plan_info *p)
{
    cli_json j = {0};
    cli_json_begin(&j, NULL, '{');
    json_summary(&j, r, p);
    cli_json_begin(&j, "steps", '[');
    for (size_t i = 0; i < p->steps; i++) {
        sal_gpu_step_info s = SAL_GPU_STEP_INFO_INIT;
        if (sal_gpu_plan_get_step(&s, plan, i) != SAL_OK) {
            cli_json_drop(&j);
            return cli_fail_library(command);
        }
        json_step(&j, &s);
    }
    cli_json_end(&j);
    cli_json_print(&j);
    return CLI_OK;
}

int plan_gpu(const cli_command *command, sal_model *model, const plan_gpu_request *r)
{
    const sal_gpu_plan_options options = {.size = sizeof options,
                                          .gpu = r->gpu,
                                          .precision = r->precision,
                                          .batch = r->batch,
                                          .rule = r->rule,
                                          .lean = r->lean};
    sal_gpu_plan *plan;
    sal_gpu_plan_info info = SAL_GPU_PLAN_INFO_INIT;
    int code = CLI_OK;
    sal_status st = sal_gpu_plan_open(&plan, model, &options);
    if (st != SAL_OK)
        return cli_fail_status(command, st);
    if (sal_gpu_plan_get_info(&info, plan) != SAL_OK) {
        code = cli_fail_library(command);
    } else if (r->json) {
        code = print_json(command, r, plan, &info);
    } else {
        print_summary(r->path, &info);
        if (r->steps)
            code = print_steps(command, plan, info.steps);
    }
    sal_gpu_plan_close(plan);
    return code;
}
