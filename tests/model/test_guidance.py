"""Guidance by its formula: from where it leads away, and what it leaves as it is."""

import pytest
import torch
from small_prior import disturbed, prior, seeded

from garfield_vae.model.flow import GaussianFlow
from garfield_vae.model.guidance import leading
from garfield_vae.model.prior import nothing_given


@pytest.mark.parametrize(("t", "weight"), [(0.3, 0.0), (0.7, 2.0), (0.95, 0.0)])
def test_guidance_leads_away_from_the_gaussian_and_midway_also_from_panels_apart(
    t: float, weight: float
):
    of = disturbed(prior())
    x, times = of.noise(4, seeded()), torch.full((4,), t)
    flow = GaussianFlow.at(times[:, None], of.std / of.scale)
    nothing = nothing_given(4, of.maps)
    whole, apart = (of.correction(x, times, flow.view, nothing, each) for each in (False, True))
    expected = 1.5 * whole + 0.5 * weight * (whole - apart)
    others = leading(of.std) == 0
    assert torch.allclose(of.guided(x, t, 1.5, nothing)[:, others], expected[:, others])
    assert (whole - apart).abs().max() > 1e-3


@pytest.mark.parametrize("t", [0.05, 0.3, 0.7, 0.99])
def test_guidance_turns_a_strip_along_the_leading_components_and_does_not_lengthen_it(t: float):
    of = disturbed(prior())
    x, nothing = of.noise(4, seeded()), nothing_given(4, of.maps)
    flow = GaussianFlow.at(torch.tensor([[t]]), of.std / of.scale)

    def end(guidance: float | torch.Tensor) -> torch.Tensor:
        answer = of.guided(x, t, guidance, nothing)
        return (x + (1 - t) * (flow.factor * x + flow.error * answer))[:, leading(of.std) == 1]

    plain, guided = end(1.0), end(3.0)
    assert torch.allclose(guided.norm(dim=1), plain.norm(dim=1))
    assert not torch.allclose(guided, plain, atol=1e-4)
    mixed = end(torch.tensor([[0.0], [1.0], [3.0], [3.0]]))  # each row by its own guidance
    expected = torch.cat([end(0.0)[:1], plain[1:2], guided[2:]])
    assert torch.allclose(mixed, expected, atol=1e-5)


def test_the_leading_components_hold_65_percent_of_the_variance():
    variance = torch.tensor([6.0, 4.0, 4.0, 1.0])
    assert leading(variance.sqrt()).tolist() == [1, 1, 0, 0]  # 6 of 15 are fewer, 10 are more
