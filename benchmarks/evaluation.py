"""What does an evaluation cost? Time, processor time and memory for 1,000 + 1,000 strips.

    python benchmarks/evaluation.py [--held_out 1000] [--samples 1000] [--z_dim 1024]

Measures an untrained network (its figures mean nothing, its cost is that of a trained one) on
strips of coloured blocks and noise. Processor time is that of all threads: on a machine that does
nothing else, the wall time is about half of it with two cores.
"""

import argparse
import resource
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from garfield_vae.coding import encode
from garfield_vae.evaluate import evaluate_run
from garfield_vae.latent import LatentSpace
from garfield_vae.networks import StripVAE
from garfield_vae.options import TrainOptions
from garfield_vae.run import LoadedRun
from garfield_vae.store import PanelStore, split_names


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--held_out", type=int, default=1000)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--training", type=int, default=2000)
    parser.add_argument("--z_dim", type=int, default=1024)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = blocks(Path(folder), options.held_out, options.training)
        torch.manual_seed(0)
        model = StripVAE(z_dim=options.z_dim, c_hidden=6, num_blocks=2).eval()
        run = LoadedRun(
            model.requires_grad_(False),
            TrainOptions(z_dim=options.z_dim),
            Path(folder),
            Path(folder) / "best.ckpt",
            0,
        )
        means, _ = encode(model, store.panels[store.split("train")[:256]])
        space = LatentSpace.fit(means)
        before, began = time.process_time(), time.perf_counter()
        evaluate_run(run, space, store, Path(folder), num_samples=options.samples)
        wall, processor = time.perf_counter() - began, time.process_time() - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # KiB on Linux
    print("held out  samples  training  wall, s  processor, s  peak, GiB")
    print(
        f"{options.held_out:>8} {options.samples:>8} {len(store.split('train')):>9} "
        f"{wall:>8.0f} {processor:>13.0f} {peak:>10.2f}"
    )


def blocks(folder: Path, held_out: int, training: int) -> PanelStore:
    """A store on disk with so many test strips and about so many others, all of full size."""
    wanted = {"test": held_out, "train": training}
    chosen: list[str] = []
    days = (date(1900, 1, 1) + timedelta(days=i) for i in range(200_000))
    names = [day.isoformat() for day in days]
    splits = split_names(names)
    for split, count in wanted.items():
        chosen += [names[row] for row in splits[split][:count]]
    chosen.sort()
    shape = (len(chosen), 3, 3, 176, 200)
    panels = np.lib.format.open_memmap(folder / "panels.npy", "w+", np.uint8, shape)
    rng = np.random.default_rng(0)
    for row in range(len(chosen)):
        coarse = rng.integers(20, 236, (3, 3, 11, 10)).repeat(16, axis=2).repeat(20, axis=3)
        panels[row] = coarse + rng.integers(-20, 20, coarse.shape)
    return PanelStore(folder / "panels.npy", panels, chosen, [""] * len(chosen))


if __name__ == "__main__":
    main()
