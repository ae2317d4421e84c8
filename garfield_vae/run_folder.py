"""The folders of runs: creating and finding them, and the small files in them.

options.json       the options of the run     environment.json   versions, device, strips
metrics.csv        figures of each epoch      checkpoints/       see checkpoints.py
"""

import datetime
import json
import os
import platform
import re
import subprocess
from contextlib import AbstractContextManager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from garfield_vae import __version__
from garfield_vae.cli.flags import LAST_NAME, PRETRAINED_NAME
from garfield_vae.cli.options import TrainOptions, train_options
from garfield_vae.cli.outputs import check_parent
from garfield_vae.cli.process_options import PRETRAINED_FOLDER as PRETRAINED
from garfield_vae.util.commands import command
from garfield_vae.util.console import tell
from garfield_vae.util.errors import UserError
from garfield_vae.util.files import locked, read_json, replacing

PACKAGES = ("torch", "torchvision", "pytorch-lightning", "numpy", "Pillow", "scikit-learn")


def check_new_run(log_dir: Path, run_name: str | None) -> None:
    """Raises UserError where `new_run_folder` would: to be asked before strips are gathered, which
    takes a day where they are downloaded."""
    if run_name is not None:
        if not re.fullmatch(r"\w[\w.,=+-]{0,99}", run_name):
            raise UserError(
                f"--run_name {run_name[:40]!r} cannot be a folder's name: use at most 100 "
                f"letters, digits and .,=+-_"
            )
        if run_name == PRETRAINED_NAME:
            raise UserError(
                f"--run_name {run_name} is taken: {log_dir / run_name} is for pictures of the "
                f"model that comes with the project"
            )
        if os.path.lexists(folder := log_dir / run_name):
            raise already_there(folder)
    check_parent(log_dir / (run_name or "RUN"), "--log_dir")


def already_there(folder: Path) -> UserError:
    go_on = command("train_torch.py", "--continue_from", folder)
    return UserError(
        f"{folder} exists already: give another --run_name"
        + (f", or go on with that run: {go_on}" if is_run(folder, "last") else "")
    )


def new_run_folder(log_dir: Path, run_name: str | None) -> Path:
    """Makes `log_dir/run_name`, or a folder named by date and time.

    Raises UserError where a folder of that name exists or cannot be made.
    """
    name = run_name or datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    for attempt in range(1, 100):  # others may start in the same second
        folder = log_dir / (name if attempt == 1 else f"{name}_{attempt}")
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            if run_name is not None:
                raise already_there(folder) from None
        except OSError as error:
            raise UserError(
                f"the run's folder {folder} cannot be made ({error.strerror}): "
                f"choose another --log_dir"
            ) from error
    raise UserError(f"{log_dir} has a hundred runs of this second: give a --run_name")


def hold(folder: Path) -> AbstractContextManager[None]:
    """Locks a run for this process, so that no two write its checkpoints. Raises UserError while
    another process trains it."""
    return locked(
        folder,
        f"{folder} is being trained by another process: wait until that ends, or stop it",
    )


def is_run(folder: Path, *names: str) -> bool:
    """Whether there are options and one of `checkpoints/<name>.ckpt`."""
    files = (folder / "checkpoints" / f"{name}.ckpt" for name in names)
    return (folder / "options.json").is_file() and any(file.is_file() for file in files)


def find_run_folder(name: str, log_dir: Path, *checkpoints: str) -> Path:
    """The folder of a run that a flag names; `last` is the newest run that has one of
    `checkpoints`, by default best or last."""
    if name == LAST_NAME:
        names = checkpoints or ("best", "last")
        runs = [path.parent for path in log_dir.glob("*/options.json")]
        whole = [run for run in runs if is_run(run, *names)]
        if not whole:
            kind = f"run with checkpoints/{' or '.join(f'{n}.ckpt' for n in names)}"
            kind = kind if runs else "run"
            raise UserError(f"there is no {kind} in {log_dir}: train one, or give its --log_dir")
        return max(whole, key=lambda run: ((run / "options.json").stat().st_mtime, run.name))
    return existing(Path(name))


def existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}: give a run's folder, such as one in logs/")
    return folder


