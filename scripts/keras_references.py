"""Large Keras networks with random weights as files, and what Keras computes with them: for check_keras_applications.py and
make_fish_networks.py. Beside NAME.h5 and NAME.keras lie

    NAME.input.npy       (C, H, W) float32: one picture
    NAME.scores.npy      (outputs) float64: before the last softmax
    NAME.gradient.npy    (C, H, W) float64: of the largest score
    NAME.float32.npy     (3) float64: how far Keras's own scores and gradient in single precision are from those, and whether
                         the network has ReLUs or max pools: its gradient is not continuous, and two correct programs may differ
    NAME.flat_input.npy  of networks with max pools: (N, C, H, W) float32, pictures that are flat in places, where a window's
                         elements are equal and the first of them has the gradient; with flat_scores (N, outputs),
                         flat_gradient and flat_float32 (N, 2), likewise"""
import contextlib
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ["KERAS_BACKEND"] = "tensorflow"

import absl.logging
import numpy as np
import tensorflow as tf

from flat_pictures import flat_in_places, moved_alike

absl.logging.set_verbosity(absl.logging.ERROR)
# Each graph runs a few times: what its optimiser takes is more than it saves.
tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})

SHIFT = 1.0  # mean bias of batch norms, without which random deep networks amplify any rounding
KINKED = ("relu", "relu6", "hard_sigmoid", "hard_silu", "hard_swish")
STEPS = (1e-9, 1e-10, 1e-10, 1e-11)  # of the input; one that crosses a ReLU's kink says nothing
PICTURES, CONDITION = 6, 2.5e-3  # the first of so many at which Keras's own single precision is that near, or the nearest
SLOPE = 2e-4  # of the gradient's norm
TIED = 2.0**-30  # of flat pictures: what max pools choose from is rounded to multiples of it
FLAT, FLAT_DRAWS = 2, 3  # how many flat pictures are taken, and how many are tried of each kind
MOVES = (3e-6,) * 4  # of a flat picture, relative: some times what float32 rounds
TOLERABLE = 5e-3  # a gradient that moves by more is passed over; the test allows for twice as much
LARGE, MOVES_LARGE = 128, (3e-7,)  # pixels of a side; such networks take long, and more of their units are near a kink
APART = 1e-3  # of the largest score: what the two largest differ by, at least


class Network:
    """build(keras, logits): the network, with or without its last activation. pictures(rng, count, shape): inputs.
    flat(rng, shape): inputs that are flat in places, one of each kind."""

    def __init__(self, build, pictures, flat):
        self.build, self.pictures, self.flat = build, pictures, flat


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


def flat_noise(rng, shape, bytes_in):
    x = flat_in_places(rng, noise(rng, 3, shape, True))
    return (x if bytes_in else (x / 255 - 0.5) / 0.25).astype(np.float32)


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

@contextlib.contextmanager
def pools_calling(keras, call):
    """What layers of max pools do meanwhile, instead of what they inherit."""
    keras.layers.MaxPooling2D.call = call
    try:
        yield
    finally:
        del keras.layers.MaxPooling2D.call


def scores_and_gradients(model, v, chosen):
    """Of the output that is chosen for each picture, or of the largest score where that is negative."""
    with tf.GradientTape() as tape:
        tape.watch(v)
        scores = model(v, training=False)
        chosen = tf.where(chosen < 0, tf.argmax(scores, 1, tf.int32), chosen)
        score = tf.reduce_sum(tf.gather(scores, chosen, batch_dims=1))
    return scores, tape.gradient(score, v), chosen


class Double:
    """The network in double precision, as a graph: eager gradients would be those of all weights as well.

    rounded: matrix products may round equal pixels apart, by their place in the matrix. What max pools choose from is rounded,
    so that they take the first of equals."""

    def __init__(self, keras, model):
        pool = keras.layers.MaxPooling2D.call

        def both(v, chosen, rounded):
            choices = []

            def choosing(layer, x):
                x += tf.stop_gradient(rounded * (tf.round(x / TIED) * TIED - x))
                choices.append(tf.nn.max_pool_with_argmax(x, layer.pool_size, layer.strides, layer.padding.upper())[1])
                return pool(layer, x)
            with pools_calling(keras, choosing):
                return *scores_and_gradients(model, v, chosen), choices

        shape = tf.TensorSpec((None, *model.input_shape[1:]), tf.float64)
        self.both = tf.function(both).get_concrete_function(shape, tf.TensorSpec((None,), tf.int32), tf.TensorSpec((), tf.float64))
        assert_computes_in_double(self.both.graph)

    def __call__(self, pictures, chosen=-1, rounded=False):
        """Scores, gradients and outputs of pictures, and which element each of the pools chose."""
        chosen = tf.constant(np.broadcast_to(chosen, len(pictures)), tf.int32)
        *results, choices = self.both(tf.constant(pictures, tf.float64), chosen, tf.constant(rounded, tf.float64))
        return *(r.numpy() for r in results), choices


