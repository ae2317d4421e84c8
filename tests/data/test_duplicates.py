"""The same picture is found again in another encoding, size or crop; another picture never is."""

import io
from datetime import date, timedelta

import numpy as np
from PIL import Image, ImageDraw

from garfield_vae.data.drawn import draw_strip
from garfield_vae.data.duplicates import fingerprint, same_pictures
from garfield_vae.data.panels import cut_panels
from garfield_vae.data.splits import linked


def drawn(day: int) -> Image.Image:
    return draw_strip(0, date(1990, 1, 1) + timedelta(day))[0].convert("RGB")


def pairs_of(pictures: list[Image.Image]) -> list[tuple[int, int]]:
    panels = np.stack([cut_panels(picture) for picture in pictures])
    return sorted(same_pictures(np.stack([fingerprint(p) for p in panels]), panels))


def test_jpeg_another_size_a_small_crop_and_a_margin_are_the_same_picture():
    strip = drawn(5)
    packed = io.BytesIO()
    strip.resize((900, 262)).save(packed, "JPEG", quality=60)
    margin = Image.new("RGB", (620, 195), "white")
    margin.paste(strip, (10, 10))
    again = [Image.open(packed), strip.crop((5, 2, 595, 173)), margin]
    assert [pairs_of([strip, picture]) for picture in again] == [[(0, 1)]] * 3
    assert len(set(linked("abcd", pairs_of([strip, *again])))) == 1


def test_different_strips_and_flat_ones_are_not_the_same():
    flat = [Image.new("RGB", (600, 175), (shade, 90, 40)) for shade in (90, 91)]
    for picture in flat:
        picture.paste((0, 0, 0), (195, 0, 205, 175))
    assert pairs_of([*map(drawn, range(30)), *flat]) == []


def test_one_joke_in_the_same_poses_but_other_colours_is_another_strip():
    days = [date(1994, 5, 11), date(2009, 2, 23), date(1990, 9, 1), date(1998, 5, 14)]
    assert pairs_of([draw_strip(0, day)[0].convert("RGB") for day in days]) == []


def test_a_picture_in_grey_is_the_same():
    strip = drawn(7)
    assert pairs_of([strip, strip.convert("L").convert("RGB")]) == [(0, 1)]


def test_a_comic_with_the_same_drawings_every_day_tells_its_strips_apart_by_the_lettering():
    def lettered(number: int) -> Image.Image:
        strip, letters = drawn(5), np.random.default_rng(number)
        pen = ImageDraw.Draw(strip)
        for left in (8, 206, 404):  # a balloon in each panel, its words as blots
            pen.ellipse((left, 6, left + 185, 76), "white", "black")
            for y in range(18, 66, 9):
                for x in range(left + 30, left + 150, 10):
                    if letters.random() < 0.6:
                        pen.rectangle((x, y, x + letters.integers(3, 9), y + 5), "black")
        return strip

    strips = [lettered(number) for number in range(40)]
    assert pairs_of([*strips, strips[3]]) == [(3, 40)]


def test_of_many_that_show_one_picture_enough_pairs_are_found_to_link_them_all():
    shades = [
        drawn(day).point(lambda value, by=by: value - by) for day in (5, 6) for by in range(20)
    ]
    pairs = pairs_of(shades)
    assert len(pairs) < 2 * 20 * 19 / 2  # of all that there are
    assert len(set(linked([str(row) for row in range(40)], pairs))) == 2
