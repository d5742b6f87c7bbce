#!/usr/bin/env python3
"""Writes tests/fuzz/crashers/hdf5: HDF5 files that lead out of themselves, in circles, or promise more than they hold.

Each is a small Keras network whose kernel is not where it should be. Needs h5py."""
import json
import pathlib

import h5py
import numpy as np

OUT = pathlib.Path(__file__).resolve().parent.parent / "tests/fuzz/crashers/hdf5"
CONFIG = {"class_name": "Sequential", "config": [
    {"class_name": "Conv2D", "config": {"name": "conv", "batch_input_shape": [None, 8, 8, 3], "filters": 4, "use_bias": False}},
    {"class_name": "GlobalAveragePooling2D", "config": {"name": "pool"}}]}


def write(name, fill):
    with h5py.File(OUT / (name + ".h5"), "w", libver="latest") as f:
        f.attrs["model_config"] = json.dumps(CONFIG)
        f.attrs["keras_version"] = "2.15.0"
        group = f.create_group("model_weights/conv")
        group.attrs["weight_names"] = ["kernel:0"]
        fill(f, group)


def external_storage(f, group):
    group.create_dataset("kernel:0", (3, 3, 3, 4), "<f4", external=[("/etc/passwd", 0, 432)])


def virtual(f, group):
    layout = h5py.VirtualLayout((3, 3, 3, 4), "<f4")
    layout[...] = h5py.VirtualSource("other.h5", "kernel", (3, 3, 3, 4))
    group.create_virtual_dataset("kernel:0", layout)


def empty_of_huge_chunks(f, group):
    group.create_dataset("kernel:0", (1 << 20, 1 << 20, 3, 4), "<f4", chunks=(1 << 12, 1 << 12, 3, 4), compression="gzip")


def circle(f, group):
    group["kernel:0"] = group


def text(f, group):
    group["kernel:0"] = "not a number"


CASES = {
    "external_link": lambda f, g: g.__setitem__("kernel:0", h5py.ExternalLink("/etc/passwd", "/kernel")),
    "soft_link_circle": lambda f, g: g.__setitem__("kernel:0", h5py.SoftLink("/model_weights/conv/kernel:0")),
    "external_storage": external_storage,
    "virtual_set": virtual,
    "group_in_itself": circle,
    "text_for_numbers": text,
    "empty_of_huge_chunks": empty_of_huge_chunks,
    "axes_32": lambda f, g: g.create_dataset("kernel:0", (1,) * 32, "<f4"),
    "absurd_extents": lambda f, g: g.create_dataset("kernel:0", (1 << 40, 1 << 40, 0, 4), "<f4", chunks=(1, 1, 1, 4),
                                                    maxshape=(None,) * 4),
    "nan_weights": lambda f, g: g.create_dataset("kernel:0", data=np.full((3, 3, 3, 4), np.nan, "<f4")),
}

if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    for case, make in CASES.items():
        write(case, make)
