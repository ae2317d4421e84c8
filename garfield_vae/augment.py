"""More strips from few: what a strip may do without ceasing to be one.

A few hundred strips are learnt by heart within minutes. Mirroring and small shifts keep the
held-out error falling when it would rise again (benchmarks/ablations.md). A library of thousands
is in no such danger and would only learn mirrored lettering, so the more strips there are, the
fewer of them are changed.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

HALF_AT = 1000  # with so many training strips, half of each batch is changed
MOST = 0.8
MOST_SHIFT = 4  # pixels


def augmented_share(strips: int) -> float:
    """Which share of each batch to change, for so many training strips: 0.8 for few, then less."""
    return min(MOST, HALF_AT / (HALF_AT + strips))


def augment(strips: Tensor, share: float) -> Tensor:
    """Changes a random `share` of strips [B, 3, 3, H, W]; → the same shape, the input as it was.

    Half of those are mirrored, each panel in its place; each of their panels is shifted by up to
    four pixels either way, its edge repeated. All randomness is of torch's global generator.
    """
    strips = strips.clone()
    height, width = strips.shape[-2:]
    for row in (torch.rand(len(strips)) < share).nonzero().flatten().tolist():
        strip = strips[row].flip(-1) if torch.rand(()) < 0.5 else strips[row]
        padded = F.pad(strip, (MOST_SHIFT,) * 4, mode="replicate")  # [3, 3, H + 8, W + 8]
        for panel, (y, x) in enumerate(torch.randint(0, 2 * MOST_SHIFT + 1, (3, 2)).tolist()):
            strips[row, panel] = padded[panel, :, y : y + height, x : x + width]
    return strips
