"""The latent prior against what is known of Gaussians, and against figures worked out by hand."""

import math
import sys

import pytest
import torch
from small_model import SMALL_PRIOR
from small_prior import disturbed, gaussian_latents, prior, seeded

from garfield_vae.model.flow import step_times
from garfield_vae.model.prior import LatentPrior, nothing_given, random_panels, worth_using

# ------------------------------------------------------------------ before training


def test_the_loss_is_one_before_training():
    of = prior()
    losses = [
        of.loss(gaussian_latents(of, 2000, seed), generator=seeded(seed)).item() for seed in (1, 2)
    ]
    assert losses == pytest.approx([1.0, 1.0], abs=0.05)


@pytest.mark.parametrize("t", [0.02, 0.5, 0.95])
def test_the_untrained_loss_is_one_at_every_time(t: float):
    of = prior()
    latents, noise = gaussian_latents(of, 5000), of.noise(5000, seeded(4))
    errors = of.errors(latents, torch.full((5000,), t), noise, torch.zeros(5000, 3))
    assert errors.mean().item() == pytest.approx(1.0, abs=0.05)


def test_an_untrained_prior_draws_from_the_fitted_gaussian():
    of = prior()
    drawn = of.sample(1500, steps=30, generator=seeded())
    covariance = of.directions.T @ torch.diag(of.std.square()) @ of.directions
    assert torch.allclose(drawn.mean(0), of.mean, atol=0.3)
    assert (drawn.T.cov() - covariance).norm() < 0.12 * covariance.norm()


def test_temperature_scales_the_deviation_from_the_mean_strip():
    of = prior()
    warm = of.sample(50, temperature=1.0, generator=seeded()) - of.mean
    cool = of.sample(50, temperature=0.5, generator=seeded()) - of.mean
    assert torch.allclose(cool, 0.5 * warm, atol=1e-5)


def test_without_guidance_the_network_plays_no_part():
    plain, loud = prior(), disturbed(prior())
    noise = plain.noise(4, seeded())
    assert torch.allclose(loud.from_noise(noise, guidance=0.0), plain.from_noise(noise))
    assert not torch.allclose(loud.from_noise(noise), plain.from_noise(noise), atol=1e-2)


def test_panels_that_are_apart_say_nothing_about_each_other():
    network = disturbed(prior()).network
    maps = torch.randn(1, 3, 4, generator=seeded(1))
    other = maps.clone()
    other[:, 1:] = torch.randn(maps[:, 1:].shape, generator=seeded())
    nothing, t = nothing_given(1, maps.flatten(1)), torch.tensor([0.5])

    def first_panel(maps: torch.Tensor, apart: bool) -> torch.Tensor:
        return network(maps.flatten(1), t, *nothing, apart).view(1, 3, -1)[:, 0]

    assert torch.equal(first_panel(maps, True), first_panel(other, True))
    assert not torch.allclose(first_panel(maps, False), first_panel(other, False), atol=1e-3)


# ------------------------------------------------------------------ latents in, latents out


def test_latents_come_back_from_their_coordinates():
    of = prior()
    latents = gaussian_latents(of, 5)
    assert torch.allclose(of.latents(of.coordinates(latents)), latents, atol=1e-5)


def test_coordinates_have_a_mean_variance_of_one():
    of = prior()
    assert of.coordinates(gaussian_latents(of, 50_000)).var(0).mean().item() == pytest.approx(
        1.0, abs=0.02
    )


def test_fewer_components_leave_the_rest_at_the_mean():
    of = prior(components=4)
    off = of.sample(6, generator=seeded()) - of.mean
    along = off @ of.directions.T @ of.directions
    assert torch.allclose(off, along, atol=1e-5)


def test_the_same_seed_draws_the_same_bits():
    of = disturbed(prior())
    first, second, other = (of.sample(3, generator=seeded(seed)) for seed in (5, 5, 6))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_a_prior_is_rebuilt_from_its_config_and_its_state():
    of = disturbed(prior())
    again = LatentPrior(**of.config).eval()
    again.load_state_dict(of.state_dict())
    assert torch.equal(of.sample(3, generator=seeded()), again.sample(3, generator=seeded()))


def test_a_prior_can_be_built_under_a_debugger():
    before = sys.gettrace()
    sys.settrace(lambda frame, event, argument: sys.gettrace())  # called for every line
    try:
        built = LatentPrior(**SMALL_PRIOR)
    finally:
        sys.settrace(before)
    assert built.config == SMALL_PRIOR | {"dropout": 0.0}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"components": 13}, "components"),
        ({"components": 0}, "components"),
        ({"z_dim": 13, "components": 12}, "13 latents"),
        ({"width": 33}, "heads"),
        ({"dropout": 1.0}, "dropout"),
        ({"depth": 10**9}, "depth"),
        ({"patch_height": 0}, "patch_height"),
    ],
)
def test_impossible_sizes_are_refused(changes: dict, said: str):
    with pytest.raises(ValueError, match=said):
        LatentPrior(**SMALL_PRIOR | changes)


