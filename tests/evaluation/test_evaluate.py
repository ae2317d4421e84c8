"""The evaluation of a run: the files, and the figures in them."""

import json
import math

import numpy as np
import pytest
import torch
from evaluated_run import coloured_strips, fitted_space, small_run, small_store
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from garfield_vae.data.store import PanelStore
from garfield_vae.evaluation.compression import (
    compression_figures,
    dimensions_of,
    discretised_elbo,
    kl_by_dimension,
)
from garfield_vae.evaluation.evaluate import evaluate_run
from garfield_vae.evaluation.factors import factor_figures, measure_factors
from garfield_vae.evaluation.reconstructions import reconstruction_figures, reconstruction_values
from garfield_vae.evaluation.sample_measures import halves
from garfield_vae.evaluation.sample_sets import Describer, compare_sets, plain_figures
from garfield_vae.evaluation.summary import CHANGED_STRIPS
from garfield_vae.latent.codec import decode, encode
from garfield_vae.run_folder import write_json
from garfield_vae.util.errors import UserError


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """A run's folder after evaluation, and the figures that were written."""
    folder = tmp_path_factory.mktemp("evaluated")
    store, run = small_store(folder), small_run(folder / "run")
    path = evaluate(run, store, run.folder / "processed", num_samples=12)
    figures = json.loads((run.folder / "processed" / "measures.json").read_text(encoding="utf-8"))
    return run, store, path, figures


def evaluate(run, store, folder, **options):
    means, _ = encode(run.model, store.panels)
    return evaluate_run(run, fitted_space(run, store), store, means, folder, **options)


# ---- what is written ----------------------------------------------------------------------------


def test_the_report_and_the_figures_lie_in_the_folder_that_was_asked_for(evaluated):
    run, _, path, _ = evaluated
    assert path == run.folder / "processed" / "report.html"
    assert path.stat().st_size > 20_000
    assert sorted(p.name for p in path.parent.iterdir()) == ["measures.json", "report.html"]


def test_the_model_and_all_baselines_have_figures_with_intervals(evaluated):
    figures = evaluated[3]
    assert list(figures["reconstruction"]) == [
        "this model",
        "8×8 mosaic",
        "PCA, 8 components",
        "mean image",
    ]
    for line in figures["reconstruction"].values():
        for estimate in line.values():
            assert estimate["low"] <= estimate["value"] <= estimate["high"]


def test_the_fitted_error_has_a_line_and_all_others_are_of_the_encoders_own_pass(evaluated):
    run, store, path, figures = evaluated
    assert "this model, fitted, 4 steps</th>" in path.read_text(encoding="utf-8")
    (line,) = figures["fitted"].values()
    assert list(figures["fitted"]) == ["4 steps"]
    assert line["mse"]["value"] < figures["reconstruction"]["this model"]["mse"]["value"]
    strips = store.panels[store.split("test")]
    own = reconstruction_values(strips, decode(run.model, encode(run.model, strips)[0]))["mse"]
    found = figures["reconstruction"]["this model"]["mse"]["value"]
    assert found == pytest.approx(own.mean(), rel=1e-5)


def test_samples_are_compared_with_as_many_real_strips_and_reconstructions(evaluated):
    figures = evaluated[3]
    sets = figures["samples"]["against test strips"]
    assert list(sets) == ["real strips", "reconstructions", "kernel", "normal"]
    assert {tuple(of["strips"]) for of in sets.values()} == {(figures["strips"]["test"], 12)}
    redrawn = figures["samples"]["against their reconstructions"]
    assert list(redrawn) == ["reconstructions", "kernel", "normal"]
    for kind, key in (("sliced Wasserstein", "48 rows"), ("lines and layout", "KID")):
        assert sets["real strips"][kind][key]["value"] < sets["normal"][kind][key]["value"]


def test_the_mean_image_is_measured_as_numpy_measures_it(evaluated):
    _, store, _, figures = evaluated
    strips = store.panels.astype(float) / 127.5 - 1
    mean = np.rint(store.panels[store.split("train")].mean(axis=0)) / 127.5 - 1
    expected = np.square(strips[store.split("test")] - mean).mean()
    found = figures["reconstruction"]["mean image"]["mse"]["value"]
    assert found == pytest.approx(expected, rel=1e-4)


