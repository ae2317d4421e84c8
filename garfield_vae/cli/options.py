"""The flags of both scripts: their defaults, their groups, and the help that a person reads.

Each script's options are a frozen dataclass; a field's `option(...)` says everything about its
flag.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from garfield_vae.cli.flags import auto_or, decimal, fits, option, share, whole
from garfield_vae.geometry import PANEL_HEIGHT, PANEL_WIDTH
from garfield_vae.latent.space import NOVELTY
from garfield_vae.util.errors import UserError

DATA, MODEL, OBJECTIVE, TRAINING, MACHINE, RUN = (
    "strips",
    "network",
    "objective",
    "training",
    "machine",
    "run",
)


@dataclass(frozen=True)
class TrainOptions:
    """What `train_torch.py` can be told. JSON-able values only: checkpoints carry them."""

    source: str = option(
        "web",
        DATA,
        "where strips come from: web (downloads what is missing), drawn (strips that the project "
        "draws itself, no network), folder (any pictures of strips under --data_dir), or one or "
        "more comic sites in the order to try them, with commas: uclick,jikos,gocomics,arcamax",
    )
    comic: str = option("garfield", DATA, "which comic to download", metavar="NAME")
    data_dir: str = option("data", DATA, "folder of the strips", metavar="DIR")
    count: int = option(
        4000, DATA, "strips to draw with --source drawn", type=whole(20), metavar="N"
    )
    panel_height: int = option(
        PANEL_HEIGHT, DATA, "height of a panel in pixels", type=whole(1), metavar="PX"
    )
    panel_width: int = option(
        PANEL_WIDTH, DATA, "width of a panel in pixels", type=whole(1), metavar="PX"
    )

    z_dim: int = option(1024, MODEL, "latent dimensions", type=whole(1), metavar="N")
    c_hidden: int = option(
        8, MODEL, "channels at full resolution, doubled at each halving", type=whole(1), metavar="N"
    )
    num_blocks: int = option(2, MODEL, "ResNet blocks per resolution", type=whole(1), metavar="N")

    beta: float | str = option(
        "auto",
        OBJECTIVE,
        "weight of the KL term in MSE + beta·KL: a number, or auto for the calibrated value "
        "2·MSE/D, which follows the training error (1e-4 blurs heavily: it says that pixels are "
        "off by 4 on a scale of −1 to 1)",
        type=auto_or(decimal(0.0)),
        metavar="B",
    )
    beta_warmup: int = option(
        0, OBJECTIVE, "steps over which beta rises from 0", type=whole(0), metavar="STEPS"
    )

    batch_size: int | str = option(
        "auto",
        TRAINING,
        "strips per step and device; auto is 8 on a processor, whose time is best spent on many "
        "small steps, and 32 on a GPU, which takes hardly longer for them than for 8",
        type=auto_or(whole(1)),
        metavar="N",
    )
    epochs: int = option(400, TRAINING, "passes over the strips", type=whole(1), metavar="N")
    minutes: float | None = option(
        None,
        TRAINING,
        "stop after this long, if that comes before --epochs",
        type=decimal(0, open_end=True),
        metavar="M",
    )
    lr: float | str = option(
        "auto",
        TRAINING,
        "peak learning rate; auto is 0.01 / c_hidden, near the most that trains stably",
        type=auto_or(decimal(0, open_end=True)),
        metavar="LR",
    )
    augment: float | str = option(
        "auto",
        TRAINING,
        "share of the strips that are mirrored, shifted and stretched at each step, 0 to 1; auto: "
        "many of a few hundred strips, few of many thousands",
        type=auto_or(share),
        metavar="SHARE",
    )
    seed: int = option(0, TRAINING, "seed of everything random", type=whole(0), metavar="N")

    accelerator: str = option(
        "auto", MACHINE, "what computes", choices=("auto", "cpu", "gpu", "mps")
    )
    devices: int | str = option(
        "auto", MACHINE, "devices per machine, or auto", type=auto_or(whole(1)), metavar="N"
    )
    num_nodes: int = option(1, MACHINE, "machines", type=whole(1), metavar="N")
    strategy: str = option("auto", MACHINE, "Lightning's strategy, such as ddp", metavar="NAME")
    precision: str = option(
        "auto",
        MACHINE,
        "number format; auto is bf16-mixed where the processor computes in it, else 32-true",
        choices=("auto", "32-true", "bf16-mixed", "16-mixed"),
    )
    num_workers: int = option(
        0,
        MACHINE,
        "processes that load batches; 0 is the fastest, since batches are read whole",
        type=whole(0),
        metavar="N",
    )
    compile: bool = option(
        False, MACHINE, "torch.compile the network: pays on a GPU, costs minutes on a CPU"
    )

    log_dir: str = option("logs", RUN, "folder of the runs", metavar="DIR")
    run_name: str | None = option(
        None, RUN, "name of the run's folder; the time of day if not given", metavar="NAME"
    )
    continue_from: str | None = option(
        None, RUN, "a run's folder to go on with, or last for the newest", metavar="DIR"
    )
    demo: bool = option(
        False, RUN, "two minutes on a thousand drawn strips: pictures at once, without a network"
    )
    progress_bar: bool = option(False, RUN, "show a progress bar instead of a line an epoch")


MODEL_FLAGS, LATENT, PICTURES, MEASURE, EXPLORE = (
    "model",
    "latent space",
    "pictures",
    "measures",
    "explorer",
)


@dataclass(frozen=True)
class ProcessOptions:
    """What `process_model.py` can be told."""

    experiment_dir: str = option(
        "", MODEL_FLAGS, "a run's folder under logs/, or an exported model", metavar="DIR"
    )
    z_dim: int | None = option(
        None, MODEL_FLAGS, "checked against the checkpoint's", type=whole(1), metavar="N"
    )
    c_hidden: int | None = option(
        None, MODEL_FLAGS, "checked against the checkpoint's", type=whole(1), metavar="N"
    )
    num_blocks: int | None = option(
        None, MODEL_FLAGS, "checked against the checkpoint's", type=whole(1), metavar="N"
    )
    data_dir: str | None = option(
        None, MODEL_FLAGS, "where the run's strips are now, if they moved", metavar="DIR"
    )
    accelerator: str = option(
        "auto", MODEL_FLAGS, "what computes", choices=("auto", "cpu", "gpu", "mps")
    )
    progress_bar: bool = option(
        False, MODEL_FLAGS, "accepted for old commands' sake: on a terminal, bars are always shown"
    )

    components: int = option(
        20, LATENT, "principal components that become walks and sliders", type=whole(1), metavar="K"
    )
    prior: bool = option(
        False, LATENT, "sample from N(0, I) instead of the density fitted to the strips' latents"
    )
    temperature: float = option(
        1.0, LATENT, "spread of the samples: 0 is the average strip", type=decimal(0), metavar="T"
    )
    novelty: float = option(
        NOVELTY,
        LATENT,
        "how far samples are from the strips they mix: 0 gives the strips, 1 forgets them",
        type=share,
        metavar="H",
    )
    seed: int = option(0, LATENT, "seed of the samples", type=whole(0), metavar="N")

    num_samples: int = option(24, PICTURES, "strips to sample", type=whole(0), metavar="N")
    interpolate: tuple[str, str] | None = option(
        None,
        PICTURES,
        "a morph between two strips, each a date (1985-03-12) or a picture file",
        nargs=2,
        metavar=("A", "B"),
    )
    reconstruct: str | None = option(
        None, PICTURES, "encode and decode this picture of a strip", metavar="FILE"
    )

    evaluate: bool = option(
        False, MEASURE, "measure the run on its held-out strips and write processed/report.html"
    )
    export: str | None = option(
        None,
        MEASURE,
        "write the model to a new folder to give away (safetensors, ONNX, a model card); that "
        "folder can be an --experiment_dir, without any strips",
        metavar="DIR",
    )

    explore: bool = option(False, EXPLORE, "open the page where sliders turn the strip")
    port: int = option(8176, EXPLORE, "port of that page; 0 picks a free one", type=whole(0))
    open: bool = option(False, EXPLORE, "open the browser too")
    export_page: str | None = option(
        None,
        EXPLORE,
        "write the sliders with the decoder inside as one HTML file, which runs without a server",
        metavar="FILE",
    )

    @property
    def asks_for_something(self) -> bool:
        """Whether one of the flags that replace the usual pictures was given."""
        return any(
            (
                self.interpolate,
                self.reconstruct,
                self.evaluate,
                self.export,
                self.export_page,
                self.explore,
            )
        )


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
    return TrainOptions(**values)
