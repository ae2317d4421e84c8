// What each button and key of the page does.

import { download } from "./shelf.js";

const SEEDS = 1e6;
const byId = (id) => document.getElementById(id);

// Whether a key means something to the element that has the focus.
function ownsKey(element, key) {
  if (element.matches("input:not([type=range], [type=radio], [type=checkbox])")) return true;
  if (element.matches("button, [type=checkbox]")) return key === " ";
  return element.matches("[type=range], [type=radio]") && key.startsWith("Arrow");
}

export function listen(page) {
  const click = (id, action) => byId(id).addEventListener("click", action);
  const dice = () => Math.floor(Math.random() * SEEDS);
  const actions = {
    r: () => page.random(dice()),
    0: () => page.reset(),
    z: () => page.undo(-1),
    Z: () => page.undo(1),
    y: () => page.undo(1),
    a: () => page.pin("a"),
    b: () => page.pin("b"),
    " ": () => page.between.toggle(),
    f: () => page.keep(),
    s: () => page.savePng(1),
    S: () => page.savePng(2),
    c: () => page.copyLink(),
    p: () => page.choosePanel(
      page.panel === null ? 0 : page.panel + 1 < page.info.panels ? page.panel + 1 : null),
    o: () => page.strips.peek(true),
    "?": () => byId("help").showModal(),
    ArrowDown: () => page.sliders.focus(0),
    ArrowUp: () => page.sliders.focus(Infinity),
  };
  const buttons = {
    random: "r", reset: "0", undo: "z", redo: "Z", keep: "f", link: "c", png: "s", png2: "S",
    "pin-a": "a", "pin-b": "b", "help-button": "?",
  };
  for (const [id, key] of Object.entries(buttons)) click(id, actions[key]);
  click("draw", () => page.random(Math.floor(Number(byId("seed").value)) || 0));
  click("save-json", () => download(page.shelf.asFile(page.state), "strips.json"));
  click("load-json", () => byId("json-file").click());
  byId("json-file").addEventListener("change", ({ target }) => {
    if (target.files.length) page.loadJson(target.files[0]);
    target.value = "";
  });
  byId("panels").addEventListener("change", ({ target }) => {
    page.choosePanel(target.value === "all" ? null : Number(target.value));
  });
  byId("temperature").addEventListener("input", () => page.showTemperature());
  for (const id of ["temperature", "seed", "first"]) {
    byId(id).addEventListener("change", () => page.writeLink());
  }
  window.addEventListener("popstate", () => page.readLink());
  document.addEventListener("keydown", (event) => {
    const undo = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z";
    if (ownsKey(event.target, event.key) || byId("help").open || event.altKey) return;
    if ((event.ctrlKey || event.metaKey) && !undo) return;
    const action = actions[event.key] ?? actions[event.key.toLowerCase()];
    if (!action || (event.repeat && !undo)) return;
    event.preventDefault();
    action();
  });
  document.addEventListener("keyup", (event) => { if (event.key === "o") page.strips.peek(false); });
  window.addEventListener("blur", () => page.strips.peek(false));
}
