"""Where a drawn strip happens, and its colours."""

import colorsys

import numpy as np

from garfield_vae.data.drawn.pen import Pen, bend, circle, oval, smooth, squarish

NAMES = (
    "ink", "white", "sky", "sky_low", "glow", "cloud", "wall_1", "wall_2", "wall_3",
    "shaded_1", "shaded_2", "shaded_3", "floor", "wood", "wood_dark", "leaf",
    "leaf_dark", "sea", "cloth", "lamp", "mug", "skirting",
    "cat", "cat_dark", "pink", "dog", "dog_dark", "red", "skin", "hair", "shirt", "trousers",
    "shoe", "mouth", "tongue", "shade", "loud",
)  # fmt: skip
COLOURS = {name: number for number, name in enumerate(NAMES)}
WHITE = COLOURS["white"]

OUTDOORS = {"garden": 0.22, "hills": 0.26, "seaside": 0.04}  # lowest hue of the ground

# hour: sky above, sky at the horizon, brightness of a room
SKIES = (
    (5, (62, 72, 140), (150, 110, 160), 0.8),
    (7, (150, 180, 240), (255, 190, 150), 0.95),
    (10, (120, 200, 255), (200, 235, 255), 1.0),
    (16, (130, 205, 255), (210, 240, 250), 1.0),
    (19, (240, 150, 120), (255, 215, 130), 0.95),
    (21, (92, 80, 165), (215, 125, 150), 0.85),
    (23, (52, 60, 125), (92, 92, 155), 0.78),
)

NIGHT = 0.84  # rooms darker than this are lit by the moon


def by_hour(hour: float) -> tuple[tuple, tuple, float]:
    """Sky above, sky at the horizon (RGB) and the brightness of a room, between SKIES' rows."""
    table = np.array([(when, *high, *low, light) for when, high, low, light in SKIES])
    row = [float(np.interp(hour, table[:, 0], column)) for column in table[:, 1:].T]
    return tuple(row[:3]), tuple(row[3:6]), row[6]


def palette(f: dict) -> list[tuple[float, float, float]]:
    """RGB by colour number (see NAMES) for a strip with factors `f`."""

    def hsv(hue: float, saturation: float, value: float) -> tuple[float, float, float]:
        return tuple(255 * part for part in colorsys.hsv_to_rgb(hue % 1, saturation, value))

    sky, sky_low, light = by_hour(f["hour"])
    night = light < NIGHT
    colours = {
        "ink": (14, 12, 16), "white": (255, 255, 255), "sky": sky, "sky_low": sky_low,
        "glow": (255, 245, 190) if night else (255, 222, 70),
        "cloud": tuple(0.75 * 255 * light + 0.25 * part for part in sky),
        "floor": hsv(f["floor_hue"], 0.5, 0.86 * light),
        "wood": (196 * light, 134 * light, 78 * light),
        "wood_dark": (140 * light, 88 * light, 50 * light),
        "leaf": (90 * light, 185 * light, 85 * light),
        "leaf_dark": (55 * light, 140 * light, 75 * light),
        "sea": (50 * light, 140 * light, 200 * light),
        "cloth": hsv(f["floor_hue"] + 0.5, 0.6, 0.95 * light),
        "lamp": (255, 236, 120), "mug": hsv(f["floor_hue"] + 0.33, 0.7, 0.95),
        "skirting": hsv(f["floor_hue"], 0.25, 0.98 * light),
        "cat": hsv(f["cat_hue"], 0.36, 0.8), "cat_dark": hsv(f["cat_hue"], 0.5, 0.56),
        "pink": (250, 160, 170), "dog": hsv(f["dog_hue"], 0.42, 0.98),
        "dog_dark": hsv(f["dog_hue"] - 0.03, 0.68, 0.62), "red": (222, 48, 48),
        "skin": (253, 208, 174), "hair": (120, 70, 42), "shirt": hsv(f["shirt_hue"], 0.68, 0.85),
        "trousers": (66, 84, 150), "shoe": (92, 60, 48), "mouth": (122, 28, 40),
        "tongue": (242, 112, 116), "loud": (255, 225, 60),
    }  # fmt: skip
    outside = OUTDOORS.get(f["place"])
    ground = f["floor_hue"] if outside is None else outside + 0.06
    colours["shade"] = hsv(ground, 0.55, 0.55 * light)
    for n in (1, 2, 3):
        hue = f[f"hue_{n}"] if outside is None else outside + 0.12 * f[f"hue_{n}"]
        colours[f"wall_{n}"] = hsv(hue, 0.38, 0.97 * light)
        colours[f"shaded_{n}"] = hsv(hue, 0.45, 0.86 * light)
    return [colours[name] for name in NAMES]


class Place:
    """A panel's scenery, in pixels with y up from the panel's lower edge."""

    def __init__(self, pen: Pen, f: dict, n: int, width: int, height: int):
        self.pen, self.f, self.n, self.width, self.height = pen, f, n, width, height
        self.floor = f["horizon"] * height
        self.shaded = COLOURS[f"shaded_{n}"]

    def box(self, left, bottom, right, top, colour: str, width: float = 2.0) -> None:
        corners = [(left, bottom), (right, bottom), (right, top), (left, top)]
        self.pen.shape(corners, COLOURS[colour], width)


