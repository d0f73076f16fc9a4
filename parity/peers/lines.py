"""A peer: one JSON request a line on stdin, one JSON reply a line on stdout, until stdin closes.

Tensors go through safetensors files of the folder that a request names.
"""

import json
import sys
from pathlib import Path

from safetensors.torch import load_file, save_file


def serve(answer):
    """`answer(request)` returns the reply."""
    replies = sys.stdout
    sys.stdout = sys.stderr  # nothing that a library prints may pass for a reply
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), file=replies, flush=True)


def read(request, name):
    return load_file(Path(request["folder"]) / f"{name}.safetensors")


def write(request, name, tensors):
    tensors = {key: tensor.detach().contiguous() for key, tensor in tensors.items()}
    save_file(tensors, Path(request["folder"]) / f"{name}.safetensors")
