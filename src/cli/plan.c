/* salmap plan: what a run will take, before it runs. */
#include "salmap/plan.h"
#include "cli/json.h"
#include "cli/method.h"
#include "cli/network.h"
#include "cli/plan_gpu.h"
#include "cli/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct settings {
    cli_network network;
    cli_method method;
    int64_t batch;
    int64_t threads;
    const char *device;
    const char *gpu;
    int precision;
    int exact;
    int lean;
    int rule;
    int forward;
    int steps;
    int json;
} settings;

static const cli_option options[] = {
    CLI_NETWORK_OPTIONS(network),
    CLI_NUMBER(CLI_INTEGER, 'b', "batch", "N", batch, "pictures computed together (default: chosen)", 1, 65536),
    CLI_NUMBER(CLI_INTEGER, 0, "threads", "N", threads, "CPU threads (default: one per core)", 1, 4096),
    CLI_OPTION(CLI_TEXT, 0, "device", "DEVICE", device, "auto (default), cpu, cuda:0, cuda:1, ..."),
    CLI_OPTION(CLI_TEXT, 0, "gpu", "h100|a100|rtx4090|t4|b200|FILE.json", gpu,
               "a GPU that need not be there (without --device, --threads, --exact)"),
    CLI_OPTION(CLI_CHOICE, 0, "precision", SAL_WORDS_PRECISION, precision, "of a GPU (default: tf32)"),
    CLI_OPTION(CLI_FLAG, 0, "exact", NULL, exact, "direct convolutions only (no Winograd)"),
    CLI_OPTION(CLI_FLAG, 0, "lean", NULL, lean, "of a GPU: the least memory, more passes over it"),
    CLI_OPTION(CLI_CHOICE, 0, "rule", SAL_WORDS_RULE, rule, "how activations send it back"),
    CLI_OPTION(CLI_FLAG, 0, "forward", NULL, forward, "of the scores alone, without a way back"),
    CLI_OPTION(CLI_FLAG, 0, "steps", NULL, steps, "also every step: algorithm, result, what is kept"),
    CLI_OPTION(CLI_FLAG, 0, "json", NULL, json, "print one JSON object, steps included"),
    CLI_OPTION(CLI_TEXT, 'm', "method", "NAME", method.name, "gradient (default), smoothgrad, grad-cam, ..."),
    CLI_OPTION(CLI_TEXT, 0, "cam-layer", "NAME", method.layer,
               "that a CAM maps (default: the last with more than one pixel)"),
};

const cli_command cli_plan_command = {
    .name = "plan",
    .operands = "MODEL",
    .summary = "What a run will take: memory, arithmetic, algorithms.",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .min_operands = 1,
    .max_operands = 1,
};
static const cli_command *const self = &cli_plan_command;

enum { NAME_WIDTH = 32, TEXT = 4 * NAME_WIDTH + 1 };

static void print_summary(const char *path, const sal_plan_info *p, int forward_only)
{
    char t[TEXT];
    text_print(stdout, "%s\n", path);
    printf("  device   %s\n", p->device);
    printf("  batch    %" PRId64 " pictures, the first layers %" PRId64 " at a time\n", p->batch, p->chunk);
    printf("  arena    %s, allocated once:\n", text_bytes(t, sizeof t, p->arena_bytes));
    printf("    kept     %s from the forward to the backward pass\n", text_bytes(t, sizeof t, p->kept_bytes));
    printf("    scratch  %s\n", text_bytes(t, sizeof t, p->scratch_bytes));
    printf("  weights  %s\n", text_bytes(t, sizeof t, p->weight_bytes));
    printf("  work     %sFLOP per picture, forward%s\n", text_count(t, sizeof t, p->flops),
           forward_only ? "" : " and backward");
    printf("  steps    %zu\n", p->steps);
}

static int print_steps(const sal_engine *engine, size_t steps)
{
    char name[TEXT], output[TEXT], kept[TEXT], flops[TEXT];
    printf("\n%4s  %-*s  %-22s  %-30s %10s %10s %14s %8s\n", "", NAME_WIDTH, "step of", "kind", "algorithm", "result",
           "kept", "arena offset", "FLOP");
    for (size_t i = 0; i < steps; i++) {
        sal_step_info s = SAL_STEP_INFO_INIT;
        if (sal_engine_get_step(&s, engine, i) != SAL_OK)
            return cli_fail_library(self);
        text_print(stdout, "%4zu  %s  %-22s  %-30s %10s %10s %14" PRIu64 " %8s\n", i,
                   text_fit(name, sizeof name, s.name, NAME_WIDTH), s.kind, s.algorithm ? s.algorithm : "",
                   text_bytes(output, sizeof output, s.output_bytes),
                   s.kept_bytes ? text_bytes(kept, sizeof kept, s.kept_bytes) : "", s.arena_offset,
                   s.flops ? text_count(flops, sizeof flops, s.flops) : "");
        if (s.note)
            text_print(stdout, "      ^ %s\n", s.note);
    }
    return CLI_OK;
}

