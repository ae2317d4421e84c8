"""Where a day's strip lives on the web: one small class a site.

A new site is one class here and one page of the test site. A class says where the site's pages
are, which hosts they may lead to, and how the pictures of a day are found; asking politely,
checking pictures and keeping them is done once for all, in client.py and manifest.py.
"""

import json
import logging
import re
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar

from bs4 import BeautifulSoup, SoupStrainer, Tag
from bs4.exceptions import ParserRejectedMarkup

from garfield_vae.data.download.answers import Answer, BadAnswer, Missing
from garfield_vae.util.errors import UserError

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat")
MONTHS = (  # strftime's %B follows the machine's language, the sites do not
    *("January", "February", "March", "April", "May", "June", "July", "August"),
    *("September", "October", "November", "December"),
)

logging.getLogger("bs4").setLevel(logging.ERROR)  # a page's false character set is no news
MAX_TAGS = 20_000  # the parser's time grows with their square; a real page has a few thousand


@dataclass(frozen=True)
class Comic:
    """A daily strip. `weekdays`: of its dailies, Monday is 0; Sundays are never among them."""

    slug: str
    first_day: date
    weekdays: frozenset[int]

    @classmethod
    def parse(cls, text: str) -> "Comic":
        """Reads garfield, or slug:first day[:weekdays] such as foxtrot:1988-04-10:mon-fri."""
        if text == "garfield":
            return GARFIELD
        slug, _, rest = text.partition(":")
        first_day, _, weekdays = rest.partition(":")
        first, _, last = (weekdays or "mon-sat").partition("-")
        try:
            if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", slug):
                raise ValueError(slug)
            days = range(WEEKDAYS.index(first), WEEKDAYS.index(last or first) + 1)
            return cls(slug, date.fromisoformat(first_day), frozenset(days))
        except ValueError as error:
            raise UserError(
                f"--comic {text!r} is not understood: give the comic's name in the sites' "
                "addresses, its first day and, if they are not mon-sat, its weekdays, "
                "such as foxtrot:1988-04-10:mon-sat."
            ) from error


GARFIELD = Comic("garfield", date(1978, 6, 19), frozenset(range(6)))


class Source(ABC):
    """A site. `ask(address)` fetches a page from it; `pictures(day)` gives addresses to try."""

    name: str
    home: str
    hosts: tuple[str, ...]  # of pages, pictures and redirects; everything else is refused

    def __init__(self, comic: Comic, ask: Callable[[str], Answer]):
        self.comic, self._ask = comic, ask

    @classmethod
    def has(cls, comic: Comic) -> bool:
        return True

    @abstractmethod
    def pictures(self, day: date) -> list[str]:
        """Addresses of the day's picture, the likeliest first. Raises what Client.get raises."""


class Uclick(Source):
    """The syndicate's archive, which reaches back to the first strip: the address says the day."""

    name = "uclick"
    home = "https://picayune.uclick.com"
    hosts = ("picayune.uclick.com",)
    codes: ClassVar[Mapping[str, str]] = {"garfield": "ga"}  # the archive's own short names

    @classmethod
    def has(cls, comic: Comic) -> bool:
        return comic.slug in cls.codes

    def pictures(self, day: date) -> list[str]:
        code = self.codes[self.comic.slug]
        address = f"{self.home}/comics/{code}/{day:%Y}/{code}{day:%y%m%d}"
        return [f"{address}.gif", f"{address}.jpg"] if day.weekday() == 6 else [f"{address}.gif"]


