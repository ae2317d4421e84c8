"""Cuts the pictures of a library into panels on all cores, but for those that a store has."""

import hashlib
import io
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import torch
from tqdm import tqdm

from garfield_vae.data.duplicates import fingerprint
from garfield_vae.data.images import BrokenImage, open_strip
from garfield_vae.data.library import Library
from garfield_vae.data.panels import Accept, OtherLayout, cut_panels
from garfield_vae.data.store import PanelStore

AHEAD = 8  # strips per core that are cut before they are asked for


def stamps(files: Iterable[dict]) -> list[tuple]:
    """What tells, without reading, whether files are the same as at the last build."""
    return [(file["path"], file.get("size"), file.get("mtime_ns")) for file in files]


@dataclass(frozen=True)
class Cut:
    """What came of a file: panels, or the reason why not; its panels may be had already."""

    digest: str | None
    panels: np.ndarray | None = None
    fingerprint: np.ndarray | None = None
    broken: BrokenImage | None = None


class Cutter:
    """Cuts the files of a library. npy_path, index, store: what the build before left, if any.

    A few strips are cut ahead, so that memory holds few of them.
    """

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

    def cuts(self) -> Iterator[tuple[dict, Cut]]:
        """Every file in order with what came of it. Threads: most of the work is C's, which lets
        go of Python's lock."""
        files, cores = self.library.files, _cores()
        with (
            _one_thread(),
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

    def _cut(self, file: dict) -> Cut:
        """Panels of one file, unless the store has them already; in any thread."""
        before = self.known.get(file["path"], {})
        unchanged = stamps([before]) == stamps([file]) if before else False
        if "left_out" in file:  # an archive that cannot be read
            return Cut(None, broken=BrokenImage(file["path"], file["left_out"]))
        if unchanged and before.get("broken") and self.same_rules:
            return Cut(None, broken=_refusal(before))
        try:
            digest = before.get("sha256") if unchanged else None
            if digest not in self.places:
                content = self.library.read(file)
                digest = hashlib.sha256(content).hexdigest()
            if digest in self.places:
                return Cut(digest)
            accept = Accept.ANY if self.keep_all else Accept.THREE
            panels = cut_panels(open_strip(content), self.height, self.width, accept)
        except BrokenImage as error:
            return Cut(None, broken=error)
        return Cut(digest, panels, fingerprint(panels))

    def _finished(self, file: dict, cut: Future, earlier: IO[bytes]) -> tuple[dict, Cut]:
        done = cut.result()
        if done.broken is None and done.panels is None:
            panels = self.read(earlier, self.places[done.digest])
            done = Cut(done.digest, panels, fingerprint(panels))
        return file, done

    @property
    def strip_bytes(self) -> int:
        return 9 * self.height * self.width

    def read(self, file: IO[bytes], place: int) -> np.ndarray:
        file.seek(place)
        panels = np.frombuffer(file.read(self.strip_bytes), np.uint8)
        return panels.reshape(3, 3, self.height, self.width)


def _refusal(file: dict) -> BrokenImage:
    """Why a file was left out by the build before."""
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
    """A panel is too small a picture to share among threads: they wait longer than they work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
