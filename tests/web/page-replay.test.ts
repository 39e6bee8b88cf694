// Requests replayed on the built page: at a rate, as a trace has them, with the plan's own answer never waiting for it.
import { readFileSync } from "node:fs";
import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import type {
  Plan,
  Scenario,
  ServingPointRequest,
  SimulationReport,
  SimulationRequest,
} from "../../web/pkg/rackrate.js";
import * as core from "../../web/pkg/rackrate.js";
import { pointOf } from "../../web/src/components/asked";
import { withoutNulls } from "../../web/src/data";
import { count, digits, percent, seconds } from "../../web/src/format";
import { fill, strings } from "../../web/src/strings";
import { replay as words } from "../../web/src/strings/replay";
import { flaws, fragment, headline, rowsOf, tells, visits } from "./visit";

const { open } = visits();
const SOON = { timeout: 15_000 };
const SCENARIO = "serve-70b";
const TRACE = new URL("../measured/azure_llm_2023_code.csv", import.meta.url);

const named = (name: string): Scenario => core.scenarios().find((one) => one.name === name) as Scenario;
const planned = (scenario: Scenario = named(SCENARIO)): Plan => core.plan(scenario);
const panel = (page: Page) => page.locator(".bench.replay");
const field = (page: Page, path: string) => page.locator(`#field-replay-${path.replaceAll(".", "-")}`);
const figure = (page: Page, name: string) =>
  panel(page)
    .locator(".figures > div")
    .filter({ has: page.locator("dt", { hasText: name }) })
    .locator(".value");
const unfold = (page: Page) =>
  page
    .locator("section[aria-labelledby=serving-detail] .closer > details > summary", {
      hasText: strings.replayTitle,
    })
    .click();
const opened = async (link = `#v=1&s=${SCENARIO}`, options = {}) => {
  const page = await open(link, options);
  await unfold(page);
  await panel(page).waitFor();
  return page;
};

/** What the page asks at first: the option's own point, its spreads as the closed form has them. */
const asked = (change: object = {}, plan: Plan = planned()): SimulationRequest => {
  const option = plan.serving?.options.find((one) => one.shape === plan.serving?.chosen);
  if (option === undefined) throw new Error("core finds no way to serve");
  const lone = { ...pointOf(plan, option), disaggregated: null, request_rate: 1e-6 } as ServingPointRequest;
  const gpus = option.point.pools?.decode_gpus ?? option.point.gpus;
  const { input_spread, output_spread } =
    option.point.percentiles ?? core.servingPoint({ ...lone, gpus }).percentiles ?? {};
  const {
    load: _,
    input_tokens,
    output_tokens,
    request_rate,
    input_spread: __,
    output_spread: ___,
    ...rest
  } = pointOf(plan, option) ?? ({} as ServingPointRequest);
  const lengths = (mean_tokens: number, spread: number | undefined) => ({
    mean_tokens,
    family: spread === undefined ? "fixed" : "gamma",
    spread,
  });
  const request = {
    ...rest,
    request_rate: Number(request_rate?.toPrecision(6)),
    input: lengths(input_tokens, input_spread),
    output: lengths(output_tokens, output_spread),
    ...change,
  };
  return withoutNulls(JSON.parse(JSON.stringify(request))) as unknown as SimulationRequest;
};
const ofTrace = (text: string, change: object = {}) =>
  asked({ input: null, output: null, request_rate: null, trace_csv: text, ...change });

/** Waits until the panel tells core's own answer. */
const replays = async (page: Page, request: SimulationRequest): Promise<SimulationReport> => {
  const report = core.simulate(request);
  await expect
    .poll(() => figure(page, words.firstP95).textContent(), SOON)
    .toBe(seconds(report.ttft.p95_seconds));
  expect(await figure(page, words.nextP95).textContent()).toBe(seconds(report.tpot?.p95_seconds));
  expect(await figure(page, words.answered).textContent()).toBe(digits(report.requests_per_second));
  expect(await figure(page, words.inFlight).textContent()).toBe(digits(report.concurrency));
  return report;
};

