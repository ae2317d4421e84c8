"""Which strips show the same picture: in another encoding, size or crop, or printed twice.

A strip's `fingerprint` is its panels in grey on a coarse grid. Pairs that correlate there are
compared on a finer grid, where lettering tells apart strips with the same characters in the same
places. There, of 21,736 pairs of real strips of 1985 the highest correlation is 0.69; of 50 million
pairs of drawn ones, some of which tell one joke in the same poses, 0.888. Of 409 strips, real and
drawn, all are recognised in grey, all but one as a JPEG at half the size, all but five with 1 % cut
off on each side. A scan that is tilted by 0.4° or reduced to black and white is not recognised.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache, partial

import numpy as np
import torch
import torch.nn.functional as F

COARSE, FINE = (12, 12), (44, 50)  # cells down and across a panel
ALIKE_COARSE, ALIKE_FINE = 0.84, 0.9  # correlations from which pictures count as the same
SHIFT = 2  # cells of the fine grid by which a panel may have moved
PLAIN = 3.0  # standard deviation, of 255, up to which a panel has nothing to compare
BLOCK = 1024  # fingerprints that are compared at once


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

    step = max(1, panels.shape[3] // (2 * FINE[0]))  # two rows of pixels for a cell will do

    @lru_cache(maxsize=3 * BLOCK)  # strips that look alike are compared with one another
    def fine(row: int, panel: int) -> np.ndarray:
        return _grid(panels[row, panel, :, ::step][None], FINE)[0]

    for start in range(0, len(fingerprints), BLOCK):
        block = fingerprints[start : start + BLOCK]
        alike = block @ fingerprints[start:].T >= ALIKE_COARSE  # [BLOCK, N − start]
        for a, b in (start + np.argwhere(alike)).tolist():
            if a < b and _same(partial(fine, a), partial(fine, b)):
                yield a, b


def _same(one: Callable[[int], np.ndarray], other: Callable[[int], np.ndarray]) -> bool:
    """Whether two strips are the same picture, each panel perhaps shifted a little.

    one, other: from a panel's number to its fine grid.
    """
    scores = []
    for panel in range(3):  # one at a time: most pairs differ in the first
        part = one(panel)[2 * SHIFT : -2 * SHIFT, 2 * SHIFT : -2 * SHIFT]
        inner = other(panel)[SHIFT:-SHIFT, SHIFT:-SHIFT]
        windows = np.lib.stride_tricks.sliding_window_view(inner - inner.mean(), part.shape)
        windows = windows.reshape(-1, part.size)  # [25, h · w]
        squares = np.einsum("ij,ij->i", windows, windows) / part.size  # faster than std()
        spread = np.sqrt(np.maximum(squares - windows.mean(axis=1) ** 2, 0))
        own = part.std()
        if min(own, spread.max()) > PLAIN:
            products = windows @ (part - part.mean()).ravel() / part.size
            scores.append((products / np.maximum(spread, PLAIN)).max() / own)
            if 1 - scores[-1] > 3 * (1 - ALIKE_FINE):
                return False  # whatever the other two panels have
    return len(scores) >= 2 and sum(scores) / len(scores) >= ALIKE_FINE


def _grid(panels: np.ndarray, cells: tuple[int, int]) -> np.ndarray:
    """Panels in grey, averaged in cells: uint8 [3, 3, H, W] → float32 [3, *cells]."""
    grey = panels[:, 1].astype(np.uint16)
    grey *= 2
    grey += panels[:, 0]
    grey += panels[:, 2]
    grey = torch.from_numpy(grey.astype(np.float32))
    return F.adaptive_avg_pool2d(grey[None], cells)[0].numpy() / 4
