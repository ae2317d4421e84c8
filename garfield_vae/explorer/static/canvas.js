// The strip's canvas. One picture is under way at a time, and when it has come the newest state is
// next: those between are never asked for, so a drag does not queue up behind itself.

const REST = 120; // milliseconds after which a drag has stopped
export const RETRY = 1500; // milliseconds until a server that is gone is asked again

// A picture from a Blob or an address, ready to be drawn.
export async function loaded(source) {
  const picture = new Image();
  const address = source instanceof Blob ? URL.createObjectURL(source) : source;
  try {
    picture.src = address;
    await picture.decode();
  } finally {
    if (source instanceof Blob) URL.revokeObjectURL(address);
  }
  return picture;
}

// Draws a strip's picture on a small canvas.
export function drawSmall(canvas, picture, width = 320) {
  canvas.width = width;
  canvas.height = Math.round((width * picture.height) / picture.width);
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
}

export class StripCanvas {
  #canvas; #figure; #backend; #wanted = null; #working = false; #awaited = 0; #wake = null;

  // failed(error, state) is called for an error, settled(state) when the newest state is painted.
  constructor(canvas, backend, { failed, settled }) {
    this.#canvas = canvas;
    this.#figure = canvas.closest("figure");
    this.#backend = backend;
    this.failed = failed;
    this.settled = settled;
  }

  show(state) {
    this.#wanted = state;
    this.#wake?.();
    this.#busy(true);
    if (!this.#working) this.#work();
  }

  // What a promise gives, from which the next state is made: the strip is busy until then, too.
  async awaits(promise) {
    this.#awaited += 1;
    this.#busy(true);
    try {
      return await promise;
    } finally {
      this.#awaited -= 1;
      this.#busy(this.#working);
    }
  }

  #busy(busy) {
    this.#figure.setAttribute("aria-busy", String(busy || this.#awaited > 0));
  }

  async #work() {
    this.#working = true;
    while (this.#wanted) {
      const state = this.#wanted;
      this.#wanted = null;
      const quick = state.held.length > 0;
      try {
        this.#draw(await this.#backend.live(state, quick));
        if (quick && !this.#wanted) await this.#rest();
        if (this.#wanted) continue;
        if (quick) this.#draw(await this.#backend.live(state, false));
        if (this.#wanted) continue;
        this.#busy(false);
        this.settled(state);
      } catch (error) {
        if (error.superseded || (this.#wanted && !error.gone)) continue;
        this.failed(error, state);
        if (!error.gone) continue;
        await new Promise((resolve) => { setTimeout(resolve, RETRY); });
        this.#wanted ??= state;
      }
    }
    this.#busy(false);
    this.#working = false;
  }

  // Until no newer state has been wanted for a moment.
  #rest() {
    return new Promise((resolve) => {
      this.#wake = resolve;
      setTimeout(resolve, REST);
    });
  }

  #draw(picture) {
    // setting a canvas's size clears it, so only when it changes
    if (this.#canvas.width !== picture.width) this.#canvas.width = picture.width;
    if (this.#canvas.height !== picture.height) this.#canvas.height = picture.height;
    this.#canvas.getContext("2d").drawImage(picture, 0, 0);
    picture.close?.();
  }

  // A small copy of what is on the canvas, for a pin or a favourite.
  copyTo(canvas) { drawSmall(canvas, this.#canvas); }
}
