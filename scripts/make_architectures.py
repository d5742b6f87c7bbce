#!/usr/bin/env python3
"""Writes one folder per torchvision architecture: the network as ONNX files with
random weights, two inputs, and the scores and input gradients that PyTorch
computes in double precision. Nothing is downloaded.

    make_architectures.py OUT [--only NAME ...] [--survey SEED ...] [--once]

OUT/NAME/ holds
    model.onnx           the network as it is, batch norms left in the file (opset 13)
    smooth.onnx          the same weights with every kink replaced: ReLU and its
                         relatives by a smooth activation, max pools by average
                         pools; batch norms folded by the exporter (opset 17)
    inputs.npy           (2, 3, H, W) float32
    scores.npy           (2, 1000) float64             smooth_scores.npy
    gradients.npy        (2, 3, H, W) float64: of      smooth_gradients.npy
                         the largest score
    flat_inputs.npy      of networks with max pools: (5, 3, H, W) float32, pictures
                         that are flat in places, where a window's elements are
                         equal; with flat_scores.npy and flat_gradients.npy
    meta.txt             "key value" lines: how far PyTorch's own float32 result
                         is from the double one

Two variants, since a ReLU network's gradient is not continuous: where an input
of a ReLU is within rounding of zero, two correct float32 programs may disagree on
one path. The smooth network has no such excuse; and of some pictures the two are
taken whose gradients in the network with kinks move little, in single precision
and where the pictures move by some times what that rounds (meta.txt: "moved").

Exit status: 0 written, 77 no PyTorch here.
"""
import argparse
import concurrent.futures
import contextlib
import copy
import hashlib
import inspect
import math
import pathlib
import sys
import time
import warnings

try:
    import numpy as np
    import torch
    import torch.nn.functional as F
    import torchvision
except ImportError as error:
    print(f"{error}: scripts/setup.sh --references installs what is needed")
    sys.exit(77)

warnings.filterwarnings("ignore")


class Architecture:
    """size: of the input, the smallest at which every layer still has something to do; some odd or not
    square on purpose. smooth: what replaces ReLU. seed: of weights and inputs. The weights it gives differ from one
    machine to another (statistics are sums in single precision), so it promises nothing about kinks."""

    def __init__(self, seed=1, size=(64, 64), smooth=F.silu, **options):
        self.seed, self.size, self.smooth, self.options = seed, size, smooth, options


SHIFT = 1.0  # mean bias of batch norms
INPUTS = 2
CANDIDATES = 12  # pictures of which the inputs are taken; half of them, if those will do
STEADY = 1e-4  # a gradient moves by less, relative: no unit has turned, no need to look further
TOLERABLE = 5e-3  # one that moves by more is not taken; the tests allow for twice as much
MOVE = 3e-6  # of a picture, relative: some times what float32 rounds
DRAWS = 2  # of noise by which a picture moves
APART = 1e-3  # of the largest score: what the two largest differ by, at least
FLAT_MOVES = 10  # a unit near zero turns all over the flat part, and may take some moves to show
TIED = 2.0**-30  # of flat pictures: what max pools choose from is rounded to multiples of it
FLAT_DRAWS = 5  # flat pictures of each kind that are tried, until one moves tolerably
NO_AUXILIARY = {"aux_logits": False, "init_weights": False}
ARCHITECTURES = {
    "alexnet": Architecture(size=(128, 128), smooth=F.softplus),
    "vgg16": Architecture(seed=2),
    "vgg16_bn": Architecture(seed=2, smooth=F.softplus),
    "resnet18": Architecture(seed=3, size=(75, 75), smooth=F.softplus),
    "resnet50": Architecture(),
    "resnext50_32x4d": Architecture(smooth=F.elu),
    "wide_resnet50_2": Architecture(seed=3),
    "densenet121": Architecture(seed=2, smooth=torch.tanh),
    "squeezenet1_1": Architecture(seed=4, size=(80, 80), smooth=F.elu),
    "googlenet": Architecture(seed=1, size=(72, 72), **NO_AUXILIARY),
    "inception_v3": Architecture(seed=10, size=(107, 107), **NO_AUXILIARY),
    "shufflenet_v2_x1_0": Architecture(seed=2, size=(64, 96)),
    "mobilenet_v2": Architecture(seed=3),
    "mobilenet_v3_small": Architecture(seed=2, size=(80, 80)),
    "mobilenet_v3_large": Architecture(),
    "mnasnet1_0": Architecture(seed=4, smooth=F.softplus),
    "efficientnet_b0": Architecture(),
    "efficientnet_v2_s": Architecture(),
    "regnet_x_400mf": Architecture(seed=3, smooth=F.gelu),
    "regnet_y_400mf": Architecture(size=(64, 96)),
    "convnext_tiny": Architecture(),
}


