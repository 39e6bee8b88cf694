// The user's own tables on the built page: laid by file, applied everywhere, refused at the cell, kept or said to be left out.
import { readFileSync } from "node:fs";
import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import type { Overlay, Scenario } from "../../web/pkg/rackrate.js";
import * as core from "../../web/pkg/rackrate.js";
import { LONGEST_LINK } from "../../web/src/link";
import { strings } from "../../web/src/strings";
import { cases, differences } from "./cases";
import { first, fragment, tells, visits } from "./visit";

const { open } = visits();

const HEADER = "shape,region,term,usd_per_gpu_hour\n";
const price = (usd: number, term = "payg", shape = "BM.GPU.H100.8") =>
  `${shape},all-commercial,${term},${usd}\n`;
const file = (name: string, text: string) => ({
  name,
  mimeType: name.endsWith("json") ? "application/json" : "text/csv",
  buffer: Buffer.from(text),
});
const lay = (page: Page, ...files: ReturnType<typeof file>[]) =>
  page.locator(".drop input").setInputFiles(files);
/** For what comes after the answer. */
const SOON = { timeout: 15_000 };
const laidOver = (overlay: Overlay): Scenario => ({ ...first(), overlay });
const entry = (page: Page, name: string) =>
  page.getByRole("list", { name: strings.own.laid }).getByRole("listitem").filter({ hasText: name });

describe("own data", () => {
  test("a CSV file is applied, listed, kept in the link and taken off again", async () => {
    const page = await open();
    await lay(page, file("my-prices.csv", HEADER + price(0.5)));
    const scenario = laidOver({ prices: HEADER + price(0.5) });
    await tells(page, scenario);
    expect(await entry(page, "my-prices.csv").textContent()).toContain("1 row");
    expect(await page.locator(".own").textContent()).toContain(strings.own.inLink);
    await page.reload();
    await page.locator(".headline").waitFor();
    await tells(page, scenario);
    await entry(page, strings.own.fromScenario).getByRole("button").click();
    await tells(page, first());
    expect(fragment(page)).toBe("#v=1&s=azure-trains-oci-serves");
  });

  test("JSON lays several tables at once; rows of two files stand together", async () => {
    const page = await open();
    const gpuless = [
      { shape: "BM.GPU.H200.8", region: "all-commercial", term: "payg", usd_per_gpu_hour: 0.5 },
    ];
    const regions = [{ provider: "azure", name: "mineeast", location: "Mine" }];
    await lay(page, file("all.json", JSON.stringify({ prices: gpuless, regions })));
    await lay(page, file("prices.csv", HEADER + price(0.75)));
    await tells(page, laidOver({ prices: [...gpuless, HEADER + price(0.75)], regions }));
    expect(await entry(page, "all.json").count()).toBe(2);
    await entry(page, "all.json").filter({ hasText: strings.tables.prices }).getByRole("button").click();
    await tells(page, laidOver({ prices: [HEADER + price(0.75)], regions }));
  });

  test("a dropped file is laid as a chosen one", async () => {
    const page = await open();
    const text = HEADER + price(0.5);
    const dropped = await page.evaluateHandle((content) => {
      const carried = new DataTransfer();
      carried.items.add(new File([content], "prices.csv", { type: "text/csv" }));
      return carried;
    }, text);
    await page.dispatchEvent(".own", "drop", { dataTransfer: dropped });
    await tells(page, laidOver({ prices: text }));
  });

  test("own shapes and models are offered like those of the catalogue", async () => {
    const page = await open();
    const shape = cases.find(({ name }) => name === "overlay-step-on-own-shape.json")?.request;
    const { overlay } = shape as { overlay: { shapes: { name: string }[] } };
    const [{ name } = { name: "" }] = overlay.shapes;
    expect(name).not.toBe("");
    await lay(page, file("mine.json", JSON.stringify(overlay)));
    await page.locator("summary", { hasText: strings.rates.title }).click();
    await page.getByRole("button", { name: strings.rates.add }).click();
    // By its text: an option whose value is its text holds no attribute of it.
    await expect.poll(() => page.locator("option", { hasText: name }).count(), SOON).toBeGreaterThan(0);
  });

  test("core's refusal stands at its file, with row and column; the last answer stays", async () => {
    const page = await open();
    const other = "BM.GPU.H200.8";
    const wrong = HEADER + price(1, "payg", other) + price(2, "pay", other);
    await lay(page, file("good.csv", HEADER + price(0.5)), file("bad.csv", wrong));
    const bad = entry(page, "bad.csv");
    await bad.locator(".wrong").first().waitFor();
    expect(await bad.textContent()).toContain("row 2, column term");
    expect(await entry(page, "good.csv").locator(".wrong").count()).toBe(0);
    expect(await page.locator(".stale").count()).toBe(1);
    await bad.getByRole("button").first().click();
    await tells(page, laidOver({ prices: [HEADER + price(0.5)] }));
  });

  test("what is no table says so, and nothing is laid", async () => {
    const page = await open();
    await lay(page, file("broken.json", "{"), file("other.json", '{"price":[]}'));
    const alert = page.locator(".own [role=alert]");
    await alert.waitFor();
    expect(await alert.textContent()).toMatch(/broken\.json is not JSON.*other\.json names a table “price”/);
    expect(await page.locator(".laid").count()).toBe(0);
  });

  test("too large for a link: said here, in the link and by whoever opens it; JSON holds all", async () => {
    const page = await open();
    const wide = `${HEADER.trim()},note\n${price(0.5).trim()},${"a long note ".repeat(1000)}\n`;
    await lay(page, file("prices.csv", wide));
    await tells(page, laidOver({ prices: wide }));
    expect(await page.locator(".own").textContent()).toContain("Too large for a link");
    expect(fragment(page)).toBe("#v=1&s=azure-trains-oci-serves&x=overlay");
    expect(fragment(page).length).toBeLessThan(LONGEST_LINK);
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: strings.actions.json }).click(),
    ]);
    const saved = JSON.parse(readFileSync(await download.path(), "utf8"));
    expect(differences(core.plan(saved), core.plan(laidOver({ prices: wide })))).toEqual([]);
    await page.reload();
    await page.locator(".headline").waitFor();
    expect(await page.locator(".notice").textContent()).toBe(strings.own.leftOut);
    await tells(page, first());
  });

  test("another scenario is asked about the same world", async () => {
    const page = await open();
    await lay(page, file("prices.csv", HEADER + price(0.5)));
    await tells(page, laidOver({ prices: HEADER + price(0.5) }));
    await page.getByRole("combobox", { name: strings.scenario }).selectOption("serve-70b");
    const other = core.scenarios().find((one) => one.name === "serve-70b");
    await tells(page, { ...other, overlay: { prices: HEADER + price(0.5) } });
  });

  test("a template is core's own table", async () => {
    const page = await open();
    await page.getByLabel(strings.own.table, { exact: true }).selectOption("models");
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: strings.own.template }).click(),
    ]);
    expect(download.suggestedFilename()).toBe("models.csv");
    expect(readFileSync(await download.path(), "utf8")).toBe(core.table("models"));
  });
});
