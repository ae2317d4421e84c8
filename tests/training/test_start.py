"""--start_from: where a run's first weights come from."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_model import SMALL

import garfield_vae
import process_model
import train_torch
from garfield_vae.cli.options import TrainOptions, train_options
from garfield_vae.export.card import rights
from garfield_vae.export.folder import shared_options
from garfield_vae.run_folder import read_options
from garfield_vae.training import start
from garfield_vae.training.module import StripModule
from garfield_vae.util.errors import UserError

SIZES = {"z_dim": 16, "c_hidden": 2, "num_blocks": 1, "panel_height": 32, "panel_width": 40}


@pytest.fixture
def small_pretrained(trained_run, tmp_path, monkeypatch) -> Path:
    """The small run, exported, in place of the model that comes with the project."""
    monkeypatch.setattr("garfield_vae.export.onnx_files.NEEDED", ("no_such_package",))  # it is slow
    monkeypatch.chdir(trained_run.parent.parent)  # where its panel store is
    place = tmp_path / "in_the_box"
    assert process_model.main(["--experiment_dir", str(trained_run), "--export", str(place)]) == 0
    for module in ("garfield_vae.run_folder", "garfield_vae.training.start"):
        monkeypatch.setattr(f"{module}.PRETRAINED", place)
    monkeypatch.chdir(tmp_path)
    return place


def started(options: TrainOptions) -> StripModule:
    torch.manual_seed(options.seed)
    module = StripModule(options)
    start.start(module, options)
    return module


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    values = other.state_dict()
    return all(torch.equal(value, values[name]) for name, value in one.state_dict().items())


def test_the_weights_of_a_run_go_into_the_network_and_into_the_average(trained_run):
    module = started(TrainOptions(**SIZES, start_from=str(trained_run)))
    theirs = garfield_vae.load(trained_run).model
    assert same(module.vae, theirs)
    assert same(module.averaged.module, theirs)
    assert not same(started(TrainOptions(**SIZES, start_from="scratch")).vae, theirs)


def test_auto_is_the_pretrained_weights_where_the_sizes_are_theirs(small_pretrained):
    fitting = TrainOptions(**SIZES, source="folder")
    assert start.with_start(fitting).start_from == "pretrained"
    for size in SIZES:
        other = replace(fitting, **{size: 2 * SIZES[size]})
        assert start.with_start(other).start_from == "scratch", size


def test_auto_is_scratch_on_drawn_strips_which_the_pretrained_weights_have_seen(small_pretrained):
    assert start.with_start(TrainOptions(**SIZES, source="drawn")).start_from == "scratch"
    asked = start.with_start(TrainOptions(**SIZES, source="drawn", start_from="pretrained"))
    assert asked.start_from == "pretrained"
    assert "held-out strips will be too good" in start.described(asked)


def test_auto_is_scratch_where_the_pretrained_weights_were_left_out(tmp_path, monkeypatch):
    for module in ("garfield_vae.run_folder", "garfield_vae.training.start"):
        monkeypatch.setattr(f"{module}.PRETRAINED", tmp_path / "nowhere")
    options = TrainOptions(**SIZES, source="folder")
    assert start.with_start(options).start_from == "scratch"
    with pytest.raises(UserError, match="the pretrained model is not in"):
        started(replace(options, start_from="pretrained"))


def test_the_demo_and_the_published_command_begin_with_random_weights():
    for flags in (["--demo"], ["--z_dim", "1024", "--c_hidden", "6", "--num_blocks", "2"]):
        options, _, _ = train_torch.read_command_line(flags)
        assert options.start_from == "scratch"


def test_the_banner_the_options_and_the_card_say_where_the_weights_come_from(
    small_pretrained, strips, capsys
):
    flags = [*SMALL, "--data_dir", str(strips), "--epochs", "1", "--run_name", "mine"]
    assert train_torch.main(flags) == 0
    assert "start       pretrained weights, trained on drawn strips\n" in capsys.readouterr().out
    assert json.loads(Path("logs/mine/options.json").read_text())["start_from"] == "pretrained"
    assert process_model.main(["--experiment_dir", "logs/mine", "--export", "mine"]) == 0
    assert "start_from pretrained" in Path("mine/README.md").read_text()


def test_an_exported_card_names_no_folder_of_this_machine():
    shared = shared_options(TrainOptions(start_from="/home/somebody/logs/a_run"))
    assert shared["start_from"] == "a_run"


def test_a_run_that_started_from_others_strips_does_not_say_that_nobody_has_a_claim(trained_run):
    run = garfield_vae.load(trained_run)
    for start_from, free in (("scratch", True), ("pretrained", True), ("logs/a_run", False)):
        options = replace(run.options, source="drawn", start_from=start_from)
        text = " ".join(rights(replace(run, options=options)).split())
        assert ("nobody else has a claim" in text) is free
        assert ("started from the weights of a_run" in text) is not free


def test_the_first_epoch_is_better_than_from_random_weights_and_the_same_each_time(
    train, trained_run
):
    def first_epoch(name: str, start_from: str) -> dict[str, str]:
        assert train("--epochs", "1", "--run_name", name, "--start_from", start_from) == 0
        header, row = Path(f"logs/{name}/metrics.csv").read_text().splitlines()
        return dict(zip(header.split(","), row.split(","), strict=True))

    scratch = first_epoch("scratch_run", "scratch")
    one, two = (first_epoch(name, str(trained_run)) for name in ("one", "two"))
    assert float(one["validation/distortion"]) < float(scratch["validation/distortion"])
    for timing in ("train/strips_per_second", "validation/strips_per_second"):
        one.pop(timing), two.pop(timing)
    assert one == two


def test_other_sizes_are_one_sentence_and_no_run_is_left(train, trained_run):
    with pytest.raises(UserError, match=r"has --z_dim 16, and this run 17: give the same"):
        train("--start_from", str(trained_run), "--z_dim", "17")
    assert not list(Path("logs").glob("*"))


@pytest.mark.parametrize(
    ("start_from", "sentence"),
    [("nowhere", "there is no folder nowhere"), (".", "has no checkpoint"), ("last", "no run in")],
)
def test_what_is_no_model_is_one_sentence_and_no_run_is_left(train, start_from, sentence):
    with pytest.raises(UserError, match=sentence):
        train("--start_from", start_from)
    assert not list(Path("logs").glob("*"))


@pytest.mark.parametrize(("given", "meant"), [("pretrained/", "pretrained"), ("last/", "logs/run")])
def test_a_word_that_the_shell_completed_as_a_folder_is_still_the_word(given, meant, train):
    train("--epochs", "1", "--run_name", "run")
    options, _, _ = train_torch.read_command_line(["--source", "web", "--start_from", given])
    assert options.start_from == meant


def test_a_run_goes_on_without_the_one_that_it_started_from_and_refuses_another(train, trained_run):
    theirs = shutil.copytree(trained_run, "theirs")
    assert train("--epochs", "1", "--run_name", "mine", "--start_from", "theirs") == 0
    shutil.rmtree(theirs)
    go_on = ["--continue_from", "logs/mine", "--epochs", "2"]
    assert train_torch.main([*go_on, "--start_from", "theirs"]) == 0
    with pytest.raises(UserError, match=r"--start_from scratch does not fit logs/mine.* theirs"):
        train_torch.main([*go_on, "--start_from", "scratch"])


def test_a_run_of_before_there_was_a_choice_began_with_random_weights(trained_run, tmp_path):
    run = shutil.copytree(trained_run, tmp_path / "run")
    values = json.loads((run / "options.json").read_text())
    del values["start_from"]
    (run / "options.json").write_text(json.dumps(values))
    assert read_options(run).start_from == "scratch"
    assert train_options({}, "a checkpoint").start_from == "scratch"
