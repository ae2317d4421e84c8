"""Panels are counted from their gutters, whatever colour these have."""

import sys
from pathlib import Path

import numpy as np
import pytest

from garfield_vae.data.layout import count_panels

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from layouts import GUTTERS, LAYOUTS, banner, blank, page, photograph, scanned


@pytest.mark.parametrize("gutter", GUTTERS)
def test_three_panels_are_never_taken_for_something_else(gutter):
    rng = np.random.default_rng(1)
    for _ in range(3):
        picture = page(LAYOUTS["3"], gutter, rng)
        for seen in (picture, scanned(picture, rng).convert("RGB")):
            assert count_panels(np.asarray(seen)).other is None


@pytest.mark.parametrize("gutter", GUTTERS)
@pytest.mark.parametrize(
    ("layout", "other"),
    [
        ("2", "two panels"),
        ("4", "four panels"),
        ("5", "five panels"),
        ("3 + 3", "two tiers of panels"),
        ("2 + 2 + 2", "three tiers of panels"),
    ],
)
def test_another_number_of_panels_or_tiers_is_said(layout, other, gutter):
    picture = page(LAYOUTS[layout], gutter, np.random.default_rng(2))
    assert count_panels(np.asarray(picture)).other == other


@pytest.mark.parametrize("gutter", ["cream", "red"])
def test_noise_and_jpeg_hide_neither_five_panels_nor_the_tiers_of_a_sunday(gutter):
    rng = np.random.default_rng(5)
    for layout, other in (("5", "five panels"), ("title + 1, 3", "two tiers of panels")):
        picture = scanned(page(LAYOUTS[layout], gutter, rng, title=True), rng)
        assert count_panels(np.asarray(picture.convert("RGB"))).other == other


@pytest.mark.parametrize("draw", [banner, photograph, blank])
def test_pictures_without_gutters_are_one_panel(draw):
    rng = np.random.default_rng(4)
    found = [count_panels(np.asarray(draw(rng))).other for _ in range(5)]
    assert found.count("one panel") >= 4  # an edge may stand where a gutter would: that is kept


def test_the_edge_of_a_table_through_three_panels_makes_no_tiers():
    """It has the shape of a gutter between tiers, but breaks at the upright gutters."""
    strip = np.full((175, 600, 3), 255, np.uint8)
    for start, end in ((5, 199), (207, 391), (399, 595)):
        strip[5:170, start:end] = (90, 160, 200)
        strip[100:106, start:end] = (120, 60, 20)
        strip[106:170, start:end] = (200, 150, 90)
    assert count_panels(strip).other is None


@pytest.mark.parametrize(("panels", "other"), [(3, None), (4, "four panels"), (5, "five panels")])
@pytest.mark.parametrize(("above", "below"), [(10, 40), (24, 24)])
def test_a_margin_above_and_below_does_not_hide_panels(panels, other, above, below):
    """Beside a gutter there is then the gutter's own colour, too, over a quarter of the height."""
    page = np.full((above + 150 + below, 720, 3), 255, np.uint8)
    width = 720 // panels
    for panel in range(panels):
        page[above : above + 150, panel * width + 12 : (panel + 1) * width - 12] = (90, 160, 200)
    assert count_panels(page).other == other
