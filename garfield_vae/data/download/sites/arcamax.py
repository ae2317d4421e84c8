"""www.arcamax.com: about the last thirty days, each page with a link to the day before."""

from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from garfield_vae.data.download.errors import BadAnswer, Missing
from garfield_vae.data.download.sites.base import Comic, Site
from garfield_vae.data.download.sites.pages import numeric_date, read_html

if TYPE_CHECKING:
    from garfield_vae.data.download.client import Answer

REACH = 45  # days back from the latest after which asking is no use


class ArcaMax(Site):
    """A strip is known by its alternative text: Garfield for M/D/YYYY."""

    name = "arcamax"
    origins = (
        "https://www.arcamax.com",
        "https://arcamax.com",
        "https://resources.arcamax.com",
    )

    def __init__(self, comic: Comic, ask: "Callable[[str], Answer]"):
        super().__init__(comic, ask)
        self._found: dict[date, str] = {}
        self._next: str | None = f"{self.home}/thefunnies/{comic.slug}/"
        self._failure: BadAnswer | None = None

    def pictures(self, day: date) -> list[str]:
        while self._next and not self._passed(day):
            try:
                self._step_back(self._ask(self._next))
            except (BadAnswer, Missing) as failure:  # for all earlier days, too
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
        return min(self._found) <= day or (max(self._found) - day).days > REACH

    def _step_back(self, page: "Answer") -> None:
        tags = read_html(page, "img", "a")
        day, picture = self._strip(tags("img"))
        if self._found and day >= min(self._found):
            raise BadAnswer(f"the page before {min(self._found)} is of {day}")
        self._found[day] = page.absolute(picture)
        before = tags.find("a", class_="prev", href=True) or tags.find("a", rel="prev", href=True)
        self._next = page.absolute(before["href"]) if before else None
        if self._next and not self._leads_to_ours(self._next):
            self._next = None

    def _strip(self, images: list) -> tuple[date, str]:
        """The strip's day and picture, looked for in the main image before thumbnails."""

        def marked(image) -> bool:
            return image.get("id") == "comic-zoom" or "the-comic" in image.get("class", ())

        for image in sorted(images, key=marked, reverse=True):
            title, _, said = image.get("alt", "").rpartition(" for ")
            day = numeric_date(said, "mdy")
            picture = image.get("data-zoom-image") or image.get("src")
            if day and picture and self.comic.is_called(title):
                return day, picture
        raise BadAnswer("the page has no strip that can be recognised")

    def _leads_to_ours(self, address: str) -> bool:
        try:
            return urlsplit(address).path.startswith(f"/thefunnies/{self.comic.slug}/")
        except ValueError:
            return False
