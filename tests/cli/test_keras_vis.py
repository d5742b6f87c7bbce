"""The classic call: the maps that tf-keras-vis makes of the same Keras files (scripts/make_keras_vis_references.py), and
the demo network in three formats."""

import math
import os
import sys
import zipfile

import files
from harness import SCALES, SOURCE, Case, main

REFERENCES = os.path.join(SOURCE, "tests/golden/keras_vis")
MODELS = os.path.join(SOURCE, "data/models")
CLASSIC = ("--modifier", "abs", "--reduce", "max", "--sigma", "0", "--normalize", "keras-vis")
RANGE = 1e-5  # of 0..1: what float32 leaves of a difference


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def pattern(height, width):
    """(H, W, 3): whole numbers from 0 to 255, brought to -2..2 by a mean of 128 and a deviation of 64."""
    return [(y * 7 + x * 13 + c * 29 + y * x) % 256 for y in range(height) for x in range(width) for c in range(3)]


class KerasVis(Case):
    def compare(self, reference, model, *options):
        shape, expected = files.read_npy(os.path.join(REFERENCES, reference + ".npy"))
        picture = self.write("pattern.npy", files.npy((*shape, 3), pattern(*shape)))
        arguments = [picture, *CLASSIC, *options, "--preset", "raw", "--mean", "128", "--std", "64"]
        self.explain(*arguments, model=model)
        found_shape, found = files.read_npy(os.path.join(self.out, "pattern.npy"))
        self.assertEqual(found_shape, shape)
        worst = max((abs(a - b) if math.isfinite(a) else math.inf) for a, b in zip(found, expected))
        self.assertLess(worst, RANGE, "%s: a pixel is off by %g" % (reference, worst))
        self.assertGreater(sum(expected) / len(expected), 0.01)
        return found

    def test_mean_of_a_regression(self):
        self.compare("demo", os.path.join(MODELS, "scale_age_honest.h5"), "--target", "mean")

    def test_outputs_of_a_classifier_whose_softmax_is_taken_off(self):
        with zipfile.ZipFile(os.path.join(SOURCE, "tests/golden/keras/stack_valid.zip")) as packed:
            model = self.write("classifier.h5", packed.read("stack_valid.k2.h5"))
        mean = self.compare("classifier_mean", model, "--target", "mean")
        third = self.compare("classifier_index_3", model, "--target", "index:3")
        self.assertLess(cosine(mean, third), 0.999)


class DemoFormats(Case):
    """One network as ONNX (channels first), .keras and .h5 (channels last)."""

    def maps(self, ending, *options):
        names = ["scale_%02d.png" % i for i in (0, 3, 7, 12)]
        results = self.explain(
            *(os.path.join(SCALES, n) for n in names), *options, model=os.path.join(MODELS, "scale_age_honest" + ending)
        )
        return [(r["score"], files.read_npy(r["maps"][0]["npy"])[1]) for r in results]

    def test_the_same_values_and_maps(self):
        for options in ((), ("--sigma", "0"), ("--sigma", "0", "--normalize", "none", "--modifier", "none")):
            onnx = self.maps(".onnx", *options)
            for ending in (".keras", ".h5"):
                for (score, values), (other, others) in zip(onnx, self.maps(ending, *options)):
                    self.assertLess(abs(score - other), 1e-5 * max(1, abs(score)))
                    self.assertGreater(cosine(values, others), 0.99999)


if __name__ == "__main__":
    main(sys.modules[__name__])
