"""What a sweep says of its labels: how many predictions are right, and what to do where the list is not as it was meant."""

import json
import os
import re
import shutil
import sys

from harness import MODEL, main
from test_sweep_lists import SIDE, ListCase


class Accuracy(ListCase):
    """Of all pictures of a run, whoever computed them."""

    def end_of(self, *arguments, **where):
        return json.loads(self.sweep(*arguments, "--json", **where).out.splitlines()[-1])

    def labels_for(self, predicted, wrong=()):
        return [(p + (i in wrong)) % 5 for i, p in enumerate(predicted)]

    def test_of_classes(self):
        predicted = self.predicted(self.draw_many(12))
        labels = self.labels_for(predicted, wrong=(2, 5))
        self.spoil(os.path.join(self.folder, "in/p0007.png"))
        labels[8:10] = ["", "what"]
        path = self.list_of(labels)
        done = self.sweep(path, code=3)
        lines = done.out.splitlines()
        self.assertTrue(lines[0].startswith("11 of 12 pictures done, 1 failed; "), lines[0])
        self.assertEqual(lines[1], "9 compared with their labels: 7 right (78 %)")
        correct = [value for value in self.correct() if value is not None]
        self.assertEqual((len(correct), sum(correct)), (9, 7))
        # Again, where nothing is left to do.
        self.assertEqual(self.sweep(path, code=3).out.splitlines()[1:], lines[1:2])
        end = self.end_of(path, code=3)
        self.assertEqual((end["done_now"], end["compared"], end["right"]), (0, 9, 7))
        self.assertNotIn("mean_absolute_error", end)

    def test_of_the_whole_run_and_not_of_this_call(self):
        predicted = self.predicted(self.draw_many(9))
        labels = self.labels_for(predicted, wrong=(0, 1))
        self.list_of(labels[:6])
        path = os.path.join(self.folder, "in/list.csv")
        self.assertIn("\n6 compared with their labels: 4 right (67 %)\n", self.sweep(path).out)
        self.list_of(labels)
        end = self.end_of(path, "--extend")
        self.assertEqual((end["done_now"], end["compared"], end["right"]), (3, 9, 7))

    def test_all_are_all(self):
        predicted = self.predicted(self.draw_many(300))
        all_right = self.list_of(predicted, "right.csv")
        self.assertIn("\n300 compared with their labels: 300 right (100 %)\n", self.sweep(all_right, run="right").out)
        one_wrong = self.list_of(self.labels_for(predicted, wrong=(4,)), "wrong.csv")
        self.assertIn("\n300 compared with their labels: 299 right (99 %)\n", self.sweep(one_wrong, run="wrong").out)

    def test_of_names(self):
        predicted = self.predicted(self.draw_many(4))
        names = ["zander", "pike", "trout", "eel", "roach"]
        path = self.write("names.txt", "\n".join(names).encode())
        listed = self.list_of([names[p] for p in self.labels_for(predicted, wrong=(3,))])
        self.assertIn("\n4 compared with their labels: 3 right (75 %)\n", self.sweep(listed, "--classes", path).out)

    def test_of_a_regression(self):
        top = self.draw_many(5, side=32)
        values = [line["score"] for line in self.explain(top, "--preset", "unit")]
        errors = [0.1, -0.25, 0.75, -2.0, 0.4]
        labels = ["%.9g" % (v + e) for v, e in zip(values, errors)]
        labels[4] = ""
        path = self.list_of(labels)
        out = self.sweep(path, model=MODEL).out
        self.assertIn("\n4 compared with their labels: mean absolute error 0.775, 2 within 0.5 (50 %)\n", out)
        end = self.end_of(path, model=MODEL)
        self.assertEqual((end["compared"], end["right"]), (4, 2))
        self.assertAlmostEqual(end["mean_absolute_error"], 0.775, delta=1e-5)
        wider = self.sweep(path, "--tolerance", "1", model=MODEL, run="wider").out
        self.assertIn("mean absolute error 0.775, 3 within 1 (75 %)\n", wider)
        none = self.list_of(["", "NA", "x", "", ""], "none.csv")
        end = self.end_of(none, model=MODEL, run="none")
        self.assertEqual((end["compared"], end["right"], end["mean_absolute_error"]), (0, 0, None))

    def test_without_labels_nothing_is_said(self):
        top = self.draw_many(2)
        self.assertNotIn("label", self.sweep(top).out)
        self.assertNotIn("compared", self.end_of(top))


