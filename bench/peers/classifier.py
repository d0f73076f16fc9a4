"""The classifier that both sides attack, from the file that our training wrote, and the images."""

import torch
from safetensors.torch import load_file
from torch import nn

from simclr import resnet_tiny


def load(setup):
    """Model, images f32 `[N, 3, 32, 32]` in [0, 1] and labels `[N]`; images and model in the given memory format."""
    weights = load_file(setup["classifier"]["path"])
    model, features = resnet_tiny()
    model.fc = nn.Linear(features, weights["fc.weight"].shape[0])
    missing, unexpected = model.load_state_dict(weights, strict=False)
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise KeyError(f"weights do not fit: missing {missing}, unexpected {unexpected}")
    data = load_file(f"{setup['folder']}/attacked.safetensors")
    return model.eval().requires_grad_(False), data["pixels"].float() / 255, data["labels"]


def misclassified(model, images, labels):
    with torch.no_grad():
        return model(images).argmax(1) != labels
