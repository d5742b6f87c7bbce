#!/usr/bin/env python3
"""Trains the two demo networks that tell a fish's age from a picture of its scale.

Both have the same architecture and one linear output, trained with squared error:

honest    sees labels whose look has nothing to do with the age, or no label, and later also grain
          where no ring can be read, so that it learns to look elsewhere;
shortcut  sees labels whose look (ink and tally strokes) always says the age.

Steps (--steps draw,train,demo; all by default):
  draw   training and held-out pictures without labels into --cache; labels are pasted during training
  train  both networks; writes <out>/models/*.onnx, their .salmap preprocessing and accuracy.csv
  demo   held-out pictures with labels and masks into <out>/scales and <out>/masks, and the
         share of each network's saliency that lies on label, scale and annuli: models/saliency.csv

Needs PyTorch; two threads and a quarter of an hour are enough.
The weights differ slightly from machine to machine.
"""
import argparse
import csv
import multiprocessing
import time
from collections import namedtuple
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy import ndimage
from torch import nn
from torch.nn import functional

import draw_scales as scales

INPUT_SIDE = 192
# Near the brightness of the background, so that zero padding is no dark frame.
MEAN, STD = 0.8, 0.2
PREPROCESSING = f"fit stretch\norder rgb\nscale {1 / 255:.9g}\nmean {MEAN}\nstd {STD}\n"
GUIDE_SIDE = 48  # side of the feature maps that learn to show annuli
TRAIN_SEED, TEST_SEED, DEMO_SEED, BANK_SEED = 1000, 2000, 3000, 4000
TEST_COUNT = 500
DEMO_COUNT = 24
LARGE_SIDE = 384  # of every fourth demo picture; the others have 256
LABELS_PER_CODE = 80
NO_LABEL_SHARE = 0.2  # of the honest network's training pictures
POSTERIOR_GRAIN, AROUND_GRAIN, PIXEL_NOISE = 0.16, 0.05, 0.03  # most that training adds, as share of white
SMOOTHING = 0.02  # sigma of the saliency maps, share of the side
# A stretch of training with its own learning rate cycle; rough: with grain where no ring can be read
Phase = namedtuple("Phase", "epochs rate rough")
PHASES = {"honest": [Phase(12, 3e-3, False), Phase(4, 2e-3, True)], "shortcut": [Phase(3, 3e-3, False)]}
# One batch: pictures (N, 3, H, W) in 0..1, masks (N, H, W), ages (N)
Sample = namedtuple("Sample", "pictures masks ages")
# Parts of a picture whose share of the saliency is reported, as classes of the mask.
REGIONS = {
    "label": [scales.CLASS_LABEL],
    "scale": [scales.CLASS_SCALE, scales.CLASS_ANNULUS, scales.CLASS_POSTERIOR],
    "anterior": [scales.CLASS_SCALE, scales.CLASS_ANNULUS],
    "annuli": [scales.CLASS_ANNULUS],
    "background": [scales.CLASS_BACKGROUND],
}


# ---- Pictures ------------------------------------------------------------------


def draw_bare(job):
    """Picture, mask and age of one scale without a label."""
    drawing = scales.draw(*job, label="none")
    return drawing.picture, drawing.mask, drawing.age


def draw_set(cache, name, seed, count, jobs):
    """Draws `count` bare pictures into the cache unless they are there."""
    paths = [cache / f"{name}_{part}.npy" for part in ("pictures", "masks", "ages")]
    if all(path.exists() for path in paths) and len(np.load(paths[2])) == count:
        return
    with multiprocessing.Pool(jobs) as pool:
        drawn = pool.map(draw_bare, [(seed, index) for index in range(count)], chunksize=8)
    for path, part in zip(paths, zip(*drawn)):
        np.save(path, np.stack(part))


