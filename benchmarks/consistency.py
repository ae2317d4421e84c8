"""Do characters stay the same from panel to panel? Measured on the colour of the man's jersey.

    python benchmarks/consistency.py --experiment_dir logs/RUN --factors DIR/factors.jsonl

A drawn man wears one jersey in all panels of a strip, of any hue. A small network is trained to
read from one decoded panel whether the man is there and which hue he wears; its labels are the
factors that training strips were drawn from (factors.jsonl, beside the strips). Then, of strips
whose panels show the man twice or more: the largest difference of two panels' hues, in degrees.

The first row is what reconstructions of test strips have, which is the reading's own error. KID,
precision and the like do not see this: each panel by itself is as it should be.
"""

import argparse
import json
import math
import sys
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
from garfield_vae.model.prior import GUIDANCE
from garfield_vae.model.rejection import CANDIDATES

SIZE = (22, 25)  # of the panels that the network sees
MOST = 6000  # training strips
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
    parser.add_argument("--samples", type=int, default=500, help="by each sampler (default: 500)")
    options = parser.parse_args()
    torch.manual_seed(0)

    run, store, encoded, prior = load_trained(options.experiment_dir)
    factors = [json.loads(line) for line in options.factors.read_text().splitlines()]
    jerseys = {strip["date"]: jersey(strip) for strip in factors}

    def small(latents: np.ndarray) -> Tensor:
        """The decoded panels [N, 3, 3, *SIZE], -1 to 1."""
        batches = []
        for batch in np.array_split(latents, -(-len(latents) // BATCH)):
            panels = torch.from_numpy(decode(run.model, batch)).flatten(0, 1).float()
            batches.append(F.adaptive_avg_pool2d(panels / 127.5 - 1, SIZE))
        return torch.cat(batches).unflatten(0, (-1, PANELS))

    def print_row(name: str, latents: np.ndarray) -> None:
        apart = spread(reader, small(latents))
        shares = "".join(f"{(apart > degrees).float().mean():8.1%}" for degrees in APART)
        print(f"{name:32}{len(apart):7}{apart.median():9.1f}°{shares}", flush=True)

    rows = store.split("train")[:MOST]
    labels = torch.tensor([jerseys[store.names[row]] for row in rows])
    reader = train_reader(small(encoded.means[rows]), labels)
    print(f"{'':32}{'strips':>7}{'median':>10}" + "".join(f"{f'> {d}°':>8}" for d in APART))
    test = encoded.means[store.split("test")]
    print_row("reconstructed test strips", test)
    if prior is not None:
        for name, (prior.guidance, prior.candidates) in PRIOR.items():
            print_row(name, prior.sample(options.samples, 0))
        prior.guidance, prior.candidates = GUIDANCE, CANDIDATES
        print_row("third panel of test strips", prior.complete(test, [PANELS - 1], 0))
    print_row("kernel", samplers.kernel(encoded.space, options.samples, np.random.default_rng(0)))


def jersey(strip: dict) -> list[list[float]]:
    """Of each panel: 1 where it shows the man, else 0; the cosine and the sine of his hue."""
    angle = 2 * math.pi * strip["shirt_hue"]
    shown = [
        any(
            strip[f"{side}_who"] == "man" and strip[f"{side}_pose_{panel}"] != "absent"
            for side in ("left", "right")
        )
        for panel in range(1, PANELS + 1)
    ]
    return [[float(there), math.cos(angle), math.sin(angle)] for there in shown]


def train_reader(panels: Tensor, labels: Tensor) -> nn.Module:
    """Panels [N, 3, 3, *SIZE] and labels [N, 3, 3] as of `jersey` → a network that reads them."""
    panels, labels = panels.flatten(0, 1), labels.flatten(0, 1)
    reader = nn.Sequential(
        *(nn.Conv2d(3, 32, 3, padding=1), nn.GELU()),
        *(nn.Conv2d(32, 64, 3, 2, 1), nn.GELU()),
        *(nn.Conv2d(64, 96, 3, 2, 1), nn.GELU()),
        *(nn.Flatten(), nn.LazyLinear(128), nn.GELU(), nn.Linear(128, 3)),
    )
    reader(panels[:1])  # settles the size of the lazy layer
    optimizer = torch.optim.AdamW(reader.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, EPOCHS)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(panels)).split(BATCH):
            answer, (there, *hue) = reader(panels[rows]), labels[rows].unbind(1)
            missed = (answer[:, 1:] - torch.stack(hue, 1)).square().sum(1)
            loss = F.binary_cross_entropy_with_logits(answer[:, 0], there)
            loss = loss + (there * missed).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
    return reader.eval()


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
