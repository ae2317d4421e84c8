"""From the options to a panel store: which folder has the strips, and how it comes to be full."""

import hashlib
from pathlib import Path

from garfield_vae.cli.download_options import DownloadOptions
from garfield_vae.cli.options import TrainOptions
from garfield_vae.data.build import build_store
from garfield_vae.data.download import Comic, download
from garfield_vae.data.drawn import draw_folder
from garfield_vae.data.store import PanelStore
from garfield_vae.util.console import tell
from garfield_vae.util.errors import UserError

ENOUGH_STRIPS = 300  # to train on, when a download came to less than was asked for
DRAWN_SEED = 0  # --seed is the training's: another seed should not redraw the strips


def strip_folders(options: TrainOptions) -> tuple[Path, Path]:
    """Where a run's strips are, and the folder (of ours, to write in) for what is made of them."""
    data = Path(options.data_dir)
    if options.source == "folder":
        # Somebody's own pictures stay untouched, and may well be read-only.
        place = hashlib.sha256(str(data.resolve()).encode()).hexdigest()[:8]
        return data, Path("data") / f"{data.resolve().name or 'folder'}-{place}"
    if options.source == "drawn":
        folder = data / f"drawn-{options.count}"
        return folder / "strips", folder
    folder = data / Comic.parse(options.comic).slug
    return folder / "strips", folder


def gather_strips(options: TrainOptions, wanted: DownloadOptions | None) -> PanelStore:
    """Downloads (what `wanted` says) or draws what is missing, and builds the panel store."""
    strips, work = strip_folders(options)
    if options.source == "folder":
        if not strips.is_dir():
            raise UserError(f"there is no folder {strips}: --data_dir names the folder of strips")
    elif options.source == "drawn":
        draw_folder(work, options.count, DRAWN_SEED)
    else:
        download_strips(work, wanted)
    return build_store(strips, work, options.panel_height, options.panel_width)


def download_strips(folder: Path, wanted: DownloadOptions) -> None:
    """Completes the comic's folder. Raises UserError when too little came of it to train on."""
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
    """The panel store of the strips that are there already: nothing is fetched or drawn."""
    strips, work = strip_folders(options)
    if not strips.is_dir():
        raise UserError(
            f"the run's strips are not in {strips}: say where they are now with --data_dir"
        )
    return build_store(strips, work, options.panel_height, options.panel_width)


def store_path(options: TrainOptions) -> Path:
    """Where the panel store is, or will be."""
    _, work = strip_folders(options)
    return work / f"panels-{options.panel_height}x{options.panel_width}.npy"
