#!/usr/bin/env python3
"""The program on the emulated device: TEST EMULATED_SALMAP SOURCE [GROUP...]."""

import ctypes
import glob
import json
import math
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../cli"))

import files  # noqa: E402
import harness  # noqa: E402
import models  # noqa: E402
from harness import SCALES, SOURCE, Case  # noqa: E402

HONEST = os.path.join(SOURCE, "data/models/scale_age_honest.onnx")
SHORTCUT = os.path.join(SOURCE, "data/models/scale_age_shortcut.onnx")
# Whatever the library and the call: which it was, and what it said.
FAILED_CALL = r"(^|\n)salmap: explain: .*\b(CUDA|cuDNN|cuBLAS\w*): \w+: \S"
# Where the first call fails, of all that ask for GPUs.
NO_GPU = r"\Asalmap: explain: device 'cuda:0': no NVIDIA GPU is to be found here \(.+\)\n\Z"
PICTURES = [os.path.join(SCALES, "scale_%02d.png" % k) for k in (0, 2, 7)]


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


class Opened:
    """How often a file is opened meanwhile, as Linux tells it (inotify)."""

    def __init__(self, path):
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert self.fd >= 0 and libc.inotify_add_watch(self.fd, os.fsencode(path), 0x20) >= 0, ctypes.get_errno()

    def __enter__(self):
        return self.count

    def count(self):
        events = b""
        while True:
            try:
                events += os.read(self.fd, 65536)
            except BlockingIOError:
                return len(events) // 16  # of a file itself: without a name

    def __exit__(self, *_):
        pass


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


class Compared(Emulated):
    def check(self, *arguments, tolerance=1e-4, level=2, gpu=(), **rest):
        reference, one = self.results("cpu", "--device", "cpu", *arguments, **rest)
        out, two = self.results("gpu", "--device", "cuda:0", *arguments, *gpu, **rest)
        self.compare(out, reference, tolerance, level)
        for a, b in self.pairs(one.stdout.splitlines(), two.stdout.splitlines()):
            for x, y in self.pairs(json.loads(a)["maps"], json.loads(b)["maps"]):
                self.assertEqual(x["target"], y["target"])
                self.assertAlmostEqual(x["score"], y["score"], delta=max(tolerance, 1e-4) * (1 + abs(x["score"])))


class Equality(Compared):
    def test_both_demo_networks(self):
        self.check("--save-gradient")
        self.check("--save-gradient", model=SHORTCUT)

    def test_options_of_maps(self):
        self.check("--normalize", "none", "--reduce", "l2", "--sigma", "3.5", "--modifier", "none", "--colormap", "jet")
        self.check("--modifier", "relu", "--reduce", "mean", "--sigma", "0", level=None)

    def test_looks_of_overlays(self):
        self.check("--blend", "flat", pictures=PICTURES[:1])
        self.check("--signed", "--contour", "0.25,0.5", "--figure", pictures=PICTURES[:1])

    def test_rules_and_targets(self):
        for rule in ("guided", "deconvnet", "rectified"):
            self.check("--rule", rule, pictures=PICTURES[:1])

    def test_many_targets(self):
        model = self.write("small.onnx", models.small_classifier(32))
        self.check("--target", "top:3", "--preset", "unit", "--batch", "2", model=model)

    def test_figures_and_partial_batches(self):
        self.check("--figure", "--batch", "2", level=4)

    def test_half_precisions_come_close(self):
        # Relative to float32; the tests of single steps are the strict ones.
        self.check(gpu=("--precision", "fp16"), tolerance=0.05, level=None)
        self.check(gpu=("--precision", "bf16"), tolerance=0.2, level=None)

    def test_windows_of_many_elements(self):
        model = self.write("pool.onnx", models.max_pool(20))
        self.check("--save-gradient", "--preset", "unit", model=model)

    def test_windows_of_too_many_elements_are_refused_as_on_the_cpu(self):
        model = self.write("pool.onnx", models.max_pool(257))
        for device in ("cpu", "cuda:0"):
            done = self.start("explain", model, PICTURES[0], "-o", self.out, "--device", device, "--preset", "unit")
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr, r"\Asalmap: explain: .*: a max pool window of 1 x 257 has more than 256 elements\b.*\n\Z")

    def test_precision_is_said(self):
        for precision in ("fp32", "tf32", "bf16", "fp16"):
            done = self.start("plan", HONEST, "--device", "cuda:0", "--precision", precision)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertRegex(done.stdout, r"(?m)^  device   cuda:0: emulated device, .*, %s$" % precision)


