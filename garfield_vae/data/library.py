"""Finds every picture below a folder or in an archive, and counts what it passes over."""

import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path, PurePosixPath

from garfield_vae.data.archives import ZIP, Archive, is_archive
from garfield_vae.data.images import (
    SUFFIXES,
    BrokenImage,
    UnreadFile,
    read_start,
    read_strip,
    seems_a_picture,
)
from garfield_vae.util.console import printable
from garfield_vae.util.errors import UserError

# Archives that nothing here can read, unless they are zips under another name.
LOCKED = frozenset((".rar", ".cbr", ".7z", ".cb7", ".ace", ".cba"))
READABLE = ".zip, .cbz and .tar"
NESTED = " within an archive"

# Files of operating systems, passed over in silence.
UNSAID = {"thumbs.db", "desktop.ini", "__macosx"}
# Archives: systems allow 256 open files and more.
MOST_OPEN = 64
# Instead of its time, so that a file that could not be read counts as changed once it can.
UNREAD = None
KIND = re.compile(r"\.(?=.*[a-z])[a-z0-9]{1,8}")  # an extension that says what a file is


class Library:
    """The pictures of an archive, or of a folder with all folders and archives in it.

    files: a dictionary for each picture: its path ("1985.cbz/1985/1985-03-12.gif"), its size in
    bytes and mtime_ns (in an archive, the archive's), and the archive, if it is in one. An archive
    that cannot be read is among them, with the reason as "left_out".
    passed_over: the number of other files by kind. archives: what each archive holds; given to the
    next Library as `known`, it saves opening those that have not changed.

    Raises UserError where the place does not exist or cannot be read.
    """

    def __init__(self, place: Path, known: dict[str, dict] | None = None):
        self.place, self._known = place, known or {}
        self.files: list[dict] = []
        self.passed_over: Counter[str] = Counter()
        self.archives: dict[str, dict] = {}
        self._open: dict[str, Archive] = {}
        if place.is_file() and (is_archive(place.name) or _is_zip(place)):
            self._add_archive(place, "")
        elif place.is_dir():
            self._walk()
        else:
            name = printable(str(place))
            if place.is_file() and place.suffix.lower() in LOCKED:
                raise UserError(f"{name} cannot be read (of archives, {READABLE} can): unpack it")
            raise UserError(
                f"{name} is not a folder; give the folder, or the .zip, .cbz or .tar archive, that "
                f"holds the strips"
            )

    def read(self, file: dict) -> bytes:
        """A picture's bytes. Raises BrokenImage."""
        if (name := file.get("archive")) is None:
            return read_strip(self.place / file["path"])
        return self._archive(name).read(file["path"].removeprefix(f"{name}/"))

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_open": {}}  # another process opens its archives itself

    def _archive(self, name: str) -> Archive:
        """An archive, open, and the last one to be closed when more are needed."""
        archive = self._open.pop(name, None)
        while len(self._open) >= MOST_OPEN:
            self._open.pop(next(iter(self._open))).close()
        self._open[name] = archive or Archive(self.place / name)
        return self._open[name]

    def close(self) -> None:
        while self._open:
            self._open.popitem()[1].close()

    def _walk(self) -> None:
        def fail(error: OSError) -> None:
            if Path(error.filename) == self.place:
                raise UserError(
                    f"{printable(str(self.place))} cannot be read ({error.strerror})"
                ) from error
            self.passed_over["folder that cannot be read"] += 1

        for parent, folders, names in os.walk(self.place, onerror=fail):
            folders[:] = [name for name in folders if not _unsaid(name)]
            if _is_own_output(Path(parent), folders, names):
                self.passed_over["folder of a run"] += 1
                folders.clear()
                continue
            self.passed_over["linked folder"] += sum(Path(parent, f).is_symlink() for f in folders)
            for name in names:
                if _unsaid(name):
                    continue
                path = Path(parent, name)
                relative = path.relative_to(self.place).as_posix()
                try:
                    status = path.stat()
                except OSError:
                    self.passed_over["broken link"] += 1  # or a file that has just gone
                    continue
                if not stat.S_ISREG(status.st_mode):
                    self.passed_over["pipe or device"] += 1
                elif is_archive(name) or _is_zip(path):
                    self._add_archive(path, relative)
                elif kind := _other_kind(name, partial(read_start, path)):
                    self.passed_over[kind] += 1
                else:
                    time_ns = status.st_mtime_ns if os.access(path, os.R_OK) else UNREAD
                    self.files.append(
                        {"path": relative, "size": status.st_size, "mtime_ns": time_ns}
                    )

    def _add_archive(self, path: Path, relative: str) -> None:
        """relative: its path in the folder; empty for the place itself."""
        status = path.stat()
        stamp = {"size": status.st_size, "mtime_ns": status.st_mtime_ns}
        found = self._known.get(relative, {})
        if {key: found.get(key) for key in stamp} != stamp:
            found = stamp | self._list(relative)
        self.archives[relative] = found
        self.passed_over.update(found["passed_over"])
        inside = f"{relative}/" if relative else ""
        for name, size in found["members"].items():
            file = {"path": inside + name, "size": size, "mtime_ns": stamp["mtime_ns"]}
            self.files.append(file | {"archive": relative})
        if reason := found.get("broken"):
            self.files.append(
                {"path": relative or path.name, "broken": True, "left_out": reason}
                | {key: found[key] for key in stamp}
            )

    def _list(self, relative: str) -> dict:
        try:
            archive = self._archive(relative)
        except BrokenImage as error:
            unread = {"mtime_ns": UNREAD} if isinstance(error, UnreadFile) else {}
            return {"members": {}, "passed_over": {}, "broken": error.reason} | unread
        members, passed_over = {}, +archive.passed_over  # without kinds that it has none of
        for name, size in archive.sizes.items():
            *folders, last = PurePosixPath(name).parts
            if any(_unsaid(part) for part in (*folders, last)):
                continue
            if is_archive(last):
                passed_over[PurePosixPath(last).suffix + NESTED] += 1
            elif kind := _other_kind(last, partial(archive.read, name)):
                passed_over[kind] += 1
            else:
                members[name] = size
        return {"members": members, "passed_over": dict(passed_over)}


