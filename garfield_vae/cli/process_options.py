"""process_model.py's options: defaults, groups, and the text of --help."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from garfield_vae.cli.flags import LAST_NAME, PRETRAINED_NAME, decimal, option, path, whole
from garfield_vae.cli.options import MOST_BLOCKS, MOST_CHANNELS, MOST_SEED, MOST_Z

SAMPLERS = ("prior", "kernel", "gaussian", "normal")  # of latent/samplers.py

MODEL_FLAGS, SAMPLING, PICTURES, MEASURE, EXPLORE = (
    "model",
    "sampling",
    "pictures",
    "measures and export",
    "explorer",
)
USUAL = "the usual pictures"  # what is drawn where no flag asks for something else
# What the latent prior draws strips for.
DRAWS_STRIPS = (USUAL, "--complete", "--explore", "--export_page", "--evaluate")
USES_PRIOR = (*DRAWS_STRIPS, "--interpolate")
USES_LATENTS = (*USES_PRIOR, "--export")  # those of the run's strips
WRITES_PICTURES = {USUAL, "--interpolate", "--complete", "--reconstruct", "--evaluate"}
LAST, PRETRAINED = f"--experiment_dir {LAST_NAME}", f"--experiment_dir {PRETRAINED_NAME}"
PRETRAINED_FOLDER = Path(__file__).parents[1] / "pretrained"  # the model of the project


def kept_panels(text: str) -> str:
    """Reads which of the three panels are kept: one or two of them, with commas between."""
    panels = sorted({panel.strip() for panel in text.split(",")})
    if not set(panels) < {"1", "2", "3"}:
        raise argparse.ArgumentTypeError(
            f"{text[:40]!r} does not name one or two of the panels 1, 2 and 3, such as 1,2"
        )
    return ",".join(panels)


def named_model(experiment_dir: str) -> str:
    """--experiment_dir as it is meant: the pretrained model may be given as its folder."""
    if Path(experiment_dir).resolve() == PRETRAINED_FOLDER.resolve():
        return PRETRAINED
    return f"--experiment_dir {experiment_dir}"


@dataclass(frozen=True)
class ProcessOptions:
    experiment_dir: str = option(
        "",
        MODEL_FLAGS,
        "a run's folder under logs/, last for the newest, an exported model, or pretrained for the "
        "one that comes with the project (a folder of that name is ./pretrained)",
        type=path,
        metavar="DIR",
    )
    log_dir: str = option(
        "logs",
        MODEL_FLAGS,
        "folder of the runs, of which last is the newest, and of the pretrained model's pictures",
        needs=(LAST, PRETRAINED),
        type=path,
        metavar="DIR",
    )
    z_dim: int | None = option(
        None, MODEL_FLAGS, "checked against the checkpoint's", type=whole(1, MOST_Z), metavar="N"
    )
    c_hidden: int | None = option(
        None,
        MODEL_FLAGS,
        "checked against the checkpoint's",
        type=whole(1, MOST_CHANNELS),
        metavar="N",
    )
    num_blocks: int | None = option(
        None,
        MODEL_FLAGS,
        "checked against the checkpoint's",
        type=whole(1, MOST_BLOCKS),
        metavar="N",
    )
    data_dir: str | None = option(
        None,
        MODEL_FLAGS,
        "where the run's strips are now, if they moved",
        needs=USES_LATENTS,
        type=path,
        metavar="DIR",
    )
    accelerator: str = option(
        "auto", MODEL_FLAGS, "kind of device to compute on", choices=("auto", "cpu", "gpu", "mps")
    )
    progress_bar: bool = option(
        False, MODEL_FLAGS, "no effect: on a terminal, progress bars are always shown"
    )

    num_samples: int = option(
        24, SAMPLING, "new strips in samples.png", needs=(USUAL,), type=whole(0, 1000), metavar="N"
    )
    sampler: str | None = option(
        None,
        SAMPLING,
        "how latents of new strips are drawn: prior (the latent prior, the default where a run has "
        "one), kernel (a kernel density estimate of the aggregate posterior, the default where it "
        "has none; its samples stay close to training strips), gaussian (one Gaussian with its "
        "mean and covariance), normal (N(0, I), the prior of the loss)",
        needs=(USUAL,),
        choices=SAMPLERS,
    )
    steps: int = option(
        16,
        SAMPLING,
        "steps of the latent prior's sampler from noise to a latent vector; a single one gives "
        "little else than a sample of one Gaussian",
        needs=USES_PRIOR,
        type=whole(1, 1000),
        metavar="N",
    )
    guidance: float = option(
        1.5,
        SAMPLING,
        "guidance of the latent prior (autoguidance): 0 is a single Gaussian, 1 the prior as it "
        "was trained, above 1 gives cleaner strips, whose panels agree better; far above, "
        "distorted ones",
        needs=USES_PRIOR,
        type=decimal(0, 10),
        metavar="W",
    )
    candidates: int = option(
        8,
        SAMPLING,
        "strips that the latent prior draws at most for a new one: one that it finds a fault in, "
        "such as a character that is half there, is drawn again; 1 keeps the first",
        needs=DRAWS_STRIPS,
        type=whole(1, 100),
        metavar="N",
    )
    temperature: float = option(
        1.0,
        SAMPLING,
        "how far samples may be from the mean strip: below 1 more ordinary ones (0: the same one "
        "each time), above 1 more unusual ones",
        needs=(USUAL,),
        type=decimal(0, 10),
        metavar="T",
    )
    seed: int = option(
        0,
        SAMPLING,
        "seed of all random numbers",
        needs=(USUAL, "--evaluate", "--complete"),
        type=whole(0, MOST_SEED),
        metavar="N",
    )

    components: int = option(
        20,
        PICTURES,
        "principal components that become latent traversals and sliders",
        needs=USES_LATENTS,
        type=whole(1, 1000),
        metavar="K",
    )
    interpolate: tuple[str, str] | None = option(
        None,
        PICTURES,
        "morph one strip into another, each a date (1985-03-12) or a picture file",
        nargs=2,
        type=path,
        metavar=("A", "B"),
    )
    complete: str | None = option(
        None,
        PICTURES,
        "finish a strip, given by its date or a picture file: the latent prior draws its other "
        "panels, in several versions",
        type=path,
        metavar="STRIP",
    )
    panels: str | None = option(
        None,
        PICTURES,
        "the panels to keep, such as 1,2 (default: those that are not blank)",
        needs=("--complete",),
        type=kept_panels,
        metavar="1,2",
    )
    reconstruct: str | None = option(
        None, PICTURES, "encode and decode this picture of a strip", type=path, metavar="FILE"
    )

    fit_steps: int = option(
        4,
        PICTURES,
        "steps in which the latents of a strip that is redrawn are improved by its own error, from "
        "the encoder's on (semi-amortised inference): 0 is the encoder alone",
        needs=(USUAL, "--reconstruct", "--explore", "--evaluate"),
        type=whole(0, 1000),
        metavar="N",
    )

    evaluate: bool = option(
        False, MEASURE, "measure the run on its test strips and write processed/report.html"
    )
    export: str | None = option(
        None,
        MEASURE,
        "write the model to a new folder to share (safetensors, ONNX, a model card); that folder "
        "can be an --experiment_dir, without any strips",
        type=path,
        metavar="DIR",
    )

    explore: bool = option(False, EXPLORE, "serve a local page whose sliders change a strip")
    port: int = option(
        8176,
        EXPLORE,
        "port of that page; 0 picks a free one",
        needs=("--explore",),
        type=whole(0, 65_535),
        metavar="N",
    )
    open: bool = option(False, EXPLORE, "open the browser too", needs=("--explore",))
    export_page: str | None = option(
        None,
        EXPLORE,
        "write the page with the decoder inside as one HTML file, which needs no server",
        type=path,
        metavar="FILE",
    )

    @property
    def asked(self) -> list[str]:
        """The flags given that replace the usual pictures, as they are typed."""
        flags = (
            *("interpolate", "reconstruct", "complete"),
            *("evaluate", "export", "export_page", "explore"),
        )
        return [f"--{flag}" for flag in flags if getattr(self, flag)]
