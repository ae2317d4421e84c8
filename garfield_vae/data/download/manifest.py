"""The strips of a comic's folder, and their record.

    strips/1985/1985-03-12.gif     dailies as served, named by date
    sundays/1985/1985-03-10.gif    Sundays, which have another format
    manifest.jsonl                 a line for each day that was asked for
    set-aside/                     files that contradicted the record; nothing is deleted

A strip is put in place before its line is written, and a file without a line is recorded by the
next run. So the record can lack strips that are there, but lists none that are not.
"""

import contextlib
import hashlib
import io
import json
import os
from collections import defaultdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import IO

from PIL import Image

from garfield_vae.data.download.record import MAX_LINE, Entry, read_line
from garfield_vae.data.images import FORMATS, SUFFIXES, BrokenImage, open_strip, read_strip
from garfield_vae.util.files import open_regular, remove_abandoned, replacing

SHAPES = {"daily": (2.4, 6.0), "Sunday": (0.5, 6.0)}  # width / height
BLANK = 32  # grey levels between the darkest and the lightest pixel of what is blank


def now() -> datetime:
    return datetime.now(UTC)


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def open_daily(content: bytes, day: date) -> Image.Image:
    """The day's strip. Raises BrokenImage for what is none: damaged, blank, of another shape."""
    image = open_strip(content)
    kind = "Sunday" if day.weekday() == 6 else "daily"
    least, most = SHAPES[kind]
    if not least <= image.width / image.height <= most:
        size = f"{image.width}×{image.height}"
        raise BrokenImage("the picture", f"{size} pixels are not the shape of a {kind}")
    darkest, lightest = image.convert("L").getextrema()
    if lightest - darkest < BLANK:
        raise BrokenImage("the picture", f"{image.width}×{image.height} pixels are blank")
    return image


def suffix_of(content: bytes) -> str:
    """The extension of a strip, from its bytes."""
    with Image.open(io.BytesIO(content), formats=list(FORMATS)) as image:
        return FORMATS["JPEG" if image.format == "MPO" else image.format][0]


