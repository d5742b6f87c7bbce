/* Activations and softmax. */
#include "base/memory.h"
#include "import/onnx/lower/array.h"
#include "import/onnx/lower/emit.h"
#include "import/onnx/lower/handlers.h"
#include "import/onnx/onnx_importer.h"
#include "import/onnx/op.h"
#include "import/onnx/tensor.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* Ops that are one activation of the graph; alpha and beta are attributes with these defaults. */
static const struct {
    const char *type;
    sal_activation_kind kind;
    float alpha;
    float beta;
} simple[] = {
    {"Elu", SAL_ACT_ELU, 1.0F, 0.0F},
    {"HardSigmoid", SAL_ACT_HARD_SIGMOID, 0.2F, 0.5F},
    {"HardSwish", SAL_ACT_HARD_SWISH, 0.0F, 0.0F},
    {"LeakyRelu", SAL_ACT_LEAKY_RELU, 0.01F, 0.0F},
    {"Relu", SAL_ACT_RELU, 0.0F, 0.0F},
    {"Selu", SAL_ACT_ELU, 1.67326319217681884765625F, 1.05070102214813232421875F},
    {"Sigmoid", SAL_ACT_SIGMOID, 0.0F, 0.0F},
    {"Softplus", SAL_ACT_SOFTPLUS, 0.0F, 0.0F},
    {"Softsign", SAL_ACT_SOFTSIGN, 0.0F, 0.0F},
    {"Squareplus", SAL_ACT_SQUAREPLUS, 4.0F, 0.0F}, /* no op of ONNX: what Keras files ask for */
    {"Tanh", SAL_ACT_TANH, 0.0F, 0.0F},
    {"ThresholdedRelu", SAL_ACT_THRESHOLD, 1.0F, 0.0F},
};

sal_status onnx_lower_activation(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    size_t k = 0;
    int x, lead;
    float alpha, beta;
    while (strcmp(simple[k].type, op->type) != 0)
        k++;
    int selu = strcmp(op->type, "Selu") == 0;
    TRY(onnx_attribute_float(&alpha, op, "alpha", simple[k].alpha));
    TRY(onnx_attribute_float(&beta, op, selu ? "gamma" : "beta", simple[k].beta));
    TRY(onnx_elements(&x, &lead, im, op, 0));
    TRY(onnx_emit_activation(&x, im, op, x, simple[k].kind, (double)alpha, selu ? 0.0 : (double)beta));
    if (selu)
        TRY(onnx_emit_affine(&x, im, op, x, (double)beta, 0.0));
    onnx_output_elements(im, op, 0, x, lead);
done:
    return st;
}

/* A bound of Clip: an attribute before opset 11, an input from then on. */
static sal_status read_bound(double *out, onnx_importer *im, const onnx_op *op, const char *name, int index)
{
    const SalOnnx__Attribute *a = onnx_attribute_find(op, name);
    if (a)
        *out = (double)a->f;
    else if (onnx_has_input(op, index)) {
        sal_status st = onnx_scalar(out, im, op, index);
        if (st != SAL_OK)
            return st;
    }
    if (isnan(*out))
        return onnx_fail(op, SAL_ERROR_NUMERIC, "%s is NaN", name);
    *out = fmin(fmax(*out, -(double)FLT_MAX), (double)FLT_MAX);
    return SAL_OK;
}

static sal_status clip_constant(onnx_importer *im, const onnx_op *op, double low, double high)
{
    const onnx_tensor *x;
    onnx_tensor t;
    sal_status st = onnx_constant(&x, im, op, 0);
    if (st == SAL_OK)
        st = onnx_tensor_new(&t, im, x->integer, &x->shape, op->name);
    if (st != SAL_OK)
        return st;
    for (size_t k = 0; k < t.count; k++) {
        double v = fmin(fmax(onnx_tensor_at(x, k), low), high);
        if (t.integer)
            t.i[k] = onnx_to_int(v);
        else
            t.f[k] = (float)v;
    }
    onnx_output_constant(im, op, 0, &t);
    return SAL_OK;
}

