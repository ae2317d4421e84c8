"""The explorer in a real browser, used as a person would: drag, keys, drop, links, a phone."""

import base64
import datetime
import io
import json
import re
import threading

import numpy as np
import pytest
from explorer_browser import (
    AVERAGE,
    blur,
    chromium,
    drag,
    knobs,
    opened,
    settle,
    shown,
    slider,
    state,
    value,
)
from explorer_model import (
    SLIDERS,
    assert_same_picture,
    make_explorer,
    rendered,
    served,
    start_of,
)
from PIL import Image
from playwright.sync_api import expect

from garfield_vae.data.drawn import draw_strip

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def context(browser):
    context = browser.new_context(viewport={"width": 1280, "height": 860}, accept_downloads=True)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    context.set_default_timeout(60_000)
    yield context
    context.close()


@pytest.fixture
def page(context, address):
    """On the average strip, so that positions are easily told."""
    page = opened(context, address, AVERAGE)
    yield page
    assert page.complaints == []


def strip_file(day: int, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    draw_strip(0, datetime.date(1990, 1, day))[0].convert("RGB").save(buffer, kind)
    return buffer.getvalue()


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
    expect(page.locator("#caption")).to_contain_text(", turned")
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


def test_the_focus_can_be_seen(page):
    page.keyboard.press("ArrowDown")
    outline = slider(page, 1).evaluate("e => getComputedStyle(e).outlineStyle")
    assert outline == "solid"


def test_every_control_has_a_name_for_screen_readers(page):
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll("button:not([hidden]), input")].filter((e) =>
             !(e.ariaLabel || e.labels?.length || e.textContent.trim())).map((e) => e.outerHTML)"""
    )
    assert unnamed == []


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


def test_a_phone_shows_everything_without_scrolling_sideways(browser, address):
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True
    )
    page = opened(context, address)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    for selector in ("#random", "#link", "#help-button", "#panels"):
        box = page.locator(selector).bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
    slider(page, SLIDERS).scroll_into_view_if_needed()
    strip = page.locator("#strip").bounding_box()
    assert 0 <= strip["y"] < 844  # it stays in sight
    slider(page, SLIDERS).tap()
    settle(page)
    assert page.complaints == []
    context.close()


def test_dark_mode_has_light_ink_on_dark_paper(browser, address):
    context = browser.new_context(color_scheme="dark")
    page = opened(context, address)
    colours = page.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    ink, paper = (sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in colours)
    assert ink > 600
    assert paper < 150
    context.close()


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


# --- hands and eyes -------------------------------------------------------------------------------


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


@pytest.mark.parametrize("size", [(390, 844), (640, 430), (1280, 860), (2560, 1440)])
def test_what_has_the_focus_is_never_hidden_under_the_strip(browser, address, size):
    """At 390 a phone, at 640 × 430 a window of 1280 × 860 at 200 %."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]})
    page = opened(context, address)
    seen, hidden = (
        set(),
        """() => {
      const e = document.activeElement, box = e.getBoundingClientRect();
      const stage = document.querySelector(".stage"), strip = stage.getBoundingClientRect();
      const over = Math.min(box.right, strip.right) > Math.max(box.left, strip.left);
      const inside = stage.contains(e) || e === document.body;
      const under = over && box.top < strip.bottom && box.bottom > strip.top;
      return [e.outerHTML.slice(0, 120), !inside && (under || box.bottom > innerHeight)];
    }""",
    )
    for key in ["Tab"] * 60 + ["Shift+Tab"] * 60:
        page.keyboard.press(key)
        element, bad = page.evaluate(hidden)
        assert not bad, (key, element)
        seen.add(element)
    assert len(seen) > 20
    context.close()


