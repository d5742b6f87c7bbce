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
    refuse("opset_old", model(relu, opset=5), "unsupported", "opset 5")
    refuse("opset_new", model(relu, opset=29), "unsupported", "opset 29")
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
    refuse("softmax_batch", model(node("Softmax", "x", axis=0)), "unsupported", "batch")
    refuse("reshape_wrong", model(node("Reshape", "x s"), {"s": i64(1, 7)}), "format", "cannot become")
    refuse("reshape_free_twice", model(node("Reshape", "x s"), {"s": i64(1, -1, -1)}), "format", "two dimensions")
    refuse("reshape_overflow", model(node("Reshape", "x s"), {"s": i64(1, 2 ** 62, 2 ** 62)}), "format",
           "dimension 2 of the new shape is 4611686018427387904")
    refuse("reshape_rank_9", model(node("Reshape", "x s"), {"s": i64(1, 60, 1, 1, 1, 1, 1, 1, 1)}), "unsupported", "new rank 9")
    refuse("transpose_twice", model(node("Transpose", "x", perm=[0, 1, 1, 2])), "format", "no permutation")
    refuse("slice_batch", model(node("Slice", "x s e"), {"s": i64(1), "e": i64(2)}), "unsupported", "takes nothing")
    refuse("slice_lengths", model(node("Slice", "x s e"), {"s": i64(1, 0), "e": i64(2)}), "format", "differ in length")
    refuse("slice_step_zero", model(node("Slice", "x s e a p"), {"s": i64(0), "e": i64(2), "a": i64(1), "p": i64(0)}), "format", "step 0")
    refuse("split_wrong", model([node("Split", "x s", "a b", axis=3), node("Relu", "a")], {"s": i64(2, 3)}), "format", "do not fill")
    refuse("gather_range", model(node("Gather", "x i", axis=1), {"i": i64(2)}), "format", "index 2 of 2")
    refuse("squeeze_wrong", model(node("Squeeze", "x a"), {"a": i64(1)}), "format", "has 2 elements")
    refuse("fold_bomb", model([node("ConstantOfShape", "s", "c"), node("Mul", "x c")], {"s": i64(2 ** 20, 2 ** 20)}), "limit", "limit of")
    refuse("fold_range_bomb", model([node("Range", "a b c", "r"), node("Reshape", "x r")],
                                    {"a": np.int64(0), "b": np.int64(2 ** 60), "c": np.int64(1)}),
           "limit", "9223372036854775808 bytes and those of the tensors before it are more than the limit")
    refuse("fold_division_by_zero", model([node("Div", "a b", "c"), node("Reshape", "x c")], {"a": i64(1), "b": i64(0)}), "format",
           "overflow")
    refuse("expand_picture", model(node("Expand", "x s"), {"s": i64(1, 2, 5, 6, 6)}), "format", "2 elements cannot become 5")
    body = helper.make_graph([node("Relu", "x")], "then", [], [helper.make_tensor_value_info("y", 1, None)])
    refuse("subgraph", model([node("Sigmoid", "x", "c"), node("If", "c", then_branch=body, else_branch=body)]), "unsupported",
           "If, opset 13")
    sparse = model(conv, {"w": w})
    sparse.graph.sparse_initializer.add()
    refuse("sparse", sparse, "unsupported", "sparse")
    refuse("not_a_model", b"a text file, not a model\n", "format", "not an ONNX model")


def mixed(name, nodes, constants, function, shape=SHAPE, opset=13):
    """Nodes from x to y, of any shape, with a dense layer behind: a whole network, of whose scores every element has a share."""
    nodes = [onnx_copy(n) for n in (nodes if isinstance(nodes, list) else [nodes])]
    for n in nodes:
        n.output[:] = ["y0" if v == "y" else v for v in n.output]
    count = function(torch.ones(shape, dtype=torch.float64)).numel()
    w = weights(count, 2)
    tail = [node("Reshape", "y0 flat", "y1"), node("MatMul", "y1 mix")]
    accept(name, model(nodes + tail, {**(constants or {}), "flat": i64(1, -1), "mix": w}, shape, opset),
           lambda x: function(x).reshape(1, -1) @ t(w), shape)


def onnx_copy(n):
    copy = type(n)()
    copy.CopyFrom(n)
    return copy


def any_shapes():
    """The batch axis need not stay first: (C, H, W), sequences first, flat tensors and scalars."""
    chw = node("Reshape", "x chw", "r")
    c = {"chw": i64(2, 5, 6)}
    mixed("any_rank_3", [chw, node("Sigmoid", "r")], c, lambda x: x[0].sigmoid())
    mixed("any_sequence_first", [node("Reshape", "x s", "r"), node("Transpose", "r", "q", perm=[1, 0, 2]), node("MatMul", "q w", "m"),
                                 node("Add", "m b", "a"), node("Softmax", "a", axis=0)],
          {"s": i64(1, 10, 6), "w": kept("w", weights(6, 4)), "b": kept("b", weights(4))},
          lambda x: (x.reshape(1, 10, 6).transpose(0, 1) @ t(SAVED["w"]) + t(SAVED["b"])).softmax(0))
    mixed("any_transposed", node("Transpose", "x"), {}, lambda x: x.permute(3, 2, 1, 0))
    mixed("any_flat", [node("Reshape", "x s", "f"), node("Tanh", "f")], {"s": i64(-1)}, lambda x: x.flatten().tanh())
    mixed("any_flat_gather", [node("Reshape", "x s", "f"), node("Gather", "f i")], {"s": i64(-1), "i": np.arange(59, 53, -1).reshape(2, 3)},
          lambda x: x.flatten()[torch.arange(59, 53, -1)].reshape(2, 3))
    mixed("any_scalar", [node("ReduceMean", "x", "m", keepdims=0), node("Mul", "x m")], {}, lambda x: x * x.mean())
    mixed("any_squeeze_batch", [node("Squeeze", "x a", "s"), node("Slice", "s b e c", "p"), node("Unsqueeze", "p a")],
          {"a": i64(0), "b": i64(1), "e": i64(9), "c": i64(0)}, lambda x: x[0][1:9][None])
    mixed("any_concat_first", [node("Relu", "x", "r"), node("Concat", "x r", axis=0)], {}, lambda x: torch.cat([x, x.relu()], 0))
    mixed("any_split_first", [chw, node("Split", "r", "a b", axis=0), node("Mul", "a b")], c, lambda x: x[0, :1] * x[0, 1:])
    mixed("any_flatten_all", node("Flatten", "x", axis=2), {}, lambda x: x.reshape(2, 30))
    mixed("any_layer_norm", [node("Reshape", "x s", "r"), node("Transpose", "r", "q", perm=[1, 0, 2]), node("ReduceMean", "q", "u", axes=[-1]),
                             node("Sub", "q u", "d"), node("Pow", "d two", "p"), node("ReduceMean", "p", "v", axes=[-1]),
                             node("Add", "v e", "z"), node("Sqrt", "z", "g"), node("Div", "d g")],
          {"s": i64(1, 10, 6), "two": f32(2), "e": f32(0.5)}, lambda x: F.layer_norm(x.reshape(10, 1, 6), (6,), eps=0.5))
    mixed("any_pieces_apart", [node("ReduceMean", "x", "u", axes=[3]), node("Sub", "x u", "d"), node("Mul", "d d", "p"),
                               node("ReduceMean", "p", "v", axes=[3]), node("Sqrt", "v", "g"), node("Concat", "d p g", axis=3)], {},
          lambda x: torch.cat([x - x.mean(3, True), (x - x.mean(3, True)) ** 2, x.std(3, False, True)], 3))
    mixed("any_size", [chw, node("Shape", "r", "z"), node("Gather", "z two", "i"), node("Unsqueeze", "i zero", "l"),
                       node("Concat", "l minus", "n", axis=0), node("Reshape", "r n")],
          {**c, "two": np.int64(2), "zero": i64(0), "minus": i64(-1)}, lambda x: x.reshape(6, 10))


