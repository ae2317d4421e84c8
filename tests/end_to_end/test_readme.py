"""The README is true: its commands work, its files and flags exist."""

import _thread
import re
import shlex
import shutil
import socket
import subprocess
import sys
import urllib.request
import webbrowser
from pathlib import Path

import pytest
from comic_site import ComicSite
from PIL import Image
from small_model import SMALL

import process_model
import train_torch
from garfield_vae.cli.options import TrainOptions

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
COMMANDS = [line for block in BLOCKS for line in block.splitlines() if line]
# At the size of these flags the published commands take seconds; later flags win.
QUICK = [
    *("--source", "folder", "--epochs", "1", "--accelerator", "cpu", "--run_name", "dir_name"),
    *("--prior_minutes", "0"),
]


# Commands that stand in a sentence.
PROSE = re.sub(r"^```.*?^```", "", README, flags=re.DOTALL | re.MULTILINE)
SPANS = re.findall(r"`([^`\n]+)`", PROSE)


def elsewhere(command: str) -> bool:
    """Whether another test, or .ci/run, runs a command: to set up, and at full size."""
    return "python3 -m venv" in command or "--c_hidden 6" in command


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


# ---------------------------------------------------------------------------------------------
# Every other command runs, in a folder with a trained run, at the size of SMALL: later flags win.


@pytest.fixture
def home(trained_run, strips, tmp_path, monkeypatch) -> Path:
    """A folder to work in: a run, the data that it was trained on, and a folder of strips."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained_run.parent.parent, tmp_path, dirs_exist_ok=True)
    shutil.copytree(strips, tmp_path / "my_strips")
    return tmp_path


def train(flags: str) -> None:
    """On the strips that the flags name, or on those that a site of the tests has."""
    if "--demo" in flags:
        assert (
            train_torch.main([*shlex.split(flags), *SMALL[2:], "--count", "20", "--epochs", "1"])
            == 0
        )
        return
    small = SMALL if "--source" in flags else SMALL[2:]
    with ComicSite() as site:
        web = ["--base_url", site.url, "--delay", "0"]
        days = ["--source", "uclick", "--start", "1985-03-11", "--end", "1985-04-06"]
        more = [] if "--source" in flags else [*web, *days]
        assert train_torch.main([*shlex.split(flags), *small, *more, "--epochs", "1"]) == 0


def train_on_two_devices(flags: str) -> None:
    """Lightning starts the second process itself, by the command line that it was started with."""
    small = [*SMALL, "--data_dir", "my_strips", "--epochs", "1"]
    small[small.index("--devices") + 1] = "2"
    run_script("train_torch.py", *shlex.split(flags), *small)


def train_by_torchrun(flags: str) -> None:
    """The launcher's own flags are as written, but for the numbers: one machine, one process."""
    launcher, _, flags = flags.partition(" train_torch.py ")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    one = re.sub(r"(--nnodes|--nproc_per_node) \d+", r"\1 1", launcher)
    one = one.replace("HOST:29500", address)
    flags = re.sub(r"(--num_nodes|--devices) \d+", r"\1 1", flags)
    small = [*SMALL, "--data_dir", "my_strips", "--epochs", "1"]
    script = [str(ROOT / "train_torch.py"), *shlex.split(flags), *small]
    run([sys.executable, "-m", "torch.distributed.run", *shlex.split(one), *script])


def process(flags: str) -> None:
    assert process_model.main([*shlex.split(flags), *LITTLE]) == 0


def explore(flags: str) -> None:
    """The browser that it opens is one that reads the page and presses Ctrl-C."""
    pages = []

    def browser(address: str) -> None:
        with urllib.request.urlopen(address) as page:
            pages.append(page.read())
        _thread.interrupt_main()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(webbrowser, "open", browser)
        process(f"{flags} --port 0")
    assert b"<html" in pages[0]


def run_script(script: str, *flags: str) -> None:
    run([sys.executable, str(ROOT / script), *flags])


def run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


LITTLE = ["--accelerator", "cpu", "--components", "1"]
RUN_BY = {  # the first whose pattern the command has; what it runs is given what stands behind
    r"python3? train_torch\.py (?=.*--devices 2)": train_on_two_devices,
    r"torchrun ": train_by_torchrun,
    r"python3? train_torch\.py ": train,
    r"python3? process_model\.py (?=.*--explore)": explore,
    r"python3? process_model\.py ": process,
}


