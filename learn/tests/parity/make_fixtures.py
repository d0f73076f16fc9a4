#!/usr/bin/env python3
"""Writes augment.safetensors: torchvision's results for drawn parameters, which `augment_parity.rs` compares ours with.

    pip install torch==2.7.1 torchvision==0.22.1 pillow numpy safetensors
    python learn/tests/parity/make_fixtures.py

Tensors:
  images     u8  [images, 3, 32, 32]
  parameters f32 [cases, 16]: image, top, left, height, width, flip, gray, first operation, its factor, second
             operation, ..., the number of the case's kind; an operation is 0 none, 1 brightness, 2 contrast,
             3 saturation, 4 hue; kinds are KINDS below
  positions  i16 [cases, 192]: the pixels compared, row * 32 + column (a sample keeps the file small)
  float      f32 [cases, 3, 192]: torchvision.transforms.v2.functional on a float tensor
  pil        u8  [cases, 3, 192]: the same on a PIL image, which rounds to bytes after each operation
"""

from pathlib import Path

import numpy
import torch
import torchvision.transforms.v2.functional as F
from PIL import Image
from safetensors.torch import save_file
from torchvision.transforms import InterpolationMode

SIDE, POSITIONS = 32, 192
KINDS = ["crop", "flip", "brightness", "contrast", "saturation", "hue", "gray", "all but hue", "all"]
WHOLE = (0, 0, SIDE, SIDE)


def make_images(random):
    """Noise, a smooth photo-like field, saturated colours, ties between channels, grays, a hard edge."""
    y, x = numpy.mgrid[0:SIDE, 0:SIDE] / (SIDE - 1)
    smooth = numpy.stack([0.5 + 0.5 * numpy.sin(3 * x + 5 * y), x * y, 1 - 0.7 * y])
    saturated = random.integers(0, 2, (3, SIDE, SIDE)) * 255
    ties = random.integers(0, 6, (3, SIDE, SIDE)) * 51
    grays = numpy.repeat(random.integers(0, 256, (1, SIDE, SIDE)), 3, 0)
    edge = numpy.where(x + 0.3 * y > 0.6, 230, 25)[None] * numpy.array([1, 0.6, 0.2])[:, None, None]
    noise = random.integers(0, 256, (3, SIDE, SIDE))
    return torch.tensor(numpy.stack([noise, smooth * 255, saturated, ties, grays, edge]).astype(numpy.uint8))


def make_cases(random, images):
    def crop():
        height, width = random.integers(6, SIDE + 1, 2)
        return (random.integers(0, SIDE - height + 1), random.integers(0, SIDE - width + 1), height, width)

    def jitter(operation):
        return (operation, random.uniform(-0.5, 0.5) if operation == 4 else random.uniform(0.2, 1.8))

    def any_image():
        return random.integers(0, images)

    extreme = [(0, 0, 1, 1), (31, 31, 1, 1), (5, 0, 1, 32), (0, 7, 32, 2)]
    cases = [("crop", any_image(), c, 0, [], 0) for c in extreme + [crop() for _ in range(6)]]
    cases += [("flip", any_image(), c, 1, [], 0) for c in [WHOLE, crop(), crop()]]
    for operation in range(1, 5):
        cases += [(KINDS[operation + 1], image, WHOLE, 0, [jitter(operation)], 0) for image in (0, 1, 3)]
    cases += [("hue", image, WHOLE, 0, [(4, turn)], 0) for image, turn in ((2, 0.5), (3, -0.5), (4, 0.1))]
    cases += [("gray", image, WHOLE, 0, [], 1) for image in (0, 1)]
    for kind in ["all but hue"] * 10 + ["all"] * 10:
        operations = [jitter(operation) for operation in random.permutation([1, 2, 3, 4])]
        if kind == "all but hue":
            operations = [(o, f) for o, f in operations if o != 4]
        # SimCLR's strengths: 0.4, 0.4, 0.4 and 0.1 of the circle.
        operations = [(o, 0.2 * f if o == 4 else 1 + 0.5 * (f - 1)) for o, f in operations]
        cases.append((kind, any_image(), crop(), random.integers(0, 2), operations, random.random() < 0.2))
    return cases


def apply(image, crop, flip, operations, gray):
    adjust = [None, F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue]
    top, left, height, width = (int(v) for v in crop)
    image = F.resized_crop(image, top, left, height, width, [SIDE, SIDE], InterpolationMode.BILINEAR, antialias=True)
    if flip:
        image = F.horizontal_flip(image)
    for operation, factor in operations:
        image = adjust[operation](image, float(numpy.float32(factor)))
    return F.rgb_to_grayscale(image, num_output_channels=3) if gray else image


def main():
    random = numpy.random.default_rng(20)
    images = make_images(random)
    rows, positions, floats, pils = [], [], [], []
    for kind, image, crop, flip, operations, gray in make_cases(random, len(images)):
        drawn = [value for operation in operations for value in operation] + [0] * (8 - 2 * len(operations))
        rows.append([image, *crop, flip, gray, *drawn, KINDS.index(kind)])
        at = torch.tensor(random.choice(SIDE * SIDE, POSITIONS, replace=False))
        positions.append(at)
        source = images[int(image)]
        floats.append(apply(source.float() / 255, crop, flip, operations, gray).flatten(1)[:, at])
        pil = apply(Image.fromarray(source.permute(1, 2, 0).numpy()), crop, flip, operations, gray)
        pils.append(torch.tensor(numpy.array(pil)).permute(2, 0, 1).flatten(1)[:, at])
    tensors = {
        "images": images,
        "parameters": torch.tensor(numpy.array(rows, dtype=numpy.float32)),
        "positions": torch.stack(positions).to(torch.int16),
        "float": torch.stack(floats),
        "pil": torch.stack(pils),
    }
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, Path(__file__).with_name("augment.safetensors"))


if __name__ == "__main__":
    main()
