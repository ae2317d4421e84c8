"""The explorer in a real browser, used as a user would: drag, keys, drop, links."""

import base64
import json
import re

import numpy as np
import pytest
from explorer_browser import (
    blur,
    drag,
    knobs,
    opened,
    settle,
    shown,
    slider,
    state,
    strip_file,
    value,
)
from explorer_model import SLIDERS, assert_same_picture, rendered, start_of
from PIL import Image
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def ends_of(page) -> list[str]:
    return page.locator(".end canvas").evaluate_all("all => all.map((c) => c.toDataURL())")


def test_the_page_opens_on_a_strip_that_its_sliders_turn(context, address, explorer):
    page = opened(context, address)
    start = start_of(explorer)
    assert knobs(page) == pytest.approx(start["knobs"], abs=0.0051)
    assert_same_picture(shown(page), rendered(explorer, start))
    drag(page, 1, 2.5)
    turned = {**start, "knobs": [value(page, 1), *start["knobs"][1:]]}
    assert_same_picture(shown(page), rendered(explorer, turned))
    expect(page.locator("#caption")).to_contain_text(", changed")
    page.click("#reset")
    assert_same_picture(shown(page), rendered(explorer, start))
    page.reload()
    settle(page)
    slider(page, 1).dblclick()
    assert_same_picture(shown(page), rendered(explorer, start))
    assert page.complaints == []


def test_the_small_pictures_show_the_strip_on_the_page_at_both_ends(page):
    page.wait_for_function(  # a picture each
        """(count) => new Set([...document.querySelectorAll(".end canvas")]
            .map((c) => c.toDataURL())).size === count""",
        arg=2 * SLIDERS,
    )
    before = ends_of(page)
    page.click("#random")
    page.wait_for_function(
        "(before) => document.querySelector('.end canvas').toDataURL() !== before", arg=before[0]
    )


def test_the_strip_follows_a_drag(page, explorer):
    before = shown(page)
    drag(page, 1, 2.5)
    assert value(page, 1) == pytest.approx(2.5, abs=0.1)
    after = shown(page)
    assert_same_picture(after, rendered(explorer, state(knobs(page))))
    assert np.abs(after.astype(int) - before).max() > 20


def test_a_double_click_zeroes_a_slider_and_its_ends_can_be_clicked(page):
    page.locator(".high").nth(2).click()
    assert value(page, 3) == 3
    slider(page, 3).dblclick()
    assert value(page, 3) == 0
    page.locator(".low").nth(2).click()
    assert value(page, 3) == -3


def test_everything_can_be_done_by_keys(page):
    page.keyboard.press("ArrowDown")
    expect(slider(page, 1)).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert value(page, 1) == pytest.approx(0.2)
    page.keyboard.press("Shift+ArrowLeft")
    assert value(page, 1) == pytest.approx(-0.3)
    page.keyboard.press("ArrowDown")
    expect(slider(page, 2)).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("l")
    expect(page.locator(".lock").nth(1)).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("0")
    assert knobs(page)[:2] == [0, 0.1]  # the lock holds
    page.keyboard.press("z")
    assert knobs(page)[:2] == pytest.approx([-0.3, 0.1])
    page.keyboard.press("Shift+Z")
    assert knobs(page)[:2] == [0, 0.1]
    page.keyboard.press("Delete")
    assert value(page, 2) == 0
    page.keyboard.press("p")
    expect(page.locator("#panel-note")).to_be_visible()
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()


def test_random_draws_all_but_the_locked_sliders_and_says_its_seed(page, explorer):
    page.locator(".lock").nth(0).click()
    page.click("#random")
    expect(slider(page, 2)).not_to_have_value("0")
    assert value(page, 1) == 0
    seed = int(page.input_value("#seed"))
    drawn = explorer.positions.of_draw(seed, 1.0)
    assert knobs(page)[1:] == pytest.approx(drawn.knobs[1:].tolist(), abs=0.011)
    expect(page.locator("#caption")).to_contain_text(f"sample {seed}")


def test_random_of_the_first_two_leaves_the_others(page, explorer):
    page.fill("#first", "2")
    page.uncheck("#rest")
    page.fill("#seed", "7")
    page.fill("#temperature", "0.5")
    page.click("#draw")
    expect(slider(page, 1)).not_to_have_value("0")
    drawn = explorer.positions.of_draw(7, 0.5)
    assert knobs(page)[:2] == pytest.approx(drawn.knobs[:2].tolist(), abs=0.011)
    assert knobs(page)[2:] == [0] * (SLIDERS - 2)


