"""Files that are made to run code, or to take more memory than there is and hardly any disk."""

import json
import struct
import zipfile
from pathlib import Path

import numpy as np


class Bomb:
    """What a hostile file might hold: unpickling it makes a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def packed(path: Path) -> None:
    """A gigabyte of zeros in a megabyte of a checkpoint: torch would unpack it."""
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{path.stem}/data/999", bytes(2**30))


def declared_tensor(folder: Path) -> None:
    """A safetensors file that declares 10¹² numbers and holds none."""
    header = {"a": {"dtype": "F32", "shape": [10**6, 10**6], "data_offsets": [0, 4 * 10**12]}}
    content = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(content)) + content)


def long_header(folder: Path) -> None:
    with (folder / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", 10**8))
        file.truncate(2 * 10**8)  # takes no room on the disk


def packed_space(folder: Path) -> None:
    """An .npz of half a megabyte that unpacks to half a gigabyte."""
    np.savez_compressed(folder / "new.npz", mean=np.zeros(2**27, np.float32))
    (folder / "new.npz").replace(folder / "latent.npz")


def declared_array(folder: Path) -> None:
    """An .npz whose array declares 10¹² numbers and holds none."""
    header = str({"descr": "<f4", "fortran_order": False, "shape": (10**12,)}).encode()
    header += b" " * (-len(header) - 11 & 63) + b"\n"
    content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
    with zipfile.ZipFile(folder / "latent.npz", "w") as archive:
        archive.writestr("mean.npy", content)
