"""What a reader is told first, from figures made up for the purpose."""

import pytest

from garfield_vae.evaluation.findings import findings
from garfield_vae.evaluation.metrics.intervals import Estimate


@pytest.fixture
def figures():
    def line(mse):
        return {"mse": Estimate(mse)}

    def drawn(distance):
        scales = {"176 rows": Estimate(distance), "88 rows": Estimate(3 * distance)}
        return {"sliced Wasserstein": scales}

    return {
        "reconstruction": {
            "this model": line(0.2),
            "8×8 mosaic": line(0.18),
            "PCA, 64 components": line(0.25),
            "mean image": line(0.34),
        },
        "bound": {
            "rate": Estimate(1109.0),
            "active units": 90,
            "dimensions": 128,
            "beta": 1.5e-6,
            "calibrated beta": 1.3e-6,
            "beta ratio": 1.15,
        },
        "samples": {
            "real strips, two halves": drawn(50.0),
            "samples, fitted density": drawn(200.0),
            "samples, N(0, I)": drawn(435.0),
        },
        "copying": {"samples nearer to training than to held-out": Estimate(0.5, 0.47, 0.53)},
    }


def told(figures, metrics=()):
    return [(finding.tone, finding.text) for finding in findings(figures, list(metrics))]


def test_the_error_is_held_against_every_line(figures):
    assert told(figures)[0] == (
        "good",
        "Strips it never saw come back with a mean squared error of 0.200, better than PCA, 64 "
        "components (0.250) and mean image (0.340), but not as good as 8×8 mosaic (0.180).",
    )


def test_a_model_behind_the_mean_image_is_a_warning(figures):
    figures["reconstruction"]["this model"] = {"mse": Estimate(0.35)}
    tone, text = told(figures)[0]
    assert tone == "warning"
    assert "better" not in text


def test_a_model_between_the_mean_image_and_pca_is_no_success_yet(figures):
    figures["reconstruction"]["this model"] = {"mse": Estimate(0.3)}
    assert told(figures)[0][0] == "plain"


def test_the_rate_is_told_in_bytes(figures):
    tone, text = told(figures)[1]
    assert tone == "plain"
    assert "200 bytes (1,109 nats)" in text  # 1109 / ln 2 / 8
    assert "90 of 128" in text


def test_a_collapse_is_a_warning_with_the_beta_that_would_be_calibrated(figures):
    figures["bound"] |= {"active units": 1, "rate": Estimate(0.2)}
    tone, text = told(figures)[1]
    assert tone == "warning"
    assert text.startswith("The latent space has collapsed")
    assert "1.3e-06" in text


@pytest.mark.parametrize(
    ("ratio", "words", "tone"),
    [
        (77.0, "is 77 times the calibrated", "warning"),
        (5.0, "is 5 times the calibrated", "plain"),
        (1 / 43, "is a 43rd of the calibrated", "warning"),
        (1 / 11, "is a 11th of the calibrated", "plain"),
    ],
)
def test_a_beta_far_from_the_calibrated_one_is_named(figures, ratio, words, tone):
    figures["bound"]["beta ratio"] = ratio
    assert [found[0] for found in told(figures) if words in found[1]] == [tone]


def test_a_calibrated_or_unknown_beta_is_not_mentioned(figures):
    assert not any(text.startswith("Beta") for _, text in told(figures))
    figures["bound"]["beta ratio"] = None
    assert not any(text.startswith("Beta") for _, text in told(figures))


def test_training_and_validation_that_part_are_a_warning(figures):
    apart = [{"epoch": 1, "train/distortion": 0.1, "validation/distortion": 0.2}]
    together = [{"epoch": 1, "train/distortion": 0.19, "validation/distortion": 0.2}]
    assert any("partly those very strips" in text for _, text in told(figures, apart))
    assert not any("partly those very strips" in text for _, text in told(figures, together))
    assert not any("partly those very strips" in text for _, text in told(figures, [{"epoch": 1}]))


def test_copying_is_a_warning_only_when_the_interval_says_so(figures):
    assert (
        "good",
        "It does not copy training strips: 50% of its samples (47% to 53% with other strips) lie "
        "nearer to a training strip than to a held-out one; half would be chance.",
    ) in told(figures)
    figures["copying"] = {"samples nearer to training than to held-out": Estimate(0.9, 0.85, 0.94)}
    assert any(tone == "warning" and "copies training" in text for tone, text in told(figures))


def test_few_strips_do_not_clear_a_model_of_copying(figures):
    figures["copying"] = {"samples nearer to training than to held-out": Estimate(0.57, 0.43, 0.72)}
    assert any(tone == "plain" and "Too few strips" in text for tone, text in told(figures))


def test_samples_are_as_many_times_further_away_as_real_halves_are_apart(figures):
    text = told(figures)[-1][1]
    assert text.startswith("Its samples lie 4.0 times as far from real strips as two halves")
    assert text.endswith("samples from N(0,\u00a0I) 8.7 times.")
