"""The parts of gpu_report.py that take times: nothing else runs meanwhile.

Opening a network takes seconds on the processor, compiling its kernels takes more; timing it takes a moment on the GPU. So
those of a network are opened side by side, and only then each has its turns.
"""
import contextlib
import os
import sys

import numpy as np

from bench_child import Child, Failed
from gpu_part import FAILED, LEFT_OUT, PASSED, Broken, run, table
from gpu_right import BATCHES, HERE, SECONDS_TO_END, honest, largest, on_device, precisions, program

RUNS, RUNS_OF_ONE = 20, 200
# With --lean, and with torch.compile.
USUAL_BATCH = 64
# Of a process to start, compile and compute once, or to take its turn.
LIMIT = 150
# What is not begun with less.
SECONDS_OF_A_WAVE, SECONDS_OF_A_SWEEP = 40, 20
SWEPT = 2000


# ---- Kernels ------------------------------------------------------------------


def yardsticks(part):
    """({name: value}, rows of map kernels)"""
    args = part.args
    if args.stand_in == "cpu":
        try:
            program(args, "bench_peak")
        except Broken:  # made for the processor that it is built on: no bundle has it
            return {}, []
        out = run([program(args, "bench_peak"), os.cpu_count(), "0.1"])
        return {"fp32-tflops": float(out.split()[1]) / 1e3}, []
    values, maps = {}, []
    small = ["small"] if args.stand_in else []
    for line in run([program(args, "bench_gpu"), args.device.partition(":")[2], *small], limit=LIMIT).splitlines():
        words = line.split()
        if len(words) == 2:
            values[words[0]] = float(words[1])
        elif words[:1] in (["smooth"], ["blend"]):
            maps.append(words)
    return values, maps


def speed_of_maps(part, prepared):
    prepared.peaks, maps = yardsticks(part)
    text = table(("yardstick", "measured"), [(k, f"{v:.2f}") for k, v in prepared.peaks.items()])
    if not maps:
        cpu = part.args.stand_in == "cpu"
        part.check("speed of maps", LEFT_OUT if cpu else FAILED, "no GPU" if cpu else "bench_gpu printed none")
        return text
    missing = [p for p in (("fp32", "tf32") if part.args.stand_in else precisions(part.args)) if f"{p}-tflops" not in prepared.peaks]
    if missing:
        part.check("large products", FAILED, f"none in {', '.join(missing)}")
    copy = prepared.peaks["copy-gbs"]
    rows = [(kind, size, sigma, ms, gbs, f"{100 * float(gbs) / copy:.0f} %") for kind, size, sigma, ms, gbs in maps]
    part.check("speed of maps", PASSED, f"{len(rows)} sizes")
    header = ("kernel", "size", "sigma", "ms", "GB/s", "of the copy")
    return text + ("\n\nBytes that must be read and written; small ones fit the cache and may pass a copy.\n\n"
                   + table(header, rows))


# ---- Whole networks -------------------------------------------------------------


def pytorch_python(args):
    """A Python whose PyTorch reaches the device; None."""
    test = "import torch, torchvision, sys; sys.exit(0 if torch.cuda.is_available() else 1)"
    if args.stand_in == "rehearsal":
        test = "import torch, torchvision"
    for python in dict.fromkeys((*args.python, sys.executable)):
        with contextlib.suppress(Broken):
            run([python, "-c", test], limit=60)
            return python
    return None


class Network:
    """One that is timed: its model, and pictures in files, for as many as are wanted."""

    def __init__(self, name, model, side, folder):
        self.name, self.model, self.side, self.folder = name, model, side, folder

    def inputs(self, batch):
        path = self.folder / f"{self.name}.{batch}.inputs"
        if not path.exists():
            np.fromfile(self.folder / f"{self.name}.inputs", np.float32, batch * 3 * self.side**2).tofile(path)
        return path


