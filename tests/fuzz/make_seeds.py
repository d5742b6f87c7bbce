#!/usr/bin/env python3
"""Inputs to begin fuzzing with: make_seeds.py OUT writes OUT/TARGET/..., mostly out of what the tests compare with.

The corpora in corpus/ are such inputs and what fuzzing added, minimised: scripts/fuzz.sh uses those alone. Needs Pillow
and NumPy; seeds of Keras' configurations and of small HDF5 files also need h5py.
"""

import io
import json
import pathlib
import sys
import zipfile

import numpy
from PIL import Image, features

try:
    import h5py
except ImportError:
    h5py = None

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MOST_BYTES = 16384  # of a seed: mutations of longer ones rarely hit what matters


def onnx():
    for path in sorted(ROOT.glob("tests/golden/onnx/*/*.onnx")):
        yield path.name, path.read_bytes()


def keras_members():
    for case in sorted(ROOT.glob("tests/golden/keras/*.zip")):
        with zipfile.ZipFile(case) as packed:
            for name in packed.namelist():
                if name.endswith((".keras", ".h5")):
                    yield name, packed.read(name)


def keras():
    if not h5py:
        return
    import keras_seeds

    for name, data in keras_members():
        made = keras_seeds.seed(name, data)
        if made:
            yield f"{name}.json", json.dumps(made).encode()


def small_hdf5(libver, text_type, fill):
    """A network of one layer, with texts and weights stored one way of many."""
    layers = [
        {"class_name": "Conv2D", "config": {"name": "c", "batch_input_shape": [None, 4, 4, 1], "filters": 2, "kernel_size": 1}},
        {"class_name": "GlobalAveragePooling2D", "config": {"name": "p"}},
    ]
    out = io.BytesIO()
    with h5py.File(out, "w", libver=libver) as f:
        texts = {
            "model_config": json.dumps({"class_name": "Sequential", "config": layers}),
            "keras_version": "2.15.0",
            "backend": "tensorflow",
        }
        for name, text in texts.items():
            f.attrs.create(name, text if text_type is None else text.encode(), dtype=text_type)
        weights = f.create_group("model_weights")
        weights.attrs["layer_names"] = [b"c", b"p"]
        group = weights.create_group("c")
        group.attrs["weight_names"] = [b"kernel:0", b"bias:0"]
        fill(group, "kernel:0", numpy.arange(2.0).reshape(1, 1, 1, 2))
        fill(group, "bias:0", numpy.arange(2.0))
    return out.getvalue()


def compact(group, name, data):
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_layout(h5py.h5d.COMPACT)
    space = h5py.h5s.create_simple(data.shape)
    made = h5py.h5d.create(group.id, name.encode(), h5py.h5t.IEEE_F32LE, space, plan)
    made.write(h5py.h5s.ALL, h5py.h5s.ALL, data.astype("<f4"))


def hdf5():
    fills = {
        "plain": lambda g, n, d: g.create_dataset(n, data=d.astype("<f4")),
        "half": lambda g, n, d: g.create_dataset(n, data=d.astype(">f2")),
        "double": lambda g, n, d: g.create_dataset(n, data=d.astype(">f8")),
        "bytes": lambda g, n, d: g.create_dataset(n, data=d.astype("u1")),
        "bfloat": lambda g, n, d: g.create_dataset(n, data=d.astype("<u2").view("V2")),
        "deflated": lambda g, n, d: g.create_dataset(n, data=d.astype("<f4"), chunks=d.shape, compression="gzip", shuffle=True,
                                                     fletcher32=True),
        "growing": lambda g, n, d: g.create_dataset(n, data=d.astype("<f4"), chunks=True, maxshape=(None,) * d.ndim),
        "compact": compact,
    }
    for name, fill in fills.items():
        yield f"{name}.h5", small_hdf5("earliest", None, fill)
        yield f"{name}_latest.h5", small_hdf5("latest", None, fill)
    yield "fixed_texts.h5", small_hdf5("earliest", "S700", fills["plain"])
    yield "fixed_texts_latest.h5", small_hdf5("latest", "S700", fills["compact"])


def keras_file():
    if h5py:
        yield from hdf5()
    yield from keras_members()
    for path in sorted(ROOT.glob("tests/fuzz/crashers/hdf5/*.h5")):
        yield path.name, path.read_bytes()


