/* Graph to steps: the forward pass, then backward-data steps for the nodes between
 * the scores and the picture. No step computes a weight gradient.
 *
 * Values are made once and never written again (the planner decides what shares
 * memory). Where a tensor has several readers, the second and later contributions
 * to its gradient take the sum so far as `addend`.
 *
 * What the backward pass reads is kept, unless it can be made again from what is
 * kept anyway by cheap steps (elementwise, depthwise): Chen et al. 2016, "Training
 * deep nets with sublinear memory cost", restricted to steps that cost almost nothing. */
#include "base/memory.h"
#include "program/program.h"

#include <stdlib.h>
#include <string.h>

typedef struct tape {
    sal_program *program;
    sal_graph *graph;
    sal_rule rule;
    size_t value_capacity;
    size_t step_capacity;
    int *values;      /* per node: its output */
    int *forward;     /* per node: the step that makes its output */
    int *kept;        /* per node: its mask or indices, or -1 while nobody wants them */
    int *gradients;   /* per node: gradient so far, or -1 */
    int *again;       /* per node: its output made again in the backward pass, or -1 */
    char *required;   /* per node: its output is read by the backward pass */
    char *repeatable; /* per node: cheap to make again from what is kept */
} tape;

static sal_status add_value(int *out, tape *t, sal_value_type type, const sal_shape *shape)
{
    sal_program *p = t->program;
    sal_status st = sal_grow(&p->values, &t->value_capacity, p->value_count + 1, sizeof *p->values, "values");
    if (st != SAL_OK)
        return st;
    sal_value *v = &p->values[p->value_count];
    v->type = type;
    v->shape = *shape;
    *out = (int)p->value_count++;
    return SAL_OK;
}

static sal_status add_step(sal_step **out, tape *t, sal_step_kind kind, const sal_node *node, const int *inputs,
                           int input_count, int output)
{
    sal_program *p = t->program;
    sal_status st = sal_grow(&p->steps, &t->step_capacity, p->step_count + 1, sizeof *p->steps, "steps");
    if (st != SAL_OK)
        return st;
    sal_step *s = &p->steps[p->step_count];
    /* Room for an addend, and for what a convolution takes along. */
    s->inputs = calloc((size_t)input_count + 2, sizeof *s->inputs);
    if (!s->inputs)
        return sal_fail_memory(((size_t)input_count + 2) * sizeof *s->inputs, "a step");
    p->step_count++;
    memcpy(s->inputs, inputs, (size_t)input_count * sizeof *inputs);
    s->input_count = input_count;
    s->kind = kind;
    s->node = node;
    s->output = output;
    s->kept = -1;
    s->addend = -1;
    s->activated = -1;
    s->rule = (int)t->rule;
    *out = s;
    return SAL_OK;
}

/* ---- Forward ------------------------------------------------------------ */

static sal_step_kind forward_kind(sal_op op)
{
    static const sal_step_kind kinds[SAL_OP_COUNT] = {
        [SAL_OP_CONV] = SAL_STEP_CONV,
        [SAL_OP_DENSE] = SAL_STEP_DENSE,
        [SAL_OP_AFFINE] = SAL_STEP_AFFINE,
        [SAL_OP_ACTIVATION] = SAL_STEP_ACTIVATION,
        [SAL_OP_ADD] = SAL_STEP_ADD,
        [SAL_OP_MUL] = SAL_STEP_MUL,
        [SAL_OP_CONCAT] = SAL_STEP_CONCAT,
        [SAL_OP_SLICE] = SAL_STEP_SLICE,
        [SAL_OP_MAX_POOL] = SAL_STEP_MAX_POOL,
        [SAL_OP_AVG_POOL] = SAL_STEP_AVG_POOL,
        [SAL_OP_REDUCE_MEAN] = SAL_STEP_REDUCE_MEAN,
        [SAL_OP_RESHAPE] = SAL_STEP_RESHAPE,
        [SAL_OP_TRANSPOSE] = SAL_STEP_TRANSPOSE,
        [SAL_OP_SHUFFLE] = SAL_STEP_SHUFFLE,
        [SAL_OP_PAD] = SAL_STEP_PAD,
        [SAL_OP_SOFTMAX] = SAL_STEP_SOFTMAX,
        [SAL_OP_LAYER_NORM] = SAL_STEP_LAYER_NORM,
    };
    return kinds[op];
}

