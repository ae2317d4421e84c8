import errno
import json
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from strip_pictures import encoded, save_strips, strip_picture

from garfield_vae.data import cutting, images
from garfield_vae.data.build import build_store
from garfield_vae.data.drawn import draw_strip
from garfield_vae.data.images import open_strip
from garfield_vae.data.panels import cut_panels
from garfield_vae.data.store import PanelStore, StaleStore
from garfield_vae.util.errors import UserError


@pytest.fixture
def strips(tmp_path) -> Path:
    save_strips(tmp_path / "strips", 22)
    return tmp_path / "strips"


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def cut(monkeypatch) -> list:
    """Counts the strips that are really cut."""
    pictures = []

    def counting(image, *arguments):
        pictures.append(image)
        return cut_panels(image, *arguments)

    monkeypatch.setattr("garfield_vae.data.cutting.cut_panels", counting)
    return pictures


def test_a_store_holds_every_strip_by_date_with_its_panels(strips, folder):
    store = build_store(strips, folder)
    paths = sorted(strips.rglob("*.gif"))
    assert store.names == [path.stem for path in paths]
    assert (store.panels.shape, store.panels.dtype) == ((22, 3, 3, 176, 200), np.uint8)
    for row in (0, 9, 21):
        assert (store.panels[row] == cut_panels(open_strip(paths[row]))).all()
    assert sorted(path.name for path in folder.iterdir()) == [
        "panels-176x200.json",
        "panels-176x200.npy",
    ]


@pytest.mark.parametrize(("limit", "most"), [(600 * 175, 1), (600 * 175 + 1, 8)])
def test_large_pictures_are_never_in_memory_together(strips, folder, monkeypatch, limit, most):
    opened, together = [], []

    def opening(content):
        opened.append(open_strip(content))
        return opened[-1]

    def cutting(image, *arguments):
        together.append(len(opened))
        opened.remove(image)
        return cut_panels(image, *arguments)

    monkeypatch.setattr("garfield_vae.data.cutting._cores", lambda: 1)
    monkeypatch.setattr("garfield_vae.data.cutting.open_strip", opening)
    monkeypatch.setattr("garfield_vae.data.cutting.cut_panels", cutting)
    monkeypatch.setattr("garfield_vae.data.cutting.LARGE_PICTURE", limit)
    assert len(build_store(strips, folder)) == 22
    assert max(together) == most


@pytest.fixture
def processes(monkeypatch):
    """Two of them cut, however few the strips are; started as copies of this one."""
    monkeypatch.setattr("garfield_vae.data.cutting._cores", lambda: 2)
    monkeypatch.setattr("garfield_vae.data.cutting.START", "fork")
    monkeypatch.setattr("garfield_vae.data.cutting.WORTH", 10)


