"""Evidence lower bounds (ELBO) of held-out strips, for a Gaussian decoder of one shared sigma.

Mean squared error plus beta times the rate is the negative ELBO of a decoder N(x; decode(z),
sigma²) with sigma² = beta·D/2, up to constants. These functions add the constants, at the sigma of
highest likelihood on the held-out strips (Rybkin et al. 2021), for two decoders:

    continuous    a density; a pixel value gets the density times the step between two values
    discretised   the probability of each of the 256 values: the density integrated over its step,
                  with the tails below the least and above the largest value folded into those two
                  (Salimans et al. 2017, "PixelCNN++", there for a logistic density)

The second is the tighter, and a code length that can be achieved. Most pixels of a strip are paper
or ink, at the two ends of the range, where half of the continuous density lies outside.
"""

import math

import numpy as np
import scipy.optimize
import scipy.special
from torch import Tensor

from garfield_vae.model.elbo import elbo

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


# ---- discretised --------------------------------------------------------------------------------


def value_counts(strips: np.ndarray, decoded: np.ndarray) -> np.ndarray:
    """Counts of pairs (pixel value, decoded value): two uint8 arrays of one shape → [256, 256]."""
    pairs = strips.astype(np.int32).ravel() * 256 + decoded.ravel()
    return np.bincount(pairs, minlength=256 * 256).reshape(256, 256)


def discretised_bits(sigma: float) -> np.ndarray:
    """−log₂ P(value | decoded value), [256, 256]: rows are the pixel's value, columns the mean.

    sigma is in units of [-1, 1].
    """
    steps = np.arange(256)
    width = sigma / PIXEL_STEP
    # Differences of upper tail probabilities: those of lower ones, near 1, would cancel.
    distance = np.abs(steps[:, None] - steps[None, :])
    upper = scipy.special.log_ndtr(-(distance - 0.5) / width)
    lower = scipy.special.log_ndtr(-(distance + 0.5) / width)
    inner = upper + np.log1p(-np.exp(lower - upper))
    ends = (steps == 0) | (steps == 255)  # whose intervals are unbounded
    return -np.where(ends[:, None], upper, inner) / math.log(2)


def best_sigma(counts: np.ndarray) -> float:
    """The sigma, in units of [-1, 1], at which `value_counts` [256, 256] cost the fewest bits."""
    found = scipy.optimize.minimize_scalar(
        lambda log_sigma: float((counts * discretised_bits(math.exp(log_sigma))).sum()),
        bounds=(math.log(PIXEL_STEP / 8), math.log(2.0)),
        method="bounded",
        options={"xatol": 1e-3},
    )
    return math.exp(found.x)
