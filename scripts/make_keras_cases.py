#!/usr/bin/env python3
"""Writes the small Keras files of tests/golden/keras, of the networks of keras_cases.py.

    KERAS_BACKEND=jax python make_keras_cases.py tests/golden/keras     with Keras 3 and JAX
    python make_keras_cases.py tests/golden/keras                       with TensorFlow 2.15, whose Keras is 2.15
    KERAS_BACKEND=jax python make_keras_cases.py tests/golden/keras --flat    flat_pictures.zip alone, with Keras 3 and JAX

OUT/NAME.zip holds the files of a case; the second run adds those of Keras 2 to those of the first:

    NAME.keras, NAME.h5            as Keras 3 saves the model
    NAME.k2.keras, NAME.k2.h5      the same network with the same weights, as Keras 2 saves it
    NAME.weights.h5, NAME.json     weights without a model, and its architecture
    NAME.input.npy                 (C, H, W) float32: one picture
    NAME.scores.npy                (outputs) float64: before the softmax or sigmoid that the network ends in
    NAME.gradient.npy              (C, H, W) float32: of the largest score, from double precision
    NAME.options                   what the reader is told, where that is more than the file's name

OUT/flat_pictures.zip holds, of the cases with layers MaxPooling2D and GlobalMaxPooling2D, what Keras 3 computes for pictures
that are flat in places, where a window's elements are equal and the first of them has the gradient, or all elements of a map
that are equal to its largest share it; and what keras1_networks.py computes for the files by Keras 1 that have max pools:

    NAME.flat_input.npy            (3, C, H, W) float32
    NAME.flat_scores.npy           (3, outputs) float64
    NAME.flat_gradient.npy         (3, C, H, W) float32

Weights come from random numbers that a layer's name chooses, so that both versions have the same ones. A gradient
that moves where rounding moves the input is refused: such a case needs another seed.
Input, scores and gradients are the same at every run; Keras's archives carry the time of saving."""
import argparse
import collections
import contextlib
import os
import pathlib
import sys
import tempfile
import types
import warnings
import zipfile
import zlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import absl.logging
import h5py
import numpy as np
import keras

from flat_pictures import flat_in_places, moved_alike
from keras_cases import CASES, MAJOR, Building

warnings.filterwarnings("ignore")
absl.logging.set_verbosity(absl.logging.ERROR)

if MAJOR == 2:
    import tensorflow as tf
    tf.get_logger().setLevel("ERROR")
else:
    import jax
    import keras1_networks
    from keras.src.backend.common import dtypes
    # Without it Keras on JAX turns doubles to floats inside tanh, batch norms and others, whatever the policy.
    dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"

MOVES = 1e-6       # of the input, relative: some times what float32 rounds
MOST_MOVED = 1e-3  # of the gradient, relative
TIED = 2.0**-30    # of flat pictures: what max pools choose from is rounded to multiples of it
FLAT, FLAT_TRIED = 3, 24
OFF_KERAS1 = 1e-5  # keras1_networks.py and what Keras 1 computed, in single precision on TensorFlow
AGREEMENT = 1e-6   # of Keras 2 with the references that Keras 3 wrote


def every_layer(model):
    """Each once, whatever shares it, by its name and its number among those of that name."""
    layers, seen, namesakes = {}, set(), collections.Counter()

    def visit(part):
        for layer in part.layers:
            if hasattr(layer, "layers"):
                visit(layer)
            elif id(layer) not in seen:
                seen.add(id(layer))
                namesakes[layer.name] += 1
                layers[layer.name, namesakes[layer.name]] = layer
    visit(model)
    return layers


