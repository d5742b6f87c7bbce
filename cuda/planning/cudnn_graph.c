#include "planning/cudnn_graph.h"

#include "base/memory.h"
#include "planning/cudnn_describe.h"
#include "planning/driver_stand_in.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef cudnnBackendDescriptor_t descriptor;

/* The best few of a list are tried: those behind them are slower than an unfused plan. */
enum { MAX_CONFIGS = 32, TEXT = 256 };

struct cudnn_graph {
    cudnn_graph_problem problem;
    cudnn_descriptors owned; /* the operation graph's; a plan may refer to it */
    descriptor config;       /* of the plan; NULL when it was loaded */
    descriptor plan;
    size_t workspace;
    int64_t engine;
    char passed_over[256]; /* what an engine that was tried before broke down with, or "" */
};

sal_status cuda_cudnn_check(cudnnStatus_t status, const char *call)
{
    char reason[400] = "";
    if (status == CUDNN_STATUS_SUCCESS)
        return SAL_OK;
    nvidia.cudnnGetLastErrorString(reason, sizeof reason);
    /* That a library or the driver is missing or too old is no word on the graph: it may be mended. */
    const int broken = status == CUDNN_STATUS_NOT_SUPPORTED_INCOMPATIBLE_CUDA_DRIVER ||
                       status == CUDNN_STATUS_NOT_SUPPORTED_INCOMPATIBLE_CUDART ||
                       status == CUDNN_STATUS_NOT_SUPPORTED_RUNTIME_PREREQUISITE_MISSING ||
                       status == CUDNN_STATUS_NOT_SUPPORTED_SUBLIBRARY_UNAVAILABLE;
    const sal_status st = status == CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED ||
                                  status == CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED
                              ? SAL_ERROR_MEMORY
                          : broken                                                           ? SAL_ERROR_DEVICE
                          : CUDNN_STATUS_CATEGORY((int)status) == CUDNN_STATUS_NOT_SUPPORTED ? SAL_ERROR_UNSUPPORTED
                                                                                             : SAL_ERROR_DEVICE;
    return sal_fail(st, "cuDNN: %.*s: %s%s%s", CUDA_NVIDIA_NAME(call), nvidia.cudnnGetErrorString(status),
                    reason[0] ? ": " : "", reason);
}

/* ---- Which engines will do -------------------------------------------------- */

static sal_status make(descriptor *out, cudnnBackendDescriptorType_t type)
{
    return CUDNN_CHECK(nvidia.cudnnBackendCreateDescriptor(type, out));
}

static void destroy(descriptor d)
{
    if (d)
        (void)nvidia.cudnnBackendDestroyDescriptor(d);
}

static sal_status set(descriptor d, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                      const void *value)
{
    return CUDNN_CHECK(nvidia.cudnnBackendSetAttribute(d, name, type, 1, value));
}

/* Results that change from run to run never; sums in less than float never; strict float32 multiplies float32; where
 * ties matter, nothing that rounds by the place in a tile. */
static int is_refused(const cudnn_graph_problem *p, cudnnBackendNumericalNote_t note)
{
    switch (note) {
    case CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC:
    case CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION: return 1;
    case CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS: return p->type == CUDA_TYPE_FLOAT;
    case CUDNN_NUMERICAL_NOTE_TENSOR_CORE: return p->type == CUDA_TYPE_FLOAT && !p->tf32;
    case CUDNN_NUMERICAL_NOTE_FFT:
    case CUDNN_NUMERICAL_NOTE_WINOGRAD:
    case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_4x4:
    case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_6x6:
    case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13: return p->ties;
    default: return 0;
    }
}

/* *engine is its number, or -1 where its arithmetic is not what the problem asks for. */
static sal_status judge(int64_t *engine, const cudnn_graph_problem *p, descriptor config)
{
    sal_status st = SAL_OK;
    descriptor e = NULL;
    cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
    int64_t count = 0;
    TRY(make(&e, CUDNN_BACKEND_ENGINE_DESCRIPTOR));
    TRY(CUDNN_CHECK(nvidia.cudnnBackendGetAttribute(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                                    1, &count, &e)));
    TRY(CUDNN_CHECK(
        nvidia.cudnnBackendGetAttribute(e, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &count, engine)));
    TRY(CUDNN_CHECK(nvidia.cudnnBackendGetAttribute(e, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                                                    CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &count, notes)));
    for (int64_t k = 0; k < count && k < CUDNN_NUMERICAL_NOTE_TYPE_COUNT; k++)
        if (is_refused(p, notes[k]))
            *engine = -1;
done:
    destroy(e);
    return st;
}

