// The page without a server: the model is in the page itself, and three workers paint a panel each.
// Has the methods of static/backend.js that need no strips.

import { open } from "./page.js";
import { clamp, round } from "./state.js";

const PANELS = 3;
const REMEMBERED = 32; // residuals

function bytes(base64) {
  const text = atob(base64);
  const found = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) found[i] = text.charCodeAt(i);
  return found;
}

// The value of each 16-bit float, by its bits.
const HALVES = Float32Array.from({ length: 2 ** 16 }, (_, bits) => {
  const [exponent, part] = [(bits >> 10) & 31, bits & 1023];
  const size = exponent ? 2 ** (exponent - 15) * (1 + part / 1024) : part * 2 ** -24;
  return bits >> 15 ? -size : size;
});

// 16-bit floats, little-endian → Float32Array
const halves = (base64) =>
  Float32Array.from(new Uint16Array(bytes(base64).buffer), (bits) => HALVES[bits]);

// 8-bit whole numbers
const small = (base64) => new Int8Array(bytes(base64).buffer);

class OfflineBackend {
  #model; #mean; #directions; #coordinates; #residuals; #scales; #workers;
  #calls = new Map(); #id = 0; #found = new Map(); #turn = 0;

  constructor(model, code) {
    this.#model = model;
    this.#mean = halves(model.mean); // [z]
    this.#directions = halves(model.directions); // [k, z], one standard deviation each
    this.#coordinates = halves(model.coordinates); // [samples, k]
    this.#residuals = small(model.residuals); // [samples, z], what the k coordinates leave out …
    this.#scales = halves(model.scales); // [samples], … divided by these
    const weights = halves(model.weights);
    const address = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
    this.#workers = Array.from({ length: PANELS }, (_, panel) => {
      const worker = new Worker(address);
      worker.postMessage({ operations: model.operations, weights, panel });
      worker.onmessage = ({ data }) => {
        this.#calls.get(data.id).resolve(data.pixels);
        this.#calls.delete(data.id);
      };
      worker.onerror = (event) => {
        for (const { reject } of this.#calls.values()) reject(new Error(event.message));
        this.#calls.clear();
      };
      return worker;
    });
  }

  async info() { return this.#model.info; }

  // --- latents ---------------------------------------------------------------------------------

  // Adds `value` times slider `i` to a latent.
  #turnBy(latent, i, value) {
    const start = i * latent.length;
    for (let j = 0; j < latent.length; j++) latent[j] += value * this.#directions[start + j];
  }

  // A sample at a temperature: its sliders' positions, and what these leave out of it.
  #sample(seed, temperature) {
    const { info } = this.#model;
    if (!(seed >= 1 && seed <= info.seeds)) {
      throw new Error(`This page holds the samples 1 to ${info.seeds}: that one needs the explorer.`);
    }
    const z = this.#mean.length;
    const k = info.sliders.length;
    const scale = temperature * this.#scales[seed - 1];
    const start = (seed - 1) * z;
    const residual = Float32Array.from(this.#mean, (_, j) => scale * this.#residuals[start + j]);
    const knobs = info.sliders.map((_, i) => {
      const coordinate = temperature * this.#coordinates[(seed - 1) * k + i];
      const knob = round(clamp(coordinate, -info.limit, info.limit));
      this.#turnBy(residual, i, coordinate - knob);
      return knob;
    });
    return { knobs, residual };
  }

  #residual(source) {
    if (this.#found.has(source)) return this.#found.get(source);
    const [kind, first, second] = source.split(":");
    let residual;
    if (kind === "seed") residual = this.#sample(Number(first), Number(second)).residual;
    if (kind === "given") residual = halves(first.replace(/-/g, "+").replace(/_/g, "/"));
    if (kind === "strip") {
      throw new Error(`This page holds no real strips, as ${first} is one: copy a link to it with `
        + "the explorer's button Link.");
    }
    if (residual?.length !== this.#mean.length) throw new Error("That strip is of another model.");
    if (this.#found.size >= REMEMBERED) this.#found.clear();
    this.#found.set(source, residual);
    return residual;
  }

  #latent(state, panel) {
    const { limit } = this.#model.info;
    const latent = this.#mean.slice();
    for (const [weight, source] of state.base) {
      const residual = this.#residual(source);
      for (let j = 0; j < latent.length; j++) latent[j] += weight * residual[j];
    }
    state.knobs.forEach((knob, i) => {
      this.#turnBy(latent, i, clamp(knob + state.panels[panel][i], -limit, limit));
    });
    return latent;
  }

  // --- pictures --------------------------------------------------------------------------------

  async #paint(state) {
    const latents = this.#workers.map((_, panel) => this.#latent(state, panel));
    const painted = this.#workers.map((worker, panel) => new Promise((resolve, reject) => {
      const id = this.#id++;
      this.#calls.set(id, { resolve, reject });
      worker.postMessage({ id, latent: latents[panel] });
    }));
    const { width, height, gutter } = this.#model;
    const canvas = document.createElement("canvas");
    canvas.width = PANELS * width + 4 * gutter;
    canvas.height = height + 2 * gutter;
    const context = canvas.getContext("2d");
    context.fillStyle = "white";
    context.fillRect(0, 0, canvas.width, canvas.height);
    (await Promise.all(painted)).forEach((pixels, panel) => {
      const x = gutter + panel * (width + gutter);
      context.putImageData(new ImageData(pixels, width, height), x, gutter);
    });
    return canvas;
  }

  live(state) {
    this.#turn++;
    return this.#paint(state);
  }

  async png(state, scale = 1) {
    const painted = await this.#paint(state);
    const canvas = document.createElement("canvas");
    canvas.width = scale * painted.width;
    canvas.height = scale * painted.height;
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(painted, 0, 0, canvas.width, canvas.height);
    return new Promise((resolve) => { canvas.toBlob(resolve, "image/png"); });
  }

  // One after the other, so that a drag in the meantime is painted between, and ends it.
  async ends(state, hold, draw) {
    const { info, gutter } = this.#model;
    const turn = this.#turn;
    for (let slider = 0; slider < info.sliders.length; slider++) {
      for (const side of [0, 1]) {
        const knobs = state.knobs.slice();
        knobs[slider] = side ? info.ends : -info.ends;
        const picture = await this.#paint({ ...state, knobs });
        if (turn !== this.#turn) throw new Error("a newer state is shown");
        draw(slider, side, picture, gutter, gutter, picture.width - 2 * gutter,
          picture.height - 2 * gutter);
      }
    }
  }

  // --- strips ----------------------------------------------------------------------------------

  async draw(seed, temperature) {
    const { knobs } = this.#sample(seed, temperature);
    const zeros = () => knobs.map(() => 0);
    return { knobs, panels: Array.from({ length: PANELS }, zeros),
      base: [[1, `seed:${seed}:${temperature}`]], held: [] };
  }

  async suggestions() { return this.#model.suggestions; }

  async portable(state) { return state; } // what it names is in every such page

  async map() {
    const k = this.#model.info.sliders.length;
    const names = Array.from({ length: this.#model.info.seeds }, (_, i) => i + 1);
    const points = names.flatMap((_, i) =>
      [this.#coordinates[i * k], k > 1 ? this.#coordinates[i * k + 1] : 0]);
    return { of: "samples", names, points };
  }
}

const text = (id) => document.getElementById(id).textContent;
open(new OfflineBackend(JSON.parse(text("model")), text("decoder")));
