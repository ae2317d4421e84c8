"""Disentanglement of latents with respect to known factors: MIG, DCI and SAP.

The factors of drawn strips are known. All three measures take posterior means [N, z] and a
dictionary of factors, name → [N] of numbers or words. Words, and numbers with few distinct values,
are categories; other numbers are quantities.
"""

from dataclasses import dataclass

import numpy as np
import scipy.special
import scipy.stats
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.model_selection import train_test_split

FEW_VALUES = 12  # a number with at most so many distinct values is a category
MOST_WORDS = 30  # distinct words of a factor
BINS = 20  # Locatello et al. 2019

Factors = dict[str, np.ndarray]


def usable_factors(records: list[dict]) -> Factors:
    """Factors from one record per strip, the names of nested entries joined.

    An entry is a factor if every record has it as a number, boolean or word, with at least two
    distinct values, and at most 30 distinct words (dates and speech are no factors).
    """
    flat = [dict(_flatten("", record)) for record in records]
    names = [name for name in flat[0] if all(name in record for record in flat)] if flat else []
    factors = {}
    for name in names:
        values = [record[name] for record in flat]
        numeric = all(isinstance(value, bool | int | float) for value in values)
        column = np.array(values, dtype=float) if numeric else np.array([str(v) for v in values])
        if 1 < len(np.unique(column)) <= (len(column) if numeric else MOST_WORDS):
            factors[name] = column
    return factors


def is_category(factor: np.ndarray) -> bool:
    """Whether a factor is a category: words, or numbers with few distinct values."""
    return factor.dtype.kind in "US" or len(np.unique(factor)) <= FEW_VALUES


def mutual_information(means: np.ndarray, factors: Factors) -> np.ndarray:
    """Mutual information in nats between each latent and each factor, [z, factors].

    Latents are discretised in bins of equal width, quantities in bins of equal count.
    """
    latents = _equal_width(means)  # [N, z]
    return np.stack([_information(latents, _labels(f)) for f in factors.values()], axis=1)


def entropies(factors: Factors) -> np.ndarray:
    """Entropy in nats of each factor, [factors]; quantities in bins of equal count."""
    return np.array([scipy.stats.entropy(np.bincount(_labels(f))) for f in factors.values()])


def mig(means: np.ndarray, factors: Factors) -> dict[str, float]:
    """Mutual information gap of each factor, 0 to 1 (Chen et al. 2018, "Isolating Sources of
    Disentanglement in Variational Autoencoders").

    The difference between the two largest mutual informations of a latent with the factor, over
    the factor's entropy.
    """
    information = np.sort(mutual_information(means, factors), axis=0)[::-1]
    second = information[1] if len(information) > 1 else 0.0
    gaps = (information[0] - second) / entropies(factors)
    return dict(zip(factors, map(float, gaps), strict=True))


def sap(means: np.ndarray, factors: Factors) -> dict[str, float]:
    """Separated attribute predictability of each factor, 0 to 1 (Kumar et al. 2018, "Variational
    Inference of Disentangled Latent Concepts from Unlabeled Observations").

    The difference between the scores of the best two latents. The score is the squared correlation
    for quantities; for categories, the balanced accuracy of the nearest class mean, fitted to one
    half of the strips and scored on the other (Kumar et al. use a support vector machine).
    """
    gaps = {}
    for name, factor in factors.items():
        scores = _centroid_accuracy(means, factor) if is_category(factor) else _r2(means, factor)
        ranked = np.sort(np.append(scores, 0.0))
        gaps[name] = float(ranked[-1] - ranked[-2])
    return gaps


@dataclass(frozen=True)
class DCI:
    """Disentanglement and completeness are weighted means in [0, 1]; informativeness by factor."""

    disentanglement: float
    completeness: float
    informativeness: dict[str, float]
    importance: np.ndarray  # [z, factors], columns sum to 1


