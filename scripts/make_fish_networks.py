#!/usr/bin/env python3
"""Writes Keras files of the kinds of network that papers on the age of fish used, with random weights, and what Keras computes
with them for pictures of scales:

    fish_inception_v3      Inception v3 at 400 px, one linear output: the age
    fish_efficientnet_b4   EfficientNet-B4 at 380 px, one linear output
    fish_nine_channels     EfficientNet-B0 of nine channels: three exposures of a scale at once
    fish_vgg16             VGG-16 as a layer, dense layers on it, classes by a softmax layer named dense_12

    python make_fish_networks.py OUT [NAME ...] [--legacy]

Run it with the Python that keras_environment.sh makes; --legacy: as Keras 2 writes them. The files are those of keras_references.py.
Nothing is downloaded."""
import argparse
import functools
import pathlib

import numpy as np
from PIL import Image

from flat_pictures import flat_in_places
from keras_references import Network, write

SCALES = pathlib.Path(__file__).resolve().parent.parent / "data/scales"
EXPOSURES = (0.6, 1.0, 1.6)  # as gamma
MEAN = np.array((103.939, 116.779, 123.68), np.float32)  # blue, green, red: what VGG-16 takes off
GRAIN = 2.0  # of a camera: in a background of one value, max pools would have ties, and no gradient
CLASSES = 9


def scales(count, side, first=0):
    """(count, side, side, 3) of 0..255."""
    paths = sorted(p for p in SCALES.iterdir() if p.suffix in (".png", ".jpg"))[first:first + count]
    return np.stack([np.asarray(Image.open(p).convert("RGB").resize((side, side), Image.Resampling.BILINEAR), np.float32) for p in paths])


def exposed(pictures):
    """Three exposures, one after the other in the channels."""
    return np.concatenate([255 * (pictures / 255) ** gamma for gamma in EXPOSURES], axis=-1).astype(np.float32)


PREPROCESS = {
    "tf": lambda x: x / 127.5 - 1,
    "raw": lambda x: x,
    "caffe": lambda x: x[..., ::-1] - MEAN,
    "exposures": exposed,
}


class FishNetwork(Network):
    """preset: of salmap's, how the network wants its pictures; "exposures": as numbers of nine channels."""

    def __init__(self, make, preset):
        super().__init__(make, self.some, self.some_flat)
        self.preset = preset

    def some(self, rng, count, shape):
        """The picture that is explained is none of those that the norms were calibrated with."""
        x = scales(count, shape[0], first=0 if count == 1 else 1)
        return PREPROCESS[self.preset](np.clip(x + rng.normal(0, GRAIN, x.shape), 0, 255)).astype(np.float32)

    def some_flat(self, rng, shape):
        x = scales(3, shape[0])
        return PREPROCESS[self.preset](flat_in_places(rng, x + rng.normal(0, GRAIN, x.shape))).astype(np.float32)


def regression(keras, logits, backbone, side, channels):
    del logits
    base = getattr(keras.applications, backbone)(weights=None, include_top=False, input_shape=(side, side, channels))
    x = keras.layers.GlobalAveragePooling2D()(base.output)
    return keras.Model(base.input, keras.layers.Dense(1, name="age")(keras.layers.Dropout(0.4)(x)))


def classifier(keras, logits, backbone, side):
    layers = keras.layers
    base = getattr(keras.applications, backbone)(weights=None, include_top=False, input_shape=(side, side, 3))
    return keras.Sequential([keras.Input((side, side, 3)), base, layers.Flatten(), layers.Dense(256, activation="relu"),
                             layers.Dropout(0.5), layers.Dense(CLASSES, activation=None if logits else "softmax", name="dense_12")])


FISH = {
    "fish_inception_v3": FishNetwork(functools.partial(regression, backbone="InceptionV3", side=400, channels=3), "tf"),
    "fish_efficientnet_b4": FishNetwork(functools.partial(regression, backbone="EfficientNetB4", side=380, channels=3), "raw"),
    "fish_nine_channels": FishNetwork(functools.partial(regression, backbone="EfficientNetB0", side=224, channels=9), "exposures"),
    "fish_vgg16": FishNetwork(functools.partial(classifier, backbone="VGG16", side=224), "caffe"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("networks", nargs="*", default=list(FISH))
    parser.add_argument("--legacy", action="store_true", help="by Keras 2")
    options = parser.parse_args()
    if options.legacy:
        import tf_keras as keras
    else:
        import keras
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.networks:
        about = write(keras, options.out, name, FISH[name])
        print(f"{name}: {about['weights']} weights, input {about['input']}", flush=True)


if __name__ == "__main__":
    main()
