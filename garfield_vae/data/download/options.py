"""What the downloader can be told, and its flags, for its own command and for train_torch.py."""

import argparse
from collections.abc import Collection
from dataclasses import dataclass, fields
from datetime import date, timedelta
from urllib.parse import urlsplit

from garfield_vae.data.download.client import SHORTEST_DELAY
from garfield_vae.data.download.sources import SOURCES, Comic
from garfield_vae.util.errors import UserError

OWN_MACHINE = """\
The strips belong to their authors: what you download is for your own machine,
not for passing on."""
NO_PROXIES = "Sites are asked directly: proxies that the environment names are not used."


@dataclass(frozen=True)
class DownloadOptions:
    """What to download, from where and how. Raises UserError for what cannot be."""

    sources: tuple[str, ...] = tuple(SOURCES)  # in the order in which they are tried
    comic: str = "garfield"  # see Comic.parse
    start: date | None = None  # the comic's first day
    end: date | None = None  # New York's today
    limit: int | None = None  # days, from the start of the range
    sundays: bool = False
    delay: float = 2.0  # seconds between two requests to a host
    timeout: float = 30.0  # seconds for one whole answer
    base_url: str | None = None  # asked instead of the sources' own hosts
    retry_missing: bool = False
    verify: bool = False
    min_share: float = 0.9  # of the days, for `DownloadReport.enough`

    def __post_init__(self) -> None:
        for name in self.sources:
            if name not in SOURCES:
                known = ", ".join(SOURCES)
                raise UserError(f"--source {name} is not known: choose among {known}.")
        if not self.sources or len(set(self.sources)) < len(self.sources):
            raise UserError("--source must name each source once, and at least one.")
        comic = Comic.parse(self.comic)
        if not any(SOURCES[name].has(comic) for name in self.sources):
            raise UserError(
                f"{', '.join(self.sources)} do not have {comic.slug}: try --source gocomics."
            )
        if self.limit is not None and self.limit < 1:
            raise UserError(f"--limit must be at least 1 day, got {self.limit}.")
        if not 0 <= self.delay < float("inf"):
            raise UserError(f"--delay must be 0 or more seconds, got {self.delay}.")
        if not 0 < self.timeout < float("inf"):
            raise UserError(f"--timeout must be more than 0 seconds, got {self.timeout}.")
        if not 0 <= self.min_share <= 1:
            raise UserError(f"--min_share must be between 0 and 1, got {self.min_share}.")
        if self.base_url is not None:
            _check_base_url(self.base_url)

    @classmethod
    def from_args(cls, args: argparse.Namespace) -> "DownloadOptions":
        """From what `add_download_arguments` parsed; --source web means all of them in order."""
        given = {f.name: getattr(args, f.name) for f in fields(cls) if hasattr(args, f.name)}
        source = [args.source] if isinstance(args.source, str) else args.source
        names = [name for part in source for name in part.split(",") if name]
        given["sources"] = tuple(SOURCES) if names == ["web"] else tuple(names)
        return cls(**given)

    def days(self, today: date) -> list[date]:
        """The days that are wanted, oldest first. Raises UserError when there are none."""
        comic = Comic.parse(self.comic)
        start = max(self.start or comic.first_day, comic.first_day)
        end = min(self.end or today, today)
        weekdays = comic.weekdays | ({6} if self.sundays else set())
        every = (start + timedelta(days=n) for n in range((end - start).days + 1))
        days = [day for day in every if day.weekday() in weekdays][: self.limit]
        if not days:
            raise UserError(
                f"There is no daily from {start} to {end}: give another --start or --end"
                + ("." if self.sundays else ", or --sundays.")
            )
        return days


def add_download_arguments(parser: argparse.ArgumentParser, without: Collection[str] = ()) -> None:
    """Adds the downloader's flags, in groups. `without`: names that the parser has already."""

    def add(group: argparse._ArgumentGroup, name: str, **details) -> None:
        if name not in without:
            details.setdefault("default", getattr(DownloadOptions, name, None))
            group.add_argument(f"--{name}", **details)

    which = parser.add_argument_group("download: which strips", OWN_MACHINE)
    add(
        which,
        "comic",
        metavar="NAME",
        help="garfield, or another comic of the same sites as NAME:FIRST_DAY[:WEEKDAYS], "
        "such as foxtrot:1988-04-10:mon-sat",
    )
    add(which, "start", type=_day, metavar="DATE", help="first day (default: the comic's first)")
    add(
        which,
        "end",
        type=_day,
        metavar="DATE",
        help="last day (default, and at most: today in New York)",
    )
    add(which, "limit", type=int, metavar="N", help="only the first N days of that range")
    add(which, "sundays", action="store_true", help="Sundays too, apart, under sundays/")
    where = parser.add_argument_group("download: from where", NO_PROXIES)
    add(
        where,
        "source",
        nargs="+",
        metavar="NAME",
        default=list(SOURCES),
        help="sites in the order in which they are tried, day by day, among "
        + ", ".join(SOURCES)
        + " (default: all, in this order)",
    )
    add(
        where,
        "base_url",
        metavar="URL",
        help="ask this address instead of the sites' own hosts: a mirror, or a test site",
    )
    add(
        where,
        "delay",
        type=float,
        metavar="S",
        help="seconds between two requests to a site, at least "
        f"{SHORTEST_DELAY:g} unless it is on this machine (default: %(default)g)",
    )
    add(
        where,
        "timeout",
        type=float,
        metavar="S",
        help="seconds for one whole answer (default: %(default)g)",
    )
    there = parser.add_argument_group("download: what is there already")
    add(there, "retry_missing", action="store_true", help="ask again for days that no source had")
    add(
        there,
        "verify",
        action="store_true",
        help="compare every file with the record; fetch what was altered again",
    )
    add(
        there,
        "min_share",
        type=float,
        metavar="P",
        help="share of the days that must be there for the download to count as done "
        "(default: %(default)g)",
    )


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no date such as 1985-03-12") from None


def _check_base_url(text: str) -> None:
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 (raises for what is no port)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.username is None
    except ValueError:
        good = False
    if not good or parts.query or parts.fragment:
        raise UserError(f"--base_url {text!r} is no address such as http://127.0.0.1:8000.")
