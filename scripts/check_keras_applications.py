#!/usr/bin/env python3
"""Checks salmap on Keras files of whole networks with random weights: the ConvNets of keras.applications, and those of
make_fish_networks.py. Nothing is downloaded. For each network it

  - has Keras save it as NAME.h5 and NAME.keras, and compute scores and a gradient in double precision (keras_references.py)
  - has test_keras compare what salmap computes, and prints the numbers that it measured, of the worse file, as a row of a table;
    of networks with max pools also for pictures that are flat in places, which print a line of their own
  - has the program inspect both files, which proposes what the network's preprocess_input does, and explain a picture with them: what comes
    out is no flat map

    python check_keras_applications.py --program BUILD/tests/golden/test_keras [--salmap BUILD/salmap] [NETWORK ...]

Without names: all networks. --ci GROUP: those that are checked always. --legacy: as Keras 2 saves them.
Run it with the Python that keras_environment.sh makes. Ends with 1 where a network fails."""
import argparse
import functools
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np

from keras_references import Network, flat_noise, noise, write
from make_fish_networks import FISH, SCALES, exposed, scales

ALL = ("VGG16", "VGG19", "ResNet50", "ResNet101", "ResNet152", "ResNet50V2", "ResNet101V2", "ResNet152V2", "InceptionV3",
       "InceptionResNetV2", "Xception", "MobileNet", "MobileNetV2", "MobileNetV3Small", "MobileNetV3Large", "DenseNet121",
       "DenseNet169", "DenseNet201", "NASNetMobile", "EfficientNetB0", "EfficientNetB1", "EfficientNetB2", "EfficientNetB3",
       "EfficientNetB4", "EfficientNetV2B0", "EfficientNetV2B1", "EfficientNetV2B2", "EfficientNetV2B3", "EfficientNetV2S",
       "RegNetX002", "RegNetY002", "ConvNeXtTiny", "ConvNeXtSmall")
# Of most kinds one: VGG-16, Inception v3 and EfficientNet are those of papers on fish, at the papers' sizes.
CI_NETWORKS = {
    "classic": ("ResNet50", "Xception", "DenseNet121"),
    "mobile": ("MobileNet", "MobileNetV2", "MobileNetV3Small", "NASNetMobile"),
    "fish": tuple(FISH),
    "legacy": ("RegNetX002", "MobileNetV3Small"),
}
SIZE, CLASSES = 96, 20
FLAT_WAYS = 2  # in which test_keras computes flat pictures
BYTES_IN = ("MobileNetV3", "EfficientNet", "RegNet", "ConvNeXt")  # they rescale inside
PRESETS = {"VGG": "caffe", "ResNet": "caffe", "DenseNet": "imagenet"}  # what preprocess_input does; others: tf or raw
FISH_PRESETS = {"fish_inception_v3": "tf", "fish_vgg16": "caffe"}
PICTURES = ("scale_00.png", "scale_05.jpg")
HEADER = "| network | saved by | weights | input | scores | gradient | Keras's float32 | 1 − cosine | kind | passed over |"


def application(keras, logits, name):
    return getattr(keras.applications, name)(weights=None, input_shape=(SIZE, SIZE, 3), classes=CLASSES,
                                             classifier_activation=None if logits else "softmax")


def network_of(name):
    if name in FISH:
        return FISH[name]
    bytes_in = name.startswith(BYTES_IN)
    return Network(functools.partial(application, name=name), functools.partial(noise, bytes_in=bytes_in),
                   functools.partial(flat_noise, bytes_in=bytes_in))


