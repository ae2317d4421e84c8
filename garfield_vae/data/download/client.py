"""A polite and careful HTTP client: one request at a time, seldom, where robots.txt allows it.

What comes back is an Answer or an exception that says how to go on: Missing (the day is not there),
BadAnswer (this day failed, the next may not; NoAnswer and Forbidden are kinds of it) and Blocked
(leave this site alone for the rest of the run).
"""

import time
import zlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from random import uniform
from urllib.parse import quote, urlsplit

import requests
import urllib3

from garfield_vae import __version__
from garfield_vae.data.download.answers import (
    Answer,
    BadAnswer,
    Blocked,
    Forbidden,
    Missing,
    NoAnswer,
    Unreachable,
    join,
    looks_like_a_challenge,
)
from garfield_vae.data.download.faults import in_words, why_no_connection
from garfield_vae.data.download.guard import GuardedAdapter, PrivateAddress, is_this_machine
from garfield_vae.data.download.robots import Robots
from garfield_vae.util.errors import UserError

AGENT = "garfield-vae"
HEADERS = {
    "User-Agent": f"{AGENT}/{__version__} (keeps strips for its user's own machine)",
    "Accept-Encoding": "identity",
    "Accept": "*/*",
}

PAGE_BYTES, PICTURE_BYTES, ROBOTS_BYTES = 2 * 2**20, 16 * 2**20, 512 * 2**10
REDIRECTS = 5
RETRIES = 3
SHORTEST_DELAY = 0.5  # seconds between two requests to a site that is not on this machine
FIRST_BACKOFF = 0.5  # seconds, at least; doubled at each retry
LONG_WAIT = 10.0  # seconds; not without a word
LONGEST_WAIT = 300.0  # seconds; a site that asks for more is left alone instead
SILENCE = 10.0  # seconds without a byte, or until a connection stands

REFUSALS = {401, 402, 403, 407, 451}
GONE = {404, 410}
TRY_AGAIN = {408, 425, 429}  # and everything from 500


class Clock:
    """Time, which tests replace so that they need not wait."""

    monotonic = staticmethod(time.monotonic)  # seconds
    sleep = staticmethod(time.sleep)

    @staticmethod
    def utc() -> datetime:
        return datetime.now(UTC)


