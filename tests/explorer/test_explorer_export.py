"""The page without a server: one file, opened from the disk with no network."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from explorer_browser import (
    AVERAGE,
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
from explorer_model import SLIDERS, make_explorer, rendered, start_of
from PIL import Image
from playwright.sync_api import expect
from torch import nn

from garfield_vae.explorer.export_page import bundle, export_page, operations_of
from garfield_vae.explorer.states import as_json
from garfield_vae.model.networks import StripVAE
from garfield_vae.util.errors import UserError


@pytest.fixture(scope="module")
def explorer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    explorer = make_explorer(folder)
    explorer.names.rename(1, "day and </script> night")
    yield explorer
    explorer.painter.close()


@pytest.fixture(scope="module")
def address(explorer, tmp_path_factory):
    file = tmp_path_factory.mktemp("page") / "sliders.html"
    assert export_page(explorer, file) == file.stat().st_size
    return file.as_uri()


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser, address):
    context = browser.new_context(viewport={"width": 1280, "height": 860}, offline=True)
    page = opened(context, address, AVERAGE)
    yield page
    assert page.complaints == []
    context.close()


def assert_close(one: np.ndarray, other: np.ndarray) -> None:
    """The same but for weights of 16 bits: no pixel off by more than 3 grey levels of 255."""
    assert one.shape == other.shape
    assert np.abs(one.astype(int) - other).max() <= 3


@pytest.mark.browser
def test_the_exported_page_paints_what_the_library_renders(page, explorer):
    assert_close(shown(page), rendered(explorer, state()))
    drag(page, 1, 3)
    drag(page, 2, -2)
    assert_close(shown(page), rendered(explorer, state(knobs(page))))


@pytest.mark.browser
def test_the_exported_page_moves_a_panel_alone(page, explorer):
    page.locator("#panels label").nth(3).click()
    page.locator(".high").nth(0).click()
    alone = [[0.0] * SLIDERS, [0.0] * SLIDERS, [3.0] + [0.0] * (SLIDERS - 1)]
    assert_close(shown(page), rendered(explorer, state(panels=alone)))


@pytest.mark.browser
def test_the_exported_page_draws_undoes_keeps_and_saves(page):
    page.keyboard.press("r")
    expect(slider(page, 1)).not_to_have_value("0")
    drawn, there = knobs(page), shown(page)
    page.fill("#seed", page.input_value("#seed"))
    page.click("#reset")
    page.click("#draw")
    expect(slider(page, 1)).not_to_have_value("0")
    assert knobs(page) == drawn  # the seed decides
    page.keyboard.press("f")
    expect(page.locator("#favourites li")).to_have_count(1)
    page.reload()
    settle(page)
    np.testing.assert_array_equal(shown(page), there)  # the link holds the state here too
    with page.expect_download() as waiting:
        page.click("#png2")
    assert Image.open(waiting.value.path()).size == (2 * there.shape[1], 2 * there.shape[0])
    page.keyboard.press("a")
    page.click("#average")
    settle(page)
    page.keyboard.press("b")
    page.fill("#mix", "0.5")
    assert value(page, 1) == pytest.approx(drawn[0] / 2, abs=0.02)


@pytest.mark.browser
def test_the_exported_page_shows_names_and_hides_what_needs_strips(page, explorer):
    expect(page.locator(".knob-name").nth(1)).to_have_value("day and </script> night")
    suggested = explorer.suggest_names()[0]
    expect(page.locator(".knob-name").nth(0)).to_have_attribute("placeholder", suggested)
    for hidden in ("#strip-card", "#nearest-card", "#gif", "#refine", "#redraw"):
        expect(page.locator(hidden)).to_be_hidden()


@pytest.mark.browser
@pytest.mark.parametrize("temperature", [1.0, 1.5])
def test_new_strips_of_the_exported_page_are_those_that_the_server_draws(
    page, explorer, temperature
):
    """All dimensions of the latent, not the sliders' alone: what lies beneath them comes along."""
    page.fill("#temperature", str(temperature))
    page.fill("#seed", "7")
    page.click("#draw")
    expect(page.locator("#caption")).to_contain_text("sample 7")
    drawn = as_json(explorer.positions.of_draw(7, temperature))
    there = shown(page)
    assert np.abs(there.astype(int) - rendered(explorer, drawn)).max() <= 6  # of 8-bit latents
    flat = rendered(explorer, {**drawn, "base": []})
    assert np.abs(there.astype(int) - flat).max() > 20


@pytest.mark.browser
def test_the_exported_page_opens_on_the_strip_that_the_server_opens_on(browser, address, explorer):
    context = browser.new_context(offline=True)
    page = opened(context, address)
    expected = rendered(explorer, start_of(explorer))
    assert np.abs(shown(page).astype(int) - expected).max() <= 6
    context.close()


