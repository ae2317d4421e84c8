"""Who may talk to the explorer, and what the browser may do with its answers.

The explorer has no passwords: it is safe because it listens on this machine only. A web page that
is open in the same browser must not reach it either. Such a page can send requests here (their
Origin gives it away), or make its own name point at 127.0.0.1 (DNS rebinding: the Host gives it
away), so requests with another Host or Origin are refused.
"""

import ipaddress
import socket

from flask import Request, Response
from werkzeug.exceptions import Forbidden, UnsupportedMediaType

WILDCARDS = ("0.0.0.0", "::")
LOCAL = ("127.0.0.1", "localhost", "::1")

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def check_sender(request: Request, host: str, port: int) -> None:
    """Raises Forbidden for a request that did not come from the explorer's own page, or from a
    program on this machine. `host` and `port` are what the server listens on."""
    if not allowed_host(request.host, host, port):
        raise Forbidden(
            f"the address {request.host[:80]!r} is not the explorer's: open the one it printed"
        )
    origin = request.headers.get("Origin")
    if origin is not None and origin != f"http://{request.host}":
        raise Forbidden("another page's request is refused")
    # An image or script that another page asks for has no Origin, but says where it comes from;
    # following a link to the page itself is welcome.
    site = request.headers.get("Sec-Fetch-Site", "none")
    if site not in ("same-origin", "none") and request.path != "/":
        raise Forbidden("another page's request is refused")
    if request.method not in ("GET", "HEAD", "OPTIONS") and not (
        request.is_json or request.mimetype == "application/octet-stream"
    ):
        raise UnsupportedMediaType("send application/json, or a picture as octet-stream")


def allowed_host(header: str, host: str, port: int) -> bool:
    """Whether a Host header names this server: the address it was told to listen on, the names of
    this machine for itself, or, when it listens on all addresses, any bare address (a name that
    was made to point here cannot be one)."""
    name, colon, given_port = header.rpartition(":")
    if not colon or name.endswith(":"):  # no port given: browsers leave out 80
        name, given_port = header, "80"
    name = name.strip("[]").lower()
    if given_port != str(port):
        return False
    if name == host.lower() or (name in LOCAL and host in (*LOCAL, *WILDCARDS)):
        return True
    return host in WILDCARDS and (is_address(name) or name == socket.gethostname().lower())


def is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def protect(response: Response) -> Response:
    response.headers.update(HEADERS)
    return response
