"""One training step, and how a strip is judged: the LightningModule around StripVAE.

A step is `training_step`: augment a batch, encode it, sample the posterior, decode the sample,
minimise distortion + beta · rate (model/elbo.py). The rest is when, how fast, and what is logged.

Neither the learning rate nor the average of the weights depends on the planned length of the run:
the rate falls as one over the square root of the step, the average covers the latest part of the
run so far. So a run can be stopped at any time and continued for any time, and four epochs give
the same weights as two and then two more.
"""

import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from garfield_vae.checkpoints import OLD_FORMAT, record
from garfield_vae.cli.options import TrainOptions
from garfield_vae.geometry import CHANNELS, PANELS
from garfield_vae.model.elbo import (
    ACTIVE_VARIANCE,
    calibrated_beta,
    distortion,
    implied_sigma,
    objective,
    ramp,
    rate,
    selection_loss,
)
from garfield_vae.model.networks import StripVAE
from garfield_vae.old_formats import convert_checkpoint
from garfield_vae.training.augment import augment, augmented_share
from garfield_vae.training.averaged_module import AveragedModule
from garfield_vae.training.cuda_graph import graphed
from garfield_vae.training.epoch_sums import FIGURES, EpochSums, statistics
from garfield_vae.training.optimizer import MuonAdamW
from garfield_vae.util.errors import UserError

# The highest stable learning rate of Adam falls with the network's width (Yang et al. 2021,
# "Tensor Programs V"): this over c_hidden. Half and twice as much learn alike
# (benchmarks/ablations.md).
LEARNING_RATE_PER_WIDTH = 0.01
MUON_LEARNING_RATE = 0.014  # of the hidden convolutions, whatever the width
DENSE_LEARNING_RATE = 0.005  # of the dense layers, as a share of AdamW's
WARMUP_STEPS = 50
DECAY_FROM_STEP = 1000  # the learning rate is constant up to here, and falls from here on
WEIGHT_DECAY = 0.12  # times the share of strips that is augmented: less where there are many
RUNNING_SHARE = 0.01  # weight of the newest batch in the running distortion that sets auto beta


class Diverged(UserError):
    """The loss is NaN or infinite; checkpoints on disk are from before."""


