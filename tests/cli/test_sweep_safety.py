"""What a sweep and its merge must not destroy, mix up, or call whole."""

import os
import shutil
import signal
import subprocess
import sys
import time

import files
from harness import SALMAP, main
from sweep_case import SweepCase


class Safety(SweepCase):
    def merge(self, *arguments, code=0, texts=(), absent=()):
        return self.check(["merge", *arguments], code, *texts, absent=absent)

    def shards(self, top, count, *options, run=None):
        for i in range(count):
            self.sweep(top, "--shard", "%d/%d" % (i, count), *options, run=run)

    def kill_midway(self, top, run):
        """A run that is killed after its first commit, with its journal left."""
        process = subprocess.Popen([SALMAP, *self.command(top, run=run)], cwd=self.folder, stdout=subprocess.DEVNULL)
        self.addCleanup(self.end, process)
        journal = os.path.join(run, "results.sqlite-wal")
        size = 0
        while process.poll() is None and size < 40000:
            time.sleep(0.01)
            size = os.path.getsize(journal) if os.path.exists(journal) else 0
        process.send_signal(signal.SIGKILL)
        process.wait()
        return process.returncode == -signal.SIGKILL and os.path.exists(journal)

    def test_a_merge_into_a_run_that_was_killed(self):
        top = self.draw_many(400)
        self.shards(top, 2)
        other = os.path.join(self.folder, "other")
        if not self.kill_midway(top, other):
            self.skipTest("the run was done before it was killed")
        # What was there is not taken for whole ...
        self.merge(other, code=1, texts=["not finished", "of 400"])
        # ... and its journal is not played into the new results.
        self.merge(self.result, "-o", other)
        self.assertEqual(len(self.query("SELECT * FROM pictures", other)), 400)
        self.assertEqual(len(self.rows(other)), 400)

    def test_a_merge_into_a_run_that_is_running(self):
        top = self.draw_many(300)
        self.shards(top, 2)
        other = os.path.join(self.folder, "other")
        process = subprocess.Popen([SALMAP, *self.command(top, run=other)], cwd=self.folder, stdout=subprocess.DEVNULL)
        self.addCleanup(self.end, process)
        while process.poll() is None and not os.path.exists(os.path.join(other, "run.json")):
            time.sleep(0.005)
        process.send_signal(signal.SIGSTOP)
        self.merge(self.result, "-o", other, code=1, texts=["in use"])
        process.send_signal(signal.SIGCONT)
        self.assertEqual(process.wait(), 0)
        self.assertEqual(len(self.rows(other)), 300)

    def test_a_merge_of_nothing_makes_nothing(self):
        self.merge("nowhere", code=1)
        self.assertFalse(os.path.exists(os.path.join(self.folder, "nowhere")))

    def test_a_refused_restart_keeps_everything(self):
        top = self.draw_many(4)
        listed = self.write("list.csv", b"path,label\n" + b"".join(b"in/p%04d.png,%d\n" % (i, i) for i in range(4)))
        self.sweep(listed)
        before = self.snapshot()
        self.write("list.csv", b"path,label\nin/p0000.png,one\n")
        for options, text in (
            (["--overlays", "wrong"], "'one' is no number"),
            (["--maps", "png16", "--normalize", "none"], "png16"),
        ):
            self.sweep(listed, "--restart", *options, code=2, texts=[text])
            self.assert_same_files(self.snapshot(), before)
        run = os.path.join(self.folder, "shards")
        self.shards(top, 2, run=run)
        self.sweep(top, "--shard", "0/3", "--restart", run=run, code=2, texts=["a shard of 2"])
        self.merge(run)

    def test_a_refused_command_can_be_mended(self):
        self.draw_many(2)
        listed = self.write("list.csv", b"path,label\nin/p0000.png,one\nin/p0001.png,2\n")
        self.sweep(listed, "--overlays", "wrong", code=2, texts=["in/p0000.png", "'one'"])
        self.assertNotIn("results.sqlite", os.listdir(self.result))
        self.write("list.csv", b"path,label\nin/p0000.png,1\nin/p0001.png,2\n")
        self.sweep(listed, "--overlays", "wrong")

    def test_folders_of_other_things(self):
        top = self.draw_many(2)
        for name in ("manifest.csv", "results.csv", "maps/2019/a.png", "overlays/x"):
            with self.subTest(name=name):
                shutil.rmtree(self.result, ignore_errors=True)
                path = os.path.join(self.result, name)
                os.makedirs(os.path.dirname(path))
                with open(path, "wb") as f:
                    f.write(b"mine")
                for restart in ([], ["--restart"]):
                    self.sweep(top, *restart, code=2, texts=["is not of a run"])
                self.assertEqual(self.read(path), b"mine")
                run = os.path.join(self.folder, "run")
                shutil.rmtree(run, ignore_errors=True)
                self.shards(top, 2, run=run)
                self.merge(run, "-o", self.result, code=2, texts=["is not of a run"])
                self.assertEqual(self.read(path), b"mine")

    def test_pictures_are_not_overwritten_by_their_maps(self):
        self.sweep(self.draw_many(1))
        picture = os.path.join(self.result, "maps/000/mine.png")
        with open(picture, "wb") as f:
            f.write(files.gradient_png(32, 32, 9))
        before = self.read(picture)
        for listed in ([picture], ["RUN/maps/000/mine.png"], [os.path.join(self.folder, "in/p0000.png"), picture]):
            self.sweep(*listed, "--restart", code=2, texts=["lies where results go"])
        self.assertEqual(self.read(picture), before)

    def test_other_pictures_of_the_same_names(self):
        """A run goes on with the pictures that it began with, wherever they lie now."""
        self.draw_many(6)
        self.sweep("in")
        os.rename(os.path.join(self.folder, "in"), os.path.join(self.folder, "moved"))
        self.sweep("moved")
        other = os.path.join(self.folder, "other")
        self.draw_many(6, folder="other")
        with open(os.path.join(other, "p0000.png"), "ab") as f:
            f.write(b"longer")
        self.sweep("other", code=2, texts=["p0000.png", "bytes then", "--restart"])

    def test_unfinished_files_of_another_shard(self):
        """The name of one picture may begin with that of another."""
        names = ["f1.png"] + ["f1.%d.png" % i for i in range(40)]
        top = self.draw(*names)
        self.sweep(top, "--shard", "0/2")
        first = {row["path"] for row in self.query("SELECT path FROM pictures", database="shards/0-of-2.sqlite")}
        run = os.path.join(self.result, "maps/000")
        fresh, theirs, ours = os.path.join(self.folder, "fresh"), [], []
        for name in names:
            (ours if name in first else theirs).append(name[:-4] + ".npy.tmp-1-0")
        self.assertTrue(ours and theirs)
        for name in ours + theirs:
            with open(os.path.join(run, name), "wb") as f:
                f.write(b"half")
        self.sweep(top, "--shard", "0/2")
        left = [name for name in os.listdir(run) if ".tmp-" in name]
        self.assertEqual(sorted(left), sorted(theirs), fresh)
        self.sweep(top, "--shard", "1/2")
        self.assertEqual([name for name in os.listdir(run) if ".tmp-" in name], [])

    def test_results_of_shards_that_changed_since(self):
        top = self.draw_many(6)
        self.shards(top, 2)
        self.merge(self.result)
        for i in range(2):
            self.sweep(top, "--shard", "%d/2" % i, "--restart", "--maps", "npz", "--sigma", "9")
            self.check(["export", self.result], 1, "not merged")
        self.merge(self.result)
        self.sweep(top, "--maps", "npz", "--sigma", "9", run=os.path.join(self.folder, "whole"))
        self.assert_same_files(self.snapshot(), self.snapshot(os.path.join(self.folder, "whole")))

    def test_a_refused_command_is_told_as_failed(self):
        top = self.draw_many(2)
        self.sweep(top)
        done = self.sweep(top, "--sigma", "9", "--json", code=2)
        self.assertIn('"event": "end", "outcome": "failed"', done.out)

    def test_columns_that_would_be_called_alike(self):
        self.draw_many(1)
        listed = self.write("list.csv", b" Path ,status,manifest_status,STATUS2\nin/p0000.png,a,b,c\n")
        self.sweep(listed)
        with open(os.path.join(self.result, "results.csv")) as f:
            header = f.readline().split(",")
        self.assertEqual(header[:4], ["path", "manifest_manifest_status", "manifest_status", "STATUS2"])
        self.assertEqual(len(set(header)), len(header))


if __name__ == "__main__":
    main(sys.modules[__name__])
