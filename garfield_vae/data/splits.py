"""Training, validation and test strips, 90 / 5 / 5, none of which show what another part shows."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from datetime import date

import numpy as np

TEST, VALIDATION = 0.05, 0.10  # hashes below these, as fractions
FEWEST_HELD_OUT = 2  # strips in each of test and validation
LEAST_TRAINING = 0.75  # share of the strips, below which weeks are divided


def iso_date(name: str) -> date | None:
    """The day that a name like 1985-03-12 stands for, or None."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", name, re.ASCII):
        return None
    try:
        return date.fromisoformat(name)
    except ValueError:
        return None


def iso_week(day: date) -> str:
    """1985-01-15 → "1985-W03"."""
    year, week, _ = day.isocalendar()
    return f"{year}-W{week:02}"


def split_rows(weeks: Sequence[str], pictures: Sequence[str]) -> tuple[dict[str, np.ndarray], bool]:
    """The rows, int64 and ascending, of "train", "validation" and "test"; whether weeks are whole.

    weeks: each strip's group: its ISO week, so that no week's story is in two parts, or its picture
    where it has no date. pictures: finer groups, used instead where whole weeks would leave less
    than LEAST_TRAINING.

    A group goes by the first eight bytes of its SHA-256, as a fraction: test below 0.05, validation
    below 0.10, train above. So strips that are added move no other. In a small set, where test or
    validation would have less than FEWEST_HELD_OUT strips, they take the next groups in order.
    There, and where pictures replace weeks, strips that are added may move others.
    """
    splits = _split(weeks)
    if len(splits["train"]) >= LEAST_TRAINING * len(weeks):
        return splits, True
    return _split(pictures), False


def _split(groups: Sequence[str]) -> dict[str, np.ndarray]:
    rows: dict[str, list[int]] = {}
    for row, group in enumerate(groups):
        rows.setdefault(group, []).append(row)
    left = sorted((_fraction(group), group) for group in rows)
    splits: dict[str, list[int]] = {}
    for split, below in (("test", TEST), ("validation", VALIDATION)):
        taken: list[int] = []
        while left and (left[0][0] < below or len(taken) < FEWEST_HELD_OUT):
            taken += rows[left.pop(0)[1]]
        splits[split] = taken
    splits["train"] = [row for _, group in left for row in rows[group]]
    return {split: np.array(sorted(taken), np.int64) for split, taken in splits.items()}


def _fraction(group: str) -> float:
    digest = hashlib.sha256(group.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def linked(
    groups: Sequence[str], pairs: Iterable[tuple[int, int]], earlier: Sequence[str | None] = ()
) -> list[str]:
    """The group of each row once the groups of each pair of rows are made one.

    It takes the name that it had in the last build (`earlier`, by row), so that strips that are
    added move no other, else the first name in order.
    """
    above: dict[str, str] = {}

    def top(group: str) -> str:
        while (higher := above.get(group, group)) != group:
            above[group] = group = above.get(higher, higher)
        return group

    for a, b in pairs:
        one, other = sorted((top(groups[a]), top(groups[b])))
        above[other] = one
    tops = [top(group) for group in groups]
    joined = {top(group) for group in above}
    names: dict[str, str] = {}
    for name, known in sorted(zip(tops, earlier, strict=False), key=str):
        if known and name in joined:
            names.setdefault(name, known)
    return [names.get(name, name) for name in tops]
