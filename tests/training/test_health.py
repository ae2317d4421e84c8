"""The warnings of a training run: when each is given, that it is given once, what it names."""

from types import SimpleNamespace

import numpy as np
import pytest

from garfield_vae.training.health import HealthWarnings, mean_strip_distortion

D = 316_800  # pixel values of a strip


@pytest.fixture
def told(capsys):
    """Runs epochs through the warnings, each a dictionary over healthy figures; what was said."""
    healthy = {
        "train/distortion": 0.2,
        "train/rate": 900.0,
        "train/beta": 1e-6,
        "train/active_units": 500,
        "validation/distortion": 0.21,
        "validation/active_units": 0,  # as of a single strip, whose means cannot vary
    }
    module = SimpleNamespace(
        options=SimpleNamespace(z_dim=1000, beta=0.1),
        dimensions=D,
        lower_learning_rate=lambda: 0.0005,
    )

    def run(
        *epochs: dict, beta: float | str = 0.1, mean_strip: float = 0.3, steps: int = 100
    ) -> list[str]:
        module.options.beta = beta
        warnings = HealthWarnings()
        warnings.mean_strip = mean_strip
        for number, figures in enumerate(epochs):
            trainer = SimpleNamespace(
                current_epoch=number,
                global_step=steps * (number + 1),
                callback_metrics={k: v for k, v in (healthy | figures).items() if v is not None},
                is_global_zero=True,
                logger=None,
            )
            warnings.on_train_epoch_end(trainer, module)
        return capsys.readouterr().out.splitlines()

    return run


def test_a_healthy_run_is_not_warned(told):
    assert told(*[{}] * 10) == []


@pytest.mark.parametrize("figures", [{"train/active_units": 9}, {"train/rate": 0.9}])
def test_a_collapse_that_lasts_is_told_once_from_the_third_epoch(told, figures):
    assert told(figures, figures) == []
    said = told(*[figures | {"train/beta": 0.1}] * 6)
    assert len(said) == 1
    assert "beta 0.1 is too high" in said[0]
    assert f"the calibrated value would be {2 * 0.2 / D:.2g}" in said[0]  # 2·MSE/D


def test_held_out_distortion_that_rises_while_trainings_falls_is_told_once(told):
    apart = [{"train/distortion": 0.17, "validation/distortion": v} for v in (0.2, 0.215, 0.221)]
    assert told(*apart[:2]) == []
    said = told(*apart, *apart)
    assert len(said) == 1
    assert "overfitting" in said[0]
    assert "its best was 0.2000" in said[0]
    assert f"and a higher beta (it is 1e-06): --beta {2 * 0.221 / D:.2g}" in said[0]
    said = told(*[figures | {"train/beta": 1e-4} for figures in apart])
    assert len(said) == 1
    assert said[0].endswith("more strips would help")  # beta is far above 2·MSE/D already


def test_distortions_far_apart_are_told_though_held_out_still_falls(told):
    said = told(
        {"train/distortion": 0.2, "validation/distortion": 0.25},
        {"train/distortion": 0.16, "validation/distortion": 0.24},
        {"train/distortion": 0.15, "validation/distortion": 0.23},
    )
    assert len(said) == 1
    assert "is 0.2300 (its best was 0.2300) and training's 0.1500" in said[0]


def test_both_rising_together_is_not_overfitting(told):
    assert told({}, {"train/distortion": 0.28, "validation/distortion": 0.3}) == []


def test_where_steps_are_too_long_that_is_all_that_is_said(told):
    said = told({}, {"train/distortion": 0.6, "validation/distortion": 1.2}, {}, {})
    assert len(said) == 1
    assert "jumped to 0.6000 from 0.2000" in said[0]
    assert "try --lr 0.0005" in said[0]


def test_an_epoch_without_a_validation_is_judged_by_its_training(told):
    without = {"validation/distortion": None}
    assert told(without, without) == []


def test_a_collapse_under_the_calibrated_beta_is_not_put_down_to_beta(told):
    (said,) = told(*[{"train/active_units": 9}] * 4, beta="auto")
    assert "beta is calibrated: try shorter steps, --lr 0.0005" in said


def test_worse_than_the_mean_strip_after_three_epochs_are_steps_that_are_too_long(told):
    far = {"train/distortion": 0.4, "validation/distortion": 0.9, "train/active_units": 0}
    assert told(far, far) == []
    (said,) = told(*[far] * 5)
    assert "is 0.4000, and 0.3000 would be that of the mean strip" in said
    assert told(*[far | {"validation/distortion": 0.4}] * 3, mean_strip=0.35)[0].count("only 0 of")


def test_epochs_of_a_few_steps_in_the_warm_up_are_not_yet_judged(told):
    high = {"train/distortion": 0.4, "train/active_units": 0}
    assert told(*[high] * 5, steps=9) == []
    assert len(told(*[high] * 6, steps=9)) == 1  # 54 steps


def test_a_gap_in_the_first_epochs_is_not_yet_overfitting(told):
    """The averaged weights, which are validated, are still behind those that train."""
    apart = {"train/distortion": 0.2, "validation/distortion": 0.4}
    assert told(apart, apart, {}, {}) == []


def test_the_mean_strips_distortion_is_the_variance_of_a_pixel():
    panels = np.zeros((4, 3, 3, 2, 2), np.uint8)
    panels[[0, 2]] = 255  # −1 and 1 in equal parts: 4/3 by n − 1
    store = SimpleNamespace(panels=panels, split=lambda name: np.arange(4))
    assert mean_strip_distortion(store) == pytest.approx(4 / 3)
