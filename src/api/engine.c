/* Engines for callers: a program, what it needs to be driven, and its plan as text and numbers. */
#include "api/attribute.h"
#include "api/identity.h"
#include "api/model.h"
#include "api/roofline.h"
#include "base/memory.h"
#include "base/struct.h"
#include "program/program.h"
#include "salmap/plan.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_THREADS = 1 << 16 };

struct sal_engine {
    const sal_model *model;
    sal_engine_options options;
    sal_method_options method;
    sal_program *program;
    sal_attribution attribution;
    char *texts[3];     /* of the options */
    char *layer;        /* that is mapped, or NULL */
    atomic_flag in_use; /* by one call at a time */
    char device[192];
};

static sal_status check_options(const sal_engine_options *o)
{
    if ((unsigned)o->rule > SAL_RULE_RECTIFIED)
        return sal_fail(SAL_ERROR_ARGUMENT, "unknown rule %d", (int)o->rule);
    if ((unsigned)o->precision > SAL_PRECISION_FP16)
        return sal_fail(SAL_ERROR_ARGUMENT, "unknown precision %d", (int)o->precision);
    if (o->threads < 0 || o->threads > MOST_THREADS)
        return sal_fail(SAL_ERROR_ARGUMENT, "%lld threads: give 0 to %d", (long long)o->threads, MOST_THREADS);
    return SAL_OK;
}

/* Whatever version of the structs the caller has; the texts stay the caller's. */
static sal_status read_options(sal_engine *e, const sal_engine_options *given)
{
    sal_status st = SAL_OK;
    e->options = (sal_engine_options)SAL_ENGINE_OPTIONS_INIT;
    e->method = (sal_method_options)SAL_METHOD_OPTIONS_INIT;
    TRY(sal_struct_read(&e->options, sizeof e->options, given, "sal_engine_options"));
    TRY(sal_struct_read(&e->method, sizeof e->method, e->options.method, "sal_method_options"));
    e->options.method = &e->method;
done:
    return st;
}

static sal_status keep_texts(sal_engine *e)
{
    sal_status st = SAL_OK;
    const char **texts[] = {&e->method.name, &e->method.layer, &e->method.baseline_file};
    e->options.device = NULL;
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
        if (*texts[k]) {
            TRY(sal_strdup(&e->texts[k], *texts[k]));
            *texts[k] = e->texts[k];
        }
done:
    return st;
}

/* Where the batch is to be found and weights went too early for that, once more with all of them. */
static sal_status open_program(sal_program **out, sal_model *model, sal_program_options *options, int take)
{
    sal_status st = SAL_OK;
    sal_graph graph;
    sal_graph_init(&graph);
    options->drop_early = take;
    TRY(sal_model_share_graph(&graph, model, take));
    st = sal_program_open(out, &graph, options);
    if (st == SAL_ERROR_MEMORY && options->drop_early && options->batch == 0) {
        options->drop_early = 0;
        sal_graph_clear(&graph);
        TRY(sal_model_share_graph(&graph, model, 0));
        st = sal_program_open(out, &graph, options);
    }
done:
    sal_graph_clear(&graph);
    return st;
}

sal_status sal_engine_open(sal_engine **out, sal_model *model, const sal_engine_options *options)
{
    sal_status st = SAL_OK;
    sal_engine *e = NULL;
    const sal_method_row *method;
    TRY(sal_require(out, "out", __func__));
    *out = NULL;
    TRY(sal_require(model, "model", __func__));
    TRY(sal_alloc(&e, 1, sizeof *e, "the engine"));
    TRY(read_options(e, options));
    const sal_engine_options *o = &e->options;
    TRY(check_options(o));
    TRY(sal_method_find(&method, e->method.name));
    TRY(sal_method_check(method, &e->method));
    atomic_flag_clear(&e->in_use);
    e->model = model;
    sal_program_options program_options = {.device = o->device,
                                           .batch = o->batch,
                                           .threads = (int)o->threads,
                                           .exact = o->exact,
                                           .precision = o->precision,
                                           .rule = o->rule,
                                           .max_memory = o->max_memory,
                                           .lean = o->lean};
    TRY(sal_method_passes(&program_options, method, &e->method, &model->graph));
    if (o->forward_only) {
        program_options.end = SAL_PASS_NOWHERE;
        program_options.array_count = 0;
    } else if (method->has & SAL_METHOD_LAYER) {
        TRY(sal_strdup(&e->layer, model->graph.nodes[program_options.layer].name));
    }
    st = open_program(&e->program, model, &program_options, o->take_weights);
    if (st == SAL_ERROR_UNSUPPORTED) /* it is the network that cannot be run */
        st = sal_fail_in(st, "%s", model->path);
    if (st != SAL_OK)
        goto done;
    TRY(sal_attribution_init(&e->attribution, e->program, method, &e->method, model->graph.detached));
    TRY(keep_texts(e));
    snprintf(e->device, sizeof e->device, "%s", e->program->backend->describe(e->program->device));
    *out = e;
    e = NULL;
done:
    sal_engine_close(e);
    return st;
}

