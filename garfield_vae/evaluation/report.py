"""The report: one HTML page with its pictures, curves and figures inside, to keep or to send."""

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from garfield_vae import run_folder
from garfield_vae.checkpoints import LoadedModel
from garfield_vae.data.panels import join_panels
from garfield_vae.evaluation.charts import Series, bar_chart, line_chart
from garfield_vae.evaluation.findings import BITS_A_NAT, findings, times_apart
from garfield_vae.evaluation.metrics.intervals import Estimate
from garfield_vae.evaluation.showcase import Exhibits
from garfield_vae.latent.space import LatentSpace
from garfield_vae.util.errors import UserError
from garfield_vae.util.files import replacing

PICTURE_QUALITY = 84  # of WebP: a strip is 5 to 30 kB
SHOWN_FACTORS = 16
SHOWN_COMPONENTS = 30
PRIVATE_OPTIONS = ("data_dir", "log_dir", "continue_from")  # whose home it was is nobody's business

RECONSTRUCTION_COLUMNS = (
    ("mse", "MSE", "↓"),
    ("psnr", "PSNR, dB", "↑"),
    ("ssim", "SSIM", "↑"),
    ("ms-ssim", "MS-SSIM", "↑"),
)


def write_report(
    path: Path,
    loaded: LoadedModel,
    space: LatentSpace,
    figures: dict[str, Any],
    exhibits: Exhibits,
) -> Path:
    """Writes the page for the figures of `evaluate_run` and returns its path."""
    metrics = read_metrics(loaded.folder)
    page = (
        _environment()
        .get_template("report.html")
        .render(
            figures=figures,
            findings=findings(figures, metrics),
            tiles=tiles(figures),
            exhibits=exhibits,
            charts=training_charts(metrics),
            explained=bar_chart(
                "Share of the variance of latents by component",
                [100 * float(share) for share in space.explained[:SHOWN_COMPONENTS]],
                "principal component",
                "variance explained, %",
            ),
            factor_table=factor_table(figures["factors"]) if "factors" in figures else None,
            columns=RECONSTRUCTION_COLUMNS,
            options={
                name: value
                for name, value in asdict(loaded.options).items()
                if name not in PRIVATE_OPTIONS
            },
        )
    )
    with replacing(path, "w") as file:
        file.write(page)
    return path


def read_metrics(folder: Path) -> list[dict[str, float]]:
    """The rows of a run's metrics.csv as numbers, without empty cells; none where there is no such
    table."""
    try:
        rows = run_folder.read_metrics(folder)
    except UserError:
        return []
    numbers = [{name: _float(value) for name, value in row.items()} for row in rows]
    return [{n: value for n, value in row.items() if value is not None} for row in numbers]


def training_charts(metrics: list[dict[str, float]]) -> list[tuple[Markup, str]]:
    """Curves over epochs, each with the sentence that says how to read it."""
    wanted = (
        (
            "distortion",
            "mean squared error",
            "How far drawn pixels are off. Good: both lines fall together. Where they part, strips "
            "are being learned by heart.",
        ),
        (
            "rate",
            "rate, nats a strip",
            "How much the latent vector says about a strip. Good: it rises, then levels off. Near "
            "zero, the decoder ignores it.",
        ),
        (
            "active_units",
            "active units",
            "How many latent dimensions say anything. Good: it settles well above a few. A fall to "
            "a few is a collapse.",
        ),
    )
    charts = []
    for figure, label, reading in wanted:
        series = [
            Series(
                name, [(row["epoch"], row[key]) for row in metrics if {"epoch", key} <= set(row)]
            )
            for name, key in (
                ("training", f"train/{figure}"),
                ("validation", f"validation/{figure}"),
            )
        ]
        if any(math.isfinite(y) for line in series for _, y in line.points):
            charts.append((line_chart(f"{label} by epoch", series, "epoch", label), reading))
    return charts


def tiles(figures: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The four figures at the top: (number, what it is, what to hold it against)."""
    lines, bound = figures["reconstruction"], figures["bound"]
    return [
        (
            number(lines["this model"]["mse"].value),
            "error on strips it never saw",
            f"the mean image: {number(lines['mean image']['mse'].value)}",
        ),
        (
            f"{bound['rate'].value * BITS_A_NAT / 8:,.0f}",
            "bytes describe a strip",
            f"{number(bound['ELBO'].value)} bits a pixel value to send all of it",
        ),
        (
            f"{bound['active units']:,}",
            "latent dimensions in use",
            f"of {bound['dimensions']:,}",
        ),
        (
            f"{times_apart(figures['samples'], 'samples, fitted density'):.1f}×",
            "as far from real strips are its own",
            "as real ones from each other; 1 would be as good as real",
        ),
    ]


def factor_table(factors: dict[str, Any]) -> tuple[list[tuple[str, list[float]]], int]:
    """The factors that components move most, each with its share known by every component."""
    moves = np.asarray(factors["moves"])  # [components, factors]
    order = np.argsort(-moves.max(axis=0))[:SHOWN_FACTORS]
    return [(factors["names"][i], [float(x) for x in moves[:, i]]) for i in order], len(moves)


def data_uri(panels: np.ndarray) -> str:
    """One strip, uint8 [3, 3, H, W], as the address of a picture that holds the picture."""
    buffer = io.BytesIO()
    Image.fromarray(join_panels(panels)).save(buffer, "WEBP", quality=PICTURE_QUALITY, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def number(value: float) -> str:
    """Three significant digits, thousands apart, with a true minus sign."""
    if not math.isfinite(value):
        return "–"
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    if "e" in text:  # 1.4e-06 → 1.4·10⁻⁶
        digits, power = text.split("e")
        raised = str(int(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
        text = f"{digits}·10{raised}"
    return text.replace("-", "−")


def interval(estimate: Estimate) -> str:
    """The confidence interval as "low … high", or nothing."""
    if estimate.low is None or estimate.high is None:
        return ""
    return f"{number(estimate.low)} … {number(estimate.high)}"


def size_of(panels: np.ndarray) -> Sequence[int]:
    """Height and width of the joined strip in pixels."""
    return join_panels(panels).shape[:2]


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"data_uri": data_uri, "number": number, "interval": interval}
    environment.filters |= {"size_of": size_of}
    return environment


def _float(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None
