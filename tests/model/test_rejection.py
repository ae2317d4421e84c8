"""Drawing a strip again: whose misfit is how large, and which candidate is kept."""

import numpy as np
import pytest
import torch
from small_model import SMALL_PRIOR

from garfield_vae.latent import prior_sampler
from garfield_vae.latent.prior_sampler import PriorSampler
from garfield_vae.latent.space import LatentSpace
from garfield_vae.model.prior import LatentPrior
from garfield_vae.model.rejection import Misfit, first_that_fits

PATCHES = 2  # in each panel: the code maps are 2×2, the patches 1×2


def prior() -> LatentPrior:
    """Untrained, around 0 with variance 1, so that what it finds likely is known: each latent
    near 0."""
    torch.manual_seed(0)
    made = LatentPrior(**SMALL_PRIOR)
    made.fit_gaussian(torch.zeros(12), torch.eye(12), torch.ones(12))
    return made.eval()


def strips(n: int = 64) -> torch.Tensor:
    return torch.randn(n, 12, generator=torch.Generator().manual_seed(2))


# ------------------------------------------------------------------ the misfit


def test_seven_tenths_of_the_training_strips_have_a_misfit_of_at_most_1():
    misfit = Misfit(prior(), strips(100))
    assert (misfit(strips(100)) <= 1).sum() == 70


def test_the_misfit_is_that_of_the_worst_patch():
    of = prior()
    misfit = Misfit(of, strips())
    losses = misfit.losses(strips(), (False, False, False))
    assert losses.shape == (64, 3 * PATCHES)
    relative = losses / losses.mean(0)
    worst = torch.tensor([max(row) for row in relative.tolist()])
    torch.testing.assert_close(misfit(strips()), worst / worst.quantile(0.7))


def test_one_patch_that_is_off_is_enough():
    of = prior()
    misfit = Misfit(of, strips())
    calm = torch.zeros(1, 12)
    off = calm + 6 * of.maps[:, [5]].T  # one value of the second panel's code map
    assert misfit(calm) < 1 < misfit(off)


def test_of_a_strip_to_be_finished_only_the_new_panels_are_judged():
    of = prior()
    misfit = Misfit(of, strips())
    strip = torch.zeros(1, 12)
    wild = strip.clone()
    wild[:, of.panel_of == 0] = 5.0
    known = (True, False, False)
    torch.testing.assert_close(misfit(wild, known), misfit(strip, known))
    assert misfit(wild) > misfit(strip)
    wild[:, of.panel_of == 2] = 5.0
    assert misfit(wild, known) > misfit(strip, known)


def test_a_strip_is_judged_the_same_alone_and_among_others():
    misfit = Misfit(prior(), strips())
    many = strips(300)
    torch.testing.assert_close(misfit(many)[200:201], misfit(many[200:201]))


# ------------------------------------------------------------------ which candidate is kept


class Candidates:
    """Row r's candidate c is the latent [10·r + c], with the misfit that a table says."""

    misfits = ((0.5, 9.0, 9.0), (2.0, 0.9, 0.1), (3.0, 2.5, 2.7))

    def __init__(self):
        self.drawn, self.best = [], []

    def draw(self, rows, number, best):
        self.drawn.append(rows.tolist())
        self.best.append(None if best is None else best.flatten().tolist())
        return (10 * rows + number).float()[:, None]

    def misfit(self, latents):
        return torch.tensor([self.misfits[int(x) // 10][int(x) % 10] for x in latents])


def test_the_first_that_fits_is_kept_and_where_none_does_the_one_with_the_least_misfit():
    of = Candidates()
    assert first_that_fits(of.draw, of.misfit, 3, 3).tolist() == [[0.0], [11.0], [21.0]]
    # Nothing is drawn again that fits; no fewer than four are drawn.
    assert of.drawn == [[0, 1, 2, 0], [1, 2, 1, 2], [2, 2, 2, 2]]
    assert of.best == [None, [10.0, 20.0, 10.0, 20.0], 4 * [21.0]]  # from what is best of them


def test_with_one_candidate_nothing_is_judged():
    of = Candidates()
    assert first_that_fits(of.draw, None, 3, 1).tolist() == [[0.0], [10.0], [20.0]]


def test_drawing_stops_when_all_fit():
    of = Candidates()
    assert first_that_fits(of.draw, of.misfit, 1, 100).tolist() == [[0.0]]
    assert of.drawn == [[0, 0, 0, 0]]


# ------------------------------------------------------------------ in the sampler


@pytest.fixture
def sampler():
    space = LatentSpace.fit(strips(100).numpy())
    return lambda candidates: PriorSampler(prior(), space, steps=4, candidates=candidates)


def test_more_candidates_make_no_strip_worse_and_many_better(sampler):
    seeds = range(30)
    first, best = (sampler(candidates).of_seeds(seeds) for candidates in (1, 5))
    misfit = sampler(1).misfit
    before, after = (misfit(torch.from_numpy(latents)) for latents in (first, best))
    assert (after <= before + 1e-5).all()
    assert (before > 1).sum() > 5 * (after > 1).sum()
    fitted = (before <= 1).numpy()
    np.testing.assert_allclose(best[fitted], first[fitted], atol=1e-5)


def has_the_same_beginnings(first: np.ndarray, best: np.ndarray) -> bool:
    """Latents [n, z]: what was drawn again is as like its first candidate as t = 0.25 makes it.

    The Gaussian's x is 0.25 of the strip and 0.75 of noise there, and keeps its direction: a
    correlation of 0.25 / √(0.25² + 0.75²) = 0.32.
    """
    changed = (first != best).any(1)
    likeness = np.array([np.corrcoef(a, b)[0, 1] for a, b in zip(first, best, strict=True)])
    assert changed.sum() > 60
    return likeness[changed].mean() == pytest.approx(0.32, abs=0.06)


def test_what_is_rejected_is_drawn_again_from_its_own_beginnings(sampler):
    seeds = range(400)
    first, best = (sampler(candidates).of_seeds(seeds) for candidates in (1, 2))
    assert has_the_same_beginnings(first, best)


def test_proposals_that_are_rejected_are_drawn_again_from_their_own_beginnings(sampler):
    blank = np.zeros((1, 12), np.float32)
    first, best = (
        np.concatenate([one.complete(blank, [0, 1, 2], seed) for seed in range(400)])
        for one in (sampler(1), sampler(2))
    )
    assert has_the_same_beginnings(first, best)


def test_the_first_samples_of_a_seed_do_not_depend_on_how_many_are_drawn(sampler):
    few, many = (sampler(3).sample(n, seed=4) for n in (2, 9))
    np.testing.assert_allclose(many[:2], few, atol=1e-5)


def test_samples_are_the_same_in_batches_of_any_size(sampler, monkeypatch):
    together = sampler(3).sample(9, seed=4)
    monkeypatch.setattr(prior_sampler, "BATCH", 4)
    np.testing.assert_allclose(sampler(3).sample(9, seed=4), together, atol=1e-5)


def test_the_proposals_of_a_finished_strip_keep_its_panels_and_fit(sampler):
    strip = strips(1).numpy()
    proposals = sampler(5).complete(np.repeat(strip, 20, axis=0), [1, 2], seed=0)
    kept = (prior().panel_of == 0).numpy()
    np.testing.assert_array_equal(proposals[:, kept], np.repeat(strip[:, kept], 20, axis=0))
    assert len(np.unique(proposals[:, ~kept], axis=0)) == 20
    misfits = sampler(1).misfit(torch.from_numpy(proposals), (True, False, False))
    assert (misfits <= 1).float().mean() > 0.9
