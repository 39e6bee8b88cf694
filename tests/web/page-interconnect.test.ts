// What the links do, on the built page: core's figures of each option, beside the best of each cloud.
import { describe, expect, test } from "vitest";
import type { Interconnect, Scenario } from "../../web/pkg/rackrate.js";
import * as core from "../../web/pkg/rackrate.js";
import { binaryBytes, bytes, count, digits, percent } from "../../web/src/format";
import { fill, strings } from "../../web/src/strings";
import { chosen, fact, first, rowsOf, visits } from "./visit";

const { open } = visits();
const { detail } = strings;

interface Option {
  provider: string | null;
  shape: string;
  gpus: number;
  interconnect: Interconnect;
}

/** The chosen option, then the best of each cloud where that is another. */
const beside = (current: Option | undefined, options: readonly Option[]): Option[] => {
  if (current === undefined) throw new Error("core finds no option");
  const best = ["azure", "oci"].flatMap((cloud) => options.find((one) => one.provider === cloud) ?? []);
  return [current, ...best.filter((one) => one !== current)];
};

const PARTS = [
  ["training", "training-detail"],
  ["serving", "serving-detail"],
] as const;

const asked = (part: "training" | "serving") => {
  const plan = core.plan(first());
  const current =
    part === "training"
      ? chosen(plan)
      : plan.serving?.options.find((one) => one.shape === plan.serving?.chosen);
  return beside(current, plan[part]?.options ?? []);
};

describe.each(PARTS)("%s", (part, section) => {
  test("the links of both clouds side by side are core's", async () => {
    const page = await open();
    const options = asked(part);
    expect(new Set(options.map((one) => one.interconnect.kind)).size).toBe(2);
    const inside = page.locator(`section[aria-labelledby=${section}]`);
    const table = inside.getByRole("table", { name: strings.links[part].given });
    const text = (await table.textContent()) ?? "";
    for (const { shape, interconnect: links } of options) {
      expect(text).toContain(shape);
      expect(text).toContain(links.kind === null ? detail.noFabric : strings.fabricKinds[links.kind]);
      for (const gb of [
        links.injection_gb_per_s_per_gpu,
        links.injection_gb_per_s_per_node,
        links.bisection_gb_per_s,
      ]) {
        expect(text).toContain(`${bytes(gb * 1e9)}/s`);
      }
      expect(text).toContain(percent(links.exposed_share));
    }
    expect(await fact(page, section, detail.exposed).textContent()).toBe(
      percent(options[0]?.interconnect.exposed_share),
    );
  });

  test("each parallel dimension: its links, its bytes, its bandwidth, what is waited for", async () => {
    const page = await open();
    const dimensions = asked(part)[0]?.interconnect.dimensions ?? [];
    expect(dimensions.length).toBeGreaterThan(0);
    const rows = await rowsOf(page, strings.links[part].sent);
    expect(
      rows.map((row) => [
        row.dimension,
        row.links,
        row.op,
        ...["message_bytes", "scale_up_bytes", "fabric_bytes", "busbw_gb_per_s", "exposed_share"].map((key) =>
          Number(row[key]),
        ),
      ]),
    ).toEqual(
      dimensions.map((one) => [
        one.dimension,
        one.links,
        one.op,
        one.message_bytes,
        one.scale_up_bytes,
        one.fabric_bytes,
        one.busbw_gb_per_s,
        one.exposed_share,
      ]),
    );
  });

  test("bus bandwidth over message size: core's curves, in the chart and under T", async () => {
    const page = await open();
    const options = asked(part);
    const inside = page.locator(`section[aria-labelledby=${section}]`);
    const figure = inside.getByRole("figure", { name: strings.links[part].curve });
    const points = figure.getByRole("img");
    const sizes = options[0]?.interconnect.curve_bytes ?? [];
    await points.first().waitFor({ state: "attached" });
    expect(await points.count()).toBe(sizes.length);
    for (const { shape, interconnect: links } of options) {
      const legend = figure.locator(".legend li", { hasText: shape });
      expect(await legend.textContent()).toContain(`${count(links.curve_ranks)} GPUs`);
    }
    // By keyboard along the curve: what stands there is said and shown.
    await points.first().focus();
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("ArrowRight");
    const tip = (await figure.locator(".tip").textContent()) ?? "";
    expect(tip).toContain(binaryBytes(sizes[2]));
    for (const { interconnect: links } of options) {
      expect(tip).toContain(digits(links.curve_busbw_gb_per_s[2]));
    }
    await page.keyboard.press("t");
    await figure.getByRole("table").waitFor();
    const rows = await rowsOf(page, strings.links[part].curve);
    expect(rows.map((row) => Number(row.bytes))).toEqual(sizes);
    for (const { provider, shape, interconnect: links } of options) {
      expect(rows.map((row) => Number(row[`busbw_gb_per_s ${provider} ${shape}`]))).toEqual(
        links.curve_busbw_gb_per_s,
      );
    }
  });
});

test("a replica of one GPU sends nothing, and has no curve", async () => {
  const page = await open("#v=1&s=serve-70b");
  const scenario = core.scenarios().find((one) => one.name === "serve-70b") as Scenario;
  const { serving } = core.plan(scenario);
  const alone = serving?.options.find((one) => one.interconnect.curve_ranks === 1);
  const joined = serving?.options.find((one) => one.interconnect.curve_ranks > 1);
  const figure = page.getByRole("figure", { name: strings.links.serving.curve });
  for (const [option, curves] of [
    [alone, 0],
    [joined, 1],
  ] as const) {
    const shape = option?.shape ?? "";
    await page.getByRole("button", { name: shape, exact: true }).first().click();
    await page.getByRole("heading", { name: fill(strings.serving.detail, { shape }) }).waitFor();
    await expect.poll(() => figure.count(), { timeout: 15_000 }).toBe(curves);
    expect(await page.getByText(detail.noTraffic).count()).toBe(1 - curves);
  }
});

test("another option brings its own links", async () => {
  const page = await open();
  const { training } = core.plan(first());
  const other = training?.options.find(
    (one) => one.shape !== training.chosen && one.interconnect.kind === "infini_band",
  );
  if (other === undefined) throw new Error("no other option on InfiniBand");
  await page
    .locator("section", { has: page.locator("#ways-to-train") })
    .getByRole("button", { name: other.shape, exact: true })
    .click();
  await page.getByRole("heading", { name: `Training on ${other.shape}` }).waitFor();
  const rows = await rowsOf(page, strings.links.training.sent);
  expect(rows.map((row) => Number(row.busbw_gb_per_s))).toEqual(
    other.interconnect.dimensions.map((one) => one.busbw_gb_per_s),
  );
});