static sal_status forward_step(tape *t, int i)
{
    const sal_node *n = &t->graph->nodes[i];
    sal_step *s;
    int *inputs = calloc((size_t)n->input_count, sizeof *inputs);
    if (!inputs)
        return sal_fail_memory((size_t)n->input_count * sizeof *inputs, "a step");
    for (int k = 0; k < n->input_count; k++)
        inputs[k] = t->values[n->inputs[k]];
    sal_status st = add_step(&s, t, forward_kind(n->op), n, inputs, n->input_count, t->values[i]);
    t->forward[i] = (int)t->program->step_count - 1;
    free(inputs);
    return st;
}

/* The mask or the indices of node i: from now on its forward step writes them. */
static sal_status kept_value(int *out, tape *t, int i)
{
    sal_status st = SAL_OK;
    const sal_node *n = &t->graph->nodes[i];
    if (t->kept[i] < 0) {
        TRY(add_value(&t->kept[i], t, n->op == SAL_OP_MAX_POOL ? SAL_VALUE_INDICES : SAL_VALUE_MASK, &n->shape));
        t->program->steps[t->forward[i]].kept = t->kept[i];
    }
    *out = t->kept[i];
done:
    return st;
}

static sal_status forward(tape *t)
{
    sal_status st = SAL_OK;
    const sal_graph *g = t->graph;
    for (int i = 0; i < (int)g->count; i++) {
        const sal_node *n = &g->nodes[i];
        TRY(add_value(&t->values[i], t, SAL_VALUE_FLOATS, &n->shape));
        if (n->op == SAL_OP_INPUT)
            continue;
        TRY(forward_step(t, i));
    }
    t->program->input = t->values[g->input];
    t->program->scores = t->values[g->output];
    t->program->forward_count = t->program->step_count;
done:
    return st;
}

/* ---- What to keep ------------------------------------------------------- */

static int is_small(const sal_node *n)
{
    return n->shape.rank != 4 || n->shape.dim[2] * n->shape.dim[3] == 1;
}

/* Elementwise and depthwise steps: a few operations per element. */
static int is_cheap(const sal_node *n)
{
    if (is_small(n))
        return 0;
    if (n->op == SAL_OP_ACTIVATION)
        return sal_activation_keep(n->activation.kind) != SAL_KEEP_SIGN;
    return n->op == SAL_OP_CONV && n->input_count == 1 && n->window.groups > 1 && n->window.groups == n->shape.dim[1] &&
           n->weight_count == (size_t)(n->window.groups * n->window.kernel[0] * n->window.kernel[1]) &&
           n->activation.kind == SAL_ACT_NONE;
}

static void require_inputs(tape *t, const sal_node *n)
{
    const int *in = n->inputs;
    if (n->op == SAL_OP_ACTIVATION && sal_activation_keep(n->activation.kind) == SAL_KEEP_INPUT)
        t->required[in[0]] = 1;
    if (n->op == SAL_OP_LAYER_NORM)
        t->required[in[0]] = 1;
    if (n->op == SAL_OP_MUL) {
        t->required[in[0]] = 1;
        t->required[in[1]] = 1;
    }
}

static void choose_kept(tape *t)
{
    const sal_graph *g = t->graph;
    for (int i = 0; i < (int)g->count; i++) {
        const sal_node *n = &g->nodes[i];
        require_inputs(t, n);
        int own = n->op == SAL_OP_SOFTMAX ||
                  (n->op == SAL_OP_ACTIVATION && sal_activation_keep(n->activation.kind) == SAL_KEEP_OUTPUT);
        t->required[i] |= (char)own;
    }
    for (int i = 0; i < (int)g->count; i++) {
        const sal_node *n = &g->nodes[i];
        if (!is_cheap(n))
            continue;
        int from = n->inputs[0];
        t->repeatable[i] = (char)((t->required[from] && !is_cheap(&g->nodes[from])) || t->repeatable[from]);
    }
}

/* The value of node i for the backward pass: kept, or made again just before it is needed. */
static sal_status backward_value(int *out, tape *t, int i)
{
    sal_status st = SAL_OK;
    if (!t->repeatable[i]) {
        *out = t->values[i];
        return st;
    }
    if (t->again[i] < 0) {
        const sal_node *n = &t->graph->nodes[i];
        int from, output;
        sal_step *s;
        TRY(backward_value(&from, t, n->inputs[0]));
        TRY(add_value(&output, t, SAL_VALUE_FLOATS, &n->shape));
        TRY(add_step(&s, t, forward_kind(n->op), n, &from, 1, output));
        t->again[i] = output;
    }
    *out = t->again[i];
done:
    return st;
}

/* ---- Backward ----------------------------------------------------------- */

