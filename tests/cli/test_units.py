"""Maps that do not depend on the unit of the output, and runs of versions whose maps did."""

import hashlib
import json
import math
import os
import shutil
import sqlite3
import struct
import sys

import files
from harness import MODEL, SCALE, Case, main
from sweep_case import SweepCase, float32
from test_models import small_weights


def scaled_demo(path, factor, *names):
    """The demo network with the last layer's weights times a number."""
    with open(MODEL, "rb") as f:
        data = bytearray(f.read())
    for name, begin, end in list(files.onnx_tensors(bytes(data))):
        if name in names:
            kind = "<%df" % ((end - begin) // 4)
            data[begin:end] = struct.pack(kind, *[v * factor for v in struct.unpack(kind, data[begin:end])])
    with open(path, "wb") as f:
        f.write(data)
    shutil.copy(MODEL + ".salmap", path + ".salmap")
    return path


class Units(Case):
    """A map says where, and no unit of the output changes that."""

    def maps(self, model, picture, *options):
        result = self.explain(picture, *options, model=model)[0]
        m = result["maps"][0]
        return m, self.read(m["npy"]), self.read(m["saliency"]), self.read(m["overlay"])

    def compare(self, model_of, picture, exponents, *options):
        first = self.maps(model_of(0), picture, *options)
        self.assertFalse(first[0]["flat"])
        for exponent in exponents:
            m, *kept = self.maps(model_of(exponent), picture, *options)
            self.assertEqual(float32(m["peak"]), math.ldexp(float32(first[0]["peak"]), exponent), exponent)
            for one, other in self.pairs(kept, first[1:]):
                self.assertEqual(one, other, "2^%d %s" % (exponent, options))
            self.assertEqual((m["flat"], m["faint"]), (False, False))

    def test_the_demo_network_in_other_units(self):
        def model_of(exponent):
            return scaled_demo(os.path.join(self.folder, "m.onnx"), 2.0**exponent, "age.weight", "age.bias")

        self.compare(model_of, SCALE, (-60, -20, -1, 20))
        for options in (["--signed"], ["--sigma", "0"], ["--method", "grad-cam"], ["--method", "integrated-gradients", "--steps", "5"],
                        ["--exact", "--reduce", "l2", "--modifier", "relu"]):  # fmt: skip
            self.compare(model_of, SCALE, (-60, 20), *options)

    def test_a_classifier_in_other_units(self):
        conv, bias, dense, last = small_weights()

        def model_of(exponent):
            weights = conv, bias, [v * 2.0**exponent for v in dense], [v * 2.0**exponent for v in last]
            return self.write("c.onnx", files.onnx_classifier(weights))

        picture = self.write("p.png", files.gradient_png(16, 16))
        for target in ("predicted", "margin", "index:2"):
            self.compare(model_of, picture, (-60, -20, 20, 60), "--preset", "unit", "--target", target)

    def test_colours_of_maps_as_they_are(self):
        def model_of(exponent):
            return scaled_demo(os.path.join(self.folder, "m.onnx"), 2.0**exponent, "age.weight", "age.bias")

        pictures = [self.maps(model_of(k), SCALE, "--normalize", "none")[2:] for k in (0, -40)]
        self.assertEqual(pictures[0], pictures[1])

    def test_a_small_gradient_uses_all_colours(self):
        model = scaled_demo(os.path.join(self.folder, "m.onnx"), 1e-8, "age.weight", "age.bias")
        m, *_ = self.maps(model, SCALE)
        _, values = files.read_npy(m["npy"])
        self.assertEqual((min(values), max(values)), (0.0, 1.0))
        self.assertLess(m["peak"], 1e-9)

    def sure(self, bias):
        conv, first, dense, _ = small_weights(classes=1)
        return self.write("sure.onnx", files.onnx_classifier((conv, first, dense, [bias]), "Sigmoid"))

    def test_a_sure_sigmoid(self):
        """Its probability has the gradient of its logit, times a number that a map has nothing to do with."""
        picture, given = self.write("p.png", files.gradient_png(16, 16)), ["--preset", "unit", "--sigma", "1"]
        for bias in (20.0, -20.0, 60.0):
            model = self.sure(bias)
            logit, *_ = self.maps(model, picture, *given)
            _, expected = files.read_npy(logit["npy"])
            m, *_ = self.maps(model, picture, *given, "--score", "probability")
            _, found = files.read_npy(m["npy"])
            self.assertLess(m["peak"], 1e-8)
            self.assertEqual((m["flat"], m["faint"], max(found)), (False, False, 1.0))
            self.assert_all_within(found, expected, 1e-6)

    def test_gradients_at_the_end_of_float32_are_said(self):
        picture, given = self.write("p.png", files.gradient_png(16, 16)), ["--preset", "unit"]
        for bias, flat, faint, text in ((80.0, False, True, "  faint: the gradient of output 0 is at most"),
                                        (-90.0, False, True, "explain the logit (--score logit)"),
                                        (300.0, True, False, "  flat: the probability of output 0 is so sure that its gradient is 0 in float32: explain the logit (--score logit)")):  # fmt: skip
            model = self.sure(bias)
            m, *_ = self.maps(model, picture, *given, "--score", "probability")
            self.assertEqual((m["flat"], m["faint"]), (flat, faint), bias)
            done = self.check(["explain", model, picture, *given, "--score", "probability", "-o", self.out], 0)
            self.assertIn(text, done.out)
            done = self.check(["explain", model, picture, *given, "-o", self.out], 0)
            self.assertNotIn("faint", done.out)

    def test_keras_vis_adds_its_number(self):
        _, plain = files.read_npy(self.maps(MODEL, SCALE, "--normalize", "none")[0]["npy"])
        _, found = files.read_npy(self.maps(MODEL, SCALE, "--normalize", "keras-vis")[0]["npy"])
        low, high = min(plain), max(plain)
        self.assert_all_within(found, [(v - low) / (high - low + 1e-7) for v in plain], 1e-7)
        small = scaled_demo(os.path.join(self.folder, "m.onnx"), 2.0**-20, "age.weight", "age.bias")
        _, dark = files.read_npy(self.maps(small, SCALE, "--normalize", "keras-vis")[0]["npy"])
        self.assertLess(max(dark), 0.1)


class RunsOfBefore(SweepCase):
    """Until 0.3, `--normalize minmax` meant what `keras-vis` means now, and a run did not say which."""

    def age(self, run, *databases):
        """Makes of a run with keras-vis what 0.2 would have written."""
        for name in databases:
            results = sqlite3.connect(os.path.join(run, name))
            results.execute("UPDATE run SET value = 'minmax' WHERE key = 'option.normalize'")
            results.commit()
            results.close()
        path = os.path.join(run, "run.json")
        described = json.loads(self.read(path))
        self.assertNotIn("map-arithmetic", described["settings"])
        described["settings"]["normalize"] = "minmax"
        text = "".join("%s %s\n" % setting for setting in described["settings"].items())
        marked = described["model_sha256"] + described["manifest_sha256"] + text
        described["fingerprint"] = hashlib.sha256(marked.encode()).hexdigest()
        with open(path, "w") as f:
            json.dump(described, f, indent=1)

    def begun(self):
        """A run that 0.2 began, of which two pictures are done; and the files of all four."""
        top = self.draw_many(4)
        self.sweep(top, "--normalize", "keras-vis")
        expected = self.snapshot()
        results = sqlite3.connect(os.path.join(self.result, "results.sqlite"))
        for table, column in (("predictions", "picture"), ("maps", "picture"), ("timings", "picture"), ("pictures", "id")):
            ids = sorted(row[0] for row in results.execute("SELECT DISTINCT %s FROM %s" % (column, table)))
            self.assertEqual(len(ids), 4)
            results.execute("DELETE FROM %s WHERE %s >= %d" % (table, column, ids[2]))
        results.commit()
        results.close()
        self.age(self.result, "results.sqlite")
        return top, expected

    def maps_of(self, files_of_run):
        return {name: data for name, data in files_of_run.items() if name.startswith(("maps", "overlays", "results.csv"))}

    def test_go_on_as_they_were_begun(self):
        top, expected = self.begun()
        self.sweep(top, "--normalize", "keras-vis")
        self.assert_same_files(self.maps_of(self.snapshot()), self.maps_of(expected))
        self.assertEqual(self.query("SELECT value FROM run WHERE key = 'option.normalize'"), [{"value": "minmax"}])
        done = self.check(["export", self.result], 0)
        self.assertEqual(len(done.out.splitlines()), 5)

    def test_are_never_mixed_with_other_maps(self):
        top, _ = self.begun()
        before = self.snapshot()
        self.sweep(top, code=2, texts=["the run was begun by a version that normalised maps otherwise (map-arithmetic 1, now 2): with "
                                       "--normalize minmax, the default, --normalize keras-vis goes on with it"])
        self.sweep(top, "--normalize", "keras-vis", "--sigma", "9", code=2, texts=["was begun with another --sigma: 3.84, now 9"])
        self.sweep(top, "--normalize", "signed", code=2, texts=["was begun with another --normalize: minmax, now signed"])
        self.assert_same_files(self.snapshot(), before)
        self.sweep(top, "--normalize", "keras-vis", "--restart")
        self.assertEqual(self.query("SELECT value FROM run WHERE key = 'option.normalize'"), [{"value": "keras-vis"}])

    def test_runs_of_now_are_no_runs_of_before(self):
        top = self.draw_many(3)
        self.sweep(top)
        self.assertEqual(self.query("SELECT value FROM run WHERE key = 'option.map-arithmetic'"), [{"value": "2"}])
        self.sweep(top, "--normalize", "keras-vis", code=2, texts=["was begun with another --normalize: minmax, now keras-vis"])
        self.assertNotIn("arithmetic", json.loads(self.read(os.path.join(self.result, "run.json")))["again"])

    def test_shards_are_merged(self):
        top, whole = self.begun()
        runs = [os.path.join(self.folder, "S%d" % k) for k in range(2)]
        for k, run in enumerate(runs):
            self.sweep(top, "--normalize", "keras-vis", "--shard", "%d/2" % k, run=run)
            self.age(run, "shards/%d-of-2.sqlite" % k)
        merged = os.path.join(self.folder, "merged")
        self.check(["merge", *runs, "-o", merged], 0)
        self.assert_same_files(self.maps_of(self.snapshot(merged)), self.maps_of(whole))


if __name__ == "__main__":
    main(sys.modules[__name__])
