"""Muon for the convolutions and hidden matrices, AdamW for everything else, as one optimizer.

Adam scales every weight by itself. Muon (Jordan et al. 2024, "Muon: An optimizer for hidden layers
in neural networks") sees the weight matrix as a whole: its momentum is replaced by the nearest
orthogonal matrix, so that a step changes all directions alike, also those whose gradients are
small. torch.optim.Muon takes matrices only; here a convolution is the matrix that it applies to a
patch, [out, in · height · width].
"""

from collections.abc import Callable

import torch
from torch import Tensor

MOMENTUM = 0.95
# Coefficients of the quintic iteration, from the same source: they inflate small singular values
# fastest and end anywhere between about 0.7 and 1.2, which trains as well as exactly 1.
QUINTIC = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5


class MuonAdamW(torch.optim.AdamW):
    """AdamW, but groups with `"muon": True` are updated by Muon.

    Groups have an `lr` and a `weight_decay` of their own. For Muon's, lr is the length of a step
    relative to an orthogonal matrix, whatever the gradient's size. `dtype` is what the iteration
    computes in.
    """

    def __init__(self, groups: list[dict], dtype: torch.dtype = torch.float32, **adamw: object):
        super().__init__([{"muon": False} | group for group in groups], **adamw)
        self.dtype = dtype

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            if group["muon"]:
                for weights in same_shaped(group["params"]):
                    self.muon(weights, group["lr"], group["weight_decay"])
                    for weight in weights:
                        weight.grad = None  # AdamW passes over what has no gradient
        super().step()
        return loss

    def check_state(self, may_be_empty: bool = False) -> None:
        """Raises ValueError unless there is a state of every parameter's shape, which torch does
        not check when it reads one; `may_be_empty`: or none, where no step was taken yet."""
        for group in self.param_groups:
            averages = ("momentum",) if group["muon"] else ("exp_avg", "exp_avg_sq")
            for parameter in group["params"]:
                state = self.state[parameter]
                if not state and may_be_empty:
                    continue
                wanted = {"step": (), **dict.fromkeys(averages, parameter.shape)}
                if {name: tuple(value.shape) for name, value in state.items()} != wanted:
                    raise ValueError("the optimizer's state is of another network")

    def muon(self, weights: list[Tensor], lr: float, decay: float) -> None:
        """A step of weights that have one shape: all at once, since a GPU takes as long to begin
        a small product as to compute it."""
        for weight in weights:
            if not self.state[weight]:
                # AdamW's own reader wants a step in every state.
                new = {"step": torch.zeros(()), "momentum": torch.zeros_like(weight)}
                self.state[weight].update(new)
            self.state[weight]["step"] += 1
        momenta = [self.state[weight]["momentum"] for weight in weights]
        gradients = [weight.grad for weight in weights]
        torch._foreach_lerp_(momenta, gradients, 1 - MOMENTUM)
        updates = torch._foreach_lerp(gradients, momenta, MOMENTUM)  # Nesterov
        matrices = torch.stack(updates).flatten(2)  # [n, out, in·h·w]
        rows, columns = matrices.shape[1:]
        matrices = orthogonalise(matrices, self.dtype) * max(1, rows / columns) ** 0.5
        torch._foreach_mul_(weights, 1 - lr * decay)
        torch._foreach_add_(weights, matrices.reshape(-1, *weights[0].shape).unbind(), alpha=-lr)


def same_shaped(weights: list[Tensor]) -> list[list[Tensor]]:
    """Weights that have a gradient, together with those of the same shape."""
    groups: dict[torch.Size, list[Tensor]] = {}
    for weight in weights:
        if weight.grad is not None:
            groups.setdefault(weight.shape, []).append(weight)
    return list(groups.values())


def orthogonalise(matrices: Tensor, dtype: torch.dtype) -> Tensor:
    """Matrices [..., m, n] with their singular values brought near 1: U·S·Vᵀ → U·Vᵀ, about.

    By Newton–Schulz iterations, X ← a·X + (b·A + c·A²)·X with A = X·Xᵀ, which change singular
    values alone and need no decomposition.
    """
    a, b, c = QUINTIC
    x = matrices.to(dtype)
    if tall := x.shape[-2] > x.shape[-1]:
        x = x.mT  # A is the smaller of the two products
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if tall else x).to(matrices.dtype)
