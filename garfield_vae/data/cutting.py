"""Cuts the pictures of a library into panels, many of them by several processes, but for those
cut before."""

import hashlib
import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice, zip_longest
from multiprocessing.heap import Arena
from multiprocessing.process import BaseProcess
from threading import Thread

import numpy as np
import torch
from tqdm import tqdm

from garfield_vae.data.duplicates import fingerprint
from garfield_vae.data.images import BrokenImage, has_more_pages, open_strip
from garfield_vae.data.library import Library
from garfield_vae.data.panels import Accept, OtherLayout, cut_panels
from garfield_vae.data.store import PanelStore
from garfield_vae.util.errors import stop_signals

TOGETHER = 8  # strips that one process cuts together
# Of a larger file or picture, no second one is kept in memory meanwhile.
LARGE_FILE, LARGE_PICTURE = 4 * 2**20, 4_000_000  # bytes, pixels
AHEAD = 4  # such groups per process that are cut before they are asked for
# How processes are started, and how many strips one must have to be worth it: elsewhere than on
# Linux, each imports torch.
START, WORTH = ("fork", 200) if sys.platform == "linux" else ("spawn", 1000)


def stamp(file: dict) -> tuple:
    """What shows, without reading it, whether a file has changed since the last build."""
    return file["path"], file.get("size"), file.get("mtime_ns")


@dataclass
class Cut:
    """What a file gave: panels, or the reason why not."""

    digest: str = ""
    more_pages: bool = False  # than the one that was cut
    panels: np.ndarray | None = None
    fingerprint: np.ndarray | None = None
    broken: BrokenImage | None = None


