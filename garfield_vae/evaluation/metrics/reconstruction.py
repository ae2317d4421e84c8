"""Strips against their reconstructions: MSE, PSNR, SSIM and MS-SSIM."""

import math
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from garfield_vae.evaluation.metrics.features import strip_chunks
from garfield_vae.evaluation.metrics.filters import PlaneFilter, filter_matrix

DATA_RANGE = 2.0  # pixels lie in [-1, 1]
MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003, finest scale first
WINDOW = 11  # pixels, and a sigma of 1.5 (Wang et al. 2004)
_BELL = [math.exp(-((place - WINDOW // 2) ** 2) / (2 * 1.5**2)) for place in range(WINDOW)]
KERNEL = tuple(weight / sum(_BELL) for weight in _BELL)
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def mse_per_strip(strips: Tensor, others: Tensor) -> Tensor:
    """Mean squared error of each strip: [N, ...] against the same shape → [N], in [-1, 1] units."""
    return (strips - others).square().flatten(1).mean(dim=1)


def mse_of_pixels(strips: np.ndarray, others: np.ndarray) -> np.ndarray:
    """`mse_per_strip` of uint8 sets [N, 3, 3, H, W], in the same units: float64 [N]."""
    pairs = zip(strip_chunks(strips), strip_chunks(others), strict=True)
    return torch.cat([mse_per_strip(*pair) for pair in pairs]).double().numpy()


def psnr(mse: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB of pixels in [-1, 1]: 10·log10(2² / MSE)."""
    return 10 * torch.log10(DATA_RANGE**2 / mse)


def ssim_and_ms_ssim(panels: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """Structural similarity and its multi-scale form of each panel's luminance, 1 at best.

    Panels are float [N, 3, H, W] in [-1, 1], the results [N]. SSIM is Wang et al. 2004 (Gaussian
    window of 11 pixels, sigma 1.5), MS-SSIM is Wang et al. 2003, both on luminance as published.
    The figures are those of torchmetrics (borders are mirrored), computed ten times as fast: both
    from one pyramid, with filters as matrix products.
    Panels too small for five scales use those that fit, with their weights scaled to sum to 1.
    """
    x, y = _luma(panels), _luma(others)
    fitting = [level for level in range(5) if min(x.shape[-2:]) // 2**level >= WINDOW]
    if not fitting:
        raise ValueError(f"SSIM needs panels of {WINDOW} pixels or more, not {tuple(x.shape[-2:])}")
    weights = x.new_tensor(MS_SSIM_WEIGHTS[: len(fitting)])
    weights = weights / weights.sum()
    ms_ssim = x.new_ones(len(x))
    ssim = None
    for level in fitting:
        similarity, contrast = _ssim_terms(x, y)
        ssim = similarity if ssim is None else ssim
        # Luminance counts at the coarsest scale only. A negative mean has no real power: it is 0.
        term = similarity if level == fitting[-1] else contrast
        ms_ssim = ms_ssim * term.clamp(min=0) ** weights[level]
        x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
    return ssim, ms_ssim


def _luma(panels: Tensor) -> Tensor:
    """[N, 3, H, W] in [-1, 1] → [N, 1, H, W] in [0, 1], where SSIM is defined."""
    weights = panels.new_tensor(LUMA).view(1, 3, 1, 1)
    return (panels * weights).sum(dim=1, keepdim=True) / 2 + 0.5


def _ssim_terms(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Mean similarity of all pixels and mean contrast-structure of all whole windows, [N] each."""
    # The two variances are only ever added, so that one plane serves for both.
    moments = torch.cat([x, y, x * x + y * y, x * y], dim=1)  # [N, 4, H, W]
    mean_x, mean_y, squares, product = _window_means(*x.shape[-2:])(moments).split(1, dim=1)
    c1, c2 = 0.01**2, 0.03**2
    mean_squares, mean_product = mean_x**2 + mean_y**2, mean_x * mean_y
    contrast = (2 * (product - mean_product) + c2) / ((squares - mean_squares).clamp(min=0) + c2)
    luminance = (2 * mean_product + c1) / (mean_squares + c1)
    edge = WINDOW // 2
    whole = contrast[..., edge:-edge, edge:-edge]
    return (luminance * contrast).mean(dim=(1, 2, 3)), whole.mean(dim=(1, 2, 3))


@cache
def _window_means(height: int, width: int) -> PlaneFilter:
    """Gaussian-weighted mean around every pixel: [..., H, W] → the same shape."""
    return PlaneFilter(filter_matrix(KERNEL, height), filter_matrix(KERNEL, width))
