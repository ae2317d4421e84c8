"""The cast of the drawn strips: a stout cat, a long-eared dog and a man with a moustache.

A figure is drawn in units of its own height, feet at (0, 0), looking to the right. Poses and
expressions are numbers, so that everything between two of them can be drawn, too.
"""

import math
from dataclasses import dataclass

import numpy as np

from garfield_vae.data.drawn.pen import INK, Pen, bend, oval, smooth

WHITE = 1


@dataclass(frozen=True)
class Pose:
    """Arms are angles in radians from straight down, positive outwards and up."""

    near_arm: float = 0.35
    far_arm: float = 0.35
    lean: float = 0.0  # sideways shift of the head per height
    squash: float = 1.0  # height as a share of the standing height
    hop: float = 0.0  # feet above the floor, in heights
    lying: bool = False


POSES = {
    "stand": Pose(),
    "wave": Pose(near_arm=2.3, lean=0.04),
    "cheer": Pose(near_arm=2.4, far_arm=2.4, hop=0.05),
    "point": Pose(near_arm=1.6, lean=0.06),
    "slump": Pose(near_arm=0.1, far_arm=0.1, lean=0.08, squash=0.9),
    "jump": Pose(near_arm=2.1, far_arm=2.1, hop=0.1),
    "lie": Pose(lying=True),
}


@dataclass(frozen=True)
class Expression:
    """How a face is drawn."""

    lid: float = 0.0  # share of the eye that the upper lid covers
    slant: float = 0.0  # of the lid and brow: positive is angry, negative is sad
    pupil: float = 0.42  # radius, as a share of the eye's
    smile: float = 0.4  # from −1 (a frown) to 1
    gape: float = 0.0  # how far the mouth is open
    brow: float = 0.0  # the brows above the eye, in eyes; 0 draws none


EXPRESSIONS = {
    "calm": Expression(lid=0.45, smile=0.25),
    "happy": Expression(pupil=0.5, smile=1.0, gape=0.55),
    "smug": Expression(lid=0.5, slant=0.15, smile=0.9),
    "surprised": Expression(pupil=0.28, smile=0.0, gape=0.9, brow=0.25),
    "angry": Expression(lid=0.3, slant=0.6, smile=-0.8),
    "sad": Expression(lid=0.25, slant=-0.5, smile=-0.7, brow=0.2),
    "asleep": Expression(lid=1.0, smile=0.1),
}


def eye(pen: Pen, x, y, across, up, face: Expression, lid_colour: int, side: float) -> None:
    """One eye; `side` is −1 for the far one and 1 for the near one (brows slant inwards)."""
    outline = oval(x, y, across, up, corners=22)
    if face.lid > 0.95:
        pen.shape(outline, lid_colour, 1)
        pen.line(outline[12:], 4)
        return
    pen.shape(outline, WHITE, 2)
    size = face.pupil * min(across, up)
    pen.oval(x + 0.3 * across, y - 0.25 * up, size, size * 1.25, INK, width=0)
    if face.lid:
        slope = face.slant * side * up / across
        edge = y + up * (1 - 2 * face.lid) + slope * (outline[:, 0] - x)
        lid = np.stack([outline[:, 0], np.maximum(outline[:, 1], edge)], axis=1)
        pen.shape(lid, lid_colour, 2)
    if face.brow:
        height, tilt = y + up * (1 + face.brow), side * face.slant * 0.5 * up
        ends = (x - 0.75 * across, height - tilt), (x + 0.75 * across, height + tilt)
        pen.line(bend(ends[0], (x, height + 0.45 * up), ends[1]), 2.6)


def mouth(pen: Pen, x, y, half: float, face: Expression, colours: dict) -> None:
    """A mouth `half` wide to each side of (x, y): a curve, or an open shape with a tongue."""
    t = np.linspace(-1, 1, 9)
    curve = y - face.smile * half * 0.5 * (1 - t**2)
    top = np.stack([x + half * t, curve + 0.2 * half * face.smile], axis=1)
    if face.gape < 0.1:
        pen.line(top)
        return
    deep = 1.3 * half * face.gape
    if face.smile < 0.3:  # an O, wide and flat when angry
        wide = half * (0.6 - 0.3 * face.smile)
        pen.oval(x, y - 0.5 * deep, wide, 0.25 * half + 0.5 * deep, colours["mouth"], width=2)
        low = y - deep
    else:
        bottom = top[::-1] - np.stack([0 * t, deep * (1 - t**2)], axis=1)
        pen.shape(np.concatenate([top, bottom]), colours["mouth"], 2)
        low = bottom[:, 1].min()
    pen.oval(x, low + 0.2 * half, 0.38 * half, 0.2 * half, colours["tongue"], width=0)


