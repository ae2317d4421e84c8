"""Fixtures of the downloader's tests: a site on this machine, and what asks it."""

from collections.abc import Callable, Iterator

import pytest
from comic_site import ComicSite
from downloading import FakeClock

from garfield_vae.data.download.client import Client
from garfield_vae.data.download.sites import GARFIELD


@pytest.fixture
def site() -> Iterator[ComicSite]:
    with ComicSite() as site:
        yield site


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def client(site, clock) -> Iterator[Client]:
    client = Client(site.url, delay=0, timeout=20, clock=clock, say=print)
    yield client
    client.close()


@pytest.fixture
def source(client) -> Callable:
    """Makes a source that asks the test site."""

    def make(kind, comic=GARFIELD):
        return kind(comic, lambda address: client.get(address, kind.origins, 1_000_000))

    return make
