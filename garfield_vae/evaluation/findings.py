"""The figures of an evaluation in plain sentences: what a reader should take away first."""

import math
from dataclasses import dataclass
from typing import Any

from garfield_vae.evaluation.metrics.intervals import Estimate

BITS_A_NAT = 1 / math.log(2)
COPYING = 0.6  # more of the samples than this on the training strips' side is called copying


@dataclass(frozen=True)
class Finding:
    """`tone` is good, plain or warning."""

    tone: str
    text: str


def findings(figures: dict[str, Any], metrics: list[dict[str, float]]) -> list[Finding]:
    """What the figures of `evaluate_run` and the rows of metrics.csv say, most telling first."""
    found = [_reconstruction(figures["reconstruction"]), _latent(figures["bound"])]
    found += _beta(figures["bound"])
    found += _overfitting(metrics)
    found.append(_copying(figures["copying"]))
    found.append(_density(figures["samples"]))
    return found


def _reconstruction(lines: dict[str, dict[str, Estimate]]) -> Finding:
    model = lines["this model"]["mse"]
    others = {name: line["mse"].value for name, line in lines.items() if name != "this model"}
    beaten = [f"{name} ({mse:.3f})" for name, mse in others.items() if model.value < mse]
    not_beaten = [f"{name} ({mse:.3f})" for name, mse in others.items() if model.value >= mse]
    text = f"Strips it never saw come back with a mean squared error of {model.value:.3f}"
    if beaten:
        text += f", better than {_and(beaten)}"
    if not_beaten:
        text += f"{', but' if beaten else ','} not as good as {_and(not_beaten)}"
    if model.value >= others["mean image"]:
        return Finding("warning", text + ".")
    return Finding("good" if len(not_beaten) <= 1 else "plain", text + ".")


def _latent(bound: dict[str, Any]) -> Finding:
    active, dimensions, rate = bound["active units"], bound["dimensions"], bound["rate"].value
    size = rate * BITS_A_NAT / 8
    text = (
        f"A strip is told apart from the others in {size:,.0f} bytes ({rate:,.0f} nats), with "
        f"{active:,} of {dimensions:,} latent dimensions in use."
    )
    if active < dimensions / 100 or rate < 1:
        return Finding(
            "warning",
            f"The latent space has collapsed: {text[0].lower()}{text[1:]} A lower beta helps: the "
            f"calibrated value is {bound['calibrated beta']:.2g}.",
        )
    return Finding("plain", text)


def _beta(bound: dict[str, Any]) -> list[Finding]:
    ratio = bound["beta ratio"]
    if ratio is None or 1 / 3 <= ratio <= 3:
        return []
    more, drawback = (
        ("times", "which blurs strips to make the latent space simpler")
        if ratio > 1
        else ("of", "which keeps detail but leaves holes in the latent space")
    )
    share = f"{ratio:.0f}" if ratio > 1 else f"a {_ordinal(1 / ratio)}"
    return [
        Finding(
            "plain" if 1 / 30 <= ratio <= 30 else "warning",
            f"Beta ({bound['beta']:.2g}) is {share} {more} the calibrated value "
            f"({bound['calibrated beta']:.2g}), {drawback}.",
        )
    ]


def _overfitting(metrics: list[dict[str, float]]) -> list[Finding]:
    both = [
        (row["train/distortion"], row["validation/distortion"])
        for row in metrics
        if "train/distortion" in row and "validation/distortion" in row
    ]
    if not both:
        return []
    train, validation = both[-1]
    if validation < 1.25 * train:
        return []
    return [
        Finding(
            "warning",
            f"At the end of training the error on training strips was {train:.3f} and on "
            f"validation strips {validation:.3f}: what it learned is partly those very strips. "
            "More strips, a higher beta or a smaller network help.",
        )
    ]


def _copying(copying: dict[str, Estimate]) -> Finding:
    share = copying["samples nearer to training than to held-out"]
    low, high = share.low, share.high
    if low is None or high is None:
        low = high = share.value
    text = (
        f"{share.value:.0%} of its samples ({low:.0%} to {high:.0%} with other strips) lie nearer "
        "to a training strip than to a held-out one; half would be chance."
    )
    if low > COPYING:
        return Finding("warning", f"It copies training strips to a degree: {text}")
    if high > COPYING:
        return Finding("plain", f"Too few strips to be sure that it does not copy: {text}")
    return Finding("good", f"It does not copy training strips: {text}")


def _density(samples: dict[str, Any]) -> Finding:
    fitted, prior = (
        times_apart(samples, name) for name in ("samples, fitted density", "samples, N(0, I)")
    )
    return Finding(
        "plain",
        f"Its samples lie {fitted:.1f} times as far from real strips as two halves of real strips "
        f"lie from each other (1 would be as good as real); samples from N(0,\u00a0I) {prior:.1f} "
        "times.",
    )


def times_apart(samples: dict[str, Any], name: str) -> float:
    """Sliced Wasserstein distance of a set, mean over scales, over that of two real halves."""

    def mean(figures: dict[str, Any]) -> float:
        distances = [estimate.value for estimate in figures["sliced Wasserstein"].values()]
        return sum(distances) / len(distances)

    return mean(samples[name]) / max(mean(samples["real strips, two halves"]), 1e-9)


def _and(words: list[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def _ordinal(number: float) -> str:
    whole = round(number)
    ending = "th" if whole % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(whole % 10)
    return f"{whole}{ending or 'th'}"