class Jikos(Source):
    """A fan's index of the same archive: a page a month, with a picture in each day's cell."""

    name = "jikos"
    home = "http://pt.jikos.cz"
    hosts = ("pt.jikos.cz", "picayune.uclick.com")

    def __init__(self, comic: Comic, ask: Callable[[str], Answer]):
        super().__init__(comic, ask)
        self._month: tuple[int, int] | None = None
        self._page: dict[date, str] | BadAnswer | Missing = {}

    @classmethod
    def has(cls, comic: Comic) -> bool:
        return comic.slug == "garfield"

    def pictures(self, day: date) -> list[str]:
        if self._month != (day.year, day.month):
            self._month = (day.year, day.month)
            try:  # a page that failed is not asked for again by each of its days
                self._page = self._read(self._ask(f"{self.home}/garfield/{day.year}/{day.month}/"))
            except (BadAnswer, Missing) as failure:
                self._page = failure
        if isinstance(self._page, Exception):
            raise type(self._page)(*self._page.args)
        if day not in self._page:
            raise Missing("the month's page does not have this day")
        return [self._page[day]]

    def _read(self, page: Answer) -> dict[date, str]:
        found = {}
        for image in _soup(page)("img", src=True):
            day = _numeric_date(image.get("alt", ""), "dmy")
            cell = image.find_parent("td") or image
            if day is None or _numeric_date(cell.get_text(" "), "dmy") not in (day, None):
                continue  # a badge, or a cell that contradicts itself
            name = re.search(r"/[a-z]+(\d{6})\.[a-z]+$", image["src"])
            if name is None or name[1] == f"{day:%y%m%d}":
                found.setdefault(day, page.absolute(image["src"]))
        if not found:
            raise BadAnswer("the month's page has no strip that can be recognised")
        return found


class GoComics(Source):
    """A page a day. Only what is meant for machines is read; its CSS classes change too often."""

    name = "gocomics"
    home = "https://www.gocomics.com"
    hosts = ("www.gocomics.com", "featureassets.gocomics.com", "assets.amuniversal.com")

    def pictures(self, day: date) -> list[str]:
        page = self._ask(f"{self.home}/{self.comic.slug}/{day:%Y/%m/%d}")
        if self._day_in(page.url) != day:
            raise Missing(f"the site leads on to {page.url}")
        soup = _soup(page, SoupStrainer(["meta", "link", "script"]))
        canonical = soup.find("link", rel="canonical") or soup.find("meta", property="og:url")
        shown = canonical and self._day_in(canonical.get("href") or canonical.get("content") or "")
        if canonical and shown != day:
            raise BadAnswer(f"the page says that it is of {shown or 'no day'}")
        card = soup.find("meta", property="og:image")
        card = card.get("content", "") if card else ""
        if "social" in card.rpartition("/")[2].lower():
            card = ""  # the site's own logo
        # A page carries several strips' ImageObjects; the end of the name tells which is the day's.
        objects = [(_spoken_date(name), url) for name, url in _image_objects(soup)]
        ours = {url.partition("?")[0]: url for said, url in objects if said == day}
        if len(ours) > 1:
            ours = {path: url for path, url in ours.items() if path == card.partition("?")[0]}
        if card and canonical and not any(said for said, _ in objects):
            ours = {card: card}  # the page lost its ImageObjects for a while in 2025
        if len(ours) != 1:
            raise BadAnswer("the page does not say which picture is this day's")
        return [page.absolute(*ours.values())]

    def _day_in(self, address: str) -> date | None:
        at = re.search(rf"/{self.comic.slug}/(\d{{4}})/(\d\d?)/(\d\d?)/?(?:[?#].*)?$", address)
        return _date(at[1], at[2], at[3]) if at else None


