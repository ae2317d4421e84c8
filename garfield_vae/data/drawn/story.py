"""What happens in a drawn strip: the stories, and a strip's factors."""

import datetime
from dataclasses import dataclass

import numpy as np

FOODS = ("PIE", "CAKE", "SOUP", "TOAST", "TUNA", "CHEESE", "STEW", "PANCAKES")
DAYS = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
PLACES = ("parlour", "bedroom", "kitchen", "garden", "hills", "seaside")
TIMES = ((5, "NIGHT"), (12, "MORNING"), (18, "AFTERNOON"), (22, "EVENING"), (25, "NIGHT"))


@dataclass(frozen=True)
class Beat:
    """One panel. An actor is "pose face" ("" is absent); "a|b" leaves a choice to chance."""

    left: str
    right: str
    left_text: str = ""
    right_text: str = ""
    sound: str = ""


@dataclass(frozen=True)
class Story:
    """Three beats for two parts; a part that is "a|b" may be played by either."""

    name: str
    left: str
    right: str
    beats: tuple[Beat, Beat, Beat]

    @property
    def turnable(self) -> bool:
        """Whether left and right may be swapped; where both speak, the left one speaks first."""
        return not any(beat.left_text and beat.right_text for beat in self.beats)


STORIES = (
    Story("diet", "cat", "man", (
        Beat("stand calm", "wave smug|happy", right_text="TODAY WE START A DIET"),
        Beat("stand surprised", "stand smug", "WE?|WHO IS WE?"),
        Beat("point smug", "slump surprised|sad", "YOU GO FIRST. I WILL WATCH|AFTER THE {food}"))),
    Story("weekday", "cat", "", (
        Beat("stand calm", "", "IT IS {day}"),
        Beat("slump sad|calm", "", "AGAIN|ALREADY?|STILL"),
        Beat("lie asleep|calm", "", "WAKE ME WHEN IT IS OVER"))),
    Story("fetch", "man", "dog", (
        Beat("point happy", "stand happy", "FETCH!|GO GET IT!"),
        Beat("stand calm", "jump happy", right_text="WOOF!|YIP!|ARF!"),
        Beat("slump sad|angry", "stand smug", "THAT WAS MY {food}"))),
    Story("personal best", "cat", "dog", (
        Beat("lie asleep", ""),
        Beat("lie surprised", "cheer|jump happy", right_text="WOOF! WOOF!|GOOD {time}!|ARF! ARF!"),
        Beat("stand angry", "stand happy|surprised",
             "I WAS NEAR A PERSONAL BEST|THIS IS WHY I HATE {day}"))),
    Story("who ate it", "man", "cat", (
        Beat("cheer|wave angry", "stand calm", "WHO ATE MY {food}?"),
        Beat("stand angry", "stand smug"),
        Beat("slump sad", "point|stand smug", "", 'DEFINE "ATE"'))),
    Story("deep", "dog", "cat", (
        Beat("stand calm", "stand calm"),
        Beat("cheer happy", "stand calm", "WOOF!|YIP!|{food}!"),
        Beat("stand smug", "stand surprised|calm", "", "HE HAS A POINT|WELL PUT"))),
    Story("it shows", "man", "cat", (
        Beat("cheer happy", "", "I FEEL YOUNG THIS {time}!"),
        Beat("stand happy|smug", "stand calm"),
        Beat("slump surprised|sad", "stand smug", "", "IT DOES NOT SHOW|GIVE IT TIME"))),
    Story("quiet", "cat|man", "dog", (
        Beat("stand|lie calm", "", "A QUIET {time}..."),
        Beat("stand surprised", "jump happy", "", "WOOF!|{food}!"),
        Beat("slump angry|sad", "stand happy", "...WAS NICE WHILE IT LASTED"))),
    Story("up and down", "man", "cat", (
        Beat("cheer happy", "stand calm", "UP!"),
        Beat("slump happy|smug", "stand calm", "DOWN!"),
        Beat("stand surprised", "lie smug", "", "I WILL DO THE DOWN PART|I EXCEL AT DOWN"))),
    Story("round", "cat", "", (
        Beat("stand sad|calm", "", "I AM NOT FAT"),
        Beat("wave smug", "", "I AM ROUND"),
        Beat("cheer happy", "", "SO IS {food}, AND ALL LOVE {food}|SO IS THE MOON"))),
    Story("good dog", "man", "dog", (
        Beat("stand happy", "stand calm", "GOOD DOG!"),
        Beat("wave happy", "stand happy", "CLEVER DOG!"),
        Beat("stand surprised", "stand surprised|sad", "", "WHICH DOG?"))),
    Story("works every day", "cat", "dog", (
        Beat("stand calm", "stand surprised", "DO I SMELL {food} OUTSIDE?|IS THAT THE {food} VAN?"),
        Beat("wave smug", ""),
        Beat("lie smug|asleep", "", "WORKS EVERY {day}"))),
    Story("naps", "cat|dog", "", (
        Beat("lie asleep", "", "FIRST NAP"),
        Beat("stand happy", "", "SECOND NAP NEXT"),
        Beat("lie asleep", "", "I AM AHEAD OF MY PLAN"))),
    Story("unmade", "man", "cat", (
        Beat("cheer happy", "stand calm", "I MADE {food}!"),
        Beat("stand happy", "slump surprised"),
        Beat("slump sad|angry", "wave smug", "", "CAN IT BE UNMADE?"))),
    Story("what noise", "man", "cat", (
        Beat("stand happy|calm", "", "HOW STILL IT IS"),
        Beat("jump surprised", "", sound="CRASH!"),
        Beat("stand angry", "stand smug|happy", "", "WHAT NOISE?|IT WAS LIKE THAT"))),
    Story("one hug", "dog", "cat", (
        Beat("wave happy", "stand calm", "WOOF?", "NO"),
        Beat("cheer happy", "stand angry", "WOOF??", "NO!"),
        Beat("slump sad", "stand sad|calm", "", "FINE. ONE HUG"))),
    Story("mostly", "man", "dog|cat", (
        Beat("wave happy", "stand calm", "WHAT A FINE {time}!|I LOVE {day}!"),
        Beat("jump surprised", "stand surprised", sound="THUD!"),
        Beat("lie sad|surprised", "stand happy|calm", "MOSTLY"))),
    Story("a thought", "dog", "", (
        Beat("stand surprised", "", "I HAD A THOUGHT"),
        Beat("cheer happy", "", "IT WAS {food}!"),
        Beat("slump sad|calm", "", "NOW IT IS GONE"))),
    Story("practice", "man", "cat", (
        Beat("point angry", "lie asleep", "YOU SLEPT ALL {day}!"),
        Beat("stand angry", "lie calm", "", "THANK YOU"),
        Beat("slump sad", "stand|wave happy", "", "I PRACTISE"))),
    Story("sit", "man", "dog", (
        Beat("point calm|happy", "stand happy", "LIE DOWN!"),
        Beat("point angry", "jump happy", "LIE DOWN!"),
        Beat("lie sad|smug", "stand happy|smug", "ONE OF US HAS TO"))),
    Story("race", "cat", "dog", (
        Beat("point happy", "stand surprised|happy", "RACE YOU TO THE {food}!"),
        Beat("stand smug", "", sound="ZOOM!"),
        Beat("cheer happy", "", "I ATE IT HOURS AGO"))),
    Story("pop", "cat|dog|man", "dog|cat", (
        Beat("stand calm|happy", "stand calm|happy"),
        Beat("jump surprised", "jump surprised", sound="POP!"),
        Beat("slump calm", "stand happy", "I HATE PARTIES"))),
    Story("glasses", "man", "cat", (
        Beat("cheer|slump sad", "stand calm", "WHERE ARE MY GLASSES?"),
        Beat("point surprised", "stand smug", "NOT HERE!"),
        Beat("lie sad", "stand happy|smug", "", "HE NEEDS A HOBBY|I COULD HELP. BUT NO"))),
    Story("it passed", "cat|man", "", (
        Beat("stand happy", "", "TODAY I WILL EXERCISE!"),
        Beat("lie calm", ""),
        Beat("lie asleep|smug", "", "THERE. IT PASSED"))),
    Story("stare", "cat", "dog|man", (
        Beat("stand calm", "stand happy"),
        Beat("stand calm", "stand surprised|calm"),
        Beat("stand smug|happy", "slump sad|angry", "I WIN|NEVER STARE AT A CAT"))),
    Story("menu", "man", "cat|dog", (
        Beat("stand happy", "stand happy", "{food} OR SALAD?"),
        Beat("stand calm", "point|jump happy", "", "{food}!"),
        Beat("wave smug", "slump sad", "SALAD IT IS"))),
    Story("song", "dog", "cat|man", (
        Beat("cheer happy", "stand calm", "LA LA LA!"),
        Beat("wave happy", "stand angry", "LA LA LA LA!"),
        Beat("slump sad|surprised", "point angry", "", "ENOUGH"))),
    Story("moving on", "man", "", (
        Beat("stand calm", "", "I AM A NEW MAN"),
        Beat("cheer happy", "", "NO MORE {food}!"),
        Beat("slump sad", "", "I MISS THE OLD MAN"))),
    Story("guard", "dog", "", (
        Beat("stand angry|calm", "", "I GUARD THIS PLACE"),
        Beat("jump surprised", "", sound="BUMP!"),
        Beat("lie calm|asleep", "", "I GUARD IT LYING DOWN"))),
    Story("surprise", "dog", "man", (
        Beat("stand happy", ""),
        Beat("jump happy", "jump surprised", "WOOF!"),
        Beat("stand smug", "slump angry|sad", "", "EVERY {time} THE SAME"))),
)  # fmt: skip


