/* Convolutions: cuDNN graphs with what follows fused in; where no engine takes the whole, the
 * convolution alone and a kernel of ours for the rest; where cuDNN has none either, a kernel of ours.
 * Depthwise convolutions are ours from the start: they are bound by memory. */
#include "library.h"

#include "base/memory.h"

#include <stdio.h>
#include <string.h>

/* Engines that want more working memory than this are passed over. */
static const size_t workspace_limit = (size_t)256 << 20;

typedef enum conv_way { CONV_FUSED, CONV_FINISHED, CONV_DEPTHWISE, CONV_DIRECT } conv_way;

typedef struct conv_plan {
    const sal_step *step;
    cuda_conv conv;
    conv_way way;
    char note[256];     /* what went otherwise than planned, or "" */
    cudnn_graph *graph; /* FUSED, FINISHED */
    cuda_weight *weight;
    cuda_weight *bias; /* forward */
} conv_plan;

static const char *const way_names[] = {"cudnn, fused", "cudnn, finished by kernel", "depthwise kernel",
                                        "direct kernel"};

static void release(sal_device *d, void *plan)
{
    conv_plan *p = plan;
    if (!p)
        return;
    cudnn_graph_close(p->graph);
    cuda_weights_release(d, p->weight);
    cuda_weights_release(d, p->bias);
    sal_free(p);
}

/* ---- Preparing ---------------------------------------------------------- */

static int is_depthwise(const cuda_conv *c)
{
    return c->window.groups > 1 && c->window.groups == c->in.channels;
}

static int is_refusal(sal_status st)
{
    return st != SAL_OK && st != SAL_ERROR_MEMORY;
}

static sal_status open_graph(conv_plan *p, sal_device *d, const cudnn_graph_problem *problem)
{
    int replaced;
    const sal_status st =
        plan_cache_graph(&p->graph, &replaced, &d->library->plans, &d->library->target, problem, workspace_limit);
    if (replaced && st == SAL_OK)
        snprintf(p->note, sizeof p->note, "the plan that was kept on disk failed to run: another one took its place");
    else if (st == SAL_OK && cudnn_graph_passed_over(p->graph))
        snprintf(p->note, sizeof p->note, "an engine broke down, another one took its place: %.180s",
                 cudnn_graph_passed_over(p->graph));
    /* That cuDNN has no engine is no surprise; that one of its parts is missing, or breaks down, is. */
    if (st == SAL_ERROR_DEVICE)
        snprintf(p->note, sizeof p->note, "%s", sal_last_error());
    return st;
}

/* A graph of the problem, or way DIRECT where no engine takes it, or can be prepared. */
static sal_status plan_graph(conv_plan *p, sal_device *d, cudnn_graph_problem *problem)
{
    p->way = CONV_FUSED;
    sal_status st = open_graph(p, d, problem);
    int plain = !problem->bias && !problem->add && problem->activation.kind == SAL_ACT_NONE;
    if (is_refusal(st) && !plain) {
        problem->bias = problem->add = 0;
        problem->activation = (sal_activation){0};
        p->way = CONV_FINISHED;
        st = open_graph(p, d, problem);
    }
    if (!is_refusal(st))
        return st;
    p->way = CONV_DIRECT;
    return SAL_OK;
}

/* in and out are those of the convolution, whatever way the step goes. */
static sal_status prepare_plan(conv_plan *p, sal_needs *needs, sal_device *d, const sal_value *in, const sal_value *out,
                               cudnn_graph_problem *problem)
{
    sal_status st = SAL_OK;
    const sal_step *step = p->step;
    p->conv.in = cuda_value_extent(in, step->batch);
    p->conv.out = cuda_value_extent(out, step->batch);
    p->conv.window = step->node->window;
    problem->conv = p->conv;
    problem->type = problem->bias_type = d->type;
    problem->tf32 = d->precision != SAL_PRECISION_FP32;
    if (is_depthwise(&p->conv))
        p->way = CONV_DEPTHWISE;
    else
        TRY(plan_graph(p, d, problem));
    TRY(cuda_weights_use(&p->weight, needs, d, step->node,
                         p->way == CONV_DEPTHWISE ? CUDA_WEIGHT_DEPTHWISE : CUDA_WEIGHT_FILTER, 0));
    needs->note = p->note[0] ? p->note : NULL;
    if (p->graph) {
        needs->scratch_bytes = cudnn_graph_workspace(p->graph);
        needs->engine = cudnn_graph_engine(p->graph);
    }
done:
    return st;
}

static sal_status prepare_forward(void **plan, sal_needs *needs, sal_device *d, const sal_step *step,
                                  const sal_value *values)
{
    sal_status st = SAL_OK;
    conv_plan *p = NULL;
    const sal_node *n = step->node;
    TRY(sal_alloc(&p, 1, sizeof *p, "a convolution"));
    p->step = step;
    cudnn_graph_problem problem = {.kind = CUDNN_GRAPH_FORWARD,
                                   .bias = n->bias != NULL,
                                   .add = step->input_count > 1,
                                   .activation = n->activation,
                                   .ties = step->ties};
    TRY(prepare_plan(p, needs, d, &values[step->inputs[0]], &values[step->output], &problem));
    TRY(cuda_weights_use(&p->bias, needs, d, n, p->way == CONV_FUSED ? CUDA_WEIGHT_MAP_BIAS : CUDA_WEIGHT_BIAS,
                         p->conv.out.channels));
    needs->algorithm = way_names[p->way];
    *plan = p;
    p = NULL;
done:
    release(d, p);
    return st;
}

