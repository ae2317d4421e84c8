"""A training run as the person who starts it sees it: folders, lines, stops and continuations."""

import csv
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_model import SMALL
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import train_torch
from garfield_vae.checkpoints import load_run
from garfield_vae.data.images import open_strip
from garfield_vae.data.panels import cut_panels, join_panels
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
    assert set(tags["scalars"]) == expected | {"train/learning_rate"}
    assert set(tags["images"]) == {
        "pictures/reconstructions_train",
        "pictures/reconstructions_validation",
        "pictures/samples",
    }
    assert "options/text_summary" in tags["tensors"]
    assert (trained_run / "projector_config.pbtxt").is_file()


def test_the_projector_shows_each_strip_in_its_shape_at_its_point(trained_run, strips):
    (sheet,) = trained_run.glob("*/strips/sprite.png")
    names = (sheet.parent / "metadata.tsv").read_text().split()
    columns = math.ceil(math.sqrt(len(names)))
    with Image.open(sheet) as picture:
        assert picture.size == (64 * columns, 64 * columns)
        for number in (0, 1, len(names) - 1):
            left, top = 64 * (number % columns), 64 * (number // columns)
            found = np.asarray(picture.crop((left, top, left + 64, top + 64))).astype(int)
            strip = next(strips.rglob(f"{names[number]}.*"))
            panels = join_panels(cut_panels(open_strip(strip), 32, 40))  # 36 × 128
            drawn = np.asarray(Image.fromarray(panels).resize((64, 18), Image.Resampling.BOX))
            assert np.abs(found[23 : 23 + 18] - drawn).max() <= 1
            assert found[:23].min() == found[23 + 18 :].min() == 255


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


@pytest.mark.parametrize(
    ("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "sigterm"]
)
def test_a_signal_leaves_a_checkpoint_and_says_how_to_go_on(strips, tmp_path, sent, status):
    command = [sys.executable, str(ROOT / "train_torch.py"), *SMALL, "--data_dir", str(strips)]
    with subprocess.Popen(
        [*command, "--epochs", "100000", "--run_name", "run", "--log_dir", "my logs"],
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
    assert "Traceback" not in errors
    (go_on,) = re.findall(r"^stopped; go on with: (.+)$", rest, re.MULTILINE)
    if sent == signal.SIGTERM:
        return
    # What it says can be pasted.
    done = load_run(tmp_path / "my logs" / "run").epoch
    assert done >= 1
    again = subprocess.run(
        f"{go_on} --epochs {done + 2}", shell=True, cwd=tmp_path, capture_output=True, text=True
    )
    assert again.returncode == 0, again.stderr
    assert f"epoch {done + 2}/{done + 2}" in again.stdout


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
    with pytest.raises(
        UserError, match=r"nan in epoch 2, step \d+: .*last good checkpoint is kept"
    ):
        train("--continue_from", "logs/run", "--epochs", "2")
    for name, value in weights(Path("logs/run")).items():
        assert torch.equal(value, good[name])


def test_where_there_is_no_checkpoint_yet_a_run_that_diverges_speaks_of_none(train, monkeypatch):
    monkeypatch.setattr(StripModule, "training_step", lambda *_: diverge())
    with pytest.raises(UserError) as refused:
        train("--run_name", "run", "--lr", "0.01")
    assert "try a lower --lr, such as 0.005" in str(refused.value)
    assert "checkpoint" not in str(refused.value)
    with pytest.raises(UserError, match=r"no run with checkpoints/last\.ckpt in logs"):
        train("--continue_from", "last")


def diverge():
    raise Diverged("the loss became nan")


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


def test_a_run_without_time_is_refused(train):
    with pytest.raises(UserError, match="--minutes 0 trains no VAE"):
        train("--minutes", "0", "--run_name", "none")
    assert not Path("logs/none").exists()


def test_a_beta_that_is_far_too_high_is_reported_with_the_calibrated_one(train, capsys):
    assert train("--epochs", "16", "--beta", "100", "--lr", "0.01") == 0  # past the warm-up
    printed = capsys.readouterr().out
    assert printed.count("latent dimensions are active") == 1
    assert "the calibrated value would be" in printed


def test_options_json_starts_the_same_run_again(train, trained_run, monkeypatch):
    """Every option as a flag again, in another folder: the same bits."""
    options = json.loads((trained_run / "options.json").read_text())
    no_effect = ("count", "comic")  # on a folder of strips: refused as flags
    flags = [
        word
        for name, value in options.items()
        if value is not None and value is not False
        if name not in ("run_name", "log_dir", *no_effect)
        for word in (f"--{name}", *([] if value is True else [str(value)]))
    ]
    assert train_torch.main([*flags, "--run_name", "again"]) == 0
    assert_same_weights(trained_run, Path("logs/again"))


def test_under_a_warm_up_of_beta_the_best_checkpoint_is_the_best_by_the_final_beta(train):
    """Its loss is lowest at the beginning, where the rate costs nothing yet."""
    flags = ["--epochs", "24", "--beta", "0.001", "--beta_warmup", "120", "--z_dim", "64"]
    assert train(*flags[:2], *flags[2:], "--run_name", "whole") == 0
    assert train(*flags, "--epochs", "9", "--run_name", "parts") == 0
    assert train(*flags, "--continue_from", "logs/parts") == 0
    for name in ("whole", "parts"):
        rows = figures(Path("logs", name))
        losses = [float(row["validation/loss"]) for row in rows]
        final = [
            float(row["validation/distortion"]) + 0.001 * float(row["validation/rate"])
            for row in rows
        ]
        best = min(range(24), key=final.__getitem__)
        assert best != min(range(24), key=losses.__getitem__)
        assert load_run(Path("logs", name)).epoch == best


def test_under_auto_beta_the_best_checkpoint_has_the_lowest_calibrated_bound(train):
    assert train("--epochs", "12", "--lr", "0.02", "--run_name", "run") == 0
    bounds = [  # D/2 · log MSE + rate, for panels of 32 × 40
        9 * 32 * 40 / 2 * math.log(float(row["validation/distortion"]))
        + float(row["validation/rate"])
        for row in figures(Path("logs/run"))
    ]
    assert load_run(Path("logs/run")).epoch == min(range(12), key=bounds.__getitem__)


# ---------------------------------------------------------------------------------------------
# Going on


def test_a_learning_rate_that_is_given_on_going_on_is_taken(train):
    assert train("--epochs", "1", "--run_name", "run") == 0
    assert train("--continue_from", "logs/run", "--epochs", "2", "--lr", "1e-7") == 0
    rates = [float(row["train/learning_rate"]) for row in figures(Path("logs/run"))]
    # 28 strips are 4 batches: of the warm-up over 50 steps, the fifth and the ninth of the
    # schedule are to be taken next when an epoch ends; 0.01 / c_hidden is the rate by itself.
    assert rates == pytest.approx([0.005 * 5 / 50, 1e-7 * 9 / 50])


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--epochs", "1"], "2 epochs are done, more than --epochs 1"),
        (["--run_name", "other"], "leave --run_name and --log_dir out"),
        (["--log_dir", "elsewhere"], "leave --run_name and --log_dir out"),
        (["--seed", "3"], "--seed 3 does not fit logs/run, which was begun with 0"),
        (["--demo"], "--demo begins a run of its own"),
        (["--devices", "1000000"], "--devices 1000000: this machine has"),
        (["--strategy", "ddp_spawn", "--epochs", "3"], "--strategy ddp_spawn is none that"),
        (["--precision", "16-mixed", "--epochs", "3"], "16-mixed is for GPUs"),
    ],
)
def test_what_cannot_be_gone_on_with_is_refused_and_nothing_is_changed(train, flags, sentence):
    assert train("--epochs", "2", "--run_name", "run") == 0
    before = {p: p.read_bytes() for p in Path("logs").rglob("*") if p.is_file()}
    with pytest.raises(UserError, match=re.escape(sentence)):
        train("--continue_from", "logs/run", *flags)
    assert {p: p.read_bytes() for p in Path("logs").rglob("*") if p.is_file()} == before
    assert train("--continue_from", "logs/run", "--epochs", "3") == 0


def test_a_finished_run_says_that_nothing_is_left_to_do(train, capsys):
    assert train("--epochs", "2", "--run_name", "run") == 0
    before = {p: p.read_bytes() for p in Path("logs").rglob("*") if p.is_file()}
    assert train("--continue_from", "last") == 0
    printed = capsys.readouterr().out
    assert "nothing left to do: all 2 epochs are done" in printed
    assert {p: p.read_bytes() for p in Path("logs").rglob("*") if p.is_file()} == before


def test_last_is_the_newest_run_that_has_a_checkpoint(train, capsys):
    assert train("--epochs", "1", "--run_name", "good") == 0
    dead = shutil.copytree("logs/good", Path("logs/later"))
    (dead / "checkpoints" / "last.ckpt").unlink()
    os.utime(dead / "options.json", (2e9, 2e9))
    assert train("--continue_from", "last", "--epochs", "2") == 0
    assert re.search(r"^run +logs/good$", capsys.readouterr().out, re.MULTILINE)


def test_strips_that_were_added_are_told_of_and_trained_on(train, strips, capsys):
    """Also where the run stopped later in an epoch than the new strips have batches."""
    assert train("--epochs", "1", "--run_name", "run", "--batch_size", "1") == 0
    step = StripModule.training_step

    def stopped(self, batch, batch_idx):
        if batch_idx == 25:
            signal.raise_signal(signal.SIGINT)
        return step(self, batch, batch_idx)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StripModule, "training_step", stopped)
        go_on = ["--continue_from", "logs/run", "--epochs", "3", "--batch_size", "1"]
        assert train(*go_on) == 130
    fewer = shutil.copytree(strips, Path("fewer"))
    for path in sorted(fewer.rglob("*.gif"))[::3]:
        path.unlink()
    assert train(*go_on, "--data_dir", "fewer") == 0
    assert "; not those of before" in capsys.readouterr().out
    assert [row["epoch"] for row in figures(Path("logs/run"))] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--run_name", "a/b"], "cannot be a folder's name"),
        (["--run_name", ".."], "cannot be a folder's name"),
        (["--continue_from", "logs/none"], "there is no folder logs/none"),
        (["--continue_from", "last"], "there is no run in logs"),
        (["--panel_height", "30"], "multiples of 8"),
        (["--strategy", "hope"], "--strategy hope is none that this project trains with"),
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


