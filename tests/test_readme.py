"""The README is true: its commands work, its files and flags exist."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import process_model
import train_torch
from garfield_vae.options import ProcessOptions, TrainOptions

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
COMMANDS = [line for block in BLOCKS for line in block.splitlines() if line]
# At the size of these flags the published commands take seconds; later flags win.
QUICK = ["--source", "folder", "--epochs", "1", "--accelerator", "cpu", "--run_name", "dir_name"]


def flags_of(script: str) -> list[list[str]]:
    """The arguments of each README command that runs `script`."""
    found = [shlex.split(command.partition(script)[2]) for command in COMMANDS if script in command]
    assert found
    return found


def test_the_published_commands_work_word_for_word(strips, tmp_path):
    """As typed, in a new folder, at full size; only the strips and the epochs are fewer."""
    train = next(flags for flags in flags_of("train_torch.py") if "0.0001" in flags)
    process = next(flags for flags in flags_of("process_model.py") if "--c_hidden" in flags)
    process = [flag.replace("[dir_name]", "dir_name") for flag in process]
    quick = [*QUICK, "--data_dir", str(strips)]
    for script, flags in (("train_torch.py", [*train, *quick]), ("process_model.py", process)):
        command = [sys.executable, str(ROOT / script), *flags]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "logs" / "dir_name" / "processed" / "samples.png").is_file()


@pytest.mark.parametrize("flags", flags_of("train_torch.py"), ids=" ".join)
def test_every_training_command_is_understood(flags):
    options, _, _ = train_torch.read_command_line(flags)
    assert isinstance(options, TrainOptions)


@pytest.mark.parametrize("flags", flags_of("process_model.py"), ids=" ".join)
def test_every_processing_command_is_understood(flags):
    assert isinstance(process_model.read_command_line(flags), ProcessOptions)


def test_the_download_command_explains_itself():
    assert "python3 -m garfield_vae.download --help" in README
    command = [sys.executable, "-m", "garfield_vae.download", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "for your own machine" in " ".join(done.stdout.split())


def test_every_flag_it_speaks_of_exists():
    known = ""
    for script in ("train_torch.py", "process_model.py"):
        command = [sys.executable, str(ROOT / script), "--help"]
        known += subprocess.run(command, capture_output=True, text=True, check=True).stdout
    other = {"--logdir", "--nnodes", "--nproc_per_node", "--rdzv_backend", "--rdzv_endpoint"}
    other |= {"--nodes", "--ntasks-per-node", "--gres", "--help", "--minutes", "--strips"}
    for flag in set(re.findall(r"--\w[\w-]*", README)) - other:
        assert re.search(rf"{flag}\b", known), flag


def test_every_file_it_links_to_is_there():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def test_its_three_lines_of_python_give_the_model(trained_run, tmp_path, monkeypatch):
    code = re.search(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)[1]
    monkeypatch.chdir(tmp_path)
    assert process_model.main(["--experiment_dir", str(trained_run), "--export", "my_model"]) == 0
    names = {"strips": torch.zeros(1, 3, 3, 32, 40)}
    exec(code, names)
    assert names["strips"].shape == (1, 3, 3, 32, 40)


def test_the_continuation_it_names_goes_on(trained_run, tmp_path, monkeypatch):
    assert "--continue_from last" in README
    shutil.copytree(trained_run, tmp_path / "logs" / "run")
    monkeypatch.chdir(tmp_path)
    assert train_torch.main(["--continue_from", "last", "--epochs", "4"]) == 0
    assert (tmp_path / "logs" / "run" / "metrics.csv").read_text().splitlines()[-1][0] == "4"
