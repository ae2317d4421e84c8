"""Builds the panel store of a folder of strips, cutting only what is new or has changed."""

import hashlib
import io
import json
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import torch
from tqdm import tqdm

from garfield_vae.data.images import BrokenImage, open_strip, read_strip
from garfield_vae.data.panels import cut_panels
from garfield_vae.data.store import (
    VERSION,
    PanelStore,
    StaleStore,
    iso_date,
    open_store,
    store_digest,
)
from garfield_vae.geometry import PANEL_HEIGHT, PANEL_WIDTH
from garfield_vae.util.errors import UserError
from garfield_vae.util.files import remedy, replacing

SUFFIXES = {".gif", ".jpg", ".jpeg", ".png"}
FEWEST_STRIPS = 20


def build_store(
    strips: Path, folder: Path, height: int = PANEL_HEIGHT, width: int = PANEL_WIDTH
) -> PanelStore:
    """Cuts every strip below `strips` and keeps the panels in `folder`; gives the store.

    strips: a folder, nested as one likes, of GIF, JPEG or PNG files; hidden ones are passed over.
    It is only read. Strips whose file has not changed (same size and time, or same bytes) are
    taken from the store that is there; when nothing changed, nothing is written. Pictures that
    are no strips are counted, named and left out; of two files for one name the first by path
    that can be used is.

    Raises UserError when the folder is missing, has fewer than 20 usable strips, or the store
    cannot be written. The store that was there is then whole.
    """
    strips, npy_path = Path(strips), Path(folder) / f"panels-{height}x{width}.npy"
    found = _scan(strips)
    try:
        store, known = open_store(npy_path)
        rows = {digest: store.offset(row) for row, digest in enumerate(store.digests)}
    except StaleStore:
        store, known, rows = None, {}, {}
    if store is None or _stamps(found) != _stamps(known.values()):
        store = None  # Windows puts no file in the place of one that is mapped
        try:
            with _one_thread():
                _write(npy_path, strips, found, known, rows, height, width)
        except OSError as error:
            raise UserError(
                f"the panel store {npy_path} cannot be written ({error.strerror or error}): "
                f"{remedy(error)}"
            ) from error
        store, known = open_store(npy_path)
    print(f"Panels: {len(store)} strips in {npy_path}{_left_out(known.values())}")
    return store


def _stamps(files: Iterable[dict]) -> list[tuple]:
    """What tells, without reading, whether files are the same as at the last build."""
    return [(file["path"], file.get("size"), file.get("mtime_ns")) for file in files]


def _scan(strips: Path) -> list[dict]:
    """Every picture file below the folder, sorted by the strip's name: path, name, size, time."""

    def fail(error: OSError):
        raise UserError(f"{error.filename} cannot be read ({error.strerror})") from error

    if not strips.is_dir():
        raise UserError(f"{strips} is not a folder; give the folder that holds the strips")
    found = []
    for parent, folders, files in os.walk(strips, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            path = Path(parent, name)
            if name.startswith(".") or path.suffix.lower() not in SUFFIXES:
                continue
            try:
                status = path.stat()
            except OSError:
                continue  # a link to nowhere, or a file that has just gone
            if stat.S_ISREG(status.st_mode):
                relative = path.relative_to(strips)
                strip = path.stem if iso_date(path.stem) else relative.with_suffix("").as_posix()
                # A file that may not be read is looked at again when it may: its time is 0 so far.
                time_ns = status.st_mtime_ns if os.access(path, os.R_OK) else 0
                file = {"path": relative.as_posix(), "name": strip, "size": status.st_size}
                found.append(file | {"mtime_ns": time_ns})
    return sorted(found, key=lambda file: (file["name"], file["path"]))


def _write(
    npy_path: Path,
    strips: Path,
    found: list[dict],
    known: dict[str, dict],
    rows: dict[str, int],
    height: int,
    width: int,
) -> None:
    """Writes both files of a store, strip by strip, so that memory holds one strip at a time.

    known: the earlier index by path; rows: where the earlier .npy has the panels of a file's
    digest. Both are empty when there is no store to start from.
    """
    names, digests = [], []
    with replacing(npy_path.with_suffix(".json"), "w") as index, replacing(npy_path) as npy:
        _write_header(npy, len(found), height, width)
        with npy_path.open("rb") if rows else io.BytesIO() as earlier:
            for file in tqdm(found, desc="Cutting panels", unit="strip", disable=None):
                if names and names[-1] == file["name"]:
                    file["left_out"] = "another file has its name"
                    continue
                before = known.get(file["path"], {})
                unchanged = _stamps([before]) == _stamps([file]) if before else False
                if unchanged and before.get("broken") and "left_out" in before:
                    file |= {"broken": True, "left_out": before["left_out"]}
                    continue
                try:
                    digest = before.get("sha256") if unchanged else None
                    if digest not in rows:
                        content = read_strip(strips / file["path"])
                        digest = hashlib.sha256(content).hexdigest()
                    if digest in rows:
                        earlier.seek(rows[digest])
                        panels = earlier.read(9 * height * width)
                    else:
                        panels = cut_panels(open_strip(content), height, width).data
                except BrokenImage as error:
                    file |= {"broken": True, "left_out": error.reason}
                    continue
                npy.write(panels)
                names.append(file["name"])
                digests.append(digest)
                file["sha256"] = digest
        if len(names) < FEWEST_STRIPS:
            raise UserError(
                f"{strips} holds {len(names)} usable strips, of {FEWEST_STRIPS} that training "
                f"needs at least{_left_out(found)}"
            )
        digest = store_digest(names, digests, height, width)
        npy.write(bytes.fromhex(digest))
        npy.seek(0)
        _write_header(npy, len(names), height, width)
        content = {"version": VERSION, "height": height, "width": width, "digest": digest}
        json.dump(content | {"names": names, "digests": digests, "files": found}, index)
        index.flush()
        os.fsync(index.fileno())  # a disk that is full shows before either file is replaced


def _write_header(file: IO[bytes], count: int, height: int, width: int) -> None:
    """numpy pads this header, so that it has the same length for every count."""
    shape = (count, 3, 3, height, width)
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


@contextmanager
def _one_thread() -> Iterator[None]:
    """A panel is too small a picture to share among threads: they wait longer than they work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _left_out(files: Iterable[dict]) -> str:
    """The end of a sentence: how many files were left out, and why the first three were."""
    files = [file for file in files if "left_out" in file]
    if not files:
        return ""
    named = []
    for file in files[:3]:  # a name from a stranger's archive may hold codes for the terminal
        path = file["path"] if file["path"].isprintable() else ascii(file["path"])
        named.append(f"{path} ({file['left_out']})")
    more = f" and {len(files) - 3} more" if len(files) > 3 else ""
    return f"; {len(files)} left out: {', '.join(named)}{more}"
