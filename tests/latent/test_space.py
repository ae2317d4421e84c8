"""Principal components against scikit-learn's; coordinates and traversals by hand."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from garfield_vae.latent.space import LatentSpace, line, principal_components


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
    largest = components[np.arange(6), np.abs(components).argmax(1)]
    np.testing.assert_array_equal(largest, np.abs(components).max(1))


def test_fewer_strips_than_dimensions_give_one_component_less_than_strips(means):
    _, components, std, _ = principal_components(means[:4])
    assert components.shape == (3, 6)
    assert std.shape == (3,)


def test_directions_along_which_strips_do_not_differ_are_no_components(means):
    flat = means[:, :2] @ np.random.default_rng(0).standard_normal((2, 6)).astype(np.float32)
    _, components, _, explained = principal_components(flat + 5)
    assert components.shape == (2, 6)
    assert explained.sum() == pytest.approx(1, abs=1e-6)


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


def test_a_traversal_changes_one_coordinate_of_a_strip_and_nothing_else(space, means):
    positions = np.array([-3.0, 0.0, 2.5])
    walked = space.traversal(means[7], 1, positions)
    assert walked.dtype == np.float32
    coordinates = space.coordinates(walked)
    np.testing.assert_allclose(coordinates[:, 1], positions, atol=1e-3)
    rest = [0, 2, 3, 4, 5]
    there = np.broadcast_to(space.coordinates(means[[7]])[:, rest], (3, 5))
    np.testing.assert_allclose(coordinates[:, rest], there, atol=1e-2)


def test_a_traversal_passes_through_the_strip_that_it_starts_from(space, means):
    here = space.coordinates(means[[7]])[0, 2]
    (latent,) = space.traversal(means[7], 2, np.array([here]))
    np.testing.assert_allclose(latent, means[7], atol=1e-5)


def test_a_line_has_both_ends_and_equal_steps():
    start, end = np.float32([[0, 0], [4, -8]])
    points = line(start, end, np.linspace(0, 1, 5))
    np.testing.assert_allclose(points, [[0, 0], [1, -2], [2, -4], [3, -6], [4, -8]])