sal_status onnx_lower_clip(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    double low = -(double)FLT_MAX, high = (double)FLT_MAX;
    int constant, x, lead;
    TRY(read_bound(&low, im, op, "min", 1));
    TRY(read_bound(&high, im, op, "max", 2));
    TRY(onnx_is_constant(&constant, im, op, 0));
    if (constant)
        return clip_constant(im, op, low, high);
    TRY(onnx_elements(&x, &lead, im, op, 0));
    if (low > high)
        TRY(onnx_emit_affine(&x, im, op, x, 0.0, high));
    else if (low == 0.0 && high == (double)FLT_MAX)
        TRY(onnx_emit_activation(&x, im, op, x, SAL_ACT_RELU, 0.0, 0.0));
    else
        TRY(onnx_emit_activation(&x, im, op, x, SAL_ACT_CLIP, low, high));
    onnx_output_elements(im, op, 0, x, lead);
done:
    return st;
}

/* scale * x with one for all, or one for each element of a shape that x is broadcast to. */
static sal_status scaled(int *out, onnx_importer *im, const onnx_op *op, int x, const float *scale, size_t count,
                         const sal_shape *shape, double of_scale, double shift)
{
    sal_status st = SAL_OK;
    float *values = NULL;
    int factor;
    if (count == 1)
        return onnx_emit_affine(out, im, op, x, of_scale * (double)scale[0] + shift, 0.0);
    TRY(sal_alloc(&values, count, sizeof *values, op->name));
    for (size_t k = 0; k < count; k++)
        values[k] = (float)(of_scale * (double)scale[k] + shift);
    TRY(onnx_emit_constant(&factor, im, op, values, shape));
    TRY(onnx_emit_broadcast(out, im, op, SAL_OP_MUL, x, factor));
done:
    return st;
}

/* One slope of at least 0 for all is a leaky ReLU. Others: s x + (1 - s) relu(x), whose derivative at 0 is s. */
sal_status onnx_lower_prelu(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    onnx_array x;
    const onnx_tensor *given;
    size_t count;
    float *slope = NULL;
    int equal = 1, positive, line;
    char text[160];
    TRY(onnx_array_get(&x, im, op, 0));
    TRY(onnx_constant(&given, im, op, 1));
    const sal_shape own = given->shape, *in = onnx_shape(im, x.node);
    sal_shape shape = {.rank = in->rank};
    TRY(onnx_take(&slope, &count, im, op, 1));
    for (size_t k = 1; k < count; k++)
        equal &= slope[k] == slope[0];
    if (equal && slope[0] >= 0.0F) {
        TRY(onnx_emit_activation(&x.node, im, op, x.node, SAL_ACT_LEAKY_RELU, (double)slope[0], 0.0));
        onnx_output_elements(im, op, 0, x.node, x.lead);
        goto done;
    }
    for (int a = 0; a < shape.rank; a++) {
        shape.dim[a] = a < shape.rank - own.rank ? 1 : own.dim[a - (shape.rank - own.rank)];
        if (own.rank > x.shape.rank || (shape.dim[a] != 1 && shape.dim[a] != in->dim[a])) {
            st = onnx_fail(op, SAL_ERROR_FORMAT, "slopes of shape %s", sal_shape_text(text, sizeof text, &own));
            goto done;
        }
    }
    TRY(onnx_emit_activation1(&positive, im, op, x.node, SAL_ACT_RELU));
    TRY(scaled(&line, im, op, x.node, slope, equal ? 1 : count, &shape, 1.0, 0.0));
    TRY(scaled(&positive, im, op, positive, slope, equal ? 1 : count, &shape, -1.0, 1.0));
    TRY(onnx_emit_binary(&line, im, op, SAL_OP_ADD, line, positive));
    onnx_output_elements(im, op, 0, line, x.lead);
done:
    sal_free(slope);
    return st;
}

sal_status onnx_lower_gelu(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int x, lead;
    int tanh_form = onnx_attribute_is(op, "approximate", "tanh", "none");
    if (!tanh_form && !onnx_attribute_is(op, "approximate", "none", "none"))
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "unknown approximation");
    TRY(onnx_elements(&x, &lead, im, op, 0));
    TRY(onnx_emit_activation(&x, im, op, x, tanh_form ? SAL_ACT_GELU_TANH : SAL_ACT_GELU, 0.0, 0.0));
    onnx_output_elements(im, op, 0, x, lead);