/* Appends a step that adds to the gradient of node `to`. */
static sal_status contribute(tape *t, sal_step_kind kind, const sal_node *node, int to, const int *inputs,
                             int input_count, int operand)
{
    sal_status st = SAL_OK;
    sal_step *s;
    int output;
    TRY(add_value(&output, t, SAL_VALUE_FLOATS, &t->graph->nodes[to].shape));
    TRY(add_step(&s, t, kind, node, inputs, input_count, output));
    s->operand = operand;
    t->program->values[output].picture = to == t->graph->input;
    if (t->gradients[to] >= 0) {
        s->addend = t->gradients[to];
        s->inputs[s->input_count++] = s->addend;
    }
    t->gradients[to] = output;
done:
    return st;
}

/* The gradient dy itself is the contribution: nothing to compute unless there is one already. */
static sal_status contribute_same(tape *t, const sal_node *node, int to, int dy)
{
    sal_status st = SAL_OK;
    if (t->gradients[to] < 0) {
        t->gradients[to] = dy;
        return st;
    }
    int inputs[2] = {t->gradients[to], dy};
    int output;
    sal_step *s;
    TRY(add_value(&output, t, SAL_VALUE_FLOATS, &t->graph->nodes[to].shape));
    TRY(add_step(&s, t, SAL_STEP_ADD, node, inputs, 2, output));
    t->gradients[to] = output;
done:
    return st;
}

/* The step that makes dy, the gradient of node i, if all that becomes of dy is to go through the ReLU of node i and if
 * that step can do so itself; else NULL. */
static sal_step *relu_taker(const tape *t, int i, int dy)
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
    const int able =
        maker && maker->kind == SAL_STEP_CONV_BACKWARD && maker->activated < 0 && p->backend->takes_relu(maker->node);
    return able ? maker : NULL;
}

/* Whether the step that makes dy takes the ReLU of node i along: dy is then the gradient before it. */
static int take_relu_along(tape *t, int i, int dy)
{
    sal_step *s = relu_taker(t, i, dy);
    if (!s)
        return 0;
    s->activated = t->values[i];
    if (s->addend >= 0)
        s->inputs[s->input_count] = s->addend;
    s->inputs[s->addend >= 0 ? s->input_count - 1 : s->input_count] = s->activated;
    s->input_count++;
    return 1;
}

/* Through an activation that is fused into node i: dy becomes the gradient before it. */
static sal_status through_fused_activation(int *dy, tape *t, int i)
{
    sal_status st = SAL_OK;
    const sal_node *n = &t->graph->nodes[i];
    if (n->activation.kind == SAL_ACT_NONE || take_relu_along(t, i, *dy))
        return st;
    int inputs[2] = {*dy, -1};
    int output;
    sal_step *s;
    TRY(kept_value(&inputs[1], t, i));
    TRY(add_value(&output, t, SAL_VALUE_FLOATS, &n->shape));
    TRY(add_step(&s, t, SAL_STEP_ACTIVATION_BACKWARD, n, inputs, 2, output));
    *dy = output;
done:
    return st;
}

static sal_status back_activation(tape *t, int i, int dy)
{
    const sal_node *n = &t->graph->nodes[i];
    int inputs[2] = {dy, -1};
    sal_status st = SAL_OK;
    if (take_relu_along(t, i, dy))
        return contribute_same(t, n, n->inputs[0], dy);
    switch (sal_activation_keep(n->activation.kind)) {
    case SAL_KEEP_SIGN: st = kept_value(&inputs[1], t, i); break;
    case SAL_KEEP_INPUT: st = backward_value(&inputs[1], t, n->inputs[0]); break;
    case SAL_KEEP_OUTPUT: st = backward_value(&inputs[1], t, i); break;
    case SAL_KEEP_NOTHING: return contribute_same(t, n, n->inputs[0], dy);
    default: break;
    }
    return st != SAL_OK ? st : contribute(t, SAL_STEP_ACTIVATION_BACKWARD, n, n->inputs[0], inputs, 2, 0);
}

static sal_status back_mul(tape *t, int i, int dy)
{
    sal_status st = SAL_OK;
    const sal_node *n = &t->graph->nodes[i];
    for (int k = 0; k < 2; k++) {
        int inputs[2] = {dy, -1};
        TRY(backward_value(&inputs[1], t, n->inputs[1 - k]));
        TRY(contribute(t, SAL_STEP_MUL_BACKWARD, n, n->inputs[k], inputs, 2, k));
    }
done:
    return st;
}

static sal_status back_add(tape *t, int i, int dy)
{
    sal_status st = SAL_OK;
    const sal_graph *g = t->graph;
    const sal_node *n = &g->nodes[i];
    for (int k = 0; k < 2; k++) {
        int to = n->inputs[k];
        if (sal_shape_equal(&g->nodes[to].shape, &n->shape))
            TRY(contribute_same(t, n, to, dy));
        else
            TRY(contribute(t, SAL_STEP_REDUCE_SPATIAL, n, to, &dy, 1, k));
    }
done:
    return st;
}

