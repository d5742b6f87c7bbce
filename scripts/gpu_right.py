"""The parts of gpu_report.py that ask whether a GPU's results are right. They run side by side; a semaphore bounds how many
programs do.

Errors of gradients are relative (L2 over a picture), the worst picture counts, and NaN is never within a tolerance.
"""
import collections
import concurrent.futures
import contextlib
import datetime
import functools
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading

import numpy as np

from bench_child import Child, Failed, environment
from gpu_part import FAILED, LEFT_OUT, PASSED, SHARE_OF_CHECKS, Broken, OutOfTime, TooSlow, run, table

HERE = pathlib.Path(__file__).resolve().parent
PRECISIONS = ("fp32", "tf32", "bf16", "fp16")
# How far gradients of a smooth network may be from float64's.
TOLERANCE = {"fp32": 1e-4, "tf32": 2e-2, "bf16": 2e-1, "fp16": 3e-2}
# The demo's networks have ReLUs and max pools: rounded to 11 bits they were 4.8e-2 from the CPU's on the emulated device.
DEMO_TOLERANCE = {**TOLERANCE, "fp16": 1e-1}
# ReLU networks' gradients jump where rounding turns a sign: of random weights only float32 is held to something there.
KINKED_FP32 = 1e-2
# Of 255: rounding differs between devices, and turns a level now and then. Held in float32.
LEVELS = 2
# Those that are timed, and the batches. The last batch needs most memory.
NETWORKS = ("resnet50", "vgg16", "mobilenet_v2", "efficientnet_b0", "convnext_tiny")
BATCHES = ((1, 64), (256,))
LARGEST = 256
# Seconds that what was begun in time may take after it.
SECONDS_TO_END = 60
# Where time is short, these of the architectures come first.
FIRST = ("resnet50", "vgg16_bn", "mobilenet_v3_small", "densenet121", "convnext_tiny", "inception_v3", "efficientnet_b0",
         "shufflenet_v2_x1_0")
REHEARSED = ("mobilenet_v3_small",)
SANITIZERS = ("memcheck", "racecheck", "initcheck", "synccheck")
PROGRAMS = {
    "salmap": ("salmap", "bin/salmap"),
    "conformance": ("tests/conformance/conformance", "tests/conformance"),
    "bench_gradient": ("tests/bench/bench_gradient", "tests/bench_gradient"),
    "bench_gpu": ("tests/bench/bench_gpu", "tests/bench_gpu"),
    "bench_peak": ("tests/bench/bench_peak", "tests/bench_peak"),
}


def program(args, name):
    """Of a build folder, or of a bundle."""
    for path in PROGRAMS[name]:
        if (args.programs / path).is_file():
            return args.programs / path
    raise Broken(f"{args.programs} has no {name}")


def on_device(args, precision=None):
    return ["--device", args.device, *(["--precision", precision] if precision and args.device != "cpu" else [])]


def models(args):
    return sorted((args.data / "models").glob("*.onnx"))


def honest(args):
    return args.data / "models/scale_age_honest.onnx"


def largest(args):
    """Batch that is timed."""
    return 2 if args.stand_in else LARGEST


def relative_l2(got, want):
    """Of the worst picture; NaN where there is one. Both (pictures, ...)."""
    got = np.asarray(got, float).reshape(len(want), -1)
    want = np.asarray(want, float).reshape(len(want), -1)
    errors = np.linalg.norm(got - want, axis=1) / np.maximum(np.linalg.norm(want, axis=1), 1e-300)
    return float(errors.max()) if np.isfinite(errors).all() else float("nan")


def within(error, tolerance):
    """NaN is not."""
    return bool(error <= tolerance)


