"""Makes the model that comes with the project, garfield_vae/pretrained/, from drawn strips alone.

    python benchmarks/pretrained.py --work DIR

1. draws 10,000 strips, keeps 300 of them back by whole weeks, and trains the VAE on the others for
   half an hour: the training of `benchmarks/quality.py --models ours --count 10000 --minutes 30
   --c_hidden 8 --work DIR`, whose finished run in DIR/logs is used where there is one;
2. trains its latent prior, for two and a half hours;
3. writes both in 8 and 16 bits with their latent space and a model card, which has figures of its
   samples, and says what rounding changed: more than a hundredth of an error is refused.

Stopped at any time, the same command goes on where it was. One core is enough (OMP_NUM_THREADS=1);
with two it learns more in the same time.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import garfield_vae  # noqa: F401  (before torch: it settles how torch's threads wait)

# isort: split
import numpy as np
import torch

from benchmarks.quality import (
    ROOT,
    draw,
    measure,
    print_lines_to_beat,
    print_row,
    reconstruction_row,
    run,
    split_weeks,
    train_ours,
    trained_run,
)
from benchmarks.sampling import SamplerTable
from garfield_vae.checkpoints import LoadedModel, load_exported, load_run
from garfield_vae.data.sources import present_strips
from garfield_vae.data.store import PanelStore
from garfield_vae.export.folder import export_model
from garfield_vae.geometry import PANELS
from garfield_vae.latent.codec import encode, reconstruct
from garfield_vae.latent.files import encoded_strips
from garfield_vae.model.prior import LatentPrior
from garfield_vae.prior_checkpoints import load_prior, prior_sampler, read_prior_checkpoint
from garfield_vae.run_folder import PRETRAINED, is_run, read_options
from garfield_vae.training.interruption import Stopped, StopSignals
from garfield_vae.training.prior_run import train_prior
from garfield_vae.training.trainer import quieten_lightning
from garfield_vae.util.metrics_table import read_metrics

MOST_CHANGE = 0.01  # of an error by rounding, as a share of it
SETS, SAMPLES = 4, 500  # for the card, as in benchmarks/sampling.py
LINES = ("precision", "recall", "coverage", "KID")
FINISHED = 0.9  # of the minutes: validation and pictures take the rest

CARD = """
## How it was made

By `python benchmarks/pretrained.py --work DIR`, on {processors}: {count:,} strips were drawn by
the project itself, of which {held_out} were held out by whole weeks; the VAE saw {seen:,} strips
in {minutes:g} minutes, and its latent prior took {prior_steps:,} steps in {prior_minutes:g}. No
strip that anybody else drew was used.

| of the weights as they are here, on the {held_out} strips held out | |
|---|---|
| MSE (values in [−1, 1]) | {MSE:.4f} |
| PSNR | {PSNR:.1f} dB |
| SSIM | {SSIM:.3f} |
| loss of the latent prior, where one Gaussian has 1 | {loss:.3f} |

