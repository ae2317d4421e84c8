"""Loads trained models, of which no file is trusted: each is validated, and none can run code.

A run's folder has checkpoints/best.ckpt and last.ckpt. An exported model has

    model.safetensors   the averaged weights
    config.json         format, version, the network's sizes, the options of training
    latent.safetensors  the latent space, for samples, latent traversals and sliders
    prior.safetensors   the latent prior, if there is one: its network, and the Gaussian that it
                        starts from where that is not the latent space's own

Weights are float32. In a compact export those of convolutions are float16, and those of dense
layers int8 with a scale for each row (util/compact.py).
"""

import hashlib
import os
import pickle
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load

from garfield_vae import __version__
from garfield_vae.cli.options import TrainOptions, train_options
from garfield_vae.data.begun import open_panels
from garfield_vae.data.panels import join_panels
from garfield_vae.latent.codec import FIT_STEPS, reconstruct
from garfield_vae.latent.files import LATENT, read_space
from garfield_vae.latent.space import LatentSpace
from garfield_vae.model.networks import StripVAE
from garfield_vae.old_formats import convert_checkpoint, convert_weights
from garfield_vae.run_folder import find_checkpoint
from garfield_vae.util.compact import expanded
from garfield_vae.util.errors import UserError
from garfield_vae.util.files import open_regular, read_json
from garfield_vae.util.tensors import read_tensor_file

CHECKPOINT_FORMAT = 3  # of a checkpoint's entry "garfield_vae"; 2 is converted, others are refused
CONFIG_FORMAT = 3  # of config.json; the same
OLD_FORMAT = 2  # of both
LARGEST_CONFIG = 2**20  # bytes; about 1,000 are written
WEIGHTS, CONFIG = "model.safetensors", "config.json"
DIGEST = "sha256"  # what read_archive adds to a checkpoint


@dataclass(frozen=True)
class LoadedModel:
    """A trained model: `model` has the averaged weights and is in eval mode.

    `digest` is the SHA-256 of the file that was read, which a training may have replaced since.
    """

    model: StripVAE
    options: TrainOptions
    folder: Path
    checkpoint: Path
    epoch: int
    digest: str

    def reconstruct(self, picture: str | Path, steps: int = FIT_STEPS) -> Image.Image:
        """Encodes and decodes the strip in a picture file; between, its latents are fitted in
        `steps` steps (model/inference.py)."""
        height, width = self.model.config["panel_height"], self.model.config["panel_width"]
        panels = open_panels(Path(picture), height, width)  # uint8 [3, 3, H, W]
        return Image.fromarray(join_panels(reconstruct(self.model, panels[None], steps))[0])


def load_run(folder: Path, device: str | torch.device = "cpu") -> LoadedModel:
    """Loads the best checkpoint of a run, or the last one where there was no validation yet."""
    path = find_checkpoint(folder, "best", "last")
    checkpoint = read_checkpoint(path)
    record, weights = checkpoint["garfield_vae"], averaged_weights(checkpoint, path)
    try:
        network, options = record["network"], dict(record["options"])
        epoch = int(checkpoint["epoch"])
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise UserError(f"{path} is damaged: it does not say which model it holds") from error
    model = build(network, weights, path).to(device)
    options = train_options(options, path)
    return LoadedModel(model, options, folder, path, epoch, checkpoint[DIGEST])


def read_archive(path: Path, entry: str) -> dict[str, Any]:
    """Reads what `torch.save` wrote, without running code, and adds the file's digest as DIGEST.
    `entry` names a dict that it must have. Raises UserError where it is damaged, too large when
    unpacked, or not of this project."""
    try:
        with open_regular(path) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch, about files that it then refuses
            check_archive(file)
            checkpoint = torch.load(file, map_location="cpu", weights_only=True)
            digest = file_digest(file)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path} is refused: it is damaged or holds more than weights and plain values"
        ) from error
    except Exception as error:  # damaged archives raise many kinds
        raise UserError(f"{path} cannot be read, it is damaged or cut off") from error
    for value in values_in(checkpoint):
        if not torch.is_tensor(value):
            continue
        # Sparse tensors, and one number expanded to 10^12, may be of any size in use.
        if value.layout != torch.strided or value.untyped_storage().nbytes() < value.nbytes:
            raise UserError(f"{path} is refused: it declares more than it holds")
    if not (isinstance(checkpoint, dict) and isinstance(checkpoint.get(entry), dict)):
        raise UserError(f"{path} is no checkpoint of this project")
    return checkpoint | {DIGEST: digest}


