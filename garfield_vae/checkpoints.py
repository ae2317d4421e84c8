"""Reads a trained model from any of its files, believing nothing before it is checked.

A run's folder has checkpoints/best.ckpt and last.ckpt. An exported model has

    model.safetensors   the averaged weights
    config.json         format, version, the network's sizes, how it was trained
    latent.safetensors  the latent space that samples, walks and sliders need
    prior.safetensors   the latent prior, if there is one: its network, and the Gaussian that it
                        starts from where that is not the latent space's own

Numbers are float32. In a compact export those of convolutions are float16, and a dense layer is
int8 with a scale for each row beside it (`compacted`).

There are no strips in it, and none are needed. Nothing in either can run, whoever made it.
"""

import math
import os
import pickle
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load

from garfield_vae import __version__
from garfield_vae.cli.options import TrainOptions, train_options
from garfield_vae.data.images import open_strip
from garfield_vae.data.panels import cut_panels, join_panels
from garfield_vae.latent.codec import reconstruct
from garfield_vae.latent.files import LATENT, file_digest, read_space
from garfield_vae.latent.prior_sampler import PriorSampler
from garfield_vae.latent.space import LatentSpace
from garfield_vae.model.networks import StripVAE
from garfield_vae.model.prior import GUIDANCE, STEPS, LatentPrior, worth_using
from garfield_vae.old_formats import convert_checkpoint, convert_weights
from garfield_vae.run_folder import find_checkpoint
from garfield_vae.util.errors import UserError
from garfield_vae.util.files import open_regular, read_json
from garfield_vae.util.tensors import read_tensor_file

CHECKPOINT_FORMAT = 3  # of a checkpoint's entry "garfield_vae"; 2 is converted, others are refused
CONFIG_FORMAT = 3  # of config.json; the same
OLD_FORMAT = 2  # of both
LARGEST_CONFIG = 2**20  # bytes; one that is written here has a thousand
WEIGHTS, CONFIG, PRIOR_WEIGHTS = "model.safetensors", "config.json", "prior.safetensors"
PRIOR_ENTRY, PRIOR_FORMAT = "garfield_vae_prior", 1  # of prior.ckpt


@dataclass(frozen=True)
class LoadedModel:
    """A trained model, ready to use: `model` has the averaged weights and is in eval mode."""

    model: StripVAE
    options: TrainOptions
    folder: Path
    checkpoint: Path
    epoch: int

    def reconstruct(self, picture: str | Path) -> Image.Image:
        """A picture file of a strip, encoded and decoded: what the latent vector keeps of it."""
        height, width = self.model.config["panel_height"], self.model.config["panel_width"]
        panels = cut_panels(open_strip(Path(picture)), height, width)  # uint8 [3, 3, H, W]
        return Image.fromarray(join_panels(reconstruct(self.model, panels[None]))[0])


def load_run(folder: Path, device: str | torch.device = "cpu") -> LoadedModel:
    """Loads the best checkpoint of a run (the last one, if it never was validated)."""
    path = find_checkpoint(folder, "best", "last")
    checkpoint = read_checkpoint(path)
    record, prefix = checkpoint["garfield_vae"], "averaged.module."
    try:
        weights = {
            name.removeprefix(prefix): value
            for name, value in checkpoint["state_dict"].items()
            if name.startswith(prefix)
        }
        network, options = record["network"], dict(record["options"])
        epoch = int(checkpoint["epoch"])
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise UserError(f"{path} is damaged: it does not say which model it holds") from error
    model = build(network, weights, path).to(device)
    return LoadedModel(model, train_options(options, path), folder, path, epoch)


