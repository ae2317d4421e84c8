"""The panel store: every strip of a folder, cut into panels once, in one memory map.

    panels-176x200.npy    uint8 [N, 3, 3, 176, 200], then the 32 bytes of the store's digest
    panels-176x200.json   geometry, names, digests, groups, and what is known of every file

numpy's reader ignores what follows the array: the file is a plain .npy. The digest shows, when the
store is opened, that both files are whole and belong together.

Both files replace the old ones only once they are complete, so a build that is killed leaves the
store as it was. A process that has the old file mapped keeps reading the old strips; on Windows a
mapped file cannot be replaced, and the build ends with a UserError.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from garfield_vae.data.splits import iso_date, iso_week, split_rows
from garfield_vae.util.console import printable
from garfield_vae.util.errors import UserError
from garfield_vae.util.files import open_regular, read_json

VERSION = 5  # to be raised when the cutting changes: other versions are built anew


class StaleStore(UserError):
    """The store's files are missing, damaged, of another version, or do not belong together."""


class PanelStore:
    """Strips as panels, read only: by day, those without a date last.

    panels: uint8 memory map [N, 3, 3, H, W]. names: ISO date, or the file's path without its
    extension; printable and unique. digests: SHA-256 of each strip's file. weeks, pictures: each
    strip's groups (see `splits.split_rows`). digest: equal for stores of equal names, files, groups
    and geometry. whole_weeks: whether the split keeps weeks together.
    """

    def __init__(
        self,
        path: Path,
        panels: np.ndarray,
        names: list[str],
        digests: list[str],
        weeks: Sequence[str] | None = None,
        pictures: Sequence[str] | None = None,
    ):
        self.path, self.panels, self.names, self.digests = path, panels, names, digests
        self.weeks = weeks or [week_of(name) for name in names]
        self.pictures = pictures or names
        self.height, self.width = panels.shape[3:]
        self.digest = store_digest(
            names, digests, self.weeks, self.pictures, self.height, self.width
        )
        self._splits, self.whole_weeks = split_rows(self.weeks, self.pictures)

    def __len__(self) -> int:
        return len(self.names)

    def split(self, name: str) -> np.ndarray:
        """The rows, int64 and ascending, of "train", "validation" or "test"."""
        return self._splits[name]

    @classmethod
    def open(cls, npy_path: Path) -> "PanelStore":
        """Opens a finished store. Raises StaleStore when it cannot be trusted."""
        store, _ = open_store(Path(npy_path))
        return store

    def __reduce__(self):  # pickled as its path
        return _open_same, (self.path, self.digest)


class Rows:
    """Some rows of an array or memory map, which are read, and transformed by `change`, when they
    are indexed: all of them may exceed memory."""

    def __init__(
        self,
        values: np.ndarray,
        rows: np.ndarray,
        change: Callable[[np.ndarray], np.ndarray] | None = None,
    ):
        self._values, self._rows, self._change = values, rows, change
        self.shape = (len(rows), *values.shape[1:])

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, key: Any) -> np.ndarray:
        found = self._values[self._rows[key]]
        return found if self._change is None else self._change(found)


def store_digest(
    names: list[str],
    digests: list[str],
    weeks: Sequence[str],
    pictures: Sequence[str],
    height: int,
    width: int,
) -> str:
    """SHA-256 over version, geometry, names, the files' digests and groups."""
    content = [VERSION, int(height), int(width), names, digests, list(weeks), list(pictures)]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def week_of(name: str) -> str:
    """The ISO week of a strip whose name is its date, else the name."""
    day = iso_date(name)
    return iso_week(day) if day else name


# ---------------------------------------------------------------------------------------------
# Opening


def _open_same(path: Path, digest: str) -> PanelStore:
    store = PanelStore.open(path)
    if store.digest != digest:
        raise UserError(f"{path} was rebuilt while it was in use; start again")
    return store


def open_store(npy_path: Path) -> tuple[PanelStore, dict]:
    """The store and its whole index. Raises StaleStore."""
    index_path = npy_path.with_suffix(".json")
    try:
        index = read_json(index_path)
        if index["version"] != VERSION:
            raise StaleStore(f"{index_path} is of another version; build the store again")
        lists = [index[key] for key in ("names", "digests", "weeks", "pictures")]
        height, width = index["height"], index["width"]
        shape = (len(lists[0]), 3, 3, height, width)
        digest = store_digest(*lists, height, width)
        with open_regular(npy_path):
            panels = np.load(npy_path, mmap_mode="r", allow_pickle=False)
        with npy_path.open("rb") as file:
            file.seek(panels.offset + panels.nbytes)
            end = file.read(65)
        if (panels.shape, panels.dtype, end.hex()) != (shape, np.uint8, digest):
            raise ValueError("the two do not belong together")
        if any(len(part) != len(lists[0]) for part in lists) or len(set(lists[0])) != shape[0]:
            raise ValueError("its lists do not fit each other")
        for file in index["files"]:
            if not isinstance(file.get("sha256", file.get("left_out")), str):
                raise ValueError(f"nothing is known of {file['path']}")
        for archive in index["archives"].values():
            if not isinstance(archive["members"], dict):
                raise ValueError("an archive's list is damaged")
        return PanelStore(npy_path, panels, *lists), index
    except (
        OSError,
        ArithmeticError,
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        RecursionError,
        SyntaxError,  # of numpy's reader of headers
        EOFError,
    ) as error:
        why = printable(str(error))
        raise StaleStore(
            f"{npy_path} and {index_path.name} cannot be used ({why}); build the store again"
        ) from error
