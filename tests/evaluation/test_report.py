"""The report: complete, self-contained, legible on phones and in dark mode."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest
from evaluated_run import fitted_space, small_run, small_store
from playwright.sync_api import sync_playwright

from garfield_vae.evaluation.evaluate import evaluate_run
from garfield_vae.evaluation.metrics.intervals import Estimate
from garfield_vae.evaluation.report import bits_chart, data_uri, interval, number, training_charts
from garfield_vae.latent.codec import encode
from garfield_vae.util.metrics_table import read_metrics


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """report.html of a small run whose options carry what must be escaped."""
    folder = tmp_path_factory.mktemp("report")
    store = small_store(folder)
    run = small_run(
        folder / "a&b <i>run", run_name="<script>alert(1)</script>", data_dir="/home/me"
    )
    space = fitted_space(run, store)
    means, _ = encode(run.model, store.panels)
    return evaluate_run(run, space, store, means, run.folder / "processed", num_samples=12)


class Page(HTMLParser):
    """Start tags with their attributes, and the headings' text."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.headings, self._heading = [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._heading = tag if tag in ("h1", "h2") else self._heading

    def handle_endtag(self, tag):
        self._heading = None if tag == self._heading else self._heading

    def handle_data(self, data):
        if self._heading:
            self.headings.append(data)


@pytest.fixture(scope="module")
def page(report):
    return Page(report.read_text(encoding="utf-8"))


def test_nothing_is_fetched_from_anywhere(report, page):
    for _, attributes in page.tags:
        for name in ("src", "href", "srcset", "action", "data"):
            assert attributes.get(name, "data:").startswith("data:")
    assert not re.search(r"url\(|@import|https?://", report.read_text(encoding="utf-8"))


def test_every_picture_has_alternative_text_and_a_size(page):
    pictures = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(pictures) > 50
    for picture in pictures:
        assert len(picture["alt"]) > 10
        assert picture["src"].startswith(("data:image/webp;base64,", "data:image/svg+xml;base64,"))
        assert picture["width"].isdigit()
    assert sum("svg+xml" in picture["src"] for picture in pictures) == 4


def test_all_sections_are_there_in_order(page):
    assert page.headings == [
        "How well this network reconstructs comic strips and draws new ones",
        "In short",
        "Reconstructions",
        "Samples",
        "Copies of training strips",
        "Latent traversals",
        "Interpolation",
        "Training",
        "Figures",
        "Known factors",
        "Options",
    ]


def test_every_table_of_sets_begins_with_what_perfect_samples_would_score(report):
    text = report.read_text(encoding="utf-8")
    for name, first in (
        ("Sets of samples against test strips", "real strips"),
        ("Sets of samples against reconstructions of test strips", "reconstructions"),
    ):
        table = text.split(f'aria-label="{name}"')[1].split("</table>")[0]
        heads = re.findall(r'<th scope="col">([^<]+)</th>', table)
        assert heads[0] == first
        assert heads[-2:] == ["kernel", "normal"]
        for row in ("KID", "recall", "precision", "density", "coverage", "48 rows", "wrong order"):
            assert row in table


def test_names_and_options_are_escaped(report):
    text = report.read_text(encoding="utf-8")
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "<i>run" not in text


def test_the_page_has_no_paths_of_the_machine(report):
    text = report.read_text(encoding="utf-8")
    assert "/home/me" not in text
    assert str(report.parent.parent.parent) not in text


def test_numbers_have_three_digits_and_a_minus_sign():
    assert [number(x) for x in (0.21349, 12345.6, -3.14159, 2.5e-6, 0.0)] == [
        "0.213",
        "12,346",
        "−3.14",
        "2.5·10⁻⁶",
        "0",
    ]
    assert number(float("nan")) == "–"
    assert interval(Estimate(1.0, 0.5, 1.5)) == "0.5 … 1.5"
    assert interval(Estimate(1.0)) == ""


def test_a_picture_is_the_joined_strip():
    uri = data_uri(np.full((3, 3, 16, 16), 200, np.uint8))
    assert uri.startswith("data:image/webp;base64,UklGR")  # "RIFF"


def test_curves_are_made_of_the_cells_that_metrics_have(tmp_path):
    run = small_run(tmp_path / "run")
    charts = training_charts(read_metrics(run.folder))
    assert [title.split(" (")[0].split(",")[0] for _, title, _ in charts] == ["distortion", "rate"]
    assert charts[0][1].endswith("training: 0.5 to 0.2; validation: 0.6 to 0.4")
    assert training_charts([]) == []


def test_without_any_rate_there_is_no_chart_of_bits():
    assert bits_chart(np.zeros(5)) is None
    assert bits_chart(np.array([3.0, 1.0])).startswith("data:image/svg+xml")


# ---- in a browser -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield browser
        browser.close()


@pytest.mark.browser
@pytest.mark.parametrize(
    ("width", "scheme", "media"),
    [(1280, "light", "screen"), (390, "dark", "screen"), (794, "light", "print")],
)
def test_the_page_opens_without_errors_requests_or_sideways_scrolling(
    chromium, report, width, scheme, media
):
    page = chromium.new_page(viewport={"width": width, "height": 844}, color_scheme=scheme)
    faults, requests = [], []
    page.on("console", lambda message: faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.emulate_media(media=media)
    page.goto(report.as_uri())
    assert faults == []
    assert [url for url in requests if not url.startswith("data:")] == [page.url]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    page.close()


@pytest.mark.browser
def test_dark_mode_is_dark_and_text_stands_out_in_both(chromium, report):
    for scheme, dark in (("light", False), ("dark", True)):
        page = chromium.new_page(color_scheme=scheme)
        page.goto(report.as_uri())
        for selector in ("body", ".reading", ".sentences li", ".tiles strong", "td small"):
            text, ground = page.evaluate(
                """selector => {
                    let element = document.querySelector(selector);
                    const rgb = value => value.match(/[0-9.]+/g).map(Number);
                    const text = rgb(getComputedStyle(element).color);
                    for (; element; element = element.parentElement) {
                        const ground = rgb(getComputedStyle(element).backgroundColor);
                        if (ground.length < 4 || ground[3] > 0) return [text, ground];
                    }
                }""",
                selector,
            )
            assert contrast(text, ground) >= 4.5 or selector == ".tiles strong"
            assert contrast(text, ground) >= 3  # large text
            assert (luminance(ground) < 0.1) == dark
        page.close()


def luminance(colour) -> float:
    """WCAG 2 relative luminance of an sRGB colour."""
    linear = [
        c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4
        for c in (channel / 255 for channel in colour[:3])
    ]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def contrast(a, b) -> float:
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
