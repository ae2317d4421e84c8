// One line over the foot of the strip: news disappear by themselves, errors stay until dismissed.

const NEWS = 2500; // milliseconds

export class Notice {
  #line; #text; #timer = 0; #kind = "";

  constructor(line) {
    this.#line = line;
    this.#text = line.querySelector("span");
    line.querySelector("button").addEventListener("click", () => this.clear());
  }

  // kind: "news", "bad", or a word of the caller's for what stays until `clear(kind)`.
  say(text, kind = "news") {
    clearTimeout(this.#timer);
    this.#kind = kind;
    this.#text.textContent = text;
    this.#line.className = kind === "bad" || kind === "gone" ? "bad" : "";
    if (kind === "news") this.#timer = setTimeout(() => this.clear(), NEWS);
  }

  // Only what is of this kind, if one is given.
  clear(kind = this.#kind) {
    if (kind === this.#kind) this.#text.textContent = "";
  }
}
