"""Feeds a panel store to Lightning: whole batches, read at once, shuffled by (seed, epoch)."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader, Dataset, Sampler

from garfield_vae.data.build import build_store
from garfield_vae.data.panels import to_unit
from garfield_vae.data.store import PanelStore

__all__ = ["PanelStore", "StripData", "build_store"]


class Strips(Dataset):
    """The panels of rows [n] at once: uint8 [n, 3, 3, H, W], on the CPU or where they reside."""

    def __init__(self, store: PanelStore, device: torch.device | None = None):
        self.store, self.resident = store, None
        if device is not None:
            self.resident = torch.empty(store.panels.shape, dtype=torch.uint8, device=device)
            for start in range(0, len(store), 64):  # through 20 MB, not a second copy of the store
                rows = np.array(store.panels[start : start + 64])
                self.resident[start : start + 64] = torch.from_numpy(rows)

    def __getitem__(self, rows: np.ndarray) -> torch.Tensor:
        if self.resident is not None:
            return self.resident.index_select(0, torch.from_numpy(rows).to(self.resident.device))
        return torch.from_numpy(self.store.panels[rows])


class ShuffledBatches(Sampler):
    """Batches of rows in an order that only (seed, epoch) decides, the same number on each rank.

    A strip is seen once an epoch. The last batch is smaller where need be; when the strips cannot
    be shared evenly, the first few are given twice. Everything is decided when the first batch is
    asked for, because Lightning makes the iterator of a resumed run before it says which epoch
    and which batch that run goes on with.
    """

    def __init__(
        self,
        rows: np.ndarray,
        batch_size: int,
        seed: int,
        rank: int = 0,
        ranks: int = 1,
        first_batch: Callable[[], int] = lambda: 0,
    ):
        self.rows, self.batch_size, self.seed = rows, batch_size, seed
        self.rank, self.ranks, self.first_batch = rank, ranks, first_batch
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        share = -(-len(self.rows) // self.ranks)
        return -(-share // self.batch_size)

    def __iter__(self) -> Iterator[np.ndarray]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.rows)
        share = np.resize(order, -(-len(order) // self.ranks) * self.ranks)[self.rank :: self.ranks]
        for batch in range(self.first_batch(), len(self)):
            yield share[batch * self.batch_size : (batch + 1) * self.batch_size]


class OrderedBatches(Sampler):
    """Each row once, in order, over all ranks, in the same number of batches on each.

    Where there are fewer strips than ranks, the first are given to several.
    """

    def __init__(self, rows: np.ndarray, batch_size: int, rank: int = 0, ranks: int = 1):
        share = np.array_split(np.resize(rows, max(len(rows), ranks)), ranks)[rank]
        longest = -(-max(len(rows), ranks) // ranks)
        self.batches = np.array_split(share, -(-longest // batch_size))

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter(self.batches)


class StripLoader(DataLoader):
    """A DataLoader that goes on where a run was interrupted, and starts its workers late.

    A generator, so that nothing is read, and no order decided, before the first batch is asked
    for. Its state is empty because ShuffledBatches asks the trainer how far the epoch is; that
    it has one tells Lightning that it can go on from the middle of an epoch.
    """

    def __iter__(self) -> Iterator[torch.Tensor]:
        yield from super().__iter__()

    def state_dict(self) -> dict:
        return {}

    def load_state_dict(self, state: dict) -> None:
        pass


class StripData(LightningDataModule):
    """The strips of a store as batches, float [B, 3, 3, H, W] in [-1, 1] on the device.

    store: open, or the path of one that another process is still building: it is opened when
    training begins, which no process does before the first.
    batch_size is that of one device. Until a batch is on its device it is uint8: a quarter of the
    bytes to move. On CUDA, a store that takes at most a quarter of the memory that is free is
    kept there whole.
    """

    def __init__(self, store: PanelStore | Path, batch_size: int, seed: int, num_workers: int = 0):
        super().__init__()
        self.store, self.batch_size, self.seed = store, batch_size, seed
        self.num_workers = num_workers
        self.dataset = None if isinstance(store, Path) else Strips(store)

    def setup(self, stage: str) -> None:
        if self.dataset is None:
            self.store = PanelStore.open(self.store)
            self.dataset = Strips(self.store)
        device = self.trainer.strategy.root_device
        if device.type == "cuda" and self.dataset.resident is None:
            free, _ = torch.cuda.mem_get_info(device)
            if self.store.panels.nbytes <= free / 4:
                self.dataset = Strips(self.store, device)

    def teardown(self, stage: str) -> None:
        self.dataset = Strips(self.store)

    def train_dataloader(self) -> DataLoader:
        rows = self.store.split("train")
        batches = ShuffledBatches(
            rows, self.batch_size, self.seed, *self._rank(), self._batches_done
        )
        if self.trainer is not None:
            batches.set_epoch(self.trainer.current_epoch)
        return self._loader(batches)

    def val_dataloader(self) -> DataLoader:
        rows = self.store.split("validation")
        return self._loader(OrderedBatches(rows, self.batch_size, *self._rank()))

    def test_dataloader(self) -> DataLoader:
        rows = self.store.split("test")
        return self._loader(OrderedBatches(rows, self.batch_size, *self._rank()))

    def strips(self, split: str) -> DataLoader:
        """A split once, in the order of `store.split(split)`: uint8 [B, 3, 3, H, W] batches."""
        return self._loader(OrderedBatches(self.store.split(split), self.batch_size))

    def on_after_batch_transfer(self, batch: torch.Tensor, dataloader_idx: int) -> torch.Tensor:
        return to_unit(batch)

    def _rank(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _batches_done(self) -> int:
        """Of the running epoch: not 0 when a run goes on in the middle of one."""
        return self.trainer.fit_loop.batch_idx + 1 if self.trainer else 0

    def _loader(self, batches: Sampler) -> DataLoader:
        resident = self.dataset.resident is not None
        return StripLoader(
            self.dataset,
            batch_size=None,  # a "sample" is a batch already
            sampler=batches,
            num_workers=0 if resident else self.num_workers,
            pin_memory=torch.cuda.is_available() and not resident,
        )
