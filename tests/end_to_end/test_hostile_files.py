"""A stranger's files, given to the commands: one sentence, status 2, nothing run, nothing written.

Each command is bounded to little memory by the system, so that whoever believes a file that
declares more than it holds fails here. The same files byte by byte: tests/end_to_end/test_fuzz.py.
"""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from commands import Commands, commands_with_little_memory
from hostile import Bomb, declared_tensor, long_header, packed
from PIL import Image
from small_model import SMALL
from strip_pictures import broken_palette, encoded, png_bomb, png_header, strip_picture

import process_model


@pytest.fixture(scope="module")
def command(tmp_path_factory) -> Iterator[Commands]:
    with commands_with_little_memory(tmp_path_factory.mktemp("printed")) as run:
        yield run


@pytest.fixture(scope="module")
def shared(trained_run, tmp_path_factory) -> Path:
    """A folder that a stranger may have made: a run, its data, and an exported model."""
    place = tmp_path_factory.mktemp("stranger")
    shutil.copytree(trained_run.parent.parent, place, dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr("garfield_vae.export.onnx_files.NEEDED", ("a_package_that_is_not_there",))
        assert process_model.main(["--experiment_dir", "logs/run", "--export", "model"]) == 0
    return place


@pytest.fixture
def place(shared, tmp_path) -> Path:
    """A copy of it, to be spoiled."""
    return shutil.copytree(shared, tmp_path / "place")


def everything(folder: Path) -> dict[str, tuple[int, int] | None]:
    """Every folder, and every file with what changes when it is written."""
    found = {path: path.lstat() for path in folder.rglob("*")}
    return {
        str(path.relative_to(folder)): None if path.is_dir() else (stat.st_size, stat.st_mtime_ns)
        for path, stat in found.items()
    }


def assert_refused(command: Commands, place: Path, script: str, flags: list[str], why: str) -> None:
    before = everything(place)
    ended = command(place, script, *flags)
    assert ended.status == 2, ended
    assert re.fullmatch(r"error: [^\n]{1,400}\n", ended.err), ended
    assert re.search(why, ended.err), ended.err
    assert everything(place) == before


PROCESS = ["--experiment_dir", "logs/run", "--accelerator", "cpu", "--num_samples", "1"]
EXPORTED = ["--experiment_dir", "model", "--accelerator", "cpu", "--num_samples", "1"]
CONTINUE = ["--continue_from", "logs/run", "--epochs", "4"]


def test_files_that_nobody_spoiled_are_taken_within_that_memory(command, place):
    """So that a refusal below is for the file, not for the limit."""
    for script, flags in (
        ("process_model.py", [*PROCESS, "--components", "1"]),
        ("process_model.py", [*EXPORTED, "--components", "1"]),
        ("train_torch.py", CONTINUE),
    ):
        ended = command(place, script, *flags)
        assert (ended.status, ended.err) == (0, ""), ended


# ---------------------------------------------------------------------------------------------
# Checkpoints


def with_code(path: Path) -> None:
    checkpoint = torch.load(path, weights_only=True)
    torch.save(checkpoint | {"bomb": Bomb(path.with_name("exploded"))}, path)


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 2000)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def with_tensors(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        checkpoint = torch.load(path, weights_only=True)
        state = checkpoint["state_dict"]
        changed = {name: change(value) for name, value in state.items()}
        torch.save(checkpoint | {"state_dict": changed}, path)

    return spoil


def with_network(**sizes: object) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        checkpoint = torch.load(path, weights_only=True)
        checkpoint["garfield_vae"]["network"] |= sizes
        torch.save(checkpoint, path)

    return spoil


def of_another_version(path: Path) -> None:
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["garfield_vae"] |= {"format": 99, "version": "9.9.9"}
    torch.save(checkpoint, path)


def with_state_of_the_optimizer(change: Callable[[dict], object]) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        checkpoint = torch.load(path, weights_only=True)
        change(checkpoint["optimizer_states"][0])
        torch.save(checkpoint, path)

    return spoil


CHECKPOINTS = {
    "with code in it": (with_code, "holds more than weights and plain values"),
    "truncated": (truncated, "damaged or cut off"),
    "empty": (empty, "damaged or cut off"),
    "unpacking to a gigabyte": (packed, "is refused"),
    "of wrong shapes": (with_tensors(lambda t: t[None]), "does not hold|another network"),
    "of 10^12 elements that it does not hold": (
        with_tensors(lambda t: torch.zeros(1).expand(10**6, 10**6)),
        "declares more than it holds",
    ),
    "of one number that it declares to be all": (
        with_tensors(lambda t: torch.zeros(()).expand(t.shape)),
        "declares more than it holds",
    ),
    "of sparse tensors": (with_tensors(lambda t: t.to_sparse()), "declares more than it holds"),
    "of another version": (of_another_version, r"format 99.*9\.9\.9"),
}


@pytest.mark.parametrize("kind", CHECKPOINTS)
@pytest.mark.parametrize("use", ["process_model.py", "train_torch.py"])
def test_a_checkpoint(command, place, use, kind):
    spoil, why = CHECKPOINTS[kind]
    name, flags = {
        "process_model.py": ("best", PROCESS),
        "train_torch.py": ("last", CONTINUE),
    }[use]
    spoil(place / "logs" / "run" / "checkpoints" / f"{name}.ckpt")
    assert_refused(command, place, use, flags, why)
    assert not list(place.rglob("exploded"))


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state["state"].clear(),
        lambda state: state["state"].popitem(),
        lambda state: state["param_groups"].pop(),
        lambda state: state["state"][0].update(momentum=torch.zeros(3)),
        lambda state: state["state"][0].update(step="soon"),
    ],
    ids=["none", "one too few", "a group too few", "another shape", "text"],
)
def test_a_checkpoint_whose_optimizer_is_of_another_network(command, place, change):
    """Its steps cannot be gone on with; the checkpoint itself stays as it is."""
    path = place / "logs" / "run" / "checkpoints" / "last.ckpt"
    with_state_of_the_optimizer(change)(path)
    before = path.read_bytes()
    ended = command(place, "train_torch.py", *CONTINUE)
    assert ended.status == 2, ended
    assert re.fullmatch(r"error: \S*last\.ckpt is damaged: [^\n]+\n", ended.err), ended
    assert path.read_bytes() == before