static int print_json(const char *path, const sal_engine *engine, const sal_plan_info *p)
{
    cli_json j = {0};
    cli_json_begin(&j, NULL, '{');
    cli_json_text(&j, "model", path);
    cli_json_text(&j, "device", p->device);
    cli_json_integer(&j, "batch", p->batch);
    cli_json_integer(&j, "chunk", p->chunk);
    cli_json_count(&j, "arena_bytes", p->arena_bytes);
    cli_json_count(&j, "kept_bytes", p->kept_bytes);
    cli_json_count(&j, "scratch_bytes", p->scratch_bytes);
    cli_json_count(&j, "weight_bytes", p->weight_bytes);
    cli_json_count(&j, "flops", p->flops);
    cli_json_begin(&j, "steps", '[');
    for (size_t i = 0; i < p->steps; i++) {
        sal_step_info s = SAL_STEP_INFO_INIT;
        if (sal_engine_get_step(&s, engine, i) != SAL_OK) {
            cli_json_drop(&j);
            return cli_fail_library(self);
        }
        cli_json_begin(&j, NULL, '{');
        cli_json_text(&j, "name", s.name);
        cli_json_text(&j, "kind", s.kind);
        cli_json_text(&j, "algorithm", s.algorithm);
        cli_json_count(&j, "output_bytes", s.output_bytes);
        cli_json_count(&j, "kept_bytes", s.kept_bytes);
        cli_json_count(&j, "arena_offset", s.arena_offset);
        cli_json_count(&j, "flops", s.flops);
        if (s.note)
            cli_json_text(&j, "note", s.note);
        cli_json_end(&j);
    }
    cli_json_end(&j);
    cli_json_print(&j);
    return CLI_OK;
}

static int plan(const char *path, sal_model *model, const settings *s)
{
    sal_method_options method;
    sal_engine_options o = {.size = sizeof o,
                            .device = s->device,
                            .batch = s->batch,
                            .threads = s->threads,
                            .method = &method,
                            .exact = s->exact,
                            .precision = (sal_precision)s->precision,
                            .rule = (sal_rule)s->rule,
                            .lean = s->lean,
                            .forward_only = s->forward,
                            .take_weights = 1};
    sal_engine *engine;
    sal_plan_info info = SAL_PLAN_INFO_INIT;
    int code = cli_method_options(&method, self, &s->method);
    if (code != CLI_OK)
        return code;
    const sal_status st = sal_engine_open(&engine, model, &o);
    if (st != SAL_OK)
        return cli_fail_status(self, st);
    if (sal_engine_get_plan(&info, engine) != SAL_OK) {
        code = cli_fail_library(self);
    } else if (s->json) {
        code = print_json(path, engine, &info);
    } else {
        print_summary(path, &info, s->forward);
        if (s->steps)
            code = print_steps(engine, info.steps);
    }
    sal_engine_close(engine);
    return code;
}

int cli_plan(int argc, char **argv)
{
    int first;
    settings s = {0};
    cli_method_defaults(&s.method);
    cli_parsed parsed = cli_parse(&first, &s, self, argc, argv);
    if (parsed != CLI_GO)
        return parsed == CLI_HELPED ? cli_finish(NULL, CLI_OK) : CLI_USAGE;
    if (s.gpu && (s.device || s.threads || s.exact || s.forward || s.method.name || s.method.layer))
        return cli_fail(
            self, CLI_USAGE,
            "--gpu is planned by cuDNN, for gradients: --device, --threads, --exact, --forward, --method and "
            "--cam-layer do not go with it");
    if (s.device && (strchr(s.device, ',') || strcmp(s.device, "cuda:all") == 0))
        return cli_fail(self, CLI_USAGE, "device '%s': a plan is for one device, as cuda:0", s.device);
    sal_model *model;
    int code = cli_network_open(&model, self, &s.network, argv[first], NULL);
    if (code != CLI_OK)
        return code;
    const plan_gpu_request request = {.path = argv[first],
                                      .gpu = s.gpu,
                                      .precision = (sal_precision)s.precision,
                                      .batch = s.batch,
                                      .rule = (sal_rule)s.rule,
                                      .lean = s.lean,
                                      .steps = s.steps,
                                      .json = s.json};
    code = s.gpu ? plan_gpu(self, model, &request) : plan(argv[first], model, &s);
    sal_model_close(model);
    return cli_finish(self, code);
}
