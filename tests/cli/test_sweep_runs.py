"""Bad pictures, runs that are refused, and how a run tells how it goes."""

import errno
import fcntl
import hashlib
import json
import math
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios

import files
from harness import MODEL, SALMAP, main
from sweep_case import SHORTCUT, SweepCase


NO_PICTURE = ": not a PNG, JPEG, TIFF or .npy file"
CUT = ": PNG: the file is truncated"


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
        self.assertRegex(done.out, r"\A198 of 200 pictures done, 2 failed; 200 now, in ")
        rows = self.query("SELECT id, path, status, error FROM pictures WHERE status <> 'ok' ORDER BY id")
        self.assertEqual([os.path.basename(row["path"]) for row in rows], ["p0050.png", "p0150.png"])
        self.assertEqual({row["status"] for row in rows}, {"format"})
        self.assertEqual([row["error"] for row in rows],
                         [os.path.join(top, "p0050.png") + NO_PICTURE, os.path.join(top, "p0150.png") + CUT])
        mine, theirs = self.snapshot(), self.snapshot(good)
        gone = sorted(set(theirs) - set(mine))
        self.assertEqual(gone, ["maps/000/p0050.npy", "maps/000/p0150.npy", "overlays/000/p0050.overlay.jpg",
                                "overlays/000/p0150.overlay.jpg"])
        same = [n for n in mine if n.startswith(("maps", "overlays"))]
        self.assertEqual((len(same), [n for n in same if mine[n] != theirs[n]]), (2 * 198, []))
        mine, theirs = self.rows(), self.rows(good)
        self.assertEqual([len(mine), len(theirs)], [200, 200])
        self.assertEqual([i for i in range(200) if mine[i] != theirs[i]], [50, 150])
        self.assertEqual([mine[i]["error"] for i in (50, 150)], [row["error"] for row in rows])

    def test_too_many_failures_stop_the_run(self):
        top = self.draw_many(40)
        for i in range(0, 40, 4):
            self.spoil(os.path.join(top, "p%04d.png" % i))
        fourth = os.path.join(top, "p0012.png") + NO_PICTURE
        self.sweep(top, "--max-failures", "3", code=1,
                   texts=["sweep: 4 pictures failed, more than the 3 of --max-failures; the last one: %s\n" % fourth])
        self.assertFalse(os.path.exists(os.path.join(self.result, "results.csv")))
        self.sweep(top, "--max-failures", "0", code=1,
                   texts=["sweep: 4 pictures failed already, more than the 0 of --max-failures\n"])
        # How many may fail is no part of what was computed.
        self.sweep(top, code=3)
        self.assertEqual(self.statuses().count("ok"), 30)
        other = os.path.join(self.folder, "other")
        self.sweep(top, "--max-failures", "10", code=3, run=other)
        self.assertEqual(self.read(os.path.join(other, "results.csv")),
                         self.read(os.path.join(self.result, "results.csv")))

    def test_a_picture_that_goes_away_and_comes_back(self):
        top = self.draw_many(40)
        self.spoil(os.path.join(top, "p0005.png"))
        last = os.path.join(top, "p0039.png")
        process = self.hold(top)
        os.rename(last, last + ".away")
        said = self.let_go(process)
        self.assertEqual(process.returncode, 3, said)
        self.assertIn("salmap: sweep: %s: cannot open: No such file or directory\n" % last, said)
        expected = ["ok"] * 5 + ["format"] + ["ok"] * 33
        self.assertEqual(self.statuses(), expected + ["io"])
        before = self.query("SELECT * FROM timings WHERE picture NOT IN (SELECT id FROM pictures WHERE status = 'io')")
        self.assertEqual(len(before), 39)
        self.sweep(top, code=3)
        os.rename(last + ".away", last)
        self.sweep(top, code=3)
        self.assertEqual(self.statuses(), expected + ["ok"])
        after = self.query("SELECT * FROM timings")
        self.assertEqual([row for row in before if row not in after], [])
        other = os.path.join(self.folder, "other")
        self.sweep(top, run=other, code=3)
        self.assert_same_files(self.snapshot(), self.snapshot(other))

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
        self.assertEqual(len(before), 40)
        timings = self.query("SELECT * FROM timings")
        done = self.sweep(top)
        said = "nothing is left to do: 20 of 20 pictures done, 0 failed -> %s\n" % self.result
        self.assertEqual((done.out, done.err), (said, ""))
        self.assertEqual({name: os.stat(os.path.join(self.result, name)).st_mtime_ns for name in before}, before)
        self.assertEqual(self.query("SELECT * FROM timings"), timings)

    def test_what_a_complete_run_lost_is_made_again(self):
        top = self.draw_many(6)
        self.sweep(top, "--overlays", "top:3")
        first = self.snapshot()
        for lost in (["results.csv"], ["results.sqlite"], ["results.sqlite", "results.csv"]):
            with self.subTest(lost=lost):
                for name in lost:
                    os.remove(os.path.join(self.result, name))
                self.sweep(top, "--overlays", "top:3")
                self.assert_same_files(self.snapshot(), first)

    def test_without_run_json_it_is_no_run(self):
        """Whose files those are, nothing else says: they stay."""
        top = self.draw_many(6)
        self.sweep(top)
        os.remove(os.path.join(self.result, "run.json"))
        before = self.snapshot()
        for options in ([], ["--restart"], ["--shard", "0/2"]):
            self.sweep(top, *options, code=2, texts=[os.path.join(self.result, "results.sqlite") + ": is not of a run, and "
                                                     "results would go there: choose another folder\n"])
            self.assert_same_files(self.snapshot(), before)

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
        # Another file is tried by itself; one that is as it was, see "Mended" of test_sweep_lists.py.
        self.sweep(top)
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
        found = [(row["status"], row["error"].rpartition("/")[2]) for row in self.rows()]
        channels = "the picture has 5 channels, the network takes 3; only pictures of 1 to 4 channels can be made gray or RGB"
        self.assertEqual(found, [
            ("ok", ""), ("argument", "b.npy: " + channels),
            ("numeric", "c.npy: the picture has NaN, infinite or huge samples near row 0"),
            ("format", "d.png: the file is empty"), ("io", "e.png: is a directory, expected a file"),
            ("io", "null: is not a regular file")])


