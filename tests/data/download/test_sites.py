"""How each site's pages are read: which picture is the day's, and when there is none."""

import json
from datetime import date

import pytest
from comic_site import asset, body, challenge, redirect, status
from downloading import given

from garfield_vae.data.download.client import Answer
from garfield_vae.data.download.errors import BadAnswer, Blocked, Missing, NoAnswer
from garfield_vae.data.download.sites import GARFIELD, SITES, Comic
from garfield_vae.data.download.sites.arcamax import ArcaMax
from garfield_vae.data.download.sites.gocomics import GoComics
from garfield_vae.data.download.sites.jikos import Jikos
from garfield_vae.data.download.sites.uclick import Uclick
from garfield_vae.util.errors import UserError

DAY = date(1985, 3, 12)
OTHER = date(1985, 3, 13)
DAY_PAGE = "/garfield/1985/03/12"


# ---------------------------------------------------------------------------------------------
# uclick


def test_uclick_knows_the_address_from_the_date():
    assert given(Uclick, "").pictures(date(1978, 6, 19)) == [
        "https://picayune.uclick.com/comics/ga/1978/ga780619.gif"
    ]


def test_uclick_has_recent_sundays_as_jpeg():
    assert given(Uclick, "").pictures(date(2026, 11, 22)) == [
        "https://picayune.uclick.com/comics/ga/2026/ga261122.gif",
        "https://picayune.uclick.com/comics/ga/2026/ga261122.jpg",
    ]


def test_uclick_jikos_and_the_wiki_have_no_comic_but_garfield():
    foxtrot = Comic.parse("foxtrot:1988-04-10")
    assert {name for name, kind in SITES.items() if not kind.has(foxtrot)} == {
        *("uclick", "jikos", "wiki")
    }


# ---------------------------------------------------------------------------------------------
# jikos


def test_jikos_names_a_days_picture_and_asks_for_a_month_once(site, source):
    jikos = source(Jikos)
    assert jikos.pictures(DAY) == ["http://picayune.uclick.com/comics/ga/1985/ga850312.gif"]
    assert jikos.pictures(OTHER) == ["http://picayune.uclick.com/comics/ga/1985/ga850313.gif"]
    assert site.log == ["/robots.txt", "/garfield/1985/3/"]


def test_a_day_that_its_month_does_not_have_is_missing(site, source):
    site.has = lambda day: day != DAY
    with pytest.raises(Missing):
        source(Jikos).pictures(DAY)


def test_a_month_page_that_fails_is_asked_for_once_for_all_its_days(site, source):
    site.fail("/garfield/1985/3/", status(500))
    jikos = source(Jikos)
    for day in (DAY, OTHER):
        with pytest.raises(NoAnswer):
            jikos.pictures(day)
    assert site.asked("/garfield/1985/3/") == 4  # one request and its three retries


def test_dates_of_another_year_are_other_days():
    page = (
        '<td>12/3/1986<br/><img src="/comics/ga/1986/ga860312.gif" alt="garfield 12/3/1986"/></td>'
    )
    with pytest.raises(Missing):
        given(Jikos, page).pictures(DAY)


@pytest.mark.parametrize(
    "cell",
    [
        '12/3/1985<br/><img src="/img/vim.gif"/>',
        '13/3/1985<br/><img src="/comics/ga/1985/ga850312.gif" alt="garfield 12/3/1985"/>',
        '12/3/1985<br/><img src="/comics/ga/1985/ga850313.gif" alt="garfield 12/3/1985"/>',
        '12/3/1985<br/><img alt="garfield 12/3/1985"/>',
        '99/99/1985<br/><img src="/x.gif" alt="garfield 99/99/1985"/>',
    ],
)
def test_a_cell_that_contradicts_itself_is_not_believed(cell):
    with pytest.raises(BadAnswer, match="no strip that can be recognised"):
        given(Jikos, f"<table><td>{cell}</td></table>").pictures(DAY)


def test_a_month_page_in_another_character_set_than_it_says_is_read():
    page = (
        '<meta charset="utf-16"><td>12/3/1985 b\xe9<br/>'
        '<img src="/comics/ga/1985/ga850312.gif" alt="garfield 12/3/1985"/></td>'
    )
    jikos = Jikos(GARFIELD, lambda address: Answer(address, page.encode("latin-1")))
    assert jikos.pictures(DAY) == ["http://pt.jikos.cz/comics/ga/1985/ga850312.gif"]


@pytest.mark.filterwarnings("error")
def test_an_xhtml_page_is_read_without_a_warning(site):
    page = '<?xml version="1.0" encoding="utf-8"?>' + site.month_page(1985, 3)
    assert len(given(Jikos, page).pictures(DAY)) == 1


@pytest.mark.parametrize("page", ["<![x", "<!x[", "page.html", "\0", "<td" * 1000, "<a>" * 600_000])
def test_a_page_that_is_no_html_is_a_bad_answer(page):
    for kind in (Jikos, GoComics, ArcaMax):
        with pytest.raises(BadAnswer):
            given(kind, page).pictures(DAY)


# ---------------------------------------------------------------------------------------------
# gocomics


def day_page(site, **details) -> None:
    site.fail(DAY_PAGE, body(site.day_page(DAY, **details).encode(), "text/html"))


def test_of_several_image_objects_the_one_named_after_the_day_is_right(site, source):
    (picture,) = source(GoComics).pictures(DAY)
    assert asset(DAY) in picture


def test_without_image_objects_the_card_of_the_right_page_is_the_strip(site, source):
    day_page(site, objects=[])
    assert source(GoComics).pictures(DAY)[0].endswith(asset(DAY))


