// Two pinned strips and the way between them.

import { fillTrack, ignoreSwipes } from "./sliders.js";
import { between } from "./state.js";

const ONE_WAY = 3000; // milliseconds from A to B while playing
const byId = (id) => document.getElementById(id);

export class Walk {
  #on; #playing = 0;

  // on: { move(state), commit(), pinned(), gif(a, b) }
  constructor(on) {
    this.#on = on;
    this.a = this.b = null;
    this.mix = byId("mix");
    fillTrack(this.mix);
    ignoreSwipes(this.mix);
    this.mix.addEventListener("input", () => { this.stop(); this.#move(); });
    this.mix.addEventListener("change", () => on.commit());
    byId("play").addEventListener("click", () => this.toggle());
    byId("gif").addEventListener("click", () => on.gif(this.a, this.b));
    byId("swap").addEventListener("click", () => this.#swap());
  }

  #move() {
    fillTrack(this.mix);
    this.#on.move(between(this.a, this.b, Number(this.mix.value)));
  }

  // which: "a" or "b"; paint(canvas) puts the strip's picture on the pin.
  pin(which, state, paint) {
    this.stop();
    this[which] = state;
    paint(byId(`pin-${which}`).querySelector("canvas"));
    byId(`pin-${which}`).classList.add("pinned");
    this.mix.value = which === "a" ? 0 : 1;
    fillTrack(this.mix);
    for (const control of [this.mix, byId("play"), byId("gif"), byId("swap")]) {
      control.disabled = !(this.a && this.b);
    }
    this.#on.pinned();
  }

  #swap() {
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
    else if (this.a && this.b) this.#play();
  }

  #play() {
    byId("play").setAttribute("aria-pressed", "true");
    byId("play").textContent = "Stop";
    // from where the slider stands, towards B; then there and back until stopped
    const begin = performance.now() - ONE_WAY * this.mix.value;
    const frame = (now) => {
      const way = ((now - begin) / ONE_WAY) % 2;
      this.mix.value = Math.max(0, way > 1 ? 2 - way : way);
      this.#move();
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
    this.#on.commit();
  }
}
