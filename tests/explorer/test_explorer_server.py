"""The explorer's server, asked over real HTTP: what it answers, and to how many at once."""

import base64
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from explorer_model import (
    MEAN,
    SLIDERS,
    STRIPS,
    TURNED,
    ask,
    assert_same_picture,
    make_explorer,
    picture,
    rendered,
    served,
    start_of,
)
from PIL import Image

from garfield_vae.data.drawn import draw_strip
from garfield_vae.data.panels import join_panels, to_uint8
from garfield_vae.explorer.component_names import ComponentNames, suggested_names
from garfield_vae.explorer.renderer import PAGES_REMEMBERED, Superseded
from garfield_vae.explorer.server import CONNECTIONS, SILENT, listen, make_server
from garfield_vae.explorer.service import CANDIDATES
from garfield_vae.explorer.states import BadRequest, as_json
from garfield_vae.util.errors import UserError

# --- answers --------------------------------------------------------------------------------------


def test_the_page_comes_with_a_content_security_policy_and_no_inline_code(address):
    status, headers, content = ask(address, "GET", "/")
    assert status == 200
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    page = content.decode()
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", page)


def test_no_file_of_the_page_names_an_address_outside(address):
    page = ask(address, "GET", "/")[2].decode()
    parts = re.findall(r'(?:src|href)="([\w.]+)"', page)
    scripts = ask(address, "GET", "/page.js")[2].decode()
    parts += re.findall(r'from "\./([\w.]+)"', scripts)
    assert len(parts) > 5
    for part in parts:
        status, _, content = ask(address, "GET", "/" + part)
        assert status == 200
        assert b"://" not in content.replace(b"http://www.w3.org/2000/svg", b"")


def test_a_picture_is_what_the_library_renders_for_the_state(address, explorer):
    for state in (MEAN, TURNED):
        status, headers, content = ask(address, "POST", "/api/picture", {"state": state})
        assert (status, headers["Content-Type"]) == (200, "image/png")
        assert_same_picture(picture(content), rendered(explorer, state))
    assert np.abs(rendered(explorer, MEAN).astype(int) - rendered(explorer, TURNED)).max() > 20


def test_a_pages_pictures_in_a_drag_are_the_same_pixels_without_the_work_of_a_png(address):
    asked = {"state": TURNED, "page": "page", "turn": 1}
    status, headers, content = ask(address, "POST", "/api/picture", asked)
    assert (status, headers["Content-Type"]) == (200, "image/bmp")
    exact = picture(ask(address, "POST", "/api/picture", {"state": TURNED})[2])
    np.testing.assert_array_equal(picture(content), exact)


def test_a_panel_moved_alone_leaves_the_other_panels_as_they_were(address):
    alone = {**MEAN, "panels": [[0.0] * SLIDERS, [3.0] + [0.0] * (SLIDERS - 1), [0.0] * SLIDERS]}
    before = picture(ask(address, "POST", "/api/picture", {"state": MEAN})[2]).astype(int)
    after = picture(ask(address, "POST", "/api/picture", {"state": alone})[2])
    changed = np.abs(after - before).max((0, 2)) > 2  # by column
    third = len(changed) // 3
    assert changed[third : 2 * third].any()
    assert not changed[: third - 2].any()
    assert not changed[2 * third + 2 :].any()


def test_a_picture_comes_at_twice_the_size_when_asked(address):
    once = picture(ask(address, "POST", "/api/picture", {"state": TURNED})[2])
    twice = picture(ask(address, "POST", "/api/picture", {"state": TURNED, "scale": 2})[2])
    assert twice.shape == (2 * once.shape[0], 2 * once.shape[1], 3)


def test_info_lists_the_sliders_by_falling_variance(address):
    info = json.loads(ask(address, "GET", "/api/info")[2])
    explained = [slider["explained"] for slider in info["sliders"]]
    assert len(explained) == SLIDERS
    assert explained == sorted(explained, reverse=True)
    assert info["strips"] == {"count": STRIPS, "first": "1990-01-01", "last": "1990-02-09"}


