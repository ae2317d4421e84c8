"""Latents become pictures, for many pages at once, on one thread that owns the network.

One thread, because the network uses several cores by itself, for which two strips at once would
compete. It leaves half of the cores to the browser, which needs them at the same time. Strips of
several pages are not painted as one batch: on a CPU that saves nothing.

Work is taken in the order in which it came; a long piece of work (an animation, the ends of all
sliders) is handed in by a few strips at a time, so that a page that drags in the meantime is
served between.
"""

import functools
import io
import itertools
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor

import numpy as np
import torch
from PIL import Image

from garfield_vae.data.panels import join_panels
from garfield_vae.geometry import PANELS
from garfield_vae.latent.codec import decode, encode_fitted
from garfield_vae.model.networks import StripVAE

STRIPS_AT_ONCE = 2
PAGES_REMEMBERED = 256


class Superseded(Exception):
    """The page that asked has asked for something newer since."""


class Ended(Exception):
    """The explorer has ended, and what was asked of it will not be painted."""


class Painter:
    """Owns a StripVAE in eval mode."""

    def __init__(self, model: StripVAE):
        self.model = model.eval()
        self._thread = ThreadPoolExecutor(1, "painter", initializer=use_half_of_the_cores)
        self._newest: OrderedDict[str, int] = OrderedDict()  # page → its newest turn
        self._lock = threading.Lock()
        self._closed = False

    def close(self) -> None:
        self._closed = True
        self._thread.shutdown(cancel_futures=True)

    def run(self, work: Callable, *arguments, page: str = "", turn: int = 0):
        """What `work(*arguments)` gives, computed on the thread that owns the network.

        Raises Ended once it was closed, and Superseded when `page` asks with a higher `turn` before
        this one's turn has come.
        """
        if page:
            with self._lock:
                self._newest[page] = max(turn, self._newest.get(page, turn))
                self._newest.move_to_end(page)
                while len(self._newest) > PAGES_REMEMBERED:
                    self._newest.popitem(last=False)

        def in_turn():
            if page and self._newest.get(page, turn) > turn:
                raise Superseded
            return work(*arguments)

        try:
            return self._thread.submit(in_turn).result()
        except (CancelledError, RuntimeError):
            if self._closed:
                raise Ended from None
            raise

    def strip(self, latents: np.ndarray, page: str = "", turn: int = 0) -> np.ndarray:
        """[3, z], the latent of each panel → a strip image, uint8 [h, w, 3]; Superseded as in
        `run`."""
        return next(self.strips([latents], page, turn))

    def strips(
        self, latents: Iterable[np.ndarray], page: str = "", turn: int = 0
    ) -> Iterator[np.ndarray]:
        """N times [3, z] → N strip images, a few at a time; Superseded as in `run`."""
        latents = iter(latents)
        while some := list(itertools.islice(latents, STRIPS_AT_ONCE)):
            yield from self.run(paint_strips, self.model, np.stack(some), page=page, turn=turn)

    def fitted(self, panels: np.ndarray, steps: int, known: np.ndarray) -> np.ndarray:
        """A strip's panels, uint8 [3, 3, H, W] → its latents [z], fitted in `steps` steps to those
        of its panels that are `known` [3]."""
        return self.run(encode_fitted, self.model, panels[None], steps, known[None])[0]


class OnPaintersThread:
    """An object whose methods run on a painter's thread, since they compete for the same cores.
    They take a `page` and a `turn` too, as `Painter.run` does."""

    def __init__(self, painter: Painter, owned: object):
        self._painter, self._owned = painter, owned

    def __getattr__(self, name: str) -> Callable:
        return functools.partial(self._painter.run, getattr(self._owned, name))


def paint_strips(model: StripVAE, latents: np.ndarray) -> np.ndarray:
    """[N, 3, z], a latent a panel → strip images, uint8 [N, h, w, 3].

    The decoder paints whole strips. Panels that have a latent of their own are cut from strips
    painted apart; as a rule all three have the same, and one strip is enough.
    """
    whole, which = np.unique(latents.reshape(-1, latents.shape[-1]), axis=0, return_inverse=True)
    painted = decode(model, whole)  # [M, 3, 3, H, W]
    panel = np.tile(np.arange(PANELS), len(latents))
    panels = painted[which.reshape(-1), panel]  # [N·3, 3, H, W]
    return join_panels(panels.reshape(-1, PANELS, *panels.shape[1:]))


def use_half_of_the_cores() -> None:
    torch.set_num_threads(max(1, torch.get_num_threads() // 2))


def enlarged(pixels: np.ndarray, scale: int) -> Image.Image:
    """uint8 [h, w, 3] → a picture `scale` times as large."""
    image = Image.fromarray(pixels)
    if scale == 1:
        return image
    size = image.width * scale, image.height * scale
    return image.resize(size, Image.Resampling.LANCZOS)


def bmp_bytes(pixels: np.ndarray) -> bytes:
    """uint8 [h, w, 3] → a BMP: lossless as a PNG and much faster to write. That it is three
    times as large does not matter between two programs on one machine."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "BMP")
    return buffer.getvalue()
