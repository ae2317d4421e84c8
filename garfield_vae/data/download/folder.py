"""Completes a comic's folder: looks at what is there, asks for the rest, says what it came to."""

from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tqdm import tqdm

from garfield_vae.data.download.client import Client, Clock
from garfield_vae.data.download.crawl import Crawl
from garfield_vae.data.download.lock import one_run
from garfield_vae.data.download.manifest import Manifest
from garfield_vae.data.download.options import DownloadOptions
from garfield_vae.data.download.report import DownloadReport
from garfield_vae.data.download.sources import SOURCES, Comic
from garfield_vae.util.errors import UserError


def download(folder: Path, options: DownloadOptions, clock: Clock | None = None) -> DownloadReport:
    """Completes `folder` (data/<comic>) and says what it came to; the caller prints the report.

    Ctrl-C ends it early, with `interrupted` in the report. Raises UserError when it cannot work at
    all: another run is at it, the disk refuses, the options are wrong.
    """
    clock = clock or Clock()
    started = clock.monotonic()
    today = new_york_day(clock.utc())
    days = options.days(today)
    report = DownloadReport(folder, len(days), options.min_share)
    try:
        with one_run(folder), Manifest(folder) as manifest:
            try:
                _complete(manifest, days, options, clock, report)
            except KeyboardInterrupt:
                report.interrupted = True
            report.count(days, manifest.entries)
    except OSError as error:
        raise UserError(
            f"{error.filename or folder} cannot be used: {error.strerror or error}."
        ) from error
    report.seconds = clock.monotonic() - started
    return report


def _complete(
    manifest: Manifest,
    days: list[date],
    options: DownloadOptions,
    clock: Clock,
    report: DownloadReport,
) -> None:
    """Looks at what is there, asks for the rest."""
    todo = []
    for day in _progress(days, "looking at what is there"):
        if not manifest.is_there(day, options.verify) and _worth_asking(manifest, day, options):
            todo.append(day)
    # Days never asked for come first, so that a stretch that always fails stands in nobody's way.
    todo.sort(key=lambda day: day in manifest.entries)
    if not todo:
        return
    comic = Comic.parse(options.comic)
    names = [name for name in options.sources if SOURCES[name].has(comic)]
    client = Client(options.base_url, options.delay, options.timeout, clock, tqdm.write)
    crawl = Crawl(manifest, client, comic, names, tqdm.write)
    counts: Counter[str] = Counter()
    try:
        bar = _progress(todo, "downloading")
        for day in bar:
            bar.set_description(str(day))
            counts[crawl.fetch(day)] += 1
            bar.set_postfix(counts, refresh=False)
            if crawl.at_an_end:
                break
    finally:
        client.close()
        report.fetched, report.requests = counts["ok"], client.requests
        report.ended, report.problems = crawl.ended, crawl.problems


def _worth_asking(manifest: Manifest, day: date, options: DownloadOptions) -> bool:
    entry = manifest.entries.get(day)
    if entry is None or entry.status != "missing" or options.retry_missing:
        return True
    # Today's strip may have been asked for before it was out.
    return new_york_day(datetime.fromisoformat(entry.time)) <= day


def _progress(days: Iterable[date], what: str) -> tqdm:
    return tqdm(days, what, unit="day", disable=None, dynamic_ncols=True, leave=False)


def new_york_day(moment: datetime) -> date:
    """The date in New York, where the day's strip comes out."""
    try:
        zone = ZoneInfo("America/New_York")
    except ZoneInfoNotFoundError:  # Windows has no time zones of its own
        zone = timezone(timedelta(hours=-5))
    return moment.astimezone(zone).date()
