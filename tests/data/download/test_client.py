"""The polite client: where it goes, when, and what it makes of answers. Time is made up here."""

import errno
import gzip
import re
import socket
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime

import pytest
from comic_site import (
    CHALLENGE,
    body,
    challenge,
    drip,
    dripping_headers,
    endless,
    gzip_bomb,
    picture,
    reset,
    short,
    status,
    vanish,
)
from downloading import FakeClock

from garfield_vae.data.download.client import Client
from garfield_vae.data.download.errors import (
    BadAnswer,
    Blocked,
    Forbidden,
    Missing,
    NoAnswer,
    Unreachable,
)

HOST = "comics.example"
ORIGIN = f"https://{HOST}"
PAGE = f"{ORIGIN}/page"


@pytest.fixture
def site(site):
    site.fail("/page", body(b"hello", "text/html"))
    return site


@pytest.fixture
def said():
    return []


@pytest.fixture
def client(site, clock, said):
    client = Client(site.url, delay=0, timeout=20, clock=clock, say=said.append)
    yield client
    client.close()


def get(client, address=PAGE, limit=1_000_000, origins=(ORIGIN,)):
    return client.get(address, origins, limit).body


# ---------------------------------------------------------------------------------------------
# robots.txt


def test_robots_are_read_once_a_host_and_obeyed(client, site):
    get(client)
    get(client)
    with pytest.raises(Forbidden, match="robots"):
        get(client, f"{ORIGIN}/private/x")
    assert site.log == ["/robots.txt", "/page", "/page"]


def test_a_missing_robots_file_allows_everything(client, site):
    site.robots = None
    assert get(client) == b"hello"


@pytest.mark.parametrize("fault", [status(500), status(503), status(403), reset, challenge])
def test_a_host_whose_robots_file_cannot_be_read_is_left_alone(client, site, fault):
    site.fail("/robots.txt", fault)
    for _ in range(2):
        with pytest.raises(Blocked, match=r"robots\.txt"):
            get(client)
    assert site.asked("/page") == 0
    assert site.asked("/robots.txt") in (1, 4)


def test_an_enormous_robots_file_is_read_to_the_limit(client, site):
    site.robots = "User-agent: *\nDisallow: /page\n" + "#" * 3_000_000
    with pytest.raises(Forbidden):
        get(client)


def test_the_crawl_delay_of_the_site_is_kept(client, site, clock):
    site.robots = "User-agent: *\nCrawl-delay: 9"
    get(client)
    get(client)
    assert clock.naps[-1] == pytest.approx(9, abs=0.01)


def test_a_long_crawl_delay_is_said_once(client, site, said):
    site.robots = "User-agent: *\nCrawl-delay: 120"
    get(client)
    get(client)
    assert said == [f"{site.url[7:]} asks for 120 s between two requests, which is obeyed."]


def test_the_group_with_our_name_replaces_the_group_for_all(client, site):
    site.robots = (
        "\ufeffUser-agent: *\nDisallow: /\n\nUser-agent: Garfield-VAE # us\nDisallow: /*.gif$"
    )
    assert get(client) == b"hello"
    with pytest.raises(Forbidden):
        get(client, f"{ORIGIN}/comics/ga/1985/ga850312.gif")


def test_a_hostile_rule_takes_no_time(client, site):
    site.robots = "User-agent: *\nDisallow: /" + "*a" * 5000 + "$"
    with pytest.raises(Missing):
        get(client, f"{ORIGIN}/" + "a" * 4000)


def test_an_absurd_crawl_delay_means_leaving_the_site_alone(client, site, clock):
    site.robots = "User-agent: *\nCrawl-delay: 86400"
    with pytest.raises(Blocked, match="86400 s between"):
        get(client)
    assert clock.naps == []


# ---------------------------------------------------------------------------------------------
# When


def test_requests_to_a_host_are_at_least_the_delay_apart(site, clock):
    client = Client(site.url, delay=2, timeout=20, clock=clock, say=print)
    for _ in range(5):
        get(client)
    assert len(clock.naps) == 5
    assert all(2 <= nap <= 3 for nap in clock.naps)
    assert len(set(clock.naps)) > 1, "no jitter"
    client.close()


