"""Who may talk to the explorer, and what the browser may do with its answers.

The explorer has no passwords: it is safe because it listens on this machine only. A web page that
is open in the same browser must not reach it either. Such a page can send requests here (their
Origin gives it away), or make its own name point at 127.0.0.1 (DNS rebinding: the Host gives it
away), so requests with another Host or Origin are refused.
"""

from flask import Request, Response
from werkzeug.exceptions import Forbidden, UnsupportedMediaType

HOST = "127.0.0.1"  # what the server listens on

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


def check_sender(request: Request, port: int) -> None:
    """Raises Forbidden for a request that did not come from the explorer's own page, or from a
    program on this machine. `port` is what the server listens on."""
    if not allowed_host(request.host, port):
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


def allowed_host(header: str, port: int) -> bool:
    """Whether a Host header names this server. Browsers leave out port 80."""
    name, _, given = header.partition(":")
    return name.lower() in (HOST, "localhost") and (given or "80") == str(port)


def protect(response: Response) -> Response:
    response.headers.update(HEADERS)
    return response
