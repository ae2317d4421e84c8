"""Sample measures against scipy, plain loops and cases worked out by hand."""

import numpy as np
import pytest
import scipy.ndimage
import scipy.stats
import torch
from sklearn.decomposition import PCA
from strip_pictures import random_strips

from garfield_vae.evaluation.metrics import baselines
from garfield_vae.evaluation.metrics.baselines import mean_image, mosaic, pca_reconstructions
from garfield_vae.evaluation.metrics.fidelity import KernelDistance, manifold_measures
from garfield_vae.evaluation.metrics.intervals import weighted_estimate
from garfield_vae.evaluation.metrics.wasserstein import (
    PATCH,
    SlicedWasserstein,
    enlarged,
    laplacian_pyramid,
    pyramid_levels,
    pyramid_patches,
)

# ---- precision, recall, density, coverage -------------------------------------------------------


def test_manifold_measures_of_a_case_worked_out_by_hand():
    # With k = 1 the real balls are [-1, 1], [0, 2] and [1, 5] (radii 1, 1, 2 around 0, 1, 3);
    # the drawn ones around 0.5, 0.9 and 9 have radii 0.4, 0.4 and 8.1.
    real, drawn = torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([[0.5], [0.9], [9.0]])
    found = manifold_measures(real, drawn, neighbours=1)
    np.testing.assert_array_equal(found.precision, [1, 1, 0])
    np.testing.assert_array_equal(found.density, [2, 2, 0])
    np.testing.assert_array_equal(found.recall, [0, 1, 1])  # 1 is in 0.9 ± 0.4, 3 in 9 ± 8.1
    np.testing.assert_array_equal(found.coverage, [1, 1, 0])


def test_manifold_measures_agree_with_plain_loops():
    generator = torch.Generator().manual_seed(0)
    real = torch.randn(40, 4, generator=generator)
    drawn = 0.8 * torch.randn(30, 4, generator=generator) + 0.3

    def radius(points, i, k):
        return sorted(float((points[i] - p).norm()) for p in points)[k]

    found = manifold_measures(real, drawn, neighbours=3)
    inside = np.array(
        [[float((r - d).norm()) <= radius(real, i, 3) for d in drawn] for i, r in enumerate(real)]
    )
    recalled = [
        any(float((r - d).norm()) <= radius(drawn, j, 3) for j, d in enumerate(drawn)) for r in real
    ]
    np.testing.assert_array_equal(found.precision, inside.any(axis=0))
    np.testing.assert_allclose(found.density, inside.sum(axis=0) / 3)
    np.testing.assert_array_equal(found.coverage, inside.any(axis=1))
    np.testing.assert_array_equal(found.recall, recalled)


def test_a_strip_and_its_copies_are_at_no_distance_however_far_away_they_lie():
    # Were a copy at some distance, for rounding, no copy would lie in a ball of radius 0.
    real = torch.randn(30, 1000, generator=torch.Generator().manual_seed(0)) + 1000
    found = manifold_measures(real, real[:6].repeat(6, 1), neighbours=5)
    assert found.precision.mean() == 1
    assert found.recall.sum() == 6


def test_a_collapsed_set_is_precise_but_recalls_and_covers_next_to_nothing():
    real = torch.randn(200, 8, generator=torch.Generator().manual_seed(0))
    found = manifold_measures(real, real[:1].expand(100, 8))
    assert found.precision.mean() == 1
    assert found.recall.mean() == 1 / 200
    assert found.coverage.mean() < 0.15


def test_sets_too_small_for_five_neighbours_use_fewer_and_single_strips_are_refused():
    real = torch.randn(3, 2, generator=torch.Generator().manual_seed(0))
    assert manifold_measures(real, real).precision.mean() == 1
    with pytest.raises(ValueError, match="two strips"):
        manifold_measures(real, real[:1])


# ---- kernel distance ----------------------------------------------------------------------------


