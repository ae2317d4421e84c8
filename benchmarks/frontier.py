"""Which size of network is the best for the time? Held-out error of several, as training goes on.

    python benchmarks/frontier.py --strips DIR --sizes 4x2,6x2,8x2,12x2 --minutes 5,10,30

A size is c_hidden x num_blocks. Each is trained by train_torch.py to the first time, measured,
trained on to the next, and so on, on the split of benchmarks/quality.py. Several sizes side by side
would compete for cores: to use several, start this once for each, with
`OMP_NUM_THREADS=1 taskset -c CORE`. MSE is in [-1, 1], of reconstructions from the posterior mean.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.quality import ROOT, draw, reconstruction_row, run, split_weeks
from garfield_vae.checkpoints import load_run
from garfield_vae.latent.codec import reconstruct
from garfield_vae.util.metrics_table import read_metrics


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--strips", type=Path, help="folder of strips; drawn ones if not given")
    parser.add_argument("--count", type=int, default=2000, help="strips to draw (default: 2000)")
    parser.add_argument("--sizes", default="4x2,6x2,8x2,12x2", help="c_hidden x num_blocks, …")
    parser.add_argument("--minutes", default="5,10,30", help="when to measure (default: 5,10,30)")
    parser.add_argument("--flags", default="", help="further flags for train_torch.py, in quotes")
    options = parser.parse_args()
    marks = [float(mark) for mark in options.minutes.split(",")]

    print(f"{'size':8} {'parameters':>11} {'minutes':>8} {'steps':>7} {'MSE':>8} {'SSIM':>7}")
    with tempfile.TemporaryDirectory(prefix="frontier-") as name:
        work = Path(name).resolve()
        strips = options.strips or draw(work, options.count)
        _, held_out = split_weeks(strips.resolve(), work)
        originals = np.array(held_out.panels)
        for size in options.sizes.split(","):
            spent = 0.0
            for mark in marks:
                train(size, mark - spent, spent > 0, options.flags.split(), work)
                spent = mark
                loaded = load_run(work / "logs" / size)
                row = reconstruction_row(originals, reconstruct(loaded.model, originals, steps=0))
                steps = int(read_metrics(loaded.folder)[-1]["step"])
                parameters = sum(p.numel() for p in loaded.model.parameters())
                print(
                    f"{size:8} {parameters:11,} {mark:8g} {steps:>7} "
                    f"{row['MSE']:8.4f} {row['SSIM']:7.4f}",
                    flush=True,
                )


def train(size: str, minutes: float, goes_on: bool, flags: list[str], work: Path) -> None:
    command = [sys.executable, str(ROOT / "train_torch.py"), f"--minutes={minutes}"]
    command += ["--prior_minutes=0"]
    if goes_on:
        command += [f"--continue_from={work / 'logs' / size}"]
    else:
        c_hidden, num_blocks = size.split("x")
        command += ["--source=folder", "--data_dir=training", "--epochs=1000000"]
        command += ["--start_from=scratch"]
        command += [f"--run_name={size}", f"--c_hidden={c_hidden}", f"--num_blocks={num_blocks}"]
    run([*command, *flags], work)


if __name__ == "__main__":
    main()
