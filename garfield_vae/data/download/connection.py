"""One request to a web server and its response, bounded in time and in size."""

import errno
import queue
import socket
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests

from garfield_vae import __version__
from garfield_vae.data.download.errors import BadAnswer
from garfield_vae.util.console import printable

AGENT = "garfield-vae"
HEADERS = {
    "User-Agent": f"{AGENT}/{__version__} (keeps strips for its user's own machine)",
    "Accept-Encoding": "identity",
    "Accept": "*/*",
}
SILENCE = 10.0  # seconds without a byte, or until a connection stands
NO_ROUTE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN}

Response = tuple[int, Mapping[str, str], bytes]  # status, headers, body


class Session(requests.Session):
    """Sends no cookies, uses no proxies, and leaves redirects to the client, which checks them."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        self.headers = requests.structures.CaseInsensitiveDict(HEADERS)
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def get_redirect_target(self, _: requests.Response) -> None:
        """None, or requests would read a redirect's body, however long."""


class Late(Exception):
    """The time for an answer is up."""


def exchange(session: requests.Session, url: str, limit: int, seconds: float) -> Response:
    """The answer to a GET, with at most `limit` + 1 bytes of its body.

    Raises Late when it is not complete after `seconds`; what `requests` and urllib3 raise for a
    broken connection; BadAnswer for a body that cannot be unpacked.
    """
    return _within(seconds, partial(_exchange, session, url, limit))


def _within(seconds: float, work: Callable[[float], Any]) -> Any:
    """What `work`, given its deadline, returns or raises. Raises Late when it misses the deadline.

    A socket's time-out bounds only the wait for the next byte. So the work has a thread of its own,
    which is abandoned at the deadline and ends between two chunks.
    """
    outcome: queue.SimpleQueue = queue.SimpleQueue()
    end = time.monotonic() + seconds

    def run() -> None:
        try:
            outcome.put((work(end), None))
        except BaseException as error:
            outcome.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        result, error = outcome.get(timeout=seconds)
    except queue.Empty:
        raise Late from None
    if error is not None:
        raise error
    return result


def _exchange(session: requests.Session, url: str, limit: int, end: float) -> Response:
    silence = max(0.01, min(SILENCE, end - time.monotonic()))
    with session.get(url, stream=True, allow_redirects=False, timeout=silence) as response:
        return response.status_code, response.headers, _read(response, limit, end)


def _read(response: requests.Response, limit: int, end: float) -> bytes:
    """At most `limit` + 1 bytes of the body, unpacked here, since a small gzip can be huge."""
    packing = response.headers.get("Content-Encoding", "").strip().lower()
    if packing not in ("", "identity", "gzip", "x-gzip", "deflate"):
        raise BadAnswer(f"the answer is packed as {packing!r}, which nobody asked for")
    unpacker = zlib.decompressobj(wbits=47) if packing not in ("", "identity") else None
    body = bytearray()
    while chunk := response.raw.read1(65536, decode_content=False):
        try:
            body += unpacker.decompress(chunk, limit + 1 - len(body)) if unpacker else chunk
        except zlib.error as error:
            raise BadAnswer(f"the answer cannot be unpacked ({error})") from error
        if len(body) > limit:
            return bytes(body[: limit + 1])
        if time.monotonic() > end:
            raise Late
    if unpacker and not unpacker.eof:
        raise requests.ConnectionError("the packed answer ended early")
    return bytes(body)


def why_no_connection(error: Exception) -> str:
    """Why no connection could be made, empty when one was."""
    cause = _cause(error)
    if isinstance(cause, socket.gaierror):
        return "its name does not resolve"
    if isinstance(cause, ConnectionRefusedError):
        return "it refuses the connection"
    if isinstance(cause, OSError) and cause.errno in NO_ROUTE:
        return "there is no route to it"
    return "it does not answer" if isinstance(error, requests.ConnectTimeout) else ""


def in_words(error: Exception) -> str:
    cause = _cause(error)
    return printable(f"{type(cause).__name__}: {cause}" if str(cause) else type(cause).__name__)


def _cause(error: BaseException) -> BaseException:
    """The innermost cause, without the layers that the libraries wrap around it."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__
    return error
