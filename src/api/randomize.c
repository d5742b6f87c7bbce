/* Networks with some of their weights drawn anew. */
#include "api/model.h"
#include "backend/method_math.h"
#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void moments(double *mean, double *deviation, const float *x, size_t count)
{
    double sum = 0.0, squares = 0.0;
    for (size_t i = 0; i < count; i++)
        sum += (double)x[i];
    *mean = sum / (double)count;
    for (size_t i = 0; i < count; i++)
        squares += ((double)x[i] - *mean) * ((double)x[i] - *mean);
    *deviation = sqrt(squares / (double)count);
}

/* stream: no two arrays of a network have the same. */
static void draw(float *out, const float *like, size_t count, uint64_t seed, uint32_t stream)
{
    const sal_noise noise = {.picture = seed, .run = 0, .deviation = 1.0f};
    double mean, deviation;
    float normals[4];
    moments(&mean, &deviation, like, count);
    for (size_t i = 0; i < count; i++) {
        if (i % 4 == 0)
            sal_noise_normals(normals, &noise, stream, (uint32_t)(i / 4));
        out[i] = (float)(mean + deviation * (double)normals[i % 4]);
    }
}

/* The node's weights become its own. */
static sal_status draw_node(sal_node *n, int index, uint64_t seed)
{
    sal_status st = SAL_OK;
    float *fresh = NULL;
    if (n->weight_count == 0)
        return SAL_OK;
    TRY(sal_alloc(&fresh, n->weight_count, sizeof *fresh, "weights"));
    draw(fresh, n->weight, n->weight_count, seed, 2 * (uint32_t)index);
    sal_node_drop_weight(n);
    n->weight = fresh;
    if (n->bias && n->bias_count > 0)
        draw(n->bias, n->bias, n->bias_count, seed, 2 * (uint32_t)index + 1);
done:
    return st;
}

static sal_status find_layer(int *out, const sal_model *m, const char *layer)
{
    *out = 0;
    for (int i = 0; layer && i < (int)m->graph.count; i++)
        if (strcmp(m->graph.nodes[i].name, layer) == 0) {
            *out = i;
            return SAL_OK;
        }
    return layer ? sal_fail(SAL_ERROR_ARGUMENT, "%s: has no layer '%s' ('salmap inspect' lists them)", m->path, layer)
                 : SAL_OK;
}

static sal_status copy_text(char **out, const char *text)
{
    return text ? sal_strdup(out, text) : SAL_OK;
}

static sal_status copy_rows(sal_model *to, const sal_model *from)
{
    sal_status st = SAL_OK;
    TRY(sal_alloc(&to->details, from->graph.count, sizeof *to->details, "the layer table"));
    TRY(sal_alloc(&to->problems, from->graph.count, sizeof *to->problems, "the layer table"));
    memcpy(to->details, from->details, from->graph.count * sizeof *to->details);
    memcpy(to->problems, from->problems, from->graph.count * sizeof *to->problems);
done:
    return st;
}

sal_status sal_model_randomize(sal_model **out, sal_model *model, const char *layer, uint64_t seed)
{
    sal_status st = SAL_OK;
    sal_model *m = NULL;
    int first;
    TRY(sal_require(out, "out", __func__));
    *out = NULL;
    TRY(sal_require(model, "model", __func__));
    TRY(find_layer(&first, model, layer));
    TRY(sal_alloc(&m, 1, sizeof *m, "the model"));
    pthread_mutex_init(&m->lock, NULL);
    sal_graph_init(&m->graph);
    m->drawn = 1;
    m->info = model->info;
    TRY(copy_text(&m->path, model->path));
    TRY(copy_text(&m->output, model->output));
    TRY(copy_text(&m->layer, model->layer));
    m->options = model->options;
    m->options.output = m->output;
    m->options.layer = m->layer;
    m->limits = model->limits;
    m->options.limits = &m->limits;
    TRY(sal_model_share_graph(&m->graph, model, 0));
    for (int i = first; i < (int)m->graph.count; i++)
        TRY(draw_node(&m->graph.nodes[i], i, seed));
    TRY(sal_graph_freeze(&m->graph));
    TRY(copy_rows(m, model));
    *out = m;
    m = NULL;
done:
    sal_model_close(m);
    return st;
}
