"""The folder of a run: how it is begun, what is in it, how a trained model comes out of it."""

import datetime
import json
import os
import pickle
import platform
import re
import subprocess
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from garfield_vae import __version__
from garfield_vae.errors import UserError
from garfield_vae.files import replacing
from garfield_vae.networks import StripVAE
from garfield_vae.options import TrainOptions, train_options

FORMAT = 2  # of the checkpoint's entry "garfield_vae"; another one is refused
PACKAGES = ("torch", "torchvision", "pytorch-lightning", "numpy", "Pillow", "scikit-learn")


@dataclass(frozen=True)
class LoadedRun:
    """A trained model, ready to use: `model` has the averaged weights and is in eval mode."""

    model: StripVAE
    options: TrainOptions
    folder: Path
    checkpoint: Path
    epoch: int


def new_run_folder(log_dir: Path, run_name: str | None) -> Path:
    """Makes `log_dir/run_name`, or one named by the time of day. An existing one is an error."""
    if run_name is not None and not re.fullmatch(r"[\w][\w.,=+-]*", run_name):
        raise UserError(
            f"--run_name {run_name!r} cannot be a folder's name: use letters, digits and .,=+-_"
        )
    name = run_name or datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    for attempt in range(1, 100):
        # two trainings that start in the same second get a folder each
        folder = log_dir / (name if attempt == 1 else f"{name}_{attempt}")
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            if run_name is not None:
                raise UserError(
                    f"{folder} exists already: give another --run_name, "
                    f"or go on with that run by --continue_from {folder}"
                ) from None
        except OSError as error:
            raise UserError(
                f"the run's folder {folder} cannot be made ({error.strerror}): "
                f"choose another --log_dir"
            ) from error
    raise UserError(f"{log_dir} has a hundred runs of this second: give a --run_name")


def find_run_folder(name: str, log_dir: Path) -> Path:
    """The folder that --continue_from or --experiment_dir means; `last` is the newest run."""
    if name == "last":
        runs = [path.parent for path in log_dir.glob("*/options.json")]
        if not runs:
            raise UserError(f"there is no run in {log_dir} to go on with")
        return max(runs, key=lambda run: ((run / "options.json").stat().st_mtime, run.name))
    folder = Path(name)
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}: give a run's folder, such as one in logs/")
    return folder


def choose_device(accelerator: str) -> torch.device:
    """The device that --accelerator means. Raises UserError when this machine has none of it."""
    there = {"gpu": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if accelerator == "auto":
        accelerator = next((name for name, is_there in there.items() if is_there), "cpu")
    elif not there.get(accelerator, True):
        raise UserError(f"this machine has no {accelerator} for --accelerator {accelerator}")
    return torch.device("cuda" if accelerator == "gpu" else accelerator)


def find_checkpoint(folder: Path, *names: str) -> Path:
    """The first of `checkpoints/<name>.ckpt` that is there."""
    for name in names:
        if (path := folder / "checkpoints" / f"{name}.ckpt").is_file():
            return path
    raise UserError(
        f"{folder} has no checkpoint ({' or '.join(f'checkpoints/{n}.ckpt' for n in names)}): "
        f"give the folder of a run that train_torch.py has trained for an epoch or more"
    )


def load_run(folder: Path, device: str | torch.device = "cpu") -> LoadedRun:
    """Loads the best checkpoint of a run (the last one, if it never was validated)."""
    path = find_checkpoint(folder, "best", "last")
    checkpoint = read_checkpoint(path)
    record, prefix = checkpoint["garfield_vae"], "averaged.module."
    try:
        weights = {
            name.removeprefix(prefix): value
            for name, value in checkpoint["state_dict"].items()
            if name.startswith(prefix)
        }
        network, options = record["network"], dict(record["options"])
        epoch = int(checkpoint["epoch"])
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise UserError(f"{path} is damaged: it does not say which model it holds") from error
    model = build(network, weights, path).to(device)
    return LoadedRun(model, train_options(options, path), folder, path, epoch)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Reads a checkpoint without running anything in it. Raises UserError if it is no good."""
    try:
        check_archive(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's remarks on a file that it then refuses
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path} is refused: it is damaged or holds more than weights and plain values"
        ) from error
    except Exception as error:  # a damaged archive fails in as many ways as it has bytes
        raise UserError(f"{path} cannot be read, it is damaged or cut off") from error
    for value in values_in(checkpoint):
        # one number may be declared to be 10^12, which anything computed from it would be
        if torch.is_tensor(value) and value.untyped_storage().nbytes() < value.nbytes:
            raise UserError(f"{path} is refused: it declares more than it holds")
    record = checkpoint.get("garfield_vae") if isinstance(checkpoint, dict) else None
    if not isinstance(record, dict):
        raise UserError(f"{path} is no checkpoint of this project")
    if record.get("format") != FORMAT:
        raise UserError(
            f"{path} was written in format {record.get('format')} and this version reads "
            f"{FORMAT}: use the version that wrote it ({record.get('version')})"
        )
    return checkpoint


def check_archive(path: Path) -> None:
    """Raises an exception unless a file is a zip that unpacks to no more than its own size.

    `torch.save` writes such a zip; what packs a bomb, or is in one of torch's older formats (which
    are read without knowing how much is to come), is refused.
    """
    with zipfile.ZipFile(path) as archive:
        declared = sum(member.file_size for member in archive.infolist())
        if declared > path.stat().st_size:
            raise pickle.UnpicklingError(f"it declares {declared} bytes")


def values_in(checkpoint: Any) -> Iterator[Any]:
    """Every value in what a checkpoint's pickle gives: nested dicts, lists and tuples."""
    to_do, seen = [checkpoint], set()
    while to_do:
        value = to_do.pop()
        if isinstance(value, dict | list | tuple):
            if id(value) not in seen:  # a pickle's list may be in itself
                seen.add(id(value))
                to_do.extend(value.values() if isinstance(value, dict) else value)
        else:
            yield value


