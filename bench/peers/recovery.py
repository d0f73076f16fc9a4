"""SimCLR on several processes with DistributedDataParallel, as usually written for torchrun: it writes a checkpoint every
few steps and resumes from it. Rank 0 writes one line a step to `steps`: restarts so far, step, seconds since the epoch."""

import json
import os
import sys
import time

import torch
from PIL import Image
from torch import distributed
from torch.distributed.nn.functional import all_gather
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from simclr import SimCLR, nt_xent, transform

setup = json.loads(sys.argv[1])
folder, batch = setup["folder"], setup["batch"]
rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
restarts = int(os.environ["TORCHELASTIC_RESTART_COUNT"])


class Pairs(Dataset):
    """Two views of each image."""

    def __init__(self):
        torch.manual_seed(1)
        self.pixels = torch.randint(256, (setup["images"], 32, 32, 3), dtype=torch.uint8).numpy()
        self.transform = transform(setup["augment"])

    def __len__(self):
        return len(self.pixels)

    def __getitem__(self, index):
        image = Image.fromarray(self.pixels[index])
        return self.transform(image), self.transform(image)


def batches(loader, sampler):
    epoch = 0
    while True:
        sampler.set_epoch(epoch)
        yield from loader
        epoch += 1


distributed.init_process_group("gloo")
data = Pairs()
torch.manual_seed(1)
model = DistributedDataParallel(SimCLR("resnet-tiny", {"hidden": 128, "output": 64}))
optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9, weight_decay=5e-4)
checkpoint = f"{folder}/checkpoint.pt"
step = 0
if os.path.exists(checkpoint):
    state = torch.load(checkpoint)
    model.module.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    step = state["step"]

sampler = DistributedSampler(data)
loader = DataLoader(data, batch_size=batch // world, sampler=sampler, drop_last=True)
with open(f"{folder}/pid-{restarts}-{rank}", "w") as file:
    file.write(str(os.getpid()))
with open(f"{folder}/steps", "a", buffering=1) as steps:
    for first, second in batches(loader, sampler):
        optimizer.zero_grad()
        # The two views of all ranks, first views before second.
        z = torch.stack(model(torch.cat([first, second])).chunk(2))
        z = torch.cat(all_gather(z), dim=1).flatten(0, 1)
        nt_xent(z, 0.5).backward()
        optimizer.step()
        step += 1
        if rank == 0:
            steps.write(f"{restarts} {step} {time.time()}\n")
            if step % setup["checkpoint_steps"] == 0:
                state = {"model": model.module.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
                torch.save(state, f"{checkpoint}.new")
                os.replace(f"{checkpoint}.new", checkpoint)
