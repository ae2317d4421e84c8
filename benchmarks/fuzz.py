"""Damaged and hostile files, by the thousand: is each refused with a sentence?

    python benchmarks/fuzz.py --minutes 10            every target in turn
    python benchmarks/fuzz.py picture --minutes 60    one of them

A real file is changed in a few random places and read. A result or a UserError of one line is
right; any other exception, memory beyond 1 GiB and a file written elsewhere are findings: the file
is kept in --keep, and the status is 1. Prints a table of how many files were tried and how many
could be read. `tests/end_to_end/test_fuzz.py` runs the same targets for a fixed number of cases.
"""

import argparse
import io
import json
import random
import resource
import sys
import tempfile
import time
import traceback
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from garfield_vae.checkpoints import (
    CONFIG,
    CONFIG_FORMAT,
    WEIGHTS,
    exported_space,
    load_exported,
    load_run,
    record,
)
from garfield_vae.cli.options import TrainOptions
from garfield_vae.data.build import build_store
from garfield_vae.data.download.manifest import Manifest
from garfield_vae.data.drawn import draw_folder, draw_strip
from garfield_vae.data.images import open_strip
from garfield_vae.data.panels import cut_panels
from garfield_vae.data.store import open_store
from garfield_vae.explorer.states import Positions
from garfield_vae.latent import samplers
from garfield_vae.latent.files import LATENT, write_space
from garfield_vae.latent.space import LatentSpace
from garfield_vae.model.networks import StripVAE
from garfield_vae.run_folder import read_options, write_json
from garfield_vae.util.errors import UserError

MEMORY = 2**30  # what reading one file may take, beyond what the program has
SMALL = {"z_dim": 8, "c_hidden": 1, "num_blocks": 1, "panel_height": 16, "panel_width": 24}
TRICKY = [bytes([b]) * n for b in (0, 1, 127, 128, 255) for n in (1, 2, 4, 8)]
TRICKY += [b"9" * 30, b"-1", b"null", b"[" * 5000, b'"', b"{}", b"1e999", b"../../x", b"\xff\xd8"]

Edit = tuple[str, float, bytes]


@dataclass(frozen=True)
class Target:
    """`seeds`: real files; `read` reads the bytes of a changed one and raises UserError or none."""

    seeds: list[bytes]
    read: Callable[[bytes], object]


def mutate(content: bytes, edits: list[Edit]) -> bytes:
    """Applies edits (kind, place as a share of the length, new bytes) to a file."""
    for kind, place, new in edits:
        at = int(place * len(content))
        match kind:
            case "put":
                content = content[:at] + new + content[at + len(new) :]
            case "insert":
                content = content[:at] + new + content[at:]
            case "cut":
                content = content[:at]
            case "remove":
                content = content[:at] + content[at + len(new) :]
            case "repeat":
                content = content[:at] + content[at : at + 64] * 8 + content[at:]
    return content


def random_edits(rng: random.Random) -> list[Edit]:
    return [
        (
            rng.choices(("put", "insert", "remove", "repeat", "cut"), (8, 3, 3, 1, 1))[0],
            rng.random() ** rng.choice((1, 1, 4)),  # headers are at the beginning
            rng.choice(TRICKY) if rng.random() < 0.5 else rng.randbytes(rng.randint(1, 8)),
        )
        for _ in range(rng.choice((1, 1, 2, 4, 16)))
    ]


# ---------------------------------------------------------------------------------------------
# What is read


def make_targets(folder: Path) -> dict[str, Target]:
    """Every place where a file or a text from elsewhere is read; `folder` is for files."""
    return {
        "picture": Target(pictures(), lambda content: cut_panels(open_strip(content))),
        "manifest": manifest_target(folder / "comic"),
        "state": state_target(),
        "exported config": exported_target(folder / "config", CONFIG),
        "exported weights": exported_target(folder / "weights", WEIGHTS),
        "exported latents": exported_target(folder / "latents", LATENT),
        "checkpoint": checkpoint_target(folder / "checkpoint"),
        "checkpoint's pickle": pickle_target(folder / "pickle"),
        "options": options_target(folder / "options"),
        "store's index": store_target(folder / "store"),
    }


