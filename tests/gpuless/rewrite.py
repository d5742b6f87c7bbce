#!/usr/bin/env python3
"""rewrite.py [--output FILE.cpp] [--bug NAME] FILE.cu: the same source as C++ for emulator.h; a .c file stays C.

Two things of CUDA are no C++: launches, kernel<<<grid, block, shared, stream>>>(arguments), and arrays of
dynamic shared memory. Lines keep their numbers. --bug plants one of bugs.py.
"""
import argparse
import re
import sys

from bugs import BUGS

LAUNCH = re.compile(r"\b(\w+(?:<[^<>;{}()]*>)?)(\s*(?:\\\n\s*)?)<<<(.*?)>>>(\s*(?:\\\n\s*)?)\(", re.S)
DYNAMIC = re.compile(r"\bextern\s+__shared__\s+(?:__align__\(\d+\)\s*)?([\w ]*?\w)\s+(\w+)\[\];")


def rewritten(text):
    text = LAUNCH.sub(lambda m: f"emulator::kernel_launch<{m[1]}>{{{m[3]}}}{m[2]}{m[4]}(", text)
    return DYNAMIC.sub(lambda m: f"{m[1]} *const {m[2]} = ({m[1]} *)emulator::dynamic_shared();", text)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=argparse.FileType("w", encoding="utf-8"), default=sys.stdout)
    parser.add_argument("path")
    parser.add_argument("--bug", choices=BUGS)
    options = parser.parse_args()
    with open(options.path, encoding="utf-8") as source:
        text = source.read()
    if options.bug:
        _, old, new = BUGS[options.bug]
        if text.count(old) != 1:
            sys.exit(f"{options.path}: '{old}' is there {text.count(old)} times, not once")
        text = text.replace(old, new)
    options.output.write(f'#line 1 "{options.path}"\n' + rewritten(text))


if __name__ == "__main__":
    main()
