"""Files that an earlier version wrote, converted when they are read.

Format 2 of checkpoints and exported models stored the dense layers' weights divided by 0.005, which
made Adam change the layers by a 200th of its learning rate. Format 3 stores the weights as they
are, and the optimizer has a parameter group for them (training/module.py).
"""

from typing import Any

from torch import Tensor

SCALE = 0.005  # what format 2 multiplied stored dense weights by


def convert_weights(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of format 2, of StripVAE or of a module that has one, in format 3."""
    return {
        name: value * SCALE if {"join", "spread"} & set(name.split(".")) else value
        for name, value in weights.items()
    }


def convert_checkpoint(checkpoint: dict[str, Any]) -> None:
    """A checkpoint of format 2 in format 3, in place. The optimizer, then AdamW for all weights,
    begins anew.

    Raises KeyError, TypeError or AttributeError if it is damaged.
    """
    checkpoint["state_dict"] = convert_weights(checkpoint["state_dict"])
    checkpoint["optimizer_states"], checkpoint["lr_schedulers"] = [], []
    checkpoint["garfield_vae"] = checkpoint["garfield_vae"] | {"format": 3}