/* ---- Plans -------------------------------------------------------------------- */

static sal_status get_workspace(size_t *out, descriptor plan)
{
    int64_t count, bytes = 0;
    sal_status st = CUDNN_CHECK(nvidia.cudnnBackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE,
                                                                CUDNN_TYPE_INT64, 1, &count, &bytes));
    *out = bytes > 0 ? (size_t)bytes : 0;
    return st;
}

static sal_status try_plan(cudnn_graph *g, const cudnn_target *target)
{
    return target->trial ? target->trial(target->context, g, &g->problem) : SAL_OK;
}

/* Takes the configuration over on success. */
static sal_status try_config(cudnn_graph *g, const cudnn_target *target, descriptor *config, size_t limit)
{
    sal_status st = SAL_OK;
    descriptor plan = NULL;
    size_t bytes = 0;
    int64_t engine = -1;
    TRY(judge(&engine, &g->problem, *config));
    if (engine < 0) {
        st = sal_fail(SAL_ERROR_UNSUPPORTED, "cuDNN: its engines round otherwise than was asked for");
        goto done;
    }
    TRY(make(&plan, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR));
    TRY(set(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_TYPE_BACKEND_DESCRIPTOR, config));
    if (target->handle)
        TRY(set(plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, &target->handle));
    TRY(CUDNN_CHECK(nvidia.cudnnBackendFinalize(plan)));
    TRY(get_workspace(&bytes, plan));
    if (bytes > limit) {
        st = sal_fail(SAL_ERROR_UNSUPPORTED, "cuDNN: its engines want more than %zu MiB of workspace", limit >> 20);
        goto done;
    }
    g->plan = plan;
    g->workspace = bytes;
    g->engine = engine;
    st = try_plan(g, target);
    if (st != SAL_OK) {
        g->plan = NULL;
        goto done;
    }
    g->config = *config;
    plan = *config = NULL;
done:
    destroy(plan);
    return st;
}

static sal_status ask(int64_t *count, descriptor *configs, descriptor heuristics, const cudnn_target *target,
                      descriptor operations, cudnnBackendHeurMode_t mode)
{
    sal_status st = SAL_OK;
    *count = 0;
    TRY(set(heuristics, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, &operations));
    TRY(set(heuristics, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, &mode));
    if (!target->handle)
        TRY(set(heuristics, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, CUDNN_TYPE_BACKEND_DESCRIPTOR, &target->properties));
    TRY(CUDNN_CHECK(nvidia.cudnnBackendFinalize(heuristics)));
    for (int k = 0; k < MAX_CONFIGS; k++)
        TRY(make(&configs[k], CUDNN_BACKEND_ENGINECFG_DESCRIPTOR));
    TRY(CUDNN_CHECK(nvidia.cudnnBackendGetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                                    CUDNN_TYPE_BACKEND_DESCRIPTOR, MAX_CONFIGS, count, configs)));
done:
    return st;
}

/* Why candidates were refused: what one broke down with says more than that another does not do it. */
typedef struct refusal {
    sal_status status;
    char why[1024];
} refusal;

static void note_refusal(refusal *r, sal_status st)
{
    if (r->status != SAL_OK && r->status != SAL_ERROR_UNSUPPORTED)
        return;
    r->status = st;
    snprintf(r->why, sizeof r->why, "%s", sal_last_error());
}

/* The first of a list that finalizes. Whatever an engine refuses for, the next may do: only a lack of memory ends
 * the search. UNSUPPORTED where each refused for good; DEVICE where one of them failed otherwise. */
