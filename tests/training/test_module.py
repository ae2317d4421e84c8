"""How StripVAE is trained: schedule, average, parameter groups, and that it learns."""

import numpy as np
import pytest
import torch
from pytorch_lightning import Trainer
from torch import nn

from garfield_vae.cli.options import TrainOptions
from garfield_vae.data.build import build_store
from garfield_vae.data.panels import to_unit
from garfield_vae.evaluation.metrics.baselines import mean_image
from garfield_vae.latent.codec import reconstruct
from garfield_vae.training.averaged_module import Average
from garfield_vae.training.data_module import StripData
from garfield_vae.training.module import (
    DENSE_LEARNING_RATE,
    MUON_LEARNING_RATE,
    StripModule,
    learning_rate_factor,
    parameter_groups,
)

SMALL = TrainOptions(
    z_dim=64, c_hidden=4, num_blocks=1, panel_height=32, panel_width=40, batch_size=8
)


def train(store, options: TrainOptions, **length: int) -> StripModule:
    torch.manual_seed(0)
    module = StripModule(options)
    trainer = Trainer(
        **length,
        accelerator="cpu",
        devices=1,
        logger=False,
        limit_val_batches=0,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, StripData(store, options.batch_size, options.seed))
    return module


@pytest.fixture(scope="module")
def store(strips, tmp_path_factory):
    return build_store(strips, tmp_path_factory.mktemp("store"), height=32, width=40)


def mse(strips: np.ndarray, reconstruction: np.ndarray) -> float:
    strips, reconstruction = (to_unit(torch.from_numpy(x)) for x in (strips, reconstruction))
    return (strips - reconstruction).square().mean().item()


def test_a_short_training_beats_the_mean_strip_on_strips_it_never_saw(store):
    training, test = (np.array(store.panels[store.split(name)]) for name in ("train", "test"))
    module = train(store, SMALL, max_epochs=12)
    mean_strip = np.broadcast_to(mean_image(training), test.shape).copy()
    learned = mse(test, reconstruct(module.averaged.module.eval(), test, steps=0))
    assert learned < 0.85 * mse(test, mean_strip)


def test_a_first_step_is_as_long_as_each_groups_learning_rate_says(store, monkeypatch):
    monkeypatch.setattr("garfield_vae.training.module.WEIGHT_DECAY", 0.0)
    module = train(store, SMALL, max_steps=1)
    fresh = train(store, SMALL, max_steps=0).vae.state_dict()
    lr = 0.01 / 4 / 50  # of the first of 50 warm-up steps
    for name, value in module.vae.state_dict().items():
        step = value - fresh[name]
        if ".conv1." in name:
            continue  # no gradient while the block's second convolution is zero
        if value.ndim == 4 and ("stages" in name or "narrow" in name):
            # Muon's step is a matrix whose singular values are all about 1, times the rate.
            lengths = torch.linalg.svdvals(step.flatten(1)) / (MUON_LEARNING_RATE / 50)
            tall = max(1, value.shape[0] / value[0].numel()) ** 0.5
            assert 0.5 < lengths.median() / tall < 1.3, name
        else:
            # Adam's first step is the learning rate in every number that has a gradient.
            share = DENSE_LEARNING_RATE if name.split(".")[0] in ("join", "spread") else 1
            assert step.abs().max().item() == pytest.approx(lr * share, rel=0.1), name


def test_every_parameter_is_in_one_group_and_only_convolutions_weights_are_decayed():
    vae = StripModule(SMALL).vae
    groups = parameter_groups(vae, 0.1, 0.02)
    assert sorted(id(p) for group in groups for p in group["params"]) == sorted(
        id(p) for p in vae.parameters()
    )
    decayed = [p for group in groups if group["weight_decay"] for p in group["params"]]
    weights = [part.weight for part in vae.modules() if isinstance(part, nn.Conv2d)]
    assert sorted(map(id, decayed)) == sorted(map(id, weights))


@pytest.mark.parametrize(
    ("step", "factor"), [(0, 0.02), (24, 0.5), (49, 1), (1000, 1), (4000, 0.5), (100_000, 0.1)]
)
def test_the_learning_rate_rises_stays_and_falls_with_the_root_of_the_step(step, factor):
    assert learning_rate_factor(step) == pytest.approx(factor)


def test_the_average_is_a_sum_with_weights_that_rise_as_a_power_of_the_step():
    model = nn.Linear(1, 1, bias=False)
    averaged = Average(model)
    for step in range(1, 201):
        nn.init.constant_(model.weight, float(step))
        averaged.update(model)
    # Weights t^6.94 by the definition; the sum of t · t^6.94 over that of t^6.94, as integrals.
    assert averaged.module.weight.item() == pytest.approx(200 * 7.94 / 8.94, rel=0.01)
