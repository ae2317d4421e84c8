"""How many strips of a folder are cut through something other than a gutter?

Each band that was cut out is measured in the strip: its share of white, the ink at its sides, its
distance from the usual place and width. A band is doubtful, and to be looked at, when a column well
inside it is mostly ink, when neither side has an edge, or when it is an outlier. The sheet shows
every band with its surroundings, doubtful ones first, between red marks.

Last, each panel and each two neighbours are cut out: how clear the clearest gutter in them is, and
whether they are counted as what they are, as in a picture of a strip that is only begun.

python benchmarks/gutters.py FOLDER [--sheet FILE.png]
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from garfield_vae.data.begun import begun_panels
from garfield_vae.data.images import BrokenImage, open_strip
from garfield_vae.data.panels import Picture, find_gutters, gutter_score, whiteness

AROUND = 0.03  # of the strip's width, to each side, on the sheet


def measure(pixels: np.ndarray, start: int, end: int) -> dict:
    """Figures of one band of a strip, uint8 [h, w, 3]; a pixel below 200 is ink."""
    width = pixels.shape[1]
    ink = pixels.min(axis=2) < 200
    columns = ink[:, start:end].mean(axis=0)
    margin = max(1, (end - start) // 6)
    beside = max(1, round(0.003 * width))
    return {
        "centre": (start + end) / 2 / width,
        "width": (end - start) / width,
        "ink": columns.mean(),
        "darkest": columns[margin:-margin].max(),
        "clean": 1 - ink[:, start:end].any(axis=1).mean(),
        "left": ink[:, max(start - beside, 0) : start].mean(axis=0).max(),
        "right": ink[:, end : end + beside].mean(axis=0).max(),
    }


def doubts(band: dict, centre: float, width: float) -> list[str]:
    """What speaks against a band, given the medians of all bands of its gutter."""
    found = []
    if band["darkest"] > 0.6:
        found.append(f"a column inside is {band['darkest']:.0%} ink")
    if max(band["left"], band["right"]) < 0.5:
        found.append("neither side has an edge")
    if abs(band["centre"] - centre) > 0.012:
        found.append(f"{abs(band['centre'] - centre):.1%} of the width from the median place")
    if band["width"] > 2 * width:
        found.append("more than twice the median width")
    return found


def tile(pixels: np.ndarray, start: int, end: int) -> np.ndarray:
    """A band with its surroundings, uint8 [200, 72, 3]."""
    width = pixels.shape[1]
    left = max(0, round((start + end) / 2 - AROUND * width))
    right = round((start + end) / 2 + AROUND * width)
    part = pixels[:, left:right].copy()
    mark = max(3, len(part) // 60)
    part[:mark, start - left : end - left] = part[-mark:, start - left : end - left] = (255, 0, 0)
    return np.asarray(Image.fromarray(part).resize((68, 196), Image.Resampling.BOX))


def parts(image: Image.Image, gutters: list[tuple[int, int]]) -> Iterator[tuple[int, Image.Image]]:
    """Each panel of a strip and each two neighbours, cut out of it, with their number."""
    (end_1, start_2), (end_2, start_3) = gutters
    panels = [(0, end_1), (start_2, end_2), (start_3, image.width)]
    for count in (1, 2):
        for first, last in zip(panels, panels[count - 1 :], strict=False):
            yield count, image.crop((first[0], 0, last[1], image.height))


def is_counted(part: Image.Image, count: int) -> bool:
    try:
        return begun_panels(Picture(part)) == count
    except BrokenImage:
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="strips, nested as you like")
    parser.add_argument("--sheet", type=Path, help="write a picture of all cuts here")
    arguments = parser.parse_args()

    bands, tiles, thirds, broken = [], [], 0, 0
    clearness, counted = {1: [], 2: []}, {1: 0, 2: 0}
    paths = sorted(p for p in arguments.folder.rglob("*") if p.suffix in (".gif", ".jpg", ".png"))
    for path in tqdm(paths, disable=None):
        try:
            image = open_strip(path).convert("RGB")
        except BrokenImage as error:
            print(error)
            broken += 1
            continue
        pixels = np.asarray(image)
        gutters = find_gutters(whiteness(pixels))
        for count, part in parts(image, gutters):
            clearness[count].append(gutter_score(Picture(part), 2))
            counted[count] += is_counted(part, count)
        third = pixels.shape[1] / 3
        thirds += all(s <= (k + 1) * third < e for k, (s, e) in enumerate(gutters))
        for number, (start, end) in enumerate(gutters):
            bands.append({"name": path.stem, "gutter": number} | measure(pixels, start, end))
            tiles.append(tile(pixels, start, end))
    if not bands:
        parser.error(f"{arguments.folder} holds no strips")

    middles = [
        [np.median([b[key] for b in bands if b["gutter"] == n]) for key in ("centre", "width")]
        for n in (0, 1)
    ]
    print("| | gutter 1: median (least to most) | gutter 2 |")
    print("|---|---|---|")
    for key in ("centre", "width", "ink", "darkest", "clean", "left", "right"):
        cells = []
        for number in (0, 1):
            values = [band[key] for band in bands if band["gutter"] == number]
            cells.append(f"{np.median(values):.4f} ({min(values):.4f} to {max(values):.4f})")
        print(f"| {key} | {' | '.join(cells)} |")

    reasons = [doubts(band, *middles[band["gutter"]]) for band in bands]
    doubtful = sorted({band["name"] for band, why in zip(bands, reasons, strict=True) if why})
    print(f"\n{len(bands) // 2} strips, {broken} broken; {len(doubtful)} to be looked at:")
    for band, why in zip(bands, reasons, strict=True):
        if why:
            print(f"  {band['name']} gutter {band['gutter'] + 1}: {', '.join(why)}")
    print(f"Cuts at one third and two thirds would both fall into the gutters of {thirds} strips.")
    for count, what, worst, words in (
        (1, "single panels", max, "most"),
        (2, "pairs of panels", min, "least"),
    ):
        scores = clearness[count]
        print(
            f"{counted[count]} of {len(scores)} {what} are counted as such; the clearest gutter in "
            f"them scores {np.median(scores):.2f} in the median, {worst(scores):.2f} at {words}"
        )

    if arguments.sheet:
        order = sorted(range(len(tiles)), key=lambda n: (not reasons[n], bands[n]["gutter"], n))
        framed = [np.pad(tiles[n], ((2, 2), (2, 2), (0, 0))) for n in order]
        framed += [np.zeros_like(framed[0])] * (-len(framed) % 35)
        rows = [np.concatenate(framed[n : n + 35], axis=1) for n in range(0, len(framed), 35)]
        Image.fromarray(np.concatenate(rows)).save(arguments.sheet)
        print(f"All cuts are in {arguments.sheet}, those to be looked at first.")


if __name__ == "__main__":
    main()
