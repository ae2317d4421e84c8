"""The record and the files: what is believed, what is mended, what is set aside."""

import hashlib
import json
import os
import shutil
from datetime import date

import pytest
from comic_site import cmyk_jpeg, picture, pixels
from PIL import Image

from garfield_vae.data.download.manifest import Manifest
from garfield_vae.data.download.record import Entry
from garfield_vae.data.images import BrokenImage

DAY, NEXT, SUNDAY = date(1985, 3, 12), date(1985, 3, 13), date(1985, 3, 10)
FILE = "strips/1985/1985-03-12.gif"


def lines(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]


def files(folder) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


@pytest.fixture
def folder(tmp_path):
    """A folder with one strip."""
    with Manifest(tmp_path) as manifest:
        manifest.keep(DAY, "uclick", "http://x/ga850312.gif", picture(DAY))
    return tmp_path


def test_a_strip_stands_under_its_date_and_on_record(folder):
    assert files(folder) == ["manifest.jsonl", FILE]
    assert (folder / FILE).read_bytes() == picture(DAY)
    (line,) = lines(folder)
    assert line["date"] == "1985-03-12"
    assert line["status"] == "ok"
    assert line["source"] == "uclick"
    assert line["url"] == "http://x/ga850312.gif"
    assert line["bytes"] == len(picture(DAY))
    assert line["size"] == [600, 175]
    assert len(line["sha256"]) == 64
    assert line["time"].endswith("+00:00")


def test_the_extension_comes_from_the_bytes_and_sundays_stand_apart(tmp_path):
    with Manifest(tmp_path) as manifest:
        manifest.keep(DAY, "arcamax", "http://x/strip.gif", cmyk_jpeg(DAY))
        manifest.keep(SUNDAY, "uclick", "http://x/strip.png", picture(SUNDAY))
    assert files(tmp_path) == [
        "manifest.jsonl",
        "strips/1985/1985-03-12.jpg",
        "sundays/1985/1985-03-10.gif",
    ]


@pytest.mark.parametrize(
    "content",
    [b"", b"GIF89a", picture(DAY)[:9000], b"<html>", pixels(30_000, 30_000), pixels(1, 1)],
    ids=["empty", "header", "truncated", "html", "bomb", "dot"],
)
def test_what_does_not_decode_never_reaches_the_strips(tmp_path, content):
    with Manifest(tmp_path) as manifest, pytest.raises(BrokenImage):
        manifest.keep(DAY, "uclick", "http://x/", content)
    assert files(tmp_path) == ["manifest.jsonl"]


def test_a_torn_last_line_is_dropped_and_its_file_taken_up_again(folder):
    path = folder / "manifest.jsonl"
    with Manifest(folder) as manifest:
        manifest.keep(NEXT, "uclick", "http://x/", picture(NEXT))
    path.write_bytes(path.read_bytes()[:-40])
    with Manifest(folder) as manifest:
        assert set(manifest.entries) == {DAY}
        assert manifest.is_there(NEXT)
    assert [line["status"] for line in lines(folder)] == ["ok", "ok"]
    assert lines(folder)[1]["source"] == "disk"


def test_a_complete_last_line_without_its_end_is_kept(folder):
    path = folder / "manifest.jsonl"
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    with Manifest(folder) as manifest:
        manifest.note(NEXT, "missing", "nobody has it")
    assert [line["date"] for line in lines(folder)] == ["1985-03-12", "1985-03-13"]


@pytest.mark.parametrize(
    "damage",
    [
        *(b"\xff\xfe\x00", b"[]", b'"text"', b"{}", b"null", b"", b"[" * 100_000),
        b'{"date": "1985-03-13", "status": "odd"}',
        b'{"date": "1985-02-30", "status": "missing"}',
    ],
)
def test_a_damaged_line_costs_no_other(folder, damage):
    path = folder / "manifest.jsonl"
    path.write_bytes(damage + b"\n" + path.read_bytes())
    with Manifest(folder) as manifest:
        assert manifest.is_there(DAY)
    assert [line["date"] for line in lines(folder)] == ["1985-03-12"]


def test_a_day_asked_for_again_has_one_line_and_days_are_in_order(folder):
    with Manifest(folder) as manifest:
        manifest.note(NEXT, "error", "failed")
        manifest.note(SUNDAY, "missing", "nobody has it")
        manifest.note(NEXT, "missing", "nobody has it")
    assert [(line["date"], line["status"]) for line in lines(folder)] == [
        ("1985-03-10", "missing"),
        ("1985-03-12", "ok"),
        ("1985-03-13", "missing"),
    ]


