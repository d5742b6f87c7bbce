#!/usr/bin/env python3
"""The checks and timings of gpu_check.sh, which builds what they need; writes the report.

Every part is run and told of even where one before it failed. A check that could not be made is "left out", with the
reason: that is not a pass. Errors of gradients are relative (L2 over a picture), the worst picture counts.
"""
import argparse
import collections
import datetime
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODELS = ROOT / "data/models"
HONEST = MODELS / "scale_age_honest.onnx"
SCALES = sorted((ROOT / "data/scales").glob("scale_*"))
PRECISIONS = ("fp32", "tf32", "bf16", "fp16")
# How far gradients of a smooth network, and of the demo networks, may be from float64's or the CPU's.
TOLERANCE = {"fp32": 1e-4, "tf32": 2e-2, "bf16": 2e-1, "fp16": 3e-2}
# ReLU networks' gradients jump where rounding turns a sign: only float32 is held to something there.
KINKED_FP32 = 1e-2
NETWORKS = ("vgg16", "resnet50", "mobilenet_v2", "efficientnet_b0", "demo")
SANITIZERS = ("memcheck", "racecheck", "initcheck", "synccheck")
PASSED, FAILED, LEFT_OUT = "passed", "**FAILED**", "left out"


class Broken(Exception):
    """A program that was not expected to fail did; the text says how."""


def run(command, limit=1800, **options):
    """What it printed; raises Broken."""
    command = [str(c) for c in command]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=limit,
                              check=False, errors="replace", **options)
    except subprocess.TimeoutExpired as error:
        raise Broken(f"{pathlib.Path(command[0]).name} took longer than {limit} s") from error
    except OSError as error:
        raise Broken(str(error)) from error
    if done.returncode != 0:
        tail = "\n".join(done.stdout.splitlines()[-25:])
        raise Broken(f"{' '.join(command)}\nexit status {done.returncode}\n{tail}")
    return done.stdout


def relative_l2(got, want):
    """Of the worst picture; NaN where there is one. Both (pictures, ...)."""
    got = np.asarray(got, float).reshape(len(want), -1)
    want = np.asarray(want, float).reshape(len(want), -1)
    errors = np.linalg.norm(got - want, axis=1) / np.maximum(np.linalg.norm(want, axis=1), 1e-300)
    return float(np.max(errors)) if np.isfinite(errors).all() else float("nan")


def within(error, tolerance):
    """NaN is not."""
    return bool(error <= tolerance)


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(str(c) for c in row) + " |" for row in rows])


class Report:
    def __init__(self, args):
        self.args = args
        self.checks = []
        self.sections = []
        self.under_way = None

    def check(self, name, outcome, text=""):
        self.checks.append((name, outcome, text))
        print(f"{name}: {outcome.strip('*')} {text}", flush=True)

    def section(self, title, text):
        self.sections.append(f"## {title}\n\n{text.strip()}\n")

    def part(self, title, function, *args):
        """One section; what breaks in it is a failed check. It is in the file as soon as it is there: a run that is cut
        off leaves the parts before."""
        self.under_way = title
        self.write()
        try:
            self.section(title, function(self, *args))
        except Broken as error:
            self.check(title, FAILED, str(error).splitlines()[0])
            self.section(title, f"```\n{error}\n```")
        self.under_way = None
        self.write()

    def write(self):
        unfinished = self.args.output.with_name(self.args.output.name + ".part")
        unfinished.write_text(self.text())
        unfinished.replace(self.args.output)

    def failed(self):
        return any(outcome == FAILED for _, outcome, _ in self.checks)

    def text(self):
        where = "dry run, every number is the CPU's" if self.args.dry_run else self.args.device
        head = f"# salmap on a GPU: {where}\n\n" + table(("check", "result", ""), self.checks)
        if self.under_way:
            head += f"\n\n**Not finished**: cut off, or still at work, in the part \"{self.under_way}\"."
        return head + "\n\n" + "\n".join(self.sections)


