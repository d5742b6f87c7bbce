"""Small ONNX models for the tests on the emulated device, and others: models.py NAME FILE writes one."""

import math
import random
import sys

import files

ints = files.onnx_ints


def one(name, value):
    return files.put(1, name) + files.put(3, value) + files.put(20, 2)


WINDOW = [ints("kernel_shape", [3, 3]), ints("pads", [1] * 4)]


def model(nodes, weights, side, outputs):
    """weights: name to (shape, numbers). The picture "x" is (3, side, side), the scores are "y"."""
    tensors = [files.onnx_tensor(name, shape, numbers) for name, (shape, numbers) in weights.items()]
    graph = b"".join(files.put(1, n) for n in nodes) + files.put(2, "small")
    graph += b"".join(files.put(5, t) for t in tensors)
    graph += files.put(11, files.onnx_value("x", (1, 3, side, side)))
    graph += files.put(12, files.onnx_value("y", (1, outputs)))
    return files.put(1, 7) + files.put(2, "salmap tests") + files.put(7, graph) + files.put(8, files.put(1, "") + files.put(2, 13))


class Weights(dict):
    def __init__(self):
        super().__init__()
        self.dice = random.Random(4)

    def draw(self, name, shape, low, high):
        self[name] = (shape, [self.dice.uniform(low, high) for _ in range(math.prod(shape))])

    def conv(self, number, outputs, inputs, spread):
        self.draw("w%d" % number, (outputs, inputs, 3, 3), -spread, spread)
        self["b%d" % number] = ((outputs,), [0.1] * outputs)

    def dense(self, number, outputs, inputs, spread):
        self.draw("w%d" % number, (outputs, inputs), -spread, spread)
        self["b%d" % number] = ((outputs,), [0.0] * outputs)


def small_classifier(side=16):
    """Two convolutions with everything around them that the back end treats apart, on (3, side, side)."""
    nodes = [
        files.onnx_node("Conv", ["x", "w1", "b1"], "conv1", WINDOW),
        files.onnx_node("Relu", ["conv1"], "relu1"),
        files.onnx_node("MaxPool", ["relu1"], "pool", [ints("kernel_shape", [2, 2]), ints("strides", [2, 2])]),
        files.onnx_node("Conv", ["pool", "w2", "b2"], "depthwise", WINDOW + [one("group", 8)]),
        files.onnx_node("Sigmoid", ["depthwise"], "gate"),
        files.onnx_node("Mul", ["pool", "gate"], "gated"),
        files.onnx_node("Conv", ["gated", "w3", "b3"], "conv3", WINDOW),
        files.onnx_node("Add", ["conv3", "gated"], "sum"),
        files.onnx_node("Relu", ["sum"], "relu3"),
        files.onnx_node("GlobalAveragePool", ["relu3"], "mean"),
        files.onnx_node("Flatten", ["mean"], "flat"),
        files.onnx_node("Gemm", ["flat", "w4", "b4"], "y", [one("transB", 1)]),
    ]
    w = Weights()
    for name, shape in (("w1", (8, 3, 3, 3)), ("b1", (8,)), ("w2", (8, 1, 3, 3)), ("b2", (8,)), ("w3", (8, 8, 3, 3)),
                        ("b3", (8,)), ("w4", (5, 8)), ("b4", (5,))):  # fmt: skip
        w.draw(name, shape, -0.5, 0.5)
    return model(nodes, w, side, 5)


def dense(side, weights, outputs=5):
    """A convolution and a dense layer on all of it, whose weights are the gradients of the map."""
    nodes = [
        files.onnx_node("Conv", ["x", "w1", "b1"], "conv", WINDOW),
        files.onnx_node("Relu", ["conv"], "relu"),
        files.onnx_node("Flatten", ["relu"], "flat"),
        files.onnx_node("Gemm", ["flat", "w2", "b2"], "y", [one("transB", 1)]),
    ]
    w = Weights()
    w.conv(1, 8, 3, 0.2)
    w.dense(2, outputs, 8 * side * side, weights)
    return model(nodes, w, side, outputs)


def sure_classifier(ahead):
    """Ends in a softmax whose first logit is about so far ahead of the others."""
    nodes = [
        files.onnx_node("Conv", ["x", "w1", "b1"], "conv", WINDOW),
        files.onnx_node("Relu", ["conv"], "relu"),
        files.onnx_node("GlobalAveragePool", ["relu"], "mean"),
        files.onnx_node("Flatten", ["mean"], "flat"),
        files.onnx_node("Gemm", ["flat", "w2", "b2"], "logits", [one("transB", 1)]),
        files.onnx_node("Softmax", ["logits"], "y", [one("axis", 1)]),
    ]
    w = Weights()
    w.conv(1, 8, 3, 0.3)
    w.dense(2, 5, 8, 1)
    w["b2"] = ((5,), [float(ahead), 0.0, 0.0, 0.0, 0.0])
    return model(nodes, w, 16, 5)


def overflowing():
    """Bright pictures are too much for half precision, dark ones are not."""
    nodes = [
        files.onnx_node("Conv", ["x", "w1", "b1"], "conv1", WINDOW),
        files.onnx_node("Relu", ["conv1"], "relu"),
        files.onnx_node("Conv", ["relu", "w2", "b2"], "conv2", WINDOW),
        files.onnx_node("GlobalAveragePool", ["conv2"], "mean"),
        files.onnx_node("Flatten", ["mean"], "flat"),
        files.onnx_node("Gemm", ["flat", "w3", "b3"], "y", [one("transB", 1)]),
    ]
    w = Weights()
    w.draw("w1", (8, 3, 3, 3), 3000, 5000)
    w["b1"] = ((8,), [0.0] * 8)
    w.conv(2, 8, 8, 0.01)
    w.dense(3, 5, 8, 1)
    return model(nodes, w, 32, 5)


def max_pool(side):
    """Ends in a max pool over windows of side x side."""
    nodes = [
        files.onnx_node("Conv", ["x", "w1", "b1"], "conv", WINDOW),
        files.onnx_node("MaxPool", ["conv"], "pool", [ints("kernel_shape", [side, side])]),
        files.onnx_node("Flatten", ["pool"], "flat"),
        files.onnx_node("Gemm", ["flat", "w2", "b2"], "y", [one("transB", 1)]),
    ]
    w = Weights()
    w.conv(1, 4, 3, 0.5)
    w.dense(2, 5, 4, 1)
    return model(nodes, w, side, 5)


if __name__ == "__main__":
    with open(sys.argv[2], "wb") as f:
        f.write(globals()[sys.argv[1]]())
