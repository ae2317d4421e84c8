"""One run at a time in a folder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from garfield_vae.util.errors import UserError

try:  # Both are let go of by the system when their process dies, however it dies.
    import fcntl
except ImportError:
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def one_run(folder: Path) -> Iterator[None]:
    """Holds `folder` for this process. Raises UserError when another one holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ".lock"
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
        try:
            _lock(descriptor)
        except (BlockingIOError, PermissionError) as error:
            os.close(descriptor)
            raise UserError(
                f"Another download is at work in {folder}: wait until it has ended."
            ) from error
        # The run before may have removed the file between our opening and our locking it.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                break
        os.close(descriptor)
    try:
        yield
    finally:
        with suppress(OSError):  # Windows removes no open file; left, it does no harm
            path.unlink()
        os.close(descriptor)
