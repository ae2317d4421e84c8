"""The day that a strip was printed, from the name that some tool or person gave to its file.

Names are read as a whole folder, because one alone can mean several days: 03-04-85 is a day in
March, April or 2003. Each way to read a name is tried on every file, and the way that makes the
best sense of most files is accepted: all its numbers are days, few of them Sundays, many of them
follow each other.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from functools import cache
from itertools import pairwise
from pathlib import PurePosixPath
from urllib.parse import unquote

EARLIEST = date(1890, 1, 1)  # before the first comic strips
AHEAD = timedelta(366)  # archives hold strips that are printed later

# In English, German, French, Spanish, Italian, Portuguese and Dutch, without accents.
MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan januar janvier enero gennaio janeiro januari",
            "february feb februar fevrier febrero febbraio fevereiro februari",
            "march mar marz maerz mars marzo marco maart",
            "april apr avril abril aprile",
            "may mai mayo maggio maio mei",
            "june jun juni juin junio giugno junho",
            "july jul juli juillet julio luglio julho",
            "august aug aout agosto augustus",
            "september sept sep septembre septiembre settembre setembro",
            "october oct oktober octobre octubre ottobre outubro",
            "november nov novembre noviembre novembro",
            "december dec dezember decembre diciembre dicembre dezembro",
        ),
        1,
    )
    for name in names.split()
}
MONTH = f"(?P<M>{'|'.join(sorted(MONTHS, key=len, reverse=True))})"
GAP = r"(?:[\s._,/年月-]{1,3}|[\s_]de[\s_]|[\s_]of[\s_])"  # between the parts of a date
WORDS = r"[^\d/]*"
YEAR, YY = r"(?<!\d)(?P<y>(?:18|19|20)\d\d)", r"(?P<y>\d\d)"
END = r"(?!\d)"

# Ways to read a name, by how much they say: those of a later rank are tried on what is left. A
# number that is no day in one way counts against that way, except in the first rank.
WAYS: dict[str, tuple[int, str]] = {
    "1985-03-12": (0, rf"{YEAR}{GAP}(?P<m>\d\d?){GAP}(?P<d>\d\d?){END}"),
    "19850312": (0, rf"{YEAR}(?P<m>\d\d)(?P<d>\d\d){END}"),
    "198503-12": (0, rf"{YEAR}(?P<m>\d\d){GAP}(?P<d>\d\d){END}"),
    "1985-0312": (0, rf"{YEAR}{GAP}(?P<m>\d\d)(?P<d>\d\d){END}"),
    "March 12, 1985": (0, rf"(?<![a-z]){MONTH}{GAP}(?P<d>\d\d?)(?:st|nd|rd|th)?{GAP}{YEAR}{END}"),
    "12 March 1985": (
        0,
        rf"(?<!\d)(?P<d>\d\d?)(?:st|nd|rd|th)?(?:{GAP})?{MONTH}(?:{GAP})?{YEAR}{END}",
    ),
    "1985 March 12": (0, rf"{YEAR}(?:{GAP})?{MONTH}(?:{GAP})?(?P<d>\d\d?)(?:st|nd|rd|th)?{END}"),
    "1985/03 March/12": (0, rf"{YEAR}/(?P<m>\d\d)[^\d/]+/{WORDS}(?P<d>\d\d?){END}"),
    "03-12-1985": (1, rf"(?<!\d)(?P<m>\d\d?){GAP}(?P<d>\d\d?){GAP}{YEAR}{END}"),
    "12-03-1985": (1, rf"(?<!\d)(?P<d>\d\d?){GAP}(?P<m>\d\d?){GAP}{YEAR}{END}"),
    "03121985": (1, r"(?<!\d)(?P<m>\d\d)(?P<d>\d\d)(?P<y>(?:19|20)\d\d)" + END),
    "12031985": (1, r"(?<!\d)(?P<d>\d\d)(?P<m>\d\d)(?P<y>(?:19|20)\d\d)" + END),
    "1985/garfield 03-12": (
        1,
        rf"{YEAR}[^\d/]*/{WORDS}(?<!\d)(?P<m>\d\d?){GAP}(?P<d>\d\d?){END}",
    ),
    "1985/garfield 0312": (1, rf"{YEAR}[^\d/]*/{WORDS}(?P<m>\d\d)(?P<d>\d\d){END}"),
    "1985/03/garfield 12": (1, rf"{YEAR}[/.-](?P<m>\d\d?)/{WORDS}(?P<d>\d\d?){END}"),
    "1985/March/garfield 12": (
        1,
        rf"{YEAR}[^\d/]*/{WORDS}{MONTH}{WORDS}/{WORDS}(?P<d>\d\d?)(?:st|nd|rd|th)?{END}",
    ),
    "1985/garfield March 12": (
        1,
        rf"{YEAR}[^\d/]*/{WORDS}{MONTH}(?:{GAP})?(?P<d>\d\d?)(?:st|nd|rd|th)?{END}",
    ),
    "1985/12 March": (
        1,
        rf"{YEAR}[^\d/]*/{WORDS}(?<!\d)(?P<d>\d\d?)(?:st|nd|rd|th)?(?:{GAP})?{MONTH}",
    ),
    "850312": (2, rf"(?<!\d){YY}(?P<m>\d\d)(?P<d>\d\d){END}"),
    "031285": (2, rf"(?<!\d)(?P<m>\d\d)(?P<d>\d\d){YY}{END}"),
    "120385": (2, rf"(?<!\d)(?P<d>\d\d)(?P<m>\d\d){YY}{END}"),
    "85-03-12": (2, rf"(?<!\d){YY}{GAP}(?P<m>\d\d?){GAP}(?P<d>\d\d?){END}"),
    "03-12-85": (2, rf"(?<!\d)(?P<m>\d\d?){GAP}(?P<d>\d\d?){GAP}{YY}{END}"),
    "12-03-85": (2, rf"(?<!\d)(?P<d>\d\d?){GAP}(?P<m>\d\d?){GAP}{YY}{END}"),
    "March 12, 85": (2, rf"(?<![a-z]){MONTH}{GAP}(?P<d>\d\d?)(?:st|nd|rd|th)?{GAP}{YY}{END}"),
    "12 March 85": (2, rf"(?<!\d)(?P<d>\d\d?)(?:st|nd|rd|th)?(?:{GAP})?{MONTH}(?:{GAP})?{YY}{END}"),
}
PATTERNS = {way: (rank, re.compile(pattern)) for way, (rank, pattern) in WAYS.items()}
# Random letters and digits, as in 1985-03-12_9f86d081884c7d65.gif, hold no dates.
HASH = re.compile(
    r"(?<![0-9a-z])(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{15,})(?![0-9a-z])"
)

Reading = tuple[str, int]  # a way, and which of the places that fit it, from the left


def dates_of(paths: Sequence[str]) -> dict[str, date | None]:
    """The day of each strip, or None, from its path in the folder ("1985/ga850312.gif").

    A way of reading is accepted when at least nine tenths of the names that have its shape are days
    in it, and when it does not give many files of one folder the same day, as the date of a scan
    or of a download would. Among the ways that read a name, the one is accepted that reads most
    of the folder and, of those, makes the fewest Sundays and the most days in a row.
    """
    dates: dict[str, date | None] = dict.fromkeys(paths)
    texts = {path: _plain(path) for path in paths}
    for rank in (0, 1, 2):
        left = [path for path in paths if dates[path] is None]
        readings: dict[Reading, dict[str, date | None]] = {}
        for path in left:
            for reading, day in _readings(texts[path], rank):
                readings.setdefault(reading, {})[path] = day
        while readings:
            best = max(readings, key=lambda reading: _sense(readings[reading], rank, reading))
            accepted = readings.pop(best)
            if _sense(accepted, rank, best)[0]:
                for path, day in accepted.items():
                    dates[path] = dates[path] or day
                readings = {
                    reading: remaining
                    for reading, days in readings.items()
                    if (remaining := {p: day for p, day in days.items() if dates[p] is None})
                }
    return dates


def _plain(path: str) -> str:
    """A path in lower case without accents or its extension, dashes hyphens, hashes cut out.

    Digits of any script are 0 to 9; %2F and the like, of names that were addresses, are decoded.
    """
    plain = unicodedata.normalize("NFKD", unquote(path)).lower()
    plain = "".join(str(unicodedata.decimal(c, c)) for c in plain)
    pure = PurePosixPath("".join(c for c in plain if not unicodedata.combining(c)))
    text = (pure.with_suffix("") if re.fullmatch(r"\.[a-z]+", pure.suffix) else pure).as_posix()
    text = "".join("-" if unicodedata.category(c) == "Pd" or c == "−" else c for c in text)
    return HASH.sub("#", text)


def _readings(text: str, rank: int) -> Iterator[tuple[Reading, date | None]]:
    """Every reading of a rank that a name has the shape of, with its day (None: there is none)."""
    for way, (its_rank, pattern) in PATTERNS.items():
        if its_rank != rank:
            continue
        for place, match in enumerate(pattern.finditer(text)):
            parts = match.groupdict()
            month = int(parts["m"]) if parts.get("m") else MONTHS[parts["M"]]
            yield (way, place), _day(int(parts["y"]), month, int(parts["d"]))


@cache
def _day(year: int, month: int, day: int) -> date | None:
    latest = date.today() + AHEAD
    if year < 100:
        year += 2000 if 2000 + year <= latest.year else 1900
    try:
        found = date(year, month, day)
    except ValueError:
        return None
    return found if EARLIEST <= found <= latest else None


def _sense(days: dict[str, date | None], rank: int, reading: Reading) -> tuple:
    """How much sense a reading makes, to be compared; its first part says whether it is to be
    accepted at all. days: the day of each path that has the reading's shape."""
    found = [day for day in days.values() if day]
    if not found:
        return (False,)
    folders = Counter((path.rpartition("/")[0], day) for path, day in days.items() if day)
    distinct = sorted(set(found))
    accepted = len(folders) >= 0.3 * len(found)
    if rank > 0:
        accepted &= len(found) >= 0.9 * len(days)
    if rank == 2:
        accepted &= not _counts(days)
    sundays = sum(day.weekday() == 6 for day in distinct) / len(distinct)
    steps = pairwise(distinct)
    in_a_row = sum((after - before).days <= 2 for before, after in steps) / len(distinct)
    # How many days, in tenths, before how likely they are: of orders that nearly all files fit,
    # the likeliest is right. The order of WAYS settles the rest: a year first, a month first.
    order = -list(PATTERNS).index(reading[0])
    reads = round(10 * len(folders) / len(days)) if rank else 10
    share = len(found).bit_length()
    return (
        accepted,
        reads,
        share,
        len(folders) / len(found) > 0.9,
        round(in_a_row - sundays, 2),
        order,
    )


def _counts(days: dict[str, date | None]) -> bool:
    """Whether six digits are rather a running number: they go on at the end of a month.

    days: by path. A count has numbers that are no days (850132), or goes on from one day to the
    next over the Sundays that a daily leaves out, and starts and ends anywhere.
    """
    numbers = sorted(
        int(match[0]) for path in days if (match := re.search(r"(?<!\d)\d{6}(?!\d)", _plain(path)))
    )
    if len(numbers) < len(days) or len(numbers) < 2:
        return False
    steps = [after - before for before, after in pairwise(numbers)]
    consecutive = sum(step == 1 for step in steps) / len(steps)
    sundays = any(day and day.weekday() == 6 for day in days.values())
    return consecutive == 1 and sundays and len(numbers) < 28