class StripModule(AveragedModule):
    """Trains a StripVAE by the options, on batches of strips [B, 3, 3, H, W] in [-1, 1].

    `vae` is what the optimizer changes; `averaged.module` is the average of its weights, which is
    validated, shown and kept. `dimensions` is the number of pixel values of a strip.
    """

    JUDGED_BY = ("validation/distortion", "validation/rate")

    def __init__(self, options: TrainOptions):
        super().__init__(options.seed)
        self.options = options
        self.vae = StripVAE(
            z_dim=options.z_dim,
            c_hidden=options.c_hidden,
            num_blocks=options.num_blocks,
            panel_height=options.panel_height,
            panel_width=options.panel_width,
        )
        self.average(self.vae)
        self.register_buffer("running_distortion", torch.tensor(float("nan")))
        self.dimensions = PANELS * CHANNELS * options.panel_height * options.panel_width
        self.train_sums, self.validation_sums = EpochSums(options.z_dim), EpochSums(options.z_dim)
        self.augmented = 0.0  # share of the training strips that are augmented
        self.keeps_optimizer = True  # false where a checkpoint's is of another kind
        self.loss_before: Tensor | None = None  # of the step before, on a GPU
        self.graph: Callable[[Tensor], tuple[Tensor, Tensor, Tensor]] | None = None

    @property
    def network(self) -> nn.Module:
        return self.vae

    def selection_loss(self, mse: float, kl: float) -> float:
        """What checkpoints are compared by, lower is better: see elbo.py."""
        return selection_loss(mse, kl, self.options.beta, self.dimensions)

    # --------------------------------------------------------------------------------------- a step

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        self.check(self.loss_before)
        batch = augment(batch, self.augmented)
        reconstruction, mean, log_std = self.forward_pass(batch)
        mse, kl = distortion(batch, reconstruction), rate(mean, log_std)  # scalar, [B]
        running_distortion = self.with_newest(mse.detach())
        beta = self.beta_now(running_distortion)
        loss = objective(mse, kl, beta)
        if loss.is_cuda:  # waiting for it here would leave the GPU without commands
            self.loss_before = loss.detach()
        else:
            self.check(loss)
        figures = torch.stack([loss, mse, kl.mean(), beta]).detach()
        # Taken into the run's state by on_train_batch_end, once the optimizer has stepped.
        self.of_this_step = running_distortion, figures, mean.detach()
        return loss

    def forward_pass(self, batch: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the network makes of a batch: as a CUDA graph for all batches but smaller ones."""
        whole = len(batch) == self.options.batch_size
        if not whole or not batch.is_cuda or self.options.compile or self.trainer.world_size > 1:
            return self.vae(batch)
        if self.graph is None:
            self.graph = graphed(self.vae, batch)
        return self.graph(batch)

    def check(self, loss: Tensor | None) -> None:
        """Raises Diverged for a loss that is no number. Nothing is saved of weights that are none
        (see RunCheckpoints), so that a step later is soon enough."""
        if loss is not None and not torch.isfinite(loss):
            raise Diverged(
                f"the loss became {loss.item()} in epoch {self.current_epoch + 1}, step "
                f"{self.global_step + (loss is not self.loss_before)}"
            )

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        reconstruction, mean, log_std = self.averaged(batch)
        mse, kl = distortion(batch, reconstruction), rate(mean, log_std)
        beta = self.beta_now()
        figures = torch.stack([objective(mse, kl, beta), mse, kl.mean(), beta])
        self.validation_sums.add(figures, mean)
        self.validation_seen += len(batch)

    def beta_now(self, running_distortion: Tensor | None = None) -> Tensor:
        """The weight of the rate at this step: the option's, or the calibrated one (by the running
        distortion so far, or by a newer one), warmed up."""
        if self.options.beta == "auto":
            running = self.running_distortion if running_distortion is None else running_distortion
            beta = calibrated_beta(running, self.dimensions)
        else:
            beta = torch.full((), self.options.beta, device=self.device)
        return beta * ramp(self.global_step, self.options.beta_warmup)

    def with_newest(self, mse: Tensor) -> Tensor:
        """The running distortion with this step's in it, which all processes agree on."""
        mse = self.trainer.strategy.reduce(mse, reduce_op="mean")
        share = torch.where(self.running_distortion.isnan(), 1.0, RUNNING_SHARE)
        return torch.lerp(self.running_distortion.nan_to_num(), mse, share)

    # -------------------------------------------------------------------------------- the optimizer

    def configure_optimizers(self) -> dict:
        strips = len(self.trainer.datamodule.store.split("train"))
        decay = WEIGHT_DECAY * augmented_share(strips)
        groups = parameter_groups(self.vae, self.peak_learning_rate(), decay)
        # A fused optimizer unscales float16's gradients itself, after they were clipped.
        fused = self.options.precision != "16-mixed"
        bf16 = self.trainer.precision == "bf16-mixed"
        dtype = torch.bfloat16 if bf16 else torch.float32
        optimizer = MuonAdamW(groups, dtype, betas=(0.9, 0.99), fused=fused)
        self.groups = [
            {name: value for name, value in group.items() if name != "params"}
            | {"initial_lr": group["lr"]}
            for group in optimizer.param_groups
        ]
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, learning_rate_factor)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def peak_learning_rate(self) -> float:
        lr = self.options.lr
        return LEARNING_RATE_PER_WIDTH / self.options.c_hidden if lr == "auto" else lr

    def lower_learning_rate(self) -> float:
        """What to try where the peak was too high: half of it, and no more than auto."""
        return min(self.peak_learning_rate() / 2, LEARNING_RATE_PER_WIDTH / self.options.c_hidden)

    # -------------------------------------------------------------------------------- around a step

    def on_train_start(self) -> None:
        if self.global_step and self.keeps_optimizer:
            # With float16 no step is taken while the loss's scale is too high.
            self.trainer.optimizers[0].check_state(
                may_be_empty=self.options.precision == "16-mixed"
            )
        self.follow_options()
        self.begun = True
        if self.options.augment == "auto":
            self.augmented = augmented_share(len(self.trainer.datamodule.store.split("train")))
        else:
            self.augmented = self.options.augment
        self.start_clock()  # a run that goes on in the middle of an epoch never starts that one

    def on_train_batch_end(self, outputs: dict, batch: Tensor, batch_idx: int) -> None:
        # All that a step changes, beside the weights, it changes here: a step that an error ended
        # has left nothing behind.
        running_distortion, figures, means = self.of_this_step
        self.running_distortion.copy_(running_distortion)
        self.train_sums.add(figures, means)
        super().on_train_batch_end(outputs, batch, batch_idx)
        self.strips_seen += len(batch)
        self.last_step_ended = time.perf_counter()

    def on_train_end(self) -> None:
        self.check(self.loss_before)

    def on_train_epoch_start(self) -> None:
        self.start_clock()

    def start_clock(self) -> None:
        self.epoch_began = self.last_step_ended = time.perf_counter()
        self.strips_seen = 0

    def on_train_epoch_end(self) -> None:
        seconds = self.last_step_ended - self.epoch_began
        self.log_epoch("train", self.train_sums, self.strips_seen, seconds)
        self.log("train/learning_rate", self.trainer.optimizers[0].param_groups[1]["lr"])  # AdamW's

    def on_validation_epoch_start(self) -> None:
        torch.manual_seed(self.options.seed)  # the same noise each time, so that epochs compare
        self.validation_sums.clear()
        self.validation_began, self.validation_seen = time.perf_counter(), 0

    def on_validation_epoch_end(self) -> None:
        seconds = time.perf_counter() - self.validation_began
        self.log_epoch("validation", self.validation_sums, self.validation_seen, seconds)

    def log_epoch(self, stage: str, sums: EpochSums, strips: int, seconds: float) -> None:
        """Logs an epoch's figures over all processes; `strips` in `seconds` are this one's."""
        # TensorBoard's axis: Lightning's own count of steps is off in a run that goes on.
        self.log("step", float(self.global_step - 1))
        means, variance = statistics(self.of_all_processes(sums))
        for name, mean in zip(FIGURES, means, strict=True):
            self.log(f"{stage}/{name}", mean)
        self.log(f"{stage}/active_units", float((variance > ACTIVE_VARIANCE).sum()))
        self.log(f"{stage}/sigma", implied_sigma(float(self.beta_now()), self.dimensions))
        speed = strips * self.trainer.world_size / max(seconds, 1e-9)
        self.log(f"{stage}/strips_per_second", speed)
        sums.clear()

    def of_all_processes(self, sums: EpochSums) -> Tensor:
        return self.trainer.strategy.reduce(sums.sums.to(self.device, copy=True), reduce_op="sum")

    # ---------------------------------------------------------------------------------- checkpoints

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        checkpoint["garfield_vae"] = record(self.options, self.vae.config)
        checkpoint["epoch_so_far"] = self.of_all_processes(self.train_sums).cpu()

    def on_load_checkpoint(self, checkpoint: dict) -> None:
        if checkpoint["garfield_vae"]["format"] == OLD_FORMAT:
            convert_checkpoint(checkpoint)
            self.keeps_optimizer = False
        # Only one process goes on with the sums of all.
        if "epoch_so_far" in checkpoint and self.global_rank == 0:
            self.train_sums.load(checkpoint["epoch_so_far"])

    def follow_options(self) -> None:
        """Puts the options' learning rate in place of the checkpoint's: all of the schedule
        follows from it and the number of steps."""
        (optimizer,), (schedule,) = self.trainer.optimizers, self.trainer.lr_scheduler_configs
        for group, configured in zip(optimizer.param_groups, self.groups, strict=True):
            group.update(configured)
        schedule.scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer, learning_rate_factor, last_epoch=self.global_step - 1
        )


