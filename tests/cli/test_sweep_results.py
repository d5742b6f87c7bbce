"""What a run folder says of the pictures."""

import csv
import hashlib
import io
import json
import math
import os
import shlex
import shutil
import stat
import subprocess
import sys
import zipfile

import files
from harness import MODEL, SALMAP, SIDE, main
from sweep_case import SCALES_CSV, SweepCase, float32, read_gray16, read_rgb8
from test_models import small_weights


class Results(SweepCase):
    JOINED = ("SELECT pictures.*, maps.* FROM pictures JOIN maps ON maps.picture = pictures.id"
              " ORDER BY pictures.id, maps.rank")

    def test_rows_and_maps_are_those_of_explain(self):
        top = self.draw_many(8)
        explained = self.explain(top)
        self.sweep(top, "--overlay-format", "png")
        kept = self.query(self.JOINED)
        self.assertEqual(len(kept), 8)
        for row, line, text in self.pairs(kept, explained, self.rows()):
            m = line["maps"][0]
            self.assertEqual(os.path.join(top, row["path"]), line["picture"])
            self.assertEqual((row["status"], row["width"], row["height"]), ("ok", 32, 32))
            self.assertEqual(row["predicted"], line["predicted"])
            for name, value in (("predicted_score", line["score"]), ("score", m["score"]), ("peak", m["peak"]),
                                ("mean", m["mean"])):
                self.assertEqual(float32(row[name]), float32(value), name)
                column = "map_" + name if name in ("peak", "mean") else name
                self.assertEqual(float32(float(text[column])), float32(value), column)
            self.assertEqual(bool(row["flat"]), m["flat"])
            for key, other in (("map_file", m["npy"]), ("overlay_file", m["overlay"])):
                self.assertEqual(self.read(os.path.join(self.result, row[key])), self.read(other))
                self.assertEqual(text[key], row[key])

    def test_predictions_are_the_best_outputs(self):
        model, top = self.classifier(), self.draw_many(6, side=16)
        explained = self.explain(top, "--preset", "unit", "--target", "top:5", model=model)
        for k in (1, 3, 5, 9):
            run = os.path.join(self.folder, "top%d" % k)
            self.sweep(top, "--preset", "unit", "--top-k", str(k), model=model, run=run)
            kept = self.query("SELECT * FROM predictions ORDER BY picture, rank", run)
            self.assertEqual(len(kept), 6 * min(k, 5))
            for i, line in enumerate(explained):
                mine = kept[i * min(k, 5) : (i + 1) * min(k, 5)]
                self.assertEqual([row["rank"] for row in mine], list(range(1, len(mine) + 1)))
                self.assertEqual(len(line["maps"]), 5)
                for row, m in self.pairs(mine, line["maps"][: min(k, 5)]):
                    self.assertEqual(row["output"], m["target"])
                    self.assertEqual(float32(row["score"]), float32(m["score"]))
                    self.assertEqual(float32(row["probability"]), float32(m["probability"]))
                text = self.rows(run)[i]
                self.assertEqual(int(text["top1"]), line["predicted"])
                self.assertEqual(int(text["top%d" % min(k, 5)]), line["maps"][min(k, 5) - 1]["target"])
                self.assertNotIn("top%d" % (min(k, 5) + 1), text)

    def test_several_maps_of_a_picture(self):
        model, top = self.classifier(), self.draw_many(3, side=16)
        explained = self.explain(top, "--preset", "unit", "--target", "top:2", model=model)
        self.sweep(top, "--preset", "unit", "--target", "top:2", "--overlay-format", "png", model=model)
        kept = self.query(self.JOINED)
        maps = [m for line in explained for m in line["maps"]]
        self.assertEqual([row["target"] for row in kept], [m["target"] for m in maps])
        self.assertEqual([row["map_file"] for row in kept],
                         ["maps/000/p%04d.top%d.npy" % (i, k) for i in range(3) for k in (1, 2)])
        for row, m, text in self.pairs(kept, maps, self.rows()):
            self.assertEqual(self.read(os.path.join(self.result, row["map_file"])), self.read(m["npy"]))
            self.assertEqual(self.read(os.path.join(self.result, row["overlay_file"])), self.read(m["overlay"]))
            self.assertEqual(int(text["rank"]), row["rank"])
        self.assertEqual(len(self.rows()), 6)

    def label_all(self, labels, name="list.csv", column="label"):
        lines = ["path,%s" % column] + ["p%04d.png,%s" % (i, label) for i, label in enumerate(labels)]
        return self.write("in/" + name, ("\n".join(lines) + "\n").encode())

    def test_labels_of_a_classifier(self):
        model, top = self.classifier(), self.draw_many(6, side=16)
        predicted = [line["predicted"] for line in self.explain(top, "--preset", "unit", model=model)]
        labels = [p if i % 2 else (p + 1) % 5 for i, p in enumerate(predicted)] + [""]
        self.draw("p0006.png", side=16)
        path = self.label_all(labels)
        self.sweep(path, "--preset", "unit", "--overlays", "wrong", model=model)
        kept = self.query(self.JOINED)
        self.assertEqual([row["correct"] for row in kept], [0, 1, 0, 1, 0, 1, None])
        self.assertEqual([row["correct"] for row in self.rows()], ["0", "1", "0", "1", "0", "1", ""])
        self.assertEqual([row["overlay_file"] is not None for row in kept[:6]], [True, False] * 3)
        self.assertEqual(len(os.listdir(os.path.join(self.result, "overlays/000"))),
                         sum(row["overlay_file"] is not None for row in kept))

    def test_the_label_is_explained(self):
        model, top = self.classifier(), self.draw_many(5, side=16)
        labels = [4, 3, 2, 1, 0]
        self.sweep(self.label_all(labels), "--preset", "unit", "--target", "label", model=model)
        kept = self.query(self.JOINED)
        self.assertEqual([row["target"] for row in kept], labels)
        for i, row in enumerate(kept):
            line = self.explain(os.path.join(top, "p%04d.png" % i), "--preset", "unit", "--target",
                                "index:%d" % labels[i], model=model)[0]
            self.assertEqual(float32(row["score"]), float32(line["maps"][0]["score"]))
            self.assertEqual(row["predicted"], line["predicted"])
            self.assertEqual(self.read(os.path.join(self.result, row["map_file"])), self.read(line["maps"][0]["npy"]))

    def test_labels_that_are_no_outputs(self):
        model = self.classifier()
        top = self.draw_many(2, side=16)
        self.sweep(top, "--target", "label", "--preset", "unit", code=2, model=model,
                   texts=["target label needs labels: a manifest with a column named label (there are: path)\n"])
        for label in ("5", "-1", "pike", "1.5", "99999999999999999999", ""):
            with self.subTest(label=label):
                text = "p0001.png: its label '%s' names no output: with target label, labels are numbers from 0 to 4\n"
                self.sweep(self.label_all(["0", label]), "--target", "label", "--preset", "unit", model=model,
                           run="run" + label, code=2, texts=[text % label])

    def test_labels_of_a_regression(self):
        top = self.draw_many(6)
        values = [line["score"] for line in self.explain(top)]
        labels = ["%.6f" % (v + d) for v, d in zip(values, (0.3, -0.3, 0.7, -0.7, 1.2, 0.0))]
        path = self.label_all(labels)
        for tolerance, correct in ((None, [1, 1, 0, 0, 0, 1]), ("0.2", [0, 0, 0, 0, 0, 1]), ("1", [1, 1, 1, 1, 0, 1])):
            run = os.path.join(self.folder, "tolerance-%s" % tolerance)
            self.sweep(path, "--overlays", "wrong", *(["--tolerance", tolerance] if tolerance else []), run=run)
            kept = self.query(self.JOINED, run)
            self.assertEqual([row["correct"] for row in kept], correct)
            self.assertEqual([row["overlay_file"] is None for row in kept], [bool(c) for c in correct])
            drawn = os.listdir(os.path.join(run, "overlays/000"))
            self.assertEqual(sorted(drawn), ["p%04d.overlay.jpg" % i for i in range(6) if not correct[i]])

    def test_overlays_of_the_highest_scores(self):
        top = self.draw_many(8)
        scores = [line["score"] for line in self.explain(top)]
        best = sorted(range(8), key=lambda i: (-scores[i], i))[:3]
        self.sweep(top, "--overlays", "top:3")
        self.assertEqual(sorted(os.listdir(os.path.join(self.result, "overlays/000"))),
                         ["p%04d.overlay.jpg" % i for i in sorted(best)])
        self.assertEqual([i for i, row in enumerate(self.rows()) if row["overlay_file"]], sorted(best))

    def test_ties_go_to_the_earlier_picture(self):
        top = self.draw("a.png")
        for name in ("b", "c", "d", "e"):
            shutil.copy(os.path.join(top, "a.png"), os.path.join(top, name + ".png"))
        self.sweep(top, "--overlays", "top:2", "--batch", "2")
        self.assertEqual(sorted(os.listdir(os.path.join(self.result, "overlays/000"))),
                         ["a.overlay.jpg", "b.overlay.jpg"])

    def test_no_files_where_none_are_wanted(self):
        self.sweep(self.draw_many(4), "--maps", "none", "--overlays", "none")
        self.assertEqual({(row["map_file"], row["overlay_file"]) for row in self.rows()}, {("", "")})
        self.assertTrue(all(float(row["map_peak"]) > 0 for row in self.rows()))
        self.assertEqual([n for n in self.snapshot() if n.startswith(("maps/", "overlays/"))], [])

    def test_overlays_as_jpeg(self):
        self.sweep(self.draw_many(3))
        self.assertEqual([row["overlay_file"] for row in self.rows()],
                         ["overlays/000/p000%d.overlay.jpg" % i for i in range(3)])
        for row in self.rows():
            data = self.read(os.path.join(self.result, row["overlay_file"]))
            self.assertEqual((data[:3], data[-2:]), (b"\xff\xd8\xff", b"\xff\xd9"))

    def test_the_size_of_overlays(self):
        """No larger than the picture, and in its proportions; the results tell of the picture."""
        top = self.draw("small.png")
        for name, width, height in (("wide.png", 3000, 20), ("high.png", 1201, 1700), ("line.png", 2000, 1)):
            self.write("in/" + name, files.gradient_png(width, height))
        sizes = {"default": {"high.png": (1130, 1600), "line.png": (1600, 1), "wide.png": (1600, 11)},
                 "1700": {"high.png": (1201, 1700), "line.png": (1700, 1), "wide.png": (1700, 11)},
                 "7": {"high.png": (5, 7), "line.png": (7, 1), "wide.png": (7, 1), "small.png": (7, 7)},
                 "full": {"high.png": (1201, 1700), "line.png": (2000, 1), "wide.png": (3000, 20)}}
        for size, wanted in sizes.items():
            run = os.path.join(self.folder, size)
            options = [] if size == "default" else ["--overlay-size", size]
            self.sweep(top, "--overlay-format", "png", *options, run=run)
            for row in self.rows(run):
                name, own = os.path.basename(row["path"]), (int(row["width"]), int(row["height"]))
                drawn = files.png_size(os.path.join(run, row["overlay_file"]))
                self.assertEqual(drawn, wanted.get(name, own), (size, name))
                self.assertEqual(own, files.png_size(os.path.join(top, name)))
        rows = [[{k: v for k, v in row.items()} for row in self.rows(os.path.join(self.folder, size))] for size in sizes]
        self.assertEqual(rows, [rows[0]] * len(sizes))

    def test_small_overlays_have_the_tones_of_full_ones(self):
        """A float picture's least value is black and its greatest white, whatever the size."""
        self.draw("a.png")
        os.remove(os.path.join(self.folder, "in/a.png"))
        self.write("in/float.npy", files.npy((40, 40, 3), [0.1 + 0.4 * (i // 120 // 20) for i in range(4800)]))
        for size in ("full", "20"):
            run = os.path.join(self.folder, size)
            self.sweep(os.path.join(self.folder, "in"), "--overlay-format", "png", "--overlay-size", size, "--alpha", "0", run=run)
            width, height, values = read_rgb8(os.path.join(run, "overlays/000/float.overlay.png"))
            self.assertEqual((width, height), (40, 40) if size == "full" else (20, 20))
            self.assertEqual((min(values), max(values)), (0, 255))

    def test_overlays_of_before(self):
        """As large as the picture, as PNG: what explain draws."""
        top = self.draw_many(2)
        self.sweep(top, "--overlay-format", "png", "--overlay-size", "full")
        for row, line in zip(self.rows(), self.explain(top)):
            self.assertEqual(self.read(os.path.join(self.result, row["overlay_file"])), self.read(line["maps"][0]["overlay"]))

    def test_maps_in_other_formats(self):
        top = self.draw_many(3)
        self.sweep(top)
        reference = [self.npy(row) for row in self.rows()]
        for kind in ("npz", "png16"):
            run = os.path.join(self.folder, kind)
            self.sweep(top, "--maps", kind, run=run)
            for row, values in self.pairs(self.rows(run), reference):
                path = os.path.join(run, row["map_file"])
                if kind == "npz":
                    with zipfile.ZipFile(path) as archive:
                        self.assertIsNone(archive.testzip())
                        (member,) = archive.namelist()
                        self.assertEqual(member, "map.npy")
                        self.assertEqual(files.read_npy(self.write("member.npy", archive.read(member)))[1], values)
                else:
                    width, height, levels = read_gray16(path)
                    self.assertEqual((width, height), (SIDE, SIDE))
                    # The product is a float.
                    self.assert_all_within(levels, [65535.0 * v for v in values], 0.5 + 65535 * 2.0**-24)

    def test_numbers_of_a_map(self):
        top = self.draw_many(2)
        self.sweep(top)
        raw = os.path.join(self.folder, "raw")
        self.sweep(top, "--normalize", "none", run=raw)
        for row, plain in self.pairs(self.query(self.JOINED), self.query(self.JOINED, raw)):
            values, m = self.npy(plain, raw), self.npy(row)
            for r in (row, plain):
                self.assertEqual(float32(r["min"]), min(values))
                self.assertEqual(float32(r["peak"]), max(values))
                self.assertAlmostEqual(r["mean"] / (math.fsum(values) / len(values)), 1.0, delta=1e-6)
            n, total = len(m), math.fsum(m)
            mean = total / n
            std = math.sqrt(math.fsum((v - mean) ** 2 for v in m) / n)
            x = math.fsum(v * (i % SIDE + 0.5) for i, v in enumerate(m)) / total / SIDE
            y = math.fsum(v * (i // SIDE + 0.5) for i, v in enumerate(m)) / total / SIDE
            for name, value in (("normalized_mean", mean), ("normalized_std", std), ("center_x", x), ("center_y", y)):
                self.assertAlmostEqual(row[name], value, delta=1e-6, msg=name)

    def test_a_flat_map_is_said(self):
        weights = small_weights()
        weights[2] = [0.0] * len(weights[2])
        model = self.classifier(weights=weights)
        self.sweep(self.draw_many(2, side=16), "--preset", "unit", model=model)
        for row, line in self.pairs(self.query(self.JOINED), self.check(["export", self.result, "--json"], 0).out.splitlines()):
            self.assertEqual((row["status"], row["flat"], row["normalized_mean"]), ("ok", 1, 0.0))
            self.assertEqual(set(self.npy(row)), {0.0})
            # A map of zeros has no centre, and JSON no NaN.
            (m,) = json.loads(line, parse_constant=lambda name: self.fail(name + " is no JSON"))["maps"]
            self.assertEqual((m["flat"], m["normalized_mean"], m["center_x"], m["center_y"]), (1, 0, None, None))

    def test_export_is_what_the_folder_has(self):
        self.sweep(self.draw_many(5))
        expected = self.read(os.path.join(self.result, "results.csv"))
        for options in ([], ["--csv"]):
            out = subprocess.run([SALMAP, "export", self.result, *options], stdout=subprocess.PIPE, check=True).stdout
            self.assertEqual(out, expected)
        path = os.path.join(self.folder, "exported.csv")
        self.check(["export", self.result, "-o", path], 0)
        self.assertEqual(self.read(path), expected)
        lines = [json.loads(line) for line in self.run_salmap("export", self.result, "--json").out.splitlines()]
        for line, row in self.pairs(lines, self.rows()):
            (best,), (m,) = line["predictions"], line["maps"]
            found = {**line, **m, "top1": best["output"], "top1_score": best["score"],
                     "top1_probability": best["probability"]}
            self.assertEqual({name: "" if found[name] is None else str(found[name]) for name in row}, row)

    def test_export_replaces_no_device_and_nothing_that_it_reads(self):
        self.sweep(self.draw_many(3))
        before = self.snapshot(self.result)
        pipe = os.path.join(self.folder, "pipe")
        os.mkfifo(pipe)
        self.check(["export", self.result, "-o", pipe], 1, pipe + ": is not a regular file")
        self.assertTrue(stat.S_ISFIFO(os.lstat(pipe).st_mode))
        link = os.path.join(self.folder, "link.csv")
        os.symlink(os.path.join(self.result, "manifest.csv"), link)
        for name in ("results.sqlite", "run.json", "manifest.csv", "../link.csv"):
            self.check(["export", self.result, "-o", os.path.join(self.result, name)], 2, "is the run's own ", "choose another file")
        self.assert_same_files(self.snapshot(self.result), before)

    def test_export_to_a_reader_that_left(self):
        self.sweep(self.draw_many(3))
        reading, writing = os.pipe()
        os.close(reading)
        with os.fdopen(writing, "wb") as left:
            for kind in ("--csv", "--json"):
                done = self.run_salmap("export", self.result, kind, stdout=left)
                self.assertEqual(done.returncode, 1)
                self.assertEqual(done.err, "salmap: export: cannot write to standard output: Broken pipe\n")

    def test_export_with_timings(self):
        self.sweep(self.draw_many(3))
        out = self.check(["export", self.result, "--timings"], 0).out
        rows = list(csv.DictReader(io.StringIO(out)))
        self.assertEqual(len(rows), 3)
        for row in rows:
            for name in ("decode_ms", "compute_ms", "encode_ms"):
                self.assertGreater(float(row[name]), 0.0)
        self.assertNotIn("compute_ms", self.rows()[0])
        self.check(["export", self.folder], 1, self.folder + ": is no run folder: there is no results.sqlite in it\n")

    def test_what_is_needed_to_repeat_it(self):
        top = self.draw_many(3)
        path = self.label_all([1, 2, 3])
        self.sweep(path, "--sigma", "2.5")
        told = json.loads(self.read(os.path.join(self.result, "run.json")))
        model, listed = (hashlib.sha256(self.read(name)).hexdigest() for name in (MODEL, path))
        version = self.run_salmap("--version").out.split()[1]
        self.assertEqual((told["salmap"], told["model"], told["model_sha256"]), (version, MODEL, model))
        self.assertEqual((told["inputs"], told["root"], told["pictures"]), ([path], top, 3))
        self.assertEqual((told["manifest"], told["manifest_sha256"]), ("manifest.csv", listed))
        self.assertEqual(told["settings"]["sigma"], "2.5")
        # The database has all of it as well.
        kept = {row["key"]: row["value"] for row in self.query("SELECT key, value FROM run")}
        options = {"option." + name: value for name, value in told["settings"].items()}
        self.assertEqual(kept, {**options, "version": version, "model": MODEL, "model_sha256": model,
                                "manifest_sha256": listed, "pictures": "3", "shard": "0", "shards": "1"})
        self.assertEqual(len(os.listdir(top)), 4)

    def test_the_command_that_repeats_it(self):
        self.draw("it's.png", "b.png")
        os.mkdir(os.path.join(self.folder, "lists"))
        path = self.write("lists/a list.csv", b"path,label\nit's.png,2\nb.png,-3\n")
        for options in ([], ["--sigma", "1.5", "--maps", "npz", "--overlays", "wrong", "--tolerance", "0.125", "--fit",
                             "letterbox", "--mean", "0.1,0.2,0.3", "--exact", "--overlay-format", "png", "--target",
                             "label", "--normalize", "none", "--alpha", "0.7"], ["--overlay-size", "full"], ["--overlay-size", "9"]):
            with self.subTest(options=options):
                again = os.path.join(self.folder, "again")
                self.sweep(path, "--root", os.path.join(self.folder, "in"), *options)
                with open(os.path.join(self.result, "run.json")) as f:
                    words = shlex.split(json.load(f)["again"])
                self.assertEqual(words[0], "salmap")
                self.check([again if word == "AGAIN" else word for word in words[1:]], 0)
                mine, theirs = self.snapshot(), self.snapshot(again)
                # Where the preprocessing comes from is another place: the command has it all.
                described = [json.loads(files_of_run.pop("run.json")) for files_of_run in (mine, theirs)]
                origins = [run.pop("preprocess_origin") for run in described]
                self.assertEqual(described[0], described[1])
                self.assertRegex(origins[1], "^--preset raw, --fit [a-z]+, --order rgb, --scale ")
                self.assert_same_files(mine, theirs)
                shutil.rmtree(self.result), shutil.rmtree(again)

    def test_the_same_run_gives_the_same_bits(self):
        path = SCALES_CSV
        first = os.path.join(self.folder, "first")
        options = [path, "--overlays", "top:9", "--maps", "npz"]
        self.sweep(*options)
        os.rename(self.result, first)
        self.sweep(*options)
        self.assert_same_files(self.snapshot(first), self.snapshot())

    def test_batch_and_threads_change_no_bit(self):
        top = self.draw_many(7)
        self.sweep(top)
        other = os.path.join(self.folder, "other")
        self.sweep(top, "--batch", "3", "--threads", "1", run=other)
        mine, theirs = self.snapshot(), self.snapshot(other)
        mine.pop("run.json"), theirs.pop("run.json")
        self.assert_same_files(mine, theirs)

    def test_equal_names_get_numbers(self):
        top = self.draw("one/a.png", "three/a.jpg.png", "two/a.png", "two/b.png")
        self.sweep(top)
        self.assertEqual([os.path.basename(row["map_file"]) for row in self.rows()],
                         ["a.npy", "a.jpg.npy", "a-2.npy", "b.npy"])

    def test_a_thousand_pictures_a_folder(self):
        self.draw_many(8, side=16)
        lines = ["p%04d.png" % (i % 8) for i in range(8)]
        top = os.path.join(self.folder, "in")
        for i in range(8, 1003):
            os.link(os.path.join(top, "p%04d.png" % (i % 8)), os.path.join(top, "p%04d.png" % i))
            lines.append("p%04d.png" % i)
        self.sweep(top, "--preset", "unit", "--overlays", "none", model=self.classifier())
        self.assertEqual([row["map_file"] for row in self.rows()],
                         ["maps/%03d/p%04d.npy" % (i // 1000, i) for i in range(1003)])
        self.assertEqual(len(os.listdir(os.path.join(self.result, "maps/001"))), 3)


if __name__ == "__main__":
    main(sys.modules[__name__])
