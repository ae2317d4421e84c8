"""Files that are made to run code, or to take more memory than there is and hardly any disk."""

import json
import struct
import zipfile
from pathlib import Path


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


def declared_tensor(folder: Path, name: str = "model.safetensors") -> None:
    """A safetensors file that declares 10¹² numbers and holds none."""
    header = {"a": {"dtype": "F32", "shape": [10**6, 10**6], "data_offsets": [0, 4 * 10**12]}}
    content = json.dumps(header).encode()
    (folder / name).write_bytes(struct.pack("<Q", len(content)) + content)


def long_header(folder: Path, name: str = "model.safetensors") -> None:
    """A safetensors file with a header of 100 MB, which takes no room on the disk."""
    with (folder / name).open("wb") as file:
        file.write(struct.pack("<Q", 10**8))
        file.truncate(2 * 10**8)