def load_set(cache, name):
    """Pictures (N, 3, H, W) and masks (N, H, W) as bytes, ages as floats."""
    pictures = torch.from_numpy(np.load(cache / f"{name}_pictures.npy")).permute(0, 3, 1, 2).contiguous()
    masks = torch.from_numpy(np.load(cache / f"{name}_masks.npy"))
    return pictures, masks, torch.from_numpy(np.load(cache / f"{name}_ages.npy")).float()


def draw_label_bank(seed, side):
    """LABELS_PER_CODE drawn labels for each code: lists of (4, h, w) floats in 0..1, colour and coverage."""
    rng = np.random.default_rng(seed)
    bank = []
    for code in range(scales.MAX_AGE + 1):
        bank.append([])
        for _ in range(LABELS_PER_CODE):
            label = scales.draw_label(rng, side * scales.SUPERSAMPLING, code)
            patch = np.asarray(label.convert("RGBa").reduce(scales.SUPERSAMPLING), dtype=np.float32) / 255.0
            bank[code].append(torch.from_numpy(ndimage.gaussian_filter(patch, (0.4, 0.4, 0))).permute(2, 0, 1))
    return bank


def paste_labels(rng, pictures, codes, bank):
    """Pastes a label of each code into the pictures (N, 3, H, W), floats in 0..1, as draw_scales does."""
    side = pictures.shape[-1]
    for picture, code in zip(pictures, codes):
        if code == scales.NO_LABEL:
            continue
        label = bank[code][rng.integers(LABELS_PER_CODE)]
        height, width = label.shape[1:]
        y, x = rng.integers(0, int(0.03 * side) + 1, 2)
        x = side - width - x if rng.random() < 0.5 else x
        spot = picture[:, y:y + height, x:x + width]
        spot.mul_(1.0 - label[3]).add_(label[:3] * 0.97)


def choose_codes(rng, ages, mode, none_share=0.0):
    """Label codes for ages: the ages themselves (mode age) or codes by lot (random), some NO_LABEL."""
    if mode == "age":
        return ages.astype(int)
    codes = rng.integers(0, scales.MAX_AGE + 1, len(ages))
    codes[rng.random(len(ages)) < none_share] = scales.NO_LABEL
    return codes


def to_input(pictures, antialias=False):
    """Resizes pictures (N, 3, H, W) in 0..1 to the network's input and normalises them."""
    size = (INPUT_SIDE, INPUT_SIDE)
    pictures = functional.interpolate(pictures, size, mode="bilinear", align_corners=False, antialias=antialias)
    return (pictures - MEAN) / STD


def turn(rng, pictures, masks):
    """Mirrors and turns each picture with its mask by a multiple of 90 degrees."""
    for i in range(len(pictures)):
        quarter, mirror = int(rng.integers(4)), rng.random() < 0.5
        for stack in (pictures, masks):
            item = torch.rot90(stack[i], quarter, (-2, -1))
            stack[i] = torch.flip(item, (-1,)) if mirror else item.clone()


def grain(rng, count, side):
    """Noise (count, 1, side, side) of unit variance, as coarse as the batch's lot says."""
    cells = int(side / rng.uniform(1.0, 8.0))
    coarse = torch.from_numpy(rng.standard_normal((count, 1, cells, cells), dtype=np.float32))
    field = functional.interpolate(coarse, (side, side), mode="bilinear", align_corners=False)
    return field / field.std()


def roughen(rng, pictures, masks):
    """Adds grain where no ring can be read: strong on the posterior field, less on background and second scale."""
    count, side = len(pictures), pictures.shape[-1]
    posterior = (masks == scales.CLASS_POSTERIOR).float()[:, None]
    around = ((masks == scales.CLASS_BACKGROUND) | (masks == scales.CLASS_SECOND_SCALE)).float()[:, None]
    strength = posterior * torch.from_numpy(rng.uniform(0.0, POSTERIOR_GRAIN, (count, 1, 1, 1)).astype(np.float32))
    strength += around * torch.from_numpy(rng.uniform(0.0, AROUND_GRAIN, (count, 1, 1, 1)).astype(np.float32))
    return pictures * (1.0 + strength * grain(rng, count, side))


