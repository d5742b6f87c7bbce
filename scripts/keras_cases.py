"""The networks of the small Keras files that make_keras_cases.py writes: a layer, a layer's variant or a habit of saving
each. Where both versions can build one, it is the same network in both."""
import numpy as np
import keras
from keras import layers as L

MAJOR = int(keras.__version__.split(".")[0])
CASES = {}


class Case:
    """versions: of Keras that can build it. three, two: how version 3 and version 2 save it. runs: whether version 2
    computes it on a CPU. policy: of the types. values: of the input, (least, most). options: lines of what the reader is
    told, "output NAME", "layer NAME" or "input-size HxW". refused: refused.txt says with which words, and nothing is computed."""

    def __init__(self, build, shape=(16, 16, 3), versions=(2, 3), three=("keras", "h5"), two=("h5",), seed=1, runs=True,
                 policy="float32", values=(-2, 2), channels_first=False, options=(),
                 refused=False):
        self.build, self.shape, self.versions, self.three, self.two = build, shape, versions, three, two
        self.seed, self.runs, self.policy, self.values = seed, runs, policy, values
        self.channels_first, self.options, self.refused = channels_first, options, refused


def case(name=None, **options):
    def register(build):
        CASES[name or build.__name__] = Case(build, **options)
        return build
    return register


class Building:
    """What differs between the network that is saved and the one whose scores are the reference."""
    reference = False
    shape = None


def ending(activation):
    """The activation of the last layer: the scores are the values before it."""
    return "linear" if Building.reference else activation


def leaky(slope):
    return L.LeakyReLU(slope) if slope is not None else L.LeakyReLU()


def functional(network, **options):
    x = keras.Input(Building.shape, **options)
    return keras.Model(x, network(x))


def sequential(*stack, **options):
    return keras.Sequential([keras.Input(Building.shape), *stack], **options)


def head(x, outputs=4, activation="softmax"):
    return L.Dense(outputs, activation=ending(activation))(L.GlobalAveragePooling2D()(x))


# ---- Plain stacks ---------------------------------------------------------------------------------------------------

@case(two=("h5", "keras"))
def stack_valid():
    return sequential(
        L.Conv2D(6, 3, activation="relu", kernel_regularizer="l2", kernel_initializer="he_normal", name="first.conv-1"),
        L.MaxPooling2D(), L.Conv2D(8, 3, strides=2, padding="same", use_bias=False), L.BatchNormalization(), L.ReLU(6.0),
        L.Flatten(), L.Dense(6, activation="tanh"), L.Dense(5, activation=ending("softmax")))


@case(shape=(17, 15, 1))
def stack_same_odd():
    return sequential(
        L.Conv2D(4, (5, 4), strides=(2, 1), padding="same"), L.BatchNormalization(scale=False, epsilon=0.01), leaky(0.2),
        L.MaxPooling2D(3, strides=2, padding="same"), L.Conv2D(6, 3, dilation_rate=(2, 1), padding="same"),
        L.BatchNormalization(center=False), L.ELU(0.7), L.AveragePooling2D(2, padding="same"), L.Flatten(),
        L.Dense(4, activation=ending("softmax")))


@case(shape=(17, 15, 9))
def stack_groups():
    return sequential(
        L.Conv2D(6, 3, groups=3, padding="same"), L.ReLU(negative_slope=0.3), L.BatchNormalization(scale=False, center=False),
        L.MaxPooling2D((3, 2), strides=(2, 3)), L.Conv2D(8, (2, 3), strides=(3, 2), groups=2), leaky(None),
        L.GlobalAveragePooling2D(), L.Dense(3, use_bias=False, activation=ending("softmax")))


@case(shape=(17, 15, 2))
def stack_dilated():
    return sequential(
        L.Conv2D(4, 3, dilation_rate=3, activation="elu"), L.Conv2D(4, (1, 5), dilation_rate=(1, 2), padding="same"),
        L.AveragePooling2D((2, 3)), L.AveragePooling2D(3, strides=1, padding="same"), L.Flatten(),
        L.Dense(3, activation=ending("softmax")))


@case(two=("h5", "keras"))
def stack_without_input_layer():
    model = keras.Sequential([L.Conv2D(4, 3, strides=3, activation="relu", input_shape=Building.shape), L.Flatten(),
                              L.Dense(3, activation=ending("softmax"))])
    return model


@case(shape=(9, 8, 2))
def prelu_per_channel():
    return sequential(L.Conv2D(4, 3, strides=2), L.PReLU(shared_axes=[1, 2]), L.Flatten(), L.Dense(3, activation=ending("softmax")))


@case(shape=(17, 15, 2), three=("keras",))
def prelu_per_element():
    return sequential(L.Conv2D(2, 3, strides=2), L.PReLU(), L.Flatten(), L.Dense(3, activation=ending("softmax")))


@case(three=("keras",))
def relu_slope_and_most():
    return sequential(L.Conv2D(4, 3), L.ReLU(max_value=1.5, negative_slope=0.2),
                      L.GlobalAveragePooling2D(), L.Dense(3, activation=ending("softmax")))


@case(three=("keras",))
def relu_threshold():
    return sequential(L.Conv2D(4, 3), L.ReLU(threshold=0.4), L.GlobalAveragePooling2D(), L.Dense(3, activation=ending("softmax")))


@case(two=("h5", "keras"))
def compiled():
    model = sequential(L.Conv2D(4, 3, activation="relu"), L.BatchNormalization(), L.GlobalMaxPooling2D(),
                       L.Dense(3, activation=ending("softmax")))
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    model.optimizer.build(model.trainable_variables)
    return model


