"""The weights that the network starts with."""

import math

import torch
from torch import Tensor

from garfield_vae.geometry import CHANNELS

OUTPUT_GAIN = 0.3  # of the last layer: small, so that tanh starts where it is nearly linear


def cosine_basis(shape: tuple[int, int, int, int], count: int) -> Tensor:
    """The `count` lowest spatial frequencies of the code maps, as an orthonormal basis.

    `shape` is (panels, channels, height, width); → [count, panels · channels · height · width].
    Each row is a two-dimensional cosine (DCT-II, as in JPEG) in one channel of one panel; rows are
    in order of rising frequency. With as many rows as the maps have values, the basis is complete.
    """
    panels, channels, height, width = shape
    waves = torch.einsum("ay,bx->abyx", cosines(height), cosines(width)).reshape(height * width, -1)
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    frequency = (y / height).square() + (x / width).square()
    order = frequency.flatten().argsort(stable=True)
    basis = torch.einsum("fn,pq,cd->fpcqdn", waves[order], torch.eye(panels), torch.eye(channels))
    return basis.reshape(height * width * panels * channels, -1)[:count]


def cosines(length: int) -> Tensor:
    """The orthonormal DCT-II matrix: row k is a cosine of k half-waves, [length, length]."""
    k, n = torch.arange(length)[:, None], torch.arange(length)[None, :]
    rows = torch.cos(math.pi / length * (n + 0.5) * k) * math.sqrt(2 / length)
    rows[0] /= math.sqrt(2)
    return rows


def bilinear_output(cell: int, channels: int) -> Tensor:
    """Weights [3·cell², channels, 3, 3] of an output layer that starts as bilinear upsampling.

    Each colour is one random mixture of the channels, upsampled by `cell`. Independent random
    weights for each of the cell² pixels would start as a visible grid that takes long to fade
    (Aitken et al. 2017, "Checkerboard artifact free sub-pixel convolution", for the same reason).
    """
    place = (torch.arange(cell) + 0.5) / cell - 0.5  # of a pixel, from its cell's centre, in cells
    neighbours = torch.tensor([-1.0, 0.0, 1.0])
    line = (1 - (place[:, None] - neighbours).abs()).clamp(min=0)  # [cell, 3], rows sum to 1
    mixture = torch.randn(CHANNELS, channels) * OUTPUT_GAIN / channels**0.5
    weight = torch.einsum("oc,iy,jx->oijcyx", mixture, line, line)
    return weight.reshape(CHANNELS * cell**2, channels, 3, 3)
