"""Which measure detects which damage? Drawn strips, damaged in known ways, in place of samples.

    python benchmarks/sensitivity.py                 4,000 drawn strips, about ten CPU minutes
    python benchmarks/sensitivity.py --folder DIR    a folder of real strips

No network is involved. The first table holds real strips of the validation and test splits, whole
or damaged, against other such strips: a row a damage, a column a measure, the mean over --splits
random halves. A figure is bold, the damage seen, where it lies more than four standard deviations
(of undamaged halves) from that of undamaged strips. The second table has the same sets, and copies
of training strips, by the measures of copying: mean distance to the nearest training strip over
that of real strips, share of strips with a panel that is a near copy, the test of Meehan et al.
(2020) on distances and on relative distances, and the verdict of the report.
"""

import argparse
import io
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.ndimage
from PIL import Image
from sklearn.cluster import KMeans

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from garfield_vae.data.build import build_store
from garfield_vae.data.drawn import draw_folder
from garfield_vae.data.store import Rows
from garfield_vae.evaluation.copying import Control, CopyingMeasure, copies
from garfield_vae.evaluation.metrics.memorisation import layouts
from garfield_vae.evaluation.metrics.story import with_strange_panels
from garfield_vae.evaluation.sample_sets import Describer, plain_figures

MOST_FITTED = 1000
SEEN = 4.0  # standard deviations
SHORT = {"random network": "network", "lines and layout": "lines"}
Damage = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, help="strips; drawn ones if not given")
    parser.add_argument("--count", type=int, default=4000, help="strips to draw (default: 4000)")
    parser.add_argument("--splits", type=int, default=8, help="random halves (default: 8)")
    parser.add_argument("--copies", type=int, default=100, help="strips of the rows of copies")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sensitivity-") as work:
        folder = options.folder
        if folder is None:
            folder = Path(work) / "drawn"
            draw_folder(folder, options.count)
            folder = folder / "strips"
        store = build_store(folder, Path(work) / "store")
        measure(store, options.splits, options.copies)


