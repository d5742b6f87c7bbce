#!/usr/bin/env python3
"""Checks salmap on Keras files of whole networks with random weights: the ConvNets of keras.applications, and those that papers on
ageing fish used. Nothing is downloaded. For each network it

  - builds it with Keras and saves it as NAME.keras and NAME.h5 (and with --legacy as Keras 2 saves it)
  - writes a picture, the scores before the last activation and the input gradient of the largest, in double precision, and
    how far Keras's own single precision is from them
  - has test_keras compare what salmap computes, and prints its numbers as a row of a table

    python check_keras_applications.py --program BUILD/tests/golden/test_keras [--salmap BUILD/salmap] [NETWORK ...]

Run it with the Python that keras_environment.sh makes. Ends with 1 where a network fails."""
import argparse
import functools
import os
import pathlib
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

import absl.logging
import numpy as np
import tensorflow as tf

absl.logging.set_verbosity(absl.logging.ERROR)

ALL = ("VGG16", "VGG19", "ResNet50", "ResNet101", "ResNet152", "ResNet50V2", "ResNet101V2", "ResNet152V2", "InceptionV3",
       "InceptionResNetV2", "Xception", "MobileNet", "MobileNetV2", "MobileNetV3Small", "MobileNetV3Large", "DenseNet121",
       "DenseNet169", "DenseNet201", "NASNetMobile", "EfficientNetB0", "EfficientNetB1", "EfficientNetB2", "EfficientNetB3",
       "EfficientNetB4", "EfficientNetV2B0", "EfficientNetV2B1", "EfficientNetV2B2", "EfficientNetV2B3", "EfficientNetV2S",
       "RegNetX002", "RegNetY002", "ConvNeXtTiny", "ConvNeXtSmall")
SIZE, CLASSES = 96, 20
LEAST_SIZE = {"InceptionV3": 75, "InceptionResNetV2": 75, "Xception": 71}
BYTES_IN = ("MobileNetV3", "EfficientNet", "RegNet", "ConvNeXt")  # they rescale inside
PRESETS = {"VGG": "caffe", "ResNet": "caffe", "DenseNet": "imagenet"}  # what preprocess_input does; others: tf or raw
SHIFT = 1.0  # mean bias of batch norms, without which random deep networks amplify any rounding
SCORES = 1e-4  # relative
KINKED, KINKED_COSINE = 1e-2, 0.9999  # of the gradient, where it is not continuous


# ---- Networks ---------------------------------------------------------------------------------------------------------------

def application(keras, name, logits):
    size = max(SIZE, LEAST_SIZE.get(name, 0))
    return getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3), classes=CLASSES,
                                             classifier_activation=None if logits else "softmax")


def regression(keras, backbone, side, channels, logits):
    """A backbone without its head, pooled, and one linear output: the age."""
    del logits
    base = getattr(keras.applications, backbone)(weights=None, include_top=False, input_shape=(side, side, channels))
    x = keras.layers.GlobalAveragePooling2D()(base.output)
    return keras.Model(base.input, keras.layers.Dense(1, name="age")(keras.layers.Dropout(0.4)(x)))


def classifier(keras, backbone, side, logits):
    """Transfer learning as most tutorials have it: the backbone as a layer, dense layers on top, softmax."""
    layers = keras.layers
    base = getattr(keras.applications, backbone)(weights=None, include_top=False, input_shape=(side, side, 3))
    return keras.Sequential([keras.Input((side, side, 3)), base, layers.Flatten(), layers.Dense(256, activation="relu"),
                             layers.Dropout(0.5), layers.Dense(9, activation=None if logits else "softmax", name="dense_12")])


FISH = {
    "fish_inception_v3_400": functools.partial(regression, backbone="InceptionV3", side=400, channels=3),
    "fish_efficientnet_b4_380": functools.partial(regression, backbone="EfficientNetB4", side=380, channels=3),
    "fish_efficientnet_9_channels": functools.partial(regression, backbone="EfficientNetB0", side=224, channels=9),
    "fish_vgg16_dense_12": functools.partial(classifier, backbone="VGG16", side=224),
}


def takes_bytes(name):
    return name.startswith(BYTES_IN) or "efficientnet" in name


def build(keras, name, policy, logits):
    keras.backend.clear_session()
    keras.utils.set_random_seed(1)
    keras.backend.set_floatx(policy)
    keras.mixed_precision.set_global_policy(policy)
    maker = FISH.get(name) or functools.partial(application, name=name)
    return maker(keras=keras, logits=logits)


