#!/usr/bin/env python3
"""What the compiler makes of every kernel of cuda/kernels/*.cu, for every GPU architecture; needs nvcc, and no GPU.

    kernel_resources.py [--nvcc PATH] [--cache FOLDER] [--jobs N] [--tolerance N] [--all | --update]

Compiles each file for each architecture that this nvcc knows. No kernel may spill registers or use local memory, each
must have __launch_bounds__, and registers and static shared memory must be those of the committed table
(tests/gpuless/kernel_resources.csv), registers give or take the tolerance; --update writes the table anew. Tables
of another nvcc (major.minor) hold other numbers: then the table is compared by its kernels alone.

Where sources and compiler are those that the table was written from, to the last byte, the oldest architecture and one
of the newer ones stand for all; where they are not, those that the table has the numbers of another for in every row
(sm_89 is as sm_86) are left out. --all leaves none out.

What was compiled is remembered in FOLDER by a hash of all that matters; $SAL_KERNEL_CACHE, if set, is that folder.
Exit status: 0 as it should be, 1 not so, 2 wrong usage, 77 no nvcc here.
"""
import argparse
import concurrent.futures
import csv
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TABLE = ROOT / "tests/gpuless/kernel_resources.csv"
ARCHITECTURES = ("75", "80", "86", "89", "90", "100", "120")
SPOT_CHECKED = ("75", "90")
KERNELS = ROOT / "cuda/kernels"
INCLUDES = (ROOT / "cuda", ROOT / "src", ROOT / "include")
# -Wmissing-launch-bounds is wrong about templates (nvcc 13.0): missing_bounds() looks instead.
FLAGS = ("-std=c++17", "-O2", "-Xptxas", "-v", "-Werror", "all-warnings",
         "-Wdefault-stream-launch", "-Xcompiler", "-Wall,-Wextra,-Werror", "-cubin")


def find_nvcc(given):
    for candidate in (given, shutil.which("nvcc"), "/usr/local/cuda/bin/nvcc"):
        if candidate and shutil.which(candidate):
            return candidate
    return None


def run(*command):
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False)


def sources_of(file, seen=None):
    """The file and the project's own headers that it includes, directly or not."""
    seen = {} if seen is None else seen
    if file in seen:
        return seen
    text = file.read_text()
    seen[file] = text
    for name in re.findall(r'^\s*#\s*include\s+"([^"]+)"', text, re.M):
        for folder in (file.parent, *INCLUDES):
            if (folder / name).is_file():
                sources_of((folder / name).resolve(), seen)
                break
    return seen


def what_kernels_see(file, text):
    """A source without comments; of the public header the enumerations and sal_placement: kernels have no more of it."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.S)
    if file.parent.name == "salmap":
        text = " ".join(re.findall(r"typedef enum.*?;|typedef struct sal_placement {.*?} sal_placement;", text, re.S))
    return " ".join(text.split())


def digest(build, rows):
    """Of a table's rows and everything that they are made from: sources, options, architectures and the compiler."""
    sources = {}
    for file in KERNELS.glob("*.cu"):
        sources_of(file, sources)
    texts = sorted([path.name, what_kernels_see(path, text)] for path, text in sources.items())
    cells = [[*key, str(row["shared"]), *(str(row[f"sm_{a}"]) for a in ARCHITECTURES)] for key, row in sorted(rows.items())]
    return hashlib.sha256(json.dumps([build, FLAGS, ARCHITECTURES, texts, cells]).encode()).hexdigest()[:32]


