"""A steady refusal in any form ends a site after a few dozen days, and says why."""

from datetime import date, timedelta

import pytest
from comic_site import ComicSite, body, html, picture, status
from downloading import START, FakeClock, record, run

from garfield_vae.cli.download_options import DownloadOptions
from garfield_vae.data.download import download

LONG = {"end": date(1995, 3, 11)}  # ten years


@pytest.mark.parametrize(
    ("source", "path", "fault"),
    [
        ("uclick", "/comics/", status(404)),
        ("uclick", "/comics/", html),
        ("uclick", "/comics/", status(418)),
        ("uclick", "/comics/", body(b"", "image/gif")),
        ("gocomics", "/garfield/", status(404)),
        ("gocomics", "/garfield/", html),
        ("gocomics", "/assets/", html),
        ("gocomics-json", "/api/", status(404)),
        ("gocomics-json", "/api/service/v2/assets/recent/garfield", body(b"[]")),
        ("gocomics-json", "/assets/", html),
        ("wiki", "/garfield/images/", html),
        ("wiki", "/api.php", html),
        ("wiki", "/api.php", body(b'{"query": {"pages": []}}')),
        ("jikos", "/garfield/", html),
        ("jikos", "/comics/", status(404)),
    ],
)
def test_ten_years_for_nothing_end_after_a_few_dozen_days(site, tmp_path, source, path, fault):
    site.fail(path, fault)
    report = run(site, tmp_path, source, **LONG)
    assert "no strip for 30 days in a row" in report.ended[source]
    assert report.requests <= 150
    assert report.total("not asked") > 2_000


def test_days_that_a_refusing_site_does_not_have_are_asked_for_again(site, tmp_path):
    """An outage of 404s says nothing about the strips."""
    site.fail("/comics/", status(404), times=30)
    run(site, tmp_path, end=date(1985, 4, 30))
    assert {line["status"] for line in record(tmp_path).values()} == {"blocked"}
    assert run(site, tmp_path, end=date(1985, 4, 30)).there == 44


def test_all_sites_together_give_up_within_minutes(tmp_path):
    with ComicSite(has=lambda day: False) as site:
        options = DownloadOptions(base_url=site.url, end=date(1990, 1, 1))
        report = download(tmp_path, options, clock := FakeClock())
    assert set(report.ended) | {"arcamax"} == {*options.sources}
    assert sum(clock.naps) < 1800


def test_a_site_that_had_strips_is_given_more_patience(site, tmp_path):
    site.has = lambda day: not date(1985, 4, 1) <= day < date(1985, 7, 1)
    report = run(site, tmp_path, end=date(1985, 7, 6))
    assert report.ended == {}
    assert record(tmp_path)["1985-07-06"]["status"] == "ok"


def test_a_site_whose_strips_end_is_left_alone_in_the_end(site, tmp_path, monkeypatch):
    monkeypatch.setattr("garfield_vae.data.download.crawl.NOT_FOUND", 50)
    site.has = lambda day: day < date(1985, 4, 1)
    report = run(site, tmp_path, **LONG)
    assert "no strip for 50 days in a row" in report.ended["uclick"]


def test_a_month_page_that_fails_is_one_failure_and_the_next_month_is_had(site, tmp_path):
    site.fail("/garfield/1985/3/", status(503))
    report = run(site, tmp_path, "jikos", start=date(1985, 3, 1), end=date(1985, 4, 30))
    assert (report.there, report.wanted, report.ended) == (26, 52, {})
    assert site.asked("/garfield/1985/3/") == 4


def test_a_question_to_the_wiki_that_fails_is_one_failure(site, tmp_path):
    asked = []

    def fail_once(request):
        asked.append(request.path)
        request.send(500, b"")

    site.fail("/api.php", fail_once, times=4)
    report = run(site, tmp_path, "wiki", start=date(1985, 3, 1), end=date(1985, 4, 30))
    assert (report.there, len(asked)) == (26, 4)


def test_the_last_month_is_asked_for_first_so_that_sites_without_an_archive_have_their_turn(
    site, tmp_path
):
    site.fail("/comics/", status(404))
    first = date(2026, 11, 1)
    site.has = lambda day: day >= first
    report = run(site, tmp_path, "uclick", "gocomics", start=date(2026, 1, 1), end=site.latest)
    assert report.there == sum((first + timedelta(n)).weekday() < 6 for n in range(23))
    assert site.log[1].endswith("ga261027.gif")


def test_an_archive_that_lags_a_month_behind_is_not_given_up_for_it(site, tmp_path):
    site.has = lambda day: day < date(2026, 10, 20)
    report = run(site, tmp_path, start=date(2026, 10, 1), end=site.latest, sundays=True)
    assert (report.ended, report.there) == ({}, 19)


def test_reasons_are_shown_while_it_runs(site, tmp_path, capsys):
    """The line is there before the next day is asked for."""
    shown = []

    def look(request):
        shown.append(capsys.readouterr().out)
        request.send(200, picture(START + timedelta(1)), "image/gif")

    site.fail("/comics/ga/1985/ga850311.gif", html)
    site.fail("/comics/ga/1985/ga850312.gif", look)
    run(site, tmp_path)
    assert "1985-03-11 failed: uclick: " in shown[0]


def test_how_long_it_takes_is_said_before_a_long_download(tmp_path, capsys):
    with ComicSite() as site:
        site.fail("/robots.txt", status(403))
        options = DownloadOptions(source="uclick", base_url=site.url)
        download(tmp_path, options, FakeClock())
    assert "which takes 8.4 h or more: slowly is polite" in capsys.readouterr().out


def test_after_a_refusal_the_report_says_how_strips_from_elsewhere_can_be_used(site, tmp_path):
    site.fail("/comics/", status(403))
    text = " ".join(str(run(site, tmp_path)).split())
    assert "python3 train_torch.py --source folder --data_dir DIR" in text
    assert "1985-03-12.gif, ga850312.gif" in text
    assert "python3 train_torch.py" not in str(run(site, tmp_path, "gocomics"))


def test_a_site_that_is_too_slow_for_a_terminal_is_reported_line_by_line(site, tmp_path, capsys):
    """Without a progress bar a line tells every ten minutes how far it is."""
    run(site, tmp_path, delay=200)
    out = capsys.readouterr().out
    assert "of 6 days; " in out
    assert " min to go." in out
