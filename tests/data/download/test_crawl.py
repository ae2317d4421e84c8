"""Whom a download asks: each source in turn, nobody twice, and nobody who has refused."""

import errno
import os
import socket
import subprocess
import sys
from datetime import date

import pytest
from comic_site import asset, challenge, forbidden, html, picture, status
from downloading import (
    BAD,
    BAD_PATH,
    NAMES,
    START,
    WEEK,
    WITHOUT_BAD,
    FakeClock,
    record,
    run,
    there,
)

from garfield_vae.cli.download_options import DownloadOptions
from garfield_vae.data.download import download
from garfield_vae.util.errors import UserError


def test_a_second_run_asks_the_network_nothing(site, tmp_path):
    run(site, tmp_path)
    asked = list(site.log)
    report = run(site, tmp_path)
    assert site.log == asked
    assert (report.there, report.fetched, report.requests) == (6, 0, 0)


def test_errors_are_asked_for_again_and_missing_days_on_request(site, tmp_path):
    site.has = lambda day: day != BAD
    site.fail("/comics/ga/1985/ga850315.gif", html, times=1)
    run(site, tmp_path)
    assert [record(tmp_path)[f"1985-03-{day}"]["status"] for day in (13, 15)] == [
        "missing",
        "error",
    ]
    del site.log[:]
    report = run(site, tmp_path)
    assert site.log == ["/robots.txt", "/comics/ga/1985/ga850315.gif"]
    assert report.missing == [BAD]
    site.has = lambda day: True
    assert run(site, tmp_path).fetched == 0
    assert run(site, tmp_path, retry_missing=True).there == 6
    assert record(tmp_path)[f"{BAD}"]["status"] == "ok"


def test_todays_strip_is_asked_for_again_when_it_was_not_out_yet(site, tmp_path, monkeypatch):
    today = date(2026, 11, 23)
    monkeypatch.setattr("garfield_vae.data.download.manifest.now", FakeClock().utc)
    site.has = lambda day: day < today
    assert run(site, tmp_path, start=today, end=today).total("missing") == 1
    site.has = lambda day: True
    assert run(site, tmp_path, start=today, end=today).there == 1


def test_the_next_source_is_asked_day_by_day(site, tmp_path):
    site.fail(BAD_PATH, html)
    run(site, tmp_path, "uclick", "gocomics")
    assert there(tmp_path) == NAMES
    assert {day: line["source"] for day, line in record(tmp_path).items()} == {
        f"{day}": "gocomics" if day == BAD else "uclick" for day in WEEK
    }
    assert site.asked("/garfield/1985/03/") == 1


def test_an_address_that_just_failed_is_not_asked_for_through_another_source(site, tmp_path):
    site.fail(BAD_PATH, status(404))
    run(site, tmp_path, "uclick", "jikos")
    assert site.asked(BAD_PATH) == 1
    assert site.asked("/garfield/1985/3/") == 1


@pytest.mark.parametrize("fault", [forbidden, challenge], ids=["403", "challenge"])
def test_a_refusal_ends_the_source_for_the_run_with_one_sentence(site, tmp_path, capsys, fault):
    site.fail("/comics/", fault)
    report = run(site, tmp_path)
    assert site.log == ["/robots.txt", "/comics/ga/1985/ga850311.gif"]
    assert [(day, line["status"]) for day, line in record(tmp_path).items()] == [
        ("1985-03-11", "blocked")
    ]
    assert report.total("not asked") == 5
    printed = f"{capsys.readouterr().out}{report}"
    assert printed.count("uclick is left alone for the rest of this run") == 1
    assert printed.count(report.ended["uclick"]) == 1


def test_after_a_refusal_the_next_source_has_the_rest(site, tmp_path):
    site.fail("/comics/", forbidden)
    report = run(site, tmp_path, "uclick", "gocomics")
    assert there(tmp_path) == NAMES
    assert site.asked("/comics/") == 1
    assert list(report.ended) == ["uclick"]


def test_a_host_that_refused_is_not_asked_through_another_source(site, tmp_path):
    site.fail("/comics/", forbidden)
    report = run(site, tmp_path, "uclick", "jikos")
    assert site.asked("/comics/") == 1
    assert set(report.ended) == {"uclick", "jikos"}
    assert there(tmp_path) == []


@pytest.mark.parametrize("fault", [forbidden, challenge], ids=["403", "challenge"])
def test_a_challenge_in_place_of_a_picture_ends_the_source_too(site, tmp_path, fault):
    site.fail(asset(START), fault)
    report = run(site, tmp_path, "gocomics")
    assert "featureassets.gocomics.com" in report.ended["gocomics"]
    assert site.asked("/garfield/1985/") == 1


def test_robots_txt_is_obeyed_day_by_day(site, tmp_path):
    site.robots = f"User-agent: *\nDisallow: {BAD_PATH}\n"
    run(site, tmp_path)
    assert there(tmp_path) == WITHOUT_BAD
    assert site.asked(BAD_PATH) == 0
    assert record(tmp_path)[f"{BAD}"]["status"] == "blocked"


