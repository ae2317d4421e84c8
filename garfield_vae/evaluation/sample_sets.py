"""Sets of strips, uint8 [N, 3, 3, H, W], against sets of real ones: distances with intervals.

The measures themselves are in metrics/; here they are applied to whole sets.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from garfield_vae.evaluation.metrics.features import (
    LinesAndLayout,
    hog,
    random_network_features,
    small_strips,
    standardised,
)
from garfield_vae.evaluation.metrics.fidelity import KernelDistance, manifold_measures
from garfield_vae.evaluation.metrics.intervals import mean_estimate, weighted_estimate
from garfield_vae.evaluation.metrics.story import StoryMeasure, told_apart
from garfield_vae.evaluation.metrics.wasserstein import SlicedWasserstein, pyramid_patches

WASSERSTEIN_RESAMPLES, KERNEL_RESAMPLES = 20, 100
MOST_MIRRORED = 500  # strips that teach the story measure what a mirrored one looks like
FEATURES = ("random network", "lines and layout")
STORY = ("together", "order", "facing")


@dataclass(frozen=True)
class Described:
    """A set of strips as all that sets are compared by; the first axis is the strip."""

    patches: list[Tensor]  # levels × [N, P, 147]
    sizes: list[int]  # rows of a panel at each level
    features: dict[str, Tensor]  # kind → [N, F], of mean square 1 for training strips
    story: dict[str, np.ndarray]  # what is judged → [N], log odds of a real strip

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
    """Turns strips into `Described`; scales, components and classifiers come from training strips.

    Strips that it was fitted to must not stand for strips that it has not seen.
    """

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
    real: Described, drawn: Described, groups: np.ndarray | None = None, seed: int = 0
) -> dict[str, Any]:
    """Every measure of a drawn set against a real one, with intervals.

    {"strips": [N, M], "sliced Wasserstein": {…}, "random network": {…}, "lines and layout": {…},
    "story": {…}}. `groups` [N] are those of the real strips, which are resampled together.
    """
    sizes = len(real), len(drawn)

    def distance(measure: Any, resamples: int) -> Any:
        return weighted_estimate(measure, sizes, resamples, groups, seed)

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
            "precision": mean_estimate(manifold.precision, seed=seed),
            "density": mean_estimate(manifold.density, seed=seed),
            "recall": mean_estimate(manifold.recall, groups, seed=seed),
            "coverage": mean_estimate(manifold.coverage, groups, seed=seed),
        }
    figures["story"] = {
        name: distance(_StoryDistance(real.story[name], drawn.story[name]), KERNEL_RESAMPLES)
        for name in STORY
    }
    return figures


def plain_figures(real: Described, drawn: Described) -> dict[str, float]:
    """The same measures as numbers by short names, without intervals: for tables."""
    ones = np.ones(len(real)), np.ones(len(drawn))
    figures = {
        f"SWD {size}": SlicedWasserstein(a, b)(*ones)
        for size, a, b in zip(real.sizes, real.patches, drawn.patches, strict=True)
    }
    for kind in FEATURES:
        a, b = real.features[kind], drawn.features[kind]
        manifold = manifold_measures(a, b)
        figures[f"{kind}: KID"] = KernelDistance(a, b)(*ones)
        for name in ("precision", "density", "recall", "coverage"):
            figures[f"{kind}: {name}"] = float(getattr(manifold, name).mean())
    for name in STORY:
        figures[f"story: {name}"] = told_apart(real.story[name], drawn.story[name])
    return figures


class _StoryDistance:
    """`told_apart` of resampled sets."""

    def __init__(self, real: np.ndarray, drawn: np.ndarray) -> None:
        real, drawn = torch.from_numpy(real), torch.from_numpy(drawn)
        higher = (real[:, None] > drawn).double() + 0.5 * (real[:, None] == drawn)
        self._higher = higher.numpy()  # [N, M]

    def __call__(self, real_counts: np.ndarray, drawn_counts: np.ndarray) -> float:
        weights = real_counts.sum() * drawn_counts.sum()
        return float(real_counts @ self._higher @ drawn_counts / weights)