METHODS = {
    "input-x-gradient": (),
    "smoothgrad": ("--samples", "3"),
    "smoothgrad-squared": ("--samples", "3", "--seed", "5"),
    "vargrad": ("--samples", "3"),
    "integrated-gradients": ("--steps", "4", "--baseline", "mean"),
    "grad-cam": (),
    "hires-cam": (),
    "layer-cam": (),
}


class Methods(Compared):
    def without_kinks(self):
        """The network with another activation: a ReLU at its kink goes either way with the last bit of a sum."""
        network, sidecar = self.read(SHORTCUT), self.read(SHORTCUT + ".salmap")
        relu, tanh = b'"\x04Relu', b'"\x04Tanh'  # a node's op_type
        self.assertEqual(network.count(relu), 11)
        self.write("without-kinks.onnx.salmap", sidecar)
        return self.write("without-kinks.onnx", network.replace(relu, tanh))

    def test_each_is_the_cpu_s(self):
        model = self.without_kinks()
        for method, options in METHODS.items():
            self.check(
                "--method", method, *options, "--save-gradient", model=model, pictures=PICTURES[:2], tolerance=1e-5
            )  # fmt: skip

    def test_gates_and_several_targets(self):
        model = self.write("small.onnx", models.small_classifier(32))
        for method, options in METHODS.items():
            for target in ("top:3", "margin") if method in ("smoothgrad", "integrated-gradients", "grad-cam") else ("top:3",):
                self.check(
                    "--method", method, *options, "--target", target, "--preset", "unit", "--batch", "2",
                    "--save-gradient", model=model,
                )  # fmt: skip

    def test_signed_and_raw_maps(self):
        self.check("--method", "integrated-gradients", "--steps", "3", "--signed", pictures=PICTURES[:1], level=4)
        self.check("--method", "grad-cam", "--raw-map", level=4)

    def test_half_precision_comes_close(self):
        for method in ("smoothgrad", "integrated-gradients", "grad-cam"):
            self.check(
                "--method", method, *METHODS[method], "--save-gradient", pictures=PICTURES[:1],
                gpu=("--precision", "fp16"), tolerance=0.05, level=None,
            )  # fmt: skip

    def test_bits_do_not_depend_on_company_or_device(self):
        for method in ("smoothgrad", "integrated-gradients"):
            options = ("--method", method, *METHODS[method], "--batch", "2", "--save-gradient")
            alone, _ = self.results("alone-" + method, "--device", "cuda:0", *options, pictures=PICTURES[1:2])
            both, _ = self.results("both-" + method, "--device", "cuda:0,cuda:1", *options, DEVICES=2)
            self.assertEqual(len(os.listdir(alone)), 4)
            for name in os.listdir(alone):
                self.assertEqual(self.read(os.path.join(alone, name)), self.read(os.path.join(both, name)), name)


