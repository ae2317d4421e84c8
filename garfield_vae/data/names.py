"""The day that a strip was printed, from its file's name.

A whole folder's names are read together, because one alone can mean several days: 03-04-85 is a
day in March, April or 2003. Each format of a date is tried on every name, and the one that fits the
folder best is accepted: its numbers are all days, few of them Sundays, many of them consecutive.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import PurePosixPath
from urllib.parse import unquote

EARLIEST = date(1890, 1, 1)  # before the first comic strips
AHEAD = timedelta(366)  # archives hold strips that are printed later

# In English, German, French, Spanish, Italian, Portuguese, Dutch, Swedish, Polish and Russian,
# without accents.
MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan januar janvier enero gennaio janeiro januari janv stycznia января",
            "february feb februar fevrier febrero febbraio fevereiro februari fevr lutego февраля",
            "march mar marz maerz mars marzo marco maart marca марта",
            "april apr avril abril aprile avr kwietnia апреля",
            "may mai mayo maggio maio mei maj maja мая",
            "june jun juni juin junio giugno junho czerwca июня",
            "july jul juli juillet julio luglio julho juil lipca июля",
            "august aug aout agosto augustus augusti sierpnia августа",
            "september sept sep septembre septiembre settembre setembro wrzesnia сентября",
            "october oct oktober octobre octubre ottobre outubro okt pazdziernika октября",
            "november nov novembre noviembre novembro listopada ноября",
            "december dec dezember decembre diciembre dicembre dezembro dez grudnia декабря",
        ),
        1,
    )
    for name in names.split()
}
MONTH = f"(?P<M>{'|'.join(sorted(MONTHS, key=len, reverse=True))})"
YEAR_MONTH = unicodedata.normalize("NFKD", "[年月]|년|월")  # written after the numbers
# Between the parts of a date.
GAP = rf"(?:(?:[\s._,/+~'’\[\]-]|{YEAR_MONTH}){{1,3}}|[\s_]del?[\s_]|[\s_]of[\s_])"
DAY = r"(?P<d>\d\d?)(?:st|nd|rd|th|er)?"
WORDS = r"[^\d/]*"
WEEK = r"(?:[a-z][^/\d]*\d/)?"  # a folder of a month's folder, such as "week 2"
# In a year's folder, perhaps in a week's or a season's in it.
IN_YEAR = r"[^\d/]*/(?!\d{4}/)(?:(?![^/]*\d{4})[^/]*/)?"
YEAR, YY = r"(?<!\d)(?P<y>(?:18|19|20)\d\d)", r"(?P<y>\d\d)"
END = r"(?!\d)"

# Formats with their rank, 0 being the least ambiguous: a later rank is tried on the names that are
# left. A number that is no day counts against its format, except in rank 0.
FORMATS: dict[str, tuple[int, str]] = {
    "1985-03-12": (0, rf"{YEAR}(?!/\d\d?[^\d/]){GAP}(?P<m>\d\d?){GAP}(?P<d>\d\d?){END}"),
    "19850312": (0, rf"{YEAR}(?P<m>\d\d)(?P<d>\d\d)(?:\d{{6}})?{END}"),  # and hhmmss
    "198503-12": (0, rf"{YEAR}(?P<m>\d\d){GAP}(?P<d>\d\d){END}"),
    "1985-0312": (0, rf"{YEAR}(?!/){GAP}(?P<m>\d\d)(?P<d>\d\d){END}"),
    "March 12, 1985": (0, rf"(?<![a-z]){MONTH}{GAP}{DAY}{GAP}{YEAR}{END}"),
    "12 March 1985": (
        0,
        rf"(?<!\d){DAY}(?:{GAP})?{MONTH}(?:{GAP})?{YEAR}{END}",
    ),
    "1985 March 12": (0, rf"{YEAR}(?:{GAP})?{MONTH}(?:{GAP})?{DAY}{END}"),
    "1985/03 March/12": (0, rf"{YEAR}/(?P<m>\d\d)[^\d/]+/{WORDS}(?P<d>\d\d?){END}"),
    "03-12-1985": (1, rf"(?<!\d)(?P<m>\d\d?){GAP}(?P<d>\d\d?){GAP}{YEAR}{END}"),
    "12-03-1985": (1, rf"(?<!\d)(?P<d>\d\d?){GAP}(?P<m>\d\d?){GAP}{YEAR}{END}"),
    "03121985": (1, r"(?<!\d)(?P<m>\d\d)(?P<d>\d\d)(?P<y>(?:19|20)\d\d)" + END),
    "12031985": (1, r"(?<!\d)(?P<d>\d\d)(?P<m>\d\d)(?P<y>(?:19|20)\d\d)" + END),
    "1985/garfield 03-12": (
        1,
        rf"{YEAR}{IN_YEAR}{WORDS}(?<!\d)(?P<m>\d\d?){GAP}(?P<d>\d\d?){END}",
    ),
    "1985/garfield 12-03": (
        1,
        rf"{YEAR}{IN_YEAR}{WORDS}(?<!\d)(?P<d>\d\d?){GAP}(?P<m>\d\d?){END}",
    ),
    "1985/garfield 0312": (1, rf"{YEAR}{IN_YEAR}{WORDS}(?P<m>\d\d)(?P<d>\d\d){END}"),
    "1985/garfield 1203": (1, rf"{YEAR}{IN_YEAR}{WORDS}(?P<d>\d\d)(?P<m>\d\d){END}"),
    "1985/03/garfield 12": (1, rf"{YEAR}[/.-](?P<m>\d\d?)/{WEEK}{WORDS}(?P<d>\d\d?){END}"),
    "1985/March/garfield 12": (
        1,
        rf"{YEAR}[^\d/]*/{WORDS}{MONTH}{WORDS}/{WORDS}{DAY}{END}",
    ),
    "March 1985/garfield 12": (
        1,
        rf"(?<![a-z]){MONTH}{GAP}{YEAR}[^\d/]*/{WORDS}{DAY}{END}",
    ),
    "1985/garfield March 12": (
        1,
        rf"{YEAR}{IN_YEAR}{WORDS}{MONTH}(?:{GAP})?{DAY}{END}",
    ),
    "1985/12 March": (
        1,
        rf"{YEAR}[^\d/]*/{WORDS}(?<!\d){DAY}(?:{GAP})?{MONTH}",
    ),
    "850312": (2, rf"(?<!\d){YY}(?P<m>\d\d)(?P<d>\d\d){END}"),
    "031285": (2, rf"(?<!\d)(?P<m>\d\d)(?P<d>\d\d){YY}{END}"),
    "120385": (2, rf"(?<!\d)(?P<d>\d\d)(?P<m>\d\d){YY}{END}"),
    "85-03-12": (2, rf"(?<!\d){YY}{GAP}(?P<m>\d\d?){GAP}(?P<d>\d\d?){END}"),
    "03-12-85": (2, rf"(?<!\d)(?P<m>\d\d?){GAP}(?P<d>\d\d?){GAP}{YY}{END}"),
    "12-03-85": (2, rf"(?<!\d)(?P<d>\d\d?){GAP}(?P<m>\d\d?){GAP}{YY}{END}"),
    "March 12, 85": (2, rf"(?<![a-z]){MONTH}{GAP}{DAY}{GAP}{YY}{END}"),
    "12 March 85": (2, rf"(?<!\d){DAY}(?:{GAP})?{MONTH}(?:{GAP})?{YY}{END}"),
}
PATTERNS = {name: (rank, re.compile(pattern)) for name, (rank, pattern) in FORMATS.items()}
# Random letters and digits, as in 1985-03-12_9f86d081884c7d65.gif, hold no dates.
HASH = re.compile(
    r"(?<![0-9a-z])(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{15,})(?![0-9a-z])"
)
WORD_BEFORE = re.compile(r"([^\W\d_]*)[\W_]*$")
LONGEST_WORD = 40  # letters and what follows them
OWN_READING = 10  # names with one word before a date from which on they are read by themselves

# A format, which of its matches from the left (0, 1 …; below 0 those in the names of folders), and
# the word before it: the dates of ga850312 and of 031285 are of two tools.
Reading = tuple[str, int, str]


def dates_of(paths: Sequence[str]) -> dict[str, date | None]:
    """The day of each strip, or None, from its path in the folder ("1985/ga850312.gif").

    A format is accepted when at least nine tenths of the names that match it give days. It is not
    read in a folder where many files get the same day, as by the date of a scan or of a download.
    Where several match, the one is taken that dates most of the folder and, of those, gives the
    fewest Sundays, the most consecutive days and the shortest time from the first to the last.
    """
    dates: dict[str, date | None] = dict.fromkeys(paths)
    texts = {path: _plain(path) for path in paths}
    for rank in (0, 1, 2):
        left = [path for path in paths if dates[path] is None]
        found = [(path, *match) for path in left for match in _matches(texts[path], rank)]
        counts = Counter(reading for _, reading, _, _ in found)
        days: dict[tuple[Reading, str], dict[str, date | None]] = {}
        for path, reading, folder, day in found:
            if counts[reading] < OWN_READING:
                reading = (*reading[:2], "")
            days.setdefault((reading, folder), {})[path] = day
        readings: dict[Reading, dict[str, date | None]] = {}
        for (reading, _), in_folder in days.items():
            real = [day for day in in_folder.values() if day]
            if len(set(real)) >= 0.3 * len(real):
                readings.setdefault(reading, {}).update(in_folder)
        while readings:
            best = max(readings, key=lambda reading: _score(readings[reading], rank, reading))
            matched = readings.pop(best)
            if not _score(matched, rank, best)[0]:
                break
            for path, day in matched.items():
                dates[path] = dates[path] or day
            readings = {
                reading: remaining
                for reading, days in readings.items()
                if (remaining := {p: day for p, day in days.items() if dates[p] is None})
            }
    return dates


@lru_cache(1024)
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


def _matches(text: str, rank: int) -> Iterator[tuple[Reading, str, date | None]]:
    """Every match of a rank's formats in a name: how it is read, the folder that is named by it,
    or whose file has it, and its day (None: no such day)."""
    for name, (its_rank, pattern) in PATTERNS.items():
        if its_rank != rank:
            continue
        matches = list(pattern.finditer(text))
        in_folders = sum("/" in text[match.end() :] for match in matches)
        for place, match in enumerate(matches, -in_folders):
            parts = match.groupdict()
            month = int(parts["m"]) if parts.get("m") else MONTHS[parts["M"]]
            word = WORD_BEFORE.search(text, max(0, match.start() - LONGEST_WORD), match.start())
            end = text.find("/", match.end())
            folder = text[:end] if end >= 0 else text.rpartition("/")[0]
            day = _day(int(parts["y"]), month, int(parts["d"]))
            yield (name, place, word[1]), folder, day


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


def _score(days: dict[str, date | None], rank: int, reading: Reading) -> tuple:
    """How well a reading fits the folder, to be compared; the first item is whether it is accepted.

    days: the day of each path that matches.
    """
    found = [day for day in days.values() if day]
    if not found:
        return (False,)
    in_folders = {(path.rpartition("/")[0], day) for path, day in days.items() if day}
    distinct = sorted(set(found))
    accepted = rank == 0 or len(found) >= 0.9 * len(days)
    if rank == 2:
        accepted &= not _is_running_number(days)
    sundays = sum(day.weekday() == 6 for day in distinct) / len(distinct)
    steps = pairwise(distinct)
    consecutive = sum((after - before).days <= 2 for before, after in steps) / len(distinct)
    centuries = (distinct[-1] - distinct[0]).days / 36525
    return (
        accepted,
        # Coarse on purpose: of formats that nearly all files match, the likeliest days decide.
        round(10 * len(in_folders) / len(days)) if rank else 10,
        len(found).bit_length(),
        len(in_folders) / len(found) > 0.9,
        round(consecutive - sundays - centuries, 2),
        reading[1] >= 0,  # a folder may be named by its week
        -list(PATTERNS).index(reading[0]),  # the order of FORMATS: a year first, a month first
    )


def _is_running_number(days: dict[str, date | None]) -> bool:
    """Whether names of six digits are a count without gaps, by chance all days of one month.

    days: by path. Consecutive days with a Sunday among them are no dailies.
    """
    if not 2 <= len(days) < 28:
        return False
    numbers = sorted(
        int(match[0]) for path in days if (match := re.search(r"(?<!\d)\d{6}(?!\d)", _plain(path)))
    )
    if len(numbers) < len(days):
        return False
    sundays = any(day and day.weekday() == 6 for day in days.values())
    return sundays and all(after - before == 1 for before, after in pairwise(numbers))
