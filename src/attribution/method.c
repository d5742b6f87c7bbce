/* The table of methods, and what all of them do alike. */
#include "attribution/method.h"

#include "base/memory.h"
#include "base/struct.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- The table -------------------------------------------------------------- */

#define RULE                                                                                                           \
    {                                                                                                                  \
        "rule", "gradient", "how activations send the gradient back, or guided, deconvnet, rectified"                  \
    }
static const sal_method_option plain_options[] = {RULE};
static const sal_method_option noise_options[] = {
    RULE,
    {"samples", "25", "noisy copies of each picture"},
    {"noise", "0.15", "standard deviation, as a share of the picture's range after preprocessing"},
    {"seed", "0", "of the noise, which depends on it and on the picture alone"},
};
static const sal_method_option path_options[] = {
    RULE,
    {"steps", "50", "points of the way from the baseline to the picture"},
    {"quadrature", "gauss-legendre", "how they are laid and weighted, or trapezoid"},
    {"baseline", "zero", "where the way begins: zero (of the network's input), black, white, mean, blur or a picture"},
};
static const sal_method_option layer_options[] = {
    RULE,
    {"cam-layer", "the last with more than one pixel", "whose output is mapped, as 'salmap inspect' names it"},
};
enum { DEFAULT_SAMPLES = 25, DEFAULT_STEPS = 50 };
static const double default_noise = 0.15;

/* For .info of a row; its options come along. */
#define INFO(name, definition, paper, cost, list)                                                                      \
    {sizeof(sal_method_info), name, definition, paper, cost, sizeof(list) / sizeof *(list)}, .options = (list)
#define PLAIN(name, definition, paper) INFO(name, definition, paper, "1 forward, 1 backward", plain_options)
#define NOISY(name, definition, paper)                                                                                 \
    INFO(name, definition, paper, "1 forward, samples x (1 forward, 1 backward)", noise_options)
#define CAM(name, definition, paper) INFO(name, definition, paper, "1 forward, 1 backward to the layer", layer_options)

