#!/usr/bin/env python3
"""Writes src/map/colormap_tables.c from matplotlib's colour maps.

With --check: compares the file with matplotlib and exits 1 where they differ,
77 (skipped) where matplotlib is not installed.
"""
import argparse
import pathlib
import sys

# Ours, and matplotlib's where that is another: red stands for what is positive.
NAMES = {name: name for name in ("viridis", "inferno", "turbo", "jet", "gray", "coolwarm", "magma", "cividis")}
NAMES |= {"rdbu": "RdBu_r", "seismic": "seismic"}
TARGET = pathlib.Path(__file__).resolve().parent.parent / "src" / "map" / "colormap_tables.c"


def table_text(name, cmap):
    rows = [tuple(int(v) for v in cmap(i, bytes=True)[:3]) for i in range(256)]
    lines = [f"const uint8_t sal_table_{name}[256][3] = {{"]
    for start in range(0, 256, 6):
        lines.append("    " + " ".join(f"{{{r}, {g}, {b}}}," for r, g, b in rows[start:start + 6]))
    lines.append("};")
    return "\n".join(lines)


def file_text():
    import matplotlib

    colormaps = getattr(matplotlib, "colormaps", None)
    if colormaps is None:
        from matplotlib import cm
        colormaps = {name: cm.get_cmap(name) for name in NAMES.values()}
    head = [
        "/* Colour tables, 256 rows of 8-bit sRGB each. Written by scripts/make_colormaps.py:",
        " * change that, not this. viridis, inferno and magma: S. van der Walt, N. Smith",
        " * and E. Firing (CC0); turbo: A. Mikhailov; coolwarm: K. Moreland; cividis:",
        " * J. Nunez, C. Anderton and R. Renslow; rdbu: C. Brewer; jet, gray and seismic:",
        " * piecewise linear. */",
        "/* clang-format off */",
        '#include "map/colormap_tables.h"',
        "",
    ]
    tables = "\n\n".join(table_text(name, colormaps[theirs]) for name, theirs in NAMES.items())
    return "\n".join(head) + "\n" + tables + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    check = parser.parse_args().check
    try:
        text = file_text()
    except ImportError as missing:
        print(f"skipped: {missing}", file=sys.stderr)
        return 77
    if not check:
        TARGET.write_text(text)
        return 0
    if TARGET.read_text() == text:
        return 0
    print(f"{TARGET} differs from matplotlib's colours", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
