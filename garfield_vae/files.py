"""Files that are whole or not there: everything the project writes goes through `replacing`."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def replacing(path: Path, mode: str = "wb") -> Iterator[IO]:
    """Opens a temporary file beside `path` and puts it in place of `path` when the block ends well.

    The bytes reach the disk (fsync) before the name does, so that after a crash a reader finds the
    old file or the new one, never half of one. When the block raises, the temporary file is gone
    and `path` is as it was. Text modes are UTF-8. Threads may write different files at once.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    encoding = None if "b" in mode else "utf-8"
    try:
        with temporary.open(mode.replace("w", "x"), encoding=encoding) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
