"""Panels are counted from their gutters, whatever colour these have."""

import sys
from pathlib import Path

import numpy as np
import pytest

from garfield_vae.data.layout import count_panels

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from layouts import GUTTERS, page, spoilt


@pytest.mark.parametrize("gutter", GUTTERS)
def test_three_panels_are_never_taken_for_something_else(gutter):
    rng = np.random.default_rng(1)
    for _ in range(3):
        picture = page((3,), gutter, rng)
        for seen in (picture, spoilt(picture, rng).convert("RGB")):
            assert count_panels(np.asarray(seen)).other is None


@pytest.mark.parametrize("gutter", ["white", "grey", "black"])
@pytest.mark.parametrize(
    ("tiers", "other"), [((1,), "one panel"), ((2,), "two panels"), ((4,), "four panels")]
)
def test_another_number_of_panels_is_said(gutter, tiers, other):
    picture = page(tiers, gutter, np.random.default_rng(2))
    assert count_panels(np.asarray(picture)).other == other


def test_two_tiers_are_said_whatever_panels_they_have():
    picture = page((3, 3), "white", np.random.default_rng(3))
    assert count_panels(np.asarray(picture)).other == "two tiers of panels"
