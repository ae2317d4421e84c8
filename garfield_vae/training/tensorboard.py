"""What TensorBoard gets beside the curves: options, final figures, and the latent projector."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.loggers import TensorBoardLogger
from torch.utils.tensorboard.summary import hparams

from garfield_vae.cli.options import TrainOptions
from garfield_vae.data.panels import join_panels
from garfield_vae.data.store import PanelStore, Rows
from garfield_vae.latent.codec import encode
from garfield_vae.latent.space import LatentSpace
from garfield_vae.training.module import StripModule

PROJECTED = 2048  # strips: embeddings are text files, and a sprite has at most 8192² pixels
PROJECTED_DIMENSIONS = 32
SPRITE_SIZE = 64  # pixels: square, since the projector stretches a sprite to a square and torch
# arranges them in one


class RunLogger(TensorBoardLogger):
    """Lightning's logger, in the run's own folder; options.json is its record of the options.

    A run that goes on at `step` gives anew what the earlier process logged from there on, and
    TensorBoard shows it once. So what an epoch logs is logged at its last step, and what the end of
    training logs at the step after that.
    """

    def __init__(self, folder: Path, step: int):
        super().__init__(folder.parent, name="", version=folder.name, purge_step=step)

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        # Lightning adds the epoch to what is logged after validation and again after training.
        if "train/loss" not in metrics:
            metrics = {name: value for name, value in metrics.items() if name != "epoch"}
        super().log_metrics(metrics, step)

    def save(self) -> None:
        self.experiment.flush()


@contextmanager
def quiet_writer() -> Iterator[None]:
    """Keeps a fault of TensorBoard's writing thread from being printed as a traceback.

    Nothing is lost: the thread keeps the fault, and the next thing that is logged raises it.
    """
    before = threading.excepthook

    def hook(fault: threading.ExceptHookArgs) -> None:
        if not (isinstance(fault.exc_value, OSError) and "Writer" in type(fault.thread).__name__):
            before(fault)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = before


class FinalRecord(Callback):
    """The options as text at the start; the table of options and figures and the projector at the
    end."""

    def __init__(self, options: TrainOptions, store: PanelStore):
        self.options, self.store = options, store

    def on_train_start(self, trainer: Trainer, module: StripModule) -> None:
        rows = "\n".join(f"| {name} | {value} |" for name, value in asdict(self.options).items())
        text = f"| flag | value |\n|---|---|\n{rows}"
        trainer.logger.experiment.add_text("options", text, trainer.global_step)

    def on_train_end(self, trainer: Trainer, module: StripModule) -> None:
        log_options_beside_figures(trainer, self.options)
        log_projector(trainer, module, self.store)


def log_options_beside_figures(trainer: Trainer, options: TrainOptions) -> None:
    """The options beside the last figures, for TensorBoard's HParams table, which finds these as
    the ends of the curves of the same names."""
    flags = {name: str(value) for name, value in asdict(options).items()}
    figures = {n: float(v) for n, v in trainer.callback_metrics.items() if n != "step"}
    # SummaryWriter.add_hparams would open event files of its own.
    for summary in hparams(flags, figures):
        trainer.logger.experiment.file_writer.add_summary(summary)


def log_projector(trainer: Trainer, module: StripModule, store: PanelStore) -> None:
    """A few thousand strips as points in their first principal components, with small pictures."""
    rows = np.linspace(0, len(store) - 1, min(len(store), PROJECTED)).astype(int)
    model = module.averaged.module
    means, _ = encode(model, Rows(store.panels, rows))
    coordinates = LatentSpace.fit(means).coordinates(means)[:, :PROJECTED_DIMENSIONS]
    sprites = np.stack([sprite(store.panels[row]) for row in rows])
    trainer.logger.experiment.add_embedding(
        torch.from_numpy(coordinates),
        metadata=[store.names[row] for row in rows],
        label_img=torch.from_numpy(sprites).permute(0, 3, 1, 2) / 255,
        global_step=trainer.global_step,
        tag="strips",
    )


def sprite(panels: np.ndarray) -> np.ndarray:
    """A strip uint8 [3, 3, H, W] in the middle of a white square, uint8 [64, 64, 3]."""
    strip = Image.fromarray(join_panels(panels))
    strip.thumbnail((SPRITE_SIZE, SPRITE_SIZE), Image.Resampling.BOX)
    square = Image.new("RGB", (SPRITE_SIZE, SPRITE_SIZE), "white")
    square.paste(strip, ((SPRITE_SIZE - strip.width) // 2, (SPRITE_SIZE - strip.height) // 2))
    return np.asarray(square)