def arm(pen: Pen, shoulder, angle: float, length: float, side: int, thick, sleeve, hand) -> None:
    """An arm from `shoulder` with a round hand; `side` is 1 for the near one, −1 for the far."""
    x, y = shoulder
    reach = (x + side * length * math.sin(angle), y - length * math.cos(angle))
    elbow = (x + side * length * 0.55 * math.sin(angle + 0.1) + side * 0.05, y - length * 0.55)
    pen.limb(bend(shoulder, elbow, reach), thick, sleeve)
    pen.oval(*reach, thick * 0.72, thick * 0.66, hand)


CAT_BODY = ((-0.27, 0.03), (-0.4, 0.2), (-0.31, 0.44), (0, 0.6), (0.31, 0.44), (0.4, 0.2),
            (0.27, 0.03), (0, 0.0))  # fmt: skip
CAT_HEAD = ((-0.43, 0.62), (-0.36, 0.82), (-0.17, 0.92), (0, 0.94), (0.17, 0.92), (0.36, 0.82),
            (0.43, 0.62), (0.24, 0.5), (0, 0.47), (-0.24, 0.5))  # fmt: skip


def cat(pen: Pen, pose: Pose, face: Expression, c: dict) -> None:
    """Stout, grey to violet, white muzzle and belly, one dark patch over an eye."""
    wag = 0.3 * (pose.near_arm > 1)
    tail = bend((-0.25, 0.12), (-0.75, 0.0), (-0.58, 0.38 + wag), 9)
    pen.limb(tail, 0.13, c["cat"])
    pen.limb(tail[6:], 0.13, c["cat_dark"])
    if pose.lying:
        pen.oval(-0.1, 0.2, 0.52, 0.2, c["cat"])
        pen.oval(-0.35, 0.06, 0.14, 0.06, c["cat"])
        lift = (0.18, -0.4)
    else:
        arm(pen, (-0.26, 0.42), pose.far_arm, 0.3, -1, 0.15, c["cat"], WHITE)
        pen.shape(smooth(CAT_BODY), c["cat"])
        pen.oval(0.04, 0.24, 0.24, 0.21, WHITE, width=0)
        for x in (-0.2, 0.24):
            pen.oval(x, 0.05, 0.16, 0.065, WHITE)
        lift = (0.0, 0.0)
    dx, dy = lift

    def at(points):
        return np.asarray(points) + np.array((dx, dy))

    for side in (-1, 1):
        ear = [(side * 0.39, 0.7), (side * 0.36, 1.06), (side * 0.1, 0.9)]
        pen.shape(at(ear), c["cat_dark"])
        inner = [(side * 0.33, 0.83), (side * 0.325, 0.97), (side * 0.21, 0.9)]
        pen.fill(at(inner), c["pink"])
    pen.shape(at(smooth(CAT_HEAD)), c["cat"])
    pen.fill(at(oval(0.22, 0.76, 0.15, 0.15)), c["cat_dark"])
    turn = 0.06
    for side in (-1, 1):
        lid = c["cat_dark"] if side > 0 else c["cat"]
        eye(pen, turn + side * 0.115 + dx, 0.76 + dy, 0.115, 0.135, face, lid, side)
    pen.shape(at(smooth(((-0.2, 0.58), (-0.09, 0.67), (turn, 0.64), (0.21, 0.67), (0.32, 0.58),
                         (0.2, 0.5), (turn, 0.53), (-0.08, 0.5)))), WHITE, 2)  # fmt: skip
    mouth(pen, turn + dx, 0.58 + dy, 0.15, face, c)
    pen.oval(turn + dx, 0.655 + dy, 0.06, 0.04, c["pink"], width=2)
    for side in (-1, 1):
        for rise in (0.03, -0.03):
            whisker = [(turn + side * 0.25, 0.6 + rise * 0.5), (turn + side * 0.5, 0.62 + rise * 2)]
            pen.line(at(whisker), 1.2)
    if pose.lying:
        pen.oval(0.42, 0.06, 0.15, 0.065, WHITE)
        pen.oval(0.08, 0.055, 0.15, 0.06, WHITE)
    else:
        arm(pen, (0.27, 0.42), pose.near_arm, 0.3, 1, 0.15, c["cat"], WHITE)


