"""The latent space: principal components, and the sliders and latent traversals made of them.

A VAE's latent dimensions have no order and no names. The principal components of the posterior
means do: the first is the direction in which the strips differ most. They are the sliders of this
project.

Everything here is plain numpy, float32, and knows nothing of networks or files.
"""

from dataclasses import dataclass, fields

import numpy as np

MOST_KERNELS = 2048  # strips that samplers.kernel mixes; more change nothing but the file's size
ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class LatentSpace:
    """PCA of N posterior means in z dimensions: k components, min(N − 1, z) at most.

    Coordinates are in standard deviations: 1.0 along component i is `std[i]` latent units, so a
    slider's −3…3 spans what the strips themselves span, whatever the component.

    mean          [z]       of the posterior means
    components    [k, z]    orthonormal rows, by falling variance; in each row the entry of the
                            largest magnitude is positive, so that a refit keeps a slider's
                            direction
    std           [k]       standard deviation of the means along each component
    explained     [k]       share of the means' total variance
    kernels       [n, k]    coordinates of the strips (or of 2,048 of them), float16: the
                            aggregate posterior, for samplers
    """

    mean: np.ndarray
    components: np.ndarray
    std: np.ndarray
    explained: np.ndarray
    kernels: np.ndarray

    @classmethod
    def fit(cls, means: np.ndarray) -> "LatentSpace":
        """Fits to posterior means [N, z], an array or a memory map, which is read in slices.

        Raises ValueError for fewer than two strips.
        """
        mean, components, std, explained = principal_components(means)
        rows = np.linspace(0, len(means) - 1, min(len(means), MOST_KERNELS)).astype(int)
        kernels = (means[rows] - mean) @ components.T / std
        return cls(mean, components, std, explained, kernels.astype(np.float16))

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

    def traversal(self, latent: np.ndarray, component: int, positions: np.ndarray) -> np.ndarray:
        """Latents [len(positions), z] along a component: `latent` [z] with this one coordinate set
        to each of `positions`, in standard deviations, and all else as it is."""
        here = self.coordinates(latent[None])[0, component]
        direction = self.std[component] * self.components[component]
        return (latent + (positions - here)[:, None] * direction).astype(np.float32)

    def arrays(self) -> dict[str, np.ndarray]:
        """The fields by name; `LatentSpace(**arrays)` is the way back."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def line(start: np.ndarray, end: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Latents [n, z] at `shares` [n], 0…1, of the straight line from `start` [z] to `end` [z]."""
    share = np.asarray(shares, np.float32)[:, None]
    return (1 - share) * start + share * end


def principal_components(
    means: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Mean [z], components [k, z], standard deviations [k], explained shares [k] of `means` [N, z].

    By the eigenvectors of the covariance, summed over slices of rows in float64: memory is z², not
    N·z, so that any number of strips fits, and small variances are exact, which scikit-learn's PCA
    in float32 loses. Directions without variance are left out. Variances have N − 1 in the
    denominator. Raises ValueError for fewer than two strips.
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
