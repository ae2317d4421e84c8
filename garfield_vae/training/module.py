"""One training step, and how a strip is judged: the LightningModule around StripVAE.

A step is `training_step`: augment a batch, encode it, sample the posterior, decode the sample,
minimise distortion + beta · rate (model/elbo.py). The rest is when, how fast, and what is logged.

Neither the learning rate nor the average of the weights depends on the planned length of the run:
the rate falls with the square root of the step, the average covers the latest part of the run so
far. So a run can be stopped at any time and continued for any time, and four epochs give the same
weights as two and then two more.
"""

import time

import torch
from pytorch_lightning import LightningModule
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from garfield_vae.checkpoints import OLD_FORMAT, record
from garfield_vae.cli.options import TrainOptions
from garfield_vae.model.elbo import (
    ACTIVE_VARIANCE,
    calibrated_beta,
    distortion,
    implied_sigma,
    objective,
    ramp,
    rate,
)
from garfield_vae.model.networks import StripVAE
from garfield_vae.old_formats import convert_checkpoint
from garfield_vae.training.augment import augment, augmented_share
from garfield_vae.util.errors import UserError

# The highest stable learning rate of Adam falls with the network's width (Yang et al. 2021,
# "Tensor Programs V"): this over c_hidden. Twice as much diverges.
LEARNING_RATE_PER_WIDTH = 0.01
DENSE_LEARNING_RATE = 0.005  # of the dense layers, as a share of the convolutions'
WARMUP_STEPS = 50
DECAY_FROM_STEP = 1000  # the learning rate is constant up to here, and falls from here on
AVERAGE_GAMMA = 6.94  # the average's width is a tenth of the steps so far (EDM2)
WEIGHT_DECAY = 0.01
CLIP_NORM = 1.0
RUNNING_SHARE = 0.01  # weight of the newest batch in the running distortion that sets auto beta


class Diverged(UserError):
    """The loss is NaN or infinite; checkpoints on disk are from before."""


class StripModule(LightningModule):
    """Trains a StripVAE by the options, on batches of strips [B, 3, 3, H, W] in [-1, 1].

    `vae` is what the optimizer changes; `averaged.module` is the average of its weights, which is
    validated, shown and kept.
    """

    def __init__(self, options: TrainOptions):
        super().__init__()
        self.options = options
        self.vae = StripVAE(
            z_dim=options.z_dim,
            c_hidden=options.c_hidden,
            num_blocks=options.num_blocks,
            panel_height=options.panel_height,
            panel_width=options.panel_width,
        )
        self.averaged = AveragedModel(self.vae, multi_avg_fn=power_average, use_buffers=True)
        self.averaged.requires_grad_(False)
        self.register_buffer("running_distortion", torch.tensor(float("nan")))
        self.dimensions = 9 * options.panel_height * options.panel_width  # pixel values of a strip
        self.train_means, self.validation_means = MeanVariance(), MeanVariance()
        self.augmented = 0.0  # share of the training strips that are augmented
        self.begun = False  # whether it trains, with all of a checkpoint that was to be read

    def beta_now(self) -> Tensor:
        """The weight of the rate at this step: the option's, or the calibrated one, warmed up."""
        if self.options.beta == "auto":
            beta = calibrated_beta(self.running_distortion, self.dimensions)
        else:
            beta = torch.tensor(self.options.beta, device=self.device)
        return beta * ramp(self.global_step, self.options.beta_warmup)

    def on_train_start(self) -> None:
        self.check_optimizer()
        self.begun = True
        if self.options.augment == "auto":
            self.augmented = augmented_share(len(self.trainer.datamodule.store.split("train")))
        else:
            self.augmented = self.options.augment
        self.start_clock()  # a run that goes on in the middle of an epoch never starts that one

    def on_train_epoch_start(self) -> None:
        self.start_clock()

    def start_clock(self) -> None:
        self.epoch_began = self.last_step_ended = time.perf_counter()
        self.strips_seen = 0

    def on_train_batch_start(self, batch: Tensor, batch_idx: int) -> None:
        # All that is random in a step follows from (seed, step, rank) alone, so that a run that
        # was stopped anywhere goes on as if it had not been.
        torch.manual_seed(hash((self.options.seed, self.global_step, self.global_rank)) % 2**63)

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        batch = augment(batch, self.augmented)
        reconstruction, mean, log_std = self.vae(batch)
        mse, kl = distortion(batch, reconstruction), rate(mean, log_std)
        self.follow_distortion(mse.detach())
        beta = self.beta_now()
        loss = objective(mse, kl, beta)
        if not torch.isfinite(loss):
            raise Diverged(
                f"the loss became {loss.item()} in epoch {self.current_epoch + 1}, step "
                f"{self.global_step + 1}: the last good checkpoint is kept, try a lower --lr "
                f"or --precision 32-true"
            )
        self.train_means.add(mean.detach())
        self.log_epoch("train", len(batch), loss=loss, distortion=mse, rate=kl.mean(), beta=beta)
        return loss

    def check_optimizer(self) -> None:
        """Raises ValueError if a checkpoint's optimizer state has other shapes than the parameters,
        which torch does not check."""
        optimizer = self.trainer.optimizers[0]
        for parameter in self.vae.parameters() if self.global_step else ():
            state = optimizer.state[parameter]
            wanted = {"step": (), "exp_avg": parameter.shape, "exp_avg_sq": parameter.shape}
            if {name: tuple(value.shape) for name, value in state.items()} != wanted:
                raise ValueError("the optimizer's state is of another network")

    def follow_distortion(self, mse: Tensor) -> None:
        mse = self.trainer.strategy.reduce(mse, reduce_op="mean")
        share = torch.where(self.running_distortion.isnan(), 1.0, RUNNING_SHARE)
        self.running_distortion.copy_(torch.lerp(self.running_distortion.nan_to_num(), mse, share))

    def on_train_batch_end(self, outputs: dict, batch: Tensor, batch_idx: int) -> None:
        self.averaged.update_parameters(self.vae)
        self.strips_seen += len(batch)
        self.last_step_ended = time.perf_counter()

    def on_train_epoch_end(self) -> None:
        seconds = self.last_step_ended - self.epoch_began
        self.log_state(
            "train", self.train_means, self.strips_seen * self.trainer.world_size, seconds
        )
        self.log("train/learning_rate", self.trainer.optimizers[0].param_groups[0]["lr"])

    def on_validation_epoch_start(self) -> None:
        torch.manual_seed(self.options.seed)  # the same noise each time, so that epochs compare
        self.validation_began, self.validation_seen = time.perf_counter(), 0

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        reconstruction, mean, log_std = self.averaged(batch)
        mse, kl = distortion(batch, reconstruction), rate(mean, log_std)
        beta = self.beta_now()
        loss = objective(mse, kl, beta)
        self.validation_means.add(mean)
        self.validation_seen += len(batch) * self.trainer.world_size
        self.log_epoch(
            "validation", len(batch), loss=loss, distortion=mse, rate=kl.mean(), beta=beta
        )

    def on_validation_epoch_end(self) -> None:
        seconds = time.perf_counter() - self.validation_began
        self.log_state("validation", self.validation_means, self.validation_seen, seconds)

    def log_epoch(self, stage: str, batch_size: int, **figures: Tensor) -> None:
        self.log_dict(
            {f"{stage}/{name}": value for name, value in figures.items()},
            on_step=False,
            on_epoch=True,
            batch_size=batch_size,
            sync_dist=True,
        )

    def log_state(self, stage: str, means: "MeanVariance", strips: int, seconds: float) -> None:
        variance = means.variance(self.trainer.strategy.reduce)
        self.log(f"{stage}/active_units", float((variance > ACTIVE_VARIANCE).sum()))
        self.log(f"{stage}/sigma", implied_sigma(float(self.beta_now()), self.dimensions))
        self.log(f"{stage}/strips_per_second", strips / max(seconds, 1e-9))
        means.clear()

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        checkpoint["garfield_vae"] = record(self.options, self.vae.config)

    def on_load_checkpoint(self, checkpoint: dict) -> None:
        if checkpoint["garfield_vae"]["format"] == OLD_FORMAT:
            convert_checkpoint(checkpoint)

    def configure_optimizers(self) -> dict:
        groups = parameter_groups(self.vae, self.peak_learning_rate())
        optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.99), fused=True)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, learning_rate_factor)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def peak_learning_rate(self) -> float:
        lr, c_hidden = self.options.lr, self.options.c_hidden
        return LEARNING_RATE_PER_WIDTH / c_hidden if lr == "auto" else lr

    def configure_gradient_clipping(
        self, optimizer: torch.optim.Optimizer, **settings: object
    ) -> None:
        # Lightning's own clipping refuses a fused optimizer in mixed precision.
        torch.nn.utils.clip_grad_norm_(self.vae.parameters(), CLIP_NORM)


