"""The exceptions of a failed request, raised by sites and client, handled by crawl.py."""

from garfield_vae.util.console import printable


class Trouble(Exception):
    """Its text, which may quote the site, is shortened and made printable."""

    def __init__(self, text: str = ""):
        super().__init__(printable(text))


class Missing(Trouble):
    """The site has nothing for this day."""


class BadAnswer(Trouble):
    """The answer is not this day's strip; the text says why in one clause."""


class SamePicture(BadAnswer):
    """The answer is the strip of another day, too."""


class NoAnswer(BadAnswer):
    """The site itself failed: connections broke, or it answered 5xx or 429 to the last retry."""


class Forbidden(BadAnswer):
    """The site's robots.txt forbids this address."""


class Blocked(Trouble):
    """The site refuses: it is not asked again in this run."""


class Unreachable(Blocked):
    """No connection to the site can be made."""
