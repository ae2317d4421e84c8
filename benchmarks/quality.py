"""How good are reconstructions after the same minutes: the published recipe against ours?

Both train on the same strips for the same wall-clock, one after the other, each in a process of
its own; ours by train_torch.py, as anybody would. Held out are whole ISO weeks, evenly spread, a
quarter of the strips and at most 300: neither model's training sees them. (Ours keeps a few weeks
of the rest back for choosing its checkpoint, and the published one trains without them too.)

    python benchmarks/quality.py --minutes 10                          on 2,000 drawn strips
    python benchmarks/quality.py --minutes 10 --strips DIR --pictures /tmp/quality.png

MSE is in [-1, 1], over all pixel values, of reconstructions from the posterior mean; "fit" is of
reconstructions of the same strips after FIT_STEPS steps of semi-amortised inference, which any VAE
can take (model/inference.py), and "fit ms" the milliseconds of processor time that these cost a
strip; "peak" is the training process's largest resident memory.
"""

import argparse
import csv
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.published import PublishedVAE
from garfield_vae.checkpoints import load_run
from garfield_vae.data.build import build_store
from garfield_vae.data.drawn import draw_folder
from garfield_vae.data.panels import join_panels
from garfield_vae.data.store import PanelStore, iso_date
from garfield_vae.evaluation.compression import compression_figures
from garfield_vae.evaluation.metrics.baselines import mean_image, mosaic, pca_reconstructions
from garfield_vae.evaluation.reconstructions import reconstruction_figures, reconstruction_values
from garfield_vae.latent.codec import FIT_STEPS, decode, encode, encode_fitted
from garfield_vae.util.pictures import save_png, sheet

ROOT = Path(__file__).resolve().parent.parent
MOST_HELD_OUT = 300
SHOWN = 6
COLUMNS = (
    *("strips/s", "seen", "peak GB", "MSE", "PSNR", "SSIM"),
    *("fit MSE", "fit PSNR", "fit SSIM", "fit ms", "rate", "active", "beta/beta*"),
)


def main() -> None:
    options = read_command_line()
    with tempfile.TemporaryDirectory(prefix="quality-") as name:
        work = Path(options.work or name).resolve()
        strips = options.strips or draw(work, options.count)
        training, held_out = split_weeks(strips.resolve(), work)
        originals = np.array(held_out.panels)
        rows, shown = {}, {"original": originals}
        for model in options.models.split(","):
            train = {"published": train_published, "ours": train_ours}[model]
            trained, figures = train(options, training, work)
            row, reconstructions = measure(trained, originals, figures.pop("beta"))
            rows[model], shown[model] = figures | row, reconstructions
            print_row(model, rows[model])
        print_lines_to_beat(training, originals, options.z_dim)
    if options.pictures:
        chosen = np.linspace(0, len(originals) - 1, SHOWN).astype(int)
        pictures = np.stack([panels[chosen] for panels in shown.values()], axis=1)
        labels = list(shown) * SHOWN
        page = sheet(
            join_panels(pictures.reshape(-1, *originals.shape[1:])), len(shown), labels=labels
        )
        save_png(options.pictures, page)


def read_command_line() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--strips", type=Path, help="folder of strips; drawn ones if not given")
    parser.add_argument("--count", type=int, default=2000, help="strips to draw (default: 2000)")
    parser.add_argument("--minutes", type=float, default=10.0, help="for each model (default: 10)")
    parser.add_argument("--models", default="published,ours", help="which, in this order")
    parser.add_argument("--z_dim", type=int, default=1024)
    parser.add_argument("--c_hidden", type=int, default=6)
    parser.add_argument("--num_blocks", type=int, default=2)
    parser.add_argument("--published_batch", type=int, default=32, help="batch size (default: 32)")
    parser.add_argument("--ours", default="", help="further flags for train_torch.py, in quotes")
    parser.add_argument("--pictures", type=Path, help="PNG: originals beside reconstructions")
    parser.add_argument("--work", type=Path, help="keep runs and stores here; temporary by default")
    return parser.parse_args()


# ------------------------------------------------------------------------------------------ strips


def draw(work: Path, count: int) -> Path:
    draw_folder(work / f"drawn-{count}", count)
    return work / f"drawn-{count}" / "strips"


def split_weeks(strips: Path, work: Path) -> tuple[PanelStore, PanelStore]:
    """Links every strip into work/training or work/held_out, whole weeks together; their stores."""
    weeks: dict[object, list[Path]] = {}
    for path in sorted(strips.rglob("*.*")):
        day = iso_date(path.stem)
        weeks.setdefault(day.isocalendar()[:2] if day else path.stem, []).append(path)
    total = sum(len(paths) for paths in weeks.values())
    every = max(4, round(total / MOST_HELD_OUT))
    for number, paths in enumerate(weeks.values()):
        folder = work / ("held_out" if number % every == every - 1 else "training")
        folder.mkdir(parents=True, exist_ok=True)
        for path in paths:
            if not (folder / path.name).exists():
                (folder / path.name).symlink_to(path)
    training, held_out = (work / part for part in ("training", "held_out"))
    return (
        build_store(training, work / "training_store"),
        build_store(held_out, work / "held_out_store"),
    )


