#!/usr/bin/env python3
"""Speed and memory of `salmap sweep`, and its time against a loop in PyTorch. Prints Markdown.

    bench_sweep.py SALMAP [--pictures 10000] [--size 256] [--reference 200] [--rounds 3] [--folder DIR]

1. Draws pictures of fish scales, half PNG, half JPEG; no two alike.
2. Sweeps them all with the demo network, maps and overlays of each, and reads the process's memory five times a
   second beside the number of pictures done: a sweep's memory must not grow with the list.
3. Sweeps the first --reference of them again, in turn with scripts/bench_sweep_pytorch.py, which writes the same
   files; ratios are taken within a round. The exit status is 1 unless the maps of both agree on every picture.

Each map takes 0.15 MB and each overlay about as much: 10,000 pictures want 4 GB at DIR (default: a temporary folder).
"""
import argparse
import json
import multiprocessing
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np
from PIL import Image

import draw_scales

HERE = pathlib.Path(__file__).resolve().parent
MODEL = HERE.parent / "data/models/scale_age_honest.onnx"
# Overlays as the loop in PyTorch writes them.
AS_THE_LOOP = ["--overlay-format", "png", "--overlay-size", "full", "--blend", "flat"]
SEED = 5000
LEAST_COSINE = 0.999
VARIATIONS = 25  # pictures made of one drawing, which takes ten times as long
JPEG_QUALITY = 93
SAMPLE_SECONDS = 0.2
MEMORY_STEP = 1000
MIB = 1 << 20


# ---- Pictures ------------------------------------------------------------------


def draw_variations(job):
    """One drawing, turned, mirrored, lit and grained anew for each picture."""
    folder, first, count, size = job
    rng = np.random.default_rng([SEED, first])
    drawn = draw_scales.draw(SEED, first, size).picture.astype(np.float32)
    for index in range(first, first + count):
        picture = np.rot90(drawn, int(rng.integers(4)))
        picture = picture[:, ::-1] if rng.random() < 0.5 else picture
        grain = rng.standard_normal((size, size, 1), dtype=np.float32) * rng.uniform(1.0, 4.0)
        picture = np.clip(picture * rng.uniform(0.9, 1.05) + grain, 0, 255).astype(np.uint8)
        ending = "jpg" if index % 2 else "png"
        Image.fromarray(picture).save(folder / f"scale_{index:06d}.{ending}", quality=JPEG_QUALITY)


def draw_pictures(folder, count, size, jobs):
    folder.mkdir(parents=True)
    work = [(folder, first, min(VARIATIONS, count - first), size) for first in range(0, count, VARIATIONS)]
    with multiprocessing.Pool(jobs) as pool:
        pool.map(draw_variations, work, chunksize=1)


# ---- The large sweep -------------------------------------------------------------


def process_bytes(pid):
    """Resident memory of a process now and at its peak; None when it has ended."""
    try:
        text = pathlib.Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = dict(line.split(":", 1) for line in text.splitlines())
    if "VmRSS" not in fields:
        return None
    return tuple(int(fields[key].split()[0]) * 1024 for key in ("VmRSS", "VmHWM"))


class Watched:
    """A sweep with what its events and its memory say while it runs."""

    def __init__(self, command):
        self.done = 0
        self.end = None  # the last event
        self.samples = []  # (pictures done, resident bytes, peak so far)
        begin = time.perf_counter()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        reader = threading.Thread(target=self.read_events)
        reader.start()
        ended = 0
        while not ended:
            memory = process_bytes(self.process.pid)
            if memory:
                self.samples.append((self.done, *memory))
            time.sleep(SAMPLE_SECONDS)
            ended, status, usage = os.wait4(self.process.pid, os.WNOHANG)
        self.seconds = time.perf_counter() - begin
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self.peak = usage.ru_maxrss * 1024
        reader.join()
        if self.process.returncode != 0:
            raise RuntimeError(f"salmap sweep exited with {self.process.returncode}")

    def read_events(self):
        for line in self.process.stdout:
            event = json.loads(line)
            if event["event"] == "progress":
                self.done = event["done"]
            elif event["event"] == "end":
                self.end = event


def report_large(run, count):
    print(f"{count} pictures in {run.seconds:.1f} s: {count / run.seconds:.0f} per second\n")
    print("| pictures done | resident | peak so far |")
    print("|---|---|---|")
    for wanted in range(MEMORY_STEP, count, MEMORY_STEP):
        for done, resident, peak in run.samples:
            if done >= wanted:
                print(f"| {done} | {resident / MIB:.0f} MiB | {peak / MIB:.0f} MiB |")
                break
    print(f"| the end | {run.samples[-1][1] / MIB:.0f} MiB | {run.peak / MIB:.0f} MiB |\n")
    print("| stage | threads | ms per picture | busy |")
    print("|---|---|---|---|")
    for stage in run.end["stages"]:
        print(f"| {stage['name']} | {stage['threads']} | {stage['milliseconds']:.2f} | {100 * stage['busy']:.0f} % |")
    print(f"\nProcessor: {100 * run.end['processor']:.0f} % busy; the speed hangs on: {run.end['bound']}\n")


