"""What can be set on the page, as plain data, and the latents that it stands for.

A state has four parts:

    knobs   [k]      the sliders: the first k principal components, in standard deviations
    panels  [3, k]   added to the knobs in one panel only
    base             what the sliders do not show: a weighted list of sources, each of which
                     stands for the part of one latent outside the first k components
    held             numbers of sliders that stay as they are set, while the latent prior makes the
                     rest of the strip fit them; if there are none, nothing is changed

A source is a short text, so that a whole state fits in a link:

    strip:1985-03-12       a strip of the panel store
    seed:7:0.8             the sample of seed 7, at 0.8 of its distance from the mean
    given:BASE64           the numbers themselves (16-bit floats), for any other latent
    given:BASE64:LABEL     the same, with a text that says where they come from

A point on the straight line between two states is a state again: knobs and panels are mixed, the
bases' weights too, and what one of them holds is held.
static/state.js does the same in the browser; tests/explorer/state_cases.json holds for both.
"""

import base64
import binascii
import hashlib
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np

from garfield_vae.explorer.strip_names import find_name
from garfield_vae.geometry import PANELS
from garfield_vae.latent import samplers
from garfield_vae.latent.space import LatentSpace
from garfield_vae.util.errors import UserError

LIMIT = 4.0  # standard deviations a slider goes to either side
SHIFT_LIMIT = 2 * LIMIT  # a panel may stand at one end while the others stand at the other
MAX_SOURCES = 8
MAX_TEMPERATURE = 3.0
LONGEST_LABEL = 80  # letters
SAMPLES_AT_ONCE = 5  # a third of a second, for which a page that drags has to wait
OWN_STRIP, AVERAGE = "your own strip", "the average strip"  # in words
SEED = re.compile(r"([0-9]{1,9}):([0-2](?:\.[0-9]{1,6})?|3)")  # and its temperature
LARGEST_FLOAT16 = float(np.finfo("<f2").max)
DIGITS = 3  # of a knob in a link; what rounding takes away stays in the base


