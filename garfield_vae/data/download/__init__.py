"""Downloads the dailies that are not there yet, politely, and keeps the record.

    python3 -m garfield_vae.data.download --help

`download` is also the first step of train_torch.py. It can be stopped at any moment, even by force:
the next run goes on where this one was. The files, in the order in which a strip passes them:

    sites/         where a day's strip lives on the web: one small class a site
    client.py      asks, politely: one request at a time, seldom, where robots.txt allows it
    connection.py  one question and its answer, bounded in time and in size
    errors.py      what asking can come to when it is no answer
    complete.py    completes a folder: `download`; crawl.py asks for a day, site by site
    manifest.py    what the folder holds, on disk and on record; record.py is a line of the record
    report.py      what it came to

Its flags are in garfield_vae/cli/download_options.py.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "Comic": "sites",
    "DownloadReport": "report",
    "download": "complete",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    """Loads a public name when asked for it: a command line is parsed without the HTTP client."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
