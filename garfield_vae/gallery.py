"""The pictures that process_model.py writes of a model: samples, latent traversals, morphs,
reconstructions.

All of them are in a run's processed/, which holds pictures of one model only (`begin`).
"""

import hashlib
import json
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from garfield_vae.checkpoints import LoadedModel
from garfield_vae.data.begun import on_paper, open_panels
from garfield_vae.data.panels import is_empty, join_panels
from garfield_vae.data.store import PanelStore
from garfield_vae.geometry import PANELS
from garfield_vae.latent.codec import decode, encode, reconstruct
from garfield_vae.latent.prior_sampler import PriorSampler
from garfield_vae.latent.samplers import traversal
from garfield_vae.latent.space import LatentSpace, line
from garfield_vae.util.console import printable
from garfield_vae.util.errors import UserError
from garfield_vae.util.files import read_text, replacing
from garfield_vae.util.pictures import pairs, save_gif, save_png, sheet

WRITTEN = (  # names of all that is ever written to processed/, beside `walks`
    *("samples.png", "walks.png", "explained_variance.png", "reconstructions.png"),
    *("reconstruction_*.png", "morph_*.png", "morph_*.gif", "complete_*.png"),
    *("report.html", "measures.json"),
)
MODEL = "model.json"  # of which model the files in processed/ are

REACH = 3  # standard deviations of a traversal to either side
FRAMES = 4 * REACH + 1  # of its animation, one way: half a standard deviation apart
MORPH_STEPS, MORPH_FRAMES = 9, 31
PROPOSALS = 4  # versions of a finished strip
RECONSTRUCTED = 12  # test strips in reconstructions.png
LONGEST_NAME = 40  # characters of an input's name in an output's


def begin(output: Path, run: LoadedModel) -> None:
    """Readies processed/ for a model: what was written there of another model is removed.

    Raises UserError where that fails.
    """
    if holds(output, run):
        return
    old = [file for name in WRITTEN for file in output.glob(name) if file.is_file()]
    old += walks(output)
    try:
        for file in old:
            file.unlink()
    except OSError as error:
        raise UserError(f"{error.filename} cannot be removed ({error.strerror})") from error
    if old:
        print(f"removed {len(old)} files of another model from {output}")
    with replacing(output / MODEL, "w") as file:
        file.write(record_of(run))


def holds(output: Path, run: LoadedModel) -> bool:
    """Whether the files in processed/ are of this model."""
    try:
        return read_text(output / MODEL) == record_of(run)
    except (OSError, ValueError):
        return False


def record_of(run: LoadedModel) -> str:
    record = {
        "file": run.checkpoint.name,
        "epoch": run.epoch + 1,
        "sha256": run.digest,
    }
    return json.dumps(record, indent=2) + "\n"


def walks(output: Path) -> set[Path]:
    """The animations that `write_walks` wrote, and no other file that begins as they do."""
    return {
        path
        for path in output.glob("walk_*.gif")
        if re.fullmatch(r"walk_\d\d+\.gif", path.name, re.ASCII) and path.is_file()
    }


