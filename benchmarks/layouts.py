"""How often are a picture's panels counted rightly?

Pictures are laid out from panels of drawn strips: one to five panels, two or three tiers, Sundays
with a title panel, with gutters of every colour from white to black or with none, with and without
a margin and borders, clean or with noise and JPEG artefacts, at several sizes. Banners,
photographs and blank pictures are among them. The table says what they were left out as, which
those of three panels never should be. A folder of strips with three panels can be given, too.

python benchmarks/layouts.py [FOLDER] [--count 40]
"""

import argparse
import io
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageOps

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from garfield_vae.data.drawn import draw_strip
from garfield_vae.data.images import SUFFIXES, BrokenImage, open_strip
from garfield_vae.data.panels import Accept, cut_panels

GUTTERS = {
    "white": (255, 255, 255),
    "cream": (245, 235, 205),
    "grey": (150, 150, 150),
    "red": (190, 40, 40),
    "black": (0, 0, 0),
    "none": None,
}
# The widths of the panels of each tier, as shares of the whole.
LAYOUTS = {
    "3": ((1 / 3,) * 3,),
    "1": ((1.0,),),
    "2": ((1 / 2,) * 2,),
    "4": ((1 / 4,) * 4,),
    "5": ((1 / 5,) * 5,),
    "3 + 3": ((1 / 3,) * 3,) * 2,
    "2 + 2 + 2": ((1 / 2,) * 2,) * 3,
    "title + 1, 3": ((0.6, 0.4), (0.3, 0.35, 0.35)),
}


def page(widths: tuple[tuple[float, ...], ...], gutter: str, rng: np.random.Generator, title=False):
    """A picture with panels of such widths in each tier; the first of them may be a title."""
    colour = GUTTERS[gutter]
    between = 0 if colour is None else int(rng.integers(5, 11))
    margin = int(rng.integers(0, 2)) * max(between, 4)
    height = 175 if len(widths) == 1 else int(600 / rng.uniform(2.05, 2.5))
    picture = Image.new("RGB", (600, height), colour or "white")
    tall = (height - 2 * margin - between * (len(widths) - 1)) // len(widths)
    for tier, shares in enumerate(widths):
        ends = margin + (600 - 2 * margin) * np.cumsum((0, *shares))
        ends[1:-1] += rng.uniform(-6, 6, len(shares) - 1)  # a daily's panels differ in width
        for number, (left, right) in enumerate(pairwise(ends)):
            wide = round(right - left - between * (left > margin) / 2 - between * (right < 590) / 2)
            if title and tier == number == 0:
                part = banner(rng).resize((wide, tall))
            else:
                part = _panel(rng).resize((max(wide, 20), tall))
            if rng.random() < 0.7 or colour is None:
                part = ImageOps.expand(ImageOps.crop(part, 2), 2, "black")
            at = round(left + between * (left > margin) / 2), margin + tier * (tall + between)
            picture.paste(part, at)
    return picture


def _panel(rng: np.random.Generator) -> Image.Image:
    drawing, _ = draw_strip(1, date(1990, 1, 1) + timedelta(int(rng.integers(10_000))))
    start = 12 + 197 * int(rng.integers(3))
    return drawing.convert("RGB").crop((start, 10, start + 172, 165))


def banner(rng: np.random.Generator) -> Image.Image:
    """Large letters and a shape on a ground that changes from one colour to another."""
    wide = int(rng.integers(400, 640))
    ends = rng.integers(60, 255, (2, 1, 1, 3))
    across = np.linspace(0, 1, wide)[None, :, None]
    ground = np.broadcast_to(ends[0] + (ends[1] - ends[0]) * across, (175, wide, 3))
    picture = Image.fromarray(ground.astype(np.uint8))
    pen = ImageDraw.Draw(picture)
    ink = tuple(rng.integers(0, 60, 3))
    pen.text((20, 50), "DAILY COMICS"[: wide // 50], fill=ink, font_size=64)
    x, y, r = wide - 90, 90, int(rng.integers(30, 70))
    pen.ellipse((x - r, y - r, x + r, y + r), fill=tuple(rng.integers(0, 255, 3)))
    return picture


def photograph(rng: np.random.Generator) -> Image.Image:
    """Light and shadow on every scale (1/f noise), and a few blurred bodies in front of it."""
    scales = np.hypot(np.fft.fftfreq(200)[:, None], np.fft.rfftfreq(600)[None])
    noise = np.fft.rfft2(rng.normal(size=(3, 200, 600))) / np.maximum(scales, 1 / 600) ** 1.3
    light = np.fft.irfft2(noise, s=(200, 600))
    light = 0.6 * light + light.mean(axis=0)
    picture = np.clip(128 + 60 * light / light.std(), 0, 255)
    y, x = np.mgrid[:200, :600]
    for _ in range(int(rng.integers(2, 6))):
        place, size = rng.uniform((0, 0), (200, 600)), rng.uniform(20, 90, 2)
        inside = np.hypot((y - place[0]) / size[0], (x - place[1]) / size[1])
        share = 1 / (1 + np.exp(20 * (inside - 1)))
        picture += share * (rng.uniform(0, 255, (3, 1, 1)) - picture)
    return Image.fromarray(np.moveaxis(picture, 0, 2).astype(np.uint8))


def blank(rng: np.random.Generator) -> Image.Image:
    return Image.new("RGB", (600, 175), tuple(rng.integers(0, 256, 3)))


def scanned(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A scan of a picture: at another size, with noise, through JPEG."""
    scale = rng.uniform(0.7, 2)
    picture = picture.resize((round(picture.width * scale), round(picture.height * scale)))
    noise = rng.normal(0, rng.uniform(0, 14), (picture.height, picture.width, 3))
    picture = Image.fromarray((np.asarray(picture) + noise).clip(0, 255).astype(np.uint8))
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=int(rng.integers(40, 95)))
    return open_strip(content.getvalue())


def kinds() -> Iterator[tuple[str, str, partial]]:
    """Every kind of picture: its layout, its gutters' colour, and what draws one with a rng."""
    for name, widths in LAYOUTS.items():
        for gutter in GUTTERS if widths != LAYOUTS["1"] else ("white", "black"):
            yield name, gutter, partial(page, widths, gutter, title="title" in name)
    for draw in (banner, photograph, blank):
        yield draw.__name__, "", draw


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
    for name, gutter, draw in kinds():
        pictures = [draw(rng=rng) for _ in range(arguments.count)]
        cells = []
        for shown in (pictures, [scanned(picture, rng) for picture in pictures]):
            found = Counter(map(verdict, shown))
            cells.append(", ".join(f"{count} {what}" for what, count in found.most_common()))
        print(f"| {name} | {gutter} | {' | '.join(cells)} |", flush=True)
    if arguments.folder:
        paths = [path for path in sorted(arguments.folder.rglob("*")) if path.suffix in SUFFIXES]
        found = Counter(verdict(open_strip(path)) for path in paths)
        print(f"\n{len(paths)} strips of {arguments.folder}: {dict(found)}")


if __name__ == "__main__":
    main()
