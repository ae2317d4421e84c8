// Two pinned strips and the way between them.

import { fillTrack, ignoreSwipes } from "./sliders.js";
import { along } from "./state.js";

const ONE_WAY = 3000; // milliseconds from A to B while playing
const STEP = 0.005; // of the slider, on a straight line
const byId = (id) => document.getElementById(id);

export class Walk {
  #on; #playing = 0; #painting = false;
  #path = null; // until both are pinned, and the states between them are there

  // on: { path(a, b) → promise of evenly spaced states from a to b, null when that failed,
  // move(state), commit(), pinned(), gif(a, b) }
  constructor(on) {
    this.#on = on;
    this.a = this.b = null;
    this.ready = null; // a promise that is kept once the path is there
    this.mix = byId("mix");
    fillTrack(this.mix);
    ignoreSwipes(this.mix);
    this.mix.addEventListener("input", () => { this.stop(); this.#move(Number(this.mix.value)); });
    this.mix.addEventListener("change", () => on.commit());
    byId("play").addEventListener("click", () => this.toggle());
    byId("gif").addEventListener("click", () => on.gif(this.a, this.b));
    byId("swap").addEventListener("click", () => this.#swap());
  }

  #move(share) {
    fillTrack(this.mix);
    this.#on.move({ 0: this.a, 1: this.b }[share] ?? along(this.#path, share));
  }

  // which: "a" or "b"; paint(canvas) puts the strip's picture on the pin.
  pin(which, state, paint) {
    this.stop();
    this[which] = state;
    paint(byId(`pin-${which}`).querySelector("canvas"));
    byId(`pin-${which}`).classList.add("pinned");
    this.mix.value = which === "a" ? 0 : 1;
    fillTrack(this.mix);
    this.ready = this.#prepare();
    this.#on.pinned();
  }

  async #prepare() {
    this.#take(null);
    const { a, b } = this;
    await null; // both may be pinned at once
    const newest = () => a && b && a === this.a && b === this.b;
    const path = newest() ? await this.#on.path(a, b) : null;
    if (newest()) this.#take(path);
  }

  // A slider comes to rest on a state of the path: what is between two shows a little of both.
  #take(path) {
    this.#path = path;
    this.mix.step = path?.length > 2 ? 1 / (path.length - 1) : STEP;
    this.#enable();
  }

  // An animation is painted, or is no longer: there is one at a time.
  paints(painting) {
    this.#painting = painting;
    this.#enable();
  }

  #enable() {
    for (const control of [this.mix, byId("play"), byId("swap")]) control.disabled = !this.#path;
    byId("gif").disabled = !this.#path || this.#painting;
  }

  #swap() {
    this.stop();
    this.#path = [...this.#path].reverse();
    [this.a, this.b] = [this.b, this.a];
    const [first, second] = ["a", "b"].map((which) => byId(`pin-${which}`).querySelector("canvas"));
    const place = document.createComment("");
    first.replaceWith(place);
    second.replaceWith(first);
    place.replaceWith(second);
    this.mix.value = 1 - this.mix.value;
    fillTrack(this.mix);
    this.#on.pinned();
  }

  get playing() { return this.#playing !== 0; }

  toggle() {
    if (this.#playing) this.stop();
    else if (this.#path) this.#play();
  }

  #play() {
    byId("play").setAttribute("aria-pressed", "true");
    byId("play").textContent = "Stop";
    // from where the slider stands, towards B; then there and back until stopped
    const begin = performance.now() - ONE_WAY * this.mix.value;
    const frame = (now) => {
      const way = ((now - begin) / ONE_WAY) % 2;
      const share = Math.max(0, way > 1 ? 2 - way : way);
      this.mix.value = share;
      this.#move(share);
      this.#playing = requestAnimationFrame(frame);
    };
    this.#playing = requestAnimationFrame(frame);
  }

  stop() {
    if (!this.#playing) return;
    cancelAnimationFrame(this.#playing);
    this.#playing = 0;
    byId("play").setAttribute("aria-pressed", "false");
    byId("play").textContent = "Play";
    this.#move(Number(this.mix.value));
    this.#on.commit();
  }
}
