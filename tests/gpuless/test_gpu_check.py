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
import time
import unittest

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
import bench_child
import gpu_part
import gpu_right
import gpu_speed

BUILD = pathlib.Path(sys.argv.pop()).resolve() if len(sys.argv) > 1 else None
SECTIONS = ("Machine", "Plans", "Every step alone", "Whole networks", "GPU against CPU", "Demo", "compute-sanitizer",
            "Speed of maps", "Sweep", "Speed of gradients")
HAS_PYTORCH = subprocess.run(["/usr/bin/python3", "-c", "import torch, torchvision"], check=False, capture_output=True).returncode == 0
# Of the demo: with and without a label.
PICTURES = ("scale_00", "scale_01", "scale_12")
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
        for tool in ("env", "bash", "dirname", "realpath"):
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
        for options in (["--what"], ["-o"], ["--device", "cpu"], ["--minutes", "x"], ["--minutes", "0"]):
            self.assertEqual(check(*options).returncode, 2, options)


def executable(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def is_alive(pid):
    """Ended processes may wait for somebody to ask after them."""
    try:
        status = (pathlib.Path("/proc") / pid.strip() / "status").read_text()
    except FileNotFoundError:
        return False
    return "State:\tZ" not in status


def is_gone(pid):
    """Sooner or later: what was killed takes a moment to go where others have the cores."""
    for _ in range(500):
        if not is_alive(pid):
            return True
        time.sleep(0.02)
    return False


def sections(text):
    return [line[3:] for line in text.splitlines() if line.startswith("## ")]


class DryRun(Folder):
    """The CPU in the GPU's place."""

    def fake_build(self, **replaced):
        """A build folder with some programs replaced by shell scripts."""
        for program in PROGRAMS:
            name = pathlib.Path(program).name
            executable(self.folder / "build" / program, replaced.get(name, f"exec '{BUILD / program}' \"$@\""))
        return self.folder / "build"

    def run_on(self, build):
        done = check("--dry-run", "--no-build", "--build", build, "-o", self.folder / "report.md")
        return done, (self.folder / "report.md").read_text()

    def test_the_report_has_every_section_and_passes(self):
        done, text = self.run_on(BUILD)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertTrue(text.startswith("# salmap on a GPU: dry run"))
        self.assertEqual(sections(text), list(SECTIONS))
        self.assertNotIn("FAILED", text)
        self.assertNotIn("nan", text)
        self.assertNotIn("Not finished", text)
        self.assertIn("| every step alone, fp32 | passed |", text)
        self.assertIn("| compute-sanitizer | left out |", text)
        self.assertRegex(text, r"\| honest \| fp32 \| 2 \| \d+ \|  \|  \| \d+\.\d+ \|")
        self.assertIn("| sweep | passed | 4 rows of 4 pictures |", text)
        for line in text.splitlines():
            if line.startswith("|"):
                self.assertTrue(line.endswith("|"), line)

    def test_what_fails_is_told_and_the_rest_goes_on(self):
        done, text = self.run_on(self.fake_build(conformance="echo 'conv: off by 7'; exit 1", bench_gradient="exit 4"))
        self.assertEqual(done.returncode, 1)
        self.assertRegex(text, r"\| every step alone, fp32 \| \*\*FAILED\*\* \|")
        self.assertIn("conv: off by 7", text)
        self.assertIn("| explain, GPU against CPU | passed |", text)
        self.assertRegex(text, r"\| speed of gradients \| \*\*FAILED\*\* \| .*bench_gradient ended with status 4")
        self.assertIn("| sweep | passed |", text)

    def test_a_program_that_is_not_there_is_a_failure(self):
        build = self.fake_build()
        (build / "tests/bench/bench_gradient").unlink()
        done, text = self.run_on(build)
        self.assertEqual(done.returncode, 1)
        self.assertIn("| Speed of gradients | **FAILED** |", text)

    def end_all(self):
        """Whoever was at work beside it, in groups of their own, and would write into the folder for a while."""
        own = b"SALMAP_CHECK_OF=" + os.fsencode(self.folder)
        passes = 0  # that found nobody: a process that becomes another has no environment for a moment
        while passes < 5:
            left = []
            for path in pathlib.Path("/proc").glob("[0-9]*/environ"):
                try:
                    if own in path.read_bytes().split(b"\0"):
                        left.append(int(path.parent.name))
                except OSError:
                    continue
            passes = 0 if left else passes + 1
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass

    def test_a_cut_leaves_what_there_was(self):
        """While checks run, while times are taken, in the last part."""
        salmap = f"if [ $1 = sweep ]; then touch '{self.folder}/reached'; exec sleep 1000; fi; exec '{BUILD}/salmap' \"$@\""
        held = f"touch '{self.folder}/reached'; exec sleep 1000"
        for replaced, unfinished, there in (({"conformance": held}, "Every step alone", []),
                                            ({"salmap": salmap}, "Sweep", ["every step alone, fp32"]),
                                            ({"bench_gradient": held}, "Speed of gradients",
                                             ["every step alone, fp32", "sweep"])):
            with self.subTest(cut_in=unfinished):
                report = self.folder / "report.md"
                build = self.fake_build(**replaced)
                process = subprocess.Popen([ROOT / "scripts/gpu_check.sh", "--dry-run", "--no-build", "--build", build, "-o",
                                            report], stdout=subprocess.DEVNULL, start_new_session=True,
                                           env={**os.environ, "SALMAP_CHECK_OF": str(self.folder)})
                while not (self.folder / "reached").exists():
                    self.assertIsNone(process.poll())
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                self.end_all()
                (self.folder / "reached").unlink()
                text = report.read_text()
                self.assertRegex(text, rf'\*\*Not finished\*\* \(cut off, or still at work\): .*"{unfinished}"')
                self.assertIn("Machine", sections(text))
                for name in there:
                    self.assertIn(f"| {name} | passed |", text)


class Rehearsal(Folder):
    """What a bundle on a GPU's host goes through, with programs that emulate the GPU, and a few pictures."""

    def setUp(self):
        super().setUp()
        if not (BUILD / "tests/gpuless/emulated_salmap").exists():
            self.skipTest("there is no emulated device")
        for kind in ("scales", "masks"):
            (self.bundle / "share/salmap" / kind).mkdir(parents=True)
        rows = (ROOT / "data/scales/labels.csv").read_text().splitlines()
        few = [rows[0], *(row for row in rows[1:] if row.startswith(PICTURES))]
        (self.bundle / "share/salmap/scales/labels.csv").write_text("\n".join(few) + "\n")
        for row in few[1:]:
            path, _, mask, *_ = row.split(",")
            (self.bundle / "share/salmap/scales" / path).symlink_to(ROOT / "data/scales" / path)
            (self.bundle / "share/salmap/masks" / pathlib.Path(mask).name).symlink_to(ROOT / "data/scales" / mask)
        (self.bundle / "share/salmap/models").symlink_to(ROOT / "data/models")
        self.put()
        executable(self.folder / "bin/nvidia-smi", "case \"$*\" in *query-gpu=compute_cap*) echo 9.0 ;; *) echo 'Emulated, new' ;; esac")
        self.sanitizer("echo '========= ERROR SUMMARY: 0 errors'")
        (self.folder / "bin/python3").symlink_to("/usr/bin/python3")

    @property
    def bundle(self):
        return self.folder / "bundle"

    def put(self, **replaced):
        for name, path in (("salmap", "bin"), ("conformance", "tests"), ("bench_gradient", "tests"), ("bench_gpu", "tests")):
            program = f"'{BUILD}/tests/gpuless/emulated_{name}'"
            executable(self.bundle / path / name, replaced.get(name, "exec PROGRAM \"$@\"").replace("PROGRAM", program))

    def sanitizer(self, end):
        executable(self.folder / "bin/compute-sanitizer", f"shift 6; \"$@\" || exit; {end}")

    def rehearse(self, **environment):
        done = check("--rehearse", "--bundle", self.bundle, "-o", self.folder / "report.md",
                     PATH=f"{self.folder}/bin:{os.environ['PATH']}", XDG_CACHE_HOME=str(self.folder), SAL_EMU_OPEN="1",
                     **environment)
        return done, (self.folder / "report.md").read_text()

    def test_it_passes(self):
        done, text = self.rehearse()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr + text)
        self.assertTrue(text.startswith("# salmap on a GPU: rehearsal"))
        self.assertEqual(sections(text), list(SECTIONS))
        for name in ("doctor", "convolutions as planned", "every step alone, fp32", "every step alone, fp16",
                     "explain, GPU against CPU", "demo networks told apart, fp16", "memcheck, every step", "racecheck, explain",
                     "speed of maps", "speed of gradients", "passes are recorded", "sweep"):
            self.assertIn(f"| {name} | passed |", text)
        self.assertRegex(text, rf"\| {'demo' if HAS_PYTORCH else 'honest'} \| fp16 \| 2 \| \d+ \| \d+ \|")
        if HAS_PYTORCH:
            self.assertIn("| whole networks | passed | 4 gradients of 1 networks |", text)
        self.assertIn("cuDNN", text)

    def test_every_failure_is_red(self):
        self.put(salmap="case \"$*\" in doctor*) exit 1 ;; sweep*) exit 5 ;; explain*honest*cuda:0*) m=$2; shift 2; exec PROGRAM"
                        " explain \"${m%honest.onnx}shortcut.onnx\" \"$@\" ;; *) exec PROGRAM \"$@\" ;; esac",
                 conformance="echo 'FAIL: off by 7'; exit 1", bench_gpu="exit 6",
                 bench_gradient="PROGRAM \"$@\"; rc=$?; [ -f $6 ] && head -c $(stat -c %s $6) /dev/zero > $6; exit $rc")
        self.sanitizer("echo '========= ERROR SUMMARY: 1 error'; exit 9")
        done, text = self.rehearse(SAL_EMU_UNFUSED="none", SAL_EMU_UNRECORDABLE="1")
        self.assertEqual(done.returncode, 1)
        if HAS_PYTORCH:
            self.assertRegex(text, r"\| whole networks \| \*\*FAILED\*\* \| mobilenet_v3_small smooth fp32: 1.0e\+00;")
        for name, said in (("doctor", "ended with status 1"), ("convolutions as planned", "direct kernel"),
                           ("every step alone, fp16", "off by 7"), ("explain, GPU against CPU", "scale_age_honest fp32"),
                           ("demo networks told apart, fp16", ""), ("memcheck, explain", "1 error"),
                           ("Speed of maps", "bench_gpu ended with status 6"), ("passes are recorded", "cudaStreamEndCapture"),
                           ("Sweep", "salmap ended with status 5")):
            self.assertRegex(text, rf"\| {name} \| \*\*FAILED\*\* \| .*{said}")
        self.assertEqual(sections(text), list(SECTIONS))

    def test_a_plan_that_was_replaced_is_red(self):
        note = "the plan that was kept on disk failed to run: another one took its place"
        self.put(salmap="if [ $1 = plan ]; then PROGRAM \"$@\" | sed 's/\"algorithm\": \"[^\"]*\", /&\"note\": \"" + note
                        + "\", /'; else exec PROGRAM \"$@\"; fi")
        arguments = argparse.Namespace(programs=self.bundle, data=self.bundle / "share/salmap", folder=self.folder, quick=True,
                                       stand_in="rehearsal", device="cuda:0", output=self.folder / "report.md", jobs=2,
                                       minutes=None)
        report = gpu_part.Report(arguments)
        report.part("Plans").work(gpu_right.plans, gpu_right.Prepared(report))
        self.assertTrue(report.failed())
        self.assertRegex((self.folder / "report.md").read_text(),
                         r"\| convolutions as planned \| \*\*FAILED\*\* \| .*another one took its place")

    def test_time_that_is_up_leaves_out_and_does_not_fail(self):
        arguments = argparse.Namespace(minutes=1e-9, device="cuda:0", stand_in="rehearsal", programs=self.bundle,
                                       output=self.folder / "report.md", data=self.bundle / "share/salmap", folder=self.folder)
        arguments.quick, arguments.jobs, arguments.python = True, 2, []
        report = gpu_part.Report(arguments)
        prepared = gpu_right.Prepared(report)
        for title, function in (*gpu_right.PARTS, *gpu_speed.PARTS):
            if title not in ("Speed of maps", "compute-sanitizer"):
                report.part(title).work(function, prepared)
        text = (self.folder / "report.md").read_text()
        self.assertNotIn("FAILED", text)
        self.assertTrue(report.failed(), "nothing was found to be right")
        for name in ("convolutions as planned", "every step alone, fp32", "explain, GPU against CPU", "sweep", "speed of gradients",
                     "passes are recorded"):
            self.assertIn(f"| {name} | left out | no time was left |", text)

    def test_what_hangs_is_ended_with_all_that_it_began(self):
        began = self.folder / "began"
        program = self.folder / "hangs"
        executable(program, f"sleep 1000 & echo $! > '{began}'; wait")
        with self.assertRaises(gpu_part.TooSlow):
            gpu_part.run([program], limit=1)
        self.assertTrue(is_gone(began.read_text()))

    def test_a_signal_ends_everything(self):
        self.put(conformance=f"echo $$ > '{self.folder}/reached.new'; mv '{self.folder}/reached.new' '{self.folder}/reached'; exec sleep 1000")
        scratch = self.folder / "tmp"
        scratch.mkdir()
        process = subprocess.Popen(
            [ROOT / "scripts/gpu_check.sh", "--rehearse", "--quick", "--bundle", self.bundle, "-o", self.folder / "report.md"],
            stdout=subprocess.DEVNULL, env={**os.environ, "PATH": f"{self.folder}/bin:{os.environ['PATH']}", "TMPDIR": str(scratch)})
        while not (self.folder / "reached").exists():
            self.assertIsNone(process.poll())
        process.terminate()
        self.assertEqual(process.wait(60), 143)
        self.assertTrue(is_gone((self.folder / "reached").read_text()))
        self.assertEqual(list(scratch.iterdir()), [])
        self.assertIn("Not finished", (self.folder / "report.md").read_text())

    def test_a_report_is_written_to_a_file_alone(self):
        for output in ("/dev/null", self.folder, self.folder / "gone/report.md"):
            done = check("--rehearse", "--bundle", self.bundle, "-o", output)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn("a report cannot be written there", done.stderr)

    def test_programs_that_say_nothing_are_red(self):
        self.put(conformance="exit 0", salmap="if [ $1 = plan ]; then echo '{\"steps\": []}'; else exec PROGRAM \"$@\"; fi",
                 bench_gpu="exit 0")
        arguments = argparse.Namespace(minutes=None, device="cuda:0", stand_in="rehearsal", programs=self.bundle, quick=True, jobs=2,
                                       output=self.folder / "report.md", data=self.bundle / "share/salmap", folder=self.folder)
        report = gpu_part.Report(arguments)
        prepared = gpu_right.Prepared(report)
        for title, function in (("Plans", gpu_right.plans), ("Every step alone", gpu_right.conformance),
                                ("Speed of maps", gpu_speed.speed_of_maps)):
            report.part(title).work(function, prepared)
        text = (self.folder / "report.md").read_text()
        for name in ("convolutions as planned", "every step alone, fp16", "speed of maps"):
            self.assertIn(f"| {name} | **FAILED** |", text)

    def test_a_sanitizer_that_says_nothing_clears_nothing(self):
        self.sanitizer("true")
        path = os.environ["PATH"]
        self.addCleanup(os.environ.__setitem__, "PATH", path)
        os.environ["PATH"] = f"{self.folder}/bin:{path}"
        arguments = argparse.Namespace(minutes=None, device="cuda:0", stand_in="rehearsal", programs=self.bundle, quick=True, jobs=2,
                                       output=self.folder / "report.md", data=self.bundle / "share/salmap", folder=self.folder)
        report = gpu_part.Report(arguments)
        report.part("compute-sanitizer").work(gpu_right.sanitizers, gpu_right.Prepared(report))
        self.assertIn("| memcheck, explain | **FAILED** | it printed no summary |", (self.folder / "report.md").read_text())

    def test_what_a_bundle_needs_is_said(self):
        (self.bundle / "tests/conformance").unlink()
        done = check("--rehearse", "--bundle", self.bundle, "-o", self.folder / "report.md",
                     PATH=f"{self.folder}/bin:{os.environ['PATH']}")
        self.assertEqual(done.returncode, 1)
        self.assertIn("make it with scripts/bundle.sh --tests", done.stderr)
        executable(self.folder / "bin/python3.fake", "exit 1")
        (self.folder / "bin/python3.fake").replace(self.folder / "bin/python3")
        done = check("--rehearse", "--bundle", self.bundle, PATH=f"{self.folder}/bin:{os.environ['PATH']}")
        self.assertEqual(done.returncode, 1)
        self.assertIn("python3 with numpy and Pillow", done.stderr)


class Children(Folder):
    """Processes that are timed."""

    def test_what_is_no_time_is_told(self):
        for said in ("ms nan", "ms -1", "ms", "ms 0", "ms 1 2", "W0101 autotune 3"):
            program = self.folder / "child"
            executable(program, f"echo ready; read n; echo '{said}'; sleep 1000")
            child = bench_child.Child([program, "GRADIENTS"], "/dev/null")
            child.ready(10)
            with self.assertRaisesRegex(bench_child.Failed, "and not the milliseconds of 1 runs"):
                child.turn(1, 10)


class Numbers(unittest.TestCase):
    def test_the_worst_picture_counts(self):
        want = np.array([[3.0, 4.0], [0.0, 1.0]])
        self.assertAlmostEqual(gpu_right.relative_l2(want + [[0, 0], [0, 0.5]], want), 0.5)
        self.assertEqual(gpu_right.relative_l2(want, want), 0)

    def test_nan_and_infinity_never_pass(self):
        for bad in (np.nan, np.inf):
            error = gpu_right.relative_l2([[1.0, bad], [0.0, 1.0]], [[1.0, 2.0], [0.0, 1.0]])
            self.assertFalse(gpu_right.within(error, 1e9))


if __name__ == "__main__":
    unittest.main()
