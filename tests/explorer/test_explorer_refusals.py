"""What the explorer's server refuses: other pages, other files, and what makes no sense."""

import io
import json
import urllib.parse

import pytest
from explorer_model import MEAN, SLIDERS, ask
from PIL import Image

from garfield_vae.explorer.security import allowed_host
from garfield_vae.explorer.server import MAX_JSON, MAX_PICTURE


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:80"},
        {"Host": "127.0.0.1"},
        {"Host": "127.0.0.1.evil.example:{port}"},
        {"Host": "127.0.0.1:1"},
        {"Host": "192.168.0.1:{port}"},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1:{port}"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
@pytest.mark.parametrize(("method", "path"), [("GET", "/api/info"), ("POST", "/api/picture")])
def test_a_request_with_another_host_or_origin_is_refused(address, headers, method, path):
    port = urllib.parse.urlsplit(address).port
    headers = {name: value.format(port=port) for name, value in headers.items()}
    body = {"state": MEAN} if method == "POST" else None
    status, _, content = ask(address, method, path, body, headers)
    assert status == 403
    assert json.loads(content)["error"]


def test_a_link_on_another_page_may_lead_to_the_page_itself(address):
    assert ask(address, "GET", "/", headers={"Sec-Fetch-Site": "cross-site"})[0] == 200


def test_a_form_of_another_page_cannot_write(address):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert ask(address, "POST", "/api/name", b"index=0&name=x", form)[0] == 415
    assert (
        ask(address, "POST", "/api/name", b'{"index":0}', {"Content-Type": "text/plain"})[0] == 415
    )


@pytest.mark.parametrize(
    ("header", "port", "allowed"),
    [
        ("127.0.0.1:8176", 8176, True),
        ("LocalHost:8176", 8176, True),
        ("localhost", 80, True),
        ("localhost:80", 80, True),
        ("localhost", 8176, False),
        ("localhost:80", 8176, False),
        ("localhost:8176:8176", 8176, False),
        ("localhost:8176:80", 8176, False),
        ("evil.example:8176", 8176, False),
        ("192.168.1.9:8176", 8176, False),
    ],
)
def test_only_this_machines_names_for_itself_with_the_port_are_a_host(header, port, allowed):
    assert allowed_host(header, port) is allowed


@pytest.mark.parametrize(
    "path",
    [
        "/server.py",
        "/../server.py",
        "/%2e%2e/server.py",
        "/etc/passwd",
        "//etc/passwd",
        "/page.html",
        "/.git/config",
        "/api/strip.png?name=../../../etc/passwd",
    ],
)
def test_no_other_file_is_served(address, path):
    status, headers, content = ask(address, "GET", path)
    assert status == 404
    assert headers["Content-Type"] == "application/json"
    assert json.loads(content)["error"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b'{"state": ' + b"[" * 100_000,
        b"\xff\xfe",
        json.dumps({"state": {**MEAN, "knobs": [float("nan")] * SLIDERS}}).encode(),
        json.dumps({"state": {**MEAN, "knobs": [0.0]}}).encode(),
        json.dumps({"state": MEAN, "scale": 3}).encode(),
        json.dumps({"state": MEAN, "scale": 1.5}).encode(),
        json.dumps({"state": MEAN, "page": "x" * 1000}).encode(),
        json.dumps({"state": MEAN, "page": "x", "turn": "1"}).encode(),
        json.dumps({"state": MEAN, "page": "x"}).encode(),
    ],
)
def test_a_request_that_makes_no_sense_is_a_json_error_and_the_server_stays_up(address, body):
    headers = {"Content-Type": "application/json"}
    status, headers, content = ask(address, "POST", "/api/picture", body, headers)
    assert status == 400
    assert headers["Content-Type"] == "application/json"
    assert json.loads(content)["error"]
    assert ask(address, "POST", "/api/picture", {"state": MEAN})[0] == 200


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff", b"[]", b"1", b"[" * 100_000, b'{"seed": ' + b"9" * 5000 + b"}"],
    ids=["empty", "damaged", "not UTF-8", "a list", "a number", "nested deeply", "many digits"],
)
def test_a_body_that_is_no_json_object_is_told_so_whatever_else_it_is(address, body):
    headers = {"Content-Type": "application/json"}
    status, _, content = ask(address, "POST", "/api/draw", body, headers)
    assert (status, json.loads(content)["error"]) == (400, "the request's body is a JSON object")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/draw", {"temperature": 1}),
        ("/api/draw", {"seed": -1}),
        ("/api/draw", {"seed": 1, "temperature": 50}),
        ("/api/between", {"a": MEAN}),
        ("/api/between", {"a": MEAN, "b": MEAN, "page": 7}),
        ("/api/walk.gif", {"a": MEAN}),
        ("/api/walk.gif", {"a": MEAN, "b": MEAN, "frames": 100_000}),
        ("/api/name", {"index": SLIDERS, "name": "x"}),
        ("/api/name", {"index": 0, "name": "x" * 41}),
        ("/api/name", {"index": 0}),
        ("/api/nearest", {}),
    ],
)
def test_each_route_checks_what_it_is_sent(address, path, body):
    status, _, content = ask(address, "POST", path, body)
    assert status == 400
    assert json.loads(content)["error"]


def test_a_json_body_that_is_too_long_is_refused(address):
    headers = {"Content-Type": "application/json"}
    status, _, content = ask(address, "POST", "/api/picture", b" " * (MAX_JSON + 1), headers)
    assert (status, bool(json.loads(content)["error"])) == (413, True)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a picture",
        b"GIF89a" + bytes(20),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    ],
)
def test_what_is_no_picture_of_a_strip_is_refused_with_a_sentence(address, content):
    headers = {"Content-Type": "application/octet-stream"}
    status, _, answer = ask(address, "POST", "/api/strip", content, headers)
    assert status == 400
    assert "cannot be used as a strip" in json.loads(answer)["error"]


def test_a_picture_that_is_too_large_a_file_is_refused(address):
    headers = {"Content-Type": "application/octet-stream"}
    status, _, answer = ask(address, "POST", "/api/strip", bytes(MAX_PICTURE + 1), headers)
    assert status == 413
    assert json.loads(answer)["error"]


def test_a_picture_of_more_pixels_than_a_strip_has_is_not_decoded(address):
    buffer = io.BytesIO()
    Image.new("1", (9000, 4000)).save(buffer, "PNG")  # a few kB, 36 million pixels
    headers = {"Content-Type": "application/octet-stream"}
    status, _, answer = ask(address, "POST", "/api/strip", buffer.getvalue(), headers)
    assert status == 400
    assert "9000×4000" in json.loads(answer)["error"]