class Prior(Protocol):
    """A learned density over latents, in latent units, float32."""

    def sample(self, n: int, seed: int) -> np.ndarray:
        """New latents [n, z]."""

    def of_seeds(self, seeds: Sequence[int]) -> np.ndarray:
        """The first sample of each seed, [len(seeds), z], but for rounding."""

    def refine(
        self, latents: np.ndarray, held: Sequence[int], steps: int | None = None
    ) -> np.ndarray:
        """Likely latents [N, z] near others; the coordinates of the components `held` stay. Fewer
        steps are faster and less exact."""

    def complete(self, latent: np.ndarray, panels: Sequence[int], seed: int) -> np.ndarray:
        """`latent` [z] with the given panels, counted from 0, redrawn to fit the others."""

    def morph(self, start: np.ndarray, end: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """The likely latents between two [z]: from shares of the way [n] to [n, z]."""


class BadRequest(UserError):
    """A request that makes no sense to the explorer; its text is shown on the page."""


@dataclass(frozen=True)
class State:
    knobs: np.ndarray  # [k]
    panels: np.ndarray  # [3, k]
    base: tuple[tuple[float, str], ...] = ()
    held: tuple[int, ...] = ()


class Positions:
    """Turns states into latents and latents into states, for one model and its strips.

    space: the fitted latent space. sliders: how many components are shown, k.
    names, latents: the strips of the panel store, and their posterior means [N, z] (a memory map).
    prior: where new latents come from, and what fits strips to their held sliders. Without it,
    samples are drawn from the space's kernel density, and nothing is held.
    """

    def __init__(
        self,
        space: LatentSpace,
        sliders: int,
        names: Sequence[str] = (),
        latents: np.ndarray | None = None,
        prior: Prior | None = None,
    ):
        self.space = space
        self.sliders = min(sliders, len(space.std))
        self.names = names if latents is not None else ()
        self.means = latents
        self.index = {name: index for index, name in enumerate(self.names)}
        digest = hashlib.sha256(space.mean.tobytes() + space.components.tobytes())
        self.fingerprint = digest.hexdigest()[:12]  # a link of another model is known by it
        self.prior = prior
        self._sample = prior.sample if prior else self._kernel_density
        self._residual = lru_cache(maxsize=64)(self._find_residual)
        self.sampled = lru_cache(maxsize=64)(lambda seed: self._sample(1, seed)[0])
        self._squared_norms: np.ndarray | None = None

    def samples(self, seeds: Sequence[int]) -> Iterator[np.ndarray]:
        """The samples of these seeds, [n, z] a few at a time: other pages are served between."""
        for start in range(0, len(seeds), SAMPLES_AT_ONCE):
            some = seeds[start : start + SAMPLES_AT_ONCE]
            if self.prior:
                yield self.prior.of_seeds(some)
            else:
                yield np.stack([self.sampled(seed) for seed in some])

    def parse(self, value: object) -> State:
        """A state from decoded JSON; numbers out of range are clamped, anything else that is
        wrong raises BadRequest."""
        if not isinstance(value, dict):
            raise BadRequest("a state is an object with knobs, panels and base")
        knobs = numbers(value.get("knobs"), self.sliders, LIMIT, "knobs")
        rows = value.get("panels")
        if rows is None:
            panels = np.zeros((PANELS, self.sliders), np.float32)
        elif isinstance(rows, list) and len(rows) == PANELS:
            panels = np.stack([numbers(r, self.sliders, SHIFT_LIMIT, "panels") for r in rows])
        else:
            raise BadRequest(f"panels is a list of {PANELS} lists")
        base = value.get("base", [])
        if not isinstance(base, list) or len(base) > MAX_SOURCES:
            raise BadRequest(f"base is a list of at most {MAX_SOURCES} pairs of weight and source")
        held = indices(value.get("held", []), self.sliders, "held")
        sources = tuple(self._weighted_source(pair) for pair in base)
        return State(knobs, panels, sources, tuple(held))

    def _weighted_source(self, pair: object) -> tuple[float, str]:
        if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[1], str):
            raise BadRequest("each entry of base is a pair of weight and source")
        weight = float(numbers(pair[:1], 1, LIMIT, "a weight")[0])
        self._residual(pair[1])  # refuses what is no source, now rather than while painting
        return weight, pair[1]

    def latents(self, state: State, steps: int | None = None) -> np.ndarray:
        """[3, z]: the latent that each panel is painted from. `steps` of the prior's, where sliders
        are held."""
        residual = np.zeros(len(self.space.mean), np.float32)
        for weight, source in state.base:
            residual += weight * self._residual(source)
        coordinates = np.clip(state.knobs + state.panels, -LIMIT, LIMIT)
        latents = self.space.latents(coordinates, residual).astype(np.float32)
        if not (state.held and self.prior):
            return latents
        different, which = np.unique(latents, axis=0, return_inverse=True)
        return self.prior.refine(different, state.held, steps)[which.reshape(-1)]

    def _split(self, latent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A latent [z] → knobs [k], rounded and clamped, and all that they leave out [z]."""
        coordinates = self.space.coordinates(latent[None])[:, : self.sliders]
        knobs = np.clip(coordinates, -LIMIT, LIMIT).round(DIGITS).astype(np.float32)
        return knobs[0], (latent - self.space.latents(knobs)[0]).astype(np.float32)

    def of_strip(self, name: str) -> State:
        """Where a strip of the store lies. Raises BadRequest for an unknown name."""
        return self._state(self._strip(name), f"strip:{name}")

    def of_draw(self, seed: int, temperature: float) -> State:
        """The sample of a seed. The temperature is rounded to three digits."""
        temperature = abs(round(temperature, 3))  # no -0, no exponent: `parse` takes neither
        return self._state(self._draw(seed, temperature), f"seed:{seed}:{temperature:g}")

    def of_latent(self, latent: np.ndarray, label: str = "") -> State:
        """Any latent [z]; its base carries the numbers themselves."""
        return self._state(latent, self._given(self._split(latent)[1], label))

    def portable(self, state: State) -> State:
        """The same strip with its numbers in it, for a place that has neither strips nor prior."""
        base = []
        for weight, source in state.base:
            if not source.startswith("given:"):
                source = self._given(self._residual(source), label_of(source))
            base.append((weight, source))
        return State(state.knobs, state.panels, tuple(base), state.held)

    def find(self, text: str) -> str:
        """The name of the store's strip that a text stands for. Raises BadRequest for none."""
        if (name := find_name(text, self.index)) is None:
            raise BadRequest(f"there is no strip named {text[:40]!r} here")
        return name

    @staticmethod
    def _given(residual: np.ndarray, label: str) -> str:
        label = f":{label[:LONGEST_LABEL]}" if label else ""
        return f"given:{pack(residual)}{label}"

    def _state(self, latent: np.ndarray, source: str) -> State:
        knobs, _ = self._split(latent)
        return State(knobs, np.zeros((PANELS, self.sliders), np.float32), ((1.0, source),))

    def _strip(self, name: str) -> np.ndarray:
        if name not in self.index:
            raise BadRequest(f"there is no strip named {name[:40]!r} here")
        return np.asarray(self.means[self.index[name]])

    def _draw(self, seed: int, temperature: float) -> np.ndarray:
        mean = self.space.mean
        return (mean + temperature * (self.sampled(seed) - mean)).astype(np.float32)

    def _kernel_density(self, n: int, seed: int) -> np.ndarray:
        return samplers.draw(self.space, n, np.random.default_rng(seed))

    def _find_residual(self, source: str) -> np.ndarray:
        kind, _, rest = source.partition(":")
        if kind == "strip":
            return self._split(self._strip(rest))[1]
        if kind == "seed" and (match := SEED.fullmatch(rest)):
            return self._split(self._draw(int(match[1]), float(match[2])))[1]
        if kind == "given":
            values, _, label = rest.partition(":")
            if len(label) > LONGEST_LABEL:
                raise BadRequest(f"a label has at most {LONGEST_LABEL} letters")
            return unpack(values, len(self.space.mean))
        raise BadRequest(f"{source[:40]!r} is no source of a strip")

    def nearest(self, state: State) -> tuple[str, float]:
        """The strip of the store whose posterior mean lies closest to the state's latent (the
        mean of its panels'), and the distance as a share of the strips' own typical distance
        from their mean: 0 is the strip itself, 1 is as far as one strip from the middle of all."""
        latent = self.latents(state).mean(0)
        if self._squared_norms is None:
            # in slices: the means may be a memory map larger than memory
            slices = np.array_split(np.arange(len(self.names)), len(self.names) // 4096 + 1)
            self._squared_norms = np.concatenate([(self.means[s] ** 2).sum(1) for s in slices])
        squared = self._squared_norms - 2 * (self.means @ latent)
        best = int(squared.argmin())
        distance = np.linalg.norm(self.means[best] - latent)
        spread = math.sqrt(float((self.space.std.astype(np.float64) ** 2).sum()))
        return self.names[best], float(distance) / max(spread, 1e-12)


def between(a: State, b: State, t: float) -> State:
    """The state a share `t` of the way from a to b, by straight lines in the latent space."""
    base = {source: 0.0 for _, source in (*a.base, *b.base)}
    for share, state in ((1 - t, a), (t, b)):
        for weight, source in state.base:
            base[source] += share * weight
    # the least of too many sources are too faint to see
    kept = sorted(base.items(), key=lambda item: -abs(item[1]))[:MAX_SOURCES]
    return State(
        ((1 - t) * a.knobs + t * b.knobs).astype(np.float32),
        ((1 - t) * a.panels + t * b.panels).astype(np.float32),
        tuple((weight, source) for source, weight in kept if round(weight, 6)),
        tuple(sorted({*a.held, *b.held})),
    )


def label_of(source: str) -> str:
    """A source in words."""
    kind, _, rest = source.partition(":")
    if kind == "given":
        return rest.partition(":")[2] or OWN_STRIP
    return f"strip {rest}" if kind == "strip" else f"sample {rest.partition(':')[0]}"


def in_words(state: State) -> str:
    """What most of a state is made of."""
    weighted = max(state.base, key=lambda pair: abs(pair[0]), default=None)
    return label_of(weighted[1]) if weighted else AVERAGE


def as_json(state: State) -> dict:
    """The plain data that `Positions.parse` reads."""
    return {
        "knobs": [round(float(v), 6) for v in state.knobs],
        "panels": [[round(float(v), 6) for v in row] for row in state.panels],
        "base": [[weight, source] for weight, source in state.base],
        "held": list(state.held),
    }


def numbers(value: object, count: int, limit: float, what: str) -> np.ndarray:
    """`value` as float32 [count], clamped to ±limit. Raises BadRequest unless it is a list of
    exactly that many finite numbers."""
    if not isinstance(value, list) or len(value) != count:
        raise BadRequest(f"{what}: a list of {count} numbers is wanted")
    if any(isinstance(v, bool) or not isinstance(v, int | float) for v in value):
        raise BadRequest(f"{what}: only numbers are wanted")
    # clamped first: an integer of a hundred digits is a fine number, but no float
    clamped = [v if v != v else max(-limit, min(limit, v)) for v in value]
    if any(v != v or abs(raw) == math.inf for v, raw in zip(clamped, value, strict=True)):
        raise BadRequest(f"{what}: only finite numbers are wanted")
    return np.array(clamped, np.float32)


def indices(value: object, count: int, what: str) -> list[int]:
    """The different whole numbers of a list, in order. Raises BadRequest unless it is a list of
    whole numbers from 0 to below `count`."""
    if not isinstance(value, list) or not all(type(v) is int and 0 <= v < count for v in value):
        raise BadRequest(f"{what} is a list of whole numbers from 0 to {count - 1}")
    return sorted(set(value))


def pack(values: np.ndarray) -> str:
    """Numbers as URL-safe base64 of little-endian 16-bit floats. Larger ones than these are
    clamped, since `unpack` refuses infinity."""
    values = np.clip(values, -LARGEST_FLOAT16, LARGEST_FLOAT16)
    return base64.urlsafe_b64encode(values.astype("<f2").tobytes()).decode().rstrip("=")


def unpack(text: str, count: int) -> np.ndarray:
    """What `pack` packed, as float32 [count]. Raises BadRequest for anything else."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequest("the numbers of the given strip are damaged") from error
    if len(raw) != 2 * count:
        raise BadRequest("the given strip belongs to a model of another size")
    values = np.frombuffer(raw, "<f2").astype(np.float32)
    if not np.isfinite(values).all():
        raise BadRequest("the numbers of the given strip are damaged")
    return values
