"""From the options to a panel store: which folder has the strips, and how it comes to be full."""

import hashlib
from pathlib import Path

from garfield_vae.build import build_store
from garfield_vae.drawn import draw_folder
from garfield_vae.errors import UserError
from garfield_vae.options import TrainOptions
from garfield_vae.store import PanelStore

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
    return data / options.comic / "strips", data / options.comic


def gather_strips(options: TrainOptions) -> PanelStore:
    """Fetches or draws what is missing and builds the panel store. Shows its progress."""
    strips, work = strip_folders(options)
    if options.source == "folder":
        if not strips.is_dir():
            raise UserError(f"there is no folder {strips}: --data_dir names the folder of strips")
    elif options.source == "drawn":
        draw_folder(work, options.count, DRAWN_SEED)
    return build_store(strips, work, options.panel_height, options.panel_width)


def present_strips(options: TrainOptions) -> PanelStore:
    """The panel store of the strips that are there already: nothing is fetched or drawn."""
    strips, work = strip_folders(options)
    if not strips.is_dir():
        raise UserError(
            f"the run's strips are not in {strips}: say where they are now with --data_dir"
        )
    return build_store(strips, work, options.panel_height, options.panel_width)


def open_strips(options: TrainOptions) -> PanelStore:
    """The panel store that `gather_strips` built in another process."""
    _, work = strip_folders(options)
    return PanelStore.open(work / f"panels-{options.panel_height}x{options.panel_width}.npy")
