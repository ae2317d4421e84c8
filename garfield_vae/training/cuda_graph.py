"""Passes through the network on a GPU as one recording, in place of hundreds of small commands.

For a network this small, Python and the driver take longer to give a GPU its commands than the GPU
to carry them out. A CUDA graph is the whole sequence, recorded once and started at once ("CUDA
Graphs" in torch's notes on CUDA).
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class Recorded(nn.Module):
    """A network of its own to record, so that the one that it calls stays as it is."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, batch: Tensor) -> Any:
        return self.network(batch)


def graphed(network: nn.Module, batch: Tensor) -> Callable[[Tensor], Any]:
    """The network's forward pass, and its backward pass, for batches of this one's shape.

    To be called as it will be used: in training mode, and under autocast if there is one. Leaves
    the GPU's random numbers where they were.
    """
    state = torch.cuda.get_rng_state(batch.device)
    enabled, dtype = torch.is_autocast_enabled("cuda"), torch.get_autocast_dtype("cuda")
    # A graph cannot use weights that were converted before it was recorded.
    with torch.autocast("cuda", dtype, enabled, cache_enabled=False):
        recorded = torch.cuda.make_graphed_callables(Recorded(network), (batch.clone(),))
    torch.cuda.set_rng_state(state, batch.device)
    return lambda batch: recorded(batch)  # a module would become a part of what holds it
