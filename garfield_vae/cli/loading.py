"""Loading torch and Lightning takes seconds, in which Ctrl-C should be quiet too."""

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from garfield_vae.util.errors import ENDED_BY, stop_signals


@contextmanager
def loading() -> Iterator[None]:
    """Around imports: a signal to stop ends the process at once, since nothing is under way yet.

    An exception would not do: raised inside of a library's import it may come out as any other
    error, or leave a module that is half there.
    """
    # It says as a warning that it collects fonts, and that a user without a home has no place for
    # them; torchmetrics imports it, too.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in stop_signals():
            before[number] = signal.signal(number, lambda number, _: os._exit(ENDED_BY + number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
