"""Strips in archives: as the folder itself or in one, with hostile ones among them."""

import errno
import gzip
import io
import json
import os
import resource
import tarfile
import tempfile
import zipfile
from datetime import date, timedelta

import pytest
from strip_pictures import encoded, save_strips, strip_picture

from garfield_vae.data import archives
from garfield_vae.data.archives import Archive, BrokenArchive
from garfield_vae.data.build import build_store
from garfield_vae.data.images import BrokenImage


@pytest.fixture
def pictures(tmp_path):
    """24 strips by path."""
    paths = save_strips(tmp_path / "pictures", 24, date(2001, 1, 1))
    return {f"2001/{path.name}": path.read_bytes() for path in paths}


def write_zip(path, files):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def write_tar(path, files, mode="w"):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


DATES = [str(date(2001, 1, 1) + timedelta(day)) for day in range(24)]


@pytest.mark.parametrize(
    "name", ["a.zip", "a.CBZ", "a.tar", "a.tar.gz", "a.tgz", "a.tar.bz2", "a.tar.xz"]
)
def test_an_archive_is_a_folder_of_strips_by_itself_and_inside_of_one(tmp_path, pictures, name):
    place = tmp_path / "mine" / "deep" / name
    if ".t" in name:
        mode = {"gz": "w:gz", "bz2": "w:bz2", "xz": "w:xz"}
        write_tar(place, pictures, mode.get(name.replace("tgz", "gz").split(".")[-1], "w"))
    else:
        write_zip(place, pictures)
    alone = build_store(place, tmp_path / "alone", 16, 16)
    inside = build_store(tmp_path / "mine", tmp_path / "inside", 16, 16)
    assert alone.names == inside.names == DATES
    assert (alone.panels == inside.panels).all()


def test_an_archive_is_known_by_its_first_bytes_whatever_it_is_called(tmp_path, pictures):
    windows = {name.replace("/", "\\"): content for name, content in pictures.items()}
    place = write_zip(tmp_path / "a.zip", windows | {"__MACOSX\\x.gif": b"\0"})
    place.rename(tmp_path / "1985.cbr")
    write_tar(tmp_path / "b.tar", pictures, "w:xz").rename(tmp_path / "b.tgz")
    write_tar(tmp_path / "PK.tar", {"PK " + name: content for name, content in pictures.items()})
    assert len(build_store(tmp_path / "PK.tar", tmp_path / "PK", 16, 16)) == 24
    (tmp_path / "c.cbz").write_bytes(b"Rar!\x1a\x07\0")
    for name in ("1985.cbr", "b.tgz"):
        assert build_store(tmp_path / name, tmp_path / f"of {name}", 16, 16).names == DATES
    with pytest.raises(BrokenArchive, match="it is a RAR or 7z archive: unpack it"):
        Archive(tmp_path / "c.cbz")


def test_what_systems_add_and_what_is_no_picture_is_passed_over(tmp_path, pictures, capsys):
    more = {"__MACOSX/2001/._x.gif": b"\0", "2001/.DS_Store": b"", "ComicInfo.xml": b"<x/>"}
    write_zip(tmp_path / "a.cbz", pictures | more | {"inner.zip": b"PK"})
    assert build_store(tmp_path / "a.cbz", tmp_path / "work", 16, 16).names == DATES
    printed = capsys.readouterr().out
    assert "passed over: 1 .xml, 1 .zip" in printed
    assert "left out" not in printed


def test_an_unchanged_archive_is_not_opened_again(tmp_path, pictures, monkeypatch):
    place = write_tar(tmp_path / "mine" / "a.tar.gz", pictures, "w:gz")
    first = build_store(tmp_path / "mine", tmp_path / "work", 16, 16).digest
    monkeypatch.setattr("garfield_vae.data.library.Archive", None)
    assert build_store(tmp_path / "mine", tmp_path / "work", 16, 16).digest == first
    monkeypatch.undo()
    place.unlink()
    write_tar(place, dict(list(pictures.items())[:21]), "w:gz")
    assert build_store(tmp_path / "mine", tmp_path / "work", 16, 16).names == DATES[:21]


def test_paths_that_climb_and_links_are_counted_and_no_members(tmp_path, pictures, capsys):
    hostile = dict.fromkeys(("../a.gif", "x/../../c.gif", "..\\d.gif", "C:/e.gif"), b"x")
    for path in (write_zip(tmp_path / "a.zip", hostile), write_tar(tmp_path / "a.tar", hostile)):
        archive = Archive(path)
        assert (archive.sizes, archive.passed_over["path out of its archive"]) == ({}, 4)
    write_tar(tmp_path / "links.tar", pictures)
    with tarfile.open(tmp_path / "links.tar", "a") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE):
            link = tarfile.TarInfo("a.gif")
            link.type, link.linkname = kind, "/etc/passwd"
            archive.addfile(link)
    assert build_store(tmp_path / "links.tar", tmp_path / "work", 16, 16).names == DATES
    assert "passed over: 3 as links or devices" in capsys.readouterr().out


