"""Output that cannot fail, whatever it quotes and whether or not anything reads it."""

import io
import os
import sys
from typing import TextIO

QUOTED = 300  # characters


def printable(text: str, limit: int | None = QUOTED) -> str:
    r"""`text` on one line as it may be shown anywhere, its middle left out beyond `limit`.

    Control characters, line ends, what turns the direction of writing and bytes of a file's name
    that are not UTF-8 become escapes: \n, \x1b, \u202e, \xe9.
    """
    if limit is not None and len(text) > limit:
        half = (limit - 3) // 2
        text = f"{text[:half]}...{text[-half:]}"
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def _escape(character: str) -> str:
    if character == "\N{NO-BREAK SPACE}":
        return " "
    if "\udc80" <= character <= "\udcff":  # a byte that is not UTF-8 (surrogateescape)
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def exact(number: float) -> str:
    """A number with all its digits: 0, 0.25, 9,223,372,036,854,775,807."""
    return f"{number:,}".removesuffix(".0")


def tell(text: str) -> None:
    """Prints a line above any progress bar."""
    from tqdm import tqdm

    tqdm.write(text)
    sys.stdout.flush()


class Unfailing(io.RawIOBase):
    """Output that is dropped where it cannot be written (the pipe's reader or the terminal is gone,
    the disk is full), so that it does not end a run of hours."""

    def __init__(self, raw: io.RawIOBase) -> None:
        self.raw = raw

    @classmethod
    def around(cls, stream: TextIO | None) -> TextIO:
        """Such an output for standard output or error, with ? for what its encoding lacks (− on
        Windows). For one that is closed, None, it is one that drops everything: libraries write to
        it without asking."""
        if stream is None:
            nowhere = cls(io.FileIO(os.devnull, "w"))
            return io.TextIOWrapper(nowhere, encoding="utf-8", errors="replace")
        raw = getattr(stream.buffer, "raw", stream.buffer)  # the latter with python -u
        unfailing = cls(raw)
        return io.TextIOWrapper(
            unfailing if raw is stream.buffer else io.BufferedWriter(unfailing),
            encoding=stream.encoding,
            errors="replace",
            line_buffering=stream.line_buffering,
            write_through=stream.write_through,
        )

    def write(self, data: bytes | memoryview) -> int | None:
        try:
            return self.raw.write(data)
        except OSError:
            return len(data)

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self.raw.isatty()

    def fileno(self) -> int:
        return self.raw.fileno()
