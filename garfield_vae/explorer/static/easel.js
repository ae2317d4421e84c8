// The canvas. One picture is under way at a time, and when it has come the newest state is next:
// those between are never asked for, so a drag does not queue up behind itself.

const RETRY = 1500; // milliseconds until a server that is gone is asked again

export class Easel {
  #canvas; #figure; #backend; #wanted = null; #working = false;

  // failed(error) is told of what went wrong, settled(state) when the newest state is painted.
  constructor(canvas, backend, { failed, settled }) {
    this.#canvas = canvas;
    this.#figure = canvas.closest("figure");
    this.#backend = backend;
    this.failed = failed;
    this.settled = settled;
  }

  show(state) {
    this.#wanted = state;
    this.#figure.ariaBusy = "true";
    if (!this.#working) this.#work();
  }

  async #work() {
    this.#working = true;
    while (this.#wanted) {
      const state = this.#wanted;
      this.#wanted = null;
      try {
        this.#draw(await this.#backend.live(state));
        if (this.#wanted) continue;
        this.#figure.ariaBusy = "false";
        this.settled(state);
      } catch (error) {
        if (error.superseded) continue;
        this.failed(error);
        if (!error.gone) continue;
        await new Promise((resolve) => { setTimeout(resolve, RETRY); });
        this.#wanted ??= state;
      }
    }
    this.#working = false;
  }

  #draw(bitmap) {
    // setting a canvas's size clears it, so only when it changes
    if (this.#canvas.width !== bitmap.width) this.#canvas.width = bitmap.width;
    if (this.#canvas.height !== bitmap.height) this.#canvas.height = bitmap.height;
    this.#canvas.getContext("2d").drawImage(bitmap, 0, 0);
    bitmap.close();
  }

  // A small copy of what is on the canvas, for a pin.
  copyTo(canvas) {
    const { width, height } = this.#canvas;
    canvas.width = 320;
    canvas.height = Math.round((320 * height) / width);
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(this.#canvas, 0, 0, canvas.width, canvas.height);
  }
}
