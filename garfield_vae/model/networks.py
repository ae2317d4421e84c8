"""The variational autoencoder: three panels → one latent vector → three panels.

    strips            [B, 3, 3, 176, 200]    (strip, panel, channel, y, x), in [-1, 1]
      PanelEncoder    one network for all panels, which are folded into the batch
    code              [B, 3, k, 11, 13]      a small map per panel
      join            one dense layer over all three panels
    mean, log_std     [B, z_dim] each
      spread          one dense layer back to three maps
    code              [B, 3, k, 11, 13]
      PanelDecoder    one network for all panels
    reconstruction    [B, 3, 3, 176, 200]

The convolutions know what strips look like nearby, and see a thousand places of every strip; the
dense layers know what belongs together across a strip, and see as many examples as there are
strips. So the dense layers start as a plain change of basis (see `low_frequencies`) and learn at
a 200th of the speed: the network begins as a convolutional autoencoder, and learns what goes
with what as far as the data allow. There is no normalisation: on a processor it takes nearly half
of the time, which more steps use better. Blocks start as the identity instead.
"""

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from garfield_vae.geometry import CHANNELS, PANELS
from garfield_vae.model.init import low_frequencies, smooth_paint

STEM = 8  # the stem turns STEM×STEM pixels into channels: its resolution is an eighth
STAGES = 2  # resolutions at 1/8 and 1/16 of the panel
LOG_STD_RANGE = (-8.0, 3.0)
INITIAL_LOG_STD = -2.0
DENSE_SPEED = 0.005  # how fast the dense layers learn, in parts of the convolutions' speed
LARGEST = {  # sizes far beyond what anybody trains: a stranger's file may ask for any
    "z_dim": 65_536,
    "c_hidden": 512,
    "num_blocks": 64,
    "panel_height": 4096,
    "panel_width": 4096,
}


class ResNetBlock(nn.Module):
    """Adds to its input what two 3×3 convolutions make of it; starts as the identity."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:  # [N, C, h, w] → [N, C, h, w]
        return x + self.conv2(F.silu(self.conv1(F.silu(x))))


class SlowLinear(nn.Linear):
    """A dense layer that learns at `DENSE_SPEED`: its weights are stored divided by that.

    Adam moves every number by about the learning rate whatever its size, so numbers that are
    stored 200 times as large change the layer a 200th as much.
    """

    @torch.no_grad()
    def start(self, weight: Tensor, bias: Tensor) -> None:
        self.weight.copy_(weight / DENSE_SPEED)
        self.bias.copy_(bias / DENSE_SPEED)

    def forward(self, x: Tensor) -> Tensor:
        return DENSE_SPEED * super().forward(x)


class PanelEncoder(nn.Module):
    """Panels → code maps, by `num_blocks` ResNet blocks at each of two resolutions."""

    def __init__(self, c_hidden: int, num_blocks: int, code_channels: int):
        super().__init__()
        widths = stage_widths(c_hidden)
        self.stem = nn.Conv2d(CHANNELS * STEM**2, widths[0], 3, padding=1)
        layers = blocks(widths[0], num_blocks)
        for narrow, wide in itertools.pairwise(widths):
            layers += [nn.Conv2d(narrow, wide, 3, stride=2, padding=1), *blocks(wide, num_blocks)]
        self.stages = nn.Sequential(*layers)
        self.squeeze = nn.Conv2d(widths[-1], code_channels, 1)

    def forward(self, panels: Tensor) -> Tensor:  # [N, 3, 176, 200]
        x = self.stem(to_cells(panels))  # [N, 192, 22, 25] → [N, 8·c, 22, 25]
        x = self.stages(x)  # → [N, 16·c, 11, 13]
        return self.squeeze(F.silu(x))  # [N, k, 11, 13]


class PanelDecoder(nn.Module):
    """Code maps → panels: the encoder's mirror image."""

    def __init__(self, c_hidden: int, num_blocks: int, code_channels: int, height: int, width: int):
        super().__init__()
        widths = stage_widths(c_hidden)[::-1]
        self.sizes = code_sizes(height, width)[::-1]
        self.widen = nn.Conv2d(code_channels, widths[0], 1)
        self.stages = nn.ModuleList(nn.Sequential(*blocks(c, num_blocks)) for c in widths)
        self.narrow = nn.ModuleList(
            nn.Conv2d(wide, narrow, 3, padding=1) for wide, narrow in itertools.pairwise(widths)
        )
        self.paint = nn.Conv2d(widths[-1], CHANNELS * STEM**2, 3, padding=1)

    def forward(self, code: Tensor) -> Tensor:  # [N, k, 11, 13]
        x = self.stages[0](self.widen(code))  # [N, 16·c, 11, 13]
        for narrow, stage, size in zip(self.narrow, self.stages[1:], self.sizes[1:], strict=True):
            x = stage(narrow(enlarge(x, size)))  # → [N, 8·c, 22, 25]
        x = torch.tanh(self.paint(F.silu(x)))  # [N, 192, 22, 25]
        return to_panels(x)  # [N, 3, 176, 200]


