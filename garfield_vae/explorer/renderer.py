"""Latents become pictures, for many pages at once, on one thread that owns the network.

One thread, because the network uses several cores by itself: two at a time would only get in each
other's way. It leaves half of the cores to the browser, which needs them at the same moment: on two
busy cores a strip on both took thirty times as long as on one, waiting for the other half. Strips
of several pages are not painted as one batch: on a CPU that saves nothing.

Work is taken in the order in which it came; a long piece of work (an animation) is handed in by a
few strips at a time, so that a page that drags in the meantime is served between.
"""

import io
import threading
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from PIL import Image

from garfield_vae.data.panels import join_panels, to_uint8, to_unit
from garfield_vae.model.networks import StripVAE

STRIPS_AT_ONCE = 4
PAGES_REMEMBERED = 256
COLOURS = 256


class Superseded(Exception):
    """The page that asked has asked for something newer since."""


class Painter:
    """Owns a StripVAE in eval mode."""

    def __init__(self, model: StripVAE):
        self.model = model.eval()
        self.device = next(model.parameters()).device
        self._thread = ThreadPoolExecutor(1, "painter", initializer=use_half_of_the_cores)
        self._newest: OrderedDict[str, int] = OrderedDict()  # page → its newest turn
        self._lock = threading.Lock()

    def close(self) -> None:
        self._thread.shutdown(cancel_futures=True)

    def strip(self, latents: np.ndarray, page: str = "", turn: int = 0) -> np.ndarray:
        """[3, z], the latent of each panel → a strip image, uint8 [h, w, 3].

        Raises Superseded when `page` asks with a higher `turn` before this one's turn has come.
        """
        if page:
            with self._lock:
                self._newest[page] = max(turn, self._newest.get(page, turn))
                self._newest.move_to_end(page)
                while len(self._newest) > PAGES_REMEMBERED:
                    self._newest.popitem(last=False)

        def paint() -> np.ndarray:
            if page and self._newest.get(page, turn) > turn:
                raise Superseded
            return self._paint(latents[None])[0]

        return self._thread.submit(paint).result()

    def strips(self, latents: np.ndarray) -> Iterator[np.ndarray]:
        """[N, 3, z] → N strip images, a few at a time."""
        for start in range(0, len(latents), STRIPS_AT_ONCE):
            some = latents[start : start + STRIPS_AT_ONCE]
            yield from self._thread.submit(self._paint, some).result()

    def posterior_mean(self, panels: np.ndarray) -> np.ndarray:
        """A strip's panels, uint8 [3, 3, H, W] → its posterior mean [z]."""
        return self._thread.submit(self._encode, panels).result()

    # no_grad rather than inference_mode, whose tensors would break a later torch.export

    @torch.no_grad()
    def _paint(self, latents: np.ndarray) -> np.ndarray:  # [N, 3, z] → uint8 [N, h, w, 3]
        # The decoder paints whole strips. Panels that have a latent of their own are cut from
        # strips painted apart; as a rule all three have the same, and one strip is enough.
        whole, which = np.unique(
            latents.reshape(-1, latents.shape[-1]), axis=0, return_inverse=True
        )
        painted = self.model.decode(torch.from_numpy(whole).to(self.device))  # [M, 3, 3, H, W]
        panel = torch.arange(3).repeat(len(latents))
        panels = painted[torch.from_numpy(which.reshape(-1)), panel].unflatten(0, (-1, 3))
        return join_panels(to_uint8(panels).cpu().numpy())

    @torch.no_grad()
    def _encode(self, panels: np.ndarray) -> np.ndarray:
        mean, _ = self.model.encode(to_unit(torch.from_numpy(panels).to(self.device))[None])
        return mean[0].float().cpu().numpy()


def use_half_of_the_cores() -> None:
    torch.set_num_threads(max(1, torch.get_num_threads() // 2))


def png(pixels: np.ndarray, scale: int = 1) -> bytes:
    """uint8 [h, w, 3] → a PNG. Level 1 takes a third of the default's time for 10 % more bytes."""
    image = Image.fromarray(pixels)
    if scale != 1:
        size = (image.width * scale, image.height * scale)
        image = image.resize(size, Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def bmp(pixels: np.ndarray) -> bytes:
    """uint8 [h, w, 3] → a BMP: as exact as a PNG, written in no time, and three times as large,
    which does not matter between two programs on one machine."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "BMP")
    return buffer.getvalue()


def contact_sheet(
    strips: Iterator[np.ndarray], margin: int, columns: int, width: int
) -> np.ndarray:
    """Strip images, without their margins and scaled to `width` pixels, row by row in `columns`:
    uint8 [h, w, 3]."""
    small = []
    for pixels in strips:
        image = Image.fromarray(pixels[margin:-margin, margin:-margin])
        height = round(image.height * width / image.width)
        small.append(np.asarray(image.resize((width, height), Image.Resampling.BOX)))
    rows = [np.concatenate(small[i : i + columns], 1) for i in range(0, len(small), columns)]
    return np.concatenate(rows)


def gif(frames: list[np.ndarray], milliseconds: int, hold: int) -> bytes:
    """Frames uint8 [h, w, 3] → an endless GIF; the first and the middle one stay for `hold` ms.

    One palette serves all frames, made from a few of them, or colours would flicker.
    """
    few = np.concatenate(frames[:: max(1, len(frames) // 5)])
    palette = Image.fromarray(few).quantize(COLOURS, Image.Quantize.MEDIANCUT)
    none = Image.Dither.NONE  # dots that dance from frame to frame are worse than a hard edge
    images = [Image.fromarray(frame).quantize(palette=palette, dither=none) for frame in frames]
    durations = [milliseconds] * len(images)
    durations[0] = durations[len(images) // 2] = hold
    buffer = io.BytesIO()
    images[0].save(
        buffer, "GIF", save_all=True, append_images=images[1:], duration=durations, loop=0
    )
    return buffer.getvalue()
