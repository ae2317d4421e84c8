"""How fast is the panel store built, and how fast does it feed training?

Strips a second of one core, by CPU time of all processes, which other programs disturb less than
the clock, and by the clock, on all cores where several work. Building reads a folder of strips, or
drawn ones; decoding is Pillow's part of it, on one core. Feeding gives whole shuffled batches from
a store that is in the page cache, as bytes (from the loader) and as floats (for a network on the
CPU); its limit is a copy of the same bytes.

python benchmarks/store.py [FOLDER] [--count 1000] [--batch_size 64]
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from garfield_vae.data.build import build_store
from garfield_vae.data.drawn import draw_folder
from garfield_vae.data.images import SUFFIXES, open_strip
from garfield_vae.data.panels import to_unit
from garfield_vae.training.data_module import StripData

ROUNDS = 5


def now() -> np.ndarray:
    """CPU seconds of this process and those that it started, and seconds by the clock."""
    used = time.process_time() + sum(os.times()[2:4])
    return np.array((used, time.perf_counter()))


def best(action: Callable[[], object]) -> np.ndarray:
    """CPU seconds, and seconds by the clock, of the fastest of a few rounds."""
    times = []
    for _ in range(ROUNDS):
        start = now()
        action()
        times.append(now() - start)
    return np.min(times, axis=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="strips (default: drawn ones)")
    parser.add_argument("--count", type=int, default=1000, help="of drawn strips (default: 1000)")
    parser.add_argument("--batch_size", type=int, default=64)
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    with tempfile.TemporaryDirectory() as scratch:
        strips = arguments.folder
        if strips is None:
            draw_folder(Path(scratch), arguments.count)
            strips = Path(scratch, "strips")

        def build() -> None:
            for path in Path(scratch).glob("panels-*"):
                path.unlink()
            build_store(strips, Path(scratch))

        paths = [path for path in strips.rglob("*") if path.suffix in SUFFIXES]
        rates = {"decode": best(lambda: [open_strip(path) for path in paths])}
        rates["build"] = best(build)
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
        print("| step | strips/s a core | by the clock |")
        print("|---|---|---|")
        for times, passed in ((rates, len(store)), (feeding, count)):
            for name, seconds in times.items():
                print(f"| {name} | {' | '.join(f'{rate:,.0f}' for rate in passed / seconds)} |")


if __name__ == "__main__":
    main()