DOG_BODY = ((-0.2, 0.08), (-0.24, 0.3), (-0.13, 0.55), (0.08, 0.55), (0.17, 0.35), (0.18, 0.1),
            (0, 0.04))  # fmt: skip


def dog(pen: Pen, pose: Pose, face: Expression, c: dict) -> None:
    """Long brown ears, a big snout, a red collar; the tail tells the mood."""
    mood = 0.35 if face.smile > 0.5 else 0.0
    pen.limb(bend((-0.15, 0.14), (-0.4, 0.12), (-0.44, 0.3 + mood)), 0.075, c["dog"])
    if pose.lying:
        pen.oval(-0.12, 0.17, 0.42, 0.17, c["dog"])
        pen.oval(-0.2, 0.22, 0.2, 0.1, c["dog_dark"], width=0)
        dx, dy = 0.2, -0.42
    else:
        arm(pen, (-0.14, 0.46), pose.far_arm, 0.3, -1, 0.11, c["dog"], c["dog"])
        pen.shape(smooth(DOG_BODY), c["dog"])
        pen.oval(-0.13, 0.28, 0.08, 0.14, c["dog_dark"], width=0)
        for x in (-0.12, 0.14):
            pen.oval(x, 0.05, 0.15, 0.06, c["dog"])
        arm(pen, (0.1, 0.46), pose.near_arm, 0.33, 1, 0.11, c["dog"], c["dog"])
        pen.limb(bend((-0.11, 0.53), (0, 0.49), (0.1, 0.53)), 0.07, c["red"])
        dx, dy = 0.0, 0.0
    flap = 0.5 * (face.brow > 0.22) + 0.35 * pose.hop / 0.1
    far = oval(0.19 + dx + 0.1 * flap, 0.82 + dy + 0.1 * flap, 0.08, 0.19, 0.5 + flap)
    pen.shape(far, c["dog_dark"])
    pen.oval(0.0 + dx, 0.76 + dy, 0.24, 0.22, c["dog"])
    pen.oval(0.24 + dx, 0.655 + dy, 0.25, 0.135, c["dog"])
    pen.fill(oval(0.08 + dx, 0.68 + dy, 0.15, 0.13), c["dog"])
    mouth(pen, 0.24 + dx, 0.62 + dy, 0.14, face, c)
    if face.smile > 0.5:
        pen.limb(bend((0.24 + dx, 0.55 + dy), (0.3 + dx, 0.5 + dy), (0.29 + dx, 0.42 + dy)), 0.1,
                 c["tongue"])  # fmt: skip
    for side in (-1, 1):
        eye(pen, 0.08 + side * 0.085 + dx, 0.86 + dy, 0.085, 0.115, face, c["dog"], side)
    pen.oval(0.46 + dx, 0.725 + dy, 0.085, 0.065, INK)
    pen.oval(0.44 + dx, 0.745 + dy, 0.022, 0.015, WHITE, width=0)
    near = oval(-0.19 + dx - 0.12 * flap, 0.68 + dy + 0.15 * flap, 0.1, 0.25, -0.25 - 1.3 * flap)
    pen.shape(near, c["dog_dark"])
    if pose.lying:
        pen.oval(0.3, 0.05, 0.17, 0.055, c["dog"])


MAN_BODY = ((-0.2, 0.16), (-0.2, 0.36), (-0.13, 0.53), (0.13, 0.53), (0.2, 0.36), (0.2, 0.16))
MAN_HEAD = ((-0.2, 0.74), (-0.17, 0.9), (0.02, 0.97), (0.18, 0.9), (0.2, 0.74), (0.17, 0.6),
            (0.03, 0.52), (-0.13, 0.58))  # fmt: skip
