// One line over the foot of the strip. News disappear by themselves, errors when they are dismissed
// or something new is said; what is under way is said until it ends, and again after news.

const NEWS = 2500; // milliseconds

export class Notice {
  #line; #text; #timer = 0;
  #passing = null; // news or an error: [kind, text]
  #lasting = new Map(); // kind → text, the newest last

  constructor(line) {
    this.#line = line;
    this.#text = line.querySelector("span");
    line.querySelector("button").addEventListener("click", () => this.clear(this.#shown()[0]));
  }

  // kind: "news", "bad", or a word of the caller's for what stays until `clear(kind)`.
  say(text, kind = "news") {
    const passes = kind === "news" || kind === "bad";
    if (passes || !(kind === "late" || this.#lasting.has(kind))) {
      clearTimeout(this.#timer);
      this.#passing = passes ? [kind, text] : null;
    }
    if (!passes) this.#lasting.set(kind, text);
    if (kind === "news") this.#timer = setTimeout(() => this.clear(kind), NEWS);
    this.#show();
  }

  clear(kind) {
    if (this.#passing?.[0] === kind) this.#passing = null;
    this.#lasting.delete(kind);
    this.#show();
  }

  // That an answer is late says less than what is waited for.
  #shown() {
    const lasting = [...this.#lasting];
    const known = lasting.filter(([kind]) => kind !== "late");
    return this.#passing ?? known.pop() ?? lasting.pop() ?? ["", ""];
  }

  #show() {
    const [kind, text] = this.#shown();
    this.#text.textContent = text;
    this.#line.className = kind === "bad" || kind === "gone" ? "bad" : "";
  }
}
