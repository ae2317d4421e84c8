"""Trains a variational autoencoder on comic strips, then a latent prior that draws new ones.

    python3 train_torch.py --demo                 pictures in three minutes, offline
    python3 train_torch.py                        downloads the dailies and trains on them
    python3 train_torch.py --source folder --data_dir DIR      any folder of strips

Each run is a folder under logs/; `tensorboard --logdir logs` shows it while it trains.
"""

from __future__ import annotations

if __name__ == "__main__":  # from here on Ctrl-C is quiet: Python would print a traceback
    import os
    import signal

    signal.signal(signal.SIGINT, lambda *_: os._exit(130))

from contextlib import ExitStack
from typing import TYPE_CHECKING

from garfield_vae.util.errors import UserError, run_script

# Imports stand in the functions, so that Ctrl-C is quiet from the start, and --help and a wrong
# flag are answered before torch and Lightning are loaded, which takes seconds.
if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any

    from pytorch_lightning import Trainer

    from garfield_vae.cli.download_options import DownloadOptions
    from garfield_vae.cli.options import TrainOptions
    from garfield_vae.data.store import PanelStore
    from garfield_vae.training.module import StripModule

# The demo's defaults, which other flags override. In two minutes a small network gets further than
# a large one (benchmarks/frontier.py).
DEMO = {"source": "drawn", "count": 1000, "minutes": 2.0, "prior_minutes": 1.0, "c_hidden": 4}
BATCH_ON_CPU, BATCH_ELSEWHERE = 8, 32


def main(arguments: Sequence[str] | None = None) -> int:
    # -------------------------------------------------------------- 1. what was asked for
    options, wanted, folder = read_command_line(arguments)

    with ExitStack() as held:
        return train(options, wanted, folder, held)


def train(
    options: TrainOptions, wanted: DownloadOptions | None, folder: Path | None, held: ExitStack
) -> int:
    """Everything after the command line; gives the exit status. `held` has the run's lock."""
    from garfield_vae.cli.loading import loading

    with loading():
        import shutil
        from pathlib import Path

        from garfield_vae.data.sources import gather_strips, store_path
        from garfield_vae.run_folder import check_new_run, find_checkpoint, hold, new_run_folder
        from garfield_vae.training import trainer as training
        from garfield_vae.training.data_module import StripData
        from garfield_vae.training.interruption import Stopped, StopSignals
        from garfield_vae.training.module import Diverged
        from garfield_vae.training.prior_run import train_prior
        from garfield_vae.training.processes import is_first
        from garfield_vae.training.start import start
        from garfield_vae.util.commands import command

    training.quieten_lightning()

    # -------------------------------------------------------------- 2. network and objective
    first = is_first()
    if first and folder is None:
        check_new_run(Path(options.log_dir), options.run_name)
    elif first:
        held.enter_context(hold(folder))
    resumed, done = find_checkpoint(folder, "last") if folder else None, training.NOT_BEGUN
    if resumed is not None:
        done = training.check_checkpoint(resumed, options)
    module = training.make_module(options)
    # What Lightning refuses is refused before strips are gathered, which may take a day.
    training.make_trainer(options, None, None, StopSignals(), done)
    if folder is None:
        start(module, options)

    # -------------------------------------------------------------- 3. strips
    # The first process gathers strips and builds the store at once. In `fit`, one process of every
    # other machine does the same there, and then all open what was built.
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
        held.enter_context(hold(folder))

    def discard() -> None:
        if new and not module.begun:
            held.close()
            shutil.rmtree(folder)

    signals = StopSignals()
    try:
        # ---------------------------------------------------------- 5. the VAE
        all_done = done.epochs == options.epochs and not done.mid_epoch
        complete = all_done or options.minutes == 0
        if not complete:
            trainer = training.make_trainer(options, folder, store, signals, done)
            if first:
                print_banner(options, folder, store, module, trainer, new)
            if options.compile:
                module.vae.compile()
            training.fit(trainer, module, data, resumed, signals, discard)

        # ---------------------------------------------------------- 6. the latent prior
        if first and options.prior_minutes:
            complete &= not train_prior(options, folder, store, signals)
        if complete:
            if all_done:
                what, flag = f"all {done.epochs} epochs are done", ("--epochs", 2 * done.epochs)
            else:
                what, flag = "the VAE stays as it is with --minutes 0", ("--minutes", 30)
                what += ", and its prior is done" if options.prior_minutes else ""
            more = command("train_torch.py", "--continue_from", folder, *flag)
            print(f"nothing left to do: {what}; for more: {more}")
            return 0
    except Stopped:
        if first:
            go_on = command("train_torch.py", "--continue_from", folder)
            print(f"stopped; go on with: {go_on}")
        return signals.status
    except Diverged as error:
        raise UserError(f"{error}: {training.what_to_try(options, module, folder)}") from error
    finally:
        discard()
    if not first:
        return 0

    # -------------------------------------------------------------- 7. what came of it
    print(f"done: pictures in {folder / 'pictures'}")
    print(f"next: {command('process_model.py', '--experiment_dir', folder)}")
    return 0


