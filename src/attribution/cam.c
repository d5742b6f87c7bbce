/* Class activation maps: the backward pass ends at a layer, whose values and gradients make a map of its size. */
#include "attribution/method.h"

/* Arrays: the layer's values, its gradients, the map. */
enum { VALUES, GRADIENTS, MAP };

sal_status sal_attribute_cam(sal_attribution *a, const sal_gradient_job *job, int64_t each)
{
    sal_status st = SAL_OK;
    sal_program *p = a->program;
    const int values = sal_attribution_array(a, VALUES), gradients = sal_attribution_array(a, GRADIENTS);
    const int map = sal_attribution_array(a, MAP);
    TRY(sal_program_backward(p, a->seeds, job->count));
    if (each == 0)
        TRY(sal_program_copy(p, values, p->layer, job->count));
    TRY(sal_program_copy(p, gradients, p->gradient, job->count));
    TRY(p->backend->methods->cam(p->device, sal_program_address(p, map), &p->values[map],
                                 sal_program_address(p, values), sal_program_address(p, gradients), &p->values[values],
                                 a->method->cam, job->count));
done:
    return st;
}