void sal_engine_close(sal_engine *e)
{
    if (!e)
        return;
    sal_attribution_clear(&e->attribution);
    sal_program_close(e->program);
    for (size_t k = 0; k < sizeof e->texts / sizeof *e->texts; k++)
        free(e->texts[k]);
    free(e->layer);
    sal_free(e);
}

const sal_model *sal_engine_model(const sal_engine *e)
{
    return e ? e->model : NULL;
}

const sal_engine_options *sal_engine_get_options(const sal_engine *e)
{
    return &e->options;
}

sal_status sal_engine_get_attribution(sal_attribution_info *out, const sal_engine *e)
{
    sal_status st = SAL_OK;
    TRY(sal_require(out, "out", __func__));
    TRY(sal_require(e, "engine", __func__));
    const sal_attribution *a = &e->attribution;
    const int64_t *dim = e->program->values[a->result >= 0 ? a->result : e->program->input].shape.dim;
    const sal_attribution_info info = {sizeof info, a->method->info.name, e->layer, dim[1], dim[2], dim[3]};
    st = sal_struct_write(out, &info, sizeof info, "sal_attribution_info");
done:
    return st;
}

const sal_method_options *sal_engine_get_method(const sal_engine *e)
{
    return &e->attribution.options;
}

unsigned sal_engine_method_has(const sal_engine *e)
{
    return e->attribution.method->has;
}

/* Of 3 x 3 and stride 1, with as many channels as Winograd's algorithm is used from, or fewer where a device rounds
 * them up. */
static int is_for_winograd(const sal_program *p, const sal_step *s)
{
    enum { LEAST_CHANNELS = 64, MOST_ROUNDED_UP = 15 };
    const sal_window *w = &s->node->window;
    const int64_t in = p->values[s->inputs[0]].shape.dim[1], out = s->node->shape.dim[1];
    int fits = (in < out ? in : out) + MOST_ROUNDED_UP >= LEAST_CHANNELS;
    for (int k = 0; k < 2; k++)
        fits &= w->kernel[k] == 3 && w->stride[k] == 1 && w->dilation[k] == 1;
    return fits;
}

int sal_engine_has_ties(const sal_engine *e)
{
    const sal_program *p = e->program;
    for (size_t s = 0; s < p->forward_count; s++)
        if (p->steps[s].ties && is_for_winograd(p, &p->steps[s]))
            return 1;
    return 0;
}

/* ---- The plan ----------------------------------------------------------- */

static uint64_t value_bytes(const sal_program *p, int value)
{
    return (uint64_t)p->values[value].bytes * (uint64_t)p->values[value].pictures;
}

sal_status sal_engine_get_plan(sal_plan_info *out, const sal_engine *e)
{
    sal_status st = SAL_OK;
    sal_plan_info info = {0};
    TRY(sal_require(out, "out", __func__));
    TRY(sal_require(e, "engine", __func__));
    const sal_program *p = e->program;
    info.device = e->device;
    info.batch = p->batch;
    info.asked_batch = p->asked_batch;
    info.chunk = p->segments[0].chunk;
    info.arena_bytes = p->arena_bytes;
    info.weight_bytes = p->weight_bytes;
    info.scratch_bytes = p->scratch_bytes;
    info.kept_bytes = p->kept_bytes;
    info.steps = p->step_count;
    for (size_t i = 0; i < p->step_count; i++)
        info.flops += sal_step_flops(p, &p->steps[i]);
    st = sal_struct_write(out, &info, sizeof info, "sal_plan_info");
done:
    return st;
}

