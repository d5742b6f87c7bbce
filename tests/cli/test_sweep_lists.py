"""Labels, classes and lists of sweeps: what is read of them, and how a run gets more pictures."""

import hashlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time

import files
from harness import MODEL, SALMAP, main
from sweep_case import SweepCase
from test_models import small_weights

SIDE = 16


class ListCase(SweepCase):
    """A classifier of five classes, and what it predicts."""

    def setUp(self):
        super().setUp()
        self.model = self.classifier()

    def command(self, *arguments, **where):
        return super().command(*arguments, "--preset", "unit", **{"model": self.model, **where})

    def draw_many(self, count, **where):
        return super().draw_many(count, **{"side": SIDE, **where})

    def predicted(self, *paths):
        return [line["predicted"] for line in self.explain(*paths, "--preset", "unit", model=self.model)]

    def list_of(self, labels, name="list.csv", head="path,label", form="p%04d.png,%s"):
        lines = [head] + [form % (i, label) for i, label in enumerate(labels)]
        return self.write("in/" + name, ("\n".join(lines) + "\n").encode())

    def correct(self, run=None):
        return [row["correct"] for row in self.query("SELECT correct FROM pictures ORDER BY id", run)]

    def with_names(self, key, text):
        """The classifier with a text in its metadata."""
        entry = files.put(1, key.encode()) + files.put(2, text.encode())
        return self.write("named-%s.onnx" % key, self.read(self.model) + files.put(14, entry))

    def events(self, done):
        return {event["event"]: event for event in map(json.loads, done.out.splitlines())}