def find_model_folder(name: str, log_dir: Path) -> Path:
    """The folder of a run or of an exported model that a flag names; `pretrained` is the model that
    comes with the project, also where there is a folder ./pretrained."""
    if name != PRETRAINED_NAME:
        return find_run_folder(name, log_dir)
    folder = pretrained_folder()
    if Path(name).is_dir():
        tell(f"pretrained  is the model that comes with the project; the folder here is ./{name}")
    return folder


def pretrained_folder() -> Path:
    """Raises UserError where the model was left out of the installation."""
    if not is_pretrained_there():
        raise UserError(
            f"the pretrained model is not in {PRETRAINED}: install the project whole, or make the "
            f"model by benchmarks/pretrained.py"
        )
    return PRETRAINED


def is_pretrained_there() -> bool:
    return (PRETRAINED / "config.json").is_file()


def output_folder(folder: Path, log_dir: Path) -> Path:
    """The folder for a model's pictures: its own, or logs/pretrained for the pretrained model,
    whose own may not be writable."""
    if folder.resolve() != PRETRAINED.resolve():
        return folder
    output = log_dir / PRETRAINED_NAME
    if (output / "options.json").exists():
        raise UserError(
            f"{output} is a run, and pictures of the pretrained model would go there: rename it, "
            f"or give another --log_dir"
        )
    return output


def choose_device(accelerator: str) -> torch.device:
    """The device that --accelerator names: as for Lightning, "gpu" is CUDA's or Apple's, and "auto"
    the best that is there. Raises UserError where this machine has none."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    kinds = {"gpu": ("cuda", "mps"), "auto": ("cuda", "mps", "cpu")}.get(accelerator, [accelerator])
    for kind in kinds:
        if there.get(kind, True):
            return torch.device(kind)
    raise UserError(
        f"--accelerator {accelerator}: this machine has none that torch can compute on; "
        f"take --accelerator auto"
    )


def multiplies_bf16(device: torch.device) -> bool:
    """Whether the hardware has instructions for bfloat16, where it is two to three times as fast
    as float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and bool(torch.cpu.get_capabilities().get("avx512_bf16"))


def find_checkpoint(folder: Path, *names: str) -> Path:
    """The first of `checkpoints/<name>.ckpt` that is there."""
    checkpoints = existing(folder) / "checkpoints"
    for name in names:
        if (path := checkpoints / f"{name}.ckpt").is_file():
            return path
    raise UserError(
        f"{folder} has no checkpoint ({' or '.join(f'checkpoints/{n}.ckpt' for n in names)}): "
        f"give the folder of a run that train_torch.py has trained for an epoch or more"
    )


def read_options(folder: Path) -> TrainOptions:
    """The options a run was started with, from its options.json."""
    path = folder / "options.json"
    try:
        values = read_json(path)
    except FileNotFoundError as error:
        raise UserError(f"{folder} is not a run's folder: it has no options.json") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise UserError(f"{path} is damaged: it is no JSON") from error
    if not isinstance(values, dict):
        raise UserError(f"{path} is damaged: it holds no options")
    return train_options(values, path)


def write_json(path: Path, values: Any) -> None:
    with replacing(path, "w") as file:
        json.dump(values, file, indent=2, ensure_ascii=False)
        file.write("\n")


def environment(store_digest: str, device: str) -> dict[str, Any]:
    """The contents of environment.json."""
    return {
        "garfield_vae": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {package: version(package) for package in PACKAGES},
        "device": device,
        "threads": torch.get_num_threads(),
        "git_commit": git_commit(),
        "strips": store_digest,
    }


def trained_on(folder: Path) -> str | None:
    """The digest of the strips that a run was trained on, or None where it is not known."""
    try:
        return read_json(folder / "environment.json")["strips"]
    except (OSError, ValueError, LookupError, TypeError):
        return None


def git_commit() -> str | None:
    """The git commit of this source tree, or None where it is not a checkout: an installed package
    may lie inside the repository of another project."""
    folder = Path(__file__).parent
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "--show-prefix", "HEAD"],
            cwd=folder,
            env=os.environ | {"GIT_OPTIONAL_LOCKS": "0"},
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    place, _, commit = answer.stdout.strip().rpartition("\n")
    return commit if place == f"{folder.name}/" else None
