"""Any folder: what its names do not say is looked up, and what cannot be used is said."""

import os
import shutil
import zipfile
from pathlib import Path

import pytest
from strip_pictures import encoded, save_strips, strip_picture

from garfield_vae.data import library
from garfield_vae.data.build import build_store
from garfield_vae.data.library import Library
from garfield_vae.util.errors import UserError


@pytest.fixture
def strips(tmp_path) -> Path:
    save_strips(tmp_path / "strips", 22)
    return tmp_path / "strips"


def test_pictures_whose_names_have_no_extension_are_known_by_their_first_bytes(strips, tmp_path):
    for path in list(strips.rglob("*.gif")):
        path.rename(
            path.with_name(f"{path.stem}" if path.stem < "2001-01-12" else f"{path.name}?w=9")
        )
    for number, format in enumerate(("JPEG", "PNG", "WEBP", "AVIF", "BMP", "TIFF")):
        picture = strip_picture(colours=((9, 99, 40 * number),) * 3)
        (strips / f"{number:032x}").write_bytes(encoded(picture, format))
    (strips / "Makefile").write_text("all:\n")
    found = Library(strips)
    assert (len(found.files), dict(found.passed_over)["without an extension"]) == (28, 1)
    with zipfile.ZipFile(tmp_path / "strips.zip", "w") as archive:
        for path in strips.rglob("*"):
            archive.write(path, path.relative_to(strips))
    packed = Library(tmp_path / "strips.zip")
    assert (len(packed.files), packed.passed_over["without an extension"]) == (28, 1)
    assert len(build_store(strips, tmp_path / "data")) == 28


def test_a_tiff_of_several_pages_is_counted_also_when_nothing_has_changed(strips, tmp_path, capsys):
    scan, page = strip_picture(colours=((9, 99, 40),) * 3), strip_picture()
    pages = encoded(scan, "TIFF", save_all=True, append_images=[page, page])
    reduced = encoded(strip_picture(colours=((99, 9, 40),) * 3), "TIFF", save_all=True,
                      append_images=[page], tiffinfo={254: 1})  # fmt: skip
    (strips / "scans.tif").write_bytes(pages)
    (strips / "copy.tif").write_bytes(pages)  # left out as the same picture, and not counted again
    (strips / "with a smaller copy.tif").write_bytes(reduced)
    for new in ("", "one more.png"):
        if new:
            colours = ((40, 9, 9), (9, 99, 9), (9, 9, 99))
            (strips / new).write_bytes(encoded(strip_picture(colours=colours), "PNG"))
        build_store(strips, tmp_path / "data")
        said = "1 TIFF has several pages, of which only the first is used"
        assert said in capsys.readouterr().out
    for path in strips.rglob("*.gif"):
        path.unlink()
    with pytest.raises(UserError, match=r"usable strips.*; 1 TIFF has several pages"):
        build_store(strips, tmp_path / "data")


def test_too_few_strips_beside_archives_that_cannot_be_read_are_said_with_what_to_do(tmp_path):
    folder = tmp_path / "comics"
    folder.mkdir()
    for year in range(1985, 1988):
        (folder / f"{year}.cbr").write_bytes(b"Rar!\x1a\x07\0")
    with pytest.raises(UserError, match=r"0 usable strips.*passed over: 3 \.cbr \(.*unpack"):
        build_store(folder, tmp_path / "data")
    with pytest.raises(UserError, match=r"1985\.cbr cannot be read .*unpack it"):
        build_store(folder / "1985.cbr", tmp_path / "data")


def test_an_archive_within_an_archive_is_counted_as_one(strips, tmp_path, capsys):
    with zipfile.ZipFile(strips / "old.zip", "w") as archive:
        archive.writestr("1984.zip", b"PK")
    build_store(strips, tmp_path / "data")
    printed = capsys.readouterr().out
    assert "passed over: 1 .zip within an archive (of archives, .zip, .cbz and .tar" in printed


def test_a_folder_below_that_cannot_be_read_is_counted_and_the_folder_itself_is_an_error(
    strips, tmp_path, monkeypatch, capsys
):
    walk = os.walk

    def refusing(place, onerror):
        onerror(PermissionError(13, "Permission denied", str(refused)))
        yield from walk(place, onerror=onerror)

    monkeypatch.setattr(library.os, "walk", refusing)
    refused = strips / "lost+found"
    assert len(build_store(strips, tmp_path / "data")) == 22
    assert "passed over: 1 folder that cannot be read" in capsys.readouterr().out
    refused = strips
    with pytest.raises(UserError, match=r"strips cannot be read \(Permission denied\)"):
        build_store(strips, tmp_path / "data")


def test_files_that_are_left_out_for_one_reason_are_named_together(strips, tmp_path, capsys):
    for name in ("a.gif", "b.gif", "c.gif", "d.gif"):
        (strips / name).write_text("<html>")
    (strips / "huge.png").write_bytes(encoded(strip_picture(10_001, 100), "PNG"))
    (strips / "sunday.png").write_bytes(encoded(strip_picture(600, 430), "PNG"))
    shutil.copy(strips / "2001" / "2001-01-01.gif", strips / "again.gif")
    build_store(strips, tmp_path / "data")
    assert (
        "6 left out: 1 of another shape (sunday.png) (--keep_all would keep these), "
        "a.gif, b.gif, c.gif and 1 more (it is not a GIF, JPEG, PNG, WebP, AVIF, BMP or TIFF "
        "picture), huge.png (10001×100 pixels are more than a strip has)\n"
        "Also: 1 file is the same picture as another, used once" in capsys.readouterr().out
    )


def test_what_a_model_has_drawn_is_nothing_to_train_on(tmp_path):
    for name in ("mine.gif", "logs/run/pictures/samples.png", "logs/pretrained/processed/walk.gif"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "logs/run/checkpoints").mkdir()
    (tmp_path / "logs/run/options.json").touch()
    (tmp_path / "logs/pretrained/processed/model.json").touch()
    library = Library(tmp_path)
    assert [file["path"] for file in library.files] == ["mine.gif"]
    assert +library.passed_over == {"folder of a run": 2}
