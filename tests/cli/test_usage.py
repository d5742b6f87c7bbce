"""What the program says of itself, and to those who mistype."""

import os
import re
import shutil
import subprocess
import sys
import unittest

from harness import MODEL, SALMAP, SCALE, SCALES, SOURCE, Case, main


COMMANDS = ("explain", "sweep", "merge", "export", "sheet", "render", "inspect", "methods", "plan", "doctor")


class Usage(Case):
    def test_no_command_shows_the_usage(self):
        self.check([], 2, "Usage: salmap COMMAND", "explain", "inspect", "plan")

    def test_help_and_version_go_to_stdout(self):
        for arguments in (["--help"], ["help"], ["help", "explain"], ["explain", "--help"], ["plan", "-h"]):
            done = self.check(arguments, 0)
            self.assertIn("Usage: salmap", done.out)
            self.assertEqual(done.err, "")
    def test_the_version_names_the_commit(self):
        for words in (["--version"], ["version"], ["-v"], ["-V"], ["help", "version"]):
            said = self.check(words, 0).out
            self.assertRegex(said, r"\Asalmap \d+\.\d+\.\d+\n(commit [0-9a-f]{12}(, with changes)?\n)?\Z")
        with open(os.path.join(os.path.dirname(SALMAP), "src/cli/commit.c")) as f:
            commit = re.search(r'cli_commit = (?:NULL|"(.*)");', f.read()).group(1)
        self.assertEqual(re.findall("commit (.*)\n", said), [commit] if commit else [])

    def commit_of(self, folder):
        """What a build of the sources in a folder would say, and when that was written."""
        out = os.path.join(self.folder, "commit.c")
        subprocess.run(["cmake", "-DSOURCE=" + folder, "-DOUTPUT=" + out, "-P", os.path.join(SOURCE, "src/cmake/commit.cmake")],
                       check=True)
        return re.search(r"cli_commit = (.*);", self.read(out).decode()).group(1), os.stat(out).st_mtime_ns

    @unittest.skipUnless(shutil.which("git") and shutil.which("cmake"), "no git or no cmake")
    def test_which_commit_is_named(self):
        top = os.path.join(self.folder, "checkout")
        os.makedirs(os.path.join(top, "unpacked"))
        self.assertEqual(self.commit_of(top)[0], "NULL")
        self.write("checkout/file", b"1")
        git = ["git", "-C", top, "-c", "user.name=a", "-c", "user.email=a@b"]
        for words in (["init", "-q"], ["add", "file"], ["commit", "-qm", "One"]):
            subprocess.run([*git, *words], check=True)
        head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, stdout=subprocess.PIPE).stdout.decode()
        named, written = self.commit_of(top)
        self.assertEqual(named, '"%s"' % head[:12])
        self.write("checkout/untracked", b"2")
        self.assertEqual(self.commit_of(top), (named, written), "it is not written again")
        self.assertEqual(self.commit_of(os.path.join(top, "unpacked"))[0], "NULL")
        self.write("checkout/file", b"3")
        self.assertEqual(self.commit_of(top)[0], '"%s, with changes"' % head[:12])

    def test_mistyped_words_are_corrected(self):
        self.check(["explian"], 2, "unknown command 'explian'", "did you mean 'explain'?")
        self.check(["explain", "--colourmap", "jet"], 2, "unknown option '--colourmap'", "did you mean '--colormap'?")
        self.check(["frobnicate"], 2, "unknown command 'frobnicate'", absent=["did you mean"])
        self.check(["plan", "-z", "x"], 2, "plan: unknown option '-z'", "salmap plan --help")

    def test_wrong_values_name_option_and_choices(self):
        base = ["explain", MODEL, SCALE, "-o", self.out]
        self.check([*base, "--colormap", "pink"], 2, "--colormap: 'pink'", "viridis, inferno, turbo, jet, gray")
        self.check([*base, "--blend", "screen"], 2, "--blend: 'screen'", "map, flat")
        self.check([*base, "--modifier", "no"], 2, "--modifier: 'no'", "abs, relu, negate, none")
        self.check([*base, "--sigma", "-1"], 2, "--sigma: '-1'", "from 0 to 10000")
        self.check([*base, "--sigma", "nan"], 2, "--sigma: 'nan'")
        self.check([*base, "--seed", str(2**53 + 1)], 2, "--seed: '9007199254740993' is not a whole number from 0 to 9007199254740992")
        self.check([*base, "--alpha", "1.5"], 2, "--alpha: '1.5'", "from 0 to 1")
        self.check([*base, "--batch", "0"], 2, "--batch: '0'", "from 1 to 65536")
        self.check([*base, "--batch", "2x"], 2, "--batch: '2x'")
        self.check([*base, "--target", "best"], 2, "--target: 'best'", "predicted, label, index:N, top:K, margin or mean")
        self.check([*base, "--preset", "imagnet"], 2, "--preset", "imagnet", "imagenet, unit, caffe, tf, raw")
        self.check([*base, "--fit", "squash"], 2, "--fit", "squash", "stretch, letterbox, center-crop")
        self.check([*base, "--json=yes"], 2, "--json takes no value")
        self.check(["explain", MODEL, SCALE, "--out"], 2, "--out needs a value: DIR")
        self.assertEqual(self.outputs(), [])

    def test_operands_are_counted(self):
        self.check(["explain"], 2, "no operands", "MODEL INPUT...")
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

    def test_words_that_are_no_targets(self):
        known = "label, index:N, top:K, margin or mean\n"
        for word in ("age_10", "index:", "labels"):
            for command in ("explain", "sweep"):
                said = "salmap: %s: --target: '%s' is no target; targets are predicted, " % (command, word)
                self.check([command, MODEL, SCALES, "-o", self.out, "--target", word], 2, said + known)

    def test_pictures_in_sub_folders(self):
        top = os.path.join(self.folder, "in")
        os.makedirs(os.path.join(top, "a/b"))
        base = ["explain", MODEL, top, "-o", self.out]
        self.check(base, 1, "salmap: explain: %s: no pictures (.png, .jpg, .jpeg, .tif, .tiff, .npy) in this folder\n" % top)
        shutil.copy(SCALE, os.path.join(top, "a/b"))
        self.check(base, 0)
        self.check(["explain", MODEL, os.path.join(top, "a/b"), "-o", self.out], 0)
        # The results of a run are no pictures to explain.
        os.remove(os.path.join(top, "a/b", os.path.basename(SCALE)))
        self.check(["sweep", MODEL, SCALE, "-o", os.path.join(top, "run")], 0)
        self.check(base, 1, absent=["sub-folders"])

    def test_devices_that_are_not_there(self):
        self.check(["plan", MODEL, "--device", "abacus"], 2, "salmap: plan: device 'abacus': choose auto", "cpu")

    def test_output_that_is_lost_is_an_error(self):
        with open("/dev/full", "wb") as full:
            for arguments in (["--version"], ["inspect", MODEL], ["explain", MODEL, SCALE, "-o", self.out]):
                done = self.run_salmap(*arguments, stdout=full)
                self.assertEqual(done.returncode, 1)
                self.assertRegex(done.err, r"\Asalmap: (\w+: )?cannot write to standard output: No space left on device\n\Z")

    def test_a_reader_that_left_is_told_nothing(self):
        """As with "| head": but for work that was not done because of that."""
        reading, writing = os.pipe()
        os.close(reading)
        with os.fdopen(writing, "wb") as left:
            for arguments in (["--version"], ["version"], ["--help"], ["help", "sweep"], ["explain", "--help"], ["export", "--help"],
                              ["inspect", MODEL], ["methods"]):
                done = self.run_salmap(*arguments, stdout=left)
                self.assertEqual((done.returncode, done.err), (1, ""), arguments)
            # Lines are to be read, and the files are made; objects are results.
            done = self.run_salmap("explain", MODEL, SCALE, "-o", self.out, stdout=left)
            self.assertEqual((done.returncode, done.err, len(self.outputs())), (0, "", 3))
            done = self.run_salmap("explain", MODEL, SCALE, "-o", self.out, "--json", stdout=left)
            self.assertEqual(done.returncode, 1)
            self.assertEqual(done.err, "salmap: explain: cannot write to standard output: Broken pipe\n")