def encoded(picture, kind, **options):
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def picture():
    shades = numpy.arange(7 * 5 * 4, dtype=numpy.uint8).reshape(7, 5, 4)
    colour = Image.fromarray(shades[..., :3])
    modes = {mode: colour.convert(mode) for mode in ("RGB", "RGBA", "L", "LA", "P", "1", "CMYK")}
    modes["I;16"] = Image.fromarray(shades[..., 0].astype(numpy.uint16) * 257)
    for mode, p in modes.items():
        name = mode.replace(";", "")
        if mode != "CMYK":
            yield f"{name}.png", encoded(p, "PNG")
        if mode in ("RGB", "L", "CMYK"):
            yield f"{name}.jpg", encoded(p, "JPEG", quality=60)
        for packing in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"):
            if features.check("libtiff") and mode not in ("LA", "P"):
                yield f"{name}_{packing}.tif", encoded(p, "TIFF", compression=packing)
    yield "grey_alpha.png", encoded(modes["P"], "PNG", transparency=3)
    yield "progressive.jpg", encoded(colour, "JPEG", progressive=True)
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation
    yield "turned.jpg", encoded(colour, "JPEG", exif=exif)
    yield "turned.tif", encoded(colour, "TIFF", tiffinfo={0x0112: 8})
    yield "jpeg_in.tif", encoded(colour, "TIFF", compression="jpeg")
    pages = [modes["L"], modes["L"].rotate(180), modes["L"]]
    yield "pages.tif", encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    yield "pages_of_two_kinds.tif", encoded(colour, "TIFF", save_all=True, append_images=pages[1:])
    yield "copy.tif", encoded(colour, "TIFF", tiffinfo={254: 1})
    # As ImageJ writes large stacks: one page, and the samples of the others behind it.
    described = encoded(modes["I;16"], "TIFF", tiffinfo={270: "ImageJ=1.53t\nimages=2\nslices=2\n"})
    yield "imagej.tif", described + modes["I;16"].tobytes()
    yield "shaped.tif", encoded(modes["L"], "TIFF", tiffinfo={270: '{"shape": [1, 7, 5]}'}) + b"more"
    yield "group4.tif", encoded(modes["1"], "TIFF", compression="group4")
    for kind in ("u1", "<u2", ">u2", "<f4", ">f4", "<f8"):
        for name, array in (("flat", shades[..., 0]), ("deep", shades), ("fortran", numpy.asfortranarray(shades[..., :3]))):
            out = io.BytesIO()
            numpy.save(out, array.astype(kind))
            yield f"{name}_{kind.replace('<', 'l').replace('>', 'b')}.npy", out.getvalue()
    kept = shades[..., 0].astype("<f4") / 256
    for name, save in (("stored", numpy.savez), ("deflated", numpy.savez_compressed)):
        for member in ("map", "arr"):
            out = io.BytesIO()
            save(out, **{member: kept})
            yield f"{name}_{member}.npz", out.getvalue()
    out = io.BytesIO()
    numpy.savez_compressed(out, map=numpy.zeros((1 << 10, 1 << 10), "<f4"))  # more than it may take
    yield "large.npz", out.getvalue()


def csv():
    yield "plain.csv", b"path,label\na.png,1\nb.png,0\n"
    yield "quoted.csv", b'"path";"a ""note"""\r\n"a;b.png";"x\r\ny"\r\n'
    yield "tabs.tsv", b"\xef\xbb\xbfname\tPATH\n x \ta.png\n\n"


def sidecar():
    yield "all", b"# text\nfit letterbox\norder bgr\ncrop-resize 256\nfill 114\nscale 1/255\nmean 1,2,3\nstd 1,2,3.5\n"
    yield "preset", b"preset imagenet\r\nfit center-crop\n"
    yield "uniform", b"\n  mean\t0.5\nstd 0.5,0.5,0.5\norder gray\n"


def gpu_profile():
    for path in sorted(ROOT.glob("data/gpus/*.json")):
        yield path.name, path.read_bytes()
    yield "small.json", (
        b'{"cudnn": {"a": [1, {"b": "}\\""}]}, "peak": {"memory_bytes_per_second": 1e12, "fp32_flops_per_second": 2e13,'
        b' "tf32_flops_per_second": 0, "bf16_flops_per_second": 0, "fp16_flops_per_second": 0}}'
    )


def plan_cache():
    yield "plan", b'!{"engine": 3, "knobs": [1, 2]}'
    yield "refused", b"!x"
    yield "unsupported", b"unsupported\ncuDNN: no engine"
    yield "file", (
        b'{"problem":"n1c16h8w8k16r3s1p1 fp16 forward","engine":7,"hash":"cbf29ce484222325","plan":\n}\n'
    )


def databases():
    yield "good", b""
    for name, text in (
        ("values", "UPDATE maps SET score = NULL\nUPDATE pictures SET path = x'ff00', width = 'wide'\n"),
        ("rows", "DELETE FROM manifest WHERE salmap_id = 1\nINSERT INTO predictions VALUES(-1, 9e999, '', NULL, 1)\n"),
        ("columns", "ALTER TABLE maps DROP COLUMN peak\nALTER TABLE pictures RENAME COLUMN error TO path2\n"),
        ("tables", "DROP TABLE timings\nCREATE TABLE timings AS SELECT 1 AS picture\n"),
        ("ids", "UPDATE pictures SET id = 9223372036854775807 WHERE id = 0\nUPDATE maps SET picture = -5\n"),
        ("run", "UPDATE run SET value = 5000 WHERE key = 'option.top-k'\nDELETE FROM run WHERE key = 'shard'\n"),
        ("schema", "CREATE TABLE extra(a)\nCREATE INDEX i ON maps(score)\n"),
        ("bytes", "@100 0d000000\n@512 ff\n"),
    ):
        yield name, text.encode()


TARGETS = {
    "onnx": onnx,
    "keras": keras,
    "keras_file": keras_file,
    "picture": picture,
    "csv": csv,
    "sidecar": sidecar,
    "gpu_profile": gpu_profile,
    "plan_cache": plan_cache,
    "export": databases,
    "merge": databases,
    "resume": databases,
}


def main():
    out = pathlib.Path(*sys.argv[1:2])
    for target, seeds in TARGETS.items():
        folder = out / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in seeds():
            if len(data) <= MOST_BYTES:
                (folder / name).write_bytes(data)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: make_seeds.py OUT")
    main()
