"""Compares samples of a run with its test strips, their reconstructions and training strips."""

from functools import cached_property
from typing import Any

import numpy as np

from garfield_vae.data.store import PanelStore, Rows
from garfield_vae.evaluation.copying import Control, CopyingMeasure, copies
from garfield_vae.evaluation.metrics.memorisation import (
    Nearest,
    Novelty,
    mann_whitney_z,
    novelty,
)
from garfield_vae.evaluation.sample_sets import Described, Describer
from garfield_vae.latent.codec import decode, encode, reconstruct
from garfield_vae.latent.space import LatentSpace
from garfield_vae.model.networks import StripVAE

MOST_FITTED = 1000  # training strips that features are fitted to, at most half of all
CONTROLS = 500  # real strips in the control group of `CopyingMeasure`


class SampleMeasures:
    """Everything that samples of one run are compared with, computed once for all samplers.

    held_out [N, 3, 3, H, W]   the test strips; their `weeks` [N] are resampled together
    test_means, variances      their posteriors, [N, z]
    reconstructions            of the test strips, by the encoder's own pass, as samples are by the
                               decoder's: steps=0 below
    training                   all training strips (`Rows`)
    count                      how many samples are to be drawn: as many as strips in `ceilings`
    """

    def __init__(
        self,
        model: StripVAE,
        space: LatentSpace,
        store: PanelStore,
        means: np.ndarray,
        *,
        most_test: int,
        samples: int,
        rng: np.random.Generator,
    ) -> None:
        """means [len(store), z] are the posterior means of all strips; a memory map will do."""
        self._model, self._space, self._store = model, space, store
        self._means, self._rng = means, rng
        self._groups, self._train = np.array(store.weeks), store.split("train")
        self.test = random_rows(store.split("test"), most_test, rng)
        self._fitted, unfitted = halves(self._train, self._groups[self._train], MOST_FITTED, rng)
        self._others = random_rows(unfitted, max(samples, 2), rng)
        self.count, self.weeks = len(self._others), self._groups[self.test]
        self.held_out = store.panels[self.test]
        self.training = Rows(store.panels, self._train)
        self.test_means, self.variances = encode(model, self.held_out)
        self.reconstructions = decode(model, self.test_means)

    @cached_property
    def describe(self) -> Describer:
        return Describer(self._store.panels[self._fitted])

    @cached_property
    def real(self) -> Described:
        return self.describe(self.held_out)

    @cached_property
    def redrawn(self) -> Described:
        return self.describe(self.reconstructions)

    def ceilings(self) -> dict[str, Described]:
        """As many real strips as samples, and their reconstructions: what perfect samples would
        score at these sizes. They are training strips that the features were not fitted to."""
        strips = self._store.panels[self._others]
        return {
            "real strips": self.describe(strips),
            "reconstructions": self.describe(reconstruct(self._model, strips, steps=0)),
        }

    @cached_property
    def _copying(self) -> CopyingMeasure:
        further = random_rows(self._train, max(CONTROLS - len(self.test), 0), self._rng)
        strips = self._store.panels[further]
        control = Control(
            self.reconstructions,
            self.weeks,
            reconstruct(self._model, strips, steps=0) if len(further) else strips,
            self._groups[further],
            self._groups[self._train],
        )
        return CopyingMeasure(control, self.training)

    def copying(
        self, latents: np.ndarray, strips: np.ndarray
    ) -> tuple[dict[str, Any], Nearest, Novelty]:
        """Figures and the verdict for sampled latents [M, z] and the strips that they decode to,
        and the nearest training strips, in pixels and in latent space."""
        figures, nearest = self._copying(strips)
        new = novelty(
            self._space.coordinates(latents),
            self._space.coordinates(self.test_means),
            Rows(self._means, self._train, self._space.coordinates),
            self._space.std,
            lambda points: decode(self._model, self._space.latents(points).astype(np.float32)),
            groups=self.weeks,
        )
        figures |= {
            "novelty, leading components": new.leading,
            "novelty, latents": new.latents,
            "novelty, pixels": new.pixels,
            "Z_U of latents": mann_whitney_z(new.sample_distances, new.held_out_distances),
            "verdict": copies(figures),
        }
        return figures, nearest, new


def halves(
    rows: np.ndarray, groups: np.ndarray, most: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Splits rows [N] in two without a common group; the first part has at most half of them, and
    at most `most`. A group that is too large for that is divided."""
    first = np.zeros(len(rows), bool)
    for group in rng.permutation(np.unique(groups)):
        more = first | (groups == group)
        if more.sum() > min(len(rows) // 2, most):
            break
        first = more
    if first.sum() < 2:
        first = np.arange(len(rows)) < min(len(rows) // 2, most)
    return rows[first], rows[~first]


def random_rows(rows: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """At most `most` of rows [N], chosen at random, in their order."""
    return rows if len(rows) <= most else np.sort(rng.choice(rows, most, replace=False))
