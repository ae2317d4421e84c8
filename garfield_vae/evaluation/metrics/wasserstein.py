"""Sliced Wasserstein distance between patches of drawn and real strips, at several scales."""

from functools import cache

import numpy as np
import torch
from torch import Tensor

from garfield_vae.evaluation.metrics.features import strip_chunks
from garfield_vae.evaluation.metrics.filters import PlaneFilter, filter_matrix

PATCH = 7
BLUR = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)


def laplacian_pyramid(panels: Tensor, levels: int) -> list[Tensor]:
    """Band-passed copies of panels [N, C, H, W], finest first (Burt and Adelson 1983).

    The last level is what remains. Level i is half as high and wide as level i − 1, rounded up.
    """
    pyramid = []
    for _ in range(levels - 1):
        smaller = _halving(*panels.shape[-2:])(panels)
        pyramid.append(panels - enlarged(smaller, panels.shape[-2:]))
        panels = smaller
    return [*pyramid, panels]


def enlarged(panels: Tensor, size: tuple[int, int]) -> Tensor:
    """[N, C, h, w] → [N, C, *size], twice the size: zeros are inserted, and the whole blurred."""
    return _doubling(*size)(panels)


@cache
def _halving(height: int, width: int) -> PlaneFilter:
    return PlaneFilter(*(filter_matrix(BLUR, size)[::2] for size in (height, width)))


@cache
def _doubling(height: int, width: int) -> PlaneFilter:
    return PlaneFilter(*(2 * filter_matrix(BLUR, size)[:, ::2] for size in (height, width)))


def pyramid_levels(height: int, width: int) -> int:
    """How many levels keep 16 pixels on the shorter side (Karras et al. 2018), at least 1."""
    levels = 1
    while min(height, width) >> levels >= 16:
        levels += 1
    return levels


def pyramid_patches(strips: np.ndarray | Tensor, patches: int = 16, seed: int = 0) -> list[Tensor]:
    """Random 7×7 patches of every panel at every scale, finest first, [N, 3·patches, 147] each.

    `strips` is uint8 [N, 3, 3, H, W]. The places depend on the seed alone.
    """
    height, width = strips.shape[-2:]
    levels = pyramid_levels(height, width)
    generator = torch.Generator().manual_seed(seed)
    found: list[list[Tensor]] = [[] for _ in range(levels)]
    for chunk in strip_chunks(strips, 16):
        for level, band in enumerate(laplacian_pyramid(chunk.flatten(0, 1), levels)):
            windows = band.unfold(2, PATCH, 1).unfold(3, PATCH, 1)  # [3·N, C, h − 6, w − 6, 7, 7]
            panel = torch.arange(len(band)).repeat_interleave(patches)
            y, x = (
                torch.randint(size, (len(panel),), generator=generator)
                for size in windows.shape[2:4]
            )
            chosen = windows[panel, :, y, x]  # [3·N·patches, C, 7, 7]
            found[level].append(chosen.reshape(len(band) // 3, 3 * patches, -1))
    return [torch.cat(level) for level in found]


class SlicedWasserstein:
    """Mean 1-Wasserstein distance between projections of two sets of patches, ×1000.

    As in Karras et al. 2018, "Progressive Growing of GANs" (random patches of a Laplacian pyramid,
    random directions), but both sets are normalised by the real set's mean and standard deviation
    of each colour, where they normalise each set by its own: a difference in contrast counts.

    Called with how often each strip counts, it gives the distance of resampled sets; projections
    are sorted once.
    """

    def __init__(self, real: Tensor, drawn: Tensor, directions: int = 128, seed: int = 0) -> None:
        """real [N, P, 147], drawn [M, P, 147]: patches of one level of `pyramid_patches`."""
        by_colour = real.view(*real.shape[:2], 3, -1)
        mean = by_colour.mean(dim=(0, 1, 3)).repeat_interleave(PATCH**2)
        std = by_colour.std(dim=(0, 1, 3), correction=0).clamp(min=1e-6)
        generator = torch.Generator().manual_seed(seed)
        axes = torch.randn(real.shape[2], directions, generator=generator)
        axes = axes / axes.norm(dim=0) / std.repeat_interleave(PATCH**2)[:, None]
        places = torch.cat([((s - mean) @ axes).flatten(0, 1) for s in (real, drawn)])
        places = np.ascontiguousarray(places.T.numpy())  # [directions, (N + M)·P]
        order = places.argsort(axis=1)  # numpy's takes a third of torch.sort's time
        self._gaps = torch.from_numpy(np.diff(np.take_along_axis(places, order, axis=1), axis=1))
        # The strip of each place, as int32, because every resample reads all of them.
        self._strip = torch.from_numpy((order[:, :-1] // real.shape[1]).astype(np.int32))
        self._patches = real.shape[1]

    def __call__(self, real_counts: np.ndarray, drawn_counts: np.ndarray) -> float:
        """Counts [N] and [M] (all ones: the plain distance) → distance × 1000."""
        shares = np.concatenate(
            [real_counts / real_counts.sum(), -drawn_counts / drawn_counts.sum()]
        )
        shares = torch.from_numpy((shares / self._patches).astype(np.float32))
        # In one dimension the distance is the area between the two distribution functions.
        areas = [
            shares.index_select(0, strip).cumsum(dim=0).abs_() @ gaps
            for strip, gaps in zip(self._strip, self._gaps, strict=True)
        ]
        return 1000 * float(torch.stack(areas).mean())