def test_kernel_distance_agrees_with_a_loop_over_pairs():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(6, 4, generator=generator, dtype=torch.float64)
    y = torch.randn(5, 4, generator=generator, dtype=torch.float64) + 0.5

    def k(a, b):
        return float((a @ b / 4 + 1) ** 3)

    def within(points):
        n = len(points)
        pairs = [k(points[i], points[j]) for i in range(n) for j in range(n) if i != j]
        return sum(pairs) / (n * (n - 1))

    across = np.mean([[k(a, b) for b in y] for a in x])
    distance = KernelDistance(x, y)(np.ones(6), np.ones(5))
    assert distance == pytest.approx(within(x) + within(y) - 2 * across)


def test_kernel_distance_of_two_draws_of_one_kind_has_zero_in_its_interval():
    generator = torch.Generator().manual_seed(1)
    x, y = (torch.randn(200, 6, generator=generator) for _ in range(2))
    same = weighted_estimate(KernelDistance(x, y), (200, 200), resamples=100)
    assert same.low < 0 < same.high
    other = weighted_estimate(KernelDistance(x, y + 0.7), (200, 200), resamples=100)
    assert other.low > same.high


def test_counts_of_a_kernel_distance_leave_out_the_strips_that_count_zero():
    generator = torch.Generator().manual_seed(2)
    x, y = torch.randn(8, 3, generator=generator), torch.randn(7, 3, generator=generator)
    counts_x, counts_y = np.array([1.0] * 5 + [0.0] * 3), np.array([1.0] * 4 + [0.0] * 3)
    smaller = KernelDistance(x[:5], y[:4])(np.ones(5), np.ones(4))
    assert KernelDistance(x, y)(counts_x, counts_y) == pytest.approx(smaller)


# ---- sliced Wasserstein -------------------------------------------------------------------------


def test_a_laplacian_pyramid_adds_up_to_the_picture_it_came_from():
    panels = torch.randn(2, 3, 45, 50, generator=torch.Generator().manual_seed(0))
    pyramid = laplacian_pyramid(panels, 3)
    assert [tuple(level.shape[-2:]) for level in pyramid] == [(45, 50), (23, 25), (12, 13)]
    rebuilt = pyramid[-1]
    for band in reversed(pyramid[:-1]):
        rebuilt = band + enlarged(rebuilt, band.shape[-2:])
    torch.testing.assert_close(rebuilt, panels)


def test_the_first_band_of_a_pyramid_agrees_with_scipys_convolution():
    panels = torch.randn(1, 1, 40, 48, generator=torch.Generator().manual_seed(0))
    row = np.array([1, 4, 6, 4, 1]) / 16
    kernel = np.outer(row, row)
    picture = panels[0, 0].numpy()
    smaller = scipy.ndimage.convolve(picture, kernel, mode="mirror")[::2, ::2]
    spread = np.zeros_like(picture)
    spread[::2, ::2] = smaller
    expected = picture - 4 * scipy.ndimage.convolve(spread, kernel, mode="mirror")
    np.testing.assert_allclose(laplacian_pyramid(panels, 2)[0][0, 0], expected, atol=1e-5)


def test_a_panel_of_176_by_200_has_four_levels_and_a_tiny_one_has_one():
    assert pyramid_levels(176, 200) == 4  # 176, 88, 44, 22
    assert pyramid_levels(20, 20) == 1


def test_patches_are_pieces_of_the_panels():
    strips = random_strips(18)
    patches = pyramid_patches(strips, patches=2)
    assert [tuple(level.shape) for level in patches] == [(18, 6, 147)] * 2
    whole = np.full((18, 3, 3, 20, 20), 51, np.uint8)
    torch.testing.assert_close(
        pyramid_patches(whole, patches=2)[0], torch.full((18, 6, 147), 51 / 127.5 - 1)
    )