@pytest.mark.parametrize("command", [c for c in COMMANDS if not elsewhere(c)])
def test_every_command_runs(home, command):
    pattern = next(pattern for pattern in RUN_BY if re.match(pattern, command))
    RUN_BY[pattern](command[re.match(pattern, command).end() :])


def test_the_commands_that_set_it_up_are_run_by_the_whole_check():
    patterns = re.findall(
        r"grep -m1 -E '([^']+)' README\.md", (ROOT / ".ci/run").read_text("utf-8")
    )
    found = [next(c for c in COMMANDS if re.search(pattern, c)) for pattern in patterns]
    assert found == [command for command in COMMANDS if "python3 -m venv" in command]


@pytest.mark.parametrize("command", [span for span in SPANS if "train_torch.py --" in span])
def test_every_training_command_in_a_sentence_is_understood(command, monkeypatch):
    # Whether this machine has as many devices is another question.
    monkeypatch.setattr("garfield_vae.training.processes.check_devices", lambda *_: None)
    flags = shlex.split(command.partition("train_torch.py ")[2])
    options, _, _ = train_torch.read_command_line(flags)
    assert isinstance(options, TrainOptions)


@pytest.mark.parametrize("command", [span for span in SPANS if "benchmarks/" in span])
def test_every_bench_has_the_flags_that_it_is_named_with(command):
    script = re.search(r"benchmarks/\w+\.py", command)[0]
    known = subprocess.run(
        [sys.executable, str(ROOT / script), "--help"], capture_output=True, text=True, check=True
    ).stdout
    for flag in re.findall(r"--\w+", command):
        assert flag in known, flag


def test_tensorboard_finds_the_run_in_the_folder_that_is_named(home):
    assert "tensorboard --logdir logs" in SPANS
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", "logs", "--inspect"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "validation/distortion" in done.stdout


def test_the_download_command_explains_itself():
    assert "python3 -m garfield_vae.data.download --help" in README
    command = [sys.executable, "-m", "garfield_vae.data.download", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "for your own machine" in " ".join(done.stdout.split())


def test_every_flag_it_speaks_of_exists():
    known = ""
    for script in ("train_torch.py", "process_model.py"):
        command = [sys.executable, str(ROOT / script), "--help"]
        known += subprocess.run(command, capture_output=True, text=True, check=True).stdout
    other = {"--logdir", "--nnodes", "--nproc_per_node", "--rdzv_backend", "--rdzv_endpoint"}
    other |= {
        "--nodes",
        "--ntasks-per-node",
        "--gres",
        "--help",
        "--minutes",
        "--strips",
        "--sizes",
        "--models",
        "--ours",
        "--picture",
        "--work",
        "--samples",
        "--pictures",
        "--factors",
    }
    for flag in set(re.findall(r"--\w[\w-]*", README)) - other:
        assert re.search(rf"{flag}\b", known), flag


def test_every_file_it_links_to_is_there():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        # ../../ leads from the README to the repository's pages on GitHub.
        assert target.startswith("../../") or (ROOT / target).exists(), target


def test_the_page_that_it_links_to_is_deployed_there():
    environment = re.search(r"\.\./\.\./deployments/([\w-]+)", README)[1]
    workflow = (ROOT / ".github/workflows/page.yml").read_text(encoding="utf-8")
    assert f"name: {environment}\n" in workflow


def test_its_python_turns_a_picture_file_into_a_reconstruction_file(
    trained_run, strips, tmp_path, monkeypatch
):
    code = re.search(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)[1]
    monkeypatch.chdir(tmp_path)
    assert process_model.main(["--experiment_dir", str(trained_run), "--export", "my_model"]) == 0
    shutil.copy(next(strips.rglob("*.gif")), "my_strip.png")
    exec(code, {})
    with Image.open("reconstruction.png") as picture:
        assert picture.size == (3 * 40 + 4 * 2, 32 + 2 * 2)


def test_the_continuation_it_names_goes_on(trained_run, tmp_path, monkeypatch):
    assert "--continue_from last" in README
    shutil.copytree(trained_run, tmp_path / "logs" / "run")
    monkeypatch.chdir(tmp_path)
    assert train_torch.main(["--continue_from", "last", "--epochs", "4"]) == 0
    assert (tmp_path / "logs" / "run" / "metrics.csv").read_text().splitlines()[-1][0] == "4"
