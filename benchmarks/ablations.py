"""One lever at a time: what does each choice in the network and its training bring?

    python benchmarks/ablations.py --list
    python benchmarks/ablations.py --strips DIR --levers "as shipped,GroupNorm,ReLU" --steps 300
    python benchmarks/ablations.py --strips DIR --levers "as shipped,c_hidden 12" --seconds 120

A lever is one change of what train_torch.py does: another option, or another value of a constant
or part of the code. Each is trained by the product's own StripModule and StripData, in a process
of its own with one thread, for the same number of steps, or with --seconds for the same processor
time, so that a lever that costs time pays for it. MSE and SSIM are of reconstructions from the
posterior mean of held-out weeks, split as benchmarks/quality.py does. Results: ablations.md.
"""

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from pytorch_lightning import Callback, Trainer
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import train_torch
from benchmarks.levers import QUIET_TRAINER, Lever, constants, read_command_line, run_alone
from benchmarks.quality import draw, reconstruction_row, split_weeks
from garfield_vae.cli.options import TrainOptions
from garfield_vae.data.store import PanelStore
from garfield_vae.latent.codec import reconstruct
from garfield_vae.model import networks
from garfield_vae.training import augment, averaged_module, module
from garfield_vae.training.data_module import StripData
from garfield_vae.training.trainer import choose_precision, make_module, quieten_lightning

# -------------------------------------------------------------------------------------------------
# Other parts for the network


