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
from gpu_right import BATCHES, HERE, LARGEST, export, honest, on_device, precisions, program

RUNS = 20
# With --lean, and with torch.compile, which takes up to a minute a network.
USUAL_BATCH = 64
# Of a process to start, compile and compute once, or to take its turn.
LIMIT = 150
# A network is not begun with less.
SECONDS_OF_A_NETWORK = 45
SWEPT = 2000


# ---- Kernels ------------------------------------------------------------------


def yardsticks(part):
    """({name: value}, rows of map kernels)"""
    args = part.args
    if args.stand_in == "cpu":
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
        part.check("speed of maps", LEFT_OUT, "no GPU")
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
            run([python, "-c", test], limit=120)
            return python
    return None


def can_compile(python):
    with contextlib.suppress(Broken):
        return run([python, "-c", "import torch; print(hasattr(torch, 'compile'))"], limit=120).strip() == "True"
    return False


def write_demo_inputs(args, batch):
    np.random.default_rng(1).standard_normal((batch, 3, 192, 192), np.float32).tofile(args.folder / "demo.inputs")


class Row:
    """One network in one precision and batch: salmap's process and PyTorch's."""

    def __init__(self, part, python, compiles, name, model, precision, batch, side):
        self.key = (name, precision, batch)
        args, folder = part.args, part.args.folder
        tag = f"{name}-{precision}-{batch}"
        count = batch * 3 * side * side
        np.fromfile(folder / f"{name}.inputs", np.float32, count).tofile(folder / f"{tag}.inputs")

        def ours(*options):
            chosen = [precision, *options] if args.device != "cpu" else []
            return Child([program(args, "bench_gradient"), honest(args), model, folder / f"{tag}.inputs", batch,
                          os.cpu_count(), "GRADIENTS", args.device, *chosen], folder / f"{tag}{len(options)}.gradients")

        def theirs(mode):
            device = "cpu" if args.stand_in else args.device
            return Child([python, HERE / "bench_pytorch.py", "run", name, folder, batch, os.cpu_count(), "GRADIENTS",
                          device, precision, mode], folder / f"{tag}.{mode}")

        self.children = {"salmap": ours()}
        if args.device != "cpu" and batch == USUAL_BATCH:
            self.children["lean"] = ours("lean")
        if python:
            self.children["eager"] = theirs("eager")
            if compiles and batch == USUAL_BATCH and precision == "fp16":
                self.children["compile"] = theirs("compile")
        self.problems = {}

    def attempt(self, who, action, *options):
        """What action returns; what does not come that far is closed, and told of."""
        if who in self.children:
            try:
                return action(self.children[who], *options)
            except Failed as error:
                self.problems[who] = str(error)
                self.children.pop(who).close()
        return None

    def ready(self):
        for who in list(self.children):
            self.attempt(who, Child.ready, LIMIT)

    def time(self, runs):
        """In turn, so that a clock that changes is the same to all."""
        for _ in range(4):
            for who in list(self.children):
                self.attempt(who, Child.turn, max(runs // 4, 1), LIMIT)
        for who in list(self.children):
            self.attempt(who, Child.finish, LIMIT)

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

    def ratio(self, who, rate):
        ours, theirs = rate("salmap"), rate(who)
        return f"{ours / theirs:.2f} ×" if ours and theirs else ""

    def cells(self, peaks):
        facts = self.children["salmap"].facts
        rate = self.device_pictures("salmap") or self.pictures("salmap")
        tflops = float(facts["flops"]) * rate * 1e-12
        peak = peaks.get(f"{self.key[1]}-tflops")
        rates = [self.pictures("salmap"), self.device_pictures("salmap"), self.pictures("lean")]
        return [*self.key, *(f"{r:.0f}" if r else "" for r in rates), f"{tflops:.2f}",
                f"{100 * tflops / peak:.0f} %" if peak else "",
                self.ratio("eager", self.pictures), self.ratio("eager", self.device_pictures),
                self.ratio("compile", self.pictures), self.ratio("compile", self.device_pictures)]


HEADER = ("network", "precision", "batch", "pictures/s", "on the device alone", "with --lean", "TFLOP/s", "of a large product",
          "than PyTorch", "on the device", "than torch.compile", "on the device")
INTRODUCTION = ("Gradient of one score to the input: median, from pictures in the host's memory to gradients there, and on "
                "the device alone. \"Than\": how many times as fast as PyTorch in channels-last with cudnn.benchmark. The rate "
                "of a large product is that of the same device.\n\n")


def wave(part, prepared, networks, batches, python, compiles):
    """Rows of some networks, opened side by side."""
    args = part.args
    chosen = [p for p in precisions(args) if p != "fp32"] or ["fp32"]
    rows = [Row(part, python if name != "honest" else None, compiles, name, model, precision, batch, side)
            for name, model, side in networks for precision in chosen for batch in batches]
    try:
        for row in rows:
            row.ready()
        for row in rows:
            row.time(4 if args.stand_in else RUNS)
            unrecorded = []
            if "salmap" in row.children:
                prepared.timed.append(row.cells(prepared.peaks))
                facts = row.children["salmap"].facts
                if args.device != "cpu" and facts.get("replayed") != "2":
                    unrecorded = [facts.get("note", "no reason is given")]
            name = " ".join(map(str, row.key))
            prepared.unrecorded += [f"{name}: {note}" for note in unrecorded]
            prepared.broken += [f"{name}: {row.problems[who]}" for who in ("salmap", "lean") if who in row.problems]
            prepared.others += [f"{name}: {row.problems[who]}" for who in ("eager", "compile") if who in row.problems]
            part.show(INTRODUCTION + table(HEADER, prepared.timed))
    finally:
        for row in rows:
            row.close()


def speed_of_gradients(part, prepared):
    args = part.args
    prepared.timed, prepared.unrecorded, prepared.broken, prepared.others = [], [], [], []
    python = None if args.stand_in == "cpu" or args.quick else pytorch_python(args)
    compiles = python and not args.stand_in and can_compile(python)
    largest = 2 if args.stand_in else LARGEST
    batches = ((1, 2),) if args.stand_in else BATCHES
    left_out = []
    networks = {}
    with contextlib.suppress(Broken):
        networks = prepared.networks()
    if python and args.stand_in:
        export(python, args.folder, "demo", largest)
        waves = [[("demo", args.folder / "demo.onnx", 192)]]
    elif networks:
        waves = [[(name, model, 224)] for name, model in networks.items()]
    else:
        write_demo_inputs(args, largest)
        (args.folder / "demo.inputs").rename(args.folder / "honest.inputs")
        waves = [[("honest", honest(args), 192)]]
        batches = batches[:1]
    for networks in waves:
        names = ", ".join(name for name, _, _ in networks)
        if part.seconds_left() < SECONDS_OF_A_NETWORK:
            left_out.append(names)
            continue
        for sizes in batches:
            wave(part, prepared, networks, sizes, python, compiles)
    part.check("speed of gradients", FAILED if prepared.broken or not prepared.timed else PASSED,
               "; ".join(prepared.broken[:3]) or f"{len(prepared.timed)} rows")
    if args.device != "cpu":
        part.check("passes are recorded", FAILED if prepared.unrecorded else PASSED, "; ".join(prepared.unrecorded[:3]))
    if left_out:
        part.check("speed of further networks", LEFT_OUT, f"no time was left for {'; '.join(left_out)}")
    if not python:
        part.check("speed against PyTorch", LEFT_OUT, "not asked for" if args.stand_in or args.quick else
                   "no PyTorch that reaches the GPU (--python PATH names one)")
    elif prepared.others:
        part.check("PyTorch in all rows", LEFT_OUT, "; ".join(prepared.others[:3]))
    return part.text


# ---- A sweep --------------------------------------------------------------------


def speed_of_sweeps(part, prepared):
    """Decoding, computing, colouring and writing, beside each other."""
    args = part.args
    count = 4 if args.stand_in else SWEPT
    if part.seconds_left() < 20:
        part.check("sweep", LEFT_OUT, "no time was left")
        return "Left out."
    scales = sorted((args.data / "scales").glob("scale_*"))
    folder = args.folder / "swept"
    folder.mkdir()
    for k in range(count):
        picture = scales[k % len(scales)]
        (folder / f"{k:04d}{picture.suffix}").write_bytes(picture.read_bytes())
    text = run([program(args, "salmap"), "sweep", honest(args), folder, "-o", args.folder / "run", *on_device(args)],
               limit=2 * LIMIT)
    with open(args.folder / "run/results.csv", encoding="utf-8") as results:
        rows = sum(1 for _ in results) - 1
    part.check("sweep", PASSED if rows == count else FAILED, f"{rows} rows of {count} pictures")
    return f"{count} pictures of 192 pixels and more, maps and overlays written:\n\n```\n{text.strip()}\n```"


# What may take all the time that is left comes last.
PARTS = (("Speed of maps", speed_of_maps), ("Sweep", speed_of_sweeps), ("Speed of gradients", speed_of_gradients))
