"""Actors, balloons and the page: a strip from its factors."""

import datetime

import numpy as np
from PIL import Image

from garfield_vae.data.drawn.cast import HEADS, HEIGHTS, POSES, draw_figure
from garfield_vae.data.drawn.pen import DOTS, INK, Pen, circle, develop, lettered, oval, squarish
from garfield_vae.data.drawn.places import COLOURS, PLACES, WHITE, Place, cloud, palette, table

WIDTH, HEIGHT = 600, 175
MARGIN = 2  # white pixels around the strip
LETTERS, SOUND, SMALL = 10, 21, 6  # sizes of lettering, pixels


class Panel:
    """One panel while it is drawn: scenery, actors, balloons; in pixels, y upwards."""

    def __init__(self, f: dict, n: int, width: int, height: int):
        self.f, self.n, self.width, self.height = f, n, width, height
        self.image = Image.new("L", (DOTS * width, DOTS * height), WHITE)
        self.pen = Pen(self.image, 0, height)

    def draw(self) -> Image.Image:
        place = Place(self.pen, self.f, self.n, self.width, self.height)
        PLACES[self.f["place"]](place)
        for side in ("left", "right"):
            self.actor(side)
        if self.f["place"] == "kitchen":
            table(place)
        texts = [side for side in ("left", "right") if self.f[f"{side}_text_{self.n}"]]
        for side in texts:
            self.balloon(side, shared=len(texts) > 1)
        if sound := self.f[f"sound_{self.n}"]:
            self.bang(sound)
        return self.image

    # --- actors and what they say

    def actor(self, side: str) -> None:
        f, n = self.f, self.n
        if f[f"{side}_pose_{n}"] == "absent":
            return
        x, y, size = self.stand(side)
        draw_figure(self.image, f[f"{side}_who"], x, y, size, side == "right",
                    f[f"{side}_pose_{n}"], f[f"{side}_face_{n}"], COLOURS)  # fmt: skip
        if f[f"{side}_face_{n}"] == "asleep":
            head_x, head_y = self.head(side)
            for step in range(3):
                side_x = head_x + (24 + 8 * step) * (-1 if head_x > self.width / 2 else 1)
                Pen(self.image).letter(side_x, self.height - head_y - 12 * step, "Z", 9 + 2 * step)

    def stand(self, side: str) -> tuple[float, float, float]:
        """Where the actor's feet are (pixels, y down) and its size."""
        zoom = self.f[f"zoom_{self.n}"]
        x = self.f[f"{side}_x_{self.n}"] * self.width
        if self.f[f"{side}_pose_{self.n}"] == "lie":  # so that the head stays about where it was
            x += 24 if side == "right" else -24
        y = self.height - 10 + 70 * (zoom - 1)
        if self.f["place"] == "kitchen":
            y += -13 if self.f[f"{side}_pose_{self.n}"] == "lie" else 6  # on the table, or behind
        return x, y, self.f[f"{side}_size"] * zoom

    def head(self, side: str) -> tuple[float, float]:
        """Where the top of the actor's head is (pixels, y up)."""
        x, y, size = self.stand(side)
        who = self.f[f"{side}_who"]
        height = HEIGHTS[who] * size
        pose = POSES[self.f[f"{side}_pose_{self.n}"]]
        if pose.lying:
            return x + (-0.3 if side == "right" else 0.3) * height, self.height - y + 0.56 * height
        return x, self.height - y + (HEADS[who] * pose.squash + pose.hop) * height

    def balloon(self, side: str, shared: bool) -> None:
        f, n = self.f, self.n
        head = self.head(side)
        room = (0.47 if shared else 0.66) * self.width
        lines = wrapped(f[f"{side}_text_{n}"], room - 14)
        across = max(lettered(line, LETTERS).width for line in lines) / DOTS / 2 + 11
        up = len(lines) * (LETTERS + 1.5) / 2 + 7
        middle = float(np.clip(head[0], across + 6, self.width - across - 6))
        if shared:
            edge = 0.27 if side == "left" else 0.73
            middle = float(np.clip(edge * self.width, across + 2, self.width - across - 2))
        top = self.height - 4 - (6 if shared and side == "right" else 0)
        centre = (middle, top - up)
        self.bubble(centre, across, up, head, thought=f[f"{side}_who"] == "cat")
        for row, line in enumerate(lines):
            y = self.height - (top - 6) + row * (LETTERS + 1.5)
            Pen(self.image).letter(middle, y, line, LETTERS)

    def bubble(self, centre, across, up, head, thought: bool) -> None:
        """A white balloon around `centre` with a tail, or a trail of puffs, towards `head`."""
        x, y = centre
        body = cloud(x, y, across, up) if thought else rounded(x, y, across, up)
        start = (x + 0.3 * np.clip(head[0] - x, -across, across), y - 0.6 * up)
        end = (0.75 * head[0] + 0.25 * start[0], min(head[1] + 5, y - up - 4))
        if thought:
            self.pen.shape(body, WHITE, 2)
            for share, radius in ((0.4, 4.5), (0.75, 3.2), (1.05, 2.2)):
                at = y - up + share * (end[1] - y + up)
                self.pen.oval(start[0] + share * (end[0] - start[0]), at, radius * 1.2, radius,
                              WHITE, width=1.6)  # fmt: skip
            return
        tail = np.array([(start[0] - 6, start[1]), end, (start[0] + 6, start[1])])
        self.pen.shape(body, WHITE, 2)
        self.pen.fill(tail, WHITE)
        self.pen.line(tail, 2)
        self.pen.fill((body - centre) * (1 - 1.4 / across, 1 - 1.4 / up) + centre, WHITE)

    def bang(self, word: str) -> None:
        """A big word over a burst, above two actors or beside one."""
        sides = [s for s in ("left", "right") if self.f[f"{s}_pose_{self.n}"] != "absent"]
        x, y = 0.5 * self.width, 0.87 * self.height
        if len(sides) == 1:
            x = (0.36 if self.f[f"{sides[0]}_x_{self.n}"] > 0.5 else 0.64) * self.width
        across, up = lettered(word, SOUND).width / DOTS / 2 + 16, 22
        spikes = oval(x, y, across, up, corners=28)
        spikes[::2] = (spikes[::2] - (x, y)) * 0.78 + (x, y)
        self.pen.shape(spikes, COLOURS["loud"], 2)
        Pen(self.image).letter(x, self.height - y - SOUND * 0.62, word, SOUND)


