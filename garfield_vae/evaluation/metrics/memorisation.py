"""Memorisation: are samples new strips or copies of training strips?

Three measures, each relative to the same measure of held-out strips:

    mann_whitney_z      the data-copying test of Meehan, Chaudhuri and Dasgupta (2020), "A
    mean_z_of_cells     Non-Parametric Test to Detect Data-Copying in Generative Models"
    nearest_training    distance of each panel to the nearest training panel, at any place in a
                        strip and also mirrored, relative to the distance to the 20th nearest
    novelty             distances of latents and of decoded pictures to the nearest training strip

Training strips are read a piece at a time, so that memory does not grow with their number.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.stats
import torch
from torch import Tensor

from garfield_vae.evaluation.metrics.features import strip_chunks
from garfield_vae.evaluation.metrics.fidelity import squared_distances
from garfield_vae.evaluation.metrics.filters import PlaneFilter, averaging_matrix
from garfield_vae.evaluation.metrics.intervals import Estimate, ratio_estimate
from garfield_vae.evaluation.metrics.reconstruction import mse_of_pixels

GRID = (16, 18)  # squares of a panel's layout: large enough to be insensitive to small shifts
NEIGHBOURS = 20  # the nearest training panel is measured against this one
TRAINING_STRIPS = 512  # compared at once
LATENTS = 4096  # compared at once
DECODED = 200  # samples, and held-out strips, whose pixels are compared for novelty
LEADING = 64  # principal components with visible effects
NEAR_COPY = 0.6  # share of real strips' median relative distance, below which a panel is a copy
COPIES_SIGNIFICANT = 0.01  # p-value of Fisher's exact test, one-sided
TEST_SIGNIFICANT = -3.1  # standard normal deviate of the data-copying test: p = 0.001, one-sided
FEWEST_IN_CELL = 20  # samples, and half as many held-out strips, for a cell of the test to count


# ---- panels and their nearest training panels ---------------------------------------------------


def layouts(strips: np.ndarray | Tensor) -> Tensor:
    """The mean colour of 16 × 18 squares of each panel: uint8 [N, 3, 3, H, W] → float [N, 3, F]."""
    height, width = strips.shape[-2:]
    rows, columns = min(GRID[0], height), min(GRID[1], width)
    average = PlaneFilter(averaging_matrix(height, rows), averaging_matrix(width, columns))
    return torch.cat([average(chunk).flatten(2) for chunk in strip_chunks(strips)])


@dataclass(frozen=True)
class Nearest:
    """The training strips that are nearest to N strips.

    row [N]            the training strip that is nearest as a whole
    distance [N]       root mean square difference to it, of squares' colours in [-1, 1]
    relative [N, 3]    each panel's distance to the training panel nearest to it, over its distance
                       to the 20th nearest: 0 for a copy, a little below 1 for a new panel. Blur
                       lowers both distances, and so hardly changes their ratio.
    panel_row [N, 3]   the training strip that each panel's nearest belongs to
    """

    row: np.ndarray
    distance: np.ndarray
    relative: np.ndarray
    panel_row: np.ndarray


def nearest_training(
    strips: np.ndarray | Tensor,
    training: Any,
    groups: np.ndarray | None = None,
    training_groups: np.ndarray | None = None,
) -> Nearest:
    """Compares strips, uint8 [N, 3, 3, H, W], with all training strips [M, 3, 3, H, W].

    `training` is an array, a memory map, or anything with a length whose slices are arrays. A panel
    is compared with the panels of all three places, as it is and mirrored. Where `groups` [N] and
    `training_groups` [M] are given, a strip is not compared with training strips of its own group,
    so that training strips themselves can stand for strips that training never saw.
    """
    asked = layouts(strips)
    count, _, width = asked.shape
    mirrored = layouts(np.asarray(strips)[..., ::-1])
    queries = torch.stack([asked, mirrored]).flatten(0, 2)  # [2·N·3, F]
    best = torch.full((count * 3, 0), math.inf), torch.zeros((count * 3, 0), dtype=torch.long)
    row, distance = torch.zeros(count, dtype=torch.long), torch.full((count,), math.inf)
    for start in range(0, len(training), TRAINING_STRIPS):
        chunk = layouts(training[start : start + TRAINING_STRIPS])
        squares = squared_distances(queries, chunk.flatten(0, 1)) / width  # [2·N·3, m·3]
        squares = squares.view(2, count, 3, len(chunk), 3)
        if groups is not None and training_groups is not None:
            own = groups[:, None] == training_groups[None, start : start + TRAINING_STRIPS]
            squares.masked_fill_(torch.from_numpy(own)[None, :, None, :, None], math.inf)
        whole = squares[0].diagonal(dim1=1, dim2=3).mean(dim=-1).min(dim=1)  # [N]
        nearer = whole.values < distance
        row = torch.where(nearer, whole.indices + start, row)
        distance = torch.where(nearer, whole.values, distance)
        panels = squares.amin(dim=0).flatten(0, 1).flatten(1)  # [N·3, m·3]
        found = torch.cat([best[0], panels], dim=1)
        places = torch.arange(start * 3, (start + len(chunk)) * 3).expand(len(panels), -1)
        found = found.topk(min(NEIGHBOURS, found.shape[1]), largest=False)
        best = found.values, torch.cat([best[1], places], dim=1).gather(1, found.indices)
    lengths = best[0].sqrt().double().view(count, 3, -1).numpy()
    lengths = np.where(np.isfinite(lengths), lengths, np.nan)
    furthest = np.nanmax(lengths, axis=2)
    return Nearest(
        row.numpy(),
        distance.sqrt().double().numpy(),
        np.divide(lengths[..., 0], furthest, out=np.ones_like(furthest), where=furthest > 0),
        (best[1].view(count, 3, -1)[..., 0] // 3).numpy(),
    )


def near_copies(relative: np.ndarray, control: np.ndarray) -> np.ndarray:
    """Which strips have a panel that is a near copy: bool [N], from `Nearest.relative` [N, 3].

    `control` [C, 3] are the relative distances of real strips; those of a near copy are below 0.6
    of their median.
    """
    return relative.min(axis=1) < NEAR_COPY * np.median(control.min(axis=1))


def more_copies(samples: np.ndarray, control: np.ndarray) -> float:
    """p-value of Fisher's exact test, one-sided: are near copies more frequent among samples, bool
    [M], than among real strips, bool [C]?"""
    table = [[samples.sum(), (~samples).sum()], [control.sum(), (~control).sum()]]
    return float(scipy.stats.fisher_exact(table, alternative="greater").pvalue)


# ---- the test of Meehan et al. ------------------------------------------------------------------


def mann_whitney_z(samples: np.ndarray, held_out: np.ndarray) -> float:
    """Z_U of Meehan et al., on distances to the nearest training strip, [M] and [N].

    The Mann-Whitney U, ties counting half, as a standard normal deviate: far below 0, samples are
    nearer to training strips than held-out strips are (copying).
    """
    m, n = len(samples), len(held_out)
    ranks = scipy.stats.rankdata(np.concatenate([samples, held_out]))
    u = ranks[:m].sum() - m * (m + 1) / 2
    return float((u - m * n / 2) / math.sqrt(m * n * (m + n + 1) / 12))


def mean_z_of_cells(
    samples: np.ndarray,
    held_out: np.ndarray,
    sample_cells: np.ndarray,
    held_out_cells: np.ndarray,
) -> float | None:
    """C_T of Meehan et al.: the mean of Z_U over cells, weighted by their held-out strips.

    Cells, [M] and [N], are the cluster of each strip in a k-means of training strips. Only those
    with at least 20 samples and 10 held-out strips count; None where there are none.
    """
    scores, weights = [], []
    for cell in np.unique(held_out_cells):
        a, b = samples[sample_cells == cell], held_out[held_out_cells == cell]
        if len(a) >= FEWEST_IN_CELL and len(b) >= FEWEST_IN_CELL // 2:
            scores.append(mann_whitney_z(a, b))
            weights.append(len(b))
    return float(np.average(scores, weights=weights)) if scores else None


# ---- novelty of latents -------------------------------------------------------------------------


@dataclass(frozen=True)
class Novelty:
    """Distances of samples to the nearest training strip, over those of held-out strips.

    1: as new as a held-out strip. 0: a copy. `leading` is by the first 64 principal components in
    standard deviations, `latents` by all of them in latent units, `pixels` by the mean squared
    error between the decoded sample and the reconstruction of the training strip whose latent is
    nearest. `row` [M] are the nearest training strips; the distances [M] and [N] are in latent
    units.
    """

    leading: Estimate
    latents: Estimate
    pixels: Estimate
    row: np.ndarray
    sample_distances: np.ndarray
    held_out_distances: np.ndarray


def novelty(
    samples: np.ndarray,
    held_out: np.ndarray,
    training: np.ndarray,
    std: np.ndarray,
    decode: Callable[[np.ndarray], np.ndarray],
    *,
    groups: np.ndarray | None = None,
) -> Novelty:
    """Distances of samples to the nearest training strip, over those of held-out strips.

    samples [M, k], held_out [N, k], training [T, k]: PCA coordinates of latents in standard
    deviations (`LatentSpace.coordinates`), std [k] those deviations in latent units. `decode` turns
    coordinates [n, k] into strips, uint8 [n, 3, 3, H, W]; the first 200 samples and held-out
    strips are compared in pixels. `groups` [N]: held-out strips that are resampled together.
    """

    def nearest(queries: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        k = len(scale)
        starts = range(0, len(training), LATENTS)
        reference = (training[i : i + LATENTS][:, :k] * scale for i in starts)
        return nearest_points(queries[:, :k] * scale, reference)

    def error(queries: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return mse_of_pixels(decode(queries[:DECODED]), decode(training[rows[:DECODED]]))

    ones = np.ones(min(LEADING, len(std)), np.float32)
    (near, _), (held_near, _) = nearest(samples, ones), nearest(held_out, ones)
    (far, rows), (held_far, held_rows) = nearest(samples, std), nearest(held_out, std)
    decoded_groups = groups[:DECODED] if groups is not None else None
    return Novelty(
        ratio_estimate(near, held_near, groups),
        ratio_estimate(far, held_far, groups),
        ratio_estimate(error(samples, rows), error(held_out, held_rows), decoded_groups),
        rows,
        far,
        held_far,
    )


def nearest_points(
    queries: np.ndarray, pieces: Iterator[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Distance [N] and row [N] of the nearest of many points, which come in pieces [·, F]."""
    points = torch.from_numpy(np.ascontiguousarray(queries, np.float32))
    distance = torch.full((len(points),), math.inf)
    row, start = torch.zeros(len(points), dtype=torch.long), 0
    for piece in pieces:
        others = torch.from_numpy(np.ascontiguousarray(piece, np.float32))
        found = squared_distances(points, others).min(dim=1)
        nearer = found.values < distance
        row = torch.where(nearer, found.indices + start, row)
        distance = torch.where(nearer, found.values, distance)
        start += len(others)
    return distance.sqrt().double().numpy(), row.numpy()