def test_the_ends_show_the_strip_with_each_slider_at_minus_3_and_3(address, explorer):
    here = start_of(explorer)
    sheet = picture(ask(address, "POST", "/api/ends.png", {"state": here})[2])
    assert sheet.shape[1] == 320
    height, rest = divmod(sheet.shape[0], SLIDERS)
    assert rest == 0
    for slider in (0, SLIDERS - 1):
        for side, end in enumerate((-3.0, 3.0)):
            knobs = [*here["knobs"][:slider], end, *here["knobs"][slider + 1 :]]
            strip = Image.fromarray(rendered(explorer, {**here, "knobs": knobs}))
            gutter = (strip.height - 48) // 2
            box = (gutter, gutter, strip.width - gutter, strip.height - gutter)
            expected = strip.crop(box).resize((160, height), Image.Resampling.LANCZOS)
            small = sheet[slider * height :, 160 * side : 160 * side + 160][:height]
            assert np.abs(small.astype(int) - np.asarray(expected)).max() <= 2


def test_the_ends_of_some_sliders_are_a_part_of_all(address, explorer):
    asked = {"state": start_of(explorer)}
    whole = picture(ask(address, "POST", "/api/ends.png", asked)[2])
    part = picture(ask(address, "POST", "/api/ends.png", {**asked, "first": 4, "count": 4})[2])
    height = len(whole) // SLIDERS
    assert_same_picture(part, whole[4 * height :])  # six sliders: the last two


def test_names_are_suggested_for_every_slider_by_what_it_changes(address):
    names = json.loads(ask(address, "GET", "/api/suggestions")[2])["names"]
    assert len(names) == SLIDERS
    assert all(1 < len(name) <= 40 for name in names)


@pytest.mark.parametrize(
    ("where", "colour", "name"),
    [
        (np.s_[:, :], (40, 40, 40), "lighter all over"),
        (np.s_[:, :], (-40, -40, -40), "darker all over"),
        (np.s_[:, 60:120], (-50, 50, 0), "greener, panel 2"),
        (np.s_[:, 120:], (30, 30, -60), "yellower, panel 3"),
        (np.s_[:20, 120:140], (-60, 0, 60), "bluer, panel 3 top"),
        (np.s_[40:, 20:40], (50, 50, 50), "lighter, panel 1 bottom"),
    ],
)
def test_a_suggested_name_says_what_changes_and_where(where, colour, name):
    low = np.full((60, 180, 3), 120, np.uint8)
    high = low.astype(int)
    high[where] += colour
    assert suggested_names(np.stack([low, high.astype(np.uint8)])) == [name]


def test_a_suggested_name_is_given_once_then_the_next_change_is_named():
    low = np.full((60, 180, 3), 120, np.uint8)
    high = low + np.uint8(20)
    high[:20, 60:80] += 30  # the top left of panel 2
    high[40:, :20] += 10  # the bottom left of panel 1
    names = ["lighter all over", "lighter, panel 2 top", "lighter, panel 1 bottom"]
    assert suggested_names(np.stack([low, high] * 3)) == names


def test_the_page_opens_on_the_sharpest_of_a_few_samples(address, explorer):
    info = json.loads(ask(address, "GET", "/api/info")[2])
    sharpness = {}
    for seed in range(1, CANDIDATES + 1):
        state = as_json(explorer.positions.of_draw(seed, 1.0))
        pixels = rendered(explorer, state).astype(float)
        across, down = np.abs(np.diff(pixels, axis=1)), np.abs(np.diff(pixels, axis=0))
        sharpness[seed] = across.mean() + down.mean()
    best = max(sharpness, key=sharpness.get)
    assert info["start"]["base"] == [[1.0, f"seed:{best}:1"]]


def test_a_draw_of_a_seed_is_the_same_every_time(address):
    first = ask(address, "POST", "/api/draw", {"seed": 5, "temperature": 0.9})[2]
    assert first == ask(address, "POST", "/api/draw", {"seed": 5, "temperature": 0.9})[2]
    assert first != ask(address, "POST", "/api/draw", {"seed": 6, "temperature": 0.9})[2]


def test_a_strip_of_the_store_is_shown_as_its_reconstruction(address, explorer):
    found = json.loads(ask(address, "GET", "/api/strip?name=1990-01-05")[2])
    assert (found["before"], found["after"]) == ("1990-01-04", "1990-01-06")
    shown = picture(ask(address, "POST", "/api/picture", {"state": found["state"]})[2])
    mean = torch.from_numpy(np.array(explorer.positions.means[4]))
    with torch.no_grad():
        panels = to_uint8(explorer.painter.model.decode(mean[None]))[0]
    assert_same_picture(shown, join_panels(panels.numpy()))
    original = picture(ask(address, "GET", "/api/strip.png?name=1990-01-05")[2])
    np.testing.assert_array_equal(original, join_panels(explorer.store.panels[4]))


