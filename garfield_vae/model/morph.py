"""Morphs: the strips between two strips, through the noise of the latent prior.

On a straight line between two latents, the decoder shows both strips at once, as a double exposure.
The flow of prior.py can be integrated backwards, which gives the noise that flows to a strip. On an
arc between two vectors of noise (spherical interpolation, Shoemake 1985) all is noise of the usual
length, and flows to a strip (Song et al. 2021, "Denoising Diffusion Implicit Models", section 5.3):

    x₀ᴬ, x₀ᴮ = the noise of A and of B                 the flow from t = 1 to t = 0
    x₀(s)    = slerp(x₀ᴬ, x₀ᴮ, s)                      a share s of the way
    strip(s) = what x₀(s) flows to                     the flow from t = 0 to t = 1,
               with guidance 1 + (w − 1) · sin(π s)

With guidance, noise does not flow back to the strip that it came from. So there is none at the
ends, and all of it halfway, where it makes characters whole.
"""

from math import pi

import torch
from torch import Tensor

from garfield_vae.model.flow import slerp
from garfield_vae.model.guidance import GUIDANCE
from garfield_vae.model.prior import STEPS, LatentPrior

MISSED = 0.1  # standard deviations: the error of 16 steps is a fifth of that
FADES = 8  # power of the share: a tenth of the way on, 43 % of an end's error is left


class Morph:
    """The strips between the two of `ends` [2, z_dim], whose noise is found once: in `steps`, or in
    twice as many where it does not flow back to them."""

    def __init__(
        self,
        prior: LatentPrior,
        ends: Tensor,
        steps: int = STEPS,
        guidance: float = GUIDANCE,
    ):
        for count in (steps, 2 * steps):
            noise = prior.to_noise(ends, count)  # [2, components]
            again = prior.from_noise(noise, count, guidance=1.0)
            error = prior.coordinates(again) - prior.coordinates(ends)
            if error.square().mean(dim=1).sqrt().max() < MISSED:
                break
        self.prior, self.noise, self.steps, self.guidance = prior, noise, count, guidance
        self.missed = ends - again  # the error of the steps, and what has no component

    @torch.no_grad()
    def at(self, share: Tensor) -> Tensor:
        """The latents [n, z_dim] at `share` [n] of the way; at 0 and 1 they are the ends,
        but for rounding."""
        share = share[:, None]
        guidance = 1 + (self.guidance - 1) * (pi * share).sin()
        strips = self.prior.from_noise(slerp(*self.noise, share), self.steps, guidance)
        # Added all the way, the error would show as a ghost of the end.
        return strips + (1 - share) ** FADES * self.missed[0] + share**FADES * self.missed[1]
