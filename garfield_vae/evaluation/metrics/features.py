"""Fixed descriptions of a strip, the same for every model that is measured.

A measure of samples needs features that see more than pixels, and features learned by the measured
model would flatter it. Inception weights are a download, and photographs taught them. Two kinds
are fixed instead: a frozen random convolutional network, which tells sets of pictures apart
surprisingly well, and histograms of oriented gradients (HOG, Dalal and Triggs 2005), which see
lines, beside the leading pixel components of the small picture, which see its layout.
"""

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK = 4  # strips converted to float at once: 5 MB of pixels stay in a processor's cache
ORIENTATIONS = 9


def small_strips(strips: np.ndarray | Tensor, factor: int = 8) -> Tensor:
    """Mean of every factor × factor block: uint8 [N, 3, 3, H, W] → float [N, 3, 3, H/f, W/f].

    Values are in [-1, 1]; blocks that do not fit at the right or bottom edge are left out.
    """
    pieces = [F.avg_pool3d(chunk, (1, factor, factor)) for chunk in strip_chunks(strips)]
    return torch.cat(pieces)


def random_network_features(strips: np.ndarray | Tensor, seed: int = 0) -> Tensor:
    """Activations of a frozen random network: uint8 [N, 3, 3, H, W] → float [N, 3·2·(32+64+128)].

    Each panel at half resolution passes four 3×3 convolutions of stride 2 with He initialisation
    from `seed`; the mean and the standard deviation over the plane of the last three layers'
    channels are its features. Random weights in place of learned ones: see Naeem et al. 2020.
    """
    generator = torch.Generator().manual_seed(seed)
    widths = (3, 16, 32, 64, 128)
    kernels = [
        torch.randn(after, before, 3, 3, generator=generator) * math.sqrt(2 / (9 * before))
        for before, after in pairwise(widths)
    ]
    described = []
    for chunk in strip_chunks(strips):
        x = F.avg_pool2d(chunk.flatten(0, 1), 2)  # [N, 3, 3, H, W] → [3·N, 3, H/2, W/2]
        pooled = []
        for layer, kernel in enumerate(kernels):
            x = F.relu(F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), kernel, stride=2))
            if layer > 0:
                plane = x.flatten(2)
                pooled += [plane.mean(dim=2), plane.std(dim=2, correction=0)]
        described.append(torch.cat(pooled, dim=1).view(len(chunk), -1))
    return torch.cat(described)


def hog(strips: np.ndarray | Tensor, cell: int = 16) -> Tensor:
    """Histograms of oriented gradients: uint8 [N, 3, 3, H, W] → float [N, 3·9·(H/cell)·(W/cell)].

    Central differences of the mean of the colours, nine unsigned orientations with linear
    sharing between the two nearest, sums over cells, then each cell divided by the length of the
    2×2 block of cells around it (Dalal and Triggs 2005, with one block a cell for brevity).
    """
    rows, columns = strips.shape[-2] // cell, strips.shape[-1] // cell
    cells = rows * columns
    y, x = torch.arange(rows * cell)[:, None], torch.arange(columns * cell)
    cell_of = y // cell * columns + x // cell  # [rows·cell, columns·cell]
    described = []
    for chunk in strip_chunks(strips):
        grey = chunk.flatten(0, 1).mean(dim=1, keepdim=True)  # [3·N, 1, H, W]
        grey = F.pad(grey, (1, 1, 1, 1), mode="replicate").squeeze(1)
        across = (grey[:, 1:-1, 2:] - grey[:, 1:-1, :-2])[:, : len(y), : len(x)]
        down = (grey[:, 2:, 1:-1] - grey[:, :-2, 1:-1])[:, : len(y), : len(x)]
        length = torch.sqrt(across**2 + down**2)
        angle = torch.atan2(down, across).mul_(ORIENTATIONS / math.pi).remainder_(ORIENTATIONS)
        lower = angle.floor()
        upper_share = (angle - lower).mul_(length)
        # Two bins more than orientations: nothing has to be wrapped before it is counted.
        panel = torch.arange(len(grey))[:, None, None] * (ORIENTATIONS + 2)
        place = (lower.long().add_(panel)).mul_(cells).add_(cell_of).flatten()
        bins = torch.zeros(len(grey) * (ORIENTATIONS + 2) * cells)
        bins.scatter_add_(0, place, (length - upper_share).flatten())
        bins.scatter_add_(0, place.add_(cells), upper_share.flatten())
        bins = bins.view(len(grey), ORIENTATIONS + 2, rows, columns) / cell**2
        bins[:, :2] += bins[:, ORIENTATIONS:]
        histograms = bins[:, :ORIENTATIONS]  # [3·N, 9, H/cell, W/cell]
        energy = histograms.square().sum(dim=1, keepdim=True)
        block = F.avg_pool2d(F.pad(energy, (0, 1, 0, 1), mode="replicate"), 2, stride=1)
        described.append((histograms / torch.sqrt(block + 1e-4)).reshape(len(chunk), -1))
    return torch.cat(described)


class LinesAndLayout:
    """HOG and small pixels, each reduced to its leading principal components of a reference set.

    Fitted once on training strips and then fixed. Both halves are scaled to the same total
    variance on the reference, so that neither drowns the other, and the whole to a mean square of
    1, so that a polynomial kernel sees more than means.
    """

    def __init__(self, *reference: Tensor, components: int = 64) -> None:
        """reference: `hog` [M, F] and `small_strips` [M, ...] of the reference set."""
        self._reductions = [_fit_components(half.flatten(1), components) for half in reference]

    def __call__(self, *halves: Tensor) -> Tensor:
        """The same two of other strips, [N, ...] each → [N, at most 2·components]."""
        reduced = [
            (half.flatten(1) - mean) @ axes
            for half, (mean, axes) in zip(halves, self._reductions, strict=True)
        ]
        features = torch.cat(reduced, dim=1)
        return features * math.sqrt(features.shape[1] / len(halves))


def standardised(features: Tensor, reference: Tensor) -> Tensor:
    """Features [N, F] in standard deviations of the reference [M, F], scaled to a mean square of 1.

    Features that are constant in the reference become 0, and the others make up for them.
    """
    mean, std = reference.mean(dim=0), reference.std(dim=0, correction=0)
    varies = std > 1e-6
    scale = math.sqrt(len(std) / max(1, int(varies.sum())))
    return torch.where(varies, (features - mean) / std.clamp(min=1e-6) * scale, 0.0)


def _fit_components(features: Tensor, components: int) -> tuple[Tensor, Tensor]:
    """Mean [F] and leading axes [F, k], the axes divided by the reference's deviation along all."""
    mean = features.mean(dim=0)
    _, lengths, axes = torch.linalg.svd(features - mean, full_matrices=False)
    kept = min(components, int((lengths > 1e-4 * lengths[0]).sum()))
    total = lengths[:kept].square().sum() / len(features)
    return mean, axes[:kept].T / total.sqrt()


def strip_chunks(strips: np.ndarray | Tensor) -> Iterator[Tensor]:
    """uint8 [N, 3, 3, H, W], a few strips at a time, as float in [-1, 1]."""
    for start in range(0, len(strips), CHUNK):
        # a copy: the pieces of a memory map cannot be written to, and torch warns of those
        chunk = torch.from_numpy(np.array(strips[start : start + CHUNK]))
        yield chunk.float().div_(127.5).sub_(1)
