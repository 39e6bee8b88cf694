// What prices, storage, the way between the clouds and their sources look like on the built page.
import { readFileSync } from "node:fs";
import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import type { OwnRate, Scenario } from "../../web/pkg/rackrate.js";
import * as core from "../../web/pkg/rackrate.js";
import { moneyShort, usd } from "../../web/src/format";
import { fill, strings } from "../../web/src/strings";
import { chosen, first, fragment, tells, told, visits } from "./visit";

const { open } = visits();

/** For what comes after the answer. */
const SOON = { timeout: 15_000 };
const priced = (pricing: object): Scenario => {
  const scenario = first();
  return { ...scenario, pricing: { ...scenario.pricing, ...pricing } };
};
const euro = { currency: { code: "EUR", per_usd: 0.92 } };

describe("a currency", () => {
  test("asks for its rate, and every total follows; unit prices stay in USD", async () => {
    const page = await open();
    await page.getByLabel("Currency", { exact: true }).fill("EUR");
    const rate = page.getByLabel(strings.fields["pricing.currency.per_usd"]?.label ?? "");
    await expect.poll(() => rate.getAttribute("aria-invalid")).toBe("true");
    await rate.fill("0.92");
    const scenario = priced(euro);
    await tells(page, scenario);
    const plan = core.plan(scenario);
    const matrix = (await page.locator(".matrix").textContent()) ?? "";
    for (const split of plan.splits) expect(matrix).toContain(moneyShort(split.total_in_currency, "EUR"));
    const option = chosen(plan);
    const name = fill(strings.detail.costTraining, { shape: option?.shape ?? "" });
    const lines = (await page.getByRole("table", { name }).textContent()) ?? "";
    for (const line of option?.cost?.lines ?? []) expect(lines).toContain(usd(line.unit_usd));
    const figure = page.getByRole("figure", {
      name: fill(strings.inUsd, { title: strings.training.chartCost }),
    });
    if (option?.cost) expect(await figure.textContent()).toContain(told(plan, option.cost));
    await page.reload();
    await page.locator(".headline").waitFor();
    await tells(page, scenario);
  });

  test("names itself in the CSV", async () => {
    const page = await open("#v=1&s=azure-trains-oci-serves&p.currency.code=EUR&p.currency.per_usd=0.92");
    await tells(page, priced(euro));
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: `${strings.actions.csv} ${strings.training.caption}` }).click(),
    ]);
    const [top = "", row = ""] = readFileSync(await download.path(), "utf8").split("\r\n");
    const at = top.split(",").indexOf("cost_eur");
    const [cheapest] = core.plan(priced(euro)).training?.options ?? [];
    expect(Number(row.split(",")[at])).toBe(cheapest?.cost?.total_in_currency);
  });
});

describe("own rates", () => {
  const unfold = (page: Page) => page.locator("summary", { hasText: strings.rates.title }).click();

  test("are added, asked for what is missing, kept in the link and removed", async () => {
    const page = await open();
    await unfold(page);
    await page.getByRole("button", { name: strings.rates.add }).click();
    const rate = page.getByRole("group", { name: fill(strings.rates.one, { number: 1 }) });
    const discount = rate.getByLabel("Discount %");
    await expect.poll(() => discount.getAttribute("aria-invalid")).toBe("true");
    await discount.fill("35");
    await rate.getByLabel("Term").selectOption("payg");
    const own_rates: OwnRate[] = [{ provider: "oci", term: "payg", discount: 0.35 }];
    await tells(page, priced({ own_rates }));
    expect(decodeURIComponent(fragment(page))).toContain("p.own_rates=[{");
    await page.reload();
    await page.locator(".headline").waitFor();
    await tells(page, priced({ own_rates }));

    await rate.getByText("Price", { exact: true }).click();
    await rate.getByLabel("Own price").fill("1.75");
    await rate.getByLabel("For", { exact: true }).selectOption("BM.GPU.MI355X.8");
    await tells(
      page,
      priced({ own_rates: [{ shape: "BM.GPU.MI355X.8", term: "payg", usd_per_gpu_hour: 1.75 }] }),
    );
    await rate.getByRole("button", { name: strings.rates.remove }).click();
    await tells(page, first());
    expect(fragment(page)).toBe("#v=1&s=azure-trains-oci-serves");
  });
});

