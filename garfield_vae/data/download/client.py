"""A polite HTTP client: one request at a time, with pauses, where robots.txt allows it.

A request gives an Answer or an exception of errors.py that says how to go on: Missing (the day is
not there), BadAnswer (this day failed, the next may not; NoAnswer and Forbidden are kinds of it)
or Blocked (do not ask this site again in this run).
"""

import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from random import uniform
from typing import NamedTuple
from urllib.parse import quote, urljoin, urlsplit

import requests
import urllib3
from protego import Protego
from urllib3.util import Retry

from garfield_vae.data.download.connection import (
    AGENT,
    Late,
    Response,
    Session,
    exchange,
    in_words,
    why_no_connection,
)
from garfield_vae.data.download.errors import (
    BadAnswer,
    Blocked,
    Forbidden,
    Missing,
    NoAnswer,
    Unreachable,
)

PAGE_BYTES, PICTURE_BYTES, ROBOTS_BYTES = 2 * 2**20, 16 * 2**20, 512 * 2**10
LONGEST_ADDRESS = 4096  # characters
REDIRECTS = 5
RETRIES = 3
FIRST_BACKOFF = 0.5  # seconds, at least; doubled at each retry
LONG_WAIT = 10.0  # seconds, from which a wait is announced
PATIENCE = 60.0  # seconds that a host may ask for and then fail again without being left alone
LONGEST_WAIT = 300.0  # seconds; a site that asks for more is not asked again

REFUSALS = {401, 402, 403, 407, 451}
GONE = {404, 410}
TRY_AGAIN = {408, 425, 429}  # and everything from 500

CHALLENGE = re.compile(
    rb"establishing a secure connection|data-pow\b|bunny-shield|cf-chl|verify(?:ing)? you are human"
    rb"|<title>\s*(?:just a moment|one moment|attention required|access denied|checking your brow"
    rb"ser|security check|pardon our interruption|ddos-guard|are you a (?:robot|human))",
    re.IGNORECASE,
)


class Clock:
    """Time; tests replace it."""

    monotonic = staticmethod(time.monotonic)  # seconds
    sleep = staticmethod(time.sleep)

    @staticmethod
    def utc() -> datetime:
        return datetime.now(UTC)


class Answer(NamedTuple):
    url: str  # after redirects
    body: bytes

    def absolute(self, address: str) -> str:
        """An address found on this page."""
        return _join(self.url, address)


