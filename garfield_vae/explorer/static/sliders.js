// The rows of sliders: name, share of variance, the strip at both ends, a walk, a lock.

const STEP = 0.1; // standard deviations that an arrow key moves a slider
const BIG_STEP = 0.5;
const A_DRAG = 6; // pixels that a finger goes sideways before it moves a slider

// Colours a range input's track from `zero` to where its thumb stands.
export function fillTrack(input, zero = Number(input.min)) {
  const share = (value) => `${(100 * (value - input.min)) / (input.max - input.min)}%`;
  input.style.setProperty("--at", share(input.value));
  input.style.setProperty("--zero", share(zero));
}

// A finger that scrolls the page across a slider does not move it: the value of the first touch
// counts only when the finger goes sideways or is lifted. Call this before any other listener is
// added to the input.
export function ignoreSwipes(input) {
  let before = null; // the value when the finger came down, until it goes sideways or is lifted
  let start = 0;
  input.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "touch") return;
    before = input.value;
    start = event.clientX;
  });
  input.addEventListener("pointermove", (event) => {
    if (before === null || Math.abs(event.clientX - start) < A_DRAG) return;
    before = null;
    input.dispatchEvent(new Event("input", { bubbles: true }));
  });
  input.addEventListener("pointercancel", () => { // the browser scrolls
    if (before !== null) input.value = before;
  });
  input.addEventListener("pointerup", () => {
    if (before === null) return;
    before = null;
    input.dispatchEvent(new Event("input", { bubbles: true }));
  });
  for (const kind of ["input", "change"]) {
    input.addEventListener(kind, (event) => {
      if (before === null) return;
      event.stopImmediatePropagation();
      if (kind === "change") before = null;
    });
  }
}

export class Sliders {
  #rows; #limit; #homes = [];

  // on: { turn(index, value), commit(), rename(index, name) → promise of the name, lock(),
  // walk(index) }
  constructor(list, template, info, on) {
    this.on = on;
    this.locks = new Set();
    this.#limit = info.limit;
    this.#rows = info.sliders.map((slider, index) => {
      const row = template.content.firstElementChild.cloneNode(true);
      const find = (selector) => row.querySelector(selector);
      const parts = {
        row, turn: find(".turn"), value: find(".value"), name: find(".knob-name"),
        lock: find(".lock"), low: find(".low"), high: find(".high"), walk: find(".walk"),
      };
      find(".number").textContent = index + 1;
      find(".share").textContent = `${(100 * slider.explained).toFixed(1)} %`;
      parts.name.placeholder = `Component ${index + 1}`;
      parts.name.setAttribute("aria-label", `Name of component ${index + 1}`);
      parts.name.readOnly = !info.can.includes("name");
      parts.turn.min = -info.limit;
      parts.turn.max = info.limit;
      this.#listen(parts, index, info.ends);
      list.append(row);
      return parts;
    });
    this.#rows.forEach((_, index) => this.label(index, info.sliders[index].name));
  }

  label(index, name) {
    const { row, turn, lock, low, high, walk } = this.#rows[index];
    const words = name || `Component ${index + 1}`;
    this.#rows[index].name.value = name;
    row.dataset.index = index;
    const labels = [
      [turn, words], [lock, `Lock ${words}`], [low, `${words}: to its low end`],
      [high, `${words}: to its high end`], [walk, `${words}: play from end to end`],
    ];
    for (const [element, label] of labels) element.setAttribute("aria-label", label);
  }

  // Names for those that have none, shown in grey.
  suggest(names) {
    this.#rows.forEach(({ name }, index) => {
      if (names[index]) name.placeholder = name.title = names[index];
    });
  }

  #listen({ turn, name, lock, low, high, walk }, index, ends) {
    ignoreSwipes(turn);
    turn.addEventListener("input", () => this.on.turn(index, Number(turn.value)));
    turn.addEventListener("change", () => this.on.commit());
    turn.addEventListener("dblclick", () => this.set(index, this.#homes[index]));
    turn.addEventListener("keydown", (event) => this.#key(event, index));
    low.addEventListener("click", () => this.set(index, -ends));
    high.addEventListener("click", () => this.set(index, ends));
    walk.addEventListener("click", () => this.on.walk(index));
    lock.addEventListener("click", () => this.toggleLock(index));
    let before = "";
    name.addEventListener("focus", () => { before = name.value; });
    name.addEventListener("keydown", (event) => {
      if (event.key === "Escape") name.value = before;
      if (event.key === "Enter" || event.key === "Escape") name.blur();
    });
    name.addEventListener("change", async () => {
      if (name.value !== before) this.label(index, await this.on.rename(index, name.value));
    });
  }

  #key(event, index) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { turn } = this.#rows[index];
    const step = event.shiftKey ? BIG_STEP : STEP;
    const turns = { ArrowLeft: -step, ArrowRight: step, PageDown: -1, PageUp: 1 };
    const moves = { ArrowUp: -1, ArrowDown: 1 };
    if (event.key in turns) this.set(index, Math.round((Number(turn.value) + turns[event.key]) * 100) / 100);
    else if (event.key in moves) this.focus(index + moves[event.key]);
    else if (event.key === "Delete" || event.key === "Backspace") this.set(index, this.#homes[index]);
    else if (event.key.toLowerCase() === "l") this.toggleLock(index);
    else if (event.key.toLowerCase() === "w") this.on.walk(index);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  focus(index) {
    this.#rows[Math.min(this.#rows.length - 1, Math.max(0, index))].turn.focus();
  }

  set(index, value) {
    this.on.turn(index, Math.min(this.#limit, Math.max(-this.#limit, value)));
    this.on.commit();
  }

  toggleLock(index) {
    if (!this.locks.delete(index)) this.locks.add(index);
    this.showLocks();
    this.on.lock();
  }

  showLocks() {
    this.#rows.forEach(({ row, lock }, index) => {
      const locked = this.locks.has(index);
      lock.setAttribute("aria-pressed", String(locked));
      row.classList.toggle("locked", locked);
    });
  }

  // values [k]; homes [k]: those of the strip that the sliders started from; shifted [k]: whether a
  // panel was changed alone there.
  show(values, homes, shifted) {
    this.#homes = homes;
    this.#rows.forEach(({ row, turn, value }, index) => {
      const shows = `${values[index]} ${homes[index]} ${shifted[index]}`;
      if (row.dataset.shows === shows) return; // a drag changes one: repaint only that
      row.dataset.shows = shows;
      turn.value = values[index];
      const text = `${values[index] > 0 ? "+" : ""}${values[index].toFixed(2)}`.replace("-", "−");
      value.textContent = text;
      turn.setAttribute("aria-valuetext", `${values[index].toFixed(2)} standard deviations`);
      row.classList.toggle("shifted", shifted[index]);
      fillTrack(turn, homes[index]);
    });
  }

  // side: 0 for the low end, 1 for the high one; the rest as for drawImage.
  drawEnd(index, side, picture, x, y, width, height) {
    const { low, high } = this.#rows[index];
    const canvas = (side ? high : low).firstElementChild;
    canvas.width = 160;
    canvas.height = Math.round((160 * height) / width);
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(picture, x, y, width, height, 0, 0, canvas.width, canvas.height);
  }
}