def with_state_of_the_run(change: Callable[[dict], object]) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        checkpoint = torch.load(path, weights_only=True)
        change(checkpoint)
        torch.save(checkpoint, path)

    return spoil


def progress_of(checkpoint: dict) -> dict:
    return checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]


STATES = {
    "the best is a text": lambda c: c["callbacks"]["RunCheckpoints"].update(best="x"),
    "the best is two texts": lambda c: c["callbacks"]["RunCheckpoints"].update(best=["x", "y"]),
    "no schedules but a number": lambda c: c.update(lr_schedulers=[7]),
    "sums of another shape": lambda c: c.update(epoch_so_far=torch.zeros(3)),
    "sums of text": lambda c: c.update(epoch_so_far="many"),
    "epochs of text": lambda c: progress_of(c).update(processed="x"),
    "epochs before the first": lambda c: progress_of(c).update(processed=-1),
    "no loops": lambda c: c.update(loops=[]),
}


@pytest.mark.parametrize("kind", STATES)
def test_a_checkpoint_to_go_on_from_in_which(command, place, kind):
    """Refused, and neither the run's options nor its figures nor the checkpoint are touched."""
    run = place / "logs" / "run"
    with_state_of_the_run(STATES[kind])(run / "checkpoints" / "last.ckpt")
    before = {path: path.read_bytes() for path in run.rglob("*.[cj]*")}
    ended = command(place, "train_torch.py", *CONTINUE)
    assert ended.status == 2, ended
    assert re.fullmatch(r"error: \S*last\.ckpt is damaged: [^\n]+\n", ended.err), ended
    assert {path: path.read_bytes() for path in run.rglob("*.[cj]*")} == before


