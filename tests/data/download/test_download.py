"""What a download keeps, against the test site: the right pictures and nothing else."""

from datetime import date

import pytest
from comic_site import (
    asset,
    body,
    cmyk_jpeg,
    drip,
    endless,
    gzip_bomb,
    html,
    picture,
    pixels,
    redirect,
    reset,
    scan_bomb,
    short,
    status,
    status_line,
    truncated,
    xml,
)
from downloading import BAD, BAD_PATH, NAMES, WITHOUT_BAD, FakeClock, record, run, there
from strip_pictures import encoded, strip_picture


@pytest.mark.parametrize("source", ["uclick", "jikos", "gocomics"])
def test_a_week_comes_from_each_archive(site, tmp_path, source):
    report = run(site, tmp_path, source)
    assert there(tmp_path) == NAMES
    assert (report.there, report.wanted, report.fetched, report.enough) == (6, 6, 6, True)
    assert {line["source"] for line in record(tmp_path).values()} == {source}
    assert (tmp_path / "strips/1985/1985-03-13.gif").read_bytes() == picture(BAD)


def test_a_recent_week_comes_from_arcamax_as_cmyk_jpegs(site, tmp_path):
    run(site, tmp_path, "arcamax", start=date(2026, 11, 16), end=date(2026, 11, 21))
    assert there(tmp_path) == [f"2026-11-{day}.jpg" for day in range(16, 22)]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (html, "not a GIF, JPEG"),
        (xml, "not a GIF, JPEG"),
        (body(b""), "not a GIF, JPEG"),
        (truncated, "damaged"),
        (body(scan_bomb()), "scans, more than any strip"),
        (body(pixels(30_000, 30_000)), "pixels"),
        (body(pixels(5_000, 4_000)), "pixels"),
        (body(pixels(4_000, 3_900)), "damaged"),
        (body(pixels(1, 1)), "too few"),
        (endless, "sends more than 16 MiB"),
        (gzip_bomb, "sends more than 16 MiB"),
        (short, "4 times in a row"),
        (reset, "4 times in a row"),
        (status(500), "4 times in a row, the last time with status 500"),
        (status(418), "status 418"),
        (redirect(BAD_PATH), "redirects"),
        (redirect("http://10.0.0.1/x.gif"), "not among the hosts"),
        (redirect("file:///etc/passwd"), "no web address"),
    ],
)
def test_a_bad_picture_is_one_error_and_the_other_days_go_on(site, tmp_path, fault, reason):
    site.fail(BAD_PATH, fault)
    report = run(site, tmp_path)
    assert there(tmp_path) == WITHOUT_BAD
    assert record(tmp_path)[f"{BAD}"]["status"] == "error"
    assert reason in record(tmp_path)[f"{BAD}"]["reason"]
    assert reason in report.problems[BAD]
    assert (report.there, report.enough) == (5, False)


def test_a_dripping_picture_is_one_error_and_the_other_days_go_on(site, tmp_path):
    site.fail(BAD_PATH, drip)
    run(site, tmp_path, timeout=0.4)
    assert there(tmp_path) == WITHOUT_BAD
    assert site.asked(BAD_PATH) == 1


def test_the_type_that_the_site_claims_decides_nothing(site, tmp_path):
    site.fail(BAD_PATH, body(cmyk_jpeg(BAD), "text/html; charset=utf-16"))
    run(site, tmp_path)
    assert there(tmp_path) == [name.replace("13.gif", "13.jpg") for name in NAMES]


@pytest.mark.parametrize(("form", "suffix"), [("WEBP", ".webp"), ("PNG", ".png"), ("BMP", ".bmp")])
def test_a_picture_of_another_format_is_called_what_it_is(site, tmp_path, form, suffix):
    site.fail(BAD_PATH, body(encoded(strip_picture(), form)))
    run(site, tmp_path)
    assert there(tmp_path) == [name.replace("13.gif", f"13{suffix}") for name in NAMES]
    assert run(site, tmp_path).requests == 0


def test_500_twice_and_then_a_strip_is_a_strip(site, tmp_path):
    site.fail(BAD_PATH, status(500), times=2)
    clock = FakeClock()
    assert run(site, tmp_path, clock=clock).enough
    assert len(clock.naps) == 2


def test_429_waits_as_long_as_it_is_told(site, tmp_path):
    site.fail(BAD_PATH, status(429, Retry_After="120"), times=1)
    clock = FakeClock()
    assert run(site, tmp_path, clock=clock).enough
    assert clock.naps == [120]


def test_sundays_are_left_out_or_stored_apart(site, tmp_path):
    assert run(site, tmp_path, end=date(1985, 3, 17)).wanted == 6
    assert run(site, tmp_path, end=date(1985, 3, 17), sundays=True).wanted == 7
    assert there(tmp_path) == NAMES
    assert (tmp_path / "sundays/1985/1985-03-17.gif").is_file()


def test_half_a_surrogate_pair_in_an_address_is_one_error_and_none_in_later_runs(site, tmp_path):
    page = site.day_page(BAD).replace(f"{asset(BAD)}?", "/\\udfff?")
    site.fail("/garfield/1985/03/13", body(page.encode(), "text/html"), times=1)
    report = run(site, tmp_path, "gocomics")
    assert there(tmp_path) == WITHOUT_BAD
    assert "is no address" in report.problems[BAD]
    assert run(site, tmp_path, "gocomics").there == 6


@pytest.mark.parametrize(
    "fault",
    [
        redirect("https://elsewhere.example/\x1b[31m" + "x" * 60_000),
        redirect("https://\x1b[31melsewhere.example/"),
        status_line(b"HTTP/1.1 \x1b[31m" + b"x" * 60_000),
        status_line(b"\x1b]0;title\x07" * 5_000),
        body(b"?", Content_Encoding="\x1b[31m" + "x" * 60_000),
    ],
    ids=["location", "host", "status", "no status", "packing"],
)
def test_what_a_site_says_is_quoted_shortened_and_printable(site, tmp_path, capsys, fault):
    site.fail(BAD_PATH, fault)
    report = run(site, tmp_path)
    assert there(tmp_path) == WITHOUT_BAD
    for line in (*capsys.readouterr().out.splitlines(), report.problems[BAD]):
        assert line.isprintable()
        assert len(line) < 400
    assert all(line.isprintable() for line in str(report).splitlines())