def randomise(name, seed, model):
    """Nothing keeps its initial value: scales of 1 and shifts of 0 are as good as absent."""
    for (_, number), layer in every_layer(model).items():
        values = layer.get_weights()
        if not values or isinstance(layer, keras.layers.Normalization):
            continue
        again = f" {number}" if number > 1 else ""
        for i, (variable, old) in enumerate(zip(layer.weights, values)):
            rng = np.random.default_rng(zlib.crc32(f"{name} {seed} {layer.name} {i}{again}".encode()))
            kind = variable.name.split("/")[-1].split(":")[0]
            if kind.endswith("kernel"):
                # Keras 2 calls it depthwise_kernel, Keras 3 kernel, and both depthwise_kernel where it is separable.
                depthwise = isinstance(layer, keras.layers.DepthwiseConv2D) or kind == "depthwise_kernel"
                fan_in = np.prod(old.shape[:2] if depthwise else old.shape[:-1])
                new = rng.normal(0, 1.4 / np.sqrt(fan_in), old.shape)
            elif kind in ("gamma", "moving_variance"):
                new = rng.uniform(0.5, 2, old.shape)
            elif kind == "alpha":
                new = rng.uniform(0.05, 0.5, old.shape)
            else:
                assert kind in ("bias", "beta", "moving_mean"), kind
                new = rng.normal(0, 0.4, old.shape)
            values[i] = new.astype(old.dtype)
        layer.set_weights(values)


def construct(case, policy, reference):
    keras.backend.clear_session()
    keras.backend.set_floatx("float64" if policy == "float64" else "float32")
    keras.mixed_precision.set_global_policy(policy)
    Building.reference, Building.shape = reference, case.shape
    return case.build()


def write_theano(model, path):
    """As Keras 2 saves it, but for the kernels and the name of what computed."""
    for layer in model.layers:
        values = layer.get_weights()
        layer.set_weights([v[::-1, ::-1] if v.ndim == 4 else v for v in values])
    model.save(path)
    with h5py.File(path, "a") as f:
        f.attrs["backend"] = b"theano"
    for layer in model.layers:
        values = layer.get_weights()
        layer.set_weights([v[::-1, ::-1] if v.ndim == 4 else v for v in values])


def write_model(model, folder, name, how):
    """Plain files; see pack."""
    infix = ".k2" if MAJOR == 2 else ""
    if how == "theano":
        write_theano(model, folder / f"{name}.k2.h5")
    elif how == "weights":
        (folder / f"{name}.json").write_text(model.to_json())
        with tempfile.TemporaryDirectory() as work:
            # Keras 2 writes its new layout where a name ends in .weights.h5, and the old one otherwise.
            path = pathlib.Path(work) / ("w.h5" if MAJOR == 2 else "w.weights.h5")
            model.save_weights(path)
            (folder / f"{name}.weights.h5").write_bytes(path.read_bytes())
    else:
        model.save(folder / f"{name}{infix}.{how}")


def first_output(values):
    return values[0] if isinstance(values, (list, tuple)) else values


def scores_of_three(model, x):
    return np.asarray(first_output(model(x[None], training=False))[0])


def gradient_of_three(model, x, chosen):
    return np.asarray(jax.grad(lambda v: first_output(model(v[None], training=False))[0, chosen])(x))


def scores_of_two(model, x):
    return first_output(model(tf.constant(x[None]), training=False)).numpy()[0]


def gradient_of_two(model, x, chosen):
    v = tf.constant(x[None])
    with tf.GradientTape() as tape:
        tape.watch(v)
        score = first_output(model(v, training=False))[0, chosen]
    return tape.gradient(score, v).numpy()[0]


scores_of, gradient_of = (scores_of_two, gradient_of_two) if MAJOR == 2 else (scores_of_three, gradient_of_three)


def distance(got, want):
    return np.linalg.norm(got - want) / np.linalg.norm(want)


def in_double(case, weights):
    model = construct(case, "float64", True)
    for key, layer in every_layer(model).items():
        layer.set_weights([v.astype(np.float64) if v.dtype.kind not in "iu" else v for v in weights.get(key, [])])
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()
    return model


def too_close(scores):
    apart = np.sort(scores)[-2:]
    return len(scores) > 1 and not apart[1] - apart[0] > 1e-2 * np.abs(scores).max()


def compute(name, case, weights):
    """Input as the library wants it, scores and gradient in double precision."""
    model = in_double(case, weights)
    rng = np.random.default_rng(zlib.crc32(f"{name} {case.seed} input".encode()))
    x = rng.uniform(*case.values, case.shape).astype(np.float32).astype(np.float64)
    scores = scores_of(model, x)
    chosen = scores.argmax()
    gradient = gradient_of(model, x, chosen)
    assert np.isfinite(scores).all() and np.isfinite(gradient).all() and np.abs(gradient).max() > 0, name
    assert not too_close(scores), f"{name}: two scores are close"
    for i in range(4):
        moved = gradient_of(model, x * (1 + MOVES * rng.standard_normal(x.shape)), chosen)
        assert distance(moved, gradient) < MOST_MOVED, f"{name}: rounding moves the gradient; choose another seed"
    if case.channels_first:
        return x, scores, gradient
    return x.transpose(2, 0, 1), scores, gradient.transpose(2, 0, 1)


