"""From the web to a trained run: train_torch.py downloads first, here from the tests' own site."""

import os
import shutil
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from comic_site import ComicSite
from small_model import SMALL

import train_torch
from garfield_vae.checkpoints import load_run
from garfield_vae.cli.options import TrainOptions
from garfield_vae.data.build import build_store
from garfield_vae.data.drawn import FIRST_DAY, draw_folder, draw_strip
from garfield_vae.data.sources import present_strips
from garfield_vae.util.errors import UserError

ROOT = Path(__file__).parents[2]
TRAIN_TORCH = ROOT / "train_torch.py"


@pytest.fixture
def site():
    with ComicSite() as site:
        yield site


def from_web(site: ComicSite, *more: str) -> list[str]:
    """Arguments that download seven weeks, 42 dailies, and train one epoch of the small model."""
    arguments = (
        f"--source uclick --base_url {site.url} --delay 0 --start 1985-03-11 --end 1985-04-27 "
        "--epochs 1 --run_name run"
    )
    return [*SMALL, *arguments.split(), *more]


def test_strips_are_downloaded_and_trained_on_and_never_asked_for_again(
    site, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert train_torch.main(from_web(site)) == 0
    assert "42 of 42 days are in data/garfield" in capsys.readouterr().out
    assert len(list(tmp_path.glob("data/garfield/strips/1985/*.gif"))) == 42
    assert load_run(tmp_path / "logs/run").model.config["panel_height"] == 32
    asked = list(site.log)
    assert train_torch.main(from_web(site, "--run_name", "again")) == 0
    assert site.log == asked


def test_a_site_without_strips_ends_with_a_sentence_that_says_what_else_to_train_on(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with ComicSite(has=lambda day: False) as site, pytest.raises(UserError) as error:
        train_torch.main(from_web(site))
    sentence = str(error.value)
    assert sentence.startswith("0 of 42 strips could be had")
    assert "--source drawn" in sentence
    assert "--source folder --data_dir DIR" in sentence
    assert not (tmp_path / "logs").exists()


@pytest.mark.parametrize(
    ("kind", "inside"),
    [("has pictures in it", ""), ("has pictures in it", "1978/06"), ("is a file", "")],
)
def test_strips_of_your_own_without_source_folder_are_told_before_any_site_is_asked(
    kind, inside, site, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    draw_folder(tmp_path / "drawn", 24)
    mine = tmp_path / "mine"
    if kind == "is a file":
        shutil.make_archive("mine", "zip", tmp_path / "drawn" / "strips")
        mine = mine.with_suffix(".zip")
    else:
        shutil.copytree(tmp_path / "drawn/strips/1978", mine / inside)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=f"{mine.name} {kind}.*add --source folder; to download"):
        train_torch.main(from_web(site, "--data_dir", mine.name))
    assert (site.log, sorted(tmp_path.rglob("*"))) == ([], before)
    asked = ["--data_dir", mine.name, "--epochs", "1"]
    assert train_torch.main([*SMALL, *asked]) == 0  # SMALL has --source folder


def test_the_demo_draws_no_strips_among_those_of_your_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    draw_folder(tmp_path / "drawn", 24)
    shutil.copytree(tmp_path / "drawn/strips/1978", tmp_path / "mine")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=r"mine has pictures in it.*add --source folder"):
        train_torch.main(["--demo", "--data_dir", "mine"])
    assert sorted(tmp_path.rglob("*")) == before


def test_a_picture_beside_a_download_that_was_begun_does_not_stop_it(site, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine" / "garfield").mkdir(parents=True)
    draw_strip(0, FIRST_DAY)[0].save(tmp_path / "mine" / "a.png")
    assert train_torch.main(from_web(site, "--data_dir", "mine")) == 0


def test_pictures_of_a_run_that_is_there_do_not_stop_it(site, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine" / "run" / "pictures").mkdir(parents=True)
    (tmp_path / "mine" / "run" / "options.json").write_text("{}")
    draw_strip(0, FIRST_DAY)[0].save(tmp_path / "mine" / "run" / "pictures" / "a.png")
    assert train_torch.main(from_web(site, "--data_dir", "mine")) == 0


def test_another_comic_that_was_downloaded_there_does_not_stop_it(site, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    draw_folder(tmp_path / "mine" / "peanuts", 24)
    assert train_torch.main(from_web(site, "--data_dir", "mine")) == 0


def test_a_strip_of_another_comic_that_was_set_aside_does_not_stop_it(site, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine/peanuts/set-aside").mkdir(parents=True)
    (tmp_path / "mine/peanuts/manifest.jsonl").touch()
    draw_strip(0, FIRST_DAY)[0].save(tmp_path / "mine/peanuts/set-aside/1985-03-12.gif")
    assert train_torch.main(from_web(site, "--data_dir", "mine")) == 0


def test_a_sunday_alone_is_downloaded_and_is_nothing_to_train_on(site, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sunday = ["--start", "1985-03-17", "--end", "1985-03-17", "--sundays"]
    with pytest.raises(UserError, match=r"^data/garfield has no daily to train on: give a longer"):
        train_torch.main(from_web(site, *sunday))
    assert (tmp_path / "data/garfield/sundays/1985/1985-03-17.gif").is_file()


@pytest.mark.parametrize("name", ["data", "data/", "./data/.", "../here/data", "link"])
def test_the_projects_own_data_folder_is_not_strips_of_your_own_however_it_is_named(
    name, tmp_path, monkeypatch
):
    (tmp_path / "here/data").mkdir(parents=True)
    (tmp_path / "here/link").symlink_to("data")
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(UserError, match="--source folder trains on strips of your own"):
        train_torch.main([*SMALL, "--data_dir", name, "--epochs", "1"])


def test_a_runs_strips_in_a_place_that_cannot_be_reached_any_more_are_a_sentence(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    options = TrainOptions(source="folder", data_dir=str(tmp_path / "loop/x"))
    with pytest.raises(UserError, match="say where they are now with --data_dir"):
        present_strips(options)


def test_strips_that_all_show_one_picture_are_too_few_to_train_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    strip = draw_strip(0, FIRST_DAY)[0].convert("RGB")
    for day in range(1, 31):
        strip.putpixel((5, 5), (day, 0, 0))
        (tmp_path / "mine").mkdir(exist_ok=True)
        strip.save(tmp_path / "mine" / f"1985-03-{day:02}.png")
    with pytest.raises(UserError, match="show too few different pictures"):
        train_torch.main([*SMALL, "--data_dir", "mine", "--epochs", "1"])
    assert not (tmp_path / "logs").exists()


BUILD = """
from garfield_vae.cli.options import TrainOptions
from garfield_vae.data.sources import present_strips
options = TrainOptions(source="drawn", count=24, data_dir="disk", panel_height=32, panel_width=40)
print(len(present_strips(options)))
"""


def test_a_complete_folder_that_was_copied_to_a_read_only_disk_is_used_from_there(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "disk" / "drawn-24"
    draw_folder(folder, 24)
    build_store(folder / "strips", folder, 32, 40)
    for path in (*folder.rglob("*"), folder):  # a copy's files have other times
        os.utime(path)
        path.chmod(0o555 if path.is_dir() else 0o444)
    bound = ["setpriv", "--bounding-set=-dac_override"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*bound, sys.executable, "-c", BUILD], env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True,
    )  # fmt: skip
    folder.chmod(0o755)
    assert done.stdout.endswith("24\n"), done.stderr
    assert len(list(tmp_path.glob("data/drawn-24-*/panels-32x40.npy"))) == 1


def test_training_goes_on_with_fewer_strips_than_asked_when_there_are_hundreds(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("garfield_vae.data.sources.ENOUGH_STRIPS", 30)
    with ComicSite(has=lambda day: day < date(1985, 4, 16)) as site:
        assert train_torch.main(from_web(site)) == 0
    assert "Training goes on with the 31 strips that are there." in capsys.readouterr().out


def test_ctrl_c_while_it_downloads_gives_the_report_and_status_130(site, tmp_path):
    def interrupt(request):
        os.kill(running.pid, signal.SIGINT)
        site.closing.wait(60)  # the answer never comes

    site.fail("/comics/ga/1985/ga850314.gif", interrupt)
    running = subprocess.Popen(
        [sys.executable, str(TRAIN_TORCH), *from_web(site)],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    printed, errors = running.communicate()
    assert running.returncode == 130
    assert "3 of 42 days are in data/garfield" in printed
    assert "nothing is lost: the same command goes on from here" in printed
    assert "Traceback" not in errors
    assert len(list(tmp_path.glob("data/garfield/strips/1985/*.gif"))) == 3
    assert not (tmp_path / "logs").exists()
