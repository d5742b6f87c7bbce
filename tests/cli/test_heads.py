"""Which part of a network makes the scores, and what is made of them: --layer and --output before tails that cannot be
computed, --at, --coral. Against PyTorch in double precision."""

import csv
import json
import os
import shutil
import sys
import tempfile
import unittest
import zipfile

import files
from harness import SOURCE, Case, main, scratch

try:
    import method_reference as reference
    import numpy as np
    import torch
    from torch import nn

    missing = None
except ImportError as error:
    missing = "%s: scripts/setup.sh --tests --references installs what is needed" % error

SIZE = (3, 12, 10)
MOST = 5e-6


class HeadCase(Case):
    """Exports networks and compares score and gradient. Has no tests of its own."""

    @classmethod
    def setUpClass(cls):
        if missing:
            raise unittest.SkipTest(missing)
        cls.models = tempfile.mkdtemp(prefix="salmap-cli-", dir=scratch())
        cls.addClassCleanup(shutil.rmtree, cls.models, ignore_errors=True)

    def setUp(self):
        super().setUp()
        self.x = np.random.RandomState(3).uniform(-1, 1, SIZE).astype(np.float32)
        self.picture = self.write("x.npy", files.npy(SIZE, self.x.ravel().tolist()))

    def network(self, tail, outputs=4, maps=False):
        """A stem of convolutions, a head `fc` that is dense or, for maps, a convolution, and what follows it."""

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.stem = nn.Conv2d(3, 6, 3, padding=1)
                self.fc = nn.Conv2d(6, outputs, 1) if maps else nn.Linear(6, outputs)

            def logits(self, x):
                x = torch.tanh(self.stem(x))
                return self.fc(x if maps else x.mean((2, 3)))

            def forward(self, x):
                return tail(self.logits(x))

        net = Net()
        rng = np.random.RandomState(outputs)
        with torch.no_grad():
            for p in net.parameters():
                p.copy_(torch.from_numpy(np.asarray(rng.standard_normal(tuple(p.shape)) * 0.5, np.float32)))
        return net.eval()

    def export(self, net, name="net.onnx"):
        path = os.path.join(self.folder, name)
        torch.onnx.export(net, torch.zeros(1, *SIZE), path, opset_version=13, input_names=["x"])
        return path

    def truth(self, net, score):
        """score: of the network and its input."""
        net = net.double()
        x = torch.from_numpy(self.x[None].astype(np.float64)).requires_grad_()
        s = score(net, x)
        s.backward()
        net.float()
        return float(s.detach()), x.grad[0].numpy()

    def compare(self, path, net, score, *options):
        expected, gradient = self.truth(net, score)
        (result,) = self.explain(self.picture, "--preset", "raw", "--save-gradient", *options, model=path)
        found = result["maps"][0]
        self.assertLessEqual(abs(found["score"] - expected), MOST * max(1.0, abs(expected)))
        self.assertLessEqual(reference.off(np.load(found["gradient"]), gradient), MOST)
        return result

    def inspect(self, path, *options):
        done = self.run_salmap("inspect", path, *options, "--json")
        self.assertEqual(done.returncode, 0, done.err)
        return json.loads(done.out)


