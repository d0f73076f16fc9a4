"""A checkpoint as usually written in PyTorch: ResNet-18's weights and SGD's momentum by torch.save, forced to disk."""

import os

import torch

from lines import serve
from simclr import SimCLR


def prepare(setup):
    torch.set_num_threads(setup["threads"])
    # The encoder and a layer of 10 classes, as our classifier.
    model = torch.nn.Sequential(SimCLR("resnet18", {"hidden": 0, "output": 1}).encoder, torch.nn.Linear(512, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9)
    model(torch.rand(8, 3, 32, 32)).sum().backward()
    optimizer.step()
    path = f"{setup['folder']}/checkpoint.pt"

    def work(count):
        for _ in range(count):
            with open(f"{path}.new", "wb") as file:
                torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(f"{path}.new", path)

    work(1)
    return {"version": torch.__version__, "bytes": os.path.getsize(path)}, work


serve(prepare)