static sal_status back_conv(tape *t, int i, int dy)
{
    sal_status st = SAL_OK;
    const sal_node *n = &t->graph->nodes[i];
    TRY(through_fused_activation(&dy, t, i));
    if (n->input_count > 1)
        TRY(contribute_same(t, n, n->inputs[1], dy));
    sal_step_kind kind = n->op == SAL_OP_CONV ? SAL_STEP_CONV_BACKWARD : SAL_STEP_DENSE_BACKWARD;
    TRY(contribute(t, kind, n, n->inputs[0], &dy, 1, 0));
done:
    return st;
}

static sal_status back_concat(tape *t, int i, int dy)
{
    sal_status st = SAL_OK;
    const sal_node *n = &t->graph->nodes[i];
    int64_t first = 0;
    for (int k = 0; k < n->input_count; k++) {
        const sal_node *part = &t->graph->nodes[n->inputs[k]];
        TRY(contribute(t, SAL_STEP_CONCAT_BACKWARD, n, n->inputs[k], &dy, 1, k));
        t->program->steps[t->program->step_count - 1].first_channel = first;
        first += part->shape.dim[n->axis];
    }
done:
    return st;
}

/* Ops with one input and one backward step of (dy [, something kept]). */
static sal_status back_simple(tape *t, int i, int dy, sal_step_kind kind, int kept)
{
    const sal_node *n = &t->graph->nodes[i];
    int inputs[2] = {dy, kept};
    return contribute(t, kind, n, n->inputs[0], inputs, kept >= 0 ? 2 : 1, 0);
}

static sal_status backward_node(tape *t, int i, int dy)
{
    sal_status st = SAL_OK;
    const sal_node *n = &t->graph->nodes[i];
    int kept;
    switch (n->op) {
    case SAL_OP_CONV:
    case SAL_OP_DENSE: return back_conv(t, i, dy);
    case SAL_OP_ACTIVATION: return back_activation(t, i, dy);
    case SAL_OP_ADD: return back_add(t, i, dy);
    case SAL_OP_MUL: return back_mul(t, i, dy);
    case SAL_OP_CONCAT: return back_concat(t, i, dy);
    case SAL_OP_AFFINE: return back_simple(t, i, dy, SAL_STEP_AFFINE_BACKWARD, -1);
    case SAL_OP_SLICE: return back_simple(t, i, dy, SAL_STEP_SLICE_BACKWARD, -1);
    case SAL_OP_MAX_POOL: TRY(kept_value(&kept, t, i)); return back_simple(t, i, dy, SAL_STEP_MAX_POOL_BACKWARD, kept);
    case SAL_OP_AVG_POOL: return back_simple(t, i, dy, SAL_STEP_AVG_POOL_BACKWARD, -1);
    case SAL_OP_REDUCE_MEAN: return back_simple(t, i, dy, SAL_STEP_REDUCE_MEAN_BACKWARD, -1);
    case SAL_OP_RESHAPE: return back_simple(t, i, dy, SAL_STEP_RESHAPE_BACKWARD, -1);
    case SAL_OP_TRANSPOSE: return back_simple(t, i, dy, SAL_STEP_TRANSPOSE_BACKWARD, -1);
    case SAL_OP_SHUFFLE: return back_simple(t, i, dy, SAL_STEP_SHUFFLE_BACKWARD, -1);
    case SAL_OP_PAD: return back_simple(t, i, dy, SAL_STEP_PAD_BACKWARD, -1);
    case SAL_OP_SOFTMAX: return back_simple(t, i, dy, SAL_STEP_SOFTMAX_BACKWARD, t->values[i]);
    case SAL_OP_LAYER_NORM:
        TRY(backward_value(&kept, t, n->inputs[0]));
        return back_simple(t, i, dy, SAL_STEP_LAYER_NORM_BACKWARD, kept);
    case SAL_OP_INPUT:
    case SAL_OP_COUNT: break;
    }
done:
    return st;
}

/* Values written by backward steps, but for those that hold a forward value again. */
static void mark_gradients(sal_program *p, const tape *t)
{
    for (size_t s = p->forward_count; s < p->step_count; s++)
        p->values[p->steps[s].output].gradient = 1;
    for (size_t i = 0; i < t->graph->count; i++)
        if (t->again[i] >= 0)
            p->values[t->again[i]].gradient = 0;
    p->values[p->seed].gradient = 1;
}

