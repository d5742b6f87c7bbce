"""What a sweep and its merge must not destroy, mix up, or call whole."""

import json
import os
import shlex
import shutil
import sys

import files
from harness import MODEL, main
from sweep_case import SweepCase


class Safety(SweepCase):
    def merge(self, *arguments, code=0, texts=(), absent=()):
        return self.check(["merge", *arguments], code, *texts, absent=absent)

    def shards(self, top, count, *options, run=None, code=0):
        """code: that of each, or None where one has the broken picture and the others do not."""
        codes = [self.run_salmap(*self.command(top, "--shard", "%d/%d" % (i, count), *options, run=run)).returncode
                 for i in range(count)]
        self.assertEqual(sorted(codes), [0] * (count - 1) + [3] if code is None else [code] * count)

    def test_a_merge_into_a_run_that_was_killed(self):
        top = self.draw_many(30)
        self.spoil(os.path.join(top, "p0010.png"))
        self.shards(top, 2, code=None)
        other = os.path.join(self.folder, "other")
        # Killed after its first commit, with its journal left.
        process = self.hold(top, run=other)
        journal = os.path.join(other, "results.sqlite-wal")
        self.wait_until(lambda: len(self.committed(other)) == 11, process, "a commit")
        process.kill()
        process.wait()
        self.assertTrue(os.path.exists(journal))
        # What was there is not taken for whole ...
        self.merge(other, code=1, texts=["other/results.sqlite: is not in shards, and not finished: 11 of 30 pictures are done; run it again\n"])
        # ... and its journal is not played into the new results.
        self.merge(self.result, "-o", other, code=3)
        self.assertFalse(os.path.exists(journal))
        self.assertEqual(len(self.query("SELECT * FROM pictures", other)), 30)
        self.assertEqual(len(self.rows(other)), 30)

    def test_a_merge_into_a_run_that_is_running(self):
        top = self.draw_many(30)
        self.spoil(os.path.join(top, "p0010.png"))
        self.shards(top, 2, code=None)
        other = os.path.join(self.folder, "other")
        process = self.hold(top, run=other)
        self.merge(self.result, "-o", other, code=1,
                   texts=["other/results.sqlite: in use by another salmap that is running: run again when it has ended\n"])
        said = self.let_go(process)
        self.assertEqual(process.returncode, 3, said)
        self.assertEqual([row["status"] for row in self.rows(other)], ["ok"] * 10 + ["format"] + ["ok"] * 19)

    def test_a_merge_of_nothing_makes_nothing(self):
        self.merge("nowhere", code=1, texts=["merge: nowhere"])
        self.assertFalse(os.path.exists(os.path.join(self.folder, "nowhere")))

    def test_a_refused_restart_keeps_everything(self):
        top = self.draw_many(4)
        listed = self.write("list.csv", b"path,label\n" + b"".join(b"in/p%04d.png,%d\n" % (i, i) for i in range(4)))
        self.sweep(listed)
        before = self.snapshot()
        self.write("list.csv", b"path,label\nin/p0000.png,one\n")
        for options, text in (
            (["--overlays", "wrong"], "in/p0000.png: its label 'one' is no number: with overlays wrong, labels are outputs or "
             "values\n"),
            (["--maps", "png16", "--normalize", "none"], "maps as png16 hold 0 to 1, and maps that are not normalised are not "
             "bounded; use npy or npz\n"),
        ):
            self.sweep(listed, "--restart", *options, code=2, texts=[text])
            self.assert_same_files(self.snapshot(), before)
        run = os.path.join(self.folder, "shards")
        self.shards(top, 2, run=run)
        self.sweep(top, "--shard", "0/3", "--restart", run=run, code=2, texts=[", a shard of 2, and this one is of 3: choose another folder, or "
                                                                               "remove it\n"])
        self.merge(run)

    def test_a_refused_command_can_be_mended(self):
        self.draw_many(2)
        listed = self.write("list.csv", b"path,label\nin/p0000.png,one\nin/p0001.png,2\n")
        self.sweep(listed, "--overlays", "wrong", code=2,
                   texts=["in/p0000.png: its label 'one' is no number: with overlays wrong, labels are outputs or values\n"])
        self.assertNotIn("results.sqlite", os.listdir(self.result))
        self.write("list.csv", b"path,label\nin/p0000.png,1\nin/p0001.png,2\n")
        self.sweep(listed, "--overlays", "wrong")

    def test_folders_of_other_things(self):
        top = self.draw_many(2)
        run = os.path.join(self.folder, "run")
        self.shards(top, 2, run=run)
        for name in ("manifest.csv", "results.csv", "maps/2019/a.png", "overlays/x"):
            with self.subTest(name=name):
                shutil.rmtree(self.result, ignore_errors=True)
                path = os.path.join(self.result, name)
                foreign = "%s: is not of a run, and results would go there: choose another folder\n" % os.path.join(
                    self.result, name.split("/")[0])
                os.makedirs(os.path.dirname(path))
                with open(path, "wb") as f:
                    f.write(b"mine")
                for restart in ([], ["--restart"]):
                    self.sweep(top, *restart, code=2, texts=[foreign])
                self.assertEqual(self.read(path), b"mine")
                self.merge(run, "-o", self.result, code=2, texts=[foreign])
                self.assertEqual(self.read(path), b"mine")
        self.merge(run)

    def test_pictures_are_not_overwritten_by_their_maps(self):
        self.sweep(self.draw_many(1))
        picture = os.path.join(self.result, "maps/000/mine.png")
        with open(picture, "wb") as f:
            f.write(files.gradient_png(32, 32, 9))
        before = self.read(picture)
        for listed in ([picture], ["RUN/maps/000/mine.png"], [os.path.join(self.folder, "in/p0000.png"), picture]):
            self.sweep(*listed, "--restart", code=2, texts=["RUN/maps/000/mine.png: lies where results go: choose another run "
                                                            "folder\n"])
        self.assertEqual(self.read(picture), before)

    def test_the_model_is_not_overwritten_by_a_map(self):
        self.sweep(self.draw_many(1))
        model = os.path.join(self.result, "maps/000/mine.npy")
        shutil.copy(MODEL, model)
        self.sweep(os.path.join(self.folder, "in"), "--restart", "--preset", "unit", model=model, code=2,
                   texts=["RUN/maps/000/mine.npy: lies where results go: choose another run folder\n"])
        self.assertEqual(self.read(model), self.read(MODEL))

    def test_an_export_is_not_written_over_a_map(self):
        self.sweep(self.draw_many(1))
        before = self.snapshot()
        for name in ("maps/000/p0000.npy", "overlays/000/p0000.overlay.jpg", "maps/000/new.csv", "maps/000/../new.csv"):
            self.check(["export", self.result, "-o", os.path.join(self.result, name)], 2,
                       "lies among the run's own %s: choose another folder\n" % name.split("/")[0])
        self.assertEqual(self.snapshot(), before)
        self.check(["export", self.result, "-o", os.path.join(self.result, "mine.csv")], 0)

    def test_files_that_were_cut_off_are_not_merged(self):
        top = self.draw_many(2)
        for maps, overlays in (("npy", "jpeg"), ("npz", "png"), ("png16", "png")):
            run = os.path.join(self.folder, maps)
            self.shards(top, 2, "--maps", maps, "--overlay-format", overlays, run=run)
            self.merge(run, "-o", os.path.join(self.folder, maps + "-whole"))
            for name in sorted(name for name in self.snapshot(run) if name.startswith(("maps/", "overlays/"))):
                path = os.path.join(run, name)
                data = self.read(path)
                for size in (1, 5, 50, len(data) // 2, len(data) - 1):
                    with open(path, "wb") as f:
                        f.write(data[:size])
                    self.merge(run, "-o", os.path.join(self.folder, "cut"), code=1, texts=["%s: is cut off" % name])
                    shutil.rmtree(os.path.join(self.folder, "cut"))
                with open(path, "wb") as f:
                    f.write(data)

    def test_names_with_line_breaks_begin_no_run(self):
        """A setting has a line each: a name of two would be another setting, or a command of its own."""
        picture = self.write("a\ntarget top:3", files.gradient_png(32, 32))
        self.sweep(self.draw_many(1), "-m", "integrated-gradients", "--steps", "2", "--baseline", picture, code=2,
                   texts=["the name of a baseline has a line break: no run can be made with it\n"])
        self.assertEqual(os.listdir(self.result), [])

    def test_the_run_says_how_it_is_made_again_whatever_names_are(self):
        here = os.getcwd()
        os.chdir(self.folder)
        try:
            self.draw("p.png", folder="-dash")
            for name in ("no", "yes", "-m"):
                self.write(name, files.gradient_png(32, 32, 5))
                self.check(["sweep", "-o", "run" + name, "-q", "-m", "integrated-gradients", "--steps", "2", "--baseline", name,
                            "--", MODEL, "-dash"], 0)
                command = json.loads(self.read("run%s/run.json" % name))["again"]
                self.check(shlex.split(command.replace("AGAIN", "again" + name))[1:], 0)
                self.assertEqual(self.snapshot("again" + name)["maps/000/p.npy"], self.snapshot("run" + name)["maps/000/p.npy"])
        finally:
            os.chdir(here)

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
        self.sweep("other", code=2, texts=[
            "other/p0000.png: is not the picture that the run in %s/results.sqlite was begun with: " % self.result,
            "--restart throws its results away, or choose another run folder\n"])

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
        self.assertEqual((len(ours), len(theirs)), (21, 20))
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
            self.check(["export", self.result], 1, "%s: its shards are not merged: run 'salmap merge %s' first\n"
                       % (self.result, self.result))
        self.merge(self.result)
        self.sweep(top, "--maps", "npz", "--sigma", "9", run=os.path.join(self.folder, "whole"))
        self.assert_same_files(self.snapshot(), self.snapshot(os.path.join(self.folder, "whole")))

    def test_a_refused_command_is_told_as_failed(self):
        top = self.draw_many(2)
        self.sweep(top)
        done = self.sweep(top, "--sigma", "9", "--json", code=2)
        events = [json.loads(line) for line in done.out.splitlines()]
        self.assertEqual([(event["event"], event.get("outcome")) for event in events], [("start", None), ("end", "failed")])

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
