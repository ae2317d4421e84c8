"""A tiny untrained model with forty drawn strips, and the real server around it, for the tests."""

import datetime
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from garfield_vae.drawn import draw_strip
from garfield_vae.explorer.explorer import Explorer
from garfield_vae.explorer.server import make_server
from garfield_vae.latent import LatentSpace
from garfield_vae.networks import StripVAE
from garfield_vae.panels import cut_panels, to_unit

SLIDERS = 6
STRIPS = 40
FIRST_DAY = datetime.date(1990, 1, 1)


def make_explorer(
    folder: Path, with_strips: bool = True, panels: tuple[int, int] = (48, 56), c_hidden: int = 2
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
    loaded = SimpleNamespace(model=model, folder=folder)
    if not with_strips:
        return Explorer(loaded, space, None, None, folder, SLIDERS)
    return Explorer(loaded, space, store, means.numpy(), folder, SLIDERS)


@contextmanager
def served(explorer: Explorer, port: int = 0, host: str = "127.0.0.1") -> Iterator[str]:
    """The explorer's address, while its real server runs in a thread."""
    server, address = make_server(explorer, host, port)
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
