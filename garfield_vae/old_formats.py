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
    """A checkpoint of format 2 in format 3, in place; training continues as it would have.

    Raises KeyError, TypeError, ValueError, IndexError or AttributeError if it is damaged.
    """
    checkpoint["state_dict"] = convert_weights(checkpoint["state_dict"])
    checkpoint["optimizer_states"] = [
        convert_adam(state) for state in checkpoint.get("optimizer_states", [])
    ]
    for schedule in checkpoint.get("lr_schedulers", []):
        for name in ("base_lrs", "_last_lr"):
            _, other = schedule[name]
            schedule[name] = [other, other, other * SCALE]
        schedule["lr_lambdas"] = [None, None, None]
    checkpoint["garfield_vae"] = checkpoint["garfield_vae"] | {"format": 3}


def convert_adam(state: dict[str, Any]) -> dict[str, Any]:
    """AdamW's state: two groups (matrices, vectors) become three (… of convolutions, and dense).

    In both groups of format 2, the last two parameters are those of the layers join and spread. The
    gradient of a stored weight was SCALE times that of the weight itself.
    """
    matrices, vectors = state["param_groups"]
    *conv_matrices, join_weight, spread_weight = matrices["params"]
    *conv_vectors, join_bias, spread_bias = vectors["params"]
    dense = [join_weight, join_bias, spread_weight, spread_bias]
    moments = dict(state["state"])
    for index in dense:
        moment = moments[index]
        moments[index] = moment | {
            "exp_avg": moment["exp_avg"] / SCALE,
            "exp_avg_sq": moment["exp_avg_sq"] / SCALE**2,
        }
    order = [*conv_matrices, *conv_vectors, *dense]
    first, second = len(conv_matrices), len(conv_matrices) + len(conv_vectors)
    slow = {name: vectors[name] * SCALE for name in ("lr", "initial_lr")}
    return {
        "state": {new: moments[old] for new, old in enumerate(order)},
        "param_groups": [
            matrices | {"params": list(range(first))},
            vectors | {"params": list(range(first, second))},
            vectors | {"params": list(range(second, len(order)))} | slow,
        ],
    }