def test_every_request_carries_the_projects_name_and_version(client, site):
    get(client)
    assert all(re.match(r"garfield-vae/\d+\.\d+", agent) for agent in site.agents)


def test_500_twice_and_then_an_answer_is_an_answer_with_growing_waits(client, site, clock):
    site.fail("/comics/ga/1985/ga850312.gif", status(500), times=2)
    assert get(client, f"{ORIGIN}/comics/ga/1985/ga850312.gif") == picture(date(1985, 3, 12))
    first, second = clock.naps
    assert 0.5 <= first <= 0.625
    assert 1 <= second <= 1.5


@pytest.mark.parametrize("fault", [status(500), status(503), status(429), reset, short])
def test_a_fault_that_stays_is_given_up_after_four_requests(client, site, fault):
    site.fail("/page", fault)
    with pytest.raises(NoAnswer, match="4 times in a row"):
        get(client)
    assert site.asked("/page") == 4


@pytest.mark.parametrize("code", [400, 404, 405, 410, 418])
def test_what_the_site_says_for_good_is_asked_once(client, site, code):
    site.fail("/page", status(code))
    with pytest.raises(Missing if code in (404, 410) else BadAnswer):
        get(client)
    assert site.asked("/page") == 1


def test_retry_after_in_seconds_is_obeyed_and_said(client, site, clock, said):
    site.fail("/once", status(429, Retry_After="77"), times=1)
    with pytest.raises(Missing):  # the site's answer when it is asked again
        get(client, f"{ORIGIN}/once")
    assert clock.naps == [77]
    assert said == [f"{site.url[7:]}: waiting 77 s after status 429."]


def test_retry_after_as_a_date_is_obeyed(client, site, clock):
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    site.fail("/once", status(503, Retry_After=later), times=1)
    with pytest.raises(Missing):
        get(client, f"{ORIGIN}/once")
    assert 60 < clock.naps[0] <= 90


def test_a_site_that_refuses_after_every_wait_that_it_asked_for_is_left_alone(client, site, clock):
    site.fail("/page", status(429, Retry_After="299"))
    for _ in range(2):
        with pytest.raises(Blocked, match="status 429, though it was given the time"):
            get(client)
    assert clock.naps == [299] * 3


@pytest.mark.parametrize("value", ["soon", "-5", "1e9", "٣", "Wed, 99 Foo 2026 99:99:99 GMT", ""])
def test_a_retry_after_without_sense_means_the_usual_wait(client, site, clock, value):
    site.fail("/once", status(503, Retry_After=value.encode().decode("latin-1")), times=1)
    with pytest.raises(Missing):
        get(client, f"{ORIGIN}/once")
    assert clock.naps[0] < 1


@pytest.mark.parametrize(
    "value", ["86400", "9" * 5000, "Fri, 31 Dec 2999 23:59:59 GMT"], ids=["day", "digits", "date"]
)
def test_an_absurd_retry_after_means_leaving_the_site_alone(client, site, clock, value):
    site.fail("/page", status(429, Retry_After=value))
    for _ in range(2):
        with pytest.raises(Blocked, match="asks to be left alone for over 300 s"):
            get(client)
    assert site.asked("/page") == 1
    assert clock.naps == []


# ---------------------------------------------------------------------------------------------
# What comes


@pytest.mark.parametrize(
    "fault",
    [
        status(403),
        status(401),
        challenge,
        body(b"Establishing a secure connection ...", "image/gif"),
        body(b"<html><title>Just a moment...</title>", "text/html"),
        lambda request: request.send(503, CHALLENGE, "text/html"),
        lambda request: request.send(404, CHALLENGE, "text/html"),
    ],
    ids=["403", "401", "challenge", "text", "moment", "503 challenge", "404 challenge"],
)
def test_a_refusal_is_asked_for_once_and_the_host_not_again(client, site, fault):
    site.fail("/page", fault)
    with pytest.raises(Blocked, match=HOST):
        get(client)
    with pytest.raises(Blocked, match=HOST):
        get(client, f"{ORIGIN}/other")
    assert site.log == ["/robots.txt", "/page"]


