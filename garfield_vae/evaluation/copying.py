"""Are samples copies of training strips? Distances to training strips, two tests and a verdict.

Samples are blurred by the decoder, so they are compared with reconstructions of held-out strips,
which came out of the same decoder.
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
    layouts,
    mann_whitney_z,
    mean_z_of_cells,
    more_copies,
    near_copies,
    nearest_training,
)

MOST_CELLS = 10  # clusters of the k-means behind C_T
CELL_STRIPS = 2000  # training strips that it is fitted to
LEAST_COPIES = 0.01  # share of samples; fewer near copies are no reason for the verdict
MOST_OF_DISTANCE = 0.9  # of test strips'; copies that distances show have 0.75 (sensitivity.md)


@dataclass(frozen=True)
class Control:
    """The control group: real strips whose distances to training strips show what is normal.

    strips     uint8 [N, 3, 3, H, W]: held-out strips (or their reconstructions)
    groups     [N], the weeks that are resampled together
    further    where held-out strips are few, training strips [K, 3, 3, H, W] as well, each of which
               is compared only with training strips of other weeks
    further_groups, training_groups   their weeks [K], and those of all training strips [M]
    """

    strips: np.ndarray
    groups: np.ndarray
    further: np.ndarray
    further_groups: np.ndarray
    training_groups: np.ndarray


class CopyingMeasure:
    """Compares sets of strips with all training strips, and the distances with the control's."""

    def __init__(self, control: Control, training: Any) -> None:
        """training: uint8 [M, 3, 3, H, W], read in pieces: a memory map will do."""
        self._training, self._groups = training, control.groups
        groups = np.concatenate([control.groups, control.further_groups])
        strips = np.concatenate([control.strips, control.further])
        self._real = nearest_training(strips, training, groups, control.training_groups)
        self._held_out = self._real.distance[: len(control.strips)]
        self._cells = None
        cells = min(MOST_CELLS, len(control.strips) // 20)
        if cells > 1:
            rows = np.linspace(0, len(training) - 1, min(len(training), CELL_STRIPS)).astype(int)
            fitted = layouts(training[rows]).flatten(1).numpy()
            self._cells = KMeans(cells, n_init=1, random_state=0).fit(fitted)
            self._held_out_cells = self._cells_of(control.strips)

    def __call__(self, strips: np.ndarray) -> tuple[dict[str, Any], Nearest]:
        """uint8 [M, 3, 3, H, W] → figures, and the nearest training strip of each."""
        found = nearest_training(strips, self._training)
        real = self._real.relative
        copies, real_copies = near_copies(found.relative, real), near_copies(real, real)
        c_t = None
        if self._cells is not None:
            cells = self._cells_of(strips)
            c_t = mean_z_of_cells(found.distance, self._held_out, cells, self._held_out_cells)
        relative = found.relative.mean(axis=1)
        figures = {
            "strips": [len(strips), len(self._held_out), len(real)],
            "distance": mean_estimate(found.distance),
            "distance of held-out strips": mean_estimate(self._held_out, self._groups),
            "distance ratio": ratio_estimate(found.distance, self._held_out, self._groups),
            "relative distance ratio": ratio_estimate(relative, real.mean(axis=1)),
            "near copies": mean_estimate(copies),
            "near copies among real strips": mean_estimate(real_copies),
            "near copies, p-value": more_copies(copies, real_copies),
            "Z_U": mann_whitney_z(found.distance, self._held_out),
            "C_T": c_t,
            "Z_U of relative distances": mann_whitney_z(relative, real.mean(axis=1)),
        }
        return figures, found

    def _cells_of(self, strips: np.ndarray) -> np.ndarray:
        return self._cells.predict(layouts(strips).flatten(1).numpy())


def copies(figures: dict[str, Any]) -> list[str]:
    """The reasons to conclude from figures of `CopyingMeasure` that samples are copies; none where
    they are not.

    A low distance alone is no reason: blur lowers it, too, and so do samples near the mean strip.
    Either relative distances are low as well, which are insensitive to both, or near copies of
    single panels are significantly more frequent than among real strips. And with enough samples a
    difference of a hundredth is significant, which nobody would call copying: it has to be a tenth.
    """
    reasons = []
    share, real = figures["near copies"].value, figures["near copies among real strips"].value
    p_value = figures["near copies, p-value"]
    if share >= LEAST_COPIES and p_value < COPIES_SIGNIFICANT:
        reasons.append(
            f"{share:.1%} have a panel that is a near copy of a training panel, of real strips "
            f"{real:.1%}"
        )
    ratio = figures["distance ratio"].value
    nearer = max(figures["Z_U"], figures["Z_U of relative distances"]) < TEST_SIGNIFICANT
    if nearer and ratio <= MOST_OF_DISTANCE:
        reasons.append(
            f"their distance to the nearest training strip is {ratio:.2f} of test strips' "
            f"(Z_U {figures['Z_U']:.1f})"
        )
    return reasons
