"""A model that somebody gave away, read: a folder as `export` writes it.

    model.safetensors   the averaged weights, float32
    config.json         format, version, the network's sizes, how it was trained
    latent.npz          the latent space that samples, walks and sliders need

There are no strips in it, and none are needed. Nothing in it can run, whoever made it.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load

from garfield_vae.errors import UserError
from garfield_vae.latent import LatentSpace
from garfield_vae.latent_file import read_space
from garfield_vae.options import train_options
from garfield_vae.run import LoadedRun, build, load_run

FORMAT = 2  # of config.json; another one is refused
LARGEST_CONFIG = 2**20  # bytes; one that is written here has a thousand
LARGEST_HEADER = 2**23  # bytes of a safetensors file that name its tensors: about a hundred each
WEIGHTS, CONFIG, LATENT = "model.safetensors", "config.json", "latent.npz"


def is_exported(folder: Path) -> bool:
    return (folder / CONFIG).is_file() and not (folder / "checkpoints").is_dir()


def open_model(folder: Path, device: str | torch.device = "cpu") -> LoadedRun:
    """The model of a run's folder or of an exported one. Raises UserError if it is neither."""
    return load_exported(folder, device) if is_exported(folder) else load_run(folder, device)


def load_exported(folder: Path, device: str | torch.device = "cpu") -> LoadedRun:
    """Loads an exported model. Raises UserError for whatever stands in the way."""
    path = folder / CONFIG
    config = read_config(path)
    try:
        network, trained, epoch = config["network"], dict(config["training"]), int(config["epoch"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{path} is damaged: it does not say which model it describes") from error
    options = train_options(trained, path)
    model = build(network, read_weights(folder / WEIGHTS), folder / WEIGHTS).to(device)
    return LoadedRun(model, options, folder, folder / WEIGHTS, epoch)


def exported_space(run: LoadedRun) -> LatentSpace:
    """The latent space that was exported with a model."""
    return read_space(run.folder / LATENT, run.model.config["z_dim"])[0]


def read_config(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            config = json.loads(file.read(LARGEST_CONFIG))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged: it is no JSON") from error
    if not isinstance(config, dict) or "format" not in config:
        raise UserError(f"{path} describes no model of this project")
    if config["format"] != FORMAT:
        raise UserError(
            f"{path} was written in another format than this version reads ({FORMAT}): "
            f"use the version that wrote it"
        )
    return config


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file, which declares no more than it holds.

    They are read, not mapped: a file that another program cuts off would end this one, and
    Windows renames no folder in which a file is mapped.
    """
    try:
        with path.open("rb") as file:
            if int.from_bytes(file.read(8), "little") > LARGEST_HEADER:
                raise ValueError("its header is too long")
        return load(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error})") from error
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise UserError(f"{path} cannot be read, it is damaged or cut off") from error
