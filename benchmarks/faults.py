"""kill -9 at random moments: does the next run complete, and is it the undisturbed one?

    python benchmarks/faults.py                 fifty kills of each kind
    python benchmarks/faults.py export --kills 5

Five kinds of work, on drawn strips and a small model: building the panel store, training (with a
checkpoint several times a second), training that is sent SIGINT or SIGTERM instead, processing,
exporting. Each is done once undisturbed. Then, as often as --kills says, a process does it and gets
its signal at a random moment, the same command runs again, and the result is compared with the
undisturbed one: files byte for byte, weights and figures bit for bit, TensorBoard's steps one by
one. A torn file that the kill left would show as an error of the second run.

Prints a table; the status is 1 where anything differed. POSIX only: processes are forked, so that
torch is loaded once.
"""

import argparse
import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # a forked process has no threads to share work with
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tqdm import tqdm

import process_model
import train_torch
from garfield_vae.data.build import build_store
from garfield_vae.data.drawn import draw_folder
from garfield_vae.training import callbacks
from garfield_vae.util.errors import ENDED_BY, INTERRUPTED, run_script
from garfield_vae.util.metrics_table import METRICS, read_rows

STRIPS = 120
EPOCHS = 4
SPEED = "per_second"  # what is in the names of figures that no two runs have in common
SMALL = [
    *("--source", "folder", "--data_dir", "drawn/strips", "--epochs", str(EPOCHS)),
    *("--panel_height", "32", "--panel_width", "40", "--z_dim", "16", "--c_hidden", "2"),
    *("--num_blocks", "1", "--accelerator", "cpu", "--devices", "1", "--precision", "32-true"),
    *("--prior_minutes", "0"),
]
PROCESS = ["--experiment_dir", "run", "--accelerator", "cpu", "--components", "4"]

State = dict[str, object]


def in_process(
    work: Callable[[], object], kill_after: float | None = None, by: int = signal.SIGKILL
) -> tuple[int, float]:
    """Does the work in a process of its own: its exit status, and the seconds it took."""
    began = time.monotonic()
    if (child := os.fork()) == 0:
        try:
            log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(log, 1)
            os.dup2(log, 2)
            run_script(lambda: work() or 0)
        except SystemExit as ended:
            sys.stdout.flush()
            os._exit(ended.code)
        except KeyboardInterrupt:
            os._exit(INTERRUPTED)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(child, by)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), time.monotonic() - began


def files(folder: Path) -> State:
    """What is in a folder, but for the unfinished files that a killed process leaves."""
    found = (p for p in folder.rglob("*") if p.is_file() and not p.name.endswith(".tmp"))
    return {str(p.relative_to(folder)): p.read_bytes() for p in found}


# ---------------------------------------------------------------------------------------------
# The four kinds of work. Each begins with `prepare` in an empty folder; `again` is what a person
# does after a crash; `state` is what is compared.


class Store:
    """The first half of the strips is in the store already, as after a download that went on."""

    signals: tuple[int, ...] = (signal.SIGKILL,)

    def prepare(self, drawn: Path) -> None:
        shutil.copytree(drawn.with_name("half"), "drawn")
        build_store(Path("drawn/strips"), Path("store"), 32, 40)
        shutil.copytree(drawn, "drawn", dirs_exist_ok=True)

    def work(self) -> None:
        build_store(Path("drawn/strips"), Path("store"), 32, 40)

    again = work

    def state(self) -> State:
        return files(Path("store"))