static sal_status search(cudnn_graph *g, refusal *r, const cudnn_target *target, descriptor operations,
                         cudnnBackendHeurMode_t mode, size_t limit)
{
    descriptor heuristics = NULL, configs[MAX_CONFIGS] = {NULL};
    int64_t count = 0;
    sal_status st = make(&heuristics, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    if (st == SAL_OK)
        st = ask(&count, configs, heuristics, target, operations, mode);
    if (st == SAL_OK && count == 0)
        st = sal_fail(SAL_ERROR_UNSUPPORTED, "cuDNN: it has no engine for this");
    if (st != SAL_OK)
        note_refusal(r, st);
    for (int64_t k = 0; k < count && k < MAX_CONFIGS; k++) {
        st = try_config(g, target, &configs[k], limit);
        if (st == SAL_OK || st == SAL_ERROR_MEMORY)
            break;
        note_refusal(r, st);
    }
    for (int k = 0; k < MAX_CONFIGS; k++)
        destroy(configs[k]);
    destroy(heuristics);
    return st;
}

static sal_status graph_new(cudnn_graph **out, const cudnn_graph_problem *problem)
{
    sal_status st = sal_alloc(out, 1, sizeof **out, "a convolution's plan");
    if (st == SAL_OK)
        (*out)->problem = *problem;
    return st;
}

sal_status cudnn_graph_open(cudnn_graph **out, const cudnn_target *target, const cudnn_graph_problem *problem,
                            size_t limit)
{
    static const cudnnBackendHeurMode_t modes[] = {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK};
    sal_status st = SAL_OK;
    char text[TEXT];
    cudnn_graph *g = NULL;
    descriptor operations;
    *out = NULL;
    TRY(graph_new(&g, problem));
    TRY(cudnn_describe_problem(&operations, &g->owned, problem, target->handle));
    refusal r = {.status = SAL_OK};
    for (size_t k = 0; k < sizeof modes / sizeof *modes && !g->plan; k++) {
        st = search(g, &r, target, operations, modes[k], limit);
        if (st == SAL_ERROR_MEMORY)
            goto done;
    }
    if (r.status != SAL_OK && r.status != SAL_ERROR_UNSUPPORTED)
        snprintf(g->passed_over, sizeof g->passed_over, "%.*s", (int)sizeof g->passed_over - 1, r.why);
    if (st != SAL_OK) {
        st = sal_fail(r.status, "%s: %s", cudnn_graph_text(text, sizeof text, problem), r.why);
        goto done;
    }
    *out = g;
    g = NULL;
done:
    cudnn_graph_close(g);
    return st;
}

void cudnn_graph_close(cudnn_graph *g)
{
    if (!g)
        return;
    destroy(g->plan);
    destroy(g->config);
    cudnn_descriptors_clear(&g->owned);
    sal_free(g);
}

const char *cudnn_graph_passed_over(const cudnn_graph *g)
{
    return g->passed_over[0] ? g->passed_over : NULL;
}

size_t cudnn_graph_workspace(const cudnn_graph *g)
{
    return g->workspace;
}

int64_t cudnn_graph_engine(const cudnn_graph *g)
{
    return g->engine;
}

/* ---- Running -------------------------------------------------------------------- */

sal_status cudnn_graph_run(cudnn_graph *g, cudnnHandle_t handle, const cudnn_graph_memory *m)
{
    sal_status st = SAL_OK;
    descriptor pack = NULL;
    int64_t uids[6] = {CUDNN_UID_X, CUDNN_UID_WEIGHT, CUDNN_UID_Y}, count = 3;
    const void *pointers[6] = {m->x, m->weight, m->y};
    if (g->problem.bias) {
        uids[count] = CUDNN_UID_BIAS;
        pointers[count++] = m->bias;
    }
    if (g->problem.add) {
        uids[count] = CUDNN_UID_ADD;
        pointers[count++] = m->add;
    }
    if (g->problem.kind == CUDNN_GRAPH_BACKWARD && g->problem.activation.kind != SAL_ACT_NONE) {
        uids[count] = CUDNN_UID_ACTIVATED;
        pointers[count++] = m->activated;
    }
    TRY(make(&pack, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR));
    TRY(CUDNN_CHECK(
        nvidia.cudnnBackendSetAttribute(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, count, uids)));
    TRY(CUDNN_CHECK(nvidia.cudnnBackendSetAttribute(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR,
                                                    count, pointers)));
    TRY(set(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, &m->workspace));
    TRY(CUDNN_CHECK(nvidia.cudnnBackendFinalize(pack)));
    TRY(CUDNN_CHECK(nvidia.cudnnBackendExecute(handle, g->plan, pack)));
done:
    destroy(pack);
    return st;
}

/* ---- Text ------------------------------------------------------------------------ */

/* Appends; stops at the end of the buffer. */
static void append(char *text, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

static void append(char *text, size_t size, const char *format, ...)
{
    size_t used = strlen(text);
    va_list args;
    va_start(args, format);
    vsnprintf(text + used, size - used, format, args);
    va_end(args);
}

/* "r3" or "r1x7": one number where both axes agree. */
static void append_pair(char *text, size_t size, const char *letter, const int64_t pair[2])
{
    append(text, size, "%s%" PRId64, letter, pair[0]);
    if (pair[0] != pair[1])
        append(text, size, "x%" PRId64, pair[1]);
}

static void append_window(char *text, size_t size, const sal_window *w)
{
    append_pair(text, size, "r", w->kernel);
    append_pair(text, size, "s", w->stride);
    append_pair(text, size, "p", w->pad_begin);
    if (w->pad_end[0] != w->pad_begin[0] || w->pad_end[1] != w->pad_begin[1])
        append_pair(text, size, "q", w->pad_end);
    if (w->dilation[0] != 1 || w->dilation[1] != 1)
        append_pair(text, size, "d", w->dilation);
    if (w->groups != 1)
        append(text, size, "g%" PRId64, w->groups);
}

const char *cudnn_graph_text(char *text, size_t size, const cudnn_graph_problem *p)
{
    const cuda_conv *c = &p->conv;
    const char *const precision = p->type == CUDA_TYPE_HALF       ? "fp16"
                                  : p->type == CUDA_TYPE_BFLOAT16 ? "bf16"
                                  : p->tf32                       ? "tf32"
                                                                  : "fp32";
    snprintf(text, size, "n%" PRId64 "c%" PRId64 "h%" PRId64 "w%" PRId64 "k%" PRId64, c->in.pictures, c->in.channels,
             c->in.height, c->in.width, c->out.channels);
    append_window(text, size, &c->window);
    append(text, size, " %s %s%s%s", precision, p->kind == CUDNN_GRAPH_FORWARD ? "forward" : "backward",
           p->add ? " +add" : "",
           !p->bias                  ? ""
           : p->bias_type == p->type ? " +bias"
                                     : " +float bias");
    const sal_activation *a = &p->activation;
    if (a->kind == SAL_ACT_CLIP)
        append(text, size, " +clip %.9g,%.9g", (double)a->alpha, (double)a->beta);
    else if (a->kind == SAL_ACT_LEAKY_RELU)
        append(text, size, " +leaky relu %.9g", (double)a->alpha);
    else if (a->kind != SAL_ACT_NONE)
        append(text, size, " +%s", sal_activation_name(a->kind));
    append(text, size, "%s", p->ties ? " ties" : "");
    return text;
}

/* ---- Plans as text ----------------------------------------------------------------- */

/* Detects files cut short or changed, which cuDNN's reader is not made for (Fowler, Noll and Vo's hash 1a). */
static uint64_t hash_of(const char *text)
{
    uint64_t h = 14695981039346656037u;
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 1099511628211u;
    return h;
}

/* What precedes cuDNN's own JSON: the problem it is for, the engine and the hash of the rest. */
static const char heading_format[] =
    "{\"problem\":\"%s\",\"engine\":%" PRId64 ",\"hash\":\"%016" PRIx64 "\",\"plan\":\n";

sal_status cudnn_graph_save(char **out, const cudnn_graph *g)
{
    sal_status st = SAL_OK;
    char *json = NULL, text[TEXT];
    int64_t count = 0;
    *out = NULL;
    TRY(CUDNN_CHECK(nvidia.cudnnBackendGetAttribute(g->plan, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION,
                                                    CUDNN_TYPE_CHAR, 0, &count, NULL)));
    TRY(sal_alloc(&json, (size_t)count + 1, 1, "a plan"));
    TRY(CUDNN_CHECK(nvidia.cudnnBackendGetAttribute(g->plan, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION,
                                                    CUDNN_TYPE_CHAR, count, &count, json)));
    cudnn_graph_text(text, sizeof text, &g->problem);
    const uint64_t hash = hash_of(json);
    const int heading = snprintf(NULL, 0, heading_format, text, g->engine, hash);
    const size_t size = (size_t)heading + strlen(json) + sizeof "}\n";
    char *whole = malloc(size);
    if (!whole) {
        st = sal_fail_memory(size, "a plan");
        goto done;
    }
    snprintf(whole, size, heading_format, text, g->engine, hash);
    append(whole, size, "%s}\n", json);
    *out = whole;
done:
    sal_free(json);
    return st;
}

/* Where cuDNN's JSON lies in what cudnn_graph_save made, or FORMAT. */
static sal_status find_plan(char **plan, int64_t *engine, const char *json, const cudnn_graph_problem *problem)
{
    sal_status st = SAL_OK;
    char text[TEXT], heading[2 * TEXT];
    uint64_t hash = 0;
    const char *at = strstr(json, "\"engine\":");
    *plan = NULL;
    if (!at || sscanf(at, "\"engine\":%" SCNd64 ",\"hash\":\"%" SCNx64, engine, &hash) != 2)
        return sal_fail(SAL_ERROR_FORMAT, "the text of a plan has no heading");
    cudnn_graph_text(text, sizeof text, problem);
    const int length = snprintf(heading, sizeof heading, heading_format, text, *engine, hash);
    if (length < 0 || (size_t)length >= sizeof heading || strncmp(json, heading, (size_t)length) != 0)
        return sal_fail(SAL_ERROR_FORMAT, "the text of a plan is another problem's than %s", text);
    const size_t rest = strlen(json + length);
    if (rest < 2 || strcmp(json + (size_t)length + rest - 2, "}\n") != 0)
        return sal_fail(SAL_ERROR_FORMAT, "the text of a plan is cut short");
    TRY(sal_alloc(plan, rest, 1, "a plan"));
    memcpy(*plan, json + length, rest - 2);
    if (hash_of(*plan) != hash)
        st = sal_fail(SAL_ERROR_FORMAT, "the text of a plan is damaged");
done:
    return st;
}

sal_status cudnn_graph_load(cudnn_graph **out, const cudnn_target *target, const cudnn_graph_problem *problem,
                            const char *json)
{
    sal_status st = SAL_OK;
    cudnn_graph *g = NULL;
    char *plan = NULL;
    *out = NULL;
    TRY(graph_new(&g, problem));
    TRY(find_plan(&plan, &g->engine, json, problem));
    TRY(make(&g->plan, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR));
    if (target->handle)
        TRY(set(g->plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, &target->handle));
    else
        TRY(set(g->plan, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, CUDNN_TYPE_BACKEND_DESCRIPTOR, &target->properties));
    TRY(CUDNN_CHECK(nvidia.cudnnBackendSetAttribute(g->plan, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION,
                                                    CUDNN_TYPE_CHAR, (int64_t)strlen(plan), plan)));
    TRY(CUDNN_CHECK(nvidia.cudnnBackendFinalize(g->plan)));
    TRY(get_workspace(&g->workspace, g->plan));
    TRY(try_plan(g, target));
    *out = g;
    g = NULL;
done:
    sal_free(plan);
    cudnn_graph_close(g);
    return st;
}

/* ---- Described devices ----------------------------------------------------------------- */

sal_status cudnn_target_describe(descriptor *out, const char *json)
{
    sal_status st = SAL_OK;
    descriptor d = NULL;
    *out = NULL;
    /* Without it there are fewer engines, no failure. */
    (void)cuda_driver_stand_in();
    TRY(make(&d, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR));
    TRY(CUDNN_CHECK(nvidia.cudnnBackendSetAttribute(d, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
                                                    (int64_t)strlen(json), json)));
    TRY(CUDNN_CHECK(nvidia.cudnnBackendFinalize(d)));
    *out = d;
    d = NULL;
done:
    destroy(d);
    return st;
}
