"""Downloads the dailies that are not there yet, politely, and keeps the record.

    python3 -m garfield_vae.data.download --help

`download` is also the first step of train_torch.py. It can be stopped at any moment, even by force:
the next run goes on where this one was. The files, in the order of their story:

    options.py     what is wanted, and the flags that say it
    sources.py     where a day's strip lives on the web: one small class a site
    answers.py     what asking a site can come to
    robots.py      what a site allows
    guard.py       connections that go only where they may
    faults.py      what went wrong with a connection, in words
    client.py      asks, politely: one request at a time, seldom, with patience
    lock.py        one run at a time in a folder
    manifest.py    what the folder holds, on disk and on record
    crawl.py       a day is asked for at one source after the other until one has it
    folder.py      completes a folder: `download`
    report.py      what it came to
    command.py     the command

Connections are made directly: proxies that the environment names are not used, because the guard
must see the address that is really reached.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "Comic": "sources",
    "DownloadOptions": "options",
    "DownloadReport": "report",
    "add_download_arguments": "options",
    "download": "folder",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    """Loads a public name when it is asked for, so that the command can be stopped as it loads."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
