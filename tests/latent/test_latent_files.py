"""latent.safetensors: what was written is read as it was, and nothing else is believed."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hostile import declared_tensor, long_header
from safetensors.numpy import load_file, save_file

from garfield_vae.latent.files import LATENT, DamagedLatents, read_space, write_space
from garfield_vae.latent.space import LatentSpace

Z = 6


@pytest.fixture
def space() -> LatentSpace:
    return LatentSpace.fit(np.random.default_rng(0).standard_normal((20, Z)).astype(np.float32))


def test_a_space_is_read_as_it_was_written_with_its_key(tmp_path, space):
    write_space(tmp_path / LATENT, space, "a-key", ["1985-03-12", "caf\udce9\n"])
    again, key = read_space(tmp_path / LATENT, Z)
    assert key == "a-key"
    for name, array in space.arrays().items():
        found = getattr(again, name)
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)


def test_the_names_are_in_it_for_other_programs(tmp_path, space):
    names = ["1985-03-12", "Füße.png", "caf\udce9\n"]  # the last is no UTF-8 and has a newline
    write_space(tmp_path / LATENT, space, "key", names)
    assert json.loads(load_file(tmp_path / LATENT)["names"].tobytes()) == names


def test_a_file_that_says_it_has_no_metadata_has_no_key(tmp_path, space):
    write_space(tmp_path / LATENT, space)
    content = (tmp_path / LATENT).read_bytes()
    assert b'{"key":""}' in content
    (tmp_path / LATENT).write_bytes(content.replace(b'{"key":""}', b"null      "))
    assert read_space(tmp_path / LATENT, Z)[1] == ""


def changed(**arrays: np.ndarray):
    def change(folder: Path) -> None:
        kept = load_file(folder / LATENT)
        save_file(kept | arrays, folder / LATENT)

    return change


def without(name: str):
    def change(folder: Path) -> None:
        kept = load_file(folder / LATENT)
        del kept[name]
        save_file(kept, folder / LATENT)

    return change


def cut_off(folder: Path) -> None:
    os.truncate(folder / LATENT, (folder / LATENT).stat().st_size - 1)


def piped(folder: Path) -> None:
    (folder / LATENT).unlink()
    os.mkfifo(folder / LATENT)


SPOILED = {
    "gone": (lambda folder: (folder / LATENT).unlink(), "it is not there"),
    "empty": (lambda folder: (folder / LATENT).write_bytes(b""), "cannot be used"),
    "cut off": (cut_off, "cannot be used"),
    "a folder": (lambda folder: ((folder / LATENT).unlink(), (folder / LATENT).mkdir()), "regular"),
    "a pipe": (piped, "not a regular file"),
    "declares 10^12 numbers": (lambda folder: declared_tensor(folder, LATENT), "cannot be used"),
    "a header of 100 MB": (lambda folder: long_header(folder, LATENT), "header is too long"),
    "no mean": (without("mean"), "cannot be used .'mean'"),
    "another model's": (changed(mean=np.zeros(7, np.float32)), r"mean is float32 \(7,\)"),
    "another type": (changed(std=np.ones(Z)), "std is float64"),
    "nan": (changed(mean=np.full(Z, np.nan, np.float32)), "mean holds nan or infinity"),
    "infinity": (changed(kernels=np.full((2, Z), np.inf, np.float16)), "kernels holds nan"),
    "no spread": (changed(std=np.zeros(Z, np.float32)), "a standard deviation is not positive"),
    "a number": (changed(std=np.float32(1)[None].reshape(())), "cannot be used"),
    "no strips": (changed(kernels=np.zeros((0, Z), np.float16)), "6 components for 6 dimensions"),
}


@pytest.mark.parametrize(("spoil", "sentence"), SPOILED.values(), ids=SPOILED)
@pytest.mark.skipif(os.name == "nt", reason="there are no named pipes")
def test_a_spoiled_file_is_refused_by_one_sentence(tmp_path, space, spoil, sentence):
    write_space(tmp_path / LATENT, space)
    spoil(tmp_path)
    with pytest.raises(DamagedLatents, match=sentence) as refused:
        read_space(tmp_path / LATENT, Z)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 400


def test_an_earlier_versions_file_is_named_with_what_to_do(tmp_path):
    (tmp_path / "latent.npz").write_bytes(b"PK")
    with pytest.raises(DamagedLatents, match=r"earlier version.*export the model again"):
        read_space(tmp_path / LATENT, Z)
