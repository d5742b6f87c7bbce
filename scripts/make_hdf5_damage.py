#!/usr/bin/env python3
"""Writes tests/fuzz/crashers/hdf5: HDF5 files that lead out of themselves, in circles, or promise more than they hold.

Each is a small Keras network whose kernel is not where it should be. Those in tests/fuzz/crashers/hdf5_damage have bytes
changed, over which the library itself goes astray. Needs h5py."""
import json
import pathlib
import struct

import h5py
import numpy as np

CRASHERS = pathlib.Path(__file__).resolve().parent.parent / "tests/fuzz/crashers"
OUT, DAMAGED = CRASHERS / "hdf5", CRASHERS / "hdf5_damage"
CONFIG = {"class_name": "Sequential", "config": [
    {"class_name": "Conv2D", "config": {"name": "conv", "batch_input_shape": [None, 8, 8, 3], "filters": 4, "use_bias": False}},
    {"class_name": "GlobalAveragePooling2D", "config": {"name": "pool"}}]}


def write(path, fill, libver="latest"):
    with h5py.File(path, "w", libver=libver) as f:
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



def healthy(f, group):
    group.attrs["weight_names"] = ["kernel:0"] * 7
    group["kernel:0"] = np.zeros((3, 3, 3, 4), "<f4")


def change(data, at, there, instead):
    """Bytes at a place, which must be there."""
    assert data[at : at + len(there)] == there and len(instead) == len(there), (at, data[at : at + len(there)])
    return data[:at] + instead + data[at + len(there) :]


def attribute_cut_short(data):
    """Texts of 4 bytes instead of 16 each: what is read of them goes beyond what is stored."""
    text = b"\x19\x01\x01\0" + struct.pack("<I", 16)
    return change(data, data.index(text, data.index(b"weight_names")), text, text[:4] + struct.pack("<I", 4))


def heap_without_end(data):
    """The heap's first object is free space of no bytes: the next one is itself."""
    at = data.index(b"GCOL") + 16
    return change(data, at, struct.pack("<HH", 1, 0), bytes(4))[: at + 8] + bytes(8) + data[at + 16 :]


DAMAGES = {"attribute_cut_short": attribute_cut_short, "heap_without_end": heap_without_end}

if __name__ == "__main__":
    for folder in (OUT, DAMAGED):
        folder.mkdir(parents=True, exist_ok=True)
    for case, make in CASES.items():
        write(OUT / (case + ".h5"), make)
    for case, damage in DAMAGES.items():
        path = DAMAGED / (case + ".h5")
        write(path, healthy, libver=("earliest", "v108"))
        path.write_bytes(damage(path.read_bytes()))
