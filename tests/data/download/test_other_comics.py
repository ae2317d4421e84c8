"""The right comic: what is another's, or no strip at all, is not taken for the day's strip."""

import io
import json
from datetime import date

import pytest
from comic_site import body, redirect
from downloading import BAD, BAD_PATH, WITHOUT_BAD, record, run, there
from PIL import Image

from garfield_vae.data.download.sites import Comic
from garfield_vae.data.drawn import draw_strip

MISSING_ONE = {f"{BAD}": "missing"}


def encoded(image: Image.Image, form: str = "GIF") -> bytes:
    file = io.BytesIO()
    image.save(file, form)
    return file.getvalue()


def outcome(folder) -> dict[str, str]:
    """The status of the days that are not there."""
    return {day: line["status"] for day, line in record(folder).items() if line["status"] != "ok"}


@pytest.mark.parametrize(
    ("title", "is_ours"),
    [
        ("Garfield by Jim Davis for March 13, 1985", True),
        ("Garfield for March 13, 1985", True),
        ("GARFIELD - March 13, 1985", True),
        ("Garfield comic strip from March 13, 1985", True),
        ("Peanuts by Charles Schulz for March 13, 1985", False),
        ("Garfield Classics by Jim Davis for March 13, 1985", False),
        ("U.S. Acres by Jim Davis for March 13, 1985", False),
        ("Heathcliff, a cat like Garfield for March 13, 1985", False),
    ],
)
def test_gocomics_strip_is_known_by_its_comics_name(site, tmp_path, title, is_ours):
    page = site.day_page(BAD).replace(f"Garfield by Jim Davis for March {BAD.day}, 1985", title)
    site.fail("/garfield/1985/03/13", body(page.encode(), "text/html"))
    run(site, tmp_path, "gocomics")
    assert outcome(tmp_path) == ({} if is_ours else MISSING_ONE)


def test_gocomics_without_image_objects_a_banner_is_no_strip(site, tmp_path):
    banner = draw_strip(0, BAD)[0].convert("RGB").resize((1200, 630))
    page = site.day_page(BAD, objects=[], card="https://featureassets.gocomics.com/banner")
    site.fail("/garfield/1985/03/13", body(page.encode(), "text/html"))
    site.fail("/banner", body(encoded(banner, "PNG")))
    report = run(site, tmp_path, "gocomics")
    assert outcome(tmp_path) == {f"{BAD}": "error"}
    assert "1200×630 pixels are not the shape of a daily" in report.problems[BAD]


def test_jikos_with_another_comics_picture_in_the_cell_does_not_have_the_day(site, tmp_path):
    page = site.month_page(1985, 3).replace("ga850313.gif", "pe850313.gif")
    site.fail("/garfield/1985/3/", body(page.encode(), "text/html"))
    run(site, tmp_path, "jikos")
    assert outcome(tmp_path) == MISSING_ONE


def test_arcamax_with_another_comic_on_its_page_has_nothing(site, tmp_path):
    page = site.arcamax_page(site.latest).replace("Garfield for", "Peanuts for")
    site.fail("/thefunnies/garfield/", body(page.encode(), "text/html"))
    report = run(site, tmp_path, "arcamax", start=date(2026, 11, 16), end=site.latest)
    assert report.there == 0


def test_arcamax_does_not_follow_a_link_to_another_comic(site, tmp_path):
    page = site.arcamax_page(site.latest).replace("/thefunnies/garfield/s-", "/thefunnies/peanuts/")
    site.fail("/thefunnies/garfield/", body(page.encode(), "text/html"))
    report = run(site, tmp_path, "arcamax", start=date(2026, 11, 16), end=site.latest)
    assert report.there == 1
    assert site.asked("peanuts") == 0


def test_the_service_is_believed_only_for_the_date_that_it_says(site, tmp_path):
    other = site.service_answer(date(1985, 3, 20))
    site.fail("/api/service/v2/assets/recent/garfield", body(json.dumps(other).encode()))
    report = run(site, tmp_path, "gocomics-json")
    assert report.total("missing") == 6


@pytest.mark.parametrize(
    ("size", "colour", "reason"),
    [
        ((600, 175), "white", "600×175 pixels are blank"),
        ((900, 900), None, "900×900 pixels are not the shape of a daily"),
        ((240, 9000), None, "240×9000 pixels are not the shape of a daily"),
        ((9000, 240), None, "9000×240 pixels are not the shape of a daily"),
    ],
)
def test_a_picture_that_is_no_daily_is_named_by_its_shape(site, tmp_path, size, colour, reason):
    image = draw_strip(0, BAD)[0].convert("RGB").resize(size)
    if colour:
        image = Image.new("RGB", size, colour)
    site.fail(BAD_PATH, body(encoded(image)))
    report = run(site, tmp_path)
    assert there(tmp_path) == WITHOUT_BAD
    assert reason in report.problems[BAD]


@pytest.mark.parametrize(
    ("slug", "title", "same"),
    [
        ("foxtrot", "FoxTrot", True),
        ("the-born-loser", "The Born Loser", True),
        ("wizardofid", "Wizard of Id", True),
        ("bc", "B.C.", True),
        ("9to5", "9 to 5", True),
        ("lio", "Lió", True),
        ("garfield", "Garfield Classics", False),
        ("garfield", "", False),
    ],
)
def test_a_comic_is_known_by_its_title(slug, title, same):
    assert Comic.parse(f"{slug}:1990-01-01").is_called(title) is same


@pytest.mark.parametrize("source", ["uclick", "jikos"])
@pytest.mark.parametrize(
    "where",
    ["/comics/pe/1985/pe850313.gif", "/comics/ga/1995/ga950313.gif", "/images/not-available.gif"],
)
def test_a_redirect_from_a_days_picture_to_another_name_is_not_the_days(
    site, tmp_path, source, where
):
    site.fail(BAD_PATH, redirect(where))
    site.fail(where, body(encoded(draw_strip(5, BAD)[0]), "image/gif"))
    run(site, tmp_path, source)
    assert outcome(tmp_path) == MISSING_ONE


def test_a_redirect_from_a_days_picture_to_its_name_in_another_folder_is_followed(site, tmp_path):
    site.fail(BAD_PATH, redirect("/archive/ga850313.gif"))
    site.fail("/archive/ga850313.gif", body(encoded(draw_strip(5, BAD)[0]), "image/gif"))
    run(site, tmp_path)
    assert outcome(tmp_path) == {}
