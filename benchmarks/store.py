"""How fast is the panel store built, and how fast does it feed training?

Building is CPU time of one core, on a folder of strips or on drawn ones; feeding is wall-clock
time of whole shuffled batches from a store that the operating system has in memory, as bytes (what
leaves the loader) and as floats (what a network on the CPU gets). The copy is the limit: the same
bytes copied from one array to another.

python benchmarks/store.py [FOLDER] [--count 1000] [--batch_size 64]
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from garfield_vae.build import build_store
from garfield_vae.dataset import StripData
from garfield_vae.drawn import draw_folder
from garfield_vae.panels import to_unit

ROUNDS = 5


def best(action: Callable[[], None], clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds of the fastest of a few rounds: the others had company on the machine."""
    times = []
    for _ in range(ROUNDS):
        start = clock()
        action()
        times.append(clock() - start)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="strips (default: drawn ones)")
    parser.add_argument("--count", type=int, default=1000, help="of drawn strips (default: 1000)")
    parser.add_argument("--batch_size", type=int, default=64)
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as scratch:
        strips = arguments.folder
        if strips is None:
            draw_folder(Path(scratch), arguments.count)
            strips = Path(scratch, "strips")

        def build() -> None:
            for path in Path(scratch).glob("panels-*"):
                path.unlink()
            build_store(strips, Path(scratch))

        rates = {"build, a core": best(build, time.process_time)}
        rates["build again, nothing new"] = best(lambda: build_store(strips, Path(scratch)))
        store = build_store(strips, Path(scratch))
        count = len(store.split("train"))
        data = StripData(store, arguments.batch_size, seed=0)

        def feed(after: Callable[[torch.Tensor], object] = lambda batch: batch) -> None:
            for batch in data.train_dataloader():
                after(batch)

        buffer = np.empty_like(store.panels[: arguments.batch_size])

        def copy() -> None:
            for start in range(0, count, len(buffer)):
                rows = store.panels[start : start + len(buffer)]
                np.copyto(buffer[: len(rows)], rows)

        feeding = {"feed, bytes": best(feed), "feed, floats": best(lambda: feed(to_unit))}
        feeding["copy"] = best(copy)

        print(f"\n{len(store)} strips, batches of {arguments.batch_size}\n")
        print("| step | strips/s |")
        print("|---|---|")
        for name, seconds in rates.items():
            print(f"| {name} | {len(store) / seconds:,.0f} |")
        for name, seconds in feeding.items():
            print(f"| {name} | {count / seconds:,.0f} |")


if __name__ == "__main__":
    main()