def _is_own_output(folder: Path, folders: list[str], names: list[str]) -> bool:
    """Whether it is the folder of a run, or that of a model's pictures: what a model has drawn is
    nothing to train the next one on."""
    is_run = "options.json" in names and "checkpoints" in folders
    return is_run or (folder.name == "processed" and "model.json" in names)


def _is_zip(path: Path) -> bool:
    """Whether a file that is called .cbr or the like is a zip, as many are."""
    with suppress(BrokenImage):
        return path.suffix.lower() in LOCKED and read_start(path).startswith(ZIP)
    return False


def _unsaid(name: str) -> bool:
    return name.startswith(".") or name.lower() in UNSAID


def _other_kind(name: str, start: Callable[[], bytes]) -> str | None:
    """What kind of file it is by its name, or None for a picture.

    Where the name has no known extension, as after many a download ("ga850312.gif?w=900", or only
    the day), its first bytes decide.
    """
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in SUFFIXES:
        return None
    if KIND.fullmatch(suffix):
        return suffix
    try:
        return None if seems_a_picture(start()) else "without an extension"
    except UnreadFile:  # named with the pictures that cannot be read
        return None
    except BrokenImage:
        return "without an extension"


def counted(kinds: dict[str, int], most: int = 6) -> Iterator[str]:
    """The commonest kinds with their numbers, such as "30 .pdf", and the number of the rest."""
    ordered = sorted(kinds.items(), key=lambda kind: (-kind[1], kind[0]))
    yield from (f"{count:,} {kind}" for kind, count in ordered[:most] if count)
    if rest := sum(count for _, count in ordered[most:]):
        yield f"{rest:,} others"
