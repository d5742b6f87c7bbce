#!/usr/bin/env python3
"""Which tests depend on the files that have changed since a commit?

    changed_tests.py BUILD COMMIT

BUILD was built with Ninja, which knows what each object was made from. A test is chosen where

  - its program is made from a changed file, through modules that it links by themselves; or
  - it has the label of a room (a folder of src/, cuda, scripts) of which an object or a script has changed; or
  - its command names a changed file, or a changed file that is no test itself lies beside one that it names.

Programs that link the whole library depend on every file of it: there the labels alone decide. Slow tests are left out.
Prints "tests REGEX" and "programs TARGET..." for scripts/test.sh, and what was left out for its reader.
"""
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def output(*command, check=True):
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, check=check).stdout


def changed_files(commit):
    git = ("git", "-C", ROOT, "-c", "safe.directory=*")
    tracked = output(*git, "diff", "--name-only", commit)
    new = output(*git, "ls-files", "--others", "--exclude-standard")
    return set(tracked.split("\n") + new.split("\n")) - {""}


def room_of(path):
    """src/map/smooth.c: map; an object of it likewise."""
    parts = pathlib.PurePath(path).parts
    if parts[:1] == ("src",) and len(parts) > 2:
        return parts[1]
    return parts[0] if parts[:1] in (("cuda",), ("scripts",)) else None


def changed_objects(build, changed):
    """Objects that were made from a changed file, as the last build saw it."""
    found, current = set(), None
    for line in output("ninja", "-C", build, "-t", "deps").split("\n"):
        if line and not line.startswith(" "):
            current = line.split(":")[0]
        elif line.strip():
            path = pathlib.Path(build, line.strip()).resolve()
            if path.is_relative_to(ROOT) and str(path.relative_to(ROOT)) in changed:
                found.add(current)
    return found


def inputs_of(build, program):
    return set(output("ninja", "-C", build, "-t", "inputs", program, check=False).split("\n")) - {""}


def main():
    build, commit = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2]
    changed = changed_files(commit)
    objects = changed_objects(build, changed)
    rooms = {room_of(path) for path in changed | objects} - {None}
    helpers = {str(pathlib.PurePath(p).parent) for p in changed if p.startswith("tests/") and p.endswith((".py", ".sh"))
               and not pathlib.PurePath(p).name.startswith("test_")}

    chosen, programs, slow = [], set(), 0
    inputs = {}
    for test in json.loads(output("ctest", "--test-dir", build, "--show-only=json-v1"))["tests"]:
        labels = next((p["value"] for p in test.get("properties", []) if p["name"] == "LABELS"), [])
        words = [pathlib.Path(word) for word in test.get("command", [])]
        own = [str(w.relative_to(build)) for w in words if w.is_relative_to(build) and not w.is_dir()]
        named = {str(w.relative_to(ROOT)) for w in words if w.is_relative_to(ROOT) and not w.is_relative_to(build)}
        depends = bool(rooms & set(labels) or changed & named or helpers & {str(pathlib.PurePath(n).parent) for n in named})
        for program in own:
            if program not in inputs:
                inputs[program] = inputs_of(build, program)
            whole = any(re.search(r"libsalmap\.(a|so)|sal_api\.dir", i) for i in inputs[program])
            mine = {o for o in objects if not whole or o.startswith("tests/")}
            depends |= bool(inputs[program] & mine)
        if depends and "slow" in labels:
            slow += 1
        elif depends:
            chosen.append(test["name"])
            programs |= {program for program in own if inputs[program]}
    print("rooms that have changed:", ", ".join(sorted(rooms)) or "none", f"(slow tests left out: {slow})")
    if chosen:
        print("tests ^(%s)$" % "|".join(re.escape(name) for name in chosen))
        print("programs", *sorted(programs))


if __name__ == "__main__":
    main()
