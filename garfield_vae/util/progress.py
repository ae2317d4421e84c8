"""A long piece of work in named stages: a bar for whoever waits, and what each of them cost."""

import time

from tqdm import tqdm


class Stages:
    """Shows the stage that is under way, if there is a terminal, and keeps the seconds of each.

    Used as a context: `with Stages(2) as stage: stage("draw"); …; stage("measure"); …`.
    `processor` and `wall` are seconds by name; processor time is that of all threads.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._began: tuple[str, float, float] | None = None
        self.processor: dict[str, float] = {}
        self.wall: dict[str, float] = {}

    def __enter__(self) -> "Stages":
        self._bar = tqdm(total=self._total, unit="step", disable=None)
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        self._bar.close()

    def __call__(self, name: str) -> None:
        self._end()
        self._bar.set_description(name)
        self._began = name, time.process_time(), time.perf_counter()

    def _end(self) -> None:
        if self._began is not None:
            name, processor, wall = self._began
            self.processor[name] = time.process_time() - processor
            self.wall[name] = time.perf_counter() - wall
            self._bar.update()
            self._began = None
