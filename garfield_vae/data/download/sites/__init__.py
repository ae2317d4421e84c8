"""Where a day's strip lives on the web: one small class a site.

A new site is a class here, a line in SITES, a page of the test site (tests/comic_site.py) and its
tests. A class says where the site's pages are, which hosts they may lead to, and how a day's
picture is found. Asking politely, checking pictures and keeping them is done once for all, in
client.py, crawl.py and manifest.py.
"""

from garfield_vae.data.download.sites.arcamax import ArcaMax
from garfield_vae.data.download.sites.base import GARFIELD, Comic, Site
from garfield_vae.data.download.sites.gocomics import GoComics, GoComicsService
from garfield_vae.data.download.sites.jikos import Jikos
from garfield_vae.data.download.sites.uclick import Uclick
from garfield_vae.data.download.sites.wiki import Wiki

# In the order in which they are asked: the two with the whole run, then those with the last month,
# those that answer programs first. Jikos has no pictures of its own, but at times another address.
SITES: dict[str, type[Site]] = {
    site.name: site for site in (Uclick, Wiki, ArcaMax, GoComicsService, GoComics, Jikos)
}

__all__ = ["GARFIELD", "SITES", "Comic", "Site"]
