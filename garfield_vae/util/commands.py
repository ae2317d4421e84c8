"""Commands that are printed for the user to paste."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def command(script: str, *arguments: str | Path) -> str:
    """The line that runs one of the project's scripts from the current folder, with the Python
    that runs this one, quoted for the shell."""
    path, here = ROOT / script, Path.cwd()
    if path.is_relative_to(here):
        path = path.relative_to(here)
    words = [sys.executable, str(path), *map(str, arguments)]
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)
