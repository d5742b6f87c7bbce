"""Scores, targets and descriptions of models."""

import json
import math
import os
import re
import struct
import sys

import files
from harness import MODEL, SIDE, Case, main


def small_weights(hidden=4, classes=5, scale=1.0):
    """Numbers without a pattern, the same in every run."""
    state = 12345
    values = []
    for _ in range(hidden * 27 + hidden + classes * hidden + classes):
        state = (state * 1103515245 + 12345) % 2**31
        values.append(scale * (state / 2**30 - 1.0))
    cuts = [hidden * 27, hidden, classes * hidden, classes]
    return [values[sum(cuts[:i]) : sum(cuts[: i + 1])] for i in range(4)]


class Classifier:
    """What files.onnx_classifier computes, in double."""

    def __init__(self, weights, side=16):
        self.conv, self.conv_bias, self.dense, self.dense_bias = weights
        self.side = side

    def forward(self, x):
        n, hidden = self.side, len(self.conv_bias)
        self.active = []
        means = []
        for o in range(hidden):
            total = 0.0
            on = []
            for y in range(n):
                for z in range(n):
                    v = self.conv_bias[o]
                    for c in range(3):
                        for i in range(3):
                            for k in range(3):
                                if 0 <= y + i - 1 < n and 0 <= z + k - 1 < n:
                                    w = self.conv[((o * 3 + c) * 3 + i) * 3 + k]
                                    v += w * x[(c * n + y + i - 1) * n + z + k - 1]
                    on.append(v > 0)
                    total += max(v, 0.0)
            self.active.append(on)
            means.append(total / (n * n))
        return [
            b + sum(self.dense[j * hidden + o] * means[o] for o in range(hidden)) for j, b in enumerate(self.dense_bias)
        ]

    def gradient(self, seed):
        n, hidden = self.side, len(self.conv_bias)
        back = [sum(s * self.dense[j * hidden + o] for j, s in enumerate(seed)) / (n * n) for o in range(hidden)]
        g = [0.0] * (3 * n * n)
        for o in range(hidden):
            for y in range(n):
                for z in range(n):
                    if not self.active[o][y * n + z]:
                        continue
                    for c in range(3):
                        for i in range(3):
                            for k in range(3):
                                if 0 <= y + i - 1 < n and 0 <= z + k - 1 < n:
                                    w = self.conv[((o * 3 + c) * 3 + i) * 3 + k]
                                    g[(c * n + y + i - 1) * n + z + k - 1] += w * back[o]
        return g


