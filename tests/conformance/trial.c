#include "conformance/trial.h"

#include "base/memory.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

sal_status trial_wrong(trial *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(t->reason, sizeof t->reason, format, args);
    va_end(args);
    return SAL_ERROR_NUMERIC;
}

/* ---- The op ------------------------------------------------------------- */

static sal_status random_floats(trial *t, float **out, size_t *count, size_t wanted, double centre, double spread)
{
    sal_status st = sal_alloc(out, wanted, sizeof **out, "test weights");
    for (size_t i = 0; st == SAL_OK && i < wanted; i++) {
        const double v = centre + dice_between(&t->dice, -spread, spread);
        (*out)[i] = (float)(t->s->storage > 0.0 ? round_coarsely(v) : v);
    }
    *count = wanted;
    return st;
}

static sal_status make_weights(trial *t, sal_node *n)
{
    sal_status st = SAL_OK;
    const problem *p = t->p;
    const int axis = p->op == SAL_OP_DENSE ? p->inputs[0].rank - 1 : p->axis > 1 ? p->axis : 1;
    size_t channels = (size_t)p->inputs[0].dim[axis], weights = 0;
    double centre = 0.0, spread = 1.0;
    if (p->op == SAL_OP_CONV)
        weights = (size_t)p->outputs * (channels / (size_t)p->window.groups) *
                  (size_t)(p->window.kernel[0] * p->window.kernel[1]);
    else if (p->op == SAL_OP_DENSE)
        weights = (size_t)p->outputs * channels;
    else if (p->op == SAL_OP_AFFINE || p->op == SAL_OP_LAYER_NORM)
        weights = p->scalar_weight ? 1 : channels, centre = 1.0, spread = 0.5;
    else if (p->op == SAL_OP_CONSTANT)
        weights = (size_t)sal_shape_elements(&p->reshaped);
    if (weights > 0)
        TRY(random_floats(t, &n->weight, &n->weight_count, weights, centre, spread));
    if (p->bias != BIAS_NONE)
        TRY(random_floats(t, &n->bias, &n->bias_count,
                          p->bias == BIAS_SCALAR ? 1
                          : p->outputs           ? (size_t)p->outputs
                                                 : channels,
                          0.0, 1.0));
done:
    return st;
}

/* Elements of x in any order, some never and some often; of several taps each has a weight, every fifth of them 0. */
static sal_status make_taps(trial *t, sal_node *n)
{
    sal_status st = SAL_OK;
    const int64_t extent = t->p->inputs[0].dim[t->p->axis];
    n->taps = t->p->taps;
    n->index_count = (size_t)(t->p->count * t->p->taps);
    TRY(sal_alloc(&n->index, n->index_count, sizeof *n->index, "test indices"));
    for (size_t k = 0; k < n->index_count; k++)
        n->index[k] = (int32_t)dice_below(&t->dice, extent);
    if (n->taps > 1)
        TRY(random_floats(t, &n->weight, &n->weight_count, n->index_count, 0.0, 1.0));
    for (size_t k = 0; k < n->weight_count; k += 5)
        n->weight[k] = 0.0f;
done:
    return st;
}

sal_status trial_make_node(trial *t)
{
    sal_status st = SAL_OK;
    const problem *p = t->p;
    int inputs[SUITE_MAX_INPUTS];
    sal_graph_init(&t->graph);
    for (int k = 0; k < p->input_count; k++) {
        TRY(sal_graph_add(&inputs[k], &t->graph, SAL_OP_INPUT, NULL, NULL, 0));
        t->graph.nodes[inputs[k]].shape = p->inputs[k];
    }
    TRY(sal_graph_add(&t->node, &t->graph, p->op, "problem", inputs, p->input_count));
    sal_node *n = &t->graph.nodes[t->node];
    n->window = p->window;
    n->activation = p->activation;
    n->axis = p->axis;
    n->start = p->start;
    n->step = p->step;
    n->groups = p->groups;
    n->epsilon = 1e-5f;
    n->axis_count = p->axis_count;
    n->reduction = p->reduction;
    memcpy(n->transpose, p->transpose, sizeof n->transpose);
    n->scale = (float)p->scale;
    n->rows = (p->rows & ROWS_OUT) != 0;
    n->value = p->op == SAL_OP_PAD ? 0.75f : 0.0f;
    memcpy(n->permutation, p->permutation, sizeof n->permutation);
    if (p->reshaped.rank > 0)
        n->shape = p->reshaped;
    if (p->op == SAL_OP_SLICE)
        n->shape.dim[p->axis] = p->count;
    TRY(make_weights(t, n));
    if (p->op == SAL_OP_GATHER)
        TRY(make_taps(t, n));
    TRY(sal_graph_infer(&t->graph, t->node));
done:
    return st;
}

/* ---- Values ------------------------------------------------------------- */

size_t trial_elements(const trial *t, int v)
{
    return (size_t)sal_shape_elements(&t->values[v].shape);
}

sal_status trial_add_value(int *out, trial *t, sal_value_type type, const sal_shape *shape, int picture)
{
    sal_status st = SAL_OK;
    int k = t->value_count++;
    sal_value *v = &t->values[k];
    *v = (sal_value){.type = type, .shape = *shape, .picture = picture, .conv_picture = picture, .rows = t->rows};
    t->s->backend->place(t->s->device, v);
    v->pictures = t->p->batch;
    /* Where a step may begin at any picture of the batch, each picture is aligned. */
    if (v->bytes == 0 || (t->s->backend->chunks && v->bytes % t->s->backend->alignment != 0))
        return trial_wrong(t, "place() gives a value of %zu bytes", v->bytes);
    TRY(buffer_open(&t->buffers[k], t->s, v->bytes * (size_t)t->p->batch));
    TRY(buffer_fill(&t->buffers[k], t->s, type == SAL_VALUE_FLOATS ? POISON_FLOATS : 0xa5a5a5a5U));
    *out = k;
done:
    return st;
}

