"""What do more processes, more machines and more strips cost?

    python benchmarks/scaling.py                     2 processes on this machine, 200 drawn strips

Trains the default network by train_torch.py with one process of one thread and with `--devices`
of them, and times an all-reduce of a gradient's size between as many processes. From these come
the figures beyond this machine, by the model

    step(n) = compute + 2 · (n − 1) / n · gradient bytes / bandwidth        (ring all-reduce)

in which compute is the single process's time a step and every process has its own batch.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from garfield_vae.data.drawn import draw_folder
from garfield_vae.model.networks import StripVAE
from garfield_vae.util.metrics_table import read_metrics

ROOT = Path(__file__).resolve().parent.parent
LINKS = {"10 Gbit/s": 10e9 / 8, "100 Gbit/s": 100e9 / 8}
REPEATS = 10


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--devices", type=int, default=2, help="processes to measure with")
    parser.add_argument("--count", type=int, default=200, help="drawn strips to train on")
    parser.add_argument("--batch_size", type=int, default=16, help="strips a process and step")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"

    with tempfile.TemporaryDirectory(prefix="scaling-") as name:
        folder = Path(name)
        draw_folder(folder / "drawn", options.count, seed=0)
        one = train(folder, 1, options.batch_size)
        several = train(folder, options.devices, options.batch_size)
    gradient = 4 * sum(p.numel() for p in StripVAE().parameters())
    exchange = time_all_reduce(options.devices, gradient)

    print(f"gradient                     {gradient / 1e6:.1f} MB a step")
    print(f"1 process                    {one:.1f} strips/s")
    print(
        f"{options.devices} processes                  {several:.1f} strips/s, "
        f"{100 * several / (options.devices * one):.0f} % of {options.devices} times one"
    )
    print(f"all-reduce here              {1000 * exchange:.0f} ms")

    compute = options.batch_size / one
    print("\nmodelled share of linear speed, one process a machine")
    print("machines      " + "".join(f"{link:>14}" for link in LINKS))
    for machines in (2, 4, 8, 16):
        shares = [
            compute / (compute + 2 * (machines - 1) / machines * gradient / bandwidth)
            for bandwidth in LINKS.values()
        ]
        print(f"{machines:>8}      " + "".join(f"{100 * share:>12.0f} %" for share in shares))
    print("\nmodelled hours for an epoch's work, from the measured strips/s")
    for strips in (1_000, 10_000, 100_000):
        print(
            f"{strips:>8} strips  {strips / one / 3600:8.2f} h with one process, "
            f"{strips / several / 3600:8.2f} h with {options.devices}"
        )


def train(folder: Path, devices: int, batch_size: int) -> float:
    """Strips/s of the second epoch; the first includes starting up."""
    name = f"with-{devices}"
    command = [
        *(sys.executable, str(ROOT / "train_torch.py"), "--source", "folder"),
        *("--data_dir", str(folder / "drawn" / "strips"), "--accelerator", "cpu"),
        *("--devices", str(devices), "--strategy", "ddp" if devices > 1 else "auto"),
        *("--batch_size", str(batch_size), "--epochs", "2", "--run_name", name),
        *("--prior_minutes", "0"),
    ]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return read_metrics(folder / "logs" / name)[1]["train/strips_per_second"]


def time_all_reduce(processes: int, size: int) -> float:
    """Seconds for the sum of `size` bytes over processes of this machine."""
    with tempfile.TemporaryDirectory() as folder:
        result = mp.get_context("spawn").SimpleQueue()
        meeting = str(Path(folder) / "meeting")
        mp.spawn(_all_reduce, (processes, size, meeting, result), nprocs=processes)
        return result.get()


def _all_reduce(rank: int, processes: int, size: int, meeting: str, result: object) -> None:
    dist.init_process_group(
        "gloo", init_method=f"file://{meeting}", rank=rank, world_size=processes
    )
    values = torch.ones(size // 4)
    dist.all_reduce(values)
    began = time.perf_counter()
    for _ in range(REPEATS):
        dist.all_reduce(values)
    if rank == 0:
        result.put((time.perf_counter() - began) / REPEATS)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
