"""What the tests of the program share: TEST SALMAP SOURCE [GROUP...] runs a file's groups."""

import errno
import fcntl
import json
import math
import os
import pty
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest

SALMAP = os.path.abspath(sys.argv[1])
SOURCE = os.path.abspath(sys.argv[2])
MODEL = os.path.join(SOURCE, "data/models/scale_age_honest.onnx")
SCALES = os.path.join(SOURCE, "data/scales")
SCALE = os.path.join(SCALES, "scale_02.png")
SIDE = 192
WRITE_TO_STDERR = ("1 0x2 ", "64 0x2 ")  # x86-64, and what the other 64-bit architectures share
# Linux's; Python names them from 3.10 on.
F_SETPIPE_SZ, F_GETPIPE_SZ = 1031, 1032


def scratch():
    """Where tests put their files. A sweep waits until its results are on the disk, with all that others write at that
    time: memory does as well, where there is plenty."""
    memory = "/dev/shm"
    if "TMPDIR" in os.environ or not os.access(memory, os.W_OK):
        return None
    free = os.statvfs(memory)
    return memory if free.f_bavail * free.f_frsize >= 4 << 30 else None


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="salmap-cli-", dir=scratch())
        self.out = os.path.join(self.folder, "out")

    def tearDown(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def run_salmap(self, *arguments, stdout=subprocess.PIPE):
        # Files' names may be no UTF-8, and so may what is printed of them.
        done = subprocess.run(
            [SALMAP, *arguments], stdout=stdout, stderr=subprocess.PIPE, cwd=self.folder, timeout=300
        )
        done.out = (done.stdout or b"").decode("utf-8", "surrogateescape")
        done.err = done.stderr.decode("utf-8", "surrogateescape")
        # A sanitizer's exit code may be an expected one.
        self.assertNotRegex(done.err, "Sanitizer|runtime error:")
        self.assertGreaterEqual(done.returncode, 0, "%r died of a signal: %s" % (arguments, done.err))
        return done

    def check(self, arguments, code, *texts, absent=()):
        """Runs, and looks at the exit code and for every text on stderr."""
        done = self.run_salmap(*arguments)
        self.assertEqual(done.returncode, code, "%r printed %s%s" % (arguments, done.out, done.err))
        for text in texts:
            self.assertIn(text, done.err)
        for text in absent:
            self.assertNotIn(text, done.err)
        return done

    def on_terminal(self, *arguments, columns=80, code=0, **environment):
        """What a terminal gets of both streams, as bytes. Variables that are None are unset."""
        try:
            main, side = pty.openpty()
        except OSError as error:
            self.skipTest("no terminal can be had here: %s" % error)
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        environment = {name: value for name, value in {**os.environ, **environment}.items() if value is not None}
        process = self.beside([SALMAP, *arguments], stdin=side, stdout=side, stderr=side, env=environment)
        os.close(side)
        said = b""
        with os.fdopen(main, "rb", buffering=0) as terminal:
            try:
                while part := terminal.read(65536):
                    said += part
            except OSError as error:  # Linux's end of a terminal
                self.assertEqual(error.errno, errno.EIO)
        self.assertEqual(process.wait(), code, said)
        return said

    def explain(self, *arguments, code=0, model=MODEL):
        done = self.run_salmap("explain", model, *arguments, "-o", self.out, "--json")
        self.assertEqual(done.returncode, code, done.out + done.err)
        return [json.loads(line) for line in done.out.splitlines()]

    def pairs(self, *lists):
        """Side by side what must be equally many, and some: a loop over nothing would assert nothing."""
        self.assertEqual([len(one) for one in lists], [len(lists[0]) or 1] * len(lists))
        return zip(*lists)

    def assert_all_within(self, found, expected, most):
        """Each number this far from its own at most; NaN is far away."""
        worst = max(abs(a - b) if math.isfinite(a - b) else math.inf for a, b in self.pairs(found, expected))
        self.assertLessEqual(worst, most)

    def beside(self, command, **pipes):
        """A process that runs beside the test, and no longer."""
        process = subprocess.Popen(command, cwd=self.folder, **pipes)
        self.addCleanup(self.end, process)
        return process

    def end(self, process):
        if process.poll() is None:
            process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe:
                pipe.close()

    def hold_command(self, arguments, **rest):
        """Runs until it prints the first message, and stands still there: nobody reads it. let_go() lets it go on."""
        reading, writing = os.pipe()
        fcntl.fcntl(writing, F_SETPIPE_SZ, 4096)
        os.write(writing, b"\n" * fcntl.fcntl(writing, F_GETPIPE_SZ))
        process = self.beside([SALMAP, *arguments], stdout=subprocess.DEVNULL, stderr=writing, **rest)
        os.close(writing)
        process.held = os.fdopen(reading, "rb")
        self.addCleanup(process.held.close)
        self.wait_until(lambda: self.is_held(process), process, "it was held")
        return process

    def is_held(self, process):
        """Whether it waits for room in the pipe of stderr: in write(2, ...)."""
        if process.poll() is not None:
            return False
        try:
            with open("/proc/%d/syscall" % process.pid) as call:
                return call.read().startswith(WRITE_TO_STDERR)
        except OSError as error:
            self.skipTest("/proc tells nobody's system calls here: %s" % error)

    def let_go(self, process):
        """What a sweep that was held said to its end."""
        said = process.held.read().decode("utf-8", "surrogateescape").lstrip("\n")
        process.wait()
        self.assertNotRegex(said, "Sanitizer|runtime error:")
        return said

    def wait_until(self, happened, process, what):
        """Waits for something that a process, if there is one, is to do before it ends. The limit is no expectation: it
        ends a test that hangs."""
        end = time.monotonic() + 200
        while not happened():
            if process and process.poll() is not None and not happened():
                self.fail("it ended with %d before %s" % (process.returncode, what))
            if time.monotonic() > end:
                self.fail("waited in vain until " + what)
            time.sleep(0.002)

    def write(self, name, data):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as f:
            f.write(data)
        return path

    def read(self, path):
        with open(path, "rb") as f:
            return f.read()

    def outputs(self):
        return sorted(os.listdir(self.out)) if os.path.isdir(self.out) else []


def main(module):
    """Exits with 77 when something was skipped: a skip is no pass."""
    groups = [getattr(module, name) for name in sys.argv[3:]]
    if not groups:
        groups = [c for c in vars(module).values() if isinstance(c, type) and issubclass(c, Case) and c is not Case]
    suite = unittest.TestSuite(unittest.defaultTestLoader.loadTestsFromTestCase(g) for g in groups)
    outcome = unittest.TextTestRunner(verbosity=2).run(suite)
    if not outcome.wasSuccessful():
        sys.exit(1)
    sys.exit(77 if outcome.skipped else 0)
