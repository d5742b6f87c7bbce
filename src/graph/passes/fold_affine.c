/* Affine maps (batch norm, scaling of the input) go into the weights of the conv or dense layer before or
 * behind them, plain factors into the scale of a product of matrices. Computed in double, rounded once. */
#include "base/memory.h"
#include "graph/passes.h"
#include "graph/rewrite.h"

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static double weight_of(const sal_node *affine, size_t channel)
{
    return (double)affine->weight[affine->weight_count == 1 ? 0 : channel];
}

static double bias_of(const sal_node *affine, size_t channel)
{
    return affine->bias ? (double)affine->bias[affine->bias_count == 1 ? 0 : channel] : 0.0;
}

static int has_shift(const sal_node *affine)
{
    for (size_t i = 0; i < affine->bias_count; i++)
        if (affine->bias[i] != 0.0F)
            return 1;
    return 0;
}

static int is_scalar(const sal_node *affine)
{
    return affine->weight_count == 1 && affine->bias_count <= 1;
}

/* A layer with weights over axis 1. */
static int is_layer(const sal_node *node)
{
    return node->op == SAL_OP_CONV || (node->op == SAL_OP_DENSE && node->shape.rank == 2);
}

/* One factor for all, which is not 0: a scale of 0 would stand for none. */
static int is_factor(const sal_node *node)
{
    return node->op == SAL_OP_AFFINE && is_scalar(node) && !has_shift(node) && node->weight[0] != 0.0F;
}

static sal_status need_bias(sal_node *layer, size_t outputs)
{
    if (layer->bias)
        return SAL_OK;
    sal_status st = sal_alloc(&layer->bias, outputs, sizeof *layer->bias, layer->name);
    if (st == SAL_OK)
        layer->bias_count = outputs;
    return st;
}

static sal_status fold_behind(sal_node *layer, const sal_node *affine)
{
    size_t outputs = (size_t)layer->shape.dim[1], taps = layer->weight_count / outputs;
    if (has_shift(affine)) {
        sal_status st = need_bias(layer, outputs);
        if (st != SAL_OK)
            return st;
    }
    for (size_t o = 0; o < outputs; o++) {
        double scale = weight_of(affine, o);
        for (size_t t = 0; t < taps; t++)
            layer->weight[o * taps + t] = (float)((double)layer->weight[o * taps + t] * scale);
        if (layer->bias)
            layer->bias[o] = (float)((double)layer->bias[o] * scale + bias_of(affine, o));
    }
    return SAL_OK;
}

static sal_status fold_before(sal_node *layer, const sal_node *affine)
{
    int conv = layer->op == SAL_OP_CONV;
    size_t outputs = (size_t)layer->shape.dim[1];
    size_t groups = conv ? (size_t)layer->window.groups : 1;
    size_t area = conv ? (size_t)(layer->window.kernel[0] * layer->window.kernel[1]) : 1;
    size_t channels = layer->weight_count / outputs / area;
    if (has_shift(affine)) {
        sal_status st = need_bias(layer, outputs);
        if (st != SAL_OK)
            return st;
    }
    for (size_t o = 0; o < outputs; o++) {
        size_t first = o / (outputs / groups) * channels;
        double shift = 0.0;
        for (size_t c = 0; c < channels; c++) {
            double scale = weight_of(affine, first + c), sum = 0.0;
            float *w = layer->weight + (o * channels + c) * area;
            for (size_t t = 0; t < area; t++) {
                sum += (double)w[t];
                w[t] = (float)((double)w[t] * scale);
            }
            shift += sum * bias_of(affine, first + c);
        }
        if (layer->bias)
            layer->bias[o] = (float)((double)layer->bias[o] + shift);
    }
    return SAL_OK;
}

