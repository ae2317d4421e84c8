// A state of the page, as in states.py: knobs [k] in standard deviations, panels [3][k] added in one
// panel only, the base, [[weight, source], …]: what the sliders do not show, and held, the sliders
// that stay while the prior adapts the rest of the strip. No function here touches the page or
// changes a state in place.

const VERSION = "1";
const DIGITS = 3;
const MAX_SOURCES = 8;

export const round = (value, digits = DIGITS) => Number(value.toFixed(digits));
export const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

// A list with one item replaced (Array.prototype.with, for browsers before 2023).
export const replaced = (list, index, value) => list.map((old, i) => (i === index ? value : old));

export function mean(info) {
  const zeros = () => info.sliders.map(() => 0);
  return { knobs: zeros(), panels: Array.from({ length: info.panels }, zeros), base: [], held: [] };
}

// What a panel's sliders show: `panel` is a number, or null for the whole strip.
export function shown(state, panel, limit) {
  if (panel === null) return state.knobs;
  return state.knobs.map((knob, i) => clamp(knob + state.panels[panel][i], -limit, limit));
}

export function turned(state, panel, index, value, limit) {
  if (panel === null) return { ...state, knobs: replaced(state.knobs, index, round(value)) };
  const shift = round(clamp(value, -limit, limit) - state.knobs[index]);
  return { ...state, panels: replaced(state.panels, panel, replaced(state.panels[panel], index, shift)) };
}

const inOrder = (sliders) => [...new Set(sliders)].sort((a, b) => a - b);

// The state with those sliders held that are not where `origin` has them, and those held there.
export function holding(state, origin) {
  const turned = state.knobs.flatMap((knob, i) => (knob !== origin.knobs[i]
    || state.panels.some((row, panel) => row[i] !== origin.panels[panel][i]) ? [i] : []));
  return { ...state, held: inOrder([...origin.held, ...turned]) };
}

export function between(a, b, t) {
  const mix = (x, y) => x.map((value, i) => round((1 - t) * value + t * y[i], 6));
  const base = new Map();
  for (const [share, state] of [[1 - t, a], [t, b]]) {
    for (const [weight, source] of state.base) {
      base.set(source, (base.get(source) ?? 0) + share * weight);
    }
  }
  return {
    knobs: mix(a.knobs, b.knobs),
    panels: a.panels.map((row, panel) => mix(row, b.panels[panel])),
    // the least of too many sources are too faint to see
    base: [...base].map(([source, weight]) => [round(weight, 6), source])
      .filter(([weight]) => weight !== 0)
      .sort((x, y) => Math.abs(y[0]) - Math.abs(x[0])).slice(0, MAX_SOURCES),
    held: inOrder([...a.held, ...b.held]),
  };
}

// The state a share t of the way along states that are evenly spaced.
export function along(path, t) {
  const place = round(t * (path.length - 1), 6);
  const first = Math.floor(place);
  return place === first ? path[first] : between(path[first], path[first + 1], place - first);
}

// The server's states have their parts in another order than the page's.
const written = (value) => JSON.stringify(value, ["knobs", "panels", "base", "held"]);
export const same = (a, b) => written(a) === written(b);

const SOURCE = /^(strip:.+|seed:\d{1,9}:([0-2](\.\d{1,6})?|3)|given:[\w-]+(:.{0,80})?)$/su;

// Checks what came from a link, a file or this browser's storage: numbers out of range are clamped,
// anything else that is wrong throws an Error that says why. The same as Positions.parse in
// states.py.
export function checked(value, info) {
  const numbers = (list, limit) => {
    if (!Array.isArray(list) || list.length !== info.sliders.length) {
      throw new Error("it has another number of sliders");
    }
    if (!list.every(Number.isFinite)) throw new Error("it has something that is no number");
    return list.map((number) => round(clamp(number, -limit, limit), 6));
  };
  const { knobs, panels, base = [], held = [] } = value ?? {};
  const shifts = panels ?? mean(info).panels;
  const isPair = (pair) => Array.isArray(pair) && pair.length === 2 && Number.isFinite(pair[0])
    && typeof pair[1] === "string" && SOURCE.test(pair[1]);
  const isSlider = (i) => Number.isInteger(i) && i in info.sliders;
  if (!(Array.isArray(shifts) && shifts.length === info.panels
      && Array.isArray(base) && base.length <= MAX_SOURCES && base.every(isPair)
      && Array.isArray(held) && held.every(isSlider))) throw new Error("it is no strip's state");
  return {
    knobs: numbers(knobs, info.limit),
    panels: shifts.map((list) => numbers(list, 2 * info.limit)),
    base: base.map(([weight, source]) => [clamp(weight, -info.limit, info.limit), source]),
    held: inOrder(held),
  };
}

