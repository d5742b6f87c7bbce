#!/usr/bin/env python3
"""The program on the emulated device: TEST EMULATED_SALMAP SOURCE [GROUP...]."""

import glob
import json
import math
import os
import random
import re
import struct
import subprocess
import sys
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../cli"))

import files  # noqa: E402
import harness  # noqa: E402
from harness import SCALES, SOURCE, Case  # noqa: E402

HONEST = os.path.join(SOURCE, "data/models/scale_age_honest.onnx")
SHORTCUT = os.path.join(SOURCE, "data/models/scale_age_shortcut.onnx")
PICTURES = [os.path.join(SCALES, "scale_%02d.png" % k) for k in (0, 2, 7)]


def small_classifier(side=16):
    """Two convolutions with everything around them that the back end treats apart, on (3, side, side)."""
    dice = random.Random(4)
    numbers = lambda n: [dice.uniform(-0.5, 0.5) for _ in range(n)]
    ints = files.onnx_ints
    window = [ints("kernel_shape", [3, 3]), ints("pads", [1] * 4)]
    one = lambda name, value: files.put(1, name) + files.put(3, value) + files.put(20, 2)
    nodes = [
        files.onnx_node("Conv", ["x", "w1", "b1"], "conv1", window),
        files.onnx_node("Relu", ["conv1"], "relu1"),
        files.onnx_node("MaxPool", ["relu1"], "pool", [ints("kernel_shape", [2, 2]), ints("strides", [2, 2])]),
        files.onnx_node("Conv", ["pool", "w2", "b2"], "depthwise", window + [one("group", 8)]),
        files.onnx_node("Sigmoid", ["depthwise"], "gate"),
        files.onnx_node("Mul", ["pool", "gate"], "gated"),
        files.onnx_node("Conv", ["gated", "w3", "b3"], "conv3", window),
        files.onnx_node("Add", ["conv3", "gated"], "sum"),
        files.onnx_node("Relu", ["sum"], "relu3"),
        files.onnx_node("GlobalAveragePool", ["relu3"], "mean"),
        files.onnx_node("Flatten", ["mean"], "flat"),
        files.onnx_node("Gemm", ["flat", "w4", "b4"], "y", [one("transB", 1)]),
    ]
    shapes = {"w1": (8, 3, 3, 3), "b1": (8,), "w2": (8, 1, 3, 3), "b2": (8,), "w3": (8, 8, 3, 3), "b3": (8,),
              "w4": (5, 8), "b4": (5,)}  # fmt: skip
    tensors = [files.onnx_tensor(name, shape, numbers(math.prod(shape))) for name, shape in shapes.items()]
    graph = b"".join(files.put(1, n) for n in nodes) + files.put(2, "small")
    graph += b"".join(files.put(5, t) for t in tensors)
    graph += files.put(11, files.onnx_value("x", (1, 3, side, side))) + files.put(12, files.onnx_value("y", (1, 5)))
    return files.put(1, 7) + files.put(2, "salmap tests") + files.put(7, graph) + files.put(8, files.put(1, "") + files.put(2, 13))


def distance(a, b):
    """Relative L2 of two .npy files; NaN is far away."""
    (shape, x), (other, y) = files.read_npy(a), files.read_npy(b)
    assert shape == other, (a, b)
    norm = math.sqrt(sum(v * v for v in y))
    found = math.sqrt(sum((u - v) ** 2 for u, v in zip(x, y))) / (norm or 1.0)
    return found if found == found else math.inf


