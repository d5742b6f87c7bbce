#!/usr/bin/env python3
"""Breaks the arithmetic of some modules on purpose, one operator at a time, and lists what no test notices.

    mutate.py --build BUILD [--build SANITIZED] [--module map] [--sample 60] [--seed 1] [--json FILE] [--minimum 90]

BUILD is a folder that scripts/build.sh made with -DSAL_TESTS=ON and Ninja. What survives there is tried again in a further one:
CI runs the same tests under the sanitizers, which see what reads past an end. The working tree stays as it is: each mutant is a
changed copy of one file, compiled and linked with BUILD's own commands in a folder of its own there. The tests of a module are
those with its name among their ctest labels, but for the slow ones; they run quickest first until one fails. A test fails, too,
where it takes several times as long as without a mutant, or far too much memory. Not counted are mutants

  - that do not compile, or compile to the object code of the original or of an earlier mutant
  - that tests/mutants_equivalent.txt lists with the reason why nothing changes

mutants.py says what is changed, and what is left out by rule. Ends with 1 where the tests kill fewer than --minimum percent of
the mutants of some module."""
import argparse
import collections
import concurrent.futures
import hashlib
import json
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from mutants import Source

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODULES = ("map", "program", "attribution", "results")
EQUIVALENT = ROOT / "tests/mutants_equivalent.txt"
MEMORY = 8 << 30  # address space of a test; oneDNN and OpenMP reserve much and use little

MAKES = re.compile(r"(?:cc|[cg]\+\+|clang)\S* .* -o |/ar qc ")  # an object, a program or a library
FAILED = re.compile(r"\[FAIL\] (\S+):|^(?:FAIL|ERROR): (\w+)|^.*?(\w+(?:::\w+)): (?:Assertion|CRASH)", re.M)


def listed_equivalents():
    """Entries of tests/mutants_equivalent.txt: file and, if it is in one, function; a line "- before", a line "+ after";
    others say why."""
    found, place, before = set(), None, None
    for line in EQUIVALENT.read_text().splitlines() if EQUIVALENT.exists() else ():
        if line.startswith("src/"):
            file, _, function = line.partition(" ")
            place = file, function
        elif line.startswith("- "):
            before = line[2:].strip()
        elif line.startswith("+ "):
            found.add((*place, before, line[2:].strip()))
    for file, _, before, _ in found:
        if before not in " ".join((ROOT / file).read_text().split()):
            sys.exit(f"mutate.py: {EQUIVALENT.name}: {file} has no line '{before}'")
    return found


# ---- Building ----------------------------------------------------------------

