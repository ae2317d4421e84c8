"""The baseline: the published strip VAE of 2021 and its recipe, written from a description of it.

Only benchmarks use it. It follows what is known about the published system (layers, sizes, loss,
optimizer), not its code, and has its parameter count: 97,085,546 at z_dim 1024, c_hidden 6,
num_blocks 2. Ours is `garfield_vae.model.networks.StripVAE`.

Inputs and outputs are those of StripVAE, so that the same code measures both. It cannot be trained
on a batch of one strip: BatchNorm after the dense layer has nothing to average over.
"""

import argparse
import itertools
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.levers import QUIET_TRAINER
from garfield_vae.data.store import PanelStore
from garfield_vae.model.elbo import distortion, objective, rate, reparameterise
from garfield_vae.training.callbacks import Deadline
from garfield_vae.training.data_module import StripData

LEARNING_RATE = 1e-3  # Adam, constant
BETA = 1e-4


def beta_at(epoch: int, beta: float = BETA) -> float:
    """The published schedule: four times as much from epoch 50 on, sixteen times from 100 on."""
    return beta * (16 if epoch >= 100 else 4 if epoch >= 50 else 1)


class Block(nn.Module):
    """A post-activation ResNet block with BatchNorm; `scale` "down" halves, "up" doubles."""

    def __init__(self, c_in: int, c_out: int, scale: str = "same"):
        super().__init__()
        if scale == "up":
            first = nn.ConvTranspose2d(c_in, c_out, 3, 2, padding=1, output_padding=1, bias=False)
            self.shortcut = nn.ConvTranspose2d(c_in, c_out, 1, 2, output_padding=1)
        elif scale == "down":
            first = nn.Conv2d(c_in, c_out, 3, 2, padding=1, bias=False)
            self.shortcut = nn.Conv2d(c_in, c_out, 1, 2)
        else:
            first = nn.Conv2d(c_in, c_out, 3, padding=1, bias=False)
            self.shortcut = nn.Identity()
        self.net = nn.Sequential(
            first,
            nn.BatchNorm2d(c_out),
            nn.ReLU(),
            nn.Conv2d(c_out, c_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(c_out),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.net(x) + self.shortcut(x))


class PublishedVAE(nn.Module):
    """Strips [B, 3, 3, 176, 200] in [-1, 1] → latent [B, z_dim] → strips; see the module's head."""

    def __init__(self, z_dim: int = 1024, c_hidden: int = 6, num_blocks: int = 2):
        super().__init__()
        widths = [c_hidden * 2**group for group in range(4)]
        layers = [
            nn.Conv2d(3, c_hidden, 3, padding=1, bias=False),
            nn.BatchNorm2d(c_hidden),
            nn.ReLU(),
        ]
        layers += [Block(c_hidden, c_hidden) for _ in range(num_blocks)]
        for narrow, wide in itertools.pairwise(widths):
            layers += [Block(narrow, wide, "down")]
            layers += [Block(wide, wide) for _ in range(num_blocks - 1)]
        self.map_shape = (widths[-1], 22, 25)
        flat = widths[-1] * 22 * 25
        self.encoder = nn.Sequential(
            *layers,  # [B, 3, 176, 200] → [B, 8·c, 22, 25]
            nn.Flatten(),
            nn.Linear(flat, 2 * z_dim),
            nn.BatchNorm1d(2 * z_dim),
            nn.ReLU(),
        )
        self.join = nn.Linear(6 * z_dim, 2 * z_dim)
        self.spread = nn.Linear(z_dim, 3 * z_dim)
        self.unflatten = nn.Linear(z_dim, flat)
        layers = [Block(widths[-1], widths[-1]) for _ in range(num_blocks)]
        for wide, narrow in zip(widths[:0:-1], widths[-2::-1], strict=True):
            layers += [Block(wide, narrow, "up")]
            layers += [Block(narrow, narrow) for _ in range(num_blocks - 1)]
        layers += [nn.Conv2d(c_hidden, 3, 3, padding=1, bias=False), nn.Tanh()]
        self.decoder = nn.Sequential(*layers)  # [B, 8·c, 22, 25] → [B, 3, 176, 200]

    def encode(self, strips: Tensor) -> tuple[Tensor, Tensor]:
        """Strips → posterior mean and log standard deviation, [B, z_dim] each."""
        features = torch.cat([self.encoder(panel) for panel in strips.unbind(1)], dim=1)
        mean, log_std = self.join(features).chunk(2, dim=1)  # [B, 6·z_dim] → 2 × [B, z_dim]
        return mean.clamp(-10, 10), log_std.clamp(-8, 3)

    def decode(self, z: Tensor) -> Tensor:
        """[B, z_dim] → strips in [-1, 1]."""
        panels = [
            self.decoder(self.unflatten(part).unflatten(1, self.map_shape))
            for part in self.spread(z).chunk(3, dim=1)
        ]
        return torch.stack(panels, dim=1)

    def forward(self, strips: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Strips → a reconstruction from one posterior sample, mean, log_std."""
        mean, log_std = self.encode(strips)
        return self.decode(reparameterise(mean, log_std)), mean, log_std


# -------------------------------------------------------------------------------------------------
# The published recipe, with the data loader that ours uses


class PublishedRecipe(LightningModule):
    def __init__(self, model: PublishedVAE):
        super().__init__()
        self.model, self.strips, self.seconds = model, 0, 0.0

    def on_train_batch_start(self, batch: Tensor, batch_idx: int) -> None:
        self.step_began = time.perf_counter()

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor | None:
        if len(batch) < 2:
            return None  # an epoch's last strip: the published training would end here
        reconstruction, mean, log_std = self.model(batch)
        mse, kl = distortion(batch, reconstruction), rate(mean, log_std)
        return objective(mse, kl, beta_at(self.current_epoch))

    def on_train_batch_end(self, outputs: dict, batch: Tensor, batch_idx: int) -> None:
        self.strips += len(batch)
        self.seconds += time.perf_counter() - self.step_began

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=LEARNING_RATE)


def main() -> None:
    parser = argparse.ArgumentParser(description="Trains the published model by its recipe.")
    parser.add_argument("--store", type=Path, required=True, help="panels-176x200.npy")
    parser.add_argument("--out", type=Path, required=True, help="file for weights and figures")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--z_dim", type=int, default=1024)
    parser.add_argument("--c_hidden", type=int, default=6)
    parser.add_argument("--num_blocks", type=int, default=2)
    options = parser.parse_args()

    torch.manual_seed(0)
    network = {name: getattr(options, name) for name in ("z_dim", "c_hidden", "num_blocks")}
    recipe = PublishedRecipe(PublishedVAE(**network))
    data = StripData(PanelStore.open(options.store), options.batch_size, seed=0)
    trainer = Trainer(
        max_epochs=-1,
        callbacks=[Deadline(options.minutes)],
        limit_val_batches=0,
        **QUIET_TRAINER,
        use_distributed_sampler=False,
    )
    trainer.fit(recipe, data)
    figures = {
        "strips": recipe.strips,
        "strips/s": recipe.strips / recipe.seconds,
        "beta": beta_at(trainer.current_epoch),
    }
    torch.save({"network": network, "weights": recipe.model.state_dict()} | figures, options.out)


if __name__ == "__main__":
    main()