def dci(means: np.ndarray, factors: Factors, trees: int = 10, seed: int = 0) -> DCI:
    """Disentanglement, completeness and informativeness (Eastwood and Williams 2018, "A Framework
    for the Quantitative Evaluation of Disentangled Representations").

    A random forest predicts each factor; its importances are the weights of latents for factors.
    Informativeness is its score on a held-out quarter: R² of quantities (0 at least), accuracy of
    categories.
    """
    columns, scores = [], {}
    for name, factor in factors.items():
        kind = RandomForestClassifier if is_category(factor) else RandomForestRegressor
        train_x, test_x, train_y, test_y = train_test_split(
            means, factor, test_size=0.25, random_state=seed
        )
        forest = kind(trees, max_features=1.0, min_samples_leaf=2, random_state=seed, n_jobs=-1)
        forest.fit(train_x, train_y)
        # With threads, the order in which predictions are added, and so the result, would vary.
        forest.set_params(n_jobs=1)
        columns.append(forest.feature_importances_)
        scores[name] = max(0.0, float(forest.score(test_x, test_y)))
    importance = np.array(columns).T  # [z, factors]
    return DCI(*dci_scores(importance), scores, importance)


def dci_scores(importance: np.ndarray) -> tuple[float, float]:
    """Disentanglement and completeness of an importance matrix [z, factors].

    Disentanglement is 1 − entropy over factors of each latent, weighted by the latent's share of
    all importance; completeness is 1 − entropy over latents of each factor, likewise weighted.
    """
    latents, factors = importance.shape
    total = importance.sum()
    if total == 0:
        return 0.0, 0.0
    per_latent = 1 - _entropy(importance.T) / np.log(factors) if factors > 1 else np.ones(latents)
    per_factor = 1 - _entropy(importance) / np.log(latents) if latents > 1 else np.ones(factors)
    return (
        float(per_latent @ importance.sum(axis=1) / total),
        float(per_factor @ importance.sum(axis=0) / total),
    )


def _entropy(columns: np.ndarray) -> np.ndarray:
    """Entropy in nats of each column, normalised; 0 for a column of zeros."""
    return scipy.special.entr(columns / np.maximum(columns.sum(axis=0), 1e-300)).sum(axis=0)


def _flatten(prefix: str, value: object):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flatten(f"{prefix}.{key}" if prefix else str(key), inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _flatten(f"{prefix} {index + 1}", inner)
    elif value is None or isinstance(value, bool | int | float | str):
        yield prefix, value


def _labels(factor: np.ndarray) -> np.ndarray:
    """A factor as integers: the number of the category, or of the bin of equal count."""
    if is_category(factor):
        return np.unique(factor, return_inverse=True)[1]
    edges = np.quantile(factor, np.linspace(0, 1, BINS + 1)[1:-1])
    return np.searchsorted(edges, factor)


def _equal_width(means: np.ndarray) -> np.ndarray:
    low, high = means.min(axis=0), means.max(axis=0)
    places = (means - low) / np.maximum(high - low, 1e-30) * BINS
    return np.minimum(places.astype(int), BINS - 1)


def _information(latents: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mutual information in nats of binned latents [N, z] with labels [N] → [z]."""
    z, classes = latents.shape[1], labels.max() + 1
    cells = (np.arange(z) * BINS + latents) * classes + labels[:, None]
    joint = np.bincount(cells.ravel(), minlength=z * BINS * classes).reshape(z, BINS, classes)
    joint = joint / len(labels)
    apart = joint.sum(axis=2, keepdims=True) * joint.sum(axis=1, keepdims=True)
    return scipy.special.rel_entr(joint, apart).sum(axis=(1, 2))


def _r2(means: np.ndarray, factor: np.ndarray) -> np.ndarray:
    x, y = means - means.mean(axis=0), factor - factor.mean()
    spread = (x**2).sum(axis=0) * (y**2).sum()
    return np.where(spread > 0, (x.T @ y) ** 2 / np.maximum(spread, 1e-300), 0.0)


def _centroid_accuracy(means: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Accuracy of the nearest class mean along each latent alone, mean over classes, [z]."""
    labels = np.unique(factor, return_inverse=True)[1]
    learn_x, score_x, learn_y, score_y = train_test_split(
        means, labels, test_size=0.5, random_state=0
    )
    classes = np.intersect1d(learn_y, score_y)
    if len(classes) < 2:
        return np.zeros(means.shape[1])
    centres = np.stack([learn_x[learn_y == c].mean(axis=0) for c in classes])
    right = []
    for place, c in enumerate(classes):
        distance = np.abs(score_x[score_y == c][:, None] - centres)  # [n, classes, z]
        right.append((distance.argmin(axis=1) == place).mean(axis=0))
    return np.mean(right, axis=0)
