"""Strips in, a trained StripVAE out.

    python3 train_torch.py --demo                 a picture in three minutes, no network needed
    python3 train_torch.py                        downloads the dailies and trains on them
    python3 train_torch.py --source folder --data_dir DIR      any folder of strips

Each run is a folder under logs/; `tensorboard --logdir logs` shows it while it trains.
"""

import garfield_vae  # noqa: F401  (before torch: it settles how torch's threads wait)

# isort: split
import argparse
import logging
import shutil
import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from garfield_vae.checkpoints import Progress, read_checkpoint, read_progress
from garfield_vae.cli.download_options import ABOUT, DownloadOptions
from garfield_vae.cli.flags import add_options, typed
from garfield_vae.cli.options import TrainOptions, train_options
from garfield_vae.data.sources import gather_strips, store_path
from garfield_vae.data.store import PanelStore
from garfield_vae.model.elbo import implied_sigma
from garfield_vae.run_folder import (
    find_checkpoint,
    find_run_folder,
    is_run,
    new_run_folder,
    read_options,
    trained_on,
)
from garfield_vae.training.callbacks import (
    SHOWN_STRIPS,
    Deadline,
    EpochRecord,
    HealthWarnings,
    RunCheckpoints,
    RunPictures,
    RunProgressBar,
)
from garfield_vae.training.checkpoint_io import WholeCheckpoints
from garfield_vae.training.data_module import StripData
from garfield_vae.training.interruption import Stopped, StopSignals
from garfield_vae.training.module import Diverged, StripModule
from garfield_vae.training.processes import (
    check_devices,
    check_strategy,
    is_first,
    told_of_waiting,
    with_launcher,
)
from garfield_vae.training.tensorboard import FinalRecord, RunLogger, quiet_writer
from garfield_vae.util.commands import command
from garfield_vae.util.errors import UserError, lacks_memory, run_script
from garfield_vae.util.files import remedy

# What --demo changes; flags that are typed beside it are obeyed. In two minutes a small network
# gets further than a large one (benchmarks/frontier.py).
DEMO = {"source": "drawn", "count": 1000, "minutes": 2.0, "c_hidden": 4}
BATCH_ON_CPU, BATCH_ELSEWHERE = 8, 32
NOT_BEGUN = Progress(steps=0, epochs=0, mid_epoch=False)


def main(arguments: Sequence[str] | None = None) -> int:
    # -------------------------------------------------------------- 1. what was asked for
    options, wanted, folder = read_command_line(arguments)
    quieten_lightning()

    # -------------------------------------------------------------- 2. network and objective
    resumed, done = find_checkpoint(folder, "last") if folder else None, NOT_BEGUN
    if resumed is not None:
        done = check_checkpoint(resumed, options)
        if done.epochs == options.epochs and not done.mid_epoch:
            more = command("train_torch.py", "--continue_from", folder, "--epochs", 2 * done.epochs)
            print(f"nothing left to do: all {done.epochs} epochs are done; for more: {more}")
            return 0
    module = make_module(options)

    # -------------------------------------------------------------- 3. strips
    # The first process gathers strips and builds the store at once. In `fit`, one process of every
    # other machine does the same there, and then all open what was built.
    first = is_first()
    store = gather_strips(options, wanted) if first else None
    data = StripData(
        store or store_path(options),
        options.batch_size,
        options.seed,
        options.num_workers,
        build=lambda: gather_strips(options, wanted),
    )

    # -------------------------------------------------------------- 4. the run's folder
    if new := first and folder is None:
        folder = new_run_folder(Path(options.log_dir), options.run_name)

    # -------------------------------------------------------------- 5. training
    signals = StopSignals()
    try:
        trainer = make_trainer(options, folder, store, signals, done)
        if first:
            print_banner(options, folder, store, module, trainer)
        if options.compile:
            module.vae.compile()
        fit(trainer, module, data, resumed, signals)
    except Stopped:
        if first:
            go_on = command("train_torch.py", "--continue_from", folder)
            print(f"stopped; go on with: {go_on}")
        return signals.status
    except Diverged as error:
        raise UserError(f"{error}: {what_to_try(options, module, folder)}") from error
    finally:
        if new and not module.begun:
            shutil.rmtree(folder)
    if not first:
        return 0

    # -------------------------------------------------------------- 6. what came of it
    print(f"done: pictures in {folder / 'pictures'}")
    print(f"next: {command('process_model.py', '--experiment_dir', folder)}")
    return 0