def pictures() -> list[bytes]:
    strip, _ = draw_strip(0, date(1985, 3, 12))
    strip = strip.convert("RGB").resize((300, 88))
    forms = [
        (strip.quantize(16), "GIF"),
        (strip.quantize(16), "PNG"),
        (strip.convert("RGBA"), "PNG"),
        (Image.fromarray(np.asarray(strip.convert("L")).astype(np.uint16) * 257), "PNG"),
        (strip, "JPEG"),
        (strip.convert("CMYK"), "JPEG"),
    ]
    return [encoded(image, form) for image, form in forms]


def encoded(image: Image.Image, form: str) -> bytes:
    out = io.BytesIO()
    image.save(out, form)
    return out.getvalue()


def manifest_target(folder: Path) -> Target:
    """A manifest must never reach out of its folder, nor stop a download."""
    folder.mkdir()
    with Manifest(folder) as manifest:
        manifest.keep(date(1985, 3, 12), "uclick", "http://example.com/a.gif", pictures()[0])
        manifest.note(date(1985, 3, 13), "missing", "no strip")
        manifest.note(date(1985, 3, 14), "error", "timeout")
    real = manifest.path.read_bytes()

    def read(content: bytes) -> None:
        manifest.path.write_bytes(content)
        with Manifest(folder) as read:
            for day in list(read.entries):
                read.is_there(day)
                read.file(day)

    return Target([real, real.replace(b"1985-03-13", b"1985-03-12")], read)


def small_space() -> LatentSpace:
    return LatentSpace.fit(np.random.default_rng(0).normal(size=(30, 8)).astype(np.float32))


def state_target() -> Target:
    names = [f"1985-03-{day:02}" for day in range(1, 31)]
    means = np.random.default_rng(0).normal(size=(30, 8)).astype(np.float32)
    positions = Positions(small_space(), 4, names, means)

    def read(content: bytes) -> None:
        try:
            value = json.loads(content)
        except (ValueError, RecursionError) as error:  # the server refuses these itself
            raise UserError("it is no JSON") from error
        latents = positions.latents(positions.parse(value))
        if not np.isfinite(latents).all():
            raise AssertionError("a latent is no number")

    base = [[1.0, "strip:1985-03-12"], [0.5, "seed:7:0.8"], [-0.25, "given:" + "AAAA" * 5 + "AA"]]
    state = {"knobs": [0.5, -1, 2.25, 0], "panels": [[0, 0.5, 0, -3]] * 3, "base": base}
    return Target([json.dumps(state).encode(), b'{"knobs": [0, 0, 0, 0]}'], read)


def small_export(folder: Path) -> Path:
    """A folder as `process_model.py --export` writes it."""
    folder.mkdir(parents=True)
    (folder / WEIGHTS).write_bytes(save(StripVAE(**SMALL).state_dict()))
    training = {"beta": "auto", "z_dim": 8, "lr": 0.001}
    config = {"format": CONFIG_FORMAT, "network": SMALL, "training": training, "epoch": 3}
    write_json(folder / CONFIG, config)
    write_space(folder / LATENT, small_space())
    return folder


def exported_target(folder: Path, name: str) -> Target:
    path = small_export(folder) / name

    def read(content: bytes) -> None:
        path.write_bytes(content)
        loaded = load_exported(folder)
        latents = samplers.draw(exported_space(loaded), 2, np.random.default_rng(0))
        loaded.model.decode(torch.from_numpy(latents))

    return Target([path.read_bytes()], read)


def small_checkpoint(folder: Path) -> Path:
    model, options = StripVAE(**SMALL), TrainOptions(z_dim=8, c_hidden=1, num_blocks=1)
    state = {f"averaged.module.{name}": value for name, value in model.state_dict().items()}
    path = folder / "checkpoints" / "best.ckpt"
    path.parent.mkdir(parents=True)
    checkpoint = {"state_dict": state, "epoch": 3, "garfield_vae": record(options, model.config)}
    torch.save(checkpoint, path)
    return path