def read_archive(path: Path, entry: str) -> dict[str, Any]:
    """What `torch.save` wrote, read without running anything in it; `entry` names the dict in it
    that says whose it is. Raises UserError if it is no good."""
    try:
        with open_regular(path) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's remarks on a file that it then refuses
            check_archive(file)
            checkpoint = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path} is refused: it is damaged or holds more than weights and plain values"
        ) from error
    except Exception as error:  # a damaged archive fails in as many ways as it has bytes
        raise UserError(f"{path} cannot be read, it is damaged or cut off") from error
    for value in values_in(checkpoint):
        if not torch.is_tensor(value):
            continue
        # A sparse one, or one number that is declared to be 10^12, could be of any size.
        if value.layout != torch.strided or value.untyped_storage().nbytes() < value.nbytes:
            raise UserError(f"{path} is refused: it declares more than it holds")
    if not (isinstance(checkpoint, dict) and isinstance(checkpoint.get(entry), dict)):
        raise UserError(f"{path} is no checkpoint of this project")
    return checkpoint


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A VAE's checkpoint, in today's format. Raises UserError if it is no good."""
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


def read_prior_checkpoint(path: Path) -> dict[str, Any]:
    """A latent prior's checkpoint. Raises UserError if it is no good."""
    checkpoint = read_archive(path, PRIOR_ENTRY)
    record = checkpoint[PRIOR_ENTRY]
    if record.get("format") != PRIOR_FORMAT:
        raise UserError(
            f"{path} was written in another format than this version reads ({PRIOR_FORMAT}): use "
            f"the version that wrote it"
        )
    kinds = {"config": dict, "vae": str, "strips": str, "loss": float}
    kinds |= {"minutes": float, "planned": int, "complete": bool, "seconds": float}
    if not (
        all(type(record.get(name)) is kind for name, kind in kinds.items())
        and 0 <= record["seconds"] < math.inf
        and record["planned"] >= 0
    ):
        raise UserError(f"{path} is damaged: it does not say which prior it holds")
    return checkpoint


def load_prior(run: "LoadedModel") -> tuple[LatentPrior, float] | None:
    """The latent prior of a run or of an exported model, in eval mode, and its validation loss.

    None where there is none, or one of another VAE. Raises UserError where it is damaged.
    """
    if run.checkpoint.name == WEIGHTS:
        return load_exported_prior(run)
    path = run.folder / "checkpoints" / "prior.ckpt"
    if not path.is_file():
        return None
    checkpoint = read_prior_checkpoint(path)
    record, prefix = checkpoint[PRIOR_ENTRY], "averaged.module."
    if record["vae"] != file_digest(run.checkpoint):
        return None
    state = checkpoint.get("state_dict")
    if not isinstance(state, dict):
        raise UserError(f"{path} is damaged: it holds no weights")
    weights = {
        str(n).removeprefix(prefix): v for n, v in state.items() if str(n).startswith(prefix)
    }
    return build_prior(record["config"], weights, path, run), record["loss"]


def load_prior_sampler(
    run: "LoadedModel", space: LatentSpace, steps: int = STEPS, guidance: float = GUIDANCE
) -> PriorSampler | None:
    """The latent prior of a model, ready to draw from; None where there is none, or one that
    did not learn enough that holds for strips outside the training set."""
    found = load_prior(run)
    if found is None or not worth_using(found[1]):
        return None
    return PriorSampler(found[0], space, steps, guidance)


def load_exported_prior(run: "LoadedModel") -> tuple[LatentPrior, float] | None:
    path = run.folder / PRIOR_WEIGHTS
    if not path.exists():
        return None
    described = read_config(run.folder / CONFIG).get("prior")
    if not (isinstance(described, dict) and isinstance(described.get("loss"), float)):
        raise UserError(f"{run.folder / CONFIG} does not describe the prior in {path.name}")
    gaussian = gaussian_of(exported_space(run))
    return build_prior(
        described.get("config"), gaussian | read_weights(path), path, run
    ), described["loss"]


def gaussian_of(space: LatentSpace) -> dict[str, torch.Tensor]:
    """The buffers of a LatentPrior that the Gaussian of a latent space fills."""
    arrays = {"mean": space.mean, "directions": space.components, "std": space.std}
    return {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}


