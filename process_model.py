"""A trained run in, new strips out.

    python process_model.py --experiment_dir logs/RUN            samples, walks, reconstructions
    python process_model.py --experiment_dir logs/RUN --explore  a page with live sliders
    python process_model.py --experiment_dir logs/RUN --evaluate how good it is, on one page
    python process_model.py --experiment_dir logs/RUN --interpolate 1985-03-12 my_strip.png
    python process_model.py --experiment_dir logs/RUN --export DIR   the model, to give away

Everything is written to logs/RUN/processed/. The first call encodes all strips; later ones reuse
that while model and strips are unchanged. An exported model is an --experiment_dir too.
"""

import garfield_vae  # noqa: F401  (before torch: it settles how torch's threads wait)

# isort: split
import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from garfield_vae.checkpoints import LoadedModel, exported_space, is_exported, load_model
from garfield_vae.cli.flags import add_options, typed
from garfield_vae.cli.options import ProcessOptions
from garfield_vae.data.images import open_strip
from garfield_vae.data.panels import cut_panels, join_panels
from garfield_vae.data.sources import present_strips
from garfield_vae.data.store import PanelStore
from garfield_vae.evaluation.evaluate import evaluate_run
from garfield_vae.explorer import explore
from garfield_vae.explorer.export_page import export_page
from garfield_vae.export.folder import export_model
from garfield_vae.latent.codec import decode, encode, reconstruct
from garfield_vae.latent.encoded import encoded_strips
from garfield_vae.latent.space import LatentSpace
from garfield_vae.run_folder import choose_device, find_run_folder
from garfield_vae.util.charts import as_picture, explained_variance
from garfield_vae.util.errors import UserError, run_script
from garfield_vae.util.pictures import pairs, save_gif, save_png, sheet

WALK_REACH = 3.0  # standard deviations to either side
WALK_STEPS = 7  # strips in a row of walks.png
WALK_FRAMES = 15  # of a walk's animation, one way
MORPH_STEPS, MORPH_FRAMES = 9, 31
RECONSTRUCTED = 12  # test strips in reconstructions.png


def main(arguments: Sequence[str] | None = None) -> int:
    # -------------------------------------------------------------- 1. what was asked for
    options = read_command_line(arguments)
    folder = find_run_folder(options.experiment_dir, Path("logs"))
    run = load_model(folder, choose_device(options.accelerator))
    check_flags(options, run)
    if is_exported(folder):
        check_without_strips(options, folder)
    elif options.data_dir is not None:
        run = replace(run, options=replace(run.options, data_dir=options.data_dir))

    # -------------------------------------------------------------- 2. the latent space
    store, means, strips = None, None, "no"  # an exported model has none
    if is_exported(folder):
        space = exported_space(run)
    else:
        store = present_strips(run.options)
        encoded = encoded_strips(run.model, run.checkpoint, folder, store)
        space, means, strips = encoded.space, encoded.means, f"{len(store):,}"
    shown = min(options.components, len(space.std))
    print(f"model       {run.checkpoint}, epoch {run.epoch + 1}")
    print(
        f"latents     {strips} strips; {shown} components explain "
        f"{100 * space.explained[:shown].sum():.0f} % of their variance"
    )

    # -------------------------------------------------------------- 3. what was asked for
    output = folder / "processed"
    if options.interpolate:
        a, b = (find_strip(name, run, store) for name in options.interpolate)
        write_morph(run, a, b, options.interpolate, output)
    if options.reconstruct:
        write_reconstruction(run, Path(options.reconstruct), output)
    if options.evaluate:
        told(evaluate_run(run, space, store, means, output, seed=options.seed))
    if options.export:
        names = export_model(run, space, Path(options.export))
        print(f"wrote {options.export}: {', '.join(names)}")
    if options.export_page:
        page = Path(options.export_page)
        size = export_page(run, space, folder, page, sliders=shown)
        print(f"wrote {page}, {size / 1e6:.1f} MB: open it in any browser")
    if options.explore:
        explore(
            run,
            space,
            store,
            means,
            folder,
            sliders=shown,
            port=options.port,
            open_browser=options.open,
        )
    if options.asks_for_something:
        return 0

    # -------------------------------------------------------------- 4. else: all the pictures
    if options.num_samples:
        write_samples(run, space, options, output)
    if store is not None:
        write_reconstructions(run, store, output)
    chart = as_picture(explained_variance(space.explained[:shown]))
    told(save_png(output / "explained_variance.png", chart))
    write_walks(run, space, shown, output)
    return 0


