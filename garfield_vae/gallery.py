"""The pictures that process_model.py writes of a model: samples, latent traversals, morphs,
reconstructions.

All of them are in a run's processed/, which holds pictures of one model only (`begin`).
"""

import hashlib
import json
import re
from contextlib import suppress
from pathlib import Path

import numpy as np
from tqdm import tqdm

from garfield_vae.checkpoints import LoadedModel
from garfield_vae.data.images import open_strip
from garfield_vae.data.panels import cut_panels, join_panels
from garfield_vae.data.store import PanelStore
from garfield_vae.latent.codec import decode, encode, reconstruct
from garfield_vae.latent.space import LatentSpace, line
from garfield_vae.util.errors import UserError
from garfield_vae.util.files import read_text, replacing
from garfield_vae.util.pictures import pairs, save_gif, save_png, sheet
from garfield_vae.util.text import printable

WRITTEN = (  # names of all that is ever written to processed/
    *("samples.png", "walks.png", "walk_*.gif", "explained_variance.png", "reconstructions.png"),
    *("reconstruction_*.png", "morph_*.png", "morph_*.gif", "report.html", "measures.json"),
)
MODEL = "model.json"  # of which model the files in processed/ are

REACH = 3  # standard deviations of a traversal to either side
FRAMES = 4 * REACH + 1  # of its animation, one way: half a standard deviation apart
MORPH_STEPS, MORPH_FRAMES = 9, 31
RECONSTRUCTED = 12  # test strips in reconstructions.png
LONGEST_NAME = 40  # characters of an input's name in an output's


def begin(output: Path, run: LoadedModel) -> None:
    """Readies processed/ for a model: what was written there of another model is removed.

    Raises UserError where that fails.
    """
    with run.checkpoint.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    record = {"file": run.checkpoint.name, "epoch": run.epoch + 1, "sha256": digest}
    path = output / MODEL
    text = json.dumps(record, indent=2) + "\n"
    with suppress(OSError, ValueError):
        if read_text(path) == text:
            return
    old = [file for name in WRITTEN for file in output.glob(name)]
    try:
        for file in old:
            file.unlink()
    except OSError as error:
        raise UserError(f"{error.filename} cannot be removed ({error.strerror})") from error
    if old:
        print(f"removed {len(old)} files of another model from {output}")
    with replacing(path, "w") as file:
        file.write(text)


def find_strip(name: str, run: LoadedModel, store: PanelStore | None) -> tuple[np.ndarray, str]:
    """A strip named by its date or by a picture file: its panels, uint8 [1, 3, 3, H, W], and how
    it is called in the names of files.

    Raises UserError where there is none.
    """
    if store is not None and name in store.names:
        panels = store.panels[[store.names.index(name)]]
        return panels, name if re.fullmatch(r"[\d-]+", name) else short_name(name, panels)
    path = Path(name)
    if not path.is_file():
        known = (
            f"{printable(name)} is neither a strip of this run ({printable(store.names[0])} to "
            f"{printable(store.names[-1])}) nor"
            if store is not None
            else f"an exported model has no strips by date, and {printable(name)} is not"
        )
        raise UserError(f"{known} a picture file")
    height, width = run.model.config["panel_height"], run.model.config["panel_width"]
    panels = cut_panels(open_strip(path), height, width)[None]
    return panels, short_name(path.stem, panels)


def short_name(text: str, panels: np.ndarray) -> str:
    """A name for files: two pictures of one name get two."""
    plain = re.sub(r"[^\w-]+", "_", text, flags=re.ASCII)[:LONGEST_NAME]
    return f"{plain}-{hashlib.sha256(panels.tobytes()).hexdigest()[:6]}"


def write_samples(run: LoadedModel, latents: np.ndarray, output: Path) -> Path:
    """samples.png: the strips at `latents` [n, z]."""
    strips = join_panels(decode(run.model, latents, progress="samples"))
    return save_png(output / "samples.png", sheet(strips, columns=2))


def write_reconstructions(run: LoadedModel, store: PanelStore, output: Path) -> Path:
    """reconstructions.png: test strips, and what the model makes of them."""
    rows = store.split("test")[:RECONSTRUCTED]
    strips, names = store.panels[rows], [printable(store.names[row]) for row in rows]
    image = pairs(join_panels(strips), join_panels(reconstruct(run.model, strips)), names)
    return save_png(output / "reconstructions.png", image)


def write_walks(
    run: LoadedModel, space: LatentSpace, start: np.ndarray, shown: int, output: Path
) -> list[Path]:
    """Latent traversals of the strip at `start` [z] along the first `shown` components: an
    animation of each, and walks.png with a row a component. Older animations are removed."""
    positions = np.linspace(-REACH, REACH, FRAMES)
    rows, labels, written = [], [], []
    for component in tqdm(range(shown), desc="latent traversals", unit="component", disable=None):
        strips = join_panels(decode(run.model, space.traversal(start, component, positions)))
        path = output / f"walk_{component + 1:02d}.gif"
        written.append(save_gif(path, strips, width=480, seconds=2.0))
        share = f"component {component + 1}, {100 * space.explained[component]:.1f} %"
        rows.append(strips[::2])
        labels += [f"{share}: {position:+.0f} sd" for position in positions[::2]]
    page = sheet(np.concatenate(rows), columns=len(rows[0]), width=240, labels=labels)
    for old in set(output.glob("walk_*.gif")) - set(written):
        old.unlink()
    return [save_png(output / "walks.png", page), *written]


def write_morph(run: LoadedModel, ends: list[tuple[np.ndarray, str]], output: Path) -> list[Path]:
    """From one strip to another on a straight line between their posterior means."""
    panels, names = zip(*ends, strict=True)
    (start, end), _ = encode(run.model, np.concatenate(panels))

    def between(steps: int) -> np.ndarray:
        return join_panels(decode(run.model, line(start, end, steps), progress="morph"))

    name = "morph_" + "_".join(names)
    return [
        save_png(output / f"{name}.png", sheet(between(MORPH_STEPS))),
        save_gif(output / f"{name}.gif", between(MORPH_FRAMES), width=632, seconds=2.5),
    ]


def write_reconstruction(
    run: LoadedModel, strip: tuple[np.ndarray, str], label: str, output: Path
) -> Path:
    """One strip, and what the model makes of it."""
    panels, name = strip
    redrawn = join_panels(reconstruct(run.model, panels))
    image = pairs(join_panels(panels), redrawn, [printable(label)])
    return save_png(output / f"reconstruction_{name}.png", image)
