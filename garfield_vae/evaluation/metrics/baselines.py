"""What needs no network: the reconstructions that a trained model has to beat."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from scipy.linalg import eigh
from torch import Tensor

COLUMNS = 8192  # pixel values of all strips converted to float at once
GRAM_ROWS = 512  # of the symmetric matrix of products that are found together


def mosaic(strips: np.ndarray, block: int = 8) -> np.ndarray:
    """Every block × block square filled with its mean, uint8 [N, 3, 3, H, W] → the same.

    What a strip looks like when one number a square and colour is kept of it. Squares at the right
    and bottom edge may be smaller.
    """
    height, width = strips.shape[-2:]
    result = np.empty_like(strips)
    for start in range(0, len(strips), 32):
        panels = torch.from_numpy(np.array(strips[start : start + 32])).flatten(0, 1).float()
        means = F.avg_pool2d(panels, block, ceil_mode=True, count_include_pad=False).round().byte()
        large = means.repeat_interleave(block, dim=2).repeat_interleave(block, dim=3)
        whole = large[..., :height, :width].numpy()
        result[start : start + 32] = whole.reshape(-1, *strips.shape[1:])
    return result


def mean_image(training: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
    """The mean of all strips, or of some rows [M], uint8 [·, 3, 3, H, W] → [3, 3, H, W]."""
    rows = np.arange(len(training)) if rows is None else rows
    total = np.zeros(training.shape[1:], dtype=np.float64)
    for start in range(0, len(rows), 64):
        total += training[rows[start : start + 64]].sum(axis=0, dtype=np.uint32)
    return np.rint(total / len(rows)).astype(np.uint8)


def pca_reconstructions(
    training: np.ndarray,
    strips: np.ndarray,
    counts: Sequence[int],
    rows: np.ndarray | None = None,
) -> list[tuple[np.ndarray, int]]:
    """`strips` seen through the leading principal components of `training`'s pixels.

    Both are uint8 [·, 3, 3, H, W]; `training` may be a memory map, of which `rows` [M] alone are
    meant, if given. Returned are, for each of `counts`, the reconstructions, uint8 like `strips`,
    and how many components there were: no more than training strips less one. The components are
    never formed: they are combinations of the training strips, so M × M products are all it takes,
    M² · D in time.
    """
    rows = np.arange(len(training)) if rows is None else rows
    x = training.reshape(len(training), -1)
    y = torch.from_numpy(np.ascontiguousarray(strips)).flatten(1)  # [N, D]
    places = range(0, x.shape[1], COLUMNS)
    gram, across = torch.zeros(len(rows), len(rows)), torch.zeros(len(y), len(rows))
    for start in places:
        columns, mean = _centred(x, rows, start)
        for piece in torch.arange(len(rows)).split(GRAM_ROWS):  # eigh reads the lower half alone
            end = int(piece[-1]) + 1
            gram[piece[0] : end, :end] += columns[piece[0] : end] @ columns[:end].T
        across += (y[:, start : start + COLUMNS].float() / 255 - mean) @ columns.T
    wanted = max(0, len(rows) - max(counts)), len(rows) - 1
    found = eigh(gram.double().numpy(), subset_by_index=wanted, overwrite_a=True)
    variances, axes = map(torch.from_numpy, found)  # ascending
    real = int((variances > 1e-6 * variances[-1]).sum())
    kept = [min(count, real) for count in counts]
    # Coefficients of the training strips in each reconstruction: [N, M] for each count.
    mixtures = [
        (across.double() @ axes[:, -k:] / variances[-k:] @ axes[:, -k:].T).float() for k in kept
    ]
    results = [torch.empty_like(y) for _ in kept]
    for start in places:
        columns, mean = _centred(x, rows, start)
        for mixture, result in zip(mixtures, results, strict=True):
            seen = (mean + mixture @ columns) * 255
            result[:, start : start + COLUMNS] = seen.round_().clamp_(0, 255).byte()
    return [(r.view(strips.shape).numpy(), k) for r, k in zip(results, kept, strict=True)]


def _centred(x: np.ndarray, rows: np.ndarray, start: int) -> tuple[Tensor, Tensor]:
    columns = torch.from_numpy(x[rows, start : start + COLUMNS]).float() / 255
    mean = columns.mean(dim=0)
    return columns - mean, mean
