"""Morphs: the strips between two strips, through the noise of the latent prior.

On a straight line between two latents, the decoder shows both strips at once, as a double exposure.
The flow of prior.py can be integrated backwards, which gives the noise that flows to a strip. On an
arc between two vectors of noise (spherical interpolation, Shoemake 1985) all is noise of the usual
length, and flows to a strip (Song et al. 2021, "Denoising Diffusion Implicit Models", section 5.3).
"""

from math import pi

import torch
from torch import Tensor

from garfield_vae.model.flow import path, slerp
from garfield_vae.model.prior import GUIDANCE, STEPS, LatentPrior


class Morph:
    """The strips between the two of `ends` [2, z_dim], whose noise is found once.

    With guidance, noise does not flow back to the strip that it came from. So there is none at the
    ends, and all of it halfway, where it makes characters whole.
    """

    def __init__(
        self,
        prior: LatentPrior,
        ends: Tensor,
        steps: int = STEPS,
        guidance: float = GUIDANCE,
    ):
        self.prior, self.steps, self.guidance = prior, steps, guidance
        self.noise = prior.to_noise(ends, steps)  # [2, components]
        again = prior.from_noise(self.noise, steps, guidance=1.0)
        self.missed = ends - again  # the error of so few steps, and what has no component

    @torch.no_grad()
    def at(self, share: Tensor) -> Tensor:
        """The latents [n, z_dim] at `share` [n] of the way; at 0 and 1 they are the ends."""
        share = share[:, None]
        guidance = 1 + (self.guidance - 1) * (pi * share).sin()
        strips = self.prior.from_noise(slerp(*self.noise, share), self.steps, guidance)
        return strips + path(*self.missed, share)