class Labels(ListCase):
    def test_numbers_as_people_write_them(self):
        """Of a regression: a label this far from its value at most is right."""
        top = self.draw_many(6, side=32)
        values = [line["score"] for line in self.explain(top, "--preset", "unit")]
        for name, form, write in (
            ("point.csv", "p%04d.png,%s", "%.3f"),
            ("comma.csv", "p%04d.png;%s", "%.3f"),
            ("comma.tsv", "p%04d.png\t%s", "%.3f"),
            ("blanks.csv", "p%04d.png;%s", "  %.3f \t"),
            ("no-break.csv", "p%04d.png;%s", "\u00a0%.3f\u00a0"),
            ("quoted.csv", 'p%04d.png,"%s"', " %.4f"),
        ):
            with self.subTest(name=name):
                separator = form[9]
                labels = [write % (v + (0.4 if i % 2 else 0.6)) for i, v in enumerate(values)]
                if name != "point.csv":
                    labels = [label.replace(".", ",") for label in labels]
                path = self.list_of(labels, name, "path%slabel" % separator, form)
                run = os.path.join(self.folder, name)
                done = self.sweep(path, "--overlays", "wrong", model=MODEL, run=run)
                self.assertNotIn("labels:", done.err)
                self.assertEqual(self.correct(run), [0, 1] * 3)
                # What the list says is kept as it is.
                self.assertEqual([row["label"] for row in self.rows(run)], labels)

    def test_what_a_comma_means_is_not_guessed(self):
        self.draw_many(2, side=32)
        path = self.list_of(["1.5", '"2,5"'])
        self.sweep(path, model=MODEL, code=1, texts=[
            "p0001.png: its label '2,5' has a decimal comma, and that of p0000.png a point, '1.5': write all labels alike\n"])
        # Among commas, a quoted one may stand for a thousand; among semicolons it does not.
        path = self.list_of(['"1,234"', '"2,5"'])
        done = self.sweep(path, model=MODEL)
        self.assertIn("note: labels: 1 of 2 can be compared with predictions; 1 is no number (p0000.png: '1,234')\n", done.err)
        self.assertEqual(self.correct()[0], None)
        path = self.list_of(["1,234", "2,5"], "other.csv", "path;label", "p%04d.png;%s")
        self.assertNotIn("labels:", self.sweep(path, model=MODEL, run="other").err)
        for label in ("1.234,5", "1,2,3", ",5", "5,", "1,5x"):
            path = self.list_of([label, "2,5"], "odd.csv", "path;label", "p%04d.png;%s")
            self.sweep(path, model=MODEL, run="odd" + label, texts=["1 is no number (p0000.png: '%s')" % label])

    def test_lists_in_utf16(self):
        self.draw("é \U0001f41f.png", "b.png", side=SIDE)
        for name, codec, mark in (("le.csv", "utf-16-le", b"\xff\xfe"), ("be.tsv", "utf-16-be", b"\xfe\xff"),
                                  ("mark.csv", "utf-8", b"\xef\xbb\xbf")):
            with self.subTest(name=name):
                separator = "\t" if name.endswith("tsv") else ";"
                text = "path%slabel\r\né \U0001f41f.png%s1 \r\nb.png%s 2\r\n" % (separator, separator, separator)
                run = os.path.join(self.folder, "run-" + name)
                self.sweep(self.write("in/" + name, mark + text.encode(codec)), run=run)
                self.assertEqual([(row["path"], row["label"], row["status"]) for row in self.rows(run)],
                                 [("é \U0001f41f.png", "1 ", "ok"), ("b.png", " 2", "ok")])
        for data, text in ((b"\xff\xfep\0a", "is UTF-16 and ends within a character: it is cut off\n"),
                           (b"\xff\xfe" + "path\n".encode("utf-16-le") + b"\x00\xd8a\0", "line 2: is no UTF-16: half a character\n"),
                           (b"\xff\xfe" + "pa\0th".encode("utf-16-le"), "holds null bytes")):
            path = self.write("in/damaged.csv", data)
            self.sweep(path, code=1, texts=["%s: %s" % (path, text)], run="damaged")

    def test_other_columns(self):
        top = self.draw_many(3)
        predicted = self.predicted(top)
        path = self.write("in/list.csv", "".join("%s;%s;%s\n" % row for row in [
            ("label", "Bild", "Alter"), *((9, "p%04d.png" % i, p) for i, p in enumerate(predicted))]).encode())
        self.sweep(path, code=1, texts=["there is no column named 'path'; the columns are: label, Bild, Alter\n"])
        self.sweep(path, "--path-column", "Bild", "--label-column", "Age", code=1,
                   texts=["there is no column named 'Age'; the columns are: label, Bild, Alter\n"])
        options = ["--path-column", "Bild", "--label-column", "alter"]
        self.sweep(path, *options)
        self.assertEqual(self.correct(), [1, 1, 1])
        self.assertEqual([(row["path"], row["Alter"], row["label"]) for row in self.rows()],
                         [("p%04d.png" % i, str(p), "9") for i, p in enumerate(predicted)])
        self.assertEqual(json.loads(self.read(os.path.join(self.result, "run.json")))["settings"]["label-column"], "alter")
        # The same again, and the command of run.json in another folder, go on and give the same.
        before = self.snapshot()
        self.sweep(path, *options)
        self.assert_same_files(self.snapshot(), before)
        again = json.loads(before["run.json"])["again"]
        self.assertIn(" --path-column Bild --label-column alter", again)
        # Another column is another run.
        self.sweep(path, "--path-column", "Bild", code=2,
                   texts=["the run was begun with another --label-column: alter, now label"])
        self.sweep(path, *options, "--restart")
        self.assert_same_files(self.snapshot(), before)

    def test_a_column_called_path_that_is_none(self):
        top = self.draw_many(2)
        path = self.write("in/list.csv", b"path,file\nx,p0000.png\ny,p0001.png\n")
        self.sweep(path, "--path-column", "file")
        self.assertEqual([(row["path"], row["manifest_path"]) for row in self.rows()],
                         [("p0000.png", "x"), ("p0001.png", "y")])
        self.sweep(top, "--path-column", "file", code=2, run="other", texts=["a column (file) is one of a manifest, and "])

    def test_labels_are_counted_at_the_start(self):
        self.draw_many(9)
        path = self.list_of(["0", "4 ", "", "NA", "nan", "pike", "5", "1.5", "2.0"])
        done = self.sweep(path)
        self.assertIn("salmap: sweep: note: labels: 3 of 9 can be compared with predictions; 3 are missing, 1 is no number "
                      "(p0005.png: 'pike'), 2 are no output of the network (p0006.png: '5'); a number is the number of an output: "
                      "if 0, 1.5, 2, 4, 5 are names of classes, write them into --classes; names of classes need --classes FILE\n",
                      done.err)
        self.assertEqual([value is None for value in self.correct()], [False, False, True, True, True, True, False, False, False])
        event = self.events(self.sweep(path, "--json", run="other"))["labels"]
        self.assertEqual(event, {"event": "labels", "pictures": 9, "good": 3, "missing": 3, "no_number": 1, "no_output": 2,
                                 "by_name": False, "first_no_number": "p0005.png", "first_no_output": "p0006.png"})
        self.assertNotIn("labels:", self.sweep(path, "--quiet", run="quiet").err)
        # Nothing that is no number is taken for a label that is missing.
        self.sweep(path, "--overlays", "wrong", run="wrong", code=2,
                   texts=["p0005.png: its label 'pike' is no number: with overlays wrong, labels are outputs or values\n"])