@pytest.mark.parametrize("form", [None, "zip", "tar", "gztar"])
def test_several_processes_build_the_store_that_one_builds(
    strips, folder, tmp_path, monkeypatch, processes, cut, form
):
    for day in range(4, 24):  # so large that both read in an archive at the same time
        noise = np.random.default_rng(day).integers(0, 256, (300, 900, 3), np.uint8)
        Image.fromarray(noise).save(strips / f"2000-05-{day:02}.png")
    (strips / "2001" / "2001-01-04.gif").write_bytes(b"GIF89a, and no more of it")
    strip_picture(300, 300).save(strips / "2001" / "2001-01-05.gif")
    place = Path(shutil.make_archive(tmp_path / "packed", form, strips)) if form else strips
    state = torch.get_rng_state()
    together = build_store(place, folder, keep_all=True)
    assert cut == []  # by this process
    assert torch.equal(torch.get_rng_state(), state)
    monkeypatch.setattr("garfield_vae.data.cutting._cores", lambda: 1)
    alone = build_store(place, tmp_path / "alone", keep_all=True)
    assert len(together) == 41
    for name in ("panels-176x200.npy", "panels-176x200.json"):
        assert (folder / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()
    assert (together.panels == alone.panels).all()


def test_processes_that_start_from_nothing_build_the_same_store(
    strips, folder, tmp_path, monkeypatch, processes, cut
):
    monkeypatch.setattr("garfield_vae.data.cutting.START", "spawn")
    packed = Path(shutil.make_archive(tmp_path / "packed", "gztar", strips))
    together = build_store(packed, folder)
    assert cut == []
    monkeypatch.setattr("garfield_vae.data.cutting._cores", lambda: 1)
    assert (together.panels == build_store(strips, tmp_path / "alone").panels).all()


STUCK = """
import signal, sys
from pathlib import Path
from garfield_vae.data import build, cutting
cutting._cores, cutting.WORTH, cutting.START = lambda: 2, 10, "fork"
cutting.cut_panels = lambda *_: (print("cutting", flush=True), signal.pause())
build.build_store(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def test_the_processes_end_with_the_one_that_started_them(strips, folder):
    command = [sys.executable, "-c", STUCK, strips, folder]
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        command, cwd=root, stdout=subprocess.PIPE, start_new_session=True
    ) as build:
        try:
            begun = build.stdout.read(1)
            build.kill()
            build.communicate(timeout=60)  # until no process holds its output any more
        finally:
            with suppress(ProcessLookupError):
                os.killpg(build.pid, signal.SIGKILL)
    assert begun == b"c"


@pytest.fixture
def handled():
    """SIGTERM unwinds this process, as it does a script."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("error", [BlockingIOError(errno.EAGAIN, "refused"), RuntimeError()])
@pytest.mark.parametrize("allowed", [0, 1])
def test_one_process_builds_the_store_where_the_system_allows_no_more(
    strips, folder, monkeypatch, processes, cut, handled, allowed, error
):
    forks, fork = [], os.fork

    def refused():
        if len(forks) == allowed:
            raise error
        forks.append(1)
        return fork()

    monkeypatch.setattr(os, "fork", refused)
    assert len(build_store(strips, folder)) == len(cut) == 22
    assert (len(forks), multiprocessing.active_children()) == (allowed, [])


def test_one_process_builds_the_store_where_there_is_no_room_for_shared_memory(
    strips, folder, monkeypatch, processes, cut
):
    """Shared memory is a file. It has its size at once and its bytes when they are written, where a
    full disk is a SIGBUS: so they are asked for before."""
    asked = []

    def full(descriptor, start, size):
        asked.append((os.fstat(descriptor).st_size, start, size))
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    assert len(build_store(strips, folder)) == len(cut) == 22
    ((whole, start, size),) = asked
    assert (start, size) == (0, whole)
    assert multiprocessing.active_children() == []


def test_an_interrupted_start_leaves_no_process(strips, folder, monkeypatch, processes, handled):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("concurrent.futures.process._ExecutorManagerThread", interrupted)
    with pytest.raises(KeyboardInterrupt):
        build_store(strips, folder)
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("last", [0, 12])  # pictures that a process cuts before it is ended
def test_where_the_system_ends_a_process_this_one_goes_on_alone(
    strips, folder, tmp_path, monkeypatch, processes, cut, handled, last
):
    save_strips(strips, 60)
    counting, parent = cutting.cut_panels, os.getpid()

    def ended(*arguments):
        if os.getpid() != parent and len(cut) == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return counting(*arguments)

    monkeypatch.setattr(cutting, "cut_panels", ended)
    together = build_store(strips, folder)
    assert 0 < len(cut) <= 60
    assert multiprocessing.active_children() == []
    monkeypatch.setattr(cutting, "_cores", lambda: 1)
    assert together.digest == build_store(strips, tmp_path / "alone").digest
    assert (together.panels == PanelStore.open(tmp_path / "alone/panels-176x200.npy").panels).all()


def test_the_file_is_an_ordinary_npy_to_everybody_else(strips, folder):
    store = build_store(strips, folder)
    assert (np.load(folder / "panels-176x200.npy") == store.panels).all()


def test_each_panel_size_has_a_store_of_its_own(strips, folder):
    build_store(strips, folder)
    small = build_store(strips, folder, height=32, width=48)
    assert small.panels.shape == (22, 3, 3, 32, 48)
    assert (small.height, small.width) == (32, 48)
    assert len(PanelStore.open(folder / "panels-176x200.npy")) == 22


def test_a_second_build_of_the_same_strips_writes_nothing(strips, folder, cut):
    first = build_store(strips, folder)
    times = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    cut.clear()
    second = build_store(strips, folder)
    assert (cut, second.digest) == ([], first.digest)
    assert times == {path: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_only_new_and_altered_strips_are_cut_again(strips, folder, cut):
    first = build_store(strips, folder)
    (strips / "1999-12-31.gif").write_bytes(encoded(strip_picture(), "GIF"))
    altered = strips / "2001" / "2001-01-05.gif"
    altered.write_bytes(encoded(strip_picture(colours=((9, 9, 200),) * 3), "GIF"))
    (strips / "2001" / "2001-01-07.gif").unlink()
    os.utime(strips / "2001" / "2001-01-09.gif")  # another time, the same bytes
    cut.clear()
    second = build_store(strips, folder)
    assert len(cut) == 2
    assert second.names == ["1999-12-31", *first.names[:6], *first.names[7:]]
    for name in ("2001-01-01", "2001-01-09", "2001-01-22"):
        row, before = second.names.index(name), first.names.index(name)
        assert (second.panels[row] == first.panels[before]).all()
    row = second.names.index("2001-01-05")
    assert (second.panels[row] == cut_panels(open_strip(altered))).all()
    assert second.digest != first.digest


def test_equal_files_give_an_equal_digest_wherever_and_whenever_they_are(strips, folder, tmp_path):
    shutil.copytree(strips, tmp_path / "copy", copy_function=shutil.copyfile)
    assert build_store(strips, folder).digest == build_store(tmp_path / "copy", folder / "b").digest
    assert (
        build_store(strips, folder, 32, 32).digest
        != PanelStore.open(folder / "panels-176x200.npy").digest
    )


def test_broken_pictures_are_named_counted_and_left_out(strips, folder, cut, capsys):
    gif = (strips / "2001" / "2001-01-01.gif").read_bytes()
    (strips / "2002-01-01.gif").write_bytes(gif[: len(gif) // 2])
    (strips / "2002-01-02.gif").write_text("<html>blocked</html>")
    (strips / "2002-01-06.png").write_bytes(encoded(strip_picture(900, 636), "PNG"))
    (strips / "empty.jpg").touch()
    (strips / "evil\x1b[2J.gif").touch()
    for _ in range(2):  # the second time, from what is known of them
        store = build_store(strips, folder)
        printed = capsys.readouterr().out
        assert len(store) == 22
        assert "5 left out: 1 of another shape (2002-01-06.png)" in printed
        assert r"2002-01-02.gif, empty.jpg, evil\x1b[2J.gif (it is not a GIF, JPEG, PNG" in printed
        assert "2002-01-01.gif (it is damaged" in printed
        assert "\x1b" not in printed
    assert len(cut) == 23


def test_a_broken_picture_that_is_replaced_joins_the_store(strips, folder):
    (strips / "2002-01-02.gif").write_text("<html>blocked</html>")
    assert len(build_store(strips, folder)) == 22
    (strips / "2002-01-02.gif").write_bytes(encoded(strip_picture(), "GIF"))
    assert len(build_store(strips, folder)) == 23


def test_a_picture_that_the_system_did_not_let_be_read_is_tried_again(strips, folder, monkeypatch):
    def failing(path):
        raise OSError(errno.EIO, os.strerror(errno.EIO), path)

    with monkeypatch.context() as patch:
        save_strips(strips, 23)
        reading = images.open_regular
        patch.setattr(
            images, "open_regular", lambda p: failing(p) if "01-23" in p.name else reading(p)
        )
        assert len(build_store(strips, folder)) == 22
    assert len(build_store(strips, folder)) == 23


@pytest.mark.parametrize("cores", [1, 2])
def test_memory_that_runs_out_ends_the_build_and_leaves_the_store_as_it_was(
    strips, folder, monkeypatch, processes, cores
):
    def failing(_):
        raise MemoryError

    monkeypatch.setattr(cutting, "_cores", lambda: cores)
    first = build_store(strips, folder)
    strip_picture(colours=((9, 99, 40),) * 3).save(strips / "new.png")
    with monkeypatch.context() as patch:
        patch.setattr("PIL.PngImagePlugin.PngImageFile.load", failing)
        with pytest.raises(MemoryError):
            build_store(strips, folder)
    assert PanelStore.open(first.path).digest == first.digest
    assert build_store(strips, folder).names[-1] == "new"


def test_of_two_pictures_of_one_strip_in_a_folder_the_larger_file_that_works_is_used(
    strips, folder, capsys
):
    whole = draw_strip(0, date(2003, 3, 3))[0].convert("RGB")
    small, large = (
        encoded(whole.resize((width, width * whole.height // whole.width)), "PNG")
        for width in (300, 900)
    )
    (strips / "2003-03-03-thumb.png").write_bytes(small)  # "-" is before "." in order
    (strips / "2003-03-03.png").write_bytes(large)
    (strips / "2003-03-03.gif").write_bytes(b"broken" * len(large))
    store = build_store(strips, folder)
    assert len(store) == 23
    row = store.names.index("2003-03-03")
    assert (store.panels[row] == cut_panels(open_strip(large))).all()
    said = "2003-03-03-thumb.png (another file has this strip of its day)"
    assert said in capsys.readouterr().out
    (strips / "2003-03-03.png").unlink()
    again = build_store(strips, folder)
    row = again.names.index("2003-03-03")
    assert (again.panels[row] == cut_panels(open_strip(small))).all()


def test_two_comics_in_one_folder_have_each_their_strip_of_a_day(strips, folder):
    for seed, comic in enumerate(("calvin", "garfield")):
        picture = draw_strip(seed, date(2003, 3, 3))[0]
        (strips / f"{comic}_2003-03-03.gif").write_bytes(encoded(picture, "GIF"))
    store = build_store(strips, folder)
    assert len(store) == 24
    assert store.weeks[22:] == ["2003-W10", "2003-W10"]


def test_hidden_files_other_files_and_links_to_nowhere_are_passed_over(strips, folder, capsys):
    (strips / ".2001-01-01.gif.part").write_bytes(b"half")
    (strips / ".hidden").mkdir()
    (strips / ".hidden" / "2005-01-01.gif").write_bytes(encoded(strip_picture(), "GIF"))
    (strips / "notes.txt").write_text("a note")
    (strips / "2005-01-02.gif").symlink_to("nowhere.gif")
    os.mkfifo(strips / "2005-01-03.gif")
    assert len(build_store(strips, folder)) == 22
    printed = capsys.readouterr().out
    assert "left out" not in printed
    assert "passed over: 1 .txt, 1 broken link, 1 pipe or device" in printed


def test_strips_without_dates_are_named_by_their_path_and_come_last(strips, folder):
    (strips / "other").mkdir()
    for shade, name in enumerate(("other/one.JPG", "two.jpeg", "2001-13-45.jpg", "two.jpg")):
        picture = strip_picture(colours=((9, 99, 40 * shade),) * 3)
        (strips / name).write_bytes(encoded(picture, "JPEG"))
    names = build_store(strips, folder).names
    assert names[22:] == ["2001-13-45", "other/one", "two", "two.jpg"]
    assert names[:22] == sorted(names[:22])


def test_a_name_that_cannot_be_shown_is_made_printable_in_the_store(strips, folder):
    for shade, name in enumerate(
        (b"caf\xe9.gif", b"two\nlines.gif", "left\u202eright.gif".encode())
    ):
        picture = strip_picture(colours=((9, 99, 40 * shade),) * 3)
        (strips / os.fsdecode(name)).write_bytes(encoded(picture, "GIF"))
    names = build_store(strips, folder).names
    assert names[22:] == [r"caf\xe9", r"left\u202eright", r"two\nlines"]
    assert build_store(strips, folder).names == names


def test_the_same_bytes_under_two_names_are_one_strip_with_the_name_that_is_a_date(
    strips, folder, capsys
):
    for path in list(strips.rglob("*.gif")):
        shutil.copy(path, strips / f"a copy {path.stem[-2:]}.gif")  # sorts before the folder 2001
    assert build_store(strips, folder).names == [f"2001-01-{day:02}" for day in range(1, 23)]
    assert "22 files are the same pictures under other names" in capsys.readouterr().out


def test_two_comics_of_the_same_days_in_two_folders_are_all_kept(tmp_path, folder):
    save_strips(tmp_path / "strips" / "garfield", 12)
    for path in save_strips(tmp_path / "strips" / "peanuts", 12):
        picture = strip_picture(colours=((int(path.stem[-2:]) * 9, 250, 9),) * 3)
        path.write_bytes(encoded(picture, "GIF"))
    store = build_store(tmp_path / "strips", folder)
    assert len(store) == 24
    assert store.names[:2] == ["2001-01-01", "peanuts/2001/2001-01-01"]
    assert set(store.weeks) == {"2001-W01", "2001-W02"}


def drawn(day: int) -> Image.Image:
    return draw_strip(0, date(1990, 1, 1) + timedelta(day))[0].convert("RGB")


def test_a_picture_in_another_encoding_and_size_is_on_the_side_of_the_first(
    tmp_path, folder, capsys
):
    strips = tmp_path / "strips"
    strips.mkdir()
    for day in range(24):
        drawn(day).save(strips / f"strip {day}.gif")
        drawn(day).resize((1000, 292)).save(strips / f"zz scan {day}.jpg", quality=75)
    store = build_store(strips, folder, 32, 40)
    assert len(store) == 48
    assert "24 strips show the picture of another one" in capsys.readouterr().out
    for part in ("train", "validation", "test"):
        names = {store.names[row] for row in store.split(part)}
        days = {name.split()[-1] for name in names}
        assert len(names) == 2 * len(days)


def test_a_rerun_joins_the_group_that_was_there_and_both_of_its_weeks_are_one(tmp_path, folder):
    strips = tmp_path / "strips"
    strips.mkdir()
    for week in range(22):
        drawn(7 * week).save(strips / f"{date(1990, 1, 1) + timedelta(7 * week)}.gif")
    before = build_store(strips, folder, 32, 40)
    years = date(1990, 1, 1) - date(1985, 1, 7)
    for week in range(3):  # years before: by its name alone each would lead
        drawn(7 * week).save(strips / f"{date(1985, 1, 7) + timedelta(7 * week)}.png")
    after = build_store(strips, folder, 32, 40)
    weeks = dict(zip(after.names, after.weeks, strict=True))
    assert dict(zip(before.names, before.weeks, strict=True)).items() <= weeks.items()
    for week in range(3):
        day = date(1985, 1, 7) + timedelta(7 * week)
        assert weeks[str(day)] == weeks[str(day + years)]


@pytest.mark.parametrize("count", [1, 2, 4])
def test_pictures_of_another_number_of_panels_are_left_out_unless_all_are_wanted(
    strips, folder, capsys, count
):
    page, width = Image.new("RGB", (600, 175), "white"), (600 - 8 * (count + 1)) // count
    for panel in range(count):
        part = drawn(panel).crop((8, 8, 190, 167)).resize((width, 159))
        page.paste(part, (8 + panel * (width + 8), 8))
    page.save(strips / "2003-01-01.png")
    word = {1: "one panel", 2: "two panels", 4: "four panels"}[count]
    for _ in range(2):  # the second time from the index
        assert len(build_store(strips, folder)) == 22
        assert f"1 left out: 1 of {word} (2003-01-01.png)" in capsys.readouterr().out
    assert len(build_store(strips, folder, keep_all=True)) == 23
    assert len(build_store(strips, folder)) == 22


def test_weeks_that_reruns_join_into_one_are_not_said_to_be_too_few(tmp_path, capsys):
    """24 days of four weeks, which in turn show four pictures."""
    (tmp_path / "strips").mkdir()
    pictures = [draw_strip(0, date(1985, 1, 7 + number))[0] for number in range(4)]
    days = [date(1985, 1, 7) + timedelta(number) for number in range(28)]
    for number, day in enumerate(day for day in days if day.weekday() < 6):
        picture = pictures[number % 4]
        picture.resize((600 + number, picture.height)).save(tmp_path / f"strips/{day}.png")
    build_store(tmp_path / "strips", tmp_path / "data")
    said = "split by picture: those shown again would join 4 weeks into 1"
    assert said in capsys.readouterr().out


def test_twenty_strips_leave_at_least_fourteen_to_train_on_and_the_line_says_how(
    tmp_path, folder, capsys
):
    save_strips(tmp_path / "strips", 20)
    store = build_store(tmp_path / "strips", folder)
    assert len(store.split("train")) >= 14
    assert min(len(store.split("validation")), len(store.split("test"))) >= 2
    assert "split by picture: 3 weeks would be too few" in capsys.readouterr().out


def test_too_few_strips_are_an_error_that_names_folder_and_counts(tmp_path, folder):
    strips = tmp_path / "few"
    save_strips(strips, 19)
    (strips / "x.gif").write_bytes(b"no")
    with pytest.raises(UserError, match=r"few holds 19 usable strips, of 20 .* 1 left out: x.gif"):
        build_store(strips, folder)
    assert not folder.exists()
    (strips / "20.gif").write_bytes(encoded(strip_picture(), "GIF"))
    assert len(build_store(strips, folder)) == 20


def test_a_missing_folder_and_an_empty_one_are_errors(tmp_path, folder):
    with pytest.raises(UserError, match="nowhere is not a folder"):
        build_store(tmp_path / "nowhere", folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds 0 usable strips"):
        build_store(tmp_path / "empty", folder)


def spoil_index(change):
    def spoil(folder):
        path = folder / "panels-176x200.json"
        index = json.loads(path.read_text())
        change(index)
        path.write_text(json.dumps(index))

    return spoil


def cut_short(name, size):
    return lambda folder: os.truncate(folder / name, size)


def overwrite_end(folder):
    with (folder / "panels-176x200.npy").open("r+b") as file:
        file.seek(-3, os.SEEK_END)
        file.write(b"???")


SPOILERS = {
    "no index": lambda folder: (folder / "panels-176x200.json").unlink(),
    "weeks that are no list": spoil_index(lambda index: index.update(weeks=7)),
    "no archives": spoil_index(lambda index: index.pop("archives")),
    "no panels": lambda folder: (folder / "panels-176x200.npy").unlink(),
    "half an index": cut_short("panels-176x200.json", 1000),
    "an empty index": cut_short("panels-176x200.json", 0),
    "half the panels": cut_short("panels-176x200.npy", 3_000_000),
    "panels without the last byte": cut_short("panels-176x200.npy", 128 + 22 * 316_800 + 31),
    "no header": cut_short("panels-176x200.npy", 20),
    "another digest": overwrite_end,
    "another version": spoil_index(lambda index: index.update(version=1)),
    "a name less": spoil_index(lambda index: index["names"].pop()),
    "names in another order": spoil_index(lambda index: index["names"].reverse()),
    "names that are no list": spoil_index(lambda index: index.update(names=7)),
    "no geometry": spoil_index(lambda index: index.pop("height")),
    "another geometry": spoil_index(lambda index: index.update(height=10**12)),
    "nothing of the files": spoil_index(lambda index: index.update(files=[{"path": "a"}])),
    "a list": lambda folder: (folder / "panels-176x200.json").write_text("[[[[]]]]"),
    "a deep list": lambda folder: (folder / "panels-176x200.json").write_text("[" * 10**5),
}


@pytest.mark.parametrize("spoiler", SPOILERS)
def test_a_store_that_cannot_be_trusted_is_refused_and_built_anew(strips, folder, spoiler):
    whole = build_store(strips, folder)
    digest, panels = whole.digest, np.array(whole.panels)
    del whole
    SPOILERS[spoiler](folder)
    with pytest.raises(StaleStore, match="build the store again"):
        PanelStore.open(folder / "panels-176x200.npy")
    again = build_store(strips, folder)
    assert again.digest == digest
    assert (again.panels == panels).all()


def test_a_disk_that_fills_up_is_one_error_and_leaves_the_store_whole(strips, folder):
    first = build_store(strips, folder)
    save_strips(strips, 25)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000_000, hard))
    try:
        with pytest.raises(
            UserError, match=r"panels-176x200.npy cannot be written \(File too large\): choose"
        ):
            build_store(strips, folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert len(list(folder.iterdir())) == 2
    assert PanelStore.open(folder / "panels-176x200.npy").digest == first.digest
    assert len(build_store(strips, folder)) == 25


def test_a_reader_keeps_the_strips_it_opened_while_the_store_is_replaced(strips, folder):
    first = build_store(strips, folder)
    before = np.array(first.panels)
    (strips / "1999-12-31.gif").write_bytes(encoded(strip_picture(), "GIF"))
    assert len(build_store(strips, folder)) == 23
    assert (first.panels == before).all()


@pytest.mark.parametrize("cores", [1, 2])
def test_panels_stay_their_strips_where_another_process_replaces_the_store_meanwhile(
    strips, folder, tmp_path, monkeypatch, processes, cores
):
    monkeypatch.setattr("garfield_vae.data.cutting._cores", lambda: cores)
    build_store(strips, folder)
    for day in (30, 31):  # before all others, which move by two rows
        (strips / f"1999-12-{day}.gif").write_bytes(encoded(strip_picture(600 + day), "GIF"))
    right = build_store(strips, tmp_path / "other")

    def overtaken(*arguments):
        for written in (tmp_path / "other").glob("panels-*"):
            shutil.copy(written, folder / "copy")
            (folder / "copy").replace(folder / written.name)
        return cut_panels(*arguments)

    monkeypatch.setattr("garfield_vae.data.cutting.cut_panels", overtaken)
    store = build_store(strips, folder)
    assert store.names == right.names
    assert (store.panels == right.panels).all()


KILLED = """
import sys, os, signal
from pathlib import Path
from garfield_vae.data import build, cutting
cut, count = cutting.cut_panels, 0
def dying(*arguments):
    global count
    count += 1
    if count == 8:
        os.kill(os.getpid(), signal.SIGKILL)
    return cut(*arguments)
cutting.cut_panels = dying
build.build_store(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def test_a_build_that_is_killed_leaves_the_store_whole_and_the_next_one_clears_up(strips, folder):
    first = build_store(strips, folder)
    save_strips(strips, 40)
    command = [sys.executable, "-c", KILLED, strips, folder]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True)
    assert done.returncode == -signal.SIGKILL
    assert PanelStore.open(folder / "panels-176x200.npy").digest == first.digest
    leftovers = list(folder.glob(".*"))
    assert len(leftovers) == 2
    assert len(build_store(strips, folder)) == 40
    assert list(folder.glob(".*")) == leftovers  # they might belong to a build at work
    for leftover in leftovers:
        os.utime(leftover, (time.time() - 4000, time.time() - 4000))
    (strips / "2001" / "2001-01-01.gif").unlink()
    assert len(build_store(strips, folder)) == 39
    assert list(folder.glob(".*")) == []
