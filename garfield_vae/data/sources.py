"""From the options to a panel store: finds the strips, and gets those that are missing."""

import errno
import hashlib
import os
from itertools import chain
from pathlib import Path

from garfield_vae.cli.download_options import DownloadOptions
from garfield_vae.cli.options import TrainOptions
from garfield_vae.data.build import build_store
from garfield_vae.data.download import Comic, download
from garfield_vae.data.drawn import draw_folder
from garfield_vae.data.images import SUFFIXES
from garfield_vae.data.store import PanelStore
from garfield_vae.util.console import printable, tell
from garfield_vae.util.errors import UserError
from garfield_vae.util.files import CannotWrite

ENOUGH_STRIPS = 300  # to train on, when a download came to less than was asked for
REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR)
DRAWN_SEED = 0  # --seed is the training's: another seed should not redraw the strips


def strip_folders(options: TrainOptions) -> tuple[Path, Path]:
    """The place of a run's strips, and the folder for the panel store."""
    data = Path(options.data_dir)
    if options.source == "folder":
        return data, _store_folder(data)  # the user's own folder is only read
    if options.source == "drawn":
        folder = data / f"drawn-{options.count}"
    else:
        folder = data / Comic.parse(options.comic).slug
    writable = os.access(folder, os.W_OK) or not os.access(folder, os.F_OK)
    # A store in a read-only folder is of no use: copying the folder changes the files' times.
    return folder / "strips", folder if writable else _store_folder(folder)


def _store_folder(data: Path) -> Path:
    """A folder in data/ for the panel store of strips that are elsewhere."""
    whole = os.path.realpath(data)  # Path.resolve raises where links go round in a circle
    place = hashlib.sha256(os.fsencode(whole)).hexdigest()[:8]
    name = printable(Path(whole).name).replace("\\", "-")
    return Path("data") / f"{name or 'folder'}-{place}"


def gather_strips(options: TrainOptions, wanted: DownloadOptions | None) -> PanelStore:
    """Downloads or draws the strips that are missing, and builds the panel store."""
    strips, work = strip_folders(options)
    if options.source != "folder":
        _refuse_own_strips(Path(options.data_dir), strips.parent)
    if options.source == "folder":
        if os.path.realpath(strips) == os.path.realpath(TrainOptions.data_dir):
            raise UserError(
                f"--source folder trains on strips of your own: say where they are with --data_dir "
                f"DIR ({options.data_dir}/ holds what the project downloads and draws)"
            )
        if not os.access(strips, os.F_OK):
            raise UserError(
                f"there is no folder or archive {printable(str(strips))}: --data_dir names the "
                f"folder of strips"
            )
    elif options.source == "drawn":
        draw_folder(strips.parent, options.count, DRAWN_SEED)
    else:
        download_strips(strips.parent, wanted)
        if not os.access(strips, os.F_OK):
            raise UserError(
                f"{printable(str(strips.parent))} has no daily to train on: give a longer time by "
                f"--start and --end"
            )
    store = _build(strips, work, options)
    if not len(store.split("train")):
        raise UserError(
            f"the {len(store)} strips in {printable(str(strips))} show too few different pictures "
            f"to train on some and judge by others: add strips"
        )
    return store


def _refuse_own_strips(data: Path, comic: Path) -> None:
    """Raises UserError where --data_dir looks like the user's own strips: an archive, or a folder
    that has pictures, by themselves or in folders such as years', and no strips of `comic` that
    were downloaded or drawn before."""
    if comic.exists() or data == Path(TrainOptions.data_dir):
        return
    # In folders of a year's folder, too; but a run that is there has pictures of its own, and a
    # comic that was downloaded may have some that were set aside.
    names = chain(*(data.glob("/".join(["[!.]*"] * depth)) for depth in (1, 2, 3)))
    ours = ("options.json", "manifest.jsonl")
    pictures = (
        path
        for path in names
        if path.suffix.lower() in SUFFIXES
        and not any((path.parents[1] / name).exists() for name in ours)
    )
    if data.is_file() or any(pictures):
        kind = "is a file" if data.is_file() else "has pictures in it"
        raise UserError(
            f"{printable(str(data))} {kind}: to train on strips of your own, add --source folder; "
            f"to download or draw strips, give another --data_dir"
        )


def download_strips(folder: Path, wanted: DownloadOptions) -> None:
    """Completes the comic's folder. Raises UserError where it stays too small to train on."""
    report = download(folder, wanted)
    tell(str(report))
    if report.interrupted:
        raise KeyboardInterrupt
    if not report.enough and report.there < ENOUGH_STRIPS:
        raise UserError(
            f"{report.there} of {report.wanted} strips could be had, too few to train on: try "
            f"again later, train on strips of your own by --source folder --data_dir DIR, or on "
            f"strips that the project draws by --source drawn"
        )
    if not report.enough:
        tell(f"Training goes on with the {report.there} strips that are there.")


def present_strips(options: TrainOptions) -> PanelStore:
    """The panel store of the strips that are there: nothing is downloaded or drawn."""
    strips, work = strip_folders(options)
    if not os.access(strips, os.F_OK):
        raise UserError(
            f"the run's strips are not in {printable(str(strips))}: say where they are now with "
            f"--data_dir"
        )
    return _build(strips, work, options)


def _build(strips: Path, work: Path, options: TrainOptions) -> PanelStore:
    height, width = options.panel_height, options.panel_width
    try:
        return build_store(strips, work, height, width, options.keep_all)
    except CannotWrite as error:
        if work in strips.parents or error.errno not in REFUSED:
            raise
        raise UserError(
            f"{printable(error.filename)} cannot be written ({error.strerror}): the panels of "
            f"strips that are only read are kept in ./data, so start the command in a folder that "
            f"you may write in"
        ) from error


def store_path(options: TrainOptions) -> Path:
    """Where the panel store is, or will be."""
    _, work = strip_folders(options)
    return work / f"panels-{options.panel_height}x{options.panel_width}.npy"
