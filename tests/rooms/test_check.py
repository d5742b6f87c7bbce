#!/usr/bin/env python3
"""check.py finds what breaks the table: each kind is planted in a copy of the sources."""
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import check

ROOT = pathlib.Path(__file__).resolve().parents[2]
TABLE = pathlib.Path(__file__).with_name("includes.txt")
MAP_LINE = "\nmap: base salmap\n"


class Planted(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.root = pathlib.Path(folder.name)
        for name in check.FOLDERS:
            for file in (ROOT / name).rglob("*"):
                if file.suffix in (*check.SOURCES, ".proto"):
                    copy = cls.root / file.relative_to(ROOT)
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(file, copy)
        cls.table = cls.root / "includes.txt"

    def setUp(self):
        shutil.copyfile(TABLE, self.table)

    def add(self, path, text):
        """Puts text at the end of a file of the copy, until the test ends; returns its line."""
        file = self.root / path
        if not file.parent.exists():
            file.parent.mkdir()
            self.addCleanup(file.parent.rmdir)
        before = file.read_text() if file.exists() else None
        self.addCleanup(*((file.unlink,) if before is None else (file.write_text, before)))
        file.write_text((before or "") + text + "\n")
        return (before or "").count("\n") + 1

    def change(self, old, new):
        """Changes the table; returns the line."""
        text = self.table.read_text()
        self.assertEqual(text.count(old), 1, old)
        self.table.write_text(text.replace(old, new))
        return text[:text.index(old)].count("\n") + 1 + old.startswith("\n")

    def problems(self):
        return check.check(self.table, self.root)[0]

    def expect(self, *problems):
        self.assertEqual(sorted(self.problems()), sorted(problems))

    # ---- Includes ----

    def test_the_sources_as_they_are_break_nothing(self):
        self.expect()

    def test_an_include_without_an_arrow(self):
        line = self.add("src/graph/passes/turn_axes.c", '#include "map/map.h"')
        self.expect(f"src/graph/passes/turn_axes.c:{line}: graph may not include map/map.h: includes.txt has no such arrow")

    def test_an_include_of_the_own_room_in_angle_brackets_or_from_its_folder_is_none(self):
        self.add("src/graph/passes/turn_axes.c", '#include <graph/graph.h>\n#include "../graph.h"\n#include <stdio.h>')
        self.expect()

    def test_angle_brackets_and_blanks_hide_nothing(self):
        line = self.add("src/graph/graph.c", "\t#  include\t<map/map.h>")
        self.expect(f"src/graph/graph.c:{line}: graph may not include map/map.h: includes.txt has no such arrow")

    def test_nor_do_dots(self):
        line = self.add("src/graph/graph.c", '#include "../map/map.h"')
        self.expect(f"src/graph/graph.c:{line}: graph may not include map/map.h: includes.txt has no such arrow")

    def test_comments_are_no_includes(self):
        self.add("src/graph/graph.c", '/*\n#include "map/map.h"\n*/\n// "\n#include "graph/graph.h" /* "map/map.h" */')
        self.expect()

    def test_an_arrow_to_a_file_allows_no_other_one(self):
        line = self.add("cuda/kernels/smooth.cu", '#include "map/map.h"')
        self.expect(f"cuda/kernels/smooth.cu:{line}: cuda/kernels may not include map/map.h: includes.txt has no such arrow")

    def test_an_include_of_a_file_outside_of_the_sources(self):
        self.add("tests/fake.h", "")
        line = self.add("src/map/map.c", '#include "../../tests/fake.h"')
        self.expect(f"src/map/map.c:{line}: tests/fake.h lies outside of src, cuda, include")

    def test_an_include_of_a_file_that_is_not_there(self):
        line = self.add("src/map/map.c", '#include "map/none.h"')
        self.expect(f"src/map/map.c:{line}: there is no file map/none.h")

    def test_an_include_that_a_macro_names(self):
        line = self.add("src/map/map.c", "#include MAP_HEADER")
        self.expect(f"src/map/map.c:{line}: '#include MAP_HEADER' names no file")

    def test_the_program_includes_public_headers_alone(self):
        line = self.add("src/cli/main.c", '#include "base/error.h"')
        self.expect(f"src/cli/main.c:{line}: cli may not include base/error.h: includes.txt has no such arrow")

    def test_a_circle_within_a_room(self):
        line = self.add("src/map/color.h", '#include "map/map.h"')
        found = self.problems()
        self.assertEqual(len(found), 1, found)
        self.assertRegex(found[0], "^circle: .*src/map/color.h:%d includes src/map/map.h" % line)
        self.assertIn("includes src/map/color.h", found[0])

    def test_a_circle_between_rooms_where_the_table_lets_it_pass(self):
        self.change("to be moved:\n", "to be moved:\n\nbase/placement.h -> map: planted\n")
        line = self.add("src/base/placement.h", '#include "map/map.h"')
        found = self.problems()
        self.assertEqual(len(found), 1, found)
        self.assertIn(f"src/base/placement.h:{line} includes src/map/map.h", found[0])
        self.assertIn("includes src/base/placement.h", found[0])

    # ---- Forks ----

    def test_a_fork(self):
        for code in ("int f(void) { return fork(); }", "int f(void) { return vfork (); }", "int f(void) { return _Fork(); }",
                     "long f(void) { return syscall(SYS_fork); }"):
            with self.subTest(code=code):
                line = self.add("cuda/steps.c", code)
                self.expect(f"cuda/steps.c:{line}: forks: start a program of its own instead, as src/base/helper/start.h does")
                self.doCleanups()

    def test_words_about_a_fork_are_none(self):
        self.add("src/map/map.c", '/* fork() */ int pitchfork(void); // fork()\nstatic const char *text = "fork()";')
        self.expect()

    # ---- Folders and the table ----

    def test_a_folder_without_a_line(self):
        self.add("src/measure/pointing.c", '#include "base/error.h"')
        self.expect("src/measure/pointing.c: measure is in no line of includes.txt")

    def test_a_folder_in_a_room_without_a_line(self):
        self.add("src/map/fonts/font.c", '#include "base/error.h"')
        self.expect("src/map/fonts/font.c: map/fonts is in no line of includes.txt")

    def test_a_file_beside_the_rooms(self):
        self.add("src/none.c", "")
        self.expect("src/none.c: its folder is in no line of includes.txt")

    def test_a_room_that_is_not_there(self):
        self.change(MAP_LINE, MAP_LINE + "measure: \n")
        self.expect("includes.txt: there is no folder measure")

    def test_an_arrow_to_a_room_that_is_not_there(self):
        line = self.change(MAP_LINE, "\nmap: base salmap measure\n")
        self.expect(f"includes.txt:{line}: there is no room of measure above map",
                    f"includes.txt:{line}: there is no file measure",
                    f"includes.txt:{line}: no file needs the arrow from map to measure")

    def test_an_arrow_to_a_file_that_is_not_there(self):
        line = self.change(MAP_LINE, "\nmap: base salmap image/none.h\n")
        self.expect(f"includes.txt:{line}: there is no file image/none.h",
                    f"includes.txt:{line}: no file needs the arrow from map to image/none.h")

    def test_an_arrow_that_leads_up(self):
        line = self.change(MAP_LINE, "\nmap: base salmap results\n")
        self.add("src/map/map.c", '#include "results/names.h"')
        self.expect(f"includes.txt:{line}: there is no room of results above map")

    def test_an_arrow_that_nothing_needs(self):
        line = self.change(MAP_LINE, "\nmap: base salmap image\n")
        self.expect(f"includes.txt:{line}: no file needs the arrow from map to image")

    def test_an_arrow_of_the_program_to_another_room(self):
        line = self.change("\ncli: salmap\n", "\ncli: salmap image\n")
        self.add("src/cli/main.c", '#include "image/image.h"')
        self.expect(f"includes.txt:{line}: cli may include public headers alone, not image")

    def test_lines_that_say_it_twice(self):
        line = self.change(MAP_LINE, "\nmap: base salmap base\nmap:\n")
        self.expect(f"includes.txt:{line}: map names base twice", f"includes.txt:{line + 1}: map has a line already")

    def test_a_line_that_is_none(self):
        line = self.change(MAP_LINE, MAP_LINE + "pipeline\n")
        self.expect(f"includes.txt:{line + 1}: 'pipeline' is not 'room: what it may include'")

    # ---- What is to be moved ----

    def test_what_is_to_be_moved_is_shown_with_its_reason(self):
        self.change("to be moved:\n", "to be moved:\n\ngraph/graph.c -> map/map.h: planted\n")
        self.add("src/graph/graph.c", '#include "map/map.h"')
        line = self.add("src/graph/shape.c", '#include "map/map.h"')
        problems, moved, _ = check.check(self.table, self.root)
        self.assertIn("to be moved: graph/graph.c includes map/map.h (src/graph/graph.c): planted", moved)
        self.assertEqual(problems,
                         [f"src/graph/shape.c:{line}: graph may not include map/map.h: includes.txt has no such arrow"])

    def test_what_is_moved_already(self):
        line = self.change("to be moved:\n", "to be moved:\ngraph -> map: planted\n")
        self.expect(f"includes.txt:{line + 1}: no file needs the arrow from graph to map")

    def test_an_exception_without_a_reason_or_a_room(self):
        line = self.change("to be moved:\n", "to be moved:\ngraph -> map:\ngraph -> measure: planted\n")
        self.expect(f"includes.txt:{line + 1}: 'graph -> map:' is not 'room or file -> room or file: reason'",
                    f"includes.txt:{line + 2}: there is no room of measure",
                    f"includes.txt:{line + 2}: there is no file measure",
                    f"includes.txt:{line + 2}: no file needs the arrow from graph to measure")

    # ---- The program ----

    def test_it_prints_what_it_finds_and_fails(self):
        run = [sys.executable, check.__file__, str(self.table), str(self.root)]
        fine = subprocess.run(run, capture_output=True, text=True, check=False)
        self.assertEqual((fine.returncode, fine.stderr), (0, ""), fine.stdout)
        line = self.add("src/graph/graph.c", '#include "map/map.h"')
        wrong = subprocess.run(run, capture_output=True, text=True, check=False)
        self.assertEqual(wrong.returncode, 1)
        self.assertIn(f"src/graph/graph.c:{line}: graph may not include", wrong.stdout)


if __name__ == "__main__":
    unittest.main()
