"""Strips to latents and back, a batch at a time."""

from collections.abc import Iterator

import numpy as np
import torch
from tqdm import tqdm

from garfield_vae.data.panels import to_uint8, to_unit
from garfield_vae.data.store import Rows
from garfield_vae.model.inference import FIT_STEPS, fit
from garfield_vae.model.networks import StripVAE

BATCH = 32
FIT_BATCH = 8  # strips: a gradient needs every layer's output at once


def encode(
    model: StripVAE, strips: np.ndarray | Rows, progress: str = ""
) -> tuple[np.ndarray, np.ndarray]:
    """uint8 strips [N, 3, 3, H, W] → posterior means and variances, float32 [N, z] each.

    Of a memory map, and of `Rows` of one, a batch is read at a time. `progress` names a bar, which
    is shown where there is a terminal.
    """
    means, variances = zip(*encode_batches(model, strips, progress), strict=True)
    return np.concatenate(means), np.concatenate(variances)


@torch.no_grad()
def encode_batches(
    model: StripVAE, strips: np.ndarray | Rows, progress: str = ""
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """`encode`, BATCH strips at a time, for sets whose latents do not fit in memory."""
    device = next(model.parameters()).device
    with bar(len(strips), progress) as shown:
        for start in range(0, len(strips), BATCH):
            batch = torch.from_numpy(np.array(strips[start : start + BATCH]))
            mean, log_std = model.encode(to_unit(batch.to(device)))
            yield mean.cpu().numpy(), (2 * log_std).exp().cpu().numpy()
            shown.update(len(batch))


@torch.no_grad()
def decode(model: StripVAE, latents: np.ndarray, progress: str = "") -> np.ndarray:
    """Latents [N, z] → uint8 strips [N, 3, 3, H, W]. `progress` names a bar, as in `encode`."""
    device = next(model.parameters()).device
    z = torch.from_numpy(np.ascontiguousarray(latents, np.float32)).to(device)
    strips = []
    with bar(len(z), progress) as shown:
        for batch in z.split(BATCH):
            strips.append(to_uint8(model.decode(batch)).cpu())
            shown.update(len(batch))
    return torch.cat(strips).numpy()


def encode_fitted(
    model: StripVAE,
    strips: np.ndarray,
    steps: int = FIT_STEPS,
    known: np.ndarray | None = None,
    progress: str = "",
) -> np.ndarray:
    """uint8 strips [N, 3, 3, H, W] → latents [N, z]: posterior means, improved in `steps` steps by
    each strip's own error (model/inference.py); 0 leaves the encoder's.

    `known` [N, 3] is true for panels whose error counts, by default all. `progress` as in `encode`.
    """
    device = next(model.parameters()).device
    latents, _ = encode(model, strips)
    if steps == 0:
        return latents
    with bar(len(strips), progress) as shown:
        for start in range(0, len(strips), FIT_BATCH):
            rows = slice(start, start + FIT_BATCH)
            batch = to_unit(torch.from_numpy(np.array(strips[rows])).to(device))
            counts = None if known is None else torch.from_numpy(np.array(known[rows])).to(device)
            z = torch.from_numpy(latents[rows]).to(device)
            latents[rows] = fit(model, batch, z, steps, counts).cpu().numpy()
            shown.update(len(batch))
    return latents


def reconstruct(
    model: StripVAE, strips: np.ndarray, steps: int = FIT_STEPS, progress: str = ""
) -> np.ndarray:
    """uint8 strips [N, 3, 3, H, W] → what the decoder makes of their latents: those of the encoder,
    fitted in `steps` steps. With 0, its own pass alone, as measures of the VAE want it."""
    return decode(model, encode_fitted(model, strips, steps, progress=progress))


def bar(total: int, progress: str) -> tqdm:
    """A progress bar of this name, where there is a name and a terminal to show it on."""
    return tqdm(total=total, desc=progress, unit="strip", disable=None if progress else True)
