"""A training run as the person who starts it sees it: folders, lines, stops and continuations."""

import csv
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import SMALL
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import train_torch
from garfield_vae.checkpoints import load_run
from garfield_vae.training.module import Diverged, StripModule
from garfield_vae.util.errors import UserError

ROOT = Path(__file__).parents[2]


def weights(run: Path) -> dict[str, torch.Tensor]:
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def figures(run: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((run / "metrics.csv").read_text().splitlines()))


def assert_same_weights(one: Path, other: Path) -> None:
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def test_a_run_leaves_the_folder_that_the_readme_describes(trained_run):
    found = {str(path.relative_to(trained_run)) for path in trained_run.rglob("*")}
    assert {
        "options.json",
        "environment.json",
        "metrics.csv",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
        "pictures/epoch_0001_reconstructions_train.png",
        "pictures/epoch_0002_reconstructions_validation.png",
        "pictures/epoch_0003_samples.png",
    } <= found
    assert len(list(trained_run.glob("events.out.tfevents.*"))) == 1


def test_without_a_batch_size_a_run_on_a_processor_takes_eight_strips_a_step():
    options, _, _ = train_torch.read_command_line(["--accelerator", "cpu"])
    assert options.batch_size == 8
    options, _, _ = train_torch.read_command_line(["--accelerator", "gpu"])
    assert options.batch_size == 32
    options, _, _ = train_torch.read_command_line(["--accelerator", "gpu", "--batch_size", "5"])
    assert options.batch_size == 5


def test_metrics_csv_has_a_row_an_epoch_with_loss_equal_to_distortion_plus_beta_times_rate(
    trained_run,
):
    rows = figures(trained_run)
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    for row in rows:
        parts = {name: float(row[f"validation/{name}"]) for name in ("distortion", "beta", "rate")}
        loss = parts["distortion"] + parts["beta"] * parts["rate"]
        assert float(row["validation/loss"]) == pytest.approx(loss, rel=1e-4)


def test_tensorboard_has_every_figure_for_both_splits_pictures_options_and_the_projector(
    trained_run,
):
    events = EventAccumulator(str(trained_run), size_guidance={"images": 0})
    events.Reload()
    tags = events.Tags()
    both = {"loss", "distortion", "rate", "beta", "sigma", "active_units", "strips_per_second"}
    expected = {f"{split}/{name}" for split in ("train", "validation") for name in both}
    assert expected | {"train/learning_rate", "final/validation/loss"} <= set(tags["scalars"])
    assert set(tags["images"]) == {
        "pictures/reconstructions_train",
        "pictures/reconstructions_validation",
        "pictures/samples",
    }
    assert "options/text_summary" in tags["tensors"]
    assert (trained_run / "projector_config.pbtxt").is_file()


def test_without_a_terminal_there_is_one_line_an_epoch_and_a_banner(train, capsys):
    assert train("--epochs", "2", "--progress_bar", "--beta", "0.0001") == 0
    printed = capsys.readouterr().out
    # sigma = √(beta · D / 2) with D = 9 · 32 · 40
    assert "sigma = 0.759" in printed
    assert re.search(r"strips +\d+ train, \d+ validation, \d+ test", printed)
    assert "tensorboard --logdir logs" in printed
    assert re.search(r"^epoch 2/2 .*strips/s", printed, re.MULTILINE)


def test_four_epochs_are_two_and_another_two_bit_for_bit(train):
    assert train("--epochs", "4", "--run_name", "four") == 0
    assert train("--epochs", "2", "--run_name", "two") == 0
    assert train("--continue_from", "logs/two", "--epochs", "4") == 0
    assert_same_weights(Path("logs/four"), Path("logs/two"))
    one, other = (
        [
            {name: value for name, value in row.items() if "per_second" not in name}
            for row in figures(Path("logs", name))
        ]
        for name in ("four", "two")
    )
    assert one == other


def test_a_run_stopped_in_the_middle_of_an_epoch_ends_as_if_it_had_not_been(train, monkeypatch):
    assert train("--epochs", "3", "--run_name", "whole") == 0

    step = StripModule.training_step

    def interrupted(self, batch, batch_idx):
        if self.global_step == 6:  # 36 training strips are 5 batches: the second of epoch 2
            raise KeyboardInterrupt
        return step(self, batch, batch_idx)

    monkeypatch.setattr(StripModule, "training_step", interrupted)
    handler = signal.getsignal(signal.SIGINT)
    assert train("--epochs", "3", "--run_name", "stopped") == 130
    signal.signal(signal.SIGINT, handler)  # Lightning leaves it ignored
    monkeypatch.setattr(StripModule, "training_step", step)
    assert train("--continue_from", "last") == 0
    assert_same_weights(Path("logs/whole"), Path("logs/stopped"))


