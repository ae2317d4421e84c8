"""Reconstructions without a network, which a trained model should be better than."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from scipy.linalg import eigh
from torch import Tensor

COLUMNS = 16_384  # pixel values of all strips that are read at once
GRAM_ROWS = 512  # rows of the symmetric matrix of inner products that are found at once
# Without VNNI, products of int8 are slow and may overflow; torch has them under a private name.
INT8 = hasattr(torch, "_int_mm") and torch.cpu.get_capabilities().get("avx512_vnni", False)


def mosaic(strips: np.ndarray, block: int = 8) -> np.ndarray:
    """Every block × block square filled with its mean colour: uint8 [N, 3, 3, H, W] → the same.

    Squares at the right and bottom edge may be smaller.
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
    """`strips` projected onto the leading principal components of `training`'s pixels.

    Both are uint8 [·, 3, 3, H, W]; `training` may be a memory map, of which only `rows` [M] are
    used, if given. Returns, for each of `counts`, the reconstructions, uint8 like `strips`, and the
    number of components, at most M - 1. As in kernel PCA (Schölkopf et al. 1998, with the linear
    kernel), a component is a combination of training strips, found from their M × M inner products.
    """
    rows = np.arange(len(training)) if rows is None else rows
    x = training.reshape(len(training), -1)
    y = torch.from_numpy(np.ascontiguousarray(strips)).flatten(1)  # [N, D]
    spans = [slice(start, start + COLUMNS) for start in range(0, x.shape[1], COLUMNS)]
    blocks = [slice(start, start + GRAM_ROWS) for start in range(0, len(rows), GRAM_ROWS)]
    gram = torch.zeros(len(rows), len(rows), dtype=torch.float64)
    across = torch.zeros(len(y), len(rows), dtype=torch.float64)
    for span in spans:
        columns = _signed(torch.from_numpy(x[rows, span]))
        for block in blocks:
            gram[block, : block.stop] += _inner_products(columns[block], columns[: block.stop])
        across += _inner_products(_signed(y[:, span]), columns)
    for block in blocks:
        gram[: block.start, block] = gram[block, : block.start].T

    # Inner products of centred strips, from those of strips.
    means = gram.mean(dim=0)
    across += means.mean() - means - across.mean(dim=1, keepdim=True)
    gram -= means
    gram -= (means - means.mean())[:, None]

    wanted = max(0, len(rows) - max(counts)), len(rows) - 1
    found = eigh(gram.numpy(), subset_by_index=wanted, overwrite_a=True)
    variances, axes = map(torch.from_numpy, found)  # ascending
    real = int((variances > 1e-6 * variances[-1]).sum())
    kept = [min(count, real) for count in counts]
    # Coefficients of the training strips in each reconstruction, which sum to 0: [N, M].
    mixtures = [(across @ axes[:, -k:] / variances[-k:] @ axes[:, -k:].T).float() for k in kept]
    results = [torch.empty_like(y) for _ in kept]
    for span in spans:
        columns = torch.from_numpy(x[rows, span]).float()
        mean = columns.mean(dim=0)
        for mixture, result in zip(mixtures, results, strict=True):
            result[:, span] = (mean + mixture @ columns).round_().clamp_(0, 255).byte()
    return [(r.view(strips.shape).numpy(), k) for r, k in zip(results, kept, strict=True)]


def _signed(pixels: Tensor) -> Tensor:
    """uint8 values less 128: as int8 where the processor multiplies those fast, else as float32."""
    return (pixels ^ 128).view(torch.int8) if INT8 else pixels.float() - 128


def _inner_products(a: Tensor, b: Tensor) -> Tensor:
    """[N, F] and [M, F] → [N, M]; of int8 values exact, as int32, for F up to 131,071."""
    return torch._int_mm(a, b.T) if a.dtype == torch.int8 else a @ b.T
