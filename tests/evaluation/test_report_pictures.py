"""The traversals and the morph of a report, with and without a latent prior."""

import numpy as np
import pytest
from evaluated_run import fitted_space, small_run, small_store
from explorer_model import SmallPrior

from garfield_vae.evaluation.evaluate import evaluate_run
from garfield_vae.evaluation.metrics.memorisation import Nearest
from garfield_vae.evaluation.report_pictures import MORPH_STEPS, WALK_STEPS, choose_pictures
from garfield_vae.latent.codec import decode, encode


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run, its strips, their posterior means and the latent space."""
    folder = tmp_path_factory.mktemp("pictures")
    store, run = small_store(folder, 60), small_run(folder / "run")
    means, _ = encode(run.model, store.panels)
    return run, store, means, fitted_space(run, store)


def pictures(made, **options):
    """The pictures of the first six strips; the first is the best reconstructed of them."""
    run, store, means, space = made
    strips = store.panels[:6]
    nearest = Nearest(np.zeros(6, int), np.ones(6), np.ones((6, 3)), np.zeros((6, 3), int))
    return choose_pictures(
        run.model,
        space,
        held_out=strips,
        names=store.names[:6],
        reconstructions=strips,
        errors=np.arange(6.0),
        means=means[:6],
        samples={"kernel": strips},
        nearest={"kernel": nearest},
        training=store.panels,
        training_names=store.names,
        **options,
    )


def shown(of) -> np.ndarray:
    return np.stack([picture.panels for picture in of])


def test_without_a_prior_traversals_go_through_the_mean_strip_and_morphs_are_straight(made):
    run, _, means, space = made
    report = pictures(made)
    walk = space.traversal(space.mean, 0, np.array(WALK_STEPS))
    assert np.array_equal(shown(report.walks[0].pictures), decode(run.model, walk))
    last = 1 + np.square(means[1:3] - means[0]).sum(1).argmax()  # of the better half
    halfway = (means[0] + means[last])[None] / 2
    assert np.array_equal(shown(report.morph)[MORPH_STEPS // 2], decode(run.model, halfway)[0])
    assert not report.by_prior


def test_with_a_prior_traversals_go_through_a_sample_and_all_strips_are_the_priors(made):
    run, _, means, space = made
    prior = SmallPrior(space)
    report = pictures(made, prior=prior, start=means[9])
    walk = prior.refine(space.traversal(means[9], 0, np.array(WALK_STEPS)), [0])
    assert np.array_equal(shown(report.walks[0].pictures), decode(run.model, walk))
    last = 1 + np.square(means[1:3] - means[0]).sum(1).argmax()
    way = prior.morph(means[0], means[last])(np.linspace(0, 1, MORPH_STEPS))
    assert np.array_equal(shown(report.morph), decode(run.model, way))
    assert report.by_prior


def test_the_page_says_which_it_is(made, tmp_path):
    run, store, means, space = made
    said = {
        kind: evaluate_run(run, space, store, means, tmp_path / kind, num_samples=12, **further)
        for kind, further in {"plain": {}, "prior": {"prior": TemperedPrior(space)}}.items()
    }
    texts = {kind: path.read_text(encoding="utf-8") for kind, path in said.items()}
    assert "interpolated linearly" in texts["plain"]
    assert "noise of the latent prior" not in texts["plain"]
    assert "noise of the latent prior" in texts["prior"]
    assert "All else is as in sample 1 of the prior sampler" in texts["prior"]
    assert "was drawn again, 4 times in all at most" in texts["prior"]
    assert "was drawn again" not in texts["plain"]


class TemperedPrior(SmallPrior):
    """With the temperature that an evaluation's sampler passes on, and rejection."""

    candidates = 4

    def sample(self, n: int, seed: int, temperature: float = 1.0, progress="") -> np.ndarray:
        return temperature * super().sample(n, seed)
