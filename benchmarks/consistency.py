"""Are characters whole, and the same in all panels? Two networks read decoded panels.

    python benchmarks/consistency.py --experiment_dir logs/RUN --factors DIR/factors.jsonl

They learn from training strips what factors.jsonl, beside those, says that was drawn.

The first reads who stands on the left and on the right: the cat, the man, the dog or nobody. In
strips as they are drawn it is sure of that; a figure between two others, or half there, leaves it
in doubt (`unsure`: a panel in which the likeliest has less than 9 in 10). And no drawn figure
becomes `another` one from one panel to the next. `either` is the share of strips with one of both.

The second reads the hue of the man's jersey. A drawn man wears one jersey in all panels. Of strips
that show the man twice or more: the largest difference of two panels' hues, in degrees.

The first row is what reconstructions of test strips have, which is the readings' own error. KID,
precision and the like do not see this: each panel by itself is as it should be.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.runs import load_trained
from garfield_vae.geometry import PANELS
from garfield_vae.latent import samplers
from garfield_vae.latent.codec import decode
from garfield_vae.model.guidance import GUIDANCE
from garfield_vae.model.rejection import CANDIDATES

SIZES = {"cast": (44, 50), "jersey": (22, 25)}  # of the panels that the networks see
MOST = 6000  # training strips
CAST = ("cat", "man", "dog", "")
SURE = 0.9
EPOCHS, BATCH, RATE = 8, 128, 0.001
APART = (20, 45)  # degrees: a shade, another colour
PRIOR = {  # guidance, candidates
    "prior": (GUIDANCE, CANDIDATES),
    "prior, 1 candidate": (GUIDANCE, 1),
    "prior, guidance 1, 1 candidate": (1.0, 1),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--experiment_dir", required=True, help="a run's folder, or last")
    parser.add_argument("--factors", type=Path, required=True, help="factors.jsonl of its strips")
    parser.add_argument("--samples", type=int, default=2000, help="by each sampler (default: 2000)")
    options = parser.parse_args()
    torch.manual_seed(0)

    run, store, encoded, prior = load_trained(options.experiment_dir)
    factors = {
        strip["date"]: strip for strip in map(json.loads, options.factors.read_text().splitlines())
    }

    def small(latents: np.ndarray) -> dict[str, Tensor]:
        """The decoded panels for each network, [N, 3, 3, h, w], -1 to 1."""
        batches: dict[str, list[Tensor]] = {name: [] for name in SIZES}
        for batch in np.array_split(latents, -(-len(latents) // BATCH)):
            panels = torch.from_numpy(decode(run.model, batch)).flatten(0, 1).float() / 127.5 - 1
            for name, size in SIZES.items():
                batches[name].append(F.adaptive_avg_pool2d(panels, size).unflatten(0, (-1, PANELS)))
        return {name: torch.cat(parts) for name, parts in batches.items()}

    def print_row(name: str, latents: np.ndarray) -> None:
        panels = small(latents)
        unsure, another = faults(cast_reader, panels["cast"])
        apart = spread(jersey_reader, panels["jersey"])
        shares = [share.float().mean() for share in (unsure, another, unsure | another)]
        cells = "".join(f"{share:9.1%}" for share in shares)
        cells += f"{len(apart):9}{apart.median():9.1f}°"
        cells += "".join(f"{(apart > degrees).float().mean():8.1%}" for degrees in APART)
        print(f"{name:32}{cells}", flush=True)

    rows = store.split("train")[:MOST]
    panels = small(encoded.means[rows])
    shown = [factors[store.names[row]] for row in rows]
    cast_reader = train_reader(
        panels["cast"], torch.tensor([cast(strip) for strip in shown]), 2 * len(CAST), cast_loss
    )
    jersey_reader = train_reader(
        panels["jersey"], torch.tensor([jersey(strip) for strip in shown]), 3, jersey_loss
    )
    head = "".join(f"{name:>9}" for name in ("unsure", "another", "either", "man twice"))
    print(f"{'':32}{head}{'jerseys':>10}" + "".join(f"{f'> {d}°':>8}" for d in APART))
    test = encoded.means[store.split("test")]
    print_row("reconstructed test strips", test)
    if prior is not None:
        for name, (prior.guidance, prior.candidates) in PRIOR.items():
            print_row(name, prior.sample(options.samples, 0))
        prior.guidance, prior.candidates = GUIDANCE, CANDIDATES
        print_row("third panel of test strips", prior.complete(test, [PANELS - 1], 0))
    print_row("kernel", samplers.kernel(encoded.space, options.samples, np.random.default_rng(0)))


def cast(strip: dict) -> list[list[int]]:
    """Of each panel who stands on the left and on the right, as places in CAST."""
    return [
        [
            CAST.index("" if strip[f"{side}_pose_{panel}"] == "absent" else strip[f"{side}_who"])
            for side in ("left", "right")
        ]
        for panel in range(1, PANELS + 1)
    ]


def jersey(strip: dict) -> list[list[float]]:
    """Of each panel: 1 where it shows the man, else 0; the cosine and the sine of his hue."""
    angle = 2 * math.pi * strip["shirt_hue"]
    man = CAST.index("man")
    return [[float(man in sides), math.cos(angle), math.sin(angle)] for sides in cast(strip)]


def cast_loss(answer: Tensor, sides: Tensor) -> Tensor:
    return F.cross_entropy(answer.unflatten(1, (2, -1)).flatten(0, 1), sides.flatten())


def jersey_loss(answer: Tensor, labels: Tensor) -> Tensor:
    there, hue = labels[:, 0], labels[:, 1:]
    missed = (answer[:, 1:] - hue).square().sum(1)
    return F.binary_cross_entropy_with_logits(answer[:, 0], there) + (there * missed).mean()


def train_reader(
    panels: Tensor, labels: Tensor, outputs: int, loss: Callable[[Tensor, Tensor], Tensor]
) -> nn.Module:
    """Panels [N, 3, 3, h, w] and labels [N, 3, …] → a network that reads those from a panel."""
    panels, labels = panels.flatten(0, 1), labels.flatten(0, 1)
    stride = 1 if panels.shape[-2] < 40 else 2
    reader = nn.Sequential(
        *(nn.Conv2d(3, 32, 3, stride, padding=1), nn.GELU()),
        *(nn.Conv2d(32, 64, 3, 2, 1), nn.GELU()),
        *(nn.Conv2d(64, 96, 3, 2, 1), nn.GELU()),
        *(nn.Flatten(), nn.LazyLinear(128), nn.GELU(), nn.Linear(128, outputs)),
    )
    reader(panels[:1])  # settles the size of the lazy layer
    optimizer = torch.optim.AdamW(reader.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, EPOCHS)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(panels)).split(BATCH):
            optimizer.zero_grad()
            loss(reader(panels[rows]), labels[rows]).backward()
            optimizer.step()
        schedule.step()
    return reader.eval()


@torch.no_grad()
def faults(reader: nn.Module, panels: Tensor) -> tuple[Tensor, Tensor]:
    """Of each strip [N]: whether a figure is in doubt, and whether one becomes another."""
    answer = reader(panels.flatten(0, 1)).unflatten(1, (2, -1)).softmax(2)
    share, who = answer.unflatten(0, (-1, PANELS)).max(3)  # [N, 3, sides]
    unsure = (share < SURE).flatten(1).any(1)
    there = torch.stack([(who == each).any(1) for each in range(len(CAST) - 1)])
    return unsure, (there.sum(0) > 1).any(1)


@torch.no_grad()
def spread(reader: nn.Module, panels: Tensor) -> Tensor:
    """The largest difference of two panels' hues, in degrees, of strips that show the man twice."""
    answer = reader(panels.flatten(0, 1)).unflatten(0, (-1, PANELS))
    there, hue = answer[..., 0] > 0, torch.atan2(answer[..., 2], answer[..., 1]).rad2deg()
    pairs = [
        (hue[:, a] - hue[:, b], there[:, a] & there[:, b])
        for a, b in combinations(range(PANELS), 2)
    ]
    apart = torch.stack([((d + 180) % 360 - 180).abs() * both for d, both in pairs], 1).amax(1)
    return apart[there.sum(1) >= 2]


if __name__ == "__main__":
    main()