def indoors(p: Place) -> None:
    p.box(-9, -9, p.width + 9, p.height + 9, f"wall_{p.n}", 0)
    edge = p.f["shade_x"] * p.width
    shade = [(edge, p.floor), (edge + 60, p.height + 9), (p.width + 99, p.height + 9),
             (p.width + 99, p.floor)]  # fmt: skip
    p.pen.fill(shade, p.shaded)
    p.box(-9, -9, p.width + 9, p.floor, "floor")
    p.box(-9, p.floor, p.width + 9, p.floor + 8, "skirting")


def window(p: Place, x: float, low: float, across: float, up: float) -> None:
    """A window with curtains; sun or moon crosses it with the hour."""
    p.box(x - across, low, x + across, low + up, "sky")
    p.box(x - across + 1, low + 1, x + across - 1, low + 0.35 * up, "sky_low", 0)
    glow(p, x - 0.8 * across, x + 0.8 * across, low + 0.45 * up, low + 0.85 * up, 7)
    p.pen.line([(x, low), (x, low + up)], 2)
    p.pen.line([(x - across, low + up / 2), (x + across, low + up / 2)], 2)
    for side in (-1, 1):
        out = x + side * across * 1.35
        near, tie = x + side * across * 0.25, x + side * across * 0.82
        curtain = [(out, low - 4), (out, low + up + 4), (near, low + up + 4),
                   (tie, low + up / 2), (tie, low - 4)]  # fmt: skip
        p.pen.shape(curtain, COLOURS["cloth"], 2)
    p.box(x - across - 6, low - 6, x + across + 6, low, "white")


def glow(p: Place, left, right, low, high, radius) -> None:
    """Sun by day, moon by night, along an arc from `left` to `right`."""
    hour = p.f["hour"]
    day = 6 <= hour <= 20
    share = (hour - 6) / 14 if day else ((hour - 20) % 24) / 10
    x, y = left + share * (right - left), low + np.sin(np.pi * share) * (high - low)
    p.pen.oval(x, y, radius, radius, COLOURS["glow"], width=2)
    if not day:
        p.pen.oval(x + 0.45 * radius, y + 0.2 * radius, 0.75 * radius, 0.75 * radius,
                   COLOURS["sky"], width=0)  # fmt: skip


def parlour(p: Place) -> None:
    indoors(p)
    window(p, p.f["prop_x"] * p.width, p.floor + 32, 24, 52)
    x = (p.f["prop_x"] + (0.45 if p.f["prop_x"] < 0.5 else -0.45)) * p.width
    p.pen.limb([(x, p.floor - 6), (x, p.floor + 62)], 4, COLOURS["wood_dark"], 1.5)
    p.pen.oval(x, p.floor - 6, 13, 4, COLOURS["wood_dark"], width=2)
    shade = [(x - 19, p.floor + 56), (x + 19, p.floor + 56), (x + 11, p.floor + 84),
             (x - 11, p.floor + 84)]  # fmt: skip
    p.pen.shape(shade, COLOURS["lamp"])
    p.pen.oval(p.width / 2, p.floor * 0.4, p.width * 0.42, p.floor * 0.36, COLOURS["skirting"])


def bedroom(p: Place) -> None:
    indoors(p)
    x = p.f["prop_x"] * p.width
    frame = p.floor + 50
    p.box(x - 24, frame, x + 24, frame + 34, "wood")
    p.box(x - 19, frame + 5, x + 19, frame + 29, "sky")
    peaks = ((-19, 5), (-4, 22), (6, 12), (11, 17), (19, 5))
    p.pen.shape([(x + px, frame + py) for px, py in peaks], COLOURS["leaf"], 1.6)
    left, right, top = 0.08 * p.width, 0.92 * p.width, p.floor + 24
    p.box(left - 8, p.floor - 16, left, top + 26, "wood")
    p.box(right, p.floor - 16, right + 8, top + 8, "wood")
    p.box(left, p.floor - 12, right, p.floor, "wood_dark")
    p.box(left, p.floor, right, top - 8, "white")
    blanket = smooth(((left + 46, top), (right - 20, top + 4), (right, top - 6),
                      (right, p.floor - 4), (p.width / 2, p.floor - 8),
                      (left + 40, p.floor - 4)))  # fmt: skip
    p.pen.shape(blanket, COLOURS["cloth"])
    p.pen.oval(left + 24, top, 22, 9, WHITE)


def kitchen(p: Place) -> None:
    indoors(p)
    window(p, p.f["prop_x"] * p.width, p.floor + 44, 26, 46)