static const sal_method_row methods[] = {
    {.info = PLAIN("gradient", "g", "Simonyan et al. 2013, arXiv:1312.6034"),
     .result = -1,
     .run = sal_attribute_gradient},
    {.info = PLAIN("input-x-gradient", "x g", "Shrikumar et al. 2016, arXiv:1605.01713"),
     .arrays = {SAL_ARRAY_INPUT, SAL_ARRAY_INPUT},
     .array_count = 2,
     .result = 1,
     .keeps_input = 1,
     .run = sal_attribute_input_times_gradient},
    {.info = NOISY("smoothgrad", "mean of g(x + noise)", "Smilkov et al. 2017, arXiv:1706.03825"),
     .has = SAL_METHOD_SAMPLES,
     .kind = SAL_ACCUMULATE_SUM,
     .arrays = {SAL_ARRAY_INPUT, SAL_ARRAY_INPUT, SAL_ARRAY_INPUT},
     .array_count = 3,
     .result = 2,
     .keeps_input = 1,
     .run = sal_attribute_noisy},
    {.info = NOISY("smoothgrad-squared", "mean of g(x + noise)^2", "Hooker et al. 2019, arXiv:1806.10758"),
     .has = SAL_METHOD_SAMPLES,
     .kind = SAL_ACCUMULATE_SQUARES,
     .arrays = {SAL_ARRAY_INPUT, SAL_ARRAY_INPUT, SAL_ARRAY_INPUT},
     .array_count = 3,
     .result = 2,
     .keeps_input = 1,
     .run = sal_attribute_noisy},
    {.info = NOISY("vargrad", "variance of g(x + noise)", "Adebayo et al. 2018, arXiv:1810.03307"),
     .has = SAL_METHOD_SAMPLES,
     .kind = SAL_ACCUMULATE_WELFORD,
     .arrays = {SAL_ARRAY_INPUT, SAL_ARRAY_INPUT, SAL_ARRAY_INPUT, SAL_ARRAY_INPUT},
     .array_count = 4,
     .result = 2,
     .keeps_input = 1,
     .run = sal_attribute_noisy},
    {.info =
         INFO("integrated-gradients", "(x - x') times the mean of g from the baseline x' to x",
              "Sundararajan et al. 2017, arXiv:1703.01365", "2 forward, steps x (1 forward, 1 backward)", path_options),
     .has = SAL_METHOD_PATH,
     .arrays = {SAL_ARRAY_INPUT, SAL_ARRAY_INPUT, SAL_ARRAY_INPUT},
     .array_count = 3,
     .result = 2,
     .keeps_input = 1,
     .run = sal_attribute_path},
    {.info = CAM("grad-cam", "relu(sum over channels of mean(G) A)", "Selvaraju et al. 2017, arXiv:1610.02391"),
     .has = SAL_METHOD_LAYER,
     .cam = SAL_CAM_GRAD,
     .arrays = {SAL_ARRAY_LAYER, SAL_ARRAY_LAYER, SAL_ARRAY_LAYER_MAP},
     .array_count = 3,
     .result = 2,
     .run = sal_attribute_cam},
    {.info = CAM("hires-cam", "relu(sum over channels of G A)", "Draelos and Carin 2020, arXiv:2011.08891"),
     .has = SAL_METHOD_LAYER,
     .cam = SAL_CAM_HIRES,
     .arrays = {SAL_ARRAY_LAYER, SAL_ARRAY_LAYER, SAL_ARRAY_LAYER_MAP},
     .array_count = 3,
     .result = 2,
     .run = sal_attribute_cam},
    {.info =
         CAM("layer-cam", "relu(sum over channels of relu(G) A)", "Jiang et al. 2021, doi:10.1109/TIP.2021.3089943"),
     .has = SAL_METHOD_LAYER,
     .cam = SAL_CAM_LAYER,
     .arrays = {SAL_ARRAY_LAYER, SAL_ARRAY_LAYER, SAL_ARRAY_LAYER_MAP},
     .array_count = 3,
     .result = 2,
     .run = sal_attribute_cam},
};
enum { METHODS = sizeof methods / sizeof *methods };

size_t sal_method_count(void)
{
    return METHODS;
}

sal_status sal_method_get_info(sal_method_info *out, size_t index)
{
    sal_status st = SAL_OK;
    TRY(sal_require(out, "out", __func__));
    if (index >= METHODS)
        return sal_fail(SAL_ERROR_ARGUMENT, "method %zu of %d", index, METHODS);
    st = sal_struct_write(out, &methods[index].info, sizeof *out, "sal_method_info");
done:
    return st;
}

sal_status sal_method_get_option(sal_method_option_info *out, size_t method, size_t option)
{
    sal_status st = SAL_OK;
    TRY(sal_require(out, "out", __func__));
    if (method >= METHODS || option >= methods[method].info.option_count)
        return sal_fail(SAL_ERROR_ARGUMENT,
                        "option %zu of method %zu: there are %d methods, each with its option_count", option, method,
                        METHODS);
    const sal_method_option *o = &methods[method].options[option];
    const sal_method_option_info info = {sizeof info, o->name, o->initial, o->help};
    st = sal_struct_write(out, &info, sizeof info, "sal_method_option_info");
done:
    return st;
}

sal_status sal_method_find(const sal_method_row **out, const char *name)
{
    char names[1024];
    size_t used = 0;
    for (size_t k = 0; k < METHODS; k++) {
        *out = &methods[k];
        if (strcmp(name ? name : "gradient", methods[k].info.name) == 0)
            return SAL_OK;
        if (used < sizeof names)
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", k ? ", " : "", methods[k].info.name);
    }
    return sal_fail(SAL_ERROR_ARGUMENT, "no method '%s'; there are %s", name, names);
}

static sal_status refuse(const sal_method_row *method, const char *option)
{
    return sal_fail(SAL_ERROR_ARGUMENT, "%s: is no option of method %s", option, method->info.name);
}

