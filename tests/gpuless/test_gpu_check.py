#!/usr/bin/env python3
"""scripts/gpu_check.sh without a GPU: what it says, the shape of its report, and that failures get into it.

    test_gpu_check.py BUILD
"""
import argparse
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
import gpu_report

BUILD = pathlib.Path(sys.argv.pop()).resolve() if len(sys.argv) > 1 else None
SECTIONS = ("Machine", "Plans", "Every step alone", "Whole networks", "GPU against CPU", "Demo", "compute-sanitizer",
            "Speed of maps", "Speed of gradients")
PROGRAMS = ("salmap", "tests/conformance/conformance", "tests/bench/bench_gradient", "tests/bench/bench_peak")


def check(*options, **environment):
    return subprocess.run([ROOT / "scripts/gpu_check.sh", *map(str, options)], capture_output=True, text=True,
                          check=False, env={**os.environ, **environment})


class Folder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)


class Command(Folder):
    def test_without_a_gpu_it_says_so_and_writes_nothing(self):
        bin = self.folder / "bin"
        bin.mkdir()
        for tool in ("env", "bash", "dirname"):
            (bin / tool).symlink_to(f"/usr/bin/{tool}")
        done = check("-o", self.folder / "report.md", "--no-build", PATH=str(bin))
        self.assertEqual(done.returncode, 69, done.stderr)
        self.assertIn("nvidia-smi", done.stderr)
        self.assertFalse((self.folder / "report.md").exists())

    def test_a_driver_without_a_gpu_is_no_gpu(self):
        smi = self.folder / "nvidia-smi"
        smi.write_text("#!/bin/sh\necho No devices were found\nexit 6\n")
        smi.chmod(0o755)
        self.assertEqual(check("--no-build", PATH=f"{self.folder}:{os.environ['PATH']}").returncode, 69)

    def test_wrong_usage(self):
        for options in (["--what"], ["-o"], ["--device", "cpu"]):
            self.assertEqual(check(*options).returncode, 2, options)


class DryRun(Folder):
    def fake_build(self, **replaced):
        """A build folder with some programs replaced by shell scripts."""
        for program in PROGRAMS:
            path = self.folder / "build" / program
            path.parent.mkdir(parents=True, exist_ok=True)
            text = replaced.get(path.name, f"exec '{BUILD / program}' \"$@\"")
            path.write_text(f"#!/bin/sh\n{text}\n")
            path.chmod(0o755)
        return self.folder / "build"

    def run_on(self, build):
        done = check("--dry-run", "--no-build", "--build", build, "-o", self.folder / "report.md")
        return done, (self.folder / "report.md").read_text()

    def test_the_report_has_every_section_and_passes(self):
        done, text = self.run_on(BUILD)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertTrue(text.startswith("# salmap on a GPU: dry run"))
        self.assertEqual([l[3:] for l in text.splitlines() if l.startswith("## ")], list(SECTIONS))
        self.assertNotIn("FAILED", text)
        self.assertNotIn("nan", text)
        self.assertIn("| every step alone, fp32 | passed |", text)
        self.assertIn("| compute-sanitizer | left out |", text)
        self.assertRegex(text, r"\| demo \| fp32 \| 2 \| \d+ \|  \| \d+\.\d+ \|")
        for line in text.splitlines():
            if line.startswith("|"):
                self.assertTrue(line.endswith("|"), line)

    def test_what_fails_is_told_and_the_rest_goes_on(self):
        done, text = self.run_on(self.fake_build(conformance="echo 'conv: off by 7'; exit 1"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("| Every step alone | **FAILED** |", text)
        self.assertIn("conv: off by 7", text)
        self.assertIn("| explain, GPU against CPU | passed |", text)

    def test_what_goes_otherwise_than_planned_is_a_failure(self):
        salmap = BUILD / "salmap"
        for key, said in (('"note": "it broke down", ', "it broke down"), ('"algorithm": "direct kernel", ', "direct kernel")):
            script = (f"if [ \"$1\" = plan ]; then '{salmap}' \"$@\" | sed 's/\"algorithm\": \"[^\"]*\", /&{key}/'; else exec '{salmap}' "
                      "\"$@\"; fi")
            with self.subTest(said=said):
                report = gpu_report.Report(argparse.Namespace(
                    salmap=self.fake_build(salmap=script) / "salmap", architectures=None, dry_run=True, device="cpu",
                    output=self.folder / "report.md"))
                report.part("Plans", gpu_report.plans)
                self.assertTrue(report.failed())
                self.assertRegex((self.folder / "report.md").read_text(),
                                 r"\| convolutions as planned \| \*\*FAILED\*\* \| .*" + said)

    def test_a_cut_leaves_what_there_was(self):
        report = self.folder / "report.md"
        build = self.fake_build(conformance=f"touch '{self.folder}/reached'; exec sleep 1000")
        process = subprocess.Popen([ROOT / "scripts/gpu_check.sh", "--dry-run", "--no-build", "--build", build, "-o", report],
                                   stdout=subprocess.DEVNULL, start_new_session=True)
        while not (self.folder / "reached").exists():
            self.assertIsNone(process.poll())
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        text = report.read_text()
        self.assertIn('**Not finished**: cut off, or still at work, in the part "Every step alone".', text)
        self.assertEqual([l[3:] for l in text.splitlines() if l.startswith("## ")], ["Machine", "Plans"])

    def test_a_program_that_is_not_there_is_a_failure(self):
        build = self.fake_build()
        (build / "tests/bench/bench_gradient").unlink()
        done, text = self.run_on(build)
        self.assertEqual(done.returncode, 1)
        self.assertIn("| Speed of gradients | **FAILED** |", text)


class Numbers(unittest.TestCase):
    def test_the_worst_picture_counts(self):
        want = np.array([[3.0, 4.0], [0.0, 1.0]])
        self.assertAlmostEqual(gpu_report.relative_l2(want + [[0, 0], [0, 0.5]], want), 0.5)
        self.assertEqual(gpu_report.relative_l2(want, want), 0)

    def test_nan_and_infinity_never_pass(self):
        for bad in (np.nan, np.inf):
            error = gpu_report.relative_l2([[1.0, bad], [0.0, 1.0]], [[1.0, 2.0], [0.0, 1.0]])
            self.assertFalse(gpu_report.within(error, 1e9))


if __name__ == "__main__":
    unittest.main()