# ---- What the machine is ----------------------------------------------------


def nvidia_smi(device, *fields):
    text = run(["nvidia-smi", f"--id={device.partition(':')[2]}", f"--query-gpu={','.join(fields)}",
                "--format=csv,noheader"])
    return [value.strip() for value in text.split(",")]


def precisions(args):
    """bfloat16 begins with compute capability 8."""
    if args.dry_run:
        return ("fp32",)
    capability = float(nvidia_smi(args.device, "compute_cap")[0])
    return tuple(p for p in PRECISIONS if p != "bf16" or capability >= 8)


def commit():
    if not shutil.which("git"):
        return "unknown"
    done = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def machine(report):
    args = report.args
    rows = [("date", datetime.date.today().isoformat()), ("salmap", run([args.salmap, "--version"]).split("\n")[0])]
    rows.append(("commit", commit()))
    if not args.dry_run:
        fields = ("name", "driver_version", "compute_cap", "memory.total", "clocks.max.sm", "power.limit")
        rows += zip(fields, nvidia_smi(args.device, *fields))
    text = table(("", ""), rows)
    doctor = subprocess.run([args.salmap, "doctor"], capture_output=True, text=True, check=False)
    if doctor.returncode == 0:
        text += f"\n\n`salmap doctor`:\n\n```\n{doctor.stdout.strip()}\n```"
    return text


# ---- Is it right? -----------------------------------------------------------


def conformance(report):
    args = report.args
    program = args.build / "tests/conformance/conformance"
    filters = ["--filter", "softmax"] if args.dry_run else []
    by_precision = "--precision" in run([program, "--help"])
    lines = []
    for precision in precisions(args) if by_precision else (None,):
        chosen = ["--precision", precision] if precision else []
        out = run([program, "--backend", args.device, *filters, *chosen])
        last = out.strip().splitlines()[-1]
        report.check("every step alone" + (f", {precision}" if precision else ""), PASSED, last)
        lines.append(f"- {precision or 'default precision'}: {last}")
    return "\n".join(lines)


def gradients(args, folder, model, inputs, device, precision, runs=0, lean=False):
    """(gradients, milliseconds per picture, facts) of bench_gradient."""
    raw, out = folder / "inputs.raw", folder / "gradients.raw"
    np.asarray(inputs, np.float32).tofile(raw)
    command = [args.build / "tests/bench/bench_gradient", HONEST, model, raw, len(inputs), os.cpu_count(), out, device]
    command += ([precision] if device != "cpu" else []) + (["lean"] if lean else [])
    text = run(command, input=f"{runs}\n" if runs else "")
    times = [float(t) for line in text.splitlines() if line.startswith("ms") for t in line.split()[1:]]
    facts = dict(line.partition(" ")[::2] for line in text.splitlines())
    return np.fromfile(out, np.float32).reshape(np.shape(inputs)), times, facts


def whole_networks(report, folder):
    args = report.args
    if not args.architectures:
        report.check("whole networks", LEFT_OUT, "no references: PyTorch and torchvision write them")
        return "Left out: no references."
    rows, wrong = [], []
    for network in sorted(p for p in args.architectures.iterdir() if (p / "inputs.npy").exists()):
        inputs = np.load(network / "inputs.npy")
        row = [network.name]
        for prefix, model in (("smooth_", "smooth.onnx"), ("", "model.onnx")):
            want = np.load(network / f"{prefix}gradients.npy")
            for precision in precisions(args):
                got = gradients(args, folder, network / model, inputs, args.device, precision)[0]
                error = relative_l2(got, want)
                row.append(f"{error:.1e}")
                kinked = not prefix
                tolerance = KINKED_FP32 if kinked and precision == "fp32" else TOLERANCE[precision]
                if not np.isfinite(error) or (not kinked or precision == "fp32") and not within(error, tolerance):
                    wrong.append(f"{network.name} {model} {precision}: {error:.1e}")
        rows.append(row)
    header = ["network", *(f"smooth {p}" for p in precisions(args)), *(f"ReLU {p}" for p in precisions(args))]
    if not rows:
        raise Broken(f"{args.architectures} holds no references")
    report.check("whole networks", FAILED if wrong else PASSED, "; ".join(wrong) or f"{len(rows)} networks")
    return "Gradients against PyTorch's in double precision. Held to: smooth networks " + tolerances(
        report) + f"; ReLU networks {KINKED_FP32:g} in fp32.\n\n" + table(header, rows)


