"""What a run's figures say of its health: a warning each, once, that names what to change."""

import math

import numpy as np
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint

from garfield_vae.data.store import PanelStore
from garfield_vae.model.elbo import calibrated_beta
from garfield_vae.training.module import WARMUP_STEPS

MEASURED_STRIPS = 32  # for the distortion of the mean strip
SETTLED_AFTER = 3  # epochs, and the warm-up of the learning rate


class HealthWarnings(Checkpoint):
    """Warns, once each, of steps that are too long, posterior collapse, and overfitting.

    Too long steps: training's distortion stands at half as much again as its best, or, after three
    epochs, a fifth above that of the mean strip, which a network draws that has learned nothing.
    Collapse: after three epochs under 1 % of the latent dimensions are active in training, or the
    rate is under a nat.
    Overfitting: held-out distortion stands a tenth above its best while training's is below that,
    or, after three epochs, half as much again as training's.
    Steps that are too long look like the other two, whose advice would not help: after that warning
    there is none.

    It is a Checkpoint only in order, as EpochRecord is.
    """

    def __init__(self) -> None:
        self.too_long = self.collapsed = self.overfitted = False
        self.best = self.best_training = self.mean_strip = math.inf

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.mean_strip = mean_strip_distortion(trainer.datamodule.store)

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        figures = {name: float(value) for name, value in trainer.callback_metrics.items()}
        settled = trainer.current_epoch >= SETTLED_AFTER - 1 and trainer.global_step >= WARMUP_STEPS
        self.judge_steps(trainer, module, figures["train/distortion"], settled)
        if settled and not self.too_long:
            self.judge_collapse(trainer, module, figures)
        if "validation/distortion" in figures and not self.too_long:
            self.judge_overfitting(trainer, module, figures, settled)

    def judge_steps(
        self, trainer: Trainer, module: LightningModule, training: float, settled: bool
    ) -> None:
        self.best_training = min(self.best_training, training)
        what = None
        if training > 1.5 * self.best_training:
            what = f"jumped to {training:.4f} from {self.best_training:.4f}"
        elif settled and training > 1.2 * self.mean_strip:
            what = f"is {training:.4f}, and {self.mean_strip:.4f} would be that of the mean strip"
        if what is not None and not self.too_long:
            self.too_long = True
            self.say(
                trainer,
                f"warning: training's distortion {what}: the steps are too long, try --lr "
                f"{module.lower_learning_rate():.2g}",
            )

    def judge_collapse(
        self, trainer: Trainer, module: LightningModule, figures: dict[str, float]
    ) -> None:
        active, z_dim = figures["train/active_units"], module.options.z_dim
        if self.collapsed or not (active < z_dim / 100 or figures["train/rate"] < 1):
            return
        self.collapsed = True
        beta = figures["train/beta"]
        good = float(calibrated_beta(figures["train/distortion"], module.dimensions))
        if module.options.beta == "auto":
            advice = (
                f"beta is calibrated: try shorter steps, --lr {module.lower_learning_rate():.2g}"
            )
        else:
            advice = (
                f"beta {beta:.2g} is too high for these strips, the calibrated value would be "
                f"{good:.2g} (--beta auto)"
            )
        self.say(
            trainer,
            f"warning: only {active:.0f} of {z_dim} latent dimensions are active and a strip "
            f"costs {figures['train/rate']:.1f} nats: {advice}",
        )

    def judge_overfitting(
        self, trainer: Trainer, module: LightningModule, figures: dict[str, float], settled: bool
    ) -> None:
        training, held_out = figures["train/distortion"], figures["validation/distortion"]
        self.best = min(self.best, held_out)
        rose = held_out > 1.1 * self.best and training < self.best
        if not self.overfitted and (rose or (settled and held_out > 1.5 * training)):
            self.overfitted = True
            beta, good = figures["train/beta"], float(calibrated_beta(held_out, module.dimensions))
            higher = f", and a higher beta (it is {beta:.2g}): --beta {good:.2g}" * (good > beta)
            self.say(
                trainer,
                f"warning: held-out distortion is {held_out:.4f} (its best was {self.best:.4f}) "
                f"and training's {training:.4f}: the network is overfitting. best.ckpt keeps the "
                f"best; more strips would help{higher}",
            )

    def say(self, trainer: Trainer, sentence: str) -> None:
        if trainer.is_global_zero:
            print(sentence, flush=True)
            if trainer.logger is not None:
                trainer.logger.experiment.add_text("warnings", sentence, trainer.global_step - 1)


def mean_strip_distortion(store: PanelStore) -> float:
    """Mean squared error, of strips in [-1, 1], of drawing the mean strip each time: the variance
    of a pixel value over some of the training strips."""
    rows = store.split("train")
    some = store.panels[rows[:: -(-len(rows) // MEASURED_STRIPS)]] / np.float32(127.5)
    return float(some.var(axis=0, ddof=1).mean()) if len(some) > 1 else math.inf
