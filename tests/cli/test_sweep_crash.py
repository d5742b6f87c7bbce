"""A sweep that is killed, stopped or out of disk, and what the same command makes of it."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import files
from harness import SALMAP, main
from sweep_case import SweepCase

# What a run says of time, and of the runs themselves.
OF_TIME = ("timings", "sessions")


class Interrupted(SweepCase):
    """A run that nothing disturbed, and others that must end as it did."""

    PICTURES = 300

    def setUp(self):
        super().setUp()
        self.top = self.draw_many(self.PICTURES)

    def undisturbed(self, *options):
        """Its seconds, and what it left."""
        begin = time.monotonic()
        self.sweep(self.top, *options)
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

    def assert_as_undisturbed(self, run, expected):
        names = [os.path.join(folder, name) for folder, _, names in os.walk(run) for name in names]
        self.assertEqual([name for name in names if ".tmp-" in name or name.endswith("-journal")], [])
        mine, tables = self.left(run)
        self.assert_same_files(mine, expected[0])
        self.assertEqual(sorted(tables), sorted(expected[1]))
        for name, rows in tables.items():
            differing = [pair for pair in zip(rows, expected[1][name]) if pair[0] != pair[1]]
            self.assertEqual((len(rows), differing[:3]), (len(expected[1][name]), []), name)

    def committed(self, run):
        """Timings that a run has written down by now, looked at in a copy: nothing is mended by looking."""
        aside = os.path.join(self.folder, "aside")
        shutil.rmtree(aside, ignore_errors=True)
        os.mkdir(aside)
        for name in os.listdir(run) if os.path.isdir(run) else []:
            if name.startswith("results.sqlite") and not name.endswith("-shm"):
                shutil.copy(os.path.join(run, name), aside)
        if not self.query("SELECT 1 FROM sqlite_master WHERE name = 'timings'", aside):
            return {}
        return {row["picture"]: row for row in self.query("SELECT * FROM timings", aside)}

    def finish(self, *options, code=0):
        """The same command to its end. What was written down before is not computed again."""
        before = self.committed(self.result)
        done = self.sweep(self.top, *options, code=code)
        after = self.committed(self.result)
        self.assertEqual([row for key, row in before.items() if after.get(key) != row], [])
        return len(before), done


class Killed(Interrupted):
    # Results are committed about once a second: a run is to take longer.
    SECONDS = 1.6
    PICTURES = 200

    def draw_enough(self, *options):
        seconds, _ = self.undisturbed(*options)
        self.PICTURES = max(200, min(2000, int(200 * self.SECONDS / seconds)))
        self.draw(*["q%04d.png" % i for i in range(self.PICTURES - 200)])

    def kill(self, moment, *options):
        """Kills a run at a moment; whether it still ran."""
        process = self.start(self.top, "--quiet", *options)
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
        return process.wait() == -signal.SIGKILL

    def kill_often(self, times, seed, *options):
        seconds, expected = self.undisturbed(*options)
        lottery, shorter, kills, found = random.Random(seed), 1.0, 0, []
        while kills < times:
            moment = seconds * shorter * (kills + lottery.random()) / times
            if not self.kill(moment, *options):
                shorter *= 0.8  # done already: the machine is faster now
                shutil.rmtree(self.result)
                continue
            kills += 1
            with self.subTest(kill=kills, moment=moment):
                if kills % 3 == 0:
                    before = self.committed(self.result)
                    self.kill(seconds * lottery.uniform(0.1, 0.6), *options)
                    now = self.committed(self.result)
                    self.assertEqual([row for key, row in before.items() if now.get(key) != row], [])
                found.append(self.finish(*options)[0])
                self.assert_as_undisturbed(self.result, expected)
            shutil.rmtree(self.result, ignore_errors=True)
        return found

    def test_ten_times_with_every_overlay(self):
        self.draw_enough()
        found = self.kill_often(10, 1)
        # Without some in between nothing was shown.
        self.assertTrue(any(0 < n < self.PICTURES for n in found), found)

    def test_ten_times_with_the_best_overlays(self):
        options = ["--overlays", "top:25", "--maps", "png16"]
        self.draw_enough(*options)
        found = self.kill_often(10, 2, *options)
        self.assertTrue(any(0 < n < self.PICTURES for n in found), found)

    def test_temporary_files_of_a_dead_process_go(self):
        self.top = self.draw("a.png", "b.png", folder="few")
        _, expected = self.undisturbed()
        self.sweep(self.top)
        os.remove(os.path.join(self.result, "results.csv"))
        for name in ("run.json", "manifest.csv", "results.csv", "maps/000/a.npy", "overlays/000/b.overlay.png"):
            with self.subTest(name=name):
                self.write("RUN/%s.tmp-%d-3" % (name, 2**22 + 1), b"half of it")
                self.sweep(self.top)
                self.assert_as_undisturbed(self.result, expected)
        self.write("RUN/results.csv.tmp-%d-3" % (2**22 + 1), b"half of it")
        self.sweep(self.top, "--restart")
        self.assert_as_undisturbed(self.result, expected)

    def test_while_it_begins_and_while_it_ends(self):
        """Of a few pictures, most of the time goes to those."""
        self.top = self.draw_many(6, folder="few")
        self.kill_often(12, 3, "--overlays", "top:2")

    def test_while_it_throws_an_earlier_run_away(self):
        self.top = self.draw_many(6, folder="few")
        seconds, expected = self.undisturbed("--sigma", "2")
        lottery = random.Random(4)
        for number in range(8):
            moment = seconds * (number + lottery.random()) / 8
            with self.subTest(moment=moment):
                self.sweep(self.top, "--sigma", "9", "--target", "mean", "--overlay-format", "jpeg")
                self.kill(moment, "--sigma", "2", "--restart")
                done = self.run_salmap(*self.command(self.top, "--sigma", "2"))
                if done.returncode == 2:  # killed before anything was thrown away
                    self.assertIn("--restart", done.err)
                    self.sweep(self.top, "--sigma", "2", "--restart")
                else:
                    self.assertEqual(done.returncode, 0, done.err)
                self.assert_as_undisturbed(self.result, expected)
            shutil.rmtree(self.result)


class Stopped(Interrupted):
    def stop(self, number, seconds):
        """Signals a run before its end. Its exit status, the seconds it took to stop, and what it said."""
        share, status = 0.6, 0
        while status == 0:  # done before the signal came
            shutil.rmtree(self.result, ignore_errors=True)
            process = self.start(self.top, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            time.sleep(seconds * share)
            begin = time.monotonic()
            process.send_signal(number)
            said = process.communicate(timeout=60)[1].decode()
            status, share = process.returncode, share * 0.7
        return status, time.monotonic() - begin, said

    def unfinished(self):
        names = [name for _, _, names in os.walk(self.result) for name in names]
        return [name for name in names if ".tmp-" in name]

    def test_a_signal_stops_early_and_the_rest_follows(self):
        seconds, expected = self.undisturbed()
        for number, code in ((signal.SIGTERM, 75), (signal.SIGUSR1, 75), (signal.SIGINT, 130)):
            with self.subTest(signal=number):
                status, took, said = self.stop(number, seconds)
                self.assertEqual(status, code, said)
                self.assertLess(took, 30)
                self.assertRegex(said, "again|same command")
                self.assertNotIn("results.csv", os.listdir(self.result))
                self.assertEqual(self.unfinished(), [])
                count, _ = self.finish()
                self.assertTrue(0 < count < self.PICTURES, count)
                self.assert_as_undisturbed(self.result, expected)

    def test_what_was_computed_is_not_lost(self):
        """After a signal every picture with files has its row, and every row its files."""
        seconds, _ = self.undisturbed()
        status, _, said = self.stop(signal.SIGTERM, seconds)
        self.assertEqual(status, 75, said)
        rows = self.query("SELECT map_file, overlay_file FROM maps")
        listed = {name for row in rows for name in row.values()}
        found = {name for name in self.snapshot() if name.startswith(("maps/", "overlays/"))}
        self.assertEqual(found, listed)
        self.assertEqual(len(rows), len(self.committed(self.result)))
        self.assertGreater(len(rows), 0)

    def test_a_second_signal_stops_at_once(self):
        self.top = self.draw(*["large%d.png" % i for i in range(4)], folder="large", side=8)
        rows = [bytes(range(200)) * 45] * 3000
        for i in range(4):
            self.write("large/large%d.png" % i, files.png(3000, 3000, rows))
        process = self.start(self.top, "--json", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        process.stdout.readline()
        time.sleep(0.15)
        begin = time.monotonic()
        for _ in range(2):
            process.send_signal(signal.SIGTERM)
            time.sleep(0.05)
        process.communicate(timeout=60)
        self.assertLess(time.monotonic() - begin, 5)
        self.assertEqual(process.returncode, 75)
        self.assertEqual(self.query("SELECT * FROM pictures"), [])  # it waited for none of them
        # Like a kill: the same command finishes it.
        self.sweep(self.top)
        self.assertEqual([row["status"] for row in self.rows()], ["ok"] * 4)
        self.assertEqual(self.unfinished(), [])


class Gone(Interrupted):
    """A folder that goes away while it is read or written, as one on a network does, and comes back."""

    def run_without(self, folder):
        """Takes the folder away in the middle of a run; what the run said."""
        seconds, expected = self.undisturbed()
        share, status = 0.5, 0
        while status == 0:  # done before
            shutil.rmtree(self.result, ignore_errors=True)
            process = self.start(self.top, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            time.sleep(seconds * share)
            if os.path.isdir(folder):
                os.rename(folder, folder + ".away")
            said = process.communicate(timeout=60)[1].decode()
            status, share = process.returncode, share * 0.7
            lost = os.path.lexists(folder)
            if lost and status != 0:
                self.fail("%s was made anew: %s" % (folder, said))
            if os.path.isdir(folder + ".away"):
                os.rename(folder + ".away", folder)
        return status, said, expected

    def test_the_pictures_folder(self):
        status, said, expected = self.run_without(self.top)
        self.assertEqual(status, 1, said)
        self.assertIn("%s: the folder of the pictures is gone" % self.top, said)
        # None of them counts as failed.
        self.assertEqual(self.query("SELECT path FROM pictures WHERE status <> 'ok'"), [])
        self.finish()
        self.assert_as_undisturbed(self.result, expected)

    def test_the_run_folder(self):
        status, said, expected = self.run_without(self.result)
        self.assertEqual(status, 1, said)
        self.assertIn(self.result, said)
        self.finish()
        self.assert_as_undisturbed(self.result, expected)


class FullDisk(Interrupted):
    """A small disk of its own: in a mount namespace, so that nothing is left behind."""

    PICTURES = 100
    # Arguments: folder to mount on, first size, later size, folder for copies, command.
    SCRIPT = """
