"""A run and an exported model of format 2 (dense weights stored divided by 0.005) are still read.

tests/format_2.tar.xz was written by this project before format 3 (version 0.1.0): a run of two
epochs on 20 drawn strips and its export, with most of the convolutions' weights set to zero so that
it is small, and in expected.json what that version encoded and decoded with it.
"""

import copy
import csv
import json
import tarfile
from pathlib import Path

import pytest
import torch
from torch import nn

import garfield_vae
import train_torch
from garfield_vae.cli.options import TrainOptions
from garfield_vae.old_formats import SCALE, convert_adam, convert_weights
from garfield_vae.training.module import DENSE_LEARNING_RATE, StripModule, parameter_groups
from garfield_vae.util.errors import UserError


@pytest.fixture
def old(tmp_path) -> Path:
    with tarfile.open(Path(__file__).with_name("format_2.tar.xz")) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "format_2"


@pytest.mark.parametrize("folder", ["run", "model"])
def test_an_old_model_encodes_and_decodes_as_it_did(old, folder):
    model = garfield_vae.load(old / folder).model
    expected = json.loads((old / "expected.json").read_text())
    strips = torch.linspace(-1, 1, 2 * 9 * 16 * 16).reshape(2, 3, 3, 16, 16)
    mean, log_std = model.encode(strips)
    decoded = model.decode(mean).flatten()[::97]
    for found, name in ((mean, "mean"), (log_std, "log_std"), (decoded, "decoded")):
        torch.testing.assert_close(found, torch.tensor(expected[name]), atol=1e-5, rtol=1e-4)


def test_an_old_run_is_continued(old, monkeypatch):
    monkeypatch.chdir(old)
    before = garfield_vae.load("run").model.state_dict()
    assert (
        train_torch.main(["--continue_from", "run", "--epochs", "3", "--prior_minutes", "0"]) == 0
    )
    with Path("run/metrics.csv").open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2", "3"]
    checkpoint = torch.load("run/checkpoints/last.ckpt", weights_only=True)
    assert checkpoint["garfield_vae"]["format"] == 3
    rates = [group["lr"] for group in checkpoint["optimizer_states"][0]["param_groups"]]
    assert rates == pytest.approx([rates[0], rates[0], DENSE_LEARNING_RATE * rates[0]])
    moved = checkpoint["state_dict"]["vae.join.weight"] - before["join.weight"]
    assert 0 < moved.abs().max() < 10 * rates[2]


class SlowLinear(nn.Linear):
    """The dense layer of format 2."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return SCALE * super().forward(x)


def old_optimizer(vae: nn.Module, lr: float) -> torch.optim.AdamW:
    """The optimizer of format 2, without its weight decay."""
    matrices = [p for p in vae.parameters() if p.ndim > 1]
    vectors = [p for p in vae.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": 0.0}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.99), eps=1e-16)
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    return optimizer


def test_the_optimizer_goes_on_with_converted_moments_as_it_would_have():
    options = TrainOptions(z_dim=8, c_hidden=1, num_blocks=1, panel_height=16, panel_width=16)
    strips = torch.rand(4, 3, 3, 16, 16, generator=torch.manual_seed(0)).double() * 2 - 1
    lr = 1e-2

    def train(vae: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> None:
        for _ in range(steps):
            mean, log_std = vae.encode(strips)
            loss = (vae.decode(mean.double()) - strips).square().mean()
            loss = loss + 1e-4 * (log_std + 1).square().sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    one = StripModule(options).vae.double()
    for name in ("join", "spread"):
        plain = getattr(one, name)
        slow = SlowLinear(plain.in_features, plain.out_features, dtype=torch.float64)
        slow.load_state_dict({key: value / SCALE for key, value in plain.state_dict().items()})
        setattr(one, name, slow)
    optimizer = old_optimizer(one, lr)
    train(one, optimizer, 4)

    other = StripModule(options).vae.double()
    other.load_state_dict(convert_weights(one.state_dict()))
    continued = torch.optim.AdamW(parameter_groups(other, lr), betas=(0.9, 0.99))
    state = convert_adam(copy.deepcopy(optimizer.state_dict()))
    fresh = torch.optim.AdamW(parameter_groups(other, lr), betas=(0.9, 0.99)).state_dict()
    assert [g["params"] for g in state["param_groups"]] == [
        g["params"] for g in fresh["param_groups"]
    ]
    for group, own in zip(state["param_groups"], fresh["param_groups"], strict=True):
        assert group["lr"] == pytest.approx(own["lr"])
    continued.load_state_dict(state)

    start = {name: value.clone() for name, value in other.state_dict().items()}
    train(one, optimizer, 3)
    train(other, continued, 3)
    expected = convert_weights(one.state_dict())
    for name, value in other.state_dict().items():
        step = (expected[name] - start[name]).abs().max()
        assert step > 0, name
        assert (value - expected[name]).abs().max() < 1e-3 * step, name


@pytest.mark.parametrize("damage", [{"param_groups": []}, {"state": {}}, 7])
def test_a_damaged_old_optimizer_is_damage_and_no_traceback(old, damage):
    path = old / "run" / "checkpoints" / "last.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    state = checkpoint["optimizer_states"][0]
    checkpoint["optimizer_states"] = [state | damage if isinstance(damage, dict) else damage]
    torch.save(checkpoint, path)
    (old / "run" / "checkpoints" / "best.ckpt").unlink()
    with pytest.raises(UserError, match="is damaged"):
        garfield_vae.load(old / "run")
