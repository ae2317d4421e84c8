"""More strips from few: what a strip may do without ceasing to be one.

A few hundred strips are learnt by heart within minutes. Mirroring, shifting and stretching them a
little keep the held-out error falling when it would rise again (benchmarks/ablations.md). A
library of thousands is in no such danger and would only learn mirrored lettering, so the more
strips there are, the fewer of them are changed.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

HALF_AT = 1000  # with so many training strips, half of each batch is changed
MOST = 0.8
MOST_SHIFT = 4  # pixels beyond a panel's edge
LEAST_SHOWN = 0.89  # of a panel's height, and of its width


def augmented_share(strips: int) -> float:
    """Which share of each batch to change, for so many training strips: 0.8 for few, then less."""
    return min(MOST, HALF_AT / (HALF_AT + strips))


def augment(strips: Tensor, share: float) -> Tensor:
    """Changes a random `share` of strips [B, 3, 3, H, W]; → the same shape, the input as it was.

    Half of those are mirrored, each panel in its place. Each of their panels then shows a part of
    itself, stretched to the whole: between 0.89 and 1 of its height and of its width, reaching up
    to four pixels beyond its edge, which is repeated there. All randomness is of torch's global
    generator.
    """
    strips = strips.clone()
    height, width = strips.shape[-2:]
    for row in (torch.rand(len(strips)) < share).nonzero().flatten().tolist():
        strip = strips[row].flip(-1) if torch.rand(()) < 0.5 else strips[row]
        padded = F.pad(strip, (MOST_SHIFT,) * 4, mode="replicate")  # [3, 3, H + 8, W + 8]
        for panel in range(len(strip)):
            top, bottom = window(height)
            left, right = window(width)
            part = padded[panel, None, :, top:bottom, left:right]
            strips[row, panel] = F.interpolate(part, (height, width), mode="bilinear")[0]
    return strips


def window(side: int) -> tuple[int, int]:
    """Where a random part of a padded panel's side begins and ends, in pixels."""
    shown = math.ceil(side * float(torch.empty(()).uniform_(LEAST_SHOWN, 1)))
    start = int(torch.randint(side + 2 * MOST_SHIFT - shown + 1, ()))
    return start, start + shown
