#!/usr/bin/env python3
"""Checks salmap on the node tests of the package onnx, with which every runtime of ONNX is tested.

    python check_onnx_backend_tests.py LIBSALMAP.so [--list] [TEST ...]

Taken are all tests whose first input and first output are float tensors. Each becomes a network for a picture: a Reshape in front makes
of (1, C, H, W) what the test wants, the other inputs become constants, and a dense layer with random weights makes three scores of
the output. The scores must be those of onnx's ReferenceEvaluator, and the gradient its slope along random directions. The input is the
test's, moved a little off kinks and ties.

Prints how many tests salmap accepts, how many of them are right or wrong, and why the others are refused. --list: also a line per
test. Ends with 1 where a test is wrong."""
import argparse
import collections
import re
import sys
import warnings

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.backend.test.case.node import collect_testcases
from onnx.reference import ReferenceEvaluator

from salmap_library import Salmap

NEWEST = 28  # opset that salmap reads
SCORES, STEPS = 3, (1e-6, 1e-4, 1e-3)
SCORE_TOLERANCE, SLOPE_TOLERANCES = 1e-4, (2e-3, 2e-3, 1e-2)


def is_float(value):
    return isinstance(value, np.ndarray) and value.dtype == np.float32 and value.size > 0


def opset_of(model, op_types):
    """The newest that salmap reads, if the ops are in it: later versions of those only allow more element types."""
    own = {o.domain: o.version for o in model.opset_import}.get("", NEWEST)
    try:
        for kind in op_types:
            onnx.defs.get_schema(kind, NEWEST)
    except onnx.defs.SchemaError:
        return own
    return min(own, NEWEST)


def picture_shape(shape):
    """(1, C, H, W) of as many elements."""
    if len(shape) == 4 and shape[0] == 1:
        return tuple(shape)
    shape = (1,) * (4 - len(shape)) + tuple(shape)
    lead = int(np.prod(shape[:-2]))
    return (1, lead, *shape[-2:])


def network_of(case, rng):
    """The model, and the test's input as a picture."""
    inputs, outputs = case.data_sets[0]
    graph = case.model.graph
    names = [i.name for i in graph.input]
    x, y = inputs[0], outputs[0]
    shape = picture_shape(x.shape)
    nodes = [onnx.NodeProto.FromString(n.SerializeToString()) for n in graph.node]
    constants = [onnx.TensorProto.FromString(t.SerializeToString()) for t in graph.initializer]
    for name, value in zip(names[1:], inputs[1:]):
        constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
    first = names[0]
    if shape != x.shape:
        constants.append(numpy_helper.from_array(np.array(x.shape, np.int64), "check_shape"))
        nodes.insert(0, helper.make_node("Reshape", ["picture", "check_shape"], [first], name="lift"))
        first = "picture"
    weights = (rng.standard_normal((y.size, SCORES)) / np.sqrt(y.size)).astype(np.float32)
    constants += [numpy_helper.from_array(weights, "check_weights"), numpy_helper.from_array(np.array([1, -1], np.int64), "check_flat")]
    nodes += [helper.make_node("Reshape", [graph.output[0].name, "check_flat"], ["check_vector"], name="flatten"),
              helper.make_node("Gemm", ["check_vector", "check_weights"], ["scores"], name="head")]
    made = helper.make_graph(nodes, case.name, [helper.make_tensor_value_info(first, TensorProto.FLOAT, shape)],
                             [helper.make_tensor_value_info("scores", TensorProto.FLOAT, (1, SCORES))], constants)
    opset = opset_of(case.model, {n.op_type for n in graph.node if n.domain == ""})
    others = [o for o in case.model.opset_import if o.domain != ""]
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", opset), *others], functions=list(case.model.functions))
    model.ir_version = 9
    return model, x.reshape(shape)


def doubled(model):
    """The same in double precision, as far as casts and constants are concerned."""
    m = onnx.ModelProto.FromString(model.SerializeToString())
    double = lambda t: numpy_helper.from_array(numpy_helper.to_array(t).astype(np.float64), t.name)
    for t in m.graph.initializer:
        if t.data_type == TensorProto.FLOAT:
            t.CopyFrom(double(t))
    for value in (*m.graph.input, *m.graph.output):
        value.type.tensor_type.elem_type = TensorProto.DOUBLE
    for node in m.graph.node:
        for a in node.attribute:
            if a.type == onnx.AttributeProto.TENSOR and a.t.data_type == TensorProto.FLOAT:
                a.t.CopyFrom(double(a.t))
            if node.op_type == "Cast" and a.name == "to" and a.i == TensorProto.FLOAT:
                a.i = TensorProto.DOUBLE
            if node.op_type == "Constant" and a.name == "value_float":
                t = numpy_helper.from_array(np.array(a.f, np.float64))
                a.Clear()
                a.CopyFrom(helper.make_attribute("value", t))
    return m


