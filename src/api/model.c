/* Model files for callers: opened, checked and described. */
#include "api/model.h"
#include "api/identity.h"

#include "attribution/target.h"
#include "backend/backend.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/struct.h"
#include "graph/passes.h"
#include "import/import.h"
#include "program/tape.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void find_problem(char *text, size_t size, const sal_backend *backend, const sal_node *node)
{
    const sal_derivative *d = sal_derivative_get(node->op);
    const sal_step_kind kinds[2] = {d->forward, d->backward};
    for (int k = 0; k < 2 && node->op != SAL_OP_INPUT; k++)
        if (kinds[k] != SAL_STEP_COUNT && !backend->rows[kinds[k]]) {
            snprintf(text, size, "the %s back end has no %s", backend->name, sal_step_kind_name(kinds[k]));
            return;
        }
    if (backend->check_node(node) != SAL_OK)
        snprintf(text, size, "%s", sal_last_error());
}

static sal_status describe(sal_model *m)
{
    sal_status st = SAL_OK;
    const sal_backend *backend;
    const char *spec;
    TRY(sal_backend_find(&backend, &spec, NULL));
    TRY(sal_alloc(&m->details, m->graph.count, sizeof *m->details, "the layer table"));
    TRY(sal_alloc(&m->problems, m->graph.count, sizeof *m->problems, "the layer table"));
    for (size_t i = 0; i < m->graph.count; i++) {
        const sal_node *node = &m->graph.nodes[i];
        sal_layer_detail(m->details[i], sizeof m->details[i], &m->graph, node);
        find_problem(m->problems[i], sizeof m->problems[i], backend, node);
    }
done:
    return st;
}

static sal_status check_input(const sal_model *m)
{
    const sal_shape *in = &m->graph.nodes[m->graph.input].shape;
    if (in->rank != 4)
        return sal_fail(SAL_ERROR_UNSUPPORTED, "%s: the input has %d axes besides the batch; a picture has 3", m->path,
                        in->rank - 1);
    if (in->dim[1] > SAL_MAX_CHANNELS)
        return sal_fail(SAL_ERROR_UNSUPPORTED, "%s: the input has %lld channels, at most %d can be fed", m->path,
                        (long long)in->dim[1], SAL_MAX_CHANNELS);
    return SAL_OK;
}

/* Others have their own messages. */
static int is_readable_file(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0 && access(path, R_OK) == 0;
}

/* What is opened to read the model. */
static const char *source_of(const sal_model *m)
{
    return m->copy.path[0] ? m->copy.path : m->path;
}

/* Messages of importers begin with the path that they read, which means nothing to a caller who gave bytes. */
static sal_status name_model(sal_status st, const sal_model *m)
{
    const char *text = sal_last_error();
    const size_t n = strlen(m->copy.path);
    return n > 0 && strncmp(text, m->copy.path, n) == 0 ? sal_fail(st, "%s%s", m->path, text + n) : st;
}

/* info may be NULL. */
static sal_status read_graph(sal_graph *graph, sal_import_info *info, const sal_model *m)
{
    errno = 0;
    sal_status st = sal_import(graph, info, source_of(m), &m->options);
    if (st != SAL_OK)
        return sal_fail_memory_if(name_model(st, m), m->path); /* of bytes: not the path of their copy */
    graph->wanted_head = m->options.layer;
    graph->wanted_at = m->options.at;
    graph->wanted_coral = m->options.coral != 0;
    graph->wanted_first = m->options.first_age;
    st = sal_passes_run(graph);
    graph->wanted_head = graph->wanted_at = NULL;
    graph->wanted_coral = 0;
    return st == SAL_OK ? st : sal_fail_in(st, "%s", m->path);
}

static sal_status read_again(sal_graph *out, const sal_model *m)
{
    sal_status st = SAL_OK;
    if (m->drawn)
        return sal_fail(SAL_ERROR_ARGUMENT, "%s: its weights were drawn at random and dropped: draw them again",
                        m->path);
    TRY(sal_model_files_check(&m->files, 1));
    TRY(read_graph(out, NULL, m));
    TRY(sal_graph_freeze(out));
    TRY(sal_model_files_check(&m->files, 1));
done:
    return st == SAL_OK ? st : name_model(st, m);
}

static void drop_weights(sal_model *m)
{
    for (size_t i = 0; i < m->graph.count; i++)
        sal_node_drop_weight(&m->graph.nodes[i]);
    m->dropped = 1;
}

sal_status sal_model_share_graph(sal_graph *out, sal_model *m, int take)
{
    sal_status st = SAL_OK;
    pthread_mutex_lock(&m->lock);
    const int again = m->dropped;
    if (!again)
        st = sal_graph_share(out, &m->graph);
    if (!again && st == SAL_OK && take && !m->drawn) /* what was drawn could not be read again */
        drop_weights(m);
    pthread_mutex_unlock(&m->lock);
    return again ? read_again(out, m) : st;
}

sal_status sal_model_drop_weights(sal_model *m)
{
    sal_status st = SAL_OK;
    TRY(sal_require(m, "model", __func__));
    pthread_mutex_lock(&m->lock);
    drop_weights(m);
    pthread_mutex_unlock(&m->lock);
done:
    return st;
}

