"""The explorer's server: Flask's routes, behind waitress, on this machine only.

    GET  /                    the page; /page.css and the scripts beside it
    GET  /api/info            the sliders, the strip to begin with, what this model can do
    POST /api/picture         a state → PNG; → BMP for a page's next picture in a drag
    POST /api/ends.png        a state → what the two ends of some sliders do: one small strip each
    POST /api/draw            seed, temperature → a new strip's state
    POST /api/refine          a state → a likelier one near it
    POST /api/complete        a state with some panels redrawn
    POST /api/portable        a state → the same with its numbers in it, for a link
    POST /api/between         two states → those from one to the other, in small steps
    POST /api/walk.gif        two states → an animation between them
    GET  /api/progress        which share of one of these two is there
    POST /api/nearest         a state → the strip of the store that is nearest in the latent space
    GET  /api/map             all strips by their first two coordinates
    GET  /api/strips          names of the store's strips that begin with a text
    GET  /api/strip           a strip of the store → its state;  /api/strip.png its picture
    POST /api/strip           any strip image → its state and how it was cut
    POST /api/name            a name for a component, kept in the run folder
    GET  /api/suggestions     names for components, by what they change

Every answer but a picture is JSON, errors too: {"error": "a sentence"}. A picture that its page no
longer waits for is an empty answer.
"""

import logging
import socket
import threading
import webbrowser
from importlib.resources import files
from pathlib import Path

import numpy as np
import waitress
from flask import Flask, Response, jsonify, request
from PIL import Image
from werkzeug.exceptions import HTTPException, NotFound

from garfield_vae.data.panels import join_panels
from garfield_vae.explorer import security
from garfield_vae.explorer.renderer import Ended, Superseded, bmp_bytes, enlarged
from garfield_vae.explorer.request_fields import body, number, text, whole
from garfield_vae.explorer.service import FRAMES, QUICK_STEPS, Explorer
from garfield_vae.explorer.states import (
    MAX_TEMPERATURE,
    BadRequest,
    State,
    as_json,
    indices,
)
from garfield_vae.explorer.strip_names import date_of
from garfield_vae.geometry import PANELS
from garfield_vae.util.errors import UserError
from garfield_vae.util.pictures import png_bytes

PAGE_TYPES = {".css": "text/css", ".js": "text/javascript"}
MAX_JSON = 2**20  # eight given strips of 8,192 dimensions are 180 kB, and a walk has two states
MAX_PICTURE = 24 * 2**20
MAX_FRAMES = 48
MAX_SEED = 10**9 - 1
THREADS = 12
CONNECTIONS = 200  # a page has a few; macOS lets a program open 256 files
SILENT = 30  # seconds after which one is closed that sends nothing and waits for nothing


