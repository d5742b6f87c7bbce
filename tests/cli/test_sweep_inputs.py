"""Which pictures a sweep takes."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
import time

from harness import SALMAP, main
from sweep_case import SweepCase


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


if __name__ == "__main__":
    main(sys.modules[__name__])
