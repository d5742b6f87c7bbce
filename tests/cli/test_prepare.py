"""How pictures become input is never guessed: who has to say it, what is refused, and where it is told."""

import json
import os
import shlex
import shutil
import sys
import zipfile

import files
from harness import MODEL, SCALE, SOURCE, Case, main
from sweep_case import SweepCase, read_rgb8
from test_models import small_weights

IMAGENET = ["--mean", "0.485,0.456,0.406", "--std", "0.229,0.224,0.225"]
IN_255 = ["--mean", "123.675,116.28,103.53", "--std", "58.395,57.12,57.375"]


class Preparation(Case):
    def bare(self):
        """The demo network without a word beside it."""
        return shutil.copy(MODEL, os.path.join(self.folder, "m.onnx"))

    def run_with(self, model, *options, picture=SCALE, code=0, texts=(), absent=()):
        return self.check(["explain", model, picture, "-o", self.out, *options], code, *texts, absent=absent)

    def score(self, model, *options):
        return self.explain(SCALE, *options, model=model)[0]["score"]

    def keras(self, case, ending=".keras"):
        with zipfile.ZipFile(os.path.join(SOURCE, "tests/golden/keras", case + ".zip")) as packed:
            return self.write(case + ending, packed.read(case + ending))

    # ---- Means and deviations that do not suit the samples

    def test_numbers_of_another_range_are_refused_with_what_is_meant(self):
        model = self.bare()
        right = ["--scale", "1/255", *IMAGENET]
        for given, meant in (
            (IN_255, ["--scale", "1", *IN_255]),
            (["--preset", "unit", *IN_255], ["--scale", "1", *IN_255]),
            (["--preset", "raw", *IMAGENET], right),
            (["--scale", "1", *IMAGENET], right),
            (["--preset", "imagenet", "--scale", "1"], right),
            (["--preset", "raw", "--std", "0.5", "--mean", "0.5"], ["--scale", "1/255", "--mean", "0.5", "--std", "0.5"]),
            (["--preset", "tf", "--mean", "127.5"], ["--scale", "1", "--mean", "127.5", "--std", "1"]),
        ):
            done = self.run_with(model, *given, code=2, texts=["probably meant: " + " ".join(meant) + "\n"])
            self.assertFalse(os.path.exists(self.out), done.err)
            self.run_with(model, *meant)
            shutil.rmtree(self.out)
        # The two right lines say the same.
        scores = [self.score(model, *line) for line in (right, IMAGENET, ["--preset", "imagenet"], ["--scale", "1", *IN_255])]
        self.assert_all_within(scores, [scores[0]] * 4, 1e-4)

    def test_numbers_within_the_range_are_taken(self):
        model = self.bare()
        for given in (["--scale", "1/127.5", "--mean", "1", "--std", "1"], ["--preset", "caffe"], ["--scale", "1", "--std", "255", "--mean", "0"],
                      ["--scale", "-1/255", "--mean", "-0.5", "--std", "0.5"], ["--preset", "raw", "--mean", "100"],
                      ["--scale", "1/255", "--mean", "0", "--std", "1"]):  # fmt: skip
            self.run_with(model, *given)

    def test_float_pictures_have_a_range_of_their_own(self):
        model = self.bare()
        unit = self.write("unit.npy", files.npy((32, 32, 3), [i % 256 / 255 for i in range(3072)]))
        wide = self.write("wide.npy", files.npy((32, 32, 3), [float(i * 7 % 4000) for i in range(3072)]))
        self.run_with(model, "--scale", "1", *IMAGENET, picture=unit)
        self.run_with(model, "--scale", "1", "--mean", "1500", "--std", "600", picture=wide)
        self.run_with(model, "--mean", "1500", "--std", "600", picture=wide, code=2, texts=["of float pictures with such values say --scale 1"])
        self.run_with(model, "--scale", "1", "--mean", "1500", "--std", "600", code=2, texts=["lie beyond 0..255"])

    # ---- Sidecars

    def test_a_sidecar_that_says_otherwise_stays(self):
        model = self.bare()
        side = model + ".salmap"
        self.run_with(model, "--preset", "tf", "--save-preprocess")
        kept = self.read(side)
        for given in (["--preset", "unit"], ["--mean", "0.3"], ["--fit", "letterbox"]):
            self.run_with(model, *given, "--save-preprocess", code=2, texts=["--save-preprocess: %s is there and says otherwise (fit stretch, "
                                                                             "order auto, " % side, "; --force replaces it"])
            self.assertEqual(self.read(side), kept)
        self.run_with(model, "--preset", "tf", "--save-preprocess", absent=["note"])
        self.assertEqual(self.read(side), kept)
        self.run_with(model, "--preset", "unit", "--save-preprocess", "--force", absent=["note"])
        self.assertNotEqual(self.read(side), kept)
        self.write("m.onnx.salmap", b"fit nonsense\n")
        self.run_with(model, "--preset", "tf", "--save-preprocess", code=2, texts=["(it cannot be read); --force replaces it"])
        self.run_with(model, "--preset", "tf", "--save-preprocess", "--force")
        self.assertEqual(self.read(side), kept)

    def test_a_preset_beside_another_sidecar_is_said(self):
        model = self.bare()
        self.run_with(model, "--preset", "tf", "--save-preprocess", absent=["note"])
        self.run_with(model, absent=["note"])
        self.run_with(model, "--preset", "tf", absent=["note"])
        self.run_with(model, "--mean", "0.9", absent=["note"])
        self.run_with(model, "--preset", "unit", texts=["note: --preset unit counts, though %s.salmap says otherwise (" % model])

    # ---- What the network says

    def test_who_divides_by_255_is_given_pictures_as_they_are(self):
        for case, ending in (("prepared_tf", ".keras"), ("prepared_tf", ".k2.h5")):
            model = self.keras(case, ending)
            described = json.loads(self.check(["inspect", model, "--json"], 0).out)
            self.assertIsNotNone(described["rescales"])
            done = self.run_with(model, texts=["note: %s: its layer %s rescales, so samples go in as 0..255 (preset raw); how its pictures were "
                                               "resized is not known: --recipe " % (model, described["rescales"])])  # fmt: skip
            self.assertEqual(done.err.count("note"), 1)
            self.assertEqual(self.score(model), self.score(model, "--preset", "raw"))
            self.run_with(model, "--preset", "unit", texts=["takes samples of 0..255, and --preset unit changes them before it"])

    def test_who_only_looks_like_it_is_not(self):
        for case in ("prepared_caffe", "stack_valid", "named_as_vgg"):
            model = self.keras(case)
            self.assertIsNone(json.loads(self.check(["inspect", model, "--json"], 0).out)["rescales"])
            self.run_with(model, code=2, texts=["nobody says how its pictures become input"])

    def edited(self, case, change):
        """A .keras file whose configuration is changed in place."""
        path = self.keras(case)
        with zipfile.ZipFile(path) as packed:
            parts = {name: packed.read(name) for name in packed.namelist()}
        config = json.loads(parts["config.json"])
        change(config["config"]["layers"])
        parts["config.json"] = json.dumps(config).encode()
        with zipfile.ZipFile(path, "w") as packed:
            for name, data in parts.items():
                packed.writestr(name, data)
        return path

    def test_who_divides_later_is_not_certain(self):
        """After a layer that computes, pictures are not as they came."""

        def rescales_before(layers):
            first = next(i for i, layer in enumerate(layers) if layer["class_name"] == "Rescaling")
            layers[first]["config"].update(scale=1 / 127.5, offset=-1)
            to_255 = json.loads(json.dumps(layers[first]))
            to_255["config"].update(name="to_255", scale=255.0, offset=0.0)
            layers.insert(first, to_255)

        def normalizes_before(layers):
            first = next(i for i, layer in enumerate(layers) if layer["class_name"] == "Rescaling")
            layers[first]["config"].update(scale=1 / 127.5, offset=-1)
            layers[first], layers[first + 1] = layers[first + 1], layers[first]
            self.assertEqual(layers[first]["class_name"], "Normalization")

        def is_divided(layers):
            division = next(layer for layer in layers if layer["class_name"] == "TrueDivide")
            division["inbound_nodes"][0]["args"].reverse()

        for change in (rescales_before, normalizes_before):
            with self.subTest(change=change.__name__):
                model = self.edited("rescaling_normalization", change)
                self.assertIsNone(json.loads(self.check(["inspect", model, "--json"], 0).out)["rescales"])
                self.run_with(model, code=2, texts=["nobody says how its pictures become input"])
                self.run_with(model, "--preset", "unit", absent=["takes samples of 0..255"])
        same = self.edited("prepared_tf", lambda layers: None)
        self.assertIsNotNone(json.loads(self.check(["inspect", same, "--json"], 0).out)["rescales"])
        divided = self.edited("prepared_tf", is_divided)
        self.assertIsNone(json.loads(self.check(["inspect", divided, "--json"], 0).out)["rescales"])
        self.run_with(divided, code=2, texts=["nobody says how its pictures become input"])

    # ---- Where it is told

    def test_json_tells_what_was_done_and_who_said_so(self):
        model = self.bare()
        for given, origin, values in (
            (["--preset", "tf"], "--preset tf", "order auto, crop-resize 0, fill 0, scale 0.00784313772, mean 1, std 1"),
            (["--scale", "1/255", "--fit", "letterbox"], "--fit letterbox, --scale 1/255", "fit letterbox, order auto, "),
        ):
            result = self.explain(SCALE, *given, model=model)[0]
            self.assertEqual(result["preprocess_origin"], origin)
            self.assertIn(values, result["preprocess"])
        result = self.explain(SCALE)[0]
        self.assertEqual(result["preprocess_origin"], MODEL + ".salmap")
        self.assertIn("order rgb, crop-resize 0, fill 0, scale 0.00392156886, mean 0.800000012, std 0.200000003", result["preprocess"])
        self.assertEqual(self.explain(SCALE, "--mean", "0.7")[0]["preprocess_origin"], MODEL + ".salmap, --mean 0.7")

    def test_figures_tell_it(self):
        """Two origins of the same input make two figures, and the same maps."""
        model, drawn = self.bare(), []
        for given in (["--preset", "unit"], ["--scale", "1/255"]):
            m = self.explain(SCALE, *given, "--figure", model=model)[0]["maps"][0]
            drawn.append((self.read(m["figure"]), self.read(m["npy"]), self.read(m["overlay"])))
        self.assertNotEqual(drawn[0][0], drawn[1][0])
        self.assertEqual(drawn[0][1:], drawn[1][1:])


