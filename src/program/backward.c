/* The backward pass: steps from the scores to the input, or to a layer. None computes a weight gradient. Where a tensor
 * has several readers, the second and later contributions to its gradient take the sum so far as `addend`. */
#include "program/tape.h"

#include <string.h>

/* Appends a step that adds to the gradient of node `to`. */
static sal_status contribute(sal_tape *t, sal_step_kind kind, const sal_node *node, int to, const int *inputs,
                             int input_count, int operand)
{
    sal_status st = SAL_OK;
    sal_step *s;
    int output;
    TRY(sal_tape_value(&output, t, SAL_VALUE_FLOATS, &t->graph->nodes[to]));
    TRY(sal_tape_step(&s, t, kind, node, inputs, input_count, output));
    s->operand = operand;
    t->program->values[output].picture = to == t->graph->input;
    if (t->gradients[to] != SAL_NONE) {
        s->addend = t->gradients[to];
        s->inputs[s->input_count++] = s->addend;
    }
    t->gradients[to] = output;
done:
    return st;
}

/* The gradient dy itself is the contribution: nothing to compute unless there is one already. */
static sal_status contribute_same(sal_tape *t, const sal_node *node, int to, int dy)
{
    sal_status st = SAL_OK;
    if (t->gradients[to] == SAL_NONE) {
        t->gradients[to] = dy;
        return st;
    }
    int inputs[2] = {t->gradients[to], dy};
    int output;
    sal_step *s;
    TRY(sal_tape_value(&output, t, SAL_VALUE_FLOATS, &t->graph->nodes[to]));
    TRY(sal_tape_step(&s, t, SAL_STEP_ADD, node, inputs, 2, output));
    t->gradients[to] = output;
done:
    return st;
}

/* The step that makes dy, the gradient of node i, if all that becomes of dy is to go through the ReLU of node i and if
 * that step can do so itself; else NULL. */
static sal_step *relu_taker(const sal_tape *t, int i, int dy)
{
    const sal_program *p = t->program;
    sal_step *maker = NULL;
    if (p->lean || t->rule != SAL_RULE_GRADIENT || t->graph->nodes[i].activation.kind != SAL_ACT_RELU)
        return NULL;
    for (int j = 0; j < i; j++)
        if (t->gradients[j] == dy)
            return NULL;
    for (size_t s = p->forward_count; s < p->step_count; s++) {
        for (int k = 0; k < p->steps[s].input_count; k++)
            if (p->steps[s].inputs[k] == dy)
                return NULL;
        if (p->steps[s].output == dy)
            maker = &p->steps[s];
    }
    const int able = maker && maker->kind == SAL_STEP_CONV_BACKWARD && maker->activated == SAL_NONE &&
                     p->backend->takes_relu(maker->node);
    return able ? maker : NULL;
}

/* Whether the step that makes dy takes the ReLU of node i along: dy is then the gradient before it. */
static int take_relu_along(sal_tape *t, int i, int dy)
{
    sal_step *s = relu_taker(t, i, dy);
    if (!s)
        return 0;
    s->activated = i;
    if (s->addend != SAL_NONE)
        s->inputs[s->input_count] = s->addend;
    s->inputs[s->addend == SAL_NONE ? s->input_count : s->input_count - 1] = s->activated;
    s->input_count++;
    return 1;
}

/* Through an activation that is fused into node i: dy becomes the gradient before it. */
static sal_status through_fused_activation(int *dy, sal_tape *t, int i)
{
    sal_status st = SAL_OK;
    const sal_node *n = &t->graph->nodes[i];
    if (n->activation.kind == SAL_ACT_NONE || take_relu_along(t, i, *dy))
        return st;
    int inputs[2] = {*dy, SAL_NONE};
    int output;
    sal_step *s;
    TRY(sal_tape_kept(&inputs[1], t, i));
    TRY(sal_tape_value(&output, t, SAL_VALUE_FLOATS, n));
    TRY(sal_tape_step(&s, t, SAL_STEP_ACTIVATION_BACKWARD, n, inputs, 2, output));
    *dy = output;
done:
    return st;
}

static sal_status back_activation(sal_tape *t, int i, int dy)
{
    const sal_node *n = &t->graph->nodes[i];
    int inputs[2] = {dy, SAL_NONE};
    sal_status st = SAL_OK;
    if (take_relu_along(t, i, dy))
        return contribute_same(t, n, n->inputs[0], dy);
    switch (sal_activation_keep(n->activation.kind)) {
    case SAL_KEEP_SIGN: st = sal_tape_kept(&inputs[1], t, i); break;
    case SAL_KEEP_INPUT: st = sal_tape_value_again(&inputs[1], t, n->inputs[0]); break;
    case SAL_KEEP_OUTPUT: st = sal_tape_value_again(&inputs[1], t, i); break;
    case SAL_KEEP_NOTHING: return contribute_same(t, n, n->inputs[0], dy);
    default: break;
    }
    if (st == SAL_OK)
        st = contribute(t, SAL_STEP_ACTIVATION_BACKWARD, n, n->inputs[0], inputs, 2, 0);
    if (st == SAL_OK && sal_activation_is_arithmetic(n->activation.kind))
        t->program->steps[t->program->step_count - 1].rule = SAL_RULE_GRADIENT;
    return st;
}