def single_precision(keras, model, picture, chosen, choices=None):
    """Scores and gradient, with pools that choose what they are told."""
    known = iter(choices or ())

    def choosing(layer, x):
        del layer
        which = next(known)
        return tf.reshape(tf.gather(tf.reshape(x, [-1]), tf.reshape(which, [-1])), which.shape)
    with pools_calling(keras, choosing) if choices is not None else contextlib.nullcontext():
        scores, gradient, _ = scores_and_gradients(model, tf.constant(picture[None]), tf.constant([chosen], tf.int32))
    return scores.numpy()[0], gradient.numpy()[0]


def with_weights(keras, network, weights, policy):
    """The network before its last activation, in another precision."""
    model = build(keras, network, policy, True)
    model.set_weights([w.astype(policy) if w.dtype.kind == "f" else w for w in weights])
    for layer in every_layer(model):
        if is_of(layer, "Normalization"):
            layer.finalize_state()
    return model


def assert_computes_in_double(graph):
    """Whatever the policy says, layers may turn doubles to floats inside: no step forward or backward gives any."""
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


def own_distances(single, scores, gradient):
    return np.abs(single[0] - scores).max() / np.abs(scores).max(), distance(single[1], gradient)


def choose(keras, network, model, double, rng):
    """A picture where a ReLU's kink is not so near that rounding crosses it: how many were passed over, and what Keras says there.
    What salmap computes has no part in it."""
    tried = []
    while len(tried) < PICTURES:
        x = network.pictures(rng, 1, model.input_shape[1:])[0]
        scores, gradient, chosen = (v[0] for v in double(x[None])[:3])
        own = own_distances(single_precision(keras, model, x, chosen), scores, gradient)
        tried.append((x, scores, gradient, chosen, own))
        if own[1] < CONDITION:
            break
    return len(tried) - 1, min(tried, key=lambda t: t[-1][1])


def steady_flat(keras, model, double, rng, x):
    """What Keras says of a flat picture; None where rounding or moving it moves the gradient, or the scores are close."""
    scores, gradient, chosen, choices = double(x[None], rounded=True)
    scores, gradient, chosen = scores[0], gradient[0], chosen[0]
    if len(scores) > 1 and np.diff(np.sort(scores)[-2:])[0] < APART * np.abs(scores).max():
        return None
    large = len(x) > LARGE
    own = own_distances(single_precision(keras, model, x, chosen, choices), scores, gradient)
    if not own[1] < (TOLERABLE if large else CONDITION):
        return None
    for step in MOVES_LARGE if large else MOVES:
        if not distance(double(moved_alike(rng, x, step)[None], chosen, rounded=True)[1][0], gradient) < TOLERABLE:
            return None
    return x, scores, gradient, own


def choose_flat(keras, network, model, double):
    """The first that are steady, and how many were passed over."""
    rng, found, tried = np.random.default_rng(2), [], 0
    for _ in range(FLAT_DRAWS):
        for x in network.flat(rng, model.input_shape[1:]):
            if len(found) < FLAT:
                tried += 1
                found += [f for f in [steady_flat(keras, model, double, rng, x)] if f]
    assert len(found) == FLAT, f"of {tried} flat pictures {len(found)} are steady, fewer than {FLAT}"
    return tried - len(found), [np.stack(values) for values in zip(*found)]


def save(folder, name, **arrays):
    for what, values in arrays.items():
        np.save(folder / f"{name}.{what}.npy", np.ascontiguousarray(values, np.float32 if what.endswith("input") else np.float64))


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
    plain = with_weights(keras, network, weights, "float64")
    double = Double(keras, plain)
    passed_over, (x, scores, gradient, chosen, own) = choose(keras, network, model, double, rng)
    assert scores.dtype == gradient.dtype == np.float64
    assert np.isfinite(scores).all() and np.isfinite(gradient).all() and np.abs(gradient).max() > 0, "no finite gradient"
    assert_is_the_slope(plain, x.astype(np.float64), chosen, gradient, rng)
    save(folder, name, input=x.transpose(2, 0, 1), scores=scores, gradient=gradient.transpose(2, 0, 1), float32=[*own, kinked])
    about = {"weights": model.count_params(), "input": "×".join(str(s) for s in shape), "own": own, "kinked": kinked,
             "passed_over": passed_over, "flat": None}
    if any(is_of(layer, "MaxPooling2D") for layer in every_layer(model)):
        flat_passed_over, (x, scores, gradient, own) = choose_flat(keras, network, model, double)
        assert scores.dtype == gradient.dtype == np.float64 and np.isfinite(scores).all() and np.isfinite(gradient).all()
        save(folder, name, flat_input=x.transpose(0, 3, 1, 2), flat_scores=scores, flat_gradient=gradient.transpose(0, 3, 1, 2), flat_float32=own)
        about["flat"] = {"count": len(x), "own": own[:, 1].max(), "passed_over": flat_passed_over}
    return about
