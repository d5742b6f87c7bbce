#!/usr/bin/env python3
"""Twelve loaders of other libraries and six pictures: is what salmap makes of a picture what they make of it?

    check_loaders.py --library libsalmap.so --salmap SALMAP --keras PYTHON --torch PYTHON [--timm FOLDER] [--table]

PYTHON of --keras has TensorFlow, Keras, Pillow and opencv-python-headless, as keras_environment.sh makes it; that of
--torch has torch, torchvision and Pillow, as Debian's. timm is there too, or in FOLDER. A loader whose library is not there is left out, and said. Each library
runs in a process of its own, since TensorFlow and torch do not bear each other. NumPy is needed here.

Prepared inputs may be off by one level of 255, and where libraries compute in whole numbers not at all; the demo network
must predict the same from both. --table prints the differences as tests/README.md has them. Exit status 1: one is too
large; 77: no loader was there.
"""

import argparse
import ctypes
import json
import os
import struct
import subprocess
import sys
import tempfile
import zlib

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MODEL = os.path.join(ROOT, "data/models/scale_age_honest.onnx")
SIDE = 192  # of the demo network's input
BEFORE = 219  # floor(192 / 0.875)
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
PICTURES = ("gray.png", "palette.png", "rgba.png", "deep.png", "turned.jpg", "rings.png")

# ---- The pictures -----------------------------------------------------------


def rings(height, width):
    """Rings that get thinner outwards, down to two pixels: what resizes differently shows."""
    y, x = np.mgrid[:height, :width]
    radius = np.hypot(y - 0.45 * height, x - 0.52 * width)
    waves = [127.5 + 120 * np.sin(radius * radius / k) for k in (0.25 * width, 0.4 * width, 0.6 * width)]
    return np.clip(np.rint(np.stack(waves, -1)), 0, 255).astype(np.uint8)


