"""What happens around the steps: a line an epoch, metrics.csv, checkpoints, pictures, warnings."""

import csv
import io
import time
from pathlib import Path
from typing import Any

import numpy as np
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint, TQDMProgressBar
from pytorch_lightning.utilities.exceptions import SIGTERMException

from garfield_vae.cli.options import TrainOptions
from garfield_vae.data.panels import join_panels
from garfield_vae.latent import samplers
from garfield_vae.latent.codec import decode, encode, reconstruct
from garfield_vae.latent.space import LatentSpace
from garfield_vae.model.elbo import calibrated_beta
from garfield_vae.training.module import Diverged
from garfield_vae.util.files import replacing
from garfield_vae.util.metrics_table import read_rows
from garfield_vae.util.pictures import pairs, save_png, sheet
from garfield_vae.util.progress import clock

SAVE_EVERY_SECONDS = 60.0
SHOWN_STRIPS = 6


class EpochRecord(Checkpoint):
    """A row of metrics.csv and, without a progress bar, a printed line after each epoch.

    It is a Checkpoint only in order: Lightning calls those when all else has logged.
    """

    def __init__(self, folder: Path, options: TrainOptions, printed: bool):
        self.path, self.options, self.printed = folder / "metrics.csv", options, printed
        self.rows = read_rows(self.path) if self.path.exists() else []

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.began, self.first_step = time.monotonic(), trainer.global_step
        # A continued run drops what came after the checkpoint that it goes on from.
        self.rows = [row for row in self.rows if int(row["epoch"]) <= trainer.current_epoch]

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        epoch = trainer.current_epoch + 1
        figures = {name: float(value) for name, value in trainer.callback_metrics.items()}
        row = {"epoch": epoch, "step": trainer.global_step} | dict(sorted(figures.items()))
        self.rows.append({name: f"{value:.8g}" for name, value in row.items()})
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        with replacing(self.path, "w") as file:
            file.write(text.getvalue())
        if self.printed:
            left = time_left(trainer, self.options, self.began, self.first_step)
            print(
                f"epoch {epoch}/{self.options.epochs}  "
                f"distortion {figures['train/distortion']:.4f}, "
                f"held out {figures.get('validation/distortion', float('nan')):.4f}  "
                f"rate {figures['train/rate']:.0f} nats  "
                f"active {figures['train/active_units']:.0f}  "
                f"{figures['train/strips_per_second']:.1f} strips/s  {clock(left)} left",
                flush=True,
            )


class RunProgressBar(TQDMProgressBar):
    """Lightning's bar with the figures that matter and the time the whole run still takes."""

    def __init__(self, options: TrainOptions):
        super().__init__()
        self.options = options

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.began, self.first_step = time.monotonic(), trainer.global_step
        super().on_train_start(trainer, module)

    def get_metrics(self, trainer: Trainer, module: LightningModule) -> dict[str, Any]:
        figures, shown = trainer.callback_metrics, {}
        for name, label in (("train/distortion", "train"), ("validation/distortion", "held out")):
            if name in figures:
                shown[label] = f"{float(figures[name]):.4f}"
        if trainer.global_step > self.first_step:
            left = time_left(trainer, self.options, self.began, self.first_step)
            shown["run left"] = clock(left)
        return shown


class RunCheckpoints(Checkpoint):
    """checkpoints/best.ckpt (lowest validation loss, weights only) and last.ckpt (resumable).

    last.ckpt is written at most once a minute, at the end, and when the run is interrupted; not
    when it diverged, since the last good weights are on disk by then, nor when it never began,
    since what it was to go on from is there.
    """

    def __init__(self, folder: Path):
        self.best_path = folder / "checkpoints" / "best.ckpt"
        self.last_path = folder / "checkpoints" / "last.ckpt"
        self.best_loss = float("inf")
        self.saved = -float("inf")

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        loss = trainer.callback_metrics.get("validation/loss")
        if loss is None or float(loss) < self.best_loss:
            self.best_loss = float("inf") if loss is None else float(loss)
            trainer.save_checkpoint(self.best_path, weights_only=True)
        # All ranks take part in saving, so all must agree on the time.
        due = time.monotonic() - self.saved > SAVE_EVERY_SECONDS
        if trainer.strategy.broadcast(due):
            self.save_last(trainer)

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        self.save_last(trainer)

    def on_exception(self, trainer: Trainer, module: LightningModule, error: Exception) -> None:
        told_to_stop = isinstance(error, KeyboardInterrupt | SIGTERMException)
        # With several ranks, only a signal is certain to have reached them all.
        worth_it = module.begun and not isinstance(error, Diverged)
        if worth_it and (told_to_stop or trainer.world_size == 1):
            self.save_last(trainer)

    def save_last(self, trainer: Trainer) -> None:
        trainer.save_checkpoint(self.last_path)
        self.saved = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        return {"best_loss": self.best_loss}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best_loss = state["best_loss"]


