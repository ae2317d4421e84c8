"""A flag is a field of a dataclass that has its default, its help and its type.

`typed` tells the flags on the command line from defaults, because a continued run and the demo
change defaults only. Nothing heavy is imported here: --help and a wrong flag are answered before
torch is loaded.
"""

import argparse
import sys
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import MISSING, Field, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from garfield_vae.util.console import exact, printable
from garfield_vae.util.errors import UserError

LAST_NAME, PRETRAINED_NAME = "last", "pretrained"  # words that stand for a model's folder
LONGEST_VALUE = 4096  # characters of an option in a file: a folder's path


def option(
    default: Any, group: str, help: str, needs: tuple[str, ...] = (), **argument: Any
) -> Any:
    """A dataclass field that is a flag; `argument` goes to `add_argument` (type, metavar …).

    `needs`: the other flags, one of which it needs to have an effect; see `refuse_idle_flags`.
    """
    metadata = {"group": group, "help": help, "needs": needs, "argument": argument}
    return field(default=default, metadata=metadata)


def whole(least: int, most: int = 2**63 - 1) -> Callable[[str], int]:
    """Reads a whole number from `least` to `most`."""

    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a whole number") from None
        check_range(value, least, most, text)
        return value

    return number


def decimal(
    least: float, most: float = sys.float_info.max, open_end: bool = False
) -> Callable[[str], float]:
    """Reads a number from `least` (above it, with `open_end`) to `most`."""

    def number(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a number") from None
        if open_end and value == least:
            raise argparse.ArgumentTypeError(f"must be above {least:g}, got {text[:40]}")
        check_range(value, least, most, text)
        return value

    return number


def check_range(value: float, least: float, most: float, text: str) -> None:
    """Raises ArgumentTypeError outside of the range, which nan is."""
    if not value >= least:
        raise argparse.ArgumentTypeError(f"must be at least {exact(least)}, got {text[:40]}")
    if value > most:
        raise argparse.ArgumentTypeError(f"must be at most {exact(most)}, got {text[:40]}")


share = decimal(0.0, 1.0)


def path(text: str) -> str:
    """Reads the name of a file or folder."""
    if not text.strip():
        raise argparse.ArgumentTypeError("must be the name of a file or folder, got none")
    return text


def recorded_path(text: str) -> str:
    """Reads the name of a file or folder that a run's own files, which are UTF-8, have in them."""
    if not is_utf8(text):
        raise argparse.ArgumentTypeError(
            f"{printable(text, 100)} is not UTF-8, as what a run writes down has to be: rename it"
        )
    return path(text)


def is_utf8(name: str) -> bool:
    """Whether a file's name is text: bytes that are none stand in it as lone surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def reachable(read: Callable[[str], str]) -> Callable[[str], str]:
    """Reads a path, and asks the system for it: there may be nothing, but it must be a name that
    can be asked for. A word that a shell completed as a folder of that name is still the word."""

    def reachable_path(text: str) -> str:
        name = read(text)
        try:
            with suppress(FileNotFoundError, NotADirectoryError):
                Path(name).stat()
        except OSError as error:
            raise argparse.ArgumentTypeError(
                f"{printable(name, 100)} cannot be reached ({error.strerror})"
            ) from error
        word = name.rstrip("/\\")
        return word if word in (LAST_NAME, PRETRAINED_NAME) else name

    return reachable_path


def auto_or(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """Reads the word auto, or what `read` reads."""
    return lambda text: text if text == "auto" else read(text)


def new_parser(program: str, description: str, **settings: Any) -> argparse.ArgumentParser:
    """A parser that prints its description line by line as it is, and takes no abbreviated flag."""
    return argparse.ArgumentParser(
        program,
        usage="%(prog)s [flags]",  # --help lists them below
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        **settings,
    )


def add_options(
    parser: argparse.ArgumentParser,
    options: type,
    without: Collection[str] = (),
    about: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Adds a flag for each field of a dataclass but those in `without`, under its group; `about`
    describes groups.

    Flags that are not typed leave nothing in the namespace, so that `typed` tells them from typed
    defaults.
    """
    groups: dict[str, Any] = {}
    for item in fields(options):
        if item.name in without:
            continue
        group, text = item.metadata["group"], item.metadata["help"]
        if group not in groups:
            groups[group] = parser.add_argument_group(group, about.get(group))
        argument = dict(item.metadata["argument"])
        if item.type is bool:
            argument["action"] = "store_true"
        elif item.default not in (None, "", MISSING):
            text += f" (default: {item.default})"
        if argument.get("type") in (path, recorded_path):
            argument["type"] = reachable(argument["type"])
        groups[group].add_argument(
            f"--{item.name}", default=argparse.SUPPRESS, help=text.replace("%", "%%"), **argument
        )


def typed(namespace: argparse.Namespace, options: type) -> dict[str, Any]:
    """The flags of `options` that were given on the command line, by name."""
    names = {item.name for item in fields(options)}
    return {name: value for name, value in vars(namespace).items() if name in names}


def refuse_idle_flags(
    given: Collection[str],
    options: type,
    asked: Collection[str],
    needs: tuple[str, ...] = (),
    besides: Collection[str] = (),
) -> None:
    """Raises UserError for a flag in `given` that needs something else than what is `asked`, or
    said `besides`. Fields without `needs` of their own have those given here."""
    for item in fields(options):
        needed = item.metadata["needs"] or needs
        if item.name in given and needed and not set(needed) & {*asked, *besides}:
            raise UserError(
                f"--{item.name} has no effect on {' and '.join(asked)}, only on "
                f"{' or '.join(needed)}: leave it out"
            )


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
