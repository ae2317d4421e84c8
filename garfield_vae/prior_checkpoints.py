"""Loads the latent prior of a run (checkpoints/prior.ckpt) or of an exported model
(prior.safetensors), and validates it as checkpoints.py does."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from garfield_vae.checkpoints import (
    CONFIG,
    WEIGHTS,
    LoadedModel,
    averaged_weights,
    check_weights,
    exported_space,
    read_archive,
    read_config,
    read_weights,
)
from garfield_vae.latent.prior_sampler import PriorSampler
from garfield_vae.latent.space import LatentSpace
from garfield_vae.model.guidance import GUIDANCE
from garfield_vae.model.prior import STEPS, LatentPrior, worth_using
from garfield_vae.model.rejection import CANDIDATES
from garfield_vae.run_folder import multiplies_bf16
from garfield_vae.util.errors import UserError

PRIOR_WEIGHTS = "prior.safetensors"
PRIOR_ENTRY = "garfield_vae_prior"  # of prior.ckpt
PRIOR_FORMAT = 3  # of prior.ckpt and of an exported prior; before, it was another network


@contextmanager
def with_advice(path: Path) -> Iterator[None]:
    """Says after an error in a latent prior's checkpoint how the run gets another prior."""
    try:
        yield
    except UserError as error:
        raise UserError(
            f"{error}: delete checkpoints/prior*.ckpt of this run, and {train_again(path)}"
        ) from error


def train_again(path: Path) -> str:
    """How to train the prior again whose checkpoint `path` is."""
    return (
        f"train its prior again with train_torch.py --continue_from {path.parent.parent} "
        f"--minutes 0 --prior_minutes MINUTES"
    )


def read_prior_checkpoint(path: Path) -> dict[str, Any]:
    """A latent prior's checkpoint. Raises UserError where it cannot be used."""
    with with_advice(path):
        checkpoint = read_archive(path, PRIOR_ENTRY)
        check_record(checkpoint[PRIOR_ENTRY], path)
    return checkpoint


def check_record(record: dict[str, Any], path: Path) -> None:
    if record.get("format") != PRIOR_FORMAT:
        raise UserError(
            f"{path} is of another version of this program, whose prior had another network"
        )
    kinds = {"config": dict, "vae": str, "strips": str, "loss": float}
    kinds |= {"minutes": float, "planned": int, "complete": bool, "seconds": float}
    if not (
        all(type(record.get(name)) is kind for name, kind in kinds.items())
        and 0 <= record["seconds"] < math.inf
        and record["planned"] >= 0
    ):
        raise UserError(f"{path} is damaged, it does not say which prior it holds")


def load_prior(run: LoadedModel) -> tuple[LatentPrior, float] | None:
    """The latent prior of a run or of an exported model, in eval mode, and its validation loss.

    None where there is none, or only one of another VAE. Raises UserError where it is damaged.
    """
    if run.checkpoint.name == WEIGHTS:
        return load_exported_prior(run)
    path = run.folder / "checkpoints" / "prior.ckpt"
    if not path.is_file():
        return None
    checkpoint = read_prior_checkpoint(path)
    record = checkpoint[PRIOR_ENTRY]
    if record["vae"] != run.digest:
        return None
    with with_advice(path):
        weights = averaged_weights(checkpoint, path)
        return build_prior(record["config"], weights, path, run), record["loss"]


def prior_sampler(
    found: tuple[LatentPrior, float] | None,
    space: LatentSpace,
    steps: int = STEPS,
    guidance: float = GUIDANCE,
    candidates: int = CANDIDATES,
) -> PriorSampler | None:
    """The sampler of what `load_prior` found; None where that is nothing, or a prior whose
    validation loss is not well below the fitted Gaussian's."""
    if found is None or not worth_using(found[1]):
        return None
    return PriorSampler(found[0], space, steps, guidance, candidates)


def why_no_prior(run: LoadedModel, found: tuple[LatentPrior, float] | None) -> tuple[str, str]:
    """Why `prior_sampler` gives none for what `load_prior` found: in a few words, and as a sentence
    that says how to get one."""
    path = run.folder / "checkpoints" / "prior.ckpt"
    if path.is_file() and found is None:
        said = f"the latent prior of {run.folder} is of an earlier VAE: {train_again(path)}"
        return "none of this VAE, only of an earlier one", said
    return "none that generalises", (
        f"{run.folder} has no latent prior, or one that learned too little that generalises: "
        f"train its run for longer (train_torch.py --continue_from, --prior_minutes)"
    )


def load_exported_prior(run: LoadedModel) -> tuple[LatentPrior, float] | None:
    path = run.folder / PRIOR_WEIGHTS
    described = read_config(run.folder / CONFIG).get("prior")
    if not path.exists():
        if isinstance(described, dict) and described.get("format") == PRIOR_FORMAT:
            raise UserError(f"{path} is not there: give the folder as it was written")
        return None
    if not (isinstance(described, dict) and isinstance(described.get("loss"), float)):
        raise UserError(f"{run.folder / CONFIG} does not describe the prior in {path.name}")
    if described.get("format") != PRIOR_FORMAT:
        raise UserError(
            f"{path} is of another version of this program, whose prior had another network: "
            f"export the model again, or delete the file to sample without a prior"
        )
    gaussian = gaussian_of(exported_space(run))
    return build_prior(
        described.get("config"), gaussian | read_weights(path), path, run
    ), described["loss"]


def gaussian_of(space: LatentSpace) -> dict[str, torch.Tensor]:
    """The Gaussian of a latent space, as buffers of a LatentPrior."""
    arrays = {"mean": space.mean, "directions": space.components, "std": space.std}
    return {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}


def build_prior(
    config: Any, weights: dict[str, torch.Tensor], origin: Path, run: LoadedModel
) -> LatentPrior:
    """The prior that `config` describes, with `weights` in it; like `checkpoints.build`."""
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
        prior = LatentPrior(**config)  # has buffers that are in no file
        prior.load_state_dict(weights)
    except (RuntimeError, TypeError, ValueError, KeyError, AttributeError) as error:
        raise UserError(f"{origin} does not hold the prior that it describes") from error
    device = next(run.model.parameters()).device
    prior.bf16 = multiplies_bf16(device)
    return prior.eval().requires_grad_(False).to(device)
