from datetime import date, timedelta

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageOps
from strip_pictures import strip_picture

from garfield_vae.data.drawn import draw_strip
from garfield_vae.data.images import BrokenImage
from garfield_vae.data.panels import (
    Accept,
    OtherLayout,
    Picture,
    cut_panels,
    find_frame,
    find_gutters,
    join_panels,
    to_uint8,
    to_unit,
    whiteness,
)

COLOURS = ((230, 120, 60), (90, 200, 90), (80, 110, 220))


# Gutters and frame


@pytest.mark.parametrize("width", [600, 900, 1200, 2800])
def test_gutters_are_found_to_the_column_at_every_width(width):
    image = strip_picture(width, round(width * 0.29), ((196, 206), (395, 402)))
    expected = [(196, 206), (395, 402)]
    for (start, end), (low, high) in zip(
        find_gutters(whiteness(np.array(image))), expected, strict=True
    ):
        assert (start, end) == (round(low * width / 600), round(high * width / 600))


def test_gutters_are_found_across_their_whole_measured_scatter():
    for centre_1 in np.linspace(0.326, 0.349, 6):
        for centre_2 in np.linspace(0.645, 0.675, 6):
            gutters = [(round(c * 600) - 4, round(c * 600) + 3) for c in (centre_1, centre_2)]
            assert find_gutters(whiteness(np.array(strip_picture(gutters=gutters)))) == gutters


def test_a_balloon_and_an_upright_line_of_text_across_a_gutter_do_not_move_it():
    image = strip_picture()
    pen = ImageDraw.Draw(image)
    pen.ellipse((150, 8, 260, 60), fill="white", outline="black", width=2)
    for y in range(80, 160, 4):  # 40 % of the gutter's height in dashes, four columns wide
        pen.line((394, y, 397, y + 1), fill="black")
    assert find_gutters(whiteness(np.array(image))) == [(198, 206), (391, 399)]


def test_a_white_middle_panel_does_not_widen_its_gutters_beyond_reason():
    image = strip_picture(colours=((230, 120, 60), (255, 255, 255), (80, 110, 220)))
    (start_1, end_1), (start_2, end_2) = find_gutters(whiteness(np.array(image)))
    assert (start_1, end_2) == (198, 399)  # beside the borders
    assert end_1 - start_1 <= 15
    assert end_2 - start_2 <= 15


def test_gutters_of_a_picture_without_any_fall_near_their_usual_places():
    flat = np.full((175, 600, 3), 90, np.uint8)
    for (start, end), centre in zip(find_gutters(whiteness(flat)), (0.338, 0.659), strict=True):
        assert abs((start + end) / 2 / 600 - centre) < 0.005


def test_the_margin_is_found_and_only_the_margin():
    assert find_frame(whiteness(np.array(strip_picture(margin=5)))) == (5, 5, 595, 170)
    assert find_frame(whiteness(np.full((175, 600, 3), 90, np.uint8))) == (0, 0, 600, 175)
    assert find_frame(whiteness(np.full((175, 600, 3), 255, np.uint8))) == (0, 0, 600, 175)


def test_drawn_strips_are_cut_where_they_were_drawn():
    for number in range(40):
        image, _ = draw_strip(3, date(2020, 1, 1) + timedelta(number))
        pixels = np.array(image.convert("RGB"))
        for start, end in find_gutters(whiteness(pixels)):
            assert (pixels[8:-8, start:end] > 230).all(axis=2).mean() > 0.9
            assert (pixels[8:-8, [start - 1, end]] < 230).any(axis=2).mean() > 0.7


# Cutting and joining


@pytest.mark.parametrize("width", [600, 1200, 2800])
def test_panels_are_channels_first_in_reading_order_without_any_gutter(width):
    panels = cut_panels(strip_picture(width, round(width * 0.29)))
    assert (panels.shape, panels.dtype) == ((3, 3, 176, 200), np.uint8)
    for panel, colour in zip(panels, COLOURS, strict=True):
        assert np.abs(panel[:, 88, 100].astype(int) - colour).max() <= 2
        assert panel.min(axis=0).max() < 250  # no paper left
    assert (panels[[0, 2]][:, :, 0] < 60).all()  # the border is the first row
    assert (panels[0, :, :, 199] < 60).all()


@pytest.mark.parametrize("paper", [(225, 205, 160), (150, 150, 150), (200, 40, 40)])
@pytest.mark.parametrize("palette", [False, True])
def test_gutters_and_margin_of_another_colour_than_white_are_cut_away_too(paper, palette):
    white = strip_picture(gutters=((202, 209), (393, 402)), margin=5)
    pixels = np.array(white)
    pixels[(pixels == 255).all(axis=2)] = paper
    other = Image.fromarray(pixels)
    cut = cut_panels(other.quantize(8) if palette else other)
    assert (cut == cut_panels(white)).all()


def test_any_panel_size_may_be_asked_for():
    assert cut_panels(strip_picture(), 64, 48).shape == (3, 3, 64, 48)


@pytest.mark.parametrize("colours", [1, 3, 100, 256])
def test_a_picture_with_a_palette_is_cut_as_the_same_in_rgb(colours):
    rng = np.random.default_rng(colours)
    indices = rng.integers(0, 256, (175, 600), np.uint8)  # also of colours that a palette lacks
    image = Image.fromarray(indices)
    image.putpalette(rng.integers(64, 256, 3 * colours, np.uint8).tobytes())
    assert (cut_panels(image) == cut_panels(image.convert("RGB"))).all()
    drawn = strip_picture().quantize(16)
    assert (cut_panels(drawn) == cut_panels(drawn.convert("RGB"))).all()