def tolerances(report):
    return ", ".join(f"{p} {TOLERANCE[p]:g}" for p in precisions(report.args))


def explain(args, model, folder, device, precision):
    """({name: gradient}, {name: map}, {name: overlay}, the last line printed)"""
    from PIL import Image

    pictures = SCALES[:2] if args.dry_run else SCALES
    chosen = ["--precision", precision] if device != "cpu" else []
    text = run([args.salmap, "explain", model, *pictures, "-o", folder, "--save-gradient", "--device", device, *chosen])
    stems = [p.stem for p in pictures]
    return ({s: np.load(folder / f"{s}.gradient.npy") for s in stems}, {s: np.load(folder / f"{s}.npy") for s in stems},
            {s: np.asarray(Image.open(folder / f"{s}.overlay.png"), int) for s in stems}, text.strip().splitlines()[-1])


def like_the_cpu(report, folder):
    args = report.args
    rows, wrong = [], []
    for model in sorted(MODELS.glob("*.onnx")):
        want = explain(args, model, folder / "cpu", "cpu", None)
        for precision in precisions(args):
            got = explain(args, model, folder / "gpu", args.device, precision)
            error = max((relative_l2(got[0][s][None], want[0][s][None]) for s in want[0]), key=lambda e: (e != e, e))
            levels = 255 * max(float(np.abs(got[1][s] - want[1][s]).max()) for s in want[1])
            overlay = max(int(np.abs(got[2][s] - want[2][s]).max()) for s in want[2])
            rows.append((model.stem, precision, f"{error:.1e}", f"{levels:.2f}", overlay, got[3].partition(" ->")[0]))
            if not within(error, TOLERANCE[precision]):
                wrong.append(f"{model.stem} {precision}: {error:.1e}")
    report.check("explain, GPU against CPU", FAILED if wrong else PASSED, "; ".join(wrong) or f"{len(rows)} runs")
    header = ("model", "precision", "gradient, relative L2", "map, levels of 255", "overlay, levels", "speed")
    return f"The sample scales. Held to: {tolerances(report)}.\n\n" + table(header, rows)


def demo(report):
    args = report.args
    lines = []
    for precision in precisions(args):
        chosen = ["--precision", precision] if args.device != "cpu" else []
        out = run(["/usr/bin/python3", ROOT / "scripts/demo_shares.py", args.salmap, "--check", "5", "--device",
                   args.device, *chosen])
        last = out.strip().splitlines()[-1]
        report.check(f"demo networks told apart, {precision}", PASSED)
        lines.append(f"- {precision}: {last}")
    return "\n".join(lines)


def plans(report):
    """Which way each convolution goes. A kernel of ours in cuDNN's place, a part of cuDNN that is missing and a plan
    that had to be replaced are failures: each is right, and none is what was planned."""
    args = report.args
    models = sorted(MODELS.glob("*.onnx"))
    if args.architectures:
        models += sorted(args.architectures.glob("*/model.onnx"))
    rows, wrong = [], []
    for model in models:
        name = model.stem if model.parent == MODELS else model.parent.name
        for precision in precisions(args):
            chosen = ["--device", args.device, *(["--precision", precision] if args.device != "cpu" else [])]
            steps = json.loads(run([args.salmap, "plan", model, "--json", *chosen]))["steps"]
            ways = collections.Counter(s["algorithm"] or "none" for s in steps if s["kind"].startswith("conv"))
            rows.append((name, precision, ", ".join(f"{way}: {n}" for way, n in sorted(ways.items()))))
            wrong += [f"{name} {precision}: {way}" for way in ways if way.startswith("direct kernel")]
            wrong += [f"{name} {precision}, {s['name']}: {s['note']}" for s in steps if "note" in s]
    report.check("convolutions as planned", FAILED if wrong else PASSED, "; ".join(wrong[:5]) or f"{len(rows)} plans")
    return table(("network", "precision", "convolutions, forward and backward"), rows)


