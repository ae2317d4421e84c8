"""The panel store: every strip of a folder, cut into panels once, in one memory map.

    panels-176x200.npy    uint8 [N, 3, 3, 176, 200], then the 32 bytes of the store's digest
    panels-176x200.json   geometry, names, digests, and what is known of every file

numpy's reader ignores what follows the array, so the file is a plain .npy to everybody else. The
digest behind the array ties the two files together: a crash between replacing the one and the
other, a truncation or a mix-up shows when the store is opened.

Both files are written beside the old ones and put in their place at the end, so a build that is
killed leaves the store as it was. A process that has the old file mapped keeps reading the old
strips; on Windows a file that is mapped cannot be replaced, and the build ends with a UserError.
"""

import hashlib
import json
import re
from datetime import date
from pathlib import Path

import numpy as np

from garfield_vae.util.errors import UserError
from garfield_vae.util.files import open_regular, read_json

VERSION = 2  # raise it when the cutting changes: stores of another version are built anew


class StaleStore(UserError):
    """The store's files are missing, damaged, of another version, or do not belong together."""


class PanelStore:
    """Strips as panels. Read only; rows are sorted by name.

    panels: uint8 memory map [N, 3, 3, H, W]. names: ISO date, or the file's path in its folder
    without its extension. digests: SHA-256 of each strip's file. digest: of the whole store, equal
    for equal names, files and geometry.
    """

    def __init__(self, path: Path, panels: np.ndarray, names: list[str], digests: list[str]):
        self.path, self.panels, self.names, self.digests = path, panels, names, digests
        self.height, self.width = panels.shape[3:]
        self.digest = store_digest(names, digests, self.height, self.width)
        self._splits = split_names(names)

    def __len__(self) -> int:
        return len(self.names)

    def split(self, name: str) -> np.ndarray:
        """The rows, int64 and ascending, of "train", "validation" or "test"."""
        return self._splits[name]

    def offset(self, row: int) -> int:
        """Where a strip's panels begin in the .npy file, in bytes."""
        return self.panels.offset + row * self.panels[0].nbytes

    @classmethod
    def open(cls, npy_path: Path) -> "PanelStore":
        """Opens a finished store. Raises StaleStore when it cannot be trusted."""
        store, _ = open_store(Path(npy_path))
        return store

    def __reduce__(self):  # to another process goes the path, not the pixels
        return _open_same, (self.path, self.digest)


def store_digest(names: list[str], digests: list[str], height: int, width: int) -> str:
    """SHA-256 over version, geometry, names and the files' digests."""
    content = json.dumps([VERSION, int(height), int(width), names, digests])
    return hashlib.sha256(content.encode()).hexdigest()


def split_names(names: list[str]) -> dict[str, np.ndarray]:
    """Rows [n] int64 of each split, 90 / 5 / 5 by a hash.

    What is hashed is the ISO week ("1985-W03") of a name that is a date, so that a week's story
    never straddles the split, and else the name itself. SHA-256's first eight bytes as a fraction:
    test below 0.05, validation below 0.10, train above. A strip that is added moves no other.
    In a small set a split may get nothing: then test takes the group with the lowest fraction, and
    validation the next.
    """
    groups: dict[float, list[int]] = {}
    for row, name in enumerate(names):
        day = iso_date(name)
        group = f"{day.isocalendar().year}-W{day.isocalendar().week:02}" if day else name
        hashed = hashlib.sha256(group.encode("utf-8", "surrogateescape")).digest()
        groups.setdefault(int.from_bytes(hashed[:8], "big") / 2**64, []).append(row)
    fractions = sorted(groups)
    tests = max(1, sum(fraction < 0.05 for fraction in fractions))
    others = tests + max(1, sum(fraction < 0.10 for fraction in fractions[tests:]))
    parts = {
        "train": fractions[others:],
        "validation": fractions[tests:others],
        "test": fractions[:tests],
    }
    return {
        split: np.array(sorted(row for part in parts[split] for row in groups[part]), np.int64)
        for split in parts
    }


def iso_date(name: str) -> date | None:
    """The day that a name like 1985-03-12 stands for, or None."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", name, re.ASCII):
        return None
    try:
        return date.fromisoformat(name)
    except ValueError:
        return None


# ---------------------------------------------------------------------------------------------
# Opening


def _open_same(path: Path, digest: str) -> PanelStore:
    store = PanelStore.open(path)
    if store.digest != digest:
        raise UserError(f"{path} was rebuilt while it was in use; start again")
    return store


def open_store(npy_path: Path) -> tuple[PanelStore, dict[str, dict]]:
    """The store, and what its index knows of each file, by path. Raises StaleStore."""
    index_path = npy_path.with_suffix(".json")
    try:
        index = read_json(index_path)
        if index["version"] != VERSION:
            raise StaleStore(f"{index_path} is of another version; build the store again")
        names, digests, height, width = (index[k] for k in ("names", "digests", "height", "width"))
        shape = (len(names), 3, 3, height, width)
        digest = store_digest(names, digests, height, width)
        with open_regular(npy_path) as file:
            panels = np.load(npy_path, mmap_mode="r", allow_pickle=False)
            file.seek(panels.offset + panels.nbytes)
            end = file.read(65)
        if (panels.shape, panels.dtype, end.hex()) != (shape, np.uint8, digest):
            raise ValueError("the two do not belong together")
        if len(digests) != len(names) or names != sorted(set(names)):
            raise ValueError("its names are not in order")
        files = {entry["path"]: entry for entry in index["files"]}
        for file in files.values():
            if not (isinstance(file.get("sha256"), str) or isinstance(file.get("left_out"), str)):
                raise ValueError(f"nothing is known of {file['path']}")
        return PanelStore(npy_path, panels, names, digests), files
    except (
        OSError,
        ArithmeticError,
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        RecursionError,
    ) as error:
        raise StaleStore(
            f"{npy_path} and {index_path.name} cannot be used ({error}); build the store again"
        ) from error
