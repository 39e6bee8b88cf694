// The built page in a browser: what a person sees, types, shares and takes away.
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Scenario } from "../../web/pkg/rackrate.js";
import * as core from "../../web/pkg/rackrate.js";
import { usd, usdShort } from "../../web/src/format";
import { fill, strings } from "../../web/src/strings";
import { camel, cases, differences } from "./cases";
import { chosen, first, flaws, fragment, headline, tells, visits, withTokens } from "./visit";

const { open, openBroken } = visits();

describe("on arrival", () => {
  test("the first scenario is answered, from a path below the root", async () => {
    const page = await open();
    await tells(page, first());
    expect(await headline(page).textContent()).toMatch(/Train on Azure.*serve from OCI/);
    expect(fragment(page)).toBe("");
  });

  test.each(core_scenarios())("%s is answered", async (name) => {
    const page = await open(`#v=1&s=${name}`);
    const scenario = core.scenarios().find((one) => one.name === name);
    await tells(page, scenario);
    await page.getByRole("combobox", { name: strings.scenario }).waitFor();
    expect(await page.getByRole("combobox", { name: strings.scenario }).inputValue()).toBe(name);
  });

  test("totals of every split are those of core", async () => {
    const page = await open();
    const text = (await page.locator(".matrix").textContent()) ?? "";
    const { splits } = core.plan(first());
    expect(splits.length).toBe(4);
    for (const split of splits) expect(text).toContain(usdShort(split.total_usd));
  });

  test("each cost line shows quantity, unit price, source and date", async () => {
    const page = await open();
    const option = chosen(core.plan(first()));
    const name = fill(strings.detail.costTraining, { shape: option?.shape ?? "" });
    const text = (await page.getByRole("table", { name }).textContent()) ?? "";
    const lines = option?.cost?.lines ?? [];
    expect(lines.length).toBeGreaterThan(0);
    for (const line of lines) {
      for (const part of [
        line.what,
        usd(line.unit_usd),
        usd(line.usd),
        line.source.source,
        line.source.as_of,
      ]) {
        expect(text).toContain(part);
      }
    }
  });
});

