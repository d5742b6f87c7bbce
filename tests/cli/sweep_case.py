"""What the tests of sweeps share: pictures, runs, and what a run folder holds."""

import csv
import hashlib
import json
import os
import shutil
import sqlite3
import struct
import zlib

import files
from harness import MODEL, SALMAP, SOURCE, Case
from test_models import small_weights

SHORTCUT = os.path.join(SOURCE, "data/models/scale_age_shortcut.onnx")
SCALES_CSV = os.path.join(SOURCE, "data/scales/labels.csv")

def float32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def read_png(path, kind, pixel):
    """Width, height and bytes of a PNG of one kind, (depth, colour type), and so many bytes a pixel."""
    with open(path, "rb") as f:
        data = f.read()
    width, height, depth, colour = struct.unpack(">IIBB", data[16:26])
    assert (depth, colour) == kind, path
    packed, at = b"", 8
    while at < len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        if data[at + 4 : at + 8] == b"IDAT":
            packed += data[at + 8 : at + 8 + size]
        at += 12 + size
    raw, values, above, length = zlib.decompress(packed), b"", bytes(pixel * width), pixel * width + 1
    for y in range(height):
        kind, row = raw[y * length], bytearray(raw[y * length + 1 : (y + 1) * length])
        for i in range(len(row)):
            left, up, corner = (row[i - pixel], above[i], above[i - pixel]) if i >= pixel else (0, above[i], 0)
            guess = left + up - corner
            paeth = min((left, up, corner), key=lambda v: abs(guess - v))
            row[i] = (row[i] + (0, left, up, (left + up) // 2, paeth)[kind]) % 256
        values += row
        above = row
    return width, height, values


def read_gray16(path):
    """Width, height and values of a 16-bit grey PNG."""
    width, height, values = read_png(path, (16, 0), 2)
    return width, height, list(struct.unpack(">%dH" % (width * height), values))


def read_rgb8(path):
    """Width, height and bytes of an 8-bit RGB PNG."""
    return read_png(path, (8, 2), 3)


class SweepCase(Case):
    """Draws pictures, sweeps them and reads what the run folder holds."""

    def setUp(self):
        super().setUp()
        self.result = os.path.join(self.folder, "RUN")
        self.drawn = 0

    def draw(self, *names, folder="in", side=32):
        """Pictures of these names, no two alike, in a folder; its path. Names may be bytes."""
        top = os.path.join(self.folder, folder) if isinstance(folder, str) else folder
        for name in names:
            path = os.path.join(os.fsencode(top), os.fsencode(name))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            self.drawn += 1
            with open(path, "wb") as f:
                f.write(files.gradient_png(side, side, self.drawn))
        return top

    def draw_many(self, count, **where):
        return self.draw(*["p%04d.png" % i for i in range(count)], **where)

    def spoil(self, path):
        with open(path, "wb") as f:
            f.write(b"no picture at all")

    def command(self, *arguments, model=MODEL, run=None):
        return ["sweep", model, *arguments, "-o", run or self.result]

    def sweep(self, *arguments, code=0, texts=(), absent=(), **where):
        return self.check(self.command(*arguments, **where), code, *texts, absent=absent)

    def start(self, *arguments, stdout=None, stderr=None, **where):
        """A sweep that runs beside the test."""
        return self.beside([SALMAP, *self.command(*arguments, **where)], stdout=stdout, stderr=stderr)

    def hold(self, *arguments, **where):
        """A sweep that stands still at its first broken picture. The pictures before it are done, and so may be some of
        the next six."""
        return self.hold_command(self.command(*arguments, "--quiet", "--batch", "2", **where))

    def committed(self, run):
        """Timings that a run has written down by now, looked at in a copy: nothing is mended by looking."""
        aside = os.path.join(self.folder, "aside")
        shutil.rmtree(aside, ignore_errors=True)
        os.mkdir(aside)
        for name in os.listdir(run) if os.path.isdir(run) else []:
            if name.startswith("results.sqlite") and not name.endswith("-shm"):
                shutil.copy(os.path.join(run, name), aside)
        if not self.query("SELECT 1 FROM sqlite_master WHERE name = 'timings'", aside):
            return {}
        return {row["picture"]: row for row in self.query("SELECT * FROM timings", aside)}

    def query(self, sql, run=None, database="results.sqlite"):
        """Rows as dictionaries."""
        connection = sqlite3.connect(os.path.join(run or self.result, database))
        try:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(sql)]
        finally:
            connection.close()

    def rows(self, run=None, name="results.csv"):
        """Rows of a CSV file of the run folder as dictionaries."""
        path = os.path.join(run or self.result, name)
        with open(path, newline="", encoding="utf-8", errors="surrogateescape") as f:
            return list(csv.DictReader(f))

    def listed(self, base, run=None):
        """The pictures of the list, from a folder on."""
        return [os.path.relpath(os.path.join(base, row["path"]), base) for row in self.rows(run, "manifest.csv")]

    def snapshot(self, run=None):
        """Every file of a run folder but the databases."""
        run, found = run or self.result, {}
        for folder, _, names in os.walk(run):
            for name in names:
                path = os.path.join(folder, name)
                if ".sqlite" not in name:
                    found[os.path.relpath(path, run)] = self.read(path)
        return found

    def assert_same_files(self, a, b):
        """Says names and not megabytes."""
        self.assertEqual(sorted(a), sorted(b))
        self.assertEqual([name for name in sorted(a) if a[name] != b[name]], [])

    def npy(self, row, run=None):
        return files.read_npy(os.path.join(run or self.result, row["map_file"]))[1]

    def forget(self, *fields, run=None):
        """run.json as before it had these fields, which are outside its fingerprint."""
        path = os.path.join(run or self.result, "run.json")
        whole = json.loads(self.read(path))
        for field in fields:
            del whole[field]
        with open(path, "w") as f:
            json.dump(whole, f)

    def forge(self, settings, run=None):
        """Other settings in run.json, its fingerprint and its results, as whoever sends a run may write them."""
        run = run or self.result
        path = os.path.join(run, "run.json")
        whole = json.loads(self.read(path))
        whole["settings"].update(settings)
        lines = "".join("%s %s\n" % pair for pair in whole["settings"].items())
        marked = whole["model_sha256"] + whole["manifest_sha256"] + lines
        whole["fingerprint"] = hashlib.sha256(marked.encode()).hexdigest()
        with open(path, "w") as f:
            json.dump(whole, f)
        with sqlite3.connect(os.path.join(run, "results.sqlite")) as connection:
            for name, value in settings.items():
                connection.execute("INSERT OR REPLACE INTO run (key, value) VALUES (?, ?)", ("option." + name, value))
        connection.close()

    def classifier(self, classes=5, last="Softmax", weights=None):
        data = files.onnx_classifier(weights or small_weights(classes=classes), last)
        return self.write("classifier-%d-%s.onnx" % (classes, last), data)
