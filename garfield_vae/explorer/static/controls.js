// What each button and key of the page does.

import { download } from "./favourites.js";
import { copyLink, loadJson, savePng } from "./saving.js";
import { ignoreSwipes } from "./sliders.js";

const byId = (id) => document.getElementById(id);

// Whether a key means something to the element that has the focus.
function ownsKey(element, key) {
  if (element.matches("input:not([type=range], [type=radio], [type=checkbox])")) return true;
  if (element.matches("button, [type=checkbox]")) return key === " ";
  return element.matches("[type=range], [type=radio]") && key.startsWith("Arrow");
}

// A letter as its key says, whatever CapsLock does: capitals are those with Shift.
function keyOf({ key, shiftKey }) {
  if (!/^\p{L}$/u.test(key)) return key;
  return shiftKey ? key.toUpperCase() : key.toLowerCase();
}

export function listen(page) {
  const click = (id, action) => byId(id).addEventListener("click", action);
  const actions = {
    r: () => page.random(page.dice()),
    0: () => page.reset(),
    m: () => page.average(),
    z: () => page.undo(-1),
    Z: () => page.undo(1),
    y: () => page.undo(1),
    a: () => page.pin("a"),
    b: () => page.pin("b"),
    " ": () => page.walk.toggle(),
    f: () => page.keep(),
    s: () => savePng(page, 1),
    S: () => savePng(page, 2),
    c: () => copyLink(page),
    e: () => page.refine(),
    p: () => page.choosePanel(
      page.panel === null ? 0 : page.panel + 1 < page.info.panels ? page.panel + 1 : null),
    o: () => page.strips.peek(true),
    "?": () => byId("help").showModal(),
    ArrowDown: () => page.sliders.focus(0),
    ArrowUp: () => page.sliders.focus(Infinity),
  };
  const buttons = {
    random: "r", reset: "0", average: "m", undo: "z", redo: "Z", keep: "f", link: "c", png: "s",
    png2: "S", "pin-a": "a", "pin-b": "b", refine: "e", "help-button": "?",
  };
  for (const [id, key] of Object.entries(buttons)) click(id, actions[key]);
  for (const button of document.querySelectorAll("[data-redraw]")) {
    button.addEventListener("click", () => page.complete([Number(button.dataset.redraw)]));
  }
  const drawSeed = () => page.random(Math.floor(Number(byId("seed").value)) || 0);
  click("draw", drawSeed);
  for (const id of ["seed", "first", "temperature"]) {
    byId(id).addEventListener("keydown", ({ key }) => { if (key === "Enter") drawSeed(); });
    byId(id).addEventListener("change", () => page.writeLink());
  }
  click("save-json", () => download(page.favourites.asFile(page.state), "strips.json"));
  click("load-json", () => byId("json-file").click());
  byId("json-file").addEventListener("change", ({ target }) => {
    if (target.files.length) loadJson(page, target.files[0]);
    target.value = "";
  });
  byId("follow").addEventListener("change", () => page.follow());
  byId("panels").addEventListener("change", ({ target }) => {
    page.choosePanel(target.value === "all" ? null : Number(target.value));
  });
  ignoreSwipes(byId("temperature"));
  byId("temperature").addEventListener("input", () => page.showTemperature());
  window.addEventListener("popstate", () => page.readLink());
  document.addEventListener("keydown", (event) => {
    const command = event.ctrlKey || event.metaKey;
    const key = keyOf(event);
    const undoes = command && ["z", "Z", "y"].includes(key);
    if (ownsKey(event.target, event.key) || byId("help").open || event.altKey) return;
    if (command && !undoes) return;
    const action = actions[key];
    if (!action || (event.repeat && !undoes)) return;
    event.preventDefault();
    action();
  });
  document.addEventListener("keyup", (event) => {
    if (keyOf(event).toLowerCase() === "o") page.strips.peek(false);
  });
  window.addEventListener("blur", () => page.strips.peek(false));
  keepFocusInSight();
}

// The strip stays at the top while the page scrolls: what gets the focus must not lie under it.
function keepFocusInSight() {
  const stage = document.querySelector(".stage");
  document.addEventListener("focusin", ({ target }) => {
    if (stage.contains(target) || !target.matches(":focus-visible")) return;
    const lies = (target.closest(".knob") ?? target).getBoundingClientRect();
    const strip = stage.getBoundingClientRect();
    if (lies.top >= 0 && lies.bottom <= strip.top) return; // above it, at the page's head
    const under = Math.min(lies.right, strip.right) > Math.max(lies.left, strip.left)
      ? Math.max(0, strip.bottom) : 0;
    const below = lies.bottom - window.innerHeight;
    if (lies.top < under) window.scrollBy(0, lies.top - under - 4);
    else if (below > 0) window.scrollBy(0, Math.min(below + 4, lies.top - under - 4));
  });
}
