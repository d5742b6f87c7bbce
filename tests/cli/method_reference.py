"""What the methods of attribution must give: small networks with fixed weights, and each method in double precision,
straight from its definition. Needs PyTorch, and uses nothing of salmap."""

import copy
import hashlib
import inspect
import warnings

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import nn

warnings.filterwarnings("ignore")
torch.set_num_threads(1)

METHODS = ("gradient", "input-x-gradient", "smoothgrad", "smoothgrad-squared", "vargrad", "integrated-gradients",
           "grad-cam", "hires-cam", "layer-cam")
NOISY, CAMS = METHODS[2:5], METHODS[6:]
MOVE = 2e-6  # several times the rounding of float32, see moves()


# ---- Networks ------------------------------------------------------------------


class Network(nn.Module):
    """`size` is that of a picture; `taps` has the outputs of the last forward pass, by the names of the ONNX nodes."""

    ending = None  # what turns logits into probabilities: "softmax" or "sigmoid"

    def prepare(self, seed):
        """Weights from NumPy's generator: PyTorch's numbers depend on processor and release."""
        rng = np.random.RandomState(seed)
        with torch.no_grad():
            for name, p in sorted([*self.named_parameters(), *self.named_buffers()]):
                if name.endswith("tracked"):
                    continue
                values = rng.standard_normal(tuple(p.shape))
                if p.dim() > 1:
                    values *= (2.0 / p[0].numel()) ** 0.5
                elif name.endswith("var") or "norm" in name and name.endswith("weight"):
                    values = rng.uniform(0.5, 1.5, tuple(p.shape))
                else:
                    values *= 0.2
                p.copy_(torch.from_numpy(np.asarray(values, np.float32)))
        self.taps = {}
        return self.eval().requires_grad_(False)

    def tap(self, name, x):
        self.taps[name] = x
        return x

    def probabilities(self, logits):
        return {"softmax": lambda: logits.softmax(1), "sigmoid": logits.sigmoid}[self.ending]()

    def forward(self, x):
        return self.probabilities(self.logits(x)) if self.ending else self.logits(x)

    def export(self, path):
        """Writes the network in single precision, batch norms folded, and returns a copy in double precision."""
        # Later releases have another exporter as well, and would take that one.
        old = {"dynamo": False} if "dynamo" in inspect.signature(torch.onnx.export).parameters else {}
        torch.onnx.export(self, torch.zeros(1, *self.size), path, opset_version=13, input_names=["picture"],
                          dynamic_axes={"picture": {0: "batch"}}, **old)
        return copy.deepcopy(self).double()


class Plain(Network):
    """Convolutions with ReLU, max pools, a dense layer, softmax."""

    size, ending = (3, 12, 16), "softmax"

    def __init__(self, seed=33):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 6, 3, padding=1)
        self.pool1, self.pool2 = nn.MaxPool2d(2), nn.MaxPool2d(2)
        self.last = nn.Linear(6 * 3 * 4, 5)
        self.prepare(seed)

    def logits(self, x):
        x = self.tap("/first/Conv", F.relu(self.first(x)))
        x = self.tap("/pool1/MaxPool", self.pool1(x))
        x = self.tap("/second/Conv", F.relu(self.second(x)))
        x = self.tap("/pool2/MaxPool", self.pool2(x))
        return self.last(x.flatten(1))


class Residual(Network):
    """A residual block with batch norms, SiLU and a squeeze-and-excitation gate; sigmoids at the end. Nothing in it has a
    kink. A picture has 765 numbers, so the last group of four of the noise is not full."""

    size, ending = (3, 17, 15), "sigmoid"

    def __init__(self, seed=2):
        super().__init__()
        self.stem, self.norm1 = nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8)
        self.one, self.norm2 = nn.Conv2d(8, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8)
        self.squeeze, self.excite = nn.Conv2d(8, 4, 1), nn.Conv2d(4, 8, 1)
        self.two, self.norm3 = nn.Conv2d(8, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8)
        self.last = nn.Linear(8, 4)
        self.prepare(seed)

    def logits(self, x):
        x = self.tap("/Mul", F.silu(self.tap("/stem/Conv", self.norm1(self.stem(x)))))
        y = self.tap("/Mul_1", F.silu(self.tap("/one/Conv", self.norm2(self.one(x)))))
        gate = torch.sigmoid(self.excite(F.silu(self.squeeze(y.mean((2, 3), keepdim=True)))))
        y = self.tap("/Mul_3", y * gate)
        x = self.tap("/Mul_4", F.silu(self.tap("/two/Conv", x + self.norm3(self.two(y)))))
        return self.last(x.mean((2, 3)))