def read_command_line(
    arguments: Sequence[str] | None,
) -> tuple[TrainOptions, DownloadOptions | None, Path | None]:
    """The options, what to download (if anything), and the run to go on with (if there is one)."""
    from garfield_vae.cli.loading import loading

    with loading():
        from dataclasses import replace
        from pathlib import Path

        from garfield_vae.cli.download_options import ABOUT, DownloadOptions
        from garfield_vae.cli.flags import add_options, new_parser, refuse_idle_flags, typed
        from garfield_vae.cli.options import WEB, TrainOptions, source_flag

    parser = new_parser("train_torch.py", __doc__)
    add_options(parser, TrainOptions)
    add_options(parser, DownloadOptions, without=("source", "comic"), about=ABOUT)
    namespace = parser.parse_args(arguments)
    given, folder = typed(namespace, TrainOptions), None
    to_download = typed(namespace, DownloadOptions)
    if (name := given.get("continue_from")) is None:
        options = TrainOptions(**(DEMO if given.get("demo") else {}) | given)
        if options.minutes == 0:
            raise UserError("--minutes 0 trains no VAE: give it with --continue_from only")
    else:
        with loading():
            from garfield_vae.run_folder import find_run_folder

        folder = find_run_folder(name, Path(given.get("log_dir", TrainOptions.log_dir)), "last")
        options = continued_options(folder, given)
    source, wanted = source_flag(options.source), None
    refuse_idle_flags(given, TrainOptions, [source])
    refuse_idle_flags(to_download.keys() - given.keys(), DownloadOptions, [source], needs=(WEB,))
    if source == WEB:
        wanted = DownloadOptions(**to_download | {"source": options.source, "comic": options.comic})

    # What depends on the machine asks torch, which takes seconds to load.
    with loading():
        from garfield_vae.run_folder import choose_device
        from garfield_vae.training.processes import check_devices, with_launcher
        from garfield_vae.training.start import with_start

    options = with_launcher(options)
    on_cpu = choose_device(options.accelerator).type == "cpu"
    if options.batch_size == "auto":
        # As a number, so that the run goes on with the same batches on any machine.
        options = replace(options, batch_size=BATCH_ON_CPU if on_cpu else BATCH_ELSEWHERE)
    check_devices(options, on_cpu)
    return options if folder else with_start(options), wanted, folder


def continued_options(folder: Path, given: dict[str, Any]) -> TrainOptions:
    """A run's own options with the flags typed now. Raises UserError for a flag that would make it
    another run."""
    from dataclasses import asdict
    from pathlib import Path

    from garfield_vae.cli.options import SIZES, train_options
    from garfield_vae.run_folder import read_options

    before = asdict(read_options(folder))
    for flag in (*SIZES, "batch_size", "seed", "start_from"):
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


def print_banner(
    options: TrainOptions,
    folder: Path,
    store: PanelStore,
    module: StripModule,
    trainer: Trainer,
    new: bool,
) -> None:
    from garfield_vae.model.elbo import implied_sigma
    from garfield_vae.run_folder import trained_on
    from garfield_vae.training.start import described
    from garfield_vae.util.commands import program

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
        + (f"\nstart       {described(options)}" if new else "")
        + "\nstrips      "
        + ", ".join(f"{count:,} {split}" for split, count in splits.items())
        + ("" if trained_on(folder) in (None, store.digest) else "; not those of before")
        + f"\nbeta        {beta}\nrun         {folder}"
        + f"\nwatch       {program('tensorboard', '--logdir', folder.parent)}",
        flush=True,
    )


if __name__ == "__main__":
    run_script(main)