sal_status sal_model_open(sal_model **out, const char *path, const sal_limits *limits)
{
    const sal_model_options options = {.size = sizeof options, .limits = limits};
    return sal_model_open_with(out, path, &options);
}

/* The model, and which files it was read from: those that others wrote meanwhile are refused. */
static sal_status read_files(sal_model *m)
{
    sal_status st = SAL_OK;
    if (is_readable_file(source_of(m)))
        TRY(sal_model_files_add(&m->files, source_of(m), NULL));
    TRY(read_graph(&m->graph, &m->info, m));
    for (size_t i = 0; i < m->graph.data_file_count; i++)
        TRY(sal_model_files_add(&m->files, m->graph.data_files[i].path, &m->graph.data_files[i].then));
    TRY(sal_model_files_check(&m->files, 1));
    TRY(sal_graph_freeze(&m->graph));
    sal_memory_trim(); /* what reading took */
done:
    return st;
}

static sal_status copy_options(sal_model *m, const sal_model_options *options)
{
    sal_status st = SAL_OK;
    sal_model_options given = SAL_MODEL_OPTIONS_INIT;
    TRY(sal_struct_read(&given, sizeof given, options, "sal_model_options"));
    m->limits = (sal_limits)SAL_LIMITS_INIT;
    TRY(sal_struct_read(&m->limits, sizeof m->limits, given.limits, "sal_limits"));
    if (given.height < 0 || given.width < 0)
        return sal_fail(SAL_ERROR_ARGUMENT, "the input's size is %lld x %lld", (long long)given.height,
                        (long long)given.width);
    if (given.output)
        TRY(sal_strdup(&m->output, given.output));
    if (given.layer)
        TRY(sal_strdup(&m->layer, given.layer));
    if (given.at)
        TRY(sal_strdup(&m->at, given.at));
    if (given.at && given.coral)
        return sal_fail(SAL_ERROR_ARGUMENT,
                        "at '%.100s' with coral: an age is made of all outputs; give one of the two", given.at);
    if (given.coral != 0 && given.coral != 1)
        return sal_fail(SAL_ERROR_ARGUMENT, "coral %lld: must be 0 or 1", (long long)given.coral);
    if (!(fabs(given.first_age) <= 1e6) || (given.first_age != 0.0 && !given.coral))
        return sal_fail(SAL_ERROR_ARGUMENT, "first_age %g: of coral, from -1e6 to 1e6", given.first_age);
    m->options = given;
    m->options.at = m->at;
    m->options.output = m->output;
    m->options.layer = m->layer;
    m->options.limits = &m->limits;
done:
    return st;
}

/* bytes: what to read in place of the file at path; or NULL. */
static sal_status open_from(sal_model **out, const char *path, const void *bytes, size_t size,
                            const sal_model_options *options)
{
    sal_status st = SAL_OK;
    sal_model *m = NULL;
    TRY(sal_alloc(&m, 1, sizeof *m, "the model"));
    pthread_mutex_init(&m->lock, NULL);
    sal_graph_init(&m->graph);
    TRY(sal_strdup(&m->path, path));
    TRY(copy_options(m, options));
    if (bytes) {
        const uint64_t most = m->limits.max_model_bytes;
        TRY(sal_file_check_size(size, most ? most : SAL_IMPORT_MAX_BYTES, path));
        TRY(sal_memory_copy_make(&m->copy, bytes, size));
    }
    st = read_files(m);
    if (st != SAL_OK)
        st = name_model(st, m);
    TRY(st);
    TRY(check_input(m));
    TRY(describe(m));
    *out = m;
    m = NULL;
done:
    sal_model_close(m);
    return st;
}

sal_status sal_model_open_with(sal_model **out, const char *path, const sal_model_options *options)
{
    sal_status st = SAL_OK;
    TRY(sal_require(out, "out", __func__));
    *out = NULL;
    TRY(sal_require(path, "path", __func__));
    st = open_from(out, path, NULL, 0, options);
done:
    return st;
}

sal_status sal_model_open_bytes(sal_model **out, const void *bytes, size_t size, const sal_model_options *options)
{
    sal_status st = SAL_OK;
    TRY(sal_require(out, "out", __func__));
    *out = NULL;
    TRY(sal_require(bytes, "bytes", __func__));
    st = open_from(out, "model in memory", bytes, size, options);
done:
    return st;
}

sal_status sal_model_hash(char sha256[SAL_DIGEST_SIZE], const sal_model *m)
{
    return m->drawn ? sal_fail(SAL_ERROR_ARGUMENT, "%s: its weights are random numbers: no file has them", m->path)
                    : sal_model_files_hash(sha256, &m->files);
}

const char *sal_model_file_path(const sal_model *m, size_t index)
{
    return index < m->files.count ? m->files.list[index].path : NULL;
}

const char *sal_model_class_names(const sal_model *m)
{
    return m->graph.class_names;
}

const sal_model_options *sal_model_get_options(const sal_model *m)
{
    return &m->options;
}