done:
    return st;
}

/* x tanh(softplus(x)) */
sal_status onnx_lower_mish(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int x, lead, gate;
    TRY(onnx_elements(&x, &lead, im, op, 0));
    TRY(onnx_emit_activation(&gate, im, op, x, SAL_ACT_SOFTPLUS, 0.0, 0.0));
    TRY(onnx_emit_activation(&gate, im, op, gate, SAL_ACT_TANH, 0.0, 0.0));
    TRY(onnx_emit_binary(&x, im, op, SAL_OP_MUL, x, gate));
    onnx_output_elements(im, op, 0, x, lead);
done:
    return st;
}

/* Arithmetic on each element alone. */
static const struct {
    const char *type;
    sal_activation_kind kind;
} elementwise[] = {
    {"Abs", SAL_ACT_ABS}, {"Cos", SAL_ACT_COS},   {"Exp", SAL_ACT_EXP},
    {"Log", SAL_ACT_LOG}, {"Sign", SAL_ACT_SIGN}, {"Sin", SAL_ACT_SIN},
};

sal_status onnx_lower_elementwise(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    size_t k = 0;
    int constant, x, lead;
    while (strcmp(elementwise[k].type, op->type) != 0)
        k++;
    TRY(onnx_is_constant(&constant, im, op, 0));
    if (constant)
        return onnx_fold_unary(im, op);
    TRY(onnx_elements(&x, &lead, im, op, 0));
    TRY(onnx_emit_activation1(&x, im, op, x, elementwise[k].kind));
    onnx_output_elements(im, op, 0, x, lead);
done:
    return st;
}

/* alpha (e^(x / alpha) - 1) below 0 */
sal_status onnx_lower_celu(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    float alpha;
    int x, lead;
    TRY(onnx_attribute_float(&alpha, op, "alpha", 1.0F));
    if (!(alpha > 0.0F))
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "alpha %g", (double)alpha);
    TRY(onnx_elements(&x, &lead, im, op, 0));
    TRY(onnx_emit_affine(&x, im, op, x, 1.0 / (double)alpha, 0.0));
    TRY(onnx_emit_activation(&x, im, op, x, SAL_ACT_ELU, 1.0, 0.0));
    TRY(onnx_emit_affine(&x, im, op, x, (double)alpha, 0.0));
    onnx_output_elements(im, op, 0, x, lead);
done:
    return st;
}

/* One side of Shrink: x - bias above the threshold, else 0. The step is 1 where x - threshold has the sign 1. */
static sal_status shrink_above(int *out, onnx_importer *im, const onnx_op *op, int x, double threshold, double bias)
{
    sal_status st = SAL_OK;
    int step;
    TRY(onnx_emit_activation(out, im, op, x, SAL_ACT_THRESHOLD, threshold, 0.0));
    if (bias == 0.0)
        return SAL_OK;
    TRY(onnx_emit_affine(&step, im, op, x, 1.0, -threshold));
    TRY(onnx_emit_activation1(&step, im, op, step, SAL_ACT_SIGN));
    TRY(onnx_emit_activation1(&step, im, op, step, SAL_ACT_RELU));
    TRY(onnx_emit_affine(&step, im, op, step, -bias, 0.0));
    TRY(onnx_emit_binary(out, im, op, SAL_OP_ADD, *out, step));
done:
    return st;
}

sal_status onnx_lower_shrink(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    float threshold, bias;
    int x, lead, above, below;
    TRY(onnx_attribute_float(&threshold, op, "lambd", 0.5F));
    TRY(onnx_attribute_float(&bias, op, "bias", 0.0F));
    if (!(threshold >= 0.0F))
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "lambd %g", (double)threshold);
    TRY(onnx_elements(&x, &lead, im, op, 0));
    TRY(shrink_above(&above, im, op, x, (double)threshold, (double)bias));
    TRY(onnx_emit_affine(&below, im, op, x, -1.0, 0.0));
    TRY(shrink_above(&below, im, op, below, (double)threshold, (double)bias));
    TRY(onnx_emit_affine(&below, im, op, below, -1.0, 0.0));
    TRY(onnx_emit_binary(&x, im, op, SAL_OP_ADD, above, below));
    onnx_output_elements(im, op, 0, x, lead);