def measure(store, splits: int, copied: int) -> None:
    rng, groups = np.random.default_rng(0), np.array(store.weeks)
    train = store.split("train")
    held_out = np.concatenate([store.split("validation"), store.split("test")])
    strips = store.panels[held_out]
    training = Rows(store.panels, train)
    print(f"{len(train):,} training strips, {len(held_out):,} others", flush=True)

    describe = Describer(store.panels[train[:: -(-len(train) // MOST_FITTED)]])
    real = describe(strips)
    parts = [np.array_split(rng.permutation(len(held_out)), 2) for _ in range(splits)]
    undamaged = table(real, real, parts)
    mean, spread = undamaged.mean(axis=0), undamaged.std(axis=0, ddof=1)
    names = list(plain_figures(real.take(parts[0][0]), real.take(parts[0][1])))

    print_row("damage", [short(name) for name in names])
    print_row("---", ["---:"] * len(names))
    print_row("none: real strips", [f"{value:.3g}" for value in mean])
    for name, damage in DAMAGES.items():
        damaged = describe(damage(strips, np.random.default_rng(1)))
        values = table(real, damaged, parts).mean(axis=0)
        seen = np.abs(values - mean) > SEEN * np.maximum(spread, 1e-9)
        print_row(
            name, [f"**{v:.3g}**" if s else f"{v:.3g}" for v, s in zip(values, seen, strict=True)]
        )

    first, second = np.array_split(rng.permutation(len(held_out)), 2)
    none = strips[:0], groups[:0]
    control = Control(strips[first], groups[held_out[first]], *none, groups[train])
    copying = CopyingMeasure(control, training)
    others = strips[second]
    count = min(copied, len(train), len(others))
    originals = store.panels[rng.choice(train, count, replace=False)]
    sets = {"none: real strips": others}
    sets |= {name: damage(others, np.random.default_rng(1)) for name, damage in DAMAGES.items()}
    sets |= repeated(originals, others[:count])
    print()
    print_row("strips", ["distance", "near copies", "Z_U", "Z_U, relative", "copied"])
    print_row("---", ["---:"] * 5)
    for name, drawn in sets.items():
        figures, _ = copying(drawn)
        cells = [
            f"{figures['distance ratio'].value:.2f}",
            f"{figures['near copies'].value:.1%}",
            f"{figures['Z_U']:.1f}",
            f"{figures['Z_U of relative distances']:.1f}",
            "**yes**" if copies(figures) else "no",
        ]
        print_row(name, cells)


def print_row(name: str, cells: list[str]) -> None:
    print(f"| {name} | {' | '.join(cells)} |", flush=True)


def table(real, drawn, parts) -> np.ndarray:
    """Every measure of the second half's drawn strips against the first half's real ones."""
    return np.array([list(plain_figures(real.take(a), drawn.take(b)).values()) for a, b in parts])


def repeated(originals: np.ndarray, others: np.ndarray) -> dict[str, np.ndarray]:
    """Copies of training strips, in full or among `others`, as they are and disguised."""
    half, tenth = len(originals) // 2, max(1, len(originals) // 10)
    twentieth = max(1, len(originals) // 20)
    rng = np.random.default_rng(2)
    mixed = np.stack([rng.permutation(originals)[:, place] for place in range(3)], axis=1)
    return {
        "all copies": originals,
        "half copies": np.concatenate([originals[:half], others[half:]]),
        "a tenth copies": np.concatenate([originals[:tenth], others[tenth:]]),
        "a twentieth copies": np.concatenate([originals[:twentieth], others[twentieth:]]),
        "mirrored copies": originals[..., ::-1],
        "a tenth mirrored copies": np.concatenate([originals[:tenth, ..., ::-1], others[tenth:]]),
        "copies shifted by a pixel": np.roll(originals, 1, axis=-1),
        "copies shifted by 3 and 2": np.roll(originals, (3, 2), axis=(-1, -2)),
        "blurred copies": blurred(4)(originals, rng),
        "grey copies": grey(originals, rng),
        "brighter copies": (0.8 * originals + 51).astype(np.uint8),
        "copies, red and blue swapped": originals[:, :, ::-1],
        "copies turned by 2 degrees": turned(originals, rng),
        "copies shrunk to 0.9": shrunk(originals, rng),
        "copies as JPEG of quality 5": jpeg(originals, rng),
        "copies with blurred text": upper_blurred(originals, rng),
        "copies, lower halves of others": lower_of_others(originals, rng),
        "means of two training strips": averaged(originals, rng),
        "copies of panels, mixed": mixed,
        "one panel a copy": np.concatenate([originals[:, :1], others[:, 1:]], axis=1),
    }


# ---- damages: uint8 [N, 3, 3, H, W] → the same --------------------------------------------------


def blurred(sigma: float) -> Damage:
    return lambda strips, _: np.stack(
        [scipy.ndimage.gaussian_filter(strip, (0, 0, sigma, sigma)) for strip in strips]
    )


def noisy(strips: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    noise = rng.normal(0, 20, strips.shape).astype(np.float32)
    return (strips + noise).clip(0, 255).astype(np.uint8)


def tinted(strips: np.ndarray, _: np.random.Generator) -> np.ndarray:
    shift = np.array([20, 0, -20])[:, None, None]
    return (strips + shift).clip(0, 255).astype(np.uint8)


def grey(strips: np.ndarray, _: np.random.Generator) -> np.ndarray:
    return np.repeat(strips.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)


def of_different_strips(strips: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.stack([strips[rng.permutation(len(strips)), place] for place in range(3)], axis=1)


def turned(strips: np.ndarray, _: np.random.Generator) -> np.ndarray:
    return scipy.ndimage.rotate(strips, 2, (-1, -2), reshape=False, order=1, mode="nearest")


def shrunk(strips: np.ndarray, _: np.random.Generator) -> np.ndarray:
    """Panels at nine tenths of their size, on white."""
    height, width = (round(0.9 * side) for side in strips.shape[-2:])
    top, left = (strips.shape[-2] - height) // 2, (strips.shape[-1] - width) // 2
    small = np.full_like(strips, 255)
    for panel, place in zip(pictures(strips), small.reshape(-1, *strips.shape[2:]), strict=True):
        resized = np.asarray(panel.resize((width, height), Image.Resampling.BILINEAR))
        place[:, top : top + height, left : left + width] = resized.transpose(2, 0, 1)
    return small


def jpeg(strips: np.ndarray, _: np.random.Generator) -> np.ndarray:
    decoded = []
    for panel in pictures(strips):
        file = io.BytesIO()
        panel.save(file, "JPEG", quality=5)
        decoded.append(np.asarray(Image.open(file)).transpose(2, 0, 1))
    return np.stack(decoded).reshape(strips.shape)


def pictures(strips: np.ndarray) -> list[Image.Image]:
    panels = strips.reshape(-1, *strips.shape[2:]).transpose(0, 2, 3, 1)  # [3·N, H, W, 3]
    return [Image.fromarray(np.ascontiguousarray(panel)) for panel in panels]


def upper_blurred(strips: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The upper two fifths of each panel, where the text stands, blurred."""
    rows = 2 * strips.shape[-2] // 5
    return np.concatenate([blurred(4)(strips[..., :rows, :], rng), strips[..., rows:, :]], axis=-2)


def lower_of_others(strips: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    rows, others = strips.shape[-2] // 2, strips[rng.permutation(len(strips))]
    return np.concatenate([strips[..., :rows, :], others[..., rows:, :]], axis=-2)


def averaged(strips: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each strip and another one, half and half."""
    return strips // 2 + strips[rng.permutation(len(strips))] // 2


def cluster_means(strips: np.ndarray, _: np.random.Generator) -> np.ndarray:
    """Each strip becomes the mean of its cluster, of ten strips or so (k-means of layouts)."""
    described = layouts(strips).flatten(1).numpy()
    cluster = KMeans(len(strips) // 10, n_init=1, random_state=0).fit_predict(described)
    means = np.stack([strips[cluster == c].mean(axis=0) for c in range(cluster.max() + 1)])
    return means.astype(np.uint8)[cluster]


def collapsed(strips: np.ndarray, _: np.random.Generator) -> np.ndarray:
    """20 strips in turn: the halves that are compared see about as many of each."""
    return strips[np.linspace(0, len(strips) - 1, 20).astype(int)][np.arange(len(strips)) % 20]


DAMAGES: dict[str, Damage] = {
    "blur of 1 pixel": blurred(1),
    "blur of 2 pixels": blurred(2),
    "blur of 4 pixels": blurred(4),
    "noise": noisy,
    "shifted colours": tinted,
    "grey": grey,
    "red and blue swapped": lambda strips, _: strips[:, :, ::-1],
    "JPEG of quality 5": jpeg,
    "turned by 2 degrees": turned,
    "shrunk to 0.9": shrunk,
    "blurred text": upper_blurred,
    "lower halves of other strips": lower_of_others,
    "means of two strips": averaged,
    "means of clusters": cluster_means,
    "mirrored panels": lambda strips, _: strips[..., ::-1],
    "mirrored strips": lambda strips, _: strips[:, ::-1, ..., ::-1],
    "panels of different strips": of_different_strips,
    "one panel of another strip": with_strange_panels,
    "panels in reverse order": lambda strips, _: strips[:, ::-1],
    "20 strips repeated": collapsed,
}


def short(name: str) -> str:
    for long, brief in SHORT.items():
        name = name.replace(long, brief)
    return name


if __name__ == "__main__":
    main()
