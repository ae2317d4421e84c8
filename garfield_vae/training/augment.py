"""Data augmentation: mirrored, shifted and slightly stretched panels.

A few hundred strips are overfitted within minutes, which augmentation delays (benchmarks/
ablations.md). Many thousands are hardly overfitted, and learning mirrored lettering too costs
capacity, so the share of augmented strips falls as their number rises.

torchvision.transforms.v2 draws one window for a whole batch. Here every panel has a window of its
own, and a batch is still one call of `grid_sample`.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from garfield_vae.geometry import PANELS

HALF_AT = 1000  # training strips at which half of each batch is augmented
LARGEST_SHARE = 0.8
LARGEST_SHIFT = 4  # pixels that a panel's window may reach beyond its edge
SMALLEST_WINDOW = 0.89  # of a panel's height, and of its width


def augmented_share(strips: int) -> float:
    """The share of each batch to augment, for so many training strips: 0.8 at most."""
    return min(LARGEST_SHARE, HALF_AT / (HALF_AT + strips))


def augment(strips: Tensor, share: float) -> Tensor:
    """Augments a random `share` of strips [B, 3, 3, H, W]; → a tensor of the same shape.

    Half of those strips are mirrored, each panel in its place. Each of their panels is replaced by
    a window of itself, resized to the whole by bilinear interpolation: 0.89 to 1 of its height and
    of its width, and up to four pixels beyond its edge, where the edge is repeated.

    Randomness comes from torch's global CPU generator, whatever the device of the strips.
    """
    rows = random_rows(len(strips), share)
    mirrored = random_rows(len(rows), 0.5)
    x = random_windows(len(rows), strips.shape[-1])  # [n, 3, W], for the n rows
    y = random_windows(len(rows), strips.shape[-2])  # [n, 3, H]
    # Not blocking: else every copy would wait until the GPU has done all that it was told before.
    rows, mirrored, x, y = (
        values.to(strips.device, non_blocking=True) for values in (rows, mirrored, x, y)
    )

    panels = strips[rows]  # [n, 3, 3, H, W]
    panels.index_copy_(0, mirrored, panels[mirrored].flip(-1))
    grid = torch.stack(torch.broadcast_tensors(x[:, :, None, :], y[:, :, :, None]), dim=-1)
    windows = F.grid_sample(  # [3·n, 3, H, W] at places [3·n, H, W, 2] → [3·n, 3, H, W]
        panels.flatten(0, 1), grid.flatten(0, 1), padding_mode="border", align_corners=False
    )
    return strips.index_copy(0, rows, windows.unflatten(0, (-1, PANELS)))


def random_rows(count: int, share: float) -> Tensor:
    """The indices of a random share of `count` rows."""
    return (torch.rand(count) < share).nonzero().flatten()


def random_windows(count: int, side: int) -> Tensor:
    """[count, 3, side]: where the pixels of a random window lie along one side of each panel.

    In `grid_sample`'s coordinates, in which the panel reaches from -1 to 1.
    """
    margin = LARGEST_SHIFT / side
    size = torch.empty(count, PANELS, 1).uniform_(SMALLEST_WINDOW, 1)
    start = torch.rand(count, PANELS, 1) * (1 + 2 * margin - size) - margin
    pixels = (torch.arange(side) + 0.5) / side  # their centres
    return 2 * (start + size * pixels) - 1