def test_tensorboard_has_the_same_figures_in_one_table(evaluated):
    run, _, _, figures = evaluated
    events = EventAccumulator(str(run.folder)).Reload()
    assert not [tag for tag in events.Tags()["scalars"] if tag.startswith("evaluation")]
    (text,) = events.Tensors("evaluation/text_summary")
    table = text.tensor_proto.string_val[0].decode()
    mse = figures["reconstruction"]["this model"]["mse"]["value"]
    assert f"\n| reconstruction / this model / mse | {mse:.4g} |\n" in table
    assert text.step == 3


def test_the_same_seed_gives_the_same_figures(evaluated):
    run, store, _, figures = evaluated
    folder = run.folder / "again"
    evaluate(run, store, folder, num_samples=12)
    assert json.loads((folder / "measures.json").read_text(encoding="utf-8")) == figures


@pytest.mark.parametrize("changed", [False, True])
def test_test_strips_are_not_called_unseen_where_the_strips_changed_since_the_training(
    tmp_path, changed, capsys
):
    """Of strips that are added, the split may make test strips of strips that were trained on."""
    run, store = small_run(tmp_path / "run"), small_store(tmp_path)
    before = small_store(tmp_path, 100) if changed else store
    write_json(run.folder / "environment.json", {"strips": before.digest})
    page = evaluate(run, store, tmp_path, num_samples=4).read_text(encoding="utf-8")
    assert ("on which nothing was trained or chosen" in page) != changed
    assert (CHANGED_STRIPS in page) == changed
    assert (CHANGED_STRIPS in capsys.readouterr().out) == changed


def test_without_fit_steps_no_line_is_of_fitted_latents(evaluated, tmp_path):
    run, store, _, figures = evaluated
    path = evaluate(run, store, tmp_path, num_samples=12, fit_steps=0)
    others = json.loads((tmp_path / "measures.json").read_text(encoding="utf-8"))
    assert others.pop("fitted") == {}
    assert others == {name: value for name, value in figures.items() if name != "fitted"}
    assert "this model, fitted" not in path.read_text(encoding="utf-8")


def test_given_samplers_are_measured_under_their_names_and_copies_have_no_novelty(
    evaluated, tmp_path
):
    run, store, _, _ = evaluated
    means, _ = encode(run.model, store.panels)
    copied = means[store.split("train")]
    samplers = {
        "new prior": lambda n, rng: rng.standard_normal((n, 8)).astype(np.float32),
        "copies": lambda n, rng: copied[rng.choice(len(copied), n, replace=False)],
    }
    evaluate(run, store, tmp_path, samplers=samplers, num_samples=60)
    figures = json.loads((tmp_path / "measures.json").read_text(encoding="utf-8"))
    assert figures["samplers"] == ["new prior", "copies"]
    assert list(figures["copying"]) == ["new prior", "copies"]
    assert figures["copying"]["copies"]["novelty, latents"]["value"] == 0
    assert figures["copying"]["copies"]["novelty, pixels"]["value"] == 0
    assert figures["copying"]["copies"]["Z_U of latents"] < -3


