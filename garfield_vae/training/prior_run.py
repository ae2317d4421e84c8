"""The second half of a training run: the latent prior, once the VAE is trained.

checkpoints/prior.ckpt        the weights with the lowest validation loss
checkpoints/prior-last.ckpt   the newest, with the state of the optimizer
prior/                        TensorBoard's curves and samples
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.callbacks import Checkpoint, EarlyStopping
from pytorch_lightning.plugins.environments import LightningEnvironment
from tqdm import tqdm

from garfield_vae.checkpoints import LoadedModel, averaged_weights, load_run, read_progress
from garfield_vae.cli.options import TrainOptions
from garfield_vae.data.panels import join_panels
from garfield_vae.data.store import PanelStore, Rows
from garfield_vae.latent.codec import decode, encode
from garfield_vae.latent.files import encoded_strips
from garfield_vae.latent.space import LatentSpace
from garfield_vae.model.prior import LatentPrior, worth_using
from garfield_vae.prior_checkpoints import (
    PRIOR_ENTRY,
    build_prior,
    gaussian_of,
    read_prior_checkpoint,
)
from garfield_vae.run_folder import choose_device
from garfield_vae.training.callbacks import RunCheckpoints
from garfield_vae.training.checkpoint_io import WholeCheckpoints
from garfield_vae.training.interruption import StopSignals
from garfield_vae.training.prior_module import BATCH, MOST_EPOCHS, LatentData, PriorModule
from garfield_vae.training.tensorboard import RunLogger
from garfield_vae.training.trainer import choose_precision, fit
from garfield_vae.util.pictures import save_png, sheet
from garfield_vae.util.progress import clock

VALIDATED_EVERY = 200  # steps, rounded to whole epochs
PATIENCE = 10  # validations without a lower loss
OVERFITTED = 1.05  # validation loss: worse than the untrained prior, on strips that it never saw
SAMPLES = 12  # in each picture


def train_prior(
    options: TrainOptions, folder: Path, store: PanelStore, signals: StopSignals
) -> bool:
    """Trains the prior of a run's best VAE, or goes on where it was stopped; does nothing and gives
    False where it is complete. Raises Stopped, as the VAE's training does."""
    loaded = load_run(folder, choose_device(options.accelerator))
    of = {"vae": loaded.digest, "strips": store.digest}
    begun = begun_prior(loaded, of)
    if begun.complete and (begun.minutes >= options.prior_minutes or begun.epochs >= MOST_EPOCHS):
        return False
    encoded = encoded_strips(loaded.model, loaded.digest, folder, store)
    train = store.split("train")
    data = latent_data(loaded, store, encoded.means, train, options.seed)
    torch.manual_seed(options.seed)
    prior = begun.prior or make_prior(loaded, encoded.space)
    prior.bf16 = choose_precision(options) == "bf16-mixed"
    module = PriorModule(prior, options.seed, options.prior_minutes, **of)
    print(
        f"prior       {sum(p.numel() for p in prior.parameters()):,} parameters, trained on "
        f"{len(train):,} latents for {clock(60 * options.prior_minutes - begun.seconds)}, or for "
        f"{MOST_EPOCHS} epochs",
        flush=True,
    )
    stop_early: list[Callback] = []
    if not begun.complete:  # else it gets more time, and its loss rises with the learning rate
        stop = EarlyStopping(
            "validation/loss",
            patience=PATIENCE,
            divergence_threshold=OVERFITTED,
            check_on_train_epoch_end=False,
        )
        stop_early.append(stop)
    trainer = Trainer(
        accelerator=options.accelerator,
        devices=1,
        plugins=[LightningEnvironment(), WholeCheckpoints()],  # one process, also under torchrun
        max_epochs=-1,
        check_val_every_n_epoch=max(1, round(VALIDATED_EVERY * BATCH / len(train))),
        logger=RunLogger(folder / "prior", begun.steps),
        callbacks=[
            *stop_early,
            PriorProgress(options.progress_bar),
            PriorPictures(folder, loaded),
            # After the others, so that no checkpoint is ahead of them.
            RunCheckpoints(folder, signals, best="prior", last="prior-last"),
        ],
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=10,
    )
    trainer._signal_connector.register_signal_handlers = lambda: None  # see make_trainer
    fit(trainer, module, data, begun.path, signals)
    print(f"prior       {verdict(folder)}", flush=True)
    return True


def latent_data(
    loaded: LoadedModel, store: PanelStore, means: np.ndarray, train: np.ndarray, seed: int
) -> LatentData:
    """What a prior is trained on: the latents of the rows `train` of a store, of which `means`
    [N, z_dim] has all, and of the same strips mirrored, which are encoded here."""
    mirrored = Rows(store.panels, train, lambda panels: panels[..., ::-1])
    mirrored_means, _ = encode(loaded.model, mirrored, "encoding mirrored strips")
    return LatentData(means[train], mirrored_means, means[store.split("validation")], seed)