sal_status sal_engine_get_pass(sal_pass_info *out, const sal_engine *e, sal_pass_kind pass)
{
    sal_status st = SAL_OK;
    sal_pass_info info = {0};
    TRY(sal_require(out, "out", __func__));
    TRY(sal_require(e, "engine", __func__));
    if (pass != SAL_PASS_FORWARD && pass != SAL_PASS_BACKWARD)
        return sal_fail(SAL_ERROR_ARGUMENT, "unknown pass %d", (int)pass);
    const sal_program *p = e->program;
    if (p->backend->get_pass)
        TRY(p->backend->get_pass(&info, p->device, pass == SAL_PASS_BACKWARD));
    st = sal_struct_write(out, &info, sizeof info, "sal_pass_info");
done:
    return st;
}

sal_status sal_engine_get_step(sal_step_info *out, const sal_engine *e, size_t index)
{
    sal_status st = SAL_OK;
    sal_step_info info = {0};
    TRY(sal_require(out, "out", __func__));
    TRY(sal_require(e, "engine", __func__));
    const sal_program *p = e->program;
    if (index >= p->step_count)
        return sal_fail(SAL_ERROR_ARGUMENT, "step %zu of a program of %zu", index, p->step_count);
    const sal_step *step = &p->steps[index];
    info.name = step->node->name;
    info.kind = sal_step_kind_name(step->kind);
    info.algorithm = p->needs[index].algorithm;
    info.note = p->needs[index].note;
    info.output_bytes = value_bytes(p, step->output);
    info.arena_offset = p->values[step->output].offset;
    if (step->kept >= 0)
        info.kept_bytes += value_bytes(p, step->kept);
    /* Smooth activations and gates keep the values themselves. */
    if (index < p->forward_count && step->output != p->scores && p->values[step->output].last >= (int)p->step_count)
        info.kept_bytes += info.output_bytes;
    info.flops = sal_step_flops(p, step);
    st = sal_struct_write(out, &info, sizeof info, "sal_step_info");
done:
    return st;
}

/* ---- Running ------------------------------------------------------------ */

sal_status sal_engine_take(sal_engine *e)
{
    if (atomic_flag_test_and_set(&e->in_use))
        return sal_fail(SAL_ERROR_ARGUMENT,
                        "the engine (%s) is in use by another call: an engine does one at a time; "
                        "open one for each thread",
                        e->device);
    return SAL_OK;
}

void sal_engine_give_back(sal_engine *e)
{
    atomic_flag_clear(&e->in_use);
}

/* A ReLU would hide what is no number: max(NaN, 0) is 0. */
static sal_status check_finite(const float *x, int64_t count, int64_t elements, const char *what)
{
    const uint32_t exponent = 0x7f800000;
    for (int64_t n = 0; n < count; n++) {
        int bad = 0;
        for (int64_t i = 0; i < elements; i++) {
            uint32_t bits;
            memcpy(&bits, &x[n * elements + i], sizeof bits);
            bad |= (bits & exponent) == exponent;
        }
        if (bad)
            return sal_fail(SAL_ERROR_NUMERIC, "picture %lld of the batch: its %s has NaN or infinite values",
                            (long long)n, what);
    }
    return SAL_OK;
}

sal_status sal_engine_forward(sal_engine *e, float *scores, const float *inputs, int64_t count)
{
    sal_status st = SAL_OK;
    TRY(sal_require(e, "engine", __func__));
    TRY(sal_require(inputs, "inputs", __func__));
    if (count < 1 || count > e->program->batch)
        return sal_fail(SAL_ERROR_ARGUMENT, "%lld pictures in a batch of %lld", (long long)count,
                        (long long)e->program->batch);
    TRY(check_finite(inputs, count, e->attribution.input_elements, "input"));
    TRY(sal_engine_take(e));
    st = sal_program_forward(e->program, scores ? scores : e->attribution.scores, inputs, count);
    sal_engine_give_back(e);
done:
    return st;
}

