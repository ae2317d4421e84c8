"""safetensors files of any origin, read whole after the size of their header was checked."""

import json
from pathlib import Path

from garfield_vae.util.files import open_regular

LARGEST_HEADER = 2**23  # bytes that name a file's tensors: about a hundred each


def read_tensor_file(path: Path) -> bytes:
    """The content of a safetensors file, for `safetensors.numpy.load` or `safetensors.torch.load`.

    It is read, not mapped: a mapped file that another program cuts off would end this one, and
    Windows renames no folder in which a file is mapped. Raises OSError, and ValueError for a header
    that is too long to be one of ours.
    """
    with open_regular(path) as file:
        if int.from_bytes(file.read(8), "little") > LARGEST_HEADER:
            raise ValueError("its header is too long")
        file.seek(0)
        return file.read()


def metadata(content: bytes) -> dict[str, str]:
    """The texts that a safetensors file has beside its tensors. `content` was loaded before, which
    checks the header."""
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]).get("__metadata__") or {}
