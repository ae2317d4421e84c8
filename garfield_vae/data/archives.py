"""Strips in a .zip or .tar, read one by one without unpacking the archive into a folder.

No name in an archive becomes a path on the disk. Sizes that an archive declares are not trusted:
each picture is read up to the limit of `images.MAX_BYTES`, and a compressed .tar is unpacked, into
a temporary file without a name, only as far as pictures can be compressed at all.
"""

import bz2
import gzip
import lzma
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import IO

from garfield_vae.data.images import MAX_BYTES, BrokenImage
from garfield_vae.util.console import printable
from garfield_vae.util.files import open_regular

ZIPS = (".zip", ".cbz")
TARS: dict[str, Callable[[IO[bytes]], IO[bytes]] | None] = {
    ".tar": None,
    ".cbt": None,
    ".tar.gz": gzip.open,
    ".tgz": gzip.open,
    ".tar.bz2": bz2.open,
    ".tbz2": bz2.open,
    ".tar.xz": lzma.open,
    ".txz": lzma.open,
}
MAX_MEMBERS = 1_000_000
# A .tar of pictures grows little in unpacking, one of bitmaps perhaps a hundredfold.
MAX_GROWTH, ALWAYS_ALLOWED = 200, 256 * 2**20


def is_archive(name: str) -> bool:
    return name.lower().endswith((*ZIPS, *TARS))


class BrokenArchive(BrokenImage):
    """An archive that cannot be read. `reason` says why without its name."""


class Archive:
    """An archive that is open for reading. Several threads may read from it at once.

    sizes: the bytes that each file in it declares, by its path there. Paths that lead out of the
    archive, links and devices are not among them.
    Raises BrokenArchive where there is no archive, or a damaged or encrypted one.
    """

    def __init__(self, path: Path):
        self.path, self._lock = path, Lock()
        try:
            self._file = open_regular(path)
            if path.name.lower().endswith(ZIPS):
                self._zip = zipfile.ZipFile(self._file)
                found = [
                    (info.filename, info) for info in self._zip.infolist() if not info.is_dir()
                ]
            else:
                self._zip = None
                self._file = _unpacked(path, self._file)
                with tarfile.open(fileobj=self._file, mode="r:") as tar:
                    found = [
                        (info.name, info) for info in tar if info.isreg() and not info.issparse()
                    ]
        except BrokenArchive:
            raise
        except Exception as error:  # their readers raise a dozen kinds for a damaged file
            raise BrokenArchive(path.name, _why(error)) from error
        if len(found) > MAX_MEMBERS:
            raise BrokenArchive(path.name, f"it holds more than {MAX_MEMBERS:,} files")
        self._members = {
            name: info for raw, info in found if (name := raw.removeprefix("./")) and _inside(name)
        }
        self.sizes = {
            name: info.file_size if self._zip else info.size for name, info in self._members.items()
        }

    def read(self, name: str) -> bytes:
        """The bytes of a file. Raises BrokenImage when it is damaged, encrypted or too large."""
        member, content = self._members[name], b""
        try:
            if self._zip:
                with self._zip.open(member) as file:
                    content = file.read(MAX_BYTES + 1)
            else:
                with self._lock:
                    self._file.seek(member.offset_data)
                    content = self._file.read(min(member.size, MAX_BYTES + 1))
                if len(content) < min(member.size, MAX_BYTES + 1):
                    raise EOFError("the archive ends within it")
        except Exception as error:  # as above
            raise BrokenImage(name, _why(error)) from error
        if len(content) > MAX_BYTES:
            raise BrokenImage(name, f"it is larger than {MAX_BYTES // 2**20} MiB")
        return content

    def close(self) -> None:
        if self._zip:
            self._zip.close()
        self._file.close()


def _inside(name: str) -> bool:
    """Whether a path stays in the archive, on any system."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return bool(parts) and parts[0] != "/" and ".." not in parts and ":" not in parts[0]


def _unpacked(path: Path, file: IO[bytes]) -> IO[bytes]:
    """An uncompressed .tar: the file itself, or a temporary one that goes when it is closed."""
    suffix = max((s for s in TARS if path.name.lower().endswith(s)), key=len)
    if TARS[suffix] is None:
        return file
    allowed = max(ALWAYS_ALLOWED, MAX_GROWTH * path.stat().st_size)
    plain = tempfile.TemporaryFile()  # noqa: SIM115
    with file, TARS[suffix](file) as packed:
        while part := packed.read(2**20):
            plain.write(part)
            if plain.tell() > allowed:
                raise BrokenArchive(path.name, "it unpacks to far more than pictures would")
    plain.seek(0)
    return plain


def _why(error: Exception) -> str:
    if isinstance(error, RuntimeError) and "password" in str(error):
        return "it is encrypted"
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return f"it cannot be read ({printable(reason, 100)})"
