"""The latent prior against what is known of Gaussians, and against figures worked out by hand."""

import math

import pytest
import torch
from small_model import SMALL_PRIOR

from garfield_vae.model.flow import (
    GaussianFlow,
    integrate,
    path,
    slerp,
    step_times,
    steps_left,
    times_at,
)
from garfield_vae.model.morph import Morph
from garfield_vae.model.prior import LatentPrior, nothing_given, random_panels, worth_using
from garfield_vae.model.velocity import Block, PatchTransformer


@pytest.fixture(autouse=True)
def one_thread():
    """Networks this small spend longer on handing work over than on the work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def prior(std: torch.Tensor | None = None, **changes: int | float) -> LatentPrior:
    """An untrained prior around mean 1, … along a random rotation, with deviations 0.2 to 3."""
    torch.manual_seed(0)
    made = LatentPrior(**SMALL_PRIOR | changes).eval()
    z_dim = made.config["z_dim"]
    directions, _ = torch.linalg.qr(torch.randn(z_dim, z_dim, generator=seeded(7)))
    if std is None:
        std = torch.linspace(3, 0.2, made.config["components"])
    made.fit_gaussian(torch.linspace(1, 2, z_dim), directions, std)
    return made


def gaussian_latents(of: LatentPrior, n: int, seed: int = 3) -> torch.Tensor:
    x = torch.randn(n, len(of.std), generator=seeded(seed))
    return of.mean + x * of.std @ of.directions


def disturbed(of: LatentPrior, size: float = 0.05) -> LatentPrior:
    """The same with a network that says something."""
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in of.network.parameters():
            weight.add_(size * torch.randn_like(weight))
    return of


# ------------------------------------------------------------------ the flow by itself


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
        x = path(torch.randn(200_000, 3, generator=seeded(1)), s * torch.randn(200_000, 3), t)
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


def test_spherical_interpolation_turns_evenly_and_keeps_the_length():
    start, end = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 2.0])
    third = slerp(start, end, torch.tensor([1 / 3]))
    expected = [2 * math.cos(math.pi / 6), 2 * math.sin(math.pi / 6)]
    assert third.tolist() == pytest.approx(expected, abs=1e-5)


# ------------------------------------------------------------------ the network


def test_a_token_reads_its_place_in_its_own_panel_and_in_the_next_two():
    of = PatchTransformer((3, 1, 1, 2), (1, 1), width=8, depth=1, heads=1, dropout=0.0)
    patches = torch.tensor([[[11.0], [12.0], [21.0], [22.0], [31.0], [32.0]]])  # panel, place
    beside = [[11, 21, 31], [12, 22, 32], [21, 31, 11], [22, 32, 12], [31, 11, 21], [32, 12, 22]]
    assert of.beside(patches)[0].tolist() == beside


def test_attention_goes_where_its_bias_points():
    torch.manual_seed(0)
    block = Block(width=4, heads=1, tokens=3, dropout=0.0)
    with torch.no_grad():
        block.pairs[0, 0, 2] = 50.0  # e^50 times the weight that the likeness alone gives
    qkv = torch.randn(1, 3, 12)
    attended = block.attend(qkv)
    torch.testing.assert_close(attended[0, 0], qkv[0, 2, 8:])  # the last third are the values
    assert not torch.allclose(attended[0, 1], qkv[0, 2, 8:], atol=0.1)


# ------------------------------------------------------------------ before training


def test_the_loss_is_one_before_training():
    of = prior()
    losses = [of.loss(gaussian_latents(of, 2000, seed), seeded(seed)).item() for seed in (1, 2)]
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
    nothing, t = (torch.zeros(1, maps[0].numel()), torch.zeros(1, 3)), torch.tensor([0.5])

    def first_panel(maps: torch.Tensor, apart: bool) -> torch.Tensor:
        return network(maps.flatten(1), t, *nothing, apart).view(1, 3, -1)[:, 0]

    assert torch.equal(first_panel(maps, True), first_panel(other, True))
    assert not torch.allclose(first_panel(maps, False), first_panel(other, False), atol=1e-3)


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
    assert torch.allclose(of.guided(x, t, 1.5, nothing), expected)
    assert (whole - apart).abs().max() > 1e-3


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
        of.loss(flips(128, 10 + step), noise).backward()
        optimizer.step()
    of.eval()
    unseen = flips(200, 5)
    known = torch.tensor([[1, 0, 0]]).bool().expand(200, -1)
    drawn = of.complete(unseen, known, of.noise(len(unseen), seeded()), steps=20)
    # a third is given; an untrained prior gets half of the rest right: 0.67
    assert (drawn.sign() == unseen.sign()).float().mean() > 0.9
    sampled = of.sample(200, steps=20, guidance=1.0, generator=seeded())[:, order]
    assert (sampled[:, :4].sign() == sampled[:, 4:8].sign()).float().mean() > 0.9


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
