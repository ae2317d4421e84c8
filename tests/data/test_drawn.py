"""Drawn strips: what a strip shows is what its factors say."""

import colorsys
import datetime
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from garfield_vae.data.drawn import FIRST_DAY, dailies, draw_factors, draw_strip, imagine
from garfield_vae.data.drawn.cast import EXPRESSIONS, FIGURES, POSES
from garfield_vae.data.drawn.pen import develop
from garfield_vae.data.drawn.places import PLACES
from garfield_vae.data.drawn.scene import panel_columns
from garfield_vae.data.drawn.story import STORIES, TIMES

ROOT = Path(__file__).resolve().parents[2]
DAYS = list(dailies(FIRST_DAY, 300))


def pixels(image: Image.Image) -> np.ndarray:
    """RGB, int [h, w, 3]."""
    return np.asarray(image.convert("RGB")).astype(int)


def first_where(**wanted) -> dict:
    """The factors of the first day, of any, that have these values."""
    days = (imagine(0, FIRST_DAY + datetime.timedelta(n)) for n in range(20_000))
    return next(f for f in days if all(f[key] == value for key, value in wanted.items()))


def changed(before: dict, **factors) -> np.ndarray:
    """Which pixels change with these factors, bool [h, w]."""
    return (pixels(draw_factors(before)) != pixels(draw_factors({**before, **factors}))).any(axis=2)


def in_panel(f: dict, n: int) -> slice:
    return slice(*panel_columns(f)[n - 1])


# --- a strip is a function of seed and date


def test_a_strip_is_600_by_175_with_the_day_as_its_date():
    image, factors = draw_strip(0, datetime.date(1985, 3, 12))
    assert image.size == (600, 175)
    assert factors["date"] == "1985-03-12"


def test_two_processes_draw_the_same_pixels_and_factors():
    code = (
        "import datetime, hashlib, json; from garfield_vae.data.drawn import draw_strip\n"
        "for n in range(12):\n"
        "    image, f = draw_strip(7, datetime.date(1990, 1, 1) + datetime.timedelta(97 * n))\n"
        "    print(hashlib.sha256(image.convert('RGB').tobytes()).hexdigest(), json.dumps(f))\n"
    )
    outputs = [
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for hash_seed in ("1", "2")
    ]
    assert outputs[0] == outputs[1]
    assert len(set(outputs[0].splitlines())) == 12


def test_a_strip_does_not_depend_on_what_was_drawn_before_it():
    alone = pixels(draw_strip(0, DAYS[40])[0])
    for day in DAYS[41:60]:
        draw_strip(3, day)
    assert (pixels(draw_strip(0, DAYS[40])[0]) == alone).all()


def test_another_seed_gives_another_strip_for_the_same_day():
    assert imagine(0, FIRST_DAY) != imagine(1, FIRST_DAY)


# --- factors


def test_factors_are_flat_and_every_day_has_the_same_names_and_kinds():
    kinds = {key: type(value) for key, value in imagine(0, FIRST_DAY).items()}
    assert set(kinds.values()) <= {str, float, int}
    for day in DAYS:
        factors = imagine(0, day)
        assert {key: type(value) for key, value in factors.items()} == kinds
        assert json.loads(json.dumps(factors)) == factors


def test_every_story_and_place_comes_up():
    seen = [imagine(0, day) for day in DAYS]
    assert {f["story"] for f in seen} == {story.name for story in STORIES}
    assert {f["place"] for f in seen} == set(PLACES)


def test_stories_use_only_poses_and_expressions_that_exist():
    for story in STORIES:
        for beat in story.beats:
            for actor in filter(None, (beat.left, beat.right)):
                pose, face = actor.split()
                assert set(pose.split("|")) <= set(POSES), story.name
                assert set(face.split("|")) <= set(EXPRESSIONS), story.name


def test_nobody_speaks_in_a_panel_where_they_are_absent():
    for story in STORIES:
        for beat in story.beats:
            assert beat.left or not beat.left_text, story.name
            assert beat.right or not beat.right_text, story.name