def checkpoint_target(folder: Path) -> Target:
    path = small_checkpoint(folder)

    def read(content: bytes) -> None:
        path.write_bytes(content)
        load_run(folder)

    return Target([path.read_bytes()], read)


def pickle_target(folder: Path) -> Target:
    """The checkpoint's list of tensors and values, changed inside an archive that is in order."""
    path = small_checkpoint(folder)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    (pickled,) = (name for name in members if name.endswith("data.pkl"))

    def read(content: bytes) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            for name, kept in members.items():
                archive.writestr(name, content if name == pickled else kept)
        load_run(folder)

    return Target([members[pickled]], read)


def options_target(folder: Path) -> Target:
    write_json(folder / "options.json", record(TrainOptions(), {})["options"])

    def read(content: bytes) -> None:
        (folder / "options.json").write_bytes(content)
        read_options(folder)

    return Target([(folder / "options.json").read_bytes()], read)


def store_target(folder: Path) -> Target:
    draw_folder(folder / "drawn", 20, seed=0)
    npy = build_store(folder / "drawn" / "strips", folder, 16, 24).path

    def read(content: bytes) -> None:
        npy.with_suffix(".json").write_bytes(content)
        open_store(npy)

    return Target([npy.with_suffix(".json").read_bytes()], read)


# ---------------------------------------------------------------------------------------------
# Trying


def attempt(target: Target, content: bytes) -> bool:
    """Whether the file was read; False when it was refused as it should. Else an exception."""
    try:
        target.read(content)
    except UserError as error:
        sentence, cause = str(error), error
        if "\n" in sentence or len(sentence) > 1000:
            raise AssertionError(f"not a sentence: {sentence[:200]!r}") from error
        while cause is not None:
            if isinstance(cause, MemoryError):
                raise AssertionError("it took more memory than there is") from error
            cause = cause.__cause__ or cause.__context__
        return False
    return True


def limit_memory() -> None:
    """From here on, more than MEMORY beyond what the program has is refused by the system."""
    has = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (has + MEMORY, resource.RLIM_INFINITY))


def fuzz(name: str, target: Target, seconds: float, rng: random.Random, keep: Path) -> int:
    """Prints a row of the table; gives how many findings there were."""
    tried = read = 0
    findings: dict[str, str] = {}
    end = time.monotonic() + seconds
    with tqdm(desc=name, unit="file", disable=None) as bar:
        while time.monotonic() < end:
            content = mutate(rng.choice(target.seeds), random_edits(rng))
            tried += 1
            bar.update()
            try:
                read += attempt(target, content)
            except Exception as error:
                last = traceback.extract_tb(error.__traceback__)[-1]
                place = f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}"
                if place not in findings:
                    findings[place] = f"{error}"[:200]
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / f"{name.replace(' ', '_')}-{len(findings)}").write_bytes(content)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{name:22} {tried:9,} {read:9,} {len(findings):9} {peak:11,.0f}", flush=True)
    for place, message in findings.items():
        print(f"    {place}: {message}")
    return len(findings)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("targets", nargs="*", help="all, if none is named")
    parser.add_argument("--minutes", type=float, default=2.0, help="over all targets")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir(), "findings"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        targets = make_targets(Path(folder))
        if unknown := set(arguments.targets) - set(targets):
            parser.error(f"no target {', '.join(unknown)}; there are: {', '.join(targets)}")
        names = arguments.targets or list(targets)
        for name in names:  # so that what is loaded once is not counted
            attempt(targets[name], targets[name].seeds[0])
        limit_memory()
        print(f"{'target':22} {'tried':>9} {'read':>9} {'findings':>9} {'peak, MiB':>11}")
        share = 60 * arguments.minutes / len(names)
        rng = random.Random(arguments.seed)
        found = sum(fuzz(name, targets[name], share, rng, arguments.keep) for name in names)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
