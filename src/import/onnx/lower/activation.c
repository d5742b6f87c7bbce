/* Activations and softmax. */
#include "base/memory.h"
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
    int x;
    float alpha, beta;
    while (strcmp(simple[k].type, op->type) != 0)
        k++;
    int selu = strcmp(op->type, "Selu") == 0;
    TRY(onnx_attribute_float(&alpha, op, "alpha", simple[k].alpha));
    TRY(onnx_attribute_float(&beta, op, selu ? "gamma" : "beta", simple[k].beta));
    TRY(onnx_node(&x, im, op, 0));
    TRY(onnx_emit_activation(&x, im, op, x, simple[k].kind, (double)alpha, selu ? 0.0 : (double)beta));
    if (selu)
        TRY(onnx_emit_affine(&x, im, op, x, (double)beta, 0.0));
    onnx_output_node(im, op, 0, x);
done:
    return st;
}

sal_status onnx_lower_exp(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int constant, x;
    TRY(onnx_is_constant(&constant, im, op, 0));
    if (constant)
        return onnx_fold_unary(im, op);
    TRY(onnx_node(&x, im, op, 0));
    TRY(onnx_emit_activation(&x, im, op, x, SAL_ACT_EXP, 0.0, 0.0));
    onnx_output_node(im, op, 0, x);
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
    int constant, x;
    TRY(read_bound(&low, im, op, "min", 1));
    TRY(read_bound(&high, im, op, "max", 2));
    TRY(onnx_is_constant(&constant, im, op, 0));
    if (constant)
        return clip_constant(im, op, low, high);
    TRY(onnx_node(&x, im, op, 0));
    if (low == 0.0 && high == (double)FLT_MAX)
        TRY(onnx_emit_activation(&x, im, op, x, SAL_ACT_RELU, 0.0, 0.0));
    else
        TRY(onnx_emit_activation(&x, im, op, x, SAL_ACT_CLIP, low, high));
    onnx_output_node(im, op, 0, x);
done:
    return st;
}

/* One slope for all is a leaky ReLU. */
sal_status onnx_lower_prelu(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int x;
    size_t count;
    float *slope = NULL;
    TRY(onnx_node(&x, im, op, 0));
    TRY(onnx_take(&slope, &count, im, op, 1));
    for (size_t k = 1; k < count; k++)
        if (slope[k] != slope[0]) {
            st = onnx_fail(op, SAL_ERROR_UNSUPPORTED, "its slopes differ between channels");
            goto done;
        }
    TRY(onnx_emit_activation(&x, im, op, x, SAL_ACT_LEAKY_RELU, (double)slope[0], 0.0));
    onnx_output_node(im, op, 0, x);
done:
    sal_free(slope);
    return st;
}

sal_status onnx_lower_gelu(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int x;
    int tanh_form = onnx_attribute_is(op, "approximate", "tanh", "none");
    if (!tanh_form && !onnx_attribute_is(op, "approximate", "none", "none"))
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "unknown approximation");
    TRY(onnx_node(&x, im, op, 0));
    TRY(onnx_emit_activation(&x, im, op, x, tanh_form ? SAL_ACT_GELU_TANH : SAL_ACT_GELU, 0.0, 0.0));
    onnx_output_node(im, op, 0, x);
done:
    return st;
}

/* x tanh(softplus(x)) */
sal_status onnx_lower_mish(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int x, gate;
    TRY(onnx_node(&x, im, op, 0));
    TRY(onnx_emit_activation(&gate, im, op, x, SAL_ACT_SOFTPLUS, 0.0, 0.0));
    TRY(onnx_emit_activation(&gate, im, op, gate, SAL_ACT_TANH, 0.0, 0.0));
    TRY(onnx_emit_binary(&x, im, op, SAL_OP_MUL, x, gate));
    onnx_output_node(im, op, 0, x);
done:
    return st;
}

sal_status onnx_lower_softmax(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int x, axis;
    int64_t axis_given;
    const int flattens = op->opset < 13; /* before: over the axis and all that follow */
    TRY(onnx_attribute_int(&axis_given, op, "axis", flattens ? 1 : -1));
    /* As the last op it is taken off with the softmax; the scores are the logits either way. */
    if (strcmp(op->type, "LogSoftmax") == 0 && op->outputs[0] != im->output)
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "salmap knows it only as the last op");
    TRY(onnx_node(&x, im, op, 0));
    const sal_shape shape = *onnx_shape(im, x);
    sal_shape flat = shape;
    TRY(onnx_axis(&axis, op, axis_given, shape.rank));
    if (flattens) {
        flat.rank = axis + 1;
        for (int a = axis + 1; a < shape.rank; a++)
            flat.dim[axis] *= shape.dim[a];
        if (flat.dim[axis] == shape.dim[axis])
            flat = shape;
    }
    if (axis == 0)
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "acts along the axis of the batch");
    TRY(onnx_emit_reshape(&x, im, op, x, &flat));
    TRY(onnx_start(&x, im, op, SAL_OP_SOFTMAX, &(int){x}, 1));
    im->graph->nodes[x].axis = axis;
    TRY(onnx_finish(im, op, x));
    TRY(onnx_emit_reshape(&x, im, op, x, &shape));
    onnx_output_node(im, op, 0, x);
done:
    return st;
}
