"""Models and pictures that are broken: the exit code, and a message that names them."""

import gzip
import io
import math
import os
import pickle
import re
import struct
import sys
import tarfile
import zipfile
import zlib

import files
from harness import MODEL, SCALE, SCALES, Case, main


class BadModels(Case):
    def check_model(self, name, data, *texts, absent="mistake"):
        path = self.write(name, data)
        for arguments in (["inspect", path], ["plan", path], ["explain", path, SCALE, "-o", self.out]):
            self.check(arguments, 1, "salmap: %s: %s: " % (arguments[0], path), *texts, absent=[absent])
        self.assertEqual(self.outputs(), [])

    def test_a_file_that_is_not_there(self):
        self.check(["inspect", "no/such.onnx"], 1, "no/such.onnx: cannot open: No such file or directory")

    def test_a_folder(self):
        self.check(["inspect", self.folder], 1, self.folder + ": is a directory, expected a file")

    def test_an_empty_file(self):
        self.check_model("empty.onnx", b"", "the file is empty")

    def test_another_kind_of_file(self):
        said = "picture.onnx: is a PNG picture, and salmap reads models of ONNX and Keras: MODEL comes first, then pictures\n"
        self.check_model("picture.onnx", self.read(SCALE), said)
        self.check_model("text.onnx", b"not a model at all\n" * 40, "not an ONNX model, or corrupt")

    def test_files_that_are_named_for_what_they_are(self):
        def zipped(*names):
            buffer = io.BytesIO()
            with zipfile.ZipFile(buffer, "w") as z:
                for name in names:
                    z.writestr(name, b"something")
            return buffer.getvalue()

        tar = io.BytesIO()
        with tarfile.open(fileobj=tar, mode="w") as t:
            t.add(MODEL, "model.onnx")
        table = self.read(os.path.join(SCALES, "labels.csv"))
        for name, data, *texts in (
            ("a.jpg", self.read(os.path.join(SCALES, "scale_05.jpg")), "is a JPEG picture", "MODEL comes first"),
            ("a.tif", files.tiff(2, 2, b"\0" * 12), "is a TIFF picture", "MODEL comes first"),
            ("a.npy", files.npy((2, 2), [0.0] * 4), "is a .npy array", "MODEL comes first"),
            ("labels.csv", table, "is a CSV table", "MODEL comes first"),
            ("new.pt", zipped("archive/data.pkl", "archive/version"), "is a PyTorch checkpoint", "torch.onnx.export("),
            ("script.pt", zipped("m/code/__torch__.py"), "is a PyTorch checkpoint", "torch.onnx.export("),
            ("old.pth", b"\x80\2\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\2", "is a PyTorch checkpoint", "torch.onnx.export("),
            ("list.pkl", pickle.dumps([1], protocol=4), "is a Python pickle", "torch.onnx.export("),
            ("w.safetensors", struct.pack("<Q", 20) + b'{"a":{"dtype":"F32"}}' + b"\0" * 40, "weights and no network"),
            ("saved_model.pb", b"\x08\1\x12", "TensorFlow SavedModel", "tf2onnx.convert --saved-model FOLDER"),
            ("m.tflite", b"\x1c\0\0\0TFL3" + b"\0" * 40, "a TensorFlow Lite model", "tf2onnx.convert --tflite FILE"),
            ("arrays.npz", zipped("arr_0.npy"), "an .npz archive of arrays"),
            ("m.onnx.gz", gzip.compress(b"something"), "a gzip archive", "unpack it"),
            ("m.tar", tar.getvalue(), "a tar archive", "unpack it"),
            ("lfs.onnx", b"version https://git-lfs.github.com/spec/v1\noid sha256:12\n", "git lfs pull"),
            ("page.onnx", b"<!DOCTYPE html>\n<html></html>\n", "a web page", "download the model again"),
            ("page.h5", b"<!DOCTYPE html>\n<html></html>\n", "a web page", "download the model again"),
            ("config.json", b'{"architectures": []}\n', "a JSON file"),
        ):
            self.check_model(name, data, *texts)
        # What cannot be told keeps the message of its reader.
        self.check_model("else.zip", zipped("readme.txt"), "there is no config.json in this archive")
        self.check_model("cut.keras", self.read(MODEL.replace(".onnx", ".keras"))[:2000], absent="salmap reads models")

    def test_a_saved_model_in_its_folder(self):
        os.mkdir(self.out)
        self.write("out/saved_model.pb", b"\x08\1\x12")
        self.check(["inspect", self.out], 1, "it is a SavedModel", "model.save(")

    def test_truncated_anywhere(self):
        data = self.read(MODEL)
        for size in (1, 10, 100, 1000, len(data) // 2, len(data) - 1):
            self.check_model("cut_%d.onnx" % size, data[:size], "not an ONNX model, or truncated")

    def test_corrupt_bytes_never_crash(self):
        """Changed bytes may make another network, as those of a weight do: a model is read, or refused by name."""
        data = bytearray(self.read(MODEL))
        codes = []
        for seed in range(60):
            broken = bytearray(data)
            for k in range(1 + seed % 7):
                broken[(seed * 2654435761 + k * 40503) % 4000] ^= 1 << (seed + k) % 8
            path = self.write("broken.onnx", broken)
            done = self.run_salmap("inspect", path)
            codes.append(done.returncode)
            if done.returncode == 0:
                self.assertEqual(done.err, "", seed)
                self.assertIn("3 x 192 x 192 (channels, height, width)", done.out, seed)
            else:
                self.assertEqual((done.returncode, done.out), (1, ""), "seed %d: %s" % (seed, done.err))
                self.assertRegex(done.err, r"\Asalmap: inspect: %s: .+\n\Z" % re.escape(path), seed)
        # Most of these bytes are those of names and structure.
        self.assertGreater(codes.count(1), 50, codes)

    def test_nan_weights_are_named(self):
        data = bytearray(self.read(MODEL))
        name, begin, end = max(files.onnx_tensors(data), key=lambda t: t[2] - t[1])
        for value, text in ((math.nan, "NaN"), (math.inf, "infinity")):
            broken = bytearray(data)
            broken[begin + 400 : begin + 404] = struct.pack("<f", value)
            self.check_model("poisoned.onnx", broken, "tensor %s holds %s at 100\n" % (name, text))


UNKNOWN = "not a PNG, JPEG, TIFF or .npy file"


class BadPictures(Case):
    def check_picture(self, name, data, reason):
        """Costs that picture, with its name and this reason; the good one beside it is done. "..." stands for the words
        of a library, which its versions change."""
        path = self.write(name, data) if data is not None else os.path.join(self.folder, name)
        done = self.check(["explain", MODEL, path, SCALE, "-o", self.out], 3)
        wanted = re.escape("salmap: explain: %s: %s" % (path, reason)).replace(re.escape("..."), r"\w.*")
        self.assertRegex(done.err, r"\A%s\n\Z" % wanted)
        self.assertRegex(done.out, r"(?m)^1 of 2 pictures done, 1 failed, in ")
        self.assertEqual(self.outputs(), ["scale_02.npy", "scale_02.overlay.png", "scale_02.saliency.png"])

    def test_a_file_that_is_not_there(self):
        self.check_picture("missing.png", None, "cannot open: No such file or directory")

    def test_an_empty_file(self):
        self.check_picture("zero.png", b"", "the file is empty")

    def test_another_kind_of_file(self):
        self.check_picture("notes.png", b"hello, I am no picture\n" * 10, UNKNOWN)

    def test_a_device(self):
        done = self.check(["explain", MODEL, "/dev/null", "-o", self.out], 3, "/dev/null: is not a regular file")
        self.assertRegex(done.out, r"^0 of 1 picture done, 1 failed, in ")

    def test_truncated_pictures(self):
        picture = files.gradient_png(64, 48)
        jpeg = self.read(os.path.join(SCALES, "scale_05.jpg"))
        tiff = files.tiff(64, 48, bytes(64 * 48 * 3))
        npy = files.npy((48, 64), [0.5] * (48 * 64))
        for name, data, reason in (
            ("a.png", picture, "PNG: the file is truncated"),
            ("a.jpg", jpeg, "JPEG: ..."),
            ("a.tif", tiff, "TIFF: ..."),
            ("a.npy", npy, ".npy: truncated: %d bytes of values where 12288 are declared"),
        ):
            for share in (0.02, 0.5, 0.9):
                size = max(9, int(len(data) * share))
                self.check_picture(name, data[:size], reason % (size - 128) if "%d" in reason else reason)

    def test_corrupt_pictures(self):
        picture = bytearray(files.gradient_png(64, 48))
        picture[60] ^= 0x55
        self.check_picture("bits.png", picture, "PNG: IDAT: ...")
        jpeg = bytearray(self.read(os.path.join(SCALES, "scale_05.jpg")))
        jpeg[2:40] = bytes(38)
        self.check_picture("bits.jpg", jpeg, UNKNOWN)
        self.check_picture("bits.tif", b"II*\0" + struct.pack("<I", 0xFFFFFFF0) + bytes(64),
                           "TIFF: ...")
        self.check_picture("bits.npy", b"\x93NUMPY\x01\0\xff\xff" + bytes(100), ".npy: the file is truncated")

    def test_huge_declared_sizes_cost_no_memory(self):
        header = struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 2, 0, 0, 0)
        bomb = b"\x89PNG\r\n\x1a\n" + files.png_chunk(b"IHDR", header) + files.png_chunk(b"IDAT", zlib.compress(b"\0"))
        self.check_picture("huge.png", bomb, "2147483647 x 2147483647 pixels, the limit is 1073741824 pixels")
        self.check_picture("huge.tif", files.tiff(16, 16, bytes(768), declared_width=2**31 - 1),
                           "2147483647 x 16 pixels, the limit is 1073741824 pixels")
        data = bytearray(files.npy((48, 64), [0.5] * (48 * 64)))
        at = data.index(b"(48, 64)")
        data[at : at + 22] = b"(99999999, 9999999), }"
        self.check_picture("huge.npy", data,
                           ".npy: truncated: 12288 bytes of values where 3999999560000004 are declared")

    def test_a_channel_count_that_does_not_fit(self):
        self.check_picture("five.npy", files.npy((32, 32, 5), [0.25] * (32 * 32 * 5)), 
                           "the picture has 5 channels, the network takes 3; only pictures of 1 to 4 channels can be made "
                           "gray or RGB")

    def test_nan_samples(self):
        values = [0.5] * (32 * 32)
        values[100] = math.nan
        self.check_picture("nan.npy", files.npy((32, 32), values), "the picture has NaN, infinite or huge samples near row 2")

    def test_every_picture_bad(self):
        paths = [self.write("a.png", b"x"), self.write("b.png", b"y")]
        results = self.explain(*paths, code=3)
        self.assertEqual([(r["picture"], r["status"], r["error"]) for r in results],
                         [(path, "format", "%s: %s" % (path, UNKNOWN)) for path in paths])

    def test_more_bad_pictures_than_fit_in_flight(self):
        bad = [self.write("bad_%02d.png" % i, b"nothing") for i in range(40)]
        results = self.explain(*bad[:20], SCALE, *bad[20:], "--batch", "2", code=3)
        self.assertEqual([r["status"] for r in results], ["format"] * 20 + ["ok"] + ["format"] * 20)

    def test_a_folder_without_pictures(self):
        empty = os.path.join(self.folder, "nothing")
        os.mkdir(empty)
        self.check(["explain", MODEL, empty, "-o", self.out], 1, empty + ": no pictures (.png, .jpg, .jpeg, .tif, .tiff, .npy)")


if __name__ == "__main__":
    main(sys.modules[__name__])
