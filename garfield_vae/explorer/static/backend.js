// What the page asks of its server. Every method gives a promise; a failed one rejects with an Error
// whose message is a sentence for the user. The exported page has another backend with the same
// methods, and without a server: offline/backend.js.

const PATIENCE = 1000; // milliseconds until an answer is late
const ENDS_AT_ONCE = 4; // sliders whose two ends are asked for together
const POLL = 300; // milliseconds between two looks at the progress of an animation

const json = (answer) => answer.json();
const blob = (answer) => answer.blob();
const named = (path, name) => `${path}?name=${encodeURIComponent(name)}`;

export class Backend {
  #page = crypto.getRandomValues(new Uint32Array(4)).join("-"); // tells this page from others
  #turn = 0;
  #late = 0;

  // Called with true when an answer is late, and with false when none is any more.
  onLate = () => {};

  async #ask(path, options = {}, patience = PATIENCE) {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      if (this.#late++ === 0) this.onLate(true);
    }, patience);
    try {
      const response = await fetch(path, options).catch(() => {
        const gone = new Error("The explorer has ended: start it again, and this page goes on.");
        gone.gone = true;
        throw gone;
      });
      if (response.status === 204) {
        const failure = new Error("a newer request has taken its place");
        failure.superseded = true;
        throw failure;
      }
      if (response.ok) return response;
      const message = await response.json().then((answer) => answer.error, () => null);
      throw new Error(message ?? `The explorer answered ${response.status}.`);
    } finally {
      clearTimeout(timer);
      if (late && --this.#late === 0) this.onLate(false);
    }
  }

  #post(path, body, patience) {
    return this.#ask(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    }, patience);
  }

  info() { return this.#ask("api/info").then(json); }

  // The newest call of a page wins: an older one that still waits is given up by the server.
  // A quick one is nearly as good, where sliders are held.
  async live(state, quick) {
    const asked = { state, quick, page: this.#page, turn: ++this.#turn };
    return createImageBitmap(await (await this.#post("api/picture", asked)).blob());
  }

  png(state, scale = 1) { return this.#post("api/picture", { state, scale }).then(blob); }

  // What the ends of each slider do to a strip: draw(slider, side, picture, x, y, width, height)
  // for both sides, 0 and 1, of each. Given up when the page asks for another picture.
  async ends(state, hold, draw) {
    const asked = { state, hold, page: this.#page, turn: this.#turn, count: ENDS_AT_ONCE };
    for (let first = 0; first < state.knobs.length; first += ENDS_AT_ONCE) {
      const answer = await this.#post("api/ends.png", { ...asked, first }, 10 * PATIENCE);
      const picture = await createImageBitmap(await answer.blob());
      const rows = Math.min(ENDS_AT_ONCE, state.knobs.length - first);
      const [width, height] = [picture.width / 2, picture.height / rows];
      for (let row = 0; row < rows; row++) {
        for (const side of [0, 1]) {
          draw(first + row, side, picture, side * width, row * height, width, height);
        }
      }
      picture.close();
    }
  }

  async #state(path, asked, patience) {
    return (await json(await this.#post(path, asked, patience))).state;
  }

  draw(seed, temperature) { return this.#state("api/draw", { seed, temperature }); }
  refine(state, held) { return this.#state("api/refine", { state, held }); }
  complete(state, panels, seed) {
    return this.#state("api/complete", { state, panels, seed }, 10 * PATIENCE);
  }
  portable(state) { return this.#state("api/portable", { state }); }

  // What takes long: progress(share) is called now and then, until the answer is there.
  async #watch(path, asked, progress) {
    const job = `${this.#page}-${++this.#turn}`.slice(-64);
    let waits = true;
    const timer = setInterval(() => {
      this.#ask(`api/progress?job=${job}`).then(json)
        .then(({ done }) => { if (waits) progress(done); }, () => {});
    }, POLL);
    try {
      return await this.#post(path, { ...asked, job }, 60 * PATIENCE);
    } finally {
      waits = false;
      clearInterval(timer);
    }
  }

  // The states from a to b in small steps. The newest call of a page wins, as in `live`.
  between(a, b, progress) {
    const asked = { a, b, page: `${this.#page}-between`, turn: ++this.#turn };
    return this.#watch("api/between", asked, progress).then(json).then(({ states }) => states);
  }

  gif(a, b, progress) { return this.#watch("api/walk.gif", { a, b }, progress).then(blob); }

  nearest(state) { return this.#post("api/nearest", { state }).then(json); }

  map() { return this.#ask("api/map", {}, 10 * PATIENCE).then(json); }

  suggestions() {
    return this.#ask("api/suggestions", {}, 60 * PATIENCE).then(json).then(({ names }) => names);
  }

  names(start) {
    return this.#ask(`api/strips?start=${encodeURIComponent(start)}`).then(json)
      .then(({ names }) => names);
  }

  strip(name) { return this.#ask(named("api/strip", name)).then(json); }

  stripPicture(name) { return named("api/strip.png", name); }

  encode(file) {
    return this.#ask("api/strip", {
      method: "POST",
      headers: { "Content-Type": "application/octet-stream" },
      body: file,
    }, 10 * PATIENCE).then(json);
  }

  rename(index, name) {
    return this.#post("api/name", { index, name }).then(json).then((answer) => answer.name);
  }
}
