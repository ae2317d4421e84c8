"""What the downloader's tests share: a clock that needs no time, a week of days, and a run."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from comic_site import ComicSite
from PIL import Image

from garfield_vae.cli.download_options import DownloadOptions
from garfield_vae.data.download import DownloadReport, download
from garfield_vae.data.download.client import Answer, Clock
from garfield_vae.data.download.sites import GARFIELD, Site

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
START, END = date(1985, 3, 11), date(1985, 3, 16)  # Monday to Saturday
WEEK = [date(1985, 3, day) for day in range(11, 17)]
NAMES = [f"{day}.gif" for day in WEEK]

BAD = date(1985, 3, 13)  # the day that goes wrong
BAD_PATH = "/comics/ga/1985/ga850313.gif"
WITHOUT_BAD = [name for name in NAMES if name != f"{BAD}.gif"]


class FakeClock(Clock):
    """Sleeping takes no time and is remembered; it is the 23rd of November 2026."""

    def __init__(self) -> None:
        self.now, self.naps = 0.0, []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += seconds

    def utc(self) -> datetime:
        return NOW + timedelta(seconds=self.now)


def run(
    site: ComicSite, folder: Path, *sources: str, clock: Clock | None = None, **details
) -> DownloadReport:
    """Downloads the week from uclick, unless told otherwise."""
    options = {"start": START, "end": END, "delay": 0, "base_url": site.url} | details
    options = DownloadOptions(source=sources or ("uclick",), **options)
    return download(folder, options, clock or FakeClock())


def command(site: ComicSite, data_dir: Path, *more: str) -> list[str]:
    """Arguments that download the week."""
    arguments = (
        f"--data_dir {data_dir} --base_url {site.url} --delay 0 "
        f"--start {START} --end {END} --source uclick"
    )
    return [*arguments.split(), *more]


def there(folder: Path) -> list[str]:
    """Names of the strips, each of which must decode."""
    strips = sorted(folder.glob("strips/*/*"))
    for path in strips:
        with Image.open(path) as image:
            image.load()
    return [path.name for path in strips]


def record(folder: Path) -> dict[str, dict]:
    """The manifest's lines by date."""
    lines = map(json.loads, (folder / "manifest.jsonl").read_text().splitlines())
    return {line["date"]: line for line in lines}


def given(kind: type[Site], html: str) -> Site:
    """A source whose every page is this."""
    return kind(GARFIELD, lambda address: Answer(address, html.encode()))
