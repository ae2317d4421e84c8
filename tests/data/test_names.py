"""Days are read from the names that tools and people give to strips."""

from datetime import date, timedelta
from hashlib import md5

import pytest

from garfield_vae.data.names import dates_of

DAYS = [
    day for number in range(120) if (day := date(1985, 1, 1) + timedelta(number)).weekday() != 6
]

DATED = [
    "{d:%Y-%m-%d}",
    "{d:%Y}/ga{d:%y%m%d}",
    "ga{d:%y%m%d}_{h}",
    "GoComics/Garfield/Garfield_{d:%Y%m%d}",
    "{h}_{d:%Y%m%d}",
    "{d:%Y}/{d:%m}/{d:%d}",
    "{d:%Y}/{d.month}/{d.day}",
    "{d:%Y}/{d:%m}-{d:%d}",
    "{d:%Y}/{d:%m%d}",
    "{d:%Y}/ga{d:%m%d}",
    "{d:%Y%m}/{d:%d}",
    "{d:%Y}/{d:%m}/garfield-{d:%d}",
    "{d:%Y}/{d:%m} {d:%B}/garfield_{d:%d}",
    "{d:%Y}/{d:%b}/garfield {d.day}",
    "{d:%Y}/garfield {d:%B} {d.day}",
    "{d:%Y}–{d:%m}–{d:%d}",
    "{d:%Y}年{d:%m}月{d:%d}日",
    "{d:%Y-%m-%d}_{h}",
    "garfield {d:%Y-%m-%d} Garfield for {d:%B} {d.day}, {d:%Y}",
    "Garfield for {d:%B} {d.day}, {d:%Y}",
    "1985.cbz/garfield-{d:%d%b%Y}",
    "{d:%a}, {d:%d} {d:%b} {d:%Y}",
    "Garfield {d:%m-%d-%Y}",
    "Garfield {d:%d.%m.%Y}",
    "{d:%m%d%Y}",
    "{d:%y-%m-%d}",
    "{d:%m-%d-%y}",
    "{d:%d-%m-%y}",
    "{d:%d%m%y}",
    "2019-04-02 {d:%Y-%m-%d}",
    "2019-04-02/ga{d:%y%m%d}",
    "{i:04d} - {d:%Y-%m-%d}-600x175",
    "ga{d:%y%m%d}.gif?w=900",
    "Garfield (1978-2020)/{d:%Y}/Garfield - {d:%Y-%m-%d}",
    "{d:%a} {d:%d} {d:%b} {d:%y}",
    "{d:%b-%d-%y}",
    "garfield%20{d:%Y}%2F{d:%m}%2F{d:%d}",
    "Garfield+{d:%Y+%m+%d}",
    "[{d:%Y}][{d:%m}][{d:%d}] Garfield",
    "{d:%Y%m%d}000000",
    "가필드 {d.year}년 {d.month}월 {d.day}일",
    "{d:%B %Y}/{d:%d}",
    "{d:%Y}/{d:%B %Y}/garfield {d.day}",
    "{d:%Y}/week {d:%W}/{d:%m-%d}",
    "{d:%Y}/{d:%d.%m}",
    "{d:%Y}/garfield {d:%d%m}",
    "1980-1989/{d:%Y}/{d:%m-%d}",
    "Garfield Complete (1978-06-19 - 2015-12-31)/ga{d:%y%m%d}",
]

UNDATED = [
    "{i:05d}",
    "{i:06d}",
    "1985/{i:04d}",
    "IMG_20190402_{i:06d}",
    "2020-01-05 scan/{i:03d}",
    "{h}",
    "Garfield 1985/page {i}",
    "85{i:04d}",
    "1985-13-{i:02d}",
    "strip 600x175 {i}",
]


def paths_of(pattern: str, days: list[date]) -> dict[str, date]:
    return {
        pattern.format(d=day, i=number + 2389, h=md5(bytes([number])).hexdigest()) + ".gif": day
        for number, day in enumerate(days)
    }


@pytest.mark.parametrize("count", [10, len(DAYS)])
@pytest.mark.parametrize("pattern", DATED)
def test_a_days_strip_is_dated_by_its_name(pattern, count):
    right = paths_of(pattern, DAYS[-count:])
    assert dates_of(list(right)) == right


@pytest.mark.parametrize("pattern", UNDATED)
def test_numbers_that_are_no_dates_are_not_taken_for_dates(pattern):
    paths = paths_of(pattern, DAYS)
    assert set(dates_of(list(paths)).values()) == {None}


