// Strips kept in this browser, and files to carry them elsewhere.

import { checked, inWords, same } from "./state.js";

const LONGEST = 60;
const FORMAT = "garfield_vae explorer";
const VERSION = 1;

export function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export class Favourites {
  #list; #template; #info; #on; #key; #kept = [];

  // on: { jump(state), say(text, kind), picture(state) → promise of a data: URL }
  constructor(list, template, info, on) {
    this.#list = list;
    this.#template = template;
    this.#info = info;
    this.#on = on;
    this.#key = `strip explorer ${info.model}`; // a state means nothing to another model
    this.#read();
    // another page of this browser has changed them
    window.addEventListener("storage", (event) => { if (event.key === this.#key) this.#read(); });
  }

  #read() {
    try {
      const kept = JSON.parse(localStorage.getItem(this.#key) ?? "[]");
      this.#kept = kept.flatMap((entry) => this.#valid(entry));
    } catch {
      this.#kept = []; // storage is off, or not ours: there are none
    }
    this.#show();
  }

  #valid(entry) {
    try {
      const picture = String(entry.picture ?? "");
      return [{
        name: String(entry.name ?? "").slice(0, 80),
        state: checked(entry.state, this.#info),
        picture: /^data:image\/(jpeg|png);base64,/.test(picture) ? picture : "",
      }];
    } catch {
      return [];
    }
  }

  #save() {
    this.#show();
    try {
      localStorage.setItem(this.#key, JSON.stringify(this.#kept));
    } catch {
      this.#on.say("This browser keeps no more: save the favourites as JSON.", "bad");
    }
  }

  #show() {
    document.getElementById("favourites-empty").hidden = this.#kept.length > 0;
    this.#list.replaceChildren(...this.#kept.map((entry, index) => {
      const item = this.#template.content.firstElementChild.cloneNode(true);
      const button = item.querySelector(".picture");
      item.querySelector(".drop-it").setAttribute("aria-label", `Remove ${entry.name}`);
      button.querySelector("img").src = entry.picture;
      button.querySelector("span").textContent = button.title = entry.name;
      button.addEventListener("click", () => this.#on.jump(entry.state));
      item.querySelector(".drop-it").addEventListener("click", () => {
        this.#kept.splice(index, 1);
        this.#save();
      });
      return item;
    }));
  }

  keep(state, picture) {
    const rest = this.#kept.filter((entry) => !same(entry.state, state));
    this.#kept = [{ name: inWords(state), state, picture }, ...rest].slice(0, LONGEST);
    this.#save();
  }

  asFile(state) {
    const shelf = this.#kept.map((entry) => ({ name: entry.name, state: entry.state }));
    const content = { format: FORMAT, version: VERSION, model: this.#info.model, state, shelf };
    return new Blob([JSON.stringify(content, null, 1)], { type: "application/json" });
  }

  // Adds a saved file's strips to the favourites and gives the strip it was saved with.
  // Throws an Error that says what is wrong with the file.
  async load(file) {
    if (file.size > 4e6) throw new Error("it is too large");
    let content;
    try {
      content = JSON.parse(await file.text());
    } catch {
      throw new Error("it is no JSON");
    }
    if (content?.format !== FORMAT || content.version !== VERSION) {
      throw new Error("it was not saved by this page");
    }
    if (content.model !== this.#info.model) throw new Error("it was saved with another model");
    const state = checked(content.state, this.#info);
    const entries = (Array.isArray(content.shelf) ? content.shelf : [])
      .flatMap((entry) => this.#valid(entry))
      .filter((entry) => !this.#kept.some((kept) => same(kept.state, entry.state)));
    for (const entry of entries.slice(0, LONGEST)) {
      entry.picture = await this.#on.picture(entry.state);
    }
    this.#kept = [...this.#kept, ...entries].slice(0, LONGEST);
    this.#save();
    return state;
  }
}