def test_a_lost_manifest_is_made_again_from_the_files(folder):
    (folder / "manifest.jsonl").unlink()
    with Manifest(folder) as manifest:
        assert manifest.is_there(DAY)
        assert manifest.others(hashlib.sha256(picture(DAY)).hexdigest(), NEXT) == {DAY}
    assert lines(folder)[0]["bytes"] == len(picture(DAY))


def test_a_deleted_strip_is_noticed(folder):
    (folder / FILE).unlink()
    with Manifest(folder) as manifest:
        assert not manifest.is_there(DAY)
    assert [(line["status"], line["reason"]) for line in lines(folder)] == [
        ("error", "the strip's file is gone")
    ]


@pytest.mark.parametrize("place", ["strips", "strips/1985"])
def test_strips_out_of_reach_are_not_gone_and_the_record_stays(folder, place):
    """Linked to a disk that is not there now."""
    before = (folder / "manifest.jsonl").read_bytes()
    (folder / place).rename(folder / "elsewhere")
    (folder / place).symlink_to("nowhere")
    with pytest.raises(OSError, match="strips"), Manifest(folder):
        pass
    assert (folder / "manifest.jsonl").read_bytes() == before


@pytest.mark.parametrize("other", ["png", "bmp"])
def test_of_two_pictures_of_a_day_the_one_on_record_counts(folder, other):
    Image.open(folder / FILE).save((folder / FILE).with_suffix(f".{other}"))
    with Manifest(folder) as manifest:
        assert manifest.is_there(DAY, verify=True)
        assert manifest.file(DAY) == folder / FILE
    assert [line["status"] for line in lines(folder)] == ["ok"]
    assert len(files(folder)) == 3


def test_a_truncated_strip_is_noticed_and_set_aside(folder):
    (folder / FILE).write_bytes(picture(DAY)[:1000])
    with Manifest(folder) as manifest:
        assert not manifest.is_there(DAY)
    assert files(folder) == ["manifest.jsonl", "set-aside/1985-03-12.gif"]


def test_an_altered_strip_of_the_same_length_is_noticed_when_verifying(folder):
    altered = bytearray(picture(DAY))
    altered[5000] ^= 1
    (folder / FILE).write_bytes(altered)
    with Manifest(folder) as manifest:
        assert manifest.is_there(DAY)
        assert not manifest.is_there(DAY, verify=True)
    assert (folder / "set-aside/1985-03-12.gif").read_bytes() == altered


def test_a_file_that_is_no_strip_or_another_days_is_not_taken_up(folder):
    (folder / "strips/1985/1985-03-13.gif").write_bytes(picture(DAY))
    (folder / "strips/1985/1985-03-14.gif").write_bytes(b"<html>")
    with Manifest(folder) as manifest:
        assert not manifest.is_there(NEXT)
        assert not manifest.is_there(date(1985, 3, 14))
    assert files(folder)[1:3] == ["set-aside/1985-03-13.gif", "set-aside/1985-03-14.gif"]


def test_temporaries_of_a_killed_run_are_removed_and_strangers_left(folder):
    (folder / "strips/1985/.1985-03-13.gif.x7f3ab12.tmp").write_bytes(b"GIF89a")
    (folder / ".manifest.jsonl.ab12cd34.tmp").write_bytes(b"{")
    (folder / "strips/1985/my-favourite.gif").write_bytes(picture(NEXT))
    with Manifest(folder):
        pass
    assert files(folder) == ["manifest.jsonl", FILE, "strips/1985/my-favourite.gif"]


# ---------------------------------------------------------------------------------------------
# Whatever a line says, and whatever stands in the folder


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("time", value) for value in ("soon", 7, None, "0001-01-01T00:00:00+00:00", "9" * 30)),
        *(("bytes", value) for value in (float("inf"), -1, True, "100", None, 1e300, [1])),
        *(("source", value) for value in ("missing", "not asked", "", 7, "\udfff", "x" * 99)),
        *(("sha256", value) for value in ("", "0", 5, "g" * 64, "\udfff" * 64)),
        *(("status", value) for value in ("OK", 5, ["ok"], "okay")),
        *(("date", value) for value in ("19850312", "1985-W11-2", 5, "1985-03-12T00")),
    ],
)
def test_a_line_with_a_value_of_another_kind_is_made_again_from_the_file(folder, name, value):
    (line,) = lines(folder)
    (folder / "manifest.jsonl").write_text(json.dumps({**line, name: value}) + "\n")
    with Manifest(folder) as manifest:
        assert manifest.is_there(DAY)
        assert manifest.entries[DAY].column == "disk"
    assert [line["source"] for line in lines(folder)] == ["disk"]


