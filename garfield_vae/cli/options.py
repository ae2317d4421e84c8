"""train_torch.py's options: defaults, groups, and the text of --help.

Each script's options are a frozen dataclass; a field's `option(...)` says everything about its
flag. process_model.py's are in process_options.py, the downloader's in download_options.py.
"""

import argparse
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from garfield_vae.cli.flags import auto_or, decimal, fits, option, recorded_path, share, whole
from garfield_vae.data.download.sites import SITES
from garfield_vae.geometry import PANEL_HEIGHT, PANEL_WIDTH
from garfield_vae.util.errors import UserError

# Larger values are taken for typing errors: no machine has the memory, or the time, for them.
MOST_PIXELS, MOST_Z, MOST_CHANNELS, MOST_BLOCKS = 1024, 65_536, 512, 64
MOST_STRIPS = 1_000_000
MOST_SEED = 2**63 - 1  # torch's generators take no more

SCRATCH = "scratch"  # untrained, of --start_from
SIZES = ("z_dim", "c_hidden", "num_blocks", "panel_height", "panel_width")  # of a network
WEB = "--source web"  # what flags of the downloader need

DATA, MODEL, OBJECTIVE, TRAINING, MACHINE, RUN = (
    "strips",
    "network",
    "objective",
    "training",
    "machine",
    "run",
)


def strip_source(text: str) -> str:
    """Reads what --source takes: web, drawn, folder, or names of comic sites with commas."""
    names = text.split(",")
    if text in ("web", "drawn", "folder") or (
        set(names) <= set(SITES) and len(set(names)) == len(names)
    ):
        return text
    raise argparse.ArgumentTypeError(
        f"{text[:40]!r} is not known: choose web, drawn, folder, or one or more of "
        f"{', '.join(SITES)}, with commas, each once"
    )


def source_flag(source: str) -> str:
    """What a flag's `needs` call a source: --source web for all comic sites."""
    return f"--source {source}" if source in ("drawn", "folder") else WEB


