"""A process that computes gradients when it is asked to: tests/bench/bench_gradient.c or bench_pytorch.py."""
import os
import pathlib
import selectors
import statistics
import subprocess
import tempfile
import time

import numpy as np

from gpu_part import begin, end

HERE = pathlib.Path(__file__).resolve().parent


def environment():
    """With the modules here beside whatever Python finds otherwise."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH"))))}


class Failed(Exception):
    """It ended, or did not answer in time; the text says how."""


class Child:
    """It begins at once; ready() waits until it has computed once. Several may begin side by side and take turns."""

    def __init__(self, command, gradients):
        self.command = [str(c) for c in command]
        self.gradients = pathlib.Path(gradients)
        self.times = []
        self.facts = {}
        self.errors = tempfile.TemporaryFile()
        self.unread = b""
        at = self.command.index("GRADIENTS")
        self.command[at] = str(gradients)
        self.process = begin(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, env=environment())

    def failed(self, how):
        self.close()
        self.errors.seek(0)
        said = self.errors.read().decode(errors="replace").strip().splitlines()
        return Failed(f"{pathlib.Path(self.command[0]).name} {how}" + (f": {said[-1]}" if said else ""))

    def line(self, limit):
        end = time.monotonic() + limit
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while b"\n" not in self.unread:
                if not selector.select(max(end - time.monotonic(), 0)):
                    raise self.failed(f"did not answer within {limit:.0f} s")
                piece = os.read(self.process.stdout.fileno(), 65536)
                if not piece:
                    raise self.failed(f"ended with status {self.process.wait()}")
                self.unread += piece
        line, _, self.unread = self.unread.partition(b"\n")
        return line.decode(errors="replace")

    def ready(self, limit=1800):
        line = self.line(limit)
        if line != "ready":
            raise self.failed(f"said '{line}' and not 'ready'")

    def turn(self, runs=1, limit=1800):
        """Milliseconds per picture of each run."""
        try:
            self.process.stdin.write(f"{runs}\n".encode())
            self.process.stdin.flush()
        except OSError as error:
            raise self.failed(f"ended: {error}") from error
        line = self.line(limit)
        try:
            word, *numbers = line.split()
            times = [float(number) for number in numbers]
        except ValueError:
            word, times = "", []
        if word != "ms" or len(times) != runs or not all(0 < t < float("inf") for t in times):
            raise self.failed(f"said '{line[:80]}' and not the milliseconds of {runs} runs")
        self.times += times
        return times

    def finish(self, limit=1800):
        """Its facts are known from then on."""
        try:
            rest, _ = self.process.communicate(timeout=limit)
        except subprocess.TimeoutExpired as error:
            raise self.failed(f"did not end within {limit:.0f} s") from error
        if self.process.returncode != 0:
            raise self.failed(f"ended with status {self.process.returncode}")
        for line in (self.unread + rest).decode(errors="replace").splitlines():
            key, _, value = line.partition(" ")
            self.facts[key] = value

    def result(self):
        """The gradients that it wrote at its end."""
        return np.fromfile(self.gradients, np.float32).astype(float)

    def median(self):
        return statistics.median(self.times)

    def close(self):
        """Fine at any time."""
        end(self.process)
        for pipe in (self.process.stdin, self.process.stdout):
            try:
                pipe.close()
            except OSError:
                pass
