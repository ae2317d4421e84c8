"""What a failing machine does to a person's files: nothing. The faults are real ones."""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from small_model import SMALL

import process_model
import train_torch
from garfield_vae.checkpoints import load_run
from garfield_vae.data.build import build_store
from garfield_vae.data.drawn import draw_folder
from garfield_vae.data.sources import present_strips
from garfield_vae.export.folder import export_model
from garfield_vae.latent.files import encoded_strips
from garfield_vae.training.module import StripModule
from garfield_vae.util.errors import UserError

ROOT = Path(__file__).parents[2]
HOUR = 3600.0


@contextmanager
def full_disk(room: int) -> Iterator[None]:
    """No file grows beyond `room` bytes: the system's own refusal, in the middle of a write."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder. TensorBoard only ever adds to its own, which are left out."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith("events.")
    }


def weights(run: Path) -> dict[str, torch.Tensor]:
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def assert_same_weights(one: Path, other: Path) -> None:
    for name, value in weights(one).items():
        assert torch.equal(value, weights(other)[name]), name


def process(folder: Path, *flags: str) -> int:
    return process_model.main(["--experiment_dir", str(folder), "--accelerator", "cpu", *flags])


@pytest.fixture
def run(trained_run, tmp_path, monkeypatch) -> Path:
    """A copy of the trained run beside the data that it was trained on."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained_run.parent.parent / "data", tmp_path / "data")
    return shutil.copytree(trained_run, tmp_path / "logs" / "run")


# ---------------------------------------------------------------------------------------------
# A full disk. With capsys, for else what is printed goes to a file of pytest's, which fills up too.

in_memory = pytest.mark.usefixtures("capsys")


def test_a_disk_that_is_full_while_strips_are_drawn_is_a_sentence(tmp_path):
    draw_folder(tmp_path / "drawn", 3, seed=1)
    before = contents(tmp_path)
    with full_disk(1000), pytest.raises(UserError, match=r"cannot be written \(File too large\)"):
        draw_folder(tmp_path / "drawn", 6, seed=1)
    after = contents(tmp_path)
    assert {name: after[name] for name in before} == before
    draw_folder(tmp_path / "drawn", 6, seed=1)
    draw_folder(tmp_path / "whole", 6, seed=1)
    assert contents(tmp_path / "drawn") == contents(tmp_path / "whole")


@in_memory
def test_a_disk_that_is_full_at_a_checkpoint_is_a_sentence_and_the_run_goes_on_afterwards(train):
    assert train("--epochs", "2", "--run_name", "run") == 0
    assert train("--epochs", "3", "--run_name", "whole") == 0
    run = Path("logs/run")
    before = contents(run / "checkpoints")
    with (
        full_disk(200_000),
        pytest.raises(UserError, match=r"\.ckpt cannot be written \(File too"),
    ):
        train("--continue_from", str(run), "--epochs", "3")
    assert contents(run / "checkpoints") == before
    assert train("--continue_from", str(run), "--epochs", "3") == 0
    assert_same_weights(run, Path("logs/whole"))


@in_memory
@pytest.mark.parametrize("room", [1_000, 3_000, 20_000])
def test_a_disk_that_is_full_anywhere_in_training_is_a_sentence(train, room):
    assert train("--epochs", "1", "--run_name", "run") == 0
    before = contents(Path("logs/run/checkpoints"))
    with full_disk(room), pytest.raises(UserError) as refused:
        train("--continue_from", "logs/run", "--epochs", "3")
    assert "File too large" in str(refused.value)
    assert contents(Path("logs/run/checkpoints")) == before
    assert not list(Path("logs").rglob("*.tmp"))