def test_every_hour_of_a_strip_has_a_name():
    assert max(end for end, _ in TIMES) > 23


@pytest.mark.parametrize("who", FIGURES)
def test_every_pose_and_expression_is_drawn_and_looks_its_own_way(who):
    base = first_where(left_who=who, right_who="", sound_1="", place="hills", zoom_1=1.0)
    base |= {f"left_text_{n}": "" for n in (1, 2, 3)}
    seen = set()
    for pose in POSES:
        for face in EXPRESSIONS:
            f = {**base, "left_pose_1": pose, "left_face_1": face}
            seen.add(draw_factors(f).tobytes())
    assert len(seen) == len(POSES) * len(EXPRESSIONS)


# --- the picture is what the factors say


def test_gutters_are_white_and_centred_where_the_factors_say():
    for day in DAYS[:60]:
        image, f = draw_strip(0, day)
        white = (pixels(image) == 255).all(axis=(0, 2))
        for n in (1, 2):
            centre = f[f"gutter_{n}"] * 600
            start, end = panel_columns(f)[n - 1][1], panel_columns(f)[n][0]
            assert white[start:end].all()
            assert not white[start - 1]
            assert abs((start + end) / 2 - centre) <= 1
            assert abs(end - start - f["gutter_width"]) <= 1


def test_gutters_scatter_as_measured_on_real_strips():
    seen = np.array([[imagine(0, day)[f"gutter_{n}"] for n in (1, 2)] for day in DAYS])
    assert seen.min(axis=0) == pytest.approx([0.326, 0.6375], abs=0.006)
    assert seen.max(axis=0) == pytest.approx([0.349, 0.685], abs=0.012)
    assert (seen >= [0.326, 0.6375]).all()
    assert (seen <= [0.349, 0.685]).all()
    assert seen.mean(axis=0) == pytest.approx([0.338, 0.659], abs=0.002)


@pytest.mark.parametrize("bordered", [0, 1])
def test_panels_1_and_3_have_a_black_border_and_the_middle_one_if_the_factor_says(bordered):
    f = {**imagine(0, FIRST_DAY), "middle_border": bordered, "place": "parlour"}
    f |= {"left_text_2": "", "right_text_2": "", "sound_2": ""}
    strip = pixels(draw_factors(f))
    for n, wanted in ((1, True), (2, bool(bordered)), (3, True)):
        start, end = panel_columns(f)[n - 1]
        top = strip[2, start:end]
        assert (top.max() < 40) == wanted
        assert (strip[2:-2, start].max() < 40) == wanted


@pytest.mark.parametrize("hue", [0.02, 0.3, 0.5, 0.77])
def test_the_hue_of_a_panel_is_that_of_its_wall_and_of_no_other_panel(hue):
    f = first_where(place="kitchen", left_text_2="", right_text_2="", sound_2="", right_who="")
    f |= {"shade_x": 0.9, "prop_x": 0.8, "hour": 12.0}
    strip = pixels(draw_factors({**f, "hue_2": hue}))
    corner = strip[5, in_panel(f, 2)][5]
    assert colorsys.rgb_to_hsv(*corner / 255)[0] == pytest.approx(hue, abs=0.01)
    differs = changed({**f, "hue_2": hue}, hue_2=hue + 0.1)
    assert differs[:, in_panel(f, 2)].mean() > 0.2
    differs[:, in_panel(f, 2)] = False
    assert not differs.any()


def test_the_hour_changes_the_sky_from_day_to_night():
    f = first_where(place="hills", left_text_1="", right_text_1="", sound_1="")
    f["prop_x"] = 0.9  # the tree stands aside
    day, night = (pixels(draw_factors({**f, "hour": hour}))[6, 6] for hour in (13.0, 23.0))
    assert day.sum() > night.sum() + 150


