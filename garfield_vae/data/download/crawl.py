"""Completes a comic's folder: a day is asked for at one site after the other until one has it."""

import errno
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout
from tqdm import tqdm

from garfield_vae.data.download.client import PAGE_BYTES, PICTURE_BYTES, Answer, Client, Clock
from garfield_vae.data.download.errors import (
    BadAnswer,
    Blocked,
    Forbidden,
    Missing,
    NoAnswer,
    SamePicture,
)
from garfield_vae.data.download.manifest import Manifest, digest_of
from garfield_vae.data.download.record import new_york_day
from garfield_vae.data.download.report import DownloadReport
from garfield_vae.data.download.sites import SITES, Comic, Site
from garfield_vae.data.images import BrokenImage
from garfield_vae.util.console import printable, tell
from garfield_vae.util.errors import UserError

if TYPE_CHECKING:
    from garfield_vae.cli.download_options import DownloadOptions

# Days in a row after which a site is left alone; only days that cost it a request count.
WITHOUT_ANSWER = 10  # connections break, or the server fails
NEVER_FOUND = 30  # no strip, and none before in this run
NOT_FOUND = 300  # no strip, though there were some
PROBLEMS_TOLD = 10
# What most sites have is asked for first; fewer days than NEVER_FOUND, so that an archive that lags
# behind has its turn.
RECENT = timedelta(days=28)
QUIET = 600.0  # seconds without a line where no progress bar is shown