class ArcaMax(Source):
    """The last thirty days or so: from the latest page, each leads to the one before."""

    name = "arcamax"
    home = "https://www.arcamax.com"
    hosts = ("www.arcamax.com", "arcamax.com", "resources.arcamax.com")
    reach = 45  # days back from the latest after which asking is no use

    def __init__(self, comic: Comic, ask: Callable[[str], Answer]):
        super().__init__(comic, ask)
        self._found: dict[date, str] = {}
        self._next: str | None = f"{self.home}/thefunnies/{comic.slug}/"
        self._failure: BadAnswer | None = None

    def pictures(self, day: date) -> list[str]:
        while self._next and not self._passed(day):
            try:
                self._step_back(self._ask(self._next))
            except (BadAnswer, Missing) as failure:  # the walk ends here, for the other days too
                self._failure, self._next = BadAnswer(*failure.args), None
        if day in self._found:
            return [self._found[day]]
        if self._failure and not self._passed(day):
            raise BadAnswer(*self._failure.args)
        raise Missing("the site has only its latest strips")

    def _passed(self, day: date) -> bool:
        """Whether no page further back can be the day's."""
        if not self._found:
            return False
        return min(self._found) <= day or (max(self._found) - day).days > self.reach

    def _step_back(self, page: Answer) -> None:
        soup = _soup(page)
        day, picture = self._strip(soup)
        if self._found and day >= min(self._found):
            raise BadAnswer(f"the page before {min(self._found)} is of {day}")
        self._found[day] = page.absolute(picture)
        before = soup.find("a", class_="prev", href=True) or soup.find("a", rel="prev", href=True)
        self._next = page.absolute(before["href"]) if before else None

    def _strip(self, soup: BeautifulSoup) -> tuple[date, str]:
        """The strip's day and picture, by its alternative text: Garfield for M/D/YYYY."""
        marked = soup.select("figure.comic img.the-comic, img#comic-zoom")
        named = [image for image in soup("img") if self._is_ours(image.get("alt", ""))]
        for image in (*named, *marked):
            day = _numeric_date(image.get("alt", ""), "mdy")
            picture = image.get("data-zoom-image") or image.get("src")
            if day and picture:
                return day, picture
        raise BadAnswer("the page has no strip that can be recognised")

    def _is_ours(self, text: str) -> bool:
        name = re.sub(r"[^a-z0-9]", "", text.lower().rpartition(" for ")[0])
        return name == self.comic.slug.replace("-", "")


SOURCES = {source.name: source for source in (Uclick, Jikos, GoComics, ArcaMax)}


# ---------------------------------------------------------------------------------------------
# Pages, and dates and pictures as they write them


def _soup(page: Answer, only: SoupStrainer | None = None) -> BeautifulSoup:
    if page.body.count(b"<") > MAX_TAGS:
        raise BadAnswer("the page has more tags than can be read in reasonable time")
    with warnings.catch_warnings():  # of XHTML, and of a page that is no page
        warnings.simplefilter("ignore")
        try:
            # Without an unfinished tag at the end, over which the parser would go again and again.
            whole = page.body[: page.body.rfind(b">") + 1]
            return BeautifulSoup(whole, "html.parser", parse_only=only)
        except ParserRejectedMarkup as error:
            raise BadAnswer("the page is no HTML that can be read") from error


def _date(year: str, month: str, day: str) -> date | None:
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None


def _numeric_date(text: str, order: str) -> date | None:
    """The first date in `text` such as 12/3/1985, read in the order dmy or mdy."""
    found = re.search(r"\b(\d{1,2})/(\d{1,2})/(\d{4})\b", text)
    if not found:
        return None
    parts = dict(zip(order, found.groups(), strict=True))
    return _date(parts["y"], parts["m"], parts["d"])


def _spoken_date(text: str) -> date | None:
    """The date at the end of `text` such as March 12, 1985."""
    found = re.search(r"\b([A-Z][a-z]+) (\d{1,2}), (\d{4})\s*$", text)
    if not found or found[1] not in MONTHS:
        return None
    return _date(found[3], str(MONTHS.index(found[1]) + 1), found[2])


def _image_objects(soup: Tag) -> Iterator[tuple[str, str]]:
    """Name and address of every schema.org ImageObject in the page's JSON-LD, nested ones too."""
    for script in soup("script", type="application/ld+json"):
        try:
            waiting: list[Any] = [json.loads(script.get_text())]
        except (ValueError, RecursionError):
            continue
        while waiting:
            item = waiting.pop(0)
            if isinstance(item, list):
                waiting.extend(item)
            elif isinstance(item, dict):
                waiting.extend(item.values())
                kinds, name = item.get("@type"), item.get("name")
                url = item.get("contentUrl") or item.get("url")
                ours = "ImageObject" in (kinds if isinstance(kinds, list) else [kinds])
                if ours and isinstance(name, str) and isinstance(url, str):
                    yield name, url
