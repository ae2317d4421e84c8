"""Where is the error of reconstructions: where in a panel, and at which details?

For each run, the mean squared error of its test strips (or of a folder of strips) by place in the
three panels, as one picture with one scale; and a table of its share by what is there in the
original: lines (where the brightness changes within two pixels by more than a quarter of its
range), their surroundings (within two pixels of one) and flat areas; and by spatial frequency,
which shows what the latents encode.

    python benchmarks/error_map.py logs/BEFORE logs/AFTER --picture /tmp/errors.png
    python benchmarks/error_map.py logs/RUN --strips FOLDER
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from scipy.ndimage import maximum_filter, minimum_filter

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from garfield_vae.checkpoints import load_model
from garfield_vae.data.build import build_store
from garfield_vae.data.sources import present_strips
from garfield_vae.latent.codec import decode, encode
from garfield_vae.util.pictures import save_png

MOST = 300  # strips
EDGE = 64  # of 255 grey levels
DETAILS = ("lines", "beside lines", "flat")
PERIODS = ("over 32 px", "32–16 px", "16–8 px", "8–4 px", "under 4 px")
BANDS = (1 / 32, 1 / 16, 1 / 8, 1 / 4)  # cycles a pixel: periods of 32, 16, 8 and 4 pixels


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="+", help="folders of runs or exported models")
    parser.add_argument("--strips", type=Path, help="strips to use; the runs' test strips if none")
    parser.add_argument("--picture", type=Path, help="PNG with a map a run")
    options = parser.parse_args()
    maps = {}
    print(f"{'':24}{'MSE':>8}" + "".join(f"{name:>14}" for name in DETAILS + PERIODS))
    for folder in options.runs:
        run = load_model(folder)
        strips = some_strips(run, options.strips)
        means, _ = encode(run.model, strips)
        both = strips, decode(run.model, means)
        originals, others = (x.astype(np.float32) / 127.5 - 1 for x in both)
        squared = np.square(originals - others)
        shares = [*by_detail(strips, squared), *by_frequency(originals, others)]
        cells = "".join(f"{share:14.1%}" for share in shares)
        print(f"{folder.name[-24:]:24}{squared.mean():8.4f}{cells}")
        maps[folder.name] = squared.mean(axis=(0, 2))  # [3, H, W]
    if options.picture:
        save_png(options.picture, drawn(maps))


def some_strips(run, folder: Path | None) -> np.ndarray:
    """At most MOST strips, evenly chosen, uint8 [N, 3, 3, H, W]."""
    height, width = run.model.config["panel_height"], run.model.config["panel_width"]
    if folder is None:
        store = present_strips(run.options)
        rows = store.split("test")
        return np.array(store.panels[rows[:: -(-len(rows) // MOST)]])
    with tempfile.TemporaryDirectory() as place:
        store = build_store(folder.resolve(), Path(place), height, width)
        return np.array(store.panels[:: -(-len(store.panels) // MOST)])


def by_detail(strips: np.ndarray, squared: np.ndarray) -> list[float]:
    """Shares of the error [N, 3, 3, H, W] on lines, beside them and elsewhere; their sum is 1."""
    grey = strips.mean(axis=2)  # [N, 3, H, W]
    size = (1, 1, 5, 5)
    lines = maximum_filter(grey, size) - minimum_filter(grey, size) > EDGE
    beside = maximum_filter(lines, size) & ~lines
    error = squared.mean(axis=2)
    return [float(error[where].sum() / error.sum()) for where in (lines, beside, ~lines & ~beside)]


def by_frequency(originals: np.ndarray, others: np.ndarray) -> list[float]:
    """Shares of the error by spatial frequency, low to high; their sum is 1 (Parseval)."""
    power = np.square(np.abs(np.fft.fft2(originals - others))).sum(axis=(0, 1, 2))  # [H, W]
    y, x = (np.fft.fftfreq(n) for n in power.shape)
    band = np.digitize(np.hypot(y[:, None], x), BANDS)
    return [float(power[band == b].sum() / power.sum()) for b in range(len(BANDS) + 1)]


def drawn(maps: dict[str, np.ndarray]) -> Image.Image:
    """A row a run: its three panels' errors, dark to bright on one scale."""
    figure = Figure((9, 2.5 * len(maps)), dpi=80, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    top = max(float(np.quantile(errors, 0.999)) for errors in maps.values())
    grid = figure.subplots(len(maps), 3, squeeze=False)
    for row, (name, errors) in zip(grid, maps.items(), strict=True):
        for panel, (axes, error) in enumerate(zip(row, errors, strict=True)):
            image = axes.imshow(error, cmap="magma", vmin=0, vmax=top)
            axes.set_xticks([])
            axes.set_yticks([])
            axes.set_title(f"panel {panel + 1}: {error.mean():.4f}", fontsize=9)
        if len(maps) > 1:
            row[0].set_ylabel(name, fontsize=9)
    figure.colorbar(image, ax=grid, label="squared error")
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())


if __name__ == "__main__":
    main()
