"""pt.jikos.cz, a fan's index of uclick's pictures: a page a month, a table cell a day."""

import re
from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING

from garfield_vae.data.download.errors import BadAnswer, Missing
from garfield_vae.data.download.sites.base import Comic, Site
from garfield_vae.data.download.sites.pages import numeric_date, read_html
from garfield_vae.data.download.sites.uclick import CODES, Uclick

if TYPE_CHECKING:
    from garfield_vae.data.download.client import Answer


class Jikos(Site):
    """A cell's text, its picture's alternative text and its file name must say the same day."""

    name = "jikos"
    origins = ("http://pt.jikos.cz", *Uclick.origins)
    named_by_day = True

    def __init__(self, comic: Comic, ask: "Callable[[str], Answer]"):
        super().__init__(comic, ask)
        self._month: tuple[int, int] | None = None
        self._page: dict[date, str] | BadAnswer | Missing = {}

    @classmethod
    def has(cls, comic: Comic) -> bool:
        return comic.slug == "garfield"

    def pictures(self, day: date) -> list[str]:
        if self._month != (day.year, day.month):
            self._month = (day.year, day.month)
            try:  # once a month, also where it fails
                self._page = self._read(self._ask(f"{self.home}/garfield/{day.year}/{day.month}/"))
            except (BadAnswer, Missing) as failure:
                self._page = failure
        if isinstance(self._page, Exception):
            raise type(self._page)(*self._page.args)
        if day not in self._page:
            raise Missing("the month's page does not have this day")
        return [self._page[day]]

    def _read(self, page: "Answer") -> dict[date, str]:
        found: dict[date, str] = {}
        written = None  # the date in the text of the cell
        for node in read_html(page, "td", "img").descendants:
            if node.name is None:
                written = written or numeric_date(node, "dmy")
            elif node.name == "td":
                written = None
            else:
                day = self._day_of(node.get("alt", ""), node.get("src", ""))
                if day and written in (day, None):
                    found.setdefault(day, page.absolute(node["src"]))
        if not found:
            raise BadAnswer("the month's page has no strip that can be recognised")
        return found

    def _day_of(self, text: str, address: str) -> date | None:
        """The day of a picture of this comic, as its text and its file name say it."""
        day = numeric_date(text, "dmy")
        named = re.search(r"/([a-z]+\d{6})\.[a-z]+$", address)
        if day is None or named is None or named[1] != f"{CODES[self.comic.slug]}{day:%y%m%d}":
            return None
        return day if self.comic.is_called(text.partition(" ")[0]) else None
