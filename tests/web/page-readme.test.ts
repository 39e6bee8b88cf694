// The example of the README, word for word: the package as it is built, from a static host, in a browser.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import * as core from "../../web/pkg/rackrate.js";
import { browse, serve } from "./site";

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url));

test("the JavaScript example finds its module and answers as core does", async () => {
  const [, example] = read("README.md")
    .toString()
    .match(/```js\n(.*?)```/s) ?? [undefined, ""];
  const site = await serve("/pkg/", fileURLToPath(new URL("../../web/pkg/", import.meta.url)));
  const browser = await browse();
  try {
    const page = await browser.newPage();
    const said: string[] = [];
    page.on("console", (message) => said.push(message.text()));
    page.on("pageerror", (error) => said.push(error.message));
    const address = new URL("../example.html", site.address).href;
    const body = `<!doctype html><link rel="icon" href="data:,"><script type="module">${example}</script>`;
    await page.route(address, (route) => route.fulfill({ contentType: "text/html", body }));
    await page.goto(address);
    core.initSync({ module: read("web/pkg/rackrate_bg.wasm") });
    const asked = core.scenarios().find(({ name }) => name === "serve-70b") as core.Scenario;
    const options = core.plan(asked).serving?.options ?? [];
    expect(options.length).toBeGreaterThan(0);
    const lines = options.map(({ shape, gpus }) => `${gpus} GPUs of ${shape}`);
    await expect.poll(() => said, { timeout: 15_000 }).toEqual([lines.join("\n")]);
  } finally {
    await browser.close();
    site.close();
  }
});
