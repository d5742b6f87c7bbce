#!/usr/bin/env python3
"""Checks the way of somebody who trains with Keras: pictures in class folders, a network that learned from them with
keras.utils.image_dataset_from_directory, its .keras file, and `salmap sweep` with the recipe of that loader and nothing else.
What salmap predicts of each picture is compared with what Keras does.

    python check_keras_training.py --salmap BUILD/salmap [--pictures 300] [--size 3000x2000] [--keep DIR]

Run it with the Python that keras_environment.sh makes. The pictures are rings on a rough ground, finer than a pixel of the
network's input: whoever resizes them otherwise than Keras sees other rings. Ends with 1 where a prediction differs, or a
probability by more than --bound."""
import argparse
import csv
import os
import pathlib
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from PIL import Image

AGES = (2, 3, 5, 10)  # folders in bytewise order: age_10 comes first
INPUT, RECIPE = 96, "keras-image-dataset"


def draw(rng, age, height, width):
    """A scale, 8 bits RGB: as many broad bands as years, each of rings that are a few pixels apart."""
    y, x = (axis.astype(np.float32) for axis in np.ogrid[:height, :width])
    cy, cx = height * rng.uniform(0.4, 0.6), width * rng.uniform(0.4, 0.6)
    radius = np.hypot((y - cy) * rng.uniform(0.9, 1.1), x - cx) / (0.45 * height)
    spacing = rng.uniform(5, 9)
    rings = np.sin(radius * np.float32(0.45 * height * 2 * np.pi / spacing))
    bands = np.cos(radius * np.float32(2 * np.pi * age))
    gray = np.where(radius < 1, 140 + 50 * rings + 40 * bands, 225 + 8 * np.sin(x / 3))
    gray += 6 * rng.standard_normal((height, width), np.float32)
    tint = rng.uniform(0.85, 1.0, 3).astype(np.float32)
    return np.clip(gray[..., None] * tint, 0, 255).astype(np.uint8)


def make_pictures(folder, count, height, width):
    rng = np.random.default_rng(5)
    for i in range(count):
        age = AGES[i % len(AGES)]
        of_class = folder / f"age_{age}"
        of_class.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw(rng, age, height, width)).save(of_class / f"fish_{i:04}.jpg", quality=92)


def pictures_of(folder, **options):
    return keras.utils.image_dataset_from_directory(folder, image_size=(INPUT, INPUT), batch_size=20, verbose=False, **options)


def train(folder, epochs):
    layers = [keras.layers.Input((INPUT, INPUT, 3)), keras.layers.Rescaling(1 / 255)]
    for filters in (16, 32, 64):
        layers += [keras.layers.Conv2D(filters, 3, padding="same", use_bias=False), keras.layers.BatchNormalization(momentum=0.8),
                   keras.layers.ReLU(), keras.layers.MaxPooling2D()]
    layers += [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(len(AGES), activation="softmax")]
    keras.utils.set_random_seed(3)
    model = keras.Sequential(layers)
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    model.fit(pictures_of(folder, seed=1).cache(), epochs=epochs, verbose=0)
    return model


def keras_says(model, folder):
    data = pictures_of(folder, shuffle=False)
    names = [str(pathlib.Path(p).relative_to(folder)) for p in data.file_paths]
    return dict(zip(names, model.predict(data, verbose=0))), data.class_names


def salmap_says(salmap, model_file, folder, run):
    begin = time.time()
    subprocess.run([salmap, "sweep", model_file, folder, "--recipe", RECIPE, "-o", run, "--quiet"], check=True)
    print(f"salmap sweep, overlays and maps of all: {time.time() - begin:.1f} s")
    with open(run / "results.csv", newline="") as f:
        return list(csv.DictReader(f))


def compare(rows, answers, bound):
    """How many predictions differ, and the largest difference of a probability."""
    wrong, worst, chosen = 0, 0.0, []
    for row in rows:
        expected = answers[row["path"]]
        got = int(row["predicted"])
        chosen.append(got)
        wrong += got != int(expected.argmax())
        difference = abs(float(row["probability"]) - float(expected[got]))
        worst = max(worst, difference if difference == difference else np.inf)
    counts = np.bincount(chosen, minlength=len(AGES))
    print(f"{len(rows)} pictures: {wrong} predictions differ, probabilities by at most {worst:.1e}; predicted {counts.tolist()}")
    return len(rows) == len(answers) and wrong == 0 and worst <= bound and (counts > 0).sum() > 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--salmap", required=True, type=pathlib.Path)
    parser.add_argument("--pictures", type=int, default=300)
    parser.add_argument("--size", default="3000x2000", help="width x height (default 3000x2000)")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--bound", type=float, default=1e-3, help="of probabilities (default 1e-3)")
    parser.add_argument("--keep", type=pathlib.Path, help="folder for pictures, network and run, kept")
    a = parser.parse_args()
    width, height = map(int, a.size.split("x"))
    with tempfile.TemporaryDirectory() as temporary:
        work = a.keep or pathlib.Path(temporary)
        pictures = work / "pictures"
        make_pictures(pictures, a.pictures, height, width)
        model = train(pictures, a.epochs)
        answers, names = keras_says(model, pictures)
        print(f"Keras {keras.__version__}, classes {', '.join(names)}")
        model.save(work / "ages.keras")
        rows = salmap_says(a.salmap, work / "ages.keras", pictures, work / "run")
        return 0 if compare(rows, answers, a.bound) else 1


if __name__ == "__main__":
    sys.exit(main())
