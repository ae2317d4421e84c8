"""What does beta buy? Trains at several betas and plots held-out distortion over rate.

    python benchmarks/rate_distortion.py                                    drawn strips
    python benchmarks/rate_distortion.py --source folder --data_dir DIR     your own

Every beta is a run of train_torch.py with the same strips, seed and number of epochs; flags that
are not listed here are passed to it. Rate and distortion are those of the
test strips, after training. One beta is "auto", the calibrated one; the others are multiples of
the value that it ended with. Runs that are in --output already are measured, not trained again.

Written into --output: rate_distortion.json and .svg. The area under the curve is taken over
the logarithm of the rate, between the lowest and the highest rate of all runs; less is better at
equal ends, so compare areas only of the same --multiples and strips.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import train_torch
from garfield_vae.checkpoints import load_run
from garfield_vae.data.sources import present_strips
from garfield_vae.evaluation.compression import compression_figures
from garfield_vae.latent.codec import encode
from garfield_vae.run_folder import write_json
from garfield_vae.util.charts import Series, as_svg, line_chart
from garfield_vae.util.files import replacing

DEFAULTS = [
    *("--source", "drawn", "--count", "600", "--epochs", "20", "--z_dim", "128"),
    *("--prior_minutes", "0"),
]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--multiples",
        default="0.1,0.3,1,10,100,1000",
        help="betas as multiples of the calibrated one, with commas; 1 is trained first, as auto",
    )
    parser.add_argument("--output", type=Path, default=Path("logs/rate_distortion"))
    options, flags = parser.parse_known_args()

    multiples = sorted(float(m) for m in options.multiples.split(",") if float(m) != 1)
    points = [train_and_measure(flags, "auto", options.output) | {"multiple": 1.0}]
    for multiple in multiples:
        beta = multiple * points[0]["calibrated"]
        point = train_and_measure(flags, f"{beta:.4g}", options.output)
        points.append(point | {"multiple": multiple})
    points.sort(key=lambda point: point["rate"])
    area = area_under(points)
    for line in table(points):
        print(line)
    print(f"area under the curve, MSE over ln(rate): {area:.4f}")
    write_json(options.output / "rate_distortion.json", {"points": points, "area": area})
    with replacing(options.output / "rate_distortion.svg", "w") as file:
        file.write(as_svg(chart(points)))
    print(f"wrote {options.output / 'rate_distortion.svg'} and .json")


def train_and_measure(flags: list[str], beta: str, output: Path) -> dict[str, float]:
    """Trains at one beta by train_torch.py, unless that run is there, and measures it."""
    name = f"beta_{beta}"
    if not (output / name / "checkpoints" / "last.ckpt").is_file():
        own = ["--beta", beta, "--log_dir", str(output), "--run_name", name]
        if status := train_torch.main([*DEFAULTS, *flags, *own]):
            raise SystemExit(status)
    run = load_run(output / name)
    store = present_strips(run.options)
    strips = store.panels[store.split("test")]
    means, variances = encode(run.model, strips)
    rng = np.random.default_rng(0)
    figures = compression_figures(run.model, strips, means, variances, beta=None, rng=rng)
    calibrated = figures["calibrated beta"]
    return {
        "beta": calibrated if beta == "auto" else float(beta),
        "calibrated": calibrated,
        "rate": figures["rate"].value,
        "distortion": figures["sampled MSE"].value,
        "active units": figures["active units"],
        "bits per dimension": figures["ELBO, continuous"].value,
    }


def area_under(points: list[dict[str, float]]) -> float:
    """Trapezoids of distortion over the natural logarithm of the rate (one nat at least)."""
    places = np.log([max(point["rate"], 1.0) for point in points])
    return float(np.trapezoid([point["distortion"] for point in points], places))


def table(points: list[dict[str, float]]) -> list[str]:
    lines = [
        f"{'multiple':>8} {'beta':>10} {'rate, nats':>11} {'test MSE':>9} {'active':>7} "
        f"{'bits/dim':>9}"
    ]
    for point in points:
        lines.append(
            f"{point['multiple']:>8g} {point['beta']:>10.2e} {point['rate']:>11.1f} "
            f"{point['distortion']:>9.4f} {point['active units']:>7} "
            f"{point['bits per dimension']:>9.4f}"
        )
    return lines


def chart(points: list[dict[str, float]]):
    curve = [(max(point["rate"], 1.0), point["distortion"]) for point in points]
    names = [f"{point['multiple']:g}×" for point in points]
    labels = ("rate, nats a strip; points: beta over the calibrated one", "mean squared error")
    return line_chart([Series("test strips", curve, names)], *labels, dots=True, log_x=True)


if __name__ == "__main__":
    main()
