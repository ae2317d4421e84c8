"""What the explorer's page offers where a run has a latent prior."""

import io
import re

import numpy as np
import pytest
from explorer_browser import drag, knobs, opened, settle, shown, strip_file
from explorer_model import SLIDERS, assert_same_picture, make_explorer, rendered, served, start_of
from PIL import Image
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def with_prior(tmp_path_factory):
    return make_explorer(tmp_path_factory.mktemp("prior"), with_prior=True)


@pytest.fixture(scope="module")
def prior_address(with_prior):
    with served(with_prior) as address:
        yield address


def test_without_a_prior_nothing_offers_to_clear_up_or_to_redraw(page):
    expect(page.locator("#refine")).to_be_hidden()
    expect(page.locator("#follow")).to_be_hidden()
    expect(page.locator("#redraw")).to_be_hidden()


def test_the_rest_of_a_strip_follows_a_slider_unless_it_is_told_not_to(
    context, prior_address, with_prior
):
    page = opened(context, prior_address)
    start, before = start_of(with_prior), shown(page)
    drag(page, 2, 2.5)
    turned = start | {"knobs": knobs(page)}
    follows, alone = (rendered(with_prior, turned | {"held": held}) for held in ([1], []))
    assert np.abs(follows.astype(int) - alone).max() > 10
    assert_same_picture(shown(page), follows)
    page.reload()  # the address holds what is held
    settle(page)
    assert_same_picture(shown(page), follows)
    page.uncheck("#follow")
    assert_same_picture(shown(page), alone)
    page.keyboard.press("z")
    assert_same_picture(shown(page), follows)
    page.keyboard.press("0")
    assert_same_picture(shown(page), before)
    expect(page.locator("#caption")).to_have_text(re.compile(r"^sample \d+$"))  # as it was
    assert page.complaints == []


def test_a_strip_is_cleared_up_and_what_was_turned_stays(context, prior_address):
    page = opened(context, prior_address)
    drag(page, 2, 2.5)
    before = knobs(page)
    page.click("#refine")
    expect(page.locator("#caption")).to_have_text("cleared up")
    after = knobs(page)
    assert after[1] == pytest.approx(before[1], abs=0.01)
    others = [i for i in range(SLIDERS) if i != 1]
    assert [after[i] for i in others] == pytest.approx([before[i] / 2 for i in others], abs=0.011)
    assert page.complaints == []


def test_a_panel_is_redrawn(context, prior_address):
    page = opened(context, prior_address)
    before = knobs(page)
    page.locator("[data-redraw='2']").click()
    expect(page.locator("#caption")).to_have_text("panel 3 redrawn")
    after = knobs(page)
    assert after[2] != before[2]
    assert after[:2] == pytest.approx(before[:2], abs=0.01)
    assert page.complaints == []


def test_from_one_strip_to_another_every_stop_is_a_strip_of_the_priors(
    context, prior_address, with_prior
):
    page = opened(context, prior_address)
    start, before = start_of(with_prior), shown(page)
    page.keyboard.press("a")
    drag(page, 2, 2.5)  # the rest follows: a strip of the same sliders, whose line is straight
    page.keyboard.press("b")
    page.fill("#mix", "0.5")
    straight = {**start, "knobs": knobs(page), "held": [1]}
    assert_same_picture(shown(page), rendered(with_prior, straight))
    page.click("#random")
    settle(page)
    there, name = shown(page), page.inner_text("#caption")
    page.keyboard.press("b")
    page.fill("#mix", "0.5")
    expect(page.locator("#caption")).to_have_text(
        f"between sample {start['base'][0][1].split(':')[1]} and {name}"
    )
    halfway, middle = shown(page), knobs(page)
    page.fill("#mix", "0.55")
    page.keyboard.press("z")
    np.testing.assert_array_equal(shown(page), halfway)
    assert knobs(page) == middle
    page.fill("#mix", "1")
    np.testing.assert_array_equal(shown(page), there)
    page.fill("#mix", "0")
    np.testing.assert_array_equal(shown(page), before)
    page.click("#swap")
    page.fill("#mix", "0.5")
    assert_same_picture(shown(page), halfway)
    page.keyboard.press("f")
    page.reload()  # the link holds the strip's own numbers
    settle(page)
    assert_same_picture(shown(page), halfway)
    assert knobs(page) == middle
    page.locator("#favourites .picture").click()
    assert_same_picture(shown(page), halfway)
    assert page.complaints == []


def test_playing_moves_smoothly_and_stops_at_a_whole_strip(context, prior_address):
    page = opened(context, prior_address)
    page.keyboard.press("a")
    page.click("#random")
    settle(page)
    page.keyboard.press("b")
    page.click("#play")
    expect(page.locator("#mix")).to_have_value(re.compile(r"0\.[1-9]"))  # back from B
    page.click("#play")
    settle(page)
    stop = float(page.input_value("#mix"))
    assert stop * 20 == pytest.approx(round(stop * 20))
    *_, source = page.url.partition("from=")
    assert source.partition("&")[0].startswith("1*given:")
    with page.expect_download() as waiting:
        page.click("#gif")
    assert Image.open(waiting.value.path()).n_frames == 40
    assert page.complaints == []


def test_a_dropped_strip_with_an_empty_panel_is_finished(context, prior_address):
    page = opened(context, prior_address)
    strip = Image.open(io.BytesIO(strip_file(4))).convert("RGB")
    width, height = strip.size
    strip.paste("white", (round(0.675 * width), round(0.05 * height), width - 9, height - 9))
    buffer = io.BytesIO()
    strip.save(buffer, "PNG")
    file = {"name": "mine.png", "mimeType": "image/png", "buffer": buffer.getvalue()}
    page.set_input_files("#file", file)
    page.click("#finish")
    expect(page.locator("#caption")).to_have_text("panel 3 redrawn")
    whole = {**file, "buffer": strip_file(4)}
    page.set_input_files("#file", whole)
    expect(page.locator("#caption")).to_have_text("your own strip")
    expect(page.locator("#finish")).to_be_hidden()
