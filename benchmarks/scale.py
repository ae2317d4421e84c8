"""How do time and memory grow with the strips? And does a store larger than memory work?

    python benchmarks/scale.py 1000 10000
    python benchmarks/scale.py 100000 --different 5000 --trained 4000 --memory 2.5

Passes so many drawn strips at full size through everything: panel store, training with a small
network, latents with their principal components, and (with --measures) the evaluation. Each step is
a process of its own. Memory is the step's own at its peak (anonymous pages; those of the mapped
store belong to the system, which takes them back when it needs them). With --memory a step that
asks for more GiB of its own than that is refused by the system and fails: with a store that is
larger than the limit, nothing can have read it whole.

A hundred thousand strips would be drawn for a quarter of an hour and trained on for longer.
--different draws fewer, and gives each file several dates: it is read, cut and encoded under each
all the same. --trained ends the epoch after so many strips. Time per strip is by the strips that
the step passed through. At the end stands the model of cost beyond: a straight line through the
rows of each step, in the time and in the memory. Linux only.
"""

import argparse
import functools
import json
import os
import resource
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np

os.environ["OMP_NUM_THREADS"] = "1"  # a forked process has no threads to share work with
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import process_model
import train_torch
from garfield_vae.data.drawn import draw_folder
from garfield_vae.data.sources import present_strips
from garfield_vae.data.store import iso_date
from garfield_vae.training import trainer

BATCH = 16
SMALL = [
    *("--source", "folder", "--data_dir", "drawn/strips", "--run_name", "run", "--epochs", "1"),
    *("--z_dim", "256", "--c_hidden", "2", "--num_blocks", "1", "--batch_size", str(BATCH)),
    *("--accelerator", "cpu", "--devices", "1", "--precision", "32-true"),
    *("--prior_minutes", "0"),
]
PROCESS = ["--experiment_dir", "logs/run", "--accelerator", "cpu", "--components", "1"]


def own_memory() -> int:
    """Anonymous memory of this process in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024
    raise OSError("this system does not say how much memory a process has")


def measured(work: Callable[[], object], memory: float | None) -> tuple[float, float, float]:
    """Does the work in a process of its own: wall and CPU seconds, and its peak memory in GiB."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        status = 1
        try:
            log = Path("log").open("w")  # noqa: SIM115
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
            if memory is not None:
                resource.setrlimit(resource.RLIMIT_DATA, (int(memory * 2**30),) * 2)
            # On one core it stays one process.
            os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
            peak = [0]

            def watch() -> None:
                while True:
                    peak[0] = max(peak[0], own_memory())
                    time.sleep(0.02)

            threading.Thread(target=watch, daemon=True).start()
            began = time.monotonic(), time.process_time()
            work()
            took = time.monotonic() - began[0], time.process_time() - began[1]
            os.write(writing, json.dumps([*took, peak[0] / 2**30]).encode())
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read()
    if os.waitpid(child, 0)[1] != 0:
        raise SystemExit(Path("log").read_text()[-3000:])
    return tuple(json.loads(text))


def draw(count: int, different: int) -> None:
    """Draws strips, and gives their files further dates, by links, until there are `count`."""
    draw_folder(Path("drawn"), min(count, different), seed=0)
    files = sorted(Path("drawn/strips").rglob("*.gif"))
    day = max(iso_date(path.stem) for path in files)
    for number in range(count - len(files)):
        file, day = files[number % len(files)], day + timedelta(days=1)
        link = Path("drawn/strips", f"{day:%Y}", f"{day}.gif")
        link.parent.mkdir(exist_ok=True)
        link.hardlink_to(file)


def train(trained: int) -> None:
    """An epoch that ends after so many strips, or with the last one."""
    trainer.Trainer = functools.partial(trainer.Trainer, limit_train_batches=-(-trained // BATCH))
    train_torch.main(SMALL)


def steps(count: int, options: argparse.Namespace) -> dict[str, tuple[int, Callable[[], object]]]:
    """By name: the strips that a step passes through, and the step."""
    drawn, trained = min(count, options.different), min(count, options.trained)
    found = {
        "draw": (drawn, lambda: draw(count, options.different)),
        # Where training will look for it.
        "store": (count, lambda: present_strips(train_torch.read_command_line(SMALL)[0])),
        "train": (trained, lambda: train(trained)),
        "latents": (count, lambda: process_model.main([*PROCESS, "--num_samples", "1"])),
    }
    if options.measures:
        found["measures"] = count, lambda: process_model.main([*PROCESS, "--evaluate"])
    return found


def line(x: list[int], y: list[float]) -> tuple[float, float]:
    """Where the straight line through the points begins, and how steep it is."""
    slope, start = np.polyfit(x, y, 1)
    return float(start), float(slope)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("counts", nargs="+", type=int, help="how many strips")
    parser.add_argument("--different", type=int, default=10**9, help="strips to draw at most")
    parser.add_argument("--trained", type=int, default=10**9, help="strips to train on at most")
    parser.add_argument("--memory", type=float, help="what a step may take, in GiB")
    parser.add_argument("--measures", action="store_true", help="evaluate, too")
    options = parser.parse_args()
    print(f"{'strips':>8} {'step':9} {'passed':>8} {'wall s':>8} {'CPU s':>8} "
          f"{'ms CPU/strip':>13} {'own memory GiB':>15} {'store GiB':>10}")  # fmt: skip
    rows: dict[str, list[tuple[int, int, float, float]]] = {}
    for count in options.counts:
        with tempfile.TemporaryDirectory() as place:
            os.chdir(place)
            for name, (passed, work) in steps(count, options).items():
                wall, cpu, peak = measured(work, options.memory)
                rows.setdefault(name, []).append((count, passed, cpu, peak))
                store = sum(path.stat().st_size for path in Path("data").rglob("*.npy")) / 2**30
                print(f"{count:8,} {name:9} {passed:8,} {wall:8.1f} {cpu:8.1f} "
                      f"{1000 * cpu / passed:13.2f} {peak:15.2f} {store:10.2f}",
                      flush=True)  # fmt: skip
            os.chdir("/")
    if len(options.counts) > 1:
        print("\nbeyond, by the straight line through each step's rows:")
        for name, found in rows.items():
            counts, passed, cpu, peak = zip(*found, strict=True)
            memory, per_strip = line(counts, peak)
            text = f"{memory:.2f} GiB + {per_strip * 2**20:.2f} KiB a strip of own memory"
            if len(set(passed)) > 1:
                begin, each = line(passed, cpu)
                text = f"{begin:.1f} s + {1000 * each:.2f} ms CPU a strip, {text}"
            print(f"{name:9} {text}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
