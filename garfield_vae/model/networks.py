"""The variational autoencoder: three panels → one latent vector → three panels.

    strips            [B, 3, 3, 176, 200]    (strip, panel, channel, y, x), in [-1, 1]
      PanelEncoder    one network for all panels, which are folded into the batch
    code maps         [B, 3, k, 11, 13]      a feature map per panel, with k = ⌈z_dim / 429⌉
      join            one dense layer over all three panels
    mean, log_std     [B, z_dim] each: the approximate posterior q(z|strip)
      reparameterise  one sample of it (elbo.py)
    z                 [B, z_dim]
      spread          one dense layer
    code maps         [B, 3, k, 11, 13]
      PanelDecoder    one network for all panels
    reconstruction    [B, 3, 3, 176, 200]

Three choices are unusual, and each is measured in benchmarks/ablations.md:

- The dense layers start as a cosine transform (`cosine_basis`) and are trained with a far lower
  learning rate (training/module.py). A convolution shares its weights over all positions, so every
  strip gives it hundreds of examples; a dense weight gets one example a strip, and overfits. The
  network therefore starts as a convolutional autoencoder whose code maps lose their highest
  spatial frequencies, and learns correlations across the strip slowly.
- There is no normalisation: it does not lower the error, and GroupNorm makes a step half as long
  again. Residual blocks that start as the identity keep the activations in range instead (Zhang
  et al. 2019, "Fixup Initialization").
- Full resolution is never convolved. The first layer sees cells of 8×8 pixels as channels
  (pixel unshuffle), the last one writes them (pixel shuffle): Shi et al. 2016, "Real-Time Single
  Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural Network".
"""

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from garfield_vae.geometry import CHANNELS, PANELS
from garfield_vae.model.elbo import reparameterise
from garfield_vae.model.init import bilinear_output, cosine_basis

CELL = 8  # pixels a side: the stem turns CELL×CELL pixels into channels, so it works at 1/8
STAGES = 2  # resolutions: 1/8 and 1/16 of the panel
LOG_STD_RANGE = (-8.0, 3.0)
INITIAL_LOG_STD = -2.0
LARGEST = {  # upper limits, so that no damaged or hostile file makes the program allocate at will
    "z_dim": 65_536,
    "c_hidden": 512,
    "num_blocks": 64,
    "panel_height": 4096,
    "panel_width": 4096,
}