def tied(x):
    """Matrix products may round equal pixels apart, by their place in the matrix. The gradient passes."""
    return x + jax.lax.stop_gradient(jax.numpy.round(x / TIED) * TIED - x)


@contextlib.contextmanager
def ties_kept():
    """Max pools find equal what is equal in exact arithmetic."""
    classes = keras.layers.MaxPooling2D, keras.layers.GlobalMaxPooling2D
    calls = [c.call for c in classes]
    for c, call in zip(classes, calls):
        c.call = lambda layer, x, call=call: call(layer, tied(x))
    try:
        yield
    finally:
        for c, call in zip(classes, calls):
            c.call = call


def steady(model, rng, case, picture):
    """Input, scores and gradient; None where two scores are close or moving the picture moves the gradient."""
    turned = (2, 0, 1) if case.channels_first else (0, 1, 2)
    x = picture.transpose(turned)
    scores = scores_of(model, x)
    chosen = scores.argmax()
    gradient = gradient_of(model, x, chosen)
    assert np.isfinite(scores).all() and np.isfinite(gradient).all()
    moved = (gradient_of(model, moved_alike(rng, picture, MOVES).transpose(turned), chosen) for _ in range(4))
    if too_close(scores) or not np.abs(gradient).max() > 0 or any(not distance(m, gradient) < MOST_MOVED for m in moved):
        return None
    first = (0, 1, 2) if case.channels_first else (2, 0, 1)
    return x.transpose(first), scores, gradient.transpose(first)


def find_flat(name, model, case):
    """(input, scores, gradient) of some pictures."""
    rng = np.random.default_rng(zlib.crc32(f"{name} flat".encode()))
    shape = (*case.shape[1:], case.shape[0]) if case.channels_first else case.shape
    least, most = case.values
    found = []
    for _ in range(FLAT_TRIED):
        for x in flat_in_places(rng, rng.uniform(0, 255, (3, *shape))):
            picture = (least + (most - least) * x / 255).astype(np.float32).astype(np.float64)
            found += [r for r in [steady(model, rng, case, picture)] if r and len(found) < FLAT]
        if len(found) == FLAT:
            return [np.stack(values) for values in zip(*found)]
    raise AssertionError(f"{name}: {len(found)} flat pictures are steady")


def compute_flat(name, case):
    with double_precision(case.policy == "float64"):
        model = construct(case, case.policy, False)
        randomise(name, case.seed, model)
        weights = {key: layer.get_weights() for key, layer in every_layer(model).items()}
    with double_precision(), ties_kept():
        return find_flat(name, in_double(case, weights), case)


def compute_flat_by_keras1(name, work):
    """Of a file by Keras 1 in work, whose own picture's scores and gradient are compared first."""
    case = types.SimpleNamespace(shape=(3, 19, 18), channels_first=True, values=(-2, 2))
    x, scores, gradient = (np.asarray(v, np.float64) for v in read_back(work, name))
    with double_precision():
        model = keras1_networks.Network(work / f"{name}.h5", tied)
        off = max(distance(scores_of(model, x), scores), distance(gradient_of(model, x, scores.argmax()), gradient))
        assert off < OFF_KERAS1, f"{name}: {off} off what Keras 1 computed"
        return find_flat(name, model, case)


def save_flat(folder, name, results):
    for what, values in zip(("input", "scores", "gradient"), results):
        np.save(folder / f"{name}.flat_{what}.npy", np.ascontiguousarray(values, np.float64 if what == "scores" else np.float32))
    print(f"{name}: {len(results[0])} flat pictures", flush=True)


def has_max_pools(case):
    kinds = keras.layers.MaxPooling2D, keras.layers.GlobalMaxPooling2D
    with double_precision(False):
        return any(isinstance(layer, kinds) for layer in every_layer(construct(case, "float32", False)).values())


