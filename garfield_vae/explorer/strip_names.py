"""Finds a strip by its name, or by its date in any usual form."""

import calendar
import datetime
import re
from collections.abc import Mapping

MONTHS = {name.lower()[:3]: number for number, name in enumerate(calendar.month_name) if name}


def find_name(text: str, names: Mapping[str, int]) -> str | None:
    """The name among `names` that `text` stands for: the name itself, its date in another form, or
    the name in other capitals or without the file's extension. None when there is none."""
    text = text.strip()
    if text in names:
        return text
    if (day := date_of(text)) and day.isoformat() in names:
        return day.isoformat()
    wanted = text.casefold()
    for name in names:
        if wanted in (name.casefold(), name.rpartition(".")[0].casefold()):
            return name
    return None


def date_of(text: str) -> datetime.date | None:
    """The day that a text names, or None.

    1985-03-12, 1985/3/12, 19850312, 12.3.1985, 12 March 1985, March 12th, 1985, 3/12/85. Numbers
    with slashes have the month first, as newspapers of the comic's own country write them, unless
    it would be more than 12; with points or dashes the day.
    """
    text = text.strip().lower()
    if match := re.fullmatch(r"(\d{4})\D?(\d{1,2})\D?(\d{1,2})", text):
        if len(text) in (6, 7) and text.isdigit():  # 1985312 may be two days
            return None
        return day_or_none(*match.groups())
    if match := re.fullmatch(r"(\d{1,2})([./ -])(\d{1,2})\2(\d{4}|\d{2})", text):
        one, separator, other, year = match.groups()
        month_first = separator == "/" and int(one) <= 12
        return day_or_none(year, *((one, other) if month_first else (other, one)))
    words = re.findall(r"\d+|[a-z]+", text)
    months = [MONTHS[word[:3]] for word in words if word.isalpha() and word[:3] in MONTHS]
    numbers = [word for word in words if word.isdigit()]
    if len(months) != 1 or len(numbers) != 2:
        return None
    year, day = sorted(numbers, key=len, reverse=True) if len(numbers[0]) > 2 else numbers[::-1]
    return day_or_none(year, months[0], day)


def day_or_none(year: str, month: str | int, day: str | int) -> datetime.date | None:
    try:
        full_year = int(year)
        if len(year) == 2:
            full_year += 1900 if full_year > 68 else 2000
        return datetime.date(full_year, int(month), int(day))
    except (ValueError, OverflowError):  # the latter for a year of 20 digits
        return None
