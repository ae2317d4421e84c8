"""How fast does the explorer's page come, and how fast does its strip follow a drag?

    python benchmarks/explorer.py [--experiment_dir pretrained] [--seconds 8]
    python benchmarks/explorer.py --picture .github/pictures/explorer.png    the README's, instead

Drives the real page in a real Chromium against the real server, in a process of its own, on one
machine. Prints, for a desktop window, a phone-sized one with the processor slowed four times, and
eight pages at once: seconds from opening the page to its first picture, pictures a second in a
drag, and the time from an input event to the picture that shows it (or a newer one). Then what a
pointer over a map of 11,000 strips costs the page, the exported page's size, and the server's
memory before and after a hundred animations and samples. On a machine that does other work too,
look at the processor times.
"""

import argparse
import io
import multiprocessing
import os
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import garfield_vae  # noqa: F401  (before torch: it settles how torch's threads wait)

# isort: split
import numpy as np
import requests
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from garfield_vae.checkpoints import exported_space, is_exported, load_model
from garfield_vae.explorer.export_page import export_page
from garfield_vae.explorer.server import make_server
from garfield_vae.explorer.service import Explorer
from garfield_vae.latent.files import LATENT, read_space
from garfield_vae.latent.samplers import gaussian
from garfield_vae.prior_checkpoints import load_prior, prior_sampler
from garfield_vae.run_folder import find_model_folder
from garfield_vae.util.pictures import save_png

PAGES = 8
STRIPS = 11_000
MADE = 100  # animations and samples between two looks at the server's memory
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
DESKTOP = {"viewport": {"width": 1440, "height": 900}}
INPUTS_PER_SECOND = 60  # as many as a mouse sends
CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]

# One picture is under way at a time, so the next one drawn shows all inputs before its request.
STOPWATCH = """(() => {
  const marks = window.marks = { latencies: [], frames: [] };
  let waiting = [], under_way = [];
  document.addEventListener("input", () => waiting.push(performance.now()), true);
  const ask = window.fetch;
  window.fetch = (path, ...rest) => {
    if (path === "api/picture") { under_way.push(...waiting); waiting = []; }
    return ask(path, ...rest);
  };
  const draw = CanvasRenderingContext2D.prototype.drawImage;
  CanvasRenderingContext2D.prototype.drawImage = function (...rest) {
    draw.apply(this, rest);
    if (this.canvas.id !== "strip") return;
    const now = performance.now();
    marks.frames.push(now);
    marks.latencies.push(...under_way.map((then) => now - then));
    under_way = [];
  };
})()"""
TURN = """([seconds, rate, offset]) => new Promise((done) => {
  const turn = document.querySelectorAll(".turn")[offset];
  const begin = performance.now();
  const timer = setInterval(() => {
    const now = (performance.now() - begin) / 1000;
    turn.value = 3 * Math.sin(2 * now + offset);
    turn.dispatchEvent(new Event("input", { bubbles: true }));
    if (now > seconds) { clearInterval(timer); done(); }
  }, 1000 / rate);
})"""


def serve(experiment_dir: str, folder: str, pipe, library: bool = True) -> None:
    loaded, space, prior, store, means = parts(experiment_dir)
    if not library:
        store = means = None
    kept = Path(folder) / loaded.folder.name  # whose name the page shows
    explorer = Explorer(loaded.model, space, kept, store, means, prior)
    server, address = make_server(explorer, 0)
    pipe.send(address)
    server.run()


def parts(experiment_dir: str) -> tuple:
    """A model with its latent space and its prior, and a library of strips that nobody has drawn,
    where a Gaussian of the space has them."""
    loaded = load_model(find_model_folder(experiment_dir, Path("logs")))
    if is_exported(loaded.folder):
        space = exported_space(loaded)
    else:
        space, _ = read_space(loaded.folder / LATENT, loaded.model.config["z_dim"])
    means = gaussian(space, STRIPS, np.random.default_rng(0)).astype(np.float32)
    height, width = loaded.model.config["panel_height"], loaded.model.config["panel_width"]
    panels = np.broadcast_to(np.uint8(255), (STRIPS, 3, 3, height, width))
    store = SimpleNamespace(names=[f"strip {i}" for i in range(STRIPS)], panels=panels)
    return loaded, space, prior_sampler(load_prior(loaded), space), store, means


def memory(process: int) -> float:
    """Resident memory in MB (Linux)."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def processor_time(process: int) -> float:
    """Seconds of user and system time so far (Linux): on a busy machine better than clocks."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def opened(browser, address: str, device: dict = DESKTOP, slowed: int = 1) -> tuple[Page, float]:
    """The page, and seconds until its first picture."""
    page = browser.new_page(**device, bypass_csp=True)
    page.add_init_script(STOPWATCH)
    if slowed > 1:
        page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": slowed})
    page.goto(address)
    page.wait_for_selector("#figure[aria-busy=false]")
    return page, page.evaluate("marks.frames[0]") / 1000  # performance.now() counts from opening


