#!/usr/bin/env python3
"""cuDNN and cuBLASLt are looked for when they are needed: TEST SALMAP SOURCE [GROUP...]."""

import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../cli"))

import harness  # noqa: E402
from harness import MODEL, SALMAP, Case  # noqa: E402

LIBRARIES = ("libcudnn.so", "libcublasLt.so", "libnvrtc.so")


class Libraries(Case):
    def doctor(self, **environment):
        done = subprocess.run([SALMAP, "doctor", "--json"], stdout=subprocess.PIPE, check=True, env={**os.environ, **environment})
        return json.loads(done.stdout)["checks"]

    def row(self, name, **environment):
        (row,) = (c for c in self.doctor(**environment) if c["name"] == name)
        return row

    def test_the_program_itself_needs_none(self):
        needed = subprocess.run(["readelf", "-d", SALMAP], stdout=subprocess.PIPE, text=True, check=True).stdout
        self.assertIn("NEEDED", needed)
        for name in LIBRARIES:
            self.assertNotIn(name, needed)

    def test_the_doctor_says_which_file_was_opened(self):
        for name, library in zip(("cudnn", "cublas", "nvrtc"), LIBRARIES):
            row = self.row(name)
            self.assertEqual(row["state"], "ok", row)
            self.assertRegex(row["found"], r"/%s\.\d+\Z" % library.replace(".", r"\."))

    def test_a_named_folder_comes_first_and_must_be_right(self):
        folder = os.path.join(self.folder, "mine")
        os.makedirs(os.path.join(folder, "lib"))
        file = os.path.basename(self.row("cudnn")["found"].split(", ")[-1])
        path = self.write(os.path.join(folder, "lib", file), b"no library")
        row = self.row("cudnn", SAL_CUDA_PATH=folder)
        self.assertEqual(row["state"], "missing")
        self.assertIn(path, row["found"])
        self.assertIn({"name": "searched", "state": "ok", "found": os.path.join(folder, "lib"), "advice": None},
                      self.doctor(SAL_CUDA_PATH=folder))
        done = subprocess.run([SALMAP, "plan", MODEL, "--gpu", "h100"], stderr=subprocess.PIPE, text=True, check=False,
                              env={**os.environ, "SAL_CUDA_PATH": folder})
        self.assertEqual(done.returncode, 1)
        self.assertIn("GPUs, and plans for them, need %s, which cannot be opened (%s" % (file, path), done.stderr)
        self.assertIn("SAL_CUDA_PATH", done.stderr)

    def test_a_link_to_the_real_ones_in_a_named_folder_is_taken(self):
        folder = os.path.join(self.folder, "links")
        os.mkdir(folder)
        real = self.row("cublas")["found"].split(", ")[-1]
        link = os.path.join(folder, os.path.basename(real))
        os.symlink(real, link)
        row = self.row("cublas", SAL_CUDA_PATH=folder)
        self.assertEqual((row["state"], row["found"].split(", ")[-1]), ("ok", link))
        self.assertEqual(self.row("cudnn", SAL_CUDA_PATH=folder), self.row("cudnn"))


if __name__ == "__main__":
    harness.main(sys.modules[__name__])