def test_a_refusal_of_one_host_is_none_of_another(client, site):
    site.fail("/no", status(403))
    with pytest.raises(Blocked):
        get(client, "http://refuses.example/no", origins=("http://refuses.example",))
    assert get(client) == b"hello"


@pytest.mark.parametrize("fault", [endless, gzip_bomb], ids=["endless", "bomb"])
def test_a_body_over_the_limit_is_cut_off(client, site, fault):
    site.fail("/big", fault)
    with pytest.raises(BadAnswer, match="sends more than 1 MiB"):
        get(client, f"{ORIGIN}/big", limit=2**20)


def test_a_packed_answer_that_nobody_asked_for_is_unpacked(client, site):
    site.fail("/packed", body(gzip.compress(b"unpacked"), Content_Encoding="gzip"))
    assert get(client, f"{ORIGIN}/packed") == b"unpacked"


def test_a_packed_answer_that_is_torn_or_strange_is_refused(client, site):
    site.fail("/torn", body(gzip.compress(b"unpacked" * 99)[:30], Content_Encoding="gzip"))
    site.fail("/false", body(b"not packed at all", Content_Encoding="gzip"))
    site.fail("/twice", body(b"?", Content_Encoding="gzip, gzip"))
    for path in ("torn", "false", "twice"):
        with pytest.raises(BadAnswer):
            get(client, f"{ORIGIN}/{path}")


@pytest.mark.parametrize("fault", [drip, dripping_headers], ids=["body", "headers"])
def test_an_answer_that_drips_is_cut_off_at_the_deadline(site, fault):
    client = Client(site.url, delay=0, timeout=0.3, clock=FakeClock(), say=print)
    site.fail("/slow", fault)
    with pytest.raises(NoAnswer, match=r"had not answered completely after 0\.3 s"):
        get(client, f"{ORIGIN}/slow")
    assert get(client) == b"hello"
    assert site.asked("/slow") == 1
    client.close()


# ---------------------------------------------------------------------------------------------
# No connection


def fails(monkeypatch, fault: OSError) -> None:
    """From here on every connection fails."""

    def connect(*_, **__):
        raise fault

    if isinstance(fault, socket.gaierror):
        monkeypatch.setattr("socket.getaddrinfo", connect)
    else:
        monkeypatch.setattr("urllib3.util.connection.create_connection", connect)


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (socket.gaierror(-2, "Name or service not known"), "its name does not resolve"),
        (ConnectionRefusedError(111, "Connection refused"), "it refuses the connection"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "there is no route to it"),
        (TimeoutError("timed out"), "it does not answer"),
    ],
    ids=["name", "refused", "unreachable", "silent"],
)
def test_a_host_that_cannot_be_reached_is_tried_once_more(clock, said, monkeypatch, fault, why):
    fails(monkeypatch, fault)
    client = Client(None, 2, 20, clock, said.append)
    with pytest.raises(Unreachable) as given_up:
        get(client)
    assert said == [f"{HOST} cannot be reached ({why}); trying once more."]
    assert str(given_up.value) == f"{HOST} cannot be reached ({why}): is this machine online?"
    assert client.requests == 2
    assert sum(clock.naps) <= 3
    client.close()


def test_on_a_machine_without_a_network_only_the_first_host_is_tried_twice(clock, monkeypatch):
    fails(monkeypatch, socket.gaierror(-3, "Temporary failure in name resolution"))
    client = Client(None, 2, 20, clock, print)
    for host in ("first.example", "second.example", "third.example"):
        with pytest.raises(Unreachable, match=f"{host} cannot be reached"):
            get(client, f"https://{host}/page", origins=(f"https://{host}",))
    assert client.requests == 4
    client.close()


def test_a_mirror_that_cannot_be_reached_is_named(clock):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
    client = Client(f"http://{address}", 0, 20, clock, print)
    with pytest.raises(Unreachable, match=rf"^{address} cannot be reached \(it refuses .*\)$"):
        get(client)
    client.close()


def test_a_host_that_answered_before_is_tried_with_patience(client, site, clock):
    site.fail("/last", vanish)
    with pytest.raises(NoAnswer, match=r"4 times in a row.*Connection refused"):
        get(client, f"{ORIGIN}/last")
    assert len(clock.naps) == 3
