"""Measuring one run: what is written, what the figures are, and who is told what."""

import json
import math

import numpy as np
import pytest
import torch
from evaluated_run import coloured_strips, fitted_space, small_run, small_store
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from garfield_vae.data.store import PanelStore
from garfield_vae.evaluation.comparison import (
    Describer,
    compare_sets,
    copying_figures,
    factor_figures,
    reconstruction_figures,
    reconstruction_values,
    share_nearer,
)
from garfield_vae.evaluation.evaluate import evaluate_run
from garfield_vae.evaluation.evidence import bound_figures, iwae_figures
from garfield_vae.util.errors import UserError


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """A run's folder after evaluation, and the figures that were written."""
    folder = tmp_path_factory.mktemp("evaluated")
    store, run = small_store(folder), small_run(folder / "run")
    space = fitted_space(run, store)
    path = evaluate_run(run, space, store, run.folder / "processed", iwae=3, num_samples=12)
    figures = json.loads((run.folder / "processed" / "measures.json").read_text(encoding="utf-8"))
    return run, space, store, path, figures


# ---- what is written ----------------------------------------------------------------------------


def test_the_report_and_the_figures_lie_in_the_folder_that_was_asked_for(evaluated):
    run, _, _, path, _ = evaluated
    assert path == run.folder / "processed" / "report.html"
    assert path.stat().st_size > 20_000
    assert sorted(p.name for p in path.parent.iterdir()) == ["measures.json", "report.html"]


def test_all_lines_to_compare_with_are_there_and_have_intervals(evaluated):
    figures = evaluated[4]
    assert list(figures["reconstruction"]) == [
        "this model",
        "8×8 mosaic",
        "PCA, 8 components",
        "mean image",
    ]
    assert list(figures["samples"]) == [
        "real strips, two halves",
        "reconstructions",
        "samples, fitted density",
        "samples, N(0, I)",
    ]
    for line in figures["reconstruction"].values():
        for estimate in line.values():
            assert estimate["low"] <= estimate["value"] <= estimate["high"]


def test_two_real_halves_are_nearer_to_each_other_than_noise_from_an_untrained_network(evaluated):
    samples = evaluated[4]["samples"]
    for kind, key in (("sliced Wasserstein", "48 rows"), ("lines and layout", "KID")):
        real = samples["real strips, two halves"][kind][key]["value"]
        assert real < samples["samples, N(0, I)"][kind][key]["value"]


def test_the_mean_image_is_measured_as_numpy_measures_it(evaluated):
    _, _, store, _, figures = evaluated
    strips = store.panels.astype(float) / 127.5 - 1
    mean = np.rint(store.panels[store.split("train")].mean(axis=0)) / 127.5 - 1
    expected = np.square(strips[store.split("test")] - mean).mean()
    found = figures["reconstruction"]["mean image"]["mse"]["value"]
    assert found == pytest.approx(expected, rel=1e-4)


def test_tensorboard_has_the_same_figures(evaluated):
    run, _, _, _, figures = evaluated
    events = EventAccumulator(str(run.folder)).Reload()
    scalar = events.Scalars("evaluation/reconstruction/this_model/mse")[0]
    assert scalar.value == pytest.approx(figures["reconstruction"]["this model"]["mse"]["value"])
    assert scalar.step == 3


def test_the_same_seed_gives_the_same_figures(evaluated):
    run, space, store, _, figures = evaluated
    folder = run.folder / "again"
    evaluate_run(run, space, store, folder, iwae=3, num_samples=12)
    assert json.loads((folder / "measures.json").read_text(encoding="utf-8")) == figures