BEGUN = "results.sqlite: the run was begun with another "
IN_USE = "results.sqlite: in use by another salmap that is running: run again when it has ended\n"


class Refusals(SweepCase):
    def refused(self, text, *arguments, **where):
        """For this reason, with what to do instead, and with nothing changed."""
        before = self.snapshot()
        end = "; --restart throws its results away, or choose another run folder\n"
        self.sweep(*arguments, code=2, texts=[os.path.join(self.result, text) + end], **where)
        self.assert_same_files(self.snapshot(), before)

    def test_another_model(self):
        top = self.draw_many(5)
        model = os.path.join(self.folder, "m.onnx")
        shutil.copy(MODEL, model)
        shutil.copy(MODEL + ".salmap", model + ".salmap")
        self.sweep(top, model=model)
        before = self.read(os.path.join(self.result, "results.csv"))
        shutil.copy(SHORTCUT, model)
        sums = tuple(hashlib.sha256(self.read(path)).hexdigest() for path in (MODEL, SHORTCUT))
        self.refused(BEGUN + "model (by its SHA-256): %s, now %s" % sums, top, model=model)
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
        origin = "; the preprocessing is now that of "
        self.refused(BEGUN + "--order: rgb, now auto" + origin + "--preset tf", top, "--preset", "tf", model=model)
        self.refused(BEGUN + "--antialias: on, now off", top, "--antialias", "off", model=model)
        # Nobody gave an option: the sidecar is another one.
        kept, origin = self.read(model + ".salmap"), origin + model + ".salmap"
        with open(model + ".salmap", "a") as f:
            f.write("antialias off\n")
        self.refused(BEGUN + "--antialias: on, now off" + origin, top, model=model)
        self.sweep(top, "--restart", model=model)
        self.write(model + ".salmap", kept)
        self.refused(BEGUN + "--antialias: off, now on" + origin, top, model=model)
        self.refused(BEGUN + "--sigma: 3.84, now 9", top, "--antialias", "off", "--sigma", "9", model=model)

    def test_another_list(self):
        self.draw_many(5)
        path = self.write("in/list.csv", b"path,label\np0000.png,1\np0001.png,2\n")
        self.sweep(path)
        for data, text in (
            (b"path,label\np0000.png,1\np0001.png,2\np0002.png,1\n", "3 now (1 new, such as p0002.png; --extend adds them)"),
            (b"path,label\np0000.png,1\np0001.png,3\n", "2 now (other columns, labels or order)"),
            (b"path,label\np0001.png,2\np0000.png,1\n", "2 now (other columns, labels or order)"),
            (b"path,label\np0000.png,1\n", "1 now (1 gone)"),
        ):
            self.write("in/list.csv", data)
            self.refused("manifest.csv: the list of pictures has changed since the run began: 2 then, " + text, path)
        self.sweep(path, "--restart")
        self.assertEqual([row["path"] for row in self.rows()], ["p0000.png"])
        self.assertEqual(os.listdir(os.path.join(self.result, "maps/000")), ["p0000.npy"])
        self.assertEqual(os.listdir(os.path.join(self.result, "overlays/000")), ["p0000.overlay.jpg"])

    def test_a_folder_that_changed(self):
        top = self.draw_many(5)
        self.sweep(top)
        self.draw("more.png")
        self.refused("manifest.csv: the list of pictures has changed since the run began: 5 then, 6 now (1 new, such as "
                     "more.png; --extend adds them)", top)
        self.sweep(top, "--restart")
        self.assertEqual(len(self.rows()), 6)

    def test_other_options(self):
        top = self.draw_many(5)
        self.sweep(top)
        for option, then, now in (("--sigma", "3.84", "9"), ("--overlays", "all", "top:2"), ("--maps", "npy", "png16"),
                                  ("--colormap", "inferno", "jet"), ("--alpha", "0.9", "0.25"),
                                  ("--contour", "none", "0.25,0.5"),
                                  ("--normalize", "minmax", "none"), ("--reduce", "max", "mean"),
                                  ("--modifier", "abs", "relu"), ("--rule", "gradient", "guided"),
                                  ("--tolerance", "0.5", "2"), ("--overlay-format", "jpeg", "png"),
                                  ("--overlay-size", "1600", "99"),
                                  ("--target", "predicted", "mean")):
            with self.subTest(option=option):
                self.refused(BEGUN + "%s: %s, now %s" % (option, then, now), top, option, now)
        self.refused(BEGUN + "--exact: no, now yes", top, "--exact")
        self.refused(BEGUN + "--colormap: inferno, now viridis", top, "--blend", "flat")
        self.refused(BEGUN + "--blend: map, now flat", top, "--blend", "flat", "--colormap", "inferno", "--alpha", "0.9")
        self.refused(BEGUN + "--overlay-size: 1600, now full", top, "--overlay-size", "full")
        before = self.snapshot()
        self.sweep(top, "--shard", "0/2", code=2, texts=["RUN: holds a run that is not in shards: choose another folder, or "
                                                         "--restart throws its results away\n"])
        self.assert_same_files(self.snapshot(), before)

    def test_options_that_change_no_result(self):
        top = self.draw_many(5)
        self.sweep(top)
        before = self.snapshot()
        for options in (["--batch", "2"], ["--threads", "1"], ["--quiet"], ["--json"], ["--max-failures", "9"],
                        ["--sigma", "3.84"]):
            with self.subTest(options=options):
                self.sweep(top, *options)
                self.assert_same_files(self.snapshot(), before)

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
        for run, reason in ((path, "is not a folder"), (path + "/below", "cannot make the folder: Not a directory")):
            self.sweep(self.draw_many(2), run=run, code=1, texts=["sweep: %s: %s\n" % (run, reason)])
        self.assertEqual(self.read(path), b"precious")

    def test_folders_that_nobody_may_write(self):
        top = self.draw_many(2)
        for run in ("/proc", "/proc/self/fdinfo"):
            self.sweep(top, code=1, texts=["sweep: %s: the output folder is not writable: %s/" % (run, run)], run=run)

    def test_a_folder_that_is_mounted_to_be_read(self):
        top = self.draw_many(2)
        os.mkdir(self.result)
        script = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" "$1" || exit 99; shift; exec "$@"'
        done = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", self.result, SALMAP, *self.command(top)],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode == 99 or b"unshare" in done.stderr:
            self.skipTest("no rights to mount")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stderr.decode(), r"\Asalmap: sweep: %s: the output folder is not writable: %s/\S+: cannot create: "
                         r"Read-only file system\n\Z" % (self.result, self.result))
        self.assertEqual(os.listdir(self.result), [])

    def test_a_database_that_is_none(self):
        top = self.draw_many(2)
        self.sweep(top)
        path = self.write("RUN/results.sqlite", b"this is a letter, not a database\n" * 100)
        self.sweep(top, code=1, texts=[path + ": is damaged, or no results of salmap (file is not a database); --restart begins "
                                       "anew\n"])
        self.assertEqual(self.read(path), b"this is a letter, not a database\n" * 100)
        self.sweep(top, "--restart")
        self.assertEqual([row["status"] for row in self.rows()], ["ok"] * 2)

    def test_a_database_of_somebody_else(self):
        top = self.draw_many(2)
        os.mkdir(self.result)
        path = self.write("RUN/results.sqlite", b"this is a letter, not a database\n" * 100)
        for options in ([], ["--restart"]):
            self.sweep(top, *options, code=2, texts=[path + ": is not of a run, and results would go there: choose another "
                                                     "folder\n"])
        self.assertEqual(self.read(path), b"this is a letter, not a database\n" * 100)

    def test_two_at_the_same_time(self):
        top = self.draw_many(30)
        self.spoil(os.path.join(top, "p0010.png"))
        process = self.hold(top)
        for extra in ([], ["--restart"]):
            self.sweep(top, *extra, code=1, texts=["RUN/" + IN_USE])
        said = self.let_go(process)
        self.assertEqual(process.returncode, 3, said)
        self.assertEqual([row["status"] for row in self.rows()], ["ok"] * 10 + ["format"] + ["ok"] * 19)

    def test_two_that_begin_together(self):
        top = self.draw_many(12)
        other = os.path.join(self.folder, "other")
        self.sweep(top, run=other)
        expected = self.snapshot(other)
        for _ in range(6):
            both = [self.start(top, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
            said = [process.communicate(timeout=100)[1].decode() for process in both]
            # One of them computes. The other finds it at work, or came when all was done.
            codes = [process.returncode for process in both]
            self.assertIn(0, codes, said)
            for code, text in zip(codes, said):
                if code:
                    self.assertEqual(code, 1, said)
                    self.assertIn("RUN/" + IN_USE, text)
                else:
                    self.assertEqual(text, "")
            self.assert_same_files(self.snapshot(), expected)
            shutil.rmtree(self.result)

    def test_wrong_usage(self):
        top = self.draw_many(2)
        shards = " is not I/N, auto or auto/N"
        for wrong, text in (
            (["--shard", "2/2"], "--shard: 2/2: shards are numbered from 0, so 0 to 1 (--shard)"), (["--shard", "x"], "--shard: 'x'" + shards),
            (["--shard", "-1/2"], "--shard: '-1/2'" + shards), (["--shard", "0/0"], "--shard: '0/0'" + shards),
            (["--maps", "gif"], "--maps: 'gif' is not one of npy, none, npz, png16"),
            (["--overlays", "top:0"], "--overlays: 'top:0' is not all, none, wrong or top:N"),
            (["--overlays", "some"], "--overlays: 'some' is not all, none, wrong or top:N"),
            (["--top-k", "-1"], "--top-k: '-1' is not a whole number from 1 to 1000"),
            (["--overlay-format", "gif"], "--overlay-format: 'gif' is not one of jpeg, png"),
            *((["--overlay-size", size], "--overlay-size: '%s' is neither full nor a number from 1 to 65500" % size)
              for size in ("0", "-1", "1.5", "9x", "", "65501", "99999999999999999999")),
            (["--max-failures", "-1"], "--max-failures: '-1' is not a whole number from 0 to 1000000000000000"),
            (["--tolerance", "x"], "--tolerance: 'x' is not a number from 1e-30 to 1e+30"),
            (["--target", "index:7"], "target index 7: the model has 1 output, so 0 to 0"),
            (["--frobnicate"], "unknown option '--frobnicate'"),
        ):
            with self.subTest(wrong=wrong):
                self.sweep(top, *wrong, code=2, texts=["salmap: sweep: %s\n" % text])
        self.check(["sweep", MODEL, top], 2, "sweep: no run folder: give -o RUN\n")
        self.check(["sweep", MODEL], 2, "sweep: too few operands; expected MODEL INPUT... -o RUN\n")
        self.assertFalse(os.path.exists(os.path.join(self.result, "results.csv")))

    def test_overlays_of_wrong_predictions_need_labels(self):
        self.sweep(self.draw_many(2), "--overlays", "wrong", code=2,
                   texts=["overlays wrong needs labels: a manifest with a column named label (there are: path)\n"])


class Events(SweepCase):
    def test_events_of_a_run(self):
        top = self.draw_many(30)
        self.spoil(os.path.join(top, "p0007.png"))
        done = self.sweep(top, "--json", code=3)
        events = [json.loads(line) for line in done.out.splitlines()]
        kinds = [event["event"] for event in events]
        self.assertEqual((kinds[0], kinds[-1]), ("start", "end"))
        self.assertEqual(set(kinds), {"start", "progress", "failed", "end"})
        first, last = events[0], events[-1]
        self.assertEqual((first["model"], first["out"], first["listed"]), (MODEL, self.result, 30))
        self.assertEqual((first["shard"], first["shards"], first["shard_from"]), (0, 1, None))
        (failed,) = [event for event in events if event["event"] == "failed"]
        bad = os.path.join(top, "p0007.png")
        self.assertEqual(failed, {"event": "failed", "path": "p0007.png", "error": bad + NO_PICTURE})
        self.assertEqual(last["outcome"], "complete")
        for event in ([event for event in events if event["event"] == "progress"][-1], last):
            self.assertEqual([event[name] for name in ("pictures", "done", "failed", "done_now", "failed_now")],
                             [30, 30, 1, 30, 1])
            self.assertEqual([stage["name"] for stage in event["stages"]], ["decode", "compute", "encode", "store"])

    def test_quiet_prints_nothing(self):
        done = self.sweep(self.draw_many(3), "--quiet")
        self.assertEqual(done.out + done.err, "")

    def test_elsewhere_lines_are_printed(self):
        done = self.sweep(self.draw_many(20))
        self.assertEqual(done.err, "")
        head, empty, title, *stages, end = done.out.splitlines()
        self.assertRegex(head, r"^20 of 20 pictures done, 0 failed; 20 now, in \d+\.\d\d s \(\d+\.\d per second\) -> %s$"
                         % re.escape(self.result))
        self.assertEqual((empty, title), ("", "  stage     threads  ms/picture   busy"))
        self.assertEqual([line.split()[0] for line in stages], ["decode", "compute", "encode", "store"])
        for line in stages:
            self.assertRegex(line, r"^  \w+ +\d+ +\d+\.\d\d +\d+ %$")
        self.assertRegex(end, r"^  all cores of the processor: \d+ % busy; the speed hangs on: \w+$")

    def on_terminal(self, *arguments, columns=100):
        """What a terminal of that width is sent."""
        try:
            ours, theirs = pty.openpty()
        except OSError as error:
            self.skipTest("no terminal can be had here: %s" % error)
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
        top = self.draw_many(60)
        whole = r"(\[=*>? *\])? \d+/60  \d+\.\d/s  (\?|\d+:\d\d) left  (starting|\w+ \d+ %)"
        for columns, form in ((100, whole), (40, r" \d+/60  .*")):
            sent = self.on_terminal(top, "--restart", columns=columns)
            # Each is drawn over the one before, and at the end there is none.
            *drawn, cleared, last = sent.split("\r")
            self.assertEqual((cleared[-3:], last), ("\x1b[K", "\x1b[K"))
            bars = [bar[:-3] for bar in [*drawn, cleared] if bar]
            for bar in bars:
                self.assertRegex(bar, r"\A%s\Z" % form)
                self.assertLess(len(bar), columns)
            self.assertIn(" 60/60  ", bars[-1])
            counts = [int(re.search(r"(\d+)/60", bar).group(1)) for bar in bars]
            self.assertEqual(counts, sorted(counts))

    def test_quiet_on_a_terminal(self):
        self.assertEqual(self.on_terminal(self.draw_many(5), "--quiet"), "")

    def test_a_dry_run_computes_nothing(self):
        top = self.draw_many(7)
        done = self.sweep(top, "--dry-run", "--shard", "1/3")
        self.assertEqual(done.err, "")
        self.assertIn("\npictures  7\nshard     1/3, from --shard: 2 pictures\nresults   %s\n" % self.result, done.out)
        self.assertFalse(os.path.exists(self.result))


if __name__ == "__main__":
    main(sys.modules[__name__])
