"""What the samples of a picture are: channels, pages, alpha, orientation, depth. Each value that reaches the network is held
against NumPy and Pillow: the network is a weighted sum of all its inputs, and `--preset raw` leaves these as they are."""

import io
import json
import os
import struct
import sys

import numpy as np
from PIL import Image, ImageOps

import files
import harness

SIDE = 16
RGB, GRAY, WHITE_IS_ZERO = 2, 1, 0
REDUCED, PAGE, MASK = 1, 2, 4


def levels(*shape, top=256, dtype=np.uint8, seed=1):
    return np.random.default_rng(seed).integers(0, top, shape).astype(dtype)


def tiff(pages, big=False):
    """pages: dicts of `array` (height, width[, samples]), `photometric`, and where they differ from the plain kind `extra`,
    `kind`, `description`, `orientation`, `more` (bytes behind the samples)."""
    order = ">" if big else "<"
    out = b"MM\0*" if big else b"II*\0"
    out += struct.pack(order + "I", 0)
    link = 4
    for page in pages:
        array = page["array"]
        samples = array.shape[2] if array.ndim == 3 else 1
        data = array.astype(array.dtype.newbyteorder(order)).tobytes()
        at = len(out)
        out += data + page.get("more", b"")
        out += b"\0" * (len(out) % 2)
        described = page.get("description", "").encode()
        described_at = len(out)
        out += described + b"\0" * (1 + (len(described) + 1) % 2)
        bits_at = len(out)
        out += struct.pack(order + "%dH" % samples, *[array.dtype.itemsize * 8] * samples)
        extra = page.get("extra", ())
        extra_at = len(out)
        out += struct.pack(order + "%dH" % len(extra), *extra)
        shorts = lambda tag, values, place: (
            (tag, 3, len(values), struct.pack(order + "%dH" % len(values), *values).ljust(4, b"\0"))
            if len(values) <= 2
            else (tag, 3, len(values), struct.pack(order + "I", place))
        )
        long = lambda tag, value: (tag, 4, 1, struct.pack(order + "I", value))
        entries = [
            long(254, page.get("kind", 0)),
            long(256, array.shape[1]),
            long(257, array.shape[0]),
            shorts(258, [array.dtype.itemsize * 8] * samples, bits_at),
            shorts(259, [1], 0),
            shorts(262, [page.get("photometric", RGB if samples == 3 else GRAY)], 0),
            long(273, at),
            shorts(274, [page.get("orientation", 1)], 0),
            shorts(277, [samples], 0),
            long(278, array.shape[0]),
            long(279, len(data)),
            shorts(339, [3 if array.dtype.kind == "f" else 1], 0),
        ]
        if described:
            entries.append((270, 2, len(described) + 1, struct.pack(order + "I", described_at)))
        if extra:
            entries.append(shorts(338, extra, extra_at))
        out += b"\0" * (len(out) % 2)
        out = out[:link] + struct.pack(order + "I", len(out)) + out[link + 4 :]
        out += struct.pack(order + "H", len(entries))
        for tag, kind, count, value in sorted(entries):
            out += struct.pack(order + "HHI", tag, kind, count) + value
        link = len(out)
        out += struct.pack(order + "I", 0)
    return out


def npy(array):
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def png(mode, array):
    out = io.BytesIO()
    Image.fromarray(array, mode).save(out, "PNG")
    return out.getvalue()


def planes(array):
    """(channels, height, width) of a picture, in doubles."""
    array = np.asarray(array, np.float64)
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


def as_rgb(array):
    p = planes(array)
    return np.repeat(p, 3, 0) if len(p) == 1 else p


