"""The one kind of error that a person is meant to read, and how a script ends."""

import sys
from collections.abc import Callable
from typing import NoReturn

FAULT, INTERRUPTED = 2, 130  # exit statuses; 130 is the shell's own for Ctrl-C


class UserError(Exception):
    """A fault that the person at the keyboard can mend.

    Its text is one sentence that says what was wrong and what to do about it. Everything else is
    a bug and keeps its traceback.
    """


def run_script(main: Callable[[], int]) -> NoReturn:
    """Runs a script's `main` and ends the process with its status; a UserError is one line.

    A console or a pipe whose encoding has no − or ×, as on Windows, shows ? in its place.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")
    try:
        sys.exit(main())
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(FAULT)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