@pytest.mark.parametrize(
    ("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "sigterm"]
)
def test_a_signal_leaves_a_checkpoint_and_says_how_to_go_on(strips, tmp_path, sent, status):
    command = [sys.executable, str(ROOT / "train_torch.py"), *SMALL, "--data_dir", str(strips)]
    with subprocess.Popen(
        [*command, "--epochs", "100000", "--run_name", "run"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        for line in process.stdout:
            if line.startswith("epoch 2/"):
                process.send_signal(sent)
                break
        rest, errors = process.communicate()
    assert process.returncode == status, errors
    assert "go on with: python3 train_torch.py --continue_from logs/run" in rest
    assert "Traceback" not in errors
    assert load_run(tmp_path / "logs" / "run").epoch >= 1


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_good_checkpoint(
    train, monkeypatch
):
    assert train("--epochs", "1", "--run_name", "run") == 0
    good = weights(Path("logs/run"))
    step = StripModule.training_step

    def poisoned(self, batch, batch_idx):
        with torch.no_grad():
            next(self.vae.parameters()).fill_(float("nan"))
        return step(self, batch, batch_idx)

    monkeypatch.setattr(StripModule, "training_step", poisoned)
    with pytest.raises(Diverged, match=r"nan in epoch 2, step \d+: .*last good checkpoint is kept"):
        train("--continue_from", "logs/run", "--epochs", "2")
    for name, value in weights(Path("logs/run")).items():
        assert torch.equal(value, good[name])


def test_the_same_seed_gives_the_same_figures_and_another_seed_others(train):
    for name, seed in (("a", "3"), ("b", "3"), ("c", "4")):
        assert train("--epochs", "1", "--run_name", name, "--seed", seed) == 0
    assert_same_weights(Path("logs/a"), Path("logs/b"))
    assert not torch.equal(
        weights(Path("logs/a"))["vae.join.weight"], weights(Path("logs/c"))["vae.join.weight"]
    )


def test_batches_of_one_strip_train(train):
    assert train("--epochs", "1", "--batch_size", "1") == 0


def test_minutes_end_a_run_early_with_all_that_a_run_leaves(train):
    assert train("--epochs", "100000", "--minutes", "0.02", "--run_name", "short") == 0
    assert load_run(Path("logs/short")).model.config["z_dim"] == 16


def test_a_beta_that_is_far_too_high_is_reported_with_the_calibrated_one(train, capsys):
    assert train("--epochs", "6", "--beta", "100", "--lr", "0.01") == 0
    printed = capsys.readouterr().out
    assert printed.count("latent dimensions are active") == 1
    assert "the calibrated value would be" in printed


def test_options_json_starts_the_same_run_again(trained_run):
    options = json.loads((trained_run / "options.json").read_text())
    assert options["z_dim"] == 16
    assert options["beta"] == "auto"


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--run_name", "a/b"], "cannot be a folder's name"),
        (["--run_name", ".."], "cannot be a folder's name"),
        (["--continue_from", "logs/none"], "there is no folder logs/none"),
        (["--continue_from", "last"], "there is no run in logs"),
        (["--panel_height", "30"], "multiples of 8"),
        (["--strategy", "hope"], "no --accelerator cpu with --devices 1, --strategy hope"),
    ],
)
def test_a_flag_that_cannot_be_is_one_sentence(train, flags, sentence):
    with pytest.raises(UserError, match=re.escape(sentence)):
        train("--epochs", "1", *flags)
    assert list(Path().glob("logs/*")) == []  # nothing half-made is left


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--epochs", "0"], "--epochs: must be at least 1, got 0"),
        (["--beta", "-1"], "--beta: must be at least 0, got -1"),
        (["--beta", "nan"], "--beta: must be at least 0, got nan"),
        (["--lr", "0"], "--lr: must be above 0, got 0"),
        (["--z_dim", "many"], "--z_dim: 'many' is not a whole number"),
        (["--precision", "17-bit"], "--precision: invalid choice: '17-bit'"),
        (["--zdim", "3"], "unrecognized arguments: --zdim 3"),
    ],
)
def test_a_value_that_cannot_be_ends_with_status_2(train, capsys, flags, sentence):
    with pytest.raises(SystemExit) as ended:
        train(*flags)
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


def test_a_continued_run_refuses_another_network(train):
    assert train("--epochs", "1", "--run_name", "run") == 0
    with pytest.raises(UserError, match=r"--z_dim 17 does not fit logs/run.* begun with 16"):
        train("--continue_from", "logs/run", "--z_dim", "17")


def test_a_run_name_that_is_taken_is_refused_and_the_run_is_left_alone(train):
    assert train("--epochs", "1", "--run_name", "run") == 0
    before = weights(Path("logs/run"))
    with pytest.raises(UserError, match="logs/run exists already"):
        train("--epochs", "1", "--run_name", "run")
    assert weights(Path("logs/run")).keys() == before.keys()


def test_steps_that_are_too_long_are_reported_with_a_shorter_one(train, capsys):
    assert train("--epochs", "25", "--batch_size", "14", "--lr", "0.2") == 0
    printed = capsys.readouterr().out
    assert printed.count("the steps are too long, try --lr 0.1") == 1
