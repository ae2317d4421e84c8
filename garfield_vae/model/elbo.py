"""The objective of a variational autoencoder on one page.

A VAE describes how a strip x comes about: draw a latent vector z from the prior p(z) = N(0, I),
decode it, and add noise of standard deviation sigma to every pixel value. The encoder gives an
approximate posterior q(z|x) = N(mean, std²), and both networks are trained to raise

    ELBO = E_q [log p(x|z)] − KL(q(z|x) ‖ p(z))  ≤  log p(x)

the evidence lower bound (Kingma and Welling 2014, "Auto-Encoding Variational Bayes"). With a
Gaussian decoder the first term is a squared error. So, up to a constant and a positive factor,
raising the ELBO is minimising

    objective = distortion + beta · rate

distortion   mean squared error per pixel value, of strips in [-1, 1]
rate         KL(q(z|x) ‖ N(0, I)) in nats a strip (Alemi et al. 2018, "Fixing a Broken ELBO")
beta         2·sigma²/D, for D pixel values a strip: the decoder's noise decides it
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

ACTIVE_VARIANCE = 0.01


def reparameterise(mean: Tensor, log_std: Tensor) -> Tensor:
    """The reparameterisation trick: z = mean + std · noise, a sample of q(z|x); all [B, z].

    The noise is drawn from N(0, I), which has no parameters, so the gradient of the objective
    passes through the sample to mean and log_std (Kingma and Welling 2014, section 2.4).
    """
    return mean + log_std.exp() * torch.randn_like(mean)


def distortion(strips: Tensor, reconstruction: Tensor) -> Tensor:
    """Mean squared error over all strips and pixel values, a scalar; both are [B, 3, 3, H, W]."""
    return F.mse_loss(reconstruction.float(), strips.float())


def rate(mean: Tensor, log_std: Tensor) -> Tensor:
    """KL(N(mean, std²) ‖ N(0, I)) in nats, summed over the latent dimensions: [B, z] → [B].

    (mean² + std² − 1) / 2 − log std for each dimension (Kingma and Welling 2014, appendix B).
    """
    mean, log_std = mean.float(), log_std.float()
    return (0.5 * (mean.square() + (2 * log_std).exp() - 1) - log_std).sum(dim=-1)


def objective(mse: Tensor, kl: Tensor, beta: float | Tensor) -> Tensor:
    """What training minimises: distortion + beta · rate, the rate averaged over the batch.

    `mse` is a scalar, `kl` [B]. The form of Higgins et al. (2017), "beta-VAE", with the distortion
    per pixel value instead of per strip.
    """
    return mse + beta * kl.mean()


def gaussian_nll(mse: float | Tensor, variance: float, dimensions: int) -> float | Tensor:
    """−log N(x; decoded, variance·I) in nats a strip: D/2 · (log(2π·variance) + mse/variance)."""
    return dimensions / 2 * (math.log(2 * math.pi * variance) + mse / variance)


def elbo(mse: Tensor, kl: Tensor, variance: float, dimensions: int) -> Tensor:
    """The evidence lower bound itself, in nats a strip, for a decoder with noise of `variance`.

    `mse` and `kl` are of the same strips, [B] each. The same as −objective · D / (2·variance) at
    beta = 2·variance/D, with the constant that the objective leaves out.
    """
    return -gaussian_nll(mse, variance, dimensions) - kl


def calibrated_beta(mse: float | Tensor, dimensions: int) -> float | Tensor:
    """The beta for which the decoder's variance is the error that it makes: 2 · mse / D.

    `mse` is the mean distortion of many strips, `dimensions` the pixel values of one (D). At
    sigma² = mse the ELBO is highest, so this is the optimal-sigma VAE of Rybkin, Daniilidis and
    Levine (2021), "Simple and Effective VAE Training with Calibrated Decoders".
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
    """The decoder's standard deviation of pixel values in [-1, 1] at a beta: √(beta · D / 2)."""
    return math.sqrt(beta * dimensions / 2)


def ramp(step: int, length: int) -> float:
    """KL warm-up: a factor of beta that rises from 0 to 1 over the first `length` steps.

    Without a penalty at first, the latent dimensions are in use before the rate counts, which
    prevents posterior collapse (Bowman et al. 2016, "Generating Sentences from a Continuous
    Space"). Length 0 means no warm-up.
    """
    return 1.0 if length <= 0 else min(1.0, step / length)


def active_units(means: Tensor) -> int:
    """How many latent dimensions are in use: those whose posterior mean varies over the strips.

    `means` [N, z] are posterior means. A dimension is active when their variance exceeds 0.01
    (Burda, Grosse and Salakhutdinov 2016, "Importance Weighted Autoencoders"). None active is a
    posterior collapse: the decoder ignores the latent vector.
    """
    return int((means.float().var(dim=0, correction=0) > ACTIVE_VARIANCE).sum())
