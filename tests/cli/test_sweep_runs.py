"""Bad pictures, runs that are refused, and how a run tells how it goes."""

import errno
import fcntl
import json
import math
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time

import files
from harness import MODEL, SALMAP, main
from sweep_case import SHORTCUT, SweepCase


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
        for lost in (["results.csv"], ["run.json"], ["results.sqlite"], ["results.sqlite", "results.csv"]):
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