def sanitizers(report, folder):
    args = report.args
    program = shutil.which("compute-sanitizer") or shutil.which("/usr/local/cuda/bin/compute-sanitizer")
    if args.dry_run or not program:
        report.check("compute-sanitizer", LEFT_OUT, "dry run" if args.dry_run else "it is not installed")
        return "Left out."
    work = {
        "every step": [args.build / "tests/conformance/conformance", "--backend", args.device],
        "explain": [args.salmap, "explain", HONEST, SCALES[0], "-o", folder, "--device", args.device],
    }
    lines = []
    for tool in SANITIZERS:
        for name, command in work.items():
            try:
                out = run([program, "--tool", tool, "--error-exitcode", "9", *command], limit=3600)
            except Broken as error:
                report.check(f"{tool}, {name}", FAILED, str(error).splitlines()[0])
                lines.append(f"- {tool}, {name}:\n\n```\n{error}\n```")
                continue
            summary = [l for l in out.splitlines() if "SUMMARY" in l]
            report.check(f"{tool}, {name}", PASSED, summary[-1].strip("= ") if summary else "")
            lines.append(f"- {tool}, {name}: nothing found")
    return "\n".join(lines)


# ---- How fast is it? ----------------------------------------------------------


def yardsticks(args):
    """({name: value}, rows of map kernels)"""
    if args.dry_run:
        out = run([args.build / "tests/bench/bench_peak", os.cpu_count(), "0.1"])
        return {"fp32-tflops": float(out.split()[1]) / 1e3}, []
    values, maps = {}, []
    for line in run([args.build / "tests/bench/bench_gpu", args.device.partition(":")[2]]).splitlines():
        words = line.split()
        if len(words) == 2:
            values[words[0]] = float(words[1])
        else:
            maps.append(words)
    return values, maps


def maps_speed(report):
    values, maps = yardsticks(report.args)
    text = table(("yardstick", "measured"), [(k, f"{v:.2f}") for k, v in values.items()])
    if not maps:
        report.check("speed of maps", LEFT_OUT, "dry run")
        return values, text
    copy = values["copy-gbs"]
    rows = [(kind, size, sigma, ms, gbs, f"{100 * float(gbs) / copy:.0f} %") for kind, size, sigma, ms, gbs in maps]
    report.check("speed of maps", PASSED, f"{len(rows)} sizes")
    header = ("kernel", "size", "sigma", "ms", "GB/s", "of the copy")
    return values, text + ("\n\nBytes that must be read and written; small ones fit the cache and may pass a copy.\n\n"
                           + table(header, rows))


def pytorch_python(args):
    """A Python whose PyTorch reaches the device; None."""
    test = "import torch, torchvision, sys; sys.exit(0 if torch.cuda.is_available() else 1)"
    for python in filter(None, (args.python, sys.executable, "/usr/bin/python3")):
        try:
            run([python, "-c", test], limit=120)
            return python
        except Broken:
            continue
    return None


def pytorch_ms(args, python, folder, name, batch, precision):
    command = [python, ROOT / "scripts/bench_pytorch.py", "run", name, folder, batch, os.cpu_count(),
               folder / "theirs.gradients", args.device, precision]
    text = run(command, input="20\n", env={**os.environ, "PYTHONPATH": str(ROOT / "scripts")})
    return statistics.median(float(t) for l in text.splitlines() if l.startswith("ms") for t in l.split()[1:])


