#!/usr/bin/env python3
"""Writes tests/golden/map: what numpy, SciPy, PyTorch, Pillow and matplotlib give
for inputs that the tests make themselves from an integer hash, sampled at some
points of each case so that the files stay small.
"""
import pathlib

import matplotlib
import numpy as np
import scipy.ndimage
import torch
from PIL import Image

OUT = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden" / "map"


def hash32(seed, count):
    """The tests' hash_at(): murmur3's finaliser over a Weyl sequence."""
    x = (np.arange(count, dtype=np.uint64) * 0x9E3779B9 + seed * 0x85EBCA6B + 1) & 0xFFFFFFFF
    x ^= x >> np.uint64(16)
    x = (x * 0x85EBCA6B) & 0xFFFFFFFF
    x ^= x >> np.uint64(13)
    x = (x * 0xC2B2AE35) & 0xFFFFFFFF
    x ^= x >> np.uint64(16)
    return x


def uniform(seed, *shape):
    """Multiples of 2^-24 in 0..1, exact in float32."""
    count = int(np.prod(shape))
    return ((hash32(seed, count) >> np.uint64(8)).astype(np.float64) / 2**24).reshape(shape)


def levels(seed, *shape):
    return (hash32(seed, int(np.prod(shape))) >> np.uint64(24)).astype(np.uint8).reshape(shape)


def points(seed, count, most):
    """Indices to compare at: all of a small array, else corners and a spread."""
    if count <= most:
        return np.arange(count)
    rest = hash32(seed + 1000, most - 2).astype(np.int64) % count
    return np.concatenate([[0, count - 1], rest])


def write_samples(f, seed, values, most):
    flat = np.asarray(values).ravel()
    where = points(seed, flat.size, most)
    print(len(where), file=f)
    for i in where:
        print(int(i), repr(float(flat[i])), file=f)


def smooth(f):
    seed = 0
    sigmas = [0.5, 1, 2, 4.48, 10, 20]
    for height, width in [(1, 1), (1, 7), (7, 1), (5, 3), (32, 32), (33, 17), (64, 15), (224, 224), (513, 257)]:
        for sigma in sigmas:
            seed += 1
            x = uniform(seed, height, width)
            y = scipy.ndimage.gaussian_filter(x, sigma, mode="reflect", truncate=4.0)
            print(height, width, sigma, seed, repr(float(np.abs(y).max())), file=f)
            write_samples(f, seed, y, 200 if height > 200 else 60)


def reduce(f):
    pixels = 300
    for channels in (1, 3, 9):
        x = 4 * uniform(channels, channels, pixels) - 2
        modified = [np.abs(x), np.maximum(x, 0), -x, x]
        for modifier, m in enumerate(modified):
            results = [m.max(0), m.mean(0), m.sum(0), np.sqrt((m * m).sum(0))]
            for kind, y in enumerate(results):
                print(channels, pixels, modifier, kind, channels, file=f)
                write_samples(f, channels, y, 20)


def upsample(f):
    cases = [(1, 1, 5, 3), (2, 3, 7, 11), (7, 7, 224, 224), (32, 24, 33, 50), (224, 224, 480, 640), (9, 5, 9, 5)]
    for seed, (h, w, height, width) in enumerate(cases, 1):
        x = torch.from_numpy(uniform(seed, h, w))[None, None]
        y = torch.nn.functional.interpolate(x, size=(height, width), mode="bilinear", align_corners=False)
        print(h, w, height, width, seed, file=f)
        write_samples(f, seed, y.numpy(), 150)


def resize(f):
    cases = [(5, 4, 5, 4), (40, 60, 13, 17), (16, 16, 64, 48), (301, 203, 97, 31), (8, 90, 24, 9), (1, 1, 6, 7)]
    for seed, (height, width, h, w) in enumerate(cases, 1):
        image = Image.fromarray(levels(seed, height, width, 3))
        y = np.asarray(image.resize((w, h), Image.BILINEAR))
        print(height, width, h, w, seed, file=f)
        write_samples(f, seed, y, 200)


def colormaps(f):
    for name in ("viridis", "inferno", "turbo", "jet", "gray", "coolwarm", "magma", "cividis", "rdbu", "seismic"):
        cmap = matplotlib.colormaps["RdBu_r" if name == "rdbu" else name]
        print(name, file=f)
        # Asked by value in the middle of each step, unlike the generator of the tables, which asks by index.
        for r, g, b, _ in cmap((np.arange(256) + 0.5) / 256, bytes=True):
            print(int(r), int(g), int(b), file=f)


def main():
    torch.set_num_threads(1)
    OUT.mkdir(parents=True, exist_ok=True)
    for job in (smooth, reduce, upsample, resize, colormaps):
        with open(OUT / f"{job.__name__}.txt", "w") as f:
            job(f)


if __name__ == "__main__":
    main()
