"""Methods and files: baselines that are read, layers that are named, runs that are stopped between two passes."""

import contextlib
import json
import os
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys

import files
import harness
from harness import MODEL, SCALES, Case, main

PATH = ("--method", "integrated-gradients", "--steps", "3")
SCALE = os.path.join(SCALES, "scale_00.png")


class Baselines(Case):
    def setUp(self):
        super().setUp()
        self.baseline = self.path("base.png")
        shutil.copy(os.path.join(SCALES, "scale_01.png"), self.baseline)
        self.pictures = self.path("pictures")
        os.mkdir(self.pictures)
        shutil.copy(SCALE, self.pictures)

    def path(self, name):
        return os.path.join(self.folder, name)

    def sweep(self, *options, code=0, run="run"):
        return self.check(["sweep", MODEL, self.pictures, "-o", self.path(run), "-q", *PATH, *options], code)

    def tree(self, folder):
        found = {}
        for where, _, names in os.walk(folder):
            for name in names:
                path = os.path.join(where, name)
                found[os.path.relpath(path, folder)] = self.read(path)
        return found

    def test_a_bad_one_begins_and_removes_nothing(self):
        self.sweep("--baseline", self.baseline)
        before = self.tree(self.path("run"))
        bad = self.write("bad.png", self.read(self.baseline)[:500])
        for options in ((), ("--restart",)):
            self.sweep("--baseline", bad, *options, code=1)
            after = self.tree(self.path("run"))
            self.assertEqual({k: v for k, v in before.items() if "sqlite" not in k}, {k: v for k, v in after.items() if "sqlite" not in k})
        self.sweep("--baseline", bad, code=1, run="new")
        self.assertFalse(os.path.exists(os.path.join(self.path("new"), "run.json")))

    def test_no_file_is_told_by_the_option(self):
        for command in (("explain", MODEL, SCALE), ("sweep", MODEL, self.pictures)):
            self.check(
                [*command, "-o", self.path("o"), *PATH, "--baseline", "Black"], 2,
                "--baseline: 'Black' is none of zero, black, white, mean, blur, nor a file that can be read",
            )  # fmt: skip

    def test_it_is_never_written_over(self):
        out = self.path("out")
        os.mkdir(out)
        own = os.path.join(out, "scale_00.overlay.png")
        shutil.copy(self.baseline, own)
        self.check(["explain", MODEL, SCALE, "-o", out, *PATH, "--baseline", own], 0)
        self.assertEqual(self.read(own), self.read(self.baseline))
        self.assertIn("scale_00-2.overlay.png", os.listdir(out))
        # A run's own overlay would go with --restart.
        self.sweep("--baseline", self.baseline)
        own = os.path.join(self.path("run"), "overlays/000/scale_00.overlay.jpg")
        done = self.sweep("--baseline", own, "--restart", code=2)
        self.assertIn("lies where results go", done.err)
        self.assertTrue(os.path.exists(own))

    def test_another_one_of_its_name_is_another_run(self):
        self.sweep("--baseline", self.baseline)
        shutil.copy(os.path.join(SCALES, "scale_02.png"), self.baseline)
        done = self.sweep("--baseline", self.baseline, code=2)
        self.assertIn("the picture of --baseline has changed since the run was begun", done.err)

    def test_the_run_says_how_it_is_made_again(self):
        self.sweep("--baseline", self.baseline)
        command = json.loads(self.read(os.path.join(self.path("run"), "run.json")))["again"]
        words = shlex.split(command.replace("AGAIN", shlex.quote(self.path("again"))))
        self.check(words[1:], 0)
        self.assertEqual(self.read(os.path.join(self.path("run"), "results.csv")), self.read(os.path.join(self.path("again"), "results.csv")))

    def test_padding_is_no_part_of_the_picture(self):
        """Rows that a letterbox pads have no attribution, whatever the baseline does to the picture."""
        wide = self.write("wide.png", files.gradient_png(120, 40))
        for baseline in ("black", "white", "mean", "blur"):
            self.explain(wide, "--preset", "unit", "--fit", "letterbox", "--fill", "77", *PATH, "--baseline", baseline, "--save-gradient")
            shape, values = files.read_npy(os.path.join(self.out, "wide.gradient.npy"))
            _, height, width = shape
            rows = [any(values[y * width : (y + 1) * width]) for y in range(height)]
            self.assertEqual(sum(rows), height // 3, baseline)
            self.assertFalse(rows[0] or rows[-1], baseline)


class Arithmetic(Case):
    """Which bits a picture gets is a setting of the run, where there was more than one way."""

    def options_of(self, run, *options):
        folder = os.path.join(self.folder, run)
        self.check(["sweep", MODEL, SCALE, "-o", folder, "-q", *options], 0)
        with contextlib.closing(sqlite3.connect(os.path.join(folder, "results.sqlite"))) as results:
            return dict(results.execute("SELECT key, value FROM run WHERE key GLOB 'option.*'"))

    def test_methods_of_many_passes_tell_it(self):
        self.assertEqual(self.options_of("path", *PATH)["option.arithmetic"], "2")
        self.assertEqual(self.options_of("noise", "--method", "vargrad", "--samples", "2")["option.arithmetic"], "2")
        for run, options in (("exact", [*PATH, "--exact"]), ("gradient", []), ("cam", ["--method", "grad-cam"])):
            self.assertNotIn("option.arithmetic", self.options_of(run, *options))

    def test_another_method_is_told_as_such(self):
        self.options_of("run", *PATH)
        self.check(["sweep", MODEL, SCALE, "-o", os.path.join(self.folder, "run")], 2, "was begun with another --method: integrated-gradients, now gradient")


class Stopping(Case):
    def test_a_sweep_stops_between_two_passes_and_goes_on(self):
        """A million samples would take days."""
        out = os.path.join(self.folder, "run")
        command = ["sweep", MODEL, SCALES, "-o", out, "--method", "smoothgrad", "--samples", "1000000"]
        for _ in range(2):
            process = self.beside([harness.SALMAP, *command, "--json"], stdout=subprocess.PIPE, encoding="utf-8")
            for line in process.stdout:
                if json.loads(line)["event"] == "progress":
                    break
            process.send_signal(signal.SIGTERM)
            process.stdout.read()
            self.assertEqual(process.wait(timeout=200), 75)
        self.assertEqual(os.listdir(os.path.join(out, "maps")) if os.path.exists(os.path.join(out, "maps")) else [], [])


if __name__ == "__main__":
    main(sys.modules[__name__])