def build_prior(
    config: Any, weights: dict[str, torch.Tensor], origin: Path, run: "LoadedModel"
) -> LatentPrior:
    """The prior that `config` describes with `weights` in it, as `build` does it for the VAE."""
    _, channels, height, width = run.model.code_shape
    fits = {
        "z_dim": run.model.config["z_dim"],
        "code_channels": channels,
        "code_height": height,
        "code_width": width,
    }
    try:
        if {name: config[name] for name in fits} != fits:
            raise ValueError("it is of another model")
        with torch.device("meta"):
            described = LatentPrior(**config)
        check_weights(described, weights)
        prior = LatentPrior(**config)  # with the buffers that no file holds
        prior.load_state_dict(weights)
    except (RuntimeError, TypeError, ValueError, KeyError, AttributeError) as error:
        raise UserError(f"{origin} does not hold the prior that it describes") from error
    return prior.eval().requires_grad_(False).to(next(run.model.parameters()).device)


@dataclass(frozen=True)
class Progress:
    """How far a run was at a checkpoint: its steps, its whole epochs, and whether it has begun
    another one."""

    steps: int
    epochs: int
    mid_epoch: bool


def read_progress(checkpoint: dict[str, Any], path: Path) -> Progress:
    """Raises UserError where Lightning's counters are not all counters."""
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

    `torch.save` writes such a zip; what packs a bomb, or is in one of torch's older formats (which
    are read without knowing how much is to come), is refused.
    """
    with zipfile.ZipFile(file) as archive:
        declared = sum(member.file_size for member in archive.infolist())
    if declared > file.seek(0, os.SEEK_END):
        raise pickle.UnpicklingError(f"it declares {declared} bytes")
    file.seek(0)


def values_in(checkpoint: Any) -> Iterator[Any]:
    """Every value in what a checkpoint's pickle gives: nested dicts, lists and tuples."""
    to_do, seen = [checkpoint], set()
    while to_do:
        value = to_do.pop()
        if isinstance(value, dict | list | tuple):
            if id(value) not in seen:  # a pickle's list may be in itself
                seen.add(id(value))
                to_do.extend(value.values() if isinstance(value, dict) else value)
        else:
            yield value


def build(network: dict[str, Any], weights: dict[str, torch.Tensor], origin: Path) -> StripVAE:
    """The model that `network` describes, with `weights` in it, in eval mode.

    It is built without memory first: a file that declares more than it holds is refused by its
    shapes before anything of that size is allocated.
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
    """Puts weights into a model without memory. Raises an exception unless they are all there, of
    its shapes, float32 and finite."""
    model.load_state_dict(weights, assign=True)
    for name, value in weights.items():
        if (value.dtype, value.layout) != (torch.float32, torch.strided):
            raise TypeError(f"{name} is {value.dtype}")
        if not value.isfinite().all():
            raise ValueError(f"{name} holds values that are no numbers")


def record(options: TrainOptions, network: dict[str, Any]) -> dict[str, Any]:
    """The checkpoint's entry "garfield_vae": what rebuilds the model without any flag."""
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
    """Loads an exported model. Raises UserError for whatever stands in the way."""
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
    return LoadedModel(model, options, folder, folder / WEIGHTS, epoch)


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
    """The tensors of a safetensors file, which declares no more than it holds."""
    try:
        return expanded(load(read_tensor_file(path)))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error})") from error
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise UserError(f"{path} cannot be read, it is damaged or cut off") from error


SCALE = ".scale"  # behind the name of an 8-bit tensor: what its rows are multiplied by


def compacted(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights in a third of the bytes: dense ones, of which there are most, in 8 bits with a scale
    for each row, those of convolutions in 16. Biases stay."""
    small = {}
    for name, value in weights.items():
        if value.ndim == 2:
            scale = (value.abs().amax(dim=1) / 127).clamp(min=1e-12)
            small[name] = (value / scale[:, None]).round().to(torch.int8)
            small[name + SCALE] = scale
        else:
            small[name] = value.half() if value.ndim > 2 else value
    return small


def expanded(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The way back from `compacted`, as float32. Raises KeyError where a scale is missing, and
    ValueError where it is not that of a dense layer's rows."""
    large = {}
    for name, value in weights.items():
        if value.dtype == torch.int8:
            scale = weights[name + SCALE]
            if value.ndim != 2 or scale.shape != value.shape[:1]:
                raise ValueError(f"the scale of {name} does not fit it")
            large[name] = value.float() * scale.float()[:, None]
        elif not name.endswith(SCALE):
            large[name] = value.float() if value.dtype == torch.float16 else value
    return large