class Client:
    """Asks sites for pages and pictures.

    base_url: sends every request to this address instead of the site's own host, and lets that
    host be a private one. delay: seconds between two requests to a host. timeout: seconds for one
    whole answer. say: called with a sentence when there is a long wait.
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
        if delay < SHORTEST_DELAY and not (self._base and is_this_machine(self._base.hostname)):
            raise UserError(
                f"--delay {delay:g} is too hasty for a site of somebody else's: "
                f"give at least {SHORTEST_DELAY:g} seconds."
            )
        self._robots: dict[str, Robots | Blocked] = {}
        self._refused: dict[str, str] = {}  # host → why it is not asked again in this run
        self._next: dict[str, float] = {}  # host → when it may be asked again
        self._answered: set[str] = set()  # hosts
        self._offline = False  # no host could be reached so far
        self.requests = 0
        self._adapter = GuardedAdapter(frozenset({self._base.hostname} if self._base else ()))

    def close(self) -> None:
        self._adapter.close()

    def get(self, address: str, hosts: tuple[str, ...], limit: int) -> Answer:
        """The body at `address`, of at most `limit` bytes, after redirects within `hosts`.

        Raises Missing, BadAnswer or Blocked, or one of their kinds.
        """
        for _ in range(REDIRECTS + 1):
            url = self._allowed(address, hosts)
            host = urlsplit(address).hostname  # its own name, even when --base_url stands for it
            if host in self._refused:
                raise Blocked(self._refused[host])
            try:
                self._obey_robots(url, hosts)
                status, headers, body = self._ask(url, limit)
                if status in REFUSALS:
                    raise Blocked(f"{host} refuses to answer (status {status})")
                if looks_like_a_challenge(body):
                    raise Blocked(f"{host} shows a page that asks whether we are human")
            except Blocked as refusal:  # nor may another source that leads to the same host
                self._refused[host] = str(refusal)
                raise
            if 300 <= status < 400 and headers.get("Location"):
                address = join(url, headers["Location"])
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

    def _allowed(self, address: str, hosts: tuple[str, ...]) -> str:
        """`address` put together anew from its checked parts, and sent to --base_url if given."""
        try:
            parts = urlsplit(address)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise BadAnswer(f"{address!r} is no address") from error
        if parts.scheme not in ("http", "https") or parts.username is not None or not host:
            raise BadAnswer(f"{address!r} is no web address")
        path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
        path += "?" + quote(parts.query, safe="/%:@!$&'()*+,;=~-._?") if parts.query else ""
        default = {"http": 80, "https": 443}
        port = port or default[parts.scheme]
        base = self._base
        if base and host == base.hostname and port == (base.port or default[base.scheme]):
            return f"{base.scheme}://{base.netloc}{path}"
        if host not in hosts or port != default[parts.scheme]:
            raise BadAnswer(f"{host}:{port} is not among the hosts of this source")
        if base:
            return f"{base.scheme}://{base.netloc}{base.path.rstrip('/')}{path}"
        return f"{parts.scheme}://{host}{path}"

    def _obey_robots(self, url: str, hosts: tuple[str, ...]) -> None:
        parts = urlsplit(url)
        if parts.netloc not in self._robots:
            try:
                self._robots[parts.netloc] = self._read_robots(
                    f"{parts.scheme}://{parts.netloc}/robots.txt", hosts
                )
            except Unreachable as refusal:
                self._robots[parts.netloc] = refusal
            except (BadAnswer, Blocked) as refusal:
                self._robots[parts.netloc] = Blocked(
                    f"the robots.txt of {parts.netloc} cannot be read: {refusal}"
                )
        robots = self._robots[parts.netloc]
        if isinstance(robots, Blocked):
            raise type(robots)(*robots.args)
        if robots.crawl_delay > LONGEST_WAIT:
            raise Blocked(f"{parts.netloc} asks for {robots.crawl_delay:g} s between two requests")
        if not robots.allows(f"{parts.path}?{parts.query}" if parts.query else parts.path):
            raise Forbidden(f"the robots.txt of {parts.netloc} forbids {parts.path}")

    def _read_robots(self, address: str, hosts: tuple[str, ...]) -> Robots:
        """RFC 9309: no file means no rules, and a server that fails means that all is forbidden."""
        for _ in range(REDIRECTS + 1):
            status, headers, body = self._ask(address, ROBOTS_BYTES)
            if not (300 <= status < 400 and headers.get("Location")):
                break
            try:
                address = self._allowed(join(address, headers["Location"]), hosts)
            except BadAnswer:
                return Robots("", AGENT)
        if status in REFUSALS or looks_like_a_challenge(body):
            raise Blocked("it is refused")
        return Robots(body.decode("utf-8", "replace") if status == 200 else "", AGENT)

    # -----------------------------------------------------------------------------------------
    # When

    def _ask(self, url: str, limit: int) -> tuple[int, Mapping[str, str], bytes]:
        """One question with its retries: status, headers and at most `limit` + 1 bytes of body."""
        host = urlsplit(url).netloc
        backoff = max(FIRST_BACKOFF, self._delay)
        for retry in range(RETRIES + 1):
            self._wait_for_turn(host)
            asked_for = 0.0
            try:
                status, headers, body = self._request(url, limit)
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                problem = in_words(error)
                if host not in self._answered and (why := why_no_connection(error)):
                    self._once_more(host, why, retry)
            else:
                self._answered.add(host)
                self._offline = False
                failed = status in TRY_AGAIN or status >= 500
                if not failed or looks_like_a_challenge(body):
                    return status, headers, body
                problem = f"status {status}"
                asked_for = self._retry_after(headers)
                if asked_for > LONGEST_WAIT:
                    raise Blocked(f"{host} asks to be left alone for {asked_for:.0f} s")
            if retry < RETRIES:
                wait = max(asked_for, backoff * 2**retry * uniform(1, 1.25))
                if wait > LONG_WAIT:
                    self._say(f"{host}: waiting {wait:.0f} s after {problem}.")
                self._clock.sleep(wait)
        raise NoAnswer(f"{host} failed {RETRIES + 1} times in a row, the last time with {problem}")

    def _once_more(self, host: str, why: str, retry: int) -> None:
        """Says that a host which never answered is tried again, and raises Unreachable after that.

        On a machine that is offline only the first host is tried twice.
        """
        problem = f"{host} cannot be reached ({why})"
        if not retry and not self._offline:
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

    def _request(self, url: str, limit: int) -> tuple[int, Mapping[str, str], bytes]:
        host = urlsplit(url).netloc
        request = requests.Request("GET", url, headers=HEADERS).prepare()
        self.requests += 1
        try:
            with self._adapter.deadline(self._timeout) as late:
                # The adapter itself, not a Session: that would read a redirect's body without
                # limit, follow the environment's proxies past our address check, keep cookies.
                silence = min(SILENCE, self._timeout)
                with self._adapter.send(request, stream=True, timeout=silence) as response:
                    body = _read(response, limit)
        except PrivateAddress as refusal:
            raise Blocked(str(refusal)) from refusal
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError):
            if not late.is_set():
                raise
        finally:
            robots = self._robots.get(host)
            pause = self._delay * uniform(1, 1.5)
            if isinstance(robots, Robots):
                pause = max(pause, robots.crawl_delay)
            self._next[host] = self._clock.monotonic() + pause
        if late.is_set():
            raise NoAnswer(f"{host} had not answered completely after {self._timeout:g} s")
        return response.status_code, response.headers, body

    def _retry_after(self, headers: Mapping[str, str]) -> float:
        """Seconds that the header asks for, 0 where it is missing or makes no sense."""
        value = headers.get("Retry-After", "").strip()
        if value.isascii() and value.isdecimal():
            return float(value[:12])
        try:
            until = parsedate_to_datetime(value)
            return (until.replace(tzinfo=until.tzinfo or UTC) - self._clock.utc()).total_seconds()
        except (TypeError, ValueError, OverflowError):
            return 0.0


def _read(response: requests.Response, limit: int) -> bytes:
    """At most `limit` + 1 bytes of the body. Unpacks by itself, since a small gzip can be huge."""
    packing = response.headers.get("Content-Encoding", "").strip().lower()
    if packing not in ("", "identity", "gzip", "x-gzip", "deflate"):
        raise BadAnswer(f"the answer is packed as {packing!r}, which nobody asked for")
    unpacker = zlib.decompressobj(wbits=47) if packing not in ("", "identity") else None
    body = bytearray()
    for chunk in response.raw.stream(65536, decode_content=False):
        try:
            body += unpacker.decompress(chunk, limit + 1 - len(body)) if unpacker else chunk
        except zlib.error as error:
            raise BadAnswer(f"the answer cannot be unpacked ({error})") from error
        if len(body) > limit:
            return bytes(body[: limit + 1])
    if unpacker and not unpacker.eof:
        raise requests.ConnectionError("the packed answer ended early")
    return bytes(body)
