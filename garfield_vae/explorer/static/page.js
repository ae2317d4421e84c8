// The page: holds the state, and ties the parts together. Read this first; state.js says what a
// state is, backend.js how pictures come.

import { Between } from "./between.js";
import { Easel } from "./easel.js";
import { listen } from "./keys.js";
import { Shelf, download } from "./shelf.js";
import { Sliders, fillTrack } from "./sliders.js";
import * as State from "./state.js";
import { Strips } from "./strips.js";

const HISTORY = 200; // steps that can be undone
const byId = (id) => document.getElementById(id);

class Page {
  constructor(backend, info) {
    this.backend = backend;
    this.info = info;
    this.state = State.mean(info);
    this.past = [this.state]; // committed states; the present one is past[now]
    this.now = 0;
    this.origin = this.state; // the strip that the sliders set out from
    this.panel = null; // the panel that the sliders move; null for all

    const say = (text, bad) => this.say(text, bad);
    const jump = (state) => this.jump(state);
    this.easel = new Easel(byId("strip"), backend, {
      failed: (error) => this.say(error.message, true),
      settled: (state) => { this.sayNoMore(); this.strips.settled(state); },
    });
    this.sliders = new Sliders(byId("sliders"), byId("slider"), info, {
      turn: (index, value) => {
        this.between.stop();
        this.move(State.turned(this.state, this.panel, index, value, info.limit));
      },
      commit: () => this.commit(),
      rename: (index, name) => this.rename(index, name),
      lock: () => this.writeLink(),
    });
    this.strips = new Strips(backend, info, { jump, say });
    this.between = new Between({
      move: (state) => {
        this.origin = state;
        this.move(state);
      },
      commit: () => this.commit(),
      pinned: () => this.writeLink(),
      gif: (a, b) => this.saveGif(a, b),
    });
    this.shelf = new Shelf(byId("shelf"), byId("favourite"), info, {
      jump, say, picture: (state) => this.smallPicture(state),
    });
    listen(this);
  }

  // --- the state -----------------------------------------------------------------------------

  // Shows a state; it becomes a step that can be undone with the next commit.
  move(state) {
    this.state = state;
    const shifted = state.knobs.map((_, i) => state.panels.some((row) => row[i] !== 0));
    this.sliders.show(State.shown(state, this.panel, this.info.limit), shifted);
    const { base } = this.origin;
    const turned = base.length && State.same(state.base, base) && !State.same(state, this.origin);
    const words = State.inWords(state) + (turned ? ", turned" : "");
    if (byId("caption").textContent !== words) byId("caption").textContent = words;
    this.easel.show(state);
  }

  commit() {
    if (State.same(this.state, this.past[this.now])) return;
    this.past = [...this.past.slice(0, this.now + 1), this.state].slice(-HISTORY);
    this.now = this.past.length - 1;
    this.writeLink();
  }

  // A large step: the browser's back button leads to where it began.
  jump(state) {
    this.between.stop();
    this.origin = state;
    if (!State.same(state, this.state)) this.#address("pushState", location.hash || "#");
    this.move(state);
    this.commit();
  }

  undo(step) {
    this.between.stop();
    const now = this.now + step;
    if (!(now in this.past)) return;
    this.now = now;
    this.move(this.past[now]);
    this.writeLink();
  }

  writeLink() {
    byId("undo").disabled = this.now === 0;
    byId("redo").disabled = this.now === this.past.length - 1;
    this.#address("replaceState", this.hash());
  }

