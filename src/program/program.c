/* Opening, running and closing a program. */
#include "program/program.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

enum { DEFAULT_BATCH = 8, SMALL_CHUNK = 2, MAX_BATCH = 65536 };

/* ---- Compiling ---------------------------------------------------------- */

static sal_status prepare_step(sal_program *p, size_t s)
{
    const sal_step *step = &p->steps[s];
    const sal_step_row *row = p->backend->rows[step->kind];
    if (!row)
        return sal_fail(SAL_ERROR_UNSUPPORTED, "node '%s' (%s): the %s back end has no %s", step->node->name,
                        sal_op_get(step->node->op)->name, p->backend->name, sal_step_kind_name(step->kind));
    const sal_status st = row->prepare(&p->plans[s], &p->needs[s], p->device, step, p->values);
    if (st != SAL_OK)
        return sal_fail_in(st, "node '%s' (%s)", step->node->name, sal_step_kind_name(step->kind));
    p->weight_bytes += p->needs[s].weight_bytes;
    if (p->needs[s].scratch_bytes > p->scratch_bytes)
        p->scratch_bytes = p->needs[s].scratch_bytes;
    return SAL_OK;
}

/* Whether a step reads the weights where the graph has them. */
static int is_borrowed(const sal_program *p, const sal_node *n)
{
    for (size_t s = 0; s < p->step_count; s++)
        if (p->steps[s].node == n && p->needs[s].weights_borrowed)
            return 1;
    return 0;
}

/* Node after node: all steps of one, then, where that was asked for, its weights go. Those that the device has in a
 * layout of its own and those of the graph are then never there all at once. */
static sal_status prepare_steps(sal_program *p, int drop)
{
    enum { TRIM_BYTES = 16 << 20 };
    sal_status st = SAL_OK;
    size_t dropped = 0;
    TRY(sal_alloc(&p->plans, p->step_count, sizeof *p->plans, "the program"));
    TRY(sal_alloc(&p->scratch_offsets, p->step_count, sizeof *p->scratch_offsets, "the program"));
    TRY(sal_alloc(&p->needs, p->step_count, sizeof *p->needs, "the program"));
    for (size_t i = 0; i < p->graph.count; i++) {
        sal_node *n = &p->graph.nodes[i];
        for (size_t s = 0; s < p->step_count; s++)
            if (p->steps[s].node == n)
                TRY(prepare_step(p, s));
        if (!drop || is_borrowed(p, n))
            continue;
        dropped += n->weight_count * sizeof(float);
        sal_node_drop_weight(n);
        if (dropped > TRIM_BYTES) {
            sal_memory_trim();
            dropped = 0;
        }
    }
done:
    return st;
}

/* Drops weights that every step of their node holds in a layout of its own. */
static void drop_weights(sal_program *p)
{
    for (size_t i = 0; i < p->graph.count; i++) {
        sal_node *n = &p->graph.nodes[i];
        if (!is_borrowed(p, n))
            sal_node_drop_weight(n);
        else
            p->weight_bytes += (n->weight_count + n->bias_count) * sizeof(float);
    }
}

/* Back to before prepare_steps. */
static void drop_plans(sal_program *p)
{
    for (size_t s = 0; p->plans && s < p->step_count; s++)
        if (p->plans[s])
            p->backend->rows[p->steps[s].kind]->release(p->device, p->plans[s]);
    sal_free(p->plans);
    sal_free(p->needs);
    sal_free(p->scratch_offsets);
    p->plans = NULL;
    p->needs = NULL;
    p->scratch_offsets = NULL;
    p->scratch_bytes = p->weight_bytes = 0;
}

static void drop_steps(sal_program *p)
{
    drop_plans(p);
    for (size_t s = 0; s < p->step_count; s++)
        free(p->steps[s].inputs);
    free(p->steps);
    free(p->values);
    sal_free(p->backward_start);
    p->steps = NULL;
    p->values = NULL;
    p->backward_start = NULL;
    p->step_count = p->value_count = 0;
}