void sal_model_close(sal_model *m)
{
    if (!m)
        return;
    sal_graph_clear(&m->graph);
    sal_model_files_clear(&m->files);
    sal_memory_copy_clear(&m->copy);
    pthread_mutex_destroy(&m->lock);
    free(m->path);
    free(m->output);
    free(m->layer);
    free(m->at);
    sal_free(m->details);
    sal_free(m->problems);
    sal_free(m);
}

/* The last conv or dense layer before the output: what follows it only reshapes or averages. */
static const char *head_name(const sal_graph *g)
{
    int at = g->head >= 0 ? g->head : g->output;
    while (g->nodes[at].op != SAL_OP_DENSE && g->nodes[at].op != SAL_OP_CONV && g->nodes[at].input_count > 0)
        at = g->nodes[at].inputs[0];
    return g->nodes[g->nodes[at].input_count > 0 ? at : g->output].name;
}

static const char *detached_name(const sal_graph *g)
{
    switch (g->detached) {
    case SAL_OP_SOFTMAX: return "softmax";
    case SAL_OP_ACTIVATION: return "sigmoid";
    default: return NULL;
    }
}

sal_status sal_model_get_info(sal_model_info *out, const sal_model *m)
{
    sal_status st = SAL_OK;
    sal_model_info info = {0};
    TRY(sal_require(out, "out", __func__));
    TRY(sal_require(m, "model", __func__));
    const sal_graph *g = &m->graph;
    const sal_shape *in = &g->nodes[g->input].shape;
    info.path = m->path;
    info.format = m->info.format;
    info.output = m->info.output[0] ? m->info.output : NULL;
    info.other_outputs = m->info.output[0] && m->info.others[0] ? m->info.others : NULL;
    info.dropped = m->info.dropped[0] ? m->info.dropped : NULL;
    info.preset = m->info.preset;
    info.preset_reason = m->info.preset_reason[0] ? m->info.preset_reason : NULL;
    info.rescales = m->info.rescales[0] ? m->info.rescales : NULL;
    info.channels = in->dim[1];
    info.height = in->dim[2];
    info.width = in->dim[3];
    info.channels_last = g->channels_last;
    info.outputs = sal_shape_elements(&g->nodes[g->output].shape);
    info.layers = g->count;
    info.head = head_name(g);
    info.detached = detached_name(g);
    info.made = g->made;
    info.supported = 1;
    for (size_t i = 0; i < g->count; i++) {
        info.parameters += g->nodes[i].weight_count + g->nodes[i].bias_count;
        info.flops += sal_op_get(g->nodes[i].op)->flops(g, &g->nodes[i]);
        info.supported &= m->problems[i][0] == '\0';
    }
    st = sal_struct_write(out, &info, sizeof info, "sal_model_info");
done:
    return st;
}

sal_status sal_model_get_layer(sal_layer_info *out, const sal_model *m, size_t index)
{
    sal_status st = SAL_OK;
    sal_layer_info info = {0};
    TRY(sal_require(out, "out", __func__));
    TRY(sal_require(m, "model", __func__));
    if (index >= m->graph.count)
        return sal_fail(SAL_ERROR_ARGUMENT, "layer %zu of a model of %zu", index, m->graph.count);
    const sal_node *node = &m->graph.nodes[index];
    info.name = node->name;
    info.op = sal_op_get(node->op)->name;
    info.detail = m->details[index];
    info.rank = node->shape.rank - 1;
    for (int i = 0; i < info.rank; i++)
        info.shape[i] = node->shape.dim[i + 1];
    info.parameters = node->weight_count + node->bias_count;
    info.flops = sal_op_get(node->op)->flops(&m->graph, node);
    info.problem = m->problems[index][0] ? m->problems[index] : NULL;
    st = sal_struct_write(out, &info, sizeof info, "sal_layer_info");
done:
    return st;
}

static sal_scores_kind scores_kind(const sal_model *m)
{
    return (sal_scores_kind){sal_shape_elements(&m->graph.nodes[m->graph.output].shape), m->graph.detached};
}

sal_status sal_model_check_target(const sal_model *m, const sal_target *target)
{
    sal_status st = SAL_OK;
    TRY(sal_require(m, "model", __func__));
    TRY(sal_require(target, "target", __func__));
    const sal_scores_kind kind = scores_kind(m);
    TRY(sal_target_check(target, &kind));
done:
    return st;
}

sal_status sal_model_probabilities(float *probabilities, const sal_model *m, const float *scores, int64_t count)
{
    sal_status st = SAL_OK;
    TRY(sal_require(probabilities, "probabilities", __func__));
    TRY(sal_require(m, "model", __func__));
    TRY(sal_require(scores, "scores", __func__));
    if (count < 0)
        return sal_fail(SAL_ERROR_ARGUMENT, "%s: %lld rows of scores", __func__, (long long)count);
    const sal_scores_kind kind = scores_kind(m);
    for (int64_t i = 0; i < count; i++)
        TRY(sal_target_probabilities(probabilities + i * kind.outputs, scores + i * kind.outputs, &kind));
done:
    return st;
}
