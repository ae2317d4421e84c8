"""Commands that are printed for the user to paste, in an environment that may not be activated."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def command(script: str, *arguments: str | Path) -> str:
    """The line that runs one of the project's scripts from the current folder, with the Python
    that runs this one, quoted for the shell."""
    return line(sys.executable, from_here(script), *arguments)


def program(name: str, *arguments: str | Path) -> str:
    """The line that runs a program which was installed beside the Python that runs this one."""
    own = Path(sys.executable).with_name(name)
    found = shutil.which(name)
    known = found is not None and Path(found).parent == own.parent
    return line(name if known or not shutil.which(own) else own, *arguments)


def install(requirements: str, python: str | Path | None = None) -> str:
    """The line that installs what one of the project's files of requirements lists."""
    return line(python or sys.executable, "-m", "pip", "install", "-r", from_here(requirements))


def how_to_install() -> str:
    """What to do where the Python that runs this lacks a package. A system's Python often refuses
    to install any, so that outside of an environment one is made, or the project's is named."""
    if sys.prefix != sys.base_prefix:
        return install("requirements.txt")
    environment = from_here(".venv")
    python = environment / ("Scripts" if os.name == "nt" else "bin") / "python"
    if shutil.which(python):
        return f"run the same with {line(python)}"
    made = line(sys.executable, "-m", "venv", environment)
    return (
        f"{made}, then {install('requirements.txt', python)}, and run the same with {line(python)}"
    )


def from_here(name: str) -> Path:
    """One of the project's files as it is named from the current folder."""
    path, here = ROOT / name, Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def line(*words: str | Path) -> str:
    texts = list(map(str, words))
    return subprocess.list2cmdline(texts) if os.name == "nt" else shlex.join(texts)
