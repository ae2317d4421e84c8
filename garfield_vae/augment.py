"""More strips from few: what a strip may do without ceasing to be one.

A few hundred strips are learnt by heart within minutes. Mirrored panels and small shifts keep the
held-out error falling when it would rise again (benchmarks/ablations.md). A library of thousands
needs neither, and would only learn mirrored lettering: the share of strips that are changed falls
as the library grows.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

ENOUGH_STRIPS = 1000  # half as many are changed half as often, …
MOST_SHIFT = 4  # pixels


def augmented_share(strips: int) -> float:
    """Which share of each batch to change when there are so many training strips, 0.1 to 0.8."""
    return min(0.8, ENOUGH_STRIPS / (ENOUGH_STRIPS + strips))


def augment(strips: Tensor, share: float) -> Tensor:
    """Mirrors half, and shifts all, of a random `share` of strips [B, 3, 3, H, W]; same shape out.

    A strip's panels are mirrored together, each in its place, and each shifted by itself by up to
    four pixels, the edge repeated. Draws from torch's global generator.
    """
    chosen = torch.rand(len(strips)) < share
    mirrored = chosen & (torch.rand(len(strips)) < 0.5)
    strips = strips.clone()
    strips[mirrored] = strips[mirrored].flip(-1)
    for row in chosen.nonzero().flatten().tolist():
        padded = F.pad(strips[row], (MOST_SHIFT,) * 4, mode="replicate")  # [3, 3, H + 8, W + 8]
        height, width = strips.shape[-2:]
        for panel, (y, x) in enumerate(torch.randint(0, 2 * MOST_SHIFT + 1, (3, 2)).tolist()):
            strips[row, panel] = padded[panel, :, y : y + height, x : x + width]
    return strips
