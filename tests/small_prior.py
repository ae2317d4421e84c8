"""Latent priors of a few numbers, untrained or with a network that says something."""

import torch
from small_model import SMALL_PRIOR

from garfield_vae.model.prior import LatentPrior


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def prior(std: torch.Tensor | None = None, **changes: int | float) -> LatentPrior:
    """An untrained prior around mean 1, … along a random rotation, with deviations 0.2 to 3."""
    torch.manual_seed(0)
    made = LatentPrior(**SMALL_PRIOR | changes).eval()
    z_dim = made.config["z_dim"]
    directions, _ = torch.linalg.qr(torch.randn(z_dim, z_dim, generator=seeded(7)))
    if std is None:
        std = torch.linspace(3, 0.2, made.config["components"])
    made.fit_gaussian(torch.linspace(1, 2, z_dim), directions, std)
    return made


def gaussian_latents(of: LatentPrior, n: int, seed: int = 3) -> torch.Tensor:
    x = torch.randn(n, len(of.std), generator=seeded(seed))
    return of.mean + x * of.std @ of.directions


def disturbed(of: LatentPrior, size: float = 0.05) -> LatentPrior:
    """The same with a network that says something."""
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in of.network.parameters():
            weight.add_(size * torch.randn_like(weight))
    return of