@dataclass(frozen=True)
class TrainOptions:
    """train_torch.py's options. Their values are those of JSON, since checkpoints hold them."""

    source: str = option(
        "web",
        DATA,
        "where strips come from: web (downloads what is missing), drawn (strips that the project "
        "draws itself, offline), folder (any pictures of strips in --data_dir), or one or "
        f"more comic sites in the order to try them, with commas: {','.join(SITES)}",
        type=strip_source,
        metavar="NAME",
    )
    comic: str = option("garfield", DATA, "which comic to download", needs=(WEB,), metavar="NAME")
    data_dir: str = option(
        "data",
        DATA,
        "folder in which each comic has a folder of its own; with --source folder, the folder of "
        "the strips, or a .zip, .cbz or .tar of them",
        type=recorded_path,
        metavar="DIR",
    )
    count: int = option(
        4000,
        DATA,
        "strips to draw with --source drawn",
        needs=("--source drawn",),
        type=whole(20, MOST_STRIPS),
        metavar="N",
    )
    keep_all: bool = option(
        False, DATA, "train also on pictures that clearly are not three panels side by side"
    )
    panel_height: int = option(
        PANEL_HEIGHT, DATA, "height of a panel in pixels", type=whole(1, MOST_PIXELS), metavar="PX"
    )
    panel_width: int = option(
        PANEL_WIDTH, DATA, "width of a panel in pixels", type=whole(1, MOST_PIXELS), metavar="PX"
    )

    z_dim: int = option(1024, MODEL, "latent dimensions", type=whole(1, MOST_Z), metavar="N")
    c_hidden: int = option(
        8,
        MODEL,
        "channels at full resolution, doubled at each halving",
        type=whole(1, MOST_CHANNELS),
        metavar="N",
    )
    num_blocks: int = option(
        2, MODEL, "ResNet blocks per resolution", type=whole(1, MOST_BLOCKS), metavar="N"
    )

    start_from: str = option(
        "auto",
        MODEL,
        "initial weights: pretrained (those that come with the project, trained on drawn strips), "
        "scratch (random), or those of a run's folder or an exported model of the same sizes; auto "
        "is pretrained where the sizes fit and --source is not drawn, else scratch",
        type=recorded_path,
        metavar="NAME",
    )

    beta: float | str = option(
        "auto",
        OBJECTIVE,
        "weight of the KL term in MSE + beta·KL: a number, or auto for the calibrated value "
        "2·MSE/D, which follows the training error (1e-4 blurs heavily: it assumes that pixels are "
        "off by 4 on a scale of −1 to 1)",
        type=auto_or(decimal(0.0, 1e6)),
        metavar="B",
    )
    beta_warmup: int = option(
        0,
        OBJECTIVE,
        "steps over which beta rises linearly from 0",
        type=whole(0, 10**9),
        metavar="STEPS",
    )

    batch_size: int | str = option(
        "auto",
        TRAINING,
        "strips per step and device; auto is 8 on a CPU, which learns most from many small steps, "
        "and 32 on a GPU, where a step of 32 takes hardly longer than one of 8",
        type=auto_or(whole(1, 65_536)),
        metavar="N",
    )
    epochs: int = option(
        400, TRAINING, "passes over the training strips", type=whole(1, 10**6), metavar="N"
    )
    minutes: float | None = option(
        None,
        TRAINING,
        "minutes after which the VAE's training ends, if --epochs are not done before; 0, with "
        "--continue_from, leaves the VAE as it is and goes on with the prior",
        type=decimal(0, 10**7),
        metavar="M",
    )
    prior_minutes: float = option(
        20.0,
        TRAINING,
        "minutes at most for the latent prior, which is trained after the VAE and from which new "
        "strips are drawn; 0 trains none",
        type=decimal(0, 10**7),
        metavar="M",
    )
    lr: float | str = option(
        "auto",
        TRAINING,
        "peak learning rate; auto is 0.01 / c_hidden, near the most that trains stably",
        type=auto_or(decimal(0, 1000, open_end=True)),
        metavar="LR",
    )
    augment: float | str = option(
        "auto",
        TRAINING,
        "data augmentation: share of the strips that are mirrored, shifted and stretched at each "
        "step, 0 to 1; auto is most of a few hundred strips and few of many thousands",
        type=auto_or(share),
        metavar="SHARE",
    )
    seed: int = option(
        0, TRAINING, "seed of all random numbers", type=whole(0, MOST_SEED), metavar="N"
    )

    accelerator: str = option(
        "auto", MACHINE, "kind of device to compute on", choices=("auto", "cpu", "gpu", "mps")
    )
    devices: int | str = option(
        "auto", MACHINE, "devices per machine, or auto", type=auto_or(whole(1)), metavar="N"
    )
    num_nodes: int = option(1, MACHINE, "number of machines", type=whole(1, 10_000), metavar="N")
    strategy: str = option("auto", MACHINE, "Lightning's strategy, such as ddp", metavar="NAME")
    precision: str = option(
        "auto",
        MACHINE,
        "number format; auto is bf16-mixed where the device has instructions for it, else 32-true",
        choices=("auto", "32-true", "bf16-mixed", "16-mixed"),
    )
    num_workers: int = option(
        0,
        MACHINE,
        "processes that load batches; 0 is the fastest, since a batch is a single read",
        type=whole(0, 256),
        metavar="N",
    )
    compile: bool = option(
        False,
        MACHINE,
        "use torch.compile, on a GPU in place of CUDA graphs; compiling takes minutes",
    )

    log_dir: str = option("logs", RUN, "folder of the runs", type=recorded_path, metavar="DIR")
    run_name: str | None = option(
        None, RUN, "name of the run's folder (default: date and time)", metavar="NAME"
    )
    continue_from: str | None = option(
        None,
        RUN,
        "a run's folder to go on with, or last for the newest",
        type=recorded_path,
        metavar="DIR",
    )
    demo: bool = option(
        False, RUN, "a small model of a thousand drawn strips, in three minutes and offline"
    )
    progress_bar: bool = option(False, RUN, "show a progress bar instead of a line per epoch")


def train_options(values: dict[str, Any], origin: str | Path) -> TrainOptions:
    """The options that `origin` (a file, for the error) recorded.

    Unknown names are refused, and values that the command line would refuse.
    """
    known = {item.name: item for item in fields(TrainOptions)}
    if unknown := sorted(str(name) for name in set(values) - set(known)):
        raise UserError(
            f"{origin} has options that this version does not know ({', '.join(unknown)[:200]}): "
            f"use the version that wrote it"
        )
    for name, value in values.items():
        if not fits(known[name], value):
            raise UserError(f"{origin} is damaged: its {name} is nothing that --{name} takes")
    # Before there was --start_from, every run began with untrained weights.
    return TrainOptions(**{"start_from": SCRATCH} | values)