static sal_status prepare_backward(void **plan, sal_needs *needs, sal_device *d, const sal_step *step,
                                   const sal_value *values)
{
    sal_status st = SAL_OK;
    conv_plan *p = NULL;
    TRY(sal_alloc(&p, 1, sizeof *p, "a convolution"));
    p->step = step;
    cudnn_graph_problem problem = {.kind = CUDNN_GRAPH_BACKWARD, .add = step->addend >= 0};
    if (step->activated >= 0)
        problem.activation.kind = SAL_ACT_RELU;
    TRY(prepare_plan(p, needs, d, &values[step->output], &values[step->inputs[0]], &problem));
    needs->algorithm = way_names[p->way];
    *plan = p;
    p = NULL;
done:
    release(d, p);
    return st;
}

/* ---- Running ------------------------------------------------------------ */

static int64_t picture_elements(const cuda_extent *e)
{
    return e->height * e->width * e->channels;
}

/* The mask of a forward step whose library call does not make one. */
static sal_status make_mask(sal_device *d, const conv_plan *p, const sal_run *r)
{
    if (!r->kept)
        return SAL_OK;
    return CUDA_CHECK(cuda_activation_mask(r->kept, r->output, d->type, p->conv.out.pictures,
                                           picture_elements(&p->conv.out), &p->step->node->activation, d->compute));
}

static sal_status run_forward(sal_device *d, void *plan, const sal_run *r)
{
    sal_status st = SAL_OK;
    const conv_plan *p = plan;
    const sal_activation *a = &p->step->node->activation;
    const void *x = r->inputs[0], *residual = p->step->input_count > 1 ? r->inputs[1] : NULL;
    const void *weight = cuda_weight_memory(p->weight), *bias = cuda_weight_memory(p->bias);
    cudnn_graph_memory memory = {.x = x, .weight = weight, .y = r->output, .workspace = r->scratch};
    switch (p->way) {
    case CONV_FUSED:
        memory.bias = bias;
        memory.add = residual;
        TRY(cudnn_graph_run(p->graph, d->library->cudnn, &memory));
        return make_mask(d, p, r);
    case CONV_FINISHED:
        TRY(cudnn_graph_run(p->graph, d->library->cudnn, &memory));
        return CUDA_CHECK(
            cuda_activation_finish(r->output, r->kept, residual, bias, d->type, p->conv.out, a, d->compute));
    case CONV_DEPTHWISE:
        return CUDA_CHECK(
            cuda_depthwise(r->output, r->kept, x, weight, bias, residual, d->type, &p->conv, a, d->compute));
    case CONV_DIRECT:
        return CUDA_CHECK(cuda_direct(r->output, r->kept, x, weight, bias, residual, d->type, &p->conv, a, d->compute));
    }
done:
    return st;
}

/* What no library call took along: the derivative of the ReLU before the convolution. */
static sal_status finish_relu(sal_device *d, const conv_plan *p, void *dx, const void *activated)
{
    const sal_activation relu = {.kind = SAL_ACT_RELU};
    if (!activated)
        return SAL_OK;
    return CUDA_CHECK(cuda_activation_backward(dx, dx, activated, NULL, d->type,
                                               p->conv.in.pictures * picture_elements(&p->conv.in), &relu,
                                               SAL_RULE_GRADIENT, d->compute));
}

static sal_status run_backward(sal_device *d, void *plan, const sal_run *r)
{
    sal_status st = SAL_OK;
    const conv_plan *p = plan;
    const void *dy = r->inputs[0], *weight = cuda_weight_memory(p->weight), *addend = cuda_addend(p->step, r);
    const void *activated = p->step->activated >= 0 ? r->inputs[1] : NULL;
    cudnn_graph_memory memory = {.x = dy, .weight = weight, .y = r->output, .workspace = r->scratch};
    switch (p->way) {
    case CONV_FUSED:
        memory.add = addend;
        memory.activated = activated;
        return cudnn_graph_run(p->graph, d->library->cudnn, &memory);
    case CONV_FINISHED:
        TRY(cudnn_graph_run(p->graph, d->library->cudnn, &memory));
        if (addend)
            TRY(CUDA_CHECK(cuda_add(r->output, r->output, addend, 0, d->type, p->conv.in, d->compute)));
        break;
    case CONV_DEPTHWISE:
        TRY(CUDA_CHECK(cuda_depthwise_backward(r->output, dy, weight, addend, d->type, &p->conv, d->compute)));
        break;
    case CONV_DIRECT:
        TRY(CUDA_CHECK(cuda_direct_backward(r->output, dy, weight, addend, d->type, &p->conv, d->compute)));
        break;
    }
    st = finish_relu(d, p, r->output, activated);
done:
    return st;
}

/* The depthwise kernels are ours and bound by memory: there a bit an element is read in less time. */
int cuda_conv_takes_relu(const sal_node *n)
{
    const sal_window *w = &n->window;
    const int64_t of_group = (int64_t)n->weight_count / (n->shape.dim[1] * w->kernel[0] * w->kernel[1]);
    return w->groups == 1 || of_group > 1;
}

const sal_step_row cuda_row_conv = {prepare_forward, run_forward, release};
const sal_step_row cuda_row_conv_backward = {prepare_backward, run_backward, release};
