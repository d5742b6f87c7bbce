"""How commands behave towards people: names on terminals, progress, signals, files that are given by mistake."""

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys

import files
from harness import MODEL, SALMAP, SCALE, main
from sweep_case import SweepCase, read_rgb8

# A name that colours what comes after it, in each form that a terminal may obey.
NASTY = b"a\x1b[31m\x9b32m\xc2\x9b33m\x07\x7f\xe2\x80\xae.png"


class Terminals(SweepCase):
    def assert_tame(self, said):
        """No controls but line ends, and what draws the bar."""
        said = said.replace(b"\r\n", b"\n").replace(b"\r\x1b[K", b"").replace(b"\x1b[K", b"").replace(b"\r", b"")
        text = said.decode("utf-8")
        self.assertEqual([c for c in text if c != "\n" and (c < " " or "\x7f" <= c < "\xa0" or c == "\u202e")], [], said)
        return text

    def test_names_control_no_terminal(self):
        top = self.draw(NASTY, b"plain.png", folder=os.fsencode(self.folder) + b"/in")
        name = os.path.join(top, NASTY)
        out, run = (os.path.join(os.fsencode(self.folder), word + NASTY) for word in (b"out", b"run"))
        for arguments, code, count in (
            (["explain", MODEL, name, "-o", out], 0, 2),
            (["explain", name, SCALE, "-o", out], 1, 1),
            (["explain", MODEL, name + b"no", "-o", out], 3, 2),
            (["sweep", MODEL, top, "-o", run, "--dry-run"], 0, 1),
            (["sweep", MODEL, top, "-o", run], 0, 1),
            (["sweep", MODEL, top, "-o", run, "--dry-run"], 0, 1),
            (["sweep", MODEL, top, "-o", run], 0, 1),
            (["sweep", MODEL, NASTY, "-o", run], 1, 1),
            (["merge", run], 0, 1),
            (["export", run], 0, 3),
            (["sheet", run, "-o", os.path.join(os.fsencode(self.folder), b"page" + NASTY)], 0, 1),
            (["render", run, "-o", os.path.join(os.fsencode(self.folder), b"drawn" + NASTY)], 0, 1),
            (["inspect", name], 1, 1),
            (["plan", name], 1, 1),
            ([NASTY], 2, 1),
            (["explain", b"--" + NASTY], 2, 1),
            (["explain", MODEL, SCALE, "-o", out, b"--target", NASTY], 2, 1),
        ):
            text = self.assert_tame(self.on_terminal(*arguments, code=code))
            self.assertGreaterEqual(text.count("?[31m?32m??33m"), count, arguments)
        self.assertIn("plain.png", self.assert_tame(self.on_terminal("export", run, "--json")))

    def test_exports_are_whole_elsewhere(self):
        top = self.draw(NASTY, folder=os.fsencode(self.folder) + b"/in")
        self.sweep(top)
        self.assertIn(NASTY.decode("utf-8", "surrogateescape"), self.check(["export", self.result], 0).out)


def tree(folder):
    """All files below a folder, by their path from there."""
    found = [os.path.relpath(os.path.join(top, name), folder) for top, _, names in os.walk(folder) for name in names]
    return sorted(found)


