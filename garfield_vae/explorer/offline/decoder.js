// The decoder for one panel, in a worker of its own. It runs the list of operations that
// export_page.py wrote: each has a name, the numbers of its inputs, the shape of its result
// [channels, height, width] or [length], and weights.

import { LANES, compile, convolve } from "./convolution.js";

const PAGE = 65536;
const SLACK = 64; // pixels behind a map that a convolution may read or write past its end

const padded = (channels) => Math.ceil(channels / LANES) * LANES;

export class Decoder {
  // operations: see export_page.py; weights: Float32Array; panel: which of the strip's it paints.
  // vectors: whether to try WebAssembly.
  constructor(operations, weights, panel, vectors = true) {
    this.operations = operations;
    this.weights = weights;
    this.panel = panel;
    this.size = 0; // floats of memory given out
    this.places = operations.map((operation) => this.#place(operation.shape));
    const convolutions = operations.filter(({ name }) => name === "conv");
    for (const operation of convolutions) this.#placeWeights(operation);
    const pages = Math.ceil((this.size * 4) / PAGE);
    const shapes = convolutions.map((operation) => this.#shape(operation));
    const compiled = vectors && this.#compile(shapes, pages);
    if (!compiled) this.floats = new Float32Array(this.size);
    for (const operation of convolutions) this.#packWeights(operation);
    convolutions.forEach((operation, i) => {
      operation.run = compiled ? (...at) => compiled[i](...at.map((place) => 4 * place))
        : (...at) => convolve(this.floats, shapes[i], ...at);
    });
  }

  // The convolutions as WebAssembly over this.floats; null where the browser has no such thing.
  #compile(shapes, pages) {
    try {
      const memory = new WebAssembly.Memory({ initial: pages });
      const module = new WebAssembly.Module(compile(shapes, pages));
      const { exports } = new WebAssembly.Instance(module, { page: { memory } });
      this.floats = new Float32Array(memory.buffer);
      return shapes.map((_, i) => exports[i]);
    } catch {
      return null;
    }
  }

  #take(length) {
    const start = this.size;
    this.size += Math.ceil(length / 4) * 4;
    return start;
  }

  #place(shape) {
    if (shape.length === 1) return { start: this.#take(shape[0]), length: shape[0] };
    const [channels, height, width] = shape;
    const stored = padded(channels);
    const row = (width + 2) * stored; // with its border
    const start = this.#take((height + 2) * row + SLACK * stored);
    return { start, channels, height, width, stored, row, first: start + row + stored,
      length: (height + 2) * row };
  }

