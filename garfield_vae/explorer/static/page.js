// The page: holds the state, and ties the parts together. Read this first; state.js says what a
// state is, backend.js how pictures come.

import { RETRY, StripCanvas, drawSmall, loaded } from "./canvas.js";
import { listen } from "./controls.js";
import { Favourites } from "./favourites.js";
import { StripMap } from "./map.js";
import { Notice } from "./notice.js";
import { RealStrips } from "./real_strips.js";
import { saveGif } from "./saving.js";
import { Sliders, fillTrack } from "./sliders.js";
import * as State from "./state.js";
import { Walk } from "./walk.js";

const HISTORY = 200; // steps that can be undone
const TRAIL = 40; // of them on the map
const REST = 200; // milliseconds of rest before the sliders' ends are painted
const byId = (id) => document.getElementById(id);

class Page {
  constructor(backend, info) {
    this.backend = backend;
    this.info = info;
    // the strip that the sliders started from: they return to it, and their tracks start there
    this.origin = info.start;
    this.state = info.start;
    this.past = [{ state: this.state, origin: this.origin }]; // the present step is past[now]
    this.now = 0;
    this.good = this.past[0]; // the last one that was painted
    this.panel = null; // the panel that the sliders move; null for all
    this.ended = null; // the state whose ends the sliders show

    const jump = (state) => this.jump(state);
    this.notice = new Notice(byId("notice"));
    this.canvas = new StripCanvas(byId("strip"), backend, {
      failed: (error, state) => this.failed(error, state),
      settled: (state) => this.settled(state),
    });
    this.sliders = new Sliders(byId("sliders"), byId("slider"), info, {
      turn: (index, value) => this.turn(index, value),
      commit: () => this.commit(),
      rename: (index, name) => this.rename(index, name),
      lock: () => this.writeLink(),
      walk: (index) => this.walkAlong(index),
    });
    this.strips = new RealStrips(backend, info, {
      jump, finish: (panels) => this.complete(panels), try: (promise) => this.try(promise),
    });
    this.walk = new Walk({
      path: (a, b) => this.path(a, b),
      move: (state) => {
        this.origin = state;
        this.move(state);
      },
      commit: () => this.commit(),
      pinned: () => this.writeLink(),
      gif: (a, b) => saveGif(this, a, b),
    });
    this.favourites = new Favourites(byId("favourites"), byId("favourite"), info, {
      jump, say: (text, kind) => this.notice.say(text, kind),
      picture: (state) => this.smallPicture(state),
    });
    this.map = new StripMap(backend, {
      go: (kind, name) => (kind === "strips" ? this.strips.go(name) : this.random(name)),
      turn: (x, y) => this.moveTo(x, y),
      commit: () => this.commit(),
    });
    this.#hearNames();
    listen(this);
  }

  // --- the state -----------------------------------------------------------------------------

  // Shows a state; it becomes a step that can be undone with the next commit.
  move(state) {
    this.state = state;
    const { limit } = this.info;
    const shifted = state.knobs.map((_, i) => state.panels.some((row) => row[i] !== 0));
    const [values, homes] = [state, this.origin].map((one) => State.shown(one, this.panel, limit));
    this.sliders.show(values, homes, shifted);
    const { base } = this.origin;
    const changed = base.length && State.same(state.base, base) && !State.same(state, this.origin);
    const words = State.inWords(state) + (changed ? ", changed" : "");
    if (byId("caption").textContent !== words) byId("caption").textContent = words;
    const corner = ({ knobs }) => [knobs[0], knobs[1] ?? 0];
    const before = this.past.slice(Math.max(0, this.now - TRAIL), this.now + 1);
    this.map.show(corner(state), before.map((step) => corner(step.state)));
    clearTimeout(this.rest);
    this.canvas.show(state);
  }

  turn(index, value) {
    this.walk.stop();
    this.move(this.turned(this.state, index, value));
  }

  // A state with a slider turned, and held if the rest is to follow.
  turned(state, index, value) {
    return this.held(State.turned(state, this.panel, index, value, this.info.limit));
  }