class StripVAE(nn.Module):
    """A strip's three panels to one latent vector of `z_dim` and back.

    `c_hidden` scales every width: the channels that full resolution would have, doubled at each
    halving, so that the first stage, at an eighth of the resolution, has 8 · c_hidden.
    `num_blocks` is the ResNet blocks per resolution. Panel height and width must be multiples
    of 8; anything else raises ValueError.
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
        check(self.config)
        height, width = code_sizes(panel_height, panel_width)[-1]
        channels = math.ceil(z_dim / (PANELS * height * width))
        self.code_shape = (PANELS, channels, height, width)
        self.encoder = PanelEncoder(c_hidden, num_blocks, channels)
        self.decoder = PanelDecoder(c_hidden, num_blocks, channels, panel_height, panel_width)
        features = math.prod(self.code_shape)
        self.join = SlowLinear(features, 2 * z_dim)
        self.spread = SlowLinear(z_dim, features)
        self.initialise()

    @torch.no_grad()
    def initialise(self) -> None:
        """Convolutions keep the size of what they pass on, blocks are the identity."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=module.weight[0].numel() ** -0.5)
                nn.init.zeros_(module.bias)
        for module in self.modules():
            if isinstance(module, ResNetBlock):
                nn.init.zeros_(module.conv2.weight)
        self.decoder.paint.weight.copy_(smooth_paint(STEM, self.decoder.paint.in_channels))
        z_dim = self.config["z_dim"]
        basis = low_frequencies(self.code_shape, z_dim)  # [z_dim, 3·k·11·13]
        log_std = torch.full((z_dim,), INITIAL_LOG_STD)
        self.join.start(
            weight=torch.cat([basis, torch.zeros_like(basis)]),
            bias=torch.cat([torch.zeros_like(log_std), log_std]),
        )
        self.spread.start(weight=basis.T, bias=torch.zeros(basis.shape[1]))

    def encode(self, strips: Tensor) -> tuple[Tensor, Tensor]:
        """[B, 3, 3, H, W] in [-1, 1] → posterior mean and log standard deviation, [B, z_dim]."""
        panels = strips.flatten(0, 1)  # [3·B, 3, H, W]: every panel is an example of its own
        code = self.encoder(panels)
        code = code.unflatten(0, (-1, PANELS)).flatten(1)  # [B, 3·k·11·13]
        mean, log_std = self.join(code).float().chunk(2, dim=1)  # [B, z_dim] each
        return mean, log_std.clamp(*LOG_STD_RANGE)

    def decode(self, z: Tensor) -> Tensor:
        """[B, z_dim] → strips [B, 3, 3, H, W] in [-1, 1]."""
        code = self.spread(z).reshape(-1, *self.code_shape[1:])  # [3·B, k, 11, 13]
        panels = self.decoder(code.contiguous(memory_format=torch.channels_last))
        return panels.unflatten(0, (-1, PANELS))  # [B, 3, 3, H, W]

    def forward(self, strips: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Strips [B, 3, 3, H, W] → a reconstruction from one posterior sample, mean, log_std."""
        mean, log_std = self.encode(strips)
        z = mean + log_std.exp() * torch.randn_like(mean)
        return self.decode(z), mean, log_std


def check(config: dict[str, int]) -> None:
    """Raises ValueError for a geometry or size that no network can be built with."""
    for name, largest in LARGEST.items():
        if config[name] > largest:
            raise ValueError(f"{name} is {config[name]}: it can be at most {largest}")
    height, width = config["panel_height"], config["panel_width"]
    if height < STEM or width < STEM or height % STEM or width % STEM:
        raise ValueError(
            f"panels of {height}×{width} pixels do not fit the network: "
            f"make height and width multiples of {STEM}"
        )
    for name in ("z_dim", "c_hidden", "num_blocks"):
        if config[name] < 1:
            raise ValueError(f"{name} is {config[name]}: it must be at least 1")


def stage_widths(c_hidden: int) -> list[int]:
    """Channels at 1/8 and 1/16 of the resolution: doubled at the halving."""
    return [STEM * c_hidden * 2**stage for stage in range(STAGES)]


def code_sizes(height: int, width: int) -> list[tuple[int, int]]:
    """Map sizes after the stem and after each halving, which rounds up: (22, 25), (11, 13)."""
    sizes = [(height // STEM, width // STEM)]
    for _ in range(STAGES - 1):
        sizes.append((math.ceil(sizes[-1][0] / 2), math.ceil(sizes[-1][1] / 2)))
    return sizes


def blocks(channels: int, count: int) -> list[nn.Module]:
    return [ResNetBlock(channels) for _ in range(count)]


def enlarge(x: Tensor, size: tuple[int, int]) -> Tensor:
    """[N, C, h, w] → [N, C, *size], each value 2×2 times, less what the halving rounded up."""
    return F.interpolate(x, size, mode="nearest")


def to_cells(panels: Tensor) -> Tensor:
    """[N, 3, H, W] → [N, 3·STEM², H/STEM, W/STEM]: the pixels of each cell become its channels.

    The same as torch's `pixel_unshuffle`, but in one copy, which is channels_last already, and so
    is the gradient of `to_panels`. At this size it is copies that cost: by torch's way they took a
    fifth of a training step in bf16.
    """
    height, width = panels.shape[-2] // STEM, panels.shape[-1] // STEM
    x = panels.reshape(-1, CHANNELS, height, STEM, width, STEM).permute(0, 2, 4, 1, 3, 5)
    return x.reshape(-1, height, width, CHANNELS * STEM**2).permute(0, 3, 1, 2)


def to_panels(cells: Tensor) -> Tensor:
    """[N, 3·STEM², h, w] → [N, 3, h·STEM, w·STEM]: the way back from `to_cells`."""
    height, width = cells.shape[-2:]
    x = cells.permute(0, 2, 3, 1).reshape(-1, height, width, CHANNELS, STEM, STEM)
    return x.permute(0, 3, 1, 4, 2, 5).reshape(-1, CHANNELS, height * STEM, width * STEM)
