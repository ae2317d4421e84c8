"""Do panels belong together? Made-up features whose story is known."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from garfield_vae.evaluation.metrics.story import RankedHigher, StoryMeasure, with_strange_panels


def stories(count: int, seed: int) -> np.ndarray:
    """Features [count, 3, 8]: four that a strip's panels share, two that grow from panel to panel,
    one that is positive unless the panel is mirrored, one that is noise."""
    rng = np.random.default_rng(seed)
    shared = np.repeat(rng.normal(size=(count, 1, 4)), 3, axis=1) + rng.normal(
        0, 0.2, (count, 3, 4)
    )
    growing = np.arange(3)[None, :, None] + rng.normal(0, 0.5, (count, 3, 2))
    facing = 1 + rng.normal(0, 0.5, (count, 3, 1))
    return np.concatenate([shared, growing, facing, rng.normal(size=(count, 3, 1))], axis=2)


def mirrored(features: np.ndarray) -> np.ndarray:
    turned = features.copy()
    turned[..., 6] *= -1
    return turned


def kinds(features: np.ndarray) -> list[torch.Tensor]:
    return [torch.from_numpy(features[..., :5]), torch.from_numpy(features[..., 5:])]


def ranked(real: np.ndarray, drawn: np.ndarray) -> float:
    return RankedHigher(real, drawn)(np.ones(len(real)), np.ones(len(drawn)))


@pytest.fixture(scope="module")
def measure():
    training = stories(400, seed=0)
    return StoryMeasure(kinds(training), kinds(mirrored(training[:200])))


@pytest.mark.parametrize(
    ("judged", "damage"),
    [
        ("together", lambda f: with_strange_panels(f, np.random.default_rng(5))),
        ("order", lambda f: f[:, ::-1]),
        ("facing", mirrored),
    ],
)
def test_each_classifier_tells_its_damage_and_passes_strips_that_it_never_saw(
    measure, judged, damage
):
    real, others = stories(200, seed=1), stories(200, seed=2)
    scores = measure(kinds(real))[judged]
    assert ranked(scores, measure(kinds(others))[judged]) == pytest.approx(0.5, abs=0.08)
    assert ranked(scores, measure(kinds(damage(others).copy()))[judged]) > 0.8


def test_the_share_of_pairs_is_the_area_under_the_roc_curve():
    rng = np.random.default_rng(0)
    real, drawn = rng.integers(0, 9, 60).astype(float), rng.integers(0, 7, 40).astype(float)
    labels = np.r_[np.ones(60), np.zeros(40)]
    expected = roc_auc_score(labels, np.concatenate([real, drawn]))
    assert ranked(real, drawn) == pytest.approx(expected)
    assert ranked(real, real) == 0.5


def test_strips_that_count_twice_are_as_good_as_there_twice():
    real, drawn = np.array([1.0, 4.0]), np.array([0.0, 2.0, 5.0])
    found = RankedHigher(real, drawn)(np.array([2.0, 1.0]), np.array([1.0, 0.0, 3.0]))
    assert found == ranked(real[[0, 0, 1]], drawn[[0, 2, 2, 2]])


def test_a_strange_panel_comes_from_the_same_place_of_another_strip():
    panels = np.arange(30).reshape(10, 3)
    mixed = with_strange_panels(panels, np.random.default_rng(0))
    strange = mixed != panels
    np.testing.assert_array_equal(strange.sum(axis=1), 1)
    assert (mixed[strange] % 3 == np.nonzero(strange)[1]).all()


def test_four_strips_are_enough_to_be_fitted_to(recwarn):
    few = stories(4, seed=3)
    scores = StoryMeasure(kinds(few), kinds(mirrored(few)))(kinds(stories(5, seed=4)))
    assert all(np.isfinite(score).all() for score in scores.values())
    assert [str(warning.message) for warning in recwarn] == []
