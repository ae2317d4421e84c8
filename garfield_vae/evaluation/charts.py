"""Line and bar charts as SVG text: they scale, print, follow dark mode and can be read aloud."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH, HEIGHT = 460, 290
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 34, 50
COLOURS = ("var(--first, #d9480f)", "var(--second, #1864ab)", "var(--third, #5c940d)")
DASHES = ("", "7 4", "2 3")  # told apart without colour, too


@dataclass(frozen=True)
class Series:
    """One line: points (x, y) in the order in which they are joined, each with its label, if any.
    Values that are not finite are left out."""

    name: str
    points: Sequence[tuple[float, float]]
    labels: Sequence[str] = ()


def line_chart(
    title: str,
    series: Sequence[Series],
    x_label: str,
    y_label: str,
    dots: bool = False,
    log_x: bool = False,
) -> Markup:
    """An SVG element with axes, ticks, a legend, and the title as its accessible name.

    `dots` marks the points themselves. `log_x` needs positive x. Raises ValueError when no series
    has a finite point.
    """
    cleaned = [line for line in map(_finite, series) if line.points]
    if not cleaned:
        raise ValueError(f"{title}: there is nothing to draw")
    x_of = math.log10 if log_x else float
    xs = [x_of(x) for line in cleaned for x, _ in line.points]
    ys = [y for line in cleaned for _, y in line.points]
    x_ticks = (_log_ticks if log_x else _ticks)(min(xs), max(xs))
    y_ticks = _ticks(min(ys), max(ys))
    x_range = _range(xs, x_ticks)
    y_range = _range(ys, y_ticks)

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - x_range[0]) / (x_range[1] - x_range[0])
        up = (y - y_range[0]) / (y_range[1] - y_range[0])
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (
            HEIGHT - TOP - BOTTOM
        )

    parts = [_head(title, cleaned), _y_axis(y_ticks, lambda y: place(x_range[0], y)[1])]
    for tick in x_ticks:
        if x_range[0] <= tick <= x_range[1]:
            label = _number(10**tick) if log_x else _number(tick)
            parts.append(_text(place(tick, 0)[0], HEIGHT - BOTTOM + 18, label, "middle"))
    parts.append(_labels(x_label, y_label))
    for number, line in enumerate(cleaned):
        points = [place(x_of(x), y) for x, y in line.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        look = f'stroke="{COLOURS[number % 3]}" stroke-dasharray="{DASHES[number % 3]}"'
        parts.append(
            f'<polyline points="{path}" fill="none" stroke-width="2.2" {look} '
            f'stroke-linejoin="round"/>'
        )
        if dots or len(points) == 1:
            parts += [
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{COLOURS[number % 3]}"/>'
                for x, y in points
            ]
        end, line_of_text = -math.inf, math.inf
        for (x, y), label in zip(points, line.labels, strict=False):
            # Above its point; where it would touch the label before it, above that one.
            line_of_text = min(y - 10, line_of_text - 15) if x < end else y - 10
            parts.append(_text(x, line_of_text, label, "middle"))
            end = x + 8 * len(label)
    if len(cleaned) > 1:
        parts.append(_legend(cleaned))
    return Markup("".join(parts) + "</svg>")


def bar_chart(title: str, values: Sequence[float], x_label: str, y_label: str) -> Markup:
    """Bars for values that are not negative, numbered from 1."""
    ticks = _ticks(0.0, max(values) or 1.0)
    step = (WIDTH - LEFT - RIGHT) / len(values)
    plot = HEIGHT - TOP - BOTTOM

    def height(value: float) -> float:
        return plot * value / max(ticks[-1], max(values))

    parts = [_head(title, []), _y_axis(ticks, lambda y: HEIGHT - BOTTOM - height(y))]
    for number, value in enumerate(values, 1):
        x = LEFT + (number - 1) * step
        parts.append(
            f'<rect x="{x + 0.12 * step:.1f}" y="{HEIGHT - BOTTOM - height(value):.1f}" '
            f'width="{0.76 * step:.1f}" height="{height(value):.1f}" fill="{COLOURS[0]}"/>'
        )
        if len(values) <= 12 or number % 5 == 0 or number == 1:
            parts.append(_text(x + step / 2, HEIGHT - BOTTOM + 18, str(number), "middle"))
    parts.append(_labels(x_label, y_label))
    return Markup("".join(parts) + "</svg>")


def standalone(chart: Markup) -> str:
    """The same chart as the text of an .svg file, on white."""
    head, rest = str(chart).split(">", 1)
    paper = f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
    return f'{head} xmlns="http://www.w3.org/2000/svg" color="#222">{paper}{rest}\n'


def _finite(line: Series) -> Series:
    kept = [i for i, (x, y) in enumerate(line.points) if math.isfinite(x) and math.isfinite(y)]
    labels = [line.labels[i] for i in kept] if line.labels else ()
    return Series(line.name, [line.points[i] for i in kept], labels)


def _head(title: str, series: Sequence[Series]) -> str:
    described = "; ".join(
        f"{line.name}: {_number(line.points[0][1])} to {_number(line.points[-1][1])}"
        for line in series
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" font-family="system-ui, sans-serif" '
        f'aria-label="{escape(title + (". " + described if described else ""))}">'
    )


def _y_axis(ticks: Sequence[float], place) -> str:
    lines = []
    for tick in ticks:
        y = place(tick)
        if TOP - 1 <= y <= HEIGHT - BOTTOM + 1:
            lines.append(
                f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" '
                f'stroke="currentColor" stroke-opacity="0.16"/>'
            )
            lines.append(_text(LEFT - 8, y + 4.5, _number(tick), "end"))
    return "".join(lines)


def _labels(x_label: str, y_label: str) -> str:
    middle = (TOP + HEIGHT - BOTTOM) / 2
    return _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 9, x_label, "middle") + (
        f'<text transform="translate(15 {middle:.0f}) rotate(-90)" text-anchor="middle" '
        f'font-size="13" fill="currentColor">{escape(y_label)}</text>'
    )


def _legend(series: Sequence[Series]) -> str:
    parts, x = [], LEFT
    for number, line in enumerate(series):
        look = f'stroke="{COLOURS[number % 3]}" stroke-dasharray="{DASHES[number % 3]}"'
        parts.append(
            f'<line x1="{x}" x2="{x + 30}" y1="12" y2="12" stroke-width="2.6" {look}/>'
            + _text(x + 36, 16.5, line.name, "start")
        )
        x += 62 + 7 * len(line.name)
    return "".join(parts)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="13" '
        f'fill="currentColor">{escape(text)}</text>'
    )


def _ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round numbers from at most `low` to at least `high`."""
    if high - low < 1e-12 * max(abs(low), abs(high), 1e-12):
        spread = abs(low) / 2 or 0.5
        low, high = low - spread, high + spread
    rough = (high - low) / wanted
    size = 10 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    """Logarithms of 1, 2 and 5 times powers of ten, or over many decades of the powers alone."""
    steps = (1, 2, 5) if high - low < 2.5 else (1,)
    places = [
        decade + math.log10(step)
        for decade in range(math.floor(low) - 1, math.ceil(high) + 1)
        for step in steps
    ]
    first = max(place for place in places if place <= low + 1e-9)
    last = min((place for place in places if place >= high - 1e-9), default=places[-1])
    return [place for place in places if first <= place <= last]


def _range(values: Sequence[float], ticks: Sequence[float]) -> tuple[float, float]:
    return min(*values, ticks[0]), max(*values, ticks[-1])


def _number(value: float) -> str:
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return text.replace("-", "−")