sal_status sal_engine_begin(sal_engine *e, const sal_gradient_job *job)
{
    sal_status st = SAL_OK;
    TRY(sal_attribution_check(&e->attribution, job));
    TRY(sal_attribution_begin(&e->attribution, job));
done:
    return st;
}

void sal_engine_set_stop(sal_engine *e, const atomic_int *stop)
{
    e->attribution.stop = stop;
}

sal_status sal_engine_attribute(sal_engine *e, const sal_gradient_job *job, int64_t each)
{
    return sal_attribution_run(&e->attribution, job, each);
}

sal_status sal_engine_download(sal_engine *e, float *attributions, int64_t count)
{
    return sal_program_download(e->program, attributions, e->attribution.result, count);
}

static sal_status run(sal_engine *e, const sal_gradient_job *job)
{
    sal_status st = SAL_OK;
    const int64_t targets = job->each > 0 ? job->each : 1;
    TRY(sal_attribution_check(&e->attribution, job));
    TRY(check_finite(job->inputs, job->count, e->attribution.input_elements, "input"));
    if (job->baselines)
        TRY(check_finite(job->baselines, job->count, e->attribution.input_elements, "baseline"));
    TRY(sal_engine_begin(e, job));
    for (int64_t k = 0; k < targets; k++) {
        TRY(sal_engine_attribute(e, job, k));
        TRY(sal_engine_download(e, job->gradients + k * job->count * e->attribution.elements, job->count));
    }
done:
    return st;
}

static sal_status take_and_run(sal_engine *e, const sal_gradient_job *job)
{
    sal_status st = SAL_OK;
    TRY(sal_require(job->gradients, "gradients", "sal_engine_gradients"));
    TRY(sal_engine_take(e));
    st = run(e, job);
    sal_engine_give_back(e);
done:
    return st;
}

sal_status sal_engine_gradients(sal_engine *e, const sal_gradient_job *job)
{
    sal_status st = SAL_OK;
    sal_gradient_job full;
    TRY(sal_require(e, "engine", __func__));
    TRY(sal_require(job, "job", __func__));
    TRY(sal_struct_read(&full, sizeof full, job, "sal_gradient_job"));
    st = take_and_run(e, &full);
done:
    return st;
}

sal_status sal_engine_gradient(sal_engine *e, float *gradients, float *scores, int64_t *chosen, const float *inputs,
                               const sal_target *targets, int64_t count)
{
    sal_status st = SAL_OK;
    const sal_gradient_job job = {.inputs = inputs,
                                  .count = count,
                                  .targets = targets,
                                  .gradients = gradients,
                                  .scores = scores,
                                  .chosen = chosen};
    TRY(sal_require(e, "engine", "sal_engine_gradients"));
    st = take_and_run(e, &job);
done:
    return st;
}

/* ---- Maps on the device ------------------------------------------------- */

int sal_engine_makes_maps(const sal_engine *e)
{
    return e->program->backend->maps != NULL;
}

void sal_engine_prefetch(sal_engine *e, const float *inputs, int64_t count)
{
    sal_program_prefetch(e->program, inputs, count);
}

sal_status sal_engine_maps(sal_engine *e, float *maps, sal_map_stats *stats, int64_t height, int64_t width,
                           int64_t count, const sal_map_options *options)
{
    const sal_program *p = e->program;
    const int result = e->attribution.result;
    return p->backend->maps->make(maps, stats, p->device, sal_program_address(p, result), &p->values[result], height,
                                  width, count, options);
}

sal_status sal_engine_overlay(uint8_t *rgb, sal_engine *e, int64_t picture, const sal_picture *shown,
                              const struct sal_placement *placement, const struct sal_overlay_style *style)
{
    const sal_program *p = e->program;
    return p->backend->maps->overlay(rgb, p->device, picture, shown, placement, style);
}

sal_status sal_engine_finish_maps(sal_engine *e)
{
    return e->program->backend->maps->finish(e->program->device);
}
