"""What the libraries of a training make of pictures that salmap would read otherwise: 16-bit gray through Pillow, orientation
in PNG, gray of colours. Held against Pillow, as in test_pictures.py."""

import io
import json
import os
import struct
import sys
import zlib

import numpy as np
from PIL import Image, ImageOps

import harness
from test_pictures import RGB, SIDE, WHITE_IS_ZERO, Pictures, as_rgb, levels, npy, planes, tiff


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def deep_png(array, colour, before=b"", after=b""):
    """16 bits a sample; before, after: chunks beside those of the pixels."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in array)
    header = struct.pack(">IIBBBBB", array.shape[1], array.shape[0], 16, colour, 0, 0, 0)
    out = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + before + png_chunk(b"IDAT", zlib.compress(rows))
    return out + after + png_chunk(b"IEND", b"")


def opened(data):
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


LOAD_IMG = ["--recipe", "keras-load-img"]


class Deep(Pictures):
    """Pillow takes 16-bit gray for levels, whatever their number."""

    def kinds(self, array):
        mark = png_chunk(b"tRNS", struct.pack(">H", int(array[3, 3])))
        return {
            "d.png": deep_png(array, 0),
            "marked.png": deep_png(array, 0, mark),
            "d.tif": tiff([{"array": array}]),
            "big.tif": tiff([{"array": array}], True),
            "white.tif": tiff([{"array": array, "photometric": WHITE_IS_ZERO}]),
        }

    def picture(self, top, height=SIDE, width=SIDE):
        array = levels(height, width, top=top, dtype=np.uint16)
        array[0, :7] = [0, 100, 255, 256, 300, top // 2, top - 1]
        return array

    def test_gray_is_cut_off_as_pillow_does_it(self):
        for top in (600, 4096, 65536):
            array = self.picture(top)
            for name, data in self.kinds(array).items():
                image = opened(data)
                seen = planes(image.convert("RGB"))
                self.assertEqual(seen[0, 0, :5].tolist(), [0, 100, 255, 255, 255])
                bits = 1023 if top == 600 else top - 1
                found = self.expect(name, data, seen, *LOAD_IMG, notes=["depth"], shown=array * (255 / bits))
                self.assertIn("Pillow makes samples above 255 white (they reach %d)" % (top - 1), found["notes"][0]["text"])
                self.refuse(name, data, "--depth pillow", "--depth 16", "(--strict)", options=[*LOAD_IMG, "--strict"])
                said = [*LOAD_IMG, "--depth", "pillow", "--strict"]
                self.expect(name, data, seen, *said, shown=array * (255 / bits))
                self.expect(name, data, seen, *said, "--round", "none")
                alone = planes(image)
                found = self.expect(name, data, alone, *LOAD_IMG, notes=["depth"], channels=1)
                self.assertIn("as it is stored (samples reach %d)" % (top - 1), found["notes"][0]["text"])
                self.expect(name, data, alone, *said, channels=1)
        # What is prepared otherwise.
        upper = as_rgb(array >> 8)
        self.expect("d.png", deep_png(array, 0), upper, *LOAD_IMG, "--depth", "16", "--strict")
        self.expect("d.tif", tiff([{"array": array}]), upper, *LOAD_IMG, "--depth", "stored", "--strict")

    def test_it_is_resized_behind_the_cut(self):
        array = self.picture(2000, 41, 30)
        for name in ("d.png", "d.tif"):
            data = self.kinds(array)[name]
            image = opened(data)
            for word, kind in (("nearest", Image.NEAREST), ("bilinear", Image.BILINEAR)):
                options = [*LOAD_IMG, "--depth", "pillow", "--resample", word]
                wanted = image.convert("RGB").resize((SIDE, SIDE), kind)
                self.expect(name, data, planes(wanted), *options)
                self.expect(name, data, planes(image.convert("I").resize((SIDE, SIDE), kind)), *options, channels=1, within=1e-4)

    def test_each_pass_keeps_within_16_bits(self):
        array = levels(11, 9, top=2, dtype=np.uint16) * np.uint16(2000)
        data = deep_png(array, 0)

        def passed(numbers, size):
            image = Image.fromarray(np.asarray(numbers, np.int32), "I").resize(size, Image.BICUBIC)
            return np.clip(np.asarray(image), 0, 65535)

        wanted = passed(passed(array, (SIDE, 11)), (SIDE, SIDE))
        loose = np.asarray(Image.fromarray(array.astype(np.int32), "I").resize((SIDE, SIDE), Image.BICUBIC))
        self.assertGreater(np.abs(wanted - loose).max(), 20)
        options = [*LOAD_IMG, "--depth", "pillow", "--resample", "bicubic"]
        self.expect("d.png", data, planes(wanted), *options, channels=1)

    def test_what_is_no_deep_gray_is_as_before(self):
        low = levels(SIDE, SIDE, top=256, dtype=np.uint16)
        low[0, 0] = 255
        for name, data in self.kinds(low).items():
            self.expect(name, data, as_rgb(low), *LOAD_IMG, "--strict", shown=low)
        eight = levels(SIDE, SIDE, 3)
        self.expect("8.npy", npy(eight), planes(eight), *LOAD_IMG, "--strict", shown=eight)
        deep = levels(SIDE, SIDE, 3, top=65536, dtype=np.uint16)
        for name, data in (("rgb.png", deep_png(deep, 2)), ("la.png", deep_png(deep[..., :2], 4))):
            self.expect(name, data, planes(opened(data).convert("RGB")), *LOAD_IMG, "--strict")
        self.expect("rgb.tif", tiff([{"array": deep, "photometric": RGB}]), planes(deep >> 8), *LOAD_IMG, "--strict")
        mask = levels(SIDE, SIDE, top=2)
        self.expect("m.npy", npy(mask), as_rgb(mask), *LOAD_IMG, notes=["depth"])
        # Others' recipes do not open pictures with Pillow.
        gray = self.picture(65536)
        self.expect("g.png", deep_png(gray, 0), as_rgb(gray >> 8), "--recipe", "opencv", "--strict")

    def test_recipes_of_pillow_say_it_and_sidecars_keep_it(self):
        model, _ = self.network(3)
        data = deep_png(self.picture(4096), 0)
        path = self.write("d.png", data)
        config = self.write("transforms.txt", b"Compose(\n    Resize(size=(16, 16))\n    ToTensor()\n)\n")
        explain = ["explain", model, path, "-o", self.out]
        save = ["--save-preprocess", "--force"]

        def depth():
            with open(model + ".salmap") as file:
                return [line for line in file.read().splitlines() if line.startswith("depth")]

        for recipe in ("keras-load-img", "torchvision", "timm", "keras-applications:vgg16", config):
            values = ["--preset", "raw"] if recipe == "keras-load-img" else []
            self.check([*explain, "--recipe", recipe, *values, *save], 0, "Pillow makes samples above 255 white")
            self.assertEqual(depth(), ["depth pillow-noted"], recipe)
        self.check(explain, 0, "Pillow makes samples above 255 white")
        self.check([*explain, "--depth", "pillow", *save], 0, absent=["note:"])
        self.assertEqual(depth(), ["depth pillow"])
        self.check([*explain, "--strict"], 0, absent=["note:"])
        run = os.path.join(self.folder, "run")
        self.check(["sweep", model, path, "-o", run], 0)
        self.check(["sweep", model, path, "-o", run, "--depth", "16"], 2, "depth")
        # What was said of the pictures outlives another recipe; what a recipe said does not.
        self.check([*explain, "--recipe", "keras-load-img", *save], 0, absent=["Pillow makes"])
        self.assertEqual(depth(), ["depth pillow"])
        self.check([*explain, "--recipe", "torchvision", *save], 0)
        self.check([*explain, "--recipe", "opencv", *save], 0)
        self.assertEqual(depth(), [])


def block(orientation, big=True):
    """EXIF as PNG has it."""
    order = ">" if big else "<"
    head = (b"MM\0*" if big else b"II*\0") + struct.pack(order + "IH", 8, 1)
    return head + struct.pack(order + "HHIHHI", 0x0112, 3, 1, orientation, 0, 0)


class Turned(Pictures):
    """Chunk eXIf of PNG, as Pillow's exif_transpose has it."""

    def file(self, array, chunk, behind=False):
        return deep_png(array, 2, *([b"", chunk] if behind else [chunk, b""]))

    def test_png_is_turned_or_not_as_pillow_does_it(self):
        rgb = levels(SIDE, SIDE, 3)
        for orientation in range(1, 9):
            out = io.BytesIO()
            exif = Image.Exif()
            exif[0x0112] = orientation
            Image.fromarray(rgb).save(out, "PNG", exif=exif)
            turned = np.asarray(ImageOps.exif_transpose(opened(out.getvalue())))
            self.assertEqual(orientation > 1, not np.array_equal(turned, rgb))
            found = self.expect("o.png", out.getvalue(), planes(turned), shown=turned, notes=["exif"] * (orientation > 1))
            if orientation > 1:
                self.assertIn("orientation %d" % orientation, found["notes"][0]["text"])
            self.expect("o.png", out.getvalue(), planes(turned), "--exif", "apply", "--strict", shown=turned)
            self.expect("o.png", out.getvalue(), planes(rgb), "--exif", "ignore", "--strict", shown=rgb)
            self.expect("o.png", out.getvalue(), planes(turned[..., ::-1]), "--recipe", "opencv", "--strict")
            self.expect("o.png", out.getvalue(), planes(rgb), *LOAD_IMG, "--strict")

    def test_each_place_and_kind(self):
        deep = levels(SIDE, SIDE, 3, top=65536, dtype=np.uint16)
        turned = planes(np.rot90(deep, -1)) / 257
        for big in (True, False):
            for prefix in (b"", b"Exif\0\0"):
                for behind in (True, False):
                    data = self.file(deep, png_chunk(b"eXIf", prefix + block(6, big)), behind)
                    if not prefix: # older versions of Pillow fail over it
                        self.assertEqual(opened(data).getexif()[0x0112], 6)
                    self.expect("o.png", data, turned, "--exif", "apply")
        wide = levels(9, 30, 3)
        out = io.BytesIO()
        exif = Image.Exif()
        exif[0x0112] = 8
        Image.fromarray(wide).save(out, "PNG", exif=exif)
        upright = ImageOps.exif_transpose(opened(out.getvalue()))
        self.assertEqual(upright.size, (9, 30))
        resized = upright.resize((SIDE, SIDE), Image.NEAREST)
        self.expect("w.png", out.getvalue(), planes(resized), *LOAD_IMG, "--exif", "apply")

    def test_damaged_chunks_do_no_harm(self):
        deep = levels(SIDE, SIDE, 3, top=65536, dtype=np.uint16)
        stored = planes(deep) / 257
        good = block(6)
        far = good[:4] + b"\xff\xff\xff\xff" + good[8:]
        for content in (b"", b"M", b"Exif\0\0", good[:8], good[:20], far, b"XX" + good[2:], block(0), block(9), good[:8] + b"\xff\xff"):
            for behind in (False, True):
                self.expect("d.png", self.file(deep, png_chunk(b"eXIf", content), behind), stored, "--strict")
        bad = bytearray(png_chunk(b"eXIf", good))
        bad[-1] ^= 1
        self.expect("crc.png", self.file(deep, bytes(bad)), stored, "--strict")
        # What stands behind the end of the picture is none of it.
        self.expect("end.png", self.file(deep, b"") + png_chunk(b"eXIf", good), stored, "--strict")


