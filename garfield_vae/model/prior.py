"""A prior over the latents, learned by flow matching: where new strips come from.

A VAE's latents do not fill the N(0, I) that its loss pulls them to, so that samples of N(0, I) do
not decode to strips. A second model learns where they are, from the posterior means of the training
strips; the VAE does not change (the two-stage VAE of Dai and Wipf 2019, "Diagnosing and Enhancing
VAE Models"; latent diffusion, Rombach et al. 2022, "High-Resolution Image Synthesis with Latent
Diffusion Models").

    t = 0    x₀ ~ N(0, I)                       noise
             x_t = t · x₁ + (1 − t) · x₀        a straight path
    t = 1    x₁ = a strip's latents             in principal components

Along one path the velocity is x₁ − x₀. Where many paths cross at x_t, the mean of their velocities,

    v(x_t, t) = E[x₁ − x₀ | x_t],

is all that is needed: whatever starts as noise and moves with v arrives distributed as the latents
are. A regression finds v: its loss is the squared error to x₁ − x₀ (Lipman et al. 2023, "Flow
Matching for Generative Modeling"; Liu et al. 2023, "Flow Straight and Fast: Learning to Generate
and Transfer Data with Rectified Flow"). Here v has two parts,

    v = v_G + c(t) · network,

of which v_G is known. Were the latents Gaussian, with standard deviation s along a principal
component, v would be linear:

    v_G = (t s² − (1 − t)) / (t² s² + (1 − t)²) · x_t.

c(t) is the root mean square error of v_G. So the untrained prior is the fitted Gaussian, its loss
is 1 at every t, and a loss of 0.7 says that the network removed 30 % of v_G's squared error.
"""

from collections.abc import Callable
from contextlib import nullcontext
from typing import NamedTuple

import torch
from torch import Tensor, nn

from garfield_vae.geometry import PANELS
from garfield_vae.model.flow import (
    GaussianFlow,
    integrate,
    path,
    step_times,
    steps_left,
    times_at,
)
from garfield_vae.model.guidance import GUIDANCE, guide
from garfield_vae.model.init import cosine_basis
from garfield_vae.model.velocity import PatchTransformer

STEPS = 16  # from noise to a strip
REFINE_FROM = 0.3  # time: later, samples stay blurred; earlier, more changes than has to
KNOWN_SHARE = 0.5  # of the training examples have a known panel
WORTH_USING = 0.85  # validation loss; above it, samples still look like collages
LARGEST = {  # sizes far beyond what anybody trains: a file from elsewhere may ask for any
    "z_dim": 65_536,
    "components": 65_536,
    "code_channels": 4096,
    "code_height": 512,
    "code_width": 512,
    "patch_height": 512,
    "patch_width": 512,
    "width": 4096,
    "depth": 64,
    "heads": 64,
}


class Given(NamedTuple):
    """What the network is conditioned on: a strip's code maps, which panels are known, and whether
    the strip is mirrored."""

    maps: Tensor  # [B, 3·C·h·w]
    known: Tensor  # [B, 3], 1 or 0
    mirrored: Tensor | None = None  # [B], 1 or 0; None where no strip is


def nothing_given(batch: int, maps: Tensor) -> Given:
    return Given(maps.new_zeros(batch, maps.shape[1]), maps.new_zeros(batch, PANELS))