class ResNetBlock(nn.Module):
    """x + conv(silu(conv(silu(x)))), a pre-activation residual block (He et al. 2016, "Identity
    Mappings in Deep Residual Networks").

    The second convolution starts at zero, so the block starts as the identity.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:  # [N, C, h, w] → [N, C, h, w]
        return x + self.conv2(F.silu(self.conv1(F.silu(x))))


class PanelEncoder(nn.Module):
    """Panels [N, 3, H, W] → code maps [N, k, h, w]: `num_blocks` ResNet blocks a resolution."""

    def __init__(self, c_hidden: int, num_blocks: int, code_channels: int):
        super().__init__()
        widths = stage_widths(c_hidden)
        self.stem = nn.Conv2d(CHANNELS * CELL**2, widths[0], 3, padding=1)
        layers = blocks(widths[0], num_blocks)
        for narrow, wide in itertools.pairwise(widths):
            layers += [nn.Conv2d(narrow, wide, 3, stride=2, padding=1), *blocks(wide, num_blocks)]
        self.stages = nn.Sequential(*layers)
        self.squeeze = nn.Conv2d(widths[-1], code_channels, 1)

    def forward(self, panels: Tensor) -> Tensor:  # [N, 3, 176, 200]
        x = to_cells(panels)  # → [N, 192, 22, 25]
        x = self.stem(x)  # → [N, 8·c, 22, 25]
        x = self.stages(x)  # → [N, 16·c, 11, 13]
        return self.squeeze(F.silu(x))  # → [N, k, 11, 13]


class PanelDecoder(nn.Module):
    """Code maps [N, k, h, w] → panels [N, 3, H, W]: the encoder in reverse.

    Resolution is doubled by repeating values before a convolution, which leaves none of the
    checkerboard that a transposed convolution does (Odena et al. 2016, "Deconvolution and
    Checkerboard Artifacts").
    """

    def __init__(self, c_hidden: int, num_blocks: int, code_channels: int, height: int, width: int):
        super().__init__()
        widths = stage_widths(c_hidden)[::-1]
        self.sizes = code_sizes(height, width)[::-1]
        self.widen = nn.Conv2d(code_channels, widths[0], 1)
        self.stages = nn.ModuleList(nn.Sequential(*blocks(c, num_blocks)) for c in widths)
        self.narrow = nn.ModuleList(
            nn.Conv2d(wide, narrow, 3, padding=1) for wide, narrow in itertools.pairwise(widths)
        )
        self.paint = nn.Conv2d(widths[-1], CHANNELS * CELL**2, 3, padding=1)

    def forward(self, code: Tensor) -> Tensor:  # [N, k, 11, 13]
        x = self.widen(code)  # → [N, 16·c, 11, 13]
        x = self.stages[0](x)
        for narrow, stage, size in zip(self.narrow, self.stages[1:], self.sizes[1:], strict=True):
            x = stage(narrow(enlarge(x, size)))  # → [N, 8·c, 22, 25]
        x = torch.tanh(self.paint(F.silu(x)))  # → [N, 192, 22, 25]
        return to_panels(x)  # → [N, 3, 176, 200]


class StripVAE(nn.Module):
    """The encoder q(z|strip), the decoder p(strip|z), and a forward pass from strip to strip.

    z_dim: latent dimensions, for all three panels together. c_hidden scales every width: c_hidden
    channels at full resolution, doubled at each halving, so 8 · c_hidden where the stem stands.
    num_blocks: ResNet blocks per resolution. Raises ValueError for panels whose height or width is
    no multiple of 8, and for sizes beyond LARGEST.
    """

    def __init__(
        self,
        z_dim: int = 1024,
        c_hidden: int = 8,
        num_blocks: int = 2,
        panel_height: int = 176,
        panel_width: int = 200,
    ):
        super().__init__()
        self.config = {
            "z_dim": z_dim,
            "c_hidden": c_hidden,
            "num_blocks": num_blocks,
            "panel_height": panel_height,
            "panel_width": panel_width,
        }
        check_sizes(self.config)
        height, width = code_sizes(panel_height, panel_width)[-1]
        channels = math.ceil(z_dim / (PANELS * height * width))
        self.code_shape = (PANELS, channels, height, width)
        self.encoder = PanelEncoder(c_hidden, num_blocks, channels)
        self.decoder = PanelDecoder(c_hidden, num_blocks, channels, panel_height, panel_width)
        features = math.prod(self.code_shape)
        self.join = nn.Linear(features, 2 * z_dim)
        self.spread = nn.Linear(z_dim, features)
        self.initialise()

    @torch.no_grad()
    def initialise(self) -> None:
        """Convolutions preserve the variance, blocks are the identity, dense layers a basis."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=module.weight[0].numel() ** -0.5)  # 1/√fan-in
                nn.init.zeros_(module.bias)
        for module in self.modules():
            if isinstance(module, ResNetBlock):
                nn.init.zeros_(module.conv2.weight)
        self.decoder.paint.weight.copy_(bilinear_output(CELL, self.decoder.paint.in_channels))
        basis = cosine_basis(self.code_shape, self.config["z_dim"])  # [z_dim, 3·k·11·13]
        self.join.weight.copy_(torch.cat([basis, torch.zeros_like(basis)]))
        mean_bias, log_std_bias = self.join.bias.chunk(2)
        mean_bias.zero_()
        log_std_bias.fill_(INITIAL_LOG_STD)
        self.spread.weight.copy_(basis.T)
        self.spread.bias.zero_()

    def encode(self, strips: Tensor) -> tuple[Tensor, Tensor]:
        """[B, 3, 3, H, W] in [-1, 1] → posterior mean and log standard deviation, [B, z_dim]."""
        panels = strips.flatten(0, 1)  # [3·B, 3, H, W]: every panel is an example of its own
        code = self.encoder(panels)  # → [3·B, k, 11, 13]
        code = code.unflatten(0, (-1, PANELS)).flatten(1)  # → [B, 3·k·11·13]
        mean, log_std = self.join(code).float().chunk(2, dim=1)  # → [B, z_dim] each
        return mean, log_std.clamp(*LOG_STD_RANGE)

    def decode(self, z: Tensor) -> Tensor:
        """[B, z_dim] → strips [B, 3, 3, H, W] in [-1, 1]."""
        code = self.spread(z).reshape(-1, *self.code_shape[1:])  # → [3·B, k, 11, 13]
        panels = self.decoder(code.contiguous(memory_format=torch.channels_last))
        return panels.unflatten(0, (-1, PANELS))  # [3·B, 3, H, W] → [B, 3, 3, H, W]

    def forward(self, strips: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Strips [B, 3, 3, H, W] → a reconstruction from one posterior sample, mean, log_std."""
        mean, log_std = self.encode(strips)
        z = reparameterise(mean, log_std)
        return self.decode(z), mean, log_std


def check_sizes(config: dict[str, int]) -> None:
    """Raises ValueError for sizes that no network can be built with."""
    height, width = config["panel_height"], config["panel_width"]
    if height < CELL or width < CELL or height % CELL or width % CELL:
        raise ValueError(
            f"panels of {height}×{width} pixels do not fit the network: "
            f"make height and width multiples of {CELL}"
        )
    for name, largest in LARGEST.items():
        if not 1 <= config[name] <= largest:
            raise ValueError(f"{name} is {config[name]}: it must be between 1 and {largest}")


def stage_widths(c_hidden: int) -> list[int]:
    """Channels at 1/8 and 1/16 of the resolution: doubled at the halving."""
    return [CELL * c_hidden * 2**stage for stage in range(STAGES)]


def code_sizes(height: int, width: int) -> list[tuple[int, int]]:
    """Map sizes after the stem and after each halving, which rounds up: (22, 25), (11, 13)."""
    sizes = [(height // CELL, width // CELL)]
    for _ in range(STAGES - 1):
        sizes.append((math.ceil(sizes[-1][0] / 2), math.ceil(sizes[-1][1] / 2)))
    return sizes


def blocks(channels: int, count: int) -> list[nn.Module]:
    return [ResNetBlock(channels) for _ in range(count)]


def enlarge(x: Tensor, size: tuple[int, int]) -> Tensor:
    """[N, C, h, w] → [N, C, *size]: twice the size by repeating each value 2×2 times, less a row or
    column where the encoder's halving rounded up."""
    return F.interpolate(x, size, mode="nearest")


def to_cells(panels: Tensor) -> Tensor:
    """[N, 3, H, W] → [N, 3·CELL², H/CELL, W/CELL]: the pixels of each cell become its channels.

    The values of torch's `pixel_unshuffle`, but in one copy that is channels_last already, and so
    is the gradient of `to_panels`; the copies of torch's own cost a fifth of a training step.
    """
    height, width = panels.shape[-2] // CELL, panels.shape[-1] // CELL
    x = panels.reshape(-1, CHANNELS, height, CELL, width, CELL).permute(0, 2, 4, 1, 3, 5)
    return x.reshape(-1, height, width, CHANNELS * CELL**2).permute(0, 3, 1, 2)


def to_panels(cells: Tensor) -> Tensor:
    """[N, 3·CELL², h, w] → [N, 3, h·CELL, w·CELL]: the inverse of `to_cells`."""
    height, width = cells.shape[-2:]
    x = cells.permute(0, 2, 3, 1).reshape(-1, height, width, CHANNELS, CELL, CELL)
    return x.permute(0, 3, 1, 4, 2, 5).reshape(-1, CHANNELS, height * CELL, width * CELL)