def missing_bounds(text):
    """Kernels in a source that do not say how many threads they run with."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.S)
    return [" ".join(m.split()) for m in re.findall(r"__global__\s+void\s+(?!__launch_bounds__)[^({;]*", text)]


def short_name(demangled):
    """'void k<__half, 4>(float*, long)' is 'k<half;4>': a comma would want quotes in the table."""
    name = demangled.replace("(anonymous namespace)::", "").replace("unsigned ", "u")
    name = re.sub(r"\([^<>]*\)(?=\d)", "", name)
    depth = 0
    for at, letter in enumerate(name):
        depth += (letter == "<") - (letter == ">")
        if letter == "(" and depth == 0:
            name = name[:at]
            break
    name = re.sub(r"^(static )?void ", "", name)
    return name.replace("__half", "half").replace("__nv_bfloat16", "bfloat16").replace(", ", ";").strip()


def parse(text):
    """ptxas -v: a dictionary per kernel, by mangled name."""
    kernels = {}
    current = None
    for line in text.splitlines():
        if m := re.search(r"Compiling entry function '([^']+)'", line):
            current = kernels.setdefault(m[1], {})
        elif m := re.search(r"Function properties for (\S+)", line):
            # Functions that were not inlined have properties as well: their stack is the kernel's.
            current = kernels.get(m[1], current)
        elif current is not None and (m := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, "
                                                      r"(\d+) bytes spill loads", line)):
            current["local"] = current.get("local", 0) + int(m[1])
            current["spills"] = current.get("spills", 0) + int(m[2]) + int(m[3])
        elif current is not None and (m := re.search(r"Used (\d+) registers", line)):
            current["registers"] = int(m[1])
            shared = re.search(r"(\d+)(?:\+\d+)? bytes smem", line)
            current["shared"] = int(shared[1]) if shared else 0
            local = re.search(r"(\d+) bytes lmem", line)
            current["local"] = max(current.get("local", 0), int(local[1]) if local else 0)
    return kernels


def twins(table):
    """Architectures that have the registers of an earlier one in every row, and which that is: {"89": "sm_86"}."""
    columns = [tuple(row.get(f"sm_{a}") for row in table.values()) for a in ARCHITECTURES]
    return {a: f"sm_{ARCHITECTURES[columns.index(columns[k])]}" for k, a in enumerate(ARCHITECTURES) if columns[k] in columns[:k]}


class Compiler:
    def __init__(self, nvcc, cache):
        self.nvcc = nvcc
        self.cache = cache
        version = run(nvcc, "--version").stdout
        self.version = (re.search(r"release (\d+\.\d+)", version) or ["", "unknown"])[1]
        self.build = (re.search(r"V[\d.]+", version) or [version])[0]
        known = run(nvcc, "--list-gpu-code").stdout.split()
        self.architectures = [a for a in ARCHITECTURES if f"sm_{a}" in known]

    def leave_out(self, of, table):
        """Architectures that need not be compiled for, since the table, which was written of a digest, has them."""
        if of == digest(self.build, table):
            self.architectures = [a for a in self.architectures if a in SPOT_CHECKED]
        else:
            known = [f"sm_{a}" for a in self.architectures]
            self.architectures = [a for a in self.architectures if twins(table).get(a) not in known]

    def kernels(self, file, architecture):
        """(None, kernels by short name) or (what went wrong, None)."""
        key = hashlib.sha256(json.dumps([self.build, FLAGS, architecture, [
            [str(path.relative_to(ROOT)), text] for path, text in sorted(sources_of(file).items())
        ]]).encode()).hexdigest()
        known = self.cache / f"{file.stem}.{architecture}.{key[:32]}.json"
        if known.exists():
            return None, json.loads(known.read_text())
        includes = [f"-I{folder}" for folder in INCLUDES]
        done = run(self.nvcc, *FLAGS, f"-arch=sm_{architecture}", *includes, file, "-o", os.devnull)
        report = done.stdout + done.stderr
        if done.returncode != 0 or "ptxas warning" in report:
            lines = [l for l in report.splitlines() if not re.match(r"ptxas info|\s+\d+ bytes stack frame", l)]
            return f"{file.name} for sm_{architecture}:\n" + "\n".join(lines[:20]), None
        found = parse(report)
        names = subprocess.run(["c++filt"], input="\n".join(found), capture_output=True, text=True, check=True)
        kernels = dict(zip(map(short_name, names.stdout.splitlines()), found.values()))
        if len(kernels) != len(found) or any("registers" not in k for k in kernels.values()):
            return f"{file.name} for sm_{architecture}: the compiler's report is not understood", None
        # Another test may write the same file: only whole ones get the name.
        part = known.with_suffix(f".{os.getpid()}.part")
        part.write_text(json.dumps(kernels))
        part.replace(known)
        return None, kernels


def measure(compiler, jobs):
    """({(file, kernel): {"shared": bytes, architecture: registers}}, problems)"""
    rows, problems = {}, []
    files = sorted(KERNELS.glob("*.cu"))
    for file in sorted({*files, *KERNELS.glob("*.cuh")}):
        problems += [f"{file.name}: no __launch_bounds__: {kernel}" for kernel in missing_bounds(file.read_text())]
    tasks = [(file, architecture) for file in files for architecture in compiler.architectures]
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        results = list(pool.map(lambda task: compiler.kernels(*task), tasks))
    for (file, architecture), (problem, kernels) in zip(tasks, results):
        if problem:
            problems.append(problem)
            continue
        for name, kernel in kernels.items():
            row = rows.setdefault((file.name, name), {"shared": 0})
            row["shared"] = max(row["shared"], kernel["shared"])
            row[architecture] = kernel["registers"]
            if kernel["spills"] or kernel["local"]:
                problems.append(f"{file.name}: {name} for sm_{architecture}: {kernel['spills']} bytes spilled, "
                                f"{kernel['local']} bytes of local memory")
    return rows, problems


def write_table(compiler, rows):
    """Rows as read_table() has them. A digest is written where all architectures are there."""
    rows = {key: {"shared": row["shared"], **{f"sm_{a}": row.get(a, "") for a in compiler.architectures}} for key, row in rows.items()}
    of = digest(compiler.build, rows) if list(compiler.architectures) == list(ARCHITECTURES) else "some"
    with open(TABLE, "w", newline="") as f:
        f.write(f"# nvcc {compiler.version}: registers a thread by architecture, bytes of static shared memory; "
                f"nothing spilled, no local memory. Written by scripts/kernel_resources.py --update of {of}.\n")
        writer = csv.writer(f, lineterminator="\n")
        writer.writerow(["file", "kernel", "shared", *(f"sm_{a}" for a in compiler.architectures)])
        for key, row in sorted(rows.items()):
            writer.writerow([*key, *row.values()])


def read_table():
    """The version of nvcc, the digest of what it was written from, and the rows."""
    with open(TABLE, newline="") as f:
        version, of = re.search(r"nvcc (\S+):.* of (\w+)\.$", f.readline()).groups()
        rows = {(r["file"], r["kernel"]): r for r in csv.DictReader(f)}
    return version, of, rows


def compare(compiler, rows, tolerance):
    version, _, table = read_table()
    problems = [f"{file}: {kernel} is not in the table" for file, kernel in rows.keys() - table.keys()]
    problems += [f"{file}: {kernel} is in the table and no longer there" for file, kernel in table.keys() - rows.keys()]
    if version != compiler.version:
        print(f"The table is of nvcc {version}, this is {compiler.version}: numbers are not compared")
        return problems
    for key in sorted(rows.keys() & table.keys()):
        measured, expected = rows[key], table[key]
        if measured["shared"] != int(expected["shared"]):
            problems.append(f"{key[0]}: {key[1]}: {measured['shared']} bytes of shared memory, "
                            f"{expected['shared']} in the table")
        for architecture in compiler.architectures:
            wanted = expected.get(f"sm_{architecture}")
            if not wanted or abs(measured.get(architecture, -1) - int(wanted)) > tolerance:
                problems.append(f"{key[0]}: {key[1]} for sm_{architecture}: {measured.get(architecture)} registers, "
                                f"{wanted or 'nothing'} in the table")
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nvcc", default="")
    parser.add_argument("--cache", type=pathlib.Path, default=ROOT / "build-kernels")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--tolerance", type=int, default=4, help="of registers [%(default)s]")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--update", action="store_true")
    args = parser.parse_args()
    nvcc = find_nvcc(args.nvcc)
    if not nvcc:
        print("There is no nvcc here: nothing was checked")
        return 77
    cache = pathlib.Path(os.environ.get("SAL_KERNEL_CACHE") or args.cache)
    cache.mkdir(parents=True, exist_ok=True)
    compiler = Compiler(nvcc, cache)
    if not args.all and not args.update:
        compiler.leave_out(*read_table()[1:])
    rows, problems = measure(compiler, args.jobs)
    if not rows and not problems:
        problems.append("no kernels were found")
    if args.update and problems:
        problems.append("the table was left as it is")
    elif args.update:
        write_table(compiler, rows)
    else:
        problems += compare(compiler, rows, args.tolerance)
    for problem in problems:
        print(problem)
    print(f"{len(rows)} kernels, nvcc {compiler.version}, architectures {' '.join(compiler.architectures)}: "
          f"{len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
