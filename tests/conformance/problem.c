#include "conformance/suite.h"

#include <stdarg.h>
#include <stdio.h>

typedef struct writer {
    char *text;
    size_t size;
    size_t at;
} writer;

static void put(writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(writer *w, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = w->at < w->size ? vsnprintf(w->text + w->at, w->size - w->at, format, args) : 0;
    va_end(args);
    w->at += n > 0 ? (size_t)n : 0;
}

static void put_shapes(writer *w, const problem *p)
{
    put(w, " n%lld", (long long)p->batch);
    for (int k = 0; k < p->input_count; k++) {
        const sal_shape *s = &p->inputs[k];
        if (p->op == SAL_OP_CONV && k > 0)
            continue;
        if (k > 0)
            put(w, "+");
        if (s->rank == 4) {
            put(w, "c%lldh%lldw%lld", (long long)s->dim[1], (long long)s->dim[2], (long long)s->dim[3]);
            continue;
        }
        for (int i = 1; i < s->rank; i++)
            put(w, "%s%lld", i > 1 ? "x" : "f", (long long)s->dim[i]);
    }
    if (p->outputs)
        put(w, "k%lld", (long long)p->outputs);
}

static void put_window(writer *w, const sal_window *v)
{
    if (v->kernel[0])
        put(w, "r%lldx%lld", (long long)v->kernel[0], (long long)v->kernel[1]);
    if (v->stride[0] > 1 || v->stride[1] > 1)
        put(w, "s%lldx%lld", (long long)v->stride[0], (long long)v->stride[1]);
    if (v->dilation[0] > 1 || v->dilation[1] > 1)
        put(w, "d%lldx%lld", (long long)v->dilation[0], (long long)v->dilation[1]);
    if (v->pad_begin[0] || v->pad_begin[1] || v->pad_end[0] || v->pad_end[1])
        put(w, "p%lld,%lld,%lld,%lld", (long long)v->pad_begin[0], (long long)v->pad_begin[1], (long long)v->pad_end[0],
            (long long)v->pad_end[1]);
    if (v->groups > 1)
        put(w, "g%lld", (long long)v->groups);
    if (v->count_padding)
        put(w, " count_padding");
}

static void put_attributes(writer *w, const problem *p)
{
    const sal_activation *a = &p->activation;
    if (a->kind != SAL_ACT_NONE)
        put(w, " %s", sal_activation_name(a->kind));
    if (a->kind != SAL_ACT_NONE && ((double)a->alpha != 0.0 || (double)a->beta != 0.0))
        put(w, "(%g,%g)", (double)a->alpha, (double)a->beta);
    if (p->count)
        put(w, " axis%d %lld+%lldx%lld", p->axis, (long long)p->start, (long long)p->step, (long long)p->count);
    else if (p->axis > 1)
        put(w, " axis%d", p->axis);
    if (p->axis_count)
        put(w, " %s of %d", sal_reduction_name(p->reduction), p->axis_count);
    if (p->op == SAL_OP_MATMUL)
        put(w, "%s%s x%g", p->transpose[0] ? " a^T" : "", p->transpose[1] ? " b^T" : "", p->scale);
    if (p->taps)
        put(w, " t%d", p->taps);
    if (p->groups)
        put(w, " g%lld", (long long)p->groups);
    for (int i = 0; p->op == SAL_OP_TRANSPOSE && i < p->inputs[0].rank; i++)
        put(w, "%s%d", i ? "" : " ", p->permutation[i]);
    for (int i = 0; i < p->reshaped.rank; i++)
        put(w, "%s%lld", i ? "x" : " to ", (long long)p->reshaped.dim[i]);
    if (p->scalar_weight)
        put(w, " scalar");
    if (p->bias)
        put(w, p->bias == BIAS_SCALAR ? " +scalar bias" : " +bias");
}

const char *problem_text(char *text, size_t size, const problem *p)
{
    static const char *const rules[] = {"", " guided", " deconvnet", " rectified"};
    writer w = {text, size, 0};
    put(&w, "%s", sal_step_kind_name(p->kind));
    if (p->kind == SAL_STEP_ACTIVATION_BACKWARD && p->op != SAL_OP_ACTIVATION)
        put(&w, " of %s", sal_op_get(p->op)->name);
    put_shapes(&w, p);
    put_window(&w, &p->window);
    put_attributes(&w, p);
    if (p->op == SAL_OP_CONV && p->input_count > 1)
        put(&w, " +residual");
    put(&w, "%s%s%s%s%s%s%s", p->seed ? " seed" : "", p->kept ? " +kept" : "", p->addend ? " +addend" : "",
        p->activated ? " +activated" : "", p->in_place ? " in place" : "", p->picture ? " picture" : "",
        p->grid ? " grid" : "");
    put(&w, "%s", p->rows == ROWS_BOTH ? " rows" : p->rows == ROWS_IN ? " from rows" : p->rows ? " to rows" : "");
    put(&w, "%s", p->ties == TIES_FLAT ? " flat" : p->ties == TIES_STRIPED ? " striped" : "");
    put(&w, "%s", rules[p->rule]);
    if (p->operand)
        put(&w, " operand%d", p->operand);
    return text;
}
