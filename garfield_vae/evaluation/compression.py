"""Compression: the rate, its distribution over latent dimensions, and ELBOs in bits."""

import math
from typing import Any

import numpy as np
import torch

from garfield_vae.evaluation.metrics.intervals import mean_estimate
from garfield_vae.evaluation.metrics.likelihood import (
    best_sigma,
    discretised_bits,
    elbo_bits,
    value_counts,
)
from garfield_vae.evaluation.metrics.reconstruction import mse_of_pixels
from garfield_vae.latent.codec import decode
from garfield_vae.model.elbo import active_units, calibrated_beta
from garfield_vae.model.networks import StripVAE

CHUNK = 32


def compression_figures(
    model: StripVAE,
    strips: np.ndarray,
    means: np.ndarray,
    variances: np.ndarray,
    beta: float | None,
    rng: np.random.Generator,
    groups: np.ndarray | None = None,
) -> dict[str, Any]:
    """Rate, its share by latent dimension, and ELBOs of uint8 strips [N, 3, 3, H, W].

    means, variances [N, z] are the strips' posteriors, `beta` the value at the end of training;
    groups [N] of strips are resampled together.
    """
    dimensions = strips[0].size
    noise = rng.standard_normal(means.shape, dtype=np.float32)
    sampled = decode(model, means + np.sqrt(variances) * noise)
    mse = mse_of_pixels(strips, sampled)
    nats = kl_by_dimension(means, variances)  # [N, z]
    by_dimension = np.sort(nats.mean(axis=0) / math.log(2))[::-1]
    calibrated = calibrated_beta(float(mse.mean()), dimensions)
    rate = nats.sum(axis=1)
    bits, sigma = discretised_elbo(strips, sampled, rate)
    continuous = elbo_bits(torch.from_numpy(rate), torch.from_numpy(mse), dimensions).numpy()
    return {
        "rate": mean_estimate(rate, groups),
        "rate, bytes": mean_estimate(rate / math.log(2) / 8, groups),
        "bits by dimension": by_dimension,
        "dimensions of half the rate": dimensions_of(by_dimension, 0.5),
        "dimensions of nine tenths of the rate": dimensions_of(by_dimension, 0.9),
        "active units": active_units(torch.from_numpy(means)),
        "dimensions": means.shape[1],
        "ELBO, discretised": mean_estimate(bits, groups),
        "ELBO, continuous": mean_estimate(continuous, groups),
        "sampled MSE": mean_estimate(mse, groups),
        "sigma": float(mse.mean() ** 0.5),
        "sigma, discretised": sigma,
        "beta": beta,
        "calibrated beta": calibrated,
        "beta ratio": beta / calibrated if beta is not None else None,
    }


def kl_by_dimension(means: np.ndarray, variances: np.ndarray) -> np.ndarray:
    """KL(N(mean, variance) ‖ N(0, 1)) in nats of each strip and latent dimension, [N, z]."""
    mean, variance = means.astype(np.float64), variances.astype(np.float64)
    return 0.5 * (mean**2 + variance - 1 - np.log(variance))


def dimensions_of(by_dimension: np.ndarray, share: float) -> int:
    """The least number of latent dimensions that carry a share of the rate, from the bits of each
    in falling order [z]; 0 where there is no rate."""
    total = by_dimension.sum()
    if total <= 0:
        return 0
    return int(np.searchsorted(by_dimension.cumsum(), share * total * (1 - 1e-9)) + 1)


def discretised_elbo(
    strips: np.ndarray, sampled: np.ndarray, rate: np.ndarray
) -> tuple[np.ndarray, float]:
    """Negative ELBO [N] in bits per pixel value with a discretised Gaussian decoder, and its sigma.

    `sampled` are the strips decoded from a sample of their posteriors, `rate` [N] is in nats.
    """
    counts = sum(value_counts(a, b) for a, b in _pairs(strips, sampled))
    sigma = best_sigma(counts)
    bits = discretised_bits(sigma)
    dimensions = strips[0].size
    of_pixels = [
        bits[a.reshape(len(a), -1), b.reshape(len(b), -1)].mean(axis=1)
        for a, b in _pairs(strips, sampled)
    ]
    return np.concatenate(of_pixels) + rate / math.log(2) / dimensions, sigma


def _pairs(strips: np.ndarray, others: np.ndarray):
    for start in range(0, len(strips), CHUNK):
        yield strips[start : start + CHUNK], others[start : start + CHUNK]
