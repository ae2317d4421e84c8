"""Pages that took a parser from seconds to minutes, or hide what they seem to show."""

from datetime import date

import pytest
from comic_site import ComicSite
from downloading import given

from garfield_vae.data.download.errors import BadAnswer, Missing
from garfield_vae.data.download.sites import SITES
from garfield_vae.data.download.sites.jikos import Jikos

DAY = date(1985, 3, 12)


@pytest.mark.parametrize(
    "page",
    [
        f'<link rel="canonical" href="{"/garfield/1985/03/12?" * 4000}">',
        f'<script type="application/ld+json">[{",".join("0" * 200_000)}]</script>',
        f"<td>12/3/1985{'<img>' * 2_000}</td>",
        f'<script type="application/ld+json">{"9" * 2_000_000}</script>',
        '<img alt="Garfield for 3/12/1985" src="/x">' * 40_000,
        '<script type="application/ld+json">{}</script>' * 40_000,
        *("<!--" * 500_000, "<![" * 600_000, "<td>" * 500_000, "<img a='" * 250_000),
        ("<script " + "ld+json" * 560 + "<") * 500,
        *("&" * 2_000_000, "<td " + "a " * 1900 + ">" * 500),
    ],
    ids=lambda page: page[:12],
)
def test_two_megabytes_that_are_slow_to_parse_are_no_strip(page):
    for name in SITES.keys() - {"uclick"}:  # which has no pages
        with pytest.raises((BadAnswer, Missing)):
            given(SITES[name], page).pictures(DAY)


def test_what_stands_in_a_comment_is_not_on_the_page():
    with ComicSite() as site:
        page = site.month_page(1985, 3)
    with pytest.raises(BadAnswer):
        given(Jikos, f"<!-- {page} -->").pictures(DAY)
    assert given(Jikos, f"<!-- x -->{page}<!-- <!-- -->").pictures(DAY)