class Cutter:
    """Cuts the files of a library. index, store: of the last build, if there was one. The store
    stays mapped until the last cut, so that panels come from the file that its index tells of, also
    where another process puts a new one in its place."""

    def __init__(
        self,
        library: Library,
        index: dict,
        store: PanelStore | None,
        height: int,
        width: int,
        keep_all: bool,
    ):
        self.library, self.keep_all = library, keep_all
        self.height, self.width = height, width
        self._same_rules = index.get("keep_all") == keep_all
        self._known = {file["path"]: file for file in index["files"]} if self._same_rules else {}
        self._store = store if self._same_rules else None
        digests = self._store.digests if self._store else ()
        self._rows = {digest: row for row, digest in enumerate(digests)}
        files = library.files
        self._groups = [files[start : start + TOGETHER] for start in range(0, len(files), TOGETHER)]
        self._memory: Arena | None = None  # that the processes share

    def cuts(self) -> Iterator[tuple[dict, Cut]]:
        """Every file in order with what it gave; its panels hold until the next one."""
        count = len(self.library.files)
        with tqdm(total=count, desc="Cutting panels", unit="strip", disable=None) as bar:
            for group, cuts in zip(self._groups, self._all_cuts(), strict=True):
                yield from zip(group, cuts, strict=True)
                bar.update(len(cuts))
        self._store = None  # Windows puts no file in the place of one that is mapped

    def _all_cuts(self) -> Iterator[list[Cut]]:
        """What each group gives, by processes where that is worth it and as far as they come."""
        workers, done = min(_cores(), len(self.library.files) // WORTH), 0
        if workers > 1:
            for cuts in self._cuts_by_processes(workers):
                yield cuts
                done += 1
        yield from map(self._cut_files, self._groups[done:])

    def _cuts_by_processes(self, workers: int) -> Iterator[list[Cut]]:
        """What each group gives, by processes that work a few strips ahead; ends early where the
        system allows no more processes, or ends one.

        Threads would wait for one another, since a third of the work holds Python's lock. Panels
        come through shared memory, the rest through pipes.
        """
        others, numbers = multiprocessing.active_children(), iter(range(len(self._groups)))
        try:
            pool, coming = self._start(workers, islice(numbers, AHEAD * workers))
        except (OSError, RuntimeError, ImportError):  # no processes, threads, semaphores or memory
            _kill_all_but(others)
            return
        except BaseException:
            _kill_all_but(others)
            raise
        try:
            for number in range(len(self._groups)):
                cuts = coming.popleft().result()
                for place, cut in zip(self._room(number), cuts, strict=False):
                    if not cut.broken:
                        cut.panels = place
                yield cuts
                if (later := next(numbers, None)) is not None:
                    coming.append(pool.submit(_work, later))
        except BrokenProcessPool:
            _kill_all_but(others)
        finally:
            pool.shutdown(cancel_futures=True)

    def _start(
        self, workers: int, numbers: Iterator[int]
    ) -> tuple[ProcessPoolExecutor, deque[Future]]:
        """Starts processes, and gives them their first groups."""
        self._memory = Arena(AHEAD * workers * TOGETHER * self.strip_bytes)
        if hasattr(os, "posix_fallocate"):  # its file has no room yet, and a full disk would be
            os.posix_fallocate(self._memory.fd, 0, self._memory.size)  # SIGBUS when it is used
        context = multiprocessing.get_context(START)
        pool = ProcessPoolExecutor(workers, context, _begin, (self,))
        return pool, deque(pool.submit(_work, number) for number in numbers)

    def cut_into_memory(self, number: int) -> list[Cut]:
        """What a group gives, in another process: the panels lie in the shared memory."""
        cuts = self._cut_files(self._groups[number])
        for place, cut in zip(self._room(number), cuts, strict=False):
            if not cut.broken:
                place[:], cut.panels = cut.panels, None
        return cuts

    def _room(self, number: int) -> np.ndarray:
        """The shared memory for the panels of a group: uint8 [TOGETHER, 3, 3, H, W]."""
        rooms = np.frombuffer(self._memory.buffer, np.uint8)
        rooms = rooms.reshape(-1, TOGETHER, 3, 3, self.height, self.width)
        return rooms[number % len(rooms)]

    def _cut_files(self, files: list[dict]) -> list[Cut]:
        """What a few files give.

        Each step is taken for all of them before the next, while its code is still in the
        processor's cache: the pixels of one strip are enough to displace it.
        """
        cuts = [Cut() for _ in files]
        for _ in zip_longest(*map(self._steps, files, cuts)):
            pass
        for cut in cuts:
            if cut.panels is not None:
                cut.fingerprint = fingerprint(cut.panels)
        return cuts

    def _steps(self, file: dict, cut: Cut) -> Iterator[None]:
        """Cuts one file, or takes its panels from the last build where it has them."""
        try:
            if "left_out" in file:  # an archive that cannot be read
                raise BrokenImage(file["path"], file["left_out"])
            before = self._known.get(file["path"])
            if before and stamp(before) == stamp(file):
                if before.get("broken"):
                    raise _refusal(before)
                cut.digest = before.get("sha256", "")
                cut.more_pages = bool(before.get("more_pages"))
            if cut.digest not in self._rows:
                content = self.library.read(file)
                cut.digest = hashlib.sha256(content).hexdigest()
                cut.more_pages = has_more_pages(content)
            if cut.digest in self._rows:
                cut.panels = np.array(self._store.panels[self._rows[cut.digest]])
                return
            if len(content) < LARGE_FILE:
                yield
            image = open_strip(content)
            if image.width * image.height < LARGE_PICTURE:
                yield
            accept = Accept.ANY if self.keep_all else Accept.THREE
            cut.panels = cut_panels(image, self.height, self.width, accept)
        except BrokenImage as error:
            cut.broken = error

    @property
    def strip_bytes(self) -> int:
        return 9 * self.height * self.width


_cutter: Cutter | None = None  # of a process that cuts for another


def _begin(cutter: Cutter) -> None:
    """Begins a process that cuts."""
    global _cutter
    _cutter = cutter
    torch.set_num_threads(1)
    for number in stop_signals():  # its parent's handlers came with it
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches its parent, too, which ends it
    with suppress(RuntimeError):  # no more threads: it works without this one
        Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)


def _work(number: int) -> list[Cut]:
    return _cutter.cut_into_memory(number)


def _kill_all_but(others: list[BaseProcess]) -> None:
    """Ends this process's children. They may not answer to SIGTERM yet."""
    for process in set(multiprocessing.active_children()).difference(others):
        process.kill()
        process.join()


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