def reductions():
    square, c = node("Mul", "x x", "q"), {"half": f32(0.5)}
    positive = [square, node("Add", "q half", "p")]
    p = lambda x: x * x + 0.5
    for name, axes, keep in (("all", None, 0), ("apart", (1, 3), 1), ("channels", (1,), 0), ("map", (2, 3), 1), ("last", (-1,), 0),
                             ("everything", (0, 1, 2, 3), 1)):
        a = {} if axes is None else {"axes": axes}
        over = axes or (0, 1, 2, 3)
        for op, f in (("ReduceSum", lambda x, o, k: x.sum(o, k)), ("ReduceMax", lambda x, o, k: x.amax(o, k)),
                      ("ReduceMin", lambda x, o, k: x.amin(o, k)), ("ReduceMean", lambda x, o, k: x.mean(o, k))):
            mixed(f"{op.lower()}_{name}", node(op, "x", keepdims=keep, **a), {}, lambda x, f=f, o=over, k=keep: f(x, o, bool(k)), opset=11)
    for op, f in (("ReduceL1", lambda x: x.abs().sum((1, 2), True)), ("ReduceL2", lambda x: x.pow(2).sum((1, 2), True).sqrt()),
                  ("ReduceSumSquare", lambda x: x.pow(2).sum((1, 2), True)), ("ReduceLogSumExp", lambda x: x.logsumexp((1, 2), True))):
        mixed(op.lower(), node(op, "x", axes=[1, 2]), {}, f)
    mixed("reducelogsum", positive + [node("ReduceLogSum", "p", axes=[3])], c, lambda x: p(x).sum(3, True).log())
    mixed("reduceprod", node("ReduceProd", "x", axes=[1, 3]), {}, lambda x: x.prod(3, True).prod(1, True))
    mixed("reducesum_axes_input", node("ReduceSum", "x a", keepdims=0), {"a": i64(1, -1)}, lambda x: x.sum((1, 3)))
    mixed("reducesum_noop", node("ReduceSum", "x", noop_with_empty_axes=1), {}, lambda x: x * 1)
    mixed("reducemax_ties", [node("Concat", "x x", "d", axis=3), node("ReduceMax", "d", axes=[3])], {},
          lambda x: torch.cat([x, x], 3).amax(3, True))
    mixed("reducel2_zero", [node("Mul", "x zero", "z"), node("ReduceL2", "z", "n", axes=[1]), node("Add", "n x")], {"zero": f32(0)},
          lambda x: x + 0 * x[:, :1])
    refuse("reduceprod_large", model([node("Reshape", "x s", "f"), node("ReduceProd", "f", axes=[1])], {"s": i64(1, 70)}, (1, 2, 5, 7)),
           "unsupported", "at most 64")


def products():
    swap = node("Transpose", "x", "k", perm=[0, 1, 3, 2])
    mixed("matmul_nodes", [swap, node("MatMul", "x k")], {}, lambda x: x @ x.transpose(2, 3))
    mixed("matmul_attention", [node("Reshape", "x r", "t"), node("MatMul", "t wq", "q"), node("MatMul", "t wk", "k"), node("MatMul", "t wv", "v"),
                               node("Transpose", "k", "kt", perm=[0, 2, 1]), node("MatMul", "q kt", "l"), node("Mul", "l scale", "m"),
                               node("Softmax", "m", "p", axis=-1), node("MatMul", "p v")],
          {"r": i64(1, 10, 6), "wq": kept("wq_", weights(6, 4)), "wk": kept("wk_", weights(6, 4)), "wv": kept("wv_", weights(6, 4)), "scale": f32(0.5)},
          lambda x: ((x.reshape(1, 10, 6) @ t(SAVED["wq_"])) @ (x.reshape(1, 10, 6) @ t(SAVED["wk_"])).transpose(1, 2) * 0.5).softmax(-1)
          @ (x.reshape(1, 10, 6) @ t(SAVED["wv_"])))
    left, batched, vector = weights(3, 5), weights(2, 6, 3), weights(6)
    mixed("matmul_left", node("MatMul", "w x"), {"w": left}, lambda x: t(left) @ x)
    mixed("matmul_batched", node("MatMul", "x w"), {"w": batched}, lambda x: x @ t(batched))
    mixed("matmul_vector", node("MatMul", "x w"), {"w": vector}, lambda x: x @ t(vector))
    mixed("matmul_vector_left", node("MatMul", "w x"), {"w": kept("mv", weights(5))}, lambda x: t(SAVED["mv"]) @ x)
    mixed("matmul_broadcast", [node("Reshape", "x one", "o"), swap, node("MatMul", "o k")], {"one": i64(1, 1, 10, 6)},
          lambda x: x.reshape(1, 1, 10, 6) @ x.transpose(2, 3))
    mixed("gemm_nodes", [node("Reshape", "x r", "m"), node("Gemm", "m m c", transB=1, alpha=0.5, beta=2.0)],
          {"r": i64(10, 6), "c": kept("gc", weights(1, 10))}, lambda x: 0.5 * x.reshape(10, 6) @ x.reshape(10, 6).T + 2 * t(SAVED["gc"]))
    mixed("gemm_transposed_input", [node("Reshape", "x r", "m"), node("Gemm", "m w", transA=1)],
          {"r": i64(10, 6), "w": kept("gw", weights(10, 3))}, lambda x: x.reshape(10, 6).T @ t(SAVED["gw"]))
    mixed("gemm_matrix_bias", [node("Reshape", "x r", "m"), node("Gemm", "m w c")],
          {"r": i64(10, 6), "w": kept("gw2", weights(6, 3)), "c": kept("gc2", weights(10, 1))},
          lambda x: x.reshape(10, 6) @ t(SAVED["gw2"]) + t(SAVED["gc2"]))
    for name, equation in (("heads", "bhid,bhjd->bhij"), ("sum", "bchw->bw"), ("inner", "bcij,bcik->bjk")):
        operands = 1 + equation.count(",")
        mixed(f"einsum_{name}", node("Einsum", " ".join("x" * operands), equation=equation), {},
              lambda x, e=equation, n=operands: torch.einsum(e, *([x] * n)))
    w = weights(6, 2, 3)
    mixed("einsum_weights", node("Einsum", "x w", equation="bchw,wdk->bchdk"), {"w": w}, lambda x: torch.einsum("bchw,wdk->bchdk", x, t(w)))
    mixed("einsum_diagonal", [node("Slice", "x b e a", "q"), node("Einsum", "q", equation="...ii->...i")],
          {"b": i64(0), "e": i64(5), "a": i64(3)}, lambda x: torch.einsum("...ii->...i", x[..., :5]))
    refuse("einsum_three", model(node("Einsum", "x x x", equation="bchw,bchw,bchw->b")), "unsupported", "one or two")


