"""How fast does the explorer's strip follow a drag?

    python benchmarks/explorer.py [--experiment_dir logs/RUN] [--seconds 8]

Drives the real page in a real Chromium against the real server, in a process of its own, on one
machine. Prints frames a second and the time from an input event to the picture that shows it (or
a newer one): a drag with the mouse in one page, then eight visible pages turned at once. Most of
the latter is the browser's work: on two cores without a GPU, the server is busy a tenth of the
time. Without --experiment_dir the model is the default network, untrained: it costs the same.
"""

import argparse
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
import torch
from playwright.sync_api import Page, sync_playwright

from garfield_vae.explorer.server import make_server
from garfield_vae.explorer.service import Explorer
from garfield_vae.latent.space import LatentSpace
from garfield_vae.model.networks import StripVAE

PAGES = 8
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


def serve(experiment_dir: str | None, folder: str, pipe) -> None:
    if experiment_dir:
        from garfield_vae.checkpoints import load_run

        model = load_run(Path(experiment_dir)).model
    else:
        torch.manual_seed(0)
        model = StripVAE().eval()
    z = model.config["z_dim"]
    means = np.random.default_rng(0).standard_normal((200, z)).astype(np.float32)
    space = LatentSpace.fit(means)
    loaded = SimpleNamespace(model=model)
    explorer = Explorer(loaded, space, None, None, Path(folder))
    server, address = make_server(explorer, "127.0.0.1", 0)
    pipe.send(address)
    server.run()


def memory(process: int) -> float:
    """Resident memory in MB (Linux)."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def processor_time(process: int) -> float:
    """Seconds of user and system time so far (Linux): on a busy machine better than clocks."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def opened(browser, address: str) -> Page:
    page = browser.new_page(viewport={"width": 1280, "height": 860})
    page.add_init_script(STOPWATCH)
    page.goto(address)
    page.wait_for_selector("#figure[aria-busy=false]")
    return page


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


def line(name: str, latencies: np.ndarray, frames_per_second: float) -> str:
    median, high = np.percentile(latencies, [50, 95])
    return f"{name:28} {frames_per_second:10.1f} {median:12.0f} {high:12.0f} {len(latencies):8}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--experiment_dir")
    parser.add_argument("--seconds", type=float, default=8)
    flags = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        arguments = (flags.experiment_dir, folder, theirs)
        server = multiprocessing.get_context("spawn").Process(target=serve, args=arguments)
        server.start()
        address = ours.recv()
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores before the start")
        print(f"{'':28} {'frames/s':>10} {'median ms':>12} {'95 % ms':>12} {'inputs':>8}")
        page = opened(browser, address)
        drag(page, 1)  # warm
        marks(page)
        spent = processor_time(server.pid)
        drag(page, flags.seconds)
        spent = processor_time(server.pid) - spent
        latencies, frames = marks(page)
        print(line("a drag in one page", latencies, len(frames) / flags.seconds))
        print(f"server's processor time: {1000 * spent / len(frames):.1f} ms a frame")
        page.close()

        pages = [opened(browser, address) for _ in range(PAGES)]
        before = memory(server.pid)
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
        print(line(f"{PAGES} pages, each", latencies, float(np.mean(rates))))
        after = memory(server.pid)
        print(f"slowest page {min(rates):.1f} frames/s; server {before:.0f} MB → {after:.0f} MB")
        browser.close()
        server.terminate()


if __name__ == "__main__":
    main()
