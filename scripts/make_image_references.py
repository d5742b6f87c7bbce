#!/usr/bin/python3
"""Makes tests/golden/image: small picture files of every kind that salmap decodes, what
Pillow or tifffile say is in them, and pictures that Pillow and torchvision resized.

Needs numpy, Pillow, tifffile and torchvision. The results are committed; run it only
to change them: scripts/make_image_references.py tests/golden/image
"""

import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image, ImageOps
from torchvision import transforms

HEIGHT, WIDTH = 13, 19
out = Path(sys.argv[1])
cases = []  # file, reference, tolerance


known = {}  # contents to the first reference that has them


def reference(name, array, shared=False):
    """Saves an array; a shared one under the name of the first that equals it."""
    array = np.ascontiguousarray(array)
    key = (array.dtype.str, array.shape, array.tobytes())
    if shared and key in known:
        return known[key]
    known.setdefault(key, f"{name}.npy")
    np.save(out / f"{name}.npy", array)
    return f"{name}.npy"


def case(path, ref, tolerance=0):
    cases.append(f"{path} {ref} {tolerance}")


def pattern(channels, seed, top=255, dtype=np.uint8, shape=(HEIGHT, WIDTH)):
    """Ramps with some noise: neighbours differ, and so do the channels."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    planes = [
        (0.5 + 0.35 * np.sin(0.35 * x + 0.2 * (c + 1) * y + c) + 0.15 * rng.uniform(-1, 1, shape)) * top
        for c in range(channels)
    ]
    return np.clip(np.rint(np.stack(planes, -1)), 0, top).astype(dtype)


# ---- PNG: Pillow writes neither interlaced files nor all depths, so they are put together here.


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def pack_rows(samples, depth):
    """Filter byte 0 and the packed samples of each row of (H, W, C)."""
    rows = b""
    for row in samples.reshape(samples.shape[0], -1):
        if depth == 16:
            rows += b"\0" + row.astype(">u2").tobytes()
        elif depth == 8:
            rows += b"\0" + row.astype(np.uint8).tobytes()
        else:
            bits = (row[:, None] >> np.arange(depth - 1, -1, -1)) & 1
            rows += b"\0" + np.packbits(bits.reshape(-1)).tobytes()
    return rows


ADAM7 = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]


def write_png(path, samples, color_type, depth, interlaced, extra=()):
    height, width = samples.shape[:2]
    passes = [samples[y::dy, x::dx] for y, x, dy, dx in ADAM7] if interlaced else [samples]
    raw = b"".join(pack_rows(p, depth) for p in passes if p.size)
    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, int(interlaced))
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    for kind, content in extra:
        data += chunk(kind, content)
    data += chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b"")
    (out / path).write_bytes(data)


def check_with_pillow(path, expected):
    """Pillow has no 16-bit colour and compares transparent grays of less than 8 bits
    after widening them; everything else must agree with it."""
    if "-key" in path and "8-key" not in path:
        return
    picture = Image.open(out / path)
    if picture.mode == "P":
        picture = picture.convert("RGBA" if "transparency" in picture.info else "RGB")
    elif picture.mode == "L" and expected.shape[2] == 2:
        picture = Image.merge("LA", picture.convert("RGBA").split()[2:]) if "-key" in path else picture
    elif picture.mode == "RGB" and expected.shape[2] == 4:
        picture = picture.convert("RGBA")
    elif picture.mode == "1":
        picture = picture.convert("L")
    if expected.dtype == np.uint8:
        found = np.asarray(picture).reshape(expected.shape)
        assert np.array_equal(found, expected), path


def make_png():
    rng = np.random.default_rng(5)
    palette = rng.integers(0, 256, (256, 3), dtype=np.uint8)
    palette_alpha = rng.integers(0, 256, 256, dtype=np.uint8)
    for interlaced in (False, True):
        tail = "-interlaced" if interlaced else ""

        def add(name, samples, color_type, depth, expected, extra=()):
            path = f"png-{name}{tail}.png"
            write_png(path, samples, color_type, depth, interlaced, extra)
            check_with_pillow(path, expected)
            case(path, reference(f"png-{name}", expected, True))

        for depth in (1, 2, 4, 8, 16):
            top = 2**depth - 1
            gray = pattern(1, depth, top, np.uint16)
            wide = gray if depth == 16 else (gray * (255 // top)).astype(np.uint8)
            add(f"gray{depth}", gray, 0, depth, wide)
            key = int(gray[3, 4, 0])
            full = 65535 if depth == 16 else 255
            alpha = np.where(gray == key, 0, full).astype(wide.dtype)
            add(f"gray{depth}-key", gray, 0, depth, np.concatenate([wide, alpha], -1), [(b"tRNS", struct.pack(">H", key))])
        for depth in (1, 2, 4, 8):
            index = pattern(1, 10 + depth, 2**depth - 1)
            table, alphas = palette[: 2**depth], palette_alpha[: 2**depth]
            entries = [(b"PLTE", table.tobytes())]
            add(f"palette{depth}", index, 3, depth, table[index[..., 0]], entries)
            rgba = np.concatenate([table[index[..., 0]], alphas[index]], -1)
            add(f"palette{depth}-alpha", index, 3, depth, rgba, entries + [(b"tRNS", alphas.tobytes())])
        for depth, dtype in ((8, np.uint8), (16, np.uint16)):
            top = 2**depth - 1
            for name, color_type, channels in (("rgb", 2, 3), ("gray-alpha", 4, 2), ("rgba", 6, 4)):
                samples = pattern(channels, 20 + depth + channels, top, dtype)
                add(f"{name}{depth}", samples, color_type, depth, samples)
            rgb = pattern(3, 30 + depth, top, dtype)
            key = rgb[5, 6]
            alpha = np.where((rgb == key).all(-1, keepdims=True), 0, top).astype(dtype)
            extra = [(b"tRNS", struct.pack(">HHH", *map(int, key)))]
            add(f"rgb{depth}-key", rgb, 2, depth, np.concatenate([rgb, alpha], -1), extra)


# ---- JPEG


def make_jpeg():
    rgb = Image.fromarray(pattern(3, 40))

    def add(name, picture, tolerance=1, **options):
        path = f"jpeg-{name}.jpg"
        picture.save(out / path, quality=90, **options)
        finish(name, tolerance)

    def finish(name, tolerance):
        picture = ImageOps.exif_transpose(Image.open(out / f"jpeg-{name}.jpg"))
        if picture.mode == "CMYK":
            picture = picture.convert("RGB")
        array = np.asarray(picture)
        array = array[..., None] if array.ndim == 2 else array
        case(f"jpeg-{name}.jpg", reference(f"jpeg-{name}", array, True), tolerance)

    add("gray", rgb.convert("L"))
    add("444", rgb, subsampling=0)
    add("422", rgb, subsampling=1)
    add("420", rgb, subsampling=2)
    add("progressive", rgb, progressive=True)
    cmyk = Image.fromarray(pattern(4, 41), "CMYK")
    add("cmyk", cmyk, 2)
    # The same data declared as YCCK: other colours, but both decoders must agree on them.
    data = (out / "jpeg-cmyk.jpg").read_bytes()
    at = data.index(b"Adobe") + 11
    assert data[at] == 0
    (out / "jpeg-ycck.jpg").write_bytes(data[:at] + b"\2" + data[at + 1 :])
    finish("ycck", 2)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        exif[0x010E] = "ramps"  # a tag before the one that is looked for
        add(f"orientation{orientation}", rgb, 1, exif=exif, subsampling=0)
    # Pillow writes big- or little-endian EXIF by the host; here is the other one by hand.
    entries = struct.pack(">HHHIHHI", 1, 0x0112, 3, 1, 6, 0, 0)
    add("orientation6-big", rgb, 1, exif=b"Exif\0\0MM\0*" + struct.pack(">I", 8) + entries, subsampling=0)


# ---- TIFF


def make_tiff():
    def add(name, data, expected, writer=tifffile.imwrite, **options):
        path = f"tiff-{name}.tif"
        writer(out / path, data, **options)
        case(path, reference(f"tiff-{name}", expected, True))

    def add_pillow(name, picture, expected, tolerance=0, **options):
        path = f"tiff-{name}.tif"
        picture.save(out / path, **options)
        case(path, reference(f"tiff-{name}", expected, True), tolerance)

    gray8, rgb8, rgba8 = pattern(1, 50), pattern(3, 51), pattern(4, 52)
    gray16, rgb16 = pattern(1, 53, 65535, np.uint16), pattern(3, 54, 65535, np.uint16)
    gray32 = (pattern(1, 55, 65535, np.uint16) / 100.0 - 300.0).astype(np.float32)
    rgb32 = (pattern(3, 56, 65535, np.uint16) / 7e4).astype(np.float32)
    strips = {"rowsperstrip": 5, "metadata": None}
    add("gray8", gray8[..., 0], gray8, photometric="minisblack", **strips)
    add("rgb8", rgb8, rgb8, photometric="rgb", **strips)
    add("rgb8-deflate", rgb8, rgb8, photometric="rgb", compression="zlib", **strips)
    add("rgba8", rgba8, rgba8, photometric="rgb", extrasamples=["unassalpha"], **strips)
    add("gray16", gray16[..., 0], gray16, photometric="minisblack", **strips)
    add("gray16-big", gray16[..., 0], gray16, photometric="minisblack", byteorder=">", **strips)
    add("rgb16-bigtiff", rgb16, rgb16, photometric="rgb", bigtiff=True, **strips)
    add("gray32", gray32[..., 0], gray32, photometric="minisblack", **strips)
    add("gray32-big", gray32[..., 0], gray32, photometric="minisblack", byteorder=">", **strips)
    add("gray64", gray32[..., 0].astype(np.float64), gray32, photometric="minisblack", **strips)
    add("rgb32", rgb32, rgb32, photometric="rgb", **strips)
    add("white8", gray8[..., 0], 255 - gray8, photometric="miniswhite", **strips)
    add("white16", gray16[..., 0], 65535 - gray16, photometric="miniswhite", **strips)
    add("tiled8", gray8[..., 0], gray8, photometric="minisblack", tile=(16, 16), metadata=None)
    add("tiled-rgb16", rgb16, rgb16, photometric="rgb", tile=(16, 16), compression="zlib", metadata=None)
    planar8, planar16 = np.moveaxis(rgb8, -1, 0), np.moveaxis(rgb16, -1, 0)
    add("planar8", planar8, rgb8, photometric="rgb", planarconfig="separate", **strips)
    add("planar-tiled16", planar16, rgb16, photometric="rgb", planarconfig="separate", tile=(16, 16), metadata=None)
    many = pattern(9, 57)
    pages = np.stack([many[..., 0:3], many[..., 3:6], many[..., 6:9]])
    add("pages-rgb", pages, many, photometric="rgb", **strips)
    add("pages-gray", np.moveaxis(many[..., :5], -1, 0), many[..., :5], photometric="minisblack", **strips)
    add("channels9", many, many, photometric="minisblack", planarconfig="contig", **strips)
    inks = pattern(4, 58)
    from_inks = np.asarray(Image.fromarray(inks, "CMYK").convert("RGB"))
    add("cmyk8", inks, from_inks, photometric="separated", **strips)

    def with_thumbnail(path, data, **options):
        with tifffile.TiffWriter(path) as tiff:
            tiff.write(data, **options)
            tiff.write(data[::2, ::2], subfiletype=1, **options)

    add("thumbnail", rgb8, rgb8, writer=with_thumbnail, photometric="rgb", **strips)

    # Alpha that was multiplied in: what Pillow's own conversion back gives, or one less by rounding.
    multiplied = Image.fromarray(rgba8, "RGBA").convert("RGBa")
    path = "tiff-premultiplied.tif"
    tifffile.imwrite(out / path, np.asarray(multiplied), photometric="rgb", extrasamples=["assocalpha"], **strips)
    case(path, reference("tiff-premultiplied", np.asarray(multiplied.convert("RGBA")), True), 1)

    bits = Image.fromarray(gray8[..., 0]).convert("1", dither=Image.Dither.NONE)
    bits8 = np.asarray(bits.convert("L"))[..., None]
    add_pillow("gray1", bits, bits8)
    add_pillow("group4", bits, bits8, compression="group4")
    add_pillow("lzw", Image.fromarray(rgb8), rgb8, compression="tiff_lzw")
    add_pillow("packbits", Image.fromarray(rgb8), rgb8, compression="packbits")
    add_pillow("predictor", Image.fromarray(rgb8), rgb8, compression="tiff_lzw", tiffinfo={317: 2})
    indexed = Image.fromarray(rgb8).quantize(16)
    add_pillow("palette", indexed, np.asarray(indexed.convert("RGB")))
    path = "tiff-jpeg.tif"
    Image.fromarray(rgb8).save(out / path, compression="jpeg", quality=90)
    case(path, reference("tiff-jpeg", np.asarray(Image.open(out / path).convert("RGB")), True), 2)
    for orientation in (3, 6):
        path = f"tiff-orientation{orientation}.tif"
        Image.fromarray(rgb8).save(out / path, tiffinfo={274: orientation})
        exif = Image.Exif()
        exif[274] = orientation
        upright = {3: np.rot90(rgb8, 2), 6: np.rot90(rgb8, -1)}[orientation]
        case(path, reference(f"tiff-orientation{orientation}", upright, True))


# ---- .npy: the reference is the same array in the plainest form


def make_npy():
    def add(name, array, expected, version=(1, 0)):
        path = f"npy-{name}.npy"
        with open(out / path, "wb") as f:
            np.lib.format.write_array(f, array, version=version)
        case(path, reference(f"npy-{name}-reference", expected, True))

    rgb8, rgb16 = pattern(3, 60), pattern(3, 61, 65535, np.uint16)
    rgb32 = (rgb16 / 3.0).astype(np.float32)
    add("u1", rgb8, rgb8)
    add("u1-gray", rgb8[..., 0], rgb8[..., :1])
    add("u2", rgb16, rgb16)
    add("f4", rgb32, rgb32)
    add("f8", rgb32.astype(np.float64), rgb32)
    add("f4-version2", rgb32, rgb32, (2, 0))
    add("u1-version3", rgb8, rgb8, (3, 0))
    add("u1-fortran", np.asfortranarray(rgb8), rgb8)
    add("f4-fortran-gray", np.asfortranarray(rgb32[..., 0]), rgb32[..., :1])
    planes = np.ascontiguousarray(np.moveaxis(rgb8, -1, 0))
    add("u1-planes", planes, rgb8)
    add("u1-planes-fortran", np.asfortranarray(planes), rgb8)


# ---- Resizing: Pillow's own result in 8 bits and in float, torchvision's crops


def make_resize():
    source = pattern(3, 70, shape=(37, 53))
    reference("resize-source", source)
    picture = Image.fromarray(source)
    lines = []
    floats = Image.fromarray(source[..., 0].astype(np.float32), "F")
    for height, width in ((16, 16), (1, 1), (7, 11), (37, 53), (43, 60), (12, 80), (50, 9), (36, 52)):
        name = f"resize-{height}x{width}"
        reference(f"{name}-u8", np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR)))
        reference(f"{name}-f32", np.asarray(floats.resize((width, height), Image.Resampling.BILINEAR)))
        lines.append(f"stretch 0 {height} {width} {name}")
    for resize, height, width in ((20, 16, 16), (21, 16, 16), (23, 18, 17), (37, 36, 36), (16, 16, 16), (40, 33, 25), (10, 14, 12)):
        name = f"crop-{resize}-{height}x{width}"
        steps = transforms.Compose([transforms.Resize(resize), transforms.CenterCrop((height, width))])
        reference(f"{name}-f32", np.asarray(steps(floats)))
        lines.append(f"center-crop {resize} {height} {width} {name}")
    steps = transforms.Compose([transforms.Resize(15), transforms.CenterCrop((15, 15))])
    reference("crop-0-15x15-f32", np.asarray(steps(floats)))
    lines.append("center-crop 0 15 15 crop-0-15x15")
    for height, width in ((32, 32), (20, 53), (45, 30), (60, 55)):
        name = f"letterbox-{height}x{width}"
        ratio = min(height / 37, width / 53)
        inner = (int(np.floor(53 * ratio + 0.5)), int(np.floor(37 * ratio + 0.5)))
        boxed = Image.new("F", (width, height), 0.0)
        boxed.paste(floats.resize(inner, Image.Resampling.BILINEAR), ((width - inner[0]) // 2, (height - inner[1]) // 2))
        reference(f"{name}-f32", np.asarray(boxed))
        lines.append(f"letterbox 0 {height} {width} {name}")
    reference("resize-luma", np.asarray(picture.convert("L")))
    (out / "resize.txt").write_text("\n".join(lines) + "\n")


out.mkdir(parents=True, exist_ok=True)
for old in out.iterdir():
    old.unlink()
make_png()
make_jpeg()
make_tiff()
make_npy()
make_resize()
(out / "cases.txt").write_text("\n".join(cases) + "\n")