def parameter_groups(vae: StripVAE, lr: float) -> list[dict]:
    """AdamW's parameter groups: what is decayed, and what learns at which rate.

    Weight decay is for the convolutions' weights, not for biases. A dense weight sees one example a
    strip where a convolution's sees hundreds, and overfits at the same rate (see networks.py).
    """
    convolutions = [*vae.encoder.parameters(), *vae.decoder.parameters()]
    dense = [*vae.join.parameters(), *vae.spread.parameters()]
    return [
        {"params": [p for p in convolutions if p.ndim > 1], "lr": lr, "weight_decay": WEIGHT_DECAY},
        {"params": [p for p in convolutions if p.ndim == 1], "lr": lr, "weight_decay": 0.0},
        {"params": dense, "lr": lr * DENSE_LEARNING_RATE, "weight_decay": 0.0},
    ]


def learning_rate_factor(step: int) -> float:
    """Share of the peak learning rate at a step: linear warm-up, constant, then 1/√step.

    Karras et al. (2024), "Analyzing and Improving the Training Dynamics of Diffusion Models",
    equation 67.
    """
    return min(1.0, (step + 1) / WARMUP_STEPS) / max(1.0, step / DECAY_FROM_STEP) ** 0.5


def power_average(averaged: list[Tensor], current: list[Tensor], steps: Tensor) -> None:
    """Adds the current weights to the average of those of `steps` earlier steps, in place.

    The power-function EMA of Karras et al. (2024), equation 2. Its length is a fixed share of the
    run so far instead of a fixed number of steps: a short run forgets its first weights in time,
    and a long one is averaged over thousands of steps.
    """
    newest = 1 - (1 - 1 / (steps + 1.0)) ** (AVERAGE_GAMMA + 1)  # weight of the current ones
    for mean, value in zip(averaged, current, strict=True):
        mean.lerp_(value, newest)


class MeanVariance:
    """The variance of each latent dimension's posterior mean over all batches since `clear`."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.sums: Tensor | None = None  # [3, z]: number, sum and sum of squares

    def add(self, means: Tensor) -> None:  # [B, z]
        means = means.float()
        batch = torch.stack([torch.ones_like(means).sum(0), means.sum(0), means.square().sum(0)])
        self.sums = batch if self.sums is None else self.sums + batch

    def variance(self, reduce) -> Tensor:  # [z], over all ranks
        count, total, squares = reduce(self.sums.clone(), reduce_op="sum")
        return squares / count - (total / count).square()
