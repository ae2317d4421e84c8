"""Fixed features of a strip, the same for every model that is measured.

Distances between sets of pictures are usually taken on features of Inception, whose weights are a
download and were learned from photographs; features of the measured model itself would favour it.
Here they are of two kinds: activations of a frozen random convolutional network (Naeem et al. 2020
compare random weights with learned ones), and histograms of oriented gradients (HOG, Dalal and
Triggs 2005), which describe lines, beside principal components of the reduced picture, which
describe its layout.
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

    Each panel, at half resolution, goes through four 3×3 convolutions of stride 2 with He
    initialisation from `seed`. Its features are the mean and the standard deviation over the plane
    of each channel of the last three layers.
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

    Gradients are central differences of the mean colour. Their lengths are shared linearly between
    the two nearest of nine unsigned orientations and averaged over cells; each cell is divided by
    the norm of one 2×2 block of cells (Dalal and Triggs 2005, who use every block around it).
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
        # Two bins more than orientations; they are added to the first two afterwards.
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
    """HOG and reduced pictures, projected on the leading principal components of a reference set.

    Both halves are scaled to the same total variance on the reference, so that they have the same
    weight, and the whole to a mean square of 1, which KID expects (see `KernelDistance`).
    """

    def __init__(self, *reference: Tensor, components: int = 64) -> None:
        """reference: `hog` [M, F] and `small_strips` [M, ...] of the reference set."""
        self._projections = []
        for half in reference:
            mean, axes, std = principal_components(half.flatten(1), components)
            self._projections.append((mean, axes / std.square().sum().sqrt()))

    def __call__(self, *halves: Tensor) -> Tensor:
        """The same two of other strips, [N, ...] each → [N, at most 2·components]."""
        reduced = [
            (half.flatten(1) - mean) @ axes
            for half, (mean, axes) in zip(halves, self._projections, strict=True)
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


def principal_components(features: Tensor, most: int) -> tuple[Tensor, Tensor, Tensor]:
    """The mean [F] of features [M, F], and at most `most` leading axes [F, k] with the standard
    deviation along each [k]."""
    mean = features.mean(dim=0)
    _, lengths, axes = torch.linalg.svd(features - mean, full_matrices=False)
    kept = max(1, min(most, int((lengths > 1e-4 * lengths[0]).sum())))
    return mean, axes[:kept].T, lengths[:kept].clamp(min=1e-6) / math.sqrt(len(features))


def strip_chunks(strips: np.ndarray | Tensor, size: int = CHUNK) -> Iterator[Tensor]:
    """Strips, uint8 [N, 3, 3, H, W], as float in [-1, 1], `size` of them at a time."""
    for start in range(0, len(strips), size):
        # A copy, because torch warns of arrays that cannot be written to, such as memory maps.
        chunk = torch.from_numpy(np.array(strips[start : start + size]))
        yield chunk.float().div_(127.5).sub_(1)
