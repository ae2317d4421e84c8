"""Where a run's first weights come from: --start_from.

A network that has learned to draw any strips learns a new comic's in a fraction of the steps. The
weights that come with the project were trained on drawn strips. Where a run starts from another one
on the same strips, none of its validation or test strips was a training strip of the other: the
split is a hash of the strips' weeks.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from garfield_vae.checkpoints import CONFIG, load_model, read_config
from garfield_vae.cli.flags import LAST_NAME
from garfield_vae.cli.options import SCRATCH, SIZES, TrainOptions
from garfield_vae.run_folder import (
    PRETRAINED,
    PRETRAINED_NAME,
    find_model_folder,
    is_pretrained_there,
)
from garfield_vae.training.module import StripModule
from garfield_vae.util.errors import UserError


def with_start(options: TrainOptions) -> TrainOptions:
    """The options with `auto` decided, and `last` as the folder that it names now.

    `auto` is the pretrained weights where the network has their sizes, unless the strips are drawn
    ones: those the weights have seen, and figures of held-out strips would be too good.
    """
    start = options.start_from
    if start == "auto":
        fits = (
            options.source != "drawn"
            and is_pretrained_there()
            and not differences(read_config(PRETRAINED / CONFIG)["network"], options)
        )
        start = PRETRAINED_NAME if fits else SCRATCH
    elif start == LAST_NAME:
        start = str(find_model_folder(start, Path(options.log_dir)))
    return replace(options, start_from=start)


def differences(network: dict[str, Any], options: TrainOptions) -> list[str]:
    """The sizes in which a trained network is not the one of these options."""
    return [size for size in SIZES if network[size] != getattr(options, size)]


def start(module: StripModule, options: TrainOptions) -> None:
    """Puts the weights that a new run starts from into its module, and into the average of them.

    Raises UserError where there are none, or of a network of other sizes.
    """
    if options.start_from == SCRATCH:
        return
    loaded = load_model(find_model_folder(options.start_from, Path(options.log_dir)))
    if other := differences(loaded.model.config, options):
        size = other[0]
        raise UserError(
            f"--start_from {options.start_from} has --{size} {loaded.model.config[size]}, and this "
            f"run {getattr(options, size)}: give the same, or --start_from {SCRATCH}"
        )
    weights = loaded.model.state_dict()
    with torch.no_grad():
        module.vae.load_state_dict(weights)
        module.averaged.module.load_state_dict(weights)


def described(options: TrainOptions) -> str:
    """Where the weights come from, for the banner."""
    if options.start_from == SCRATCH:
        return "random weights"
    if options.start_from != PRETRAINED_NAME:
        return f"weights of {options.start_from}"
    seen = options.source == "drawn"
    return "pretrained weights, trained on drawn strips" + (
        ", these among them: figures of held-out strips will be too good" if seen else ""
    )
