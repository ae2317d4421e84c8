"""Files and texts of strangers: each is refused with a sentence or read, and nothing else happens.

Hypothesis changes real files in a few places, always the same cases; benchmarks/fuzz.py tries other
ones for as long as one likes.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hostile import declared_tensor, long_header, packed
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from benchmarks.fuzz import (
    TRICKY,
    attempt,
    make_targets,
    mutate,
    small_checkpoint,
    small_export,
)
from garfield_vae.checkpoints import CHECKPOINT_FORMAT, load_run
from garfield_vae.util.errors import UserError

CASES = {
    "picture": 400,
    "manifest": 100,
    "state": 600,
    "exported config": 200,
    "exported weights": 60,
    "exported latents": 60,
    "checkpoint": 60,
    "checkpoint's pickle": 100,
    "options": 200,
    "store's index": 200,
}

places = st.floats(0, 1, exclude_max=True)
edits = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["put", "insert", "remove"]), places, st.sampled_from(TRICKY)),
        st.tuples(st.sampled_from(["put", "insert", "remove"]), places, st.binary(max_size=8)),
        st.tuples(st.sampled_from(["cut", "repeat"]), places, st.just(b"")),
    ),
    max_size=8,
)


@pytest.fixture(scope="module")
def targets(tmp_path_factory):
    return make_targets(tmp_path_factory.mktemp("fuzz"))


def test_every_target_has_its_number_of_cases(targets):
    assert CASES.keys() == targets.keys()


@pytest.mark.parametrize("name", CASES)
def test_a_file_that_is_not_changed_is_read(targets, name):
    for seed in targets[name].seeds:
        assert attempt(targets[name], seed)


@pytest.mark.parametrize("name", CASES)
def test_a_changed_file_is_read_or_refused_with_a_sentence(targets, name):
    target = targets[name]

    @settings(
        max_examples=CASES[name],
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(seed=st.sampled_from(target.seeds), edits=edits)
    @example(seed=b"", edits=[])
    @example(seed=target.seeds[0], edits=[("put", 0.0, b"\xff" * 64)])
    def check(seed: bytes, edits: list) -> None:
        attempt(target, mutate(seed, edits))

    check()
    # and at every length a write could have been cut at, as far as there is time
    for part in range(20):
        attempt(target, target.seeds[0][: len(target.seeds[0]) * part // 20])


@pytest.mark.parametrize(
    ("name", "found"),
    [
        (
            "store's index",
            b'{"version": 2, "names": [], "digests": [], "height": 1e999, "width": 1}',
        ),
        ("options", b'{"epochs": ' + b"9" * 5000 + b"}"),
        ("options", b'{"count": "../../x"}'),
        ("options", b'{"data_dir": "a\\u0000b"}'),
        ("options", b'{"beta": NaN}'),
        ("options", b'{"seed": true}'),
        ("options", b'{"compile": 1}'),
        ("options", b'{"accelerator": "warp"}'),
        ("state", b'{"knobs": [1e999, 0, 0, 0]}'),
        ("manifest", b'{"date": "1985-03-12", "status": "ok", "sha256": [], "bytes": 1e999}'),
    ],
)
def test_what_was_once_found_stays_mended(targets, name, found):
    assert attempt(targets[name], found) is (name == "manifest")


def test_a_manifest_reaches_for_no_file_outside_its_folder(targets, tmp_path_factory):
    folder = tmp_path_factory.mktemp("outside")
    line = b'{"date": "../../../%s", "status": "ok", "source": "a", "sha256": "b", "bytes": 3}\n'
    attempt(targets["manifest"], line % os.fsencode(folder))
    assert list(folder.iterdir()) == []


# ---------------------------------------------------------------------------------------------
# Checkpoints that are not damaged but made to harm


def older_format(path: Path) -> None:
    checkpoint = torch.load(path, weights_only=True)
    torch.save(checkpoint, path, _use_new_zipfile_serialization=False)


def changed(**changes: object):
    def change(path: Path) -> None:
        torch.save(torch.load(path, weights_only=True) | changes, path)

    return change


def halves(path: Path) -> None:
    checkpoint = torch.load(path, weights_only=True)
    state = {name: value.half() for name, value in checkpoint["state_dict"].items()}
    torch.save(checkpoint | {"state_dict": state}, path)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (packed, "is refused: it is damaged or holds more than"),
        (older_format, "cannot be read, it is damaged or cut off"),
        (changed(state_dict=[1]), "it holds no weights"),
        (changed(state_dict={1: 2}), "it holds no weights"),
        (changed(epoch="three"), "does not say which model it holds"),
        (changed(garfield_vae={"format": CHECKPOINT_FORMAT}), "does not say which model it holds"),
        (halves, "does not hold the weights of the network"),
    ],
)
def test_a_checkpoint_that_is_made_to_harm_is_refused(tmp_path, spoil, sentence):
    spoil(small_checkpoint(tmp_path))
    with pytest.raises(UserError, match=sentence):
        load_run(tmp_path)


MEASURED = """
import resource, sys
from pathlib import Path
from garfield_vae.util.errors import UserError
from garfield_vae.checkpoints import exported_space, load_model
def read(folder):
    exported_space(load_model(Path(folder)))
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
read(sys.argv[1])
before = peak()
for folder in sys.argv[2:]:
    try:
        read(folder)
    except UserError:
        pass
    else:
        print(folder, "was read")
print(peak() - before)
"""


def test_refusing_takes_no_memory(tmp_path):
    """The peak of a program of its own beyond what reading a good folder takes, in MiB. Each of
    these would take half a gigabyte or more."""
    folders = [small_export(tmp_path / "good")]
    for spoil in (declared_tensor, long_header):
        folders.append(small_export(tmp_path / spoil.__name__))
        spoil(folders[-1])
    folders.append(tmp_path / "packed")
    packed(small_checkpoint(folders[-1]))
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *folders], cwd=root, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 100
