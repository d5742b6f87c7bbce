"""Which files a run writes, where, and what is in them."""

import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import files
from harness import MODEL, SALMAP, SCALE, SCALES, SIDE, Case, main


class Outputs(Case):
    def test_a_folder_below_a_file_is_an_error(self):
        blocked = os.path.join(self.write("file", b""), "out")
        self.check(["explain", MODEL, SCALE, "-o", blocked], 1, blocked + ": cannot make the folder: Not a directory\n")

    def test_a_folder_that_nobody_may_write(self):
        for folder in ("/proc/self/fdinfo", "/proc"):
            self.check(["explain", MODEL, SCALE, "-o", folder], 1,
                       "explain: %s: the output folder is not writable: %s/" % (folder, folder))

    def test_nested_folders_are_made(self):
        self.out = os.path.join(self.folder, "a/b/c")
        self.explain(SCALE)
        self.assertEqual(self.outputs(), ["scale_02.npy", "scale_02.overlay.png", "scale_02.saliency.png"])

    def test_equal_stems_get_numbers(self):
        paths = []
        for folder in ("one", "two", "three"):
            os.mkdir(os.path.join(self.folder, folder))
            paths.append(self.write(folder + "/a.png", files.gradient_png(32, 32, len(paths) + 1)))
        results = self.explain(*paths)
        names = [os.path.basename(r["maps"][0]["npy"]) for r in results]
        self.assertEqual(names, ["a.npy", "a-2.npy", "a-3.npy"])
        self.assertEqual(len({files.read_npy(r["maps"][0]["npy"])[1] for r in results}), 3)

    def test_numbered_names_avoid_those_that_exist(self):
        for folder in ("one", "two"):
            os.mkdir(os.path.join(self.folder, folder))
        first = self.write("one/a-2.png", files.gradient_png(32, 32))
        second = self.write("one/a.png", files.gradient_png(32, 32))
        third = self.write("two/a.png", files.gradient_png(32, 32))
        results = self.explain(first, second, third)
        names = [os.path.basename(r["maps"][0]["npy"]) for r in results]
        self.assertEqual(names, ["a-2.npy", "a.npy", "a-3.npy"])

    def test_inputs_are_never_overwritten(self):
        os.mkdir(self.out)
        data = files.npy((32, 32), [float(i) for i in range(1024)])
        path = self.write("out/b.npy", data)
        results = self.explain(path)
        self.assertEqual(os.path.basename(results[0]["maps"][0]["npy"]), "b-2.npy")
        self.assertEqual(self.read(path), data)

    def test_inputs_that_links_lead_to_are_never_overwritten(self):
        for folder in (self.out, os.path.join(self.folder, "links")):
            os.mkdir(folder)
        data = files.npy((32, 32), [float(i) for i in range(1024)])
        path = self.write("out/b.npy", data)
        link = os.path.join(self.folder, "links/b.npy")
        os.symlink(path, link)
        results = self.explain(link)
        self.assertEqual(os.path.basename(results[0]["maps"][0]["npy"]), "b-2.npy")
        self.assertEqual(self.read(path), data)

    def test_models_are_never_overwritten(self):
        os.mkdir(self.out)
        data = self.read(MODEL)
        model = self.write("out/scale_02.npy", data)
        results = self.explain(SCALE, "--preset", "unit", model=model)
        self.assertEqual(os.path.basename(results[0]["maps"][0]["npy"]), "scale_02-2.npy")
        self.assertEqual(self.read(model), data)

    def test_a_file_that_grows_beyond_the_limit_is_an_error(self):
        code = "import resource, os, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000)); os.execv(sys.argv[1], sys.argv[1:])"
        done = subprocess.run([sys.executable, "-c", code, SALMAP, "explain", MODEL, SCALE, "-o", self.out, "-q"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn("cannot write: File too large", done.stderr)
        self.assertEqual([name for name in self.outputs() if "tmp" in name], [])

    def test_a_picture_that_cannot_be_written_takes_nothing_along(self):
        """Its map cannot be: a folder has the name. What an earlier run wrote is replaced and stays, a file that is new goes."""
        os.makedirs(os.path.join(self.out, "scale_02.npy"))
        self.write("out/scale_02.saliency.png", b"precious")
        done = self.check(["explain", MODEL, SCALE, "-o", self.out], 3, "scale_02.npy")
        self.assertEqual(sorted(os.listdir(self.out)), ["scale_02.npy", "scale_02.saliency.png"], done.err)
        self.assertEqual(self.read(os.path.join(self.out, "scale_02.saliency.png"))[:4], b"\x89PNG")

    def test_a_folder_of_pictures_is_sorted_and_skips_results(self):
        os.mkdir(self.out)
        for name in ("c.png", "a.png", "b.png"):
            self.write("out/" + name, files.gradient_png(32, 32))
        self.write("out/readme.txt", b"no picture")
        for _ in range(2):
            results = self.explain(self.out)
            self.assertEqual([os.path.basename(r["picture"]) for r in results], ["a.png", "b.png", "c.png"])

    def test_names_that_are_no_utf8_keep_json_valid(self):
        name = os.fsencode(self.folder) + b'/sc\xff"a\\le\x01.png'
        with open(name, "wb") as f:
            f.write(files.gradient_png(16, 16))
        results = self.explain(name)
        self.assertIn('sc\ufffd"a\\le\x01.png', results[0]["picture"])

    def test_quiet_prints_nothing(self):
        done = self.check(["explain", MODEL, SCALE, "-o", self.out, "--quiet"], 0)
        self.assertEqual(done.out + done.err, "")

    def test_missing_preprocessing_is_refused(self):
        model = os.path.join(self.folder, "m.onnx")
        shutil.copy(MODEL, model)
        for given in ([], ["--fit", "letterbox"], ["--mean", "0.5"], ["--std", "0.5"], ["--save-preprocess"]):
            done = self.check(["explain", model, SCALE, SCALE, "-o", self.out, *given], 2)
            self.assertEqual(done.err, "salmap: explain: %s: nobody says how its pictures become input, and %s.salmap is not "
                             "there. Give --recipe with the loader of the training, or --preset imagenet, unit, caffe, tf or "
                             "raw, or --scale, or --mean and --std; --save-preprocess writes it down for the next time\n" % (model, model))
            self.assertFalse(os.path.exists(self.out) or os.path.exists(model + ".salmap"))
        for given in (["--preset", "tf"], ["--scale", "1/255"], ["--mean", "0.5", "--std", "0.5"]):
            self.check(["explain", model, SCALE, "-o", self.out, *given], 0, absent=["note:"])

    def test_saved_preprocessing_is_used_the_next_time(self):
        model = os.path.join(self.folder, "m.onnx")
        shutil.copy(MODEL, model)
        given = ["--preset", "tf", "--fit", "letterbox", "--fill", "128"]
        first = self.explain(SCALE, *given, "--save-preprocess", model=model)
        before = self.read(first[0]["maps"][0]["npy"])
        second = self.explain(SCALE, model=model)
        self.assertEqual(self.read(second[0]["maps"][0]["npy"]), before)
        self.assertEqual(second[0]["score"], first[0]["score"])
        self.assertNotEqual(self.explain(SCALE, "--preset", "raw", model=model)[0]["score"], first[0]["score"])


class Results(Case):
    def test_every_file_is_there_and_of_the_right_size(self):
        picture = self.write("wide.png", files.gradient_png(300, 120))
        result = self.explain(picture, "--figure", "--save-gradient")[0]
        m = result["maps"][0]
        self.assertEqual(files.png_size(m["saliency"]), (300, 120))
        self.assertEqual(files.png_size(m["overlay"]), (300, 120))
        self.assertEqual(files.png_size(m["figure"]), (2885, 510))
        shape, values = files.read_npy(m["npy"])
        self.assertEqual(shape, (SIDE, SIDE))
        self.assertEqual(files.read_npy(m["gradient"])[0], (3, SIDE, SIDE))
        _, plain = files.read_npy(self.explain(picture, "--normalize", "none")[0]["maps"][0]["npy"])
        low, high = min(plain), max(plain)
        self.assertGreater(high, low)
        self.assert_all_within(values, [(v - low) / (high - low) for v in plain], 6e-8)
        self.assertEqual(self.outputs(), ["wide.figure.png", "wide.gradient.npy", "wide.npy", "wide.overlay.png",
                                          "wide.saliency.png"])

    def test_figures_of_every_format(self):
        """The word behind --figure may be left out, and a name that is none of its words is a picture."""
        picture = self.write("p.png", files.gradient_png(60, 40))
        found = {}
        for given in (["--figure"], ["--figure", "png"], ["--figure=png"], ["--figure", "svg"], ["--figure=svg"], ["--figure", "pdf"]):
            m = self.explain(*given, picture)[0]["maps"][0]
            found.setdefault(given[-1][-3:].replace("ure", "png"), set()).add(self.read(m["figure"]))
            self.assertTrue(m["figure"].endswith("p.figure." + given[-1][-3:].replace("ure", "png")))
        self.assertEqual({kind: len(files) for kind, files in found.items()}, {"png": 1, "svg": 1, "pdf": 1})
        svg, pdf = *found["svg"], *found["pdf"]
        texts = [t.text for t in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]
        self.assertIn("p.png: scale_age_honest.onnx, gradient, \u03c3 3.84 px", texts)
        for text in ("picture", "saliency", "overlay", "relative attribution", "0", "0.5", "1"):
            self.assertIn(text, texts)
        self.assertTrue(texts[-1].startswith("value "), texts)
        self.assertTrue(pdf.startswith(b"%PDF-"))
        self.assertGreaterEqual(pdf.count(b"/FontFile2"), 2)
        self.assertNotIn(b"Date", pdf)
        self.check(["explain", MODEL, picture, "-o", self.out, "--figure=gif"], 2, "--figure: 'gif'", "png, svg, pdf")

    def test_panels_are_as_high_as_asked(self):
        picture = self.write("p.png", files.gradient_png(60, 60))
        for size in (64, 300):
            m = self.explain(picture, "--figure", "--panel-size", str(size))[0]["maps"][0]
            slot = max(size, 140)
            self.assertEqual(files.png_size(m["figure"]), (3 * slot + 2 * 24 + 2 * 28 + 93, max(size, 72) + 24 + 36 + 28 + 40 + 24))
        self.check(["explain", MODEL, picture, "-o", self.out, "--figure", "--panel-size", "63"], 2, "--panel-size: '63'")

    def test_bars_say_what_they_count(self):
        picture = self.write("p.png", files.gradient_png(40, 40))
        for given, text in ((["--normalize", "none"], "attribution, not normalised"), (["--signed"], "relative attribution, signed")):
            svg = self.read(self.explain(picture, "--figure", "svg", *given)[0]["maps"][0]["figure"])
            self.assertIn(b">" + text.encode() + b"</text>", svg)

    def test_a_machine_without_fonts_is_told_before_the_first_picture(self):
        os.environ["FONTCONFIG_FILE"] = self.write("fonts.conf", b"<fontconfig></fontconfig>")
        self.addCleanup(os.environ.pop, "FONTCONFIG_FILE")
        self.check(["explain", MODEL, SCALE, "-o", self.out, "--figure"], 1, "there is no font on this machine", "fonts-dejavu-core")
        self.assertEqual(self.outputs(), [])
        self.check(["explain", MODEL, SCALE, "-o", self.out], 0)

    def test_results_come_in_the_order_given(self):
        paths = sorted(os.path.join(SCALES, n) for n in os.listdir(SCALES) if n.endswith((".png", ".jpg")))[:11]
        paths = paths[::-1] + paths[:3]
        results = self.explain(*paths, "--batch", "3")
        self.assertEqual([r["picture"] for r in results], paths)

    def test_the_plain_map_is_the_reduced_gradient(self):
        options = ["--sigma", "0", "--normalize", "none", "--save-gradient"]
        m = self.explain(SCALE, *options)[0]["maps"][0]
        _, gradient = files.read_npy(m["gradient"])
        _, values = files.read_npy(m["npy"])
        n = SIDE * SIDE
        expected = tuple(max(abs(gradient[c * n + i]) for c in range(3)) for i in range(n))
        self.assertEqual(values, expected)
        self.assertGreater(max(values), 0.0)
        self.assertAlmostEqual(m["peak"], max(values), delta=1e-9)

    def test_a_picture_is_bitwise_the_same_in_any_company(self):
        others = [os.path.join(SCALES, "scale_%02d.png" % i) for i in (3, 4, 6, 7)]
        seen = set()
        for before, after in (([], []), (others[:1], others[1:]), (others[:3], []), (others, others)):
            results = self.explain(*before, SCALE, *after, "--batch", "4", "--save-gradient")
            m = results[len(before)]["maps"][0]
            seen.add((self.read(m["npy"]), self.read(m["gradient"]), self.read(m["overlay"]), m["score"]))
        self.assertEqual(len(seen), 1)

    def test_a_bad_picture_does_not_change_the_others(self):
        alone = self.explain(SCALE, "--batch", "4")[0]
        expected = self.read(alone["maps"][0]["npy"])
        results = self.explain(self.write("bad.png", b"?"), SCALE, "--batch", "4", code=3)
        self.assertEqual(self.read(results[1]["maps"][0]["npy"]), expected)
        self.assertEqual(results[1]["score"], alone["score"])

    def test_top_one_is_the_prediction(self):
        expected = self.read(self.explain(SCALE, "--batch", "1")[0]["maps"][0]["npy"])
        m = self.explain(SCALE, "--batch", "1", "--target", "top:1")[0]["maps"][0]
        self.assertEqual(os.path.basename(m["npy"]), "scale_02.top1.npy")
        self.assertEqual(self.read(m["npy"]), expected)

    def test_png_tiff_and_npy_of_one_picture_agree(self):
        rows = [bytes((x * 5 + y * 3) % 256 for x in range(96) for _ in range(3)) for y in range(96)]
        flat = b"".join(rows)
        paths = [
            self.write("p.png", files.png(96, 96, rows)),
            self.write("t.tif", files.tiff(96, 96, flat)),
            self.write("n.npy", files.npy((96, 96, 3), [float(v) for v in flat])),
        ]
        results = self.explain(*paths, "--batch", "3")
        maps = {self.read(r["maps"][0]["npy"]) for r in results}
        self.assertEqual(len(maps), 1)


class FullDisk(Case):
    def test_a_full_disk_costs_pictures_and_leaves_no_halves(self):
        disk = os.path.join(self.folder, "disk")
        os.mkdir(disk)
        command = ["mount", "-t", "tmpfs", "-o", "size=1200k", "tmpfs", disk]
        if os.geteuid() != 0 or subprocess.run(command, stderr=subprocess.DEVNULL).returncode != 0:
            self.skipTest("only root may mount a small disk")
        try:
            done = self.check(["explain", MODEL, SCALES, "-o", disk, "--json"], 3)
            results = [json.loads(line) for line in done.out.splitlines()]
            written = [r for r in results if r["status"] == "ok"]
            self.assertEqual(len(results), 24)
            # Three files of about 230 KB each together.
            self.assertIn(len(written), range(1, 6))
            for r in results:
                if r["status"] != "ok":
                    self.assertEqual(r["status"], "io")
                    self.assertRegex(r["error"], r"\A%s/scale_\d\d\.\w+(\.png)?: cannot write: No space left on device\Z" % disk)
            for r in written:
                (m,) = r["maps"]
                self.assertEqual(files.png_size(m["saliency"]), files.png_size(m["overlay"]))
                self.assertEqual(files.read_npy(m["npy"])[0], (SIDE, SIDE))
            # What else is there is whole: one of a picture's files may have found room where another did not.
            for name in os.listdir(disk):
                path = os.path.join(disk, name)
                if name.endswith(".png"):
                    files.png_size(path)
                else:
                    self.assertEqual(files.read_npy(path)[0], (SIDE, SIDE))
        finally:
            subprocess.run(["umount", disk], check=True)


if __name__ == "__main__":
    main(sys.modules[__name__])
