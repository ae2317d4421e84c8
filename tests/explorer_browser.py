"""A real Chromium for the explorer's tests, and helpers that use and read the page in it."""

import base64
import datetime
import io
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from explorer_model import SLIDERS
from playwright.sync_api import Browser, Page, expect, sync_playwright

from garfield_vae.data.drawn import draw_strip

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
AVERAGE = "#v=1"  # the link to the average strip, with all sliders at 0
PIXELS = """() => {
  const canvas = document.getElementById("strip");
  const copy = document.createElement("canvas");
  const { width, height } = Object.assign(copy, { width: canvas.width, height: canvas.height });
  const context = copy.getContext("2d", { willReadFrequently: true });
  context.drawImage(canvas, 0, 0);
  let text = "";
  for (const value of context.getImageData(0, 0, width, height).data) {
    text += String.fromCharCode(value);
  }
  return [width, height, btoa(text)];
}"""


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


def opened(context, address: str, fragment: str = "") -> Page:
    """The page with its first picture painted; what its console says is kept in `complaints`,
    with every request to anywhere else."""
    page = context.new_page()
    page.complaints = []
    page.on("console", lambda message: page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on(
        "request",
        lambda request: (
            request.url.startswith((address, "blob:", "data:"))
            or page.complaints.append(request.url)
        ),
    )
    page.goto(address + fragment)
    settle(page)
    return page


def settle(page: Page) -> None:
    expect(page.locator("#figure")).to_have_attribute("aria-busy", "false", timeout=60_000)


def shown(page: Page) -> np.ndarray:
    """The strip on the canvas, uint8 [h, w, 3]."""
    settle(page)
    width, height, text = page.evaluate(PIXELS)
    pixels = np.frombuffer(base64.b64decode(text), np.uint8)
    return pixels.reshape(height, width, 4)[..., :3]


def slider(page: Page, number: int):
    return page.locator(".turn").nth(number - 1)


def value(page: Page, number: int) -> float:
    return float(slider(page, number).input_value())


def knobs(page: Page) -> list[float]:
    return [value(page, number) for number in range(1, SLIDERS + 1)]


def state(knobs: list[float] | None = None, **changes) -> dict:
    return {"knobs": knobs or [0.0] * SLIDERS, "panels": None, "base": [], "held": [], **changes}


def drag(page: Page, number: int, to: float) -> None:
    """Pulls a slider with the mouse from where it stands to `to` standard deviations."""
    slider(page, number).scroll_into_view_if_needed()
    box = slider(page, number).bounding_box()
    thumb = 18.4  # pixels: the ends of the range are half a thumb inside the box

    def x(position: float) -> float:
        return box["x"] + thumb / 2 + (box["width"] - thumb) * (position + 4) / 8

    y = box["y"] + box["height"] / 2
    page.mouse.move(x(value(page, number)), y)
    page.mouse.down()
    page.mouse.move(x(to), y, steps=8)
    page.mouse.up()


def blur(page: Page) -> None:
    page.locator("h1").click()


def strip_file(day: int, kind: str = "PNG") -> bytes:
    """A drawn strip of January 1990 as the bytes of a picture file."""
    buffer = io.BytesIO()
    draw_strip(0, datetime.date(1990, 1, day))[0].convert("RGB").save(buffer, kind)
    return buffer.getvalue()
