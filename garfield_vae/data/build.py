"""Builds the panel store of a folder of strips, cutting only what is new or has changed."""

import hashlib
import io
import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np
import torch
from tqdm import tqdm

from garfield_vae.data.duplicates import fingerprint, same_pictures
from garfield_vae.data.found import left_out, passed_over, summary
from garfield_vae.data.images import BrokenImage, open_strip
from garfield_vae.data.library import Library
from garfield_vae.data.names import dates_of
from garfield_vae.data.panels import Accept, OtherLayout, cut_panels
from garfield_vae.data.splits import iso_week, linked
from garfield_vae.data.store import VERSION, PanelStore, StaleStore, open_store, store_digest
from garfield_vae.geometry import PANEL_HEIGHT, PANEL_WIDTH
from garfield_vae.util.console import printable, tell
from garfield_vae.util.errors import UserError
from garfield_vae.util.files import remedy, replacing

FEWEST_STRIPS = 20
AHEAD = 8  # strips per core that are cut before they are written


def build_store(
    strips: Path,
    folder: Path,
    height: int = PANEL_HEIGHT,
    width: int = PANEL_WIDTH,
    keep_all: bool = False,
) -> PanelStore:
    """Cuts every strip below `strips` and keeps the panels in `folder`; gives the store.

    strips: a folder, nested as one likes, with pictures and archives of them, or an archive. It is
    only read. Strips whose file has not changed (same size and time, or same bytes) are taken from
    the store that is there; when nothing changed, nothing is written. Pictures that are no strips
    are counted, named and left out; so are, unless `keep_all`, those that clearly are no three
    panels side by side. Files with the same bytes are one strip. What was found is printed.

    Raises UserError when there is no such folder, it has fewer than 20 usable strips, or the store
    cannot be written. The store that was there is then whole.
    """
    strips, npy_path = Path(strips), Path(folder) / f"panels-{height}x{width}.npy"
    try:
        store, index = open_store(npy_path)
    except StaleStore:
        store, index = None, {"archives": {}, "files": [], "digests": []}
    with closing(Library(strips, index["archives"])) as library:
        _put_in_order(library.files)
        same = _stamps(library.files) == _stamps(index["files"])
        if store is None or not same or index.get("keep_all") != keep_all:
            build = _Build(npy_path, library, index, store, height, width, keep_all)
            store = None  # Windows puts no file in the place of one that is mapped
            try:
                with _one_thread():
                    build.write()
            except OSError as error:
                raise UserError(
                    f"the panel store {npy_path} cannot be written ({error.strerror or error}): "
                    f"{remedy(error)}"
                ) from error
            store, index = open_store(npy_path)
    tell(summary(strips, store, index["files"], library.passed_over))
    return store


def _put_in_order(files: list[dict]) -> None:
    """Gives each file its date, and sorts them: by day, then by path; those without at the end."""
    dates = dates_of([file["path"] for file in files])
    for file in files:
        day = dates[file["path"]]
        file["date"] = day.isoformat() if day else None
    files.sort(key=lambda file: (file["date"] is None, file["date"] or "", file["path"]))


def _stamps(files: Iterable[dict]) -> list[tuple]:
    """What tells, without reading, whether files are the same as at the last build."""
    return [(file["path"], file.get("size"), file.get("mtime_ns")) for file in files]


@dataclass(frozen=True)
class _Cut:
    """What came of a file: panels, or the reason why not; its panels may be had already."""

    digest: str | None
    panels: np.ndarray | None = None
    fingerprint: np.ndarray | None = None
    broken: BrokenImage | None = None