def read_command_line(
    arguments: Sequence[str] | None,
) -> tuple[TrainOptions, DownloadOptions | None, Path | None]:
    """The options, what to download (if anything), and the run to go on with (if there is one)."""
    parser = argparse.ArgumentParser(
        prog="train_torch.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_options(parser, TrainOptions)
    add_options(parser, DownloadOptions, without=("source", "comic"), about=ABOUT)
    namespace = parser.parse_args(arguments)
    given, folder = typed(namespace, TrainOptions), None
    if (name := given.get("continue_from")) is None:
        defaults = DEMO if given.get("demo") else {}
        options = with_launcher(TrainOptions(**defaults | given))
        if options.batch_size == "auto":
            # As a number, so that the run goes on with the same batches on any machine.
            size = BATCH_ON_CPU if trains_on_cpu(options) else BATCH_ELSEWHERE
            options = replace(options, batch_size=size)
    else:
        log_dir = Path(given.get("log_dir", TrainOptions.log_dir))
        folder = find_run_folder(name, log_dir, "last")
        options = with_launcher(continued_options(folder, given))
    check_devices(options, trains_on_cpu(options))
    wanted = None
    if options.source not in ("drawn", "folder"):
        asked = typed(namespace, DownloadOptions)
        asked |= {"source": options.source, "comic": options.comic}
        wanted = DownloadOptions(**asked)
    return options, wanted, folder


def continued_options(folder: Path, given: dict[str, Any]) -> TrainOptions:
    """A run's own options with what was typed; what would make it another run is refused."""
    before = asdict(read_options(folder))
    fixed = ("z_dim", "c_hidden", "num_blocks", "panel_height", "panel_width", "batch_size", "seed")
    for flag in fixed:
        if flag in given and given[flag] != before[flag]:
            raise UserError(
                f"--{flag} {given[flag]} does not fit {folder}, which was begun with "
                f"{before[flag]}: leave the flag out, or begin a new run"
            )
    place = folder.resolve()
    if given.get("run_name", place.name) != place.name or (
        "log_dir" in given and Path(given["log_dir"]).resolve() != place.parent
    ):
        raise UserError(f"{folder} goes on in its own folder: leave --run_name and --log_dir out")
    if given.get("demo") and not before["demo"]:
        raise UserError("--demo begins a run of its own: leave it out to go on with another")
    return train_options(before | given, folder)


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
        so_far = f"{done.epochs} epochs and a part of the next" if done.mid_epoch else done.epochs
        raise UserError(
            f"{so_far} epochs are done, more than --epochs {options.epochs}: give a larger number"
        )
    return done


def make_module(options: TrainOptions) -> StripModule:
    torch.manual_seed(options.seed)
    try:
        return StripModule(options)
    except ValueError as error:
        raise UserError(str(error)) from error


def quieten_lightning() -> None:
    """The banner says what there is to say; tips and advice for other programs are noise here."""
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
                store.panels[np.sort(train)[:: max(1, len(train) // 512)]],
            )
        )
    # After EpochRecord, so that no checkpoint is ahead of metrics.csv.
    callbacks.append(RunCheckpoints(folder or Path(options.log_dir), options, signals))
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


def trains_on_cpu(options: TrainOptions) -> bool:
    """Whether Lightning will find nothing better than the processor, or was told to take it."""
    other = torch.cuda.is_available() or torch.backends.mps.is_available()
    return options.accelerator == "cpu" or (options.accelerator == "auto" and not other)


def choose_precision(options: TrainOptions) -> str:
    """bf16 where the hardware multiplies in it: half the bytes to move, and no loss to scale."""
    if options.precision == "16-mixed" and trains_on_cpu(options):
        raise UserError("--precision 16-mixed is for GPUs: take bf16-mixed or 32-true on a CPU")
    if options.precision != "auto":
        return options.precision
    if trains_on_cpu(options):
        fast = bool(torch.cpu.get_capabilities().get("avx512_bf16"))
    else:
        fast = torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bf16-mixed" if fast else "32-true"


def print_banner(
    options: TrainOptions, folder: Path, store: PanelStore, module: StripModule, trainer: Trainer
) -> None:
    splits = {split: len(store.split(split)) for split in ("train", "validation", "test")}
    parameters = sum(p.numel() for p in module.vae.parameters())
    beta = (
        "auto: 2·MSE/D, follows the training error"
        if options.beta == "auto"
        else f"{options.beta:g}, as if pixels were off by sigma = "
        f"{implied_sigma(options.beta, module.dimensions):.3g} on a scale of −1 to 1"
    )
    device = str(trainer.strategy.root_device)
    print(
        f"device      {device}, {trainer.precision}"
        + (f", {trainer.world_size} processes" if trainer.world_size > 1 else "")
        + f"\nnetwork     {parameters:,} parameters, {options.z_dim} latent dimensions"
        + "\nstrips      "
        + ", ".join(f"{count:,} {split}" for split, count in splits.items())
        + ("" if trained_on(folder) in (None, store.digest) else "; not those of before")
        + f"\nbeta        {beta}\nrun         {folder}"
        + f"\nwatch       tensorboard --logdir {folder.parent}",
        flush=True,
    )


def fit(
    trainer: Trainer,
    module: StripModule,
    data: StripData,
    resumed: Path | None,
    signals: StopSignals,
) -> None:
    """Trains to the end, or raises Stopped or Diverged. Checkpoints are in place."""
    try:
        with signals, quiet_writer(), told_of_waiting(trainer.world_size):
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
    lower = f"{module.peak_learning_rate() / 2:.2g}"
    advice = f"try a lower --lr, such as {lower}"
    if options.precision in ("auto", "16-mixed", "bf16-mixed"):
        advice += ", or --precision 32-true"
    if folder is not None and is_run(folder, "last"):
        go_on = command("train_torch.py", "--continue_from", folder, "--lr", lower)
        advice += f"; the last good checkpoint is kept: {go_on}"
    return advice


if __name__ == "__main__":
    run_script(main)
