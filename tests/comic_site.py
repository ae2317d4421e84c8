"""A web site on 127.0.0.1 that imitates six comic sites, with drawn strips, and fails on request.

    with ComicSite() as site:
        site.fail("/comics/ga/1985/ga850312.gif", forbidden)
        download(folder, DownloadOptions(base_url=site.url, delay=0, ...))
        assert site.log == [...]

A fault is a function that answers one request in its own way. By itself, for benchmarks:
python tests/comic_site.py prints its address and serves until its standard input closes.
"""

import gzip
import hashlib
import io
import json
import re
import socket
import struct
import sys
import threading
import zlib
from collections.abc import Callable
from datetime import date, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from urllib.parse import parse_qs

from PIL import Image

from garfield_vae.data.drawn import draw_strip

FIRST, TODAY = date(1978, 6, 19), date(2026, 11, 23)


@cache
def _gif() -> bytes:
    file = io.BytesIO()
    draw_strip(0, FIRST)[0].save(file, "GIF")
    return file.getvalue()


@cache
def picture(day: date) -> bytes:
    """A strip that no other day has."""
    file = io.BytesIO()
    draw_strip(0, day)[0].save(file, "GIF")
    return file.getvalue()


def cmyk_jpeg(day: date) -> bytes:
    """As arcamax serves them: CMYK, with a large colour profile."""
    file = io.BytesIO()
    image = Image.open(io.BytesIO(_gif())).convert("RGB").convert("CMYK")
    image.save(file, "JPEG", icc_profile=bytes(500_000), comment=f"{day}")
    return file.getvalue()


def asset(day: date) -> str:
    """The path of a day's picture at gocomics, which does not say the day."""
    return "/assets/" + hashlib.md5(f"{day}".encode()).hexdigest()