class Given(SweepCase):
    """What explain takes, as sweep does, and where its files go."""

    def maps_of(self, *arguments, code=0, texts=()):
        done = self.check(["explain", MODEL, *arguments, "-o", self.out, "--write", "npy"], code, *texts)
        self.said = done.out
        return tree(self.out)

    def test_sub_folders_are_mirrored(self):
        top = self.draw("a.png", "one/a.png", "one/two/b.png", "two/a.png", ".hidden/c.png")
        self.assertEqual(self.maps_of(top), ["a.npy", "one/a.npy", "one/two/b.npy", "two/a.npy"])
        self.assertEqual(re.findall(r"(?m)^(\S+)  +value", self.said), ["a.png", "one/a.png", "one/two/b.png", "two/a.png"])
        alone = self.explain(os.path.join(top, "one/two/b.png"))[0]["maps"][0]["npy"]
        self.assertEqual(self.read(os.path.join(self.out, "one/two/b.npy")), self.read(alone))
        self.assertEqual(alone, os.path.join(self.out, "b.npy"))

    def test_several_folders_and_files(self):
        self.draw("x/a.png", "b.png", folder="in1")
        self.draw("x/c.png", "b.png", folder="in2")
        self.assertEqual(self.maps_of("in1", "in2/", "in1/x/a.png"), ["b-2.npy", "b.npy", "x/a-2.npy", "x/a.npy", "x/c.npy"])

    def test_patterns(self):
        self.draw("s1/a.png", "s2/a.png", "s2/b.png", "s2/c.jpg.png")
        self.assertEqual(self.maps_of("in/s*/a.png"), ["s1/a.npy", "s2/a.npy"])
        self.check(["explain", MODEL, "in/s*/z.png", "-o", self.out], 3, "in/s*/z.png: cannot open: No such file")
        shutil.rmtree(self.out)
        self.assertEqual(self.maps_of("in/s[2]"), ["s2/a.npy", "s2/b.npy", "s2/c.jpg.npy"])

    def test_manifests(self):
        top = self.draw("s1/a.png", "s2/a.png", folder="pictures")
        outside = os.path.join(self.draw("z.png", folder="elsewhere"), "z.png")
        rows = "file;age\ns1/a.png;3\n../pictures/s2/a.png;4\n%s;5\ns1/a.png;6\nnone.png;7\n" % outside
        self.write("pictures/list.csv", rows.encode())
        found = self.maps_of("pictures/list.csv", "--path-column", "file", code=3, texts=["none.png: cannot open"])
        self.assertEqual(found, ["a.npy", "s1/a-2.npy", "s1/a.npy", "z.npy"])
        self.assertIn("4 of 5 pictures done, 1 failed, in ", self.said)
        shutil.copy(os.path.join(top, "list.csv"), self.folder)
        shutil.rmtree(self.out)
        self.maps_of("list.csv", "--path-column", "file", "--root", top, code=3)
        self.assertEqual(tree(self.out), found)
        for arguments, text in ((["--root", top], "goes with a manifest"), (["--label-column", "x"], "is one of a manifest")):
            self.check(["explain", MODEL, outside, "-o", self.out, *arguments], 2, text)

    def test_extensions_are_kept_where_stems_collide(self):
        top = self.draw("x.png", "one/x.png", "one/x.tif", "one/y.png", "one/y.png.png")
        self.assertEqual(self.maps_of(top), ["one/x.png.npy", "one/x.tif.npy", "one/y.npy", "one/y.png.npy", "x.npy"])
        shutil.rmtree(self.out)
        # The same name again has a number, whatever else there is.
        one, two = os.path.join(top, "one/x.png"), os.path.join(top, "x.png")
        self.assertEqual(self.maps_of(one, two, os.path.join(top, "one/x.tif")), ["x-2.png.npy", "x.png.npy", "x.tif.npy"])

    def test_a_sweep_names_files_as_ever(self):
        self.sweep(self.draw("x.png", "x.tif", "one/x.png"))
        self.assertEqual(os.listdir(os.path.join(self.result, "maps")), ["000"])
        self.assertEqual(tree(os.path.join(self.result, "maps/000")), ["x-2.npy", "x-3.npy", "x.npy"])

    def test_inputs_in_mirrored_folders_stay(self):
        data = files.npy((32, 32), [float(i) for i in range(1024)])
        for folder in ("in/a", "in/b", "elsewhere", "out"):
            os.makedirs(os.path.join(self.folder, folder))
        paths = [self.write(name, data) for name in ("in/a/x.npy", "in/b/x.npy", "elsewhere/y.npy")]
        self.check(["explain", MODEL, "in", "-o", "in"], 0)
        self.assertIn("x-2.npy", os.listdir(os.path.join(self.folder, "in/a")))
        # Folders below the output folder may be links to those of the inputs, and inputs links to what is there.
        os.symlink("../in/a", os.path.join(self.out, "a"))
        os.symlink("../elsewhere", os.path.join(self.out, "b"))
        os.symlink("../../elsewhere/y.npy", os.path.join(self.folder, "in/b/y.npy"))
        for name in tree(os.path.join(self.folder, "in")):
            if "-2" in name or name.endswith(".png"):
                os.remove(os.path.join(self.folder, "in", name))
        self.check(["explain", MODEL, "in", "-o", self.out], 0)
        self.assertEqual(sorted(os.listdir(os.path.join(self.folder, "elsewhere")))[-3:], ["y-2.overlay.png", "y-2.saliency.png", "y.npy"])
        self.assertEqual([self.read(path) for path in paths], [data] * 3)

    def test_results_of_before_are_no_pictures(self):
        top = self.draw("one/a.png", "b.png")
        for _ in range(2):
            done = self.check(["explain", MODEL, top, "-o", os.path.join(top, "maps of mine"), "--figure"], 0)
            self.assertIn("2 of 2 pictures in ", done.out)

    def test_a_folder_that_cannot_be_made_fails_its_pictures(self):
        top = self.draw("one/a.png", "two/a.png")
        os.mkdir(self.out)
        self.write("out/one", b"in the way")
        self.assertEqual(self.maps_of(top, code=3, texts=["out/one/a.npy: cannot create: Not a directory"]), ["one", "two/a.npy"])

    def test_the_label_is_explained(self):
        model = self.classifier()
        top = self.draw("a.png", "b.png", "c.png", side=16)
        self.write("in/list.csv", b"path,label\na.png,3\nb.png,0\nc.png,2\n")
        given = ["--preset", "unit"]
        lines = self.explain(os.path.join(top, "list.csv"), *given, "--target", "label", "--figure", model=model)
        self.assertEqual([(line["label"], line["maps"][0]["target"]) for line in lines], [("3", 3), ("0", 0), ("2", 2)])
        for name, line in self.pairs("abc", lines):
            kept = self.read(line["maps"][0]["npy"]), self.read(line["maps"][0]["figure"])
            self.write("in/one.csv", ("path,label\n%s.png,%s\n" % (name, line["label"])).encode())
            for shown, labelled in (("one.csv", True), (name + ".png", False)):  # figures say the label of a list
                alone = self.explain(os.path.join(top, shown), *given, "--target", "index:" + line["label"], "--figure",
                                     model=model)[0]["maps"][0]
                self.assertEqual(self.read(alone["npy"]), kept[0])
                self.assertEqual(self.read(alone["figure"]) == kept[1], labelled)
        for name, text in (("x,9", "x.png: its label '9' names no output"), ("x,", "names no output")):
            self.write("in/bad.csv", ("path,label\n%s\n" % name.replace("x,", "x.png,")).encode())
            self.check(["explain", model, "in/bad.csv", "-o", self.out, *given, "-t", "label"], 2, text)
        self.check(["explain", model, top, "-o", self.out, *given, "-t", "label"], 2, "target label needs labels")

    def test_labels_by_name_and_by_folder(self):
        model = self.classifier()
        names = ["age_%d" % k for k in range(5)]
        top = self.draw(*["%s/a.png" % name for name in names], side=16)
        self.write("names.txt", "\n".join(reversed(names)).encode())
        for given, first in (([], 0), (["--classes", "names.txt"], 4)):
            lines = self.explain(top, "--preset", "unit", "-t", "label", "--label-from", "folder", *given, model=model)
            targets = [line["maps"][0]["target"] for line in lines]
            self.assertEqual(targets, sorted(range(5), reverse=first > 0))
        # Labels that nobody asks for are not looked at.
        self.write("in/list.csv", b"path,label\nage_0/a.png,nonsense\n")
        self.check(["explain", model, "in/list.csv", "-o", self.out, "--preset", "unit", "--classes", "names.txt"], 0)

    def test_patterns_that_leave_pictures_out(self):
        top = self.draw("a.png", "masks/a.png", "one/b.png")
        self.assertEqual(self.maps_of(top, "--exclude", "masks/", texts=["leave out 0 pictures and 1 folder; 2 are left"]),
                         ["a.npy", "one/b.npy"])

    def test_which_files_are_written(self):
        stems = {"map": "saliency.png", "overlay": "overlay.png", "npy": "npy", "figure": "figure.png", "gradient": "gradient.npy"}
        for given, words in (
            ([], "map overlay npy"), (["--figure"], "map overlay npy figure"), (["--write", "overlay"], "overlay"),
            (["-w", "overlay,map,npy,figure"], "map overlay npy figure"), (["-w", "gradient"], "gradient"),
            (["-w", "map", "--figure", "--save-gradient"], "map figure gradient"), (["-w", "npy,npy"], "npy"),
        ):
            line = self.explain(SCALE, *given)[0]["maps"][0]
            self.assertEqual(self.outputs(), sorted("scale_02." + stems[word] for word in words.split()), given)
            named = [line.get(key) for key in ("saliency", "overlay", "npy", "figure", "gradient")]
            self.assertEqual(sorted(os.path.basename(path) for path in named if path), self.outputs())
            shutil.rmtree(self.out)
        for given in ("", "maps", "overlay,", ",", "overlay, map"):
            self.check(["explain", MODEL, SCALE, "-o", self.out, "--write", given], 2, "is not one of map, overlay, npy, figure, gradient")
        self.assertFalse(os.path.exists(self.out))

    def test_names_that_begin_with_a_dash(self):
        self.draw("-a.png", "--b.png", "-json", folder=".")
        for name in ("-a.png", "--b.png"):
            for arguments in ([name, "-o", "out"], ["-o", "out", name]):
                self.check(["explain", MODEL, *arguments], 2, "'%s' looks like an option; to name the file, write ./%s\n" % (name, name))
        self.check(["explain", MODEL, "-x.png", "-o", "out"], 2, "unknown option '-x'", absent=["write ./"])
        self.assertEqual(self.maps_of("./-a.png", "./--b.png"), ["--b.npy", "-a.npy"])
        self.check(["explain", "-o", "out", "--", MODEL, "-a.png"], 0)

    def test_a_dash_is_no_file(self):
        for arguments in (["explain", MODEL, SCALE], ["sweep", MODEL, SCALE], ["merge", "run"], ["export", "run"],
                          ["inspect", MODEL, "--picture", SCALE]):
            self.check([*arguments, "-o", "-"], 2, "--out: results cannot be written to standard output")
        for arguments in (["explain", MODEL, "-", "-o", "out"], ["inspect", "-"]):
            self.check(arguments, 2, "'-' is standard input, which is not read")
        self.assertEqual(os.listdir(self.folder), [])


