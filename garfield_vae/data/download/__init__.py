"""Downloads the dailies that are missing, politely, and records each.

    python3 -m garfield_vae.data.download --help

`download` is also the first step of train_torch.py. It can be killed at any moment: the next run
goes on from there. The files:

    sites/         the addresses of a day's strip: one small class a site
    client.py      a polite HTTP client: one request at a time, where robots.txt allows it
    connection.py  one request and its response, bounded in time and in size
    errors.py      the exceptions of a failed request
    crawl.py       asks for a day, site by site
    complete.py    completes a folder: `download`
    manifest.py    the strips of a folder and their record; record.py reads a line of it
    report.py      counts, failures, and how to go on

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
    """Loads a public name on first use: a command line is parsed without the HTTP client."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