def test_too_few_principal_components_are_refused():
    with pytest.raises(ValueError, match="12 components, and 3"):
        LatentPrior(**SMALL_PRIOR).fit_gaussian(torch.zeros(12), torch.eye(3, 12), torch.ones(3))


def test_patches_that_reach_over_the_edge_come_back_whole():
    network = prior(code_height=3, code_width=5, patch_height=2, patch_width=3).network
    maps = torch.randn(2, 3 * 3 * 5, generator=seeded())
    patches = network.to_patches(maps)
    assert patches.shape == (2, 3 * 2 * 2, 2 * 3)
    assert patches[0, 0].tolist() == maps[0].view(3, 3, 5)[0, :2, :3].flatten().tolist()
    assert torch.equal(network.to_maps(patches), maps)


# ------------------------------------------------------------------ noise and back


def test_noise_flows_to_strips_and_back():
    of = disturbed(prior(), size=0.02)
    noise = of.noise(8, seeded())
    latents = of.from_noise(noise, steps=100, guidance=1.0)
    assert (of.to_noise(latents, steps=100) - noise).square().mean().sqrt() < 0.05


# ------------------------------------------------------------------ refining and finishing


def test_refining_from_the_end_of_the_path_changes_next_to_nothing():
    of = prior()
    latents = gaussian_latents(of, 4)
    assert torch.allclose(of.refine(latents, t=0.999, generator=seeded()), latents, atol=0.02)


def test_a_strip_that_is_redrawn_keeps_what_the_path_had_of_it():
    # Of a Gaussian with deviation s along a component, x_t is t · x₁ + (1 − t) · noise, and flows
    # to s times x_t over its deviation
    of = prior()
    latents, noise, s = gaussian_latents(of, 4), of.noise(4, seeded()), of.std / of.scale
    x = 0.4 * of.coordinates(latents) + 0.6 * noise
    expected = of.latents(s * x / (0.16 * s.square() + 0.36).sqrt())
    assert torch.allclose(of.redraw(latents, noise, 0.4, steps=1), expected, atol=1e-4)


def test_held_directions_keep_their_value_and_the_others_move():
    of = disturbed(prior())
    latents = of.mean + 3 * of.std[1] * of.directions[1].expand(4, -1)
    held = of.directions[[1, 4]]
    moved = of.refine(latents, t=0.2, held=held, generator=seeded())
    assert torch.allclose((moved - latents) @ held.T, torch.zeros(4, 2), atol=1e-5)
    assert (moved - latents).norm(dim=1).min() > 0.5


def watched(of: LatentPrior, monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, torch.Tensor]]:
    """The times at which the network is asked, and the x that it is asked about."""
    asked, guided = [], of.guided
    monkeypatch.setattr(
        of, "guided", lambda x, t, *also: asked.append((t, x)) or guided(x, t, *also)
    )
    return asked


def test_along_held_directions_the_path_is_straight_from_the_noise_to_their_value(monkeypatch):
    of = disturbed(prior())
    latents, held = gaussian_latents(of, 4), of.directions[[1, 4]]
    noise, wanted = of.noise(1, seeded())[:, [1, 4]], of.coordinates(latents)[:, [1, 4]]
    asked = watched(of, monkeypatch)
    of.refine(latents, t=0.2, held=held, steps=5, generator=seeded())
    assert len(asked) == 5
    for t, x in asked:
        torch.testing.assert_close(x[:, [1, 4]], t * wanted + (1 - t) * noise, atol=1e-5, rtol=0)


def test_a_strip_that_is_redrawn_takes_the_steps_of_the_path_that_are_left(monkeypatch):
    of = prior()
    asked = watched(of, monkeypatch)
    of.redraw(gaussian_latents(of, 2), of.noise(2, seeded()), 0.25, steps=16)
    whole = step_times(16)
    assert len(asked) == pytest.approx((whole[:-1] >= 0.25).sum().item(), abs=1)


def test_components_along_which_strips_do_not_differ_stay_finite_on_every_way():
    of = disturbed(prior(std=torch.tensor([2.0] * 6 + [0.0] * 6)))
    latents = of.sample(3, generator=seeded())
    off = (latents - of.mean) @ of.directions.T
    assert latents.isfinite().all()
    assert off[:, 6:].abs().max() < 1e-4
    assert of.to_noise(latents).isfinite().all()
    assert of.loss(latents, generator=seeded()).isfinite()


def test_known_panels_are_kept_and_the_others_drawn():
    of = disturbed(prior())
    latents = gaussian_latents(of, 3)
    known = torch.tensor([[1, 0, 1], [0, 1, 0], [1, 1, 0]]).bool()
    drawn = of.complete(latents, known, of.noise(len(latents), seeded()))
    kept = known[:, of.panel_of]
    assert torch.equal(drawn[kept], latents[kept])
    assert ((drawn - latents)[~kept].abs() > 1e-3).all()


