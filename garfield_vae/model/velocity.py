"""The network behind the latent prior: a small transformer over patches of the three code maps.

    maps      [B, 3·C·h·w]     a strip's latents as three code maps, noisy; [3, 3, 11, 13] as a rule
      patches                  one token per patch of a panel; it reads that patch in all three
    tokens    [B, T, width]    T = 27: nine patches in each of three panels
      blocks                   every token sees all others, in all three panels
    maps      [B, 3·C·h·w]     what has to be added to the Gaussian's velocity

A convolution sees only a neighbourhood, and a dense layer needs examples of every figure at every
position. Attention relates distant patches, in all three panels, by the same weights: what it
learns of a figure in one place holds in all. That a character wears the same clothes in every panel
would take it long to learn, so a token also reads what the other two panels have in its place, and
attention has a bias for every pair of places (Liu et al. 2021, "Swin Transformer"). The rest is a
diffusion transformer (Peebles and Xie 2023, "Scalable Diffusion Models with Transformers"), with
one modulation for all blocks (Chen et al. 2024, "PixArt-α").
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MLP_RATIO = 4  # hidden units of a block's two-layer network, for each unit of the width
WAVES = 32  # frequencies of the time embedding
TIME_RANGE = 0.0025  # times closer than this to 0 or 1 have the embedding of this one


class PatchTransformer(nn.Module):
    """Noisy code maps, the time, the panels that are known, and whether the strip is mirrored →
    code maps.

    `shape` is (panels, channels, height, width) of the maps. The output starts at 0.
    """

    def __init__(
        self,
        shape: tuple[int, int, int, int],
        patch: tuple[int, int],
        width: int,
        depth: int,
        heads: int,
        dropout: float,
    ):
        super().__init__()
        panels, channels, height, map_width = shape
        self.shape, self.patch = shape, patch
        self.grid = math.ceil(height / patch[0]), math.ceil(map_width / patch[1])
        self.patches = panels * math.prod(self.grid)
        values = channels * math.prod(patch)  # in a patch
        self.read = nn.Linear(panels * values, width)
        # clean patches, each with "known"
        self.read_known = nn.Linear(panels * (values + 1), width, bias=False)
        self.panel = nn.Parameter(0.3 * torch.randn(panels, 1, width))
        self.place = nn.Parameter(0.3 * torch.randn(math.prod(self.grid), width))
        self.mirrored = nn.Parameter(torch.zeros(width))
        panel = torch.arange(self.patches) // math.prod(self.grid)
        self.register_buffer("other_panels", panel[:, None] != panel, persistent=False)  # [T, T]
        self.time = nn.Sequential(
            nn.Linear(2 * WAVES, width),
            nn.SiLU(),
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Linear(width, 6 * width),
        )
        self.blocks = nn.ModuleList(
            Block(width, heads, self.patches, dropout) for _ in range(depth)
        )
        self.write = nn.Linear(width, values)
        for layer in (self.time[-1], self.write):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.read_known.weight)

    def forward(
        self,
        maps: Tensor,
        t: Tensor,
        known_maps: Tensor,
        known: Tensor,
        mirrored: Tensor | None,
        apart: bool = False,
    ) -> Tensor:
        """maps, known_maps [B, 3·C·h·w]; t [B]; known [B, 3], 1 for a known panel; mirrored [B], 1
        for a mirrored strip, or None where none is → like maps.

        `apart`: no panel sees another. It was not trained for that, and is worse then: what
        guidance needs.
        """
        known = known.repeat_interleave(math.prod(self.grid), dim=1)[..., None]  # [B, T, 1]
        clean = torch.cat([self.to_patches(known_maps) * known, known], dim=2)
        noisy = self.beside(self.to_patches(maps), apart)
        tokens = self.read(noisy) + self.read_known(self.beside(clean, apart))  # [B, T, width]
        tokens = tokens + (self.panel + self.place).flatten(0, 1)
        if mirrored is not None:
            tokens = tokens + mirrored[:, None, None] * self.mirrored
        modulation = self.time(waves(t)).unflatten(1, (6, -1))  # [B, 6, width]
        for block in self.blocks:
            tokens = block(tokens, modulation, self.other_panels if apart else None)
        return self.to_maps(self.write(F.layer_norm(tokens, tokens.shape[-1:])))

    def beside(self, patches: Tensor, apart: bool = False) -> Tensor:
        """[B, T, v] → [B, T, 3·v]: with each patch those in its place of the next two panels, where
        the first comes after the last; `apart`: zeros in place of those."""
        panels = patches.unflatten(1, (self.shape[0], -1))
        seen = torch.zeros_like(panels) if apart else panels
        turned = [seen.roll(-ahead, dims=1) for ahead in range(1, self.shape[0])]
        return torch.cat([panels, *turned], dim=3).flatten(1, 2)

    def to_patches(self, maps: Tensor) -> Tensor:
        """[B, 3·C·h·w] → [B, T, C·patch]; zeros fill the patches that reach over the edge."""
        panels, channels, height, width = self.shape
        rows, columns = self.grid
        right, below = columns * self.patch[1] - width, rows * self.patch[0] - height
        x = F.pad(maps.reshape(-1, panels * channels, height, width), (0, right, 0, below))
        x = x.reshape(-1, panels, channels, rows, self.patch[0], columns, self.patch[1])
        x = x.permute(0, 1, 3, 5, 2, 4, 6)  # [B, panels, rows, columns, C, patch, patch]
        return x.reshape(len(maps), panels * rows * columns, -1)

    def to_maps(self, patches: Tensor) -> Tensor:
        """The inverse of `to_patches`: [B, T, C·patch] → [B, 3·C·h·w]."""
        panels, channels, height, width = self.shape
        rows, columns = self.grid
        x = patches.reshape(-1, panels, rows, columns, channels, *self.patch)
        x = x.permute(0, 1, 4, 2, 5, 3, 6)  # [B, panels, C, rows, patch, columns, patch]
        x = x.reshape(-1, panels, channels, rows * self.patch[0], columns * self.patch[1])
        return x[..., :height, :width].reshape(len(patches), -1)


class Block(nn.Module):
    """Attention between all tokens, then a two-layer network on each; starts as the identity.

    Adaptive layer norm: the time embedding scales and shifts the input of each, and scales its
    output. Queries and keys are normalised, so that attention does not saturate at a high learning
    rate (Henry et al. 2020, "Query-Key Normalization for Transformers"). The activation is a
    squared ReLU (So et al. 2021, "Primer").
    """

    def __init__(self, width: int, heads: int, tokens: int, dropout: float):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.pairs = nn.Parameter(torch.zeros(heads, tokens, tokens))  # added to the attention
        self.modulation = nn.Parameter(torch.zeros(6, width))  # this block's own share
        self.query_key_value = nn.Linear(width, 3 * width, bias=False)
        self.mix = nn.Linear(width, width, bias=False)
        self.widen = nn.Linear(width, MLP_RATIO * width, bias=False)
        self.narrow = nn.Linear(MLP_RATIO * width, width, bias=False)
        for layer in (self.query_key_value, self.widen):
            nn.init.normal_(layer.weight, std=width**-0.5)
        for layer in (self.mix, self.narrow):
            nn.init.zeros_(layer.weight)

    def forward(self, tokens: Tensor, modulation: Tensor, hidden: Tensor | None = None) -> Tensor:
        """[B, T, width], [B, 6, width] → [B, T, width]. `hidden` [T, T] is true where a token may
        not see another."""
        scale_a, shift_a, gate_a, scale_b, shift_b, gate_b = (modulation + self.modulation)[
            :, :, None
        ].unbind(1)  # [B, 1, width] each
        x = F.layer_norm(tokens, tokens.shape[-1:]) * (1 + scale_a) + shift_a
        tokens = tokens + (1 + gate_a) * self.mix(self.attend(self.query_key_value(x), hidden))
        x = F.layer_norm(tokens, tokens.shape[-1:]) * (1 + scale_b) + shift_b
        x = F.dropout(F.relu(self.widen(x)).square(), self.dropout, self.training)
        return tokens + (1 + gate_b) * self.narrow(x)

    def attend(self, qkv: Tensor, hidden: Tensor | None = None) -> Tensor:
        """[B, T, 3·width] → [B, T, width]. Written out, since for so few tokens on a CPU two
        matrix products train several times as fast as torch's fused attention."""
        batch, count, _ = qkv.shape
        qkv = qkv.reshape(batch, count, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        query, key, value = qkv.flatten(1, 2).unbind(0)  # [B·heads, T, width/heads] each
        size = query.shape[-1]
        query, key = F.rms_norm(query, (size,)), F.rms_norm(key, (size,))
        likeness = torch.bmm(query * size**-0.5, key.transpose(1, 2))
        bias = self.pairs if hidden is None else self.pairs.masked_fill(hidden, -math.inf)
        weights = (likeness.unflatten(0, (batch, -1)) + bias).softmax(dim=-1)
        mixed = torch.bmm(weights.flatten(0, 1), value).unflatten(0, (batch, -1))
        return mixed.transpose(1, 2).flatten(2)


def waves(t: Tensor) -> Tensor:
    """The time embedding: times [B] in 0…1 → sines and cosines [B, 2·WAVES] of logit t, which tells
    times near 0 and near 1 apart."""
    frequencies = torch.linspace(math.log(0.15), math.log(15.0), WAVES, device=t.device).exp()
    angle = torch.logit(t.clamp(TIME_RANGE, 1 - TIME_RANGE))[:, None] * frequencies
    return torch.cat([angle.sin(), angle.cos()], dim=1)
