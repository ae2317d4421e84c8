"""Builds the panel store of a folder of strips, cutting only what is new or has changed."""

import json
import os
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np
import torch

from garfield_vae.data.cutting import Cut, Cutter, stamp
from garfield_vae.data.duplicates import same_pictures
from garfield_vae.data.found import left_out, more_pages, passed_over, summary
from garfield_vae.data.images import UnreadFile
from garfield_vae.data.library import UNREAD, Library
from garfield_vae.data.names import dates_of
from garfield_vae.data.panels import OtherLayout
from garfield_vae.data.splits import iso_week, linked
from garfield_vae.data.store import VERSION, PanelStore, StaleStore, open_store, store_digest
from garfield_vae.geometry import PANEL_HEIGHT, PANEL_WIDTH
from garfield_vae.util.console import printable, tell
from garfield_vae.util.errors import UserError
from garfield_vae.util.files import CannotWrite, replacing

FEWEST_STRIPS = 20
SAME_STRIP = 0.9  # correlation of fingerprints from which two files of a day are one strip


def build_store(
    strips: Path,
    folder: Path,
    height: int = PANEL_HEIGHT,
    width: int = PANEL_WIDTH,
    keep_all: bool = False,
) -> PanelStore:
    """Cuts every strip below `strips` into panels and returns their store, kept in `folder`.

    strips: a folder of pictures and archives, with any folders in it, or an archive; only read.
    Strips whose file has not changed (same size and time, or same bytes) are taken from the last
    build's store; when nothing has changed, nothing is written. Pictures that are no strips are
    left out, and so are, unless `keep_all`, those that clearly have no three panels side by side.
    Files with the same bytes are one strip. What was found is printed.

    Raises UserError when there is no such folder, it has fewer than 20 usable strips, or the store
    cannot be written; the last build's store then stays whole.
    """
    strips, npy_path = Path(strips), Path(folder) / f"panels-{height}x{width}.npy"
    try:
        store, index = open_store(npy_path)
    except StaleStore:
        store, index = None, {"archives": {}, "files": [], "digests": []}
    with closing(Library(strips, index["archives"])) as library:
        _put_in_order(library.files)
        same = [*map(stamp, library.files)] == [*map(stamp, index["files"])]
        if store is None or not same or index.get("keep_all") != keep_all:
            cutter = Cutter(library, index, store, height, width, keep_all)
            build = _Build(npy_path, library, index, cutter)
            store = None  # the cutter has it as long as it is needed
            try:
                with _one_thread():
                    build.write()
            except OSError as error:
                reason = error.strerror or str(error)
                raise CannotWrite(error.errno, reason, str(npy_path)) from error
            store, index = open_store(npy_path)
    tell(summary(strips, store, index["files"], library.passed_over))
    return store


