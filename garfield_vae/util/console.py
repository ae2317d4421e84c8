"""Lines on standard output, whatever they quote and whether or not anybody reads them."""

import os
import sys
from contextlib import suppress

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


def tell(text: str) -> None:
    """Prints a line above any progress bar.

    When standard output was closed or its disk is full, the program goes on in silence.
    """
    from tqdm import tqdm

    if sys.stdout is not None:
        with suppress(OSError):
            tqdm.write(text)
        flush_output()


def flush_output() -> None:
    """Flushes standard output; where that fails, what is printed from here on is dropped."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        with suppress(OSError, ValueError):  # a stream without a descriptor
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            os.close(nowhere)