def parameter_groups(vae: StripVAE, lr: float, decay: float) -> list[dict]:
    """Who updates which weights (see optimizer.py), which learn at which rate, which decay.

    Muon is for hidden layers: here the convolutions between feature maps, that is all but the first
    and the last of each network. AdamW, at the rate `lr`, has the others, and the biases, which do
    not decay. The weights' `decay` is the stronger, the fewer strips there are to overfit. A dense
    weight sees one example a strip where a convolution's sees hundreds, and overfits at the same
    rate (see networks.py).
    """
    encoder, decoder = vae.encoder, vae.decoder
    convolutions = [*encoder.parameters(), *decoder.parameters()]
    inner = [encoder.stages, decoder.stages, decoder.narrow]
    hidden = [p for module in inner for p in module.parameters() if p.ndim > 1]
    outer = [*encoder.stem.parameters(), *encoder.squeeze.parameters()]
    outer += [*decoder.widen.parameters(), *decoder.paint.parameters()]
    dense = [*vae.join.parameters(), *vae.spread.parameters()]
    muon_lr = MUON_LEARNING_RATE * lr * vae.config["c_hidden"] / LEARNING_RATE_PER_WIDTH
    return [
        {"params": hidden, "muon": True, "lr": muon_lr, "weight_decay": decay},
        {"params": [p for p in outer if p.ndim > 1], "lr": lr, "weight_decay": decay},
        {"params": [p for p in convolutions if p.ndim == 1], "lr": lr, "weight_decay": 0.0},
        {"params": dense, "lr": lr * DENSE_LEARNING_RATE, "weight_decay": 0.0},
    ]


def learning_rate_factor(step: int) -> float:
    """Share of the peak learning rate at a step: linear warm-up, constant, then 1/√step.

    Karras et al. (2024), "Analyzing and Improving the Training Dynamics of Diffusion Models",
    equation 67.
    """
    return min(1.0, (step + 1) / WARMUP_STEPS) / max(1.0, step / DECAY_FROM_STEP) ** 0.5
