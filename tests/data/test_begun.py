"""Pictures that somebody brings: with all three panels, or with those of a strip to be finished."""

from datetime import date

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps
from strip_pictures import encoded, strip_picture

from garfield_vae.data.begun import open_panels
from garfield_vae.data.drawn import draw_strip
from garfield_vae.data.images import BrokenImage
from garfield_vae.data.panels import cut_panels, find_gutters, is_empty, whiteness

PANELS = [(0, 198), (206, 391), (399, 600)]  # columns of strip_picture's


def of_panels(*panels: int, scale: int = 1) -> bytes:
    """The panels of a strip, counted from 0, cut out of it with all that is between them."""
    start, end = PANELS[panels[0]][0], PANELS[panels[-1]][1]
    picture = strip_picture().crop((start, 0, end, 175))
    return encoded(picture.resize((scale * picture.width, scale * 175)), "PNG")


@pytest.mark.parametrize("scale", [1, 3])
@pytest.mark.parametrize("panels", [(0,), (1,), (2,), (0, 1), (1, 2), (0, 1, 2)])
def test_a_picture_has_the_panels_that_were_cut_out_of_a_strip(panels, scale):
    found = open_panels(of_panels(*panels, scale=scale), 44, 50, begun=True)
    whole = cut_panels(strip_picture(), 44, 50)
    assert found.shape == (len(panels), 3, 44, 50)
    inside = np.s_[:, :, 4:-4, 4:-4]
    assert np.array_equal(found[inside], whole[list(panels)][inside])


def drawn(seed: int) -> tuple[Image.Image, list[tuple[int, int]]]:
    """A drawn strip, and the columns of its panels."""
    strip = draw_strip(seed, date(2031, 1, 6))[0].convert("RGB")
    (end_1, start_2), (end_2, start_3) = find_gutters(whiteness(np.array(strip)))
    return strip, [(0, end_1), (start_2, end_2), (start_3, strip.width)]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("pair", [(0, 1), (1, 2)])
def test_two_panels_of_a_drawn_strip_are_cut_at_the_gutter_wherever_it_is_between_them(seed, pair):
    strip, columns = drawn(seed)
    part = strip.crop((columns[pair[0]][0], 0, columns[pair[1]][1], strip.height))
    found = open_panels(encoded(part, "PNG"), 176, 200, begun=True)
    assert len(found) == 2
    whole = cut_panels(strip, 176, 200)[list(pair)]
    assert np.abs(found.astype(int) - whole).mean() < 3


@pytest.mark.parametrize("margin", [4, 8, 20, 60])
@pytest.mark.parametrize("panels", [(1,), (1, 2), (0, 1, 2)])
def test_the_white_margin_around_panels_is_cut_off_before_they_are_counted(panels, margin):
    strip, columns = drawn(0)
    part = strip.crop((columns[panels[0]][0], 0, columns[panels[-1]][1], strip.height))
    page = ImageOps.expand(part, margin, "white")
    found, bare = (open_panels(encoded(p, "PNG"), 176, 200, begun=True) for p in (page, part))
    assert len(found) == len(panels)
    assert np.abs(found.astype(int) - bare).mean() < 3


def test_a_strip_that_was_squeezed_to_the_width_of_two_panels_still_has_three():
    strip, _ = drawn(0)
    squeezed = strip.resize((round(2.3 * strip.height), strip.height))
    assert len(open_panels(encoded(squeezed, "PNG"), 176, 200, begun=True)) == 3


@pytest.mark.parametrize("blank", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2)])
@pytest.mark.parametrize("paper", ["white", "black", "#c8c8c8"])
def test_a_panel_that_was_left_blank_is_one_of_three(blank, paper):
    strip, columns = drawn(0)
    for panel in blank:
        strip.paste(paper, (columns[panel][0], 0, columns[panel][1], strip.height))
    found = open_panels(encoded(strip, "PNG"), 44, 50, begun=True)
    assert [is_empty(panel) for panel in found] == [panel in blank for panel in range(3)]


def test_a_table_from_side_to_side_does_not_make_two_panels_of_one():
    panel = strip_picture().crop((0, 0, 198, 175))
    ImageDraw.Draw(panel).rectangle((0, 120, 198, 126), fill="black")
    assert len(open_panels(encoded(panel, "PNG"), 44, 50, begun=True)) == 1


def four_panels() -> Image.Image:
    page = Image.new("RGB", (800, 175), "white")
    for panel in range(4):
        page.paste((90, 40 * panel, 200), (200 * panel + 4, 4, 200 * panel + 196, 171))
    return page


def stacked() -> Image.Image:
    page = Image.new("RGB", (400, 1080), "white")
    for panel in range(3):
        page.paste((90, 40 * panel, 200), (4, 360 * panel + 4, 396, 360 * panel + 356))
    return page


@pytest.mark.parametrize(
    ("picture", "reason"),
    [(four_panels(), "it has four panels"), (stacked(), "is not the shape of three panels")],
)
def test_a_picture_of_other_panels_is_refused_by_its_name(tmp_path, picture, reason):
    picture.save(tmp_path / "odd.png")
    with pytest.raises(BrokenImage, match=f"odd.png cannot be used as a strip: .*{reason}"):
        open_panels(tmp_path / "odd.png", 44, 50, begun=True)


def test_where_a_whole_strip_is_wanted_a_single_panel_is_refused_by_its_name(tmp_path):
    (tmp_path / "part.png").write_bytes(of_panels(0, scale=2))
    with pytest.raises(BrokenImage, match=r"part.png cannot be used as a strip: .* three panels"):
        open_panels(tmp_path / "part.png", 44, 50)
