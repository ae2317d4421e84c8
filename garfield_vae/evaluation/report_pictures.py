"""The pictures of a report, with their captions."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from garfield_vae.evaluation.metrics.memorisation import Nearest
from garfield_vae.latent.codec import decode
from garfield_vae.latent.prior_sampler import PriorSampler
from garfield_vae.latent.samplers import traversal
from garfield_vae.latent.space import LatentSpace, line
from garfield_vae.model.networks import StripVAE

SHOWN_SAMPLES, SHOWN_OTHERS, SHOWN_WALKS, SHOWN_NEAREST = 12, 4, 6, 4
WALK_STEPS = (-3.0, -1.5, 0.0, 1.5, 3.0)  # standard deviations
LEAST_EXPLAINED = 0.001  # share of the variance, below which a component has no visible effect
MORPH_STEPS = 7


@dataclass(frozen=True)
class Picture:
    """One strip, uint8 [3, 3, H, W], with its caption and its alternative text."""

    panels: np.ndarray
    label: str
    alt: str


@dataclass(frozen=True)
class Walk:
    """A latent traversal; `explained` is the component's share of the latents' variance."""

    component: int
    explained: float
    pictures: list[Picture]


@dataclass(frozen=True)
class Pictures:
    """All pictures of a report.

    reconstructions   pairs (strip, its reconstruction): best, median and worst
    samples           the first samples, by sampler
    nearest           pairs (sample of the first sampler, training strip) that are most alike
    by_prior          whether walks and morph are kept likely by a latent prior
    """

    reconstructions: list[tuple[Picture, Picture]]
    samples: dict[str, list[Picture]]
    walks: list[Walk]
    morph: list[Picture]
    nearest: list[tuple[Picture, Picture]]
    by_prior: bool


def choose_pictures(
    model: StripVAE,
    space: LatentSpace,
    *,
    held_out: np.ndarray,
    names: Sequence[str],
    reconstructions: np.ndarray,
    errors: np.ndarray,
    means: np.ndarray,
    samples: dict[str, np.ndarray],
    nearest: dict[str, Nearest],
    training: Any,
    training_names: Sequence[str],
    prior: PriorSampler | None = None,
    start: np.ndarray | None = None,
) -> Pictures:
    """Chooses strips among those that were measured, and decodes latent traversals and a morph.

    held_out, reconstructions, samples of each sampler are uint8 [·, 3, 3, H, W]; errors [N] and
    means [N, z] belong to the held-out strips, `nearest` to the samples. The traversals go through
    `start` [z], the mean strip if not given.
    """
    order = np.argsort(errors)
    first = next(iter(samples))
    shown = {name: SHOWN_SAMPLES if name == first else SHOWN_OTHERS for name in samples}
    return Pictures(
        reconstructions=[
            (
                Picture(held_out[row], f"{rank}: {names[row]}", f"Test strip {names[row]}"),
                Picture(
                    reconstructions[row],
                    f"reconstruction, MSE {errors[row]:.3f}",
                    f"Reconstruction of strip {names[row]}",
                ),
            )
            for rank, row in _best_median_worst(order)
        ],
        samples={
            name: [
                Picture(strip, f"sample {i + 1}", f"Sample {i + 1} of the {name} sampler")
                for i, strip in enumerate(strips[: shown[name]])
            ]
            for name, strips in samples.items()
        },
        walks=[
            _walk(model, space, component, prior, space.mean if start is None else start)
            for component, share in enumerate(space.explained[:SHOWN_WALKS])
            if share >= LEAST_EXPLAINED
        ],
        morph=_morph(model, means, names, order, prior),
        nearest=_nearest(first, samples[first], nearest[first], training, training_names),
        by_prior=prior is not None,
    )


def _nearest(
    sampler: str, samples: np.ndarray, nearest: Nearest, training: Any, names: Sequence[str]
) -> list[tuple[Picture, Picture]]:
    """The samples whose panels are nearest to a training panel, with the strip that has it."""
    pairs = []
    for i in np.argsort(nearest.relative.min(axis=1))[:SHOWN_NEAREST]:
        panel = int(nearest.relative[i].argmin())
        row = int(nearest.panel_row[i, panel])
        label = f"sample {i + 1}, panel {panel + 1}: {nearest.relative[i, panel]:.2f}"
        pairs.append(
            (
                Picture(samples[i], label, f"Sample {i + 1} of the {sampler} sampler"),
                Picture(training[[row]][0], names[row], f"Training strip {names[row]}"),
            )
        )
    return pairs


def _best_median_worst(order: np.ndarray) -> list[tuple[str, int]]:
    """Two rows of each, or one of each where strips are few; the worst last."""
    many = 2 if len(order) >= 6 else 1
    middle = (len(order) - many) // 2
    parts = {"best": order[:many], "median": order[middle:][:many], "worst": order[-many:]}
    return [(rank, int(row)) for rank, rows in parts.items() for row in rows]


def _walk(
    model: StripVAE,
    space: LatentSpace,
    component: int,
    prior: PriorSampler | None,
    start: np.ndarray,
) -> Walk:
    latents = traversal(space, start, component, np.array(WALK_STEPS), prior)
    pictures = [
        Picture(
            strip,
            f"{step:+.1f}".replace("-", "−") if step else "0",
            f"Strip at {step:+.1f} standard deviations of component {component + 1}",
        )
        for step, strip in zip(WALK_STEPS, decode(model, latents), strict=True)
    ]
    return Walk(component + 1, float(space.explained[component]), pictures)


def _morph(
    model: StripVAE,
    means: np.ndarray,
    names: Sequence[str],
    order: np.ndarray,
    prior: PriorSampler | None,
) -> list[Picture]:
    """Interpolates between the best reconstructed strip and the furthest from it in the better
    half: two ends that are themselves reconstructed well."""
    first = order[0]
    others = order[1 : max(2, len(order) // 2)]
    last = others[np.square(means[others] - means[first]).sum(axis=1).argmax()]
    shares = np.linspace(0, 1, MORPH_STEPS, dtype=np.float32)
    way = partial(line, means[first], means[last])
    if prior is not None:
        way = prior.morph(means[first], means[last])
    return [
        Picture(
            strip,
            {0.0: names[first], 1.0: names[last]}.get(float(share), f"{share:.0%}"),
            f"Strip {share:.0%} of the way from {names[first]} to {names[last]}",
        )
        for share, strip in zip(shares, decode(model, way(shares)), strict=True)
    ]
