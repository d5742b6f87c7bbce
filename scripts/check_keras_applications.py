#!/usr/bin/env python3
"""Writes networks of keras.applications with random weights as Keras files, and what Keras computes with them: what
test_keras compares where SAL_KERAS names the folder. Nothing is downloaded.

    KERAS_BACKEND=jax python check_keras_applications.py OUT [NAME ...] [--size N] [--classes N]
    python check_keras_applications.py OUT [NAME ...]          with TensorFlow 2.15: adds NAME.k2.h5 and NAME.k2.keras

Needs Keras 3 with JAX, or Keras 2.15. Beside the files that make_keras_cases.py writes:

    NAME.float32.npy    (2) float64: how far Keras's own scores and gradient in single precision are from the double
                        ones; the gradient of a ReLU network is not continuous, and two correct programs may differ

The files of Keras 2 get references of their own, named NAME_2, since its networks differ in places."""
import argparse
import pathlib
import sys
import time

import numpy as np

from make_keras_cases import L, MAJOR, distance, double_precision, every_layer, gradient_of, keras, scores_of

NETWORKS = ("VGG16", "ResNet50", "ResNet50V2", "InceptionV3", "InceptionResNetV2", "Xception", "MobileNet", "MobileNetV2",
            "MobileNetV3Small", "DenseNet121", "NASNetMobile", "EfficientNetB0", "EfficientNetV2B0", "RegNetX002",
            "ConvNeXtTiny")
LEAST_SIZE = {"InceptionV3": 75, "InceptionResNetV2": 75, "Xception": 71}
BYTES_IN = ("MobileNetV3", "EfficientNet", "RegNet", "ConvNeXt")  # they rescale inside
SHIFT = 1.0  # mean bias of batch norms, without which random deep networks amplify any rounding


def pictures(rng, count, size, bytes_in):
    """Noise with the falling spectrum of photographs."""
    falloff = 1 / np.maximum(np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :]), 1 / size)
    spectrum = np.fft.rfft2(rng.standard_normal((count, size, size, 3)), axes=(1, 2)) * falloff[None, :, :, None]
    x = np.fft.irfft2(spectrum, s=(size, size), axes=(1, 2))
    x = (x - x.mean((1, 2), keepdims=True)) / x.std((1, 2), keepdims=True)
    return (127.5 + 50 * x if bytes_in else x).astype(np.float32)


def randomise(model, rng):
    for layer in every_layer(model):
        values = layer.get_weights()
        if not values or isinstance(layer, L.Normalization):
            continue
        for i, variable in enumerate(layer.weights):
            kind = variable.name.split("/")[-1].split(":")[0]
            shape = values[i].shape
            if kind == "bias":
                values[i] = rng.normal(0, 0.1, shape)
            elif kind == "beta":
                values[i] = rng.normal(SHIFT if isinstance(layer, L.BatchNormalization) else 0, 0.1, shape)
            elif kind == "gamma" and isinstance(layer, (L.BatchNormalization, L.LayerNormalization)):
                values[i] = rng.uniform(0.7, 1.3, shape)
            elif kind == "gamma" or layer.__class__.__name__ == "LayerScale":
                values[i] = rng.uniform(0.2, 0.6, shape)
        layer.set_weights([v.astype(np.float32) for v in values])


def calibrate(model, batch, rng):
    """Statistics of the batch norms: of some pictures, moved a little."""
    norms = [layer for layer in every_layer(model) if isinstance(layer, L.BatchNormalization)]
    kept = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0
    model(batch, training=True)
    for layer, momentum in zip(norms, kept):
        layer.momentum = momentum
        values = layer.get_weights()
        values[-2] = values[-2] + 0.05 * np.sqrt(values[-1]) * rng.standard_normal(values[-2].shape)
        values[-1] = values[-1] * rng.uniform(0.9, 1.1, values[-1].shape) + 1e-4
        layer.set_weights([v.astype(np.float32) for v in values])


def build(name, size, classes, policy, logits):
    keras.backend.clear_session()
    keras.backend.set_floatx(policy)
    keras.mixed_precision.set_global_policy(policy)
    return getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3), classes=classes,
                                             classifier_activation=None if logits else "softmax")


def compute(weights, x, policy, chosen, *arguments):
    with double_precision(policy == "float64"):
        model = build(*arguments, policy, True)
        model.set_weights([w.astype(policy) if w.dtype.kind == "f" else w for w in weights])
        for layer in every_layer(model):
            if isinstance(layer, L.Normalization):
                layer.finalize_state()
        x = x.astype(policy)
        scores = scores_of(model, x)
        chosen = scores.argmax() if chosen is None else chosen
        return scores, gradient_of(model, x, chosen), chosen


def make(out, name, size, classes):
    rng = np.random.default_rng(1)
    size = max(size, LEAST_SIZE.get(name, 0))
    model = build(name, size, classes, "float32", False)
    randomise(model, rng)
    calibrate(model, pictures(rng, 4, size, name.startswith(BYTES_IN)), rng)
    stem, infix = (f"{name}_2", ".k2") if MAJOR == 2 else (name, "")
    model.save(out / f"{stem}{infix}.h5")
    model.save(out / f"{stem}{infix}.keras")
    x = pictures(rng, 1, size, name.startswith(BYTES_IN))[0]
    scores, gradient, chosen = compute(model.get_weights(), x, "float64", None, name, size, classes)
    single, single_gradient, _ = compute(model.get_weights(), x, "float32", chosen, name, size, classes)
    own = np.array([np.abs(single - scores).max() / np.abs(scores).max(), distance(single_gradient, gradient)])
    for what, values in (("input", x.transpose(2, 0, 1)), ("scores", scores), ("gradient", gradient.transpose(2, 0, 1)),
                         ("float32", own)):
        np.save(out / f"{stem}.{what}.npy", np.ascontiguousarray(values, np.float32 if what == "input" else np.float64))
    return f"{model.count_params()} weights, input {size}, Keras's float32 is off by {own[0]:.1e} and {own[1]:.1e}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--size", type=int, default=96, help="height and width of the input")
    parser.add_argument("--classes", type=int, default=20)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.networks:
        if not hasattr(keras.applications, name):
            print(f"{name}: Keras {keras.__version__} has none", flush=True)
            continue
        start = time.monotonic()
        text = make(options.out, name, options.size, options.classes)
        print(f"{name}: {text}, {time.monotonic() - start:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
