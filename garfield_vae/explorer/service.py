"""What the page can ask for, as Python: the model with its painter, the positions, the names, the
strips, and the prior. server.py puts it behind HTTP."""

import base64
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from garfield_vae.data.begun import on_paper, open_panels
from garfield_vae.data.panels import is_empty, join_panels
from garfield_vae.data.store import PanelStore
from garfield_vae.explorer.component_names import ComponentNames, suggested_names
from garfield_vae.explorer.renderer import Ended, OnPaintersThread, Painter
from garfield_vae.explorer.states import (
    AVERAGE,
    LIMIT,
    MAX_TEMPERATURE,
    OWN_STRIP,
    BadRequest,
    Positions,
    Prior,
    State,
    as_json,
    between,
    in_words,
)
from garfield_vae.geometry import PANELS
from garfield_vae.latent.codec import FIT_STEPS
from garfield_vae.latent.space import LatentSpace
from garfield_vae.model.networks import StripVAE
from garfield_vae.util.pictures import gif_bytes, png_bytes, sheet

ENDS = 3.0  # standard deviations that the small pictures show
SMALL = 160  # their width in pixels
QUICK_STEPS = 3  # of the prior, while a slider is dragged: the strip looks almost the same
CANDIDATES = 6  # samples of which the sharpest is the strip that the page opens on
FRAMES = 21  # from one strip to another: 5 % apart
MORPHED_AT_ONCE = 4  # a third of a second, for which a page that drags has to wait
SAMPLES_ON_MAP = 100  # where there are no strips
HOLD = 0.8  # seconds that an animation rests at its ends
JOBS_REMEMBERED = 64