class RunPictures(Callback):
    """Reconstructions and samples in pictures/ and TensorBoard, ever more rarely: after epochs
    1, 2, 4, 8 … and the last.

    Samples come from noise that is the same each time, through a density fitted to the latents
    that the strips have by then: the same strip can be watched growing.
    """

    def __init__(
        self, folder: Path, train: np.ndarray, validation: np.ndarray, fitted_to: np.ndarray
    ):
        self.folder = folder / "pictures"
        self.strips = {"train": train, "validation": validation}  # uint8 [n, 3, 3, H, W]
        self.fitted_to = fitted_to  # uint8 strips whose latents give the density
        self.drawn_at = 0

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        if epoch & (epoch - 1) == 0:
            self.draw(trainer, module, epoch)

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        self.draw(trainer, module, trainer.current_epoch)

    def draw(self, trainer: Trainer, module: LightningModule, epoch: int) -> None:
        if not trainer.is_global_zero or epoch == self.drawn_at:
            return
        self.drawn_at = epoch
        model = module.averaged.module
        for split, strips in self.strips.items():
            if len(strips):
                labels = [f"{split} strip {i + 1}" for i in range(len(strips))]
                image = pairs(join_panels(strips), join_panels(reconstruct(model, strips)), labels)
                self.keep(trainer, epoch, f"reconstructions_{split}", image)
        means, _ = encode(model, self.fitted_to)
        space = LatentSpace.fit(means)
        latents = samplers.draw(space, 2 * SHOWN_STRIPS, np.random.default_rng(0))
        image = sheet(join_panels(decode(model, latents)), columns=2)
        self.keep(trainer, epoch, "samples", image)

    def keep(self, trainer: Trainer, epoch: int, name: str, image: Any) -> None:
        save_png(self.folder / f"epoch_{epoch:04d}_{name}.png", image)
        if trainer.logger is not None:
            trainer.logger.experiment.add_image(
                f"pictures/{name}", np.asarray(image), trainer.global_step, dataformats="HWC"
            )


class Deadline(Callback):
    """Ends the training, tidily, after so many minutes of this invocation."""

    def __init__(self, minutes: float):
        self.seconds = 60 * minutes

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.began = time.monotonic()

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        over = time.monotonic() - self.began > self.seconds
        trainer.should_stop |= trainer.strategy.reduce_boolean_decision(over, all=False)


class HealthWarnings(Callback):
    """Warns, once each, of a collapsed latent space, strips learnt by heart, steps too long.

    Collapse: under 1 % of the latent dimensions are active, or the rate is under a nat, after three
    epochs. Overfitting: training's and held-out distortion part, that is, held-out stands a tenth
    above its best while training's is below that, or half as much again as training's. Both name
    the beta that would be calibrated.
    Too long steps: training's distortion stands at half as much again as its best.
    """

    def __init__(self) -> None:
        self.collapsed = self.overfitted = self.jumped = False
        self.best = self.best_training = float("inf")

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        figures = {name: float(value) for name, value in trainer.callback_metrics.items()}
        active, held_out = figures["validation/active_units"], figures["validation/distortion"]
        z_dim = module.options.z_dim
        settled = trainer.current_epoch >= 2
        if settled and not self.collapsed and (active < z_dim / 100 or figures["train/rate"] < 1):
            self.collapsed = True
            good = float(calibrated_beta(figures["train/distortion"], module.dimensions))
            self.say(
                trainer,
                f"warning: only {active:.0f} of {z_dim} latent dimensions are active and a strip "
                f"costs {figures['train/rate']:.1f} nats: beta {figures['train/beta']:.2g} is too "
                f"high for these strips, the calibrated value would be {good:.2g} (--beta auto)",
            )
        training = figures["train/distortion"]
        self.best = min(self.best, held_out)
        rose = held_out > 1.1 * self.best and training < self.best
        if not self.overfitted and (rose or held_out > 1.5 * training):
            self.overfitted = True
            good = float(calibrated_beta(held_out, module.dimensions))
            self.say(
                trainer,
                f"warning: held-out distortion is {held_out:.4f} (its best was {self.best:.4f}) "
                f"and training's {training:.4f}: the strips are being learnt by heart. best.ckpt "
                f"keeps the best; more strips would help, and beta {figures['train/beta']:.2g} "
                f"where the held-out error calibrates to {good:.2g}",
            )
        self.best_training = min(self.best_training, training)
        if not self.jumped and training > 1.5 * self.best_training:
            self.jumped = True
            self.say(
                trainer,
                f"warning: training's distortion jumped to {training:.4f} from "
                f"{self.best_training:.4f}: the steps are too long, try --lr "
                f"{module.peak_learning_rate() / 2:.2g}",
            )

    def say(self, trainer: Trainer, sentence: str) -> None:
        if trainer.is_global_zero:
            print(sentence, flush=True)
            if trainer.logger is not None:
                trainer.logger.experiment.add_text("warnings", sentence, trainer.global_step)


def time_left(trainer: Trainer, options: TrainOptions, began: float, first_step: int) -> float:
    """Seconds that the run still takes, from its steps since `began`, or until its deadline."""
    seconds = time.monotonic() - began
    to_do = trainer.num_training_batches * options.epochs - trainer.global_step
    left = seconds / (trainer.global_step - first_step) * to_do
    return left if options.minutes is None else min(left, 60 * options.minutes - seconds)