def make_app(explorer: Explorer, port: int) -> Flask:
    """The routes. `port` is what the server listens on: see `security`."""
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_PICTURE
    positions, painter = explorer.positions, explorer.painter
    # The page's own files, read once: no path in a request ever reaches the file system.
    here = files("garfield_vae.explorer") / "static"
    start = here.joinpath("page.html").read_bytes()
    parts = {
        file.name: (file.read_bytes(), PAGE_TYPES[Path(file.name).suffix])
        for file in here.iterdir()
        if Path(file.name).suffix in PAGE_TYPES
    }

    @app.before_request
    def check() -> None:
        security.check_sender(request, port)
        if request.is_json:
            request.max_content_length = MAX_JSON

    app.after_request(security.protect)

    @app.errorhandler(UserError)
    def user_error(error: UserError) -> tuple[Response, int]:
        return jsonify(error=str(error)), 400

    @app.errorhandler(Superseded)
    def superseded(error: Superseded) -> Response:
        return Response(status=204)  # not an error, which a browser's console would show

    @app.errorhandler(Ended)
    def ended(error: Ended) -> tuple[Response, int]:
        return jsonify(error="the explorer has ended"), 503

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> tuple[Response, int]:
        return jsonify(error=error.description), error.code

    @app.errorhandler(Exception)
    def bug(error: Exception) -> tuple[Response, int]:
        app.logger.exception("the explorer failed at %s", request.path)
        return jsonify(error="the explorer failed: its terminal says where"), 500

    @app.get("/")
    def index() -> Response:
        return Response(start, mimetype="text/html")

    @app.get("/<name>")
    def part(name: str) -> Response:
        if name not in parts:
            raise NotFound("there is no such page")
        content, kind = parts[name]
        return Response(content, mimetype=kind)

    @app.get("/api/info")
    def info() -> Response:
        return jsonify(explorer.info())

    @app.post("/api/picture")
    def picture() -> Response:
        asked = body()
        quick = asked.get("quick") is True
        latents = positions.latents(state_of(asked), QUICK_STEPS if quick else None)
        scale = whole(asked, "scale", 1, 2, 1)
        if not (page := text(asked, "page", "")):
            image = enlarged(painter.strip(latents), scale)
            return Response(png_bytes(image), mimetype="image/png")
        pixels = painter.strip(latents, page, whole(asked, "turn", 0, 2**53))
        return Response(bmp_bytes(pixels), mimetype="image/bmp")

    @app.post("/api/ends.png")
    def ends() -> Response:
        asked = body()
        page, turn = text(asked, "page", ""), whole(asked, "turn", 0, 2**53, 0)
        first = whole(asked, "first", 0, positions.sliders - 1, 0)
        count = whole(asked, "count", 1, positions.sliders, positions.sliders)
        sliders = range(first, min(first + count, positions.sliders))
        hold = asked.get("hold") is True
        painted = explorer.ends_png(state_of(asked), sliders, page, turn, hold)
        return Response(painted, mimetype="image/png")

    @app.post("/api/draw")
    def draw() -> Response:
        asked = body()
        temperature = number(asked, "temperature", 0, MAX_TEMPERATURE, 1.0)
        state = positions.of_draw(whole(asked, "seed", 0, MAX_SEED), temperature)
        return jsonify(state=as_json(state))

    @app.post("/api/refine")
    def refine() -> Response:
        asked = body()
        held = indices(asked.get("held", []), positions.sliders, "held")
        return jsonify(state=as_json(explorer.refine(state_of(asked), held)))

    @app.post("/api/complete")
    def complete() -> Response:
        asked = body()
        panels = indices(asked.get("panels", []), PANELS, "panels")
        if not panels:
            raise BadRequest("panels is a list of at least one panel")
        seed = whole(asked, "seed", 0, MAX_SEED)
        return jsonify(state=as_json(explorer.complete(state_of(asked), panels, seed)))

    @app.post("/api/portable")
    def portable() -> Response:
        return jsonify(state=as_json(explorer.portable(state_of(body()))))

    @app.post("/api/between")
    def between() -> Response:
        asked = body()
        ends = state_of(asked, "a"), state_of(asked, "b")
        page, turn = text(asked, "page", ""), whole(asked, "turn", 0, 2**53, 0)
        states = explorer.between(*ends, FRAMES, page, turn)
        counted = explorer.counted(states, FRAMES, text(asked, "job", ""))
        return jsonify(states=[as_json(state) for state in counted])

    @app.post("/api/walk.gif")
    def walk() -> Response:
        asked = body()
        frames = whole(asked, "frames", 2, MAX_FRAMES, FRAMES)
        seconds = number(asked, "seconds", 0.5, 20, 2.0)
        ends = state_of(asked, "a"), state_of(asked, "b")
        animation = explorer.walk(*ends, frames, seconds, text(asked, "job", ""))
        return Response(animation, mimetype="image/gif")

    @app.get("/api/progress")
    def progress() -> Response:
        return jsonify(done=explorer.progress.get(request.args.get("job", ""), 0.0))

    @app.get("/api/map")
    def strip_map() -> Response:
        return jsonify(explorer.map)

    @app.get("/api/suggestions")
    def suggestions() -> Response:
        return jsonify(names=explorer.suggest_names())

    @app.post("/api/nearest")
    def nearest() -> Response:
        state = state_of(body())
        need_strips()
        name, distance = positions.nearest(state)
        return jsonify(name=name, distance=distance)

    @app.get("/api/strips")
    def strips() -> Response:
        start = request.args.get("start", "").strip()
        day = date_of(start)
        start = day.isoformat() if day else start.casefold()
        found = (name for name in positions.names if name.casefold().startswith(start))
        return jsonify(names=[name for name, _ in zip(found, range(40), strict=False)])

    @app.get("/api/strip")
    def strip() -> Response:
        name = positions.find(request.args.get("name", ""))
        state = positions.of_strip(name)
        here = positions.index[name]
        before = positions.names[max(0, here - 1)]
        after = positions.names[min(len(positions.names) - 1, here + 1)]
        return jsonify(name=name, state=as_json(state), before=before, after=after)

    @app.get("/api/strip.png")
    def strip_png() -> Response:
        need_strips()
        name = request.args.get("name", "")
        if name not in positions.index:
            raise NotFound("there is no such strip")
        panels = np.asarray(explorer.store.panels[positions.index[name]])
        return Response(png_bytes(Image.fromarray(join_panels(panels))), mimetype="image/png")

    @app.post("/api/strip")
    def encode() -> Response:
        return jsonify(explorer.encode(request.get_data(cache=False)))

    @app.post("/api/name")
    def rename() -> Response:
        asked = body()
        index = whole(asked, "index", 0, positions.sliders - 1)
        return jsonify(name=explorer.names.rename(index, asked.get("name")))

    def state_of(asked: dict, name: str = "state") -> State:
        return positions.parse(asked.get(name))

    def need_strips() -> None:
        if explorer.store is None:
            raise BadRequest("this model came without strips")

    return app