def make_prior(loaded: LoadedModel, space: LatentSpace, **sizes: int | float) -> LatentPrior:
    """An untrained prior for a VAE's latents: the Gaussian with their mean and covariance. `sizes`
    of the network are LatentPrior's own where they are not given."""
    _, channels, height, width = loaded.model.code_shape
    prior = LatentPrior(
        z_dim=loaded.model.config["z_dim"],
        components=len(space.std),
        code_channels=channels,
        code_height=height,
        code_width=width,
        **sizes,
    )
    prior.fit_gaussian(**gaussian_of(space))
    return prior


@dataclass(frozen=True)
class Begun:
    """Where a prior's training goes on: the checkpoint, the prior in it, of whatever sizes it was
    begun with, and what else it says (see PriorModule)."""

    path: Path | None = None
    prior: LatentPrior | None = None
    steps: int = 0
    epochs: int = 0
    seconds: float = 0.0
    minutes: float = 0.0
    complete: bool = False


def begun_prior(loaded: LoadedModel, of: dict[str, str]) -> Begun:
    """How far a run's prior is; not begun where it is of another VAE or of other strips."""
    path = loaded.folder / "checkpoints" / "prior-last.ckpt"
    if not path.is_file():
        return Begun()
    checkpoint = read_prior_checkpoint(path)
    record = checkpoint[PRIOR_ENTRY]
    if {name: record[name] for name in of} != of:
        return Begun()
    prior = build_prior(record["config"], averaged_weights(checkpoint, path), path, loaded)
    said = {name: record[name] for name in ("seconds", "minutes", "complete")}
    done = read_progress(checkpoint, path)
    return Begun(path, prior.train().requires_grad_(True), done.steps, done.epochs, **said)


def verdict(folder: Path) -> str:
    """Whether samples are drawn from the best of the prior's checkpoints, in a sentence."""
    path = folder / "checkpoints" / "prior.ckpt"
    loss = read_prior_checkpoint(path)[PRIOR_ENTRY]["loss"]
    if worth_using(loss):
        what = "samples come from it"
    else:
        what = "it learned too little that generalises: samples come from the kernel density"
    return f"validation loss {loss:.3f} (1 for a single Gaussian): {what}"


class PriorProgress(Checkpoint):
    """A progress bar, or a line after each validation.

    It is a Checkpoint because Lightning calls those last, when all else has logged.
    """

    def __init__(self, bar: bool):
        self.bar = bar

    def on_train_start(self, trainer: Trainer, module: PriorModule) -> None:
        self.shown = tqdm(
            desc="latent prior",
            total=module.planned or None,
            initial=trainer.global_step,
            unit="step",
            disable=None if self.bar else True,
        )

    def on_train_batch_end(self, trainer: Trainer, module: PriorModule, *_: Any) -> None:
        self.shown.total = module.planned or None
        self.shown.update(trainer.global_step - self.shown.n)

    def on_validation_end(self, trainer: Trainer, module: PriorModule) -> None:
        loss = float(trainer.callback_metrics["validation/loss"])
        said = f"validation loss {loss:.3f}"
        self.shown.set_postfix_str(said)
        if self.shown.disable:
            steps = f"{trainer.global_step:,} of {module.planned or module.most_steps:,}"
            print(f"prior step {steps}  {said} (1 for a single Gaussian)", flush=True)

    def on_train_end(self, trainer: Trainer, module: PriorModule) -> None:
        module.complete = True
        self.shown.close()


class PriorPictures(Callback):
    """Samples in pictures/ and TensorBoard, after validations 1, 2, 4, 8 … and at the end, from the
    same noise each time."""

    def __init__(self, folder: Path, loaded: LoadedModel):
        self.folder, self.loaded = folder / "pictures", loaded
        self.validations, self.drawn_at = 0, -1

    def on_validation_end(self, trainer: Trainer, module: PriorModule) -> None:
        self.validations += 1
        if self.validations & (self.validations - 1) == 0:
            self.draw(trainer, module)

    def on_train_end(self, trainer: Trainer, module: PriorModule) -> None:
        self.draw(trainer, module)

    def draw(self, trainer: Trainer, module: PriorModule) -> None:
        step = trainer.global_step
        if step == self.drawn_at:
            return
        self.drawn_at = step
        prior = module.averaged.module.eval()
        latents = prior.sample(SAMPLES, generator=torch.Generator().manual_seed(0))
        strips = decode(self.loaded.model, latents.float().cpu().numpy())
        image = sheet(join_panels(strips), columns=2)
        save_png(self.folder / f"prior_step_{step:05d}_samples.png", image)
        trainer.logger.experiment.add_image(
            "pictures/samples", np.asarray(image), step, dataformats="HWC"
        )

    def state_dict(self) -> dict[str, int]:
        return {"validations": self.validations}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.validations = int(state["validations"])
