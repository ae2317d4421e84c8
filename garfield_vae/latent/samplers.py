"""How latents of new strips are drawn: the samplers that --sampler names.

The decoder was trained only on latents near those of strips. These are the aggregate posterior,
which does not fill N(0, I): a sample from the loss's own prior falls into its holes. So the usual
samplers are densities fitted to the posterior means after training (Ghosh et al. 2020, "From
Variational to Deterministic Autoencoders").

`prior` draws from the latent prior, which was trained for it (model/prior.py). The others need no
training; each is a function (space, n, rng, temperature) → latents [n, z], float32. Its temperature
scales the distance from the mean strip (of `normal`: from 0): 0 gives the mean strip n times. That
of `prior` scales the noise that flows to the latents.
"""

import numpy as np

from garfield_vae.latent.prior_sampler import PriorSampler
from garfield_vae.latent.space import LatentSpace

BANDWIDTH = 0.5  # of the kernel density, in standard deviations of the aggregate posterior


def kernel(
    space: LatentSpace,
    n: int,
    rng: np.random.Generator,
    temperature: float = 1.0,
    bandwidth: float = BANDWIDTH,
) -> np.ndarray:
    """From a kernel density estimate with the strips' own mean and covariance.

    A strip drawn at random is shrunk towards the mean by √(1 − h²), and h of a Gaussian with the
    strips' covariance is added, h being the bandwidth: 0 gives the training strips themselves,
    1 a single Gaussian (Liu and West 2001, "Combined Parameter and State Estimation in
    Simulation-Based Filtering", equation 10.3.9).
    """
    strips = space.kernels[rng.integers(len(space.kernels), size=n)].astype(np.float32)
    noise = rng.standard_normal((n, len(space.std)))
    coordinates = np.sqrt(1 - bandwidth**2) * strips + bandwidth * noise
    return space.latents(temperature * coordinates).astype(np.float32)


def gaussian(
    space: LatentSpace, n: int, rng: np.random.Generator, temperature: float = 1.0
) -> np.ndarray:
    """From one Gaussian with the mean and covariance of the strips' posterior means."""
    coordinates = temperature * rng.standard_normal((n, len(space.std)))
    return space.latents(coordinates).astype(np.float32)


def normal(
    space: LatentSpace, n: int, rng: np.random.Generator, temperature: float = 1.0
) -> np.ndarray:
    """From N(0, I), the prior of the VAE's loss."""
    return (temperature * rng.standard_normal((n, len(space.mean)))).astype(np.float32)


SAMPLERS = {"kernel": kernel, "gaussian": gaussian, "normal": normal}


def draw(
    space: LatentSpace,
    n: int,
    rng: np.random.Generator,
    sampler: str = "kernel",
    temperature: float = 1.0,
    prior: PriorSampler | None = None,
    progress: str = "",
) -> np.ndarray:
    """Latents [n, z] by the sampler of this name; `progress` names a bar for the one that takes
    long. Raises KeyError for an unknown one, and for `prior` where there is none."""
    if sampler == "prior" and prior is not None:
        return prior.sample(n, int(rng.integers(2**63)), temperature, progress)
    return SAMPLERS[sampler](space, n, rng, temperature)


def traversal(
    space: LatentSpace,
    start: np.ndarray,
    component: int,
    positions: np.ndarray,
    prior: PriorSampler | None = None,
) -> np.ndarray:
    """`LatentSpace.traversal`, which the prior keeps likely where there is one: far from the start,
    latents alone decode to blur."""
    latents = space.traversal(start, component, positions)
    return latents if prior is None else prior.refine(latents, held=[component])
