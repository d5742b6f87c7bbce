"""Models and pictures that are broken: the exit code, and a message that names them."""

import math
import os
import struct
import sys
import zlib

import files
from harness import MODEL, SCALE, SCALES, Case, main


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


if __name__ == "__main__":
    main(sys.modules[__name__])
