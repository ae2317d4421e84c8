"""Bounds on the evidence of held-out strips, for a Gaussian decoder of one shared sigma.

Mean squared error plus beta times the rate is the negative evidence bound of a decoder
N(x; decode(z), sigma²) with sigma² = beta·D/2, up to constants. These functions put the constants
back, at the sigma that suits the held-out strips best (Rybkin et al. 2021).
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from garfield_vae.model.elbo import elbo, gaussian_nll

PIXEL_STEP = 2 / 255  # distance between two neighbouring values of a uint8 pixel put into [-1, 1]


def bits_per_dimension(nats: float | Tensor, dimensions: int) -> float | Tensor:
    """Negative log density per strip of pixels in [-1, 1] (nats) → bits for each uint8 pixel value.

    The probability of a uint8 value is taken as the density times the step between two values,
    which is exact for a density that is flat over a step (sigma well above 0.008).
    """
    return nats / (dimensions * math.log(2)) - math.log2(PIXEL_STEP)


def elbo_bits(rate: Tensor, mse: Tensor, dimensions: int) -> Tensor:
    """Evidence bound per strip in bits per dimension (smaller is better) at the optimal sigma.

    rate [N]: KL of each strip in nats. mse [N]: error of each strip decoded from a sample of its
    posterior (not from its mean). sigma² is the mean of mse, the value of highest likelihood.
    """
    return bits_per_dimension(-elbo(mse, rate, float(mse.mean()), dimensions), dimensions)


def iwae_bound(log_weights: Tensor) -> Tensor:
    """Importance-weighted bound on log p(x) (Burda et al. 2016): log weights [N, K] → [N] nats."""
    return torch.logsumexp(log_weights, dim=1) - math.log(log_weights.shape[1])


def log_weights(
    decode: Callable[[Tensor], Tensor],
    strips: Tensor,
    mean: Tensor,
    log_std: Tensor,
    variance: float,
    count: int,
    generator: torch.Generator,
    chunk: int = 32,
) -> Tensor:
    """log p(x | z) + log p(z) − log q(z | x) for `count` samples z of each strip's posterior.

    strips [N, ...] float; mean, log_std [N, z]; the result is float64 [N, count] in nats.
    `decode` turns [n, z] into the shape of the strips and sees at most `chunk` latents at a time,
    so memory does not grow with `count`.
    """
    dimensions = strips[0].numel()
    result = torch.empty(len(strips), count, dtype=torch.float64)
    pairs = [(strip, sample) for strip in range(len(strips)) for sample in range(count)]
    for start in range(0, len(pairs), chunk):
        rows, columns = torch.tensor(pairs[start : start + chunk]).T
        noise = torch.randn(len(rows), mean.shape[1], generator=generator, dtype=mean.dtype)
        z = mean[rows] + log_std[rows].exp() * noise
        mse = (decode(z) - strips[rows]).square().flatten(1).mean(dim=1)
        log_prior = -0.5 * z.double().square().sum(dim=1)
        log_posterior = (-0.5 * noise.double().square() - log_std[rows].double()).sum(dim=1)
        # The (2π)^(z/2) of prior and posterior cancel.
        log_likelihood = -gaussian_nll(mse.double(), variance, dimensions)
        result[rows, columns] = log_likelihood + log_prior - log_posterior
    return result
