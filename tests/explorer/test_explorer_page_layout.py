"""How the explorer's page looks: phones, wide screens, paper, dark mode, focus, contrast."""

import re

import pytest
from explorer_browser import AVERAGE, knobs, opened, settle, slider, value
from explorer_model import SLIDERS
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


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


@pytest.mark.parametrize("size", [(390, 844), (640, 430), (1280, 860), (2560, 1440)])
def test_what_has_the_focus_is_never_hidden_under_the_strip(browser, address, size):
    """At 390 a phone, at 640 × 430 a window of 1280 × 860 at 200 %."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]})
    page = opened(context, address)
    expect(page.locator("#nearest-name")).not_to_have_text("")  # the last that comes by itself
    seen, hidden = (
        set(),
        """async () => {
      for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
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
        """() => Object.fromEntries(["paper", "card", "ink", "soft", "edge", "accent"]
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
        for used in ("edge", "accent"):
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


STILL = """() => new Promise((done) => {
  let [last, still] = [scrollY, 0];
  const look = () => {
    still = scrollY === last ? still + 1 : 0;
    last = scrollY;
    if (still > 15) done(); else requestAnimationFrame(look);
  };
  look();
})"""


def test_a_swipe_that_scrolls_the_page_turns_no_slider_and_a_finger_sideways_does(phone):
    box = slider(phone, 2).bounding_box()
    right = box["x"] + 0.9 * box["width"], box["y"] + box["height"] / 2
    before = phone.evaluate("scrollY")
    swipe(phone, right, (0, -200))
    phone.wait_for_function("(before) => scrollY > before + 50", arg=before)
    assert knobs(phone) == [0] * SLIDERS
    phone.evaluate(STILL)  # a finger on a page that still glides would only stop it
    slider(phone, 2).evaluate("e => e.scrollIntoView({ block: 'center' })")
    phone.evaluate(STILL)
    box = slider(phone, 2).bounding_box()
    middle = box["x"] + 0.5 * box["width"], box["y"] + box["height"] / 2
    swipe(phone, middle, (0.25 * box["width"], 0))
    expect(slider(phone, 2)).not_to_have_value("0")
    assert value(phone, 2) > 1


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