class InspectedPictures(Case):
    """salmap inspect --picture: the input as a picture, its range, and what the presets would make of it."""

    def setUp(self):
        super().setUp()
        self.levels = [bytes((3 * x + 5 * y + 40 * c) % 200 + 20 for x in range(192) for c in range(3)) for y in range(192)]
        self.picture = self.write("p.png", files.png(192, 192, self.levels))
        self.model = shutil.copy(MODEL, os.path.join(self.folder, "m.onnx"))
        self.png = os.path.join(self.folder, "input.png")

    def rows(self, *options, model=None):
        done = self.check(["inspect", model or self.model, "--picture", self.picture, "--json", *options], 0)
        return json.loads(done.out)["preparations"]

    def test_ranges_and_predictions_are_those_of_a_run(self):
        samples = b"".join(self.levels)
        rows = {row["origin"]: row for row in self.rows()}
        self.assertEqual(list(rows), ["--preset " + name for name in ("imagenet", "unit", "caffe", "tf", "raw")]
                         + ["--recipe " + name for name in ("keras-image-dataset", "torchvision", "timm")])
        for name, scale, mean in (("unit", 1 / 255, 0), ("tf", 1 / 127.5, 1), ("raw", 1, 0)):
            row, values = rows["--preset " + name], [v * scale - mean for v in samples]
            average = sum(values) / len(values)
            spread = (sum((v - average) ** 2 for v in values) / len(values)) ** 0.5
            found = [row[key] for key in ("least", "greatest", "mean", "std")]
            self.assert_all_within(found, [min(values), max(values), average, spread], 2e-4 * 255 * scale)
            result = self.explain(self.picture, "--preset", name, model=self.model)[0]
            self.assertEqual(row["preprocess"], result["preprocess"])
            self.assertAlmostEqual(row["score"], result["score"], delta=1e-3 * max(1, abs(result["score"])))
            self.assertFalse(row["own"])

    def test_the_input_is_drawn_as_it_goes_in(self):
        for options, turn in ((["--preset", "unit"], lambda row: row), (["--preset", "raw", "--order", "bgr"], lambda row: bytes(row[i - i % 3 + 2 - i % 3] for i in range(len(row))))):  # fmt: skip
            first = self.rows(*options, "-o", self.png)[0]
            self.assertTrue(first["own"])
            self.assertEqual(first["origin"], "--preset unit" if "unit" in options else "--preset raw, --order bgr")
            width, height, drawn = read_rgb8(self.png)
            self.assertEqual((width, height), (192, 192))
            low, high = min(map(min, self.levels)), max(map(max, self.levels))
            expected = [(v - low) / (high - low) * 255 for row in self.levels for v in turn(row)]
            self.assert_all_within(list(drawn), expected, 0.51)

    def test_a_table_for_people(self):
        done = self.check(["inspect", MODEL, "--picture", self.picture], 0)
        self.assertIn("\n> ", done.out)
        self.assertIn("salmap   ", done.out)
        self.assertRegex(done.out, "\n  --preset raw  +20 +219 +[0-9.]+ +[0-9.]+  value ")
        self.assertNotIn("Nobody says", done.out)
        done = self.check(["inspect", self.model, "--picture", self.picture], 0)
        self.assertNotIn("\n> ", done.out)
        self.assertIn("Nobody says yet which of them is right", done.out)

    def test_a_preset_of_three_channels_and_a_gray_network(self):
        weights = small_weights()
        gray = weights[0][: 4 * 9]
        tensors = [files.onnx_tensor("w", (4, 1, 3, 3), gray), files.onnx_tensor("d", (4, 2), [float(i) for i in range(8)])]
        nodes = [files.onnx_node("Conv", ["x", "w"], "c", [files.onnx_ints("kernel_shape", [3, 3]), files.onnx_ints("pads", [1] * 4)]),
                 files.onnx_node("GlobalAveragePool", ["c"], "p"), files.onnx_node("Flatten", ["p"], "f"),
                 files.onnx_node("MatMul", ["f", "d"], "y")]  # fmt: skip
        graph = b"".join(files.put(1, n) for n in nodes) + files.put(2, "gray") + b"".join(files.put(5, t) for t in tensors)
        graph += files.put(11, files.onnx_value("x", (1, 1, 16, 16))) + files.put(12, files.onnx_value("y", (1, 2)))
        model = self.write("gray.onnx", files.put(1, 7) + files.put(7, graph) + files.put(8, files.put(1, "") + files.put(2, 13)))
        rows = {row["origin"]: row for row in self.rows("--preset", "unit", "-o", self.png, model=model)}
        self.assertIn("1 channels", rows["--preset imagenet"]["problem"])
        self.assertIsNone(rows["--preset raw"]["problem"])
        self.assertEqual(files.png_size(self.png), (16, 16))

    def test_what_cannot_be_looked_at(self):
        self.check(["inspect", self.model, "--picture", self.picture, "-o", self.png], 2, "nobody says how its pictures become input")
        self.check(["inspect", self.model, "--preset", "unit"], 2, "are for --picture FILE")
        self.check(["inspect", self.model, "-o", self.png], 2, "are for --picture FILE")
        self.check(["inspect", self.model, "--picture", self.write("bad.png", b"?")], 1, "bad.png: ")
        self.check(["inspect", self.model, "--picture", self.picture, "--preset", "unit", "-o", "/proc/x.png"], 1, "/proc/")
        self.assertFalse(os.path.exists(self.png))

    def test_what_is_read_is_never_overwritten(self):
        link, model = os.path.join(self.folder, "link.png"), os.path.join(self.folder, "m.png")
        os.symlink(self.picture, link)
        shutil.copy(self.model, model)
        for network, out in ((self.model, self.picture), (self.model, link), (self.model, self.model), (model, model), (self.model, "in.txt")):
            before = {name: open(os.path.join(self.folder, name), "rb").read() for name in os.listdir(self.folder)}
            self.check(["inspect", network, "--picture", self.picture, "--preset", "unit", "-o", out], 2, "neither the picture nor the model")
            self.assertEqual({name: open(os.path.join(self.folder, name), "rb").read() for name in os.listdir(self.folder)}, before)

    def test_options_without_a_picture_are_refused(self):
        for option in ("--recipe", "--resample", "--pages", "--depth"):
            self.check(["inspect", self.model, option, "1"], 2, "are for --picture FILE")


