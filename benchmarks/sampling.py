"""Which sampler draws the best strips? Fitted densities, N(0, I), temperatures, and what is real.

    python benchmarks/sampling.py --experiment_dir logs/RUN --pictures /tmp/sampling.png

Draws --sets times --samples strips by each sampler from one trained run and compares each set with
its test strips, and with their reconstructions, which takes the decoder's blur out: kernel distance
(KID, 0 for one kind of strips), precision and density (how far samples lie within the real set),
recall and coverage (how much of the real set samples reach), on both kinds of features; and how
often a real strip is told from a sample by its story (0.5 is chance: panels that belong together,
in their order). The figures are means over the sets, since one set's KID may differ from another's
by 0.01. The first rows are what real strips, and their reconstructions, score: a set of each.

Novelty is the distance to the nearest training strip over that of test strips, 1 for a strip as new
as a real one and 0 for a copy: of latents in the leading 64 components, of latents in all, and of
decoded pictures against the nearest training strip's reconstruction. `copies` is the share of
samples with a panel that is a near copy of a training panel, and `copied` the verdict. The last
column is the processor time to draw a sample.

The picture has a row a sampler, from the same seed: samples, each above the training strip whose
latent is nearest.
"""

import argparse
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.runs import load_trained
from garfield_vae.data.panels import join_panels
from garfield_vae.evaluation.metrics.memorisation import Novelty
from garfield_vae.evaluation.sample_measures import SampleMeasures
from garfield_vae.evaluation.sample_sets import FEATURES, Described, plain_figures
from garfield_vae.latent import samplers
from garfield_vae.latent.codec import decode, reconstruct
from garfield_vae.model.guidance import GUIDANCE
from garfield_vae.model.rejection import CANDIDATES
from garfield_vae.util.pictures import save_png, sheet

SHOWN = 4
MEASURES = (("KID", 9), ("precision", 6), ("density", 6), ("recall", 6), ("coverage", 6))
PRIOR = {  # guidance, temperature, candidates
    "prior": (GUIDANCE, 1.0, CANDIDATES),
    "prior, 1 candidate": (GUIDANCE, 1.0, 1),
    "prior, 4 candidates": (GUIDANCE, 1.0, 4),
    "prior, guidance 1": (1.0, 1.0, CANDIDATES),
    "prior, guidance 2": (2.0, 1.0, CANDIDATES),
    "prior, temperature 0.9": (GUIDANCE, 0.9, CANDIDATES),
}
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
    parser.add_argument("--samples", type=int, default=500, help="in a set (default: 500)")
    parser.add_argument("--sets", type=int, default=4, help="by each sampler (default: 4)")
    parser.add_argument("--test", type=int, default=1000, help="test strips at most")
    parser.add_argument("--pictures", type=Path, help="PNG: samples and their nearest strips")
    options = parser.parse_args()

    run, store, encoded, prior = load_trained(options.experiment_dir)
    space = encoded.space
    table = SamplerTable(run.model, space, store, encoded.means, options.samples, options.test)
    table.print_head()
    shown, labels = [], []
    if prior is not None:
        prior.sample(1, 0)  # training strips are judged with the first
    for name in [*(PRIOR if prior is not None else []), *SAMPLERS]:
        if name in PRIOR:
            prior.guidance, temperature, prior.candidates = PRIOR[name]
            draw = partial(prior.sample, options.samples, temperature=temperature)
            seeds = range(options.sets)
        else:
            sampler, settings = SAMPLERS[name]
            draw = partial(sampler, space, options.samples, **settings)
            seeds = map(np.random.default_rng, range(options.sets))
        began = time.process_time()
        sets = [draw(seed) for seed in seeds]
        ms = 1000 * (time.process_time() - began) / (options.sets * options.samples)
        samples, rows = table.print_row(name, sets, f"{ms:8.1f}")
        shown += [samples[:SHOWN], reconstruct(run.model, table.training[rows[:SHOWN]], steps=0)]
        labels += [name] * SHOWN + [f"nearest: {table.names[row]}" for row in rows[:SHOWN]]
    if options.pictures:
        page = sheet(join_panels(np.concatenate(shown)), columns=SHOWN, width=400, labels=labels)
        save_png(options.pictures, page)