class Streams(Emulated):
    """What depends on the order of streams or threads, on timing or on what came before would differ."""

    def test_any_order_gives_the_same_bytes(self):
        arguments = ("--device", "cuda:0", "--batch", "2")
        reference, _ = self.results("lazy", *arguments)
        modes = [{"STREAMS": "eager"}, {"STREAMS": 2}, {"STREAMS": 3, "ORDER": 3}, {"ORDER": "reverse"}]
        names = sorted(os.listdir(reference))
        self.assertEqual(len(names), 3 * len(PICTURES))
        for k, mode in enumerate(modes):
            out, _ = self.results("mode%d" % k, *arguments, **mode)
            self.assertEqual(sorted(os.listdir(out)), names)
            for name in names:
                self.assertEqual(
                    self.read(os.path.join(out, name)), self.read(os.path.join(reference, name)), (mode, name)
                )

    def test_a_picture_is_bitwise_the_same_in_any_company(self):
        alone, _ = self.results("alone", "--device", "cuda:0", "--batch", "3", pictures=PICTURES[1:2])
        all_of_them, _ = self.results("all", "--device", "cuda:0", "--batch", "3")
        self.assertEqual(len(os.listdir(alone)), 3)
        for name in os.listdir(alone):
            self.assertEqual(self.read(os.path.join(alone, name)), self.read(os.path.join(all_of_them, name)), name)

    def test_every_way_round_a_missing_engine(self):
        reference, _ = self.results("cpu", "--device", "cpu", pictures=PICTURES[:1])
        for missing in ("forward", "backward", "all", "none"):
            out, _ = self.results("gpu-" + missing, "--device", "cuda:0", pictures=PICTURES[:1], UNFUSED=missing)
            # A ReLU at the edge may fall to the other side.
            self.compare(out, reference, 5e-3, level=None)

    def test_engines_that_break_down(self):
        """What can be prepared need not run: the next engine does, or a kernel of ours the rest, and that is said."""
        reference, _ = self.results("cpu", "--device", "cpu", pictures=PICTURES[:1])
        for broken, note, way in (("first", "another one took its place", "cudnn, fused"),
                                  ("fused", "it broke down", "cudnn, finished by kernel"),
                                  ("parts", "a part of it is missing", "cudnn, finished by kernel")):
            with self.subTest(broken=broken):
                out, done = self.results("gpu-" + broken, "--device", "cuda:0", pictures=PICTURES[:1], BROKEN=broken)
                self.compare(out, reference, 5e-3, level=None)
                self.assertIn("otherwise than planned", done.stderr)
                self.assertIn(note, done.stderr)
                shutil.rmtree(self.cache)  # plans that are kept were not broken then
                plan = json.loads(self.start("plan", HONEST, "--device", "cuda:0", "--json", BROKEN=broken).stdout)
                convolutions = [step for step in plan["steps"] if step["algorithm"].startswith("cudnn")]
                self.assertEqual({step["algorithm"] for step in convolutions if "note" in step},
                                 {way})
                self.assertTrue(all(note in step["note"] for step in convolutions if "note" in step))


class HalfPrecision(Emulated):
    """Gradients that are too large or too small for it."""

    def gradients(self, model, precision, *arguments):
        device = "cpu" if precision == "default" else "cuda:0"
        out, done = self.results(precision, "--device", device, "--precision", precision, "--preset", "unit",
                                 "--save-gradient", "--normalize", "none", *arguments,
                                 model=model, pictures=[self.write("p.png", files.gradient_png(20, 14, 1))])  # fmt: skip
        return out, json.loads(done.stdout)

    def check(self, model, *arguments):
        want, _ = self.gradients(model, "default", *arguments)
        got, facts = self.gradients(model, "fp16", *arguments)
        self.assertFalse(facts["maps"][0]["flat"])
        for name in ("p.npy", "p.gradient.npy"):
            self.assertLess(distance(os.path.join(got, name), os.path.join(want, name)), 5e-3, name)

    def test_an_overflow_is_computed_again_and_saved_at_its_scale(self):
        self.check(self.write("large.onnx", models.dense(8, weights=60)), "--target", "index:0")

    def test_the_least_seeds_survive(self):
        # The derivative of a probability next to 1.
        for ahead in (12, 24):
            self.check(self.write("sure.onnx", models.sure_classifier(ahead)), "--score", "probability")

    def test_a_batch_that_fails_leaves_no_picture_to_the_next(self):
        # The second picture overflows; the fourth, which takes long to read, must not be taken for the third.
        model = self.write("over.onnx", models.overflowing())
        dark = lambda k: files.png(32, 32, [bytes((x * k + y * 3) % 40 for x in range(96)) for y in range(32)])
        row = bytes(v % 20 for v in random.Random(1).randbytes(3 * 4000))
        pictures = [self.write("a.png", dark(1)), self.write("b.png", files.png(32, 32, [b"\xff" * 96] * 32)),
                    self.write("c.png", dark(2)), self.write("d.png", files.png(4000, 1500, [row] * 1500)),
                    self.write("e.png", dark(7))]  # fmt: skip
        arguments = ("--preset", "unit", "--device", "cuda:0", "--precision", "fp16", "--batch", "1", "--json",
                     "--target", "index:0")  # fmt: skip
        done = self.start("explain", model, *pictures, "-o", self.out, *arguments)
        self.assertEqual(done.returncode, 3, done.stderr)
        together = [json.loads(line).get("maps") for line in done.stdout.splitlines()]
        self.assertIsNone(together[1])
        for k in (2, 3):
            alone = self.start("explain", model, pictures[k], "-o", self.out, *arguments)
            self.assertEqual(json.loads(alone.stdout)["maps"][0]["score"], together[k][0]["score"], pictures[k])


