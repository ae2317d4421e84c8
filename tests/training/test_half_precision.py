"""--precision 16-mixed without a GPU: the same steps under torch's scaler and float16 autocast.

The flag is refused on a CPU, for being slow there; here the trainer is given the plugin that it has
on a GPU.
"""

from pathlib import Path

import pytest
import torch
from pytorch_lightning import Trainer
from pytorch_lightning.plugins.precision import MixedPrecision

from garfield_vae.training import trainer
from garfield_vae.training.averaged_module import CLIP_NORM
from garfield_vae.training.module import StripModule

FLAGS = ("--precision", "16-mixed", "--augment", "0")


@pytest.fixture
def scaled(monkeypatch):
    """`scaled(scale)`: the loss is multiplied by so much from the first step on."""

    def begin(scale: float) -> None:
        def with_scaler(*, precision: str, plugins: list, **settings: object) -> Trainer:
            assert precision == "16-mixed"
            scaler = torch.amp.GradScaler("cpu", init_scale=scale)
            plugins = [*plugins, MixedPrecision("16-mixed", "cpu", scaler)]
            return Trainer(plugins=plugins, **settings)

        monkeypatch.setattr(trainer, "Trainer", with_scaler)
        monkeypatch.setattr(trainer, "choose_precision", lambda options: options.precision)

    return begin


def weights(run: str) -> dict[str, torch.Tensor]:
    path = Path("logs", run, "checkpoints", "last.ckpt")
    return torch.load(path, weights_only=True)["state_dict"]


def test_gradients_are_unscaled_before_they_are_clipped(train, scaled, monkeypatch):
    norms: dict[float, list[float]] = {}
    clip = torch.nn.utils.clip_grad_norm_

    for scale in (1.0, 1024.0):
        norms[scale] = []

        def watched(parameters, most, seen=norms[scale]):
            assert most == CLIP_NORM
            norm = clip(parameters, most)
            seen.append(float(norm))
            return norm

        monkeypatch.setattr("torch.nn.utils.clip_grad_norm_", watched)
        scaled(scale)
        assert train(*FLAGS, "--epochs", "1", "--run_name", f"{scale:g}") == 0
    # The first step's are those of the same weights.
    assert norms[1024.0][0] == pytest.approx(norms[1.0][0], rel=0.02)
    one, other = weights("1"), weights("1024")
    begun = [name for name in one if name.startswith("vae.")]
    for name in begun:
        assert torch.allclose(one[name], other[name], atol=0.01), name


@pytest.mark.filterwarnings("error:.*lr_scheduler.*")
def test_steps_whose_gradients_overflow_change_nothing_and_the_scale_falls_until_they_do_not(
    train, scaled
):
    scaled(2.0**40)
    step = StripModule.on_train_batch_end
    after: list[torch.Tensor] = []  # the weights, after each step

    def kept(self, *arguments):
        after.append(torch.nn.utils.parameters_to_vector(self.vae.parameters()).detach().clone())
        step(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StripModule, "on_train_batch_end", kept)
        assert train(*FLAGS, "--epochs", "10", "--run_name", "run") == 0
    assert torch.equal(after[0], after[1])
    assert not torch.equal(after[-2], after[-1])


def test_a_run_that_goes_on_is_the_run_that_was_not_stopped(train, scaled):
    """Also where it was stopped before any step was taken, so that the optimizer is still empty."""
    scaled(2.0**26)  # is halved in each of the first steps
    assert train(*FLAGS, "--epochs", "4", "--run_name", "whole") == 0
    assert train(*FLAGS, "--epochs", "1", "--run_name", "stopped") == 0
    assert train(*FLAGS, "--continue_from", "logs/stopped", "--epochs", "4") == 0
    one, other = weights("whole"), weights("stopped")
    assert [name for name in one if not torch.equal(one[name], other[name])] == []
