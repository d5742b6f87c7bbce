"""Runs that go on with other options or files than they were begun with, and what is said of their labels."""

import hashlib
import json
import os
import shutil
import sqlite3
import sys

from harness import MODEL, main
from test_sweep_lists import SIDE, ListCase


class Patterns(ListCase):
    """A run that was begun leaves out nothing that it has: whoever asks for that is told."""

    def test_what_is_left_out_now_is_another_list(self):
        top = self.draw_many(8)
        self.sweep(top, "--shard", "0/2")
        before = self.snapshot()
        for options in (["--exclude", "p000[0-3].png"], ["--include", "p000[0-3].png"]):
            for dry in ([], ["--dry-run"]):
                done = self.sweep(top, "--shard", "1/2", *options, *dry, code=2)
                first = "p0000.png" if options[0] == "--exclude" else "p0004.png"
                self.assertIn("manifest.csv: the list of pictures has changed since the run began: it has %s, which is there and "
                              "is none of the pictures that are named and that --include and --exclude leave in: "
                              % os.path.join(top, first), done.err)
        self.assert_same_files(self.snapshot(), before)
        # Patterns that leave nothing of it out are no other list, nor is a picture that is gone as well as left out.
        os.remove(os.path.join(top, "p0000.png"))
        self.sweep(top, "--shard", "1/2", "--exclude", "p0000.png", "--exclude", "x", code=3)

    def test_a_run_in_a_folder_of_several(self):
        self.draw("a/1.png", "a/2.png", "b/1.png", side=SIDE)
        inputs = [os.path.join(self.folder, "in", name) for name in "ab"]
        self.sweep(*inputs)
        self.sweep(*inputs, "--exclude", "2.png", code=2, texts=["that --include and --exclude leave in"])

    def test_a_run_with_patterns_goes_on_with_them(self):
        top = self.draw_many(4)
        options = ["--exclude", "p0003.png"]
        self.sweep(top, *options)
        os.remove(os.path.join(top, "p0001.png"))
        self.assertIn("nothing is left to do: 3 of 3 pictures done, 0 failed", self.sweep(top, *options).out)


class Vanished(ListCase):
    def test_labels_of_folders_are_read_as_before(self):
        """A picture that is gone does not change what a comma means."""
        top = self.draw("1,834/a.png", "1,834/b.png", "2,5/a.png", "2,5/b.png", side=32)
        self.sweep(top, "--label-from", "folder", model=MODEL, run="whole")
        whole = self.correct(os.path.join(self.folder, "whole"))
        self.assertNotIn(None, whole)
        self.spoil(os.path.join(top, "1,834/b.png"))
        self.sweep(top, "--label-from", "folder", "--shard", "0/1", model=MODEL, code=3)
        os.remove(os.path.join(top, "2,5/a.png"))
        self.draw("1,834/b.png", side=32)
        self.sweep(top, "--label-from", "folder", model=MODEL)
        self.assertNotIn(None, self.correct())

    def test_labels_do_not_come_or_go(self):
        """Of a regression the settings say nothing of folders."""
        top = self.draw("1/a.png", "2/b.png", side=32)
        self.sweep(top, model=MODEL, run="plain")
        self.sweep(top, "--label-from", "folder", model=MODEL)
        changed = "2 then, 2 now (other columns, labels or order)"
        self.sweep(top, model=MODEL, code=2, texts=[changed])
        self.sweep(top, "--label-from", "folder", model=MODEL, run="plain", code=2, texts=[changed])


