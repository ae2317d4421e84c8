"""What a comic's folder holds, on disk and on record.

    strips/1985/1985-03-12.gif     dailies as served, named by date
    sundays/1985/1985-03-10.gif    Sundays, which have another format
    manifest.jsonl                 a line a day that was asked for
    set-aside/                     files that were not what the record says, nothing is deleted

A strip is put in place before its line is written, and a file without a line is taken up by the
next run, so the record can lag behind the files but never promises what is not there.
"""

import contextlib
import hashlib
import json
import os
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import IO, NamedTuple

from garfield_vae.data.images import BrokenImage, open_strip
from garfield_vae.util.files import replacing

STATUSES = ("ok", "missing", "error", "blocked")
SUFFIXES = {b"GIF8": ".gif", b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png"}


def now() -> datetime:
    return datetime.now(UTC)


class Entry(NamedTuple):
    """A day's line in the manifest, as much of it as a run needs to know."""

    status: str
    source: str
    sha256: str  # of the strip; empty unless the status is ok
    bytes: int
    time: str  # when it was asked for, ISO, UTC


class Manifest:
    """The strips of a folder and their record; open it with `with`, inside `one_run`."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.path = folder / "manifest.jsonl"
        self.entries: dict[date, Entry] = {}
        self._days: dict[str, date] = {}  # sha256 → the day it stands under
        self._suffixes: dict[date, str] = {}  # of the files that are there
        self._lines: IO[str] | None = None
        self._untidy = False  # more than a line a day

    def __enter__(self) -> "Manifest":
        self._find_files()
        self._tidy()
        self._lines = self.path.open("a", encoding="utf-8")
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.flush()
        os.fsync(self._lines.fileno())
        self._lines.close()
        if self._untidy:
            self._tidy()

    # -----------------------------------------------------------------------------------------
    # What is there

    def file(self, day: date) -> Path | None:
        """The day's strip, None where there is none."""
        return self._place(day, self._suffixes[day]) if day in self._suffixes else None

    def is_there(self, day: date, verify: bool = False) -> bool:
        """Whether the day's strip is on disk as it was recorded (`verify`: to the last byte).

        A file without a record is taken up if it is a strip; what is wrong is set aside.
        """
        path, entry = self.file(day), self.entries.get(day)
        recorded = entry is not None and entry.status == "ok"
        if path is None:
            if recorded:
                self.note(day, "error", "the strip's file is gone")
            return False
        if not recorded:
            with contextlib.suppress(BrokenImage):
                content = path.read_bytes()
                if self.other_day(content, day) is None:
                    self._note_strip(day, "disk", "", content, open_strip(content).size)
                    return True
        elif path.stat().st_size == entry.bytes and (
            not verify or hashlib.sha256(path.read_bytes()).hexdigest() == entry.sha256
        ):
            return True
        aside = self.folder / "set-aside" / path.name
        aside.parent.mkdir(exist_ok=True)
        path.replace(aside)
        del self._suffixes[day]
        self.note(day, "error", "the file was not this day's strip as recorded; it is set aside")
        return False

    def other_day(self, content: bytes, day: date) -> date | None:
        """Another day under which the same bytes stand already."""
        found = self._days.get(hashlib.sha256(content).hexdigest())
        return found if found != day else None

    # -----------------------------------------------------------------------------------------
    # What is added

    def keep(self, day: date, source: str, url: str, content: bytes) -> None:
        """Puts a strip in place and on record. Raises BrokenImage for what is no strip."""
        size = open_strip(content).size
        suffix = next(suffix for magic, suffix in SUFFIXES.items() if content.startswith(magic))
        with replacing(self._place(day, suffix)) as file:
            file.write(content)
        self._suffixes[day] = suffix
        self._note_strip(day, source, url, content, size)

    def note(self, day: date, status: str, reason: str) -> None:
        """Records why there is no strip for a day."""
        self._append({"date": str(day), "status": status, "reason": reason[:500]})

    def _note_strip(
        self, day: date, source: str, url: str, content: bytes, size: tuple[int, int]
    ) -> None:
        digest = hashlib.sha256(content).hexdigest()
        line = {"date": str(day), "status": "ok", "source": source, "url": url}
        self._append({**line, "sha256": digest, "bytes": len(content), "size": size})

    def _append(self, line: dict) -> None:
        line["time"] = now().isoformat(timespec="seconds")
        self._untidy |= date.fromisoformat(line["date"]) in self.entries
        self._learn(line)
        # Handed to the system at once, so that a killed run loses none; onto the disk at the end:
        # after a power failure the strips themselves (which are synced) tell what was there.
        self._lines.write(json.dumps(line) + "\n")
        self._lines.flush()

    # -----------------------------------------------------------------------------------------
    # Reading

    def _learn(self, line: dict) -> date:
        """Takes in a line. Raises KeyError, TypeError or ValueError when it is damaged."""
        day = date.fromisoformat(line["date"])
        if line["status"] not in STATUSES:
            raise ValueError(line["status"])
        before = self.entries.get(day)
        if before and self._days.get(before.sha256) == day:
            del self._days[before.sha256]
        ok = line["status"] == "ok"
        self.entries[day] = Entry(
            sys.intern(line["status"]),
            sys.intern(str(line["source"])) if ok else "",
            str(line["sha256"]) if ok else "",
            int(line["bytes"]) if ok else 0,
            str(line["time"]),
        )
        if ok:
            self._days[self.entries[day].sha256] = day
        return day

    def _tidy(self) -> None:
        """Reads the manifest; if need be writes it anew: a line a day, in order, none torn."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return
        lines = content.splitlines()
        last: dict[date, bytes] = {}
        for line in lines:
            # A damaged line is dropped; the day's file, if it is there, will be taken up again.
            with contextlib.suppress(ValueError, TypeError, KeyError, RecursionError):
                last[self._learn(json.loads(line))] = line
        if len(last) < len(lines) or (lines and not content.endswith(b"\n")):
            with replacing(self.path) as file:
                file.writelines(last[day] + b"\n" for day in sorted(last))
        self._untidy = False

    def _find_files(self) -> None:
        """Lists the strips, and removes what a killed run left half written."""
        folders = [self.folder]
        for part in ("strips", "sundays"):
            folders += [year for year in (self.folder / part).glob("*") if year.is_dir()]
        for folder in folders:
            with os.scandir(folder) as entries:
                for entry in entries:
                    stem, dot, suffix = entry.name.rpartition(".")
                    if stem.startswith(".") and suffix == "tmp":
                        Path(entry).unlink()
                    elif f".{suffix}" in SUFFIXES.values() and folder != self.folder:
                        with contextlib.suppress(ValueError):  # a stranger's file: left alone
                            self._suffixes[date.fromisoformat(stem)] = dot + suffix

    def _place(self, day: date, suffix: str) -> Path:
        part = "sundays" if day.weekday() == 6 else "strips"
        return self.folder / part / f"{day:%Y}" / f"{day}{suffix}"