static sal_status fail_size(const sal_program *p, const sal_program_options *options, size_t limit)
{
    return sal_fail(SAL_ERROR_MEMORY, "a batch of %lld needs %zu MiB, %zu MiB may be used%s", (long long)p->batch,
                    p->arena_bytes >> 20, limit >> 20, options->batch > 1 ? ": ask for a smaller batch" : "");
}

/* Whether nothing will be prepared again for want of memory, so that weights may go: values leave half of it to what
 * the steps work in. Devices with memory of their own may refuse what they said to have. */
static int fits_for_sure(const sal_program *p, const sal_program_options *options, size_t limit)
{
    return options->drop_early && !p->backend->distinct_memory && p->peak_bytes <= limit / 2;
}

/* Plans and prepares for the present batch; afterwards the arena may exceed the limit. Preparing
 * costs time, so that is left out where the values alone exceed it however they are placed: where
 * they are placed is no measure, since they may happen to lie better with the scratch among them. */
static sal_status plan_batch(sal_program *p, const sal_program_options *options, size_t limit)
{
    sal_status st = SAL_OK;
    drop_plans(p);
    TRY(sal_program_plan(p, p->batch % SMALL_CHUNK == 0 ? SMALL_CHUNK : 1));
    if (p->peak_bytes > limit)
        return SAL_OK;
    const int final = fits_for_sure(p, options, limit);
    TRY(prepare_steps(p, final));
    TRY(sal_program_place(p));
    if (final && p->arena_bytes > limit)
        st = fail_size(p, options, limit);
done:
    return st;
}

/* Smaller at the cost of time, once: 1 where that can be had. */
static int make_lean(sal_status *st, sal_program *p, const sal_program_options *options)
{
    if (p->lean)
        return 0;
    drop_steps(p);
    p->lean = 1;
    *st = sal_program_differentiate(p, options);
    return 1;
}

/* The largest batch that fits the limit, planned and prepared. */
static sal_status fit_batch(sal_program *p, const sal_program_options *options, size_t limit)
{
    sal_status st = SAL_OK;
    for (;; p->batch = (p->batch + 1) / 2) {
        TRY(plan_batch(p, options, limit));
        if (p->arena_bytes <= limit)
            break;
        if (make_lean(&st, p, options)) {
            TRY(st);
            TRY(plan_batch(p, options, limit));
            if (p->arena_bytes <= limit)
                break;
        }
        if (options->batch || p->batch == 1) {
            st = fail_size(p, options, limit);
            goto done;
        }
    }
done:
    return st;
}

static sal_status allocate_arena(sal_program *p)
{
    void *arena;
    sal_status st = p->backend->allocate(&arena, p->device, p->arena_bytes);
    if (st != SAL_OK)
        return st;
    if (p->backend->reserve)
        st = p->backend->reserve(p->device, &p->values[p->input], p->batch);
    if (st == SAL_OK)
        p->arena = arena;
    else
        p->backend->release(p->device, arena);
    return st;
}

/* Devices with memory of their own may refuse what they had free a moment ago: others use them, too. */
static sal_status fit_device(sal_program *p, const sal_program_options *options, size_t limit)
{
    sal_status st = SAL_OK;
    p->batch = options->batch ? options->batch : DEFAULT_BATCH;
    for (;;) {
        st = fit_batch(p, options, limit);
        if (st == SAL_OK && !options->described)
            st = allocate_arena(p);
        if (st != SAL_ERROR_MEMORY || !p->backend->distinct_memory)
            break;
        if (make_lean(&st, p, options)) {
            if (st != SAL_OK)
                break;
            continue;
        }
        if (p->batch == 1)
            break;
        if (!p->asked_batch)
            p->asked_batch = p->batch;
        p->batch = (p->batch + 1) / 2;
    }
    return st;
}