# ---------------------------------------------------------------------------------------- training


def run(command: list[str], work: Path) -> float:
    """Runs a command to its end in `work`; its peak resident memory in GB."""
    log = work / "training.log"
    with log.open("w") as file:
        process = subprocess.Popen(command, cwd=work, stdout=file, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"error: {' '.join(command)} failed:\n{log.read_text()[-2000:]}")
    return usage.ru_maxrss / 2**20


def network_flags(options: argparse.Namespace) -> list[str]:
    return [f"--{n}={getattr(options, n)}" for n in ("z_dim", "c_hidden", "num_blocks", "minutes")]


def train_published(
    options: argparse.Namespace, training: PanelStore, work: Path
) -> tuple[PublishedVAE, dict]:
    out = work / "published.pt"
    command = [sys.executable, str(ROOT / "benchmarks/published.py"), *network_flags(options)]
    command += [f"--store={training.path}", f"--out={out}"]
    peak = run([*command, f"--batch_size={options.published_batch}"], work)
    saved = torch.load(out, weights_only=True)
    model = PublishedVAE(**saved["network"])
    model.load_state_dict(saved["weights"])
    figures = {"strips/s": saved["strips/s"], "seen": saved["strips"], "peak GB": peak}
    return model.eval(), figures | {"beta": saved["beta"]}


def train_ours(
    options: argparse.Namespace, training: PanelStore, work: Path
) -> tuple[torch.nn.Module, dict]:
    name = f"ours-{datetime.datetime.now():%H%M%S}"
    command = [sys.executable, str(ROOT / "train_torch.py"), "--source=folder"]
    command += [
        "--data_dir=training",
        "--epochs=1000000",
        "--prior_minutes=0",
        "--start_from=scratch",
        f"--run_name={name}",
    ]
    peak = run([*command, *network_flags(options), *options.ours.split()], work)
    model, figures = trained_run(work / "logs" / name, training)
    return model, figures | {"peak GB": peak}


def trained_run(folder: Path, training: PanelStore) -> tuple[torch.nn.Module, dict]:
    """The model of a run of ours, and what its training did."""
    loaded = load_run(folder)
    with (loaded.folder / "metrics.csv").open() as file:
        epochs = list(csv.DictReader(file))
    batch = json.loads((loaded.folder / "options.json").read_text())["batch_size"]
    strips = len(training.split("train"))
    seconds = sum(strips / float(epoch["train/strips_per_second"]) for epoch in epochs)
    return loaded.model, {
        "strips/s": len(epochs) * strips / seconds,
        "seen": min(len(epochs) * strips, int(epochs[-1]["step"]) * batch),
        "beta": float(epochs[-1]["train/beta"]),
    }


# --------------------------------------------------------------------------------------- measuring


def measure(model: torch.nn.Module, strips: np.ndarray, beta: float) -> tuple[dict, np.ndarray]:
    means, variances = encode(model, strips)
    reconstructions = decode(model, means)
    bound = compression_figures(model, strips, means, variances, beta, np.random.default_rng(0))
    row = {
        "rate": bound["rate"].value,
        "active": bound["active units"],
        "beta/beta*": bound["beta ratio"],
    }
    row |= reconstruction_row(strips, reconstructions) | fitted_row(model, strips)
    return row, reconstructions


def fitted_row(model: torch.nn.Module, strips: np.ndarray) -> dict[str, float]:
    seconds = []
    for steps in (0, FIT_STEPS):
        began = time.process_time()
        latents = encode_fitted(model, strips, steps)
        seconds.append(time.process_time() - began)
    row = {
        f"fit {name}": value
        for name, value in reconstruction_row(strips, decode(model, latents)).items()
    }
    return row | {"fit ms": 1000 * (seconds[1] - seconds[0]) / len(strips)}


def reconstruction_row(strips: np.ndarray, reconstructions: np.ndarray) -> dict[str, float]:
    figures = reconstruction_figures(reconstruction_values(strips, reconstructions))
    return {name.upper(): figures[name].value for name in ("mse", "psnr", "ssim")}


def lines_to_beat(training: PanelStore, strips: np.ndarray, z_dim: int) -> dict[str, np.ndarray]:
    rows = training.split("train")
    lines = {
        "mean image": np.broadcast_to(mean_image(training.panels, rows), strips.shape),
        "8×8 mosaic": mosaic(strips),
    }
    for pca, kept in pca_reconstructions(training.panels, strips, sorted({128, z_dim}), rows):
        lines[f"PCA {kept}"] = pca
    return lines


def print_lines_to_beat(training: PanelStore, originals: np.ndarray, z_dim: int) -> None:
    for line, reconstructions in lines_to_beat(training, originals, z_dim).items():
        print_row(line, reconstruction_row(originals, reconstructions))


def print_row(name: str, row: dict) -> None:
    if not print_row.begun:
        print(f"{'':12}" + "".join(f"{column:>11}" for column in COLUMNS))
        print_row.begun = True
    cells = (f"{row[column]:11.4g}" if column in row else f"{'':11}" for column in COLUMNS)
    print(f"{name:12}" + "".join(cells), flush=True)


print_row.begun = False


if __name__ == "__main__":
    main()
