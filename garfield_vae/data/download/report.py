"""The report of a download: counts by year and source, failures, how to go on."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from garfield_vae.data.download.record import NOT_ASKED, Entry

LISTED = 10
STATES = ("missing", "error", "blocked", NOT_ASKED)
BY_HAND = """\
If you have the strips from elsewhere, name each file by its day, such as 1985-03-12.gif,
ga850312.gif or Garfield_19850312.jpg, in a folder DIR of any layout, and train on them with
python3 train_torch.py --source folder --data_dir DIR"""


@dataclass
class DownloadReport:
    """`str` gives the table and its sentences."""

    folder: Path
    wanted: int  # days that were asked for on the command line
    min_share: float
    counts: Counter[tuple[int, str]] = field(default_factory=Counter)  # (year, column) → days
    fetched: int = 0  # strips that this run added
    requests: int = 0
    seconds: float = 0.0
    interrupted: bool = False  # by Ctrl-C
    read_only: bool = False  # the folder cannot be written, so nothing was asked for
    ended: dict[str, str] = field(default_factory=dict)  # source → why it was given up
    problems: dict[date, str] = field(default_factory=dict)  # the first days that failed, and why
    missing: list[date] = field(default_factory=list)  # the first days that no source has

    def count(self, days: Sequence[date], entries: Mapping[date, Entry]) -> None:
        """Counts the wanted days by their record."""
        for day in days:
            column = entries[day].column if day in entries else NOT_ASKED
            self.counts[day.year, column] += 1
            if column == "missing" and len(self.missing) < LISTED:
                self.missing.append(day)

    def total(self, column: str) -> int:
        return sum(count for (_, name), count in self.counts.items() if name == column)

    @property
    def there(self) -> int:
        """Wanted days whose strip is on disk."""
        return self.wanted - sum(map(self.total, STATES))

    @property
    def enough(self) -> bool:
        return self.there >= self.min_share * self.wanted

    def __str__(self) -> str:
        return "\n".join([*self._table(), "", *self._sentences()])

    def _table(self) -> list[str]:
        names = {name for _, name in self.counts}
        columns = [*sorted(names.difference(STATES)), *(name for name in STATES if name in names)]
        rows = [["year", *columns]]
        for year in sorted({year for year, _ in self.counts}):
            rows.append([str(year), *(str(self.counts[year, name]) for name in columns)])
        rows.append(["all", *(str(self.total(name)) for name in columns)])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return [
            "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
            for row in rows
        ]

    def _sentences(self) -> list[str]:
        lines = [
            f"{self.there} of {self.wanted} days are in {self.folder}; this run added "
            f"{self.fetched} with {self.requests} requests in {self.seconds:.0f} s."
        ]
        if self.read_only:
            lines.append("The folder cannot be written, so no site was asked for the rest.")
        if self.ended:  # each reason was said when it came up
            lines.append(f"Left alone, as said above: {', '.join(self.ended)}.")
        lines += [f"{day} failed: {reason}" for day, reason in self.problems.items()]
        more = self.total("error") - len(self.problems)
        if self.problems and more > 0:
            lines.append(f"{more} more days failed; manifest.jsonl says why.")
        if self.missing:
            more = self.total("missing") - len(self.missing)
            days = ", ".join(map(str, self.missing)) + (f" and {more} more" if more else "")
            lines.append(f"No source has {days}; --retry_missing asks for them again.")
        if self.interrupted:
            lines.append("Interrupted; nothing is lost: the same command goes on from here.")
        elif self.there + self.total("missing") < self.wanted and not self.read_only:
            lines.append("The same command again asks for what failed or was not asked.")
        if not self.enough and not self.interrupted:
            lines.append(f"That is less than the share that --min_share asks ({self.min_share:g}).")
            lines.append(BY_HAND)
        return lines
