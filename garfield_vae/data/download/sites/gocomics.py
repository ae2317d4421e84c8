"""www.gocomics.com: a page a day, and the service that its own pages ask for them.

Guests see the latest two to four weeks.
"""

import re
from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from garfield_vae.data.download.errors import BadAnswer, Missing
from garfield_vae.data.download.sites.base import Comic, Site
from garfield_vae.data.download.sites.pages import (
    date_of,
    json_scripts,
    objects,
    read_html,
    read_json,
    spoken_date,
)

if TYPE_CHECKING:
    from garfield_vae.data.download.client import Answer

ORIGINS = (
    "https://www.gocomics.com",
    "https://featureassets.gocomics.com",
    "https://assets.amuniversal.com",
)


class GoComics(Site):
    """Reads a page's metadata; its CSS classes change every few months."""

    name = "gocomics"
    origins = ORIGINS

    def pictures(self, day: date) -> list[str]:
        page = self._ask(f"{self.home}/{self.comic.slug}/{day:%Y/%m/%d}")
        if self._day_in(page.url) != day:
            raise Missing(f"the site leads on to {page.url}")
        tags = read_html(page, "meta", "link")
        canonical = tags.find("link", rel="canonical") or tags.find("meta", property="og:url")
        shown = canonical and self._day_in(canonical.get("href") or canonical.get("content") or "")
        if canonical and shown != day:
            raise BadAnswer(f"the page says that it is of {shown or 'no day'}")
        card = tags.find("meta", property="og:image")
        card = card.get("content", "") if card else ""
        if "social" in card.rpartition("/")[2].lower():
            card = ""  # the site's own logo
        return [page.absolute(self._picture(page, day, card, canonical is not None))]

    def _picture(self, page: "Answer", day: date, card: str, confirmed: bool) -> str:
        """Of several strips' ImageObjects the one whose name says the comic and the day.

        card: the page's og:image, used where no ImageObject says a day (the page lost them for
        a while in 2025) and the page is `confirmed` to be the day's.
        """
        named = [(*spoken_date(name), url) for name, url in _image_objects(page)]
        of_the_day = [(title, url) for title, said, url in named if said == day]
        ours = {url.partition("?")[0]: url for title, url in of_the_day if self._is_ours(title)}
        if of_the_day and not ours:
            raise Missing("the page has another comic's strip of that day")
        if len(ours) > 1:
            ours = {path: url for path, url in ours.items() if path == card.partition("?")[0]}
        if card and confirmed and not any(said for _, said, _ in named):
            return card
        if len(ours) != 1:
            raise BadAnswer("the page does not say which picture is this day's")
        return next(iter(ours.values()))

    def _is_ours(self, title: str) -> bool:
        """title: such as "Garfield by Jim Davis for ", what stands before the date."""
        title = title.partition(" by ")[0]
        return self.comic.is_called(re.sub(r"\b(?:comic|strip|cartoon|for|from|on)\b", "", title))

    def _day_in(self, address: str) -> date | None:
        try:
            path = urlsplit(address).path
        except ValueError:
            return None
        at = re.fullmatch(rf"/{self.comic.slug}/(\d{{4}})/(\d\d?)/(\d\d?)/?", path)
        return date_of(at[1], at[2], at[3]) if at else None


def _image_objects(page: "Answer") -> list[tuple[str, str]]:
    """Name and address of every schema.org ImageObject in the page's JSON-LD."""
    found = []
    for script in json_scripts(page):
        for item in objects(script):
            kinds, name = item.get("@type"), item.get("name")
            url = item.get("contentUrl") or item.get("url")
            ours = "ImageObject" in (kinds if isinstance(kinds, list) else [kinds])
            if ours and isinstance(name, str) and isinstance(url, str):
                found.append((name, url))
    return found


class GoComicsService(Site):
    """The JSON service: strips around a date, each with its picture and its date."""

    name = "gocomics-json"
    origins = ORIGINS

    def __init__(self, comic: Comic, ask: "Callable[[str], Answer]"):
        super().__init__(comic, ask)
        self._found: dict[date, str] = {}  # an answer has other days, too

    def pictures(self, day: date) -> list[str]:
        if day not in self._found:
            recent = f"{self.home}/api/service/v2/assets/recent/{self.comic.slug}"
            page = self._ask(f"{recent}?date={day}")
            strips = read_json(page)
            if not isinstance(strips, list):
                raise BadAnswer("the service's answer is no list of strips")
            for strip in objects(strips):
                said, url = strip.get("issueDate") or strip.get("date"), strip.get("url")
                if isinstance(said, str) and isinstance(url, str):
                    at = re.match(r"(\d{4})-(\d\d)-(\d\d)(?:T|$)", said)
                    if at and (of := date_of(at[1], at[2], at[3])):
                        self._found.setdefault(of, page.absolute(url))
        if day not in self._found:
            raise Missing("the service does not have this day")
        return [self._found.pop(day)]