# ---- Heads ----------------------------------------------------------------------------------------------------------

@case(three=("keras",))
def head_softmax_layer():
    last = [] if Building.reference else [L.Softmax()]
    return sequential(L.Conv2D(4, 3), L.GlobalMaxPooling2D(), L.Dense(3), *last)


@case(three=("keras",))
def head_activation_layer():
    return sequential(L.Conv2D(4, 3), L.GlobalMaxPooling2D(), L.Dense(3), L.Activation(ending("softmax")))


@case(three=("keras",))
def head_sigmoid():
    return sequential(L.Conv2D(4, 3), L.GlobalAveragePooling2D(), L.Dense(3, activation=ending("sigmoid")))


@case(three=("keras",))
def head_binary():
    return sequential(L.Conv2D(4, 3, activation="relu"), L.Flatten(), L.Dense(1, activation=ending("sigmoid")))


@case(shape=(17, 15, 1))
def head_regression():
    return sequential(L.Conv2D(4, 3, strides=2, activation="relu"), L.Flatten(), L.Dropout(0.5), L.Dense(1, activation="linear"))


@case(three=("keras",))
def head_convolution():
    def network(x):
        y = L.GlobalAveragePooling2D(keepdims=True)(L.Conv2D(4, 3, activation="relu")(x))
        y = L.Reshape((3,))(L.Conv2D(3, 1)(y))
        return L.Activation(ending("softmax"))(y)
    return functional(network)


@case(two=("h5", "keras"))
def outputs_two():
    def network(x):
        y = L.Conv2D(4, 3, activation="relu")(x)
        main = L.Dense(4, activation=ending("softmax"), name="main")(L.GlobalAveragePooling2D()(y))
        other = L.Dense(2, activation="softmax", name="a_side")(L.GlobalMaxPooling2D()(y))
        return [main, other]
    return functional(network)


def transposing(name, *arguments, **options):
    @case(f"conv_transpose_{name}", shape=(7, 6, 3), three=("keras",))
    def build():
        return sequential(L.Conv2DTranspose(4, *arguments, activation="relu", **options), L.Conv2DTranspose(2, 2, use_bias=False),
                          L.Flatten(), L.Dense(3, activation=ending("softmax")))


transposing("valid", 3)
transposing("same", 3, padding="same")
transposing("valid_strided", (3, 2), strides=2)
transposing("same_strided", (3, 4), strides=(2, 3), padding="same")
transposing("valid_sparse", 2, strides=3)
transposing("same_sparse", (1, 2), strides=(3, 2), padding="same")


@case(shape=(7, 6, 2), two=("h5", "keras"))
def up_sampling():
    return sequential(L.UpSampling2D((2, 3)), L.Conv2D(3, 3, activation="relu"), L.UpSampling2D(), L.DepthwiseConv2D(3),
                      L.UpSampling2D((1, 2), interpolation="bilinear"), L.Flatten(), L.Dense(3, activation=ending("softmax")))


@case(shape=(9, 8, 3), three=("keras",))
def group_normalization():
    return sequential(L.Conv2D(6, 3), L.GroupNormalization(3), L.Conv2D(4, 3, activation="tanh"),
                      L.GroupNormalization(2, epsilon=0.01, scale=False), L.GroupNormalization(-1, center=False),
                      L.GroupNormalization(1), L.Flatten(), L.Dense(3, activation=ending("softmax")))


@case(shape=(2, 7, 6), runs=False, channels_first=True)
def channels_first_spatial():
    first = {"data_format": "channels_first"}
    return sequential(L.ZeroPadding2D(1, **first), L.UpSampling2D(2, **first), L.Conv2D(4, 3, activation="tanh", **first),
                      L.Cropping2D(((1, 2), (0, 1)), **first), L.Conv2DTranspose(3, 3, strides=2, **first),
                      L.AveragePooling2D(3, strides=2, padding="same", **first), L.Flatten(), L.Dense(3, activation=ending("softmax")))


@case(two=("h5", "keras"), options=("output a_side",))
def output_by_name():
    def network(x):
        y = L.Conv2D(4, 3, activation="relu")(x)
        main = L.Dense(4, activation="softmax", name="main")(L.GlobalAveragePooling2D()(y))
        side = L.Dense(2, activation=ending("softmax"), name="a_side")(L.GlobalMaxPooling2D()(y))
        return side if Building.reference else [main, side]
    return functional(network)


@case(two=("h5", "keras"), options=("layer dense_12",))
def layer_by_name():
    def network(x):
        y = L.GlobalAveragePooling2D()(L.Conv2D(4, 3, activation="relu")(x))
        y = L.Dense(5, activation=ending("relu"), name="dense_12")(y)
        return y if Building.reference else L.Dense(3, activation="softmax")(y)
    return functional(network)


@case(shape=(16, 15, 3), two=("h5", "keras"), options=("input-size 16x15",))
def input_without_size():
    x = keras.Input((None, None, 3) if not Building.reference else Building.shape)
    y = L.UpSampling2D(interpolation="bilinear")(L.Conv2D(4, 3, strides=2, padding="same", activation="relu")(x))
    y = L.MaxPooling2D(3, strides=2, padding="same")(L.ZeroPadding2D(((1, 0), (0, 2)))(y))
    return keras.Model(x, head(L.UpSampling2D((2, 3), interpolation="bilinear")(L.AveragePooling2D(2)(y))))


# ---- Branches -------------------------------------------------------------------------------------------------------

def merging(merge, towers=2):
    def network(x):
        return head(merge([L.Conv2D(4, 3, padding="same", strides=2)(x) for _ in range(towers)]))
    return functional(network)


