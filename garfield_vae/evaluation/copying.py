"""Does a set of strips repeat training strips? Plain distances, two tests and a verdict.

The samples of a model are blurred as all that its decoder draws is. So they are held against
strips that came out of the same decoder: reconstructions of strips that it never saw.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.cluster import KMeans

from garfield_vae.evaluation.metrics.intervals import mean_estimate, ratio_estimate
from garfield_vae.evaluation.metrics.memorisation import (
    COPIES_SIGNIFICANT,
    TEST_SIGNIFICANT,
    Nearest,
    data_copying_test,
    layouts,
    mann_whitney_z,
    more_copies,
    near_copies,
    nearest_training,
)

MOST_CELLS, CELL_STRIPS = (
    10,
    2000,
)  # of the k-means behind C_T; training strips that it is fitted to
LEAST_COPIES = 0.01  # of all samples: below it, near copies do not make a verdict


@dataclass(frozen=True)
class Control:
    """Real strips that training never saw, as they are held against samples.

    strips     uint8 [N, 3, 3, H, W]: held-out strips (or their reconstructions)
    groups     [N], the weeks that are resampled together
    further    more real strips [K, 3, 3, H, W]: training strips, each of which is compared only
               with training strips of other weeks; they make up for few held-out ones
    further_groups, training_groups   [K] and [M]
    """

    strips: np.ndarray
    groups: np.ndarray
    further: np.ndarray
    further_groups: np.ndarray
    training_groups: np.ndarray


class CopyingMeasure:
    """Compares sets of strips with all training strips, and with what real strips give."""

    def __init__(self, control: Control, training: Any, seed: int = 0) -> None:
        """training: uint8 [M, 3, 3, H, W], read in pieces: a memory map will do."""
        self._training, self._groups = training, control.groups
        groups = np.concatenate([control.groups, control.further_groups])
        strips = np.concatenate([control.strips, control.further])
        real = nearest_training(strips, training, groups, control.training_groups)
        self._held_out = _some(real, len(control.strips))
        self._real = real
        self._cells, self._held_out_cells = None, None
        cells = min(MOST_CELLS, len(control.strips) // 20)
        if cells > 1:
            rows = np.linspace(0, len(training) - 1, min(len(training), CELL_STRIPS)).astype(int)
            fitted = layouts(training[rows]).flatten(1).numpy()
            self._cells = KMeans(cells, n_init=1, random_state=seed).fit(fitted)
            self._held_out_cells = self._cells_of(control.strips)

    def __call__(self, strips: np.ndarray, seed: int = 0) -> tuple[dict[str, Any], Nearest]:
        """uint8 [M, 3, 3, H, W] → figures, and the nearest training strip of each."""
        found = nearest_training(strips, self._training)
        real = self._real.relative
        copies, real_copies = near_copies(found.relative, real), near_copies(real, real)
        test = data_copying_test(
            self._held_out.distance,
            found.distance,
            self._held_out_cells,
            None if self._cells is None else self._cells_of(strips),
        )
        relative = found.relative.mean(axis=1)
        figures = {
            "strips": [len(found.row), len(self._held_out.row), len(real)],
            "distance": mean_estimate(found.distance, seed=seed),
            "distance of held-out strips": mean_estimate(
                self._held_out.distance, self._groups, seed=seed
            ),
            "distance ratio": ratio_estimate(
                found.distance, self._held_out.distance, self._groups, seed=seed
            ),
            "relative distance ratio": ratio_estimate(relative, real.mean(axis=1), seed=seed),
            "near copies": mean_estimate(copies, seed=seed),
            "near copies among real strips": mean_estimate(real_copies, seed=seed),
            "chance of so many near copies": more_copies(copies, real_copies),
            "Z_U": test.z,
            "C_T": test.cells,
            "Z_U of relative distances": mann_whitney_z(relative, real.mean(axis=1)),
        }
        return figures, found

    def _cells_of(self, strips: np.ndarray) -> np.ndarray:
        return self._cells.predict(layouts(strips).flatten(1).numpy())


def copies(figures: dict[str, Any]) -> list[str]:
    """Why the figures of `CopyingMeasure` say that training strips were copied; none: they do not.

    Distances alone are no reason: they also fall where strips are blurred or crowd about the
    mean strip. Relative distances do not, so both have to be low, or single panels have to be
    near copies more often than among real strips.
    """
    reasons = []
    share, real = figures["near copies"].value, figures["near copies among real strips"].value
    chance = figures["chance of so many near copies"]
    if share >= LEAST_COPIES and chance < COPIES_SIGNIFICANT:
        reasons.append(
            f"{share:.1%} have a panel that is a near copy of a training panel, of real strips "
            f"{real:.1%}"
        )
    if max(figures["Z_U"], figures["Z_U of relative distances"]) < TEST_SIGNIFICANT:
        ratio = figures["distance ratio"].value
        reasons.append(
            f"they lie at {ratio:.2f} of test strips' distance to the nearest training strip "
            f"(Z_U {figures['Z_U']:.1f})"
        )
    return reasons


def _some(nearest: Nearest, count: int) -> Nearest:
    return Nearest(
        nearest.row[:count],
        nearest.distance[:count],
        nearest.relative[:count],
        nearest.panel_row[:count],
    )
