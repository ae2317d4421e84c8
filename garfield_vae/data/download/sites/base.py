"""The comic that is asked for, and the base class of the sites."""

import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from garfield_vae.util.errors import UserError

if TYPE_CHECKING:  # parsing a command line need not load the HTTP client
    from garfield_vae.data.download.client import Answer

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat")


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
            if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,99}", slug):
                raise ValueError(slug)
            days = range(WEEKDAYS.index(first), WEEKDAYS.index(last or first) + 1)
            if not days:
                raise ValueError(weekdays)
            return cls(slug, date.fromisoformat(first_day), frozenset(days))
        except ValueError as error:
            raise UserError(
                f"--comic {text!r} is not understood: give the comic's name in the sites' "
                "addresses, its first day and, if they are not mon-sat, its weekdays, "
                "such as foxtrot:1988-04-10:mon-sat."
            ) from error

    def is_called(self, title: str) -> bool:
        """Whether `title` is this comic's: "The Born Loser" is that of the-born-loser."""
        return _letters(title) == _letters(self.slug)


def _letters(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text[:200]).lower()
    return re.sub(r"[^a-z0-9]", "", plain).removeprefix("the")


GARFIELD = Comic("garfield", date(1978, 6, 19), frozenset(range(6)))


class Site(ABC):
    """A web site with strips. `ask(address)` fetches a page; `pictures(day)` gives addresses."""

    name: str
    origins: tuple[str, ...]  # of pages, pictures and redirects, home first; others are refused
    named_by_day = False  # whether the name of a picture's file says the comic and the day

    def __init__(self, comic: Comic, ask: "Callable[[str], Answer]"):
        self.comic, self._ask, self.home = comic, ask, self.origins[0]

    @classmethod
    def has(cls, comic: Comic) -> bool:
        return True

    @abstractmethod
    def pictures(self, day: date) -> list[str]:
        """Addresses of the day's picture, the likeliest first.

        Raises Missing where the site has none, BadAnswer where it does not say which it is, and
        what Client.get raises.
        """