def build(network: dict[str, Any], weights: dict[str, torch.Tensor], origin: Path) -> StripVAE:
    """The model that `network` describes, with `weights` in it, in eval mode.

    It is built without memory first: a file that declares more than it holds is refused by its
    shapes before anything of that size is allocated.
    """
    try:
        with torch.device("meta"):
            model = StripVAE(**network)
        model.load_state_dict(weights, assign=True)
        for name, value in weights.items():
            if (value.dtype, value.layout) != (torch.float32, torch.strided):
                raise TypeError(f"{name} is {value.dtype}")
            if not value.isfinite().all():
                raise ValueError(f"{name} holds values that are no numbers")
    except (UserError, RuntimeError, TypeError, ValueError, KeyError, AttributeError) as error:
        raise UserError(
            f"{origin} does not hold the weights of the network it describes"
        ) from error
    return model.eval().requires_grad_(False)


def record(options: TrainOptions, network: dict[str, Any]) -> dict[str, Any]:
    """The checkpoint's entry "garfield_vae": what rebuilds the model without any flag."""
    return {
        "format": FORMAT,
        "version": __version__,
        "options": asdict(options),
        "network": network,
    }


def read_options(folder: Path) -> TrainOptions:
    """The options a run was started with, from its options.json."""
    path = folder / "options.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{folder} is no run's folder: it has no options.json") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged: it is no JSON") from error
    if not isinstance(values, dict):
        raise UserError(f"{path} is damaged: it holds no options")
    return train_options(values, path)


def write_json(path: Path, values: Any) -> None:
    with replacing(path, "w") as file:
        json.dump(values, file, indent=2, ensure_ascii=False)
        file.write("\n")


def environment(store_digest: str, device: str) -> dict[str, Any]:
    """What a run was made with, for environment.json."""
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


def git_commit() -> str | None:
    """The commit of this source tree, or None where it is no checkout."""
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            env=os.environ | {"GIT_OPTIONAL_LOCKS": "0"},
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()


class WholeCheckpoints(TorchCheckpointIO):
    """Writes checkpoints that are whole or not there.

    Lightning's own writes to the system's temporary folder and moves the file, which is no longer
    atomic when that is another file system.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options=None) -> None:
        with replacing(Path(path)) as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:
                # torch closes its archive even when the disk is full, and that fails again
                if isinstance(error.__context__, OSError):
                    raise error.__context__ from None
                raise
