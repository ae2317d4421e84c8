// The page's pure modules, without a browser: node --test tests/explorer/state.test.mjs
// test_explorer_javascript.py runs it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

const here = new URL("./", import.meta.url);
const explorer = new URL("../../garfield_vae/explorer/", here);

// The modules are .js files that browsers take for modules by how they are loaded.
async function load(path, replaced = {}) {
  let code = readFileSync(new URL(path, explorer), "utf-8");
  for (const [from, to] of Object.entries(replaced)) code = code.replace(from, to);
  return import(`data:text/javascript;base64,${Buffer.from(code).toString("base64")}`);
}

const State = await load("static/state.js");
const { Notice } = await load("static/notice.js");
const convolution = readFileSync(new URL("offline/convolution.js", explorer), "utf-8");
const { compile, convolve } = await load("offline/convolution.js");
const { Decoder } = await load("offline/decoder.js", {
  'import { LANES, compile, convolve } from "./convolution.js";':
    convolution.replace(/^export /gm, ""),
});
const cases = JSON.parse(readFileSync(new URL("state_cases.json", here), "utf-8"));
const info = { sliders: [{}, {}, {}], panels: 3, limit: 4, model: "0123456789ab" };

test("a state is parsed as the shared cases say", () => {
  for (const { value, state } of cases.parse) {
    if (state) assert.deepEqual(State.checked(value, info), state);
    else assert.throws(() => State.checked(value, info), Error, JSON.stringify(value));
  }
});

test("a state between two others is what the shared cases say", () => {
  for (const { a, b, t, state } of cases.between) assert.deepEqual(State.between(a, b, t), state);
});

test("a way along states stops at each of them, and is straight between neighbours", () => {
  const knobs = [0, 1, 5].map((first) => ({ ...State.mean(info), knobs: [first, 0, 0] }));
  for (const [i, t] of [0, 0.5, 1].entries()) assert.equal(State.along(knobs, t), knobs[i]);
  assert.deepEqual(State.along(knobs, 0.75), State.between(knobs[1], knobs[2], 0.5));
  const many = Array.from({ length: 21 }, (_, i) => i);
  for (const i of many) assert.equal(State.along(many, 0.05 * i), i); // 0.05 * 3 is not 0.15
});

test("two states are the same by what they hold, in whatever order it is written", () => {
  const state = State.mean(info);
  const { knobs, panels, base, held } = state;
  assert.ok(State.same(state, { base, held, knobs, panels }));
  for (const other of [{ held: [1] }, { base: [[1, "seed:7:1"]] }, { knobs: [0, 0, 1] }, { panels: [] }]) {
    assert.ok(!State.same(state, { ...state, ...other }));
  }
  assert.ok(!State.same(state, null));
});

test("sources of the same words are named once", () => {
  const [one, other] = ["given:AAAA:between strip 1 and sample 2", "given:BBBB:between strip 1 and sample 2"];
  const words = (...base) => State.inWords({ ...State.mean(info), base });
  assert.equal(words([0.3, one], [0.7, other]), "between strip 1 and sample 2");
  assert.equal(words([0.3, one], [0.2, other], [0.5, "seed:7:1"]), "50 % between strip 1 and sample 2 + 50 % sample 7");
  assert.equal(words([0.5, one]), "50 % between strip 1 and sample 2");
  assert.equal(words(), "the average strip");
});

test("news pass, and what is under way is said until it ends", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const text = {};
  const button = { addEventListener: (_, dismiss) => { button.click = dismiss; } };
  const notice = new Notice({ querySelector: (name) => (name === "span" ? text : button) });
  const says = (expected) => assert.equal(text.textContent, expected);
  notice.say("Painting, 10 %", "gif");
  notice.say("Waiting", "late"); // says less
  says("Painting, 10 %");
  notice.say("Kept.");
  notice.say("Painting, 20 %", "gif");
  says("Kept.");
  t.mock.timers.tick(5000);
  says("Painting, 20 %");
  notice.say("Drawing", "drawing");
  says("Drawing");
  notice.clear("drawing");
  says("Painting, 20 %");
  notice.say("It cannot be read.", "bad");
  notice.say("Painting, 30 %", "gif");
  t.mock.timers.tick(5000);
  says("It cannot be read."); // until it is dismissed …
  button.click();
  says("Painting, 30 %");
  notice.clear("gif");
  says("Waiting");
  notice.clear("late");
  says("");
  notice.say("It cannot be read.", "bad");
  notice.say("Drawing", "drawing"); // … or something new is said
  notice.clear("drawing");
  says("");
});

