"""Evaluates a run on its test strips, and writes the figures and a report of them.

    processed/report.html      one page with all figures and pictures
    processed/measures.json    the figures for programs
    events.out.tfevents.*      the figures for TensorBoard, as a table under Text

Nothing was trained on test strips or chosen by them (checkpoints are chosen by validation strips),
unless the strips have changed since the training, which is said then.
Distances between sets depend on the sets' sizes, so each is given for a set of real strips of the
same size as well.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard.summary import text

from garfield_vae.checkpoints import LoadedModel
from garfield_vae.data.store import PanelStore
from garfield_vae.evaluation.compression import compression_figures
from garfield_vae.evaluation.factors import measure_factors
from garfield_vae.evaluation.metrics.baselines import mean_image, mosaic, pca_reconstructions
from garfield_vae.evaluation.metrics.intervals import Estimate
from garfield_vae.evaluation.metrics.reconstruction import WINDOW
from garfield_vae.evaluation.reconstructions import reconstruction_figures, reconstruction_values
from garfield_vae.evaluation.report import write_report
from garfield_vae.evaluation.report_pictures import choose_pictures
from garfield_vae.evaluation.sample_measures import SampleMeasures, random_rows
from garfield_vae.evaluation.sample_sets import compare_sets
from garfield_vae.evaluation.summary import CHANGED_STRIPS
from garfield_vae.latent import samplers as latent_samplers
from garfield_vae.latent.codec import FIT_STEPS, decode, reconstruct
from garfield_vae.latent.prior_sampler import PriorSampler
from garfield_vae.latent.space import LatentSpace
from garfield_vae.run_folder import trained_on, write_json
from garfield_vae.util.console import printable
from garfield_vae.util.errors import UserError
from garfield_vae.util.files import replacing
from garfield_vae.util.metrics_table import read_metrics
from garfield_vae.util.progress import Stages

LONGEST_NAME = 80  # characters in the report
FEWEST_STRIPS = 4  # of test and of training strips
MOST_TEST = 1000
MOST_PCA = 12_000  # training strips that PCA is fitted to; its cost grows with their square
Sampler = Callable[[int, np.random.Generator], np.ndarray]  # how many, generator → latents [n, z]

# Seconds on one core for 500 test strips, 4,000 training strips and 500 samples of two samplers
# (benchmarks/evaluation.py).
STAGES = {
    "encode and decode test strips": 6.0,
    "errors of the reconstructions": 2.0,
    "fit latents of test strips": 55.0,
    "baselines": 39.0,
    "compression": 5.0,
    "describe real strips": 33.0,
    "draw and compare samples": 20.0,
    "copies of training strips": 25.0,
    "known factors": 18.0,
    "pictures and page": 1.0,
}


def evaluate_run(
    loaded: LoadedModel,
    space: LatentSpace,
    store: PanelStore,
    means: np.ndarray,
    folder: Path,
    *,
    samplers: Mapping[str, Sampler] | None = None,
    prior: PriorSampler | None = None,
    num_samples: int = 500,
    seed: int = 0,
    fit_steps: int = FIT_STEPS,
    stages: Stages | None = None,
) -> Path:
    """Evaluates a run on its test strips and writes the report into `folder`; returns its path.

    `space` is the latent space fitted to the run's training strips, `means` [len(store), z] are the
    posterior means of all strips (a memory map will do). `samplers` are by name, the most used one
    first; by default they are prior (if there is a `prior`), kernel and normal of --sampler.
    `fit_steps` are those of one line of figures: everything else is of the encoder's own pass.
    `num_samples` is the size of each set of samples, at most half the number of training strips.
    `stages` records what each part costs. The same seed gives the same figures.

    Raises UserError where there are too few strips to measure anything on, or panels are too small.
    """
    began = time.monotonic()
    rng = np.random.default_rng(seed)
    test, train = store.split("test"), store.split("train")
    if len(test) < FEWEST_STRIPS or len(train) < FEWEST_STRIPS:
        raise UserError(
            f"there are {len(test)} test strips and {len(train)} to train on, and an evaluation "
            f"needs {FEWEST_STRIPS} of each: add strips, a few hundred at least"
        )
    if min(store.height, store.width) < WINDOW:
        raise UserError(
            f"panels of {store.height}×{store.width} pixels are too small for an evaluation, whose "
            f"SSIM needs {WINDOW} or more each way: train with larger panels (--panel_height, "
            f"--panel_width)"
        )
    if samplers is None:
        names = ("kernel", "normal") if prior is None else ("prior", "kernel", "normal")
        draw = latent_samplers.draw
        samplers = {name: partial(draw, space, sampler=name, prior=prior) for name in names}
    model = loaded.model
    changed = trained_on(loaded.folder) not in (None, store.digest)
    if changed:
        print(f"strips      {CHANGED_STRIPS}", flush=True)

    with stages or Stages(STAGES) as stage:
        stage("encode and decode test strips")
        measures = SampleMeasures(
            model, space, store, means, most_test=MOST_TEST, samples=num_samples, rng=rng
        )
        held_out, weeks, training = measures.held_out, measures.weeks, measures.training

        stage("errors of the reconstructions")
        values = reconstruction_values(held_out, measures.reconstructions)

        stage("fit latents of test strips")
        fitted = {}
        if fit_steps:
            values_fitted = reconstruction_values(held_out, reconstruct(model, held_out, fit_steps))
            name = f"{fit_steps} step{'s' if fit_steps > 1 else ''}"
            fitted[name] = reconstruction_figures(values_fitted, weeks)

        stage("baselines")
        pca_rows = random_rows(train, MOST_PCA, rng)
        [(by_pca, kept)] = pca_reconstructions(store.panels, held_out, [len(space.mean)], pca_rows)
        reconstruction = {"this model": reconstruction_figures(values, weeks)}
        for name, others in {
            "8×8 mosaic": mosaic(held_out),
            f"PCA, {kept} components": by_pca,
            "mean image": np.broadcast_to(mean_image(training), held_out.shape),
        }.items():
            values_of_baseline = reconstruction_values(held_out, others)
            reconstruction[name] = reconstruction_figures(values_of_baseline, weeks)
        del by_pca, others

        stage("compression")
        compression = compression_figures(
            model, held_out, measures.test_means, measures.variances, last_beta(loaded), rng, weeks
        )

        stage("describe real strips")
        real, redrawn = measures.real, measures.redrawn
        ceilings = measures.ceilings()
        against_test = {name: compare_sets(real, c, weeks, seed) for name, c in ceilings.items()}
        ceiling = compare_sets(redrawn, ceilings["reconstructions"], weeks, seed)
        against_reconstructions = {"reconstructions": ceiling}
        del ceilings

        stage("draw and compare samples")
        latents = {name: draw(measures.count, rng) for name, draw in samplers.items()}
        samples = {name: decode(model, z) for name, z in latents.items()}
        for name, strips in samples.items():
            drawn = measures.describe(strips)
            against_test[name] = compare_sets(real, drawn, weeks, seed)
            against_reconstructions[name] = compare_sets(redrawn, drawn, weeks, seed)

        stage("copies of training strips")
        copying, nearest = {}, {}
        for name, strips in samples.items():
            copying[name], nearest[name], _ = measures.copying(latents[name], strips)

        stage("known factors")
        factors = measure_factors(loaded, space, store, rng)

        stage("pictures and page")
        figures = {
            "run": {
                "name": printable(loaded.folder.name, LONGEST_NAME),
                "epoch": loaded.epoch + 1,
                "seed": seed,
                "candidates": None if prior is None else prior.candidates,
            },
            "strips": {
                "test": len(held_out),
                "test weeks": len(np.unique(weeks)),
                "training": len(train),
                "samples": measures.count,
                "PCA fitted on": len(pca_rows),
                "changed": changed,
            },
            "samplers": list(samplers),
            "reconstruction": reconstruction,
            "fitted": fitted,
            "panels": {
                f"panel {i + 1}": reconstruction_figures(
                    {name: panels[:, [i]] for name, panels in values.items()}, weeks
                )
                for i in range(3)
            },
            "compression": compression,
            "samples": {
                "against test strips": against_test,
                "against their reconstructions": against_reconstructions,
            },
            "copying": copying,
        }
        if factors is not None:
            figures["factors"] = factors
        pictures = choose_pictures(
            model,
            space,
            held_out=held_out,
            names=[printable(store.names[row], LONGEST_NAME) for row in measures.test],
            reconstructions=measures.reconstructions,
            errors=values["mse"].mean(axis=1),
            means=measures.test_means,
            samples=samples,
            nearest=nearest,
            training=training,
            training_names=[printable(store.names[row], LONGEST_NAME) for row in train],
            prior=prior,
            start=None if prior is None else next(iter(latents.values()))[0],
        )
        metrics = read_metrics(loaded.folder)
        path = write_report(folder / "report.html", loaded, space, figures, pictures, metrics)
        write_json(folder / "measures.json", for_json(figures))
        log_table(loaded.folder, figures, loaded.epoch + 1)
    mse = reconstruction["this model"]["mse"]
    after = "".join(f" ({line['mse'].value:.4f} fitted, {n})" for n, line in fitted.items())
    print(
        f"measured {len(held_out):,} test strips and {measures.count:,} samples of each sampler in "
        f"{time.monotonic() - began:.0f} s: MSE {mse.value:.4f}{after}, "
        f"rate {compression['rate'].value:.0f} nats"
    )
    return path


def last_beta(loaded: LoadedModel) -> float | None:
    """Beta at the end of training, from metrics.csv or the options; None where neither has it."""
    betas = [row["train/beta"] for row in read_metrics(loaded.folder) if "train/beta" in row]
    if betas:
        return betas[-1]
    return None if loaded.options.beta == "auto" else float(loaded.options.beta)


def log_table(folder: Path, figures: dict[str, Any], step: int) -> None:
    """Writes all figures as one table under TensorBoard's Text, because hundreds of scalars with a
    single point each would hide the training curves."""

    def leaves(names: list[str], value: Any):
        if isinstance(value, dict):
            for name, inner in value.items():
                yield from leaves([*names, name], inner)
        elif isinstance(value, Estimate):
            yield names, value.value
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield names, float(value)

    rows = [f"| {' / '.join(names)} | {value:.4g} |" for names, value in leaves([], figures)]
    table = text("evaluation", "\n".join(["| figure | value |", "|---|---|", *rows]))
    now = time.time()
    # Not by a SummaryWriter: its thread prints a traceback where the file cannot be written.
    with replacing(folder / f"events.out.tfevents.{int(now)}.evaluation") as file:
        records = RecordWriter(file)
        records.write(Event(wall_time=now, file_version="brain.Event:2").SerializeToString())
        records.write(Event(wall_time=now, step=step, summary=table).SerializeToString())


def for_json(value: Any) -> Any:
    """Figures with dictionaries and lists in place of estimates and arrays."""
    if is_dataclass(value):
        return asdict(value)
    if isinstance(value, dict):
        return {name: for_json(inner) for name, inner in value.items()}
    if isinstance(value, np.ndarray):
        return np.round(value.astype(float), 5).tolist()
    return value
