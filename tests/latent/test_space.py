"""The latent space against scikit-learn, and against latents whose density is known."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from garfield_vae.latent.space import LatentSpace, principal_components


@pytest.fixture
def means() -> np.ndarray:
    """200 latents in 6 dimensions, each with another spread, around 5."""
    rng = np.random.default_rng(3)
    turn, _ = np.linalg.qr(rng.standard_normal((6, 6)))
    return (rng.standard_normal((200, 6)) * [5, 3, 2, 1, 0.5, 0.1] @ turn + 5).astype(np.float32)


@pytest.fixture
def space(means) -> LatentSpace:
    return LatentSpace.fit(means)


def test_the_components_are_those_of_scikit_learn(means):
    mean, components, std, explained = principal_components(means)
    pca = PCA().fit(means.astype(np.float64))
    np.testing.assert_allclose(mean, pca.mean_, rtol=1e-5)
    np.testing.assert_allclose(np.abs(components @ pca.components_.T), np.eye(6), atol=1e-4)
    np.testing.assert_allclose(std, np.sqrt(pca.explained_variance_), rtol=1e-4)
    np.testing.assert_allclose(explained, pca.explained_variance_ratio_, rtol=1e-4)


def test_rows_read_in_slices_give_the_same_components(means, monkeypatch):
    whole = principal_components(means)
    monkeypatch.setattr("garfield_vae.latent.space.ROWS_AT_ONCE", 7)
    for one, other in zip(whole, principal_components(means), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_the_largest_entry_of_a_component_is_positive_so_a_slider_keeps_its_direction(means):
    _, components, _, _ = principal_components(means)
    _, mirrored, _, _ = principal_components(-means)
    np.testing.assert_allclose(components, mirrored, atol=1e-5)


def test_fewer_strips_than_dimensions_give_one_component_less_than_strips(means):
    _, components, std, _ = principal_components(means[:4])
    assert components.shape == (3, 6)
    assert std.shape == (3,)


def test_strips_that_are_all_alike_give_one_component_that_moves_nothing():
    space = LatentSpace.fit(np.ones((5, 3), np.float32))
    np.testing.assert_allclose(space.latents(np.full((1, 1), 3.0)), np.ones((1, 3)), atol=1e-5)


def test_a_single_strip_has_no_components():
    with pytest.raises(ValueError, match="at least two strips"):
        principal_components(np.zeros((1, 3), np.float32))


def test_coordinates_of_the_strips_have_mean_0_and_standard_deviation_1(space, means):
    coordinates = space.coordinates(means)
    np.testing.assert_allclose(coordinates.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(coordinates.std(0, ddof=1), 1, rtol=1e-3)


def test_a_strip_returns_exactly_from_two_coordinates_and_its_residual(space, means):
    coordinates = space.coordinates(means[:9])[:, :2]
    np.testing.assert_allclose(
        space.latents(coordinates, space.residual(means[:9], 2)), means[:9], atol=1e-4
    )


@pytest.mark.parametrize("novelty", [0.0, 0.5, 1.0])
def test_samples_have_the_strips_mean_and_covariance_whatever_the_novelty(space, means, novelty):
    drawn = space.sample(100_000, np.random.default_rng(0), novelty=novelty)
    assert drawn.dtype == np.float32
    expected = np.cov(means.T)
    np.testing.assert_allclose(drawn.mean(0), means.mean(0), atol=0.1)
    np.testing.assert_allclose(np.cov(drawn.T), expected, atol=0.03 * expected.max())


def test_novelty_0_gives_the_strips_themselves(space, means):
    drawn = space.sample(50, np.random.default_rng(0), novelty=0.0)
    distances = np.linalg.norm(drawn[:, None] - means[None], axis=-1).min(1)
    np.testing.assert_allclose(distances, 0, atol=0.02)  # kernels are kept as float16


def test_strips_in_two_clouds_are_sampled_in_two_clouds_and_not_between():
    rng = np.random.default_rng(0)
    clouds = np.concatenate([rng.normal(-5, 0.5, (300, 2)), rng.normal(5, 0.5, (300, 2))])
    drawn = LatentSpace.fit(clouds.astype(np.float32)).sample(1000, rng, novelty=0.3)
    between = (np.abs(drawn.sum(1)) < 3).mean()  # the clouds' centres are at sums of −10 and 10
    assert between < 0.05


def test_prior_samples_ignore_the_strips(space):
    drawn = space.sample(100_000, np.random.default_rng(0), prior=True)
    np.testing.assert_allclose(drawn.mean(0), 0, atol=0.02)
    np.testing.assert_allclose(np.cov(drawn.T), np.eye(6), atol=0.03)


def test_temperature_scales_the_spread_and_zero_leaves_the_centre(space, means):
    half = space.sample(50_000, np.random.default_rng(0), temperature=0.5)
    whole = space.sample(50_000, np.random.default_rng(0))
    np.testing.assert_allclose(half.std(0), whole.std(0) / 2, rtol=0.02)
    np.testing.assert_allclose(
        space.sample(3, np.random.default_rng(0), temperature=0.0),
        np.broadcast_to(means.mean(0), (3, 6)),
        atol=1e-2,
    )


def test_the_same_seed_draws_the_same_strips(space):
    one, other = (space.sample(4, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_the_arrays_rebuild_the_space(space):
    again = LatentSpace(**space.arrays())
    np.testing.assert_array_equal(
        space.sample(2, np.random.default_rng(0)), again.sample(2, np.random.default_rng(0))
    )
