"""Which way of drawing latents gives the best strips? Fitted density, N(0, I), temperatures.

    python benchmarks/sampling.py --experiment_dir logs/RUN --pictures /tmp/sampling.png

Draws --samples strips by each way from one trained run and compares each set with its held-out
(validation and test) strips: KID on lines and layout (0 is as good as real), precision (shares of
the samples that look like strips), recall and coverage (share of the strips that samples look
like). `nearest` is the mean squared error to the nearest training strip, in [-1, 1]; samples that
come much nearer than held-out strips do are copies. The picture shows a row of each, from the same
seed.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from garfield_vae.checkpoints import load_run
from garfield_vae.data.panels import join_panels
from garfield_vae.data.sources import present_strips
from garfield_vae.evaluation.comparison import Describer
from garfield_vae.evaluation.metrics.samples import KernelDistance, NearestStrips, manifold_measures
from garfield_vae.latent import samplers
from garfield_vae.latent.codec import decode, reconstruct
from garfield_vae.latent.files import encoded_strips
from garfield_vae.run_folder import find_run_folder
from garfield_vae.util.pictures import save_png, sheet

FEATURES = "lines and layout"
MOST_TRAINING = 1500
SHOWN = 4
SAMPLERS = {
    "normal, N(0, I)": (samplers.normal, {}),
    "gaussian": (samplers.gaussian, {}),
    "kernel, bandwidth 0.75": (samplers.kernel, {"bandwidth": 0.75}),
    "kernel, bandwidth 0.5": (samplers.kernel, {}),
    "kernel, bandwidth 0.25": (samplers.kernel, {"bandwidth": 0.25}),
    "kernel, bandwidth 0: the strips": (samplers.kernel, {"bandwidth": 0.0}),
    "kernel, temperature 0.7": (samplers.kernel, {"temperature": 0.7}),
    "kernel, temperature 0.85": (samplers.kernel, {"temperature": 0.85}),
    "kernel, temperature 1.2": (samplers.kernel, {"temperature": 1.2}),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--experiment_dir", required=True, help="a run's folder, or last")
    parser.add_argument("--samples", type=int, default=500, help="of each sampler (default: 500)")
    parser.add_argument("--pictures", type=Path, help="PNG: some strips of each sampler")
    options = parser.parse_args()

    run = load_run(find_run_folder(options.experiment_dir, Path("logs")))
    store = present_strips(run.options)
    space = encoded_strips(run.model, run.checkpoint, run.folder, store).space
    train = store.split("train")
    training = store.panels[train[:: -(-len(train) // MOST_TRAINING)]]
    held_out = store.panels[np.concatenate([store.split("validation"), store.split("test")])]
    describe, nearest = Describer(training), NearestStrips(training)
    real = describe(held_out).features[FEATURES]

    def row(name: str, strips: np.ndarray) -> None:
        drawn = describe(strips).features[FEATURES]
        distance = KernelDistance(real, drawn)(np.ones(len(real)), np.ones(len(drawn)))
        sets = manifold_measures(real, drawn)
        figures = (sets.precision.mean(), sets.recall.mean(), sets.coverage.mean())
        cells = "".join(f"{figure:10.2f}" for figure in figures)
        print(f"{name:30}{distance:9.3f}{cells}{nearest(strips)[1].mean():9.3f}", flush=True)

    print(f"{'':30}{'KID':>9}{'precision':>10}{'recall':>10}{'coverage':>10}{'nearest':>9}")
    print(f"{'held-out strips':30}{'':39}{nearest(held_out)[1].mean():9.3f}")
    row("their reconstructions", reconstruct(run.model, held_out))
    shown, labels = [], []
    for name, (sampler, settings) in SAMPLERS.items():
        latents = sampler(space, options.samples, np.random.default_rng(0), **settings)
        strips = decode(run.model, latents)
        row(name, strips)
        shown.append(strips[:SHOWN])
        labels += [name] * SHOWN
    if options.pictures:
        page = sheet(join_panels(np.concatenate(shown)), columns=SHOWN, width=400, labels=labels)
        save_png(options.pictures, page)


if __name__ == "__main__":
    main()