class Lines(SweepCase):
    """What is printed of many pictures."""

    def test_columns_are_as_wide_as_they_look(self):
        names = {"a.png": 5, "\u65e5\u672c\u8a9e.png": 10, "e\u0301te\u0301.png": 7, "\uff41\u00e9.png": 7, "\x1b[1m.png": 8,
                 "\u202eb.png": 8}
        done = self.check(["explain", MODEL, self.draw(*names), "-o", self.out], 0)
        for name, width in names.items():
            shown = name.replace("\x1b", "?").replace("\u202e", "???")
            self.assertRegex(done.out, r"(?m)^%s {%d}value " % (re.escape(shown), 10 - width + 2))

    def test_the_failed_are_not_done(self):
        top = self.draw("a.png", "b.png", "c.png")
        self.spoil(os.path.join(top, "b.png"))
        said = self.check(["explain", MODEL, top, "-o", self.out], 3).out
        self.assertRegex(said, r"(?m)^2 of 3 pictures done, 1 failed, in \d+\.\d\d s \(\d+\.\d per second\) -> ")
        self.assertRegex(self.sweep(top, code=3).out, r"\A2 of 3 pictures done, 1 failed; 3 now, in ")
        self.assertIn("goes on, 2 of 3 pictures done, 1 failed\n", self.sweep(top, "--dry-run").out)
        self.assertIn("nothing is left to do: 2 of 3 pictures done, 1 failed -> ", self.sweep(top, code=3).out)

    def test_progress_on_a_terminal(self):
        top = self.draw_many(300)
        said = self.on_terminal("explain", MODEL, top, "-o", self.out, "--write", "npy", columns=100)
        bars = re.findall(rb"\r\[=*>? *\] (\d+)/300  [\d.]+/s  (?:\d+:\d\d|\?) left  [^\r\n]*\x1b\[K", said)
        self.assertGreater(len(bars), 0, said[-2000:])
        self.assertEqual([int(n) for n in bars], sorted(int(n) for n in bars))
        lines = said.replace(b"\r\x1b[K", b"").replace(b"\r\n", b"\n")
        self.assertEqual(len(re.findall(rb"(?m)^(?:.*\x1b\[K)?p\d{4}\.png +value .* ms$", lines)), 300)
        self.assertRegex(lines.split(b"\n")[-2], rb"(?:^|\x1b\[K)300 of 300 pictures in ")
        for quiet in ("--quiet", "--json"):
            self.assertNotIn(b" left ", self.on_terminal("explain", MODEL, top, "-o", self.out, quiet))
        self.assertEqual(self.check(["explain", MODEL, top, "-o", self.out], 0).err, "")


