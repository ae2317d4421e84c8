"""All strips of a run as latents, kept in the run's folder while model and strips are unchanged.

    latent.npz             the LatentSpace's arrays, the strips' names, and the key
    latents-<key>.npy      posterior means, float32 [N, z], in the order of the names

The key is a digest of the checkpoint and of the panel store: another model or other strips have
another key, and everything is encoded anew.
"""

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from garfield_vae.data.store import PanelStore
from garfield_vae.latent.codec import encode_batches
from garfield_vae.latent.space import LatentSpace
from garfield_vae.latent.space_file import DamagedLatents, read_space, write_space
from garfield_vae.model.networks import StripVAE
from garfield_vae.util.errors import UserError
from garfield_vae.util.files import replacing


@dataclass(frozen=True)
class EncodedStrips:
    """`means` is a read-only memory map [N, z]; `names` has its N dates or file names."""

    space: LatentSpace
    means: np.ndarray
    names: list[str]


def encoded_strips(
    model: StripVAE, checkpoint: Path, folder: Path, store: PanelStore
) -> EncodedStrips:
    """A run's latents, kept in its `folder`: read if they are there and fit, else encoded
    (with a progress bar).

    The space is fitted to the training strips alone, so that measures on held-out strips stay
    honest; all strips are encoded.
    """
    key = latent_key(checkpoint, store.digest)
    latents_path = folder / f"latents-{key}.npy"
    z_dim = model.config["z_dim"]
    if (kept := read_encoded(folder, key, len(store), z_dim)) is not None:
        return kept

    try:
        with replacing(latents_path) as file:
            header = {"descr": "<f4", "fortran_order": False, "shape": (len(store), z_dim)}
            np.lib.format.write_array_header_1_0(file, header)
            for means, _ in encode_batches(model, store.panels, progress=True):
                file.write(np.ascontiguousarray(means, "<f4").tobytes())
        means = np.load(latents_path, mmap_mode="r")
        space = LatentSpace.fit(means[store.split("train")])
        extra = {"key": np.array(key), "names": np.array(store.names)}
        write_space(folder / "latent.npz", space, **extra)
    except OSError as error:
        raise UserError(
            f"the latents cannot be written to {folder} ({error.strerror}): "
            f"make room or make the folder writable"
        ) from error
    for old in folder.glob("latents-*.npy"):
        if old != latents_path:
            with suppress(OSError):  # Windows removes no file that another program has mapped
                old.unlink()
    return EncodedStrips(space, means, store.names)


def read_encoded(folder: Path, key: str, count: int, z_dim: int) -> EncodedStrips | None:
    """What an earlier run wrote, or None when it is missing, damaged or of another key."""
    try:
        space, extra = read_space(folder / "latent.npz", z_dim)
        if str(extra["key"]) != key or extra["names"].shape != (count,):
            return None
        means = np.load(folder / f"latents-{key}.npy", mmap_mode="r", allow_pickle=False)
        if (means.shape, means.dtype) != ((count, z_dim), np.float32):
            return None
        return EncodedStrips(space, means, [str(name) for name in extra["names"]])
    except (DamagedLatents, OSError, ValueError, TypeError, KeyError, EOFError):
        return None


def latent_key(checkpoint: Path, strips: str) -> str:
    with checkpoint.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update(strips.encode())
    return digest.hexdigest()[:16]