def test_too_few_test_strips_are_a_user_error_and_nothing_is_written(evaluated, tmp_path):
    run = evaluated[0]
    strips, _ = coloured_strips(20)
    names = sorted(f"strip {i}" for i in range(20))
    store = PanelStore(tmp_path / "panels.npy", strips, names, [""] * 20)
    assert len(store.split("test")) < 4
    with pytest.raises(UserError, match="add strips"):
        evaluate(run, store, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_panels_too_small_for_ssim_are_a_user_error_before_anything_is_measured(
    evaluated, tmp_path
):
    run, store, _, _ = evaluated
    small = PanelStore(tmp_path / "panels.npy", store.panels[..., :8, :8], store.names, [""] * 200)
    with pytest.raises(UserError, match=r"panels of 8×8 pixels are too small .* train with larger"):
        evaluate_run(run, fitted_space(run, store), small, None, tmp_path)


@pytest.mark.parametrize("count", [60, 120])
def test_few_strips_are_measured_without_a_warning_of_any_library(
    evaluated, tmp_path, recwarn, count
):
    run = evaluated[0]
    store = small_store(tmp_path, count)
    evaluate(run, store, tmp_path, num_samples=4)
    assert len(store.split("test")) < 13
    assert [str(warning.message) for warning in recwarn] == []
    figures = json.loads((tmp_path / "measures.json").read_text(encoding="utf-8"))
    assert ("factors" in figures) == (count >= 100)


def test_names_that_are_not_utf8_or_have_line_ends_are_escaped(evaluated, tmp_path):
    run = evaluated[0]
    strips, _ = coloured_strips(120)
    names = sorted(f"caf\udce9\n{i:03}" for i in range(120))
    store = PanelStore(tmp_path / "panels.npy", strips, names, [""] * 120)
    assert len(store.split("test")) >= 4
    page = evaluate(run, store, tmp_path, num_samples=4).read_text(encoding="utf-8")
    assert "caf\\xe9\\n" in page


def test_strips_without_known_factors_have_no_figures_of_them(evaluated, tmp_path):
    run, _, _, figures = evaluated
    assert figures["factors"]["names"] == ["red", "horizon", "dark"]
    store = small_store(tmp_path, with_factors=False)
    evaluate(run, store, tmp_path, num_samples=4)
    assert "factors" not in json.loads((tmp_path / "measures.json").read_text(encoding="utf-8"))


def test_halves_have_no_week_in_common_and_the_first_is_no_larger_than_asked():
    rows, groups = np.arange(100, 160), np.repeat(np.arange(10), 6)
    for most in (1000, 13):
        first, second = halves(rows, groups, most, np.random.default_rng(0))
        assert sorted([*first, *second]) == rows.tolist()
        assert not set(groups[first - 100]) & set(groups[second - 100])
        assert 2 <= len(first) <= min(most, 30)
    first, second = halves(rows[:5], np.zeros(5), 9, np.random.default_rng(0))
    assert (len(first), len(second)) == (2, 3)


# ---- reconstructions ----------------------------------------------------------------------------


def test_perfect_reconstructions_have_no_error_and_full_similarity():
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


# ---- compression --------------------------------------------------------------------------------


class GreyModel(nn.Module):
    """Draws every strip in the same grey, whatever the latent."""

    def __init__(self, shape):
        super().__init__()
        self.grey = nn.Parameter(torch.zeros(shape), requires_grad=False)

    def decode(self, z):
        return self.grey.expand(len(z), *self.grey.shape)


def test_the_elbo_at_rate_zero_is_the_entropy_of_the_noise():
    rng = np.random.default_rng(0)
    strips = rng.normal(127.5, 30, (6, 3, 3, 16, 16)).clip(0, 255).astype(np.uint8)
    means, variances = np.zeros((6, 4), np.float32), np.ones((6, 4), np.float32)
    found = compression_figures(GreyModel(strips.shape[1:]), strips, means, variances, 1e-3, rng)
    assert found["rate"].value == 0
    assert found["dimensions of half the rate"] == found["active units"] == 0
    # Noise of standard deviation 30 in steps of 1: log2(30·√(2πe)) bits, by either decoder.
    entropy = math.log2(30 * math.sqrt(2 * math.pi * math.e))
    assert found["ELBO, continuous"].value == pytest.approx(entropy, abs=0.05)
    assert found["ELBO, discretised"].value == pytest.approx(entropy, abs=0.05)
    assert found["sigma"] == pytest.approx(30 / 127.5, rel=0.02)
    assert found["calibrated beta"] == pytest.approx(2 * found["sigma"] ** 2 / strips[0].size)
    assert found["beta ratio"] == pytest.approx(1e-3 / found["calibrated beta"])


def test_black_and_white_pixels_cost_less_where_tails_are_folded():
    rng = np.random.default_rng(0)
    strips = np.where(rng.random((4, 3, 3, 16, 16)) < 0.8, 255, 0).astype(np.uint8)
    sampled = (strips.astype(float) + rng.normal(0, 20, strips.shape)).clip(0, 255)
    sampled = sampled.astype(np.uint8)
    bits, _ = discretised_elbo(strips, sampled, np.array([0.0, 0, 0, 100]))
    error = np.square((strips.astype(float) - sampled) / 127.5).mean()
    continuous = math.log2(math.sqrt(error) * 127.5 * math.sqrt(2 * math.pi * math.e))
    assert 0.4 < bits[0] < continuous / 3  # half a bit says which half of the normal it is
    extra = 100 / math.log(2) / strips[0].size
    assert bits[3] - bits[:3].mean() == pytest.approx(extra, rel=0.05)


def test_the_kl_by_dimension_is_that_of_torch_distributions():
    rng = np.random.default_rng(0)
    means, variances = rng.normal(size=(5, 3)), rng.uniform(0.1, 2, (5, 3))
    posterior = torch.distributions.Normal(torch.tensor(means), torch.tensor(variances).sqrt())
    expected = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0))
    np.testing.assert_allclose(kl_by_dimension(means, variances), expected, rtol=1e-6)