class Client:
    """Asks sites for pages and pictures.

    base_url: asked instead of the sites' own hosts. delay: seconds between two requests to a host.
    timeout: seconds for one whole answer. say: called with a sentence when there is a long wait.
    """

    def __init__(
        self,
        base_url: str | None,
        delay: float,
        timeout: float,
        clock: Clock,
        say: Callable[[str], None],
    ):
        self._delay, self._timeout, self._clock, self._say = delay, timeout, clock, say
        self._base = urlsplit(base_url) if base_url else None
        self._robots: dict[str, Protego | Blocked] = {}
        self._pauses: dict[str, float] = {}  # host → seconds that its robots.txt asks for
        self._refused: dict[str, str] = {}  # host → why it is not asked again in this run
        self._next: dict[str, float] = {}  # host → when it may be asked again
        self._answered: set[str] = set()  # hosts
        self._offline = False  # no host could be reached so far
        self.requests = 0
        self._session = Session()

    def close(self) -> None:
        self._session.close()

    def get(self, address: str, origins: tuple[str, ...], limit: int) -> Answer:
        """The body at `address`, of at most `limit` bytes, after redirects within `origins`.

        Raises Missing, BadAnswer or Blocked, or one of their kinds.
        """
        for _ in range(REDIRECTS + 1):
            url = self._allowed(address, origins)
            host = urlsplit(address).hostname  # the site's, also where --base_url is asked
            if host in self._refused:
                raise Blocked(self._refused[host])
            try:
                self._obey_robots(url, origins)
                status, headers, body = self._ask(url, limit)
                if status in REFUSALS:
                    raise Blocked(f"{host} refuses to answer (status {status})")
                if _looks_like_a_challenge(body):
                    raise Blocked(f"{host} shows a page that asks whether we are human")
            except Blocked as refusal:  # for every site that leads to this host
                self._refused[host] = str(refusal)
                raise
            if 300 <= status < 400 and headers.get("Location"):
                address = _join(url, headers["Location"])
                continue
            if status in GONE:
                raise Missing(f"{host} has nothing there (status {status})")
            if status != 200:
                raise BadAnswer(f"{host} answered with status {status}")
            if len(body) > limit:
                raise BadAnswer(f"{host} sends more than {limit // 2**20} MiB")
            return Answer(url, body)
        raise BadAnswer(f"more than {REDIRECTS} redirects")

    # -----------------------------------------------------------------------------------------
    # Where

    def _allowed(self, address: str, origins: tuple[str, ...]) -> str:
        """`address` built anew from its checked parts, on --base_url's host if it is given.

        By https, except for hosts that `origins` names with http.
        """
        if len(address) > LONGEST_ADDRESS:
            raise BadAnswer(f"an address of {len(address):,} characters")
        try:
            parts = urlsplit(address)
            host, port = parts.hostname, parts.port
            path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
            path += "?" + quote(parts.query, safe="/%:@!$&'()*+,;=~-._?") if parts.query else ""
        except ValueError as error:  # half a surrogate pair, for example
            raise BadAnswer(f"{address!r} is no address") from error
        if parts.scheme not in ("http", "https") or parts.username is not None or not host:
            raise BadAnswer(f"{address!r} is no web address")
        default = {"http": 80, "https": 443}
        port = port or default[parts.scheme]
        base = self._base
        if base and host == base.hostname and port == (base.port or default[base.scheme]):
            return f"{base.scheme}://{base.netloc}{path}"
        known = host in {urlsplit(origin).hostname for origin in origins}
        if not known or port != default[parts.scheme]:
            raise BadAnswer(f"{host}:{port} is not among the hosts of this source")
        if base:
            return f"{base.scheme}://{base.netloc}{base.path.rstrip('/')}{path}"
        plain = parts.scheme == "http" and f"http://{host}" in origins
        return f"{'http' if plain else 'https'}://{host}{path}"

    def _obey_robots(self, url: str, origins: tuple[str, ...]) -> None:
        parts = urlsplit(url)
        host = parts.netloc
        if host not in self._robots:
            try:
                self._robots[host] = robots = self._read_robots(url, origins)
                self._pauses[host] = pause = robots.crawl_delay(AGENT) or 0.0
                if LONG_WAIT <= pause <= LONGEST_WAIT:
                    self._say(f"{host} asks for {pause:g} s between two requests, which is obeyed.")
            except Unreachable as refusal:
                self._robots[host] = refusal
            except (BadAnswer, Blocked) as refusal:
                self._robots[host] = Blocked(f"the robots.txt of {host} cannot be read: {refusal}")
        robots = self._robots[host]
        if isinstance(robots, Blocked):
            raise type(robots)(*robots.args)
        if self._pauses[host] > LONGEST_WAIT:
            raise Blocked(f"{host} asks for {self._pauses[host]:g} s between two requests")
        if not robots.can_fetch(url, AGENT):
            raise Forbidden(f"the robots.txt of {host} forbids {parts.path}")

    def _read_robots(self, url: str, origins: tuple[str, ...]) -> Protego:
        """RFC 9309: no file means no rules, and a server that fails means that all is forbidden."""
        address = _join(url, "/robots.txt")
        for _ in range(REDIRECTS + 1):
            status, headers, body = self._ask(address, ROBOTS_BYTES)
            if not (300 <= status < 400 and headers.get("Location")):
                break
            try:
                address = self._allowed(_join(address, headers["Location"]), origins)
            except BadAnswer:
                return Protego.parse("")
        if status in REFUSALS or _looks_like_a_challenge(body):
            raise Blocked("it is refused")
        return Protego.parse(body.decode("utf-8-sig", "replace") if status == 200 else "")

    # -----------------------------------------------------------------------------------------
    # When

    def _ask(self, url: str, limit: int) -> Response:
        """One request with its retries: at most `limit` + 1 bytes of body."""
        host = urlsplit(url).netloc
        # Not mounted in the session: a 503 can be a challenge page, which must not be retried.
        retry = Retry(
            RETRIES,
            backoff_factor=max(FIRST_BACKOFF, self._delay),
            backoff_jitter=FIRST_BACKOFF,
            backoff_max=LONGEST_WAIT,
        )
        while True:
            self._wait_for_turn(host)
            asked_for = 0.0
            try:
                status, headers, body = self._request(url, limit)
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                problem = in_words(error)
                if host not in self._answered and (why := why_no_connection(error)):
                    self._once_more(host, why, first=retry.total == RETRIES)
            else:
                self._answered.add(host)
                self._offline = False
                failed = status in TRY_AGAIN or status >= 500
                if not failed or _looks_like_a_challenge(body):
                    return status, headers, body
                problem = f"status {status}"
                asked_for = _retry_after(retry, headers)
                if asked_for > LONGEST_WAIT:
                    raise Blocked(f"{host} asks to be left alone for over {LONGEST_WAIT:.0f} s")
            if not retry.total:
                break
            retry = retry.increment("GET", url)
            first = FIRST_BACKOFF * uniform(1, 1.25)  # Retry's own is 0 before the first retry
            wait = max(asked_for, first, retry.get_backoff_time())
            if wait > LONG_WAIT:
                self._say(f"{host}: waiting {wait:.0f} s after {problem}.")
            self._clock.sleep(wait)
        problem = f"{host} failed {RETRIES + 1} times in a row, the last time with {problem}"
        if asked_for >= PATIENCE:  # minutes for each day would be hours for nothing
            raise Blocked(f"{problem}, though it was given the time that it asked for")
        raise NoAnswer(problem)

    def _once_more(self, host: str, why: str, first: bool) -> None:
        """Lets a host that never answered be tried once more, then raises Unreachable.

        On a machine that is offline only the first host is tried twice.
        """
        problem = f"{host} cannot be reached ({why})"
        if first and not self._offline:
            self._say(f"{problem}; trying once more.")
            return
        if not (self._answered or self._offline or self._base):
            problem += ": is this machine online?"
        self._offline = not self._answered
        raise Unreachable(problem)

    def _wait_for_turn(self, host: str) -> None:
        pause = self._next.get(host, 0.0) - self._clock.monotonic()
        if pause > 0:
            self._clock.sleep(pause)

    def _request(self, url: str, limit: int) -> Response:
        host = urlsplit(url).netloc
        self.requests += 1
        try:
            return exchange(self._session, url, limit, self._timeout)
        except Late:
            self._session = Session()  # the other may still be waiting
            raise NoAnswer(
                f"{host} had not answered completely after {self._timeout:g} s"
            ) from None
        finally:
            pause = max(self._delay * uniform(1, 1.5), self._pauses.get(host, 0.0))
            self._next[host] = self._clock.monotonic() + pause


# ---------------------------------------------------------------------------------------------
# What an answer says


def _retry_after(retry: Retry, headers: Mapping[str, str]) -> float:
    """The seconds that the header asks for, 0 where it is missing or invalid."""
    try:
        return retry.parse_retry_after(headers.get("Retry-After", "")[:40])
    except (urllib3.exceptions.InvalidHeader, ValueError, OverflowError):
        return 0.0


def _looks_like_a_challenge(body: bytes) -> bool:
    """Whether it is a page by which a site keeps robots out."""
    # A zero byte near the beginning: a picture.
    return b"\0" not in body[:64] and CHALLENGE.search(body, 0, 65536) is not None


def _join(base: str, address: str) -> str:
    try:
        return urljoin(base, address.strip())
    except ValueError:
        return address  # which `_allowed` will refuse