static int is_noise_given(const sal_method_options *o)
{
    return o->noise != SAL_DEFAULT;
}

sal_status sal_method_check(const sal_method_row *m, const sal_method_options *o)
{
    enum { MOST = 1 << 20, MOST_POINTS = 4096 };
    if (o->samples < 0 || o->samples > MOST || o->steps < 0 || o->steps > MOST)
        return sal_fail(SAL_ERROR_ARGUMENT, "samples %lld and steps %lld must lie in 1 to %d", (long long)o->samples,
                        (long long)o->steps, MOST);
    if (is_noise_given(o) && !(o->noise >= 0.0 && o->noise <= 1e6))
        return sal_fail(SAL_ERROR_ARGUMENT, "noise %g is not within 0 and 1e6", o->noise);
    if ((unsigned)o->quadrature > SAL_QUADRATURE_TRAPEZOID || (unsigned)o->baseline > SAL_BASELINE_FILE)
        return sal_fail(SAL_ERROR_ARGUMENT, "unknown quadrature %d or baseline %d", (int)o->quadrature,
                        (int)o->baseline);
    if ((o->baseline == SAL_BASELINE_FILE) != (o->baseline_file != NULL))
        return sal_fail(SAL_ERROR_ARGUMENT, "a baseline's file goes with SAL_BASELINE_FILE, and with nothing else");
    if (!(m->has & SAL_METHOD_SAMPLES) && (o->samples || is_noise_given(o) || o->seed))
        return refuse(m, o->samples ? "samples" : is_noise_given(o) ? "noise" : "seed");
    if (!(m->has & SAL_METHOD_PATH) && (o->steps || o->quadrature || o->baseline))
        return refuse(m, o->steps ? "steps" : o->quadrature ? "quadrature" : "baseline");
    if (!(m->has & SAL_METHOD_LAYER) && o->layer)
        return refuse(m, "layer");
    if (o->steps > MOST_POINTS && o->quadrature == SAL_QUADRATURE_GAUSS_LEGENDRE)
        return sal_fail(SAL_ERROR_ARGUMENT, "steps %lld: quadrature gauss-legendre takes %d at most; trapezoid more",
                        (long long)o->steps, MOST_POINTS);
    if (o->samples == 1 && m->kind == SAL_ACCUMULATE_WELFORD)
        return sal_fail(SAL_ERROR_ARGUMENT, "samples: one has no variance; choose at least 2");
    if (o->steps == 1 && o->quadrature == SAL_QUADRATURE_TRAPEZOID)
        return sal_fail(SAL_ERROR_ARGUMENT, "steps: a trapezoid has two ends; choose at least 2");
    return SAL_OK;
}

/* ---- Programs ---------------------------------------------------------------- */

sal_status sal_method_passes(sal_program_options *out, const sal_method_row *m, const sal_method_options *o,
                             const sal_graph *graph)
{
    sal_status st = SAL_OK;
    out->end = SAL_PASS_TO_INPUT;
    if (m->has & SAL_METHOD_LAYER) {
        out->end = SAL_PASS_TO_LAYER;
        TRY(sal_method_layer(&out->layer, graph, o->layer));
    }
    out->many_passes = (m->has & SAL_METHOD_MANY_PASSES) != 0;
    memcpy(out->arrays, m->arrays, sizeof out->arrays);
    out->array_count = m->array_count;
    if (o->baseline != SAL_BASELINE_ZERO)
        out->arrays[out->array_count++] = SAL_ARRAY_INPUT;
done:
    return st;
}

/* ---- What every method works with --------------------------------------------- */

