#!/usr/bin/env python3
"""Writes the table of convolutions that tests/gpuless/test_planning.c has cuDNN plan: those of the torchvision
architectures that the whole-network tests run, at the size they are used at. Nothing is downloaded.

    make_conv_shapes.py OUT.csv

One row per distinct convolution; depthwise ones are left out, since the CUDA back end has kernels of its own for
them. Columns: channels, height, width, outputs, kernel, stride, padding and dilation (height and width each), groups,
and the first architecture that has it.
"""
import sys
import warnings

import torch
import torchvision

warnings.filterwarnings("ignore")

ARCHITECTURES = [
    "alexnet", "vgg16", "resnet18", "resnet50", "wide_resnet50_2", "resnext50_32x4d", "densenet121", "googlenet",
    "inception_v3", "squeezenet1_1", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "mnasnet1_0",
    "shufflenet_v2_x1_0", "efficientnet_b0", "efficientnet_v2_s", "regnet_x_400mf", "regnet_y_400mf", "convnext_tiny",
]  # fmt: skip
OPTIONS = {"googlenet": {"aux_logits": False, "init_weights": False}}
OPTIONS["inception_v3"] = OPTIONS["googlenet"]
SIZE = {"inception_v3": 299}


def shapes(name):
    found = []

    def note(module, inputs, output):
        depthwise = module.groups > 1 and module.groups == module.in_channels
        if not depthwise:
            found.append(
                (module.in_channels, *inputs[0].shape[2:], module.out_channels, *module.kernel_size, *module.stride)
                + (*module.padding, *module.dilation, module.groups)
            )

    model = torchvision.models.__dict__[name](weights=None, **OPTIONS.get(name, {})).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(note)
    with torch.no_grad():
        size = SIZE.get(name, 224)
        model(torch.zeros(1, 3, size, size))
    return found


def main():
    first = {}
    for name in ARCHITECTURES:
        for shape in shapes(name):
            first.setdefault(shape, name)
    with open(sys.argv[1], "w") as out:
        out.write("channels,height,width,outputs,kernel_h,kernel_w,stride_h,stride_w,pad_h,pad_w,")
        out.write("dilation_h,dilation_w,groups,first_seen_in\n")
        for shape in sorted(first):
            out.write(",".join(map(str, shape)) + "," + first[shape] + "\n")


if __name__ == "__main__":
    main()
