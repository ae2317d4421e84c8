"""Charts: where points land, what is left out, and what a screen reader is told."""

import math
import xml.etree.ElementTree as ET

import pytest

from garfield_vae.evaluation.charts import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Series,
    bar_chart,
    line_chart,
    standalone,
)


def polylines(chart) -> list[list[tuple[float, float]]]:
    lines = [e for e in ET.fromstring(chart).iter() if e.tag.endswith("polyline")]
    return [[tuple(map(float, p.split(","))) for p in e.get("points").split()] for e in lines]


def texts(chart) -> list[str]:
    return [element.text for element in ET.fromstring(chart).iter() if element.tag.endswith("text")]


def test_the_ends_of_a_line_on_round_numbers_lie_in_the_corners_of_the_plot():
    chart = line_chart("error", [Series("a", [(0, 0), (10, 5)])], "epoch", "error")
    assert polylines(chart) == [[(LEFT, HEIGHT - BOTTOM), (WIDTH - RIGHT, TOP)]]
    assert {"epoch", "error", "0", "10", "5"} <= set(texts(chart))


def test_a_logarithmic_axis_places_powers_of_ten_evenly_and_names_them():
    chart = line_chart(
        "r", [Series("a", [(1e-6, 1), (1e-5, 2), (1e-4, 3)])], "beta", "y", log_x=True
    )
    (first, _), (middle, _), (last, _) = polylines(chart)[0]
    assert middle - first == pytest.approx(last - middle, abs=0.2)
    assert {"1e−06", "1e−05", "0.0001"} <= set(texts(chart))


def test_values_that_are_no_numbers_are_left_out_and_a_chart_of_nothing_is_refused():
    nan = float("nan")
    chart = line_chart("t", [Series("a", [(1, 2.0), (2, nan), (3, 4.0)])], "x", "y")
    assert len(polylines(chart)[0]) == 2
    with pytest.raises(ValueError, match="nothing to draw"):
        line_chart("t", [Series("a", [(1, nan)]), Series("b", [])], "x", "y")


def test_one_point_and_equal_values_are_drawn():
    for points in ([(1, 0.5)], [(1, 0.5), (2, 0.5)], [(0, 0.0)]):
        chart = line_chart("t", [Series("a", points)], "x", "y")
        assert all(0 <= y <= HEIGHT for _, y in polylines(chart)[0])


def test_the_accessible_name_has_the_title_and_where_each_line_begins_and_ends():
    series = [Series("training", [(1, 0.5), (9, 0.25)]), Series("validation", [(1, 0.6)])]
    label = ET.fromstring(line_chart("Error by epoch", series, "x", "y")).get("aria-label")
    assert label == "Error by epoch. training: 0.5 to 0.25; validation: 0.6 to 0.6"


def test_names_are_escaped():
    chart = line_chart("<b>&", [Series('"><script>', [(1, 1), (2, 2)])], "<x>", "y")
    assert "<script>" not in chart
    assert "<x>" in texts(chart)


def test_bars_are_as_high_as_their_values():
    chart = bar_chart("t", [40, 20, 10], "component", "%")
    heights = [
        float(e.get("height")) for e in ET.fromstring(chart).iter() if e.tag.endswith("rect")
    ]
    assert heights[0] == pytest.approx(HEIGHT - TOP - BOTTOM)
    assert heights[1] == pytest.approx(heights[0] / 2, abs=0.1)
    assert heights[2] == pytest.approx(heights[0] / 4, abs=0.1)
    assert len(bar_chart("t", [0.0, 0.0], "x", "y")) > 0


def test_a_chart_alone_is_an_svg_document():
    root = ET.fromstring(standalone(line_chart("t", [Series("a", [(1, 1), (2, 2)])], "x", "y")))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"


def test_points_carry_their_labels_and_one_that_cannot_be_drawn_takes_its_label_along():
    line = Series("s", [(1.0, 1.0), (2.0, math.nan), (3.0, 2.0)], ["first", "lost", "last"])
    chart = str(line_chart("t", [line], "x", "y", dots=True))
    assert ">first</text>" in chart
    assert ">last</text>" in chart
    assert "lost" not in chart


def test_ticks_of_a_logarithmic_axis_are_round_numbers_around_the_points():
    chart = str(line_chart("t", [Series("s", [(3.7, 0.5), (172.0, 0.5)])], "x", "y", log_x=True))
    for tick in ("2", "5", "10", "20", "50", "100", "200"):
        assert f">{tick}</text>" in chart
    assert ">500<" not in chart
    decades = str(line_chart("t", [Series("s", [(1.0, 0.5), (1e5, 0.5)])], "x", "y", log_x=True))
    assert ">10,000</text>" in decades
    assert ">20<" not in decades