class Classes(ListCase):
    NAMES = ["age_0", "age_1", "age_10", "age_2", "mäh, \"x\""]

    def names(self, text, name="names.txt"):
        return self.write(name, text if isinstance(text, bytes) else text.encode())

    def test_files_of_names(self):
        top = self.draw_many(2)
        (predicted, _) = self.predicted(top)
        as_object = {str(i): name for i, name in enumerate(self.NAMES)}
        for number, text in enumerate((
            "\n".join(self.NAMES) + "\n", "\ufeff" + "\r\n".join(self.NAMES) + "\r\n\r\n",
            "\n".join(self.NAMES).encode("utf-16"), json.dumps(self.NAMES), json.dumps(as_object, indent=1),
            json.dumps({name: i for i, name in enumerate(self.NAMES)}), repr(dict(enumerate(self.NAMES))),
            json.dumps({"num_labels": 5, "labels": ["x"], "deep": {"a": [1, None]}, "id2label": as_object, "label2id": {"a": 1}}),
            json.dumps({str(i): ["n%08d" % i, name] for i, name in enumerate(self.NAMES)}),
        )):
            with self.subTest(text=text):
                path = self.names(text, "names-%d" % number)
                lines = self.explain(top, "--preset", "unit", "--classes", path, model=self.model)
                self.assertEqual(lines[0]["predicted_class"], self.NAMES[predicted])
                self.assertEqual(lines[0]["maps"][0]["target_class"], self.NAMES[predicted])

    def test_files_that_are_none(self):
        top = self.draw_many(1)
        for text, said in (
            ("a\nb\n", "--classes names.txt: has 2 names, and the network has 5 outputs\n"),
            ("a\n\nb\nc\nd\ne\n", "line 2 is empty, and each line names an output\n"),
            ("[1, 2]", "a name is missing"), ('{"0": "a", "2": "b"}', "has names up to output 2, and none for output 1\n"),
            ('{"0": "a", "00": "b"}', "output 0 has two names, 'a' and 'b'\n"), ('["a", "b"', "a comma is missing"),
            ('["a"] x', "something follows the end"), ('{"x": "y"}', "a key is no output, and its value neither"),
            (b"\xff\xfa\n", "the name of class 0 is no such text"), ("a\0b\n", "holds null bytes"),
            ('{"99999999": "a"}', "names output 99999999, and outputs are numbers from 0\n"),
        ):
            with self.subTest(text=text):
                self.names(text)
                for command in (["explain", self.model, top, "-o", "out", "--preset", "unit"], self.command(top)):
                    done = self.run_salmap(*command, "--classes", "names.txt")
                    self.assertIn(done.returncode, (1, 2))
                    self.assertIn(said, done.err)
                    self.assertIn("names.txt", done.err)
        self.assertFalse(os.path.exists(self.result))

    def test_names_in_a_models_file(self):
        """As ultralytics and Hugging Face's exporters write them."""
        top = self.draw_many(3)
        predicted = self.predicted(top)
        names = ["trout", "it's", "pike", 'a "b"', "roach"]
        for key, text in (("names", repr(dict(enumerate(names)))), ("id2label", json.dumps({str(i): n for i, n in enumerate(names)})),
                          ("classes", json.dumps(names))):
            model = self.with_names(key, text)
            lines = self.explain(top, "--preset", "unit", model=model)
            self.assertEqual([line["predicted_class"] for line in lines], [names[p] for p in predicted])
        for key, text in (("names", repr(dict(enumerate(names[:3])))), ("names", "{what"), ("author", json.dumps(names))):
            lines = self.explain(top, "--preset", "unit", model=self.with_names(key, text))
            self.assertNotIn("predicted_class", lines[0])
        done = self.check(["explain", self.with_names("names", repr(names)), top, "--preset", "unit", "-o", self.out, "--figure"], 0)
        self.assertRegex(done.out, r"p0000\.png +%s \(output %d\)  logit " % (names[predicted[0]], predicted[0]))
        self.check(["explain", self.model, top, "--preset", "unit", "-o", self.out + "-plain", "--figure"], 0)
        self.assertNotEqual(self.read(os.path.join(self.out, "p0000.figure.png")),
                            self.read(os.path.join(self.out + "-plain", "p0000.figure.png")))

    def test_results_have_names_at_their_end(self):
        top = self.draw_many(4)
        predicted = self.predicted(top)
        self.sweep(top, "--target", "index:2", run="plain")
        self.sweep(top, "--target", "index:2", "--classes", self.names(json.dumps(self.NAMES)))
        plain = self.read(os.path.join(self.folder, "plain/results.csv")).decode().splitlines()
        self.assertTrue(plain[0].endswith("top5_probability"))
        rows = self.rows()
        self.assertEqual(list(rows[0])[-2:], ["predicted_class", "target_class"])
        self.assertEqual([(row["predicted_class"], row["target_class"]) for row in rows],
                         [(self.NAMES[p], self.NAMES[2]) for p in predicted])
        # All before them is what it is without names.
        for line, other in self.pairs(plain, self.read(os.path.join(self.result, "results.csv")).decode().splitlines()):
            self.assertTrue(other.startswith(line + ","))
        for line, p in zip(self.run_salmap("export", self.result, "--json").out.splitlines(), predicted):
            exported = json.loads(line)
            self.assertEqual(exported["predicted_class"], self.NAMES[p])
            self.assertEqual(exported["maps"][0]["target_class"], self.NAMES[2])
            self.assertEqual([one["class"] for one in exported["predictions"]],
                             [self.NAMES[one["output"]] for one in exported["predictions"]])
        start = self.events(self.sweep(top, "--target", "index:2", "--classes", "names.txt", "--json"))["start"]
        self.assertEqual(start["classes"], self.NAMES)

    def test_other_names_are_another_run(self):
        top = self.draw_many(2)
        path = self.names("\n".join(self.NAMES))
        self.sweep(top, "--classes", path)
        before = self.snapshot()
        self.sweep(top, "--classes", path)
        self.assert_same_files(self.snapshot(), before)
        self.names("\n".join(reversed(self.NAMES)))
        self.sweep(top, "--classes", path, code=2, texts=["the run was begun with another --class-names: [\"age_0\", "])
        self.sweep(top, code=2, texts=["the run was begun with another --class"])
        self.assertIn(" --classes ", json.loads(before["run.json"])["again"])
        self.assertNotIn("--class-names", json.loads(before["run.json"])["again"])

    def test_a_run_that_was_begun_without_names_goes_on_without(self):
        """Those of the model's file, which nobody asked for, come to new runs only."""
        top = self.draw_many(3)
        model = self.with_names("names", json.dumps(self.NAMES))
        self.sweep(top, model=model)
        self.assertIn("predicted_class", self.rows()[0])
        self.sweep(top, run="old")
        settings = json.loads(self.read(os.path.join(self.folder, "old/run.json")))
        self.assertNotIn("class-names", settings["settings"])
        # A run of this model by a version that knew no names: its run.json and its table say nothing of them.
        description = json.loads(self.read(os.path.join(self.result, "run.json")))
        del description["settings"]["class-names"]
        lines = "".join("%s %s\n" % pair for pair in description["settings"].items())
        mark = hashlib.sha256((description["model_sha256"] + description["manifest_sha256"] + lines).encode()).hexdigest()
        description["fingerprint"] = mark
        self.write("RUN/run.json", json.dumps(description).encode())
        with sqlite3.connect(os.path.join(self.result, "results.sqlite")) as connection:
            connection.execute("DELETE FROM run WHERE key = 'option.class-names'")
            connection.execute("DELETE FROM pictures WHERE id = 2")
            for table in ("maps", "predictions", "timings"):
                connection.execute("DELETE FROM %s WHERE picture = 2" % table)
            connection.execute("DELETE FROM manifest WHERE salmap_id = 2")
        connection.close()
        self.sweep(top, model=model)
        self.assertEqual(len(self.rows()), 3)
        self.assertNotIn("predicted_class", self.rows()[0])

    def test_labels_that_are_names(self):
        top = self.draw_many(6)
        predicted = self.predicted(top)
        names = ["zander", "pike", "trout", "5", "roach"]
        path = self.names("\n".join(names))
        labels = [names[p] if i % 2 else names[(p + 1) % 5] for i, p in enumerate(predicted[:5])] + [""]
        listed = self.list_of([" %s " % label for label in labels])
        done = self.sweep(listed, "--classes", path, "--overlays", "wrong")
        self.assertIn("labels: 5 of 6 can be compared with predictions, as names of classes; 1 is missing\n", done.err)
        self.assertEqual(self.correct(), [0, 1, 0, 1, 0, None])
        full = self.list_of([names[i % 5] for i in range(6)], "full.csv")
        self.sweep(full, "--classes", path, "--target", "label", run="explained")
        self.assertEqual([row["target"] for row in self.query("SELECT target FROM maps ORDER BY picture",
                                                               os.path.join(self.folder, "explained"))], [0, 1, 2, 3, 4, 0])
        wrong = self.list_of(["pike", "Pike", "eel", "eel", "trout", ""], "wrong.csv")
        self.sweep(wrong, "--classes", path, run="unknown", code=2, texts=[
            "3 of 6 labels are names of no class: 'Pike', 'eel'; classes are 'zander' (output 0) to 'roach' (output 4)\n"])
        self.assertFalse(os.path.exists(os.path.join(self.folder, "unknown/results.sqlite")))

    def test_names_that_are_numbers(self):
        """What could be either is refused; the rest says itself what it is."""
        self.draw_many(3)
        path = self.names("2\n3\n4\n5\n6\n")
        for labels, options, meant in (
            (["5", "6", "2"], [], [3, 4, 0]), (["0", "1", "4"], [], [0, 1, 4]), (["2", "3", "4"], ["--label-as", "name"], [0, 1, 2]),
            (["2", "3", "4"], ["--label-as", "output"], [2, 3, 4]),
        ):
            listed = self.list_of(labels)
            shutil.rmtree(self.result, ignore_errors=True)
            self.sweep(listed, "--classes", path, "--target", "label", *options)
            self.assertEqual([row["target"] for row in self.query("SELECT target FROM maps ORDER BY picture")], meant)
        self.sweep(self.list_of(["2", "3", "4"]), "--classes", path, run="either", code=2, texts=[
            "p0000.png: its label '2' is the name of output 0, and the number of another: say --label-as name or --label-as "
            "output\n"])
        self.sweep(self.list_of(["1"]), "--label-as", "name", run="none", code=2,
                   texts=["labels as names need the names of the classes: give --classes FILE\n"])

    def draw_classes(self, *folders):
        names = ["%s/%d.png" % (folder, i) for folder in folders for i in range(2)]
        return self.draw(*names, side=SIDE), sorted(names)

    def test_folders_are_numbered_as_keras_and_image_folder_do(self):
        top, names = self.draw_classes("age_0", "age_1", "age_10", "age_2", "Zander")
        self.draw("top.png", "age_2/deeper/x.png", side=SIDE)
        order = sorted(["age_0", "age_1", "age_10", "age_2", "Zander"])
        self.assertEqual(order, ["Zander", "age_0", "age_1", "age_10", "age_2"])
        done = self.sweep(top, "--label-from", "folder", "--target", "predicted")
        self.assertIn("note: classes are the folders, sorted by their bytes as Keras and ImageFolder number them: 0 Zander, "
                      "1 age_0, 2 age_1, 3 age_10, 4 age_2\n", done.err)
        self.assertIn("labels: 11 of 12 can be compared with predictions, as names of classes; 1 is missing\n", done.err)
        for row in self.rows():
            folder = row["path"].split("/")[0] if "/" in row["path"] else ""
            self.assertEqual(row["label"], folder)
            expected = "" if not folder else str(int(order.index(folder) == int(row["predicted"])))
            self.assertEqual(row["correct"], expected)
            self.assertEqual(row["predicted_class"], order[int(row["predicted"])])
        self.assertIn(" --label-from folder ", json.loads(self.read(os.path.join(self.result, "run.json")))["again"])
        before = self.snapshot()
        self.sweep(top, "--label-from", "folder")
        self.assert_same_files(self.snapshot(), before)
        try:
            from torchvision.datasets.folder import find_classes
        except ImportError:
            return
        self.assertEqual(find_classes(top)[0], order)

    def test_folders_that_are_not_the_classes(self):
        top, _ = self.draw_classes("a", "b", "c", "d")
        self.sweep(top, "--label-from", "folder", code=2, texts=[
            "--label-from folder: there are 4 folders (0 a, 1 b, 2 c, 3 d), and the network has 5 classes: say which they are "
            "with --classes FILE, or leave some out with --exclude\n"])
        path = self.names("a\nb\nx\nc\nd\n")
        self.sweep(top, "--label-from", "folder", "--classes", path, "--target", "label")
        self.assertEqual([row["target"] for row in self.query("SELECT target FROM maps ORDER BY picture")], [0, 0, 1, 1, 3, 3, 4, 4])
        # The model's own names are better than any order of folders.
        model = self.with_names("names", repr({0: "d", 1: "x", 2: "c", 3: "b", 4: "a"}))
        done = self.sweep(top, "--label-from", "folder", "--target", "label", model=model, run="named")
        self.assertIn("classes, as the model's file numbers them: 0 d, 1 x, 2 c, 3 b, 4 a\n", done.err)
        self.assertEqual([row["target"] for row in self.query("SELECT target FROM maps ORDER BY picture",
                                                               os.path.join(self.folder, "named"))], [4, 4, 3, 3, 2, 2, 0, 0])
        self.draw("e/1.png", "masks/m.png", side=SIDE)
        self.sweep(top, "--label-from", "folder", model=model, code=2, run="other",
                   texts=["--label-from folder: the model's file has other names for its outputs than the folders: 0 d, 1 x, "])
        done = self.sweep(top, "--label-from", "folder", "--exclude", "masks/", run="five")
        self.assertIn(": 0 a, 1 b, 2 c, 3 d, 4 e\n", done.err)
        self.sweep(os.path.join(top, "a/0.png"), "--label-from", "folder", code=2, run="file",
                   texts=["labels from folders: give one folder that has a sub-folder for each class, in place of "])

    def test_as_many_folders_as_classes_are_told(self):
        top, _ = self.draw_classes("a", "b", "c", "d", "e")
        done = self.sweep(top)
        self.assertIn("note: there are as many sub-folders as the network has classes: --label-from folder takes them for "
                      "labels\n", done.err)
        self.assertNotIn("label", self.rows()[0])
        self.draw("f/1.png", side=SIDE)
        self.assertNotIn("sub-folders", self.sweep(top, run="more").err)

    def test_a_yes_or_no(self):
        model = self.write("sigmoid.onnx", files.onnx_classifier(small_weights(classes=1), "Sigmoid"))
        top, _ = self.draw_classes("no", "yes")
        scores = [line["score"] for line in self.explain(top + "/no", top + "/yes", "--preset", "unit", model=model)]
        self.sweep(top, "--label-from", "folder", model=model)
        self.assertEqual(self.correct(), [int((score > 0) == (i >= 2)) for i, score in enumerate(scores)])
        self.assertNotIn("predicted_class", self.rows()[0])


