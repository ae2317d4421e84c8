"""Flow matching without the network: times, the flow to a Gaussian, and integration along a flow.

A flow carries noise x₀ at t = 0 to data x₁ at t = 1; see `prior` for what is learned of it.
"""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

LOGIT_MEAN, LOGIT_STD = -0.3, 1.5  # of the times t that training draws
STEP_MEAN, STEP_STD = -0.9, 2.1  # of those at which steps end: early errors grow on the way
FEW_STEPS = 6  # up to so many, a line through two outputs would reach too far
LEGENDRE = [torch.from_numpy(each) for each in np.polynomial.legendre.leggauss(32)]
EARLIEST = 1e-3  # time for `view`: at 0 the estimate is 0, and cannot be scaled


def path(start: Tensor, end: Tensor, t: Tensor | float) -> Tensor:
    """The straight path from noise `start` to data `end`: where it is at time t."""
    return t * end + (1 - t) * start


class GaussianFlow(NamedTuple):
    """The flow to a Gaussian with standard deviations s [k], at times t [B, 1].

    factor    [B, k]    its velocity is factor · x_t: the regression E[x₁ − x₀ | x_t] is linear
    error     [B, 1]    root mean square of the residual of that regression, x₁ − x₀ − factor · x_t
    std       [B, k]    of x_t: x_t / std does not change along this flow
    view      [B, k]    view · x_t is the best linear estimate of x₁ (Wiener's), scaled to a mean
                        square of 1
    """

    factor: Tensor
    error: Tensor
    std: Tensor
    view: Tensor

    @classmethod
    def at(cls, t: Tensor, s: Tensor) -> "GaussianFlow":
        variance = t.square() * s.square() + (1 - t).square()  # of x_t
        factor = (t * s.square() - (1 - t)) / variance
        error = (s.square() / variance).mean(dim=1, keepdim=True).sqrt()
        estimate = t.clamp(min=EARLIEST) * s.square() / variance
        size = (estimate.square() * variance).mean(dim=1, keepdim=True).sqrt()
        return cls(factor, error, variance.sqrt(), estimate / size)


def integrate(
    output: Callable[[Tensor, float], Tensor],
    s: Tensor,
    x: Tensor,
    times: Tensor,
    hold: Callable[[Tensor, float], Tensor] | None = None,
) -> Tensor:
    """Moves x [N, k] from the first time to the last with the velocity

        dx/dt = factor · x + error · output(x, t),

    where factor, error and std are those of the flow to a Gaussian with deviations s [k], and
    output is the network's, with guidance. The first part is known at every time; alone, it would
    keep x / std as it is. So the output alone is left to integrate,

        d(x / std) / dt = error / std · output(x, t).

    Over a step, it is taken to be the line in t through what it was at the start of this step and
    of the one before (Adams and Bashforth; as an exponential integrator: Zhang and Chen 2023, "Fast
    Sampling of Diffusion Models with Exponential Integrator"); in few steps, to stay what it was at
    the start. So it is evaluated once a step, and never at the last time. hold(x, t), if given, is
    applied after each step, and resets whatever is to stay on a path of its own.
    """
    times = times.unique_consecutive()  # rounding makes some near 1 equal
    order = 2 if len(times) - 1 > FEW_STEPS else 1
    known: list[tuple[float, Tensor]] = []  # times and outputs, the latest first
    for now, then in pairwise(times.tolist()):
        known = [(now, output(x, now)), *known][:order]
        between, widths = (each.to(x)[:, None] for each in quadrature(now, then))
        flow, ends = GaussianFlow.at(between, s), GaussianFlow.at(x.new_tensor([[now], [then]]), s)
        x = x / ends.std[0]
        for node, value in known:
            others = [other for other, _ in known if other != node]
            weight = math.prod((between - other) / (node - other) for other in others)  # Lagrange's
            x = x + (widths * flow.error / flow.std * weight).sum(dim=0) * value
        x = x * ends.std[1]
        x = x if hold is None else hold(x, then)
    return x


def quadrature(now: float, then: float) -> tuple[Tensor, Tensor]:
    """Times [n] and weights [n] for integrals from now to then: Gauss and Legendre's, in logit t,
    as std changes fast near 0 and near 1."""
    nodes, weights = LEGENDRE
    start, end = torch.logit(torch.tensor([now, then], dtype=torch.float64), eps=1e-6)
    times = torch.sigmoid((start + end) / 2 + (end - start) / 2 * nodes)
    return times, weights * (end - start) / 2 * times * (1 - times)


def times_at(uniform: Tensor, mean: float = LOGIT_MEAN, std: float = LOGIT_STD) -> Tensor:
    """Numbers in 0…1 → the times at those quantiles of a distribution in which logit t is normal.

    By default it is training's: most times lie in the middle of the path, as at its start and its
    end there is little to learn (Esser et al. 2024, "Scaling Rectified Flow Transformers", section
    3.1).
    """
    normal = torch.special.ndtri(uniform.double().clamp(1e-6, 1 - 1e-6))
    return torch.sigmoid(mean + std * normal).float()


def step_times(steps: int, start: float = 0.0) -> Tensor:
    """The times [steps + 1] from `start` to 1 between which one step each is taken.

    They lie at even quantiles of a distribution like training's, but earlier and wider.
    """
    if steps < 1 or not 0 <= start < 1:
        raise ValueError(f"{steps} steps from t {start}: take 1 or more, from 0 ≤ t < 1")
    before = share_before(start)
    share = before + (1 - before) * torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    times = times_at(share, STEP_MEAN, STEP_STD).clamp(min=start)
    times[0], times[-1] = start, 1.0
    return times


def steps_left(steps: int, t: float) -> int:
    """How many of the `steps` of a whole path are left from time t on: 1 or more."""
    return max(1, round(steps * (1 - share_before(t))))


def share_before(t: float) -> float:
    """The share of a whole path's steps before time t."""
    logit = torch.logit(torch.tensor(t, dtype=torch.float64))
    return torch.special.ndtr((logit - STEP_MEAN) / STEP_STD).item()


def slerp(start: Tensor, end: Tensor, share: Tensor) -> Tensor:
    """Along the arc from `start` to `end`, [..., k] each, by `share` [..., 1] in 0…1.

    Direction and length change at a constant rate, so that between two vectors of noise all have
    the length of noise (Shoemake 1985, "Animating Rotation with Quaternion Curves").
    """
    a, b = (noise.norm(dim=-1, keepdim=True).clamp(min=1e-6) for noise in (start, end))
    cosine = ((start / a) * (end / b)).sum(dim=-1, keepdim=True)
    angle = cosine.clamp(-1 + 1e-6, 1 - 1e-6).acos()
    direction = ((1 - share) * angle).sin() * start / a + (share * angle).sin() * end / b
    return direction / angle.sin() * ((1 - share) * a + share * b)