@pytest.mark.browser
def test_a_link_to_a_real_strip_opens_in_the_exported_page(browser, address, explorer):
    positions = explorer.positions
    real = positions.of_strip("1990-01-09")
    ((weight, source),) = positions.portable(real).base
    knobs_text = ",".join(f"{value:g}" for value in real.knobs)
    link = f"#v=1&m={positions.fingerprint}&k={knobs_text}&from={weight:g}*{source}"
    context = browser.new_context(offline=True)
    page = opened(context, address, link.replace(" ", "%20"))
    expect(page.locator("#caption")).to_have_text("strip 1990-01-09")
    assert_close(shown(page), rendered(explorer, as_json(real)))
    context.close()


@pytest.mark.browser
@pytest.mark.parametrize("source", ["strip:1990-01-09", "seed:5000:1", "given:AAAA"])
def test_a_link_that_the_exported_page_cannot_paint_leaves_the_strip_and_says_why(
    page, explorer, source
):
    before = shown(page)
    page.evaluate("(source) => { location.hash = `v=1&k=1&from=1*${source}`; }", source)
    expect(page.locator("#notice")).to_have_class("bad")
    np.testing.assert_array_equal(shown(page), before)
    assert knobs(page) == [0] * SLIDERS
    page.locator("#notice button").click()
    expect(page.locator("#notice span")).to_be_empty()


@pytest.mark.browser
def test_without_webassembly_or_offscreen_canvases_the_page_is_only_slower(
    browser, address, explorer, tmp_path
):
    content = Path(address.removeprefix("file://")).read_text()
    worker = '<script type="text/plain" id="decoder">'
    assert worker in content
    old = tmp_path / "page.html"
    old.write_text(content.replace(worker, f"{worker}\nself.WebAssembly = undefined;\n"))
    context = browser.new_context(offline=True)
    context.add_init_script(
        "delete window.OffscreenCanvas; delete Array.prototype.with; delete window.WebAssembly;"
    )
    page = opened(context, old.as_uri(), AVERAGE)
    page.locator(".high").nth(0).click()
    turned = state([3.0] + [0.0] * (SLIDERS - 1))
    assert_close(shown(page), rendered(explorer, turned))
    assert page.complaints == []
    context.close()


@pytest.mark.browser
def test_a_browser_that_cannot_read_the_scripts_says_so_in_a_sentence(browser, address, tmp_path):
    """Such a browser stumbles over the page's module while it is parsed."""
    content = Path(address.removeprefix("file://")).read_text()
    broken = content.replace("const modules = {};", "const modules = {} }};")
    broken = re.sub(r'http-equiv="Content-Security-Policy" content="[^"]*"', "", broken)
    (tmp_path / "page.html").write_text(broken)
    page = browser.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    expect(page.locator("#caption")).to_contain_text("needs a newer browser")
    page.close()


@pytest.mark.browser
def test_panels_of_any_size_are_painted(browser, tmp_path):
    """Sizes that halve unevenly, channels that do not fill a register, a kernel per width."""
    explorer = make_explorer(tmp_path, panels=(40, 56), c_hidden=3)
    file = tmp_path / "page.html"
    export_page(explorer, file)
    context = browser.new_context(offline=True)
    page = opened(context, file.as_uri(), AVERAGE)
    page.locator(".low").nth(0).click()
    assert_close(shown(page), rendered(explorer, state([-3.0] + [0.0] * (SLIDERS - 1))))
    context.close()


def small_model() -> StripVAE:
    return StripVAE(z_dim=8, c_hidden=2, num_blocks=1, panel_height=32, panel_width=40)


def test_the_operations_end_in_three_colours_of_a_panel():
    operations, weights = operations_of(small_model())
    assert operations[0]["inputs"] == [-1]
    assert operations[-1]["shape"] == [3, 32, 40]
    assert weights.dtype == np.float32


def test_a_network_that_does_something_else_is_refused_by_name():
    model = small_model()
    model.decoder.widen = nn.Sequential(model.decoder.widen, nn.Hardswish())
    with pytest.raises(UserError, match="Hardswish"):
        operations_of(model)


def test_a_model_can_be_trained_after_its_page_was_made():
    model = small_model()
    operations_of(model)
    model.decode(torch.zeros(1, 8)).sum().backward()
    assert model.decoder.paint.weight.grad is not None


def test_modules_become_one_script_in_which_names_do_not_collide():
    script = bundle(
        {
            "a.js": "const own = 1;\nexport const one = own;",
            "b.js": 'import { one } from "./a.js";\nconst own = 2;\nexport function two() {}',
        }
    )
    assert 'const { one } = modules["a.js"];' in script
    assert "return { one };" in script
    assert "import" not in script
    assert "export" not in script
