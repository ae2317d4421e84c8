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
import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.utilities.exceptions import MisconfigurationException, SIGTERMException
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from garfield_vae.checkpoints import read_checkpoint
from garfield_vae.cli.download_options import ABOUT, DownloadOptions
from garfield_vae.cli.flags import add_options, typed
from garfield_vae.cli.options import TrainOptions, train_options
from garfield_vae.data.sources import gather_strips, store_path
from garfield_vae.data.store import PanelStore
from garfield_vae.model.elbo import implied_sigma
from garfield_vae.run_folder import (
    environment,
    find_checkpoint,
    find_run_folder,
    new_run_folder,
    read_options,
    write_json,
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
from garfield_vae.training.module import StripModule
from garfield_vae.training.tensorboard import FinalRecord, RunLogger, quiet_writer
from garfield_vae.util.errors import INTERRUPTED, UserError, run_script

# What --demo changes; flags that are typed beside it are obeyed. In two minutes a small network
# gets further than a large one (benchmarks/frontier.py).
DEMO = {"source": "drawn", "count": 1000, "minutes": 2.0, "c_hidden": 4}
BATCH_ON_CPU, BATCH_ELSEWHERE = 8, 32
TERMINATED = 143  # the shell's exit status for SIGTERM


def main(arguments: Sequence[str] | None = None) -> int:
    # -------------------------------------------------------------- 1. what was asked for
    options, wanted, folder = read_command_line(arguments)
    quieten_lightning()

    # -------------------------------------------------------------- 2. network and objective
    resumed = find_checkpoint(folder, "last") if folder else None
    module = make_module(options, resumed)

    # -------------------------------------------------------------- 3. strips
    # Only the first process fills and builds; the others meet it in `fit` and read what it built.
    first = rank_zero_only.rank == 0
    store = gather_strips(options, wanted) if first else None
    data = StripData(
        store or store_path(options), options.batch_size, options.seed, options.num_workers
    )

    # -------------------------------------------------------------- 4. the run's folder
    if new := first and folder is None:
        folder = new_run_folder(Path(options.log_dir), options.run_name)

    # -------------------------------------------------------------- 5. training
    try:
        trainer = make_trainer(options, folder, store)
    except UserError:
        if new:
            folder.rmdir()
        raise
    if first:
        write_json(folder / "options.json", asdict(options))
        write_json(
            folder / "environment.json",
            environment(store.digest, str(trainer.strategy.root_device)),
        )
        print_banner(options, folder, store, module, trainer)
    if options.compile:
        module.vae.compile()
    status = fit(trainer, module, data, resumed)
    if status or not trainer.is_global_zero:
        if status and first:
            print(f"stopped; go on with: python3 train_torch.py --continue_from {folder}")
        return status

    # -------------------------------------------------------------- 6. what came of it
    print(f"done: pictures in {folder / 'pictures'}")
    print(f"next: python3 process_model.py --experiment_dir {folder}")
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
        options = TrainOptions(**defaults | given)
        if options.batch_size == "auto":
            # As a number, so that the run goes on with the same batches on any machine.
            size = BATCH_ON_CPU if trains_on_cpu(options) else BATCH_ELSEWHERE
            options = replace(options, batch_size=size)
    else:
        folder = find_run_folder(name, Path(given.get("log_dir", TrainOptions.log_dir)))
        options = continued_options(folder, given)
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
    return train_options(before | given, folder)


def make_module(options: TrainOptions, resumed: Path | None) -> StripModule:
    """What is trained. Raises UserError when a checkpoint to go on from is no good: here, where
    nothing is written yet, and before anything is made as large as its options say."""
    if resumed is not None:
        weights = read_checkpoint(resumed).get("state_dict")
        try:
            with torch.device("meta"):
                StripModule(options).load_state_dict(weights, assign=True)
        except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{resumed} is damaged: it holds another network") from error
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


def make_trainer(options: TrainOptions, folder: Path | None, store: PanelStore | None) -> Trainer:
    """Lightning's Trainer; the processes that are not the first (no folder) only compute."""
    bar = options.progress_bar and sys.stderr.isatty()
    callbacks: list[Callback] = [HealthWarnings()]
    callbacks.append(RunCheckpoints(folder or Path(options.log_dir)))
    if options.minutes is not None:
        callbacks.append(Deadline(options.minutes))
    if bar:
        callbacks.append(RunProgressBar(options))
    if folder is not None:
        train, validation = store.split("train"), store.split("validation")
        callbacks.append(FinalRecord(options, store))
        callbacks.append(EpochRecord(folder, options, printed=not bar))
        callbacks.append(
            RunPictures(
                folder,
                store.panels[train[:SHOWN_STRIPS]],
                store.panels[validation[:SHOWN_STRIPS]],
                store.panels[np.sort(train)[:: max(1, len(train) // 512)]],
            )
        )
    try:
        return Trainer(
            accelerator=options.accelerator,
            devices=options.devices,
            num_nodes=options.num_nodes,
            strategy=options.strategy,
            precision=choose_precision(options),
            max_epochs=options.epochs,
            logger=RunLogger(folder) if folder else False,
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


def trains_on_cpu(options: TrainOptions) -> bool:
    """Whether Lightning will find nothing better than the processor, or was told to take it."""
    other = torch.cuda.is_available() or torch.backends.mps.is_available()
    return options.accelerator == "cpu" or (options.accelerator == "auto" and not other)


def choose_precision(options: TrainOptions) -> str:
    """bf16 where the hardware multiplies in it: half the bytes to move, and no loss to scale."""
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
        + f"\nbeta        {beta}\nrun         {folder}"
        + f"\nwatch       tensorboard --logdir {folder.parent}",
        flush=True,
    )


def fit(trainer: Trainer, module: StripModule, data: StripData, resumed: Path | None) -> int:
    """Trains; 0, or the exit status for the signal that ended it. Checkpoints are in place."""
    try:
        with quiet_writer():
            trainer.fit(module, data, ckpt_path=resumed, weights_only=True)
    except SIGTERMException:
        return TERMINATED
    except SystemExit:  # what Lightning makes of Ctrl-C
        return INTERRUPTED
    except UserError:  # CannotWrite, which is an OSError too, among them
        raise
    except OSError as error:  # TensorBoard's own files
        raise UserError(
            f"the run stopped at a file that cannot be read or written ({error}): make room, and "
            f"go on with --continue_from"
        ) from error
    except Exception as error:
        if resumed is None or module.begun:
            raise
        raise UserError(f"{resumed} is damaged: training cannot go on from it") from error
    return 0


if __name__ == "__main__":
    run_script(main)