class Tails(HeadCase):
    def test_a_layer_before_a_tail_that_cannot_be_computed(self):
        tails = {
            "ArgMax": lambda z: z.argmax(1), "TopK": lambda z: z.topk(2, 1)[1], "Cast": lambda z: (z > 0).int(),
            "ArgMax of a softmax": lambda z: z.softmax(1).argmax(1),
        }
        for name, tail in tails.items():
            net = self.network(tail)
            path = self.export(net)
            self.check(["inspect", path], 1, path, "say --layer NAME", "/fc/Gemm")
            self.compare(path, net, lambda n, x: n.logits(x)[0, 2], "--layer", "fc", "--target", "index:2")
            self.assertEqual(self.inspect(path, "--layer", "fc")["outputs"], 4, name)
        self.check(["inspect", self.export(self.network(tails["ArgMax"]))], 1, "/ArgMax (ArgMax, opset 13)")

    def test_the_softmax_of_the_layer_still_gives_probabilities(self):
        net = self.network(lambda z: (z.softmax(1), z.argmax(1)))
        path = self.export(net)
        found = self.inspect(path, "--layer", "fc")
        self.assertEqual((found["detached"], found["head"]), ("softmax", "/fc/Gemm"))
        for options in ([], ["--layer", "fc"]):
            self.compare(path, net, lambda n, x: n.logits(x).softmax(1)[0, 1], "--target", "index:1", "--score", "probability",
                         *options)
        # An activation that is no probability is none: x * sigmoid(x).
        inner = self.network(lambda z: (z * z.sigmoid()).argmax(1))
        self.assertIsNone(self.inspect(self.export(inner), "--layer", "fc")["detached"])

    def test_any_tensor_by_name(self):
        net = self.network(lambda z: z.argmax(1))
        path = self.export(net)
        self.check(["inspect", path, "--output", "nix"], 2, "no output nix")
        found = self.inspect(path, "--output", "/fc/Gemm_output_0")
        self.assertEqual((found["outputs"], found["head"], found["output"]), (4, "/fc/Gemm", "/fc/Gemm_output_0"))
        self.compare(path, net, lambda n, x: n.logits(x)[0, 3], "--output", "/fc/Gemm_output_0", "--target", "index:3")

    def test_an_op_in_the_middle_is_refused_without_a_way_out(self):
        weight = torch.ones(2, 6)
        path = self.export(self.network(lambda z: nn.functional.linear(z.topk(6, 1)[0], weight), outputs=6))
        done = self.check(["inspect", path], 1, "(TopK, opset 13)")
        self.assertNotIn("--layer", done.err)

    def test_scalars_are_scores(self):
        for name, tail in (("all", lambda z: z.squeeze()), ("both", lambda z: z.squeeze(1).squeeze(0)),
                           ("last", lambda z: z.squeeze(-1)), ("none", lambda z: z)):
            net = self.network(tail, outputs=1)
            path = self.export(net)
            self.compare(path, net, lambda n, x: n.logits(x)[0, 0])
            self.assertEqual(self.inspect(path)["outputs"], 1, name)


class KerasTails(Case):
    def model(self, change, case="stack_valid"):
        """A Keras file whose configuration is changed."""
        name = case + ".keras"
        with zipfile.ZipFile(os.path.join(SOURCE, "tests/golden/keras", case + ".zip")) as packed:
            inner = self.write("inner.zip", packed.read(name))
        path = os.path.join(self.folder, name)
        with zipfile.ZipFile(inner) as old, zipfile.ZipFile(path, "w") as new:
            for member in old.namelist():
                data = old.read(member)
                if member == "config.json":
                    config = json.loads(data)
                    change(config)
                    data = json.dumps(config)
                new.writestr(member, data)
        return path

    @staticmethod
    def append_lambda(config):
        config["config"]["layers"].append(
            {"class_name": "Lambda", "module": "keras.layers", "config": {"name": "best"}, "registered_name": None})

    def test_a_lambda_behind_the_last_dense_layer(self):
        path = self.model(self.append_lambda)
        self.check(["inspect", path], 1, "layer best (Lambda)", "--layer NAME: dense_1, dense")
        whole = self.model(lambda config: None)
        for options in (["--layer", "dense_1"], ["--layer", "dense"]):
            plain = self.run_salmap("inspect", whole, *options, "--json").out
            path = self.model(self.append_lambda)
            cut = self.run_salmap("inspect", path, *options, "--json")
            self.assertEqual(cut.returncode, 0, cut.err)
            self.assertEqual(json.loads(cut.out), json.loads(plain))
            whole = self.model(lambda config: None)
        path = self.model(self.append_lambda)
        self.check(["inspect", path, "--layer", "nix"], 1, "layer best (Lambda)")

    def test_what_another_output_needs_is_not_looked_at(self):
        def spoil(config):
            for layer in config["config"]["layers"]:
                if layer["config"]["name"] == "a_side":
                    layer["class_name"] = "Lambda"

        path = self.model(spoil, "outputs_two")
        self.check(["inspect", path, "--output", "a_side"], 1, "a_side (Lambda)")
        for options in ([], ["--output", "main"], ["--layer", "main"]):
            done = self.run_salmap("inspect", path, *options, "--json")
            self.assertEqual(done.returncode, 0, done.err)
            self.assertEqual(json.loads(done.out)["head"], "main")


