"""Run folders that hold files of others, come from elsewhere, or are damaged: a run touches what it made, and refuses the
rest by name."""

import fcntl
import os
import random
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
from contextlib import closing

import files
from harness import SALMAP, main
from sweep_case import SweepCase

FOREIGN = ": is not of a run, and results would go there: choose another folder\n"
LINK = ": is a link, and a run has none there: remove it, or choose another folder\n"


class RunFolderCase(SweepCase):
    """Runs of a small network."""

    def setUp(self):
        super().setUp()
        self.model = self.classifier()

    def command(self, *arguments, **where):
        return super().command(*arguments, "--preset", "unit", "--quiet", **{"model": self.model, **where})

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def put(self, name, data=b"precious"):
        """A file of the user's, with its folders."""
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data)
        return path

    def everything(self, top=None):
        """What there is below a folder: files by their bytes, links by where they lead, folders."""
        top, found = top or self.folder, {}
        for folder, folders, names in os.walk(top):
            for name in folders + names:
                path = os.path.join(folder, name)
                key = os.path.relpath(path, top)
                found[key] = (os.readlink(path) if os.path.islink(path) else None if os.path.isdir(path) else self.read(path))
        return found

    def shards(self, top, *options, run="RUN", count=2):
        for i in range(count):
            self.sweep(top, "--shard", "%d/%d" % (i, count), *options, run=self.path(run))

    def edit(self, database, *statements):
        with closing(sqlite3.connect(self.path(database))) as base:
            for statement in statements:
                base.execute(statement)
            base.commit()

    def merge(self, *arguments, code=0, texts=()):
        return self.check(["merge", *arguments], code, *texts)


