"""How do time and memory grow with the strips? And does a store larger than memory work?

    python benchmarks/scale.py 1000 10000
    python benchmarks/scale.py 10000 --memory 2.0

Draws so many strips at full size, and passes them through everything: panel store, an epoch of a
small network, latents with their principal components, and measures. Each step is a process of its
own. Memory is the step's own at its peak (anonymous pages; those of the mapped store belong to the
system, which takes them back when it needs them). With --memory a step that asks for more GiB of
its own than that is refused by the system and fails: with a store that is larger than the limit,
nothing can have read it whole. Linux only.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # a forked process has no threads to share work with
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import process_model
import train_torch
from garfield_vae.build import build_store
from garfield_vae.drawn import draw_folder

SMALL = [
    *("--source", "folder", "--data_dir", "drawn/strips", "--run_name", "run", "--epochs", "1"),
    *("--z_dim", "256", "--c_hidden", "2", "--num_blocks", "1", "--batch_size", "16"),
    *("--accelerator", "cpu", "--devices", "1", "--precision", "32-true"),
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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("counts", nargs="+", type=int, help="how many strips")
    parser.add_argument("--memory", type=float, help="what a step may take, in GiB")
    parser.add_argument("--without_measures", action="store_true")
    arguments = parser.parse_args()
    print(f"{'strips':>8} {'step':10} {'wall s':>8} {'CPU s':>8} {'ms CPU/strip':>13} "
          f"{'own memory GiB':>15} {'store GiB':>10}")  # fmt: skip
    for count in arguments.counts:
        with tempfile.TemporaryDirectory() as place:
            os.chdir(place)
            steps = {
                "draw": lambda count=count: draw_folder(Path("drawn"), count, seed=0),
                "store": lambda: build_store(Path("drawn/strips"), Path("store")),
                "epoch": lambda: train_torch.main(SMALL),
                "latents": lambda: process_model.main([*PROCESS, "--num_samples", "1"]),
                "measures": lambda: process_model.main([*PROCESS, "--evaluate"]),
            }
            if arguments.without_measures:
                del steps["measures"]
            for name, work in steps.items():
                wall, cpu, peak = measured(work, arguments.memory)
                store = sum(path.stat().st_size for path in Path("store").glob("*.npy")) / 2**30
                print(f"{count:8,} {name:10} {wall:8.1f} {cpu:8.1f} {1000 * cpu / count:13.2f} "
                      f"{peak:15.2f} {store:10.2f}", flush=True)  # fmt: skip
            os.chdir("/")
    return 0


if __name__ == "__main__":
    sys.exit(main())
