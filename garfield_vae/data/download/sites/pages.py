"""Reads HTML, JSON and dates in time proportional to a page's length.

A page has up to 2 MiB, and parsers have cases that are quadratic in it. So the parser gets only
short tags of the kinds asked for, with the text that follows them, and a limited number of them.
"""

import json
import re
from collections import deque
from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING, Any

from garfield_vae.data.download.errors import BadAnswer

if TYPE_CHECKING:
    from bs4 import BeautifulSoup

    from garfield_vae.data.download.client import Answer

MONTHS = (  # strftime's %B follows the machine's language, the sites do not
    *("January", "February", "March", "April", "May", "June", "July", "August"),
    *("September", "October", "November", "December"),
)
MAX_TAGS = 2_000  # of the kinds asked for; a real page has a few hundred
MAX_TAG, MAX_TEXT = 4_000, 200  # characters of a tag, and of the text after it
MAX_HTML = 200_000  # characters of all of them
MAX_OBJECTS = 10_000  # in JSON; a real answer has a few hundred


def read_html(page: "Answer", *names: str) -> "BeautifulSoup":
    """The page's tags of these names in their order, each with the text that follows it."""
    from bs4 import BeautifulSoup  # here, so that --help need not wait for it

    tag = rf"<(?:{'|'.join(names)})\b[^<>]{{0,{MAX_TAG}}}>[^<>&]{{0,{MAX_TEXT}}}"
    found = re.findall(tag, _text(page), re.IGNORECASE)
    html = "".join(found)
    if len(found) > MAX_TAGS or len(html) > MAX_HTML:
        raise BadAnswer("the page has more tags than a comic's page has")
    return BeautifulSoup(html, "html.parser")


def json_scripts(page: "Answer") -> Iterator[Any]:
    """The values of the page's JSON-LD scripts; what is no JSON is passed over."""
    opening = re.compile(rf"<script\b([^<>]{{0,{MAX_TAG}}})>", re.IGNORECASE)
    for part in re.split("</script", _text(page), flags=re.IGNORECASE):
        start = next((tag for tag in opening.finditer(part) if "ld+json" in tag[1]), None)
        if start:
            try:
                yield parse_json(part[start.end() :])
            except ValueError:
                continue


def read_json(page: "Answer") -> Any:
    """The page as JSON. Raises BadAnswer where it is none."""
    try:
        return parse_json(page.body.decode("utf-8-sig", "replace"))
    except ValueError:
        raise BadAnswer("the answer is not JSON") from None


def parse_json(text: str) -> Any:
    """JSON with None for numbers, of which long ones take long. Raises ValueError."""
    try:
        return json.loads(text, parse_int=lambda _: None, parse_float=lambda _: None)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def objects(value: Any) -> Iterator[dict]:
    """The JSON objects in `value`, itself and nested ones, outer ones first, up to MAX_OBJECTS."""
    waiting, left = deque([value]), MAX_OBJECTS
    while waiting and left:
        item = waiting.popleft()
        if isinstance(item, dict):
            left -= 1
            yield item
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)


def _text(page: "Answer") -> str:
    """The page without its comments."""
    first, *rest = page.body.decode("utf-8", "replace").split("<!--")
    return first + "".join(part.partition("-->")[2] for part in rest)


# ---------------------------------------------------------------------------------------------
# Dates


def date_of(year: str, month: str, day: str) -> date | None:
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None


def numeric_date(text: str, order: str) -> date | None:
    """The first date in `text` such as 12/3/1985, read in the order dmy or mdy."""
    found = re.search(r"\b(\d{1,2})/(\d{1,2})/(\d{4})\b", text)
    if not found:
        return None
    parts = dict(zip(order, found.groups(), strict=True))
    return date_of(parts["y"], parts["m"], parts["d"])


def spoken_date(text: str) -> tuple[str, date | None]:
    """The date at the end of `text` such as March 12, 1985, and what stands before it."""
    text = text.strip()
    found = re.search(r"\b([A-Z][a-z]+) (\d{1,2}), (\d{4})$", text[-30:])
    if not found or found[1] not in MONTHS:
        return text, None
    month = str(MONTHS.index(found[1]) + 1)
    return text[: -len(found[0])], date_of(found[3], month, found[2])