class Shown(SweepCase):
    """explain --show, on a terminal of 80 columns whose cells have no size."""

    NAMES = ("TMUX", "KITTY_WINDOW_ID", "TERM_PROGRAM", "LC_TERMINAL", "NO_COLOR")

    def show(self, *arguments, side=32, columns=80, **environment):
        """What follows the line of one picture, and the bytes of its overlay."""
        path = os.path.join(self.draw("p.png", side=side), "p.png")
        said = self.on_terminal("explain", MODEL, path, "-o", self.out, *arguments, columns=columns,
                                **{**dict.fromkeys(self.NAMES), "TERM": "xterm", **environment})
        said = said.replace(b"\r\x1b[K", b"").replace(b"\r\n", b"\n")
        shown = re.fullmatch(rb"(?s)(?:\r.*?\x1b\[K)*p\.png +value .*? ms\n(.*?)(?:\r[^\n]*\x1b\[K)*1 of 1 picture in .*\n", said)
        self.assertTrue(shown, said[-500:])
        width, height, pixels = read_rgb8(os.path.join(self.out, "p.overlay.png"))
        self.assertEqual((width, height), (side, side))
        return re.sub(rb"\r[^\n]*\x1b\[K", b"", shown[1]), pixels

    def test_which_protocol(self):
        for environment, begin in (
            ({"TERM": "xterm-kitty"}, b"\x1b_G"), ({"KITTY_WINDOW_ID": "1"}, b"\x1b_G"), ({"TERM_PROGRAM": "ghostty"}, b"\x1b_G"),
            ({"TERM_PROGRAM": "iTerm.app"}, b"\x1b]1337;"), ({"LC_TERMINAL": "iTerm2"}, b"\x1b]1337;"),
            ({"TERM_PROGRAM": "WezTerm"}, b"\x1b]1337;"), ({"TERM": "foot"}, b"\x1bP"), ({}, b"\x1b[38;2;"),
            ({"TERM": "xterm-kitty", "TMUX": "/tmp/x"}, b"\x1b[38;2;"), ({"TERM": "screen-256color"}, b"\x1b[38;2;"),
        ):
            self.assertTrue(self.show("--show", **environment)[0].startswith(begin), environment)
        for word, begin in (("kitty", b"\x1b_G"), ("iterm2", b"\x1b]1337;"), ("sixel", b"\x1bP"), ("blocks", b"\x1b[38;2;")):
            self.assertTrue(self.show("--show-as", word)[0].startswith(begin), word)
        self.assertEqual(self.show()[0], b"")

    def test_kitty_gets_the_pixels(self):
        for side in (32, 48):
            shown, pixels = self.show("--show-as", "kitty", side=side)
            pieces = re.findall(rb"\x1b_G([^;]*);([^\x1b]*)\x1b\\", shown)
            self.assertEqual(b"".join(b"\x1b_G%s;%s\x1b\\" % piece for piece in pieces) + b"\n", shown)
            self.assertEqual(pieces[0][0], b"a=T,q=2,f=24,s=%d,v=%d,m=%d" % (side, side, len(pieces) > 1))
            self.assertEqual([piece[0] for piece in pieces[1:]], [b"m=1"] * (len(pieces) - 2) + [b"m=0"] * (len(pieces) > 1))
            self.assertTrue(all(len(piece[1]) == 4096 for piece in pieces[:-1]))
            self.assertEqual(base64.b64decode(b"".join(piece[1] for piece in pieces), validate=True), pixels)

    def test_iterm2_gets_the_file(self):
        shown = re.fullmatch(rb"\x1b\]1337;File=inline=1;width=32px;height=32px:([^\a]*)\a\n", self.show("--show-as", "iterm2")[0])
        self.assertEqual(base64.b64decode(shown[1], validate=True), self.read(os.path.join(self.out, "p.overlay.png")))

    def test_sixels_are_the_pixels(self):
        shown, pixels = self.show("--show-as", "sixel")
        whole = re.fullmatch(rb'\x1bP0;1;0q"1;1;32;32((?:#\d+;2;\d+;\d+;\d+)*)(.*)\x1b\\\n', shown)
        palette = {int(k): [int(v) for v in rest.split(b";")] for k, rest in re.findall(rb"#(\d+);2;([\d;]+)", whole[1])}
        drawn, bands = {}, whole[2].split(b"-")
        self.assertEqual((len(bands), bands[-1]), (7, b""))
        for band, rows in enumerate(bands[:-1]):
            for colour, bits in re.findall(rb"#(\d+)([?-~]+)\$", rows):
                for x, six in enumerate(bits):
                    for k in range(6):
                        if six - 63 >> k & 1:
                            self.assertNotIn((x, 6 * band + k), drawn)
                            drawn[x, 6 * band + k] = palette[int(colour)]
        self.assertEqual(len(drawn), 32 * 32)
        for (x, y), colour in drawn.items():
            for c in range(3):  # six levels are 51 apart
                self.assertLessEqual(abs(colour[c] * 2.55 - pixels[3 * (32 * y + x) + c]), 26.5)

    def blocks(self, shown):
        rows = [re.findall(r"\x1b\[38;2;(\d+);(\d+);(\d+)m\x1b\[48;2;(\d+);(\d+);(\d+)m\u2580", row)
                for row in shown.decode().split("\n")[:-1]]
        self.assertTrue(all(row.endswith("\x1b[0m") for row in shown.decode().split("\n")[:-1]))
        return [[[int(v) for v in cell] for cell in row] for row in rows]

    def test_blocks_are_the_pixels(self):
        shown, pixels = self.show("--show")
        rows = self.blocks(shown)
        self.assertEqual([len(row) for row in rows], [32] * 16)
        for y, row in enumerate(rows):
            for x, cell in enumerate(row):
                upper, lower = 3 * (64 * y + x), 3 * (64 * y + 32 + x)
                self.assertEqual(cell, [*pixels[upper : upper + 3], *pixels[lower : lower + 3]])

    def test_blocks_of_larger_pictures_are_means(self):
        shown, pixels = self.show("--show", side=60, columns=20)
        rows = self.blocks(shown)
        self.assertEqual([len(row) for row in rows], [20] * 10)
        for y in range(20):
            for x in range(20):
                for c in range(3):
                    mean = sum(pixels[3 * (60 * v + u) + c] for v in range(3 * y, 3 * y + 3) for u in range(3 * x, 3 * x + 3)) / 9
                    self.assertLessEqual(abs(rows[y // 2][x][3 * (y % 2) + c] - mean), 0.5)

    def test_no_colour_where_none_is_wanted(self):
        shown, pixels = self.show("--show", NO_COLOR="1")
        self.assertRegex(shown, rb"\A(?:[ .:=+*#%@-]{32}\n){16}\Z")
        self.assertGreater(len(set(shown)), 3)
        # Nothing else that is printed has colours, and no bar is one.
        top = self.draw_many(20)
        for command in (["explain", MODEL, top, "-o", self.out], ["sweep", MODEL, top, "-o", self.result], ["inspect", MODEL], ["--help"]):
            self.assertNotRegex(self.on_terminal(*command), rb"\x1b\[[\d;]*m")

    def test_where_nothing_can_be_drawn(self):
        done = self.check(["explain", MODEL, SCALE, "-o", self.out, "--show"], 0, "standard output is no terminal: --show draws nothing")
        self.assertNotIn("\x1b", done.out)
        for other in ("--json", "--quiet"):
            self.check(["explain", MODEL, SCALE, "-o", self.out, "--show", other], 2, "--show goes with lines")

    def test_what_is_shown_is_written(self):
        self.show("--show", "--write", "npy")
        self.assertEqual(self.outputs(), ["p.npy", "p.overlay.png"])


class Ends(SweepCase):
    """Jobs that are ended early leave no half files."""

    def listening_beside(self, *command, **pipes):
        def default():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)

        return self.beside([SALMAP, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=default, **pipes)

    def explain_beside(self, *arguments, **pipes):
        return self.listening_beside("explain", MODEL, "in", "-o", "out", *arguments, **pipes)

    def assert_whole_files(self, most):
        """No temporary names, and all three files of each picture, to their ends."""
        names = tree(self.out)
        self.assertEqual([name for name in names if "tmp" in name], [])
        stems = {name.split(".")[0] for name in names}
        self.assertEqual(names, sorted(stem + end for stem in stems for end in (".npy", ".overlay.png", ".saliency.png")))
        for name in names:
            if name.endswith(".png"):
                files.png_size(os.path.join(self.out, name))
            else:
                files.read_npy(os.path.join(self.out, name))
        self.assertLessEqual(len(stems), most)
        return len(stems)

    def test_ctrl_c_leaves_no_temporary_file(self):
        self.draw_many(1000, side=64)
        for number, after, times in ((signal.SIGINT, 1, 1), (signal.SIGINT, 20, 3), (signal.SIGTERM, 50, 1),
                                     (signal.SIGHUP, 3, 2), (signal.SIGINT, 33, 2)):
            shutil.rmtree(self.out, ignore_errors=True)
            process = self.explain_beside("--json")
            for _ in range(after):
                self.assertIn(b'"status": "ok"', process.stdout.readline())
            for _ in range(times):
                process.send_signal(number)
            # communicate() would leave out what readline() has read ahead.
            rest, said = process.stdout.read(), process.stderr.read()
            process.wait(200)
            # As if it had not been caught: a shell's loop ends as well.
            self.assertEqual(process.returncode, -number, said)
            self.assertRegex(said.decode(), r"\Asalmap: explain: stopped: \d+ of 1000 pictures are done\n\Z")
            whole = self.assert_whole_files(999)
            told = after + len([json.loads(line) for line in rest.splitlines()])
            self.assertGreaterEqual(whole, told)

    def test_a_render_that_is_stopped_leaves_whole_files(self):
        self.draw_many(1000, side=64)
        self.sweep(os.path.join(self.folder, "in"), "--overlays", "none")
        process = self.listening_beside("render", self.result, "-o", self.out)
        while not [name for name in tree(self.out) if name.endswith(".jpg")]:
            self.assertIsNone(process.poll())
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=200)
        self.assertEqual(process.returncode, -signal.SIGINT, said)
        names = tree(self.out)
        self.assertEqual([name for name in names if not name.endswith(".overlay.jpg")], [])
        self.assertLess(len(names), 1000)

    def test_ignored_signals_stay_ignored(self):
        self.draw_many(20)
        process = self.beside([SALMAP, "explain", MODEL, "in", "-o", "out"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=200)
        self.assertEqual((process.returncode, self.assert_whole_files(20)), (0, 20))

    def test_head_gets_its_lines_and_all_files_are_made(self):
        self.draw_many(200)
        for command, code in (('"$0" explain "$1" in -o out | head -n 2', 0),
                              ('set -o pipefail; "$0" explain "$1" in -o out | head -n 2', 0)):
            shutil.rmtree(self.out, ignore_errors=True)
            done = subprocess.run(["bash", "-c", command, SALMAP, MODEL], cwd=self.folder, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, timeout=200)
            self.assertEqual((done.returncode, done.stdout.count(b"\n"), done.stderr), (code, 2, b""))
            self.assertEqual(self.assert_whole_files(200), 200)

    def test_a_reader_of_objects_that_left_ends_it(self):
        self.draw_many(500)
        process = self.explain_beside("--json")
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
        self.assertEqual(process.wait(timeout=200), 1)
        self.assertEqual(said, b"salmap: explain: cannot write to standard output: Broken pipe\n")
        self.assert_whole_files(499)


if __name__ == "__main__":
    main(sys.modules[__name__])
