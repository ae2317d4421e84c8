"""Several processes that train as one: what started them, and what this machine can hold.

Lightning starts and joins them (--devices, --num_nodes, --strategy); this settles what Lightning
would leave to a traceback or to half an hour of silence.
"""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from pytorch_lightning.strategies import (
    DDPStrategy,
    SingleDeviceStrategy,
    Strategy,
    StrategyRegistry,
)
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from garfield_vae.cli.options import TrainOptions
from garfield_vae.util.console import printable
from garfield_vae.util.errors import ENDED_BY, UserError, stop_signals

TOLD_AFTER = 60.0  # seconds of waiting for other processes


def is_first() -> bool:
    """Whether this is the process that prints and writes: the first one of the first machine."""
    return rank_zero_only.rank == 0 and os.environ.get("NODE_RANK", "0") == "0"


def with_launcher(options: TrainOptions) -> TrainOptions:
    """The options with the number of processes that torchrun started, where it started this one.

    Raises UserError where they ask for another number.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return options
    world, local = int(os.environ["WORLD_SIZE"]), int(os.environ["LOCAL_WORLD_SIZE"])
    nodes = world // local
    if options.devices not in ("auto", local) or options.num_nodes not in (1, nodes):
        raise UserError(
            f"torchrun started {local} processes on each of {nodes} machines, which does not fit "
            f"--devices {options.devices} --num_nodes {options.num_nodes}: leave both flags out"
        )
    strategy = "ddp" if options.strategy == "auto" and world > 1 else options.strategy
    return replace(options, devices=local, num_nodes=nodes, strategy=strategy)


def check_devices(options: TrainOptions, on_cpu: bool) -> None:
    """Raises UserError for more processes than this machine can have any use for."""
    if options.devices == "auto":
        return
    there = (os.cpu_count() or 1) if on_cpu else max(torch.cuda.device_count(), 1)
    if options.devices > (2 * there if on_cpu else there):
        kind = "processors" if on_cpu else "GPUs"
        raise UserError(f"--devices {options.devices}: this machine has {there} {kind}")


def check_strategy(name: str, strategy: Strategy | None = None) -> None:
    """Raises UserError for a strategy whose processes do not start this script anew (ddp_spawn,
    ddp_fork), or whose weights are no longer one network (fsdp, deepspeed).

    Without the strategy, by its name: Lightning would say how to get one that is refused then.
    """
    launcher = type(strategy.launcher).__name__ if strategy else ""
    known = name == "auto" or name in StrategyRegistry.available_strategies()
    ours = strategy is None or type(strategy) in (SingleDeviceStrategy, DDPStrategy)
    if not (known and ours and name.startswith(("auto", "ddp"))) or "MultiProcessing" in launcher:
        raise UserError(
            f"--strategy {printable(name)} is none that this project trains with: auto or ddp"
        )


@contextmanager
def told_of_waiting(processes: int) -> Iterator[threading.Timer]:
    """Says so when, after a minute, the other processes have not come; gives the timer."""

    def tell() -> None:
        if not torch.distributed.is_initialized():
            print(
                f"still waiting for all of {processes} processes: is the same command running on "
                f"each machine, and can they reach the first one?",
                flush=True,
            )

    timer = threading.Timer(TOLD_AFTER, tell)
    timer.daemon = True
    if processes > 1:
        timer.start()
    try:
        yield timer
    finally:
        timer.cancel()


@contextmanager
def ended_while_waiting(processes: int, abandon: Callable[[int], None]) -> Iterator[None]:
    """Until the other processes have come, a signal to stop is given to `abandon`, and then ends
    this process.

    torch waits for them for half an hour, and no handler in Python is called meanwhile. What Python
    does at once is to write the signal's number to a socket, which a thread reads here.
    """
    if processes == 1:
        yield
        return

    def watch() -> None:
        while numbers := reader.recv(1):
            if numbers[0] in stop_signals() and not torch.distributed.is_initialized():
                try:
                    abandon(numbers[0])
                finally:
                    os._exit(ENDED_BY + numbers[0])

    reader, writer = socket.socketpair()
    with reader:
        writer.setblocking(False)
        before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        watching = threading.Thread(target=watch, daemon=True)
        watching.start()
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            writer.close()
            watching.join()