class Pictures(harness.Case):
    def network(self, channels):
        """A weighted sum of all inputs; returns its file and the weights."""
        path = os.path.join(self.folder, "sum%d.onnx" % channels)
        weights = np.random.default_rng(channels).uniform(-1, 1, (channels, SIDE, SIDE)).astype(np.float32)
        nodes = [
            files.onnx_node("Flatten", ["x"], "flat"),
            files.onnx_node("Gemm", ["flat", "w", "b"], "y", [files.put(1, "transB") + files.put(3, 1) + files.put(20, 2)]),
        ]
        count = channels * SIDE * SIDE
        graph = b"".join(files.put(1, n) for n in nodes) + files.put(2, "sum")
        graph += files.put(5, files.onnx_tensor("w", (1, count), weights.ravel().tolist()))
        graph += files.put(5, files.onnx_tensor("b", (1,), [0.0]))
        graph += files.put(11, files.onnx_value("x", (1, channels, SIDE, SIDE))) + files.put(12, files.onnx_value("y", (1, 1)))
        model = files.put(1, 7) + files.put(2, "salmap tests") + files.put(7, graph)
        with open(path, "wb") as file:
            file.write(model + files.put(8, files.put(1, "") + files.put(2, 13)))
        return path, weights.astype(np.float64)

    def given(self, name, data, *options, channels=3):
        """What explain prints of a picture, and the weights of the network."""
        model, weights = self.network(channels)
        path = self.write(name, data)
        done = self.run_salmap(
            "explain", model, path, "-o", self.out, "--json", "--preset", "raw", "--alpha", "0", *options
        )
        self.assertIn(done.returncode, (0, 1, 3), done.out + done.err)
        return json.loads(done.out.splitlines()[-1]), weights

    def expect(self, name, data, wanted, *options, channels=3, shown=None, notes=(), within=2e-5):
        """The network is given `wanted` (channels, height, width), and `shown` is drawn under the map."""
        found, weights = self.given(name, data, *options, channels=channels)
        self.assertEqual(found["status"], "ok", found)
        self.assertEqual(wanted.shape, weights.shape)
        expected = float((weights * wanted).sum())
        size = float(np.abs(weights * wanted).sum())
        self.assertLessEqual(abs(found["score"] - expected), within * size, (name, found["score"], expected))
        self.assertEqual([n["kind"] for n in found.get("notes", [])], list(notes))
        if shown is not None:
            drawn = np.asarray(Image.open(found["maps"][0]["overlay"]).convert("RGB")).astype(int)
            seen = shown if shown.shape[0] == 3 else as_rgb(shown)
            worst = np.abs(drawn - np.rint(seen).transpose(1, 2, 0)).max()
            self.assertLessEqual(worst, 1, "%s: what is drawn under the map" % name)
        return found

    def refuse(self, name, data, *texts, options=(), channels=3):
        found, _ = self.given(name, data, *options, channels=channels)
        self.assertNotEqual(found["status"], "ok", "%s became %r" % (name, found))
        for text in texts:
            self.assertIn(text, found["error"])


