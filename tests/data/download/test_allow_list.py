"""Where the client goes: to the hosts of its site, by https where they have it, nowhere else."""

import pytest
from comic_site import body, redirect

from garfield_vae.data.download.client import Client
from garfield_vae.data.download.errors import BadAnswer, Forbidden, Missing

HOST = "comics.example"
PAGE = f"https://{HOST}/page"
ORIGINS = (f"https://{HOST}", "http://old.example")


@pytest.fixture
def site(site):
    site.fail("/page", body(b"hello", "text/html"))
    return site


def get(client, address=PAGE):
    return client.get(address, ORIGINS, 1_000_000).body


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
    ("address", "asked"),
    [
        (f"http://{HOST}/page", f"https://{HOST}/page"),
        (f"http://{HOST}:80/page", f"https://{HOST}/page"),
        ("http://old.example/page?a=b c", "http://old.example/page?a=b%20c"),
        ("https://old.example/page", "https://old.example/page"),
    ],
)
def test_plain_http_is_for_hosts_that_have_nothing_else(clock, monkeypatch, address, asked):
    urls = []

    def answer(session, url, limit, seconds):
        urls.append(url)
        return 200, {}, b""

    monkeypatch.setattr("garfield_vae.data.download.client.exchange", answer)
    client = Client(None, delay=2, timeout=20, clock=clock, say=print)
    get(client, address)
    assert urls[-1] == asked
    client.close()


@pytest.mark.parametrize(
    "address",
    [
        "https://comics.example/\udfff",
        "https://\udfff.example/",
        PAGE + "x" * 60_000,
        PAGE + "\x1b[2J",
    ],
    ids=["surrogate", "host", "long", "escape"],
)
def test_an_address_that_cannot_be_asked_for_is_one_bad_answer(client, site, address):
    """An escape code is quoted and not found; the others are refused before they are asked for."""
    with pytest.raises((BadAnswer, Missing)) as problem:
        get(client, address)
    assert len(str(problem.value)) <= 300
    assert str(problem.value).isprintable()