def test_a_folder_that_several_tools_filled_is_dated_by_all_their_names():
    right = {}
    for number, pattern in enumerate(DATED[:6]):
        right |= paths_of(f"tool {number}/{pattern}", DAYS[12 * number : 12 * number + 12])
    right["cover.jpg"] = right["about/2389.png"] = None
    assert dates_of(list(right)) == right


def test_dates_of_one_tool_are_read_whatever_numbers_another_tool_wrote():
    right = paths_of("ga{d:%y%m%d}", DAYS)
    right |= dict.fromkeys(paths_of("{i:06d}", DAYS))
    assert dates_of(list(right)) == right


def test_american_and_european_dates_of_two_tools_are_told_apart():
    right = paths_of("Garfield {d:%m-%d-%Y}", DAYS[:60])
    right |= paths_of("strip {d:%d-%m-%Y}", DAYS[60:])
    assert dates_of(list(right)) == right


@pytest.mark.parametrize("folder", ["backup 2021-05-06", "backup 2021-05-06/1985/03"])
def test_the_date_of_a_folder_is_not_the_day_of_the_strips_in_it(folder):
    right = paths_of(f"{folder}/{{d:%Y-%m-%d}}", DAYS[:40])
    right |= paths_of(f"{folder}/ga{{d:%y%m%d}}", DAYS[40:48])
    right |= paths_of("{d:%Y-%m-%d}", DAYS[48:])
    assert dates_of(list(right)) == right


def test_two_digits_are_years_where_that_makes_the_shorter_time():
    """As days of the month, with the days as years, these would be of 1927 to 2026."""
    days = [date(2010, 1, 1) + timedelta(17 * number) for number in range(250)]
    right = paths_of("ga{d:%y%m%d}", days)
    assert dates_of(list(right)) == right


def test_a_copy_is_of_the_same_day():
    for name in ("1985-03-12 (1).gif", "1985-03-12 copy.gif", "1985-03-12b.GIF"):
        assert dates_of([name]) == {name: date(1985, 3, 12)}


@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("١٩٨٥-٠٣-١٢.gif", date(1985, 3, 12)),
        ("Garfield 12. März 1985.gif", date(1985, 3, 12)),
        ("Garfield 12. Ma\u0308rz 1985.gif", date(1985, 3, 12)),  # as a Mac writes it
        ("12 février 1985.gif", date(1985, 2, 12)),
        ("1 de mayo de 1985.gif", date(1985, 5, 1)),
        ("1985/ottobre/garfield 7.gif", date(1985, 10, 7)),
        ("7 de outubro de 1985.gif", date(1985, 10, 7)),
        ("3rd of June 1985.gif", date(1985, 6, 3)),
        ("5 maart 1985.gif", date(1985, 3, 5)),
        ("1er févr. 1985.gif", date(1985, 2, 1)),
        ("1 de enero del 1985.gif", date(1985, 1, 1)),
        ("14 września 1985.gif", date(1985, 9, 14)),
        ("Гарфилд 7 мая 1985.gif", date(1985, 5, 7)),
    ],
)
def test_months_are_read_in_ten_languages_and_digits_in_any_script(name, day):
    assert dates_of([name]) == {name: day}


def test_of_a_weeks_folder_and_a_day_in_the_file_the_day_is_read():
    """Also where strips are so few that days follow each other no more than weeks do."""
    days = [date(1985, 1, 8) + timedelta(30 * number) for number in range(24)]
    days = [day for day in days if day.weekday() != 6]
    weeks = [day - timedelta(day.weekday()) for day in days]
    paths = [f"week of {week}/{day}.gif" for week, day in zip(weeks, days, strict=True)]
    assert [dates_of(paths)[path] for path in paths] == days


@pytest.mark.parametrize("name", ["12 Mar '85.png", "Mar 12 ’85.png"])
def test_a_year_may_be_abbreviated_by_an_apostrophe(name):
    assert dates_of([name]) == {name: date(1985, 3, 12)}


def test_a_weeks_folder_in_a_months_is_no_month():
    """1985/02/week 1/05.gif is not the fifth of January."""
    paths = {f"{day.year}/{day:%m}/week {1 + day.day // 7}/{day:%d}.gif": day for day in DAYS}
    assert dates_of(list(paths)) == paths
