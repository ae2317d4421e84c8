"""Names of components: those the user gave, and those that are suggested."""

import json
import threading
import unicodedata
from pathlib import Path

import numpy as np

from garfield_vae.explorer.states import BadRequest
from garfield_vae.util.console import printable
from garfield_vae.util.files import replacing

LONGEST = 40  # letters of a name
LARGEST = 2**20  # bytes of the file
FILE = "component_names.json"
WORDS = (("darker", "lighter"), ("greener", "redder"), ("bluer", "yellower"))


class ComponentNames:
    """{component, counted from 0: name}, kept in the run folder."""

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
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except RecursionError as error:  # its own text speaks of Python
            raise self._damaged("it is nested too deeply") from error
        except (OSError, ValueError, KeyError, TypeError, AttributeError, BadRequest) as error:
            raise self._damaged(printable(str(error), 150)) from error

    def _damaged(self, why: str) -> BadRequest:
        return BadRequest(
            f"{self.path} is damaged ({why}): repair it, or delete it to go on without names"
        )

    def rename(self, index: int, name: str) -> str:
        """Keeps the name of a component; an empty one takes it back. Gives the name as kept.
        Names that another explorer of this run has given meanwhile stay. Raises BadRequest when it
        is no name, or cannot be written."""
        name = clean(name)
        with self._lock:
            names = {**self._read(), index: name}
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


def suggested_names(ends: np.ndarray) -> list[str]:
    """A name for each slider, by what changes from its low end to its high one: strips
    [2k, h, w, 3], uint8, the ends of each slider one after the other. No name is given twice, as
    long as there is another that is true."""
    names: list[str] = []
    for low, high in zip(ends[::2], ends[1::2], strict=True):
        possible = descriptions(low, high)
        names.append(next((name for name in possible if name not in names), possible[0]))
    return names


def descriptions(low: np.ndarray, high: np.ndarray) -> list[str]:
    """What changes from one strip to another, uint8 [h, w, 3], in words, the most striking first.

    The strips are compared by the means of a 3 × 3 grid in each panel: lightness and two opponent
    colours, of which the one that changes most is named. Where one panel changes more than twice as
    much as any other, only its own cells are.
    """
    change = high.astype(np.float32) - low
    height, width = change.shape[:2]
    cells = change[: height // 3 * 3, : width // 9 * 9]
    cells = cells.reshape(3, height // 3, 9, width // 9, 3).mean((1, 3))  # [rows, columns, RGB]
    panels = np.abs(cells).reshape(3, 3, 3, 3).sum((0, 2, 3))  # [panel]
    first = 0
    if alone := panels.max() > 2 * np.sort(panels)[-2]:
        first = 3 * int(panels.argmax())
        cells = cells[:, first : first + 3]
    red, green, blue = np.moveaxis(cells, 2, 0)
    axes = np.stack([(red + green + blue) / 3, red - green, (red + green) / 2 - blue])
    found = []
    for cell in np.argsort(-np.abs(cells).sum(2), axis=None):
        row, column = divmod(int(cell), cells.shape[1])
        axis = int(np.abs(axes[:, row, column]).argmax())
        word, panel = WORDS[axis][int(axes[axis, row, column] > 0)], (first + column) // 3 + 1
        if abs(np.sign(axes[axis]).sum()) > 0.8 * axes[axis].size:  # everywhere the same way
            found.append(f"{word}, panel {panel}" if alone else f"{word} all over")
        found.append(f"{word}, panel {panel} {('top', 'middle', 'bottom')[row]}")
    return found
