"""The salmap program from outside: test_cli.py SALMAP SOURCE [GROUP]."""

import json
import math
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import files  # noqa: E402

SALMAP = os.path.abspath(sys.argv[1])
SOURCE = os.path.abspath(sys.argv[2])
MODEL = os.path.join(SOURCE, "data/models/scale_age_honest.onnx")
SCALES = os.path.join(SOURCE, "data/scales")
SCALE = os.path.join(SCALES, "scale_02.png")
SIDE = 192


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="salmap-cli-")
        self.out = os.path.join(self.folder, "out")

    def tearDown(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def run_salmap(self, *arguments, stdout=subprocess.PIPE):
        # Files' names may be no UTF-8, and so may what is printed of them.
        done = subprocess.run(
            [SALMAP, *arguments], stdout=stdout, stderr=subprocess.PIPE, cwd=self.folder, timeout=120
        )
        done.out = (done.stdout or b"").decode("utf-8", "surrogateescape")
        done.err = done.stderr.decode("utf-8", "surrogateescape")
        return done

    def check(self, arguments, code, *texts, absent=()):
        """Runs, and looks at the exit code and for every text on stderr."""
        done = self.run_salmap(*arguments)
        self.assertEqual(done.returncode, code, "%r printed %s%s" % (arguments, done.out, done.err))
        for text in texts:
            self.assertIn(text, done.err)
        for text in absent:
            self.assertNotIn(text, done.err)
        return done

    def explain(self, *arguments, code=0, model=MODEL):
        done = self.run_salmap("explain", model, *arguments, "-o", self.out, "--json")
        self.assertEqual(done.returncode, code, done.out + done.err)
        return [json.loads(line) for line in done.out.splitlines()]

    def write(self, name, data):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as f:
            f.write(data)
        return path

    def read(self, path):
        with open(path, "rb") as f:
            return f.read()

    def outputs(self):
        return sorted(os.listdir(self.out)) if os.path.isdir(self.out) else []


class Usage(Case):
    def test_no_command_shows_the_usage(self):
        self.check([], 2, "Usage: salmap COMMAND", "explain", "inspect", "plan")

    def test_help_and_version_go_to_stdout(self):
        for arguments in (["--help"], ["help"], ["help", "explain"], ["explain", "--help"], ["plan", "-h"]):
            done = self.check(arguments, 0)
            self.assertIn("Usage: salmap", done.out)
            self.assertEqual(done.err, "")
        self.assertRegex(self.check(["--version"], 0).out, r"^salmap \d+\.\d+\.\d+\n$")

    def test_mistyped_words_are_corrected(self):
        self.check(["explian"], 2, "unknown command 'explian'", "did you mean 'explain'?")
        self.check(["explain", "--colourmap", "jet"], 2, "unknown option '--colourmap'", "did you mean '--colormap'?")
        self.check(["frobnicate"], 2, "unknown command 'frobnicate'", absent=["did you mean"])
        self.check(["plan", "-z", "x"], 2, "plan: unknown option '-z'", "salmap plan --help")

    def test_wrong_values_name_option_and_choices(self):
        base = ["explain", MODEL, SCALE, "-o", self.out]
        self.check([*base, "--colormap", "pink"], 2, "--colormap: 'pink'", "viridis, inferno, turbo, jet, gray")
        self.check([*base, "--modifier", "no"], 2, "--modifier: 'no'", "abs, relu, negate, none")
        self.check([*base, "--sigma", "-1"], 2, "--sigma: '-1'", "from 0 to 10000")
        self.check([*base, "--sigma", "nan"], 2, "--sigma: 'nan'")
        self.check([*base, "--alpha", "1.5"], 2, "--alpha: '1.5'", "from 0 to 1")
        self.check([*base, "--batch", "0"], 2, "--batch: '0'", "from 1 to 65536")
        self.check([*base, "--batch", "2x"], 2, "--batch: '2x'")
        self.check([*base, "--target", "best"], 2, "--target: 'best'", "predicted, index:N, top:K or mean")
        self.check([*base, "--preset", "imagnet"], 2, "--preset", "imagnet", "imagenet, unit, caffe, tf, raw")
        self.check([*base, "--fit", "squash"], 2, "--fit", "squash", "stretch, letterbox, center-crop")
        self.check([*base, "--json=yes"], 2, "--json takes no value")
        self.check(["explain", MODEL, SCALE, "--out"], 2, "--out needs a value: DIR")
        self.assertEqual(self.outputs(), [])

    def test_operands_are_counted(self):
        self.check(["explain"], 2, "no operands", "MODEL PICTURE...")
        self.check(["explain", MODEL, "-o", self.out], 2, "too few operands")
        self.check(["inspect", MODEL, MODEL], 2, "too many operands")
        self.check(["explain", MODEL, SCALE], 2, "-o DIR")

    def test_targets_that_the_model_does_not_have(self):
        base = ["explain", MODEL, SCALE, "-o", self.out]
        self.check([*base, "--target", "index:1"], 2, "index 1", "1 output")
        self.check([*base, "--target", "top:2"], 2, "top 2", "1 output")
        self.check([*base, "--score", "probability"], 2, "neither softmax nor sigmoid")
        self.check([*base, "--mean", "1,2"], 2, "2 values", "3 channels")
        self.assertEqual(self.outputs(), [])

    def test_devices_that_are_not_there(self):
        self.check(["plan", MODEL, "--device", "abacus"], 1, "device 'abacus'", "cpu")

    def test_a_reader_that_left_is_an_error(self):
        with open("/dev/full", "wb") as full:
            for arguments in (["--version"], ["inspect", MODEL], ["explain", MODEL, SCALE, "-o", self.out]):
                done = self.run_salmap(*arguments, stdout=full)
                self.assertEqual(done.returncode, 1)
                self.assertIn("standard output: No space left", done.err)


class BadModels(Case):
    def check_model(self, name, data, *texts):
        path = self.write(name, data)
        for arguments in (["inspect", path], ["plan", path], ["explain", path, SCALE, "-o", self.out]):
            done = self.check(arguments, 1, *texts)
            self.assertIn(name, done.err)
        self.assertEqual(self.outputs(), [])

    def test_a_file_that_is_not_there(self):
        self.check(["inspect", "no/such.onnx"], 1, "no/such.onnx", "No such file")

    def test_a_folder(self):
        self.check(["inspect", self.folder], 1, self.folder, "directory")

    def test_an_empty_file(self):
        self.check_model("empty.onnx", b"", "empty")

    def test_another_kind_of_file(self):
        self.check_model("picture.onnx", self.read(SCALE))
        self.check_model("text.onnx", b"not a model at all\n" * 40)

    def test_truncated_anywhere(self):
        data = self.read(MODEL)
        for size in (1, 10, 100, 1000, len(data) // 2, len(data) - 1):
            self.check_model("cut_%d.onnx" % size, data[:size])

    def test_corrupt_bytes_never_crash(self):
        data = bytearray(self.read(MODEL))
        for seed in range(60):
            broken = bytearray(data)
            for k in range(1 + seed % 7):
                broken[(seed * 2654435761 + k * 40503) % 4000] ^= 1 << (seed + k) % 8
            path = self.write("broken.onnx", broken)
            done = self.run_salmap("inspect", path)
            self.assertIn(done.returncode, (0, 1), "seed %d: %s" % (seed, done.err))

    def test_nan_weights_are_named(self):
        data = bytearray(self.read(MODEL))
        name, begin, end = max(files.onnx_tensors(data), key=lambda t: t[2] - t[1])
        for value in (math.nan, math.inf):
            broken = bytearray(data)
            broken[begin + 400 : begin + 404] = struct.pack("<f", value)
            self.check_model("poisoned.onnx", broken, name)


class BadPictures(Case):
    def check_picture(self, name, data, *texts):
        """Costs that picture, with its name and a reason; the good one beside it is done."""
        path = self.write(name, data) if data is not None else os.path.join(self.folder, name)
        done = self.check(["explain", MODEL, path, SCALE, "-o", self.out], 3, name, *texts)
        self.assertIn("1 of 2 pictures", done.out)
        self.assertEqual(self.outputs(), ["scale_02.npy", "scale_02.overlay.png", "scale_02.saliency.png"])

    def test_a_file_that_is_not_there(self):
        self.check_picture("missing.png", None, "No such file")

    def test_an_empty_file(self):
        self.check_picture("zero.png", b"", "empty")

    def test_another_kind_of_file(self):
        self.check_picture("notes.png", b"hello, I am no picture\n" * 10)

    def test_a_device(self):
        done = self.check(["explain", MODEL, "/dev/null", "-o", self.out], 3, "/dev/null", "regular file")
        self.assertIn("0 of 1", done.out)

    def test_truncated_pictures(self):
        picture = files.gradient_png(64, 48)
        jpeg = self.read(os.path.join(SCALES, "scale_05.jpg"))
        tiff = files.tiff(64, 48, bytes(64 * 48 * 3))
        npy = files.npy((48, 64), [0.5] * (48 * 64))
        for name, data in (("a.png", picture), ("a.jpg", jpeg), ("a.tif", tiff), ("a.npy", npy)):
            for share in (0.02, 0.5, 0.9):
                self.check_picture(name, data[: max(9, int(len(data) * share))])

    def test_corrupt_pictures(self):
        picture = bytearray(files.gradient_png(64, 48))
        picture[60] ^= 0x55
        self.check_picture("bits.png", picture)
        jpeg = bytearray(self.read(os.path.join(SCALES, "scale_05.jpg")))
        jpeg[2:40] = bytes(38)
        self.check_picture("bits.jpg", jpeg)
        self.check_picture("bits.tif", b"II*\0" + struct.pack("<I", 0xFFFFFFF0) + bytes(64))
        self.check_picture("bits.npy", b"\x93NUMPY\x01\0\xff\xff" + bytes(100))

    def test_huge_declared_sizes_cost_no_memory(self):
        header = struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 2, 0, 0, 0)
        bomb = b"\x89PNG\r\n\x1a\n" + files.png_chunk(b"IHDR", header) + files.png_chunk(b"IDAT", zlib.compress(b"\0"))
        self.check_picture("huge.png", bomb)
        self.check_picture("huge.tif", files.tiff(16, 16, bytes(768), declared_width=2**31 - 1))
        data = bytearray(files.npy((48, 64), [0.5] * (48 * 64)))
        at = data.index(b"(48, 64)")
        data[at : at + 20] = b"(99999999, 9999999),"
        self.check_picture("huge.npy", data)

    def test_a_channel_count_that_does_not_fit(self):
        self.check_picture("five.npy", files.npy((32, 32, 5), [0.25] * (32 * 32 * 5)), "5 channels", "3")

    def test_nan_samples(self):
        values = [0.5] * (32 * 32)
        values[100] = math.nan
        self.check_picture("nan.npy", files.npy((32, 32), values), "NaN")

    def test_every_picture_bad(self):
        results = self.explain(self.write("a.png", b"x"), self.write("b.png", b"y"), code=3)
        self.assertEqual([r["status"] for r in results], ["format", "format"])

    def test_more_bad_pictures_than_fit_in_flight(self):
        bad = [self.write("bad_%02d.png" % i, b"nothing") for i in range(40)]
        results = self.explain(*bad[:20], SCALE, *bad[20:], "--batch", "2", code=3)
        self.assertEqual([r["status"] for r in results], ["format"] * 20 + ["ok"] + ["format"] * 20)

    def test_a_folder_without_pictures(self):
        empty = os.path.join(self.folder, "nothing")
        os.mkdir(empty)
        self.check(["explain", MODEL, empty, "-o", self.out], 1, "nothing", "no pictures")


class Outputs(Case):
    def test_a_folder_below_a_file_is_an_error(self):
        blocked = os.path.join(self.write("file", b""), "out")
        self.check(["explain", MODEL, SCALE, "-o", blocked], 1, blocked[: -len("/out")])

    def test_a_folder_that_nobody_may_write(self):
        for folder in ("/proc/self/fdinfo", "/proc"):
            self.check(["explain", MODEL, SCALE, "-o", folder], 1, folder)

    def test_nested_folders_are_made(self):
        self.out = os.path.join(self.folder, "a/b/c")
        self.explain(SCALE)
        self.assertEqual(self.outputs(), ["scale_02.npy", "scale_02.overlay.png", "scale_02.saliency.png"])

    def test_equal_stems_get_numbers(self):
        paths = []
        for folder in ("one", "two", "three"):
            os.mkdir(os.path.join(self.folder, folder))
            paths.append(self.write(folder + "/a.png", files.gradient_png(32, 32, len(paths) + 1)))
        results = self.explain(*paths)
        names = [os.path.basename(r["maps"][0]["npy"]) for r in results]
        self.assertEqual(names, ["a.npy", "a-2.npy", "a-3.npy"])
        self.assertEqual(len({files.read_npy(r["maps"][0]["npy"])[1] for r in results}), 3)

    def test_numbered_names_avoid_those_that_exist(self):
        for folder in ("one", "two"):
            os.mkdir(os.path.join(self.folder, folder))
        first = self.write("one/a-2.png", files.gradient_png(32, 32))
        second = self.write("one/a.png", files.gradient_png(32, 32))
        third = self.write("two/a.png", files.gradient_png(32, 32))
        results = self.explain(first, second, third)
        names = [os.path.basename(r["maps"][0]["npy"]) for r in results]
        self.assertEqual(names, ["a-2.npy", "a.npy", "a-3.npy"])

    def test_inputs_are_never_overwritten(self):
        os.mkdir(self.out)
        data = files.npy((32, 32), [float(i) for i in range(1024)])
        path = self.write("out/b.npy", data)
        results = self.explain(path)
        self.assertEqual(os.path.basename(results[0]["maps"][0]["npy"]), "b-2.npy")
        self.assertEqual(self.read(path), data)

    def test_a_folder_of_pictures_is_sorted_and_skips_results(self):
        os.mkdir(self.out)
        for name in ("c.png", "a.png", "b.png"):
            self.write("out/" + name, files.gradient_png(32, 32))
        self.write("out/readme.txt", b"no picture")
        for _ in range(2):
            results = self.explain(self.out)
            self.assertEqual([os.path.basename(r["picture"]) for r in results], ["a.png", "b.png", "c.png"])

    def test_names_that_are_no_utf8_keep_json_valid(self):
        name = os.fsencode(self.folder) + b'/sc\xff"a\\le\x01.png'
        with open(name, "wb") as f:
            f.write(files.gradient_png(16, 16))
        results = self.explain(name)
        self.assertIn('sc\ufffd"a\\le\x01.png', results[0]["picture"])

    def test_quiet_prints_nothing(self):
        done = self.check(["explain", MODEL, SCALE, "-o", self.out, "--quiet"], 0)
        self.assertEqual(done.out + done.err, "")

    def test_missing_preprocessing_is_said_once(self):
        model = os.path.join(self.folder, "m.onnx")
        shutil.copy(MODEL, model)
        done = self.check(["explain", model, SCALE, SCALE, "-o", self.out], 0, "m.onnx.salmap", "unit")
        self.assertEqual(done.err.count("note:"), 1)
        self.check(["explain", model, SCALE, "-o", self.out, "--preset", "tf"], 0, absent=["note:"])

    def test_saved_preprocessing_is_used_the_next_time(self):
        model = os.path.join(self.folder, "m.onnx")
        shutil.copy(MODEL, model)
        given = ["--preset", "tf", "--fit", "letterbox", "--fill", "128"]
        first = self.explain(SCALE, *given, "--save-preprocess", model=model)
        before = self.read(first[0]["maps"][0]["npy"])
        second = self.explain(SCALE, model=model)
        self.assertEqual(self.read(second[0]["maps"][0]["npy"]), before)
        self.assertEqual(second[0]["score"], first[0]["score"])
        self.assertNotEqual(self.explain(SCALE, "--preset", "raw", model=model)[0]["score"], first[0]["score"])


class Results(Case):
    def test_every_file_is_there_and_of_the_right_size(self):
        picture = self.write("wide.png", files.gradient_png(300, 120))
        result = self.explain(picture, "--figure", "--save-gradient")[0]
        m = result["maps"][0]
        self.assertEqual(files.png_size(m["saliency"]), (300, 120))
        self.assertEqual(files.png_size(m["overlay"]), (300, 120))
        self.assertGreater(files.png_size(m["figure"])[0], 900)
        shape, values = files.read_npy(m["npy"])
        self.assertEqual(shape, (SIDE, SIDE))
        self.assertEqual(min(values), 0.0)
        self.assertTrue(0.99 < max(values) <= 1.0)
        self.assertEqual(files.read_npy(m["gradient"])[0], (3, SIDE, SIDE))
        self.assertEqual(len(self.outputs()), 5)

    def test_results_come_in_the_order_given(self):
        paths = sorted(os.path.join(SCALES, n) for n in os.listdir(SCALES) if n.endswith((".png", ".jpg")))[:11]
        paths = paths[::-1] + paths[:3]
        results = self.explain(*paths, "--batch", "3")
        self.assertEqual([r["picture"] for r in results], paths)

    def test_the_plain_map_is_the_reduced_gradient(self):
        options = ["--sigma", "0", "--normalize", "none", "--save-gradient"]
        m = self.explain(SCALE, *options)[0]["maps"][0]
        _, gradient = files.read_npy(m["gradient"])
        _, values = files.read_npy(m["npy"])
        n = SIDE * SIDE
        expected = tuple(max(abs(gradient[c * n + i]) for c in range(3)) for i in range(n))
        self.assertEqual(values, expected)
        self.assertGreater(max(values), 0.0)
        self.assertAlmostEqual(m["peak"], max(values), delta=1e-9)

    def test_a_picture_is_bitwise_the_same_in_any_company(self):
        others = [os.path.join(SCALES, "scale_%02d.png" % i) for i in (3, 4, 6, 7)]
        seen = set()
        for before, after in (([], []), (others[:1], others[1:]), (others[:3], []), (others, others)):
            results = self.explain(*before, SCALE, *after, "--batch", "4", "--save-gradient")
            m = results[len(before)]["maps"][0]
            seen.add((self.read(m["npy"]), self.read(m["gradient"]), self.read(m["overlay"]), m["score"]))
        self.assertEqual(len(seen), 1)

    def test_a_bad_picture_does_not_change_the_others(self):
        alone = self.explain(SCALE, "--batch", "4")[0]
        expected = self.read(alone["maps"][0]["npy"])
        results = self.explain(self.write("bad.png", b"?"), SCALE, "--batch", "4", code=3)
        self.assertEqual(self.read(results[1]["maps"][0]["npy"]), expected)
        self.assertEqual(results[1]["score"], alone["score"])

    def test_top_one_is_the_prediction(self):
        expected = self.read(self.explain(SCALE, "--batch", "1")[0]["maps"][0]["npy"])
        m = self.explain(SCALE, "--batch", "1", "--target", "top:1")[0]["maps"][0]
        self.assertEqual(os.path.basename(m["npy"]), "scale_02.top1.npy")
        self.assertEqual(self.read(m["npy"]), expected)

    def test_png_tiff_and_npy_of_one_picture_agree(self):
        rows = [bytes((x * 5 + y * 3) % 256 for x in range(96) for _ in range(3)) for y in range(96)]
        flat = b"".join(rows)
        paths = [
            self.write("p.png", files.png(96, 96, rows)),
            self.write("t.tif", files.tiff(96, 96, flat)),
            self.write("n.npy", files.npy((96, 96, 3), [float(v) for v in flat])),
        ]
        results = self.explain(*paths, "--batch", "3")
        maps = {self.read(r["maps"][0]["npy"]) for r in results}
        self.assertEqual(len(maps), 1)


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
        base = ["explain", self.models["Softmax"], self.picture, "-o", self.out, "--score", "probability"]
        self.check([*base, "--target", "mean"], 2, "mean", "constant")
        self.check([*base, "--target", "index:5"], 2, "index 5", "5 outputs", "0 to 4")
        self.check([*base, "--target", "top:6"], 2, "top 6", "5 outputs")
        base[1] = self.models[None]
        self.check(base, 2, "neither softmax nor sigmoid")

    def test_overflowing_scores_cost_the_picture(self):
        weights = small_weights(scale=1e30)
        model = self.write("huge.onnx", files.onnx_classifier(weights))
        black = self.write("black.png", files.png(16, 16, [bytes(48)] * 16))
        done = self.check(
            ["explain", model, self.picture, "-o", self.out, "--preset", "raw"], 3, self.picture, "NaN or infinite"
        )
        self.assertIn("0 of 1", done.out)
        # Without bias overflow a black picture is fine, beside one that is not.
        weights[1], weights[3] = [0.0] * 4, [0.0] * 5
        model = self.write("huge.onnx", files.onnx_classifier(weights))
        results = self.explain(self.picture, black, "--preset", "raw", code=3, model=model)
        self.assertEqual([r["status"] for r in results], ["numeric", "ok"])
        self.assertTrue(results[1]["maps"][0]["flat"])

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
        for text in ("3 x 192 x 192", "supported", "yes", "conv", "dense", "relu", MODEL + ".salmap"):
            self.assertIn(text, done.out)

    def test_inspect_json_adds_up(self):
        info = json.loads(self.check(["inspect", MODEL, "--json"], 0).out)
        self.assertEqual(info["parameters"], sum(layer["parameters"] for layer in info["layers"]))
        self.assertEqual(info["flops"], sum(layer["flops"] for layer in info["layers"]))
        self.assertEqual((info["channels"], info["height"], info["width"]), (3, SIDE, SIDE))
        self.assertTrue(info["supported"])
        self.assertTrue(all(layer["problem"] is None for layer in info["layers"]))

    def test_plan_grows_with_the_batch_and_fits_its_arena(self):
        plans = [json.loads(self.check(["plan", MODEL, "--json", "--batch", b], 0).out) for b in ("1", "4")]
        self.assertEqual([p["batch"] for p in plans], [1, 4])
        self.assertGreater(plans[1]["arena_bytes"], plans[0]["arena_bytes"])
        for p in plans:
            for step in p["steps"]:
                self.assertLessEqual(step["arena_offset"] + step["output_bytes"], p["arena_bytes"])
            self.assertLess(p["kept_bytes"], p["arena_bytes"])
        self.assertIn("arena", self.check(["plan", MODEL, "--steps"], 0).out)


class Documents(Case):
    """Help, manual page and completions name the same options."""

    def options(self, command):
        return set(re.findall(r"--([a-z][a-z-]+)", self.check([command, "--help"], 0).out)) - {"help"}

    def test_the_manual_names_every_option(self):
        with open(os.path.join(SOURCE, "data/man/salmap.1")) as f:
            manual = f.read().replace("\\-", "-")
        for command in ("explain", "inspect", "plan"):
            for option in self.options(command):
                self.assertRegex(manual, r"--%s\b" % option)
        known = self.options("explain") | self.options("plan") | {"help", "version"}
        self.assertEqual(set(re.findall(r"--([a-z][a-z-]+)", manual)) - known, set())

    def test_completions_name_every_option(self):
        for name, form in (("salmap.bash", r"--%s\b"), ("_salmap", r"--%s\b"), ("salmap.fish", r"-l %s\b")):
            with open(os.path.join(SOURCE, "data/completions", name)) as f:
                text = f.read()
            for option in self.options("explain") | self.options("plan"):
                self.assertRegex(text, form % option, name)

    def complete(self, *words):
        script = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _salmap; printf "%s\\n" "${COMPREPLY[@]}"'
        path = os.path.join(SOURCE, "data/completions/salmap.bash")
        done = subprocess.run(
            ["bash", "-c", script, "bash", path, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.folder
        )
        self.assertEqual(done.stderr, b"")
        return done.stdout.decode().split("\n")[:-1]

    @unittest.skipUnless(shutil.which("bash"), "no bash")
    def test_bash_completes_commands_options_values_and_files(self):
        self.assertEqual(self.complete("salmap", "ex"), ["explain"])
        self.assertEqual(self.complete("salmap", "plan", "--st"), ["--steps"])
        self.assertEqual(self.complete("salmap", "explain", "--colormap", "j"), ["jet"])
        self.write("a model.onnx", b"")
        self.assertEqual(self.complete("salmap", "inspect", "a m"), ["a model.onnx"])


class FullDisk(Case):
    def test_a_full_disk_costs_pictures_and_leaves_no_halves(self):
        disk = os.path.join(self.folder, "disk")
        os.mkdir(disk)
        command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk]
        if os.geteuid() != 0 or subprocess.run(command, stderr=subprocess.DEVNULL).returncode != 0:
            self.skipTest("only root may mount a small disk")
        try:
            done = self.check(["explain", MODEL, SCALES, "-o", disk], 3, "No space left on device")
            self.assertIn("of 24 pictures", done.out)
            for name in os.listdir(disk):
                path = os.path.join(disk, name)
                if name.endswith(".png"):
                    files.png_size(path)
                else:
                    self.assertEqual(files.read_npy(path)[0], (SIDE, SIDE))
        finally:
            subprocess.run(["umount", disk], check=True)


if __name__ == "__main__":
    groups = [globals()[name] for name in sys.argv[3:]] or Case.__subclasses__()
    suite = unittest.TestSuite(unittest.defaultTestLoader.loadTestsFromTestCase(g) for g in groups)
    outcome = unittest.TextTestRunner(verbosity=2).run(suite)
    if not outcome.wasSuccessful():
        sys.exit(1)
    sys.exit(77 if outcome.skipped else 0)
