"""What environment.json says of the code that a run was made with."""

import subprocess
from pathlib import Path

import pytest

from garfield_vae import run_folder


@pytest.fixture
def commit(tmp_path) -> str:
    """That of a repository in `tmp_path`."""

    def git(*words: str) -> str:
        settings = ("user.name=somebody", "user.email=somebody@example.org", "commit.gpgsign=false")
        command = ["git", *(part for setting in settings for part in ("-c", setting)), *words]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    git("init")
    git("commit", "--allow-empty", "--message", "a commit")
    return git("rev-parse", "HEAD")


@pytest.mark.parametrize(
    ("place", "ours"),
    [("garfield_vae", True), (".venv/lib/python3.11/site-packages/garfield_vae", False)],
)
def test_the_commit_is_that_of_this_source_tree_and_not_of_a_project_that_it_is_installed_in(
    commit, tmp_path, monkeypatch, place, ours
):
    folder = tmp_path / place
    folder.mkdir(parents=True)
    monkeypatch.setattr(run_folder, "__file__", str(folder / Path(run_folder.__file__).name))
    assert run_folder.git_commit() == (commit if ours else None)


def test_outside_a_repository_there_is_no_commit(tmp_path, monkeypatch):
    monkeypatch.setattr(run_folder, "__file__", str(tmp_path / "run_folder.py"))
    assert run_folder.git_commit() is None
