"""The explorer's page where the server is slow, busy or gone."""

import json
import threading

import numpy as np
import pytest
from explorer_browser import AVERAGE, drag, knobs, opened, settle, shown, state
from explorer_model import SLIDERS, assert_same_picture, make_explorer, rendered, served
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def test_the_page_says_when_the_server_has_ended_and_goes_on_when_it_is_back(
    context, tmp_path, explorer
):
    with served(make_explorer(tmp_path)) as address:
        page = opened(context, address, AVERAGE)
        port = int(address.rstrip("/").rpartition(":")[2])
    drag(page, 1, 2)
    expect(page.locator("#notice")).to_contain_text("The explorer has ended")
    with served(make_explorer(tmp_path), port):
        settle(page)
        assert_same_picture(shown(page), rendered(explorer, state(knobs(page))))


def test_strips_between_two_are_drawn_when_the_server_is_back(context, tmp_path):
    with served(make_explorer(tmp_path, with_prior=True)) as address:
        page = opened(context, address)
        port = int(address.rstrip("/").rpartition(":")[2])
        page.keyboard.press("a")
        page.click("#random")
        settle(page)
    page.keyboard.press("b")
    expect(page.locator("#notice")).to_contain_text("The explorer has ended")
    expect(page.locator("#play")).to_be_disabled()
    with served(make_explorer(tmp_path, with_prior=True), port):
        expect(page.locator("#play")).to_be_enabled(timeout=30_000)
        expect(page.locator("#notice span")).to_be_empty()
        page.fill("#mix", "0.5")
        settle(page)
        expect(page.locator("#caption")).to_contain_text("between sample")


def test_eight_pages_that_drag_at_once_end_with_their_own_pictures(context, address, explorer):
    pages = [opened(context, address, AVERAGE) for _ in range(8)]
    for turn in range(15):
        for number, page in enumerate(pages):
            page.evaluate(
                """([index, value]) => {
                  const turn = document.querySelectorAll(".turn")[index];
                  turn.value = value;
                  turn.dispatchEvent(new Event("input", { bubbles: true }));
                }""",
                [(number + turn) % SLIDERS, 3.0 - 0.1 * turn - 0.5 * number],
            )
    for page in pages:
        assert_same_picture(shown(page), rendered(explorer, state(knobs(page))))
        assert page.complaints == []


def test_what_cannot_be_painted_leaves_the_strip_until_the_message_is_dismissed(page, address):
    drag(page, 1, 2)
    before, there = shown(page), knobs(page)
    for hash_ in ("v=1&k=1&from=1*strip:1950-01-01", "v=1&k=1&from=nonsense", "v=1&m=other&k=1"):
        page.evaluate("(hash) => { location.hash = hash; }", hash_)
        expect(page.locator("#notice")).to_have_class("bad")
        np.testing.assert_array_equal(shown(page), before)
        assert knobs(page) == there
        page.locator("#notice button").click()
        expect(page.locator("#notice span")).to_be_empty()
    state_of_another = {"knobs": [0.0] * SLIDERS, "base": [[1, "given:AAAA"]]}
    model = page.evaluate("location.hash").partition("m=")[2].partition("&")[0]
    content = {"format": "garfield_vae explorer", "version": 1, "model": model}
    content |= {"state": state_of_another, "shelf": []}
    page.set_input_files(
        "#json-file",
        {"name": "x.json", "mimeType": "application/json", "buffer": json.dumps(content).encode()},
    )
    expect(page.locator("#notice")).to_contain_text("another size")
    np.testing.assert_array_equal(shown(page), before)
    page.complaints.clear()  # the browser notes every answer that is an error


def test_a_server_that_hangs_is_said_and_then_forgotten(page, explorer):
    go_on = threading.Event()
    explorer.painter._thread.submit(go_on.wait, 60)
    page.locator(".high").nth(0).click()
    expect(page.locator("#notice")).to_contain_text("has not answered yet")
    go_on.set()
    expect(page.locator("#notice span")).to_be_empty()
    settle(page)


def test_an_animation_says_how_much_of_it_is_painted(page, explorer):
    for key, end in (("a", ".low"), ("b", ".high")):
        page.locator(end).nth(0).click()
        settle(page)
        page.keyboard.press(key)
    reached, go_on = threading.Event(), threading.Event()

    def wait_in_the_middle(strips=explorer.painter.strips):
        def painted(*arguments):
            for number, strip in enumerate(strips(*arguments)):
                if number == 12 and len(arguments) == 1:  # of 21; ends are asked for by a page
                    reached.set()
                    go_on.wait(60)
                yield strip

        return painted

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(explorer.painter, "strips", wait_in_the_middle())
        with page.expect_download():
            page.click("#gif")
            expect(page.locator("#notice")).to_contain_text("Painting the animation, 57 %")
            page.keyboard.press("f")
            expect(page.locator("#notice")).to_contain_text("Added to your favourites.")
            expect(page.locator("#notice")).to_contain_text("Painting the animation, 57 %")
            page.keyboard.press("a")  # another pair meanwhile
            expect(page.locator("#play")).to_be_enabled()
            expect(page.locator("#gif")).to_be_disabled()
            go_on.set()
    assert reached.is_set()
    expect(page.locator("#notice")).to_contain_text("The animation is saved")
    expect(page.locator("#gif")).to_be_enabled()


def test_strips_between_two_say_how_many_of_them_are_drawn(context, tmp_path):
    explorer = make_explorer(tmp_path, with_prior=True)
    reached, go_on = threading.Event(), threading.Event()
    morph = explorer.prior._owned.morph

    def slow(*ends):
        def at(shares):
            if shares[0] > 0.5:
                reached.set()
                go_on.wait(60)
            return morph(*ends)(shares)

        return at

    explorer.prior._owned.morph = slow
    with served(explorer) as address:
        page = opened(context, address)
        notice = page.locator("#notice span")
        page.keyboard.press("a")
        page.click("#random")
        settle(page)
        page.keyboard.press("b")
        assert reached.wait(60)
        expect(notice).to_have_text("Drawing the strips between A and B, 62 % …")  # 13 of 21
        go_on.set()
        expect(page.locator("#play")).to_be_enabled()
        expect(notice).to_be_empty()
        settle(page)
        assert page.complaints == []
