"""The sentences of the summary, from made-up figures."""

import pytest

from garfield_vae.evaluation.metrics.intervals import Estimate
from garfield_vae.evaluation.summary import summary


@pytest.fixture
def figures():
    def line(mse):
        return {"mse": Estimate(mse)}

    def drawn(kid, recall, order):
        story = {"together": Estimate(0.5), "order": Estimate(order), "facing": Estimate(0.5)}
        return {
            "lines and layout": {"KID": Estimate(kid), "recall": Estimate(recall)},
            "story": story,
        }

    return {
        "strips": {"test": 500, "changed": False},
        "samplers": ["prior"],
        "reconstruction": {
            "this model": line(0.2),
            "8×8 mosaic": line(0.18),
            "PCA, 64 components": line(0.25),
            "mean image": line(0.34),
        },
        "compression": {
            "rate": Estimate(1109.0),
            "rate, bytes": Estimate(200.0),
            "active units": 128,
            "dimensions of half the rate": 17,
            "dimensions": 128,
            "beta": 1.5e-6,
            "calibrated beta": 1.3e-6,
            "beta ratio": 1.15,
        },
        "samples": {
            "against test strips": {
                "real strips": drawn(0.0012, 0.95, 0.5),
                "reconstructions": drawn(0.03, 0.6, 0.52),
                "prior": drawn(0.05, 0.4, 0.83),
            }
        },
        "copying": {
            "prior": {
                "novelty, latents": Estimate(1.01, 0.97, 1.05),
                "near copies": Estimate(0.002),
                "near copies among real strips": Estimate(0.001),
                "verdict": [],
            }
        },
    }


def told(figures, metrics=()):
    return [(sentence.tone, sentence.text) for sentence in summary(figures, list(metrics))]


def test_the_error_is_compared_with_every_baseline(figures):
    tone, text = told(figures)[0]
    assert tone == "good"
    for part in (
        "0.200",
        "below that of PCA, 64 components (0.250)",
        "not below",
        "mosaic (0.180)",
    ):
        assert part in text


def test_a_model_behind_the_mean_image_is_a_warning(figures):
    figures["reconstruction"]["this model"] = {"mse": Estimate(0.35)}
    tone, text = told(figures)[0]
    assert tone == "warning"
    assert ", below that" not in text


def test_a_model_between_the_mean_image_and_pca_is_no_success_yet(figures):
    figures["reconstruction"]["this model"] = {"mse": Estimate(0.3)}
    assert told(figures)[0][0] == "plain"


def test_the_rate_is_in_nats_and_bytes_with_its_share_of_dimensions(figures):
    tone, text = told(figures)[1]
    assert tone == "plain"
    assert "1,109 nats (200 bytes) per strip, half of it in 17 of 128 latent dimensions" in text


@pytest.mark.parametrize(
    ("ratio", "advice"), [(77.0, "A lower beta"), (None, "A lower beta"), (1.0, "a lower --lr")]
)
def test_a_collapse_is_a_warning_with_the_calibrated_beta_and_what_helps(figures, ratio, advice):
    figures["compression"] |= {"active units": 1, "rate": Estimate(0.2), "beta ratio": ratio}
    tone, text = told(figures)[1]
    assert tone == "warning"
    assert text.startswith("Posterior collapse")
    assert "1.3e-06" in text
    assert advice in text


@pytest.mark.parametrize(
    ("ratio", "words", "tone"),
    [
        (77.0, "is 77 times the calibrated", "warning"),
        (5.0, "is 5 times the calibrated", "plain"),
        (1 / 43, "is 1/43 of the calibrated", "warning"),
        (0.0, "is less than a thousandth of the calibrated", "warning"),
        (1e-294, "is less than a thousandth of the calibrated", "warning"),
    ],
)
def test_a_beta_far_from_the_calibrated_one_is_named(figures, ratio, words, tone):
    figures["compression"]["beta ratio"] = ratio
    assert [found[0] for found in told(figures) if words in found[1]] == [tone]


def test_a_calibrated_or_unknown_beta_is_not_mentioned(figures):
    assert not any(text.startswith("Beta") for _, text in told(figures))
    figures["compression"]["beta ratio"] = None
    assert not any(text.startswith("Beta") for _, text in told(figures))


def test_a_validation_error_well_above_the_training_error_is_overfitting(figures):
    apart = [{"epoch": 1, "train/distortion": 0.1, "validation/distortion": 0.2}]
    together = [{"epoch": 1, "train/distortion": 0.19, "validation/distortion": 0.2}]
    assert any(text.startswith("Overfitting") for _, text in told(figures, apart))
    assert not any("Overfitting" in text for _, text in told(figures, together))
    assert not any("Overfitting" in text for _, text in told(figures, [{"epoch": 1}]))


def test_copying_is_a_warning_with_its_reasons_and_its_absence_is_no_praise(figures):
    (tone, text) = told(figures)[2]
    assert tone == "plain"
    assert "No copying was found in samples of the prior sampler: 0.2%" in text
    assert "1.01 times as far" in text
    figures["copying"]["prior"]["verdict"] = ["12.0% have a panel that is a near copy"]
    (tone, text) = told(figures)[2]
    assert tone == "warning"
    assert "repeat training strips: 12.0% have a panel" in text


def test_samples_that_stay_near_training_strips_are_a_warning_without_any_copy(figures):
    figures["copying"]["prior"]["novelty, latents"] = Estimate(0.64, 0.6, 0.68)
    (tone, text) = told(figures)[2]
    assert tone == "warning"
    assert "stay close to training strips: their latents are 0.64 times" in text


def test_samples_are_compared_with_real_strips_and_their_weakest_point_is_named(figures):
    text = told(figures)[-1][1]
    for part in (
        "KID 0.0500",
        "real strips 0.0012",
        "recall 0.40 (real 0.95)",
        "wrong order",
        "83%",
    ):
        assert part in text


def test_with_few_test_strips_there_are_no_distances_between_sets(figures):
    figures["strips"]["test"] = 42
    text = told(figures)[-1][1]
    assert "There are 42 test strips" in text
    assert not any("KID" in text for _, text in told(figures))