def download(
    folder: Path, options: "DownloadOptions", clock: Clock | None = None
) -> DownloadReport:
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
        with one_run(folder) as writable, Manifest(folder, writable) as manifest:
            try:
                _complete(manifest, days, today, options, clock, report)
            except KeyboardInterrupt:
                report.interrupted = True
            report.count(days, manifest.entries)
    except OSError as error:
        raise UserError(
            f"{error.filename or folder} cannot be used: {error.strerror or error}."
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
    """Holds `folder` for this process; whether it can be written in. Raises UserError when another
    process holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock", blocking=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise UserError(
            f"Another download is at work in {folder}: wait until it has ended."
        ) from error
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise
        yield False
    else:
        try:
            yield True
        finally:
            lock.release()


def _complete(
    manifest: Manifest,
    days: list[date],
    today: date,
    options: "DownloadOptions",
    clock: Clock,
    report: DownloadReport,
) -> None:
    """Looks at what is there, asks for the rest."""
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
    if todo and not manifest.writable:
        report.read_only = True
    elif todo:
        # First the days that most sites will soon have no longer. Then days never asked for, so
        # that a stretch that always fails does not keep the others waiting.
        todo.sort(key=lambda day: (day <= today - RECENT, day in manifest.entries))
        _fetch(manifest, todo, options, clock, report)


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
    """Asks for the days of `todo`, with a progress bar and its estimate, or a line at times."""
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


class Crawl:
    """Fetches days into `manifest`. say: called with each sentence that a person should read."""

    def __init__(
        self,
        manifest: Manifest,
        client: Client,
        comic: Comic,
        names: Sequence[str],
        say: Callable[[str], None],
    ):
        self.ended: dict[str, str] = {}  # site → why it is left alone
        self.problems: dict[date, str] = {}  # the first few days that failed, and why
        self._manifest, self._client, self._say = manifest, client, say
        self._unanswered: Counter[str] = Counter()  # by site, days in a row
        self._in_vain: defaultdict[str, list[date]] = defaultdict(list)  # by site, days in a row
        self._fruitful: set[str] = set()
        self._forbidden: set[str] = set()
        self._same = ("", "")  # site and digest of the picture that puts this day in doubt
        self._sites = [
            site(comic, partial(client.get, origins=site.origins, limit=PAGE_BYTES))
            for site in (SITES[name] for name in names)
        ]

    @property
    def at_an_end(self) -> bool:
        """No site is left to ask."""
        return len(self.ended) == len(self._sites)

    def fetch(self, day: date) -> str:
        """Asks for a day and puts the outcome on record; its status."""
        reasons: list[str] = []
        statuses: list[str] = []
        failed: dict[str, Exception] = {}  # addresses that this day need not ask twice
        before = self._manifest.entries.get(day)
        doubted = before.source if before else ""  # asked last: its picture of this day is in doubt
        self._same = ("", "")
        for site in sorted(self._sites, key=lambda site: site.name == doubted):
            status, reason = self._try(site, day, failed)
            if status == "ok":
                return status
            statuses.append(status)
            reasons.append(f"{site.name}: {reason}")
        status = max(statuses, key=("missing", "blocked", "error").index)
        reason = "; ".join(reasons)
        self._manifest.note(day, status, reason, *self._same)
        if status == "error" and len(self.problems) < PROBLEMS_TOLD:
            self.problems[day] = reason
            self._say(f"{day} failed: {reason}")
        return status

    def _try(self, site: Site, day: date, failed: dict[str, Exception]) -> tuple[str, str]:
        """The outcome of a day at one site: its status and the reason for it."""
        if site.name in self.ended:
            return "blocked", "left alone in this run"
        requests = self._client.requests
        try:
            self._take(site, day, failed)
            self._fruitful.add(site.name)
            self._unanswered[site.name] = 0
            self._in_vain[site.name].clear()
            return "ok", ""
        except Blocked as problem:
            self._end(site, str(problem))
            return "blocked", str(problem)
        except Forbidden as problem:
            if site.name not in self._forbidden:
                self._forbidden.add(site.name)
                self._say(f"{site.name}: {problem}, which is obeyed.")
            return "blocked", str(problem)
        except (Missing, BadAnswer) as problem:
            if self._client.requests > requests:
                self._count(site, day, problem)
            if not isinstance(problem, Missing):
                return "error", str(problem)
            return "blocked" if site.name in self.ended else "missing", str(problem)

    def _count(self, site: Site, day: date, problem: Exception) -> None:
        """Leaves a site alone that had no strip for many days in a row."""
        name = site.name
        self._in_vain[name].append(day)
        self._unanswered[name] = self._unanswered[name] + 1 if isinstance(problem, NoAnswer) else 0
        patience = NOT_FOUND if name in self._fruitful else NEVER_FOUND
        if self._unanswered[name] == WITHOUT_ANSWER:
            self._end(site, f"no answer for {WITHOUT_ANSWER} days in a row; {problem}")
        elif len(self._in_vain[name]) == patience:
            self._end(site, f"no strip for {patience} days in a row, the last time: {problem}")
            if name not in self._fruitful:  # then its "missing" says nothing about these days
                for earlier in self._in_vain[name]:
                    self._manifest.withdraw_missing(earlier, f"{name} had no strip at all")

    def _take(self, site: Site, day: date, failed: dict[str, Exception]) -> None:
        """Stores the day's strip from one site, or raises what Client.get raises."""
        problem: Exception = Missing("the site names no picture")
        for address in site.pictures(day):
            key = address.partition("://")[2]
            try:
                if key in failed:
                    raise failed[key]
                answer = self._client.get(address, site.origins, PICTURE_BYTES)
                self._keep(site, day, answer)
                return
            except Missing as missing:
                problem = failed[key] = missing
            except BadAnswer as bad:
                failed[key] = bad
                raise
        raise problem

    def _keep(self, site: Site, day: date, answer: Answer) -> None:
        """Stores a picture, unless it came for another day too.

        Then both days are in doubt, and a later run asks for both again. If the site repeats itself
        and no site has anything else, it is a true rerun; a picture of three days is a placeholder.
        """
        digest = digest_of(answer.body)
        others = self._manifest.others(digest, day)
        if others and not (len(others) == 1 and self._manifest.is_confirmed(digest, day)):
            if len(others) == 1:
                self._manifest.doubt(min(others), day)
            self._same = (site.name, digest)
            raise SamePicture(f"the same picture stands under {min(others)}: both are in doubt")
        try:
            self._manifest.keep(day, site.name, answer.url, answer.body)
        except BrokenImage as broken:
            raise BadAnswer(f"{answer.url} is no strip: {broken.reason}") from broken

    def _end(self, site: Site, reason: str) -> None:
        self.ended[site.name] = reason
        end = "" if reason.endswith("?") else "."
        self._say(f"{site.name} is left alone for the rest of this run: {reason}{end}")
