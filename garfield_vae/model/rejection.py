"""Rejection: a strip that the latent prior drew with a fault is drawn again.

A strip is as good as its worst patch: a character that is half there spoils it, however likely all
else is. The prior can tell: it predicts a patch that belongs to a strip from a noisy version of
the strip, and not one that lies between two things that could be there. So the loss of each patch
is compared with what it is on training strips,

    misfit = max over patches (loss of the patch / its mean over training strips),

in units of what seven tenths of the training strips stay below. What has a misfit above 1 is
rejected (compare Azadi et al. 2019, "Discriminator Rejection Sampling", where a second network
judges). The next candidate is the same strip again, mixed with new noise as early on its path: cast
and place mostly stay, and what lay between two things is decided anew. With another strip in its
place, all that the prior finds difficult would become rare among samples: benchmarks/prior.md has
the figures.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from garfield_vae.geometry import PANELS
from garfield_vae.model.prior import LatentPrior

CANDIDATES = 8  # drawn at most for a strip
AGAIN_FROM = 0.25  # time: later, faults stay; earlier, some kinds of strips become rarer
PASSING = 0.7  # of the training strips have a misfit of at most 1
# At the first, little can be seen, and a character who was another one a panel before is not
# predicted; at the second, a face that is half there is not.
TIMES = (0.35, 0.65)
BATCH = 128
NO_PANEL = (False,) * PANELS
# Fewer rows are multiplied by other kernels, which round differently. That may decide what a strip
# becomes, and a seed shall give the same one alone and among others.
FEWEST = 4


class Misfit:
    """misfit(latents [N, z]) → [N], above 1 for strips that are less likely than most.

    strips: latents [n, z] of training strips; they are judged when the first sample is.
    """

    def __init__(self, prior: LatentPrior, strips: Tensor):
        self.prior, self.strips = prior, strips
        self.usual: dict[tuple[bool, ...], tuple[Tensor, Tensor]] = {}  # by known panels

    def __call__(self, latents: Tensor, known: tuple[bool, ...] = NO_PANEL) -> Tensor:
        """Of the patches of panels that are not known, given those that are."""
        if known not in self.usual:
            losses = self.losses(self.strips, known)  # [n, patches]
            mean = losses.mean(0).clamp(min=1e-12)
            self.usual[known] = mean, (losses / mean).amax(1).quantile(PASSING)
        mean, limit = self.usual[known]
        return (self.losses(latents, known) / mean).amax(1) / limit

    @torch.no_grad()
    def losses(self, latents: Tensor, known: tuple[bool, ...]) -> Tensor:
        """Each patch's loss [N, patches], with the same times and noise for all strips."""
        noises = self.prior.noise(len(TIMES), torch.Generator().manual_seed(0))
        drawn = ~torch.tensor(known).repeat_interleave(self.prior.network.patches // PANELS)
        batches = []
        for batch in latents.tensor_split(-(-len(latents) // BATCH)):
            shown = torch.tensor(known).to(batch).expand(len(batch), PANELS)
            of_times = [
                self.prior.patch_errors(
                    batch, batch.new_full((len(batch),), t), noise.expand(len(batch), -1), shown
                )
                for t, noise in zip(TIMES, noises, strict=True)
            ]
            batches.append(torch.stack(of_times).mean(0)[:, drawn.to(batch.device)])
        return torch.cat(batches)


def first_that_fits(
    draw: Callable[[Tensor, int, Tensor | None], Tensor],
    misfit: Callable[[Tensor], Tensor],
    n: int,
    candidates: int,
) -> Tensor:
    """Latents [n, z]: for each row its first candidate with a misfit of at most 1, or the one with
    the smallest where none of them is accepted.

    draw(rows [m], number, best) → those rows' candidates of this number, [m, z]; `best` [m, z] are
    the best before them, None for the first, number 0.
    """
    latents = draw(no_fewer(torch.arange(n)), 0, None)
    if candidates == 1:
        return latents[:n]
    misfits = misfit(latents)
    for number in range(1, candidates):
        rejected = no_fewer((misfits[:n] > 1).nonzero().flatten())
        if len(rejected) == 0:
            break
        others = draw(rejected.cpu(), number, latents[rejected])
        theirs = misfit(others)
        better = theirs < misfits[rejected]
        rows = rejected[better]
        latents[rows], misfits[rows] = others[better], theirs[better]
    return latents[:n]


def no_fewer(rows: Tensor) -> Tensor:
    """Indices, and some of them twice where they are fewer than FEWEST."""
    return rows if len(rows) >= FEWEST else rows.repeat(FEWEST)[:FEWEST]
