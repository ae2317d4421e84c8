"""The figures of an evaluation in sentences, the most reliable first."""

from dataclasses import dataclass
from typing import Any

from garfield_vae.evaluation.metrics.intervals import Estimate

FEW_STRIPS = 300  # below so many test strips, distances between sets are mostly chance
CHANGED_STRIPS = (
    "The strips have changed since the training: some test strips may have been trained on, and "
    "their figures be better than those of new strips."
)
COLLAPSED_RATE = 1.0  # nats a strip
STORY_NAMES = {
    "together": "panels that do not belong together",
    "order": "panels in the wrong order",
    "facing": "panels that are mirrored",
}


@dataclass(frozen=True)
class Sentence:
    """`tone` is good, plain or warning."""

    tone: str
    text: str


def summary(figures: dict[str, Any], metrics: list[dict[str, float]]) -> list[Sentence]:
    """Sentences on the figures of `evaluate_run` and the rows of metrics.csv.

    Reconstructions come first, because their errors are reliable also with few strips. Distances
    between sets are left out where test strips are few; the table has them with their intervals.
    """
    found = [Sentence("warning", CHANGED_STRIPS)] if figures["strips"]["changed"] else []
    found += [reconstruction(figures["reconstruction"]), compression(figures["compression"])]
    found += calibration(figures["compression"])
    found += overfitting(metrics)
    for name in figures["samplers"]:
        found.append(memorisation(name, figures["copying"][name]))
    if figures["strips"]["test"] < FEW_STRIPS:
        found.append(
            Sentence(
                "plain",
                f"There are {figures['strips']['test']} test strips. Below {FEW_STRIPS}, distances "
                "between sets of samples and of real strips are mostly chance: rely on the "
                "reconstructions, the pictures and the intervals.",
            )
        )
    else:
        for name in figures["samplers"]:
            found.append(samples(name, figures["samples"]["against test strips"]))
    return found


def reconstruction(lines: dict[str, dict[str, Estimate]]) -> Sentence:
    model = lines["this model"]["mse"]
    others = {name: line["mse"].value for name, line in lines.items() if name != "this model"}
    beaten = [f"{name} ({mse:.3f})" for name, mse in others.items() if model.value < mse]
    not_beaten = [f"{name} ({mse:.3f})" for name, mse in others.items() if model.value >= mse]
    text = f"The mean squared error on test strips is {model.value:.3f}"
    if beaten:
        text += f", below that of {_and(beaten)}"
    if not_beaten:
        text += f"{', but' if beaten else ','} not below that of {_and(not_beaten)}"
    if model.value >= others["mean image"]:
        return Sentence("warning", text + ".")
    return Sentence("good" if len(not_beaten) <= 1 else "plain", text + ".")


def compression(figures: dict[str, Any]) -> Sentence:
    rate, size = figures["rate"].value, figures["rate, bytes"].value
    if rate < COLLAPSED_RATE or figures["active units"] < figures["dimensions"] / 100:
        ratio, calibrated = figures["beta ratio"], f"{figures['calibrated beta']:.2g}"
        if ratio is None or ratio > 1.5:
            advice = f"A lower beta helps: the calibrated value is {calibrated}."
        else:
            advice = f"Beta is not above the calibrated value ({calibrated}): try a lower --lr."
        return Sentence(
            "warning",
            f"Posterior collapse: the rate is {rate:,.1f} nats per strip, and "
            f"{figures['active units']:,} of {figures['dimensions']:,} latent dimensions are "
            f"active. {advice}",
        )
    return Sentence(
        "plain",
        f"The rate is {rate:,.0f} nats ({size:,.0f} bytes) per strip, half of it in "
        f"{figures['dimensions of half the rate']:,} of {figures['dimensions']:,} latent "
        "dimensions; the reconstructions show what of a strip these bytes keep.",
    )


def calibration(figures: dict[str, Any]) -> list[Sentence]:
    ratio = figures["beta ratio"]
    if ratio is None or 1 / 3 <= ratio <= 3:
        return []
    if ratio > 1:
        text, drawback = f"{ratio:.0f} times", "reconstructions are blurred for a lower rate"
    else:
        text, drawback = (
            f"1/{1 / ratio:.0f} of" if ratio > 1e-3 else "less than a thousandth of",
            "reconstructions keep detail, but samples may lie where the decoder was not trained",
        )
    return [
        Sentence(
            "plain" if 1 / 30 <= ratio <= 30 else "warning",
            f"Beta ({figures['beta']:.2g}) is {text} the calibrated value "
            f"({figures['calibrated beta']:.2g}): {drawback}.",
        )
    ]


def overfitting(metrics: list[dict[str, float]]) -> list[Sentence]:
    both = [
        (row["train/distortion"], row["validation/distortion"])
        for row in metrics
        if "train/distortion" in row and "validation/distortion" in row
    ]
    if not both or both[-1][1] < 1.25 * both[-1][0]:
        return []
    train, validation = both[-1]
    return [
        Sentence(
            "warning",
            f"Overfitting: at the end of training the distortion of training strips was "
            f"{train:.3f} and that of validation strips {validation:.3f}. More strips, a higher "
            "beta or a smaller network help.",
        )
    ]


def memorisation(name: str, copying: dict[str, Any]) -> Sentence:
    new, copies = copying["novelty, latents"], copying["near copies"]
    real, which = copying["near copies among real strips"], f"Samples of the {name} sampler"
    distance = (
        f"their latents are {new.value:.2f} times as far from the nearest training strip as those "
        "of test strips"
    )
    if copying["verdict"]:
        reasons = "; ".join(copying["verdict"])
        return Sentence("warning", f"{which} repeat training strips: {reasons}.")
    if new.value < 0.9 and (new.high or new.value) < 1:
        return Sentence("warning", f"{which} stay close to training strips: {distance}.")
    return Sentence(
        "plain",
        f"No copying was found in samples of the {name} sampler: {copies.value:.1%} of them have a "
        f"panel that is a near copy of a training panel (of real strips {real.value:.1%}), and "
        f"{distance}.",
    )


def samples(name: str, sets: dict[str, Any]) -> Sentence:
    def of(which: str, kind: str, measure: str) -> float:
        return sets[which][kind][measure].value

    kind = "lines and layout"
    story = {key: of(name, "story", key) for key in STORY_NAMES}
    worst = max(story, key=story.__getitem__)
    return Sentence(
        "plain",
        f"Samples of the {name} sampler: KID {of(name, kind, 'KID'):.4f} on {kind} (as many real "
        f"strips {of('real strips', kind, 'KID'):.4f}, reconstructions "
        f"{of('reconstructions', kind, 'KID'):.4f}), recall {of(name, kind, 'recall'):.2f} (real "
        f"{of('real strips', kind, 'recall'):.2f}); a classifier for {STORY_NAMES[worst]} ranks a "
        f"real strip above a sample in {story[worst]:.0%} of pairs (50 % is chance).",
    )


def _and(words: list[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]
