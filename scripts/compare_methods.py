#!/usr/bin/env python3
"""salmap's methods against Captum's and pytorch-grad-cam's: whole networks, photographs. Run by hand.

    compare_methods.py SALMAP [--device D] [--only NETWORK ...] [--samples N] [--pictures N]
    compare_methods.py SALMAP --time [--batch N] [--rounds N]

Wants a virtual environment with torch, torchvision, onnx, captum, grad-cam, scikit-image and scipy. Weights are random,
with batch norms that know the photographs; the demo network is that of data/models. SmoothGrad and its relatives get
salmap's noise on both sides. The libraries compute in double precision, so that a difference is salmap's. They also
compute in single precision, as everybody runs them: a unit of a ReLU network that lies within rounding of its kink goes
one way in double precision and the other way in single. On such networks salmap is compared with both, and each picture
counts with the nearer one. All others are compared with double precision alone.

Exit status 1 if a difference is NaN or above 1e-4. For the torchvision networks with ReLU it may be more, because 25
noisy copies have many units at their kinks. There the limit is three times what the library is off from itself in single
precision, or in double precision with inputs moved by 2e-6 of their values; the table shows both. The demo network, and
NETWORK-smooth (the same weights with every kink replaced), have no such excuse.

--time prints what SmoothGrad (50 samples), integrated gradients (50 steps) and Grad-CAM of ResNet-50 take, salmap and
Captum in turn, 2 threads and equally many pictures at a time on both sides.
"""
import argparse
import contextlib
import copy
import importlib.metadata
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import unittest.mock
import warnings

import numpy as np
import skimage
import skimage.transform
import torch
import torchvision
from captum import attr
from PIL import Image

warnings.filterwarnings("ignore")
HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE.parent / "data"
sys.path.insert(0, str(HERE.parent / "tests/cli"))

import make_architectures as architectures  # noqa: E402
import method_reference as reference  # noqa: E402
import pytorch_grad_cam  # noqa: E402
import train_demo  # noqa: E402

MOST = 1e-4
MOVE = 2e-6  # of inputs, relative
STEPS = 50
AT_ONCE = 5  # points that the libraries compute together
PHOTOGRAPHS = ("chelsea", "coffee", "astronaut", "rocket")
# The layers that are mapped, as PyTorch has them: the last with pixels, which is salmap's choice, and an earlier one.
LAYERS = {
    "demo": lambda net: (net.coarse[-1], net.coarse[3]),
    "resnet50": lambda net: (net.layer4, net.layer3),
    "mobilenet_v2": lambda net: (net.features[-1], net.features[13]),
    "efficientnet_b0": lambda net: (net.features[-1], net.features[5]),
}
SMOOTH = "-smooth"
NETWORKS = ["demo", "demo-smooth", "resnet50", "resnet50-smooth", "mobilenet_v2", "mobilenet_v2-smooth", "efficientnet_b0"]
NO_KINKS = ("efficientnet_b0",)


# ---- Networks and pictures -------------------------------------------------------


def photographs(count, side=224):
    """(count, 3, side, side) float32, normalised as for ImageNet."""
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    pictures = []
    for name in PHOTOGRAPHS[:count]:
        picture = skimage.transform.resize(getattr(skimage.data, name)() / 255.0, (side, side), anti_aliasing=True)
        pictures.append(((picture - mean) / std).transpose(2, 0, 1))
    return np.stack(pictures).astype(np.float32)


def scales(count):
    inputs = []
    for path in sorted((DATA / "scales").glob("*.png"))[:count]:
        picture = torch.from_numpy(np.array(Image.open(path).convert("RGB")))
        inputs.append(train_demo.to_input(picture.permute(2, 0, 1)[None] / 255.0))
    return torch.cat(inputs).numpy()


