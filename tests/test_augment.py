"""What augmentation may change of a strip, and how often."""

import pytest
import torch

from garfield_vae.augment import augment, augmented_share


@pytest.fixture
def strips() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.rand(40, 3, 3, 24, 32) * 2 - 1


def test_a_share_of_nothing_changes_nothing(strips: torch.Tensor):
    torch.testing.assert_close(augment(strips, 0.0), strips)


def test_the_input_stays_as_it_was(strips: torch.Tensor):
    before = strips.clone()
    augment(strips, 1.0)
    torch.testing.assert_close(strips, before)


def test_about_the_share_asked_for_is_changed(strips: torch.Tensor):
    changed = (augment(strips, 0.5) != strips).flatten(1).any(dim=1)
    assert 10 <= int(changed.sum()) <= 30


def test_every_panel_is_its_own_mirrored_or_not_and_shifted_by_four_pixels_at_most(
    strips: torch.Tensor,
):
    mirrored = 0
    for before, after in zip(strips, augment(strips, 1.0), strict=True):
        ways = []
        for image in (before, before.flip(-1)):
            ways.append(all(is_shifted(*pair) for pair in zip(image, after, strict=True)))
        assert ways.count(True) == 1
        mirrored += ways[1]
    assert 8 <= mirrored <= 32


def is_shifted(panel: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether the middle of `other` [3, H, W] is found in `panel` within four pixels."""
    middle = other[:, 4:-4, 4:-4]
    height, width = middle.shape[1:]
    return any(
        torch.equal(middle, panel[:, y : y + height, x : x + width])
        for y in range(9)
        for x in range(9)
    )


def test_pixels_stay_between_black_and_white(strips: torch.Tensor):
    changed = augment(strips, 1.0)
    assert changed.min() >= strips.min()
    assert changed.max() <= strips.max()


def test_the_same_seed_changes_the_same_strips(strips: torch.Tensor):
    torch.manual_seed(3)
    first = augment(strips, 0.5)
    torch.manual_seed(3)
    torch.testing.assert_close(augment(strips, 0.5), first)


def test_a_small_set_is_changed_most_and_a_library_hardly():
    assert augmented_share(100) == 0.8
    assert augmented_share(1000) == 0.5
    assert augmented_share(9000) == pytest.approx(0.1)
