"""One run, measured: held-out figures, lines to compare with, and the report that shows them.

    processed/report.html      one page with all of it, pictures inside
    processed/measures.json    the same figures for programs
    events.out.tfevents.*      and for TensorBoard, under evaluation/

Held out are the test strips; training saw neither them nor anything chosen by them.
"""

import json
import time
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.tensorboard import SummaryWriter

from garfield_vae.checkpoints import LoadedModel
from garfield_vae.data.store import PanelStore
from garfield_vae.evaluation.comparison import (
    Describer,
    compare_sets,
    copying_figures,
    factor_figures,
    reconstruction_figures,
    reconstruction_values,
)
from garfield_vae.evaluation.evidence import bound_figures, iwae_figures
from garfield_vae.evaluation.metrics.baselines import mean_image, mosaic, pca_reconstructions
from garfield_vae.evaluation.metrics.disentanglement import usable_factors
from garfield_vae.evaluation.metrics.intervals import Estimate
from garfield_vae.evaluation.report import read_metrics, write_report
from garfield_vae.evaluation.showcase import SHOWN_PRIOR, gather_exhibits
from garfield_vae.latent import samplers
from garfield_vae.latent.codec import decode, encode
from garfield_vae.latent.space import LatentSpace
from garfield_vae.util.errors import UserError
from garfield_vae.util.files import replacing
from garfield_vae.util.progress import Stages

FEWEST_HELD_OUT = 4
MOST_HELD_OUT = 1000
MOST_TRAINING = 1500  # training strips behind PCA and features; nearest strips see all of them
IWAE_STRIPS = 32
STAGES = 10


class Rows:
    """Some rows of a store's panels, read when they are asked for: a library exceeds memory."""

    def __init__(self, panels: np.ndarray, rows: np.ndarray):
        self._panels, self._rows = panels, rows
        self.shape = (len(rows), *panels.shape[1:])

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, key: Any) -> np.ndarray:
        return self._panels[self._rows[key]]


def evaluate_run(
    loaded: LoadedModel,
    space: LatentSpace,
    store: PanelStore,
    folder: Path,
    *,
    iwae: int = 0,
    num_samples: int = 1000,
    seed: int = 0,
    stages: Stages | None = None,
) -> Path:
    """Measures a run on its held-out strips and writes the report into `folder`.

    `space` is the latent space fitted to the run's training strips. `iwae` is the number of
    posterior samples of the importance-weighted bound (0: none), `num_samples` the size of each
    set of drawn strips; `stages` keeps what each part costs. Returns the path of report.html. The
    same seed gives the same figures.

    Raises UserError where there are too few held-out strips to measure anything on.
    """
    began = time.monotonic()
    rng = np.random.default_rng(seed)
    test, train = store.split("test"), store.split("train")
    if len(test) < FEWEST_HELD_OUT or len(train) < FEWEST_HELD_OUT:
        raise UserError(
            f"there are {len(test)} test strips and {len(train)} to train on, and measures need "
            f"{FEWEST_HELD_OUT} of each: add strips, a few hundred at least"
        )
    test, some = _some(test, MOST_HELD_OUT, rng), _some(train, MOST_TRAINING, rng)
    held_out, training = store.panels[test], store.panels[some]
    num_samples = max(num_samples, FEWEST_HELD_OUT)
    z_dim = len(space.mean)

    with stages or Stages(STAGES) as stage:
        stage("encode and decode held-out strips")
        means, variances = encode(loaded.model, held_out)
        reconstructions = decode(loaded.model, means)

        stage("errors of the reconstructions")
        values = reconstruction_values(held_out, reconstructions)

        stage("lines to compare with")
        mean = np.broadcast_to(mean_image(Rows(store.panels, train)), held_out.shape)
        lines = {
            "this model": reconstruction_figures(values),
            "8×8 mosaic": _line(held_out, mosaic(held_out)),
            **_pca_line(training, held_out, z_dim),
            "mean image": _line(held_out, mean),
        }

        stage("rate and evidence")
        bound = bound_figures(loaded.model, held_out, means, variances, last_beta(loaded), rng)
        if iwae:
            chosen = slice(min(len(held_out), IWAE_STRIPS))
            bound |= iwae_figures(
                loaded.model, held_out[chosen], means[chosen], variances[chosen], bound, iwae, seed
            )

        stage("draw samples")
        samples = decode(loaded.model, samplers.draw(space, num_samples, rng))
        prior = decode(loaded.model, samplers.draw(space, num_samples, rng, "normal"))

        stage("describe strips by fixed features")
        describe = Describer(training)
        del training
        real = describe(held_out)
        halves = np.array_split(rng.permutation(len(held_out)), 2)
        sets = {
            "real strips, two halves": (real.take(halves[0]), real.take(halves[1])),
            "reconstructions": (real, describe(reconstructions)),
            "samples, fitted density": (real, describe(samples)),
            "samples, N(0, I)": (real, describe(prior)),
        }
        prior = prior[:SHOWN_PRIOR].copy()  # a thousand strips are a third of a gigabyte

        stage("compare sets of strips")
        compared = {name: compare_sets(*pair, seed) for name, pair in sets.items()}

        stage("nearest training strips")
        copying, nearest = copying_figures(samples, held_out, Rows(store.panels, train), rng)

        stage("known factors")
        factors = measure_factors(loaded, space, store, rng)

        stage("pictures and page")
        figures = {
            "run": {"name": loaded.folder.name, "epoch": loaded.epoch + 1, "seed": seed},
            "strips": {
                "held out": len(held_out),
                "training": len(train),
                "samples": num_samples,
                "PCA fitted on": len(some),
            },
            "reconstruction": lines,
            "panels": {
                f"panel {i + 1}": reconstruction_figures({k: v[:, [i]] for k, v in values.items()})
                for i in range(3)
            },
            "bound": bound,
            "samples": compared,
            "copying": copying,
        }
        if factors is not None:
            figures["factors"] = factors
        exhibits = gather_exhibits(
            loaded.model,
            space,
            held_out=held_out,
            names=[store.names[row] for row in test],
            reconstructions=reconstructions,
            errors=values["mse"].mean(axis=1),
            means=means,
            samples=samples,
            prior=prior,
            nearest=nearest,
            training=Rows(store.panels, train),
            training_names=[store.names[row] for row in train],
        )
        path = write_report(folder / "report.html", loaded, space, figures, exhibits)
        with replacing(folder / "measures.json", "w") as file:
            json.dump(plain(figures), file, indent=2, ensure_ascii=False)
            file.write("\n")
        log_scalars(loaded.folder, figures, loaded.epoch + 1)
    mse = lines["this model"]["mse"]
    print(
        f"measured {len(held_out):,} held-out strips and {2 * num_samples:,} samples in "
        f"{time.monotonic() - began:.0f} s: MSE {mse.value:.4f}, rate {bound['rate'].value:.0f} "
        f"nats, {bound['active units']:.0f} of {z_dim} units active"
    )
    return path


