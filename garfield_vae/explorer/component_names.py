"""Names of components: those a person gave, kept in `component_names.json` in the run folder, and
those that are suggested."""

import json
import threading
import unicodedata
from pathlib import Path

import numpy as np

from garfield_vae.explorer.states import BadRequest
from garfield_vae.util.files import replacing

LONGEST = 40  # letters of a name
LARGEST = 2**20  # bytes of the file
FILE = "component_names.json"


class ComponentNames:
    """{component, counted from 0: name}, kept in a file that is whole or not there."""

    def __init__(self, folder: Path):
        self.path = folder / FILE
        self._lock = threading.Lock()
        self.names = self._read()

    def _read(self) -> dict[int, str]:
        try:
            if self.path.exists() and not self.path.is_file():
                raise ValueError("it is no file")
            with self.path.open("rb") as file:
                content = file.read(LARGEST + 1)
            if len(content) > LARGEST:
                raise ValueError(f"it is larger than {LARGEST} bytes")
            names = json.loads(content.decode("utf-8-sig"))["names"]  # editors may add a mark
            return {int(index): clean(name) for index, name in names.items()}
        except FileNotFoundError:
            return {}
        except RecursionError as error:  # its own text speaks of Python
            raise self._damaged("it is nested too deeply") from error
        except (OSError, ValueError, KeyError, TypeError, AttributeError, BadRequest) as error:
            raise self._damaged(ascii(str(error))[1:150]) from error

    def _damaged(self, why: str) -> BadRequest:
        return BadRequest(
            f"{self.path} is damaged ({why}): mend it, or delete it to begin without names"
        )

    def rename(self, index: int, name: str) -> str:
        """Keeps the name of a component; an empty one takes it back. Gives the name as kept.
        Raises BadRequest when it is no name, or cannot be written."""
        name = clean(name)
        with self._lock:
            names = {**self.names, index: name}
            names = {i: n for i, n in sorted(names.items()) if n}
            try:
                with replacing(self.path, "w") as file:
                    json.dump({"names": names}, file, indent=2, ensure_ascii=False)
            except OSError as error:
                raise BadRequest(f"the name cannot be kept: {error.strerror or error}") from error
            self.names = names
        return name


def clean(name: object) -> str:
    if not isinstance(name, str):
        raise BadRequest("a name is a text")
    name = " ".join("".join(c if unicodedata.category(c)[0] != "C" else " " for c in name).split())
    if len(name) > LONGEST:
        raise BadRequest(f"a name has at most {LONGEST} letters")
    return name


def suggested_name(low: np.ndarray, high: np.ndarray) -> str:
    """What changes most from one end of a slider to the other, strips uint8 [h, w, 3], in words.

    The strips are compared by the means of a 3 × 3 grid in each panel. Where one panel changes
    more than twice as much as any other, it is named; then whether lightness or a colour changes
    most.
    """
    change = high.astype(np.float32) - low
    height, width = change.shape[:2]
    cells = change[: height // 3 * 3, : width // 9 * 9]
    cells = cells.reshape(3, height // 3, 9, width // 9, 3).mean((1, 3))  # [rows, columns, RGB]
    panels = np.abs(cells).reshape(3, 3, 3, 3).sum((0, 2, 3))  # [panel]
    strongest = int(panels.argmax())
    alone = panels[strongest] > 2 * np.sort(panels)[-2]
    if alone:
        cells = cells[:, 3 * strongest : 3 * strongest + 3]
    row, column = np.unravel_index(int(np.abs(cells).sum(2).argmax()), cells.shape[:2])
    lightness, warmth = cells.mean(2), (cells[..., 0] - cells[..., 2]) / 2
    amount, words = (
        (lightness, ("darker", "lighter"))
        if abs(lightness[row, column]) >= abs(warmth[row, column])
        else (warmth, ("bluer", "warmer"))
    )
    word = words[int(amount[row, column] > 0)]
    if abs(np.sign(amount).sum()) > 0.8 * amount.size:  # everywhere the same way
        return f"{word}, panel {strongest + 1}" if alone else f"{word} all over"
    panel = strongest if alone else int(column) // 3
    return f"{word}, {('top', 'middle', 'foot')[row]} of panel {panel + 1}"
