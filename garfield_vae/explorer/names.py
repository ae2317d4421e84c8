"""The names that a person gave to components: `component_names.json` in the run folder."""

import json
import threading
import unicodedata
from pathlib import Path

from garfield_vae.explorer.states import BadRequest
from garfield_vae.util.files import replacing

LONGEST = 40
FILE = "component_names.json"


class ComponentNames:
    """{component, counted from 0: name}, kept in a file that is whole or not there."""

    def __init__(self, folder: Path):
        self.path = folder / FILE
        self._lock = threading.Lock()
        self.names = self._read()

    def _read(self) -> dict[int, str]:
        try:
            names = json.loads(self.path.read_text(encoding="utf-8"))["names"]
            return {int(index): clean(name) for index, name in names.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, BadRequest) as error:
            raise BadRequest(
                f"{self.path} is damaged ({error}): mend it, or delete it to begin without names"
            ) from error

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