static sal_status allocate_step_inputs(sal_program *p)
{
    int most = 0;
    for (size_t s = 0; s < p->step_count; s++)
        most = p->steps[s].input_count > most ? p->steps[s].input_count : most;
    return sal_alloc(&p->step_inputs, (size_t)most, sizeof *p->step_inputs, "the program");
}

static sal_status compile(sal_program *p, const sal_program_options *options)
{
    sal_status st = SAL_OK;
    TRY(sal_program_differentiate(p, options));
    size_t limit = options->max_memory;
    if (!limit) {
        TRY(p->backend->free_memory(&limit, p->device));
        limit = limit / 4 * 3;
    }
    TRY(fit_device(p, options, limit));
    TRY(allocate_step_inputs(p));
    drop_weights(p);
    sal_memory_trim();
done:
    return st;
}

sal_status sal_program_open(sal_program **out, sal_graph *graph, const sal_program_options *options)
{
    sal_status st = SAL_OK;
    sal_program *p = NULL;
    const char *spec;
    *out = NULL;
    if (options->batch < 0 || options->batch > MAX_BATCH || options->threads < 0)
        return sal_fail(SAL_ERROR_ARGUMENT, "batch %lld must lie in 0 to %d, threads %d must not be negative",
                        (long long)options->batch, MAX_BATCH, options->threads);
    TRY(sal_alloc(&p, 1, sizeof *p, "the program"));
    TRY(sal_backend_find(&p->backend, &spec, options->device));
    const sal_device_options device_options = {.threads = options->threads,
                                               .exact = options->exact,
                                               .many_passes = options->many_passes,
                                               .precision = options->precision,
                                               .described = options->described};
    TRY(p->backend->open(&p->device, spec, &device_options));
    p->lean = options->lean || !p->backend->takes_relu;
    p->graph = *graph;
    sal_graph_init(graph);
    st = compile(p, options);
    if (st != SAL_OK)
        goto done;
    *out = p;
    p = NULL;
done:
    sal_program_close(p);
    return st;
}

void sal_program_close(sal_program *p)
{
    if (!p)
        return;
    if (p->arena)
        p->backend->release(p->device, p->arena);
    drop_steps(p);
    sal_free(p->step_inputs);
    sal_graph_clear(&p->graph);
    if (p->device)
        p->backend->close(p->device);
    sal_free(p);
}

/* ---- Running ------------------------------------------------------------ */

static void *address(const sal_program *p, int value, int64_t picture)
{
    const sal_value *v = &p->values[value];
    size_t skip = v->pictures == p->batch ? (size_t)picture * v->bytes : 0;
    return p->arena + v->offset + skip;
}

static sal_status run_step(sal_program *p, int s, int64_t picture)
{
    const sal_step *step = &p->steps[s];
    for (int k = 0; k < step->input_count; k++)
        p->step_inputs[k] = address(p, step->inputs[k], picture);
    sal_run run = {
        .inputs = p->step_inputs,
        .output = address(p, step->output, picture),
        .kept = step->kept != SAL_NONE ? address(p, step->kept, picture) : NULL,
        .scratch = p->arena + p->scratch_offsets[s],
    };
    const sal_status st = p->backend->rows[step->kind]->run(p->device, p->plans[s], &run);
    return st == SAL_OK ? st : sal_fail_in(st, "node '%s' (%s)", step->node->name, sal_step_kind_name(step->kind));
}

typedef struct steps_run {
    sal_program *program;
    size_t first;
    size_t last;
} steps_run;

static sal_status enqueue_steps(void *context)
{
    sal_status st = SAL_OK;
    const steps_run *r = context;
    sal_program *p = r->program;
    for (int k = 0; k < p->segment_count; k++) {
        const sal_segment *g = &p->segments[k];
        if ((size_t)g->first < r->first || (size_t)g->last > r->last)
            continue;
        for (int64_t picture = 0; picture < p->batch; picture += g->chunk)
            for (int s = g->first; s < g->last; s++)
                TRY(run_step(p, s, picture));
    }
done:
    return st;
}

