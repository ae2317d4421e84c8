"""Disentanglement: the latent space against the known factors of drawn strips."""

import json
from typing import Any

import numpy as np

from garfield_vae.checkpoints import LoadedModel
from garfield_vae.data.store import PanelStore, Rows
from garfield_vae.evaluation.metrics.disentanglement import (
    Factors,
    dci,
    entropies,
    mig,
    mutual_information,
    sap,
    usable_factors,
)
from garfield_vae.evaluation.sample_measures import random_rows
from garfield_vae.latent.codec import encode
from garfield_vae.latent.space import LatentSpace
from garfield_vae.util.errors import UserError
from garfield_vae.util.files import read_text

FEWEST_STRIPS, MOST_STRIPS = 100, 1000  # random forests on fewer find factors that are not there
FACTOR_LATENTS = 64  # latents of most information on the factors; forests on all take minutes


def measure_factors(
    loaded: LoadedModel, space: LatentSpace, store: PanelStore, rng: np.random.Generator
) -> dict[str, Any] | None:
    """MIG, DCI and SAP where enough strips were drawn with known factors, else None.

    Raises UserError where the file of factors is damaged.
    """
    path = store.path.parent / "factors.jsonl"
    if not path.is_file():
        return None
    try:
        lines = [json.loads(line) for line in read_text(path).splitlines()]
        records = {record["date"]: record for record in lines}
    except (OSError, ValueError, RecursionError, TypeError, KeyError) as error:
        raise UserError(
            f"{path} is damaged: a line is not the factors of one strip; without the file, "
            f"everything else is measured"
        ) from error
    rows = random_rows(np.arange(len(store)), MOST_STRIPS, rng)
    rows = np.array([row for row in rows if store.names[row] in records], dtype=int)
    if len(rows) < FEWEST_STRIPS:
        return None
    factors = usable_factors([records[store.names[row]] for row in rows])
    if not factors:
        return None
    means, _ = encode(loaded.model, Rows(store.panels, rows))
    return {"strips": len(rows)} | factor_figures(means, space.coordinates(means), factors)


def factor_figures(
    means: np.ndarray, coordinates: np.ndarray, factors: Factors, shown: int = 8
) -> dict[str, Any]:
    """MIG, DCI and SAP of latent means [N, z] and of PCA coordinates [N, k] against factors.

    They are computed on the 64 latent dimensions of most mutual information with the factors, and
    on the first 64 components. "moves" is [shown, factors]: the mutual information of the first
    components and each factor, as a share of the factor's entropy.
    """
    information = mutual_information(means, factors)
    best = np.sort(np.argsort(-information.sum(axis=1))[:FACTOR_LATENTS])
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
    """Mutual information over the factor's entropy, less that of shuffled strips, because the
    estimate is biased upwards where bins have few strips: [k, factors]."""
    shuffled = np.random.default_rng(0).permutation(len(coordinates))
    found = mutual_information(coordinates, factors)
    chance = mutual_information(coordinates[shuffled], factors)
    return np.clip((found - chance) / entropies(factors), 0, 1)


def _mean(by_factor: dict[str, float]) -> float:
    return float(np.mean(list(by_factor.values())))
