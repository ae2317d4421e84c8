"""Reconstruction, bounds and intervals against torchmetrics, scipy, torch.distributions."""

import math

import numpy as np
import pytest
import scipy.stats
import torch
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure,
    structural_similarity_index_measure,
)

from garfield_vae.evaluation.metrics.bounds import (
    bits_per_dimension,
    elbo_bits,
    gaussian_nll,
    iwae_bound,
    log_weights,
)
from garfield_vae.evaluation.metrics.intervals import mean_estimate, weighted_estimate
from garfield_vae.evaluation.metrics.reconstruction import mse_per_strip, psnr, ssim_and_ms_ssim


def textured_panels(count: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    noise = torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(seed))
    return torch.tanh(torch.nn.functional.avg_pool2d(noise, 5, stride=1, padding=2) * 4)


def light(panels: torch.Tensor) -> torch.Tensor:
    luma = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    return ((panels + 1) / 2 * luma).sum(dim=1, keepdim=True)


# ---- reconstruction -----------------------------------------------------------------------------


def test_mse_of_a_strip_is_the_mean_over_its_pixel_values():
    strips = torch.zeros(2, 3, 3, 4, 5)
    others = strips.clone()
    others[1, 0] = 0.5  # a third of the second strip is half a unit off
    torch.testing.assert_close(mse_per_strip(strips, others), torch.tensor([0.0, 0.25 / 3]))


def test_psnr_of_an_error_as_large_as_the_range_is_zero_and_of_a_hundredth_is_forty():
    torch.testing.assert_close(psnr(torch.tensor([4.0, 4e-4])), torch.tensor([0.0, 40.0]))


def test_ssim_and_ms_ssim_agree_with_torchmetrics_on_luminance():
    panels = textured_panels(3, 176, 200)
    others = (panels + 0.4 * textured_panels(3, 176, 200, seed=1)).clamp(-1, 1)
    grey = light(panels), light(others)
    ssim, ms_ssim = ssim_and_ms_ssim(panels, others)
    options = {"data_range": 1.0, "reduction": "none"}
    torch.testing.assert_close(
        ssim, structural_similarity_index_measure(*grey, **options), atol=2e-5, rtol=0
    )
    options.pop("reduction")
    expected = [
        multiscale_structural_similarity_index_measure(x[None], y[None], **options)
        for x, y in zip(*grey, strict=True)
    ]
    torch.testing.assert_close(ms_ssim, torch.stack(expected).flatten(), atol=2e-5, rtol=0)


def test_ssim_of_a_panel_with_itself_is_one_and_with_its_negative_is_below_zero():
    panels = textured_panels(2, 64, 64)
    for figure in ssim_and_ms_ssim(panels, panels):
        torch.testing.assert_close(figure, torch.ones(2))
    ssim, ms_ssim = ssim_and_ms_ssim(panels, -panels)
    assert (ssim < 0).all()
    assert (ms_ssim == 0).all()  # a negative term has no real power


def test_ms_ssim_of_panels_too_small_for_five_scales_uses_those_that_fit():
    panels = textured_panels(2, 24, 30)  # 24 and 12 rows fit a window of 11, 6 rows do not
    others = (panels + 0.2 * textured_panels(2, 24, 30, seed=1)).clamp(-1, 1)
    grey = light(panels), light(others)
    betas = (0.0448 / 0.3304, 0.2856 / 0.3304)
    expected = [
        multiscale_structural_similarity_index_measure(
            x[None], y[None], data_range=1.0, betas=betas
        )
        for x, y in zip(*grey, strict=True)
    ]
    ms_ssim = ssim_and_ms_ssim(panels, others)[1]
    torch.testing.assert_close(ms_ssim, torch.stack(expected).flatten(), atol=2e-5, rtol=0)


def test_panels_smaller_than_a_window_are_refused():
    with pytest.raises(ValueError, match="11 pixels"):
        ssim_and_ms_ssim(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8))


# ---- bounds -------------------------------------------------------------------------------------


def test_gaussian_negative_log_likelihood_is_that_of_torch_distributions():
    x, centre = torch.randn(4, 50, dtype=torch.float64), torch.randn(4, 50, dtype=torch.float64)
    expected = -torch.distributions.Normal(centre, math.sqrt(0.3)).log_prob(x).sum(dim=1)
    mse = (x - centre).square().mean(dim=1)
    torch.testing.assert_close(gaussian_nll(mse, 0.3, 50), expected)


def test_uniform_noise_costs_eight_bits_a_pixel_value():
    # A density of 1/2 on [-1, 1] spread over 255 steps: log2(255) = 7.99 bits.
    dimensions = 1000
    assert bits_per_dimension(dimensions * math.log(2), dimensions) == pytest.approx(math.log2(255))


