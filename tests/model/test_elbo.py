"""The objective's parts against values worked out by hand."""

import math

import pytest
import torch

from garfield_vae.model.elbo import (
    active_units,
    calibrated_beta,
    distortion,
    elbo,
    implied_sigma,
    objective,
    ramp,
    rate,
    reparameterise,
    selection_loss,
)


def test_samples_of_the_posterior_have_its_mean_and_standard_deviation():
    torch.manual_seed(0)
    mean, std = torch.tensor([1.0, -2.0]), torch.tensor([0.5, 3.0])
    z = reparameterise(mean.expand(100_000, 2), std.log().expand(100_000, 2))
    torch.testing.assert_close(z.mean(dim=0), mean, atol=0.03, rtol=0)
    torch.testing.assert_close(z.std(dim=0), std, atol=0.03, rtol=0)


def test_the_gradient_of_a_sample_reaches_mean_and_log_std():
    # Of E[z²] = mean² + std², the derivatives are 2·mean and, by log std, 2·std².
    torch.manual_seed(0)
    mean = torch.tensor(0.7, requires_grad=True)
    log_std = torch.tensor(-0.4, requires_grad=True)
    reparameterise(mean.expand(200_000), log_std.expand(200_000)).square().mean().backward()
    assert mean.grad.item() == pytest.approx(1.4, abs=0.02)
    assert log_std.grad.item() == pytest.approx(2 * math.exp(-0.8), abs=0.02)


def test_distortion_is_the_mean_over_every_pixel_value():
    strips = torch.zeros(2, 3, 3, 4, 4)
    reconstruction = strips.clone()
    reconstruction[0, 0, 0, 0, 0] = 2.0
    assert distortion(strips, reconstruction).item() == pytest.approx(4 / (2 * 3 * 3 * 4 * 4))


def test_distortion_of_half_precision_is_computed_in_full():
    # 4096 squares of 0.01 sum beyond what bfloat16 can count up to in such steps
    strips = torch.full((1, 3, 3, 64, 64), 0.1)
    assert distortion(strips, torch.zeros_like(strips).bfloat16()).item() == pytest.approx(0.01)


def test_the_rate_of_the_prior_itself_is_zero():
    assert rate(torch.zeros(5, 7), torch.zeros(5, 7)).tolist() == [0.0] * 5


def test_the_rate_is_summed_over_dimensions_and_kept_per_strip():
    mean = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    log_std = torch.log(torch.tensor([[1.0, 1.0], [0.5, 1.0]]))
    # KL(N(m, s²) ‖ N(0, 1)) = (m² + s² − 1)/2 − ln s
    expected = [0.5, (0.25 - 1) / 2 + math.log(2) + 2.0]
    assert rate(mean, log_std).tolist() == pytest.approx(expected)


def test_the_rate_agrees_with_torchs_own_divergence():
    torch.manual_seed(0)
    mean, log_std = torch.randn(4, 9), torch.randn(4, 9)
    posterior = torch.distributions.Normal(mean, log_std.exp())
    prior = torch.distributions.Normal(torch.zeros(9), torch.ones(9))
    expected = torch.distributions.kl_divergence(posterior, prior).sum(dim=1)
    torch.testing.assert_close(rate(mean, log_std), expected)


def test_the_objective_weighs_the_mean_rate_of_the_batch_by_beta():
    loss = objective(torch.tensor(0.5), torch.tensor([10.0, 30.0]), beta=0.01)
    assert loss.item() == pytest.approx(0.7)


def test_the_elbo_is_log_likelihood_less_the_divergence():
    torch.manual_seed(0)
    strip, decoded, variance = torch.rand(50), torch.rand(50), 0.3
    density = torch.distributions.Normal(decoded, variance**0.5)
    expected = density.log_prob(strip).sum() - 7.0
    found = elbo((strip - decoded).square().mean(), torch.tensor(7.0), variance, 50)
    torch.testing.assert_close(found, expected)


def test_lowering_the_objective_is_raising_the_elbo():
    variance, dimensions = 0.3, 500
    beta = 2 * variance / dimensions
    one, other = (
        (torch.tensor(0.2), torch.tensor([40.0])),
        (torch.tensor(0.25), torch.tensor([9.0])),
    )
    gained = elbo(*one, variance, dimensions) - elbo(*other, variance, dimensions)
    lost = objective(*one, beta) - objective(*other, beta)
    torch.testing.assert_close(gained[0], -lost * dimensions / (2 * variance))


def test_the_calibrated_beta_makes_the_implied_sigma_the_error_made():
    beta = calibrated_beta(0.16, 316_800)
    assert beta == pytest.approx(0.32 / 316_800)
    assert implied_sigma(beta, 316_800) == pytest.approx(0.4)  # √0.16


def test_the_calibrated_beta_is_where_the_gaussian_likelihood_peaks():
    mse, dimensions = 0.2, 1000
    sigma = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    for _ in range(200):  # −log p per strip of a Gaussian decoder, by gradient descent
        loss = dimensions * (mse / (2 * sigma**2) + sigma.log())
        (slope,) = torch.autograd.grad(loss, sigma)
        with torch.no_grad():
            sigma -= 1e-4 * slope
    assert implied_sigma(calibrated_beta(mse, dimensions), dimensions) == pytest.approx(
        sigma.item(), rel=1e-6
    )


@pytest.mark.parametrize("beta", [1e-4, "auto"])
def test_the_best_checkpoint_is_the_one_with_the_highest_elbo(beta: float | str):
    dimensions = 1000
    candidates = [(mse, kl) for mse in (0.005, 0.02, 0.08) for kl in (20.0, 300.0, 600.0)]

    def negative_elbo(mse: float, kl: float) -> float:
        variance = mse if beta == "auto" else beta * dimensions / 2
        return -elbo(torch.tensor(mse), torch.tensor(kl), variance, dimensions).item()

    chosen = sorted(candidates, key=lambda each: selection_loss(*each, beta, dimensions))
    assert chosen == sorted(candidates, key=lambda each: negative_elbo(*each))
    assert math.isfinite(selection_loss(0.0, 20.0, beta, dimensions))


def test_beta_1e_4_expects_pixels_to_be_four_off():
    assert implied_sigma(1e-4, 3 * 3 * 176 * 200) == pytest.approx(3.98, abs=0.01)


def test_a_unit_is_active_when_its_mean_varies_by_more_than_a_hundredth():
    spread = torch.tensor([[-1.0], [1.0]])  # variance 1
    means = torch.cat([spread * 0.11, spread * 0.09, spread, torch.full((2, 1), 5.0)], dim=1)
    assert active_units(means) == 2  # 0.0121 and 1; not 0.0081, nor a large constant


def test_a_collapsed_posterior_has_no_active_units():
    assert active_units(torch.zeros(10, 16)) == 0


@pytest.mark.parametrize(("step", "share"), [(0, 0.0), (5, 0.5), (10, 1.0), (99, 1.0)])
def test_the_ramp_rises_evenly_and_stays(step: int, share: float):
    assert ramp(step, 10) == share


def test_without_a_ramp_all_of_it_is_there_at_once():
    assert ramp(0, 0) == 1.0
