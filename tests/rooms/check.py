#!/usr/bin/env python3
"""Does each room include what it may, and nothing else? And does nobody fork?

    check.py TABLE ROOT

TABLE is includes.txt beside this file, which says how it is written. Every #include of ROOT/src, ROOT/cuda and ROOT/include
is looked up in it. No file of src/ and cuda/ calls fork(): the process that the library is part of may have threads, a GPU's
context and handlers of its own, so programs of their own do what might end it (src/base/helper). Prints what breaks it, with file and line, and what is still to be moved; exits with 1 if anything broke it.
"""
import os
import pathlib
import re
import sys

FOLDERS = ("src", "cuda", "include")
SOURCES = (".c", ".h", ".cpp", ".hpp", ".cu", ".cuh")
PUBLIC = "salmap"
ON_PUBLIC_HEADERS_ALONE = ("cli",)
TO_BE_MOVED = "to be moved:"
COMMENT_OR_TEXT = re.compile(r"""/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.S)
FORK = re.compile(r"\b(_?[fF]ork|vfork)\s*\(|\b(SYS|__NR)_v?fork\b")
INCLUDE = re.compile(r"^[ \t]*#[ \t]*include\b[ \t]*(.*?)[ \t]*$", re.M)


class Table:
    """rooms: {folder: room}, named as an #include names them; arrows and exceptions: {(from, to): line of the table}"""

    def __init__(self, path):
        self.name = path.name
        self.rooms, self.arrows, self.exceptions, self.reasons, self.problems = {}, {}, {}, {}, []
        read = self.read_room
        for number, text in enumerate(path.read_text().split("\n"), 1):
            text = text.split("#")[0].rstrip()
            if text == TO_BE_MOVED:
                read = self.read_exception
            elif text:
                read(number, text)

    def problem(self, number, text):
        self.problems.append(f"{self.name}:{number}: {text}")

    def read_room(self, number, text):
        folders, colon, targets = text.partition(":")
        folders = [f.strip() for f in folders.split(",")]
        room = folders[0]
        if not colon or not all(folders):
            self.problem(number, f"'{text}' is not 'room: what it may include'")
            return
        for target in targets.split():
            if room in ON_PUBLIC_HEADERS_ALONE and self.room_of(target) != PUBLIC:
                self.problem(number, f"{room} may include public headers alone, not {target}")
            elif not self.room_of(target):
                self.problem(number, f"there is no room of {target} above {room}")
            elif (room, target) in self.arrows:
                self.problem(number, f"{room} names {target} twice")
            self.arrows[room, target] = number
        for folder in folders:
            if folder in self.rooms:
                self.problem(number, f"{folder} has a line already")
            self.rooms[folder] = room

    def read_exception(self, number, text):
        found = re.fullmatch(r"(\S+) -> (\S+): (\S.*)", text)
        if found:
            arrow = found.group(1, 2)
            self.exceptions[arrow] = number
            self.reasons[arrow] = found.group(3)
            for end in arrow:
                if not self.room_of(end):
                    self.problem(number, f"there is no room of {end}")
        else:
            self.problem(number, f"'{text}' is not 'room or file -> room or file: reason'")

    def room_of(self, target):
        """The room that a room, a folder or a file belongs to, or None."""
        return self.rooms.get(target) or self.rooms.get(os.path.dirname(target))

    def check_places(self, root):
        """Whatever the table names is there."""
        folders = [root / f for f in ("src", "include", ".")]
        for folder in self.rooms:
            if not any((f / folder).is_dir() for f in folders):
                self.problems.append(f"{self.name}: there is no folder {folder}")
        for arrow, number in {**self.arrows, **self.exceptions}.items():
            for end in arrow:
                if end not in self.rooms and not any((f / end).is_file() for f in folders):
                    self.problem(number, f"there is no file {end}")


def short(path):
    """src/map/map.h: map/map.h, as an #include names it."""
    return path.split("/", 1)[1] if path.startswith(("src/", "include/")) else path


def code_of(path):
    """The text of a file without its comments, line by line as it was"""
    return COMMENT_OR_TEXT.sub(lambda m: m[0] if m[0][0] != "/" else " " + "\n" * m[0].count("\n"), path.read_text())


def line_of(text, found):
    return text.count("\n", 0, found.start()) + 1


def includes_of(text):
    """(line, what stands behind #include) of a file's code"""
    return [(line_of(text, m), m[1]) for m in INCLUDE.finditer(text)]


def forks_of(text):
    """The lines of a file's code that fork"""
    text = re.sub(r'"(?:\\.|[^"\\\n])*"', '""', text)
    return [line_of(text, m) for m in FORK.finditer(text)]


def find(root, path, name, quoted):
    """The path of an included file of the project below the root, or None."""
    folders = [(root / path).parent] * quoted + [root / "src", root / "include", root / "cuda"]
    found = next((f / name for f in folders if (f / name).is_file()), None)
    return os.path.relpath(os.path.normpath(found), root) if found else None


def is_generated(root, path, name):
    """protoc-c makes name.pb-c.h of name.proto."""
    return name.endswith(".pb-c.h") and (root / path).with_name(name[:-len(".pb-c.h")] + ".proto").is_file()


def read_sources(root, problems):
    """{path: [(line, path of an included file)]}, paths below the root"""
    sources = {}
    files = (f for folder in FOLDERS for f in sorted((root / folder).rglob("*")) if f.suffix in SOURCES)
    for path in (str(f.relative_to(root)) for f in files):
        sources[path] = []
        code = code_of(root / path)
        problems += [f"{path}:{line}: forks: start a program of its own instead, as src/base/helper/start.h does"
                     for line in forks_of(code)]
        for line, name in includes_of(code):
            quoted = re.fullmatch(r'"([^"]+)"', name)
            named = quoted or re.fullmatch(r"<([^>]+)>", name)
            if not named:
                problems.append(f"{path}:{line}: '#include {name}' names no file")
                continue
            target = find(root, path, named[1], bool(quoted))
            if target:
                sources[path].append((line, target))
            elif quoted and not is_generated(root, path, named[1]):
                problems.append(f"{path}:{line}: there is no file {named[1]}")
    return sources


def circles(sources):
    """Each as the [(path, line of its #include)] that leads back to its first."""
    found, done, way = [], set(), []

    def visit(path):
        for line, target in sources.get(path, []):
            way.append((path, line))
            at = next((i for i, step in enumerate(way) if step[0] == target), None)
            if at is not None:
                found.append(way[at:])
            elif target not in done:
                visit(target)
            way.pop()
        done.add(path)

    for path in sources:
        if path not in done:
            visit(path)
    return found


def check_arrows(table, sources):
    """Returns {exception: paths that need it}."""
    used, needed = set(), {}
    for path, includes in sources.items():
        folder = os.path.dirname(short(path))
        room = table.rooms.get(folder)
        if not room:
            table.problems.append(f"{path}: {folder or 'its folder'} is in no line of {table.name}")
            continue
        for line, target in includes:
            to, to_room = short(target), table.room_of(short(target))
            if target.split("/")[0] not in FOLDERS:
                table.problems.append(f"{path}:{line}: {target} lies outside of {', '.join(FOLDERS)}")
            if to_room in (room, None):
                continue
            arrow = next((a for a in ((room, to_room), (room, to)) if a in table.arrows), None)
            ends = ((f, t) for f in (room, short(path)) for t in (to_room, to))
            moved = next((a for a in ends if a in table.exceptions), None)
            if arrow:
                used.add(arrow)
            elif moved:
                needed.setdefault(moved, []).append(path)
            else:
                table.problems.append(f"{path}:{line}: {room} may not include {to}: {table.name} has no such arrow")
    for arrow, number in {**table.arrows, **table.exceptions}.items():
        if arrow not in used and arrow not in needed:
            table.problem(number, f"no file needs the arrow from {arrow[0]} to {arrow[1]}")
    return needed


def check(table_path, root):
    """Returns (problems, what is to be moved, sources)."""
    table = Table(table_path)
    table.check_places(root)
    sources = read_sources(root, table.problems)
    needed = check_arrows(table, sources)
    for circle in circles(sources):
        table.problems.append("circle: " + ", ".join(
            f"{path}:{line} includes {circle[(i + 1) % len(circle)][0]}" for i, (path, line) in enumerate(circle)))
    moved = [f"to be moved: {a[0]} includes {a[1]} ({', '.join(paths)}): {table.reasons[a]}" for a, paths in needed.items()]
    return table.problems, moved, sources


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip())
    problems, moved, sources = check(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve())
    print("\n".join(moved + problems))
    print(f"{len(sources)} files, {sum(map(len, sources.values()))} includes of one another, "
          f"{len(moved)} to be moved, {len(problems)} problems")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
