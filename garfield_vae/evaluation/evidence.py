"""What a strip costs a trained model: rate, active units, and bounds on the evidence."""

from typing import Any

import numpy as np
import torch

from garfield_vae.data.panels import to_unit
from garfield_vae.evaluation.metrics.bounds import (
    bits_per_dimension,
    elbo_bits,
    iwae_bound,
    log_weights,
)
from garfield_vae.evaluation.metrics.intervals import mean_estimate
from garfield_vae.evaluation.metrics.reconstruction import mse_per_strip
from garfield_vae.latent.codec import decode
from garfield_vae.model.elbo import active_units, calibrated_beta, rate
from garfield_vae.model.networks import StripVAE


def bound_figures(
    model: StripVAE,
    strips: np.ndarray,
    means: np.ndarray,
    variances: np.ndarray,
    beta: float | None,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Rate, active units and the evidence bound of uint8 strips [N, 3, 3, H, W].

    means, variances [N, z] are the strips' posteriors; `beta` is what training ended with.
    """
    dimensions = strips[0].size
    noise = rng.standard_normal(means.shape, dtype=np.float32)
    sampled = decode(model, means + np.sqrt(variances) * noise)
    mse = torch.cat(
        [
            mse_per_strip(to_unit(torch.from_numpy(a)), to_unit(torch.from_numpy(b)))
            for a, b in zip(_pieces(strips), _pieces(sampled), strict=True)
        ]
    )
    nats = rate(torch.from_numpy(means), 0.5 * torch.from_numpy(variances).log())
    good = calibrated_beta(float(mse.mean()), dimensions)
    return {
        "rate": mean_estimate(nats.numpy()),
        "rate per dimension": mean_estimate(nats.numpy() / means.shape[1]),
        "active units": active_units(torch.from_numpy(means)),
        "dimensions": means.shape[1],
        "ELBO": mean_estimate(elbo_bits(nats, mse, dimensions).numpy()),
        "sampled MSE": mean_estimate(mse.numpy()),
        "sigma": float(mse.mean() ** 0.5),
        "beta": beta,
        "calibrated beta": good,
        "beta ratio": beta / good if beta is not None else None,
    }


def iwae_figures(
    model: StripVAE,
    strips: np.ndarray,
    means: np.ndarray,
    variances: np.ndarray,
    bound: dict[str, Any],
    samples: int,
    seed: int,
) -> dict[str, Any]:
    """The importance-weighted bound of a few strips, and the ELBO of the same, in bits."""
    device = next(model.parameters()).device

    @torch.no_grad()
    def decode_latents(z: torch.Tensor) -> torch.Tensor:
        return model.decode(z.to(device)).cpu()

    weights = log_weights(
        decode_latents,
        to_unit(torch.from_numpy(strips)),
        torch.from_numpy(means),
        0.5 * torch.from_numpy(variances).log(),
        bound["sigma"] ** 2,
        samples,
        torch.Generator().manual_seed(seed),
    )
    dimensions = strips[0].size
    bits = bits_per_dimension(-iwae_bound(weights), dimensions)
    elbo = bits_per_dimension(-weights.mean(dim=1), dimensions)
    return {
        "IWAE samples": samples,
        "IWAE strips": len(strips),
        "IWAE": mean_estimate(bits.numpy()),
        "ELBO of the same strips": mean_estimate(elbo.numpy()),
    }


def _pieces(strips: np.ndarray, size: int = 32):
    return (strips[start : start + size] for start in range(0, len(strips), size))
