"""Files that are whole or not there: everything the project writes goes through `replacing`."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from garfield_vae.util.errors import UserError


class CannotWrite(UserError, OSError):
    """The disk is full, or the folder may not be written in. Attributes are OSError's."""

    def __str__(self) -> str:
        return (
            f"{self.filename} cannot be written ({self.strerror}): "
            f"make room, or make the folder writable"
        )


@contextmanager
def replacing(path: Path, mode: str = "wb") -> Iterator[IO]:
    """Opens a temporary file beside `path` and puts it in place of `path` when the block ends well.

    The bytes reach the disk (fsync) before the name does, so that after a crash a reader finds the
    old file or the new one, never half of one. When the block raises, the temporary file is gone,
    and so are folders that were made for it, and `path` is as it was. Text modes are UTF-8. Threads
    may write different files at once.

    Raises CannotWrite where the system refuses to write.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    encoding = None if "b" in mode else "utf-8"
    missing = [folder for folder in path.parents if not folder.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open(mode.replace("w", "x"), encoding=encoding) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
            for folder in missing:
                folder.rmdir()  # refused where somebody else has put something in it
        if isinstance(error, OSError) and error.errno:
            # what fails in the block with another file's name is no matter of this one
            named = Path(str(error.filename or temporary))
            if named == temporary or named in path.parents:
                raise CannotWrite(error.errno, error.strerror, str(path)) from error
        raise
