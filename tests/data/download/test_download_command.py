"""What a download says and returns, how it is stopped, and its command."""

import signal
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from comic_site import html, status
from downloading import BAD_PATH, NAMES, WITHOUT_BAD, FakeClock, command, run, there

import train_torch
from garfield_vae.cli.download_options import DownloadOptions
from garfield_vae.data.download.__main__ import main
from garfield_vae.data.download.sites import SITES
from garfield_vae.util.errors import UserError, run_script, stop_signals

MODULE = "garfield_vae.data.download"


def ended(arguments: list[str]) -> int:
    """The status with which the command's process would end. This one goes on, and so gets back
    what it does on a signal."""
    before = {number: signal.getsignal(number) for number in stop_signals()}
    with pytest.raises(SystemExit) as end:
        run_script(lambda: main(arguments))
    for number, handler in before.items():
        signal.signal(number, handler)
    return end.value.code


def test_the_report_counts_a_source_and_a_year_and_says_how_to_go_on(site, tmp_path):
    site.has = lambda day: day != date(1986, 1, 1)
    site.fail("/comics/ga/1985/ga851231.gif", html)
    report = run(site, tmp_path, start=date(1985, 12, 30), end=date(1986, 1, 4))
    text = str(report)
    assert text.splitlines()[:4] == [
        "year  uclick  missing  error",
        "1985       1        0      1",
        "1986       3        1      0",
        " all       4        1      1",
    ]
    assert f"4 of 6 days are in {report.folder}; this run added 4 with 7 requests" in text
    assert "No source has 1986-01-01; --retry_missing asks for them again." in text
    assert "1985-12-31 failed: uclick: " in text
    assert "The same command again asks for what failed" in text


def test_ctrl_c_loses_nothing_and_the_next_run_goes_on(site, tmp_path):
    class Impatient(FakeClock):
        def sleep(self, seconds):
            raise KeyboardInterrupt

    site.fail(BAD_PATH, status(503), times=1)
    report = run(site, tmp_path, clock=Impatient())
    assert report.interrupted
    assert "the same command goes on from here" in str(report)
    assert there(tmp_path) == NAMES[:2]
    assert run(site, tmp_path).there == 6


def test_the_command_returns_130_after_ctrl_c(monkeypatch, site, tmp_path, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("garfield_vae.data.download.crawl.Crawl.fetch", interrupt)
    assert main(command(site, tmp_path)) == 130
    assert "Interrupted; nothing is lost" in capsys.readouterr().out


def test_the_command_returns_0_with_enough_and_1_with_less(site, tmp_path, capsys):
    site.fail(BAD_PATH, html)
    assert main(command(site, tmp_path)) == 1
    assert "less than the share that --min_share asks (0.9)" in capsys.readouterr().out
    assert main(command(site, tmp_path, "--min_share", "0.8")) == 0
    assert there(tmp_path / "garfield") == WITHOUT_BAD


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--source", "uclick,nowhere"], "--source nowhere is not known"),
        (["--source", "uclick", "uclick"], "each source once"),
        (["--comic", "foxtrot:1988-04-10", "--source", "uclick"], "do not have foxtrot"),
        (["--comic", "../x"], "--comic '../x' is not understood"),
        (["--start", "1990-01-01", "--end", "1989-01-01"], "they seem to be swapped"),
        (["--start", "1970-01-01", "--end", "1970-12-31"], "There is no daily"),
        (["--start", "1985-03-17", "--end", "1985-03-17"], "or --sundays"),
        (["--start", "9998-01-01"], "9998-01-01 has not come yet, since today is 20"),
        (["--delay", "0.1"], "too often"),
        (["--base_url", "ftp://x"], "--base_url 'ftp://x' is no address"),
        (["--base_url", "http://x:port"], "is no address"),
        (["--base_url", "http://nowhere.invalid", "--delay", "0"], "--delay 0 asks other people's"),
        (["--base_url", "http://93.184.215.14/", "--delay", "0.1"], "too often"),
        (["--base_url", "http://a..b/"], "--base_url 'http://a..b/' is no address"),
        (["--base_url", "http://me@x/"], "is no address"),
        (["--base_url", "http://x/?a=b"], "is no address"),
    ],
)
def test_a_wrong_option_is_one_sentence_and_status_2(tmp_path, capsys, arguments, says):
    assert ended(["--data_dir", str(tmp_path), *arguments]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--limit", "0"], "--limit: must be at least 1"),
        (["--delay", "nan"], "--delay: must be at least 0"),
        (["--timeout", "0"], "--timeout: must be"),
        (["--timeout", "1e10"], "--timeout: must be at most 600"),
        (["--delay", "1e10"], "--delay: must be at most 3,600"),
        (["--min_share", "90"], "--min_share: must be at most 1"),
        (["--start", "yesterday"], "--start: 'yesterday' is no date such as 1985-03-12"),
    ],
)
def test_a_value_that_its_flag_does_not_take_is_named_with_status_2(capsys, arguments, says):
    assert ended(arguments) == 2
    assert says in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path, site, capsys):
    (tmp_path / "garfield").write_text("a file in the folder's place")
    assert ended(command(site, tmp_path)) == 2
    assert "cannot be used" in capsys.readouterr().err


