"""What a sweep says of its labels: how many predictions are right, and what to do where the list is not as it was meant."""

import json
import os
import sys

from harness import MODEL, main
from test_sweep_lists import ListCase


class Accuracy(ListCase):
    """Of all pictures of a run, whoever computed them."""

    def end_of(self, *arguments, **where):
        return json.loads(self.sweep(*arguments, "--json", **where).out.splitlines()[-1])

    def labels_for(self, predicted, wrong=()):
        return [(p + (i in wrong)) % 5 for i, p in enumerate(predicted)]

    def test_of_classes(self):
        predicted = self.predicted(self.draw_many(12))
        labels = self.labels_for(predicted, wrong=(2, 5))
        self.spoil(os.path.join(self.folder, "in/p0007.png"))
        labels[8:10] = ["", "what"]
        path = self.list_of(labels)
        done = self.sweep(path, code=3)
        lines = done.out.splitlines()
        self.assertTrue(lines[0].startswith("12 of 12 pictures done, 1 of them failed; "), lines[0])
        self.assertEqual(lines[1], "9 compared with their labels: 7 right (78 %)")
        correct = [value for value in self.correct() if value is not None]
        self.assertEqual((len(correct), sum(correct)), (9, 7))
        # Again, where nothing is left to do.
        self.assertEqual(self.sweep(path, code=3).out.splitlines()[1:], lines[1:2])
        end = self.end_of(path, code=3)
        self.assertEqual((end["done_now"], end["compared"], end["right"]), (0, 9, 7))
        self.assertNotIn("mean_absolute_error", end)

    def test_of_the_whole_run_and_not_of_this_call(self):
        predicted = self.predicted(self.draw_many(9))
        labels = self.labels_for(predicted, wrong=(0, 1))
        self.list_of(labels[:6])
        path = os.path.join(self.folder, "in/list.csv")
        self.assertIn("\n6 compared with their labels: 4 right (67 %)\n", self.sweep(path).out)
        self.list_of(labels)
        end = self.end_of(path, "--extend")
        self.assertEqual((end["done_now"], end["compared"], end["right"]), (3, 9, 7))

    def test_all_are_all(self):
        predicted = self.predicted(self.draw_many(300))
        all_right = self.list_of(predicted, "right.csv")
        self.assertIn("\n300 compared with their labels: 300 right (100 %)\n", self.sweep(all_right, run="right").out)
        one_wrong = self.list_of(self.labels_for(predicted, wrong=(4,)), "wrong.csv")
        self.assertIn("\n300 compared with their labels: 299 right (99 %)\n", self.sweep(one_wrong, run="wrong").out)

    def test_of_names(self):
        predicted = self.predicted(self.draw_many(4))
        names = ["zander", "pike", "trout", "eel", "roach"]
        path = self.write("names.txt", "\n".join(names).encode())
        listed = self.list_of([names[p] for p in self.labels_for(predicted, wrong=(3,))])
        self.assertIn("\n4 compared with their labels: 3 right (75 %)\n", self.sweep(listed, "--classes", path).out)

    def test_of_a_regression(self):
        top = self.draw_many(5, side=32)
        values = [line["score"] for line in self.explain(top, "--preset", "unit")]
        errors = [0.1, -0.25, 0.75, -2.0, 0.4]
        labels = ["%.9g" % (v + e) for v, e in zip(values, errors)]
        labels[4] = ""
        path = self.list_of(labels)
        out = self.sweep(path, model=MODEL).out
        self.assertIn("\n4 compared with their labels: mean absolute error 0.775, 2 within 0.5 (50 %)\n", out)
        end = self.end_of(path, model=MODEL)
        self.assertEqual((end["compared"], end["right"]), (4, 2))
        self.assertAlmostEqual(end["mean_absolute_error"], 0.775, delta=1e-5)
        wider = self.sweep(path, "--tolerance", "1", model=MODEL, run="wider").out
        self.assertIn("mean absolute error 0.775, 3 within 1 (75 %)\n", wider)
        none = self.list_of(["", "NA", "x", "", ""], "none.csv")
        end = self.end_of(none, model=MODEL, run="none")
        self.assertEqual((end["compared"], end["right"], end["mean_absolute_error"]), (0, 0, None))

    def test_without_labels_nothing_is_said(self):
        top = self.draw_many(2)
        self.assertNotIn("label", self.sweep(top).out)
        self.assertNotIn("compared", self.end_of(top))


if __name__ == "__main__":
    main(sys.modules[__name__])
