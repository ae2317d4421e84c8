"""What training the VAE and training its prior have in common."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn

AVERAGE_GAMMA = 6.94  # the average's width is a tenth of the steps so far (EDM2)
CLIP_NORM = 1.0


class AveragedModule(LightningModule):
    """Trains `network`, and keeps an average of its weights in `averaged.module`, which is what is
    validated, shown and kept. All that is random in a step follows from its number and the seed."""

    def __init__(self, seed: int):
        super().__init__()
        self.seed = seed
        self.begun = False  # whether it trains, with all of a checkpoint that was to be read
        # Called before each batch of training and validation: no step is under way then.
        self.between_batches: Callable[[], None] = lambda: None

    def average(self, network: nn.Module) -> None:
        self.averaged = Average(network).requires_grad_(False)

    @property
    def network(self) -> nn.Module:
        """What the optimizer changes."""
        raise NotImplementedError

    def on_train_batch_start(self, batch: Tensor, batch_idx: int) -> None:
        # A run that was stopped anywhere goes on as if it had not been.
        seed = hash((self.seed, self.global_step, self.global_rank)) % 2**63
        torch.default_generator.manual_seed(seed)  # torch.manual_seed takes a millisecond
        if self.device.type != "cpu":
            torch.get_device_module(self.device).manual_seed(seed)

    def on_before_batch_transfer(self, batch: Tensor, dataloader_idx: int) -> Tensor:
        # Of all of Lightning's hooks the one in which its counters, too, are between two batches.
        self.between_batches()
        return batch

    def on_train_batch_end(self, outputs: dict, batch: Tensor, batch_idx: int) -> None:
        self.averaged.update(self.network)

    def configure_gradient_clipping(
        self, optimizer: torch.optim.Optimizer, **settings: object
    ) -> None:
        # Lightning's own clipping refuses a fused optimizer in mixed precision.
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), CLIP_NORM)


class Average(nn.Module):
    """A network whose weights are an average of another's over its training, in `module`.

    The power-function EMA of Karras et al. (2024), "Analyzing and Improving the Training Dynamics
    of Diffusion Models" (EDM2), equation 2. Its length is a fixed share of the run so far instead
    of a fixed number of steps: a short run forgets its first weights in time, and a long one is
    averaged over thousands of steps.

    torch's own AveragedModel waits for the GPU once for every weight.
    """

    def __init__(self, network: nn.Module):
        super().__init__()
        self.module = deepcopy(network)
        self.register_buffer("n_averaged", torch.tensor(0))  # steps so far

    def forward(self, *given: Any) -> Any:
        return self.module(*given)

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Adds the network's current weights."""
        newest = 1 - (1 - 1 / (self.n_averaged + 1.0)) ** (AVERAGE_GAMMA + 1)  # their weight
        averages, weights = list(self.module.parameters()), list(network.parameters())
        torch._foreach_mul_(averages, 1 - newest)
        torch._foreach_add_(averages, torch._foreach_mul(weights, newest))
        self.n_averaged += 1
