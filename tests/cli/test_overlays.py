"""How maps are laid over their pictures: blends, tables, contours, and runs that were begun before there were any."""

import json
import os
import sys

import files
from harness import MODEL, SCALE, SCALES, SIDE, Case, main
from sweep_case import SweepCase, read_rgb8

FLAT = ["--blend", "flat"]
AS_IT_WAS = FLAT + ["--alpha", "0.5", "--colormap", "viridis"]


class Overlays(Case):
    def drawn(self, picture, *options, figure=False):
        """The bytes of the files of colours, and the paths of all."""
        m = self.explain(picture, *options, *(["--figure"] if figure else []))[0]["maps"][0]
        return {kind: self.read(m[kind]) for kind in ("saliency", "overlay") + (("figure",) if figure else ())}, m

    def pixels(self, picture, *options):
        _, m = self.drawn(picture, *options)
        return read_rgb8(m["overlay"])[2], files.read_npy(m["npy"])[1]

    def check_weights(self, weight_of, table, *options):
        """One pixel of the picture is one of the map: each is the picture's and the table's, by the weight."""
        picture = self.write("square.png", files.gradient_png(SIDE, SIDE))
        under = read_rgb8(picture)[2]
        got, values = self.pixels(picture, *options)
        colours, _ = self.pixels(picture, *options, *FLAT, "--alpha", "1", "--colormap", table)
        weights = [weight_of(value) for value in values for _ in range(3)]
        expected = [(1 - w) * u + w * c for w, u, c in zip(weights, under, colours)]
        # The weight goes in steps, of 1/127 at most.
        self.assertLessEqual(max(abs(g - e) for g, e in zip(got, expected)), 0.51 + 0.9 * 255 / 127)
        self.assertGreater(sum(g != u for g, u in zip(got, under)), SIDE * SIDE)

    def test_the_opacity_follows_the_map(self):
        self.check_weights(lambda value: 0.9 * value, "inferno")
        self.check_weights(lambda value: 0.4 * value, "inferno", "--alpha", "0.4")

    def test_the_opacity_follows_the_modulus_of_signed_maps(self):
        self.check_weights(lambda value: 0.9 * abs(value), "seismic", "--signed")

    def test_flat_overlays_are_those_of_before(self):
        self.check_weights(lambda value: 0.5, "viridis", *FLAT)
        for options, spelled in ((FLAT, AS_IT_WAS),
                                 (FLAT + ["--signed"], AS_IT_WAS + ["--signed", "--colormap", "coolwarm"])):
            before = self.drawn(SCALE, *spelled, figure=True)[0]
            self.assertEqual(self.drawn(SCALE, *options, figure=True)[0], before)

    def test_what_is_not_given(self):
        default = self.drawn(SCALE, figure=True)[0]
        self.assertEqual(self.drawn(SCALE, "--blend", "map", "--alpha", "0.9", figure=True)[0], default)
        inferno = self.drawn(SCALE, "--colormap", "inferno", figure=True)[0]
        self.assertEqual((inferno["overlay"], inferno["figure"]), (default["overlay"], default["figure"]))
        self.assertNotEqual(inferno["saliency"], default["saliency"])
        self.assertEqual(self.drawn(SCALE, "--colormap", "viridis")[0]["saliency"], default["saliency"])
        self.assertNotEqual(self.drawn(SCALE, *FLAT)[0]["overlay"], default["overlay"])

    def test_every_table_is_another(self):
        tables = ["viridis", "inferno", "turbo", "jet", "gray", "coolwarm", "magma", "cividis", "rdbu", "seismic"]
        seen = [self.drawn(SCALE, "--colormap", table)[0] for table in tables]
        for kind in ("saliency", "overlay"):
            self.assertEqual(len({files_of[kind] for files_of in seen}), len(tables))

    def test_contours(self):
        picture = self.write("square.png", files.gradient_png(SIDE, SIDE))
        for options in ([], ["--signed"], FLAT):
            plain, values = self.pixels(picture, *options)
            lined, _ = self.pixels(picture, *options, "--contour", "0.25,0.5")
            above = [[abs(v) >= level for v in values] for level in (0.25, 0.5)]
            lines, wrong = 0, []
            for i in range(SIDE * SIDE):
                right, below = i % SIDE < SIDE - 1, SIDE * (i < SIDE * (SIDE - 1))
                runs = any(0 < a[i] + a[i + right] + a[i + below] + a[i + right + below] < 4 for a in above)
                pixel = lined[3 * i : 3 * i + 3]
                if pixel not in ((bytes(3), b"\xff" * 3) if runs else (plain[3 * i : 3 * i + 3],)):
                    wrong.append(i)
                lines += runs
            self.assertEqual(wrong, [])
            self.assertGreater(lines, SIDE)
        alone = self.drawn(picture)[0]["saliency"]
        self.assertEqual(self.drawn(picture, "--contour", "0.5")[0]["saliency"], alone)

    def test_contours_that_are_none(self):
        base = ["explain", MODEL, SCALE, "-o", self.out, "--contour"]
        for levels in ("", "0", "1", "0.5,", ",0.5", "0.5;0.7", "0.5 0.7", "-0.5", "nan", "two", "0.5,1.5"):
            self.check([*base, levels], 2, "--contour: '%s' is no list of levels above 0 and below 1" % levels)
        self.check([*base, ",".join(["0.5"] * 9)], 2, "has more than 8 levels")
        for level in ("1e-300", "0.999999999999"):
            self.check([*base, "0.5," + level], 2, "contour %s is not above 0 and below 1 as a float" % level)
        self.assertEqual(self.outputs(), [])