done:
    return st;
}

/* Of e^x, e^-x, sine and cosine. The sine is tanh times the cosine: a difference of e^x and e^-x loses digits at 0. */
sal_status onnx_lower_trigonometric(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int x, lead, y, z;
    const int hyperbolic = strcmp(op->type, "Tan") != 0;
    TRY(onnx_elements(&x, &lead, im, op, 0));
    if (hyperbolic) {
        TRY(onnx_emit_activation1(&y, im, op, x, SAL_ACT_EXP));
        TRY(onnx_emit_affine(&z, im, op, x, -1.0, 0.0));
        TRY(onnx_emit_activation1(&z, im, op, z, SAL_ACT_EXP));
        TRY(onnx_emit_binary(&y, im, op, SAL_OP_ADD, y, z));
        TRY(onnx_emit_affine(&y, im, op, y, 0.5, 0.0));
        if (strcmp(op->type, "Sinh") == 0)
            TRY(onnx_emit_activation1(&z, im, op, x, SAL_ACT_TANH));
    } else {
        TRY(onnx_emit_activation1(&y, im, op, x, SAL_ACT_SIN));
        TRY(onnx_emit_activation1(&z, im, op, x, SAL_ACT_COS));
        TRY(onnx_emit_activation1(&z, im, op, z, SAL_ACT_RECIPROCAL));
    }
    if (strcmp(op->type, "Cosh") != 0)
        TRY(onnx_emit_binary(&y, im, op, SAL_OP_MUL, y, z));
    onnx_output_elements(im, op, 0, y, lead);
done:
    return st;
}

/* x sigmoid(alpha x) */
sal_status onnx_lower_swish(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    float alpha;
    int x, lead, gate;
    TRY(onnx_attribute_float(&alpha, op, "alpha", 1.0F));
    TRY(onnx_elements(&x, &lead, im, op, 0));
    gate = x;
    if (alpha != 1.0F)
        TRY(onnx_emit_affine(&gate, im, op, x, (double)alpha, 0.0));
    TRY(onnx_emit_activation1(&gate, im, op, gate, SAL_ACT_SIGMOID));
    TRY(onnx_emit_binary(&x, im, op, SAL_OP_MUL, x, gate));
    onnx_output_elements(im, op, 0, x, lead);
done:
    return st;
}

sal_status onnx_lower_softmax(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    onnx_array a;
    int axis, x;
    int64_t axis_given;
    const int flattens = op->opset < 13; /* before: over the axis and all that follow */
    TRY(onnx_attribute_int(&axis_given, op, "axis", flattens ? 1 : -1));
    TRY(onnx_array_get(&a, im, op, 0));
    TRY(onnx_axis(&axis, op, axis_given, a.shape.rank));
    if (axis == 0 && a.lead == 0 && flattens)
        TRY(onnx_array_lead(&a, im, op));
    axis += a.lead;
    if (axis == 0)
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "acts along the axis of the batch");
    const sal_shape shape = *onnx_shape(im, a.node);
    sal_shape flat = shape;
    if (flattens) {
        flat.rank = axis + 1;
        for (int k = axis + 1; k < shape.rank; k++)
            flat.dim[axis] *= shape.dim[k];
        if (flat.dim[axis] == shape.dim[axis])
            flat = shape;
    }
    TRY(onnx_emit_reshape(&x, im, op, a.node, &flat));
    /* The last op of a vector of scores is taken off with the softmax: the scores are the logits either way. */
    if (strcmp(op->type, "LogSoftmax") == 0 &&
        (op->outputs[0] != im->output || flat.dim[axis] != sal_shape_elements(&flat)))
        TRY(onnx_emit_log_softmax(&x, im, op, x, axis));
    else
        TRY(onnx_emit_softmax(&x, im, op, x, axis));
    TRY(onnx_emit_reshape(&x, im, op, x, &shape));
    TRY(onnx_array_output(im, op, 0, x, &a.shape));
done:
    return st;
}
