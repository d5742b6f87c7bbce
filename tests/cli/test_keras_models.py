"""Keras files that are as they should be: what is said of them, and which part of them is explained."""

import json
import os
import sys
import zipfile

from harness import SCALE, SOURCE, Case, main

CASES = os.path.join(SOURCE, "tests/golden/keras")


class KerasModels(Case):
    def unpack(self, case, ending=".keras"):
        with zipfile.ZipFile(os.path.join(CASES, case + ".zip")) as packed:
            return self.write(case + ending, packed.read(case + ending))

    def inspect(self, path, *options, code=0):
        done = self.run_salmap("inspect", path, *options, "--json")
        self.assertEqual(done.returncode, code, done.err)
        return json.loads(done.out) if code == 0 else done.err

    def test_outputs_by_name(self):
        for ending in (".keras", ".h5"):
            model = self.unpack("outputs_two", ending)
            first = self.inspect(model)
            self.assertEqual((first["output"], first["outputs"], first["head"]), ("main", 4, "main"))
            second = self.inspect(model, "--output", "a_side")
            self.assertEqual((second["output"], second["outputs"], second["head"]), ("a_side", 2, "a_side"))
            self.assertEqual((first["other_outputs"], second["other_outputs"]), ("a_side", "main"))
            self.assertEqual(second["detached"], "softmax")
            self.check(["inspect", model, "--output", "nix"], 2, "no output nix", "main, a_side")
            done = self.run_salmap("inspect", model)
            self.assertIn("4, of main; other outputs (--output): a_side", done.out)
        only = self.unpack("stack_valid")
        self.assertIsNone(self.inspect(only)["output"])
        self.assertIsNone(self.inspect(only)["other_outputs"])
        self.inspect(only, "--output", "dense_1")
        self.check(["inspect", only, "--output", "dense"], 2, "no output dense", "dense_1")

    def test_layers_by_name(self):
        model = self.unpack("stack_valid")
        whole, inner = self.inspect(model), self.inspect(model, "--layer", "dense")
        self.assertEqual((whole["head"], whole["outputs"], whole["detached"]), ("dense_1", 5, "softmax"))
        self.assertEqual((inner["head"], inner["outputs"], inner["detached"]), ("dense", 6, None))
        self.assertLess(len(inner["layers"]), len(whole["layers"]))
        # The one that makes the scores anyway: nothing changes, and there still are probabilities.
        self.assertEqual(self.inspect(model, "--layer", "dense_1"), whole)
        self.check(["inspect", model, "--layer", "dens"], 2, "no dense or convolution layer is named dens", "dense_1", absent=["conv2d"])
        self.check(["inspect", model, "--layer", "conv2d"], 1, "conv2d", "expected one vector of scores")

    def test_layers_by_name_in_onnx(self):
        model = os.path.join(SOURCE, "data/models/scale_age_honest.onnx")
        self.assertEqual(self.inspect(model, "--layer", "/age/Gemm"), self.inspect(model))
        self.assertEqual(self.inspect(model, "--layer", "age"), self.inspect(model))

    def test_input_sizes(self):
        model = self.unpack("input_without_size")
        self.check(["inspect", model], 1, model, "no fixed size", "--input-size")
        found = self.inspect(model, "--input-size", "20x24")
        self.assertEqual((found["channels"], found["height"], found["width"]), (3, 20, 24))
        found = self.inspect(model, "--input-size", "18")
        self.assertEqual((found["height"], found["width"]), (18, 18))
        for bad in ("0", "18x", "x18", "18x18x3", "-4", "4 x 4", "18.5", "99999999"):
            self.check(["inspect", model, "--input-size", bad], 2, "--input-size", bad)
        fixed = self.unpack("stack_valid")
        self.inspect(fixed, "--input-size", "16")
        self.check(["inspect", fixed, "--input-size", "16x17"], 2, "width is fixed to 16", "17")

    def test_every_command_takes_them(self):
        model = self.unpack("outputs_two")
        base = [model, "--output", "a_side", "--preset", "unit"]
        done = self.check(["explain", *base, SCALE, "-o", self.out, "--target", "index:1"], 0)
        self.check(["explain", *base, SCALE, "-o", self.out, "--target", "index:2"], 2, "index 2", "2 outputs")
        self.check(["plan", model, "--output", "nix"], 2, "no output nix")
        run = os.path.join(self.folder, "run")
        self.check(["sweep", *base, SCALE, "-o", run], 0)
        with open(os.path.join(run, "run.json")) as f:
            self.assertIn("a_side", f.read())
        # The other output is another run.
        self.check(["sweep", model, "--preset", "unit", SCALE, "-o", run], 2, "was begun with another")
        self.check(["sweep", *base, SCALE, "-o", run], 0)

    def test_what_was_dropped_is_said(self):
        found = self.inspect(self.unpack("noise"))
        self.assertEqual(
            sorted(found["dropped"].split(", ")),
            ["ActivityRegularization", "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise", "SpatialDropout2D"],
        )
        self.assertIsNone(self.inspect(self.unpack("stack_valid"))["dropped"])
        self.assertIn("for training only", self.run_salmap("inspect", self.unpack("noise")).out)

    def test_presets_are_proposed_and_not_applied(self):
        named, rescales = self.unpack("named_as_vgg"), self.unpack("rescaling_normalization")
        self.assertEqual(self.inspect(named)["preset"], "caffe")
        self.assertEqual(self.inspect(rescales)["preset"], "raw")
        self.assertIsNone(self.inspect(self.unpack("stack_valid"))["preset"])
        self.assertIn("--preset caffe", self.run_salmap("inspect", named).out)
        self.check(["explain", named, SCALE, "-o", self.out, "--sigma", "0"], 2, "suggested: --preset caffe (the layers match VGG of "
                   "keras.applications). Give --recipe ")
        self.assertFalse(os.path.exists(self.out))
        self.check(["explain", named, SCALE, "-o", self.out, "--sigma", "0", "--preset", "unit"], 0, absent=["note"])
        # Whether pictures go through Normalization as they are is not certain: a division of samples by 255 would be.
        self.check(["explain", rescales, SCALE, "-o", self.out], *((0, "(preset raw)") if self.inspect(rescales)["rescales"] else
                   (2, "suggested: --preset raw")))
        # What is beside the model or given is nobody's guess: no proposal.
        self.check(["explain", named, SCALE, "-o", self.out, "--preset", "tf", "--save-preprocess"], 0, absent=["note"])
        self.assertNotIn("caffe", self.run_salmap("inspect", named).out)

    def test_what_prepares_pictures_itself_is_not_prepared_twice(self):
        for case in ("prepared_caffe", "prepared_torch", "prepared_tf"):
            for ending in (".keras", ".h5", ".k2.h5"):
                found = self.inspect(self.unpack(case, ending))
                self.assertEqual(found["preset"], "raw", case + ending)
                self.assertIn("prepares pictures of 0 to 255", found["preset_reason"])
        # It was adapted to pictures that nobody knows.
        adapted = self.unpack("normalization_of_all")
        self.assertIsNone(self.inspect(adapted)["preset"])
        self.assertIn("prepares its pictures itself", self.run_salmap("inspect", adapted).out)

    def test_the_configuration_beside_weights(self):
        weights = self.unpack("weights_archive", ".weights.h5")
        self.check(["inspect", weights], 1, weights, "model.to_json()", weights.replace(".weights.h5", ".json"))
        other = self.write("weights.json", b"{}")
        self.check(["inspect", weights], 1, "weights_archive.json")
        os.remove(other)
        self.unpack("weights_archive", ".json")
        self.assertIn("HDF5 with weights_archive.json", self.inspect(weights)["format"])
        # Another version's is not this one's.
        os.rename(weights, os.path.join(self.folder, "weights_archive.2.h5"))
        self.check(["inspect", os.path.join(self.folder, "weights_archive.2.h5")], 1, "weights_archive.2.json")

    def test_an_unpacked_archive(self):
        folder = os.path.join(self.folder, "unpacked")
        with zipfile.ZipFile(self.unpack("stack_valid")) as archive:
            archive.extractall(folder)
        self.check(["inspect", folder], 1, folder, "is a directory", "model.weights.h5")
        found = self.inspect(os.path.join(folder, "model.weights.h5"))
        self.assertEqual((found["head"], found["outputs"]), ("dense_1", 5))
        # Which Keras it was is said in a file of its own.
        with zipfile.ZipFile(self.unpack("activation_hard_sigmoid_2", ".k2.keras")) as archive:
            archive.extractall(folder)
        self.assertIn("Keras 2.15", self.inspect(os.path.join(folder, "model.weights.h5"))["format"])
        os.remove(os.path.join(folder, "metadata.json"))
        self.check(["inspect", os.path.join(folder, "model.weights.h5")], 1, "metadata.json")

    def test_files_that_are_only_called_so(self):
        for ending in ("h5", "hdf5", "keras"):
            self.check(["inspect", self.write("page." + ending, b"<html>not found</html>")], 1, "page." + ending, "is a web page")
            self.check(["inspect", self.write("text." + ending, b"not found")], 1, "text." + ending, "neither HDF5 nor")
        folder = os.path.join(self.folder, "saved")
        os.mkdir(folder)
        self.write("saved/saved_model.pb", b"x")
        self.check(["inspect", folder], 1, folder, "SavedModel", "model.keras")

    def test_the_file_is_named_once(self):
        model = self.unpack("refused_class_of_ones_own")
        error = self.inspect(model, code=1)
        self.assertEqual(error.count(model), 1, error)
        # Whatever it is called: here as the beginning of what is said of the layer.
        short = os.path.join(self.folder, "layer")
        os.rename(model, short)
        done = self.run_salmap("inspect", "layer")
        self.assertIn("layer: layer stochastic_depth", done.err)

    def test_what_the_back_end_cannot_run_is_said(self):
        self.assertTrue(self.inspect(self.unpack("global_max_large"))["supported"])
        folder = os.path.join(self.folder, "unpacked")
        with zipfile.ZipFile(self.unpack("stack_valid")) as archive:
            archive.extractall(folder)
        weights, config = os.path.join(folder, "model.weights.h5"), os.path.join(folder, "config.json")
        with open(config) as f:
            network = json.load(f)
        relu = next(layer for layer in network["config"]["layers"] if layer["class_name"] == "ReLU")
        relu["class_name"] = "MaxPooling2D"
        relu["config"] = {"name": relu["config"]["name"], "pool_size": [1, 257], "strides": [1, 1], "padding": "same"}
        with open(config, "w") as f:
            json.dump(network, f)
        self.assertFalse(self.inspect(weights)["supported"])
        self.assertIn("a max pool window of 1 x 257", self.run_salmap("inspect", weights).out)
        self.check(["plan", weights], 1, weights, "a max pool window of 1 x 257")


if __name__ == "__main__":
    main(sys.modules[__name__])