describe("fields", () => {
  test("go back one by one to what the scenario says", async () => {
    const page = await open();
    await page.getByLabel("OCI discount").fill("30");
    await page.getByRole("textbox", { name: "Tokens", exact: true }).fill("2T");
    await page.getByRole("button", { name: "Reset OCI discount" }).click();
    const scenario = first();
    await tells(page, { ...scenario, training: { ...scenario.training, tokens: 2e12 } });
    await page.getByRole("button", { name: "Reset Tokens" }).click();
    await tells(page, scenario);
    expect(fragment(page)).toBe("#v=1&s=azure-trains-oci-serves");
  });

  test("regions are offered by their places, tiers only where core takes them", async () => {
    const page = await open();
    const region = page.getByLabel("Azure region");
    await expect.poll(() => region.locator('option[value="eastus"]').count(), SOON).toBe(1);
    expect(await region.locator('option[value="eastus"]').textContent()).toContain("Virginia");
    for (const cloud of ["azure", "oci"] as const) {
      const select = page.locator(`#field-storage-${cloud}-checkpoints`);
      await expect.poll(() => select.locator("option").count(), SOON).toBeGreaterThan(5);
      const offered = await select
        .locator("option")
        .evaluateAll((options) => options.map((option) => (option as HTMLOptionElement).value));
      for (const { name } of core.catalog().storage.filter((row) => row.provider === cloud)) {
        // A GPU of no cloud stores nothing, so that only the name is judged.
        const training = { model: "llama-3.1-8b", tokens: 1e9, sequence_length: 4096, gpu: "H800-SXM" };
        const batch = { global_batch: 64, gpus: 8 };
        let taken = true;
        try {
          core.plan({
            name: "",
            training: { ...training, ...batch },
            storage: { [cloud]: { checkpoints: name } },
          });
        } catch (thrown) {
          expect((thrown as { field: string }).field).toBe(`storage.${cloud}.checkpoints`);
          taken = false;
        }
        expect([name, offered.includes(name)]).toEqual([name, taken]);
      }
    }
  });
});

describe("storage and the way between the clouds", () => {
  const link =
    "#v=1&s=azure-trains-oci-serves&m.path=interconnect&p.azure_region=eastus&storage.azure.checkpoints=azure-netapp-ultra";
  const scenario = (): Scenario => {
    const from = priced({ azure_region: "eastus" });
    return {
      ...from,
      transfer: { ...from.transfer, path: "interconnect" },
      storage: { azure: { checkpoints: "azure-netapp-ultra" } },
    };
  };

  test("what is provisioned, and what bounds a checkpoint", async () => {
    const page = await open(link);
    const plan = core.plan(scenario());
    const option = chosen(plan);
    const text = (await page.locator("section.detail-of").first().textContent()) ?? "";
    expect(option?.storage.map((one) => one.tier)).toContain("azure-netapp-ultra");
    for (const { tier } of option?.storage ?? []) expect(text).toContain(tier);
    if (option) expect(text).toContain(strings.bounds[option.losses.checkpoint_bound]);
  });

  test("links with their rates, the slowest marked, and what has no price", async () => {
    const page = await open(link);
    const split = core.plan(scenario()).splits.find((one) => one.chosen);
    const way = page.getByRole("list", { name: strings.moved.way });
    const items = await way.getByRole("listitem").allTextContents();
    expect(items.length).toBe((split?.transfer_links.length ?? 0) + 2);
    for (const { name } of split?.transfer_links ?? []) {
      const item = items.find((text) => text.includes(name));
      expect(item?.includes(strings.moved.slowest)).toBe(name === split?.transfer_slowest_link);
    }
    const told = (await page.locator("main").textContent()) ?? "";
    for (const charge of split?.transfer_unpriced ?? []) expect(told).toContain(charge);
    await page.getByLabel("Own circuit price").fill("100");
    const asked = scenario();
    await tells(page, { ...asked, transfer: { ...asked.transfer, circuit_usd_per_month: 100 } });
    await expect.poll(() => page.locator(".way").count()).toBe(1);
  });
});

describe("sources and warnings", () => {
  test("sources by kind, with age; old ones alone", async () => {
    const page = await open();
    const plan = core.plan(first());
    const section = page.locator("section", { has: page.locator("#sources") });
    await section.getByText(strings.sources.show).click();
    const table = section.getByRole("table");
    await table.waitFor();
    const rows = () => table.locator("tbody tr").count();
    expect(await rows()).toBe(plan.sources.length);
    await section.getByLabel(strings.sources.kind).selectOption("price");
    const prices = plan.sources.filter((one) => one.kind === "price");
    expect(await rows()).toBe(prices.length);
    await section.getByLabel(strings.sources.oldOnly).check();
    expect(await rows()).toBe(prices.filter((one) => one.old).length);
  });

  test("every warning is there, those of one kind together under a name", async () => {
    const page = await open();
    const { warnings } = core.plan(first());
    const list = page.locator(".headline .warned");
    const text = (await list.textContent()) ?? "";
    // The page groups digits.
    const plain = text.replace(/(?<=\d),(?=\d{3})/g, "");
    for (const { message } of warnings) expect(plain).toContain(message);
    const codes = new Set(warnings.map(({ code }) => code));
    expect(await list.locator("> li").count()).toBe(codes.size);
    const named = strings.warnings.codes as Record<string, string>;
    for (const code of codes) expect(named[code], code).toBeDefined();
  });
});
