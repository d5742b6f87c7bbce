#!/usr/bin/env python3
"""Makes tests/golden/resize: one small picture as Pillow, TensorFlow, Keras, torchvision and OpenCV resize it.

Needs pillow 13, tensorflow-cpu, keras, torch, torchvision (0.16 or later, with AVX2) and opencv-python-headless, in a virtual
environment, and Debian's Pillow in /usr/bin/python3. The results are committed; run it only to change them:
make_resize_references.py tests/golden/resize

Each file holds the pixels of all sizes one after the other, (pixels, 1, channels). cases.txt has a line for each file:
its name, channels, how far salmap may be off in levels of 255, and salmap's options.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np

SIZES = ((16, 16), (20, 60), (50, 9))  # smaller, mixed twice: rows and columns grow and shrink
out = Path(sys.argv[1])
lines = []


def make_source():
    """Ramps, thin rings and noise."""
    rng = np.random.default_rng(70)
    y, x = np.mgrid[:37, :53]
    radius = np.hypot(y - 17, x - 29)
    rings = np.stack([127 + 100 * np.sin(radius * radius / k) + x / 2 for k in (9, 14, 30)], -1)
    rings[:, :26] = rng.uniform(0, 255, (37, 26, 3))
    return np.clip(np.rint(rings), 0, 255).astype(np.uint8)


SOURCE = make_source()


def case(name, resize, tolerance, **options):
    """resize(picture, height, width) of (H, W, C) bytes; floats are kept of one channel alone, to be small."""
    channels = 3 if resize(SOURCE, 4, 4).dtype == np.uint8 else 1
    parts = [np.asarray(resize(SOURCE[..., :channels], h, w)).reshape(-1, 1, channels) for h, w in SIZES]
    np.save(out / f"{name}.npy", np.concatenate(parts))
    said = " ".join(f"{key.replace('_', '-')}={value}" for key, value in options.items())
    lines.append(f"{name} {channels} {tolerance} {said}")


def pillow():
    import PIL
    from PIL import Image

    major = int(PIL.__version__.split(".")[0])
    rounding = "pillow13" if major >= 13 else "passes"
    for method in ("nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"):
        kind = Image.Resampling[method.upper()]

        def resize(a, h, w, box=None, kind=kind):
            picture = Image.fromarray(a if a.shape[2] == 3 else a[..., 0])
            return np.asarray(picture.resize((w, h), kind, box))

        def aspect(a, h, w, resize=resize):
            """keras.utils.load_img's keep_aspect_ratio."""
            height, width = a.shape[:2]
            part_h, part_w = min(width * h // w, height), min(height * w // h, width)
            y, x = (height - part_h) // 2, (width - part_w) // 2
            return resize(a, h, w, (x, y, x + part_w, y + part_h))

        def floats(a, h, w, kind=kind):
            return np.asarray(Image.fromarray(a[..., 0].astype(np.float32)).resize((w, h), kind))[..., None]

        case(f"pillow{major}-{method}", resize, 0, resample=method, round=rounding)
        case(f"pillow{major}-{method}-aspect", aspect, 0, resample=method, round=rounding, fit="crop-aspect")
        if method != "nearest" and major >= 13:
            case(f"pillow{major}-{method}-float", floats, 1e-3, resample=method)


def tensorflow():
    import tensorflow as tf

    for method, ours, antialias in (
        ("nearest", "nearest", False), ("area", "area", False), ("bilinear", "bilinear", False), ("bilinear", "bilinear", True),
        ("bicubic", "bicubic", False), ("bicubic", "bicubic", True), ("lanczos3", "lanczos", False), ("lanczos3", "lanczos", True),
    ):  # fmt: skip

        def resize(a, h, w, method=method, antialias=antialias):
            return tf.image.resize(a, (h, w), method=method, antialias=antialias).numpy().astype(np.float32)

        tail = "-antialias" if antialias else ""
        case(f"tf-{method}{tail}", resize, 0.02, resample=ours, antialias="on" if antialias else "off")
    for name, function, ours, tolerance in (
        ("nearest", tf.compat.v1.image.resize_nearest_neighbor, "nearest", 0),
        ("bilinear", tf.compat.v1.image.resize_bilinear, "bilinear", 0.02),
        ("bicubic", tf.compat.v1.image.resize_bicubic, "cubic75", 0.3),  # a table of 1024 weights
    ):
        for grid in ("align-corners", "asymmetric"):

            def resize(a, h, w, function=function, grid=grid):
                return function(a[None].astype(np.float32), (h, w), align_corners=grid == "align-corners")[0].numpy()

            case(f"tf1-{name}-{grid}", resize, tolerance, resample=ours, antialias="off", grid=grid)


def keras_layer():
    import keras

    for method, ours in (("nearest", "nearest"), ("bilinear", "bilinear"), ("bicubic", "bicubic"), ("lanczos3", "lanczos")):

        def resize(a, h, w, method=method, **options):
            return np.asarray(keras.layers.Resizing(h, w, interpolation=method, **options)(a[None])[0])

        def floats(a, h, w, resize=resize):
            return resize(a.astype(np.float32), h, w)

        def aspect(a, h, w, resize=resize):
            return resize(a.astype(np.float32), h, w, crop_to_aspect_ratio=True)

        case(f"keras-{method}", resize, 1, resample=ours, antialias="off", round="once")
        case(f"keras-{method}-float", floats, 0.02, resample=ours, antialias="off")
        case(f"keras-{method}-aspect", aspect, 0.02, resample=ours, antialias="off", fit="crop-aspect")


def torchvision():
    import torch
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms import functional as v1
    from torchvision.transforms.v2 import functional as v2

    for method in ("nearest", "nearest-exact", "bilinear", "bicubic"):
        for antialias in (False, True):
            if antialias and method.startswith("nearest"):
                continue
            kind = InterpolationMode(method)

            def resize(a, h, w, functional=v2, antialias=antialias, kind=kind):
                tensor = torch.from_numpy(np.ascontiguousarray(np.moveaxis(a, -1, 0)))
                return np.moveaxis(functional.resize(tensor, [h, w], kind, antialias=antialias).numpy(), 0, -1)

            def before(a, h, w, resize=resize):
                return resize(a, h, w, functional=v1)

            def floats(a, h, w, resize=resize):
                return resize(a.astype(np.float32), h, w)

            options = {"resample": "nearest" if method.startswith("nearest") else method, "antialias": "on" if antialias else "off"}
            if method == "nearest":
                options["grid"] = "asymmetric"
            if method == "bicubic" and not antialias:
                options["resample"] = "cubic75"
            name = f"torch-{method}" + ("-antialias" if antialias else "")
            case(f"{name}-float", floats, 0.02, **options)
            case(name, resize, 0, round="torch", **options)
            case(f"{name}-v1", before, 1, round="once", **options)
    for method, ours in (("bilinear", "bilinear"), ("bicubic", "cubic75")):

        def corners(a, h, w, method=method):
            tensor = torch.from_numpy(np.moveaxis(a.astype(np.float32), -1, 0).copy())[None]
            found = torch.nn.functional.interpolate(tensor, (h, w), mode=method, align_corners=True)
            return np.moveaxis(found[0].numpy(), 0, -1)

        case(f"torch-{method}-corners", corners, 0.02, resample=ours, antialias="off", grid="align-corners")


def opencv():
    import cv2

    for name, kind, tolerance, options in (
        ("nearest", cv2.INTER_NEAREST, 0, {"resample": "nearest", "grid": "asymmetric"}),
        ("linear", cv2.INTER_LINEAR, 0, {}),
        ("cubic", cv2.INTER_CUBIC, 1, {"resample": "cubic75"}),
        ("area", cv2.INTER_AREA, 1, {"resample": "area"}),
    ):

        def resize(a, h, w, kind=kind):
            return cv2.resize(a, (w, h), interpolation=kind).reshape(h, w, -1)

        case(f"opencv-{name}", resize, tolerance, antialias="off", round="opencv", **options)


LIBRARIES = (pillow, pillow, tensorflow, keras_layer, torchvision, opencv)


def main():
    if len(sys.argv) > 2:  # one library
        LIBRARIES[int(sys.argv[2])]()
        print("\n".join(lines))
        return
    out.mkdir(parents=True, exist_ok=True)
    for old in out.iterdir():
        old.unlink()
    np.save(out / "source.npy", SOURCE)
    # A process each: TensorFlow and torch do not bear each other, and Debian's Python has an older Pillow.
    pythons = ["/usr/bin/python3"] + [sys.executable] * (len(LIBRARIES) - 1)
    runs = [subprocess.run([python, __file__, out, str(i)], check=True, stdout=subprocess.PIPE) for i, python in enumerate(pythons)]
    (out / "cases.txt").write_bytes(b"".join(run.stdout for run in runs))


main()
