"""The explorer's states: what a request may say, and which latents it stands for."""

import datetime
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from garfield_vae.explorer.states import (
    LIMIT,
    BadRequest,
    Positions,
    State,
    as_json,
    between,
    numbers,
    pack,
    unpack,
)
from garfield_vae.explorer.strip_names import date_of, find_name
from garfield_vae.latent import samplers
from garfield_vae.latent.space import LatentSpace

Z, K = 12, 4


@pytest.fixture(scope="module")
def positions() -> Positions:
    rng = np.random.default_rng(0)
    means = rng.standard_normal((60, Z)).astype(np.float32) * np.arange(Z, 0, -1, np.float32)
    space = LatentSpace.fit(means)
    return Positions(space, K, [f"strip-{i:02}" for i in range(60)], means)


def plain(**changes) -> dict:
    return {"knobs": [0.0] * K, "panels": [[0.0] * K] * 3, "base": [], **changes}


CASES = json.loads(Path(__file__).with_name("state_cases.json").read_text())


@pytest.fixture(scope="module")
def three_sliders() -> Positions:
    means = np.random.default_rng(0).standard_normal((20, 3)).astype(np.float32)
    return Positions(LatentSpace.fit(means), 3)


@pytest.mark.parametrize("case", CASES["parse"], ids=lambda case: json.dumps(case["value"])[:60])
def test_a_state_is_parsed_as_the_cases_say_that_hold_for_the_page_too(three_sliders, case):
    if case["state"] is None:
        with pytest.raises(BadRequest):
            three_sliders.parse(case["value"])
    else:
        assert as_json(three_sliders.parse(case["value"])) == case["state"]


@pytest.mark.parametrize("case", CASES["between"])
def test_a_state_between_two_is_what_the_cases_say_that_hold_for_the_page_too(three_sliders, case):
    a, b = (three_sliders.parse(case[end]) for end in "ab")
    found, expected = as_json(between(a, b, case["t"])), case["state"]
    assert [source for _, source in found["base"]] == [source for _, source in expected["base"]]
    weights, wanted = ([weight for weight, _ in state["base"]] for state in (found, expected))
    assert weights == pytest.approx(wanted, abs=1e-6)
    assert found["held"] == expected["held"]
    for name in ("knobs", "panels"):
        np.testing.assert_allclose(found[name], expected[name], atol=1e-6)


def test_no_knob_turned_is_the_mean_latent_in_every_panel(positions):
    latents = positions.latents(positions.parse(plain()))
    assert latents.shape == (3, Z)
    np.testing.assert_allclose(latents, np.tile(positions.space.mean, (3, 1)), atol=1e-6)


def test_a_knob_moves_along_its_component_in_standard_deviations(positions):
    latents = positions.latents(positions.parse(plain(knobs=[0, 2.0, 0, 0])))
    moved = latents[0] - positions.space.mean
    np.testing.assert_allclose(
        moved, 2 * positions.space.std[1] * positions.space.components[1], atol=1e-5
    )


def test_a_panel_can_be_moved_alone(positions):
    one = [[0.0] * K, [1.5, 0, 0, 0], [0.0] * K]
    latents = positions.latents(positions.parse(plain(panels=one)))
    np.testing.assert_array_equal(latents[0], latents[2])
    coordinates = positions.space.coordinates(latents)
    assert coordinates[1, 0] - coordinates[0, 0] == pytest.approx(1.5, abs=1e-4)


def test_a_strip_of_the_store_comes_back_exactly_although_few_sliders_show_it(positions):
    state = positions.parse(as_json(positions.of_strip("strip-17")))
    latents = positions.latents(state)
    np.testing.assert_allclose(latents, np.tile(positions.means[17], (3, 1)), atol=1e-5)


def test_a_strip_beyond_the_sliders_ends_comes_back_exactly_too(positions):
    far = positions.space.mean + 9 * positions.space.std[0] * positions.space.components[0]
    state = positions.of_latent(far)
    assert state.knobs[0] == LIMIT
    np.testing.assert_allclose(positions.latents(state)[0], far, rtol=2e-3, atol=2e-2)


