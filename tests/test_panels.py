import pickle
import struct
import zlib
from contextlib import suppress
from datetime import date, timedelta

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from strip_pictures import encoded, strip_picture

from garfield_vae.drawn import draw_strip
from garfield_vae.panels import (
    BrokenImage,
    cut_panels,
    find_frame,
    find_gutters,
    join_panels,
    open_strip,
    to_uint8,
    to_unit,
)

COLOURS = ((230, 120, 60), (90, 200, 90), (80, 110, 220))


def png_header(width: int, height: int) -> bytes:
    """A PNG that declares a size and has almost no pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + crc

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


# Opening


@pytest.mark.parametrize("format", ["GIF", "JPEG", "PNG"])
def test_each_format_opens_as_rgb_with_its_colours(format):
    image = open_strip(encoded(strip_picture(), format))
    assert (image.mode, image.size) == ("RGB", (600, 175))
    assert np.abs(np.array(image.getpixel((300, 80)), int) - COLOURS[1]).max() <= 6


def test_a_file_opens_as_its_bytes_do(tmp_path):
    path = tmp_path / "strip.png"
    path.write_bytes(encoded(strip_picture(), "PNG"))
    assert open_strip(path).tobytes() == open_strip(path.read_bytes()).tobytes()


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "1"])
def test_every_kind_of_png_becomes_rgb(mode):
    image = open_strip(encoded(strip_picture().convert(mode), "PNG"))
    assert image.mode == "RGB"
    assert image.getpixel((202, 80)) == (255, 255, 255)


def test_a_cmyk_jpeg_keeps_its_colours():
    image = open_strip(encoded(strip_picture().convert("CMYK"), "JPEG", quality=95))
    assert np.abs(np.array(image.getpixel((300, 80)), int) - COLOURS[1]).max() <= 12


def test_sixteen_bit_grey_is_scaled_not_clipped():
    deep = np.full((175, 600), 32896, np.uint16)  # 128 · 257
    image = open_strip(encoded(Image.fromarray(deep), "PNG"))
    assert image.getpixel((10, 10)) == (128, 128, 128)


def test_transparent_parts_are_white_paper():
    image = strip_picture().convert("RGBA")
    image.paste((0, 0, 0, 0), (198, 0, 206, 175))
    assert open_strip(encoded(image, "PNG")).getpixel((202, 80)) == (255, 255, 255)


def test_an_animation_gives_its_first_frame():
    second = Image.new("RGB", (600, 175), "red")
    content = encoded(strip_picture(), "GIF", save_all=True, append_images=[second])
    assert np.abs(np.array(open_strip(content).getpixel((300, 80)), int) - COLOURS[1]).max() <= 6


@pytest.mark.parametrize("format", ["GIF", "JPEG", "PNG"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_a_truncated_picture_is_refused(format, kept):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (175, 600, 3), np.uint8))
    content = encoded(noise, format)
    with pytest.raises(BrokenImage, match="damaged"):
        open_strip(content[: int(len(content) * kept)])


NO_STRIPS = {
    "nothing": (b"", "not a GIF, JPEG or PNG"),
    "a page": (b"<!DOCTYPE html><html>Establishing a secure connection", "not a GIF, JPEG or PNG"),
    "a signature": (b"GIF89a", "not a GIF, JPEG or PNG"),
    "another format": (encoded(strip_picture(), "BMP"), "not a GIF, JPEG or PNG"),
    "one pixel": (encoded(Image.new("RGB", (1, 1)), "GIF"), "too few"),
    "no width": (png_header(0, 175), "too few|not a GIF, JPEG or PNG"),
    "40,000 wide": (png_header(40_000, 100), "more than a strip has"),
    "81 megapixels": (png_header(9_000, 9_000), "more than a strip has"),
    "3.6 gigapixels": (png_header(60_000, 60_000), "more pixels than a strip has"),
}


@pytest.mark.parametrize("kind", NO_STRIPS)
def test_what_is_no_strip_is_refused_with_the_reason(kind):
    content, reason = NO_STRIPS[kind]
    with pytest.raises(BrokenImage, match=reason):
        open_strip(content)


def test_a_broken_palette_is_refused_or_read_but_never_crashes():
    content = bytearray(encoded(strip_picture().quantize(16), "PNG"))
    start = content.index(b"PLTE")
    for length in (0, 1, 7, 100_000, 2**31):
        broken = content[: start - 4] + struct.pack(">I", length) + content[start:]
        with pytest.raises(BrokenImage):
            open_strip(bytes(broken))


def test_altered_bytes_give_a_picture_or_a_broken_image_and_nothing_else():
    rng = np.random.default_rng(1)
    for format in ("GIF", "JPEG", "PNG"):
        content = np.frombuffer(encoded(strip_picture(), format), np.uint8)
        for _ in range(100):
            altered = content.copy()
            places = rng.integers(0, min(len(altered), 900), rng.integers(1, 12))
            altered[places] = rng.integers(0, 256, len(places))
            with suppress(BrokenImage):
                cut_panels(open_strip(altered.tobytes()))


def test_a_missing_file_is_a_broken_image_that_names_it(tmp_path):
    with pytest.raises(BrokenImage, match=r"gone\.gif.*No such file"):
        open_strip(tmp_path / "gone.gif")


def test_opening_leaves_pillows_limits_as_they_are():
    before = Image.MAX_IMAGE_PIXELS
    with pytest.raises(BrokenImage):
        open_strip(png_header(40_000, 100))
    open_strip(encoded(strip_picture(), "GIF"))
    assert before == Image.MAX_IMAGE_PIXELS


def test_a_broken_image_can_cross_to_another_process():
    error = pickle.loads(pickle.dumps(BrokenImage("a.gif", "it is odd")))
    assert (str(error), error.reason) == ("a.gif cannot be used as a strip: it is odd", "it is odd")


# Gutters and frame


@pytest.mark.parametrize("width", [600, 900, 1200, 2800])
def test_gutters_are_found_to_the_column_at_every_width(width):
    image = strip_picture(width, round(width * 0.29), ((196, 206), (395, 402)))
    expected = [(196, 206), (395, 402)]
    for (start, end), (low, high) in zip(find_gutters(np.array(image)), expected, strict=True):
        assert (start, end) == (round(low * width / 600), round(high * width / 600))


def test_gutters_are_found_across_their_whole_measured_scatter():
    for centre_1 in np.linspace(0.326, 0.349, 6):
        for centre_2 in np.linspace(0.645, 0.675, 6):
            gutters = [(round(c * 600) - 4, round(c * 600) + 3) for c in (centre_1, centre_2)]
            assert find_gutters(np.array(strip_picture(gutters=gutters))) == gutters


def test_a_balloon_and_an_upright_line_of_text_across_a_gutter_do_not_move_it():
    image = strip_picture()
    pen = ImageDraw.Draw(image)
    pen.ellipse((150, 8, 260, 60), fill="white", outline="black", width=2)
    for y in range(80, 160, 4):  # 40 % of the gutter's height in dashes, four columns wide
        pen.line((394, y, 397, y + 1), fill="black")
    assert find_gutters(np.array(image)) == [(198, 206), (391, 399)]


def test_a_white_middle_panel_does_not_widen_its_gutters_beyond_reason():
    image = strip_picture(colours=((230, 120, 60), (255, 255, 255), (80, 110, 220)))
    (start_1, end_1), (start_2, end_2) = find_gutters(np.array(image))
    assert (start_1, end_2) == (198, 399)  # beside the borders
    assert end_1 - start_1 <= 15
    assert end_2 - start_2 <= 15


def test_gutters_of_a_picture_without_any_fall_near_their_usual_places():
    flat = np.full((175, 600, 3), 90, np.uint8)
    for (start, end), centre in zip(find_gutters(flat), (0.338, 0.659), strict=True):
        assert abs((start + end) / 2 / 600 - centre) < 0.005


def test_the_margin_is_found_and_only_the_margin():
    assert find_frame(np.array(strip_picture(margin=5))) == (5, 5, 595, 170)
    assert find_frame(np.full((175, 600, 3), 90, np.uint8)) == (0, 0, 600, 175)
    assert find_frame(np.full((175, 600, 3), 255, np.uint8)) == (0, 0, 600, 175)


def test_drawn_strips_are_cut_where_they_were_drawn():
    for number in range(40):
        image, _ = draw_strip(3, date(2020, 1, 1) + timedelta(number))
        pixels = np.array(image.convert("RGB"))
        for start, end in find_gutters(pixels):
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


def test_any_panel_size_may_be_asked_for():
    assert cut_panels(strip_picture(), 64, 48).shape == (3, 3, 64, 48)


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