def rgb_rows(path):
    """Bytes of an 8-bit RGB PNG, its filters undone."""
    with open(path, "rb") as f:
        data = f.read()
    width, height, depth, kind = struct.unpack(">IIBB", data[16:26])
    assert (depth, kind) == (8, 2), path
    at, packed = 8, b""
    while at < len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        if data[at + 4 : at + 8] == b"IDAT":
            packed += data[at + 8 : at + 8 + size]
        at += size + 12
    raw, out, above = zlib.decompress(packed), [], bytes(width * 3)
    for y in range(height):
        filter_type, row = raw[y * (width * 3 + 1)], bytearray(raw[y * (width * 3 + 1) + 1 : (y + 1) * (width * 3 + 1)])
        for i in range(len(row)):
            left = row[i - 3] if i >= 3 else 0
            up, corner = above[i], above[i - 3] if i >= 3 else 0
            if filter_type == 1:
                row[i] = (row[i] + left) & 255
            elif filter_type == 2:
                row[i] = (row[i] + up) & 255
            elif filter_type == 3:
                row[i] = (row[i] + (left + up) // 2) & 255
            elif filter_type == 4:
                guess = left + up - corner
                by = {abs(guess - corner): corner, abs(guess - up): up}
                by[abs(guess - left)] = left
                best = min(abs(guess - left), abs(guess - up), abs(guess - corner))
                near = left if abs(guess - left) == best else up if abs(guess - up) == best else corner
                row[i] = (row[i] + near) & 255
        out.append(bytes(row))
        above = bytes(row)
    return b"".join(out)


class Emulated(Case):
    def setUp(self):
        super().setUp()
        self.cache = os.path.join(self.folder, "cache")
        os.mkdir(self.cache)

    def start(self, *arguments, **environment):
        """A run, with no plans left over from others."""
        variables = dict(os.environ, XDG_CACHE_HOME=self.cache, OMP_WAIT_POLICY="passive")
        for name, value in environment.items():
            variables["SAL_EMU_" + name] = str(value)
        done = subprocess.run(
            [harness.SALMAP, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.folder,
            timeout=600, env=variables, encoding="utf-8", errors="surrogateescape",
        )  # fmt: skip
        self.assertNotRegex(done.stderr, "Sanitizer|runtime error:")
        self.assertGreaterEqual(done.returncode, 0, "%r: %s" % (arguments, done.stderr))
        self.assertNotEqual(done.returncode, 86, "left objects behind: " + done.stderr)
        return done

    def results(self, name, *arguments, model=HONEST, pictures=PICTURES, **environment):
        out = os.path.join(self.folder, name)
        done = self.start("explain", model, *pictures, "-o", out, "--json", *arguments, **environment)
        self.assertEqual(done.returncode, 0, done.stderr)
        return out, done

    def compare(self, out, reference, tolerance=1e-4, level=2):
        names = sorted(os.listdir(reference))
        self.assertEqual(sorted(os.listdir(out)), names)
        for name in names:
            a, b = os.path.join(out, name), os.path.join(reference, name)
            if name.endswith(".npy"):
                self.assertLessEqual(distance(a, b), tolerance, name)
            elif level is not None:
                x, y = rgb_rows(a), rgb_rows(b)
                self.assertEqual(len(x), len(y), name)
                # A step of the colour map may be crossed here and there.
                far = sum(abs(u - v) > level for u, v in zip(x, y))
                self.assertLessEqual(far, len(x) // 500, name)


class Equality(Emulated):
    def check(self, *arguments, tolerance=1e-4, level=2, gpu=(), **rest):
        reference, one = self.results("cpu", "--device", "cpu", *arguments, **rest)
        out, two = self.results("gpu", "--device", "cuda:0", *arguments, *gpu, **rest)
        self.compare(out, reference, tolerance, level)
        for a, b in zip(one.stdout.splitlines(), two.stdout.splitlines()):
            a, b = json.loads(a), json.loads(b)
            for x, y in zip(a.get("maps", []), b.get("maps", [])):
                self.assertEqual(x["target"], y["target"])
                self.assertAlmostEqual(x["score"], y["score"], delta=max(tolerance, 1e-4) * (1 + abs(x["score"])))

    def test_both_demo_networks(self):
        self.check("--save-gradient")
        self.check("--save-gradient", model=SHORTCUT)

    def test_options_of_maps(self):
        self.check("--normalize", "none", "--reduce", "l2", "--sigma", "3.5", "--modifier", "none", "--colormap", "jet")
        self.check("--modifier", "relu", "--reduce", "mean", "--sigma", "0", level=None)

    def test_rules_and_targets(self):
        for rule in ("guided", "deconvnet", "rectified"):
            self.check("--rule", rule, pictures=PICTURES[:1])

    def test_many_targets(self):
        model = self.write("small.onnx", small_classifier(32))
        self.check("--target", "top:3", "--preset", "unit", "--batch", "2", model=model)

    def test_figures_and_partial_batches(self):
        self.check("--figure", "--batch", "2", level=4)

    def test_half_precisions_come_close(self):
        # Relative to float32; the tests of single steps are the strict ones.
        self.check(gpu=("--precision", "fp16"), tolerance=0.05, level=None)
        self.check(gpu=("--precision", "bf16"), tolerance=0.2, level=None)

    def test_precision_is_said(self):
        for precision in ("fp32", "tf32", "bf16", "fp16"):
            done = self.start("plan", HONEST, "--device", "cuda:0", "--precision", precision)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(precision, done.stdout)


class Streams(Emulated):
    """What depends on the order of streams or threads, on timing or on what came before would differ."""

    def test_any_order_gives_the_same_bytes(self):
        arguments = ("--device", "cuda:0", "--batch", "2")
        reference, _ = self.results("lazy", *arguments)
        modes = [{"STREAMS": "eager"}, {"STREAMS": 2}, {"STREAMS": 3, "ORDER": 3}, {"ORDER": "reverse"}]
        for k, mode in enumerate(modes):
            out, _ = self.results("mode%d" % k, *arguments, **mode)
            for name in os.listdir(reference):
                self.assertEqual(
                    self.read(os.path.join(out, name)), self.read(os.path.join(reference, name)), (mode, name)
                )

    def test_a_picture_is_bitwise_the_same_in_any_company(self):
        alone, _ = self.results("alone", "--device", "cuda:0", "--batch", "3", pictures=PICTURES[1:2])
        all_of_them, _ = self.results("all", "--device", "cuda:0", "--batch", "3")
        for name in os.listdir(alone):
            self.assertEqual(self.read(os.path.join(alone, name)), self.read(os.path.join(all_of_them, name)), name)

    def test_every_way_round_a_missing_engine(self):
        reference, _ = self.results("cpu", "--device", "cpu", pictures=PICTURES[:1])
        for missing in ("forward", "backward", "all", "none"):
            out, _ = self.results("gpu-" + missing, "--device", "cuda:0", pictures=PICTURES[:1], UNFUSED=missing)
            # A ReLU at the edge may fall to the other side.
            self.compare(out, reference, 5e-3, level=None)


class Memory(Emulated):
    def test_the_batch_is_halved_and_said_once(self):
        reference, _ = self.results("cpu", "--device", "cpu")
        out, done = self.results("gpu", "--device", "cuda:0", "--batch", "64", MEMORY=24 << 20)
        self.compare(out, reference)
        self.assertEqual(len(re.findall("batch", done.stderr)), 1, done.stderr)

    def test_relus_are_kept_as_bits_where_memory_is_short(self):
        def plan(**environment):
            done = self.start("plan", HONEST, "--device", "cuda:0", "--batch", "16", "--json", **environment)
            self.assertEqual(done.returncode, 0, done.stderr)
            return json.loads(done.stdout)

        ample = plan()
        short = plan(MEMORY=ample["arena_bytes"])
        self.assertLess(short["kept_bytes"], ample["kept_bytes"] / 4)
        self.assertEqual([p["batch"] for p in (ample, short)], [16, 16])
        for rest in ({}, {"UNFUSED": "backward"}):
            one, _ = self.results("ample", "--device", "cuda:0", "--batch", "16", "--save-gradient", **rest)
            two, _ = self.results(
                "short", "--device", "cuda:0", "--batch", "16", "--save-gradient", MEMORY=ample["arena_bytes"], **rest
            )
            self.compare(one, two, 1e-5)

    def test_too_little_for_one_picture(self):
        done = self.start("explain", HONEST, PICTURES[0], "-o", self.out, "--device", "cuda:0", MEMORY=1 << 20)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"GPU|MiB may be used")
        self.assertEqual(self.outputs(), [])


class Faults(Emulated):
    """Each call that can fail does, in turn: a clear error or a documented way round it, no leak, no wrong output."""

    def setUp(self):
        super().setUp()
        self.model = self.write("small.onnx", small_classifier())
        self.pictures = [self.write("p%d.png" % k, files.gradient_png(20, 14, k + 1)) for k in range(3)]
        self.arguments = ["explain", self.model, *self.pictures, "--preset", "unit", "--device", "cuda:0", "--batch", "1",
                          "--normalize", "none", "--colormap", "jet"]  # fmt: skip

    def run_faults(self, step, sticky):
        reference = os.path.join(self.folder, "good")
        self.assertEqual(self.start(*self.arguments, "-o", reference).returncode, 0)
        names = set(os.listdir(reference))
        ways = {"recovered": 0, "failed": 0}
        n = 1
        while True:
            out = os.path.join(self.folder, "out%d" % n)
            for left in glob.glob(os.path.join(self.cache, "**/*.json"), recursive=True):
                os.remove(left)
            extra = {"STICKY": 1} if sticky else {}
            done = self.start(*self.arguments, "-o", out, FAIL=n, **extra)
            where = "call %d: %s" % (n, done.stderr)
            if "nothing failed" in done.stderr:
                self.assertEqual(done.returncode, 0, where)
                break
            self.assertIn(done.returncode, (0, 1, 3), where)
            written = set(os.listdir(out)) if os.path.isdir(out) else set()
            self.assertLessEqual(written, names, where)
            for name in written:
                if name.endswith(".npy"):
                    self.assertLessEqual(
                        distance(os.path.join(out, name), os.path.join(reference, name)), 1e-4, where + name
                    )
                else:
                    self.assertEqual(self.read(os.path.join(out, name))[-8:-4], b"IEND", where)
            if done.returncode == 0:
                self.assertEqual(written, names, where)
                ways["recovered"] += 1
            else:
                self.assertRegex(done.stderr, r"CUDA|cuDNN|cuBLAS|GPU", where)
                ways["failed"] += 1
            n += step
        self.assertGreater(n, 200)
        self.assertGreater(ways["failed"], 20)
        return ways

    def test_each_call_fails_once(self):
        ways = self.run_faults(1, sticky=False)
        # Plans of cuDNN have their ways round.
        self.assertGreater(ways["recovered"], 20)

    def test_the_device_is_lost(self):
        self.run_faults(3, sticky=True)

    def test_failed_plans_are_not_kept(self):
        recovered = 0
        for n in range(1, 400):
            done = self.start(*self.arguments, "-o", self.out, FAIL=n)
            if done.returncode != 0:
                continue
            plan = self.start("plan", self.model, "--device", "cuda:0", "--steps")
            self.assertIn("cudnn, fused", plan.stdout, n)
            self.assertNotIn("direct", plan.stdout, n)
            recovered += 1
            if recovered == 5:
                break
        self.assertEqual(recovered, 5)


class Devices(Emulated):
    def test_a_device_that_is_not_there(self):
        done = self.start("explain", HONEST, PICTURES[0], "-o", self.out, "--device", "cuda:7")
        self.assertIn(done.returncode, (1, 2))
        self.assertIn("cuda:7", done.stderr)

    def test_the_second_device(self):
        one, _ = self.results("one", "--device", "cuda:0", pictures=PICTURES[:1])
        two, _ = self.results("two", "--device", "cuda:1", pictures=PICTURES[:1])
        self.compare(one, two, 0.0, 0)

    def many_pictures(self, count=23):
        # More than one batch for each; the sizes differ, so that overlays do.
        return [self.write("p%02d.png" % k, files.gradient_png(20 + k, 14, k + 1)) for k in range(count)]

    def test_two_devices_share_the_work(self):
        model, pictures = self.write("small.onnx", small_classifier()), self.many_pictures()
        options = ("--preset", "unit", "--batch", "2")
        one, _ = self.results("one", "--device", "cuda:0", *options, model=model, pictures=pictures)
        for devices in ("cuda:0,cuda:1", "cuda:all"):
            out, done = self.results(devices, "--device", devices, *options, model=model, pictures=pictures)
            self.compare(out, one, 0.0, 0)
            self.assertEqual([json.loads(line)["picture"] for line in done.stdout.splitlines()], pictures)

    def test_a_device_that_is_lost_leaves_its_pictures_to_the_other(self):
        model, pictures = self.write("small.onnx", small_classifier()), self.many_pictures(11)
        arguments = ["explain", model, *pictures, "--preset", "unit", "--batch", "2"]
        good = os.path.join(self.folder, "good")
        self.assertEqual(self.start(*arguments, "-o", good, "--device", "cuda:0").returncode, 0)
        lost = 0
        for n in range(1000, 5000, 61):
            out = os.path.join(self.folder, "out%d" % n)
            done = self.start(*arguments, "-o", out, "--device", "cuda:0,cuda:1", FAIL=n, STICKY=1)
            if "nothing failed" in done.stderr:
                break
            if done.returncode == 0:
                self.compare(out, good, 1e-4, None)
                lost += bool(re.search(r"lost a device.*: cuda:[01]: emulated device", done.stderr))
            else:
                self.assertRegex(done.stderr, "CUDA|cuDNN|cuBLAS")
        self.assertGreater(lost, 3)

    def test_lists_of_devices_are_checked(self):
        for devices, text in (("cuda:0,cuda:0", "twice"), ("cuda:0,cpu", "only GPUs"), ("cuda:0,", "only GPUs")):
            done = self.start("explain", HONEST, PICTURES[0], "-o", self.out, "--device", devices)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(text, done.stderr)

    def test_auto_takes_the_gpu(self):
        done = self.start("plan", HONEST, "--json")
        self.assertIn("emulated device", done.stdout)

    def test_the_doctor_lists_them(self):
        done = self.start("doctor")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"cuda:0\s+ok\s+emulated device")
        self.assertRegex(done.stdout, r"cuda:1\s+ok\s+emulated device")


if __name__ == "__main__":
    harness.main(sys.modules[__name__])