class Channels(Pictures):
    """Only what a file calls alpha is alpha."""

    def test_near_infrared_is_no_alpha(self):
        for big, dtype, top in ((False, np.uint8, 256), (True, np.uint16, 65536), (False, np.float32, 256)):
            array = levels(SIDE, SIDE, 4, top=top, dtype=dtype)
            data = tiff([{"array": array, "photometric": RGB, "extra": (0,)}], big)
            scale = 255 / 65535 if dtype == np.uint16 else 1.0
            self.refuse("nir.tif", data, "4 channels", "no alpha", "--alpha-over drop")
            self.refuse("nir.tif", data, "--alpha-over drop", options=["--alpha-over", "white"])
            self.refuse("nir.tif", data, "4 channels", options=["--order", "gray"], channels=1)
            self.expect("nir.tif", data, planes(array)[:3] * scale, "--alpha-over", "drop")
            self.expect("nir.tif", data, planes(array) * scale, channels=4)
        # As Pillow has it, which calls the fourth X, or from version 11 on leaves it out.
        array = levels(SIDE, SIDE, 4)
        data = tiff([{"array": array, "photometric": RGB, "extra": (0,)}])
        with Image.open(io.BytesIO(data)) as image:
            self.assertIn(image.mode, ("RGBX", "RGB"))
            self.expect("nir.tif", data, planes(image.convert("RGB")), "--alpha-over", "drop", shown=array[..., :3])
        # And what is drawn without it: the fourth is not seen.
        self.expect("nir.tif", data, planes(array), channels=4, shown=array[..., :3])

    def test_samples_behind_gray_and_behind_alpha(self):
        two = levels(SIDE, SIDE, 2)
        data = tiff([{"array": two, "extra": (0,)}])
        self.refuse("two.tif", data, "2 channels", "--alpha-over drop")
        self.refuse("two.tif", data, "2 channels", channels=1)
        self.expect("two.tif", data, as_rgb(two[..., 0]), "--alpha-over", "drop", shown=two[..., 0])
        self.expect("two.tif", data, planes(two), channels=2, shown=two[..., 0])
        self.refuse("untold.tif", tiff([{"array": two}]), "2 channels")
        five = levels(SIDE, SIDE, 5)
        data = tiff([{"array": five, "photometric": RGB, "extra": (2, 0)}])
        self.refuse("five.tif", data, "5 channels", "--alpha-over drop")
        self.expect("five.tif", data, planes(five)[:3], "--alpha-over", "drop")
        self.expect("five.tif", data, planes(five), channels=5)
        # Gray that is followed by three more is no RGB, whatever is left out.
        four = levels(SIDE, SIDE, 4)
        data = tiff([{"array": four, "extra": (0, 0, 0)}])
        self.refuse("bands.tif", data, "4 channels", "nothing says")
        self.refuse("bands.tif", data, "4 channels", "nothing says", options=["--alpha-over", "drop"])
        self.expect("bands.tif", data, planes(four), channels=4)

    def test_arrays_have_no_alpha(self):
        for dtype, top, scale in ((np.uint8, 256, 1.0), (np.uint16, 65536, 255 / 65535), (np.float32, 256, 1.0)):
            for n, first in ((4, 3), (2, 1)):
                array = levels(SIDE, SIDE, n, top=top, dtype=dtype)
                data = npy(array)
                self.refuse("a.npy", data, "%d channels" % n, "--alpha-over drop")
                self.refuse("a.npy", data, "%d channels" % n, options=["--order", "gray"], channels=1)
                self.refuse("a.npy", data, "%d channels" % n, options=["--alpha-over", "black"])
                wanted = planes(array)[:first] * scale
                self.expect("a.npy", data, np.repeat(wanted, 3 // first, 0), "--alpha-over", "drop")
                self.expect("a.npy", data, planes(array) * scale, channels=n)
                first_last = npy(np.ascontiguousarray(array.transpose(2, 0, 1)))
                self.refuse("planes.npy", first_last, "%d channels" % n)

    def test_alpha_of_each_kind(self):
        """ExtraSamples 2 is alpha, 1 is alpha that the colours were multiplied by, PNG has its own."""
        rgba = levels(SIDE, SIDE, 4)
        alpha = rgba[..., 3:].astype(np.float64) / 255
        white = 255 + (rgba[..., :3] - 255.0) * alpha
        kept = {
            "loose.tif": tiff([{"array": rgba, "photometric": RGB, "extra": (2,)}]),
            "own.png": png("RGBA", rgba),
        }
        for name, data in kept.items():
            self.expect(name, data, planes(white), shown=white, notes=["alpha"])
            self.expect(name, data, planes(white), "--alpha-over", "white", shown=white)
            self.expect(name, data, planes(rgba[..., :3] * alpha), "--alpha-over", "black", shown=rgba[..., :3] * alpha)
            colour = np.array([255, 128, 0.0])
            over = colour + (rgba[..., :3] - colour) * alpha
            self.expect(name, data, planes(over), "--alpha-over", "#Ff8000", shown=over)
            self.expect(name, data, planes(rgba[..., :3]), "--alpha-over", "drop", shown=rgba[..., :3])
            with Image.open(io.BytesIO(data)) as image:
                self.expect(name, data, planes(image.convert("RGB")), "--alpha-over", "drop")
            self.expect(name, data, planes(rgba), channels=4)
        multiplied = rgba.copy()
        multiplied[..., :3] = np.rint(rgba[..., :3] * alpha)
        data = tiff([{"array": multiplied, "photometric": RGB, "extra": (1,)}])
        # What is laid over white is the same whether it was divided before or not, but for rounding.
        over = 255 * (1 - alpha) + multiplied[..., :3]
        self.expect("tight.tif", data, planes(over), shown=over, notes=["alpha"], within=4e-3)
        self.expect("tight.tif", data, planes(multiplied[..., :3]), "--alpha-over", "black", within=8e-3)
        with Image.open(io.BytesIO(data)) as image:
            self.assertEqual(image.mode, "RGBA")
            self.expect("tight.tif", data, planes(image.convert("RGB")), "--alpha-over", "drop", within=1e-3)

    def test_alpha_of_gray_and_of_16_bits(self):
        la = levels(SIDE, SIDE, 2)
        alpha = la[..., 1] / 255.0
        white = 255 + (la[..., 0] - 255.0) * alpha
        data = tiff([{"array": la, "extra": (2,)}])
        self.expect("la.tif", data, as_rgb(white), shown=white, notes=["alpha"])
        self.expect("la.tif", data, planes(white), notes=["alpha"], channels=1)
        self.expect("la.png", png("LA", la), as_rgb(white), shown=white, notes=["alpha"])
        colour = np.array([10, 200, 30.0])
        over = colour + (la[..., :1] - colour) * alpha[..., None]
        self.expect("la.png", png("LA", la), planes(over), "--alpha-over", "#0ac81e", shown=over)
        luma = (over * [0.299, 0.587, 0.114]).sum(-1)
        self.expect("la.png", png("LA", la), planes(luma), "--alpha-over", "#0ac81e", channels=1)
        deep = levels(SIDE, SIDE, 4, top=65536, dtype=np.uint16)
        over = 65535 + (deep[..., :3] - 65535.0) * (deep[..., 3:] / 65535)
        data = tiff([{"array": deep, "photometric": RGB, "extra": (2,)}], big=True)
        self.expect("deep.tif", data, planes(over) / 257, shown=over / 257, notes=["alpha"])

    def test_opaque_pictures_are_as_ever(self):
        rgba = levels(SIDE, SIDE, 4)
        rgba[..., 3] = 255
        self.expect("opaque.png", png("RGBA", rgba), planes(rgba[..., :3]), shown=rgba[..., :3])
        rgb = levels(SIDE, SIDE, 3)
        self.expect("rgb.tif", tiff([{"array": rgb}]), planes(rgb), shown=rgb)
        self.expect("rgb.npy", npy(rgb), planes(rgb), shown=rgb)
        self.expect("gray.npy", npy(rgb[..., 0]), as_rgb(rgb[..., 0]), shown=rgb[..., 0])

    def test_alpha_of_floats(self):
        rgba = levels(SIDE, SIDE, 4, seed=4).astype(np.float32) / np.float32(255)
        data = tiff([{"array": rgba, "photometric": RGB, "extra": (2,)}])
        self.refuse("f.tif", data, "--depth unit", "--alpha-over drop")
        over = 1 + (rgba[..., :3] - 1.0) * rgba[..., 3:]
        self.expect("f.tif", data, planes(over) * 255, "--depth", "unit", shown=over * 255, notes=["alpha"])
        self.expect("f.tif", data, planes(rgba[..., :3]), "--alpha-over", "drop", notes=["range"])
        self.refuse("m.tif", tiff([{"array": rgba, "photometric": RGB, "extra": (1,)}]), "multiplied by their alpha", "ExtraSamples 2")
        self.expect("m.tif", tiff([{"array": rgba, "photometric": RGB, "extra": (1,)}]), planes(rgba), channels=4, notes=["range"])


class Pages(Pictures):
    """A page is neither alpha nor a colour."""

    def stack(self, n, dtype=np.uint8, top=256, **rest):
        arrays = [levels(SIDE, SIDE, top=top, dtype=dtype, seed=i) for i in range(n)]
        return arrays, [dict(rest, array=a) for a in arrays]

    def test_stacks_are_refused_and_each_option_says_what_they_are(self):
        for n in (2, 3, 4, 7):
            for big, dtype, top, scale in ((False, np.uint8, 256, 1.0), (True, np.uint16, 65536, 255 / 65535)):
                arrays, pages = self.stack(n, dtype, top)
                data = tiff(pages, big)
                for channels in (1, 3, 4):
                    self.refuse("z.tif", data, "%d pages" % n, "--pages first", "channels", "max", channels=channels)
                with Image.open(io.BytesIO(data)) as image:
                    self.assertEqual(image.n_frames, n)
                    for number in (1, n):
                        image.seek(number - 1)
                        wanted = as_rgb(np.asarray(image)) * scale
                        self.expect("z.tif", data, wanted, "--pages", str(number), shown=wanted)
                self.expect("z.tif", data, as_rgb(arrays[0]) * scale, "--pages", "first")
                largest = np.max(arrays, 0) * scale
                self.expect("z.tif", data, as_rgb(largest), "--pages", "max", shown=largest)
                self.expect("z.tif", data, np.stack(arrays) * scale, "--pages", "channels", channels=n)
                self.refuse("z.tif", data, "there is no page %d" % (n + 1), options=["--pages", str(n + 1)])

    def test_networks_of_more_than_four_channels_take_stacks(self):
        arrays, pages = self.stack(9)
        self.expect("nine.tif", tiff(pages), np.stack(arrays).astype(float), channels=9)
        self.refuse("eight.tif", tiff(pages[:8]), "8 pages", channels=9)
        arrays, pages = self.stack(5)
        self.expect("five.tif", tiff(pages), np.stack(arrays).astype(float), channels=5)
        arrays, pages = self.stack(4)
        self.refuse("four.tif", tiff(pages), "4 pages", channels=4)

    def test_stacks_are_never_colours(self):
        arrays, pages = self.stack(3)
        data = tiff(pages)
        self.expect("z.tif", data, np.stack(arrays).astype(float), "--pages", "channels")
        self.refuse("z.tif", data, "planes", options=["--pages", "channels", "--order", "bgr"])
        self.refuse("z.tif", data, "nothing says", options=["--pages", "channels", "--order", "gray"], channels=1)
        self.expect("z.tif", data, np.stack(arrays).astype(float), "--pages", "channels", "--order", "asis")
        arrays, pages = self.stack(4)
        self.refuse("z.tif", tiff(pages), "nothing says", options=["--pages", "channels", "--alpha-over", "drop"])

    def test_pages_beside_a_picture(self):
        rgb, gray = levels(SIDE, SIDE, 3), levels(SIDE, SIDE, seed=9)
        data = tiff([{"array": rgb}, {"array": gray}])
        self.refuse("two.tif", data, "2 pages")
        self.expect("two.tif", data, planes(rgb), "--pages", "first", shown=rgb)
        self.expect("two.tif", data, as_rgb(gray), "--pages", "2")
        self.expect("two.tif", data, np.concatenate([planes(rgb), planes(gray)]), "--pages", "channels", channels=4)
        self.refuse("two.tif", data, "differs", options=["--pages", "max"])
        # A mask that says so is none of the pages, wherever it is and whatever is in it.
        for pages in (
            [{"array": rgb}, {"array": gray, "kind": MASK}],
            [{"array": gray, "kind": MASK}, {"array": rgb}],
            [{"array": rgb}, {"array": gray * 0, "kind": MASK | REDUCED}],
            [{"array": rgb, "kind": PAGE}, {"array": gray.astype(np.float64), "kind": MASK}],
        ):
            self.expect("mask.tif", tiff(pages), planes(rgb), shown=rgb)

    def test_reduced_copies_are_skipped(self):
        rgb, small = levels(SIDE, SIDE, 3), levels(8, 8, 3, seed=3)
        copy = {"array": small, "kind": REDUCED}
        for pages in ([copy, {"array": rgb}], [{"array": rgb}, copy], [copy, copy, {"array": rgb}, copy]):
            self.expect("thumb.tif", tiff(pages), planes(rgb), shown=rgb)
            self.expect("thumb.tif", tiff(pages), planes(rgb), "--pages", "first")
            self.expect("thumb.tif", tiff(pages), planes(rgb), "--pages", "channels")
            self.refuse("thumb.tif", tiff(pages), "the file has 1", options=["--pages", "2"])
        # Where there is nothing else, it is the picture.
        whole = {"array": rgb, "kind": REDUCED}
        self.expect("only.tif", tiff([whole]), planes(rgb))
        self.expect("only.tif", tiff([whole, copy]), planes(rgb))

    def test_pages_that_are_not_wanted_may_be_of_any_kind(self):
        rgb = levels(SIDE, SIDE, 3)
        odd = {"array": levels(5, 7).astype(np.uint32)}
        data = tiff([{"array": rgb}, odd])
        self.refuse("odd.tif", data, "2 pages")
        self.expect("odd.tif", data, planes(rgb), "--pages", "first")
        self.refuse("odd.tif", data, "bits 32", options=["--pages", "2"])

    def test_stacks_with_one_page(self):
        """ImageJ writes what is larger than 4 GB so, and tifffile what is to be truncated."""
        for big, dtype, top, scale in (
            (True, np.uint16, 65536, 255 / 65535),
            (False, np.uint8, 256, 1.0),
            (True, np.float32, 256, 1.0),
            (True, np.float64, 256, 1.0),
        ):
            arrays, _ = self.stack(5, dtype, top)
            order = ">" if big else "<"
            more = b"".join(a.astype(a.dtype.newbyteorder(order)).tobytes() for a in arrays[1:])
            for description in (
                "ImageJ=1.53t\nimages=5\nslices=5\nhyperstack=true\nmode=grayscale\n",
                '{"shape": [5, %d, %d]}' % (SIDE, SIDE),
            ):
                data = tiff([{"array": arrays[0], "description": description, "more": more}], big)
                for channels in (1, 3):
                    self.refuse("one.tif", data, "5 pages", channels=channels)
                self.expect("one.tif", data, np.stack(arrays) * scale, channels=5)
                self.expect("one.tif", data, as_rgb(arrays[3]) * scale, "--pages", "4")
                self.expect("one.tif", data, as_rgb(arrays[0]) * scale, "--pages", "first")
                self.expect("one.tif", data, as_rgb(np.max(arrays, 0)) * scale, "--pages", "max")
                short = tiff([{"array": arrays[0], "description": description, "more": more[: len(more) // 2]}], big)
                self.refuse("short.tif", short, "5 images", "--pages first")
                self.expect("short.tif", short, as_rgb(arrays[0]) * scale, "--pages", "first")
        rgb = levels(2, SIDE, SIDE, 3)
        data = tiff([{"array": rgb[0], "description": "ImageJ=1.53t\nimages=2\n", "more": rgb[1].tobytes()}])
        self.refuse("colours.tif", data, "2 pages")
        self.expect("colours.tif", data, planes(rgb[1]), "--pages", "2")
        # One image is one picture, and a description of something else says nothing.
        for text in ("ImageJ=1.53t\nimages=1\n", '{"shape": [16, 16, 3]}', "ImageJ=\nimages=-7\n", '{"shape": [', "images=5"):
            self.expect("one.tif", tiff([{"array": rgb[0], "description": text}]), planes(rgb[0]))

    def test_max_of_floats_and_colours(self):
        arrays, pages = self.stack(3, np.float32)
        self.expect("f.tif", tiff(pages), as_rgb(np.max(arrays, 0)), "--pages", "max")
        arrays[1][3, 4] = np.nan
        self.refuse("nan.tif", tiff(pages), "NaN", options=["--pages", "max"])
        rgb = [levels(SIDE, SIDE, 3, seed=s) for s in (1, 2)]
        self.expect("c.tif", tiff([{"array": a} for a in rgb]), planes(np.max(rgb, 0)), "--pages", "max")
        inverted = [{"array": a[..., 0], "photometric": WHITE_IS_ZERO} for a in rgb]
        self.expect("w.tif", tiff(inverted), as_rgb(np.max([255 - a[..., 0] for a in rgb], 0)), "--pages", "max")
        alpha = [{"array": levels(SIDE, SIDE, 2, seed=s), "extra": (2,)} for s in (1, 2)]
        self.refuse("a.tif", tiff(alpha), "gray or RGB", options=["--pages", "max"])


class Orientation(Pictures):
    def jpeg(self, orientation):
        out = io.BytesIO()
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(levels(SIDE, SIDE, 3)).save(out, "JPEG", quality=100, subsampling=0, exif=exif)
        return out.getvalue()

    def test_jpeg_is_turned_or_not_as_pillow_does_it(self):
        for orientation in range(1, 9):
            data = self.jpeg(orientation)
            with Image.open(io.BytesIO(data)) as image:
                stored, turned = np.asarray(image), np.asarray(ImageOps.exif_transpose(image))
            notes = ["exif"] if orientation > 1 else []
            name = "o%d.jpg" % orientation
            self.expect(name, data, planes(turned), shown=turned, notes=notes, within=4e-3)
            self.expect(name, data, planes(turned), "--exif", "apply", shown=turned, within=4e-3)
            self.expect(name, data, planes(stored), "--exif", "ignore", shown=stored, within=4e-3)

    def test_tiff_likewise(self):
        array = levels(SIDE, SIDE, 3)
        turned = {3: array[::-1, ::-1], 6: np.rot90(array, -1), 8: np.rot90(array), 2: array[:, ::-1]}
        for orientation, wanted in turned.items():
            data = tiff([{"array": array, "orientation": orientation}])
            self.expect("o.tif", data, planes(wanted), shown=wanted, notes=["exif"])
            self.expect("o.tif", data, planes(array), "--exif", "ignore", shown=array)


class Depth(Pictures):
    def test_12_bits_in_16(self):
        for bits in (8, 10, 12, 14):
            array = levels(SIDE, SIDE, top=1 << bits, dtype=np.uint16)
            array[0, 0] = (1 << bits) - 1
            plain, right = as_rgb(array) * 255 / 65535, as_rgb(array) * 255 / ((1 << bits) - 1)
            out = io.BytesIO()
            Image.fromarray(array).save(out, "PNG")
            for name, data in (
                ("d.tif", tiff([{"array": array}])),
                ("big.tif", tiff([{"array": array}], True)),
                ("d.png", out.getvalue()),
                ("d.npy", npy(array)),
            ):
                found = self.expect(name, data, plain, notes=["depth"])
                self.assertIn("%d of 65535" % ((1 << bits) - 1), found["notes"][0]["text"])
                self.assertIn("--depth %d" % bits, found["notes"][0]["text"])
                self.expect(name, data, right, "--depth", str(bits), shown=right)
                self.expect(name, data, right, "--depth", "auto", shown=right)
                self.expect(name, data, plain, "--depth", "16", shown=plain)
                self.refuse(name, data, "(--strict)", "--depth %d" % bits, options=["--strict"])
                self.expect(name, data, right, "--depth", str(bits), "--strict")

    def test_what_fills_its_range_is_no_question(self):
        array = levels(SIDE, SIDE, top=16385, dtype=np.uint16)
        array[0, 0] = 16384
        plain = as_rgb(array) * 255 / 65535
        self.expect("full.tif", tiff([{"array": array}]), plain, "--strict")
        self.expect("full.tif", tiff([{"array": array}]), plain, "--depth", "auto")
        self.expect("black.tif", tiff([{"array": array * 0}]), plain * 0, "--strict")
        self.refuse("full.tif", tiff([{"array": array}]), "16384", "--depth 12", options=["--depth", "12"])
        eight = levels(SIDE, SIDE, 3)
        self.expect("8.npy", npy(eight), planes(eight), "--depth", "12")
        self.expect("8.npy", npy(eight), planes(eight), "--depth", "auto", "--strict")

    def test_masks_of_few_levels_in_8_bits(self):
        mask = levels(SIDE, SIDE, top=2)
        self.expect("m.npy", npy(mask), as_rgb(mask), notes=["depth"])
        self.expect("m.npy", npy(mask), as_rgb(mask) * 255, "--depth", "1", shown=mask * 255)
        self.expect("m.npy", npy(mask), as_rgb(mask), "--depth", "8", shown=mask)
        self.refuse("m.npy", npy(mask + 1), "a sample of 2", options=["--depth", "1"])

    def test_floats(self):
        unit = levels(SIDE, SIDE, 3).astype(np.float32) / np.float32(255)
        for name, data in (("f.tif", tiff([{"array": unit}])), ("f.npy", npy(unit)), ("d.npy", npy(unit.astype(float)))):
            found = self.expect(name, data, planes(unit), notes=["range"])
            self.assertIn("--depth unit", found["notes"][0]["text"])
            self.expect(name, data, planes(unit) * 255, "--depth", "unit", shown=unit * 255)
            self.expect(name, data, planes(unit) * 255, "--depth", "auto", shown=unit * 255)
            self.expect(name, data, planes(unit), "--depth", "8", "--strict", shown=unit)
            self.refuse(name, data, "(--strict)", "within 0..1", options=["--strict"])
        self.expect("b.npy", npy(unit * 255), planes(unit * 255), "--strict")
        deep = npy(unit * 4095)
        found = self.expect("w.npy", deep, planes(unit) * 4095, notes=["range"])
        self.assertIn("--depth 12", found["notes"][0]["text"])
        self.expect("w.npy", deep, planes(unit) * 255, "--depth", "12", within=1e-4)
        self.expect("n.npy", npy(unit * 2 - 1), planes(unit * 2 - 1), notes=["range"])
        self.expect("k.npy", npy(unit * 0), planes(unit * 0), "--strict")


class Told(Pictures):
    """A note is told once, whatever number of pictures has it."""

    def folder_of(self, n):
        os.mkdir(os.path.join(self.folder, "in"))
        for i in range(n):
            self.write("in/%02d.npy" % i, npy(levels(SIDE, SIDE, top=4096, dtype=np.uint16, seed=i)))
        self.write("in/zz.png", png("RGBA", levels(SIDE, SIDE, 4)))
        return os.path.join(self.folder, "in")

    def test_explain(self):
        model, _ = self.network(3)
        folder = self.folder_of(6)
        done = self.check(["explain", model, folder, "-o", self.out, "--preset", "raw"], 0, "depth: 6 pictures in all", "--alpha-over")
        self.assertEqual(done.err.count("12 bit?"), 1, done.err)
        self.assertEqual(done.err.count("note:"), 3, done.err)
        self.check(["explain", model, folder, "-o", self.out, "--preset", "raw", "-q"], 0, absent=["note:"])
        self.check(["explain", model, folder, "-o", self.out, "--preset", "raw", "--strict"], 3, "12 bit?", "(--strict)")

    def test_sweep(self):
        model, _ = self.network(3)
        folder = self.folder_of(6)
        done = self.check(["sweep", model, folder, "-o", self.out, "--preset", "raw"], 0, "depth: 6 pictures in all", "--alpha-over")
        self.assertEqual(done.err.count("12 bit?"), 1, done.err)
        again = os.path.join(self.folder, "again")
        done = self.check(["sweep", model, folder, "-o", again, "--preset", "raw", "--json"], 0)
        events = [json.loads(line) for line in done.out.splitlines()]
        notes = [e for e in events if e["event"] == "note"]
        self.assertEqual(sorted(e["kind"] for e in notes), ["alpha", "depth"], notes)
        for event in notes:
            self.assertEqual("12 bit?" in event["text"], event["kind"] == "depth", event)
            self.assertNotIn("\n", event["text"])
        self.assertEqual(events[-1]["notes"], {"depth": 6, "alpha": 1})
        strict = os.path.join(self.folder, "strict")
        self.check(["sweep", model, folder, "-o", strict, "--preset", "raw", "--strict"], 3, "(--strict)")
        self.check(["sweep", model, folder, "-o", strict, "--preset", "raw"], 2, "strict")

    def test_options_are_kept_and_part_of_a_run(self):
        model, _ = self.network(3)
        folder = self.folder_of(2)
        self.check(
            ["explain", model, folder, "-o", self.out, "--preset", "raw", "--save-preprocess"]
            + ["--alpha-over", "#01fE20", "--exif", "ignore", "--pages", "3", "--depth", "12"],
            0,
            absent=["note:"],
        )
        with open(model + ".salmap") as file:
            lines = file.read().splitlines()
        for line in ("alpha-over #01fe20", "exif ignore", "pages 3", "depth 12"):
            self.assertIn(line, lines)
        self.check(["explain", model, folder, "-o", self.out], 0, absent=["note:"])
        run = os.path.join(self.folder, "run")
        self.check(["sweep", model, folder, "-o", run], 0)
        self.check(["sweep", model, folder, "-o", run, "--depth", "auto"], 2, "depth")
        self.check(["explain", model, folder, "-o", self.out, "--depth", "stored", "--save-preprocess", "--force"], 0, "12 bit?")
        with open(model + ".salmap") as file:
            self.assertNotIn("depth", file.read())

    def test_values_that_are_none(self):
        model, _ = self.network(3)
        folder = self.folder_of(1)
        for option, value in (
            ("--alpha-over", "red"),
            ("--alpha-over", "#12345"),
            ("--alpha-over", "#12345g"),
            ("--exif", "no"),
            ("--pages", "0"),
            ("--pages", "all"),
            ("--depth", "0"),
            ("--depth", "17"),
            ("--depth", "12bit"),
        ):
            self.check(["explain", model, folder, "-o", self.out, "--preset", "raw", option, value], 2, option, value)


class Foreign(Pictures):
    """What salmap does not read is named, with the program that converts it."""

    def test_formats_are_named_with_what_converts_them(self):
        rgb = Image.fromarray(levels(SIDE, SIDE, 3))
        made = {}
        for kind in ("BMP", "GIF", "WEBP", "JPEG2000", "PPM", "ICO"):
            out = io.BytesIO()
            rgb.save(out, kind)
            made[kind] = out.getvalue()
        expected = {"BMP": "ImageMagick: convert FILE", "GIF": "FILE[0]", "WEBP": "dwebp", "JPEG2000": "opj_decompress", "PPM": "ImageMagick: convert FILE", "ICO": "ImageMagick: convert FILE"}
        for kind, text in expected.items():
            self.refuse("a.png", made[kind], text, "PNG, JPEG, TIFF and .npy")
        for data, text in (
            (b"\0" * 128 + b"DICM" + b"\0" * 99, "pydicom"),
            (b"ZISRAWFILE" + b"\0" * 99, "bfconvert"),
            (b"\xda\xce\xbe\x0a" + b"\0" * 99, "bfconvert"),
            (b"\x70\0\0\0" + b"\0" * 99, "bfconvert"),
            (b"\0\0\0\x18ftypheic" + b"\0" * 99, "heif-convert"),
            (b"\0\0\0\x1cftypavif" + b"\0" * 99, "heif-convert"),
            (b"\0" * 344 + b"n+1\0" + b"\0" * 99, "numpy.save"),
            (b"\x89HDF\r\n\x1a\n" + b"\0" * 99, "numpy.save"),
        ):
            self.refuse("a.tif", data, text)
        self.refuse("a.jpg", b"hello, world" * 20, "not a PNG")
        # Large files are refused by their first bytes.
        self.refuse("a.bmp", made["BMP"] + b"\0" * (1 << 21), "ImageMagick: convert FILE")


if __name__ == "__main__":
    harness.main(sys.modules[__name__])
