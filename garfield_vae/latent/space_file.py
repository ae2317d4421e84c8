"""latent.npz: a LatentSpace on disk, read as if a stranger had written it.

An .npz is a zip of arrays, and both can lie: a few kilobytes may declare 10¹² numbers, unpack to
gigabytes, or hold pickled objects, which are programs. So nothing is read before the zip's own
directory and each array's header agree with the size of the file.
"""

import math
import zipfile
from pathlib import Path
from typing import IO

import numpy as np

from garfield_vae.latent.space import LatentSpace
from garfield_vae.util.errors import UserError
from garfield_vae.util.files import replacing

MOST_ARRAYS = 16


class DamagedLatents(UserError):
    """A latent.npz that is missing, damaged, or does not fit its model."""


def write_space(path: Path, space: LatentSpace, **extra: np.ndarray) -> None:
    """Writes a space, and whatever arrays are to be kept beside it."""
    with replacing(path) as file:
        np.savez(file, **extra, **space.arrays())


def read_space(path: Path, z_dim: int) -> tuple[LatentSpace, dict[str, np.ndarray]]:
    """The space of a model with `z_dim` latent dimensions, and the arrays that were kept beside it.

    Raises DamagedLatents. Memory is at most about twice the file's size.
    """
    try:
        arrays = read_arrays(path)
        names = LatentSpace.__dataclass_fields__
        space = LatentSpace(**{name: arrays.pop(name) for name in names})
        check_space(space, z_dim)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, RuntimeError) as error:
        why = (
            "it is not there" if isinstance(error, FileNotFoundError) else ascii(str(error))[1:150]
        )
        raise DamagedLatents(
            f"{path} cannot be used ({why}): give the folder as it was written"
        ) from error
    return space, arrays


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Every array of an .npz as `np.savez` writes it: not compressed, plain numbers or text.

    Raises ValueError, OSError or zipfile's errors for anything else.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if len(members) > MOST_ARRAYS:
            raise ValueError(f"it has {len(members)} arrays")
        if sum(member.file_size for member in members) > path.stat().st_size:
            raise ValueError("it declares more than it holds")
        arrays = {}
        for member in members:
            if member.compress_type != zipfile.ZIP_STORED or not member.filename.endswith(".npy"):
                raise ValueError("it is no plain .npz")
            with archive.open(member) as file:
                arrays[member.filename.removesuffix(".npy")] = read_array(file, member.file_size)
    return arrays


def read_array(file: IO[bytes], size: int) -> np.ndarray:
    """One .npy of `size` bytes. Raises ValueError unless it is what its header says."""
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("an array is of another version")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype.kind not in "fiuU":
        raise ValueError(f"an array is of the kind {dtype}")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != size - file.tell():
        raise ValueError(f"an array declares the shape {shape} and does not have it")
    return np.frombuffer(file.read(), dtype).reshape(shape, order="F" if fortran else "C")


def check_space(space: LatentSpace, z_dim: int) -> None:
    """Raises ValueError unless all shapes, kinds and values are such as a fit gives."""
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
            raise ValueError(f"{name} holds values that are no numbers")
    if not (space.std > 0).all():
        raise ValueError("a standard deviation is not positive")
