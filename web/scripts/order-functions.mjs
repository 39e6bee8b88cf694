// The order of a module's functions that compresses best: gzip finds again what stands up to 32 kB back, so functions that
// are alike should stand together. Greedy: next is always the function that shares most with what stands just before it.

/** Bytes that count as one piece of code when functions are compared. */
const GRAM = 6;
/** A piece that more functions have than this says nothing of who is alike. */
const COMMON = 60;
/** How far back is compared: gzip's window, less a function. */
const WINDOW = 28_000;
/** Keeps functions of a few bytes from being alike to everything. */
const SMALL = 20;

/** The module with a name for each function that says its place in that order: wasm-opt can sort by name. */
export const namedByOrder = (module) => {
  const { imported, bodies } = functions(module);
  const names = order(bodies).map((index, place) => [imported + index, String(place).padStart(6, "0")]);
  names.sort(([a], [b]) => a - b);
  const map = names.flatMap(([index, name]) => [...leb(index), ...text(name)]);
  const inner = [...leb(names.length), ...map];
  const section = [...text("name"), 1, ...leb(inner.length), ...inner];
  return Buffer.concat([module, Buffer.from([0, ...leb(section.length), ...section])]);
};

const order = (bodies) => {
  const likes = shared(bodies.map(grams));
  const score = new Float64Array(bodies.length);
  const near = new Map();
  const count = (index, by) => {
    for (const holders of likes[index]) {
      const before = near.get(holders) ?? 0;
      near.set(holders, before + by);
      // What counts is that a piece is near, not how often.
      if (before === 0 || before + by === 0) for (const one of holders) score[one] += by;
    }
  };
  const left = new Set(bodies.keys());
  const placed = [];
  let [next, first, held] = [0, 0, 0];
  while (left.size > 0) {
    left.delete(next);
    placed.push(next);
    count(next, 1);
    held += bodies[next].length;
    for (; held > WINDOW; first += 1) {
      held -= bodies[placed[first]].length;
      count(placed[first], -1);
    }
    let best = -1;
    for (const index of left) {
      const value = score[index] / (bodies[index].length + SMALL);
      if (value > best) [best, next] = [value, index];
    }
  }
  return placed;
};

/** The pieces of a function's code, each as a number. */
const grams = (body) => {
  const found = new Set();
  for (let at = 0; at + GRAM <= body.length; at += 1) {
    let hash = 0;
    for (let i = at; i < at + GRAM; i += 1) hash = (Math.imul(hash, 0x01000193) ^ body[i]) >>> 0;
    found.add(hash);
  }
  return found;
};

/** Of each function, for each piece that it shares with some others, who has it. */
const shared = (all) => {
  const holders = new Map();
  all.forEach((found, index) => {
    for (const gram of found) {
      const those = holders.get(gram);
      if (those === undefined) holders.set(gram, [index]);
      else those.push(index);
    }
  });
  const telling = (those) => those.length > 1 && those.length <= COMMON;
  return all.map((found) => [...found].map((gram) => holders.get(gram)).filter(telling));
};

/** The bodies of a module's own functions, and how many functions it imports, whose indices come first. */
const functions = (module) => {
  let at = 8;
  let imported = 0;
  const bodies = [];
  const number = () => {
    let [value, shift, byte] = [0, 0, 0];
    do {
      byte = module[at];
      at += 1;
      value += (byte & 0x7f) * 2 ** shift;
      shift += 7;
    } while (byte >= 0x80);
    return value;
  };
  const sized = () => {
    const length = number();
    at += length;
    return module.subarray(at - length, at);
  };
  while (at < module.length) {
    const id = module[at];
    at += 1;
    const end = number() + at;
    if (id === 2) {
      for (let left = number(); left > 0; left -= 1) {
        sized();
        sized();
        // bindgen imports functions only; anything else would need its own reading.
        if (module[at] !== 0) throw new Error("an import that is no function");
        at += 1;
        number();
        imported += 1;
      }
    } else if (id === 10) {
      for (let left = number(); left > 0; left -= 1) bodies.push(sized());
    }
    at = end;
  }
  return { imported, bodies };
};

const leb = (value) => (value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...leb(value >>> 7)]);
const text = (value) => [...leb(value.length), ...Buffer.from(value)];
