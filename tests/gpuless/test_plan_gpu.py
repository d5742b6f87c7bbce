#!/usr/bin/env python3
"""salmap plan --gpu, with the real cuDNN and without a GPU: TEST SALMAP SOURCE [GROUP...]."""

import json
import os
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../cli"))

import harness  # noqa: E402
import models  # noqa: E402
from harness import MODEL, SOURCE, Case  # noqa: E402

GPUS = ("t4", "a100", "rtx4090", "h100", "b200")
# For newer GPUs cuDNN compiles each convolution, for seconds: theirs is a small network.
SMALL = models.small_classifier(64)
CONVOLUTIONS, FUSED = {"t4": 22, "h100": 7}, {"t4": 21, "h100": 4}  # FUSED: at least


class Plans(Case):
    """One cache for all: cuDNN compiles some engines when it plans them, which takes a while."""

    @classmethod
    def setUpClass(cls):
        cls.cache = tempfile.mkdtemp(prefix="salmap-plans-")
        os.environ["XDG_CACHE_HOME"] = cls.cache

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.cache, ignore_errors=True)

    def plan(self, gpu, *arguments, model=None):
        model = model or (MODEL if gpu == "t4" else self.write("small.onnx", SMALL))
        return json.loads(self.check(["plan", model, "--gpu", gpu, "--json", *arguments], 0).out)

    def description(self, name, change):
        with open(os.path.join(SOURCE, "data/gpus/h100.json")) as f:
            gpu = json.load(f)
        change(gpu)
        return self.write(name, json.dumps(gpu).encode())

    def test_old_and_new_gpus_have_a_whole_plan(self):
        """What engines each of them has, planning_GPU asks, convolution by convolution."""
        for gpu in ("t4", "h100"):
            p = self.plan(gpu)
            count = CONVOLUTIONS[gpu]
            self.assertEqual((p["convolutions"], p["batch"]), (count, 64), gpu)
            self.assertEqual(p["fused"] + p["unfused"] + p["own_kernels"], count, gpu)
            self.assertGreaterEqual(p["fused"], FUSED[gpu], gpu)
            self.assertLess(p["arena_bytes"] + p["weight_bytes"], p["memory_bytes"])
            self.assertLess(p["kept_bytes"] + p["scratch_bytes"], p["arena_bytes"] + 1)
            self.assertAlmostEqual(sum(s["seconds"] for s in p["steps"]), p["seconds"], delta=1e-4 * p["seconds"])
            convolutions = [s for s in p["steps"] if s["kind"].startswith("conv")]
            self.assertEqual(len(convolutions), count)
            self.assertEqual(sum(s["engine"] >= 0 for s in convolutions), p["fused"] + p["unfused"])
            for step in convolutions:
                self.assertGreater(step["seconds"], 0, step)

    def test_ties_matter_forward_and_before_max_pools_alone(self):
        """Names of plans say it. The first convolution of this network comes before its max pool, the other behind it."""
        self.plan("t4", "--precision", "fp32", "--batch", "3", model=self.write("m.onnx", models.small_classifier()))
        names = [name for _, _, names in os.walk(self.cache) for name in names if name.startswith("n3")]
        ties = {name.split("r3")[0] for name in names if "_ties" in name}
        self.assertEqual(ties, {"n3c3h16w16k8"}, names)
        self.assertTrue(all("_forward" in name for name in names if "_ties" in name), names)
        self.assertTrue(any("_backward" in name for name in names), names)
        self.assertTrue(any(name.startswith("n3c8h8w8k8") and "_forward" in name for name in names), names)

    def test_faster_arithmetic_and_fewer_bytes_take_less_time(self):
        full, half = self.plan("t4", "--precision", "fp32"), self.plan("t4", "--precision", "fp16")
        self.assertLess(half["bytes"], 0.6 * full["bytes"])
        self.assertLess(half["seconds"], 0.6 * full["seconds"])
        self.assertEqual(half["flops"], full["flops"])

    def test_lean_plans_take_less_memory_and_more_passes(self):
        plain, lean = self.plan("t4"), self.plan("t4", "--lean")
        self.assertLess(lean["kept_bytes"], plain["kept_bytes"] / 8)
        self.assertLess(lean["arena_bytes"], plain["arena_bytes"])
        self.assertGreater(lean["bytes"], plain["bytes"])
        self.assertGreater(lean["largest_batch"], plain["largest_batch"])

    def test_a_second_plan_comes_from_the_disk_and_is_the_same(self):
        first = self.plan("h100")
        kept = [os.path.join(folder, name) for folder, _, names in os.walk(self.cache) for name in names]
        self.assertGreater(len(kept), 10)
        times = {path: os.stat(path).st_mtime_ns for path in kept}
        self.assertEqual(self.plan("h100"), first)
        self.assertEqual({path: os.stat(path).st_mtime_ns for path in kept}, times)

    def test_a_batch_that_does_not_fit_is_refused_with_the_numbers(self):
        self.check(["plan", MODEL, "--gpu", "t4", "--batch", "60000", "--lean"], 1, "a batch of 60000 needs", "MiB to give")

    def test_an_arithmetic_that_the_gpu_has_not_is_said(self):
        self.assertIn("which it has not", self.check(["plan", MODEL, "--gpu", "t4"], 0).out)
        self.assertNotIn("which it has not", self.check(["plan", MODEL, "--gpu", "t4", "--precision", "fp16"], 0).out)

    def test_descriptions_of_others(self):
        slow = self.description("slow.json", lambda g: g["peak"].update(memory_bytes_per_second=1e9))
        self.assertGreater(self.plan(slow)["seconds"], 10 * self.plan("h100")["seconds"])

    def test_what_is_wrong_with_a_description_is_named(self):
        def without(part, key):
            return lambda g: g[part].pop(key)

        for name, change, texts in (
            ("a.json", without("cudnn", "multiProcessorCount"), ("cuDNN does not take", "data/gpus/h100.json")),
            ("b.json", without("peak", "fp32_flops_per_second"), ("fp32_flops_per_second",)),
            ("c.json", without("cudnn", "totalGlobalMem"), ("totalGlobalMem",)),
        ):
            path = self.description(name, change)
            self.check(["plan", MODEL, "--gpu", path], 1, path, *texts)
        self.check(["plan", MODEL, "--gpu", self.write("d.json", b"[]")], 1, "d.json", "not a GPU's description")
        self.check(["plan", MODEL, "--gpu", "./nowhere.json"], 1, "./nowhere.json")
        self.check(["plan", MODEL, "--gpu", "v100"], 2, "'v100'", *GPUS)

    def test_what_does_not_go_with_it_is_refused(self):
        for option in (["--device", "cuda:0"], ["--threads", "2"], ["--exact"], ["--method", "grad-cam"]):
            self.check(["plan", MODEL, "--gpu", "h100", *option], 2, "do not go with it")


if __name__ == "__main__":
    harness.main(sys.modules[__name__])
