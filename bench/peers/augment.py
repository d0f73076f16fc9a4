"""SimCLR's two views by torchvision v2 on PIL images.

As fast as possible: images are decoded beforehand, processes are forked once, and each transforms whole images with one
thread and writes into shared memory, so that nothing is pickled or collated.
"""

import multiprocessing

import torch
import torchvision
from PIL import Image
from safetensors.torch import load_file

from lines import serve
from simclr import transform

IMAGES, VIEWS, TRANSFORM = [], None, None


def fill(part):
    """Both views of images first..last."""
    for i in range(*part):
        VIEWS[i] = TRANSFORM(IMAGES[i])
        VIEWS[len(IMAGES) + i] = TRANSFORM(IMAGES[i])


def begin(seed):
    torch.set_num_threads(1)
    torch.manual_seed(seed.get())


def prepare(setup):
    global IMAGES, VIEWS, TRANSFORM
    pixels = load_file(f"{setup['folder']}/images.safetensors")["pixels"]
    IMAGES = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in pixels]
    VIEWS = torch.zeros(2 * len(IMAGES), 3, 32, 32).share_memory_()
    TRANSFORM = transform(setup["recipe"])
    processes = setup["threads"]
    context = multiprocessing.get_context("fork")
    seeds = context.Queue()
    for rank in range(processes):
        seeds.put(rank + 1)
    pool = context.Pool(processes, begin, (seeds,))
    bounds = [len(IMAGES) * rank // processes for rank in range(processes + 1)]
    parts = list(zip(bounds, bounds[1:]))

    def work(count):
        for _ in range(count):
            pool.map(fill, parts, chunksize=1)

    moments = []
    for _ in range(setup["batches"]):
        work(1)
        moments.append([VIEWS.mean().item(), VIEWS.var().item()])
    mean, variance = torch.tensor(moments).mean(0).tolist()
    return {"mean": mean, "variance": variance, "version": torchvision.__version__}, work


serve(prepare)
