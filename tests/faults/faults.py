"""Fails allocations, threads and system calls of salmap's commands in turn, and looks at what comes of it: the same result,
or a clear error that leaves nothing half-written and that an undisturbed repeat mends; never a crash, a hang or another
result. What ends the process inside a library is listed in endings.txt, by name. Python's standard library only."""

import argparse
import collections
import hashlib
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
# errno of each kind of call; "memory" and "thread" set their own.
KINDS = {
    "memory": [12],
    "thread": [11],
    "limit": [12],
    "write": [5, 28],
    "read": [5],
    "sync": [5, 28],
    "rename": [5, 28],
    "open": [5, 24],
    "mmap": [12],
    "mkdir": [28],
    "truncate": [5],
    "unlink": [5],
    "list": [5],
    "stat": [5],
    "seek": [5],
    "lock": [37],
    "close": [5],
}
NAMES = {5: "EIO", 11: "EAGAIN", 12: "ENOMEM", 24: "EMFILE", 28: "ENOSPC", 37: "ENOLCK"}
GOOD = ("same", "clean", "listed")
HANGS_AFTER = 120  # seconds
MOST_KIB = 1 << 24
LIMIT_STEP = 256  # KiB
CANNOT_TRAP = 98  # exit code of the shim


def read_endings():
    """Where a process may end although nobody could catch it: kinds, caller, what is seen of the end; and why."""
    with open(os.path.join(HERE, "endings.txt")) as lines:
        rows = [re.split(r"\s*\|\s*", line.strip()) for line in lines if line.strip() and not line.startswith("#")]
    return [(kinds.split(), caller, sign) for kinds, caller, sign, _ in rows]


def comes_from(caller, where):
    """Whether LIBRARY made the call, or LIBRARY!FUNCTION of the C library, whatever lies between; with "< OTHER", from
    within another one."""
    frames = where.split(" < ")
    caller, _, within = caller.partition(" < ")
    if within and not any(frame.startswith(within) for frame in frames):
        return False
    others = [at for at, frame in enumerate(frames) if not re.match(r"libc\.|libstdc\+\+|ld-", frame)]
    first = others[0] if others else len(frames)
    if "!" in caller:
        library, function = caller.split("!")
        return any(f.startswith(library) and "!%s+" % function in f for f in frames[:first])
    return first < len(frames) and frames[first].startswith(caller)


class Server:
    """One command, forked anew for each fault."""

    def __init__(self, shim, words, cwd, threads):
        self.files = [tempfile.TemporaryFile() for _ in range(3)]
        request, self.requests = os.pipe()
        self.replies, reply = os.pipe()
        given = [request, reply] + [f.fileno() for f in self.files]
        environment = dict(
            os.environ,
            LD_PRELOAD=shim,
            SAL_FAULTS=",".join(map(str, given)),
            OMP_NUM_THREADS=str(threads),
            OMP_WAIT_POLICY="passive",
            LC_ALL="C",
        )
        self.process = subprocess.Popen(words, cwd=cwd, env=environment, pass_fds=given, stdin=subprocess.DEVNULL)
        os.close(request)
        os.close(reply)
        self.buffer = b""

    def line(self, seconds):
        end = time.monotonic() + seconds
        while b"\n" not in self.buffer:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.replies], [], [], left)[0]:
                return None
            piece = os.read(self.replies, 4096)
            if not piece:
                raise SystemExit("the shim ended: is this a build for this machine, without sanitizers?")
            self.buffer += piece
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.decode().split()

    def run(self, kind, n, number):
        """(exit status, or None where it hung; calls of that kind; stdout; stderr; where it failed)."""
        os.write(self.requests, b"%s %d %d\n" % (kind.encode(), n, number))
        child = int(self.line(HANGS_AFTER)[1])
        end = self.line(HANGS_AFTER)
        if end is None:
            os.killpg(child, signal.SIGKILL)
            hits, status = int(self.line(HANGS_AFTER)[2]), None
        else:
            hits, status = int(end[2]), os.waitstatus_to_exitcode(int(end[1]))
        texts = []
        for file in self.files:
            file.seek(0)
            texts.append(file.read().decode("utf-8", "replace"))
        return (status, hits, *texts)

    def close(self):
        os.close(self.requests)
        self.process.wait()
        os.close(self.replies)


