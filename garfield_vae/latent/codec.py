"""Strips to latents and back, a batch at a time: the two directions in which a model is used."""

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
    model: StripVAE, strips: np.ndarray, progress: bool = False
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """`encode`, BATCH strips at a time, for sets that do not fit in memory.

    `progress` shows a bar, if there is a terminal to show it on.
    """
    device = next(model.parameters()).device
    with tqdm(
        total=len(strips), desc="encoding", unit="strip", disable=None if progress else True
    ) as bar:
        for start in range(0, len(strips), BATCH):
            batch = torch.from_numpy(np.array(strips[start : start + BATCH]))
            mean, log_std = model.encode(to_unit(batch.to(device)))
            yield mean.cpu().numpy(), (2 * log_std).exp().cpu().numpy()
            bar.update(len(batch))


@torch.no_grad()
def decode(model: StripVAE, latents: np.ndarray) -> np.ndarray:
    """Latents [N, z] → uint8 strips [N, 3, 3, H, W]."""
    device = next(model.parameters()).device
    z = torch.from_numpy(np.ascontiguousarray(latents, np.float32)).to(device)
    return torch.cat([to_uint8(model.decode(batch)).cpu() for batch in z.split(BATCH)]).numpy()


def reconstruct(model: StripVAE, strips: np.ndarray) -> np.ndarray:
    """uint8 strips [N, 3, 3, H, W] → what is left of them after posterior mean and decoder."""
    return decode(model, encode(model, strips)[0])
