"""Guidance: samples are led away from worse models, so that characters are whole, and the same in
all panels.

The velocity is v = v_G + c(t) · n, with n the network's output at x_t (see `prior`). In place of n,
a sampler takes

    w · n + 2 (w − 1) · (n − n_apart),    w = guidance.

It leads away from two models that are worse than n (autoguidance, Karras et al.
2024, "Guiding a Diffusion Model with a Bad Version of Itself"):

- The Gaussian, whose output is 0. What the network knows beyond it is made w times as large:
  characters become whole, at no cost.
- The same network when no panel sees another, whose output is n_apart. It costs a second pass, and
  makes characters stay the same in all panels (compare Ahn et al. 2024, "Self-Rectifying Diffusion
  Sampling with Perturbed-Attention Guidance"). It is there for w > 1, in the middle of the path
  (compare Kynkäänniemi et al. 2024, "Applying Guidance in a Limited Interval Improves Sample and
  Distribution Quality in Diffusion Models").

Both make strips too extreme. So where the flow would end if it went straight on,

    x̂₁ = x_t + (1 − t) v,

keeps the length that it has for w = 1, along the leading components: guidance turns it, and does
not lengthen it (compare Lin et al. 2024, "Common Diffusion Noise Schedules and Sample Steps Are
Flawed", section 3.4).

A w of 0 is the Gaussian, 1 the learned prior. benchmarks/prior.md has the figures.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from garfield_vae.model.flow import GaussianFlow

GUIDANCE = 1.5
# The weight of the second model, relative to the first's, and the times between which it counts:
# earlier, samples become too much alike; later, all is settled.
AGREEMENT, AGREEMENT_TIMES = 2.0, (0.5, 0.9)
# The leading components hold this share of the variance: how bright it is, and who stands where.
LEADING_SHARE = 0.65


def guide(
    network: Callable[[bool], Tensor], x: Tensor, t: float, s: Tensor, guidance: float | Tensor
) -> Tensor:
    """What takes the place of the network's output at x [N, k] and time t, [N, k].

    network(apart) is that output [N, k], as it is or where no panel sees another; s [k] are the
    Gaussian's standard deviations, largest first. `guidance` may be a tensor [N, 1].
    """
    output = network(False)
    answer = guidance * output
    beyond = torch.as_tensor(guidance - 1).clamp(min=0)
    if not beyond.any():
        return answer
    if AGREEMENT_TIMES[0] <= t <= AGREEMENT_TIMES[1]:
        answer = answer + AGREEMENT * beyond * (output - network(True))
    return answer + (beyond > 0) * shortening(x, t, s, output, answer)


def shortening(x: Tensor, t: float, s: Tensor, output: Tensor, answer: Tensor) -> Tensor:
    """What is to be added to `answer` [N, k], so that along the leading components x̂₁ becomes as
    long as with `output` [N, k]."""
    flow = GaussianFlow.at(x.new_tensor([[t]]), s)
    along, straight, bend = leading(s), x + (1 - t) * flow.factor * x, (1 - t) * flow.error
    wanted, end = (along * (straight + bend * each) for each in (output, answer))
    kept, length = (each.norm(dim=1, keepdim=True).clamp(min=1e-6) for each in (wanted, end))
    return (kept / length - 1) * end / bend


def leading(s: Tensor) -> Tensor:
    """1 for the leading components, 0 for the others, [k]."""
    variance = s.square()
    return (variance.cumsum(0) - variance < LEADING_SHARE * variance.sum()).to(variance)