  #address(change, hash) {
    try {
      history[change](null, "", hash);
    } catch {
      // some browsers refuse more than a hundred in a few seconds: the next one catches up
    }
  }

  hash() {
    return State.toHash(this.state, this.info, {
      a: this.between.a,
      b: this.between.b,
      locks: [...this.sliders.locks],
      seed: byId("seed").value,
      temperature: byId("temperature").value,
      first: byId("first").value,
    });
  }

  readLink() {
    let link = null;
    try {
      link = State.fromHash(location.hash, this.info);
    } catch (error) {
      this.say(`This link cannot be opened: ${error.message}.`, true);
    }
    if (link && !link.sameModel) this.say("This link was made with another model.", true);
    this.sliders.locks = new Set(link?.locks);
    this.sliders.showLocks();
    if (link?.seed !== undefined) byId("seed").value = link.seed;
    if (link?.temperature >= 0) byId("temperature").value = link.temperature;
    if (link?.first > 0) byId("first").value = link.first;
    this.showTemperature();
    for (const which of ["a", "b"]) {
      if (!link?.[which] || (this.between[which] && State.same(link[which], this.between[which]))) continue;
      const state = link[which];
      this.between.pin(which, state, (canvas) => this.paintPin(canvas, state));
    }
    this.origin = link?.state ?? State.mean(this.info);
    this.move(this.origin);
    this.commit();
    this.writeLink();
  }

  // --- what the buttons do ---------------------------------------------------------------------

  async random(seed) {
    const temperature = Number(byId("temperature").value);
    byId("seed").value = seed;
    const drawn = await this.try(this.backend.draw(seed, temperature));
    if (!drawn) return;
    const first = Math.max(1, Math.floor(Number(byId("first").value)) || 1);
    const free = (index) => index < first && !this.sliders.locks.has(index);
    this.jump({
      knobs: this.state.knobs.map((knob, i) => (free(i) ? drawn.knobs[i] : knob)),
      panels: this.state.panels.map((row) => row.map((shift, i) => (free(i) ? 0 : shift))),
      base: byId("rest").checked ? drawn.base : this.state.base,
    });
  }

  reset() {
    const locked = (row) => row.map((value, i) => (this.sliders.locks.has(i) ? value : 0));
    const { knobs, panels } = this.state;
    this.jump({ knobs: locked(knobs), panels: panels.map(locked), base: [] });
  }

  pin(which) {
    this.between.pin(which, this.state, (canvas) => this.easel.copyTo(canvas));
    this.say(`Pinned as ${which.toUpperCase()}.`);
  }

  async paintPin(canvas, state) {
    const picture = await this.try(this.backend.png(state));
    if (!picture) return;
    const bitmap = await createImageBitmap(picture);
    canvas.width = 320;
    canvas.height = Math.round((320 * bitmap.height) / bitmap.width);
    canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  }

  async smallPicture(state) {
    const canvas = document.createElement("canvas");
    await this.paintPin(canvas, state);
    return canvas.toDataURL("image/jpeg", 0.8);
  }

  keep() {
    const canvas = document.createElement("canvas");
    this.easel.copyTo(canvas);
    this.shelf.keep(this.state, canvas.toDataURL("image/jpeg", 0.8));
    this.say("Kept on the shelf.");
  }

  async savePng(scale) {
    const picture = await this.try(this.backend.png(this.state, scale));
    if (picture) download(picture, `strip${scale === 1 ? "" : "-2x"}.png`);
  }

  async saveGif(a, b) {
    this.between.stop();
    byId("gif").disabled = true;
    this.say("Painting the animation …");
    const animation = await this.try(this.backend.gif(a, b));
    byId("gif").disabled = false;
    if (!animation) return;
    download(animation, "between.gif");
    this.say("The animation is saved.");
  }

  async copyLink() {
    this.commit();
    try {
      await navigator.clipboard.writeText(location.href);
      this.say("The link is copied.");
    } catch {
      this.say("Copying is not allowed here: the link is in the address bar.", true);
    }
  }

  async loadJson(file) {
    try {
      this.jump(await this.shelf.load(file));
    } catch (error) {
      this.say(`${file.name} cannot be loaded: ${error.message}.`, true);
    }
  }

  async rename(index, name) {
    const kept = await this.try(this.backend.rename(index, name));
    if (kept !== null) this.info.sliders[index].name = kept;
    return this.info.sliders[index].name;
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

  // --- saying ----------------------------------------------------------------------------------

  async try(promise) {
    try {
      return await promise;
    } catch (error) {
      this.say(error.message, true);
      return null;
    }
  }

  say(text, bad = false) {
    const notice = byId("notice");
    notice.textContent = text;
    notice.classList.toggle("bad", bad);
    clearTimeout(this.notice);
    this.notice = setTimeout(() => { notice.textContent = ""; }, bad ? 8000 : 2500);
    this.gone = bad && text.startsWith("The explorer has ended");
  }

  sayNoMore() { // the server is back
    if (this.gone) byId("notice").textContent = "";
    this.gone = false;
  }
}

// Fills the page, with whatever paints its strips.
export async function open(backend) {
  try {
    await fill(backend);
  } catch (error) {
    byId("notice").textContent = error.message;
  }
}

async function fill(backend) {
  const info = await backend.info();
  byId("run").textContent = info.title;
  byId("dimensions").textContent = info.dimensions;
  byId("first").max = byId("first").value = info.sliders.length;
  byId("seed").value = 1;
  byId("gif").hidden = !info.can.includes("gif");
  byId("rest-label").hidden = !info.can.includes("detail");
  document.querySelector(".strips-only").hidden = !info.can.includes("encode");
  document.title = `${info.title} · strip explorer`;
  const page = new Page(backend, info);
  page.readLink();
  page.sliders.showEnds(await backend.ends());
}
