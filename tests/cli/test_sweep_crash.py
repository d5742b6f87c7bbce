"""A sweep that is killed, stopped or out of disk, and what the same command makes of it."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import unittest.mock

from harness import SALMAP, main
from sweep_case import SweepCase

# What a run says of time, and of the runs themselves.
OF_TIME = ("timings", "sessions")


class Interrupted(SweepCase):
    """A run that nothing disturbed, and others that must end as it did. The network is a small one: this is about
    files."""

    PICTURES = 60
    BROKEN = None  # the picture that a run can be held at

    def setUp(self):
        super().setUp()
        self.model = self.classifier()
        self.top, self.code = self.draw_many(self.PICTURES, side=16), 0
        if self.BROKEN is not None:
            self.spoil(os.path.join(self.top, "p%04d.png" % self.BROKEN))
            self.code = 3

    def draw_few(self):
        """Of few pictures, most of a run's time goes to its beginning and its end."""
        self.top, self.code = self.draw_many(6, folder="few", side=16), 0

    def command(self, *arguments, **where):
        return super().command(*arguments, "--preset", "unit", **{"model": self.model, **where})

    def undisturbed(self, *options):
        """Its seconds, and what it left."""
        begin = time.monotonic()
        self.sweep(self.top, *options, code=self.code)
        seconds = time.monotonic() - begin
        left = self.left(self.result)
        shutil.rmtree(self.result)
        return seconds, left

    def left(self, run):
        """Files and tables that a run left, but what is of time."""
        tables = {}
        for row in self.query("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'", run):
            if row["name"] not in OF_TIME:
                tables[row["name"]] = sorted(map(repr, self.query('SELECT * FROM "%s"' % row["name"], run)))
        (answer,) = self.query("PRAGMA integrity_check", run)
        self.assertEqual(list(answer.values()), ["ok"])
        return self.snapshot(run), tables

    def unfinished(self, run):
        names = [name for _, _, names in os.walk(run) for name in names]
        return [name for name in names if ".tmp-" in name or name.endswith(("-journal", "-wal", "-shm"))]

    def assert_as_undisturbed(self, run, expected):
        self.assertEqual(self.unfinished(run), [])
        mine, tables = self.left(run)
        self.assert_same_files(mine, expected[0])
        self.assertEqual(sorted(tables), sorted(expected[1]))
        for name, rows in tables.items():
            differing = [pair for pair in zip(rows, expected[1][name]) if pair[0] != pair[1]]
            self.assertEqual((len(rows), differing[:3]), (len(expected[1][name]), []), name)

    def finish(self, *options, run=None):
        """The same command to its end. How many pictures were written down before: they are not computed again."""
        run = run or self.result
        before = self.committed(run)
        self.sweep(self.top, *options, code=self.code, run=run)
        after = self.committed(run)
        self.assertEqual([row for key, row in before.items() if after.get(key) != row], [])
        return len(before)