def map_hover(page: Page) -> tuple[float, float]:
    """Milliseconds of the page's script for one movement over the map: median and the slowest."""
    page.wait_for_function("document.getElementById('map-note').textContent.includes('dot')")
    times = page.evaluate(
        """async () => {
          const map = document.getElementById("map");
          map.scrollIntoView();
          const { left, top, width, height } = map.getBoundingClientRect();
          const times = [];
          for (let i = 0; i < 200; i++) {
            const at = { clientX: left + width * (0.5 + 0.4 * Math.sin(i / 9)),
              clientY: top + height * (0.5 + 0.4 * Math.cos(i / 7)), bubbles: true };
            const begin = performance.now();
            map.dispatchEvent(new PointerEvent("pointermove", at));
            await new Promise((done) => requestAnimationFrame(() => {
              times.push(performance.now() - begin); done();
            }));
          }
          return times;
        }"""
    )
    return float(np.median(times)), float(np.max(times))


def play(address: str, count: int) -> None:
    """Animations and samples, `count` of them, asked for as a page does."""
    session = requests.Session()
    info = session.get(f"{address}api/info").json()
    for seed in range(count):
        asked = {"seed": seed, "temperature": 1}
        other = session.post(f"{address}api/draw", json=asked).json()["state"]
        walk = {"a": info["start"], "b": other, "frames": 6}
        session.post(f"{address}api/walk.gif", json=walk).raise_for_status()


def marks(page: Page) -> tuple[np.ndarray, np.ndarray]:
    """Latencies in ms and times of frames in ms, since the last call."""
    take = "() => { const m = { ...marks }; marks.latencies = []; marks.frames = []; return m; }"
    found = page.evaluate(take)
    return np.array(found["latencies"]), np.array(found["frames"])


def drag(page: Page, seconds: float) -> None:
    box = page.locator(".turn").first.bounding_box()
    middle, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(middle, y)
    page.mouse.down()
    begin = time.perf_counter()
    while (now := time.perf_counter() - begin) < seconds:
        page.mouse.move(middle + 0.4 * box["width"] * np.sin(2 * now), y)
        time.sleep(1 / INPUTS_PER_SECOND)
    page.mouse.up()
    page.wait_for_selector("#figure[aria-busy=false]")


def take_picture(address: str, browser, file: Path) -> None:
    """The page when all of it is there, in 256 colours."""
    page = browser.new_page(**DESKTOP, bypass_csp=True)  # wait_for_function evaluates text
    page.set_default_timeout(300_000)
    page.goto(address)
    page.wait_for_selector("#figure[aria-busy=false]")
    page.wait_for_function("document.getElementById('map-note').textContent.includes('dot')")
    page.wait_for_load_state("networkidle")
    with Image.open(io.BytesIO(page.screenshot())) as picture:
        print(save_png(file, picture.convert("RGB").quantize(256)))


def line(name: str, first: float, latencies: np.ndarray, frames_per_second: float) -> str:
    median, high = np.percentile(latencies, [50, 95])
    figures = f"{frames_per_second:10.1f} {median:10.0f} {high:10.0f} {len(latencies):8}"
    return f"{name:30} {first:12.2f} {figures}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--experiment_dir", default="pretrained")
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--picture", type=Path, help="PNG to write: only this, and no figures")
    flags = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        arguments = (flags.experiment_dir, folder, theirs, flags.picture is None)
        server = multiprocessing.get_context("spawn").Process(target=serve, args=arguments)
        server.start()
        address = ours.recv()
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        if flags.picture:
            take_picture(address, browser, flags.picture)
            browser.close()
            server.terminate()
            return
        print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores before the start")
        columns = f"{'frames/s':>10} {'median ms':>10} {'95 % ms':>10} {'inputs':>8}"
        print(f"{'':28} {'first paint s':>14} {columns}")
        for name, device, slowed in (("desktop", DESKTOP, 1), ("phone, 4 times slower", PHONE, 4)):
            page, first = opened(browser, address, device, slowed)
            drag(page, 1)  # warm
            marks(page)
            spent = processor_time(server.pid)
            drag(page, flags.seconds)
            spent = processor_time(server.pid) - spent
            latencies, frames = marks(page)
            print(line(f"a drag, {name}", first, latencies, len(frames) / flags.seconds))
            print(f"  server's processor time: {1000 * spent / len(frames):.1f} ms a frame")
            median, slowest = map_hover(page)
            print(f"  a move over the map of {STRIPS:,}: {median:.1f} ms, at most {slowest:.1f} ms")
            page.close()

        pages, firsts = zip(*(opened(browser, address) for _ in range(PAGES)), strict=True)
        for number, page in enumerate(pages):
            # without waiting: all are to turn at once
            page.evaluate(
                f"() => {{ window.turning = ({TURN})([{flags.seconds}, 30, {number}]); }}"
            )
        for page in pages:
            page.evaluate("() => window.turning")
        found = [marks(page) for page in pages]
        rates = [len(frames) / flags.seconds for _, frames in found]
        latencies = np.concatenate([latencies for latencies, _ in found])
        print(line(f"{PAGES} pages, each", max(firsts), latencies, float(np.mean(rates))))
        print(f"  slowest page {min(rates):.1f} frames/s")
        browser.close()

        play(address, 5)  # warm
        before = memory(server.pid)
        play(address, MADE)
        print(
            f"server's memory: {before:.0f} MB, {memory(server.pid):.0f} MB after {MADE} animations"
        )
        server.terminate()
        loaded, space, prior, _, _ = parts(flags.experiment_dir)
        file = Path(folder) / "page.html"
        size = export_page(Explorer(loaded.model, space, Path(folder), prior=prior), file)
        print(f"the exported page: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
