"""The addresses of a day's strip: one small class a site.

A new site is a class here, a line in SITES, a page of the test site (tests/comic_site.py) and its
tests. A class knows the site's pages, the hosts that they may lead to, and how a day's picture is
found. Requests, checks and storage are the same for all: client.py, crawl.py, manifest.py.
"""

from garfield_vae.data.download.sites.arcamax import ArcaMax
from garfield_vae.data.download.sites.base import GARFIELD, Comic, Site
from garfield_vae.data.download.sites.gocomics import GoComics, GoComicsService
from garfield_vae.data.download.sites.jikos import Jikos
from garfield_vae.data.download.sites.uclick import Uclick
from garfield_vae.data.download.sites.wiki import Wiki

# In the order in which they are asked: the two with all strips, then those with the last month, the
# likeliest to answer a program first. Jikos only links to Uclick, at times by another address.
SITES: dict[str, type[Site]] = {
    site.name: site for site in (Uclick, Wiki, ArcaMax, GoComicsService, GoComics, Jikos)
}

__all__ = ["GARFIELD", "SITES", "Comic", "Site"]
