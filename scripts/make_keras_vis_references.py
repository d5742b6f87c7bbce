#!/usr/bin/env python3
"""Writes the maps that tf-keras-vis makes of Keras files in this repository, for tests/cli/test_keras_vis.py.

    python make_keras_vis_references.py tests/golden/keras_vis

Needs what keras_environment.sh installs. The input is a pattern of whole numbers, which the test
makes as well. The call is the classic one: absolute gradient, largest channel, (m - min) / (max - min + 1e-7), and the
activation of the last layer replaced by linear. keras-vis's visualize_saliency returns the same: its loss is the negative mean
of the outputs that are asked for, and the sign goes with the modulus."""
import argparse
import os
import pathlib
import tempfile
import zipfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["TF_USE_LEGACY_KERAS"] = "1"  # tf-keras-vis is of the time of Keras 2

import numpy as np
import tensorflow as tf
from tf_keras_vis.saliency import Saliency
from tf_keras_vis.utils.model_modifiers import ReplaceToLinear
from tf_keras_vis.utils.scores import CategoricalScore

ROOT = pathlib.Path(__file__).resolve().parent.parent


def pattern(height, width):
    """(1, H, W, 3), whole numbers from 0 to 255 brought to -2..2."""
    y, x, c = np.ogrid[:height, :width, :3]
    return (((y * 7 + x * 13 + c * 29 + y * x) % 256 - 128) / 64).astype(np.float32)[None]


def every_output(output):
    return tf.reduce_mean(output)


def saliency(path, score):
    model = tf.keras.models.load_model(path, compile=False)
    return Saliency(model, model_modifier=ReplaceToLinear())(score, pattern(*model.input_shape[1:3]))[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=pathlib.Path)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    demo = ROOT / "data/models/scale_age_honest.h5"
    with tempfile.TemporaryDirectory() as work:
        with zipfile.ZipFile(ROOT / "tests/golden/keras/stack_valid.zip") as packed:
            classifier = packed.extract("stack_valid.k2.h5", work)
        for name, path, score in (("demo", demo, every_output), ("classifier_mean", classifier, every_output),
                                  ("classifier_index_3", classifier, CategoricalScore(3))):
            made = saliency(path, score).astype(np.float32)
            np.save(out / f"{name}.npy", made)
            print(f"{name}: {made.shape}, mean {made.mean():.6f}, largest {made.max():.8f}")


if __name__ == "__main__":
    main()
