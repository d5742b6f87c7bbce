#!/usr/bin/env python3
"""Writes the small ONNX files of tests/golden/onnx: one op, op variant or habit of an exporter each.

    make_onnx_cases.py tests/golden/onnx

accepted/NAME.onnx with NAME.ref: float64 input, scores and gradient of the first score, from PyTorch in double
precision; of max pools with NAME.flat, likewise of pictures that are flat in places, where a window's elements are equal;
refused/NAME.onnx with a line "NAME STATUS part of the message" in refused/list.txt.
Deterministic: running it again changes nothing."""
import io
import pathlib
import sys
import warnings

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper

warnings.filterwarnings("ignore")
torch.set_num_threads(1)

OUT = pathlib.Path(sys.argv[1])
RNG = np.random.default_rng(7)
REFUSED = []
SHAPE = (1, 2, 5, 6)


def weights(*shape):
    """Multiples of 1/16, exact in every float type of the format."""
    return (RNG.integers(-16, 17, shape) / 16).astype(np.float32)


def tensor(name, value):
    return numpy_helper.from_array(np.array(value, order="C"), name)


def node(op, inputs, outputs="y", **attributes):
    return helper.make_node(op, inputs.split(), outputs.split(), **attributes)


def model(nodes, constants=None, shape=SHAPE, opset=13, out=("y",), functions=(), extra_opsets=(), out_shape=None,
          inputs=None):
    """inputs: name to shape; the first is the picture."""
    inputs = inputs or {"x": shape}
    graph = helper.make_graph(
        nodes if isinstance(nodes, list) else [nodes], "case",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, out_shape) for n in out],
        [v if isinstance(v, TensorProto) else tensor(k, v) for k, v in (constants or {}).items()])
    m = helper.make_model(graph, producer_name="case", functions=list(functions),
                          opset_imports=[helper.make_opsetid("", opset), *extra_opsets])
    m.ir_version = 8
    return m


def save(folder, name, m):
    path = OUT / folder / f"{name}.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(m if isinstance(m, bytes) else m.SerializeToString())


def accept(name, m, function, shape=SHAPE):
    """function: of the input, double. Inputs are multiples of 1/8 off the kinks of all activations used."""
    save("accepted", name, m)
    x = torch.tensor(RNG.integers(-24, 24, shape) / 8 + 1 / 16, dtype=torch.float64, requires_grad=True)
    y = function(x)
    y.flatten()[0].backward()
    reference = np.concatenate([v.detach().numpy().ravel() for v in (x, y, x.grad)])
    assert np.isfinite(reference).all(), name
    reference.tofile(OUT / "accepted" / f"{name}.ref")


