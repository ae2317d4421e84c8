"""Converts checkpoints and exported models of format 2, which earlier versions wrote.

It stored the dense layers' weights divided by 0.005, for a lower learning rate. Format 3 stores
them as they are; their learning rate is that of a parameter group (training/module.py).
"""

from typing import Any

from torch import Tensor

SCALE = 0.005  # what format 2 multiplied stored dense weights by


def convert_weights(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of StripVAE, or of a module that contains one, from format 2 to 3."""
    return {
        name: value * SCALE if {"join", "spread"} & set(name.split(".")) else value
        for name, value in weights.items()
    }


def convert_checkpoint(checkpoint: dict[str, Any]) -> None:
    """Converts a checkpoint of format 2 to format 3, in place, without the state of its optimizer,
    which was another one.

    Raises KeyError, TypeError or AttributeError if it is damaged.
    """
    checkpoint["state_dict"] = convert_weights(checkpoint["state_dict"])
    checkpoint["optimizer_states"], checkpoint["lr_schedulers"] = [], []
    checkpoint["garfield_vae"] = checkpoint["garfield_vae"] | {"format": 3}
