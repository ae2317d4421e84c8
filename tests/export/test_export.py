"""An exported model: what its folder holds, and what can be done with nothing else."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from hostile import declared_tensor, long_header
from PIL import Image
from safetensors.numpy import load_file as load_numpy
from safetensors.torch import load_file, save_file

import garfield_vae
import process_model
from garfield_vae.checkpoints import exported_space, load_model, load_run
from garfield_vae.data.sources import present_strips
from garfield_vae.export.card import figures_table
from garfield_vae.export.folder import export_model
from garfield_vae.gallery import begin
from garfield_vae.latent.codec import decode
from garfield_vae.latent.files import encoded_strips
from garfield_vae.util.compact import compacted, expanded
from garfield_vae.util.errors import UserError


def process(folder: Path, *flags: str) -> int:
    return process_model.main(["--experiment_dir", str(folder), "--accelerator", "cpu", *flags])


@pytest.fixture(scope="module")
def exported(trained_run, tmp_path_factory) -> Path:
    """The small model, exported."""
    place = tmp_path_factory.mktemp("shared")
    run = shutil.copytree(trained_run, place / "run")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(trained_run.parent.parent)  # where its panel store is
        assert process(run, "--export", str(place / "model")) == 0
    return place / "model"


@pytest.fixture
def model(exported, tmp_path, monkeypatch) -> Path:
    """A copy of it in an empty place, where there are no strips at all."""
    monkeypatch.chdir(tmp_path)
    return shutil.copytree(exported, tmp_path / "model")


@pytest.fixture
def no_onnx(monkeypatch) -> None:
    """One of the packages that ONNX files need is missing; writing them takes ten seconds."""
    needed = ("onnx", "a_package_that_is_not_there")
    monkeypatch.setattr("garfield_vae.export.onnx_files.NEEDED", needed)


def test_the_folder_has_weights_sizes_latents_a_card_and_onnx_and_nothing_else(exported):
    assert {path.name for path in exported.iterdir()} == {
        "README.md",
        "config.json",
        "decoder.onnx",
        "encoder.onnx",
        "latent.safetensors",
        "model.safetensors",
        "samples.png",
    }
    assert [path.name for path in exported.parent.glob(".*")] == []


def test_the_weights_are_the_averaged_ones_of_the_best_checkpoint(exported, trained_run):
    checkpoint = torch.load(trained_run / "checkpoints" / "best.ckpt", weights_only=True)
    weights = load_file(exported / "model.safetensors")
    assert weights
    for name, value in weights.items():
        assert torch.equal(value, checkpoint["state_dict"][f"averaged.module.{name}"])


def test_the_latent_space_is_the_runs_without_any_strips_name(exported, trained_run, monkeypatch):
    monkeypatch.chdir(trained_run.parent.parent)
    run = load_run(trained_run)
    space = encoded_strips(run.model, run.digest, run.folder, present_strips(run.options)).space
    given = exported_space(load_model(exported))
    for name, array in space.arrays().items():
        np.testing.assert_array_equal(getattr(given, name), array)
    assert set(load_numpy(exported / "latent.safetensors")) == set(space.arrays())


def test_nothing_in_the_folder_tells_where_it_was_made(exported, strips):
    for path in exported.iterdir():
        content = path.read_bytes()
        for private in (strips, exported.parent, Path.cwd()):
            assert os.fsencode(private) not in content, path.name
    assert "data_dir" not in json.loads((exported / "config.json").read_text())["training"]


def test_the_card_has_the_figures_of_its_epoch_and_says_whose_the_strips_are(exported, trained_run):
    card = (exported / "README.md").read_text()
    epoch = json.loads((exported / "config.json").read_text())["epoch"] + 1
    header, *rows = (trained_run / "metrics.csv").read_text().splitlines()
    row = dict(zip(header.split(","), rows[epoch - 1].split(","), strict=True))
    assert f"| MSE on validation strips | {float(row['validation/distortion']):.4g} |" in card
    assert "MIT licence" in card
    assert "belong to their authors" in card
    assert "![" in card
    with Image.open(exported / "samples.png") as picture:
        assert picture.size == (2 * (3 * 40 + 4 * 2) + 30, 4 * (32 + 4) + 50)


def test_a_card_has_the_figures_of_an_evaluation_of_this_model_and_does_without_odd_ones(
    trained_run, tmp_path
):
    run = load_run(shutil.copytree(trained_run, tmp_path / "run"))
    begin(run.folder / "processed", run)
    measures = run.folder / "processed" / "measures.json"
    figures = {"reconstruction": {"this model": {"mse": {"value": 0.125}}}}
    line = "| MSE on test strips, without fitting | 0.125 |"
    measures.write_text(json.dumps(figures | {"strips": {"changed": False}}))
    assert line in figures_table(run)
    for odd in ("[" * 10**6, measures.read_text().replace("0.125", "1" + "0" * 400)):
        measures.write_text(odd)
        assert "test strips" not in figures_table(run)
    measures.write_text(json.dumps(figures | {"strips": {"changed": True}}))
    assert "test strips" not in figures_table(run)
    measures.write_text(json.dumps(figures | {"strips": {"changed": False}}))
    assert "test strips" not in figures_table(replace(run, epoch=run.epoch + 1))
    table = run.folder / "metrics.csv"
    table.write_text(table.read_text().replace("\n1,", f"\n{'9' * 400},"))
    assert figures_table(run).count("\n") == 3  # a head, a rule, and the evaluation's line


def test_an_exported_model_decodes_as_its_run(exported, trained_run):
    latents = np.random.default_rng(0).standard_normal((2, 16), np.float32)
    one, other = (garfield_vae.load(folder).model for folder in (exported, trained_run))
    np.testing.assert_array_equal(decode(one, latents), decode(other, latents))


def test_onnx_gives_torchs_values_for_any_number_of_strips(exported):
    vae = garfield_vae.load(exported).model
    parts = {
        part: onnxruntime.InferenceSession(exported / f"{part}.onnx")
        for part in ("encoder", "decoder")
    }
    for count in (1, 5):
        latents = torch.randn(count, 16)
        strips = vae.decode(latents)
        (found,) = parts["decoder"].run(None, {"latents": latents.numpy()})
        np.testing.assert_allclose(found, strips, atol=1e-4)
        found = parts["encoder"].run(["mean", "log_std"], {"strips": strips.numpy()})
        for one, other in zip(found, vae.encode(strips), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-4)


def test_a_loaded_model_does_not_change_with_its_file(model):
    vae = garfield_vae.load(model).model
    before = vae.decode(torch.zeros(1, 16))
    os.truncate(model / "model.safetensors", 0)
    assert torch.equal(vae.decode(torch.zeros(1, 16)), before)


def test_samples_and_walks_need_no_strips(model, capsys):
    assert process(model, "--num_samples", "2", "--components", "2") == 0
    written = {path.name for path in (model / "processed").iterdir()}
    assert {"samples.png", "walks.png", "walk_02.gif", "explained_variance.png"} <= written
    assert "reconstructions.png" not in written
    assert "latents     of the model; " in capsys.readouterr().out


def test_a_morph_of_two_files_and_a_reconstruction_need_no_strips_of_the_run(model, strips):
    one, other = (str(path) for path in sorted(strips.rglob("*.gif"))[:2])
    assert process(model, "--interpolate", one, other, "--reconstruct", one) == 0
    assert len(list((model / "processed").glob("morph_*.gif"))) == 1
    assert len(list((model / "processed").glob("reconstruction_*.png"))) == 1


def test_the_explorers_page_is_made_without_strips(model):
    assert process(model, "--export_page", "page.html", "--components", "2") == 0
    assert "<html" in Path("page.html").read_text()


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--evaluate"], "has no strips: --evaluate needs the folder of the run"),
        (["--data_dir", "data"], "has no strips: --data_dir needs the folder of the run"),
        (["--interpolate", "1985-03-12", "1985-03-13"], "has no strips by date, and 1985-03-12"),
        (["--z_dim", "17"], "--z_dim 17 does not fit model, which was trained with 16"),
    ],
)
def test_what_needs_strips_says_so_in_a_sentence(model, flags, sentence):
    with pytest.raises(UserError, match=sentence):
        process(Path("model"), *flags)


def test_an_exported_model_can_be_exported_again_into_an_empty_folder(model, no_onnx):
    Path("again").mkdir()
    assert process(model, "--export", "again") == 0
    weights = (model / "model.safetensors").read_bytes()
    assert (Path("again") / "model.safetensors").read_bytes() == weights


def test_a_folder_that_has_something_in_it_is_refused_and_left_alone(model, tmp_path):
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "diary.txt").write_text("mine")
    with pytest.raises(UserError, match="taken is not empty: give --export a new folder"):
        process(model, "--export", str(taken))
    assert [path.name for path in taken.iterdir()] == ["diary.txt"]
    with pytest.raises(UserError, match=r"diary\.txt cannot be a folder"):
        process(model, "--export", str(taken / "diary.txt"))


def test_a_compact_export_is_half_as_large_or_less_and_decodes_to_the_same_strips(
    exported, model, tmp_path
):
    run, compact = load_model(exported), tmp_path / "compact"
    names = export_model(run, exported_space(run), compact, compact=True)
    assert not [name for name in names if name.endswith(".onnx")]
    small, whole = (folder / "model.safetensors" for folder in (compact, exported))
    assert small.stat().st_size < 0.51 * whole.stat().st_size
    latents = np.random.default_rng(0).standard_normal((2, 16), np.float32)
    one, other = (decode(load_model(folder).model, latents) for folder in (compact, exported))
    assert np.abs(one.astype(int) - other).max() <= 6  # of 255
    space, before = exported_space(load_model(compact)), exported_space(run)
    np.testing.assert_allclose(space.components, before.components, atol=1e-3)
    np.testing.assert_array_equal(space.std, before.std)


def test_a_weight_in_8_bits_is_off_by_half_a_step_at_most():
    weights = {"a": torch.tensor([[1.27, 0.006, -0.5], [0.0, 0.0, 0.0]]), "b": torch.ones(3)}
    found = expanded(compacted(weights))
    step = torch.tensor([[0.01], [0.0]])  # the largest of a row is 127 steps
    assert ((found["a"] - weights["a"]).abs() <= step / 2 + 1e-7).all()
    assert found["a"][0, 0] == pytest.approx(1.27)
    assert torch.equal(found["b"], weights["b"])


def test_an_export_that_fails_halfway_leaves_no_folder(model, tmp_path, monkeypatch):
    monkeypatch.setattr("garfield_vae.export.folder.model_card", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        process(model, "--export", str(tmp_path / "half"))
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_without_onnx_the_rest_is_written_and_that_is_said(model, tmp_path, no_onnx, capsys):
    assert process(model, "--export", str(tmp_path / "plain")) == 0
    assert not list((tmp_path / "plain").glob("*.onnx"))
    assert "without ONNX files" in capsys.readouterr().out
    assert "onnx" not in (tmp_path / "plain" / "README.md").read_text()


# ---------------------------------------------------------------------------------------------
# A folder of unknown origin


def rewritten_config(**changes: object):
    def change(folder: Path) -> None:
        path = folder / "config.json"
        config = json.loads(path.read_text())
        for name, value in changes.items():
            config[name] = config[name] | value if isinstance(value, dict) else value
        path.write_text(json.dumps(config))

    return change


def written(name: str, content: bytes):
    return lambda folder: (folder / name).write_bytes(content)


def cut_off(name: str):
    return lambda folder: os.truncate(folder / name, (folder / name).stat().st_size - 100)


def changed_weight(change):
    """A safetensors file in which the first tensor is another one."""

    def rewrite(folder: Path) -> None:
        weights = load_file(folder / "model.safetensors")
        first = min(weights)
        save_file(weights | {first: change(weights[first])}, folder / "model.safetensors")

    return rewrite


def wrong_scale(folder: Path) -> None:
    """One number that a scale of a million would spread to a million."""
    weights = load_file(folder / "model.safetensors")
    small = {"join.weight": torch.ones(1, 1, dtype=torch.int8)}
    small["join.weight.scale"] = torch.ones(10**6)
    save_file(weights | small, folder / "model.safetensors")


HOSTILE = {
    "config that is no JSON": (
        written("config.json", b"{"),
        "config.json is damaged: it is no JSON",
    ),
    "config nested a million deep": (written("config.json", b"[" * 10**6), "it is no JSON"),
    "config of another kind": (written("config.json", b"[]"), "describes no model of this project"),
    "config of another version": (rewritten_config(format=99), "written in another format"),
    "config without a network": (rewritten_config(network=None), "does not hold the weights"),
    "config with 10^12 dimensions": (
        rewritten_config(network={"z_dim": 10**12}),
        "does not hold the weights of the network",
    ),
    "config with other sizes": (
        rewritten_config(network={"z_dim": 17}),
        "does not hold the weights",
    ),
    "config with a size that is text": (
        rewritten_config(network={"z_dim": "16"}),
        "does not hold the weights",
    ),
    "config with an unknown option": (
        rewritten_config(training={"warp": 9}),
        r"options that this version does not know \(warp\)",
    ),
    "config with an option that cannot be": (
        rewritten_config(training={"count": "../../etc"}),
        "config.json is damaged: its count is nothing that --count takes",
    ),
    "config with an endless epoch": (
        written("config.json", b'{"format": 2, "network": {}, "training": {}, "epoch": 1e999}'),
        "does not say which model",
    ),
    "weights that are gone": (
        lambda folder: (folder / "model.safetensors").unlink(),
        "model.safetensors cannot be read",
    ),
    "weights cut off": (cut_off("model.safetensors"), "damaged or cut off"),
    "weights that are no safetensors": (
        written("model.safetensors", b"\x80\x04" * 99),
        "damaged or cut off",
    ),
    "weights that declare 10^12 numbers": (declared_tensor, "damaged or cut off"),
    "weights with a header of 100 MB": (long_header, "damaged or cut off"),
    "weights of another shape": (changed_weight(lambda w: w[None]), "does not hold the weights"),
    "weights of another kind": (changed_weight(torch.Tensor.double), "does not hold the weights"),
    "8-bit weights without their scale": (
        changed_weight(torch.Tensor.char),
        "model.safetensors cannot be read, it is damaged",
    ),
    "8-bit weights with a scale of another shape": (
        wrong_scale,
        "model.safetensors cannot be read, it is damaged",
    ),
    "weights that are no numbers": (
        changed_weight(lambda w: w * float("nan")),
        "does not hold the weights",
    ),
    "latents cut off": (cut_off("latent.safetensors"), "latent.safetensors cannot be used"),
    "latents that declare 10^12 numbers": (
        lambda folder: declared_tensor(folder, "latent.safetensors"),
        "latent.safetensors cannot be used",
    ),
    "latents of an earlier version": (
        lambda folder: (folder / "latent.safetensors").rename(folder / "latent.npz"),
        "latent.npz was written by an earlier version.*export the model again",
    ),
    "latents that are gone": (
        lambda folder: (folder / "latent.safetensors").unlink(),
        "latent.safetensors cannot be used .it is not there.",
    ),
}


@pytest.mark.parametrize(("spoil", "sentence"), HOSTILE.values(), ids=HOSTILE)
def test_a_damaged_folder_is_refused_runs_nothing_and_nothing_is_written(model, spoil, sentence):
    spoil(model)
    before = sorted(Path.cwd().rglob("*"))
    with pytest.raises(UserError, match=sentence) as refused:
        process(model, "--num_samples", "1", "--components", "1")
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 400
    assert sorted(Path.cwd().rglob("*")) == before
