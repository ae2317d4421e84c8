"""Loading torch and Lightning takes seconds, in which Ctrl-C should be quiet too."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from garfield_vae.util.errors import INTERRUPTED


@contextmanager
def loading() -> Iterator[None]:
    """Around imports: Ctrl-C ends the process at once, since nothing is under way yet.

    A KeyboardInterrupt would not do: raised inside of a library's import it may come out as any
    other error, or leave a module that is half there.
    """
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