class Prepared:
    """What parts share: how many programs run at a time, and the networks that PyTorch writes meanwhile."""

    def __init__(self, report):
        self.report = report
        self.args = args = report.args
        self.turn = threading.Semaphore(max(args.jobs, 1))
        self.large = threading.Semaphore(4)  # plans of large batches: each takes tens of GiB
        self.peaks = {}
        self.pool = concurrent.futures.ThreadPoolExecutor(3)
        self.architectures = self.exports = None
        if not args.quick and args.stand_in != "cpu":
            self.architectures = self.pool.submit(self.write_architectures)
            names = NETWORKS if not args.stand_in else ("demo",)
            self.exports = {name: self.pool.submit(self.export, name) for name in names}

    def write_architectures(self):
        out = self.args.folder / "architectures"
        out.mkdir()
        wanted = REHEARSED if self.args.stand_in else FIRST if self.args.minutes else ()
        run([sys.executable, HERE / "make_architectures.py", "--jobs", max(self.args.jobs // 2, 2), out,
             *(["--only", *wanted] if wanted else [])], limit=self.limit())
        return out

    def export(self, name):
        """The ONNX file of a network that is timed, with PyTorch's weights and pictures beside it."""
        run([sys.executable, HERE / "bench_pytorch.py", "export", name, self.args.folder, largest(self.args)],
            limit=self.limit(), env=environment())
        return self.args.folder / f"{name}.onnx"

    def limit(self):
        """Seconds that one program may take: what is left for all of them, and some to end in."""
        return min(1800, max(self.report.seconds_left(SHARE_OF_CHECKS) + SECONDS_TO_END, 1))

    def wait(self, future):
        """What PyTorch has written; raises Broken, with the reason."""
        if not future:
            raise Broken("not asked for")
        try:
            return future.result(timeout=self.limit())
        except concurrent.futures.TimeoutError as error:
            raise OutOfTime from error

    def references(self):
        """The folder of references."""
        return self.wait(self.architectures)

    def networks(self):
        """({name: ONNX file}, {name: why there is none})"""
        there, missing = {}, {}
        for name, future in (self.exports or {}).items():
            try:
                there[name] = self.wait(future)
            except Broken as error:
                missing[name] = error.short
        return there, missing

    @contextlib.contextmanager
    def own_turn(self):
        """When it comes; raises OutOfTime where that is too late."""
        with self.turn:
            if self.report.seconds_left(SHARE_OF_CHECKS) <= 0:
                raise OutOfTime
            yield

    def run(self, command, **options):
        """run(), when it is this program's turn."""
        with self.own_turn():
            return run(command, limit=self.limit(), **options)

    def side_by_side(self, function, items):
        """What function makes of each, or the Broken that it raised, in their order; begun in that order, too."""

        def one(item):
            try:
                return function(item)
            except Broken as error:
                return error
            except Exception as error:  # one item is not the part
                return Broken(f"{type(error).__name__}: {error}")

        with concurrent.futures.ThreadPoolExecutor(max(self.args.jobs, 1)) as pool:
            return list(pool.map(one, items))

    def close(self):
        self.pool.shutdown(cancel_futures=True)


def conclude(part, name, wrong, done, left_out):
    """The check of a part whose work may be cut short."""
    part.check(name, FAILED if wrong else PASSED if done else LEFT_OUT, "; ".join(wrong[:5]) or done or "no time was left")
    if left_out and (wrong or done):
        part.check(f"{name}, the rest", LEFT_OUT, f"no time was left for {left_out}")


# ---- What the machine is ----------------------------------------------------


def nvidia_smi(device, *fields):
    """Each field by itself: values may hold anything."""
    values = []
    for field in fields:
        text = run(["nvidia-smi", f"--id={device.partition(':')[2]}", f"--query-gpu={field}", "--format=csv,noheader"], limit=30)
        values.append((text.strip().splitlines() or ["?"])[0].strip().replace("|", "/"))
    return values


@functools.cache
def capability(device):
    """Unknown: one that has everything, so that nothing is left out unseen."""
    said = nvidia_smi(device, "compute_cap")[0]
    return float(said) if re.fullmatch(r"\d+\.\d+", said) else 99.0


def precisions(args):
    """bfloat16 begins with compute capability 8."""
    if args.stand_in:
        return ("fp32",) if args.stand_in == "cpu" else ("fp32", "fp16")
    return tuple(p for p in PRECISIONS if p != "bf16" or capability(args.device) >= 8)


def commit():
    if not shutil.which("git"):
        return "unknown"
    done = subprocess.run(["git", "-C", HERE, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False,
                          timeout=60)
    return done.stdout.strip() or "unknown"


def machine(part):
    args = part.args
    salmap = program(args, "salmap")
    rows = [("date", datetime.date.today().isoformat()), ("salmap", run([salmap, "--version"], limit=60).split("\n")[0]),
            ("commit", commit()), ("processor cores", os.cpu_count())]
    if args.stand_in != "cpu":
        fields = ("name", "driver_version", "compute_cap", "memory.total", "clocks.max.sm", "power.limit")
        rows += zip(fields, nvidia_smi(args.device, *fields))
    part.show(table(("", ""), rows))
    try:
        rows = {row["name"]: row for row in json.loads(run([salmap, "doctor", "--json"], limit=60))["checks"]}
        wanted = ["cpu"] + (["driver", "cudnn", "cublas", "nvrtc", args.device] if args.device != "cpu" else [])
        wrong = [f"{name}: {rows[name]['found'] if name in rows else 'missing'}" for name in wanted
                 if rows.get(name, {}).get("state") != "ok"]
    except (Broken, ValueError) as error:
        wrong = [getattr(error, "short", str(error))]
    part.check("doctor", FAILED if wrong else PASSED, "; ".join(wrong))
    try:
        text = run([salmap, "doctor"], limit=60).strip()
    except Broken as error:
        text = str(error)
    return part.text + f"\n\n`salmap doctor`:\n\n```\n{text}\n```"


# ---- Is it right? -----------------------------------------------------------


def plans(part, prepared):
    """Which way each convolution goes. A kernel of ours in cuDNN's place, a part of cuDNN that is missing and a plan
    that had to be replaced are failures: each is right, and none is what was planned. What is planned here need not be
    when networks are timed: plans are kept."""
    args = part.args
    rows, wrong, left_out = [], [], []

    def plan(what):
        _, model, precision, batch = what
        with prepared.large if batch == LARGEST else contextlib.nullcontext():
            text = prepared.run([program(args, "salmap"), "plan", model, "--json", *on_device(args, precision),
                                 *(["--batch", batch] if batch else [])])
        steps = json.loads(text)["steps"]
        return steps, collections.Counter(s["algorithm"] or "none" for s in steps if s["kind"].startswith("conv"))

    def add(work):
        for (name, _, precision, batch), result in zip(work, prepared.side_by_side(plan, work)):
            name = f"{name}, batch {batch}" if batch else name
            if isinstance(result, OutOfTime):
                left_out.append(f"{name} {precision}")
                continue
            if isinstance(result, Broken):
                wrong.append(f"{name} {precision}: {result.short}")
                continue
            steps, ways = result
            rows.append((name, precision, ", ".join(f"{way}: {n}" for way, n in sorted(ways.items()))))
            if not ways:
                wrong.append(f"{name} {precision}: no convolution")
            wrong.extend(f"{name} {precision}: {way}" for way in ways if way.startswith("direct kernel"))
            wrong.extend(f"{name} {precision}, {s['name']}: {s['note']}" for s in steps if "note" in s)
        part.show(table(("network", "precision", "convolutions, forward and backward"), rows))

    add([(model.stem, model, precision, 0) for model in models(args) for precision in precisions(args)])
    there, missing = prepared.networks()
    fast = [p for p in ("fp16", "bf16", "tf32") if p in precisions(args)]
    batches = (64, 1, LARGEST) if not args.stand_in else (2,)
    add([(name, model, precision, batch) for batch in batches for name, model in there.items() for precision in fast])
    if missing:
        part.check("plans of PyTorch's networks", LEFT_OUT, "; ".join(f"{n}: {why}" for n, why in missing.items()))
    if not args.minutes and prepared.architectures and not args.stand_in:
        add([(model.parent.name, model, precision, 0) for model in sorted(prepared.references().glob("*/model.onnx"))
             for precision in precisions(args)])
    conclude(part, "convolutions as planned", wrong, f"{len(rows)} plans" if rows else "", "; ".join(left_out[:5]))
    return part.text


def conformance(part, prepared):
    args = part.args
    # One run of a suite that is cut in pieces, as there are cores.
    pieces = 1 if args.stand_in else max(args.jobs // 4, 1)
    filters = ["--filter", "softmax"] if args.stand_in else []
    work = [(precision, k) for precision in precisions(args) for k in range(pieces)]

    def one(what):
        precision, k = what
        chosen = ["--precision", precision] if args.device != "cpu" else []
        command = [program(args, "conformance"), "--backend", args.device, *filters, *chosen, "--shard", f"{k}/{pieces}"]
        said = (prepared.run(command).strip().splitlines() or ["nothing"])[-1]
        if not re.match(r"[1-9]\d* passed, 0 failed", said):
            raise Broken(f"it ended well and said '{said}'")
        return said

    lines, problems = [], []
    for (precision, k), result in zip(work, prepared.side_by_side(one, work)):
        broken = isinstance(result, Broken)
        outcome = LEFT_OUT if isinstance(result, OutOfTime) else FAILED if broken else PASSED
        name = f"every step alone, {precision}" + (f", part {k + 1} of {pieces}" if pieces > 1 else "")
        part.check(name, outcome, result.short if broken else result)
        (problems if broken else lines).append(f"\n```\n{result}\n```\n" if broken else f"- {name}: {result}")
    return "\n".join(lines + problems)


def gradients(prepared, model, inputs, targets, precision, tag):
    """The gradients that bench_gradient computes, of an output of each picture."""
    args = prepared.args
    raw = args.folder / f"{tag}.raw"
    np.asarray(inputs, np.float32).tofile(raw)
    with prepared.own_turn():
        child = Child([program(args, "bench_gradient"), honest(args), model, raw, len(inputs), 1, "GRADIENTS", args.device,
                       *([precision] if args.device != "cpu" else []), "targets=" + ",".join(map(str, targets))],
                      args.folder / f"{tag}.gradients")
        try:
            child.ready(prepared.limit())
            child.finish(prepared.limit())
        except Failed as error:
            raise Broken(str(error)) from error
    return child.result().reshape(np.shape(inputs))


def whole_networks(part, prepared):
    args = part.args
    try:
        folder = prepared.references()
    except Broken as error:
        part.check("whole networks", LEFT_OUT, f"no references of PyTorch: {error.short}")
        return "Left out: no references."
    networks = sorted((p for p in folder.iterdir() if (p / "inputs.npy").exists()),
                      key=lambda p: (FIRST.index(p.name) if p.name in FIRST else len(FIRST), p.name))
    if not networks:
        raise Broken(f"{folder} holds no references")
    columns = [(prefix, precision) for prefix in ("smooth_", "") for precision in precisions(args)]
    wrong, left_out, done = [], [], 0

    def one(what):
        network, (prefix, precision) = what
        want = np.load(network / f"{prefix}gradients.npy")
        # Half precision may predict another class than double: it is that of double which is explained.
        targets = np.load(network / f"{prefix}scores.npy").argmax(1)
        got = gradients(prepared, network / ("smooth.onnx" if prefix else "model.onnx"), np.load(network / "inputs.npy"), targets,
                        precision, f"{network.name}-{prefix}{precision}")
        return relative_l2(got, want)

    # Each precision of the first networks comes before the rest.
    work = [(network, column) for network in networks for column in columns]
    cells = {}
    for (network, (prefix, precision)), error in zip(work, prepared.side_by_side(one, work)):
        name = f"{network.name} {prefix.strip('_') or 'as it is'} {precision}"
        if isinstance(error, OutOfTime):
            left_out.append(name)
            cells[network.name, prefix, precision] = ""
            continue
        done += 1
        if isinstance(error, Broken):
            wrong.append(f"{name}: {error.short}")
            error = float("nan")
        elif prefix:
            if not within(error, TOLERANCE[precision]):
                wrong.append(f"{name}: {error:.1e}")
        elif not np.isfinite(error):
            wrong.append(f"{name}: {error}")
        elif precision == "fp32" and not within(error, KINKED_FP32):
            wrong.append(f"{name}: {error:.1e}")
        cells[network.name, prefix, precision] = f"{error:.1e}"
    conclude(part, "whole networks", wrong, f"{done} gradients of {len(networks)} networks" if done else "",
             f"{len(left_out)} gradients, from {left_out[0]} on" if left_out else "")
    header = ["network", *(f"{'smooth' if prefix else 'ReLU'} {precision}" for prefix, precision in columns)]
    rows = [[network.name, *(cells[network.name, *column] for column in columns)] for network in networks]
    return (f"Gradients against PyTorch's in double precision, of the worse of two pictures. Held to: smooth networks "
            f"{tolerances(args)}; ReLU networks, in fp32, {KINKED_FP32:g}.\n\n"
            + table(header, rows))


def tolerances(args):
    return ", ".join(f"{p} {TOLERANCE[p]:g}" for p in precisions(args))


def explain(part, prepared, model, folder, device, precision):
    """({name: gradient}, {name: map}, {name: overlay}, the last line printed)"""
    from PIL import Image

    args = part.args
    pictures = sorted((args.data / "scales").glob("scale_*"))[:2 if args.stand_in else None]
    chosen = ["--precision", precision] if device != "cpu" else []
    text = prepared.run([program(args, "salmap"), "explain", model, *pictures, "-o", folder, "--save-gradient",
                               "--device", device, *chosen])
    stems = [p.stem for p in pictures]
    return ({s: np.load(folder / f"{s}.gradient.npy") for s in stems}, {s: np.load(folder / f"{s}.npy") for s in stems},
            {s: np.asarray(Image.open(folder / f"{s}.overlay.png"), int) for s in stems}, text.strip().splitlines()[-1])


def like_the_cpu(part, prepared):
    args = part.args
    rows, wrong, left_out = [], [], []

    def one(what):
        model, precision = what
        folder = args.folder / f"explain-{model.stem}-{precision or 'cpu'}"
        return explain(part, prepared, model, folder, args.device if precision else "cpu", precision)

    work = [(model, precision) for model in models(args) for precision in (None, *precisions(args))]
    made = dict(zip(work, prepared.side_by_side(one, work)))
    for model, precision in work:
        got, want = made[model, precision], made[model, None]
        broken = next((r for r in (want, got) if isinstance(r, Broken)), None)
        if precision is None and not broken:
            continue
        if isinstance(broken, OutOfTime):
            left_out.append(f"{model.stem} {precision or 'cpu'}")
            continue
        if broken:
            wrong.append(f"{model.stem} {precision or 'cpu'}: {broken.short}")
            continue
        error = max((relative_l2(got[0][s][None], want[0][s][None]) for s in want[0]), key=lambda e: (e != e, e))
        levels = 255 * float(np.max([np.abs(got[1][s] - want[1][s]).max() for s in want[1]]))  # NaN where there is one
        overlay = max(int(np.abs(got[2][s] - want[2][s]).max()) for s in want[2])
        rows.append((model.stem, precision, f"{error:.1e}", f"{levels:.2f}", overlay, got[3].partition(" ->")[0]))
        if not np.isfinite(levels):
            wrong.append(f"{model.stem} {precision}: a map that is no number")
        elif not within(error, DEMO_TOLERANCE[precision]):
            wrong.append(f"{model.stem} {precision}: {error:.1e}")
        elif precision == "fp32" and not (within(levels, LEVELS) and within(overlay, LEVELS)):
            wrong.append(f"{model.stem} {precision}: the map by {levels:.1f} levels, the overlay by {overlay}")
    conclude(part, "explain, GPU against CPU", wrong, f"{len(rows)} runs" if rows else "", "; ".join(left_out))
    header = ("model", "precision", "gradient, relative L2", "map, levels of 255", "overlay, levels", "speed")
    held = ", ".join(f"{p} {DEMO_TOLERANCE[p]:g}" for p in precisions(args))
    return (f"The sample scales. Gradients are held to {held}; maps and overlays, in fp32, to {LEVELS} levels.\n\n"
            + table(header, rows))


def demo(part, prepared):
    args = part.args

    def one(precision):
        out = prepared.run([sys.executable, HERE / "demo_shares.py", program(args, "salmap"), "--data", args.data,
                                  "--check", "5", *on_device(args, precision)])
        return out.strip().splitlines()[-1]

    lines = []
    tried = ("fp16",) if args.stand_in == "rehearsal" else precisions(args)
    for precision, result in zip(tried, prepared.side_by_side(one, tried)):
        broken = isinstance(result, Broken)
        part.check(f"demo networks told apart, {precision}",
                   LEFT_OUT if isinstance(result, OutOfTime) else FAILED if broken else PASSED, result.short if broken else "")
        lines.append(f"- {precision}:\n\n```\n{result}\n```" if broken else f"- {precision}: {result}")
    return "\n".join(lines)


def sanitizers(part, prepared):
    args = part.args
    found = shutil.which("compute-sanitizer") or shutil.which("/usr/local/cuda/bin/compute-sanitizer")
    if args.stand_in == "cpu" or not found:
        part.check("compute-sanitizer", LEFT_OUT, "dry run" if args.stand_in == "cpu" else "it is not installed")
        return "Left out."
    steps = [program(args, "conformance"), "--backend", args.device]
    if args.stand_in:
        steps += ["--filter", "softmax"]
    elif args.minutes:  # it is fifty times slower under it
        steps += ["--shard", "0/16"]
    picture = sorted((args.data / "scales").glob("scale_*"))[0]
    work = [(tool, "every step" if steps is command else "explain", command)
            for tool in (SANITIZERS if not args.minutes else SANITIZERS[:2])
            for command in (steps, [program(args, "salmap"), "explain", honest(args), picture, "-o",
                                    args.folder / f"sanitized-{tool}", "--device", args.device])]

    def one(what):
        tool, _, command = what
        return prepared.run([found, "--tool", tool, "--error-exitcode", "9", "--report-api-errors", "no", *command])

    lines = []
    for (tool, name, _), out in zip(work, prepared.side_by_side(one, work)):
        text = (out.output or str(out)) if isinstance(out, Broken) else out
        own = [line.strip("= ") for line in text.splitlines() if line.startswith("=========")]
        summary = [line for line in own if "SUMMARY" in line]
        bad = [line for line in summary if not re.search(r"SUMMARY: 0 (errors|hazards)", line)]
        said = bad[0] if bad else summary[-1] if summary else out.short if isinstance(out, Broken) else "it printed no summary"
        if bad:
            outcome = FAILED
        elif any("Device not supported" in line for line in own):  # some hosts let no debugger at it: that clears nothing
            outcome, said = LEFT_OUT, "this host lets no debugger at the device"
        elif isinstance(out, (OutOfTime, TooSlow)):
            outcome = LEFT_OUT
        else:
            clear = not isinstance(out, Broken) and summary and not any("Internal Sanitizer Error" in line for line in own)
            outcome = PASSED if clear else FAILED
        part.check(f"{tool}, {name}", outcome, said)
        lines.append(f"- {tool}, {name}: nothing found" if outcome == PASSED else f"- {tool}, {name}:\n\n```\n{out}\n```")
    return "\n".join(lines)


# Each goes on as it gets its turns.
PARTS = (("Plans", plans), ("Every step alone", conformance), ("Whole networks", whole_networks),
         ("GPU against CPU", like_the_cpu), ("Demo", demo), ("compute-sanitizer", sanitizers))