/* Calls `visit` for every padding channel's float of a blocked value; *word is the memory's. */
int trial_each_padding(trial *t, int v, uint32_t *words, int (*visit)(trial *, uint32_t *))
{
    const sal_value *value = &t->values[v];
    if (value->layout != SAL_LAYOUT_BLOCKED || value->type != SAL_VALUE_FLOATS)
        return 1;
    int64_t block = t->s->block, channels = value->shape.dim[1], pixels = value->shape.dim[2] * value->shape.dim[3];
    int good = 1;
    for (int64_t n = 0; n < t->p->batch; n++)
        for (int64_t c = channels; c % block != 0; c++)
            for (int64_t i = 0; i < pixels; i++) {
                size_t at = (size_t)n * value->bytes / 4 + (size_t)((c / block * pixels + i) * block + c % block);
                good &= visit(t, &words[at]);
            }
    return good;
}

static int set_garbage(trial *t, uint32_t *word)
{
    float value = (float)dice_between(&t->dice, -1e4, 1e4);
    memcpy(word, &value, sizeof value);
    return 1;
}

static sal_status put_garbage_in_padding(trial *t, int v)
{
    sal_status st = SAL_OK;
    uint32_t *words = NULL;
    TRY(sal_alloc(&words, t->buffers[v].bytes / 4, sizeof *words, "a value"));
    TRY(buffer_read(&t->buffers[v], t->s, words));
    trial_each_padding(t, v, words, set_garbage);
    TRY(buffer_write(&t->buffers[v], t->s, words));
done:
    sal_free(words);
    return st;
}

sal_status trial_upload(trial *t, int v)
{
    sal_status st = SAL_OK;
    size_t count = trial_elements(t, v) * (size_t)t->p->batch;
    float *host = NULL;
    TRY(sal_alloc(&host, count, sizeof *host, "a value"));
    for (size_t i = 0; i < count; i++)
        host[i] = (float)t->numbers[v][i];
    TRY(t->s->backend->upload(t->s->device, buffer_data(&t->buffers[v]), &t->values[v], host, t->p->batch,
                              t->p->batch));
    TRY(put_garbage_in_padding(t, v));
done:
    sal_free(host);
    return st;
}

/* A value with random numbers, of which the device holds the same. */
sal_status trial_add_random(int *out, trial *t, const sal_shape *shape, int picture, double spread)
{
    sal_status st = SAL_OK;
    TRY(trial_add_value(out, t, SAL_VALUE_FLOATS, shape, picture));
    size_t count = trial_elements(t, *out) * (size_t)t->p->batch;
    TRY(sal_alloc(&t->numbers[*out], count, sizeof **t->numbers, "a value"));
    for (size_t i = 0; i < count; i++) {
        double v = dice_between(&t->dice, -spread, spread);
        t->numbers[*out][i] = t->p->grid            ? round(4.0 * v) / 4.0
                              : t->s->storage > 0.0 ? round_coarsely(v)
                                                    : (double)(float)v;
    }
    TRY(trial_upload(t, *out));
done:
    return st;
}

/* The output in the memory of input `over`: the buffer is shared, not owned twice. */
void trial_share(trial *t, int output, int over)
{
    buffer_close(&t->buffers[output], t->s);
    t->buffers[output] = t->buffers[over];
}

/* ---- Comparing ---------------------------------------------------------- */

sal_status trial_compare(trial *t, int v, const double *expected, const double *tolerance)
{
    sal_status st = SAL_OK;
    size_t one = trial_elements(t, v), count = one * (size_t)t->p->batch;
    float *actual = NULL;
    TRY(sal_alloc(&actual, count, sizeof *actual, "a value"));
    TRY(t->s->backend->download(t->s->device, actual, buffer_data(&t->buffers[v]), &t->values[v], t->p->batch));
    size_t at = first_wrong(expected, tolerance, actual, count);
    if (at < count) {
        int64_t rest = (int64_t)(at % one);
        char place[100] = "";
        const sal_shape *s = &t->values[v].shape;
        for (int j = s->rank - 1; j >= 1; j--) {
            char next[100];
            snprintf(next, sizeof next, ", %lld%.70s", (long long)(rest % s->dim[j]), place);
            memcpy(place, next, sizeof place);
            rest /= s->dim[j];
        }
        st = trial_wrong(t, "[%zu%s]: %.9g, expected %.9g (off by %.3g, may be %.3g)", at / one, place,
                         (double)actual[at], expected[at], fabs((double)actual[at] - expected[at]), tolerance[at]);
    }
done:
    sal_free(actual);
    return st;
}

void trial_close(trial *t)
{
    for (int v = 0; v < t->value_count; v++) {
        for (int other = v + 1; other < t->value_count; other++)
            if (t->buffers[other].memory == t->buffers[v].memory)
                t->buffers[other].memory = NULL;
        buffer_close(&t->buffers[v], t->s);
        sal_free(t->numbers[v]);
    }
    sal_graph_clear(&t->graph);
}
