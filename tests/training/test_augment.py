"""What data augmentation changes in a strip, and how often."""

import pytest
import torch

from garfield_vae.training.augment import augment, augmented_share


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


def test_half_of_the_strips_are_mirrored_and_their_panels_stay_in_their_places():
    left = torch.full((200, 3, 3, 24, 32), -1.0)
    left[..., :16] = torch.tensor([-0.5, 0.0, 0.5])[:, None, None, None]  # a panel's own brightness
    changed = augment(left, 1.0)
    bright = changed.mean(dim=(2, 3))  # [strip, panel, x]
    mirrored = bright[:, :, -1] > bright[:, :, 0]
    assert (mirrored == mirrored[:, :1]).all()
    assert 70 <= int(mirrored[:, 0].sum()) <= 130
    torch.testing.assert_close(
        changed.amax(dim=(2, 3, 4)), torch.tensor([[-0.5, 0.0, 0.5]]).expand(200, 3)
    )


def test_a_panel_shows_a_part_of_itself_that_is_hardly_stretched_or_shifted():
    height, width = 176, 200
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    strips = torch.stack([y, x, y]).float().expand(20, 3, 3, height, width)  # colours say where
    seen = []
    for panel in augment(strips, 1.0).flatten(0, 1):
        for place, side in ((panel[0, :, 0], height), (panel[1, 0], width)):
            place = place if place[-1] > place[0] else side - 1 - place  # mirrored or not
            inner = place[(place > 1) & (place < side - 2)]
            steps = inner.diff()  # pixels of the original to one of the changed panel
            assert steps.std() < 0.01
            begins = float(inner[0] - (place == inner[0]).nonzero()[0, 0] * steps.mean())
            seen.append((float(steps.mean()), begins))
    scale, begins = torch.tensor(seen).T
    assert 0.889 <= scale.min() < 0.9
    assert 0.99 < scale.max() <= 1.01
    assert -4.5 <= begins.min() < -2
    assert 10 < begins.max() <= 0.11 * 200 + 4.5


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