def make_flat(out):
    with tempfile.TemporaryDirectory() as work, tempfile.TemporaryDirectory() as unpacked:
        work, unpacked = pathlib.Path(work), pathlib.Path(unpacked)
        for name, case in CASES.items():
            if 3 in case.versions and not case.refused and has_max_pools(case):
                save_flat(work, name, compute_flat(name, case))
        for name in keras1_networks.NAMES:
            with zipfile.ZipFile(out / f"{name}.zip") as packed:
                packed.extractall(unpacked)
            save_flat(work, name, compute_flat_by_keras1(name, unpacked))
        pack(out, "flat_pictures", work)


def read_back(folder, name):
    return [np.load(folder / f"{name}.{what}.npy") for what in ("input", "scores", "gradient")]


def double_precision(on=True):
    """Without it JAX computes in single precision, whatever the types of a model."""
    return contextlib.nullcontext() if MAJOR == 2 else jax.enable_x64(on)


def make(folder, name, case):
    with double_precision(case.policy == "float64"):
        model = construct(case, case.policy, False)
        if not case.refused:
            randomise(name, case.seed, model)
        for how in case.two if MAJOR == 2 else case.three:
            write_model(model, folder, name, how)
        weights = {key: layer.get_weights() for key, layer in every_layer(model).items()}
    if case.refused or MAJOR == 2 and not case.runs:
        return "not computed"
    with double_precision():
        results = compute(name, case, weights)
    if MAJOR == 2 and 3 in case.versions:
        x, scores, gradient = read_back(folder, name)
        off = max(distance(results[0], x), distance(results[1], scores), distance(results[2], gradient))
        assert off < AGREEMENT, f"{name}: Keras 2 is off by {off} from what Keras 3 computes"
        return f"agrees with Keras 3 to {off:.1e}"
    for what, values in zip(("input", "scores", "gradient"), results):
        np.save(folder / f"{name}.{what}.npy", np.ascontiguousarray(values, np.float64 if what == "scores" else np.float32))
    return "scores " + " ".join(f"{v:.4g}" for v in results[1])


def write_options(folder, name, case):
    if case.options:
        (folder / f"{name}.options").write_text("".join(line + "\n" for line in case.options))


def pack(out, name, work):
    """Adds the files to the case's archive. HDF5 files are mostly empty space: packed they take a fifth."""
    path = out / f"{name}.zip"
    files = {f.name: f.read_bytes() for f in work.iterdir()}
    if MAJOR == 2 and path.exists():
        with zipfile.ZipFile(path) as old:
            files = {**{i: old.read(i) for i in old.namelist()}, **files}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as new:
        for file in sorted(files):
            new.writestr(zipfile.ZipInfo(file), files[file], zipfile.ZIP_DEFLATED, 9)


def make_packed(out, name, case):
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        if MAJOR == 2 and 3 in case.versions and case.runs and not case.refused:
            with zipfile.ZipFile(out / f"{name}.zip") as old:
                old.extractall(work, [i for i in old.namelist() if i.endswith(".npy")])
        text = make(work, name, case)
        write_options(work, name, case)
        pack(out, name, work)
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--only", nargs="+", default=[])
    parser.add_argument("--flavour", type=int, choices=(2, 3), help="refuse to run with another version of Keras")
    parser.add_argument("--flat", action="store_true", help="write flat_pictures.zip alone, with Keras 3")
    options = parser.parse_args()
    if options.flavour not in (None, MAJOR):
        sys.exit(f"this Python has Keras {keras.__version__}")
    if MAJOR == 3 and keras.backend.backend() != "jax":
        sys.exit("set KERAS_BACKEND=jax")
    options.out.mkdir(parents=True, exist_ok=True)
    if options.flat:
        if MAJOR == 2:
            sys.exit("--flat wants Keras 3")
        make_flat(options.out)
        return
    failed = 0
    for name, case in CASES.items():
        if MAJOR not in case.versions or options.only and name not in options.only:
            continue
        try:
            print(f"{name}: {make_packed(options.out, name, case)}", flush=True)
        except AssertionError as error:
            failed += 1
            print(f"FAILED {error}", flush=True)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