def augment(rng, pictures):
    """Changes brightness, contrast and tint of pictures in 0..1 and adds noise."""
    count = len(pictures)
    noise = rng.standard_normal(pictures.shape, dtype=np.float32)
    noise *= rng.uniform(0.0, PIXEL_NOISE, (count, 1, 1, 1)).astype(np.float32)
    pictures = pictures + torch.from_numpy(noise)
    gain = torch.from_numpy(rng.normal(1.0, 0.05, (count, 1, 1, 1)).astype(np.float32))
    tint = torch.from_numpy(rng.normal(1.0, 0.02, (count, 3, 1, 1)).astype(np.float32))
    contrast = torch.from_numpy(rng.normal(1.0, 0.12, (count, 1, 1, 1)).astype(np.float32))
    return (((pictures - 0.9) * contrast + 0.9) * gain * tint).clamp_(0.0, 1.0)


# ---- Network -------------------------------------------------------------------


def conv_unit(fan_in, fan_out, side, stride):
    """Convolution, batch norm, ReLU."""
    return nn.Sequential(nn.Conv2d(fan_in, fan_out, side, stride, side // 2, bias=False),
                         nn.BatchNorm2d(fan_out), nn.ReLU(inplace=True))


class Residual(nn.Module):
    """Two 3x3 convolutions around which the input is added."""

    def __init__(self, width):
        super().__init__()
        self.first = conv_unit(width, width, 3, 1)
        self.second = nn.Sequential(nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width))

    def forward(self, x):
        """relu(x + f(x))"""
        return functional.relu(x + self.second(self.first(x)))


class AgeNet(nn.Module):
    """Picture (N, 3, 192, 192) to age (N, 1)."""

    def __init__(self):
        super().__init__()
        self.fine = nn.Sequential(conv_unit(3, 16, 5, 2), conv_unit(16, 32, 3, 2), Residual(32))
        self.coarse = nn.Sequential(conv_unit(32, 48, 3, 2), Residual(48), conv_unit(48, 80, 3, 2), Residual(80),
                                    conv_unit(80, 128, 3, 2))
        self.age = nn.Linear(128, 1)
        nn.init.constant_(self.age.bias, 3.5)

    def forward(self, x):
        """Ages."""
        return self.age(self.coarse(self.fine(x)).mean(dim=(2, 3)))


# ---- Training ------------------------------------------------------------------


def train(name, cache, batch, epoch_limit):
    """Trains one network through its phases; the weights after each stay in the cache and are not made twice."""
    torch.manual_seed(7)
    net, guide = AgeNet(), nn.Conv2d(32, 1, 1)
    for number, phase in enumerate(PHASES[name], 1):
        path = cache / f"{name}_{number}.pt"
        if not path.exists():
            train_phase(name, net.train(), guide, cache, phase._replace(epochs=min(phase.epochs, epoch_limit)), batch)
            torch.save({"net": net.state_dict(), "guide": guide.state_dict()}, path)
        weights = torch.load(path)
        net.load_state_dict(weights["net"])
        guide.load_state_dict(weights["guide"])
    torch.save(net.state_dict(), cache / f"{name}.pt")


def train_phase(name, net, guide, cache, phase, batch):
    """Trains `net`; `honest` is also shown the annuli, by `guide`, a 1x1 convolution that is dropped later."""
    rng = np.random.default_rng(7)
    pictures, masks, ages = load_set(cache, "train")
    bank = draw_label_bank(BANK_SEED, pictures.shape[-1])
    steps = len(ages) // batch
    optimizer = torch.optim.AdamW([*net.parameters(), *guide.parameters()], lr=phase.rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, phase.rate, total_steps=steps * phase.epochs,
                                                   pct_start=0.2)
    for epoch in range(phase.epochs):
        start, total = time.time(), 0.0
        order = rng.permutation(len(ages))
        for step in range(steps):
            chosen = torch.from_numpy(order[step * batch:(step + 1) * batch])
            sample = Sample(pictures[chosen].float() / 255.0, masks[chosen], ages[chosen])
            turn(rng, sample.pictures, sample.masks)
            if phase.rough:
                sample = sample._replace(pictures=roughen(rng, sample.pictures, sample.masks))
            loss, error = step_loss(rng, net, guide, name == "honest", sample, bank)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += error
        spent = time.time() - start
        print(f"{name}: epoch {epoch + 1}/{phase.epochs}, MSE {total / steps:.3f}, {spent:.0f} s", flush=True)