MAN_HAIR = ((-0.24, 0.72), (-0.27, 0.85), (-0.21, 0.97), (-0.08, 1.05), (0.06, 1.02), (0.18, 1.06),
            (0.24, 0.96), (0.15, 0.92), (0.05, 0.89), (-0.06, 0.91), (-0.14, 0.84),
            (-0.16, 0.72))  # fmt: skip


def man(pen: Pen, pose: Pose, face: Expression, c: dict) -> None:
    """Glasses, a big nose, a moustache and a mop of hair; the jersey's hue is a factor."""
    if pose.lying:
        pen.limb([(-0.6, 0.09), (-0.1, 0.11)], 0.17, c["trousers"])
        pen.oval(-0.62, 0.13, 0.07, 0.12, c["shoe"])
        pen.limb([(-0.15, 0.15), (0.2, 0.17)], 0.28, c["shirt"])
        dx, dy = 0.36, -0.5
    else:
        for x in (-0.09, 0.1):
            pen.limb([(x, 0.2), (x, 0.08)], 0.14, c["trousers"])
            pen.oval(x + 0.04, 0.035, 0.12, 0.045, c["shoe"])
        arm(pen, (-0.15, 0.46), pose.far_arm, 0.27, -1, 0.11, c["shirt"], c["skin"])
        pen.shape(smooth(MAN_BODY), c["shirt"])
        pen.line([(-0.2, 0.2), (0.2, 0.2)], 1.6)
        dx, dy = 0.0, 0.0
    head = np.array([dx, dy])
    pen.shape(smooth(MAN_HEAD) + head, c["skin"])
    pen.oval(-0.17 + dx, 0.72 + dy, 0.055, 0.075, c["skin"])
    pen.shape(smooth(MAN_HAIR) + head, c["hair"])
    for side in (-1, 1):
        eye(pen, 0.07 + side * 0.095 + dx, 0.79 + dy, 0.092, 0.1, face, c["skin"], side)
    mouth(pen, 0.08 + dx, 0.6 + dy, 0.085, face, c)
    whiskers = ((-0.08, 0.6), (-0.02, 0.66), (0.08, 0.68), (0.2, 0.66), (0.25, 0.6), (0.09, 0.63))
    pen.shape(smooth(whiskers) + head, c["hair"], 2)
    pen.oval(0.12 + dx, 0.71 + dy, 0.085, 0.065, c["skin"])
    if not pose.lying:
        arm(pen, (0.16, 0.46), pose.near_arm, 0.27, 1, 0.11, c["shirt"], c["skin"])


def startle(pen: Pen, pose: Pose) -> None:
    """Three short lines that fly off a startled head."""
    x, y = (0.2, 0.35) if pose.lying else (0.0, 0.75)
    for angle in (1.9, 2.3, 2.7):
        out = np.array([[math.cos(angle)], [math.sin(angle)]]) * (0.44, 0.56) + [[x], [y]]
        pen.line(out.T, 2)


FIGURES = {"cat": cat, "dog": dog, "man": man}
HEIGHTS = {"cat": 100.0, "dog": 108.0, "man": 118.0}  # pixels, standing, at size 1
HEADS = {"cat": 0.95, "dog": 0.95, "man": 1.0}  # where a balloon's tail points, in heights


def draw_figure(image, who: str, x, y, size, mirrored, pose: str, expression: str, colours) -> Pen:
    """Draws one of the cast with its feet at the pixel (x, y); returns the pen that drew it."""
    form = POSES[pose]
    height = HEIGHTS[who] * size
    reach = 0.6 if form.lying else 0.36 - 0.5 * form.hop
    Pen(image, x, y, height).oval(0, 0.01, reach, 0.045, colours["shade"], width=0)
    rise = form.hop * height
    pen = Pen(image, x, y - rise, height, mirrored, form.lean, form.squash)
    face = EXPRESSIONS[expression]
    FIGURES[who](pen, form, face, colours)
    if face.pupil < 0.3:
        startle(pen, form)
    return pen