  #shape({ inputs: [x], shape: [outputs, height, width], taps }) {
    const { stored, row } = this.places[x];
    return { height, width, taps, inputs: stored, outputs: padded(outputs),
      rowIn: row, rowOut: (width + 2) * padded(outputs) };
  }

  #placeWeights(operation) {
    const { inputs: [x], shape: [outputs], taps } = operation;
    operation.packed = this.#take(padded(outputs) * taps * taps * this.places[x].stored);
    operation.bias = this.#take(padded(outputs));
  }

  // [out, in, y, x] → [out / 8][y][x][in][8], as the kernel reads them.
  #packWeights({ inputs: [x], shape: [outputs], taps, weights: [weight, bias], packed, bias: at }) {
    const { channels, stored } = this.places[x];
    this.floats.set(this.weights.subarray(bias, bias + outputs), at);
    let from = weight;
    for (let out = 0; out < outputs; out++) {
      for (let input = 0; input < channels; input++) {
        for (let tap = 0; tap < taps * taps; tap++) {
          const block = Math.floor(out / LANES) * taps * taps;
          this.floats[packed + ((block + tap) * stored + input) * LANES + (out % LANES)] =
            this.weights[from++];
        }
      }
    }
  }

  // latent: Float32Array [z] → the panel's pixels, RGBA.
  paint(latent) {
    this.operations.forEach((operation, i) => {
      const to = this.places[i];
      const from = operation.inputs.map((input) => (input < 0 ? null : this.places[input]));
      this[operation.name](to, from, operation, latent);
    });
    return this.#pixels(this.places[this.places.length - 1]);
  }

  view(place) { return this.floats.subarray(place.start, place.start + place.length); }

  linear(to, [from], { weights: [weight, bias] }, latent) {
    const x = from ? this.view(from) : latent;
    const y = this.view(to);
    for (let row = 0; row < y.length; row++) {
      let sum = this.weights[bias + row];
      const start = weight + row * x.length;
      for (let i = 0; i < x.length; i++) sum += this.weights[start + i] * x[i];
      y[row] = sum;
    }
  }

  // The flat vector holds three panels' maps; this worker wants its own.
  maps(to, [from]) {
    const { channels, height, width, stored, row, first } = to;
    let at = from.start + this.panel * channels * height * width;
    for (let channel = 0; channel < channels; channel++) {
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
          this.floats[first + y * row + x * stored + channel] = this.floats[at++];
        }
      }
    }
  }

  conv(to, [from], { run, packed, bias, taps }) {
    const start = from.first - (taps >> 1) * (from.row + from.stored);
    run(start, packed, bias, to.first);
    // what was written past the end of each row goes back to zero
    for (let y = 0; y < to.height; y++) {
      const end = to.first + y * to.row + to.width * to.stored;
      this.floats.fill(0, end, end + (y + 1 < to.height ? 2 : 6) * to.stored);
    }
  }

  silu(to, [from]) {
    const [x, y] = [this.view(from), this.view(to)];
    for (let i = 0; i < y.length; i++) y[i] = x[i] / (1 + Math.exp(-x[i]));
  }

  add(to, [one, other]) {
    const [a, b, y] = [this.view(one), this.view(other), this.view(to)];
    for (let i = 0; i < y.length; i++) y[i] = a[i] + b[i];
  }

  // Each value 2×2 times, less what the halving rounded up.
  double(to, [from]) {
    for (let y = 0; y < to.height; y++) {
      for (let x = 0; x < to.width; x++) {
        const source = from.first + (y >> 1) * from.row + (x >> 1) * from.stored;
        this.floats.copyWithin(to.first + y * to.row + x * to.stored, source, source + to.stored);
      }
    }
  }

  // [C·r², h, w] → [C, h·r, w·r]
  shuffle(to, [from], { factor }) {
    for (let channel = 0; channel < to.channels; channel++) {
      for (let y = 0; y < to.height; y++) {
        for (let x = 0; x < to.width; x++) {
          const part = (channel * factor + (y % factor)) * factor + (x % factor);
          const [top, left] = [Math.floor(y / factor), Math.floor(x / factor)];
          this.floats[to.first + y * to.row + x * to.stored + channel] =
            this.floats[from.first + top * from.row + left * from.stored + part];
        }
      }
    }
  }

  tanh(to, [from]) {
    const [x, y] = [this.view(from), this.view(to)];
    for (let i = 0; i < y.length; i++) y[i] = x[i] === 0 ? 0 : Math.tanh(x[i]);
  }

  #pixels({ height, width, stored, row, first }) {
    const pixels = new Uint8ClampedArray(4 * height * width).fill(255);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        for (let channel = 0; channel < 3; channel++) {
          const unit = this.floats[first + y * row + x * stored + channel];
          pixels[4 * (y * width + x) + channel] = (unit + 1) * 127.5; // rounds and clamps by itself
        }
      }
    }
    return pixels;
  }
}

if (typeof self !== "undefined") {
  let decoder;
  self.onmessage = ({ data }) => {
    if (data.operations) {
      decoder = new Decoder(data.operations, data.weights, data.panel);
      return;
    }
    const pixels = decoder.paint(data.latent);
    self.postMessage({ pixels, id: data.id }, [pixels.buffer]);
  };
}
