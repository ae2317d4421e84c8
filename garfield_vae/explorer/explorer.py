"""What the explorer's routes need, behind one door: the model with its painter, the positions, the
names and the strips."""

import base64
import threading
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from garfield_vae.data.images import open_strip
from garfield_vae.data.panels import cut_panels, join_panels
from garfield_vae.data.store import PanelStore
from garfield_vae.explorer.names import ComponentNames
from garfield_vae.explorer.renderer import Painter, contact_sheet, gif, png
from garfield_vae.explorer.states import (
    LIMIT,
    MAX_TEMPERATURE,
    Positions,
    as_json,
    between,
)
from garfield_vae.geometry import PANELS
from garfield_vae.latent.space import LatentSpace

if TYPE_CHECKING:  # it brings Lightning, which takes seconds, for a name in an annotation
    from garfield_vae.checkpoints import LoadedModel

ENDS = 3.0  # standard deviations that the small pictures show
SMALL = 160  # their width in pixels


class Explorer:
    """One model to play with. `latents` are the posterior means [N, z] of `store`'s strips, in its
    order; without either there are no real strips. `folder` keeps the components' names."""

    def __init__(
        self,
        loaded: "LoadedModel",
        space: LatentSpace,
        store: PanelStore | None,
        latents: np.ndarray | None,
        folder: Path,
        sliders: int = 20,
    ):
        self.store = store if latents is not None else None
        self.positions = Positions(space, sliders, store.names if self.store else (), latents)
        self.painter = Painter(loaded.model)
        self.names = ComponentNames(folder)
        self.title = folder.resolve().name
        self._ends = threading.Lock()
        config = loaded.model.config
        self.panel_size = config["panel_height"], config["panel_width"]

    def info(self) -> dict:
        explained = self.positions.space.explained[: self.positions.sliders]
        strips = self.positions.names
        return {
            "title": self.title,
            "model": self.positions.fingerprint,
            "dimensions": len(self.positions.space.mean),
            "limit": LIMIT,
            "ends": ENDS,
            "max_temperature": MAX_TEMPERATURE,
            "panels": PANELS,
            "sliders": [
                {"explained": float(share), "name": self.names.names.get(index, "")}
                for index, share in enumerate(explained)
            ],
            "strips": {"count": len(strips), "first": strips[0], "last": strips[-1]}
            if len(strips)
            else None,
            "can": ["detail", "encode", "gif", "name"],
        }

    def ends_png(self) -> bytes:
        """The mean strip with one component at −3 and at 3: two columns, a row a slider."""
        with self._ends:  # the first page that asks paints, others wait
            return self._ends_png

    @cached_property
    def _ends_png(self) -> bytes:
        k = self.positions.sliders
        ends = ENDS * np.stack([-np.eye(k, dtype=np.float32), np.eye(k, dtype=np.float32)], 1)
        latents = self.positions.space.latents(ends.reshape(2 * k, k)).astype(np.float32)
        strips = self.painter.strips(np.repeat(latents[:, None], PANELS, axis=1))
        first = next(strips)
        margin = (len(first) - self.panel_size[0]) // 2
        return png(contact_sheet(chain([first], strips), margin, columns=2, width=SMALL))

    def encode(self, content: bytes) -> dict:
        """The bytes of a picture → its state, and the picture as it was cut."""
        image = open_strip(content)
        panels = cut_panels(image, *self.panel_size)
        state = self.positions.of_latent(self.painter.posterior_mean(panels))
        cut = base64.b64encode(png(join_panels(panels))).decode()
        return {"state": as_json(state), "original": f"data:image/png;base64,{cut}"}

    def walk(self, a: object, b: object, frames: int, seconds: float) -> bytes:
        a, b = self.positions.parse(a), self.positions.parse(b)
        steps = np.linspace(0, 1, frames)
        latents = np.stack([self.positions.latents(between(a, b, t)) for t in steps])
        there = list(self.painter.strips(latents))
        there_and_back = there + there[-2:0:-1]
        return gif(there_and_back, round(1000 * seconds / frames), hold=800)
