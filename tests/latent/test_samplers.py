"""Samplers against latents whose density is known."""

import numpy as np
import pytest

from garfield_vae.cli.process_options import SAMPLERS
from garfield_vae.latent import samplers
from garfield_vae.latent.samplers import draw, kernel
from garfield_vae.latent.space import LatentSpace


def test_the_flag_offers_every_sampler_and_no_other():
    assert set(SAMPLERS) == {"prior", *samplers.SAMPLERS}


@pytest.mark.parametrize("sampler", ["kernel", "gaussian"])
def test_fitted_samplers_have_the_strips_mean_and_covariance(space, means, sampler):
    drawn = draw(space, 100_000, np.random.default_rng(0), sampler)
    assert drawn.dtype == np.float32
    expected = np.cov(means.T)
    np.testing.assert_allclose(drawn.mean(0), means.mean(0), atol=0.1)
    np.testing.assert_allclose(np.cov(drawn.T), expected, atol=0.03 * expected.max())


@pytest.mark.parametrize("bandwidth", [0.0, 0.25, 1.0])
def test_the_kernel_density_has_them_whatever_its_bandwidth(space, means, bandwidth):
    drawn = kernel(space, 100_000, np.random.default_rng(0), bandwidth=bandwidth)
    expected = np.cov(means.T)
    np.testing.assert_allclose(drawn.mean(0), means.mean(0), atol=0.1)
    np.testing.assert_allclose(np.cov(drawn.T), expected, atol=0.03 * expected.max())


def test_bandwidth_0_gives_the_strips_themselves(space, means):
    drawn = kernel(space, 50, np.random.default_rng(0), bandwidth=0.0)
    distances = np.linalg.norm(drawn[:, None] - means[None], axis=-1).min(1)
    np.testing.assert_allclose(distances, 0, atol=0.02)  # kernels are kept as float16


def test_two_clouds_are_kept_apart_by_the_kernel_density_and_bridged_by_one_gaussian():
    rng = np.random.default_rng(0)
    clouds = np.concatenate([rng.normal(-5, 0.5, (300, 2)), rng.normal(5, 0.5, (300, 2))])
    space = LatentSpace.fit(clouds.astype(np.float32))

    def between(latents: np.ndarray) -> float:  # the clouds' centres are at sums of −10 and 10
        return (np.abs(latents.sum(1)) < 3).mean()

    assert between(kernel(space, 1000, rng, bandwidth=0.3)) < 0.05
    assert between(draw(space, 1000, rng, "gaussian")) > 0.15


def test_normal_ignores_the_strips(space):
    drawn = draw(space, 100_000, np.random.default_rng(0), "normal")
    np.testing.assert_allclose(drawn.mean(0), 0, atol=0.02)
    np.testing.assert_allclose(np.cov(drawn.T), np.eye(6), atol=0.03)


@pytest.mark.parametrize("sampler", samplers.SAMPLERS)
def test_temperature_scales_the_distance_from_the_centre(space, means, sampler):
    half = draw(space, 1000, np.random.default_rng(0), sampler, temperature=0.5)
    whole = draw(space, 1000, np.random.default_rng(0), sampler)
    centre = 0 if sampler == "normal" else means.mean(0)
    np.testing.assert_allclose(2 * (half - centre), whole - centre, atol=1e-3)
    coldest = draw(space, 3, np.random.default_rng(0), sampler, temperature=0.0)
    np.testing.assert_allclose(coldest, np.broadcast_to(centre, (3, 6)), atol=1e-4)


@pytest.mark.parametrize("sampler", samplers.SAMPLERS)
def test_the_same_seed_draws_the_same_strips(space, sampler):
    one, other = (draw(space, 4, np.random.default_rng(5), sampler) for _ in range(2))
    np.testing.assert_array_equal(one, other)