  get holds() { return this.info.can.includes("refine") && byId("follow").checked; }

  held(state) { return this.holds ? State.holding(state, this.origin) : { ...state, held: [] }; }

  // The rest follows what is turned, or stays as it is, from now on.
  follow() {
    this.walk.stop();
    this.move(this.held(this.state));
    this.ended = null;
    this.commit();
  }

  moveTo(x, y) {
    this.walk.stop();
    const { limit } = this.info;
    const first = this.turned(this.state, 0, State.clamp(x, -limit, limit));
    this.move(this.state.knobs.length === 1 ? first
      : this.turned(first, 1, State.clamp(y, -limit, limit)));
  }

  commit() {
    if (State.same(this.state, this.past[this.now].state)) return;
    const step = { state: this.state, origin: this.origin };
    this.past = [...this.past.slice(0, this.now + 1), step].slice(-HISTORY);
    this.now = this.past.length - 1;
    this.writeLink();
  }

  // To another strip: the browser's back button leads to this one.
  jump(state, origin = state) {
    this.walk.stop();
    this.origin = origin;
    if (!State.same(state, this.state)) this.address("pushState", location.hash || "#");
    this.move(state);
    this.commit();
  }

  undo(step) {
    this.walk.stop();
    const now = this.now + step;
    if (!(now in this.past)) return;
    this.now = now;
    this.origin = this.past[now].origin;
    this.move(this.past[now].state);
    this.writeLink();
  }

  settled(state) {
    this.painted = true;
    this.good = { state, origin: this.origin };
    this.notice.clear("gone");
    this.strips.settled(state);
    if (!this.walk.playing) this.rest = setTimeout(() => this.showEnds(state), REST);
  }

  // What cannot be painted leaves the last good strip on the page.
  failed(error, state) {
    this.notice.say(error.message, error.gone ? "gone" : "bad");
    if (error.gone || State.same(state, this.good.state)) return;
    this.past = this.past.filter((step) => !State.same(step.state, state));
    if (!this.past.length) this.past = [this.good];
    this.now = Math.min(this.now, this.past.length - 1);
    this.origin = this.good.origin;
    this.move(this.good.state);
    this.commit();
    this.writeLink();
  }

  async showEnds(state) {
    if (State.same(state, this.ended)) return;
    try {
      await this.backend.ends(state, this.holds, (...end) => this.sliders.drawEnd(...end));
      this.ended = state;
      await this.suggestNames();
    } catch {
      // a newer state is shown, or the page says already that the server is gone
    }
  }

  // Once, and only when nothing else is waited for.
  async suggestNames() {
    if (this.suggested) return;
    this.sliders.suggest(await this.backend.suggestions());
    this.suggested = true;
  }

  writeLink() {
    byId("undo").disabled = this.now === 0;
    byId("redo").disabled = this.now === this.past.length - 1;
    this.address("replaceState", this.hash(this.state));
  }

  address(change, hash) {
    try {
      history[change](null, "", hash);
    } catch {
      // some browsers refuse more than a hundred in a few seconds: the next one catches up
    }
  }

  hash(state) {
    return State.toHash(state, this.info, {
      home: State.same(this.origin.base, this.state.base) ? this.origin.knobs : null,
      a: this.walk.a,
      b: this.walk.b,
      locks: [...this.sliders.locks],
      seed: byId("seed").value,
      temperature: byId("temperature").value,
      first: byId("first").value,
    });
  }

  // What the address says becomes the state; an address that cannot be read leaves it as it is.
  readLink() {
    let link = null;
    try {
      link = State.fromHash(location.hash, this.info);
      if (link && !link.sameModel) throw new Error("it was made with another model");
    } catch (error) {
      link = null;
      const why = error instanceof URIError ? "it is damaged" : error.message;
      this.complain(`This link cannot be opened: ${why}.`);
    }
    if (link) this.#takeSettings(link);
    this.showTemperature();
    this.origin = link?.home ?? this.origin;
    const state = link?.state ?? this.state;
    if (!this.painted) this.past = [{ state, origin: this.origin }]; // where undoing ends
    this.move(state);
    this.commit();
    this.writeLink();
  }

