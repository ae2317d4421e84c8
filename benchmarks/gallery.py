"""The README's samples beside their nearest training strips, reconstructions and morph.

    python benchmarks/gallery.py --experiment_dir logs/RUN

From a run on drawn strips that has a latent prior, never from one on strips of somebody else. The
README's other picture is a screenshot of the explorer.
"""

import argparse
import itertools
import sys
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.runs import load_trained
from garfield_vae.data.panels import join_panels
from garfield_vae.gallery import redrawn
from garfield_vae.latent.codec import FIT_STEPS, decode, encode
from garfield_vae.util.pictures import save_gif, save_png, sheet

PLACE = Path(__file__).resolve().parent.parent / ".github" / "pictures"
WIDTH = 400  # of a strip
RECONSTRUCTED = 5
MORPH_ENDS, MORPH_FRAMES = 3, 8  # strips that the animation passes; steps from one to the next
MORPH_WIDTH = 400


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--experiment_dir", required=True, help="a run's folder")
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    run, store, encoded, prior = load_trained(options.experiment_dir)
    if prior is None:
        raise SystemExit(f"{run.folder} has no latent prior worth drawing from")

    latents = prior.sample(options.samples, options.seed)
    train = store.split("train")
    nearest = train[nearest_rows(latents, encoded.means[train])]
    both = np.stack([decode(run.model, latents), store.panels[nearest]], axis=1)
    labels = ["sample", "nearest training strip"] * options.samples
    page = sheet(join_panels(both.reshape(-1, *both.shape[2:])), 4, WIDTH, labels)
    print(save_png(PLACE / "samples.png", light(page)))

    # Spread over the test strips: neighbours are days of one week, and tell one story.
    test = store.split("test")
    rows = test[np.linspace(0, len(test) - 1, RECONSTRUCTED).astype(int)]
    strips = store.panels[rows]
    names = [store.names[row] for row in rows]
    page = redrawn(run, strips, names, FIT_STEPS)
    page = page.resize((960, page.height * 960 // page.width), Image.Resampling.LANCZOS)
    print(save_png(PLACE / "reconstructions.png", light(page)))

    rows = test[np.linspace(0, len(test) - 1, MORPH_ENDS).astype(int)]
    ends, _ = encode(run.model, store.panels[rows])
    shares = np.linspace(0, 1, MORPH_FRAMES, endpoint=False)
    parts = [prior.morph(*pair)(shares) for pair in itertools.pairwise(ends)]
    frames = decode(run.model, np.concatenate([*parts, ends[-1:]]))
    print(save_gif(PLACE / "morph.gif", join_panels(frames), width=MORPH_WIDTH, seconds=3.0))


def nearest_rows(latents: np.ndarray, means: np.ndarray) -> np.ndarray:
    """For each of latents [n, z], the row of means [N, z] at the least distance."""
    return np.array([np.square(means - latent).sum(axis=1).argmin() for latent in latents])


def light(page: Image.Image) -> Image.Image:
    """256 colours: a quarter of the bytes that everybody who clones the project would fetch."""
    return page.quantize(256, dither=Image.Dither.FLOYDSTEINBERG)


if __name__ == "__main__":
    main()