class Command:
    """What is run, what it starts from, and what it leaves."""

    def __init__(self, name, words, begin=None, results=(), repeats=True):
        self.name = name
        self.words = words
        self.begin = begin  # a folder that `out` is a copy of
        self.results = results  # files and folders below `out` that are the result, beside stdout
        self.repeats = repeats  # whether it can be run again over what a failed one left

    def prepare(self, out):
        shutil.rmtree(out, ignore_errors=True)
        if self.begin:
            shutil.copytree(self.begin, out)

    def digest(self, out, printed):
        h = hashlib.sha256(printed.encode())
        for result in self.results:
            top = os.path.join(out, result)
            if os.path.isfile(top):
                with open(top, "rb") as file:
                    h.update(result.encode() + file.read())
            for folder, folders, files in os.walk(top):
                folders.sort()
                for file in sorted(f for f in files if ".tmp-" not in f):
                    path = os.path.join(folder, file)
                    with open(path, "rb") as opened:
                        h.update(os.path.relpath(path, out).encode() + opened.read())
        return h.hexdigest()


def leftovers(out):
    return [f for _, _, files in os.walk(out) for f in files if ".tmp-" in f]


class Faults:
    def __init__(self, options, work):
        self.options = options
        self.work = work
        self.out = os.path.join(work, "out")
        self.endings = read_endings()
        self.counts = collections.Counter()
        self.bad = []

    def is_listed(self, kind, status, err, where):
        seen = signal.Signals(-status).name if status < 0 else err
        return any(
            kind in kinds and (kind == "limit" or comes_from(caller, where)) and sign in seen
            for kinds, caller, sign in self.endings
        )

    def judge(self, command, reference, kind, result):
        status, _, printed, err, where = result
        if status is None:
            return "hang"
        if status == 0:
            return "same" if command.digest(self.out, printed) == reference else "different"
        if self.is_listed(kind, status, err, where):
            return "listed"
        if status < 0 or status > 3:
            return "crash"
        if "salmap" not in err:
            return "silent"
        if kind in ("memory", "limit") and not re.search("memory|cannot start", err):
            return "misreported"
        if kind != "unlink" and leftovers(self.out):
            return "half-written"
        return "clean"

    def case(self, command, server, reference, kind, n, number):
        """One fault, and the same command again."""
        command.prepare(self.out)
        result = server.run(kind, n, number)
        outcome = self.judge(command, reference, kind, result)
        detail = result[3].strip().split("\n")[-1]
        if outcome not in ("same", "hang") and command.repeats:
            status, _, printed, err, _ = server.run("memory", 0, 0)
            if status != 0 or command.digest(self.out, printed) != reference:
                outcome = "%s, not mended" % outcome
                detail += " | again: %s %s" % (status, err.strip().split("\n")[-1])
        self.counts[(command.name, kind, outcome)] += 1
        if outcome not in GOOD or self.options.verbose:
            line = "%s %s %s #%d: %s (%s): %s" % (
                command.name, kind, NAMES[number], n, outcome, result[0], detail[:300])
            if outcome not in GOOD:
                self.bad.append(line)
            print(line, flush=True)
            if outcome not in ("same", "clean") or self.options.verbose > 1:
                print("    at %s" % result[4][:1500], flush=True)

    def enough(self, command, server, reference):
        """KiB, a power of two, that the command is content with."""
        kib = 1024
        while kib < MOST_KIB:
            command.prepare(self.out)
            if self.judge(command, reference, "limit", server.run("limit", kib, 0)) == "same":
                break
            kib *= 2
        return kib

    def run(self, command, threads):
        server = Server(self.options.shim, command.words, self.work, threads)
        command.prepare(self.out)
        first = server.run("memory", 0, 0)
        if first[0] != 0:
            raise SystemExit("%s does not run undisturbed: %s" % (command.name, first[3]))
        reference = command.digest(self.out, first[2])
        for kind in self.options.kinds:
            command.prepare(self.out)
            status, calls = server.run(kind, 0, 0)[:2]
            if status == CANNOT_TRAP:
                print("%-14s %-9s left out: this system traps no calls" % (command.name, kind))
                continue
            if kind == "limit":
                calls = self.enough(command, server, reference)
            for number in KINDS[kind]:
                stride = self.options.stride * (LIMIT_STEP if kind == "limit" else 1)
                step = max(1, -(-calls // self.options.most)) if self.options.most else stride
                for n in range(1 + self.options.offset % step, calls + 1, step):
                    self.case(command, server, reference, kind, n, number)
            print("%-14s %-9s %5d calls: %s" % (command.name, kind, calls, self.summary(command.name, kind)), flush=True)
        server.close()

    def summary(self, command, kind):
        counts = collections.Counter()
        for (of, what, outcome), count in self.counts.items():
            if command in (None, of) and kind in (None, what):
                counts[outcome] += count
        return ", ".join("%d %s" % (count, outcome) for outcome, count in sorted(counts.items())) or "none tried"


def make_commands(options, work):
    """Small pictures of every format, and runs that are finished or in parts."""
    source, salmap = options.source, options.salmap
    model = os.path.join(source, "data/models/scale_age_honest.onnx")
    keras = os.path.join(source, "data/models/scale_age_honest.keras")
    hdf5 = os.path.join(source, "data/models/scale_age_honest.h5")
    pictures = os.path.join(work, "pictures")
    os.mkdir(pictures)
    shutil.copy(os.path.join(source, "data/scales/scale_13.jpg"), pictures)
    for name in ("png-rgb8.png", "tiff-rgb8-deflate.tif", "npy-u1.npy"):
        shutil.copy(os.path.join(source, "tests/golden/image", name), pictures)
    files = [os.path.join(pictures, name) for name in sorted(os.listdir(pictures))]
    run, shards = os.path.join(work, "run"), os.path.join(work, "shards")
    quiet = {"check": True, "stdout": subprocess.DEVNULL}
    subprocess.run([salmap, "sweep", model, pictures, "-q", "-o", run], **quiet)
    for part in ("0/2", "1/2"):
        subprocess.run([salmap, "sweep", model, pictures, "-q", "-o", shards, "--shard", part], **quiet)
    results = ("maps", "overlays", "results.csv")
    batch = ["--batch", "2", "--threads", str(options.threads)]
    commands = [
        Command("inspect", [salmap, "inspect", model], repeats=False),
        Command("inspect-json", [salmap, "inspect", "--json", model], repeats=False),
        Command("inspect-keras", [salmap, "inspect", keras], repeats=False),
        Command("inspect-hdf5", [salmap, "inspect", hdf5], repeats=False),
        Command("explain", [salmap, "explain", model, *files, "-q", "-o", "out", *batch], results=("",)),
        Command("sweep", [salmap, "sweep", model, pictures, "-q", "-o", "out", *batch], results=results),
        Command("merge", [salmap, "merge", "-q", "out"], begin=shards, results=results),
        Command("export", [salmap, "export", "out"], begin=run, repeats=False),
        Command("export-json", [salmap, "export", "--json", "-o", "out/rows.json", "out"], begin=run,
                results=("rows.json",)),
    ]
    commands += [
        Command("figure", [salmap, "explain", model, files[0], "--figure", "pdf", "-q", "-o", "out", *batch], results=("",)),
        Command("sheet", [salmap, "sheet", run, "-q", "-o", "out/sheet.pdf"], begin=pictures, results=("sheet.pdf",)),
        Command("render", [salmap, "render", run, "-q", "-o", "out/drawn", "--figure", "svg"], begin=pictures, results=("drawn",)),
    ]
    if options.again:
        commands.append(Command("again", [os.path.abspath(options.again), model], repeats=False))
    return [c for c in commands if not options.commands or c.name in options.commands]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("salmap")
    parser.add_argument("shim")
    parser.add_argument("source")
    parser.add_argument("--again", metavar="PROGRAM", help="of again.c, which becomes a command")
    parser.add_argument("--commands", nargs="*", help="of them all")
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), help="of calls (default: all)")
    parser.add_argument("--stride", type=int, default=1, help="every so many calls")
    parser.add_argument("--most", type=int, help="about so many of each kind, in place of a stride")
    parser.add_argument("--offset", type=int, default=0, help="which of the first calls to begin with")
    parser.add_argument("--threads", type=int, default=1, help="of the engine")
    parser.add_argument("--verbose", "-v", action="count", default=0)
    options = parser.parse_args()
    for name in ("salmap", "shim", "source"):
        setattr(options, name, os.path.abspath(getattr(options, name)))
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) and "TMPDIR" not in os.environ else None
    work = tempfile.mkdtemp(prefix="salmap-faults-", dir=memory)
    try:
        faults = Faults(options, work)
        for command in make_commands(options, work):
            faults.run(command, options.threads)
        print("all: %s" % faults.summary(None, None))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    if faults.bad:
        print("%d bad endings" % len(faults.bad))
        sys.exit(1)


if __name__ == "__main__":
    main()
