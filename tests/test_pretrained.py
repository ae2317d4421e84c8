"""The model that comes with the project: what it is, and that it can be used at once."""

import json
import re
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import garfield_vae
import process_model
import train_torch
from garfield_vae.checkpoints import exported_space
from garfield_vae.cli.options import TrainOptions
from garfield_vae.explorer import Explorer
from garfield_vae.latent.codec import decode
from garfield_vae.latent.space import line
from garfield_vae.prior_checkpoints import load_prior, prior_sampler
from garfield_vae.run_folder import PRETRAINED, multiplies_bf16
from garfield_vae.util.errors import UserError

MOST_BYTES = 20e6


def process(*flags: str) -> int:
    return process_model.main(["--experiment_dir", "pretrained", "--accelerator", "cpu", *flags])


@pytest.fixture
def elsewhere(tmp_path, monkeypatch) -> Path:
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_is_small_and_holds_weights_a_latent_space_a_prior_and_a_card():
    assert {path.name for path in PRETRAINED.iterdir()} == {
        *("config.json", "model.safetensors", "latent.safetensors", "prior.safetensors"),
        *("README.md", "samples.png"),
    }
    assert sum(path.stat().st_size for path in PRETRAINED.iterdir()) < MOST_BYTES


def test_it_was_trained_on_drawn_strips_alone_and_its_card_says_so_and_how():
    config = json.loads((PRETRAINED / "config.json").read_text())
    assert config["training"]["source"] == "drawn"
    assert config["training"]["start_from"] == "scratch"
    card = " ".join((PRETRAINED / "README.md").read_text().split())
    for sentence in ("nobody else has a claim on them", "MIT licence", "benchmarks/pretrained.py"):
        assert sentence in card
    mse = float(re.search(r"\| MSE \(values in \[−1, 1\]\) \| ([\d.]+) \|", card)[1])
    assert 0.03 < mse < 0.1  # of held-out strips; a 0.17 mosaic is what it has to beat


def test_it_has_the_sizes_of_the_defaults_so_that_a_run_starts_from_it():
    network = json.loads((PRETRAINED / "config.json").read_text())["network"]
    assert network == {name: getattr(TrainOptions(), name) for name in network}
    options, _, _ = train_torch.read_command_line(["--source", "folder", "--data_dir", "strips"])
    assert options.start_from == "pretrained"


def test_what_it_draws_are_strips_in_colour_with_ink_and_paper():
    """A trained decoder's samples: white balloons, black lines, and no two alike."""
    loaded = garfield_vae.load("pretrained")
    prior = prior_sampler(load_prior(loaded), exported_space(loaded))
    strips = decode(loaded.model, prior.sample(4, seed=3))  # uint8 [4, 3, 3, H, W]
    assert (strips.min(axis=2) > 240).mean() > 0.02  # paper
    assert (strips.max(axis=2) < 60).mean() > 0.02  # ink
    assert strips.astype(float).std(axis=2).mean() > 10  # colour
    panels = strips.reshape(4, -1).astype(float)
    assert np.abs(panels[0] - panels[1]).mean() > 20


