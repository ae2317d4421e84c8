"""A tiny untrained model with forty drawn strips, the real server around it, and how to ask it."""

import datetime
import http.client
import io
import json
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from PIL import Image

from garfield_vae.data.drawn import draw_strip
from garfield_vae.data.panels import cut_panels, join_panels, to_uint8, to_unit
from garfield_vae.explorer.server import listen, make_server
from garfield_vae.explorer.service import Explorer
from garfield_vae.explorer.states import as_json
from garfield_vae.latent import samplers
from garfield_vae.latent.space import LatentSpace
from garfield_vae.model.networks import StripVAE

SLIDERS = 6
STRIPS = 40
FIRST_DAY = datetime.date(1990, 1, 1)

MEAN = {"knobs": [0.0] * SLIDERS, "panels": None, "base": []}
TURNED = {"knobs": [3.0] + [0.0] * (SLIDERS - 1), "panels": None, "base": []}


def make_explorer(
    folder: Path,
    with_strips: bool = True,
    panels: tuple[int, int] = (48, 56),
    c_hidden: int = 2,
    with_prior: bool = False,
) -> Explorer:
    torch.manual_seed(0)
    height, width = panels
    model = StripVAE(24, c_hidden, num_blocks=1, panel_height=height, panel_width=width).eval()
    # As it is built, the network hardly answers to its latents: make its strips differ visibly.
    with torch.no_grad():
        model.decoder.paint.weight.mul_(6)
    days = [FIRST_DAY + datetime.timedelta(days=day) for day in range(STRIPS)]
    strips = (draw_strip(0, day)[0].convert("RGB") for day in days)
    panels = np.stack([cut_panels(strip, height, width) for strip in strips])
    with torch.no_grad():
        means, _ = model.encode(to_unit(torch.from_numpy(panels)))
    space = LatentSpace.fit(means.numpy())
    store = SimpleNamespace(panels=panels, names=[day.isoformat() for day in days])
    prior = SmallPrior(space) if with_prior else None
    strips = (store, means.numpy()) if with_strips else (None, None)
    # Not fitted: this network was not trained, so that its latents would end anywhere.
    return Explorer(model, space, folder, *strips, prior, SLIDERS, fit_steps=0)


class SmallPrior:
    """One Gaussian, with the interface of a learned prior. What is likelier lies nearer to the
    mean; a redrawn panel moves the component of the panel's number."""

    def __init__(self, space: LatentSpace):
        self.space = space

    def sample(self, n: int, seed: int) -> np.ndarray:
        return samplers.gaussian(self.space, n, np.random.default_rng(seed))

    def of_seeds(self, seeds) -> np.ndarray:
        return np.concatenate([self.sample(1, seed) for seed in seeds])

    def refine(self, latents: np.ndarray, held, steps=None) -> np.ndarray:
        coordinates = self.space.coordinates(latents)
        likelier = coordinates / 2
        likelier[:, list(held)] = coordinates[:, list(held)]
        return self.space.latents(likelier).astype(np.float32)

    def complete(self, latent: np.ndarray, panels, seed: int) -> np.ndarray:
        coordinates = self.space.coordinates(latent[None])
        new = np.random.default_rng(seed).standard_normal(coordinates.shape)
        coordinates[:, list(panels)] = new[:, list(panels)]
        return self.space.latents(coordinates)[0].astype(np.float32)

    def morph(self, start: np.ndarray, end: np.ndarray):
        ends = self.space.coordinates(np.stack([start, end]))

        def at(shares: np.ndarray) -> np.ndarray:  # noise is the coordinates; a quarter of a circle
            angle = np.pi / 2 * np.array(shares)[:, None]
            latents = self.space.latents(np.cos(angle) * ends[0] + np.sin(angle) * ends[1])
            return latents.astype(np.float32)

        return at


@contextmanager
def served(explorer: Explorer, port: int = 0) -> Iterator[str]:
    """The explorer's address, while its real server runs in a thread."""
    server, address = make_server(explorer, listen(port))
    stopping = threading.Event()

    def serve() -> None:  # what server.run does, but can be ended without a signal
        while not stopping.is_set():
            server.asyncore.loop(timeout=0.1, map=server._map, count=1)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield address
    finally:
        stopping.set()
        thread.join()
        server.task_dispatcher.shutdown()
        server.asyncore.close_all(server._map)
        explorer.painter.close()


def ask(address, method, path, body=None, headers=None):
    """Status, headers and body of one request."""
    place = urllib.parse.urlsplit(address)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=60)
    headers = dict(headers or {})
    if isinstance(body, dict | list):
        body = json.dumps(body).encode()
        headers.setdefault("Content-Type", "application/json")
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, answer.headers, content


def picture(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def start_of(explorer) -> dict:
    """The state of the strip that the page opens on."""
    return as_json(explorer.start())


def rendered(explorer, state: dict) -> np.ndarray:
    """What the library makes of a state, without the explorer's painter."""
    latents = torch.from_numpy(explorer.positions.latents(explorer.positions.parse(state)))
    with torch.no_grad():
        decoded = explorer.painter.model.decode(latents)
    panels = to_uint8(torch.stack([decoded[panel, panel] for panel in range(3)]))
    return join_panels(panels.numpy())


def assert_same_picture(one: np.ndarray, other: np.ndarray) -> None:
    """The same up to one grey level, which the order of a sum in another batch can move."""
    assert one.shape == other.shape
    assert np.abs(one.astype(int) - other).max() <= 1
