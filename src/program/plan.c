/* Where every value lies in the one arena, and how the steps are cut into segments.
 *
 * The first layers have the largest activations and the fewest weights, so they run
 * a few pictures at a time (a chunk), forward and backward; the rest runs the whole
 * batch at once. Values that live inside one chunked segment hold a chunk only.
 *
 * Offsets: blocks by falling size, each at the lowest place where no block lies that
 * lives at the same time (Pisarchyk and Lee 2020, "greedy by size"). */
#include "base/memory.h"
#include "program/program.h"

#include <stdlib.h>
#include <string.h>

enum {
    /* Weights that every chunk reads again: a percent of the time that their convolutions take. */
    CHUNKED_WEIGHT_BYTES = 32 << 20
};

/* More than any machine has; sums of such sizes do not overflow. */
static const size_t max_value_bytes = (size_t)1 << 44;

static size_t round_up(const sal_program *p, size_t bytes)
{
    return (bytes + p->backend->alignment - 1) & ~(p->backend->alignment - 1);
}

/* ---- Liveness ----------------------------------------------------------- */

static void find_lifetimes(sal_program *p)
{
    for (size_t v = 0; v < p->value_count; v++) {
        p->values[v].first = -1;
        p->values[v].last = -1;
    }
    for (int s = 0; s < (int)p->step_count; s++) {
        const sal_step *step = &p->steps[s];
        p->values[step->output].first = s;
        p->values[step->output].last = s;
        if (step->kept != SAL_NONE)
            p->values[step->kept].first = p->values[step->kept].last = s;
        for (int k = 0; k < step->input_count; k++)
            p->values[step->inputs[k]].last = s;
    }
    int end = (int)p->step_count;
    p->values[p->scores].last = end;
    if (p->gradient != SAL_NONE)
        p->values[p->gradient].last = p->values[p->seed].last = end;
    if (p->layer != SAL_NONE)
        p->values[p->layer].last = end;
    for (int k = 0; k < p->array_count; k++)
        p->values[p->arrays[k]].last = end;
    for (size_t v = 0; v < p->value_count; v++) {
        sal_value *value = &p->values[v];
        /* Kept to the end, so that one forward pass serves several backward passes. */
        if (value->first < (int)p->forward_count && value->last >= (int)p->forward_count)
            value->last = end;
    }
}

static int segment_of(const sal_program *p, int step)
{
    for (int k = 0; k < p->segment_count; k++)
        if (step >= p->segments[k].first && step < p->segments[k].last)
            return k;
    return SAL_NONE;
}

/* Values of a chunked segment hold a chunk; what crosses its border holds the batch and
 * lives through the whole segment, since every chunk comes back to it. */
static void size_values(sal_program *p)
{
    for (size_t v = 0; v < p->value_count; v++) {
        sal_value *value = &p->values[v];
        int from = segment_of(p, value->first);
        int to = segment_of(p, value->last);
        if (from != SAL_NONE && from == to) {
            value->pictures = p->segments[from].chunk;
            continue;
        }
        value->pictures = p->batch;
        if (from != SAL_NONE && p->segments[from].chunk < p->batch)
            value->first = p->segments[from].first;
        if (to != SAL_NONE && p->segments[to].chunk < p->batch)
            value->last = p->segments[to].last - 1;
    }
}

/* What the forward pass leaves for the backward pass; before blocks are shared, so that each value speaks for itself.
 */
static void count_kept(sal_program *p)
{
    p->kept_bytes = 0;
    for (size_t v = 0; v < p->value_count; v++) {
        const sal_value *value = &p->values[v];
        if ((int)v != p->scores && value->first >= 0 && value->first < (int)p->forward_count &&
            value->last >= (int)p->step_count)
            p->kept_bytes += value->bytes * (size_t)value->pictures;
    }
}

/* ---- Sharing memory ----------------------------------------------------- */

