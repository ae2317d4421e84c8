"""Which strips show the same picture: in another encoding, size or crop, or printed twice.

A strip's `fingerprint` is its panels in grey on a coarse grid. Pairs that correlate there are
compared on a finer grid, where lettering tells apart strips with the same characters in the same
places. There, of 21,736 pairs of real strips of 1985 the highest correlation is 0.71; of 50 million
pairs of drawn ones, some of which tell one joke in the same poses, 0.893. Of 409 strips, real and
drawn, all are recognised in grey, all but two as a JPEG at half the size, all but five with 1 % cut
off on each side. A scan that is tilted by 0.4° or reduced to black and white is not recognised.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
import torch.nn.functional as F

COARSE, FINE = (12, 12), (44, 50)  # cells down and across a panel
ALIKE_COARSE, ALIKE_FINE = 0.84, 0.9  # correlations from which pictures count as the same
SHIFT = 2  # cells of the fine grid by which a panel may have moved
PLAIN = 3.0  # standard deviation, of 255, up to which a panel has nothing to compare
BLOCK, PAIRS = 512, 16  # fingerprints, and pairs, that are compared at once
THREADS = 2  # that compare: each takes memory for BLOCK correlations with every fingerprint


def fingerprint(panels: np.ndarray) -> np.ndarray:
    """A strip's coarse grid, uint8 [3, 3, H, W] → float32 [432], scaled to unit length, so that a
    product of two is their correlation.

    The rims of the panels are left out, since they depend on the cut. A strip of flat colours gives
    zeros, which correlate with nothing.
    """
    y, x = (size // 20 for size in panels.shape[2:])
    inner = panels[:, :, y : panels.shape[2] - y : 2, x : panels.shape[3] - x]  # half the rows do
    grid = _grid(inner, COARSE).reshape(3, -1)
    grid -= grid.mean(axis=1, keepdims=True)
    length = np.linalg.norm(grid)
    return grid.ravel() / (length if length > PLAIN * grid.size**0.5 else np.inf)


def same_pictures(fingerprints: np.ndarray, panels: np.ndarray) -> Iterator[tuple[int, int]]:
    """Every pair of strips, as rows a < b, that show the same picture.

    fingerprints: float32 [N, 432]; panels: uint8 [N, 3, 3, H, W], of which little is read, so that
    it may be a memory map.
    """
    prints = torch.from_numpy(fingerprints)

    def search(start: int) -> list[tuple[int, int]]:
        correlations = prints[start : start + BLOCK] @ prints[start:].T  # [BLOCK, N − start]
        pairs = start + (correlations >= ALIKE_COARSE).triu(1).nonzero().numpy()
        parts = [pairs[first : first + PAIRS] for first in range(0, len(pairs), PAIRS)]
        return [(a, b) for part in parts for a, b in part[_same(panels, part)].tolist()]

    with ThreadPoolExecutor(THREADS) as pool:
        for found in pool.map(search, range(0, len(fingerprints), BLOCK)):
            yield from found


def _same(panels: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Which pairs of strips, rows [n, 2], are the same picture: bool [n]."""
    scores, left = np.full((len(pairs), 3), np.nan), np.arange(len(pairs))
    for panel in range(3):  # one at a time: most pairs differ in the first
        if not len(left):
            break
        rows, places = np.unique(pairs[left], return_inverse=True)
        one, other = _grid(panels[rows, panel], FINE)[places.reshape(-1, 2).T]
        scores[left, panel] = _likeness(one, other)
        # Below that, it does not matter what the other two have.
        left = left[~(1 - scores[left, panel] > 3 * (1 - ALIKE_FINE))]
    counts = np.isfinite(scores[left]).sum(axis=1)
    same = np.zeros(len(pairs), bool)
    same[left] = (counts >= 2) & (np.nansum(scores[left], axis=1) >= ALIKE_FINE * counts)
    return same


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
