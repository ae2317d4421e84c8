"""The panel store as Lightning's data: whole batches at once, shuffled by (seed, epoch)."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader, Dataset, Sampler

from garfield_vae.data.panels import to_unit
from garfield_vae.data.store import PanelStore


class Strips(Dataset):
    """`strips[rows]` reads a whole batch, uint8 [n, 3, 3, H, W], from the store on disk, or from a
    copy of it on `device`."""

    def __init__(self, store: PanelStore, device: torch.device | None = None):
        self.store, self.resident = store, None
        if device is not None:
            self.resident = torch.empty(store.panels.shape, dtype=torch.uint8, device=device)
            for start in range(0, len(store), 64):  # through 20 MB, not a second copy of the store
                rows = np.array(store.panels[start : start + 64])
                self.resident[start : start + 64] = torch.from_numpy(rows)

    def __getitem__(self, rows: np.ndarray) -> torch.Tensor:
        if self.resident is not None:
            chosen = torch.from_numpy(rows).to(self.resident.device, non_blocking=True)
            return self.resident.index_select(0, chosen)
        return torch.from_numpy(self.store.panels[rows])


class ShuffledBatches(Sampler):
    """Batches of rows in an order that depends on (seed, epoch) alone, as many on each rank.

    Every strip once an epoch; the last batch may be smaller. Where the strips cannot be divided
    evenly among the ranks, the first few come twice. The order is made when the first batch is
    asked for: Lightning makes the iterator of a continued run before it sets the epoch and batch
    that the run continues with.
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
    """Each row once, in order, over all ranks, in as many batches on each.

    Where there are fewer strips than ranks, the first few come more than once.
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
    """A DataLoader that can continue in the middle of an epoch.

    Its iterator is a generator, so that nothing is read, and no order made, before the first batch
    is asked for. Lightning continues in the middle of an epoch only with loaders that have a state;
    this one is empty, because ShuffledBatches asks the trainer which batch is next.
    """

    def __iter__(self) -> Iterator[torch.Tensor]:
        yield from super().__iter__()

    def state_dict(self) -> dict:
        return {}

    def load_state_dict(self, state: dict) -> None:
        pass


class StripData(LightningDataModule):
    """The strips of a store as batches, float [B, 3, 3, H, W] in [-1, 1] on the device.

    store: an open one, or the path of one that does not exist yet. `build` is called to make that
    one, in one process of each machine, before any process opens it.
    batch_size: of one device. Batches are converted to float on the device, since uint8 is a
    quarter of the bytes to move. On CUDA, a store that takes at most a quarter of the free memory
    is copied there whole.
    """

    def __init__(
        self,
        store: PanelStore | Path,
        batch_size: int,
        seed: int,
        num_workers: int = 0,
        build: Callable[[], object] | None = None,
    ):
        super().__init__()
        self.store, self.batch_size, self.seed = store, batch_size, seed
        self.num_workers, self.build = num_workers, build
        self.dataset = None if isinstance(store, Path) else Strips(store)

    def prepare_data(self) -> None:
        if self.dataset is None and self.build is not None:
            self.build()

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

    def on_after_batch_transfer(self, batch: torch.Tensor, dataloader_idx: int) -> torch.Tensor:
        return to_unit(batch)

    def _rank(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _batches_done(self) -> int:
        """Batches of this epoch that are done: not 0 where a run continues in the middle of one."""
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
