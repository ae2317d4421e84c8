"""--accelerator names a device of this machine, or is refused before anything is done."""

import pytest
import torch

import process_model
import train_torch
from garfield_vae.run_folder import choose_device
from garfield_vae.util.errors import UserError


@pytest.fixture
def machine(monkeypatch):
    """Makes this a machine whose torch finds CUDA, Apple's GPU, both or neither."""

    def has(*kinds: str) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: "cuda" in kinds)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: "mps" in kinds)

    return has


@pytest.mark.parametrize(
    ("kinds", "flag", "device"),
    [
        ((), "auto", "cpu"),
        (("cuda",), "auto", "cuda"),
        (("mps",), "auto", "mps"),
        (("cuda",), "gpu", "cuda"),
        (("mps",), "gpu", "mps"),
        (("mps",), "mps", "mps"),
        (("cuda",), "cpu", "cpu"),
    ],
)
def test_a_gpu_is_cudas_or_apples_and_auto_is_the_best_there_is(machine, kinds, flag, device):
    machine(*kinds)
    assert choose_device(flag) == torch.device(device)


@pytest.mark.parametrize(("kinds", "flag"), [((), "gpu"), ((), "mps"), (("cuda",), "mps")])
def test_a_device_that_is_not_there_is_refused(machine, kinds, flag):
    machine(*kinds)
    with pytest.raises(UserError, match=f"--accelerator {flag}: this machine has none"):
        choose_device(flag)


@pytest.mark.parametrize(
    ("script", "flags"),
    [(train_torch, ["--demo"]), (process_model, ["--experiment_dir", "pretrained"])],
)
def test_both_scripts_refuse_it_before_they_write_anything(
    machine, script, flags, monkeypatch, tmp_path
):
    machine()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="this machine has none that torch can compute on"):
        script.main([*flags, "--accelerator", "gpu"])
    assert list(tmp_path.iterdir()) == []


def test_without_a_batch_size_a_run_takes_eight_strips_a_step_on_a_processor_and_more_elsewhere(
    machine,
):
    machine("cuda")
    options, _, _ = train_torch.read_command_line(["--accelerator", "cpu"])
    assert options.batch_size == 8
    options, _, _ = train_torch.read_command_line(["--accelerator", "gpu"])
    assert options.batch_size == 32
    options, _, _ = train_torch.read_command_line(["--accelerator", "gpu", "--batch_size", "5"])
    assert options.batch_size == 5