def test_strips_are_found_by_the_beginning_of_their_names(address):
    names = json.loads(ask(address, "GET", "/api/strips?start=1990-02")[2])["names"]
    assert names == [f"1990-02-{day:02}" for day in range(1, 10)]


def test_any_strip_picture_is_cut_encoded_and_given_back(address, explorer):
    strip = draw_strip(0, np.datetime64("1990-01-03").item())[0]  # which is in the store as well
    buffer = io.BytesIO()
    strip.save(buffer, "PNG")
    status, _, content = ask(
        address,
        "POST",
        "/api/strip",
        buffer.getvalue(),
        {"Content-Type": "application/octet-stream"},
    )
    found = json.loads(content)
    assert status == 200
    assert found["original"].startswith("data:image/png;base64,")
    known = as_json(explorer.positions.of_strip("1990-01-03"))
    np.testing.assert_allclose(found["state"]["knobs"], known["knobs"], atol=2e-3)
    shown = picture(ask(address, "POST", "/api/picture", {"state": found["state"]})[2])
    assert_same_picture(shown, rendered(explorer, known))


def test_a_picture_that_is_brought_is_fitted(explorer, monkeypatch):
    buffer = io.BytesIO()
    draw_strip(0, np.datetime64("1990-01-03").item())[0].save(buffer, "PNG")
    original, errors = join_panels(explorer.store.panels[[2]])[0].astype(float), []
    for steps in (0, 4):
        monkeypatch.setattr(explorer, "fit_steps", steps)
        state = explorer.encode(buffer.getvalue())["state"]
        errors.append(np.square(rendered(explorer, state) - original).mean())
    assert errors[1] < errors[0]


def test_blank_panels_of_a_picture_do_not_count_where_its_latents_are_fitted(explorer, monkeypatch):
    strip = draw_strip(0, np.datetime64("1990-01-03").item())[0].convert("RGB")
    width = strip.width // 3
    strip.paste("white", (2 * width + 6, 6, strip.width - 6, strip.height - 6))
    buffer, counted = io.BytesIO(), []
    strip.save(buffer, "PNG")
    fitted = explorer.painter.fitted
    monkeypatch.setattr(
        explorer.painter, "fitted", lambda *given: counted.append(given[2]) or fitted(*given)
    )
    assert explorer.encode(buffer.getvalue())["empty"] == [2]
    assert [known.tolist() for known in counted] == [[True, True, False]]


@pytest.mark.parametrize(("end", "empty"), [(0.33, [1, 2]), (0.655, [2])])
def test_panels_that_a_picture_lacks_are_empty_ones(explorer, end, empty):
    strip = draw_strip(0, np.datetime64("1990-01-03").item())[0].convert("RGB")
    buffer = io.BytesIO()
    strip.crop((0, 0, round(end * strip.width), strip.height)).save(buffer, "PNG")
    found = explorer.encode(buffer.getvalue())
    assert found["empty"] == empty
    cut = Image.open(io.BytesIO(base64.b64decode(found["original"].partition(",")[2])))
    thirds = np.array_split(np.asarray(cut), 3, axis=1)
    assert [i for i, third in enumerate(thirds) if (third == 255).all()] == empty


def test_the_nearest_strip_of_a_strip_is_itself(address):
    state = json.loads(ask(address, "GET", "/api/strip?name=1990-01-20")[2])["state"]
    nearest = json.loads(ask(address, "POST", "/api/nearest", {"state": state})[2])
    assert nearest["name"] == "1990-01-20"


def test_a_walk_goes_from_a_to_b_and_back_for_ever(address, explorer):
    status, headers, content = ask(
        address, "POST", "/api/walk.gif", {"a": MEAN, "b": TURNED, "frames": 5, "seconds": 1}
    )
    assert (status, headers["Content-Type"]) == (200, "image/gif")
    animation = Image.open(io.BytesIO(content))
    assert animation.n_frames == 8  # 5 there, 3 back: both ends once
    assert animation.info["loop"] == 0
    for frame, state, other in ((0, MEAN, TURNED), (4, TURNED, MEAN)):
        animation.seek(frame)
        shown = np.asarray(animation.convert("RGB")).astype(int)
        off = np.abs(shown - rendered(explorer, state)).mean()  # 256 colours for all frames
        assert off < 0.5 * np.abs(shown - rendered(explorer, other)).mean()