class Build:
    """The commands of a build folder, run with another object in the place of one of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="mutants.", dir=folder))
        done = subprocess.run(["ninja", "-C", folder, "-t", "compdb", "-x"], stdout=subprocess.PIPE, check=True)
        entries = json.loads(done.stdout[done.stdout.index(b"["):])
        self.edges = {e["output"]: e["command"] for e in entries if MAKES.search(e["command"])}
        self.parts = {o: [w for w in c.split() if w in self.edges and w != o] for o, c in self.edges.items()}
        cache = (folder / "CMakeCache.txt").read_text()
        self.memory = None if re.search(r"^SAL_SANITIZE:STRING=.", cache, re.M) else MEMORY
        self.objects = {}
        for e in entries:
            if " -c " in e["command"]:
                self.objects.setdefault(os.path.normpath(e["file"]), []).append(e["output"])

    def objects_of(self, source, programs):
        """The objects that hold a file's code: its own, or those of the programs that include it."""
        if source.suffix == ".c":
            return self.objects[str(source)]
        done = subprocess.run(["ninja", "-C", self.folder, "-t", "deps"], stdout=subprocess.PIPE, text=True, check=True)
        found, output = [], None
        for line in done.stdout.splitlines():
            if not line.startswith(" "):
                output = line.split(":")[0]
            elif line.strip() and os.path.normpath(self.folder / line.strip()) == str(source):
                found.append(output)
        return [o for o in found if any(self.uses(p, (o,)) for p in programs)]

    def compile(self, place, source, text, output):
        """Object code of the file, or of one that includes it, in the folder `place`; None where it does not compile."""
        shadow = place / "include" / source.relative_to(ROOT / "src")
        shadow.parent.mkdir(parents=True, exist_ok=True)
        shadow.write_text(text)
        made = place / output
        made.parent.mkdir(parents=True, exist_ok=True)
        words = self.edges[output].replace(output, str(made))
        if source.suffix == ".c":
            words = words.replace(str(source), str(shadow))
        else:
            words = words.replace(" -I", f" -I{place / 'include'} -I", 1)
        done = subprocess.run(words + f" -w -g0 -iquote {source.parent}", shell=True, cwd=self.folder,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        return made if done.returncode == 0 else None

    def uses(self, output, objects):
        """Whether a program is made of one of the objects."""
        if output in objects:
            return True
        return any(self.uses(w, objects) for w in self.parts[output])

    def link(self, place, output, objects):
        """The program with the objects of `place`, in `place`; an object in front of a library replaces the library's."""
        made = place / output
        if made.exists():
            return made
        made.parent.mkdir(parents=True, exist_ok=True)
        words = []
        for word in self.edges[output].split(" "):
            if word == output or word in objects:
                word = str(place / word)
            elif word.endswith(".a") and word in self.edges:
                word = " ".join([str(place / o) for o in objects if self.uses(word, (o,))] + [word])
            words.append(word)
        subprocess.run(" ".join(words), shell=True, cwd=self.folder, check=True)
        return made


# ---- Testing -----------------------------------------------------------------

class Test:
    """A test of ctest's, run with a mutant's programs in the place of the build's."""

    def __init__(self, described, folder):
        self.name = described["name"]
        self.command = described.get("command", [])
        properties = {p["name"]: p["value"] for p in described["properties"]}
        self.labels = properties.get("LABELS", [])
        self.skip = properties.get("SKIP_RETURN_CODE", 0)
        self.skip_text = properties.get("SKIP_REGULAR_EXPRESSION", [])
        self.cwd = properties.get("WORKING_DIRECTORY", folder)
        self.environment = dict(e.split("=", 1) for e in properties.get("ENVIRONMENT", []) if "=" in e)
        self.seconds = None

    def programs(self, build):
        """What it runs of the build. All of it is known: otherwise the test would run without the mutant, and pass."""
        names = [os.path.relpath(w, build.folder) for w in self.command if w.startswith(f"{build.folder}/")]
        for name in names:
            if name not in build.edges and is_program(build.folder / name):
                sys.exit(f"mutate.py: {self.name} runs {name}, and no command that links it is known")
        return [n for n in names if n in build.edges]

    def run(self, build, place, objects, limit):
        """None where it passes or is skipped; else what failed."""
        swapped = {str(build.folder / p): str(build.link(place, p, objects)) for p in self.programs(build)
                   if objects and build.uses(p, objects)}
        # Some tests become another user, who must get at it too.
        temporary = pathlib.Path(tempfile.mkdtemp(prefix="mutant."))
        temporary.chmod(0o1777)
        environment = {**os.environ, **self.environment, "TMPDIR": str(temporary), "OMP_NUM_THREADS": "2",
                       "CRITERION_FAIL_FAST": "1", "CRITERION_JOBS": "1", "PYTHONDONTWRITEBYTECODE": "1",
                       "ASAN_OPTIONS": "strict_string_checks=1:detect_stack_use_after_return=1", "UBSAN_OPTIONS": "halt_on_error=1"}
        process = subprocess.Popen([swapped.get(w, w) for w in self.command], cwd=self.cwd, env=environment,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   start_new_session=True, preexec_fn=lambda: limits(build.memory))
        try:
            output, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            return "takes too long"
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
            shutil.rmtree(temporary, ignore_errors=True)
        text = output.decode(errors="replace")
        if process.returncode in (0, self.skip) or any(re.search(skip, text) for skip in self.skip_text):
            return None
        failed = FAILED.search(text)
        return next((g for g in failed.groups() if g), "") if failed else f"status {process.returncode}"


def is_program(path):
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        return file.read(4) == b"\x7fELF"


def limits(memory):
    if memory:  # the sanitizers reserve terabytes
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 32, 1 << 32))


def tests_of(build, module, pattern):
    done = subprocess.run(["ctest", "--show-only=json-v1"], cwd=build.folder, stdout=subprocess.PIPE, check=True)
    found = [Test(d, build.folder) for d in json.loads(done.stdout)["tests"]]
    chosen = [t for t in found if module in t.labels and "slow" not in t.labels and re.search(pattern, t.name)]
    if not chosen:
        sys.exit(f"mutate.py: no test has the label {module}")
    return chosen