def test_more_steps_of_the_prior_are_nearer_to_the_flow_itself():
    loaded = garfield_vae.load("pretrained")
    prior = prior_sampler(load_prior(loaded), exported_space(loaded)).prior
    noise = prior.noise(16, torch.Generator().manual_seed(0))
    flow = prior.from_noise(noise, 64)
    # The median, since here and there a step decides between two strips.
    errors = [
        (prior.from_noise(noise, steps) - flow).norm(dim=1).median() for steps in (1, 4, 8, 16)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.05 * flow.norm(dim=1).median()


def test_samples_in_bfloat16_are_those_of_float32_but_for_less_than_the_errors_of_the_steps():
    loaded = garfield_vae.load("pretrained")
    prior, _ = load_prior(loaded)
    assert prior.bf16 == multiplies_bf16(torch.device("cpu"))
    noise = prior.noise(4, torch.Generator().manual_seed(0))
    prior.bf16 = False
    samples, exact = prior.from_noise(noise), prior.from_noise(noise, 64)
    prior.bf16 = True
    assert 0 < (prior.from_noise(noise) - samples).norm() < 0.5 * (samples - exact).norm()


def test_a_seed_gives_the_same_strip_alone_and_among_others():
    """Rounding differs with the number of rows, and could decide what is drawn again."""
    loaded = garfield_vae.load("pretrained")
    prior = prior_sampler(load_prior(loaded), exported_space(loaded))
    seeds = range(8)
    together = decode(loaded.model, prior.of_seeds(seeds)).astype(float)
    alone = decode(loaded.model, np.concatenate([prior.of_seeds([seed]) for seed in seeds]))
    assert np.abs(together - alone).mean() < 0.1  # of 255


def test_between_two_strips_it_finds_strips_where_a_straight_line_has_ghosts(tmp_path):
    """Ghosts are faults: their misfit is above 1, as that of few training strips is."""
    loaded = garfield_vae.load("pretrained")
    space = exported_space(loaded)
    prior = prior_sampler(load_prior(loaded), space)
    prior.prior.bf16 = False  # rounding may decide what a strip halfway is
    shares = np.linspace(0, 1, 5)
    misfits = []
    for seed in range(1, 5):
        start, end = prior.sample(2, seed)
        strips, straight = prior.morph(start, end)(shares), line(start, end, shares)
        np.testing.assert_allclose(strips[[0, -1]], [start, end], atol=1e-3)
        misfits.append([prior.misfit(prior.tensor(way[1:-1])) for way in (strips, straight)])
    likely, ghosts = np.median(misfits, axis=(0, 2))
    assert likely < 1 < 1.5 < ghosts
    explorer = Explorer(loaded.model, space, tmp_path, prior=prior)
    ends = (explorer.positions.of_latent(latent) for latent in (start, end))
    found = [explorer.positions.latents(state)[0] for state in explorer.between(*ends, 5)]
    explorer.painter.close()
    # Links hold 16-bit floats, and the way is another one by as much as the noise is.
    assert np.linalg.norm(found - strips) < 0.01 * np.linalg.norm(strips)


def test_pictures_go_into_logs_and_nothing_into_the_package(elsewhere, capsys):
    before = {path: path.stat().st_mtime_ns for path in PRETRAINED.rglob("*")}
    assert process("--num_samples", "2", "--components", "1") == 0
    written = {path.name for path in (elsewhere / "logs/pretrained/processed").iterdir()}
    assert {"samples.png", "walks.png", "walk_01.gif"} <= written
    assert {path: path.stat().st_mtime_ns for path in PRETRAINED.rglob("*")} == before
    assert "the folder here" not in capsys.readouterr().out


def test_it_finishes_and_reconstructs_strips(elsewhere, strips):
    strip = str(next(strips.rglob("*.gif")))
    assert process("--complete", strip, "--panels", "1", "--reconstruct", strip) == 0
    written = {path.name.partition("_")[0] for path in Path("logs/pretrained/processed").iterdir()}
    assert {"complete", "reconstruction"} <= written
    for flags in (["--panels", "2"], ["--panels", "1", "--seed", "1"]):
        assert process("--complete", strip, *flags) == 0
    assert len(list(Path("logs/pretrained/processed").glob("complete_*.png"))) == 3


def finished(picture: str, *flags: str) -> np.ndarray:
    """Which of the three panels are paper in the first row of complete_*.png, what was given."""
    assert process("--complete", picture, *flags, "--steps", "1", "--candidates", "1") == 0
    (path,) = Path("logs/pretrained/processed").glob("complete_*.png")
    page = np.asarray(Image.open(path))
    path.unlink()
    centres = [116, 324, 532]  # columns: a margin of 10, gutters of 8, panels 200 wide
    return np.array([(page[60:180, x - 50 : x + 50] == 255).all() for x in centres])


def test_a_picture_of_two_panels_is_a_strip_that_lacks_one_wherever_it_is_asked_to_stand(
    elsewhere, strips
):
    with Image.open(next(strips.rglob("*.gif"))) as strip:
        strip.crop((0, 0, 393, strip.height)).save("two.png")
    assert finished("two.png").tolist() == [False, False, True]
    assert finished("two.png", "--panels", "1,2").tolist() == [False, False, True]
    assert finished("two.png", "--panels", "3,1").tolist() == [False, True, False]
    with pytest.raises(UserError, match=r"two.png has 2 panels: .* say the place of each"):
        process("--complete", "two.png", "--panels", "2")


def test_its_page_is_small_and_has_hundreds_of_whole_samples(elsewhere):
    assert process("--export_page", "page.html", "--steps", "1") == 0  # more cost only time
    page = Path("page.html").read_text()
    model = json.loads(re.search(r'id="model">(.*?)</script>', page)[1])
    assert model["info"]["seeds"] >= 300
    assert len(model["residuals"]) * 3 // 4 == model["info"]["seeds"] * TrainOptions().z_dim
    assert Path("page.html").stat().st_size < 10e6


def test_the_word_means_the_model_of_the_project_and_of_a_folder_of_that_name_that_is_said(
    elsewhere, trained_run, capsys
):
    Path("pretrained").symlink_to(trained_run, target_is_directory=True)
    assert process("--num_samples", "0", "--components", "1") == 0
    assert "the folder here is ./pretrained" in capsys.readouterr().out
    flags = ["--experiment_dir", "./pretrained", "--reconstruct", "strip.png", "--z_dim", "17"]
    with pytest.raises(UserError, match="was trained with 16"):
        process_model.main(flags)
    assert garfield_vae.load(Path("pretrained")).model.config["z_dim"] == 16
    assert garfield_vae.load("pretrained").model.config["z_dim"] == TrainOptions().z_dim


def test_pictures_of_it_never_replace_those_of_a_run_of_the_same_name(elsewhere, train):
    with pytest.raises(UserError, match="--run_name pretrained is taken"):
        train("--epochs", "1", "--run_name", "pretrained")
    (elsewhere / "logs/pretrained").mkdir(parents=True)
    (elsewhere / "logs/pretrained/options.json").write_text("{}")
    with pytest.raises(UserError, match=r"logs/pretrained is a run.*give another --log_dir"):
        process("--num_samples", "1", "--components", "1")
    with pytest.raises(UserError, match="where this model's pictures go"):
        process("--log_dir", "other", "--export", "other/pretrained")
    for name in (str(PRETRAINED), "pretrained/"):
        flags = ["--experiment_dir", name, "--log_dir", "other", "--num_samples", "0"]
        assert process_model.main([*flags, "--components", "1", "--accelerator", "cpu"]) == 0
        shutil.rmtree("other")
    assert process("--log_dir", "other", "--num_samples", "0", "--components", "1") == 0
    assert (elsewhere / "other/pretrained/processed/walks.png").is_file()


def test_candidates_of_a_sampler_that_draws_one_are_refused(elsewhere):
    with pytest.raises(UserError, match="--candidates has no effect on --sampler kernel"):
        process("--sampler", "kernel", "--candidates", "1")
    assert not Path("logs/pretrained/processed").exists()


@pytest.mark.parametrize("flags", [["--evaluate"], ["--data_dir", "data"]])
def test_what_needs_its_strips_says_that_it_has_none(elsewhere, flags):
    with pytest.raises(UserError, match="is an exported model, which has no strips"):
        process(*flags)
    assert not list(elsewhere.iterdir())


def test_a_port_that_is_taken_is_said_before_anything_is_written(elsewhere):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with pytest.raises(UserError, match=f"port {port} .*: give another --port"):
            process("--export", "model", "--explore", "--port", port)
    assert not list(elsewhere.iterdir())