def test_sources_may_be_listed_with_spaces_or_commas_and_web_means_all():
    both = ("gocomics", "uclick")
    assert DownloadOptions(source=["gocomics", "uclick"]).sources == both
    assert DownloadOptions(source="gocomics,uclick").sources == both
    assert DownloadOptions(source="web").sources == DownloadOptions().sources == tuple(SITES)


def test_a_clock_that_was_never_set_is_named():
    with pytest.raises(UserError, match=r"1978-06-19 has not come yet.*set this machine's clock"):
        DownloadOptions().days(date(1970, 1, 1))


def test_the_range_starts_with_the_comic_and_ends_today_in_new_york():
    days = DownloadOptions(start=date(1900, 1, 1), end=date(2099, 1, 1)).days(date(2026, 11, 23))
    assert (days[0], days[-1]) == (date(1978, 6, 19), date(2026, 11, 23))
    assert len(DownloadOptions(limit=300).days(date(2026, 11, 23))) == 300
    assert DownloadOptions(comic="x:2026-11-16:mon-tue", source="gocomics").days(
        date(2026, 11, 23)
    ) == [date(2026, 11, 16), date(2026, 11, 17), date(2026, 11, 23)]


@pytest.mark.parametrize("command", [main, train_torch.main])
def test_help_says_whose_machine_the_strips_are_for_and_that_proxies_are_not_used(command, capsys):
    with pytest.raises(SystemExit):
        command(["--help"])
    help = " ".join(capsys.readouterr().out.split())
    assert "for your own machine, not for passing on" in help
    assert "proxies that the environment names are not used" in help


def test_an_unwritable_strip_ends_the_run_with_one_sentence(site, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device", "1985-03-11.gif")

    monkeypatch.setattr("garfield_vae.data.download.manifest.replacing", full)
    with pytest.raises(UserError, match=r"1985-03-11\.gif cannot be used \(No space left"):
        run(site, tmp_path)


def test_kill_9_in_the_middle_of_a_request_loses_nothing(site, tmp_path):
    arguments = [sys.executable, "-m", "garfield_vae.data.download", *command(site, tmp_path)]
    folder = tmp_path / "garfield"
    site.fail(BAD_PATH, lambda request: running.kill(), times=1)
    running = subprocess.Popen(arguments, cwd=Path(__file__).parents[3])
    assert running.wait() == -9
    assert there(folder) == NAMES[:2]
    del site.log[:]
    assert main(command(site, tmp_path)) == 0
    assert there(folder) == NAMES
    assert [path[-6:-4] for path in site.log[1:]] == ["13", "14", "15", "16"]
    assert sorted(path.name for path in folder.iterdir()) == [".lock", "manifest.jsonl", "strips"]


@pytest.mark.parametrize("out", ["closed pipe", "full disk", "closed"])
def test_nobody_reading_what_it_says_does_not_end_the_download(site, tmp_path, out):
    """`| true`, `> /dev/full` and `>&-`; the reasons are said while it runs."""
    site.fail(BAD_PATH, html)
    shell = {"closed pipe": "| true", "full disk": "> /dev/full", "closed": ">&-"}[out]
    arguments = " ".join(command(site, tmp_path))
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{sys.executable} -m {MODULE} {arguments} {shell}"],
        cwd=Path(__file__).parents[3],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert there(tmp_path / "garfield") == WITHOUT_BAD
    assert done.stderr == ""
    assert done.returncode == 1  # less than the share that --min_share asks


def test_flags_are_read_without_the_http_client_and_the_parser_of_pages():
    code = f"import sys, {MODULE}.__main__; print({{'requests', 'bs4', 'PIL'}} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[3], capture_output=True, text=True
    )
    assert done.stdout == "set()\n"
