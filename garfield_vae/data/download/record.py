"""A line of the manifest, checked as it is read."""

import json
import re
import sys
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

STATUSES = ("ok", "missing", "error", "blocked")
NOT_ASKED = "not asked"
MAX_LINE = 64 * 1024  # bytes
MAX_BYTES = 64 * 2**20  # of a strip


class Entry(NamedTuple):
    """What a run needs to know of a day's line."""

    status: str
    source: str  # of the strip, or of the picture in doubt
    sha256: str  # of the strip, or of the picture in doubt
    bytes: int  # of the strip
    asked: date  # the day in New York when it was asked for

    @property
    def column(self) -> str:
        """Where the report counts it: the strip's source, or the status."""
        return self.source if self.status == "ok" else self.status


def read_line(text: bytes) -> tuple[date, Entry]:
    """A day and its entry. Raises ValueError where a value is not as the downloader writes it."""
    try:
        line = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(line, dict):
        raise ValueError("no object")
    day = date.fromisoformat(_text(line, "date", r"\d{4}-\d\d-\d\d"))
    status = _text(line, "status", "|".join(STATUSES))
    source, sha256, size = "", "", 0
    if status == "ok" or "sha256" in line:
        source = _text(line, "source", r"[a-z0-9-]{0,40}")
        sha256 = _text(line, "sha256", r"[0-9a-f]{64}")
    if status == "ok":
        size = line.get("bytes")
        if type(size) is not int or not 0 < size <= MAX_BYTES:
            raise ValueError(f"bytes {size!r}"[:100])
        if not source or source in (*STATUSES, NOT_ASKED):
            raise ValueError("no source")
    try:
        asked = new_york_day(datetime.fromisoformat(_text(line, "time", r"[0-9T:.+Z-]{19,40}")))
    except OverflowError as error:
        raise ValueError("a time beyond the calendar") from error
    return day, Entry(sys.intern(status), sys.intern(source), sha256, size, asked)


def _text(line: dict[str, Any], name: str, form: str) -> str:
    value = line.get(name)
    if not isinstance(value, str) or not re.fullmatch(form, value, re.ASCII):
        raise ValueError(f"{name} {value!r}"[:100])
    return value


def new_york_day(moment: datetime) -> date:
    """The date in New York, where the day's strip comes out."""
    try:
        zone = ZoneInfo("America/New_York")
    except ZoneInfoNotFoundError:  # Windows has no time zones of its own
        zone = timezone(timedelta(hours=-5))
    return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(zone).date()
