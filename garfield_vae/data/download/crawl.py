"""Asks one site after the other for a day, until one has it."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from garfield_vae.data.download.client import PAGE_BYTES, PICTURE_BYTES, Answer, Client
from garfield_vae.data.download.errors import (
    BadAnswer,
    Blocked,
    Forbidden,
    Missing,
    NoAnswer,
    SamePicture,
)
from garfield_vae.data.download.manifest import Manifest, digest_of
from garfield_vae.data.download.sites import SITES, Comic, Site
from garfield_vae.data.images import BrokenImage

# Days in a row after which a site is given up; only days that cost it a request count.
WITHOUT_ANSWER = 10  # connections break, or the server fails
NEVER_FOUND = 30  # no strip, and none before in this run
NOT_FOUND = 300  # no strip, though there were some
PROBLEMS_TOLD = 10


class Crawl:
    """Fetches days into `manifest`. say: called with each sentence for the user."""

    def __init__(
        self,
        manifest: Manifest,
        client: Client,
        comic: Comic,
        names: Sequence[str],
        say: Callable[[str], None],
    ):
        self.ended: dict[str, str] = {}  # site → why it was given up
        self.problems: dict[date, str] = {}  # the first days that failed, and why
        self._manifest, self._client, self._say = manifest, client, say
        self._unanswered: Counter[str] = Counter()  # by site, days in a row
        self._in_vain: defaultdict[str, list[date]] = defaultdict(list)  # by site, days in a row
        self._fruitful: set[str] = set()
        self._forbidden: set[str] = set()
        self._same = ("", "")  # site and digest of this day's picture, if another day has it too
        self._sites = [
            site(comic, partial(client.get, origins=site.origins, limit=PAGE_BYTES))
            for site in (SITES[name] for name in names)
        ]

    @property
    def at_an_end(self) -> bool:
        """Whether every site has been given up."""
        return len(self.ended) == len(self._sites)

    def fetch(self, day: date) -> str:
        """Asks for a day and records the outcome; returns its status."""
        reasons: list[str] = []
        statuses: list[str] = []
        failed: dict[str, Exception] = {}  # by address, so that no other site asks it again
        before = self._manifest.entries.get(day)
        doubted = before.source if before else ""  # its picture is in doubt: it is asked last
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
        """The status of a day at one site, and the reason."""
        if site.name in self.ended:
            return "blocked", "not asked again in this run"
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
        """Gives up a site that had no strip for many days in a row."""
        name = site.name
        self._in_vain[name].append(day)
        self._unanswered[name] = self._unanswered[name] + 1 if isinstance(problem, NoAnswer) else 0
        patience = NOT_FOUND if name in self._fruitful else NEVER_FOUND
        if self._unanswered[name] == WITHOUT_ANSWER:
            self._end(site, f"no answer for {WITHOUT_ANSWER} days in a row; {problem}")
        elif len(self._in_vain[name]) == patience:
            self._end(site, f"no strip for {patience} days in a row, the last time: {problem}")
            if name not in self._fruitful:  # its "missing" says nothing about these days
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
                if site.named_by_day and _file_name(answer.url) != _file_name(address):
                    raise Missing(f"the site leads on to {answer.url}")
                self._keep(site, day, answer)
                return
            except Missing as missing:
                problem = failed[key] = missing
            except BadAnswer as bad:
                failed[key] = bad
                raise
        raise problem

    def _keep(self, site: Site, day: date, answer: Answer) -> None:
        """Stores a picture, unless another day has the same.

        Then both days are in doubt, and the next run asks for both again: if it gets the same again
        and no other site has another picture, it is a rerun. A picture of three days is a
        placeholder.
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


def _file_name(address: str) -> str:
    return PurePosixPath(urlsplit(address).path).stem
