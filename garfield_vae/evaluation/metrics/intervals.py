"""Confidence intervals by resampling strips (the bootstrap, Efron 1979)."""

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


def mean_estimate(values: np.ndarray, resamples: int = 1000, seed: int = 0) -> Estimate:
    """Mean of one value a strip [N] with the percentile interval over resampled strips.

    Fewer than two strips have no interval.
    """
    values = np.asarray(values, dtype=np.float64)
    value = float(values.mean())
    if len(values) < 2:
        return Estimate(value)
    draws = np.random.default_rng(seed).integers(len(values), size=(resamples, len(values)))
    low, high = np.quantile(values[draws].mean(axis=1), [0.025, 0.975])
    return Estimate(value, float(low), float(high))


def weighted_estimate(
    statistic: Callable[[np.ndarray, np.ndarray], float],
    sizes: tuple[int, int],
    resamples: int,
    seed: int = 0,
) -> Estimate:
    """A statistic of two sets of strips, with a normal interval from its spread over resamples.

    `statistic` takes how often each strip of either set counts (float [N], [M]); all ones give the
    estimate itself. The interval is the estimate ± 1.96 standard deviations over resamples: a
    distance between sets grows under resampling (a set that repeats itself is further from
    everything), so its percentiles would lie beside the estimate, but its spread is right.
    Resamples for which the statistic is not finite are left out.
    """
    rng = np.random.default_rng(seed)
    value = statistic(np.ones(sizes[0]), np.ones(sizes[1]))
    draws = [
        statistic(*(rng.multinomial(n, np.full(n, 1 / n)).astype(float) for n in sizes))
        for _ in range(resamples if min(sizes) > 1 else 0)
    ]
    finite = [draw for draw in draws if math.isfinite(draw)]
    if len(finite) < 2:
        return Estimate(value)
    spread = float(np.std(finite, ddof=1))
    return Estimate(value, value - 1.96 * spread, value + 1.96 * spread)
