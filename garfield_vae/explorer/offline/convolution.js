// Convolutions as WebAssembly, for the page that runs without a server. There is no compiler: the few
// instructions are written out here as bytes (https://webassembly.github.io/spec/core/binary/).
//
// Maps lie in memory as [y][x][channel], with a border of one pixel of zeros, so that the values
// under one row of a 3×3 kernel are one run of 3·C neighbours. Four pixels and eight output channels
// are summed at once, in eight registers of four floats.

const PIXELS = 4;
export const LANES = 8; // channels are rounded up to a multiple of this
const FLOAT = 4; // bytes
const VECTOR = 16;

const I32 = 0x7f;
const V128 = 0x7b;

function unsigned(value) { // LEB128
  const bytes = [];
  do {
    bytes.push((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
    value >>>= 7;
  } while (value);
  return bytes;
}

function signed(value) {
  const bytes = [];
  for (;;) {
    const byte = value & 0x7f;
    value >>= 7;
    const last = (value === 0 && !(byte & 0x40)) || (value === -1 && byte & 0x40);
    bytes.push(last ? byte : byte | 0x80);
    if (last) return bytes;
  }
}

const vector = (items) => [...unsigned(items.length), ...items.flat()];
const section = (id, bytes) => [id, ...unsigned(bytes.length), ...bytes];

const get = (local) => [0x20, ...unsigned(local)];
const set = (local) => [0x21, ...unsigned(local)];
const constant = (value) => [0x41, ...signed(value)];
const ADD = [0x6a];
const advance = (local, bytes) => [...get(local), ...constant(bytes), ...ADD, ...set(local)];
const load = (offset) => [0xfd, 0x00, 0, ...unsigned(offset)];
const loadSplat = (offset) => [0xfd, 0x09, 0, ...unsigned(offset)]; // one float, four times
const store = (offset) => [0xfd, 0x0b, 0, ...unsigned(offset)];
const MULTIPLY = [0xfd, 0xe6, 0x01];
const SUM = [0xfd, 0xe4, 0x01];

// Runs `body` `count` times; `counter` is a local of its own.
const repeat = (counter, count, body) => [
  ...constant(count), ...set(counter),
  0x03, 0x40, // loop
  ...body,
  ...get(counter), ...constant(-1), ...ADD, 0x22, ...unsigned(counter), // local.tee
  0x0d, 0, // br_if: again while it is not zero
  0x0b,
];

// The body of a function (input, weights, bias, output), all addresses in bytes: a convolution of a
// fixed shape. Columns are taken four at a time, so up to three pixels to the right of the last one
// are written as well.
function convolution({ height, width, rowIn, rowOut, inputs, outputs, taps }) {
  const [INPUT, WEIGHTS, BIAS, OUTPUT] = [0, 1, 2, 3];
  const [LINE, LINE_OUT, PLACE, PLACE_OUT, AT, WEIGHT] = [4, 5, 6, 7, 8, 9];
  const [BLOCKS, ROWS, COLUMNS, TAPS, RUN] = [10, 11, 12, 13, 14];
  const [LOW, HIGH] = [15, 16]; // eight weights
  const sum = (pixel, half) => 17 + 2 * pixel + half;
  const pixels = [...Array(PIXELS).keys()];
  const halves = [0, 1];

  const begin = pixels.flatMap((pixel) =>
    halves.flatMap((half) => [...get(BIAS), ...load(half * VECTOR), ...set(sum(pixel, half))]));
  const multiply = [
    ...get(WEIGHT), ...load(0), ...set(LOW),
    ...get(WEIGHT), ...load(VECTOR), ...set(HIGH),
    ...pixels.flatMap((pixel) => halves.flatMap((half) => [
      ...get(AT), ...loadSplat(pixel * inputs * FLOAT),
      ...get(half ? HIGH : LOW), ...MULTIPLY,
      ...get(sum(pixel, half)), ...SUM, ...set(sum(pixel, half)),
    ])),
    ...advance(AT, FLOAT),
    ...advance(WEIGHT, LANES * FLOAT),
  ];
  const run = taps * inputs;
  const end = pixels.flatMap((pixel) => halves.flatMap((half) => [
    ...get(PLACE_OUT), ...get(sum(pixel, half)),
    ...store(pixel * outputs * FLOAT + half * VECTOR),
  ]));
  const place = [
    ...begin,
    ...get(WEIGHTS), ...set(WEIGHT),
    ...get(PLACE), ...set(AT),
    ...repeat(TAPS, taps, [...repeat(RUN, run, multiply), ...advance(AT, (rowIn - run) * FLOAT)]),
    ...end,
    ...advance(PLACE, PIXELS * inputs * FLOAT),
    ...advance(PLACE_OUT, PIXELS * outputs * FLOAT),
  ];
  const row = [
    ...get(LINE), ...set(PLACE),
    ...get(LINE_OUT), ...set(PLACE_OUT),
    ...repeat(COLUMNS, Math.ceil(width / PIXELS), place),
    ...advance(LINE, rowIn * FLOAT),
    ...advance(LINE_OUT, rowOut * FLOAT),
  ];
  // Eight output channels at a time over the whole map: their weights stay in the cache.
  const code = repeat(BLOCKS, outputs / LANES, [
    ...get(INPUT), ...set(LINE),
    ...get(OUTPUT), ...set(LINE_OUT),
    ...repeat(ROWS, height, row),
    ...advance(OUTPUT, LANES * FLOAT),
    ...advance(BIAS, LANES * FLOAT),
    ...advance(WEIGHTS, taps * run * LANES * FLOAT),
  ]);
  const locals = vector([[11, I32], [2 + 2 * PIXELS, V128]]);
  const body = [...locals, ...code, 0x0b];
  return [...unsigned(body.length), ...body];
}

// A module with one function a shape, exported as "0", "1", …, over an imported memory.
export function compile(shapes, pages) {
  const text = (word) => vector([...new TextEncoder().encode(word)]);
  return new Uint8Array([
    0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
    ...section(1, vector([[0x60, ...vector([I32, I32, I32, I32]), 0]])), // the one type
    ...section(2, vector([[...text("page"), ...text("memory"), 2, 0, ...unsigned(pages)]])),
    ...section(3, vector(shapes.map(() => [0]))),
    ...section(7, vector(shapes.map((_, i) => [...text(String(i)), 0, ...unsigned(i)]))),
    ...section(10, vector(shapes.map(convolution))),
  ]);
}

// The same convolution in plain JavaScript, for browsers without WebAssembly's vectors: exact, and
// several times as slow. `floats` is the memory; input, weights, bias and output count floats.
export function convolve(floats, shape, input, weights, bias, output) {
  const { height, width, rowIn, rowOut, inputs, outputs, taps } = shape;
  const run = taps * inputs;
  for (let block = 0; block < outputs; block += LANES) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        let a = floats[bias + block], b = floats[bias + block + 1], c = floats[bias + block + 2];
        let d = floats[bias + block + 3], e = floats[bias + block + 4], f = floats[bias + block + 5];
        let g = floats[bias + block + 6], h = floats[bias + block + 7];
        let weight = weights + block * taps * run;
        for (let tap = 0; tap < taps; tap++) {
          let at = input + (y + tap) * rowIn + x * inputs;
          for (let i = 0; i < run; i++, weight += LANES) {
            const value = floats[at++];
            a += value * floats[weight]; b += value * floats[weight + 1];
            c += value * floats[weight + 2]; d += value * floats[weight + 3];
            e += value * floats[weight + 4]; f += value * floats[weight + 5];
            g += value * floats[weight + 6]; h += value * floats[weight + 7];
          }
        }
        const to = output + y * rowOut + x * outputs + block;
        floats[to] = a; floats[to + 1] = b; floats[to + 2] = c; floats[to + 3] = d;
        floats[to + 4] = e; floats[to + 5] = f; floats[to + 6] = g; floats[to + 7] = h;
      }
    }
  }
}