class Gray(Pictures):
    """Gray of colours, for a network of one channel."""

    def jpeg(self, array, **how):
        out = io.BytesIO()
        Image.fromarray(array).save(out, "JPEG", quality=95, **how)
        return out.getvalue()

    def test_tensorflow_takes_the_luma_of_jpeg(self):
        # Pure colours beside each other, so that decoded ones are cut off and luma is not what is made of them.
        rgb = levels(SIDE, SIDE, 3, top=2) * np.uint8(255)
        for how in ({"subsampling": 2}, {"subsampling": 1}, {"subsampling": 2, "progressive": True}):
            data = self.jpeg(rgb, **how)
            image = Image.open(io.BytesIO(data))
            image.draft("L", image.size)
            self.assertEqual(image.mode, "L")
            luma = np.asarray(image)
            self.assertGreater(np.abs(luma.astype(int) - np.asarray(opened(data).convert("L"))).max(), 10)
            for recipe in ("tf-image", "keras-image-dataset"):
                # Pillow decodes accurately: a level or so apart.
                self.expect("l.jpg", data, planes(luma), "--recipe", recipe, "--strict", channels=1, shown=None, within=3e-3)
            self.expect("l.jpg", data, planes(luma), "--jpeg-dct", "fast", "--order", "gray", channels=1, within=3e-3)
            self.expect("l.jpg", data, planes(opened(data).convert("L")), "--round", "passes", channels=1)
            self.expect("l.jpg", data, planes(opened(data).convert("L")), *LOAD_IMG, "--strict", channels=1)
        self.expect("c.jpg", self.jpeg(rgb), planes(opened(self.jpeg(rgb))), "--recipe", "tf-image", "--strict", within=3e-3)
        gray = self.jpeg(rgb[..., 0])
        self.expect("g.jpg", gray, planes(opened(gray)), "--recipe", "tf-image", "--strict", channels=1, within=3e-3)

    def test_gray_of_colour_pngs_is_told(self):
        rgb = levels(SIDE, SIDE, 3)
        out = io.BytesIO()
        Image.fromarray(rgb).save(out, "PNG")
        luma = planes(rgb @ [0.299, 0.587, 0.114])
        for recipe in ("tf-image", "keras-image-dataset"):
            said = ["--recipe", recipe]
            found = self.expect("c.png", out.getvalue(), luma, *said, channels=1, notes=["gray"])
            self.assertIn("TensorFlow makes gray of colour PNGs otherwise", found["notes"][0]["text"])
            self.refuse("c.png", out.getvalue(), "(--strict)", options=[*said, "--strict"], channels=1)
            self.expect("c.png", out.getvalue(), luma, *said, "--order", "gray", "--strict", channels=1)
            self.expect("c.png", out.getvalue(), planes(rgb), *said, "--strict")
        self.expect("c.png", out.getvalue(), luma, "--strict", channels=1)

    def test_opencv_makes_gray_where_that_is_said(self):
        rgb = levels(SIDE, SIDE, 3)
        out = io.BytesIO()
        Image.fromarray(rgb).save(out, "PNG")
        opencv = ["--recipe", "opencv"]
        model, _ = self.network(1)
        explain = ["explain", model, self.write("c.png", out.getvalue()), "-o", self.out, "--preset", "raw"]
        self.check([*explain, *opencv], 2, "order bgr is for networks of 3 channels", "--order gray", "COLOR_BGR2GRAY")
        self.check([*explain, "--order", "rgb"], 2, "order rgb is for networks of 3 channels", "--order gray")
        # cvtColor's weights in 15 bits; checked with OpenCV 5, whose numbers these are.
        gray = (rgb.astype(int) @ [9798, 19235, 3735] + (1 << 14)) >> 15
        self.expect("c.png", out.getvalue(), planes(gray), *opencv, "--order", "gray", channels=1)


if __name__ == "__main__":
    harness.main(sys.modules[__name__])