class CommonScale(SweepCase):
    """Maps of several pictures on one scale: one that hardly says anything is dark."""

    def maps(self, *options):
        pictures = [os.path.join(SCALES, "scale_%02d.png" % k) for k in (0, 4, 8)]
        maps = [r["maps"][0] for r in self.explain(*pictures, *options)]
        return [(m["peak"], files.read_npy(m["npy"])[1]) for m in maps]

    def test_maps_keep_their_peaks(self):
        alone = self.maps("--modifier", "relu")
        scale = max(peak for peak, _ in alone)
        common = self.maps("--modifier", "relu", "--common-scale", repr(scale))
        self.assertGreater(scale, 1.2 * min(peak for peak, _ in alone))
        for (peak, own), (same, values) in zip(alone, common):
            self.assertEqual(peak, same)
            self.assertAlmostEqual(max(values), peak / scale, delta=1e-2)
            # But for the least value, which is taken off before.
            most = max(values)
            self.assertLessEqual(max(abs(v - o * most) for v, o in zip(values, own)), 1e-6)

    def test_signed_maps(self):
        alone, common = self.maps("--signed"), self.maps("--signed", "--common-scale", "1e-4")
        for (_, own), (_, values) in zip(alone, common):
            self.assertEqual((max(values), min(values)), (1, -1))
            self.assertEqual([v > 0 for v in own], [v > 0 for v in values])

    def test_maps_of_other_normalisations_have_none(self):
        for how in ("none", "keras-vis"):
            self.check(["explain", MODEL, SCALE, "-o", self.out, "--normalize", how, "--common-scale", "1"], 2,
                       "--common-scale: only maps of --normalize minmax or signed can have one; leave one")
        for value in ("0", "-1", "nan", "1e-40"):
            self.check(["explain", MODEL, SCALE, "-o", self.out, "--common-scale", value], 2, "--common-scale: '%s'" % value)
        self.assertEqual(self.outputs(), [])

    def test_runs_say_it(self):
        top = self.draw_many(3)
        self.sweep(top, "--common-scale", "0.001", "--maps", "png16")
        settings = json.loads(self.read(os.path.join(self.result, "run.json")))["settings"]
        self.assertEqual(settings["common-scale"], "0.001")
        self.sweep(top, "--maps", "png16", code=2, texts=["was begun with another --common-scale: 0.001, now none"])
        self.sweep(top, "--common-scale", "0.001", "--maps", "png16")


class RunsOfFlatOverlays(SweepCase):
    """Runs of versions that had no --blend have no line for it: their overlays are flat."""

    OVERLAYS = ["--overlay-format", "png"]

    def begun(self, *options):
        top = self.draw_many(3)
        self.sweep(top, *self.OVERLAYS, *options)
        run = json.loads(self.read(os.path.join(self.result, "run.json")))
        return top, run

    def test_go_on_with_blend_flat(self):
        top, run = self.begun(*AS_IT_WAS)
        self.assertNotIn("blend", run["settings"])
        self.assertEqual((run["settings"]["colormap"], run["settings"]["alpha"]), ("viridis", "0.5"))
        self.assertIn(" --blend flat", run["again"])
        before = self.snapshot()
        self.sweep(top, *self.OVERLAYS, code=2, texts=[
            "the run was begun with another --blend: flat, now map; --blend flat goes on with it, --restart throws its results "
            "away, or choose another run folder\n"])
        self.sweep(top, *self.OVERLAYS, *FLAT)
        self.assert_same_files(self.snapshot(), before)

    def test_runs_of_now_say_how(self):
        top, run = self.begun("--contour", "0.25,0.5")
        settings = run["settings"]
        self.assertEqual([settings[name] for name in ("blend", "colormap", "alpha", "contour")],
                         ["map", "inferno", "0.9", "0.25,0.5"])
        self.assertNotIn("flat", run["again"])
        first = self.snapshot()
        self.sweep(top, *self.OVERLAYS, "--blend", "map", "--colormap", "inferno", "--alpha", "0.9", "--contour", "0.25,0.5")
        self.assert_same_files(self.snapshot(), first)

    def test_where_none_is_drawn_it_is_all_the_same(self):
        top, run = self.begun("--overlays", "none", *FLAT)
        self.assertNotIn("blend", run["settings"])
        self.sweep(top, *self.OVERLAYS, "--overlays", "none")


if __name__ == "__main__":
    main(sys.modules[__name__])