class Manifest:
    """The strips of a folder and their record; a context manager, under the folder's lock.

    writable: False for a folder on a read-only disk, where nothing is recorded.
    """

    def __init__(self, folder: Path, writable: bool = True):
        self.folder, self.writable = folder, writable
        self.path = folder / "manifest.jsonl"
        self.entries: dict[date, Entry] = {}
        self.strays: list[str] = []  # files named like strips, but not in their year's folder
        self._days: defaultdict[str, set[date]] = defaultdict(set)  # sha256 → days it came for
        self._suffixes: dict[date, str] = {}  # of the files that are there
        self._lines: IO[str] | None = None
        self._untidy = False  # more than a line a day

    def __enter__(self) -> "Manifest":
        self._tidy()
        self._find_files()
        if self.writable:
            self._lines = self.path.open("a", encoding="utf-8")
        return self

    def __exit__(self, *_: object) -> None:
        if self._lines is None:
            return
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

    def has(self, day: date) -> bool:
        """Whether the record has the day's strip."""
        return day in self.entries and self.entries[day].status == "ok"

    def is_there(self, day: date, verify: bool = False) -> bool:
        """Whether the day's strip is on disk as recorded (`verify`: every byte).

        A strip without a record is recorded; any other file in its place is set aside.
        """
        path, entry, recorded = self.file(day), self.entries.get(day), self.has(day)
        if path is None:
            if recorded:
                self.note(day, "error", "the strip's file is gone")
            return False
        digest = ""
        if not recorded:
            with contextlib.suppress(BrokenImage):
                content = read_strip(path)
                size = open_daily(content, day).size
                digest = digest_of(content)
                if not self.others(digest, day):
                    self._note_strip(day, "disk", "", content, size)
                    return True
        elif path.stat().st_size == entry.bytes and (not verify or self._is_as_recorded(day)):
            return True
        self._set_aside(day)
        reason = "the file was not this day's strip as recorded; it is set aside"
        self.note(day, "error", reason, sha256=digest)
        return False

    def _is_as_recorded(self, day: date) -> bool:
        try:
            return digest_of(read_strip(self.file(day))) == self.entries[day].sha256
        except BrokenImage:
            return False

    def others(self, digest: str, day: date) -> set[date]:
        """Other days that the same bytes came for, kept or in doubt."""
        return self._days.get(digest, set()) - {day}

    def is_confirmed(self, digest: str, day: date) -> bool:
        """Whether the same bytes came for `day` in an earlier run, when they were doubted."""
        entry = self.entries.get(day)
        return entry is not None and entry.status != "ok" and entry.sha256 == digest

    # -----------------------------------------------------------------------------------------
    # What is added

    def keep(self, day: date, source: str, url: str, content: bytes) -> None:
        """Stores and records a strip. Raises BrokenImage for what is none."""
        size, suffix = open_daily(content, day).size, suffix_of(content)
        place = self._place(day, suffix)
        if place.is_dir():
            raise BrokenImage("the picture", f"a folder stands in its place, {place}")
        with replacing(place) as file:
            file.write(content)
        self._suffixes[day] = suffix
        self._note_strip(day, source, url, content, size)

    def doubt(self, day: date, other: date) -> None:
        """Sets a day's strip aside, since the same picture came for `other`, too."""
        entry = self.entries[day]
        if entry.status == "ok":
            self._set_aside(day)
            reason = f"the same picture came for {other}: one of both is another day's"
            self.note(day, "error", reason, entry.source, entry.sha256)

    def note(self, day: date, status: str, reason: str, source: str = "", sha256: str = "") -> None:
        """Records why there is no strip for a day; sha256: of the picture that is in doubt."""
        doubted = {"source": source, "sha256": sha256} if sha256 else {}
        self._append({"date": str(day), "status": status, "reason": reason[:500], **doubted})

    def withdraw_missing(self, day: date, reason: str) -> None:
        """Lets a later run ask again for a day that no site had."""
        if day in self.entries and self.entries[day].status == "missing":
            self.note(day, "blocked", reason)

    def _set_aside(self, day: date) -> None:
        path, aside = self.file(day), self.folder / "set-aside"
        if not self.writable or path is None:
            return
        aside.mkdir(exist_ok=True)
        name = path.name
        for number in range(2, 1000):  # what was set aside before stays
            if not (aside / name).exists():
                break
            name = f"{path.stem}.{number}{path.suffix}"
        path.replace(aside / name)
        del self._suffixes[day]

    def _note_strip(
        self, day: date, source: str, url: str, content: bytes, size: tuple[int, int]
    ) -> None:
        line = {"date": str(day), "status": "ok", "source": source, "url": url}
        self._append({**line, "sha256": digest_of(content), "bytes": len(content), "size": size})

    def _append(self, line: dict) -> None:
        line["time"] = now().isoformat(timespec="seconds")
        text = json.dumps(line)
        day, entry = read_line(text.encode())
        self._untidy |= day in self.entries
        self._learn(day, entry)
        if self._lines is not None:
            # Flushed, so that a killed run loses no line; synced only at the end, since after a
            # power failure the strips, which are synced, are recorded again.
            self._lines.write(text + "\n")
            self._lines.flush()

    # -----------------------------------------------------------------------------------------
    # Reading

    def _learn(self, day: date, entry: Entry) -> None:
        if before := self.entries.get(day):
            self._days[before.sha256].discard(day)
        self.entries[day] = entry
        if entry.sha256:
            self._days[entry.sha256].add(day)

    def _tidy(self) -> None:
        """Reads the manifest and, if need be, rewrites it: a whole line a day, in order."""
        last: dict[date, bytes] = {}
        count = 0
        whole = True
        with contextlib.suppress(FileNotFoundError), open_regular(self.path) as file:
            while line := file.readline(MAX_LINE):
                count += 1
                whole = line.endswith(b"\n")
                # A damaged line is dropped; the day's strip is recorded again.
                with contextlib.suppress(ValueError):
                    day, entry = read_line(line)
                    self._learn(day, entry)
                    last[day] = line.rstrip(b"\r\n")
        if self.writable and (len(last) < count or not whole):
            with replacing(self.path) as file:
                file.writelines(last[day] + b"\n" for day in sorted(last))
        self._untidy = False

    def _find_files(self) -> None:
        """Lists the strips, and removes the temporary files of killed runs.

        Raises OSError where a folder cannot be listed: its strips are not gone.
        """
        if self.writable:
            remove_abandoned(self.folder, age=0)
        for part in ("strips", "sundays"):
            place = self.folder / part
            if not os.path.lexists(place):
                continue
            for year in sorted(place.iterdir()):
                if year.exists() and not year.is_dir():  # a link may lead out of reach
                    continue
                if self.writable:
                    remove_abandoned(year, age=0)
                with os.scandir(year) as entries:
                    for entry in sorted(entries, key=lambda entry: entry.name):
                        self._find_file(part, year.name, entry)

    def _find_file(self, part: str, year: str, entry: os.DirEntry) -> None:
        stem, dot, suffix = entry.name.rpartition(".")
        try:
            day = date.fromisoformat(stem)
        except ValueError:
            return
        if dot + suffix not in SUFFIXES or str(day) != stem:
            return
        place = self._place(day, dot + suffix)
        if (part, year) != (place.parts[-3], place.parts[-2]) or not entry.is_file():
            self.strays.append(f"{part}/{year}/{entry.name}")
        # Of two for a day, such as a copy in another format, the one on record.
        elif day not in self._suffixes or (
            self.has(day) and entry.stat().st_size == self.entries[day].bytes
        ):
            self._suffixes[day] = dot + suffix

    def _place(self, day: date, suffix: str) -> Path:
        part = "sundays" if day.weekday() == 6 else "strips"
        return self.folder / part / f"{day:%Y}" / f"{day}{suffix}"