/* Two factors: the gradient of each needs the other. */
static sal_status back_product(sal_tape *t, int i, int dy)
{
    sal_status st = SAL_OK;
    const sal_node *n = &t->graph->nodes[i];
    for (int k = 0; k < 2; k++) {
        int inputs[2] = {dy, SAL_NONE};
        if (!t->wanted[n->inputs[k]])
            continue;
        TRY(sal_tape_value_again(&inputs[1], t, n->inputs[1 - k]));
        TRY(contribute(t, sal_derivative_get(n->op)->backward, n, n->inputs[k], inputs, 2, k));
    }
done:
    return st;
}

static sal_status back_add(sal_tape *t, int i, int dy)
{
    sal_status st = SAL_OK;
    const sal_graph *g = t->graph;
    const sal_node *n = &g->nodes[i];
    for (int k = 0; k < 2; k++) {
        int to = n->inputs[k];
        if (!t->wanted[to])
            continue;
        if (sal_shape_equal(&g->nodes[to].shape, &n->shape))
            TRY(contribute_same(t, n, to, dy));
        else
            TRY(contribute(t, SAL_STEP_REDUCE_SPATIAL, n, to, &dy, 1, k));
    }
done:
    return st;
}

static sal_status back_weighted(sal_tape *t, int i, int dy)
{
    sal_status st = SAL_OK;
    const sal_node *n = &t->graph->nodes[i];
    TRY(through_fused_activation(&dy, t, i));
    if (n->input_count > 1 && t->wanted[n->inputs[1]])
        TRY(contribute_same(t, n, n->inputs[1], dy));
    if (t->wanted[n->inputs[0]])
        TRY(contribute(t, sal_derivative_get(n->op)->backward, n, n->inputs[0], &dy, 1, 0));
done:
    return st;
}

static sal_status back_concat(sal_tape *t, int i, int dy)
{
    sal_status st = SAL_OK;
    const sal_node *n = &t->graph->nodes[i];
    int64_t first = 0;
    for (int k = 0; k < n->input_count; k++) {
        const sal_node *part = &t->graph->nodes[n->inputs[k]];
        if (t->wanted[n->inputs[k]]) {
            TRY(contribute(t, SAL_STEP_CONCAT_BACKWARD, n, n->inputs[k], &dy, 1, k));
            t->program->steps[t->program->step_count - 1].first_channel = first;
        }
        first += part->shape.dim[n->axis];
    }
done:
    return st;
}

/* One input, and one backward step of dy and what is kept. */
static sal_status back_simple(sal_tape *t, int i, int dy)
{
    sal_status st = SAL_OK;
    const sal_node *n = &t->graph->nodes[i];
    int inputs[2] = {dy, SAL_NONE}, count = 2;
    switch (sal_node_keep(n)) {
    case SAL_KEEP_SIGN:
    case SAL_KEEP_INDICES: TRY(sal_tape_kept(&inputs[1], t, i)); break;
    case SAL_KEEP_INPUT: TRY(sal_tape_value_again(&inputs[1], t, n->inputs[0])); break;
    case SAL_KEEP_OUTPUT: TRY(sal_tape_value_again(&inputs[1], t, i)); break;
    case SAL_KEEP_NOTHING: count = 1; break;
    }
    TRY(contribute(t, sal_derivative_get(n->op)->backward, n, n->inputs[0], inputs, count, 0));
done:
    return st;
}

/* ---- The table -------------------------------------------------------------- */