@in_memory
@pytest.mark.parametrize(
    ("room", "flags"),
    [
        (100, ["--num_samples", "4"]),  # the latents
        (4_000, ["--num_samples", "4"]),  # the pictures
        (100, ["--export", "model"]),  # the first file of the folder
        (2_000, ["--export", "model"]),  # the weights
        (10_000, ["--export_page", "page.html"]),
        (2_000, ["--evaluate"]),
    ],
)
def test_a_disk_that_is_full_while_a_run_is_used_is_a_sentence(run, room, flags):
    before = contents(Path.cwd())
    with full_disk(room), pytest.raises(UserError) as refused:
        process(run, *flags)
    assert "File too large" in str(refused.value)
    after = contents(Path.cwd())
    assert {name: after[name] for name in before} == before
    assert not list(Path.cwd().rglob("*.tmp"))
    assert not Path("model").exists()


def python(
    *arguments: str | Path, bound: list[str] | None = None, folder: Path | None = None
) -> subprocess.CompletedProcess:
    """Runs Python, which finds the project from any folder."""
    return subprocess.run(
        [*(bound or []), sys.executable, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


def test_the_person_reads_one_line_and_the_status_is_2(trained_run, strips, tmp_path):
    shutil.copytree(trained_run.parent.parent / "data", tmp_path / "data")
    script = (
        "import resource, runpy, sys; sys.argv = sys.argv[1:];"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, 1_000));"
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    flags = [*SMALL, "--data_dir", str(strips), "--epochs", "2"]
    done = python("-c", script, ROOT / "train_torch.py", *flags, folder=tmp_path)
    assert done.returncode == 2
    assert re.fullmatch(r"error: .*File too large.*\n", done.stderr)


# ---------------------------------------------------------------------------------------------
# Folders that may not be written in


def may_not_write(folder: Path) -> list[str]:
    """Takes the right to write from a folder; gives what a command begins with to be bound by it,
    which root is not."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    return ["setpriv", "--bounding-set=-dac_override"] if os.geteuid() == 0 else []


def command(bound: list[str], script: str, *flags: str) -> subprocess.CompletedProcess:
    return python(ROOT / script, *flags, bound=bound)


def test_a_read_only_folder_of_strips_is_only_read(strips, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bound = may_not_write(shutil.copytree(strips, tmp_path / "mine"))
    flags = [*SMALL, "--data_dir", "mine", "--epochs", "1", "--run_name", "run"]
    done = command(bound, "train_torch.py", *flags)
    assert done.returncode == 0, done.stderr
    assert load_run(Path("logs/run")).epoch == 0


def test_a_data_folder_that_may_not_be_written_in_is_a_sentence(strips, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    bound = may_not_write(tmp_path / "data")
    done = command(bound, "train_torch.py", *SMALL, "--data_dir", str(strips))
    assert done.returncode == 2
    assert re.fullmatch(
        r"error: data/.*npy cannot be written \(Permission denied\): .* start the command in a "
        r"folder that you may write in\n",
        done.stderr,
    )


def test_a_file_in_the_place_of_the_data_folder_is_a_sentence(strips, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").touch()
    with pytest.raises(UserError, match=r"cannot be written .*: the panels .* start the command"):
        train_torch.main([*SMALL, "--data_dir", str(strips)])


def test_a_run_that_may_not_be_written_in_is_a_sentence(run):
    bound = may_not_write(run)
    done = command(bound, "process_model.py", "--experiment_dir", str(run))
    assert done.returncode == 2
    assert re.fullmatch(r"error: .*\(Permission denied\).*make .* writable.*\n", done.stderr)


def test_a_model_that_may_not_be_written_in_can_be_exported_from(run):
    loaded = load_run(run)
    store = present_strips(loaded.options)
    space = encoded_strips(loaded.model, loaded.digest, run, store).space
    export_model(loaded, space, Path("model"), compact=True)
    bound = may_not_write(Path("model"))
    flags = ["--experiment_dir", "model", "--accelerator", "cpu", "--components", "1"]
    done = command(bound, "process_model.py", *flags, "--export_page", "page.html")
    assert done.returncode == 0, done.stderr
    assert Path("page.html").stat().st_size > 10_000
    assert not Path("model/processed").exists()


def test_an_empty_folder_that_may_not_be_replaced_is_refused_before_the_work(tmp_path):
    (tmp_path / "place" / "model").mkdir(parents=True)
    bound = may_not_write(tmp_path / "place")
    export = ["--export", str(tmp_path / "place" / "model")]
    done = command(bound, "process_model.py", "--experiment_dir", "no_such_run", *export)
    assert done.returncode == 2
    assert re.fullmatch(r"error: .*place is no folder that can be written in.*\n", done.stderr)


def test_figures_that_may_not_be_written_beside_the_curves_are_a_sentence(tmp_path):
    logs = """
from garfield_vae.evaluation.evaluate import log_table
from garfield_vae.util.errors import run_script
from pathlib import Path
run_script(lambda: log_table(Path("run"), {"mse": 0.1}, 1))
"""
    (tmp_path / "run").mkdir()
    bound = may_not_write(tmp_path / "run")
    done = python("-c", logs, bound=bound, folder=tmp_path)
    assert done.returncode == 2
    assert re.fullmatch(r"error: .* cannot be written \(Permission denied\).*\n", done.stderr)


# ---------------------------------------------------------------------------------------------
# Time, other programs, other disks


def test_files_and_runs_of_the_future_are_as_good_as_others(strips, train, tmp_path):
    """A clock that went back: everything on disk is a year ahead of it."""
    ahead = time.time() + 366 * 24 * HOUR
    mine = shutil.copytree(strips, tmp_path / "mine")
    for path in mine.rglob("*"):
        os.utime(path, (ahead, ahead))
    assert train("--data_dir", str(mine), "--epochs", "1", "--run_name", "run") == 0
    for path in (*Path("data").rglob("*"), *Path("logs").rglob("*")):
        os.utime(path, (ahead, ahead))
    before = contents(Path("data"))
    assert train("--data_dir", str(mine), "--continue_from", "last", "--epochs", "2") == 0
    assert contents(Path("data")) == before  # nothing was built again
    assert train("--data_dir", str(mine), "--epochs", "2", "--run_name", "whole") == 0
    assert_same_weights(Path("logs/run"), Path("logs/whole"))


def test_a_clock_that_goes_back_while_training_changes_nothing(train, monkeypatch):
    assert train("--epochs", "2", "--run_name", "steady") == 0
    now = time.time()
    backwards = iter(range(10**9))
    monkeypatch.setattr(time, "time", lambda: now - HOUR * next(backwards))
    assert train("--epochs", "2", "--run_name", "backwards") == 0
    assert_same_weights(Path("logs/steady"), Path("logs/backwards"))


def test_two_trainings_that_begin_at_once_get_a_folder_and_the_same_strips_each(strips, tmp_path):
    start = [sys.executable, str(ROOT / "train_torch.py"), *SMALL, "--data_dir", str(strips)]
    both = [
        subprocess.Popen(
            [*start, "--epochs", "2"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    for process in both:
        _, errors = process.communicate()
        assert process.returncode == 0, errors.decode()
    runs = sorted((tmp_path / "logs").iterdir())
    assert len(runs) == 2
    assert_same_weights(*runs)
    assert load_run(runs[0]).epoch == load_run(runs[1]).epoch


def test_a_store_that_is_replaced_while_a_run_reads_it_changes_nothing(train, strips, monkeypatch):
    assert train("--epochs", "2", "--run_name", "undisturbed") == 0
    (work,) = Path("data").iterdir()
    fewer = shutil.copytree(strips, Path("fewer"))
    for path in sorted(fewer.rglob("*.gif"))[::3]:
        path.unlink()
    step = StripModule.training_step

    def disturbed(self, batch, batch_idx):
        if self.global_step == 2:
            assert len(build_store(fewer, work, 32, 40)) < 40
        return step(self, batch, batch_idx)

    monkeypatch.setattr(StripModule, "training_step", disturbed)
    assert train("--epochs", "2", "--run_name", "disturbed") == 0
    assert_same_weights(Path("logs/undisturbed"), Path("logs/disturbed"))


def test_nothing_of_a_run_passes_through_the_folder_for_temporary_files(train, run, monkeypatch):
    """It may be another file system, across which no file is put in place at once."""
    monkeypatch.setattr(tempfile, "tempdir", str(Path("nowhere").absolute()))
    monkeypatch.setenv("TMPDIR", tempfile.tempdir)
    assert train("--epochs", "1", "--run_name", "new") == 0
    assert process(run, "--num_samples", "1", "--components", "1") == 0
    assert process(run, "--export", "model") == 0


# ---------------------------------------------------------------------------------------------
# A process that dies

DYING = """
import os, runpy, signal, sys
from garfield_vae.util import files
kill_at, sys.argv = int(sys.argv[1]), sys.argv[2:]
synced, done = os.fsync, 0
def fsync(descriptor):
    global done
    done += 1
    if done == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)
    synced(descriptor)
