import numpy as np
import pytest
from PIL import Image

from garfield_vae.util.pictures import labelled, sheet

WHITE, RED = (255, 255, 255), (255, 0, 0)


def red(count: int) -> np.ndarray:
    return np.full((count, 4, 6, 3), RED, np.uint8)


def corners(page: Image.Image, box: tuple[int, int, int, int]) -> set:
    left, top, right, bottom = box
    return {page.getpixel((x, y)) for x in (left, right - 1) for y in (top, bottom - 1)}


def test_a_sheet_has_its_strips_row_by_row_with_a_margin_around_and_between():
    page = sheet(red(3), columns=2, margin=10)
    assert page.size == (10 + 6 + 10 + 6 + 10, 10 + 4 + 10 + 4 + 10)
    for box in ((10, 10, 16, 14), (26, 10, 32, 14), (10, 24, 16, 28)):
        assert corners(page, box) == {RED}
        left, top, right, bottom = box
        assert corners(page, (left - 1, top - 1, right + 1, bottom + 1)) == {WHITE}
    # Nothing but these is on it.
    assert (np.asarray(page) == RED).all(axis=2).sum() == 3 * 4 * 6


@pytest.mark.parametrize("margin", [0, 10])
def test_a_sheet_of_one_strip_has_its_margin_too(margin):
    assert sheet(red(1), columns=1, margin=margin).size == (6 + 2 * margin, 4 + 2 * margin)


def test_a_label_stands_above_its_own_strip_and_on_no_other():
    page = np.asarray(sheet(red(2), columns=2, labels=["", "a label longer than its strip"]))
    assert page.shape == (10 + 18 + 4 + 10, 10 + 6 + 10 + 6 + 10, 3)
    ink = (page < 128).all(axis=2)
    assert ink.any()
    assert not ink[28:].any()
    assert not ink[:, :26].any()
    assert not ink[:, 32:].any()


@pytest.mark.parametrize("letters", ["éüßñ", "ЖизньЁ", "λΣσ", "−·×–"])
def test_letters_beyond_ascii_are_written_as_they_are(letters):
    strip = Image.new("RGB", (40, 4), "white")
    shapes = {labelled(strip, letter).tobytes() for letter in letters}
    assert len(shapes) == len(set(letters))  # one that a font lacks is a box, as all others are
    assert labelled(strip, "\U00010ffd").tobytes() not in shapes
