"""Limits of pictures: what is refused before it is read, what an option allows, and when it is tried again."""

import os
import re
import struct
import subprocess
import sys
import zlib

import files
from harness import MODEL, SALMAP, SCALE, Case, main
from sweep_case import SweepCase


def rle_frame(count):
    """A zstd frame of this many blocks of 128 KiB of zeros, four bytes each."""
    header = struct.pack("<I", 0xFD2FB528) + bytes([0xA0]) + struct.pack("<I", count << 17)
    blocks = b"".join(struct.pack("<I", (1 << 17) << 3 | 1 << 1 | (i == count - 1))[:3] + b"\0" for i in range(count))
    return header + blocks


class Limits(Case):
    def refuse(self, path, text, *options):
        """Refused in one line, without memory for it."""
        command = [SALMAP, "explain", MODEL, path, "-o", self.out, *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.folder)
        said = process.stderr.read().decode()
        process.stdout.close()
        process.stderr.close()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual((process.returncode, said), (3, "salmap: explain: %s: %s\n" % (path, text)))
        self.assertLess(used.ru_maxrss, 1 << 20, "KiB")
        self.assertEqual(self.outputs(), [])

    def sparse(self, name, data, size=3 << 30):
        path = self.write(name, data)
        os.truncate(path, size)
        return path

    def test_a_sparse_file_of_gigabytes_is_not_read(self):
        self.refuse(self.sparse("x.png", b""), "not a PNG, JPEG, TIFF or .npy file")

    def test_a_picture_with_a_hole_behind_it_is_not_read(self):
        declared = "3221225472 bytes, and what its beginning declares takes at most %d: it is damaged"
        picture = files.gradient_png(300, 200)
        self.refuse(self.sparse("x.png", picture), declared % (300 * 200 * 3 * 4 + (1 << 26)))
        values = files.npy((48, 64), [0.5] * (48 * 64))
        self.refuse(self.sparse("x.npy", values), declared % (len(values) + (1 << 26)))
        frame = b"\xff\xd8\xff\xe1\x00\x10" + bytes(14) + b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", 200, 300) + b"\x03" + bytes(9)
        self.refuse(self.sparse("x.jpg", frame), declared % (300 * 200 * 3 * 16 + (1 << 26)))

    def test_a_large_picture_is_refused_by_its_beginning(self):
        header = struct.pack(">IIBBBBB", 100000, 100000, 8, 2, 0, 0, 0)
        picture = b"\x89PNG\r\n\x1a\n" + files.png_chunk(b"IHDR", header)
        self.refuse(self.sparse("x.png", picture), "100000 x 100000 pixels, the limit is 1073741824 pixels")

    def test_a_file_larger_than_the_memory_for_it(self):
        path = self.sparse("x.tif", b"II*\0", 50 << 20)
        self.refuse(path, "has 52428800 bytes, more than the 41943040 bytes of memory for a picture: --max-memory sets it",
                    "--max-memory", "40M")

    def test_max_pixels(self):
        picture = self.write("a.png", files.gradient_png(40, 30))
        self.refuse(picture, "40 x 30 pixels, the limit is 1199 pixels", "--max-pixels", "1199")
        self.explain(picture, "--max-pixels", "1200")

    def test_max_memory(self):
        """File and samples, and the samples again for what is shown of 16 bits."""
        rows = [bytes(2 * 3 * 600)] * 500
        picture = self.write("a.png", files.png(600, 500, rows, depth=16))
        self.refuse(picture, "600 x 500 pixels of 3 channels take 3 MiB of memory, the limit is 2 MiB: --max-memory sets it",
                    "--max-memory", "2M")
        for size in ("3M", "3072K", "3145728", "1G", "1T"):
            self.explain(picture, "--max-memory", size)

    def test_sizes_that_are_none(self):
        for size in ("", "0", "-1", "1X", "1MB", "M", "1.5G", "99999999999T"):
            self.check(["explain", MODEL, SCALE, "-o", self.out, "--max-memory", size], 2,
                       "salmap: explain: --max-memory: '%s' is not a size such as 900M or 4G\n" % size)
        self.check(["explain", MODEL, SCALE, "-o", self.out, "--max-pixels", "0"], 2,
                   "--max-pixels: '0' is not a whole number from 1 to 1000000000000000")

    def compressed(self, width, height, data, compression, samples=1):
        """A TIFF of one strip; data is compressed already."""
        plain = bytearray(files.tiff(width, height, data, samples))
        entry = plain.index(struct.pack("<HHII", 259, 3, 1, 1))
        plain[entry : entry + 12] = struct.pack("<HHII", 259, 3, 1, compression)
        return bytes(plain)

    def zeros(self, count):
        """Deflated."""
        packer, out = zlib.compressobj(9), b""
        for done in range(0, count, 1 << 24):
            out += packer.compress(bytes(min(1 << 24, count - done)))
        return out + packer.flush()

    def test_a_deflated_bomb(self):
        """Of the best that deflate can do, beyond 256 Mpixel."""
        bomb = self.compressed(17000, 16000, self.zeros(17000 * 16000), 8)
        path, times = self.write("bomb.tif", bomb), 17000 * 16000 // len(bomb)
        self.assertGreater(times, 1000)
        self.refuse(path, "TIFF: 17000 x 16000 pixels are %d times the file's %d bytes: if that is meant, --max-pixels 272000000 lets "
                    "it pass" % (times, len(bomb)))
        # It does, and other limits count.
        self.refuse(path, "17000 x 16000 pixels of 1 channels take 1557 MiB of memory, the limit is 500 MiB: --max-memory sets it",
                    "--max-pixels", "272000000", "--max-memory", "500M")

    def test_a_zstd_bomb(self):
        bomb = self.compressed(8192, 8192, rle_frame(8192 * 8192 * 3 >> 17), 50000, 3)
        path, times = self.write("bomb.tif", bomb), 8192 * 8192 * 3 // len(bomb)
        self.refuse(path, "TIFF: 8192 x 8192 pixels are %d times the file's %d bytes: if that is meant, --max-pixels 67108864 lets it pass"
                    % (times, len(bomb)))

    def test_a_blank_scan_passes(self):
        """An A3 sheet at 600 dpi without a speck: a thousandth of its size."""
        blank = self.write("blank.tif", self.compressed(7016, 9921, self.zeros(7016 * 9921), 8))
        self.assertLess(os.path.getsize(blank), 7016 * 9921 // 1000)
        done = self.check(["sweep", MODEL, blank, "-o", self.out, "--preset", "unit", "--overlays", "none", "--max-memory", "1G"], 0)
        self.assertRegex(done.out, r"\A1 of 1 picture")


class LimitsOfSweeps(SweepCase):
    def setUp(self):
        super().setUp()
        self.model = self.classifier()
        self.top = self.draw_many(3, side=16)
        self.draw("large.png", side=64)

    def command(self, *arguments, **where):
        return super().command(*arguments, "--preset", "unit", **{"model": self.model, **where})

    def counts(self, *options, code=0):
        """Pictures that failed, and those that were computed now."""
        done = self.sweep(self.top, *options, code=code)
        none = re.match(r"nothing is left to do: (\d) of 4 pictures done, (\d) failed ", done.out)
        some = re.match(r"(\d) of 4 pictures done, (\d) failed; (\d) now", done.out)
        self.assertTrue(none or some, done.out)
        self.assertEqual(sum(int(n) for n in (none or some).groups()[:2]), 4)
        return (int(none[2]), 0) if none else (int(some[2]), int(some[3]))

    def check_retry(self, options, less, little, more):
        self.assertEqual(self.counts(*options, little, code=3), (1, 4))
        (row,) = self.query("SELECT status, error FROM pictures WHERE status <> 'ok'")
        self.assertEqual(row["status"], "limit")
        self.assertIn("64 x 64 pixels", row["error"])
        self.assertEqual(self.counts(*options, little, code=3), (1, 0))
        self.assertEqual(self.counts(*options, more), (0, 1))
        self.assertEqual(self.counts(*options, less), (0, 0))
        self.assertEqual([name for name in os.listdir(self.result) if "in-flight" in name], [])

    def test_a_picture_over_max_pixels_is_tried_again_with_another_limit(self):
        self.check_retry(["--max-memory", "1G", "--max-pixels"], "300", "4095", "4096")

    def test_a_picture_over_max_memory_is_tried_again_with_a_higher_limit(self):
        self.check_retry(["--max-memory"], "3K", "20K", "64K")

    def test_a_lower_limit_is_no_reason_to_try_again(self):
        self.assertEqual(self.counts("--max-memory", "20K", code=3), (1, 4))
        self.assertEqual(self.counts("--max-memory", "19K", code=3), (1, 0))

    def test_pictures_wait_for_memory(self):
        """Each takes more than half of what there is: they are decoded one after the other, and all are done."""
        self.top = self.draw_many(30, folder="many", side=64)
        done = self.sweep(self.top, "--max-memory", "30K", "--batch", "4")
        self.assertRegex(done.out, r"\A30 of 30 pictures done, 0 failed")


if __name__ == "__main__":
    main(sys.modules[__name__])
