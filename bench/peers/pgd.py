"""PGD by torchattacks, in whichever memory format is faster."""

import time

import torch
import torchattacks

import classifier
from lines import serve


def prepare(setup):
    torch.set_num_threads(setup["threads"])
    torch.set_num_interop_threads(1)
    model, images, labels = classifier.load(setup)
    radius, steps = setup["radius"], setup["steps"]

    def attack(layout, first=None):
        """Which images fall."""
        model.to(memory_format=layout)
        # torchattacks sets the model to evaluation mode, and expects images in [0, 1].
        pgd = torchattacks.PGD(model, eps=radius, alpha=setup["step"] * radius, steps=steps, random_start=False)
        parts = list(zip(images.split(setup["batch"]), labels.split(setup["batch"])))[:first]
        perturbed = [(pgd(x.contiguous(memory_format=layout), y), y) for x, y in parts]
        return torch.cat([classifier.misclassified(model, x, y) for x, y in perturbed])

    def seconds(layout):
        start = time.perf_counter()
        attack(layout, first=1)
        return time.perf_counter() - start

    layouts = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
    times = {name: min(seconds(layout) for _ in range(2)) for name, layout in layouts.items()}
    layout = min(times, key=times.get)
    fallen = attack(layouts[layout]).tolist()

    def work(count):
        for _ in range(count):
            attack(layouts[layout])

    return {"fallen": fallen, "layout": layout, "version": torchattacks.__version__}, work


serve(prepare)
