"""SimCLR as usually written in PyTorch: torchvision's transforms, its ResNet with the CIFAR stem, projection head, NT-Xent."""

import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet
from torchvision.transforms import v2


def transform(recipe):
    jitter = v2.ColorJitter(recipe["brightness"], recipe["contrast"], recipe["saturation"], recipe["hue"])
    return v2.Compose(
        [
            v2.RandomResizedCrop(32, scale=(recipe["crop_area_min"], 1.0)),
            v2.RandomHorizontalFlip(recipe["flip"]),
            v2.RandomApply([jitter], p=recipe["jitter"]),
            v2.RandomGrayscale(recipe["gray"]),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
        ]
    )


def cifar_stem(net, channels):
    """3x3 convolution of stride 1 and no max-pool; features instead of a classifier."""
    net.conv1 = nn.Conv2d(3, channels, kernel_size=3, stride=1, padding=1, bias=False)
    net.maxpool = nn.Identity()
    net.fc = nn.Identity()
    return net


def resnet18():
    return cifar_stem(ResNet(BasicBlock, [2, 2, 2, 2]), 64), 512


def resnet50():
    return cifar_stem(ResNet(Bottleneck, [3, 4, 6, 3]), 64), 2048


def resnet_tiny():
    net = cifar_stem(ResNet(BasicBlock, [1, 1, 1, 1]), 16)
    net.inplanes = 16
    net.bn1 = nn.BatchNorm2d(16)
    for stage, channels in enumerate([16, 32, 64, 128]):
        setattr(net, f"layer{stage + 1}", net._make_layer(BasicBlock, channels, 1, stride=1 if stage == 0 else 2))
    return net, 128


class SimCLR(nn.Module):
    def __init__(self, encoder, head):
        super().__init__()
        self.encoder, features = {"resnet18": resnet18, "resnet50": resnet50, "resnet-tiny": resnet_tiny}[encoder]()
        hidden = head["hidden"] or features
        self.head = nn.Sequential(
            nn.Linear(features, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, head["output"]),
        )

    def forward(self, images):
        return self.head(self.encoder(images))

    def load(self, weights):
        """Weights by torchvision's names, the head's under `head.`. None may be missing or left over."""
        names = {name if name.startswith("head.") else f"encoder.{name}": value for name, value in weights.items()}
        missing, unexpected = self.load_state_dict(names, strict=False)
        missing = [name for name in missing if not name.endswith("num_batches_tracked")]
        if missing or unexpected:
            raise KeyError(f"weights do not fit: missing {missing}, unexpected {unexpected}")


def nt_xent(z, temperature):
    """Rows i and i + N are the two views of one image."""
    z = F.normalize(z)
    similarity = z @ z.T / temperature
    similarity.fill_diagonal_(float("-inf"))
    n = len(z) // 2
    positives = torch.arange(2 * n).roll(n)
    return F.cross_entropy(similarity, positives)
