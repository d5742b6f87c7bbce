/* Gradients at noisy copies of each picture: SmoothGrad (Smilkov et al. 2017), its squares (Hooker et al. 2019) and
 * their variance (Adebayo et al. 2018). */
#include "attribution/method.h"
#include "base/digest.h"

#include <string.h>

/* What noise is drawn from: the picture itself, so that it does not depend on where in a list or batch it stands. */
static sal_status digest_of(uint64_t *out, const float *x, int64_t elements)
{
    sal_status st = SAL_OK;
    char hex[SAL_DIGEST_SIZE];
    sal_digest *digest = NULL;
    TRY(sal_digest_open(&digest));
    TRY(sal_digest_add(digest, x, (size_t)elements * sizeof *x));
    TRY(sal_digest_finish(hex, digest));
    *out = 0;
    for (int k = 0; k < 16; k++) { /* eight bytes, the first the lowest */
        const uint64_t digit = (uint64_t)(hex[k] <= '9' ? hex[k] - '0' : hex[k] - 'a' + 10);
        *out |= digit << (8 * (k / 2) + (k % 2 ? 0 : 4));
    }
done:
    sal_digest_close(digest);
    return st;
}

static double range_of(const float *x, int64_t elements)
{
    float low = x[0], high = x[0];
    for (int64_t i = 1; i < elements; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    return (double)high - (double)low;
}

sal_status sal_noise_begin(sal_attribution *a, const sal_gradient_job *job)
{
    sal_status st = SAL_OK;
    for (int64_t n = 0; n < job->count; n++) {
        const float *x = job->inputs + n * a->input_elements;
        sal_noise *noise = &a->noises[n];
        TRY(digest_of(&noise->picture, x, a->input_elements));
        noise->run = a->options.seed;
        noise->deviation = (float)(a->options.noise * range_of(x, a->input_elements));
    }
done:
    return st;
}

/* Array 0: x, 1: x and noise, then the gradient there, 2: their mean so far, or that of their squares, and of the
 * variance 3: the sum of squared deviations. */
sal_status sal_attribute_noisy(sal_attribution *a, const sal_gradient_job *job, int64_t each)
{
    sal_status st = SAL_OK;
    sal_program *p = a->program;
    const int64_t samples = a->options.samples;
    const int is_variance = a->method->kind == SAL_ACCUMULATE_WELFORD;
    const int x = sal_attribution_array(a, 0), noisy = sal_attribution_array(a, 1), sum = sal_attribution_array(a, 2);
    const int spread = is_variance ? sal_attribution_array(a, 3) : -1;
    TRY(sal_attribution_clear_array(a, sum, job->count));
    if (is_variance)
        TRY(sal_attribution_clear_array(a, spread, job->count));
    for (int64_t k = 0; k < samples; k++) {
        TRY(p->backend->methods->perturb(p->device, sal_program_address(p, noisy), sal_program_address(p, x),
                                         &p->values[x], a->noises, (uint32_t)k, job->count));
        TRY(sal_attribution_pass(a, job, each, noisy));
        TRY(sal_attribution_add(a, sum, spread, noisy, a->method->kind, 1.0 / (double)(is_variance ? k + 1 : samples),
                                job->count));
    }
    if (is_variance) {
        TRY(sal_attribution_clear_array(a, sum, job->count));
        TRY(sal_attribution_add(a, sum, -1, spread, SAL_ACCUMULATE_SUM, 1.0 / (double)samples, job->count));
    }
done:
    return st;
}