def test_the_elbo_takes_the_sigma_that_makes_it_smallest():
    rate, mse, dimensions = torch.tensor([30.0, 50.0]), torch.tensor([0.1, 0.3]), 300
    best = elbo_bits(rate, mse, dimensions).mean()
    for variance in np.linspace(0.05, 0.6, 56):
        nats = rate + gaussian_nll(mse, variance, dimensions)
        assert bits_per_dimension(nats, dimensions).mean() >= best - 1e-6


class LinearModel:
    """x = W z + noise, whose evidence and posterior are known exactly (probabilistic PCA)."""

    def __init__(self):
        generator = torch.Generator().manual_seed(0)
        self.variance = 0.25
        self.weight = torch.randn(12, 3, generator=generator, dtype=torch.float64)
        self.x = torch.randn(5, 12, generator=generator, dtype=torch.float64)
        covariance = self.weight @ self.weight.T + self.variance * torch.eye(12)
        self.evidence = torch.distributions.MultivariateNormal(
            torch.zeros(12, dtype=torch.float64), covariance
        ).log_prob(self.x)

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        return z @ self.weight.T

    def log_weights(self, samples: int, chunk: int = 512) -> torch.Tensor:
        precision = torch.eye(3) + self.weight.T @ self.weight / self.variance
        mean = self.x @ self.weight @ torch.linalg.inv(precision).T / self.variance
        # The best posterior without correlations is narrower than the marginals.
        log_std = (-0.5 * precision.diagonal().log()).expand(5, 3)
        generator = torch.Generator().manual_seed(1)
        arguments = self.decode, self.x, mean, log_std, self.variance, samples, generator
        return log_weights(*arguments, chunk)


def test_the_iwae_bound_rises_with_samples_to_the_known_evidence_and_not_above():
    model = LinearModel()
    weights = model.log_weights(3000)  # [5, 3000], as 3000 times 1, 300 times 10 and once 3000
    gaps = [
        (model.evidence - iwae_bound(weights.view(-1, k)).view(5, -1).mean(dim=1)).mean().item()
        for k in (1, 10, 3000)
    ]
    assert gaps[0] > gaps[1] + 0.05
    assert gaps[1] > gaps[2] + 0.02
    assert abs(gaps[2]) < 0.02


def test_the_iwae_bound_is_exact_for_every_sample_when_the_posterior_is():
    # One latent, x = 2z + noise of variance 1: evidence N(0, 5), posterior N(0.4 x, 0.2).
    x = torch.tensor([[1.5], [-0.3]], dtype=torch.float64)
    weights = log_weights(
        lambda z: 2 * z,
        x,
        0.4 * x,
        torch.full((2, 1), 0.5 * math.log(0.2), dtype=torch.float64),
        1.0,
        4,
        torch.Generator().manual_seed(0),
    )
    expected = torch.distributions.Normal(0.0, math.sqrt(5)).log_prob(x)
    torch.testing.assert_close(weights, expected.expand(2, 4))


def test_the_decoder_never_sees_more_latents_than_a_chunk():
    model, seen = LinearModel(), []
    decode = model.decode
    model.decode = lambda z: (seen.append(len(z)), decode(z))[1]
    model.log_weights(7, chunk=4)
    assert max(seen) == 4
    assert sum(seen) == 5 * 7


# ---- intervals ----------------------------------------------------------------------------------


def test_the_interval_of_a_mean_is_scipys_percentile_bootstrap():
    values = np.random.default_rng(3).exponential(size=60)
    expected = scipy.stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=20_000, random_state=0
    ).confidence_interval
    estimate = mean_estimate(values, resamples=20_000)
    assert estimate.value == pytest.approx(values.mean())
    assert estimate.low == pytest.approx(expected.low, abs=0.01)
    assert estimate.high == pytest.approx(expected.high, abs=0.01)


def test_the_interval_of_two_sets_has_the_width_of_the_known_standard_error():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=400), rng.normal(3, 2, size=300)

    def difference(counts_a, counts_b):
        return np.average(b, weights=counts_b) - np.average(a, weights=counts_a)

    estimate = weighted_estimate(difference, (400, 300), resamples=400)
    error = math.sqrt(a.var() / 400 + b.var() / 300)
    assert estimate.value == pytest.approx(b.mean() - a.mean())
    assert (estimate.high - estimate.low) / 2 == pytest.approx(1.96 * error, rel=0.1)


def test_one_strip_has_a_value_but_no_interval():
    assert mean_estimate(np.array([0.5])).low is None
    assert weighted_estimate(lambda a, b: 1.0, (1, 5), resamples=10).high is None


def test_resamples_without_a_figure_are_left_out_of_the_interval():
    counts = iter([math.nan, 1.0, math.nan, 3.0])
    estimate = weighted_estimate(lambda a, b: next(counts, 0.0) if a.max() > 1 else 5.0, (9, 9), 4)
    assert estimate.value == 5.0
    assert math.isfinite(estimate.low)
