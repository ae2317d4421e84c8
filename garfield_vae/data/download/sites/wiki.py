"""garfield.fandom.com, a wiki with the whole run, asked through MediaWiki's public API.

A file a day: 1985-03-12.gif, in some months with en dashes, lately as PNG or JPEG.
API: https://www.mediawiki.org/wiki/API:Imageinfo
"""

import re
from calendar import monthrange
from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from garfield_vae.data.download.errors import BadAnswer, Missing
from garfield_vae.data.download.sites.base import Comic, Site
from garfield_vae.data.download.sites.pages import date_of, objects, read_json

if TYPE_CHECKING:
    from garfield_vae.data.download.client import Answer

FORMS = ("{:%Y-%m-%d}.gif", "{:%Y–%m–%d}.gif", "{:%Y-%m-%d}.png", "{:%Y-%m-%d}.jpg")
FILES = "https://static.wikia.nocookie.net"


class Wiki(Site):
    """Asks for a month's names at once, in one form after the other until one has the day."""

    name = "wiki"
    origins = ("https://garfield.fandom.com", FILES)

    def __init__(self, comic: Comic, ask: "Callable[[str], Answer]"):
        super().__init__(comic, ask)
        self._month: tuple[int, int] | None = None
        self._left: list[str] = []  # forms that the month was not yet asked for in
        self._found: dict[date, str] = {}  # of the month
        self._failure: BadAnswer | None = None

    @classmethod
    def has(cls, comic: Comic) -> bool:
        return comic.slug == "garfield"

    def pictures(self, day: date) -> list[str]:
        if self._month != (day.year, day.month):
            self._month, self._left = (day.year, day.month), list(FORMS)
            self._found, self._failure = {}, None
        while day not in self._found and self._left and not self._failure:
            try:
                self._read(self._ask(self._question(day, self._left.pop(0))))
            except (BadAnswer, Missing) as failure:  # for the month's other days, too
                self._failure = BadAnswer(*failure.args)
        if day in self._found:
            return [self._found[day]]
        if self._failure:
            raise BadAnswer(*self._failure.args)
        raise Missing("the wiki has no file of this day")

    def _question(self, day: date, form: str) -> str:
        days = range(1, monthrange(day.year, day.month)[1] + 1)
        titles = "|".join("File:" + form.format(day.replace(day=number)) for number in days)
        wanted = "action=query&format=json&formatversion=2&prop=imageinfo&iiprop=url&titles="
        return f"{self.home}/api.php?{wanted}{quote(titles)}"

    def _read(self, page: "Answer") -> None:
        answer = read_json(page)
        query = answer.get("query") if isinstance(answer, dict) else None
        if not isinstance(query, dict) or "pages" not in query:
            raise BadAnswer("the wiki's answer tells of no files")
        for item in objects(query["pages"]):
            title, files = item.get("title"), item.get("imageinfo")
            at = re.fullmatch(r"File:(\d{4})[-–](\d\d)[-–](\d\d)\.\w{3}", f"{title}"[:50])
            day = date_of(at[1], at[2], at[3]) if at else None
            url = next((file.get("url") for file in objects(files)), None)
            if day and (day.year, day.month) == self._month and isinstance(url, str):
                self._found.setdefault(day, _original(page.absolute(url)))


def _original(address: str) -> str:
    """The address of the file as uploaded, which the server otherwise converts to WebP."""
    if not address.startswith(f"{FILES}/"):
        return address
    return f"{address}{'&' if urlsplit(address).query else '?'}format=original"
