"""Where the client goes: to the hosts of its source, at public addresses, and nowhere else."""

import ipaddress
import socket

import pytest
from comic_site import ComicSite, body, redirect
from downloading import FakeClock

from garfield_vae.data.download import guard
from garfield_vae.data.download.answers import BadAnswer, Blocked, Forbidden
from garfield_vae.data.download.client import Client

HOST = "comics.example"
PAGE = f"http://{HOST}/page"


@pytest.fixture
def site():
    with ComicSite() as site:
        site.fail("/page", body(b"hello", "text/html"))
        yield site


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def client(site, clock):
    client = Client(site.url, delay=0, timeout=20, clock=clock, say=print)
    yield client
    client.close()


def get(client, address=PAGE):
    return client.get(address, (HOST,), 1_000_000).body


def test_base_url_stands_for_every_host_of_a_source(client, site):
    assert get(client) == b"hello"
    assert site.log == ["/robots.txt", "/page"]


def test_a_mirror_may_live_under_a_path(site, clock):
    site.fail("/mirror/page", body(b"mirrored"))
    client = Client(f"{site.url}/mirror/", 0, 20, clock, print)
    assert get(client) == b"mirrored"
    client.close()


@pytest.mark.parametrize(
    "address",
    [
        "http://elsewhere.example/page",
        "https://comics.example.elsewhere.example/page",
        "http://comics.example:8080/page",
        "http://comics.example@elsewhere.example/page",
        "http://me@comics.example/page",
        "http://elsewhere.example\\@comics.example/page",
        "http://comics.example./page",
        "http://127.0.0.1/page",
        "http://[::1]/page",
        "http://2130706433/page",
        "file:///etc/passwd",
        "ftp://comics.example/page",
        "data:text/html,hello",
        "javascript:alert(1)",
        "//",
        "http://[broken/page",
        "http://comics.example:port/page",
        "",
    ],
)
def test_an_address_outside_the_allow_list_is_never_asked_for(client, site, address):
    with pytest.raises(BadAnswer):
        get(client, address)
    assert site.log == []


@pytest.mark.parametrize(
    "where",
    [
        "http://127.0.0.1:9/page",
        "http://localhost/page",
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]:80/",
        "http://[::ffff:127.0.0.1]/",
        "file:///etc/passwd",
        "http://elsewhere.example/",
        "http://[broken",
    ],
)
def test_a_redirect_outside_the_allow_list_is_not_followed(client, site, where):
    site.fail("/away", redirect(where))
    with pytest.raises(BadAnswer):
        get(client, f"http://{HOST}/away")
    assert site.log == ["/robots.txt", "/away"]


def test_a_redirect_within_the_allow_list_is_followed_with_its_robots(client, site):
    site.fail("/away", redirect(f"https://{HOST}/page"))
    assert get(client, f"http://{HOST}/away") == b"hello"
    site.fail("/hidden", redirect("/private/page"))
    with pytest.raises(Forbidden):
        get(client, f"http://{HOST}/hidden")
    assert site.asked("/private") == 0


def test_a_redirect_loop_ends(client, site):
    site.fail("/loop", redirect("/loop"))
    with pytest.raises(BadAnswer, match="redirects"):
        get(client, f"http://{HOST}/loop")
    assert site.asked("/loop") == 6


def test_a_redirect_with_an_endless_body_does_not_fill_the_memory(client, site):
    def fault(request):
        request.send_response(302)
        request.send_header("Location", "/page")
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        while not site.closing.is_set():
            request.wfile.write(b"10000\r\n" + bytes(65536) + b"\r\n")

    site.fail("/away", fault)
    assert get(client, f"http://{HOST}/away") == b"hello"


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
        *("224.0.0.1", "::1", "fe80::1", "fd00::1", "::ffff:127.0.0.1"),
    ],
)
def test_a_name_that_resolves_to_a_private_address_is_refused(clock, monkeypatch, address):
    monkeypatch.setattr(guard, "addresses", lambda host: [ipaddress.ip_address(address)])
    client = Client(None, delay=2, timeout=20, clock=clock, say=print)
    with pytest.raises(Blocked, match="not a public address"):
        get(client)
    client.close()


def test_a_name_that_changes_its_mind_after_the_check_is_refused(site, clock, monkeypatch):
    """DNS rebinding: the check sees a public address, the connection reaches this machine."""
    port = int(site.url.rpartition(":")[2])
    public = [ipaddress.ip_address("93.184.215.14")]
    monkeypatch.setattr(guard, "addresses", lambda host: public)
    connect = socket.create_connection
    monkeypatch.setattr(
        "urllib3.util.connection.create_connection",
        lambda address, *_, **__: connect(("127.0.0.1", port)),
    )
    client = Client(None, delay=2, timeout=20, clock=clock, say=print)
    with pytest.raises(Blocked, match=r"resolves to 127\.0\.0\.1"):
        get(client)
    assert site.log == []
    client.close()