def test_a_panel_moved_alone_says_what_that_means(page, explorer):
    page.locator("#panels label").nth(2).click()
    expect(page.locator("#panel-note")).to_contain_text("one latent vector for a whole strip")
    drag(page, 1, 3)
    moved = value(page, 1)
    alone = [[0.0] * SLIDERS, [moved] + [0.0] * (SLIDERS - 1), [0.0] * SLIDERS]
    assert_same_picture(shown(page), rendered(explorer, state(panels=alone)))
    page.locator("#panels label").nth(0).click()
    assert value(page, 1) == 0
    expect(page.locator(".knob").nth(0)).to_have_class(re.compile("shifted"))


def test_a_strip_is_found_by_its_date_and_returned_to_exactly(page, explorer):
    page.fill("#name", "1990-01-09")
    page.press("#name", "Enter")
    expect(page.locator("#compare")).to_be_visible()
    found = explorer.positions.of_strip("1990-01-09")
    expect(slider(page, 1)).not_to_have_value("0")
    there = shown(page)
    base = [[1.0, "strip:1990-01-09"]]
    assert_same_picture(there, rendered(explorer, state(found.knobs.tolist(), base=base)))
    drag(page, 1, -3)
    assert np.abs(shown(page).astype(int) - there).max() > 5
    page.click("#return")
    np.testing.assert_array_equal(shown(page), there)
    page.click("#after")
    expect(page.locator("#compare-name")).to_have_text("1990-01-10")


def test_the_nearest_real_strip_is_shown_with_its_date_and_can_be_gone_to(page):
    page.fill("#name", "1990-01-15")
    page.press("#name", "Enter")
    expect(page.locator("#nearest-name")).to_have_text("1990-01-15")
    expect(page.locator("#nearest-distance")).to_have_text("this very strip")
    page.click("#average")
    expect(page.locator("#nearest-distance")).to_contain_text("away")
    name = page.locator("#nearest-name").text_content()
    page.click("#nearest")
    expect(page.locator("#caption")).to_have_text(f"strip {name}")


def test_an_unknown_date_is_said_and_the_page_goes_on(page):
    page.fill("#name", "2099-01-01")
    page.press("#name", "Enter")
    expect(page.locator("#notice")).to_contain_text("no strip named")
    drag(page, 1, 1)
    settle(page)
    page.complaints.clear()  # the browser notes every answer that is an error


def test_a_dropped_picture_is_cut_encoded_and_shown_beside_its_reconstruction(page):
    content = base64.b64encode(strip_file(4)).decode()
    transfer = page.evaluate_handle(
        """(content) => {
          const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
          const transfer = new DataTransfer();
          transfer.items.add(new File([bytes], "mine.png", { type: "image/png" }));
          return transfer;
        }""",
        content,
    )
    page.dispatch_event("body", "dragover", {"dataTransfer": transfer})
    expect(page.locator("#dropping")).to_be_visible()
    page.dispatch_event("body", "drop", {"dataTransfer": transfer})
    expect(page.locator("#compare-name")).to_have_text("mine.png")
    expect(page.locator("#dropping")).to_be_hidden()
    expect(page.locator("#nearest-name")).to_have_text("1990-01-04")
    copy = page.locator("#compare-copy")
    expect(copy).to_have_attribute("src", re.compile("^blob:"))
    expect(copy).to_have_js_property("complete", True)
    assert copy.evaluate("e => e.naturalWidth") > 0
    page.keyboard.down("o")
    expect(page.locator("#original")).to_be_visible()
    page.keyboard.up("o")
    expect(page.locator("#original")).to_be_hidden()


def test_a_chosen_file_that_is_no_picture_is_said(page):
    page.set_input_files(
        "#file", {"name": "x.png", "mimeType": "image/png", "buffer": b"not a picture"}
    )
    expect(page.locator("#notice")).to_contain_text("cannot be used as a strip")
    page.complaints.clear()


def test_a_link_opens_the_same_picture_also_of_ones_own_strip(page, context, address):
    page.set_input_files(
        "#file", {"name": "mine.gif", "mimeType": "image/gif", "buffer": strip_file(6, "GIF")}
    )
    expect(page.locator("#caption")).to_have_text("your own strip")
    drag(page, 2, 1.5)
    page.keyboard.press("b")
    there = shown(page)
    page.click("#link")
    expect(page.locator("#notice")).to_have_text("The link is copied.")
    link = page.evaluate("navigator.clipboard.readText()")
    other = opened(context, address, link.removeprefix(address))
    np.testing.assert_array_equal(shown(other), there)
    assert other.complaints == []
    page.reload()
    settle(page)
    np.testing.assert_array_equal(shown(page), there)
    page.click("#reset")
    page.keyboard.press("a")
    expect(page.locator("#mix")).to_be_enabled()  # B came with the link


