#!/usr/bin/env python3
"""Kills sweeps again and again, and looks whether anything is lost or different in the end.

    kill_sweeps.py SALMAP [--pictures 3000] [--size 96] [--seconds 1] [--seed 1] [--folder DIR]

1. Draws pictures, sweeps them in two shards that nothing disturbs, and merges these.
2. Sweeps them again, both shards at once in one folder. Each is killed (SIGKILL) after about --seconds and begun again, until it
   ends by itself; so is the merge.
3. Compares both runs: every file byte by byte, and every row of the results but for those that say when and how fast.

Prints the kills and what was compared. Exit status: 0 the runs are equal, 1 they are not, or a command failed.
"""
import argparse
import hashlib
import os
import pathlib
import random
import sqlite3
import subprocess
import sys
import tempfile
import threading

import bench_sweep

MOST_KILLS = 10000
OF_TIME = ("timings", "sessions")


class Failed(Exception):
    pass


def command(args, run, *options):
    return [args.salmap, "sweep", bench_sweep.MODEL, args.pictures_folder, "-o", run, "--threads", "1", *options]


def until_it_ends(words, seconds, lottery, kills):
    """Begins the command anew after each kill. Appends to `kills`."""
    for _ in range(MOST_KILLS):
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            _, said = process.communicate(timeout=seconds * lottery.uniform(0.5, 1.5))
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            kills.append(words[1])
            continue
        if process.returncode != 0:
            raise Failed(f"{' '.join(map(str, words))}: exit status {process.returncode}: {said}")
        return
    raise Failed(f"killed {MOST_KILLS} times and still not done: {seconds} s are too few for it to get anywhere")


def sweep(args, run, seconds):
    """Both shards at once, then the merge; how often each kind of command was killed."""
    kills, failures = [], []

    def one(shard):
        try:
            until_it_ends(command(args, run, "--shard", f"{shard}/2"), seconds, random.Random(args.seed + shard), kills)
        except Failed as failure:
            failures.append(failure)

    threads = [threading.Thread(target=one, args=(shard,)) for shard in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    # A merge is short: it is killed after ever longer parts of a second, and then left alone.
    lottery = random.Random(args.seed + 2)
    merge = [args.salmap, "merge", run]
    for part in (0.02, 0.05, 0.1, 0.2, 0.4) if seconds < 1e6 else ():
        process = subprocess.Popen(merge, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(part * lottery.uniform(0.5, 1.5))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills.append("merge")
    until_it_ends(merge, 1e6, lottery, kills)
    return kills


def digests(run):
    """Of every file but databases, by its name in the folder."""
    found = {}
    for folder, _, names in os.walk(run):
        for name in names:
            path = os.path.join(folder, name)
            if ".sqlite" not in name:
                found[os.path.relpath(path, run)] = hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()
    return found


def tables(run):
    """The rows of the result's and of the shards' databases."""
    found = {}
    for path in sorted(pathlib.Path(run).glob("**/*.sqlite")):
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
            names = database.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'").fetchall()
            for name in {n for (n,) in names}.difference(OF_TIME):
                found[f"{path.relative_to(run)}: {name}"] = sorted(map(repr, database.execute(f'SELECT * FROM "{name}"')))
    return found


def differences(mine, expected):
    return [name for name in sorted(mine.keys() | expected.keys()) if mine.get(name) != expected.get(name)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("salmap", type=pathlib.Path)
    parser.add_argument("--pictures", type=int, default=3000)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", help="for the pictures and the runs; default: a temporary one")
    args = parser.parse_args()
    args.salmap = args.salmap.resolve()
    os.environ["OMP_WAIT_POLICY"] = "passive"
    with tempfile.TemporaryDirectory(dir=args.folder) as work:
        args.pictures_folder = pathlib.Path(work) / "pictures"
        bench_sweep.draw_pictures(args.pictures_folder, args.pictures, args.size, os.cpu_count())
        undisturbed, killed = os.path.join(work, "undisturbed"), os.path.join(work, "killed")
        try:
            sweep(args, undisturbed, 1e6)
            kills = sweep(args, killed, args.seconds)
        except Failed as failure:
            print(failure)
            return 1
        files, rows = digests(undisturbed), tables(undisturbed)
        wrong = differences(digests(killed), files) + differences(tables(killed), rows)
    print(f"{args.pictures} pictures in two shards: {kills.count('sweep')} sweeps and {kills.count('merge')} merges killed; "
          f"{len(files)} files and {sum(map(len, rows.values()))} rows compared, {len(wrong)} differ")
    for name in wrong[:20]:
        print(f"  differs: {name}")
    return 1 if wrong or not kills else 0


if __name__ == "__main__":
    sys.exit(main())