class _Build:
    """One writing of a store. Strips are cut on all cores, and written one by one in order, so that
    memory holds a few of them."""

    def __init__(
        self,
        npy_path: Path,
        library: Library,
        index: dict,
        store: PanelStore | None,
        height: int,
        width: int,
        keep_all: bool,
    ):
        self.npy_path, self.library, self.keep_all = npy_path, library, keep_all
        self.height, self.width = height, width
        self.known = {file["path"]: file for file in index["files"]}
        self.same_rules = index.get("keep_all") == keep_all
        # Where the store that is there has the panels of a file, by its digest.
        self.places: dict[str, int] = {}
        if store and self.same_rules:
            self.places = {digest: store.offset(row) for row, digest in enumerate(store.digests)}
        self.earlier = {
            key: dict(zip(index["digests"], index.get(key, ()), strict=False))
            for key in ("weeks", "pictures")
        }
        self.taken: dict[str, str] = {}  # names by digest
        self.named: set[str] = set()
        self.folder_days: set[tuple[PurePosixPath, str]] = set()
        self.names: list[str] = []
        self.digests: list[str] = []
        self.days: list[str | None] = []

    def write(self) -> None:
        """Writes both files. Raises UserError where too few strips can be used, and OSError."""
        found = self.library.files
        with (
            replacing(self.npy_path.with_suffix(".json"), "w") as index,
            replacing(self.npy_path) as npy,
        ):
            _write_header(npy, len(found), self.height, self.width)
            start = npy.tell()
            prints = []
            for file, cut in self._cuts():
                if self._takes(file, cut):
                    npy.write(cut.panels.data)
                    prints.append(cut.fingerprint)
            if len(self.names) < FEWEST_STRIPS:
                raise UserError(
                    f"{printable(str(self.library.place))} holds {len(self.names)} usable strips, "
                    f"of {FEWEST_STRIPS} that training needs at least{left_out(found)}"
                    f"{passed_over(self.library.passed_over)}"
                )
            npy.flush()
            with Path(npy.name).open("rb") as written:
                weeks, pictures = self._groups(
                    np.stack(prints),
                    lambda row: self._read(written, start + row * self.strip_bytes),
                )
            lists = self.names, self.digests, weeks, pictures
            digest = store_digest(*lists, self.height, self.width)
            npy.write(bytes.fromhex(digest))
            npy.seek(0)
            _write_header(npy, len(self.names), self.height, self.width)
            content = {
                "version": VERSION,
                "height": self.height,
                "width": self.width,
                "digest": digest,
                "keep_all": self.keep_all,
            }
            content |= dict(zip(("names", "digests", "weeks", "pictures"), lists, strict=True))
            content |= {"files": found, "archives": self.library.archives}
            json.dump(content, index)
            index.flush()
            os.fsync(index.fileno())  # a disk that is full shows before either file is replaced

    @property
    def strip_bytes(self) -> int:
        return 9 * self.height * self.width

    def _read(self, file: IO[bytes], place: int) -> np.ndarray:
        file.seek(place)
        panels = np.frombuffer(file.read(self.strip_bytes), np.uint8)
        return panels.reshape(3, 3, self.height, self.width)

    def _cuts(self) -> Iterator[tuple[dict, _Cut]]:
        """Every file in order with what came of it. Threads: most of the work is C's, which lets
        go of Python's lock."""
        files, cores = self.library.files, _cores()
        with (
            self.npy_path.open("rb") if self.places else io.BytesIO() as earlier,
            ThreadPoolExecutor(cores) as pool,
            tqdm(total=len(files), desc="Cutting panels", unit="strip", disable=None) as bar,
        ):
            coming: deque = deque()
            try:
                for file in files:
                    coming.append((file, pool.submit(self._cut, file)))
                    if len(coming) > AHEAD * cores:
                        yield self._finished(*coming.popleft(), earlier)
                        bar.update()
                while coming:
                    yield self._finished(*coming.popleft(), earlier)
                    bar.update()
            finally:
                pool.shutdown(cancel_futures=True)

    def _cut(self, file: dict) -> _Cut:
        """Panels of one file, unless the store has them already; in any thread."""
        before = self.known.get(file["path"], {})
        unchanged = _stamps([before]) == _stamps([file]) if before else False
        if "left_out" in file:  # an archive that cannot be read
            return _Cut(None, broken=BrokenImage(file["path"], file["left_out"]))
        if unchanged and before.get("broken") and self.same_rules:
            return _Cut(None, broken=_refusal(before))
        try:
            digest = before.get("sha256") if unchanged else None
            if digest not in self.places:
                content = self.library.read(file)
                digest = hashlib.sha256(content).hexdigest()
            if digest in self.places:
                return _Cut(digest)
            accept = Accept.ANY if self.keep_all else Accept.THREE
            panels = cut_panels(open_strip(content), self.height, self.width, accept)
        except BrokenImage as error:
            return _Cut(None, broken=error)
        return _Cut(digest, panels, fingerprint(panels))

    def _finished(self, file: dict, cut: Future, earlier: IO[bytes]) -> tuple[dict, _Cut]:
        done = cut.result()
        if done.broken is None and done.panels is None:
            panels = self._read(earlier, self.places[done.digest])
            done = _Cut(done.digest, panels, fingerprint(panels))
        return file, done

    def _takes(self, file: dict, cut: _Cut) -> bool:
        """Gives a strip its row and name, or writes down in `file` why it is left out."""
        if cut.broken is not None:
            file |= {"broken": True, "left_out": cut.broken.reason}
            if isinstance(cut.broken, OtherLayout):
                file["layout"] = cut.broken.kind
            return False
        file["sha256"] = cut.digest
        if cut.digest in self.taken:
            file |= {"same_as": self.taken[cut.digest], "left_out": "it is the same picture"}
            return False
        path = PurePosixPath(file["path"])
        stem, day = printable(path.with_suffix("").as_posix(), None), file["date"]
        if day and (path.parent, day) in self.folder_days:
            file["left_out"] = "another file is of its day"
            return False
        self.folder_days.add((path.parent, day))
        choices = [day] if day else []
        choices += [stem, printable(path.as_posix(), None), f"{stem} {cut.digest[:8]}"]
        name = next(name for name in choices if name not in self.named)
        self.named.add(name)
        self.taken[cut.digest] = name
        self.names.append(name)
        self.digests.append(cut.digest)
        self.days.append(day)
        return True

    def _groups(
        self, prints: np.ndarray, panels_of: Callable[[int], np.ndarray]
    ) -> tuple[list[str], list[str]]:
        """The groups of each strip in the split: its week (its picture where it has no date), and
        its picture; of strips that show the same picture, both are one."""
        pairs = list(same_pictures(prints, panels_of))
        pictures = [f"picture {digest[:16]}" for digest in self.digests]
        weeks = [
            iso_week(date.fromisoformat(day)) if day else picture
            for day, picture in zip(self.days, pictures, strict=True)
        ]
        return tuple(
            linked(groups, pairs, [self.earlier[key].get(digest) for digest in self.digests])
            for key, groups in (("weeks", weeks), ("pictures", pictures))
        )


def _refusal(file: dict) -> BrokenImage:
    """Why a file was left out by the build before."""
    if layout := file.get("layout"):
        return OtherLayout(file["path"], file["left_out"], layout)
    return BrokenImage(file["path"], file["left_out"])


def _write_header(file: IO[bytes], count: int, height: int, width: int) -> None:
    """numpy pads this header, so that it has the same length for every count."""
    shape = (count, 3, 3, height, width)
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def _cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def _one_thread() -> Iterator[None]:
    """A panel is too small a picture to share among threads: they wait longer than they work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
