"""SimCLR's training step in Python PyTorch, on weights and views that our side wrote."""

import time

import torch
from safetensors.torch import load_file

from lines import serve
from simclr import SimCLR, nt_xent


class Trainer:
    def __init__(self, setup, weights, batches, layout):
        self.model = SimCLR(setup["encoder"], setup["hidden"], setup["output"]).to(memory_format=layout)
        self.model.load(weights)
        self.batches = [batch.contiguous(memory_format=layout) for batch in batches]
        self.temperature = setup["temperature"]
        self.optimizer = torch.optim.SGD(
            self.model.parameters(),
            lr=setup["learning_rate"],
            momentum=setup["momentum"],
            weight_decay=setup["weight_decay"],
            fused=True,
        )
        self.steps = 0

    def step(self):
        images = self.batches[self.steps % len(self.batches)]
        self.steps += 1
        self.optimizer.zero_grad(set_to_none=True)
        loss = nt_xent(self.model(images), self.temperature)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def run(self, count):
        return [self.step() for _ in range(count)]


def seconds(trainer, count):
    start = time.perf_counter()
    trainer.run(count)
    return time.perf_counter() - start


def prepare(setup):
    torch.set_num_threads(setup["threads"])
    torch.set_num_interop_threads(1)
    weights = load_file(f"{setup['folder']}/weights.safetensors")
    batches = load_file(f"{setup['folder']}/views.safetensors")["views"]
    # The peer at its best: whichever memory format is faster here.
    layouts = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
    trials = {name: Trainer(setup, weights, batches, layout) for name, layout in layouts.items()}
    times = {name: min(seconds(trainer, 1) for _ in range(4)) for name, trainer in trials.items()}
    layout = min(times, key=times.get)
    trainer = Trainer(setup, weights, batches, layouts[layout])
    return {"losses": trainer.run(setup["steps"]), "layout": layout, "version": torch.__version__}, trainer.run


serve(prepare)
