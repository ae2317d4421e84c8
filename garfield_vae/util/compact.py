"""Weights in a third of the bytes, for files that are shared, and back."""

import torch

SCALE = ".scale"  # behind the name of an 8-bit tensor: what its rows are multiplied by


def compacted(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Dense weights, which are most, in 8 bits with a scale for each row; those of convolutions in
    16 bits; biases as they are."""
    small = {}
    for name, value in weights.items():
        if value.ndim == 2:
            scale = (value.abs().amax(dim=1) / 127).clamp(min=1e-12)
            small[name] = (value / scale[:, None]).round().to(torch.int8)
            small[name + SCALE] = scale
        else:
            small[name] = value.half() if value.ndim > 2 else value
    return small


def expanded(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The way back from `compacted`, as float32. Raises KeyError where a scale is missing, and
    ValueError where it is not that of a dense layer's rows."""
    large = {}
    for name, value in weights.items():
        if value.dtype == torch.int8:
            scale = weights[name + SCALE]
            if value.ndim != 2 or scale.shape != value.shape[:1]:
                raise ValueError(f"the scale of {name} does not fit it")
            large[name] = value.float() * scale.float()[:, None]
        elif not name.endswith(SCALE):
            large[name] = value.float() if value.dtype == torch.float16 else value
    return large