@pytest.mark.parametrize("write", [write_zip, write_tar])
def test_members_with_longer_names_than_any_file_has_are_counted_and_not_read_for_dates(
    tmp_path, pictures, capsys, write
):
    longest = {"/".join(["é" * 251 + ".gif"] * 16): encoded(strip_picture(), "GIF")}
    too_long = {"1985 " * 12_000 + ".gif": b"", "é" * 252 + ".gif": b"", "a/" * 2048 + "b.gif": b""}
    place = write(tmp_path / "a", pictures | longest | too_long)
    place = place.rename(place.with_suffix(".zip" if write is write_zip else ".tar"))
    assert len(build_store(place, tmp_path / "work", 16, 16)) == 25
    assert "passed over: 3 with a longer name than files have" in capsys.readouterr().out


def test_a_hard_link_is_the_file_before_it_that_it_names(tmp_path, pictures, capsys):
    place = tmp_path / "a.tar"
    dated, linked = list(pictures.items())[:21], list(pictures.items())[21:]
    write_tar(place, dict(dated) | {f"new {number}.gif": c for number, (_, c) in enumerate(linked)})
    links = {name: f"new {number}.gif" for number, (name, _) in enumerate(linked)}
    links |= {"again.gif": linked[0][0], "itself.gif": "itself.gif", "to a later one.gif": "x.gif"}
    with tarfile.open(place, "a") as archive:
        for name, target in links.items():
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.LNKTYPE, target
            archive.addfile(link)
        archive.addfile(tarfile.TarInfo("x.gif"))
    assert Archive(place).read("again.gif") == linked[0][1]
    assert build_store(place, tmp_path / "work", 16, 16).names == DATES
    assert "passed over: 2 as links or devices" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("form", ["zip", "tar"])
def test_of_members_with_one_name_the_last_is_read_and_the_others_are_counted(
    tmp_path, pictures, capsys, form
):
    place, name = tmp_path / f"a.{form}", "2001/2001-01-01.gif"
    (write_zip if form == "zip" else write_tar)(place, pictures)
    for content in (b"not read", pictures[name]):
        if form == "zip":
            with zipfile.ZipFile(place, "a") as archive:
                archive.writestr(name, content)
        else:
            with tarfile.open(place, "a") as archive:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    assert build_store(place, tmp_path / "work", 16, 16).names == DATES
    assert "passed over: 2 with the name of a later one" in capsys.readouterr().out


@pytest.mark.parametrize("write", [write_zip, write_tar])
def test_a_colon_in_a_folders_name_makes_no_drive_of_it(tmp_path, pictures, write):
    titled = {f"Garfield: {name}": content for name, content in pictures.items()}
    assert Archive(write(tmp_path / "a", titled)).sizes.keys() == titled.keys()


@pytest.mark.parametrize("write", [write_zip, write_tar])
def test_absolute_paths_are_read_as_if_they_began_in_the_archive(tmp_path, pictures, write):
    absolute = {f"/home/me/{name}": content for name, content in pictures.items()}
    place = write(tmp_path / "a.archive", absolute)
    place = place.rename(place.with_suffix(".zip" if write is write_zip else ".tar"))
    assert build_store(place, tmp_path / "work", 16, 16).names == DATES


def test_an_archive_that_an_earlier_version_listed_with_backslashes_is_still_read(
    tmp_path, pictures
):
    windows = {name.replace("/", "\\"): content for name, content in pictures.items()}
    place = write_zip(tmp_path / "a.zip", windows)
    build_store(place, tmp_path / "work", 16, 16)
    index = tmp_path / "work" / "panels-16x16.json"
    index.write_text(index.read_text().replace("2001/2001-", "2001\\\\2001-"))
    assert "2001\\2001-01-01.gif" in json.loads(index.read_text())["archives"][""]["members"]
    assert build_store(place, tmp_path / "work", 16, 16, keep_all=True).names == DATES


def test_a_picture_that_unpacks_to_more_than_a_picture_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_BYTES", 1000)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.gif", bytes(100_000))
    with pytest.raises(BrokenImage, match="larger"):
        Archive(tmp_path / "a.zip").read("bomb.gif")


def test_a_packed_tar_that_unpacks_to_far_more_than_pictures_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "ALWAYS_ALLOWED", 1_000_000)
    with gzip.open(tmp_path / "bomb.tgz", "wb") as packed:
        packed.write(bytes(10_000_000))
    with pytest.raises(BrokenArchive, match="far more than pictures"):
        Archive(tmp_path / "bomb.tgz")


