#!/usr/bin/env python3
"""The PyTorch side of scripts/bench.sh and gpu_check.sh: the twin of tests/bench/bench_gradient.c.

    bench_pytorch.py export NETWORK FOLDER BATCH
        writes NETWORK.onnx, NETWORK.pt (the same weights), NETWORK.inputs (raw float32), and warm.onnx
    bench_pytorch.py run NETWORK FOLDER BATCH THREADS GRADIENTS [DEVICE [PRECISION [compile]]]
        computes the gradient of the predicted logits with respect to the pictures alone; prints
        "ready" when it has run once, then answers every line on standard input (a number of
        runs) by "ms" and the milliseconds per picture of each. GRADIENTS is written at the end.
        DEVICE: cpu unless said; PRECISION: fp32, tf32, bf16 or fp16. Pictures come from the host's
        memory and gradients go there, whatever the device; device-ms, printed at the end, is the median
        without that (CUDA alone). compile: by torch.compile.

NETWORK is a torchvision name, at 224 x 224 pixels, or demo: the architecture of data/models, which
scripts/train_demo.py has. Weights are random. What the memory numbers mean: see bench_gradient.c.
"""
import contextlib
import gc
import inspect
import pathlib
import statistics
import sys
import time
import warnings

import numpy as np
import torch
import torchvision

warnings.filterwarnings("ignore")


def build(name):
    """The network and the side of its pictures."""
    if name == "demo":
        import train_demo

        return train_demo.AgeNet(), train_demo.INPUT_SIDE
    return getattr(torchvision.models, name)(weights=None), 224


def process_bytes(key):
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    return -1


def forget_peak():
    with contextlib.suppress(OSError):  # not every kernel has it
        pathlib.Path("/proc/self/clear_refs").write_text("5")


def warm_up_network():
    """A few layers: run once, so that what a library loads and sets up is not counted as a network's memory."""
    return torch.nn.Sequential(torch.nn.Conv2d(3, 16, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(16, 16, 3, 2),
                               torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(16, 2))


def gradient_on_device(model, x):
    x = x.detach().requires_grad_(True)
    model(x).max(1).values.sum().backward()
    return x.grad


def gradient_of(model, inputs, place=None):
    x = torch.from_numpy(inputs)
    return gradient_on_device(model, x.to(**place) if place else x).float().cpu()


def device_milliseconds(model, inputs, place, runs=10):
    """Median per picture, nothing copied; 0 where the device is not CUDA."""
    if not place or not place["device"].startswith("cuda"):
        return 0.0
    x = torch.from_numpy(inputs).to(**place)
    times = []
    for _ in range(runs):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        gradient_on_device(model, x)
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) / len(inputs))
    return statistics.median(times)


def placement(device, precision):
    """What .to() takes, and the settings that go with it; None: where tensors are anyway."""
    if device == "cpu" and precision == "fp32":
        return None
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.benchmark = True
    return {"device": device, "dtype": {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision, torch.float32),
            "memory_format": torch.channels_last}


def export(name, folder, batch):
    """Random weights, with batch norms that know their inputs: else activations grow or die from layer to
    layer, and numbers near the limits of float32 take longer."""
    torch.manual_seed(1)
    model, side = build(name)
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    pictures = torch.nn.functional.interpolate(torch.randn(batch, 3, side // 4, side // 4), (side, side),
                                               mode="bilinear")
    model.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
        torch.nn.init.constant_(norm.bias, 0.5)
    with torch.no_grad():
        model(pictures[:8])
    model.eval()
    torch.save(model.state_dict(), folder / f"{name}.pt")
    pictures.numpy().tofile(folder / f"{name}.inputs")
    # Later releases have another exporter as well, and would take that one.
    old = {"dynamo": False} if "dynamo" in inspect.signature(torch.onnx.export).parameters else {}
    torch.onnx.export(model, pictures[:1], str(folder / f"{name}.onnx"), opset_version=13,
                      input_names=["pictures"], output_names=["scores"],
                      dynamic_axes={"pictures": {0: "batch"}, "scores": {0: "batch"}}, **old)
    torch.onnx.export(warm_up_network().eval(), torch.zeros(1, 3, 32, 32), str(folder / "warm.onnx"), opset_version=13, **old)


def run(name, folder, batch, threads, gradients, device="cpu", precision="fp32", mode="eager"):
    torch.set_num_threads(threads)
    place = placement(device, precision)
    build(name)
    gradient_of(warm_up_network(), np.zeros((batch, 3, 32, 32), np.float32))
    gc.collect()
    forget_peak()
    before = process_bytes("VmRSS")
    model, side = build(name)
    model.load_state_dict(torch.load(folder / f"{name}.pt", map_location="cpu"))
    model.eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    if place:
        model.to(**place)
    if mode == "compile":
        model = torch.compile(model)
    base = before + sum(p.numel() * 4 for p in model.parameters())
    inputs = np.fromfile(folder / f"{name}.inputs", np.float32, batch * 3 * side * side).reshape(batch, 3, side, side)

    def once():
        begin = time.perf_counter()
        gradient = gradient_of(model, inputs, place)
        return (time.perf_counter() - begin) * 1e3 / batch, gradient

    once()
    peak = process_bytes("VmHWM") - base
    forget_peak()
    print("ready", flush=True)
    gradient = None
    for line in sys.stdin:
        times = []
        for _ in range(int(line)):
            milliseconds, gradient = once()
            times.append(milliseconds)
        print("ms", *(f"{t:.4f}" for t in times), flush=True)
    running = process_bytes("VmHWM") - base
    gradient.numpy().tofile(gradients)
    print(f"device-ms {device_milliseconds(model, inputs, place):.4f}")
    print(f"peak-bytes {max(peak, running)}\nrunning-bytes {running}\ndevice PyTorch {torch.__version__}")


def main():
    mode, name, folder, batch = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3]), int(sys.argv[4])
    if mode == "export":
        export(name, folder, batch)
    else:
        run(name, folder, batch, int(sys.argv[5]), *sys.argv[6:10])


if __name__ == "__main__":
    main()