const sal_derivative *sal_derivative_get(sal_op op)
{
    static const sal_derivative rows[SAL_OP_COUNT] = {
        [SAL_OP_CONV] = {SAL_STEP_CONV, SAL_STEP_CONV_BACKWARD, back_weighted},
        [SAL_OP_DENSE] = {SAL_STEP_DENSE, SAL_STEP_DENSE_BACKWARD, back_weighted},
        [SAL_OP_AFFINE] = {SAL_STEP_AFFINE, SAL_STEP_AFFINE_BACKWARD, back_simple},
        [SAL_OP_ACTIVATION] = {SAL_STEP_ACTIVATION, SAL_STEP_ACTIVATION_BACKWARD, back_activation},
        [SAL_OP_ADD] = {SAL_STEP_ADD, SAL_STEP_COUNT, back_add},
        [SAL_OP_MUL] = {SAL_STEP_MUL, SAL_STEP_MUL_BACKWARD, back_product},
        [SAL_OP_CONCAT] = {SAL_STEP_CONCAT, SAL_STEP_CONCAT_BACKWARD, back_concat},
        [SAL_OP_SLICE] = {SAL_STEP_SLICE, SAL_STEP_SLICE_BACKWARD, back_simple},
        [SAL_OP_MAX_POOL] = {SAL_STEP_MAX_POOL, SAL_STEP_MAX_POOL_BACKWARD, back_simple},
        [SAL_OP_AVG_POOL] = {SAL_STEP_AVG_POOL, SAL_STEP_AVG_POOL_BACKWARD, back_simple},
        [SAL_OP_REDUCE_MEAN] = {SAL_STEP_REDUCE_MEAN, SAL_STEP_REDUCE_MEAN_BACKWARD, back_simple},
        [SAL_OP_RESHAPE] = {SAL_STEP_RESHAPE, SAL_STEP_RESHAPE_BACKWARD, back_simple},
        [SAL_OP_TRANSPOSE] = {SAL_STEP_TRANSPOSE, SAL_STEP_TRANSPOSE_BACKWARD, back_simple},
        [SAL_OP_SHUFFLE] = {SAL_STEP_SHUFFLE, SAL_STEP_SHUFFLE_BACKWARD, back_simple},
        [SAL_OP_PAD] = {SAL_STEP_PAD, SAL_STEP_PAD_BACKWARD, back_simple},
        [SAL_OP_SOFTMAX] = {SAL_STEP_SOFTMAX, SAL_STEP_SOFTMAX_BACKWARD, back_simple},
        [SAL_OP_LAYER_NORM] = {SAL_STEP_LAYER_NORM, SAL_STEP_LAYER_NORM_BACKWARD, back_simple},
        [SAL_OP_CONSTANT] = {SAL_STEP_CONSTANT, SAL_STEP_COUNT, NULL},
        [SAL_OP_EXPAND] = {SAL_STEP_EXPAND, SAL_STEP_EXPAND_BACKWARD, back_simple},
        [SAL_OP_REDUCE] = {SAL_STEP_REDUCE, SAL_STEP_REDUCE_BACKWARD, back_simple},
        [SAL_OP_MATMUL] = {SAL_STEP_MATMUL, SAL_STEP_MATMUL_BACKWARD, back_product},
        [SAL_OP_GATHER] = {SAL_STEP_GATHER, SAL_STEP_GATHER_BACKWARD, back_simple},
    };
    return &rows[op];
}

/* ---- All of it ---------------------------------------------------------------- */

/* Values written by backward steps, but for those that hold a forward value again. */
static void mark_gradients(sal_program *p, const sal_tape *t)
{
    for (size_t s = p->forward_count; s < p->step_count; s++)
        p->values[p->steps[s].output].gradient = 1;
    for (size_t i = 0; i < t->graph->count; i++)
        if (t->again[i] != SAL_NONE)
            p->values[t->again[i]].gradient = 0;
    p->values[p->seed].gradient = 1;
}

/* Nobody asks for the gradient of what does not depend on the end. */
static void mark_wanted(sal_tape *t, int end)
{
    for (int i = end; i < (int)t->graph->count; i++) {
        const sal_node *n = &t->graph->nodes[i];
        t->wanted[i] = i == end;
        for (int k = 0; k < n->input_count; k++)
            t->wanted[i] |= t->wanted[n->inputs[k]];
    }
}

sal_status sal_tape_backward(sal_tape *t, int end)
{
    sal_status st = SAL_OK;
    sal_graph *g = t->graph;
    sal_program *p = t->program;
    TRY(sal_tape_value(&p->seed, t, SAL_VALUE_FLOATS, &g->nodes[g->output]));
    t->gradients[g->output] = p->seed;
    mark_wanted(t, end);
    for (int i = (int)g->count - 1; i > end; i--) {
        const sal_derivative *d = sal_derivative_get(g->nodes[i].op);
        p->backward_start[i] = (int)p->step_count;
        if (t->gradients[i] != SAL_NONE && d->back) /* the input and constants have none */
            TRY(d->back(t, i, t->gradients[i]));
    }
    for (int i = end; i >= 0; i--)
        p->backward_start[i] = (int)p->step_count;
    p->gradient = t->gradients[end];
    mark_gradients(p, t);
    if (p->gradient == SAL_NONE)
        st = sal_fail(SAL_ERROR_UNSUPPORTED, "the scores do not depend on %s%s%s",
                      end == g->input ? "the input" : "layer '", end == g->input ? "" : g->nodes[end].name,
                      end == g->input ? "" : "'");
done:
    return st;
}
