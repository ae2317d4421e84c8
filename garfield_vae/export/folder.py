"""Exports a trained model to a folder, which `checkpoints.load_exported` reads.

It has a model card with a picture, too, and the networks in ONNX where onnx is installed. It is
written under a temporary name beside its own, loaded to check it, and then renamed.
"""

import glob
import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from garfield_vae import __version__
from garfield_vae.checkpoints import (
    CONFIG,
    CONFIG_FORMAT,
    WEIGHTS,
    LoadedModel,
    exported_space,
    load_exported,
)
from garfield_vae.cli.options import DATA, MODEL, OBJECTIVE, TRAINING, TrainOptions
from garfield_vae.cli.outputs import check_new_folder
from garfield_vae.data.panels import join_panels
from garfield_vae.export.card import model_card
from garfield_vae.export.onnx_files import can_write_onnx, write_onnx
from garfield_vae.latent import samplers
from garfield_vae.latent.codec import decode
from garfield_vae.latent.files import LATENT, write_space
from garfield_vae.latent.space import LatentSpace
from garfield_vae.prior_checkpoints import (
    PRIOR_FORMAT,
    PRIOR_WEIGHTS,
    gaussian_of,
    load_prior,
    prior_sampler,
)
from garfield_vae.run_folder import write_json
from garfield_vae.util.compact import compacted
from garfield_vae.util.errors import UserError
from garfield_vae.util.files import remedy, remove_abandoned, replacing, temporary_name
from garfield_vae.util.pictures import save_png, sheet

SAMPLES = 8  # in the card's picture
SHARED = (DATA, MODEL, OBJECTIVE, TRAINING)  # groups of options


def export_model(
    run: LoadedModel, space: LatentSpace, directory: Path, compact: bool = False
) -> list[str]:
    """Writes the model to `directory` and returns the names of its files.

    Compact: weights in 8 and 16 bits, the latents of fewer strips, and no ONNX.
    Raises UserError where the folder is not new or empty, or cannot be written; nothing is left
    then.
    """
    directory = directory.resolve()
    check_new_folder(directory)
    temporary = temporary_name(directory)
    try:
        temporary.mkdir(parents=True)
        remove_abandoned(directory.parent, glob.escape(directory.name))
        fill(run, space, temporary, directory.name, compact)
        names = sorted(path.name for path in temporary.iterdir())
        if directory.exists():
            directory.rmdir()  # Windows does not rename over an empty folder
        temporary.rename(directory)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, OSError):
            raise UserError(
                f"the model cannot be written to {directory} ({error.strerror or error}): "
                f"{remedy(error)}"
            ) from error
        raise
    return names


def fill(run: LoadedModel, space: LatentSpace, folder: Path, name: str, compact: bool) -> None:
    """Writes all files into `folder`. Samples and ONNX are made from the model as it is loaded from
    the files, so that errors in those show here."""
    options, prior = shared_options(run.options), load_prior(run)
    write_json(
        folder / CONFIG,
        {
            "format": CONFIG_FORMAT,
            "version": __version__,
            "network": run.model.config,
            "training": options,
            "epoch": run.epoch,
            "prior": None
            if prior is None
            else {"format": PRIOR_FORMAT, "config": prior[0].config, "loss": prior[1]},
        },
    )
    write_weights(folder / WEIGHTS, run.model.state_dict(), compact)
    if prior is not None:
        known = gaussian_of(space)  # is in latent.safetensors
        weights = {
            name: value
            for name, value in prior[0].state_dict().items()
            if name not in known or not torch.equal(value.cpu(), known[name])
        }
        write_weights(folder / PRIOR_WEIGHTS, weights, compact)
    write_space(folder / LATENT, space, compact=compact)
    written = load_exported(folder)
    written_space = exported_space(written)
    written_prior = prior_sampler(load_prior(written), written_space)
    sampler = "kernel" if written_prior is None else "prior"
    rng = np.random.default_rng(0)
    latents = samplers.draw(written_space, SAMPLES, rng, sampler, prior=written_prior)
    picture = sheet(join_panels(decode(written.model, latents)), columns=2)
    save_png(folder / "samples.png", picture.quantize(256) if compact else picture)
    if onnx := can_write_onnx() and not compact:
        write_onnx(written.model, folder)
    with replacing(folder / "README.md", "w") as file:
        file.write(model_card(run, name, SAMPLES, options, __version__, onnx))


def write_weights(path: Path, weights: dict[str, Tensor], compact: bool) -> None:
    weights = compacted(weights) if compact else weights
    tensors = {name: value.cpu().contiguous() for name, value in weights.items()}
    with replacing(path) as file:
        file.write(save(tensors))


def shared_options(options: TrainOptions) -> dict[str, Any]:
    """The options of training, without those of the machine that it ran on."""
    shared = {
        item.name: getattr(options, item.name)
        for item in fields(options)
        if item.metadata["group"] in SHARED and item.name != "data_dir"
    }
    return shared | {"start_from": Path(options.start_from).name}