class Regression(Network):
    """One channel, one output; a residual with ReLU."""

    size = (1, 13, 11)

    def __init__(self, seed=1):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 8, 5, 2, 2), nn.Conv2d(8, 8, 3, 1, 1)
        self.last = nn.Linear(8, 1)
        self.prepare(seed)

    def logits(self, x):
        x = self.tap("/first/Conv", F.relu(self.first(x)))
        x = self.tap("/second/Conv", F.relu(x + self.second(x)))
        return self.last(x.mean((2, 3)))


class Wide(Network):
    """As wide as Winograd's algorithm is used from, with max pools: in the first, windows of one tile; in the second,
    windows across tiles."""

    size = (3, 40, 40)

    def __init__(self, seed=5, channels=64):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, channels, 3, padding=1), nn.Conv2d(channels, channels, 3, padding=1)
        self.third, self.last = nn.Conv2d(channels, channels, 3, padding=1), nn.Linear(channels, 5)
        self.prepare(seed)

    def logits(self, x):
        x = F.max_pool2d(F.relu(self.second(F.relu(self.first(x)))), 2)
        x = F.max_pool2d(F.relu(self.third(x)), 3, 2, 1)
        return self.last(x.mean((2, 3)))


NETWORKS = (Plain, Residual, Regression)


# ---- Noise ---------------------------------------------------------------------


def philox(counter, key):
    """Philox4x32-10 (Salmon et al. 2011): four words for each counter (..., 4), with a key of two words."""
    c = [np.asarray(counter)[..., i].astype(np.uint64) for i in range(4)]
    k, low = [int(word) for word in key], np.uint64(0xFFFFFFFF)
    for _ in range(10):
        a, b = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [b >> np.uint64(32) ^ c[1] ^ np.uint64(k[0]), b & low, a >> np.uint64(32) ^ c[3] ^ np.uint64(k[1]), a & low]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return np.stack(c, -1).astype(np.uint32)


def normals(x, seed, sample):
    """The standard normal numbers of one sample of a picture, float32."""
    digest = int.from_bytes(hashlib.sha256(x.astype("<f4").tobytes()).digest()[:8], "little")
    groups = (x.size + 3) // 4
    counter = np.zeros((groups, 4), np.uint64)
    counter[:, 0], counter[:, 1] = np.arange(groups), sample
    counter[:, 2], counter[:, 3] = seed & 0xFFFFFFFF, seed >> 32
    words = philox(counter, (digest & 0xFFFFFFFF, digest >> 32)).astype(np.float64).reshape(-1, 2)
    u = (np.floor(words[:, 0] / 512) + 0.5) / 2.0**23
    t = np.floor(words[:, 1] / 256) / 2.0**24
    pair = np.sqrt(-2 * np.log(u))[:, None] * np.stack([np.cos(2 * np.pi * t), np.sin(2 * np.pi * t)], 1)
    return pair.reshape(-1)[: x.size].reshape(x.shape).astype(np.float32)


def noisy(x, samples, noise, seed):
    """(samples, C, H, W) float32: the inputs of the network."""
    deviation = np.float32(noise * (float(x.max()) - float(x.min())))
    return np.stack([(x + np.float64(deviation) * normals(x, seed, k)).astype(np.float32) for k in range(samples)])


# ---- Methods -------------------------------------------------------------------


def explained(net, x, target, probability):
    """The explained score as a function of logits (N, outputs). The output is chosen once, at the picture itself. A
    margin is over the best of the other outputs, which is looked up at each point."""

    def values(logits):
        return net.probabilities(logits) if probability else logits

    order = values(net.logits(as_batch(x)))[0].argsort(descending=True)
    if target == "mean":
        return lambda logits: values(logits).mean(1)
    chosen = int(target[6:]) if target.startswith("index:") else int(order[0])
    if target != "margin":
        return lambda logits: values(logits)[:, chosen]

    def margin(logits):
        v = values(logits)
        return v[:, chosen] - torch.cat([v[:, :chosen], v[:, chosen + 1:]], 1).max(1).values

    return margin


