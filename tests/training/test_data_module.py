import numpy as np
import pytest
import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from strip_pictures import save_strips

from garfield_vae.data.build import build_store
from garfield_vae.training.data_module import OrderedBatches, ShuffledBatches, StripData, Strips


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dataset")
    save_strips(folder / "strips", 60)
    return build_store(folder / "strips", folder, height=16, width=24)


class Recorder(LightningModule):
    """Learns nothing and writes down the strips it is shown, by a sum that tells them apart."""

    def __init__(self, interrupt_after: int | None = None):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.trained, self.validated = [], []
        self.interrupt_after = interrupt_after

    def training_step(self, batch, index):
        assert batch.dtype == torch.float32
        assert -1 <= batch.min() < batch.max() <= 1
        self.trained.append((self.current_epoch, index, batch.sum((1, 2, 3, 4)).tolist()))
        if len(self.trained) == self.interrupt_after:
            raise KeyboardInterrupt
        return (self.weight * batch.mean()) ** 2

    def validation_step(self, batch, index):
        self.validated += batch.sum((1, 2, 3, 4)).tolist()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def trainer(epochs: int, folder=None, **options) -> Trainer:
    save = ModelCheckpoint(folder, "saved", save_on_exception=True, enable_version_counter=False)
    return Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        callbacks=[save] if folder else [],
        enable_checkpointing=folder is not None,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        **options,
    )


def sums(store, split: str) -> list[float]:
    panels = store.panels[store.split(split)].astype(np.float64) / 127.5 - 1
    return panels.sum((1, 2, 3, 4)).tolist()


# Batches


def test_an_epoch_shows_each_strip_once_and_the_last_batch_may_be_small():
    batches = list(ShuffledBatches(np.arange(100, 165), 16, seed=0))
    assert [len(batch) for batch in batches] == [16, 16, 16, 16, 1]
    assert sorted(np.concatenate(batches)) == list(range(100, 165))


def test_the_order_is_a_function_of_seed_and_epoch_alone():
    def order(seed, epoch):
        batches = ShuffledBatches(np.arange(50), 8, seed)
        batches.set_epoch(epoch)
        return np.concatenate(list(batches)).tolist()

    assert order(3, 5) == order(3, 5)
    orders = [order(seed, epoch) for seed in range(3) for epoch in range(3)]
    assert len({tuple(rows) for rows in orders}) == 9


@pytest.mark.parametrize(("rows", "size", "ranks"), [(60, 8, 3), (61, 8, 4), (5, 8, 2), (3, 8, 8)])
def test_ranks_share_a_training_epoch_in_equally_many_equal_batches(rows, size, ranks):
    shares = [list(ShuffledBatches(np.arange(rows), size, 1, rank, ranks)) for rank in range(ranks)]
    lengths = [[len(batch) for batch in share] for share in shares]
    assert all(length == lengths[0] for length in lengths)
    assert len(lengths[0]) == len(ShuffledBatches(np.arange(rows), size, 1, 0, ranks))
    seen = np.concatenate([batch for share in shares for batch in share])
    assert set(seen) == set(range(rows))
    assert len(seen) - rows < ranks


@pytest.mark.parametrize(("rows", "size", "ranks"), [(60, 8, 1), (65, 8, 4), (33, 16, 2)])
def test_ranks_share_validation_so_that_each_strip_is_seen_exactly_once(rows, size, ranks):
    shares = [list(OrderedBatches(np.arange(rows), size, rank, ranks)) for rank in range(ranks)]
    assert np.concatenate([batch for share in shares for batch in share]).tolist() == list(
        range(rows)
    )
    assert len({len(share) for share in shares}) == 1
    assert all(0 < len(batch) <= size for share in shares for batch in share)


def test_every_rank_has_a_validation_strip_even_when_there_are_too_few():
    shares = [list(OrderedBatches(np.array([7, 9]), 4, rank, 3)) for rank in range(3)]
    assert [share[0].tolist() for share in shares] == [[7], [9], [7]]


# Strips


def test_strips_that_reside_on_a_device_are_the_same_strips(store):
    resident = Strips(store, torch.device("cpu"))
    for batch in ShuffledBatches(np.arange(len(store)), 8, seed=4):
        assert torch.equal(resident[batch], Strips(store)[batch])


def test_workers_read_the_same_batches(store):
    alone = torch.cat(list(StripData(store, 8, seed=1).train_dataloader()))
    helped = torch.cat(list(StripData(store, 8, seed=1, num_workers=2).train_dataloader()))
    assert torch.equal(alone, helped)


# Under Lightning


def test_a_store_that_is_not_there_yet_is_built_once_before_it_is_opened(store, tmp_path):
    built = []

    def build() -> None:
        built.append(build_store(store.path.parent / "strips", tmp_path, height=16, width=24))

    path = tmp_path / store.path.name
    module, expected = Recorder(), Recorder()
    trainer(1).fit(module, StripData(path, 16, seed=2, build=build))
    trainer(1).fit(expected, StripData(store, 16, seed=2, build=build))  # this one is open
    assert len(built) == 1
    assert module.trained == expected.trained


def test_training_sees_the_training_strips_in_a_new_order_each_epoch(store):
    module = Recorder()
    trainer(3).fit(module, StripData(store, 16, seed=2))
    expected = sorted(sums(store, "train"))
    epochs = [
        [x for e, _, seen in module.trained if e == epoch for x in seen] for epoch in range(3)
    ]
    for epoch in epochs:
        assert sorted(epoch) == pytest.approx(expected, abs=0.1)
    assert epochs[0] != epochs[1] != epochs[2]
    assert module.validated == pytest.approx(sums(store, "validation") * 3, abs=0.1)


def test_a_batch_of_one_and_a_batch_larger_than_the_set_both_train(store):
    for size in (1, 1000):
        module = Recorder()
        trainer(1, limit_val_batches=0).fit(module, StripData(store, size, seed=2))
        assert len(module.trained) == -(-len(store.split("train")) // size)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_run_of_two_and_two_epochs_sees_what_a_run_of_four_sees(store, tmp_path, workers):
    whole, first, second = Recorder(), Recorder(), Recorder()
    trainer(4).fit(whole, StripData(store, 16, seed=2))
    trainer(2, tmp_path).fit(first, StripData(store, 16, seed=2, num_workers=workers))
    data = StripData(store, 16, seed=2, num_workers=workers)
    saved = tmp_path / "saved.ckpt"
    trainer(4, tmp_path).fit(second, data, ckpt_path=saved, weights_only=True)
    assert first.trained + second.trained == whole.trained


@pytest.mark.parametrize("step", [2, 5, 8])
def test_a_run_interrupted_within_an_epoch_goes_on_with_the_next_batch(store, tmp_path, step):
    whole, first, second = Recorder(), Recorder(step), Recorder()
    trainer(3).fit(whole, StripData(store, 16, seed=2))
    with pytest.raises(SystemExit):
        trainer(3, tmp_path).fit(first, StripData(store, 16, seed=2))
    data, saved = StripData(store, 16, seed=2), tmp_path / "saved.ckpt"
    trainer(3, tmp_path).fit(second, data, ckpt_path=saved, weights_only=True)
    assert second.trained == whole.trained[step - 1 :]  # the interrupted step is taken again
