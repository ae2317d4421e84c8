"""The figures of an epoch from its batches, whatever their sizes and whoever added them."""

import pytest
import torch

from garfield_vae.training.epoch_sums import FIGURES, EpochSums, statistics


def sums_of(*batches: tuple[torch.Tensor, torch.Tensor]) -> EpochSums:
    sums = EpochSums(3)
    for figures, means in batches:
        sums.add(figures, means)
    return sums


@pytest.fixture
def batches() -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Two of eight strips and one of a single strip."""
    generator = torch.Generator().manual_seed(0)
    return [
        (torch.rand(len(FIGURES), generator=generator), torch.randn(n, 3, generator=generator))
        for n in (8, 8, 1)
    ]


def test_every_strip_counts_once_however_small_its_batch(batches):
    figures, variance = statistics(sums_of(*batches).sums)
    ordered = [batches[0][0]] * 8 + [batches[1][0]] * 8 + [batches[2][0]]
    torch.testing.assert_close(figures, torch.stack(ordered).mean(0))
    means = torch.cat([means for _, means in batches])
    torch.testing.assert_close(variance, means.var(0, correction=0))


def test_sums_of_two_processes_add_up_to_those_of_one(batches):
    one, other = sums_of(*batches[:1]), sums_of(*batches[1:])
    torch.testing.assert_close(one.sums + other.sums, sums_of(*batches).sums)


def test_sums_from_a_checkpoint_go_on_as_if_there_had_been_no_stop(batches):
    resumed = EpochSums(3)
    resumed.load(sums_of(*batches[:2]).sums)
    resumed.add(*batches[2])
    assert torch.equal(resumed.sums, sums_of(*batches).sums)


@pytest.mark.parametrize("other", [EpochSums(4).sums, EpochSums(3).sums.double(), [0.0] * 11])
def test_sums_of_another_network_are_refused(other):
    with pytest.raises(ValueError, match="no sums of an epoch"):
        EpochSums(3).load(other)


def test_sums_of_half_precision_are_in_full(batches):
    halved = sums_of(*((figures.half(), means.half()) for figures, means in batches))
    assert halved.sums.dtype == torch.float32
    torch.testing.assert_close(halved.sums, sums_of(*batches).sums, rtol=1e-2, atol=1e-2)