class ComicSite:
    """`has`: whether the site has a day's strip. `log`: every path asked for, in order."""

    def __init__(self, has: Callable[[date], bool] = lambda day: FIRST <= day <= TODAY):
        self.has = has
        self.latest = TODAY
        self.robots: str | None = "User-agent: *\nDisallow: /private/\n"
        self.log: list[str] = []
        self.agents: set[str] = set()
        self.closing = threading.Event()
        self._faults: dict[str, tuple[Callable, count | range]] = {}
        self._assets: dict[str, date] = {}
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "ComicSite":
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()

    def fail(self, path: str, fault: Callable, times: int | None = None) -> None:
        """Answers `path` (or everything below it, when it ends in /) with a fault."""
        self._faults[path] = (fault, iter(range(times)) if times is not None else count())

    def asked(self, part: str) -> int:
        """How often a path with this in it was asked for."""
        return sum(part in path for path in self.log)

    def answer(self, request: "Request") -> None:
        path = request.path
        self.log.append(path)
        self.agents.add(request.headers["User-Agent"])
        for where, (fault, turns) in self._faults.items():
            hit = path.partition("?")[0] == where or (
                where.endswith("/") and path.startswith(where)
            )
            if hit and next(turns, None) is not None:
                fault(request)
                return
        if path == "/robots.txt":
            request.send(200 if self.robots is not None else 404, (self.robots or "").encode())
        elif found := re.fullmatch(r"/comics/ga/(\d{4})/ga\d\d(\d\d)(\d\d)\.gif", path):
            self._picture(request, date(*map(int, found.groups())))
        elif found := re.fullmatch(r"/garfield/(\d{4})/(\d\d?)/", path):
            request.send(200, self.month_page(*map(int, found.groups())).encode(), "text/html")
        elif found := re.fullmatch(r"/garfield/(\d{4})/(\d\d)/(\d\d)", path):
            self._day(request, date(*map(int, found.groups())))
        elif (name := path.partition("?")[0]) in self._assets:
            self._picture(request, self._assets[name])
        elif found := re.fullmatch(r"/api/service/v2/assets/recent/garfield\?date=(.*)", path):
            self._json(request, self.service_answer(date.fromisoformat(found[1])))
        elif path.startswith("/api.php?"):
            titles = parse_qs(path.partition("?")[2])["titles"][0].split("|")
            self._json(request, self.wiki_answer(titles))
        elif found := re.fullmatch(r"/garfield/images/([\d-]+)\.gif/revision/latest\?.*", path):
            self._picture(request, date.fromisoformat(found[1]))
        elif found := re.fullmatch(r"/thefunnies/garfield/(?:s-(\d+))?", path):
            day = date.fromordinal(int(found[1])) if found[1] else self.latest
            request.send(200, self.arcamax_page(day).encode(), "text/html")
        elif found := re.fullmatch(r"/newspics/(\d+)\.jpg", path):
            request.send(200, cmyk_jpeg(date.fromordinal(int(found[1]))), "image/jpeg")
        else:
            request.send(404, b"not found")

    def _picture(self, request: "Request", day: date) -> None:
        if self.has(day):
            request.send(200, picture(day), "image/gif")
        else:
            request.send(404, b"not found")

    def _json(self, request: "Request", value: object) -> None:
        request.send(200, json.dumps(value).encode(), "application/json")

    def _day(self, request: "Request", day: date) -> None:
        if self.has(day):
            request.send(200, self.day_page(day).encode(), "text/html")
        else:
            request.redirect(f"/garfield/{self.latest:%Y/%m/%d}")

    def month_page(self, year: int, month: int) -> str:
        days = [date(year, month, 1) + timedelta(days=n) for n in range(31)]
        cells = "".join(
            f"<td>{day.day}/{month}/{year}<br/>"
            f'<img src="http://picayune.uclick.com/comics/ga/{year}/ga{day:%y%m%d}.gif" '
            f'alt="garfield {day.day}/{month}/{year}"/></td>'
            for day in days
            if day.month == month and self.has(day)
        )
        return (
            f"<html><body><table><tr>{cells}</tr></table>"
            '<img src="/img/valid-xhtml10.gif" alt="Valid XHTML 1.0"/><img src="/img/vim.gif"/>'
            "</body></html>"
        )

    def day_page(
        self,
        day: date,
        canonical: date | None = None,
        objects: list[date] | None = None,
        card: str | None = None,
        hosts: str = "https://featureassets.gocomics.com",
    ) -> str:
        """A gocomics page. objects: the days of its ImageObjects, by default with three others."""
        shown = canonical or day
        week = [day - timedelta(days=7), day, day - timedelta(days=1), date(2000, 1, 3)]
        objects = week if objects is None else objects
        self._assets.update({asset(each): each for each in (*objects, day)})
        scripts = "".join(
            '<script type="application/ld+json">{"@context": "https://schema.org", '
            f'"@type": "ImageObject", "name": "Garfield by Jim Davis for {each:%B} {each.day}, '
            f'{each.year}", "contentUrl": "{hosts}{asset(each)}?optimizer=image&width=1400"}}'
            "</script>"
            for each in objects
        )
        card = f"{hosts}{asset(day)}" if card is None else card
        return (
            f'<html><head><meta property="og:image" content="{card}"/>'
            f'<link rel="canonical" href="https://www.gocomics.com/garfield/{shown:%Y/%m/%d}"/>'
            f'</head><body><div class="Comic_x_{day:%d}">{scripts}</div></body></html>'
        )

    def service_answer(self, day: date) -> list[dict]:
        """gocomics' JSON service: a few strips around the date, each with its own."""
        days = [day + timedelta(days=n) for n in (-1, 0, 1) if self.has(day + timedelta(days=n))]
        self._assets.update({asset(each): each for each in days})
        return [
            {
                "id": each.toordinal(),
                "url": f"https://featureassets.gocomics.com{asset(each)}",
                "date": f"{each}T00:00:00",
                "issueDate": f"{each}T00:00:00",
                "isRerun": False,
            }
            for each in days
        ]

    def wiki_answer(self, titles: list[str], dash: str = "-") -> dict:
        """MediaWiki's imageinfo for titles such as File:1985-03-12.gif; `dash` is in its names."""
        pages = []
        for title in titles:
            found = re.fullmatch(rf"File:(\d{{4}}){dash}(\d\d){dash}(\d\d)\.gif", title)
            day = date(*map(int, found.groups())) if found else None
            if day and self.has(day):
                address = f"https://static.wikia.nocookie.net/garfield/images/{day}.gif"
                info = [{"url": f"{address}/revision/latest?cb=2011", "mime": "image/gif"}]
                pages.append({"pageid": day.toordinal(), "title": title, "imageinfo": info})
            else:
                pages.append({"title": title, "missing": True})
        return {"batchcomplete": True, "query": {"pages": pages}}

    def arcamax_page(self, day: date) -> str:
        reach = self.latest - timedelta(days=30)
        back = f'<a class="prev" href="/thefunnies/garfield/s-{day.toordinal() - 1}">back</a>'
        return (
            '<html><body><img src="/images/logo.png" alt="ArcaMax"/>'
            '<figure class="comic"><img class="the-comic" '
            f'src="/newspics/thumb-{day.toordinal()}.jpg" '
            f'data-zoom-image="https://resources.arcamax.com/newspics/{day.toordinal()}.jpg" '
            f'alt="Garfield for {day.month}/{day.day}/{day.year}"/></figure>'
            f"{back if day > reach else ''}</body></html>"
        )


