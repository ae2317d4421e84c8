"""One lever at a time: what does each choice in the network and its training bring?

    python benchmarks/ablations.py --strips DIR --levers "as it is,GroupNorm,ReLU"
    python benchmarks/ablations.py --strips DIR --levers "as it is,c_hidden 12" --steps 200
    python benchmarks/ablations.py --list

Each lever is a process of its own: the network as it is with that one thing changed, the same
strips, the same processor time with one thread (so that two can run side by side, and a lever that
costs time pays for it), measured on held-out weeks as benchmarks/quality.py splits them. With
--steps every lever gets the same number of steps instead. The results with what follows from them
are in ablations.md.
"""

import argparse
import itertools
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.quality import draw, split_weeks
from garfield_vae.cli.options import TrainOptions
from garfield_vae.data.panels import to_unit
from garfield_vae.data.store import PanelStore
from garfield_vae.model import networks
from garfield_vae.model.elbo import calibrated_beta, distortion, ramp, rate
from garfield_vae.training import augment as augmenting
from garfield_vae.training.augment import augment, augmented_share
from garfield_vae.training.module import LEARNING_RATE_PER_WIDTH, WARMUP_STEPS, power_average
from train_torch import BATCH_ON_CPU, choose_precision

# What a lever can change; `networks.…` are changed in place, since each lever has its own process.
RECIPE = {
    "lr": LEARNING_RATE_PER_WIDTH / 6,
    "beta": "auto",
    "beta_warmup": 0,
    "precision": "auto",
    "memory_format": torch.channels_last,
    "warmup": WARMUP_STEPS,
    "cosine": False,
    "clip": 1.0,
    "average": True,
    "adam": (0.9, 0.99),
    "augment": augment,
    "c_hidden": 6,
    "num_blocks": 2,
    "z_dim": 1024,
    "batch": BATCH_ON_CPU,
}