# ---- Against PyTorch ---------------------------------------------------------------


def time_sweep(args, pictures, run):
    """Seconds of the whole process."""
    begin = time.perf_counter()
    subprocess.run([args.salmap, "sweep", MODEL, pictures, "-o", run, "--threads", str(args.threads), "--quiet", *AS_THE_LOOP],
                   check=True)
    return time.perf_counter() - begin


def time_loop(args, weights, pictures, out):
    """Seconds of the whole process, seconds after its imports, and its version."""
    begin = time.perf_counter()
    said = subprocess.run([args.python, HERE / "bench_sweep_pytorch.py", "run", weights, pictures, out,
                           str(args.threads)], check=True, stdout=subprocess.PIPE, text=True).stdout
    seconds = time.perf_counter() - begin
    facts = dict(line.split(" ", 1) for line in said.splitlines())
    return seconds, float(facts["job"]), facts["version"]


def least_cosine(pictures, run, out):
    """Of both sides' maps, over the pictures; and its picture."""
    found = []
    for path in sorted(pictures.iterdir()):
        ours = np.load(run / "maps/000" / f"{path.stem}.npy").astype(float).ravel()
        theirs = np.load(out / f"{path.stem}.npy").astype(float).ravel()
        found.append((ours @ theirs / np.linalg.norm(ours) / np.linalg.norm(theirs), path.name))
    return min(found)


def ratio(others, ours):
    ratios = [b / a for a, b in zip(ours, others)]
    return f"**{statistics.median(ratios):.1f} ×** ({min(ratios):.1f} to {max(ratios):.1f})"


def compare(args, pictures):
    weights, run, out = (args.folder / name for name in ("demo.pt", "ours", "theirs"))
    subprocess.run([args.python, HERE / "bench_sweep_pytorch.py", "convert", MODEL, weights], check=True)
    ours, whole, after_imports = [], [], []
    for _ in range(args.rounds):
        for folder in (run, out):
            shutil.rmtree(folder, ignore_errors=True)
        ours.append(time_sweep(args, pictures, run))
        seconds, job, version = time_loop(args, weights, pictures, out)
        whole.append(seconds)
        after_imports.append(job)
    count = len(list(pictures.iterdir()))
    cosine, name = least_cosine(pictures, run, out)
    print(f"The same {count} pictures, {args.threads} threads, {args.rounds} rounds in turn against {version}, maps"
          f" and overlays written by both; least cosine of two maps {cosine:.6f} ({name}):\n")
    print("| time | salmap sweep | PyTorch loop | faster |")
    print("|---|---|---|---|")
    for what, theirs in (("of the whole process", whole), ("PyTorch's without its imports", after_imports)):
        print(f"| {what} | {statistics.median(ours):.2f} s, {1e3 * statistics.median(ours) / count:.1f} ms per picture "
              f"| {statistics.median(theirs):.2f} s, {1e3 * statistics.median(theirs) / count:.1f} ms per picture "
              f"| {ratio(theirs, ours)} |")
    return cosine >= LEAST_COSINE


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("salmap", help="the program")
    parser.add_argument("--pictures", type=int, default=10000)
    parser.add_argument("--size", type=int, default=256, help="side of the pictures in pixels")
    parser.add_argument("--reference", type=int, default=200, help="pictures of the comparison; at most 1000")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="of each side")
    parser.add_argument("--python", default="/usr/bin/python3", help="one with PyTorch and onnx")
    parser.add_argument("--folder", type=pathlib.Path, help="where pictures and results go, and are removed from")
    args = parser.parse_args()
    if not 0 < args.reference <= min(args.pictures, 1000):
        parser.error("--reference is to be from 1 to 1000, and at most --pictures")
    args.salmap = os.path.abspath(args.salmap)
    if args.folder:
        args.folder.mkdir(parents=True, exist_ok=True)
    args.folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-sweep-", dir=args.folder))
    try:
        pictures = args.folder / "pictures"
        begin = time.perf_counter()
        draw_pictures(pictures, args.pictures, args.size, len(os.sched_getaffinity(0)))
        print(f"{args.pictures} pictures drawn in {time.perf_counter() - begin:.0f} s", file=sys.stderr)
        run = Watched([args.salmap, "sweep", MODEL, pictures, "-o", args.folder / "run", "--threads",
                       str(args.threads), "--json", *AS_THE_LOOP])
        report_large(run, args.pictures)
        shutil.rmtree(args.folder / "run")
        few = args.folder / "few"
        few.mkdir()
        for path in sorted(pictures.iterdir())[: args.reference]:
            os.link(path, few / path.name)
        agreed = compare(args, few)
    finally:
        shutil.rmtree(args.folder, ignore_errors=True)
    if not agreed:
        print(f"bench_sweep.py: the maps differ: a cosine is below {LEAST_COSINE}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
