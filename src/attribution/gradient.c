#include "attribution/gradient.h"

#include "base/memory.h"

#include <string.h>

sal_status sal_attribution_init(sal_attribution *a, sal_program *program, sal_op detached)
{
    sal_status st = SAL_OK;
    size_t count;
    memset(a, 0, sizeof *a);
    a->program = program;
    a->kind.outputs = sal_shape_elements(&program->values[program->scores].shape);
    a->kind.detached = detached;
    a->input_elements = sal_shape_elements(&program->values[program->input].shape);
    TRY(sal_size_mul(&count, (size_t)program->batch, (size_t)a->kind.outputs, "scores"));
    TRY(sal_alloc(&a->scores, count, sizeof(float), "scores"));
    TRY(sal_alloc(&a->seeds, count, sizeof(float), "seeds"));
done:
    if (st != SAL_OK)
        sal_attribution_clear(a);
    return st;
}

void sal_attribution_clear(sal_attribution *a)
{
    sal_free(a->scores);
    sal_free(a->seeds);
    memset(a, 0, sizeof *a);
}

static int64_t targets_each(const sal_gradient_job *job)
{
    return job->each > 0 ? job->each : 1;
}

sal_status sal_attribution_check(const sal_attribution *a, const sal_gradient_job *job)
{
    sal_status st = SAL_OK;
    if (!job->inputs || !job->targets || (!job->gradients && !a->maps))
        return sal_fail(SAL_ERROR_ARGUMENT, "inputs, targets and gradients must be given");
    if (a->program->gradient < 0)
        return sal_fail(SAL_ERROR_ARGUMENT, "the engine was opened for the forward pass alone: it has no gradients");
    if (job->count < 1 || job->count > a->program->batch || job->each < 0)
        return sal_fail(SAL_ERROR_ARGUMENT, "%lld pictures of %lld targets in a batch of %lld", (long long)job->count,
                        (long long)job->each, (long long)a->program->batch);
    for (int64_t i = 0; i < job->count * targets_each(job); i++)
        TRY(sal_target_check(&job->targets[i], &a->kind));
done:
    return st;
}

sal_status sal_attribution_seed(sal_attribution *a, const sal_gradient_job *job, int64_t each)
{
    sal_status st = SAL_OK;
    for (int64_t i = 0; i < job->count; i++) {
        int64_t at = each * job->count + i;
        sal_choice choice;
        TRY(sal_target_seed(a->seeds + i * a->kind.outputs, &choice, &job->targets[at], &a->kind,
                            a->scores + i * a->kind.outputs, i));
        if (job->chosen)
            job->chosen[at] = choice.index;
        if (job->chosen_scores)
            job->chosen_scores[at] = choice.score;
    }
done:
    return st;
}

sal_status sal_attribution_backward(sal_attribution *a, const sal_gradient_job *job, int64_t each)
{
    sal_status st = SAL_OK;
    const sal_attribution_maps *m = a->maps;
    const int64_t before = each * job->count;
    float *gradients = job->gradients ? job->gradients + before * a->input_elements : NULL;
    if (!m)
        return sal_program_backward(a->program, gradients, a->seeds, job->count);
    const int64_t pixels = a->input_elements / a->program->values[a->program->input].shape.dim[1];
    TRY(sal_program_maps(a->program, m->maps + before * pixels, m->stats + before, a->seeds, job->count, m->options));
    if (gradients)
        TRY(sal_program_download(a->program, gradients, job->count));
    TRY(m->made(m->context, each));
done:
    return st;
}

sal_status sal_method_gradient(sal_attribution *a, const sal_gradient_job *job)
{
    sal_status st = SAL_OK;
    TRY(sal_program_forward(a->program, a->scores, job->inputs, job->count));
    if (job->scores)
        memcpy(job->scores, a->scores, (size_t)(job->count * a->kind.outputs) * sizeof(float));
    for (int64_t e = 0; e < targets_each(job); e++) {
        TRY(sal_attribution_seed(a, job, e));
        TRY(sal_attribution_backward(a, job, e));
    }
done:
    return st;
}
