"""A run's metrics.csv: a row an epoch, a column a figure; an empty cell is not known yet."""

import csv
import io
import math
from pathlib import Path

from garfield_vae.util.errors import UserError
from garfield_vae.util.files import read_text, replacing

METRICS = "metrics.csv"


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a metrics.csv as they are written there.

    Raises UserError where the file cannot be read or holds no row an epoch.
    """
    try:
        rows = list(csv.DictReader(read_text(path).splitlines(), strict=True))
        for row in rows:
            if None in row or None in row.values() or not 1 <= int(row["epoch"]) < 2**53:
                raise ValueError(row)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, csv.Error) as error:
        raise UserError(
            f"{path} is damaged, it holds no row an epoch: take it out of the folder to go on "
            f"without the figures so far"
        ) from error
    return rows


def write_rows(path: Path, rows: list[dict[str, str]]) -> None:
    """Writes the table, with a column for every name that a row has."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with replacing(path, "w") as file:
        file.write(text.getvalue())


def read_metrics(folder: Path) -> list[dict[str, float]]:
    """The figures of a run's metrics.csv by epoch, finite ones only; none where it cannot be read.

    For reports and model cards, which do without: an exported model has no such table.
    """
    try:
        rows = read_rows(folder / METRICS)
    except UserError:
        return []
    return [
        {name: figure for name, cell in row.items() if (figure := _finite(cell)) is not None}
        for row in rows
    ]


def _finite(cell: str) -> float | None:
    try:
        figure = float(cell)
    except ValueError:
        return None
    return figure if math.isfinite(figure) else None
