"""The latent space: its principal components, and a density from which new strips are drawn.

A VAE's latent dimensions have no order and no names. The principal components of the posterior
means do: the first is the direction in which the strips differ most. They are the sliders of this
project. The same means give a density to sample from, which matters because the decoder only knows
latents that strips really have, and those do not fill N(0, I) (the aggregate posterior's holes;
Ghosh et al. 2020, "From Variational to Deterministic Autoencoders").

Everything here is plain numpy, float32, and knows nothing of networks or files.
"""

from dataclasses import dataclass, fields

import numpy as np
from sklearn.mixture import GaussianMixture

MIXTURE_DIMENSIONS = 32  # the mixture lives in the first components; the rest are one Gaussian
MIXTURE_SIZES = (1, 2, 4, 8, 16)  # tried in turn while the information criterion falls
MIXTURE_ROWS = 20_000  # more latents than this do not change the mixture, only the wait
ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class LatentSpace:
    """PCA of N posterior means in z dimensions, k = min(N − 1, z) components, and their density.

    Coordinates are in standard deviations: 1.0 along component i is `std[i]` latent units, so a
    slider's −3…3 spans what the strips themselves span, whatever the component.

    mean                  [z]        of the posterior means
    components            [k, z]     orthonormal rows, by falling variance; in each row the entry
                                     of the largest magnitude is positive, so that a refit keeps
                                     a slider's direction
    std                   [k]        standard deviation of the means along each component
    explained             [k]        share of the means' total variance
    posterior_variance    [z]        mean over strips of the encoder's variance
    mixture_weights       [m]        a Gaussian mixture over the first d coordinates
    mixture_means         [m, d]
    mixture_cholesky      [m, d, d]  lower triangular, L·Lᵀ = covariance
    """

    mean: np.ndarray
    components: np.ndarray
    std: np.ndarray
    explained: np.ndarray
    posterior_variance: np.ndarray
    mixture_weights: np.ndarray
    mixture_means: np.ndarray
    mixture_cholesky: np.ndarray

    @classmethod
    def fit(cls, means: np.ndarray, posterior_variance: np.ndarray, seed: int = 0) -> "LatentSpace":
        """Fits to `means` [N, z] (an array or a memory map; read in slices) and the mean [z]
        of the encoder's variances. Raises ValueError for fewer than two strips."""
        mean, components, std, explained = principal_components(means)
        rows = np.linspace(0, len(means) - 1, min(len(means), MIXTURE_ROWS)).astype(int)
        d = min(MIXTURE_DIMENSIONS, len(std))
        # numpy reads a memory map row by row here, so that only these rows are ever in memory
        coordinates = (np.asarray(means[rows]) - mean) @ components[:d].T / std[:d]
        weights, centres, cholesky = fit_mixture(coordinates, seed)
        return cls(
            mean,
            components,
            std,
            explained,
            np.asarray(posterior_variance, np.float32),
            weights,
            centres,
            cholesky,
        )

    def coordinates(self, latents: np.ndarray) -> np.ndarray:
        """[N, z] → [N, k], in standard deviations."""
        return (latents - self.mean) @ self.components.T / self.std

    def latents(self, coordinates: np.ndarray, residual: np.ndarray | float = 0.0) -> np.ndarray:
        """[N, j ≤ k] → [N, z]; coordinates left out are 0, `residual` [N, z] is added."""
        j = coordinates.shape[1]
        return self.mean + (coordinates * self.std[:j]) @ self.components[:j] + residual

    def residual(self, latents: np.ndarray, j: int) -> np.ndarray:
        """What the first `j` coordinates leave out of `latents` [N, z]: add it back in `latents`,
        and a strip returns exactly, however few sliders there are."""
        return latents - self.latents(self.coordinates(latents)[:, :j])

    def sample(
        self, n: int, rng: np.random.Generator, temperature: float = 1.0, prior: bool = False
    ) -> np.ndarray:
        """Draws [n, z] from the fitted density, or with `prior` from N(0, I).

        `temperature` scales the distance from the mixture component's centre (and from 0 in the
        prior): 0 gives typical strips only, above 1 exaggerates.
        """
        z = len(self.mean)
        if prior:
            return (temperature * rng.standard_normal((n, z))).astype(np.float32)
        k, d = len(self.std), self.mixture_means.shape[1]
        which = rng.choice(len(self.mixture_weights), size=n, p=self.mixture_weights)
        coordinates = temperature * rng.standard_normal((n, k))
        coordinates[:, :d] = self.mixture_means[which] + np.einsum(
            "nij,nj->ni", self.mixture_cholesky[which], coordinates[:, :d]
        )
        # The aggregate posterior is the means blurred by each strip's own posterior.
        blur = temperature * rng.standard_normal((n, z)) * np.sqrt(self.posterior_variance)
        return self.latents(coordinates, blur).astype(np.float32)

    def arrays(self) -> dict[str, np.ndarray]:
        """The fields by name, for np.savez; `LatentSpace(**arrays)` is the way back."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def principal_components(
    means: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Mean [z], components [k, z], standard deviations [k], explained shares [k] of `means` [N, z].

    By the eigenvectors of the covariance, summed over slices of rows in float64: memory is z², not
    N·z, so that a library of any size fits. Directions without variance are left out. Variances
    have N − 1 in the denominator, as scikit-learn's PCA has them.
    """
    count, z = means.shape
    if count < 2:
        raise ValueError("principal components need at least two strips")
    mean = np.zeros(z)
    for start in range(0, count, ROWS_AT_ONCE):
        mean += np.asarray(means[start : start + ROWS_AT_ONCE], np.float64).sum(0) / count
    covariance = np.zeros((z, z))
    for start in range(0, count, ROWS_AT_ONCE):
        centred = np.asarray(means[start : start + ROWS_AT_ONCE], np.float64) - mean
        covariance += centred.T @ centred / (count - 1)
    variances, vectors = np.linalg.eigh(covariance)
    order = np.argsort(variances)[::-1][: min(count - 1, z)]
    # A direction below a millionth of the first's spread is rounding: dividing by it is noise.
    order = order[variances[order] > 1e-12 * max(variances[order[0]], 1e-30)]
    if len(order) == 0:
        order = np.array([z - 1])  # all strips are alike: one component that moves nothing
    variances, components = np.maximum(variances[order], 1e-30), vectors[:, order].T
    largest = components[np.arange(len(order)), np.abs(components).argmax(1)]
    components *= np.where(largest < 0, -1.0, 1.0)[:, None]
    explained = variances / max(np.trace(covariance), 1e-30)
    return tuple(a.astype(np.float32) for a in (mean, components, np.sqrt(variances), explained))


def fit_mixture(coordinates: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights [m], means [m, d], Cholesky factors [m, d, d] of a Gaussian mixture.

    m is chosen by the Bayesian information criterion (Schwarz 1978): few strips get one Gaussian,
    a whole library as many as it can fill.
    """
    rows = coordinates.astype(np.float64)
    candidates = []
    for size in MIXTURE_SIZES:
        # A component needs rows to learn its d × d covariance from.
        if size > 1 and len(rows) < size * 4 * rows.shape[1]:
            break
        # The coordinates are in standard deviations, so a floor of 1e-3 is 3 % of one.
        mixture = GaussianMixture(size, reg_covar=1e-3, random_state=seed).fit(rows)
        candidates.append((mixture.bic(rows), size, mixture))
        if candidates[-1][0] > min(candidates)[0]:
            break
    _, _, best = min(candidates)
    return (
        best.weights_ / best.weights_.sum(),
        best.means_.astype(np.float32),
        np.linalg.cholesky(best.covariances_).astype(np.float32),
    )
