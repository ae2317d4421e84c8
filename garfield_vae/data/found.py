"""What was found in a folder of strips, in sentences."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path

from garfield_vae.data.library import LOCKED, NESTED, READABLE, counted
from garfield_vae.data.splits import iso_week
from garfield_vae.data.store import PanelStore
from garfield_vae.util.console import printable

NAMED = 3  # files that are named as examples


def summary(place: Path, store: PanelStore, files: list[dict], others: dict[str, int]) -> str:
    """Lines on the strips, the files not used, and the split.

    files: of the store's index; others: the number of files that are no pictures, by kind.
    """
    count = len(store)
    days = [file["date"] for file in files if file.get("date") and "left_out" not in file]
    dated = f"{len(days):,} dated ({min(days)} to {max(days)})" if days else "none dated"
    lines = [f"Strips: {count:,} in {printable(str(place))}, {dated}; panels in {store.path}"]
    ends = [left_out(file for file in files if "same_as" not in file), passed_over(others)]
    if same := sum("same_as" in file for file in files):
        ends.insert(
            1,
            "; 1 file is the same picture as another, used once"
            if same == 1
            else f"; {same:,} files are the same pictures under other names, used once",
        )
    ends.append(more_pages(files))
    lines += [f"Also: {end.removeprefix('; ')}" for end in ends if end]
    if again := count - len(set(store.pictures)):
        show = "strip shows" if again == 1 else "strips show"
        lines.append(
            f"Again: {again:,} {show} the picture of another one (in another encoding or size, or "
            f"printed a second time): they stay together, on one side of the split"
        )
    lines.append(f"Split: {split_line(store, days)}")
    return "\n".join(lines)


def split_line(store: PanelStore, days: Sequence[str]) -> str:
    """The number of strips in each part, and what they are split by. days: of those with a date."""
    parts = [f"{len(store.split(part)):,} {part}" for part in ("train", "validation", "test")]
    weeks = len({iso_week(date.fromisoformat(day)) for day in days})
    groups = len({group for group in store.weeks if not group.startswith("picture ")})
    if not days:
        how = "no dates: split by picture"
    elif not store.whole_weeks and groups < weeks:
        how = f"split by picture: those shown again would join {weeks} weeks into {groups}"
    elif not store.whole_weeks:
        how = f"split by picture: {weeks} week{'s' * (weeks > 1)} would be too few to split by week"
    elif len(days) < len(store):
        how = "split by week, and by picture where there is no date"
    else:
        how = "split by week"
    return f"{', '.join(parts)}; {how}"


def left_out(files: Iterable[dict]) -> str:
    """The end of a sentence: the number of files left out, and why."""
    files = [file for file in files if "left_out" in file]
    if not files:
        return ""
    layouts, others = defaultdict(list), defaultdict(list)
    for file in files:
        if kind := file.get("layout"):
            layouts[kind].append(printable(file["path"]))
        else:
            others[file["left_out"]].append(printable(file["path"]))
    said = [f"{len(paths)} of {kind} ({_some(paths)})" for kind, paths in layouts.items()]
    if said:
        said[-1] += " (--keep_all would keep these)"
    ordered = sorted(others.items(), key=lambda group: -len(group[1]))
    said += [f"{_some(paths)} ({reason})" for reason, paths in ordered[:NAMED]]
    if more := sum(len(paths) for _, paths in ordered[NAMED:]):
        said.append(f"and {more:,} more")
    return f"; {len(files):,} left out: {', '.join(said)}"


def more_pages(files: Iterable[dict]) -> str:
    """The end of a sentence: the number of pictures of which only the first page is used."""
    count = sum("more_pages" in file and "left_out" not in file for file in files)
    of = "1 TIFF has" if count == 1 else f"{count:,} TIFFs have"
    return f"; {of} several pages, of which only the first is used" if count else ""


def passed_over(kinds: dict[str, int]) -> str:
    """The end of a sentence: the number of files that are no pictures, by kind."""
    said = list(counted(kinds))
    if not said:
        return ""
    unpack = any(kind in LOCKED or kind.endswith(NESTED) for kind in kinds)
    hint = f" (of archives, {READABLE} can be read, outside of others: unpack the rest)" * unpack
    return f"; passed over: {', '.join(said)}{hint}"


def _some(parts: list[str]) -> str:
    more = f" and {len(parts) - NAMED} more" if len(parts) > NAMED else ""
    return ", ".join(parts[:NAMED]) + more