class Training:
    signals: tuple[int, ...] = (signal.SIGKILL,)

    def prepare(self, drawn: Path) -> None:
        shutil.copytree(drawn, "drawn")

    def work(self) -> int:
        callbacks.SAVE_EVERY_SECONDS = 0.2
        return train_torch.main([*SMALL, "--run_name", "run"])

    def again(self) -> int:
        callbacks.SAVE_EVERY_SECONDS = 0.2
        if Path("logs/run/checkpoints/last.ckpt").exists():
            return train_torch.main(["--continue_from", "logs/run"])
        shutil.rmtree("logs", ignore_errors=True)
        return self.work()

    def state(self) -> State:
        run = Path("logs/run")
        weights = torch.load(run / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
        found: State = {name: value.numpy().tobytes() for name, value in weights.items()}
        rows = read_rows(run / METRICS)
        found["figures"] = [{k: v for k, v in row.items() if SPEED not in k} for row in rows]
        events = EventAccumulator(str(run), size_guidance={"scalars": 0})
        events.Reload()
        for tag in events.Tags()["scalars"]:
            if SPEED not in tag:
                found[tag] = [(event.step, event.value) for event in events.Scalars(tag)]
        return found


class Stopping(Training):
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Using:
    """A trained run is there, its strips are in the store, and nothing is encoded yet."""

    signals: tuple[int, ...] = (signal.SIGKILL,)

    def prepare(self, drawn: Path) -> None:
        shutil.copytree(drawn, "drawn")
        shutil.copytree(drawn.with_name("trained"), "run")
        shutil.copytree(drawn.with_name("data"), "data")


class Processing(Using):
    def work(self) -> None:
        process_model.main([*PROCESS, "--num_samples", "4"])

    again = work

    def state(self) -> State:
        return files(Path("run/processed")) | {
            "latent": Path("run/latent.safetensors").read_bytes()
        }


class Exporting(Using):
    """The first export of a process is half as slow again: what onnx loads and compiles once is
    there before the processes are forked, which still write everything themselves."""

    def work(self) -> None:
        process_model.main([*PROCESS, "--export", "model"])

    def again(self) -> None:
        if not Path("model").exists():
            self.work()

    def state(self) -> State:
        return files(Path("model"))


KINDS = {
    "store": Store,
    "training": Training,
    "stopping": Stopping,
    "processing": Processing,
    "export": Exporting,
}


def make_once(place: Path) -> Path:
    """Draws the strips and trains the model that all kinds begin with."""
    drawn = place / "drawn"
    draw_folder(place / "half", STRIPS // 2, seed=0)
    draw_folder(drawn, STRIPS, seed=0)
    os.chdir(place)
    status, _ = in_process(Training().work)
    if status:
        raise SystemExit(Path("log").read_text())
    (place / "logs" / "run").rename(place / "trained")
    return drawn


def kills(kind: str, count: int, drawn: Path, rng: random.Random) -> int:
    """Prints a row of the table; gives how often the next run failed or differed."""
    task = KINDS[kind]()

    def in_empty_folder(name: str) -> None:
        folder = drawn.with_name(name)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        os.chdir(folder)
        with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
            task.prepare(drawn)

    if isinstance(task, Exporting):
        in_empty_folder("warming_up")
        task.work()
    in_empty_folder("undisturbed")
    status, seconds = in_process(task.work)
    if status:
        raise SystemExit(Path("log").read_text())
    undisturbed = task.state()
    died = failed = differed = 0
    for _ in tqdm(range(count), desc=kind, unit="kill", disable=None):
        in_empty_folder("disturbed")
        by = rng.choice(task.signals)
        first, _ = in_process(task.work, rng.uniform(0, seconds), by)
        died += first != 0
        said = Path("log").read_text()
        again, _ = in_process(task.again)
        if first not in (0, -by, ENDED_BY + by) or again != 0:
            failed += 1
            print(f"status {first}, then {again}", said[-2000:], Path("log").read_text()[-2000:])
        elif (state := task.state()) != undisturbed:
            differed += 1
            names = undisturbed | state
            other = [name for name in names if state.get(name) != undisturbed.get(name)]
            print(f"after signal {by} these differ: {', '.join(other)[:500]}")
    print(f"{kind:12} {count:6} {died:13} {failed:15} {differed:9} {seconds:12.2f}", flush=True)
    return failed + differed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("kinds", nargs="*", help=f"of {', '.join(KINDS)}; all, if none is named")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if unknown := set(arguments.kinds) - set(KINDS):
        parser.error(f"there is no {', '.join(unknown)}")
    rng = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as place:
        drawn = make_once(Path(place))
        print(f"{'kind':12} {'kills':>6} {'died in time':>13} {'next run failed':>15} "
              f"{'differed':>9} {'seconds each':>12}")  # fmt: skip
        wrong = sum(
            kills(kind, arguments.kills, drawn, rng) for kind in arguments.kinds or list(KINDS)
        )
        os.chdir("/")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