def shapes_of_arithmetic():
    pixel, last = weights(5, 6), weights(5, 1)
    for op, f in (("Add", torch.add), ("Sub", torch.sub), ("Mul", torch.mul)):
        mixed(f"{op.lower()}_pixel", node(op, "x c"), {"c": pixel}, lambda x, f=f: f(x, t(pixel)))
        mixed(f"{op.lower()}_pixel_first", node(op, "c x"), {"c": pixel}, lambda x, f=f: f(t(pixel), x))
    large = weights(3, 1, 1, 6)
    mixed("add_larger_constant", node("Add", "x c"), {"c": large}, lambda x: x + t(large))
    mixed("mul_column", node("Mul", "x c"), {"c": last}, lambda x: x * t(last))
    squares = [node("Mul", "x x", "q"), node("Add", "q half", "p")]
    half, p = {"half": f32(0.5)}, lambda x: x * x + 0.5
    mixed("div_nodes", squares + [node("Div", "x p")], half, lambda x: x / p(x))
    mixed("div_constant_first", squares + [node("Div", "c p")], {**half, "c": f32(2)}, lambda x: 2 / p(x))
    mixed("div_pixel", node("Div", "x c"), {"c": np.abs(pixel) + f32(0.5)}, lambda x: x / (t(np.abs(pixel)) + 0.5))
    rows = [node("ReduceMean", "x", "h", axes=[3]), node("ReduceMean", "x", "w", axes=[2])]
    h, w = lambda x: x.mean(3, True), lambda x: x.mean(2, True)
    mixed("add_crossed", rows + [node("Add", "h w")], {}, lambda x: h(x) + w(x))
    mixed("mul_crossed", rows + [node("Mul", "h w")], {}, lambda x: h(x) * w(x))
    mixed("sub_crossed", rows + [node("Sub", "h w")], {}, lambda x: h(x) - w(x))
    mixed("add_ranks", [node("Reshape", "x s", "r"), node("Add", "x r")], {"s": i64(1, 2, 1, 5, 6)}, lambda x: x + x.reshape(1, 2, 1, 5, 6))
    for op, f in (("Max", torch.maximum), ("Min", torch.minimum)):
        mixed(f"{op.lower()}_nodes", [node("Neg", "x", "n"), node("Slice", "n b e a", "m"), node(op, "x m")],
              {"b": i64(0), "e": i64(1), "a": i64(1)}, lambda x, f=f: f(x, -x[:, :1]))
        mixed(f"{op.lower()}_ties", node(op, "x x"), {}, lambda x, f=f: f(x, x))
        mixed(f"{op.lower()}_three", [node("Neg", "x", "n"), node(op, "x n c")], {"c": pixel}, lambda x, f=f: f(f(x, -x), t(pixel)))
        mixed(f"{op.lower()}_pixel", node(op, "x c"), {"c": pixel}, lambda x, f=f: f(x, t(pixel)))
    mixed("mean_of_three", [node("Tanh", "x", "n"), node("Mean", "x n c")], {"c": pixel}, lambda x: (x + x.tanh() + t(pixel)) / 3)
    mixed("sum_of_three", [node("Tanh", "x", "n"), node("Sum", "x n c")], {"c": pixel}, lambda x: x + x.tanh() + t(pixel))
    for power in (0.5, -0.5, -1.0, 1.5, 4.0, -2.0, 0.0):
        mixed(f"pow_{power}", squares + [node("Pow", "p e")], {**half, "e": f32(power)}, lambda x, e=power: p(x) ** e)
    mixed("pow_negative_base", node("Pow", "x e"), {"e": f32(5)}, lambda x: x ** 5)
    powers = f32([1, 2, 0.5, 3, 2, -1])
    mixed("pow_many", squares + [node("Pow", "p e")], {**half, "e": powers}, lambda x: p(x) ** t(powers))
    mixed("pow_base", node("Pow", "b x"), {"b": f32([0.5, 2, 3, 1, 0.25, 1.5])}, lambda x: t([0.5, 2, 3, 1, 0.25, 1.5]) ** x)
    refuse("pow_negative_constant", model(node("Pow", "b x"), {"b": f32(-2)}), "unsupported", "positive numbers")
    refuse("pow_nodes", model(node("Pow", "x x")), "unsupported", "depend on the picture")
    for op, f in (("Abs", torch.abs), ("Exp", torch.exp), ("Sin", torch.sin), ("Cos", torch.cos), ("Sign", torch.sign), ("Tan", torch.tan),
                  ("Sinh", torch.sinh), ("Cosh", torch.cosh)):
        mixed(f"{op.lower()}_any", node(op, "x"), {}, lambda x, f=f: f(x))
    for op, f in (("Sqrt", torch.sqrt), ("Log", torch.log), ("Reciprocal", torch.reciprocal)):
        mixed(f"{op.lower()}_any", squares + [node(op, "p")], half, lambda x, f=f: f(p(x)))
    mixed("celu", node("Celu", "x", alpha=2.0), {}, lambda x: F.celu(x, 2.0), opset=12)
    mixed("shrink_soft", node("Shrink", "x", lambd=0.5, bias=0.5), {}, lambda x: F.softshrink(x, 0.5))
    mixed("shrink_hard", node("Shrink", "x", lambd=0.75), {}, lambda x: F.hardshrink(x, 0.75))
    slopes = f32([0.25, -0.5]).reshape(2, 1, 1)
    mixed("prelu_channels", node("PRelu", "x s"), {"s": slopes}, lambda x: torch.where(x > 0, x, t(slopes) * x))
    mixed("prelu_pixels", node("PRelu", "x s"), {"s": pixel}, lambda x: torch.where(x > 0, x, t(pixel) * x))
    mixed("prelu_negative", node("PRelu", "x s"), {"s": f32([-0.25])}, lambda x: torch.where(x > 0, x, -0.25 * x))
    mixed("clip_empty", [node("Clip", "x low high", "c"), node("Add", "c x")], {"low": f32(2), "high": f32(1)}, lambda x: x + 1)
    export("torch_softplus_beta", nn.Softplus(beta=2), 13)
    mask = np.arange(30).reshape(5, 6) % 3 == 0
    mixed("where_infinite", [node("Exp", "x", "z"), node("Where", "m c z")], {"m": mask, "c": f32(2)},
          lambda x: torch.where(torch.tensor(mask), t(2), x.exp()))
    mixed("where_mask", [node("Where", "m low x", "z"), node("Softmax", "z", axis=-1)], {"m": mask, "low": f32(-np.inf)},
          lambda x: x.masked_fill(torch.tensor(mask), -np.inf).softmax(-1))
    mixed("where_nodes", [node("Tanh", "x", "z"), node("Where", "m z x")], {"m": mask}, lambda x: torch.where(torch.tensor(mask), x.tanh(), x))
    refuse("where_of_picture", model([node("Cast", "x", "m", to=9), node("Where", "m x x")]), "unsupported", "integer type")


