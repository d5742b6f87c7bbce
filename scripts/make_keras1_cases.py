#!/usr/bin/env python3
"""Writes tests/golden/keras/keras1_*.zip: files that Keras 1.2.2 saves, and what it computes.

    KERAS_BACKEND=tensorflow python make_keras1_cases.py tests/golden/keras    TensorFlow 1.2, Python 3.6
    KERAS_BACKEND=theano THEANO_FLAGS=optimizer=None python make_keras1_cases.py tests/golden/keras

Two networks, in both orders of the axes ("tf": channels last, "th": channels first), under both back ends: names end in
tf_tensorflow and so on. Scores and gradients are those of the back end itself, since the two differ: a convolution of Theano
turns its kernel by half a circle, and its "same" pads as much at the beginning as at the end. The files differ in the names
of weights alone ("_W:0" and "_W"), by which salmap tells them apart. Theano computes in double precision; the convolutions
of Keras 1 on TensorFlow are in single, which is some 1e-6 off.

NAME.h5, NAME.input.npy (C, H, W), NAME.scores.npy, NAME.gradient.npy: as of make_keras_cases.py."""
import os
import pathlib
import sys
import tempfile
import zipfile
import zlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

if os.environ["KERAS_BACKEND"] == "theano":
    import theano
    import theano.ifelse  # Keras uses it without importing it
import keras
from keras import backend as K
from keras import layers as L
from keras.models import Model, Sequential

assert keras.__version__.startswith("1.")
PRECISION = {"theano": "float64", "tensorflow": "float32"}
MOVES, MOST_MOVED = 1e-6, 1e-3  # as in make_keras_cases.py


def sequential(order, last):
    """Every kind of window, of even and odd sizes and strides."""
    shape = (3, 19, 18) if order == "th" else (19, 18, 3)
    d = {"dim_ordering": order}
    return Sequential([
        L.ZeroPadding2D((1, 2, 0, 1), input_shape=shape, **d),
        L.Convolution2D(6, 3, 4, border_mode="same", subsample=(2, 1), activation="relu", **d),
        L.MaxPooling2D((3, 2), strides=(1, 2), border_mode="same", **d),
        L.Convolution2D(5, 2, 3, border_mode="valid", bias=False, **d),
        L.BatchNormalization(axis=1 if order == "th" else 3),
        L.LeakyReLU(0.2),
        L.Convolution2D(4, 5, 3, border_mode="same", subsample=(2, 2), **d),
        L.Activation("tanh"),
        L.Dropout(0.5), L.Flatten(), L.Dense(6, activation="elu"), L.Dense(4, activation=last)])


def functional(order, last):
    axis, shape = (1, (3, 16, 15)) if order == "th" else (3, (16, 15, 3))
    d = {"dim_ordering": order}
    x = L.Input(shape, dtype=K.floatx())
    a = L.Convolution2D(4, 3, 3, border_mode="same", **d)(x)
    b = L.AtrousConvolution2D(4, 3, 3, atrous_rate=(2, 2), border_mode="valid", **d)(L.ZeroPadding2D((2, 2), **d)(x))
    c = L.Convolution2D(4, 1, 1, activation="sigmoid", **d)(x)
    y = L.merge([L.merge([a, b], mode="sum"), c], mode="mul")
    y = L.merge([y, L.merge([a, c], mode="ave"), L.merge([b, c], mode="max")], mode="concat", concat_axis=axis)
    y = L.UpSampling2D((2, 2), **d)(L.AveragePooling2D((2, 2), **d)(L.Activation("relu")(y)))
    # Theano has no gradient of padded averages.
    mode = "same" if K.backend() == "tensorflow" else "valid"
    y = L.AveragePooling2D((3, 3), strides=(2, 2), border_mode=mode, **d)(L.Convolution2D(5, 3, 3, **d)(y))
    y = L.Dense(3, activation=last)(L.GlobalAveragePooling2D(**d)(y))
    return Model(x, y)


def set_type(name):
    K.set_floatx(name)
    if K.backend() == "theano":
        theano.config.floatX = name


def randomise(name, model):
    for layer in model.layers:
        values = []
        for i, (variable, old) in enumerate(zip(layer.weights, layer.get_weights())):
            rng = np.random.RandomState(zlib.crc32(("%s %s %d" % (name, layer.name, i)).encode()))
            kind = variable.name.split(":")[0].rsplit("_", 1)[1]
            if kind == "W":
                values.append(rng.normal(0, 1.4 / np.sqrt(old.size / (old.shape[-1] if old.ndim == 2 else 5)), old.shape))
            elif kind in ("gamma", "std"):
                values.append(rng.uniform(0.5, 2, old.shape))
            else:
                values.append(rng.normal(0, 0.4, old.shape))
        # What is saved is float32, and so is what is computed with.
        layer.set_weights([v.astype(np.float32) for v in values])


def compute(name, model, order):
    rng = np.random.RandomState(zlib.crc32((name + " input").encode()))
    x = rng.uniform(-2, 2, (1,) + model.input_shape[1:]).astype(np.float32).astype(K.floatx())
    scores = K.function([model.input, K.learning_phase()], [model.output])([x, 0])[0][0]
    chosen = int(scores.argmax())
    slope = K.gradients(K.sum(model.output[:, chosen]), model.input)
    f = K.function([model.input, K.learning_phase()], slope if isinstance(slope, list) else [slope])
    gradient = np.asarray(f([x, 0])[0])[0]
    apart = np.sort(scores)[-2:]
    assert apart[1] - apart[0] > 1e-2 * np.abs(scores).max(), name
    for i in range(4):
        moved = np.asarray(f([x * (1 + MOVES * rng.standard_normal(x.shape)).astype(x.dtype), 0])[0])[0]
        off = np.linalg.norm(moved - gradient) / np.linalg.norm(gradient)
        assert off < MOST_MOVED, "%s: rounding moves the gradient; choose another seed" % name
    picture, gradient = (v if order == "th" else v.transpose(2, 0, 1) for v in (x[0], gradient))
    return picture.astype(np.float32), scores.astype(np.float64), gradient.astype(np.float32)


def main():
    out = pathlib.Path(sys.argv[1])
    for build in (sequential, functional):
        for order in ("tf", "th"):
            name = "keras1_%s_%s_%s" % (build.__name__, order, K.backend())
            # What an unmarked layer of a file means is what the user has set: th for files of th.
            K.set_image_dim_ordering(order)
            set_type("float32")
            model = build(order, "softmax")
            randomise(name, model)
            with tempfile.TemporaryDirectory() as work:
                path = str(pathlib.Path(work) / "model.h5")
                model.save(path)
                files = {name + ".h5": pathlib.Path(path).read_bytes()}
                weights = model.get_weights()
                set_type(PRECISION[K.backend()])
                model = build(order, "linear")
                model.set_weights([w.astype(K.floatx()) for w in weights])
                for what, values in zip(("input", "scores", "gradient"), compute(name, model, order)):
                    array = str(pathlib.Path(work) / what)
                    np.save(array, np.ascontiguousarray(values))
                    files["%s.%s.npy" % (name, what)] = pathlib.Path(array + ".npy").read_bytes()
            with zipfile.ZipFile(str(out / (name + ".zip")), "w", zipfile.ZIP_DEFLATED) as packed:
                for file in sorted(files):
                    packed.writestr(zipfile.ZipInfo(file), files[file], zipfile.ZIP_DEFLATED)
            print(name, os.path.getsize(str(out / (name + ".zip"))), flush=True)


if __name__ == "__main__":
    main()
