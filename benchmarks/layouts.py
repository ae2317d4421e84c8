"""How often is a picture's number of panels judged rightly?

Pictures are laid out from panels of drawn strips: one to five panels, two or three tiers, with
gutters of every colour from white to black or with none, with and without a margin and borders,
clean or with noise and JPEG artefacts, at several sizes. Each is named by its layout, so that the
table says how many of each were left out: three panels never should be. A folder of strips that
all have three panels can be given too.

python benchmarks/layouts.py [FOLDER] [--count 40]
"""

import argparse
import io
import sys
from collections import Counter
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from garfield_vae.data.drawn import draw_strip
from garfield_vae.data.images import BrokenImage, open_strip
from garfield_vae.data.panels import Accept, cut_panels

GUTTERS = {
    "white": (255, 255, 255),
    "cream": (245, 235, 205),
    "grey": (150, 150, 150),
    "red": (190, 40, 40),
    "black": (0, 0, 0),
    "none": None,
}
LAYOUTS = {
    "3": (3,),
    "1": (1,),
    "2": (2,),
    "4": (4,),
    "5": (5,),
    "3 + 3": (3, 3),
    "2 + 2 + 2": (2,) * 3,
}


def page(tiers: tuple[int, ...], gutter: str, rng: np.random.Generator) -> Image.Image:
    """A picture with so many panels in each tier."""
    colour = GUTTERS[gutter]
    between = 0 if colour is None else int(rng.integers(5, 11))
    margin = int(rng.integers(0, 2)) * max(between, 4)
    height = 175 if len(tiers) == 1 else int(600 / rng.uniform(2.05, 2.5))
    picture = Image.new("RGB", (600, height), colour or "white")
    tall = (height - 2 * margin - between * (len(tiers) - 1)) // len(tiers)
    for tier, count in enumerate(tiers):
        ends = margin + (600 - 2 * margin) * np.arange(count + 1) / count
        ends[1:-1] += rng.uniform(-6, 6, count - 1)  # a daily's panels are not of one width
        for left, right in pairwise(ends):
            drawing, _ = draw_strip(1, date(1990, 1, 1) + timedelta(int(rng.integers(10_000))))
            start = 12 + 197 * int(rng.integers(3))
            part = drawing.convert("RGB").crop((start, 10, start + 172, 165))
            wide = round(right - left - between * (left > margin) / 2 - between * (right < 590) / 2)
            part = part.resize((max(wide, 20), tall))
            if rng.random() < 0.7 or colour is None:
                part = ImageOps.expand(ImageOps.crop(part, 2), 2, "black")
            at = round(left + between * (left > margin) / 2), margin + tier * (tall + between)
            picture.paste(part, at)
    return picture


def spoilt(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A scan of a picture: at another size, with noise, through JPEG."""
    scale = rng.uniform(0.7, 2)
    picture = picture.resize((round(600 * scale), round(picture.height * scale)))
    noise = rng.normal(0, rng.uniform(0, 14), (picture.height, picture.width, 3))
    picture = Image.fromarray((np.asarray(picture) + noise).clip(0, 255).astype(np.uint8))
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=int(rng.integers(40, 95)))
    return open_strip(content.getvalue())


def verdict(picture: Image.Image) -> str:
    """What the picture was left out as, or "kept"."""
    try:
        cut_panels(picture, 16, 16, Accept.THREE)
    except BrokenImage as error:
        return getattr(error, "kind", error.reason)
    return "kept"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="strips of three panels")
    parser.add_argument("--count", type=int, default=40, help="pictures of each kind (default: 40)")
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    print("| panels | gutters | clean | scanned |\n|---|---|---|---|")
    for name, tiers in LAYOUTS.items():
        for gutter in GUTTERS if tiers != (1,) else ("white", "black"):
            cells = []
            for spoil in (False, True):
                found: Counter[str] = Counter()
                for _ in range(arguments.count):
                    picture = page(tiers, gutter, rng)
                    found[verdict(spoilt(picture, rng) if spoil else picture)] += 1
                cells.append(", ".join(f"{count} {what}" for what, count in found.most_common()))
            print(f"| {name} | {gutter} | {' | '.join(cells)} |", flush=True)
    if arguments.folder:
        paths = [path for path in sorted(arguments.folder.rglob("*")) if path.is_file()]
        found = Counter(verdict(open_strip(path)) for path in paths)
        print(f"\n{len(paths)} strips of {arguments.folder}: {dict(found)}")


if __name__ == "__main__":
    main()