def test_a_line_that_is_longer_than_any_costs_no_other(folder):
    path = folder / "manifest.jsonl"
    path.write_bytes(b'{"date": "' + b"9" * 300_000 + b'"}\n' + path.read_bytes())
    with Manifest(folder) as manifest:
        assert manifest.is_there(DAY)
    assert len(lines(folder)) == 1


def test_lines_of_the_first_version_are_read(tmp_path):
    """As garfield_vae 1 wrote them."""
    old = [
        '{"date": "1985-03-12", "status": "ok", "source": "uclick", "url": "https://x/ga850312.gif"'
        f', "sha256": "{"0a" * 32}", "bytes": 24130, "size": [600, 175], '
        '"time": "2026-11-23T12:00:00+00:00"}',
        '{"date": "1985-03-13", "status": "missing", "reason": "uclick: gone", '
        '"time": "2026-11-23T12:00:02+00:00"}',
    ]
    (tmp_path / "manifest.jsonl").write_text("\n".join(old) + "\n")
    with Manifest(tmp_path) as manifest:
        assert manifest.entries == {
            DAY: Entry("ok", "uclick", "0a" * 32, 24130, date(2026, 11, 23)),
            NEXT: Entry("missing", "", "", 0, date(2026, 11, 23)),
        }


def test_what_is_no_file_in_its_years_folder_is_passed_over(folder):
    strips = folder / "strips"
    (strips / "backup").mkdir()
    shutil.copy(folder / FILE, strips / "backup/1985-03-11.gif")
    (strips / "1985/1985-03-13.gif").symlink_to("nowhere.gif")
    os.mkfifo(strips / "1985/1985-03-14.gif")
    (strips / "1985/1985-03-15.gif").mkdir()
    (strips / ".x.tmp").mkdir()
    (strips / "1985/.x.tmp").mkdir()
    os.mkfifo(folder / ".y.tmp")
    with Manifest(folder) as manifest:
        assert manifest.is_there(DAY)
        assert not any(manifest.is_there(date(1985, 3, day)) for day in (11, 13, 14, 15))
        assert manifest.strays == [
            "strips/1985/1985-03-13.gif",
            "strips/1985/1985-03-14.gif",
            "strips/1985/1985-03-15.gif",
            "strips/backup/1985-03-11.gif",
        ]


def test_days_whose_place_is_taken_by_a_pipe_or_a_link_are_kept_all_the_same(folder):
    for day, make in ((13, os.mkfifo), (14, lambda path: path.symlink_to("nowhere.gif"))):
        make(folder / f"strips/1985/1985-03-{day}.gif")
    with Manifest(folder) as manifest:
        for day in (13, 14):
            manifest.keep(date(1985, 3, day), "uclick", "", picture(date(1985, 3, day)))
    assert len(files(folder)) == 4


def test_a_folder_in_a_strips_place_is_one_failed_day(folder):
    (folder / "strips/1985/1985-03-13.gif").mkdir()
    with Manifest(folder) as manifest, pytest.raises(BrokenImage, match="a folder stands in its"):
        manifest.keep(NEXT, "uclick", "", picture(NEXT))


def test_a_manifest_that_is_no_file_holds_nobody_up(folder):
    (folder / "manifest.jsonl").unlink()
    os.mkfifo(folder / "manifest.jsonl")
    with pytest.raises(OSError, match="not a regular file"), Manifest(folder):
        pass


def test_what_was_set_aside_before_stays(folder):
    for content in (b"first", b"second"):
        (folder / "strips/1985/1985-03-13.gif").write_bytes(content)
        with Manifest(folder) as manifest:
            assert not manifest.is_there(NEXT)
    aside = folder / "set-aside"
    assert (aside / "1985-03-13.gif").read_bytes() == b"first"
    assert (aside / "1985-03-13.2.gif").read_bytes() == b"second"


def test_a_folder_that_is_read_only_is_read_and_left_as_it_is(folder):
    (folder / "strips/1985/1985-03-13.gif").write_bytes(picture(NEXT))
    (folder / "strips/1985/.1985-03-14.gif.x.tmp").write_bytes(b"")
    before = files(folder)
    with Manifest(folder, writable=False) as manifest:
        assert manifest.is_there(DAY)
        assert manifest.is_there(NEXT)
        assert manifest.entries[NEXT].column == "disk"
    assert files(folder) == before
    assert len(lines(folder)) == 1
