"""SimCLR's training step in Python PyTorch, on weights and views that our side wrote."""

import time

import torch
from safetensors.torch import load_file

from lines import resident_bytes, serve
from simclr import SimCLR, nt_xent


class Trainer:
    def __init__(self, setup, weights, batches, layout):
        self.model = SimCLR(setup["encoder"], setup["head"]).to(memory_format=layout)
        self.model.load(weights)
        self.batches = [batch.contiguous(memory_format=layout) for batch in batches]
        temperature = setup["recipe"]["temperature"]
        self.loss = lambda images: nt_xent(self.model(images), temperature)
        if setup["compiled"]:
            self.loss = torch.compile(self.loss)
        self.penalty_weight = setup["recipe"]["tikhonov"]["lambda"] / 4
        self.parameters = list(self.model.parameters())
        self.optimizer = torch.optim.SGD(
            self.parameters,
            lr=setup["recipe"]["learning_rate"],
            momentum=setup["recipe"]["momentum"],
            weight_decay=setup["recipe"]["weight_decay"],
            fused=True,
        )
        self.steps = 0

    def step(self):
        images = self.batches[self.steps % len(self.batches)]
        self.steps += 1
        self.optimizer.zero_grad(set_to_none=True)
        if self.penalty_weight == 0:
            loss, penalty = self.loss(images), torch.zeros([])
            loss.backward()
        else:
            # Eq. (3): lambda/2 times the squared gradient by the images, summed over images, mean of the two views.
            images = images.detach().requires_grad_(True)
            loss = self.loss(images)
            gradient = torch.autograd.grad(loss, images, create_graph=True)[0]
            penalty = self.penalty_weight * gradient.square().sum()
            (loss + penalty).backward(inputs=self.parameters)
        self.optimizer.step()
        return loss.item(), penalty.item()

    def run(self, count):
        for _ in range(count):
            self.step()


def seconds(trainer, count):
    start = time.perf_counter()
    trainer.run(count)
    return time.perf_counter() - start


def prepare(setup):
    torch.set_num_threads(setup["threads"])
    torch.set_num_interop_threads(1)
    weights = load_file(f"{setup['folder']}/weights.safetensors")
    batches = load_file(f"{setup['folder']}/views.safetensors")["views"]
    layouts = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
    layout = setup["layout"]
    if layout is None:
        # In the faster memory format.
        trials = {name: Trainer(setup, weights, batches, layout) for name, layout in layouts.items()}
        times = {name: min(seconds(trainer, 1) for _ in range(4)) for name, trainer in trials.items()}
        layout = min(times, key=times.get)
    trainer = Trainer(setup, weights, batches, layouts[layout])
    del weights, batches
    reply = {"resident_before": resident_bytes(), "layout": layout, "version": torch.__version__}
    losses, penalties = zip(*(trainer.step() for _ in range(setup["steps"])))
    return {**reply, "losses": losses, "penalties": penalties}, trainer.run


serve(prepare)
