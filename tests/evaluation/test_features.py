"""Filters and features against plain loops, torch's own layers and cases worked out by hand."""

import numpy as np
import pytest
import torch
from strip_pictures import random_strips

from garfield_vae.evaluation.metrics.features import (
    LinesAndLayout,
    hog,
    random_network_features,
    small_strips,
    standardised,
)
from garfield_vae.evaluation.metrics.filters import PlaneFilter, averaging_matrix, filter_matrix
from garfield_vae.evaluation.metrics.wasserstein import pyramid_patches

# ---- filters ------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(176, 200), (33, 45)])
def test_a_filter_in_pieces_is_the_product_with_both_whole_matrices(size):
    down, across = (filter_matrix((0.25, 0.5, 0.25), length) for length in size)
    planes = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    for rows in (slice(None), slice(None, None, 2)):  # and one that halves
        found = PlaneFilter(down[rows], across[rows])(planes)
        torch.testing.assert_close(found, down[rows] @ planes @ across[rows].T)


@pytest.mark.parametrize(("size", "cells"), [(176, 16), (200, 18), (5, 5), (7, 3)])
def test_means_of_equal_parts_are_scipys_integral_and_mirror_with_the_pixels(size, cells):
    matrix = averaging_matrix(size, cells).double()
    column = torch.rand(size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    edges = np.linspace(0, size, cells + 1)
    below = np.interp(edges, np.arange(size + 1), np.concatenate([[0], column.cumsum(0)]))
    np.testing.assert_allclose(matrix @ column, np.diff(below) * cells / size, rtol=1e-5)
    torch.testing.assert_close(matrix @ column.flip(0), (matrix @ column).flip(0))


# ---- features -----------------------------------------------------------------------------------


def test_small_strips_are_block_means_in_minus_one_to_one():
    strips = random_strips(2)
    blocks = strips.reshape(2, 3, 3, 6, 8, 8, 8).astype(float).mean(axis=(4, 6)) / 127.5 - 1
    np.testing.assert_allclose(small_strips(strips).numpy(), blocks, atol=1e-5)


def test_random_features_depend_on_the_seed_and_the_strip_only():
    strips = random_strips(40)
    features = random_network_features(strips)
    assert features.shape == (40, 3 * 2 * (32 + 64 + 128))
    torch.testing.assert_close(random_network_features(strips[35:]), features[35:])
    assert not torch.allclose(random_network_features(strips[:1], seed=1), features[:1])


def test_random_features_are_those_of_four_layers_of_torch_with_the_same_weights():
    strips, generator = random_strips(3), torch.Generator().manual_seed(7)
    x = torch.from_numpy(strips).flatten(0, 1).double() / 127.5 - 1
    x = torch.nn.functional.interpolate(x, scale_factor=0.5, mode="area")
    expected = []
    for before, after in ((3, 16), (16, 32), (32, 64), (64, 128)):
        layer = torch.nn.Conv2d(
            before, after, 3, stride=2, padding=1, padding_mode="replicate", bias=False
        ).double()
        weights = torch.randn(after, before, 3, 3, generator=generator).double()
        layer.weight.data = weights * (2 / (9 * before)) ** 0.5
        x = layer(x).relu()
        expected += [x.mean(dim=(2, 3)), x.std(dim=(2, 3), correction=0)]
    expected = torch.cat(expected[2:], dim=1).view(3, -1).float().detach()
    torch.testing.assert_close(random_network_features(strips, seed=7), expected, atol=1e-4, rtol=0)


def test_making_features_leaves_the_global_random_state_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    random_network_features(random_strips(1))
    pyramid_patches(random_strips(1))
    assert torch.rand(1) == expected


def test_hog_of_vertical_edges_lies_in_the_first_orientation_and_of_level_ones_in_the_middle():
    panel = np.zeros((1, 3, 3, 32, 32), np.uint8)
    panel[..., 8:] = 255  # the gradient points right: angle 0
    vertical = hog(panel).view(3, 9, 2, 2)
    assert vertical[:, 0, :, 0].min() > 0.5
    assert vertical[:, 1:].abs().max() == 0
    level = hog(panel.swapaxes(3, 4)).view(3, 9, 2, 2)  # points down: 90° = 4.5 bins
    torch.testing.assert_close(level[:, 4], level[:, 5])
    assert level[:, 4, 0].min() > 0.4
    assert level[:, [0, 1, 2, 3, 6, 7, 8]].abs().max() == 0


def test_hog_agrees_with_a_loop_over_the_pixels_of_a_panel():
    strip = random_strips(1, height=32, width=40)  # two cells of 16 across, eight columns over
    grey = np.pad(strip[0, 1].mean(axis=0) / 127.5 - 1, 1, mode="edge")
    sums = np.zeros((9, 2, 2))
    for y in range(32):
        for x in range(32):
            across = grey[y + 1, x + 2] - grey[y + 1, x]
            down = grey[y + 2, x + 1] - grey[y, x + 1]
            angle = np.degrees(np.arctan2(down, across)) % 180 / 20
            lower, share = int(angle), angle - int(angle)
            length = np.hypot(across, down)
            sums[lower % 9, y // 16, x // 16] += length * (1 - share)
            sums[(lower + 1) % 9, y // 16, x // 16] += length * share
    means = sums / 16**2
    energy = np.pad((means**2).sum(axis=0), ((0, 1), (0, 1)), mode="edge")
    block = (energy[:-1, :-1] + energy[1:, :-1] + energy[:-1, 1:] + energy[1:, 1:]) / 4
    expected = means / np.sqrt(block + 1e-4)
    np.testing.assert_allclose(hog(strip).view(3, 9, 2, 2)[1], expected, atol=1e-4)


def test_hog_hardly_changes_with_the_contrast_of_a_strip():
    strips = random_strips(3)
    faded = (strips // 2 + 64).astype(np.uint8)
    similarity = torch.cosine_similarity(hog(strips), hog(faded))
    assert similarity.min() > 0.99


def test_both_halves_of_lines_and_layout_weigh_the_same_and_their_mean_square_is_one():
    reference = random_strips(60)
    halves = hog(reference), small_strips(reference)
    features = LinesAndLayout(*halves, components=10)(*halves)
    assert features.shape == (60, 20)
    variances = features.var(dim=0, correction=0)
    assert variances[:10].sum() == pytest.approx(variances[10:].sum().item(), rel=1e-3)
    assert features.square().mean().item() == pytest.approx(1, rel=1e-3)


def test_a_memory_map_is_described_without_a_warning(tmp_path, recwarn):
    np.save(tmp_path / "strips.npy", random_strips(3))
    small_strips(np.load(tmp_path / "strips.npy", mmap_mode="r"))
    assert [str(warning.message) for warning in recwarn] == []


def test_standardised_features_have_a_mean_square_of_one_and_constant_ones_become_zero():
    reference = torch.tensor([[1.0, 5.0], [3.0, 5.0]])
    assert standardised(reference, reference).square().mean() == pytest.approx(1)
    torch.testing.assert_close(
        standardised(torch.tensor([[4.0, 6.0]]), reference), torch.tensor([[2.0 * 2**0.5, 0.0]])
    )
