"""A run and an exported model of format 2 (dense weights stored divided by 0.005) are still read.

tests/format_2.tar.xz was written by this project before format 3 (version 0.1.0): a run of two
epochs on 20 drawn strips and its export, with most of the convolutions' weights set to zero so that
it is small, and in expected.json what that version encoded and decoded with it.
"""

import csv
import json
import tarfile
from pathlib import Path

import pytest
import torch

import garfield_vae
import train_torch
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
    slow = checkpoint["optimizer_states"][0]["param_groups"][-1]["lr"]
    moved = checkpoint["state_dict"]["vae.join.weight"] - before["join.weight"]
    assert 0 < moved.abs().max() < 10 * slow


@pytest.mark.parametrize("damage", [{"averaged.module.join.weight": 7}, 7])
def test_a_damaged_old_checkpoint_is_damage_and_no_traceback(old, damage):
    path = old / "run" / "checkpoints" / "last.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    weights = checkpoint["state_dict"]
    checkpoint["state_dict"] = weights | damage if isinstance(damage, dict) else damage
    torch.save(checkpoint, path)
    (old / "run" / "checkpoints" / "best.ckpt").unlink()
    with pytest.raises(UserError, match=r"is damaged|does not hold the weights"):
        garfield_vae.load(old / "run")
