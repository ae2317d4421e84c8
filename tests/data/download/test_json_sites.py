"""The wiki's API and gocomics' service: which picture is the day's, in answers of any kind."""

import json
from datetime import date

import pytest
from comic_site import asset
from downloading import given

from garfield_vae.data.download.errors import BadAnswer, Missing
from garfield_vae.data.download.sites.gocomics import GoComicsService
from garfield_vae.data.download.sites.wiki import Wiki

DAY = date(1985, 3, 12)
OTHER = date(1985, 3, 13)


# ---------------------------------------------------------------------------------------------
# The wiki


def test_the_wiki_tells_a_month_at_once(site, source):
    wiki = source(Wiki)
    assert wiki.pictures(DAY) == [
        "https://static.wikia.nocookie.net/garfield/images/1985-03-12.gif/revision/latest"
        "?cb=2011&format=original"
    ]
    assert wiki.pictures(OTHER)[0].startswith("https://static.wikia.nocookie.net/")
    assert site.asked("/api.php?") == 1


def test_the_wikis_names_with_en_dashes_are_found_and_the_month_is_asked_for_them_once(
    site, source
):
    plain = site.wiki_answer
    site.wiki_answer = lambda titles: plain(titles, dash="–")
    wiki = source(Wiki)
    for day in (DAY, OTHER):
        assert f"{day}.gif" in wiki.pictures(day)[0]
    assert site.asked("/api.php?") == 2


def test_a_day_that_the_wiki_does_not_have_costs_a_request_a_form_of_its_name(site, source):
    site.has = lambda day: day != DAY
    wiki = source(Wiki)
    for _ in range(2):
        with pytest.raises(Missing):
            wiki.pictures(DAY)
    assert wiki.pictures(OTHER)
    assert site.asked("/api.php?") == 4


@pytest.mark.parametrize(
    "answer",
    [
        *("", "[]", "{}", '{"query": 5}', '{"query": {}}', '{"error": {"code": "readonly"}}'),
        *("<html>", "[" * 100_000),
    ],
)
def test_an_answer_of_the_wiki_that_tells_of_no_files_is_a_bad_answer(answer):
    with pytest.raises(BadAnswer):
        given(Wiki, answer).pictures(DAY)


@pytest.mark.parametrize(
    "page",
    [
        {"title": "File:1985-03-12.gif"},
        {"title": "File:1985-03-12.gif", "imageinfo": [{"url": 5}]},
        {"title": "File:1985-03-12.gif", "imageinfo": "no"},
        {"title": "File:1986-03-12.gif", "imageinfo": [{"url": "/x"}]},
        {"title": ["File:1985-03-12.gif"], "imageinfo": [{"url": "/x"}]},
        {"title": "1985-03-12", "imageinfo": [{"url": "/x"}]},
        7,
    ],
)
def test_a_wikis_file_without_address_or_of_another_day_is_none(page):
    with pytest.raises(Missing):
        given(Wiki, json.dumps({"query": {"pages": [page]}})).pictures(DAY)


# ---------------------------------------------------------------------------------------------
# gocomics' service


def test_one_answer_of_the_service_tells_of_several_days(site, source):
    service = source(GoComicsService)
    for day in (DAY, OTHER):
        assert service.pictures(day) == [f"https://featureassets.gocomics.com{asset(day)}"]
    assert site.asked("/api/service/") == 1


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        ("[]", Missing),
        ('[{"date": "1985-03-12"}]', Missing),
        ('[{"date": "1985-03-12", "url": 5}]', Missing),
        ('[{"date": "1985-03-123", "url": "/x"}]', Missing),
        ('[{"date": "1985-02-30", "url": "/x"}]', Missing),
        ('[{"date": 19850312, "url": "/x"}]', Missing),
        ('{"message": "no"}', BadAnswer),
        ("<html>", BadAnswer),
    ],
)
def test_a_service_that_does_not_say_day_and_picture_gives_none(answer, failure):
    with pytest.raises(failure):
        given(GoComicsService, answer).pictures(DAY)
