"""The latent prior in the terms of the scripts and the explorer: arrays, sliders, panels, seeds.

What it computes is model/prior.py and model/morph.py; here numpy's latents become tensors, a slider
becomes the direction of its principal component, and a seed becomes a generator.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from garfield_vae.geometry import PANELS
from garfield_vae.latent.codec import bar
from garfield_vae.latent.space import LatentSpace
from garfield_vae.model.guidance import GUIDANCE
from garfield_vae.model.morph import Morph
from garfield_vae.model.prior import STEPS, LatentPrior
from garfield_vae.model.rejection import AGAIN_FROM, CANDIDATES, Misfit, first_that_fits

JUDGED_BY = 96  # training strips: what misfits are relative to
BATCH = 256  # strips that are drawn at once


class PriorSampler:
    """A trained LatentPrior over the latents of a LatentSpace. Latents are float32 [N, z].

    A strip that is less likely than most training strips is drawn again, up to `candidates` in all
    (see model/rejection.py).
    """

    def __init__(
        self,
        prior: LatentPrior,
        space: LatentSpace,
        steps: int = STEPS,
        guidance: float = GUIDANCE,
        candidates: int = CANDIDATES,
    ):
        self.prior, self.steps, self.guidance = prior, steps, guidance
        self.candidates = candidates
        self.components = torch.from_numpy(np.array(space.components))  # [k, z]
        some = np.linspace(0, len(space.kernels) - 1, min(len(space.kernels), JUDGED_BY))
        strips = space.latents(space.kernels[some.astype(int)].astype(np.float32))
        self.misfit = Misfit(prior, self.tensor(strips))

    def sample(self, n: int, seed: int, temperature: float = 1.0, progress: str = "") -> np.ndarray:
        """New latents [n, z]. The first of them depend on the seed alone, not on n. `progress`
        names a bar, as in `codec.encode`."""
        return self.drawn([seeded(seed)] * n, temperature, progress)

    def of_seeds(self, seeds: Sequence[int]) -> np.ndarray:
        """The first sample of each seed, [len(seeds), z], but for rounding: together they are drawn
        in a fraction of the time."""
        return self.drawn([seeded(seed) for seed in seeds])

    def drawn(
        self, generators: list[torch.Generator], temperature: float = 1.0, progress: str = ""
    ) -> np.ndarray:
        """A new latent vector from each generator's noise, [n, z]."""
        drawn = []
        with bar(len(generators), progress) as shown:
            for start in range(0, len(generators), BATCH):
                noise = temperature * self.noise(generators[start : start + BATCH])
                drawn.append(self.from_candidates(noise))
                shown.update(len(noise))
        return to_numpy(torch.cat(drawn))

    def from_candidates(self, noise: torch.Tensor) -> torch.Tensor:
        """Noise [n, candidates, k] → latents [n, z]: of each row the first that fits."""

        def draw(rows: torch.Tensor, number: int, best: torch.Tensor | None) -> torch.Tensor:
            fresh = noise[rows, number]
            if best is None:
                return self.prior.from_noise(fresh, self.steps, self.guidance)
            return self.prior.redraw(best, fresh, AGAIN_FROM, self.steps, self.guidance)

        return first_that_fits(draw, self.misfit, len(noise), self.candidates)

    def noise(self, generators: list[torch.Generator]) -> torch.Tensor:
        """Noise for all candidates, [n, candidates, k].

        Drawn a vector at a time, so that the first ones are the same however many follow.
        """
        count = self.candidates
        drawn = [self.prior.noise(1, one) for one in generators for _ in range(count)]
        return torch.cat(drawn).unflatten(0, (-1, count))

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
        strips = self.tensor(np.atleast_2d(latents))
        known = tuple(panel not in panels for panel in range(PANELS))
        shown = torch.tensor(known).expand(len(strips), -1)
        noise = self.noise([seeded(seed)] * len(strips))

        def draw(rows: torch.Tensor, number: int, best: torch.Tensor | None) -> torch.Tensor:
            begun, t = (strips[rows], 0.0) if best is None else (best, AGAIN_FROM)
            fresh = noise[rows, number]
            return self.prior.complete(begun, shown[rows], fresh, t, self.steps, self.guidance)

        drawn = first_that_fits(
            draw, lambda drawn: self.misfit(drawn, known), len(strips), self.candidates
        )
        return to_numpy(drawn).reshape(latents.shape)

    def morph(self, start: np.ndarray, end: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """The way from latents [z] to others through the prior's noise: from shares of it [n],
        0…1, to the latents [n, z] there."""
        ends = self.tensor(np.stack([start, end]))
        morph = Morph(self.prior, ends, self.steps, self.guidance)
        return lambda shares: to_numpy(morph.at(self.tensor(shares)))

    def tensor(self, latents: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.array(latents, np.float32)).to(self.prior.mean)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def to_numpy(latents: torch.Tensor) -> np.ndarray:
    return latents.float().cpu().numpy()
