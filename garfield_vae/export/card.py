"""The model card: what is to be known before an exported model is used."""

from pathlib import Path
from typing import Any

from garfield_vae.checkpoints import LoadedModel
from garfield_vae.cli.options import SCRATCH
from garfield_vae.run_folder import PRETRAINED_NAME
from garfield_vae.util.files import read_json
from garfield_vae.util.metrics_table import read_metrics

CARD = """\
---
library_name: garfield-vae
tags: [variational-autoencoder, comics, image-generation]
---
# {name}

A variational autoencoder for comic strips of three panels: a strip becomes {z_dim} numbers, and
any {z_dim} numbers become a strip. Below are {samples} samples from it.

![Samples from the model](samples.png)

## Use

With the code of garfield-vae, version {version}:

```
python process_model.py --experiment_dir {name}             samples, latent traversals
python process_model.py --experiment_dir {name} --explore   a page with live sliders
```

```python
import garfield_vae

loaded = garfield_vae.load("{name}")
loaded.reconstruct("a_strip.png").save("reconstruction.png")
```

`loaded.model.encode` turns strips `[B, 3, 3, {panel_height}, {panel_width}]` (strip, panel,
channel, y, x; values in [-1, 1]) into means and log standard deviations `[B, {z_dim}]`;
`loaded.model.decode` is the way back.{onnx}

## What it is

{parameters:,} parameters; panels of {panel_height}×{panel_width} pixels; {z_dim} latent dimensions;
c_hidden {c_hidden}; {num_blocks} ResNet blocks per resolution. The weights are the moving average
of the trained ones, after epoch {epoch}.

{figures}
Trained with: {options}.

## What it is not

It draws what its training strips have in common. Words in balloons are texture, not text; what is
rare in those strips is blurred.

## Rights

The code of garfield-vae is under the MIT licence. {rights}
"""

ONNX = """ The same networks are in `encoder.onnx` and `decoder.onnx`
(inputs `strips` and `latents`), for programs without torch."""

DRAWN = """The strips that this model learned from were drawn by that code
itself, so nobody else has a claim on them."""

STARTED = """The strips that this model learned from were drawn by
that code itself, but it started from the weights of {start}, and whatever claim there is on the
strips that those learned from holds for it too."""

OTHERS = """The strips that this model learned from
belong to their authors, and that licence says nothing about them. None is in this folder as a
picture, but the weights and `latent.safetensors` (latents of up to 2,048 training strips) hold
enough to reconstruct rough likenesses of them. Before you pass it on, make sure that you may."""


def model_card(
    run: LoadedModel, name: str, samples: int, options: dict[str, Any], version: str, onnx: bool
) -> str:
    """The text of README.md, with figures from the run's metrics.csv and measures.json.

    `samples`: strips in its picture; `onnx`: whether the ONNX files are there.
    """
    return CARD.format(
        **run.model.config,
        name=name,
        samples=samples,
        version=version,
        onnx=ONNX if onnx else "",
        parameters=sum(p.numel() for p in run.model.parameters()),
        epoch=run.epoch + 1,
        figures=figures_table(run),
        options=", ".join(f"{flag} {value}" for flag, value in options.items()),
        rights=rights(run),
    )


def rights(run: LoadedModel) -> str:
    start = run.options.start_from
    if run.options.source != "drawn":
        return OTHERS
    return DRAWN if start in (SCRATCH, PRETRAINED_NAME) else STARTED.format(start=Path(start).name)


def figures_table(run: LoadedModel) -> str:
    """A table of what was measured, empty where nothing was."""
    rows = [row for row in read_metrics(run.folder) if row["epoch"] == run.epoch + 1]
    trained = rows[-1] if rows else {}
    measured = read_measures(run.folder / "processed" / "measures.json")
    lines = [
        ("MSE on training strips", trained.get("train/distortion")),
        ("MSE on validation strips", trained.get("validation/distortion")),
        ("rate, nats a strip", trained.get("validation/rate")),
        ("active latent dimensions", trained.get("validation/active_units")),
        *((f"{name} on test strips", value) for name, value in measured.items()),
    ]
    found = [f"| {label} | {value:.4g} |" for label, value in lines if value is not None]
    return "\n".join(["| figure | value |", "|---|---|", *found, ""]) if found else ""


def read_measures(path: Path) -> dict[str, float]:
    """What `process_model.py --evaluate` found of reconstructions; empty if it was not asked."""
    try:
        found = read_json(path)["reconstruction"]["this model"]
        return {name.upper(): float(estimate["value"]) for name, estimate in found.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
