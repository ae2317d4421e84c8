"""What do a few steps of semi-amortised inference (model/inference.py) bring, and cost?

First the error of a run's test strips (or of a folder of strips) by the number of steps, with the
milliseconds of processor time that they cost a strip, and half the squared length of the latents:
what their means add to the KL. Then, for a run that has a latent prior, whether it finishes strips
better from fitted latents: the error of the panels that it draws from the encoder's latents, and
how much higher it is from those that were fitted to the known panels.

    python benchmarks/fitting.py logs/RUN
    python benchmarks/fitting.py logs/RUN --strips FOLDER
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.error_map import some_strips
from benchmarks.quality import reconstruction_row
from garfield_vae.checkpoints import LoadedModel, load_run
from garfield_vae.data.sources import present_strips
from garfield_vae.geometry import PANELS
from garfield_vae.latent.codec import decode, encode_fitted
from garfield_vae.latent.files import encoded_strips
from garfield_vae.latent.prior_sampler import PriorSampler
from garfield_vae.model.inference import FIT_STEPS
from garfield_vae.prior_checkpoints import load_prior, prior_sampler
from garfield_vae.run_folder import find_run_folder

STEPS = (0, 1, 2, 3, 4, 6, 8)
KNOWN = ((0,), (0, 1), (0, 2))  # panels, counted from 0
MOST = 200  # strips to finish


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", help="a run's folder, or last")
    parser.add_argument("--strips", type=Path, help="strips to use; the run's test strips if none")
    options = parser.parse_args()
    run = load_run(find_run_folder(options.run, Path("logs")))
    strips = some_strips(run, options.strips)
    print_steps(run, strips)
    if (run.folder / "checkpoints" / "prior.ckpt").exists():
        store = present_strips(run.options)
        space = encoded_strips(run.model, run.digest, run.folder, store).space
        prior = prior_sampler(load_prior(run), space)
        if prior is not None:
            print_completions(run, prior, strips[:: -(-len(strips) // MOST)])


def print_steps(run: LoadedModel, strips: np.ndarray) -> None:
    print(f"{len(strips)} strips\n{'steps':>8}{'MSE':>10}{'SSIM':>10}{'ms':>10}{'|z|²/2':>10}")
    encoding = 0.0
    for steps in STEPS:
        began = time.process_time()
        latents = encode_fitted(run.model, strips, steps)
        spent = time.process_time() - began
        encoding = encoding or spent
        row = reconstruction_row(strips, decode(run.model, latents))
        cost = 1000 * (spent - encoding) / len(strips)
        length = np.square(latents).sum(axis=1).mean() / 2
        print(
            f"{steps:8}{row['MSE']:10.4f}{row['SSIM']:10.3f}{cost:10.0f}{length:10.0f}", flush=True
        )


def print_completions(run: LoadedModel, prior: PriorSampler, strips: np.ndarray) -> None:
    print(f"{len(strips)} strips to finish\n{'known':>8}{'MSE drawn':>12}{'fitted':>10}{'±':>8}")
    for known in KNOWN:
        mask = np.isin(np.arange(PANELS), known)
        drawn = np.flatnonzero(~mask)
        shown = strips.copy()
        shown[:, drawn] = 255
        counts = np.tile(mask, (len(strips), 1))
        own, fitted = (
            drawn_errors(run, prior, encode_fitted(run.model, shown, steps, counts), strips, drawn)
            for steps in (0, FIT_STEPS)
        )
        name, more = ",".join(str(panel + 1) for panel in known), fitted - own
        error = more.std() / len(more) ** 0.5
        print(f"{name:>8}{own.mean():12.4f}{more.mean():+10.4f}{error:8.4f}", flush=True)


def drawn_errors(
    run: LoadedModel,
    prior: PriorSampler,
    latents: np.ndarray,
    strips: np.ndarray,
    drawn: np.ndarray,
) -> np.ndarray:
    """The mean squared error [N] of the panels that the prior draws, counted from 0."""
    finished = decode(run.model, prior.complete(latents, drawn, seed=0))[:, drawn]
    return np.square((finished.astype(np.float32) - strips[:, drawn]) / 127.5).mean((1, 2, 3, 4))


if __name__ == "__main__":
    main()