def test_a_name_given_to_a_component_stays_with_the_run(address, explorer):
    status, _, content = ask(address, "POST", "/api/name", {"index": 2, "name": " day \n night "})
    assert (status, json.loads(content)) == (200, {"name": "day night"})
    info = json.loads(ask(address, "GET", "/api/info")[2])
    assert info["sliders"][2]["name"] == "day night"
    assert ComponentNames(explorer.names.path.parent).names == {2: "day night"}
    ask(address, "POST", "/api/name", {"index": 2, "name": ""})
    assert ComponentNames(explorer.names.path.parent).names == {}


def test_two_explorers_of_a_run_keep_the_names_that_were_given_in_either(tmp_path):
    one, other = ComponentNames(tmp_path), ComponentNames(tmp_path)
    one.rename(0, "day")
    other.rename(1, "night")
    one.rename(2, "dog")
    assert ComponentNames(tmp_path).names == {0: "day", 1: "night", 2: "dog"}


@pytest.mark.parametrize(
    "content",
    [b'{"names": ', b"[" * 100_000, b"\xff\xfe", b"{}", b'{"names": {"0": 1}}', b" " * 2**21],
)
def test_a_damaged_file_of_names_is_named_in_one_sentence(tmp_path, content):
    (tmp_path / "component_names.json").write_bytes(content)
    with pytest.raises(UserError, match=r"component_names\.json is damaged") as caught:
        ComponentNames(tmp_path)
    assert len(str(caught.value)) < 400
    assert "recursion" not in str(caught.value)


def test_why_a_file_of_names_is_damaged_stands_in_it_without_a_stray_quote(tmp_path):
    (tmp_path / "component_names.json").write_bytes(b'{"names": {"0": 1}}')
    with pytest.raises(UserError, match=r"is damaged \(a name is a text\): repair it"):
        ComponentNames(tmp_path)


def test_a_pipe_in_place_of_the_file_of_names_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "component_names.json")
    with pytest.raises(UserError, match="it is no file"):
        ComponentNames(tmp_path)


def test_names_that_an_editor_saved_with_a_byte_order_mark_are_read(tmp_path):
    (tmp_path / "component_names.json").write_bytes(b'\xef\xbb\xbf{"names": {"1": "day"}}')
    assert ComponentNames(tmp_path).names == {1: "day"}


def test_a_name_that_cannot_be_written_is_an_error_and_is_not_kept(tmp_path):
    names = ComponentNames(tmp_path / "run")
    (tmp_path / "run").write_text("a file where the folder should be")
    with pytest.raises(BadRequest, match="cannot be kept"):
        names.rename(0, "day")
    assert names.names == {}


def test_a_model_without_strips_has_an_explorer_too(tmp_path):
    with served(make_explorer(tmp_path, with_strips=False)) as address:
        assert json.loads(ask(address, "GET", "/api/info")[2])["strips"] is None
        assert ask(address, "POST", "/api/picture", {"state": TURNED})[0] == 200
        assert ask(address, "POST", "/api/nearest", {"state": TURNED})[0] == 400
        assert ask(address, "GET", "/api/strip.png?name=1990-01-01")[0] == 400


# --- many at once ---------------------------------------------------------------------------------


def test_an_older_request_of_a_page_gives_way_to_its_newer_one(explorer):
    painter = explorer.painter
    latents = explorer.positions.latents(explorer.positions.parse(MEAN))
    go_on = threading.Event()
    painter._thread.submit(go_on.wait, 60)  # the painter is busy, so requests wait
    with ThreadPoolExecutor(3) as pool:
        older = pool.submit(painter.strip, latents, "page", 1)
        other = pool.submit(painter.strip, latents, "another page", 1)
        while painter._newest.get("page") != 1:
            pass
        newer = pool.submit(painter.strip, latents, "page", 2)
        while painter._newest.get("page") != 2:
            pass
        go_on.set()
        np.testing.assert_array_equal(newer.result(), other.result())
        assert isinstance(older.exception(), Superseded)


