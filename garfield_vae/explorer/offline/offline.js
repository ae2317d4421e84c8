// The page without a server: the model lies in the page itself, and three workers paint a panel each.
// Has the methods of backend.js that need no strips.

import { open } from "./page.js";

const PANELS = 3;

function bytes(base64) {
  const text = atob(base64);
  const found = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) found[i] = text.charCodeAt(i);
  return found;
}

// 16-bit floats, little-endian → Float32Array
function halves(base64) {
  const raw = bytes(base64);
  const halfs = new Uint16Array(raw.buffer);
  const values = new Float32Array(halfs.length);
  for (let i = 0; i < halfs.length; i++) {
    const [sign, exponent, part] = [halfs[i] >> 15, (halfs[i] >> 10) & 31, halfs[i] & 1023];
    const size = exponent ? 2 ** (exponent - 15) * (1 + part / 1024) : part * 2 ** -24;
    values[i] = sign ? -size : size;
  }
  return values;
}

// Numbers from 0 to 1 that a seed decides (the generator mulberry32).
function dice(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

class OfflineBackend {
  #model; #mean; #kernels; #directions; #workers; #calls = new Map(); #id = 0;

  constructor(model, code) {
    this.#model = model;
    this.#mean = halves(model.mean); // [z]
    this.#kernels = halves(model.kernels); // [strips, k]
    this.#directions = halves(model.directions); // [k, z], one standard deviation each
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

  #latent(state, panel) {
    if (state.base.length) throw new Error("This page holds no real strips: that one needs them.");
    const { limit } = this.#model.info;
    const latent = this.#mean.slice();
    state.knobs.forEach((knob, i) => {
      const value = Math.min(limit, Math.max(-limit, knob + state.panels[panel][i]));
      const start = i * latent.length;
      for (let j = 0; j < latent.length; j++) latent[j] += value * this.#directions[start + j];
    });
    return latent;
  }

  async #paint(state) {
    const painted = this.#workers.map((worker, panel) => new Promise((resolve, reject) => {
      const id = this.#id++;
      const latent = this.#latent(state, panel);
      this.#calls.set(id, { resolve, reject });
      worker.postMessage({ id, latent });
    }));
    const { width, height, gutter } = this.#model;
    const canvas = new OffscreenCanvas(PANELS * width + 4 * gutter, height + 2 * gutter);
    const context = canvas.getContext("2d");
    context.fillStyle = "white";
    context.fillRect(0, 0, canvas.width, canvas.height);
    (await Promise.all(painted)).forEach((pixels, panel) => {
      const x = gutter + panel * (width + gutter);
      context.putImageData(new ImageData(pixels, width, height), x, gutter);
    });
    return canvas;
  }

  async live(state) { return (await this.#paint(state)).transferToImageBitmap(); }

  async png(state, scale = 1) {
    const painted = await this.#paint(state);
    const canvas = new OffscreenCanvas(scale * painted.width, scale * painted.height);
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(painted, 0, 0, canvas.width, canvas.height);
    return canvas.convertToBlob();
  }

  async ends() {
    const picture = new Image();
    picture.src = `data:image/png;base64,${this.#model.ends}`;
    await picture.decode();
    return createImageBitmap(picture);
  }

  // A draw from the density that LatentSpace.sample in latent.py describes.
  async draw(seed, temperature) {
    const { info, novelty } = this.#model;
    const chance = dice(seed);
    // two even chances make one normal one (Box and Muller 1958)
    const normal = () =>
      Math.sqrt(-2 * Math.log(1 - chance())) * Math.cos(2 * Math.PI * chance());
    const count = info.sliders.length;
    const strip = Math.floor(chance() * (this.#kernels.length / count));
    const pull = Math.sqrt(1 - novelty ** 2);
    const knobs = info.sliders.map((_, i) =>
      temperature * (pull * this.#kernels[strip * count + i] + novelty * normal()));
    const round = (knob) => Number(Math.min(info.limit, Math.max(-info.limit, knob)).toFixed(3));
    return { knobs: knobs.map(round), panels: [], base: [] };
  }
}

const text = (id) => document.getElementById(id).textContent;
open(new OfflineBackend(JSON.parse(text("model")), text("decoder")));