set -u
disk=$1 small=$2 large=$3 copies=$4
shift 4
mount -t tmpfs -o "size=$small" tmpfs "$disk" || exit 99
"$@" > "$copies/full.out" 2> "$copies/full.err"
echo $? > "$copies/full.code"
mkdir -p "$disk/RUN"
cp -a "$disk/RUN" "$copies/full"
"$@" > "$copies/again.out" 2> "$copies/again.err"
echo $? > "$copies/again.code"
mount -o "remount,size=$large" "$disk" || exit 98
"$@" > "$copies/room.out" 2> "$copies/room.err"
echo $? > "$copies/room.code"
cp -a "$disk/RUN" "$copies/room"
"""

    def on_small_disk(self, small, *options):
        disk, copies = os.path.join(self.folder, "disk"), os.path.join(self.folder, "copies")
        for path in (disk, copies):
            shutil.rmtree(path, ignore_errors=True)
            os.mkdir(path)
        namespace = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
        command = [SALMAP, *self.command(self.top, *options, run=os.path.join(disk, "RUN"))]
        done = subprocess.run([*namespace, "sh", "-c", self.SCRIPT, "sh", disk, small, "200m", copies, *command],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=200)
        if done.returncode in (1, 99) and not os.path.exists(copies + "/full.code"):
            self.skipTest("no rights to mount a small disk")
        self.assertEqual(done.returncode, 0, done.stderr)

        def said(name):
            return self.read(os.path.join(copies, name)).decode()

        return copies, said

    def check_small_disk(self, small, expected, *options):
        """Whether it was too small."""
        copies, said = self.on_small_disk(small, *options)
        full, code = os.path.join(copies, "full"), said("full.code").strip()
        for step in ("full", "again"):
            self.assertIn(said(step + ".code").strip(), ("0", "1"), said(step + ".err"))
            if said(step + ".code").strip() == "1":
                self.assertRegex(said(step + ".err"), re.compile("no space", re.I))
        if code == "1":
            self.assertFalse(os.path.exists(os.path.join(full, "results.csv")))
        if os.path.exists(os.path.join(full, "results.sqlite")):
            (answer,) = self.query("PRAGMA integrity_check", full)
            self.assertEqual(list(answer.values()), ["ok"])
        self.assertEqual(said("room.code").strip(), "0", said("room.err"))
        self.assert_as_undisturbed(os.path.join(copies, "room"), expected)
        return code == "1"

    def check_small_disks(self, sizes, *options):
        _, expected = self.undisturbed(*options)
        for small in sizes:
            with self.subTest(size=small, options=options):
                self.assertTrue(self.check_small_disk(small, expected, *options))

    def test_room_is_made_and_the_same_command_finishes(self):
        # Little: the database's first pages may not fit. Much: nearly all pictures do.
        self.check_small_disks(("64k", "1m", "7m", "14500k"))

    def test_other_formats(self):
        self.check_small_disks(("600k",), "--maps", "npz", "--overlay-format", "jpeg")
        self.check_small_disks(("600k",), "--maps", "png16", "--overlays", "none")
        self.check_small_disks(("100k",), "--maps", "none", "--overlay-format", "jpeg")

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