def passing(build, module, pattern):
    """The module's tests, quickest first; without mutants all of them must pass."""
    subprocess.run(["ninja", "-C", build.folder, f"tests_{module}"], stdout=subprocess.DEVNULL, check=True)
    tests = tests_of(build, module, pattern)
    for test in tests:
        begin = time.monotonic()
        failed = test.run(build, build.scratch / "original", (), 600)
        test.seconds = time.monotonic() - begin
        if failed is not None:
            sys.exit(f"mutate.py: {test.name} fails without any mutant: {failed}")
    return sorted(tests, key=lambda t: t.seconds)


# ---- The check ---------------------------------------------------------------

def in_random_order(mutants, seed):
    """One mutant of every place, then a second one, ...: places with many mutants do not fill the sample."""
    chance = random.Random(seed)
    places = collections.defaultdict(list)
    for m in mutants:
        places[m.file, m.start].append(m)
    places = list(places.values())
    chance.shuffle(places)
    for place in places:
        chance.shuffle(place)
    return [place[k] for k in range(max(map(len, places), default=0)) for place in places if k < len(place)]


class Check:
    def __init__(self, build, module, arguments):
        self.build, self.module, self.arguments = build, module, arguments
        paths = sorted(p for p in (ROOT / "src" / module).iterdir() if p.suffix in (".c", ".h"))
        self.sources = {s.name: s for s in (Source(ROOT, p) for p in paths)}
        self.left_out = sum((s.left_out for s in self.sources.values()), collections.Counter())
        self.equivalent = listed_equivalents()
        self.originals, self.objects, self.programs = {}, {}, set()
        self.ignored = collections.Counter()

    def wanted(self):
        mutants = [m for s in self.sources.values() for m in s.mutants]
        if self.arguments.only:
            mutants = [m for m in mutants if self.arguments.only in (m.file, f"{m.file}:{m.line}")]
        if self.arguments.again:
            again = json.loads(self.arguments.again.read_text())["modules"].get(self.module, {"survivors": []})
            keys = {(m["file"], m["before"], m["after"]) for m in again["survivors"]}
            mutants = [m for m in mutants if (m.file, m.before, m.after) in keys]
        return in_random_order(mutants, self.arguments.seed)

    def digest(self, place, source, text):
        """The mutant's objects and a digest of them; None where it does not compile."""
        if source.name not in self.objects:
            self.objects[source.name] = self.build.objects_of(source.path, self.programs)
        objects = self.objects[source.name]
        digest = hashlib.sha256()
        for output in objects:
            made = self.build.compile(place, source.path, text, output)
            if not made:
                return None
            digest.update(made.read_bytes())
        return tuple(objects), digest.hexdigest()

    def prepare(self, number, mutant):
        """Compiles a mutant; None where it does not count."""
        source = self.sources[mutant.file]
        place = self.build.scratch / f"{self.module}{number}"
        changed = source.text[:mutant.start] + mutant.text + source.text[mutant.end:]
        made = self.digest(place, source, changed)
        reason = None
        if not made:
            reason = "do not compile"
        elif (mutant.file, mutant.function, mutant.before, mutant.after) in self.equivalent:
            reason = "listed as equivalent"
        else:
            if mutant.file not in self.originals:
                original = self.digest(self.build.scratch / f"{self.module}_original", source, source.text)
                self.originals[mutant.file] = {original[1]}
            if made[1] in self.originals[mutant.file]:
                reason = "same object code"
            self.originals[mutant.file].add(made[1])
        if reason:
            self.ignored[reason] += 1
            shutil.rmtree(place, ignore_errors=True)
            return None
        return mutant, place, made[0]

    def test(self, prepared, tests):
        """Which test kills the mutant, or None."""
        mutant, place, objects = prepared
        try:
            for test in tests:
                if not any(self.build.uses(p, objects) for p in test.programs(self.build)):
                    continue
                failed = test.run(self.build, place, objects, 5 + 4 * test.seconds)
                if failed is not None:
                    return f"{test.name}: {failed}"
            print(f"  survived: {mutant.file}:{mutant.line}: {mutant.after}", file=sys.stderr, flush=True)
            return None
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def run(self, mutants, most):
        """Of the mutants the first `most` that count, each with the test that kills it or None."""
        tests = passing(self.build, self.module, self.arguments.tests)
        self.programs = {p for t in tests for p in t.programs(self.build)}
        sample = []
        for number, mutant in enumerate(mutants):
            prepared = self.prepare(number, mutant)
            if prepared:
                sample.append(prepared)
            if len(sample) == most:
                break
        with concurrent.futures.ThreadPoolExecutor(self.arguments.jobs) as pool:
            killers = list(pool.map(lambda p: self.test(p, tests), sample))
        return [(mutant, killer) for (mutant, _, _), killer in zip(sample, killers)]


