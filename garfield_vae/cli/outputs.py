"""Where --export and --export_page may write: asked before the minutes of work, not after them."""

import os
from pathlib import Path

from garfield_vae.cli.flags import is_utf8
from garfield_vae.cli.process_options import ProcessOptions
from garfield_vae.util.console import printable
from garfield_vae.util.errors import UserError

PAGE_MARK = b'<meta name="generator" content="garfield_vae">'  # in the head of every page of ours
HEAD = 4096  # bytes of a page that have it


def check_new_folder(directory: Path) -> None:
    """Raises UserError unless a folder can be made here, or an empty one replaced."""
    try:
        taken = any(directory.iterdir())
    except FileNotFoundError:
        taken = False
    except OSError as error:
        raise UserError(f"{directory} cannot be a folder ({error.strerror})") from error
    if taken:
        raise UserError(f"{directory} is not empty: give --export a new folder")
    if directory.exists() and directory.samefile("."):
        raise UserError(f"{directory} is the folder you are in: give --export a new folder")
    if not is_utf8(str(directory.resolve())):
        raise UserError(
            f"{printable(str(directory))} is not UTF-8, as names of ONNX files must be: give "
            f"--export another folder"
        )
    check_parent(directory, "--export")


def check_page(file: Path) -> None:
    """Raises UserError unless a page can be written here: no other file or device is replaced."""
    if not os.path.lexists(file):
        check_parent(file, "--export_page")
        return
    if not file.is_file():
        raise UserError(f"{file} is not a regular file: give --export_page another name")
    try:
        with file.open("rb") as page:
            ours = PAGE_MARK in page.read(HEAD)
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror})") from error
    if not ours:
        raise UserError(
            f"{file} is there already and is not a page of this project: give --export_page "
            f"another name"
        )


def check_apart(options: ProcessOptions) -> None:
    """Raises UserError where the exported folder and the exported page are to have one place."""
    if options.export and options.export_page:
        folder, page = Path(options.export).resolve(), Path(options.export_page).resolve()
        if folder.is_relative_to(page):
            raise UserError(
                f"--export and --export_page cannot both be {options.export_page}: give one of "
                f"them another name"
            )


def check_parent(path: Path, flag: str) -> None:
    """Raises UserError unless the nearest folder above `path` that is there can be written in."""
    parent = next(folder for folder in path.resolve().parents if os.path.lexists(folder))
    if not (parent.is_dir() and os.access(parent, os.W_OK)):
        raise UserError(
            f"{path} cannot be written, since {parent} is no folder that can be written in: give "
            f"{flag} another place"
        )