def test_sliced_wasserstein_agrees_with_scipy_along_every_direction():
    generator = torch.Generator().manual_seed(0)
    real = torch.randn(20, 4, 3 * PATCH**2, generator=generator)
    drawn = 1.5 * torch.randn(15, 4, 3 * PATCH**2, generator=generator) + 0.2
    axes = torch.randn(147, 8, generator=torch.Generator().manual_seed(7))
    axes = axes / axes.norm(dim=0)
    colours = real.view(20, 4, 3, 49)
    mean = colours.mean(dim=(0, 1, 3)).repeat_interleave(49)
    std = colours.std(dim=(0, 1, 3), correction=0).repeat_interleave(49)
    a, b = (((s - mean) / std).flatten(0, 1) @ axes for s in (real, drawn))
    expected = np.mean([scipy.stats.wasserstein_distance(a[:, i], b[:, i]) for i in range(8)])
    measure = SlicedWasserstein(real, drawn, directions=8, seed=7)
    assert measure(np.ones(20), np.ones(15)) == pytest.approx(1000 * expected, rel=1e-4)
    # and counted twice is as good as being there twice
    counts = np.array([2.0] * 5 + [1.0] * 5 + [0.0] * 5)
    twice = torch.cat([b.view(15, 4, 8)[:5], b.view(15, 4, 8)[:10]]).flatten(0, 1)
    expected = np.mean([scipy.stats.wasserstein_distance(a[:, i], twice[:, i]) for i in range(8)])
    assert measure(np.ones(20), counts) == pytest.approx(1000 * expected, rel=1e-4)


def test_blurred_strips_are_further_away_at_the_finest_scale_than_real_ones():
    strips = random_strips(40, height=64)
    others = random_strips(40, seed=1, height=64)
    blurred = scipy.ndimage.uniform_filter(others, (1, 1, 1, 5, 5))
    patches, fresh, smooth = (pyramid_patches(s, patches=4)[0] for s in (strips, others, blurred))
    ones = np.ones(40)
    near = SlicedWasserstein(patches, fresh, directions=32)(ones, ones)
    far = SlicedWasserstein(patches, smooth, directions=32)(ones, ones)
    assert far > 5 * near


# ---- baselines ----------------------------------------------------------------------------------


def test_a_mosaic_has_the_mean_of_every_square():
    strips = random_strips(2, height=24, width=24)[..., :20, :]
    found = mosaic(strips)
    np.testing.assert_array_equal(np.unique(found[0, 0, 0, :8, :8]), found[0, 0, 0, 0, 0])
    assert found[1, 2, 1, 3, 9] == pytest.approx(strips[1, 2, 1, :8, 8:16].mean(), abs=0.51)
    assert found[1, 2, 1, 19, 23] == pytest.approx(strips[1, 2, 1, 16:, 16:].mean(), abs=0.51)


def test_the_mean_image_is_numpys_mean_of_all_strips():
    strips = random_strips(70)
    np.testing.assert_array_equal(mean_image(strips), np.rint(strips.mean(axis=0)))


@pytest.mark.parametrize("int8", [False, torch.cpu._is_vnni_supported()])
def test_pca_reconstructions_are_those_of_scikit_learn(monkeypatch, int8):
    monkeypatch.setattr(baselines, "INT8", int8)
    monkeypatch.setattr(baselines, "GRAM_ROWS", 8)
    monkeypatch.setattr(baselines, "COLUMNS", 1000)
    training, strips = random_strips(30), random_strips(4, seed=1)
    pca = PCA(7, svd_solver="full").fit(training.reshape(30, -1).astype(float))
    flat = strips.reshape(4, -1).astype(float)
    expected = pca.inverse_transform(pca.transform(flat)).reshape(strips.shape)
    (found, kept), (fewer, three) = pca_reconstructions(training, strips, [7, 3])
    assert three == 3
    np.testing.assert_array_equal(fewer, pca_reconstructions(training, strips, [3])[0][0])
    assert kept == 7
    assert np.abs(found - expected.clip(0, 255)).max() < 0.6
    more = np.concatenate([random_strips(5, seed=2), training])
    [(again, _)] = pca_reconstructions(more, strips, [7], np.arange(5, 35))
    np.testing.assert_array_equal(again, found)


def test_pca_has_no_more_components_than_strips_less_one_and_then_returns_them_exactly():
    training = random_strips(10)
    [(found, kept)] = pca_reconstructions(training, training, [1024])
    assert kept == 9
    assert np.abs(found.astype(int) - training).max() <= 1
