"""Keras files that are truncated, damaged or made to deceive: a message, and nothing else."""

import io
import json
import os
import random
import re
import resource
import struct
import sys
import warnings
import zipfile

from harness import SOURCE, Case, main

CASES = os.path.join(SOURCE, "tests/golden/keras")


class KerasFiles(Case):
    def unpack(self, case, ending):
        """One file of a golden case: its bytes."""
        with zipfile.ZipFile(os.path.join(CASES, case + ".zip")) as packed:
            (name,) = [n for n in packed.namelist() if n == case + ending]
            return packed.read(name)

    def inspect(self, name, data, *texts, codes=(0, 1)):
        """Reads the file, or refuses it in one line that names it. Both codes are for files that were changed at random,
        as a weight may be: they may still be networks."""
        path = self.write(name, data)
        done = self.run_salmap("inspect", path)
        self.assertIn(done.returncode, codes, done.err)
        if done.returncode:
            self.assertEqual(done.out, "")
            self.assertRegex(done.err, r"\Asalmap: inspect: %s: .+\n\Z" % re.escape(path))
        else:
            self.assertEqual(done.err, "")
            self.assertRegex(done.out, r"(?m)^  input +\d+ x \d+ x \d+ \(channels, height, width\)")
        for text in texts:
            self.assertIn(text, done.err)
        return done

    def repack(self, data, change):
        """A .keras archive with its members changed: a dictionary of bytes."""
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        change(members)
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        return out.getvalue()

    def configured(self, change, case="branches"):
        """A .keras file with another configuration."""

        def edit(members):
            config = json.loads(members["config.json"])
            change(config["config"])
            members["config.json"] = json.dumps(config).encode()

        return self.repack(self.unpack(case, ".keras"), edit)

    def test_truncated(self):
        for ending in (".keras", ".h5"):
            data = self.unpack("stack_valid", ending)
            for i in range(1, 24):
                with self.subTest(ending=ending, part=i):
                    self.inspect("cut" + ending, data[: len(data) * i // 24], codes=(1,))

    def test_damaged(self):
        rng = random.Random(7)
        for ending in (".keras", ".h5"):
            data, codes = self.unpack("stack_valid", ending), []
            for i in range(60):
                damaged = bytearray(data)
                for _ in range(1 + i % 4):
                    damaged[rng.randrange(len(damaged))] = rng.randrange(256)
                with self.subTest(ending=ending, number=i):
                    codes.append(self.inspect("damaged" + ending, bytes(damaged)).returncode)
            # An archive has checksums.
            self.assertGreater(codes.count(1), 50 if ending == ".keras" else 5, ending)

    def test_members_that_are_missing_or_no_json(self):
        data = self.unpack("stack_valid", ".keras")
        for name in ("config.json", "model.weights.h5"):
            self.inspect("a.keras", self.repack(data, lambda m: m.pop(name)),
                         ": there is no %s in this archive: is it a .keras file?\n" % name, codes=(1,))
        own = "the network is a class of its own, and the file does not contain its code; in Python, where the network runs, " \
              'export it: model.export("model.onnx", format="onnx")\n'
        # What is in brackets there is the JSON library's.
        for text, said in (
            (b"", "config.json: line 1: "), (b"{", "config.json: line 1: "), (b"[]", own), (b"null", "config.json: line 1: "),
            (b'{"class_name": "Functional"}', "a model of the configuration has no layers\n"),
            (b'{"class_name": 7, "config": {}}', own),
        ):
            changed = self.repack(data, lambda m: m.update({"config.json": text}))
            self.inspect("a.keras", changed, "a.keras: " + said, codes=(1,))
        deep = b'{"class_name": ' + b"[" * 100000 + b"]" * 100000 + b"}"
        self.inspect("a.keras", self.repack(data, lambda m: m.update({"config.json": deep})),
                     "a.keras: config.json: line 1: ", codes=(1,))

    def test_nothing_is_unpacked(self):
        def wander(members):
            members["../outside.txt"] = b"x"
            members["/tmp/salmap-outside.txt"] = b"x"

        self.inspect("a.keras", self.repack(self.unpack("stack_valid", ".keras"), wander), codes=(0,))
        self.assertFalse(os.path.exists(os.path.join(self.folder, "../outside.txt")))
        self.assertFalse(os.path.exists("/tmp/salmap-outside.txt"))

    def test_a_bomb(self):
        """A member that says it is larger than models may be is not unpacked."""
        bomb = self.repack(self.unpack("stack_valid", ".keras"), lambda m: m.update({"config.json": b" " * (1 << 29)}))
        self.inspect("a.keras", bomb, ": config.json has 536870912 bytes, the limit is 16777216\n", codes=(1,))

    def test_cycles_and_layers_that_are_not_there(self):
        def redirect(target):
            def change(config):
                for layer in config["layers"]:
                    if layer["inbound_nodes"] and layer["class_name"] == "Conv2D":
                        text = json.dumps(layer["inbound_nodes"])
                        name = json.loads(text)[0]["args"][0]["config"]["keras_history"][0]
                        layer["inbound_nodes"] = json.loads(text.replace('"%s"' % name, '"%s"' % target(config, layer)))
                        return

            return change

        nowhere_made = "layer conv2d: no layer makes its inputs: the configuration has a cycle, or names layers that it " \
                       "does not have\n"
        last = lambda config, layer: config["layers"][-1]["name"]  # noqa: E731
        self.inspect("a.keras", self.configured(redirect(last)), nowhere_made, codes=(1,))
        itself = lambda config, layer: layer["name"]  # noqa: E731
        self.inspect("a.keras", self.configured(redirect(itself)), nowhere_made, codes=(1,))
        nowhere = lambda config, layer: "nowhere"  # noqa: E731
        self.inspect("a.keras", self.configured(redirect(nowhere)), nowhere_made, codes=(1,))

    def test_weights_that_are_missing_or_of_another_shape(self):
        def rename(config):
            config["layers"].insert(1, config["layers"].pop(1))
            for layer in config["layers"]:
                if layer["class_name"] == "Conv2D":
                    layer["class_name"] = "SeparableConv2D"

        self.inspect("a.keras", self.configured(rename), "layer conv2d (SeparableConv2D): the file has no depthwise_kernel for it", codes=(1,))

        def enlarge(config):
            config["layers"][0]["config"]["batch_shape"] = [None, 20, 20, 3]

        self.inspect("a.keras", self.configured(enlarge, "stack_valid"),
                     "layer dense (MatMul): weights of shape (128, 6) for 200 features\n", codes=(1,))

    def test_absurd_dimensions(self):
        """The extents of a kernel, where the file has them: as they are and at most."""
        data = self.unpack("stack_valid", ".h5")
        there = struct.pack("<4Q", 3, 3, 3, 6)
        self.assertIn(there, data)
        for extents in ((1 << 40, 3, 3, 6), (1 << 62, 1 << 62, 3, 6), (3, 3, 3, 1 << 20), (0, 3, 3, 6), (3, 3, 3, (1 << 64) - 1)):
            with self.subTest(extents=extents):
                self.inspect("a.h5", data.replace(there, struct.pack("<4Q", *extents)), ": layer first.conv-1 (Conv2D): ",
                             "model_weights/first.conv-1/sequential/first.conv-1/kernel", codes=(1,))

    def test_layers_in_any_order(self):
        """Backwards, each layer waits for the one behind it in the file."""

        def reverse(config):
            history = config["layers"][1]["inbound_nodes"][0]["args"][0]["config"]["keras_history"]
            chain = [config["layers"][0]]
            for i in range(3000):
                tensor = {"class_name": "__keras_tensor__", "config": {"keras_history": [chain[-1]["name"], 0, 0]}}
                inbound = [{"args": [tensor], "kwargs": {}}]
                own = {"name": "a%d" % i, "activation": "linear"}
                chain.append({"class_name": "Activation", "name": own["name"], "config": own, "inbound_nodes": inbound})
            history[0] = chain[-1]["name"]
            config["layers"] = config["layers"][1:] + chain[::-1]

        self.inspect("a.keras", self.configured(reverse), codes=(0,))

    def test_values_that_make_no_sense(self):
        """One value of a configuration at a time."""
        rng = random.Random(3)

        def leaves(value, path=()):
            if isinstance(value, (dict, list)):
                for key in value if isinstance(value, dict) else range(len(value)):
                    yield from leaves(value[key], (*path, key))
            elif isinstance(value, (int, float)) and not isinstance(value, bool):
                yield path

        for case in ("stack_same_odd", "up_sampling", "conv_transpose_same_strided", "center_crop", "group_normalization"):
            for _ in range(12):

                def change(config):
                    *way, last = rng.choice(list(leaves(config)))
                    for key in way:
                        config = config[key]
                    config[last] = rng.choice((-1, 0, 1 << 15, (1 << 31) - 1, 1 << 31, (1 << 63) - 1, 1e308, None, "x", [], {}))

                with self.subTest(case=case):
                    self.inspect("a.keras", self.configured(change, case))

    def test_settings_that_cannot_be(self):
        """What Keras would not take: not that which is left when it is passed over."""

        def set_in(number, name, value):
            def change(config):
                config["layers"][number]["config"][name] = value

            return change

        for number, name, value, text in (
            (1, "data_format", "channels", "(Conv2D): salmap does not understand the value of its data_format"),
            (2, "data_format", "last", "(MaxPooling2D): salmap does not understand the value of its data_format"),
            (1, "activation", {"class_name": "LeakyReLU", "config": {"negative_slope": "x"}},
             "(Conv2D): salmap does not understand the value of its negative_slope"),
            (1, "kernel_size", [5, 3], "(Conv2D): its kernel_size is 5 x 3, but its kernel has 3 x 3"),
            (1, "filters", 7, "(Conv2D): it has 7 filters, but its kernel has 6"),
            (7, "units", 9, "(Dense): it has 9 units, but its kernel has 6"),
            (5, "name", "conv2d", "two layers of a model have the name conv2d"),
        ):
            with self.subTest(name=name, value=value):
                data = self.configured(set_in(number, name, value), "stack_valid")
                self.inspect("set.keras", data, text, codes=(1,))
        for name, value in (("data_format", "Channels_Last"), ("kernel_size", None), ("kernel_size", 3), ("filters", None)):
            self.inspect("set.keras", self.configured(set_in(1, name, value), "stack_valid"), codes=(0,))

        def crop(value):
            def change(config):
                layer = next(x for x in config["layers"] if x["class_name"] == "Cropping2D")
                layer["config"]["cropping"] = value

            return change

        self.inspect("crop.keras", self.configured(crop([[1, 2], [1, 0]]), "cropping"), codes=(0,))
        for value in ([["1", "2"], ["1", "0"]], [[1.0, 2.0], [1, 0]], [[1, 2], [1]], [[1, 2, 3], [1, 0]], [1, 2, 1, None], [1, 2, 3]):
            with self.subTest(cropping=value):
                self.inspect("crop.keras", self.configured(crop(value), "cropping"), "its cropping is neither a number nor", codes=(1,))

    def test_python_code_and_unknown_classes(self):
        for name, text in (
            ("Lambda", "layer conv2d (Lambda): it is Python code, which the file does not contain in a form that salmap can run; in Python"),
            ("MyLayer", "layer conv2d (MyLayer): salmap does not know this class of layers; in Python"),
            ("Package>MyLayer", "layer conv2d (MyLayer): salmap does not know this class of layers; in Python"),
        ):

            def change(config):
                for layer in config["layers"]:
                    if layer["class_name"] == "Conv2D":
                        layer["class_name"] = name

            export = ', where the network runs, export it: model.export("model.onnx", format="onnx")\n'
            self.inspect("a.keras", self.configured(change), text + export, codes=(1,))

    def test_hdf5_files_that_lead_astray(self):
        """Of scripts/make_hdf5_damage.py: links out of the file, circles, extents without contents."""
        folder = os.path.join(SOURCE, "tests/fuzz/crashers/hdf5")
        names = sorted(os.listdir(folder))
        self.assertEqual(len(names), 10)
        for name in names:
            with self.subTest(name):
                self.inspect(name, self.read(os.path.join(folder, name)), ": layer conv (Conv", codes=(1,))

    def damaged(self, name):
        """A crasher of scripts/make_hdf5_damage.py over which the HDF5 library itself goes astray."""
        return self.read(os.path.join(SOURCE, "tests/fuzz/crashers/hdf5_damage", name + ".h5"))

    def test_an_attribute_that_is_shorter_than_its_texts(self):
        """Nothing behind it is read, which the address sanitizer would report."""
        self.inspect("a.h5", self.damaged("attribute_cut_short"), ": HDF5: is damaged: the attribute weight_names is cut short\n",
                     codes=(1,))

    def test_time_is_limited_by_the_size_of_the_file(self):
        """HDF5 1.10 goes in circles over it; where another version refuses it there is less to wait for."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = self.inspect("a.h5", self.damaged("heap_without_end"), codes=(1,))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        self.assertLess(seconds, 15)
        if seconds > 3:
            self.assertIn("the HDF5 library did not come to an end in 4 s, which a file of 8624 bytes does not take\n", done.err)

    def test_an_archive_whose_members_are_encrypted(self):
        data = bytearray(self.unpack("stack_valid", ".keras"))
        for magic, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            where = data.find(magic)
            while where >= 0:
                data[where + at] |= 1
                where = data.find(magic, where + 4)
        self.inspect("a.keras", bytes(data), ": config.json in this archive is damaged or truncated\n", codes=(1,))

    def test_members_that_are_there_twice(self):
        """The one that the archive's own order puts first counts, whatever the other says; nothing is mixed."""
        once = self.unpack("stack_valid", ".keras")
        alone, data = self.inspect("a.keras", once, codes=(0,)), io.BytesIO(once)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with zipfile.ZipFile(data, "a") as archive:
                archive.writestr("config.json", b"{}")
        self.assertEqual(self.inspect("a.keras", data.getvalue(), codes=(0,)).out, alone.out)

    def test_a_member_that_is_larger_than_it_says(self):
        data = bytearray(self.unpack("stack_valid", ".keras"))
        for magic, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
            where = data.find(magic)
            while where >= 0:
                data[where + at : where + at + 4] = struct.pack("<I", 100)
                where = data.find(magic, where + 4)
        self.inspect("a.keras", bytes(data), ": config.json in this archive is damaged or truncated\n", codes=(1,))

    def chain(self, names, reverse):
        layers = [{"class_name": "InputLayer", "name": "in", "inbound_nodes": []}]
        layers[0]["config"] = {"name": "in", "batch_input_shape": [None, 16, 16, 3]}
        for before, name in zip(["in"] + names, names):
            layer = {"class_name": "ReLU", "name": name, "config": {"name": name}}
            layer["inbound_nodes"] = [[[before, 0, 0, {}]]]
            layers.append(layer)
        layers.append({"class_name": "GlobalAveragePooling2D", "name": "pool", "config": {"name": "pool"}})
        layers[-1]["inbound_nodes"] = [[[names[-1], 0, 0, {}]]]
        config = {"layers": layers[::-1] if reverse else layers, "output_layers": [["pool", 0, 0]]}
        whole = json.dumps({"class_name": "Functional", "config": config}).encode()
        return self.repack(self.unpack("stack_valid", ".keras"), lambda m: m.update({"config.json": whole}))

    def test_names(self):
        for names in (["../../a", "/etc/passwd"], ["%s%n%s", "a\nb"], ["x" * 900, "x" * 900 + "y"]):
            self.inspect("a.keras", self.chain(names, False),
                         ": the network has no head: no dense or conv layer leads to node pool/Flatten\n", codes=(1,))
        self.inspect("a.keras", self.chain(["x" * 5000], False), ": its name has more than 1024 characters\n", codes=(1,))

    def test_computed_weights_are_limited(self):
        """A few bytes of configuration that ask for matrices of gigabytes."""
        resize = {"height": 30000, "width": 30000, "interpolation": "bilinear"}

        def change(config):
            for layer in config["layers"]:
                if layer["class_name"] == "InputLayer":
                    layer["config"]["batch_shape"] = [None, 29000, 29000, 3]
                elif layer["class_name"] == "Conv2D":
                    layer["class_name"] = "Resizing"
                    layer["config"].update(resize)

        self.inspect("a.keras", self.configured(change), "layer conv2d (Resizing): with it, the weights that salmap computes have more "
                     "than 536870912 bytes\n", codes=(1,))

    def test_weights_without_a_network(self):
        data = self.unpack("weights_legacy", ".weights.h5")
        self.inspect("alone.h5", data,
                     ": holds weights but no network: save the text of model.to_json() beside it, as ", "/alone.json\n", codes=(1,))


if __name__ == "__main__":
    main(sys.modules[__name__])
