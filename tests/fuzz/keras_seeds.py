#!/usr/bin/env python3
"""Seeds of fuzz_keras out of the golden cases: keras_seeds.py tests/golden/keras OUT. Needs h5py."""

import io
import json
import pathlib
import sys
import zipfile

import h5py


def text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def weights(data):
    """Shapes of all data sets and the lists of weights' names, by group."""
    sets, texts, attributes = {}, {}, {}
    with h5py.File(io.BytesIO(data)) as f:
        attributes = {k: text(f.attrs[k]) for k in ("model_config", "keras_version", "backend") if k in f.attrs}

        def note(name, thing):
            # A layer's group and a weight's name make up the path that is asked for.
            if isinstance(thing, h5py.Dataset):
                sets[name] = list(thing.shape)
            elif "weight_names" in thing.attrs:
                texts[name] = [text(t) for t in thing.attrs["weight_names"]]

        f.visititems(note)
    return sets, texts, attributes


def seed(name, data):
    if name.endswith(".keras"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            sets, _, _ = weights(archive.read("model.weights.h5"))
            # The root of the weights is "": paths begin with a slash.
            return {"archive": True, "config": json.loads(archive.read("config.json")),
                    "metadata": json.loads(archive.read("metadata.json")), "sets": {"/" + k: v for k, v in sets.items()}}
    sets, texts, attributes = weights(data)
    if "model_config" not in attributes:
        return None
    return {"config": json.loads(attributes.pop("model_config")), "texts": texts, "sets": sets, **attributes}


def main():
    cases, out = map(pathlib.Path, sys.argv[1:])
    out.mkdir(parents=True, exist_ok=True)
    for case in sorted(cases.glob("*.zip")):
        with zipfile.ZipFile(case) as packed:
            for name in packed.namelist():
                made = seed(name, packed.read(name)) if name.endswith((".keras", ".h5")) else None
                if made:
                    (out / f"{name}.json").write_text(json.dumps(made))


if __name__ == "__main__":
    main()
