"""Commands that are printed work as printed, whether or not the environment is activated."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from garfield_vae.util import commands


@pytest.fixture
def environment(tmp_path, monkeypatch) -> Path:
    """The folder of programs of an environment whose Python seems to run this."""
    programs = tmp_path / "an environment" / "bin"
    programs.mkdir(parents=True)
    (programs / "python").symlink_to(sys.executable)
    (programs / "tensorboard").write_text("#!/bin/sh\necho $@")
    (programs / "tensorboard").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(programs / "python"))
    return programs


def run(line: str, **environment: str) -> str:
    """What the shell makes of a line that was pasted, with hardly any PATH."""
    return subprocess.run(
        ["/bin/sh", "-c", line],
        env={"PATH": "/usr/bin:/bin"} | environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_a_program_beside_python_is_named_in_full_where_the_shell_would_not_find_it(
    environment, monkeypatch
):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    line = commands.program("tensorboard", "--logdir", "my logs")
    assert shlex.split(line)[0] == str(environment / "tensorboard")
    assert run(line) == "--logdir my logs\n"


def test_in_an_activated_environment_a_programs_name_is_enough(environment, monkeypatch):
    monkeypatch.setenv("PATH", f"{environment}:/usr/bin:/bin")
    line = commands.program("tensorboard", "--logdir", "logs")
    assert line == "tensorboard --logdir logs"
    assert run(line, PATH=f"{environment}:/usr/bin:/bin") == "--logdir logs\n"


@pytest.mark.parametrize("folder", [commands.ROOT, Path("/")])
def test_scripts_and_requirements_are_named_from_the_current_folder(folder, monkeypatch):
    monkeypatch.chdir(folder)
    python, script, flag = shlex.split(commands.command("train_torch.py", "--demo"))
    assert (python, flag) == (sys.executable, "--demo")
    assert Path(script).is_file()
    *_, requirements = shlex.split(commands.install("requirements-export.txt"))
    assert Path(requirements).is_file()


def test_where_packages_are_missing_an_environment_is_made_first_and_then_used(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(commands, "ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)  # as outside of any environment
    made, installed, then = commands.how_to_install().split(", ")
    run(f"{made} --without-pip")
    assert installed == "then .venv/bin/python -m pip install -r requirements.txt"
    assert then == "and run the same with .venv/bin/python"
    assert commands.how_to_install() == "run the same with .venv/bin/python"
    assert run(".venv/bin/python -c 'print(1)'") == "1\n"