def test_dimensions_of_a_share_are_counted_from_the_most_bits_down():
    bits = np.array([5.0, 3.0, 1.0, 1.0])
    assert [dimensions_of(bits, share) for share in (0.5, 0.8, 0.81, 1.0)] == [1, 2, 3, 4]
    assert dimensions_of(np.zeros(4), 0.5) == 0


# ---- sets ---------------------------------------------------------------------------------------


def test_a_set_against_itself_has_no_distance_and_full_coverage():
    strips, _ = coloured_strips(30)
    described = Describer(strips)(strips)
    figures = compare_sets(described, described, np.arange(30) // 6)
    assert figures["strips"] == [30, 30]
    for estimate in figures["sliced Wasserstein"].values():
        assert estimate.value == pytest.approx(0, abs=1e-3)
    for kind in ("random network", "lines and layout"):
        assert figures[kind]["KID"].value <= 0
        for measure in ("precision", "recall", "coverage"):
            assert figures[kind][measure].value == 1
    for estimate in figures["story"].values():
        assert estimate.value == 0.5
    plain = plain_figures(described, described)
    assert plain["lines and layout: KID"] == figures["lines and layout"]["KID"].value
    assert plain["story: order"] == 0.5


def test_taking_rows_of_described_strips_is_describing_those_rows():
    strips, _ = coloured_strips(12)
    describe = Describer(strips)
    some = describe(strips).take(np.array([7, 2]))
    alone = describe(strips[[7, 2]])
    for kind, features in alone.features.items():
        torch.testing.assert_close(some.features[kind], features, atol=1e-4, rtol=1e-4)
    for name, scores in alone.story.items():
        np.testing.assert_allclose(some.story[name], scores, atol=1e-3)
    assert len(some) == 2


# ---- factors ------------------------------------------------------------------------------------


def test_a_component_equal_to_a_factor_explains_it_and_noise_explains_nothing():
    rng = np.random.default_rng(0)
    factors = {"size": rng.uniform(size=600), "place": rng.integers(0, 30, 600).astype(str)}
    coordinates = np.stack([rng.normal(size=600), factors["size"]], axis=1)
    figures = factor_figures(coordinates, coordinates, factors)
    assert figures["moves"].shape == (2, 2)
    assert figures["moves"][1, 0] > 0.7
    assert figures["moves"][0].max() < 0.1
    assert figures["moves"][1, 1] < 0.1


@pytest.mark.parametrize("text", ["{", "[1]", "{}", '{"date": []}', "[" * 100_000, "\xff"])
def test_a_damaged_file_of_factors_is_a_user_error(tmp_path, text):
    run, store = small_run(tmp_path / "run"), small_store(tmp_path)
    (tmp_path / "factors.jsonl").write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match=r"factors\.jsonl is damaged"):
        measure_factors(run, fitted_space(run, store), store, np.random.default_rng(0))
