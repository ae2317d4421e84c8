"""Sets of strips, uint8 [N, 3, 3, H, W], compared with sets of real ones by the measures of
metrics/, with confidence intervals."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from garfield_vae.evaluation.metrics.features import (
    LinesAndLayout,
    hog,
    random_network_features,
    small_strips,
    standardised,
)
from garfield_vae.evaluation.metrics.fidelity import KernelDistance, manifold_measures
from garfield_vae.evaluation.metrics.intervals import Estimate, mean_estimate, weighted_estimate
from garfield_vae.evaluation.metrics.story import RankedHigher, StoryMeasure
from garfield_vae.evaluation.metrics.wasserstein import SlicedWasserstein, pyramid_patches

WASSERSTEIN_RESAMPLES, KERNEL_RESAMPLES = 20, 100
MOST_MIRRORED = 500  # mirrored strips that the story measure is fitted to
FEATURES = ("random network", "lines and layout")
STORY = ("together", "order", "facing")


@dataclass(frozen=True)
class Described:
    """What sets of strips are compared by; the first axis is the strip."""

    patches: list[Tensor]  # levels × [N, P, 147]
    sizes: list[int]  # height of a panel at each level
    features: dict[str, Tensor]  # kind → [N, F], of mean square 1 for training strips
    story: dict[str, np.ndarray]  # classifier → [N], log odds of a real strip

    def take(self, rows: np.ndarray) -> "Described":
        return Described(
            [patches[rows] for patches in self.patches],
            self.sizes,
            {kind: values[rows] for kind, values in self.features.items()},
            {name: scores[rows] for name, scores in self.story.items()},
        )

    def __len__(self) -> int:
        return len(self.patches[0])


class Describer:
    """Computes what sets are compared by. Scales, principal components and classifiers are fitted
    to training strips, which must not be in any of the sets."""

    def __init__(self, training: np.ndarray) -> None:
        lines, small, self._network = _raw_features(training)
        mirrored = _raw_features(np.array(training[:MOST_MIRRORED])[..., ::-1])
        self._lines = LinesAndLayout(lines, small)
        self._story = StoryMeasure(
            self._panels(lines, small, self._network), self._panels(*mirrored)
        )

    def __call__(self, strips: np.ndarray) -> Described:
        lines, small, network = _raw_features(strips)
        patches = pyramid_patches(strips)
        return Described(
            patches,
            [-(-strips.shape[-2] // 2**level) for level in range(len(patches))],
            {
                "random network": standardised(network, self._network),
                "lines and layout": self._lines(lines, small),
            },
            self._story(self._panels(lines, small, network)),
        )

    def _panels(self, lines: Tensor, small: Tensor, network: Tensor) -> list[Tensor]:
        """Features of strips → of their panels, [N, 3, F] each."""
        network = standardised(network, self._network)
        return [kind.reshape(len(kind), 3, -1) for kind in (lines, small, network)]


def _raw_features(strips: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
    return hog(strips), small_strips(strips), random_network_features(strips)


def compare_sets(
    real: Described,
    drawn: Described,
    groups: np.ndarray | None = None,
    seed: int = 0,
    intervals: bool = True,
) -> dict[str, Any]:
    """Every measure of a drawn set against a real one, as `Estimate`s.

    {"strips": [N, M], "sliced Wasserstein": {…}, "random network": {…}, "lines and layout": {…},
    "story": {…}}. `groups` [N] are those of the real strips, which are resampled together.
    """
    sizes = len(real), len(drawn)

    def distance(measure: Callable[[np.ndarray, np.ndarray], float], resamples: int) -> Estimate:
        return weighted_estimate(measure, sizes, resamples if intervals else 0, groups, seed)

    def mean(values: np.ndarray, groups: np.ndarray | None = None) -> Estimate:
        return mean_estimate(values, groups, 1000 if intervals else 0, seed)

    figures: dict[str, Any] = {"strips": list(sizes)}
    figures["sliced Wasserstein"] = {
        f"{size} rows": distance(SlicedWasserstein(a, b), WASSERSTEIN_RESAMPLES)
        for size, a, b in zip(real.sizes, real.patches, drawn.patches, strict=True)
    }
    for kind in FEATURES:
        a, b = real.features[kind], drawn.features[kind]
        manifold = manifold_measures(a, b)
        figures[kind] = {
            "KID": distance(KernelDistance(a, b), KERNEL_RESAMPLES),
            "precision": mean(manifold.precision),
            "density": mean(manifold.density),
            "recall": mean(manifold.recall, groups),
            "coverage": mean(manifold.coverage, groups),
        }
    figures["story"] = {
        name: distance(RankedHigher(real.story[name], drawn.story[name]), KERNEL_RESAMPLES)
        for name in STORY
    }
    return figures


def plain_figures(real: Described, drawn: Described) -> dict[str, float]:
    """The same measures as numbers by short names, without intervals: for tables."""
    figures = compare_sets(real, drawn, intervals=False)
    named = {
        f"{kind}: {name}": estimate.value
        for kind in (*FEATURES, "story")
        for name, estimate in figures[kind].items()
    }
    distances = figures["sliced Wasserstein"].items()
    return {f"SWD {rows.split()[0]}": found.value for rows, found in distances} | named