class GroupNormBlock(networks.ResNetBlock):
    def __init__(self, channels: int):
        super().__init__(channels)
        self.norm1, self.norm2 = self.norm(channels), self.norm(channels)

    def norm(self, channels: int) -> nn.Module:
        return nn.GroupNorm(min(32, channels // 4), channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.silu(self.norm2(self.conv1(F.silu(self.norm1(x))))))


class BatchNormBlock(GroupNormBlock):
    def norm(self, channels: int) -> nn.Module:
        return nn.BatchNorm2d(channels)


class PixelShuffleDecoder(networks.PanelDecoder):
    """Doubles the resolution by a convolution to four times the channels and a pixel shuffle."""

    def upsampling(self, wide: int, narrow: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(wide, 4 * narrow, 3, padding=1), nn.PixelShuffle(2))

    def __init__(self, c_hidden: int, *others: int):
        super().__init__(c_hidden, *others)
        widths = networks.stage_widths(c_hidden)[::-1]
        self.narrow = nn.ModuleList(itertools.starmap(self.upsampling, itertools.pairwise(widths)))

    def forward(self, code: Tensor) -> Tensor:
        x = self.stages[0](self.widen(code))
        for narrow, stage, size in zip(self.narrow, self.stages[1:], self.sizes[1:], strict=True):
            x = stage(narrow(x)[..., : size[0], : size[1]])
        return networks.to_panels(torch.tanh(self.paint(F.silu(x))))


class TransposedConvolutionDecoder(PixelShuffleDecoder):
    def upsampling(self, wide: int, narrow: int) -> nn.Module:
        return nn.ConvTranspose2d(wide, narrow, 4, stride=2, padding=1)


def identity(shape: tuple[int, ...], count: int) -> Tensor:
    return torch.eye(count, int(np.prod(shape)))


def random_rotation(shape: tuple[int, ...], count: int) -> Tensor:
    return nn.init.orthogonal_(torch.empty(count, int(np.prod(shape))))


# -------------------------------------------------------------------------------------------------
# Levers


def after_initialising(change: Callable[[nn.Module], None]) -> Callable[[], None]:
    """Calls `change` with every network whose weights StripVAE has initialised."""

    def lever() -> None:
        ours = networks.StripVAE.initialise

        def initialise(vae: networks.StripVAE) -> None:
            ours(vae)
            change(vae)

        networks.StripVAE.initialise = initialise

    return lever


def torchs_initialisation(vae: networks.StripVAE) -> None:
    for name, part in vae.named_modules():
        if isinstance(part, nn.Conv2d) and not name.endswith("conv2"):
            part.reset_parameters()


def active_blocks(vae: networks.StripVAE) -> None:
    for part in vae.modules():
        if isinstance(part, networks.ResNetBlock):
            part.conv2.reset_parameters()


def panels_of_different_strips() -> None:
    """In half of the batches, the three panels of a strip come from three different strips."""
    ours = module.augment

    def shuffled(strips: Tensor, share: float) -> Tensor:
        strips = ours(strips, share)
        if torch.rand(()) < 0.5:
            return strips
        return torch.stack([strips[torch.randperm(len(strips)), i] for i in range(3)], dim=1)

    module.augment = shuffled


shipped_groups = module.parameter_groups


def adamw_groups(vae: networks.StripVAE, lr: float, decay: float) -> list[dict]:
    return [
        group | {"muon": False, "lr": lr if group.get("muon") else group["lr"]}
        for group in shipped_groups(vae, lr, decay)
    ]


LEVERS: dict[str, Lever] = {
    "as shipped": {},
    # the network
    "GroupNorm": constants(networks, ResNetBlock=GroupNormBlock),
    "BatchNorm": constants(networks, ResNetBlock=BatchNormBlock),
    "first cell 4; three stages": constants(networks, CELL=4, STAGES=3),
    "first cell 8; three stages": constants(networks, CELL=8, STAGES=3),
    "full resolution; five stages": constants(networks, CELL=1, STAGES=5),
    "transposed convolutions": constants(networks, PanelDecoder=TransposedConvolutionDecoder),
    "pixel shuffle": constants(networks, PanelDecoder=PixelShuffleDecoder),
    "linear output": constants(torch, tanh=lambda x: x),
    "ReLU": constants(F, silu=F.relu),
    "num_blocks 1": {"num_blocks": 1},
    "num_blocks 4": {"num_blocks": 4},
    "c_hidden 4": {"c_hidden": 4},
    "c_hidden 8": {"c_hidden": 8},
    "c_hidden 12": {"c_hidden": 12},
    # how it starts
    "dense layers start as identity": constants(networks, cosine_basis=identity),
    "dense layers start as random rotation": constants(networks, cosine_basis=random_rotation),
    "convolutions start as torch's": after_initialising(torchs_initialisation),
    "blocks start active": after_initialising(active_blocks),
    "log std starts at -3": constants(networks, INITIAL_LOG_STD=-3.0),
    # the objective
    "beta 1e-6": {"beta": 1e-6},
    "beta 1e-5": {"beta": 1e-5},
    "beta 1e-4": {"beta": 1e-4},
    "KL warm-up over 60 steps": {"beta_warmup": 60},
    # the optimizer
    "dense layers at full learning rate": constants(module, DENSE_LEARNING_RATE=1.0),
    "dense layers at a fiftieth": constants(module, DENSE_LEARNING_RATE=0.02),
    "dense layers at a thousandth": constants(module, DENSE_LEARNING_RATE=0.001),
    "AdamW for all": constants(module, parameter_groups=adamw_groups),
    "half of Muon's learning rate": constants(module, MUON_LEARNING_RATE=0.007),
    "twice Muon's learning rate": constants(module, MUON_LEARNING_RATE=0.028),
    "half of AdamW's learning rate": constants(module, LEARNING_RATE_PER_WIDTH=0.005),
    "twice AdamW's learning rate": constants(module, LEARNING_RATE_PER_WIDTH=0.02),
    "no learning-rate warm-up": constants(module, WARMUP_STEPS=1),
    "no learning-rate decay": constants(module, DECAY_FROM_STEP=float("inf")),
    "no weight decay": constants(module, WEIGHT_DECAY=0.0),
    "a tenth of the weight decay": constants(module, WEIGHT_DECAY=0.012),
    "three times the weight decay": constants(module, WEIGHT_DECAY=0.36),
    "no clipping": constants(averaged_module, CLIP_NORM=float("inf")),
    "weights not averaged": constants(averaged_module, AVERAGE_GAMMA=float("inf")),
    "batch 4": {"batch_size": 4},
    "batch 16": {"batch_size": 16},
    "float32": {"precision": "32-true"},
    # augmentation
    "not augmented": {"augment": 0.0},
    "mirrored and shifted only": constants(augment, SMALLEST_WINDOW=1.0),
    "panels of different strips": panels_of_different_strips,
}


# -------------------------------------------------------------------------------------------------
# Training and measuring


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--strips", type=Path, help="folder of strips; drawn ones if not given")
    parser.add_argument("--count", type=int, default=1000, help="strips to draw (default: 1000)")
    parser.add_argument("--steps", type=int, default=300, help="of training (default: 300)")
    parser.add_argument("--seconds", type=float, help="processor time, in place of --steps")
    parser.add_argument("--c_hidden", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--training", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--held_out", type=Path, help=argparse.SUPPRESS)
    options = read_command_line(parser, LEVERS)
    if options.training:
        train_and_measure(options)
        return
    with tempfile.TemporaryDirectory(prefix="ablations-") as name:
        strips = options.strips or draw(Path(name), options.count)
        training, held_out = split_weeks(strips.resolve(), Path(name))
        flags = {"training": training.path, "held_out": held_out.path}
        flags |= {name: getattr(options, name) for name in ("steps", "seconds", "c_hidden", "seed")}
        for lever in options.levers:
            run_alone(__file__, lever, flags)


class ProcessorTime(Callback):
    """Stops training after so many seconds of processor time."""

    def __init__(self, seconds: float | None):
        self.seconds = seconds

    def on_train_start(self, *_: Any) -> None:
        self.began = time.process_time()

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        self.spent = time.process_time() - self.began
        if self.seconds is not None:
            trainer.should_stop |= self.spent > self.seconds


def train_and_measure(options: argparse.Namespace) -> None:
    (name,) = options.levers
    lever = LEVERS[name]
    torch.set_num_threads(1)
    quieten_lightning()
    values: dict[str, Any] = {"accelerator": "cpu", "batch_size": train_torch.BATCH_ON_CPU}
    values |= {"c_hidden": options.c_hidden, "seed": options.seed}
    if callable(lever):
        lever()
    else:
        values |= lever
    settings = TrainOptions(**values)
    trained = make_module(settings)
    clock = ProcessorTime(options.seconds)
    trainer = Trainer(
        accelerator="cpu",
        devices=1,
        precision=choose_precision(settings),
        max_epochs=-1,
        max_steps=-1 if options.seconds else options.steps,
        callbacks=[clock],
        limit_val_batches=0,
        **QUIET_TRAINER,
    )
    training = PanelStore.open(options.training)
    trainer.fit(trained, StripData(training, settings.batch_size, settings.seed))
    originals = np.array(PanelStore.open(options.held_out).panels)
    row = reconstruction_row(
        originals, reconstruct(trained.averaged.module.eval(), originals, steps=0)
    )
    strips_seen = trainer.global_step * settings.batch_size
    print(
        f"{name:40} MSE {row['MSE']:.4f}   SSIM {row['SSIM']:.4f}   "
        f"training {trained.running_distortion:.4f}   {trainer.global_step:5} steps   "
        f"{1000 * clock.spent / strips_seen:4.0f} ms/strip",
        flush=True,
    )


if __name__ == "__main__":
    main()
