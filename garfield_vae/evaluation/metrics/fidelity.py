"""Sets of drawn strips against sets of real ones, on features.

Precision and density say how far a drawn set is faithful, recall and coverage how much of the real
one it reaches, kernel distance (KID) how far the two lie apart as a whole.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Manifold:
    """One value a strip; the mean of each is the measure.

    precision, density [M]: of each drawn strip. recall, coverage [N]: of each real strip.
    """

    precision: np.ndarray
    density: np.ndarray
    recall: np.ndarray
    coverage: np.ndarray


def manifold_measures(real: Tensor, drawn: Tensor, neighbours: int = 5) -> Manifold:
    """Precision and recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020).

    real [N, F] and drawn [M, F] are features. Around every strip lies a ball that reaches to its
    k-th nearest neighbour in its own set. A drawn strip is precise when it lies in a real ball, a
    real strip is recalled when it lies in a drawn ball; density counts the real balls around a
    drawn strip, over k (it may exceed 1); a real strip is covered when a drawn one lies in its
    ball. k is lowered where a set has too few strips for it.

    Raises ValueError for a set of fewer than two strips, which has no balls.
    """
    k = min(neighbours, len(real) - 1, len(drawn) - 1)
    if k < 1:
        raise ValueError("precision and recall need two strips or more in either set")
    real_radius, drawn_radius = _neighbour_distance(real, k), _neighbour_distance(drawn, k)
    distances = _distances(real, drawn)  # [N, M]
    in_real_ball = distances <= real_radius[:, None]
    in_drawn_ball = distances <= drawn_radius[None, :]
    return Manifold(
        precision=in_real_ball.any(dim=0).double().numpy(),
        density=(in_real_ball.sum(dim=0) / k).double().numpy(),
        recall=in_drawn_ball.any(dim=1).double().numpy(),
        coverage=in_real_ball.any(dim=1).double().numpy(),
    )


def _neighbour_distance(features: Tensor, k: int) -> Tensor:
    # The smallest of the k + 1 distances is that of the strip to itself.
    return _distances(features, features).kthvalue(k + 1, dim=1).values


def _distances(a: Tensor, b: Tensor) -> Tensor:
    """Euclidean distances [N, M] by one matrix product, in double precision.

    What lies within a millionth of its own length counts as the same place: that is what rounding
    would leave between a strip and itself.
    """
    a, b = a.double(), b.double()
    middle = b.mean(dim=0)
    a, b = a - middle, b - middle
    lengths = a.square().sum(dim=1)[:, None] + b.square().sum(dim=1)
    squares = torch.addmm(lengths, a, b.T, alpha=-2)
    return torch.where(squares > 1e-12 * lengths, squares, 0.0).sqrt()


class KernelDistance:
    """Squared maximum mean discrepancy with the kernel (x·y / F + 1)³ (KID, Bińkowski et al. 2018).

    Features are expected to have a mean square of 1, as those of Inception have about: with much
    smaller ones the kernel is nearly linear and sees only the difference of means. Unbiased: two
    sets of the same kind give 0 on average, and may give less. Called with how often each strip
    counts, it gives the distance of a resampled set; a strip never meets itself.
    """

    def __init__(self, real: Tensor, drawn: Tensor) -> None:
        """real [N, F], drawn [M, F]: features."""
        kernel = lambda a, b: ((a @ b.T / a.shape[1] + 1) ** 3).double().numpy()  # noqa: E731
        self._real, self._drawn = kernel(real, real), kernel(drawn, drawn)
        self._across = kernel(real, drawn)

    def __call__(self, real_counts: np.ndarray, drawn_counts: np.ndarray) -> float:
        """Counts [N] and [M] (all ones: the plain distance) → squared distance."""
        across = real_counts @ self._across @ drawn_counts
        across /= real_counts.sum() * drawn_counts.sum()
        return float(
            _mean_of_pairs(self._real, real_counts)
            + _mean_of_pairs(self._drawn, drawn_counts)
            - 2 * across
        )


def _mean_of_pairs(kernel: np.ndarray, counts: np.ndarray) -> float:
    pairs = counts.sum() ** 2 - (counts**2).sum()
    if pairs == 0:  # one strip, however often, has no pair
        return math.nan
    return (counts @ kernel @ counts - counts**2 @ np.diagonal(kernel)) / pairs