def load_demo(path):
    """The exporter folded the batch norms into the convolutions, which come in the order of the modules."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(path)).graph
    weights = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in graph.initializer}
    net = train_demo.AgeNet()
    units = [m for m in net.modules() if isinstance(m, torch.nn.Sequential) and isinstance(m[0], torch.nn.Conv2d)]
    nodes = [node for node in graph.node if node.op_type == "Conv"]
    assert len(units) == len(nodes)
    for unit, node in zip(units, nodes):
        unit[0].weight.data, unit[0].bias = weights[node.input[1]], torch.nn.Parameter(weights[node.input[2]])
        unit[1] = torch.nn.Identity()
    net.age.weight.data, net.age.bias.data = weights["age.weight"], weights["age.bias"]
    return net.eval().requires_grad_(False)


def make(name, folder, count):
    """The network, its ONNX file and pictures; a smooth one within architectures.smoothed()."""
    name, path = name.removesuffix(SMOOTH), folder / f"{name}.onnx"
    if name == "demo":
        net, pictures = load_demo(DATA / "models/scale_age_honest.onnx"), scales(count)
        architectures.export(net, torch.from_numpy(pictures[:1]), path, 13, torch.onnx.TrainingMode.EVAL)
        return net, path, pictures
    torch.manual_seed(1)
    net = getattr(torchvision.models, name)(weights=None)
    architectures.randomise(net)
    pictures = photographs(count)
    known = torch.from_numpy(photographs(len(PHOTOGRAPHS)))
    architectures.calibrate(net, [known, known.flip(3), known.flip(2)])
    architectures.export(net, known[:1], path, 13, torch.onnx.TrainingMode.EVAL)
    return net, path, pictures


# ---- Both sides ------------------------------------------------------------------


class Salmap:
    def __init__(self, program, device):
        self.command = [program, "explain", "--preset", "raw", "--json", "--threads", "2", "--device", device]
        if device.startswith("cuda"):
            self.command += ["--precision", "fp32"]
        self.program = program

    def layer(self, model, shape):
        """Name of the last layer of a shape (channels, height, width)."""
        done = subprocess.run([self.program, "inspect", model, "--json"], check=True, capture_output=True)
        return [row["name"] for row in json.loads(done.stdout)["layers"] if row["shape"] == list(shape)][-1]

    def results(self, model, pictures, *options):
        """What is printed of each picture, with `attribution` and `map` beside it."""
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            paths = [folder / f"{k:02d}.npy" for k in range(len(pictures))]
            for path, picture in zip(paths, pictures):
                np.save(path, picture)
            command = [*self.command, "-o", folder / "out", "--save-gradient", *options, model, *paths]
            done = subprocess.run(list(map(str, command)), check=True, capture_output=True)
            results = [json.loads(line) for line in done.stdout.splitlines()]
            for result in results:
                result["attribution"] = np.load(result["maps"][0]["gradient"]).astype(np.float64)
                result["map"] = np.load(result["maps"][0]["npy"]).astype(np.float64)
        return results


class Libraries:
    """Captum and pytorch-grad-cam on one picture, in the precision of the network; move: of inputs, relative."""

    def __init__(self, net, samples, move=0.0):
        self.net, self.samples, self.move = net, samples, move
        self.type = next(net.parameters()).dtype

    def tensor(self, x):
        moved = 1 + self.move * np.random.RandomState(0).standard_normal(x.shape) if self.move else np.float32(1)
        return torch.from_numpy(x * moved).to(self.type)

    def noisy(self, kind, x, target):
        """Captum draws its noise by torch.normal, which here deals out salmap's."""
        noise = self.tensor(reference.noisy(x, self.samples, 0.15, 0).astype(np.float64) - x)
        dealt = 0

        def deal(_, deviations):
            nonlocal dealt
            dealt += len(deviations)
            return noise[dealt - len(deviations):dealt]

        with unittest.mock.patch.object(torch, "normal", deal):
            result = attr.NoiseTunnel(attr.Saliency(self.net)).attribute(
                self.tensor(x)[None], nt_type=kind, nt_samples=self.samples, nt_samples_batch_size=AT_ONCE, stdevs=1.0,
                target=target, abs=False)
        assert dealt == self.samples
        return result

    def attributed(self, method, x, target):
        if method in reference.NOISY:
            result = self.noisy({"smoothgrad-squared": "smoothgrad_sq"}.get(method, method), x, target)
        elif method == "integrated-gradients":
            result = attr.IntegratedGradients(self.net).attribute(
                self.tensor(x)[None], target=target, n_steps=STEPS, method="gausslegendre", internal_batch_size=AT_ONCE)
        elif method == "input-x-gradient":
            result = attr.InputXGradient(self.net).attribute(self.tensor(x)[None].requires_grad_(), target=target)
        else:
            result = attr.Saliency(self.net).attribute(self.tensor(x)[None].requires_grad_(), target=target, abs=False)
        return result[0].detach().double().numpy()

    def captum_cam(self, layer, x, target):
        """Its relu_attributions is off by default, and would call what architectures.smoothed() replaces."""
        x = self.tensor(x)[None].requires_grad_()
        result = attr.LayerGradCam(self.net, layer).attribute(x, target=target)
        return result[0].detach().clamp(min=0).double().numpy()

    def cam(self, kind, layer, x, target):
        """pytorch-grad-cam's map before it is enlarged, and after."""
        x = self.tensor(x)[None].requires_grad_()
        targets = [lambda output: output[target]]
        with kind(model=self.net, target_layers=[layer]) as cam:
            enlarged = cam(input_tensor=x, targets=targets)[0]
            values, slopes = cam.activations_and_grads.activations[0], cam.activations_and_grads.gradients[0]
            raw = cam.get_cam_image(x, layer, targets, values.numpy(), slopes.numpy(), False)
        return np.maximum(raw, 0).astype(np.float64), enlarged.astype(np.float64)


