"""The latent prior in the terms of the scripts and the explorer: arrays, sliders, panels, seeds.

What it computes is model/prior.py; here numpy's latents become tensors, a slider becomes the
direction of its principal component, and a seed becomes a generator.
"""

from collections.abc import Sequence

import numpy as np
import torch

from garfield_vae.geometry import PANELS
from garfield_vae.latent.space import LatentSpace
from garfield_vae.model.prior import GUIDANCE, STEPS, LatentPrior


class PriorSampler:
    """A trained LatentPrior over the latents of a LatentSpace. Latents are float32 [N, z]."""

    def __init__(
        self,
        prior: LatentPrior,
        space: LatentSpace,
        steps: int = STEPS,
        guidance: float = GUIDANCE,
    ):
        self.prior, self.steps, self.guidance = prior, steps, guidance
        self.components = torch.from_numpy(np.array(space.components))  # [k, z]

    def sample(self, n: int, seed: int, temperature: float = 1.0) -> np.ndarray:
        """New latents [n, z]. The first of them depend on the seed alone, not on n."""
        drawn = self.prior.sample(n, self.steps, self.guidance, temperature, seeded(seed))
        return to_numpy(drawn)

    def of_seeds(self, seeds: Sequence[int]) -> np.ndarray:
        """The first sample of each seed, [len(seeds), z], but for rounding: together they are drawn
        in a fraction of the time."""
        noise = torch.cat([self.prior.noise(1, seeded(seed)) for seed in seeds])
        return to_numpy(self.prior.from_noise(noise, self.steps, self.guidance))

    def refine(
        self, latents: np.ndarray, held: Sequence[int] = (), steps: int | None = None, seed: int = 0
    ) -> np.ndarray:
        """Latents [N, z], pulled onto what the prior finds likely. Along the components `held`
        they stay where they are."""
        directions = self.components[list(held)] if len(held) else None
        refined = self.prior.refine(
            self.tensor(latents),
            held=directions,
            steps=steps or self.steps,
            guidance=self.guidance,
            generator=seeded(seed),
        )
        return to_numpy(refined)

    def complete(self, latents: np.ndarray, panels: Sequence[int], seed: int) -> np.ndarray:
        """Latents [N, z] or [z], with the given panels, counted from 0, drawn anew to fit the
        others. Each row is a proposal of its own."""
        rows = self.tensor(np.atleast_2d(latents))
        known = torch.tensor([panel not in panels for panel in range(PANELS)]).expand(len(rows), -1)
        drawn = self.prior.complete(rows, known, self.steps, self.guidance, generator=seeded(seed))
        return to_numpy(drawn).reshape(latents.shape)

    def morph(self, start: np.ndarray, end: np.ndarray, frames: int) -> np.ndarray:
        """From latents [z] to others through the prior's noise: [frames, z], ends included."""
        return to_numpy(self.prior.morph(self.tensor(start), self.tensor(end), frames))

    def tensor(self, latents: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.array(latents, np.float32)).to(self.prior.mean)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def to_numpy(latents: torch.Tensor) -> np.ndarray:
    return latents.float().cpu().numpy()