class Regions(HeadCase):
    def test_elements_and_sums_of_a_map(self):
        h, w = SIZE[1:]
        for tail in (lambda z: z, lambda z: z.softmax(1)):
            net = self.network(tail, maps=True)
            path = self.export(net)
            self.check(["inspect", path], 1, "(1, 4, %d, %d)" % (h, w), "--at")
            for at, index in (("2,5,7", np.s_[2, 5, 7]), ("0,0,0", np.s_[0, 0, 0]), ("3,2:9,4:6", np.s_[3, 2:9, 4:6]),
                              (":,11,:", np.s_[:, 11, :]), ("1:3,:4,9:", np.s_[1:3, :4, 9:]), (":,:,:", np.s_[:, :, :])):
                self.compare(path, net, lambda n, x: n.logits(x)[0][index].sum(), "--at", at)
            found = self.inspect(path, "--at", "3,2:9,4:6")
            self.assertEqual((found["outputs"], found["head"], found["detached"]), (1, "/fc/Conv", None))
            self.assertIn("the sum of elements 3,2:9,4:6 of (1, 4, 12, 10)", found["score"])

    def test_probabilities_of_one_element(self):
        net = self.network(lambda z: z.sigmoid(), maps=True)
        path = self.export(net)
        self.compare(path, net, lambda n, x: n.logits(x)[0, 1, 2, 3].sigmoid(), "--at", "1,2,3", "--score", "probability")
        self.compare(path, net, lambda n, x: n.logits(x)[0, 1, 2, 3], "--at", "1,2,3")
        base = ["explain", path, self.picture, "--preset", "raw", "-o", self.out, "--score", "probability"]
        self.check([*base, "--at", "1,2:4,3"], 2, "neither softmax nor sigmoid")
        path = self.export(self.network(lambda z: z.softmax(1), maps=True))
        self.check(["explain", path, *base[2:], "--at", "1,2,3"], 2, "neither softmax nor sigmoid")

    def test_axes_are_in_the_order_of_the_file(self):
        net = self.network(lambda z: z.permute(0, 2, 3, 1), maps=True)
        path = self.export(net)
        self.compare(path, net, lambda n, x: n(x)[0, 2:5, 1:, 3].sum(), "--at", "2:5,1:,3")
        # A list of boxes, as detectors give it.
        net = self.network(lambda z: z.flatten(2).permute(0, 2, 1), maps=True)
        path = self.export(net)
        self.check(["inspect", path], 1, "--at", "0,10:20")
        self.compare(path, net, lambda n, x: n(x)[0, 100:, 2].sum(), "--at", "100:,2")
        # Of a vector, too.
        net = self.network(lambda z: z)
        path = self.export(net)
        self.compare(path, net, lambda n, x: n(x)[0, 1:3].sum(), "--at", "1:3")
        self.compare(path, net, lambda n, x: n(x)[0, 3], "--at", "3")

    def test_a_layer_of_maps(self):
        net = self.network(lambda z: z.mean((2, 3)).argmax(1), maps=True)
        path = self.export(net)
        self.compare(path, net, lambda n, x: n.logits(x)[0, 2, 3:5, 6].sum(), "--layer", "fc", "--at", "2,3:5,6")

    def test_regions_that_cannot_be(self):
        path = self.export(self.network(lambda z: z, maps=True))
        for at in ("", "1", "1,2", "1,2,3,4", "1,2,3,", "a,2,3", "1,2,-3", "1, 2,3", "1,2,3x", "1,2,1:2:3", ",,", "1,,3",
                   "1,2,99999999999999999999"):
            self.check(["inspect", path, "--at", at], 2, "at '%s'" % at, "(4, 12, 10)")
        for at in ("4,0,0", "0,12,0", "0,0,10", "0,0,:11", "0,0,10:"):
            self.check(["inspect", path, "--at", at], 2, "at '%s'" % at, "elements, 0 to")
        for at in ("0,0,5:5", "0,0,6:2", "0,:0,1"):
            self.check(["inspect", path, "--at", at], 2, "holds no element")

    def test_sweeps_know_the_region(self):
        path = self.export(self.network(lambda z: z, maps=True))
        run = os.path.join(self.folder, "run")
        base = ["sweep", path, self.picture, "--preset", "raw", "-o", run]
        self.check([*base, "--at", "1,2:4,3"], 0)
        with open(os.path.join(run, "run.json")) as f:
            text = f.read()
        self.assertIn("--at", text)
        self.assertIn("1,2:4,3", text)
        self.check([*base, "--at", "1,2:4,3"], 0)
        self.check([*base, "--at", "1,2:4,4"], 2, "was begun with another", "at")


