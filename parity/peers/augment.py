"""torchvision's augmentations: given parameters on its tensor path and on PIL images; and its own draws."""

import numpy
import torch
import torchvision
import torchvision.transforms.v2.functional as F
from PIL import Image
from scipy.stats import ks_2samp
from torchvision.transforms import InterpolationMode, v2

from lines import read, serve, write

SIDE = 32
ADJUST = [None, F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue]
BRIGHTNESS, CONTRAST, SATURATION, HUE = 1, 2, 3, 4


def apply_one(image, row):
    """`row`: image, top, left, height, width, flip, gray, (operation, factor) four times."""
    _, top, left, height, width, flip, gray = (int(value) for value in row[:7])
    image = F.resized_crop(image, top, left, height, width, [SIDE, SIDE], InterpolationMode.BILINEAR, antialias=True)
    if flip:
        image = F.horizontal_flip(image)
    for operation, factor in row[7:].reshape(4, 2):
        if operation:
            image = ADJUST[int(operation)](image, float(factor))
    return F.rgb_to_grayscale(image, num_output_channels=3) if gray else image


def apply(request):
    cases = read(request, "cases")
    floats, pils = [], []
    for row in cases["parameters"].numpy():
        source = cases["images"][int(row[0])]
        floats.append(apply_one(source.float() / 255, row))
        pil = apply_one(Image.fromarray(source.permute(1, 2, 0).numpy()), row)
        pils.append(torch.from_numpy(numpy.array(pil)).permute(2, 0, 1))
    write(request, "views", {"float": torch.stack(floats), "pil": torch.stack(pils)})
    return {}


def torchvision_draws(recipe, draws, seed):
    """What torchvision's transforms draw, by name; flips and the like by what they do to a small image."""
    torch.manual_seed(seed)
    crop = v2.RandomResizedCrop(SIDE, scale=(recipe["crop_area_min"], 1.0))
    colours = v2.ColorJitter(recipe["brightness"], recipe["contrast"], recipe["saturation"], recipe["hue"])
    flip, gray = v2.RandomHorizontalFlip(recipe["flip"]), v2.RandomGrayscale(recipe["gray"])
    jitter = v2.RandomApply([v2.Lambda(lambda image: 1 - image)], p=recipe["jitter"])
    whole, small = torch.zeros(3, SIDE, SIDE), torch.arange(6.0).reshape(3, 1, 2) / 8
    rows = []
    for _ in range(draws):
        place = crop.make_params([whole])
        colour = colours.make_params([whole])
        rows.append(
            {
                "top": place["top"],
                "left": place["left"],
                "height": place["height"],
                "width": place["width"],
                "brightness": colour["brightness_factor"],
                "contrast": colour["contrast_factor"],
                "saturation": colour["saturation_factor"],
                "hue": colour["hue_factor"],
                "operations": [int(index) + 1 for index in colour["fn_idx"]],
                "flip": not torch.equal(flip(small), small),
                "gray": not torch.equal(gray(small), small),
                "jitter": not torch.equal(jitter(small), small),
            }
        )
    return rows


def our_draws(parameters):
    rows = []
    for row in parameters.numpy():
        drawn = dict(zip(["top", "left", "height", "width", "flip", "gray"], map(float, row[1:7])))
        pairs = row[7:].reshape(4, 2)
        drawn["jitter"] = bool(pairs[0, 0])
        if drawn["jitter"]:
            drawn["operations"] = [int(operation) for operation in pairs[:, 0]]
            factors = {int(operation): factor for operation, factor in pairs}
            names = {"brightness": BRIGHTNESS, "contrast": CONTRAST, "saturation": SATURATION, "hue": HUE}
            drawn |= {name: factors[operation] for name, operation in names.items()}
        rows.append(drawn)
    return rows


def numbers(rows):
    """One array for each name that is compared; of views without jitter no factor is known."""
    jittered = [row for row in rows if "operations" in row]
    values = {
        "area": [row["height"] * row["width"] for row in rows],
        "aspect": [row["width"] / row["height"] for row in rows],
        "top": [row["top"] for row in rows],
        "left": [row["left"] for row in rows],
        "bottom": [SIDE - row["top"] - row["height"] for row in rows],
        "right": [SIDE - row["left"] - row["width"] for row in rows],
        # A permutation as the number that its digits write.
        "order": [int("".join(map(str, row["operations"]))) for row in jittered],
        "place of hue": [row["operations"].index(HUE) for row in jittered],
    }
    for name in ["brightness", "contrast", "saturation", "hue"]:
        values[name] = [row[name] for row in jittered]
    for name in ["flip", "gray", "jitter"]:
        values[name] = [row[name] for row in rows]
    return {name: numpy.asarray(value, dtype=float) for name, value in values.items()}


def draw(request):
    ours = numbers(our_draws(read(request, "draws")["parameters"]))
    theirs = numbers(torchvision_draws(request["recipe"], request["draws"], request["seed"]))
    p = [(name, float(ks_2samp(ours[name], theirs[name]).pvalue)) for name in ours]
    return {"p": p, "version": torchvision.__version__}


if __name__ == "__main__":
    serve(lambda request: {"apply": apply, "draw": draw}[request["what"]](request))