def networks_to_time(args, folder):
    """Rows (name, model, pictures); bench_pytorch.py exports them where there is PyTorch."""
    batch = 2 if args.dry_run else 64
    random = np.random.default_rng(1)
    alone = [("demo", HONEST, random.standard_normal((batch, 3, 192, 192), np.float32))]
    if args.dry_run or args.quick:
        return alone
    rows = []
    for name in NETWORKS:
        try:
            run([args.python or "/usr/bin/python3", ROOT / "scripts/bench_pytorch.py", "export", name, folder, batch],
                env={**os.environ, "PYTHONPATH": str(ROOT / "scripts")})
        except Broken:
            return alone
        side = 192 if name == "demo" else 224
        rows.append((name, folder / f"{name}.onnx",
                     np.fromfile(folder / f"{name}.inputs", np.float32).reshape(batch, 3, side, side)))
    return rows


def gradients_speed(report, folder, peaks):
    args = report.args
    python = None if args.dry_run else pytorch_python(args)
    exported = networks_to_time(args, folder)
    rows = []
    for name, model, pictures in exported:
        for precision in precisions(args):
            for batch in (2,) if args.dry_run else (1, 8, 64):
                inputs = pictures[:batch]
                _, times, facts = gradients(args, folder, model, inputs, args.device, precision, runs=3 if args.dry_run
                                            else 20)
                ms = statistics.median(times)
                lean = ""
                if not args.dry_run:
                    _, times, _ = gradients(args, folder, model, inputs, args.device, precision, runs=20, lean=True)
                    lean = f"{1e3 / statistics.median(times):.0f}"
                tflops = float(facts["flops"]) / ms * 1e-9
                peak = peaks.get(f"{precision}-tflops")
                share = f"{100 * tflops / peak:.0f} %" if peak else ""
                theirs = ratio = ""
                if python and model != HONEST:
                    inputs.tofile(folder / f"{name}.inputs")
                    other = pytorch_ms(args, python, folder, name, batch, precision)
                    theirs, ratio = f"{1e3 / other:.0f}", f"{other / ms:.2f} ×"
                rows.append((name, precision, batch, f"{1e3 / ms:.0f}", lean, f"{tflops:.2f}", share, theirs, ratio))
    report.check("speed of gradients", PASSED, f"{len(rows)} runs")
    if not python:
        report.check("speed against PyTorch", LEFT_OUT,
                     "dry run" if args.dry_run else "no PyTorch that reaches the GPU (--python PATH names one)")
    header = ("network", "precision", "batch", "pictures/s", "with --lean", "TFLOP/s", "of a large product", "PyTorch, pictures/s",
              "faster")
    return ("Gradient of one score to the input, from pictures in the host's memory to gradients there; median. The last "
            "but two column compares with the rate of a large matrix product on the same device.\n\n"
            + table(header, rows))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--device", required=True)
    parser.add_argument("--architectures", type=pathlib.Path, help="what make_architectures.py wrote")
    parser.add_argument("--python", help="a Python with PyTorch for this GPU")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--dry-run", action="store_true")
    args = parser.parse_args()
    args.build = args.build.resolve()
    args.salmap = args.build / "salmap"
    report = Report(args)
    with tempfile.TemporaryDirectory() as work:
        folder = pathlib.Path(work)
        report.part("Machine", machine)
        report.part("Plans", plans)
        report.part("Every step alone", conformance)
        report.part("Whole networks", whole_networks, folder)
        report.part("GPU against CPU", like_the_cpu, folder)
        report.part("Demo", demo)
        report.part("compute-sanitizer", sanitizers, folder)
        peaks = {}

        def maps_part(report):
            values, text = maps_speed(report)
            peaks.update(values)
            return text

        report.part("Speed of maps", maps_part)
        report.part("Speed of gradients", gradients_speed, folder, peaks)
    print(f"-> {args.output}")
    return 1 if report.failed() else 0


if __name__ == "__main__":
    sys.exit(main())
