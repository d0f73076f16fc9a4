"""Checks in PyTorch alone what an attack found: that each perturbed image is misclassified, and as far away as written.

    tandem fetch EXPERIMENT --out models
    python check_verdicts.py classifier.safetensors adversarial.safetensors

`adversarial.safetensors` holds the first attacked images: `clean` (bytes), `adversarial` (in [0, 1]), `labels`,
`distances` (0: misclassified as it is; inf: the attack failed); its card names the norm.
"""

import json
import sys

import torch
from safetensors import safe_open

from load import load

if len(sys.argv) != 3:
    sys.exit("usage: python check_verdicts.py classifier.safetensors adversarial.safetensors")
model, _ = load(sys.argv[1])
with safe_open(sys.argv[2], framework="pt") as file:
    attack = json.loads(file.metadata()["tandem"])["spec"]["stage"]
    clean, adversarial, labels, distances = map(file.get_tensor, ("clean", "adversarial", "labels", "distances"))
clean = clean.float() / 255

with torch.no_grad():
    wrong = model(adversarial).argmax(1) != labels
    clean_wrong = model(clean).argmax(1) != labels
order = {"l0": 0, "l1": 1, "l2": 2, "linf": float("inf")}[attack["norm"]]
lengths = torch.linalg.vector_norm((adversarial - clean).flatten(1), order, dim=1)

broken = distances.isfinite()
faults = {
    "perturbed and not misclassified": broken & ~wrong,
    "another clean verdict": (distances == 0) != clean_wrong,
    "another distance": broken & ((lengths - distances).abs() > 1e-4 * distances.clamp_min(1)),
    "outside [0, 1]": (adversarial.flatten(1).amin(1) < 0) | (adversarial.flatten(1).amax(1) > 1),
}
print(f"{len(labels)} images, {attack['attack']} in {attack['norm']}: {int(broken.sum())} broken")
for fault, images in faults.items():
    print(f"{fault}: {images.nonzero().flatten().tolist() or 'none'}")
sys.exit(any(images.any() for images in faults.values()))
