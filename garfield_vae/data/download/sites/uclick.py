"""picayune.uclick.com, the syndicate's archive, which reaches back to the first strip."""

from collections.abc import Mapping
from datetime import date

from garfield_vae.data.download.sites.base import Comic, Site

CODES: Mapping[str, str] = {"garfield": "ga"}  # the archive's own short names


class Uclick(Site):
    """The address says the day."""

    name = "uclick"
    origins = ("https://picayune.uclick.com",)
    named_by_day = True

    @classmethod
    def has(cls, comic: Comic) -> bool:
        return comic.slug in CODES

    def pictures(self, day: date) -> list[str]:
        code = CODES[self.comic.slug]
        address = f"{self.home}/comics/{code}/{day:%Y}/{code}{day:%y%m%d}"
        return [f"{address}.gif", f"{address}.jpg"] if day.weekday() == 6 else [f"{address}.gif"]