def as_batch(x):
    return torch.from_numpy(np.asarray(x, np.float64)[None] if x.ndim == 3 else np.asarray(x, np.float64))


def moves(x):
    """A direction in input space, and its opposite, to move points along. Where rounding could turn a ReLU or change the
    choice of a max pool, one of the two does, and the attribution changes visibly."""
    # Flat pictures stay flat: that a max pool takes the first of equals is part of the definition.
    shape = (len(x), 1, 1) if x.min() == x.max() else x.shape
    direction = np.broadcast_to(np.random.RandomState(0).standard_normal(shape), x.shape)
    return direction, -direction


def moved(points, x, move):
    """As far as rounding reaches, which depends on the largest number that takes part."""
    return points + MOVE * max(np.abs(points).max(), np.abs(x).max()) * move


def gradients(net, score, points):
    points = as_batch(points).requires_grad_(True)
    return torch.autograd.grad(score(net.logits(points)).sum(), points)[0].numpy()


def path(steps, quadrature):
    """Points between 0 and 1, and their weights."""
    if quadrature == "gauss-legendre":
        points, weights = np.polynomial.legendre.leggauss(steps)
        return (points + 1) / 2, weights / 2
    weights = np.full(steps, 1.0 / (steps - 1))
    weights[[0, -1]] /= 2
    return np.linspace(0, 1, steps), weights


def baseline_of(x, kind):
    """kind: a word of --baseline, for pictures with --preset raw, or a number."""
    if kind == "mean":
        return np.broadcast_to(x.astype(np.float64).mean((1, 2), keepdims=True), x.shape)
    if kind == "blur":
        sigma = min(x.shape[1:]) / 8.0
        return np.stack([ndimage.gaussian_filter(plane.astype(np.float64), sigma) for plane in x])
    return np.full(x.shape, {"zero": 0.0, "black": 0.0, "white": 255.0}.get(kind, kind))


def cam(net, score, point, method, layer):
    logits = net.logits(as_batch(point).requires_grad_(True))
    values = net.taps[layer]
    slopes = torch.autograd.grad(score(logits).sum(), values)[0]
    if method == "grad-cam":
        slopes = slopes.mean((2, 3), keepdim=True)
    elif method == "layer-cam":
        slopes = slopes.clamp(min=0)
    return (slopes * values).sum(1).clamp(min=0)[0].detach().numpy()[None]


def attribution(net, x, method, target="predicted", probability=False, samples=25, noise=0.15, seed=0, steps=50,
                quadrature="gauss-legendre", baseline="zero", layer=None, move=0.0):
    """Of x (C, H, W) float32: (C, H, W) in double precision, or (1, h, w) of a layer. move: see moves()."""
    score = explained(net, x, target, probability)
    if method in CAMS:
        return cam(net, score, moved(x[None], x, move)[0], method, layer or list(net.taps)[-1])
    if method == "integrated-gradients":
        start = baseline_of(x, baseline)
        shares, weights = path(steps, quadrature)
        points = start + shares[:, None, None, None] * (x - start)
        return (x - start) * np.tensordot(weights, gradients(net, score, moved(points, x, move)), 1)
    if method in NOISY:
        found = gradients(net, score, moved(noisy(x, samples, noise, seed), x, move))
        return {"smoothgrad": found.mean, "vargrad": found.var, "smoothgrad-squared": (found**2).mean}[method](0)
    found = gradients(net, score, moved(x[None], x, move))[0]
    return found * x if method == "input-x-gradient" else found


def gained(net, x, baseline="zero", target="predicted", probability=False):
    """What the explained score gains from the baseline to the picture."""
    score = explained(net, x, target, probability)
    ends = [float(score(net.logits(as_batch(end)))[0]) for end in (x, baseline_of(x, baseline))]
    return ends[0] - ends[1]


def off(found, expected):
    """Relative L2 distance; next to zeros, as good as the absolute one. NaN stays NaN: compare with <=."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    if found.shape != expected.shape:
        return float("nan")
    return float(np.linalg.norm(found - expected) / max(np.linalg.norm(expected), 1e-12))


def normalised(m):
    """To 0..1."""
    return (m - m.min()) / (m.max() - m.min())


def enlarged(attribution, height, width):
    """Bilinear, half-pixel centres."""
    return F.interpolate(torch.from_numpy(attribution.astype(np.float64))[None], (height, width), mode="bilinear",
                         align_corners=False)[0, 0].numpy()
