/* Products of two values, one a matrix along the last two axes, and the gradients of both: cuBLASLt, all matrices of
 * the batch at once. */
#include "product.h"

#include "base/memory.h"

typedef struct matmul_plan {
    const sal_step *step;
    int first, second; /* which inputs are the factors */
    cuda_product product;
} matmul_plan;

static void release(sal_device *d, void *plan)
{
    (void)d;
    matmul_plan *p = plan;
    if (!p)
        return;
    cuda_product_close(&p->product);
    sal_free(p);
}

/* Which factors make the step's output, and how they lie. With the operands as they are meant, a and b:
 * y = a b, da = dy b^T, db = a^T dy; where an operand is stored transposed, so is its gradient: da^T = b dy^T. */
static void choose_factors(matmul_plan *p, int turned[2])
{
    const sal_step *s = p->step;
    const int ta = s->node->transpose[0] != 0, tb = s->node->transpose[1] != 0;
    enum { DY = 0, OTHER = 1 };
    if (s->kind == SAL_STEP_MATMUL) {
        p->first = 0, p->second = 1;
        turned[0] = ta, turned[1] = tb;
    } else if (s->operand == 0 ? !ta : tb) {
        p->first = DY, p->second = OTHER;
        turned[0] = s->operand == 1, turned[1] = s->operand == 0 ? !tb : ta;
    } else {
        p->first = OTHER, p->second = DY;
        turned[0] = s->operand == 0 ? tb : !ta, turned[1] = s->operand == 0;
    }
}

static cuda_product_size size_of(const matmul_plan *p, const sal_value *values, const int turned[2])
{
    const sal_shape *out = &values[p->step->output].shape, *first = &values[p->step->inputs[p->first]].shape;
    const int last = out->rank - 1;
    cuda_product_size s = {.rows = out->dim[last - 1],
                           .columns = out->dim[last],
                           .depth = first->dim[turned[0] ? last - 1 : last],
                           .turned = {turned[0], turned[1]},
                           .count = p->step->batch,
                           .scale = p->step->node->scale};
    for (int k = 1; k < last - 1; k++)
        s.count *= out->dim[k];
    return s;
}

static sal_status prepare(void **plan, sal_needs *needs, sal_device *d, const sal_step *step, const sal_value *values)
{
    sal_status st = SAL_OK;
    matmul_plan *p = NULL;
    int turned[2];
    if (cuda_is_map(&values[step->output]))
        return sal_fail(SAL_ERROR_UNSUPPORTED, "the cuda back end multiplies rows, not feature maps");
    TRY(sal_alloc(&p, 1, sizeof *p, "a product"));
    p->step = step;
    choose_factors(p, turned);
    const cuda_product_size size = size_of(p, values, turned);
    TRY(cuda_product_open(&p->product, d, &size, NULL));
    needs->scratch_bytes = p->product.workspace;
    needs->algorithm = "cublas";
    *plan = p;
    p = NULL;
done:
    release(d, p);
    return st;
}

static sal_status run(sal_device *d, void *plan, const sal_run *r)
{
    const matmul_plan *p = plan;
    return cuda_product_run(&p->product, d, r->output, r->inputs[p->first], r->inputs[p->second],
                            cuda_addend(p->step, r), r->scratch);
}

const sal_step_row cuda_row_matmul = {prepare, run, release};
const sal_step_row cuda_row_matmul_backward = {prepare, run, release};
