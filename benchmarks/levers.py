"""Levers: single changes of how the product trains. What ablations.py and prior.py share."""

import argparse
import subprocess
import sys
from collections.abc import Callable, Collection
from types import ModuleType
from typing import Any

Lever = dict[str, Any] | Callable[[], None]  # other options, or a change of the code

# For trainings of which nothing is shown or kept.
QUIET_TRAINER = {
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "num_sanity_val_steps": 0,
}


def constants(owner: ModuleType | type, **values: Any) -> Callable[[], None]:
    """Replaces names of a module or of a class; each lever has its own process."""

    def change() -> None:
        for name, value in values.items():
            if not hasattr(owner, name):
                raise AttributeError(f"{owner.__name__} has no {name}")
            setattr(owner, name, value)

    return change


def read_command_line(parser: argparse.ArgumentParser, known: Collection[str]) -> Any:
    """Adds --list and --levers; `levers` of the result is a list of names that are all known."""
    parser.add_argument("--list", action="store_true", help="print the levers and stop")
    parser.add_argument("--levers", default=",".join(known), help="which, with commas")
    options = parser.parse_args()
    if options.list:
        print("\n".join(known))
        sys.exit()
    options.levers = options.levers.split(",")
    if unknown := set(options.levers) - set(known):
        parser.error(f"no such lever: {', '.join(sorted(unknown))}; --list prints them")
    return options


def run_alone(script: str, lever: str, flags: dict[str, Any]) -> None:
    """Runs a benchmark for one lever in a process of its own, which prints its row."""
    command = [f"--{name}={value}" for name, value in flags.items() if value is not None]
    command = [sys.executable, script, f"--levers={lever}", *command]
    if subprocess.run(command, check=False).returncode:
        print(f"{lever:40} failed", flush=True)
