"""Methods of attribution: each against its definition in double precision, and what holds for all of them."""

import copy
import json
import os
import shutil
import sys
import tempfile
import unittest

import files
from harness import MODEL, SCALE, Case, main, scratch

try:
    import matplotlib.cbook
    import method_reference as reference
    import numpy as np
    from PIL import Image

    missing = None
except ImportError as error:
    missing = "%s: scripts/setup.sh --tests --references installs what is needed" % error

NAMES = ("gradient", "input-x-gradient", "smoothgrad", "smoothgrad-squared", "vargrad", "integrated-gradients",
         "grad-cam", "hires-cam", "layer-cam")
NOISY, CAMS, PATH = NAMES[2:5], NAMES[6:], "integrated-gradients"
FLAGS = {"target": "--target", "samples": "--samples", "noise": "--noise", "seed": "--seed", "steps": "--steps",
         "quadrature": "--quadrature", "baseline": "--baseline", "layer": "--cam-layer"}
MOST = 5e-6  # relative L2 distance from double precision
STEADY = 5e-5  # the same of a reference from itself, where its points move a little


def flags(method, options):
    """The command line of what reference.attribution() takes."""
    given = ["--method", method]
    for name, value in options.items():
        given += ["--score", "probability"] if name == "probability" else [FLAGS[name], str(value)]
    return given


def cases(kind):
    """(method, options) that a network is asked for."""
    found = [(method, {}) for method in NAMES]
    found += [
        ("smoothgrad", {"samples": 7, "noise": 0.6, "seed": 2**40 + 5}), ("smoothgrad", {"noise": 0.0, "samples": 3}),
        ("vargrad", {"samples": 2}), ("smoothgrad-squared", {"samples": 1, "seed": 1}),
        (PATH, {"baseline": "mean"}), (PATH, {"baseline": "blur"}), (PATH, {"steps": 1}),
        (PATH, {"quadrature": "trapezoid", "steps": 2}), (PATH, {"quadrature": "trapezoid", "steps": 21}),
    ]
    if kind is not reference.Plain:  # next to white, a max pool has the choice between values that are almost equal
        found.append((PATH, {"baseline": "white"}))
    network = kind()
    network.logits(reference.as_batch(np.zeros(kind.size)).float())
    found += [(method, {"layer": layer}) for layer in network.taps for method in CAMS]
    if kind.ending:
        for method, options in (("smoothgrad", {"noise": 0.6}), (PATH, {}), ("grad-cam", {})):
            for target in ({"target": "index:1"}, {"target": "margin"}, {"target": "mean"}, {"probability": True},
                           {"target": "margin", "probability": True}):
                found.append((method, {**options, **target}))
    return found


def pictures(size):
    """float32, as the network takes them: a photograph, a flat grey picture, noise."""
    channels, height, width = size
    path = matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
    with Image.open(path) as photo:
        photo = np.asarray(photo.convert("RGB" if channels == 3 else "L").resize((width, height), Image.BILINEAR))
    photo = (photo.reshape(height, width, channels).transpose(2, 0, 1) / 255.0 - 0.5) / 0.25
    noise = np.random.RandomState(7).uniform(-1.5, 1.5, size)
    return {"photo": photo.astype(np.float32), "grey": np.full(size, 0.3, np.float32), "noise": noise.astype(np.float32)}