class Lists(ListCase):
    """A list that is not as it was meant: what is said before anything is computed."""

    BESIDE = "paths start from the manifest's folder (--root DIR)"

    def refuse(self, *arguments, said, **where):
        for options in ([], ["--dry-run"], ["--restart"]):
            done = self.sweep(*arguments, *options, code=2, **where)
            self.assertTrue(done.err.endswith("salmap: sweep: %s\n" % said), done.err)
            self.assertFalse(os.path.exists(self.result))

    def test_no_file_is_there(self):
        self.draw_many(3, folder="in/deep")
        path = self.list_of(["0", "1", "2"])
        self.refuse(path, said="none of the 3 files is there, such as p0000.png: " + self.BESIDE)
        shutil.copy(path, os.path.join(self.folder, "beside.csv"))
        self.refuse("beside.csv", said="none of the 3 files is there, such as p0000.png: " + self.BESIDE)
        self.refuse(path, "--root", "nowhere",
                    said="none of the 3 files is there, such as p0000.png: paths start from nowhere (--root DIR)")
        self.refuse(path, "--root", "", said="none of the 3 files is there, such as p0000.png: paths start from . (--root DIR)")
        self.sweep(path, "--root", "in/deep")

    def test_paths_of_another_system(self):
        self.draw_many(2, folder="in/deep")
        path = self.list_of(["0", "1"], form="deep\\p%04d.png,%s")
        self.refuse(path, said="none of the 2 files is there, such as deep\\p0000.png: %s; use / and not \\" % self.BESIDE)
        path = self.list_of(["0", "1"], form="/no/such/p%04d.png,%s")
        self.refuse(path, said="none of the 2 files is there, such as /no/such/p0000.png")
        # A file may be called so.
        self.draw("deep\\p0000.png", side=SIDE)
        self.sweep(self.list_of(["0"], form="deep\\p%04d.png,%s"))

    def test_some_files_are_missing(self):
        self.draw_many(4)
        path = self.list_of(["0"] * 7)
        done = self.sweep(path, "--dry-run")
        self.assertIn("\npictures  7; 3 of them are not there, such as p0004.png\n", done.out)
        self.assertEqual(self.events(self.sweep(path, "--dry-run", "--json"))["plan"]["missing"], 3)
        os.remove(os.path.join(self.folder, "in/p0000.png"))
        done = self.sweep(self.list_of(["0"] * 4), "--dry-run")
        self.assertIn("\npictures  4; 1 of them is not there, such as p0000.png\n", done.out)
        self.assertFalse(os.path.exists(self.result))
        self.sweep(self.list_of(["0"] * 4), code=3)
        self.draw("p0000.png", side=SIDE)
        self.assertIn("\npictures  4\n", self.sweep(path, "--dry-run").out)

    def test_a_run_whose_pictures_are_gone(self):
        """What is done stays done; what is left to do is not made a list of failures."""
        self.draw_many(3)
        path = self.list_of(["0", "1", "2"])
        self.sweep(path)
        before = self.snapshot()
        os.rename(os.path.join(self.folder, "in"), os.path.join(self.folder, "away"))
        self.draw("other.png", side=SIDE)
        shutil.copy(os.path.join(self.folder, "away/list.csv"), path)
        self.assertIn("nothing is left to do: 3 of 3 pictures done, 0 failed", self.sweep(path).out)
        self.sweep(path, "--dry-run")
        self.list_of(["0", "1", "2", "3"])
        for options in (["--extend"], ["--extend", "--dry-run"]):
            self.sweep(path, *options, code=2, texts=["none of the 4 files is there, such as p0000.png: " + self.BESIDE])
        self.sweep(path, "--restart", code=2, texts=["none of the 4 files is there"])
        self.assertEqual(len(self.query("SELECT 1 FROM pictures WHERE status = 'ok'")), 3)
        after = self.snapshot()
        self.assertEqual({name: after.get(name) for name in before if name.startswith("maps/")},
                         {name: before[name] for name in before if name.startswith("maps/")})

    def test_a_dry_run_saves_no_preprocessing(self):
        path = self.draw_many(2)
        sidecar = self.model + ".salmap"
        self.sweep(path, "--save-preprocess", "--dry-run")
        self.assertFalse(os.path.exists(sidecar))
        self.sweep(path, "--save-preprocess")
        kept = self.read(sidecar)
        self.sweep(path, "--fit", "letterbox", "--save-preprocess", "--dry-run", run="other", code=2, texts=["--force replaces it"])
        self.sweep(path, "--fit", "letterbox", "--save-preprocess", "--force", "--dry-run", run="other")
        self.assertEqual(self.read(sidecar), kept)


