"""Two processes train as one with the doubled batch, and only the first writes."""

import csv
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import SMALL

ROOT = Path(__file__).parents[2]
FIGURES = ("train/distortion", "train/rate", "validation/distortion", "validation/rate")


def figures(run: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((run / "metrics.csv").read_text().splitlines()))


def train(folder: Path, strips: Path, *flags: str, launcher: tuple[str, ...] = ()) -> str:
    command = [sys.executable, *launcher, str(ROOT / "train_torch.py"), *SMALL]
    # 28 training strips: 4 batches of 8, or of 4 and 4. Short steps keep what differs, the noise,
    # from growing: the curves agree to a thousandth.
    command += ["--data_dir", str(strips), "--epochs", "3", "--augment", "0", "--lr", "1e-3"]
    command += flags
    environment = {name: value for name, value in os.environ.items() if name != "LOCAL_RANK"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "launcher",
    [(), ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")],
    ids=["started by Lightning", "started by torchrun"],
)
def test_two_processes_have_the_loss_curve_of_one_with_the_doubled_batch(
    strips, tmp_path, launcher
):
    train(tmp_path, strips, "--run_name", "one")
    two = ("--run_name", "two", "--devices", "2", "--strategy", "ddp", "--batch_size", "4")
    printed = train(tmp_path, strips, *two, launcher=launcher)

    assert printed.count("epoch 3/3") == 1  # only the first process speaks
    assert sorted(path.name for path in (tmp_path / "logs").iterdir()) == ["one", "two"]
    one, both = (figures(tmp_path / "logs" / name) for name in ("one", "two"))
    assert [row["step"] for row in one] == [row["step"] for row in both]
    for single, double in zip(one, both, strict=True):
        for name in FIGURES:
            # The processes draw other posterior noise than one does; all else is the same.
            assert float(double[name]) == pytest.approx(float(single[name]), rel=0.002), name


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