class Documents(Case):
    """Help, manual page and completions name the same options."""

    def options(self, command):
        found = set(re.findall(r"--([a-z][a-z-]+)", self.check([command, "--help"], 0).out))
        self.assertIn("help", found, command)
        return found - {"help"}

    def test_the_manual_names_every_option(self):
        with open(os.path.join(SOURCE, "data/man/salmap.1")) as f:
            manual = f.read().replace("\\-", "-")
        for command in COMMANDS:
            for option in self.options(command):
                self.assertRegex(manual, r"--%s\b" % option)
        known = set().union(*(self.options(command) for command in COMMANDS)) | {"help", "version"}
        self.assertEqual(set(re.findall(r"--([a-z][a-z-]+)", manual)) - known, set())

    def test_completions_name_every_option(self):
        for name, form in (("salmap.bash", r"--%s\b"), ("_salmap", r"--%s\b"), ("salmap.fish", r"-l %s\b")):
            with open(os.path.join(SOURCE, "data/completions", name)) as f:
                text = f.read()
            for command in COMMANDS:
                self.assertRegex(text, r"\b%s\b" % command, name)
                for option in self.options(command):
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
        self.assertEqual(self.complete("salmap", "expl"), ["explain"])
        self.assertEqual(self.complete("salmap", "sweep", "--overlay-f"), ["--overlay-format"])
        self.assertEqual(self.complete("salmap", "plan", "--st"), ["--steps"])
        self.assertEqual(self.complete("salmap", "explain", "--colormap", "j"), ["jet"])
        self.write("a model.onnx", b"")
        self.assertEqual(self.complete("salmap", "inspect", "a m"), ["a model.onnx"])


if __name__ == "__main__":
    main(sys.modules[__name__])
