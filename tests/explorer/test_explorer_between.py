"""From one strip to another: through the prior's noise, or on a straight line."""

import io
import itertools
import json
import threading
from dataclasses import replace

import numpy as np
import pytest
from explorer_model import ask, assert_same_picture, make_explorer, rendered, served
from PIL import Image

from garfield_vae.explorer.renderer import Superseded
from garfield_vae.explorer.service import FRAMES
from garfield_vae.explorer.states import PANELS, as_json, in_words


@pytest.fixture(scope="module")
def with_prior(tmp_path_factory):
    explorer = make_explorer(tmp_path_factory.mktemp("prior"), with_prior=True)
    yield explorer
    explorer.painter.close()


@pytest.fixture
def ends(with_prior):
    return with_prior.positions.of_strip("1990-01-03"), with_prior.positions.of_draw(7, 1.0)


def whole(explorer, state) -> np.ndarray:
    """The state's latent in standard deviations, where no panel was moved alone."""
    latents = explorer.positions.latents(state)
    np.testing.assert_array_equal(latents, np.tile(latents[:1], (PANELS, 1)))
    return explorer.positions.space.coordinates(latents[:1])[0]


def test_halfway_is_the_strip_that_the_noise_halfway_flows_to(with_prior, ends):
    a, halfway, b = with_prior.between(*ends, 3)
    assert [as_json(a), as_json(b)] == [as_json(end) for end in ends]
    one, other = (whole(with_prior, end) for end in ends)
    expected = (one + other) / np.sqrt(2)  # the tests' prior: its noise is on a quarter of a circle
    np.testing.assert_allclose(whole(with_prior, halfway), expected, atol=0.01)
    assert in_words(halfway) == "between strip 1990-01-03 and sample 7"


def test_an_end_that_was_made_from_others_is_a_changed_strip(with_prior, ends):
    a, b = ends
    made = [
        next(itertools.islice(with_prior.between(a, b, 3), 1, 2)),
        with_prior.refine(a, [0]),
        with_prior.complete(a, [2], seed=1),
    ]
    for one in made:
        _, halfway, _ = with_prior.between(one, b, 3)
        assert in_words(halfway) == "between a changed strip and sample 7"
    given = with_prior.positions.of_latent(with_prior.positions.latents(a)[0])
    _, halfway, _ = with_prior.between(with_prior.portable(a), given, 3)
    assert in_words(halfway) == "between strip 1990-01-03 and your own strip"


@pytest.mark.parametrize("frames", [2, 3, 6, FRAMES])
def test_as_many_states_as_were_asked_for_at_equal_steps(with_prior, ends, frames):
    states = list(with_prior.between(*ends, frames))
    one, other = (whole(with_prior, end) for end in ends)
    angles = np.linspace(0, np.pi / 2, frames)[:, None]
    expected = np.cos(angles) * one + np.sin(angles) * other
    found = np.stack([whole(with_prior, state) for state in states])
    np.testing.assert_allclose(found, expected, atol=0.01)


def test_one_strips_sliders_move_in_a_straight_line_and_what_they_hold_is_held(with_prior, ends):
    a, _ = ends
    b = replace(a, knobs=a.knobs + 1, held=(2,))
    first, halfway, last = with_prior.between(a, b, 3)
    np.testing.assert_allclose(halfway.knobs, a.knobs + 0.5, atol=1e-6)
    assert (halfway.base, halfway.held) == (a.base, (2,))
    assert [as_json(first), as_json(last)] == [as_json(a), as_json(b)]


def test_without_a_prior_the_line_between_two_strips_is_straight(explorer):
    ends = explorer.positions.of_strip("1990-01-03"), explorer.positions.of_draw(7, 1.0)
    halfway = list(explorer.between(*ends, 3))[1]
    mean = (whole(explorer, ends[0]) + whole(explorer, ends[1])) / 2
    np.testing.assert_allclose(whole(explorer, halfway), mean, atol=1e-3)


def test_panels_that_were_moved_alone_are_moved_by_a_share_of_it(with_prior, ends):
    a, b = ends
    a.panels[1, 0] = 2
    states = list(with_prior.between(a, b, 5))
    assert [float(state.panels[1, 0]) for state in states] == [2, 1.5, 1, 0.5, 0]
    np.testing.assert_array_equal(
        with_prior.positions.latents(states[0]), with_prior.positions.latents(a)
    )


def test_what_an_end_holds_is_in_its_strip_and_the_strips_between_hold_nothing(with_prior, ends):
    a, b = replace(ends[0], knobs=ends[0].knobs + 1, held=(0,)), ends[1]
    first, halfway, _ = with_prior.between(a, b, 3)
    np.testing.assert_allclose(whole(with_prior, first), whole(with_prior, a), atol=2e-3)
    expected = (whole(with_prior, a) + whole(with_prior, b)) / np.sqrt(2)
    np.testing.assert_allclose(whole(with_prior, halfway), expected, atol=0.01)
    assert (first.held, halfway.held) == ((), ())


def test_a_newer_pair_takes_the_place_of_an_older_one(with_prior, ends):
    older = with_prior.between(*ends, FRAMES, "page", 1)
    next(older)
    next(with_prior.between(*reversed(ends), FRAMES, "page", 2))
    with pytest.raises(Superseded):
        list(older)
    assert len(list(with_prior.between(*ends, FRAMES, "another page", 1))) == FRAMES


def test_others_are_served_between_two_strips_of_a_morph(with_prior, ends):
    states, turns = iter(with_prior.between(*ends, FRAMES)), []
    next(states)
    next(states)
    other = threading.Thread(target=lambda: turns.append(with_prior.painter.run(len, "abc")))
    other.start()
    other.join(60)
    assert turns == [3]
    assert len(list(states)) == FRAMES - 2


def test_the_page_and_the_gif_get_the_same_strips(tmp_path, ends):
    explorer = make_explorer(tmp_path, with_prior=True)
    asked = {"a": as_json(ends[0]), "b": as_json(ends[1])}
    with served(explorer) as address:
        assert "morph" in json.loads(ask(address, "GET", "/api/info")[2])["can"]
        status, _, content = ask(address, "POST", "/api/between", asked)
        states = json.loads(content)["states"]
        animation = Image.open(io.BytesIO(ask(address, "POST", "/api/walk.gif", asked)[2]))
    assert (status, len(states)) == (200, FRAMES)
    assert animation.n_frames == 2 * FRAMES - 2  # there and back, both ends once
    halfway = FRAMES // 2
    animation.seek(halfway)
    shown = np.asarray(animation.convert("RGB")).astype(int)
    colours = np.abs(shown - rendered(explorer, states[halfway])).mean()  # 256 for all frames
    assert colours < 0.5 * np.abs(shown - rendered(explorer, states[0])).mean()
    # a state's numbers survive a link
    again = explorer.positions.parse(json.loads(json.dumps(states[halfway])))
    assert_same_picture(rendered(explorer, as_json(again)), rendered(explorer, states[halfway]))