def flat_pictures(shape):
    """Constant, halves, squares of one and of two pixels, bars, steps; each channel of its own values."""
    c, y, x = np.mgrid[:shape[1], :shape[2], :shape[3]]
    return [np.where(where, 1.5 - c, -0.75 + c)[None] for where in
            (c < 0, x < shape[3] // 2, (x + y) % 2, (x // 2 + y // 2) % 2, (y > 1) & (y < shape[2] - 2))] + [(x // 3 - y // 2 + c / 4)[None]]


def accept_flat(name, function, shape):
    """NAME.flat: of each picture input, outputs, and the gradient of the outputs times other numbers for each."""
    references = []
    for picture in flat_pictures(shape):
        x = torch.tensor(picture, dtype=torch.float64, requires_grad=True)
        y = function(x)
        (y.flatten() * ((7 * torch.arange(y.numel()) % 11 - 5) / 4 + 0.125)).sum().backward()
        references += [v.detach().numpy().ravel() for v in (x, y, x.grad)]
    np.concatenate(references).tofile(OUT / "accepted" / f"{name}.flat")


def refuse(name, m, status, text):
    save("refused", name, m)
    REFUSED.append(f"{name} {status} {text}\n")


def t(value):
    return torch.tensor(np.asarray(value, np.float64))


def i64(*values):
    return np.array(values, np.int64)


def f32(*values):
    return np.array(values[0] if len(values) == 1 else values, np.float32)


def export(name, module, opset, shape=SHAPE, batch_axis=False, batch=1, **options):
    """Through PyTorch's exporter."""
    torch.manual_seed(len(name))
    for p in module.parameters():
        p.data = t(weights(*p.shape)).float()
    module.eval()
    buffer = io.BytesIO()
    torch.onnx.export(module, torch.zeros(batch, *shape[1:]), buffer, opset_version=opset, input_names=["x"],
                      dynamic_axes={"x": {0: "n"}} if batch_axis else None, **options)
    accept(name, buffer.getvalue(), module.double(), shape)


class Lambda(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.forward = function


def convolutions():
    w, b = weights(4, 2, 3, 3), weights(4)
    for name, attributes, options in [
        ("plain", {}, {}),
        ("padded", {"pads": [1, 2, 1, 2], "strides": [2, 1]}, {"padding": (1, 2), "stride": (2, 1)}),
        ("dilated", {"dilations": [2, 2], "pads": [2, 1, 2, 1], "kernel_shape": [3, 3]}, {"dilation": 2, "padding": (2, 1)}),
        ("valid", {"auto_pad": "VALID", "strides": [2, 2]}, {"stride": 2}),
    ]:
        accept(f"conv_{name}", model(node("Conv", "x w b", **attributes), {"w": w, "b": b}),
               lambda x, options=options: F.conv2d(x, t(w), t(b), **options))
    accept("conv_uneven_pads", model(node("Conv", "x w", pads=[0, 1, 2, 3]), {"w": w}),
           lambda x: F.conv2d(F.pad(x, (1, 3, 0, 2)), t(w)))
    accept("conv_same_upper", model(node("Conv", "x w", auto_pad="SAME_UPPER", strides=[2, 2]), {"w": w}),
           lambda x: F.conv2d(F.pad(x, (0, 1, 1, 1)), t(w), stride=2))
    accept("conv_same_lower", model(node("Conv", "x w", auto_pad="SAME_LOWER", strides=[2, 2]), {"w": w}),
           lambda x: F.conv2d(F.pad(x, (1, 0, 1, 1)), t(w), stride=2))
    wd = weights(4, 1, 1, 3)
    accept("conv_depthwise", model(node("Conv", "x w", group=2, pads=[0, 1, 0, 1]), {"w": wd}, opset=7),
           lambda x: F.conv2d(x, t(wd), groups=2, padding=(0, 1)))
    wr = np.transpose(w, (2, 3, 1, 0))  # height, width, in, out
    accept("conv_weights_transposed",
           model([node("Transpose", "wr", "w", perm=[3, 2, 0, 1]), node("Conv", "x w")], {"wr": wr}),
           lambda x: F.conv2d(x, t(w)))
    w2 = weights(2, 2, 3, 3)
    accept("conv_weights_shared",
           model([node("Identity", "w", "w2"), node("Conv", "x w b", "a", pads=[1] * 4),
                  node("Conv", "a w2 b", "y", pads=[1] * 4)], {"w": w2, "b": b[:2]}),
           lambda x: F.conv2d(F.conv2d(x, t(w2), t(b[:2]), padding=1), t(w2), t(b[:2]), padding=1))
    m = model(node("Conv", "x w b"), {"w": w, "b": b}, opset=8)
    m.ir_version = 3
    for initializer in m.graph.initializer:
        m.graph.input.append(helper.make_tensor_value_info(initializer.name, 1, initializer.dims))
    accept("conv_weights_are_inputs", m, lambda x: F.conv2d(x, t(w), t(b)))
    constant = helper.make_node("Constant", [], ["w"], value=tensor("", w))
    accept("conv_weights_by_constant", model([constant, node("Conv", "x w")]), lambda x: F.conv2d(x, t(w)))


def element_types():
    w = weights(3, 2, 2, 2)
    bits = w.view(np.uint32)
    raw = lambda kind, data: helper.make_tensor("w", kind, w.shape, data.tobytes(), raw=True)
    typed = lambda kind, field, data: TensorProto(name="w", data_type=kind, dims=w.shape, **{field: data.ravel().tolist()})
    for name, stored in {
        "half": raw(TensorProto.FLOAT16, w.astype(np.float16)),
        "bfloat": raw(TensorProto.BFLOAT16, (bits >> 16).astype(np.uint16)),
        "double": raw(TensorProto.DOUBLE, w.astype(np.float64)),
        "half_typed": typed(TensorProto.FLOAT16, "int32_data", w.astype(np.float16).view(np.uint16)),
        "bfloat_typed": typed(TensorProto.BFLOAT16, "int32_data", bits >> 16),
        "double_typed": typed(TensorProto.DOUBLE, "double_data", w),
        "float_typed": typed(TensorProto.FLOAT, "float_data", w),
    }.items():
        accept(f"weights_{name}", model(node("Conv", "x w"), {"w": stored}), lambda x: F.conv2d(x, t(w)))
    small = f32(0, 2.0 ** -24, 3 * 2.0 ** -20, -2.0 ** -14, 65504, -2.0 ** -15).reshape(6)
    stored = helper.make_tensor("w", TensorProto.FLOAT16, [6], small.astype(np.float16).tobytes(), raw=True)
    accept("weights_half_subnormal", model(node("Mul", "x w"), {"w": stored}), lambda x: x * t(small))
    for kind in (TensorProto.INT32, TensorProto.INT8, TensorProto.UINT16):
        shape = TensorProto(name="s", data_type=kind, dims=[2], int32_data=[1, 60])
        accept(f"shape_of_type_{kind}",
               model([node("Cast", "s", "s64", to=TensorProto.INT64), node("Reshape", "x s64")], {"s": shape}),
               lambda x: x.reshape(1, 60))
    data = b"\0" * 16 + w.tobytes()
    (OUT / "accepted").mkdir(parents=True, exist_ok=True)
    (OUT / "accepted" / "weights.data").write_bytes(data)
    accept("weights_external", model(node("Conv", "x w"), {"w": external("weights.data", 16, w.nbytes, w.shape)}),
           lambda x: F.conv2d(x, t(w)))
    half = (OUT / "accepted" / "half.data")
    half.write_bytes(w.astype(np.float16).tobytes())
    stored = external("./half.data", None, None, w.shape)
    stored.data_type = TensorProto.FLOAT16
    accept("weights_external_half", model(node("Conv", "x w"), {"w": stored}), lambda x: F.conv2d(x, t(w)))


def external(location, offset, length, shape):
    stored = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=shape, data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        if value is not None:
            stored.external_data.add(key=key, value=str(value))
    return stored


def dense():
    shape, flat = (1, 2, 2, 3), node("Flatten", "x", "f")
    w, b = weights(12, 4), weights(4)
    f = lambda x: x.flatten(1)
    accept("gemm", model([flat, node("Gemm", "f w b")], {"w": w, "b": b}, shape), lambda x: f(x) @ t(w) + t(b), shape)
    accept("gemm_transposed", model([flat, node("Gemm", "f w b", transB=1, alpha=0.5, beta=2.0)], {"w": w.T, "b": b[None]},
                                    shape), lambda x: 0.5 * f(x) @ t(w) + 2 * t(b), shape)
    accept("gemm_scalar_bias", model([flat, node("Gemm", "f w b")], {"w": w, "b": f32(0.5)}, shape, opset=9),
           lambda x: f(x) @ t(w) + 0.5, shape)
    accept("gemm_no_bias", model([flat, node("Gemm", "f w")], {"w": w}, shape), lambda x: f(x) @ t(w), shape)
    accept("matmul_add", model([flat, node("MatMul", "f w", "m"), node("Add", "m b")], {"w": w, "b": b}, shape),
           lambda x: f(x) @ t(w) + t(b), shape)
    w6 = weights(6, 3)
    accept("matmul_last_axis", model(node("MatMul", "x w"), {"w": w6}), lambda x: x @ t(w6))


def activations():
    for op, function, attributes, opset in [
        ("Relu", F.relu, {}, 7), ("LeakyRelu", lambda x: F.leaky_relu(x, 0.01), {}, 13),
        ("LeakyRelu", lambda x: F.leaky_relu(x, 0.25), {"alpha": 0.25}, 16), ("Elu", F.elu, {}, 13),
        ("Elu", lambda x: F.elu(x, 0.5), {"alpha": 0.5}, 9), ("Sigmoid", torch.sigmoid, {}, 9),
        ("Tanh", torch.tanh, {}, 13), ("Softplus", F.softplus, {}, 13), ("HardSwish", F.hardswish, {}, 14),
        ("HardSigmoid", lambda x: torch.clamp(float(np.float32(0.2)) * x + 0.5, 0, 1), {}, 9),
        ("HardSigmoid", F.hardsigmoid, {"alpha": 1 / 6, "beta": 0.5}, 14), ("Selu", F.selu, {}, 13),
        ("Mish", F.mish, {}, 18), ("Gelu", F.gelu, {}, 20),
        ("Gelu", lambda x: F.gelu(x, approximate="tanh"), {"approximate": "tanh"}, 20),
        ("Clip", lambda x: x.clamp(-1, 2), {"min": -1.0, "max": 2.0}, 7),
        ("Clip", F.relu, {"min": 0.0}, 10), ("Clip", F.relu6, {"min": 0.0, "max": 6.0}, 9),
    ]:
        extra = "".join(f"_{k}_{v:.3g}" if isinstance(v, float) else f"_{v}" for k, v in attributes.items())
        accept(f"{op.lower()}_{opset}{extra}", model(node(op, "x", **attributes), opset=opset), function)
    for name, low, high in (("both", -1, 2), ("min", 0, None), ("max", None, 1), ("none", None, None)):
        constants = {k: f32(v) for k, v in (("low", low), ("high", high)) if v is not None}
        clip = helper.make_node("Clip", ["x", "low" if low is not None else "", "high" if high is not None else ""], ["y"])
        accept(f"clip_inputs_{name}", model(clip, constants),
               lambda x, low=low, high=high: x.clamp(low, high) if (low, high) != (None, None) else x * 1)
    accept("clip_infinite", model(node("Clip", "x low high"), {"low": f32(0), "high": f32(np.inf)}), F.relu)
    accept("min_max", model([node("Max", "x low", "a"), node("Min", "high a")], {"low": f32(-1), "high": f32(2)}),
           lambda x: x.clamp(-1, 2))
    accept("prelu", model(node("PRelu", "x s"), {"s": f32([0.25, 0.25]).reshape(2, 1, 1)}),
           lambda x: F.leaky_relu(x, 0.25))
    for opset in (9, 13, 14):
        for name, module in (("silu", nn.SiLU()), ("gelu", nn.GELU()), ("hardswish", nn.Hardswish()), ("mish", nn.Mish()),
                             ("hardsigmoid", nn.Hardsigmoid()), ("relu6", nn.ReLU6())):
            export(f"torch_{name}_{opset}", module, opset)
    export("torch_gelu_tanh_13", nn.GELU(approximate="tanh"), 13)
    erf = [node("Mul", "x r", "s"), node("Erf", "s", "e"), node("Add", "one e", "a")]
    numbers = {"r": f32(np.sqrt(0.5)), "one": f32(1), "half": f32([0.5])}
    accept("gelu_half_first", model(erf + [node("Mul", "half x", "h"), node("Mul", "h a")], numbers), F.gelu)
    accept("gelu_half_inside", model(erf + [node("Mul", "a half", "h"), node("Mul", "h x")], numbers), F.gelu)
    accept("gelu_half_missing", model(erf + [node("Mul", "a x")], numbers), lambda x: 2 * F.gelu(x))
    accept("gelu_divided", model(erf + [node("Mul", "x a", "h"), node("Div", "h two")], {**numbers, "two": f32(2)}), F.gelu)


def normalisations():
    s, b, m = weights(2), weights(2), weights(2)
    v = np.abs(weights(2)) + f32(0.5)
    for opset in (7, 9, 15):
        accept(f"batch_norm_{opset}", model(node("BatchNormalization", "x s b m v", epsilon=0.01),
                                            {"s": s, "b": b, "m": m, "v": v}, opset=opset),
               lambda x: F.batch_norm(x, t(m), t(v), t(s), t(b), eps=float(np.float32(0.01))))
    w6, b6 = weights(6), weights(6)
    ln = lambda x: F.layer_norm(x, (6,), t(w6), t(b6))
    accept("layer_norm_17", model(node("LayerNormalization", "x w b"), {"w": w6, "b": b6}, opset=17), ln)
    accept("layer_norm_no_bias", model(node("LayerNormalization", "x w", epsilon=0.5), {"w": w6}, opset=17),
           lambda x: F.layer_norm(x, (6,), t(w6), eps=0.5))
    export("torch_layer_norm_13", nn.LayerNorm(6), 13)
    export("torch_layer_norm_17", nn.LayerNorm(6), 17)
    export("torch_layer_norm_plain", nn.LayerNorm(6, elementwise_affine=False), 13)

    class ChannelsFirst(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight, self.bias = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2))

        def forward(self, x):
            u = x.mean(1, keepdim=True)
            s = (x - u).pow(2).mean(1, keepdim=True)
            x = (x - u) / torch.sqrt(s + 1e-6)
            return self.weight[:, None, None] * x + self.bias[:, None, None]

    export("torch_layer_norm_channels_first", ChannelsFirst(), 13)
    pieces = [node("ReduceMean", "x", "u", axes=[-1]), node("Sub", "x u", "c"), node("Sub", "x u", "c2"),
              node("Mul", "c c2", "q"), node("ReduceMean", "q", "v", axes=[3]), node("Add", "e v", "ve"),
              node("Sqrt", "ve", "d"), node("Reciprocal", "d", "r"), node("Mul", "r c", "n"),
              node("Mul", "w n", "m"), node("Add", "m b")]
    accept("layer_norm_reciprocal", model(pieces, {"e": f32(2.0 ** -10), "w": w6, "b": b6}),
           lambda x: F.layer_norm(x, (6,), t(w6), t(b6), eps=2.0 ** -10))


def pools():
    x7 = (1, 2, 7, 8)
    for name, a, options in [
        ("plain", {"kernel_shape": [2, 2], "strides": [2, 2]}, {"kernel_size": 2}),
        ("padded", {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1] * 4},
         {"kernel_size": 3, "stride": 2, "padding": 1}),
        ("ceil", {"kernel_shape": [3, 2], "strides": [2, 3], "ceil_mode": 1},
         {"kernel_size": (3, 2), "stride": (2, 3), "ceil_mode": True}),
        ("ceil_padded", {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [1] * 4, "ceil_mode": 1},
         {"kernel_size": 2, "stride": 2, "padding": 1, "ceil_mode": True}),
    ]:
        accept(f"max_pool_{name}", model(node("MaxPool", "x", **a), shape=x7, opset=11),
               lambda x, o=options: F.max_pool2d(x, **o), x7)
        accept_flat(f"max_pool_{name}", lambda x, o=options: F.max_pool2d(x, **o), x7)
        for count in (0, 1):
            accept(f"average_pool_{name}_{count}",
                   model(node("AveragePool", "x", count_include_pad=count, **a), shape=x7, opset=11 if count else 19),
                   lambda x, o=options, c=count: F.avg_pool2d(x, count_include_pad=bool(c), **o), x7)
    accept("max_pool_dilated", model(node("MaxPool", "x", kernel_shape=[2, 2], dilations=[2, 3]), shape=x7),
           lambda x: F.max_pool2d(x, 2, 1, dilation=(2, 3)), x7)
    accept_flat("max_pool_dilated", lambda x: F.max_pool2d(x, 2, 1, dilation=(2, 3)), x7)
    accept("max_pool_same", model(node("MaxPool", "x", "y unused", kernel_shape=[3, 3], strides=[2, 2],
                                       auto_pad="SAME_UPPER"), shape=x7),
           lambda x: F.max_pool2d(F.pad(x, (0, 1, 1, 1), value=-1e9), 3, 2), x7)
    accept_flat("max_pool_same", lambda x: F.max_pool2d(F.pad(x, (0, 1, 1, 1), value=-1e9), 3, 2), x7)
    accept("average_pool_same", model(node("AveragePool", "x", kernel_shape=[2, 2], auto_pad="SAME_UPPER"), shape=x7),
           lambda x: F.avg_pool2d(F.pad(x, (0, 1, 0, 1)), 2, 1) / F.avg_pool2d(F.pad(torch.ones_like(x), (0, 1, 0, 1)), 2, 1),
           x7)
    accept("global_average_pool", model(node("GlobalAveragePool", "x")), lambda x: x.mean((2, 3), True))
    accept("global_max_pool", model(node("GlobalMaxPool", "x")), lambda x: x.amax((2, 3), True))
    accept_flat("global_max_pool", lambda x: F.adaptive_max_pool2d(x, 1), SHAPE)  # amax would share among equals


def means():
    for name, axes, keep in (("keep", (2, 3), 1), ("drop", (2, 3), 0), ("negative", (-1, -2), 0), ("channels_last", (1, 2), 0),
                             ("channels", (1,), 1), ("width", (3,), 0), ("height", (2,), 1), ("all", (1, 2, 3), 1)):
        accept(f"mean_{name}", model(node("ReduceMean", "x", axes=axes, keepdims=keep)),
               lambda x, a=axes, k=keep: x.mean(a, bool(k)))
    accept("mean_input_axes", model(node("ReduceMean", "x a"), {"a": i64(2, 3)}, opset=18), lambda x: x.mean((2, 3), True))
    accept("mean_twice", model([node("ReduceMean", "x", "a", axes=[3], keepdims=0),
                                node("ReduceMean", "a", axes=[2], keepdims=0)]), lambda x: x.mean(3).mean(2))


def arithmetic():
    full = np.broadcast_to(weights(2, 1, 1), (2, 5, 6)).copy()
    for name, c in (("scalar", f32(0.75)), ("channel", weights(2, 1, 1) + f32(2)), ("batch_and_channel", weights(1, 2, 1, 1) + f32(2)),
                    ("last_axis", weights(6) + f32(2)), ("full", full + f32(2)), ("uniform", np.full((5, 6), 0.75, np.float32))):
        for op, f in (("Add", torch.add), ("Sub", torch.sub), ("Mul", torch.mul), ("Div", torch.div)):
            if name in ("scalar", "last_axis") or op in ("Mul", "Sub"):
                accept(f"{op.lower()}_{name}", model(node(op, "x c"), {"c": c}), lambda x, f=f, c=c: f(x, t(c)))
            if op in ("Sub", "Mul") and name in ("scalar", "channel"):
                accept(f"{op.lower()}_{name}_first", model(node(op, "c x"), {"c": c}), lambda x, f=f, c=c: f(t(c), x))
    pool = node("GlobalAveragePool", "x", "g")
    g = lambda x: x.mean((2, 3), True)
    accept("nodes_mul_gate", model([pool, node("Mul", "g x")]), lambda x: x * g(x))
    accept("nodes_sub_gate", model([pool, node("Sub", "x g")]), lambda x: x - g(x))
    accept("nodes_sub", model([node("Sigmoid", "x", "s"), node("Sub", "x s")]), lambda x: x - x.sigmoid())
    accept("nodes_sum", model([node("Sigmoid", "x", "s"), node("Tanh", "x", "h"), node("Sum", "x s h")]),
           lambda x: x + x.sigmoid() + x.tanh())
    accept("neg", model(node("Neg", "x")), lambda x: -x)
    for p in (1, 2, 3):
        accept(f"pow_{p}", model(node("Pow", "x p"), {"p": f32(p)}), lambda x, p=p: x ** p)
    a = np.abs(weights(2, 1, 1)) + f32(1)
    accept("constants_folded",
           model([node("Add", "a b", "c"), node("Sqrt", "c", "d"), node("Div", "one d", "e"), node("Neg", "e", "f"),
                  node("Mul", "x f")], {"a": a, "b": f32(0.25), "one": f32(1)}),
           lambda x: x * -(1 / torch.sqrt(t(a) + 0.25)))


def softmaxes():
    accept("softmax_11", model(node("Softmax", "x"), opset=11), lambda x: x.flatten(1).softmax(1).reshape(x.shape))
    accept("softmax_11_axis_3", model(node("Softmax", "x", axis=3), opset=11), lambda x: x.softmax(3))
    accept("softmax_11_vector", model([node("Flatten", "x", "f"), node("Softmax", "f")], opset=11),
           lambda x: x.flatten(1).softmax(1))
    accept("softmax_13", model(node("Softmax", "x")), lambda x: x.softmax(-1))
    accept("softmax_13_axis_1", model(node("Softmax", "x", axis=1)), lambda x: x.softmax(1))


def shapes():
    accept("flatten_negative", model(node("Flatten", "x", axis=-3)), lambda x: x.flatten(1))
    accept("reshape_zero", model(node("Reshape", "x s"), {"s": i64(0, 2, -1)}), lambda x: x.reshape(1, 2, 30))
    accept("reshape_free_batch", model(node("Reshape", "x s"), {"s": i64(-1, 60)}), lambda x: x.flatten(1))
    accept("squeeze_7", model([node("GlobalAveragePool", "x", "g"), node("Squeeze", "g", axes=[2, 3])], opset=7),
           lambda x: x.mean((2, 3)))
    accept("squeeze_13", model([node("GlobalAveragePool", "x", "g"), node("Squeeze", "g a")], {"a": i64(-1, 2)}),
           lambda x: x.mean((2, 3)))
    accept("squeeze_all", model([node("GlobalAveragePool", "x", "g"), node("Squeeze", "g")]), lambda x: x.mean((2, 3)))
    w = weights(60, 1)
    accept("squeeze_regression", model([node("Flatten", "x", "f"), node("MatMul", "f w", "m"), node("Squeeze", "m a")],
                                       {"w": w, "a": i64(1)}), lambda x: x.flatten(1) @ t(w))
    accept("unsqueeze_11", model(node("Unsqueeze", "x", axes=[1, -1]), opset=11), lambda x: x[:, None, ..., None])
    accept("unsqueeze_13", model(node("Unsqueeze", "x a"), {"a": i64(2)}), lambda x: x[:, :, None])
    accept("transpose", model(node("Transpose", "x", perm=[0, 3, 1, 2])), lambda x: x.permute(0, 3, 1, 2))
    accept("concat", model([node("Sigmoid", "x", "s"), node("Concat", "x s x", axis=-3)]),
           lambda x: torch.cat([x, x.sigmoid(), x], 1))
    accept("concat_rows", model([node("Sigmoid", "x", "s"), node("Concat", "x s", axis=2)]),
           lambda x: torch.cat([x, x.sigmoid()], 2))
    accept("cast_and_dropout", model([node("Cast", "x", "a", to=10), node("Cast", "a", "b", to=1),
                                      node("Dropout", "b", "y mask")]), lambda x: x * 1)
    accept("pad_10", model(node("Pad", "x", pads=[0, 0, 1, 2, 0, 0, 3, 0], value=0.5), opset=10),
           lambda x: F.pad(x, (2, 0, 1, 3), value=0.5))
    accept("pad_13", model(node("Pad", "x p v"), {"p": i64(0, 0, 1, 2, 0, 0, 3, 0), "v": f32(-0.5)}),
           lambda x: F.pad(x, (2, 0, 1, 3), value=-0.5))
    pad = helper.make_node("Pad", ["x", "p", "", "a"], ["y"])
    accept("pad_18_axes", model(pad, {"p": i64(1, 2, 0, 3), "a": i64(-1, 2)}, opset=18), lambda x: F.pad(x, (1, 0, 2, 3)))
    accept("pad_channels_last", model(node("Pad", "x p"), {"p": i64(0, 1, 0, 0, 0, 2, 3, 0)}),
           lambda x: F.pad(x, (0, 0, 0, 3, 1, 2)))


def selections():
    accept("slice_9", model(node("Slice", "x", starts=[1, -4], ends=[2, 9], axes=[1, 2]), opset=9), lambda x: x[:, 1:2, -4:])
    accept("slice_13", model(node("Slice", "x s e a p"), {"s": i64(1, 0), "e": i64(-1, 2 ** 63 - 1), "a": i64(-1, 2), "p": i64(2, 3)}),
           lambda x: x[:, :, ::3, 1:-1:2])
    accept("slice_no_axes", model(node("Slice", "x s e"), {"s": i64(0, 0, 2), "e": i64(9, 1, 4)}), lambda x: x[:, :1, 2:4])
    accept("slice_reversed", model(node("Slice", "x s e a p"), {"s": i64(-1), "e": i64(-2 ** 63), "a": i64(1), "p": i64(-1)}),
           lambda x: x.flip(1))
    accept("split_11", model([node("Split", "x", "a b", axis=2, split=[2, 3]), node("Sigmoid", "b")], opset=11),
           lambda x: x[:, :, 2:].sigmoid())
    accept("split_13", model([node("Split", "x s", "a b", axis=-1), node("Concat", "b a", axis=3)], {"s": i64(2, 4)}),
           lambda x: torch.cat([x[..., 2:], x[..., :2]], 3))
    accept("split_equal", model([node("Split", "x", "a b c", axis=3), node("Concat", "c a b", axis=1)]),
           lambda x: torch.cat([x[..., 4:], x[..., :2], x[..., 2:4]], 1))
    accept("split_18", model([node("Split", "x", "a b c", axis=2, num_outputs=3), node("Concat", "c a", axis=2)], opset=18),
           lambda x: torch.cat([x[:, :, 4:], x[:, :, :2]], 2))
    accept("gather_scalar", model([node("Gather", "x i", "g", axis=1), node("Unsqueeze", "g a")], {"i": np.int64(-1), "a": i64(1)}),
           lambda x: x[:, 1:])
    accept("gather_list", model(node("Gather", "x i", axis=-1), {"i": i64(5, 0, 0)}), lambda x: x[..., [5, 0, 0]])
    flat = node("Reshape", "x s", "f")
    accept("gather_as_strided", model([flat, node("Gather", "f i")], {"s": i64(-1), "i": np.arange(60).reshape(1, 60, 1, 1)}),
           lambda x: x.reshape(1, 60, 1, 1))
    accept("reshape_flat_and_back", model([flat, node("Reshape", "f b")], {"s": i64(60), "b": i64(1, -1, 5)}),
           lambda x: x.reshape(1, 12, 5))
    refuse("gather_flat_scattered", model([flat, node("Gather", "f i")], {"s": i64(-1), "i": np.arange(60)[::-1].reshape(1, 60)}),
           "unsupported", "an order of its own")
    refuse("reshape_flat", model([flat, node("Relu", "f")], {"s": i64(-1)}), "unsupported", "batch axis does not stay first")
    export("torch_googlenet_input", Lambda(lambda x: torch.cat([x[:, 0].unsqueeze(1) * 0.5 - 0.25, x[:, 1].unsqueeze(1) * 2], 1)), 13)


def shape_computations():
    def shuffle(x):
        b, c, h, w = x.size()
        return x.view(b, 2, c // 2, h, w).transpose(1, 2).contiguous().view(b, -1, h, w)

    four = (1, 4, 3, 3)
    for opset in (9, 13, 17):
        export(f"torch_shuffle_{opset}", Lambda(shuffle), opset, four, batch_axis=True)
        export(f"torch_view_{opset}", Lambda(lambda x: x.view(x.size(0), -1)), opset, batch_axis=True)
    export("torch_fixed_batch", Lambda(shuffle), 13, four, batch=3)
    export("torch_mean_mean", Lambda(lambda x: x.mean(3).mean(2)), 13)
    export("torch_flatten_unflatten", Lambda(lambda x: x.flatten(2).reshape(x.size(0), x.size(1), -1, 3).sigmoid()), 13, batch_axis=True)
    # The target of the Reshape comes out of all kinds of integer ops: (1, 2, 30).
    nodes = [node("Shape", "x", "s"), node("Gather", "s zero", "n"), node("Unsqueeze", "n at", "n1"),
             node("Slice", "s one four", "rest"), node("ReduceProd", "rest", "p", keepdims=0), node("Size", "x", "all"),
             node("Equal", "p all", "same"), node("Where", "same two p", "w"), node("Unsqueeze", "w at", "w1"),
             node("ConstantOfShape", "one", "minus", value=tensor("", i64(-1))), node("Range", "zero three step", "range"),
             node("Gather", "range two", "last"), node("Sub", "last w", "none"), node("Add", "minus none", "free"),
             node("Concat", "n1 w1 free", "t0", axis=0), node("Expand", "t0 s3", "t"), node("Mod", "t big", "u"),
             node("Where", "mask t u", "target"), node("Reshape", "x target")]
    constants = {"zero": np.int64(0), "at": i64(0), "one": i64(1), "four": i64(4), "two": np.int64(2), "three": np.int64(3),
                 "step": np.int64(1), "s3": i64(3), "big": np.int64(1000), "mask": np.array([True, True, True])}
    accept("shape_arithmetic", model(nodes, constants), lambda x: x.reshape(1, 2, 30))
    accept("shape_start_end", model([node("Shape", "x", "s", start=1, end=-1), node("Cast", "s", "f", to=1),
                                     node("Mul", "f half", "h"), node("Floor", "h", "g"), node("Cast", "g", "i", to=7),
                                     node("ReduceProd", "i", "p"), node("Concat", "b p minus", "t", axis=0),
                                     node("Reshape", "x t")],
                                    {"half": f32(0.9), "b": i64(1), "minus": i64(-1)}, opset=15), lambda x: x.reshape(1, 4, 15))


def functions():
    silu = helper.make_function("local", "Silu", ["a"], ["c"], [node("Sigmoid", "a", "b"), node("Mul", "a b", "c")],
                                [helper.make_opsetid("", 13)])
    local = [helper.make_opsetid("local", 1)]
    accept("function", model(node("Silu", "x", domain="local"), functions=[silu], extra_opsets=local), F.silu)
    leaky = node("LeakyRelu", "a", "b")
    leaky.attribute.add(name="alpha", type=1, ref_attr_name="slope")
    twice = helper.make_function("local", "Leaky", ["a", "w"], ["c"],
                                 [leaky, node("Silu", "b", "d", domain="local"), node("Mul", "d w", "c")],
                                 [helper.make_opsetid("", 16), local[0]], ["slope"])
    nodes = [node("Leaky", "x w", "a", domain="local", slope=0.25), node("Leaky", "a w", "y", domain="local", slope=0.5)]
    step = lambda x, s: F.silu(F.leaky_relu(x, s)) * 0.75
    accept("function_nested", model(nodes, {"w": f32(0.75)}, functions=[silu, twice], extra_opsets=local, opset=18),
           lambda x: step(step(x, 0.25), 0.5))
    loop = helper.make_function("local", "Loop", ["a"], ["b"], [node("Loop", "a", "b", domain="local")], local)
    refuse("function_recursive", model(node("Loop", "x", domain="local"), functions=[loop], extra_opsets=local), "format",
           "more than 64 deep")
    bomb = [helper.make_function("local", f"F{k}", ["a"], ["b"], [node(f"F{k + 1}", "a", f"c{j}", domain="local") for j in range(2)],
                                 local) for k in range(60)]
    bomb.append(helper.make_function("local", "F60", ["a"], ["b"], [], local))
    refuse("function_bomb", model(node("F0", "x", domain="local"), functions=bomb, extra_opsets=local), "limit", "calls of functions")


def whole_networks():
    class Net(nn.Module):
        def __init__(self, act):
            super().__init__()
            self.conv = nn.Conv2d(2, 4, 3, padding=1, bias=False)
            self.norm = nn.BatchNorm2d(4)
            self.act = act
            self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 4, 1), nn.Sigmoid())
            self.head = nn.Linear(4, 3)
            self.norm.running_mean += 0.25
            self.norm.running_var *= 2

        def forward(self, x):
            y = self.act(self.norm(self.conv(x)))
            y = y * self.gate(y)
            return self.head(y.mean((2, 3)))

    for opset in (9, 11, 13, 17):
        export(f"net_{opset}", Net(nn.SiLU()), opset, batch_axis=True)
    export("net_unfolded", Net(nn.ELU()), 13, training=torch.onnx.TrainingMode.PRESERVE)
    # Channels last, as converters from other frameworks write it.
    w, d = weights(4, 2, 3, 3), weights(4, 3)
    nodes = [node("Transpose", "x", "a", perm=[0, 3, 1, 2]), node("Conv", "a w", "b", pads=[1] * 4),
             node("Transpose", "b", "c", perm=[0, 2, 3, 1]), node("Add", "c bias", "e"), node("Relu", "e", "f"),
             node("ReduceMean", "f", "g", axes=[1, 2], keepdims=0), node("MatMul", "g d", "h"), node("Softmax", "h")]
    bias = weights(4)
    accept("net_channels_last", model(nodes, {"w": w, "d": d, "bias": bias}, (1, 5, 6, 2)),
           lambda x: ((F.conv2d(x.permute(0, 3, 1, 2), t(w), t(bias), padding=1).relu().mean((2, 3))) @ t(d)).softmax(1),
           (1, 5, 6, 2))
    flat = [node("Flatten", "x", "f"), node("MatMul", "f w", "y")]
    w = weights(60, 3)
    m = model([node("Sigmoid", "x", "z")] + flat, {"w": w}, out=("i", "z3", "y", "z"))
    m.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    m.graph.output[1].type.tensor_type.shape.CopyFrom(helper.make_tensor_value_info("", 1, [1, 2, 30]).type.tensor_type.shape)
    m.graph.node.extend([node("Shape", "x", "i"), node("Reshape", "x s", "z3")])
    m.graph.initializer.append(tensor("s", i64(1, 2, 30)))
    accept("outputs_several", m, lambda x: x.flatten(1) @ t(w))
    accept("input_unused", model(flat, {"w": w}, inputs={"x": ("n", 2, 5, 6), "unused": [4]}), lambda x: x.flatten(1) @ t(w))
    m = model([flat[1], flat[0]], {"w": w})
    accept("nodes_unsorted", m, lambda x: x.flatten(1) @ t(w))


