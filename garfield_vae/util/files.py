"""Files that are written completely or not at all, and readers that no pipe or device can block.

Everything the project writes goes through `replacing`; every file whose name comes from outside is
opened by `open_regular`.
"""

import errno
import glob
import json
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout

from garfield_vae.util.errors import UserError

NEVER_WAITING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
ABANDONED_AFTER = 3600.0  # seconds after which a temporary file is that of a killed process


class CannotWrite(UserError, OSError):
    """The system refuses to write a file. Attributes are OSError's."""

    def __str__(self) -> str:
        return f"{self.filename} cannot be written ({self.strerror}): {remedy(self)}"


def remedy(error: OSError) -> str:
    """What the user can do about a file that the system refuses to write."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "make room"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "make the folder writable, or choose another one"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return "close other programs, or allow more open files (ulimit -n)"
    return "choose another folder"


def open_regular(path: Path) -> IO[bytes]:
    """Opens a file to read its bytes. Raises OSError where the name is that of a folder, a pipe, a
    socket or a device, which could block a reader or have no end."""
    descriptor = os.open(path, os.O_RDONLY | NEVER_WAITING)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_text(path: Path, most: int = -1) -> str:
    """The text of a UTF-8 file, without a byte-order mark; at most its first `most` bytes.

    Raises OSError, and ValueError where it is not UTF-8.
    """
    with open_regular(path) as file:
        return file.read(most).decode("utf-8-sig")


def read_json(path: Path, most: int = -1) -> Any:
    """The value in a JSON file. Raises OSError, and ValueError where it holds no JSON."""
    try:
        return json.loads(read_text(path, most))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


@contextmanager
def replacing(path: Path, mode: str = "wb") -> Iterator[IO]:
    """Opens a temporary file beside `path` and puts it in place of `path` when the block ends well.

    The bytes reach the disk (fsync) before the name does, so that after a crash a reader finds the
    old file or the new one, never half of one. When the block raises, the temporary file is gone,
    and so are folders that were made for it, and `path` is as it was. Temporary files that killed
    processes left for the same `path` are removed. Text modes are UTF-8. Threads may write
    different files at once.

    Raises CannotWrite where the system refuses to write.
    """
    temporary = temporary_name(path)
    encoding = None if "b" in mode else "utf-8"
    missing = [folder for folder in path.parents if not folder.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(path.parent, glob.escape(path.name))
        with temporary.open(mode.replace("w", "x"), encoding=encoding) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
            for folder in missing:
                folder.rmdir()  # refused where something else is in it
        if isinstance(error, OSError) and error.errno:
            # what fails in the block with another file's name is no matter of this one
            named = Path(str(error.filename or temporary))
            if named == temporary or named in path.parents:
                raise CannotWrite(error.errno, error.strerror, str(path)) from error
        raise


@contextmanager
def locked(folder: Path, otherwise: str) -> Iterator[None]:
    """Holds `folder`/.lock for this process.

    Raises UserError(otherwise) where another process holds it, and CannotWrite where there can be
    no such file. On a file system without locks nothing is locked.
    """
    lock = FileLock(folder / ".lock", blocking=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise UserError(otherwise) from error
    except NotImplementedError:
        pass
    except OSError as error:
        raise CannotWrite(error.errno, error.strerror, str(folder)) from error
    try:
        yield
    finally:
        lock.release()


def temporary_name(path: Path) -> Path:
    """A name beside `path` for what will be renamed to `path` when it is whole."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")


def remove_abandoned(folder: Path, name: str = "*", age: float = ABANDONED_AFTER) -> None:
    """Removes the temporary files and folders that killed processes left in `folder`, for files of
    that name (a glob pattern): those that nothing has written to for `age` seconds."""
    for left in folder.glob(f".{name}.????????.tmp"):
        with suppress(OSError):  # another process was faster, or it is not ours to remove
            if left.lstat().st_mtime <= time.time() - age:
                shutil.rmtree(left) if left.is_dir() else left.unlink()