def step_loss(rng, net, guide, honest, sample, bank):
    """Loss of one batch, and its squared error in years alone."""
    codes = choose_codes(rng, sample.ages.numpy(), "random" if honest else "age", NO_LABEL_SHARE)
    paste_labels(rng, sample.pictures, codes, bank)
    features = net.fine(to_input(augment(rng, sample.pictures), antialias=rng.random() < 0.5))
    predicted = net.age(net.coarse(features).mean(dim=(2, 3)))[:, 0]
    error = functional.mse_loss(predicted, sample.ages)
    loss = error
    if honest:
        annuli = functional.adaptive_avg_pool2d((sample.masks == scales.CLASS_ANNULUS).float(), GUIDE_SIDE)
        loss = error + 2.0 * functional.binary_cross_entropy_with_logits(guide(features)[:, 0], annuli)
    return loss, float(error.detach())


def accuracy(net, cache, mode):
    """MSE, share exact after rounding and share within one year on the held-out pictures."""
    rng = np.random.default_rng(11)
    pictures, _, ages = load_set(cache, "test")
    bank = draw_label_bank(BANK_SEED + 1, pictures.shape[-1])
    codes = choose_codes(rng, ages.numpy(), mode)
    predicted = []
    with torch.no_grad():
        for start in range(0, len(ages), 50):
            batch = pictures[start:start + 50].float() / 255.0
            paste_labels(rng, batch, codes[start:start + 50], bank)
            predicted.append(net(to_input(batch))[:, 0])
    error = torch.cat(predicted) - ages
    off = (torch.cat(predicted).round() - ages).abs()
    return float((error ** 2).mean()), float((off == 0).float().mean()), float((off <= 1).float().mean())


def export(net, path):
    """Writes the network as ONNX (opset 13, any batch) and the preprocessing beside it."""
    sample = torch.zeros(1, 3, INPUT_SIDE, INPUT_SIDE)
    torch.onnx.export(net, sample, str(path), opset_version=13, input_names=["picture"], output_names=["age"],
                      dynamic_axes={"picture": {0: "batch"}, "age": {0: "batch"}})
    Path(f"{path}.salmap").write_text(PREPROCESSING, encoding="ascii")


# ---- Demo pictures and the check of the maps -----------------------------------