  #takeSettings(link) {
    this.sliders.locks = new Set(link.locks);
    this.sliders.showLocks();
    if (link.seed !== undefined) byId("seed").value = link.seed;
    if (link.temperature >= 0) byId("temperature").value = link.temperature;
    if (link.first > 0) byId("first").value = Math.min(link.first, this.info.sliders.length);
    for (const which of ["a", "b"]) {
      const state = link[which];
      if (state && !State.same(state, this.walk[which])) this.#pinState(which, state);
    }
  }

  // --- what the buttons do ---------------------------------------------------------------------

  // Servers draw any seed; the page without one holds the first few hundred.
  dice() { return 1 + Math.floor(Math.random() * (this.info.seeds ?? 1e6)); }

  async random(seed) {
    const temperature = Number(byId("temperature").value);
    byId("seed").value = seed;
    const drawn = await this.try(this.canvas.awaits(this.backend.draw(seed, temperature)));
    if (!drawn) return;
    const first = Math.max(1, Math.floor(Number(byId("first").value)) || 1);
    const free = (index) => index < first && !this.sliders.locks.has(index);
    const mixed = {
      knobs: this.state.knobs.map((knob, i) => (free(i) ? drawn.knobs[i] : knob)),
      panels: this.state.panels.map((row) => row.map((shift, i) => (free(i) ? 0 : shift))),
      base: byId("rest").checked ? drawn.base : this.state.base,
      held: [],
    };
    // Sliders of one strip, all else of another: those that the other has elsewhere are held.
    const owner = byId("rest").checked ? drawn : this.state;
    this.jump(this.holds ? State.holding(mixed, { ...owner, held: [] }) : mixed);
  }

  // Back to the strip that the sliders started from; locked ones stay.
  reset() {
    const home = (row, from) => row.map((v, i) => (this.sliders.locks.has(i) ? v : from[i]));
    const { origin, state } = this;
    const back = {
      knobs: home(state.knobs, origin.knobs),
      panels: state.panels.map((row, panel) => home(row, origin.panels[panel])),
      base: origin.base,
      held: [],
    };
    this.jump(this.held(back), origin);
  }

  average() { this.jump(State.mean(this.info)); }

  async refine() {
    if (!this.info.can.includes("refine")) return;
    const { held } = State.holding(this.state, this.origin);
    const refined = await this.try(this.canvas.awaits(this.backend.refine(this.state, held)));
    if (refined) this.jump(refined);
  }

  async complete(panels) {
    this.notice.say("Drawing …", "drawing");
    const drawn = await this.try(this.canvas.awaits(this.backend.complete(this.state, panels, this.dice())));
    this.notice.clear("drawing");
    if (drawn) this.jump(drawn);
  }

  pin(which) {
    this.walk.pin(which, this.state, (canvas) => this.canvas.copyTo(canvas));
    this.notice.say(`Pinned as ${which.toUpperCase()}.`);
  }

  #pinState(which, state) {
    this.walk.pin(which, state, (canvas) => this.#paint(canvas, state));
  }

  // The states from A to B, or their ends, where what lies between is a straight line: it is where
  // there is no prior, and where the two are one strip, whose sliders move.
  async path(a, b) {
    if (!this.info.can.includes("morph") || State.same(a.base, b.base)) return [a, b];
    const wanted = () => this.walk.a === a && this.walk.b === b;
    const say = (share) => {
      const text = `Drawing the strips between A and B, ${Math.round(100 * share)} % …`;
      if (wanted()) this.notice.say(text, "between");
    };
    say(0);
    const path = await this.try(this.again(() => this.backend.between(a, b, say), wanted));
    if (wanted()) this.notice.clear("between");
    return path;
  }

  // Asks until the server answers, if it is gone, and the answer is still wanted.
  async again(ask, wanted = () => true) {
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        if (!error.gone) throw error;
        if (!wanted()) return null;
        this.notice.say(error.message, "gone");
        await new Promise((resolve) => { setTimeout(resolve, RETRY); });
      }
    }
  }

  // From one end of a slider to the other, the rest of the strip as it is.
  async walkAlong(index) {
    const playing = this.walk.playing;
    this.walk.stop();
    if (playing && this.walking === index) return;
    this.walking = index;
    const { ends } = this.info;
    for (const [which, value] of [["b", ends], ["a", -ends]]) {
      this.#pinState(which, this.turned(this.state, index, value));
    }
    await this.walk.ready;
    this.walk.toggle();
  }

  async #paint(canvas, state) {
    const picture = await this.try(this.backend.png(state));
    if (picture) drawSmall(canvas, await loaded(picture));
  }

  async smallPicture(state) {
    const canvas = document.createElement("canvas");
    await this.#paint(canvas, state);
    return canvas.toDataURL("image/jpeg", 0.8);
  }

  keep() {
    const canvas = document.createElement("canvas");
    this.canvas.copyTo(canvas);
    this.favourites.keep(this.state, canvas.toDataURL("image/jpeg", 0.8));
    this.notice.say("Added to your favourites.");
  }

  async rename(index, name) {
    const kept = await this.try(this.backend.rename(index, name));
    if (kept !== null) {
      this.info.sliders[index].name = kept;
      this.names?.postMessage([index, kept]);
    }
    return this.info.sliders[index].name;
  }

  // Names that are given in another window of this browser.
  #hearNames() {
    if (!("BroadcastChannel" in window)) return;
    this.names = new BroadcastChannel(`names ${this.info.model}`);
    this.names.addEventListener("message", ({ data: [index, name] }) => {
      this.info.sliders[index].name = name;
      this.sliders.label(index, name);
    });
  }

  choosePanel(panel) {
    this.panel = panel;
    const value = panel === null ? "all" : String(panel);
    byId("panels").querySelector(`[value="${value}"]`).checked = true;
    byId("panel-note").hidden = panel === null;
    this.move(this.state);
  }

  showTemperature() {
    byId("temperature-out").textContent = Number(byId("temperature").value).toFixed(2);
    fillTrack(byId("temperature"));
  }

  // --- messages --------------------------------------------------------------------------------

  complain(text) { this.notice.say(text, "bad"); }

  async try(promise) {
    try {
      const answer = await promise;
      this.notice.clear("gone");
      return answer;
    } catch (error) {
      if (!error.superseded) this.notice.say(error.message, error.gone ? "gone" : "bad");
      return null;
    }
  }
}

// Fills the page, with whatever paints its strips.
export async function open(backend) {
  try {
    await fill(backend);
  } catch (error) {
    document.querySelector("#notice span").textContent = error.message;
  }
}

async function fill(backend) {
  const info = await backend.info();
  const can = (what) => info.can.includes(what);
  byId("run").textContent = info.title;
  byId("dimensions").textContent = info.dimensions;
  byId("first").max = byId("first").value = info.sliders.length;
  byId("seed").value = info.start.base[0][1].split(":")[1];
  byId("seed").max = info.seeds ?? 999999999;
  byId("gif").hidden = !can("gif");
  byId("rest-label").hidden = !can("detail");
  byId("refine").hidden = byId("follow-label").hidden = !can("refine");
  byId("redraw").hidden = !can("complete");
  for (const only of document.querySelectorAll("[data-needs]")) only.hidden = !can(only.dataset.needs);
  document.title = `${info.title} · strip explorer`;
  const page = new Page(backend, info);
  backend.onLate = (late) => {
    if (late) page.notice.say("Waiting for the explorer, which has not answered yet …", "late");
    else page.notice.clear("late");
  };
  page.readLink();
  const map = await page.try(page.again(() => backend.map()));
  if (map) page.map.fill(map);
}
