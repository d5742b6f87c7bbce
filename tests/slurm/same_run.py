"""same_run.py RUN RUN: are the run folders of two sweeps equal, timings aside? Prints what differs."""

import os
import sqlite3
import sys
from contextlib import closing

FILES = ("run.json", "manifest.csv", "results.csv")
FOLDERS = ("maps", "overlays")
TABLES = ("pictures", "predictions", "maps", "manifest")


def contents(run):
    """Bytes of everything that a sweep leaves for others, by name."""
    found = {}
    for name in FILES:
        path = os.path.join(run, name)
        if os.path.exists(path):
            with open(path, "rb") as f:
                found[name] = f.read()
    for top in FOLDERS:
        for folder, _, names in os.walk(os.path.join(run, top)):
            for name in names:
                path = os.path.join(folder, name)
                with open(path, "rb") as f:
                    found[os.path.relpath(path, run)] = f.read()
    return found


def rows(run):
    """Rows of the tables without timings, in order."""
    path = os.path.join(run, "results.sqlite")
    with closing(sqlite3.connect("file:%s?mode=ro" % path.replace("%", "%25").replace("?", "%3f"), uri=True)) as base:
        # Names of files need not be UTF-8.
        base.text_factory = bytes
        return {table: sorted(base.execute("SELECT * FROM " + table), key=repr) for table in TABLES}


def differences(one, other):
    found = []
    a, b = contents(one), contents(other)
    for name in sorted(a.keys() | b.keys()):
        if name not in a or name not in b:
            found.append("%s: only in %s" % (name, one if name in a else other))
        elif a[name] != b[name]:
            found.append("%s: not the same bytes" % name)
    missing = [name for name in FILES if name not in a]
    if missing:
        return found + ["%s: no %s" % (one, ", ".join(missing))]
    a, b = rows(one), rows(other)
    for table in TABLES:
        different = [pair for pair in zip(a[table], b[table]) if pair[0] != pair[1]]
        if len(a[table]) != len(b[table]):
            found.append("table %s: %d and %d rows" % (table, len(a[table]), len(b[table])))
        elif different:
            found.append("table %s: %d rows differ, first %r and %r" % (table, len(different), *different[0]))
    return found


if __name__ == "__main__":
    result = differences(sys.argv[1], sys.argv[2])
    for line in result[:20]:
        print(line)
    sys.exit(1 if result else 0)