def test_text_is_lettered_in_the_panel_and_beside_the_actor_that_says_it():
    f = first_where(left_who="man", left_pose_1="stand", right_pose_1="stand", place="parlour")
    f["right_text_1"] = ""
    f["left_text_1"] = ""
    differs = changed(f, left_text_1="HELLO")
    rows, columns = np.nonzero(differs)
    start, end = panel_columns(f)[0]
    assert start <= columns.min()
    assert columns.max() < end
    assert columns.mean() < start + 0.4 * (end - start)
    assert rows.max() < 0.6 * 175
    balloon = pixels(draw_factors({**f, "left_text_1": "HELLO"}))[:60, start:end]
    assert (balloon == 255).all(axis=2).sum() > 300  # white round the letters


def test_the_same_letters_in_another_order_change_only_the_letters():
    f = first_where(left_text_1="UP!", place="parlour")
    rows, columns = np.nonzero(changed({**f, "left_text_1": "STOP"}, left_text_1="POTS"))
    assert rows.size > 20
    assert np.ptp(rows) < 12
    assert np.ptp(columns) < 36


def test_long_texts_stay_inside_their_panel():
    for story in STORIES:
        f = first_where(story=story.name)
        for n in (1, 2, 3):
            for side in ("left", "right"):
                if not f[f"{side}_text_{n}"]:
                    continue
                inside = slice(panel_columns(f)[n - 1][0] + 2, panel_columns(f)[n - 1][1] - 2)
                edges = changed(f, **{f"{side}_text_{n}": ""})
                edges[:, inside] = False
                assert not edges.any(), (story.name, n)


def shirt(f: dict, n: int) -> np.ndarray:
    """Rows and columns of the pixels of panel `n` in the jersey's colour, int [2, pixels]."""
    colour = np.rint(255 * np.array(colorsys.hsv_to_rgb(f["shirt_hue"], 0.68, 0.85)))
    strip = pixels(draw_factors(f))[:, in_panel(f, n)]
    return np.stack(np.nonzero((np.abs(strip - colour) <= 1).all(axis=2)))


def test_an_actor_stands_where_the_factors_say():
    f = first_where(left_who="man", right_who="", left_pose_1="stand", place="hills", zoom_1=1.0)
    f["shirt_hue"] = 0.93
    start, end = panel_columns(f)[0]
    for x in (0.35, 0.5, 0.65):
        _, columns = shirt({**f, "left_x_1": x}, 1)
        assert columns.size > 300
        assert columns.mean() / (end - start) == pytest.approx(x, abs=0.03)


def test_size_and_zoom_are_those_of_the_figure():
    f = first_where(left_who="man", right_who="", left_pose_1="stand", place="hills", zoom_1=1.0)
    f |= {"shirt_hue": 0.93, "left_size": 0.8}
    small, large, near = (
        np.ptp(shirt({**f, **change}, 1), axis=1)
        for change in ({}, {"left_size": 1.0}, {"zoom_1": 1.25})
    )
    assert large / small == pytest.approx(1.25, abs=0.06)
    assert near == pytest.approx(large, abs=2)


def test_an_absent_actor_leaves_no_trace():
    f = first_where(left_who="man", left_pose_1="stand", right_pose_1="absent", place="garden")
    f |= {"shirt_hue": 0.93, "left_pose_2": "absent", "left_text_2": ""}
    assert shirt(f, 1).shape[1] > 300
    assert shirt(f, 2).shape[1] == 0


def test_lines_have_smooth_edges_although_the_strip_is_a_palette_image():
    dots = np.full((4, 4), 2, dtype=np.uint8)
    dots[:2, :2] = [[0, 2], [2, 2]]  # one dot of ink in the first pixel
    dots[2:, :2] = 0
    image = develop(Image.fromarray(dots), [(0, 0, 0), (255, 255, 255), (200, 100, 40)])
    assert image.mode == "P"
    assert pixels(image).tolist() == [[[150, 75, 30], [200, 100, 40]], [[0, 0, 0], [200, 100, 40]]]


def test_more_colours_than_fit_the_palette_are_refused():
    with pytest.raises(ValueError, match="52 colours"):
        develop(Image.new("L", (2, 2)), [(0, 0, 0)] * 52)