def test_a_schedule_of_nonsense_is_not_even_read(command, place):
    """Steps and options say which learning rate is next."""
    path = place / "logs" / "run" / "checkpoints" / "last.ckpt"
    nonsense = {"last_epoch": "soon", "base_lrs": ["x"], "_step_count": None, "step": 7}
    with_state_of_the_run(lambda c: c["lr_schedulers"][0].update(nonsense))(path)
    ended = command(place, "train_torch.py", *CONTINUE)
    assert (ended.status, ended.err) == (0, ""), ended


@pytest.mark.parametrize("size", ["z_dim", "c_hidden", "num_blocks", "panel_height"])
def test_a_checkpoint_of_a_network_with_10_to_the_12_of_something(command, place, size):
    with_network(**{size: 10**12})(place / "logs" / "run" / "checkpoints" / "best.ckpt")
    assert_refused(command, place, "process_model.py", PROCESS, "does not hold the weights")


# ---------------------------------------------------------------------------------------------
# Exported models


@pytest.mark.parametrize("name", ["model.safetensors", "latent.safetensors"])
@pytest.mark.parametrize("spoil", [declared_tensor, long_header])
def test_an_exported_model_that_declares_more_than_it_holds(command, place, spoil, name):
    spoil(place / "model", name)
    assert_refused(command, place, "process_model.py", EXPORTED, "cannot be (read|used)")


@pytest.mark.parametrize("name", ["model.safetensors", "latent.safetensors", "config.json"])
@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_an_exported_model_that_is_cut_off(command, place, name, share):
    path = place / "model" / name
    os.truncate(path, int(path.stat().st_size * share))
    assert_refused(command, place, "process_model.py", EXPORTED, f"{name} (cannot be|is damaged)")


