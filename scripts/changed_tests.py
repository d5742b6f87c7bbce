#!/usr/bin/env python3
"""Which tests depend on the files that have changed since a commit?

    changed_tests.py BUILD COMMIT

BUILD is configured for Ninja, and was built before: Ninja remembers what each object was made from. A test is chosen where

  - its programs are made from a changed file: from any, if it is a unit test of modules that it links by themselves; from
    one of tests/ elsewhere, where programs are made from everything
  - it has the label of a room (a folder of src/, cuda, scripts) with a changed file in it, or with an object made from one
  - its command names a changed file or a folder above it, or a program of tests/ beside a changed one that it may import

Slow tests are left out. A changed file that says nothing of tests (CMake's, for one) chooses every test. Prints
"tests REGEX" and "target NAME" lines for scripts/test.sh, and for its reader what was chosen and why.
"""
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Files that a test reads, and whose room their place does not say.
DATA = {"tests/golden/onnx": "import", "tests/golden/keras": "import", "tests/golden/image": "image", "tests/golden/map": "map",
        "data": "cli"}
SILENT = re.compile(r"\.md$|^LICENSE$|^\.|^data/figures/")


def output(*command, check=True):
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, check=check).stdout


def lines(*command, check=True):
    return set(output(*command, check=check).split("\n")) - {""}


def changed_files(commit):
    git = ("git", "-C", ROOT, "-c", "safe.directory=*")
    return lines(*git, "diff", "--name-only", commit) | lines(*git, "ls-files", "--others", "--exclude-standard")


def room_of(path):
    """src/map/smooth.c: map; an object of it likewise."""
    parts = pathlib.PurePath(path).parts
    if parts[0] == "src" and len(parts) > 2:
        return None if parts[1] == "cmake" else parts[1]
    if parts[0] in ("cuda", "scripts"):
        return parts[0]
    return next((room for folder, room in DATA.items() if pathlib.PurePath(path).is_relative_to(folder)), None)


def objects_of(build, changed):
    """{changed file: objects that were made from it, as the last build saw it}"""
    found, current = {}, None
    for line in output("ninja", "-C", build, "-t", "deps").split("\n"):
        if line and not line.startswith(" "):
            current = line.split(":")[0]
        elif line.strip():
            path = pathlib.Path(build, line.strip()).resolve()
            if path.is_relative_to(ROOT) and str(path.relative_to(ROOT)) in changed:
                found.setdefault(str(path.relative_to(ROOT)), set()).add(current)
    return found


class Test:
    def __init__(self, build, described):
        self.name = described["name"]
        self.labels = next((set(p["value"]) for p in described.get("properties", []) if p["name"] == "LABELS"), set())
        self.inputs = lines("ninja", "-C", build, "-t", "inputs", f"needs_{self.name}", check=False)
        self.whole = "unit" not in self.labels or any(re.search(r"libsalmap\.(a|so)|sal_api\.dir", i) for i in self.inputs)
        words = (pathlib.Path(word) for word in described.get("command", []))
        self.named = {str(w.relative_to(ROOT)) for w in words
                      if w.is_relative_to(ROOT) and w != ROOT and not w.is_relative_to(build)}

    def depends(self, path, objects):
        own = {o for o in objects if not self.whole or o.startswith("tests/")}
        rooms = {room_of(path), *map(room_of, objects)}
        imports = path.endswith((".py", ".sh")) and path.startswith("tests/") and not pathlib.PurePath(path).name.startswith("test_")
        return bool(rooms & self.labels or self.inputs & own
                    or any(pathlib.PurePath(path).is_relative_to(n) for n in self.named)
                    or imports and any(pathlib.PurePath(n).parent == pathlib.PurePath(path).parent for n in self.named))


def main():
    build, commit = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2]
    changed = {path for path in changed_files(commit) if not SILENT.search(path)}
    objects = objects_of(build, changed)
    tests = [Test(build, t) for t in json.loads(output("ctest", "--test-dir", build, "--show-only=json-v1"))["tests"]]
    chosen, slow = set(), set()
    for path in sorted(changed):
        found = {t for t in tests if t.depends(path, objects.get(path, set()))}
        print(f"{path}: {len(found)} tests" if found else f"{path}: may change any test")
        for test in found or tests:
            (slow if "slow" in test.labels else chosen).add(test.name)
    print(f"{len(chosen)} tests depend on it, and {len(slow)} slow ones, which are left out")
    if chosen:
        print("tests ^(%s)$" % "|".join(map(re.escape, sorted(chosen))))
        print("\n".join(f"target needs_{name}" for name in sorted(chosen)))


if __name__ == "__main__":
    main()