class Chosen(ListCase):
    TREE = ["a.png", "b.tif.png", "masks/a.png", "site_1/a.png", "site_1/a_mask.png", "site_1/masks/x.png", "site_1/sub/y.png",
            "site_2/a.png", "z.png"]

    def test_patterns(self):
        top = self.draw(*self.TREE, side=SIDE)
        everything = sorted(self.TREE)
        for options, left in (
            (["--exclude", "masks"], [n for n in everything if "masks/" not in n]),
            (["--exclude", "masks/"], [n for n in everything if "masks/" not in n]),
            (["--exclude", "/masks"], [n for n in everything if not n.startswith("masks/")]),
            (["--exclude", "masks", "--exclude", "*_mask.*"], [n for n in everything if "mask" not in n]),
            (["--exclude", "site_1/**"], [n for n in everything if not n.startswith("site_1/")]),
            (["--exclude", "site_?/a.png"], [n for n in everything if n not in ("site_1/a.png", "site_2/a.png")]),
            (["--exclude", "*/*/*"], [n for n in everything if n.count("/") < 2]),
            (["--exclude", "**/a.png"], [n for n in everything if os.path.basename(n) != "a.png"]),
            (["--include", "a.png"], [n for n in everything if os.path.basename(n) == "a.png"]),
            (["--include", "site_[12]", "--exclude", "masks", "--exclude", "sub"],
             ["site_1/a.png", "site_1/a_mask.png", "site_2/a.png"]),
            (["--include", "site_1/**/y.png"], ["site_1/sub/y.png"]),
            (["--include", "a.png/"], None),
            (["--exclude", "*"], None),
        ):
            with self.subTest(options=options):
                shutil.rmtree(self.result, ignore_errors=True)
                if left is None:
                    self.sweep(top, *options, code=2, texts=["include and exclude leave no picture"])
                    continue
                done = self.sweep(top, *options)
                self.assertEqual(self.listed(top), left)
                self.assertIn("%d are left\n" % len(left), done.err)
                again = json.loads(self.read(os.path.join(self.result, "run.json")))["again"]
                self.assertIn(options[0] + " ", again)
        # A list is told what matches, too; and what leaves nothing out is told.
        path = self.write("in/list.csv", "".join("%s\n" % n for n in ["path"] + everything).encode())
        self.sweep(path, "--exclude", "masks", run="listed")
        self.assertEqual(self.listed(top, os.path.join(self.folder, "listed")), [n for n in everything if "masks/" not in n])
        self.assertIn("leave nothing out: all 9 pictures match\n", self.sweep(top, "--exclude", "mask", run="typo").err)
        self.sweep(top, "--exclude", "", code=2, run="empty", texts=["exclude: a pattern is empty\n"])
        os.remove(path)
        for number, inputs in enumerate(([os.path.join(top, "*")], [os.path.join(top, name) for name in sorted(os.listdir(top))])):
            run = os.path.join(self.folder, "several-%d" % number)
            self.sweep(*inputs, "--exclude", "masks", run=run)
            self.assertEqual(self.listed(self.folder, run), ["in/" + n for n in (
                "a.png", "b.tif.png", "site_1/a.png", "site_1/a_mask.png", "site_1/sub/y.png", "site_2/a.png", "z.png")])
        # What lies above the inputs is no part of their paths.
        self.sweep(top, "--exclude", "in", run="above")

    def test_patterns_mean_what_they_mean_in_a_gitignore(self):
        """Random ones, against git itself."""
        if not shutil.which("git"):
            self.skipTest("git is not installed")
        lottery, names = random.Random(5), ["a", "b", "ab", "b.png", "a.b"]
        paths = {"/".join(lottery.choice(names[:3]) for _ in range(lottery.randrange(4))) for _ in range(30)}
        pictures = sorted({os.path.join(path, name + ".png") for path in paths for name in ("x", "ab", "a.b")})
        top = self.draw(*pictures, side=SIDE)
        subprocess.run(["git", "init", "-q"], cwd=top, check=True)
        parts = ["a", "b", "ab", "*", "**", "a*", "?", "*.png", "[ab]", "[!a]*", "x.png", "a.b.png"]
        for _ in range(60):
            pattern = "/".join(lottery.choice(parts) for _ in range(lottery.randrange(1, 4)))
            pattern = lottery.choice(["", "", "/"]) + pattern + lottery.choice(["", "", "/"])
            with self.subTest(pattern=pattern):
                told = subprocess.run(["git", "-c", "core.excludesFile=/dev/null", "check-ignore", "--no-index", "--stdin"],
                                      cwd=top, input="\n".join(pictures), text=True, stdout=subprocess.PIPE)
                self.assertEqual(told.stdout, "")
                with open(os.path.join(top, ".git/info/exclude"), "w") as f:
                    f.write(pattern + "\n")
                told = subprocess.run(["git", "-c", "core.excludesFile=/dev/null", "check-ignore", "--no-index", "--stdin"],
                                      cwd=top, input="\n".join(pictures), text=True, stdout=subprocess.PIPE)
                with open(os.path.join(top, ".git/info/exclude"), "w") as f:
                    f.write("")
                left = sorted(set(pictures) - set(told.stdout.splitlines()))
                shutil.rmtree(self.result, ignore_errors=True)
                self.sweep(top, "--exclude", pattern, "--maps", "none", "--overlays", "none", code=0 if left else 2)
                if left:
                    self.assertEqual(self.listed(top), left)

    def test_what_cannot_be_looked_at_is_an_error(self):
        top = self.draw("a.png", "sub/b.png", side=SIDE)
        os.symlink("/nowhere/disk", os.path.join(top, "more"))
        gone = os.path.join(top, "more") + ": is a link that leads nowhere, perhaps to a folder of pictures: mend or remove it, or " \
            "leave it out with --exclude\n"
        self.sweep(top, code=1, texts=[gone])
        self.assertFalse(os.path.exists(os.path.join(self.result, "results.sqlite")))
        self.sweep(top, "--exclude", "more")
        self.assertEqual(self.listed(top), ["a.png", "sub/b.png"])
        # Hidden ones are nobody's pictures: editors lock files so.
        os.rename(os.path.join(top, "more"), os.path.join(top, ".#more"))
        self.sweep(top, run="hidden")

    def sweep_as_anybody(self, *arguments):
        """Root may read any folder."""
        others = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
        try:
            return subprocess.run([SALMAP, *self.command(*arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  cwd=self.folder, timeout=300, text=True, **others)
        except PermissionError as error:
            self.skipTest("nobody but root may run salmap here: %s" % error)

    def test_a_folder_that_may_not_be_read(self):
        """Of one that may be listed and not entered it cannot be told which of its names are folders."""
        top = self.draw("a.png", "sub/b.png", "sub/deeper/c.png", side=SIDE)
        os.chmod(self.folder, 0o777)
        for mode, name in ((0o000, "sub"), (0o444, "sub/deeper")):
            with self.subTest(mode=mode):
                os.chmod(os.path.join(top, "sub"), mode)
                try:
                    done = self.sweep_as_anybody(top)
                    excluded = self.sweep_as_anybody(top, "--exclude", "sub")
                finally:
                    os.chmod(os.path.join(top, "sub"), 0o755)
                self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
                self.assertIn(os.path.join(top, name) + ": cannot ", done.stderr)
                self.assertIn("Permission denied", done.stderr)
                self.assertEqual(excluded.returncode, 0, excluded.stderr)
                self.assertEqual(self.listed(top), ["a.png"])
                shutil.rmtree(self.result)


class DryRuns(ListCase):
    def dry(self, *arguments, **where):
        before = self.snapshot() if os.path.isdir(self.result) else None
        done = self.sweep(*arguments, "--dry-run", **where)
        if before is None:
            self.assertFalse(os.path.exists(self.result))
        else:
            self.assert_same_files(self.snapshot(), before)
        return done

    def test_it_says_what_would_be_done(self):
        self.draw_many(4)
        path = self.list_of(["0", "x", "7", ""])
        names = self.write("names", b"a\nb\nc\nd\ne\n")
        done = self.dry(path, "--classes", names, "--label-as", "output")
        self.assertRegex(done.out, r"\Amodel     .*classifier-5-Softmax\.onnx: 3 x 16 x 16, 5 outputs\ndevice    .*, 4 at a time\n"
                         r"pictures  4\nlabels    1 of 4 can be compared with predictions; 1 is missing, 1 is no number "
                         r"\(p0001\.png: 'x'\), 1 is no output of the network \(p0002\.png: '7'\)\n"
                         r"classes   0 a, 1 b, 2 c, 3 d, 4 e\nresults   %s\n\Z" % self.result)
        plan = self.events(self.dry(path, "--json"))["plan"]
        self.assertEqual((plan["pictures"], plan["done"], plan["failed"]), (4, 0, 0))

    def test_it_checks_what_a_run_would(self):
        top = self.draw_many(4)
        self.spoil(os.path.join(top, "p0002.png"))
        self.dry(top, model="nothing.onnx", code=1, texts=["nothing.onnx: cannot open"])
        self.dry(top, "--target", "index:9", code=2)
        self.dry(self.list_of(["x"] * 4), "--overlays", "wrong", code=2, texts=["is no number"])
        self.dry(top, run="in/p0000.png/deep", code=1, texts=["the run folder cannot be made"])
        self.sweep(top, code=3)
        self.assertIn("results   %s: goes on, 3 of 4 pictures done, 1 failed\n" % self.result, self.dry(top).out)
        self.dry(top, "--sigma", "9", code=2, texts=["was begun with another --sigma"])
        self.draw("q.png", side=SIDE)
        self.dry(top, code=2, texts=["(1 new, such as q.png; --extend adds them)"])
        self.assertIn(": goes on, 3 of 5 pictures done, 1 failed", self.dry(top, "--extend").out)
        self.dry(top, "--restart")


class Mended(ListCase):
    def test_a_mended_picture_is_tried_again(self):
        top = self.draw_many(4)
        bad = [os.path.join(top, "p%04d.png" % i) for i in (1, 2)]
        for path in bad:
            self.spoil(path)
        self.sweep(top, code=3)
        kept = self.committed(self.result)
        done = self.sweep(top, code=3)
        self.assertIn("note: 2 pictures failed before and are not tried again as long as their files are unchanged: "
                      "--retry-failed does so\n", done.err)
        self.assertIn("nothing is left to do: 2 of 4 pictures done, 2 failed", done.out)
        # Another time or another size is another file.
        self.draw("p0001.png", side=SIDE)
        done = self.sweep(top, code=3)
        self.assertIn("3 of 4 pictures done, 1 failed; 1 now,", done.out)
        self.assertIn("note: 1 picture failed before and is not tried again as long as its file is unchanged", done.err)
        os.utime(bad[1], ns=(1, 1))
        self.assertIn("3 of 4 pictures done, 1 failed; 1 now,", self.sweep(top, code=3).out)
        self.assertIn("nothing is left to do: 3 of 4 pictures done, 1 failed", self.sweep(top, code=3).out)
        after = self.committed(self.result)
        self.assertEqual([after[i] for i in (0, 3)], [kept[i] for i in (0, 3)])
        self.draw("p0002.png", side=SIDE)
        self.assertNotIn("note: 1 picture failed", self.sweep(top).err)
        self.assertEqual([row["status"] for row in self.rows()], ["ok"] * 4)


class Extended(ListCase):
    def test_a_folder_that_has_grown(self):
        top = self.draw("b.png", "d.png", side=SIDE)
        self.sweep(top)
        before, kept = self.snapshot(), self.committed(self.result)
        self.draw("a.png", "c.png", "sub/b.png", side=SIDE)
        self.sweep(top, code=2, texts=["2 then, 5 now (3 new, such as a.png; --extend adds them)"])
        done = self.sweep(top, "--extend")
        self.assertIn("5 of 5 pictures done, 0 failed; 3 now,", done.out)
        self.assertEqual([row["path"] for row in self.rows()], ["b.png", "d.png", "a.png", "c.png", "sub/b.png"])
        after = self.committed(self.result)
        self.assertEqual({i: after[i] for i in kept}, kept)
        now = self.snapshot()
        for name in before:
            if name.startswith(("maps/", "overlays/")):
                self.assertEqual(now[name], before[name])
        # From now on the run is of all of them, with or without the option, and can be extended again.
        for options in ([], ["--extend"]):
            self.assertIn("nothing is left to do: 5 of 5 pictures done, 0 failed", self.sweep(top, *options).out)
            self.assert_same_files(self.snapshot(), now)
        self.draw("e.png", side=SIDE)
        self.sweep(top, "--extend")
        self.assertEqual(len(self.rows()), 6)
        # Exported, merged and begun anew as any other run.
        self.check(["export", self.result], 0)
        self.sweep(top, "--restart")
        self.assertEqual([row["path"] for row in self.rows()], ["a.png", "b.png", "c.png", "d.png", "e.png", "sub/b.png"])

    def test_the_same_as_a_run_in_that_order(self):
        """An extended list gives the bytes of a run of that list."""
        top = self.draw_many(6)
        first = self.list_of(["1", "2", "3"])
        options = ["--overlays", "top:2", "--maps", "npz"]
        self.sweep(first, *options)
        self.assertEqual(len(os.listdir(os.path.join(self.result, "overlays/000"))), 2)
        order = [4, 1, 0, 5, 2, 3]
        labels = {0: "1", 1: "2", 2: "3", 3: "x", 4: "0", 5: ""}
        self.write("in/list.csv", "".join("%s,%s\n" % row for row in [("path", "label"), *(
            ("p%04d.png" % i, labels[i]) for i in order)]).encode())
        self.sweep(first, *options, "--extend")
        whole = self.write("in/whole.csv", "".join("%s,%s\n" % row for row in [("path", "label"), *(
            ("p%04d.png" % i, labels[i]) for i in (0, 1, 2, 4, 5, 3))]).encode())
        self.sweep(whole, *options, run="whole")
        mine, other = self.snapshot(), self.snapshot(os.path.join(self.folder, "whole"))
        for files_of in (mine, other):
            del files_of["run.json"]
        self.assert_same_files(mine, other)
        self.assertEqual(len(os.listdir(os.path.join(self.result, "overlays/000"))), 2)

    def test_what_is_no_extension(self):
        self.draw_many(5)
        path = self.list_of(["1", "2"])
        self.sweep(path)
        before = self.snapshot()
        for text, said in (
            ("path,label\np0000.png,1\np0002.png,2\n", "p0001.png: is a picture of the run and no longer in the list: a run can only grow"),
            ("path,label\np0000.png,1\np0001.png,3\np0002.png,2\n", "p0001.png: its label was '2' when the run was begun and is '3' now"),
            ("path,age\np0000.png,1\np0001.png,2\n", "a list that is extended keeps its columns: they were path, label, and are path, age"),
        ):
            self.write("in/list.csv", text.encode())
            self.sweep(path, "--extend", code=2, texts=[said])
            self.assert_same_files(self.snapshot(), before)
        self.list_of(["1", "2", "3"])
        self.sweep(path, "--extend", "--sigma", "9", code=2, texts=["was begun with another --sigma"])
        self.assert_same_files({k: v for k, v in self.snapshot().items()}, before)
        self.sweep(path, "--extend", "--restart", code=2, texts=["restart throws away what extend would add to"])
        self.sweep(path, "--extend", "--shard", "0/2", code=2, texts=["a run in shards cannot be extended"])
        # Where there is nothing yet, it is a run like any other.
        self.sweep(path, "--extend", run="fresh")
        self.assertEqual(len(self.rows(os.path.join(self.folder, "fresh"))), 3)

    def test_shards_that_were_merged(self):
        top = self.draw_many(4)
        for i in range(2):
            self.sweep(top, "--shard", "%d/2" % i)
        self.check(["merge", self.result, "-o", "whole"], 0)
        self.draw("q.png", side=SIDE)
        self.sweep(top, "--extend", code=2, texts=["holds a run in shards"])
        self.sweep(top, "--extend", run="whole")
        self.assertEqual(len(self.rows(os.path.join(self.folder, "whole"))), 5)

    def test_an_extension_that_is_killed(self):
        """At whatever moment it is killed, the same command leaves what one that was left alone leaves."""
        top = self.draw_many(4)
        options = ["--overlays", "top:3"]
        self.sweep(top, *options)
        begun = self.result + "-begun"
        shutil.copytree(self.result, begun)
        self.draw(*["n%04d.png" % i for i in range(12)], side=SIDE)
        begin = time.monotonic()
        self.sweep(top, *options, "--extend")
        seconds, expected = time.monotonic() - begin, self.snapshot()
        lottery, refused = random.Random(7), 0
        for number in range(14):
            shutil.rmtree(self.result)
            shutil.copytree(begun, self.result)
            process = self.start(top, *options, "--extend", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                process.wait(seconds * (number + lottery.random()) / 14)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            with self.subTest(number=number):
                self.sweep(top, *options, "--extend")
                self.assert_same_files(self.snapshot(), expected)

    def test_an_extension_that_is_cut_off_between_its_files(self):
        """manifest.csv, run.json and the results are of the new list one after the other."""
        top = self.draw_many(3)
        self.sweep(top)
        begun = self.result + "-begun"
        shutil.copytree(self.result, begun)
        self.draw("a.png", side=SIDE)
        self.sweep(top, "--extend")
        expected = self.snapshot()
        for names in (["manifest.csv"], ["manifest.csv", "run.json"]):
            with self.subTest(names=names):
                now = {name: expected[name] for name in names}
                shutil.rmtree(self.result)
                shutil.copytree(begun, self.result)
                for name in names:
                    self.write("RUN/" + name, now[name])
                self.sweep(top, code=2, texts=["--extend adds pictures to it"] if len(names) == 2 else [])
                self.sweep(top, "--extend")
                self.assert_same_files(self.snapshot(), expected)


if __name__ == "__main__":
    main(sys.modules[__name__])
