"""Which pictures a sweep takes."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys

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
        self.sweep(top, "--root", top, code=2, texts=["a root (%s) goes with a manifest, and %s is none\n" % (top, top)])
        path = self.write("in/list.csv", b"path\na.png\n")
        self.sweep(path, os.path.join(top, "a.png"), code=2, texts=[path + ": a manifest is given alone\n"])

    def test_a_folder_without_pictures(self):
        os.mkdir(os.path.join(self.folder, "in"))
        self.write("in/notes.txt", b"no picture")
        self.sweep("in", code=1, texts=["in: no pictures (.png, .jpg, .jpeg, .tif, .tiff, .npy) in this folder\n"])

    def test_a_glob(self):
        top = self.draw("a1.png", "a2.png", "b1.png", "sub/a3.png")
        self.sweep(os.path.join(top, "a*.png"))
        self.assertEqual(self.listed(top), ["a1.png", "a2.png"])
        self.sweep("in/c*.png", run="other", code=1, texts=["in/c*.png: no file matches\n"])

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

    def write_list(self, *rows):
        text = io.StringIO()
        csv.writer(text).writerows(rows)
        return self.write("in/list.csv", text.getvalue().encode())

    def test_quoted_fields(self):
        self.draw("a,b.png", "plain.png")
        note = 'says "no",\r\nthen; nothing\tmore'
        self.sweep(self.write_list(["note", "path"], [note, "a,b.png"], ["", "plain.png"]))
        self.assertEqual([(row["path"], row["note"]) for row in self.rows()], [("a,b.png", note), ("plain.png", "")])
        self.assertEqual(self.query("SELECT note FROM manifest ORDER BY salmap_id")[0]["note"], note)

    def test_columns_that_are_named_as_results_are(self):
        """Columns of the results keep their names; those of a list get others where they are the same."""
        self.draw("a.png")
        for name, written in (("status", "manifest_status"), ("score", "manifest_score"), ("id", "id"),
                              ("top1", "manifest_top1"), ("map_file", "manifest_map_file"), ("picture", "picture"),
                              ("select", "select"), ("na me", "na me"), ('q"q', 'q"q'), ("", "")):
            with self.subTest(name=name):
                run = os.path.join(self.folder, "run")
                self.sweep(self.write_list(["path", name], ["a.png", "mine"]), run=run)
                (kept,) = self.query("SELECT * FROM manifest", run)
                self.assertEqual([key for key, value in kept.items() if value == "mine"], [name])
                with open(os.path.join(run, "results.csv"), newline="") as f:
                    header, row = csv.reader(f)
                self.assertEqual(len(set(header)), len(header))
                self.assertEqual([key for key, value in zip(header, row) if value == "mine"], [written])
                shutil.rmtree(run)

    def test_columns_that_no_list_may_have(self):
        self.draw("a.png")
        for name, text in (("salmap_id", "a column is named 'salmap_id', which the results need: rename it"),
                           ("PATH", "two columns are named 'path' and 'PATH'")):
            path = self.write_list(["path", name], ["a.png", "mine"])
            self.sweep(path, code=1, texts=["%s: %s\n" % (path, text)])
            self.assertFalse(os.path.exists(self.result))

    def test_the_folder_of_relative_paths(self):
        top = self.draw("a.png", "sub/b.png")
        elsewhere = os.path.join(self.folder, "lists")
        os.mkdir(elsewhere)
        path = self.write("lists/list.csv", b"path\na.png\nsub/b.png\n")
        self.sweep(path, code=2, texts=["none of the 2 files is there, such as a.png: paths start from the manifest's folder (--root DIR)\n"])
        self.assertFalse(os.path.exists(self.result))
        self.sweep(path, "--root", top, run="rooted")
        self.assertEqual([row["status"] for row in self.rows(os.path.join(self.folder, "rooted"))], ["ok", "ok"])

    def test_a_manifest_without_paths(self):
        path = self.write("list.csv", b"file,label,river\na.png,1,Elbe\n")
        self.sweep(path, code=1, texts=[path + ": there is no column named 'path'; the columns are: file, label, river\n"])

    def test_lists_of_nothing(self):
        for name, data, text in (
            ("empty.csv", b"", "the file is empty"),
            ("header.csv", b"path,label\n", "there is a header and no row"),
            ("blank.csv", b"\n\n", "the first line is empty; it must name the columns, one of them 'path'"),
        ):
            with self.subTest(name=name):
                path = self.write(name, data)
                self.sweep(path, code=1, texts=["sweep: %s: %s\n" % (path, text)])
        self.assertFalse(os.path.exists(os.path.join(self.result, "results.csv")))

    def test_rows_of_another_length_are_named(self):
        for name, row, text in (
            ("short.csv", b"b.png\n", "1 field, the header has 2"),
            ("long.csv", b"b.png,1,2,3\n", "4 fields, the header has 2"),
            ("open.csv", b'"b.png,1\n', "a quote is opened and not closed"),
        ):
            with self.subTest(name=name):
                path = self.write(name, b"path,label\na.png,1\n" + row)
                self.sweep(path, code=1, texts=["sweep: %s: line 3: %s\n" % (path, text)])

    def test_a_null_byte_in_a_manifest(self):
        text = "path,label\na.png,1\n"
        for data in (text.replace("a", "a\0").encode(), text.encode("utf-16-le")):
            path = self.write("list.csv", data)
            self.sweep(path, code=1, texts=[path + ": holds null bytes: it is no text, or UTF-16 without its mark; save it as "
                                            "UTF-8\n"])

    def test_a_picture_twice(self):
        top = self.draw("a.png", "b.png", "c.png")
        path = self.write("in/list.csv", b'path\na.png\n"b.png"\nc.png\nb.png\n')
        self.sweep(path, code=1, texts=[path + ": line 5: the path 'b.png' is on line 3 already\n"])
        picture = os.path.join(top, "a.png")
        self.sweep(picture, os.path.join(top, "b.png"), picture, code=2, texts=[picture + ": is given twice\n"])
        self.assertFalse(os.path.exists(os.path.join(self.result, "results.csv")))

    def test_lines_are_counted_with_those_in_quotes(self):
        self.draw("a.png", "b.png")
        path = self.write("in/list.csv", b'path,note\na.png,"one\ntwo\nthree"\nb.png,\na.png,\n')
        self.sweep(path, code=1, texts=[path + ": line 6: the path 'a.png' is on line 2 already\n"])

    def test_paths_that_are_not_there(self):
        top = self.draw("a.png")
        gone = ": cannot open: No such file or directory\n"
        self.sweep(top, code=1, texts=["sweep: no/such.onnx" + gone], model="no/such.onnx")
        for missing in ("nothing", "nothing.csv"):
            self.sweep(missing, code=1, texts=["sweep: " + missing + gone])
        self.assertFalse(os.path.exists(os.path.join(self.result, "results.csv")))
        path = self.write("in/list.csv", b"path\na.png\ngone.png\n")
        self.sweep(path, code=3, run="listed")
        self.assertEqual([row["status"] for row in self.rows(os.path.join(self.folder, "listed"))], ["ok", "io"])

    def test_names_that_are_no_utf8(self):
        top = self.draw(b"sc\xffale.png", b"plain.png", folder=os.fsencode(self.folder) + b"/in\xfe")
        done = self.sweep(top, "--json")
        events = [json.loads(line)["event"] for line in done.out.splitlines()]
        self.assertEqual((events[0], events[-1]), ("start", "end"))
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
        # A spreadsheet would take the dash for the beginning of a formula.
        printed = [name.replace("-dash", "'-dash") for name in sorted(names)]
        self.assertEqual([os.path.basename(row["path"]) for row in self.rows()], printed)
        self.assertEqual({row["status"] for row in self.rows()}, {"ok"})
        self.sweep(top)
        # The list is a manifest itself.
        again = os.path.join(self.folder, "again")
        self.sweep(os.path.join(self.result, "manifest.csv"), "--root", top, run=again)
        self.assertEqual(self.read(os.path.join(again, "results.csv")),
                         self.read(os.path.join(self.result, "results.csv")))

    def test_formulas_reach_no_spreadsheet(self):
        """In results, which people open: an apostrophe goes before them. The list and JSON have everything as it is."""
        names = ["=1+1.png", "+a.png", "-a.png", "@a.png", "\ta.png", "'=b.png", "plain.png"]
        guarded = {name: name if name == "plain.png" else "'" + name for name in names}
        top = self.draw(*names)
        rows = [["path", "label", "=note", "kind"]] + [[name, "-3.5", "@cmd|calc", "-1e-3"] for name in names]
        with open(os.path.join(top, "list.csv"), "w", newline="") as f:
            csv.writer(f).writerows(rows)
        self.sweep(os.path.join(top, "list.csv"))
        exported = self.check(["export", self.result], 0).out
        self.assertEqual(exported.encode(), self.read(os.path.join(self.result, "results.csv")))
        for name, row in self.pairs(names, self.rows()):
            self.assertEqual((row["path"], row["label"], row["'=note"], row["kind"], row["status"]),
                             (guarded[name], "-3.5", "'@cmd|calc", "-1e-3", "ok"))
        lines = [json.loads(line) for line in self.check(["export", self.result, "--json"], 0).out.splitlines()]
        self.assertEqual([line["path"] for line in lines], names)
        self.assertEqual(lines[0]["manifest"]["=note"], "@cmd|calc")
        with open(os.path.join(self.result, "manifest.csv"), newline="") as f:
            self.assertEqual(list(csv.reader(f)), rows)
        again = os.path.join(self.folder, "again")
        self.sweep(os.path.join(self.result, "manifest.csv"), "--root", top, run=again)
        self.assertEqual({row["status"] for row in self.rows(again)}, {"ok"})
        self.assertIn("nothing is left to do: 7 of 7 pictures done", self.sweep(os.path.join(top, "list.csv")).out)

    def test_a_hundred_thousand_pictures(self):
        count, copies = 100000, 20000
        top = self.draw(*["first%d.png" % i for i in range(count // copies)], folder="sources")
        many = os.path.join(self.folder, "in")
        os.mkdir(many)
        for i in range(count):
            os.link(os.path.join(top, "first%d.png" % (i // copies)), os.path.join(many, "p%06d.png" % i))
        begin = os.times()
        done = self.sweep(many, "--dry-run")
        self.assertIn("\npictures  100000\nresults   %s\n" % self.result, done.out)
        self.assertFalse(os.path.exists(self.result))
        self.sweep(many, "--shard", "0/2000")
        # Of the processor, whatever else the machine does. What takes the square of so many would take hours.
        end = os.times()
        spent = (end.children_user + end.children_system) - (begin.children_user + begin.children_system)
        self.assertLess(spent, 60)
        kept = self.query("SELECT pictures.id, path, status, map_file FROM pictures JOIN maps ON picture = id"
                          " ORDER BY id", database="shards/0-of-2000.sqlite")
        self.assertEqual(len(kept), 42)
        self.assertEqual({row["status"] for row in kept}, {"ok"})
        for row in kept:
            number = int(re.search(r"p(\d{6})\.png$", row["path"]).group(1))
            self.assertEqual(row["map_file"], "maps/%03d/p%06d.npy" % (number // 1000, number))
            self.assertTrue(os.path.exists(os.path.join(self.result, row["map_file"])))
        self.assertEqual(len(self.rows(name="manifest.csv")), count)


if __name__ == "__main__":
    main(sys.modules[__name__])
