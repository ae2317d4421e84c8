"""The model card of an exported model."""

from pathlib import Path
from typing import Any

from garfield_vae.checkpoints import LoadedModel
from garfield_vae.cli.options import SCRATCH
from garfield_vae.gallery import holds
from garfield_vae.latent.codec import FIT_STEPS
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
`loaded.model.decode` turns latent vectors into strips. `reconstruct` also fits the latents to the
strip, in {fit_steps} steps; `reconstruct(…, steps=0)` does not.{onnx}

## What it is

{parameters:,} parameters; panels of {panel_height}×{panel_width} pixels; {z_dim} latent dimensions;
c_hidden {c_hidden}; {num_blocks} ResNet blocks per resolution. The weights are the moving average
of the trained ones, after epoch {epoch}.

{figures}
Trained with: {options}.

## Limitations

Lettering in balloons is texture, not text, and what is rare in the training strips is blurred.

## Rights

The code of garfield-vae is under the MIT licence. {rights}
"""

ONNX = """ The same networks are in `encoder.onnx` and `decoder.onnx`
(inputs `strips` and `latents`), for programs without torch."""

DRAWN = """The strips that this model learned from were drawn by that code
itself, so nobody else has a claim on them."""

STARTED = """The strips that this model learned from were drawn by
that code itself, but its training started from the weights of {start}, so rights in the strips
that those were trained on may apply to it, too."""

OTHERS = """The strips that this model learned from
belong to their authors, and are not covered by that licence. None is in this folder as a picture,
but from the weights and `latent.safetensors` (latents of up to 2,048 training strips) blurred
copies of them can be decoded. Make sure that you may share it before you do."""


def model_card(
    run: LoadedModel, name: str, samples: int, options: dict[str, Any], version: str, onnx: bool
) -> str:
    """The text of README.md, with figures from the run's metrics.csv and measures.json.

    `samples`: the number of strips in its picture; `onnx`: whether there are ONNX files.
    """
    return CARD.format(
        **run.model.config,
        name=name,
        samples=samples,
        fit_steps=FIT_STEPS,
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
    """A table of the figures of training and evaluation; empty where there are none."""
    rows = [row for row in read_metrics(run.folder) if row["epoch"] == run.epoch + 1]
    trained = rows[-1] if rows else {}
    processed = run.folder / "processed"
    measured = read_measures(processed / "measures.json") if holds(processed, run) else {}
    lines = [
        ("MSE on training strips", trained.get("train/distortion")),
        ("MSE on validation strips", trained.get("validation/distortion")),
        ("rate, nats per strip", trained.get("validation/rate")),
        ("active latent dimensions", trained.get("validation/active_units")),
        *((f"{name} on test strips, without fitting", value) for name, value in measured.items()),
    ]
    found = [f"| {label} | {value:.4g} |" for label, value in lines if value is not None]
    return "\n".join(["| figure | value |", "|---|---|", *found, ""]) if found else ""


def read_measures(path: Path) -> dict[str, float]:
    """Figures of reconstructions from `process_model.py --evaluate`; empty where there are none, or
    only of strips that may have been trained on."""
    try:
        figures = read_json(path)
        if figures["strips"]["changed"]:
            return {}
        found = figures["reconstruction"]["this model"]
        return {name.upper(): float(estimate["value"]) for name, estimate in found.items()}
    except (OSError, ValueError, OverflowError, KeyError, TypeError, AttributeError):
        return {}