describe("asking", () => {
  test("typing changes the answer and the link; the link restores both", async () => {
    const page = await open();
    await page.getByRole("textbox", { name: "Tokens", exact: true }).fill("2T");
    await tells(page, withTokens("2T"));
    expect(fragment(page)).toBe("#v=1&s=azure-trains-oci-serves&t.tokens=2T");
    await page.reload();
    await page.locator(".headline").waitFor();
    await tells(page, withTokens(2e12));
    expect(await page.getByRole("textbox", { name: "Tokens", exact: true }).inputValue()).toBe("2T");
  });

  test("typing fast ends with the answer to the last question", async () => {
    const page = await open();
    await page.getByRole("textbox", { name: "Tokens", exact: true }).fill("");
    await page
      .getByRole("textbox", { name: "Tokens", exact: true })
      .pressSequentially("3.25T", { delay: 15 });
    await tells(page, withTokens("3.25T"));
    await expect.poll(() => page.locator(".stale").count()).toBe(0);
  });

  test("a link typed into the address bar is followed", async () => {
    const page = await open();
    await page.evaluate(() => {
      location.hash = "v=1&s=azure-trains-oci-serves&t.tokens=4T";
    });
    await tells(page, withTokens("4T"));
  });

  test("a scenario with a Hugging Face config is answered, by the package that reads it", async () => {
    const page = await open();
    const modules: string[] = [];
    page.on("response", (response) => {
      if (response.url().endsWith(".wasm")) modules.push(response.url());
    });
    const config = readFileSync(
      new URL("../../core/tests/configs/command-r-v01.json", import.meta.url),
      "utf8",
    );
    const asked = { ...first(), training: { ...first().training, model: JSON.parse(config) } };
    const file = {
      name: "asked.json",
      mimeType: "application/json",
      buffer: Buffer.from(JSON.stringify(asked)),
    };
    await page.getByLabel(strings.actions.open).setInputFiles(file);
    await tells(page, asked);
    expect(modules.length).toBe(1);
    // Once loaded it stays; what it refuses too is told in its words.
    const refused = { ...asked, training: { ...asked.training, model: { model_type: "jamba" } } };
    const buffer = Buffer.from(JSON.stringify(refused));
    await page.getByLabel(strings.actions.open).setInputFiles({ ...file, buffer });
    const told = page.getByText("recurrent or state-space layers beside attention cannot be priced yet");
    await told.first().waitFor();
    expect(modules.length).toBe(1);
  });

  test("a config pasted for a model is read, shown by its name and held by the link", async () => {
    const page = await open();
    const file = new URL("../../core/tests/configs/command-r-v01.json", import.meta.url);
    const described = { architectures: ["CohereForCausalLM"], ...JSON.parse(readFileSync(file, "utf8")) };
    const config = JSON.stringify(described, null, 2);
    const model = page.getByLabel("Model").first();
    await model.fill(config);
    const asked = { ...first(), training: { ...first().training, model: described } };
    await tells(page, asked);
    expect(await model.inputValue()).toBe("CohereForCausalLM, from config.json");
    await expect.poll(() => fragment(page)).toContain("t.model.hidden_size=8192");
    await page.reload();
    await page.locator(".headline").waitFor();
    await tells(page, asked);
    expect(await model.inputValue()).toBe("CohereForCausalLM, from config.json");
    // Cut short it is told at the field; however long, it stays within the page.
    await model.fill(config.slice(0, -3).replaceAll(/\s/g, "").repeat(20));
    const wrong = page.locator("#field-training-model-wrong");
    await expect.poll(() => wrong.textContent()).toContain("is not JSON");
    expect(await model.getAttribute("aria-invalid")).toBe("true");
    await page.getByRole("alert").waitFor();
    const wide = () => page.evaluate(() => document.documentElement.scrollWidth);
    expect(await wide()).toBe(1440);
    await model.fill("llama-3.1-405b");
    await tells(page, first());
    expect(await wrong.count()).toBe(0);
  });

  test("the whole package is asked only about a model that is described", async () => {
    const page = await openBroken("");
    await page.locator(".headline").waitFor();
    const modules: string[] = [];
    page.on("request", (request) => {
      if (request.url().endsWith(".wasm")) modules.push(request.url());
    });
    const alert = page.getByRole("alert");
    const model = page.getByLabel("Model").first();
    await model.fill("deepseek-v3.2");
    await expect.poll(() => alert.textContent()).toContain("indexer");
    expect(modules).toEqual([]);
    // Where it does not load, what the page's own module said stands.
    await page.route("**/*.wasm", (route) => route.abort());
    const asked = { ...first(), training: { ...first().training, model: { model_type: "llama" } } };
    const buffer = Buffer.from(JSON.stringify(asked));
    await page
      .getByLabel(strings.actions.open)
      .setInputFiles({ name: "asked.json", mimeType: "application/json", buffer });
    await expect.poll(() => alert.textContent()).toContain("reads no Hugging Face config");
    expect(modules.length).toBe(1);
  });

  test("units of inputs: percent and milliseconds", async () => {
    const page = await open();
    await page.getByLabel("OCI discount").fill("30");
    await page.getByLabel("First token p95").fill("800");
    const scenario = first();
    const asked = {
      ...scenario,
      pricing: { ...scenario.pricing, oci_discount: 0.3 },
      serving: { ...scenario.serving, slo: { ...scenario.serving?.slo, ttft_p95_seconds: 0.8 } },
    };
    await tells(page, asked);
    expect(fragment(page)).toContain("p.oci_discount=0.3");
    expect(fragment(page)).toContain("i.slo.ttft_p95_seconds=0.8");
  });

  test("a GPU count instead of a deadline, and back", async () => {
    const page = await open();
    await page.getByText("GPUs", { exact: true }).first().click();
    await page.getByLabel("GPUs", { exact: true }).first().fill("16384");
    const scenario = first();
    await tells(page, { ...scenario, training: { ...scenario.training, deadline_days: null, gpus: 16384 } });
    await page.getByText("Deadline", { exact: true }).last().click();
    await tells(page, scenario);
    expect(fragment(page)).toBe("#v=1&s=azure-trains-oci-serves");
  });

  test("a part may be left out", async () => {
    const page = await open();
    await page.getByLabel("Include Serving").uncheck();
    await tells(page, { ...first(), serving: null });
    expect(fragment(page)).toContain("i=null");
    await page.getByLabel("Include Serving").check();
    await tells(page, first());
  });

  test("choosing an option shows it in detail", async () => {
    const page = await open();
    const { training } = core.plan(first());
    const other = training?.options.find((one) => one.shape !== training.chosen)?.shape ?? "";
    await page
      .locator("section", { has: page.locator("#ways-to-train") })
      .getByRole("button", { name: other, exact: true })
      .click();
    await page.getByRole("heading", { name: `Training on ${other}` }).waitFor();
    // The link holds it, until another scenario is chosen.
    await expect
      .poll(() => fragment(page))
      .toBe(`#v=1&s=azure-trains-oci-serves&pick.training=${encodeURIComponent(other)}`);
    await page.reload();
    await page.getByRole("heading", { name: `Training on ${other}` }).waitFor();
    await page.getByRole("combobox", { name: strings.scenario }).selectOption("fine-tune-8b");
    await expect.poll(() => fragment(page)).toBe("#v=1&s=fine-tune-8b");
  });
});

