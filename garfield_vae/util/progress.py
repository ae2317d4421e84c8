"""Long work in named stages: a progress bar with the time left, and what each stage cost."""

import threading
import time
from collections.abc import Mapping

from tqdm import tqdm


class Stages:
    """Shows the stage that is under way and the time left, and keeps the seconds of each stage.

    `expected` has the seconds that each stage takes on a known machine, by name and in order: what
    is left is told from the first moment on and corrected by how long the stages really take.

        with Stages({"draw": 20, "measure": 40}) as stage:
            stage("draw")
            …
            stage("measure")
            …

    `processor` and `wall` are seconds by name; processor time is that of all threads. On anything
    but a terminal nothing is shown.
    """

    def __init__(self, expected: Mapping[str, float]) -> None:
        self._expected = dict(expected)
        self._began: tuple[str, float, float] | None = None
        self._done = 0.0  # expected seconds of the stages that are over
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self.processor: dict[str, float] = {}
        self.wall: dict[str, float] = {}

    def __enter__(self) -> "Stages":
        self._bar = tqdm(
            total=sum(self._expected.values()),
            disable=None,
            bar_format="{desc}: {percentage:3.0f}%|{bar}| {postfix}",
        )
        if not self._bar.disable:
            self._clock = threading.Thread(target=self._tick, daemon=True)
            self._clock.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        self._stopped.set()
        if not self._bar.disable:
            self._clock.join()
        self._bar.close()

    def __call__(self, name: str) -> None:
        self._end()
        with self._lock:
            self._began = name, time.process_time(), time.perf_counter()
        self._bar.set_description(name, refresh=False)
        self._show()

    def left(self) -> float:
        """Seconds until the last stage is over, by the pace so far."""
        whole, spent, running = sum(self._expected.values()), sum(self.wall.values()), 0.0
        with self._lock:
            if self._began is not None:
                name, _, began = self._began
                expected, running = self._expected.get(name, 0.0), time.perf_counter() - began
                # A stage that takes longer than expected is taken to be nearly over.
                pace = spent / self._done if self._done > 0 else 1.0
                rest = max(pace * expected - running, 0.1 * running)
                return rest + pace * (whole - self._done - expected)
        return 0.0

    def _end(self) -> None:
        with self._lock:
            if self._began is None:
                return
            name, processor, wall = self._began
            self.processor[name] = time.process_time() - processor
            self.wall[name] = time.perf_counter() - wall
            self._done += self._expected.get(name, 0.0)
            self._began = None

    def _show(self) -> None:
        left, spent = self.left(), sum(self.wall.values())
        with self._lock:
            if self._began is not None:
                spent += time.perf_counter() - self._began[2]
        self._bar.n = self._bar.total * spent / max(spent + left, 1e-9)
        self._bar.set_postfix_str(f"about {clock(left)} left")

    def _tick(self) -> None:
        while not self._stopped.wait(0.5):
            self._show()


def clock(seconds: float) -> str:
    """1:02:03, or 2:03 under an hour."""
    hours, rest = divmod(max(0, round(seconds)), 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
