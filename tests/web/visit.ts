// A visit to the built page, and what a visitor is told; every visit ends without a complaint or a request elsewhere.
import { readFileSync } from "node:fs";
import type { Browser, BrowserContext, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect } from "vitest";
import type { Plan, Scenario } from "../../web/pkg/rackrate.js";
import * as core from "../../web/pkg/rackrate.js";
import { count, moneyShort } from "../../web/src/format";
import { strings } from "../../web/src/strings";
import { browse, type Site, serve } from "./site";

/** Opens pages in the tests of the file that calls it. */
export const visits = () => {
  let site: Site;
  let browser: Browser;
  let context: BrowserContext | undefined;
  /** Requests and errors of the page that is open. */
  let requested: string[] = [];
  let complaints: string[] = [];

  beforeAll(async () => {
    core.initSync({ module: readFileSync(new URL("../../web/pkg/rackrate_bg.wasm", import.meta.url)) });
    site = await serve("/any/where/");
    browser = await browse();
  });
  afterAll(async () => {
    await browser?.close();
    site?.close();
  });
  afterEach(async () => {
    await context?.close();
    context = undefined;
    expect(complaints).toEqual([]);
    expect(requested.filter((url) => !url.startsWith(site.address) && !url.startsWith("blob:"))).toEqual([]);
  });

  const open = async (fragment = "", options: BrowserContextOptions = {}): Promise<Page> => {
    requested = [];
    complaints = [];
    context = await browser.newContext({
      viewport: { width: 1440, height: 900 },
      locale: "en-US",
      ...options,
    });
    context.on("request", (request) => requested.push(request.url()));
    const page = await context.newPage();
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
    });
    await page.goto(`${site.address}${fragment}`);
    await page.locator(".headline").waitFor();
    return page;
  };

  /** A page that has no answer to wait for; `without` what its host does not deliver. */
  const openBroken = async (address: string, without?: string): Promise<Page> => {
    requested = [];
    complaints = [];
    context = await browser.newContext();
    if (without !== undefined) await context.route(without, (route) => route.abort());
    const page = await context.newPage();
    await page.goto(`${site.address}${address}`);
    return page;
  };

  return { open, openBroken };
};

export const first = (): Scenario => core.scenarios()[0] as Scenario;
export const chosen = (plan: Plan) =>
  plan.training?.options.find((one) => one.shape === plan.training?.chosen);
export const headline = (page: Page) => page.locator(".headline output");

/** Waits until the headline tells core's own answer to `scenario`. */
export const tells = async (page: Page, scenario: unknown): Promise<void> => {
  const plan = core.plan(scenario as Scenario);
  const train = chosen(plan);
  const serves = plan.serving?.options.find((one) => one.shape === plan.serving?.chosen);
  const figures = [
    train && `${count(train.gpus)} ${train.step.gpu}`,
    train?.cost && told(plan, train.cost),
    serves && `${count(serves.gpus)} ${serves.point.gpu}`,
    serves?.cost && told(plan, serves.cost),
  ].filter((figure) => typeof figure === "string");
  expect(figures.length).toBeGreaterThan(0);
  await expect
    .poll(
      async () => {
        const text = (await headline(page).textContent()) ?? "";
        return figures.every((figure) => text.includes(figure)) ? "told" : text;
      },
      { timeout: 15_000 },
    )
    .toBe("told");
};
export const withTokens = (tokens: string | number) => {
  const scenario = first();
  return { ...scenario, training: { ...scenario.training, tokens } };
};
export const fragment = (page: Page) => new URL(page.url()).hash;

/** A total as the page writes it: in the currency asked for. */
export const told = (plan: Plan, { total_usd, total_in_currency }: core.Cost): string =>
  moneyShort(total_in_currency ?? total_usd, plan.scenario.pricing?.currency?.code ?? "USD");

/** Rows of a table's CSV by column: raw numbers, as core gave them. */
export const rowsOf = async (page: Page, caption: string): Promise<Record<string, string>[]> => {
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: `${strings.actions.csv} ${caption}`, exact: true }).click(),
  ]);
  const [top = "", ...rows] = readFileSync(await download.path(), "utf8")
    .trimEnd()
    .split("\r\n");
  return rows.map((row) => {
    const cells = row.match(/("([^"]|"")*"|[^,]*)(,|$)/g) ?? [];
    const plain = cells.map((cell) => cell.replace(/,$/, "").replace(/^"|"$/g, "").replaceAll('""', '"'));
    return Object.fromEntries(
      (top.match(/("([^"]|"")*"|[^,]*)(,|$)/g) ?? []).map((name, i) => [
        name.replace(/,$/, "").replace(/^"|"$/g, ""),
        plain[i] ?? "",
      ]),
    );
  });
};

/** What stands beside a name in a list of facts of the section with this heading. */
export const fact = (page: Page, section: string, name: string) =>
  page
    .locator(`section[aria-labelledby="${section}"] .facts > div`)
    .filter({ has: page.locator("dt", { hasText: new RegExp(`^${name}$`) }) })
    .locator("dd");

const axe = readFileSync(new URL("../../web/node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
type Axe = { run: () => Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> };

/** What axe finds wrong with a page that has everything open that opens. */
export const flaws = async (page: Page): Promise<string[]> => {
  await page.locator("figure svg").first().waitFor();
  // What is opened may bring more to open.
  for (let opened = -1; opened !== (await page.locator("details").count()); ) {
    opened = await page.locator("details").count();
    await page.evaluate(() => {
      for (const details of document.querySelectorAll("details")) details.open = true;
    });
    await page.waitForTimeout(300);
  }
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => (window as unknown as { axe: Axe }).axe.run());
  return violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`);
};
