"""Errors that a user is meant to read, and how a script ends."""

import errno
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

from garfield_vae.util.commands import how_to_install
from garfield_vae.util.console import Unfailing

FAULT = 2  # exit status after a UserError
ENDED_BY = 128  # and the signal's number: the shell's status of a process that a signal ended
INTERRUPTED = ENDED_BY + signal.SIGINT

# How libraries say it where they raise neither MemoryError nor OSError(ENOMEM).
NO_MEMORY = (
    "can't allocate memory",  # torch's allocator on a CPU
    "cannot allocate memory",
    "out of memory",  # CUDA, MPS
    "std::bad_alloc",
    "failed to map segment",  # the loader of shared libraries
)
# These have other causes, too: they count only where hardly any memory is left.
MAYBE_NO_MEMORY = ("could not create a primitive", "can't start new thread")
HARDLY_ANY = 64 * 2**20  # bytes


class UserError(Exception):
    """An error that the user can do something about.

    Its text is one sentence that says what was wrong and what to do about it. Everything else is
    a bug and keeps its traceback.
    """


def lacks_memory(error: BaseException) -> bool:
    """Whether an exception, or one that led to it, says that there is not enough memory."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
            return True
        if isinstance(error, RuntimeError | ImportError | OSError):
            text = str(error).lower()
            if any(sign in text for sign in NO_MEMORY):
                return True
            if any(sign in text for sign in MAYBE_NO_MEMORY) and not can_have(HARDLY_ANY):
                return True
        error = error.__cause__ or error.__context__
    return False


def can_have(size: int) -> bool:
    try:
        bytes(size)  # which touches none of them, as bytearray would
    except MemoryError:
        return False
    return True


def own(module: str | None) -> bool:
    """Whether a module is the project's: if one of those is missing, that is a bug."""
    return module is None or module.partition(".")[0] == __name__.partition(".")[0]


def stop_signals() -> list[signal.Signals]:
    """What asks a process to stop: Ctrl-C, SIGTERM, and SIGHUP, which comes when a terminal is
    closed; without what the process was started to ignore, as SIGHUP under nohup."""
    names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    numbers = [getattr(signal, name) for name in names]
    return [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]


def run_script(main: Callable[[], int]) -> NoReturn:
    """Runs a script's `main` and ends the process with its status; a UserError is one line.

    SIGTERM and SIGHUP unwind the program as Ctrl-C does, so that no temporary file is left. Once
    `main` has ended there is nothing to unwind, and an exception would be a traceback out of
    whatever runs while Python ends: a further Ctrl-C is ignored, the others end it at once.
    """
    sys.stdout, sys.stderr = Unfailing.around(sys.stdout), Unfailing.around(sys.stderr)
    for number in stop_signals():
        signal.signal(number, lambda number, _: sys.exit(ENDED_BY + number))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception as error:
        if lacks_memory(error):
            error = UserError(
                "there is not enough memory: close other programs, or take a smaller model "
                "(--c_hidden, --z_dim) or smaller batches (--batch_size)"
            )
        if isinstance(error, ModuleNotFoundError) and not own(error.name):
            error = UserError(
                f"{error.name} is not installed for {sys.executable}: {how_to_install()}"
            )
        if not isinstance(error, UserError):
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(FAULT)
    finally:
        for number in stop_signals():
            ignored = number == signal.SIGINT
            signal.signal(number, signal.SIG_IGN if ignored else signal.SIG_DFL)