def preset_of(name, keras):
    """What salmap should propose."""
    del keras
    if name in FISH:
        return {"fish_inception_v3_400": "tf", "fish_vgg16_dense_12": "caffe"}.get(name, "raw")
    if takes_bytes(name):
        return "raw"
    return "tf" if name.endswith("V2") else next((p for n, p in PRESETS.items() if name.startswith(n)), "tf")


# ---- Weights ----------------------------------------------------------------------------------------------------------------

def every_layer(model):
    for layer in model.layers:
        yield from every_layer(layer) if hasattr(layer, "layers") else [layer]


def is_of(layer, *classes):
    return type(layer).__name__ in classes


def randomise(model, rng):
    """Kernels stay as they are made, but for networks without norms, whose signal would fade: He's scale for Glorot's."""
    normed = any(is_of(layer, "BatchNormalization", "LayerNormalization") for layer in every_layer(model))
    for layer in every_layer(model):
        values = layer.get_weights()
        if not values or is_of(layer, "Normalization"):
            continue
        for i, variable in enumerate(layer.weights):
            kind = variable.name.split("/")[-1].split(":")[0]
            shape = values[i].shape
            if kind == "bias":
                values[i] = rng.normal(0, 0.1, shape)
            elif kind == "kernel" and not normed:
                values[i] = values[i] * np.sqrt(2)
            elif kind == "beta":
                values[i] = rng.normal(SHIFT if is_of(layer, "BatchNormalization") else 0, 0.1, shape)
            elif kind == "gamma" and is_of(layer, "BatchNormalization", "LayerNormalization"):
                values[i] = rng.uniform(0.7, 1.3, shape)
            elif kind == "gamma" or is_of(layer, "LayerScale"):
                values[i] = rng.uniform(0.2, 0.6, shape)
        layer.set_weights([v.astype(np.float32) for v in values])


def calibrate(model, batch, rng):
    """Statistics of the batch norms: of some pictures, moved a little."""
    norms = [layer for layer in every_layer(model) if is_of(layer, "BatchNormalization")]
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


def pictures(rng, count, shape, bytes_in):
    """Noise with the falling spectrum of photographs."""
    size, channels = shape[0], shape[2]
    falloff = 1 / np.maximum(np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :]), 1 / size)
    spectrum = np.fft.rfft2(rng.standard_normal((count, size, size, channels)), axes=(1, 2)) * falloff[None, :, :, None]
    x = np.fft.irfft2(spectrum, s=(size, size), axes=(1, 2))
    x = (x - x.mean((1, 2), keepdims=True)) / x.std((1, 2), keepdims=True)
    return (127.5 + 50 * x if bytes_in else x).astype(np.float32)


# ---- References -------------------------------------------------------------------------------------------------------------

def scores_and_gradient(model, x, chosen=None):
    v = tf.constant(x[None])
    with tf.GradientTape() as tape:
        tape.watch(v)
        scores = model(v, training=False)
        chosen = int(tf.argmax(scores[0])) if chosen is None else chosen
        score = scores[0, chosen]
    return scores.numpy()[0].astype(np.float64), tape.gradient(score, v).numpy()[0], chosen


def with_weights(keras, name, weights, policy):
    """The network before its last activation, in another precision."""
    model = build(keras, name, policy, True)
    model.set_weights([w.astype(policy) if w.dtype.kind == "f" else w for w in weights])
    for layer in every_layer(model):
        if is_of(layer, "Normalization"):
            layer.finalize_state()
    return model


def assert_double(model, x, chosen, gradient, rng):
    """A step that single precision would drown in its rounding: somewhere a layer may compute in that."""
    way, step = rng.standard_normal(x.shape), 1e-9 * np.abs(x).max()
    ahead, behind = (scores_and_gradient(model, x + s * step * way, chosen)[0][chosen] for s in (1, -1))
    slope, expected = (ahead - behind) / (2 * step), (way * gradient).sum()
    assert abs(slope - expected) < 1e-3 * np.linalg.norm(gradient), f"the slope is {slope}, not {expected}"


def distance(got, want):
    return np.linalg.norm(got - want) / np.linalg.norm(want)


