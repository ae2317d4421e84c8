"""Which strips show the same picture: in another encoding, size or crop, or printed twice.

A strip's `fingerprint` is its panels in grey on a coarse grid. Pairs that correlate there are
compared on a finer grid, where lettering tells apart strips with the same characters in the same
places. There, of 21,736 pairs of real strips of 1985 the highest correlation is 0.73; of 50 million
pairs of drawn ones, some of which tell one joke in the same poses, 0.893. A strip and its JPEG at
half the size have at least 0.92, in grey 0.96, with 1 % cut off on each side 0.93. A scan that is
tilted by 0.4° or reduced to black and white is not recognised.
"""

from collections.abc import Callable, Iterator

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
    rim = panels.shape[2] // 20, panels.shape[3] // 20
    inner = panels[:, :, rim[0] : panels.shape[2] - rim[0], rim[1] : panels.shape[3] - rim[1]]
    grid = _grid(inner[:, :, ::2], COARSE)  # every other row is enough
    grid -= grid.mean(axis=(1, 2), keepdims=True)
    return grid.ravel() / (np.linalg.norm(grid) if grid.std() > PLAIN else np.inf)


def same_pictures(
    fingerprints: np.ndarray, panels_of: Callable[[int], np.ndarray]
) -> Iterator[tuple[int, int]]:
    """Every pair of strips, as rows a < b, that show the same picture.

    fingerprints: float32 [N, 432]; panels_of: a row's panels, uint8 [3, 3, H, W].
    """
    for start in range(0, len(fingerprints), BLOCK):
        block = fingerprints[start : start + BLOCK]
        alike = block @ fingerprints[start:].T >= ALIKE_COARSE  # [BLOCK, N − start]
        for a, b in np.argwhere(np.triu(alike, 1)).tolist():
            if _same(panels_of(start + a), panels_of(start + b)):
                yield start + a, start + b


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two strips' panels are the same picture, each perhaps shifted a little."""
    scores = []
    for a, b in zip(one, other, strict=True):  # a panel at a time: most pairs differ in the first
        a, b = _grid(a[None], FINE)[0], _grid(b[None], FINE)[0]
        part = a[2 * SHIFT : -2 * SHIFT, 2 * SHIFT : -2 * SHIFT]
        windows = np.lib.stride_tricks.sliding_window_view(
            b[SHIFT:-SHIFT, SHIFT:-SHIFT], part.shape
        )
        windows = windows.reshape(-1, part.size)  # [25, h · w]
        spread = windows.std(axis=1)
        if min(part.std(), spread.max()) > PLAIN:
            products = windows @ (part - part.mean()).ravel() / part.size
            scores.append((products / np.maximum(spread, PLAIN)).max() / part.std())
            if 1 - scores[-1] > 3 * (1 - ALIKE_FINE):
                return False  # whatever the other two panels have
    return len(scores) >= 2 and sum(scores) / len(scores) >= ALIKE_FINE


def _grid(panels: np.ndarray, cells: tuple[int, int]) -> np.ndarray:
    """Panels in grey, averaged in cells: uint8 [3, 3, H, W] → float32 [3, *cells]."""
    grey = panels[:, 1].astype(np.uint16) * 2 + panels[:, 0] + panels[:, 2]
    grey = grey.astype(np.float32) / 4
    return F.adaptive_avg_pool2d(torch.from_numpy(grey)[None], cells)[0].numpy()
