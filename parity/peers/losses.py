"""Eqs. (1) to (5) of the paper in double precision, as one writes them down: whole batch, one graph, double backward."""

import torch
from torch.nn import functional as F

from lines import read, serve, write

STAGES = 4


def nt_xent(z, temperature, self_term):
    """Rows i and i + N are the two views of one image."""
    length = (z * z).sum(1).sqrt()
    cosine = torch.einsum("id,jd->ij", z, z) / torch.outer(length, length)
    exponential = torch.exp(cosine / temperature)
    n = len(z) // 2
    partner = torch.cat([torch.arange(n, 2 * n), torch.arange(n)])
    counted = torch.ones_like(exponential) if self_term else 1 - torch.eye(2 * n, dtype=z.dtype)
    return -torch.log(exponential[torch.arange(2 * n), partner] / (exponential * counted).sum(1)).mean()


def derivatives(request):
    def loss(z):
        return nt_xent(z, request["temperature"], request["self_term"])

    z = read(request, "projections")["z"]
    second = torch.autograd.functional.hessian(loss, z).reshape(z.numel(), z.numel())
    gradient = torch.autograd.functional.jacobian(loss, z)
    write(request, "derivatives", {"loss": loss(z).reshape(1), "gradient": gradient, "second": second})
    return {}


def normalise(x, scale, shift):
    """BatchNorm by the rows' own mean and variance, and these."""
    mean, variance = x.mean(0), ((x - x.mean(0)) ** 2).mean(0)
    return (x - mean) / torch.sqrt(variance + 1e-5) * scale + shift, mean, variance


def network(weights, running, x):
    """Outputs of all stages for the rows of one shard, and the running statistics afterwards."""
    x, rows, outputs, after = x.flatten(1), len(x), [], {}
    for k in range(STAGES):
        x = x @ weights[f"{k}.weight"].T
        x, mean, variance = normalise(x, weights[f"{k}.scale"], weights[f"{k}.shift"])
        after[f"{k}.mean"] = 0.9 * running[f"{k}.mean"] + 0.1 * mean
        after[f"{k}.variance"] = 0.9 * running[f"{k}.variance"] + 0.1 * variance * rows / (rows - 1)
        x = torch.tanh(x)
        outputs.append(x @ weights[f"{k}.head"].T + weights[f"{k}.bias"])
    return outputs, after


def whole_batch(weights, running, views, shards):
    """Each stage's rows, all first views before all second ones; running statistics as the mean over shards."""
    rows, after = [[] for _ in range(STAGES)], []
    for part in views.chunk(shards, 1):
        outputs, statistics = network(weights, running, part.flatten(0, 1))
        after.append(statistics)
        for k, output in enumerate(outputs):
            rows[k].append(output.unflatten(0, part.shape[:2]))
    rows = [torch.cat(parts, 1).flatten(0, 1) for parts in rows]
    return rows, {name: sum(statistics[name] for statistics in after) / shards for name in after[0]}


def squared_gradients(loss, views):
    """The squared norm of the gradient by each view of each image, [views, images]."""
    (gradient,) = torch.autograd.grad(loss, views, create_graph=True)
    return (gradient**2).flatten(2).sum(2)


def parts(request, rows, views, labels):
    """The equation's loss and its penalty."""
    name, factor = request["equation"], request["lambda"] / 2
    zero = rows[-1].sum() * 0
    if name == "eq2":
        each = F.cross_entropy(rows[-1], labels, reduction="none")
        # The loss of each image has its own gradient: that of the sum.
        return each.mean(), factor * squared_gradients(each.sum(), views)[0].mean()
    losses = [nt_xent(z, request["temperature"], name == "eq1 as printed") for z in rows]
    alpha, beta = request["alpha"], request["beta"]
    if name in ("eq1", "eq1 as printed"):
        return losses[-1], zero
    if name == "eq3":
        first, second = squared_gradients(losses[-1], views)
        return losses[-1], factor * ((first + second) / 2).sum()
    loss = sum(a * part for a, part in zip(alpha, losses))
    if name == "eq4":
        return loss, zero
    return loss, sum(b * (squared_gradients(part, views) / 2).sum() for b, part in zip(beta, losses))


def flat(layout, named):
    """One vector with each tensor where the layout has it."""
    vector = torch.zeros(layout["length"], dtype=torch.float64)
    for name, offset in layout["offsets"].items():
        if named.get(name) is not None:
            vector[offset : offset + named[name].numel()] = named[name].detach().flatten()
    return vector


def step(request):
    tensors, batch = read(request, "network"), read(request, "batch")
    layout = request["layout"]
    weights = {name: tensors[name].requires_grad_(True) for name in layout["parameters"]["offsets"]}
    running = {name: tensors[name] for name in layout["statistics"]["offsets"]}
    views = batch["views"][:1] if request["equation"] == "eq2" else batch["views"]
    views.requires_grad_(True)
    rows, after = whole_batch(weights, running, views, request["shards"])
    loss, penalty = parts(request, rows, views, batch["labels"])

    def gradient(value):
        found = torch.autograd.grad(value, list(weights.values()), retain_graph=True, allow_unused=True)
        return flat(layout["parameters"], dict(zip(weights, found)))

    tensors = {
        "loss": loss,
        "penalty": penalty,
        "gradient": gradient(loss + penalty),
        "loss gradient": gradient(loss),
        "statistics": flat(layout["statistics"], after),
    }
    write(request, "step", tensors)
    return {}


torch.set_default_dtype(torch.float64)
serve(lambda request: {"nt_xent": derivatives, "step": step}[request["what"]](request))