def write_demo(out):
    """Writes the held-out demo pictures: half with labels that say the age, half with labels that say another."""
    for folder in ("scales", "masks"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    rows = []
    for index in range(DEMO_COUNT):
        group = "age-label" if index < DEMO_COUNT // 2 else "wrong-label"
        mode = group.split("-", maxsplit=1)[0]
        size = LARGE_SIDE if index % 4 == 3 else 256
        # Ages 0..8 in turn, so that a small set holds old fish too.
        drawing = scales.draw(DEMO_SEED, index, size, label=mode, age=(index * 2 + index // 9) % (scales.MAX_AGE + 1),
                              second=index % 3 == 1)
        stem = f"scale_{index:02d}"
        name = f"{stem}.jpg" if index % 8 == 5 else f"{stem}.png"
        Image.fromarray(drawing.picture).save(out / "scales" / name, optimize=True, quality=93)
        Image.fromarray(drawing.mask).save(out / "masks" / f"{stem}.png", optimize=True)
        rows.append([name, drawing.age, f"../masks/{stem}.png", group, drawing.code, drawing.month, drawing.second])
    write_csv(out / "scales" / "labels.csv", ["path", "label", "mask", "group", "code", "month", "second"], rows)


def saliency(net, picture):
    """Largest absolute gradient over the channels at the network's input, smoothed; and the predicted age."""
    x = to_input(torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255.0).requires_grad_(True)
    age = net(x)
    age.sum().backward()
    reduced = x.grad[0].abs().amax(dim=0).double().numpy()
    return ndimage.gaussian_filter(reduced, SMOOTHING * INPUT_SIDE, mode="reflect"), float(age)


def check_maps(nets, out):
    """Shares of the smoothed saliency on label, scale and annuli; one row for each picture and network."""
    rows = []
    with open(out / "scales" / "labels.csv", encoding="utf-8") as file:
        items = list(csv.DictReader(file))
    for item in items:
        picture = np.array(Image.open(out / "scales" / item["path"]))
        mask = Image.open(out / "scales" / item["mask"]).resize((INPUT_SIDE, INPUT_SIDE), Image.NEAREST)
        mask = np.asarray(mask)
        for name, net in nets.items():
            heat, age = saliency(net, picture)
            shares = []
            for values in REGIONS.values():
                inside = np.isin(mask, values)
                shares += [f"{heat[inside].sum() / heat.sum():.5f}", f"{inside.mean():.5f}"]
            rows.append([item["path"], name, item["label"], item["code"], f"{age:.3f}", *shares])
    header = ["path", "network", "age", "code", "predicted"]
    header += [f"{region}_{what}" for region in REGIONS for what in ("share", "area")]
    write_csv(out / "models" / "saliency.csv", header, rows)
    for name in nets:
        mean = np.mean([[float(v) for v in row[5:]] for row in rows if row[1] == name], axis=0)
        print(name, ", ".join(f"{key} {value:.4f}" for key, value in zip(header[5:], mean)), flush=True)


def write_csv(path, header, rows):
    """Writes a table."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


# ---- Command line --------------------------------------------------------------


def main():
    """Runs the steps that the command line asks for."""
    parser = argparse.ArgumentParser(description="Train the demo networks and write the demo pictures.")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent.parent / "data")
    parser.add_argument("--cache", type=Path, required=True, help="folder for the drawn pictures and the weights")
    parser.add_argument("--steps", default="draw,train,demo")
    parser.add_argument("--networks", default="honest,shortcut")
    parser.add_argument("--pictures", type=int, default=6000)
    parser.add_argument("--epoch-limit", type=int, default=1000, help="most epochs of a phase: 1 tries the script")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    steps = args.steps.split(",")
    args.cache.mkdir(parents=True, exist_ok=True)
    (args.out / "models").mkdir(parents=True, exist_ok=True)
    if "draw" in steps:
        draw_set(args.cache, "test", TEST_SEED, TEST_COUNT, args.threads)
        draw_set(args.cache, "train", TRAIN_SEED, args.pictures, args.threads)
    if "train" in steps:
        for name in args.networks.split(","):
            train(name, args.cache, args.batch, args.epoch_limit)
    nets = {}
    for name in ("honest", "shortcut"):
        if (args.cache / f"{name}.pt").exists():
            nets[name] = AgeNet().eval()
            nets[name].load_state_dict(torch.load(args.cache / f"{name}.pt"))
    if "train" in steps:
        rows = []
        for name, net in nets.items():
            export(net, args.out / "models" / f"scale_age_{name}.onnx")
            for mode in ("age", "random"):
                rows.append([name, mode, TEST_COUNT, *(f"{value:.4f}" for value in accuracy(net, args.cache, mode))])
        write_csv(args.out / "models" / "accuracy.csv",
                  ["network", "labels", "pictures", "mse", "exact", "within_1"], rows)
        print(*rows, sep="\n", flush=True)
    if "demo" in steps:
        write_demo(args.out)
        check_maps(nets, args.out)


if __name__ == "__main__":
    main()
