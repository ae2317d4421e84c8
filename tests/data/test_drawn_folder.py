"""A folder of drawn strips: laid out as downloaded ones, resumed after anything."""

import datetime
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from garfield_vae.data.drawn import FIRST_DAY, dailies, draw_folder, draw_strip, imagine
from garfield_vae.util.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def factors(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "factors.jsonl").read_text().splitlines()]


def test_dailies_leave_out_sundays():
    days = list(dailies(datetime.date(1978, 6, 24), 3))  # a Saturday
    assert [day.isoformat() for day in days] == ["1978-06-24", "1978-06-26", "1978-06-27"]


def test_a_folder_has_a_gif_a_day_and_a_line_of_factors_a_day(tmp_path):
    draw_folder(tmp_path, 7, 3, datetime.date(1978, 12, 28))
    names = [
        "1978/1978-12-28", "1978/1978-12-29", "1978/1978-12-30", "1979/1979-01-01",
        "1979/1979-01-02", "1979/1979-01-03", "1979/1979-01-04",
    ]  # fmt: skip
    wanted = {f"strips/{name}.gif" for name in names} | {"factors.jsonl", "drawn.json"}
    assert set(contents(tmp_path)) == wanted
    assert [line["date"] for line in factors(tmp_path)] == [name[5:] for name in names]
    for name, line in zip(names, factors(tmp_path), strict=True):
        image, truth = draw_strip(3, datetime.date.fromisoformat(name[5:]))
        assert line == truth
        with Image.open(tmp_path / "strips" / f"{name}.gif") as file:
            assert (np.asarray(file.convert("RGB")) == np.asarray(image.convert("RGB"))).all()


def test_strips_can_be_read_by_whom_the_umask_lets(tmp_path):
    before = os.umask(0o027)
    try:
        draw_folder(tmp_path, 30, 0, FIRST_DAY)
    finally:
        after = os.umask(before)
    assert after == 0o027
    assert {path.stat().st_mode & 0o777 for path in tmp_path.rglob("*.gif")} == {0o640}


def test_only_what_is_missing_is_drawn(tmp_path, capsys):
    draw_folder(tmp_path, 10, 0, FIRST_DAY)
    before = contents(tmp_path)
    kept = tmp_path / "strips/1978/1978-06-20.gif"
    kept.write_bytes(b"left as it is")
    (tmp_path / "strips/1978/1978-06-21.gif").unlink()
    draw_folder(tmp_path, 12, 0, FIRST_DAY)
    assert "drew 3 strips, 9 were there" in capsys.readouterr().out
    assert kept.read_bytes() == b"left as it is"
    after = contents(tmp_path)
    assert after["strips/1978/1978-06-21.gif"] == before["strips/1978/1978-06-21.gif"]
    assert len(factors(tmp_path)) == 12


def test_earlier_days_keep_their_factors_when_others_are_drawn(tmp_path):
    draw_folder(tmp_path, 3, 0, datetime.date(1980, 1, 7))
    draw_folder(tmp_path, 2, 0, datetime.date(1979, 1, 1))
    dates = [line["date"] for line in factors(tmp_path)]
    assert dates == ["1979-01-01", "1979-01-02", "1980-01-07", "1980-01-08", "1980-01-09"]


def test_torn_factors_are_mended(tmp_path):
    draw_folder(tmp_path, 6, 0, FIRST_DAY)
    whole = (tmp_path / "factors.jsonl").read_bytes()
    for torn in (
        whole[: len(whole) // 2],
        b"",
        b"\xff\x00\n[]\n" + whole,
        b'{"date": 3}\n' + whole,
    ):
        (tmp_path / "factors.jsonl").write_bytes(torn)
        draw_folder(tmp_path, 6, 0, FIRST_DAY)
        assert (tmp_path / "factors.jsonl").read_bytes() == whole
    (tmp_path / "factors.jsonl").unlink()
    draw_folder(tmp_path, 6, 0, FIRST_DAY)
    assert (tmp_path / "factors.jsonl").read_bytes() == whole


def test_a_folder_drawn_with_another_seed_is_refused_and_left_alone(tmp_path):
    draw_folder(tmp_path, 2, 4, FIRST_DAY)
    before = contents(tmp_path)
    with pytest.raises(UserError, match=r"seed.*4.*seed.*5.*remove the folder"):
        draw_folder(tmp_path, 9, 5, FIRST_DAY)
    assert contents(tmp_path) == before


def test_a_folder_of_strips_that_were_not_drawn_is_refused_and_left_alone(tmp_path):
    place = tmp_path / "strips" / "1985"
    place.mkdir(parents=True)
    (place / "1985-01-01.gif").write_bytes(b"a real strip")
    with pytest.raises(UserError, match="not drawn here"):
        draw_folder(tmp_path, 2, 0, FIRST_DAY)
    assert list(contents(tmp_path)) == ["strips/1985/1985-01-01.gif"]


@pytest.mark.parametrize("record", [b"", b"{", b"\xff\xfe", b"[1]", b"null", b'{"seed": 0}'])
def test_a_folder_whose_record_is_broken_is_refused_and_named(tmp_path, record):
    (tmp_path / "drawn.json").write_bytes(record)
    with pytest.raises(UserError, match=str(tmp_path)):
        draw_folder(tmp_path, 2, 0, FIRST_DAY)


def test_a_file_in_place_of_the_folder_is_refused_and_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file"):
        draw_folder(tmp_path / "file", 2, 0, FIRST_DAY)


@pytest.mark.parametrize(
    ("count", "seed", "first", "what"),
    [
        (0, 0, FIRST_DAY, "0 drawn strips"),
        (3, -1, FIRST_DAY, "seed of drawn strips is -1"),
        (99, 0, datetime.date(9999, 12, 1), "9999"),
    ],
)
def test_a_count_seed_or_day_that_cannot_be_drawn_is_refused(tmp_path, count, seed, first, what):
    with pytest.raises(UserError, match=what):
        draw_folder(tmp_path / "new", count, seed, first)
    assert not (tmp_path / "new").exists()


def test_a_run_that_is_killed_leaves_whole_strips_and_the_next_one_goes_on(tmp_path):
    code = (
        "import sys; from pathlib import Path; from garfield_vae.data.drawn import *\n"
        "draw_folder(Path(sys.argv[1]), 10_000, 0, FIRST_DAY)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT)
    strips = tmp_path / "strips" / "1978"
    while not strips.is_dir() or sum(path.suffix == ".gif" for path in strips.iterdir()) < 25:
        assert child.poll() is None
    child.kill()
    assert child.wait() == -9

    drawn = sorted(tmp_path.rglob("*.gif"))
    assert 25 <= len(drawn) < 10_000
    for path in drawn:
        image, _ = draw_strip(0, datetime.date.fromisoformat(path.stem))
        with Image.open(path) as file:
            assert (np.asarray(file.convert("RGB")) == np.asarray(image.convert("RGB"))).all()

    draw_folder(tmp_path, len(drawn) + 5, 0, FIRST_DAY)
    days = list(dailies(FIRST_DAY, len(drawn) + 5))
    assert [path.stem for path in sorted(tmp_path.rglob("*.gif"))] == [str(day) for day in days]
    assert factors(tmp_path) == [imagine(0, day) for day in days]