test("a link holds a whole state, whatever letters its strips' names have", () => {
  const state = {
    knobs: [0.5, 0, -1.25],
    panels: [[0, 0, 0], [0, 2.5, 0], [0, 0, 0]],
    base: [[0.75, "strip:a|b & c=d #1 100 % “ü”*2"], [0.25, "given:AAAAAAAA:strip 1985-03-12"]],
    held: [0, 2],
  };
  const other = State.mean(info);
  const hash = State.toHash(state, info, {
    home: [1, 2, 3], a: state, b: other, locks: [0, 2], seed: "7", temperature: "0.85", first: "2",
  });
  assert.doesNotMatch(hash, /[\s"<>]/);
  assert.deepEqual(State.fromHash(hash, info), {
    state, home: { ...other, knobs: [1, 2, 3], base: state.base }, sameModel: true, a: state,
    b: null, locks: [0, 2], seed: 7, temperature: 0.85, first: 2,
  });
});

test("a link is refused with an error when it is damaged", () => {
  for (const hash of ["#v=1&k=1,2,x", "#v=9&k=1", "#v=1&p=9:9:1", "#v=1&from=nonsense", "#%", "#v=1&k=1,2,3,4,5"]) {
    assert.throws(() => State.fromHash(hash, info), Error, hash);
  }
  assert.equal(State.fromHash("#", info), null);
  assert.equal(State.fromHash("#v=1&m=another", info).sameModel, false);
});

test("held are the sliders that were moved, and those that the first strip holds", () => {
  const origin = { ...State.mean(info), knobs: [1, 1, 1], held: [2] };
  assert.deepEqual(State.holding(origin, origin).held, [2]);
  const turned = State.turned(origin, null, 0, 2, 4);
  assert.deepEqual(State.holding(turned, origin).held, [0, 2]);
  assert.deepEqual(State.holding(State.turned(turned, null, 0, 1, 4), origin).held, [2]);
  assert.deepEqual(State.holding(State.turned(origin, 1, 1, 0, 4), origin).held, [1, 2]);
});

test("turning a slider leaves the state it began with as it was", () => {
  const state = State.mean(info);
  const before = JSON.stringify(state);
  assert.deepEqual(State.turned(state, null, 1, 2, 4).knobs, [0, 2, 0]);
  const alone = State.turned({ ...state, knobs: [1, 1, 1] }, 2, 0, 99, 4);
  assert.deepEqual(alone.panels[2], [3, 0, 0]); // shown at the limit, 4
  assert.deepEqual(State.shown(alone, 2, 4), [4, 1, 1]);
  assert.equal(JSON.stringify(state), before);
});

// [outputs, height, width] by the definition, over maps [inputs][height][width]
function byDefinition(x, weight, bias, { inputs, outputs, height, width, taps }) {
  const edge = taps >> 1;
  const y = [];
  for (let o = 0; o < outputs; o++) {
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        let sum = bias[o];
        for (let i = 0; i < inputs; i++) {
          for (let dy = 0; dy < taps; dy++) {
            for (let dx = 0; dx < taps; dx++) {
              const [r, c] = [row + dy - edge, column + dx - edge];
              if (r < 0 || c < 0 || r >= height || c >= width) continue;
              sum += x[(i * height + r) * width + c]
                * weight[((o * inputs + i) * taps + dy) * taps + dx];
            }
          }
        }
        y.push(sum);
      }
    }
  }
  return y;
}

for (const vectors of [true, false]) {
  for (const taps of [1, 3]) {
    test(`a convolution of ${taps}×${taps} is exact, ${vectors ? "as WebAssembly" : "in plain JavaScript"}`, () => {
      const shape = { inputs: 5, outputs: 11, height: 3, width: 6, taps };
      const random = (count) => Array.from({ length: count }, (_, i) => Math.sin(12.9 * i + taps));
      const { inputs, outputs, height, width } = shape;
      const dense = random(3 * inputs * height * width).map(Math.cos);
      const [weight, bias] = [random(outputs * inputs * taps * taps), random(outputs)];
      // a dense layer that gives the maps themselves: latent of one 1, weights the values
      const weights = Float32Array.from([...dense, ...dense.map(() => 0), ...weight, ...bias]);
      const at = 2 * dense.length;
      const panel = 1;
      const decoder = new Decoder([
        { name: "linear", inputs: [-1], shape: [dense.length], weights: [0, dense.length] },
        { name: "maps", inputs: [0], shape: [inputs, height, width] },
        { name: "conv", inputs: [1], shape: [outputs, height, width], taps, weights: [at, at + weight.length] },
      ], weights, panel, vectors);
      decoder.paint(Float32Array.of(1));
      const size = inputs * height * width;
      const expected = byDefinition(dense.slice(panel * size, (panel + 1) * size), weight, bias, shape);
      const to = decoder.places[2];
      expected.forEach((value, i) => {
        const [o, row, column] = [Math.floor(i / (height * width)), Math.floor(i / width) % height, i % width];
        const found = decoder.floats[to.first + row * to.row + column * to.stored + o];
        assert.ok(Math.abs(found - value) < 1e-4, `${found} for ${value}`);
      });
      assert.equal(typeof compile, "function");
      assert.equal(typeof convolve, "function");
    });
  }
}
