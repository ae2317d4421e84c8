"""The weights that the network starts with."""

import math

import torch
from torch import Tensor

from garfield_vae.geometry import CHANNELS

PAINT_GAIN = 0.3  # of the last layer: tanh starts in its straight part


def low_frequencies(shape: tuple[int, int, int, int], count: int) -> Tensor:
    """An orthonormal basis of the smoothest code maps: [count, panels·channels·height·width].

    Rows are two-dimensional cosines (DCT-II) in one channel of one panel each, in order of rising
    frequency; with as many rows as the maps have values it is a rotation and loses nothing.
    """
    panels, channels, height, width = shape
    waves = torch.einsum("ay,bx->abyx", cosines(height), cosines(width)).reshape(height * width, -1)
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    frequency = (y / height).square() + (x / width).square()
    order = frequency.flatten().argsort(stable=True)
    basis = torch.einsum("fn,pq,cd->fpcqdn", waves[order], torch.eye(panels), torch.eye(channels))
    return basis.reshape(height * width * panels * channels, -1)[:count]


def smooth_paint(stem: int, channels: int) -> Tensor:
    """Weights [3·stem², channels, 3, 3] with which the last layer enlarges bilinearly by stem.

    Each colour starts as a random mixture of the channels. Were each of a cell's stem² pixels to
    start with a mixture of its own, their differences would show as a grid that takes long to fade.
    """
    place = (torch.arange(stem) + 0.5) / stem - 0.5  # of a pixel, from its cell's centre, in cells
    neighbours = torch.tensor([-1.0, 0.0, 1.0])
    line = (1 - (place[:, None] - neighbours).abs()).clamp(min=0)  # [stem, 3], rows sum to 1
    mixture = torch.randn(CHANNELS, channels) * PAINT_GAIN / channels**0.5
    weight = torch.einsum("oc,iy,jx->oijcyx", mixture, line, line)
    return weight.reshape(CHANNELS * stem**2, channels, 3, 3)


def cosines(length: int) -> Tensor:
    """The orthonormal DCT-II matrix: row k is a cosine of k half-waves, [length, length]."""
    k, n = torch.arange(length)[:, None], torch.arange(length)[None, :]
    rows = torch.cos(math.pi / length * (n + 0.5) * k) * math.sqrt(2 / length)
    rows[0] /= math.sqrt(2)
    return rows