def test_a_damaged_link_is_said_and_opens_the_first_strip(context, address, explorer):
    for fragment in ("#v=1&k=1,2,x", "#v=9&k=1", "#v=1&p=9:9:1", "#v=1&from=nonsense", "#%"):
        page = opened(context, address, fragment)
        expect(page.locator("#notice")).to_contain_text("link cannot be opened")
        assert_same_picture(shown(page), rendered(explorer, start_of(explorer)))
        page.close()


def test_the_back_button_leads_back_before_the_last_leap(page):
    drag(page, 1, 1.5)
    before = knobs(page)
    page.click("#random")
    expect(slider(page, 2)).not_to_have_value("0")
    after = knobs(page)
    page.go_back()
    settle(page)
    assert knobs(page) == before
    page.go_forward()
    settle(page)
    assert knobs(page) == after


def test_undo_and_redo_walk_through_the_steps(page):
    expect(page.locator("#undo")).to_be_disabled()
    drag(page, 1, 1)
    drag(page, 2, -1)
    steps = knobs(page)
    page.click("#undo")
    assert knobs(page) == [steps[0]] + [0] * (SLIDERS - 1)
    page.click("#undo")
    assert knobs(page) == [0] * SLIDERS
    expect(page.locator("#undo")).to_be_disabled()
    page.click("#redo")
    page.click("#redo")
    assert knobs(page) == steps
    expect(page.locator("#redo")).to_be_disabled()


def test_between_two_pinned_strips_there_is_a_slider_play_and_a_gif(page, explorer):
    page.locator(".low").nth(0).click()
    settle(page)
    page.keyboard.press("a")
    page.locator(".high").nth(0).click()
    settle(page)
    page.click("#pin-b")
    page.fill("#mix", "0.5")
    assert value(page, 1) == 0
    assert_same_picture(shown(page), rendered(explorer, state()))
    blur(page)
    page.keyboard.press("Space")
    expect(page.locator("#play")).to_have_attribute("aria-pressed", "true")
    expect(slider(page, 1)).to_have_value(re.compile(r"[12]\.\d+"))  # on its way to B
    page.keyboard.press("Space")
    expect(page.locator("#play")).to_have_attribute("aria-pressed", "false")
    with page.expect_download() as waiting:
        page.click("#gif")
    animation = Image.open(waiting.value.path())
    assert animation.format == "GIF"
    assert animation.n_frames > 20


def test_a_strip_is_saved_as_png_at_both_sizes(page):
    with page.expect_download() as waiting:
        page.click("#png")
    once = np.asarray(Image.open(waiting.value.path()))
    np.testing.assert_array_equal(once, shown(page))
    with page.expect_download() as waiting:
        page.click("#png2")
    twice = Image.open(waiting.value.path())
    assert twice.size == (2 * once.shape[1], 2 * once.shape[0])


def test_favourites_keep_strips_in_this_browser_and_travels_as_json(page, context, address):
    page.locator(".high").nth(1).click()
    there = shown(page)
    page.keyboard.press("f")
    expect(page.locator("#favourites li")).to_have_count(1)
    page.reload()
    settle(page)
    expect(page.locator("#favourites li")).to_have_count(1)
    with page.expect_download() as waiting:
        page.click("#save-json")
    saved = json.loads(waiting.value.path().read_text())
    assert saved["state"]["knobs"][1] == 3
    page.click("#reset")
    page.locator("#favourites .picture").click()
    np.testing.assert_array_equal(shown(page), there)
    page.locator("#favourites li").hover()
    page.locator(".drop-it").click()
    expect(page.locator("#favourites li")).to_have_count(0)
    page.click("#reset")
    page.set_input_files("#json-file", str(waiting.value.path()))
    expect(page.locator("#favourites li")).to_have_count(1)
    np.testing.assert_array_equal(shown(page), there)


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b'{"format": "garfield_vae explorer", "version": 1, "model": "x"}']
)
def test_a_json_file_that_is_not_ours_is_said(page, content):
    page.set_input_files(
        "#json-file", {"name": "x.json", "mimeType": "application/json", "buffer": content}
    )
    expect(page.locator("#notice")).to_contain_text("x.json cannot be loaded")


def test_a_component_is_renamed_and_the_name_stays_with_the_run(page, explorer):
    page.locator(".knob-name").nth(3).fill("night and day")
    page.keyboard.press("Enter")
    expect(slider(page, 4)).to_have_attribute("aria-label", "night and day")
    assert json.loads(explorer.names.path.read_text())["names"] == {"3": "night and day"}
    page.reload()
    expect(page.locator(".knob-name").nth(3)).to_have_value("night and day")