def test_the_same_seed_and_temperature_draw_the_same_strip(positions):
    first, again = positions.of_draw(7, 0.8), positions.of_draw(7, 0.8)
    assert as_json(first) == as_json(again)
    rng = np.random.default_rng(7)
    drawn = samplers.draw(positions.space, 1, rng, temperature=0.8)[0]
    np.testing.assert_allclose(positions.latents(first)[1], drawn, atol=1e-4)


@pytest.mark.parametrize("temperature", [0, -0.0, 1e-9, 1e-5, 0.001, 0.1 + 0.2, 1 / 3, 2.9999, 3])
@pytest.mark.parametrize("seed", [0, 999_999_999])
def test_every_draw_that_is_given_is_one_that_is_taken(positions, seed, temperature):
    state = positions.of_draw(seed, temperature)
    again = positions.parse(as_json(state))
    np.testing.assert_allclose(positions.latents(again), positions.latents(state), atol=1e-5)


def test_halfway_between_two_strips_is_the_mean_of_their_latents(positions):
    a, b = positions.of_strip("strip-03"), positions.of_draw(5, 1.0)
    middle = positions.latents(positions.parse(as_json(between(a, b, 0.5))))
    expected = (positions.latents(a) + positions.latents(b)) / 2
    np.testing.assert_allclose(middle, expected, atol=1e-4)


def test_between_ends_at_the_strips_themselves(positions):
    a, b = positions.of_strip("strip-03"), positions.of_strip("strip-04")
    assert as_json(between(a, b, 0)) == as_json(a)
    assert as_json(between(a, b, 1)) == as_json(b)


def test_the_nearest_strip_of_a_strip_is_itself_at_no_distance(positions):
    name, distance = positions.nearest(positions.of_strip("strip-42"))
    assert name == "strip-42"
    assert distance < 1e-4


def test_the_nearest_strip_is_the_one_a_search_by_hand_finds(positions):
    state = positions.of_draw(11, 1.0)
    distances = np.linalg.norm(positions.means - positions.latents(state)[0], axis=1)
    name, distance = positions.nearest(state)
    assert name == f"strip-{distances.argmin():02}"
    typical = np.sqrt((positions.means - positions.means.mean(0)).var(0, ddof=1).sum())
    assert distance == pytest.approx(distances.min() / typical, rel=1e-3)


def test_numbers_out_of_range_are_clamped(positions):
    state = positions.parse(plain(knobs=[99, -99, 10**100, 1]))
    assert state.knobs.tolist() == [LIMIT, -LIMIT, LIMIT, 1]


@pytest.mark.parametrize(
    "wrong",
    [
        plain(knobs=[0.0, 0.0, 0.0, float("nan")]),
        plain(knobs=[0.0, 0.0, 0.0, float("inf")]),
        plain(base=[[float("nan"), "strip:strip-01"]]),
        plain(base=[[1.0, "strip:no such"]]),
        plain(base=[[1.0, "strip:../../etc/passwd"]]),
        plain(base=[[1.0, "seed:" + "9" * 5000 + ":1"]]),
    ],
)
def test_what_is_no_state_beside_the_cases_that_hold_for_the_page_too_is_refused(positions, wrong):
    with pytest.raises(BadRequest):
        positions.parse(wrong)


def test_numbers_survive_a_link_to_three_digits_of_a_float16():
    values = np.array([0.0, 1.0, -2.5, 0.1234], np.float32)
    np.testing.assert_allclose(unpack(pack(values), 4), values, rtol=1e-3)


def test_numbers_that_a_float16_does_not_reach_are_clamped():
    far = np.array([1e6, -np.inf, 3], np.float32)
    assert unpack(pack(far), 3).tolist() == [65504, -65504, 3]


