"""Ctrl-C, SIGTERM and SIGHUP: noted when they come, obeyed between two batches.

A signal that raised an exception wherever it happened to come would leave half a step behind: an
optimizer's state from after it, an average from before. So it only leaves a note, which
`RunCheckpoints` reads where a checkpoint is exact.
"""

import os
import signal
import time
from contextlib import suppress
from types import FrameType

from garfield_vae.util.errors import ENDED_BY, stop_signals

SAME_SECONDS = 1.0  # torchrun hands on to its processes a signal that the terminal gave them, too


class Stopped(Exception):
    """The run was asked to stop, and all of it is in last.ckpt."""


class StopSignals:
    """While entered, the first signal is noted in `asked`, and a second one ends the run at once
    by a KeyboardInterrupt."""

    def __init__(self) -> None:
        self.asked: int | None = None

    def __enter__(self) -> "StopSignals":
        self._before = {number: signal.signal(number, self._note) for number in stop_signals()}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.asked is None:
            self.asked, self._noted = number, time.monotonic()
            with suppress(OSError):  # the terminal may be gone
                # not print, which may be what was interrupted
                os.write(2, b"stopping after this batch (Ctrl-C again: at once)\n")
        elif time.monotonic() - self._noted > SAME_SECONDS:
            raise KeyboardInterrupt

    @property
    def status(self) -> int:
        """The exit status that says which signal it was. Where only another process of the run was
        asked, all end as that one asks of its children."""
        return ENDED_BY + (self.asked or signal.SIGTERM)