# ---- Comparison ------------------------------------------------------------------


def worst(found, expected):
    """Of all pictures; NaN is the worst."""
    return float(np.max([reference.off(a, b) for a, b in zip(found, expected)]))


def compare(name, args, salmap, folder):
    """Rows (network, method, library, difference from the nearer precision of it, from its double precision, and its own:
    of single from double precision, and where inputs move)."""
    net, model, pictures = make(name, folder, args.pictures)
    single, double = Libraries(net, args.samples), Libraries(copy.deepcopy(net).double(), args.samples)
    others = [single, Libraries(double.net, args.samples, MOVE)] if has_kinks(name) else [single]
    with torch.no_grad():
        targets = double.net(double.tensor(pictures)).argmax(1).tolist()
    rows = []

    def row(method, library, found, ask):
        """ask(libraries, picture, target) gives what is expected."""
        assert [r["maps"][0]["target"] for r in found] == targets, "another output is explained"
        ours = [r["attribution"] for r in found]
        expected, *also = ([ask(side, x, t) for x, t in zip(pictures, targets)] for side in (double, *others))
        sides = (expected, also[0]) if has_kinks(name) else (expected,)
        nearer = float(np.max([np.min([reference.off(a, b) for b in both]) for a, *both in zip(ours, *sides)]))
        own = [worst(other, expected) for other in also]
        rows.append((name, method, library, nearer, worst(ours, expected), *own))
        cells = [f"{cell:.1e}" if isinstance(cell, float) else cell for cell in rows[-1]] + [""] * (2 - len(own))
        print(f"| {' | '.join(cells)} |", flush=True)

    for method in (m for m in reference.METHODS if m not in reference.CAMS):
        options = {"integrated-gradients": ["--steps", STEPS]}.get(method, [])
        options += ["--samples", args.samples] if method in reference.NOISY else []
        found = salmap.results(model, pictures, "--method", method, *options)
        row(method, "Captum", found, lambda side, x, t, method=method: side.attributed(method, x, t))
    compare_cams(name, salmap, model, pictures, row, double)
    return rows


def compare_cams(name, salmap, model, pictures, row, double):
    layers = LAYERS[name.removesuffix(SMOOTH)]
    kinds = {"grad-cam": pytorch_grad_cam.GradCAM, "hires-cam": pytorch_grad_cam.HiResCAM,
             "layer-cam": pytorch_grad_cam.LayerCAM}
    for number, layer in enumerate(layers(double.net)):
        shapes = []
        handle = layer.register_forward_hook(lambda _, inputs, output, shapes=shapes: shapes.append(tuple(output.shape[1:])))
        double.net(double.tensor(pictures[:1]))
        handle.remove()
        for method, kind in kinds.items():
            where = ["--cam-layer", salmap.layer(model, shapes[0])] if number else []
            found = salmap.results(model, pictures, "--method", method, *where)
            title = f"{method}, {'x'.join(map(str, shapes[0]))}"

            def of(side, number=number):
                return layers(side.net)[number]

            if method == "grad-cam":
                row(title, "Captum", found, lambda side, x, t: side.captum_cam(of(side), x, t))
            row(title, "pytorch-grad-cam", found, lambda side, x, t, kind=kind: side.cam(kind, of(side), x, t)[0])
            enlarged = [{**r, "attribution": r["map"]} for r in found]
            row(f"{title}, enlarged", "pytorch-grad-cam", enlarged,
                lambda side, x, t, kind=kind: side.cam(kind, of(side), x, t)[1])


def has_kinks(name):
    return not name.endswith(SMOOTH) and name not in NO_KINKS


def limit_of(row):
    return max(MOST, *(3 * own for own in row[5:])) if has_kinks(row[0]) and row[0] != "demo" else MOST


# ---- Time ------------------------------------------------------------------------