/* To the gradient of node `end`'s output. */
static sal_status backward(tape *t, int end)
{
    sal_status st = SAL_OK;
    sal_graph *g = t->graph;
    sal_program *p = t->program;
    TRY(add_value(&p->seed, t, SAL_VALUE_FLOATS, &g->nodes[g->output].shape));
    t->gradients[g->output] = p->seed;
    for (int i = (int)g->count - 1; i > end; i--) {
        p->backward_start[i] = (int)p->step_count;
        if (t->gradients[i] >= 0)
            TRY(backward_node(t, i, t->gradients[i]));
    }
    for (int i = end; i >= 0; i--)
        p->backward_start[i] = (int)p->step_count;
    p->gradient = t->gradients[end];
    mark_gradients(p, t);
    if (p->gradient < 0)
        st = sal_fail(SAL_ERROR_UNSUPPORTED, "the scores do not depend on %s%s%s",
                      end == g->input ? "the input" : "layer '", end == g->input ? "" : g->nodes[end].name,
                      end == g->input ? "" : "'");
done:
    return st;
}

static sal_status add_arrays(tape *t, const sal_program_options *o)
{
    sal_status st = SAL_OK;
    sal_program *p = t->program;
    for (p->array_count = 0; p->array_count < o->array_count; p->array_count++) {
        const sal_array_shape like = o->arrays[p->array_count];
        sal_shape shape = t->graph->nodes[like == SAL_ARRAY_INPUT ? t->graph->input : o->layer].shape;
        if (like == SAL_ARRAY_LAYER_MAP)
            shape.dim[1] = 1;
        TRY(add_value(&p->arrays[p->array_count], t, SAL_VALUE_FLOATS, &shape));
        p->values[p->arrays[p->array_count]].exact = 1;
    }
done:
    return st;
}

static sal_status tape_open(tape *t, size_t count)
{
    sal_status st = SAL_OK;
    TRY(sal_alloc(&t->values, count, sizeof *t->values, "the tape"));
    TRY(sal_alloc(&t->forward, count, sizeof *t->forward, "the tape"));
    TRY(sal_alloc(&t->kept, count, sizeof *t->kept, "the tape"));
    TRY(sal_alloc(&t->gradients, count, sizeof *t->gradients, "the tape"));
    TRY(sal_alloc(&t->again, count, sizeof *t->again, "the tape"));
    TRY(sal_alloc(&t->required, count, 1, "the tape"));
    TRY(sal_alloc(&t->repeatable, count, 1, "the tape"));
    TRY(sal_alloc(&t->program->backward_start, count, sizeof *t->program->backward_start, "the tape"));
    for (size_t i = 0; i < count; i++)
        t->kept[i] = t->gradients[i] = t->again[i] = -1;
done:
    return st;
}

static void tape_close(tape *t)
{
    sal_free(t->values);
    sal_free(t->forward);
    sal_free(t->kept);
    sal_free(t->gradients);
    sal_free(t->again);
    sal_free(t->required);
    sal_free(t->repeatable);
}

/* A picture that only ungrouped convolutions read can stay in rows of pixels: they
 * gather its few channels themselves. */
static void mark_picture(sal_program *p, const sal_graph *g)
{
    int only_convs = 1;
    for (size_t i = 0; i < g->count; i++)
        for (int k = 0; k < g->nodes[i].input_count; k++)
            if (g->nodes[i].inputs[k] == g->input &&
                (g->nodes[i].op != SAL_OP_CONV || g->nodes[i].window.groups != 1 || k != 0))
                only_convs = 0;
    p->values[p->input].picture = 1;
    if (p->gradient >= 0) {
        p->values[p->gradient].picture = p->layer < 0;
        p->values[p->seed].seed = 1;
    }
    for (size_t v = 0; v < p->value_count; v++)
        p->values[v].conv_picture = p->values[v].picture && only_convs;
}

sal_status sal_program_differentiate(sal_program *program, const sal_program_options *options)
{
    sal_status st = SAL_OK;
    tape t = {.program = program, .graph = &program->graph, .rule = options->rule};
    TRY(tape_open(&t, program->graph.count));
    choose_kept(&t);
    TRY(forward(&t));
    program->seed = program->gradient = program->layer = -1;
    if (options->end == SAL_PASS_TO_LAYER)
        program->layer = t.values[options->layer];
    if (options->end != SAL_PASS_NOWHERE)
        TRY(backward(&t, options->end == SAL_PASS_TO_LAYER ? options->layer : program->graph.input));
    TRY(add_arrays(&t, options));
    mark_picture(program, &program->graph);
done:
    tape_close(&t);
    return st;
}