case("merge_add", two=("h5", "keras"))(lambda: merging(L.Add(), 3))
case("merge_subtract", three=("keras",))(lambda: merging(L.Subtract()))
case("merge_multiply", three=("keras",))(lambda: merging(L.Multiply(), 3))
case("merge_average", three=("keras",))(lambda: merging(L.Average(), 3))
case("merge_maximum", three=("keras",))(lambda: merging(L.Maximum(), 3))
case("merge_minimum", three=("keras",))(lambda: merging(L.Minimum()))
case("merge_concatenate")(lambda: merging(L.Concatenate(), 3))
case("merge_concatenate_height", three=("keras",))(lambda: merging(L.Concatenate(axis=1)))


@case(shape=(17, 15, 3), two=("h5", "keras"))
def branches():
    def network(x):
        stem = L.Conv2D(6, 3, strides=2, padding="same", use_bias=False)(x)
        stem = L.Activation("relu")(L.BatchNormalization(momentum=0.9)(stem))
        a = L.Conv2D(4, 1, padding="same", activation="relu")(stem)
        b = L.Conv2D(6, (1, 3), padding="same")(stem)
        c = L.AveragePooling2D(3, strides=1, padding="same")(stem)
        wide = L.concatenate([a, b, c], axis=3)
        y = L.add([L.Conv2D(6, 1)(wide), stem])
        return head(L.Activation("relu")(y))
    return functional(network)


@case(two=("h5", "keras"))
def shared_layer():
    def network(x):
        shared = L.Conv2D(3, 3, padding="same", activation="tanh", name="twice")
        return head(L.Add()([shared(x), shared(shared(x))]))
    return functional(network)


@case()
def gate_keepdims():
    def network(x):
        y = L.Conv2D(6, 3, padding="same")(x)
        gate = L.GlobalAveragePooling2D(keepdims=True)(y)
        gate = L.Conv2D(6, 1, activation="sigmoid")(L.Conv2D(2, 1, activation="relu")(gate))
        return head(L.Multiply()([y, gate]))
    return functional(network)


@case(two=("h5", "keras"))
def gate_reshape():
    def network(x):
        y = L.Conv2D(6, 3, padding="same")(x)
        gate = L.Dense(6, activation="sigmoid")(L.Dense(3, activation="relu")(L.GlobalAveragePooling2D()(y)))
        return head(L.multiply([L.Reshape((1, 1, 6))(gate), y]))
    return functional(network)


@case(versions=(3,))
def operators():
    """Arithmetic on tensors: of Keras 3 an operation without weights for each, with constants among the arguments."""
    def network(x):
        y = L.Conv2D(4, 3)(x / 2.0 - 0.25)
        z = L.Conv2D(4, 3)(x)
        return head(L.ReLU(6.0)(y + 3.0) * (1.0 / 6.0) * z + y - 0.5 * z)
    return functional(network)


@case(versions=(2,), two=("h5", "keras"))
def operators_2():
    """The same as Keras 2 saves it: TensorFlow's functions as layers."""
    def network(x):
        y = L.Conv2D(4, 3)(x / 2.0 - 0.25)
        z = L.Conv2D(4, 3)(x)
        return head(L.ReLU(6.0)(y + 3.0) * (1.0 / 6.0) * z + y - 0.5 * z)
    return functional(network)


@case()
def global_max():
    return functional(lambda x: L.Dense(4, activation=ending("softmax"))(
        L.Flatten()(L.GlobalMaxPooling2D(keepdims=True)(L.Conv2D(5, 3)(x)))))


# ---- Depthwise and separable ----------------------------------------------------------------------------------------

@case(seed=2)
def depthwise():
    return sequential(L.DepthwiseConv2D(3, padding="same", activation="relu"), L.DepthwiseConv2D((3, 2), use_bias=False),
                      L.GlobalAveragePooling2D(), L.Dense(3, activation=ending("softmax")))


@case(shape=(17, 16, 2))
def depthwise_multiplier():
    return sequential(L.DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=2), L.DepthwiseConv2D(
        3, dilation_rate=2, depth_multiplier=3), L.Flatten(), L.Dense(3, activation=ending("softmax")))


@case(shape=(16, 15, 3), two=("h5", "keras"))
def separable():
    return sequential(
        L.SeparableConv2D(5, 3, strides=2, padding="same", depth_multiplier=2, activation="relu"),
        L.SeparableConv2D(4, 3, use_bias=False), L.GlobalAveragePooling2D(), L.Dense(3, activation=ending("softmax")))


# ---- Activations ----------------------------------------------------------------------------------------------------

def activating(name):
    return lambda: sequential(L.Conv2D(3, 3, strides=2, activation=name), L.Conv2D(3, 3), L.Activation(name),
                              L.GlobalAveragePooling2D(), L.Dense(3, activation=ending("softmax")))


for both in ("relu", "sigmoid", "tanh", "softplus", "softsign", "elu", "selu", "silu", "swish", "gelu", "mish", "leaky_relu",
             "relu6", "exponential"):
    # Keras 3 knows silu under both names and saves the one.
    versions = (2,) if both == "swish" else (2, 3)
    case(f"activation_{both}", versions=versions, three=("keras",), shape=(8, 9, 2))(activating(both))
case("activation_hard_silu", versions=(3,), three=("keras",), shape=(8, 9, 2))(activating("hard_silu"))
for three in ("celu", "log_sigmoid", "tanh_shrink", "hard_tanh", "soft_shrink", "hard_shrink", "sparse_plus", "sparse_sigmoid",
              "squareplus"):
    case(f"activation_{three}", versions=(3,), three=("keras",), shape=(8, 9, 2))(activating(three))


