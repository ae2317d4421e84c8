"""What does an evaluation cost? Time, processor time and memory by stage.

    python benchmarks/evaluation.py --held_out 500 --training 4000 --samples 500

Measures an untrained network (its figures mean nothing, its cost is that of a trained one) on
strips of coloured blocks and noise with known factors. Processor time is that of all threads.
"""

import argparse
import json
import resource
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from garfield_vae.checkpoints import LoadedModel
from garfield_vae.cli.options import TrainOptions
from garfield_vae.data.splits import split_rows
from garfield_vae.data.store import PanelStore, week_of
from garfield_vae.evaluation.evaluate import STAGES, evaluate_run
from garfield_vae.latent.codec import encode
from garfield_vae.latent.space import LatentSpace
from garfield_vae.model.networks import StripVAE
from garfield_vae.util.progress import Stages


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--held_out", type=int, default=500)
    parser.add_argument("--samples", type=int, default=500)
    parser.add_argument("--training", type=int, default=4000)
    parser.add_argument("--z_dim", type=int, default=1024)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = blocks(Path(folder), options.held_out, options.training)
        torch.manual_seed(0)
        model = StripVAE(z_dim=options.z_dim, c_hidden=6).eval()
        run = LoadedModel(
            model.requires_grad_(False),
            TrainOptions(z_dim=options.z_dim),
            Path(folder),
            Path(folder) / "best.ckpt",
            epoch=0,
            digest=64 * "0",
        )
        means, _ = encode(model, store.panels)
        space = LatentSpace.fit(means[store.split("train")])
        stages = Stages(STAGES)
        evaluate_run(
            run, space, store, means, Path(folder), num_samples=options.samples, stages=stages
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # KiB on Linux
    print(
        f"{options.held_out:,} held-out strips, {options.samples:,} samples, "
        f"{len(store.split('train')):,} training strips, {torch.get_num_threads()} threads"
    )
    print(f"{'stage':<36} {'processor, s':>12} {'wall, s':>8}")
    for name, processor in stages.processor.items():
        print(f"{name:<36} {processor:>12.1f} {stages.wall[name]:>8.1f}")
    wall, processor = sum(stages.wall.values()), sum(stages.processor.values())
    print(f"{'whole':<36} {processor:>12.1f} {wall:>8.1f}   peak {peak:.2f} GiB")


def blocks(folder: Path, held_out: int, training: int) -> PanelStore:
    """A store on disk with so many test strips and about so many others, all of full size."""
    wanted = {"test": held_out, "train": training}
    chosen: list[str] = []
    days = (date(1900, 1, 1) + timedelta(days=i) for i in range(200_000))
    names = [day.isoformat() for day in days]
    splits, _ = split_rows([week_of(name) for name in names], names)
    for split, count in wanted.items():
        chosen += [names[row] for row in splits[split][:count]]
    chosen.sort()
    shape = (len(chosen), 3, 3, 176, 200)
    panels = np.lib.format.open_memmap(folder / "panels.npy", "w+", np.uint8, shape)
    rng, factors = np.random.default_rng(0), []
    for row, name in enumerate(chosen):
        colours = rng.integers(20, 236, (3, 3, 11, 10))
        coarse = colours.repeat(16, axis=2).repeat(20, axis=3)
        panels[row] = coarse + rng.integers(-20, 20, coarse.shape)
        # as many quantities and kinds as strips of garfield_vae.data.drawn have
        some = {f"colour {i}": int(c) for i, c in enumerate(colours.flat[:21])}
        factors.append({"date": name} | some | {f"light {k}": c > 127 for k, c in some.items()})
    (folder / "factors.jsonl").write_text("\n".join(map(json.dumps, factors)), encoding="utf-8")
    return PanelStore(folder / "panels.npy", panels, chosen, [""] * len(chosen))


if __name__ == "__main__":
    main()