def table(p: Place) -> None:
    """A table across the foreground, with a mug and a plate; it hides the actors' feet."""
    top = 26
    p.box(-9, -9, p.width + 9, top, "wood")
    p.box(-9, -9, p.width + 9, top - 9, "wood_dark")
    x = p.width * (0.5 + 0.1 * (p.f["prop_x"] - 0.5))
    p.pen.oval(x + 9, top + 7, 5, 5, COLOURS["mug"], width=2)
    p.pen.oval(x + 9, top + 7, 2.2, 2.2, COLOURS[f"wall_{p.n}"], width=1.4)
    p.box(x - 8, top - 4, x + 8, top + 15, "mug")
    p.pen.line(bend((x - 3, top + 18), (x + 3, top + 23), (x - 2, top + 28)), 1.4)


def outdoors(p: Place) -> None:
    p.box(-9, -9, p.width + 9, p.height + 9, "sky", 0)
    p.box(-9, -9, p.width + 9, p.floor + 34, "sky_low", 0)
    glow(p, 0.1 * p.width, 0.9 * p.width, p.floor + 45, p.height - 26, 13)
    if by_hour(p.f["hour"])[2] < NIGHT:
        for star in range(9):
            x, y = (star * 0.618 + p.f["shade_x"]) % 1 * p.width, p.height - 12 - 9 * (star * 5 % 9)
            p.pen.fill(oval(x, y, 1.6, 1.6, corners=8), COLOURS["glow"])
    else:
        puff = cloud((1.15 - p.f["prop_x"]) * p.width + 8 * p.n, p.height - 62, 24, 9)
        p.pen.shape(puff, COLOURS["cloud"], 2)


def grass(p: Place) -> None:
    p.box(-9, -9, p.width + 9, p.floor, f"shaded_{p.n}")
    for step in range(7):
        x, y = ((step * 0.37 + p.f["shade_x"]) % 1) * p.width, (0.2 + 0.11 * step) * p.floor
        p.pen.line([(x - 3, y + 6), (x, y), (x + 1, y + 8), (x + 2, y), (x + 6, y + 5)], 1.3)


def garden(p: Place) -> None:
    outdoors(p)
    top = p.floor + 38
    for post in range(-1, p.width // 18 + 1):
        x = post * 18 + 18 * p.f["shade_x"]
        p.pen.shape([(x, p.floor - 6), (x + 16, p.floor - 6), (x + 16, top - 7), (x + 8, top),
                     (x, top - 7)], COLOURS["floor"], 1.8)  # fmt: skip
    grass(p)
    tree(p, p.f["prop_x"] * p.width, p.floor - 6)


def tree(p: Place, x: float, y: float) -> None:
    trunk = [(x - 8, y - 2), (x + 9, y - 2), (x + 6, y + 60), (x - 5, y + 60)]
    p.pen.shape(trunk, COLOURS["wood"])
    crown = cloud(x, y + 84, 40, 32)
    p.pen.shape(crown, COLOURS["leaf"])
    p.pen.fill(oval(x + 10, y + 74, 22, 16), COLOURS["leaf_dark"])


def hills(p: Place) -> None:
    outdoors(p)
    edge = p.f["shade_x"] * p.width
    for x, up, across, colour in ((edge, 56, 120, "leaf_dark"), (p.width - edge, 40, 110, "leaf")):
        p.pen.oval(x, p.floor - 10, across, up, COLOURS[colour])
    grass(p)
    tree(p, p.f["prop_x"] * p.width, p.floor - 4)


def seaside(p: Place) -> None:
    outdoors(p)
    p.box(-9, p.floor - 4, p.width + 9, p.floor + 26, "sea")
    x = p.f["prop_x"] * p.width + 6 * p.n
    p.pen.shape([(x - 2, p.floor + 28), (x - 2, p.floor + 72), (x + 30, p.floor + 30)], WHITE)
    p.pen.shape([(x - 6, p.floor + 30), (x - 6, p.floor + 62), (x - 22, p.floor + 30)],
                COLOURS["red"])  # fmt: skip
    p.pen.shape([(x - 24, p.floor + 26), (x + 30, p.floor + 26), (x + 20, p.floor + 14),
                 (x - 16, p.floor + 14)], COLOURS["wood"])  # fmt: skip
    shore = [(-9, -9), (-9, p.floor), (0.3 * p.width, p.floor - 4), (0.7 * p.width, p.floor + 2),
             (p.width + 9, p.floor - 3), (p.width + 9, -9)]  # fmt: skip
    p.pen.shape(shore, COLOURS[f"wall_{p.n}"])


PLACES = {
    "parlour": parlour, "bedroom": bedroom, "kitchen": kitchen, "garden": garden, "hills": hills,
    "seaside": seaside,
}  # fmt: skip


def cloud(x, y, across, up) -> np.ndarray:
    """A squarish ellipse with bumps."""
    puffs = max(9, round((across + up) / 9))
    points = circle(5 * puffs)
    bump = 0.6 + 4.2 * np.abs(np.sin(np.arange(5 * puffs) * (np.pi / 5)))
    return squarish(points, 0.7) * (across - 2, up - 2) + points * bump[:, None] + (x, y)