@pytest.mark.parametrize("width", [390, 1280])
def test_every_target_is_at_least_24_pixels_large(browser, address, width):
    context = browser.new_context(viewport={"width": width, "height": 860})
    page = opened(context, address)
    page.keyboard.press("f")
    small = page.evaluate(
        """() => [...document.querySelectorAll("button, input, .segments span")].filter((e) => {
             const { width, height } = e.getBoundingClientRect();
             const unseen = e.matches(".segments input, .check input"); // their labels are hit
             return width && !unseen && (width < 24 || height < 24);
           }).map((e) => e.outerHTML.slice(0, 90) + e.getBoundingClientRect().height)"""
    )
    assert small == []
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_tracks_borders_and_words_have_contrast(browser, address, scheme):
    """WCAG 2.2: 4.5 to 1 for text, 3 to 1 for what is used."""
    context = browser.new_context(color_scheme=scheme)
    page = opened(context, address)
    colours = page.evaluate(
        """() => Object.fromEntries(["paper", "card", "ink", "soft", "track", "edge", "accent"]
             .map((name) => ["--" + name, getComputedStyle(document.body)])
             .map(([name, style]) => [name.slice(2), style.getPropertyValue(name)]))"""
    )

    def luminance(colour: str) -> float:
        parts = (int(colour.strip()[i : i + 2], 16) / 255 for i in (1, 3, 5))
        linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    def contrast(one: str, other: str) -> float:
        light, dark = sorted((luminance(colours[one]), luminance(colours[other])), reverse=True)
        return (light + 0.05) / (dark + 0.05)

    for ground in ("paper", "card"):
        assert contrast("ink", ground) >= 4.5
        assert contrast("soft", ground) >= 4.5
        for used in ("track", "edge", "accent"):
            assert contrast(used, ground) >= 3, used
    context.close()


@pytest.fixture
def phone(browser, address):
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True
    )
    page = opened(context, address, AVERAGE)
    yield page
    context.close()


def swipe(page, start: tuple[float, float], by: tuple[float, float], steps: int = 8) -> None:
    """A finger's way over the page, as the browser's own input."""
    touch = page.context.new_cdp_session(page)
    x, y = start
    touch.send(
        "Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]}
    )
    for step in range(1, steps + 1):
        point = {"x": x + by[0] * step / steps, "y": y + by[1] * step / steps}
        touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_a_swipe_that_scrolls_the_page_turns_no_slider_and_a_finger_sideways_does(phone):
    box = slider(phone, 2).bounding_box()
    right = box["x"] + 0.9 * box["width"], box["y"] + box["height"] / 2
    before = phone.evaluate("scrollY")
    swipe(phone, right, (0, -200))
    phone.wait_for_function("(before) => scrollY > before + 50", arg=before)
    assert knobs(phone) == [0] * SLIDERS
    slider(phone, 2).evaluate("e => e.scrollIntoView({ block: 'center' })")
    box = slider(phone, 2).bounding_box()
    middle = box["x"] + 0.5 * box["width"], box["y"] + box["height"] / 2
    swipe(phone, middle, (0.25 * box["width"], 0))
    assert value(phone, 2) > 1


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


def test_on_paper_there_is_the_strip_and_nothing_to_click(page):
    page.emulate_media(media="print")
    expect(page.locator("#strip")).to_be_visible()
    assert page.locator("button:visible, input:visible").count() == 0
    page.emulate_media(media="screen")


def test_a_wide_window_is_used(browser, address):
    context = browser.new_context(viewport={"width": 2560, "height": 1440})
    page = opened(context, address)
    main = page.locator("main").bounding_box()
    assert main["width"] > 2400
    context.close()


# --- the last good picture, and a server that is slow ---------------------------------------------


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
                if number == 12 and len(arguments) == 1:  # of 24; ends are asked for by a page
                    reached.set()
                    go_on.wait(60)
                yield strip

        return painted

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(explorer.painter, "strips", wait_in_the_middle())
        with page.expect_download():
            page.click("#gif")
            expect(page.locator("#notice")).to_contain_text("Painting the animation, 50 %")
            go_on.set()
    assert reached.is_set()
    expect(page.locator("#notice")).to_contain_text("The animation is saved")


# --- map, walks -----------------------------------------------------------------------------------


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


# --- what a prior can do --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def with_prior(tmp_path_factory):
    return make_explorer(tmp_path_factory.mktemp("prior"), with_prior=True)


@pytest.fixture(scope="module")
def prior_address(with_prior):
    with served(with_prior) as address:
        yield address


def test_without_a_prior_nothing_offers_to_clear_up_or_to_draw_anew(page):
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


def test_a_panel_is_drawn_anew(context, prior_address):
    page = opened(context, prior_address)
    before = knobs(page)
    page.locator("[data-redraw='2']").click()
    expect(page.locator("#caption")).to_have_text("panel 3 drawn anew")
    after = knobs(page)
    assert after[2] != before[2]
    assert after[:2] == pytest.approx(before[:2], abs=0.01)
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
    expect(page.locator("#caption")).to_have_text("panel 3 drawn anew")
    whole = {**file, "buffer": strip_file(4)}
    page.set_input_files("#file", whole)
    expect(page.locator("#caption")).to_have_text("your own strip")
    expect(page.locator("#finish")).to_be_hidden()