class Row:
    """A network in one precision and batch: processes that take turns. who: "salmap", "lean", "eager", "compile"."""

    def __init__(self, part, network, precision, batch, who, python):
        self.key = (network.name, precision, batch)
        self.problems = {}
        self.children = {}
        args = part.args
        for one in who:
            if one in ("salmap", "lean"):
                options = [precision] if args.device != "cpu" else []
                command = [program(args, "bench_gradient"), honest(args), network.model, network.inputs(batch), batch, os.cpu_count(),
                           "GRADIENTS", args.device, *options, *(["lean"] if one == "lean" else [])]
            else:
                command = [python, HERE / "bench_pytorch.py", "run", network.name, args.folder, batch, os.cpu_count(), "GRADIENTS",
                           "cpu" if args.stand_in else args.device, precision, one]
            self.children[one] = Child(command, "/dev/null")

    def attempt(self, who, action, *options):
        """What does not come that far is closed, and told of."""
        if who in self.children:
            try:
                action(self.children[who], *options)
            except Failed as error:
                self.problems[who] = str(error)
                self.children.pop(who).close()

    def each(self, action, *options):
        for who in list(self.children):
            self.attempt(who, action, *options)

    def time(self, runs, limit):
        """In turn, so that a clock that changes is the same to all."""
        for _ in range(4):
            self.each(Child.turn, max(runs // 4, 1), limit())
        self.each(Child.finish, limit())

    def close(self):
        for child in self.children.values():
            child.close()

    def pictures(self, who):
        """Per second, from the host's memory and back."""
        return 1e3 / self.children[who].median() if who in self.children else None

    def device_pictures(self, who):
        """Per second, without transfers; None where it does not tell."""
        milliseconds = float(self.children[who].facts.get("device-ms", 0)) if who in self.children else 0
        return 1e3 / milliseconds if milliseconds > 0 else None

    def ratios(self, who):
        return [f"{rate('salmap') / rate(who):.2f} ×" if rate("salmap") and rate(who) else ""
                for rate in (self.pictures, self.device_pictures)]

    def cells(self, peaks):
        rate = self.device_pictures("salmap") or self.pictures("salmap")
        tflops = float(self.children["salmap"].facts["flops"]) * rate * 1e-12
        peak = peaks.get(f"{self.key[1]}-tflops")
        rates = [self.pictures("salmap"), self.device_pictures("salmap"), self.pictures("lean")]
        return [*self.key, *(f"{r:.0f}" if r else "" for r in rates), f"{tflops:.2f}", f"{100 * tflops / peak:.0f} %" if peak else "",
                *self.ratios("eager"), *self.ratios("compile")]

    def unrecorded(self):
        """Why a pass of salmap's was no recorded graph; None."""
        facts = self.children["salmap"].facts
        return None if facts.get("replayed") == "2" else facts.get("note", "no reason is given")


HEADER = ("network", "precision", "batch", "pictures/s", "on the device alone", "with --lean", "TFLOP/s", "of a large product",
          "than PyTorch", "on the device", "than torch.compile", "on the device")
INTRODUCTION = ("Gradient of one score to the input: median, from pictures in the host's memory to gradients there, and on "
                "the device alone: the two passes as they lie in its stream, without what is between them; of PyTorch, from the first "
                "kernel to the last. \"Than\": how many times as fast as PyTorch in channels-last with cudnn.benchmark. The rate of "
                "a large product is that of the same device.\n\n")


class Timing:
    """What comes out of all rows."""

    def __init__(self, part, prepared):
        self.part, self.peaks = part, prepared.peaks
        self.rows, self.broken, self.others, self.unrecorded, self.left_out = [], [], [], [], []

    def limit(self):
        """Seconds for one answer: no more than what is left, and some to end in."""
        return min(LIMIT, max(self.part.seconds_left() + SECONDS_TO_END, 1))

    def wave(self, work, who, python):
        """Rows of [(network, precision, batch)] that are opened side by side, and then timed one after the other."""
        args, rows = self.part.args, []
        name = ", ".join(dict.fromkeys(f"{network.name} at {batch}" for network, _, batch in work))
        if self.part.seconds_left() < SECONDS_OF_A_WAVE:
            self.left_out.append(name + (" with torch.compile" if "compile" in who else ""))
            return
        try:
            for network, precision, batch in work:
                wanted = [one for one in who if one != "lean" or batch == USUAL_BATCH]
                rows.append(Row(self.part, network, precision, batch, wanted, python))
            for row in rows:
                row.each(Child.ready, self.limit())
            for row in rows:
                runs = 4 if args.stand_in else RUNS if row.key[2] > 1 else RUNS_OF_ONE
                row.time(runs, self.limit)
                self.take(row)
        finally:
            for row in rows:
                row.close()

    def take(self, row):
        name = " ".join(map(str, row.key))
        if "salmap" in row.children:
            self.rows.append(row.cells(self.peaks))
            why = row.unrecorded()
            if why and self.part.args.device != "cpu":
                self.unrecorded.append(f"{name}: {why}")
        for who, problem in row.problems.items():
            (self.broken if who in ("salmap", "lean") else self.others).append(f"{name}, {who}: {problem}")
        self.part.show(INTRODUCTION + table(HEADER, self.rows))


def networks_to_time(part, prepared):
    """Those that PyTorch has exported; else the demo's."""
    args = part.args
    there, missing = prepared.networks()
    if missing:
        part.check("PyTorch's networks", LEFT_OUT, "; ".join(f"{name}: {why}" for name, why in missing.items()))
    if there:
        return [Network(name, model, 192 if name == "demo" else 224, args.folder) for name, model in there.items()]
    random = np.random.default_rng(1).standard_normal((largest(args), 3, 192, 192), np.float32)
    random.tofile(args.folder / "honest.inputs")
    return [Network("honest", honest(args), 192, args.folder)]


def speed_of_gradients(part, prepared):
    args = part.args
    networks = networks_to_time(part, prepared)
    python = None if args.stand_in == "cpu" or args.quick or networks[0].name == "honest" else pytorch_python(args)
    chosen = [p for p in precisions(args) if p != "fp32"] or ["fp32"]
    timing = Timing(part, prepared)
    who = ["salmap", *(["lean"] if args.device != "cpu" else []), *(["eager"] if python else [])]
    for batches in ((1, 2),) if args.stand_in else BATCHES:
        for network in networks:
            timing.wave([(network, precision, batch) for precision in chosen for batch in batches], who, python)
    for network in networks if python and not args.stand_in else ():
        timing.wave([(network, "fp16", USUAL_BATCH)], ["salmap", "compile"], python)
    rows = len(timing.rows)
    part.check("speed of gradients", FAILED if timing.broken else PASSED if rows else LEFT_OUT,
               "; ".join(timing.broken[:3]) or (f"{rows} rows" if rows else "no time was left"))
    if args.device != "cpu":
        part.check("passes are recorded", FAILED if timing.unrecorded else PASSED if rows else LEFT_OUT,
                   "; ".join(timing.unrecorded[:3]) or (f"in {rows} rows" if rows else "no time was left"))
    if timing.left_out:
        part.check("speed of the rest", LEFT_OUT, f"no time was left for {'; '.join(timing.left_out)}")
    if not python:
        part.check("speed against PyTorch", LEFT_OUT, "not asked for" if args.stand_in == "cpu" or args.quick else
                   "no PyTorch that reaches the GPU (--python PATH names one)")
    elif timing.others:
        part.check("PyTorch in all rows", LEFT_OUT, "; ".join(timing.others[:3]))
    return part.text


# ---- A sweep --------------------------------------------------------------------


def speed_of_sweeps(part, prepared):
    """Decoding, computing, colouring and writing, beside each other."""
    args = part.args
    count = 4 if args.stand_in else SWEPT
    if part.seconds_left() < SECONDS_OF_A_SWEEP:
        part.check("sweep", LEFT_OUT, "no time was left")
        return "Left out."
    scales = sorted((args.data / "scales").glob("scale_*"))
    folder = args.folder / "swept"
    folder.mkdir()
    for k in range(count):
        picture = scales[k % len(scales)]
        (folder / f"{k:04d}{picture.suffix}").write_bytes(picture.read_bytes())
    text = run([program(args, "salmap"), "sweep", honest(args), folder, "-o", args.folder / "run", *on_device(args)],
               limit=LIMIT)
    with open(args.folder / "run/results.csv", encoding="utf-8") as results:
        rows = sum(1 for _ in results) - 1
    part.check("sweep", PASSED if rows == count else FAILED, f"{rows} rows of {count} pictures")
    return f"{count} pictures of 192 pixels and more, maps and overlays written:\n\n```\n{text.strip()}\n```"


# What may take all the time that is left comes last.
PARTS = (("Speed of maps", speed_of_maps), ("Sweep", speed_of_sweeps), ("Speed of gradients", speed_of_gradients))
