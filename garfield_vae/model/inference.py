"""Semi-amortised inference: the encoder's latents, improved for each strip by the decoder.

The latents z of a strip x that the decoder redraws best are those with the least

    E(z) = ½ · ‖decode(z) − x‖²,

and finding them is an optimisation of its own for every strip. A VAE saves it: its encoder is one
network that learns to answer for all strips at once (Gershman and Goodman 2014, "Amortized
Inference in Probabilistic Reasoning"). What that costs is the amortisation gap, the error of the
encoder's answer above that of the best one (Cremer, Li and Duvenaud 2018, "Inference Suboptimality
in Variational Autoencoders"). It is largest for strips that the encoder was not trained on, while
the decoder could draw them better.

So begin with the encoder's answer and take a few steps down E (Kim et al. 2018, "Semi-Amortized
Variational Autoencoders"; Marino et al. 2018, "Iterative Amortized Inference"):

    direction   −∇E + μ · the one before: nonlinear conjugate gradients, which do not undo what the
                steps before reached (Polak and Ribière 1969; Nocedal and Wright 2006, section 5.2)
    length      the best for the decoder linearised at z: with J = ∂decode/∂z, E falls along d until
                −∇E·d / ‖J d‖²

No weight changes. The KL term is left out: the encoder's answer, from which a few steps hardly move
z, was trained with it.
"""

import torch
from torch import Tensor, nn

FIT_STEPS = 4  # benchmarks/ablations.md
NUDGE = 0.01  # of the length of z: J d is how the decoder changes over so much of d
TINY = torch.finfo(torch.float32).tiny  # in place of 0 in a divisor


@torch.enable_grad()
def fit(
    vae: nn.Module, strips: Tensor, z: Tensor, steps: int, known: Tensor | None = None
) -> Tensor:
    """Latents z [B, z_dim] → those that `vae.decode` draws the strips better from, [B, z_dim].

    strips are [B, 3, 3, H, W] in [-1, 1]. `known` [B, 3] is true for panels whose error counts, by
    default all. A step costs a gradient and one more pass through the decoder, and the result is
    the best z on the way, so no strip's error is above that of its z as given.
    """
    weight = 1.0 if known is None else known.to(strips)[:, :, None, None, None]

    def residual(z: Tensor) -> Tensor:  # → [B, 3·3·H·W]
        return (weight * (vae.decode(z).float() - strips)).flatten(1)

    z = best = z.detach().float()
    least = torch.full_like(z[:, :1], torch.inf)
    direction = torch.zeros_like(z)
    before = torch.ones_like(z)  # any gradient but 0: the first step has no momentum
    for step in range(steps + 1):
        z = z.detach().requires_grad_()
        missed = residual(z)
        error = dot(missed, missed) / 2  # [B, 1]
        best, least = torch.where(error < least, z.detach(), best), error.detach().fmin(least)
        if step == steps:
            break
        (gradient,) = torch.autograd.grad(error.sum(), z)
        with torch.no_grad():
            momentum = dot(gradient, gradient - before) / dot(before, before).clamp(min=TINY)
            direction = momentum.clamp(min=0) * direction - gradient
            nudge = NUDGE * norm(z).clamp(min=1) / norm(direction).clamp(min=TINY)
            change = (residual(z + nudge * direction) - missed) / nudge.clamp(min=TINY)  # J d
            length = -dot(gradient, direction) / dot(change, change).clamp(min=TINY)
            z, before = z + length * direction, gradient
    return best


def dot(a: Tensor, b: Tensor) -> Tensor:
    """The inner product of each row, [B, n] twice → [B, 1]."""
    return (a * b).sum(dim=1, keepdim=True)


def norm(a: Tensor) -> Tensor:
    return a.norm(dim=1, keepdim=True)
