"""Confidence intervals by resampling weeks of strips (the bootstrap, Efron 1979).

Strips of one week tell one story and are not independent, so whole weeks are resampled (the
cluster bootstrap, Davison and Hinkley 1997, section 3.8).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % confidence interval; low and high are None where there is none."""

    value: float
    low: float | None = None
    high: float | None = None


def mean_estimate(
    values: np.ndarray, groups: np.ndarray | None = None, resamples: int = 1000, seed: int = 0
) -> Estimate:
    """Mean of one value per strip [N] with the percentile interval over resampled groups.

    `groups` [N] are the weeks; without them every strip is a group of its own. With fewer than two
    groups there is no interval.
    """
    values = np.asarray(values, np.float64)
    means = _resampled_means(values, groups, resamples, np.random.default_rng(seed))
    return _percentile_estimate(float(values.mean()), means)


def ratio_estimate(
    values: np.ndarray,
    others: np.ndarray,
    groups: np.ndarray | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Estimate:
    """Mean of `values` [M] over mean of `others` [N], both resampled; `groups` [N] of the others.

    NaN where the others are all 0.
    """
    values, others = np.asarray(values, np.float64), np.asarray(others, np.float64)
    rng = np.random.default_rng(seed)
    below = _resampled_means(others, groups, resamples, rng)
    above = values[rng.integers(len(values), size=(resamples, len(values)))].mean(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return _percentile_estimate(float(values.mean() / others.mean()), above / below)


def _resampled_means(
    values: np.ndarray, groups: np.ndarray | None, resamples: int, rng: np.random.Generator
) -> np.ndarray:
    """The mean of `values` [N] in each of many resampled sets, [resamples]; NaN of a single group,
    which cannot be resampled."""
    places, sizes, count = _grouped(groups, len(values))
    if count < 2:
        return np.full(resamples, np.nan)
    sums = np.bincount(places, values, minlength=count)
    draws = rng.multinomial(count, np.full(count, 1 / count), size=resamples)  # [resamples, groups]
    return draws @ sums / (draws @ sizes)


def _percentile_estimate(value: float, resampled: np.ndarray) -> Estimate:
    """A value with its percentile interval over resamples, of which only finite ones count."""
    found = resampled[np.isfinite(resampled)]
    if not math.isfinite(value) or len(found) < 2:
        return Estimate(value)
    low, high = np.quantile(found, [0.025, 0.975])
    return Estimate(value, min(float(low), value), max(float(high), value))


def weighted_estimate(
    statistic: Callable[[np.ndarray, np.ndarray], float],
    sizes: tuple[int, int],
    resamples: int,
    groups: np.ndarray | None = None,
    seed: int = 0,
) -> Estimate:
    """A statistic of two sets of strips, with a normal interval from its spread over resamples.

    `statistic` takes how often each strip of either set counts (float [N], [M]); all ones give the
    estimate itself. `groups` [N] are those of the first set. The interval is the estimate ± 1.96
    standard deviations over resamples. Percentiles would be biased: repetitions in a resampled set
    increase its distance to any other. Resamples whose statistic is not finite are left out.
    """
    rng = np.random.default_rng(seed)
    value = statistic(np.ones(sizes[0]), np.ones(sizes[1]))
    places, _, count = _grouped(groups, sizes[0])

    def drawn(n: int) -> np.ndarray:
        return rng.multinomial(n, np.full(n, 1 / n)).astype(float)

    draws = [
        statistic(drawn(count)[places], drawn(sizes[1]))
        for _ in range(resamples if min(count, sizes[1]) > 1 else 0)
    ]
    finite = [draw for draw in draws if math.isfinite(draw)]
    if len(finite) < 2:
        return Estimate(value)
    spread = float(np.std(finite, ddof=1))
    return Estimate(value, value - 1.96 * spread, value + 1.96 * spread)


def _grouped(groups: np.ndarray | None, strips: int) -> tuple[np.ndarray, np.ndarray, int]:
    """The number of each strip's group [N], the sizes of the groups [G], and G."""
    if groups is None:
        return np.arange(strips), np.ones(strips), strips
    _, places = np.unique(groups, return_inverse=True)
    sizes = np.bincount(places).astype(float)
    return places, sizes, len(sizes)
