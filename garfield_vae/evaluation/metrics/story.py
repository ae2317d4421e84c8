"""Do the three panels of a strip belong together, in this order and not in a mirror?

Measures of single panels cannot say. Three logistic regressions, fitted to training strips, can:
each learns to tell real strips from the same strips put together wrongly. What is reported is a
classifier two-sample test in the manner of Lopez-Paz and Oquab (2017), "Revisiting Classifier
Two-Sample Tests", with classifiers that know the story and nothing else: how often a real strip
that they never saw scores higher than a drawn one.

    together   one panel comes from another strip
    order      first and last panel change places
    facing     all panels are mirrored
"""

import numpy as np
import scipy.stats
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

COMPONENTS = 32  # of each kind of features
STRENGTH = 0.01  # of the fit to the strips (C); small, because there are few strips


class StoryMeasure:
    """Scores strips by their panels' features; fitted once, to training strips."""

    def __init__(self, kinds: list[Tensor], mirrored: list[Tensor], seed: int = 0) -> None:
        """kinds: features of each panel, [M, 3, F] each. mirrored: the same of the first of these
        strips with every panel mirrored, [m ≤ M, 3, F] each."""
        self._reductions = [_principal_axes(kind.flatten(0, 1)) for kind in kinds]
        real, turned = self._reduced(kinds), self._reduced(mirrored)
        rng = np.random.default_rng(seed)
        self._classifiers = {
            "together": _fit(_likeness(real), _likeness(with_strange_panels(real, rng))),
            "order": _fit(_course(real), _course(real[:, ::-1])),
            "facing": _fit(_flat(real[: len(turned)]), _flat(turned)),
        }

    def __call__(self, kinds: list[Tensor]) -> dict[str, np.ndarray]:
        """Features [N, 3, F] of each kind → log odds [N] of a real strip, by what is judged."""
        panels = self._reduced(kinds)
        features = {
            "together": _likeness(panels),
            "order": _course(panels),
            "facing": _flat(panels),
        }
        return {
            name: classifier.decision_function(features[name])
            for name, classifier in self._classifiers.items()
        }

    def _reduced(self, kinds: list[Tensor]) -> np.ndarray:
        """[N, 3, F] of each kind → [N, 3, 32 of each kind] of variance 1."""
        halves = [
            (kind - mean) @ axes for kind, (mean, axes) in zip(kinds, self._reductions, strict=True)
        ]
        return torch.cat(halves, dim=2).numpy().astype(np.float64)


def told_apart(real: np.ndarray, drawn: np.ndarray) -> float:
    """How often a real strip [N] scores higher than a drawn one [M]: 0.5 where they are alike, 1
    where every drawn strip can be told. Ties count half (the area under the ROC curve)."""
    u = scipy.stats.rankdata(np.concatenate([real, drawn]))[: len(real)].sum()
    return float((u - len(real) * (len(real) + 1) / 2) / (len(real) * len(drawn)))


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


def _likeness(panels: np.ndarray) -> np.ndarray:
    """What is alike in the panels, whatever their order: [N, 3, F] → [N, 6·F]."""
    pairs = [(panels[:, i], panels[:, j]) for i, j in ((0, 1), (1, 2), (0, 2))]
    return np.concatenate([np.abs(a - b) for a, b in pairs] + [a * b for a, b in pairs], axis=1)


def _course(panels: np.ndarray) -> np.ndarray:
    """What changes from panel to panel: [N, 3, F] → [N, 4·F]."""
    first, second, third = panels[:, 0], panels[:, 1], panels[:, 2]
    nearer = np.abs(first - second) - np.abs(second - third)
    return np.concatenate(
        [third - first, nearer, 2 * second - first - third, second * (third - first)], axis=1
    )


def _fit(real: np.ndarray, wrong: np.ndarray) -> Pipeline:
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTH, max_iter=1000))
    return classifier.fit(np.concatenate([real, wrong]), [1] * len(real) + [0] * len(wrong))


def _principal_axes(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean [F] and the leading axes [F, k], divided by the spread along each."""
    mean = features.mean(dim=0)
    _, lengths, axes = torch.linalg.svd(features - mean, full_matrices=False)
    kept = max(1, min(COMPONENTS, int((lengths > 1e-4 * lengths[0]).sum())))
    spread = (lengths[:kept] / len(features) ** 0.5).clamp(min=1e-6)
    return mean, axes[:kept].T / spread
