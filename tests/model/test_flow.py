"""The flow against what is known of Gaussians, and its integration against integrals."""

import math

import pytest
import torch
from small_prior import seeded

from garfield_vae.model.flow import (
    GaussianFlow,
    integrate,
    path,
    slerp,
    step_times,
    steps_left,
    times_at,
)


def test_the_path_begins_at_the_noise_and_ends_at_the_data():
    noise, data = torch.tensor([1.0, -2.0]), torch.tensor([3.0, 5.0])
    assert path(noise, data, 0.0).tolist() == [1.0, -2.0]
    assert path(noise, data, 1.0).tolist() == [3.0, 5.0]
    assert path(noise, data, 0.25).tolist() == [1.5, -0.25]


def test_the_gaussians_velocity_is_the_regression_of_the_displacement_on_the_place():
    # least squares over a million pairs, in place of the formula
    t, s = 0.3, 2.0
    start = torch.randn(1_000_000, generator=seeded(1)).double()
    end = s * torch.randn(1_000_000, generator=seeded(2)).double()
    x, displacement = path(start, end, t), end - start
    slope = (x @ displacement / (x @ x)).item()
    left = (displacement - slope * x).square().mean().sqrt().item()
    flow = GaussianFlow.at(torch.tensor([[t]]), torch.tensor([s]))
    assert flow.factor.item() == pytest.approx(slope, abs=0.01)
    assert flow.error.item() == pytest.approx(left, abs=0.01)


def test_the_gaussians_error_is_one_along_a_unit_deviation_at_the_start():
    # at t = 0 the place is the noise itself, and all that is unknown is x₁, of deviation 1
    assert GaussianFlow.at(torch.zeros(1, 1), torch.ones(5)).error.item() == pytest.approx(1.0)


def test_what_the_network_is_shown_has_a_mean_square_of_one_at_every_time():
    s = torch.tensor([3.0, 1.0, 0.1])
    for t in (0.0, 0.2, 0.7, 1.0):
        noise, data = (torch.randn(200_000, 3, generator=seeded(seed)) for seed in (1, 2))
        x = path(noise, s * data, t)
        view = GaussianFlow.at(torch.full((1, 1), t), s).view
        assert (view * x).square().mean().item() == pytest.approx(1.0, abs=0.03)


UNIT = torch.ones(1)  # a Gaussian of deviation 1: error / std is 1 / (t² + (1 − t)²)


def test_the_flow_to_the_gaussian_is_exact_in_one_step():
    s, noise = torch.tensor([3.0, 0.01]), torch.tensor([[1.0, -2.0]])
    x = integrate(lambda x, t: 0 * x, s, noise, torch.tensor([0.0, 1.0]))
    assert x[0].tolist() == pytest.approx([3.0, -0.02])
    x = integrate(lambda x, t: 0 * x, s, x, torch.tensor([1.0, 0.0]))
    assert x[0].tolist() == pytest.approx([1.0, -2.0])


def test_an_output_that_stays_the_same_is_exact_in_one_step():
    # the integral of 1 / (t² + (1 − t)²) is atan(2t − 1), and from 0.1 to 0.9 the std is the same
    x = integrate(lambda x, t: 1 + 0 * x, UNIT, torch.ones(1, 1), torch.tensor([0.1, 0.9]))
    grown = 2 * math.atan(0.8) * math.sqrt(0.1**2 + 0.9**2)
    assert x.item() == pytest.approx(1 + grown, rel=1e-5)


def integral(t: float) -> float:
    """Of t / (t² + (1 − t)²)."""
    return math.atan(2 * t - 1) / 2 + math.log(2 * t * t - 2 * t + 1) / 4


def test_an_output_that_is_linear_in_t_is_exact_from_the_second_step_on():
    # in the first it is taken to stay at 0
    times = torch.tensor([0.0, 0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5])
    x = integrate(lambda x, t: t + 0 * x, UNIT, torch.zeros(1, 1), times)
    assert x.item() == pytest.approx((integral(0.5) - integral(0.05)) * math.sqrt(0.5), rel=1e-4)


def test_in_few_steps_the_output_is_taken_to_stay_what_it_was():
    # a line through the outputs at 0 and at 0.01 would reach a hundred times as far
    times = torch.tensor([0.0, 0.01, 1.0])
    x = integrate(lambda x, t: torch.full_like(x, 1.0 if t else 0.0), UNIT, UNIT[None], times)
    grown = math.atan(1) - math.atan(2 * 0.01 - 1)
    # the Gaussian's flow brings 1 back to 1
    assert x.item() == pytest.approx(1 + grown, rel=2e-3)


def test_times_that_rounding_made_equal_are_one():
    twice = torch.tensor([0.0, 0.5, 0.5, 1.0])
    once, again = (
        integrate(lambda x, t: t + x, UNIT, torch.ones(1, 1), times)
        for times in (twice.unique(), twice)
    )
    assert torch.equal(once, again)


def test_the_steps_that_are_left_are_those_of_a_whole_path_after_that_time():
    times = step_times(200)
    for t in (0.0, 0.15, 0.5):
        assert steps_left(200, t) == pytest.approx((times[:-1] >= t).sum().item(), abs=1)
    assert steps_left(1, 0.9) == 1


def test_twice_the_steps_have_a_quarter_of_the_error():
    # with x itself as the output, x grows by exp of the integral of 1 / √(t² + (1 − t)²)
    grown = math.exp(math.sqrt(2) * math.asinh(1))
    errors = [
        integrate(lambda x, t: x, UNIT, torch.ones(1, 1), torch.linspace(0, 1, steps + 1)) - grown
        for steps in (10, 20)
    ]
    assert errors[0].item() / errors[1].item() == pytest.approx(4, rel=0.15)


def test_every_time_but_the_last_is_asked_once():
    asked = []
    times = torch.tensor([0.0, 0.5, 1.0])
    integrate(lambda x, t: asked.append(t) or x, UNIT, torch.ones(1, 1), times)
    assert asked == [0.0, 0.5]


def test_times_lie_at_the_quantiles_of_a_logistic_normal():
    # the median is sigmoid(−0.3); one standard deviation above it, at 84.13 %, sigmoid(1.2)
    times = times_at(torch.tensor([0.5, 0.841345]))
    assert times.tolist() == pytest.approx([1 / (1 + math.exp(0.3)), 1 / (1 + math.exp(-1.2))])


@pytest.mark.parametrize("start", [0.0, 0.3, 0.9])
def test_steps_rise_from_the_start_to_one(start: float):
    times = step_times(5, start)
    assert len(times) == 6
    assert (times[0].item(), times[-1].item()) == (pytest.approx(start), 1.0)
    assert (times.diff() > 0).all()


@pytest.mark.parametrize(("steps", "start"), [(0, 0.0), (5, 1.0), (5, -0.1)])
def test_impossible_steps_are_refused(steps: int, start: float):
    with pytest.raises(ValueError, match="steps"):
        step_times(steps, start)


def test_spherical_interpolation_turns_evenly_and_changes_the_length_evenly():
    start, end = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 5.0])
    third = slerp(start, end, torch.tensor([1 / 3]))
    expected = [3 * math.cos(math.pi / 6), 3 * math.sin(math.pi / 6)]  # a length of 2, 3, 4, 5
    assert third.tolist() == pytest.approx(expected, abs=1e-5)
    torch.testing.assert_close(slerp(start, 2 * start, torch.tensor([0.5])), 1.5 * start)
