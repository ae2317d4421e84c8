"""Lines on standard output, whatever they quote and whether or not anybody reads them."""

import os
import sys
from contextlib import suppress

QUOTED = 300  # characters


def printable(text: str, limit: int = QUOTED) -> str:
    """`text` on one line without control characters, its middle left out beyond `limit`."""
    if len(text) > limit:
        half = (limit - 3) // 2
        text = f"{text[:half]}...{text[-half:]}"
    return "".join(character if character.isprintable() else " " for character in text)


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
