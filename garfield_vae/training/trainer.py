"""From a run's options to Lightning: the module, the trainer, and the fit."""

import logging
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from pytorch_lightning import Callback, LightningDataModule, LightningModule, Trainer
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from garfield_vae.checkpoints import Progress, read_checkpoint, read_progress
from garfield_vae.cli.options import TrainOptions
from garfield_vae.data.store import PanelStore, Rows
from garfield_vae.run_folder import choose_device, is_run, multiplies_bf16
from garfield_vae.training.callbacks import (
    SHOWN_STRIPS,
    Deadline,
    EpochRecord,
    RunCheckpoints,
    RunPictures,
    RunProgressBar,
)
from garfield_vae.training.checkpoint_io import WholeCheckpoints
from garfield_vae.training.health import HealthWarnings
from garfield_vae.training.interruption import Stopped, StopSignals
from garfield_vae.training.module import StripModule
from garfield_vae.training.processes import check_strategy, ended_while_waiting, told_of_waiting
from garfield_vae.training.tensorboard import FinalRecord, RunLogger, quiet_writer
from garfield_vae.util.commands import command
from garfield_vae.util.errors import UserError, lacks_memory
from garfield_vae.util.files import remedy

NOT_BEGUN = Progress(steps=0, epochs=0, mid_epoch=False)


def check_checkpoint(path: Path, options: TrainOptions) -> Progress:
    """How far the run was. Raises UserError where it cannot go on from there as the options say:
    here, where nothing is written yet, and before anything is made as large as they say."""
    checkpoint = read_checkpoint(path)
    try:
        with torch.device("meta"):
            StripModule(options).load_state_dict(checkpoint.get("state_dict"), assign=True)
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is damaged: it holds another network") from error
    done = read_progress(checkpoint, path)
    if done.epochs + done.mid_epoch > options.epochs:
        more = " and a part of the next" if done.mid_epoch else ""
        raise UserError(
            f"{done.epochs} epochs{more} are done, more than --epochs {options.epochs}: "
            f"give a larger number"
        )
    return done


def make_module(options: TrainOptions) -> StripModule:
    torch.manual_seed(options.seed)
    try:
        return StripModule(options)
    except ValueError as error:
        raise UserError(str(error)) from error


def quieten_lightning() -> None:
    """Turns off Lightning's log lines and warnings: the banner says what there is to say."""
    for library in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(library).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    warnings.filterwarnings("ignore", module="lightning_fabric")
    warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")


def make_trainer(
    options: TrainOptions,
    folder: Path | None,
    store: PanelStore | None,
    signals: StopSignals,
    done: Progress,
) -> Trainer:
    """Lightning's Trainer; the processes that are not the first (no store) only compute."""
    check_strategy(options.strategy)
    bar = options.progress_bar and sys.stderr.isatty()
    callbacks: list[Callback] = [HealthWarnings()]
    if options.minutes is not None:
        callbacks.append(Deadline(options.minutes))
    if bar:
        callbacks.append(RunProgressBar(options))
    if store is not None:
        train, validation = store.split("train"), store.split("validation")
        callbacks.append(FinalRecord(options, store))
        callbacks.append(EpochRecord(folder, options, store.digest, printed=not bar))
        callbacks.append(
            RunPictures(
                folder,
                store.panels[train[:SHOWN_STRIPS]],
                store.panels[validation[:SHOWN_STRIPS]],
                Rows(store.panels, train[:: max(1, len(train) // 512)]),
            )
        )
    # After EpochRecord, so that no checkpoint is ahead of metrics.csv.
    callbacks.append(RunCheckpoints(folder or Path(options.log_dir), signals))
    try:
        trainer = Trainer(
            accelerator=options.accelerator,
            devices=options.devices,
            num_nodes=options.num_nodes,
            strategy=options.strategy,
            precision=choose_precision(options),
            max_epochs=options.epochs,
            logger=RunLogger(folder, done.steps) if store is not None else False,
            callbacks=callbacks,
            plugins=[WholeCheckpoints()],
            enable_progress_bar=bar,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            log_every_n_steps=1,
            use_distributed_sampler=False,
        )
    except (ValueError, MisconfigurationException) as error:
        raise UserError(
            f"this machine has no --accelerator {options.accelerator} with --devices "
            f"{options.devices}, --strategy {options.strategy} and --precision "
            f"{options.precision}: {str(error).splitlines()[0]}"
        ) from error
    check_strategy(options.strategy, trainer.strategy)
    # Lightning's own handler of SIGTERM ends a run wherever its step is.
    trainer._signal_connector.register_signal_handlers = lambda: None
    return trainer


def choose_precision(options: TrainOptions) -> str:
    """bf16 where the hardware multiplies in it: half the bytes to move, and no loss to scale."""
    device = choose_device(options.accelerator)
    if options.precision == "16-mixed" and device.type == "cpu":
        raise UserError("--precision 16-mixed is for GPUs: take bf16-mixed or 32-true on a CPU")
    if options.precision != "auto":
        return options.precision
    return "bf16-mixed" if multiplies_bf16(device) else "32-true"


def fit(
    trainer: Trainer,
    module: LightningModule,
    data: LightningDataModule,
    resumed: Path | None,
    signals: StopSignals,
    discard: Callable[[], None] = lambda: None,
) -> None:
    """Trains a StripModule or a PriorModule to the end, or raises Stopped or Diverged.

    Checkpoints are in place then. `discard` removes what was made for a run that does not begin.
    """

    def abandon(number: int) -> None:
        if trainer.strategy.launcher is not None:  # it may have started the other processes
            trainer.strategy.launcher.kill(number)
        discard()

    processes = trainer.world_size
    try:
        with (
            signals,
            quiet_writer(),
            told_of_waiting(processes),
            ended_while_waiting(processes, abandon),
        ):
            trainer.fit(module, data, ckpt_path=resumed, weights_only=True)
    except SystemExit as error:  # what Lightning makes of a KeyboardInterrupt
        raise KeyboardInterrupt from error
    except (Stopped, UserError):  # CannotWrite, which is an OSError too, among them
        raise
    except torch.distributed.DistError as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"the processes of this run cannot reach each other: {reason}") from error
    except OSError as error:  # TensorBoard's own files
        raise UserError(
            f"the run stopped at a file that cannot be read or written ({error}): "
            f"{remedy(error)}, and go on with --continue_from"
        ) from error
    except Exception as error:
        if resumed is None or module.begun or lacks_memory(error):
            raise
        raise UserError(f"{resumed} is damaged: training cannot go on from it") from error


def what_to_try(options: TrainOptions, module: StripModule, folder: Path | None) -> str:
    """After a run diverged: a shorter step, from where the run was still good if that is kept."""
    lower = module.lower_learning_rate()
    advice = f"try a lower --lr, such as {lower:.2g}"
    if options.precision in ("auto", "16-mixed", "bf16-mixed"):
        advice += ", or --precision 32-true"
    # After far too long steps no checkpoint is worth going on from.
    if lower >= module.peak_learning_rate() / 2 and folder is not None and is_run(folder, "last"):
        go_on = command("train_torch.py", "--continue_from", folder, "--lr", f"{lower:.2g}")
        advice += f"; the last good checkpoint is kept: {go_on}"
    return advice
