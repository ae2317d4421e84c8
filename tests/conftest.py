"""What several tests need: drawn strips, and a run trained on them in seconds."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

# Before torch is imported, and for every process that a test starts: networks this small are
# slower on two threads, and far slower where other programs want the same cores.
os.environ["OMP_NUM_THREADS"] = "1"

import pytest
from explorer_model import make_explorer, served
from small_model import SMALL

import train_torch
from garfield_vae.data.drawn import draw_folder
from garfield_vae.explorer.service import Explorer

# A shell that runs the tests in the background has told them to ignore Ctrl-C, nohup to ignore that
# the terminal is gone, and every program that they start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session")
def strips(tmp_path_factory) -> Path:
    """A folder of 40 drawn dailies."""
    folder = tmp_path_factory.mktemp("drawn")
    draw_folder(folder, 40, seed=1)
    return folder / "strips"


@pytest.fixture
def train(strips, tmp_path, monkeypatch):
    """`train("--epochs", "2", …)` trains the small model in an empty folder; gives the status."""
    monkeypatch.chdir(tmp_path)

    def run(*flags: str) -> int:
        return train_torch.main([*SMALL, "--data_dir", str(strips), *flags])

    return run


@pytest.fixture(scope="session")
def trained_run(strips, tmp_path_factory) -> Path:
    """A finished run of the small model, for tests that only look at it."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        flags = ["--data_dir", str(strips), "--epochs", "3", "--run_name", "run"]
        assert train_torch.main([*SMALL, *flags]) == 0
    return folder / "logs" / "run"


@pytest.fixture(scope="module")
def explorer(tmp_path_factory) -> Explorer:
    """The explorer of a tiny untrained model with strips."""
    return make_explorer(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def address(explorer) -> Iterator[str]:
    """Where that explorer is served."""
    with served(explorer) as address:
        yield address
