"""All charts: matplotlib figures without pyplot, which would keep state and look for a screen."""

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from PIL import Image

SIZE = (4.8, 3.0)  # inches, of 100 pixels
COLOURS = ("#d9480f", "#1864ab", "#5c940d")
DASHES = ("-", "--", ":")  # lines are told apart without colour, too
# Text stays text, and the same figures give the same bytes.
STYLE = {"svg.fonttype": "none", "svg.hashsalt": "garfield_vae", "font.size": 9}


@dataclass(frozen=True)
class Series:
    """One line: points (x, y) in the order in which they are joined, each with its label, if any.
    Points that are not finite are left out."""

    name: str
    points: Sequence[tuple[float, float]]
    labels: Sequence[str] = ()


def line_chart(
    series: Sequence[Series],
    x_label: str,
    y_label: str,
    *,
    dots: bool = False,
    log_x: bool = False,
    log_y: bool = False,
) -> Figure:
    """Lines with a legend where there are several; `dots` marks the points themselves.

    Raises ValueError when no series has a finite point.
    """
    figure, axes = _axes(x_label, y_label)
    drawn = 0
    for line, colour, dash in zip(series, COLOURS, DASHES, strict=False):
        kept = [i for i, point in enumerate(line.points) if all(map(math.isfinite, point))]
        if not kept:
            continue
        x, y = zip(*(line.points[i] for i in kept), strict=True)
        marker = "o" if dots or len(kept) == 1 else None
        axes.plot(x, y, dash, color=colour, marker=marker, markersize=4, label=line.name)
        for i in kept if line.labels else ():
            offset = {"xytext": (0, 6), "textcoords": "offset points", "ha": "center"}
            axes.annotate(line.labels[i], line.points[i], fontsize=7, **offset)
        drawn += 1
    if not drawn:
        raise ValueError(f"{y_label}: there is nothing to draw")
    if log_x:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    elif all(float(x).is_integer() for line in series for x, _ in line.points):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if log_y:
        axes.set_yscale("log")
    if drawn > 1:
        axes.legend(frameon=False)
    return figure


def explained_variance(explained: np.ndarray) -> Figure:
    """A bar for each component's share of the variance, and a line of their sum, in per cent."""
    figure, axes = _axes("principal component", "variance explained, %")
    numbers, shares = np.arange(1, len(explained) + 1), 100 * np.asarray(explained, float)
    axes.bar(numbers, shares, color=COLOURS[0], label="each component")
    axes.plot(numbers, shares.cumsum(), color=COLOURS[1], label="cumulative")
    axes.set_ylim(0, 100 if shares.sum() > 50 else max(1.0, 1.15 * shares.sum()))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, loc="center right")
    return figure


def as_picture(figure: Figure) -> Image.Image:
    """A chart as pixels, twice as fine as on a page."""
    with matplotlib.rc_context(STYLE):
        canvas = FigureCanvasAgg(figure)
        figure.set_dpi(200)
        canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def as_svg(figure: Figure) -> str:
    """A chart as the text of an .svg file."""
    file = io.StringIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return file.getvalue()


def as_uri(figure: Figure) -> str:
    """A chart as the address of a picture that holds the picture, for a page."""
    return "data:image/svg+xml;base64," + base64.b64encode(as_svg(figure).encode()).decode("ascii")


def _axes(x_label: str, y_label: str) -> tuple[Figure, Axes]:
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.add_subplot(xlabel=x_label, ylabel=y_label)
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
