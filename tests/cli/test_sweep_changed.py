"""Runs that go on with other options or files than they were begun with, and what is said of their labels."""

import os
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
        self.assertIn("all 3 pictures are done already", self.sweep(top, *options).out)


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


if __name__ == "__main__":
    main(sys.modules[__name__])
