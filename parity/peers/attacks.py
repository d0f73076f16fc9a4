"""Attacks by Foolbox and Torchattacks on the classifier that the published loader makes of the exported file."""

import sys
from pathlib import Path

import foolbox
import torch
import torchattacks

from lines import read, serve, write

sys.path.append(str(Path(__file__).resolve().parents[2] / "examples" / "python"))
from load import load  # noqa: E402

BATCH = 250
TORCHATTACKS_NORM = {"l2": "L2", "linf": "Linf"}
MODEL, IMAGES, LABELS = None, None, None


def begin(request):
    global MODEL, IMAGES, LABELS
    torch.manual_seed(request["seed"])
    MODEL, _ = load(request["path"])
    for parameter in MODEL.parameters():
        parameter.requires_grad_(False)
    tensors = read(request, "images")
    IMAGES, LABELS = tensors["images"], tensors["labels"]
    correct = torch.cat([MODEL(images).argmax(1) == labels for images, labels in batches()])
    return {"accuracy": correct.float().mean().item()}


def batches():
    return zip(IMAGES.split(BATCH), LABELS.split(BATCH))


def foolbox_attack(request):
    """An attack and the radii that it is given; without a radius it looks for the nearest."""
    name, norm, steps = request["attack"], request["norm"], request.get("steps")
    radius = request.get("radius")
    if name == "pgd":
        kind = {"l2": foolbox.attacks.L2PGD, "linf": foolbox.attacks.LinfPGD}[norm]
        return kind(abs_stepsize=request["step"] * radius, steps=steps, random_start=False), radius
    if name == "ddn":
        return foolbox.attacks.DDNAttack(steps=steps), None
    if name == "fmn":
        kind = {
            "l0": foolbox.attacks.L0FMNAttack,
            "l1": foolbox.attacks.L1FMNAttack,
            "l2": foolbox.attacks.L2FMNAttack,
            "linf": foolbox.attacks.LInfFMNAttack,
        }[norm]
        return kind(steps=steps), None
    raise KeyError(name)


def torchattacks_attack(request):
    name, norm, steps = request["attack"], TORCHATTACKS_NORM[request["norm"]], request.get("steps")
    radius, seed = request["radius"], request["seed"]
    if name == "pgd":
        kind = {"L2": torchattacks.PGDL2, "Linf": torchattacks.PGD}[norm]
        return kind(MODEL, eps=radius, alpha=request["step"] * radius, steps=steps, random_start=False)
    if name == "apgd":
        return torchattacks.APGD(MODEL, norm=norm, eps=radius, steps=steps, n_restarts=1, seed=seed, loss="ce")
    if name == "apgd-t":
        return torchattacks.APGDT(MODEL, norm=norm, eps=radius, steps=steps, n_restarts=1, seed=seed, n_classes=10)
    if name == "square":
        return torchattacks.Square(MODEL, norm=norm, eps=radius, n_queries=steps, n_restarts=1, seed=seed, loss="margin")
    if name == "fab":
        return torchattacks.FAB(
            MODEL, norm=norm, eps=radius, steps=steps, n_restarts=1, seed=seed, multi_targeted=True, n_classes=10
        )
    raise KeyError(name)


def attack(request):
    """What the attack made of each image, whether that is misclassified, and how far it is from the image."""
    made = []
    if request["library"] == "foolbox":
        run, radius = foolbox_attack(request)
        model = foolbox.PyTorchModel(MODEL, bounds=(0, 1), device="cpu")
        for images, labels in batches():
            made.append(run(model, images, labels, epsilons=radius)[1])
        version = foolbox.__version__
    else:
        run = torchattacks_attack(request)
        made = [run(images, labels) for images, labels in batches()]
        version = torchattacks.__version__
    made = torch.cat(made).detach()
    with torch.no_grad():
        wrong = torch.cat([MODEL(images).argmax(1) != labels for images, labels in zip(made.split(BATCH), LABELS.split(BATCH))])
    moved = (made - IMAGES).flatten(1)
    distance = {
        "l0": lambda: (moved != 0).sum(1).float(),
        "l1": lambda: moved.abs().sum(1),
        "l2": lambda: moved.norm(dim=1),
        "linf": lambda: moved.abs().amax(1),
    }[request["norm"]]()
    write(request, "found", {"wrong": wrong.to(torch.uint8), "distance": distance})
    return {"version": version}


serve(lambda request: {"begin": begin, "attack": attack}[request["what"]](request))
