"""Held-out strips against their reconstructions by the model or by a baseline."""

import numpy as np
import torch
from torch import Tensor

from garfield_vae.evaluation.metrics.features import strip_chunks
from garfield_vae.evaluation.metrics.intervals import Estimate, mean_estimate
from garfield_vae.evaluation.metrics.reconstruction import mse_per_strip, psnr, ssim_and_ms_ssim

CHUNK = 2  # strips: their intermediate results stay in the processor's cache


def reconstruction_values(strips: np.ndarray, others: np.ndarray) -> dict[str, np.ndarray]:
    """MSE, PSNR, SSIM and MS-SSIM of every panel, [N, 3] each."""
    found: dict[str, list[Tensor]] = {"mse": [], "psnr": [], "ssim": [], "ms-ssim": []}
    for chunks in zip(strip_chunks(strips, CHUNK), strip_chunks(others, CHUNK), strict=True):
        x, y = (chunk.flatten(0, 1) for chunk in chunks)  # [3·CHUNK, 3, H, W]
        mse = mse_per_strip(x, y)
        figures = (mse, psnr(mse.clamp(min=1e-10)), *ssim_and_ms_ssim(x, y))
        for values, figure in zip(found.values(), figures, strict=True):
            values.append(figure.view(-1, 3))
    return {name: torch.cat(values).numpy() for name, values in found.items()}


def reconstruction_figures(
    values: dict[str, np.ndarray], groups: np.ndarray | None = None
) -> dict[str, Estimate]:
    """Values of every panel [N, p] → their means, with intervals by resampling groups [N]."""
    return {name: mean_estimate(panels.mean(axis=1), groups) for name, panels in values.items()}
