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
                for weight in group["params"]:
                    if weight.grad is not None:
                        self.muon(weight, group["lr"], group["weight_decay"])
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

    def muon(self, weight: Tensor, lr: float, decay: float) -> None:
        state = self.state[weight]
        if not state:
            state["step"] = torch.zeros(())  # AdamW's own reader wants one in every state
            state["momentum"] = torch.zeros_like(weight)
        state["step"] += 1
        momentum = state["momentum"].lerp_(weight.grad, 1 - MOMENTUM)
        update = torch.lerp(weight.grad, momentum, MOMENTUM).flatten(1)  # Nesterov; [out, in·h·w]
        rows, columns = update.shape
        update = orthogonalise(update, self.dtype) * max(1, rows / columns) ** 0.5
        weight.mul_(1 - lr * decay).add_(update.reshape(weight.shape), alpha=-lr)


def orthogonalise(matrix: Tensor, dtype: torch.dtype) -> Tensor:
    """The matrix [m, n] with all its singular values brought near 1: U·S·Vᵀ → U·Vᵀ, about.

    By Newton–Schulz iterations, X ← a·X + (b·A + c·A²)·X with A = X·Xᵀ, which change singular
    values alone and need no decomposition.
    """
    a, b, c = QUINTIC
    x = matrix.to(dtype)
    if tall := x.shape[0] > x.shape[1]:
        x = x.T  # A is the smaller of the two products
    x = x / (x.norm() + 1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.T if tall else x).to(matrix.dtype)
