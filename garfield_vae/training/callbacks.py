"""What happens around the steps: a line an epoch, metrics.csv, checkpoints, pictures."""

import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint, TQDMProgressBar

from garfield_vae.cli.options import TrainOptions
from garfield_vae.data.panels import join_panels
from garfield_vae.data.store import Rows
from garfield_vae.latent import samplers
from garfield_vae.latent.codec import decode, encode, reconstruct
from garfield_vae.latent.space import LatentSpace
from garfield_vae.run_folder import environment, write_json
from garfield_vae.training.interruption import Stopped, StopSignals
from garfield_vae.util.metrics_table import METRICS, read_rows, write_rows
from garfield_vae.util.pictures import pairs, save_png, sheet
from garfield_vae.util.progress import clock

SAVE_EVERY_SECONDS = 60.0
SHOWN_STRIPS = 6


class EpochRecord(Checkpoint):
    """options.json and environment.json when training begins; after each epoch a row of metrics.csv
    and, without a progress bar, a printed line.

    It is a Checkpoint only in order: Lightning calls those when all else has logged.
    """

    def __init__(self, folder: Path, options: TrainOptions, strips: str, printed: bool):
        self.folder, self.options, self.strips, self.printed = folder, options, strips, printed
        self.path = folder / METRICS
        self.rows = read_rows(self.path) if self.path.exists() else []

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        device = str(trainer.strategy.root_device)
        write_json(self.folder / "options.json", asdict(self.options))
        write_json(self.folder / "environment.json", environment(self.strips, device))
        self.began, self.first_step = time.monotonic(), trainer.global_step
        # A continued run drops what came after the checkpoint that it goes on from.
        self.rows = [row for row in self.rows if int(row["epoch"]) <= trainer.current_epoch]

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        figures = {name: float(value) for name, value in trainer.callback_metrics.items()}
        del figures["step"]  # that of TensorBoard's axis
        row = {"epoch": epoch, "step": trainer.global_step} | dict(sorted(figures.items()))
        self.rows.append({name: f"{value:.8g}" for name, value in row.items()})
        write_rows(self.path, self.rows)
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
    """checkpoints/best.ckpt (lowest `selection_loss`, weights only) and last.ckpt (resumable), or
    those of other names.

    The module says what it is judged by: the names of logged figures, and the loss that they are.
    last.ckpt is written once a minute, when a signal asks the run to stop, and at the end: always
    between two batches, where going on from it gives the same bits as never having stopped. An
    error writes none, for it may have come within a step.
    """

    def __init__(self, folder: Path, signals: StopSignals, best: str = "best", last: str = "last"):
        self.best_path = folder / "checkpoints" / f"{best}.ckpt"
        self.last_path = folder / "checkpoints" / f"{last}.ckpt"
        self.signals = signals
        self.best: tuple[float, ...] | None = None  # the figures of best.ckpt

    def on_fit_start(self, trainer: Trainer, module: LightningModule) -> None:
        module.between_batches = partial(self.between_batches, trainer, module)

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.saved = time.monotonic() if trainer.current_epoch else None

    def between_batches(self, trainer: Trainer, module: LightningModule) -> None:
        asked, decide = self.signals.asked is not None, trainer.strategy.reduce_boolean_decision
        # All processes take part in saving, so all must agree on it.
        if decide(asked or (trainer.training and self.is_due(trainer)), all=False):
            self.save_last(trainer, module)
            if decide(asked, all=False):
                raise Stopped

    def is_due(self, trainer: Trainer) -> bool:
        """After the first epoch, and a minute after the last time."""
        if self.saved is None:
            return trainer.current_epoch > 0
        return time.monotonic() - self.saved > SAVE_EVERY_SECONDS

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        figures = trainer.callback_metrics
        if not all(name in figures for name in module.JUDGED_BY):
            return
        new, loss = tuple(float(figures[name]) for name in module.JUDGED_BY), module.selection_loss
        if self.best is None or loss(*new) < loss(*self.best):
            self.best = new
            trainer.save_checkpoint(self.best_path, weights_only=True)

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        self.save_last(trainer, module)

    def save_last(self, trainer: Trainer, module: LightningModule) -> None:
        if not all(bool(p.isfinite().all()) for p in module.network.parameters()):
            return  # the next step says so; the weights on disk are from before
        if trainer.validating:
            # What a part of the validation came to is not kept: it begins again.
            progress = trainer.fit_loop.epoch_loop.val_loop.batch_progress
            progress.reset()
            progress.increment_ready()
            progress.increment_started()
        for logger in trainer.loggers:
            logger.save()  # or what comes before the checkpoint might be lost with the process
        trainer.save_checkpoint(self.last_path)
        self.saved = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        return {"best": None if self.best is None else list(self.best)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        best = state.get("best")  # earlier versions kept a loss of another beta
        if best is not None:
            if not all(isinstance(figure, float) for figure in best):
                raise TypeError("best holds values that are no floats")
            self.best = tuple(best)


class RunPictures(Callback):
    """Reconstructions and samples in pictures/ and TensorBoard, after epochs 1, 2, 4, 8 … and the
    last.

    Samples are of a kernel density that is fitted anew to the strips' latents, with the same seed
    each time, so that pictures of successive epochs can be compared.
    """

    def __init__(self, folder: Path, train: np.ndarray, validation: np.ndarray, fitted_to: Rows):
        self.folder = folder / "pictures"
        self.strips = {"train": train, "validation": validation}  # uint8 [n, 3, 3, H, W]
        self.fitted_to = fitted_to  # uint8 strips whose latents give the density
        self.drawn_at = 0

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        if epoch & (epoch - 1) == 0:
            self.draw(trainer, module, epoch, trainer.global_step - 1)

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        self.draw(trainer, module, trainer.current_epoch, trainer.global_step)

    def draw(self, trainer: Trainer, module: LightningModule, epoch: int, step: int) -> None:
        if epoch == self.drawn_at:
            return
        self.drawn_at = epoch
        model = module.averaged.module
        for split, strips in self.strips.items():
            if len(strips):
                labels = [f"{split} strip {i + 1}" for i in range(len(strips))]
                redrawn = reconstruct(model, strips, steps=0)  # what the networks learned so far
                image = pairs(join_panels(strips), join_panels(redrawn), labels)
                self.keep(trainer, epoch, step, f"reconstructions_{split}", image)
        means, _ = encode(model, self.fitted_to)
        space = LatentSpace.fit(means)
        latents = samplers.draw(space, 2 * SHOWN_STRIPS, np.random.default_rng(0))
        image = sheet(join_panels(decode(model, latents)), columns=2)
        self.keep(trainer, epoch, step, "samples", image)

    def keep(self, trainer: Trainer, epoch: int, step: int, name: str, image: Any) -> None:
        save_png(self.folder / f"epoch_{epoch:04d}_{name}.png", image)
        trainer.logger.experiment.add_image(
            f"pictures/{name}", np.asarray(image), step, dataformats="HWC"
        )


class Deadline(Callback):
    """Ends the training after a whole step, `minutes` after this process began it."""

    def __init__(self, minutes: float):
        self.seconds = 60 * minutes

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.began = time.monotonic()

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        over = time.monotonic() - self.began > self.seconds
        trainer.should_stop |= trainer.strategy.reduce_boolean_decision(over, all=False)


def time_left(trainer: Trainer, options: TrainOptions, began: float, first_step: int) -> float:
    """Seconds that the run still takes, from its steps since `began`, or until its deadline."""
    seconds = time.monotonic() - began
    to_do = trainer.num_training_batches * options.epochs - trainer.global_step
    left = seconds / max(1, trainer.global_step - first_step) * to_do
    return left if options.minutes is None else min(left, 60 * options.minutes - seconds)