class Targets(Case):
    """A classifier whose scores and gradients are known in double precision."""

    def setUp(self):
        super().setUp()
        weights = small_weights()
        rounded = [[struct.unpack("<f", struct.pack("<f", v))[0] for v in part] for part in weights]
        self.models = {
            last: self.write("%s.onnx" % last, files.onnx_classifier(weights, last))
            for last in ("Softmax", "Sigmoid", None)
        }
        self.picture = self.write("p.png", files.gradient_png(16, 16))
        samples = [(x * 7 + y * 3 + c * 50) % 256 for c in range(3) for y in range(16) for x in range(16)]
        self.reference = Classifier(rounded)
        self.scores = self.reference.forward([v / 255.0 for v in samples])
        top = max(self.scores)
        sums = sum(math.exp(s - top) for s in self.scores)
        self.softmax = [math.exp(s - top) / sums for s in self.scores]
        self.sigmoid = [1.0 / (1.0 + math.exp(-s)) for s in self.scores]
        self.order = sorted(range(5), key=lambda i: -self.scores[i])

    def maps(self, last, *options):
        return self.explain(self.picture, "--preset", "unit", "--save-gradient", *options, model=self.models[last])[0]

    def check_gradient(self, path, seed):
        shape, values = files.read_npy(path)
        self.assertEqual(shape, (3, 16, 16))
        expected = self.reference.gradient(seed)
        largest = max(abs(v) for v in expected)
        self.assertGreater(largest, 0.0)
        worst = max(abs(a - b) if a == a else math.inf for a, b in zip(values, expected))
        self.assertLess(worst, 2e-6 * largest)

    def one_hot(self, index):
        return [float(i == index) for i in range(5)]

    def softmax_row(self, t):
        return [self.softmax[t] * ((i == t) - self.softmax[i]) for i in range(5)]

    def test_the_prediction_is_explained_by_its_logit(self):
        for last in ("Softmax", "Sigmoid", None):
            result = self.maps(last)
            best = self.order[0]
            self.assertEqual(result["predicted"], best)
            self.assertAlmostEqual(result["score"], self.scores[best], delta=1e-5)
            self.check_gradient(result["maps"][0]["gradient"], self.one_hot(best))
            expected = {"Softmax": self.softmax[best], "Sigmoid": self.sigmoid[best], None: None}[last]
            if expected is None:
                self.assertIsNone(result["probability"])
            else:
                self.assertAlmostEqual(result["probability"], expected, delta=1e-6)

    def test_an_index_is_explained_whatever_is_predicted(self):
        for index in range(5):
            m = self.maps("Softmax", "--target", "index:%d" % index)["maps"][0]
            self.assertEqual(m["target"], index)
            self.assertAlmostEqual(m["score"], self.scores[index], delta=1e-5)
            self.check_gradient(m["gradient"], self.one_hot(index))

    def test_top_gives_one_map_per_rank(self):
        result = self.maps("Softmax", "--target", "top:5", "--figure")
        self.assertEqual([m["target"] for m in result["maps"]], self.order)
        for rank, m in enumerate(result["maps"]):
            self.assertEqual(os.path.basename(m["saliency"]), "p.top%d.saliency.png" % (rank + 1))
            self.check_gradient(m["gradient"], self.one_hot(self.order[rank]))
        self.assertEqual(len(self.outputs()), 25)

    def test_the_mean_of_all_outputs(self):
        m = self.maps("Softmax", "--target", "mean")["maps"][0]
        self.assertEqual(m["target"], -1)
        self.assertAlmostEqual(m["score"], sum(self.scores) / 5, delta=1e-5)
        self.check_gradient(m["gradient"], [0.2] * 5)

    def test_the_margin_of_the_best_output(self):
        best, second = self.order[:2]
        m = self.maps("Softmax", "--target", "margin")["maps"][0]
        self.assertEqual(m["target"], best)
        self.assertAlmostEqual(m["score"], self.scores[best] - self.scores[second], delta=1e-5)
        self.check_gradient(m["gradient"], [a - b for a, b in zip(self.one_hot(best), self.one_hot(second))])
        m = self.maps("Softmax", "--target", "margin", "--score", "probability")["maps"][0]
        self.assertAlmostEqual(m["score"], self.softmax[best] - self.softmax[second], delta=1e-6)
        self.check_gradient(m["gradient"], [a - b for a, b in zip(self.softmax_row(best), self.softmax_row(second))])
        p = self.sigmoid
        m = self.maps("Sigmoid", "--target", "margin", "--score", "probability")["maps"][0]
        self.assertAlmostEqual(m["score"], p[best] - p[second], delta=1e-6)
        self.check_gradient(m["gradient"], [((i == best) - (i == second)) * p[i] * (1 - p[i]) for i in range(5)])
        said = self.check(["explain", self.models[None], self.picture, "-o", self.out, "--preset", "unit", "--target", "margin"], 0)
        self.assertIn("explained: margin %.5g" % (self.scores[best] - self.scores[second]), said.out)

    def test_probabilities_of_a_softmax(self):
        for t in range(5):
            m = self.maps("Softmax", "--target", "index:%d" % t, "--score", "probability")["maps"][0]
            self.assertAlmostEqual(m["score"], self.softmax[t], delta=1e-6)
            self.check_gradient(m["gradient"], self.softmax_row(t))

    def test_probabilities_of_a_sigmoid(self):
        p = self.sigmoid
        m = self.maps("Sigmoid", "--target", "index:3", "--score", "probability")["maps"][0]
        self.assertAlmostEqual(m["score"], p[3], delta=1e-6)
        self.check_gradient(m["gradient"], [p[3] * (1 - p[3]) * (i == 3) for i in range(5)])
        m = self.maps("Sigmoid", "--target", "mean", "--score", "probability")["maps"][0]
        self.check_gradient(m["gradient"], [v * (1 - v) / 5 for v in p])

    def test_scores_that_make_no_sense_are_refused(self):
        base = ["explain", self.models["Softmax"], self.picture, "-o", self.out, "--score", "probability", "--preset", "unit"]
        self.check([*base, "--target", "mean"], 2, "explain: target mean with score probability: the mean of all softmax "
                   "outputs is constant, its gradient would be rounding noise; use the logit\n")
        self.check([*base, "--target", "index:5"], 2, "explain: target index 5: the model has 5 outputs, so 0 to 4\n")
        self.check([*base, "--target", "top:6"], 2, "explain: target top 6: the model has 5 outputs\n")
        self.check(["explain", MODEL, self.picture, "-o", self.out, "--target", "margin"], 2,
                   "explain: target margin: the model has 1 output, and none that it could be ahead of\n")
        base[1] = self.models[None]
        self.check(base, 2, "explain: score probability: the model ends in neither softmax nor sigmoid; explain the logit "
                   "instead\n")
        self.assertEqual(self.outputs(), [])

    def test_overflowing_scores_cost_the_picture(self):
        weights = small_weights(scale=1e30)
        model = self.write("huge.onnx", files.onnx_classifier(weights))
        black = self.write("black.png", files.png(16, 16, [bytes(48)] * 16))
        done = self.check(
            ["explain", model, self.picture, "-o", self.out, "--preset", "raw"], 3,
            "explain: %s: the network's scores for it are NaN or infinite\n" % self.picture,
        )
        self.assertRegex(done.out, r"\A0 of 1 picture done, 1 failed, in ")
        # Without bias overflow a black picture is fine, beside one that is not.
        weights[1], weights[3] = [0.0] * 4, [0.0] * 5
        model = self.write("huge.onnx", files.onnx_classifier(weights))
        results = self.explain(self.picture, black, "--preset", "raw", code=3, model=model)
        self.assertEqual([r["status"] for r in results], ["numeric", "ok"])
        self.assertTrue(results[1]["maps"][0]["flat"])

    def test_a_flat_mean_is_called_so(self):
        weights = small_weights()
        weights[2] = [0.0] * len(weights[2])
        model = self.write("flat.onnx", files.onnx_classifier(weights, "Sigmoid"))
        for score in ("logit", "probability"):
            done = self.check(["explain", model, self.picture, "-o", self.out, "--preset", "unit", "-t", "mean", "--score", score], 0)
            self.assertIn("  flat: the gradient of the mean is the same everywhere", done.out)

    def test_names_of_classes_are_cut_between_characters(self):
        for begin in ("", "x", "xx"):
            fish = "\u9c57"  # three bytes
            names = "".join("%s%s%d\n" % (begin, 60 * fish, k) for k in range(5))
            self.write("names", names.encode())
            done = self.check(["explain", self.models["Softmax"], self.picture, "-o", self.out, "--preset", "unit",
                               "--classes", "names", "-t", "top:2"], 0)
            shown = begin + (80 - len(begin)) // 3 * fish
            self.assertEqual(done.out.count(shown + " ("), 3, done.out)

    def test_rules_change_what_the_gradient_keeps(self):
        # Output 1 has weights of both signs, on units that are on and off.
        seen = {
            self.read(self.maps("Softmax", "--target", "index:1", "--rule", rule)["maps"][0]["gradient"])
            for rule in ("gradient", "guided", "deconvnet")
        }
        self.assertEqual(len(seen), 3)