def read_command_line(arguments: Sequence[str] | None) -> ProcessOptions:
    parser = argparse.ArgumentParser(
        prog="process_model.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_options(parser, ProcessOptions)
    given = typed(parser.parse_args(arguments), ProcessOptions)
    if not given.get("experiment_dir"):
        parser.error("--experiment_dir is needed: a run's folder, such as one in logs/")
    return ProcessOptions(**given)


def check_flags(options: ProcessOptions, run: LoadedModel) -> None:
    """The checkpoint knows its sizes; one that is typed as well has to be the same."""
    for flag in ("z_dim", "c_hidden", "num_blocks"):
        asked, trained = getattr(options, flag), run.model.config[flag]
        if asked is not None and asked != trained:
            raise UserError(
                f"--{flag} {asked} does not fit {run.folder}, which was trained with {trained}: "
                f"leave the flag out"
            )


def check_without_strips(options: ProcessOptions, folder: Path) -> None:
    for flag in ("evaluate", "data_dir"):
        if getattr(options, flag):
            raise UserError(
                f"{folder} is an exported model, which has no strips: --{flag} needs the folder "
                f"of the run that it came from"
            )


def find_strip(name: str, run: LoadedModel, store: PanelStore | None) -> np.ndarray:
    """The panels, uint8 [1, 3, 3, H, W], of a strip named by its date or by a picture file."""
    if store is not None and name in store.names:
        return store.panels[[store.names.index(name)]]
    path = Path(name)
    if not path.is_file():
        known = (
            f"{name} is neither a strip of this run ({store.names[0]} to {store.names[-1]}) nor"
            if store is not None
            else f"an exported model has no strips by date, and {name} is not"
        )
        raise UserError(f"{known} a picture file")
    return cut(path, run)


def cut(path: Path, run: LoadedModel) -> np.ndarray:
    """A picture file's panels, uint8 [1, 3, 3, H, W]."""
    height, width = run.model.config["panel_height"], run.model.config["panel_width"]
    return cut_panels(open_strip(path), height, width)[None]


def write_samples(
    run: LoadedModel, space: LatentSpace, options: ProcessOptions, output: Path
) -> None:
    rng = np.random.default_rng(options.seed)
    latents = space.sample(
        options.num_samples, rng, options.temperature, options.novelty, options.prior
    )
    told(
        save_png(output / "samples.png", sheet(join_panels(decode(run.model, latents)), columns=2))
    )


def write_reconstructions(run: LoadedModel, store: PanelStore, output: Path) -> None:
    rows = store.split("test")[:RECONSTRUCTED]
    strips, names = store.panels[rows], [store.names[row] for row in rows]
    image = pairs(join_panels(strips), join_panels(reconstruct(run.model, strips)), names)
    told(save_png(output / "reconstructions.png", image))


def write_walks(run: LoadedModel, space: LatentSpace, shown: int, output: Path) -> None:
    """walks.png, a row a component, and an animation of each."""
    steps = np.linspace(-WALK_REACH, WALK_REACH, WALK_STEPS)
    rows, labels = [], []
    for component in range(shown):
        rows.append(decode(run.model, walk(space, component, steps)))
        share = f"component {component + 1}, {100 * space.explained[component]:.1f} %"
        labels += [f"{share}: {step:+.0f} sd" for step in steps]
    page = sheet(join_panels(np.concatenate(rows)), columns=WALK_STEPS, width=240, labels=labels)
    told(save_png(output / "walks.png", page))
    frames = np.linspace(-WALK_REACH, WALK_REACH, WALK_FRAMES)
    for component in tqdm(range(shown), desc="walks", unit="walk", disable=None):
        strips = join_panels(decode(run.model, walk(space, component, frames)))
        save_gif(output / f"walk_{component + 1:02d}.gif", strips, width=480, seconds=2.0)
    print(f"wrote {output / 'walk_01.gif'} to walk_{shown:02d}.gif")


def walk(space: LatentSpace, component: int, steps: np.ndarray) -> np.ndarray:
    """Latents [len(steps), z] along one component, the others at the mean strip."""
    coordinates = np.zeros((len(steps), component + 1), np.float32)
    coordinates[:, component] = steps
    return space.latents(coordinates)


def write_morph(
    run: LoadedModel, a: np.ndarray, b: np.ndarray, names: list[str], output: Path
) -> None:
    ends, _ = encode(run.model, np.concatenate([a, b]))
    name = "morph_" + "_".join(Path(name).stem for name in names)

    def between(count: int) -> np.ndarray:
        share = np.linspace(0, 1, count, dtype=np.float32)[:, None]
        return join_panels(decode(run.model, (1 - share) * ends[:1] + share * ends[1:]))

    told(save_png(output / f"{name}.png", sheet(between(MORPH_STEPS))))
    told(save_gif(output / f"{name}.gif", between(MORPH_FRAMES), width=632, seconds=2.5))


def write_reconstruction(run: LoadedModel, path: Path, output: Path) -> None:
    strip = cut(path, run)
    image = pairs(join_panels(strip), join_panels(reconstruct(run.model, strip)), [path.name])
    told(save_png(output / f"reconstruction_{path.stem}.png", image))


def told(path: Path) -> None:
    print(f"wrote {path}", flush=True)


if __name__ == "__main__":
    run_script(main)