def write_png(path, samples, color_type, palette=None, transparency=None):
    """Pillow writes no 16-bit colours."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = samples.shape[:2]
    depth = 8 * samples.dtype.itemsize
    rows = b"".join(b"\0" + row.astype(samples.dtype.newbyteorder(">")).tobytes() for row in samples)
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)))
        for kind, data in ((b"PLTE", palette), (b"tRNS", transparency)):
            if data is not None:
                f.write(chunk(kind, data.tobytes()))
        f.write(chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b""))


def make_pictures(folder):
    from PIL import Image

    rng = np.random.default_rng(17)
    picture = rings(300, 420)
    alpha = rng.integers(0, 256, (300, 420, 1), dtype=np.uint8)
    deep = picture.astype(np.uint16) * 257 - rng.integers(0, 257, picture.shape).astype(np.uint16) * (picture > 0)
    palette, transparency = rng.integers(0, 256, (256, 3), dtype=np.uint8), rng.integers(0, 256, 256, dtype=np.uint8)
    write_png(os.path.join(folder, "gray.png"), picture[..., 0], 0)
    write_png(os.path.join(folder, "palette.png"), picture[..., 0], 3, palette, transparency)
    write_png(os.path.join(folder, "rgba.png"), np.concatenate([picture, alpha], -1), 6)
    write_png(os.path.join(folder, "deep.png"), deep, 2)
    write_png(os.path.join(folder, "rings.png"), rings(2000, 3000), 2)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture).save(os.path.join(folder, "turned.jpg"), quality=92, subsampling=0, exif=exif)


# ---- The loaders: each is a function of a path that gives (H, W, 3) floats, salmap's options, and its exactness -----


def pillow_rounding():
    import PIL

    return "pillow13" if int(PIL.__version__.split(".")[0]) >= 13 else "passes"


def keras_loaders():
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    import tensorflow as tf

    def load_img(interpolation):
        def load(path):
            return keras.utils.img_to_array(keras.utils.load_img(path, target_size=(SIDE, SIDE), interpolation=interpolation))

        return load

    def dataset(path):
        with tempfile.TemporaryDirectory() as folder:
            os.mkdir(os.path.join(folder, "class"))
            os.symlink(path, os.path.join(folder, "class", os.path.basename(path)))
            found = keras.utils.image_dataset_from_directory(folder, image_size=(SIDE, SIDE), batch_size=1, shuffle=False, verbose=False)
            return next(iter(found))[0][0].numpy()

    def decode(path):
        return tf.io.decode_image(tf.io.read_file(path), channels=3, expand_animations=False)

    def resize(antialias):
        return lambda path: tf.image.resize(decode(path), (SIDE, SIDE), antialias=antialias).numpy()

    def layer(path):
        return np.asarray(keras.layers.Resizing(SIDE, SIDE)(tf.cast(decode(path), tf.float32)[None])[0])

    rounding = {"round": pillow_rounding()}
    load = {"recipe": "keras-load-img", "preset": "raw"}
    tensor = {"recipe": "tf-image", "preset": "raw"}
    yield "load_img, nearest", load_img("nearest"), load, True
    yield "load_img, bilinear", load_img("bilinear"), {**load, "resample": "bilinear", **rounding}, True
    yield "load_img, bicubic", load_img("bicubic"), {**load, "resample": "bicubic", **rounding}, True
    yield "image_dataset_from_directory", dataset, {"recipe": "keras-image-dataset"}, False
    yield "tf.image.resize", resize(False), tensor, False
    yield "tf.image.resize, antialias", resize(True), {**tensor, "antialias": "on"}, False
    yield "Resizing layer", layer, tensor, False


def opencv_loaders():
    import cv2

    def load(kind):
        return lambda path: cv2.resize(cv2.imread(path), (SIDE, SIDE), interpolation=kind).astype(np.float32)

    options = {"recipe": "opencv", "preset": "raw"}
    yield "OpenCV, linear", load(cv2.INTER_LINEAR), options, True
    yield "OpenCV, area", load(cv2.INTER_AREA), {**options, "resample": "area"}, False


def torch_loaders():
    from PIL import Image
    from torchvision import transforms

    def run(steps, convert=lambda picture: picture):
        def load(path):
            with Image.open(path) as picture:
                return np.moveaxis(steps(convert(picture.convert("RGB"))).numpy(), 0, -1)

        return load

    normalize = transforms.Normalize(MEAN.tolist(), STD.tolist())
    pictures = transforms.Compose([transforms.Resize(BEFORE), transforms.CenterCrop(SIDE), transforms.ToTensor(), normalize])
    tensors = transforms.Compose([transforms.ToTensor(), transforms.Resize([SIDE, SIDE], antialias=True)])
    rounding = {"round": pillow_rounding()}
    yield "torchvision, PIL", run(pictures), {"recipe": "torchvision", **rounding}, True
    yield "torchvision, tensor", run(tensors), {"preset": "unit", "alpha-over": "drop", "exif": "ignore"}, False
    try:
        from timm.data import create_transform
    except ImportError as error:
        print(f"timm: {error}", file=sys.stderr)
        return
    yield "timm", run(create_transform(SIDE, interpolation="bicubic", crop_pct=0.875)), {"recipe": "timm", **rounding}, True


LIBRARIES = {"keras": keras_loaders, "opencv": opencv_loaders, "torch": torch_loaders}


def load_all(library, folder):
    """Writes what the loaders of a library make of each picture, and a list of them."""
    rows = []
    for name, load, options, exact in LIBRARIES[library]():
        for picture in PICTURES:
            file = f"{library}-{len(rows)}-{picture}.npy"
            np.save(os.path.join(folder, file), np.asarray(load(os.path.join(folder, picture)), dtype=np.float32))
        rows.append({"name": name, "options": options, "exact": exact, "prefix": f"{library}-{len(rows)}-"})
    with open(os.path.join(folder, f"{library}.json"), "w") as f:
        json.dump(rows, f)


# ---- salmap -----------------------------------------------------------------


class Picture(ctypes.Structure):
    _fields_ = [("height", ctypes.c_int64), ("width", ctypes.c_int64), ("channels", ctypes.c_int64), ("rest", ctypes.c_char * 64)]


class Library:
    def __init__(self, path):
        self.calls = ctypes.CDLL(path)
        self.calls.sal_last_error.restype = ctypes.c_char_p

    def must(self, status):
        if status != 0:
            raise SystemExit("salmap: " + self.calls.sal_last_error().decode())

    def prepare(self, path, options):
        """(H, W, 3) floats. A recipe comes behind the preset: it leaves values open, or brings its own."""
        how = ctypes.create_string_buffer(4096)  # a sal_preprocess, which text fills
        for key in sorted(options, key=lambda key: {"preset": 0, "recipe": 1}.get(key, 2)):
            self.must(self.calls.sal_preprocess_set(how, key.encode(), options[key].encode()))
        picture = Picture()
        out = np.full((3, SIDE, SIDE), np.nan, np.float32)
        three, side = ctypes.c_int64(3), ctypes.c_int64(SIDE)
        self.must(self.calls.sal_picture_read_for(ctypes.byref(picture), path.encode(), how, three, None))
        self.must(self.calls.sal_preprocess_apply(out.ctypes.data_as(ctypes.c_void_p), None, ctypes.byref(picture), how, three, side, side))
        self.calls.sal_picture_clear(ctypes.byref(picture))
        return np.moveaxis(out, 0, -1)


def predict(salmap, folder, paths, options):
    """The predicted class and its score of each picture."""
    given = [word for key, value in options.items() for word in (f"--{key}", value)]
    command = [salmap, "explain", MODEL, *paths, "-o", os.path.join(folder, "out"), "--json", *given]
    run = subprocess.run(command, stdout=subprocess.PIPE, check=True, env={**os.environ, "OMP_WAIT_POLICY": "passive"})
    results = [json.loads(line) for line in run.stdout.splitlines()]
    return [(r["predicted"], r["score"]) for r in results]


def levels(row):
    """Of 255, per unit of the prepared input."""
    recipe = row["options"].get("recipe")
    return 255 * STD if recipe in ("torchvision", "timm") else 255.0 if row["options"].get("preset") == "unit" else 1.0


def compare(row, library, salmap, folder):
    """The largest difference of each picture in levels; what is wrong."""
    offs, wrong = [], []
    files = [os.path.join(folder, row["prefix"] + picture + ".npy") for picture in PICTURES]
    paths = [os.path.join(folder, picture) for picture in PICTURES]
    for picture, path, file in zip(PICTURES, paths, files):
        theirs, ours = np.load(file), library.prepare(path, row["options"])
        off = float(np.max(np.abs(theirs.astype(np.float64) - ours) * levels(row)))
        offs.append(off)
        limit = 1e-3 if row["exact"] else 1.0  # 16 bits keep their fractions where nothing is rounded
        if not off <= limit:
            wrong.append(f"{row['name']}, {picture}: inputs are {off:g} levels apart, {limit:g} are allowed")
    ours = predict(salmap, folder, paths, row["options"])
    theirs = predict(salmap, folder, files, {"preset": "raw", "order": "asis"})
    for picture, a, b in zip(PICTURES, ours, theirs):
        if a[0] != b[0]:
            wrong.append(f"{row['name']}, {picture}: class {a[0]} is predicted, of its own input {b[0]}")
    return offs, wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name in ("library", "salmap", "keras", "torch", "timm", "load", "folder"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    if given.load:  # a process of one library
        load_all(given.load, given.folder)
        return 0
    library = Library(given.library)
    wrong, rows = [], []
    with tempfile.TemporaryDirectory() as folder:
        make_pictures(folder)
        for name, python in (("keras", given.keras), ("torch", given.torch), ("opencv", given.keras)):
            if not python or not os.path.exists(python):
                print(f"left out: the loaders of {name}: there is no {python}")
                continue
            command = [python, os.path.abspath(__file__), "--load", name, "--folder", folder]
            extra = {"PYTHONPATH": given.timm} if given.timm and name == "torch" else {}
            run = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={**os.environ, **extra})
            missing = [line for line in run.stderr.splitlines() if "No module named" in line]
            if missing:
                print(f"left out of {name}: {missing[-1]}")
            if run.returncode != 0:
                if not missing:
                    wrong.append(f"the loaders of {name} failed: {run.stderr[-500:]}")
                continue
            with open(os.path.join(folder, f"{name}.json")) as f:
                for row in json.load(f):
                    offs, found = compare(row, library, given.salmap, folder)
                    rows.append((row["name"], offs))
                    wrong += found
    if given.table or wrong:
        print("| loader | " + " | ".join(PICTURES) + " |")
        print("|---" * (len(PICTURES) + 1) + "|")
        for name, offs in rows:
            print(f"| {name} | " + " | ".join("0" if off < 1e-3 else f"{off:.2g}" for off in offs) + " |")
    print(f"{len(rows)} loaders and {len(PICTURES)} pictures: {len(wrong)} differences too large")
    print("\n".join(wrong))
    return 1 if wrong else 0 if rows else 77


sys.exit(main())
