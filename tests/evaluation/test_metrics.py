"""Reconstruction, likelihood and intervals against torchmetrics, scipy, torch.distributions."""

import math

import numpy as np
import pytest
import scipy.stats
import torch
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure,
    structural_similarity_index_measure,
)

from garfield_vae.evaluation.metrics.intervals import (
    mean_estimate,
    ratio_estimate,
    weighted_estimate,
)
from garfield_vae.evaluation.metrics.likelihood import (
    best_sigma,
    bits_per_dimension,
    discretised_bits,
    elbo_bits,
    value_counts,
)
from garfield_vae.evaluation.metrics.reconstruction import mse_per_strip, psnr, ssim_and_ms_ssim
from garfield_vae.model.elbo import gaussian_nll


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


# ---- likelihood ---------------------------------------------------------------------------------


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


# ---- the discretised decoder --------------------------------------------------------------------


@pytest.mark.parametrize("sigma", [0.004, 0.05, 0.7])
def test_the_probabilities_of_256_values_are_those_of_a_normal_with_folded_tails(sigma):
    found = 2.0 ** -discretised_bits(sigma)
    np.testing.assert_allclose(found.sum(axis=0), 1, rtol=1e-9)
    for mean in (0, 100, 255):
        normal = scipy.stats.norm(mean, sigma * 127.5)
        edges = np.concatenate([[0], normal.cdf(np.arange(255) + 0.5), [1]])
        near = slice(max(0, mean - 3), mean + 4)  # where differences of cdfs keep their digits
        np.testing.assert_allclose(found[near, mean], np.diff(edges)[near], rtol=1e-6)
    assert np.isfinite(discretised_bits(sigma)).all()


def test_the_best_sigma_is_the_one_that_pixels_were_drawn_with():
    rng = np.random.default_rng(0)
    decoded = rng.integers(0, 256, 200_000)
    values = np.rint(decoded + rng.normal(0, 12, decoded.shape)).clip(0, 255)
    counts = value_counts(values.astype(np.uint8), decoded.astype(np.uint8))
    assert counts.sum() == 200_000
    assert counts[200, 199] == ((values == 200) & (decoded == 199)).sum()
    assert best_sigma(counts) == pytest.approx(12 / 127.5, rel=0.01)


def test_a_decoder_that_is_always_right_costs_next_to_nothing():
    counts = np.diag(np.full(256, 10))
    assert (counts * discretised_bits(best_sigma(counts))).sum() / counts.sum() < 0.05


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


def test_the_interval_over_weeks_is_wider_than_over_dependent_strips():
    rng = np.random.default_rng(0)
    weeks = np.repeat(np.arange(40), 6)
    values = rng.normal(size=40)[weeks]  # what a week has in common is all there is
    by_week, singly = mean_estimate(values, weeks), mean_estimate(values)
    error = values.std() / math.sqrt(40)
    assert (by_week.high - by_week.low) / 2 == pytest.approx(1.96 * error, rel=0.15)
    assert singly.high - singly.low < 0.6 * (by_week.high - by_week.low)
    by_name = mean_estimate(values, np.array([f"week {week:02}" for week in weeks]))
    assert by_name == by_week
    distance = weighted_estimate(lambda a, b: (a @ values) / a.sum(), (240, 5), 400, weeks)
    assert (distance.high - distance.low) / 2 == pytest.approx(1.96 * error, rel=0.2)


def test_a_ratio_of_means_has_the_spread_of_both():
    rng = np.random.default_rng(0)
    a, b = rng.normal(2, 0.5, 300), rng.normal(4, 1, 200)
    found = ratio_estimate(a, b)
    assert found.value == pytest.approx(a.mean() / b.mean())
    relative = math.sqrt((0.5 / 2) ** 2 / 300 + (1 / 4) ** 2 / 200)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * 0.5 * relative, rel=0.15)
    assert math.isnan(ratio_estimate(np.zeros(3), np.zeros(3)).value)
    assert ratio_estimate(np.zeros(3), np.ones(3)).value == 0


def test_an_interval_contains_its_own_estimate():
    for seed in range(20):
        values = (np.random.default_rng(seed).random(12) < 0.1).astype(float)
        found = mean_estimate(values, np.arange(12) // 4, seed=seed)
        assert found.low <= found.value <= found.high


def test_one_strip_has_a_value_but_no_interval():
    assert mean_estimate(np.array([0.5])).low is None
    assert weighted_estimate(lambda a, b: 1.0, (1, 5), resamples=10).high is None


def test_resamples_that_are_not_finite_are_left_out_of_the_interval():
    counts = iter([math.nan, 1.0, math.nan, 3.0])
    estimate = weighted_estimate(
        lambda a, b: next(counts, 0.0) if a.max() > 1 else 5.0, (9, 9), resamples=4
    )
    assert estimate.value == 5.0
    assert math.isfinite(estimate.low)
