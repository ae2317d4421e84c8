"""One run of the downloader: a day is asked for at one source after the other until one has it."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date
from functools import partial

from garfield_vae.data.download.answers import (
    Answer,
    BadAnswer,
    Blocked,
    Forbidden,
    Missing,
    NoAnswer,
)
from garfield_vae.data.download.client import PAGE_BYTES, PICTURE_BYTES, Client
from garfield_vae.data.download.manifest import Manifest
from garfield_vae.data.download.sources import SOURCES, Comic, Source
from garfield_vae.data.images import BrokenImage

FAILURES_IN_A_ROW = 10  # days without any answer after which a source is left alone
PROBLEMS_TOLD = 10


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
        self.ended: dict[str, str] = {}  # source → why it is left alone
        self.problems: dict[date, str] = {}  # the first few days that failed, and why
        self._manifest, self._client, self._say = manifest, client, say
        self._failures: Counter[str] = Counter()
        self._forbidden: set[str] = set()
        self._sources = [
            kind(comic, partial(client.get, hosts=kind.hosts, limit=PAGE_BYTES))
            for kind in (SOURCES[name] for name in names)
        ]

    @property
    def at_an_end(self) -> bool:
        """No source is left to ask."""
        return len(self.ended) == len(self._sources)

    def fetch(self, day: date) -> str:
        """Asks for a day and puts the outcome on record; its status."""
        reasons: list[str] = []
        statuses: list[str] = []
        failed: dict[str, Exception] = {}  # addresses that this day need not ask twice
        for source in self._sources:
            status, reason = self._try(source, day, failed)
            if status == "ok":
                return status
            statuses.append(status)
            reasons.append(f"{source.name}: {reason}")
        status = max(statuses, key=("missing", "blocked", "error").index)
        self._manifest.note(day, status, "; ".join(reasons))
        if status == "error" and len(self.problems) < PROBLEMS_TOLD:
            self.problems[day] = "; ".join(reasons)
        return status

    def _try(self, source: Source, day: date, failed: dict[str, Exception]) -> tuple[str, str]:
        """The outcome of a day at one source: its status and the reason for it."""
        if source.name in self.ended:
            return "blocked", "left alone in this run"
        before, self._failures[source.name] = self._failures[source.name], 0
        try:
            self._take(source, day, failed)
            return "ok", ""
        except Missing as problem:
            return "missing", str(problem)
        except Blocked as problem:
            self._end(source, str(problem))
            return "blocked", str(problem)
        except Forbidden as problem:
            if source.name not in self._forbidden:
                self._forbidden.add(source.name)
                self._say(f"{source.name}: {problem}, which is obeyed.")
            return "blocked", str(problem)
        except NoAnswer as problem:
            self._failures[source.name] = before + 1
            if before + 1 == FAILURES_IN_A_ROW:
                self._end(source, f"no answer for {FAILURES_IN_A_ROW} days in a row; {problem}")
            return "error", str(problem)
        except BadAnswer as problem:
            return "error", str(problem)

    def _take(self, source: Source, day: date, failed: dict[str, Exception]) -> None:
        """Stores the day's strip from one source, or raises what Client.get raises."""
        problem: Exception = Missing("the source names no picture")
        for address in source.pictures(day):
            key = address.partition("://")[2]
            try:
                if key in failed:
                    raise failed[key]
                answer = self._client.get(address, source.hosts, PICTURE_BYTES)
                self._keep(source, day, answer)
                return
            except Missing as missing:
                problem = failed[key] = missing
            except BadAnswer as bad:
                failed[key] = bad
                raise
        raise problem

    def _keep(self, source: Source, day: date, answer: Answer) -> None:
        other = self._manifest.other_day(answer.body, day)
        if other:
            raise BadAnswer(f"the same picture stands under {other}: a placeholder or a mix-up")
        try:
            self._manifest.keep(day, source.name, answer.url, answer.body)
        except BrokenImage as broken:
            raise BadAnswer(f"{answer.url} is no strip: {broken.reason}") from broken

    def _end(self, source: Source, reason: str) -> None:
        self.ended[source.name] = reason
        end = "" if reason.endswith("?") else "."
        self._say(f"{source.name} is left alone for the rest of this run: {reason}{end}")
