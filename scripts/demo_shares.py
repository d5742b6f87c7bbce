#!/usr/bin/env python3
"""Where the two demo networks look: share of salmap's smoothed maps on label, scale and background.

demo_shares.py SALMAP [--check FACTOR] [--device DEVICE] [--precision PRECISION] [--data FOLDER]

Runs `salmap explain --normalize none` (the default smoothing, no stretching to 0..1) on the sample pictures with
both networks and adds up each map inside the ground-truth masks. Prints a Markdown table of means over the
pictures. With --check the exit status is 1 unless the shortcut network's share on the label is FACTOR times the
honest one's and the honest network prefers the scale to the background for their areas.
"""

import argparse
import csv
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATA = next((f for f in (ROOT / "data", ROOT / "share/salmap") if f.is_dir()), ROOT)  # of the repository, or of a bundle
NETWORKS = ("honest", "shortcut")
BACKGROUND, LABEL = 0, 4
SCALE = (1, 2, 5)  # anterior field, annuli, posterior field: see data/README.md
ANNULI = 2


def pictures(data):
    """Rows of labels.csv with the paths made absolute."""
    folder = data / "scales"
    with open(folder / "labels.csv", newline="") as f:
        for row in csv.DictReader(f):
            yield (folder / row["path"]).resolve(), (folder / row["mask"]).resolve()


def shares(saliency, mask_path):
    """Shares of a map's sum, and of the area, in the classes of a mask."""
    height, width = saliency.shape
    mask = np.asarray(Image.open(mask_path).resize((width, height), Image.NEAREST))
    regions = {
        "label": mask == LABEL,
        "scale": np.isin(mask, SCALE),
        "annuli": mask == ANNULI,
        "background": mask == BACKGROUND,
    }
    total = saliency.sum()
    return {name: (float(saliency[m].sum() / total), float(m.mean())) for name, m in regions.items()}


def measure(salmap, data, network, folder, options):
    """Mean over the pictures of shares(), with the network's maps written to folder."""
    rows = list(pictures(data))
    subprocess.run(
        [salmap, "explain", str(data / "models" / f"scale_age_{network}.onnx"), *(str(p) for p, _ in rows),
         "-o", folder, "--normalize", "none", "--quiet", *options],
        check=True, stdout=subprocess.DEVNULL)
    results = [shares(np.load(pathlib.Path(folder) / (p.stem + ".npy")).astype(float), m) for p, m in rows]
    return {name: np.mean([r[name] for r in results], axis=0) for name in results[0]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("salmap", help="the program")
    parser.add_argument("--check", type=float, metavar="FACTOR")
    parser.add_argument("--device", help="as salmap's option")
    parser.add_argument("--precision", help="likewise")
    parser.add_argument("--data", type=pathlib.Path, default=DATA, help="with models/, scales/ and masks/")
    args = parser.parse_args()
    options = [f"--{name}={value}" for name in ("device", "precision") if (value := getattr(args, name))]
    results = {}
    for network in NETWORKS:
        with tempfile.TemporaryDirectory() as folder:
            results[network] = measure(args.salmap, args.data, network, folder, options)
    print("| share of the map on | honest | shortcut | share of the area |")
    print("|---|---|---|---|")
    for name in results["honest"]:
        print(f"| {name} | {100 * results['honest'][name][0]:.1f} % | {100 * results['shortcut'][name][0]:.1f} % "
              f"| {100 * results['honest'][name][1]:.1f} % |")
    factor = results["shortcut"]["label"][0] / results["honest"]["label"][0]
    print(f"\nThe shortcut network's maps lie {factor:.1f} times as much on the label as the honest network's.")
    if args.check is None:
        return 0
    scale, background = results["honest"]["scale"], results["honest"]["background"]
    told_apart = factor >= args.check and scale[0] / scale[1] > background[0] / background[1]
    return 0 if told_apart else 1


if __name__ == "__main__":
    sys.exit(main())