@case(two=("h5", "keras"))
def activation_objects():
    """Layers, and functions by themselves, in place of a name."""
    return sequential(L.Conv2D(4, 3, activation=leaky(0.15)), L.Activation(keras.activations.tanh),
                      L.Dense(5, activation=L.ELU(0.8)), L.Conv2D(4, 1, activation=keras.activations.gelu), L.GlobalAveragePooling2D(),
                      L.Dense(3, activation=ending("softmax")))


@case(three=("keras",))
def relu_everything():
    return sequential(L.Conv2D(4, 3), L.ReLU(max_value=2.0, negative_slope=0.2, threshold=0.3), L.Conv2D(4, 3),
                      L.ReLU(negative_slope=0.1, threshold=0.1), L.GlobalAveragePooling2D(), L.Dense(3, activation=ending("softmax")))


# max(0, min(1, x / 6 + 1 / 2)) in Keras 3 and max(0, min(1, x / 5 + 1 / 2)) in Keras 2.
case("activation_hard_sigmoid", versions=(3,), shape=(8, 9, 2))(activating("hard_sigmoid"))
case("activation_hard_sigmoid_2", versions=(2,), two=("h5", "keras"), shape=(8, 9, 2))(activating("hard_sigmoid"))


# ---- Models in models -----------------------------------------------------------------------------------------------

def backbone(shape, name="backbone"):
    x = keras.Input(shape)
    y = L.Conv2D(4, 3, padding="same", use_bias=False)(x)
    z = L.BatchNormalization()(y)
    return keras.Model(x, L.Add()([L.Activation("relu")(z), y]), name=name)


@case(two=("h5", "keras"))
def nested_functional():
    return functional(lambda x: head(L.Conv2D(5, 3, activation="relu")(backbone(Building.shape)(x))))


@case(two=("h5", "keras"))
def nested_in_sequential():
    return sequential(backbone(Building.shape), L.GlobalAveragePooling2D(), L.Dense(3, activation=ending("softmax")))


@case(two=("h5", "keras"))
def nested_two_levels():
    def network(x):
        inner = keras.Sequential([L.Input(Building.shape), L.ZeroPadding2D(1), backbone((18, 18, 3), "deep"), L.MaxPooling2D()],
                                 name="middle")
        y = L.Rescaling(0.5)(x)
        last = keras.Sequential([L.Input((4,)), L.Dense(5, activation="relu"), L.Dense(3, activation=ending("softmax"))],
                                name="last")
        return last(L.GlobalAveragePooling2D()(inner(y)))
    return functional(network)


@case()
def nested_twice():
    """One model called on two things: its weights are there once."""
    def network(x):
        shared = backbone(Building.shape)
        return head(L.Concatenate()([shared(x), shared(L.Conv2D(3, 3, padding="same", activation="tanh")(x))]))
    return functional(network)


@case()
def nested_sharing_twice():
    """A model that uses one of its layers twice, called on two things: what the first call made is not the second's."""
    def network(x):
        a = keras.Input(Building.shape)
        twice = L.Conv2D(3, 3, padding="same", activation="tanh")
        inner = keras.Model(a, twice(L.AveragePooling2D(3, 1, padding="same")(twice(a))), name="inner")
        return head(L.Subtract()([inner(x), inner(L.Conv2D(3, 1)(x))]))
    return functional(network)


# ---- Shapes ---------------------------------------------------------------------------------------------------------

@case()
def padding():
    return sequential(L.ZeroPadding2D(((1, 2), (0, 3))), L.Conv2D(3, 3, strides=2), L.ZeroPadding2D((2, 1)),
                      L.Conv2D(3, 3, activation="relu"), L.ZeroPadding2D(1), L.MaxPooling2D(3, strides=2), L.Flatten(),
                      L.Dense(3, activation=ending("softmax")))


@case()
def cropping():
    return sequential(L.Conv2D(3, 3), L.Cropping2D(((1, 0), (2, 1))), L.Conv2D(3, 3, activation="relu"),
                      L.Cropping2D(1), L.Flatten(), L.Dense(3, activation=ending("softmax")))


@case(shape=(9, 7, 2), three=("keras",))
def permute():
    return sequential(L.Conv2D(4, 3), L.Permute((2, 1, 3)), L.Conv2D(4, (3, 2)), L.Permute((3, 1, 2)), L.Flatten(),
                      L.Dense(3, activation=ending("softmax")))


@case(shape=(10, 8, 2), three=("keras",))
def reshape():
    return sequential(L.Conv2D(4, 3, activation="relu"), L.Reshape((6, 8, 4)), L.Conv2D(4, 3), L.Reshape((-1, 4)),
                      L.Flatten(), L.Reshape((16, 6)), L.Flatten(), L.Dense(3, activation=ending("softmax")))


# ---- Normalisation, preprocessing, noise ----------------------------------------------------------------------------

@case()
def layer_norm():
    return sequential(L.Conv2D(6, 3, strides=2), L.LayerNormalization(), L.Conv2D(5, 1, activation="gelu"),
                      L.LayerNormalization(epsilon=1e-6, center=False), L.GlobalAveragePooling2D(), L.LayerNormalization(scale=False),
                      L.Dense(3, activation=ending("softmax")))


@case(values=(0, 255))
def rescaling_normalization():
    return sequential(L.Rescaling(1 / 127.5, offset=-1), L.Normalization(mean=[0.1, -0.2, 0.3], variance=[0.5, 1.5, 0.25]),
                      L.Conv2D(4, 3, activation="relu"), L.GlobalAveragePooling2D(), L.Dense(3, activation=ending("softmax")))