/* second := second after first. */
static sal_status merge(sal_node *second, const sal_node *first)
{
    sal_status st = SAL_OK;
    float *weight = NULL, *bias = NULL;
    size_t weights = larger(first->weight_count, second->weight_count);
    size_t biases = larger(first->bias ? larger(first->bias_count, second->weight_count) : 0, second->bias_count);
    TRY(sal_alloc(&weight, weights, sizeof *weight, second->name));
    if (biases > 0)
        TRY(sal_alloc(&bias, biases, sizeof *bias, second->name));
    for (size_t c = 0; c < weights; c++)
        weight[c] = (float)(weight_of(first, c) * weight_of(second, c));
    for (size_t c = 0; c < biases; c++)
        bias[c] = (float)(bias_of(first, c) * weight_of(second, c) + bias_of(second, c));
    if (is_scalar(second))
        second->axis = first->axis;
    sal_free(second->weight);
    sal_free(second->bias);
    second->weight = weight;
    second->weight_count = weights;
    second->bias = bias;
    second->bias_count = biases;
    weight = bias = NULL;
done:
    sal_free(weight);
    sal_free(bias);
    return st;
}

static sal_status visit_affine(sal_rewrite *rw, int i, sal_node *affine)
{
    sal_status st = SAL_OK;
    int producer = affine->inputs[0];
    sal_node *x = &rw->graph->nodes[producer];
    if (rw->uses[producer] != 1)
        return SAL_OK;
    if (x->op == SAL_OP_MATMUL && is_factor(affine)) {
        x->scale = (float)((double)x->scale * weight_of(affine, 0));
        sal_rewrite_replace(rw, i, producer);
    } else if (is_layer(x) && (affine->axis == 1 || is_scalar(affine)) && x->input_count == 1 &&
               x->activation.kind == SAL_ACT_NONE) {
        st = fold_behind(x, affine);
        if (st == SAL_OK)
            sal_rewrite_replace(rw, i, producer);
    } else if (x->op == SAL_OP_AFFINE && (x->axis == affine->axis || is_scalar(x) || is_scalar(affine))) {
        st = merge(affine, x);
        if (st == SAL_OK) {
            sal_rewrite_set_input(rw, affine, 0, x->inputs[0]);
            rw->changed++;
        }
    }
    return st;
}

static sal_status visit_layer(sal_rewrite *rw, sal_node *layer)
{
    const sal_node *affine = sal_rewrite_input(rw, layer, 0);
    const sal_window *w = &layer->window;
    if (affine->op != SAL_OP_AFFINE || rw->uses[layer->inputs[0]] != 1 || (affine->axis != 1 && !is_scalar(affine)))
        return SAL_OK;
    /* The conv pads with zeros what the affine has not shifted yet. */
    int padded = layer->op == SAL_OP_CONV && (w->pad_begin[0] || w->pad_begin[1] || w->pad_end[0] || w->pad_end[1]);
    if (padded && has_shift(affine))
        return SAL_OK;
    sal_status st = fold_before(layer, affine);
    if (st == SAL_OK) {
        sal_rewrite_set_input(rw, layer, 0, affine->inputs[0]);
        rw->changed++;
    }
    return st;
}

static void visit_matmul(sal_rewrite *rw, sal_node *matmul)
{
    for (int k = 0; k < 2; k++) {
        const sal_node *affine = sal_rewrite_input(rw, matmul, k);
        if (!is_factor(affine) || rw->uses[matmul->inputs[k]] != 1)
            continue;
        matmul->scale = (float)((double)matmul->scale * weight_of(affine, 0));
        sal_rewrite_set_input(rw, matmul, k, affine->inputs[0]);
        rw->changed++;
    }
}

sal_status sal_pass_fold_affine(sal_graph *graph, int *changed)
{
    sal_rewrite rw;
    sal_status st = sal_rewrite_begin(&rw, graph);
    for (int i = 0; st == SAL_OK && i < (int)rw.count; i++) {
        sal_node *node = sal_rewrite_visit(&rw, i);
        if (node->op == SAL_OP_AFFINE)
            st = visit_affine(&rw, i, node);
        else if (node->op == SAL_OP_MATMUL)
            visit_matmul(&rw, node);
        else if (is_layer(node))
            st = visit_layer(&rw, node);
    }
    return sal_rewrite_end(&rw, st, changed);
}
