"""Morphs begin and end with the strips themselves, and are likely strips between them."""

import pytest
import torch
from small_prior import disturbed, gaussian_latents, prior

from garfield_vae.model.morph import Morph


def test_a_morph_begins_and_ends_with_the_strips_themselves():
    of = disturbed(prior(components=6))
    start, end = gaussian_latents(prior(), 2)  # with parts that have no component
    strips = Morph(of, torch.stack([start, end])).at(torch.linspace(0, 1, 5))
    assert strips.shape == (5, 12)
    assert torch.allclose(strips[0], start, atol=1e-4)
    assert torch.allclose(strips[-1], end, atol=1e-4)


def test_halfway_a_morph_is_as_likely_as_its_ends_and_a_straight_line_is_not():
    of = prior()  # the Gaussian itself, in which likely are those at a distance of √k deviations
    ends = gaussian_latents(of, 2)
    halfway = Morph(of, ends, steps=100).at(torch.tensor([0.5]))
    strips = torch.cat([ends, halfway, ends.mean(0, keepdim=True)])
    deviations = ((strips - of.mean) @ of.directions.T / of.std).norm(dim=1)
    assert deviations[2] == pytest.approx(float(deviations[:2].mean()), rel=0.01)
    assert deviations[3] < 0.8 * deviations[2]


def test_a_morph_from_the_mean_strip_is_finite():
    of = prior()
    ends = torch.cat([of.mean[None], gaussian_latents(of, 1)])
    strips = Morph(of, ends).at(torch.linspace(0, 1, 3))
    assert strips.isfinite().all()
    assert torch.allclose(strips[0], of.mean, atol=1e-4)


def test_a_morph_takes_twice_the_steps_where_the_noise_does_not_lead_back():
    of = disturbed(prior())
    ends = gaussian_latents(of, 2)
    assert Morph(of, ends, steps=50).steps == 50
    assert Morph(of, ends, steps=1).steps == 2


def test_halfway_nothing_is_left_of_what_the_steps_missed():
    of = disturbed(prior(components=6))
    ends = gaussian_latents(prior(), 2)  # with parts that have no component
    halfway = Morph(of, ends).at(torch.tensor([0.5]))
    outside = halfway - of.latents(of.coordinates(halfway))
    lost = ends - of.latents(of.coordinates(ends))
    assert outside.norm() < 0.01 * lost.norm(dim=1).sum()


def test_guidance_works_in_the_middle_of_a_morph_alone():
    of = disturbed(prior())
    ends = gaussian_latents(of, 2)
    share = torch.tensor([0.0, 0.5, 1.0])
    plain, guided = (Morph(of, ends, guidance=guidance).at(share) for guidance in (1.0, 3.0))
    assert torch.allclose(plain[[0, 2]], guided[[0, 2]], atol=1e-4)
    assert (plain[1] - guided[1]).norm() > 0.05 * (ends[0] - ends[1]).norm()