@case(values=(0, 255), two=("h5", "keras"))
def normalization_adapted():
    norm = L.Normalization()
    norm.adapt(np.random.default_rng(3).uniform(0, (90, 200, 255), (4, 6, 6, 3)).astype(np.float32))
    return sequential(norm, L.Conv2D(4, 3, activation="relu"), L.GlobalAveragePooling2D(), L.Dense(3, activation=ending("softmax")))


@case(three=("keras",), values=(0, 255))
def rescaling_per_channel():
    return sequential(L.Rescaling(scale=[0.01, 0.02, 0.015], offset=[-1.0, -0.5, 0.25]), L.Conv2D(4, 3, activation="relu"),
                      L.GlobalAveragePooling2D(), L.Dense(3, activation=ending("softmax")))


@case(shape=(11, 14, 3), two=("h5", "keras"))
def center_crop():
    return sequential(L.CenterCrop(8, 9), L.Conv2D(4, 3, activation="relu"), L.CenterCrop(3, 4), L.Flatten(),
                      L.Dense(3, activation=ending("softmax")))


@case(shape=(9, 14, 3), two=("h5", "keras"))
def center_crop_of_small():
    return sequential(L.CenterCrop(12, 10), L.Conv2D(4, 3, activation="relu"), L.GlobalAveragePooling2D(),
                      L.Dense(3, activation=ending("softmax")))


@case(shape=(12, 10, 3), two=("h5", "keras"))
def resizing():
    return sequential(L.Resizing(17, 8), L.Conv2D(4, 3, strides=2, activation="relu"), L.Resizing(5, 7, interpolation="nearest"),
                      L.Flatten(), L.Dense(3, activation=ending("softmax")))


@case(shape=(12, 9, 3), two=("h5", "keras"))
def resizing_crops():
    return sequential(L.Resizing(10, 14, crop_to_aspect_ratio=True), L.Conv2D(4, 3, activation="relu"),
                      L.GlobalAveragePooling2D(), L.Dense(3, activation=ending("softmax")))


@case(versions=(2,), shape=(12, 9, 3), two=("h5", "keras"))
def random_crop_2():
    """Of Keras 2: resized where nobody trains."""
    return sequential(L.RandomCrop(7, 7), L.Conv2D(4, 3, activation="relu"), L.GlobalAveragePooling2D(),
                      L.Dense(3, activation=ending("softmax")))


@case(versions=(3,), values=(0, 255), three=("keras",))
def augmentation():
    return sequential(L.RandomFlip(), L.RandomRotation(0.1), L.RandomTranslation(0.1, 0.2), L.RandomZoom(0.1), L.RandomContrast(0.2),
                      L.RandomBrightness(0.2), L.Rescaling(1 / 255), L.Conv2D(4, 3, activation="relu"), L.GlobalAveragePooling2D(),
                      L.Dense(3, activation=ending("softmax")))


@case(versions=(3,), three=("keras",), values=(0, 255))
def augmentation_3():
    return sequential(L.RandomShear(0.2), L.RandomCrop(8, 8), L.RandomErasing(), L.RandomHue(0.2), L.RandomInvert(), L.Identity(),
                      L.Rescaling(1 / 255), L.Conv2D(4, 3, activation="relu"), L.GlobalAveragePooling2D(),
                      L.Dense(3, activation=ending("softmax")))


@case()
def noise():
    return sequential(L.GaussianNoise(0.1), L.Conv2D(4, 3, activation="relu"), L.SpatialDropout2D(0.2), L.GaussianDropout(0.3),
                      L.ActivityRegularization(l2=0.1), L.Flatten(), L.AlphaDropout(0.2), L.Dropout(0.5),
                      L.Dense(3, activation=ending("softmax")))


# ---- Layouts and types ----------------------------------------------------------------------------------------------

@case(shape=(3, 16, 15), runs=False, channels_first=True)
def channels_first():
    first = {"data_format": "channels_first"}
    return sequential(L.Conv2D(6, 3, padding="same", strides=2, **first), L.BatchNormalization(axis=1), L.ReLU(),
                      L.MaxPooling2D(2, **first), L.DepthwiseConv2D(3, **first), L.GlobalAveragePooling2D(**first),
                      L.Dense(3, activation=ending("softmax")))


@case(shape=(2, 9, 8), runs=False, channels_first=True)
def channels_first_flatten():
    """Flatten in the order of the memory, channels first, and of channels last, which is what the option asks for."""
    def network(x):
        y = L.Conv2D(4, 3, strides=2, activation="relu", data_format="channels_first")(x)
        a = L.Dense(3)(L.Flatten()(y))
        b = L.Dense(3)(L.Flatten(data_format="channels_first")(y))
        return L.Activation(ending("softmax"))(L.Add()([a, b]))
    return functional(network)


def typed():
    last = {} if Building.reference else {"dtype": "float32"}
    return sequential(L.Conv2D(4, 3, activation="relu"), L.BatchNormalization(), L.GlobalAveragePooling2D(),
                      L.Dense(3), L.Activation(ending("softmax"), **last))


case("types_mixed_float16", policy="mixed_float16", two=("h5", "keras"))(typed)
case("types_float16", policy="float16", versions=(3,))(typed)
case("types_bfloat16", policy="bfloat16", versions=(3,), three=("keras",))(typed)
case("types_float64", policy="float64")(typed)


# ---- Weights alone --------------------------------------------------------------------------------------------------

def plain():
    def network(x):
        y = L.ReLU()(L.BatchNormalization()(L.Conv2D(4, 3)(x)))
        return head(backbone((14, 14, 4))(y))
    return functional(network)