@contextmanager
def _one_thread() -> Iterator[None]:
    """Torch's own threads off: a strip is too small for them, and the cores may be taken."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _put_in_order(files: list[dict]) -> None:
    """Gives each file its date, and sorts them: by day, then by path; those without at the end.

    Of the files of one day in one folder the largest comes first: a thumbnail is not wanted where
    there is the picture itself.
    """
    dates = dates_of([file["path"] for file in files])
    for file in files:
        day = dates[file["path"]]
        file["date"] = day.isoformat() if day else None

    def place(file: dict) -> tuple:
        if not (day := file["date"]):
            return True, "", "", 0, file["path"]
        return False, day, file["path"].rpartition("/")[0], -file["size"], file["path"]

    files.sort(key=place)


class _Build:
    """Writes a store, strip by strip."""

    def __init__(self, npy_path: Path, library: Library, index: dict, cutter: Cutter):
        self.npy_path, self.library, self.cutter = npy_path, library, cutter
        self.earlier = {
            key: dict(zip(index["digests"], index.get(key, ()), strict=False))
            for key in ("weeks", "pictures")
        }
        self.taken: dict[str, str] = {}  # names by digest
        self.named: set[str] = set()
        # Fingerprints of the strips of one day in one folder.
        self.of_the_day: defaultdict[tuple, list[np.ndarray]] = defaultdict(list)
        self.names: list[str] = []
        self.digests: list[str] = []
        self.days: list[str | None] = []

    def write(self) -> None:
        """Writes both files. Raises UserError where too few strips can be used, and OSError."""
        found, height, width = self.library.files, self.cutter.height, self.cutter.width
        with (
            replacing(self.npy_path.with_suffix(".json"), "w") as index,
            replacing(self.npy_path) as npy,
        ):
            _write_header(npy, len(found), height, width)
            start = npy.tell()
            prints = []
            for file, cut in self.cutter.cuts():
                if self._takes(file, cut):
                    npy.write(cut.panels.data)
                    prints.append(cut.fingerprint)
            if (count := len(self.names)) < FEWEST_STRIPS:
                raise UserError(
                    f"{printable(str(self.library.place))} holds {count} usable "
                    f"strip{'s' * (count != 1)}, of {FEWEST_STRIPS} that training needs at least"
                    f"{left_out(found)}{more_pages(found)}"
                    f"{passed_over(self.library.passed_over)}"
                )
            npy.flush()
            panels = np.memmap(npy.name, np.uint8, "r", start, (count, 3, 3, height, width))
            with ThreadPoolExecutor(1) as disk:  # which writes while this process searches
                written = disk.submit(os.fsync, npy.fileno())
                pairs = list(same_pictures(np.stack(prints), np.asarray(panels)))
                written.result()
            del panels  # Windows puts no file that is mapped in the place of another
            lists = self.names, self.digests, *self._groups(pairs)
            digest = store_digest(*lists, height, width)
            npy.write(bytes.fromhex(digest))
            npy.seek(0)
            _write_header(npy, count, height, width)
            content = {
                "version": VERSION,
                "height": height,
                "width": width,
                "digest": digest,
                "keep_all": self.cutter.keep_all,
                **dict(zip(("names", "digests", "weeks", "pictures"), lists, strict=True)),
                "files": found,
                "archives": self.library.archives,
            }
            index.write(json.dumps(content))  # in C, which json.dump is not
            index.flush()
            os.fsync(index.fileno())  # a disk that is full shows before either file is replaced

    def _takes(self, file: dict, cut: Cut) -> bool:
        """Gives a strip its row and name, or notes in `file` why it is left out."""
        if cut.broken:
            file |= {"broken": True, "left_out": cut.broken.reason}
            if isinstance(cut.broken, OtherLayout):
                file["layout"] = cut.broken.kind
            if isinstance(cut.broken, UnreadFile):
                file["mtime_ns"] = UNREAD
            return False
        file["sha256"] = cut.digest
        if cut.more_pages:
            file["more_pages"] = True
        if cut.digest in self.taken:
            file |= {"same_as": self.taken[cut.digest], "left_out": "it is the same picture"}
            return False
        path = PurePosixPath(file["path"])
        stem, day = printable(path.with_suffix("").as_posix(), None), file["date"]
        if day:  # of two comics in one folder, each has its strip of the day
            others = self.of_the_day[path.parent, day]
            if any(cut.fingerprint @ other >= SAME_STRIP for other in others):
                file["left_out"] = "another file has this strip of its day"
                return False
            others.append(cut.fingerprint)
        choices = [day] if day else []
        choices += [stem, printable(path.as_posix(), None), f"{stem} {cut.digest[:8]}"]
        name = next(name for name in choices if name not in self.named)
        self.named.add(name)
        self.taken[cut.digest] = name
        self.names.append(name)
        self.digests.append(cut.digest)
        self.days.append(day)
        return True

    def _groups(self, pairs: list[tuple[int, int]]) -> list[list[str]]:
        """For each strip its week (its picture where it has no date), and its picture, by which
        strips are split; those of `pairs`, which show the same picture, are linked."""
        pictures = [f"picture {digest[:16]}" for digest in self.digests]
        weeks = [
            iso_week(date.fromisoformat(day)) if day else picture
            for day, picture in zip(self.days, pictures, strict=True)
        ]
        return [
            linked(groups, pairs, [self.earlier[key].get(digest) for digest in self.digests])
            for key, groups in (("weeks", weeks), ("pictures", pictures))
        ]


def _write_header(file: IO[bytes], count: int, height: int, width: int) -> None:
    """numpy pads the header: it has the same length for every count."""
    shape = (count, 3, 3, height, width)
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
