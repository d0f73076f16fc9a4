"""FMN by Foolbox, in whichever memory format is faster."""

import time

import foolbox
import torch

import classifier
from lines import serve

ATTACKS = {
    "l0": foolbox.attacks.L0FMNAttack,
    "l1": foolbox.attacks.L1FMNAttack,
    "l2": foolbox.attacks.L2FMNAttack,
    "linf": foolbox.attacks.LInfFMNAttack,
}
LENGTHS = {
    "l0": lambda moved: (moved != 0).sum(1).float(),
    "l1": lambda moved: moved.abs().sum(1),
    "l2": lambda moved: moved.norm(dim=1),
    "linf": lambda moved: moved.abs().amax(1),
}


def prepare(setup):
    torch.set_num_threads(setup["threads"])
    torch.set_num_interop_threads(1)
    model, images, labels = classifier.load(setup)
    images, labels = images[: setup["images"]], labels[: setup["images"]]
    norm = setup["norm"]

    def attack(layout, steps):
        """Distance of each image; None where no misclassified image was found."""
        model.to(memory_format=layout)
        x = images.contiguous(memory_format=layout)
        net = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
        clean_errors = classifier.misclassified(model, x, labels)
        found = ATTACKS[norm](steps=steps)(net, x, labels, epsilons=None)[1]
        wrong = classifier.misclassified(model, found, labels)
        distances = LENGTHS[norm]((found - x).flatten(1)).masked_fill(clean_errors, 0)
        return [distance if hit else None for distance, hit in zip(distances.tolist(), wrong.tolist())]

    def seconds(layout):
        start = time.perf_counter()
        attack(layout, 4)
        return time.perf_counter() - start

    layouts = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
    times = {name: min(seconds(layout) for _ in range(2)) for name, layout in layouts.items()}
    layout = min(times, key=times.get)

    def work(count):
        for _ in range(count):
            distances = attack(layouts[layout], setup["steps"])
        return distances

    return {"layout": layout, "version": foolbox.__version__}, work


serve(prepare)
