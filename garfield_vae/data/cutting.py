"""Cuts the pictures of a library into panels, on all cores, but for those cut before."""

import hashlib
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from garfield_vae.data.duplicates import fingerprint
from garfield_vae.data.images import BrokenImage, has_more_pages, open_strip
from garfield_vae.data.library import Library
from garfield_vae.data.panels import Accept, OtherLayout, cut_panels
from garfield_vae.data.store import PanelStore

AHEAD = 8  # strips per core that are cut before they are asked for


def stamp(file: dict) -> tuple:
    """What shows, without reading it, whether a file has changed since the last build."""
    return file["path"], file.get("size"), file.get("mtime_ns")


@dataclass(frozen=True)
class Cut:
    """What a file gave: panels, or the reason why not."""

    digest: str = ""
    more_pages: bool = False  # than the one that was cut
    panels: np.ndarray | None = None
    fingerprint: np.ndarray | None = None
    broken: BrokenImage | None = None


class Cutter:
    """Cuts the files of a library. npy_path, index, store: of the last build, if there was one."""

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
        self._same_rules = index.get("keep_all") == keep_all
        self._known = {file["path"]: file for file in index["files"]} if self._same_rules else {}
        # By digest, where the last build's file has the panels.
        self._places: dict[str, int] = {}
        if store and self._same_rules:
            self._places = {digest: store.offset(row) for row, digest in enumerate(store.digests)}

    def cuts(self) -> Iterator[tuple[dict, Cut]]:
        """Every file in order with what it gave, cut a few strips ahead.

        By threads, since the decoder, the resizing and the hash release Python's lock.
        """
        files, cores = self.library.files, _cores()
        with (
            _one_thread(),
            ThreadPoolExecutor(cores) as pool,
            tqdm(total=len(files), desc="Cutting panels", unit="strip", disable=None) as bar,
        ):
            coming: deque = deque()
            try:
                for number, file in enumerate(files):
                    while len(coming) < AHEAD * cores and number + len(coming) < len(files):
                        coming.append(pool.submit(self._cut, files[number + len(coming)]))
                    yield file, coming.popleft().result()
                    bar.update()
            finally:
                pool.shutdown(cancel_futures=True)

    def _cut(self, file: dict) -> Cut:
        """Panels of one file, from the last build where it has them; in any thread."""
        if "left_out" in file:  # an archive that cannot be read
            return Cut(broken=BrokenImage(file["path"], file["left_out"]))
        before = self._known.get(file["path"])
        if before and stamp(before) != stamp(file):
            before = None
        if before and before.get("broken"):
            return Cut(broken=_refusal(before))
        try:
            digest = before.get("sha256", "") if before else ""
            more_pages = bool(before and before.get("more_pages"))
            if digest not in self._places:
                content = self.library.read(file)
                digest, more_pages = hashlib.sha256(content).hexdigest(), has_more_pages(content)
            if digest in self._places:
                panels = self.read(self.npy_path, self._places[digest])
            else:
                accept = Accept.ANY if self.keep_all else Accept.THREE
                panels = cut_panels(open_strip(content), self.height, self.width, accept)
        except BrokenImage as error:
            return Cut(broken=error)
        return Cut(digest, more_pages, panels, fingerprint(panels))

    @property
    def strip_bytes(self) -> int:
        return 9 * self.height * self.width

    def read(self, path: Path, place: int) -> np.ndarray:
        """A strip's panels from a store's file, where they begin at the byte `place`."""
        panels = np.fromfile(path, np.uint8, self.strip_bytes, offset=place)
        return panels.reshape(3, 3, self.height, self.width)


def _refusal(file: dict) -> BrokenImage:
    """Why the last build left a file out."""
    if layout := file.get("layout"):
        return OtherLayout(file["path"], file["left_out"], layout)
    return BrokenImage(file["path"], file["left_out"])


def _cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def _one_thread() -> Iterator[None]:
    """Torch's own threads off: a panel is too small to be worth sharing."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