class Explorer:
    """One model to explore. `folder` keeps the components' names. `latents` are the posterior means
    [N, z] of `store`'s strips, in its order; without them there are no real strips. Without a
    `prior`, samples come from the space's kernel density, and nothing is refined or completed. The
    latents of a picture that is brought are fitted in `fit_steps`; those of the store are not."""

    def __init__(
        self,
        model: StripVAE,
        space: LatentSpace,
        folder: Path,
        store: PanelStore | None = None,
        latents: np.ndarray | None = None,
        prior: Prior | None = None,
        sliders: int = 20,
        fit_steps: int = FIT_STEPS,
    ):
        self.store, self.fit_steps = store, fit_steps
        self.painter = Painter(model)
        self.prior = prior and OnPaintersThread(self.painter, prior)
        names = store.names if self.store else ()
        self.positions = Positions(space, sliders, names, latents, self.prior)
        self.names = ComponentNames(folder)
        self.title = folder.resolve().name
        self.suggestions: list[str] = []
        self.progress: OrderedDict[str, float] = OrderedDict()  # job → the share that is done
        self._once = threading.Lock()
        self.panel_size = model.config["panel_height"], model.config["panel_width"]

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
            "start": as_json(self.start()),
            "sliders": [
                {"explained": float(share), "name": self.names.names.get(index, "")}
                for index, share in enumerate(explained)
            ],
            "strips": {"count": len(strips), "first": strips[0], "last": strips[-1]}
            if len(strips)
            else None,
            "can": ["detail", "encode", "gif", "name"]
            + (["complete", "morph", "refine"] if self.prior else []),
        }

    # -----------------------------------------------------------------------------------------
    # Strips to begin with

    def start(self) -> State:
        """The strip that the page opens on."""
        with self._once:  # the first page that asks waits for it, others too
            return self._start

    def prepare(self) -> None:
        """Finds that strip before the first page asks."""
        with suppress(Ended):
            self.start()

    @cached_property
    def _start(self) -> State:
        draws = [self.positions.of_draw(seed, 1.0) for seed in range(1, CANDIDATES + 1)]
        latents = np.stack([self.positions.latents(draw) for draw in draws])
        sharpest = np.argmax([sharpness(strip) for strip in self.painter.strips(latents)])
        return draws[int(sharpest)]

    def encode(self, content: bytes) -> dict:
        """The bytes of a picture → its state, the picture as it was cut, and which of its panels
        are empty."""
        given = open_panels(content, *self.panel_size, begun=True)
        panels = on_paper(given, range(len(given)))
        empty = np.array([is_empty(panel) for panel in panels])
        latent = self.painter.fitted(panels, self.fit_steps, ~empty)
        cut = base64.b64encode(png_bytes(Image.fromarray(join_panels(panels)))).decode()
        return {
            "state": as_json(self.positions.of_latent(latent)),
            "original": f"data:image/png;base64,{cut}",
            "empty": np.flatnonzero(empty).tolist(),
        }

    @cached_property
    def map(self) -> dict:
        """Every strip (or, where there are none, samples) by its first two coordinates, in
        standard deviations: names [N] and points, a flat list [2·N]."""
        if self.store is not None:
            names = list(self.positions.names)
            slices = np.array_split(np.arange(len(names)), len(names) // 4096 + 1)
            latents = (self.positions.means[part] for part in slices)
        else:
            names = list(range(1, SAMPLES_ON_MAP + 1))
            latents = self.positions.samples(names)
        space = self.positions.space
        points = np.concatenate([space.coordinates(part)[:, :2] for part in latents])
        if points.shape[1] == 1:  # a space of one component
            points = np.pad(points, ((0, 0), (0, 1)))
        return {
            "of": "strips" if self.store is not None else "samples",
            "names": names,
            "points": [round(float(value), 3) for value in points.reshape(-1)],
        }

    # -----------------------------------------------------------------------------------------
    # Pictures of several strips

    def ends_png(
        self, state: State, sliders: range, page: str = "", turn: int = 0, hold: bool = False
    ) -> bytes:
        """A strip with one slider at −3 and at 3, the others as they are: two columns, a row for
        each of `sliders`. With `hold`, the slider is held there. Raises Superseded as
        `Painter.strip` does."""
        strips = self._strips_at_ends(state, sliders, page, turn, hold)
        gutter = (strips.shape[1] - self.panel_size[0]) // 2
        strips = strips[:, gutter:-gutter, gutter:-gutter]
        return png_bytes(sheet(strips, columns=2, width=SMALL, margin=0))

    def _strips_at_ends(
        self, state: State, sliders: range, page: str = "", turn: int = 0, hold: bool = False
    ) -> np.ndarray:
        def latents() -> Iterator[np.ndarray]:
            for slider in sliders:
                held = tuple(sorted({*state.held, slider})) if hold else state.held
                for end in (-ENDS, ENDS):
                    knobs = state.knobs.copy()
                    knobs[slider] = end
                    at_end = replace(state, knobs=knobs, held=held)
                    yield self.positions.latents(at_end, QUICK_STEPS)

        return np.stack(list(self.painter.strips(latents(), page, turn)))

    def suggest_names(self) -> list[str]:
        """A name a slider, by what its ends do to the mean strip."""
        with self._once:
            if not self.suggestions:
                k = self.positions.sliders
                mean = State(np.zeros(k, np.float32), np.zeros((PANELS, k), np.float32))
                self.suggestions = suggested_names(self._strips_at_ends(mean, range(k)))
            return self.suggestions

    def walk(self, a: State, b: State, frames: int, seconds: float, job: str = "") -> bytes:
        """An endless GIF from a to b and back; `progress[job]` says how much is painted."""
        latents = (self.positions.latents(state) for state in self.between(a, b, frames))
        strips = list(self.counted(self.painter.strips(latents), frames, job))
        return gif_bytes(strips, None, seconds, HOLD)

    def counted(self, items: Iterable, count: int, job: str) -> Iterator:
        """The `count` items; `progress[job]` says which share of them is there."""
        for number, item in enumerate(items, 1):
            self.progress[job] = number / count
            while len(self.progress) > JOBS_REMEMBERED:
                self.progress.popitem(last=False)
            yield item

    # -----------------------------------------------------------------------------------------
    # What the prior can do

    def between(
        self, a: State, b: State, frames: int, page: str = "", turn: int = 0
    ) -> Iterator[State]:
        """`frames` states from a to b, both included: through the prior's noise, where each of them
        is a strip, and nothing is held.

        On a straight line where there is no prior, and where the two are one strip, whose sliders
        move. Raises Superseded as `Painter.run` does.
        """
        shares = np.linspace(0, 1, frames)[1:-1]
        line = [between(a, b, share) for share in shares]
        if self.prior is None or a.base == b.base:
            yield from (a, *line, b)
            return
        label = f"between {end_in_words(a)} and {end_in_words(b)}"
        a, b = self._settled(a), self._settled(b)
        morph = self.prior.morph(self._whole(a), self._whole(b), page=page, turn=turn)
        yield a
        for first in range(0, len(line), MORPHED_AT_ONCE):
            some = slice(first, first + MORPHED_AT_ONCE)
            latents = self.painter.run(morph, shares[some], page=page, turn=turn)
            for near, latent in zip(line[some], latents, strict=True):
                yield self._moved(near, latent, label)
        yield b

    def refine(self, state: State, held: Sequence[int]) -> State:
        """The strip, moved to where the prior finds it likely; the sliders `held` stay."""
        latent = self._whole(replace(state, held=()))
        refined = self._ask_prior().refine(latent[None], held)[0]
        return self._moved(state, refined, "cleared up")

    def complete(self, state: State, panels: Sequence[int], seed: int) -> State:
        """The strip with some panels redrawn to fit the others."""
        which = " and ".join(str(panel + 1) for panel in panels)
        drawn = self._ask_prior().complete(self._whole(state), panels, seed)
        return self._moved(state, drawn, f"panel{'s' * (len(panels) > 1)} {which} redrawn")

    def portable(self, state: State) -> State:
        """The same strip with its numbers in it, for a place that has neither strips nor prior."""
        return self.positions.portable(self._settled(state))

    def _settled(self, state: State) -> State:
        """The same strip, with nothing held."""
        if not (state.held and self.prior):
            return state
        return self._moved(state, self._whole(state), "cleared up")

    def _whole(self, state: State) -> np.ndarray:
        """The latent of the strip, as if no panel had been moved alone."""
        return self.positions.latents(replace(state, panels=0 * state.panels))[0]

    def _moved(self, state: State, latent: np.ndarray, label: str) -> State:
        return replace(self.positions.of_latent(latent, label), panels=state.panels)

    def _ask_prior(self) -> Prior:
        if self.prior is None:
            raise BadRequest("this model came without a prior: nothing can be redrawn")
        return self.prior


def end_in_words(state: State) -> str:
    """What one end of a morph is called in the name of what is between: "between panel 1 redrawn
    and between …" is no name."""
    words = in_words(state)
    named = words.startswith(("strip ", "sample ", OWN_STRIP, AVERAGE))
    return words if named else "a changed strip"


def sharpness(strip: np.ndarray) -> float:
    """Mean difference of neighbouring pixels of uint8 [h, w, 3]: a foggy strip has little."""
    pixels = strip.astype(np.float32)
    return float(sum(np.abs(np.diff(pixels, axis=axis)).mean() for axis in (0, 1)))