/* The input whose memory the output may take over when the step is its last reader, or SAL_NONE. */
static int overwritable_input(const sal_program *p, const sal_step *s)
{
    if (p->backend->distinct_convs && (s->kind == SAL_STEP_CONV || s->kind == SAL_STEP_CONV_BACKWARD))
        return SAL_NONE;
    if (s->addend != SAL_NONE)
        return s->addend;
    switch (s->kind) {
    case SAL_STEP_CONV: return s->input_count > 1 ? s->inputs[1] : SAL_NONE;
    case SAL_STEP_AFFINE:
    case SAL_STEP_ACTIVATION:
    case SAL_STEP_ADD:
    case SAL_STEP_MUL:
    case SAL_STEP_AFFINE_BACKWARD:
    case SAL_STEP_ACTIVATION_BACKWARD: return s->inputs[0];
    default: return SAL_NONE;
    }
}

/* owner[v]: the value whose block v lies in (itself, or an earlier value it overwrites). */
static void share_blocks(int *owner, sal_program *p)
{
    for (size_t v = 0; v < p->value_count; v++)
        owner[v] = (int)v;
    for (int s = 0; s < (int)p->step_count; s++) {
        const sal_step *step = &p->steps[s];
        int u = overwritable_input(p, step);
        if (u == SAL_NONE)
            continue;
        int times = 0;
        for (int k = 0; k < step->input_count; k++)
            times += step->inputs[k] == u;
        const sal_value *in = &p->values[u], *out = &p->values[step->output];
        if (times != 1 || in->last != s || in->bytes != out->bytes || in->layout != out->layout ||
            in->pictures != out->pictures || out->first != s)
            continue;
        owner[step->output] = owner[u];
    }
    for (size_t v = 0; v < p->value_count; v++) {
        sal_value *block = &p->values[owner[v]];
        if (p->values[v].last > block->last)
            block->last = p->values[v].last;
    }
}

typedef struct block {
    int value; /* or number of values + step, for the step's scratch */
    int first;
    int last;
    size_t bytes;
    size_t offset;
} block;

static int by_falling_size(const void *a, const void *b)
{
    const block *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return x->value - y->value;
}

/* The lowest offset at which `fresh` meets none of the `placed` (sorted by offset) that live with it. */
static size_t lowest_gap(const block *placed, size_t count, const block *fresh)
{
    size_t offset = 0;
    for (size_t k = 0; k < count; k++) {
        const block *b = &placed[k];
        if (b->last < fresh->first || fresh->last < b->first)
            continue;
        if (offset + fresh->bytes <= b->offset)
            break;
        if (b->offset + b->bytes > offset)
            offset = b->offset + b->bytes;
    }
    return offset;
}

static size_t place_blocks(block *blocks, size_t count, block *placed)
{
    size_t total = 0;
    qsort(blocks, count, sizeof *blocks, by_falling_size);
    for (size_t k = 0; k < count; k++) {
        blocks[k].offset = lowest_gap(placed, k, &blocks[k]);
        size_t at = k;
        while (at > 0 && placed[at - 1].offset > blocks[k].offset) {
            placed[at] = placed[at - 1];
            at--;
        }
        placed[at] = blocks[k];
        if (blocks[k].offset + blocks[k].bytes > total)
            total = blocks[k].offset + blocks[k].bytes;
    }
    return total;
}

/* The most that lives at once: it does so when some block's life begins. */
static size_t peak_of(const block *blocks, size_t count)
{
    size_t peak = 0;
    for (size_t k = 0; k < count; k++) {
        size_t sum = 0;
        for (size_t i = 0; i < count; i++)
            sum += blocks[i].first <= blocks[k].first && blocks[k].first <= blocks[i].last ? blocks[i].bytes : 0;
        peak = sum > peak ? sum : peak;
    }
    return peak;
}

/* Sets offsets for the present segments. Scratch takes part once the steps are prepared.
 * peak (may be NULL): what no placement can go below. */
