"""What is printed as JSON is what data/schema says: every field is documented, and everything that is documented occurs."""

import copy
import json
import os
import signal
import sys

import files
import schema
from harness import MODEL, SCALES, main
from sweep_case import SCALES_CSV, SweepCase


def keys_of(value):
    """Names of all fields, at any depth."""
    if isinstance(value, dict):
        return set(value).union(*(keys_of(item) for item in value.values()))
    return set().union(*(keys_of(item) for item in value)) if isinstance(value, list) else set()


def documented(rules):
    """Names that a schema gives to fields."""
    if isinstance(rules, list):
        return set().union(*(documented(rule) for rule in rules))
    if not isinstance(rules, dict):
        return set()
    own = set(rules.get("properties", ()))
    return own.union(*(documented(rule) for rule in rules.values()))


class Schemas(SweepCase):
    def setUp(self):
        super().setUp()
        self.seen = []

    def take(self, done, rules):
        lines = [json.loads(line) for line in done.out.splitlines()]
        self.assertGreater(len(lines), 0)
        for line in lines:
            self.assertEqual(schema.faults(line, rules), [], line)
        self.seen += lines
        return lines

    def translucent(self):
        """A folder with a picture that has alpha, which is laid over white: that is noted."""
        os.mkdir(os.path.join(self.folder, "alpha"))
        rows = [bytes((10 * x, 10 * y, 7, 128)[k] for x in range(16) for k in range(4)) for y in range(16)]
        self.write("alpha/a.png", files.png(16, 16, rows, color_type=6))
        return "alpha"

    def test_events_of_sweeps(self):
        rules = schema.load("sweep-events")
        model = self.classifier()
        top = self.draw("a.png", "b.png", "c.png", side=16)
        self.spoil(os.path.join(top, "c.png"))
        self.write("in/list.csv", b"path,label\na.png,one\nb.png,2\nc.png,\nnone.png,9\n")
        self.write("names.txt", b"zero\none\ntwo\nthree\nfour\n")
        self.write("in/names.csv", b"path,label\na.png,one\nb.png,two\nc.png,\n")
        unit = ["--preset", "unit", "--json"]
        numbers = os.path.join(top, "list.csv")
        for arguments, code, where in (
            ([top, "--dry-run"], 0, {}), ([top], 3, {}), ([top], 3, {}), ([top, "--dry-run"], 0, {}),
            ([numbers], 3, {"run": "labels"}), ([numbers, "--max-failures", "0"], 1, {"run": "failing"}),
            ([os.path.join(top, "names.csv"), "--classes", "names.txt"], 3, {"run": "classes"}),
            ([top, "--shard", "0/2"], None, {"run": "shards"}),
        ):
            done = self.run_salmap(*self.command(*arguments, *unit, model=model, **where))
            if code is not None:
                self.assertEqual(done.returncode, code, done.out + done.err)
            lines = self.take(done, rules)
            self.assertEqual(lines[0]["event"], "start")
            self.assertEqual(lines[-1]["event"], "plan" if "--dry-run" in arguments else "end")
        self.take(self.sweep(SCALES_CSV, "--json", run="regression"), rules)
        os.environ["SLURM_PROCID"], os.environ["SLURM_STEP_NUM_TASKS"] = "0", "1"
        try:
            (first, *_) = self.take(self.sweep(SCALES, "--json", "--shard", "auto", run="auto"), rules)
        finally:
            del os.environ["SLURM_PROCID"], os.environ["SLURM_STEP_NUM_TASKS"]
        self.assertIsNotNone(first["shard_from"])
        self.take(self.sweep(self.translucent(), "--json", run="noted"), rules)
        found = {event["event"] for event in self.seen}
        self.assertEqual(found, {"start", "labels", "progress", "failed", "note", "plan", "end"})
        # But for other kinds of notes.
        self.assertEqual(documented(rules) - keys_of(self.seen), {"depth", "range", "exif", "gray", "other"})

    def test_events_of_a_sweep_that_is_stopped(self):
        process = self.start(self.draw_many(400), "--json", stdout=-1)
        said = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        said += process.stdout.read()
        self.assertEqual(process.wait(), 75)
        lines = [json.loads(line) for line in said.splitlines()]
        for line in lines:
            self.assertEqual(schema.faults(line, schema.load("sweep-events")), [], line)
        self.assertEqual(lines[-1]["outcome"], "stopped")

    def test_results(self):
        rules = schema.load("results")
        model = self.classifier()
        top = self.draw(b"a.png", b"b\xff.png", b"c.png", side=16, folder=os.fsencode(self.folder) + b"/in")
        with open(os.path.join(top, b"c.png"), "wb") as f:
            f.write(b"no picture")
        self.write("in/list.csv", b"path,label,site\na.png,1,north\nb\xff.png,2,\nc.png,,south\n")
        self.write("names.txt", b"zero\none\ntwo\nthree\nfour\n")
        given = ["--preset", "unit", "--classes", "names.txt", "--label-as", "output"]
        for arguments, run, code in (
            (["in/list.csv", *given], "plain", 3), (["in", "--preset", "unit", "--target", "top:3", "--maps", "none"], "top", 3),
            (["in", "--preset", "unit", "--method", "integrated-gradients", "--overlays", "none"], "gaps", 3),
            (["in", "--preset", "unit", "--target", "mean"], "mean", 3),
        ):
            self.sweep(*arguments, model=model, run=run, code=code)
            for form in ([], ["--timings"]):
                self.assertEqual(len(self.take(self.check(["export", run, "--json", *form], 0), rules)), 3)
        self.sweep(SCALES_CSV, run="regression")
        self.take(self.check(["export", "regression", "--json"], 0), rules)
        self.assertEqual(documented(rules) - keys_of(self.seen), set())

    def test_explained_pictures(self):
        rules = schema.load("explain")
        model = self.classifier()
        top = self.draw("a.png", "b.png", side=16)
        self.spoil(os.path.join(top, "b.png"))
        self.write("in/list.csv", b"path,label\na.png,1\nb.png,2\n")
        self.write("names.txt", b"zero\none\ntwo\nthree\nfour\n")
        for arguments, code in (
            (["in"], 3), (["in/list.csv", "--classes", "names.txt", "--label-as", "output", "-t", "label", "--figure"], 3),
            (["in", "--save-gradient", "-w", "map"], 3), (["in", "-t", "top:2", "-m", "integrated-gradients"], 3),
            (["in", "-t", "mean"], 3), ([self.translucent()], 0),
        ):
            self.take(self.check(["explain", model, *arguments, "-o", self.out, "--preset", "unit", "--json"], code), rules)
        self.take(self.check(["explain", MODEL, "in", "-o", self.out, "--json"], 3), rules)
        self.assertEqual(documented(rules) - keys_of(self.seen), set())

    def test_the_checker_refuses_what_is_wrong(self):
        rules = schema.load("explain")
        right = json.loads(self.check(["explain", MODEL, SCALES_CSV, "-o", self.out, "--json"], 0).out.splitlines()[0])
        self.assertEqual(schema.faults(right, rules), [])
        for change in (
            lambda d: d.pop("picture"), lambda d: d["maps"][0].pop("flat"), lambda d: d.update(surprise=1),
            lambda d: d["maps"][0].update(surprise=None), lambda d: d.update(status="fine"), lambda d: d.update(predicted=-1),
            lambda d: d.update(predicted=1.5), lambda d: d.update(predicted=True), lambda d: d["maps"][0].update(flat=0),
            lambda d: d.update(maps={}), lambda d: d.update(picture=None), lambda d: d["maps"].append(3),
            lambda d: d.update(notes=[{"kind": "odd", "text": ""}]),
        ):
            wrong = copy.deepcopy(right)
            change(wrong)
            self.assertNotEqual(schema.faults(wrong, rules), [], wrong)
        for value, rule in (("0g", {"pattern": "^([0-9a-f]{2})+$"}), (1, {"enum": [True]}), (2, {"const": 3}), (None, {"type": ["string"]})):
            self.assertNotEqual(schema.faults(value, rule), [], rule)
        self.assertEqual(schema.faults(None, {"type": ["integer", "null"], "minimum": 0}), [])
        self.assertRaises(AssertionError, schema.faults, 1, {"maximum": 3})


if __name__ == "__main__":
    main(sys.modules[__name__])
