#include "attribution/method.h"

/* Simonyan et al. 2013: the backward pass, and nothing else. */
sal_status sal_attribute_gradient(sal_attribution *a, const sal_gradient_job *job, int64_t each)
{
    (void)each;
    return sal_program_backward(a->program, a->seeds, job->count);
}

/* Array 0: x, 1: the gradient, and then the product. */
sal_status sal_attribute_input_times_gradient(sal_attribution *a, const sal_gradient_job *job, int64_t each)
{
    sal_status st = SAL_OK;
    sal_program *p = a->program;
    const int x = sal_attribution_array(a, 0), g = sal_attribution_array(a, 1);
    (void)each;
    TRY(sal_program_backward(p, a->seeds, job->count));
    TRY(sal_program_copy(p, g, p->gradient, job->count));
    TRY(p->backend->methods->multiply(p->device, sal_program_address(p, g), sal_program_address(p, g),
                                      sal_program_address(p, x), NULL, &p->values[g], job->count));
done:
    return st;
}
