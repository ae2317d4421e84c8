"""What training minimises, as small pure functions: distortion + beta · rate.

    distortion   mean squared error per pixel value, of strips in [-1, 1]
    rate         KL(q(z|strip) ‖ N(0, I)) in nats a strip: what the latent vector costs to send
    loss         distortion + beta · rate

A mean squared error over D pixel values with weight beta on the rate is, up to a factor and a
constant, the negative evidence lower bound of a Gaussian decoder with variance beta · D / 2 —
so a beta is a statement about how far off the pixels are expected to be.
"""

import math

import torch.nn.functional as F
from torch import Tensor

ACTIVE_VARIANCE = 0.01


def distortion(strips: Tensor, reconstruction: Tensor) -> Tensor:
    """Mean squared error over all strips and pixel values, a scalar; both are [B, 3, 3, H, W]."""
    return F.mse_loss(reconstruction.float(), strips.float())


def rate(mean: Tensor, log_std: Tensor) -> Tensor:
    """KL(N(mean, std²) ‖ N(0, I)) in nats, summed over the latent dimensions: [B, z] → [B]."""
    mean, log_std = mean.float(), log_std.float()
    return (0.5 * (mean.square() + (2 * log_std).exp() - 1) - log_std).sum(dim=-1)


def calibrated_beta(mse: float | Tensor, dimensions: int) -> float | Tensor:
    """The beta at which the decoder's variance equals the error it makes: 2 · mse / dimensions.

    `mse` is a running mean of the distortion, `dimensions` the pixel values of one strip. This is
    the optimal-sigma VAE of Rybkin, Daniilidis and Levine (2021), "Simple and Effective VAE
    Training with Calibrated Decoders", in the form of loss used here.
    """
    return 2 * mse / dimensions


def selection_loss(mse: float, kl: float, beta: float | str, dimensions: int) -> float:
    """What checkpoints are compared by: one yardstick for a whole run, lower is better.

    `mse` and `kl` are a validation's mean distortion and rate. It is the loss with the beta that
    the run ends with, whatever a warm-up makes of it on the way; under "auto", where beta follows
    the error, the negative ELBO of the optimal-sigma VAE up to a constant, D/2 · log(mse) + kl
    in nats a strip (Rybkin et al. 2021, equation 8).
    """
    if beta == "auto":
        return dimensions / 2 * math.log(max(mse, 1e-12)) + kl
    return mse + beta * kl


def implied_sigma(beta: float, dimensions: int) -> float:
    """The standard deviation of pixel values, in [-1, 1], that a beta expects: √(beta · D / 2)."""
    return math.sqrt(beta * dimensions / 2)


def active_units(means: Tensor) -> int:
    """How many latent dimensions say anything: those whose posterior mean varies over the data.

    `means` [N, z] are posterior means; a dimension is active when their variance exceeds 0.01
    (Burda, Grosse and Salakhutdinov 2016, "Importance Weighted Autoencoders"). 0 is a collapse.
    """
    return int((means.float().var(dim=0, correction=0) > ACTIVE_VARIANCE).sum())


def ramp(step: int, length: int) -> float:
    """Rises from 0 to 1 over the first `length` steps and stays there; 1 throughout for length 0.

    Scales beta during its warm-up, so that the latent vector is put to use before it is taxed.
    """
    return 1.0 if length <= 0 else min(1.0, step / length)