def refusals():
    w, relu = weights(4, 2, 3, 3), node("Relu", "x")
    conv = node("Conv", "x w", name="stem")
    refuse("inputs_two", model(node("Add", "x z"), inputs={"x": SHAPE, "z": SHAPE}), "unsupported", "several inputs (x, z)")
    refuse("input_free_height", model(relu, shape=("n", 2, "height", 6)), "unsupported", "dimension 2 (height) is not fixed")
    refuse("input_negative", model(relu, shape=(1, 2, -1, 6)), "unsupported", "is not fixed")
    refuse("input_rank_3", model(relu, shape=(2, 5, 6)), "unsupported", "has rank 3")
    refuse("input_huge", model(relu, shape=(1, 2, 2 ** 40, 6)), "limit", "dimension 2")
    m = model(relu)
    m.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    refuse("input_uint8", m, "unsupported", "element type 2")
    m = model(relu)
    m.graph.input[0].type.tensor_type.ClearField("shape")
    refuse("input_no_shape", m, "unsupported", "has no shape")
    refuse("output_of_nobody", model(relu, out=("z",)), "format", "no node makes the output z")
    refuse("output_constant", model(node("Identity", "w"), {"w": w}), "unsupported", "does not depend on any input")
    refuse("op_unknown", model([node("Frobnicate", "x", "a", name="odd"), node("Frobnicate", "a"), ]), "unsupported",
           "node odd (Frobnicate, opset 13): salmap does not know this op (2 such nodes)")
    refuse("op_of_other_domain", model(node("Relu", "x", domain="com.acme")), "unsupported", "(com.acme.Relu, opset 13)")
    refuse("opset_old", model(relu, opset=6), "unsupported", "opset 6")
    refuse("opset_new", model(relu, opset=22), "unsupported", "opset 22")
    refuse("conv_three_dimensional", model(node("Conv", "x w"), {"w": weights(4, 2, 3, 3, 3)}), "unsupported", "two-dimensional")
    refuse("conv_wrong_channels", model(conv, {"w": weights(4, 3, 3, 3)}), "format", "node stem")
    refuse("conv_too_large", model(conv, {"w": weights(1, 2, 9, 3)}), "format", "node stem")
    refuse("conv_weights_computed", model([node("Sigmoid", "x", "w"), conv]), "unsupported", "must be a constant")
    refuse("conv_huge_pads", model(node("Conv", "x w", pads=[2 ** 62] * 4), {"w": w}), "unsupported", "pads")
    refuse("conv_bad_stride", model(node("Conv", "x w", strides=[0, 1]), {"w": w}), "format", "strides is 0")
    refuse("conv_strides_as_float", model(node("Conv", "x w", strides=1.5), {"w": w}), "format", "wrong type")
    for name, value in (("nan", np.nan), ("infinity", np.inf)):
        bad = w.copy()
        bad[1, 0, 0, 2] = value
        refuse(f"weights_{name}", model(conv, {"w": bad}), "numeric", "tensor w holds " + ("NaN" if name == "nan" else "infinity") + " at 20")
    refuse("weights_empty", model(conv, {"w": np.zeros((0, 2, 3, 3), np.float32)}), "format", "input 1 (w) holds no elements")
    stored = lambda **k: TensorProto(**{"name": "w", "data_type": 1, "dims": w.shape, "raw_data": w.tobytes(), **k})
    refuse("weights_short", model(conv, {"w": stored(raw_data=w.tobytes()[:-4])}), "format", "tensor w")
    refuse("weights_overflow", model(conv, {"w": stored(dims=[2 ** 62, 2 ** 62, 16, 1])}), "format", "overflow")
    refuse("weights_negative_dim", model(conv, {"w": stored(dims=[-4, 2, 3, -3])}), "format", "negative")
    refuse("weights_strings", model(conv, {"w": stored(data_type=8)}), "unsupported", "element type 8")
    refuse("weights_twice", model(conv, {"w": stored(), "w2": stored()}), "format", "initializer w is there twice")
    refuse("weights_integer", model(conv, {"w": np.ones((4, 2, 3, 3), np.int64)}), "format", "no floats")
    for name, location, text in (("absolute", "/etc/hostname", "not below"), ("parent", "a/../../x", "not below"),
                                 ("missing", "nowhere.data", "nowhere.data"), ("folder", ".", "outside the model's folder"),
                                 ("empty", "", "not below")):
        refuse(f"external_{name}", model(conv, {"w": external(location, 0, w.nbytes, w.shape)}),
               "io" if name == "missing" else "format", text)
    refuse("external_past_end", model(conv, {"w": external("list.txt", 2 ** 63, w.nbytes, w.shape)}), "format", "past the end")
    refuse("external_length", model(conv, {"w": external("list.txt", 0, 4, w.shape)}), "format", "external data has 4 bytes")
    refuse("external_offset", model(conv, {"w": external("list.txt", "-1", w.nbytes, w.shape)}), "format", "is not a number")
    refuse("graph_cycle", model([node("Add", "x b", "a"), node("Relu", "a", "b"), node("Relu", "b")]), "format", "depends on itself")
    refuse("graph_cycle_of_one", model(node("Add", "x y")), "format", "depends on itself")
    refuse("graph_missing_input", model(node("Add", "x nowhere")), "format", "makes its input nowhere")
    refuse("graph_made_twice", model([relu, node("Tanh", "x")]), "format", "tensor y is made twice")
    m = model(relu).SerializeToString()
    refuse("graph_two", m + m, "format", "it holds 2 graphs")
    refuse("no_inputs", model(helper.make_node("Relu", [], ["y"])), "unsupported", "does not depend")
    refuse("input_left_out", model(helper.make_node("Conv", ["x", ""], ["y"])), "format", "input 1 is missing")
    refuse("training_batch_norm", model(node("BatchNormalization", "x s s s s", training_mode=1), {"s": weights(2)}, opset=15),
           "unsupported", "training mode")
    refuse("batch_norm_variance", model(node("BatchNormalization", "x s s s v"), {"s": f32(1, 1), "v": f32(1, -1)}), "numeric",
           "not a finite number")
    refuse("training_dropout", model(node("Dropout", "x r t"), {"r": f32(0.5), "t": np.array(True)}), "unsupported", "training mode")
    refuse("dropout_mask", model([node("Dropout", "x", "a m"), node("Cast", "m", "c", to=1), node("Mul", "a c")]), "unsupported",
           "output 1 (m) is used")
    refuse("max_pool_indices", model([node("MaxPool", "x", "a i", kernel_shape=[1, 1]), node("Cast", "i", "c", to=1),
                                      node("Add", "a c")]), "unsupported", "output 1 (i) is used")
    refuse("erf_alone", model(node("Erf", "x")), "unsupported", "GELU")
    refuse("erf_not_gelu", model([node("Mul", "x r", "s"), node("Erf", "s", "e"), node("Relu", "e")], {"r": f32(np.sqrt(0.5))}),
           "unsupported", "GELU")
    refuse("sqrt_alone", model(node("Sqrt", "x")), "unsupported", "layer norm")
    refuse("division", model([node("Sigmoid", "x", "s"), node("Div", "x s")]), "unsupported", "depend on the picture")
    refuse("constant_per_pixel", model(node("Add", "x c"), {"c": weights(5, 6)}), "unsupported", "one per channel")
    refuse("constant_divided", model(node("Div", "c x"), {"c": f32(2)}), "unsupported", "divided by")
    refuse("concat_constant", model(node("Concat", "x c", axis=1), {"c": weights(*SHAPE)}), "unsupported", "is a constant")
    refuse("softmax_batch", model(node("Softmax", "x", axis=0)), "unsupported", "batch")
    refuse("log_softmax_inside", model([node("LogSoftmax", "x", "a", axis=1), node("Relu", "a")]), "unsupported", "last op")
    refuse("reshape_batch", model(node("Reshape", "x s"), {"s": i64(2, 30)}), "unsupported", "batch axis first")
    refuse("reshape_wrong", model(node("Reshape", "x s"), {"s": i64(1, 7)}), "format", "cannot become")
    refuse("reshape_free_twice", model(node("Reshape", "x s"), {"s": i64(1, -1, -1)}), "format", "two dimensions")
    refuse("reshape_overflow", model(node("Reshape", "x s"), {"s": i64(1, 2 ** 62, 2 ** 62)}), "format",
           "dimension 2 of the new shape is 4611686018427387904")
    refuse("reshape_rank_9", model(node("Reshape", "x s"), {"s": i64(1, 60, 1, 1, 1, 1, 1, 1, 1)}), "unsupported", "new rank 9")
    refuse("transpose_batch", model(node("Transpose", "x")), "unsupported", "batch")
    refuse("transpose_twice", model(node("Transpose", "x", perm=[0, 1, 1, 2])), "format", "no permutation")
    refuse("flatten_all", model(node("Flatten", "x", axis=2)), "unsupported", "batch axis first")
    refuse("slice_batch", model(node("Slice", "x s e"), {"s": i64(1), "e": i64(2)}), "unsupported", "takes nothing")
    refuse("slice_lengths", model(node("Slice", "x s e"), {"s": i64(1, 0), "e": i64(2)}), "format", "differ in length")
    refuse("slice_step_zero", model(node("Slice", "x s e a p"), {"s": i64(0), "e": i64(2), "a": i64(1), "p": i64(0)}), "format", "step 0")
    refuse("split_wrong", model([node("Split", "x s", "a b", axis=3), node("Relu", "a")], {"s": i64(2, 3)}), "format", "do not fill")
    refuse("gather_range", model(node("Gather", "x i", axis=1), {"i": i64(2)}), "format", "index 2 of 2")
    refuse("squeeze_wrong", model(node("Squeeze", "x a"), {"a": i64(1)}), "format", "has 2 elements")
    refuse("pad_reflected", model(node("Pad", "x p", mode="reflect"), {"p": i64(0, 0, 1, 1, 0, 0, 1, 1)}), "unsupported", "constant")
    refuse("pad_channels", model(node("Pad", "x p"), {"p": i64(0, 1, 0, 1, 0, 0, 0, 0)}), "unsupported", "other axes")
    refuse("pad_negative", model(node("Pad", "x p"), {"p": i64(0, 0, -1, 0, 0, 0, 0, 0)}), "unsupported", "padding")
    refuse("fold_bomb", model([node("ConstantOfShape", "s", "c"), node("Mul", "x c")], {"s": i64(2 ** 20, 2 ** 20)}), "limit", "limit of")
    refuse("fold_range_bomb", model([node("Range", "a b c", "r"), node("Reshape", "x r")],
                                    {"a": np.int64(0), "b": np.int64(2 ** 60), "c": np.int64(1)}),
           "limit", "9223372036854775808 bytes and those of the tensors before it are more than the limit")
    refuse("fold_division_by_zero", model([node("Div", "a b", "c"), node("Reshape", "x c")], {"a": i64(1), "b": i64(0)}), "format",
           "overflow")
    refuse("expand_picture", model(node("Expand", "x s"), {"s": i64(1, 2, 5, 6, 6)}), "format", "2 elements cannot become 5")
    body = helper.make_graph([node("Relu", "x")], "then", [], [helper.make_tensor_value_info("y", 1, None)])
    refuse("subgraph", model(node("If", "c", then_branch=body, else_branch=body), {"c": np.array(True)}), "unsupported", "If, opset 13")
    sparse = model(conv, {"w": w})
    sparse.graph.sparse_initializer.add()
    refuse("sparse", sparse, "unsupported", "sparse")
    refuse("not_a_model", b"a text file, not a model\n", "format", "not an ONNX model")


for make in (convolutions, element_types, dense, activations, normalisations, pools, means, arithmetic, softmaxes, shapes,
             selections, shape_computations, functions, whole_networks, refusals):
    make()
(OUT / "refused" / "list.txt").write_text("".join(REFUSED))
