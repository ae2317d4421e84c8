"""What is kept of a latent space on disk.

    latent.safetensors     the arrays of the LatentSpace; in a run's folder also the strips' names
                           (as JSON in UTF-8, an array of bytes) and, as metadata, the key
    latents-<key>.npy      the posterior means of all strips, float32 [N, z], in the order of the
                           names; in a run's folder only

The key is a digest of the checkpoint and of the panel store: another model or other strips have
another key, and everything is encoded anew.
"""

import hashlib
import json
import tokenize
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from garfield_vae.data.store import PanelStore
from garfield_vae.latent.codec import encode_batches
from garfield_vae.latent.space import LatentSpace
from garfield_vae.model.networks import StripVAE
from garfield_vae.util.console import printable
from garfield_vae.util.errors import UserError
from garfield_vae.util.files import remedy, replacing
from garfield_vae.util.tensors import metadata, read_tensor_file

LATENT = "latent.safetensors"
OLD_LATENT = "latent.npz"  # what earlier versions wrote
FEW_KERNELS = 256  # strips that the kernel density of a compact export mixes


class DamagedLatents(UserError):
    """A latent.safetensors that is missing, damaged, or does not fit its model."""


# ------------------------------------------------------------------------------ one latent space


def write_space(
    path: Path, space: LatentSpace, key: str = "", names: Sequence[str] = (), compact: bool = False
) -> None:
    """Writes a space, for a run's folder with its key and the names of its strips; compact, with
    16-bit components and the coordinates of fewer strips."""
    arrays = {name: np.ascontiguousarray(array) for name, array in space.arrays().items()}
    if compact:
        arrays["components"] = arrays["components"].astype(np.float16)
        rows = np.linspace(0, len(space.kernels) - 1, min(len(space.kernels), FEW_KERNELS))
        arrays["kernels"] = arrays["kernels"][rows.astype(int)]
    if names:
        arrays["names"] = np.frombuffer(json.dumps(list(names)).encode(), np.uint8)
    with replacing(path) as file:
        file.write(save(arrays, {"key": key}))


def read_space(path: Path, z_dim: int) -> tuple[LatentSpace, str]:
    """The space of a model with `z_dim` latent dimensions, and its key.

    Raises DamagedLatents. Memory is at most about three times the file's size.
    """
    try:
        content = read_tensor_file(path)
        arrays = load(content)
        if arrays["components"].dtype == np.float16:
            arrays["components"] = arrays["components"].astype(np.float32)
        space = LatentSpace(**{name: arrays[name] for name in LatentSpace.__dataclass_fields__})
        check_space(space, z_dim)
        return space, metadata(content).get("key", "")
    except FileNotFoundError as error:
        if (old := path.with_name(OLD_LATENT)).exists():
            raise DamagedLatents(
                f"{old} was written by an earlier version, and this one reads {path.name}: export "
                f"the model again from its run, or use the version that wrote it"
            ) from error
        why = "it is not there"
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        why = printable(str(error), 150)
    raise DamagedLatents(f"{path} cannot be used ({why}): give the folder as it was written")


def check_space(space: LatentSpace, z_dim: int) -> None:
    """Raises ValueError unless all shapes, types and values are such as a fit gives."""
    k, n = len(space.std), len(space.kernels)
    expected = {
        "mean": ((z_dim,), np.float32),
        "components": ((k, z_dim), np.float32),
        "std": ((k,), np.float32),
        "explained": ((k,), np.float32),
        "kernels": ((n, k), np.float16),
    }
    if not (1 <= k <= z_dim and n >= 1):
        raise ValueError(f"it has {k} components for {z_dim} dimensions")
    for name, (shape, dtype) in expected.items():
        array = getattr(space, name)
        if (array.shape, array.dtype) != (shape, dtype):
            raise ValueError(f"{name} is {array.dtype} {array.shape} in place of {shape}")
        if not np.isfinite(array).all():
            raise ValueError(f"{name} holds nan or infinity")
    if not (space.std > 0).all():
        raise ValueError("a standard deviation is not positive")


# ------------------------------------------------------------------------------ a run's strips


@dataclass(frozen=True)
class EncodedStrips:
    """`means` is a read-only memory map [N, z], in the order of the store's names."""

    space: LatentSpace
    means: np.ndarray


def encoded_strips(model: StripVAE, digest: str, folder: Path, store: PanelStore) -> EncodedStrips:
    """A run's latents, kept in its `folder`: read if they are there and fit, else encoded
    (with a progress bar).

    `digest` is the SHA-256 of the file that the model was read from. The space is fitted to the
    training strips alone, so that measures on held-out strips stay honest; all strips are encoded.
    Raises UserError where the folder cannot be written.
    """
    key = latent_key(digest, store.digest)
    latents_path = folder / f"latents-{key}.npy"
    z_dim = model.config["z_dim"]
    if (kept := read_encoded(folder, key, len(store), z_dim)) is not None:
        return kept

    try:
        with replacing(latents_path) as file:
            header = {"descr": "<f4", "fortran_order": False, "shape": (len(store), z_dim)}
            np.lib.format.write_array_header_1_0(file, header)
            for means, _ in encode_batches(model, store.panels, progress="encoding"):
                file.write(np.ascontiguousarray(means, "<f4").tobytes())
        means = np.load(latents_path, mmap_mode="r")
        space = LatentSpace.fit(means[store.split("train")])
        write_space(folder / LATENT, space, key, store.names)
    except OSError as error:
        raise UserError(
            f"the latents cannot be written to {folder} ({error.strerror}): {remedy(error)}"
        ) from error
    for old in (*folder.glob("latents-*.npy"), folder / OLD_LATENT):
        if old != latents_path:
            with suppress(OSError):  # Windows removes no file that another program has mapped
                old.unlink()
    return EncodedStrips(space, means)


def read_encoded(folder: Path, key: str, count: int, z_dim: int) -> EncodedStrips | None:
    """What an earlier call wrote, or None when it is missing, damaged or of another key."""
    latents_path = folder / f"latents-{key}.npy"
    try:
        space, found = read_space(folder / LATENT, z_dim)
        if found != key or not latents_path.is_file():
            return None
        means = np.load(latents_path, mmap_mode="r", allow_pickle=False)
    except (DamagedLatents, OSError, ValueError, TypeError, EOFError, tokenize.TokenError):
        return None
    fits = (means.shape, means.dtype) == ((count, z_dim), np.float32)
    return EncodedStrips(space, means) if fits else None


def latent_key(checkpoint: str, strips: str) -> str:
    """A digest of those of a checkpoint and of the strips."""
    return hashlib.sha256((checkpoint + strips).encode()).hexdigest()[:16]