class Readings(ListCase):
    """As names, or as numbers: where neither reads all, nothing is guessed."""

    def named(self, *names):
        return self.write("names.txt", "\n".join(names).encode())

    def test_of_a_list_that_is_neither(self):
        self.draw_many(5)
        mixed = "of %d labels %d are names of classes and %d are numbers of outputs, and it must be all of one kind: " \
                "%s: its label '%s' is no %s: mend it, or say --label-as name or --label-as output\n"
        digits, words = ["1", "2", "3", "4", "5"], ["zero", "one", "two", "three", "four"]
        for names, labels, said in (
            (digits, ["1", "2", "", "oops"], (3, 2, 2, "p0003.png", "oops", "name")),
            (digits, ["5", "1", "0"], (3, 2, 2, "p0002.png", "0", "name")),
            (digits, ["0", "9", "1", "5"], (4, 2, 2, "p0000.png", "0", "name")),
            (words, ["0", "1", "1", "two"], (4, 1, 3, "p0003.png", "two", "number of an output")),
            (words, ["one", "1", "two", "oops"], (4, 2, 1, "p0001.png", "1", "name")),
        ):
            with self.subTest(names=names, labels=labels):
                self.sweep(self.list_of(labels), "--classes", self.named(*names), code=2, texts=[mixed % said])
                self.assertFalse(os.path.exists(os.path.join(self.result, "results.sqlite")))

    def test_one_that_is_neither_is_told_of(self):
        """Where the others can be read in one way, or both are the same."""
        self.draw_many(4)
        for names, labels, options in ((["zero", "one", "two", "three", "four"], ["0", "1", "oops", "4"], []),
                                       (["0", "1", "2", "3", "4"], ["0", "1", "oops", "4"], []),
                                       (["1", "2", "3", "4", "5"], ["1", "2", "oops", "3"], ["--label-as", "output"])):
            with self.subTest(names=names):
                done = self.sweep(self.list_of(labels), "--classes", self.named(*names), "--restart", *options)
                self.assertIn("labels: 3 of 4 can be compared with predictions; 1 is no number (p0002.png: 'oops')\n", done.err)
        self.sweep(self.list_of(["1", "2", "oops", "3"]), "--classes", self.named("1", "2", "3", "4", "5"), "--label-as", "name",
                   code=2, texts=["1 of 4 labels are names of no class: 'oops'; "])

    def test_a_name_of_several_outputs(self):
        self.draw_many(3)
        names = self.named("crane", "eel", "pike", "crane", "roach")
        self.sweep(self.list_of(["eel", " crane", "x"]), "--classes", names, code=2, texts=[
            "p0001.png: its label ' crane' is the name of several outputs, such as 0 and 3: give each a name of its own, or "
            "numbers as labels\n"])
        self.sweep(self.list_of(["eel", "pike", "x"]), "--classes", names, code=2,
                   texts=["1 of 3 labels are names of no class: 'x'; "])
        self.sweep(self.list_of(["eel", "pike", "roach"]), "--classes", names)

    def test_folders_as_numbers(self):
        top = self.draw(*["%s/1.png" % name for name in "abcde"], side=SIDE)
        self.sweep(top, "--label-from", "folder", "--label-as", "output", code=2, texts=[
            "a/1.png: its folder 'a' is no number, and no other is one of an output: with label-as output, folders are called by "
            "numbers of outputs; leave it out to take their names\n"])
        self.assertFalse(os.path.exists(os.path.join(self.result, "results.sqlite")))
        for name in "abcd":
            os.rename(os.path.join(top, name), os.path.join(top, str("abcd".index(name))))
        done = self.sweep(top, "--label-from", "folder", "--label-as", "output")
        self.assertIn("labels: 4 of 5 can be compared with predictions; 1 is no number (e/1.png: 'e')\n", done.err)

    def test_what_labels_are_is_said_as_it_is(self):
        self.draw_many(2)
        names = self.named("zero", "one", "two", "three", "four")
        begin = "p0001.png: its label '' names no output: with target label, labels are "
        self.sweep(self.list_of(["one", ""]), "--classes", names, "--target", "label", code=2,
                   texts=[begin + "names of classes, 'zero' (output 0) to 'four' (output 4)\n"])
        self.sweep(self.list_of(["1", ""]), "--classes", names, "--target", "label", code=2,
                   texts=[begin + "numbers from 0 to 4\n"])

    def test_names_that_are_not_used_are_not_counted(self):
        """A run of a version that knew no names, of a model whose file has some, is as it was."""
        self.draw_many(3)
        names = ["zero", "one", "two", "three", "four"]
        model = self.with_names("names", json.dumps(names))
        path = self.list_of(["zero", "one", "1"])
        self.sweep(path, code=0, run="old")
        shutil.copytree(os.path.join(self.folder, "old"), self.result)
        self.make_run_of(model)
        labels = self.events(self.sweep(path, "--json", model=model))["labels"]
        self.assertEqual((labels["good"], labels["no_number"], labels["by_name"]), (1, 2, False))
        self.sweep(path, model=model, run="new", code=2, texts=["of 3 labels 2 are names of classes and 1 are numbers"])

    def make_run_of(self, model):
        """The run folder says that it is of this model."""
        description = json.loads(self.read(os.path.join(self.result, "run.json")))
        with open(model, "rb") as f:
            description["model_sha256"] = hashlib.sha256(f.read()).hexdigest()
        lines = "".join("%s %s\n" % pair for pair in description["settings"].items())
        description["fingerprint"] = hashlib.sha256(
            (description["model_sha256"] + description["manifest_sha256"] + lines).encode()).hexdigest()
        self.write("RUN/run.json", json.dumps(description).encode())
        with sqlite3.connect(os.path.join(self.result, "results.sqlite")) as connection:
            connection.execute("UPDATE run SET value = ? WHERE key = 'model_sha256'", (description["model_sha256"],))
        connection.close()