class LatentPrior(nn.Module):
    """A distribution over latents [N, z_dim], which are in the units of the VAE's posterior means.

    The flow is in the space of the first `components` principal components; along all others,
    latents stay at the mean. The code's channels, height and width are the VAE's `code_shape`; the
    network reads it in patches. Call `fit_gaussian` once before anything else. Raises ValueError
    for sizes that no network can be built with.
    """

    def __init__(
        self,
        z_dim: int = 1024,
        components: int = 1024,
        code_channels: int = 3,
        code_height: int = 11,
        code_width: int = 13,
        patch_height: int = 4,
        patch_width: int = 5,
        width: int = 256,
        depth: int = 6,
        heads: int = 4,
        dropout: float = 0.0,
    ):
        given = dict(locals())  # a copy: under a debugger, Python 3.12 adds k and v to the original
        super().__init__()
        self.config = {k: v for k, v in given.items() if k not in ("self", "__class__")}
        check(self.config)
        self.bf16 = False  # whether the network computes in bfloat16: set it where that is fast
        shape = (PANELS, code_channels, code_height, code_width)
        self.network = PatchTransformer(
            shape, (patch_height, patch_width), width, depth, heads, dropout
        )
        self.register_buffer("mean", torch.zeros(z_dim))
        self.register_buffer("directions", torch.eye(components, z_dim))  # orthonormal rows
        self.register_buffer("std", torch.ones(components))  # along each, in latent units
        maps = cosine_basis(shape, z_dim)  # [z_dim, 3·C·h·w]: every latent is a wave in a panel
        self.register_buffer("maps", maps, persistent=False)
        panel_of = maps.unflatten(1, (PANELS, -1)).square().sum(2).argmax(1)  # [z_dim]
        self.register_buffer("panel_of", panel_of, persistent=False)

    @torch.no_grad()
    def fit_gaussian(self, mean: Tensor, directions: Tensor, std: Tensor) -> None:
        """Takes the principal components of the latents: [z_dim], [k, z_dim] orthonormal, [k].

        Of more than `components` the first are used. Raises ValueError for fewer.
        """
        count = len(self.std)
        if len(std) < count:
            raise ValueError(f"the prior has {count} components, and {len(std)} were given")
        self.mean.copy_(mean)
        self.directions.copy_(directions[:count])
        self.std.copy_(std[:count].clamp(min=1e-6 * std.max()))

    # ------------------------------------------------------------------ latents and coordinates

    @property
    def scale(self) -> Tensor:
        """Latent units in one unit of x: with it the coordinates' mean variance is 1."""
        return self.std.square().mean().sqrt()

    def coordinates(self, latents: Tensor) -> Tensor:
        """[N, z_dim] → x [N, components]."""
        return (latents - self.mean) @ self.directions.T / self.scale

    def latents(self, x: Tensor) -> Tensor:
        """x [N, components] → [N, z_dim]."""
        return self.mean + self.scale * x @ self.directions

    def code_maps(self, latents: Tensor) -> Tensor:
        """[N, z_dim] → their deviation from the mean as code maps, in units of x, [N, 3·C·h·w]."""
        return (latents - self.mean) / self.scale @ self.maps

    # ------------------------------------------------------------------ velocity and loss

    def correction(
        self, x: Tensor, t: Tensor, view: Tensor, given: Given, apart: bool = False
    ) -> Tensor:
        """x_t [B, k] at t [B] → the network's part of the velocity, over c(t), [B, k].

        The network's input is the linear estimate of the strip, in which the noise is suppressed
        at every t, as code maps; its output is code maps too. `apart`: as if each panel were alone.
        """
        maps = view * x @ self.directions @ self.maps
        with torch.autocast(x.device.type, torch.bfloat16) if self.bf16 else nullcontext():
            answer = self.network(maps, t, *given, apart)
        return answer.float() @ self.maps.T @ self.directions.T

    def guided(self, x: Tensor, t: float, guidance: float | Tensor, given: Given) -> Tensor:
        """What takes the place of the network's output in sampling, [B, k]: see the module
        `guidance`. The weight may be a tensor [B, 1]."""
        s, times = self.std / self.scale, x.new_full((len(x),), t)
        view = GaussianFlow.at(times[:1, None], s).view
        return guide(lambda apart: self.correction(x, times, view, given, apart), x, t, s, guidance)

    def loss(
        self,
        latents: Tensor,
        mirrored: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The flow-matching loss of latents [B, z_dim]: a scalar, about 1 before training.

        Half of the examples show the network one or two of their panels clean, so that the same
        network learns to finish strips. `mirrored` [B] is 1 for latents of a mirrored strip, by
        default none is: what a mirrored strip teaches of figures holds for others too, and the
        network, which is told, keeps them apart (non-leaking augmentation, Karras et al. 2022,
        "Elucidating the Design Space of Diffusion-Based Generative Models", appendix F.2).
        """
        batch = len(latents)
        t = self.draw_times(batch, generator)
        noise = self.noise(batch, generator)
        known = random_panels(batch, generator).to(latents)
        return self.missed(latents, t, noise, known, mirrored).square().mean()

    def errors(self, latents: Tensor, t: Tensor, noise: Tensor, known: Tensor) -> Tensor:
        """The loss of each example [B], given its t [B], noise [B, k] and known panels [B, 3]."""
        return self.missed(latents, t, noise, known).square().mean(dim=1)

    def patch_errors(self, latents: Tensor, t: Tensor, noise: Tensor, known: Tensor) -> Tensor:
        """`errors` of each patch of the code maps, [B, patches]."""
        maps = self.missed(latents, t, noise, known) @ self.directions @ self.maps
        return self.network.to_patches(maps).square().mean(dim=2)

    def missed(
        self,
        latents: Tensor,
        t: Tensor,
        noise: Tensor,
        known: Tensor,
        mirrored: Tensor | None = None,
    ) -> Tensor:
        """What the network's output is off by, [B, k]."""
        x, view, wanted = self.beyond_gaussian(latents, t, noise)
        given = Given(self.code_maps(latents), known, mirrored)
        return self.correction(x, t, view, given) - wanted

    def gaussian_errors(self, latents: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """The fitted Gaussian's loss [B]: what `errors` are when the network's output is 0.

        It is 1 on the latents that the Gaussian was fitted to, and more on others: the fewer those
        are, the more they differ from the rest along the components of small variance.
        """
        _, _, wanted = self.beyond_gaussian(latents, t, noise)
        return wanted.square().mean(dim=1)

    def beyond_gaussian(
        self, latents: Tensor, t: Tensor, noise: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """x_t, the scale of the network's view of it, and the network's target: what the Gaussian's
        velocity leaves of x₁ − x₀, over c(t); [B, k] each."""
        end = self.coordinates(latents)
        x = path(noise, end, t[:, None])
        gaussian = GaussianFlow.at(t[:, None], self.std / self.scale)
        return x, gaussian.view, (end - noise - gaussian.factor * x) / gaussian.error

    # ------------------------------------------------------------------ new strips

    def sample(
        self,
        n: int,
        steps: int = STEPS,
        guidance: float = GUIDANCE,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draws latents [n, z_dim]. `temperature` scales the noise: below 1, more average strips.

        The noise is drawn on the CPU, so a seed gives the same strips on every device, but for
        rounding.
        """
        return self.from_noise(temperature * self.noise(n, generator), steps, guidance)

    @torch.no_grad()
    def from_noise(
        self, noise: Tensor, steps: int = STEPS, guidance: float | Tensor = GUIDANCE
    ) -> Tensor:
        """Noise [N, components] → the latents [N, z_dim] that it flows to. `guidance` may be a
        tensor [N, 1]."""
        return self.latents(self.flow(noise, step_times(steps), guidance))

    @torch.no_grad()
    def to_noise(self, latents: Tensor, steps: int = STEPS) -> Tensor:
        """Latents [N, z_dim] → the noise [N, components] that flows to them without guidance."""
        times = step_times(steps).flip(0)
        return self.flow(self.coordinates(latents), times, 1.0)

    @torch.no_grad()
    def redraw(
        self,
        latents: Tensor,
        noise: Tensor,
        t: float,
        steps: int = STEPS,
        guidance: float = GUIDANCE,
        given: Given | None = None,
    ) -> Tensor:
        """Latents [N, z_dim] mixed with noise [N, components] as at time t, and what they flow to
        from there (SDEdit, Meng et al. 2022): t near 1 changes little, t near 0 almost everything.
        `steps` are those of a whole path.
        """
        start = path(noise, self.coordinates(latents), t)
        times = step_times(steps_left(steps, t), t)
        return self.latents(self.flow(start, times, guidance, given))

    @torch.no_grad()
    def refine(
        self,
        latents: Tensor,
        t: float = REFINE_FROM,
        held: Tensor | None = None,
        steps: int = STEPS,
        guidance: float = GUIDANCE,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Moves latents [N, z_dim] that are no strip's, such as sliders', to likely ones near them.

        They are redrawn from time t, in `steps` from there on. `held` [h, z_dim] are orthonormal
        directions, such as those of the sliders that were moved: along them the latents keep their
        value. All rows get the same noise, so that neighbouring latents become neighbouring strips.
        """
        x = self.coordinates(latents)
        noise = self.noise(1, generator).expand_as(x)
        held = x[:0] if held is None else held.to(x) @ self.directions.T  # [h, k]
        wanted, from_noise = x @ held.T, noise @ held.T  # [N, h] at t = 1 and at t = 0

        def hold(x: Tensor, t: float) -> Tensor:
            return x + (path(from_noise, wanted, t) - x @ held.T) @ held

        start = path(noise, x, t)
        return self.latents(self.flow(start, step_times(steps, t), guidance, hold=hold))

    @torch.no_grad()
    def complete(
        self,
        latents: Tensor,
        known: Tensor,
        noise: Tensor,
        t: float = 0.0,
        steps: int = STEPS,
        guidance: float = GUIDANCE,
    ) -> Tensor:
        """Inpainting: draws the panels of latents [N, z_dim] that are not known; the others stay.

        `known` [N, 3] is true for a known panel. Every latent belongs to one panel (see
        `panel_of`), and at t = 0 latents of panels that are not known are ignored: a strip with
        blank panels can be encoded as it is. `noise` [N, components] is what flows to the new
        panels. With a t above 0 they are redrawn from time t, as in `redraw`.
        """
        known = known.to(self.mean)
        given = Given(self.code_maps(latents), known)
        drawn = self.redraw(latents, noise, t, steps, guidance, given)
        return torch.where(known[:, self.panel_of] > 0, latents, drawn)

    def flow(
        self,
        x: Tensor,
        times: Tensor,
        guidance: float | Tensor,
        given: Given | None = None,
        hold: Callable[[Tensor, float], Tensor] | None = None,
    ) -> Tensor:
        """Moves x [N, k] along the learned flow from the first time to the last."""
        given = given or nothing_given(len(x), self.maps)
        s = self.std / self.scale
        return integrate(lambda x, t: self.guided(x, t, guidance, given), s, x, times, hold)

    def draw_times(self, n: int, generator: torch.Generator | None) -> Tensor:
        """[n] times t of training, stratified: one from each n-th of their distribution."""
        return times_at((torch.arange(n) + torch.rand(n, generator=generator)) / n).to(self.mean)

    def noise(self, n: int, generator: torch.Generator | None) -> Tensor:
        """[n, components] from N(0, I), drawn on the CPU."""
        return torch.randn(n, len(self.std), generator=generator).to(self.mean)


def worth_using(held_out_loss: float) -> bool:
    """Whether a prior is so much better on held-out strips than the Gaussian that its samples look
    like strips.

    `held_out_loss` is the mean of `LatentPrior.errors` over held-out latents, as a share of the
    Gaussian's own (`gaussian_errors`). Where this is false (too few strips, or too little
    training), draw from the kernel density.
    """
    return held_out_loss < WORTH_USING


def random_panels(batch: int, generator: torch.Generator | None = None) -> Tensor:
    """Which panels training shows, [batch, 3] of 1 and 0: none, or with KNOWN_SHARE one or two."""
    share = torch.rand(batch, 1, generator=generator)
    count = (share < KNOWN_SHARE).float() + (share < KNOWN_SHARE / 2).float()  # 0, 1 or 2
    rank = torch.rand(batch, PANELS, generator=generator).argsort(dim=1)
    return (rank < count).float()


def check(config: dict[str, int | float]) -> None:
    """Raises ValueError for sizes that no network can be built with."""
    for name, largest in LARGEST.items():
        if not 1 <= config[name] <= largest:
            raise ValueError(f"{name} is {config[name]}: it must be between 1 and {largest}")
    if not 0 <= config["dropout"] < 1:
        raise ValueError(f"dropout is {config['dropout']}: it must be at least 0 and below 1")
    if config["width"] % config["heads"]:
        raise ValueError(
            f"a width of {config['width']} cannot be shared by {config['heads']} heads"
        )
    if config["components"] > config["z_dim"]:
        raise ValueError(f"{config['z_dim']} latents have no {config['components']} components")
    values = PANELS * config["code_channels"] * config["code_height"] * config["code_width"]
    if config["z_dim"] > values:
        raise ValueError(f"code maps of {values} values cannot hold {config['z_dim']} latents")