def test_a_store_with_too_few_held_out_strips_is_refused_in_plain_words(evaluated, tmp_path):
    run, space, _, _, _ = evaluated
    strips, _ = coloured_strips(20)
    names = sorted(f"strip {i}" for i in range(20))
    store = PanelStore(tmp_path / "panels.npy", strips, names, [""] * 20)
    assert len(store.split("test")) < 4
    with pytest.raises(UserError, match="add strips"):
        evaluate_run(run, space, store, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_strips_without_known_factors_have_no_figures_of_them(evaluated, tmp_path):
    run, space, _, _, figures = evaluated
    assert figures["factors"]["names"] == ["red", "horizon", "dark"]
    store = small_store(tmp_path, with_factors=False)
    evaluate_run(run, space, store, tmp_path, num_samples=4)
    assert "factors" not in json.loads((tmp_path / "measures.json").read_text(encoding="utf-8"))


# ---- reconstructions ----------------------------------------------------------------------------


def test_strips_that_come_back_unchanged_have_no_error_and_full_similarity():
    strips, _ = coloured_strips(5)
    figures = reconstruction_figures(reconstruction_values(strips, strips))
    assert figures["mse"].value == 0
    assert figures["psnr"].value == pytest.approx(10 * math.log10(4 / 1e-10))
    assert figures["ssim"].value == pytest.approx(1)
    assert figures["ms-ssim"].value == pytest.approx(1)


def test_every_panel_has_values_of_its_own():
    strips, _ = coloured_strips(20)
    others = strips.copy()
    others[:, 1] = 255 - others[:, 1]
    mse = reconstruction_values(strips, others)["mse"]
    assert mse.shape == (20, 3)
    assert (mse[:, [0, 2]] == 0).all()
    assert (mse[:, 1] > 0).all()


# ---- evidence -----------------------------------------------------------------------------------


class GreyModel(nn.Module):
    """Draws every strip in the same grey, whatever the latent."""

    def __init__(self, shape):
        super().__init__()
        self.grey = nn.Parameter(torch.zeros(shape), requires_grad=False)

    def decode(self, z):
        return self.grey.expand(len(z), *self.grey.shape)


def test_a_model_that_says_nothing_costs_the_entropy_of_gaussian_noise():
    rng = np.random.default_rng(0)
    strips = rng.normal(127.5, 30, (6, 3, 3, 16, 16)).clip(0, 255).astype(np.uint8)
    means, variances = np.zeros((6, 4), np.float32), np.ones((6, 4), np.float32)
    found = bound_figures(GreyModel(strips.shape[1:]), strips, means, variances, 1e-3, rng)
    assert found["rate"].value == 0
    assert found["active units"] == 0
    # Noise of standard deviation 30 in steps of 1: log2(30·√(2πe)) bits.
    assert found["ELBO"].value == pytest.approx(
        math.log2(30 * math.sqrt(2 * math.pi * math.e)), abs=0.05
    )
    assert found["sigma"] == pytest.approx(30 / 127.5, rel=0.02)
    assert found["calibrated beta"] == pytest.approx(2 * found["sigma"] ** 2 / strips[0].size)
    assert found["beta ratio"] == pytest.approx(1e-3 / found["calibrated beta"])
    iwae = iwae_figures(GreyModel(strips.shape[1:]), strips, means, variances, found, 3, 0)
    assert iwae["IWAE"].value == pytest.approx(found["ELBO"].value, abs=0.01)


# ---- sets ---------------------------------------------------------------------------------------


def test_a_set_against_itself_has_no_distance_and_full_coverage():
    strips, _ = coloured_strips(30)
    described = Describer(strips)(strips)
    figures = compare_sets(described, described)
    assert figures["strips"] == [30, 30]
    for estimate in figures["sliced Wasserstein"].values():
        assert estimate.value == pytest.approx(0, abs=1e-3)
    for kind in ("random network", "lines and layout"):
        assert figures[kind]["KID"].value <= 0
        for measure in ("precision", "recall", "coverage"):
            assert figures[kind][measure].value == 1


def test_taking_rows_of_described_strips_is_describing_those_rows():
    strips, _ = coloured_strips(12)
    describe = Describer(strips)
    some = describe(strips).take(np.array([7, 2]))
    alone = describe(strips[[7, 2]])
    for kind, features in alone.features.items():
        torch.testing.assert_close(some.features[kind], features, atol=1e-4, rtol=1e-4)
    assert len(some) == 2


# ---- copies -------------------------------------------------------------------------------------


def test_copies_of_training_strips_are_found_out_and_copies_of_held_out_ones_are_not():
    strips, _ = coloured_strips(60)
    training, held_out = strips[:40], strips[40:]
    figures, nearest = copying_figures(training[:20], held_out, training, np.random.default_rng(0))
    np.testing.assert_array_equal(nearest.rows, np.arange(20))
    assert figures["samples to training strips"].value == 0
    assert figures["samples nearer to training than to held-out"].value > 0.6
    figures, _ = copying_figures(held_out, held_out, training, np.random.default_rng(0))
    assert figures["samples nearer to training than to held-out"].value == 0


def test_sides_are_even_for_one_kind_and_the_interval_knows_that_few_strips_decide():
    rng = np.random.default_rng(0)
    points, a, b = (rng.normal(size=(n, 2)) for n in (300, 40, 60))
    to_a, to_b = (np.linalg.norm(points[:, None] - other, axis=2) for other in (a, b))
    many = share_nearer(to_a, to_b, rng)
    assert many.low < 0.5 < many.high
    few = share_nearer(to_a[:, :3], to_b, rng)
    assert few.high - few.low > 2 * (many.high - many.low)


# ---- factors ------------------------------------------------------------------------------------


def test_a_component_that_is_a_factor_moves_it_and_noise_moves_nothing():
    rng = np.random.default_rng(0)
    factors = {"size": rng.uniform(size=600), "place": rng.integers(0, 30, 600).astype(str)}
    coordinates = np.stack([rng.normal(size=600), factors["size"]], axis=1)
    figures = factor_figures(coordinates, coordinates, factors)
    assert figures["moves"].shape == (2, 2)
    assert figures["moves"][1, 0] > 0.7
    assert figures["moves"][0].max() < 0.1
    assert figures["moves"][1, 1] < 0.1
