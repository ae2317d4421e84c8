import numpy as np
import pytest

from garfield_vae.latent.space import LatentSpace


@pytest.fixture(scope="package")
def means() -> np.ndarray:
    """200 latents in 6 dimensions, each with another spread, around 5."""
    rng = np.random.default_rng(3)
    turn, _ = np.linalg.qr(rng.standard_normal((6, 6)))
    return (rng.standard_normal((200, 6)) * [5, 3, 2, 1, 0.5, 0.1] @ turn + 5).astype(np.float32)


@pytest.fixture(scope="package")
def space(means) -> LatentSpace:
    return LatentSpace.fit(means)
