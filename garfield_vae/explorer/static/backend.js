// What the page asks of its server. Every method gives a promise; a failed one rejects with an Error
// whose message is a sentence for the person. The exported page has another backend with the same
// methods, and without a server.

async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    const gone = new Error("The explorer has ended: start it again, and this page goes on.");
    gone.gone = true;
    throw gone;
  }
  if (response.ok) return response;
  const message = await response.json().then((answer) => answer.error, () => null);
  const failure = new Error(message ?? `The explorer answered ${response.status}.`);
  failure.superseded = response.status === 409;
  throw failure;
}

const post = (path, body) => ask(path, {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(body),
});
const named = (path, name) => `${path}?name=${encodeURIComponent(name)}`;

export class Backend {
  #page = crypto.getRandomValues(new Uint32Array(4)).join("-"); // tells this page from others
  #turn = 0;

  info() { return ask("api/info").then((answer) => answer.json()); }

  // The newest call of a page wins: an older one that still waits is given up by the server.
  async live(state) {
    const asked = { state, page: this.#page, turn: ++this.#turn };
    return createImageBitmap(await (await post("api/picture", asked)).blob());
  }

  png(state, scale = 1) {
    return post("api/picture", { state, scale }).then((answer) => answer.blob());
  }

  async ends() { return createImageBitmap(await (await ask("api/ends.png")).blob()); }

  draw(seed, temperature) {
    return post("api/draw", { seed, temperature }).then((answer) => answer.json())
      .then((answer) => answer.state);
  }

  gif(a, b) { return post("api/walk.gif", { a, b }).then((answer) => answer.blob()); }

  nearest(state) { return post("api/nearest", { state }).then((answer) => answer.json()); }

  names(start) {
    return ask(`api/strips?start=${encodeURIComponent(start)}`).then((answer) => answer.json())
      .then((answer) => answer.names);
  }

  strip(name) { return ask(named("api/strip", name)).then((answer) => answer.json()); }

  stripPicture(name) { return named("api/strip.png", name); }

  async encode(file) {
    const answer = await ask("api/strip", {
      method: "POST",
      headers: { "Content-Type": "application/octet-stream" },
      body: file,
    });
    return answer.json();
  }

  rename(index, name) {
    return post("api/name", { index, name }).then((answer) => answer.json())
      .then((answer) => answer.name);
  }
}
