"""Training the latent prior: the LightningModule around LatentPrior, and its batches.

The VAE is finished by then. What is trained on are the posterior means of its training strips,
[N, z_dim], which fit in memory; a step costs a fraction of one of the VAE's.
"""

import time
from collections.abc import Callable

import numpy as np
import torch
from pytorch_lightning import LightningDataModule, LightningModule
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader, Dataset

from garfield_vae import __version__
from garfield_vae.checkpoints import PRIOR_ENTRY, PRIOR_FORMAT
from garfield_vae.geometry import PANELS
from garfield_vae.model.prior import LatentPrior
from garfield_vae.training.data_module import OrderedBatches, ShuffledBatches, StripLoader
from garfield_vae.training.module import learning_rate_factor, power_average
from garfield_vae.training.optimizer import MuonAdamW

BATCH = 128
LEARNING_RATE = 0.003
MUON_LEARNING_RATE = 0.02
CLIP_NORM = 1.0
LEAST_JUDGED = 512  # latents of a validation: fewer are judged several times, at other times t


class PriorModule(LightningModule):
    """Trains a LatentPrior on batches of posterior means [B, z_dim].

    vae, strips: digests of the VAE's checkpoint and of the strips whose latents they are, so that
    the prior is used and continued with those alone. `seconds` is how long it has been trained, in
    all; `complete` how many it was to be trained for, once it was.
    """

    JUDGED_BY = ("validation/loss",)

    def __init__(self, prior: LatentPrior, seed: int, vae: str, strips: str):
        super().__init__()
        self.prior, self.seed, self.of = prior, seed, {"vae": vae, "strips": strips}
        self.averaged = AveragedModel(prior, multi_avg_fn=power_average)
        self.averaged.requires_grad_(False)
        self.begun, self.seconds_before, self.complete = False, 0.0, 0.0
        self.between_batches: Callable[[], None] = lambda: None

    @property
    def network(self) -> nn.Module:
        return self.prior

    @staticmethod
    def selection_loss(loss: float) -> float:
        """What checkpoints are compared by, lower is better."""
        return loss

    @property
    def seconds(self) -> float:
        return self.seconds_before + time.monotonic() - self.began

    def on_fit_start(self) -> None:
        self.began = time.monotonic()

    def on_train_start(self) -> None:
        self.begun = True

    def on_before_batch_transfer(self, batch: Tensor, dataloader_idx: int) -> Tensor:
        self.between_batches()
        return batch

    def on_train_batch_start(self, batch: Tensor, batch_idx: int) -> None:
        # All that is random in a step follows from (seed, step): see StripModule.
        torch.manual_seed(hash((self.seed, self.global_step)) % 2**63)

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        loss = self.prior.loss(batch)
        self.log("train/loss", loss)
        return loss

    def on_train_batch_end(self, outputs: dict, batch: Tensor, batch_idx: int) -> None:
        self.averaged.update_parameters(self.prior)

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        prior, count = self.averaged.module, len(batch)
        generator = torch.Generator().manual_seed(batch_idx)  # so that epochs compare
        t = prior.draw_times(count, generator)
        noise = prior.noise(count, generator)
        for name, panels in (("loss", 0), ("loss_two_panels_known", PANELS - 1)):
            known = (torch.arange(PANELS) < panels).to(batch).expand(count, PANELS)
            errors = prior.errors(batch, t, noise, known)
            self.log(f"validation/{name}", errors.mean(), batch_size=count)

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        checkpoint[PRIOR_ENTRY] = self.of | {
            "format": PRIOR_FORMAT,
            "version": __version__,
            "config": self.prior.config,
            "loss": float(self.trainer.callback_metrics.get("validation/loss", 1.0)),
            "seconds": self.seconds,
            "complete": self.complete,
        }

    def on_load_checkpoint(self, checkpoint: dict) -> None:
        self.seconds_before = float(checkpoint[PRIOR_ENTRY]["seconds"])

    def configure_optimizers(self) -> dict:
        hidden = [p for p in self.prior.network.blocks.parameters() if is_hidden(p)]
        chosen = {id(p) for p in hidden}
        others = [p for p in self.prior.parameters() if id(p) not in chosen]
        optimizer = MuonAdamW(
            [
                {"params": hidden, "muon": True, "lr": MUON_LEARNING_RATE, "weight_decay": 0.01},
                {"params": others, "lr": LEARNING_RATE, "weight_decay": 0.0},
            ],
            betas=(0.9, 0.99),
            fused=True,
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, learning_rate_factor)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def configure_gradient_clipping(
        self, optimizer: torch.optim.Optimizer, **settings: object
    ) -> None:
        torch.nn.utils.clip_grad_norm_(self.prior.parameters(), CLIP_NORM)


def is_hidden(weight: Tensor) -> bool:
    """Whether it is a matrix between hidden layers, and no table with a row for each of a few."""
    return weight.ndim == 2 and min(weight.shape) > 6


class Rows(Dataset):
    """Rows [n] of an array at once."""

    def __init__(self, array: np.ndarray):
        self.array = array

    def __getitem__(self, rows: np.ndarray) -> Tensor:
        return torch.from_numpy(self.array[rows])


class LatentData(LightningDataModule):
    """Posterior means [N, z_dim] as batches: those of the training and of the validation rows."""

    def __init__(self, means: np.ndarray, train: np.ndarray, validation: np.ndarray, seed: int):
        super().__init__()
        self.train, self.seed = train, seed
        self.validation = np.repeat(validation, -(-LEAST_JUDGED // max(1, len(validation))))
        self.dataset = Rows(np.asarray(means, np.float32))

    def train_dataloader(self) -> DataLoader:
        batches = ShuffledBatches(
            self.train, BATCH, self.seed, first_batch=lambda: self.trainer.fit_loop.batch_idx + 1
        )
        batches.set_epoch(self.trainer.current_epoch)
        return StripLoader(self.dataset, batch_size=None, sampler=batches)

    def val_dataloader(self) -> DataLoader:
        batches = OrderedBatches(self.validation, 2 * BATCH)
        return StripLoader(self.dataset, batch_size=None, sampler=batches)
