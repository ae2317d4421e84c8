// The map: every strip at its first two coordinates, which are the first two sliders. Shows where
// the strip on screen is and where one was; a click goes to a strip, a drag turns both sliders.

import { drawSmall, loaded } from "./canvas.js";
import { clamp } from "./state.js";

const NEAR = 18; // pixels from the pointer within which a strip is meant
const A_DRAG = 5; // pixels that a pointer moves before it drags
const byId = (id) => document.getElementById(id);

export class StripMap {
  #backend; #on; #canvas = byId("map"); #points = new Float32Array(0); #names = []; #of = "";
  #reach = 4; #trail = []; #here = [0, 0]; #hovered = -1; #dots = null; #asked = 0; #frame = 0;

  // on: { go(kind, name), turn(x, y), commit() }
  constructor(backend, on) {
    this.#backend = backend;
    this.#on = on;
    this.#listen();
    const redraw = () => { this.#dots = null; this.#draw(); };
    if ("ResizeObserver" in window) new ResizeObserver(redraw).observe(this.#canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener?.("change", redraw);
  }

  // { of: "strips" or "samples", names [N], points [2·N] }
  fill({ of, names, points }) {
    this.#of = of;
    this.#names = names;
    this.#points = Float32Array.from(points);
    let farthest = 2;
    for (const value of this.#points) farthest = Math.max(farthest, Math.abs(value));
    this.#reach = Math.min(5, farthest) * 1.05;
    this.#dots = null;
    byId("map-note").textContent = `A dot is one of ${names.length.toLocaleString()} ${of}. Across: `
      + "slider 1, up: slider 2. Click a dot to go there, or drag to move both sliders.";
    this.#draw();
  }

  // here: the first two knobs; trail: those of the steps before, oldest first.
  show(here, trail) {
    this.#here = here;
    this.#trail = trail;
    this.#draw();
  }

  // --- drawing ---------------------------------------------------------------------------------

  #place([x, y]) {
    const half = this.#canvas.width / 2;
    const share = (value) => clamp(value / this.#reach, -1, 1);
    return [half * (1 + share(x)), half * (1 - share(y))];
  }

  #colour(name) { return getComputedStyle(document.body).getPropertyValue(name); }

  // The dots are painted once on a canvas of their own; a move paints only what lies over them.
  #paintDots() {
    const { width, height } = this.#canvas;
    this.#dots = document.createElement("canvas");
    this.#dots.width = width;
    this.#dots.height = height;
    const context = this.#dots.getContext("2d");
    context.strokeStyle = this.#colour("--line");
    context.strokeRect(width / 2, -1, width, height / 2 + 1);
    context.strokeRect(-1, height / 2, width / 2 + 1, height);
    context.fillStyle = this.#colour("--soft");
    const many = this.#names.length > 2000;
    context.globalAlpha = many ? 0.45 : 0.8;
    const size = Math.max(2, (many ? 0.006 : 0.012) * width);
    for (let i = 0; i < this.#names.length; i++) {
      const [x, y] = this.#place([this.#points[2 * i], this.#points[2 * i + 1]]);
      context.fillRect(x - size / 2, y - size / 2, size, size);
    }
  }

  #draw() {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.#drawNow());
  }

  #drawNow() {
    const size = Math.round(this.#canvas.clientWidth * (window.devicePixelRatio || 1));
    if (!size) return;
    if (this.#canvas.width !== size) {
      this.#canvas.width = this.#canvas.height = size;
      this.#dots = null;
    }
    if (!this.#dots) this.#paintDots();
    const context = this.#canvas.getContext("2d");
    context.clearRect(0, 0, size, size);
    context.drawImage(this.#dots, 0, 0);
    const accent = this.#colour("--accent");
    context.strokeStyle = context.fillStyle = accent;
    context.lineWidth = size / 200;
    context.lineJoin = "round";
    const way = [...this.#trail, this.#here].map((point) => this.#place(point));
    way.slice(1).forEach(([x, y], i) => {
      context.globalAlpha = 0.15 + (0.7 * (i + 1)) / way.length;
      context.beginPath();
      context.moveTo(...way[i]);
      context.lineTo(x, y);
      context.stroke();
    });
    context.globalAlpha = 1;
    const dot = (point, radius) => {
      context.beginPath();
      context.arc(...this.#place(point), radius, 0, 7);
    };
    if (this.#hovered >= 0) {
      dot([this.#points[2 * this.#hovered], this.#points[2 * this.#hovered + 1]], size / 60);
      context.stroke();
    }
    dot(this.#here, size / 50);
    context.fill();
    context.strokeStyle = this.#colour("--card");
    context.stroke();
  }

  // --- the pointer -----------------------------------------------------------------------------

  #listen() {
    const canvas = this.#canvas;
    let down = null;
    let dragging = false;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      down = event;
      dragging = false;
    });
    canvas.addEventListener("pointermove", (event) => {
      const far = down && Math.hypot(event.clientX - down.clientX, event.clientY - down.clientY) > A_DRAG;
      if (far && !dragging && event.pointerType !== "touch") { // a finger scrolls
        dragging = true;
        canvas.setPointerCapture(event.pointerId);
        this.#leave();
      }
      if (dragging) this.#on.turn(...this.#position(event));
      else this.#hover(this.#nearest(event));
    });
    canvas.addEventListener("pointerup", (event) => {
      if (dragging) this.#on.commit();
      else if (down) this.#click(event);
      down = null;
      dragging = false;
    });
    canvas.addEventListener("pointercancel", () => { down = null; dragging = false; });
    canvas.addEventListener("pointerleave", () => { if (!dragging) this.#leave(); });
  }

  #position(event) {
    const box = this.#canvas.getBoundingClientRect();
    const at = (share) => clamp(share, -1, 1) * this.#reach;
    return [
      at((2 * (event.clientX - box.left)) / box.width - 1),
      at(1 - (2 * (event.clientY - box.top)) / box.height),
    ];
  }

  // The number of the dot that lies nearest to the pointer, or -1.
  #nearest(event) {
    const box = this.#canvas.getBoundingClientRect();
    const [x, y] = this.#position(event);
    let [best, found] = [(NEAR * 2 * this.#reach / box.width) ** 2, -1];
    for (let i = 0; i < this.#names.length; i++) {
      const distance = (this.#points[2 * i] - x) ** 2 + (this.#points[2 * i + 1] - y) ** 2;
      if (distance < best) [best, found] = [distance, i];
    }
    return found;
  }

  #click(event) {
    const found = this.#nearest(event);
    if (found >= 0) {
      this.#on.go(this.#of, this.#names[found]);
    } else {
      this.#on.turn(...this.#position(event));
      this.#on.commit();
    }
  }

  #leave() {
    this.#asked++;
    this.#hovered = -1;
    byId("map-preview").hidden = true;
    this.#draw();
  }

  async #hover(index) {
    if (index === this.#hovered) return;
    if (index < 0) { this.#leave(); return; }
    this.#hovered = index;
    this.#draw();
    const turn = ++this.#asked;
    const name = this.#names[index];
    const preview = byId("map-preview");
    preview.hidden = false;
    preview.classList.toggle("below", this.#points[2 * index + 1] > 0);
    byId("map-name").textContent = this.#of === "strips" ? name : `sample ${name}`;
    await new Promise((done) => { setTimeout(done, 60); }); // a pointer that only passes
    if (turn !== this.#asked) return;
    try {
      const picture = await loaded(this.#of === "strips" ? this.#backend.stripPicture(name)
        : await this.#backend.png(await this.#backend.draw(name, 1)));
      if (turn === this.#asked) drawSmall(byId("map-picture"), picture);
    } catch {
      // the name is shown all the same
    }
  }
}