class Memory(Emulated):
    def test_a_plan_that_fits_leaves_room_for_what_a_run_takes(self):
        model = self.write("dense.onnx", models.dense(32, weights=0.1, outputs=40))
        pictures = [self.write("p%d.png" % k, files.gradient_png(20, 14, k + 1)) for k in range(4)]
        arguments = ("--device", "cuda:0", "--preset", "unit", "--batch", "16", "--precision", "fp32")
        reference, _ = self.results("ample", *arguments, model=model, pictures=pictures)
        fewer = 0
        for kib in range(3850, 5100, 75):
            done = self.start("explain", model, *pictures, "-o", self.out, *arguments, MEMORY=kib << 10)
            # Either the plan fails, or the whole run succeeds: no picture is lost to memory.
            if done.returncode == 0:
                self.compare(self.out, reference)
                fewer += "going on with" in done.stderr
            else:
                self.assertEqual(done.returncode, 1, done.stderr)
                # Where it ends depends on how little there is.
                self.assertRegex(done.stderr, r"a batch of 1 needs \d+ MiB, \d+ MiB may be used\n\Z|" + FAILED_CALL, kib)
        self.assertGreater(fewer, 3)

    def test_the_batch_is_halved_and_said_once(self):
        reference, _ = self.results("cpu", "--device", "cpu")
        out, done = self.results("gpu", "--device", "cuda:0", "--batch", "64", MEMORY=24 << 20)
        self.compare(out, reference)
        self.assertEqual(done.stderr, "salmap: explain: note: cuda:0: emulated device, sm_90, cuDNN %s, tf32: no memory for a batch "
                         "of 64: going on with 8\n" % re.search(r"cuDNN ([0-9.]+)", done.stderr).group(1))

    def test_relus_are_kept_as_bits_where_memory_is_short(self):
        def plan(**environment):
            done = self.start("plan", HONEST, "--device", "cuda:0", "--batch", "8", "--json", **environment)
            self.assertEqual(done.returncode, 0, done.stderr)
            return json.loads(done.stdout)

        ample = plan()
        short = plan(MEMORY=ample["arena_bytes"])
        self.assertLess(short["kept_bytes"], ample["kept_bytes"] / 4)
        self.assertEqual([p["batch"] for p in (ample, short)], [8, 8])
        for rest in ({}, {"UNFUSED": "backward"}):
            one, _ = self.results("ample", "--device", "cuda:0", "--batch", "8", "--save-gradient", **rest)
            two, _ = self.results(
                "short", "--device", "cuda:0", "--batch", "8", "--save-gradient", MEMORY=ample["arena_bytes"], **rest
            )
            self.compare(one, two, 1e-5)

    def test_too_little_for_one_picture(self):
        done = self.start("explain", HONEST, PICTURES[0], "-o", self.out, "--device", "cuda:0", MEMORY=1 << 20)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr, "salmap: explain: a batch of 1 needs 1 MiB, 0 MiB may be used\n")
        self.assertEqual(self.outputs(), [])