describe("requests at a rate", () => {
  test("begin as the option's point, told beside the closed form to the last bit", async () => {
    const page = await opened();
    const report = await replays(page, asked());
    const rows = await rowsOf(page, words.percentiles);
    const told = report.beside?.latencies;
    expect(rows.map((row) => row.latency)).toEqual(Object.values(words.rows));
    for (const [i, of] of [report.ttft, told?.ttft, report.tpot, told?.tpot, report.end_to_end].entries()) {
      for (const key of ["p50_seconds", "p90_seconds", "p95_seconds", "p99_seconds", "mean_seconds"] as const)
        expect(Number(rows[i]?.[key])).toBe(of?.[key]);
    }
    // The closed form is that of the plan's own point.
    const plan = planned();
    const option = plan.serving?.options.find((one) => one.shape === plan.serving?.chosen);
    expect(told?.ttft.p95_seconds).toBeCloseTo(option?.point.percentiles?.ttft.p95_seconds ?? 0, 5);
  });

  test("longer than the model's context are told so by the field's own label", async () => {
    const page = await opened();
    await panel(page).locator("summary", { hasText: words.lengths }).click();
    await field(page, "input.mean_tokens").fill("200000");
    await field(page, "requests").fill("100");
    const warned = panel(page).locator(".warned > li", {
      hasText: strings.warnings.codes.past_model_context,
    });
    const label = strings.fields["replay.input.mean_tokens"]?.label;
    await expect
      .poll(() => warned.locator("li").allTextContents(), SOON)
      .toEqual([
        expect.stringMatching(`^${label}: 200,\\d{3} tokens: the model's own context ends at 131,072$`),
      ]);
  });

  test("follow rate, lengths, cache and seed, and the link holds them", async () => {
    const page = await opened();
    await replays(page, asked());
    await field(page, "request_rate").fill("9.5");
    await field(page, "requests").fill("1500");
    await panel(page).getByText(words.another).click();
    await panel(page).locator("summary", { hasText: words.lengths }).click();
    await field(page, "input.family").selectOption("lognormal");
    await field(page, "input.spread").fill("1.5");
    await field(page, "output.family").selectOption("fixed");
    await panel(page).locator("summary", { hasText: strings.parts.engine }).click();
    await field(page, "prefix_cache.hit_rate").fill("40");
    await field(page, "engine.family").selectOption("vllm");
    await panel(page).locator("summary", { hasText: strings.parts.settings }).click();
    await field(page, "engine.max_sequences").fill("48");
    const { input, output } = asked();
    const changed = asked({
      request_rate: 9.5,
      requests: 1500,
      seed: 1,
      input: { ...input, family: "lognormal", spread: 1.5 },
      output: { mean_tokens: output?.mean_tokens, family: "fixed" },
      prefix_cache: { hit_rate: 0.4 },
      engine: { family: "vllm", max_sequences: 48 },
    });
    await replays(page, changed);
    await expect.poll(() => fragment(page), SOON).toContain("replay.seed=1");
    // Whoever opens the link sees the same, opened.
    const link = fragment(page);
    const again = await open(link);
    await panel(again).waitFor();
    await replays(again, changed);
    await panel(again).getByText(words.reset).click();
    await replays(again, asked());
    await expect.poll(() => fragment(again), SOON).toBe(`#v=1&s=${SCENARIO}`);
  });

  test("in pools apart, where the plan reads prompts so", async () => {
    const page = await opened(`#v=1&s=${SCENARIO}&i.mode=disaggregated`);
    const scenario = named(SCENARIO);
    const plan = planned({
      ...scenario,
      serving: { ...scenario.serving, mode: "disaggregated" },
    } as Scenario);
    const report = await replays(page, asked({}, plan));
    const { pools } = report;
    if (pools === null) throw new Error("core reads prompts on the same GPUs");
    const rows = await rowsOf(page, words.ways);
    expect(rows.map((row) => Number(row.p95_seconds))).toEqual([
      pools.prefill.p95_seconds,
      pools.transfer?.p95_seconds,
      pools.place?.p95_seconds,
    ]);
    await panel(page)
      .locator(".facts dd", { hasText: fill(words.busy, { share: percent(pools.decode_busy_share) }) })
      .waitFor();
  });

  test("past what is sustained it says so, and a refusal stands at its field", async () => {
    const page = await opened();
    await replays(page, asked());
    await field(page, "request_rate").fill("100");
    const report = await replays(page, asked({ request_rate: 100 }));
    expect(report.saturated).toBe(true);
    await panel(page).getByText(words.saturated).waitFor();
    await field(page, "gpus").fill("0");
    await expect.poll(() => field(page, "gpus").getAttribute("aria-invalid"), SOON).toBe("true");
    await field(page, "gpus").fill("2");
    await replays(page, asked({ request_rate: 100, gpus: 2 }));
  });

  test("never make the plan wait: a long replay is given up for a newer question", async () => {
    const page = await opened();
    await replays(page, asked());
    await field(page, "requests").fill("900000");
    await panel(page).getByText(words.running).waitFor();
    const scenario = named(SCENARIO);
    await page.locator("#field-serving-output_tokens").fill("300");
    await tells(page, { ...scenario, serving: { ...scenario.serving, output_tokens: 300 } });
    expect(await headline(page).textContent()).not.toBe("");
    await field(page, "requests").fill("800");
    await expect.poll(() => panel(page).locator(".running").count(), SOON).toBe(0);
  });
});