| {samples:,} samples, against reconstructions of {test} other strips held out | |
|---|---|
| precision, recall, coverage, by lines and layout | {precision:.2f}, {recall:.2f}, {coverage:.2f} |
| KID, by lines and layout, by a random network | {KID:.3f}, {KID_random:.3f} |
| novelty of latents, of pictures: 1 as a real strip, 0 a copy | {latents:.2f}, {pixels:.2f} |
"""


def main() -> int:
    options = read_command_line()
    work = options.work.resolve()
    quieten_lightning()
    training, held_out = split_weeks(draw(work, options.count).resolve(), work)
    originals = np.array(held_out.panels)

    folder = trained_vae(options, training, work)
    model, figures = trained_run(folder, training)
    row, _ = measure(model, originals, figures.pop("beta"))
    print_row("ours", figures | row)
    print_lines_to_beat(training, originals, options.z_dim)

    os.chdir(work)  # the run's strips are in training/
    vae = load_run(Path("logs") / folder.name)
    store = present_strips(vae.options)
    try:
        train_prior(
            replace(vae.options, prior_minutes=options.prior_minutes),
            vae.folder,
            store,
            StopSignals(),
        )
    except Stopped:
        print("stopped; the same command goes on")
        return 130

    space = encoded_strips(vae.model, vae.digest, vae.folder, store).space
    made = {"source": "drawn", "count": options.count, "epochs": vae.epoch + 1}
    vae = replace(vae, options=replace(vae.options, **made, prior_minutes=options.prior_minutes))
    with tempfile.TemporaryDirectory(prefix="pretrained-") as name:
        place = Path(name) / "pretrained"
        export_model(vae, space, place, compact=True)
        small = load_exported(place)
        quality = reconstruction_row(originals, reconstruct(small.model, originals, steps=0))
        check("MSE of held-out strips", row["MSE"], quality["MSE"])
        prior, _ = load_prior(vae)
        small_prior, _ = load_prior(small)
        loss = prior_loss(small_prior, small, originals)
        check("loss of the prior", prior_loss(prior, vae, originals), loss)
        with (place / "README.md").open("a", encoding="utf-8") as card:
            card.write(
                CARD.format(
                    **quality,
                    **sample_figures(small, store, Path(name)),
                    loss=loss,
                    processors=threads(vae.folder),
                    count=options.count,
                    held_out=len(originals),
                    seen=figures["seen"],
                    minutes=options.minutes,
                    prior_steps=prior_steps(vae.folder),
                    prior_minutes=options.prior_minutes,
                )
            )
        shutil.rmtree(options.out, ignore_errors=True)
        shutil.copytree(place, options.out)
    size = sum(path.stat().st_size for path in options.out.iterdir())
    print(f"wrote {options.out}, {size / 1e6:.1f} MB")
    return 0


def read_command_line() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True, help="strips, stores and the run")
    parser.add_argument("--count", type=int, default=10_000, help="strips (default: 10,000)")
    parser.add_argument("--minutes", type=float, default=30.0, help="for the VAE (default: 30)")
    parser.add_argument("--prior_minutes", type=float, default=150.0, help="(default: 150)")
    parser.add_argument("--z_dim", type=int, default=1024)
    parser.add_argument("--c_hidden", type=int, default=8)
    parser.add_argument("--num_blocks", type=int, default=2)
    parser.add_argument("--ours", default="", help="further flags for train_torch.py, in quotes")
    parser.add_argument("--out", type=Path, default=PRETRAINED, help="folder that is replaced")
    options = parser.parse_args()
    options.out = options.out.resolve()
    return options


def trained_vae(options: argparse.Namespace, training: PanelStore, work: Path) -> Path:
    """The folder of the newest run of this training, which is begun or gone on with if need be."""
    runs = sorted(
        (path for path in (work / "logs").glob("ours-*") if is_run(path, "last")),
        key=lambda path: (path / "options.json").stat().st_mtime,
    )
    if not runs:
        train_ours(options, training, work)
        return trained_vae(options, training, work)
    left = options.minutes - minutes_done(runs[-1], training)
    if left > (1 - FINISHED) * options.minutes:
        command = [sys.executable, str(ROOT / "train_torch.py"), f"--continue_from={runs[-1]}"]
        run([*command, f"--minutes={left:.2f}"], work)
    return runs[-1]


def minutes_done(folder: Path, training: PanelStore) -> float:
    """How long a run has trained, by the strips per second in its metrics."""
    epochs = read_metrics(folder)
    steps = np.diff([0, *(epoch["step"] for epoch in epochs)])
    strips = np.minimum(steps * read_options(folder).batch_size, len(training.split("train")))
    speeds = [epoch["train/strips_per_second"] for epoch in epochs]
    return float((strips / speeds).sum()) / 60


@torch.no_grad()
def prior_loss(prior: LatentPrior, vae: LoadedModel, strips: np.ndarray) -> float:
    """The prior's flow-matching loss on the latents that this VAE gives these strips, as a share of
    its Gaussian's own; no panel is known, and times and noise are the same each time."""
    latents = torch.from_numpy(encode(vae.model, strips)[0])
    generator = torch.Generator().manual_seed(0)
    times = prior.draw_times(len(latents), generator)
    noise = prior.noise(len(latents), generator)
    known = torch.zeros(len(latents), PANELS)
    learned = prior.errors(latents, times, noise, known).mean()
    return float(learned / prior.gaussian_errors(latents, times, noise).mean())


def sample_figures(small: LoadedModel, store: PanelStore, folder: Path) -> dict[str, float]:
    """What the card says of samples, means over SETS sets of SAMPLES; `folder` keeps latents."""
    encoded = encoded_strips(small.model, small.digest, folder, store)
    prior = prior_sampler(load_prior(small), encoded.space)
    if prior is None:
        sys.exit("error: the prior learned too little to draw from: give more --prior_minutes")
    table = SamplerTable(small.model, encoded.space, store, encoded.means, SAMPLES)
    sets = []
    for seed in range(SETS):
        found = table.measure(prior.sample(SAMPLES, seed))
        _, redrawn = found.figures
        figures = {name: redrawn[f"lines and layout: {name}"] for name in LINES}
        figures["KID_random"] = redrawn["random network: KID"]
        new = {"latents": found.new.latents.value, "pixels": found.new.pixels.value}
        sets.append(figures | new)
    means = {name: np.mean([each[name] for each in sets]) for name in sets[0]}
    return means | {"samples": SETS * SAMPLES, "test": table.tested}


def check(name: str, before: float, after: float) -> None:
    change = after / before - 1
    print(f"{name}: {before:.5f} in float32, {after:.5f} as written, {100 * change:+.2f} %")
    if change > MOST_CHANGE:
        sys.exit(f"error: rounding spoils the {name}")


def prior_steps(folder: Path) -> int:
    return int(read_prior_checkpoint(folder / "checkpoints" / "prior.ckpt")["global_step"])


def threads(folder: Path) -> str:
    count = json.loads((folder / "environment.json").read_text())["threads"]
    return "one core" if count == 1 else f"{count} cores"


if __name__ == "__main__":
    sys.exit(main())
