"""The page without a server: one file, opened from the disk with no network."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from explorer_browser import chromium, drag, knobs, opened, settle, shown, slider, state, value
from explorer_model import SLIDERS, make_explorer, rendered
from PIL import Image
from playwright.sync_api import expect
from torch import nn

from garfield_vae.explorer.export_page import bundle, export_page, operations_of
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
    loaded = SimpleNamespace(model=explorer.painter.model)
    folder = explorer.names.path.parent
    size = export_page(loaded, explorer.positions.space, folder, file, sliders=SLIDERS)
    assert file.stat().st_size == size
    return file.as_uri()


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser, address):
    context = browser.new_context(viewport={"width": 1280, "height": 860}, offline=True)
    page = opened(context, address)
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
    expect(page.locator("#shelf li")).to_have_count(1)
    page.reload()
    settle(page)
    np.testing.assert_array_equal(shown(page), there)  # the link holds the state here too
    with page.expect_download() as waiting:
        page.click("#png2")
    assert Image.open(waiting.value.path()).size == (2 * there.shape[1], 2 * there.shape[0])
    page.keyboard.press("a")
    page.click("#reset")
    settle(page)
    page.keyboard.press("b")
    page.fill("#mix", "0.5")
    assert value(page, 1) == pytest.approx(drawn[0] / 2, abs=0.02)


@pytest.mark.browser
def test_the_exported_page_shows_names_and_hides_what_needs_strips(page):
    expect(page.locator(".knob-name").nth(1)).to_have_value("day and </script> night")
    for hidden in ("#strip-card", "#nearest-card", "#gif", "#rest-label"):
        expect(page.locator(hidden)).to_be_hidden()


@pytest.mark.browser
def test_draws_of_the_exported_page_have_the_fitted_densitys_spread(page, explorer):
    draws = page.evaluate(
        """async () => {
          const found = [];
          for (let seed = 1; seed <= 300; seed++) {
            document.getElementById("seed").value = seed;
            document.getElementById("draw").click();
            await new Promise((done) => setTimeout(done));
            found.push([...document.querySelectorAll(".turn")].map((turn) => Number(turn.value)));
          }
          return found;
        }"""
    )
    rng = np.random.default_rng(0)
    space = explorer.positions.space
    expected = space.coordinates(space.sample(3000, rng))[:, :SLIDERS]
    np.testing.assert_allclose(np.mean(draws, 0), expected.mean(0), atol=0.25)
    np.testing.assert_allclose(np.std(draws, 0), expected.std(0), rtol=0.25)


@pytest.mark.browser
def test_panels_of_any_size_are_painted(browser, tmp_path):
    """Sizes that halve unevenly, channels that do not fill a register, a kernel per width."""
    explorer = make_explorer(tmp_path, panels=(40, 56), c_hidden=3)
    file = tmp_path / "page.html"
    loaded = SimpleNamespace(model=explorer.painter.model)
    export_page(loaded, explorer.positions.space, tmp_path, file, sliders=SLIDERS)
    context = browser.new_context(offline=True)
    page = opened(context, file.as_uri())
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
    with pytest.raises(UserError, match="hardswish"):
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