# ---------------------------------------------------------------------------------------------
# What is no file


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def endless(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


RUN_FILES = ["options.json", "metrics.csv", "checkpoints/last.ckpt", "environment.json"]


@pytest.mark.parametrize("become", [pipe, endless])
def test_nothing_waits_for_a_pipe_nor_reads_a_device_to_its_end(command, place, become):
    run, model = place / "logs" / "run", place / "model"
    uses = [(run / name, "train_torch.py", CONTINUE) for name in RUN_FILES]
    uses += [(run / "checkpoints/best.ckpt", "process_model.py", PROCESS)]
    uses += [
        (model / name, "process_model.py", EXPORTED)
        for name in ("config.json", "model.safetensors", "latent.safetensors")
    ]
    uses += [
        (path, "process_model.py", [*PROCESS, "--components", "1"])
        for path in (*place.glob("data/*/panels*"), run / "latent.safetensors")
    ]
    for path, script, flags in uses:
        content = path.read_bytes()
        become(path)
        ended = command(place, script, *flags)
        path.unlink()
        path.write_bytes(content)
        assert ended.status == 0 or re.fullmatch(r"error: [^\n]{1,400}\n", ended.err), (path, ended)
        assert ended.status in (0, 2), (path, ended)


def test_a_byte_order_mark_is_no_damage(command, place):
    """An editor of Windows puts it before a text."""
    for path in (place / "logs/run/options.json", place / "logs/run/metrics.csv"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    path = place / "model" / "config.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    for script, flags in (
        ("train_torch.py", CONTINUE),
        ("process_model.py", [*EXPORTED, "--components", "1"]),
    ):
        ended = command(place, script, *flags)
        assert (ended.status, ended.err) == (0, ""), ended


@pytest.mark.parametrize("mib", [1, 4, 16])
def test_too_little_memory_is_said_and_is_no_damage(command, place, mib):
    large = ["--batch_size", "8", "--panel_height", "176", "--panel_width", "200", "--z_dim", "64"]
    large += ["--prior_minutes", "0"]
    for script, flags in (
        ("train_torch.py", [*large, "--source", "drawn", "--count", "20", "--data_dir", "new"]),
        ("train_torch.py", CONTINUE),
        ("process_model.py", PROCESS),
    ):
        ended = command(place, script, *flags, room=mib * 2**20)
        if ended.status != 0:
            assert ended.status == 2, ended
            assert re.search(r"^error: there is not enough memory", ended.err, re.M), ended


# ---------------------------------------------------------------------------------------------
# What else is in a run's folder


def spoiled_options(**values: object) -> Callable[[Path], None]:
    def spoil(run: Path) -> None:
        path = run / "options.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return spoil


def content(name: str, data: bytes) -> Callable[[Path], None]:
    return lambda run: (run / name).write_bytes(data)


RUNS = {
    "options of another version": (spoiled_options(warp=9), r"does not know \(warp\)"),
    "options with a folder for a number": (
        spoiled_options(count="../../x"),
        "its count is nothing",
    ),
    "options that are no JSON": (content("options.json", b"\xff{"), "it is no JSON"),
    "options without an end": (content("options.json", b"[" * 10**6), "it is no JSON"),
    "figures that are no table": (content("metrics.csv", b"\xff\x00"), r"metrics\.csv is damaged"),
    "figures of no epoch": (content("metrics.csv", b"epoch,a\nx,1\n"), r"metrics\.csv is damaged"),
    "figures without epochs": (content("metrics.csv", b"a,b\n1,2\n"), r"metrics\.csv is damaged"),
}


@pytest.mark.parametrize("kind", RUNS)
def test_a_run_to_go_on_with_that_has(command, place, kind):
    spoil, why = RUNS[kind]
    spoil(place / "logs" / "run")
    assert_refused(command, place, "train_torch.py", CONTINUE, why)


@pytest.mark.parametrize("name", ["a/b", "..", "../up", "/tmp/x", "a\\b", ".hidden", "", "a\nb"])
def test_a_run_name_that_leads_elsewhere(command, place, strips, name):
    flags = [*SMALL, "--data_dir", str(strips), "--epochs", "1", "--run_name", name]
    assert_refused(command, place, "train_torch.py", flags, "cannot be a folder's name")


@pytest.mark.parametrize("comic", ["../../garfield", "/etc", "a/b:1988-04-10", ".."])
def test_a_comic_whose_name_leads_elsewhere(command, place, comic):
    before = everything(place)
    ended = command(place, "train_torch.py", "--comic", comic)
    assert ended.status == 2
    assert "Traceback" not in ended.err
    assert everything(place) == before


# ---------------------------------------------------------------------------------------------
# Pictures


PICTURES = {
    "a bomb of 900 megapixels": lambda: png_bomb(30_000, 30_000),
    "a bomb of 81 megapixels": lambda: png_bomb(9_000, 9_000),
    "a broken palette": lambda: broken_palette(2**31),
    "no width": lambda: png_header(0, 175),
    "40,000 pixels of width": lambda: encoded(Image.new("L", (40_000, 100)), "PNG"),
    "half of it": lambda: encoded(strip_picture(), "JPEG")[:5000],
    "nothing in it": lambda: b"",
}


@pytest.mark.parametrize("kind", PICTURES)
def test_a_picture_with(command, place, kind):
    (place / "strip.png").write_bytes(PICTURES[kind]())
    for flags in (["--reconstruct", "strip.png"], ["--interpolate", "strip.png", "strip.png"]):
        for model in (PROCESS[:-2], EXPORTED[:-2]):  # without --num_samples
            why = "cannot be used as a strip"
            assert_refused(command, place, "process_model.py", [*model, *flags], why)


def test_a_folder_of_nothing_but_such_pictures(command, place):
    (place / "mine").mkdir()
    for number, make in enumerate(PICTURES.values()):
        (place / "mine" / f"{number}.png").write_bytes(make())
    flags = [*SMALL, "--data_dir", "mine", "--epochs", "1"]
    assert_refused(
        command, place, "train_torch.py", flags, "mine holds 0 usable strips.* 7 left out"
    )
