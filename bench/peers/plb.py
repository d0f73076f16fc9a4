"""ProxLogBarrier in l2 (Pooladian et al. 2020) as in its reference implementation: all images in one batch go through
all 30 x 30 steps, and backtracking goes on as long as any image of the batch needs it.

    minimise |z - x| subject to z in [0, 1] and m(z) > 0, the margin of softmax probabilities of the best wrong class
    u = z - dt * gradient of (-a * sum log m);  w = clip(x + prox(u - x));  w <- gamma w + (1 - gamma) z while rightly classified
"""

import time

import torch
from torch.nn import functional as F

import classifier
from lines import serve

DT, MU, ALPHA, BETA, GAMMA, OUTER, INNER = 0.1, 1.0, 0.1, 0.75, 0.05, 30, 30
NOISE, GROWTH, TRIES = 0.01, 1.01, 10_000
# The reference has no such limit, but may not end without one.
BACKTRACKS = 1000


def lengths(delta):
    return delta.flatten(1).norm(dim=1)


def prox(delta):
    """The proximal operator of MU times the 2-norm: shortens each row by MU."""
    factor = (1 - MU / lengths(delta).clamp_min(1e-12)).clamp_min(0)
    return delta * factor[:, None, None, None]


def margin(model, images, labels):
    """Probability of the most likely wrong class minus the right one's."""
    probabilities = F.softmax(model(images), dim=1)
    right = F.one_hot(labels, probabilities.shape[1]).bool()
    return probabilities.masked_fill(right, 0).amax(1) - probabilities[right]


def begin(model, images, labels):
    """Starting points: growing Gaussian noise until an image is misclassified; else an image of the next class."""
    z, correct = images.clone(), ~classifier.misclassified(model, images, labels)
    scale = NOISE
    for _ in range(TRIES):
        if not correct.any():
            return z
        scale *= GROWTH
        noisy = (images + scale * torch.randn_like(images)).clamp(0, 1)
        z[correct] = noisy[correct]
        correct = ~classifier.misclassified(model, z, labels)
    for i in correct.nonzero().flatten().tolist():
        other = (labels == (labels[i] + 1) % 10) & ~classifier.misclassified(model, images, labels)
        z[i] = images[other][0]
    return z


def attack(model, images, labels):
    """Distance of each image; 0 if it is misclassified without a perturbation."""
    z = begin(model, images, labels)
    best = torch.full([len(images)], float("inf"))
    for outer in range(OUTER):
        barrier = ALPHA * BETA**outer
        # Images that are misclassified without a perturbation do not move.
        active = lengths(z - images) > 0
        for _ in range(INNER):
            z.requires_grad_(True)
            loss = -barrier * margin(model, z, labels)[active].log().sum()
            gradient = torch.autograd.grad(loss, z)[0]
            z = z.detach()
            w = z.clone()
            moved = (images + prox(z - DT * gradient - images)).clamp(0, 1)
            w[active] = moved[active]
            for _ in range(BACKTRACKS):
                correct = ~classifier.misclassified(model, w, labels)
                if not correct.any():
                    break
                w[correct] = GAMMA * w[correct] + (1 - GAMMA) * z[correct]
            z = w
            distance = lengths(z - images)
            best = torch.where(distance <= best, distance, best)
    return best


def prepare(setup):
    torch.set_num_threads(setup["threads"])
    torch.set_num_interop_threads(1)
    torch.manual_seed(1)
    model, images, labels = classifier.load(setup)
    images, labels = images[: setup["images"]], labels[: setup["images"]]

    def seconds(layout):
        model.to(memory_format=layout)
        x = images.contiguous(memory_format=layout).requires_grad_(True)
        start = time.perf_counter()
        for _ in range(4):
            torch.autograd.grad(margin(model, x, labels).sum(), x)
        return time.perf_counter() - start

    # In the faster memory format.
    layouts = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
    times = {name: min(seconds(layout) for _ in range(2)) for name, layout in layouts.items()}
    layout = min(times, key=times.get)
    model.to(memory_format=layouts[layout])
    images = images.contiguous(memory_format=layouts[layout])

    def work(count):
        for _ in range(count):
            distances = attack(model, images, labels)
        return distances.tolist()

    return {"layout": layout, "version": torch.__version__}, work


serve(prepare)