class Measured(NamedTuple):
    """A set of samples: the strips, how far they are copies, and figures against test strips and
    against their reconstructions."""

    strips: np.ndarray
    copying: dict[str, Any]
    new: Novelty
    figures: list[dict[str, float]]


class SamplerTable:
    """Prints a row a sampler, all against the same test strips. Any sampler's latents will do."""

    def __init__(self, model, space, store, means, samples: int, most: int = 1000) -> None:
        rng = np.random.default_rng(0)
        self._model = model
        self._measures = SampleMeasures(
            model, space, store, means, most_test=most, samples=samples, rng=rng
        )
        self.training = self._measures.training
        self.tested = len(self._measures.test)
        self.names = [store.names[row] for row in store.split("train")]
        print(
            f"{len(self.training):,} training strips, {self.tested:,} test strips, "
            f"sets of {samples:,} samples, {self._measures.count:,} real strips in the first rows"
        )

    def print_head(self) -> None:
        kinds = "".join(
            f"{f'{kind}: {against}':^34}"
            for kind in FEATURES
            for against in ("test", "reconstructions")
        )
        print(f"{'':32}{kinds}{'story':^16}{'novelty':^18}")
        measures = "".join(f"{name[:5]:>{width}}" for name, width in MEASURES) + " "
        tail = f"{'toget.':>8}{'order':>8}{'64':>6}{'all':>6}{'pixels':>7}{'copies':>8}  copied"
        print(f"{'':32}{measures * 4}{tail}{'ms':>8}")
        for name, described in self._measures.ceilings().items():
            print(f"{name:32}{cells([self._figures(described)])}", flush=True)

    def print_row(
        self, name: str, sets: list[np.ndarray], rest: str = ""
    ) -> tuple[np.ndarray, np.ndarray]:
        """Sets of latents [M, z] → the strips of the first [M, 3, 3, H, W], and the row of the
        training strip nearest to each. `rest` ends the row."""
        figures, ratios, shown = [], [], None
        for latents in sets:
            one = self.measure(latents)
            shares = one.new.leading.value, one.new.latents.value, one.new.pixels.value
            ratios.append([*shares, one.copying["near copies"].value, bool(one.copying["verdict"])])
            figures.append(one.figures)
            shown = shown or (one.strips, one.new.row)
        leading, latents, pixels, share, copied = np.mean(ratios, axis=0)
        novelty = f"{leading:6.2f}{latents:6.2f}{pixels:7.2f}{share:8.1%}"
        print(
            f"{name:32}{cells(figures)}{novelty}  {'yes' if copied else 'no':6}{rest}", flush=True
        )
        return shown

    def measure(self, latents: np.ndarray) -> Measured:
        """A set of samples [M, z]."""
        strips = decode(self._model, latents)
        copying, _, new = self._measures.copying(latents, strips)
        return Measured(strips, copying, new, self._figures(self._measures.describe(strips)))

    def _figures(self, drawn: Described) -> list[dict[str, float]]:
        """Against test strips, and against their reconstructions."""
        return [
            plain_figures(real, drawn) for real in (self._measures.real, self._measures.redrawn)
        ]


def cells(sets: list[list[dict[str, float]]]) -> str:
    """The columns of a row: means over the sets."""
    pairs = [
        {name: float(np.mean([one[name] for one in of_sets])) for name in of_sets[0]}
        for of_sets in zip(*sets, strict=True)
    ]
    row = ""
    for kind in FEATURES:
        for figures in pairs:
            for name, width in MEASURES:
                row += f"{figures[f'{kind}: {name}']:{width}.{4 if name == 'KID' else 2}f}"
            row += " "
    return row + f"{pairs[0]['story: together']:8.2f}{pairs[0]['story: order']:8.2f}"


if __name__ == "__main__":
    main()