def file_digest(file: IO[bytes]) -> str:
    """SHA-256 of an open file's bytes, wherever it was read to."""
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A VAE's checkpoint, converted to the current format. Raises UserError where it cannot be
    used."""
    checkpoint = read_archive(path, "garfield_vae")
    record = checkpoint["garfield_vae"]
    if record.get("format") == OLD_FORMAT:
        try:
            convert_checkpoint(checkpoint)
        except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise UserError(f"{path} is damaged: it does not hold what a run writes") from error
    elif record.get("format") != CHECKPOINT_FORMAT:
        raise UserError(
            f"{path} was written in format {record.get('format')} and this version reads "
            f"{CHECKPOINT_FORMAT}: use the version that wrote it ({record.get('version')})"
        )
    return checkpoint


def averaged_weights(checkpoint: dict[str, Any], path: Path) -> dict[str, torch.Tensor]:
    """The averaged weights in a checkpoint. Raises UserError where it has no weights."""
    state, prefix = checkpoint.get("state_dict"), "averaged.module."
    named = {str(n): v for n, v in state.items()} if isinstance(state, dict) else {}
    weights = {n.removeprefix(prefix): v for n, v in named.items() if n.startswith(prefix)}
    if not weights:
        raise UserError(f"{path} is damaged: it holds no weights")
    return weights


@dataclass(frozen=True)
class Progress:
    """How far a run was at a checkpoint: steps, completed epochs, and whether it was within one."""

    steps: int
    epochs: int
    mid_epoch: bool


def read_progress(checkpoint: dict[str, Any], path: Path) -> Progress:
    """Reads Lightning's counters. Raises UserError where they are not valid."""
    try:
        loop = checkpoint["loops"]["fit_loop"]
        if not all(isinstance(n, int) and 0 <= n < 2**53 for n in values_in(loop)):
            raise TypeError("a counter is no number")
        epochs = loop["epoch_progress"]["current"]
        optimizer = loop["epoch_loop.automatic_optimization.optim_progress"]["optimizer"]
        steps = optimizer["step"]["total"]["completed"]
        return Progress(steps, epochs["processed"], epochs["ready"] > epochs["processed"])
    except (KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged: it does not say how far the run was") from error


def check_archive(file: IO[bytes]) -> None:
    """Raises an exception unless a file is a zip that unpacks to no more than its own size.

    `torch.save` writes such a zip. Zip bombs are refused, and so are torch's older formats, whose
    size is not known before they are read.
    """
    with zipfile.ZipFile(file) as archive:
        declared = sum(member.file_size for member in archive.infolist())
    if declared > file.seek(0, os.SEEK_END):
        raise pickle.UnpicklingError(f"it declares {declared} bytes")
    file.seek(0)


def values_in(checkpoint: Any) -> Iterator[Any]:
    """Every value in nested dicts, lists and tuples, as a checkpoint consists of."""
    to_do, seen = [checkpoint], set()
    while to_do:
        value = to_do.pop()
        if isinstance(value, dict | list | tuple):
            if id(value) not in seen:  # a pickled list may contain itself
                seen.add(id(value))
                to_do.extend(value.values() if isinstance(value, dict) else value)
        else:
            yield value


def build(network: dict[str, Any], weights: dict[str, torch.Tensor], origin: Path) -> StripVAE:
    """The model that `network` describes, with `weights` in it, in eval mode.

    It is built on the meta device, without memory, so that a file that declares more than it holds
    is refused before anything of that size is allocated.
    """
    try:
        with torch.device("meta"):
            model = StripVAE(**network)
        check_weights(model, weights)
    except (RuntimeError, TypeError, ValueError, KeyError, AttributeError) as error:
        raise UserError(
            f"{origin} does not hold the weights of the network it describes"
        ) from error
    return model.eval().requires_grad_(False)


def check_weights(model: torch.nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Assigns weights to a model on the meta device. Raises an exception unless they are complete,
    of its shapes, float32 and finite."""
    model.load_state_dict(weights, assign=True)
    for name, value in weights.items():
        if (value.dtype, value.layout) != (torch.float32, torch.strided):
            raise TypeError(f"{name} is {value.dtype}")
        if not value.isfinite().all():
            raise ValueError(f"{name} holds values that are no numbers")


def record(options: TrainOptions, network: dict[str, Any]) -> dict[str, Any]:
    """The checkpoint's entry "garfield_vae", from which the model is built without any flags."""
    return {
        "format": CHECKPOINT_FORMAT,
        "version": __version__,
        "options": asdict(options),
        "network": network,
    }


def is_exported(folder: Path) -> bool:
    return (folder / CONFIG).is_file() and not (folder / "checkpoints").is_dir()


def load_model(folder: Path, device: str | torch.device = "cpu") -> LoadedModel:
    """The model of a run's folder or of an exported one. Raises UserError if it is neither."""
    return load_exported(folder, device) if is_exported(folder) else load_run(folder, device)


def load_exported(folder: Path, device: str | torch.device = "cpu") -> LoadedModel:
    """Loads an exported model. Raises UserError where a file is missing or damaged."""
    path = folder / CONFIG
    config = read_config(path)
    try:
        network, trained, epoch = config["network"], dict(config["training"]), int(config["epoch"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{path} is damaged: it does not say which model it describes") from error
    options = train_options(trained, path)
    weights = read_weights(folder / WEIGHTS)
    if config["format"] == OLD_FORMAT:
        weights = convert_weights(weights)
    model = build(network, weights, folder / WEIGHTS).to(device)
    with open_regular(folder / WEIGHTS) as file:
        digest = file_digest(file)
    return LoadedModel(model, options, folder, folder / WEIGHTS, epoch, digest)


def exported_space(run: LoadedModel) -> LatentSpace:
    """The latent space that was exported with a model."""
    return read_space(run.folder / LATENT, run.model.config["z_dim"])[0]


def read_config(path: Path) -> dict[str, Any]:
    try:
        config = read_json(path, LARGEST_CONFIG)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise UserError(f"{path} is damaged: it is no JSON") from error
    if not isinstance(config, dict) or "format" not in config:
        raise UserError(f"{path} describes no model of this project")
    if config["format"] not in (OLD_FORMAT, CONFIG_FORMAT):
        raise UserError(
            f"{path} was written in another format than this version reads ({CONFIG_FORMAT}): "
            f"use the version that wrote it"
        )
    return config


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file, converted to float32."""
    try:
        return expanded(load(read_tensor_file(path)))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error})") from error
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise UserError(f"{path} cannot be read, it is damaged or cut off") from error