class PreparedRuns(SweepCase):
    def test_a_run_tells_where_its_preprocessing_comes_from(self):
        weights = small_weights()
        model = self.write("c.onnx", files.onnx_classifier(weights))
        top = self.draw_many(2)
        self.sweep(top, model=model, code=2, texts=["nobody says how its pictures become input"])
        self.assertFalse(os.path.exists(self.result))
        done = self.sweep(top, "--preset", "unit", "--json", model=model)
        start = json.loads(done.out.splitlines()[0])
        self.assertEqual(start["preprocess_origin"], "--preset unit")
        self.assertIn("scale 0.00392156886", start["preprocess"])
        with open(os.path.join(self.result, "run.json")) as f:
            run = json.load(f)
        self.assertEqual(run["preprocess_origin"], "--preset unit")
        # The same numbers from elsewhere are the same run: it goes on, and its origin stays what it was.
        self.sweep(top, "--scale", "1/255", model=model)
        with open(os.path.join(self.result, "run.json")) as f:
            self.assertEqual(json.load(f), run)

    def test_a_run_is_made_again_whatever_the_sidecar_says(self):
        model = self.write("c.onnx", files.onnx_classifier(small_weights()))
        top = self.draw_many(2)
        self.sweep(top, "--preset", "unit", model=model)
        self.write("c.onnx.salmap", b"preset raw\nmean 9\nstd 8\nresample nearest\nround passes\nalpha-over drop\n")
        with open(os.path.join(self.result, "run.json")) as f:
            words = shlex.split(json.load(f)["again"].replace("AGAIN", "again"))
        self.check(words[1:], 0)
        for name in ("results.csv", "manifest.csv"):
            self.assertEqual(self.read(os.path.join(self.folder, "again", name)), self.read(os.path.join(self.result, name)))

    def test_what_was_not_said_is_named_as_its_option_takes_it(self):
        model = self.write("c.onnx", files.onnx_classifier(small_weights()))
        top = self.draw_many(1)
        self.sweep(top, "--preset", "unit", model=model)
        for option, unsaid, other in (("resample", "bilinear", "area"), ("antialias", "on", "off"), ("round", "none", "once"),
                                      ("grid", "half-pixel", "align-corners"), ("crop-share", "0", "0.5"),
                                      ("crop-round", "even", "down"), ("jpeg-dct", "accurate", "fast"), ("exif", "auto", "apply"),
                                      ("alpha-over", "auto", "black"), ("pages", "auto", "first"), ("depth", "stored", "12")):  # fmt: skip
            more = ["--antialias", "off"] if option == "grid" else []
            texts = ["another --%s: %s, now %s; " % (option, unsaid, other)] if not more else []
            self.sweep(top, "--preset", "unit", "--" + option, other, *more, model=model, code=2, texts=texts)
            self.sweep(top, "--preset", "unit", "--" + option, unsaid, model=model)


if __name__ == "__main__":
    main(sys.modules[__name__])
