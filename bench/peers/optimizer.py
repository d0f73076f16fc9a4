"""SGD and LARS steps on many parameters: torch.optim's SGD in its foreach form, and LARS written with torch._foreach."""

import torch
from safetensors.torch import load_file

from lines import serve


class Lars:
    """SimCLR's LARS (You et al. 2017), the rate inside the momentum: v <- m v + lr s (g + d w); w <- w - v, with
    s = trust |w| / |g + d w| for each matrix; one-dimensional parameters are neither decayed nor scaled."""

    def __init__(self, parameters, lr, momentum, weight_decay, trust):
        self.lr, self.momentum, self.weight_decay, self.trust = lr, momentum, weight_decay, trust
        self.matrices = [p for p in parameters if p.ndim > 1]
        self.vectors = [p for p in parameters if p.ndim == 1]
        self.velocities = [torch.zeros_like(p) for p in self.matrices + self.vectors]

    @torch.no_grad()
    def step(self):
        updates = torch._foreach_add([p.grad for p in self.matrices], self.matrices, alpha=self.weight_decay)
        weight_norms, update_norms = torch._foreach_norm(self.matrices), torch._foreach_norm(updates)
        usable = [w * u > 0 for w, u in zip(weight_norms, update_norms)]
        torch._foreach_mul_(weight_norms, self.trust)
        torch._foreach_div_(weight_norms, update_norms)
        scales = [torch.where(yes, scale, 1.0) * self.lr for yes, scale in zip(usable, weight_norms)]
        torch._foreach_mul_(updates, scales)
        updates += torch._foreach_mul([p.grad for p in self.vectors], self.lr)
        torch._foreach_mul_(self.velocities, self.momentum)
        torch._foreach_add_(self.velocities, updates)
        torch._foreach_sub_(self.matrices + self.vectors, self.velocities)


def prepare(setup):
    torch.set_num_threads(setup["threads"])
    torch.set_num_interop_threads(1)
    load = lambda name: load_file(f"{setup['folder']}/{name}.safetensors")
    before, gradients, after = load("before"), load("gradient"), load("after")
    parameters = {name: torch.nn.Parameter(value.clone()) for name, value in before.items()}
    for name, parameter in parameters.items():
        parameter.grad = gradients[name]
    values = list(parameters.values())
    common = {"lr": setup["learning_rate"], "momentum": setup["momentum"], "weight_decay": setup["weight_decay"]}
    if setup["rule"] == "sgd":
        optimizer = torch.optim.SGD(values, foreach=True, **common)
    else:
        optimizer = Lars(values, trust=setup["trust"], **common)

    def work(count):
        for _ in range(count):
            optimizer.step()

    work(setup["steps"])
    with torch.no_grad():
        difference = max((parameter - after[name]).abs().max().item() for name, parameter in parameters.items())
        # The movement of the tensor that moved least: the difference is compared with it.
        moved = min((parameter - before[name]).abs().max().item() for name, parameter in parameters.items())
    return {"difference": difference, "moved": moved, "version": torch.__version__}, work


serve(prepare)
