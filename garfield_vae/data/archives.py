"""Strips in a .zip or .tar, read one by one without unpacking the archive into a folder.

Nothing that an archive declares is trusted: its names never become paths on the disk, each picture
is read up to `images.MAX_BYTES`, and a compressed .tar is unpacked, into an unnamed temporary file,
no further than pictures can have been compressed.
"""

import bz2
import errno
import gzip
import io
import lzma
import os
import re
import tarfile
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO

from garfield_vae.data.images import MAX_BYTES, BrokenImage, UnreadFile, is_refusal
from garfield_vae.util.console import printable
from garfield_vae.util.errors import can_have
from garfield_vae.util.files import open_regular

ZIPS = (".zip", ".cbz")
TARS = (".tar", ".cbt", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
# What an archive is, its first bytes say; many a .cbr is a zip.
ZIP, UNREADABLE = (b"PK\3\4", b"PK\5\6"), (b"Rar!\x1a", b"7z\xbc\xaf")
PACKED: dict[bytes, Callable[[IO[bytes]], IO[bytes]]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}
DRIVE = re.compile("[A-Za-z]:")
MAX_MEMBERS = 1_000_000
LONGEST_NAME, LONGEST_PATH = 255, 4096  # characters, in which file systems count, or fewer bytes
# Of a compressed .tar: bitmaps grow perhaps a hundredfold.
MAX_GROWTH, ALWAYS_ALLOWED = 200, 256 * 2**20


def is_archive(name: str) -> bool:
    return name.lower().endswith((*ZIPS, *TARS))


class BrokenArchive(BrokenImage):
    """An archive that cannot be read. `reason` says why without its name."""


class Archive:
    """An archive that is open for reading, by processes forked from this one, too.

    sizes: the declared bytes of each file in it, by path. passed_over: the number of other members
    by kind: paths that lead out of the archive or are too long, links, devices, and those of which
    a later one has the name.

    Raises BrokenArchive where the file is no archive, or a damaged one, and UnreadFile where the
    system refuses to read it, or to keep it unpacked.
    """

    def __init__(self, path: Path):
        self.passed_over: Counter[str] = Counter()
        try:
            self._file = open_regular(path)
            start = self._file.read(8)
            self._file.seek(0)
            if start.startswith(UNREADABLE):
                raise BrokenArchive(path.name, "it is a RAR or 7z archive: unpack it")
            if start.startswith(ZIP) or path.name.lower().endswith(ZIPS):
                self._zip = zipfile.ZipFile(_OwnPlace(self._file))
                found = [
                    (info.filename, info) for info in self._zip.infolist() if not info.is_dir()
                ]
            else:
                self._zip = None
                self._file = _unpacked(path, self._file, start)
                with tarfile.open(fileobj=self._file, mode="r:") as tar:
                    members = [info for info in tar if not info.isdir()]
                found = _with_hard_links(members)
                self.passed_over["as links or devices"] += len(members) - len(found)
        except BrokenArchive:
            raise
        except Exception as error:  # these readers raise a dozen types for a damaged file
            raise _fault(BrokenArchive, path.name, error) from error
        if len(found) > MAX_MEMBERS:
            raise BrokenArchive(path.name, f"it holds more than {MAX_MEMBERS:,} files")
        self._members = {}
        for raw, info in found:
            name = raw.replace("\\", "/").lstrip("/").removeprefix("./")  # \\: from Windows
            if not _inside(name):
                self.passed_over["path out of its archive"] += 1
            elif len(name) > LONGEST_PATH or max(map(len, name.split("/"))) > LONGEST_NAME:
                self.passed_over["with a longer name than files have"] += 1
            else:
                self.passed_over["with the name of a later one"] += name in self._members
                self._members[name] = info
        self.sizes = {
            name: info.file_size if self._zip else info.size for name, info in self._members.items()
        }

    def read(self, name: str) -> bytes:
        """The bytes of a file. Raises BrokenImage when it is damaged, encrypted or too large, and
        UnreadFile where the system refuses to read it."""
        content = b""
        try:
            member = self._members[name.replace("\\", "/")]  # stores of before have \\
            if self._zip:
                with self._zip.open(member) as file:
                    content = file.read(MAX_BYTES + 1)
            else:
                size = min(member.size, MAX_BYTES + 1)
                content = _read_at(self._file, member.offset_data, size)
                if len(content) < size:
                    raise EOFError("the archive ends within it")
        except Exception as error:  # as above
            raise _fault(BrokenImage, name, error) from error
        if len(content) > MAX_BYTES:
            raise BrokenImage(name, f"it is larger than {MAX_BYTES // 2**20} MiB")
        return content

    def close(self) -> None:
        if self._zip:
            self._zip.close()
        self._file.close()


def _read_at(file: IO[bytes], place: int, size: int) -> bytes:
    """Reads from a place, on systems that fork without the file's position, since that is shared
    with the processes that were forked."""
    if not hasattr(os, "pread"):
        file.seek(place)
        return file.read(size)
    content = b""
    while part := os.pread(file.fileno(), size - len(content), place + len(content)):
        content += part
    return content


class _OwnPlace(io.RawIOBase):
    """A file that is read from a position of its own: see `_read_at`."""

    def __init__(self, file: IO[bytes]):
        self._file, self._place = file, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        size = os.fstat(self._file.fileno()).st_size
        place = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: size}[whence]
        if place < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._place = place
        return place

    def readinto(self, buffer: memoryview) -> int:
        content = _read_at(self._file, self._place, len(buffer))
        buffer[: len(content)] = content
        self._place += len(content)
        return len(content)


def _inside(name: str) -> bool:
    """Whether a path stays in the archive, on any system."""
    parts = PurePosixPath(name).parts
    return bool(parts) and ".." not in parts and not DRIVE.match(name)


def _with_hard_links(members: list[tarfile.TarInfo]) -> list[tuple[str, tarfile.TarInfo]]:
    """The regular files of a .tar by name, among them those that are hard links to one before."""
    found, files = [], {}
    for info in members:
        file = files.get(info.linkname) if info.islnk() else info
        if file and file.isreg() and not file.issparse():
            files[info.name] = file
            found.append((info.name, file))
    return found


def _unpacked(path: Path, file: IO[bytes], start: bytes) -> IO[bytes]:
    """An uncompressed .tar: the file itself, or a temporary one that goes when it is closed."""
    opener = next((PACKED[magic] for magic in PACKED if start.startswith(magic)), None)
    if opener is None:
        return file
    allowed = max(ALWAYS_ALLOWED, MAX_GROWTH * path.stat().st_size)
    plain = tempfile.TemporaryFile()  # noqa: SIM115
    with file, opener(file) as packed:
        while part := packed.read(2**20):
            plain.write(part)
            if plain.tell() > allowed:
                raise BrokenArchive(path.name, "it unpacks to far more than pictures would")
    plain.seek(0)
    return plain


def _fault(damage: type[BrokenImage], name: str, error: Exception) -> Exception:
    """What to raise for a reader's error."""
    # A damaged archive can ask for any memory: that is no reason to end.
    if isinstance(error, MemoryError) and not can_have(4 * MAX_BYTES):
        return MemoryError()
    kind = UnreadFile if is_refusal(error) else damage
    return kind(name, _why(error))


def _why(error: Exception) -> str:
    if isinstance(error, RuntimeError) and "password" in str(error):
        return "it is encrypted"
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return f"it cannot be read ({printable(reason, 100)})"