static sal_status run_steps(sal_program *p, size_t first, size_t last)
{
    steps_run r = {p, first, last};
    return p->backend->repeat ? p->backend->repeat(p->device, first > 0, enqueue_steps, &r) : enqueue_steps(&r);
}

static sal_status check_run(const sal_program *p, int64_t count)
{
    if (!p->arena)
        return sal_fail(SAL_ERROR_DEVICE, "%s: this device is only described", p->backend->describe(p->device));
    if (count < 1 || count > p->batch)
        return sal_fail(SAL_ERROR_ARGUMENT, "%lld pictures for a batch of %lld", (long long)count, (long long)p->batch);
    return SAL_OK;
}

void *sal_program_address(const sal_program *p, int value)
{
    return p->arena + p->values[value].offset;
}

sal_status sal_program_upload(sal_program *p, int value, const float *host, int64_t count)
{
    sal_status st = SAL_OK;
    TRY(check_run(p, count));
    TRY(p->backend->upload(p->device, sal_program_address(p, value), &p->values[value], host, count, p->batch));
    if (p->next_inputs == host)
        p->next_inputs = NULL;
done:
    return st;
}

sal_status sal_program_download(sal_program *p, float *host, int value, int64_t count)
{
    sal_status st = SAL_OK;
    TRY(check_run(p, count));
    TRY(p->backend->download(p->device, host, sal_program_address(p, value), &p->values[value], count));
done:
    return st;
}

sal_status sal_program_copy(sal_program *p, int array, int from, int64_t count)
{
    return p->backend->methods->copy(p->device, sal_program_address(p, array), &p->values[array],
                                     sal_program_address(p, from), &p->values[from], count, count);
}

static sal_status forward(sal_program *p, float *scores, int64_t count)
{
    sal_status st = SAL_OK;
    TRY(run_steps(p, 0, p->forward_count));
    if (scores)
        TRY(sal_program_download(p, scores, p->scores, count));
done:
    return st;
}

sal_status sal_program_forward(sal_program *p, float *scores, const float *inputs, int64_t count)
{
    sal_status st = SAL_OK;
    TRY(sal_program_upload(p, p->input, inputs, count));
    TRY(forward(p, scores, count));
done:
    return st;
}

sal_status sal_program_forward_array(sal_program *p, float *scores, int array, int64_t count)
{
    sal_status st = SAL_OK;
    TRY(check_run(p, count));
    TRY(p->backend->methods->copy(p->device, sal_program_address(p, p->input), &p->values[p->input],
                                  sal_program_address(p, array), &p->values[array], count, p->batch));
    TRY(forward(p, scores, count));
done:
    return st;
}

void sal_program_prefetch(sal_program *p, const float *inputs, int64_t count)
{
    p->next_inputs = inputs;
    p->next_count = count;
    if (!inputs && p->backend->prefetch)
        (void)p->backend->prefetch(p->device, &p->values[p->input], NULL, 0);
}

/* Enqueues the backward pass; while it runs, the next pictures come over. */
static sal_status backward(sal_program *p, const float *seeds, int64_t count)
{
    sal_status st = SAL_OK;
    const sal_value *seed = &p->values[p->seed];
    const float *next = p->next_inputs;
    TRY(p->backend->upload(p->device, p->arena + seed->offset, seed, seeds, count, p->batch));
    TRY(run_steps(p, p->forward_count, p->step_count));
    p->next_inputs = NULL;
    if (next && p->backend->prefetch)
        TRY(p->backend->prefetch(p->device, &p->values[p->input], next, p->next_count));
done:
    return st;
}

sal_status sal_program_backward(sal_program *p, const float *seeds, int64_t count)
{
    sal_status st = SAL_OK;
    int again = 0;
    TRY(check_run(p, count));
    do {
        TRY(backward(p, seeds, count));
        if (p->backend->rescale)
            TRY(p->backend->rescale(&again, p->device, sal_program_address(p, p->gradient), &p->values[p->gradient],
                                    count));
    } while (again);
done:
    return st;
}
