"""Sets of drawn strips against sets of real ones, by features.

Precision and density measure how realistic drawn strips are, recall and coverage how much of the
variety of real ones they have, kernel distance (KID) both.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Manifold:
    """One value per strip; the measures are their means.

    precision, density [M]: of each drawn strip. recall, coverage [N]: of each real strip.
    """

    precision: np.ndarray
    density: np.ndarray
    recall: np.ndarray
    coverage: np.ndarray


def manifold_measures(real: Tensor, drawn: Tensor, neighbours: int = 5) -> Manifold:
    """Precision and recall (Kynkäänniemi et al. 2019, "Improved Precision and Recall Metric for
    Assessing Generative Models"), density and coverage (Naeem et al. 2020, "Reliable Fidelity and
    Diversity Metrics for Generative Models").

    real [N, F] and drawn [M, F] are features. The ball of a strip reaches to its k-th nearest
    neighbour in its own set. Precision: a drawn strip is in the ball of a real one. Recall: a real
    strip is in the ball of a drawn one. Density: the number of real balls that a drawn strip is in,
    over k (it may exceed 1). Coverage: there is a drawn strip in the ball of a real one. k is lower
    where a set has too few strips.

    Raises ValueError for a set of fewer than two strips.
    """
    k = min(neighbours, len(real) - 1, len(drawn) - 1)
    if k < 1:
        raise ValueError("precision and recall need two strips or more in either set")
    real, drawn = real.double(), drawn.double()
    # The smallest of the k + 1 distances is that of the strip to itself.
    real_radius, drawn_radius = (
        squared_distances(own, own).kthvalue(k + 1, dim=1).values for own in (real, drawn)
    )
    distances = squared_distances(real, drawn)  # [N, M]
    in_real_ball = distances <= real_radius[:, None]
    in_drawn_ball = distances <= drawn_radius[None, :]
    return Manifold(
        precision=in_real_ball.any(dim=0).double().numpy(),
        density=(in_real_ball.sum(dim=0) / k).double().numpy(),
        recall=in_drawn_ball.any(dim=1).double().numpy(),
        coverage=in_real_ball.any(dim=1).double().numpy(),
    )


def squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """Squared Euclidean distances of [N, F] and [M, F], by one matrix product → [N, M]. Those that
    may be rounding errors of equal rows are 0."""
    middle = b.mean(dim=0)
    a, b = a - middle, b - middle
    lengths = a.square().sum(dim=1)[:, None] + b.square().sum(dim=1)
    squares = torch.addmm(lengths, a, b.T, alpha=-2)
    rounding = 1e-12 if a.dtype == torch.float64 else 1e-6
    return squares.masked_fill_(squares < rounding * lengths, 0)


class KernelDistance:
    """Squared maximum mean discrepancy with the kernel (x·y / F + 1)³ (KID, Bińkowski et al. 2018,
    "Demystifying MMD GANs").

    Features should have a mean square of about 1, as those of Inception have: with much smaller
    ones the kernel is nearly linear and compares only means. The estimator is unbiased, so it is 0
    on average for two sets of one distribution, and may be negative. Called with how often each
    strip counts, it gives the distance of a resampled set, in which no strip is paired with itself.
    """

    def __init__(self, real: Tensor, drawn: Tensor) -> None:
        """real [N, F], drawn [M, F]: features."""
        self._real, self._drawn = _kernel(real, real), _kernel(drawn, drawn)
        self._across = _kernel(real, drawn)

    def __call__(self, real_counts: np.ndarray, drawn_counts: np.ndarray) -> float:
        """Counts [N] and [M] (all ones: the plain distance) → squared distance."""
        across = real_counts @ self._across @ drawn_counts
        across /= real_counts.sum() * drawn_counts.sum()
        return float(
            _mean_of_pairs(self._real, real_counts)
            + _mean_of_pairs(self._drawn, drawn_counts)
            - 2 * across
        )


def _kernel(a: Tensor, b: Tensor) -> np.ndarray:
    """(x·y / F + 1)³ of all pairs of features: [N, F] and [M, F] → [N, M]."""
    return ((a @ b.T / a.shape[1] + 1) ** 3).double().numpy()


def _mean_of_pairs(kernel: np.ndarray, counts: np.ndarray) -> float:
    pairs = counts.sum() ** 2 - (counts**2).sum()
    if pairs == 0:  # only one strip
        return math.nan
    return (counts @ kernel @ counts - counts**2 @ np.diagonal(kernel)) / pairs
