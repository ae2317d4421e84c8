"""A browser, and the explorer's page in it."""

import pytest
from explorer_browser import AVERAGE, chromium, opened


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