class Inspect(Case):
    def test_inspect_lists_input_head_and_layers(self):
        done = self.check(["inspect", MODEL], 0)
        lines = [re.sub(" +", " ", line.strip()) for line in done.out.splitlines()]
        for line in (MODEL, "format ONNX opset 13 (pytorch 1.13.0)", "input 3 x 192 x 192 (channels, height, width)",
                     "outputs 1", "head /age/Gemm", "detached nothing: the outputs are the scores", "parameters 322 k",
                     "preprocessing %s.salmap" % MODEL, "supported yes, every layer"):
            self.assertIn(line, lines)
        layers = [line.split(" ")[:3] for line in lines if re.match(r"\d", line)]
        self.assertEqual([row[2] for row in layers], ["input"] + ["conv"] * 11 + ["reduce_mean", "reshape", "dense"])
        self.assertEqual(layers[-1], ["14", "/age/Gemm", "dense"])

    def test_inspect_json_adds_up(self):
        info = json.loads(self.check(["inspect", MODEL, "--json"], 0).out)
        self.assertEqual(info["parameters"], sum(layer["parameters"] for layer in info["layers"]))
        self.assertEqual(info["flops"], sum(layer["flops"] for layer in info["layers"]))
        self.assertEqual((info["channels"], info["height"], info["width"]), (3, SIDE, SIDE))
        self.assertTrue(info["supported"])
        self.assertEqual([layer["problem"] for layer in info["layers"]], [None] * 15)
        self.assertEqual(info["parameters"], 322209)

    def test_names_do_not_command_the_terminal(self):
        """Whatever a model calls its layers; and what is UTF-8 is printed as it is, and cut between characters."""
        data, name = self.read(MODEL), b"/coarse/coarse.3/second/second.0/Conv"
        self.assertGreater(data.count(name), 0)
        for bad, shown in (
            (b"\x1b[2J\x1b]0;t\x07", "?[2J?]0;t?"), ("\u009b31m".encode(), "??31m"), (b"\x9b31m", "?31m"), (b"a\rb", "a?b"),
            (b"a\nsalmap: fine", "a?salmap: fine"), ("Größe 魚".encode(), "Größe 魚"), (("é" * 18).encode(), "é" * 18 + "x  "),
        ):
            with self.subTest(bad=bad):
                model = self.write("m.onnx", data.replace(name, bad.ljust(len(name), b"x")))
                for command in (["inspect", model], ["plan", model, "--steps"]):
                    out = self.check(command, 0).out
                    self.assertIn(shown, out)
                    self.assertNotRegex(out, "[\\x00-\\x09\\x0b-\\x1f\\x7f-\\x9f\\udc80-\\udcff]")
                for command in (["inspect", model, "--json"], ["plan", model, "--json"]):
                    out = self.check(command, 0).out
                    self.assertNotRegex(out, "[\\x00-\\x09\\x0b-\\x1f\\x7f-\\x9f\\udc80-\\udcff]")
                    json.loads(out)
                self.check(["explain", model, os.path.join(self.folder, "nowhere\x1b[1m.png"), "-o", self.out, "--preset", "unit"], 3, "nowhere?[1m.png: ")

    def test_long_names_are_cut_by_their_columns(self):
        data, name = self.read(MODEL), b"/coarse/coarse.3/second/second.0/Conv"
        for long, cut in (("a" * 13 + "éé" + "b" * 6 + "é" + "c" * 12, "a" * 13 + "éé..bbé" + "c" * 12),
                          ("a" * 13 + "魚" + "b" * 21, "a" * 13 + "魚.." + "b" * 15),
                          ("a" * 14 + "魚" + "b" * 20, "a" * 14 + ".." + "b" * 15 + " ")):
            self.assertEqual(len(long.encode()), len(name))
            model = self.write("m.onnx", data.replace(name, long.encode()))
            done = self.check(["plan", model, "--steps"], 0)
            self.assertRegex(done.out, r"(?m)^ *\d+  %s  \w" % re.escape(cut), long)

    def test_json_is_utf8_whatever_names_hold(self):
        """A surrogate, an overlong form and what is beyond Unicode look like UTF-8, and are none."""
        data, name = self.read(MODEL), b"/coarse/coarse.3/second/second.0/Conv"
        for bad in (b"\xed\xa0\x80", b"\xe0\x80\x80", b"\xf4\x90\x80\x80", b"\xff"):
            with self.subTest(bad=bad):
                model = self.write("m.onnx", data.replace(name, bad.ljust(len(name), b"x")))
                names = [row["name"] for row in json.loads(self.check(["inspect", model, "--json"], 0).out)["layers"]]
                self.assertIn("\ufffd" * len(bad) + "x" * (len(name) - len(bad)), names)

    def test_plan_grows_with_the_batch_and_fits_its_arena(self):
        plans = [json.loads(self.check(["plan", MODEL, "--json", "--batch", b], 0).out) for b in ("1", "4")]
        self.assertEqual([p["batch"] for p in plans], [1, 4])
        self.assertGreater(plans[1]["arena_bytes"], plans[0]["arena_bytes"])
        for p in plans:
            # Twelve layers with weights and two without: forward, and all of them back; a ReLU behind each of eleven.
            self.assertEqual(len(p["steps"]), 14 + 14 + 11)
            for step in p["steps"]:
                self.assertLessEqual(step["arena_offset"] + step["output_bytes"], p["arena_bytes"])
            self.assertLess(p["kept_bytes"], p["arena_bytes"])
        text = self.check(["plan", MODEL, "--steps"], 0).out
        self.assertRegex(text, r"(?m)^  arena    \d.* [KM]iB, allocated once:$")
        self.assertEqual(len(re.findall(r"(?m)^ *\d+  /\S", text)), 39)


if __name__ == "__main__":
    main(sys.modules[__name__])
