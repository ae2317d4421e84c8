"""Are the strips between two strips whole? Through the prior's noise, and on a straight line.

    python benchmarks/morph.py --experiment_dir logs/RUN --pictures /tmp/morph.png

Morphs between pairs of test strips, and judges the strips at a quarter, a half and three quarters
of the way by their misfit (garfield_vae/model/rejection.py): how much less likely a strip's worst
patch is than a training strip's, 1 being what seven tenths of the training strips stay below.
`missed` is how far an end is from what its own noise flows to, over its distance from the mean
strip: the error of the steps. Times are processor times.

The picture has the strip halfway between six pairs, a row a way.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.runs import load_trained
from garfield_vae.data.panels import join_panels
from garfield_vae.latent.codec import decode
from garfield_vae.model.flow import path
from garfield_vae.model.guidance import GUIDANCE
from garfield_vae.model.morph import Morph
from garfield_vae.model.prior import STEPS
from garfield_vae.util.pictures import save_png, sheet

SHARES = torch.tensor([0.25, 0.5, 0.75])
SHOWN = 6  # pairs in the picture
WAYS = {  # steps and guidance
    "as shipped": (STEPS, GUIDANCE),
    "without guidance": (STEPS, 1.0),
    "two thirds of steps": (2 * STEPS // 3, GUIDANCE),
    "twice the steps": (2 * STEPS, GUIDANCE),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--experiment_dir", required=True, help="a run's folder, or last")
    parser.add_argument("--pairs", type=int, default=24, help="of test strips (default: 24)")
    parser.add_argument("--pictures", type=Path, help="PNG: the strips halfway")
    options = parser.parse_args()

    run, store, encoded, sampler = load_trained(options.experiment_dir)
    if sampler is None:
        raise SystemExit(f"{run.folder} has no latent prior worth drawing from")
    rows = np.random.default_rng(0).permutation(store.split("test"))[: 2 * options.pairs]
    pairs = sampler.tensor(encoded.means[rows]).unflatten(0, (-1, 2))  # [pairs, 2, z]

    def judge(way: str, strips: Tensor, rest: str = "") -> None:
        misfit = sampler.misfit(strips.flatten(0, 1))
        shares = f"{(misfit > 1).float().mean():9.0%} {(misfit > 1.5).float().mean():10.0%}"
        print(f"{way:20} {misfit.median():8.2f} {misfit.mean():8.2f} {shares} {rest}", flush=True)

    columns = f"{'above 1':>9} {'above 1.5':>10} {'missed':>8} {'ms a pair':>10} {'a strip':>8}"
    print(f"{'misfit':20} {'median':>8} {'mean':>8} {columns}")
    judge("the ends", pairs)
    straight = torch.stack([path(*pair, SHARES[:, None]) for pair in pairs])
    judge("straight line", straight)
    halfway = [straight[:SHOWN, 1]]
    for way, (steps, guidance) in WAYS.items():
        times = [time.process_time()]
        morphs = [Morph(sampler.prior, pair, steps, guidance) for pair in pairs]
        times.append(time.process_time())
        strips = torch.stack([morph.at(SHARES) for morph in morphs])
        times.append(time.process_time())
        ends, each = 1000 * np.diff(times) / [len(pairs), len(SHARES) * len(pairs)]
        missed = torch.stack([morph.missed for morph in morphs]).norm(dim=2)
        missed = (missed / (pairs - sampler.prior.mean).norm(dim=2)).mean()
        judge(way, strips, f"{missed:8.1%} {ends:10.0f} {each:8.0f}")
        halfway.append(strips[:SHOWN, 1])
    if options.pictures:
        shown = decode(run.model, torch.cat(halfway).numpy())
        labels = [way for way in ("straight line", *WAYS) for _ in pairs[:SHOWN]]
        page = sheet(join_panels(shown), columns=len(pairs[:SHOWN]), width=400, labels=labels)
        save_png(options.pictures, page)


if __name__ == "__main__":
    main()