def all_normalisations():
    s, b = weights(4), weights(4)
    four = (1, 4, 3, 2)
    mixed("instance_norm", node("InstanceNormalization", "x s b", epsilon=0.5), {"s": s, "b": b},
          lambda x: F.instance_norm(x, weight=t(s), bias=t(b), eps=0.5), four)
    for opset, name in ((21, "channels"), (18, "groups")):
        sg, bg = (s, b) if opset == 21 else (s[:2], b[:2])
        wide = lambda v: np.repeat(v, 4 // len(v))
        mixed(f"group_norm_{name}", node("GroupNormalization", "x s b", num_groups=2, epsilon=0.5), {"s": sg, "b": bg},
              lambda x, sg=sg, bg=bg: F.group_norm(x, 2, t(wide(sg)), t(wide(bg)), eps=0.5), four, opset)
    export("torch_group_norm", nn.GroupNorm(2, 4), 13, four)
    export("torch_instance_norm", nn.InstanceNorm2d(4, affine=True), 13, four)
    w2, b2 = weights(5, 6), weights(5, 6)
    mixed("layer_norm_axes", node("LayerNormalization", "x w b", axis=2, epsilon=0.5), {"w": w2, "b": b2},
          lambda x: F.layer_norm(x, (5, 6), t(w2), t(b2), eps=0.5), opset=17)
    mixed("layer_norm_broadcast", node("LayerNormalization", "x w", axis=1, epsilon=0.5), {"w": w2[:1]},
          lambda x: F.layer_norm(x, (2, 5, 6), t(np.broadcast_to(w2[:1], (2, 5, 6))), eps=0.5), opset=17)
    mixed("mean_variance", node("MeanVarianceNormalization", "x", axes=[1, 3]), {},
          lambda x: (x - x.mean((1, 3), True)) / x.var((1, 3), False, True).sqrt())
    mixed("lp_norm_1", node("LpNormalization", "x", p=1, axis=1), {}, lambda x: F.normalize(x, 1, 1))
    mixed("lp_norm_2", node("LpNormalization", "x", axis=-1), {}, lambda x: F.normalize(x, 2, 3))
    mixed("torch_normalize", [node("ReduceL2", "x", "n", axes=[1]), node("Clip", "n low", "m"), node("Expand", "m s", "z"), node("Div", "x z")],
          {"low": f32(1e-12), "s": i64(1, 2, 5, 6)}, lambda x: F.normalize(x))
    for size in (2, 3, 9):
        mixed(f"lrn_{size}", node("LRN", "x", size=size, alpha=0.5, beta=0.75, bias=2.0), {}, lambda x, n=size: local_response(x, n), four)
    for shape in ((1, 4, 6), (1, 24)):
        mixed(f"batch_norm_rank_{len(shape)}", [node("Reshape", "x r", "z"), node("BatchNormalization", "z s b m v")],
              {"r": i64(*shape), **{k: kept(k + str(len(shape)), np.abs(weights(shape[1])) + f32(0.5)) for k in "sbmv"}},
              lambda x, n=str(len(shape)), r=shape: F.batch_norm(x.reshape(r), t(SAVED["m" + n]), t(SAVED["v" + n]), t(SAVED["s" + n]),
                                                                 t(SAVED["b" + n])), four)
    for opset in (11, 13):
        mixed(f"log_softmax_{opset}", [node("LogSoftmax", "x", "l", axis=1), node("Relu", "l", "z"), node("Add", "z l")], {},
              lambda x, o=opset: (x.log_softmax(1) if o == 13 else x.flatten(1).log_softmax(1).reshape(x.shape)), opset=opset)
    mixed("softmax_height", node("Softmax", "x", axis=2), {}, lambda x: x.softmax(2))
    mixed("softmax_11_axis_2", node("Softmax", "x", axis=2), {}, lambda x: x.flatten(2).softmax(2).reshape(x.shape), opset=11)


def local_response(x, size):
    square = F.pad(x * x, (0, 0, 0, 0, (size - 1) // 2, size // 2))
    return x / (2 + 0.5 / size * sum(square[:, k:k + x.shape[1]] for k in range(size))) ** 0.75


def selections_of_any_kind():
    row = {"b": i64(-1), "e": i64(-2 ** 63), "a": i64(3), "p": i64(-2)}
    mixed("slice_backwards", node("Slice", "x b e a p"), row, lambda x: x.flip(3)[..., ::2])
    tokens = node("Reshape", "x s", "r")
    mixed("slice_backwards_tokens", [tokens, node("Slice", "r b e a p")], {"s": i64(1, 10, 6), **row, "a": i64(1)},
          lambda x: x.reshape(1, 10, 6).flip(1)[:, ::2])
    index = np.array([[0, 2], [-1, 1]])
    mixed("gather_matrix", node("Gather", "x i", axis=2), {"i": index}, lambda x: x[:, :, torch.tensor(index)])
    elements = RNG.integers(0, 5, (1, 2, 3, 6))
    mixed("gather_elements", node("GatherElements", "x i", axis=2), {"i": elements}, lambda x: x.gather(2, torch.tensor(elements)))
    mixed("gather_nd", node("GatherND", "x i"), {"i": np.array([[0, 1, 2], [0, 0, 4], [0, 1, -1]])},
          lambda x: torch.stack([x[0, 1, 2], x[0, 0, 4], x[0, 1, 4]]))
    mixed("gather_nd_batch", node("GatherND", "x i", batch_dims=1), {"i": np.array([[[1, 2], [0, 3]]])},
          lambda x: torch.stack([x[0, 1, 2], x[0, 0, 3]])[None])
    mixed("scatter_nd", [node("ReduceMean", "x", "u", axes=[0, 1, 2], keepdims=0), node("Unsqueeze", "u zero", "v"), node("ScatterND", "x i v")],
          {"zero": i64(0), "i": np.array([[0, 1, 2]])}, lambda x: torch.cat([x[:, :1], torch.cat([x[:, 1:, :2], x.mean((0, 1, 2)).reshape(1, 1, 1, 6),
                                                                                                 x[:, 1:, 3:]], 2)], 1))
    where = RNG.permutation(5)[None, None, :2, None]
    mixed("scatter_elements", [node("ScatterElements", "x i v", axis=2)], {"i": where, "v": f32([0.5, -2]).reshape(1, 1, 2, 1)},
          lambda x: x.scatter(2, torch.tensor(where), t(f32([0.5, -2]).reshape(1, 1, 2, 1))))
    mixed("scatter_constant", [node("ScatterElements", "z i x", axis=3)], {"i": np.arange(60)[::-1].reshape(1, 2, 5, 6) % 6, "z": np.zeros((1, 2, 5, 7), np.float32)},
          lambda x: F.pad(x.flip(3), (0, 1)))
    mixed("expand", [node("Slice", "x b e a", "r"), node("Expand", "r s")], {"b": i64(0, 1), "e": i64(1, 2), "a": i64(1, 3), "s": i64(3, 2, 1, 4)},
          lambda x: x[:, :1, :, 1:2].expand(3, 2, 5, 4))
    mixed("tile", node("Tile", "x n"), {"n": i64(2, 1, 3, 2)}, lambda x: x.tile(2, 1, 3, 2))
    token = weights(1, 1, 6)
    mixed("concat_token", [tokens, node("Concat", "c r", axis=1)], {"s": i64(1, 10, 6), "c": token},
          lambda x: torch.cat([t(token), x.reshape(1, 10, 6)], 1))
    for name, mode, torch_mode in (("reflect", "reflect", "reflect"), ("edge", "edge", "replicate"), ("wrap", "wrap", "circular")):
        mixed(f"pad_{name}", node("Pad", "x p", mode=mode), {"p": i64(0, 0, 2, 3, 0, 0, 1, 2)},
              lambda x, m=torch_mode: F.pad(x, (3, 2, 2, 1), m), opset=19)
    mixed("pad_cut", node("Pad", "x p"), {"p": i64(0, 0, -1, 2, 0, 0, 1, -3)}, lambda x: F.pad(x, (2, -3, -1, 1)))
    mixed("pad_any_axes", node("Pad", "x p v"), {"p": i64(1, 0, 2, 0, 0, 1, 0, 3), "v": f32(0.5)},
          lambda x: F.pad(x, (0, 3, 2, 0, 0, 1, 1, 0), value=0.5))
    mixed("pad_tokens", [tokens, node("Pad", "r p")], {"s": i64(1, 10, 6), "p": i64(0, 1, 0, 0, 0, 2)}, lambda x: F.pad(x.reshape(1, 10, 6), (0, 2, 1, 0)))
    refuse("pad_mode", model(node("Pad", "x p", mode="strange"), {"p": i64(0, 0, 1, 1, 0, 0, 1, 1)}), "unsupported", "edge, reflect and wrap")
    mixed("depth_to_space_crd", node("DepthToSpace", "x", blocksize=2, mode="CRD"), {}, lambda x: F.pixel_shuffle(x, 2), (1, 8, 3, 2))
    mixed("depth_to_space_dcr", node("DepthToSpace", "x", blocksize=2), {},
          lambda x: x.reshape(1, 2, 2, 2, 3, 2).permute(0, 3, 4, 1, 5, 2).reshape(1, 2, 6, 4), (1, 8, 3, 2))
    mixed("space_to_depth", node("SpaceToDepth", "x", blocksize=2), {},
          lambda x: x.reshape(1, 2, 3, 2, 2, 2).permute(0, 3, 5, 1, 2, 4).reshape(1, 8, 3, 2), (1, 2, 6, 4))
    mixed("cumsum", node("CumSum", "x a"), {"a": np.array(2, np.int64)}, lambda x: x.cumsum(2))
    mixed("cumsum_exclusive_reverse", node("CumSum", "x a", exclusive=1, reverse=1), {"a": np.array(-1, np.int64)},
          lambda x: x.flip(3).cumsum(3).flip(3) - x)
    for upper in (0, 1):
        mixed(f"trilu_{upper}", node("Trilu", "x k", upper=upper), {"k": np.array(1 - 2 * upper, np.int64)},
              lambda x, u=upper: x.triu(-1) if u else x.tril(1), opset=14)


def resizes():
    def case(name, scales, reference, opset=13, **attributes):
        mixed(f"resize_{name}", helper.make_node("Resize", ["x", "", "s"], ["y"], **attributes), {"s": f32([1, 1, *scales])}, reference, opset=opset)

    up = lambda x, mode, align=None, **k: F.interpolate(x, mode=mode, align_corners=align, **k)
    case("nearest", (2, 3), lambda x: up(x, "nearest", scale_factor=(2, 3)), mode="nearest", coordinate_transformation_mode="asymmetric",
         nearest_mode="floor")
    case("nearest_exact", (1.6, 1.5), lambda x: up(x, "nearest-exact", size=(8, 9)), mode="nearest", nearest_mode="round_prefer_ceil")
    case("nearest_ceil", (2, 0.5), lambda x: x[:, :, [0, 1, 1, 2, 2, 3, 3, 4, 4, 4]][..., [0, 2, 4]], mode="nearest",
         coordinate_transformation_mode="asymmetric", nearest_mode="ceil")
    case("nearest_prefer_floor", (2, 2), lambda x: x[:, :, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]][..., [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]], mode="nearest",
         coordinate_transformation_mode="asymmetric", nearest_mode="round_prefer_floor")
    case("linear", (2, 1.5), lambda x: up(x, "bilinear", False, size=(10, 9)), mode="linear")
    case("linear_smaller", (0.6, 0.5), lambda x: up(x, "bilinear", False, size=(3, 3)), mode="linear", coordinate_transformation_mode="pytorch_half_pixel")
    case("linear_corners", (2, 1.5), lambda x: up(x, "bilinear", True, size=(10, 9)), mode="linear", coordinate_transformation_mode="align_corners")
    case("cubic", (1.4, 1.5), lambda x: up(x, "bicubic", False, size=(7, 9)), mode="cubic", cubic_coeff_a=-0.75)
    case("cubic_corners", (1.4, 1.5), lambda x: up(x, "bicubic", True, size=(7, 9)), mode="cubic", coordinate_transformation_mode="align_corners")
    case("linear_antialias", (0.6, 0.5), lambda x: up(x, "bilinear", False, size=(3, 3), antialias=True), 18, mode="linear", antialias=1, exclude_outside=1)
    case("cubic_antialias", (0.6, 0.5), lambda x: up(x, "bicubic", False, size=(3, 3), antialias=True), 18, mode="cubic", antialias=1,
         cubic_coeff_a=-0.5, exclude_outside=1)
    mixed("resize_sizes", helper.make_node("Resize", ["x", "", "", "s"], ["y"], mode="linear"), {"s": i64(1, 2, 7, 4)},
          lambda x: up(x, "bilinear", False, size=(7, 4)))
    mixed("resize_axes", helper.make_node("Resize", ["x", "", "", "s"], ["y"], mode="linear", axes=[3, 2]), {"s": i64(4, 7)},
          lambda x: up(x, "bilinear", False, size=(7, 4)), opset=18)
    mixed("resize_keep_ratio", helper.make_node("Resize", ["x", "", "", "s"], ["y"], mode="linear", axes=[2, 3], keep_aspect_ratio_policy="not_larger"),
          {"s": i64(10, 9)}, half_up, opset=18)
    mixed("resize_10", node("Resize", "x s", mode="linear"), {"s": f32([1, 1, 2, 2])}, asymmetric_double, opset=10)
    mixed("upsample_7", node("Upsample", "x", scales=[1.0, 1.0, 2.0, 3.0]), {}, lambda x: up(x, "nearest", scale_factor=(2, 3)), opset=7)
    mixed("upsample_9", node("Upsample", "x s", mode="linear"), {"s": f32([1, 1, 2, 2])}, asymmetric_double, opset=9)
    mixed("resize_crop", node("Resize", "x r e s", mode="linear", coordinate_transformation_mode="tf_crop_and_resize", extrapolation_value=2.0),
          {"r": f32([0, 0, 0.25, -0.2, 1, 1, 0.75, 0.6]), "e": f32([]).reshape(0), "s": i64(1, 2, 3, 5)}, cropped)
    for name, module in (("bilinear", nn.Upsample(scale_factor=2, mode="bilinear")), ("nearest", nn.Upsample(scale_factor=2)),
                         ("bicubic", nn.Upsample(scale_factor=2, mode="bicubic", align_corners=False))):
        for opset in (11, 13):
            export(f"torch_upsample_{name}_{opset}", module, opset)


def half_up(x):
    """Scale 1.5 of both: 8 x 9 of 7.5 and 9, from half-pixel centres."""
    rows, weights_of = [], [(k + 0.5) / 1.5 - 0.5 for k in range(8)]
    for at in weights_of:
        low = int(np.floor(at))
        a, b = min(max(low, 0), 4), min(max(low + 1, 0), 4)
        rows.append(x[:, :, a] * (1 - (at - low)) + x[:, :, b] * (at - low))
    return F.interpolate(torch.stack(rows, 2), size=(8, 9), mode="bilinear", align_corners=False)


def asymmetric_double(x):
    """Twice as large: each element, and the mean of it and the next."""
    for axis in (2, 3):
        last = x.narrow(axis, x.shape[axis] - 1, 1)
        x = torch.stack([x, (x + torch.cat([x.narrow(axis, 1, x.shape[axis] - 1), last], axis)) / 2], axis + 1).flatten(axis, axis + 1)
    return x


def cropped(x):
    """Rows 1, 2 and 3; columns -1, 0, 1, 2 and 3, of which the first is outside."""
    return F.pad(x[:, :, 1:4, :4], (1, 0), value=2.0)


def transposed_convolutions():
    w, b = weights(2, 3, 3, 2), weights(3)
    for name, attributes, options in [
        ("plain", {}, {}),
        ("strided", {"strides": [2, 3]}, {"stride": (2, 3)}),
        ("padded", {"strides": [2, 2], "pads": [1, 0, 1, 0], "output_padding": [1, 1]}, {"stride": 2, "padding": (1, 0), "output_padding": 1}),
        ("dilated", {"strides": [2, 1], "dilations": [2, 3], "pads": [1, 2, 1, 2]}, {"stride": (2, 1), "dilation": (2, 3), "padding": (1, 2)}),
        ("cut", {"pads": [2, 2, 2, 2]}, {"padding": 2}),
    ]:
        mixed(f"conv_transpose_{name}", node("ConvTranspose", "x w b", **attributes), {"w": w, "b": b},
              lambda x, o=options: F.conv_transpose2d(x, t(w), t(b), **o))
    wg = weights(4, 2, 2, 2)
    mixed("conv_transpose_groups", node("ConvTranspose", "x w", group=2, strides=[2, 2]), {"w": wg},
          lambda x: F.conv_transpose2d(x, t(wg), stride=2, groups=2), (1, 4, 3, 2))
    mixed("conv_transpose_shape", node("ConvTranspose", "x w", strides=[2, 2], output_shape=[11, 13]), {"w": w},
          lambda x: F.conv_transpose2d(x, t(w), stride=2, output_padding=(0, 1)))
    mixed("conv_transpose_same", node("ConvTranspose", "x w", strides=[2, 2], auto_pad="SAME_UPPER"), {"w": w},
          lambda x: F.conv_transpose2d(x, t(w), stride=2)[:, :, :10, :12])
    line, one, back = node("Reshape", "x l", "r"), weights(4, 2, 3), weights(2, 3, 4)
    l = lambda x: x.reshape(1, 2, 30)
    c = {"l": i64(1, 2, 30)}
    mixed("conv_1d", [line, node("Conv", "r w b", strides=[2], pads=[1, 2])], {**c, "w": one, "b": kept("b1", weights(4))},
          lambda x: F.conv1d(F.pad(l(x), (1, 2)), t(one), t(SAVED["b1"]), stride=2))
    mixed("conv_transpose_1d", [line, node("ConvTranspose", "r w", strides=[3], pads=[1, 1])], {**c, "w": back},
          lambda x: F.conv_transpose1d(l(x), t(back), stride=3, padding=1))
    mixed("max_pool_1d", [line, node("MaxPool", "r", kernel_shape=[3], strides=[2])], c, lambda x: F.max_pool1d(l(x), 3, 2))
    mixed("average_pool_1d", [line, node("AveragePool", "r", kernel_shape=[3], strides=[2], pads=[1, 1])], c,
          lambda x: F.avg_pool1d(l(x), 3, 2, 1, count_include_pad=False))
    mixed("global_pools_1d", [line, node("GlobalAveragePool", "r", "a"), node("GlobalMaxPool", "r", "m"), node("Add", "a m")], c,
          lambda x: l(x).mean(2, True) + F.adaptive_max_pool1d(l(x), 1))
    for p in (1, 2, 3):
        mixed(f"lp_pool_{p}", node("LpPool", "x", p=p, kernel_shape=[2, 3], strides=[2, 1]), {},
              lambda x, p=p: F.avg_pool2d(x.abs() ** p, (2, 3), (2, 1)).mul(6) ** (1 / p))
        mixed(f"global_lp_pool_{p}", node("GlobalLpPool", "x", p=p), {}, lambda x, p=p: x.abs().pow(p).sum((2, 3), True) ** (1 / p))


def constants_folded():
    """Weights that are computed in the file, as where they are standardised: folded by what the ops become."""
    w = weights(4, 2, 3, 3)
    v = t(w)
    mean, centred = [node("ReduceMean", "w", "u", axes=[1, 2, 3]), node("Sub", "w u", "d")], v - v.mean((1, 2, 3), True)
    conv = lambda x, k: F.conv2d(x, k)
    mixed("fold_standardised", mean + [node("Mul", "d d", "q"), node("ReduceMean", "q", "s", axes=[1, 2, 3]), node("Add", "s e", "z"), node("Sqrt", "z", "r"),
                                       node("Div", "d r", "k"), node("Conv", "x k")], {"w": w, "e": f32(0.25)},
          lambda x: conv(x, centred / (centred.pow(2).mean((1, 2, 3), True) + 0.25).sqrt()))
    flat = [node("Reshape", "w r", "f"), node("BatchNormalization", "f one zero zero one", "g"), node("Reshape", "g back", "k"), node("Conv", "x k")]
    mixed("fold_batch_norm", flat, {"w": w, "r": i64(1, 4, 18), "one": np.ones(4, np.float32), "zero": np.zeros(4, np.float32), "back": i64(4, 2, 3, 3)},
          lambda x: conv(x, v / np.sqrt(1 + float(np.float32(1e-5)))))
    mixed("fold_norm", [node("ReduceL2", "w", "n", axes=[1, 2, 3]), node("Div", "w n", "k"), node("Conv", "x k")], {"w": w},
          lambda x: conv(x, v / v.pow(2).sum((1, 2, 3), True).sqrt()))
    a, b = weights(4, 3), weights(3, 6)
    mixed("fold_product", [node("MatMul", "a b", "p"), node("Transpose", "p", "q"), node("Softmax", "q", "k", axis=0), node("MatMul", "x k")],
          {"a": a, "b": b}, lambda x: x @ (t(a) @ t(b)).T.softmax(0))
    table = weights(1, 6, 3, 4)
    mixed("fold_resized", [helper.make_node("Resize", ["p", "", "", "s"], ["q"], mode="cubic"), node("Slice", "q b e c", "k"), node("Add", "x k")],
          {"p": table, "s": i64(1, 6, 5, 6), "b": i64(2), "e": i64(4), "c": i64(1)},
          lambda x: x + F.interpolate(t(table), (5, 6), mode="bicubic", align_corners=False)[:, 2:4])
    mixed("fold_triangle", [node("Trilu", "o", "k", upper=0), node("MatMul", "k x")], {"o": np.ones((5, 5), np.float32)},
          lambda x: torch.ones(5, 5, dtype=torch.float64).tril() @ x, opset=14)
    mixed("fold_one_hot", [node("OneHot", "i n v", "k"), node("MatMul", "k x")], {"i": i64(3, -1, 0), "n": i64(5), "v": f32([0.5, 2])},
          lambda x: (0.5 + 1.5 * torch.eye(5, dtype=torch.float64)[[3, 4, 0]]) @ x)
    mixed("fold_eye", [node("Reshape", "x s", "m"), node("EyeLike", "m", "i", k=1), node("Mul", "m i")], {"s": i64(10, 6)},
          lambda x: x.reshape(10, 6) * torch.eye(11, 6, dtype=torch.float64)[1:])


def later_cases():
    mixed("einsum_capitals", node("Einsum", "x x", equation="B C H W, B C H v -> B W v"), {}, lambda x: torch.einsum("bchw,bchv->bwv", x, x))
    mixed("dropout_ratio_0", node("Dropout", "x r t"), {"r": f32(0), "t": np.array(True)}, lambda x: x * 1)
    mixed("cast_like", [node("CastLike", "c x", "d"), node("Mul", "x d")], {"c": i64(3)}, lambda x: x * 3, opset=15)


SAVED = {}


def kept(name, value):
    SAVED[name] = value
    return value


def old_opsets():
    """Opset 6: operands that begin at an axis of the first one, and ops that say whether they train."""
    global RNG
    RNG = np.random.default_rng(11)  # its own: what comes before it may grow
    per_channel, per_row, per_map = weights(2), weights(5), weights(2, 5)
    for name, c, axis, shape in (("channel", per_channel, 1, (2, 1, 1)), ("row", per_row, -2, (5, 1)),
                                 ("row_forward", per_row, 2, (5, 1)), ("last", weights(6), 3, (6,))):
        accept(f"old_add_{name}", model(node("Add", "x c", broadcast=1, axis=axis), {"c": c}, opset=6),
               lambda x, c=c, shape=shape: x + t(c.reshape(shape)))
    accept("old_mul_without_axis", model(node("Mul", "x c", broadcast=1), {"c": per_channel[:1]}, opset=6),
           lambda x: x * t(per_channel[:1]))
    accept("old_div", model(node("Div", "x c", broadcast=1, axis=1), {"c": per_channel + 2}, opset=6),
           lambda x: x / t((per_channel + 2).reshape(2, 1, 1)))
    accept("old_shared_operand",
           model([node("Add", "x c", "a", broadcast=1, axis=1), node("Mul", "a c", "y", broadcast=1, axis=1)],
                 {"c": per_channel}, opset=6),
           lambda x: (x + t(per_channel.reshape(2, 1, 1))) * t(per_channel.reshape(2, 1, 1)))
    accept("old_gate",
           model([node("GlobalAveragePool", "x", "m"), node("Flatten", "m", "f"), node("Sigmoid", "f", "g"),
                  node("Mul", "x g", "y", broadcast=1, axis=0)], opset=6),
           lambda x: x * x.mean((2, 3)).sigmoid()[:, :, None, None])
    accept("old_prelu", model(node("PRelu", "x s"), {"s": f32(0.25, 0.25)}, opset=6), lambda x: F.leaky_relu(x, 0.25))
    s, v = weights(2), f32(1, 2)
    accept("old_batch_norm", model([node("BatchNormalization", "x s s s v", "a", is_test=1), node("Dropout", "a", "y", is_test=1)],
                                   {"s": s, "v": v}, opset=6),
           lambda x: F.batch_norm(x, t(s), t(v), t(s), t(s), eps=1e-5))
    refuse("old_training_dropout", model(node("Dropout", "x", is_test=0), opset=6), "unsupported", "training mode")
    refuse("old_training_batch_norm", model(node("BatchNormalization", "x s s s v", "y a b c d"), {"s": s, "v": v}, opset=6),
           "unsupported", "training mode")
    refuse("old_axis", model(node("Add", "x c", broadcast=1, axis=3), {"c": per_map}, opset=6), "format", "axis 3 for 2 axes of 4")
    # The remainder of shapes: of C where it says so, else with the divisor's sign, also of floats from opset 28 on.
    for name, fmod, a, b, opset in (("c", 1, i64(-7), i64(4), 13), ("python", 0, i64(-7), i64(4), 13),
                                    ("floats", 0, f32(-7.5), f32(4), 28), ("floats_c", 1, f32(-7.5), f32(4), 13)):
        value = float(np.ravel(np.fmod(a, b) if fmod else np.mod(a, b))[0])
        accept(f"mod_{name}", model([node("Mod", "a b", "m", fmod=fmod), node("Cast", "m", "f", to=1), node("Mul", "x f")],
                                    {"a": a, "b": b}, opset=opset), lambda x, value=value: x * value)
    half = helper.make_tensor("half", TensorProto.FLOAT, [1], [0.5])
    accept("fold_large", model([node("ConstantOfShape", "s", "c", value=half), node("Slice", "c b e", "d"), node("Mul", "x d")],
                               {"s": i64(17 * 2 ** 20), "b": i64(5), "e": i64(6)}), lambda x: x / 2)
    for kind in (17, 20, 23):
        refuse(f"cast_{kind}", model([node("Cast", "c", "a", to=kind), node("Cast", "a", "b", to=1), node("Mul", "x b")],
                                     {"c": f32(1.3)}, opset=23), "unsupported", f"casts to element type {kind}")
    accept("old_gate_channels",
           model([node("GlobalAveragePool", "x", "m"), node("Reshape", "m s", "f"), node("Sigmoid", "f", "g"),
                  node("Mul", "x g", "y", broadcast=1, axis=1)], {"s": i64(2)}, opset=6),
           lambda x: x * x.mean((2, 3)).sigmoid()[:, :, None, None])


def branches():
    """If, whose condition is the same for every picture."""
    global RNG
    RNG = np.random.default_rng(12)

    def graph(nodes, constants=None, out="r"):
        return helper.make_graph(nodes if isinstance(nodes, list) else [nodes], "branch", [],
                                 [helper.make_tensor_value_info(out, 1, None)],
                                 [tensor(k, v) for k, v in (constants or {}).items()])

    w, s = weights(2, 2, 3, 3), weights(1)
    conv = graph(node("Conv", "x w", "r", pads=[1] * 4))
    nothing = graph(node("Frobnicate", "x", "r"))
    for name, value in (("then", True), ("else", False)):
        accept(f"if_{name}", model(node("If", "c", then_branch=conv if value else nothing, else_branch=nothing if value else conv),
                                   {"c": np.array(value), "w": w}), lambda x: F.conv2d(x, t(w), padding=1))
    # The condition of torch.squeeze: whether the axis has one element. The other branch would change the rank.
    squeezed = graph(node("Squeeze", "p a", "r"), {"a": i64(2, 3)})
    kept = graph(node("Identity", "p", "r"))
    condition = [node("GlobalAveragePool", "x", "p"), node("Shape", "p", "s"), node("Gather", "s i", "n"), node("Equal", "n o", "c")]
    accept("if_squeeze", model([*condition, node("If", "c", then_branch=squeezed, else_branch=kept)],
                               {"i": np.int64(2), "o": np.int64(1)}), lambda x: x.mean((2, 3)))
    # A branch in a branch, which reads a constant of the outermost graph that was used before, and one of its own.
    inner = graph([node("Mul", "q w1", "z"), node("Add", "z own", "r")], {"own": s})
    outer = graph([node("Relu", "m", "q"), node("If", "c", "r", then_branch=inner, else_branch=nothing)])
    accept("if_nested", model([node("Mul", "x w1", "m"), node("If", "c", "b", then_branch=outer, else_branch=nothing), node("Tanh", "b")],
                              {"c": np.array(True), "w1": f32(0.75)}),
           lambda x: torch.tanh(torch.relu(x * 0.75) * 0.75 + t(s)))
    # In a function, and names of the branch that are those of the graph as well.
    local = [helper.make_opsetid("local", 1)]
    f = helper.make_function("local", "F", ["x"], ["y"], [node("Neg", "x", "m"), node("If", "t", then_branch=graph(
        [node("Relu", "m", "y"), node("Add", "y m", "r")]), else_branch=nothing)], [helper.make_opsetid("", 13)])
    f.node.insert(0, helper.make_node("Constant", [], ["t"], value=numpy_helper.from_array(np.array(True))))
    accept("if_in_function", model([node("F", "x", "y1", domain="local"), node("Mul", "y1 m", "y")], {"m": f32(2)}, functions=[f],
                                   extra_opsets=local), lambda x: (torch.relu(-x) - x) * 2)
    accept("cast_like_both", model([node("CastLike", "i x", "f"), node("CastLike", "x f", "g"), node("Mul", "g f")], {"i": i64(3)}, opset=15),
           lambda x: x * 3)
    refuse("if_of_the_picture", model([node("Sigmoid", "x", "c"), node("If", "c", then_branch=conv, else_branch=nothing)], {"w": w}),
           "unsupported", "condition depends on the picture")
    refuse("if_unknown_op", model(node("If", "c", then_branch=nothing, else_branch=conv), {"c": np.array(True), "w": w}),
           "unsupported", "Frobnicate")
    refuse("if_without_branch", model(node("If", "c", then_branch=conv), {"c": np.array(False), "w": w}), "format", "no else_branch")
    refuse("if_missing", model(node("If", "c", then_branch=graph(node("Relu", "nowhere", "r"))), {"c": np.array(True)}), "format",
           "nowhere")
    refuse("if_itself", model(node("If", "c", "y", then_branch=graph(node("Relu", "y", "r"))), {"c": np.array(True)}), "format",
           "depends on itself")
    deep = graph(node("Relu", "x", "r"))
    for _ in range(70):
        deep = graph(node("If", "c", "r", then_branch=deep, else_branch=nothing))
    refuse("if_too_deep", model(node("If", "c", then_branch=deep), {"c": np.array(True)}), "format", "deep")


def new_opsets():
    """Attributes that only the newest opsets have."""
    global RNG
    RNG = np.random.default_rng(13)
    mixed("space_to_depth_crd", node("SpaceToDepth", "x", blocksize=2, mode="CRD"), {}, lambda x: F.pixel_unshuffle(x, 2), (1, 2, 6, 4),
          opset=28)
    refuse("space_to_depth_mode", model(node("SpaceToDepth", "x", blocksize=1, mode="RCD"), opset=28), "unsupported", "the modes DCR and CRD")


def vision_transformers():
    """What their exports have beside the ops of others."""
    global RNG
    RNG = np.random.default_rng(17)
    scale, bias = weights(2), weights(2)
    norm = lambda v: F.layer_norm(v, (2,), t(scale), t(bias), 0.5)
    tokens = [node("Reshape", "x s", "f"), node("Transpose", "f", "t", perm=[0, 2, 1]), node("LayerNormalization", "t a b", "n", epsilon=0.5)]
    of_norm = {"s": i64(1, 2, 30), "a": scale, "b": bias}
    mixed("tokens_norm_and_back", tokens + [node("Transpose", "n", "u", perm=[0, 2, 1]), node("Reshape", "u r")], {**of_norm, "r": i64(1, 2, 5, 6)},
          lambda x: norm(x.flatten(2).mT).mT.reshape(1, 2, 5, 6), opset=17)
    mixed("tokens_norm_gelu", tokens + [node("Div", "n q", "d"), node("Erf", "d", "e"), node("Add", "e one", "g"), node("Mul", "n g", "h"), node("Mul", "h half")],
          {**of_norm, "q": f32(np.sqrt(2)), "one": f32(1), "half": f32(0.5)}, lambda x: F.gelu(norm(x.flatten(2).mT)), opset=17)
    w = weights(4, 2, 3, 3)
    flat = [node("Reshape", "w r", "f"), node("BatchNormalization", "f g h zero one", "n m v", training_mode=1), node("Reshape", "n back", "k"), node("Conv", "x k")]
    g, h = weights(4), weights(4)
    mixed("fold_batch_norm_of_its_own", flat, {"w": w, "r": i64(3, 4, 6), "g": g, "h": h, "one": np.ones(4, np.float32), "zero": np.zeros(4, np.float32),
                                               "back": i64(4, 2, 3, 3)},
          lambda x: F.conv2d(x, F.batch_norm(t(w).reshape(3, 4, 6), None, None, t(g), t(h), True, 0.0, float(np.float32(1e-5))).reshape(4, 2, 3, 3)), opset=15)
    positions, k, c = weights(1, 4, 9, 7), weights(2, 2, 3, 2), weights(2)
    mixed("fold_conv", [node("Conv", "p k c", "q", group=2, strides=[2, 1], pads=[1, 0, 1, 1], dilations=[1, 2]), node("Add", "x q")], {"p": positions, "k": k, "c": c},
          lambda x: x + F.conv2d(F.pad(t(positions), (0, 1, 1, 1)), t(k), t(c), (2, 1), 0, (1, 2), 2))


def formulas():
    """What PyTorch writes in several ops."""
    global RNG
    RNG = np.random.default_rng(19)
    soft = [node("Mul", "x b", "s"), node("Softplus", "s", "p"), node("Div", "p b", "q"), node("Greater", "s t", "c"), node("Where", "c x q")]
    mixed("softplus_in_two_parts", soft, {"b": f32(3), "t": f32(20)}, lambda x: F.softplus(x, 3))
    one = [node("Softplus", "x", "p"), node("Greater", "x t", "c"), node("Where", "c x p")]
    mixed("softplus_in_two_parts_of_1", one, {"t": f32(20)}, F.softplus)
    refuse("softplus_with_a_step", model(soft, {"b": f32(3), "t": f32(2)}), "unsupported", "must be a constant")
    refuse("where_of_the_picture", model([node("Greater", "x t", "c"), node("Where", "c x o")], {"t": f32(0.5), "o": f32(2)}), "unsupported",
           "must be a constant")
    refuse("above_as_a_number", model([node("Greater", "x t", "c"), node("Cast", "c", "f", to=TensorProto.FLOAT), node("Mul", "x f")], {"t": f32(0.5)}),
           "unsupported", "depends on the picture")
    depth = [node("Mul", "x x", "q"), node("Reshape", "q five", "r"), node("Pad", "r p", "e"), node("AveragePool", "e", "a", kernel_shape=[3, 1, 1], strides=[1, 1, 1]),
             node("Reshape", "a four", "m"), node("Div", "x m")]
    mixed("lrn_by_depth", depth, {"five": i64(1, 1, 4, 5, 6), "four": i64(1, 4, 5, 6), "p": i64(0, 0, 1, 0, 0, 0, 0, 1, 0, 0)},
          lambda x: x / F.avg_pool3d(F.pad(x.square()[None], (0, 0, 0, 0, 1, 1)), (3, 1, 1), 1)[0], (1, 4, 5, 6))
    k, b = weights(3, 2, 3, 2), weights(3)
    mixed("conv_of_windows", [node("Reshape", "x s", "r"), node("Transpose", "r", "t", perm=[0, 2, 4, 1, 3, 5]), node("Reshape", "t w", "v"),
                              node("Conv", "v k b", pads=[1, 0, 1, 1])],
          {"s": i64(1, 2, 2, 3, 2, 3), "w": i64(4, 2, 3, 3), "k": k, "b": b},
          lambda x: F.conv2d(F.pad(x.reshape(2, 2, 3, 2, 3).permute(1, 3, 0, 2, 4).reshape(4, 2, 3, 3), (0, 1, 1, 1)), t(k), t(b)), (1, 2, 6, 6))
    filled = lambda name: node("ConstantOfShape", f"{name}_shape", name)
    refuse("fold_conv_endless", model([filled("p"), filled("k"), node("Conv", "p k", "q"), node("Mul", "x q")], {"p_shape": i64(1, 1, 3000, 3000),
                                      "k_shape": i64(1, 1, 1500, 1500)}), "limit", "products of constants")
    refuse("fold_matmul_endless", model([filled("p"), node("MatMul", "p p", "q"), node("Mul", "x q")], {"p_shape": i64(4000, 4000)}), "limit",
           "products of constants")
    refuse("average_pool_3d", model([node("Reshape", "x five", "r"), node("AveragePool", "r", "a", kernel_shape=[1, 2, 1]), node("Reshape", "a flat")],
                                    {"five": i64(1, 1, 2, 5, 6), "flat": i64(1, 48)}), "unsupported", "windows are two-dimensional here")


for make in (convolutions, element_types, dense, activations, normalisations, pools, means, arithmetic, softmaxes, shapes,
             selections, shape_computations, functions, whole_networks, refusals, any_shapes, reductions, products, shapes_of_arithmetic, all_normalisations,
             selections_of_any_kind, resizes, transposed_convolutions, constants_folded, later_cases, old_opsets, branches,
             new_opsets, vision_transformers, formulas):
    make()
(OUT / "refused" / "list.txt").write_text("".join(REFUSED))
