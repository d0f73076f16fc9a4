"""Loads what Tandem exports, `classifier.safetensors` or `encoder.safetensors`, as an ordinary torch.nn.Module.

    pip install torch torchvision safetensors numpy
    python load.py classifier.safetensors

Tensors have torchvision's names. The card, JSON under the metadata key `tandem`, says what they belong to: `encoder`,
`head` (fully connected layers of a classifier), `classes`, and `preprocessing`, the scaling of pixels that are in [0, 1].
"""

import json
import sys

import torch
from safetensors import safe_open
from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet


class Thin(Bottleneck):
    """resnet-paper's block: a quarter of its channels inside; a smaller picture comes from a transition before it."""

    expansion = 1

    def __init__(self, inputs, channels, stride=1, *_, **__):
        super().__init__(channels, channels, base_width=16)
        smaller = nn.Conv2d(inputs, channels, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(), nn.AvgPool2d(2)
        self.transition = nn.Sequential(*smaller) if stride > 1 else nn.Identity()

    def forward(self, x):
        return super().forward(self.transition(x))


# Kind of block, blocks in each of the four stages, channels of the first one.
NETS = {
    "resnet18": (BasicBlock, [2, 2, 2, 2], 64),
    "resnet34": (BasicBlock, [3, 4, 6, 3], 64),
    "resnet50": (Bottleneck, [3, 4, 6, 3], 64),
    "resnet-paper": (Thin, [3, 4, 6, 3], 64),
    "resnet-tiny": (BasicBlock, [1, 1, 1, 1], 16),
}


def build(encoder, head):
    """torchvision's ResNet with a 3x3 stem of stride 1 and no max-pool; without a classifying head it ends in features."""
    block, blocks, width = NETS[encoder]
    net = ResNet(block, blocks)
    net.conv1, net.bn1, net.maxpool = nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.Identity()
    net.inplanes = width
    for i, count in enumerate(blocks):
        stage = net._make_layer(block, width * 2**i, count, stride=1 if i == 0 else 2)
        setattr(net, f"layer{i + 1}", stage)
    net.fc, features = nn.Identity(), 8 * width * block.expansion
    if head and head["kind"] == "fully_connected":
        last = nn.Linear(features, head["classes"])
        hidden = [layer for _ in range(head["layers"] - 1) for layer in (nn.Linear(features, features), nn.ReLU())]
        net.fc = nn.Sequential(*hidden, last) if hidden else last
    return net


class Scaled(nn.Module):
    """Images [B, 3, 32, 32] in [0, 1] to logits or features."""

    def __init__(self, net, mean, std):
        super().__init__()
        self.net = net
        self.register_buffer("mean", torch.tensor(mean).reshape(3, 1, 1))
        self.register_buffer("std", torch.tensor(std).reshape(3, 1, 1))

    def forward(self, images):
        return self.net((images - self.mean) / self.std)


def load(path):
    """The net as it was evaluated, and its card."""
    with safe_open(path, framework="pt") as file:
        card = json.loads(file.metadata()["tandem"])
        # Projection heads of pretraining (one, or layer by layer one for each stage) are not part of the encoder.
        heads = "head.", "heads."
        weights = {name: file.get_tensor(name) for name in file.keys() if not name.startswith(heads)}
    net = build(card["encoder"], card["head"])
    net.load_state_dict(weights)
    return Scaled(net, card["preprocessing"]["mean"], card["preprocessing"]["std"]).eval(), card


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python load.py classifier.safetensors (or encoder.safetensors)")
    model, card = load(sys.argv[1])
    output = model(torch.rand(1, 3, 32, 32))
    print(card["encoder"], "on", card["dataset"], "gives", list(output.shape), card["classes"])
