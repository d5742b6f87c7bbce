"""How commands behave towards people: names on terminals, progress, signals, files that are given by mistake."""

import os
import sys

from harness import MODEL, SCALE, main
from sweep_case import SweepCase

# A name that colours what comes after it, in each form that a terminal may obey.
NASTY = b"a\x1b[31m\x9b32m\xc2\x9b33m\x07\x7f.png"


class Terminals(SweepCase):
    def assert_tame(self, said):
        """No controls but line ends, and what draws the bar."""
        said = said.replace(b"\r\n", b"\n").replace(b"\r\x1b[K", b"").replace(b"\x1b[K", b"").replace(b"\r", b"")
        text = said.decode("utf-8")
        self.assertEqual([c for c in text if c != "\n" and (c < " " or "\x7f" <= c < "\xa0")], [], said)
        return text

    def test_names_control_no_terminal(self):
        top = self.draw(NASTY, b"plain.png", folder=os.fsencode(self.folder) + b"/in")
        name = os.path.join(top, NASTY)
        out, run = (os.path.join(os.fsencode(self.folder), word + NASTY) for word in (b"out", b"run"))
        for arguments, code, count in (
            (["explain", MODEL, name, "-o", out], 0, 2),
            (["explain", name, SCALE, "-o", out], 1, 1),
            (["explain", MODEL, name + b"no", "-o", out], 3, 2),
            (["sweep", MODEL, top, "-o", run, "--dry-run"], 0, 1),
            (["sweep", MODEL, top, "-o", run], 0, 1),
            (["sweep", MODEL, top, "-o", run, "--dry-run"], 0, 1),
            (["sweep", MODEL, top, "-o", run], 0, 1),
            (["sweep", MODEL, NASTY, "-o", run], 1, 1),
            (["merge", run], 0, 1),
            (["export", run], 0, 3),
            (["inspect", name], 1, 1),
            (["plan", name], 1, 1),
            ([NASTY], 2, 1),
            (["explain", b"--" + NASTY], 2, 1),
            (["explain", MODEL, SCALE, "-o", out, b"--target", NASTY], 2, 1),
        ):
            text = self.assert_tame(self.on_terminal(*arguments, code=code))
            self.assertGreaterEqual(text.count("?[31m?32m??33m"), count, arguments)
        self.assertIn("plain.png", self.assert_tame(self.on_terminal("export", run, "--json")))

    def test_exports_are_whole_elsewhere(self):
        top = self.draw(NASTY, folder=os.fsencode(self.folder) + b"/in")
        self.sweep(top)
        self.assertIn(NASTY.decode("utf-8", "surrogateescape"), self.check(["export", self.result], 0).out)


if __name__ == "__main__":
    main(sys.modules[__name__])