def test_the_pages_that_are_remembered_are_bounded(explorer):
    latents = explorer.positions.latents(explorer.positions.parse(MEAN))
    for n in range(PAGES_REMEMBERED + 5):
        explorer.painter.strip(latents, f"page {n}", 1)
    assert len(explorer.painter._newest) <= PAGES_REMEMBERED


def test_eight_pages_at_once_each_get_their_own_pictures(address, explorer):
    states = [
        {**MEAN, "knobs": [float(v) for v in np.random.default_rng(n).normal(size=SLIDERS)]}
        for n in range(8)
    ]

    def drag(n: int) -> np.ndarray:
        for turn in range(1, 6):
            asked = {"state": states[(n + turn) % 8], "page": f"page-{n}", "turn": turn}
            assert ask(address, "POST", "/api/picture", asked)[0] == 200
        last = {"state": states[n], "page": f"page-{n}", "turn": 6}
        return picture(ask(address, "POST", "/api/picture", last)[2])

    with ThreadPoolExecutor(8) as pool:
        for shown, state in zip(pool.map(drag, range(8)), states, strict=True):
            assert_same_picture(shown, rendered(explorer, state))


def test_a_port_that_is_taken_is_one_sentence_that_names_it_once(address):
    port = urllib.parse.urlsplit(address).port
    said = f"listen on 127.0.0.1 port {port} (Address already in use): give another --port"
    with pytest.raises(UserError, match=re.escape(said)):
        listen(port)


def half_a_request(address) -> socket.socket:
    place = urllib.parse.urlsplit(address)
    connection = socket.create_connection((place.hostname, place.port))
    connection.sendall(b"POST /api/picture HTTP/1.1\r\nContent-Length: 9\r\n\r\n{")
    return connection


def test_a_hundred_connections_that_say_nothing_more_do_not_shut_the_page_out(address):
    with ExitStack() as silent:
        for _ in range(100):
            silent.enter_context(half_a_request(address))
        assert ask(address, "GET", "/")[0] == 200


def test_a_connection_that_says_nothing_more_is_closed_in_the_end(explorer, monkeypatch):
    server, address = make_server(explorer, listen(0))
    turn = partial(server.asyncore.loop, timeout=0, map=server._map, count=1)
    with half_a_request(address) as silent:
        while not server.active_channels:
            turn()
        later = SimpleNamespace(time=lambda: time.time() + 1.5 * SILENT)
        monkeypatch.setattr("waitress.server.time", later)
        turn()  # finds it
        turn()  # closes it
        assert server.active_channels == {}
        with suppress(ConnectionResetError):  # what it said was not read to its end
            assert silent.recv(1) == b""
    server.task_dispatcher.shutdown()
    server.asyncore.close_all(server._map)


def ask_in_vain(*asked) -> None:
    """Asks for what may never be answered."""
    with suppress(OSError, HTTPException):
        ask(*asked)


@pytest.mark.parametrize("at", ["rest", "work", "the limit of connections"])
def test_ctrl_c_ends_it_cleanly(tmp_path, at):
    program = (
        "import sys; from pathlib import Path; from explorer_model import make_explorer;"
        "from garfield_vae.explorer import explore, listen;"
        "explore(make_explorer(Path(sys.argv[1]), with_strips=False), listen(0))"
    )
    here = Path(__file__).parents[1]
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{here}{os.pathsep}{here.parent}"},
    )
    line = process.stdout.readline()
    address = re.search(r"http://127\.0\.0\.1:\d+/", line).group()
    status, _, info = ask(address, "GET", "/api/info")
    assert status == 200
    if at == "the limit of connections":
        place = urllib.parse.urlsplit(address)
        many = [HTTPConnection(place.hostname, place.port) for _ in range(CONNECTIONS - 2)]
        for connection in many:  # beside these it has its own two sockets
            connection.request("HEAD", "/")
            connection.getresponse().read()
    if at == "work":
        # Requests that wait for the painter, which the signal finds in the midst of them.
        start = json.loads(info)["start"]
        asked = {"a": start, "b": start, "frames": 48, "job": "a walk"}
        many = [
            threading.Thread(target=ask_in_vain, args=(address, "POST", "/api/walk.gif", asked))
            for _ in range(8)
        ]
        for thread in many:
            thread.start()
        while not json.loads(ask(address, "GET", "/api/progress?job=a+walk")[2])["done"]:
            pass
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "ended" in rest
    assert errors == ""