static sal_status allocate(sal_attribution *a)
{
    sal_status st = SAL_OK;
    const size_t batch = (size_t)a->program->batch;
    size_t count, elements;
    TRY(sal_size_mul(&count, batch, (size_t)a->kind.outputs, "scores"));
    TRY(sal_size_mul(&elements, batch, (size_t)a->elements, "attributions"));
    TRY(sal_alloc(&a->scores, count, sizeof(float), "scores"));
    TRY(sal_alloc(&a->pass_scores, count, sizeof(float), "scores"));
    TRY(sal_alloc(&a->seeds, count, sizeof(float), "seeds"));
    TRY(sal_alloc(&a->choices, batch, sizeof *a->choices, "targets"));
    if (a->method->has & SAL_METHOD_SAMPLES)
        TRY(sal_alloc(&a->noises, batch, sizeof *a->noises, "noise"));
    if (a->method->has & SAL_METHOD_PATH) {
        TRY(sal_alloc(&a->base_scores, count, sizeof(float), "scores"));
        TRY(sal_alloc(&a->host, elements, sizeof(float), "attributions"));
        TRY(sal_alloc(&a->points, (size_t)a->options.steps, sizeof *a->points, "the path"));
        TRY(sal_alloc(&a->weights, (size_t)a->options.steps, sizeof *a->weights, "the path"));
        sal_quadrature_make(a->points, a->weights, a->options.steps, a->options.quadrature);
    }
done:
    return st;
}

static void set_options(sal_attribution *a, const sal_method_options *o)
{
    a->options = *o;
    a->options.name = a->options.layer = a->options.baseline_file = NULL;
    if (a->options.samples == 0)
        a->options.samples = DEFAULT_SAMPLES;
    if (!is_noise_given(o))
        a->options.noise = default_noise;
    if (a->options.steps == 0)
        a->options.steps = DEFAULT_STEPS;
}

sal_status sal_attribution_init(sal_attribution *a, sal_program *program, const sal_method_row *method,
                                const sal_method_options *options, sal_op detached)
{
    sal_status st = SAL_OK;
    memset(a, 0, sizeof *a);
    a->program = program;
    a->method = method;
    set_options(a, options);
    a->kind.outputs = sal_shape_elements(&program->values[program->scores].shape);
    a->kind.detached = detached;
    a->input_elements = sal_shape_elements(&program->values[program->input].shape);
    a->result = program->gradient < 0 ? -1 : method->result < 0 ? program->gradient : program->arrays[method->result];
    a->baseline = options->baseline == SAL_BASELINE_ZERO ? -1 : program->arrays[method->array_count];
    a->elements = a->result < 0 ? a->input_elements : sal_shape_elements(&program->values[a->result].shape);
    TRY(allocate(a));
done:
    if (st != SAL_OK)
        sal_attribution_clear(a);
    return st;
}

void sal_attribution_clear(sal_attribution *a)
{
    sal_free(a->scores);
    sal_free(a->pass_scores);
    sal_free(a->base_scores);
    sal_free(a->seeds);
    sal_free(a->choices);
    sal_free(a->noises);
    sal_free(a->points);
    sal_free(a->weights);
    sal_free(a->host);
    memset(a, 0, sizeof *a);
}

/* ---- Jobs --------------------------------------------------------------------- */

static int64_t targets_each(const sal_gradient_job *job)
{
    return job->each > 0 ? job->each : 1;
}

sal_status sal_attribution_check(const sal_attribution *a, const sal_gradient_job *job)
{
    sal_status st = SAL_OK;
    if (!job->inputs || !job->targets)
        return sal_fail(SAL_ERROR_ARGUMENT, "inputs and targets must be given");
    if (a->result < 0)
        return sal_fail(SAL_ERROR_ARGUMENT, "the engine was opened for the forward pass alone: it has no gradients");
    if ((a->baseline >= 0) != (job->baselines != NULL))
        return sal_fail(SAL_ERROR_ARGUMENT,
                        "baselines must be given where the engine was opened with one, and only there");
    if (job->count < 1 || job->count > a->program->batch || job->each < 0 || job->each > INT64_MAX / job->count)
        return sal_fail(SAL_ERROR_ARGUMENT, "%lld pictures of %lld targets in a batch of %lld", (long long)job->count,
                        (long long)job->each, (long long)a->program->batch);
    for (int64_t i = 0; i < job->count * targets_each(job); i++)
        TRY(sal_target_check(&job->targets[i], &a->kind));
done:
    return st;
}