describe("a trace", () => {
  const text = readFileSync(TRACE, "utf8");

  test("by file: replayed as logged, then faster; removed, there is nothing to tell", async () => {
    const page = await opened();
    await panel(page).getByText(words.sources.trace, { exact: true }).click();
    await panel(page).getByText(words.noTrace).waitFor();
    await panel(page)
      .locator("input[type=file]")
      .setInputFiles({ name: "mine.csv", mimeType: "text/csv", buffer: Buffer.from(text) });
    const report = await replays(page, ofTrace(text));
    const rows = text.trimEnd().split("\n").length - 1;
    expect(report.requests).toBe(rows);
    await panel(page)
      .getByText(fill(words.rowsOf, { count: count(rows) }))
      .waitFor();
    await field(page, "trace_speed").fill("20");
    const faster = await replays(page, ofTrace(text, { trace_speed: 20 }));
    await panel(page)
      .getByText(fill(words.ofSustained, { share: percent(faster.utilisation) }))
      .waitFor();
    expect(fragment(page)).toContain("replay.trace_speed=20");
    await panel(page)
      .getByRole("button", { name: `${words.remove} mine.csv` })
      .click();
    await panel(page).getByText(words.noTrace).waitFor();
  });

  test("by sample, by paste and by drop; what is no trace is refused by its line", async () => {
    const page = await opened();
    await panel(page).getByText(words.sources.trace, { exact: true }).click();
    await panel(page).getByRole("button", { name: words.samples.code }).click();
    await replays(page, ofTrace(text));
    const give = (kind: "paste" | "drop", given: string) =>
      panel(page).evaluate(
        (element, [kind, given]) => {
          const data = new DataTransfer();
          if (kind === "paste") data.setData("text/plain", given);
          else data.items.add(new File([given], "dropped.csv", { type: "text/csv" }));
          const event =
            kind === "paste"
              ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true })
              : new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
          element.querySelector("form")?.dispatchEvent(event);
        },
        [kind, given] as const,
      );
    const azure =
      "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.97,4808,10\n2023-11-16 18:17:04.03,3180,8\n";
    await give("paste", azure);
    await replays(page, ofTrace(azure));
    await give("drop", "input_tokens,output_tokens,arrival_seconds\n100,5,1\nmany,6,2\n");
    await panel(page).locator(".wrong", { hasText: "line 3, column input_tokens" }).waitFor();
    // Rows without times are drawn, and come at a rate.
    const timeless = "input_tokens,output_tokens\n1000,50\n3000,80\n";
    await give("paste", timeless);
    const { request_rate } = asked();
    await replays(page, ofTrace(timeless, { request_rate }));
    await field(page, "request_rate").fill("2");
    await replays(page, ofTrace(timeless, { request_rate: 2 }));
  });
});

describe("for everybody", () => {
  test("charts are read off by keyboard, and as tables", async () => {
    const page = await opened();
    const report = await replays(page, asked());
    const slider = panel(page).getByRole("slider", { name: words.distribution.ttft });
    await slider.focus();
    await page.keyboard.press("Home");
    await page.keyboard.press("ArrowRight");
    const { ttft_seconds } = report.distribution;
    expect(await slider.getAttribute("aria-valuetext")).toContain(seconds(ttft_seconds[1]));
    await page.keyboard.press("End");
    expect(await slider.getAttribute("aria-valuetext")).toContain("100.0%");
    await page
      .getByRole("figure", { name: words.overTime })
      .getByRole("button", { name: strings.chart.asTable })
      .click();
    const rows = await rowsOf(page, words.overTime);
    expect(rows.map((row) => Number(row.time_seconds))).toEqual(report.timeline.time_seconds);
    expect(rows.map((row) => Number(row.requests_in_flight))).toEqual(report.timeline.in_flight);
  });

  for (const colorScheme of ["light", "dark"] as const) {
    test(`nothing that axe finds, ${colorScheme}, at the width of a phone`, async () => {
      const page = await opened(`#v=1&s=${SCENARIO}`, { colorScheme, viewport: { width: 390, height: 844 } });
      await replays(page, asked());
      expect(await flaws(page)).toEqual([]);
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
    });
  }
});