describe("bad input", () => {
  test("attaches to its field, and the last answer stays, marked as old", async () => {
    const page = await open();
    const before = await headline(page).textContent();
    const tokens = page.getByRole("textbox", { name: "Tokens", exact: true });
    await tokens.fill("fast");
    await page.locator(".field .wrong").waitFor();
    expect(await tokens.getAttribute("aria-invalid")).toBe("true");
    const described = (await tokens.getAttribute("aria-describedby")) ?? "";
    expect(await page.locator(`#${described.split(" ").pop()}`).textContent()).toContain('"fast" given');
    expect(await headline(page).textContent()).toBe(before);
    expect(await page.locator(".stale").count()).toBe(1);
    await tokens.fill("15.6T");
    await page.locator(".field .wrong").waitFor({ state: "detached" });
    await tells(page, first());
  });

  test("a misspelt name is put right with one press", async () => {
    const page = await open();
    await page.getByLabel("Model").first().fill("lama-3.1-405b");
    await page.getByRole("button", { name: "Use llama-3.1-405b" }).click();
    await tells(page, first());
  });

  test("a link with a key that does not exist says so", async () => {
    const page = await openBroken("#v=1&s=serve-70b&i.input_tokns=5");
    const alert = page.getByRole("alert");
    await alert.waitFor();
    expect(await alert.textContent()).toContain("input_tokens");
    // Nothing is on its way; from here the scenario is one press away.
    expect(await page.locator(".waiting").count()).toBe(0);
    await page.getByRole("button", { name: fill(strings.backTo, { name: "serve-70b" }) }).click();
    await tells(
      page,
      core.scenarios().find((one) => one.name === "serve-70b"),
    );
    expect(await alert.count()).toBe(0);
    expect(fragment(page)).toBe("#v=1&s=serve-70b");
  });

  test("a link from another version is said to be one, and the page works", async () => {
    const page = await open("#v=9&s=serve-70b");
    expect(await page.locator(".notice").textContent()).toContain("another version");
    await tells(page, first());
  });
});

describe("where it cannot work", () => {
  test("without the wasm module the page says what to try", async () => {
    const page = await openBroken("", "**/*.wasm");
    const alert = page.getByRole("alert");
    await alert.waitFor();
    expect(await alert.textContent()).toContain(strings.failedHelp);
  });
});

describe("taking it away", () => {
  test("the scenario as JSON, opened again, is the same question", async () => {
    const page = await open("#v=1&s=azure-trains-oci-serves&t.tokens=2T");
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: strings.actions.json }).click(),
    ]);
    const path = await download.path();
    const saved = JSON.parse(readFileSync(path, "utf8"));
    expect(differences(core.plan(saved), core.plan(withTokens("2T") as Scenario))).toEqual([]);
    await page.getByRole("combobox", { name: strings.scenario }).selectOption("serve-70b");
    await tells(
      page,
      core.scenarios().find((one) => one.name === "serve-70b"),
    );
    await page.getByLabel(strings.actions.open).setInputFiles(path);
    await tells(page, withTokens("2T"));
    // With no built-in scenario to start from, the link says it all.
    await page.reload();
    await page.locator(".headline").waitFor();
    await tells(page, withTokens("2T"));
  });

  test("CSV holds the rows as they stand, in raw numbers", async () => {
    const page = await open();
    const section = page.locator("section", { has: page.locator("#ways-to-train") });
    const table = section.getByRole("table", { name: strings.training.caption });
    const header = table.getByRole("columnheader", { name: "Days" });
    await header.getByRole("button").click();
    expect(await header.getAttribute("aria-sort")).toBe("ascending");
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      section.getByRole("button", { name: `${strings.actions.csv} ${strings.training.caption}` }).click(),
    ]);
    const [top = "", ...rows] = readFileSync(await download.path(), "utf8")
      .trimEnd()
      .split("\r\n");
    const column = top.split(",").indexOf("days");
    const days = rows.map((row) => Number(row.split(",")[column]));
    const options = core.plan(first()).training?.options ?? [];
    expect(days).toEqual(options.map((option) => option.days).sort((a, b) => a - b));
    const shown = await table.getByRole("rowheader").allTextContents();
    expect(rows.map((row) => row.split(",")[0])).toEqual(shown);
  });

  test("the link and the Python code reach the clipboard", async () => {
    const page = await open("", { permissions: ["clipboard-read", "clipboard-write"] });
    await page.getByRole("textbox", { name: "Tokens", exact: true }).fill("2T");
    await tells(page, withTokens("2T"));
    await page.getByRole("button", { name: strings.actions.link }).click();
    await page.getByText(strings.actions.copied).waitFor();
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(page.url());
    await page.getByRole("button", { name: strings.actions.python }).click();
    await expect
      .poll(() => page.evaluate(() => navigator.clipboard.readText()))
      .toMatch(/^import rackrate\n\nplan = rackrate\.plan\(\{[\s\S]*"tokens": "2T"/);
  });
});

