/* Dense layers over vectors and over rows: cuBLASLt with the bias in the epilogue, or, where it has no algorithm for
 * that, a kernel of ours after the product. The gradient of the scores themselves needs no product: see seed.cu. */
#include "product.h"

#include "base/memory.h"

typedef struct dense_plan {
    const sal_step *step;
    int64_t rows; /* of a picture */
    int64_t features, outputs;
    int seeded; /* backward of the scores: rows of the weights */
    cuda_weight *weight;
    cuda_weight *bias;
    cuda_product product;
} dense_plan;

static void release(sal_device *d, void *plan)
{
    dense_plan *p = plan;
    if (!p)
        return;
    cuda_weights_release(d, p->weight);
    cuda_weights_release(d, p->bias);
    cuda_product_close(&p->product);
    sal_free(p);
}

/* ---- Preparing ---------------------------------------------------------- */

/* Forward y = x W^T, backward dx = dy W, of W (outputs, features). */
static sal_status describe_product(dense_plan *p, const sal_device *d, int backward)
{
    const cuda_product_size size = {.rows = p->step->batch * p->rows,
                                    .columns = backward ? p->features : p->outputs,
                                    .depth = backward ? p->outputs : p->features,
                                    .turned = {0, !backward},
                                    .count = 1,
                                    .scale = 1.0f};
    return cuda_product_open(&p->product, d, &size, cuda_weight_memory(p->bias));
}

static sal_status prepare(void **plan, sal_needs *needs, sal_device *d, const sal_step *step, const sal_value *values,
                          int backward)
{
    sal_status st = SAL_OK;
    dense_plan *p = NULL;
    const sal_node *n = step->node;
    if (cuda_is_map(&values[step->output]))
        return sal_fail(SAL_ERROR_UNSUPPORTED, "the cuda back end has dense layers over rows, not feature maps");
    TRY(sal_alloc(&p, 1, sizeof *p, "a dense layer"));
    p->step = step;
    p->outputs = n->shape.dim[n->shape.rank - 1];
    p->features = (int64_t)n->weight_count / p->outputs;
    p->rows = sal_shape_elements(&n->shape) / p->outputs;
    p->seeded = backward && values[step->inputs[0]].seed;
    TRY(cuda_weights_use(&p->weight, needs, d, n, CUDA_WEIGHT_FLOATS, 0));
    if (!backward)
        TRY(cuda_weights_use(&p->bias, needs, d, n, CUDA_WEIGHT_BIAS, p->outputs));
    if (!p->seeded)
        TRY(describe_product(p, d, backward));
    needs->scratch_bytes = p->product.workspace;
    needs->algorithm = p->seeded             ? "rows of the weights"
                       : p->product.finished ? "cublas, finished by kernel"
                                             : "cublas";
    *plan = p;
    p = NULL;
done:
    release(d, p);
    return st;
}

static sal_status prepare_forward(void **plan, sal_needs *needs, sal_device *d, const sal_step *step,
                                  const sal_value *values)
{
    return prepare(plan, needs, d, step, values, 0);
}

static sal_status prepare_backward(void **plan, sal_needs *needs, sal_device *d, const sal_step *step,
                                   const sal_value *values)
{
    return prepare(plan, needs, d, step, values, 1);
}

/* ---- Running ------------------------------------------------------------ */

static sal_status run_forward(sal_device *d, void *plan, const sal_run *r)
{
    sal_status st = SAL_OK;
    const dense_plan *p = plan;
    const sal_activation *a = &p->step->node->activation;
    TRY(cuda_product_run(&p->product, d, r->output, r->inputs[0], cuda_weight_memory(p->weight), NULL, r->scratch));
    if (p->product.finished) {
        const cuda_extent e = {p->step->batch, 1, p->rows, p->outputs};
        const sal_activation none = {0};
        TRY(CUDA_CHECK(cuda_activation_finish(r->output, NULL, NULL, cuda_weight_memory(p->bias), CUDA_TYPE_FLOAT, e,
                                              &none, d->compute)));
    }
    if (a->kind != SAL_ACT_NONE)
        TRY(CUDA_CHECK(cuda_activation(r->output, r->kept, r->output, CUDA_TYPE_FLOAT, p->step->batch,
                                       p->rows * p->outputs, a, d->compute)));
done:
    return st;
}

static sal_status run_backward(sal_device *d, void *plan, const sal_run *r)
{
    const dense_plan *p = plan;
    const void *addend = cuda_addend(p->step, r);
    if (!p->seeded)
        return cuda_product_run(&p->product, d, r->output, r->inputs[0], cuda_weight_memory(p->weight), addend,
                                r->scratch);
    return CUDA_CHECK(cuda_seed_rows(r->output, r->inputs[0], cuda_weight_memory(p->weight), addend,
                                     p->step->batch * p->rows, p->outputs, p->features, d->compute));
}

const sal_step_row cuda_row_dense = {prepare_forward, run_forward, release};
const sal_step_row cuda_row_dense_backward = {prepare_backward, run_backward, release};
