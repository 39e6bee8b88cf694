// The worker that answers the page's questions; the first one is begun as soon as there is anything of the page.

const open = (): Worker =>
  new Worker(new URL("./worker.ts", import.meta.url), { type: "module", name: "rackrate" });

let begun: Worker | undefined = open();
// Nobody hears it fail yet: whoever takes a worker then opens another, and hears that one.
const forget = () => {
  begun = undefined;
};
begun.addEventListener("error", forget);

/** A worker of the page's own: the one that is begun, or one more. */
export const worker = (): Worker => {
  const one = begun ?? open();
  one.removeEventListener("error", forget);
  forget();
  return one;
};