class Looked(ListCase):
    """A dry run says what a run would do, and a run then does that."""

    def agree(self, *arguments, done, failed, code, now, **where):
        before = self.snapshot()
        said = self.sweep(*arguments, "--dry-run", **where).out
        plan = json.loads(self.sweep(*arguments, "--dry-run", "--json", **where).out.splitlines()[-1])
        self.assert_same_files(self.snapshot(), before)
        self.assertEqual((plan["pictures"], plan["done"], plan["failed"]), (4, done, failed))
        if done:
            self.assertIn(": goes on, %d of 4 pictures done, %d failed\n" % (done - failed, failed), said)
        end = self.events(self.sweep(*arguments, "--json", code=code, **where))["end"]
        self.assertEqual((end["done_now"], end["failed"] - end["failed_now"]), (now, failed))

    def test_what_failed_is_counted_as_a_run_counts_it(self):
        top = self.draw_many(4)
        bad = os.path.join(top, "p0001.png")
        self.spoil(bad)
        self.sweep(top, code=3)
        self.agree(top, done=4, failed=1, code=3, now=0)
        self.agree(top, "--retry-failed", done=3, failed=0, code=3, now=1)
        os.utime(bad, ns=(1, 1))
        self.agree(top, done=3, failed=0, code=3, now=1)
        os.remove(bad)
        os.utime(top, ns=(1, 1))
        self.sweep(top, "--retry-failed", code=3)
        # A file that is not there may be there again.
        self.agree(top, done=3, failed=0, code=3, now=1)
        self.draw("p0001.png", side=SIDE)
        self.agree(top, done=3, failed=0, code=0, now=1)
        self.agree(top, done=4, failed=0, code=0, now=0)

    def test_limits_that_were_raised(self):
        top = self.draw_many(3)
        self.draw("p0003.png", side=64)
        self.sweep(top, "--max-pixels", "1000", code=3)
        self.agree(top, "--max-pixels", "1000", done=4, failed=1, code=3, now=0)
        # Of a run by a version that kept no limits they were raised.
        with sqlite3.connect(os.path.join(self.result, "results.sqlite")) as connection:
            connection.execute("ALTER TABLE sessions DROP COLUMN max_pixels")
            connection.execute("ALTER TABLE sessions DROP COLUMN max_memory")
        connection.close()
        self.agree(top, "--max-pixels", "1000", done=3, failed=0, code=3, now=1)
        self.agree(top, "--max-pixels", "2000", done=3, failed=0, code=3, now=1)
        self.agree(top, "--max-pixels", "2000", done=4, failed=1, code=3, now=0)
        self.agree(top, done=3, failed=0, code=0, now=1)

    def test_of_a_shard(self):
        top = self.draw_many(12)
        for name in os.listdir(top):
            self.spoil(os.path.join(top, name))
        self.sweep(top, "--shard", "1/3", code=3)
        plan = json.loads(self.sweep(top, "--shard", "1/3", "--dry-run", "--json").out.splitlines()[-1])
        self.assertEqual((plan["done"], plan["failed"]), (plan["pictures"],) * 2)
        again = json.loads(self.sweep(top, "--shard", "1/3", "--dry-run", "--json", "--retry-failed").out.splitlines()[-1])
        self.assertEqual((again["done"], again["failed"], again["pictures"]), (0, 0, plan["pictures"]))
        self.assertTrue(0 < plan["pictures"] < 12)


if __name__ == "__main__":
    main(sys.modules[__name__])
