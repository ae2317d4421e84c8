"""A folder of drawn strips, with the layout of downloaded ones.

drawn.json                      the seed and the drawing's version
strips/1978/1978-06-19.gif      a strip a day, Monday to Saturday
factors.jsonl                   a line a day: the factors of its strip, sorted by date
"""

import datetime
import json
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from garfield_vae.data.drawn.scene import draw_factors
from garfield_vae.data.drawn.story import imagine
from garfield_vae.util.errors import UserError
from garfield_vae.util.files import read_json, replacing

FIRST_DAY = datetime.date(1978, 6, 19)
VERSION = 1  # raise it when the same (seed, date) gives another picture or other factors
WRITERS = 8  # threads that wait for the disk


def draw_strip(seed: int, date: datetime.date) -> tuple[Image.Image, dict[str, str | float]]:
    """One day's strip, a palette image of 600 × 175, and its factors (see story.imagine).

    A pure function of a seed that is not negative and the date.
    """
    factors = imagine(seed, date)
    return draw_factors(factors), factors


def dailies(first: datetime.date, count: int) -> Iterator[datetime.date]:
    """`count` days from `first` on, without Sundays."""
    day = first
    while count > 0:
        if day.weekday() != 6:
            yield day
            count -= 1
        day += datetime.timedelta(days=1)


def draw_folder(folder: Path, count: int, seed: int = 0, first: datetime.date = FIRST_DAY) -> None:
    """Draws what is missing of `count` dailies from `first` on into `folder`.

    It may be killed at any moment: the next call goes on. Strips of other days stay. Raises
    UserError where the folder was drawn with another seed or version, or has other strips in it.
    """
    if count < 1:
        raise UserError(f"{count} drawn strips were asked for: ask for one or more.")
    if seed < 0:
        raise UserError(f"The seed of drawn strips is {seed}: choose one that is not negative.")
    try:
        days = list(dailies(first, count))
    except OverflowError:
        message = f"{count} days from {first} on end after the year 9999: begin earlier."
        raise UserError(message) from None
    _claim(folder, seed)
    missing = [day for day in days if not _place(folder, day).exists()]
    # Flushing a strip to the disk takes longer than drawing the next.
    with ThreadPoolExecutor(WRITERS) as writers:
        writing: deque[Future] = deque()
        for day in tqdm(missing, desc="drawing strips", unit=" strips", disable=None):
            writing.append(writers.submit(_write, _place(folder, day), draw_strip(seed, day)[0]))
            if len(writing) > 4 * WRITERS:
                writing.popleft().result()
        for write in writing:
            write.result()
    _list_factors(folder, seed)
    print(f"{folder}: drew {len(missing)} strips, {len(days) - len(missing)} were there.")


def _write(path: Path, strip: Image.Image) -> None:
    with replacing(path) as file:
        strip.save(file, "GIF", optimize=False)


def _place(folder: Path, day: datetime.date) -> Path:
    return folder / "strips" / str(day.year) / f"{day.isoformat()}.gif"


def _claim(folder: Path, seed: int) -> None:
    """Makes `folder` one of strips drawn with `seed`, or raises UserError where it is another's."""
    record, claim = folder / "drawn.json", {"seed": seed, "version": VERSION}
    try:
        found = read_json(record)
    except FileNotFoundError:
        strips = folder / "strips"
        if strips.is_dir() and any(strips.iterdir()):
            raise UserError(
                f"{strips} holds strips that were not drawn here: give another folder."
            ) from None
        with replacing(record, "w") as file:
            json.dump(claim, file)
        return
    except (ValueError, OSError) as error:
        raise UserError(
            f"{record} cannot be read ({error}): remove {folder} or give another folder."
        ) from None
    if found != claim:
        raise UserError(
            f"{folder} was drawn as {found}, and {claim} is asked for: "
            "remove the folder or give another."
        )


def _list_factors(folder: Path, seed: int) -> None:
    """Writes factors.jsonl for every strip in `folder`, unless it is there and right.

    The factors follow from seed and date, so a damaged file is simply written again.
    """
    days = []
    for path in (folder / "strips").glob("*/*.gif"):
        with suppress(ValueError):  # not a strip's name
            days.append(datetime.date.fromisoformat(path.stem))
    lines = "".join(f"{json.dumps(imagine(seed, day))}\n" for day in sorted(days)).encode()
    record = folder / "factors.jsonl"
    if not record.exists() or record.read_bytes() != lines:
        with replacing(record) as file:
            file.write(lines)