def test_keys_work_with_capslock_and_control_y_redoes(page):
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    turned = knobs(page)
    capslock = """(key, shift = false) => document.body.dispatchEvent(new KeyboardEvent("keydown",
        { key, shiftKey: shift, bubbles: true, cancelable: true }))"""
    page.evaluate(f"({capslock})('Z')")  # CapsLock without Shift gives capitals
    assert knobs(page) == [0] * SLIDERS
    page.keyboard.press("Control+y")
    assert knobs(page) == turned
    page.keyboard.press("Control+z")
    assert knobs(page) == [0] * SLIDERS
    page.evaluate(f"({capslock})('z', true)")  # CapsLock with Shift gives small letters
    assert knobs(page) == turned


def test_escape_abandons_a_name_and_enter_in_a_field_acts(page, explorer):
    name = page.locator(".knob-name").nth(4)
    name.fill("a mistake")
    page.keyboard.press("Escape")
    expect(name).to_have_value("")
    expect(name).not_to_be_focused()
    assert 4 not in explorer.names.names
    page.fill("#seed", "12")
    page.press("#seed", "Enter")
    expect(page.locator("#caption")).to_have_text("sample 12")


def test_a_name_reaches_other_windows_of_the_browser(page, context, address):
    other = opened(context, address)
    page.locator(".knob-name").nth(1).fill("weather")
    page.keyboard.press("Enter")
    expect(other.locator(".knob-name").nth(1)).to_have_value("weather")
    page.locator(".knob-name").nth(1).fill("")
    page.keyboard.press("Enter")
    expect(other.locator(".knob-name").nth(1)).to_have_value("")


def test_a_date_is_found_in_another_form(page):
    page.fill("#name", "January 9th, 1990")
    page.press("#name", "Enter")
    expect(page.locator("#caption")).to_have_text("strip 1990-01-09")
    expect(page.locator("#name")).to_have_value("1990-01-09")


def test_a_pasted_picture_is_encoded(page):
    content = base64.b64encode(strip_file(4, "WEBP")).decode()
    page.evaluate(
        """(content) => {
          const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
          const clipboardData = new DataTransfer();
          clipboardData.items.add(new File([bytes], "image.webp", { type: "image/webp" }));
          const paste = new ClipboardEvent("paste", { clipboardData, bubbles: true });
          document.body.dispatchEvent(paste);
        }""",
        content,
    )
    expect(page.locator("#nearest-name")).to_have_text("1990-01-04")


def test_on_the_map_a_dot_leads_to_its_strip_and_a_drag_turns_both_sliders(page, explorer):
    expect(page.locator("#map-note")).to_contain_text("A dot is one of 40 strips")
    page.locator("#map").scroll_into_view_if_needed()
    box = page.locator("#map").bounding_box()
    points = explorer.positions.space.coordinates(explorer.positions.means)[:, :2]
    reach = float(min(5, max(2, np.abs(points).max()))) * 1.05
    # the strip that lies farthest from all others cannot be mistaken
    apart = np.linalg.norm(points[:, None] - points, axis=2) + 9 * np.eye(len(points))
    lonely = int(apart.min(1).argmax())
    x, y = (float(value) / reach for value in points[lonely])
    at = box["x"] + box["width"] / 2 * (1 + x), box["y"] + box["height"] / 2 * (1 - y)
    name = explorer.positions.names[lonely]
    page.mouse.move(*at)
    expect(page.locator("#map-name")).to_have_text(name)
    page.mouse.click(*at)
    expect(page.locator("#caption")).to_have_text(f"strip {name}")
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(
        box["x"] + box["width"] * (1 + 1 / reach) / 2,
        box["y"] + box["height"] * (1 + 2 / reach) / 2,
        steps=4,
    )
    page.mouse.up()
    assert [value(page, 1), value(page, 2)] == pytest.approx([1, -2], abs=0.1)
    page.keyboard.press("z")
    expect(page.locator("#caption")).to_have_text(f"strip {name}")


def test_a_slider_is_played_from_end_to_end_and_can_be_saved(page):
    page.click("#random")
    settle(page)
    others = knobs(page)[1:]
    page.locator(".walk").nth(0).click()
    expect(page.locator("#play")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#gif")).to_be_enabled()
    page.locator(".walk").nth(0).click()
    expect(page.locator("#play")).to_have_attribute("aria-pressed", "false")
    assert knobs(page)[1:] == others
    for end, expected in ((0, -3), (1, 3)):
        page.fill("#mix", str(end))
        assert value(page, 1) == expected