# ---------------------------------------------------------------------------------------------
# Serving


def listen(port: int) -> socket.socket:
    """Takes a port of this machine, 0 for a free one. Raises UserError where it cannot be had."""
    try:
        return socket.create_server((security.HOST, port))
    except OSError as error:
        why = error.strerror.partition(" (while")[0]  # what follows repeats the address
        raise UserError(
            f"the explorer cannot listen on {security.HOST} port {port} ({why}): give another "
            f"--port"
        ) from error


def make_server(explorer: Explorer, listening: socket.socket):
    """A waitress server at a port that `listen` took, and its address."""
    port = listening.getsockname()[1]
    server = waitress.create_server(
        make_app(explorer, port),
        sockets=[listening],
        threads=THREADS,
        connection_limit=CONNECTIONS,
        channel_timeout=SILENT,
        cleanup_interval=SILENT // 3,
        ident=None,
        clear_untrusted_proxy_headers=True,
        max_request_body_size=2 * MAX_PICTURE,  # below it, Flask says "too large" in JSON
    )
    return server, f"http://{security.HOST}:{port}/"


def explore(explorer: Explorer, listening: socket.socket, open_browser: bool = False) -> None:
    """Serves the page until Ctrl-C."""
    # That requests or connections wait is no news for a terminal.
    logging.getLogger("waitress").setLevel(logging.ERROR)
    server, address = make_server(explorer, listening)
    # What is being painted ends before the threads that wait for it are told to.
    end_threads = server.task_dispatcher.shutdown

    def end(*arguments, **settings):
        explorer.painter.close()
        return end_threads(*arguments, **settings)

    server.task_dispatcher.shutdown = end
    print(f"The explorer is at {address}\nCtrl-C ends it.", flush=True)
    threading.Thread(target=explorer.prepare, daemon=True).start()
    if open_browser:
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
    try:
        server.run()  # returns on Ctrl-C
    except KeyboardInterrupt:
        pass
    finally:
        server.close()
        explorer.painter.close()
    print("The explorer has ended.")