def measure_factors(
    loaded: LoadedModel, space: LatentSpace, store: PanelStore, rng: np.random.Generator
) -> dict[str, Any] | None:
    """MIG, DCI and SAP where the strips were drawn with known factors, else None."""
    path = store.path.parent / "factors.jsonl"
    if not path.is_file():
        return None
    records = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        records[record["date"]] = record
    rows = _some(np.arange(len(store)), MOST_HELD_OUT, rng)
    rows = np.array([row for row in rows if store.names[row] in records], dtype=int)
    factors = usable_factors([records[store.names[row]] for row in rows])
    if not factors:
        return None
    means, _ = encode(loaded.model, store.panels[rows])
    return {"strips": len(rows)} | factor_figures(means, space.coordinates(means), factors)


def last_beta(loaded: LoadedModel) -> float | None:
    """The beta that training ended with, from metrics.csv or the options; None for neither."""
    betas = [row["train/beta"] for row in read_metrics(loaded.folder) if "train/beta" in row]
    if betas:
        return betas[-1]
    return None if loaded.options.beta == "auto" else float(loaded.options.beta)


def log_scalars(folder: Path, figures: dict[str, Any], step: int) -> None:
    """Every figure of `figures` as TensorBoard's evaluation/<group>/<…>, without spaces."""

    def leaves(prefix: str, value: Any):
        if isinstance(value, dict):
            for name, inner in value.items():
                yield from leaves(f"{prefix}/{name.replace(' ', '_').replace(',', '')}", inner)
        elif isinstance(value, Estimate):
            yield prefix, value.value
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield prefix, float(value)

    with SummaryWriter(str(folder), filename_suffix=".evaluation") as writer:
        for name, value in leaves("evaluation", figures):
            writer.add_scalar(name, value, step)


def plain(value: Any) -> Any:
    """Figures as JSON has them: estimates and arrays become dictionaries and lists."""
    if is_dataclass(value):
        return asdict(value)
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, np.ndarray):
        return [[round(float(x), 5) for x in row] for row in value]
    return value


def _line(strips: np.ndarray, others: np.ndarray) -> dict[str, Estimate]:
    return reconstruction_figures(reconstruction_values(strips, others))


def _pca_line(
    training: np.ndarray, strips: np.ndarray, components: int
) -> dict[str, dict[str, Estimate]]:
    redrawn, kept = pca_reconstructions(training, strips, components)
    return {f"PCA, {kept} components": _line(strips, redrawn)}


def _some(rows: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    return rows if len(rows) <= most else np.sort(rng.choice(rows, most, replace=False))
