"""MIG, DCI, SAP against cases worked out by hand and scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, mutual_info_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import NearestCentroid

from garfield_vae.evaluation.metrics.disentanglement import (
    dci,
    dci_scores,
    is_category,
    mig,
    mutual_information,
    sap,
    usable_factors,
)


@pytest.fixture
def told_apart():
    """Two factors, each with a latent of its own, and a third latent that is noise."""
    rng = np.random.default_rng(0)
    weather, height = rng.integers(0, 4, 400), rng.uniform(-1, 1, 400)
    means = np.stack([height * 3, rng.normal(size=400), weather + 0.01 * height], axis=1)
    return means, {"weather": weather.astype(float), "height": height}


@pytest.fixture
def tangled(told_apart):
    """The same facts, spread evenly over two latents by a rotation of 45°."""
    means, factors = told_apart
    means = (means - means.mean(axis=0)) / means.std(axis=0)
    turned = np.stack([means[:, 0] + means[:, 2], means[:, 0] - means[:, 2]], axis=1)
    return turned, factors


def test_factors_are_flattened_and_constants_and_gaps_are_left_out():
    records = [
        {"panels": [{"cat": "left"}, {"cat": "right"}], "sun": True, "size": 3, "note": "a"},
        {"panels": [{"cat": "right"}, {"cat": "right"}], "sun": False, "size": 3},
    ]
    factors = usable_factors(records)
    assert list(factors) == ["panels 1.cat", "sun"]
    np.testing.assert_array_equal(factors["panels 1.cat"], ["left", "right"])
    np.testing.assert_array_equal(factors["sun"], [1.0, 0.0])
    assert usable_factors([]) == {}


def test_words_that_hardly_repeat_are_no_factors_but_numbers_may_be_all_different():
    records = [{"date": f"day {i}", "size": i / 100} for i in range(100)]
    assert list(usable_factors(records)) == ["size"]


def test_words_and_few_numbers_are_categories_and_many_numbers_a_quantity():
    assert is_category(np.array(["a", "b"]))
    assert is_category(np.arange(100) % 12)
    assert not is_category(np.linspace(0, 1, 100))


def test_a_latent_that_is_the_factor_knows_its_whole_entropy():
    factor = np.tile([0.0, 1.0, 2.0, 3.0], 25)
    found = mutual_information(np.stack([factor, np.zeros(100)], axis=1), {"f": factor})
    np.testing.assert_allclose(found, [[np.log(4)], [0]], atol=1e-12)


def test_mutual_information_is_scikit_learns_on_binned_latents(told_apart):
    means, factors = told_apart
    binned = [np.digitize(z, np.linspace(z.min(), z.max(), 21)[1:-1]) for z in means.T]
    expected = [mutual_info_score(z, factors["weather"]) for z in binned]
    found = mutual_information(means, factors)
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-6)


def test_mig_is_one_for_a_latent_of_its_own_and_zero_for_two_equal_ones():
    factor = np.tile([0.0, 1.0], 50)
    alone = np.stack([factor, np.zeros(100)], axis=1)
    assert mig(alone, {"f": factor})["f"] == pytest.approx(1)
    assert mig(np.stack([factor, factor], axis=1), {"f": factor})["f"] == pytest.approx(0)


def test_mig_and_sap_prefer_latents_that_tell_factors_apart(told_apart, tangled):
    for measure in (mig, sap):
        apart, mixed = measure(*told_apart), measure(*tangled)
        assert all(apart[name] > mixed[name] + 0.25 for name in apart)


def test_sap_of_a_quantity_is_the_gap_of_squared_correlations(told_apart):
    means, factors = told_apart
    squares = sorted(np.corrcoef(z, factors["height"])[0, 1] ** 2 for z in means.T)
    assert sap(means, factors)["height"] == pytest.approx(squares[-1] - squares[-2])


def test_sap_of_a_category_scores_each_latent_as_sklearns_nearest_centroid(tangled):
    means, factors = tangled
    weather = factors["weather"]
    scores = []
    learn_x, score_x, learn_y, score_y = train_test_split(
        means, weather, test_size=0.5, random_state=0
    )
    for learned, scored in zip(learn_x.T, score_x.T, strict=True):
        classifier = NearestCentroid().fit(learned[:, None], learn_y)
        scores.append(balanced_accuracy_score(score_y, classifier.predict(scored[:, None])))
    assert sap(means, factors)["weather"] == pytest.approx(max(scores) - min(scores))


def test_sap_of_a_single_latent_is_its_score():
    factor = np.tile([0.0, 1.0], 50)
    assert sap(factor[:, None], {"f": factor})["f"] == 1


def test_dci_scores_of_matrices_worked_out_by_hand():
    np.testing.assert_allclose(dci_scores(np.eye(3)), (1, 1))
    np.testing.assert_allclose(dci_scores(np.ones((2, 2))), (0, 0), atol=1e-12)
    # One latent serves both factors: nothing is told apart, yet each factor has one latent.
    np.testing.assert_allclose(dci_scores(np.array([[1.0, 1.0], [0, 0]])), (0, 1), atol=1e-12)
    assert dci_scores(np.zeros((2, 2))) == (0, 0)


def test_dci_finds_told_apart_latents_disentangled_complete_and_informative(told_apart):
    means, factors = told_apart
    noise = np.random.default_rng(1).normal(size=(400, 5))
    found = dci(np.concatenate([means, noise], axis=1), factors)
    assert found.importance.shape == (8, 2)
    np.testing.assert_allclose(found.importance.sum(axis=0), 1)
    assert found.disentanglement > 0.7
    assert found.completeness > 0.7
    assert min(found.informativeness.values()) > 0.9


def test_dci_of_noise_is_not_informative():
    rng = np.random.default_rng(0)
    found = dci(rng.normal(size=(300, 3)), {"f": rng.uniform(size=300)})
    assert 0 <= found.informativeness["f"] < 0.1
