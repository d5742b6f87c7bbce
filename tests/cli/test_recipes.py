#!/usr/bin/env python3
"""Recipes and the options of resizing: what the command takes, says, refuses and keeps."""

import json
import os
import shutil
import sys

import files
from harness import MODEL, SCALE, Case, main

SIDE = 192  # of the demo network's input
VIT = {
    "image_processor_type": "ViTImageProcessor",
    "do_resize": True,
    "size": {"height": SIDE, "width": SIDE},
    "resample": 3,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
    "do_pad": False,
}
PRINTED = """Compose(
    Resize(size=219, interpolation=bilinear, max_size=None, antialias=True)
    CenterCrop(size=(%d, %d))
    ToTensor()
    Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])
)
"""


class Recipes(Case):
    def setUp(self):
        super().setUp()
        self.model = os.path.join(self.folder, "m.onnx")
        shutil.copy(MODEL, self.model)
        self.picture = self.write("p.png", files.gradient_png(300, 240))

    def sidecar(self, *options):
        """The lines that --save-preprocess writes."""
        path = self.model + ".salmap"
        self.explain(self.picture, *options, "--save-preprocess", model=self.model)
        with open(path) as f:
            lines = f.read().splitlines()[1:]
        os.remove(path)
        return lines

    def test_options_are_kept_in_the_sidecar_and_mean_the_same_from_there(self):
        options = ["--preset", "imagenet", "--resample", "bicubic", "--round", "passes", "--fit", "center-crop", "--crop-share", "0.875"]
        first = self.explain(self.picture, *options, "--save-preprocess", model=self.model)
        again = self.explain(self.picture, model=self.model)
        self.assertEqual(first[0]["score"], again[0]["score"])
        plain = self.explain(self.picture, "--preset", "imagenet", model=self.model)
        self.assertNotEqual(first[0]["score"], plain[0]["score"])

    def test_what_is_default_has_no_line(self):
        options = ["--preset", "unit", "--resample", "bilinear", "--antialias", "on", "--round", "none", "--grid", "half-pixel"]
        self.assertEqual(self.sidecar(*options), self.sidecar("--preset", "unit"))
        self.assertEqual([line.split()[0] for line in self.sidecar("--preset", "unit")], ["fit", "order", "crop-resize", "fill", "scale"])

    def test_a_recipe_is_its_options(self):
        crop = ["--fit", "center-crop", "--crop-share", "0.875", "--round", "passes", "--preset", "imagenet"]
        for recipe, options in (
            ("torchvision", crop),
            ("timm", [*crop, "--resample", "bicubic"]),
            ("keras-image-dataset", ["--preset", "raw", "--antialias", "off"]),
            ("keras-applications:ResNet50", ["--preset", "caffe", "--resample", "nearest", "--round", "passes"]),
        ):
            found = self.explain(self.picture, "--recipe", recipe, model=self.model)[0]["score"]
            self.assertEqual(found, self.explain(self.picture, *options, model=self.model)[0]["score"], recipe)

    def test_a_preset_and_options_beside_a_recipe_replace_its_values(self):
        lines = self.sidecar("--recipe", "torchvision", "--preset", "unit", "--crop-resize", "200", "--resample", "lanczos")
        for line in ("fit center-crop", "crop-resize 200", "scale 0.00392156886", "resample lanczos", "round passes"):
            self.assertIn(line, lines)
        self.assertFalse([line for line in lines if line.startswith("mean")])
        self.assertIn("order bgr", self.sidecar("--recipe", "opencv", "--preset", "unit"))
        self.assertIn("order rgb", self.sidecar("--recipe", "opencv", "--preset", "unit", "--order", "rgb"))
        self.assertIn("order auto", self.sidecar("--recipe", "keras-applications:vgg16", "--preset", "unit"))

    def test_open_values_come_from_the_sidecar(self):
        self.explain(self.picture, "--preset", "tf", "--fit", "letterbox", "--save-preprocess", model=self.model)
        found = self.explain(self.picture, "--recipe", "keras-load-img", model=self.model)[0]["score"]
        options = ["--recipe", "keras-load-img", "--preset", "tf"]
        self.assertEqual(found, self.explain(self.picture, *options, model=self.model)[0]["score"])

    def test_an_unknown_name_lists_all(self):
        self.check(["explain", MODEL, SCALE, "-o", self.out, "--recipe", "kears"], 2, "kears", "keras-load-img", "keras-applications:vgg16", "no file")

    def test_files_that_came_with_a_network(self):
        config = self.write("preprocessor_config.json", json.dumps(VIT).encode())
        found = self.explain(self.picture, "--recipe", config, model=self.model)[0]["score"]
        options = ["--mean", "0.5", "--std", "0.5", "--scale", "1/255", "--resample", "bicubic", "--round", "passes"]
        self.assertEqual(found, self.explain(self.picture, *options, model=self.model)[0]["score"])
        self.check(["explain", MODEL, self.picture, "-o", self.out, "--recipe", config], 0, "without meaning for a picture: do_pad")
        printed = self.write("transforms.txt", (PRINTED % (SIDE, SIDE)).encode())
        found = self.explain(self.picture, "--recipe", printed, model=self.model)[0]["score"]
        self.assertEqual(found, self.explain(self.picture, "--recipe", "torchvision", model=self.model)[0]["score"])

    def test_a_misspelt_recipe_is_told_the_nearest(self):
        self.check(["explain", MODEL, self.picture, "-o", self.out, "--recipe", "torchvison"], 2, "did you mean 'torchvision'?")
        self.check(["explain", MODEL, self.picture, "-o", self.out, "--recipe", "q" * 20], 2, "known are keras-load-img, ")

    def test_files_that_ask_for_more_are_refused(self):
        padded = self.write("a.json", json.dumps({**VIT, "do_pad": True}).encode())
        self.check(["explain", MODEL, self.picture, "-o", self.out, "--recipe", padded], 1, "a.json: do_pad")
        other = self.write("b.txt", (PRINTED % (180, 180)).encode())
        self.check(["explain", MODEL, self.picture, "-o", self.out, "--recipe", other], 2, "b.txt makes inputs of 180 x 180 (height, width)", "192 x 192")
        self.assertFalse(os.path.exists(self.out))

    def test_contradictions_are_refused_before_anything_is_written(self):
        for options, text in (
            (["--resample", "cubic75"], "antialias off"),
            (["--resample", "box", "--antialias", "off"], "Pillow"),
            (["--resample", "area", "--round", "passes"], "once"),
            (["--grid", "align-corners"], "antialias is off"),
            (["--recipe", "opencv", "--resample", "nearest"], "add grid asymmetric"),
            (["--recipe", "opencv", "--resample", "bicubic"], "cubic75"),
            (["--recipe", "opencv", "--resample", "lanczos"], "INTER_LANCZOS4"),
            (["--round", "torch", "--antialias", "off", "--resample", "bicubic"], "cubic75"),
        ):
            self.check(["explain", MODEL, self.picture, "-o", self.out, "--preset", "unit", *options], 2, text)
            self.assertFalse(os.path.exists(self.out))
        for option in ("--resample", "--antialias", "--round", "--grid", "--crop-round", "--crop-share"):
            self.check(["explain", MODEL, self.picture, "-o", self.out, "--preset", "unit", option, "soft"], 2, option, "soft")

    def test_a_run_goes_on_with_the_same_resizing_alone(self):
        run = os.path.join(self.folder, "run")
        base = ["sweep", self.model, self.picture, "-o", run, "--preset", "unit"]
        self.check(base, 0)
        self.check([*base, "--resample", "bilinear"], 0)
        self.check([*base, "--resample", "nearest"], 2, "resample")


if __name__ == "__main__":
    main(sys.modules[__name__])
