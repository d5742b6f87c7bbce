#!/usr/bin/env python3
"""Writes a demo network as Keras files: NAME.keras as Keras 3 saves it and NAME.h5 as Keras 2 does, beside NAME.onnx.

    python make_demo_keras.py data/models/scale_age_honest.onnx

Needs what keras_environment.sh installs. The networks are built anew, channels last, with the weights of the ONNX file; Keras pads
strided convolutions otherwise than PyTorch, so that each has a padding layer before it."""
import argparse
import pathlib
import shutil

import keras
import numpy as np
import onnx
import onnx.numpy_helper
import tf_keras


def attributes(node):
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def convolution(layers, node, x, weights):
    """Padding as the file has it, then a convolution without any."""
    given = attributes(node)
    top, left, bottom, right = given["pads"]
    kernel, bias = (weights[name] for name in node.input[1:])
    x = layers.ZeroPadding2D(((top, bottom), (left, right)))(x)
    layer = layers.Conv2D(kernel.shape[0], kernel.shape[2:], strides=tuple(given["strides"]))
    x = layer(x)
    layer.set_weights([kernel.transpose(2, 3, 1, 0), bias])
    return x


def dense(layers, node, x, weights):
    kernel, bias = (weights[name] for name in node.input[1:])
    layer = layers.Dense(kernel.shape[0], name="age")
    x = layer(x)
    layer.set_weights([kernel.T, bias])
    return x


def build(library, model):
    """The network in one generation of Keras. Only what the demo networks have."""
    layers, weights = library.layers, {i.name: onnx.numpy_helper.to_array(i) for i in model.graph.initializer}
    channels, height, width = (d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim[1:])
    first = library.Input((height, width, channels), name="picture")
    values = {model.graph.input[0].name: first}
    for node in model.graph.node:
        x = values[node.input[0]]
        if node.op_type == "Conv":
            x = convolution(layers, node, x, weights)
        elif node.op_type == "Relu":
            x = layers.ReLU()(x)
        elif node.op_type == "Add":
            x = layers.Add()([x, values[node.input[1]]])
        elif node.op_type == "ReduceMean":
            x = layers.GlobalAveragePooling2D()(x)
        elif node.op_type == "Gemm":
            x = dense(layers, node, x, weights)
        else:
            raise SystemExit(f"{node.op_type}: no demo network has that")
        values[node.output[0]] = x
    return library.Model(first, values[model.graph.output[0].name], name="scale_age")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", type=pathlib.Path)
    path = parser.parse_args().model
    model = onnx.load(path)
    probe = np.random.default_rng(1).standard_normal((2, 192, 192, 3)).astype(np.float32)
    values = []
    for library, ending in ((keras, ".keras"), (tf_keras, ".h5")):
        network = build(library, model)
        network.save(path.with_suffix(ending))
        values.append(np.asarray(network(probe))[:, 0])
        shutil.copyfile(f"{path}.salmap", f"{path.with_suffix(ending)}.salmap")
    assert np.allclose(*values, rtol=1e-5), values
    print(f"{path.with_suffix('.keras')}, {path.with_suffix('.h5')}: values {values[0]}")


if __name__ == "__main__":
    main()
