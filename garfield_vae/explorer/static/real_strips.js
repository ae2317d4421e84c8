// Real strips: one of the run's own by date, a picture from this computer, and the nearest one.

const PATIENCE = 250; // milliseconds of rest before the nearest strip is looked for
const byId = (id) => document.getElementById(id);

export class RealStrips {
  #backend; #info; #on; #here = null; #nearestTimer = 0; #copyUrl = "";

  // on: { jump(state), finish(panels), try(promise) → what it gives, or null when that failed }
  constructor(backend, info, on) {
    this.#backend = backend;
    this.#info = info;
    this.#on = on;
    const canEncode = info.can.includes("encode");
    byId("strip-card").hidden = !canEncode && !info.strips;
    byId("find").hidden = !info.strips;
    byId("choose").hidden = !canEncode;
    byId("nearest-card").hidden = !info.strips;
    if (info.strips) this.#listenToNames();
    if (canEncode) this.#listenToFiles();
    this.#listenToCompare();
  }

  #listenToNames() {
    const { first, last, count } = this.#info.strips;
    const name = byId("name");
    name.placeholder = first;
    byId("name-note").textContent = `${count.toLocaleString()} strips, ${first} to ${last}.`;
    const suggest = async () => {
      const names = await this.#on.try(this.#backend.names(name.value.trim()));
      byId("names").replaceChildren(...(names ?? []).map((text) => new Option(text, text)));
    };
    name.addEventListener("input", suggest);
    name.addEventListener("focus", suggest, { once: true });
    byId("find").addEventListener("submit", (event) => {
      event.preventDefault();
      this.go(name.value.trim() || first);
    });
    byId("before").addEventListener("click", () => this.go(this.#here?.before ?? last));
    byId("after").addEventListener("click", () => this.go(this.#here?.after ?? first));
    byId("nearest").addEventListener("click", () => this.go(byId("nearest-name").textContent));
  }

  #listenToFiles() {
    const file = byId("file");
    byId("choose").addEventListener("click", () => file.click());
    file.addEventListener("change", () => {
      if (file.files.length) this.encode(file.files[0]);
      file.value = ""; // so that the same file can be chosen again
    });
    document.addEventListener("paste", (event) => {
      const pasted = [...(event.clipboardData?.files ?? [])];
      const picture = pasted.find(({ type }) => type.startsWith("image/"));
      if (!picture) return;
      event.preventDefault();
      this.encode(picture);
    });
    const dropping = byId("dropping");
    const carriesFile = (event) => event.dataTransfer?.types.includes("Files");
    document.addEventListener("dragover", (event) => {
      if (!carriesFile(event)) return;
      event.preventDefault();
      dropping.hidden = false;
    });
    document.addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) dropping.hidden = true;
    });
    document.addEventListener("drop", (event) => {
      if (!carriesFile(event)) return;
      event.preventDefault();
      dropping.hidden = true;
      if (event.dataTransfer.files.length) this.encode(event.dataTransfer.files[0]);
    });
  }

  #listenToCompare() {
    byId("return").addEventListener("click", () => this.#on.jump(this.#here.state));
    byId("finish").addEventListener("click", () => this.#on.finish(this.#here.empty));
    const peek = byId("peek");
    peek.addEventListener("pointerdown", () => this.peek(true));
    for (const end of ["pointerup", "pointerleave", "pointercancel", "blur"]) {
      peek.addEventListener(end, () => this.peek(false));
    }
    peek.addEventListener("keydown", (event) => {
      if (event.key === " " || event.key === "Enter") this.peek(true);
    });
    peek.addEventListener("keyup", () => this.peek(false));
  }

  // Lays the original over the strip, as long as a key or button is held.
  peek(on) {
    byId("original").hidden = !(on && this.#here);
  }

  async go(name) {
    const found = await this.#on.try(this.#backend.strip(name));
    if (!found) return;
    this.#arrive({ ...found, original: this.#backend.stripPicture(found.name) });
    this.#on.jump(found.state);
  }

  async encode(file) {
    const found = await this.#on.try(this.#backend.encode(file));
    if (!found) return;
    this.#arrive({ ...found, name: file.name || "the pasted picture" });
    this.#on.jump(found.state);
  }

  // After a reload, or when a link is opened: the original beside the strip it shows.
  async #recall(state) {
    const [weight, source] = state.base.length === 1 ? state.base[0] : [0, ""];
    const [, name] = source.match(/^(?:strip:|given:[\w-]+:strip )(.+)$/) ?? [];
    if (weight !== 1 || name === undefined || name === this.#here?.name) return;
    const found = await this.#backend.strip(name).catch(() => null); // another run's strip
    if (found) this.#arrive({ ...found, original: this.#backend.stripPicture(found.name) });
  }

  async #arrive(strip) {
    this.#here = strip;
    byId("name").value = strip.before === undefined ? "" : strip.name;
    byId("compare").hidden = false;
    byId("compare-original").src = byId("original").src = strip.original;
    byId("compare-original").alt = `The original: ${strip.name}`;
    byId("compare-name").textContent = strip.name;
    byId("finish").hidden = !(strip.empty?.length && this.#info.can.includes("complete"));
    const copy = await this.#on.try(this.#backend.png(strip.state));
    if (!copy || this.#here !== strip) return;
    URL.revokeObjectURL(this.#copyUrl);
    byId("compare-copy").src = this.#copyUrl = URL.createObjectURL(copy);
  }

  // The newest strip shown; after a moment's rest its nearest real one is looked for.
  settled(state) {
    if (!this.#info.strips) return;
    this.#recall(state);
    clearTimeout(this.#nearestTimer);
    this.#nearestTimer = setTimeout(async () => {
      const nearest = await this.#on.try(this.#backend.nearest(state));
      if (!nearest) return;
      byId("nearest-picture").src = this.#backend.stripPicture(nearest.name);
      byId("nearest-picture").alt = `The strip ${nearest.name}`;
      byId("nearest-name").textContent = nearest.name;
      byId("nearest-distance").textContent = nearest.distance < 0.02 ? "this very strip"
        : `${nearest.distance.toFixed(2)} away (a strip is about 1 from the average)`;
      byId("nearest").hidden = false;
      byId("nearest-none").hidden = true;
    }, PATIENCE);
  }
}