class Killed(Interrupted):
    BROKEN = 20
    BEST = ["--overlays", "top:25", "--maps", "png16"]

    def kill_at(self, moment, *options):
        """Kills a run at a moment, if it still runs then."""
        process = self.start(self.top, *options, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill_often(self, times, seed, *options):
        """At whatever moment a run is killed, and where it was done by then, the same command leaves the same."""
        seconds, expected = self.undisturbed(*options)
        lottery = random.Random(seed)
        for number in range(times):
            moment = seconds * (number + lottery.random()) / times
            with self.subTest(moment=moment):
                self.kill_at(moment, *options)
                if number % 3 == 2:
                    before = self.committed(self.result)
                    self.kill_at(seconds * lottery.uniform(0.1, 0.6), *options)
                    now = self.committed(self.result)
                    self.assertEqual([row for key, row in before.items() if now.get(key) != row], [])
                self.finish(*options)
                self.assert_as_undisturbed(self.result, expected)
            shutil.rmtree(self.result, ignore_errors=True)

    def test_at_any_moment(self):
        self.kill_often(10, 1)
        self.kill_often(10, 2, *self.BEST)

    def test_while_it_begins_and_while_it_ends(self):
        self.draw_few()
        self.kill_often(12, 3, "--overlays", "top:2")

    def test_when_a_part_is_committed(self):
        for options in ([], self.BEST):
            with self.subTest(options=options):
                _, expected = self.undisturbed(*options)
                process = self.hold(self.top, *options)
                self.wait_until(lambda: len(self.committed(self.result)) > self.BROKEN, process, "a commit")
                process.kill()
                process.wait()
                # The commit is of all pictures up to the broken one, and none of them is computed again.
                self.assertEqual(self.finish(*options), self.BROKEN + 1)
                self.assert_as_undisturbed(self.result, expected)
                shutil.rmtree(self.result)

    def test_twice_over_the_same_pictures(self):
        """They are read by a program of their own. Where that is not there the run ends, and goes on once it is."""
        _, expected = self.undisturbed()
        for _ in range(2):
            process = self.hold(self.top)
            process.kill()
            process.wait()
        with unittest.mock.patch.dict(os.environ, SAL_PICTURE_READER="/nowhere/salmap-picture"):
            self.sweep(self.top, code=1, texts=[
                "p%04d.png: cannot be read: the program salmap-picture, which reads pictures that salmap was killed over, is"
                " not at /nowhere/salmap-picture: install it with libsalmap, or set SAL_PICTURE_READER to its path" % self.BROKEN])
        self.assertEqual(self.unfinished(self.result), [])
        done = self.committed(self.result)
        self.assertNotIn(self.BROKEN, done)
        self.assertIn(self.PICTURES - 1, done)
        self.assertEqual(self.finish(), len(done))
        self.assert_as_undisturbed(self.result, expected)

    def test_within_a_commit(self):
        """As soon as the journal grows. Several at once: a commit comes about once a second."""
        _, expected = self.undisturbed()
        runs = [os.path.join(self.folder, "RUN%d" % i) for i in range(4)]
        held = [self.hold(self.top, run=run) for run in runs]
        journals = [os.path.join(run, "results.sqlite-wal") for run in runs]
        sizes = [os.path.getsize(path) for path in journals]

        def kill_those_that_commit():
            for run, process, path, size in zip(runs, held, journals, sizes):
                # On a slow machine one may have committed before its size was looked at.
                if os.path.getsize(path) > size or self.committed(run):
                    process.kill()
            return all(process.poll() is not None for process in held)

        self.wait_until(kill_those_that_commit, None, "all committed")
        for run, process in zip(runs, held):
            self.assertEqual(process.returncode, -signal.SIGKILL)
            # All of a commit or nothing.
            self.assertIn(self.finish(run=run), (0, self.BROKEN + 1))
            self.assert_as_undisturbed(run, expected)

    def test_temporary_files_of_a_dead_process_go(self):
        self.draw_few()
        _, expected = self.undisturbed()
        self.sweep(self.top)
        os.remove(os.path.join(self.result, "results.csv"))
        for name in ("run.json", "manifest.csv", "results.csv", "maps/000/p0000.npy", "overlays/000/p0001.overlay.jpg"):
            with self.subTest(name=name):
                self.write("RUN/%s.tmp-%d-3" % (name, 2**22 + 1), b"half of it")
                self.sweep(self.top)
                self.assert_as_undisturbed(self.result, expected)
        self.write("RUN/results.csv.tmp-%d-3" % (2**22 + 1), b"half of it")
        self.sweep(self.top, "--restart")
        self.assert_as_undisturbed(self.result, expected)

    def test_while_it_throws_an_earlier_run_away(self):
        self.draw_few()
        seconds, expected = self.undisturbed("--sigma", "2")
        lottery = random.Random(4)
        for number in range(8):
            moment = seconds * (number + lottery.random()) / 8
            with self.subTest(moment=moment):
                self.sweep(self.top, "--sigma", "9", "--target", "mean", "--overlay-format", "jpeg")
                self.kill_at(moment, "--sigma", "2", "--restart")
                done = self.run_salmap(*self.command(self.top, "--sigma", "2"))
                if done.returncode == 2:  # killed before everything was thrown away: the results, or what describes them
                    self.assertRegex(done.err, r"RUN/(results\.sqlite: the run was begun with another --target: mean, now"
                                     r" predicted|run\.json: is of a run of another model, list of pictures or options);"
                                     r" --restart throws its results away, or choose another run folder\n\Z")
                    self.sweep(self.top, "--sigma", "2", "--restart")
                else:
                    self.assertEqual(done.returncode, 0, done.err)
                self.assert_as_undisturbed(self.result, expected)
            shutil.rmtree(self.result)


class Stopped(Interrupted):
    BROKEN = 20
    # Three batches of two are decoded, computed and encoded at any time. So many may be done when the run looks whether it
    # is to stop, and so many are then finished.
    AHEAD = 2 * 6

    def hold_midway(self):
        process = self.hold(self.top)
        # A run looks whether it is to stop once in a tenth of a second: it will as soon as it goes on.
        time.sleep(0.2)
        return process

    def test_a_signal_stops_early_and_the_rest_follows(self):
        _, expected = self.undisturbed()
        for number, code in ((signal.SIGTERM, 75), (signal.SIGUSR1, 75), (signal.SIGINT, 130)):
            with self.subTest(signal=number):
                process = self.hold_midway()
                process.send_signal(number)
                said = self.let_go(process)
                self.assertEqual(process.returncode, code, said)
                stopped = re.search(r"stopped: (\d+) of 60 pictures are done; the same command goes on\n\Z", said)
                self.assertTrue(stopped, said)
                self.assertNotIn("results.csv", os.listdir(self.result))
                self.assertEqual(self.unfinished(self.result), [])
                count = self.finish()
                self.assertEqual(count, int(stopped.group(1)))
                self.assertIn(count, range(self.BROKEN + 1, self.BROKEN + 2 + self.AHEAD))
                self.assert_as_undisturbed(self.result, expected)
                shutil.rmtree(self.result)

    def test_what_was_computed_is_not_lost(self):
        """After a signal every picture with files has its row, and every row its files."""
        process = self.hold_midway()
        process.send_signal(signal.SIGTERM)
        said = self.let_go(process)
        self.assertEqual(process.returncode, 75, said)
        rows = self.query("SELECT map_file, overlay_file FROM maps")
        listed = {name for row in rows for name in row.values()}
        found = {name for name in self.snapshot() if name.startswith(("maps/", "overlays/"))}
        self.assertEqual(found, listed)
        self.assertEqual([name for name in listed if name is None], [])
        failed = self.query("SELECT id FROM pictures WHERE status <> 'ok'")
        self.assertEqual(len(rows) + len(failed), len(self.committed(self.result)))
        self.assertIn(len(rows), range(self.BROKEN, self.BROKEN + 1 + self.AHEAD))
        self.assertEqual(len(failed), 1)

    def test_a_second_signal_stops_at_once(self):
        """Two of one kind might be taken for one. It is held all the while, and waits for nothing."""
        _, expected = self.undisturbed()
        process = self.hold_midway()
        for number in (signal.SIGTERM, signal.SIGUSR1):
            process.send_signal(number)
        self.assertEqual(process.wait(200), 75)
        self.assertNotIn("results.csv", os.listdir(self.result))
        # Like a kill: the same command finishes it.
        self.assertIn(self.finish(), range(self.BROKEN + 2))
        self.assert_as_undisturbed(self.result, expected)


class Gone(Interrupted):
    """A folder that goes away while it is read or written, as one on a network does, and comes back."""

    BROKEN = 20

    def run_without(self, folder):
        """Takes the folder away in the middle of a run; what the run said."""
        _, expected = self.undisturbed()
        process = self.hold(self.top)
        os.rename(folder, folder + ".away")
        said = self.let_go(process)
        self.assertFalse(os.path.lexists(folder), "%s was made anew: %s" % (folder, said))
        os.rename(folder + ".away", folder)
        self.assertEqual(process.returncode, 1, said)
        return said, expected

    def test_the_pictures_folder(self):
        said, expected = self.run_without(self.top)
        gone = "%s: the folder of the pictures is gone: No such file or directory; run again when it is back\n"
        self.assertIn(gone % self.top, said)
        # None of them counts as failed, but for the one that is.
        self.assertEqual(self.query("SELECT path FROM pictures WHERE status NOT IN ('ok', 'format')"), [])
        self.finish()
        self.assert_as_undisturbed(self.result, expected)

    def test_the_run_folder(self):
        said, expected = self.run_without(self.result)
        self.assertRegex(said, r"(?m)^salmap: sweep: %s/\S+: .+: No such file or directory$" % re.escape(self.result))
        self.finish()
        self.assert_as_undisturbed(self.result, expected)


class FullDisk(Interrupted):
    """A small disk of its own: in a mount namespace, so that nothing is left behind."""

    PICTURES = 100
    NAMESPACE = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
    # Arguments: folder to mount on, first size, later size, folder for copies, command.
    SCRIPT = """
set -u
disk=$1 small=$2 large=$3 copies=$4
shift 4
mount -t tmpfs -o "size=$small" tmpfs "$disk" || exit
"$@" > "$copies/full.out" 2> "$copies/full.err"
echo $? > "$copies/full.code"
mkdir -p "$disk/RUN"
cp -a "$disk/RUN" "$copies/full"
"$@" > "$copies/again.out" 2> "$copies/again.err"
echo $? > "$copies/again.code"
mount -o "remount,size=$large" "$disk" || exit
"$@" > "$copies/room.out" 2> "$copies/room.err"
echo $? > "$copies/room.code"
cp -a "$disk/RUN" "$copies/room"
"""

    def setUp(self):
        super().setUp()
        mount = ["mount", "-t", "tmpfs", "tmpfs", self.folder]
        if subprocess.run([*self.NAMESPACE, *mount], stderr=subprocess.DEVNULL, check=False).returncode != 0:
            self.skipTest("no rights to mount a small disk")

    def on_small_disk(self, small, *options):
        disk, copies = os.path.join(self.folder, "disk"), os.path.join(self.folder, "copies")
        self.disk = disk
        for path in (disk, copies):
            shutil.rmtree(path, ignore_errors=True)
            os.mkdir(path)
        command = [SALMAP, *self.command(self.top, *options, run=os.path.join(disk, "RUN"))]
        done = subprocess.run([*self.NAMESPACE, "sh", "-c", self.SCRIPT, "sh", disk, small, "200m", copies, *command],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=200)
        self.assertEqual(done.returncode, 0, done.stderr)

        def said(name):
            return self.read(os.path.join(copies, name)).decode()

        return copies, said

    def check_small_disk(self, small, expected, *options):
        """Whether it was too small."""
        copies, said = self.on_small_disk(small, *options)
        full, code = os.path.join(copies, "full"), said("full.code").strip()
        # The second may need less room than the first: it computes what was not committed.
        for step in ("full", "again"):
            if said(step + ".code").strip() != "0":
                self.assertEqual(said(step + ".code").strip(), "1", said(step + ".err"))
                # As the system says it, or SQLite.
                self.assertRegex(said(step + ".err"), r"\Asalmap: sweep: %s/RUN\S*: .*"
                                 r"(No space left on device|no space left on the disk)\n\Z" % re.escape(self.disk))
        if code == "1":
            self.assertFalse(os.path.exists(os.path.join(full, "results.csv")))
        if os.path.exists(os.path.join(full, "results.sqlite")):
            (answer,) = self.query("PRAGMA integrity_check", full)
            self.assertEqual(list(answer.values()), ["ok"])
        self.assertEqual(said("room.code").strip(), "0", said("room.err"))
        self.assert_as_undisturbed(os.path.join(copies, "room"), expected)
        return code == "1"

    def check_small_disks(self, shares, *options):
        """Disks that have room for these shares of what a run leaves, which is in whole pages."""
        _, expected = self.undisturbed(*options)
        files_of_maps = [data for name, data in expected[0].items() if name.startswith(("maps/", "overlays/"))]
        pages = sum(-(-len(data) // 4096) for data in files_of_maps)
        self.assertGreaterEqual(pages, self.PICTURES)
        for share in shares:
            with self.subTest(share=share, options=options):
                self.assertTrue(self.check_small_disk("%dk" % (64 + 4 * int(pages * share)), expected, *options))

    def test_room_is_made_and_the_same_command_finishes(self):
        # Little: the database's first pages may not fit. Much: nearly all pictures do.
        self.check_small_disks((0, 0.1, 0.5, 0.97))

    def test_other_formats(self):
        self.check_small_disks((0.5,), "--maps", "npz", "--overlay-format", "jpeg")
        self.check_small_disks((0.5,), "--maps", "png16", "--overlays", "none")
        self.check_small_disks((0.5,), "--maps", "none", "--overlay-format", "jpeg")

    def test_only_numbers(self):
        """Disks from too small for anything to large enough: each step of a run hits the end of one."""
        options = ["--maps", "none", "--overlays", "none"]
        _, expected = self.undisturbed(*options)
        full = []
        for kilobytes in (4, 16, 32, 64, 96, 128, 160, 224, 512):
            with self.subTest(kilobytes=kilobytes):
                full.append(self.check_small_disk("%dk" % kilobytes, expected, *options))
        self.assertEqual((full[0], full[-1]), (True, False), full)


if __name__ == "__main__":
    main(sys.modules[__name__])
