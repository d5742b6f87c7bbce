#!/usr/bin/env python3
"""rewrite.py FILE.cu [s/OLD/NEW/]...: the same source as C++ for emulator.h, on standard output.

Two things of CUDA are no C++: launches, kernel<<<grid, block, shared, stream>>>(arguments), and arrays of
dynamic shared memory. Lines keep their numbers. Each s/OLD/NEW/ replaces a text that must occur (how tests plant bugs).
"""
import re
import sys

LAUNCH = re.compile(r"\b(\w+(?:<[^<>;{}()]*>)?)(\s*(?:\\\n\s*)?)<<<(.*?)>>>(\s*(?:\\\n\s*)?)\(", re.S)
DYNAMIC = re.compile(r"\bextern\s+__shared__\s+(?:__align__\(\d+\)\s*)?([\w ]*?\w)\s+(\w+)\[\];")


def rewritten(text):
    text = LAUNCH.sub(lambda m: f"emulator::kernel_launch<{m[1]}>{{{m[3]}}}{m[2]}{m[4]}(", text)
    return DYNAMIC.sub(lambda m: f"{m[1]} *const {m[2]} = ({m[1]} *)emulator::dynamic_shared();", text)


def main():
    path, edits = sys.argv[1], sys.argv[2:]
    with open(path, encoding="utf-8") as source:
        text = source.read()
    for edit in edits:
        _, old, new, _ = edit.split("/")
        if old not in text:
            sys.exit(f"{path}: no '{old}' to replace")
        text = text.replace(old, new)
    sys.stdout.write(f'#line 1 "{path}"\n' + rewritten(text))


if __name__ == "__main__":
    main()
