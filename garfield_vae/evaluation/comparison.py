"""Sets of uint8 strips [N, 3, 3, H, W] to figures with confidence intervals.

The measures themselves are in evaluation/metrics/; here they are applied a chunk at a time and
resampled.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from garfield_vae.data.panels import to_unit
from garfield_vae.evaluation.metrics.disentanglement import (
    Factors,
    dci,
    entropies,
    mig,
    mutual_information,
    sap,
)
from garfield_vae.evaluation.metrics.features import (
    PixelAndLineFeatures,
    random_network_features,
    small_strips,
    standardised,
)
from garfield_vae.evaluation.metrics.intervals import Estimate, mean_estimate, weighted_estimate
from garfield_vae.evaluation.metrics.reconstruction import mse_per_strip, psnr, ssim_and_ms_ssim
from garfield_vae.evaluation.metrics.samples import KernelDistance, NearestStrips, manifold_measures
from garfield_vae.evaluation.metrics.wasserstein import SlicedWasserstein, pyramid_patches

CHUNK = 2  # strips: what is made of them stays in a processor's cache
WASSERSTEIN_RESAMPLES, KERNEL_RESAMPLES, SIDE_RESAMPLES = 20, 200, 100
FACTOR_LATENTS = 64  # the latents that know most of the factors; forests on all take minutes


# ---- reconstructions ----------------------------------------------------------------------------


def reconstruction_values(strips: np.ndarray, others: np.ndarray) -> dict[str, np.ndarray]:
    """MSE, PSNR, SSIM and MS-SSIM of every panel, [N, 3] each."""
    found: dict[str, list[Tensor]] = {"mse": [], "psnr": [], "ssim": [], "ms-ssim": []}
    for start in range(0, len(strips), CHUNK):
        x, y = (
            to_unit(torch.from_numpy(np.array(s[start : start + CHUNK]))).flatten(0, 1)
            for s in (strips, others)
        )  # [3·N, 3, H, W]
        mse = mse_per_strip(x, y)
        figures = (mse, psnr(mse.clamp(min=1e-10)), *ssim_and_ms_ssim(x, y))
        for values, figure in zip(found.values(), figures, strict=True):
            values.append(figure.view(-1, 3))
    return {name: torch.cat(values).numpy() for name, values in found.items()}


def reconstruction_figures(values: dict[str, np.ndarray]) -> dict[str, Estimate]:
    """Values of every panel [N, p] → mean over panels and strips, resampled by strips."""
    return {name: mean_estimate(panels.mean(axis=1)) for name, panels in values.items()}


# ---- sets of strips -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Described:
    """A set of strips as all that sets are compared by; the first axis is the strip."""

    patches: list[Tensor]  # levels × [N, P, 147]
    sizes: list[int]  # rows of a panel at each level
    features: dict[str, Tensor]  # kind → [N, F]

    def take(self, rows: np.ndarray) -> "Described":
        features = {kind: values[rows] for kind, values in self.features.items()}
        return Described([patches[rows] for patches in self.patches], self.sizes, features)

    def __len__(self) -> int:
        return len(self.patches[0])


class Describer:
    """Turns strips into `Described`; the features' scales come from training strips."""

    def __init__(self, training: np.ndarray):
        self._lines = PixelAndLineFeatures(training)
        self._network_scale = random_network_features(training)

    def __call__(self, strips: np.ndarray) -> Described:
        network = standardised(random_network_features(strips), self._network_scale)
        patches = pyramid_patches(strips)
        sizes = [-(-strips.shape[-2] // 2**level) for level in range(len(patches))]
        return Described(
            patches, sizes, {"random network": network, "lines and layout": self._lines(strips)}
        )


def compare_sets(real: Described, drawn: Described, seed: int = 0) -> dict[str, Any]:
    """Every distance between two sets, {"strips": …, "sliced Wasserstein": …, "<features>": …}."""
    figures: dict[str, Any] = {"strips": [len(real), len(drawn)]}
    figures["sliced Wasserstein"] = {
        f"{size} rows": _distance(SlicedWasserstein(a, b), a, b, WASSERSTEIN_RESAMPLES, seed)
        for size, a, b in zip(real.sizes, real.patches, drawn.patches, strict=True)
    }
    for kind in real.features:
        a, b = real.features[kind], drawn.features[kind]
        manifold = manifold_measures(a, b)
        figures[kind] = {
            "KID": _distance(KernelDistance(a, b), a, b, KERNEL_RESAMPLES, seed),
            "precision": mean_estimate(manifold.precision, seed=seed),
            "recall": mean_estimate(manifold.recall, seed=seed),
            "density": mean_estimate(manifold.density, seed=seed),
            "coverage": mean_estimate(manifold.coverage, seed=seed),
        }
    return figures


def _distance(
    measure: Callable[[np.ndarray, np.ndarray], float],
    real: Tensor,
    drawn: Tensor,
    resamples: int,
    seed: int,
) -> Estimate:
    return weighted_estimate(measure, (len(real), len(drawn)), resamples, seed)


# ---- copies of training strips ------------------------------------------------------------------


@dataclass(frozen=True)
class Nearest:
    """The nearest training strip of each drawn strip: its row among them, and the MSE to it."""

    rows: np.ndarray
    mse: np.ndarray


def copying_figures(
    samples: np.ndarray, held_out: np.ndarray, training: Any, rng: np.random.Generator
) -> tuple[dict[str, Estimate], Nearest]:
    """How near samples and held-out strips come to training strips, and whose side samples take.

    The share of samples that lie nearer to a training strip than to a held-out one, with equally
    many of both to choose from, is a half when nothing was learned by heart (after Meehan et al.
    2020). Unlike a distance it does not mind that a blurred strip is near to everything.
    """
    find = NearestStrips(training)
    nearest = Nearest(*find(samples))
    count = min(len(held_out), len(training))
    some = np.sort(rng.choice(len(training), count, replace=False))
    small = [small_strips(strips).flatten(1) for strips in (samples, training[some], held_out)]
    to_training, to_held_out = (torch.cdist(small[0], other).numpy() for other in small[1:])
    return {
        "samples to training strips": mean_estimate(nearest.mse),
        "held-out to training strips": mean_estimate(find(held_out)[1]),
        "samples nearer to training than to held-out": share_nearer(to_training, to_held_out, rng),
    }, nearest


def share_nearer(first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> Estimate:
    """The share of rows whose least distance is in `first` [N, A] and not in `second` [N, B].

    Both sets of columns are cut to the same size at random. The interval is over resampled rows
    and columns: with few strips to be near to, one of them may be nearest to all.
    """
    n, size = len(first), min(first.shape[1], second.shape[1])

    def share(rows: np.ndarray, *columns: np.ndarray) -> float:
        a, b = (
            d[rows[:, None], c].min(axis=1) for d, c in zip((first, second), columns, strict=True)
        )
        return float(((a < b) + 0.5 * (a == b)).mean())

    whole = [rng.permutation(d.shape[1])[:size] for d in (first, second)]
    draws = [
        share(rng.integers(n, size=n), *(rng.choice(c, size) for c in whole))
        for _ in range(SIDE_RESAMPLES)
    ]
    low, high = np.quantile(draws, [0.025, 0.975])
    return Estimate(share(np.arange(n), *whole), float(low), float(high))


# ---- known factors ------------------------------------------------------------------------------


def factor_figures(
    means: np.ndarray, coordinates: np.ndarray, factors: Factors, shown: int = 8
) -> dict[str, Any]:
    """MIG, DCI and SAP of latent means [N, z] and of PCA coordinates [N, k] against factors.

    Either is cut to the dimensions that matter: the 64 means that know most of the factors, the
    first 64 components. "moves" is [shown, factors]: how much of a factor's entropy each of the
    first components knows.
    """
    known = mutual_information(means, factors)
    best = np.sort(np.argsort(-known.sum(axis=1))[:FACTOR_LATENTS])
    figures: dict[str, Any] = {"names": list(factors)}
    for name, dimensions in (
        ("latent dimensions", means[:, best]),
        ("components", coordinates[:, :FACTOR_LATENTS]),
    ):
        scores = dci(dimensions, factors)
        figures[name] = {
            "MIG": _mean(mig(dimensions, factors)),
            "SAP": _mean(sap(dimensions, factors)),
            "disentanglement": scores.disentanglement,
            "completeness": scores.completeness,
            "informativeness": _mean(scores.informativeness),
            "informativeness by factor": scores.informativeness,
        }
    figures["moves"] = _above_chance(coordinates[:, :shown], factors)
    return figures


def _above_chance(coordinates: np.ndarray, factors: Factors) -> np.ndarray:
    """Mutual information over the factor's entropy, less what shuffled strips give: [k, factors].

    Bins of few strips seem to know something of anything.
    """
    shuffled = np.random.default_rng(0).permutation(len(coordinates))
    found = mutual_information(coordinates, factors)
    chance = mutual_information(coordinates[shuffled], factors)
    return np.clip((found - chance) / entropies(factors), 0, 1)


def _mean(by_factor: dict[str, float]) -> float:
    return float(np.mean(list(by_factor.values())))
