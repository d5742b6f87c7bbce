"""Contact sheets of runs: what is on them, in which order, and what becomes of them where something is missing."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import files
from harness import MODEL, SALMAP, SIDE, main
from sweep_case import SCALES_CSV, SweepCase, read_rgb8

SVG = "{http://www.w3.org/2000/svg}"


class Sheets(SweepCase):
    def sheet(self, name, *options, code=0, texts=(), run=None):
        path = os.path.join(self.folder, name)
        self.check(["sheet", run or self.result, "-o", path, *options], code, *texts)
        return path

    def texts(self, path):
        """Title and lines below the pictures of an SVG, in the order of the page."""
        return [t.text for t in ElementTree.parse(path).getroot().iter(SVG + "text")]

    def pictures(self, path):
        return [(int(i.get("width")), int(i.get("height"))) for i in ElementTree.parse(path).getroot().iter(SVG + "image")]

    def by_error(self):
        """Names and errors of the demo's rows, the largest first: a regression, so a row's score is what it predicts."""
        rows = [(abs(float(r["predicted_score"]) - float(r["label"])), r["path"]) for r in self.rows(name="results.csv")]
        return sorted(rows, key=lambda row: -row[0])

    def test_the_worst_predictions_come_first(self):
        self.sweep(SCALES_CSV)
        path = self.sheet("a.svg", "--sort", "error", "--rows", "1", "--columns", "6")
        texts = self.texts(path)
        expected = self.by_error()[:6]
        self.assertEqual(texts[0], "RUN: scale_age_honest.onnx, gradient, 6 of 24 maps, sorted by error")
        of = {r["path"]: (float(r["predicted_score"]), r["label"]) for r in self.rows(name="results.csv")}
        lines = [[name, "predicted %.4g" % of[name][0], "label " + of[name][1], "error %.4g" % error] for error, name in expected]
        self.assertEqual(texts[1:], sum(lines, []))
        self.assertEqual(self.pictures(path), [(240, 240)] * 6)
        best = self.texts(self.sheet("b.svg", "--sort", "error", "--reverse", "--rows", "1", "--columns", "2"))
        self.assertEqual(best[1::4], [name for _, name in self.by_error()[:-3:-1]])

    def test_png_svg_and_pdf(self):
        self.sweep(SCALES_CSV)
        arguments = ("--rows", "2", "--columns", "2", "--panel-size", "100")
        png = self.sheet("a.png", *arguments)
        self.assertEqual(files.png_size(png), (2 * 32 + 2 * 100 + 20, 32 + 52 + 2 * (100 + 18 + 3 * 19) + 16))
        pdf = self.read(self.sheet("a.pdf", *arguments))
        self.assertTrue(pdf.startswith(b"%PDF-1."))
        self.assertEqual(pdf.count(b"/FontFile2"), 2)  # plain and bold, embedded
        self.assertIn(b"/ToUnicode", pdf)
        self.assertNotIn(b"Date", pdf)
        self.assertEqual(self.pictures(self.sheet("a.svg", *arguments)), [(100, 100)] * 4)
        for name in ("a.png", "a.svg", "a.pdf"):
            with self.subTest(name=name):
                again = self.sheet("again" + name[1:], *arguments)
                self.assertEqual(self.read(again), self.read(os.path.join(self.folder, name)))

    def test_no_picture_of_the_run_is_replaced(self):
        """Whatever the list's relative paths start from."""
        self.draw("a.png", "deep/b.png")
        os.makedirs(os.path.join(self.folder, "lists"))
        self.write("lists/list.csv", b"path\n../in/a.png\n../in/deep/b.png\n")
        self.write("lists/below.csv", b"path\na.png\ndeep/b.png\n")
        absolute = os.path.join(self.folder, "in").encode()
        self.write("absolute.csv", b"path\n%s/a.png\n%s/deep/b.png\n" % (absolute, absolute))
        before = self.read(os.path.join(self.folder, "in/deep/b.png"))
        os.symlink("in", os.path.join(self.folder, "link"))
        for given in (["in"], ["in/a.png", "in/deep/b.png"], ["lists/list.csv"], ["lists/below.csv", "--root", "in"],
                      ["absolute.csv"], [os.path.join(self.folder, "in")], ["in/*.png", "in/deep/*.png"], ["link"]):
            with self.subTest(given=given):
                self.sweep(*given, "--restart")
                for path in ("in/deep/b.png", os.path.join(self.folder, "in/deep/b.png"), "link/deep/b.png"):
                    self.sheet(path, code=2, texts=["b.png: is a picture of the run: choose another file"])
                self.assertEqual(self.read(os.path.join(self.folder, "in/deep/b.png")), before)
        self.write("other.png", before)
        self.sheet("other.png")  # that is no picture of the run
        # Seen from another folder, or moved: the listed path tells.
        os.mkdir(os.path.join(self.folder, "moved"))
        os.rename(os.path.join(self.folder, "in"), os.path.join(self.folder, "moved/in"))
        self.sheet("moved/in/deep/b.png", code=2, texts=["b.png: is a picture of the run"])
        self.assertEqual(self.read(os.path.join(self.folder, "moved/in/deep/b.png")), before)

    def test_any_column_of_the_results_sorts(self):
        self.draw("c.png", "a.png", "b.png")
        listed = self.write("list.csv", b"path,site,depth,score\nin/a.png,west,10,low\nin/b.png,,9.5,high\nin/c.png,east,100,\n")
        self.sweep(listed)
        names = lambda *options: self.texts(self.sheet("a.svg", *options))[1::3]
        self.assertEqual(names("--sort", "depth"), ["in/c.png", "in/a.png", "in/b.png"])
        self.assertEqual(names("--sort", "depth", "--reverse"), ["in/b.png", "in/a.png", "in/c.png"])
        self.assertEqual(names("--sort", "site"), ["in/c.png", "in/a.png", "in/b.png"])
        self.assertEqual(names("--sort", "site", "--reverse"), ["in/a.png", "in/c.png"] + ["in/b.png"])
        self.assertEqual(names("--sort", "path"), ["in/a.png", "in/b.png", "in/c.png"])
        scores = {r["path"]: float(r["score"]) for r in self.rows(name="results.csv")}
        self.assertEqual(names("--sort", "score"), sorted(scores, key=lambda name: -scores[name]))
        # The manifest's own column of that name is called as results.csv calls it.
        self.assertEqual(names("--sort", "manifest_score"), ["in/b.png", "in/a.png", "in/c.png"])
        self.assertEqual(self.texts(self.sheet("a.svg"))[1::2], ["in/a.png", "in/b.png", "in/c.png"])
        self.sheet("no.svg", "--sort", "colour", code=2, texts=["no picture has a value of 'colour'", "a column of results.csv"])
        self.sheet("no.svg", "--sort", "error", code=2, texts=["no picture has a value of 'error'"])
        self.assertFalse(os.path.exists(os.path.join(self.folder, "no.svg")))

    def test_labels_sort_as_the_sweep_reads_them(self):
        self.draw("a.png", "b.png", "c.png", "d.png", "e.png")
        listed = self.write("list.csv", b"path;age\nin/a.png;9,5\nin/b.png;NA\nin/c.png; 10,25 \nin/d.png;old\nin/e.png;2\n")
        self.sweep(listed, "--label-column", "age")
        names = lambda *options: [t for t in self.texts(self.sheet("a.svg", *options)) if t.startswith("in/")]
        self.assertEqual(names("--sort", "age"), ["in/%s.png" % c for c in "caedb"])
        # Words stay behind numbers, and what has no value behind both.
        self.assertEqual(names("--sort", "age", "--reverse"), ["in/%s.png" % c for c in "eacdb"])

    def test_what_maps_are_of_is_said_where_it_is_not_the_prediction(self):
        self.draw("a.png", "b.png")
        self.write("names", b"salmon\ntrout\nchar\npike\nperch\n")
        predicted = {int(r["predicted"]) for r in self.predicted("--classes", "names", model=self.classifier()).values()}
        self.assertEqual([t for t in self.texts(self.sheet("a.svg")) if t.startswith("map of")], [])
        other = min({0, 1, 2, 3, 4} - predicted)
        name = ["salmon", "trout", "char", "pike", "perch"][other]
        for target, expected in (("index:%d" % other, "map of " + name), ("mean", "map of the mean")):
            with self.subTest(target=target):
                self.predicted("--classes", "names", "-t", target, "--restart", model=self.classifier())
                self.assertEqual([line[1] for line in self.lines_of(lines=3).values()], [expected] * 2)
        rows = self.predicted("--classes", "names", "-t", "margin", "--restart", model=self.classifier())
        self.assertEqual({name: line[1] for name, line in self.lines_of(lines=3).items()},
                         {r["path"]: "map of the margin of " + r["target_class"] for r in rows.values()})
        # Of one output there is nothing to be said.
        self.predicted("-t", "mean", "--restart")
        self.assertEqual([t for t in self.texts(self.sheet("a.svg")) if t.startswith("map of")], [])

    def test_titles_name_the_folder(self):
        self.draw("a.png")
        deep = os.path.join("d" * 200, "e" * 100, "RUN")
        os.makedirs(os.path.join(self.folder, os.path.dirname(deep)))
        self.sweep("in", run=deep)
        for run in (deep, deep + "//", deep + "/."):
            self.assertTrue(self.texts(self.sheet("a.svg", run=run))[0].startswith("RUN: "), run)
        done = subprocess.run([SALMAP, "sheet", ".", "-o", "../a.svg"], cwd=os.path.join(self.folder, deep), timeout=300)
        self.assertEqual(done.returncode, 0)
        self.assertTrue(self.texts(os.path.join(self.folder, os.path.dirname(deep), "a.svg"))[0].startswith("RUN: "))

    def test_no_character_is_cut(self):
        """Names of classes and labels of more bytes than are shown."""
        self.draw("a.png")
        fish = "\u9c57"  # three bytes
        for begin in ("", "x", "xx"):
            with self.subTest(begin=begin):
                name = begin + 100 * fish
                self.write("names", ("%s\ntrout\nchar\n" % name).encode())
                self.sweep(self.write("list.csv", ("path,label\nin/a.png,%s\n" % name).encode()), "--classes", "names",
                           "--label-as", "name", "-t", "index:0", "--preset", "unit", "--restart",
                           model=self.classifier(3))
                texts = self.texts(self.sheet("a.svg", "--panel-size", "4096", "--sort", "label"))
                self.assertEqual([text for text in texts if "\ufffd" in text], [])
                for which in ("predicted ", "label "):
                    self.assertTrue([text for text in texts if text.startswith(which + begin + 50 * fish)], texts)

    def test_a_page_that_is_too_high(self):
        self.draw(*["%d.png" % k for k in range(9)])
        self.sweep("in")
        self.sheet("a.png", "--columns", "1", "--rows", "9", "--panel-size", "4096", code=1,
                   texts=["pixels, more than 32767 a side: ask for smaller panels, or fewer columns or rows"])

    def test_classes_and_several_maps(self):
        self.draw("a.png", "b.png")
        self.write("names", b"salmon\ntrout\nchar\npike\nperch\n")
        listed = self.write("list.csv", b"path,label\nin/a.png,trout\nin/b.png,salmon\n")
        self.sweep(listed, "--classes", "names", "--target", "top:2", "--preset", "unit", model=self.classifier())
        texts = self.texts(self.sheet("a.svg", "--sort", "error"))
        rows = self.rows(name="results.csv")
        self.assertEqual(len(rows), 4)
        expected = sorted(rows, key=lambda r: int(r["correct"]))
        lines = [[r["path"], "predicted %s (%.0f %%)" % (r["predicted_class"], 100 * float(r["predicted_probability"])),
                  "label " + r["label"], "map of " + r["target_class"], "error %d" % (1 - int(r["correct"]))] for r in expected]
        self.assertEqual(texts[1:], sum(lines, []))

    def lines_of(self, *options, lines=4, run=None):
        """Of each picture, by its name: the lines below it."""
        texts = self.texts(self.sheet("lines.svg", *options, run=run))[1:]
        return {texts[i]: texts[i + 1 : i + lines] for i in range(0, len(texts), lines)}

    def predicted(self, *arguments, **where):
        """The rows of a sweep of in/, by the names of the pictures."""
        self.sweep(os.path.join(self.folder, "in"), "--preset", "unit", *arguments, **where)
        return {os.path.basename(r["path"]): r for r in self.rows(name="results.csv")}

    def test_errors_of_a_network_that_says_yes_or_no(self):
        self.draw("a.png", "b.png")
        model = self.classifier(1, "Sigmoid")
        told = self.predicted(model=model)
        chance = {name: float(row["predicted_probability"]) for name, row in told.items()}
        right = {name: int(p > 0.5) for name, p in chance.items()}
        listed = self.write("list.csv", b"path,label\nin/a.png,%d\nin/b.png,%d\n" % (right["a.png"], 1 - right["b.png"]))
        self.sweep(listed, "--preset", "unit", "--restart", model=model)
        found = self.lines_of("--sort", "error")
        self.assertEqual(found, {
            "in/b.png": ["predicted %.0f %%" % (100 * chance["b.png"]), "label %d" % (1 - right["b.png"]), "error 1"],
            "in/a.png": ["predicted %.0f %%" % (100 * chance["a.png"]), "label %d" % right["a.png"], "error 0"]})
        self.assertEqual(list(found), ["in/b.png", "in/a.png"])
        self.forget("outputs")
        self.assertEqual({name: lines[1:] for name, lines in self.lines_of("--sort", "error").items()},
                         {name: lines[1:] for name, lines in found.items()})

    def test_errors_where_names_of_classes_are_digits(self):
        self.draw("10/a.png", "20/b.png", "30/c.png")
        self.write("names", b"10\n20\n30\n")
        for last in (None, "Softmax"):
            for given in (["--label-from", "folder"], ["--label-as", "name"]):
                with self.subTest(last=last, given=given):
                    listed = os.path.join(self.folder, "in")
                    if "name" in given:
                        listed = self.write("list.csv", b"path,label\nin/10/a.png,10\nin/20/b.png,20\nin/30/c.png,30\n")
                    self.sweep(listed, "--preset", "unit", "--classes", "names", *given, "--restart",
                               model=self.classifier(3, last))
                    rows = {r["path"]: r for r in self.rows(name="results.csv")}
                    self.assertEqual(sorted(int(r["correct"]) for r in rows.values()), [0, 0, 1])
                    found = self.lines_of("--sort", "error")
                    self.assertEqual({name: lines[-1] for name, lines in found.items()},
                                     {name: "error %d" % (1 - int(r["correct"])) for name, r in rows.items()})

    def test_labels_are_read_as_the_sweep_reads_them(self):
        """Decimal commas, blanks around numbers, and what is no number."""
        self.draw("a.png", "b.png", "c.png", "d.png")
        score = {name: float(row["predicted_score"]) for name, row in self.predicted().items()}
        cases = ((b"path;label\nin/a.png; 104,5 \nin/b.png;1,834\nin/c.png;NA\nin/d.png;-7\n", (104.5, 1.834, None, -7)),
                 (b"path,label\nin/a.png,\"104,5 \"\nin/b.png,\"1,834\"\nin/c.png,\nin/d.png,-7\n", (104.5, None, None, -7)))
        for text, labels in cases:
            with self.subTest(text=text):
                self.sweep(self.write("list.csv", text), "--preset", "unit", "--restart")
                expected = ["error %.4g" % abs(score[name] - label) if label is not None else None
                            for name, label in zip(("a.png", "b.png", "c.png", "d.png"), labels)]
                texts = self.texts(self.sheet("a.svg", "--sort", "error"))
                self.assertEqual(sorted(t for t in texts if t.startswith("error ")), sorted(t for t in expected if t))

    def test_runs_that_do_not_tell_how_many_outputs_there_are(self):
        """Of before: one prediction of a run that keeps one alone may be of any network."""
        self.draw("a.png")
        row = self.predicted()["a.png"]
        value = "predicted %.4g" % float(row["predicted_score"])
        self.assertIn(value, self.texts(self.sheet("a.svg")))
        self.forget("outputs")
        self.assertIn("predicted output 0", self.texts(self.sheet("a.svg")))
        self.sweep(os.path.join(self.folder, "in"), "--preset", "unit")  # it is the same run, and complete
        self.assertIn("predicted output 0", self.texts(self.sheet("a.svg")))
        # One that is right though its label is no output, or wrong though it is, is of a single value.
        for label, right in (("%.3f" % float(row["predicted_score"]), 1), ("0", 0)):
            with self.subTest(label=label):
                self.sweep(self.write("list.csv", b"path,label\nin/a.png,%s\n" % label.encode()), "--preset", "unit", "--restart")
                self.assertEqual(self.rows(name="results.csv")[0]["correct"], str(right))
                self.forget("outputs")
                self.assertIn(value, self.texts(self.sheet("a.svg")))
        model = self.classifier(3, None)
        best = int(self.predicted("--restart", model=model)["a.png"]["predicted"])
        for label in (best, (best + 1) % 3):
            with self.subTest(label=label):
                self.sweep(self.write("list.csv", b"path,label\nin/a.png,%d\n" % label), "--preset", "unit", "--restart", model=model)
                self.forget("outputs")
                self.assertIn("predicted output %d" % best, self.texts(self.sheet("a.svg")))
        for given in (["--top-k", "1"], ["--top-k", "3"]):
            for remembered in (True, False):
                with self.subTest(given=given, remembered=remembered):
                    row = self.predicted(*given, "--restart", model=self.classifier(3, None))["a.png"]
                    if not remembered:
                        self.forget("outputs")
                    self.assertIn("predicted output " + row["predicted"], self.texts(self.sheet("a.svg")))

    def test_best_outputs_sort(self):
        self.draw("a.png", "b.png", "c.png")
        listed = self.write("list.csv", b"path,top1,error\nin/a.png,5,2\nin/b.png,6,1\nin/c.png,7,3\n")
        self.sweep(listed, "--preset", "unit", "--top-k", "3", model=self.classifier())
        rows = {r["path"]: r for r in self.rows(name="results.csv")}
        for column in ("top1", "top2", "top2_score", "top3_probability", "manifest_top1", "manifest_error"):
            with self.subTest(column=column):
                texts = self.texts(self.sheet("a.svg", "--sort", column))
                self.assertEqual(texts[1::3], sorted(rows, key=lambda name: -float(rows[name][column])))
                self.assertEqual(texts[3::3], ["%s %.4g" % (column, float(rows[name][column])) for name in texts[1::3]])
        for column in ("top4", "top0", "top1_", "top01", "predictions", "error"):
            self.sheet("no.svg", "--sort", column, code=2, texts=["no picture has a value of '%s'" % column])

    def test_maps_stand_in_for_overlays(self):
        self.draw("wide.png", "b.png")
        for maps in ("npy", "png16"):
            with self.subTest(maps=maps):
                self.sweep(os.path.join(self.folder, "in"), "--overlays", "none", "--maps", maps, "--restart")
                path = self.sheet(maps + ".svg", "--panel-size", "64")
                self.assertEqual(self.pictures(path), [(64, 64)] * 2)
        self.assertEqual(self.texts(os.path.join(self.folder, "npy.svg")), self.texts(os.path.join(self.folder, "png16.svg")))
        self.sweep(os.path.join(self.folder, "in"), "--overlays", "none", "--maps", "none", "--restart")
        self.sheet("none.svg", code=2, texts=["keeps neither overlays nor maps"])

    def panel(self, path, side):
        """The one picture of a sheet."""
        width, height, pixels = read_rgb8(path)
        rows = [pixels[3 * (width * y + 32) : 3 * (width * y + 32 + side)] for y in range(32 + 52, 32 + 52 + side)]
        return b"".join(rows)

    def test_maps_have_the_colours_that_explain_gives_them(self):
        top = self.draw("a.png", side=SIDE)
        for given in ([], ["--signed"], ["--normalize", "none"], ["--normalize", "none", "--maps", "npz"]):
            with self.subTest(given=given):
                self.sweep(top, "--preset", "unit", "--overlays", "none", *given, "--restart")
                self.check(["explain", MODEL, top, "--preset", "unit", *given[:2], "-o", self.out, "-w", "map"], 0)
                expected = read_rgb8(os.path.join(self.out, "a.saliency.png"))
                self.assertEqual(expected[:2], (SIDE, SIDE))
                shown = self.panel(self.sheet("a.png", "--panel-size", str(SIDE)), SIDE)
                self.assertEqual(shown == expected[2], True)
                self.assertGreater(len(set(shown)), 50)

    def test_a_sheet_that_is_stopped_is_not_written(self):
        self.draw("a.png", "b.png")
        self.sweep("in")
        for name in "ab":
            self.spoil(os.path.join(self.result, "overlays/000/%s.overlay.jpg" % name))
        default = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
        process = self.hold_command(["sheet", self.result, "-o", "a.png"], preexec_fn=default)
        process.send_signal(signal.SIGINT)
        said = self.let_go(process)
        self.assertEqual(process.returncode, -signal.SIGINT, said)
        self.assertNotIn("b.overlay.jpg", said)
        self.assertEqual([name for name in os.listdir(self.folder) if name.startswith("a.png")], [])

    def test_names_of_any_script(self):
        """Each is written as it is, and what is no text with a sign in its place."""
        names = ["чешуя.png", "鱗.png", "λέπι.png", "a&b<c>.png", b"broken\xff\x1b[31m.png"]
        self.draw(*names)
        self.sweep(os.path.join(self.folder, "in"))
        found = self.texts(self.sheet("a.svg"))[1::2]
        self.assertEqual(sorted(found), sorted(names[:-1] + ["broken\ufffd\ufffd[31m.png"]))
        for name in ("a.png", "a.pdf"):
            self.sheet(name)
        # Where JSON cannot hold a name, its bytes are beside it.
        rows = [json.loads(line)["maps"][0] for line in self.run_salmap("export", self.result, "--json").out.splitlines()]
        (row,) = [row for row in rows if "overlay_file_hex" in row]
        for key, ending in (("map_file", b".npy"), ("overlay_file", b".overlay.jpg")):
            name = bytes.fromhex(row[key + "_hex"])
            self.assertTrue(name.endswith(b"broken\xff\x1b[31m" + ending), name)
            self.assertTrue(os.path.exists(os.path.join(os.fsencode(self.result), name)))

    def test_long_names_are_cut_in_their_middle(self):
        self.draw("begins" + "x" * 100 + "ends.png")
        self.sweep(os.path.join(self.folder, "in"))
        (found,) = self.texts(self.sheet("a.svg"))[1::2]
        self.assertRegex(found, "^beginsx*\u2026x*ends.png$")
        element = next(t for t in ElementTree.parse(os.path.join(self.folder, "a.svg")).getroot().iter(SVG + "text")
                       if t.text == found)
        self.assertLessEqual(float(element.get("textLength")), 240)
        self.assertGreater(float(element.get("textLength")), 215)

    def test_overlays_that_are_gone_leave_their_places_empty(self):
        self.draw("a.png", "b.png", "c.png", "d.png")
        self.sweep(os.path.join(self.folder, "in"))
        at = lambda name: os.path.join(self.result, "overlays/000/%s.overlay.jpg" % name)
        secret = self.write("secret.jpg", self.read(at("d")))
        os.remove(at("a"))
        self.spoil(at("b"))
        os.remove(at("c"))
        os.symlink(secret, at("c"))
        path = self.sheet("a.svg", code=3, texts=["a.overlay.jpg: is missing", "b.overlay.jpg: ", "c.overlay.jpg: is a link"])
        self.assertEqual(len(self.pictures(path)), 1)
        self.assertEqual(self.texts(path).count("cannot be read"), 3)

    def test_without_a_list_nothing_says_which_files_are_its_own(self):
        self.draw("a.png")
        self.sweep(os.path.join(self.folder, "in"))
        os.remove(os.path.join(self.result, "run.json"))
        os.remove(os.path.join(self.result, "manifest.csv"))
        self.sheet("a.svg", code=1, texts=["without its run.json and manifest.csv nothing tells which pictures are its own"])
        self.assertFalse(os.path.exists(os.path.join(self.folder, "a.svg")))

    def test_what_is_refused(self):
        self.draw("a.png")
        self.sweep(os.path.join(self.folder, "in"))
        base = ["sheet", self.result]
        self.check(base, 2, "no file to write: give -o FILE")
        for name in ("a.gif", "a", "-"):
            self.sheet(name, code=2, texts=["let it end in .png, .svg or .pdf"])
        for name in (".png", "RUN/.svg"):
            self.check([*base, "-o", name], 2, name + ": is an ending without a name: give one such as sheet" + name[-4:])
        self.check([*base, "-o", "a.png", "--reverse"], 2, "--reverse: there is no order to turn around; give --sort COLUMN")
        self.check([*base, "-o", "a.png", "--rows", "0"], 2, "--rows: '0'", "from 1 to 1000")
        self.check([*base, "-o", "a.png", "--panel-size", "31"], 2, "--panel-size: '31'", "from 32 to 4096")
        for name in ("overlays/000/mine.png", "maps/mine.pdf", "shards/mine.svg"):
            os.makedirs(os.path.dirname(os.path.join(self.result, name)), exist_ok=True)
            self.check([*base, "-o", os.path.join(self.result, name)], 2, "lies among the run's own", "another folder")
        self.check(["sheet", self.folder, "-o", "a.png"], 1, "is no run folder: there is no results.sqlite in it")
        self.assertEqual([n for n in os.listdir(self.folder) if n.startswith("a.")], [])

    def test_a_machine_without_fonts_says_which_package_has_one(self):
        self.draw("a.png")
        self.sweep(os.path.join(self.folder, "in"))
        os.environ["FONTCONFIG_FILE"] = self.write("fonts.conf", b"<fontconfig></fontconfig>")
        self.addCleanup(os.environ.pop, "FONTCONFIG_FILE")
        self.sheet("a.png", code=1, texts=["there is no font on this machine", "fonts-dejavu-core"])
        self.assertFalse(os.path.exists(os.path.join(self.folder, "a.png")))


if __name__ == "__main__":
    main(sys.modules[__name__])
