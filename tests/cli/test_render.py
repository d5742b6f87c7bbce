"""Runs drawn again: the bytes that a sweep or explain would have drawn, without the model."""

import os
import shutil
import sqlite3
import struct
import subprocess
import sys
import zipfile

import files
from harness import MODEL, SALMAP, SCALES, main
from sweep_case import SweepCase, read_rgb8


class Render(SweepCase):
    def setUp(self):
        super().setUp()
        self.model = os.path.join(self.folder, "m.onnx")
        shutil.copy(MODEL, self.model)
        self.drawings = os.path.join(self.folder, "drawings")

    def kept(self, *arguments, model=None, code=0):
        """A run whose model is gone."""
        self.sweep(*arguments, model=model or self.model, code=code)
        os.remove(model or self.model)

    def render(self, *options, code=0, texts=(), run=None):
        return self.check(["render", run or self.result, "-o", self.drawings, *options], code, *texts)

    def files_of(self, folder):
        return {name: self.read(os.path.join(folder, name)) for name in os.listdir(folder)}

    def assert_drawn_alike(self, count, run=None):
        made = self.files_of(os.path.join(run or self.result, "overlays/000"))
        self.assertEqual(len(made), count)
        self.assert_same_files(self.files_of(os.path.join(self.drawings, "overlays/000")), made)

    def test_the_overlays_of_the_sweep_without_its_model(self):
        self.kept(SCALES, "--preset", "unit")
        self.render(code=2, texts=["is not below the current folder: give --root DIR to say where its pictures may lie"])
        done = self.render("--root", SCALES)
        self.assertEqual(done.out, "24 of 24 pictures drawn, 0 failed -> %s\n" % self.drawings)
        self.assert_drawn_alike(24)
        self.assertEqual(os.listdir(self.drawings), ["overlays"])

    def test_pictures_of_any_fit_kind_and_size(self):
        """Cropped and padded pictures of several sizes, maps of every format that keeps them whole, several a picture."""
        top = self.draw("a.png", "b.png", side=48)
        with open(os.path.join(top, "wide.png"), "wb") as f:
            f.write(files.gradient_png(90, 40))
        for given in (["--fit", "letterbox", "--fill", "9"], ["--fit", "center-crop", "--crop-resize", "40", "--maps", "npz"],
                      ["--fit", "crop-aspect", "--grid", "align-corners", "--antialias", "off", "--overlay-format", "png"],
                      ["--overlay-size", "30", "--target", "top:3"], ["--signed"], ["--normalize", "none"]):
            with self.subTest(given=given):
                shutil.rmtree(self.drawings, ignore_errors=True)
                model = self.classifier()
                self.kept(top, "--preset", "unit", *given, "--restart", model=model)
                same = [word for option in ("--overlay-format", "--overlay-size") if option in given
                        for word in (option, given[given.index(option) + 1])]
                self.render(*same)
                self.assert_drawn_alike(9 if "top:3" in given else 3)

    def test_maps_of_a_layer(self):
        top = self.draw("a.png", "b.png", side=200)
        self.kept(top, "--preset", "unit", "--method", "grad-cam", "--raw-map")
        self.render()
        self.assert_drawn_alike(2)
        shutil.copy(MODEL, self.model)
        self.kept(top, "--preset", "unit", "--method", "grad-cam", "--raw-map", "--fit", "letterbox", "--restart")
        self.render(code=3, texts=["is not known without the model"])

    def test_where_the_input_lay_must_be_known(self):
        """Other grids lie half a pixel of the input aside."""
        top = self.draw("a.png", side=200)
        for grid in ("align-corners", "asymmetric"):
            with self.subTest(grid=grid):
                shutil.copy(MODEL, self.model)
                self.kept(top, "--preset", "unit", "--method", "grad-cam", "--raw-map", "--grid", grid, "--antialias", "off",
                          "--restart")
                self.render(code=3, texts=["with --grid %s is not known without the model: run salmap sweep again" % grid])
        self.assertFalse(os.path.exists(os.path.join(self.drawings, "overlays/000")))

    def test_maps_of_16_bits(self):
        top = self.draw("a.png")
        self.kept(top, "--preset", "unit", "--maps", "png16", "--overlay-format", "png")
        self.render("--overlay-format", "png")
        name = "overlays/000/a.overlay.png"
        (width, height, here), there = (read_rgb8(os.path.join(self.drawings, name)), read_rgb8(os.path.join(self.result, name)))
        self.assertEqual(there[:2], (width, height))
        self.assert_all_within(here, there[2], 2)  # levels: 65536 steps of a map are close to all that it has
        self.assertGreater(max(here) - min(here), 100)

    def test_other_colours_are_those_of_a_sweep_with_them(self):
        top = self.draw("a.png", "b.png")
        other = os.path.join(self.folder, "other")
        colours = ["--colormap", "inferno", "--alpha", "0.8"]
        self.sweep(top, "--preset", "unit", *colours, model=self.model, run=other)
        self.kept(top, "--preset", "unit")
        self.render(*colours)
        self.assert_drawn_alike(2, run=other)

    def test_the_figures_of_explain(self):
        top = self.draw("a.png", "b.png")
        self.write("names", b"salmon\ntrout\nchar\npike\nperch\n")
        model = self.classifier()
        for kind in ("png", "svg", "pdf"):
            self.check(["explain", model, top, "--preset", "unit", "--classes", "names", "-o", self.out, "--figure", kind,
                        "--panel-size", "100"], 0)
        self.kept(top, "--preset", "unit", "--classes", "names", model=model)
        for kind in ("png", "svg", "pdf"):
            self.render("--figure", kind, "--panel-size", "100", "--figures-only")
        made = self.files_of(os.path.join(self.drawings, "figures/000"))
        self.assertEqual(len(made), 6)
        self.assert_same_files(made, {name: self.read(os.path.join(self.out, name)) for name in self.outputs() if ".figure." in name})
        self.assertEqual(os.listdir(self.drawings), ["figures"])

    def test_figures_of_any_network_are_those_of_explain(self):
        """Of a yes or no, of logits of which one is kept, of a value, and of what is no single output."""
        self.draw("a.png", "b.png")
        cases = [(self.classifier(1, "Sigmoid"), []), (self.classifier(3, None), ["-t", "index:1"]), (MODEL, []),
                 (self.classifier(3, None), ["-t", "mean"]), (self.classifier(3, "Softmax"), ["-t", "margin"]),
                 (self.classifier(1, "Sigmoid"), ["-t", "mean"]), (self.classifier(3, "Softmax"), ["--score", "probability"])]
        listed = self.write("list.csv", b"path,label\nin/a.png,1\nin/b.png,0\n")
        for model, given in cases:
            with self.subTest(model=os.path.basename(model), given=given):
                for folder in (self.out, self.drawings):
                    shutil.rmtree(folder, ignore_errors=True)
                self.check(["explain", model, listed, "--preset", "unit", *given, "-o", self.out, "--figure", "svg"], 0)
                self.sweep(listed, "--preset", "unit", *given, "--top-k", "1", "--restart", model=model)
                self.render("--figure", "svg", "--figures-only")
                made = self.files_of(os.path.join(self.drawings, "figures/000"))
                self.assertEqual(sorted(made), ["a.figure.svg", "b.figure.svg"])
                self.assertIn(b"   label 1   peak", made["a.figure.svg"])
                self.assert_same_files(made, {name: self.read(os.path.join(self.out, "in", name)) for name in made})

    def test_figures_are_made_from_the_whole_picture(self):
        """However large overlays may be."""
        top = os.path.join(self.folder, "in")
        os.makedirs(top)
        for name, size in (("a.png", (90, 60)), ("thin.png", (80, 1)), ("large.png", (1700, 900))):
            with open(os.path.join(top, name), "wb") as f:
                f.write(files.gradient_png(*size))
        self.check(["explain", self.model, top, "--preset", "unit", "-o", self.out, "--figure", "svg", "-w", "figure"], 0)
        made = {name: self.read(os.path.join(self.out, name)) for name in self.outputs()}
        self.assertEqual(len(made), 3)
        self.kept(top, "--preset", "unit")
        for given in ([], ["--overlay-size", "20"], ["--figures-only"]):
            with self.subTest(given=given):
                shutil.rmtree(self.drawings, ignore_errors=True)
                self.render("--figure", "svg", *given)
                self.assert_same_files(self.files_of(os.path.join(self.drawings, "figures/000")), made)

    def test_figures_have_the_label(self):
        self.draw("a.png")
        listed = self.write("list.csv", b"path,age\nin/a.png,7\n")
        self.kept(listed, "--preset", "unit", "--label-column", "age")
        self.render("--figure", "svg")
        self.assertIn(b"   label 7   peak", self.read(os.path.join(self.drawings, "figures/000/a.figure.svg")))

    def test_pictures_that_are_gone_or_others_now(self):
        top = self.draw("a.png", "b.png", "c.png", "d.png")
        self.kept(top, "--preset", "unit")
        os.remove(os.path.join(top, "a.png"))
        with open(os.path.join(top, "b.png"), "ab") as f:
            f.write(b"x")
        with open(os.path.join(top, "c.png"), "wb") as f:
            f.write(files.gradient_png(33, 32, 1))
        done = self.render(code=3, texts=["a.png: ", "No such file", "b.png: is not the picture that the run saw: it has ",
                                          "c.png: is not the picture that the run saw: it has ", "33 x 32 pixels, and had "])
        self.assertEqual(done.out, "1 of 4 pictures drawn, 3 failed -> %s\n" % self.drawings)
        self.assertEqual(os.listdir(os.path.join(self.drawings, "overlays/000")), ["d.overlay.jpg"])

    def test_a_picture_is_named_once(self):
        top = self.draw("a.png", "b.png")
        self.kept("in", "--preset", "unit")
        os.remove(os.path.join(top, "a.png"))
        self.spoil(os.path.join(self.result, "maps/000/b.npy"))
        done = self.render(code=3)
        for name in ("a.png", "b.png"):
            self.assertEqual([line.count(name) for line in done.err.splitlines() if name in line], [1], done.err)

    def test_a_root_is_advised_where_no_picture_is_there(self):
        top = self.draw("a.png", "b.png")
        self.kept(top, "--preset", "unit")
        advice = "give --root DIR if they lie elsewhere now"
        for name in ("a", "b"):
            self.spoil(os.path.join(top, name + ".png"))
        self.check(["render", self.result, "-o", self.drawings], 3, absent=[advice])
        for name in ("a", "b"):
            os.remove(os.path.join(top, name + ".png"))
        self.render(code=3, texts=[advice])
        self.check(["render", self.result, "-o", self.drawings, "-q"], 3, absent=[advice])

    def test_a_drawing_that_cannot_be_written_ends_it(self):
        self.kept(self.draw("a.png", "b.png", "c.png"), "--preset", "unit")
        code = "import resource, os, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)); os.execv(sys.argv[1], sys.argv[1:])"
        for given in ([], ["--figure", "svg", "--figures-only"]):
            with self.subTest(given=given):
                done = subprocess.run([sys.executable, "-c", code, SALMAP, "render", self.result, "-o", self.drawings, *given],
                                      cwd=self.folder, capture_output=True, text=True, timeout=300)
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
                self.assertIn("File too large", done.stderr)
                self.assertEqual([names for _, _, names in os.walk(self.drawings) if names], [])

    def test_what_is_drawn_is_drawn_though_nobody_reads_of_it(self):
        self.kept(self.draw("a.png"), "--preset", "unit")
        for command, made in ((["render", self.result, "-o", self.drawings], "drawings/overlays/000/a.overlay.jpg"),
                              (["sheet", self.result, "-o", "sheet.png"], "sheet.png")):
            reading, writing = os.pipe()
            os.close(reading)
            done = self.run_salmap(*command, stdout=writing)
            os.close(writing)
            self.assertEqual((done.returncode, done.err), (0, ""))
            self.assertTrue(os.path.exists(os.path.join(self.folder, made)))

    def test_runs_whose_settings_are_none(self):
        """As somebody may have written them."""
        top = self.draw("a.png", side=200)
        self.write("names", b"salmon\ntrout\nchar\n")
        self.kept(top, "--preset", "unit", "--classes", "names", model=self.classifier(3))
        for size in ("224x224abc", "1x9000000000000000000", "0x5", "5", "99999999x99999999", "224x", "-3x4", "1048577x1"):
            with self.subTest(size=size):
                self.forge({"input-size": size})
                self.render(code=1, texts=["does not know the setting input-size '%s'" % size])
        self.forge({"input-size": "1048576x1"})
        self.render()
        sheet = ["sheet", self.result, "-o", "a.png"]
        self.forge({"class-names": "[1"})
        self.forget("outputs")
        self.check(sheet, 1, self.result + ": the names of classes in run.json cannot be read")
        self.forge({"class-names": '["salmon", "trout", "char"]', "normalize": "maxmin"})
        for command in (sheet, ["render", self.result, "-o", self.drawings]):
            self.check(command, 1, self.result + "/run.json: this version does not know the setting normalize 'maxmin'")

    def test_numbers_that_no_map_has(self):
        self.kept(self.draw("a.png", "b.png"), "--preset", "unit")
        with sqlite3.connect(os.path.join(self.result, "results.sqlite")) as connection:
            connection.execute("UPDATE maps SET peak = 3.5e38 WHERE picture = 0")
            connection.execute("UPDATE maps SET peak = 3.40282347e38 WHERE picture = 1")
        connection.close()
        done = self.render("--figure", "svg", code=3, texts=["its row of the results says map_peak 3.5e+38, which is no number of a map"])
        self.assertEqual(done.out, "1 of 2 pictures drawn, 1 failed -> %s\n" % self.drawings)
        self.assertIn(b"peak gradient 3.4e+38", self.read(os.path.join(self.drawings, "figures/000/b.figure.svg")))

    def test_pictures_that_moved(self):
        top = self.draw("a.png")
        listed = self.write("list.csv", b"path\nin/a.png\n")
        self.kept(listed, "--preset", "unit")
        moved = os.path.join(self.folder, "moved")
        os.mkdir(moved)
        os.rename(top, os.path.join(moved, "in"))
        self.render(code=3, texts=["in/a.png: ", "give --root DIR if they lie elsewhere now"])
        self.render("--root", moved)
        self.assert_drawn_alike(1)

    def place(self, *names):
        """Pictures in the folder "own", beside which others lie."""
        return self.draw(*names, folder="own")

    def from_own(self, *arguments, code=0, texts=()):
        """In the folder "own"."""
        done = subprocess.run([SALMAP, *arguments], cwd=os.path.join(self.folder, "own"), capture_output=True, text=True, timeout=300)
        self.assertEqual(done.returncode, code, done.stderr)
        for text in texts:
            self.assertIn(text, done.stderr)

    def drawn_names(self):
        folder = os.path.join(self.drawings, "overlays/000")
        found = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
        shutil.rmtree(self.drawings, ignore_errors=True)
        return found

    def test_absolute_paths_outside_of_the_current_folder_need_a_root(self):
        """A stranger's run may name any picture of the machine."""
        own, top = self.place("z.png"), self.draw("a.png", "deep/b.png")
        listed = self.write("list.csv", b"path\n%s/a.png\n%s/deep/b.png\n" % (top.encode(), top.encode()))
        self.sweep(listed, "--preset", "unit", model=self.model)
        arguments = ["render", self.result, "-o", self.drawings]
        self.from_own(*arguments, code=2, texts=["%s: its list names %s/a.png, which is not below" % (self.result, top), "give --root DIR"])
        self.assertFalse(os.path.exists(self.drawings))
        for root in (top, top + "//", os.path.relpath(top, own), self.folder, "/"):
            with self.subTest(root=root):
                self.from_own(*arguments, "--root", root)
                self.assertEqual(self.drawn_names(), ["a.overlay.jpg", "b.overlay.jpg"])
        os.makedirs(top[:-1])  # whose name is how that of the pictures' folder begins
        for root, drawn in ((os.path.join(top, "deep"), ["b.overlay.jpg"]), (top[:-1], []), (".", [])):
            with self.subTest(root=root):
                self.from_own(*arguments, "--root", root, code=3, texts=["%s/a.png: is not below %s" % (top, root)])
                self.assertEqual(self.drawn_names(), drawn)
        self.from_own(*arguments, "--root", "gone", code=1, texts=["gone: No such file"])
        # From above, nothing is to be said.
        self.render()
        self.assertEqual(self.drawn_names(), ["a.overlay.jpg", "b.overlay.jpg"])

    def test_paths_that_go_up_need_a_root(self):
        self.place("z.png")
        self.draw("a.png", "b.png")
        arguments = ["render", self.result, "-o", self.drawings]
        self.from_own("sweep", self.model, "../in", "-o", self.result, "--preset", "unit", "-q")
        self.from_own(*arguments, code=2, texts=["its list names ../in/a.png, which is not below", "give --root DIR"])
        self.from_own(*arguments, "--root", "../in")
        self.assertEqual(self.drawn_names(), ["a.overlay.jpg", "b.overlay.jpg"])
        self.from_own("sweep", self.model, "../in/a.png", "..//in/b.png", "-o", self.result, "--preset", "unit", "-q", "--restart")
        self.from_own(*arguments, code=2, texts=["in/a.png, which is not below", "give --root DIR"])
        self.from_own(*arguments, "--root", "..")
        self.assertEqual(self.drawn_names(), ["a.overlay.jpg", "b.overlay.jpg"])
        self.from_own("sweep", self.model, "../own/../in/a.png", "-o", self.result, "--preset", "unit", "-q", "--restart")
        self.from_own(*arguments, "--root", "..", code=3, texts=["../own/../in/a.png: is not below .., where --root says"])
        self.assertEqual(self.drawn_names(), [])
        # Where a list started from is the run's word as well.
        self.write("list.csv", b"path\nin/a.png\n")
        self.from_own("sweep", self.model, "../list.csv", "-o", self.result, "--preset", "unit", "-q", "--restart")
        self.from_own(*arguments, code=2, texts=["its list names ../in/a.png, which is not below"])
        self.from_own(*arguments, "--root", "..")
        self.assertEqual(self.drawn_names(), ["a.overlay.jpg"])

    def test_links_lead_nowhere_but_below_a_root(self):
        own = self.place("a.png")
        secret = self.draw("secret.png")
        os.symlink(secret, os.path.join(own, "link"))
        self.from_own("sweep", self.model, "a.png", "link/secret.png", "-o", self.result, "--preset", "unit", "-q")
        arguments = ["render", self.result, "-o", self.drawings]
        self.from_own(*arguments, code=2, texts=["its list names ./link/secret.png, which is not below the current folder"])
        self.assertFalse(os.path.exists(self.drawings))
        self.from_own(*arguments, "--root", ".")
        self.assertEqual(self.drawn_names(), ["a.overlay.jpg", "secret.overlay.jpg"])

    def test_maps_that_are_no_maps(self):
        top = self.draw("a.png", "b.png", "c.png", "d.png", "e.png")
        self.kept(top, "--preset", "unit")
        at = lambda name: os.path.join(self.result, "maps/000/%s.npy" % name)
        secret = self.write("secret.npy", self.read(at("e")))
        os.remove(at("a"))
        os.symlink(secret, at("a"))
        os.remove(at("b"))
        self.spoil(at("c"))
        whole = self.read(at("d"))
        with open(at("d"), "wb") as f:
            f.write(whole[:-4] + struct.pack("<f", float("nan")))
        self.render(code=3, texts=["maps/000/a.npy: is a link", "maps/000/b.npy: is missing", "maps/000/c.npy: ",
                                   "maps/000/d.npy: is NaN or infinite at pixel "])
        self.assertEqual(os.listdir(os.path.join(self.drawings, "overlays/000")), ["e.overlay.jpg"])

    def test_maps_that_would_take_more_memory_than_they_may(self):
        """Some hundred bytes a thousandfold, and what is packed in another way than salmap packs."""
        top = self.draw("a.png", "b.png", "c.png", "d.png", "e.png")
        self.kept(top, "--preset", "unit", "--maps", "npz", "--overlays", "none")
        at = lambda name: os.path.join(self.result, "maps/000/%s.npz" % name)
        large = files.npy((4000, 3000), [0.0] * 12000000)
        small = files.npy((192, 192), [0.5] * 192 * 192)
        packed = {"a": files.npz("map.npy", large), "b": files.npz("map.npy", small, zipfile.ZIP_LZMA),
                  "c": files.npz("map.npy", small[:200] + os.urandom(9 << 20), zipfile.ZIP_STORED), "d": files.npz("x.npy", small)}
        self.assertLess(len(packed["a"]), 100000)
        for name, data in packed.items():
            with open(at(name), "wb") as f:
                f.write(data)
        expected = ["a.npz: map.npy in this archive has 48000128 bytes, more than the ", "--max-memory sets the limit",
                    "b.npz: map.npy in this archive is neither stored nor deflated",
                    "c.npz: has %d bytes, more than the 8388608 bytes of memory" % len(packed["c"]), "d.npz: there is no map.npy"]
        self.render("--max-memory", "8M", code=3, texts=expected)
        self.assertEqual(os.listdir(os.path.join(self.drawings, "overlays/000")), ["e.overlay.jpg"])
        sheet = ["sheet", self.result, "-o", os.path.join(self.folder, "sheet.svg"), "--max-memory", "8M"]
        done = self.check(sheet, 3, *expected)
        self.assertEqual(done.err.count("\n"), 4)
        self.check([*sheet[:-1], "200M"], 3, *expected[2:3], absent=expected[:1])
        self.check([*sheet[:-2], "--max-pixels", "11999999"], 3, "a.npz: ", "3000 x 4000 pixels, the limit is 11999999 pixels")

    def test_overlays_that_would_take_more_memory_than_they_may(self):
        top = self.draw("a.png", "b.png")
        self.sweep(top, "--preset", "unit", "--overlay-format", "png", model=self.model)
        with open(os.path.join(self.result, "overlays/000/a.overlay.png"), "wb") as f:
            f.write(files.png(4000, 3000, [bytes(12000)] * 3000))
        self.check(["sheet", self.result, "-o", os.path.join(self.folder, "sheet.svg"), "--max-memory", "8M"], 3, "a.overlay.png: ",
                   "4000 x 3000 pixels of 3 channels take ", "--max-memory sets it")

    def test_what_is_refused(self):
        top = self.draw("a.png")
        self.sweep(top, "--preset", "unit", model=self.model)
        self.check(["render", self.result], 2, "no output folder: give -o DIR")
        before = self.snapshot()
        self.check(["render", self.result, "-o", self.result], 2, self.result + " is a run folder", "choose another folder")
        self.assert_same_files(self.snapshot(), before)
        self.render("--figures-only", code=2, texts=["neither overlays nor figures"])
        self.render("--panel-size", "100", code=2, texts=["--panel-size: only figures have panels; give --figure as well"])
        for option, value in (("--overlay-format", "jpeg"), ("--overlay-size", "100")):
            self.render("--figure", "--figures-only", option, value, code=2, texts=[option + ": --figures-only draws no overlays"])
        os.environ["FONTCONFIG_FILE"] = self.write("fonts.conf", b"<fontconfig></fontconfig>")
        self.addCleanup(os.environ.pop, "FONTCONFIG_FILE", None)
        self.render("--figure", code=1, texts=["there is no font on this machine"])
        del os.environ["FONTCONFIG_FILE"]
        self.assertFalse(os.path.exists(self.drawings))
        self.sweep(top, "--preset", "unit", "--maps", "none", "--restart", model=self.model)
        self.render(code=2, texts=["keeps no maps"])
        os.remove(os.path.join(self.result, "manifest.csv"))
        self.render(code=1, texts=["manifest.csv in it, which say where its pictures are"])
        self.check(["render", self.folder, "-o", self.drawings], 1)

    def test_no_picture_is_drawn_over(self):
        """Pictures that lie where the drawings would go."""
        place = os.path.join(self.drawings, "overlays/000")
        os.makedirs(place)
        self.draw("a.png", "a.overlay.jpg", folder=place)
        before = self.files_of(place)
        self.kept(place, "--preset", "unit")
        self.render(code=2, texts=["lies where drawings go", "choose another folder"])
        self.assert_same_files(self.files_of(place), before)

    def test_no_picture_behind_a_link_is_drawn_over(self):
        top = self.draw("a.png")
        place = os.path.join(self.drawings, "overlays/000")
        os.makedirs(place)
        os.rename(os.path.join(top, "a.png"), os.path.join(place, "a.overlay.png"))
        os.symlink(os.path.join(place, "a.overlay.png"), os.path.join(top, "a.png"))
        before = self.files_of(place)
        self.kept(top, "--preset", "unit")
        self.render("--overlay-format", "png", code=2, texts=["a.png: lies where drawings go", "choose another folder"])
        self.assert_same_files(self.files_of(place), before)

    def test_no_picture_behind_a_link_of_the_drawings_is_drawn_over(self):
        top = self.draw("000/a.overlay.jpg", "000/b.overlay.jpg")
        before = self.files_of(os.path.join(top, "000"))
        os.makedirs(self.drawings)
        self.kept(top, "--preset", "unit")
        for kind in ("overlays", "figures"):
            with self.subTest(kind=kind):
                os.symlink(top, os.path.join(self.drawings, kind))
                self.render(code=2, texts=["a.overlay.jpg: lies where drawings go", "choose another folder"])
                os.remove(os.path.join(self.drawings, kind))
        self.assert_same_files(self.files_of(os.path.join(top, "000")), before)
        os.symlink("gone", os.path.join(self.drawings, "figures"))
        self.render()
        self.assertEqual(len(os.listdir(os.path.join(self.drawings, "overlays/000"))), 2)

    def test_where_a_picture_lies_must_be_known(self):
        """Of a folder that may not be entered it is not: it could be a link to where drawings go."""
        top = self.draw("a.png", "closed/b.png")
        self.kept(top, "--preset", "unit")
        os.makedirs(self.drawings)
        closed = os.path.join(top, "closed")
        os.chmod(self.folder, 0o777)
        os.chmod(self.drawings, 0o777)
        os.chmod(closed, 0o000)
        others = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
        try:
            done = subprocess.run([SALMAP, "render", self.result, "-o", self.drawings], cwd=self.folder, capture_output=True,
                                  text=True, timeout=300, **others)
        except PermissionError as error:
            self.skipTest("nobody but root may run salmap here: %s" % error)
        finally:
            os.chmod(closed, 0o755)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("closed/b.png: cannot tell where it lies: Permission denied", done.stderr)
        self.assertEqual(os.listdir(self.drawings), [])

    def test_the_runs_own_overlays_stay_wherever_they_are(self):
        self.kept(self.draw("a.png"), "--preset", "unit")
        os.makedirs(os.path.join(self.folder, "disk"))
        there = os.path.join(self.folder, "disk/overlays")
        os.rename(os.path.join(self.result, "overlays"), there)
        os.symlink(there, os.path.join(self.result, "overlays"))
        before = self.files_of(os.path.join(there, "000"))
        for out, name in ((os.path.dirname(there), "overlays"), (there, "overlays"), (os.path.join(self.result, "maps"), "maps")):
            with self.subTest(out=out):
                self.check(["render", self.result, "-o", out, "--colormap", "turbo"], 2, "lies among the run's own " + name)
        self.assert_same_files(self.files_of(os.path.join(there, "000")), before)

    def test_a_path_as_long_as_paths_may_be(self):
        """Of a picture that is not there: it failed."""
        self.draw("a.png")
        deep = "/" + "x/" * 2047
        listed = self.write("list.csv", ("path\nin/a.png\n%sa.png\n" % deep).encode())
        os.makedirs(self.drawings)
        self.kept(listed, "--preset", "unit", code=3)
        self.assertEqual(self.render("--root", self.folder).out, "1 of 1 pictures drawn, 0 failed -> %s\n" % self.drawings)


if __name__ == "__main__":
    main(sys.modules[__name__])