os.fsync = fsync
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def killed_at_file(number: int, script: str, *flags: str) -> None:
    """Runs a script that dies by SIGKILL when its `number`th file is written and not in place."""
    done = subprocess.run(
        [sys.executable, "-c", DYING, str(number), str(ROOT / script), *flags],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


def test_a_training_that_is_killed_at_its_second_checkpoint_goes_on_from_the_first(train, strips):
    assert train("--epochs", "3", "--run_name", "whole") == 0
    assert train("--epochs", "1", "--run_name", "run") == 0
    flags = ["--continue_from", "logs/run", "--epochs", "3"]
    killed_at_file(4, "train_torch.py", *flags)
    assert load_run(Path("logs/run")).model.config["z_dim"] == 16
    assert train(*flags) == 0
    assert_same_weights(Path("logs/whole"), Path("logs/run"))


def test_a_processing_that_is_killed_leaves_the_next_one_to_end_as_ever(run):
    flags = ["--num_samples", "2", "--components", "2"]
    killed_at_file(3, "process_model.py", "--experiment_dir", str(run), *flags)
    assert process(run, *flags) == 0
    found = {p.name: p.read_bytes() for p in (run / "processed").glob("[!.]*")}
    shutil.rmtree(run / "processed")
    (run / "latent.safetensors").unlink()
    assert process(run, *flags) == 0
    assert found == {p.name: p.read_bytes() for p in (run / "processed").iterdir()}


def test_an_export_that_is_killed_leaves_no_folder_of_that_name_and_is_cleared_later(run):
    killed_at_file(5, "process_model.py", "--experiment_dir", str(run), "--export", "model")
    assert not Path("model").exists()
    (leftover,) = Path.cwd().glob(".model.*.tmp")
    assert process(run, "--export", "model") == 0
    assert leftover.is_dir()  # it might be another export at work
    shutil.rmtree("model")
    os.utime(leftover, (time.time() - 2 * HOUR,) * 2)
    assert process(run, "--export", "model") == 0
    assert not leftover.exists()


# ---------------------------------------------------------------------------------------------
# The same again


def test_the_same_seed_writes_the_same_metrics_csv_but_for_its_speed(train):
    figures = []
    for name in ("one", "two"):
        assert train("--epochs", "2", "--run_name", name, "--seed", "5") == 0
        rows = [line.split(",") for line in Path("logs", name, "metrics.csv").read_text().split()]
        kept = [i for i, column in enumerate(rows[0]) if not column.endswith("strips_per_second")]
        figures.append([[row[i] for i in kept] for row in rows])
    assert figures[0] == figures[1]
    assert len(figures[0]) == 3
    assert len(figures[0][0]) > 10


def test_the_same_seed_draws_the_same_samples(run):
    pictures = []
    for _ in range(2):
        assert process(run, "--num_samples", "2", "--components", "1") == 0
        pictures.append((run / "processed" / "samples.png").read_bytes())
    assert pictures[0] == pictures[1]


def test_environment_json_has_versions_device_commit_and_the_strips_digest(run):
    found = json.loads((run / "environment.json").read_text())
    (index,) = Path("data").rglob("panels-32x40.json")
    assert found["strips"] == json.loads(index.read_text())["digest"]
    assert found["device"] == "cpu"
    assert found["packages"]["numpy"] == np.__version__
    assert found["git_commit"] is None or re.fullmatch(r"[0-9a-f]{40}", found["git_commit"])
