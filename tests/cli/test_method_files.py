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


def pooled(channels, pool="MaxPool", kernel=3, stride=1, behind=0):
    """A convolution of the picture, one of `channels` both ways, a pool, and `behind` more such convolutions."""
    def conv(k, inputs, size, step):
        window = [files.onnx_ints("kernel_shape", [size] * 2), files.onnx_ints("strides", [step] * 2), files.onnx_ints("pads", [size // 2] * 4)]
        nodes.append(files.onnx_node("Conv", ["x" if not nodes else nodes_out[-1], "w%d" % k], "c%d" % k, window))
        nodes_out.append("c%d" % k)
        values = [((7 * i + k) % 11 - 5) / 500 for i in range(channels * inputs * size * size)]
        tensors.append(files.onnx_tensor("w%d" % k, (channels, inputs, size, size), values))

    nodes, nodes_out, tensors = [], [], []
    conv(0, 3, 3, 2)
    conv(1, channels, kernel, stride)
    nodes.append(files.onnx_node(pool, nodes_out[-1:], "p", [files.onnx_ints("kernel_shape", [2, 2]), files.onnx_ints("strides", [2, 2])]))
    nodes_out.append("p")
    for k in range(behind):
        conv(2 + k, channels, 3, 1)
    nodes.append(files.onnx_node("GlobalAveragePool", nodes_out[-1:], "mean"))
    nodes.append(files.onnx_node("Flatten", ["mean"], "y"))
    graph = b"".join(files.put(1, n) for n in nodes) + files.put(2, "pooled") + b"".join(files.put(5, t) for t in tensors)
    graph += files.put(11, files.onnx_value("x", (1, 3, 16, 16))) + files.put(12, files.onnx_value("y", (1, channels)))
    return files.put(1, 7) + files.put(2, "salmap tests") + files.put(7, graph) + files.put(8, files.put(1, "") + files.put(2, 13))


class Arithmetic(Case):
    """Which bits a picture gets is a setting of the run, where there was more than one way."""

    def options_of(self, run, *options, model=MODEL):
        folder = os.path.join(self.folder, run)
        self.check(["sweep", model, SCALE, "-o", folder, "-q", *(["--preset", "unit"] if model != MODEL else []), *options], 0)
        with contextlib.closing(sqlite3.connect(os.path.join(folder, "results.sqlite"))) as results:
            return dict(results.execute("SELECT key, value FROM run WHERE key GLOB 'option.*'"))

    def test_methods_of_many_passes_tell_it(self):
        self.assertEqual(self.options_of("path", *PATH)["option.arithmetic"], "2")
        self.assertEqual(self.options_of("noise", "--method", "vargrad", "--samples", "2")["option.arithmetic"], "2")
        for run, options in (("exact", [*PATH, "--exact"]), ("gradient", []), ("cam", ["--method", "grad-cam"])):
            self.assertNotIn("option.arithmetic", self.options_of(run, *options))

    def arithmetic_of(self, name, *options, **network):
        model = self.write(name + ".onnx", pooled(**network))
        return self.options_of(name, *options, model=model).get("option.arithmetic", "1")

    def test_networks_with_wide_convolutions_before_a_max_pool_tell_it(self):
        """Versions before gave those other bits, on some machine or other; --exact is as it was."""
        for k, options in enumerate(([], PATH, ["--method", "grad-cam"])):
            self.assertEqual(self.arithmetic_of("wide%d" % k, *options, channels=64), "3")
            self.assertEqual(self.arithmetic_of("exact%d" % k, "--exact", *options, channels=64), "1")
        self.assertEqual(self.arithmetic_of("rounded", channels=49), "3")  # 64 in memory, in blocks of 16

    def test_other_networks_are_as_they_were(self):
        for name, network in (("narrow", {"channels": 48}), ("average", {"channels": 64, "pool": "AveragePool", "behind": 1}),
                              ("large", {"channels": 64, "kernel": 5}), ("one", {"channels": 64, "kernel": 1}),
                              ("strided", {"channels": 64, "stride": 2}),
                              ("behind", {"channels": 64, "kernel": 1, "behind": 2})):
            self.assertEqual(self.arithmetic_of(name, **network), "1", name)
            self.assertEqual(self.arithmetic_of("many " + name, *PATH, **network), "2", name)

    def test_a_run_of_another_version_is_not_gone_on_with(self):
        self.arithmetic_of("run", channels=64)
        run = os.path.join(self.folder, "run")
        with contextlib.closing(sqlite3.connect(os.path.join(run, "results.sqlite"))) as results:
            self.assertEqual(results.execute("DELETE FROM run WHERE key = 'option.arithmetic'").rowcount, 1)
            results.commit()
        self.check(["sweep", os.path.join(self.folder, "run.onnx"), SCALE, "-o", run, "-q", "--preset", "unit"], 2,
                   "begun by a version whose maps differ in last digits (arithmetic 1, now 3)")

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