class Request(BaseHTTPRequestHandler):
    """One request, as a fault gets it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    site: ComicSite

    def do_GET(self) -> None:
        try:
            self.site.answer(self)
            self.wfile.flush()
        except OSError:  # the other side has hung up
            self.close_connection = True

    def send(self, status: int, body: bytes, kind: str = "text/plain", **headers: str) -> None:
        self.send_response(status)
        sent = {"Content-Type": kind, "Content-Length": str(len(body))}
        for name, value in (sent | {k.replace("_", "-"): v for k, v in headers.items()}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def redirect(self, where: str) -> None:
        self.send(302, b"", Location=where)

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is no news here."""


def _handler(site: ComicSite) -> type[Request]:
    return type("Handler", (Request,), {"site": site})


# ---------------------------------------------------------------------------------------------
# Faults


def status(code: int, **headers: str) -> Callable[[Request], None]:
    return lambda request: request.send(code, b"no", **headers)


def body(content: bytes, kind: str = "image/gif", **headers: str) -> Callable[[Request], None]:
    return lambda request: request.send(200, content, kind, **headers)


def status_line(line: bytes) -> Callable[[Request], None]:
    """An answer that begins, and ends, with this line."""

    def fault(request: Request) -> None:
        request.wfile.write(line + b"\r\n\r\n")
        request.close_connection = True

    return fault


def redirect(where: str) -> Callable[[Request], None]:
    return lambda request: request.redirect(where)


CHALLENGE = (
    b"<html><head><title>Establishing a secure connection ...</title></head>"
    b'<body><div data-pow="1f3a">Please wait</div></body></html>'
)
forbidden = status(403)
challenge = body(CHALLENGE, "text/html")
html = body(b"<html><body>Sorry, the page is not available.</body></html>", "image/gif")
xml = body(b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "image/gif")


def pixels(width: int, height: int) -> bytes:
    """A PNG of any size that is a few bytes long: its header promises, its data do not keep."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(bytes(1_000_000), 9))
    return b"\x89PNG\r\n\x1a\n" + header + data + chunk(b"IEND", b"")


def scan_bomb() -> bytes:
    """A progressive JPEG whose last scan comes two hundred times: each is decoded."""
    file = io.BytesIO()
    Image.open(io.BytesIO(_gif())).convert("RGB").save(file, "JPEG", progressive=True)
    content = file.getvalue()
    last = content.rindex(b"\xff\xda")
    return content[:last] + content[last:-2] * 200 + content[-2:]


def gzip_bomb(request: Request) -> None:
    """Forty kilobytes that unpack to forty megabytes."""
    request.send(200, gzip.compress(bytes(40 * 2**20), 1), "image/gif", Content_Encoding="gzip")


def truncated(request: Request) -> None:
    """Half a strip, honestly labelled."""
    request.send(200, _gif()[: len(_gif()) // 2], "image/gif")


def short(request: Request) -> None:
    """Content-Length promises more than comes."""
    request.send(200, _gif()[:1000], "image/gif", Content_Length="5000")
    request.close_connection = True


def endless(request: Request) -> None:
    """A chunked picture that never ends."""
    request.send_response(200)
    request.send_header("Transfer-Encoding", "chunked")
    request.end_headers()
    while not request.site.closing.is_set():
        request.wfile.write(b"10000\r\n" + bytes(65536) + b"\r\n")


def drip(request: Request) -> None:
    """A picture that comes so slowly that it never ends, and never falls silent."""
    request.send_response(200)
    request.send_header("Content-Length", str(len(_gif())))
    request.end_headers()
    for byte in _gif():
        request.wfile.write(bytes([byte]))
        request.wfile.flush()
        if request.site.closing.wait(0.02):
            break


def dripping_headers(request: Request) -> None:
    request.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not request.site.closing.wait(0.02):
        request.wfile.write(b"x")
        request.wfile.flush()


def reset(request: Request) -> None:
    """The connection breaks off with a TCP reset."""
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.connection.close()
    request.close_connection = True


def vanish(request: Request) -> None:
    """The whole site goes away."""
    request.site.close()
    reset(request)


if __name__ == "__main__":
    with ComicSite() as served:
        print(served.url, flush=True)
        sys.stdin.read()