def test_packed_numbers_that_are_not_finite_are_refused():
    with pytest.raises(BadRequest, match="damaged"):
        unpack(pack(np.array([np.nan, 1], np.float32)), 2)


def test_packed_numbers_of_another_model_are_refused():
    with pytest.raises(BadRequest, match="another size"):
        unpack(pack(np.zeros(5, np.float32)), 4)


def test_a_portable_state_names_nothing_that_another_place_may_lack(positions):
    mixed = between(positions.of_strip("strip-03"), positions.of_draw(5, 1.0), 0.25)
    portable = positions.portable(mixed)
    elsewhere = Positions(positions.space, K, prior=SimpleNamespace(sample=lambda n, seed: 1 / 0))
    again = elsewhere.parse(json.loads(json.dumps(as_json(portable))))
    np.testing.assert_allclose(
        elsewhere.latents(again), positions.latents(mixed), rtol=2e-3, atol=2e-3
    )
    assert [source.split(":")[2] for _, source in portable.base] == ["strip strip-03", "sample 5"]


def test_samples_come_from_the_prior_that_is_given(positions):
    drawn = np.arange(Z, dtype=np.float32)
    prior = SimpleNamespace(sample=lambda n, seed: np.tile(drawn * seed, (n, 1)))
    given = Positions(positions.space, K, prior=prior)
    np.testing.assert_allclose(given.latents(given.of_draw(2, 1.0))[0], 2 * drawn, atol=1e-3)
    half = (2 * drawn + positions.space.mean) / 2  # a temperature of 0.5: halfway to the mean
    np.testing.assert_allclose(given.latents(given.of_draw(2, 0.5))[0], half, atol=1e-3)


@pytest.mark.parametrize(
    "text",
    [
        "1985-03-12",
        " 1985-3-12 ",
        "1985/03/12",
        "19850312",
        "12.3.1985",
        "12.03.85",
        "3/12/1985",
        "3/12/85",
        "12 March 1985",
        "12 mar 1985",
        "March 12, 1985",
        "Mar 12th, 1985",
        "the 12th of March 1985",
        "Tuesday, 12 March 1985",
    ],
)
def test_a_date_is_understood_in_any_usual_form(text):
    assert date_of(text) == datetime.date(1985, 3, 12)


def test_a_month_after_the_twelfth_can_only_be_a_day():
    assert date_of("13/3/1985") == datetime.date(1985, 3, 13)
    assert date_of("1/2/03") == datetime.date(2003, 1, 2)


@pytest.mark.parametrize("text", ["", "garfield", "1985-02-30", "1985312", "12", "March", "12.3."])
def test_what_is_no_date_is_none(text):
    assert date_of(text) is None


@pytest.mark.parametrize("digits", [20, 5000])  # more than C's integers have, than Python reads
def test_a_number_that_no_calendar_has_is_no_date(digits):
    number = digits * "9"
    for text in (f"1 March {number}", f"March {number} 12", f"{number} 12 March"):
        assert date_of(text) is None


def test_a_strip_is_found_by_its_name_however_it_is_written():
    names = {"1985-03-12": 0, "My Strip.png": 1}
    assert find_name("12 March 1985", names) == "1985-03-12"
    assert find_name("my strip", names) == "My Strip.png"
    assert find_name("1985-03-13", names) is None


def test_a_state_is_json(positions):
    json.dumps(as_json(positions.of_strip("strip-01")), allow_nan=False)


def test_numbers_gives_float32_of_the_length_asked_for():
    assert numbers([1, 2.5], 2, 4.0, "x").dtype == np.float32


def test_more_sliders_than_components_are_as_many_as_there_are(positions):
    assert Positions(positions.space, 500).sliders == len(positions.space.std)


def test_states_of_another_model_are_known_by_their_fingerprint(positions):
    other = LatentSpace.fit(positions.means[:40])
    assert Positions(other, K).fingerprint != positions.fingerprint
    assert isinstance(positions.of_draw(1, 1.0), State)