class ForeignFolders(RunFolderCase):
    """Folders that look like a run's and are none."""

    def refused(self, name, *options, code=2, end=FOREIGN):
        before = self.everything()
        self.sweep("in", *options, code=code, texts=[self.path("RUN", name) + end])
        self.assertEqual(self.everything(), before)

    def test_an_empty_run_json_makes_no_run(self):
        self.draw_many(2)
        for text in (b"", b"{}\n", b"[1, 2", b'{"fingerprint": "00"}'):
            with self.subTest(text=text):
                self.put("RUN/run.json", text)
                for name in ("manifest.csv", "results.csv", "maps/2024/river.png", "overlays/1999/x.png", "maps/000/p0000.npy"):
                    self.put("RUN/" + name)
                for options in ([], ["--restart"], ["--shard", "0/2"], ["--shard", "0/2", "--restart"]):
                    self.refused("run.json", *options)

    def test_links_in_such_a_folder_are_not_followed(self):
        self.draw_many(2)
        self.put("victim/2024/a.png")
        self.put("victim/a.png")
        self.put("victim/p0000.npy")
        self.put("victim/photo.png.tmp-1-2")
        for place, target in (("maps", "victim"), ("maps/000", "victim"), ("overlays/000", "victim")):
            with self.subTest(place=place):
                shutil.rmtree(self.result, ignore_errors=True)
                self.put("RUN/run.json", b"")
                os.makedirs(os.path.dirname(self.path("RUN", place)), exist_ok=True)
                os.symlink(self.path(target), self.path("RUN", place))
                self.refused("run.json", "--restart")

    def test_a_folder_of_shards_makes_no_run(self):
        self.draw_many(2)
        os.makedirs(self.path("RUN/shards"))
        self.put("RUN/results.csv")
        self.put("RUN/maps/2024/river.png")
        for options in ([], ["--shard", "0/2"], ["--shard", "0/2", "--restart"], ["--restart"]):
            self.refused("shards", *options)

    def test_journals_alone_make_no_run(self):
        self.draw_many(2)
        for ending in ("-in-flight", "-journal", "-wal", "-shm"):
            with self.subTest(ending=ending):
                shutil.rmtree(self.result, ignore_errors=True)
                self.put("RUN/results.sqlite" + ending)
                for options in ([], ["--restart"]):
                    self.refused("results.sqlite" + ending, *options)

    def test_unfinished_files_of_no_run_stay(self):
        """They end as salmap's do, and the folder was no run."""
        top = self.draw_many(2)
        mine = ["RUN/%s.tmp-1-2" % name for name in ("run.json", "manifest.csv", "results.csv", "results.sqlite")]
        for run in (lambda: self.sweep(top), lambda: self.shards(top)):
            shutil.rmtree(self.result, ignore_errors=True)
            for name in mine:
                self.put(name)
            run()
            for name in mine:
                self.assertEqual(self.read(self.path(name)), b"precious", name)
        shutil.rmtree(self.result)
        self.shards(top)
        for name in mine:
            self.put(name.replace("RUN", "out"))
        self.merge(self.result, "-o", self.out)
        for name in mine:
            self.assertEqual(self.read(self.path(name.replace("RUN", "out"))), b"precious", name)

    def test_a_folder_called_as_an_unfinished_file(self):
        top = self.draw_many(2)
        self.sweep(top)
        folders = ["RUN/run.json.tmp-1-1", "RUN/maps/000/p0000.npy.tmp-1-1", "RUN/overlays/000/p0001.overlay.jpg.tmp-1-1"]
        for name in folders:
            os.mkdir(self.path(name))
        self.sweep(top)
        self.sweep(top, "--restart")
        for name in folders:
            self.assertTrue(os.path.isdir(self.path(name)), name)

    def test_hard_links_are_not_written_through(self):
        top = self.draw_many(2)
        self.sweep(top)
        self.put("victim")
        for ending in ("-in-flight", "-journal", "-wal", "-shm"):
            with self.subTest(ending=ending):
                name = self.path("RUN/results.sqlite" + ending)
                os.link(self.path("victim"), name)
                self.sweep(top, code=2, texts=["results.sqlite%s: is a hard link, and the file's other names would be written to "
                                               "as well: " % ending])
                self.assertEqual(self.read(self.path("victim")), b"precious")
                os.remove(name)
        os.link(self.path("RUN/results.sqlite"), self.path("backup"))
        backup = self.read(self.path("backup"))
        self.sweep(top, code=2, texts=["RUN/results.sqlite: is a hard link, and the file's other names would be written to as "
                                       "well: put a copy in its place\n"])
        self.check(["export", self.result], 0)
        self.sweep(top, "--restart")
        self.assertEqual(self.read(self.path("backup")), backup)

    def journal(self, name, pages=1, other=None, short=None):
        """A rollback journal that is to be played back; of several databases: it names the file that tells of all. short:
        nothing but that name, which SQLite takes as well."""
        magic = bytes.fromhex("d9d505f920a163d7")
        if short:
            self.put(name, short.encode() + struct.pack(">II", len(short), sum(short.encode())) + magic)
            return
        data = (magic + struct.pack(">IIIII", 0, 1, pages, 512, 4096)).ljust(512, b"\0") + b"x"
        if other:
            path = os.fsencode(other)
            data = data[:512] + struct.pack(">I", 0x40000000 // 4096 + 1) + path + struct.pack(">II", len(path), sum(path)) + magic
        self.put(name, data)

    def test_a_journal_removes_nothing_and_grows_nothing(self):
        top = self.draw_many(4)
        thesis = self.put("home/thesis.txt")
        said = "-journal: is no journal of a run: remove it, or choose another folder\n"
        for sharded, database in ((False, "RUN/results.sqlite"), (True, "RUN/shards/0-of-2.sqlite"), (True, "RUN/results.sqlite")):
            for extra in ({"other": thesis}, {"pages": 1 << 28}, {"short": "x"}, {"short": "abcdefghijk"}):
                with self.subTest(database=database, extra=extra):
                    shutil.rmtree(self.result, ignore_errors=True)
                    if sharded:
                        self.shards(top)
                        self.merge(self.result)
                    else:
                        self.sweep(top)
                    self.journal(database + "-journal", **extra)
                    before = self.everything()
                    shard = ["--shard", "0/2"] if sharded else []
                    commands = [self.command(top, *shard, "--restart"), self.command(top, "--restart")]
                    commands += [["merge", self.result, "-o", self.out]] if "shards" in database else [["export", self.result]]
                    commands += [["merge", self.result]] if sharded else [self.command(top)]
                    for command in commands:
                        self.check(command, 2, said)
                        shutil.rmtree(self.out, ignore_errors=True)
                        self.assertEqual(self.everything(), before)

    def test_a_restart_keeps_what_it_reads(self):
        """Pictures in folders that an earlier run of more pictures had, and lists that are the run's own."""
        top = self.draw_many(2)
        self.sweep(top)
        mine = self.put("RUN/maps/001/mine.npy", files.npy((8, 8), [0.5] * 64))
        before = self.everything()
        self.sweep(mine, "--restart", code=2, texts=["lies where results go"])
        for name in ("RUN/manifest.csv", "RUN/results.csv"):
            self.sweep(self.path(name), "--root", top, "--restart", code=2,
                       texts=[name + ": is a file of the run itself, which is made anew: put a copy of it elsewhere\n"])
        self.assertEqual(self.everything(), before)

    def test_patterns_that_match_the_run(self):
        top = self.draw_many(3)
        run = os.path.join(top, "run")
        for _ in range(2):
            self.sweep(os.path.join(top, "*"), run=run)
        self.sweep(os.path.join(top, "*"), "--restart", run=run)
        inside = self.path("inside")
        shutil.copytree(top, inside, ignore=shutil.ignore_patterns("run"))
        for _ in range(2):  # results beside the pictures: neither they nor the run's files are matched
            self.sweep(os.path.join(inside, "*"), run=inside)
        self.assertEqual(len(self.read(self.path("inside/manifest.csv")).splitlines()), 1 + 3)

    def test_patterns_that_match_a_run_that_was_killed(self):
        """What lies beside its results meanwhile is no picture: others may sweep, and the same command goes on."""
        top = self.draw_many(4)
        self.write(os.path.join(top, "broken.png"), b"no picture")
        pattern, others = os.path.join(top, "*"), self.path("others")
        held = self.hold_command(self.command(pattern, "--quiet", run=top))
        self.assertIn("results.sqlite-in-flight", os.listdir(top))
        self.sweep(pattern, run=others, code=3)
        self.assertEqual(len(self.read(os.path.join(others, "manifest.csv")).splitlines()), 1 + 5)
        held.kill()
        held.wait()
        self.write(os.path.join(top, "results.csv.tmp-77-0"), b"")
        self.assertTrue({"results.sqlite-wal", "results.sqlite-in-flight"} <= set(os.listdir(top)))
        self.sweep(pattern, run=top, code=3)
        self.assertEqual(len(self.read(os.path.join(top, "manifest.csv")).splitlines()), 1 + 5)

    def test_an_empty_run_folder_that_a_pattern_matches(self):
        top = self.draw_many(2)
        os.mkdir(os.path.join(top, "run"))
        self.sweep(os.path.join(top, "*"), run=os.path.join(top, "run"))
        nothing = os.path.join(top, "r*")
        self.sweep(nothing, code=1, texts=[nothing + ": no picture matches\n"])
        self.sweep(os.path.join(top, "p0000.png"), nothing, code=1, texts=[nothing + ": no picture matches\n"])

    def test_a_run_among_the_pictures_of_another(self):
        """The folder was named, whatever lies in it now."""
        for name in ("study/p1", "study/p2"):
            shutil.copytree(self.draw_many(2), self.path(name))
        os.symlink("nowhere", self.path("study/p2/gone.png"))
        self.sweep(self.path("study"), code=3)
        self.sweep(self.path("study/p1"), run=self.path("study/p1"))
        self.sweep(self.path("study"), code=3)
        self.sweep(self.path("study/p*"), run=self.path("OTHER"), code=3)
        shutil.copytree(self.draw_many(1), self.path("study/p2/deep"))
        both = self.path("study/p1"), self.path("study/p2")
        self.sweep(*both, run=self.path("BOTH"), code=3)
        self.sweep(both[1] + "/deep", run=both[1] + "/deep")
        self.sweep(*both, run=self.path("BOTH"), code=3)
        self.assertIn("study/p2/deep/", self.read(self.path("BOTH/manifest.csv")).decode())
        self.assertIn("study/p1/", self.read(self.path("OTHER/manifest.csv")).decode())

    def test_names_that_are_no_utf8(self):
        top = self.draw_many(3)
        os.rename(os.path.join(top, sorted(os.listdir(top))[0]), os.path.join(os.fsencode(top), b"m\xfcller.png"))
        self.shards(top, "--overlays", "top:1")
        self.merge(self.result)
        self.merge(self.result, "-o", self.out)

    def test_folders_that_only_look_like_a_run_s(self):
        """A scanner's run.json is no reason to leave its pictures out."""
        top = self.draw_many(2)
        os.mkdir(os.path.join(top, "scan7"))
        for name in ("run.json", "manifest.csv"):
            self.put(os.path.join(top, "scan7", name), b'{"scanner": 7}')
        shutil.copy(os.path.join(top, sorted(os.listdir(top))[0]), os.path.join(top, "scan7/more.png"))
        self.sweep(top)
        self.assertEqual(len(self.read(self.path("RUN/manifest.csv")).splitlines()), 1 + 3)

    def test_pictures_among_the_results_are_found_however_they_are_called(self):
        top = self.draw_many(1)
        self.sweep(top)
        self.put("RUN/maps/000/mine.npy", files.npy((8, 8), [0.5] * 64))
        os.symlink(self.path("RUN/maps/000"), self.path("pictures"))
        os.mkdir(self.path("links"))
        os.symlink(self.path("RUN/maps/000/mine.npy"), self.path("links/a.npy"))
        self.put("mine/own.npy", files.npy((8, 8), [0.5] * 64))
        os.symlink(self.path("mine/own.npy"), self.path("RUN/maps/000/link.npy"))
        before = self.everything()
        for path in ("RUN/maps/000/mine.npy", "RUN/maps/./000/mine.npy", "RUN/maps//000/mine.npy", "pictures/mine.npy",
                     "RUN/../RUN/maps/000/mine.npy", "links/a.npy", "pictures", "RUN/maps/000/link.npy"):
            for options in ([], ["--restart"]):
                self.sweep(self.path(path), *options, code=2, texts=["lies where results go: choose another run folder\n"])
                self.assertEqual(self.everything(), before)
        for folder, path, run in (("RUN/maps/000", "mine.npy", "../.."), ("RUN/maps/000", ".", "../.."), ("RUN/maps", "000/mine.npy", "..")):
            done = subprocess.run([SALMAP, *self.command(path, "--restart", run=run)], cwd=self.path(folder), capture_output=True,
                                  check=False)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertEqual(self.everything(), before)

    def test_a_folder_that_is_called_as_a_uri(self):
        top = self.draw_many(2)
        other = self.path("OTHER")
        self.sweep(top, run=other)
        before = self.everything(other)
        for _ in range(2):
            self.sweep(top, run="file:OTHER")
        for i in range(2):
            self.sweep(top, "--shard", "%d/2" % i, run="file:x?mode=memory")
        self.merge("file:x?mode=memory")
        self.assertEqual(self.everything(other), before)

    def test_a_table_of_the_user_s_beside_shards(self):
        top = self.draw_many(4)
        self.shards(top)
        self.put("RUN/results.csv")
        self.refused("results.csv", "--restart")
        self.merge(self.result, code=2, texts=["RUN/results.csv" + FOREIGN])
        self.sweep(top, "--shard", "0/2", "--restart")
        self.assertEqual(self.read(self.path("RUN/results.csv")), b"precious")

    def test_a_database_of_the_user_s(self):
        top = self.draw_many(4)
        said = ": is a database of something else, and results would go there: choose another folder\n"
        for sharded, commands in ((True, (["--restart"], ["--shard", "0/2", "--restart"], "merge")), (False, ([], ["--restart"]))):
            shutil.rmtree(self.result, ignore_errors=True)
            if sharded:
                self.shards(top)
            else:
                self.sweep(top)
                os.remove(self.path("RUN/results.sqlite"))
                os.remove(self.path("RUN/results.csv"))
            self.edit("RUN/results.sqlite", "CREATE TABLE mine(x)", "INSERT INTO mine VALUES(1)")
            before = self.everything()
            for options in commands:
                with self.subTest(sharded=sharded, options=options):
                    if options == "merge":
                        self.merge(self.result, code=2, texts=["RUN/results.sqlite" + said])
                    else:
                        self.sweep(top, *options, code=2, texts=["RUN/results.sqlite" + said])
                    self.assertEqual(self.everything(), before)

    def test_a_run_json_that_was_changed_makes_no_run(self):
        self.sweep(self.draw_many(2))
        with open(self.path("RUN/run.json")) as f:
            text = f.read()
        for old, new in (('"sigma": "', '"sigma": "1'), ('"model_sha256": "', '"model_sha256": "0'),
                         ('"manifest_sha256": "', '"manifest_sha256": "0'), ('"fingerprint": "', '"fingerprint": "0'),
                         ('"top-k"', '"k"')):
            with self.subTest(old=old):
                self.assertEqual(text.count(old), 1)
                self.put("RUN/run.json", text.replace(old, new).encode())
                for options in ([], ["--restart"]):
                    self.refused("run.json", *options)
        self.put("RUN/run.json", text.encode())
        self.sweep("in")

    def test_a_list_that_is_not_the_run_s(self):
        self.sweep(self.draw_many(2))
        self.put("RUN/manifest.csv", b"path\nmine.png\n")
        self.refused("manifest.csv", "--restart", end=": is not the list that the run was begun with: move it away, or choose "
                                                      "another run folder\n")

    def test_a_link_in_place_of_the_list(self):
        self.sweep(self.draw_many(2))
        os.rename(self.path("RUN/manifest.csv"), self.path("list.csv"))
        os.symlink("../list.csv", self.path("RUN/manifest.csv"))
        for options in ([], ["--restart"]):
            self.refused("manifest.csv", *options, end=LINK)

    def test_a_link_in_a_run_in_place_of_a_folder(self):
        top = self.draw_many(2)
        for name in ("maps/000", "overlays/000", "shards"):
            with self.subTest(name=name):
                shutil.rmtree(self.result, ignore_errors=True)
                if name == "shards":
                    self.shards(top)
                else:
                    self.sweep(top)
                os.rename(self.path("RUN", name), self.path("victim"))
                os.symlink(self.path("victim"), self.path("RUN", name))
                shard = ["--shard", "0/2"] if name == "shards" else []
                for options in ([], ["--restart"]):
                    self.refused(name, *shard, *options, end=LINK)
                if name == "shards":
                    self.merge(self.result, code=2, texts=[self.path("RUN", name) + LINK])
                shutil.rmtree(self.path("victim"))

    def test_a_link_in_place_of_the_results(self):
        top = self.draw_many(2)
        self.sweep(top)
        os.rename(self.path("RUN/results.sqlite"), self.path("victim"))
        os.symlink(self.path("victim"), self.path("RUN/results.sqlite"))
        self.refused("results.sqlite", end=LINK)
        self.check(["export", self.result], 2, self.path("RUN/results.sqlite") + LINK)

    def test_maps_may_lie_on_another_disk(self):
        top = self.draw_many(3)
        self.sweep(top, run=self.path("plain"))
        for name in ("maps", "overlays"):
            os.makedirs(self.path("disk", name))
            os.makedirs(self.result, exist_ok=True)
            os.symlink(self.path("disk", name), self.path("RUN", name))
        for options in ([], [], ["--restart"]):
            self.sweep(top, *options)
            for name in ("maps", "overlays"):
                self.assertTrue(os.path.islink(self.path("RUN", name)))
                self.assert_same_files(self.snapshot(self.path("disk", name)), self.snapshot(self.path("plain", name)))
        self.put("disk/maps/000/mine.npy")
        self.sweep(top, "--sigma", "9", "--restart")
        self.assertEqual(self.read(self.path("disk/maps/000/mine.npy")), b"precious")

    def test_a_picture_of_the_user_s_among_the_overlays(self):
        """It ends as an overlay does, and no row names it."""
        top = self.draw_many(6)
        mine = ["RUN/overlays/000/" + name for name in ("annotated.png", "p0000.png", "p0009.overlay.jpg", "p0000.overlay.png",
                                                       "annotated.overlay.jpg")] + ["RUN/overlays/001/p0000.overlay.jpg"]
        os.makedirs(self.path("outside"))
        for run in (lambda: self.sweep(top, "--overlays", "top:2"), lambda: self.merge(self.result)):
            shutil.rmtree(self.result, ignore_errors=True)
            if run.__code__.co_names[0] == "sweep":
                run()
            else:
                self.shards(top, "--overlays", "top:2")
            for name in mine:
                self.put(name)
            os.symlink(self.path("outside"), self.path("RUN/overlays/002"))
            run()
            run()
            for name in mine:
                self.assertEqual(self.read(self.path(name)), b"precious", name)
            self.assertTrue(os.path.islink(self.path("RUN/overlays/002")))
            self.assertEqual(len(os.listdir(self.path("RUN/overlays/000"))), 2 + len(mine) - 1)

    def test_killed_merges_leave_nothing_behind(self):
        top = self.draw_many(4)
        self.shards(top)
        self.merge(self.result, "-o", self.out)
        expected = self.everything(self.out)
        for name in ("maps/000/p0001.npy.tmp-7-0", "overlays/000/p0002.overlay.jpg.tmp-7-12", "results.sqlite.tmp-7-0",
                     "results.csv.tmp-7-1", "run.json.tmp-7-1", "manifest.csv.tmp-7-1"):
            self.put("out/" + name, b"half")
        self.put("out/maps/000/mine.npy.tmp-7-0")
        self.merge(self.result, "-o", self.out)
        left = self.everything(self.out)
        self.assertEqual(left.pop("maps/000/mine.npy.tmp-7-0"), b"precious")
        self.assertEqual(sorted(left), sorted(expected))


class ReceivedRuns(RunFolderCase):
    """Runs that came from somebody else: their tables may say anything."""

    def setUp(self):
        super().setUp()
        self.top = self.draw_many(6)

    def first(self, database):
        with closing(sqlite3.connect(self.path(database))) as base:
            return base.execute("SELECT min(picture) FROM maps").fetchone()[0]

    NAMES = ("../victim.npy", "../../victim.npy", "x/../../planted.txt", "/etc/hostname", "maps/000/../../run.json", "run.json",
             "shards/0-of-2.sqlite", "maps/000/leak.npy", "maps/000/", "maps//000/p0000.npy", "maps/001/p0000.npy",
             "overlays/000/p0000.npy", "", "maps")

    def test_no_name_leads_a_merge_out_of_the_folder(self):
        self.shards(self.top)
        os.mkdir(self.path("RUN/x"))
        for name in ("planted.txt", "victim.npy"):
            self.put(name)
        self.put("RUN/maps/000/leak.npy")
        good = self.read(self.path("RUN/shards/0-of-2.sqlite"))
        picture = self.first("RUN/shards/0-of-2.sqlite")
        for column in ("map_file", "overlay_file"):
            for name in self.NAMES:
                with self.subTest(column=column, name=name):
                    self.put("RUN/shards/0-of-2.sqlite", good)
                    self.edit("RUN/shards/0-of-2.sqlite",
                              "UPDATE maps SET %s = '%s' WHERE picture = %d" % (column, name, picture))
                    before = self.everything()
                    said = ("RUN/shards/0-of-2.sqlite: table maps, picture %d, rank 1: '%s' is no file that the run can have made: "
                            "run that shard again with --restart\n" % (picture, name))
                    self.merge(self.result, "-o", self.path("deep/out"), code=1, texts=[said])
                    self.assertEqual(sorted(os.listdir(self.path("deep/out"))), ["manifest.csv", "run.json"])
                    shutil.rmtree(self.path("deep"))
                    self.merge(self.result, code=1, texts=[said])
                    self.assertEqual(self.everything(), before)

    def test_no_name_leads_a_restart_out_of_the_folder(self):
        self.shards(self.top)
        for name in ("victim.npy", "RUN/x/planted.txt", "RUN/maps/000/leak.npy", "RUN/maps/001/p0000.npy"):
            self.put(name)
        picture = self.first("RUN/shards/0-of-2.sqlite")
        before = self.everything()
        for name in self.NAMES:
            with self.subTest(name=name):
                self.edit("RUN/shards/0-of-2.sqlite", "UPDATE maps SET map_file = '%s' WHERE picture = %d" % (name, picture))
                self.sweep(self.top, "--shard", "0/2", "--restart")
                after = self.everything()
                self.assertEqual(sorted(after), sorted(before))
                self.assertEqual([key for key in before if after[key] != before[key] and "0-of-2" not in key], [])

    def test_what_rows_name_is_not_removed(self):
        """Names that a run of other pictures or options would have, and that the rows tell of."""
        self.sweep(self.top)
        mine = ["maps/000/annotated.npy", "maps/000/p0001-7.npy", "maps/000/p0002.top9.npz", "maps/000/p0003.top1.npy",
                "maps/005/far.npy", "overlays/000/annotated.overlay.jpg"]
        for name in mine:
            self.put("RUN/" + name)
        self.edit("RUN/results.sqlite", "UPDATE pictures SET path = 'annotated.png' WHERE id = 0",
                  "UPDATE maps SET map_file = 'maps/000/annotated.npy', overlay_file = 'overlays/000/annotated.overlay.jpg'"
                  " WHERE picture = 0", "UPDATE maps SET map_file = 'maps/000/p0001-7.npy' WHERE picture = 1",
                  "UPDATE maps SET map_file = 'maps/000/p0002.top9.npz' WHERE picture = 2",
                  "UPDATE maps SET map_file = 'maps/000/p0003.top1.npy' WHERE picture = 3",
                  "INSERT INTO pictures(id, path, status) VALUES(5000, 'far.png', 'ok')",
                  "INSERT INTO maps(picture, rank, map_file) VALUES(5000, 1, 'maps/005/far.npy')")
        self.sweep(self.top, "--restart")
        for name in mine:
            self.assertEqual(self.read(self.path("RUN", name)), b"precious", name)

    def test_a_shard_of_other_options_takes_its_files_along(self):
        """run.json is of the shard that was begun anew before."""
        self.shards(self.top)
        self.sweep(self.top, "--shard", "0/2", "--restart", "--maps", "npz", "--overlay-format", "jpeg")
        self.sweep(self.top, "--shard", "1/2", "--restart", "--maps", "npz", "--overlay-format", "jpeg")
        self.assertEqual({os.path.splitext(name)[1] for name in os.listdir(self.path("RUN/maps/000"))}, {".npz"})
        self.assertEqual({os.path.splitext(name)[1] for name in os.listdir(self.path("RUN/overlays/000"))}, {".jpg"})

    def test_a_link_among_the_maps_is_not_copied(self):
        self.shards(self.top)
        os.remove(self.path("RUN/maps/000/p0003.npy"))
        os.symlink("/etc/passwd", self.path("RUN/maps/000/p0003.npy"))
        self.merge(self.result, "-o", self.out, code=2, texts=["RUN/maps/000/p0003.npy" + LINK])
        self.assertNotIn("results.sqlite", os.listdir(self.out))
        self.assertFalse(os.path.lexists(self.path("out/maps/000/p0003.npy")))
        os.rename(self.path("RUN/maps/000"), self.path("RUN/maps/aside"))
        os.symlink(self.path("RUN/maps/aside"), self.path("RUN/maps/000"))
        self.merge(self.result, "-o", self.path("other"), code=2, texts=["RUN/maps/000" + LINK])

    def test_a_link_where_a_merge_writes(self):
        self.shards(self.top)
        self.merge(self.result, "-o", self.out)
        before = self.everything(self.path("out/maps/000"))
        os.rename(self.path("out/maps/000"), self.path("victim"))
        os.symlink(self.path("victim"), self.path("out/maps/000"))
        self.merge(self.result, "-o", self.out, code=2, texts=["out/maps/000" + LINK])
        self.assertEqual(self.everything(self.path("victim")), before)

    STRANGERS = (24, 1000000, 99999999999, -1, -5000000000000)

    def test_rows_of_pictures_that_are_not_there_in_a_shard(self):
        self.shards(self.top)
        good = self.read(self.path("RUN/shards/0-of-2.sqlite"))
        picture = self.first("RUN/shards/0-of-2.sqlite")
        for table, column in (("maps", "picture"), ("predictions", "picture"), ("timings", "picture"), ("manifest", "salmap_id")):
            for stranger in self.STRANGERS:
                with self.subTest(table=table, stranger=stranger):
                    self.put("RUN/shards/0-of-2.sqlite", good)
                    self.edit("RUN/shards/0-of-2.sqlite",
                              "UPDATE %s SET %s = %d WHERE %s = %d" % (table, column, stranger, column, picture))
                    self.merge(self.result, code=1, texts=["0-of-2.sqlite: table %s has a row of picture %d, which is none of this "
                                                           "shard\n" % (table, stranger)])
        for stranger in self.STRANGERS:
            self.put("RUN/shards/0-of-2.sqlite", good)
            self.edit("RUN/shards/0-of-2.sqlite", "UPDATE pictures SET id = %d WHERE id = %d" % (stranger, picture))
            self.merge(self.result, code=1, texts=["0-of-2.sqlite: picture %d (p%04d.png) does not belong to this shard\n"
                                                   % (stranger, picture)])

    def test_pictures_that_are_not_in_the_list_of_a_run(self):
        self.sweep(self.top)
        good = self.read(self.path("RUN/results.sqlite"))
        for stranger in self.STRANGERS:
            with self.subTest(stranger=stranger):
                self.put("RUN/results.sqlite", good)
                self.edit("RUN/results.sqlite", "UPDATE pictures SET id = %d WHERE id = 3" % stranger)
                self.sweep(self.top, code=1, texts=["RUN/results.sqlite: picture %d is not in the list; --restart begins anew\n"
                                                    % stranger])

    def exports(self, text):
        """As CSV and as JSON, with an error that says what is wrong."""
        for kind in ("--csv", "--json"):
            self.check(["export", self.result, kind, "--timings"], 1, "RUN/results.sqlite: is damaged" + text + "\n")

    LOOSE = ("CREATE TABLE loose AS SELECT * FROM pictures", "DROP TABLE pictures", "ALTER TABLE loose RENAME TO pictures")
    ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT %s FROM c"

    def test_tables_that_are_not_salmap_s(self):
        self.sweep(self.top)
        good = self.read(self.path("RUN/results.sqlite"))
        no_table = ", or no results of salmap (%s)"
        columns = ", ".join("x AS " + name for name in self.query("SELECT * FROM maps LIMIT 1")[0])
        for name, text, *statements in (
            ("loose columns", no_table % "other columns in table: pictures", *self.LOOSE),
            ("few columns", no_table % "other columns in table: pictures", "DROP TABLE pictures", "CREATE TABLE pictures(id)",
             "INSERT INTO pictures VALUES(0), (1)"),
            ("view", no_table % "not a table: pictures", "ALTER TABLE pictures RENAME TO loose",
             "CREATE VIEW pictures AS SELECT * FROM loose"),
            ("endless view", no_table % "not a table: maps", "DROP TABLE maps", "CREATE VIEW maps AS " + self.ENDLESS % columns),
            ("endless manifest", no_table % "not a table: manifest", "DROP TABLE manifest",
             "CREATE VIEW manifest AS " + self.ENDLESS % "x AS salmap_id, x AS path"),
            ("a map of nobody", ": table maps, picture 99: there is no such picture", "INSERT INTO maps(picture, rank) VALUES(99, 1)"),
            ("a map before all", ": table maps, picture -1: there is no such picture",
             "UPDATE maps SET picture = -1 WHERE picture = 3"),
            ("a prediction of nobody", ": table predictions, picture 7: there is no such picture",
             "INSERT INTO predictions(picture, rank) VALUES(7, 1)"),
            ("no timings", ": picture 0 has no full row", "DELETE FROM timings"),
        ):
            with self.subTest(name=name):
                self.put("RUN/results.sqlite", good)
                self.edit("RUN/results.sqlite", *statements)
                self.exports(text)
        for name in ("run.json", "manifest.csv"): # which tell what is listed
            os.remove(self.path("RUN", name))
        for value in ("x''", "x'00ff'", "''"):
            self.put("RUN/results.sqlite", good)
            self.edit("RUN/results.sqlite", "UPDATE pictures SET path = %s, error = %s WHERE id = 3" % (value, value),
                      "UPDATE manifest SET path = %s WHERE salmap_id = 3" % value)
            for kind in ("--csv", "--json"):
                self.check(["export", self.result, kind], 0)

    def without_rule(self, table, rule, *statements):
        """Changes rows as a rule of their table forbids it, and leaves the table as it was."""
        schema = "UPDATE sqlite_master SET sql = replace(sql, '%s', '%s') WHERE name = '" + table + "'"
        hidden = rule.replace("NOT NULL", "        ")
        self.edit("RUN/results.sqlite", "PRAGMA writable_schema = ON", schema % (rule, hidden))
        self.edit("RUN/results.sqlite", *statements)
        self.edit("RUN/results.sqlite", "PRAGMA writable_schema = ON", schema % (hidden, rule))

    def test_values_that_no_rule_allows(self):
        self.sweep(self.top)
        good = self.read(self.path("RUN/results.sqlite"))
        for rule, column in (("path NOT NULL", "path"), ("status TEXT NOT NULL", "status")):
            self.put("RUN/results.sqlite", good)
            self.without_rule("pictures", rule, "UPDATE pictures SET %s = NULL WHERE id = 3" % column)
            self.check(["export", self.result], 1, "RUN/results.sqlite: is damaged", "NULL value in pictures.%s" % column)
        for status in ("fine", "ok' || char(10) || '", ""):
            self.put("RUN/results.sqlite", good)
            self.edit("RUN/results.sqlite", "UPDATE pictures SET status = '%s' WHERE id = 3" % status)
            self.exports(": table pictures, picture 3: its status is none")

    def plant_index(self, database, table, columns, change):
        """An index that tells of other rows than its table: `change` is made while SQLite does not know of it."""
        sql = "CREATE INDEX look ON %s(%s)" % (table, columns)
        self.edit(database, sql)
        with closing(sqlite3.connect(self.path(database))) as base:
            (root,) = base.execute("SELECT rootpage FROM sqlite_master WHERE name = 'look'").fetchone()
        self.edit(database, "PRAGMA writable_schema = ON", "DELETE FROM sqlite_master WHERE name = 'look'")
        self.edit(database, change)
        self.edit(database, "PRAGMA writable_schema = ON",
                  "INSERT INTO sqlite_master VALUES('index', 'look', '%s', %d, '%s')" % (table, root, sql))

    def test_an_index_that_tells_of_other_rows(self):
        """A merge would look at its rows and take the table's."""
        for table, columns, change in (
            ("maps", "picture, rank, map_file, overlay_file", "UPDATE maps SET map_file = 'notes.txt'"),
            ("maps", "picture, rank, map_file, overlay_file", "UPDATE maps SET picture = 999 WHERE picture ="
             " (SELECT min(picture) FROM maps)"),
            ("pictures", "path, status", "DELETE FROM pictures WHERE id = (SELECT max(id) FROM pictures)"),
        ):
            with self.subTest(change=change):
                shutil.rmtree(self.result, ignore_errors=True)
                shutil.rmtree(self.out, ignore_errors=True)
                self.shards(self.top)
                self.plant_index("RUN/shards/0-of-2.sqlite", table, columns, change)
                self.put("RUN/notes.txt", b"hostile")
                for arguments in ([self.result, "-o", self.out], [self.result]):
                    self.merge(*arguments, code=1, texts=["RUN/shards/0-of-2.sqlite: is damaged, or no results of salmap ("])
                    self.assertFalse(os.path.exists(self.path("out/notes.txt")))
                shutil.rmtree(self.result)
                self.sweep(self.top)
                self.plant_index("RUN/results.sqlite", table, columns, change)
                self.sweep(self.top, code=1, texts=["is damaged, or no results of salmap (", "--restart begins anew"])

    def test_pictures_that_were_never_named_are_not_read(self):
        """The list of a run that somebody sent has one more, which is there."""
        names = sorted(os.listdir(self.top))
        secret = self.put("private/secret.png", self.read(os.path.join(self.top, names[0])))
        self.put("list.csv", ("path\n" + "\n".join([*names, secret]) + "\n").encode())
        os.rename(self.path("private"), self.path("away"))
        self.sweep(self.path("list.csv"), "--root", self.top, code=3)
        os.rename(self.path("away"), self.path("private"))
        before = self.everything()
        self.sweep(self.top, code=2, texts=["RUN/manifest.csv: lists %s, which is there and is none of the pictures that are named"
                                            % secret])
        self.assertEqual(self.everything(), before)
        shutil.rmtree(self.path("private"))
        self.sweep(self.top, code=3)

    def test_a_list_that_is_all_hole(self):
        """Gigabytes that take no room on the disk: refused at their head."""
        self.sweep(self.draw_many(2))
        with open(self.path("RUN/manifest.csv"), "wb") as f:
            f.truncate(3 << 30)
        self.check(["export", self.result], 1, "RUN/manifest.csv: holds null bytes: ")

    def test_types_that_are_others(self):
        """A run that goes on would write other values."""
        self.sweep(self.top)
        good = self.read(self.path("RUN/results.sqlite"))
        for table, old, new, text in (
            ("pictures", "predicted_score REAL", "predicted_score TEXT", "other columns in table: pictures"),
            ("pictures", "width INTEGER", "width INTEGER NOT NULL DEFAULT 7", "other columns in table: pictures"),
            ("maps", "PRIMARY KEY(picture, rank)", "PRIMARY KEY(rank, picture)", "other columns in table: maps"),
            ("manifest", '"path"', '"path" INTEGER', "a column that is not plain in table: manifest"),
            # A type of a column is any text: this one says three.
            ("predictions", "output INTEGER, score REAL, probability REAL",
             'output "INTEGER 0 - 0 0, score REAL 0 - 0 0, probability REAL"', "other columns in table: predictions"),
        ):
            with self.subTest(new=new):
                self.put("RUN/results.sqlite", good)
                self.edit("RUN/results.sqlite", "PRAGMA writable_schema = ON", "UPDATE sqlite_master SET sql = replace(sql, '%s', '%s')"
                          " WHERE name = '%s'" % (old, new, table))
                self.exports(", or no results of salmap (%s)" % text)

    def test_a_schema_that_was_overwritten(self):
        """Bytes of the schema, of the free list and of a page: what a fuzzer found."""
        self.sweep(self.top)
        self.edit("RUN/results.sqlite", "PRAGMA writable_schema = ON",
                  "UPDATE sqlite_master SET sql = replace(sql, 'id INTEGER PRIMARY KEY, path NOT NULL, status TEXT NOT NULL',"
                  " 'id INTEGER PRIMArankEY, path, status TEXT') WHERE name = 'pictures'")
        self.edit("RUN/results.sqlite", "UPDATE pictures SET path = NULL, status = NULL WHERE rowid < 2")
        data = bytearray(self.read(self.path("RUN/results.sqlite")))
        self.exports(", or no results of salmap (other columns in table: pictures)")
        data[32:40] = (12920832).to_bytes(4, "big") + (3).to_bytes(4, "big")
        self.put("RUN/results.sqlite", bytes(data))
        for kind in ("--csv", "--json"):
            self.check(["export", self.result, kind], 1, "RUN/results.sqlite: is damaged, or no results of salmap (")
        self.sweep(self.top, code=1, texts=["RUN/results.sqlite: is damaged, or no results of salmap ("])
        self.sweep(self.top, "--restart")

    def test_what_a_database_brings_is_not_run(self):
        self.sweep(self.top)
        first = self.snapshot()
        self.edit("RUN/results.sqlite", "CREATE TRIGGER t AFTER INSERT ON pictures BEGIN UPDATE pictures SET predicted = 4; END",
                  "CREATE TRIGGER u AFTER INSERT ON sessions BEGIN DELETE FROM maps; END", "DELETE FROM pictures WHERE id = 2",
                  "DELETE FROM maps WHERE picture = 2")
        self.sweep(self.top)
        self.assert_same_files(self.snapshot(), first)

    def test_constraints_of_a_database_are_not_looked_at(self):
        """They may take for ever."""
        self.sweep(self.top)
        self.check(["export", self.result, "--json", "-o", self.path("good.json")], 0)
        self.edit("RUN/results.sqlite", "PRAGMA writable_schema = ON",
                  "UPDATE sqlite_master SET sql = substr(sql, 1, length(sql) - 1) || ', CHECK(id < 0))' WHERE name = 'pictures'")
        self.check(["export", self.result, "--json", "-o", self.path("again.json")], 0)
        self.assertEqual(self.read(self.path("again.json")), self.read(self.path("good.json")))

    def test_what_somebody_added_to_a_database(self):
        """What changes or slows salmap's own tables is refused; a list of a column, a view and a table are the user's."""
        self.sweep(self.top)
        good = self.read(self.path("RUN/results.sqlite"))
        columns = ", ".join(self.query("SELECT * FROM maps LIMIT 1")[0])
        index = ", or no results of salmap (an index that is more than a list of a table: x)"
        for statement, text in (
            ("CREATE UNIQUE INDEX x ON maps(target)", index),
            ("CREATE INDEX x ON maps(target) WHERE target > 1", index),
            ("CREATE INDEX x ON maps(abs(target))", index),
            ("CREATE TABLE y AS SELECT * FROM maps; DROP TABLE maps;"
             "CREATE TABLE maps(%s, CONSTRAINT x UNIQUE(target));INSERT INTO maps SELECT * FROM y WHERE picture = 0; DROP TABLE y",
             ", or no results of salmap (other columns in table: maps)"),
            ("CREATE TABLE y AS SELECT * FROM pictures; DROP TABLE pictures;"
             "CREATE TABLE pictures(id, path, status, error, bytes, width, height, predicted, predicted_score,"
             " predicted_probability, correct, PRIMARY KEY(status)); INSERT INTO pictures SELECT * FROM y LIMIT 1; DROP TABLE y",
             ", or no results of salmap (other columns in table: pictures)"),
            ("CREATE TABLE x(a, b AS (hex(zeroblob(1000))))", ", or no results of salmap (a computed column in table: x)"),
        ):
            with self.subTest(statement=statement):
                self.put("RUN/results.sqlite", good)
                statements = (statement % columns if "%s" in statement else statement).split(";")
                if "UNIQUE INDEX" in statement:
                    statements.insert(0, "DELETE FROM maps WHERE picture > 0")
                self.edit("RUN/results.sqlite", *statements)
                self.exports(text)
                self.sweep(self.top, code=1, texts=["RUN/results.sqlite: is damaged" + text + "; --restart begins anew\n"])
        self.put("RUN/results.sqlite", good)
        self.edit("RUN/results.sqlite", "CREATE INDEX x ON maps(target)", "CREATE VIEW y AS SELECT * FROM maps",
                  "CREATE TABLE mine(a UNIQUE, b)", "CREATE UNIQUE INDEX z ON mine(b)")
        self.sweep(self.top)
        self.check(["export", self.result], 0)

    def test_rows_that_are_missing_or_too_many(self):
        """Of a run that is whole: nothing is exported but the whole."""
        self.sweep(self.top, "--target", "top:2")
        good = self.read(self.path("RUN/results.sqlite"))
        options = self.query("SELECT count(*) AS n FROM run WHERE key LIKE 'option.%'")[0]["n"]
        for text, *statements in (
            (": option.top-k is missing in it, and 5 in run.json", "DELETE FROM run WHERE key = 'option.top-k'"),
            (": option.top-k is 0 in it, and 5 in run.json", "UPDATE run SET value = 0 WHERE key = 'option.top-k'"),
            (": model_sha256 is beef in it, and another one in run.json", "UPDATE run SET value = 'beef' WHERE key = 'model_sha256'"),
            (": it has %d options, and run.json has %d" % (options + 1, options), "INSERT INTO run VALUES('option.more', 'x')"),
            (": table manifest, picture 2: it is another one in the run's list",
             "UPDATE manifest SET path = 'x.png' WHERE salmap_id = 2", "UPDATE pictures SET path = 'x.png' WHERE id = 2"),
            (": table maps, picture 3: it names no file that the run makes of it",
             "UPDATE maps SET map_file = '/etc/passwd', overlay_file = '../../x.png' WHERE picture = 3 AND rank = 2"),
            (": table maps, picture 3: it names no file that the run makes of it", "UPDATE maps SET map_file = NULL WHERE picture = 3"),
            (": table maps, picture 3: it names no file that the run makes of it",
             "UPDATE maps SET map_file = overlay_file, overlay_file = map_file WHERE picture = 3"),
            (": table maps, picture 3: it names no file that the run makes of it", "INSERT INTO maps(picture, rank) VALUES(3, 3)"),
            (": table predictions, picture 3: it did not fail, and has no row", "DELETE FROM predictions WHERE picture = 3"),
            (": table predictions, picture 3: its ranks are not counted from 1", "DELETE FROM predictions WHERE picture = 3 AND rank = 2"),
            (": table maps, picture 3: it did not fail, and has no row", "DELETE FROM maps WHERE picture = 3"),
            (": table maps, picture 3: its ranks are not counted from 1", "DELETE FROM maps WHERE picture = 3 AND rank = 1"),
            (": table maps, picture 0: it did not fail, and has no row", "DELETE FROM maps"),
            (": table pictures, picture 3: its path is another one in the list", "UPDATE pictures SET path = 'p0004.png' WHERE id = 3"),
        ):
            with self.subTest(statements=statements):
                self.put("RUN/results.sqlite", good)
                self.edit("RUN/results.sqlite", *statements)
                self.exports(text)
                self.merge(self.result, code=1, texts=["RUN/results.sqlite: is damaged" + text + "\n"])
        self.put("RUN/results.sqlite", good)
        self.edit("RUN/results.sqlite", "ALTER TABLE manifest RENAME COLUMN path TO place")
        self.exports(": table manifest has no column path")

    def test_pictures_that_are_others_than_those_of_the_list(self):
        self.sweep(self.top)
        self.edit("RUN/results.sqlite", "UPDATE pictures SET path = 'p0004.png' WHERE id = 3")
        self.sweep(self.top, code=1, texts=["RUN/results.sqlite: picture 3 is not in the list; --restart begins anew\n"])

    def test_the_list_is_the_run_s_and_not_the_shards(self):
        labels = self.write("labels.csv", b"path,age,river\n" + b"".join(b"in/p%04d.png,%d,Teno\n" % (i, i) for i in range(6)))
        self.shards(labels)
        self.merge(self.result, "-o", self.out)
        self.edit("RUN/shards/0-of-2.sqlite", "ALTER TABLE manifest RENAME COLUMN age TO x",
                  "ALTER TABLE manifest RENAME COLUMN river TO age", "ALTER TABLE manifest RENAME COLUMN x TO river")
        self.merge(self.result)
        self.assertEqual(self.read(self.path("RUN/results.csv")), self.read(self.path("out/results.csv")))

    def test_a_merge_makes_a_table_that_is_gone(self):
        self.sweep(self.top)
        table = self.read(self.path("RUN/results.csv"))
        os.remove(self.path("RUN/results.csv"))
        self.merge(self.result)
        self.assertEqual(self.read(self.path("RUN/results.csv")), table)

    def test_options_of_shards_that_run_json_does_not_tell(self):
        self.shards(self.top)
        good = {i: self.read(self.path("RUN/shards/%d-of-2.sqlite" % i)) for i in range(2)}
        for change, text in (
            ("UPDATE run SET value = 'top:1' WHERE key = 'option.overlays'", "option.overlays is top:1 in it, and all in run.json"),
            ("UPDATE run SET value = '77' WHERE key = 'option.sigma'", "option.sigma is 77 in it, and "),
            ("UPDATE run SET value = 'beef' WHERE key = 'model_sha256'", "model_sha256 is beef in it, and another one in run.json"),
            ("DELETE FROM run WHERE key LIKE 'option.%'", "is missing in it, and "),
            ("UPDATE maps SET map_file = overlay_file, overlay_file = map_file", "is no file that the run can have made"),
            ("UPDATE maps SET map_file = NULL", "'none' is no file that the run can have made"),
            ("INSERT INTO maps(picture, rank, score) SELECT picture, 2, 5 FROM maps WHERE rank = 1", "rank 2: 'none' is no file"),
            ("UPDATE pictures SET status = 'fine'", "its status is none"),
            ("DELETE FROM maps WHERE picture = (SELECT max(picture) FROM maps)", "it did not fail, and has no row"),
        ):
            with self.subTest(change=change):
                for i in range(2):
                    self.put("RUN/shards/%d-of-2.sqlite" % i, good[i])
                self.merge(self.result)
                for i in range(2):
                    self.edit("RUN/shards/%d-of-2.sqlite" % i, change)
                before = self.everything()
                self.merge(self.result, code=1, texts=[text])
                self.assertEqual(self.everything(), before)

    def test_a_name_of_older_options_is_another_picture_s_now(self):
        """aN.top1.npy, of aN.png with --target top:1, and of aN.top1.png without."""
        top = self.draw(*["a%d%s.png" % (i, end) for i in range(6) for end in ("", ".top1")])
        self.shards(top, "--target", "top:1")
        self.shards(top, "--restart")
        self.merge(self.result)

    def test_exports_leave_shards_alone(self):
        self.shards(self.top)
        self.merge(self.result)
        before = self.everything()
        for name in ("1-of-2.sqlite", "new.csv"):
            self.check(["export", self.result, "-o", self.path("RUN/shards", name)], 2, "lies among the run's own shards")
            self.assertEqual(self.everything(), before)
        for ending in ("-journal", "-wal", "-shm", "-in-flight"):
            self.check(["export", self.result, "-o", self.path("RUN/results.sqlite" + ending)], 2,
                       "is a name of the run's own files: choose another file")
            self.assertEqual(self.everything(), before)

    def test_exports_take_no_name_of_a_folder_to_come(self):
        self.sweep(self.top, "--maps", "none", "--overlays", "none")
        before = self.everything()
        for name in ("shards", "maps", "overlays"):
            self.check(["export", self.result, "-o", self.path("RUN", name)], 2, "is a name of the run's own files: choose another file")
            self.assertEqual(self.everything(), before)

    def test_names_that_are_almost_a_shard_s(self):
        self.shards(self.top)
        shard = self.read(self.path("RUN/shards/1-of-2.sqlite"))
        mine = ["RUN/shards/" + name for name in ("01-of-2.sqlite", " 1-of-2.sqlite", "+1-of-2.sqlite", "1-of-02.sqlite",
                                                  "1-of-2.sqlite.sqlite", "-0-of-2.sqlite")]
        for name in mine:
            self.put(name, shard)
        self.merge(self.result)
        self.sweep(self.top, "--restart")
        for name in mine:
            self.assertEqual(self.read(self.path(name)), shard, name)

    def test_bytes_that_were_not_known(self):
        """An earlier salmap recorded 0 where it could not ask for the size of a file."""
        self.sweep(self.top)
        for value in ("0", "NULL"):
            self.edit("RUN/results.sqlite", "UPDATE pictures SET bytes = %s" % value)
            self.sweep(self.top)


class Together(RunFolderCase):
    """Several at one folder."""

    def held(self):
        """The folder as another salmap holds it while it begins."""
        folder = os.open(self.result, os.O_RDONLY | os.O_DIRECTORY)
        self.addCleanup(os.close, folder)
        fcntl.flock(folder, fcntl.LOCK_EX)
        return folder

    def test_nothing_goes_while_another_begins(self):
        top = self.draw_many(3)
        self.sweep(top)
        expected = self.snapshot()
        for options in ([], ["--restart"]):
            folder = self.held()
            before = self.everything()
            process = self.start(top, *options)
            with self.assertRaises(subprocess.TimeoutExpired):
                process.wait(1)
            self.assertEqual(self.everything(), before)
            fcntl.flock(folder, fcntl.LOCK_UN)
            self.assertEqual(process.wait(), 0)
            self.assert_same_files(self.snapshot(), expected)

    def test_what_waits_can_be_stopped(self):
        """And says nothing that is not so."""
        top = self.draw_many(3)
        self.sweep(top)
        folder = self.held()
        before = self.everything()
        process = self.start(top, "--restart", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        with self.assertRaises(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.send_signal(signal.SIGTERM)
        out, said = (text.decode() for text in process.communicate())
        self.assertEqual(process.returncode, 75, said)
        self.assertIn("RUN: stopped while another salmap was at work in this folder\n", said)
        self.assertEqual(out, "")
        self.assertEqual(self.everything(), before)
        fcntl.flock(folder, fcntl.LOCK_UN)
        self.sweep(top)

    def test_a_merge_waits_for_nobody(self):
        top = self.draw_many(3)
        self.shards(top)
        folder = self.held()
        for options in ([], ["-o", self.out]):
            self.merge(self.result, *options, code=1,
                       texts=["RUN: another salmap is at work in this folder: run again when it has ended\n"])
        self.assertFalse(os.path.exists(self.out))
        fcntl.flock(folder, fcntl.LOCK_UN)
        self.merge(self.result)
        self.merge(self.result, self.result, "-o", self.result, code=1, texts=["/2 is there twice"])

    def test_two_that_begin_anew_at_once(self):
        top = self.draw_many(8)
        self.sweep(top)
        expected = self.snapshot()
        for _ in range(6):
            both = [self.start(top, "--restart", stderr=subprocess.PIPE) for _ in range(2)]
            codes = []
            for process in both:
                said = process.communicate()[1].decode()
                codes.append(process.returncode)
                if process.returncode:
                    self.assertIn("in use by another salmap that is running", said)
            self.assertIn(sorted(codes), ([0, 0], [0, 1]))
            self.assert_same_files(self.snapshot(), expected)


class Mutants(RunFolderCase):
    """Results with bytes and rows changed at random: an error or an export, and nothing else."""

    VALUES = ("NULL", "''", "x''", "x'00'", "-1", "99999999999", "1000000", "9223372036854775807", "1e308", "'a,b\"c'", "0", "1", "24", "1000", "'../x'",
              "zeroblob(100000)", "'maps/000/p0000.npy'", "-9223372036854775808", "'ok'", "char(0)", "9e999")
    TABLES = ("pictures", "pictures", "maps", "maps", "predictions", "timings", "manifest", "run", "sessions")

    def change_bytes(self, path, lottery):
        data = bytearray(self.read(path))
        for _ in range(lottery.choice((1, 1, 2, 4, 16, 64))):
            at = lottery.randrange(len(data)) if lottery.random() < 0.6 else lottery.randrange(min(len(data), 200))
            kind = lottery.randrange(5)
            if kind < 2:
                data[at] = lottery.randrange(256)
            elif kind == 2:
                data[at] ^= 1 << lottery.randrange(8)
            elif kind == 3:
                source, size = lottery.randrange(len(data)), lottery.randrange(1, 300)
                data[at : at + size] = data[source : source + size]
            else:
                del data[at : at + lottery.randrange(1, 4096)]
            data = data or bytearray(b"x")
        with open(path, "wb") as f:
            f.write(data)

    def change_rows(self, path, lottery):
        with closing(sqlite3.connect(path)) as base:
            for _ in range(lottery.choice((1, 1, 2, 3))):
                table = lottery.choice(self.TABLES)
                columns = [row[1] for row in base.execute("PRAGMA table_info(%s)" % table)] or ["x"]
                column = lottery.choice(columns)
                value = lottery.choice(self.VALUES)
                statements = lottery.choice((
                    ['UPDATE %s SET "%s" = %s' % (table, column, value)],
                    ['UPDATE %s SET "%s" = %s WHERE "%s" = 1' % (table, column, value, columns[0])],
                    *3 * [['UPDATE %s SET "%s" = %s WHERE "%s" = (SELECT max("%s") FROM %s)'
                           % (table, columns[0], value, columns[0], columns[0], table)]],
                    ['UPDATE %s SET "%s" = %s WHERE abs(random()) %% 5 = 0' % (table, column, value)],
                    ["DELETE FROM %s WHERE abs(random()) %% 2 = 0" % table],
                    ["DROP TABLE " + table],
                    ['ALTER TABLE %s DROP COLUMN "%s"' % (table, column)],
                    ["CREATE TABLE q AS SELECT * FROM " + table, "DROP TABLE " + table, "ALTER TABLE q RENAME TO " + table,
                     'UPDATE %s SET "%s" = NULL' % (table, column)]))
                try:
                    for statement in statements:
                        base.execute(statement)
                except sqlite3.Error:
                    base.rollback()
            try:
                base.commit()
            except sqlite3.Error:
                pass

    def mutate(self, numbers, seed, prepare, database, commands):
        for number in numbers:
            lottery = random.Random("%d/%d" % (seed, number))
            with self.subTest(number=number):
                shutil.rmtree(self.result, ignore_errors=True)
                shutil.rmtree(self.out, ignore_errors=True)
                prepare()
                (self.change_rows if number % 2 else self.change_bytes)(self.path(database), lottery)
                for command in commands:
                    done = self.run_salmap(*command)
                    self.assertIn(done.returncode, (0, 1, 2, 3), done.err)
                    self.assertEqual(done.returncode in (1, 2), "salmap: " in done.err, done.err)
                self.assertEqual(self.everything(self.path("outside")), {"a.npy": b"precious"})

    def test_exports_and_runs_that_go_on(self):
        top = self.draw_many(4)
        self.put("outside/a.npy")
        self.sweep(top, "--overlays", "top:2", run=self.path("good"))
        self.mutate(range(30), 6, lambda: shutil.copytree(self.path("good"), self.result), "RUN/results.sqlite",
                    [["export", self.result], ["export", self.result, "--json", "--timings"],
                     self.command(top, "--overlays", "top:2"), self.command(top, "--overlays", "top:2", "--restart")])

    def test_merges(self):
        top = self.draw_many(4)
        self.put("outside/a.npy")
        self.shards(top, run="good")
        self.mutate(range(30), 2, lambda: shutil.copytree(self.path("good"), self.result), "RUN/shards/0-of-2.sqlite",
                    [["merge", self.result, "-o", self.out], ["merge", self.result],
                     self.command(top, "--shard", "0/2", "--restart")])


class ForeignFiles(RunFolderCase):
    """200 files, links and folders of the user's in and around a run, called much as a run's: all of them stay."""

    PICTURES = 5
    STEMS = ("p0000", "p0001", "p0004", "p0005", "p9999", "annotated", "mine", "p0000-2", "P0000", "p0000.top1", "p0002x", "a b")
    ENDINGS = (".png", ".npy", ".npz", ".overlay.png", ".overlay.jpg", ".saliency.png", ".tmp-123", ".npy.tmp-123", ".npy.tmp-1-x",
               ".txt", ".csv", ".sqlite", ".overlay.png.bak", ".npy.tmp-1-2.txt", "")
    FOLDERS = ("", "maps/", "maps/000/", "maps/001/", "maps/0000/", "maps/00/", "maps/2024/", "maps/mine/", "maps/000/000/",
               "overlays/", "overlays/000/", "overlays/001/", "overlays/2024/", "shards/", "notes/", "saliency/000/", "notes/maps/000/",
               "notes/shards/", "maps/000/shards/")
    NAMES = ("results.csv", "results.sqlite", "run.json", "manifest.csv", "results.csv.tmp-123", "run.json.tmp-1", "0-of-2.sqlite",
             "0-of-3.sqlite.bak", "results.csv.bak", "results.sqlite-old", "writable.tmp-1-2", "notes.txt")

    def is_the_run_s(self, name):
        """What a run of these pictures may make, whatever its formats: nothing of that is planted."""
        folder, file = os.path.split(name)
        if folder in ("maps/000", "overlays/000"):
            stem = file.split(".tmp-")[0]
            mine = ["p%04d%s" % (i, ending) for i in range(self.PICTURES)
                    for ending in (".npy", ".npz", ".png", ".overlay.png", ".overlay.jpg")]
            number = file[len(stem) + 5 :].split("-")
            finished = file == stem or (len(number) == 2 and all(part.isdigit() for part in number))
            return stem in mine and finished and (stem.endswith((".overlay.png", ".overlay.jpg")) == (folder != "maps/000"))
        if folder == "shards":
            return file == "0-of-2.sqlite"
        return folder == "" and file in ("results.csv", "results.sqlite", "run.json", "manifest.csv")

    def plant(self, lottery):
        """In the run's folder and beside it; links lead to a folder and a file that are outside."""
        self.put("outside/p0000.npy")
        self.put("outside/p0001.overlay.jpg")
        self.put("outside/results.csv")
        planted = 0
        while planted < 200:
            folder = lottery.choice(self.FOLDERS)
            name = folder + (lottery.choice(self.NAMES) if lottery.random() < 0.3
                             else lottery.choice(self.STEMS) + lottery.choice(self.ENDINGS))
            top = "RUN/" if lottery.random() < 0.8 else ""
            path, kind = self.path(top + name), lottery.random()
            if (top and self.is_the_run_s(name)) or name in ("maps/000", "overlays/000") or os.path.lexists(path):
                continue
            try:
                os.makedirs(os.path.dirname(path), exist_ok=True)
                if kind < 0.6:
                    self.put(top + name, b"precious %d" % planted)
                elif kind < 0.75:
                    os.symlink(self.path("outside"), path)
                elif kind < 0.9:
                    os.symlink(self.path("outside/p0000.npy"), path)
                else:
                    os.mkdir(path)
            except (FileExistsError, NotADirectoryError):
                continue
            planted += 1

    def left(self, before, after):
        """What there was of the user's and is so no longer."""
        return [name for name, what in before.items() if name not in after or after[name] != what]

    def check_commands(self, make, commands, seed):
        make()
        made = set(self.everything())
        self.plant(random.Random(seed))
        theirs = {name: what for name, what in self.everything().items() if name not in made}
        self.assertGreaterEqual(len(theirs), 200)
        for command, code in commands:
            done = self.run_salmap(*command)
            self.assertEqual(done.returncode, code, done.out + done.err)
            self.assertEqual(self.left(theirs, self.everything()), [], command)
        shutil.rmtree(self.result)

    def test_of_a_whole_run(self):
        top = self.draw_many(self.PICTURES)
        best, jpeg = ["--overlays", "top:2"], ["--maps", "png16", "--overlay-format", "jpeg"]
        for seed in range(3):
            with self.subTest(seed=seed):
                self.check_commands(lambda: self.sweep(top, *best), [
                    (self.command(top, *best), 0), (self.command(top, *best, "--restart"), 0),
                    (self.command(top, *jpeg, "--restart"), 0), (self.command(top, *jpeg), 0),
                    (self.command(top, "--shard", "0/2", "--restart"), 2), (self.command(top, *best), 2),
                    (["export", self.result, "--json"], 0)], seed)

    def test_of_shards(self):
        top = self.draw_many(self.PICTURES)
        best = ["--overlays", "top:2"]
        for seed in range(3):
            with self.subTest(seed=seed):
                self.check_commands(lambda: self.shards(top, *best), [
                    (["merge", self.result], 0), (["merge", self.result], 0),
                    (self.command(top, *best, "--shard", "1/2", "--restart"), 0), (["merge", self.result], 0),
                    (["merge", self.result, "-o", self.out], 0),
                    (self.command(top, "--maps", "npz", "--shard", "0/2", "--restart"), 0),
                    (self.command(top, "--maps", "npz", "--shard", "1/2", "--restart"), 0), (["merge", self.result], 0),
                    (self.command(top, "--restart"), 0)], seed)
                shutil.rmtree(self.out)

    def test_of_no_run(self):
        """Whatever they are called, no command takes them for a run."""
        top = self.draw_many(self.PICTURES)
        for seed in range(3):
            self.check_commands(lambda: os.mkdir(self.result), [
                (self.command(top, *options), 2) for options in ([], ["--restart"], ["--shard", "0/2"],
                                                                 ["--shard", "0/2", "--restart"])], seed)


if __name__ == "__main__":
    main(sys.modules[__name__])