def run_all(checks, most):
    """The first check's sample; what survives there goes to the next."""
    results = checks[0].run(checks[0].wanted(), most)
    for check in checks[1:]:
        survivors = [mutant for mutant, killer in results if killer is None]
        if survivors:
            print(f"  {len(survivors)} go to {check.build.folder.name}", file=sys.stderr, flush=True)
            later = {mutant: killer for mutant, killer in check.run(survivors, len(survivors)) if killer}
            results = [(m, killer or later.get(m) and f"{later[m]} ({check.build.folder.name})") for m, killer in results]
    return results


def report(module, check, results):
    survivors = [m for m, killer in results if killer is None]
    share = 100.0 * (len(results) - len(survivors)) / len(results) if results else 100.0
    print(f"{module}: {len(results)} mutants, {len(results) - len(survivors)} killed, {len(survivors)} survived: {share:.1f} %")
    print("  not counted: " + (", ".join(f"{n} {why}" for why, n in sorted(check.ignored.items())) or "none"))
    print("  left out by rule: " + ", ".join(f"{n} {why}" for why, n in sorted(check.left_out.items())))
    by = collections.Counter(killer.split(":")[0] for _, killer in results if killer)
    print("  killed by: " + ", ".join(f"{test} {n}" for test, n in by.most_common()))
    for m in survivors:
        print(f"  {m.file}:{m.line}: {m.kind}\n    - {m.before}\n    + {m.after}")
    sys.stdout.flush()
    return {"share": share, "mutants": len(results), "ignored": check.ignored, "left_out": check.left_out,
            "survivors": [m._asdict() for m in survivors],
            "killed": [{**m._asdict(), "by": killer} for m, killer in results if killer]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", type=pathlib.Path, required=True, action="append",
                        help="folder of scripts/build.sh with -DSAL_TESTS=ON; again: one for what survives in the first")
    parser.add_argument("--module", action="append", choices=MODULES, help="default: all four")
    parser.add_argument("--sample", type=int, default=60, help="mutants a module (default 60)")
    parser.add_argument("--seed", type=int, default=1, help="of the sample (default 1)")
    parser.add_argument("--only", metavar="FILE[:LINE]", help="all mutants there instead of a sample")
    parser.add_argument("--again", type=pathlib.Path, metavar="JSON", help="what survived an earlier run instead of a sample")
    parser.add_argument("--tests", default="", metavar="REGEX", help="only those of the module's tests with such a name")
    parser.add_argument("--jobs", type=int, default=1, help="mutants tested at a time (default 1)")
    parser.add_argument("--minimum", type=float, default=90.0, help="percent to kill of each module's mutants (default 90)")
    parser.add_argument("--json", type=pathlib.Path, help="writes the results there")
    parser.add_argument("--list", action="store_true", help="print the mutants and end")
    arguments = parser.parse_args()
    builds = [Build(folder.resolve()) for folder in arguments.build]
    most = sys.maxsize if arguments.only or arguments.again else arguments.sample
    results = {}
    try:
        for module in arguments.module or MODULES:
            checks = [Check(build, module, arguments) for build in builds]
            if arguments.list:
                for m in checks[0].wanted():
                    print(f"{m.file}:{m.line}: {m.kind}\n    - {m.before}\n    + {m.after}")
                continue
            results[module] = report(module, checks[0], run_all(checks, most))
    finally:
        for build in builds:
            shutil.rmtree(build.scratch, ignore_errors=True)
    if not arguments.list and not any(r["mutants"] for r in results.values()):
        sys.exit("mutate.py: no mutants there")
    if arguments.json:
        everything = {"seed": arguments.seed, "sample": arguments.sample, "modules": results}
        arguments.json.write_text(json.dumps(everything, indent=1) + "\n")
    return 1 if any(r["share"] < arguments.minimum for r in results.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
