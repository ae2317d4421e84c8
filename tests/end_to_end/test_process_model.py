"""What process_model.py makes of a trained run, and what it says when it cannot."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hostile import Bomb
from PIL import Image

import garfield_vae
import process_model
from garfield_vae.checkpoints import load_run
from garfield_vae.data.images import open_strip
from garfield_vae.data.panels import cut_panels, join_panels
from garfield_vae.data.sources import present_strips
from garfield_vae.latent import samplers
from garfield_vae.latent.codec import decode, encode
from garfield_vae.latent.files import encoded_strips
from garfield_vae.util.errors import UserError
from garfield_vae.util.pictures import shrink


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
    assert "; 2 principal components explain " in printed
    with Image.open(run_folder / "processed" / "walk_02.gif") as walk:
        assert walk.n_frames == 24  # 13 there, 11 back without the two ends


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
    space = encoded_strips(run.model, run.digest, run.folder, present_strips(run.options)).space
    strips = decode(run.model, samplers.draw(space, 2, np.random.default_rng(9), temperature=0.5))
    page = np.asarray(Image.open(run_folder / "processed" / "samples.png"))
    # the first strip's first panel, behind the page's margin of 10 and the strip's of 2
    np.testing.assert_array_equal(page[12 : 12 + 32, 12 : 12 + 40], strips[0, 0].transpose(1, 2, 0))


@pytest.mark.parametrize("flag", ["--steps", "--guidance", "--candidates"])
@pytest.mark.parametrize("asked", [[], ["--evaluate"]])
def test_flags_of_a_prior_that_a_run_does_not_have_are_refused(run_folder, flag, asked):
    with pytest.raises(
        UserError, match=f"{flag} has no effect on a model without a usable latent prior"
    ):
        process(run_folder, flag, "3", *asked)


def test_each_sampler_gives_other_samples(run_folder):
    pages = set()
    for sampler in samplers.SAMPLERS:
        process(run_folder, "--num_samples", "2", "--components", "1", "--sampler", sampler)
        pages.add((run_folder / "processed" / "samples.png").read_bytes())
    assert len(pages) == len(samplers.SAMPLERS)


def test_the_traversals_pass_through_the_first_sample(run_folder):
    """walks.png has the first sample with its first coordinate at −3 … 3; the strips are drawn
    here from the coordinates alone."""
    process(run_folder, "--num_samples", "1", "--components", "1", "--seed", "4")
    run = load_run(run_folder)
    space = encoded_strips(run.model, run.digest, run.folder, present_strips(run.options)).space
    (latent,) = samplers.draw(space, 1, np.random.default_rng(4))
    coordinates = np.repeat(space.coordinates(latent[None]), 7, axis=0)
    coordinates[:, 0] = np.arange(-3, 4)
    expected = join_panels(decode(run.model, space.latents(coordinates)))
    page = np.asarray(Image.open(run_folder / "processed" / "walks.png")).astype(int)
    height, width = shrink(expected[0], 240).height, 240
    for i, strip in enumerate(expected):
        left = 10 + i * (width + 10)
        found = page[28 : 28 + height, left : left + width]
        # rounding of the residual's arithmetic may move a pixel by a step
        assert np.abs(found - np.asarray(shrink(strip, 240))).max() <= 2


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
    good = (run_folder / "latent.safetensors").read_bytes()
    (run_folder / "latent.safetensors").write_bytes(good[:100])
    assert process(run_folder, "--num_samples", "1") == 0
    assert (run_folder / "latent.safetensors").read_bytes() == good


def test_what_an_earlier_version_kept_is_replaced(run_folder, capsys):
    (run_folder / "latent.npz").write_bytes(b"PK")
    assert process(run_folder, "--num_samples", "1", "--components", "1") == 0
    assert "; 1 principal component explains " in capsys.readouterr().out
    assert (run_folder / "latent.safetensors").is_file()
    assert not (run_folder / "latent.npz").exists()


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
    (name,) = (path.stem for path in (run_folder / "processed").glob("morph_*.png"))
    assert re.fullmatch(f"morph_{first.stem}_{second.stem}-[0-9a-f]{{6}}", name)
    assert f"{name}.gif" in capsys.readouterr().out
    run = load_run(run_folder)
    page = np.asarray(Image.open(run_folder / "processed" / f"{name}.png"))
    for row, path in ((0, first), (8, second)):
        latents, _ = encode(run.model, cut_panels(open_strip(path), 32, 40)[None])
        top = 12 + 18 + row * (32 + 4 + 18 + 10)  # below a label of 18 pixels
        np.testing.assert_allclose(
            page[top : top + 32, 12:52].astype(int),
            decode(run.model, latents)[0, 0].transpose(1, 2, 0).astype(int),
            atol=1,
        )


def test_any_picture_of_a_strip_can_be_reconstructed(run_folder, strips, tmp_path):
    with Image.open(next(strips.rglob("*.gif"))) as strip:
        strip.convert("L").resize((1200, 350)).save(tmp_path / "mine.jpg")
    assert process(run_folder, "--reconstruct", str(tmp_path / "mine.jpg")) == 0
    (written,) = (run_folder / "processed").glob("reconstruction_mine-??????.png")
    assert size(written)[0] > 250


def test_a_fitted_reconstruction_is_closer_to_its_strip_than_the_encoders(run_folder, strips):
    name = str(next(strips.rglob("*.gif")))
    errors = []
    for flags in (["--fit_steps", "0"], []):
        assert process(run_folder, "--reconstruct", name, *flags) == 0
        (written,) = (run_folder / "processed").glob("reconstruction_*.png")
        page = np.asarray(Image.open(written).convert("RGB")).astype(float)
        width = (page.shape[1] - 3 * 12) // 2  # two strips, labels above, a margin at every side
        left, right = (page[30:-12, start : start + width] for start in (12, 24 + width))
        errors.append(np.square(left - right).mean())
    assert errors[1] < errors[0]


def test_two_pictures_of_one_name_give_two_reconstructions_and_one_gives_one(
    run_folder, strips, tmp_path
):
    for folder, strip in zip("ab", sorted(strips.rglob("*.gif")), strict=False):
        (tmp_path / folder).mkdir()
        shutil.copy(strip, tmp_path / folder / "mine.gif")
        for _ in range(2):
            assert process(run_folder, "--reconstruct", str(tmp_path / folder / "mine.gif")) == 0
    assert len(list((run_folder / "processed").glob("reconstruction_mine-*.png"))) == 2


def test_names_that_no_file_system_likes_give_names_that_all_do(run_folder, strips, tmp_path):
    odd = tmp_path / ("très: \n\x1b[31m ? " + "x" * 200 + ".gif")
    shutil.copy(next(strips.rglob("*.gif")), odd)
    assert process(run_folder, "--interpolate", str(odd), str(odd)) == 0
    (written,) = (run_folder / "processed").glob("morph_*.gif")
    assert re.fullmatch(r"[\w-]{1,120}\.gif", written.name, re.ASCII)


def test_a_reconstruction_needs_none_of_the_runs_strips(run_folder, strips):
    options = json.loads((run_folder / "options.json").read_text())
    assert process(run_folder, "--reconstruct", str(next(strips.rglob("*.gif")))) == 0
    assert not list(run_folder.glob("latent*"))
    assert json.loads((run_folder / "options.json").read_text()) == options


# ---------------------------------------------------------------------------------------------
# Nothing is overwritten, nothing is swallowed


def test_pictures_of_another_model_go_and_other_files_stay(run_folder, capsys):
    output = run_folder / "processed"
    process(run_folder, "--num_samples", "1", "--components", "2")
    (output / "notes.txt").write_text("mine")
    (output / "report.html").write_text("of the model so far")
    (output / "walk_backup.gif").write_text("mine")
    (output / "walk_x.gif").mkdir()
    process(run_folder, "--num_samples", "1", "--components", "1")
    assert (output / "report.html").exists()
    assert not (output / "walk_02.gif").exists()  # of the same model, and not of this call
    path = run_folder / "checkpoints" / "best.ckpt"
    torch.save(torch.load(path, weights_only=True) | {"epoch": 1}, path)
    process(run_folder, "--num_samples", "0", "--components", "1")
    assert not (output / "report.html").exists()
    assert not (output / "samples.png").exists()
    assert (output / "notes.txt").read_text() == "mine"
    assert (output / "walk_backup.gif").read_text() == "mine"
    assert (output / "walk_x.gif").is_dir()
    assert "files of another model" in capsys.readouterr().out


def test_a_model_that_training_replaces_meanwhile_keeps_none_of_the_latents_of_the_one_before(
    run_folder, tmp_path, monkeypatch
):
    small = ["--num_samples", "1", "--components", "1"]
    path = run_folder / "checkpoints" / "best.ckpt"
    better = torch.load(path, weights_only=True)
    better["state_dict"]["averaged.module.join.weight"] *= 1.1
    shutil.copytree(run_folder, tmp_path / "later")
    torch.save(better, tmp_path / "later" / "checkpoints" / "best.ckpt")

    def replaced_meanwhile(options):
        shutil.copy(tmp_path / "later" / "checkpoints" / "best.ckpt", tmp_path / "better.ckpt")
        (tmp_path / "better.ckpt").replace(path)
        return present_strips(options)

    with monkeypatch.context() as patch:
        patch.setattr("garfield_vae.data.sources.present_strips", replaced_meanwhile)
        process(run_folder, *small)
    for folder in (run_folder, tmp_path / "later"):
        process(folder, *small)
    for name in ("samples.png", "walks.png", "model.json"):
        written = (run_folder / "processed" / name).read_bytes()
        assert written == (tmp_path / "later" / "processed" / name).read_bytes(), name


def there_already(path: Path) -> Path:
    path.write_bytes(b"not a page")
    return path


def test_a_page_replaces_pages_and_nothing_else(run_folder, tmp_path):
    page = tmp_path / "page.html"
    assert process(run_folder, "--export_page", str(page), "--components", "1") == 0
    assert process(run_folder, "--export_page", str(page), "--components", "2") == 0
    for taken in (
        run_folder / "checkpoints" / "best.ckpt",
        there_already(tmp_path / "diary.html"),
        there_already(tmp_path / "diary.html") / "below.html",
        Path("/dev/null"),
        tmp_path,
    ):
        before = taken.read_bytes() if taken.is_file() else None
        with pytest.raises(UserError, match="give --export_page another"):
            process(run_folder, "--export_page", str(taken))
        assert before is None or taken.read_bytes() == before


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--explore", "--num_samples", "3"], "--num_samples has no effect on --explore, only on"),
        (["--port", "80"], "--port has no effect on the usual pictures, only on --explore"),
        (["--open"], "--open has no effect"),
        (["--reconstruct", "x.png", "--components", "5"], "--components has no effect on --recon"),
        (["--reconstruct", "x.png", "--data_dir", "x"], "--data_dir has no effect on --recon"),
        (["--reconstruct", "x.png", "--sampler", "normal"], "--sampler has no effect on --recon"),
        (["--reconstruct", "x.png", "--seed", "3"], "--seed has no effect"),
        (
            ["--interpolate", "x", "y", "--fit_steps", "2"],
            "--fit_steps has no effect on --interpol",
        ),
        (["--complete", "x", "--fit_steps", "2"], "--fit_steps has no effect on --complete"),
        (["--export", "x", "--fit_steps", "0"], "--fit_steps has no effect on --export, only on"),
        (["--log_dir", "elsewhere"], "--log_dir has no effect .* only on --experiment_dir last"),
        (["--evaluate", "--export", "full"], "full is not empty: give --export a new folder"),
        (["--evaluate", "--export", "full/x/y"], "full/x/y cannot be a folder"),
        (["--evaluate", "--export_page", "full/x"], "full/x is there already and is not a page"),
        (["--evaluate", "--export_page", "full/x/y"], "full/x is no folder that can be written"),
        (["--export", "new", "--export_page", "./new"], r"cannot both be \./new: give one of them"),
        (["--export", "new/x", "--export_page", "new"], "cannot both be new: give one of them"),
        (["--export", "bad\udcff"], "is not UTF-8, as names of ONNX files must be: give --export"),
    ],
)
def test_flags_that_cannot_work_together_are_refused_before_anything_is_read(
    tmp_path, monkeypatch, flags, sentence
):
    monkeypatch.chdir(tmp_path)
    Path("full").mkdir()
    Path("full/x").touch()
    with pytest.raises(UserError, match=sentence):
        process(Path("no_such_run"), *flags)


@pytest.mark.parametrize(
    "flags",
    [
        ["--num_samples", "1000000"],
        ["--seed", str(2**64)],
        ["--seed", "-1"],
        ["--temperature", "nan"],
        ["--temperature", "inf"],
        ["--components", "0"],
        ["--explore", "--port", "65536"],
        ["--export", ""],
        ["--export_page", " "],
        ["--reconstruct", ""],
        ["--interpolate", "", "x"],
        ["--data_dir", ""],
        ["--sampler", "Kernel"],
        ["--fit_steps", "-1"],
        ["--fit_steps", "2.5"],
        ["--fit_steps", "1001"],
    ],
)
def test_absurd_values_are_refused_at_once(capsys, flags):
    with pytest.raises(SystemExit) as ended:
        process(Path("no_such_run"), *flags)
    assert ended.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("process_model.py: error: argument --")


def test_the_folder_one_is_in_is_not_replaced_by_an_export(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"^\. is the folder you are in: give --export a new"):
        process(Path("no_such_run"), "--export", ".")


@pytest.mark.parametrize("flag", ["--export", "--export_page"])
@pytest.mark.parametrize("place", ["processed", "processed/report.html"])
def test_nothing_is_exported_to_where_the_pictures_go(run_folder, flag, place):
    with pytest.raises(UserError, match="where this model's pictures go: export elsewhere"):
        process(run_folder, "--evaluate", flag, str(run_folder / place))
    assert not (run_folder / "processed").exists()


def test_last_is_looked_for_where_the_runs_are(run_folder, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    flags = ["--log_dir", str(run_folder.parent), "--num_samples", "0", "--components", "1"]
    assert process_model.main(["--experiment_dir", "last/", *flags]) == 0
    assert (run_folder / "processed" / "walks.png").is_file()


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--interpolate", "1900-01-01", "1978-06-19"], "1900-01-01 is neither a strip of this"),
        (["--reconstruct", "nowhere.png"], "picture file, and nowhere.png is none"),
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


def test_a_folder_that_is_not_there_or_has_no_checkpoint_is_refused(tmp_path):
    with pytest.raises(UserError, match="there is no folder nowhere"):
        garfield_vae.load("nowhere")
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
