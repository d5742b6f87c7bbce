/* Integrated gradients (Sundararajan et al. 2017): (x - x') times the mean gradient on the straight way from the
 * baseline x' to x. */
#include "attribution/method.h"

#include <math.h>

/* Arrays: x, a point of the path and then the gradient there, their weighted sum and then the attribution; the
 * baseline is the one after these. */
enum { X, POINT, SUM };

sal_status sal_path_begin(sal_attribution *a, const sal_gradient_job *job)
{
    sal_status st = SAL_OK;
    sal_program *p = a->program;
    const int point = sal_attribution_array(a, POINT);
    if (a->baseline >= 0) {
        TRY(sal_program_upload(p, a->baseline, job->baselines, job->count));
        TRY(sal_program_forward_array(p, a->base_scores, a->baseline, job->count));
    } else if (!a->base_known) { /* zeros have the same scores in every batch */
        TRY(sal_attribution_clear_array(a, point, 1));
        TRY(sal_program_forward_array(p, a->base_scores, point, 1));
        for (int64_t i = a->kind.outputs; i < p->batch * a->kind.outputs; i++)
            a->base_scores[i] = a->base_scores[i - a->kind.outputs];
        a->base_known = 1;
    }
done:
    return st;
}

/* How far the attributions are from adding up to what the score gained. */
static sal_status find_gaps(sal_attribution *a, const sal_gradient_job *job, int64_t each)
{
    sal_status st = SAL_OK;
    if (!job->gaps)
        return SAL_OK;
    TRY(sal_program_download(a->program, a->host, a->result, job->count));
    for (int64_t n = 0; n < job->count; n++) {
        const int64_t at = each * job->count + n;
        sal_choice there = a->choices[n];
        double sum = 0.0;
        TRY(sal_target_seed_again(a->seeds + n * a->kind.outputs, &there, &job->targets[at], &a->kind,
                                  a->base_scores + n * a->kind.outputs, n));
        for (int64_t i = 0; i < a->elements; i++)
            sum += (double)a->host[n * a->elements + i];
        job->gaps[at] = sum - ((double)a->choices[n].score - (double)there.score);
    }
done:
    return st;
}

sal_status sal_attribute_path(sal_attribution *a, const sal_gradient_job *job, int64_t each)
{
    sal_status st = SAL_OK;
    sal_program *p = a->program;
    const sal_method_rows *rows = p->backend->methods;
    const int x = sal_attribution_array(a, X), point = sal_attribution_array(a, POINT);
    const int sum = sal_attribution_array(a, SUM);
    const void *from = a->baseline >= 0 ? sal_program_address(p, a->baseline) : NULL;
    TRY(sal_attribution_clear_array(a, sum, job->count));
    for (int64_t k = 0; k < a->options.steps; k++) {
        TRY(rows->between(p->device, sal_program_address(p, point), from, sal_program_address(p, x), &p->values[x],
                          (float)a->points[k], job->count));
        TRY(sal_attribution_pass(a, job, each, point));
        TRY(sal_attribution_add(a, sum, -1, point, SAL_ACCUMULATE_SUM, a->weights[k], job->count));
    }
    TRY(rows->multiply(p->device, sal_program_address(p, sum), sal_program_address(p, sum), sal_program_address(p, x),
                       from, &p->values[x], job->count));
    TRY(find_gaps(a, job, each));
done:
    return st;
}

/* ---- Points ----------------------------------------------------------------- */

/* Legendre's polynomial of degree n at x, and its derivative, by Bonnet's recursion. */
static double legendre(double *derivative, int64_t n, double x)
{
    double before = 1.0, now = x;
    for (int64_t k = 2; k <= n; k++) {
        const double next = ((double)(2 * k - 1) * x * now - (double)(k - 1) * before) / (double)k;
        before = now;
        now = next;
    }
    *derivative = (double)n * (x * now - before) / (x * x - 1.0);
    return now;
}

static void gauss_legendre(double *points, double *weights, int64_t n)
{
    const double pi = 3.14159265358979323846;
    for (int64_t i = 0; i < n; i++) {
        double slope = 0.0, x = cos(pi * ((double)i + 0.75) / ((double)n + 0.5)); /* near the root; Newton from there */
        for (int round = 0; round < 100; round++) {
            const double step = legendre(&slope, n, x) / slope;
            x -= step;
            if (fabs(step) < 1e-15)
                break;
        }
        (void)legendre(&slope, n, x);
        points[n - 1 - i] = (1.0 + x) / 2.0;
        weights[n - 1 - i] = 1.0 / ((1.0 - x * x) * slope * slope);
    }
}

void sal_quadrature_make(double *points, double *weights, int64_t count, sal_quadrature kind)
{
    if (kind == SAL_QUADRATURE_GAUSS_LEGENDRE && count > 1) {
        gauss_legendre(points, weights, count);
        return;
    }
    for (int64_t k = 0; k < count; k++) {
        points[k] = count > 1 ? (double)k / (double)(count - 1) : 0.5;
        weights[k] = count == 1                 ? 1.0
                     : k == 0 || k == count - 1 ? 0.5 / (double)(count - 1)
                                                : 1.0 / (double)(count - 1);
    }
}