def measure(args, salmap, folder):
    """Milliseconds a picture of both, in turn."""
    torch.set_num_threads(2)
    net, model, pictures = make("resnet50", folder, len(PHOTOGRAPHS))
    pictures = np.concatenate([pictures] * (args.batch // len(pictures) + 1))[:args.batch]
    x = torch.from_numpy(pictures)
    targets = net(x).argmax(1)

    def forward():
        with torch.no_grad():
            net(x)

    def smoothgrad():
        attr.NoiseTunnel(attr.Saliency(net)).attribute(x, nt_samples=50, nt_samples_batch_size=1, stdevs=0.5, target=targets,
                                                       abs=False)

    def integrated_gradients():
        attr.IntegratedGradients(net).attribute(x, target=targets, n_steps=50, internal_batch_size=args.batch)

    contenders = {
        "forward pass alone": (None, forward),
        "Grad-CAM": ("grad-cam", lambda: attr.LayerGradCam(net, net.layer4).attribute(x, target=targets)),
        "gradient": ("gradient", lambda: attr.Saliency(net).attribute(x.clone().requires_grad_(), target=targets)),
        "SmoothGrad, 50 samples": ("smoothgrad", smoothgrad),
        "integrated gradients, 50 steps": ("integrated-gradients", integrated_gradients),
    }
    options = {"smoothgrad": ["--samples", 50], "integrated-gradients": ["--steps", 50]}
    print(f"\nResNet-50, {args.batch} pictures at a time, 2 threads, {args.rounds} rounds in turn; ms a picture\n")
    print("| method | salmap | Captum | faster |\n|---|---|---|---|")
    for title, (method, theirs) in contenders.items():
        rounds = []
        if method not in options:
            theirs()  # short ones: what the first run sets up would count
        for _ in range(args.rounds):
            ours = None
            if method:
                # Two batches: the first one makes what both use.
                results = salmap.results(model, np.concatenate([pictures] * 2), "--method", method, *options.get(method, []),
                                         "--batch", args.batch)
                ours = statistics.median(r["milliseconds"] for r in results[args.batch:])
            begin = time.perf_counter()
            theirs()
            rounds.append((ours, (time.perf_counter() - begin) * 1e3 / args.batch))
        print_times(title, rounds)


def print_times(title, rounds):
    other = statistics.median(theirs for _, theirs in rounds)
    if rounds[0][0] is None:
        print(f"| {title} | | {other:.1f} | |", flush=True)
        return
    ratios = [theirs / ours for ours, theirs in rounds]
    print(f"| {title} | {statistics.median(ours for ours, _ in rounds):.1f} | {other:.1f} "
          f"| {statistics.median(ratios):.2f} x ({min(ratios):.2f} to {max(ratios):.2f}) |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("salmap", type=lambda path: str(pathlib.Path(path).resolve()))
    parser.add_argument("--device", default="cpu", help="salmap's (default: cpu); the libraries compute on the processor")
    parser.add_argument("--only", nargs="+", choices=NETWORKS, default=NETWORKS, metavar="NETWORK", help=", ".join(NETWORKS))
    parser.add_argument("--samples", type=int, default=25, help="of SmoothGrad; a multiple of %d" % AT_ONCE)
    parser.add_argument("--pictures", type=int, default=2, choices=range(1, len(PHOTOGRAPHS) + 1))
    parser.add_argument("--time", action="store_true")
    parser.add_argument("--batch", type=int, default=8, help="of --time")
    parser.add_argument("--rounds", type=int, default=3, help="of --time")
    args = parser.parse_args()
    names = ("torch", "torchvision", "captum", "grad-cam", "numpy", "onnx")
    print(", ".join(f"{name} {importlib.metadata.version(name)}" for name in names))
    salmap = Salmap(args.salmap, args.device)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        if args.time:
            measure(args, salmap, pathlib.Path(folder))
            return 0
        torch.set_num_threads(2)
        print("\n| network | method | library | relative L2, nearer precision | double precision "
              "| the library in single precision | inputs moved |")
        print("|---|---|---|---|---|---|---|")
        for name in args.only:
            smooth = architectures.smoothed(torch.nn.functional.silu) if name.endswith(SMOOTH) else contextlib.nullcontext()
            with smooth:
                rows += compare(name, args, salmap, pathlib.Path(folder))
    far = [row for row in rows if not row[3] <= limit_of(row)]
    within = sum(row[3] <= MOST for row in rows)
    print(f"\n{len(rows)} comparisons, {within} within {MOST:g}; {len(far)} too far")
    print("".join(f"too far: {row[0]}, {row[1]}, {row[2]}\n" for row in far), end="")
    return 1 if far else 0


if __name__ == "__main__":
    sys.exit(main())
