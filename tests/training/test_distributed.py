"""Two processes train as one with the doubled batch, and only the first writes."""

import csv
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from small_model import SMALL

from garfield_vae.cli.options import TrainOptions
from garfield_vae.data.drawn import draw_folder
from garfield_vae.training import processes
from garfield_vae.training.processes import is_first, told_of_waiting, with_launcher
from garfield_vae.util.errors import UserError

ROOT = Path(__file__).parents[2]
FIGURES = ("train/distortion", "train/rate", "validation/distortion", "validation/rate")


def figures(run: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((run / "metrics.csv").read_text().splitlines()))


def train(folder: Path, *flags: str, launcher: tuple[str, ...] = ()) -> str:
    command = [sys.executable, *launcher, str(ROOT / "train_torch.py"), *flags]
    environment = {name: value for name, value in os.environ.items() if name != "LOCAL_RANK"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("launcher", "two", "trained_before"),
    [
        ((), ("--devices", "2", "--strategy", "ddp"), False),
        (("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"), (), True),
    ],
    ids=["started by Lightning", "started by torchrun, without flags, from a run's weights"],
)
def test_two_processes_have_the_loss_curve_of_one_with_the_doubled_batch_also_when_they_go_on(
    tmp_path, trained_run, launcher, two, trained_before
):
    draw_folder(tmp_path / "drawn", 48, seed=1)
    place = SMALL.index("--devices")
    small = [*SMALL[:place], *SMALL[place + 2 :], "--data_dir", str(tmp_path / "drawn/strips")]
    # 36 training strips: 4 batches of 8 and one of 4, or of 4 and 4, and 2 and 2. Short steps keep
    # what differs, the noise, from growing: the curves agree to three thousandths.
    small += ["--augment", "0", "--lr", "1e-3"]
    small += ["--start_from", str(trained_run)] if trained_before else []
    train(tmp_path, *small, "--devices", "1", "--epochs", "3", "--run_name", "one")
    flags = [*small, *two, "--batch_size", "4", "--epochs", "2", "--run_name", "two"]
    train(tmp_path, *flags, launcher=launcher)
    # What is left out is in the run's options, torchrun's number of processes too.
    printed = train(tmp_path, "--continue_from", "logs/two", "--epochs", "3")

    assert printed.count("epoch 3/3") == 1  # only the first process speaks
    assert ", 2 processes" in printed
    assert sorted(path.name for path in (tmp_path / "logs").iterdir()) == ["one", "two"]
    one, both = (figures(tmp_path / "logs" / name) for name in ("one", "two"))
    assert [row["step"] for row in one] == [row["step"] for row in both]
    for single, double in zip(one, both, strict=True):
        for name in FIGURES:
            # The processes draw other posterior noise than one does; all else is the same.
            assert float(double[name]) == pytest.approx(float(single[name]), rel=0.005), name


@pytest.mark.parametrize(
    ("flags", "started", "sentence"),
    [
        ({"devices": 3}, (2, 2), "does not fit --devices 3 --num_nodes 1"),
        ({"num_nodes": 4}, (4, 2), "does not fit --devices auto --num_nodes 4"),
    ],
)
def test_another_number_of_processes_than_torchruns_is_refused(
    monkeypatch, flags, started, sentence
):
    world, local = started
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setenv("WORLD_SIZE", str(world))
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(local))
    with pytest.raises(UserError, match=sentence):
        with_launcher(TrainOptions(**flags))


def test_torchruns_processes_are_counted_by_machine(monkeypatch):
    for name, value in (("TORCHELASTIC_RUN_ID", "x"), ("WORLD_SIZE", "16")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    options = with_launcher(TrainOptions())
    assert (options.devices, options.num_nodes, options.strategy) == (8, 2, "ddp")


def test_the_first_process_of_another_machine_is_not_the_first(monkeypatch):
    """With Lightning's own launcher, only NODE_RANK tells them apart."""
    assert is_first()
    monkeypatch.setenv("NODE_RANK", "1")
    assert not is_first()


def test_that_other_processes_do_not_come_is_told(monkeypatch, capsys):
    monkeypatch.setattr(processes, "TOLD_AFTER", 0.0)
    with told_of_waiting(4) as timer:
        timer.join()
    assert "still waiting for all of 4 processes" in capsys.readouterr().out


WAITING = """
import torch
from garfield_vae.training.interruption import StopSignals
from garfield_vae.training.processes import ended_while_waiting
with StopSignals(), ended_while_waiting(2, lambda number: print("abandoned", number, flush=True)):
    print("waiting", flush=True)
    torch.distributed.TCPStore("127.0.0.1", 0, 2, True)  # for another process, half an hour
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_run_that_waits_for_other_processes(number):
    command = [sys.executable, "-c", WAITING]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(number)
        assert process.stdout.read() == f"abandoned {int(number)}\n"
    assert process.returncode == 128 + number


def test_where_only_the_first_process_is_asked_to_stop_all_do_and_the_run_goes_on(tmp_path, strips):
    place = SMALL.index("--devices")
    small = [*SMALL[:place], *SMALL[place + 2 :], "--data_dir", str(strips), "--run_name", "run"]
    small += ["--devices", "2", "--strategy", "ddp", "--epochs", "100000"]
    command = [sys.executable, str(ROOT / "train_torch.py"), *small]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=tmp_path, text=True, **pipes) as process:
        while not process.stdout.readline().startswith("epoch 1/"):
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate()
    assert (process.returncode, err) == (143, "stopping after this batch (Ctrl-C again: at once)\n")
    assert "stopped; go on with" in out
    done = len(figures(tmp_path / "logs" / "run"))
    go_on = ["--continue_from", "logs/run", "--epochs", str(done + 1)]
    assert f"epoch {done + 1}/{done + 1}" in train(tmp_path, *go_on)


def test_two_machines_without_a_common_disk_each_build_their_own_store(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, str(ROOT / "train_torch.py"), "--source", "drawn", "--count", "20"]
    command += [flag for flag in SMALL if flag not in ("--source", "folder")]
    command += ["--num_nodes", "2", "--strategy", "ddp", "--epochs", "1", "--run_name", "run"]
    machines = []
    for rank in (0, 1):
        folder = tmp_path / f"machine_{rank}"
        folder.mkdir()
        place = {"NODE_RANK": str(rank), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        environment = {k: v for k, v in os.environ.items() if k != "LOCAL_RANK"} | place
        machines.append(subprocess.Popen(command, cwd=folder, env=environment))
    assert [machine.wait() for machine in machines] == [0, 0]
    stores = [tmp_path / f"machine_{rank}/data/drawn-20/panels-32x40.npy" for rank in (0, 1)]
    assert stores[0].read_bytes() == stores[1].read_bytes()
    assert not (tmp_path / "machine_1" / "logs").exists()