def make_files(keras, folder, name):
    """Files and references of one network; a text about it."""
    rng = np.random.default_rng(1)
    model = build(keras, name, "float32", False)
    shape = model.input_shape[1:]
    randomise(model, rng)
    calibrate(model, pictures(rng, 4, shape, takes_bytes(name)), rng)
    model.save(folder / f"{name}.h5")
    model.save(folder / f"{name}.keras")
    weights = model.get_weights()
    x = pictures(rng, 1, shape, takes_bytes(name))[0]
    single_model = with_weights(keras, name, weights, "float32")
    kinked = any(is_of(layer, "ReLU", "MaxPooling2D") or getattr(layer, "activation", None) in (keras.activations.relu, getattr(keras.activations, "relu6", 0))
                 for layer in every_layer(single_model))
    double = with_weights(keras, name, weights, "float64")
    scores, gradient, chosen = scores_and_gradient(double, x.astype(np.float64))
    assert np.isfinite(scores).all() and np.isfinite(gradient).all() and np.abs(gradient).max() > 0
    assert_double(double, x.astype(np.float64), chosen, gradient, rng)
    single, single_gradient, _ = scores_and_gradient(single_model, x, chosen)
    own = [np.abs(single - scores).max() / np.abs(scores).max(), distance(single_gradient, gradient), kinked]
    for what, values in (("input", x.transpose(2, 0, 1)), ("scores", scores), ("gradient", gradient.transpose(2, 0, 1)),
                         ("float32", np.array(own, np.float64))):
        np.save(folder / f"{name}.{what}.npy", np.ascontiguousarray(values, np.float32 if what == "input" else np.float64))
    return {"weights": model.count_params(), "input": "x".join(str(s) for s in shape), "own": own}



# ---- Checking ---------------------------------------------------------------------------------------------------------------

def compare(program, folder):
    """Runs test_keras; its measured numbers by file."""
    table = folder / "measured.txt"
    done = subprocess.run([program, "--jobs", "1"], env={**os.environ, "SAL_KERAS": str(folder), "SAL_KERAS_TABLE": str(table)},
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        print(done.stdout, flush=True)
    lines = [line.split() for line in table.read_text().splitlines()] if table.exists() else []
    return done.returncode == 0, {line[0]: [float(v) for v in line[1:]] for line in lines}


def explain(salmap, folder, name):
    """The program on the file, from a picture to a map."""
    x = np.load(folder / f"{name}.input.npy")
    np.save(folder / "picture.npy", x.astype(np.float32).transpose(1, 2, 0))
    proposed = preset_of(name, None)
    for ending in (".keras", ".h5"):
        model = folder / f"{name}{ending}"
        said = subprocess.run([salmap, "inspect", model, "--json"], stdout=subprocess.PIPE, text=True, check=True).stdout
        assert f'"preset": "{proposed}"' in said, f"{name}{ending}: inspect does not propose {proposed}"
        done = subprocess.run([salmap, "explain", model, folder / "picture.npy", "-o", folder / "maps", "--preset", "raw", "--json"],
                              stdout=subprocess.PIPE, text=True, check=False)
        assert done.returncode == 0 and '"flat": false' in done.stdout, f"{name}{ending}: {done.stdout}"
        values = np.load(folder / "maps/picture.npy")
        assert values.shape == x.shape[1:] and values.min() == 0 and 0.9 < values.max() <= 1, f"{name}{ending}: {values.max()}"


def check(keras, options, name):
    start = time.monotonic()
    with tempfile.TemporaryDirectory(dir=options.work) as work:
        folder = pathlib.Path(work)
        about = make_files(keras, folder, name)
        passed, measured = compare(options.program, folder)
        if passed and options.salmap:
            explain(options.salmap, folder, name)
        size = (folder / f"{name}.keras").stat().st_size / 2**20
    worst = [max(v[i] for v in measured.values()) if measured else float("nan") for i in range(2)]
    cosine = min((v[2] for v in measured.values()), default=float("nan"))
    passed = passed and len(measured) == 2
    print(f"| {name} | {about['weights'] / 1e6:.1f} M, {size:.0f} MiB | {about['input']} | {worst[0]:.1e} | {worst[1]:.1e} | "
          f"{about['own'][1]:.1e} | {1 - cosine:.0e} |{'' if passed else ' FAILED'}", flush=True)
    print(f"{name}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    return passed


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("networks", nargs="*", default=[*ALL, *FISH])
    parser.add_argument("--program", required=True, help="test_keras")
    parser.add_argument("--salmap", help="also inspect and explain with this program")
    parser.add_argument("--work", help="folder for the files while they are needed")
    parser.add_argument("--legacy", action="store_true", help="Keras 2")
    options = parser.parse_args()
    if options.legacy:
        import tf_keras as keras
    else:
        import keras
    print(f"Keras {keras.__version__}, seen in salmap:\n\n| network | weights | input | scores | gradient | Keras float32 | 1 - cosine |")
    print("|---|---|---|---|---|---|---|", flush=True)
    failed = 0
    for name in options.networks:
        if name not in FISH and not hasattr(keras.applications, name):
            print(f"{name}: Keras {keras.__version__} has none", file=sys.stderr)
            continue
        try:
            failed += not check(keras, options, name)
        except AssertionError as error:
            failed += 1
            print(f"FAILED {name}: {error}", flush=True)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
