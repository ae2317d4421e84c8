"""Completes a comic's folder: one run of the downloader, from its lock to its report."""

import errno
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from garfield_vae.data.download.client import Client, Clock
from garfield_vae.data.download.crawl import Crawl
from garfield_vae.data.download.manifest import Manifest
from garfield_vae.data.download.record import new_york_day
from garfield_vae.data.download.report import DownloadReport
from garfield_vae.data.download.sites import SITES, Comic
from garfield_vae.util.console import printable, tell
from garfield_vae.util.errors import UserError
from garfield_vae.util.files import CannotWrite, locked, remedy

if TYPE_CHECKING:
    from garfield_vae.cli.download_options import DownloadOptions

# Days that most sites have are asked for first; they are fewer than crawl.NEVER_FOUND, so that an
# archive without the newest strips is not given up for them.
RECENT = timedelta(days=28)
QUIET = 600.0  # seconds without a line where no progress bar is shown


def download(
    folder: Path, options: "DownloadOptions", clock: Clock | None = None
) -> DownloadReport:
    """Completes `folder` (data/<comic>) and returns the report, which the caller prints.

    Ctrl-C ends it early, with `interrupted` in the report. Raises UserError where another run is at
    work, the disk refuses or the options are wrong.
    """
    clock = clock or Clock()
    started = clock.monotonic()
    today = new_york_day(clock.utc())
    days = options.days(today)
    report = DownloadReport(folder, len(days), options.min_share)
    try:
        with one_run(folder) as writable, Manifest(folder, writable) as manifest:
            try:
                todo = _days_to_ask(manifest, days, today, options)
                report.read_only = bool(todo) and not writable
                if todo and writable:
                    _fetch(manifest, todo, options, clock, report)
            except KeyboardInterrupt:
                report.interrupted = True
            report.count(days, manifest.entries)
    except CannotWrite:
        raise
    except OSError as error:
        denied = error.errno in (errno.EACCES, errno.EPERM)
        raise UserError(
            f"{error.filename or folder} cannot be used ({error.strerror or error}): "
            + ("make it readable and writable" if denied else remedy(error))
        ) from error
    report.seconds = clock.monotonic() - started
    if report.read_only and not report.enough:
        raise UserError(
            f"{folder} cannot be written, and {report.wanted - report.there} of its days are not "
            f"there: make it writable, or give another --data_dir."
        )
    return report


@contextmanager
def one_run(folder: Path) -> Iterator[bool]:
    """Locks `folder`; gives whether it can be written. Raises UserError where it is locked."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        try:
            busy = f"Another download is at work in {folder}: wait until it has ended."
            held.enter_context(locked(folder, busy))
            writable = True
        except CannotWrite as error:
            if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):
                raise
            writable = False
        yield writable


def _days_to_ask(
    manifest: Manifest, days: list[date], today: date, options: "DownloadOptions"
) -> list[date]:
    """Checks the strips that are there; the other days, in the order in which to ask for them."""
    todo = []
    with tqdm(days, "looking at what is there", unit="day", disable=None, leave=False) as bar:
        for day in bar:
            if not manifest.is_there(day, options.verify) and _worth_asking(manifest, day, options):
                todo.append(day)
    if manifest.strays:
        more = len(manifest.strays) - 3
        names = printable(", ".join(manifest.strays[:3])) + (
            f" and {more} more" if more > 0 else ""
        )
        tell(f"Passed over, being no strip in its year's folder: {names}.")
    # First the days that most sites will soon drop, then those never asked for, so that days that
    # always fail do not delay the others.
    return sorted(todo, key=lambda day: (day <= today - RECENT, day in manifest.entries))


def _worth_asking(manifest: Manifest, day: date, options: "DownloadOptions") -> bool:
    entry = manifest.entries.get(day)
    if entry is None or entry.status != "missing" or options.retry_missing:
        return True
    return entry.asked <= day  # today's strip may have been asked for before it was out


def _fetch(
    manifest: Manifest,
    todo: list[date],
    options: "DownloadOptions",
    clock: Clock,
    report: DownloadReport,
) -> None:
    """Asks for the days of `todo`, with a progress bar, or a line every QUIET seconds."""
    minutes = len(todo) * options.delay / 60
    if minutes >= 2:
        tell(
            f"Asking for {len(todo):,} days, which takes {_duration(60 * minutes)} or more: slowly "
            f"is polite. Ctrl-C stops at any moment, and the same command goes on."
        )
    comic = Comic.parse(options.comic)
    names = [name for name in options.sources if SITES[name].has(comic)]
    client = Client(options.base_url, options.delay, options.timeout, clock, tell)
    crawl = Crawl(manifest, client, comic, names, tell)
    counts: Counter[str] = Counter()
    began = said = clock.monotonic()
    try:
        with tqdm(todo, unit="day", disable=None, dynamic_ncols=True, leave=False) as bar:
            for number, day in enumerate(bar):
                bar.set_description(str(day))
                if bar.disable and clock.monotonic() - said > QUIET:
                    said = clock.monotonic()
                    left = (said - began) / number * (len(todo) - number) if number else 0.0
                    tell(f"{number:,} of {len(todo):,} days; {_duration(left)} to go.")
                counts[crawl.fetch(day)] += 1
                bar.set_postfix(counts, refresh=False)
                if crawl.at_an_end:
                    break
    finally:
        client.close()
        report.fetched = sum(manifest.has(day) for day in todo)
        report.requests = client.requests
        report.ended, report.problems = crawl.ended, crawl.problems


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 5400 else f"{seconds / 60:.0f} min"