class Compared(Case):
    """Writes the networks to files and keeps their references. Has no tests of its own."""

    @classmethod
    def setUpClass(cls):
        if missing:
            raise unittest.SkipTest(missing)
        cls.models = tempfile.mkdtemp(prefix="salmap-cli-", dir=scratch())
        cls.addClassCleanup(shutil.rmtree, cls.models, ignore_errors=True)
        cls.networks = {}
        for kind in cls.kinds():
            cls.networks[kind] = kind().export(cls.path_of(kind))

    @classmethod
    def kinds(cls):
        return reference.NETWORKS

    @classmethod
    def path_of(cls, kind):
        return os.path.join(cls.models, kind.__name__ + ".onnx")

    def save(self, **arrays):
        paths = []
        for name, x in arrays.items():
            paths.append(self.write(name + ".npy", files.npy(x.shape if len(x) > 1 else x.shape[1:], x.ravel().tolist())))
        return paths

    def attribute(self, kind, paths, *options):
        """Results, and the attribution of each picture's first map."""
        results = self.explain(*paths, "--preset", "raw", "--save-gradient", *options, model=self.path_of(kind))
        return results, [np.load(r["maps"][0]["gradient"]) for r, _ in self.pairs(results, paths)]

    def check_near(self, found, expected, most, *where):
        self.assertEqual(found.dtype, np.float32)
        self.assertEqual(found.shape, expected.shape, where)
        off = reference.off(found, expected)
        self.assertTrue(off <= most, "%s: relative L2 distance %g" % (where, off))

    def check_attribution(self, found, kind, x, method, options, *where):
        """Returns whether the reference is steady. Where rounding may turn a ReLU, it is as good as its own moves."""
        expected = reference.attribution(self.networks[kind], x, method, **options)
        moved = [reference.attribution(self.networks[kind], x, method, move=move, **options) for move in reference.moves(x)]
        unsteady = np.max([reference.off(m, expected) for m in moved])
        limit = MOST if unsteady <= STEADY else 3 * unsteady
        self.assertTrue(np.isfinite(expected).all(), where)
        self.check_near(found, expected, limit, kind.__name__, method, options, *where)
        return bool(unsteady <= STEADY)


class Definitions(Compared):
    def check_network(self, kind):
        inputs = pictures(kind.size)
        paths, steady = self.save(**inputs), []
        for method, options in cases(kind):
            _, attributions = self.attribute(kind, paths, *flags(method, options))
            for (name, x), found in zip(inputs.items(), attributions):
                if name == "grey" and options.get("baseline") in ("mean", "blur"):
                    self.assertLessEqual(np.abs(found).max(), 1e-6)  # the picture is its own baseline
                else:
                    steady.append(self.check_attribution(found, kind, x, method, options, name))
        self.assertGreater(sum(steady) / len(steady), 0.9, "the weights are no good: rounding decides too often")

    def test_convolutions_relu_max_pools_and_a_softmax(self):
        self.check_network(reference.Plain)

    def test_residual_with_batch_norms_silu_a_gate_and_sigmoids(self):
        self.check_network(reference.Residual)

    def test_regression_of_one_channel(self):
        self.check_network(reference.Regression)

    def test_the_reference_generator_is_philox(self):
        """Known answers of Random123."""
        ones = 0xFFFFFFFF
        self.assertEqual(reference.philox([0] * 4, (0, 0)).tolist(), [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8])
        self.assertEqual(reference.philox([ones] * 4, (ones, ones)).tolist(),
                         [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD])
        numbers = np.stack([reference.normals(np.zeros((3, 20, 20), np.float32), 0, k) for k in range(50)])
        self.assertLess(abs(numbers.mean()), 0.02)
        self.assertLess(abs(numbers.std() - 1), 0.02)

    def test_nan_and_infinity_are_never_near(self):
        right = np.ones((1, 2, 2), np.float32)
        self.check_near(right, right.astype(np.float64), 0.0)
        for wrong in (np.nan, np.inf, -np.inf, 1 + 1e-4):
            found = right.copy()
            found[0, 1, 0] = wrong
            self.assertRaises(AssertionError, self.check_near, found, right, MOST)
            self.assertRaises(AssertionError, self.check_near, right, found, MOST)
        self.assertRaises(AssertionError, self.check_near, right, right[:, :1], MOST)

    def test_several_targets_each_have_their_own(self):
        for kind in (reference.Plain, reference.Residual):
            x = pictures(kind.size)["photo"]
            order = np.argsort(-self.networks[kind].logits(reference.as_batch(x))[0].numpy())[:3]
            for method in ("smoothgrad", "vargrad", PATH, "grad-cam"):
                result = self.attribute(kind, self.save(photo=x), "--method", method, "--target", "top:3")[0][0]
                for m, target in self.pairs(result["maps"], order):
                    self.assertEqual(m["target"], target)
                    self.check_attribution(np.load(m["gradient"]), kind, x, method, {"target": "index:%d" % target})

    def test_the_output_is_chosen_at_the_picture_itself(self):
        """Where noise changes the prediction, and where it changes the best of the other outputs."""
        for kind, name, target in ((reference.Residual, "noise", "predicted"), (reference.Plain, "photo", "margin")):
            network, x = self.networks[kind], pictures(kind.size)[name]
            clean = int(network.logits(reference.as_batch(x)).argmax())
            order = network.logits(reference.as_batch(reference.noisy(x, 25, 1.0, 0))).argsort(1, descending=True)
            others = order[order != clean].reshape(25, -1)
            self.assertGreater(len((order if target == "predicted" else others)[:, 0].unique()), 1)
            options = {"target": target, "noise": 1.0}
            result, (found,) = self.attribute(kind, self.save(x=x), *flags("smoothgrad", options))
            self.assertEqual(result[0]["maps"][0]["target"], clean)
            self.check_attribution(found, kind, x, "smoothgrad", options)

    def test_black_and_white_are_prepared_as_pictures_are(self):
        kind = reference.Regression
        x = pictures(kind.size)["photo"]
        samples = self.save(samples=(x * np.float32(0.25) + np.float32(0.5)) * np.float32(255))
        for baseline, start in (("black", -2.0), ("white", 2.0), ("zero", 0.0)):
            _, (found,) = self.attribute(kind, samples, "--method", PATH, "--scale", "0.00392156863", "--mean", "0.5",
                                         "--std", "0.25", "--baseline", baseline)
            self.check_attribution(found, kind, x, PATH, {"baseline": start}, baseline)