static sal_status assign_offsets(size_t *total, size_t *peak, sal_program *p)
{
    sal_status st = SAL_OK;
    int *owner = NULL;
    block *blocks = NULL, *placed = NULL;
    TRY(sal_alloc(&owner, p->value_count, sizeof *owner, "the memory plan"));
    TRY(sal_alloc(&blocks, p->value_count + p->step_count, sizeof *blocks, "the memory plan"));
    TRY(sal_alloc(&placed, p->value_count + p->step_count, sizeof *placed, "the memory plan"));
    find_lifetimes(p);
    size_values(p);
    count_kept(p);
    share_blocks(owner, p);
    size_t count = 0;
    for (size_t v = 0; v < p->value_count; v++) {
        const sal_value *value = &p->values[v];
        if (owner[v] != (int)v || value->last < 0)
            continue;
        size_t bytes;
        TRY(sal_size_mul(&bytes, value->bytes, (size_t)value->pictures, "the arena"));
        if (bytes > max_value_bytes) {
            st = sal_fail(SAL_ERROR_LIMIT, "a layer's output takes %zu bytes for %lld pictures", bytes,
                          (long long)value->pictures);
            goto done;
        }
        blocks[count++] = (block){(int)v, value->first, value->last, round_up(p, bytes), 0};
    }
    for (int i = 0; p->needs && i < (int)p->step_count; i++)
        if (p->needs[i].scratch_bytes > 0)
            blocks[count++] = (block){(int)p->value_count + i, i, i, round_up(p, p->needs[i].scratch_bytes), 0};
    *total = place_blocks(blocks, count, placed);
    if (peak)
        *peak = peak_of(blocks, count);
    for (size_t k = 0; k < count; k++) {
        size_t v = (size_t)blocks[k].value;
        if (v < p->value_count)
            p->values[v].offset = blocks[k].offset;
        else
            p->scratch_offsets[v - p->value_count] = blocks[k].offset;
    }
    for (size_t v = 0; v < p->value_count; v++)
        p->values[v].offset = p->values[owner[v]].offset;
done:
    sal_free(owner);
    sal_free(blocks);
    sal_free(placed);
    return st;
}

/* ---- Segments ----------------------------------------------------------- */

static void add_segment(sal_program *p, int first, int last, int64_t chunk)
{
    p->segments[p->segment_count++] = (sal_segment){first, last, chunk};
}

static void set_segments(sal_program *p, int cut_node, int64_t chunk)
{
    const int steps = (int)p->step_count, forward = (int)p->forward_count;
    /* Forward steps are one per node but for the input. */
    const int cut = cut_node == SAL_NONE ? 0 : cut_node + (p->graph.input > cut_node);
    const int back = cut_node == SAL_NONE ? steps : p->backward_start[cut_node];
    p->segment_count = 0;
    if (cut > 0)
        add_segment(p, 0, cut, chunk);
    add_segment(p, cut, forward, p->batch);
    if (p->gradient == SAL_NONE)
        return;
    add_segment(p, forward, back, p->batch);
    if (cut > 0)
        add_segment(p, back, steps, chunk);
}

/* Tries cuts after every few nodes and keeps the one with the smallest arena. */
static sal_status choose_segments(sal_program *p, int64_t chunk)
{
    sal_status st = SAL_OK;
    size_t best_bytes, weights = 0;
    int best = SAL_NONE;
    set_segments(p, SAL_NONE, p->batch);
    if (p->batch <= chunk || !p->backend->chunks)
        return SAL_OK;
    TRY(assign_offsets(&best_bytes, NULL, p));
    int nodes = (int)p->graph.count;
    int stride = nodes > 200 ? nodes / 100 : 1;
    for (int i = 0; i + 1 < nodes; i++) {
        const sal_node *n = &p->graph.nodes[i];
        weights += (n->weight_count + n->bias_count) * sizeof(float);
        if (weights > CHUNKED_WEIGHT_BYTES)
            break;
        if (n->op == SAL_OP_INPUT || i % stride != 0)
            continue;
        size_t bytes;
        set_segments(p, i, chunk);
        TRY(assign_offsets(&bytes, NULL, p));
        if (bytes < best_bytes) {
            best_bytes = bytes;
            best = i;
        }
    }
    set_segments(p, best, best == SAL_NONE ? p->batch : chunk);
done:
    return st;
}

sal_status sal_program_place(sal_program *p)
{
    size_t total = 0;
    sal_status st = assign_offsets(&total, &p->peak_bytes, p);
    p->arena_bytes = round_up(p, total);
    return st;
}

sal_status sal_program_plan(sal_program *p, int64_t chunk)
{
    sal_status st = SAL_OK;
    for (size_t v = 0; v < p->value_count; v++)
        p->backend->place(p->device, &p->values[v]);
    TRY(choose_segments(p, chunk));
    TRY(sal_program_place(p));
    for (int k = 0; k < p->segment_count; k++)
        for (int s = p->segments[k].first; s < p->segments[k].last; s++)
            p->steps[s].batch = p->segments[k].chunk;
done:
    return st;
}