case("weights_legacy", versions=(2,), two=("weights",))(plain)
case("weights_archive", versions=(3,), three=("weights",))(plain)


@case(versions=(2,))
def names_with_slashes():
    return sequential(L.Conv2D(4, 3, name="block/conv"), L.BatchNormalization(name="block/conv/norm"), L.ReLU(name="block/relu"),
                      L.GlobalAveragePooling2D(name="block/pool"), L.Dense(3, activation=ending("softmax"), name="top/scores"))


@case(three=("keras",))
def named_as_vgg():
    """What speaks for a network of keras.applications, though this is none."""
    return sequential(L.Conv2D(4, 3, activation="relu", name="block1_conv1"), L.Conv2D(4, 3, activation="relu", name="block3_conv3"),
                      L.GlobalAveragePooling2D(), L.Dense(3, activation=ending("softmax"), name="predictions"))


@case(three=("keras",), shape=(17, 16, 3), two=("h5",))
def gate_per_pixel():
    """Spatial attention: a value for each pixel times all of its channels."""
    def network(x):
        y = L.Conv2D(6, 3, padding="same", strides=2, activation="tanh")(x)
        gate = L.Conv2D(1, 3, padding="same", activation="sigmoid")(y)
        return head(L.Add()([L.Multiply()([y, gate]), L.Conv2D(1, 1)(y)]))
    return functional(network)


@case(three=("keras",), shape=(9, 8, 3), two=("h5",))
def normalised_after_permute():
    """Norms, scales and pads where height is the last axis."""
    return sequential(L.Conv2D(4, 3, activation="tanh"), L.Permute((3, 1, 2)), L.LayerNormalization(), L.BatchNormalization(),
                      L.ZeroPadding2D(1), L.Flatten(), L.Dense(3, activation=ending("softmax")))


# ---- Theano ---------------------------------------------------------------------------------------------------------

@case(shape=(3, 13, 12), runs=False, channels_first=True, three=("keras",), two=("theano",))
def channels_first_theano():
    """Saved by a Keras 2 on Theano, which turns its kernels by half a circle: it convolves, and does not correlate."""
    first = {"data_format": "channels_first"}
    return sequential(L.Conv2D(4, 3, strides=2, activation="tanh", **first), L.Conv2D(3, (2, 3), **first), L.Flatten(),
                      L.Dense(3, activation=ending("softmax")))


# ---- What is easily taken for something else -----------------------------------------------------------------------

@case(two=("h5", "keras"))
def constants_of_channels():
    """Arithmetic with a number for each channel."""
    shift = np.array([1.0, -2.0, 0.5], np.float64 if Building.reference else np.float32)
    return functional(lambda x: head(L.Conv2D(4, 3, activation="tanh")(x - shift)))


@case(two=("h5", "keras"))
def rescaling_arrays():
    return functional(lambda x: head(L.Conv2D(4, 3, activation="tanh")(
        L.Rescaling(np.array([0.5, 2.0, 0.1]), np.array([1.0, 2.0, -3.0]))(x))))


def two_inputs(order, depth=0):
    """A model whose inputs are not in the order in which its layers stand in the file."""
    def network(x):
        a, b = keras.Input((6, 7, 4), name="zz"), keras.Input((6, 7, 4), name="aa")
        deep = b
        for _ in range(depth):
            deep = L.Conv2D(4, 3, padding="same")(deep)
        inner = keras.Model(order(a, b), L.Subtract()([L.Activation("tanh")(a), deep]), name="inner")
        return head(inner(order(L.Conv2D(4, 3)(x), L.Conv2D(4, 3)(x))))
    return functional(network)


case("nested_inputs", shape=(8, 9, 3), two=("h5", "keras"))(lambda: two_inputs(lambda a, b: [a, b]))
case("nested_inputs_swapped", shape=(8, 9, 3), two=("h5", "keras"))(lambda: two_inputs(lambda a, b: [b, a]))
case("nested_inputs_depth", shape=(8, 9, 3), two=("h5", "keras"))(lambda: two_inputs(lambda a, b: [a, b], depth=2))
case("nested_inputs_by_name", shape=(8, 9, 3), versions=(3,))(lambda: two_inputs(lambda a, b: {"zz": a, "aa": b}))


@case(shape=(8, 9, 3), versions=(2,), two=("h5", "keras"))
def nested_names_that_end_alike():
    def network(x):
        a = keras.Input(Building.shape)
        y = L.Conv2D(3, 3, padding="same", name="conv")(L.Conv2D(3, 3, padding="same", activation="tanh", name="stage/conv")(a))
        return head(keras.Model(a, y, name="backbone")(x))
    return functional(network)


@case(shape=(8, 9, 3), two=("h5", "keras"))
def rows():
    """Norms and dense layers on three axes, of as many rows as channels."""
    return functional(lambda x: L.Dense(3, activation=ending("softmax"))(L.Flatten()(L.Dense(5, activation="tanh")(
        L.BatchNormalization()(L.Reshape((-1, 42))(L.Conv2D(42, 3)(x)))))))


@case(two=("h5", "keras"))
def merge_vector_with_map():
    """Layers that merge give a vector the axes that it lacks."""
    def network(x):
        y = L.Conv2D(4, 3)(x)
        gated = L.Multiply()([y, L.Activation("sigmoid")(L.GlobalAveragePooling2D()(y))])
        return head(L.UpSampling2D(2, interpolation="bilinear")(L.Maximum()([L.GlobalAveragePooling2D()(y), gated])))
    return functional(network)