def wrapped(text: str, room: float) -> list[str]:
    """`text` in as few lines as `room` pixels allow, of about equal length."""
    words = text.split()
    whole = lettered(text, LETTERS).width / DOTS
    target = min(room, whole / np.ceil(whole / room) * 1.18)
    lines: list[str] = []
    for word in words:
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and lettered(longer, LETTERS).width / DOTS <= target:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def rounded(x, y, across, up) -> np.ndarray:
    """A squarish ellipse."""
    return squarish(circle(36), 0.62) * (across, up) + (x, y)


def panel_columns(f: dict) -> list[tuple[int, int]]:
    """First and one past the last column of each panel (pixels) of a strip with factors `f`."""
    half = f["gutter_width"] / 2
    first, second = f["gutter_1"] * WIDTH, f["gutter_2"] * WIDTH
    return [
        (MARGIN, round(first - half)),
        (round(first + half), round(second - half)),
        (round(second + half), WIDTH - MARGIN),
    ]


def draw_factors(f: dict) -> Image.Image:
    """The strip with factors `f` (see story.imagine), a palette image of 600 × 175."""
    page = Image.new("L", (DOTS * WIDTH, DOTS * HEIGHT), WHITE)
    height = HEIGHT - 2 * MARGIN
    ink = Pen(page)
    for n, (start, end) in enumerate(panel_columns(f), 1):
        panel = Panel(f, n, end - start, height)
        page.paste(panel.draw(), (DOTS * start, DOTS * MARGIN))
        if n != 2 or f["middle_border"]:
            box = (DOTS * start, DOTS * MARGIN, DOTS * end - 1, DOTS * (MARGIN + height) - 1)
            ink.draw.rectangle(box, outline=INK, width=4)
    date = datetime.date.fromisoformat(f["date"])
    start, end = panel_columns(f)[0]
    ink.letter(start + 24, HEIGHT - 12, "Z. VECTOR", SMALL)
    ink.letter(end - 14, HEIGHT - 12, f"{date.month}-{date.day}", SMALL)
    return develop(page, palette(f))
