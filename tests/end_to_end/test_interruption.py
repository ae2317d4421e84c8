"""A run that is stopped anywhere, and goes on, is the run that was not stopped: same bits."""

import csv
import itertools
import os
import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from pytorch_lightning import Trainer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from garfield_vae.training import interruption, trainer
from garfield_vae.training.averaged_module import Average
from garfield_vae.training.callbacks import EpochRecord, RunCheckpoints, RunPictures
from garfield_vae.training.checkpoint_io import WholeCheckpoints
from garfield_vae.training.data_module import StripData
from garfield_vae.training.module import StripModule
from garfield_vae.training.tensorboard import FinalRecord

# Where the signal comes: before or after a call of one of these.
PLACES: list[tuple[type, str]] = [
    (StripData, "setup"),
    (StripData, "train_dataloader"),
    (StripData, "on_after_batch_transfer"),
    (StripModule, "configure_optimizers"),
    (StripModule, "on_train_start"),
    (StripModule, "on_train_epoch_start"),
    (StripModule, "on_train_batch_start"),
    (StripModule, "training_step"),
    (StripModule, "configure_gradient_clipping"),
    (StripModule, "on_train_batch_end"),
    (StripModule, "on_validation_epoch_start"),
    (StripModule, "validation_step"),
    (StripModule, "on_validation_epoch_end"),
    (StripModule, "on_train_epoch_end"),
    (Average, "update"),
    (torch.optim.AdamW, "step"),
    (RunPictures, "on_train_epoch_end"),
    (EpochRecord, "on_train_start"),
    (EpochRecord, "on_train_epoch_end"),
    (RunCheckpoints, "on_train_epoch_end"),
    (WholeCheckpoints, "save_checkpoint"),
    (FinalRecord, "on_train_start"),
    (Trainer, "save_checkpoint"),
]
SEED = int(os.environ.get("INTERRUPTION_SEED", "0"))  # others in .ci/long
# 28 and 6 strips: 6 batches an epoch, and 2 of validation
ONCE = ("setup", "train_dataloader", "configure_optimizers", "on_train_start")  # in a process
ASKING = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
FLAGS = ("--epochs", "30", "--batch_size", "5")


def bits(run: Path) -> dict[str, torch.Tensor]:
    """All tensors of last.ckpt: weights, their average, and the optimizer's state."""
    checkpoint = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    found = dict(checkpoint["state_dict"])
    for number, state in checkpoint["optimizer_states"][0]["state"].items():
        found |= {f"optimizer {number} {name}": value for name, value in state.items()}
    return found


def figures(run: Path) -> list[dict[str, str]]:
    """metrics.csv, but for the speed."""
    rows = csv.DictReader((run / "metrics.csv").read_text().splitlines())
    return [{k: v for k, v in row.items() if "per_second" not in k} for row in rows]


def curves(run: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard shows: (step, value) of each scalar but the speed, and steps of pictures."""
    # TensorBoard reads the files by their names, which begin with the second; here several have one
    files = sorted(run.glob("events.*"), key=lambda path: int(path.name.split(".")[-1]))
    for number, path in enumerate(files):
        path.rename(path.with_name(f"events.out.tfevents.{number:04d}"))
    events = EventAccumulator(str(run), size_guidance={"images": 0, "scalars": 0})
    events.Reload()
    tags = [tag for tag in events.Tags()["scalars"] if "per_second" not in tag]
    found = {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in tags}
    for tag in events.Tags()["images"]:
        found[tag] = [(event.step, 0.0) for event in events.Images(tag)]
    return found


def assert_same(one: Path, other: Path) -> None:
    first, second = bits(one), bits(other)
    assert first.keys() == second.keys()
    different = [name for name in first if not torch.equal(first[name], second[name])]
    assert different == []
    assert figures(one) == figures(other)
    assert curves(one) == curves(other)


@contextmanager
def signal_at(owner: object, name: str, call: int, after: bool, number: int) -> Iterator[None]:
    """That call of that method comes with a signal, before it begins or after it has ended."""
    method, calls = getattr(owner, name), itertools.count(1)

    def with_signal(*arguments, **named):
        now = next(calls) == call
        if now and not after:
            signal.raise_signal(number)
        result = method(*arguments, **named)
        if now and after:
            signal.raise_signal(number)
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, with_signal)
        yield


def test_a_run_that_is_stopped_at_every_hook_in_turn_is_the_undisturbed_one(train):
    """A chain: each time the run goes on, and is stopped at another place."""
    assert train(*FLAGS, "--run_name", "whole") == 0
    rng = random.Random(SEED)
    places = [(*place, rng.random() < 0.5) for place in rng.sample(PLACES, len(PLACES))]
    flags = [*FLAGS, "--run_name", "stopped"]
    for owner, name, after in places:
        number, status = rng.choice(ASKING)
        call = 1 if name in ONCE else rng.randint(1, 2)
        with signal_at(owner, name, call, after, number):
            assert train(*flags) == status, (owner, name, after)
        flags = [*FLAGS, "--continue_from", "logs/stopped"]
    assert train(*flags) == 0
    assert_same(Path("logs/whole"), Path("logs/stopped"))


def test_a_second_signal_ends_the_run_at_once_and_the_checkpoint_before_it_is_whole(
    train, monkeypatch
):
    assert train(*FLAGS, "--epochs", "2", "--run_name", "whole") == 0
    assert train(*FLAGS, "--epochs", "1", "--run_name", "run") == 0
    before = Path("logs/run/checkpoints/last.ckpt").read_bytes()
    monkeypatch.setattr(interruption, "SAME_SECONDS", 0.0)
    step = StripModule.training_step

    def impatient(self, batch, batch_idx):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        return step(self, batch, batch_idx)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StripModule, "training_step", impatient)
        with pytest.raises(KeyboardInterrupt):
            train(*FLAGS, "--epochs", "2", "--continue_from", "logs/run")
    assert Path("logs/run/checkpoints/last.ckpt").read_bytes() == before
    assert train(*FLAGS, "--epochs", "2", "--continue_from", "logs/run") == 0
    assert_same(Path("logs/whole"), Path("logs/run"))


def test_an_error_within_a_step_leaves_nothing_of_it_behind(train, monkeypatch):
    monkeypatch.setattr("garfield_vae.training.callbacks.SAVE_EVERY_SECONDS", -1.0)
    assert train(*FLAGS, "--epochs", "3", "--run_name", "whole") == 0
    clip = StripModule.configure_gradient_clipping

    def fails_later(self, *arguments, **named):
        if self.global_step == 8:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        clip(self, *arguments, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StripModule, "configure_gradient_clipping", fails_later)
        with pytest.raises(RuntimeError, match="memory"):
            train(*FLAGS, "--epochs", "3", "--run_name", "run")
    assert train(*FLAGS, "--epochs", "3", "--continue_from", "logs/run") == 0
    assert_same(Path("logs/whole"), Path("logs/run"))


@pytest.mark.parametrize("trainer_made", [1, 2])  # to see that there can be one, and to train
def test_ctrl_c_before_training_leaves_no_run(train, trainer_made):
    with (
        signal_at(trainer, "make_trainer", trainer_made, True, signal.SIGINT),
        pytest.raises(KeyboardInterrupt),
    ):
        train(*FLAGS)
    assert list(Path().glob("logs/*")) == []