def flat_pictures(size):
    """What people's pictures are like where nothing is on them: there each window of a max pool sees equals."""
    channels, height, width = size
    y, x = np.mgrid[:height, :width]
    noise = np.random.RandomState(3).randint(0, 256, size) / 255.0
    inside = (y - height / 2) ** 2 + (x - width / 2) ** 2 < (0.37 * width) ** 2
    rows = np.minimum(y, height - 1 - y)
    found = {
        "half": np.where(x < width // 2, 0, noise), "grey": np.full(size, 0.5), "white": np.where(inside, noise, 1.0),
        "rim": np.where(inside, noise, 0.0), "letterbox": np.where(rows < height // 5, 0.0, noise),
        "chessboard": (x // 8 + y // 8) % 2, "pixels": (x + y) % 2, "ramp": x * 255 // (width - 1) / 255.0,
        "steps": (y + x // 2) // 3 * 7 % 256 / 255.0, "diagonal": np.where(x > y, 0.7, 0.1),
    }
    return {name: np.ascontiguousarray(np.broadcast_to(values, size), np.float32) for name, values in found.items()}


class Flat(Compared):
    """Ties of max pools go to the first of equals, as in PyTorch, where convolutions are as wide as Winograd's."""

    @classmethod
    def kinds(cls):
        return (reference.Wide,)

    def check_flat(self, method, most, settings, *options, levels=0.1, but=()):
        network, inputs = self.networks[reference.Wide], flat_pictures(reference.Wide.size)
        for name in but:
            inputs.pop(name)
        results, attributions = self.attribute(reference.Wide, self.save(**inputs), *flags(method, settings), "--sigma", "1", *options)
        for (name, x), found, r in zip(inputs.items(), attributions, results):
            expected = reference.attribution(network, x, method, **settings)
            self.check_near(found, expected, most, name, method, *options)
            smooth = reference.ndimage.gaussian_filter(np.abs(expected).max(0), 1)
            off = 255 * np.abs(np.load(r["maps"][0]["npy"]) - reference.normalised(smooth)).max()
            self.assertTrue(off <= levels, "%s: %g levels" % (name, off))

    def test_gradients_go_where_they_go_in_double_precision(self):
        """Within 5e-6 by Winograd's algorithm on the way back; a pool that takes another of equals is off by 0.1 to 1."""
        self.check_flat("gradient", MOST, {})
        self.check_flat("gradient", 1e-6, {}, "--exact")
        self.check_flat("gradient", MOST, {}, "--batch", "3")

    def test_methods_of_many_passes_do_likewise(self):
        self.check_flat("smoothgrad", MOST, {"samples": 1, "noise": 0.0})
        # Half of "steps" has units within rounding of their kinks, and each of them as often as the picture repeats itself.
        self.check_flat(PATH, 1e-2, {"steps": 3}, levels=2, but=["steps"])

    def test_no_unit_is_near_its_kink(self):
        """Weights that move by what single precision rounds leave the gradient where it was, and equal pixels equal. (PyTorch's
        own single precision would not do: on some processors its convolutions round equal pixels apart.)"""
        network, rng = self.networks[reference.Wide], np.random.default_rng(4)
        for draw in range(3):
            moved = copy.deepcopy(network)
            for weights in moved.parameters():
                weights.mul_(reference.torch.from_numpy(1 + 1e-7 * rng.uniform(-1, 1, tuple(weights.shape))))
            for name, x in flat_pictures(reference.Wide.size).items():
                one, other = (reference.attribution(net, x, "gradient") for net in (network, moved))
                self.assertLessEqual(reference.off(other, one), 1e-5, (name, draw))
                self.assertGreater(reference.off(other, one), 1e-9, (name, draw))


class Repeated(Compared):
    def all_of(self, kind, method, paths, *options):
        results, attributions = self.attribute(kind, paths, "--method", method, *options)
        return {os.path.basename(r["picture"]): (a.tobytes(), self.read(r["maps"][0]["npy"]))
                for r, a in zip(results, attributions)}

    def test_a_picture_has_the_same_bits_in_any_company(self):
        for kind in reference.NETWORKS:
            inputs = pictures(kind.size)
            for k in range(5):
                inputs["more%d" % k] = np.random.RandomState(k).uniform(-1, 1, kind.size).astype(np.float32)
            paths = self.save(**inputs)
            for method in NAMES:
                with self.subTest(kind=kind.__name__, method=method):
                    together = self.all_of(kind, method, paths, "--batch", "8")
                    self.assertEqual(len(set(together.values())), 8)
                    for batch in ("1", "3"):
                        self.assertEqual(self.all_of(kind, method, paths, "--batch", batch), together, batch)
                    self.assertEqual(self.all_of(kind, method, paths[::-1], "--batch", "8"), together)
                    self.assertEqual(self.all_of(kind, method, paths[1:6:2] + paths[:1], "--batch", "3"),
                                     {name: together[name] for name in ("grey.npy", "more0.npy", "more2.npy", "photo.npy")})
                    self.assertEqual(self.all_of(kind, method, paths[:1]), {"photo.npy": together["photo.npy"]})

    def test_the_seed_and_the_picture_make_the_noise(self):
        kind = reference.Residual
        paths = self.save(**pictures(kind.size))[:1]
        for method in NOISY:
            runs = [self.all_of(kind, method, paths, "--seed", seed)["photo.npy"] for seed in ("0", "1", "4294967296", "1")]
            self.assertEqual(self.all_of(kind, method, paths)["photo.npy"], runs[0])
            self.assertEqual(runs[1], runs[3])
            self.assertEqual(len(set(runs)), 3)

    def test_a_sweep_makes_the_same_maps(self):
        kind = reference.Residual
        paths = self.save(**pictures(kind.size))
        for number, method in enumerate(NAMES):
            expected = self.all_of(kind, method, paths)
            run = os.path.join(self.folder, "run%d" % number)
            self.check(["sweep", self.path_of(kind), *paths, "-o", run, "--preset", "raw", "--method", method], 0)
            for path in paths:
                name = os.path.basename(path)
                self.assertEqual(self.read(os.path.join(run, "maps/000", name)), expected[name][1], (method, name))


class Paths(Compared):
    def gap(self, kind, x, *options):
        results, (found,) = self.attribute(kind, self.save(x=x), "--method", PATH, *options)
        return results[0]["maps"][0]["completeness_gap"], found

    def test_the_gap_is_what_the_attribution_misses(self):
        for kind in reference.NETWORKS:
            x = pictures(kind.size)["photo"]
            targets = [{}] if not kind.ending else [{}, {"target": "margin"}, {"target": "mean"}, {"probability": True}]
            for baseline in ("zero", "mean", "blur"):
                for options in targets:
                    gap, found = self.gap(kind, x, "--baseline", baseline, *flags(PATH, options)[2:])
                    gain = reference.gained(self.networks[kind], x, baseline, **options)
                    total = float(found.sum(dtype=np.float64))
                    self.assertAlmostEqual(gap, total - gain, delta=2e-6 * max(1, abs(gain)), msg=(kind, baseline, options))
                    self.assertLess(abs(gap), 0.1 * abs(gain), (kind, baseline, options))

    def test_the_gap_shrinks_with_the_steps(self):
        kind = reference.Residual
        x = pictures(kind.size)["photo"]
        gain = abs(reference.gained(self.networks[kind], x))
        gaps = [abs(self.gap(kind, x, "--steps", str(n))[0]) / gain for n in (1, 3, 50)]
        self.assertGreater(gaps[0], 10 * gaps[1])
        self.assertGreater(gaps[1], 10 * gaps[2])
        self.assertLess(gaps[2], 1e-5)
        # The error of the trapezoidal rule falls with the square of the steps.
        gaps = [abs(self.gap(kind, x, "--quadrature", "trapezoid", "--steps", str(n))[0]) / gain for n in (6, 21, 201)]
        self.assertAlmostEqual(gaps[0] / gaps[1], 16, delta=2)
        self.assertLess(gaps[2], gaps[1] / 50)

    def test_other_methods_have_no_gap(self):
        kind = reference.Residual
        for method in NAMES:
            results, _ = self.attribute(kind, self.save(**pictures(kind.size)), "--method", method)
            self.assertEqual([isinstance(r["maps"][0].get("completeness_gap"), float) for r in results],
                             [method == PATH] * 3, method)


class Layers(Compared):
    def check_map(self, found, values, *where):
        off = np.abs(found - reference.normalised(values)).max()
        self.assertTrue(off <= 3e-6, "%s: %g" % (where, off))

    def last_with_pixels(self, kind):
        layers = json.loads(self.check(["inspect", self.path_of(kind), "--json"], 0).out)["layers"]
        return [l["name"] for l in layers if len(l["shape"]) == 3 and l["shape"][1] * l["shape"][2] > 1][-1]

    def test_the_default_layer_is_the_last_with_pixels(self):
        for kind in reference.NETWORKS:
            self.assertEqual(self.last_with_pixels(kind), list(self.networks[kind].taps)[-1])
            paths = self.save(**pictures(kind.size))
            for method in CAMS:
                _, default = self.attribute(kind, paths, "--method", method)
                _, named = self.attribute(kind, paths, "--method", method, "--cam-layer", self.last_with_pixels(kind))
                self.assertEqual([a.tobytes() for a in default], [a.tobytes() for a in named])

    def test_the_map_is_the_attribution_enlarged(self):
        for kind in reference.NETWORKS:
            inputs = pictures(kind.size)
            paths = self.save(**inputs)
            for method in CAMS:
                for layer in self.networks[kind].taps:
                    results, attributions = self.attribute(kind, paths, "--method", method, "--cam-layer", layer)
                    for r, a in zip(results, attributions):
                        m = np.load(r["maps"][0]["npy"])
                        self.assertEqual(m.shape, kind.size[1:])
                        if a.min() == a.max():
                            self.assertTrue(r["maps"][0]["flat"] and not m.any())
                            continue
                        self.check_map(m, reference.enlarged(a, *kind.size[1:]), kind, method, layer)

    def test_a_sigma_smooths_the_enlarged_map(self):
        kind = reference.Plain
        paths = self.save(photo=pictures(kind.size)["photo"])
        results, (found,) = self.attribute(kind, paths, "--method", "grad-cam", "--sigma", "1.5")
        smooth = reference.ndimage.gaussian_filter(reference.enlarged(found, *kind.size[1:]), 1.5)
        self.check_map(np.load(results[0]["maps"][0]["npy"]), smooth)

    def test_maps_at_the_input_are_made_as_those_of_the_gradient(self):
        """The largest modulus of the channels, smoothed, then 0 to 1."""
        kind = reference.Residual
        paths = self.save(photo=pictures(kind.size)["photo"])
        for method in NAMES[:6]:
            results, (found,) = self.attribute(kind, paths, "--method", method, "--sigma", "1")
            smooth = reference.ndimage.gaussian_filter(np.abs(found.astype(np.float64)).max(0), 1)
            self.check_map(np.load(results[0]["maps"][0]["npy"]), smooth, method)

    def test_layers_that_cannot_be_mapped_are_refused(self):
        command = ["explain", self.path_of(reference.Plain), *self.save(**pictures(reference.Plain.size)), "-o", self.out,
                   "--preset", "raw", "--method", "grad-cam", "--cam-layer"]
        for layer in ("/third/Conv", "/last/Gemm", ""):
            self.check([*command, layer], 2, "'%s'" % layer, "/first/Conv", "/second/Conv", "/pool2/MaxPool")
        self.assertEqual(self.outputs(), [])


class MethodOptions(Case):
    def refuse(self, options, *texts):
        done = self.check(["explain", MODEL, SCALE, "-o", self.out, *options], 2, *texts)
        self.assertEqual(self.outputs(), [])
        return done

    def test_mistyped_methods_are_corrected(self):
        self.refuse(["--method", "smoothgrd"], "'smoothgrd'", "did you mean 'smoothgrad'?")
        self.refuse(["--method", "gradcam"], "'gradcam'", "did you mean 'grad-cam'?")
        self.refuse(["--method", "abacus"], "'abacus'", "'salmap methods' lists them")
        self.check(["methods", "smoothgrd"], 2, "'smoothgrd'", "did you mean 'smoothgrad'?")
        self.check(["sweep", MODEL, SCALE, "-o", self.out, "--method", "smoothgrd"], 2, "did you mean 'smoothgrad'?")

    def test_options_of_other_methods_are_refused(self):
        given = {"--samples": "9", "--noise": "0.1", "--seed": "1", "--steps": "9", "--quadrature": "trapezoid",
                 "--baseline": "white", "--cam-layer": "/fine/fine.0/fine.0.0/Conv"}
        for method in NAMES:
            own = (list(given)[:3] if method in NOISY else list(given)[3:6] if method == PATH
                   else list(given)[6:] if method in CAMS else [])
            for option, value in given.items():
                if option not in own:
                    self.refuse(["--method", method, option, value], option[2:], method)
        self.refuse(["--samples", "9"], "samples", "gradient")

    def test_numbers_have_limits(self):
        for method, option, values in (("smoothgrad", "--samples", ("0", "-1", "x")), (PATH, "--steps", ("0", "-1", "2.5")),
                                       ("vargrad", "--noise", ("-0.1", "nan")), ("smoothgrad", "--seed", ("-1", "x")),
                                       (PATH, "--quadrature", ("simpson",))):
            for value in values:
                self.refuse(["--method", method, option, value], "%s: '%s'" % (option, value))

    def test_methods_are_listed(self):
        out = self.check(["methods"], 0).out
        for name in NAMES:
            self.assertRegex(out, r"(?m)^ *%s\b" % name)

    def test_a_method_is_described(self):
        out = self.check(["methods", "smoothgrad"], 0).out
        self.assertRegex(out, r"Smilkov .*2017")
        for option, initial in (("samples", "25"), ("noise", r"0\.15"), ("seed", "0")):
            self.assertRegex(out, r"(?m)--%s\b.*\b%s\b" % (option, initial))
        self.assertNotIn("--steps", out)
        self.assertRegex(self.check(["methods", PATH], 0).out, r"(?m)--steps\b.*\b50\b")
        for name in NAMES:
            out = self.check(["methods", name], 0).out
            self.assertRegex(out, r"\b(19|20)\d\d\b", name)  # a paper
            self.assertRegex(out, r"(?i)\bcost\b", name)
            self.assertEqual("--cam-layer" in out, name in CAMS, name)


if __name__ == "__main__":
    main(sys.modules[__name__])