@case(versions=(3,), three=("keras",))
def negative():
    return functional(lambda x: head(-L.Conv2D(4, 3, activation="tanh")(x)))


@case(versions=(3,), three=("keras",))
def normalization_of_all():
    return functional(lambda x: head(L.Conv2D(4, 3, activation="tanh")(L.Normalization(axis=None, mean=1.5, variance=3.0)(x))))


@case(shape=(8, 9, 3), two=("h5", "keras"))
def nested_outputs():
    """A backbone that gives maps of two depths, called twice."""
    def network(x):
        a = keras.Input(Building.shape)
        shallow = L.Conv2D(4, 3, activation="tanh")(a)
        backbone = keras.Model(a, [L.Conv2D(3, 3)(shallow), shallow], name="backbone")
        deep, edges = backbone(x)
        deep_again, edges_again = backbone(L.Conv2D(3, 3, padding="same", activation="tanh")(x))
        pooled = [L.GlobalAveragePooling2D()(y) for y in (edges, deep_again, deep, edges_again)]
        return L.Dense(3, activation=ending("softmax"))(L.Concatenate()(pooled))
    return functional(network)


@case(versions=(3,))
def layer_norm_plain():
    return functional(lambda x: head(L.Conv2D(4, 3)(L.LayerNormalization(scale=False, center=False)(L.Conv2D(4, 3)(x)))))


@case(versions=(3,), shape=(3, 12, 13), channels_first=True)
def channels_first_group_norm():
    first = {"data_format": "channels_first"}
    return sequential(
        L.Conv2D(6, 3, **first), L.GroupNormalization(3, axis=1), L.Conv2D(4, 3, activation="tanh", **first),
        L.GroupNormalization(2, axis=1, scale=False), L.Flatten(**first), L.Dense(3, activation=ending("softmax")))


@case(shape=(7, 6, 3), three=("keras",))
def conv_transpose_output_padding():
    return sequential(
        L.Conv2DTranspose(5, 3, strides=2, padding="same", output_padding=0),
        L.Conv2DTranspose(4, (4, 5), strides=(2, 3), padding="same", output_padding=(1, 2), activation="tanh"),
        L.Conv2DTranspose(2, (2, 3), strides=(3, 2), output_padding=(0, 1)), L.Conv2D(3, 3, strides=3), L.Flatten(),
        L.Dense(3, activation=ending("softmax")))


@case(shape=(7, 6, 3), three=("keras",))
def conv_transpose_dilated():
    return sequential(
        L.Conv2DTranspose(5, 3, dilation_rate=2, activation="tanh"), L.Conv2DTranspose(4, 3, dilation_rate=2, padding="same"),
        L.Conv2D(3, 3, strides=3, activation="tanh"), L.Flatten(), L.Dense(3, activation=ending("softmax")))


@case(versions=(3,), refused=True)
def refused_int8():
    model = sequential(L.Flatten(), L.Dense(8, activation="relu"), L.Dense(3))
    model.quantize("int8")
    return model


@keras.utils.register_keras_serializable("Addons")
class StochasticDepth(L.Layer):
    """Somebody's own, with the name of one of Keras's."""

    def call(self, inputs):
        return inputs[0] + 0.5 * inputs[1]

    def compute_output_shape(self, shapes):
        return shapes[0]


@case(refused=True, two=("h5", "keras"))
def refused_class_of_ones_own():
    return functional(lambda x: head(StochasticDepth()([L.Conv2D(4, 3)(x), L.Conv2D(4, 3)(x)])))


@keras.utils.register_keras_serializable("Mine")
class LeakyReLU(L.Layer):
    """Somebody's own, with the name of one of Keras's, and used as an activation."""

    def call(self, inputs):
        return 2 * inputs


@case(refused=True, two=("h5", "keras"))
def refused_activation_of_ones_own():
    return functional(lambda x: head(L.Conv2D(4, 3, activation=LeakyReLU())(x)))


@case(versions=(3,), refused=True)
def refused_rms():
    return functional(lambda x: head(L.LayerNormalization(rms_scaling=True)(L.Conv2D(4, 3)(x))))


@case(versions=(2,), refused=True, two=("h5", "keras"))
def refused_training():
    return functional(lambda x: head(L.BatchNormalization()(L.Conv2D(4, 3)(x), training=True)))


@case(versions=(3,))
def training_said():
    """In Keras 3 those who call the network decide, whatever the call of a layer says; augmentation layers say it always."""
    def network(x):
        y = L.Conv2D(4, 3, activation="tanh")(L.RandomTranslation(0.1, 0.1)(L.RandomFlip()(x)))
        return head(L.Dropout(0.5)(L.BatchNormalization()(y, training=True), training=True))
    return functional(network)


def begins_with(first):
    """What says nothing about the picture's layout stands in front."""
    return lambda: functional(lambda x: head(L.Conv2D(4, 3, activation="tanh")(first()(x))))


case("begins_with_permute", shape=(9, 14, 3))(begins_with(lambda: L.Permute((2, 1, 3))))
case("begins_with_norm", shape=(9, 14, 3))(begins_with(L.LayerNormalization))
case("begins_with_reshape", shape=(9, 14, 3))(begins_with(lambda: L.Reshape((14, 9, 3))))


@case(shape=(24, 25, 3))
def global_max_large():
    """More elements than a byte can tell apart."""
    return sequential(L.Conv2D(4, 3), L.GlobalMaxPooling2D(), L.Dense(3, activation=ending("softmax")))


