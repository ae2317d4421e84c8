"""Flow matching without the network: times, the flow to a Gaussian, and integration along a flow.

A flow carries noise x₀ at t = 0 to data x₁ at t = 1; see `prior` for what is learned of it.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

LOGIT_MEAN, LOGIT_STD = -0.3, 1.5  # of the times t that training draws
EARLIEST = 1e-3  # time for `view`: at 0 the estimate is 0, and cannot be scaled


def path(start: Tensor, end: Tensor, t: Tensor | float) -> Tensor:
    """The straight path from noise `start` to data `end`: where it is at time t."""
    return t * end + (1 - t) * start


class GaussianFlow(NamedTuple):
    """The flow to a Gaussian with standard deviations s [k], at times t [B, 1].

    factor    [B, k]    its velocity is factor · x_t: E[x₁ − x₀ | x_t], which is linear in x_t
    error     [B, 1]    root mean square of x₁ − x₀ − factor · x_t, which no velocity predicts
    view      [B, k]    view · x_t is the best linear estimate of x₁ (Wiener's), scaled to a mean
                        square of 1
    """

    factor: Tensor
    error: Tensor
    view: Tensor

    @classmethod
    def at(cls, t: Tensor, s: Tensor) -> "GaussianFlow":
        variance = t.square() * s.square() + (1 - t).square()  # of x_t
        factor = (t * s.square() - (1 - t)) / variance
        error = (s.square() / variance).mean(dim=1, keepdim=True).sqrt()
        estimate = t.clamp(min=EARLIEST) * s.square() / variance
        size = (estimate.square() * variance).mean(dim=1, keepdim=True).sqrt()
        return cls(factor, error, estimate / size)


def integrate(
    velocity: Callable[[Tensor, float], Tensor],
    x: Tensor,
    times: Tensor,
    hold: Callable[[Tensor, float], Tensor] | None = None,
) -> Tensor:
    """Moves x [N, k] with velocity(x, t) from the first time to the last, by Heun's method.

    Each step takes the mean of the velocities at its start and at its end (Karras et al. 2022,
    "Elucidating the Design Space of Diffusion-Based Generative Models", algorithm 1), except that
    the velocity is not evaluated at t = 1: the last step is Euler's. hold(x, t), if given, is
    applied after each step, and resets whatever is to stay on a path of its own.
    """
    for now, then in pairwise(times.tolist()):
        first = velocity(x, now)
        end = x + (then - now) * first
        if then < 1:
            end = x + (then - now) * (first + velocity(end, then)) / 2
        x = end if hold is None else hold(end, then)
    return x


def times_at(uniform: Tensor) -> Tensor:
    """Numbers in 0…1 → the times at those quantiles of training's: logit t is normal.

    Most lie in the middle of the path: at its start and its end there is little to learn
    (Esser et al. 2024, "Scaling Rectified Flow Transformers", section 3.1).
    """
    normal = torch.special.ndtri(uniform.double().clamp(1e-6, 1 - 1e-6))
    return torch.sigmoid(LOGIT_MEAN + LOGIT_STD * normal).float()


def step_times(steps: int, start: float = 0.0) -> Tensor:
    """The times [steps + 1] from `start` to 1 between which one step each is taken.

    They lie at even quantiles of training's times: steps are short where those are dense.
    """
    if steps < 1 or not 0 <= start < 1:
        raise ValueError(f"{steps} steps from t {start}: take 1 or more, from 0 ≤ t < 1")
    logit = torch.logit(torch.tensor(start, dtype=torch.float64))
    before = torch.special.ndtr((logit - LOGIT_MEAN) / LOGIT_STD)  # share of the times left out
    times = times_at(before + (1 - before) * torch.linspace(0, 1, steps + 1, dtype=torch.float64))
    times[0], times[-1] = start, 1.0
    return times


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
