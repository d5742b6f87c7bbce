#!/usr/bin/env python3
"""The PyTorch side of scripts/bench_sweep.py: the loop over a folder that people write by hand today.

    bench_sweep_pytorch.py convert MODEL.onnx WEIGHTS.pt
        the weights of a network of data/models for the class that scripts/train_demo.py has
    bench_sweep_pytorch.py run WEIGHTS.pt FOLDER OUT THREADS
        a map NAME.npy and an overlay NAME.overlay.png in OUT for each picture of FOLDER, one picture after
        the other; prints the seconds that the imports took and those of all that came after

Gradients of the weights are switched off, which many such loops forget. Pictures become input as in training, in
float: Pillow's own resizing rounds to 8 bits, and that alone takes the cosine of two maps down to 0.997.
"""
import time

BEGIN = time.perf_counter()

import pathlib
import sys

import matplotlib
import numpy as np
import torch
from PIL import Image
from scipy import ndimage

import train_demo

IMPORTED = time.perf_counter()


def convert(model, weights):
    """The file has batch norms folded into convolutions: the class gets norms that do nothing but add."""
    import onnx
    import onnx.numpy_helper

    graph = onnx.load(model).graph
    tensors = {t.name: torch.from_numpy(onnx.numpy_helper.to_array(t).copy()) for t in graph.initializer}
    folded = [node.input[1:3] for node in graph.node if node.op_type == "Conv"]
    net = train_demo.AgeNet()
    convolutions = [m for m in net.modules() if isinstance(m, torch.nn.Conv2d)]
    norms = [m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    if not len(folded) == len(convolutions) == len(norms):
        raise ValueError(f"{model} is no network of scripts/train_demo.py")
    with torch.no_grad():
        for (kernel, bias), convolution, norm in zip(folded, convolutions, norms):
            convolution.weight.copy_(tensors[kernel])
            norm.bias.copy_(tensors[bias])
            norm.running_var.fill_(1.0 - norm.eps)
        net.age.weight.copy_(tensors["age.weight"])
        net.age.bias.copy_(tensors["age.bias"])
    torch.save(net.state_dict(), weights)


def run(weights, folder, out, threads):
    torch.set_num_threads(threads)
    net = train_demo.AgeNet().eval()
    net.load_state_dict(torch.load(weights))
    net.requires_grad_(False)
    colours = matplotlib.colormaps["viridis"]
    out.mkdir(parents=True)
    for path in sorted(folder.iterdir()):
        picture = Image.open(path).convert("RGB")
        samples = np.asarray(picture, np.float32) / 255.0
        x = train_demo.to_input(torch.from_numpy(samples.transpose(2, 0, 1).copy())[None], antialias=True)
        x.requires_grad_(True)
        scores = net(x)
        scores[0, scores.argmax()].backward()
        heat = x.grad[0].abs().amax(0).numpy()
        heat = ndimage.gaussian_filter(heat, train_demo.SMOOTHING * train_demo.INPUT_SIDE)
        heat = (heat - heat.min()) / (heat.max() - heat.min() + 1e-7)
        np.save(out / f"{path.stem}.npy", heat)
        large = np.asarray(Image.fromarray(heat).resize(picture.size, Image.BILINEAR))
        overlay = 0.5 * colours(large)[:, :, :3] + 0.5 * samples
        Image.fromarray((overlay * 255.0 + 0.5).astype(np.uint8)).save(out / f"{path.stem}.overlay.png")


def main():
    if sys.argv[1] == "convert":
        convert(*sys.argv[2:])
        return
    run(sys.argv[2], pathlib.Path(sys.argv[3]), pathlib.Path(sys.argv[4]), int(sys.argv[5]))
    print(f"imports {IMPORTED - BEGIN:.4f}\njob {time.perf_counter() - IMPORTED:.4f}")
    print(f"version PyTorch {torch.__version__}")


if __name__ == "__main__":
    main()
