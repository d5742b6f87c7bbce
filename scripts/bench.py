#!/usr/bin/env python3
"""Runs salmap and PyTorch in turn on the same networks and pictures; prints a Markdown table. See bench.sh.

    bench.py BENCH_GRADIENT BENCH_PEAK FOLDER [--rounds N] [--batch N] [--threads N] [--python PATH ...]

Every contender is a process of its own that stays for all rounds and computes one batch when it is its turn, so
that a machine whose speed drifts treats all alike. A ratio is taken within a round; the table has the median and
the range. Each PATH is a Python with PyTorch and torchvision.
"""
import argparse
import csv
import os
import pathlib
import statistics
import subprocess
import sys

import numpy as np

from bench_child import Child

HERE = pathlib.Path(__file__).resolve().parent
NETWORKS = ("vgg16", "resnet50", "mobilenet_v2", "efficientnet_b0", "demo")
MIB = 1 << 20


def peak_gflops(program, threads):
    out = subprocess.run([program, str(threads), "0.3"], check=True, capture_output=True, text=True).stdout
    return float(out.split()[1])


def bench(name, args):
    folder, batch = args.folder, args.batch
    subprocess.run([args.python[0], HERE / "bench_pytorch.py", "export", name, folder, str(batch)], check=True,
                   env={**os.environ, "PYTHONPATH": str(HERE)}, stdout=subprocess.DEVNULL)
    ours = Child([args.gradient, folder / "warm.onnx", folder / f"{name}.onnx", folder / f"{name}.inputs", batch,
                  args.threads, "GRADIENTS"], folder / "ours.gradients")
    ours.ready()
    theirs = []
    for k, python in enumerate(args.python):
        theirs.append(Child([python, HERE / "bench_pytorch.py", "run", name, folder, batch, args.threads, "GRADIENTS"],
                            folder / f"theirs{k}.gradients"))
        theirs[-1].ready()
    peaks = []
    for _ in range(args.rounds):
        for contender in (ours, *theirs):
            contender.turn()
        peaks.append(peak_gflops(args.peak, args.threads))
    ours.finish()
    reference = ours.result()
    rows = []
    for other in theirs:
        other.finish()
        gradients = other.result()
        cosine = reference @ gradients / np.linalg.norm(reference) / np.linalg.norm(gradients)
        ratios = [t / o for t, o in zip(other.times, ours.times)]
        flops = float(ours.facts["flops"])
        rows.append({
            "network": name,
            "against": other.facts["device"],
            "salmap_ms": statistics.median(ours.times),
            "other_ms": statistics.median(other.times),
            "ratio": statistics.median(ratios),
            "ratio_low": min(ratios),
            "ratio_high": max(ratios),
            "salmap_mib": int(ours.facts["peak-bytes"]) / MIB,
            "other_mib": int(other.facts["peak-bytes"]) / MIB,
            "peak_gflops": statistics.median(peaks),
            "salmap_share_of_peak": flops / statistics.median(ours.times) * 1e-6 / statistics.median(peaks),
            "cosine": cosine,
            "device": ours.facts["device"],
        })
    return rows


def print_table(rows):
    print(f"{rows[0]['device']}; peak of fused multiply-adds {statistics.median(r['peak_gflops'] for r in rows):.0f}"
          " GFLOP/s\n")
    print("| network | against | salmap | PyTorch | faster | salmap's share of the peak | memory | PyTorch's | less |")
    print("|---|---|---|---|---|---|---|---|---|")
    for r in rows:
        print(f"| {r['network']} | {r['against']} | {r['salmap_ms']:.1f} ms | {r['other_ms']:.1f} ms "
              f"| **{r['ratio']:.1f} ×** ({r['ratio_low']:.1f} to {r['ratio_high']:.1f}) "
              f"| {100 * r['salmap_share_of_peak']:.0f} % | {r['salmap_mib']:.0f} MiB | {r['other_mib']:.0f} MiB "
              f"| {r['other_mib'] / r['salmap_mib']:.1f} × |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gradient", help="tests/bench/bench_gradient of the build")
    parser.add_argument("peak", help="tests/bench/bench_peak of the build")
    parser.add_argument("folder", type=pathlib.Path, help="for networks and results")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--network", action="append", help=f"instead of {' '.join(NETWORKS)}")
    parser.add_argument("--python", action="append", help="with PyTorch; the first exports (default: /usr/bin/python3)")
    args = parser.parse_args()
    args.python = args.python or ["/usr/bin/python3"]
    args.folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for name in args.network or NETWORKS:
        rows += bench(name, args)
        print(f"{name}: " + ", ".join(f"{r['ratio']:.2f} x {r['against']}" for r in rows if r["network"] == name),
              file=sys.stderr)
    with open(args.folder / "bench.csv", "w", newline="") as f:
        writer = csv.DictWriter(f, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    print_table(rows)


if __name__ == "__main__":
    main()