def test_a_run_that_another_process_trains_is_not_gone_on_with_until_that_has_ended(train):
    assert train("--epochs", "1", "--run_name", "run") == 0
    run = Path("logs/run")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    code = (
        "import sys; from pathlib import Path; from garfield_vae.run_folder import hold\n"
        "with hold(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(run.resolve())]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline() == b"held\n"
        for name in ("logs/run", "last"):
            with pytest.raises(UserError, match="is being trained by another process"):
                train("--continue_from", name, "--epochs", "2")
        assert all(path.read_bytes() == content for path, content in before.items())
        other.kill()
    assert train("--continue_from", "last", "--epochs", "2") == 0


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


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (["--run_name", "run"], "logs/run exists already"),
        (["--run_name", "my run"], "'my run' cannot be a folder's name"),
        (["--run_name", 101 * "a"], "use at most 100 letters"),
        (["--run_name", "pretrained"], "is taken"),
        (["--log_dir", "notes.txt"], "notes.txt is no folder .* give --log_dir another place"),
        (["--precision", "16-mixed"], "16-mixed is for GPUs"),
        (["--strategy", "deepspeed"], "--strategy deepspeed is none that"),
        (["--strategy", "ddp_spawn"], "--strategy ddp_spawn is none that"),
    ],
)
def test_what_no_run_can_have_is_refused_before_there_are_strips(tmp_path, monkeypatch, flags, why):
    monkeypatch.chdir(tmp_path)
    Path("logs/run").mkdir(parents=True)
    Path("notes.txt").touch()
    with pytest.raises(UserError, match=why):
        train_torch.main([*SMALL, "--source", "drawn", "--count", "30", *flags])
    assert not Path("data").exists()


def test_steps_that_are_too_long_are_reported_with_a_shorter_one(train, capsys):
    assert train("--epochs", "25", "--batch_size", "14", "--lr", "0.2") == 0
    printed = capsys.readouterr().out
    assert printed.count("the steps are too long, try --lr 0.005") == 1