def find_strip(
    name: str, run: LoadedModel, store: PanelStore | None, begun: bool = False
) -> tuple[np.ndarray, str]:
    """A strip named by its date or by a picture file: its panels, uint8 [1, 3, 3, H, W] (with
    `begun` [1, n, 3, H, W], as `open_panels` gives them), and how it is called in files' names.

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
    panels = open_panels(path, height, width, begun)[None]
    return panels, short_name(path.stem, panels)


def short_name(text: str, panels: np.ndarray) -> str:
    """A name for files: two pictures of one name get two."""
    plain = re.sub(r"[^\w-]+", "_", text, flags=re.ASCII)[:LONGEST_NAME]
    return f"{plain}-{hashlib.sha256(panels.tobytes()).hexdigest()[:6]}"


def write_samples(run: LoadedModel, latents: np.ndarray, output: Path) -> Path:
    """samples.png: the strips at `latents` [n, z]."""
    strips = join_panels(decode(run.model, latents, progress="samples"))
    return save_png(output / "samples.png", sheet(strips, columns=2))


def redrawn(
    run: LoadedModel, strips: np.ndarray, names: Sequence[str], fit_steps: int
) -> Image.Image:
    """Strips, uint8 [N, 3, 3, H, W], and what the model makes of them, fitted in `fit_steps`."""
    made = reconstruct(run.model, strips, fit_steps, progress="reconstructions")
    fitted = f", fitted in {fit_steps} step{'s' if fit_steps > 1 else ''}" if fit_steps else ""
    caption = f"reconstruction{fitted}"
    return pairs(join_panels(strips), join_panels(made), names, caption)


def write_reconstructions(
    run: LoadedModel, store: PanelStore, output: Path, fit_steps: int
) -> Path:
    """reconstructions.png: test strips, and what the model makes of them."""
    rows = store.split("test")[:RECONSTRUCTED]
    names = [printable(store.names[row]) for row in rows]
    image = redrawn(run, store.panels[rows], names, fit_steps)
    return save_png(output / "reconstructions.png", image)


def write_walks(
    run: LoadedModel,
    space: LatentSpace,
    start: np.ndarray,
    shown: int,
    output: Path,
    prior: PriorSampler | None = None,
) -> list[Path]:
    """Latent traversals of the strip at `start` [z] along the first `shown` components: an
    animation of each, and walks.png with a row a component. Older animations are removed."""
    positions = np.linspace(-REACH, REACH, FRAMES)
    rows, labels, written = [], [], []
    for component in tqdm(range(shown), desc="latent traversals", unit="component", disable=None):
        latents = traversal(space, start, component, positions, prior)
        strips = join_panels(decode(run.model, latents))
        path = output / f"walk_{component + 1:02d}.gif"
        written.append(save_gif(path, strips, width=480, seconds=2.0))
        share = f"component {component + 1}, {100 * space.explained[component]:.1f} %"
        rows.append(strips[::2])
        signs = (f"{place:+.0f}".replace("+0", "0").replace("-", "−") for place in positions[::2])
        labels += [f"{share}: {place} sd" for place in signs]
    page = sheet(np.concatenate(rows), columns=len(rows[0]), width=240, labels=labels)
    for old in walks(output) - set(written):
        old.unlink()
    return [save_png(output / "walks.png", page), *written]


def write_morph(
    run: LoadedModel,
    ends: list[tuple[np.ndarray, str]],
    output: Path,
    prior: PriorSampler | None = None,
) -> list[Path]:
    """From one strip to another: through the prior's noise, where every step is a strip, and beside
    that on a straight line between their posterior means, where both show through. The ends are the
    encoder's own latents, which the prior was trained on. The animation takes the first, or the
    line where there is no prior."""
    panels, names = zip(*ends, strict=True)
    (start, end), _ = encode(run.model, np.concatenate(panels))
    ways = {"through noise": prior.morph(start, end)} if prior is not None else {}
    ways["straight line"] = partial(line, start, end)

    def between(way: str, steps: int) -> np.ndarray:
        latents = ways[way](np.linspace(0, 1, steps))
        return join_panels(decode(run.model, latents, progress="morph"))

    name, best = "morph_" + "_".join(names), next(iter(ways))
    columns = np.stack([between(way, MORPH_STEPS) for way in ways], axis=1)
    shares = [f"{100 * step / (MORPH_STEPS - 1):.0f} %" for step in range(MORPH_STEPS)]
    labels = [f"{way}, {share}" for share in shares for way in ways]
    page = sheet(columns.reshape(-1, *columns.shape[2:]), columns=len(ways), labels=labels)
    return [
        save_png(output / f"{name}.png", page),
        save_gif(output / f"{name}.gif", between(best, MORPH_FRAMES), width=632, seconds=2.5),
    ]


def find_begun(
    name: str, asked: str | None, run: LoadedModel, store: PanelStore | None
) -> tuple[tuple[np.ndarray, str], list[int]]:
    """A strip to finish, as `find_strip` gives it, and its panels to keep, counted from 0: those
    asked for ("1,2"), or else those that it has and that are not blank.

    Of a picture with fewer than three panels, those are put at the places asked for. Raises
    UserError where it is not clear which panels to keep.
    """
    strips, file_name = find_strip(name, run, store, begun=True)
    given = strips[0]
    count = len(given)
    if asked is None:
        places = range(count)
        known = [panel for panel in places if not is_empty(given[panel])]
        if not 0 < len(known) < PANELS:
            which = "no panel" if known else "every panel"
            raise UserError(
                f"{printable(name)}: {which} is blank, so say which ones to keep: --panels 1,2"
            )
    else:
        known = [int(panel) - 1 for panel in asked.split(",")]
        places = range(count) if count == PANELS else known
        if len(places) != count:
            raise UserError(
                f"{printable(name)} has {count} panel{'s' if count > 1 else ''}: with --panels, "
                f"say the place of each"
            )
    panels = on_paper(given, places)[None]
    return (panels, file_name), known


def write_completion(
    run: LoadedModel,
    prior: PriorSampler,
    strip: tuple[np.ndarray, str],
    known: list[int],
    seed: int,
    output: Path,
) -> Path:
    """A strip's panels other than `known` (counted from 0) drawn by the prior, in several ways.

    The prior was trained on the encoder's own latents and is given those: fitted ones make its
    panels no better (benchmarks/ablations.md), and the known ones are shown as they were given."""
    panels, name = strip
    drawn = [panel for panel in range(PANELS) if panel not in known]
    shown = panels.copy()
    shown[:, drawn] = 255
    means, _ = encode(run.model, shown)
    latents = prior.complete(np.repeat(means, PROPOSALS, axis=0), drawn, seed)
    proposals = decode(run.model, latents)
    proposals[:, known] = panels[:, known]  # as they were given, sharper than reconstructed
    strips = np.concatenate([shown, proposals])
    labels = ["kept", *(f"proposal {i + 1}" for i in range(PROPOSALS))]
    page = sheet(join_panels(strips), columns=1, labels=labels)
    kept = "".join(str(panel + 1) for panel in known)
    return save_png(output / f"complete_{name}_panels_{kept}_seed_{seed}.png", page)


def write_reconstruction(
    run: LoadedModel, strip: tuple[np.ndarray, str], label: str, output: Path, fit_steps: int
) -> Path:
    """One strip, and what the model makes of it."""
    panels, name = strip
    image = redrawn(run, panels, [printable(label)], fit_steps)
    return save_png(output / f"reconstruction_{name}.png", image)