class Ages(HeadCase):
    def coral(self, tail=lambda z: z):
        """One score with a threshold for each step, as CORAL's last layer has it."""

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.stem, self.fc = nn.Conv2d(3, 6, 3, padding=1), nn.Linear(6, 1, bias=False)
                self.steps = nn.Parameter(torch.tensor([1.5, 0.5, 0.0, -0.25, -1.5]))

            def logits(self, x):
                return self.fc(torch.tanh(self.stem(x)).mean((2, 3))) + self.steps

            def forward(self, x):
                return tail(self.logits(x))

        torch.manual_seed(5)
        return Net().eval()

    def test_the_age_of_corals_logits(self):
        for tail in (lambda z: z, lambda z: z.sigmoid()):
            net = self.coral(tail)
            path = self.export(net)
            self.compare(path, net, lambda n, x: n.logits(x).sigmoid().sum() + 2.5, "--coral", "2.5")
            self.compare(path, net, lambda n, x: n.logits(x).sigmoid().sum(), "--coral", "0")
            self.compare(path, net, lambda n, x: n.logits(x)[0, 3], "--target", "index:3")
            found = self.inspect(path, "--coral", "0")
            self.assertEqual((found["outputs"], found["detached"]), (1, None))
            self.assertIn("sum of 5 sigmoids (CORAL)", found["score"])
        # Behind the thresholds: whether each is passed, and how many are.
        net = self.coral(lambda z: (z.sigmoid() > 0.5).sum(1))
        path = self.export(net)
        logits = "/Add_output_0"
        self.compare(path, net, lambda n, x: n.logits(x).sigmoid().sum() + 1, "--output", logits, "--coral", "1")

    def test_what_is_refused(self):
        path = self.export(self.coral())
        for bad in ("", "x", "1x", "nan", "inf", "1e7", "1,5"):
            self.check(["inspect", path, "--coral", bad], 2, "--coral", bad)
        self.check(["inspect", path, "--coral", "0", "--at", "1"], 2, "--at")
        softmax = self.export(self.network(lambda z: z.softmax(1)), "softmax.onnx")
        self.check(["inspect", softmax, "--coral", "0"], 2, "ends in a softmax")

    def test_sweeps_compare_ages(self):
        net = self.coral()
        path = self.export(net)
        age, _ = self.truth(net, lambda n, x: n.logits(x).sigmoid().sum() + 3)
        self.write("list.csv", b"path,label\nx.npy,%.6f\n" % (age + 0.25))
        run = os.path.join(self.folder, "run")
        base = ["sweep", path, "list.csv", "--preset", "raw", "-o", run]
        done = self.check([*base, "--coral", "3"], 0)
        self.assertIn("mean absolute error 0.25", done.out + done.err)
        with open(os.path.join(run, "results.csv")) as f:
            (row,) = csv.DictReader(f)
        self.assertAlmostEqual(float(row["score"]), age, delta=1e-5)
        self.check([*base, "--coral", "2"], 2, "was begun with another", "coral")
        self.check(base, 2, "was begun with another")


if __name__ == "__main__":
    main(sys.modules[__name__])