class Faults(Emulated):
    """Each call that can fail does, in turn: a clear error or a documented way round it, no leak, no wrong output."""

    def setUp(self):
        super().setUp()
        self.model = self.write("small.onnx", models.small_classifier())
        self.pictures = [self.write("p%d.png" % k, files.gradient_png(20, 14, k + 1)) for k in range(3)]
        self.arguments = ["explain", self.model, *self.pictures, "--preset", "unit", "--device", "cuda:0", "--batch", "1",
                          "--normalize", "none", "--colormap", "jet"]  # fmt: skip

    # Of the calls for pictures, every so manieth; under a sanitizer, where a run takes seconds, of those before as well.
    stride = int(os.environ.get("SAL_FAULT_STRIDE", "1"))
    BEFORE = 250  # calls, at least, until the first picture: to find the device, to plan, to upload the weights

    def run_faults(self, step, sticky):
        early = step if self.stride < 10 else step * self.stride
        step *= self.stride
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
            # There is a way round it, or the run ends, or pictures fail: whatever was under way.
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
                # The first call that matters asks whether there are GPUs.
                self.assertRegex(done.stderr, FAILED_CALL if ways["failed"] else FAILED_CALL + "|" + NO_GPU, where)
                ways["failed"] += 1
            n += early if n < self.BEFORE else step
        self.assertGreater(n, 200)
        self.assertGreater(ways["failed"] * step, 20)
        return ways

    def test_each_call_fails_once(self):
        ways = self.run_faults(1, sticky=False)
        # Plans of cuDNN have their ways round.
        self.assertGreater(ways["recovered"] * self.stride, 20)

    def test_the_device_is_lost(self):
        # From a call on all fail: neighbours among them show the same.
        self.run_faults(9, sticky=True)

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
        self.assertEqual((done.returncode, done.stderr), (2, "salmap: explain: device 'cuda:7': there are fewer GPUs, from cuda:0 on\n"))
        self.assertEqual(self.outputs(), [])

    def test_the_second_device(self):
        one, _ = self.results("one", "--device", "cuda:0", pictures=PICTURES[:1])
        two, _ = self.results("two", "--device", "cuda:1", pictures=PICTURES[:1])
        self.compare(one, two, 0.0, 0)

    def many_pictures(self, count=23):
        # More than one batch for each; the sizes differ, so that overlays do.
        return [self.write("p%02d.png" % k, files.gradient_png(20 + k, 14, k + 1)) for k in range(count)]

    def test_two_devices_share_the_work(self):
        model, pictures = self.write("small.onnx", models.small_classifier()), self.many_pictures()
        options = ("--preset", "unit", "--batch", "2")
        one, _ = self.results("one", "--device", "cuda:0", *options, model=model, pictures=pictures)
        for devices in ("cuda:0,cuda:1", "cuda:all"):
            out, done = self.results(devices, "--device", devices, *options, model=model, pictures=pictures)
            self.compare(out, one, 0.0, 0)
            self.assertEqual([json.loads(line)["picture"] for line in done.stdout.splitlines()], pictures)

    def test_two_devices_read_the_model_once(self):
        model = os.path.join(self.folder, "model.onnx")
        shutil.copy(HONEST, model)
        opened = []
        for devices in ("cuda:0", "cuda:0,cuda:1"):
            with Opened(model) as count:
                self.results("out-" + devices[-1], "--device", devices, "--preset", "unit", model=model, DEVICES=2)
            opened.append(count())
        self.assertGreater(opened[0], 0)
        self.assertEqual(*opened)

    def test_a_device_that_is_lost_leaves_its_pictures_to_the_other(self):
        model, pictures = self.write("small.onnx", models.small_classifier()), self.many_pictures(11)
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
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertRegex(done.stderr, FAILED_CALL)
        self.assertGreater(lost, 3)

    def test_lists_of_devices_are_checked(self):
        for devices, text in (
            ("cuda:0,cuda:0", "device 'cuda:0' is named twice"),
            ("cuda:0,cpu", "device 'cpu' in a list: only GPUs share the work, as cuda:0,cuda:1"),
            ("cuda:0,", "device '' in a list: only GPUs share the work, as cuda:0,cuda:1"),
        ):
            done = self.start("explain", HONEST, PICTURES[0], "-o", self.out, "--device", devices)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertEqual(done.stderr, "salmap: explain: %s\n" % text)

    def test_auto_takes_the_gpu(self):
        done = self.start("plan", HONEST, "--json")
        self.assertRegex(json.loads(done.stdout)["device"], r"\Acuda:0: emulated device, ")

    def test_the_doctor_lists_them(self):
        done = self.start("doctor")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"cuda:0\s+ok\s+emulated device")
        self.assertRegex(done.stdout, r"cuda:1\s+ok\s+emulated device")


if __name__ == "__main__":
    harness.main(sys.modules[__name__])
