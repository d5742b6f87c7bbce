"""Large Keras networks with random weights as files, and what Keras computes with them: for check_keras_applications.py and
make_fish_networks.py. Beside NAME.h5 and NAME.keras lie

    NAME.input.npy       (C, H, W) float32: one picture
    NAME.scores.npy      (outputs) float64: before the last softmax
    NAME.gradient.npy    (C, H, W) float64: of the largest score
    NAME.float32.npy     (3) float64: how far Keras's own scores and gradient in single precision are from those, and whether
                         the network has ReLUs or max pools: its gradient is not continuous, and two correct programs may differ"""
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ["KERAS_BACKEND"] = "tensorflow"

import absl.logging
import numpy as np
import tensorflow as tf

absl.logging.set_verbosity(absl.logging.ERROR)

SHIFT = 1.0  # mean bias of batch norms, without which random deep networks amplify any rounding
KINKED = ("relu", "relu6", "hard_sigmoid", "hard_silu", "hard_swish")
STEPS = (1e-9, 1e-10, 1e-10, 1e-11)  # of the input; one that crosses a ReLU's kink says nothing
PICTURES, CONDITION = 6, 2.5e-3  # the first of so many at which Keras's own single precision is that near, or the nearest
SLOPE = 2e-4  # of the gradient's norm


class Network:
    """build(keras, logits): the network, with or without its last activation. pictures(rng, count, shape): inputs."""

    def __init__(self, build, pictures):
        self.build, self.pictures = build, pictures


def build(keras, network, policy, logits):
    keras.backend.clear_session()
    keras.utils.set_random_seed(1)
    keras.backend.set_floatx(policy)
    keras.mixed_precision.set_global_policy(policy)
    return network.build(keras, logits)


def noise(rng, count, shape, bytes_in):
    """With the falling spectrum of photographs."""
    size, channels = shape[0], shape[2]
    falloff = 1 / np.maximum(np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :]), 1 / size)
    spectrum = np.fft.rfft2(rng.standard_normal((count, size, size, channels)), axes=(1, 2)) * falloff[None, :, :, None]
    x = np.fft.irfft2(spectrum, s=(size, size), axes=(1, 2))
    x = (x - x.mean((1, 2), keepdims=True)) / x.std((1, 2), keepdims=True)
    return (127.5 + 50 * x if bytes_in else x).astype(np.float32)


# ---- Weights --------------------------------------------------------------------------------------------------------

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


# ---- References -----------------------------------------------------------------------------------------------------

def scores_and_gradient(model, x, chosen=None):
    v = tf.constant(x[None])
    with tf.GradientTape() as tape:
        tape.watch(v)
        scores = model(v, training=False)
        chosen = int(tf.argmax(scores[0])) if chosen is None else chosen
        score = scores[0, chosen]
    return scores.numpy()[0], tape.gradient(score, v).numpy()[0], chosen


def with_weights(keras, network, weights, policy):
    """The network before its last activation, in another precision."""
    model = build(keras, network, policy, True)
    model.set_weights([w.astype(policy) if w.dtype.kind == "f" else w for w in weights])
    for layer in every_layer(model):
        if is_of(layer, "Normalization"):
            layer.finalize_state()
    return model


def assert_computes_in_double(model, shape):
    """Whatever the policy says, layers may turn doubles to floats inside: no step forward or backward gives any."""
    def both(v):
        with tf.GradientTape() as tape:
            tape.watch(v)
            score = model(v, training=False)[0, 0]
        return tape.gradient(score, v)
    graph = tf.function(both).get_concrete_function(tf.TensorSpec((1, *shape), tf.float64)).graph
    low = {o.name for o in graph.get_operations() if o.type != "Const" and any(t.dtype.is_floating and t.dtype != tf.float64 for t in o.outputs)}
    assert not low, f"computed in single precision: {', '.join(sorted(low)[:5])}"


def assert_is_the_slope(model, x, chosen, gradient, rng):
    """By differences, so small that only double precision can tell them."""
    off = []
    for small in STEPS:
        way, step = rng.standard_normal(x.shape), small * np.abs(x).max()
        ahead, behind = (model((x + s * step * way)[None], training=False).numpy()[0, chosen] for s in (1, -1))
        off.append(abs((ahead - behind) / (2 * step) - (way * gradient).sum()) / np.linalg.norm(gradient))
        if off[-1] < SLOPE:
            return
    raise AssertionError(f"differences are off by {off} of the gradient")


def is_kinked(layer):
    return is_of(layer, "ReLU", "MaxPooling2D") or getattr(getattr(layer, "activation", None), "__name__", "") in KINKED


def distance(got, want):
    return np.linalg.norm(got - want) / np.linalg.norm(want)


def choose(network, model, double, rng):
    """A picture where a ReLU's kink is not so near that rounding crosses it: how many were passed over, and what Keras says there.
    What salmap computes has no part in it."""
    tried = []
    while len(tried) < PICTURES:
        x = network.pictures(rng, 1, model.input_shape[1:])[0]
        scores, gradient, chosen = scores_and_gradient(double, x.astype(np.float64))
        single, single_gradient, _ = scores_and_gradient(model, x, chosen)
        own = np.abs(single - scores).max() / np.abs(scores).max(), distance(single_gradient, gradient)
        tried.append((x, scores, gradient, chosen, own))
        if own[1] < CONDITION:
            break
    return len(tried) - 1, min(tried, key=lambda t: t[-1][1])


def write(keras, folder, name, network):
    """Files and references of one network; a text about it."""
    rng = np.random.default_rng(1)
    model = build(keras, network, "float32", False)
    shape = model.input_shape[1:]
    randomise(model, rng)
    calibrate(model, network.pictures(rng, 4, shape), rng)
    model.save(folder / f"{name}.h5")
    model.save(folder / f"{name}.keras")
    weights = model.get_weights()
    kinked = any(is_kinked(layer) for layer in every_layer(model))
    # The last layer computes what it is told to: no second network for single precision.
    if getattr(model.layers[-1], "activation", None) is keras.activations.softmax:
        model.layers[-1].activation = keras.activations.linear
    double = with_weights(keras, network, weights, "float64")
    assert_computes_in_double(double, shape)
    passed_over, (x, scores, gradient, chosen, own) = choose(network, model, double, rng)
    assert scores.dtype == gradient.dtype == np.float64
    assert np.isfinite(scores).all() and np.isfinite(gradient).all() and np.abs(gradient).max() > 0, "no finite gradient"
    assert_is_the_slope(double, x.astype(np.float64), chosen, gradient, rng)
    own = [*own, kinked]
    for what, values in (("input", x.transpose(2, 0, 1)), ("scores", scores), ("gradient", gradient.transpose(2, 0, 1)),
                         ("float32", own)):
        np.save(folder / f"{name}.{what}.npy", np.ascontiguousarray(values, np.float32 if what == "input" else np.float64))
    return {"weights": model.count_params(), "input": "×".join(str(s) for s in shape), "own": own, "kinked": kinked, "passed_over": passed_over}
