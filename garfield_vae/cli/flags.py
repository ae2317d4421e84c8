"""What a flag is: a field of a dataclass that says its default, its help and what it takes.

What a person typed is kept apart from what they did not (`typed`), because a continued run and the
demo change the defaults but never what was typed.
"""

import argparse
from collections.abc import Callable, Collection
from dataclasses import MISSING, Field, field, fields
from typing import Any

LONGEST_VALUE = 4096  # characters of an option in a file: a folder's path


def option(default: Any, group: str, help: str, **argument: Any) -> Any:
    """A dataclass field that is a flag; `argument` goes to `add_argument` (type, metavar …)."""
    return field(default=default, metadata={"group": group, "help": help, "argument": argument})


def whole(least: int) -> Callable[[str], int]:
    """Reads a whole number of at least `least`."""

    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        if value < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}, got {value}")
        return value

    return number


def decimal(least: float, open_end: bool = False) -> Callable[[str], float]:
    """Reads a finite number of at least `least` (above it, with `open_end`)."""

    def number(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
        if not (least < value if open_end else least <= value) or value == float("inf"):
            bound = "above" if open_end else "at least"
            raise argparse.ArgumentTypeError(f"must be {bound} {least:g}, got {text}")
        return value

    return number


def share(text: str) -> float:
    """Reads a number from 0 to 1."""
    value = decimal(0.0)(text)
    if value > 1:
        raise argparse.ArgumentTypeError(f"must be at most 1, got {text}")
    return value


def auto_or(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """Reads the word auto, or what `read` reads."""
    return lambda text: text if text == "auto" else read(text)


def add_options(
    parser: argparse.ArgumentParser, options: type, without: Collection[str] = ()
) -> None:
    """Adds a flag for each field of a dataclass but those in `without`, under its group.

    Flags that are not typed leave nothing in the namespace, so that `typed` tells them from typed
    defaults.
    """
    groups: dict[str, Any] = {}
    for item in fields(options):
        if item.name in without:
            continue
        group, text = item.metadata["group"], item.metadata["help"]
        if group not in groups:
            groups[group] = parser.add_argument_group(group)
        argument = dict(item.metadata["argument"])
        if item.type is bool:
            argument["action"] = "store_true"
        elif item.default not in (None, "", MISSING):
            text += f" (default: {item.default})"
        groups[group].add_argument(
            f"--{item.name}", default=argparse.SUPPRESS, help=text.replace("%", "%%"), **argument
        )


def typed(namespace: argparse.Namespace, options: type) -> dict[str, Any]:
    """The flags of `options` that were given on the command line, by name."""
    names = {item.name for item in fields(options)}
    return {name: value for name, value in vars(namespace).items() if name in names}


def fits(item: Field, value: Any) -> bool:
    """Whether `value` is the field's default, or what its flag reads from the value's own text."""
    argument = item.metadata["argument"]
    if value is None or item.type is bool or isinstance(value, bool):
        return value is item.default or (item.type is bool and isinstance(value, bool))
    try:
        text = str(value)  # of a number with thousands of digits Python makes none
        if "\0" in text or len(text) > LONGEST_VALUE or argument.get("type", str)(text) != value:
            return False
    except (argparse.ArgumentTypeError, ValueError):
        return False
    return value in argument.get("choices", (value,))