def reference_of(model, x):
    """A function of the picture to the scores: in double precision where the evaluator has it."""
    for m, dtype in ((doubled(model), np.float64), (model, np.float32)):
        try:
            session = ReferenceEvaluator(m)
            name = m.graph.input[0].name
            function = lambda v, s=session, n=name, d=dtype: s.run(None, {n: v.astype(d)})[0].astype(np.float64).ravel()
            function(x)
            return function
        except Exception as error:  # noqa: BLE001: whatever the evaluator cannot do
            failure = error
    raise ReferenceError(f"{type(failure).__name__}: {failure}")


def slope_differs(function, x, gradient, rng):
    """How far the gradient is from the slope along directions, relative to what they could be; of the best step."""
    worst = 0.0
    for _ in range(3):
        direction = rng.standard_normal(x.shape)
        got = float((gradient * direction).sum())
        scale = max(float(np.linalg.norm(gradient)) * float(np.linalg.norm(direction)) / np.sqrt(x.size), abs(got), 1e-3)
        best = np.inf
        for step, tolerance in zip(STEPS, SLOPE_TOLERANCES):
            up, down = function(x + step * direction)[0], function(x - step * direction)[0]
            best = min(best, abs((up - down) / (2 * step) - got) / scale / tolerance)
        worst = max(worst, best if np.isfinite(best) else np.inf)
    return worst


def check(salmap, case):
    """(right | wrong | refused | unknown, words)"""
    rng = np.random.default_rng(len(case.name))
    model, x = network_of(case, rng)
    x = (x + rng.uniform(0.001, 0.01, x.shape)).astype(np.float32)
    with np.errstate(all="ignore"):
        try:
            function = reference_of(model, x.astype(np.float64))
            want = function(x.astype(np.float64))
        except ReferenceError as error:
            return "unknown", str(error).split("\n", maxsplit=1)[0]
        if not np.isfinite(want).all():
            return "unknown", "its scores are not finite"
        try:
            scores, gradient = salmap.scores_and_gradient(model.SerializeToString(), x)
        except ValueError as error:
            return "refused", str(error)
        difference = np.abs(scores - want).max() / max(np.abs(want).max(), 1e-2)
        if not difference <= SCORE_TOLERANCE:
            return "wrong", f"scores differ by {difference:.1e}: {scores} and {want}"
        slope = slope_differs(function, x.astype(np.float64), gradient, rng)
        if not slope <= 1:
            return "wrong", f"the gradient differs by {slope:.1e} of what is allowed"
    return "right", f"{difference:.1e}"


def reason(words):
    """A refusal without names and numbers."""
    words = re.sub(r"^.*?: (node|layer) \S+ \((\w+)[^)]*\): ", r"\2: ", words)
    return re.sub(r"-?\d[\d.e+]*", "N", words)[:110]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("library", help="libsalmap.so")
    parser.add_argument("tests", nargs="*", help="names, or parts of them; without: all")
    parser.add_argument("--list", action="store_true", help="a line per test")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    salmap = Salmap(options.library)
    with np.errstate(all="ignore"):
        cases = collect_testcases(None)
    counts, reasons = collections.Counter(), collections.Counter()
    for case in sorted(cases, key=lambda c: c.name):
        inputs, outputs = case.data_sets[0]
        if not inputs or not outputs or not is_float(inputs[0]) or not is_float(outputs[0]):
            continue
        if not all(isinstance(v, (np.ndarray, np.generic)) for v in inputs):
            continue
        if options.tests and not any(t in case.name for t in options.tests):
            continue
        result, words = check(salmap, case)
        counts[result] += 1
        if result == "refused":
            reasons[reason(words)] += 1
        if options.list or result in ("wrong", "unknown"):
            print(f"{result} {case.name}: {words}", flush=True)
    for words, count in reasons.most_common():
        print(f"{count:4d}  {words}")
    print(f"{sum(counts.values())} tests: {counts['right'] + counts['wrong']} accepted, {counts['right']} right, {counts['wrong']} wrong, "
          f"{counts['refused']} refused, {counts['unknown']} that the reference does not compute")
    sys.exit(counts["wrong"] > 0)


if __name__ == "__main__":
    main()