@contextlib.contextmanager
def smoothed(relu):
    """Every module calls torch.nn.functional, so replacing its functions replaces the
    modules' too."""

    def average_pool(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
        assert dilation in (1, (1, 1)) and not return_indices
        return F.avg_pool2d(x, kernel_size, stride, padding, ceil_mode=ceil_mode, count_include_pad=False)

    replacements = {
        "relu": lambda x, inplace=False: relu(x),
        "hardtanh": lambda x, min_val=0.0, max_val=6.0, inplace=False: F.softplus(x),
        "hardswish": lambda x, inplace=False: F.gelu(x),
        "hardsigmoid": lambda x, inplace=False: torch.sigmoid(x),
        "max_pool2d": average_pool,
    }
    saved = {name: getattr(F, name) for name in replacements}
    for name, function in replacements.items():
        setattr(F, name, function)
    try:
        yield
    finally:
        for name, function in saved.items():
            setattr(F, name, function)


@contextlib.contextmanager
def pools_choosing(choices, again=False):
    """Matrix products may round equal pixels apart, by their place in the matrix. What max pools choose from is rounded, so
    that they take the first of equals; what they choose is added to the list, or taken from it again."""
    pool, known = F.max_pool2d, iter(choices)

    def choosing(x, *arguments, return_indices=False, **options):
        assert not return_indices
        if again:
            which = next(known)
        else:
            _, which = pool(torch.round(x.detach() / TIED), *arguments, return_indices=True, **options)
            choices.append(which)
        return x.flatten(2).gather(2, which.flatten(2)).view_as(which)

    F.max_pool2d = choosing
    try:
        yield
    finally:
        F.max_pool2d = pool


def pictures(rng, count, height, width):
    """Noise with the falling spectrum of photographs, mean 0 and standard deviation 1."""
    fy = np.fft.fftfreq(height)[:, None]
    fx = np.fft.rfftfreq(width)[None, :]
    falloff = 1 / np.maximum(np.hypot(fy, fx), 1 / max(height, width))
    noise = rng.standard_normal((count, 3, height, width))
    x = np.fft.irfft2(np.fft.rfft2(noise) * falloff, s=(height, width))
    x -= x.mean((2, 3), keepdims=True)
    x /= x.std((2, 3), keepdims=True)
    return torch.from_numpy(x.astype(np.float32))


def flat_pictures(rng, height, width):
    """One of each kind, of 8 bits, as users have them: a thing on white, within a black rim, between bars; squares; a
    ramp. Mean and spread are about those of pictures()."""
    y, x = np.mgrid[:height, :width]
    thing = np.clip(128 + 50 * pictures(rng, 1, height, width)[0].numpy().astype(np.float64), 0, 255).round()
    low, high = rng.integers(0, 80, 3)[:, None, None], rng.integers(150, 256, 3)[:, None, None]
    radius = np.hypot(y - height / 2, x - width / 2) / min(height, width)
    squares = (x // 8 + y // 8) % 2
    found = [np.where(radius < rng.uniform(0.25, 0.4), thing, 255), np.where(radius < rng.uniform(0.35, 0.45), thing, 0),
             np.where(abs(y - height / 2) < height * rng.uniform(0.2, 0.35), thing, low),
             np.where(squares, high, low), low + (high - low) * (x * 255 // (width - 1)) // 255]
    return torch.from_numpy(((np.stack(np.broadcast_arrays(*found)) / 255 - 0.5) / 0.25).astype(np.float32))


def build(name, architecture):
    model = getattr(torchvision.models, name)(weights=None, **architecture.options)
    if name in ("alexnet", "vgg16", "vgg16_bn"):
        # Their adaptive pool only passes what comes at 224 pixels. At smaller sizes the first dense layer takes what
        # is there.
        first = 1 if name == "alexnet" else 0
        model.avgpool = torch.nn.Identity()
        with torch.no_grad():
            features = model.features(torch.zeros(1, 3, *architecture.size)).numel()
        model.classifier[first] = torch.nn.Linear(features, 4096)
    return model


def randomise(model):
    """Initial values hide errors: biases of 0 and scales of 1 are as good as absent, and ConvNeXt's
    blocks count for a millionth. Batch norms get positive shifts: random networks of dozens of normalised
    layers with none amplify any rounding error a thousandfold (Yang et al. 2019), which trained ones do not."""
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if key.endswith("layer_scale"):
                parameter.uniform_(0.2, 0.6)
            elif key.endswith("bias"):
                parameter.normal_(0, 0.1)
        for module in model.modules():
            if isinstance(module, (torch.nn.modules.batchnorm._BatchNorm, torch.nn.LayerNorm)):
                module.weight.uniform_(0.7, 1.3)
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                module.bias.add_(SHIFT)
    for parameter in model.parameters():
        parameter.requires_grad_(False)


def calibrate(model, batches):
    """Running statistics of the batch norms: the averages over some batches."""
    norms = [m for m in model.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    model.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain average of all batches
        norm.train()
    with torch.no_grad():
        for batch in batches if norms else []:
            model(batch)
    model.eval()


def gradients(model, inputs, target=None):
    x = inputs.detach().clone().requires_grad_(True)
    scores = model(x)
    target = scores.argmax(1) if target is None else target
    scores.gather(1, target[:, None]).sum().backward()
    return scores.detach(), x.grad, target


def l2(got, want):
    """Relative L2 distance of each picture."""
    got, want = got.double().flatten(1), want.flatten(1)
    return (got - want).norm(dim=1) / want.norm(dim=1)


def margins(scores):
    """How far the two largest scores are apart, of each picture."""
    best = scores.topk(2, dim=1).values
    return (best[:, 0] - best[:, 1]) / scores.abs().amax(1)


def evaluate(model, inputs):
    """What double precision gives, and how far single precision is from it."""
    scores32, gradients32, _ = gradients(model, inputs)
    model.double()
    scores, gradient, _ = gradients(model, inputs.double())
    errors = {
        "score": float((scores32.double() - scores).abs().max() / scores.abs().max()),
        "gradient": float(l2(gradients32, gradient).max()),
        "margin": float(margins(scores).min()),
    }
    return scores, gradient, errors


def movement(single, double, picture, most):
    """How far a picture's gradient moves in single precision, or in double when the picture does. Infinitely far where
    two scores are too near to say which is the largest; not looked at further where it is beyond most."""
    scores, gradient, target = gradients(double, picture.double())
    if margins(scores) < APART:
        return math.inf
    generator = torch.Generator().manual_seed(0)
    moved = float(l2(gradients(single, picture, target)[1], gradient))
    for _ in range(DRAWS):
        if moved > most:
            break
        noise = torch.randn(picture.shape, generator=generator, dtype=torch.float64)
        moved = max(moved, float(l2(gradients(double, picture * (1 + MOVE * noise), target)[1], gradient)))
    return moved


def steadiest(single, candidates):
    """The first INPUTS of the candidates that are steady, else those that are the steadiest; and how far they move."""
    double = copy.deepcopy(single).double()
    best = [(math.inf, None)] * INPUTS  # (how far it moves, candidate), sorted
    for i, picture in enumerate(candidates.split(1)):
        most = best[-1][0]
        if most < (STEADY if i < CANDIDATES // 2 else TOLERABLE):
            break
        best = sorted([*best, (movement(single, double, picture, most), i)], key=lambda pair: pair[0])[:INPUTS]
    moved, chosen = zip(*best)
    return candidates[list(chosen)], max(moved)


def flat_movement(single, double, picture):
    """What double precision gives, PyTorch's own distance from it where its pools choose the same, and how far the gradient
    moves in single precision or when the picture does. Equal pixels of a channel move alike: what is flat stays flat, or
    each pool would choose anew."""
    choices = []
    with pools_choosing(choices):
        scores, gradient, target = gradients(double, picture.double())
    with pools_choosing(choices, again=True):
        off = float(l2(gradients(single, picture, target)[1], gradient))
    if margins(scores) < APART or off > TOLERABLE:
        return scores, gradient, off, math.inf
    generator, moved = torch.Generator().manual_seed(0), off
    moves = torch.empty(picture.shape, dtype=torch.float64)
    for _ in range(FLAT_MOVES):
        for plane, move in zip(picture[0], moves[0]):
            values, which = plane.unique(return_inverse=True)
            move.copy_(torch.randn(len(values), generator=generator, dtype=torch.float64)[which])
        with pools_choosing([]):
            there = gradients(double, picture * (1 + MOVE * moves), target)[1]
        moved = max(moved, float(l2(there, gradient)))
        if moved > TOLERABLE:
            break
    return scores, gradient, off, moved


def tolerable_flat(single, seed, size):
    """The first picture of each kind that moves tolerably, or the steadiest, with scores and gradients in double precision,
    PyTorch's own distances, and how far the gradients move."""
    double, rng = copy.deepcopy(single).double(), np.random.default_rng(seed)
    draws = [flat_pictures(rng, *size) for _ in range(FLAT_DRAWS)]
    chosen = []
    for kind in range(len(draws[0])):
        best = None
        for draw in draws:
            scores, gradient, off, moved = flat_movement(single, double, draw[kind][None])
            if best is None or moved < best[0]:
                best = moved, draw[kind], scores[0], gradient[0], off, moved
            if best[0] <= TOLERABLE:
                break
        chosen.append(best[1:])
    flat, scores, gradient, distances, moves = zip(*chosen)
    return torch.stack(flat), torch.stack(scores), torch.stack(gradient), distances, moves


def export(model, inputs, path, opset, training):
    # Later releases have another exporter as well, and would take that one.
    old = {"dynamo": False} if "dynamo" in inspect.signature(torch.onnx.export).parameters else {}
    torch.onnx.export(model, inputs, str(path), opset_version=opset, training=training,
                      input_names=["pictures"], output_names=["scores"],
                      dynamic_axes={"pictures": {0: "batch"}, "scores": {0: "batch"}}, **old)


class Network:
    def __init__(self, name, seed):
        self.architecture = ARCHITECTURES[name]
        torch.manual_seed(seed)
        rng = np.random.default_rng(seed)
        self.model = build(name, self.architecture)
        randomise(self.model)
        self.batches = [pictures(rng, 8, *self.architecture.size) for _ in range(3)]
        self.candidates = pictures(rng, CANDIDATES, *self.architecture.size)

    def single(self):
        """A copy, since evaluate() leaves doubles."""
        model = copy.deepcopy(self.model)
        calibrate(model, self.batches)
        return model


def write(out, name):
    network = Network(name, ARCHITECTURES[name].seed)
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    mode = torch.onnx.TrainingMode
    kinked = network.single()
    inputs, moved = steadiest(kinked, network.candidates)
    if moved > TOLERABLE:
        raise RuntimeError(f"{name}: the gradients of all pictures but one move by {moved:.1e} or more: --survey finds a better seed")
    np.save(folder / "inputs.npy", inputs.numpy())

    def write_flat(model):
        flat, scores, gradient, distances, moves = tolerable_flat(model, network.architecture.seed, network.architecture.size)
        for key, values in (("inputs", flat), ("scores", scores), ("gradients", gradient)):
            np.save(folder / f"flat_{key}.npy", values.numpy())
        return [f"flat_{key}_{k} {value:.3e}\n" for key, values in (("gradient", distances), ("moved", moves)) for k, value in enumerate(values)]

    def variant(prefix, model, opset, training):
        export(model, inputs, folder / ("smooth.onnx" if prefix else "model.onnx"), opset, training)
        scores, gradient, errors = evaluate(model, inputs)
        np.save(folder / f"{prefix}scores.npy", scores.numpy())
        np.save(folder / f"{prefix}gradients.npy", gradient.numpy())
        return [f"{prefix}{key} {value:.3e}\n" for key, value in errors.items()]

    lines = [f"name {name}\n", f"seed {ARCHITECTURES[name].seed}\n", f"pytorch {torch.__version__}\n",
             f"moved {moved:.3e}\n"]
    if any(isinstance(module, torch.nn.MaxPool2d) for module in kinked.modules()):
        lines += write_flat(kinked)
    # PRESERVE keeps the batch norms of a model in eval mode; EVAL folds them.
    lines += variant("", kinked, 13, mode.PRESERVE)
    with smoothed(network.architecture.smooth):
        lines += variant("smooth_", network.single(), 17, mode.EVAL)
    (folder / "meta.txt").write_text("".join(lines))
    return [" ".join(line.strip() for line in lines[3:])]


def survey(name, seeds):
    networks = (Network(name, seed) for seed in seeds)
    moved = (steadiest(network.single(), network.candidates)[1] for network in networks)
    return [f"seed {seed} moved {far:.1e}" for seed, far in zip(seeds, moved)]


def work(name, out, seeds):
    torch.set_num_threads(1)
    begin = time.time()
    lines = survey(name, seeds) if seeds else write(out, name)
    return "".join(f"{name}: {line}\n" for line in lines) + f"{name}: {time.time() - begin:.1f} s"


def main():
    parser = argparse.ArgumentParser(description="Reference networks and gradients of torchvision architectures.")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--only", nargs="+", choices=list(ARCHITECTURES), default=list(ARCHITECTURES), metavar="NAME")
    parser.add_argument("--survey", nargs="+", type=int, metavar="SEED",
                        help="write nothing; print how far the gradients of seeds' pictures move")
    parser.add_argument("--jobs", type=int, default=2, help="processes of one thread each (default 2)")
    parser.add_argument("--once", action="store_true",
                        help="nothing is done where OUT holds what this script, PyTorch and torchvision would write")
    arguments = parser.parse_args()
    stamp = arguments.out / ".done"
    made_by = f"{hashlib.sha256(pathlib.Path(__file__).read_bytes()).hexdigest()} {torch.__version__} {torchvision.__version__}"
    if arguments.once and stamp.is_file() and stamp.read_text() == made_by:
        return
    if not arguments.survey:
        stamp.unlink(missing_ok=True)
    with concurrent.futures.ProcessPoolExecutor(arguments.jobs) as pool:
        jobs = [pool.submit(work, name, arguments.out, arguments.survey) for name in arguments.only]
        for job in jobs:
            print(job.result(), flush=True)
    if arguments.only == list(ARCHITECTURES) and not arguments.survey:
        stamp.write_text(made_by)


if __name__ == "__main__":
    sys.exit(main())
