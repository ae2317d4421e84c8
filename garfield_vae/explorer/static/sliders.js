// The rows of sliders: a name, the share of variance, two ends to click, a lock.

const STEP = 0.1; // standard deviations an arrow key turns a slider
const BIG_STEP = 0.5;

// Colours a range input's track from `zero` to where its thumb stands.
export function fillTrack(input, zero = Number(input.min)) {
  const share = (value) => `${(100 * (value - input.min)) / (input.max - input.min)}%`;
  input.style.setProperty("--at", share(input.value));
  input.style.setProperty("--zero", share(zero));
}

export class Sliders {
  #rows; #limit;

  // on: { turn(index, value), commit(), rename(index, name) → promise of the name, lock() }
  constructor(list, template, info, on) {
    this.on = on;
    this.locks = new Set();
    this.#limit = info.limit;
    this.#rows = info.sliders.map((slider, index) => {
      const row = template.content.firstElementChild.cloneNode(true);
      const find = (selector) => row.querySelector(selector);
      const parts = {
        row, turn: find(".turn"), value: find(".value"), name: find(".knob-name"),
        lock: find(".lock"), low: find(".low"), high: find(".high"),
      };
      find(".number").textContent = index + 1;
      find(".share").textContent = `${(100 * slider.explained).toFixed(1)} %`;
      find(".share").title = "share of the strips' variance that this component explains";
      parts.name.placeholder = `Component ${index + 1}`;
      parts.name.ariaLabel = `Name of component ${index + 1}`;
      parts.name.readOnly = !info.can.includes("name");
      parts.turn.min = -info.limit;
      parts.turn.max = info.limit;
      this.#listen(parts, index, info.ends);
      list.append(row);
      return parts;
    });
    this.#rows.forEach((_, index) => this.#label(index, info.sliders[index].name));
  }

  #label(index, name) {
    const { row, turn, lock, low, high } = this.#rows[index];
    const words = name || `Component ${index + 1}`;
    this.#rows[index].name.value = name;
    row.dataset.index = index;
    turn.ariaLabel = words;
    lock.ariaLabel = `Lock ${words}`;
    lock.title = "Lock: Random and Reset leave it alone (L)";
    low.ariaLabel = `${words}: to its low end`;
    high.ariaLabel = `${words}: to its high end`;
  }

  #listen({ turn, name, lock, low, high }, index, ends) {
    turn.addEventListener("input", () => this.on.turn(index, Number(turn.value)));
    turn.addEventListener("change", () => this.on.commit());
    turn.addEventListener("dblclick", () => this.set(index, 0));
    turn.addEventListener("keydown", (event) => this.#key(event, index));
    low.addEventListener("click", () => this.set(index, -ends));
    high.addEventListener("click", () => this.set(index, ends));
    lock.addEventListener("click", () => this.toggleLock(index));
    name.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === "Escape") name.blur();
    });
    name.addEventListener("change", async () => {
      this.#label(index, await this.on.rename(index, name.value));
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
    else if (event.key === "Delete" || event.key === "Backspace") this.set(index, 0);
    else if (event.key.toLowerCase() === "l") this.toggleLock(index);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  focus(index) {
    const row = this.#rows[Math.min(this.#rows.length - 1, Math.max(0, index))];
    row.turn.focus();
    row.row.scrollIntoView({ block: "nearest" });
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
      lock.ariaPressed = String(locked);
      row.classList.toggle("locked", locked);
    });
  }

  // values [k]; shifted [k]: whether one panel stands apart from the others there.
  show(values, shifted) {
    this.#rows.forEach(({ row, turn, value }, index) => {
      const shows = `${values[index]} ${shifted[index]}`;
      if (row.dataset.shows === shows) return; // a drag moves one: the browser paints one anew
      row.dataset.shows = shows;
      turn.value = values[index];
      const text = `${values[index] > 0 ? "+" : ""}${values[index].toFixed(2)}`.replace("-", "−");
      value.textContent = text;
      turn.setAttribute("aria-valuetext", `${values[index].toFixed(2)} standard deviations`);
      row.classList.toggle("shifted", shifted[index]);
      fillTrack(turn, 0);
    });
  }

  // bitmap: a row a slider, the low end left and the high end right.
  showEnds(bitmap) {
    const width = bitmap.width / 2;
    const height = bitmap.height / this.#rows.length;
    this.#rows.forEach(({ low, high }, index) => {
      [low, high].forEach((button, side) => {
        const canvas = button.firstElementChild;
        canvas.width = width;
        canvas.height = height;
        canvas.getContext("2d")
          .drawImage(bitmap, side * width, index * height, width, height, 0, 0, width, height);
      });
    });
  }
}