def test_with_image_objects_of_other_days_only_nothing_is_taken(site, source):
    day_page(site, objects=[OTHER, date(1985, 3, 2)])
    with pytest.raises(BadAnswer, match="does not say which picture"):
        source(GoComics).pictures(DAY)


def test_the_sites_own_logo_is_no_strip(site, source):
    day_page(site, objects=[], card="https://assets.gocomics.com/GC_Social_FB_1200.png")
    with pytest.raises(BadAnswer):
        source(GoComics).pictures(DAY)


def test_todays_strip_served_without_a_redirect_is_refused(site, source):
    day_page(site, canonical=site.latest, objects=[site.latest])
    with pytest.raises(BadAnswer, match="2026-11-23"):
        source(GoComics).pictures(DAY)


def test_a_redirect_to_today_means_that_the_day_is_missing(site, source):
    site.has = lambda day: day == site.latest
    with pytest.raises(Missing, match="2026/11/23"):
        source(GoComics).pictures(DAY)


def test_a_redirect_to_the_same_day_of_another_comic_means_missing(site, source):
    site.fail(DAY_PAGE, redirect("/garfield-classics/1985/03/12"))
    site.fail("/garfield-classics/1985/03/12", body(site.day_page(DAY).encode(), "text/html"))
    with pytest.raises(Missing):
        source(GoComics).pictures(DAY)


def test_json_that_is_nested_broken_or_deep_is_read_as_far_as_it_goes():
    strip = {"@type": ["Thing", "ImageObject"], "name": "Garfield, March 12, 1985", "url": "/a"}
    page = (
        f'<link rel="canonical" href="https://www.gocomics.com{DAY_PAGE}"/>'
        '<script type="application/ld+json">{broken</script>'
        f'<script type="application/ld+json">{"[" * 100_000}</script>'
        f'<script type="application/ld+json">{json.dumps({"@graph": [{"image": strip}]})}</script>'
    )
    assert given(GoComics, page).pictures(DAY) == ["https://www.gocomics.com/a"]


def test_a_strip_of_the_12th_is_not_taken_for_the_2nd():
    strip = {"@type": "ImageObject", "name": "Garfield for March 12, 1985", "url": "/a"}
    page = f'<script type="application/ld+json">{json.dumps(strip)}</script>'
    with pytest.raises(BadAnswer):
        given(GoComics, page).pictures(date(1985, 3, 2))


def test_a_challenge_in_place_of_the_page_blocks(site, source):
    site.fail(DAY_PAGE, challenge)
    with pytest.raises(Blocked):
        source(GoComics).pictures(DAY)


# ---------------------------------------------------------------------------------------------
# arcamax


def test_arcamax_walks_back_once_for_all_its_days(site, source):
    arcamax = source(ArcaMax)
    for day in (date(2026, 11, 19), date(2026, 11, 21), date(2026, 11, 23)):
        assert arcamax.pictures(day) == [
            f"https://resources.arcamax.com/newspics/{day.toordinal()}.jpg"
        ]
    assert site.asked("/thefunnies/garfield/") == 5  # from the 23rd to the 19th


def test_a_day_long_gone_costs_arcamax_one_page(site, source):
    arcamax = source(ArcaMax)
    for day in (DAY, OTHER):
        with pytest.raises(Missing):
            arcamax.pictures(day)
    assert site.log == ["/robots.txt", "/thefunnies/garfield/"]


def test_arcamax_ends_where_the_pages_end(site, source):
    with pytest.raises(Missing):
        source(ArcaMax).pictures(date(2026, 10, 20))
    assert site.asked("/thefunnies/garfield/") == 31


def test_a_page_that_leads_back_to_itself_ends_the_walk(site, source):
    page = site.arcamax_page(site.latest).replace(str(site.latest.toordinal() - 1), "739943")
    site.fail("/thefunnies/garfield/", body(page.encode(), "text/html"))
    site.latest = date.fromordinal(739943)
    with pytest.raises(BadAnswer, match="the page before"):
        source(ArcaMax).pictures(date(2026, 11, 20))


def test_arcamax_with_other_class_names_is_known_by_its_text():
    page = (
        '<img alt="Zits for 11/20/2026" src="/z.jpg"/>'
        '<img class="x" alt="Garfield for 11/20/2026" src="/g.jpg"/>'
    )
    assert given(ArcaMax, page).pictures(date(2026, 11, 20)) == ["https://www.arcamax.com/g.jpg"]


def test_an_arcamax_page_without_a_strip_is_asked_for_once(site, source):
    site.fail("/thefunnies/garfield/", body(b"<p>nothing</p>", "text/html"))
    arcamax = source(ArcaMax)
    for day in (DAY, OTHER):
        with pytest.raises(BadAnswer, match="no strip that can be recognised"):
            arcamax.pictures(day)
    assert site.asked("/thefunnies/garfield/") == 1


# ---------------------------------------------------------------------------------------------
# Comics


def test_another_comic_is_its_name_first_day_and_weekdays():
    assert Comic.parse("foxtrot:1988-04-10:mon-fri") == Comic(
        "foxtrot", date(1988, 4, 10), frozenset({0, 1, 2, 3, 4})
    )
    assert Comic.parse("zits:1997-07-07").weekdays == frozenset(range(6))
    assert Comic.parse("weekly:2001-01-03:wed").weekdays == {2}


@pytest.mark.parametrize(
    "text",
    [
        *("foxtrot", "../etc:1988-04-10", "foxtrot:April", "foxtrot:1988-04-10:sun", "", "A:1"),
        "foxtrot:1988-04-10:sat-mon",
    ],
)
def test_a_comic_that_is_not_understood_is_explained(text):
    with pytest.raises(UserError, match=r"--comic .* such as foxtrot"):
        Comic.parse(text)