def test_damaged_archives_are_named_and_the_rest_is_used(tmp_path, pictures, capsys):
    folder = tmp_path / "mine"
    write_zip(folder / "good.zip", pictures)
    whole = write_tar(tmp_path / "whole.tar.gz", pictures, "w:gz").read_bytes()
    (folder / "half.tar.gz").write_bytes(whole[: len(whole) // 2])
    (folder / "page.zip").write_text("<html>")
    (folder / "empty.tar.xz").write_bytes(b"")
    for _ in range(2):
        assert build_store(folder, tmp_path / "work", 16, 16).names == DATES
        printed = capsys.readouterr().out
        assert "3 left out: empty.tar.xz (it cannot be read" in printed
        assert "half.tar.gz (it cannot be read" in printed
        assert "page.zip (it cannot be read (File is not a zip file))" in printed


def test_there_may_be_more_archives_than_open_files(tmp_path, pictures, capsys):
    for number in range(120):
        name = f"2001/{DATES[number % 24]}.gif"
        write_zip(tmp_path / "mine" / f"{number}.cbz", {name: pictures[name]})
        write_tar(tmp_path / "mine" / f"{number}.tgz", {name: pictures[name]}, "w:gz")
        (tmp_path / "mine" / f"damaged {number}.tgz").write_bytes(b"\x1f\x8b, no more of it")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    try:
        assert build_store(tmp_path / "mine", tmp_path / "work", 16, 16).names == DATES
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    said = capsys.readouterr().out
    assert "120 left out: damaged" in said
    assert "Too many" not in said


def failing(*_):
    raise OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.mark.parametrize(
    ("mode", "place", "fault", "named"),
    [
        ("w", (archives, "open_regular"), failing, "b.tar"),
        ("w", (os, "pread"), failing, "b.tar/one"),  # only the members are read by it
        ("w:gz", (tempfile, "tempdir"), "/no/such/folder", "b.tar"),
    ],
)
def test_what_the_system_did_not_let_be_read_is_tried_again_though_nothing_has_changed(
    tmp_path, pictures, monkeypatch, capsys, mode, place, fault, named
):
    save_strips(tmp_path / "mine", 22)
    unnamed = {"one": encoded(strip_picture(colours=((9, 99, 40),) * 3), "PNG")}
    write_tar(tmp_path / "mine" / "b.tar", unnamed, mode)
    with monkeypatch.context() as patch:
        patch.setattr(*place, fault)
        for _ in range(2):
            assert len(build_store(tmp_path / "mine", tmp_path / "work", 16, 16)) == 22
            assert f"1 left out: {named} (it cannot be read" in capsys.readouterr().out
    assert "b.tar/one" in build_store(tmp_path / "mine", tmp_path / "work", 16, 16).names
    assert "left out" not in capsys.readouterr().out


@pytest.mark.parametrize("write", [write_zip, write_tar])
def test_memory_that_an_archive_lacks_is_its_damage_only_where_there_is_enough(
    tmp_path, pictures, monkeypatch, write
):
    def failing(*_, **__):
        raise MemoryError

    write(tmp_path / "a", pictures)
    archive = Archive(tmp_path / "a")
    monkeypatch.setattr(os, "pread", failing)
    monkeypatch.setattr(tarfile, "open", failing)
    for enough, error in ((False, MemoryError), (True, BrokenImage)):
        monkeypatch.setattr(archives, "can_have", lambda _, enough=enough: enough)
        with pytest.raises(error):
            archive.read("2001/2001-01-01.gif")
        with pytest.raises(error):
            Archive(tmp_path / "a")


@pytest.mark.parametrize("write", [write_zip, write_tar])
def test_a_member_is_read_whole_where_the_system_reads_less_at_a_time_and_the_archive_has_moved(
    tmp_path, pictures, monkeypatch, write
):
    place, pread = write(tmp_path / "a", pictures), os.pread
    archive = Archive(place)
    place.rename(tmp_path / "b")
    monkeypatch.setattr(os, "pread", lambda file, size, at: pread(file, min(size, 99), at))
    assert {name: archive.read(name) for name in pictures} == pictures


def test_an_encrypted_member_is_a_strip_that_is_left_out(tmp_path, pictures):
    place = write_zip(tmp_path / "a.zip", pictures)
    content = bytearray(place.read_bytes())
    for magic, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(magic) + flags] |= 1  # the first member's bit of encryption
    place.write_bytes(content)
    with pytest.raises(BrokenImage, match="encrypted"):
        Archive(place).read("2001/2001-01-01.gif")
    assert build_store(place, tmp_path / "work", 16, 16).names == DATES[1:]


def test_a_folder_in_an_archive_and_the_same_outside_are_one(tmp_path, pictures):
    write_zip(tmp_path / "mine" / "a.zip", pictures)
    (tmp_path / "mine" / "2001-01-01.gif").write_bytes(pictures["2001/2001-01-01.gif"])
    (tmp_path / "mine" / "new.png").write_bytes(encoded(strip_picture(), "PNG"))
    assert build_store(tmp_path / "mine", tmp_path / "work", 16, 16).names == [*DATES, "new"]
