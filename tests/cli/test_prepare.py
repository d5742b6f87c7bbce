"""How pictures become input is never guessed: who has to say it, what is refused, and where it is told."""

import json
import os
import shutil
import sys
import zipfile

import files
from harness import MODEL, SCALE, SOURCE, Case, main
from sweep_case import SweepCase
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
            done = self.run_with(model, texts=["note: %s: its layer %s takes samples of 0..255: pictures go in as they are (preset raw)\n"
                                               % (model, described["rescales"])])  # fmt: skip
            self.assertEqual(done.err.count("note"), 1)
            self.assertEqual(self.score(model), self.score(model, "--preset", "raw"))
            self.run_with(model, "--preset", "unit", texts=["takes samples of 0..255, and --preset unit changes them before it"])

    def test_who_only_looks_like_it_is_not(self):
        for case in ("prepared_caffe", "stack_valid", "named_as_vgg"):
            model = self.keras(case)
            self.assertIsNone(json.loads(self.check(["inspect", model, "--json"], 0).out)["rescales"])
            self.run_with(model, code=2, texts=["nobody says how its pictures become input"])

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


if __name__ == "__main__":
    main(sys.modules[__name__])
