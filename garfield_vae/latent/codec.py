"""Strips to latents and back, a batch at a time."""

from collections.abc import Iterator

import numpy as np
import torch
from tqdm import tqdm

from garfield_vae.data.panels import to_uint8, to_unit
from garfield_vae.model.networks import StripVAE

BATCH = 32


def encode(model: StripVAE, strips: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """uint8 strips [N, 3, 3, H, W] → posterior means and variances, float32 [N, z] each."""
    means, variances = zip(*encode_batches(model, strips), strict=True)
    return np.concatenate(means), np.concatenate(variances)


@torch.no_grad()
def encode_batches(
    model: StripVAE, strips: np.ndarray, progress: str = ""
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """`encode`, BATCH strips at a time, for sets that do not fit in memory.

    `progress` names a bar, which is shown where there is a terminal.
    """
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


def reconstruct(model: StripVAE, strips: np.ndarray) -> np.ndarray:
    """uint8 strips [N, 3, 3, H, W] → what the decoder makes of their posterior means."""
    return decode(model, encode(model, strips)[0])


def bar(total: int, progress: str) -> tqdm:
    """A progress bar of this name, where there is a name and a terminal to show it on."""
    return tqdm(total=total, desc=progress, unit="strip", disable=None if progress else True)
