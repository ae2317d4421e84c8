"""Training the latent prior: the LightningModule around LatentPrior, and its batches.

The VAE is finished by then. What is trained on are the posterior means of its training strips,
[N, z_dim], which fit in memory.
"""

import time

import numpy as np
import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor, nn
from torch.utils.data import DataLoader

from garfield_vae import __version__
from garfield_vae.geometry import PANELS
from garfield_vae.model.prior import LatentPrior
from garfield_vae.prior_checkpoints import PRIOR_ENTRY, PRIOR_FORMAT
from garfield_vae.training.averaged_module import AveragedModule
from garfield_vae.training.data_module import OrderedBatches, ShuffledBatches, StripLoader
from garfield_vae.training.optimizer import MuonAdamW

BATCH = 128
LEARNING_RATE, MUON_LEARNING_RATE = 0.003, 0.055
WARMUP_STEPS = 50
WEIGHT_DECAY = 0.01
MIRRORED = 0.5  # of the examples
MOST_EPOCHS = 240  # so that the learning rate falls before strips are overfitted
PACE_FROM, PACE_TO = 10, 40  # the steps whose time says how many there is time for
LEAST_JUDGED = 512  # latents of a validation: fewer are judged several times, at other times t


class PriorModule(AveragedModule):
    """Trains a LatentPrior on batches of posterior means, for about `minutes`.

    Batches are [B, 2, z_dim]: of each strip and of the same strip mirrored, of which one is taken.
    Those of validation are [B, z_dim].

    vae, strips: digests of the VAE's checkpoint and of the strips whose latents they are, so that
    the prior is used and continued with those alone.

    The learning rate falls to 0 over the second half of the steps. How many there is time for is
    measured over the first forty (`planned` is 0 until then), and kept: a run that is stopped later
    than that goes on to the same weights.
    """

    JUDGED_BY = ("validation/loss",)

    def __init__(self, prior: LatentPrior, seed: int, minutes: float, vae: str, strips: str):
        super().__init__(seed)
        self.prior, self.minutes = prior, minutes
        self.of = {"vae": vae, "strips": strips}
        self.average(prior)
        self.planned, self.complete = 0, False
        self.seconds_before = 0.0  # of training, before this process went on

    @property
    def network(self) -> nn.Module:
        return self.prior

    @staticmethod
    def selection_loss(loss: float) -> float:
        """What checkpoints are compared by, lower is better."""
        return loss

    # ------------------------------------------------------------------------------------- a step

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        mirrored = (torch.rand(len(batch)) < MIRRORED).to(batch)
        latents = torch.where(mirrored[:, None] > 0, batch[:, 1], batch[:, 0])
        loss = self.prior.loss(latents, mirrored)
        self.log("train/loss", loss)
        return loss

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        prior, count = self.averaged.module, len(batch)
        generator = torch.Generator().manual_seed(batch_idx)  # so that validations compare
        t, noise = prior.draw_times(count, generator), prior.noise(count, generator)
        gaussian = prior.gaussian_errors(batch, t, noise).mean()  # so that 1 is one Gaussian
        for name, panels in (("loss", 0), ("loss_two_panels_known", PANELS - 1)):
            known = (torch.arange(PANELS) < panels).to(batch).expand(count, PANELS)
            errors = prior.errors(batch, t, noise, known)
            self.log(f"validation/{name}", errors.mean() / gaussian, batch_size=count)

    def on_train_batch_end(self, outputs: dict, batch: Tensor, batch_idx: int) -> None:
        super().on_train_batch_end(outputs, batch, batch_idx)
        self.plan()
        if 0 < self.planned <= self.global_step:
            self.trainer.check_val_every_n_epoch = 1  # the end is judged, whatever epoch it is in
            self.trainer.should_stop = True

    # ----------------------------------------------------------------------------- steps and time

    @property
    def seconds(self) -> float:
        """How long it has been trained, in all."""
        return self.seconds_before + time.monotonic() - self.began

    @property
    def most_steps(self) -> int:
        return MOST_EPOCHS * self.trainer.num_training_batches

    def plan(self) -> None:
        """Settles the number of steps, once the pace is known."""
        steps = self.global_step - self.first_step
        if steps == PACE_FROM:
            self.pace_began = time.monotonic()
        if steps == PACE_TO and not self.planned:
            pace = (time.monotonic() - self.pace_began) / (PACE_TO - PACE_FROM)
            left = int((60 * self.minutes - self.seconds) / max(pace, 1e-9))
            self.planned = min(self.global_step + max(left, 1), self.most_steps)

    def learning_rate_factor(self, step: int) -> float:
        """Share of the peak learning rate: linear warm-up, constant to the half, linear to 0."""
        decay = min(1.0, 2 * max(0.0, 1 - step / self.planned)) if self.planned else 1.0
        return min(1.0, (step + 1) / WARMUP_STEPS) * decay

    def on_fit_start(self) -> None:
        self.began = time.monotonic()

    def on_train_start(self) -> None:
        if self.global_step:
            self.trainer.optimizers[0].check_state()
        self.begun, self.first_step = True, self.global_step

    # -------------------------------------------------------------------------------- checkpoints

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        checkpoint[PRIOR_ENTRY] = self.of | {
            "format": PRIOR_FORMAT,
            "version": __version__,
            "config": self.prior.config,
            "loss": float(self.trainer.callback_metrics.get("validation/loss", 1.0)),
            "minutes": self.minutes,
            "planned": self.planned,
            "complete": self.complete,
            "seconds": self.seconds,
        }

    def on_load_checkpoint(self, checkpoint: dict) -> None:
        record = checkpoint[PRIOR_ENTRY]
        self.seconds_before = record["seconds"]
        if record["minutes"] == self.minutes:  # else there is time for another number of steps
            self.planned = record["planned"]

    # ---------------------------------------------------------------------------------- optimizer

    def configure_optimizers(self) -> dict:
        hidden = [p for p in self.prior.network.blocks.parameters() if is_hidden(p)]
        chosen = {id(p) for p in hidden}
        others = [p for p in self.prior.parameters() if id(p) not in chosen]
        muon = {"muon": True, "lr": MUON_LEARNING_RATE, "weight_decay": WEIGHT_DECAY}
        optimizer = MuonAdamW(
            [
                {"params": hidden, **muon},
                {"params": others, "lr": LEARNING_RATE, "weight_decay": 0.0},
            ],
            dtype=torch.bfloat16 if self.prior.bf16 else torch.float32,
            betas=(0.9, 0.99),
            fused=True,
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: self.learning_rate_factor(step)
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


def is_hidden(weight: Tensor) -> bool:
    """Whether it is a matrix between hidden layers; a block's modulation, six rows, is none."""
    return weight.ndim == 2 and min(weight.shape) > 6


class LatentData(LightningDataModule):
    """Posterior means as batches: those of training strips [n, z_dim], with those of the same
    strips mirrored [n, z_dim], and those of validation strips [m, z_dim]."""

    def __init__(self, train: np.ndarray, mirrored: np.ndarray, validation: np.ndarray, seed: int):
        super().__init__()
        self.seed = seed
        self.train = torch.from_numpy(np.stack([train, mirrored], axis=1, dtype=np.float32))
        times = -(-LEAST_JUDGED // len(validation))
        self.validation = torch.from_numpy(np.repeat(np.asarray(validation, np.float32), times, 0))

    def train_dataloader(self) -> DataLoader:
        batches = ShuffledBatches(
            np.arange(len(self.train)),
            BATCH,
            self.seed,
            first_batch=lambda: self.trainer.fit_loop.batch_idx + 1,
        )
        batches.set_epoch(self.trainer.current_epoch)
        return StripLoader(self.train, batch_size=None, sampler=batches)

    def val_dataloader(self) -> DataLoader:
        batches = OrderedBatches(np.arange(len(self.validation)), 2 * BATCH)
        return StripLoader(self.validation, batch_size=None, sampler=batches)