// --- links: #v=1&k=0.5,,-1.2&p=1:3:0.8&from=1*strip:1985-03-12&hold=0,2 --------------------------

function pack(state) {
  const number = (value) => (value === 0 ? "" : String(round(value, 6)));
  const shifts = state.panels.flatMap((row, panel) =>
    row.flatMap((shift, i) => (shift === 0 ? [] : [`${panel}:${i}:${number(shift)}`])));
  return {
    k: state.knobs.map(number).join(",").replace(/,+$/, ""),
    p: shifts.join(","),
    from: state.base.map(([weight, source]) =>
      `${number(weight)}*${source.replace(/[%|]/g, encodeURIComponent)}`).join("|"),
    hold: state.held.join(","),
  };
}

function unpack({ k, p, from, hold }, info) {
  const state = mean(info);
  (k ?? "").split(",").forEach((text, i) => { if (text) state.knobs[i] = Number(text); });
  for (const shift of (p ?? "").split(",").filter(Boolean)) {
    const [panel, i, value] = shift.split(":").map(Number);
    if (!(i in (state.panels[panel] ?? []))) throw new Error("it has another number of sliders");
    state.panels[panel][i] = value;
  }
  state.base = (from ?? "").split("|").filter(Boolean).map((entry) => {
    const star = entry.indexOf("*");
    return [Number(entry.slice(0, star)), decodeURIComponent(entry.slice(star + 1))];
  });
  state.held = (hold ?? "").split(",").filter(Boolean).map(Number);
  return checked(state, info);
}

// A fragment keeps almost every letter as it is; only what would end or split it is escaped.
const escaped = (text) => text.replace(/[%&#=\s"<>`]|[^ -~]/gu, encodeURIComponent);
const join = (fields) => Object.entries(fields)
  .filter(([, text]) => text !== "" && text !== undefined && text !== null)
  .map(([name, text]) => `${name}=${escaped(String(text))}`).join("&");
const split = (text) => Object.fromEntries(text.split("&").filter(Boolean).map((field) => {
  const equals = field.indexOf("=");
  return [field.slice(0, equals), decodeURIComponent(field.slice(equals + 1))];
}));

// extras: { home: knobs of the strip that the sliders started from, a, b: states or null, locks: [index],
// seed, temperature, first }
export function toHash(state, info, extras = {}) {
  return "#" + join({
    v: VERSION,
    m: info.model,
    ...pack(state),
    home: extras.home && !same(extras.home, state.knobs)
      ? pack({ ...state, knobs: extras.home }).k || "0" : "",
    a: extras.a ? join(pack(extras.a)) : "",
    b: extras.b ? join(pack(extras.b)) : "",
    lock: (extras.locks ?? []).join(","),
    seed: extras.seed,
    temp: extras.temperature,
    first: extras.first,
  });
}

// Gives { state, home: a state, sameModel, a, b, locks, seed, temperature, first }; null for an empty hash.
// Throws an Error that says what is wrong with the link.
export function fromHash(hash, info) {
  if (hash.length < 2) return null;
  const fields = split(hash.slice(1));
  if (fields.v !== VERSION) throw new Error("it is of another version");
  const whole = (text) => (/^\d{1,9}$/.test(text ?? "") ? Number(text) : undefined);
  const state = unpack(fields, info);
  return {
    state,
    home: fields.home ? unpack({ k: fields.home, from: fields.from }, info) : state,
    sameModel: (fields.m ?? info.model) === info.model,
    a: fields.a ? unpack(split(fields.a), info) : null,
    b: fields.b ? unpack(split(fields.b), info) : null,
    locks: (fields.lock ?? "").split(",").map(whole).filter((i) => i < info.sliders.length),
    seed: whole(fields.seed),
    temperature: Number.isFinite(Number(fields.temp)) ? Number(fields.temp || NaN) : NaN,
    first: whole(fields.first),
  };
}

// --- words ---------------------------------------------------------------------------------------

export function sourceInWords(source) {
  const [kind, ...rest] = source.split(":");
  if (kind === "strip") return `strip ${rest.join(":")}`;
  if (kind === "seed") return `sample ${rest[0]}${rest[1] === "1" ? "" : `, temperature ${rest[1]}`}`;
  return rest.slice(1).join(":") || "your own strip";
}

export function inWords(state) {
  const shares = new Map();
  for (const [weight, source] of state.base) {
    const words = sourceInWords(source);
    shares.set(words, round((shares.get(words) ?? 0) + weight, 6));
  }
  const [[words, share] = []] = shares;
  if (shares.size === 1 && share === 1) return words;
  if (shares.size) {
    return [...shares].map(([words, share]) => `${Math.round(100 * share)} % ${words}`).join(" + ");
  }
  return state.knobs.some(Boolean) || state.panels.flat().some(Boolean)
    ? "the average strip, changed" : "the average strip";
}
