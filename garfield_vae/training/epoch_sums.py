"""An epoch's figures as sums over its strips, to be added over batches, processes and stops."""

import torch
from torch import Tensor

FIGURES = ("loss", "distortion", "rate", "beta")  # averaged over the strips of an epoch


class EpochSums:
    """Sums over the strips of an epoch so far, float32 [1 + 4 + 2·z].

    Their number, FIGURES, the posterior means, and the squares of these.
    """

    def __init__(self, z_dim: int) -> None:
        self.z_dim = z_dim
        self.clear()

    def clear(self) -> None:
        self.sums = torch.zeros(1 + len(FIGURES) + 2 * self.z_dim)

    def load(self, sums: Tensor) -> None:
        """Takes sums from a checkpoint. Raises ValueError if they are of another kind or size."""
        there = isinstance(sums, Tensor) and (sums.layout, sums.dtype, sums.shape)
        if there != (self.sums.layout, self.sums.dtype, self.sums.shape):
            raise ValueError("these are no sums of an epoch")
        self.sums = sums.clone()

    def add(self, figures: Tensor, means: Tensor) -> None:
        """A batch: the means of FIGURES over it [4], and its strips' posterior means [B, z]."""
        means, figures = means.float(), figures.float()
        batch = [torch.ones_like(figures[:1]), figures]  # once for each strip
        batch = [len(means) * part for part in batch] + [means.sum(0), means.square().sum(0)]
        self.sums = self.sums.to(means.device) + torch.cat(batch)


def statistics(sums: Tensor) -> tuple[Tensor, Tensor]:
    """Of EpochSums: the means of FIGURES [4], and each latent dimension's variance [z]."""
    figures, latents = (sums[1:] / sums[0]).tensor_split([len(FIGURES)])
    mean, square = latents.chunk(2)
    return figures, square - mean.square()
