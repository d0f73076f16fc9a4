"""argmin over w of mu |w| + 1/2 |w - s|^2 without knowing how it looks: a grid, then SciPy from its best points."""

import itertools

import numpy
from scipy.optimize import minimize

from lines import read, serve

LENGTH = {
    "l0": lambda w: (w != 0).sum(-1).astype(float),
    "l1": lambda w: numpy.abs(w).sum(-1),
    "l2": lambda w: numpy.sqrt((w**2).sum(-1)),
    "linf": lambda w: numpy.abs(w).max(-1),
}


def search(value, s):
    """The best point of an ever finer grid around the best so far. Zero, every element of s, and every magnitude of s
    lie on the first one."""
    axes = [numpy.unique(numpy.concatenate([numpy.linspace(-2, 2, 41), [0, element], s, -s])) for element in s]
    best = None
    for width in [None] + [0.1 / 4**level for level in range(12)]:
        if width is not None:
            axes = [numpy.append(centre + numpy.linspace(-width, width, 13), centre) for centre in best]
        grid = numpy.array(list(itertools.product(*axes)))
        best = grid[value(grid).argmin()]
    return best


def polish(value, w):
    found = minimize(value, w, method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-15, "maxiter": 4000})
    return found.x if found.fun < value(w) else w


def answer(request):
    tensors = {name: tensor.double().numpy() for name, tensor in read(request, "prox").items()}
    norm, better, apart = request["norm"], [], []
    counts = {"zero": 0, "whole": 0, "between": 0}
    for s, mu, ours in zip(tensors["s"], tensors["mu"][:, 0], tensors["w"]):

        def value(w, mu=mu, s=s):
            return mu * LENGTH[norm](w) + 0.5 * ((w - s) ** 2).sum(-1)

        w = search(value, s)
        if norm != "l0":  # which is not continuous: its minimum lies on the first grid
            w = polish(value, w)
        better.append(value(ours) - value(w))
        apart.append(numpy.abs(ours - w).max())
        counts["zero" if not ours.any() else "whole" if (ours == s).all() else "between"] += 1
    return {"better": float(max(better)), "apart": float(max(apart)), **counts}


serve(answer)