@case(shape=(3, 9, 8), runs=False, channels_first=True)
def channels_first_rows():
    """Flatten of three axes, too, has the order of channels last."""
    first = {"data_format": "channels_first"}
    return sequential(L.Conv2D(4, 3, activation="tanh", **first), L.Reshape((4, -1)), L.Flatten(**first),
                      L.Dense(3, activation=ending("softmax")))


@case(versions=(3,), shape=(3, 9, 8), channels_first=True)
def channels_first_norms():
    first = {"data_format": "channels_first"}
    return sequential(L.Normalization(axis=1, mean=[1.0, 2.0, 3.0], variance=[4.0, 0.5, 2.0]), L.Conv2D(4, 3, **first),
                      L.LayerNormalization(axis=1), L.Conv2D(3, 3, activation="tanh", **first), L.Flatten(**first),
                      L.Dense(3, activation=ending("softmax")))


def block(name):
    return keras.Sequential([L.Conv2D(4, 3, padding="same", activation="tanh", name="conv"), L.BatchNormalization(name="norm")],
                            name=name)


@case(versions=(3,), shape=(8, 9, 3))
def nested_blocks_alike():
    """Blocks whose layers are called alike, in a model that has such a layer itself."""
    def network(x):
        a = keras.Input(Building.shape)
        y = block("second")(block("first")(L.Conv2D(4, 3, name="conv")(a)))
        return head(keras.Model(a, y, name="backbone")(x))
    return functional(network)


@case(versions=(3,), three=("keras",))
def activation_arrays():
    """Numbers that are arrays."""
    return sequential(L.Conv2D(4, 3), L.ReLU(max_value=np.array(1.5)), L.Conv2D(4, 3), L.LeakyReLU(negative_slope=np.array([0.05])),
                      L.Conv2D(4, 3, activation="tanh"), L.GlobalAveragePooling2D(), L.Dense(3, activation=ending("softmax")))


def prepared(module):
    """What preprocess_input of keras.applications does, within the network."""
    def build():
        prepare = getattr(keras.applications, module).preprocess_input
        return functional(lambda x: head(L.Conv2D(4, 3, activation="tanh")(L.Rescaling(0.05)(prepare(x)))))
    return build


@case(versions=(3,), three=("keras",))
def channels_reversed():
    return functional(lambda x: head(L.Conv2D(4, 3, activation="tanh")(x[..., ::-1])))


case("prepared_caffe", values=(0, 255))(prepared("resnet50"))
case("prepared_torch", values=(0, 255), two=("h5", "keras"))(prepared("densenet"))
case("prepared_tf", values=(0, 255), two=("h5", "keras"))(prepared("mobilenet_v2"))


@case(versions=(2,), values=(0, 9))
def normalization_adapted_inside():
    """Its weights have no name but "mean" and "variance"."""
    def network(x):
        normalization = L.Normalization()
        normalization.adapt(np.random.default_rng(5).normal(4, 2, (6, *Building.shape)))
        return head(L.Conv2D(4, 3, activation="tanh")(keras.Sequential([L.RandomFlip(), normalization], name="prepare")(x)))
    return functional(network)


@case(versions=(3,))
def operators():
    """keras.ops on tensors, and operands that are given by their names, in any order."""
    def network(x):
        y = keras.ops.sigmoid(L.Conv2D(4, 3)(inputs=x))
        y = L.Conv2D(4, 3)(keras.ops.multiply(y, keras.ops.silu(y)))
        y = keras.ops.subtract(x2=keras.ops.silu(y), x1=y)
        y = keras.ops.reshape(keras.ops.tanh(y), (-1, 24, 24))
        return L.Dense(3, activation=ending("softmax"))(L.Flatten()(y))
    return functional(network)


@case(versions=(2,), two=("h5", "keras"))
def functions():
    """TensorFlow's functions on tensors, and layers of Keras 2 alone."""
    import tensorflow as tf

    def network(x):
        y = tf.nn.silu(L.ThresholdedReLU(0.2)(L.Conv2D(4, 3)(x)))
        y = tf.math.negative(tf.math.sigmoid(L.BatchNormalization(synchronized=True)(L.Conv2D(4, 3)(y))))
        return head(tf.math.tanh(y))
    return functional(network)


def swish(x):
    return x * keras.activations.sigmoid(1.5 * x)


@case(versions=(3,), refused=True)
def refused_function_of_ones_own():
    return functional(lambda x: head(L.Conv2D(4, 3, activation=swish)(x)))


@case(versions=(3,), three=("keras",), refused=True)
def refused_module_of_ones_own():
    """Of a module whose name begins as Keras's does; HDF5 files do not say whose a class is."""
    class Dropout(L.Layer):
        def call(self, inputs):
            return 2 * inputs
    Dropout.__module__ = "keras_of_mine"
    return functional(lambda x: head(Dropout()(L.Conv2D(4, 3)(x))))


@keras.utils.register_keras_serializable("Mine")
class Sequential(keras.Sequential):
    """Somebody's own, who may call it otherwise."""


@case(versions=(3,), three=("keras",), refused=True)
def refused_model_of_ones_own():
    return Sequential([keras.Input(Building.shape), L.Conv2D(4, 3), L.GlobalAveragePooling2D(), L.Dense(3)])


@case(versions=(3,), three=("h5",), refused=True)
def refused_lora():
    model = sequential(L.Flatten(), L.Dense(8, name="low_rank"), L.Dense(3))
    model.get_layer("low_rank").enable_lora(2)
    return model


@case(versions=(2,), refused=True, two=("h5", "keras"))
def refused_beta():
    import tensorflow as tf
    return functional(lambda x: head(tf.nn.silu(L.Conv2D(4, 3)(x), beta=2.0)))