class GroupNormBlock(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.norm1, self.norm2 = self.norm(channels), self.norm(channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def norm(self, channels: int) -> nn.Module:
        return nn.GroupNorm(min(32, channels // 4), channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.silu(self.norm2(self.conv1(F.silu(self.norm1(x))))))


class BatchNormBlock(GroupNormBlock):
    def norm(self, channels: int) -> nn.Module:
        return nn.BatchNorm2d(channels)


class ShufflingDecoder(networks.PanelDecoder):
    """Doubles by convolving to four times the channels and laying those out as 2×2 pixels."""

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


class TransposingDecoder(ShufflingDecoder):
    """Doubles by transposed convolutions, as the published network does."""

    def upsampling(self, wide: int, narrow: int) -> nn.Module:
        return nn.ConvTranspose2d(wide, narrow, 4, stride=2, padding=1)


def put(name: str, value: object) -> Callable[[], None]:
    """Replaces a name of garfield_vae.model.networks, or one of torch's functions that it calls."""
    owner, attribute = (F, name[2:]) if name.startswith("F.") else (networks, name)
    return lambda: setattr(owner, attribute, value)


def identity(shape: tuple[int, ...], count: int) -> Tensor:
    return torch.eye(count, int(np.prod(shape)))


def random_rotation(shape: tuple[int, ...], count: int) -> Tensor:
    return nn.init.orthogonal_(torch.empty(count, int(np.prod(shape))))


def torchs_own_start() -> None:
    """Convolutions as torch starts them, a third of the size; blocks still as the identity."""
    ours = networks.StripVAE.initialise

    def initialise(model: networks.StripVAE) -> None:
        ours(model)
        for name, module in model.named_modules():
            if isinstance(module, nn.Conv2d) and not name.endswith("conv2"):
                module.reset_parameters()

    networks.StripVAE.initialise = initialise


def blocks_start_active() -> None:
    ours = networks.StripVAE.initialise

    def initialise(model: networks.StripVAE) -> None:
        ours(model)
        for module in model.modules():
            if isinstance(module, networks.ResNetBlock):
                module.conv2.reset_parameters()

    networks.StripVAE.initialise = initialise


def stem(cell: int, stages: int) -> None:
    networks.STEM, networks.STAGES = cell, stages


def shuffled_panels(strips: Tensor, share: float) -> Tensor:
    """Half of the batches get their panels from different strips."""
    strips = augment(strips, share)
    if torch.rand(()) < 0.5:
        return strips
    return torch.stack([strips[torch.randperm(len(strips)), i] for i in range(3)], dim=1)


LEVERS: dict[str, Callable[[], None] | dict] = {
    "as it is": {},
    "GroupNorm": put("ResNetBlock", GroupNormBlock),
    "BatchNorm": put("ResNetBlock", BatchNormBlock),
    "dense layers at full speed": put("DENSE_SPEED", 1.0),
    "dense layers at a tenth": put("DENSE_SPEED", 0.1),
    "dense layers at a fiftieth": put("DENSE_SPEED", 0.02),
    "dense layers at a thousandth": put("DENSE_SPEED", 0.001),
    "dense layers start as identity": put("low_frequencies", identity),
    "dense layers start as random rotation": put("low_frequencies", random_rotation),
    "convolutions start as torch's": torchs_own_start,
    "blocks start active": blocks_start_active,
    "log std starts at -3": put("INITIAL_LOG_STD", -3.0),
    "stem 4; three stages": lambda: stem(4, 3),
    "stem 8; three stages": lambda: stem(8, 3),
    "stem 2; four stages": lambda: stem(2, 4),
    "full resolution; five stages": lambda: stem(1, 5),
    "transposed convolutions": put("PanelDecoder", TransposingDecoder),
    "pixel shuffle": put("PanelDecoder", ShufflingDecoder),
    "linear output": lambda: setattr(torch, "tanh", lambda x: x),
    "ReLU": put("F.silu", F.relu),
    "GELU": put("F.silu", lambda x: F.gelu(x, approximate="tanh")),
    "beta 1e-6": {"beta": 1e-6},
    "beta 1e-5": {"beta": 1e-5},
    "beta 1e-4": {"beta": 1e-4},
    "learning rate 1e-3": {"lr": 1e-3},
    "learning rate 4e-3": {"lr": 4e-3},
    "no warm-up": {"warmup": 1},
    "cosine to zero": {"cosine": True},
    "no averaging of weights": {"average": False},
    "Adam's second moment over 1,000 steps": {"adam": (0.9, 0.999)},
    "beta rises over 60 steps": {"beta_warmup": 60},
    "no clipping": {"clip": float("inf")},
    "float32": {"precision": "32-true"},
    "bf16": {"precision": "bf16-mixed"},
    "contiguous memory": {"memory_format": torch.contiguous_format},
    "batch 4": {"batch": 4},
    "batch 16": {"batch": 16},
    "batch 64": {"batch": 64},
    "c_hidden 4": {"c_hidden": 4, "lr": LEARNING_RATE_PER_WIDTH / 4},
    "c_hidden 8": {"c_hidden": 8, "lr": LEARNING_RATE_PER_WIDTH / 8},
    "c_hidden 12": {"c_hidden": 12, "lr": LEARNING_RATE_PER_WIDTH / 12},
    "c_hidden 16": {"c_hidden": 16, "lr": LEARNING_RATE_PER_WIDTH / 16},
    "num_blocks 1": {"num_blocks": 1},
    "num_blocks 4": {"num_blocks": 4},
    "not augmented": {"augment": lambda strips, share: strips},
    "mirrored and shifted only": lambda: setattr(augmenting, "LEAST_SHOWN", 1.0),
    "panels of different strips": {"augment": shuffled_panels},
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--list", action="store_true", help="print the levers and stop")
    parser.add_argument("--levers", default=",".join(LEVERS), help="which, with commas")
    parser.add_argument("--strips", type=Path, help="folder of strips; 1,000 drawn if not given")
    parser.add_argument("--seconds", type=float, default=120, help="processor time (default: 120)")
    parser.add_argument("--steps", type=int, help="steps of training, instead of seconds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stores", type=Path, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.list:
        print("\n".join(LEVERS))
    elif options.stores:
        training, held_out = (PanelStore.open(path) for path in options.stores)
        run_lever(options, training, held_out)
    else:
        with tempfile.TemporaryDirectory(prefix="ablations-") as name:
            strips = options.strips or draw(Path(name), 1000)
            stores = [str(store.path) for store in split_weeks(strips.resolve(), Path(name))]
            for lever in options.levers.split(","):
                command = [sys.executable, __file__, "--levers", lever, "--stores", *stores]
                command += ["--seconds", str(options.seconds), "--seed", str(options.seed)]
                command += ["--steps", str(options.steps)] if options.steps else []
                subprocess.run(command, check=False)


def run_lever(options: argparse.Namespace, training: PanelStore, held_out: PanelStore) -> None:
    recipe, change = dict(RECIPE), LEVERS[options.levers]
    recipe |= change if isinstance(change, dict) else {}
    if callable(change):
        change()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    sizes = {name: recipe[name] for name in ("z_dim", "c_hidden", "num_blocks")}
    precision = choose_precision(TrainOptions(precision=recipe["precision"], accelerator="cpu"))
    model = networks.StripVAE(**sizes).to(memory_format=recipe["memory_format"])
    averaged = AveragedModel(model, multi_avg_fn=power_average, use_buffers=True)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=1.0, betas=recipe["adam"], weight_decay=0.01, fused=True
    )
    rng, share = np.random.default_rng(options.seed), augmented_share(len(training))
    running, order, step, began = 0.3, [], 0, time.process_time()

    def progress() -> float:
        if options.steps:
            return step / options.steps
        return (time.process_time() - began) / options.seconds

    while (done := progress()) < 1:
        cosine = np.cos(np.pi * done) / 2 + 0.5 if recipe["cosine"] else 1.0
        warmth = min(1, (step + 1) / recipe["warmup"])
        optimizer.param_groups[0]["lr"] = recipe["lr"] * warmth * cosine
        if len(order) < recipe["batch"]:
            order = rng.permutation(len(training)).tolist()
        rows, order = order[: recipe["batch"]], order[recipe["batch"] :]
        strips = recipe["augment"](to_unit(torch.from_numpy(training.panels[rows])), share)
        with autocast(precision):
            reconstruction, mean, log_std = model(strips)
        error = distortion(strips, reconstruction)
        running += 0.05 * (error.item() - running)
        beta = recipe["beta"]
        if beta == "auto":
            beta = calibrated_beta(running, strips[0].numel())
        beta *= ramp(step, recipe["beta_warmup"])
        (error + beta * rate(mean, log_std).mean()).backward()
        nn.utils.clip_grad_norm_(model.parameters(), recipe["clip"])
        optimizer.step()
        optimizer.zero_grad()
        averaged.update_parameters(model)
        step += 1
    seconds = (time.process_time() - began) / (step * recipe["batch"])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    chosen = averaged.module if recipe["average"] else model
    mse = held_out_mse(chosen.eval(), held_out, precision)
    print(
        f"{options.levers:40} held-out {mse:.4f}   training {running:.4f}   {step:5} steps   "
        f"{1000 * seconds:4.0f} ms/strip   {peak:.2f} GB",
        flush=True,
    )


@torch.no_grad()
def held_out_mse(model: networks.StripVAE, held_out: PanelStore, precision: str) -> float:
    """Of reconstructions from the posterior mean, over all pixel values in [-1, 1]."""
    total = 0.0
    for start in range(0, len(held_out), 16):
        strips = to_unit(torch.from_numpy(np.array(held_out.panels[start : start + 16])))
        with autocast(precision):
            reconstruction = model.decode(model.encode(strips)[0])
        total += distortion(strips, reconstruction).item() * len(strips)
    return total / len(held_out)


def autocast(precision: str) -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed")


if __name__ == "__main__":
    main()
