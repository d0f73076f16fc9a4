"""Exported weights in Python: in torchvision's own ResNet, and by the published loader."""

import sys
from pathlib import Path

import torch
import torchvision
from torch import nn

from lines import read, serve, write

sys.path.append(str(Path(__file__).resolve().parents[2] / "examples" / "python"))
from load import load  # noqa: E402
from safetensors.torch import load_file  # noqa: E402


def in_torchvision(request):
    """Features by torchvision's constructor with the CIFAR stem, and how many of the file's names are not its own."""
    net = getattr(torchvision.models, request["arch"])(weights=None)
    net.conv1 = nn.Conv2d(3, 64, kernel_size=3, stride=1, padding=1, bias=False)
    net.maxpool, net.fc = nn.Identity(), nn.Identity()
    weights = load_file(request["path"])
    # Only a count of batches, which evaluation does not use.
    names = {name for name in net.state_dict() if not name.endswith("num_batches_tracked")}
    unmatched = sorted(names ^ set(weights))
    if not unmatched:
        net.load_state_dict(weights, strict=True)
        with torch.no_grad():
            write(request, "theirs", {"output": net.eval()(read(request, "images")["images"])})
    return {"unmatched": unmatched, "version": torchvision.__version__}


def by_loader(request):
    model, card = load(request["path"])
    with torch.no_grad():
        write(request, "theirs", {"output": model(read(request, "images")["images"])})
    return {"encoder": card["encoder"]}


serve(lambda request: {"torchvision": in_torchvision, "loader": by_loader}[request["what"]](request))
