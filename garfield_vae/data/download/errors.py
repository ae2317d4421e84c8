"""What asking a site can come to when it is no answer: the exceptions between sites and crawl."""

from garfield_vae.util.console import printable


class Trouble(Exception):
    """Something that a site said or did. Its text quotes the site shortened and printable."""

    def __init__(self, text: str = ""):
        super().__init__(printable(text))


class Missing(Trouble):
    """The site has nothing for this day."""


class BadAnswer(Trouble):
    """What came is not this day's strip; says why in one clause."""


class SamePicture(BadAnswer):
    """What came stands under another day already."""


class NoAnswer(BadAnswer):
    """The site itself failed: connections broke, or it answered 5xx or 429 to the last retry."""


class Forbidden(BadAnswer):
    """The site's robots.txt forbids this address."""


class Blocked(Trouble):
    """The site refuses, which is obeyed: it is left alone for this run."""


class Unreachable(Blocked):
    """No connection to the site can be made."""
