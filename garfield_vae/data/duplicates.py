"""Which strips show the same picture: in another encoding, size or crop, or printed twice.

A strip's `fingerprint` is its panels in grey on a coarse grid. Pairs that correlate there are
compared on a finer grid, where lettering tells apart strips with the same characters in the same
places. There, of 21,736 pairs of real strips of 1985 the highest correlation is 0.71; of 50 million
pairs of drawn ones, some of which tell one joke in the same poses, 0.893. Of 409 strips, real and
drawn, all are recognised in grey, all but two as a JPEG at half the size, all but five with 1 % cut
off on each side. A scan that is tilted by 0.4° or reduced to black and white is not recognised.

The mean strip is taken away before: of a comic that has the same drawings every day, it leaves the
lettering. On the finer grid, pairs have to correlate with it too.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
import torch.nn.functional as F

COARSE, FINE = (12, 12), (44, 50)  # cells down and across a panel
OWN_COARSE, OWN_FINE = 0.8, 0.86  # correlations from which pictures count as the same, without
ALIKE_FINE = 0.9  # and with the mean strip
FEW = 10  # strips that are no library yet: of so few, half the mean is taken away
SAMPLE = 256  # strips whose mean is taken on the fine grid
# Strips after it that one is compared with, the likeliest: one that shows the same is enough, and
# where drawings are used again and again, thousands are alike.
NEAREST = 8
SHIFT = 2  # cells of the fine grid by which a panel may have moved
PLAIN = 3.0  # standard deviation, of 255, up to which a panel has nothing to compare
BLOCK, PAIRS = 512, 16  # fingerprints, and pairs, that are compared at once
THREADS = 2  # that compare: each takes memory for BLOCK correlations with every fingerprint


def fingerprint(panels: np.ndarray) -> np.ndarray:
    """A strip's coarse grid, uint8 [3, 3, H, W] → float32 [432], scaled to unit length.

    The rims of the panels are left out, since they depend on the cut. A strip of flat colours gives
    zeros: it shows nothing that another could show again.
    """
    y, x = (size // 20 for size in panels.shape[2:])
    inner = panels[:, :, y : panels.shape[2] - y : 2, x : panels.shape[3] - x]  # half the rows do
    grid = _grid(inner, COARSE).reshape(3, -1)
    grid -= grid.mean(axis=1, keepdims=True)
    length = np.linalg.norm(grid)
    return grid.ravel() / (length if length > PLAIN * grid.size**0.5 else np.inf)


def same_pictures(fingerprints: np.ndarray, panels: np.ndarray) -> Iterator[tuple[int, int]]:
    """Pairs of strips, as rows a < b, that show the same picture: enough of them to link all that
    do, unless one picture is most of the library.

    fingerprints: float32 [N, 432]; panels: uint8 [N, 3, 3, H, W], of which little is read, so that
    it may be a memory map.
    """
    prints = torch.from_numpy(fingerprints)
    own = F.normalize(prints - prints.sum(dim=0) / (len(prints) + FEW), dim=1)
    own[prints.abs().amax(dim=1) == 0] = 0
    mean = _mean_strip(panels)

    def search(start: int) -> list[tuple[int, int]]:
        correlations = (own[start : start + BLOCK] @ own[start:].T).triu_(1)  # [BLOCK, N − start]
        nearest = correlations.topk(min(NEAREST, correlations.shape[1]))
        rows, places = (nearest.values >= OWN_COARSE).nonzero(as_tuple=True)
        pairs = start + torch.stack([rows, nearest.indices[rows, places]], dim=1).numpy()
        found = []
        for first in range(0, len(pairs), PAIRS):
            same = _correlate(panels, pairs[first : first + PAIRS], ALIKE_FINE)
            found += map(tuple, _correlate(panels, same, OWN_FINE, mean).tolist())
        return found

    with ThreadPoolExecutor(THREADS) as pool:
        for found in pool.map(search, range(0, len(fingerprints), BLOCK)):
            yield from found


def _mean_strip(panels: np.ndarray) -> np.ndarray:
    """The mean of strips on the fine grid, uint8 [N, 3, 3, H, W] → float32 [3, *FINE]."""
    rows = np.unique(np.linspace(0, len(panels) - 1, SAMPLE).astype(int))
    grids = [_grid(panels[row], FINE) for row in rows]
    return np.sum(grids, axis=0) / (len(rows) + FEW)


def _correlate(
    panels: np.ndarray, pairs: np.ndarray, least: float, mean: np.ndarray | None = None
) -> np.ndarray:
    """Those of the pairs of strips, rows [n, 2], whose fine grids correlate by `least` and more,
    in the mean of their panels; `mean` [3, *FINE] is taken away from both before."""
    scores, left = np.full((len(pairs), 3), np.nan), np.arange(len(pairs))
    for panel in range(3):  # one at a time: most pairs differ in the first
        if not len(left):
            break
        rows, places = np.unique(pairs[left], return_inverse=True)
        grids = _grid(panels[rows, panel], FINE)
        if mean is not None:
            grids -= mean[panel]
        one, other = grids[places.reshape(-1, 2).T]
        scores[left, panel] = _likeness(one, other)
        # Below that, it does not matter what the other two have.
        left = left[~(1 - scores[left, panel] > 3 * (1 - least))]
    counts = np.isfinite(scores[left]).sum(axis=1)
    return pairs[left][(counts >= 2) & (np.nansum(scores[left], axis=1) >= least * counts)]


def _likeness(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The correlation of pairs of panels, each perhaps shifted a little, or NaN where one is plain.

    one, other: fine grids, [n, *FINE] → [n].
    """
    part = one[:, 2 * SHIFT : -2 * SHIFT, 2 * SHIFT : -2 * SHIFT]
    inner = other[:, SHIFT:-SHIFT, SHIFT:-SHIFT]
    part, inner = (grid - grid.mean(axis=(1, 2), keepdims=True) for grid in (part, inner))
    count, height, width = part.shape
    windows = np.lib.stride_tricks.sliding_window_view(inner, (height, width), axis=(1, 2))
    windows = windows.reshape(count, -1, height * width)  # [n, 25, h · w]
    part = part.reshape(count, height * width)
    own = part.std(axis=1)
    squares = np.einsum("nsp,nsp->ns", windows, windows) / (height * width)  # faster than std()
    spread = np.sqrt(np.maximum(squares - windows.mean(axis=2) ** 2, 0))
    products = np.einsum("nsp,np->ns", windows, part) / (height * width)
    best = (products / np.maximum(spread, PLAIN)).max(axis=1) / np.maximum(own, PLAIN)
    return np.where(np.minimum(own, spread.max(axis=1)) > PLAIN, best, np.nan)


def _grid(panels: np.ndarray, cells: tuple[int, int]) -> np.ndarray:
    """Panels in grey, averaged in cells: uint8 [n, 3, H, W] → float32 [n, *cells]."""
    grey = panels[:, 1].astype(np.uint16)
    grey *= 2
    grey += panels[:, 0]
    grey += panels[:, 2]
    grey = torch.from_numpy(grey.astype(np.float32))
    return F.adaptive_avg_pool2d(grey[None], cells)[0].numpy() / 4