@pytest.mark.parametrize("size", [(900, 636), (600, 600), (2400, 300)])
def test_a_picture_of_another_shape_is_refused(size):
    with pytest.raises(BrokenImage, match="not the shape"):
        cut_panels(Image.new("RGB", size, "red"))


@pytest.mark.parametrize("colour", ["white", "black", (120, 121, 122)])
def test_a_blank_picture_is_refused(colour):
    with pytest.raises(BrokenImage, match="flat"):
        cut_panels(Image.new("RGB", (600, 175), colour))


def test_joined_panels_have_white_gutters_and_the_panels_unchanged():
    panels = np.random.default_rng(0).integers(0, 250, (2, 3, 3, 176, 200), np.uint8)
    strips = join_panels(panels)
    assert strips.shape == (2, 192, 632, 3)
    assert (strips[0, 8:184, 8:208].transpose(2, 0, 1) == panels[0, 0]).all()
    assert (strips[1, 8:184, 216:416].transpose(2, 0, 1) == panels[1, 1]).all()
    assert (strips[1, 8:184, 424:624].transpose(2, 0, 1) == panels[1, 2]).all()
    for column in (0, 7, 208, 215, 416, 423, 624, 631):
        assert (strips[:, :, column] == 255).all()
    assert (join_panels(panels[1]) == strips[1]).all()


def test_a_joined_strip_is_cut_into_the_same_panels_again():
    panels = cut_panels(draw_strip(0, date(2020, 5, 4))[0].convert("RGB"))
    again = cut_panels(Image.fromarray(join_panels(panels)))
    assert np.abs(panels.astype(int) - again).mean() < 4


# Values


def test_bytes_survive_the_way_to_unit_and_back():
    pixels = torch.arange(256, dtype=torch.uint8)
    values = to_unit(pixels)
    assert (values.dtype, values[0], values[255]) == (torch.float32, -1, 1)
    assert torch.equal(to_uint8(values), pixels)


def test_values_outside_the_unit_range_are_clipped_and_the_argument_is_left_alone():
    values = torch.tensor([-3.0, -1.0, 0.0, 1.0, 7.0])
    assert to_uint8(values).tolist() == [0, 0, 128, 255, 255]
    assert values.tolist() == [-3, -1, 0, 1, 7]
    assert to_uint8(torch.tensor([0.5], dtype=torch.bfloat16)).tolist() == [191]


@pytest.mark.parametrize("paper", ["white", (240, 230, 200)])
@pytest.mark.parametrize("margins", [(20, 12, 20, 12), (10, 10, 10, 40), (90, 90, 90, 90)])
def test_the_margin_of_a_page_is_taken_off_before_the_gutters_are_looked_for(margins, paper):
    """(left, top, right, bottom) pixels, of which `find_frame` alone would keep the most."""

    def strip(colour: str | tuple) -> Image.Image:
        made = Image.new("RGB", (600, 170), colour)
        for start, panel in ((0, (200, 40, 40)), (203, (40, 160, 40)), (407, (40, 40, 200))):
            made.paste(panel, (start, 0, start + 193, 170))
        return made

    page = ImageOps.expand(strip(paper), margins, paper)
    assert (cut_panels(page, accept=Accept.THREE) == cut_panels(strip("white"))).all()


@pytest.mark.parametrize("paper", [(255, 255, 255), (240, 230, 200), (230, 205, 150)])
@pytest.mark.parametrize("margin", [0, 7, 13, 20, 90])
def test_a_strip_on_tinted_paper_is_cut_where_it_is_cut_on_white(margin, paper):
    for seed in range(4):
        strip = draw_strip(seed, date(2031, 1, 6))[0].convert("RGB")
        page = ImageOps.expand(strip, margin, "white")
        tinted = Image.fromarray((np.array(page) * (np.array(paper) / 255)).astype(np.uint8))
        found, white = cut_panels(tinted), cut_panels(strip)
        expected = white * (np.array(paper).reshape(3, 1, 1) / 255)
        assert np.abs(found - expected).mean() < 3


@pytest.mark.parametrize("above", [20, 90, 160])
def test_how_high_a_page_is_does_not_change_the_columns_of_the_strip_on_it(above):
    strip = Image.new("RGB", (600, 200), "white")
    for x in range(20, 580, 8):  # a dotted line from side to side, and little else
        strip.paste("black", (x, 60, x + 4, 66))
    strip.paste("black", (20, 20, 40, 180))
    strip.paste("black", (560, 20, 580, 180))
    page = ImageOps.expand(strip, (20, above // 2, 20, above // 2), "white")
    assert Picture(page).pixels.shape == (160, 560)


def test_what_is_drawn_low_and_wide_on_white_stays_a_strip():
    strip = Image.new("RGB", (600, 175), "white")
    for start in (20, 220, 410):
        strip.paste("black", (start, 60, start + 160, 126))
    assert cut_panels(strip).shape == (3, 3, 176, 200)


def test_a_dot_on_an_empty_page_is_no_strip():
    page = Image.new("RGB", (600, 175), "white")
    page.paste("black", (280, 80, 320, 92))
    with pytest.raises(OtherLayout, match="one panel"):
        cut_panels(page, accept=Accept.THREE)
    assert cut_panels(page, accept=Accept.ANY).shape == (3, 3, 176, 200)
