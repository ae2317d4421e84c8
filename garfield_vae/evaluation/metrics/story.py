"""Do the three panels of a strip belong together, in this order, and not mirrored?

Three logistic regressions are fitted to training strips; each learns to tell real strips from the
same strips with one thing wrong. The measure is how often a held-out strip scores higher than a
sample: a classifier two-sample test (Lopez-Paz and Oquab 2017, "Revisiting Classifier Two-Sample
Tests") with classifiers that respond to that one thing.

    together   one panel comes from another strip
    order      first and last panel change places
    facing     all panels are mirrored
"""

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from garfield_vae.evaluation.metrics.features import principal_components

COMPONENTS = 32  # of each kind of features
INVERSE_REGULARISATION = 0.01  # C of scikit-learn; small, because there are few strips


class StoryMeasure:
    """Scores strips by their panels' features; fitted once, to training strips."""

    def __init__(self, kinds: list[Tensor], mirrored: list[Tensor], seed: int = 0) -> None:
        """kinds: features of each panel, [M, 3, F] each. mirrored: the same of the first of these
        strips with every panel mirrored, [m ≤ M, 3, F] each."""
        found = [principal_components(kind.flatten(0, 1), COMPONENTS) for kind in kinds]
        self._projections = [(mean, axes / std) for mean, axes, std in found]
        real, turned = self._reduced(kinds), self._reduced(mirrored)
        rng = np.random.default_rng(seed)
        self._classifiers = {
            "together": _fit(_similarities(real), _similarities(with_strange_panels(real, rng))),
            "order": _fit(_changes(real), _changes(real[:, ::-1])),
            "facing": _fit(_flat(real[: len(turned)]), _flat(turned)),
        }

    def __call__(self, kinds: list[Tensor]) -> dict[str, np.ndarray]:
        """Features [N, 3, F] of each kind → log odds [N] of a real strip, by what is judged."""
        panels = self._reduced(kinds)
        features = {
            "together": _similarities(panels),
            "order": _changes(panels),
            "facing": _flat(panels),
        }
        return {
            name: classifier.decision_function(features[name])
            for name, classifier in self._classifiers.items()
        }

    def _reduced(self, kinds: list[Tensor]) -> np.ndarray:
        """[N, 3, F] of each kind → [N, 3, 32 of each kind] of variance 1."""
        reduced = [
            (kind - mean) @ axes
            for kind, (mean, axes) in zip(kinds, self._projections, strict=True)
        ]
        return torch.cat(reduced, dim=2).numpy().astype(np.float64)


class RankedHigher:
    """How often a real strip scores higher than a drawn one: 0.5 where the two sets are alike, 1
    where every drawn one scores lower. Ties count half (the area under the ROC curve)."""

    def __init__(self, real: np.ndarray, drawn: np.ndarray) -> None:
        """Scores [N] of real strips and [M] of drawn ones."""
        self._higher = (real[:, None] > drawn) + 0.5 * (real[:, None] == drawn)  # [N, M]

    def __call__(self, real_counts: np.ndarray, drawn_counts: np.ndarray) -> float:
        """Counts [N] and [M] of a resampled set (all ones: the plain share) → share of pairs."""
        pairs = real_counts.sum() * drawn_counts.sum()
        return float(real_counts @ self._higher @ drawn_counts / pairs)


def with_strange_panels(panels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """[N, 3, …] with one panel of each strip taken from the same place of another strip."""
    count = len(panels)
    rows, places = np.arange(count), rng.integers(0, 3, count)
    others = (rows + rng.integers(1, max(count, 2), count)) % count
    mixed = panels.copy()
    mixed[rows, places] = panels[others, places]
    return mixed


def _flat(panels: np.ndarray) -> np.ndarray:
    return panels.reshape(len(panels), -1)


def _similarities(panels: np.ndarray) -> np.ndarray:
    """Distances and products of each pair of panels: [N, 3, F] → [N, 6·F]."""
    pairs = [(panels[:, i], panels[:, j]) for i, j in ((0, 1), (1, 2), (0, 2))]
    return np.concatenate([np.abs(a - b) for a, b in pairs] + [a * b for a, b in pairs], axis=1)


def _changes(panels: np.ndarray) -> np.ndarray:
    """What changes its sign when the order of the panels is reversed: [N, 3, F] → [N, 3·F]."""
    first, second, third = panels[:, 0], panels[:, 1], panels[:, 2]
    nearer = np.abs(first - second) - np.abs(second - third)
    return np.concatenate([third - first, nearer, second * (third - first)], axis=1)


def _fit(real: np.ndarray, wrong: np.ndarray) -> Pipeline:
    classifier = make_pipeline(
        StandardScaler(), LogisticRegression(C=INVERSE_REGULARISATION, max_iter=1000)
    )
    return classifier.fit(np.concatenate([real, wrong]), [1] * len(real) + [0] * len(wrong))
