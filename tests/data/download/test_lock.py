"""One run at a time in a folder, and none that blocks it after its death."""

import subprocess
import sys

import pytest

from garfield_vae.data.download.lock import one_run
from garfield_vae.util.errors import UserError


def test_a_second_run_on_the_same_folder_says_so(tmp_path):
    busy = pytest.raises(UserError, match="Another download is at work")
    with one_run(tmp_path), busy, one_run(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_killed_run_holds_the_folder_no_longer(tmp_path):
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from garfield_vae.data.download.lock import one_run\n"
        "with one_run(Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert killed.returncode == -9
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    with one_run(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []
