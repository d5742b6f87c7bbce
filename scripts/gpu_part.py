"""A report of gpu_report.py, and its parts: each is in the file as far as it has come, so that a run that is cut off loses nothing."""
import contextlib
import os
import pathlib
import signal
import subprocess
import tempfile
import threading
import time

PASSED, FAILED, LEFT_OUT = "passed", "**FAILED**", "left out"
WAITING, AT_WORK, DONE = "not begun", "cut off, or still at work", "done"
# Of the time that there is, for what is run side by side.
SHARE_OF_CHECKS = 0.5


class Broken(Exception):
    """A program that was not expected to fail did; the text says how, `short` in a line."""

    def __init__(self, text, short=None, output=""):
        super().__init__(text)
        self.short = short or (text.splitlines() or [type(self).__name__])[0]
        self.output = output


class OutOfTime(Broken):
    """It was not begun: other work took the time that there was."""

    def __init__(self):
        super().__init__("no time was left")


class TooSlow(Broken):
    """It was ended."""


LIVE = set()  # processes that lead a group of their own
BEGINNING = threading.Lock()  # held for good once no more may begin


def begin(command, **options):
    with BEGINNING:
        process = subprocess.Popen(command, start_new_session=True, **options)
        LIVE.add(process)
    return process


def end(process):
    """It and whatever it has begun: nothing may be left on the GPU while times are taken."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(5)
    LIVE.discard(process)


def end_all():
    with BEGINNING:
        for process in list(LIVE):
            end(process)


def end_for_good():
    """No other begins after it."""
    BEGINNING.acquire(timeout=10)
    for process in list(LIVE):
        end(process)


def run(command, limit=1800, **options):
    """What it printed to its standard output; raises Broken, which also has what it said elsewhere."""
    command = [str(c) for c in command]
    name = pathlib.Path(command[0]).name
    with tempfile.TemporaryFile("w+", errors="replace") as said:
        try:
            process = begin(command, stdout=subprocess.PIPE, stderr=said, text=True, errors="replace", **options)
        except OSError as error:
            raise Broken(str(error)) from error
        try:
            out, _ = process.communicate(timeout=max(limit, 1))
        except subprocess.TimeoutExpired as error:
            raise TooSlow(f"{name} took longer than {limit:.0f} s") from error
        finally:
            end(process)
        said.seek(0)
        text = (out + said.read()).strip()
    if process.returncode != 0:
        lines = text.splitlines()[-25:]
        short = f"{name} ended with status {process.returncode}" + (f": {lines[-1]}" if lines else "")
        raise Broken("\n".join([" ".join(command), f"exit status {process.returncode}", *lines]), short, text)
    return out


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(str(c) for c in row) + " |" for row in rows])


class Part:
    """One section of the report: its checks, and its text as far as it has come."""

    def __init__(self, report, title):
        self.report = report
        self.args = report.args
        self.title = title
        self.checks = []
        self.text = ""
        self.state = WAITING

    def check(self, name, outcome, text=""):
        with self.report.lock:
            text = " ".join(text.replace("|", "/").split())[:400]
            self.checks.append((name, outcome, text))
            with contextlib.suppress(OSError):  # whoever reads it may be gone
                print(f"{name}: {outcome.strip('*')} {text}", flush=True)
        self.report.write()

    def show(self, text):
        self.text = text
        self.report.write()

    def seconds_left(self):
        return self.report.seconds_left()

    def work(self, function, *args):
        """What breaks in it is a failed check."""
        self.state = AT_WORK
        self.report.write()
        try:
            self.text = function(self, *args)
        except Exception as error:  # whatever it is: the other parts go on
            text = str(error) or type(error).__name__
            self.check(self.title, FAILED, getattr(error, "short", text.splitlines()[0]))
            self.text += f"\n\n```\n{text}\n```"
        self.state = DONE
        self.report.write()


class Report:
    def __init__(self, args):
        self.args = args
        self.parts = []
        self.lock = threading.RLock()
        self.began = time.monotonic()

    def seconds_left(self, share=1):
        """Until the share of the time is over."""
        return self.began + share * 60 * self.args.minutes - time.monotonic() if self.args.minutes else float("inf")

    def part(self, title):
        part = Part(self, title)
        with self.lock:
            self.parts.append(part)
        return part

    def write(self):
        with self.lock:
            unfinished = self.args.output.with_name(f"{self.args.output.name}.{os.getpid()}.part")
            try:
                unfinished.write_text(self.text(), encoding="utf-8")
                unfinished.replace(self.args.output)
            except OSError as error:
                with contextlib.suppress(OSError):
                    print(f"{self.args.output}: {error}", flush=True)

    def failed(self):
        """Or nothing was found to be right."""
        outcomes = [outcome for part in self.parts for _, outcome, _ in part.checks]
        return FAILED in outcomes or PASSED not in outcomes

    def text(self):
        where = {"cpu": "dry run, every number is the CPU's", "rehearsal": "rehearsal, no number is a GPU's"}.get(
            self.args.stand_in, self.args.device)
        checks = [check for part in self.parts for check in part.checks]
        head = f"# salmap on a GPU: {where}\n\n" + table(("check", "result", ""), checks)
        for state in (AT_WORK, WAITING):
            titles = [f'"{part.title}"' for part in self.parts if part.state == state]
            if titles:
                head += f"\n\n**Not finished** ({state}): {', '.join(titles)}."
        return head + "\n\n" + "\n".join(f"## {p.title}\n\n{p.text.strip()}\n" for p in self.parts if p.state != WAITING)