describe("for everybody", () => {
  describe.each(["light", "dark"] as const)("in %s", (colorScheme) => {
    test.each([
      ["wide", 1440, 900],
      ["narrow", 320, 800],
    ])("axe finds nothing, %s", async (_, width, height) => {
      const page = await open("", { colorScheme, viewport: { width, height }, reducedMotion: "reduce" });
      if (width < 1000) await page.getByRole("button", { name: strings.changeQuestion }).click();
      expect(await flaws(page)).toEqual([]);
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(width);
    });
  });

  test("a theme chosen is remembered", async () => {
    const page = await open("", { colorScheme: "light" });
    const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
    const light = await ground();
    await page.getByText(strings.theme.dark, { exact: true }).click();
    expect(await ground()).not.toBe(light);
    const dark = await ground();
    await page.reload();
    await page.locator(".headline").waitFor();
    expect(await ground()).toBe(dark);
  });

  test("by keyboard: from the skip link to the answer, through a chart's bars, to its table", async () => {
    const page = await open();
    await page.locator("figure svg").first().waitFor();
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    expect(await page.evaluate(() => document.activeElement?.id)).toBe("answer");
    const figure = page.getByRole("figure", { name: strings.training.chartCost });
    const bars = figure.getByRole("img");
    await bars.first().focus();
    await page.keyboard.press("ArrowDown");
    expect(await bars.nth(1).evaluate((bar) => bar === document.activeElement)).toBe(true);
    expect(await figure.locator(".tip").count()).toBe(1);
    await page.keyboard.press("t");
    await figure.getByRole("table").waitFor();
    // Of a chart only one mark is a stop of the Tab key, and every mark takes the focus from the arrows.
    const charts = page.locator("figure svg[role=group]");
    expect(await charts.count()).toBeGreaterThan(4);
    for (const chart of await charts.all()) {
      const stops = await chart
        .getByRole("img")
        .evaluateAll((marks) => marks.map((mark) => mark.getAttribute("tabindex")));
      expect(stops).toEqual(stops.map((_, i) => (i === 0 ? "0" : "-1")));
    }
    const next = page.getByRole("figure", { name: strings.training.chartStep });
    await next.getByRole("button").focus();
    await page.keyboard.press("Tab");
    await page.keyboard.press("Tab");
    expect(await next.evaluate((one) => one.contains(document.activeElement))).toBe(false);
  });
});

describe("the page’s worker", () => {
  // It asks all that core can, beside whatever else the machine does: minutes before it is taken for stuck.
  test("answers every shared case as core does, bit for bit", { timeout: 300_000 }, async () => {
    const page = await open();
    const [worker] = page.workers();
    if (worker === undefined) throw new Error("the page has no worker");
    const asked = cases.map(({ call, request }, id) => ({ id, call: camel(call), given: [request] }));
    const answered = await page.evaluate(
      async ([url, questions]) => {
        const own = new Worker(url, { type: "module" });
        const answers: Record<number, { answer?: unknown; refusal?: unknown }> = {};
        await new Promise<void>((done, fail) => {
          own.onerror = (event) => fail(new Error(event.message || `${url} did not load`));
          own.onmessageerror = () => fail(new Error("an answer that cannot be read"));
          own.onmessage = ({ data }) => {
            answers[data.id] = data;
            if (Object.keys(answers).length === questions.length) done();
          };
          for (const question of questions) own.postMessage(question);
        });
        own.terminate();
        return JSON.stringify(answers);
      },
      [worker.url(), asked] as const,
    );
    const answers = JSON.parse(answered) as Record<number, { answer?: unknown; refusal?: unknown }>;
    for (const [id, one] of cases.entries()) {
      const { answer, refusal } = answers[id] ?? {};
      const wrong = one.error ? differences(refusal, one.error) : differences(answer, one.answer);
      expect(wrong, one.name).toEqual([]);
    }
  });
});

/** Names of the built-in scenarios, from their files: tests are listed before the module is loaded. */
function core_scenarios(): string[] {
  const folder = new URL("../../core/data/scenarios/", import.meta.url);
  return readdirSync(folder).map((file) => file.replace(/\.json$/, ""));
}