def compare(program, folder):
    """Runs test_keras; the scores' error, the gradient's, and 1 - cosine, of each file and of the flat pictures."""
    table = folder / "measured.txt"
    done = subprocess.run([program, "--jobs", "1"], env={**os.environ, "SAL_KERAS": str(folder), "SAL_KERAS_TABLE": str(table)},
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        print(done.stdout, flush=True)
    lines = [line.split() for line in table.read_text().splitlines()] if table.exists() else []
    measured, flat = ([[float(v) for v in line[1:]] for line in lines if (":flat" in line[0]) == of_flat] for of_flat in (False, True))
    return done.returncode == 0 and len(measured) == 2, measured, flat


def explained_pictures(folder, name, shape):
    """Pictures for the program, and the preset that they need: scales where the network is for them, as files where it can be."""
    if name in FISH and FISH[name].preset != "exposures":
        return [SCALES / p for p in PICTURES], FISH[name].preset
    picture = folder / "picture.npy"
    if name in FISH:
        np.save(picture, exposed(scales(1, shape[1]))[0])
    else:
        np.save(picture, np.load(folder / f"{name}.input.npy").transpose(1, 2, 0))
    return [picture], "raw"


def proposed_preset(name):
    if name.startswith(BYTES_IN):
        return "raw"
    if name in FISH:
        return FISH_PRESETS.get(name, "raw")
    return "tf" if name.endswith("V2") else next((p for n, p in PRESETS.items() if name.startswith(n)), "tf")


def inspect(salmap, folder, name):
    for ending in ("h5", "keras"):
        said = subprocess.run([salmap, "inspect", folder / f"{name}.{ending}", "--json"], stdout=subprocess.PIPE, text=True, check=True).stdout
        assert f'"preset": "{proposed_preset(name)}"' in said, f"inspect does not propose {proposed_preset(name)} for {name}.{ending}: {said}"


def explain(salmap, folder, name):
    shape = np.load(folder / f"{name}.input.npy").shape
    pictures, preset = explained_pictures(folder, name, shape)
    for ending in ("h5", "keras"):
        maps = folder / ending
        done = subprocess.run([salmap, "explain", folder / f"{name}.{ending}", *pictures, "-o", maps, "--preset", preset, "--json"],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        assert done.returncode == 0, f"explain ended with {done.returncode}: {done.stdout}"
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(lines) == len(pictures) and not any(m["flat"] for line in lines for m in line["maps"]), f"flat: {done.stdout}"
        for picture in pictures:
            values = np.load(maps / f"{picture.stem}.npy")
            assert values.ndim == 2 and values.min() == 0 and 0.99 < values.max() <= 1 and values.std() > 0.01, f"{picture}: flat map"


def seconds():
    """Elapsed, and of all cores, of this process and those that it waited for."""
    return time.monotonic(), sum(os.times()[:4])


def check(keras, options, name):
    start = seconds()
    with tempfile.TemporaryDirectory(dir=options.work) as work:
        folder = pathlib.Path(work)
        about = write(keras, folder, name, network_of(name))
        passed, measured, flat = compare(options.program, folder)
        passed = passed and len(flat) == (len(measured) * FLAT_WAYS * about["flat"]["count"] if about["flat"] else 0)
        if passed and options.salmap:
            inspect(options.salmap, folder, name)
            explain(options.salmap, folder, name)
    worst = [max((v[i] for v in measured), default=float("nan")) for i in range(3)]
    print(f"| {name} | {keras.__version__} | {about['weights'] / 1e6:.1f} M | {about['input']} | {worst[0]:.1e} | {worst[1]:.1e} | "
          f"{about['own'][1]:.1e} | {worst[2]:.0e} | {'ReLU' if about['kinked'] else 'smooth'} | {about['passed_over']} |{'' if passed else ' FAILED'}", flush=True)
    if about["flat"]:
        print(f"{name}: {about['flat']['count']} flat pictures: gradients off by at most {max((v[1] for v in flat), default=float('nan')):.1e} "
              f"(Keras's float32: {about['flat']['own']:.1e}), {about['flat']['passed_over']} passed over", file=sys.stderr)
    elapsed, busy = (now - then for now, then in zip(seconds(), start))
    print(f"{name}: {elapsed:.0f} s, {busy:.0f} s of processors", file=sys.stderr, flush=True)
    return passed


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("networks", nargs="*", default=[*ALL, *FISH])
    parser.add_argument("--program", required=True, help="test_keras")
    parser.add_argument("--salmap", help="also explain with this program")
    parser.add_argument("--work", help="folder for the files while they are needed")
    parser.add_argument("--ci", choices=CI_NETWORKS, help="the networks of this group")
    parser.add_argument("--legacy", action="store_true", help="saved by Keras 2")
    options = parser.parse_args()
    if options.legacy or options.ci == "legacy":
        import tf_keras as keras
    else:
        import keras
    print(HEADER + "\n" + "|---" * HEADER.count("| ") + "|", flush=True)
    failed = 0
    for name in CI_NETWORKS[options.ci] if options.ci else options.networks:
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
