"""The flags that say which strips to download, from where and how: those of the downloader's own
command, and train_torch.py's too."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from garfield_vae.cli.flags import decimal, option, share, whole
from garfield_vae.data.download.sites import SITES, Comic
from garfield_vae.util.errors import UserError

WHICH, WHERE, THERE = (
    "download: which strips",
    "download: from where",
    "download: what is there already",
)
ABOUT = {  # what stands below a group's name in --help
    WHICH: "The strips belong to their authors: what you download is for your own machine, not for "
    "passing on.",
    WHERE: "Sites are asked directly: proxies that the environment names are not used.",
}
web_option = partial(option, needs=("--source web",))

SHORTEST_DELAY = 0.5  # seconds between two requests to a site that is not on this machine
LONGEST_DELAY, LONGEST_TIMEOUT = 3600.0, 600.0  # seconds


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no date such as 1985-03-12") from None


@dataclass(frozen=True)
class DownloadOptions:
    """What to download. Raises UserError for values that do not go together."""

    comic: str = web_option(
        "garfield",
        WHICH,
        "garfield, or another comic of the same sites as NAME:FIRST_DAY[:WEEKDAYS], such as "
        "foxtrot:1988-04-10:mon-sat",
        metavar="NAME",
    )
    start: date | None = web_option(  # noqa: RUF009 (a field, as all of them are)
        None, WHICH, "first day (default: the comic's first)", type=_day, metavar="DATE"
    )
    end: date | None = web_option(  # noqa: RUF009
        None,
        WHICH,
        "last day (default, and at most: today in New York)",
        type=_day,
        metavar="DATE",
    )
    limit: int | None = web_option(
        None, WHICH, "only the first N days of that range", type=whole(1, 100_000), metavar="N"
    )
    sundays: bool = web_option(False, WHICH, "Sundays too, in a folder of their own, sundays/")
    source: str | Sequence[str] = web_option(
        "web",
        WHERE,
        "sites in the order in which they are tried, day by day, among "
        + ", ".join(SITES)
        + "; web is all of them in this order",
        nargs="+",
        metavar="NAME",
    )
    base_url: str | None = web_option(
        None,
        WHERE,
        "ask this address instead of the sites' own hosts: a mirror, or a test site",
        metavar="URL",
    )
    delay: float = web_option(
        2.0,
        WHERE,
        f"seconds between two requests to a site, at least {SHORTEST_DELAY:g} unless it is on "
        "this machine",
        type=decimal(0.0, LONGEST_DELAY),
        metavar="S",
    )
    timeout: float = web_option(
        30.0,
        WHERE,
        "seconds for one whole answer",
        type=decimal(0.0, LONGEST_TIMEOUT, open_end=True),
        metavar="S",
    )
    retry_missing: bool = web_option(False, THERE, "ask again for days that no source had")
    verify: bool = web_option(
        False, THERE, "compare every file with the manifest; download altered ones again"
    )
    min_share: float = web_option(
        0.9,
        THERE,
        "share of the days that must be there for the download to count as complete",
        type=share,
        metavar="P",
    )

    def __post_init__(self) -> None:
        sources, comic = self.sources, Comic.parse(self.comic)
        for name in sources:
            if name not in SITES:
                raise UserError(f"--source {name} is not known: choose among {', '.join(SITES)}.")
        if not sources or len(set(sources)) < len(sources):
            raise UserError("--source must name each source once, and at least one.")
        if not any(SITES[name].has(comic) for name in sources):
            raise UserError(
                f"{', '.join(sources)} do not have {comic.slug}: try --source gocomics."
            )
        if self.start and self.end and self.start > self.end:
            raise UserError(
                f"--start {self.start} is after --end {self.end}: they seem to be swapped."
            )
        base = _base_url(self.base_url)
        if self.delay < SHORTEST_DELAY and not (base and _is_this_machine(base.hostname)):
            raise UserError(
                f"--delay {self.delay:g} asks other people's servers too often: give at least "
                f"{SHORTEST_DELAY:g} seconds."
            )

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of sites, in the order in which they are asked."""
        parts = [self.source] if isinstance(self.source, str) else self.source
        names = tuple(name for part in parts for name in part.split(",") if name)
        return tuple(SITES) if names == ("web",) else names

    def days(self, today: date) -> list[date]:
        """The days that are wanted, oldest first. Raises UserError when there are none."""
        comic = Comic.parse(self.comic)
        start = max(self.start or comic.first_day, comic.first_day)
        end = min(self.end or today, today)
        if start > today:
            raise UserError(
                f"{start} has not come yet, since today is {today} in New York: give an earlier "
                f"--start, or set this machine's clock."
            )
        weekdays = comic.weekdays | ({6} if self.sundays else set())
        every = (start + timedelta(days=n) for n in range((end - start).days + 1))
        days = [day for day in every if day.weekday() in weekdays][: self.limit]
        if not days:
            raise UserError(
                f"There is no daily from {start} to {end}: give another --start or --end"
                + ("." if self.sundays else ", or --sundays, which are not trained on.")
            )
        return days


def _base_url(text: str | None) -> SplitResult | None:
    if text is None:
        return None
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 (raises for what is no port)
        if not all("!" <= character <= "~" for character in text):
            raise ValueError(text)
        (parts.hostname or "").encode("idna")  # raises for an empty or a long label
        good = parts.scheme in ("http", "https") and parts.hostname and parts.username is None
    except ValueError:
        good = False
    if not good or parts.query or parts.fragment:
        raise UserError(f"--base_url {text!r} is no address such as http://127.0.0.1:8000.")
    return parts


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
