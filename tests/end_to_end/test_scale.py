"""Libraries larger than memory: the system refuses more than a little of it, and all goes on."""

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from garfield_vae.data.store import VERSION, PanelStore, store_digest
from garfield_vae.latent.space import LatentSpace
from garfield_vae.training.data_module import StripData

ROOM = 96 * 2**20  # bytes; what is read below is two and a half times as much


@contextmanager
def little_memory(room: int) -> Iterator[None]:
    """No more than `room` bytes beyond what this process has; mapped files do not count."""
    status = Path("/proc/self/status").read_text().split()
    has = int(status[status.index("VmData:") + 1]) * 1024
    before = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (has + room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def sparse_array(path: Path, dtype: str, shape: tuple[int, ...], end: bytes = b"") -> None:
    """An .npy of zeros that takes no room on the disk; `end` stands behind it."""
    with path.open("wb") as file:
        header = {"descr": dtype, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        file.seek(int(np.prod(shape)) * np.dtype(dtype).itemsize, 1)
        file.write(end)
        file.truncate()


def test_the_limit_is_felt(tmp_path):
    with little_memory(ROOM), pytest.raises(MemoryError):
        np.ones(2 * ROOM, np.uint8)


def test_principal_components_of_latents_that_exceed_memory(tmp_path):
    path, (count, z) = tmp_path / "latents.npy", (2**20, 60)
    sparse_array(path, "<f4", (count, z))
    latents = np.load(path, mmap_mode="r+")
    latents[:100, 3] = 5.0  # the only direction with any variance
    latents.flush()
    del latents
    with little_memory(ROOM):
        space = LatentSpace.fit(np.load(path, mmap_mode="r"))
    assert np.abs(space.components[0]).argmax() == 3
    # 100 fives among 2^20 zeros: variance p (1 − p) · 25 with p = 100 / 2^20
    p = 100 / count
    assert space.std[0] == pytest.approx(np.sqrt(25 * p * (1 - p)), rel=1e-4)
    assert space.explained[0] == pytest.approx(1)


def test_an_epoch_of_batches_from_a_store_that_exceeds_memory(tmp_path):
    count, height, width = 20_000, 32, 40
    path = tmp_path / "panels-32x40.npy"
    names, digests = [f"strip-{i:05}" for i in range(count)], ["0" * 64] * count
    groups = ["" for _ in names]
    digest = store_digest(names, digests, groups, groups, height, width)
    sparse_array(path, "|u1", (count, 3, 3, height, width), bytes.fromhex(digest))
    index = {"version": VERSION, "height": height, "width": width, "digest": digest}
    index |= {"names": names, "digests": digests, "weeks": groups, "pictures": groups}
    index |= {"files": [], "archives": {}}
    path.with_suffix(".json").write_text(json.dumps(index))
    store = PanelStore.open(path)
    assert store.panels.nbytes > 2 * ROOM
    with little_memory(ROOM):
        data = StripData(store, batch_size=64, seed=0)
        seen = sum(len(data.on_after_batch_transfer(batch, 0)) for batch in data.train_dataloader())
    assert seen == len(store.split("train"))
