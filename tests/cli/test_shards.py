"""Sweeps in shards: where a shard is taken from, that shards together are what one run writes, what merge refuses."""

import csv
import hashlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import files
from harness import MODEL, SALMAP, SCALES, SOURCE, Case, main
from test_models import small_weights

sys.path.insert(0, os.path.join(SOURCE, "tests/slurm"))
from same_run import contents, differences

SHORTCUT = os.path.join(SOURCE, "data/models/scale_age_shortcut.onnx")
LABELS = os.path.join(SCALES, "labels.csv")
# What launchers set. The machine that runs the tests may itself be a task of one.
LAUNCHERS = ("SLURM", "OMPI_", "PMI", "AWS_BATCH_", "JOB_COMPLETION_INDEX")

# Rank 1 of 2, 2 of 3 and so on: each launcher says something else.
OMPI = {"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2"}
PMI = {"PMI_RANK": "2", "PMI_SIZE": "3"}
STEP = {"SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "4"}
AWS = {"AWS_BATCH_JOB_ARRAY_INDEX": "5", "AWS_BATCH_JOB_ARRAY_SIZE": "6"}
KUBERNETES = {"JOB_COMPLETION_INDEX": "6"}


def array(task, first, last, step=1, count=None):
    """What Slurm tells a task of an array."""
    return {
        "SLURM_ARRAY_JOB_ID": "77",
        "SLURM_ARRAY_TASK_ID": str(task),
        "SLURM_ARRAY_TASK_MIN": str(first),
        "SLURM_ARRAY_TASK_MAX": str(last),
        "SLURM_ARRAY_TASK_STEP": str(step),
        "SLURM_ARRAY_TASK_COUNT": str((last - first) // step + 1 if count is None else count),
    }


class Sweep(Case):
    """What the groups share; no tests of its own. The network is a small one, but where its demo is needed: this is
    about who does what."""

    def setUp(self):
        super().setUp()
        self.small = self.write("small.onnx", files.onnx_classifier(small_weights(), "Softmax"))

    def environment(self, extra=None):
        clean = {name: value for name, value in os.environ.items() if not name.startswith(LAUNCHERS)}
        return {**clean, **(extra or {})}

    def start(self, *arguments, environment=None):
        return subprocess.Popen(
            [SALMAP, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.folder,
            env=self.environment(environment),
        )

    def finish(self, process, code, *texts):
        """Waits, and looks at the exit code and for every text in all that was printed."""
        out, err = process.communicate()
        said = (out + err).decode("utf-8", "surrogateescape")
        self.assertNotRegex(said, "Sanitizer|runtime error:")
        self.assertEqual(process.returncode, code, "%r printed %s" % (process.args, said))
        for text in texts:
            self.assertIn(text, said)
        return said

    def salmap(self, code, *arguments, texts=(), environment=None):
        return self.finish(self.start(*arguments, environment=environment), code, *texts)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def make_pictures(self, count, folder="pictures", broken=()):
        os.makedirs(self.path(folder), exist_ok=True)
        paths = []
        for i in range(count):
            data = files.gradient_png(32, 32, i + 1)
            paths.append(self.write("%s/p%02d.png" % (folder, i), data[:100] if i in broken else data))
        return paths

    def command(self, run, *arguments, pictures="pictures", model=None):
        operands = [pictures] if isinstance(pictures, str) else pictures
        preset = [] if model in (MODEL, SHORTCUT) else ["--preset", "unit"]
        return ["sweep", model or self.small, *operands, "-o", run, *preset, *arguments]

    def sweep(self, run, *arguments, code=0, **options):
        return self.salmap(code, *self.command(run, *arguments, **options))

    def sweep_shards(self, count, *arguments, runs=None, only=None, **options):
        """Shards of one run folder, or of as many as there are runs."""
        for i in range(count) if only is None else only:
            run = "run" if runs is None else runs[i]
            self.sweep(run, "--shard", "%d/%d" % (i, count), *arguments, **options)

    def assert_same_run(self, one, other):
        self.assertEqual(differences(self.path(one), self.path(other)), [])

    def shard_file(self, run, shard, count):
        return self.path(run, "shards", "%d-of-%d.sqlite" % (shard, count))

    def count(self, folder):
        return sum(len(names) for _, _, names in os.walk(self.path(folder)))

    def swept(self, run, shard, count):
        """Paths of the pictures of a shard."""
        with closing(sqlite3.connect(self.shard_file(run, shard, count))) as base:
            return [path for (path,) in base.execute("SELECT path FROM pictures ORDER BY id")]

    def refuse_merge(self, *arguments, said):
        """Merging fails, says just this, and leaves no results behind."""
        self.assertEqual(self.salmap(1, "merge", *arguments), "salmap: merge: %s\n" % said)
        out = arguments[-1] if "-o" in arguments else arguments[0]
        self.assertFalse(os.path.exists(self.path(out, "results.csv")), said)


class Environment(Sweep):
    """--shard auto. Nothing is computed."""

    def setUp(self):
        super().setUp()
        self.make_pictures(2)

    def dry_run(self, environment, shard="auto", code=0):
        return self.salmap(
            code, "sweep", MODEL, "pictures", "-o", "run", "--shard", shard, "--dry-run", environment=environment
        )

    def assert_shard(self, environment, expected, *sources, shard="auto"):
        said = self.dry_run(environment, shard)
        self.assertRegex(said, r"(?m)^shard     %d/%d, from \S.*: [012] pictures$" % expected)
        for source in sources:
            self.assertRegex(said, r"(?m)^shard .*, from .*\b%s\b" % source)
        self.assertFalse(os.path.exists(self.path("run")))

    def refuse(self, environment, *names, shard="auto"):
        said = self.dry_run(environment, shard, code=2)
        for name in names:
            self.assertIn(name, said)
        self.assertFalse(os.path.exists(self.path("run")))

    def test_processes_in_their_order(self):
        everything = {**OMPI, **PMI, **STEP}
        for launcher, expected, source in (
            (OMPI, (1, 2), "OMPI_COMM_WORLD_RANK"),
            (PMI, (2, 3), "PMI_RANK"),
            (STEP, (3, 4), "Slurm step"),
        ):
            with self.subTest(source=source):
                self.assert_shard(everything, expected, source)
            for name in launcher:
                del everything[name]

    def test_processes_divide_the_share_of_a_job(self):
        for jobs, index, count, shard in (
            (array(4, 0, 4), 4, 5, "auto"),
            (AWS, 5, 6, "auto"),
            (KUBERNETES, 6, 7, "auto/%d"),
        ):
            for processes, rank, size in ((OMPI, 1, 2), (PMI, 2, 3), (STEP, 3, 4)):
                with self.subTest(jobs=jobs, processes=processes):
                    expected = (index * size + rank, count * size)
                    text = shard % expected[1] if "%" in shard else shard
                    self.assert_shard({**jobs, **processes}, expected, shard=text)

    def test_every_launcher_in_its_place(self):
        tasks = array(4, 0, 4)
        everything = {**OMPI, **PMI, **STEP, **tasks, **AWS, **KUBERNETES}
        for launcher, expected, source in (
            (OMPI, (9, 10), "OMPI_COMM_WORLD_RANK"),
            (PMI, (14, 15), "PMI_RANK"),
            (STEP, (19, 20), "Slurm step"),
            (tasks, (4, 5), "Slurm array"),
            (AWS, (5, 6), "AWS_BATCH_JOB_ARRAY_INDEX"),
        ):
            with self.subTest(source=source, expected=expected):
                self.assert_shard(everything, expected, source)
            for name in launcher:
                del everything[name]
        self.assertEqual(everything, KUBERNETES)
        self.assert_shard(everything, (6, 7), "JOB_COMPLETION_INDEX", shard="auto/7")

    def test_each_launcher_alone(self):
        for environment, expected, source in (
            (OMPI, (1, 2), "OMPI_COMM_WORLD_RANK"),
            (PMI, (2, 3), "PMI_RANK"),
            (STEP, (3, 4), "Slurm step"),
            (array(4, 0, 4), (4, 5), "Slurm array"),
            (AWS, (5, 6), "AWS_BATCH_JOB_ARRAY_INDEX"),
        ):
            with self.subTest(source=source):
                self.assert_shard(environment, expected, source)
                # What --shard says in numbers always wins.
                self.assert_shard(environment, (7, 9), shard="7/9")

    def test_nothing_to_find_is_an_error(self):
        self.refuse({}, "--shard")
        self.refuse({}, "--shard", shard="auto/4")

    def test_one_process_of_many_asked_for_is_no_shard(self):
        # sbatch -n 4: the script runs once, and is told of four tasks.
        plain = {"SLURM_JOB_ID": "7", "SLURM_PROCID": "0", "SLURM_NTASKS": "4", "SLURM_NPROCS": "4"}
        self.refuse(plain)
        self.assert_shard({**plain, **array(2, 0, 3)}, (2, 4))

    def test_arrays_need_not_begin_at_zero(self):
        for first, last, step in ((1, 4, 1), (10, 16, 2), (5, 35, 10)):
            count = (last - first) // step + 1
            for i in range(count):
                with self.subTest(first=first, step=step, task=i):
                    self.assert_shard(array(first + i * step, first, last, step), (i, count))

    def test_arrays_with_gaps_are_refused(self):
        # --array=0,1,3 and --array=1,5, as Slurm describes them.
        self.refuse(array(3, 0, 3, count=3), "Slurm array")
        self.refuse(array(5, 1, 5, count=2), "Slurm array")
        self.refuse(array(13, 10, 16, step=2), "Slurm array")

    def test_a_task_alone_must_be_told_of_how_many(self):
        # sbatch --array=2, to run one task again.
        self.refuse(array(2, 2, 2), "auto/N")
        self.assert_shard(array(2, 2, 2), (2, 4), "Slurm array", shard="auto/4")
        self.refuse(array(4, 4, 4), shard="auto/4")
        self.assert_shard(array(0, 0, 0), (0, 1), shard="auto/1")
        # Some tasks again: --array=1,3.
        self.assert_shard(array(3, 1, 3, count=2), (3, 4), "Slurm array", shard="auto/4")

    def test_a_pod_must_be_told_of_how_many(self):
        self.refuse({"JOB_COMPLETION_INDEX": "2"}, "auto/N")
        self.assert_shard({"JOB_COMPLETION_INDEX": "2"}, (2, 3), "JOB_COMPLETION_INDEX", shard="auto/3")
        self.refuse({"JOB_COMPLETION_INDEX": "3"}, shard="auto/3")

    def test_arrays_of_steps_with_several_tasks(self):
        seen = set()
        for task in range(3):
            for process in range(2):
                step = {"SLURM_PROCID": str(process), "SLURM_STEP_NUM_TASKS": "2"}
                expected = (task * 2 + process, 6)
                self.assert_shard({**array(task + 1, 1, 3), **step}, expected, "Slurm array")
                seen.add(expected)
        self.assertEqual(len(seen), 6)

    def test_a_step_of_one_task_takes_the_share_of_the_array(self):
        step = {"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1", "SLURM_NTASKS": "1"}
        self.assert_shard({**array(2, 0, 3), **step}, (2, 4), "Slurm array")
        self.assert_shard({**array(2, 2, 2), **step}, (2, 4), shard="auto/4")

    def test_a_launcher_of_one_process_divides_nothing(self):
        # srun --mpi=pmi2 tells every task of an array that it is the first of one: it is not to do everything.
        self.assert_shard({**array(2, 0, 3), "PMI_RANK": "0", "PMI_SIZE": "1"}, (2, 4), "Slurm array")
        one = {"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "1"}
        self.assert_shard({**array(2, 0, 3), **one}, (2, 4), "Slurm array")

    def test_a_step_is_of_an_array_with_pmi_as_without(self):
        step = {"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2", "PMI_RANK": "1", "PMI_SIZE": "2"}
        self.assert_shard({**array(2, 0, 3), **step}, (5, 8), "Slurm array")

    def test_one_process_alone_is_the_whole(self):
        for environment in (
            {"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "1"},
            {"PMI_RANK": "0", "PMI_SIZE": "1"},
            {"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"},
        ):
            with self.subTest(environment=environment):
                self.assert_shard(environment, (0, 1))

    def test_what_is_asked_for_must_be_what_there_is(self):
        self.assert_shard(OMPI, (1, 2), shard="auto/2")
        self.refuse(OMPI, "OMPI_COMM_WORLD_SIZE", shard="auto/3")
        self.refuse(STEP, "Slurm step", shard="auto/5")
        self.refuse(AWS, "AWS_BATCH", shard="auto/2")

    def test_ranks_beyond_the_size_are_refused(self):
        for rank, size in (
            ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
            ("PMI_RANK", "PMI_SIZE"),
            ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
            ("AWS_BATCH_JOB_ARRAY_INDEX", "AWS_BATCH_JOB_ARRAY_SIZE"),
        ):
            for values in (("4", "4"), ("5", "4"), ("0", "0")):
                with self.subTest(rank=rank, values=values):
                    self.refuse({rank: values[0], size: values[1]}, "--shard")
        self.refuse(array(9, 0, 3), "Slurm array")
        self.refuse(array(0, 1, 4), "Slurm array")

    def test_products_beyond_64_bits_are_refused(self):
        # 4 * (2^62 + 1) is 4 again.
        self.refuse({**array(0, 0, 2**62), **STEP}, "SLURM_ARRAY_TASK_MAX")

    def test_a_rank_without_a_size_is_no_shard(self):
        self.refuse({"OMPI_COMM_WORLD_RANK": "1"})
        self.refuse({"PMI_RANK": "1"})
        self.refuse({"AWS_BATCH_JOB_ARRAY_INDEX": "1"})
        self.refuse({"SLURM_ARRAY_TASK_ID": "1"})

    def test_what_is_no_number_is_refused(self):
        for launcher in (OMPI, PMI, STEP, AWS, array(1, 0, 3)):
            for name in launcher:
                if name == "SLURM_ARRAY_JOB_ID":
                    continue
                for value in ("x", "1x", "-1", "1.5", "99999999999999999999"):
                    with self.subTest(name=name, value=value):
                        self.refuse({**launcher, name: value}, name)
        for value in ("x", "-1", "99999999999999999999"):
            self.refuse({"JOB_COMPLETION_INDEX": value}, "JOB_COMPLETION_INDEX", shard="auto/3")

    def test_a_number_beside_an_array(self):
        """All of the array: as without it. Some tasks of it run again: their numbers are those of the shards."""
        for first in (0, 1):
            for i in range(4):
                self.assert_shard(array(first + i, first, first + 3), (i, 4), shard="auto/4")
        self.assert_shard(array(2, 2, 2), (2, 4), shard="auto/4")
        self.assert_shard(array(3, 1, 3, 2), (3, 4), shard="auto/4")
        self.refuse(array(4, 4, 4), "numbered from 0", shard="auto/4")

    def test_malformed_shards_are_refused(self):
        words = "3 1/ /3 / 3/3 4/3 -1/3 1/-3 1/0 0/0 a/b 1/b 1/3x 1x/3 1/3/4 1//3 +1/3 1.0/3 1/99999999999999999999"
        words += " 99999999999999999999/3 auto/ auto/0 auto/x auto/-1 auto/3x auto/1/3 automatic"
        for word in ["", "1 / 3", " 1/3", *words.split()]:
            with self.subTest(word=word):
                # Launchers that would have an answer do not help.
                self.refuse({**OMPI, **KUBERNETES}, "--shard", shard=word)

    def test_the_share_is_what_a_run_computes(self):
        self.make_pictures(6)
        swept = []
        for i in range(3):
            environment = array(i + 1, 1, 3)
            said = self.salmap(0, "sweep", MODEL, "pictures", "-o", "run", "--shard", "auto", environment=environment)
            self.assertIn("Slurm array", said)
            swept += self.swept("run", i, 3)
        self.assertEqual(len(swept), 6)
        self.assertEqual(len(set(swept)), 6)


class Shards(Sweep):
    """The union of shards is what one run writes, byte for byte."""

    def check_shards(self, count, *arguments, code=0, **options):
        self.sweep("single", *arguments, code=code, **options)
        codes = set()
        for i in range(count):
            process = self.start(*self.command("run", "--shard", "%d/%d" % (i, count), *arguments, **options))
            process.communicate()
            codes.add(process.returncode)
        # Broken pictures are in some of them only.
        self.assertLessEqual(codes, {0, code})
        self.assertIn(code, codes)
        self.salmap(code, "merge", "run")
        self.assert_same_run("single", "run")

    def test_three_shards_in_one_folder(self):
        self.make_pictures(12)
        self.check_shards(3)

    def test_shards_at_the_same_time(self):
        self.make_pictures(20)
        self.sweep("single")
        processes = [
            self.start(*self.command("run", "--shard", shard, "--threads", "1"))
            for shard in ("0/4", "1/4", "2/4", "3/4")
        ]
        for process in processes:
            self.finish(process, 0)
        self.salmap(0, "merge", "run")
        self.assert_same_run("single", "run")

    def test_every_kind_of_file(self):
        self.make_pictures(8)
        for options in (
            ["--maps", "npz"],
            ["--maps", "png16", "--overlay-format", "jpeg"],
            ["--maps", "none", "--overlays", "none"],
            ["--target", "top:1", "--top-k", "1", "--colormap", "jet", "--sigma", "2"],
        ):
            with self.subTest(options=options):
                for run in ("single", "run"):
                    shutil.rmtree(self.path(run), ignore_errors=True)
                self.check_shards(3, *options)

    def test_a_manifest_keeps_its_columns(self):
        self.check_shards(3, pictures=LABELS)
        with open(self.path("run/results.csv")) as f:
            header = f.readline().split(",")
        self.assertEqual(header[:8], ["path", "label", "mask", "group", "code", "month", "second", "status"])

    def test_equal_names_are_numbered_as_in_one_run(self):
        for folder in ("a", "b", "c"):
            self.make_pictures(3, "pictures/" + folder)
        self.check_shards(3)
        names = sorted(os.listdir(self.path("run/maps/000")))
        self.assertEqual(names, sorted("p0%d%s.npy" % (i, n) for i in range(3) for n in ("", "-2", "-3")))

    def test_more_shards_than_pictures(self):
        self.make_pictures(2)
        self.check_shards(9)

    def test_failed_pictures(self):
        self.make_pictures(9, broken=(2, 5))
        self.check_shards(2, code=3)

    def test_folders_of_their_own(self):
        self.make_pictures(9)
        self.sweep("single")
        runs = ["r0", "r1", "r2"]
        self.sweep_shards(3, runs=runs)
        before = [contents(self.path(run)) for run in runs]
        self.salmap(0, "merge", *runs, "-o", "run")
        self.assert_same_run("single", "run")
        # Copied, not moved.
        self.assertEqual([contents(self.path(run)) for run in runs], before)

    def test_one_folder_merged_into_another(self):
        self.make_pictures(6)
        self.sweep("single")
        self.sweep_shards(2)
        self.salmap(0, "merge", "run", "-o", "other")
        self.assert_same_run("single", "other")
        self.assertFalse(os.path.exists(self.path("run/results.csv")))

    def test_exports_agree(self):
        self.make_pictures(6)
        self.check_shards(3)
        outputs = []
        for run in ("single", "run"):
            outputs.append([self.salmap(0, "export", run, kind) for kind in ("--csv", "--json")])
            with open(self.path(run, "results.csv")) as f:
                self.assertEqual(f.read(), outputs[-1][0])
        self.assertEqual(outputs[0], outputs[1])

    def test_overlays_of_the_top(self):
        self.make_pictures(12)
        self.check_shards(3, "--overlays", "top:3")
        self.assertEqual(self.count("run/overlays"), 3)

    def test_overlays_of_the_top_in_folders_of_their_own(self):
        self.make_pictures(12)
        self.sweep("single", "--overlays", "top:3")
        runs = ["r0", "r1", "r2"]
        self.sweep_shards(3, "--overlays", "top:3", runs=runs)
        self.salmap(0, "merge", *runs, "-o", "run")
        self.assert_same_run("single", "run")

    def test_overlays_of_wrong_predictions(self):
        self.check_shards(3, "--overlays", "wrong", "--tolerance", "0.2", pictures=LABELS, model=MODEL)
        with open(self.path("run/results.csv"), newline="") as f:
            wrong = [row["overlay_file"] for row in csv.DictReader(f) if row["correct"] == "0"]
        self.assertIn(len(wrong), range(1, 24))
        found = [os.path.relpath(os.path.join(folder, name), self.path("run"))
                 for folder, _, names in os.walk(self.path("run/overlays")) for name in names]
        self.assertEqual(sorted(found), sorted(wrong))

    def test_shards_by_hash_of_the_path(self):
        paths = self.make_pictures(16)
        lists = {"as_they_are": paths, "backwards": paths[::-1], "fewer": paths[3:11], "mixed": paths[8:] + paths[:8]}
        found = {}
        for name, operands in lists.items():
            found[name] = {}
            for i in range(3):
                self.sweep(name, "--shard", "%d/3" % i, pictures=operands)
                for path in self.swept(name, i, 3):
                    self.assertNotIn(path, found[name])
                    found[name][path] = i
        everything = found["as_they_are"]
        self.assertEqual(len(everything), 16)
        self.assertEqual(set(everything.values()), {0, 1, 2})
        self.assertEqual(found["backwards"], everything)
        self.assertEqual(found["mixed"], everything)
        self.assertEqual(len(found["fewer"]), 8)
        self.assertLess(found["fewer"].items(), everything.items())

    def test_a_shard_stopped_and_run_again(self):
        self.make_pictures(60)
        self.sweep_shards(2, only=[0])
        rest = sorted(set("p%02d.png" % i for i in range(60)) - set(self.swept("run", 0, 2)))
        self.assertEqual(len(rest), 26)
        # Held at its sixth, one like that of another shard, twice. Nobody else may work on the shard, nor merge it.
        with open(self.path("pictures", rest[5]), "wb") as f:
            f.write(b"no picture")
        taken = self.shard_file("run", 1, 2)[len(self.folder) + 1 :] + ": "
        for number, restart in ((signal.SIGTERM, []), (signal.SIGUSR1, ["--restart"])):
            process = self.hold_command(self.command("run", "--shard", "1/2", "--quiet", "--batch", "2", *restart),
                                        env=self.environment())
            in_use = taken + "in use by another salmap that is running: run again when it has ended"
            self.assertIn(in_use + "\n", self.sweep("run", "--shard", "1/2", code=1))
            self.refuse_merge("run", said=in_use)
            # It looks whether it is to stop once in a tenth of a second: it will as soon as it goes on.
            time.sleep(0.2)
            process.send_signal(number)
            said = self.let_go(process)
            self.assertEqual(process.returncode, 75, said)
            count = len(self.swept("run", 1, 2))
            # What is in flight is finished, twice three batches of two at most: see test_sweep_crash.py.
            self.assertIn(count, range(6, 6 + 13))
            self.refuse_merge("run", said=taken + "%d of its 26 pictures missing, such as %s: the shard is not finished, run it "
                                                  "again" % (26 - count, rest[count]))
        self.sweep("run", "--shard", "1/2", code=3)
        self.salmap(3, "merge", "run")
        self.sweep("single", code=3)
        self.assert_same_run("single", "run")


class Merge(Sweep):
    """What is refused, and with which words."""

    def test_wrong_usage(self):
        self.salmap(2, "merge", texts=["salmap: merge: no operands; expected RUN...\n"])
        self.make_pictures(4)
        self.sweep_shards(2, runs=["r0", "r1"])
        self.salmap(2, "merge", "r0", "r1", texts=["salmap: merge: several run folders are merged into another one: name it with -o\n"])

    def test_nothing_to_merge(self):
        os.mkdir(self.path("empty"))
        for run in ("absent", "empty"):
            gone = "%s: there are no shards in this folder: %s/shards: No such file or directory"
            self.refuse_merge(run, said=gone % (run, run))

    def test_a_missing_shard(self):
        self.make_pictures(8)
        self.sweep_shards(4, only=[0, 2, 3])
        self.refuse_merge("run", said="1 of 4 shards missing: 1/4: run 'salmap sweep' with --shard 1/4")
        self.sweep_shards(4, only=[1])
        self.salmap(0, "merge", "run")

    def test_a_missing_folder(self):
        self.make_pictures(8)
        self.sweep_shards(3, runs=["r0", "r1", "r2"])
        self.refuse_merge("r0", "r2", "-o", "run", said="1 of 3 shards missing: 1/3: run 'salmap sweep' with --shard 1/3")

    def test_a_shard_that_gave_up(self):
        self.make_pictures(40, broken=range(36))
        self.sweep_shards(2, "--batch", "1", only=[0], code=3)
        self.sweep("run", "--shard", "1/2", "--batch", "1", "--max-failures", "0", code=1)
        self.refuse_merge("run", said="run/shards/1-of-2.sqlite: 18 of its 19 pictures missing, such as p02.png: the shard is "
                                      "not finished, run it again")
        # Without the limit it goes on.
        self.sweep_shards(2, "--batch", "1", only=[1], code=3)
        self.salmap(3, "merge", "run")

    def test_failed_pictures_are_told(self):
        self.make_pictures(8, broken=[3])
        codes = set()
        for i in range(2):
            process = self.start(*self.command("run", "--shard", "%d/2" % i))
            process.communicate()
            codes.add(process.returncode)
        self.assertEqual(codes, {0, 3})
        for _ in range(2):
            self.salmap(3, "merge", "run")
        with open(self.path("run/results.csv"), newline="") as f:
            self.assertEqual([row["status"] for row in csv.DictReader(f)], ["ok"] * 3 + ["format"] + ["ok"] * 4)

    def test_shards_of_different_numbers(self):
        self.make_pictures(8)
        self.sweep("r0", "--shard", "0/2")
        self.sweep("r1", "--shard", "1/3")
        self.refuse_merge("r0", "r1", "-o", "run", 
                          said="r1/shards/1-of-3.sqlite: is one of 3 shards, others are of 2: they are of different runs")

    def test_a_refused_command_leaves_no_shard(self):
        self.make_pictures(8)
        self.sweep_shards(2, only=[0])
        self.sweep("run", "--shard", "1/2", "--sigma", "3", code=2)
        self.assertFalse(os.path.exists(self.shard_file("run", 1, 2)))
        self.sweep("run", "--shard", "1/2")
        self.salmap(0, "merge", "run")

    def different(self, setting, *arguments, **options):
        self.make_pictures(8)
        self.sweep("r0", "--shard", "0/2")
        self.sweep("r1", "--shard", "1/2", *arguments, **options)
        self.refuse_merge("r0", "r1", "-o", "run", said="r1/shards/1-of-2.sqlite: is of another run than "
                                                        "r0/shards/0-of-2.sqlite: %s here" % setting)

    def test_different_models(self):
        other = files.onnx_classifier(small_weights(scale=2), "Softmax")
        self.different("model_sha256 is " + hashlib.sha256(other).hexdigest(), model=self.write("other.onnx", other))

    def test_different_options(self):
        self.different("option.sigma is 3", "--sigma", "3")

    def test_different_files(self):
        self.different("option.maps is npz", "--maps", "npz")

    def test_different_preprocessing(self):
        self.different("option.mean is 0.5", "--mean", "0.5")

    def test_different_lists(self):
        self.make_pictures(8)
        self.sweep("r0", "--shard", "0/2")
        self.make_pictures(9)
        self.sweep("r1", "--shard", "1/2")
        self.refuse_merge("r0", "r1", "-o", "run",
                          said="r1/shards/1-of-2.sqlite: is of another list of pictures than r0/manifest.csv")

    def test_the_same_shard_twice(self):
        self.make_pictures(8)
        self.sweep("r0", "--shard", "0/2")
        self.sweep("r1", "--shard", "1/2")
        shutil.copytree(self.path("r0"), self.path("again"))
        for runs in (["r0", "again", "r1"], ["r0", "r1", "r0"]):
            with self.subTest(runs=runs):
                other = "again" if "again" in runs else "r0"
                self.refuse_merge(*runs, "-o", "run", said="shard 0/2 is there twice: r0/shards/0-of-2.sqlite and "
                                                           "%s/shards/0-of-2.sqlite" % other)

    def test_files_that_are_gone(self):
        self.make_pictures(8)
        for folder in ("maps", "overlays"):
            with self.subTest(folder=folder):
                shutil.rmtree(self.path("run"), ignore_errors=True)
                self.sweep_shards(2)
                self.assertEqual(len(os.listdir(self.path("run", folder, "000"))), 8)
                name = "run/%s/000/p03.%s" % (folder, "npy" if folder == "maps" else "overlay.jpg")
                os.remove(self.path(name))
                gone = name + ": is gone, and run/shards/1-of-2.sqlite names it: run that shard again with --restart"
                self.refuse_merge("run", said=gone)
                self.refuse_merge("run", "-o", "other", said=gone)

    def test_files_that_are_gone_after_a_merge(self):
        self.make_pictures(4)
        self.sweep_shards(2)
        self.salmap(0, "merge", "run")
        os.remove(self.path("run/maps/000/p02.npy"))
        self.salmap(1, "merge", "run", texts=["run/maps/000/p02.npy: is gone, and run/shards/1-of-2.sqlite names it: run that shard "
                                            "again with --restart\n"])

    def test_damaged_shards(self):
        self.make_pictures(8)
        self.sweep_shards(2)
        path = self.shard_file("run", 1, 2)
        good = self.read(path)
        noise = bytes((i * 167 + 13) % 256 for i in range(len(good)))
        middle = len(good) // 2
        # What SQLite finds first, and how it says so, is in brackets.
        damaged = r"is damaged, or no results of salmap \(.+\)"
        for name, data, text in (
            ("empty", b"", "holds no results: run that shard again with --restart"),
            ("text", b"no database\n", damaged),
            ("noise", noise, damaged),
            ("noise after the header", good[:100] + noise[100:], damaged),
            ("cut", good[:middle], damaged),
            ("half noise", good[:middle] + noise[middle:], damaged),
        ):
            with self.subTest(name=name):
                for rest in ("-wal", "-shm", "-journal"):
                    if os.path.exists(path + rest):
                        os.remove(path + rest)
                with open(path, "wb") as f:
                    f.write(data)
                said = self.salmap(1, "merge", "run")
                self.assertRegex(said, r"\Asalmap: merge: run/shards/1-of-2\.sqlite: %s\n\Z" % text)
                self.assertFalse(os.path.exists(self.path("run/results.csv")))
        with open(path, "wb") as f:
            f.write(good)
        self.salmap(0, "merge", "run")

    def edit(self, *statements):
        with closing(sqlite3.connect(self.shard_file("run", 1, 2))) as base:
            for statement in statements:
                base.execute(statement)
            base.commit()

    def test_a_picture_that_is_not_there(self):
        self.make_pictures(8)
        self.sweep_shards(2)
        path = os.path.basename(self.swept("run", 1, 2)[0])
        self.edit("DELETE FROM pictures WHERE id = (SELECT min(id) FROM pictures)")
        self.refuse_merge("run", said="run/shards/1-of-2.sqlite: 1 of its 4 pictures missing, such as %s: the shard is not "
                                      "finished, run it again" % path)

    def test_a_shard_in_place_of_another(self):
        self.make_pictures(8)
        self.sweep_shards(2, only=[0])
        shutil.copy(self.shard_file("run", 0, 2), self.shard_file("run", 1, 2))
        self.refuse_merge("run", said="run/shards/1-of-2.sqlite: is not the shard that its name says")

    def test_merged_twice(self):
        self.make_pictures(8)
        self.sweep("single")
        self.sweep_shards(2)
        for _ in range(2):
            self.salmap(0, "merge", "run")
            self.assert_same_run("single", "run")
        for _ in range(2):
            self.salmap(0, "merge", "run", "-o", "other")
            self.assert_same_run("single", "other")

    def test_a_merged_run_is_complete(self):
        self.make_pictures(6)
        self.sweep_shards(2)
        self.salmap(0, "merge", "run")
        before = contents(self.path("run"))
        # Shards that are there already have nothing to do.
        self.sweep_shards(2)
        self.salmap(0, "merge", "run")
        self.assertEqual(contents(self.path("run")), before)


if __name__ == "__main__":
    main(sys.modules[__name__])
