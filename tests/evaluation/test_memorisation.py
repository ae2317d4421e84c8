"""Copies of training strips are found, new and blurred strips are not, and the formulas hold."""

import numpy as np
import pytest
import scipy.ndimage
import scipy.stats
from strip_pictures import random_strips

from garfield_vae.evaluation.copying import Control, CopyingMeasure, copies
from garfield_vae.evaluation.metrics.intervals import Estimate
from garfield_vae.evaluation.metrics.memorisation import (
    layouts,
    mann_whitney_z,
    mean_z_of_cells,
    more_copies,
    near_copies,
    nearest_points,
    nearest_training,
    novelty,
)

# ---- nearest training strips --------------------------------------------------------------------


def panels(count: int, seed: int = 0) -> np.ndarray:
    """Strips [count, 3, 3, 32, 40] of a few coarse shapes, so that a pixel's shift hardly shows."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 3, 3, 4, 5))
    return scipy.ndimage.zoom(coarse, (1, 1, 1, 8, 8), order=1).clip(0, 255).astype(np.uint8)


def test_a_layout_has_the_mean_colour_of_each_square():
    strips = random_strips(2, height=32, width=72)
    found = layouts(strips)
    assert found.shape == (2, 3, 3 * 16 * 18)
    expected = strips.reshape(2, 3, 3, 16, 2, 18, 4).astype(float).mean(axis=(4, 6)) / 127.5 - 1
    np.testing.assert_allclose(found.view(2, 3, 3, 16, 18), expected, atol=1e-5)


def test_the_nearest_strip_and_panels_are_those_of_a_plain_search():
    strips, training = panels(6, seed=1), panels(40)
    found = nearest_training(strips, training)
    a, b = layouts(strips).numpy(), layouts(training).numpy()
    whole = np.sqrt(np.square(a[:, None] - b[None]).mean(axis=(2, 3)))
    np.testing.assert_array_equal(found.row, whole.argmin(axis=1))
    np.testing.assert_allclose(found.distance, whole.min(axis=1), rtol=1e-4)
    turned = layouts(strips[..., ::-1]).numpy()
    for strip in range(6):
        for place in range(3):
            apart = np.minimum(
                *(np.square(x[strip, place] - b.reshape(120, -1)).mean(axis=1) for x in (a, turned))
            )
            ordered = np.sqrt(np.sort(apart))
            relative = found.relative[strip, place]
            assert relative == pytest.approx(ordered[0] / ordered[19], rel=1e-3)
            assert found.panel_row[strip, place] == apart.argmin() // 3


def test_all_training_strips_are_searched_however_many_are_compared_at_once(monkeypatch):
    strips, training = panels(5, seed=1), panels(50)
    whole = nearest_training(strips, training)
    module = "garfield_vae.evaluation.metrics.memorisation.TRAINING_STRIPS"
    monkeypatch.setattr(module, 7)
    pieces = nearest_training(strips, training)
    np.testing.assert_array_equal(pieces.row, whole.row)
    np.testing.assert_array_equal(pieces.panel_row, whole.panel_row)
    np.testing.assert_allclose(pieces.relative, whole.relative, rtol=1e-4)


def test_strips_of_the_same_group_are_not_compared():
    training = panels(30)
    groups = np.arange(30) // 3
    found = nearest_training(training, training, groups, groups)
    assert (groups[found.row] != groups).all()
    assert found.distance.min() > 0.05
    assert nearest_training(training, training).distance.max() == 0


def test_equal_training_strips_have_relative_distance_one():
    training = np.repeat(panels(1), 30, axis=0)
    found = nearest_training(training[:2], training)
    assert found.distance.max() == 0
    assert (found.relative == 1).all()


# ---- sets ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def library():
    """600 training strips, 60 held-out ones in weeks of 6, 100 of other years, a measure."""
    strips = panels(760)
    training, held_out, others = strips[:600], strips[600:660], strips[660:]
    none = held_out[:0], np.zeros(0, int)
    control = Control(held_out, np.arange(60) // 6 + 1000, *none, np.arange(600))
    return CopyingMeasure(control, training), training, held_out, others


COPIES = {
    "all": lambda strips, others: strips,
    "half": lambda strips, others: np.concatenate([strips[:50], others[50:]]),
    "a tenth": lambda strips, others: np.concatenate([strips[:10], others[10:]]),
    "mirrored panels": lambda strips, others: strips[..., ::-1],
    "mirrored strips": lambda strips, others: strips[:, ::-1, ..., ::-1],
    "another order": lambda strips, others: strips[:, [2, 0, 1]],
    "shifted by a pixel": lambda strips, others: np.roll(strips, 1, axis=-1),
    "blurred": lambda strips, others: scipy.ndimage.gaussian_filter(strips, (0, 0, 0, 2, 2)),
    "noisy": lambda strips, others: (strips // 2 * 2 + 5 * (strips % 3)).clip(0, 255),
    "a panel each": lambda strips, others: np.concatenate([strips[:, :1], others[:, 1:]], axis=1),
}


@pytest.mark.parametrize("kind", COPIES)
def test_copies_are_found(library, kind):
    measure, training, _, others = library
    originals = training[np.random.default_rng(0).choice(600, 100, replace=False)]
    figures, _ = measure(COPIES[kind](originals, others).astype(np.uint8))
    assert copies(figures)


def test_strips_of_other_years_and_held_out_ones_are_not_taken_for_copies(library):
    measure, _, held_out, others = library
    for strips in (others, others[:20], held_out):
        figures, _ = measure(strips)
        assert copies(figures) == []
        assert figures["distance ratio"].value == pytest.approx(1, abs=0.03)


def test_blur_brings_strips_nearer_to_all_and_is_not_copying(library):
    measure, _, _, others = library
    figures, _ = measure(scipy.ndimage.gaussian_filter(others, (0, 0, 0, 4, 4)))
    assert figures["Z_U"] < -3
    assert copies(figures) == []


@pytest.mark.parametrize(
    ("changes", "copied"),
    [
        ({"distance ratio": Estimate(0.91)}, False),
        ({"distance ratio": Estimate(0.9)}, True),
        ({"near copies": Estimate(0.009), "near copies, p-value": 1e-9}, False),
        ({"near copies": Estimate(0.01), "near copies, p-value": 1e-9}, True),
        ({"near copies": Estimate(0.5), "near copies, p-value": 0.02}, False),
    ],
)
def test_what_hardly_differs_from_real_strips_is_no_copying_however_sure_it_is(changes, copied):
    figures = {
        "near copies": Estimate(0.0),
        "near copies among real strips": Estimate(0.0),
        "near copies, p-value": 1.0,
        "distance ratio": Estimate(0.98),
        "Z_U": -9.0,
        "Z_U of relative distances": -9.0,
    }
    assert bool(copies(figures | changes)) is copied


def test_the_nearest_training_strip_of_a_copy_is_its_original(library):
    measure, training, _, _ = library
    _, nearest = measure(training[[7, 70]])
    np.testing.assert_array_equal(nearest.row, [7, 70])
    np.testing.assert_array_equal(nearest.panel_row[:, 0], [7, 70])
    assert nearest.distance.max() == 0


def test_training_strips_of_other_weeks_join_a_small_control_group(library):
    _, training, held_out, others = library
    weeks = np.arange(600) // 6
    control = Control(held_out[:5], np.full(5, 1000), training[:300], weeks[:300], weeks)
    measure = CopyingMeasure(control, training)
    figures, _ = measure(np.concatenate([training[:10], others[:90]]))
    assert copies(figures)
    figures, _ = measure(others)
    assert copies(figures) == []
    assert figures["near copies among real strips"].value < 0.01


# ---- formulas -----------------------------------------------------------------------------------


def test_the_z_is_that_of_scipys_mann_whitney_u():
    rng = np.random.default_rng(0)
    samples, held_out = rng.integers(0, 30, 80).astype(float), rng.integers(2, 32, 50).astype(float)
    u = scipy.stats.mannwhitneyu(samples, held_out).statistic
    expected = (u - 80 * 50 / 2) / np.sqrt(80 * 50 * 131 / 12)
    assert mann_whitney_z(samples, held_out) == pytest.approx(expected)
    assert mann_whitney_z(held_out, samples) == pytest.approx(-expected)


def test_cells_are_weighted_by_held_out_strips_and_small_ones_left_out():
    rng = np.random.default_rng(0)
    held_out, samples = rng.random(100), rng.random(120)
    held_cells, sample_cells = (
        np.repeat([0, 1, 2], [60, 30, 10]),
        np.repeat([0, 1, 2], [50, 60, 10]),
    )
    found = mean_z_of_cells(samples, held_out, sample_cells, held_cells)
    first, second = (
        mann_whitney_z(samples[sample_cells == cell], held_out[held_cells == cell])
        for cell in (0, 1)
    )
    assert found == pytest.approx((60 * first + 30 * second) / 90)
    assert mean_z_of_cells(samples, held_out[:5], sample_cells, held_cells[:5]) is None


def test_near_copies_are_counted_against_real_strips():
    control = np.full((50, 3), 0.8)
    samples = np.array([[0.8, 0.8, 0.47], [0.8, 0.49, 0.8], [0.1, 0.8, 0.8]])
    np.testing.assert_array_equal(near_copies(samples, control), [True, False, True])
    few, none = np.array([True, False, False, False]), np.zeros(4, bool)
    assert more_copies(few, none) == pytest.approx(0.5)  # one of eight is among the first four
    assert more_copies(none, few) == 1


def test_nearest_points_are_those_of_a_plain_search_over_pieces():
    rng = np.random.default_rng(0)
    queries, points = rng.normal(size=(9, 4)), rng.normal(size=(25, 4))
    distance, row = nearest_points(queries, iter([points[:10], points[10:]]))
    table = np.linalg.norm(queries[:, None] - points, axis=2)
    np.testing.assert_array_equal(row, table.argmin(axis=1))
    np.testing.assert_allclose(distance, table.min(axis=1), rtol=1e-4)


@pytest.fixture
def coordinates():
    """Training and held-out coordinates of one kind, deviations, and a decoder that is linear."""
    rng = np.random.default_rng(0)
    std = np.array([3.0, 1.0, 0.5], np.float32)

    def decode(points):
        grey = (127 + 20 * points @ [1, 1, 1]).clip(0, 255).astype(np.uint8)
        return np.broadcast_to(grey[:, None, None, None, None], (len(points), 3, 3, 4, 4))

    return *(rng.normal(size=(n, 3)).astype(np.float32) for n in (400, 80, 80)), std, decode


def test_novelty_is_one_for_strips_of_the_same_kind_and_nothing_for_copies(coordinates):
    training, held_out, others, std, decode = coordinates
    found = novelty(others, held_out, training, std, decode)
    for estimate in (found.leading, found.latents, found.pixels):
        assert estimate.low < 1 < estimate.high
    copied = novelty(training[5:50], held_out, training, std, decode)
    np.testing.assert_array_equal(copied.row, np.arange(5, 50))
    for estimate in (copied.leading, copied.latents, copied.pixels):
        assert estimate.value == pytest.approx(0, abs=1e-3)


def test_novelty_by_latents_weighs_components_by_their_deviations(coordinates):
    training, held_out, others, std, decode = coordinates
    found = novelty(others, held_out, training, std, decode)
    a, b, c = (x * std for x in (others, held_out, training))
    near, held = (np.linalg.norm(x[:, None] - c, axis=2).min(axis=1).mean() for x in (a, b))
    assert found.latents.value == pytest.approx(near / held, rel=1e-3)
    far = novelty(3 * others, held_out, training, std, decode)
    assert far.latents.value > 1.5
