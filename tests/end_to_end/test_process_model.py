"""What process_model.py gives the person who has a trained run, and what it says when it cannot."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hostile import Bomb
from PIL import Image

import process_model
from garfield_vae.checkpoints import load_run
from garfield_vae.data.images import open_strip
from garfield_vae.data.panels import cut_panels
from garfield_vae.data.sources import present_strips
from garfield_vae.latent.codec import decode, encode
from garfield_vae.latent.encoded import encoded_strips
from garfield_vae.util.errors import UserError


@pytest.fixture
def run_folder(trained_run, tmp_path, monkeypatch) -> Path:
    """A copy of the trained run, in a folder of its own to write in."""
    monkeypatch.chdir(tmp_path)
    return shutil.copytree(trained_run, tmp_path / "logs" / "run")


def process(folder: Path, *flags: str) -> int:
    return process_model.main(["--experiment_dir", str(folder), *flags])


def size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        image.load()
        return image.size


def test_the_folder_alone_is_enough_and_every_picture_is_named(run_folder, capsys):
    assert process(run_folder, "--num_samples", "5", "--components", "2") == 0
    printed = capsys.readouterr().out
    for name in ("samples", "reconstructions", "explained_variance", "walks"):
        assert f"wrote {run_folder / 'processed' / name}.png" in printed
        assert min(size(run_folder / "processed" / f"{name}.png")) > 50
    with Image.open(run_folder / "processed" / "walk_02.gif") as walk:
        assert walk.n_frames == 28  # 15 there, 13 back without the two ends


def test_the_flags_of_the_published_command_are_accepted_when_they_fit(run_folder):
    flags = ["--z_dim", "16", "--c_hidden", "2", "--progress_bar", "--num_samples", "1"]
    assert process(run_folder, *flags) == 0


@pytest.mark.parametrize(("flag", "trained"), [("z_dim", 16), ("c_hidden", 2), ("num_blocks", 1)])
def test_a_size_that_is_not_the_checkpoints_is_one_error_with_both_values(
    run_folder, flag, trained
):
    with pytest.raises(UserError, match=f"--{flag} 7 does not fit .* trained with {trained}"):
        process(run_folder, f"--{flag}", "7")


def test_samples_are_what_decoding_the_fitted_density_gives(run_folder):
    process(run_folder, "--num_samples", "2", "--seed", "9", "--temperature", "0.5")
    run = load_run(run_folder)
    space = encoded_strips(run.model, run.checkpoint, run.folder, present_strips(run.options)).space
    strips = decode(run.model, space.sample(2, np.random.default_rng(9), temperature=0.5))
    page = np.asarray(Image.open(run_folder / "processed" / "samples.png"))
    # the first strip's first panel, behind the page's margin of 10 and the strip's of 2
    np.testing.assert_array_equal(page[12 : 12 + 32, 12 : 12 + 40], strips[0, 0].transpose(1, 2, 0))


def test_the_prior_gives_other_samples_than_the_fitted_density(run_folder):
    path = run_folder / "processed" / "samples.png"
    process(run_folder, "--num_samples", "2")
    fitted = path.read_bytes()
    process(run_folder, "--num_samples", "2", "--prior")
    assert path.read_bytes() != fitted


def test_latents_are_reused_while_model_and_strips_are_unchanged_and_made_anew_when_not(
    run_folder, strips, tmp_path
):
    process(run_folder, "--num_samples", "1")
    kept = next(run_folder.glob("latents-*.npy"))
    written = kept.stat().st_mtime_ns
    process(run_folder, "--num_samples", "1")
    assert kept.stat().st_mtime_ns == written

    fewer = shutil.copytree(strips, tmp_path / "fewer")
    next(fewer.rglob("*.gif")).unlink()
    process(run_folder, "--num_samples", "1", "--data_dir", str(fewer))
    anew = list(run_folder.glob("latents-*.npy"))
    assert len(anew) == 1
    assert anew[0] != kept
    assert np.load(anew[0]).shape == (39, 16)


def test_a_damaged_latent_file_is_made_anew(run_folder):
    process(run_folder, "--num_samples", "1")
    good = (run_folder / "latent.npz").read_bytes()
    (run_folder / "latent.npz").write_bytes(good[:100])
    assert process(run_folder, "--num_samples", "1") == 0
    assert np.load(run_folder / "latent.npz")["mean"].shape == (16,)


def test_the_latents_are_the_posterior_means_of_the_strips_in_order(run_folder):
    process(run_folder, "--num_samples", "1")
    run = load_run(run_folder)
    store = present_strips(run.options)
    means, _ = encode(run.model, store.panels[[3]])
    kept = np.load(next(run_folder.glob("latents-*.npy")))
    np.testing.assert_allclose(kept[3], means[0], atol=1e-4)


def test_a_morph_between_a_date_and_a_file_begins_and_ends_at_their_reconstructions(
    run_folder, strips, capsys
):
    first, second = sorted(strips.rglob("*.gif"))[:2]
    assert process(run_folder, "--interpolate", first.stem, str(second)) == 0
    name = f"morph_{first.stem}_{second.stem}"
    assert f"{name}.gif" in capsys.readouterr().out
    run = load_run(run_folder)
    page = np.asarray(Image.open(run_folder / "processed" / f"{name}.png"))
    for row, path in ((0, first), (8, second)):
        latents, _ = encode(run.model, cut_panels(open_strip(path), 32, 40)[None])
        top = 12 + row * (32 + 4 + 10)
        np.testing.assert_allclose(
            page[top : top + 32, 12:52].astype(int),
            decode(run.model, latents)[0, 0].transpose(1, 2, 0).astype(int),
            atol=1,
        )


def test_any_picture_of_a_strip_can_be_reconstructed(run_folder, strips, tmp_path):
    with Image.open(next(strips.rglob("*.gif"))) as strip:
        strip.convert("L").resize((1200, 350)).save(tmp_path / "mine.jpg")
    assert process(run_folder, "--reconstruct", str(tmp_path / "mine.jpg")) == 0
    assert size(run_folder / "processed" / "reconstruction_mine.png")[0] > 250


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--interpolate", "1900-01-01", "1978-06-19"], "1900-01-01 is neither a strip of this"),
        (["--reconstruct", "nowhere.png"], "nowhere.png"),
        (["--data_dir", "nowhere"], "strips are not in nowhere"),
    ],
)
def test_what_is_not_there_is_one_sentence(run_folder, flags, sentence):
    with pytest.raises(UserError, match=sentence):
        process(run_folder, *flags)


def test_without_a_folder_the_flag_is_asked_for(capsys):
    with pytest.raises(SystemExit) as ended:
        process_model.main([])
    assert ended.value.code == 2
    assert "--experiment_dir is needed" in capsys.readouterr().err


def test_a_folder_without_a_checkpoint_is_refused(tmp_path):
    with pytest.raises(UserError, match="has no checkpoint"):
        process(tmp_path)


def test_a_truncated_checkpoint_is_refused(run_folder):
    path = run_folder / "checkpoints" / "best.ckpt"
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(UserError, match=r"best.ckpt cannot be read, it is damaged or cut off"):
        process(run_folder)


def test_a_checkpoint_with_code_in_it_is_refused_and_runs_none(run_folder, tmp_path):
    path = run_folder / "checkpoints" / "best.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    torch.save(checkpoint | {"bomb": Bomb(tmp_path / "exploded")}, path)
    with pytest.raises(UserError, match="holds more than weights and plain values"):
        process(run_folder)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"format": 99}, "written in format 99"),
        ({"network": {"z_dim": 10**12}}, "does not hold the weights"),
        ({"network": {"num_blocks": 10**9}}, "does not hold the weights"),
        ({"network": {"layers": 3}}, "does not hold the weights"),
        ({"options": {"warp": 9}}, "options that this version does not know .warp."),
    ],
)
def test_a_checkpoint_that_declares_what_it_does_not_hold_is_refused(run_folder, changes, sentence):
    path = run_folder / "checkpoints" / "best.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    for name, value in changes.items():
        record = checkpoint["garfield_vae"]
        record[name] = record[name] | value if isinstance(value, dict) else value
    torch.save(checkpoint, path)
    with pytest.raises(UserError, match=sentence):
        process(run_folder)


def test_a_tensor_of_another_shape_is_refused(run_folder):
    path = run_folder / "checkpoints" / "best.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    name = next(key for key in checkpoint["state_dict"] if key.startswith("averaged.module."))
    checkpoint["state_dict"][name] = torch.zeros(3, 5)
    torch.save(checkpoint, path)
    with pytest.raises(UserError, match="does not hold the weights"):
        process(run_folder)


def test_the_run_says_with_what_it_was_made(trained_run):
    made = json.loads((trained_run / "environment.json").read_text())
    assert made["packages"]["torch"] == torch.__version__.partition("+")[0]
    assert made["device"] == "cpu"
    assert len(made["strips"]) == 64
