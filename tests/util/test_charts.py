"""Charts: what is drawn where, what is left out, and that the same figures give the same bytes."""

import base64
import math
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from garfield_vae.util.charts import (
    Series,
    as_picture,
    as_svg,
    as_uri,
    explained_variance,
    line_chart,
)


def texts(figure) -> set[str]:
    elements = ET.fromstring(as_svg(figure)).iter()
    return {element.text for element in elements if element.tag.endswith("text")}


def test_a_line_passes_through_its_points_and_axes_say_what_they_are():
    figure = line_chart([Series("a", [(0, 0), (10, 5)])], "epoch", "error")
    (line,) = figure.axes[0].get_lines()
    np.testing.assert_array_equal(line.get_xydata(), [[0, 0], [10, 5]])
    assert {"epoch", "error", "10"} <= texts(figure)


def test_points_that_are_not_finite_are_left_out_with_their_labels():
    line = Series("s", [(1.0, 1.0), (2.0, math.nan), (3.0, 2.0)], ["first", "lost", "last"])
    figure = line_chart([line], "x", "y", dots=True)
    np.testing.assert_array_equal(figure.axes[0].get_lines()[0].get_xydata(), [[1, 1], [3, 2]])
    assert {"first", "last"} <= texts(figure)
    assert "lost" not in texts(figure)


def test_a_chart_of_nothing_is_refused():
    with pytest.raises(ValueError, match="nothing to draw"):
        line_chart([Series("a", [(1, math.nan)]), Series("b", [])], "x", "y")


def test_several_lines_have_a_legend_and_dashes_that_tell_them_apart_without_colour():
    figure = line_chart([Series(n, [(1, 1), (2, 2)]) for n in ("training", "validation")], "x", "y")
    styles = {line.get_linestyle() for line in figure.axes[0].get_lines()}
    assert len(styles) == 2
    assert {"training", "validation"} <= texts(figure)


def test_one_point_and_equal_values_are_drawn():
    for points in ([(1, 0.5)], [(1, 0.5), (2, 0.5)], [(0, 0.0)]):
        assert as_svg(line_chart([Series("a", points)], "x", "y")).startswith("<?xml")


def test_an_axis_by_powers_of_ten_is_one():
    figure = line_chart([Series("s", [(1, 1), (1000, 2)])], "x", "y", log_x=True)
    assert figure.axes[0].get_xscale() == "log"
    assert "100" in texts(figure)


def test_bars_are_the_shares_in_per_cent_and_the_line_is_their_sum():
    figure = explained_variance(np.array([0.5, 0.25, 0.125]))
    bars = [bar.get_height() for bar in figure.axes[0].patches]
    assert bars == [50, 25, 12.5]
    np.testing.assert_allclose(figure.axes[0].get_lines()[0].get_ydata(), [50, 75, 87.5])
    assert as_picture(explained_variance(np.zeros(3))).size == (960, 600)


def test_a_chart_on_a_page_is_its_svg_and_the_same_each_time():
    series = [Series("<b>&", [(1, 1), (2, 2)])]
    uri = as_uri(line_chart(series, "<x>", "y"))
    assert uri == as_uri(line_chart(series, "<x>", "y"))
    head, content = uri.split(",")
    assert head == "data:image/svg+xml;base64"
    assert ET.fromstring(base64.b64decode(content)).tag == "{http://www.w3.org/2000/svg}svg"