def test_a_robots_txt_that_forbids_all_means_no_other_request(site, tmp_path):
    site.robots = "User-agent: *\nDisallow: /\n"
    assert run(site, tmp_path).total("blocked") == 6
    assert site.log == ["/robots.txt"]


def test_a_source_that_never_answers_is_left_alone_after_ten_days(site, tmp_path):
    site.fail("/comics/", status(500))
    report = run(site, tmp_path, end=date(1985, 4, 30))
    assert site.asked("/comics/") == 40
    assert "no answer for 10 days in a row" in report.ended["uclick"]


def test_without_a_network_all_sources_are_given_up_in_seconds_with_a_line_each(
    tmp_path, monkeypatch, capsys
):
    def unknown(*_, **__):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", unknown)
    options = DownloadOptions(limit=30)
    report = download(tmp_path, options, clock := FakeClock())
    assert (report.there, report.requests) == (0, 6)
    assert sum(clock.naps) <= 3
    said = capsys.readouterr().out.splitlines()
    uclick = "picayune.uclick.com cannot be reached (its name does not resolve)"
    assert said[0] == f"{uclick}; trying once more."
    assert said[1].endswith(f"{uclick}: is this machine online?")
    assert [line.partition(" ")[0] for line in said[1:]] == list(options.sources)
    assert f"Left alone, as said above: {', '.join(options.sources)}." in str(report)


def test_days_never_asked_for_come_before_those_that_failed(site, tmp_path):
    site.fail("/comics/", html)
    run(site, tmp_path, end=date(1985, 3, 12))
    del site.log[:]
    run(site, tmp_path)
    assert [path[-6:-4] for path in site.log[1:]] == ["13", "14", "15", "16", "11", "12"]


def test_a_deleted_strip_is_fetched_again(site, tmp_path):
    run(site, tmp_path)
    (tmp_path / f"strips/1985/{BAD}.gif").unlink()
    assert run(site, tmp_path).fetched == 1
    assert there(tmp_path) == NAMES


def test_an_altered_strip_is_fetched_again_with_verify(site, tmp_path):
    run(site, tmp_path)
    path = tmp_path / f"strips/1985/{BAD}.gif"
    content = bytearray(picture(BAD))
    content[20] ^= 1  # in the table of colours: as long as before, and still a picture
    path.write_bytes(content)
    assert run(site, tmp_path).fetched == 0
    assert run(site, tmp_path, verify=True).fetched == 1
    assert path.read_bytes() == picture(BAD)


# ---------------------------------------------------------------------------------------------
# The folder


def test_a_second_run_on_the_same_folder_says_so(site, tmp_path):
    busy = []

    def run_another(request):
        with pytest.raises(UserError, match="Another download is at work") as error:
            run(site, tmp_path)
        busy.append(error)
        request.send(200, picture(BAD), "image/gif")

    site.fail(BAD_PATH, run_another)
    assert run(site, tmp_path).there == 6
    assert len(busy) == 1


def test_a_killed_run_holds_the_folder_no_longer(site, tmp_path):
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from garfield_vae.data.download.complete import one_run\n"
        "with one_run(Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert killed.returncode == -9
    assert run(site, tmp_path).there == 6


def read_only(monkeypatch, folder) -> None:
    """From here on the system refuses to open a file of the folder for writing."""
    really = os.open

    def refuse(path, flags, *more, **details):
        writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if writes and str(path).startswith(str(folder)):
            raise OSError(errno.EROFS, "Read-only file system", str(path))
        return really(path, flags, *more, **details)

    monkeypatch.setattr(os, "open", refuse)


def test_a_complete_folder_on_a_read_only_disk_can_be_used(site, tmp_path, monkeypatch):
    run(site, tmp_path)
    asked = list(site.log)
    before = sorted(tmp_path.rglob("*"))
    read_only(monkeypatch, tmp_path)
    assert run(site, tmp_path).there == 6
    assert site.log == asked
    assert sorted(tmp_path.rglob("*")) == before


def test_a_read_only_folder_with_enough_of_its_days_can_be_used_and_one_with_less_not(
    site, tmp_path, monkeypatch
):
    run(site, tmp_path, end=BAD)
    read_only(monkeypatch, tmp_path)
    report = run(site, tmp_path, min_share=0.5)
    assert (report.there, report.enough) == (3, True)
    assert "cannot be written, so no site was asked for the rest" in str(report)
    with pytest.raises(UserError, match="cannot be written, and 3 of its days are not there"):
        run(site, tmp_path)


def test_what_is_passed_over_is_said_once_and_is_in_nobodys_way(site, tmp_path, capsys):
    backup = tmp_path / "strips/backup/1985-03-11.gif"
    backup.parent.mkdir(parents=True)
    backup.write_bytes(picture(START))
    for _ in range(2):
        assert run(site, tmp_path).there == 6
        said = "Passed over, being no strip in its year's folder: strips/backup/1985-03-11.gif.\n"
        assert capsys.readouterr().out.count(said) == 1
    assert backup.is_file()


def test_a_folder_in_a_strips_place_is_one_failed_day(site, tmp_path):
    (tmp_path / f"strips/1985/{BAD}.gif").mkdir(parents=True)
    report = run(site, tmp_path)
    assert report.there == 5
    assert "a folder stands in its place" in report.problems[BAD]