def imagine(seed: int, date: datetime.date) -> dict[str, str | float]:
    """The factors of one day's strip: a pure function of (seed, date), the same everywhere.

    Every strip has the same keys. n is the panel, 1 to 3; side is left or right.

    date            ISO
    story           the name in STORIES
    place           one of PLACES
    hour            5 to 23: colours the sky, moves sun and moon, dims the rooms
    hue_n           0 to 1: hue of the panel's wall; outdoors, of the ground within its own range
    floor_hue       0 to 1: hue of floor and fence; curtains and blanket have the opposite one
    horizon         height of the floor's far edge, share of the panel's height
    prop_x          where window, picture, tree or boat is, share of the panel's width
    shade_x         where the wall's shadow begins, or a hill is, share of the panel's width
    cat_hue, dog_hue, shirt_hue   hues of fur and jersey, 0 to 1
    gutter_1, gutter_2            centres of the gutters, share of the strip's width
    gutter_width    pixels
    middle_border   1 where the middle panel has a border, else 0
    zoom_n          size of the panel's figures
    sound_n         the big letters in the panel, or ""
    side_who        cat, dog, man, or "" where nobody plays that part
    side_size       the actor's size, 1 being usual
    side_x_n        where the actor stands, share of the panel's width (also while absent)
    side_pose_n     a key of cast.POSES, or "absent"
    side_face_n     a key of cast.EXPRESSIONS, or "absent"
    side_text_n     what the actor says (a cat thinks it), or ""
    """
    rng = np.random.default_rng([seed, date.toordinal()])

    def between(low: float, high: float) -> float:
        return round(float(rng.uniform(low, high)), 4)

    def scatter(centre: float, spread: float, low: float, high: float) -> float:
        return round(float(np.clip(rng.normal(centre, spread), low, high)), 4)

    def choose(options) -> str:
        return options[int(rng.integers(len(options)))]

    story = STORIES[int(rng.integers(len(STORIES)))]
    place, hour = choose(PLACES), between(5, 23)
    hue = between(0, 1)
    other = round((hue + between(0.15, 0.5)) % 1, 4) if rng.random() < 0.45 else hue
    far = 1.0 if rng.random() < 0.8 else between(0.75, 0.9)  # a long shot opens the strip
    near = 1.0 if rng.random() < 0.6 else between(1.05, 1.2)  # a close-up ends it
    factors: dict[str, str | float] = {
        "date": date.isoformat(), "story": story.name, "place": place, "hour": hour,
        "hue_1": hue, "hue_2": other, "hue_3": hue, "floor_hue": between(0, 1),
        "horizon": between(0.2, 0.34), "prop_x": between(0.2, 0.8), "shade_x": between(0.1, 0.9),
        "cat_hue": between(0.58, 0.82), "dog_hue": between(0.05, 0.15), "shirt_hue": between(0, 1),
        "gutter_1": scatter(0.338, 0.004, 0.326, 0.349),
        "gutter_2": scatter(0.659, 0.007, 0.6375, 0.685),
        "gutter_width": between(5, 8), "middle_border": int(rng.random() < 0.12),
        "zoom_1": far, "zoom_2": 1.0, "zoom_3": near,
    }  # fmt: skip
    words = {"food": choose(FOODS), "day": DAYS[date.weekday()]}
    words["time"] = next(name for end, name in TIMES if hour < end)
    sides = ("left", "right")
    parts = (story.left, story.right)
    turned = story.turnable and rng.random() < 0.5
    cast: list[str] = []
    for side, part in zip(sides, parts, strict=True):
        free = [who for who in part.split("|") if who not in cast]
        cast.append(choose(free))
        shown = sides[1 - sides.index(side)] if turned else side
        factors[f"{shown}_who"] = cast[-1]
        factors[f"{shown}_size"] = between(0.9, 1.12)
        alone = not story.right
        middle = 0.5 if alone else 0.24 if shown == "left" else 0.76
        stand = between(middle - 0.04 - 0.14 * alone, middle + 0.04 + 0.14 * alone)
        for n, beat in enumerate(story.beats, 1):
            actor = getattr(beat, side)
            pose, face = (choose(word.split("|")) for word in (actor or "absent absent").split())
            factors[f"{shown}_x_{n}"] = round(stand + between(-0.02, 0.02), 4)
            factors[f"{shown}_pose_{n}"], factors[f"{shown}_face_{n}"] = pose, face
            text = choose(getattr(beat, f"{side}_text").split("|"))
            factors[f"{shown}_text_{n}"] = text.format(**words)
    for n, beat in enumerate(story.beats, 1):
        factors[f"sound_{n}"] = beat.sound
    return factors
