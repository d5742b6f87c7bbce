"""A sweep: which pictures it takes, what its folder says of them, what it refuses."""

import csv
import errno
import fcntl
import hashlib
import io
import json
import math
import os
import pty
import re
import shlex
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import termios
import time
import zipfile
import zlib

import files
from harness import MODEL, SALMAP, SIDE, SOURCE, Case, main
from test_models import small_weights

SHORTCUT = os.path.join(SOURCE, "data/models/scale_age_shortcut.onnx")
SCALES_CSV = os.path.join(SOURCE, "data/scales/labels.csv")


def float32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def read_gray16(path):
    """Width, height and values of a 16-bit grey PNG."""
    with open(path, "rb") as f:
        data = f.read()
    width, height, depth, colour = struct.unpack(">IIBB", data[16:26])
    assert (depth, colour) == (16, 0), path
    packed, at = b"", 8
    while at < len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        if data[at + 4 : at + 8] == b"IDAT":
            packed += data[at + 8 : at + 8 + size]
        at += 12 + size
    raw, values, above = zlib.decompress(packed), [], bytes(2 * width)
    for y in range(height):
        kind, row = raw[y * (2 * width + 1)], bytearray(raw[y * (2 * width + 1) + 1 : (y + 1) * (2 * width + 1)])
        for i in range(len(row)):
            left, up, corner = row[i - 2] if i > 1 else 0, above[i], above[i - 2] if i > 1 else 0
            guess = left + up - corner
            paeth = min((left, up, corner), key=lambda v: abs(guess - v))
            row[i] = (row[i] + (0, left, up, (left + up) // 2, paeth)[kind]) % 256
        values += struct.unpack(">%dH" % width, row)
        above = row
    return width, height, values


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

    def start(self, *arguments, **pipes):
        """A sweep that runs beside the test."""
        process = subprocess.Popen([SALMAP, *self.command(*arguments)], cwd=self.folder, **pipes)
        self.addCleanup(self.end, process)
        return process

    def end(self, process):
        if process.poll() is None:
            process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe:
                pipe.close()

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

    def classifier(self, classes=5, last="Softmax", weights=None):
        data = files.onnx_classifier(weights or small_weights(classes=classes), last)
        return self.write("classifier-%d-%s.onnx" % (classes, last), data)


class Inputs(SweepCase):
    NAMES = ["b.png", "a.PNG", "sub/d.png", "sub/deeper/e.png", "z.png"]

    def test_a_folder_is_searched_recursively_and_sorted(self):
        top = self.draw(*self.NAMES, ".hidden.png", ".cache/h.png")
        self.write("in/notes.txt", b"no picture")
        self.sweep(top)
        self.assertEqual(self.listed(top), ["a.PNG", "b.png", "sub/d.png", "sub/deeper/e.png", "z.png"])

    def test_earlier_runs_are_no_pictures(self):
        top = self.draw(*self.NAMES)
        for number in range(2):
            run = os.path.join(top, "run-%d" % number)
            self.sweep(top, run=run)
            self.assertEqual(self.listed(top, run), ["a.PNG", "b.png", "sub/d.png", "sub/deeper/e.png", "z.png"])

    def test_a_folder_of_pictures_may_be_the_run_folder(self):
        top = self.draw("a.png", "b.png")
        before = self.read(os.path.join(top, "a.png"))
        for _ in range(2):
            self.sweep(top, run=top)
            self.assertEqual(self.listed(top, top), ["a.png", "b.png"])
        self.assertEqual(self.read(os.path.join(top, "a.png")), before)

    def test_links_in_a_folder(self):
        top = self.draw("sub/a.png", "b.png")
        os.symlink("..", os.path.join(top, "sub/up"))
        os.symlink("../b.png", os.path.join(top, "sub/c.png"))
        os.symlink("gone.png", os.path.join(top, "d.png"))
        self.sweep(top, code=3)
        self.assertEqual([(row["path"], row["status"]) for row in self.rows()],
                         [("b.png", "ok"), ("d.png", "io"), ("sub/a.png", "ok"), ("sub/c.png", "ok")])

    def test_a_root_without_a_manifest(self):
        top = self.draw("a.png")
        self.sweep(top, "--root", top, code=2, texts=["manifest"])
        path = self.write("in/list.csv", b"path\na.png\n")
        self.sweep(path, os.path.join(top, "a.png"), code=2, texts=["list.csv", "manifest"])

    def test_a_folder_without_pictures(self):
        os.mkdir(os.path.join(self.folder, "in"))
        self.write("in/notes.txt", b"no picture")
        self.sweep("in", code=1, texts=["no pictures"])

    def test_a_glob(self):
        top = self.draw("a1.png", "a2.png", "b1.png", "sub/a3.png")
        self.sweep(os.path.join(top, "a*.png"))
        self.assertEqual(self.listed(top), ["a1.png", "a2.png"])
        self.assertGreater(self.run_salmap(*self.command("in/c*.png", run="other")).returncode, 0)

    def test_a_file_whose_name_looks_like_a_glob(self):
        top = self.draw("x[1].png", "x1.png")
        self.sweep(os.path.join(top, "x[1].png"))
        self.assertEqual(self.listed(top), ["x[1].png"])

    def test_files_keep_their_order(self):
        top = self.draw("a.png", "b.png", "c.png")
        order = ["c.png", "a.png", "b.png"]
        self.sweep(*[os.path.join(top, name) for name in order])
        self.assertEqual(self.listed(top), order)
        self.assertEqual([os.path.basename(row["path"]) for row in self.rows()], order)

    def test_a_manifest_in_every_dialect(self):
        self.draw("one.png", "two.png")
        table = [["path", "label", "mask", "group", "river"], ["one.png", "3", "m/one.png", "north", "Elbe"],
                 ["two.png", "5", "", "south", "Rhine"]]
        for name, separator, mark, ending in (("a.csv", ",", b"", "\n"), ("b.csv", ";", b"", "\n"),
                                              ("c.tsv", "\t", b"", "\n"), ("d.csv", ",", b"\xef\xbb\xbf", "\n"),
                                              ("e.csv", ";", b"\xef\xbb\xbf", "\r\n"), ("f.csv", "\t", b"", "\r\n")):
            with self.subTest(name=name):
                text = ending.join(separator.join(row) for row in table)
                path = self.write("in/" + name, mark + (text + ending * (name < "d")).encode())
                run = os.path.join(self.folder, name)
                self.sweep(path, run=run)
                rows = self.rows(run)
                self.assertEqual([[row[key] for key in table[0]] for row in rows], table[1:])
                kept = self.query("SELECT * FROM manifest ORDER BY salmap_id", run)
                self.assertEqual([[row[key] or "" for key in table[0]] for row in kept], table[1:])
                self.assertEqual([row["status"] for row in rows], ["ok", "ok"])

    def test_quoted_fields(self):
        self.draw("a,b.png", "plain.png")
        note = 'says "no",\r\nthen; nothing\tmore'
        text = io.StringIO()
        csv.writer(text).writerows([["note", "path"], [note, "a,b.png"], ["", "plain.png"]])
        self.sweep(self.write("in/list.csv", text.getvalue().encode()))
        self.assertEqual([(row["path"], row["note"]) for row in self.rows()], [("a,b.png", note), ("plain.png", "")])
        self.assertEqual(self.query("SELECT note FROM manifest ORDER BY salmap_id")[0]["note"], note)

    def test_columns_that_are_named_as_results_are(self):
        self.draw("a.png")
        for name in ("status", "score", "id", "salmap_id", "top1", "map_file", "picture", "select", "na me", 'q"q', "",
                     "PATH"):
            with self.subTest(name=name):
                run = os.path.join(self.folder, "run")
                text = io.StringIO()
                csv.writer(text).writerows([["path", name], ["a.png", "mine"]])
                done = self.run_salmap(*self.command(self.write("in/list.csv", text.getvalue().encode()), run=run))
                if done.returncode:  # a refusal is fine where it names the column
                    self.assertIn("list.csv", done.err)
                    self.assertIn(name, done.err)
                else:
                    self.assertIn("mine", self.query("SELECT * FROM manifest", run)[0].values())
                    with open(os.path.join(run, "results.csv"), newline="") as f:
                        header, row = csv.reader(f)
                    self.assertEqual(len(set(header)), len(header))
                    self.assertIn("mine", row)
                shutil.rmtree(run, ignore_errors=True)

    def test_the_folder_of_relative_paths(self):
        top = self.draw("a.png", "sub/b.png")
        elsewhere = os.path.join(self.folder, "lists")
        os.mkdir(elsewhere)
        path = self.write("lists/list.csv", b"path\na.png\nsub/b.png\n")
        self.sweep(path, code=3)
        self.sweep(path, "--root", top, run="rooted")
        self.assertEqual([row["status"] for row in self.rows(os.path.join(self.folder, "rooted"))], ["ok", "ok"])

    def test_a_manifest_without_paths(self):
        done = self.run_salmap(*self.command(self.write("list.csv", b"file,label,river\na.png,1,Elbe\n")))
        self.assertIn(done.returncode, (1, 2))
        for text in ("list.csv", "path", "file", "label", "river"):
            self.assertIn(text, done.err)

    def test_lists_of_nothing(self):
        for name, data in (("empty.csv", b""), ("header.csv", b"path,label\n"), ("blank.csv", b"\n\n")):
            with self.subTest(name=name):
                done = self.run_salmap(*self.command(self.write(name, data)))
                self.assertIn(done.returncode, (1, 2), done.err)
                self.assertIn(name, done.err)
        self.assertFalse(os.path.exists(os.path.join(self.result, "results.csv")))

    def test_rows_of_another_length_are_named(self):
        for name, row in (("short.csv", b"b.png\n"), ("long.csv", b"b.png,1,2,3\n"), ("open.csv", b'"b.png,1\n')):
            with self.subTest(name=name):
                done = self.run_salmap(*self.command(self.write(name, b"path,label\na.png,1\n" + row)))
                self.assertIn(done.returncode, (1, 2), done.err)
                self.assertRegex(done.err, name + r".*\b3\b")

    def test_a_null_byte_in_a_manifest(self):
        done = self.run_salmap(*self.command(self.write("list.csv", b"path,label\na\0.png,1\n")))
        self.assertIn(done.returncode, (1, 2), done.err)
        self.assertIn("list.csv", done.err)

    def test_a_picture_twice(self):
        top = self.draw("a.png", "b.png", "c.png")
        path = self.write("in/list.csv", b'path\na.png\n"b.png"\nc.png\nb.png\n')
        done = self.run_salmap(*self.command(path))
        self.assertIn(done.returncode, (1, 2), done.err)
        for text in (r"\bb\.png\b", r"\b3\b", r"\b5\b"):
            self.assertRegex(done.err, text)
        picture = os.path.join(top, "a.png")
        self.sweep(picture, os.path.join(top, "b.png"), picture, code=2, texts=["a.png"])
        self.assertFalse(os.path.exists(os.path.join(self.result, "results.csv")))

    def test_lines_are_counted_with_those_in_quotes(self):
        self.draw("a.png", "b.png")
        path = self.write("in/list.csv", b'path,note\na.png,"one\ntwo\nthree"\nb.png,\na.png,\n')
        done = self.run_salmap(*self.command(path))
        self.assertIn(done.returncode, (1, 2), done.err)
        for text in (r"\ba\.png\b", r"\b2\b", r"\b6\b"):
            self.assertRegex(done.err, text)

    def test_paths_that_are_not_there(self):
        top = self.draw("a.png")
        self.sweep(top, code=1, texts=["no/such.onnx"], model="no/such.onnx")
        for missing in ("nothing", "nothing.csv"):
            done = self.run_salmap(*self.command(missing))
            self.assertIn(done.returncode, (1, 2, 3), done.err)
            self.assertIn(missing, done.err)
        self.assertFalse(os.path.exists(os.path.join(self.result, "results.csv")))
        path = self.write("in/list.csv", b"path\na.png\ngone.png\n")
        self.sweep(path, code=3, run="listed")
        self.assertEqual([row["status"] for row in self.rows(os.path.join(self.folder, "listed"))], ["ok", "io"])

    def test_names_that_are_no_utf8(self):
        top = self.draw(b"sc\xffale.png", b"plain.png", folder=os.fsencode(self.folder) + b"/in\xfe")
        done = self.sweep(top, "--json")
        for line in done.out.splitlines():
            json.loads(line)
        kept = self.query("SELECT typeof(path) AS kind, path, status FROM pictures ORDER BY id")
        self.assertEqual([tuple(row.values()) for row in kept],
                         [("text", "plain.png", "ok"), ("blob", b"sc\xffale.png", "ok")])
        for name in ("results.csv", "manifest.csv"):
            self.assertIn(b"sc\xffale.png", self.read(os.path.join(self.result, name)))
        json.loads(self.read(os.path.join(self.result, "run.json")))
        exported = subprocess.run([SALMAP, "export", self.result, "--json"], stdout=subprocess.PIPE, check=True).stdout
        self.assertEqual(len([json.loads(line) for line in exported.decode("utf-8").splitlines()]), 2)
        self.sweep(os.path.join(self.result, "manifest.csv"), "--root", top, run="again")
        self.assertEqual([row["status"] for row in self.rows(os.path.join(self.folder, "again"))], ["ok", "ok"])

    def test_names_that_csv_must_quote(self):
        names = ["com,ma.png", "new\nline.png", 'quo"te.png', "semi;colon.png", " lead.png", "ta\tb.png", "-dash.png",
                 "re\rturn.png", "'.png"]
        top = self.draw(*names)
        self.sweep(top)
        self.assertEqual(self.listed(top), sorted(names))
        self.assertEqual([os.path.basename(row["path"]) for row in self.rows()], sorted(names))
        self.assertEqual({row["status"] for row in self.rows()}, {"ok"})
        self.sweep(top)
        # The list is a manifest itself.
        again = os.path.join(self.folder, "again")
        self.sweep(os.path.join(self.result, "manifest.csv"), "--root", top, run=again)
        self.assertEqual(self.read(os.path.join(again, "results.csv")),
                         self.read(os.path.join(self.result, "results.csv")))

    def test_a_hundred_thousand_pictures(self):
        count, copies = 100000, 20000
        top = self.draw(*["first%d.png" % i for i in range(count // copies)], folder="sources")
        many = os.path.join(self.folder, "in")
        os.mkdir(many)
        for i in range(count):
            os.link(os.path.join(top, "first%d.png" % (i // copies)), os.path.join(many, "p%06d.png" % i))
        begin = time.monotonic()
        done = self.sweep(many, "--dry-run")
        self.assertRegex(done.out + done.err, r"100[,. ']?000")
        self.assertFalse(os.path.exists(self.result))
        self.sweep(many, "--shard", "0/2000")
        self.assertLess(time.monotonic() - begin, 60)
        kept = self.query("SELECT pictures.id, path, status, map_file FROM pictures JOIN maps ON picture = id"
                          " ORDER BY id", database="shards/0-of-2000.sqlite")
        self.assertTrue(20 < len(kept) < 100, len(kept))
        self.assertEqual({row["status"] for row in kept}, {"ok"})
        for row in kept:
            number = int(re.search(r"p(\d{6})\.png$", row["path"]).group(1))
            self.assertEqual(row["map_file"], "maps/%03d/p%06d.npy" % (number // 1000, number))
            self.assertTrue(os.path.exists(os.path.join(self.result, row["map_file"])))
        self.assertEqual(len(self.rows(name="manifest.csv")), count)


class Results(SweepCase):
    JOINED = ("SELECT pictures.*, maps.* FROM pictures JOIN maps ON maps.picture = pictures.id"
              " ORDER BY pictures.id, maps.rank")

    def test_rows_and_maps_are_those_of_explain(self):
        top = self.draw_many(8)
        explained = self.explain(top)
        self.sweep(top)
        kept = self.query(self.JOINED)
        self.assertEqual(len(kept), 8)
        for row, line, text in zip(kept, explained, self.rows()):
            m = line["maps"][0]
            self.assertEqual(os.path.join(top, row["path"]), line["picture"])
            self.assertEqual((row["status"], row["width"], row["height"]), ("ok", 32, 32))
            self.assertEqual(row["predicted"], line["predicted"])
            for name, value in (("predicted_score", line["score"]), ("score", m["score"]), ("peak", m["peak"]),
                                ("mean", m["mean"])):
                self.assertEqual(float32(row[name]), float32(value), name)
                column = "map_" + name if name in ("peak", "mean") else name
                self.assertEqual(float32(float(text[column])), float32(value), column)
            self.assertEqual(bool(row["flat"]), m["flat"])
            for key, other in (("map_file", m["npy"]), ("overlay_file", m["overlay"])):
                self.assertEqual(self.read(os.path.join(self.result, row[key])), self.read(other))
                self.assertEqual(text[key], row[key])

    def test_predictions_are_the_best_outputs(self):
        model, top = self.classifier(), self.draw_many(6, side=16)
        explained = self.explain(top, "--preset", "unit", "--target", "top:5", model=model)
        for k in (1, 3, 5, 9):
            run = os.path.join(self.folder, "top%d" % k)
            self.sweep(top, "--preset", "unit", "--top-k", str(k), model=model, run=run)
            kept = self.query("SELECT * FROM predictions ORDER BY picture, rank", run)
            self.assertEqual(len(kept), 6 * min(k, 5))
            for i, line in enumerate(explained):
                mine = kept[i * min(k, 5) : (i + 1) * min(k, 5)]
                for row, m in zip(mine, line["maps"]):
                    self.assertEqual(row["output"], m["target"])
                    self.assertEqual(float32(row["score"]), float32(m["score"]))
                    self.assertEqual(float32(row["probability"]), float32(m["probability"]))
                text = self.rows(run)[i]
                self.assertEqual(int(text["top1"]), line["predicted"])
                self.assertEqual(int(text["top%d" % min(k, 5)]), line["maps"][min(k, 5) - 1]["target"])
                self.assertNotIn("top%d" % (min(k, 5) + 1), text)
            self.assertEqual(len({row["rank"] for row in kept}), min(k, 5))

    def test_several_maps_of_a_picture(self):
        model, top = self.classifier(), self.draw_many(3, side=16)
        explained = self.explain(top, "--preset", "unit", "--target", "top:2", model=model)
        self.sweep(top, "--preset", "unit", "--target", "top:2", model=model)
        kept = self.query(self.JOINED)
        maps = [m for line in explained for m in line["maps"]]
        self.assertEqual([row["target"] for row in kept], [m["target"] for m in maps])
        self.assertEqual([row["map_file"] for row in kept],
                         ["maps/000/p%04d.top%d.npy" % (i, k) for i in range(3) for k in (1, 2)])
        for row, m, text in zip(kept, maps, self.rows()):
            self.assertEqual(self.read(os.path.join(self.result, row["map_file"])), self.read(m["npy"]))
            self.assertEqual(self.read(os.path.join(self.result, row["overlay_file"])), self.read(m["overlay"]))
            self.assertEqual(int(text["rank"]), row["rank"])
        self.assertEqual(len(self.rows()), 6)

    def label_all(self, labels, name="list.csv", column="label"):
        lines = ["path,%s" % column] + ["p%04d.png,%s" % (i, label) for i, label in enumerate(labels)]
        return self.write("in/" + name, ("\n".join(lines) + "\n").encode())

    def test_labels_of_a_classifier(self):
        model, top = self.classifier(), self.draw_many(6, side=16)
        predicted = [line["predicted"] for line in self.explain(top, "--preset", "unit", model=model)]
        labels = [p if i % 2 else (p + 1) % 5 for i, p in enumerate(predicted)] + [""]
        self.draw("p0006.png", side=16)
        path = self.label_all(labels)
        self.sweep(path, "--preset", "unit", "--overlays", "wrong", model=model)
        kept = self.query(self.JOINED)
        self.assertEqual([row["correct"] for row in kept], [0, 1, 0, 1, 0, 1, None])
        self.assertEqual([row["correct"] for row in self.rows()], ["0", "1", "0", "1", "0", "1", ""])
        self.assertEqual([row["overlay_file"] is not None for row in kept[:6]], [True, False] * 3)
        self.assertEqual(len(os.listdir(os.path.join(self.result, "overlays/000"))),
                         sum(row["overlay_file"] is not None for row in kept))

    def test_the_label_is_explained(self):
        model, top = self.classifier(), self.draw_many(5, side=16)
        labels = [4, 3, 2, 1, 0]
        self.sweep(self.label_all(labels), "--preset", "unit", "--target", "label", model=model)
        kept = self.query(self.JOINED)
        self.assertEqual([row["target"] for row in kept], labels)
        for i, row in enumerate(kept):
            line = self.explain(os.path.join(top, "p%04d.png" % i), "--preset", "unit", "--target",
                                "index:%d" % labels[i], model=model)[0]
            self.assertEqual(float32(row["score"]), float32(line["maps"][0]["score"]))
            self.assertEqual(row["predicted"], line["predicted"])
            self.assertEqual(self.read(os.path.join(self.result, row["map_file"])), self.read(line["maps"][0]["npy"]))

    def test_labels_that_are_no_outputs(self):
        model = self.classifier()
        top = self.draw_many(2, side=16)
        self.sweep(top, "--target", "label", "--preset", "unit", code=2, texts=["label"], model=model)
        for label in ("5", "-1", "pike", "1.5", "99999999999999999999", ""):
            with self.subTest(label=label):
                done = self.run_salmap(*self.command(self.label_all(["0", label]), "--target", "label", "--preset",
                                                     "unit", model=model, run="run" + label))
                self.assertIn(done.returncode, (1, 2, 3), done.err)
                self.assertRegex(done.out + done.err, "label")

    def test_labels_of_a_regression(self):
        top = self.draw_many(6)
        values = [line["score"] for line in self.explain(top)]
        labels = ["%.6f" % (v + d) for v, d in zip(values, (0.3, -0.3, 0.7, -0.7, 1.2, 0.0))]
        path = self.label_all(labels)
        for tolerance, correct in ((None, [1, 1, 0, 0, 0, 1]), ("0.2", [0, 0, 0, 0, 0, 1]), ("1", [1, 1, 1, 1, 0, 1])):
            run = os.path.join(self.folder, "tolerance-%s" % tolerance)
            self.sweep(path, "--overlays", "wrong", *(["--tolerance", tolerance] if tolerance else []), run=run)
            kept = self.query(self.JOINED, run)
            self.assertEqual([row["correct"] for row in kept], correct)
            self.assertEqual([row["overlay_file"] is None for row in kept], [bool(c) for c in correct])
            drawn = os.listdir(os.path.join(run, "overlays/000"))
            self.assertEqual(sorted(drawn), ["p%04d.overlay.png" % i for i in range(6) if not correct[i]])

    def test_overlays_of_the_highest_scores(self):
        top = self.draw_many(8)
        scores = [line["score"] for line in self.explain(top)]
        best = sorted(range(8), key=lambda i: (-scores[i], i))[:3]
        self.sweep(top, "--overlays", "top:3")
        self.assertEqual(sorted(os.listdir(os.path.join(self.result, "overlays/000"))),
                         ["p%04d.overlay.png" % i for i in sorted(best)])
        self.assertEqual([i for i, row in enumerate(self.rows()) if row["overlay_file"]], sorted(best))

    def test_ties_go_to_the_earlier_picture(self):
        top = self.draw("a.png")
        for name in ("b", "c", "d", "e"):
            shutil.copy(os.path.join(top, "a.png"), os.path.join(top, name + ".png"))
        self.sweep(top, "--overlays", "top:2", "--batch", "2")
        self.assertEqual(sorted(os.listdir(os.path.join(self.result, "overlays/000"))),
                         ["a.overlay.png", "b.overlay.png"])

    def test_no_files_where_none_are_wanted(self):
        self.sweep(self.draw_many(4), "--maps", "none", "--overlays", "none")
        self.assertEqual({(row["map_file"], row["overlay_file"]) for row in self.rows()}, {("", "")})
        self.assertTrue(all(float(row["map_peak"]) > 0 for row in self.rows()))
        self.assertEqual([n for n in self.snapshot() if n.startswith(("maps/", "overlays/"))], [])

    def test_overlays_as_jpeg(self):
        self.sweep(self.draw_many(3), "--overlay-format", "jpeg")
        for row in self.rows():
            self.assertRegex(row["overlay_file"], r"\.overlay\.jpe?g$")
            data = self.read(os.path.join(self.result, row["overlay_file"]))
            self.assertEqual((data[:3], data[-2:]), (b"\xff\xd8\xff", b"\xff\xd9"))

    def test_maps_in_other_formats(self):
        top = self.draw_many(3)
        self.sweep(top)
        reference = [self.npy(row) for row in self.rows()]
        for kind in ("npz", "png16"):
            run = os.path.join(self.folder, kind)
            self.sweep(top, "--maps", kind, run=run)
            for row, values in zip(self.rows(run), reference):
                path = os.path.join(run, row["map_file"])
                if kind == "npz":
                    with zipfile.ZipFile(path) as archive:
                        self.assertIsNone(archive.testzip())
                        (member,) = archive.namelist()
                        self.assertTrue(member.endswith(".npy"))
                        self.assertEqual(files.read_npy(self.write("member.npy", archive.read(member)))[1], values)
                else:
                    width, height, levels = read_gray16(path)
                    self.assertEqual((width, height), (SIDE, SIDE))
                    worst = max(abs(level - 65535.0 * v) for level, v in zip(levels, values))
                    self.assertLess(worst, 0.5 + 65535 * 2.0**-24)  # the product is a float

    def test_numbers_of_a_map(self):
        top = self.draw_many(2)
        self.sweep(top)
        raw = os.path.join(self.folder, "raw")
        self.sweep(top, "--normalize", "none", run=raw)
        for row, plain in zip(self.query(self.JOINED), self.query(self.JOINED, raw)):
            values, m = self.npy(plain, raw), self.npy(row)
            for r in (row, plain):
                self.assertEqual(float32(r["min"]), min(values))
                self.assertEqual(float32(r["peak"]), max(values))
                self.assertAlmostEqual(r["mean"] / (math.fsum(values) / len(values)), 1.0, delta=1e-6)
            n, total = len(m), math.fsum(m)
            mean = total / n
            std = math.sqrt(math.fsum((v - mean) ** 2 for v in m) / n)
            x = math.fsum(v * (i % SIDE + 0.5) for i, v in enumerate(m)) / total / SIDE
            y = math.fsum(v * (i // SIDE + 0.5) for i, v in enumerate(m)) / total / SIDE
            for name, value in (("normalized_mean", mean), ("normalized_std", std), ("center_x", x), ("center_y", y)):
                self.assertAlmostEqual(row[name], value, delta=1e-6, msg=name)

    def test_a_flat_map_is_said(self):
        weights = small_weights()
        weights[2] = [0.0] * len(weights[2])
        model = self.classifier(weights=weights)
        self.sweep(self.draw_many(2, side=16), "--preset", "unit", model=model)
        for row in self.query(self.JOINED):
            self.assertEqual((row["status"], row["flat"], row["normalized_mean"]), ("ok", 1, 0.0))
            self.assertEqual(set(self.npy(row)), {0.0})
        for line in self.run_salmap("export", self.result, "--json").out.splitlines():
            json.loads(line, parse_constant=lambda name: self.fail(name + " is no JSON"))

    def test_export_is_what_the_folder_has(self):
        self.sweep(self.draw_many(5))
        expected = self.read(os.path.join(self.result, "results.csv"))
        for options in ([], ["--csv"]):
            out = subprocess.run([SALMAP, "export", self.result, *options], stdout=subprocess.PIPE, check=True).stdout
            self.assertEqual(out, expected)
        path = os.path.join(self.folder, "exported.csv")
        self.check(["export", self.result, "-o", path], 0)
        self.assertEqual(self.read(path), expected)
        lines = [json.loads(line) for line in self.run_salmap("export", self.result, "--json").out.splitlines()]
        for line, row in zip(lines, self.rows()):
            for name, value in row.items():
                found = line["maps"][0].get(name, line.get(name, value)) if name != "score" else value
                self.assertEqual("" if found is None else str(found), value, name)
        self.assertEqual(len(lines), 5)

    def test_export_with_timings(self):
        self.sweep(self.draw_many(3))
        out = self.check(["export", self.result, "--timings"], 0).out
        rows = list(csv.DictReader(io.StringIO(out)))
        self.assertEqual(len(rows), 3)
        for row in rows:
            for name in ("decode_ms", "compute_ms", "encode_ms"):
                self.assertGreater(float(row[name]), 0.0)
        self.assertNotIn("compute_ms", self.rows()[0])
        self.check(["export", self.folder], 1)

    def test_what_is_needed_to_repeat_it(self):
        top = self.draw_many(3)
        path = self.label_all([1, 2, 3])
        self.sweep(path, "--sigma", "2.5")
        text = self.read(os.path.join(self.result, "run.json")).decode()
        json.loads(text)
        for name in (MODEL, path):
            self.assertIn(hashlib.sha256(self.read(name)).hexdigest(), text)
            self.assertIn(os.path.basename(name), text)
        self.assertIn("2.5", text)
        self.assertIn(self.run_salmap("--version").out.split()[1], text)
        kept = {row["key"] for row in self.query("SELECT key, value FROM run")}
        self.assertTrue(kept)
        self.assertEqual(len(os.listdir(top)), 4)

    def test_the_command_that_repeats_it(self):
        self.draw("it's.png", "b.png")
        os.mkdir(os.path.join(self.folder, "lists"))
        path = self.write("lists/a list.csv", b"path,label\nit's.png,2\nb.png,-3\n")
        for options in ([], ["--sigma", "1.5", "--maps", "npz", "--overlays", "wrong", "--tolerance", "0.125", "--fit",
                             "letterbox", "--mean", "0.1,0.2,0.3", "--exact", "--overlay-format", "jpeg", "--target",
                             "label", "--normalize", "none", "--alpha", "0.7"]):
            with self.subTest(options=options):
                again = os.path.join(self.folder, "again")
                self.sweep(path, "--root", os.path.join(self.folder, "in"), *options)
                with open(os.path.join(self.result, "run.json")) as f:
                    words = shlex.split(json.load(f)["again"])
                self.assertEqual(words[0], "salmap")
                self.check([again if word == "AGAIN" else word for word in words[1:]], 0)
                mine, theirs = self.snapshot(), self.snapshot(again)
                self.assert_same_files(mine, theirs)
                shutil.rmtree(self.result), shutil.rmtree(again)

    def test_the_same_run_gives_the_same_bits(self):
        path = SCALES_CSV
        first = os.path.join(self.folder, "first")
        options = [path, "--overlays", "top:9", "--maps", "npz"]
        self.sweep(*options)
        os.rename(self.result, first)
        self.sweep(*options)
        self.assert_same_files(self.snapshot(first), self.snapshot())

    def test_batch_and_threads_change_no_bit(self):
        top = self.draw_many(7)
        self.sweep(top)
        other = os.path.join(self.folder, "other")
        self.sweep(top, "--batch", "3", "--threads", "1", run=other)
        mine, theirs = self.snapshot(), self.snapshot(other)
        mine.pop("run.json"), theirs.pop("run.json")
        self.assert_same_files(mine, theirs)

    def test_equal_names_get_numbers(self):
        top = self.draw("one/a.png", "three/a.jpg.png", "two/a.png", "two/b.png")
        self.sweep(top)
        self.assertEqual([os.path.basename(row["map_file"]) for row in self.rows()],
                         ["a.npy", "a.jpg.npy", "a-2.npy", "b.npy"])

    def test_a_thousand_pictures_a_folder(self):
        self.draw_many(8, side=16)
        lines = ["p%04d.png" % (i % 8) for i in range(8)]
        top = os.path.join(self.folder, "in")
        for i in range(8, 1003):
            os.link(os.path.join(top, "p%04d.png" % (i % 8)), os.path.join(top, "p%04d.png" % i))
            lines.append("p%04d.png" % i)
        self.sweep(top, "--preset", "unit", "--overlays", "none", model=self.classifier())
        self.assertEqual([row["map_file"] for row in self.rows()],
                         ["maps/%03d/p%04d.npy" % (i // 1000, i) for i in range(1003)])
        self.assertEqual(len(os.listdir(os.path.join(self.result, "maps/001"))), 3)


class BadPictures(SweepCase):
    def statuses(self, **where):
        return [row["status"] for row in self.rows(**where)]

    def test_one_in_a_hundred_is_corrupt(self):
        top = self.draw_many(200, side=16)
        model = self.classifier()
        good = os.path.join(self.folder, "good")
        self.sweep(top, "--preset", "unit", model=model, run=good)
        for bad, data in ((50, b"no picture at all"), (150, None)):
            path = os.path.join(top, "p%04d.png" % bad)
            data = data or self.read(path)[:60]
            with open(path, "wb") as f:
                f.write(data)
        done = self.sweep(top, "--preset", "unit", model=model, code=3)
        self.assertRegex(done.out + done.err, r"\b2 (of them )?failed")
        rows = self.query("SELECT id, path, status, error FROM pictures WHERE status <> 'ok' ORDER BY id")
        self.assertEqual([os.path.basename(row["path"]) for row in rows], ["p0050.png", "p0150.png"])
        self.assertEqual({row["status"] for row in rows}, {"format"})
        self.assertTrue(all(row["error"] for row in rows))
        mine, theirs = self.snapshot(), self.snapshot(good)
        gone = sorted(set(theirs) - set(mine))
        self.assertEqual(gone, ["maps/000/p0050.npy", "maps/000/p0150.npy", "overlays/000/p0050.overlay.png",
                                "overlays/000/p0150.overlay.png"])
        self.assertEqual([n for n in mine if n.startswith(("maps", "overlays")) and mine[n] != theirs[n]], [])
        for row, other in zip(self.rows(), self.rows(good)):
            self.assertTrue(row == other or row["status"] == "format")
        self.assertEqual(sum(row["status"] == "format" and row["error"] != "" for row in self.rows()), 2)

    def test_too_many_failures_stop_the_run(self):
        top = self.draw_many(40)
        for i in range(0, 40, 4):
            self.spoil(os.path.join(top, "p%04d.png" % i))
        done = self.sweep(top, "--max-failures", "3", code=1)
        self.assertRegex(done.err, "max-failures|more than 3|failed")
        self.assertFalse(os.path.exists(os.path.join(self.result, "results.csv")))
        self.sweep(top, "--max-failures", "0", code=1)
        # How many may fail is no part of what was computed.
        self.sweep(top, code=3)
        self.assertEqual(self.statuses().count("ok"), 30)
        other = os.path.join(self.folder, "other")
        self.sweep(top, "--max-failures", "10", code=3, run=other)
        self.assertEqual(self.read(os.path.join(other, "results.csv")),
                         self.read(os.path.join(self.result, "results.csv")))

    def test_a_picture_that_goes_away_and_comes_back(self):
        top = self.draw_many(400)
        last = os.path.join(top, "p0399.png")
        process = self.start(top, "--json", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.assertEqual(json.loads(process.stdout.readline())["event"], "start")
        os.rename(last, last + ".away")
        process.communicate(timeout=100)
        self.assertEqual(process.returncode, 3)
        self.assertEqual(self.statuses(), ["ok"] * 399 + ["io"])
        before = self.query("SELECT * FROM timings WHERE picture NOT IN (SELECT id FROM pictures WHERE status <> 'ok')")
        self.sweep(top, code=3)
        os.rename(last + ".away", last)
        self.sweep(top)
        self.assertEqual(self.statuses(), ["ok"] * 400)
        after = self.query("SELECT * FROM timings")
        self.assertEqual([row for row in before if row not in after], [])
        other = os.path.join(self.folder, "other")
        self.sweep(top, run=other)
        mine, theirs = self.snapshot(), self.snapshot(other)
        self.assert_same_files(mine, theirs)

    def test_a_picture_that_comes_late(self):
        self.draw("a.png")
        path = self.write("in/list.csv", b"path\na.png\nlate.png\n")
        for _ in range(2):
            self.sweep(path, code=3)
            self.assertEqual(self.statuses(), ["ok", "io"])
        self.draw("late.png")
        self.sweep(path)
        self.assertEqual(self.statuses(), ["ok", "ok"])

    def test_a_complete_run_is_not_done_again(self):
        top = self.draw_many(20)
        self.sweep(top)
        before = {name: os.stat(os.path.join(self.result, name)).st_mtime_ns for name in self.snapshot()
                  if name.startswith(("maps", "overlays"))}
        timings = self.query("SELECT * FROM timings")
        done = self.sweep(top)
        self.assertRegex((done.out + done.err).lower(), "complete|nothing|already")
        self.assertEqual({name: os.stat(os.path.join(self.result, name)).st_mtime_ns for name in before}, before)
        self.assertEqual(self.query("SELECT * FROM timings"), timings)

    def test_what_a_complete_run_lost_is_made_again(self):
        top = self.draw_many(6)
        self.sweep(top, "--overlays", "top:3")
        first = self.snapshot()
        for lost in (["results.csv"], ["run.json"], ["results.sqlite"], ["results.sqlite", "results.csv", "run.json"]):
            with self.subTest(lost=lost):
                for name in lost:
                    os.remove(os.path.join(self.result, name))
                self.sweep(top, "--overlays", "top:3")
                self.assert_same_files(self.snapshot(), first)

    def test_a_complete_run_with_failures_exits_with_3_again(self):
        top = self.draw_many(6)
        bad = os.path.join(top, "p0002.png")
        good = self.read(bad)
        self.spoil(bad)
        self.sweep(top, code=3)
        first = self.snapshot()
        self.sweep(top, code=3)
        self.assert_same_files(self.snapshot(), first)
        with open(bad, "wb") as f:
            f.write(good)
        self.sweep(top, code=3)
        self.assertEqual(self.statuses()[2], "format")
        self.sweep(top, "--retry-failed")
        self.assertEqual(self.statuses(), ["ok"] * 6)
        other = os.path.join(self.folder, "other")
        self.sweep(top, run=other)
        self.assert_same_files(self.snapshot(), self.snapshot(other))

    def test_a_retry_that_fails_again(self):
        top = self.draw_many(4)
        self.spoil(os.path.join(top, "p0001.png"))
        self.sweep(top, code=3)
        self.sweep(top, "--retry-failed", code=3)
        self.assertEqual(self.statuses(), ["ok", "format", "ok", "ok"])

    def test_every_picture_bad(self):
        top = self.draw_many(5)
        for i in range(5):
            self.spoil(os.path.join(top, "p%04d.png" % i))
        self.sweep(top, code=3)
        self.assertEqual(self.statuses(), ["format"] * 5)

    def test_kinds_of_failure(self):
        top = self.draw("a.png")
        self.write("in/b.npy", files.npy((32, 32, 5), [0.25] * (32 * 32 * 5)))
        values = [0.5] * (32 * 32)
        values[7] = math.nan
        self.write("in/c.npy", files.npy((32, 32), values))
        self.write("in/d.png", b"")
        os.mkdir(os.path.join(top, "e.png"))
        path = self.write("list.csv", b"path\nin/a.png\nin/b.npy\nin/c.npy\nin/d.png\nin/e.png\n/dev/null\n")
        self.sweep(path, code=3)
        statuses = self.statuses()
        self.assertEqual(statuses[0], "ok")
        self.assertLessEqual(set(statuses[1:]), {"argument", "io", "format", "unsupported", "limit", "numeric"})
        self.assertEqual([bool(row["error"]) for row in self.rows()], [False] + [True] * 5)


class Refusals(SweepCase):
    def refused(self, *arguments, texts=(), **where):
        before = self.snapshot()
        self.sweep(*arguments, code=2, texts=["--restart", *texts], **where)
        self.assert_same_files(self.snapshot(), before)

    def test_another_model(self):
        top = self.draw_many(5)
        model = os.path.join(self.folder, "m.onnx")
        shutil.copy(MODEL, model)
        shutil.copy(MODEL + ".salmap", model + ".salmap")
        self.sweep(top, model=model)
        before = self.read(os.path.join(self.result, "results.csv"))
        shutil.copy(SHORTCUT, model)
        self.refused(top, texts=["model"], model=model)
        self.sweep(top, "--restart", model=model)
        self.assertNotEqual(self.read(os.path.join(self.result, "results.csv")), before)
        other = os.path.join(self.folder, "other")
        self.sweep(top, model=model, run=other)
        self.assert_same_files(self.snapshot(), self.snapshot(other))

    def test_other_preprocessing(self):
        top = self.draw_many(5)
        model = os.path.join(self.folder, "m.onnx")
        shutil.copy(MODEL, model)
        shutil.copy(MODEL + ".salmap", model + ".salmap")
        self.sweep(top, model=model)
        self.refused(top, "--preset", "tf", model=model)
        with open(model + ".salmap", "a") as f:
            f.write("fit letterbox\n")
        self.refused(top, model=model)

    def test_another_list(self):
        self.draw_many(5)
        path = self.write("in/list.csv", b"path,label\np0000.png,1\np0001.png,2\n")
        self.sweep(path)
        for data in (b"path,label\np0000.png,1\np0001.png,2\np0002.png,1\n", b"path,label\np0000.png,1\np0001.png,3\n",
                     b"path,label\np0001.png,2\np0000.png,1\n", b"path,label\np0000.png,1\n"):
            self.write("in/list.csv", data)
            self.refused(path)
        self.sweep(path, "--restart")
        self.assertEqual([row["path"] for row in self.rows()], ["p0000.png"])
        self.assertEqual(os.listdir(os.path.join(self.result, "maps/000")), ["p0000.npy"])
        self.assertEqual(os.listdir(os.path.join(self.result, "overlays/000")), ["p0000.overlay.png"])

    def test_a_folder_that_changed(self):
        top = self.draw_many(5)
        self.sweep(top)
        self.draw("more.png")
        self.refused(top)
        self.sweep(top, "--restart")
        self.assertEqual(len(self.rows()), 6)

    def test_other_options(self):
        top = self.draw_many(5)
        self.sweep(top)
        for option, value in (("--sigma", "9"), ("--overlays", "top:2"), ("--maps", "png16"), ("--colormap", "jet"),
                              ("--alpha", "0.25"), ("--normalize", "none"), ("--reduce", "mean"),
                              ("--modifier", "relu"), ("--rule", "guided"), ("--tolerance", "2"),
                              ("--overlay-format", "jpeg"), ("--target", "mean"), ("--shard", "0/2")):
            with self.subTest(option=option):
                self.refused(top, option, value, texts=[option[2:]])
        self.refused(top, "--exact", texts=["exact"])

    def test_options_that_change_no_result(self):
        top = self.draw_many(5)
        self.sweep(top)
        for options in (["--batch", "2"], ["--threads", "1"], ["--quiet"], ["--json"], ["--max-failures", "9"],
                        ["--sigma", "3.84"]):
            with self.subTest(options=options):
                self.sweep(top, *options)

    def test_restart_spares_what_is_not_its_own(self):
        top = self.draw_many(3)
        self.sweep(top)
        self.write("RUN/notes.txt", b"mine")
        self.write("RUN/maps/000/notes.txt", b"mine too")
        first = self.snapshot()
        self.sweep(top, "--sigma", "9", "--restart")
        self.assertNotEqual(self.snapshot()["maps/000/p0000.npy"], first["maps/000/p0000.npy"])
        self.assertEqual(self.read(os.path.join(self.result, "notes.txt")), b"mine")
        self.sweep(top, "--restart")
        self.assert_same_files({k: v for k, v in self.snapshot().items() if "notes" not in k},
                               {k: v for k, v in first.items() if "notes" not in k})

    def test_restart_of_nothing(self):
        self.sweep(self.draw_many(3), "--restart")
        self.assertEqual(len(self.rows()), 3)

    def test_a_run_folder_that_is_a_file(self):
        path = self.write("file", b"precious")
        for run in (path, path + "/below"):
            done = self.run_salmap(*self.command(self.draw_many(2), run=run))
            self.assertIn(done.returncode, (1, 2), done.err)
            self.assertIn(path, done.err)
        self.assertEqual(self.read(path), b"precious")

    def test_folders_that_nobody_may_write(self):
        top = self.draw_many(2)
        for run in ("/proc", "/proc/self/fdinfo"):
            self.sweep(top, code=1, texts=[run], run=run)

    def test_a_folder_that_is_mounted_to_be_read(self):
        top = self.draw_many(2)
        os.mkdir(self.result)
        script = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" "$1" || exit 99; shift; exec "$@"'
        done = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", self.result, SALMAP, *self.command(top)],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode == 99 or b"unshare" in done.stderr:
            self.skipTest("no rights to mount")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stderr, b"RUN.*Read-only|Read-only.*RUN|read-only|unable to open")
        self.assertEqual(os.listdir(self.result), [])

    def test_a_database_that_is_none(self):
        top = self.draw_many(2)
        os.mkdir(self.result)
        self.write("RUN/results.sqlite", b"this is a letter, not a database\n" * 100)
        done = self.run_salmap(*self.command(top))
        self.assertIn(done.returncode, (1, 2), done.err)
        self.assertIn("results.sqlite", done.err)

    def test_two_at_the_same_time(self):
        top = self.draw_many(300)
        process = self.start(top, "--json", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        while not os.path.isdir(os.path.join(self.result, "maps/000")) and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGSTOP)
        try:
            for extra in ([], ["--restart"]):
                done = self.run_salmap(*self.command(top, *extra))
                self.assertIn(done.returncode, (1, 2), done.err)
                self.assertIn(self.result, done.err)
        finally:
            process.send_signal(signal.SIGCONT)
        process.communicate(timeout=100)
        self.assertEqual(process.returncode, 0)
        self.assertEqual([row["status"] for row in self.rows()], ["ok"] * 300)

    def test_two_that_begin_together(self):
        top = self.draw_many(12)
        other = os.path.join(self.folder, "other")
        self.sweep(top, run=other)
        expected = self.snapshot(other)
        for _ in range(6):
            both = [self.start(top, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
            said = [process.communicate(timeout=100)[1].decode() for process in both]
            codes = sorted(process.returncode for process in both)
            self.assertEqual(codes[0], 0, said)
            self.assertIn(codes[1], (0, 1, 2), said)  # 0: it came when the first was done
            self.assert_same_files(self.snapshot(), expected)
            shutil.rmtree(self.result)

    def test_wrong_usage(self):
        top = self.draw_many(2)
        for wrong in (["--shard", "2/2"], ["--shard", "x"], ["--shard", "-1/2"], ["--shard", "0/0"], ["--maps", "gif"],
                      ["--overlays", "top:0"], ["--overlays", "some"], ["--top-k", "-1"], ["--overlay-format", "gif"],
                      ["--max-failures", "-1"], ["--tolerance", "x"], ["--target", "index:7"], ["--frobnicate"]):
            with self.subTest(wrong=wrong):
                done = self.run_salmap(*self.command(top, *wrong))
                self.assertEqual(done.returncode, 2, done.err)
                self.assertIn(wrong[0].split("=")[0].lstrip("-").split("-")[0], done.err)
        self.check(["sweep", MODEL, top], 2, "-o RUN")
        self.check(["sweep", MODEL], 2)
        self.assertFalse(os.path.exists(os.path.join(self.result, "results.csv")))

    def test_overlays_of_wrong_predictions_need_labels(self):
        self.sweep(self.draw_many(2), "--overlays", "wrong", code=2, texts=["label"])


class Events(SweepCase):
    def test_events_of_a_run(self):
        top = self.draw_many(30)
        self.spoil(os.path.join(top, "p0007.png"))
        done = self.sweep(top, "--json", code=3)
        events = [json.loads(line) for line in done.out.splitlines()]
        kinds = [event["event"] for event in events]
        self.assertEqual((kinds[0], kinds[-1]), ("start", "end"))
        self.assertLessEqual({"start", "progress", "failed", "end"}, set(kinds))
        (failed,) = [event for event in events if event["event"] == "failed"]
        self.assertTrue(failed["path"].endswith("p0007.png"))
        self.assertTrue(failed["error"])
        self.assertTrue(any(30 in event.values() for event in events[:1]), events[0])

    def test_quiet_prints_nothing(self):
        done = self.sweep(self.draw_many(3), "--quiet")
        self.assertEqual(done.out + done.err, "")

    def test_elsewhere_lines_are_printed(self):
        done = self.sweep(self.draw_many(20))
        self.assertNotIn("\r", done.out + done.err)
        self.assertNotIn("\x1b", done.out + done.err)
        text = done.out + done.err
        self.assertRegex(text, r"\b20\b")
        for stage in ("decode", "compute", "encode"):
            self.assertIn(stage, text.lower())

    def on_terminal(self, *arguments, columns=100):
        """What a terminal of that width is sent."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = self.start(*arguments, stdout=subprocess.DEVNULL, stderr=theirs)
        os.close(theirs)
        sent = b""
        try:
            while True:
                piece = os.read(ours, 65536)
                if not piece:
                    break
                sent += piece
        except OSError as error:
            self.assertEqual(error.errno, errno.EIO)
        os.close(ours)
        self.assertEqual(process.wait(100), 0)
        return sent.decode()

    def test_a_bar_on_a_terminal(self):
        top = self.draw_many(300)
        for columns in (100, 40):
            sent = self.on_terminal(top, "--restart", columns=columns)
            self.assertIn("\r", sent.replace("\r\n", "\n"))
            drawn = [line for line in re.split(r"[\r\n]+", sent) if "/s" in line or "left" in line or "%" in line]
            self.assertTrue(drawn, sent)
            for line in drawn:
                shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line)
                self.assertLessEqual(len(shown), columns, repr(shown))
            if columns == 100:
                bars = " ".join(drawn)
                self.assertRegex(bars, r"\d+\s*(/|of)\s*300")
                self.assertRegex(bars, r"\d+(\.\d+)?\s*(pictures)?(/s| per second)")
                self.assertRegex(bars, r"left|ETA|remaining")

    def test_quiet_on_a_terminal(self):
        self.assertEqual(self.on_terminal(self.draw_many(5), "--quiet"), "")

    def test_a_dry_run_computes_nothing(self):
        top = self.draw_many(7)
        done = self.sweep(top, "--dry-run", "--shard", "1/3")
        text = done.out + done.err
        self.assertRegex(text, r"\b7\b")
        self.assertRegex(text, r"1\s*(/|of)\s*3")
        self.assertIn("RUN", text)
        self.assertFalse(os.path.exists(self.result))


if __name__ == "__main__":
    main(sys.modules[__name__])
