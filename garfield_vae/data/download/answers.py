"""What asking a site can come to: an answer, or one of the ways in which there is none."""

import re
from typing import NamedTuple
from urllib.parse import urljoin

CHALLENGE = re.compile(
    rb"establishing a secure connection|data-pow\b|bunny-shield|cf-chl|verify(?:ing)? you are human"
    rb"|<title>\s*(?:just a moment|one moment|attention required|access denied|checking your brow"
    rb"ser|security check|pardon our interruption|ddos-guard|are you a (?:robot|human))",
    re.IGNORECASE,
)


class Missing(Exception):
    """The site has nothing for this day."""


class BadAnswer(Exception):
    """What came is not this day's strip; says why in one clause."""


class NoAnswer(BadAnswer):
    """The site itself failed: faults in the connection, 5xx or 429 to the last retry."""


class Forbidden(BadAnswer):
    """The site's robots.txt forbids this address."""


class Blocked(Exception):
    """The site does not want us now, which is obeyed: it is left alone for this run."""


class Unreachable(Blocked):
    """No connection to the site comes about."""


class Answer(NamedTuple):
    url: str  # where it came from in the end
    body: bytes

    def absolute(self, address: str) -> str:
        """An address found on this page."""
        return join(self.url, address)


def join(base: str, address: str) -> str:
    try:
        return urljoin(base, address.strip())
    except ValueError:
        return address  # which Client will refuse


def looks_like_a_challenge(body: bytes) -> bool:
    """True for the page that a site shows to what it takes for a robot."""
    # A zero byte near the beginning is a picture's.
    return b"\0" not in body[:64] and CHALLENGE.search(body, 0, 65536) is not None