sal_status sal_attribution_begin(sal_attribution *a, const sal_gradient_job *job)
{
    sal_status st = SAL_OK;
    if (a->method->has & SAL_METHOD_SAMPLES)
        TRY(sal_noise_begin(a, job));
    if (a->method->has & SAL_METHOD_PATH)
        TRY(sal_path_begin(a, job));
    if (a->method->keeps_input) {
        const int x = sal_attribution_array(a, 0);
        TRY(sal_program_upload(a->program, x, job->inputs, job->count));
        TRY(sal_program_forward_array(a->program, a->scores, x, job->count));
    } else {
        TRY(sal_program_forward(a->program, a->scores, job->inputs, job->count));
    }
    if (job->scores)
        memcpy(job->scores, a->scores, (size_t)(job->count * a->kind.outputs) * sizeof(float));
done:
    return st;
}

/* Seeds at the inputs, and what the target came to. */
static sal_status choose(sal_attribution *a, const sal_gradient_job *job, int64_t each)
{
    sal_status st = SAL_OK;
    for (int64_t i = 0; i < job->count; i++) {
        const int64_t at = each * job->count + i;
        sal_choice *choice = &a->choices[i];
        TRY(sal_target_seed(a->seeds + i * a->kind.outputs, choice, &job->targets[at], &a->kind,
                            a->scores + i * a->kind.outputs, i));
        if (job->chosen)
            job->chosen[at] = choice->index;
        if (job->chosen_scores)
            job->chosen_scores[at] = choice->score;
        if (job->gaps)
            job->gaps[at] = (double)NAN;
    }
done:
    return st;
}

sal_status sal_attribution_run(sal_attribution *a, const sal_gradient_job *job, int64_t each)
{
    sal_status st = SAL_OK;
    TRY(choose(a, job, each));
    TRY(a->method->run(a, job, each));
done:
    return st;
}

/* ---- For methods ---------------------------------------------------------------- */

sal_status sal_attribution_clear_array(sal_attribution *a, int array, int64_t count)
{
    sal_program *p = a->program;
    void *memory = sal_program_address(p, array);
    return p->backend->methods->copy(p->device, memory, &p->values[array], memory, &p->values[array], 0, count);
}

/* Seeds at another input, where they depend on the scores there. */
static sal_status seed_again(sal_attribution *a, const sal_gradient_job *job, int64_t each)
{
    sal_status st = SAL_OK;
    for (int64_t i = 0; i < job->count; i++) {
        sal_choice there = a->choices[i];
        TRY(sal_target_seed_again(a->seeds + i * a->kind.outputs, &there, &job->targets[each * job->count + i],
                                  &a->kind, a->pass_scores + i * a->kind.outputs, i));
    }
done:
    return st;
}

sal_status sal_attribution_pass(sal_attribution *a, const sal_gradient_job *job, int64_t each, int array)
{
    sal_status st = SAL_OK;
    int linear = 1;
    if (a->stop && atomic_load(a->stop))
        return sal_fail(SAL_ERROR_CANCELLED, "stopped between two passes");
    for (int64_t i = 0; i < job->count; i++)
        linear &= sal_target_is_linear(&job->targets[each * job->count + i]);
    TRY(sal_program_forward_array(a->program, linear ? NULL : a->pass_scores, array, job->count));
    if (!linear)
        TRY(seed_again(a, job, each));
    TRY(sal_program_backward(a->program, a->seeds, job->count));
    TRY(sal_program_copy(a->program, array, a->program->gradient, job->count));
done:
    return st;
}

sal_status sal_attribution_add(sal_attribution *a, int sum, int spread, int x, sal_accumulate kind, double weight,
                               int64_t count)
{
    sal_program *p = a->program;
    return p->backend->methods->accumulate(p->device, sal_program_address(p, sum),
                                           spread >= 0 ? sal_program_address(p, spread) : NULL,
                                           sal_program_address(p, x), &p->values[sum], kind, (float)weight, count);
}
