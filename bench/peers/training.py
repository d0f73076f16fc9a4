"""SimCLR's training loop as it is usually written: a DataLoader whose workers run torchvision v2 on PIL images, the
model in PyTorch's default memory format, torch.optim.SGD with its defaults."""

import torch
from PIL import Image
from safetensors.torch import load_file
from torch.utils.data import DataLoader, Dataset

from lines import serve
from simclr import SimCLR, nt_xent, transform


class Pairs(Dataset):
    """Two views of each image; images are kept as arrays, as torchvision's CIFAR-10 keeps them."""

    def __init__(self, pixels, transform):
        self.pixels = pixels.permute(0, 2, 3, 1).numpy()
        self.transform = transform

    def __len__(self):
        return len(self.pixels)

    def __getitem__(self, index):
        image = Image.fromarray(self.pixels[index])
        return self.transform(image), self.transform(image)


def batches(loader):
    while True:
        for first, second in loader:
            yield torch.cat([first, second])


def prepare(setup):
    torch.set_num_threads(setup["threads"])
    torch.manual_seed(1)
    model = SimCLR(setup["encoder"], setup["head"])
    model.load(load_file(f"{setup['folder']}/weights.safetensors"))
    optimizer = torch.optim.SGD(
        model.parameters(),
        lr=setup["recipe"]["learning_rate"],
        momentum=setup["recipe"]["momentum"],
        weight_decay=setup["recipe"]["weight_decay"],
    )
    pixels = load_file(f"{setup['folder']}/images.safetensors")["pixels"]
    loader = DataLoader(
        Pairs(pixels, transform(setup["augment"])),
        batch_size=setup["batch"],
        shuffle=True,
        num_workers=setup["threads"],
        persistent_workers=True,
        drop_last=True,
    )
    stream = batches(loader)

    def step():
        views = next(stream)
        optimizer.zero_grad()
        loss = nt_xent(model(views), setup["recipe"]["temperature"])
        loss.backward()
        optimizer.step()
        return loss.item(), views

    def work(count):
        for _ in range(count):
            step()

    reply = {"losses": [], "means": [], "variances": [], "version": torch.__version__}
    for _ in range(setup["steps"]):
        loss, views = step()
        reply["losses"].append(loss)
        reply["means"].append(views.mean().item())
        reply["variances"].append(views.var().item())
    return reply, work


serve(prepare)
