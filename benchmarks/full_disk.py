"""A full disk, in each phase: one sentence, earlier files whole, and the next run succeeds.

    sudo python benchmarks/full_disk.py

A small file system in memory is mounted and filled with what a phase begins with, but for some
room. The phase has to end well, or with status 2 and one line. The earlier files have to be the
same, byte for byte (TensorBoard's may be longer), and no temporary files left. Then the file system
is enlarged, and the same command has to end well.
`tests/end_to_end/test_faults.py` does the same with a limit on each file, which needs no rights.

Prints a table; the status is 1 where anything was wrong. Linux, as root.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # a forked process has no threads to share work with
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import process_model
import train_torch
from benchmarks.faults import PROCESS, SMALL, make_once
from garfield_vae.cli.options import TrainOptions
from garfield_vae.data.sources import strip_folders
from garfield_vae.util.errors import run_script

PAGE = 4096
ROOMS = [0, 1, 4, 16, 40, 80, 160]  # pages that are free
DRAWN = [flag.replace("folder", "drawn").replace("drawn/strips", "data") for flag in SMALL]
# What is asked for, and what of `make_once`'s folders is there before, under which name.
PHASES: dict[str, tuple[Callable[[list[str]], int], list[str], dict[str, str]]] = {
    "drawing": (train_torch.main, [*DRAWN, "--count", "60"], {}),
    "store": (train_torch.main, SMALL, {"drawn": "drawn"}),
    "training": (
        train_torch.main,
        ["--continue_from", "logs/run", "--epochs", "6"],
        {"drawn": "drawn", "data": "data", "trained": "logs/run"},
    ),
    "processing": (process_model.main, [*PROCESS, "--num_samples", "4"], {}),
    "evaluation": (process_model.main, [*PROCESS, "--evaluate"], {}),
    "export": (process_model.main, [*PROCESS, "--export", "model"], {}),
    "page": (process_model.main, [*PROCESS, "--export_page", "page.html"], {}),
}
USED = {"drawn": "drawn", "data": "data", "trained": "run"}


def command(main: Callable[[list[str]], int], flags: list[str], log: Path) -> int:
    """Runs a script's `main` in a process of its own; gives its status. `log` gets stderr."""
    if (child := os.fork()) == 0:
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
            run_script(lambda: main(flags))
        except SystemExit as ended:
            os._exit(ended.code or 0)
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def changed(before: dict[str, bytes], after: dict[str, bytes]) -> list[str]:
    """The files that are gone or have changed."""
    return [
        name
        for name, content in before.items()
        if not (
            after.get(name) == content
            or ("events." in name and after.get(name, b"").startswith(content))
        )
    ]


def full(phase: str, room: int, made: Path, disk: Path) -> tuple[str, str]:
    """How a phase ended with `room` free pages, and what was wrong with that, if anything."""
    main, flags, there = PHASES[phase]
    there = there or ({} if phase == "drawing" else USED)
    log = disk.with_name("log")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "none", disk], check=True)
    try:
        os.chdir(disk)
        for source, name in there.items():
            shutil.copytree(made / source, name)
        if "data" in there:  # its name depends on the folder of the strips
            (store,) = Path("data").iterdir()
            store.rename(strip_folders(TrainOptions(source="folder", data_dir="drawn/strips"))[1])
        usage = os.statvfs(disk)
        used = (usage.f_blocks - usage.f_bfree) * usage.f_frsize // PAGE
        resize = f"remount,size={(used + room) * PAGE or 1}"
        subprocess.run(["mount", "-o", resize, disk], check=True)
        before = contents(disk)
        status = command(main, flags, log)
        said = log.read_text()
        wrong = []
        if status not in (0, 2):
            wrong.append(f"status {status}")
        if status == 2 and not re.fullmatch(r"error: [^\n]+\n", said):
            wrong.append("more than a sentence")
        if status == 2:
            # files that the command itself writes first
            own = ("options.json", "environment.json", "metrics.csv")
            lost = [n for n in changed(before, contents(disk)) if not n.endswith(own)]
            wrong += [f"changed {name}" for name in lost]
            wrong += [f"left {path.name}" for path in disk.rglob("*.tmp")]
            subprocess.run(["mount", "-o", "remount,size=256m", disk], check=True)
            if command(main, flags, log) != 0:
                wrong.append("the next run failed: " + log.read_text()[-300:])
        sentence = "ended well" if status == 0 else said.strip().replace(f"{disk}/", "")
        return sentence, "; ".join(wrong) + (f"\n{said[-1500:]}" if wrong else "")
    finally:
        os.chdir("/")
        subprocess.run(["umount", disk], check=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("phases", nargs="*", help=f"of {', '.join(PHASES)}; all, if none is named")
    parser.add_argument("--rooms", type=int, nargs="+", default=ROOMS, help="free pages of 4 KiB")
    arguments = parser.parse_args()
    faulty = 0
    with tempfile.TemporaryDirectory() as place:
        made, disk = Path(place, "made"), Path(place, "disk")
        for folder in (made, disk):
            folder.mkdir()
        make_once(made)
        print(f"{'phase':11} {'room KiB':>8}  how it ended")
        for phase in arguments.phases or list(PHASES):
            for room in arguments.rooms:
                how, wrong = full(phase, room, made, disk)
                faulty += bool(wrong)
                print(f"{phase:11} {room * PAGE // 1024:8}  {how[:110]}"
                      + (f"\n    WRONG: {wrong}" if wrong else ""), flush=True)  # fmt: skip
    print(f"{faulty} of them wrong")
    return 1 if faulty else 0


if __name__ == "__main__":
    sys.exit(main())