def test_what_lies_in_the_panels_to_be_drawn_plays_no_part():
    of = disturbed(prior())
    latents = gaussian_latents(of, 2)
    known = torch.tensor([[1, 0, 1], [1, 0, 1]]).bool()
    other = torch.where(known[:, of.panel_of], latents, torch.tensor(99.0))
    first, second = (
        of.complete(each, known, of.noise(len(each), seeded())) for each in (latents, other)
    )
    assert torch.equal(first, second)


def test_panels_are_completed_from_a_proposal_as_a_strip_is_redrawn():
    of = disturbed(prior())
    latents, noise = gaussian_latents(of, 2), of.noise(2, seeded())
    known = torch.tensor([[1, 0, 0]]).bool().expand(2, -1)
    new = ~known[:, of.panel_of]
    near, far = (of.complete(latents, known, noise, t) - latents for t in (0.999, 0.0))
    assert 0 < near[new].norm() < 0.1 * far[new].norm()


def test_training_shows_no_panel_to_half_and_never_all():
    counts = random_panels(20_000, seeded()).sum(1)
    shares = [(counts == n).float().mean().item() for n in range(4)]
    assert shares == pytest.approx([0.5, 0.25, 0.25, 0.0], abs=0.02)


def test_training_learns_what_a_known_panel_says_of_the_next():
    """Panels 2 and 3 repeat panel 1, of coin flips ±1 in every latent: given panel 1, all is known.
    A Gaussian knows the repetition too, but not that there are only two values."""
    of = prior(std=torch.cat([torch.full((4,), 3**0.5), torch.full((8,), 0.05)]))
    order = of.panel_of.argsort(stable=True)  # panel 1's four latents, panel 2's, panel 3's

    def flips(n: int, seed: int) -> torch.Tensor:
        panel = torch.randint(2, (n, 4), generator=seeded(seed)) * 2.0 - 1
        latents = torch.empty(n, 12)
        latents[:, order] = panel.repeat(1, 3)
        return latents

    sample = flips(1000, 1)
    _, size, directions = torch.linalg.svd(sample - sample.mean(0), full_matrices=True)
    of.fit_gaussian(sample.mean(0), directions, (size / 1000**0.5).clamp(min=0.05))
    optimizer = torch.optim.Adam(of.train().parameters(), lr=3e-3)
    noise = seeded(2)
    for step in range(150):
        optimizer.zero_grad()
        of.loss(flips(128, 10 + step), generator=noise).backward()
        optimizer.step()
    of.eval()
    unseen = flips(200, 5)
    known = torch.tensor([[1, 0, 0]]).bool().expand(200, -1)
    drawn = of.complete(unseen, known, of.noise(len(unseen), seeded()), steps=20)
    # a third is given; an untrained prior gets half of the rest right: 0.67
    assert (drawn.sign() == unseen.sign()).float().mean() > 0.9
    sampled = of.sample(200, steps=20, guidance=1.0, generator=seeded())[:, order]
    assert (sampled[:, :4].sign() == sampled[:, 4:8].sign()).float().mean() > 0.9


def test_what_is_learned_from_mirrored_strips_is_kept_apart():
    """Strips lie around 1 in every latent and mirrored ones around −1, so that one Gaussian of both
    lies around 0."""
    of = prior(std=torch.cat([torch.tensor([12**0.5]), torch.full((11,), 0.1)]))
    of.fit_gaussian(torch.zeros(12), torch.linalg.qr(torch.ones(12, 12))[0].T, of.std)
    optimizer = torch.optim.Adam(of.train().parameters(), lr=3e-3)
    noise = seeded(2)
    for _ in range(100):
        mirrored = (torch.rand(128, generator=noise) < 0.5).float()
        latents = 1 - 2 * mirrored[:, None] + 0.1 * torch.randn(128, 12, generator=noise)
        optimizer.zero_grad()
        of.loss(latents, mirrored, noise).backward()
        optimizer.step()
    drawn = of.eval().sample(200, steps=20, guidance=1.0, generator=seeded())
    assert (drawn.mean(1) > 0).float().mean() > 0.95  # half, if it did not know which is which


def test_a_prior_is_worth_using_only_where_it_beats_the_gaussian_on_held_out_strips():
    assert worth_using(0.8)
    assert not worth_using(0.9)
    assert not worth_using(0.995)
    assert not worth_using(1.3)
    assert not worth_using(math.nan)


def test_the_gaussians_own_error_is_one_in_the_sample_and_that_of_an_untrained_prior_anywhere():
    of = prior()
    t, noise = of.draw_times(4000, seeded(1)), of.noise(4000, seeded(2))
    latents = gaussian_latents(of, 4000)
    assert of.gaussian_errors(latents, t, noise).mean().item() == pytest.approx(1.0, abs=0.05)
    wide = of.mean + 3 * (latents - of.mean)  # strips that the Gaussian was not fitted to
    nothing = torch.zeros(4000, 3)
    torch.testing.assert_close(
        of.gaussian_errors(wide, t, noise), of.errors(wide, t, noise, nothing)
    )
    assert of.gaussian_errors(wide, t, noise).mean() > 2