class Meant(ListCase):
    """Labels and names that can be read, and were perhaps meant otherwise."""

    FOLDERS = ["age_1", "age_10", "age_2", "age_3", "age_5"]
    NOTE = ("note: names.txt numbers the classes otherwise than the folders sort (%s), which is how Keras and ImageFolder "
            "number them: is that meant?\n")

    def test_names_in_another_order_than_the_folders(self):
        top = self.draw(*["%s/%d.png" % (folder, i) for folder in self.FOLDERS for i in range(2)], side=SIDE)
        options = ["--classes", "names.txt", "--dry-run"]
        for names, said in (
            (["age_1", "age_2", "age_3", "age_5", "age_10"], "..., age_10, age_2, ..."),
            (["age_10", "age_1", "age_2", "age_3", "age_5"], "age_1, age_10, ..."),
            (["age_1", "age_10", "age_2", "age_5", "age_3"], "..., age_3, age_5"),
        ):
            self.write("names.txt", "\n".join(names).encode())
            for label in ([], ["--label-from", "folder"]):
                self.assertIn(self.NOTE % said, self.sweep(top, *options, *label).err)
            self.assertEqual(self.sweep(top, *options, "--quiet").err, "")
        for names in (self.FOLDERS, ["age_1", "age_3", "age_2", "age_10", "age_x"]):
            self.write("names.txt", "\n".join(names).encode())
            self.assertNotIn("otherwise", self.sweep(top, *options).err)

    def labels_line(self, labels, *options, **where):
        return re.search(r"note: labels: (.*)\n|\Z", self.sweep(self.list_of(labels), *options, **where).err).group(1) or ""

    def test_numbers_that_are_names(self):
        self.draw_many(12)
        self.write("names.txt", "\n".join(self.FOLDERS).encode())
        self.write("fish.txt", b"eel\npike\nroach\ntrout\nzander\n")
        advice = "; a number is the number of an output: if %s are names of classes, write them into --classes"
        labels = ["10", "2", " 3 ", "10", "5", "2"]
        line = self.labels_line(labels, "--classes", "names.txt")
        self.assertTrue(line.endswith(advice % "2, 3, 5, 10"), line)
        self.assertTrue(self.labels_line(labels, run="none").endswith(advice % "2, 3, 5, 10"))
        many = self.labels_line([str(i) for i in range(12)], run="many")
        self.assertTrue(many.endswith(advice % "0, 1, 2, 3, 4, 5, 6, 7, ..."), many)
        self.assertIn(advice % "2, 10", self.sweep(self.list_of(["10", "2"]), "--dry-run", run="dry").out)
        for options in (["--classes", "fish.txt"], ["--classes", "names.txt", "--label-as", "output"]):
            self.assertNotIn("; a number", self.labels_line(labels, *options, run="other" + options[-1]))
        self.assertNotIn("; a number", self.labels_line(["0", "4", ""], "--classes", "names.txt", run="good"))

    def test_words_without_names(self):
        self.draw_many(3, side=32)
        advice = "; names of classes need --classes FILE"
        self.assertTrue(self.labels_line(["pike", "eel", "0"]).endswith(advice))
        self.write("fish.txt", b"eel\npike\nroach\ntrout\nzander\n")
        self.assertNotIn(advice, self.labels_line(["1", "2", "x"], "--classes", "fish.txt", run="known"))
        # The labels of a regression are values.
        self.assertNotIn(advice, self.labels_line(["pike", "eel", "0"], run="value", model=MODEL))


if __name__ == "__main__":
    main(sys.modules[__name__])
