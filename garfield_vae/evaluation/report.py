"""The report: one self-contained HTML page of pictures, charts and figures."""

import base64
import io
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from garfield_vae.checkpoints import LoadedModel
from garfield_vae.data.panels import join_panels
from garfield_vae.evaluation.metrics.intervals import Estimate
from garfield_vae.evaluation.report_pictures import Pictures
from garfield_vae.evaluation.summary import FEW_STRIPS, STORY_NAMES, summary
from garfield_vae.latent.space import LatentSpace
from garfield_vae.util.charts import Series, as_uri, explained_variance, line_chart
from garfield_vae.util.console import printable
from garfield_vae.util.files import replacing

PICTURE_QUALITY = 84  # of WebP: a strip is 5 to 30 kB
SHOWN_FACTORS = 16
SHOWN_COMPONENTS = 30
PRIVATE_OPTIONS = ("data_dir", "log_dir", "continue_from")  # paths on the user's machine

RECONSTRUCTION_COLUMNS = (
    ("mse", "MSE", "↓"),
    ("psnr", "PSNR, dB", "↑"),
    ("ssim", "SSIM", "↑"),
    ("ms-ssim", "MS-SSIM", "↑"),
)
FEATURE_ROWS = (
    ("KID", "KID", "↓"),
    *((name, name, "↑") for name in ("precision", "density", "recall", "coverage")),
)
STORY_ROWS = tuple((key, label, "→ 0.5") for key, label in STORY_NAMES.items())


def write_report(
    path: Path,
    loaded: LoadedModel,
    space: LatentSpace,
    figures: dict[str, Any],
    pictures: Pictures,
    metrics: list[dict[str, float]],
) -> Path:
    """Writes the page for the figures of `evaluate_run` and the rows of metrics.csv; returns its
    path."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"data_uri": data_uri, "number": number, "interval": interval}
    strip = pictures.reconstructions[0][0]
    page = environment.get_template("report.html").render(
        figures=figures,
        sentences=summary(figures, metrics),
        tiles=tiles(figures),
        pictures=pictures,
        picture_size=join_panels(strip.panels).shape[:2],
        charts=training_charts(metrics),
        explained=as_uri(explained_variance(space.explained[:SHOWN_COMPONENTS])),
        bits_chart=bits_chart(figures["compression"]["bits by dimension"]),
        factor_table=factor_table(figures["factors"]) if "factors" in figures else None,
        columns=RECONSTRUCTION_COLUMNS,
        feature_rows=FEATURE_ROWS,
        story_rows=STORY_ROWS,
        few=figures["strips"]["test"] < FEW_STRIPS,
        options={
            name: printable(value) if isinstance(value, str) else value
            for name, value in asdict(loaded.options).items()
            if name not in PRIVATE_OPTIONS
        },
    )
    with replacing(path, "w") as file:
        file.write(page)
    return path


def training_charts(metrics: list[dict[str, float]]) -> list[tuple[str, str, str]]:
    """Curves over epochs: (data URI, alternative text, how to read it)."""
    wanted = (
        (
            "distortion",
            "distortion (mean squared error)",
            "The error of reconstructed pixels. Good: both curves fall together. Where validation "
            "stays above training, the model overfits.",
        ),
        (
            "rate",
            "rate, nats per strip",
            "What a latent vector tells of its strip. Good: it rises, then levels off. Near zero "
            "the decoder ignores the latents: posterior collapse.",
        ),
    )
    charts = []
    for figure, label, reading in wanted:
        series = [
            Series(name, [(row["epoch"], row[key]) for row in metrics if key in row])
            for name, key in (
                ("training", f"train/{figure}"),
                ("validation", f"validation/{figure}"),
            )
        ]
        if any(line.points for line in series):
            title = f"{label} by epoch. " + "; ".join(
                f"{line.name}: {number(line.points[0][1])} to {number(line.points[-1][1])}"
                for line in series
                if line.points
            )
            charts.append((as_uri(line_chart(series, "epoch", label)), title, reading))
    return charts


def bits_chart(by_dimension: np.ndarray) -> str | None:
    """A chart, as a data URI, of the bits of each latent dimension in falling order [z]; None
    where all are 0."""
    shown = [(float(i), float(bits)) for i, bits in enumerate(by_dimension, 1) if bits > 1e-4]
    if not shown:
        return None
    wide = shown[0][1] > 20 * shown[-1][1]
    labels = "latent dimension, by its bits", "bits per strip"
    return as_uri(line_chart([Series("bits", shown)], *labels, log_y=wide))


def tiles(figures: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The figures at the top: (number, what it is, what to compare it with).

    KID is among them only where there are enough test strips.
    """
    lines, compression = figures["reconstruction"], figures["compression"]
    found = [
        (
            number(lines["this model"]["mse"].value),
            "mean squared error of test strips' reconstructions (MSE)",
            f"of the mean image: {number(lines['mean image']['mse'].value)}",
        ),
        (
            f"{compression['rate, bytes'].value:,.0f}",
            "bytes per strip in the latent vector (rate)",
            "enough for the reconstruction; a lossless code of the strip takes "
            f"{number(compression['ELBO, discretised'].value)} bits per pixel value (ELBO)",
        ),
    ]
    name = figures["samplers"][0]
    copying = figures["copying"][name]
    found.append(
        (
            f"{copying['novelty, latents'].value:.2f}",
            f"novelty of samples of the {name} sampler",
            "latents' distance to the nearest training strip; 1: as far as test strips, 0: copies",
        )
    )
    if figures["strips"]["test"] >= FEW_STRIPS:
        sets = figures["samples"]["against test strips"]
        found.append(
            (
                number(sets[name]["lines and layout"]["KID"].value),
                f"kernel distance (KID) of samples of the {name} sampler from test strips",
                "of as many real strips: "
                f"{number(sets['real strips']['lines and layout']['KID'].value)}; of "
                "reconstructions, which are as blurred: "
                f"{number(sets['reconstructions']['lines and layout']['KID'].value)}",
            )
        )
    return found


def factor_table(factors: dict[str, Any]) -> tuple[list[tuple[str, list[float]]], int]:
    """The factors that depend most on single components: (name, share of its entropy explained by
    each component), and the number of components."""
    moves = np.asarray(factors["moves"])  # [components, factors]
    order = np.argsort(-moves.max(axis=0))[:SHOWN_FACTORS]
    return [(factors["names"][i], [float(x) for x in moves[:, i]]) for i in order], len(moves)


def data_uri(panels: np.ndarray) -> str:
    """One strip, uint8 [3, 3, H, W], as a picture in a data URI."""
    buffer = io.BytesIO()
    Image.fromarray(join_panels(panels)).save(buffer, "WEBP", quality=PICTURE_QUALITY, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def number(value: float) -> str:
    """Three significant digits, with commas between thousands and a minus sign (U+2212)."""
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
